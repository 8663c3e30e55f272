/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data.c - reading, writing and appending, on private files and on a shared one.
 *
 * Every page on every target carries, in its first and last word, who wrote it:
 * {writer, file or variant, page}. Reads look at both ends of every block while they
 * are timed. After the timed writes, each block is read back and compared with
 * what was last written there; where several write the same blocks, with any one of the
 * blocks that were written. Sources are prepared beforehand, so that no target pays
 * for stamping them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "data.h"

#define PAGE 4096u
#define VARIANTS_MAX 4u /* different source blocks of a worker */
#define FILL_BYTES (256 * KIB)

enum { OURS, TMPFS, HUGE_TMPFS };

/* of one worker */
struct own {
	const struct data_spec *spec;
	uint64_t span, blocks, base, at;
	unsigned variants;
	uint8_t *source, *buf;
	uint8_t *last[TARGETS_MAX]; /* variant + 1 that was last written to a block */
	int fd, huge_fd, fallocated_fd;
	daxfs_ino ino;
	struct daxfs_view *view;
	uint8_t *raw;
};

/* -- stamps ------------------------------------------------------------------------ */

static uint64_t stamp(unsigned writer, unsigned variant, uint64_t page)
{
	return 0xdaf5ull << 48 | (uint64_t)(writer + 1) << 44 | (uint64_t)variant << 40 | page;
}

static void stamp_pages(uint8_t *p, size_t len, unsigned writer, unsigned variant, uint64_t page)
{
	for (size_t i = 0; i < len; i += PAGE, page++) {
		uint64_t word = stamp(writer, variant, page);

		memset(p + i, (int)(word * 2654435761u >> 24), PAGE);
		memcpy(p + i, &word, sizeof(word));
		memcpy(p + i + PAGE - sizeof(word), &word, sizeof(word));
	}
}

