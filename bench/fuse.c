/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuse.c - the mount beside libfuse's own passthrough example over tmpfs.
 *
 * Both mounts have the same cache settings (direct I/O, nothing trusted for any
 * time). What libfuse and the kernel cost is in both; the difference is the
 * filesystem. The same work on the tmpfs itself is there to show what a mount
 * costs at all. Wall-clock pairs: everybody sleeps while the daemon works, whose CPU time
 * is counted as ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define DIRS 3u
#define SPAN (16 * MIB)
#define FRESH_MAX 500u

struct spec {
	char name[64];
	uint64_t block; /* 0: create */
	bool write;
};

struct own {
	const struct spec *spec;
	int dir[DIRS], file[DIRS];
	uint8_t *buf;
	uint8_t last[DIRS][SPAN / (4 * KIB)]; /* what was last written to a block, 0: not yet */
	uint8_t turn;
};

static _Noreturn void failed(const struct own *own, const char *what)
{
	bench_fail("%s: %s: %s", own->spec->name, what, strerror(errno));
}

/* Fill a block so that one that is torn or misplaced is seen. */
static void stamp(uint8_t *p, uint64_t len, uint64_t block, uint8_t turn)
{
	for (uint64_t i = 0; i < len; i += 4 * KIB)
		memcpy(p + i, &(uint64_t){ block << 8 | turn }, sizeof(uint64_t));
}

static void check(const struct own *own, uint64_t block, uint8_t turn)
{
	for (uint64_t i = 0; i < own->spec->block; i += 4 * KIB)
		if (memcmp(own->buf + i, &(uint64_t){ block << 8 | turn }, sizeof(uint64_t)))
			bench_fail("%s: wrong data in block %llu", own->spec->name, (unsigned long long)block);
}

static void write_blocks(struct worker *w, unsigned n, unsigned dir)
{
	struct own *own = w->own;
	uint64_t bs = own->spec->block;

	for (unsigned i = 0; i < n; i++) {
		uint64_t block = random_below(&w->rng, SPAN / bs);

		own->turn = own->turn % 250 + 1;
		stamp(own->buf, bs, block, own->turn);
		if (pwrite(own->file[dir], own->buf, bs, (off_t)(block * bs)) != (ssize_t)bs)
			failed(own, "write");
		own->last[dir][block] = own->turn;
	}
}

static void read_blocks(struct worker *w, unsigned n, unsigned dir)
{
	struct own *own = w->own;
	uint64_t bs = own->spec->block;

	for (unsigned i = 0; i < n; i++) {
		uint64_t block = random_below(&w->rng, SPAN / bs);

		if (pread(own->file[dir], own->buf, bs, (off_t)(block * bs)) != (ssize_t)bs)
			failed(own, "read");
		check(own, block, own->last[dir][block]);
	}
}

static const char *fresh(const struct worker *w, unsigned i, char name[32])
{
	snprintf(name, 32, "fresh%u-%u", w->id, i);
	return name;
}

static void create(struct worker *w, unsigned n, unsigned dir)
{
	struct own *own = w->own;
	char name[32];

	for (unsigned i = 0; i < n; i++) {
		int fd = openat(own->dir[dir], fresh(w, i, name), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

		if (fd < 0)
			failed(own, "create");
		close(fd);
	}
}

/* Jobs and directories are in the same order. */
static void run(struct worker *w, unsigned n)
{
	const struct spec *spec = w->arg;

	if (!spec->block)
		create(w, n, w->job);
	else if (spec->write)
		write_blocks(w, n, w->job);
	else
		read_blocks(w, n, w->job);
}

static void clear(struct worker *w, unsigned n)
{
	struct own *own = w->own;
	char name[32];

	for (unsigned i = 0; !own->spec->block && i < n; i++)
		if (unlinkat(own->dir[w->job], fresh(w, i, name), 0))
			failed(own, "unlink");
}

static void open_dir(struct worker *w, unsigned i, const char *path)
{
	struct own *own = w->own;
	uint64_t bs = own->spec->block;
	char name[32];

	own->dir[i] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Daemons over one tree would otherwise meet in one file. */
	snprintf(name, sizeof(name), "file%u-%u", w->id, i);
	own->file[i] = own->dir[i] < 0 ? -1 : openat(own->dir[i], name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (own->file[i] < 0)
		bench_fail("%s: %s", path, strerror(errno));
	for (uint64_t b = 0; bs && b < SPAN / bs; b++) {
		stamp(own->buf, bs, b, 251);
		if (pwrite(own->file[i], own->buf, bs, (off_t)(b * bs)) != (ssize_t)bs)
			failed(own, "fill");
		own->last[i][b] = 251;
	}
}

static void open_worker(struct worker *w)
{
	const struct bench_args *args = bench_args();
	struct own *own = w->own = calloc(1, sizeof(*own));

	own->spec = w->arg;
	own->buf = aligned_alloc(4 * KIB, MIB);
	memset(own->buf, 7, MIB);
	open_dir(w, 0, args->mount);
	open_dir(w, 1, args->passthrough);
	open_dir(w, 2, args->tmpfs);
}

static void close_worker(struct worker *w)
{
	struct own *own = w->own;
	uint64_t bs = own->spec->block;

	for (unsigned i = 0; i < DIRS; i++) {
		for (uint64_t b = 0; bs && b < SPAN / bs; b++) {
			if (pread(own->file[i], own->buf, bs, (off_t)(b * bs)) != (ssize_t)bs)
				failed(own, "read back");
			check(own, b, own->last[i][b]);
		}
		close(own->file[i]);
		close(own->dir[i]);
	}
	free(own->buf);
	free(own);
}

static void one(uint64_t block, bool write, unsigned workers)
{
	struct spec spec = { .block = block, .write = write };
	struct workload w = {
		.name = spec.name,
		.workers = workers,
		.pairs = true,
		.bytes = block,
		.arg = &spec,
		.ops_max = block ? 0 : FRESH_MAX,
		.open = open_worker,
		.close = close_worker,
		.n_jobs = DIRS,
		.job = { { "mount", NULL, run, clear },
			 { "passthrough", NULL, run, clear },
			 { "tmpfs", NULL, run, clear } },
	};

	if (block)
		snprintf(spec.name, sizeof(spec.name), "fuse-%s-random-%lluk-%uthreads", write ? "write" : "read",
			 (unsigned long long)(block / KIB), workers);
	else
		snprintf(spec.name, sizeof(spec.name), "fuse-create-%uthreads", workers);
	if (bench_wants(spec.name))
		measure(&w, NULL);
}

void bench_fuse(void)
{
	static const uint64_t block[] = { 4 * KIB, 64 * KIB, MIB };

	if (!bench_args()->mount)
		return;
	for (unsigned i = 0; i < 3; i++) {
		one(block[i], true, 1);
		one(block[i], false, 1);
	}
	one(4 * KIB, true, 4);
	one(4 * KIB, false, 4);
	one(0, true, 1);
}