static uint64_t word_at(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/* What `fill` put into page `page` of a file. */
#define FILLER 14u

static void check_word(const struct own *own, const uint8_t *p, uint64_t offset)
{
	if (word_at(p) != stamp(FILLER, 0, offset / PAGE))
		bench_fail("%s: wrong data at offset %llu", own->spec->name, (unsigned long long)offset);
}

static void check_ends(const struct own *own, const uint8_t *p, uint64_t offset)
{
	uint64_t bs = own->spec->block;

	check_word(own, p, offset);
	check_word(own, p + bs - 8, offset + bs - 8);
}

/* -- files -------------------------------------------------------------------------- */

static const char *file_name(const struct data_spec *spec, unsigned worker, char *buf, size_t size)
{
	if (spec->shared)
		snprintf(buf, size, "shared");
	else
		snprintf(buf, size, "file%u", worker);
	return buf;
}

static void fill(const struct rig *rig, daxfs_ino ino, const char *name, uint64_t size)
{
	uint8_t *p = aligned_alloc(PAGE, FILL_BYTES);
	int fd = rig_tmpfs(rig, false, name, O_RDWR | O_CREAT | O_TRUNC);
	int huge = rig_tmpfs(rig, true, name, O_RDWR | O_CREAT | O_TRUNC);

	for (uint64_t at = 0; at < size; at += FILL_BYTES) {
		stamp_pages(p, FILL_BYTES, FILLER, 0, at / PAGE);
		if (daxfs_write(rig->fs, ino, p, FILL_BYTES, at, 0) != FILL_BYTES ||
		    pwrite(fd, p, FILL_BYTES, (off_t)at) != FILL_BYTES ||
		    (huge >= 0 && pwrite(huge, p, FILL_BYTES, (off_t)at) != FILL_BYTES))
			bench_fail("cannot fill %s", name);
	}
	close(fd);
	if (huge >= 0)
		close(huge);
	free(p);
}

void data_files(struct rig *rig, unsigned files, uint64_t size, uint64_t shared)
{
	struct daxfs_attr attr;
	char name[16];

	for (unsigned i = 0; i <= files; i++) {
		uint64_t bytes = i < files ? size : shared;

		snprintf(name, sizeof(name), i < files ? "file%u" : "shared", i);
		if (daxfs_mknod(rig->fs, DAXFS_ROOT, name, 0100600, 0, (struct daxfs_cred){ 0 }, false, &attr))
			bench_fail("cannot create %s", name);
		fill(rig, attr.ino, name, bytes);
	}
	for (uint64_t at = 0; at < rig->raw_size; at += FILL_BYTES)
		stamp_pages(rig->raw + at, FILL_BYTES, FILLER, 0, at / PAGE);
}

/* -- a worker's own ------------------------------------------------------------------ */

static void open_files(struct worker *w, struct own *own)
{
	const struct data_spec *spec = own->spec;
	struct daxfs_attr attr;
	char name[16];

	file_name(spec, w->id, name, sizeof(name));
	if (daxfs_lookup(w->fs, DAXFS_ROOT, name, &attr))
		bench_fail("%s: no file %s in the pool", spec->name, name);
	own->ino = attr.ino;
	own->fd = rig_tmpfs(w->rig, false, name, O_RDWR | (spec->op == DATA_APPEND ? O_APPEND : 0));
	own->huge_fd = rig_tmpfs(w->rig, true, name, O_RDWR | (spec->op == DATA_APPEND ? O_APPEND : 0));
	snprintf(name, sizeof(name), "fallocated%u", w->id);
	own->fallocated_fd = spec->op == DATA_FIRST ? rig_tmpfs(w->rig, false, name, O_RDWR | O_CREAT) : -1;
}

void data_open(struct worker *w)
{
	const struct data_spec *spec = w->arg;
	struct own *own = calloc(1, sizeof(*own));
	uint64_t bs = spec->block;

	w->own = own;
	own->spec = spec;
	own->span = spec->shared ? spec->span * w->of : spec->span;
	own->blocks = own->span / bs;
	own->variants = bs <= PAGE ? VARIANTS_MAX : 2;
	own->buf = aligned_alloc(PAGE, bs > PAGE ? bs : PAGE);
	own->source = aligned_alloc(PAGE, own->variants * (bs > PAGE ? bs : PAGE));
	memset(own->buf, 1, bs);
	for (unsigned i = 0; i < own->variants; i++)
		stamp_pages(own->source + i * bs, bs > PAGE ? bs : PAGE, w->id, i, 0);
	for (unsigned i = 0; i < TARGETS_MAX; i++)
		own->last[i] = calloc(own->blocks, 1);
	/* Sequential workers of one file start apart. */
	own->at = spec->shared ? own->blocks / w->of * w->id : 0;
	own->raw = w->rig->raw + (spec->shared ? 0 : spec->span * w->id);
	open_files(w, own);
	if (spec->op == DATA_VIEW && daxfs_view_open(w->fs, &own->view))
		bench_fail("%s: no view", spec->name);
}

static inline uint64_t next_block(struct worker *w, struct own *own)
{
	if (own->spec->random)
		return random_below(&w->rng, own->blocks);
	if (own->at >= own->blocks)
		own->at = 0;
	return own->at++;
}

static _Noreturn void failed(const struct own *own, const char *target, long rc)
{
	bench_fail("%s: %s: %ld %s", own->spec->name, target, rc, rc == -1 ? strerror(errno) : "");
}

/* -- writes --------------------------------------------------------------------------- */

#define EACH_BLOCK(w, n)                                                                                               \
	struct own *own = (w)->own;                                                                                    \
	const uint64_t bs = own->spec->block;                                                                          \
	for (unsigned i = 0, v = 0; i < (n); i++, v = (v + 1) % own->variants)

static void write_ours(struct worker *w, unsigned n)
{
	EACH_BLOCK(w, n)
	{
		uint64_t b = next_block(w, own);
		ssize_t rc = daxfs_write(w->fs, own->ino, own->source + v * bs, bs, b * bs, 0);

		if (rc != (ssize_t)bs)
			failed(own, "daxfs", rc);
		own->last[OURS][b] = (uint8_t)(v + 1);
	}
}

static void write_fd(struct worker *w, unsigned n, int fd, uint8_t *last)
{
	EACH_BLOCK(w, n)
	{
		uint64_t b = next_block(w, own);
		ssize_t rc = pwrite(fd, own->source + v * bs, bs, (off_t)(b * bs));

		if (rc != (ssize_t)bs)
			failed(own, "tmpfs", rc);
		last[b] = (uint8_t)(v + 1);
	}
}

static void write_tmpfs(struct worker *w, unsigned n)
{
	struct own *own = w->own;

	write_fd(w, n, own->fd, own->last[TMPFS]);
}

static void write_huge(struct worker *w, unsigned n)
{
	struct own *own = w->own;

	write_fd(w, n, own->huge_fd, own->last[HUGE_TMPFS]);
}

static void write_raw(struct worker *w, unsigned n)
{
	EACH_BLOCK(w, n)
	memcpy(own->raw + next_block(w, own) * bs, own->source + v * bs, bs);
}

static void write_stream(struct worker *w, unsigned n)
{
	EACH_BLOCK(w, n)
	copy_streaming(own->raw + next_block(w, own) * bs, own->source + v * bs, bs);
}

/* -- reads ------------------------------------------------------------------------------ */

static void read_ours(struct worker *w, unsigned n)
{
	EACH_BLOCK(w, n)
	{
		uint64_t at = next_block(w, own) * bs;
		ssize_t rc = daxfs_read(w->fs, own->ino, own->buf, bs, at);

		if (rc != (ssize_t)bs)
			failed(own, "daxfs", rc);
		check_ends(own, own->buf, at);
	}
}

static void read_fd(struct worker *w, unsigned n, int fd)
{
	EACH_BLOCK(w, n)
	{
		uint64_t at = next_block(w, own) * bs;
		ssize_t rc = pread(fd, own->buf, bs, (off_t)at);

		if (rc != (ssize_t)bs)
			failed(own, "tmpfs", rc);
		check_ends(own, own->buf, at);
	}
}

static void read_tmpfs(struct worker *w, unsigned n)
{
	read_fd(w, n, ((struct own *)w->own)->fd);
}

static void read_huge(struct worker *w, unsigned n)
{
	read_fd(w, n, ((struct own *)w->own)->huge_fd);
}

static void read_raw(struct worker *w, unsigned n)
{
	EACH_BLOCK(w, n)
	{
		uint64_t at = next_block(w, own) * bs;

		memcpy(own->buf, own->raw + at, bs);
		check_ends(own, own->buf, (uint64_t)(own->raw - w->rig->raw) + at);
	}
}

/* -- without copying ------------------------------------------------------------------------ */

#define VIEW_READS 64u /* between renewals */

static void view_ours(struct worker *w, unsigned n)
{
	EACH_BLOCK(w, n)
	{
		uint64_t at = next_block(w, own) * bs;
		const void *p;
		ssize_t rc;

		if (i % VIEW_READS == 0)
			daxfs_view_renew(own->view);
		rc = daxfs_view_read(own->view, own->ino, at, &p);
		if (rc < (ssize_t)bs)
			failed(own, "daxfs view", rc);
		check_word(own, p, at); /* which page it is; nothing was copied that could be torn */
	}
}

/* A mapping of a file: what a program that knows where everything lies can do. */
static void view_mapping(struct worker *w, unsigned n)
{
	EACH_BLOCK(w, n)
	{
		uint64_t at = next_block(w, own) * bs;

		check_word(own, own->raw + at, (uint64_t)(own->raw - w->rig->raw) + at);
	}
}

/* The source is copied into the pages: no less than what a write to tmpfs does. */
static void draft_ours(struct worker *w, unsigned n)
{
	EACH_BLOCK(w, n)
	{
		void *pages[DAXFS_ATOMIC_WRITE_MAX / PAGE];
		uint64_t b = next_block(w, own);
		struct daxfs_draft *draft;
		int rc = daxfs_draft_begin(w->fs, own->ino, b * bs, bs, pages, &draft);

		for (unsigned k = 0; rc == 0 && k < bs / PAGE; k++)
			memcpy(pages[k], own->source + v * bs + k * PAGE, PAGE);
		if (rc == 0)
			rc = daxfs_draft_commit(draft);
		if (rc)
			failed(own, "daxfs draft", rc);
		own->last[OURS][b] = (uint8_t)(v + 1);
	}
}

/* -- first writes: the file grows block by block, and is cut between bursts --------------- */

static void cut_ours(struct worker *w, unsigned n)
{
	struct own *own = w->own;
	struct daxfs_attr attr = { .size = 0 };
	int rc = daxfs_setattr(w->fs, own->ino, DAXFS_SET_SIZE, &attr, &attr);

	(void)n;
	if (rc)
		failed(own, "daxfs truncate", rc);
	own->at = 0;
}

static void cut_fd(struct worker *w, int fd)
{
	struct own *own = w->own;

	if (ftruncate(fd, 0))
		failed(own, "tmpfs truncate", -1);
	own->at = 0;
}

static void cut_tmpfs(struct worker *w, unsigned n)
{
	(void)n;
	cut_fd(w, ((struct own *)w->own)->fd);
}

static void cut_huge(struct worker *w, unsigned n)
{
	(void)n;
	cut_fd(w, ((struct own *)w->own)->huge_fd);
}

/* Pages that are there, and were never written. */
static void fallocate_anew(struct worker *w, unsigned n)
{
	struct own *own = w->own;

	(void)n;
	cut_fd(w, own->fallocated_fd);
	if (posix_fallocate(own->fallocated_fd, 0, (off_t)own->span))
		failed(own, "tmpfs fallocate", -1);
}

static void write_fallocated(struct worker *w, unsigned n)
{
	struct own *own = w->own;

	write_fd(w, n, own->fallocated_fd, own->last[TMPFS]);
}

/* -- appends: every record says whose it is and which -------------------------------------- */

struct record {
	uint64_t writer, number, filler[30];
};

static void append_ours(struct worker *w, unsigned n)
{
	struct own *own = w->own;
	struct record record = { .writer = w->id };

	for (; record.number < n; record.number++)
		if (daxfs_write(w->fs, own->ino, &record, sizeof(record), 0, DAXFS_APPEND) != sizeof(record))
			failed(own, "daxfs append", 0);
}

static int append_fd(const struct worker *w)
{
	const struct own *own = w->own;

	return w->job == HUGE_TMPFS ? own->huge_fd : own->fd;
}

static void append_tmpfs(struct worker *w, unsigned n)
{
	struct own *own = w->own;
	struct record record = { .writer = w->id };

	for (; record.number < n; record.number++)
		if (write(append_fd(w), &record, sizeof(record)) != sizeof(record))
			failed(own, "tmpfs append", -1);
}

static void first_cuts_ours(struct worker *w, unsigned n)
{
	if (w->id == 0)
		cut_ours(w, n);
}

static void first_cuts_tmpfs(struct worker *w, unsigned n)
{
	(void)n;
	if (w->id == 0)
		cut_fd(w, append_fd(w));
}

/* All records of all workers are there, each whole and in its worker's order, and nothing else. */
static void check_records(const struct worker *w, const struct record *record, uint64_t bytes, unsigned n)
{
	const struct own *own = w->own;
	uint64_t next[WORKERS_MAX] = { 0 };

	if (bytes != (uint64_t)n * w->of * sizeof(*record))
		bench_fail("%s: %llu bytes, %u appends", own->spec->name, (unsigned long long)bytes, n * w->of);
	for (uint64_t i = 0; i < bytes / sizeof(*record); i++)
		if (record[i].writer >= w->of || record[i].number != next[record[i].writer]++)
			bench_fail("%s: record %llu is wrong", own->spec->name, (unsigned long long)i);
}

#define RECORDS_BYTES (WORKERS_MAX * APPENDS_MAX * sizeof(struct record))

static void check_appends(struct worker *w, unsigned n, bool ours)
{
	struct own *own = w->own;
	void *p = w->id ? NULL : malloc(RECORDS_BYTES + 1);
	ssize_t bytes;

	if (!p)
		return;
	bytes = ours ? daxfs_read(w->fs, own->ino, p, RECORDS_BYTES + 1, 0)
		     : pread(append_fd(w), p, RECORDS_BYTES + 1, 0);
	check_records(w, p, bytes < 0 ? 0 : (uint64_t)bytes, n);
	free(p);
}

static void check_ours(struct worker *w, unsigned n)
{
	check_appends(w, n, true);
}

static void check_tmpfs(struct worker *w, unsigned n)
{
	check_appends(w, n, false);
}

/* -- checks after the timed writes ---------------------------------------------------------- */

static void check_block(const struct own *own, const uint8_t *p, uint8_t last, uint64_t b)
{
	const uint64_t bs = own->spec->block;
	uint64_t word = 0;

	if (own->spec->shared) { /* each piece that is written at once is somebody's, whole */
		for (uint64_t i = 0; i < bs; i += PAGE, word++) {
			if (i % DAXFS_ATOMIC_WRITE_MAX == 0)
				word = word_at(p + i);
			if (word_at(p + i) != word || word_at(p + i + PAGE - 8) != word)
				bench_fail("%s: torn block %llu", own->spec->name, (unsigned long long)b);
		}
		return;
	}
	if (memcmp(p, own->source + (last - 1u) * bs, bs))
		bench_fail("%s: block %llu is not what was written", own->spec->name, (unsigned long long)b);
}

static void check_target(struct worker *w, unsigned target)
{
	struct own *own = w->own;
	const uint64_t bs = own->spec->block;
	int fd = target == TMPFS ? own->fd : own->huge_fd;

	for (uint64_t b = 0; b < own->blocks; b++) {
		ssize_t rc;

		if (!own->last[target][b])
			continue;
		rc = target == OURS ? daxfs_read(w->fs, own->ino, own->buf, bs, b * bs)
				    : pread(fd, own->buf, bs, (off_t)(b * bs));
		if (rc != (ssize_t)bs)
			failed(own, "read back", rc);
		check_block(own, own->buf, own->last[target][b], b);
	}
}

void data_close(struct worker *w)
{
	struct own *own = w->own;

	if (own->view)
		daxfs_view_close(own->view);
	if (own->spec->op == DATA_WRITE || own->spec->op == DATA_DRAFT)
		for (unsigned target = OURS; target <= HUGE_TMPFS; target++)
			check_target(w, target);
	for (unsigned i = 0; i < TARGETS_MAX; i++)
		free(own->last[i]);
	close(own->fd);
	if (own->huge_fd >= 0)
		close(own->huge_fd);
	if (own->fallocated_fd >= 0)
		close(own->fallocated_fd);
	free(own->source);
	free(own->buf);
	free(own);
}

/* -- targets ----------------------------------------------------------------------------------- */

static void add_job(struct workload *w, const char *target, void (*prepare)(struct worker *, unsigned),
		    void (*run)(struct worker *, unsigned))
{
	w->job[w->n_jobs++] = (struct job){ .target = target, .prepare = prepare, .run = run };
}

void data_jobs(const struct data_spec *spec, const struct rig *rig, struct workload *w)
{
	bool huge = rig->huge_mounted;

	w->n_jobs = 0;
	switch (spec->op) {
	case DATA_READ:
	case DATA_VIEW:
		add_job(w, "daxfs", NULL, spec->op == DATA_VIEW ? view_ours : read_ours);
		add_job(w, "tmpfs", NULL, read_tmpfs);
		if (huge)
			add_job(w, "tmpfs-huge", NULL, read_huge);
		add_job(w, "memcpy", NULL, read_raw);
		if (spec->op == DATA_VIEW)
			add_job(w, "mmap", NULL, view_mapping);
		break;
	case DATA_FIRST:
		add_job(w, "daxfs", cut_ours, write_ours);
		add_job(w, "tmpfs", cut_tmpfs, write_tmpfs);
		if (huge)
			add_job(w, "tmpfs-huge", cut_huge, write_huge);
		add_job(w, "fallocated", fallocate_anew, write_fallocated);
		add_job(w, "memcpy", NULL, write_raw);
		break;
	case DATA_APPEND:
		w->job[0] = (struct job){ "daxfs", first_cuts_ours, append_ours, check_ours };
		w->job[1] = (struct job){ "tmpfs", first_cuts_tmpfs, append_tmpfs, check_tmpfs };
		w->job[2] = (struct job){ "tmpfs-huge", first_cuts_tmpfs, append_tmpfs, check_tmpfs };
		w->n_jobs = huge ? 3 : 2;
		break;
	case DATA_WRITE:
	case DATA_DRAFT:
		add_job(w, "daxfs", NULL, spec->op == DATA_DRAFT ? draft_ours : write_ours);
		add_job(w, "tmpfs", NULL, write_tmpfs);
		if (huge)
			add_job(w, "tmpfs-huge", NULL, write_huge);
		add_job(w, "memcpy", NULL, write_raw);
		if (!w->pairs && spec->block > PAGE)
			add_job(w, "stream", NULL, write_stream);
	}
}
