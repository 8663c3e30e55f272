/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scale.c - what an operation costs as the pod, the pool, a directory or a file grows.
 *
 * A series is one operation at several points: the same work in pools that
 * differ in one thing. The points are the targets of a workload, so they are
 * measured in turn, and what is reported is their time beside the first point's.
 * One thread works, in one series beside another that is all other hosts; what
 * more of them cost each other is in the other groups.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define BLOCK (4 * KIB)
#define WINDOW 1024u    /* blocks that are written and read: 4 MiB */
#define FRESH_MAX 1000u /* names or pages of a burst */
#define SMALL_FILE (32 * KIB)
#define INODES_MANY 1200000u

struct point {
	char label[24];
	char path[96];
	struct daxfs *fs, **others; /* others: hosts that have joined, too */
	unsigned n_others;
	daxfs_ino ino, dir;
	uint64_t base; /* offset of the window in the file */
	unsigned window, entries;
};

struct series {
	struct rig *rig;
	struct point point[TARGETS_MAX];
	unsigned n;
	bool stirred; /* a thread works on as each of a point's other hosts in turn */
	pthread_t stirrer;
	atomic_bool stop;
	atomic_uint at; /* the point that is measured */
};

static const struct daxfs_cred cred;

static void must(long rc, const char *what)
{
	if (rc < 0)
		bench_fail("scale: %s: %s", what, strerror((int)-rc));
}

/* -- operations ------------------------------------------------------------------ */

static struct point *point_of(const struct worker *w)
{
	return &((struct series *)w->own)->point[w->job];
}

static void write_4k(struct worker *w, unsigned n)
{
	static const uint8_t block[BLOCK] = { 1 };
	const struct point *p = point_of(w);

	for (unsigned i = 0; i < n; i++)
		must(daxfs_write(p->fs, p->ino, block, BLOCK, p->base + random_below(&w->rng, p->window) * BLOCK, 0),
		     "write");
}

/* New pages, from wherever the allocator finds them: those that it gave back itself it would know. */
static void first_4k(struct worker *w, unsigned n)
{
	static const uint8_t block[BLOCK] = { 1 };
	const struct point *p = point_of(w);

	for (unsigned i = 0; i < n; i++)
		must(daxfs_write(p->fs, p->ino, block, BLOCK, (uint64_t)i * BLOCK, 0), "write");
}

/* By another host. */
static void cut(struct worker *w, unsigned n)
{
	const struct point *p = point_of(w);
	struct daxfs_attr attr = { .size = 0 };

	(void)n;
	must(daxfs_setattr(p->others[0], p->ino, DAXFS_SET_SIZE, &attr, &attr), "truncate");
}

static void read_4k(struct worker *w, unsigned n)
{
	const struct point *p = point_of(w);
	uint8_t block[BLOCK];

	for (unsigned i = 0; i < n; i++) {
		must(daxfs_read(p->fs, p->ino, block, BLOCK, p->base + random_below(&w->rng, p->window) * BLOCK),
		     "read");
		if (block[0] != 1)
			bench_fail("scale: wrong data");
	}
}

static const char *number_name(const char *what, unsigned i, char name[32])
{
	snprintf(name, 32, "%s-%07u", what, i);
	return name;
}

static daxfs_ino make_file(struct daxfs *fs, daxfs_ino dir, const char *what, unsigned i)
{
	struct daxfs_attr attr = { .ino = 0 };
	char name[32];

	must(daxfs_mknod(fs, dir, number_name(what, i, name), S_IFREG | 0600, 0, cred, false, &attr), "create");
	return attr.ino;
}

static void create(struct worker *w, unsigned n)
{
	const struct point *p = point_of(w);

	for (unsigned i = 0; i < n; i++)
		make_file(p->fs, p->dir, "fresh", i);
}

static void remove_fresh(struct worker *w, unsigned n)
{
	const struct point *p = point_of(w);
	char name[32];

	for (unsigned i = 0; i < n; i++)
		must(daxfs_unlink(p->fs, p->dir, number_name("fresh", i, name)), "unlink");
}

static void look_up(struct worker *w, unsigned n)
{
	const struct point *p = point_of(w);
	struct daxfs_attr attr;
	char name[32];

	for (unsigned i = 0; i < n; i++)
		must(daxfs_lookup(p->fs, p->dir, number_name("old", (unsigned)random_below(&w->rng, p->entries), name),
				  &attr),
		     "lookup");
}

static void usage(struct worker *w, unsigned n)
{
	struct daxfs_statfs out;

	for (unsigned i = 0; i < n; i++)
		must(daxfs_statfs(point_of(w)->fs, &out), "statfs");
}

/* With the other hosts at work: their lanes' lines come from another CPU's cache. */
static void stirred_write_4k(struct worker *w, unsigned n)
{
	atomic_store(&((struct series *)w->own)->at, w->job);
	write_4k(w, n);
}

static void *stir(void *arg)
{
	struct series *s = arg;
	struct daxfs_attr attr;

	run_on(1); /* the worker is on the first */
	for (unsigned i = 0; !atomic_load(&s->stop); i++) {
		const struct point *p = &s->point[atomic_load(&s->at)];

		if (p->n_others)
			must(daxfs_getattr(p->others[i % p->n_others], DAXFS_ROOT, &attr), "getattr");
	}
	return NULL;
}

/* -- pools ------------------------------------------------------------------------- */

static struct daxfs *join(const char *path, unsigned host)
{
	struct daxfs_error err;
	struct daxfs *fs;

	if (daxfs_open(path, DAXFS_READ_WRITE, &fs, &err) || daxfs_join(fs, host, NULL, &err))
		bench_fail("%s", err.text);
	return fs;
}

static void fill_window(struct point *p)
{
	uint8_t block[BLOCK] = { 1 };

	for (unsigned i = 0; i < p->window; i++)
		must(daxfs_write(p->fs, p->ino, block, BLOCK, p->base + i * BLOCK, 0), "fill");
}

/* A point in a file of its own. */
static void set_file(struct point *p, unsigned window, uint64_t base)
{
	struct daxfs_attr attr;

	must(daxfs_mknod(p->fs, DAXFS_ROOT, p->label, S_IFREG | 0600, 0, cred, false, &attr), "create");
	p->ino = attr.ino;
	p->window = window;
	p->base = base;
	fill_window(p);
}

static struct point *add_point(struct series *s, struct daxfs *fs, const char *format, unsigned number)
{
	struct point *p = &s->point[s->n++];

	*p = (struct point){ .fs = fs, .dir = DAXFS_ROOT };
	snprintf(p->label, sizeof(p->label), format, number);
	return p;
}

static struct point *add_pool(struct series *s, const struct daxfs_mkfs_options *wanted, const char *format,
			      unsigned number)
{
	struct daxfs_mkfs_options options = *wanted;
	struct point *p = add_point(s, NULL, format, number);
	struct daxfs_error err;

	snprintf(p->path, sizeof(p->path), "%s/scale%u", s->rig->dir, s->n);
	options.struct_size = sizeof(options);
	if (daxfs_mkfs(p->path, &options, &err))
		bench_fail("%s", err.text);
	p->fs = join(p->path, 0);
	return p;
}

static void end(struct series *s)
{
	if (s->stirred) {
		atomic_store(&s->stop, true);
		pthread_join(s->stirrer, NULL);
		s->stirred = false;
	}
	for (unsigned i = 0; i < s->n; i++) {
		struct point *p = &s->point[i];

		for (unsigned k = 0; k < p->n_others; k++)
			daxfs_close(p->others[k]);
		free(p->others);
		if (!p->path[0])
			continue; /* in the rig's own pool */
		daxfs_close(p->fs);
		unlink(p->path);
	}
	s->n = 0;
}

/* -- measuring ------------------------------------------------------------------------ */

static void open_worker(struct worker *w)
{
	w->own = *(struct series *const *)w->arg;
}

static void run(struct series *s, const char *name, struct job job)
{
	struct workload w = {
		.name = name,
		.workers = 1,
		.n_jobs = s->n,
		.ops_max = job.prepare || job.finish ? FRESH_MAX : 0,
		.open = open_worker,
		.arg = &s,
	};

	for (unsigned i = 0; i < s->n; i++) {
		w.job[i] = job;
		w.job[i].target = s->point[i].label;
	}
	if (bench_wants(name))
		measure(&w, NULL);
}

/* -- series ------------------------------------------------------------------------------ */

/* Every host has joined and has worked; one works on. */
static void by_hosts(struct series *s)
{
	static const unsigned hosts[] = { 1, 4, 16, 64 };

	for (unsigned i = 0; i < 4; i++) {
		struct point *p = add_pool(s, &(struct daxfs_mkfs_options){ .size = 512 * MIB, .hosts = hosts[i] },
					   "%u hosts", hosts[i]);

		p->others = calloc(hosts[i], sizeof(struct daxfs *));
		set_file(p, WINDOW, 0);
		for (; p->n_others < hosts[i] - 1; p->n_others++) {
			struct daxfs *fs = p->others[p->n_others] = join(p->path, p->n_others + 1);

			make_file(fs, DAXFS_ROOT, "host", p->n_others);
		}
	}
}

static void by_busy_hosts(struct series *s)
{
	by_hosts(s);
	atomic_store(&s->at, 0);
	atomic_store(&s->stop, false);
	s->stirred = pthread_create(&s->stirrer, NULL, stir, s) == 0;
	if (!s->stirred)
		bench_fail("scale: cannot start a thread");
}

#define FILL_PAGES (SMALL_FILE / BLOCK)

/* Takes pages with small files until none is left; how many files. */
static unsigned fill_pool(struct point *p)
{
	static const uint8_t data[SMALL_FILE];
	unsigned n = 0;

	for (;; n++)
		if (daxfs_write(p->fs, make_file(p->fs, DAXFS_ROOT, "old", n), data, SMALL_FILE, 0, 0) != SMALL_FILE)
			return n;
}

/* Removes files chosen by lot until so many percent are in use: what is free lies scattered. */
static void thin_out(struct point *p, unsigned files, unsigned percent)
{
	struct daxfs_statfs usage_now;
	uint64_t rng = 7, used;
	unsigned *left = calloc(files, sizeof(*left));
	char name[32];

	for (unsigned i = 0; i < files; i++)
		left[i] = i;
	must(daxfs_statfs(p->fs, &usage_now), "statfs");
	for (used = usage_now.pages.live; files && used > usage_now.pages.total * percent / 100; used -= FILL_PAGES) {
		unsigned i = (unsigned)random_below(&rng, files);

		must(daxfs_unlink(p->fs, DAXFS_ROOT, number_name("old", left[i], name)), "unlink");
		left[i] = left[--files];
	}
	free(left);
}

static void by_fill(struct series *s)
{
	static const unsigned percent[] = { 10, 50, 80, 90, 95 };

	for (unsigned i = 0; i < 5; i++) {
		struct point *p = add_pool(s, &(struct daxfs_mkfs_options){ .size = 256 * MIB, .inodes = 16384 },
					   "%u%% full", percent[i]);

		p->others = calloc(1, sizeof(struct daxfs *));
		p->others[p->n_others++] = join(p->path, 1);
		rig_populate(p->path);
		set_file(p, 1, 0);
		thin_out(p, fill_pool(p), percent[i]);
	}
}

/* The window at offsets that lie under trees of each height, in sparse files. */
static void by_height(struct series *s)
{
	static const uint64_t base[] = { 0, MIB, 512 * MIB, 2 * GIB, 600 * GIB };

	for (unsigned i = 0; i < 5; i++)
		set_file(add_point(s, s->rig->fs, "%u nodes deep", i), 8, base[i]);
}

static void by_pool(struct series *s)
{
	static const unsigned mib[] = { 256, 1024, 4096 };

	for (unsigned i = 0; i < 3; i++) {
		const struct daxfs_mkfs_options options = { .size = mib[i] * MIB };

		set_file(add_pool(s, &options, "%u MiB", mib[i]), WINDOW, 0);
	}
}

/* In one pool, which has all these files at once: its point is the first. */
static void by_directory(struct series *s)
{
	static const unsigned entries[] = { 100, 10000, 100000, 1000000 };
	struct daxfs *fs = add_pool(s, &(struct daxfs_mkfs_options){ .size = 2 * GIB, .inodes = INODES_MANY },
				    "%u entries", entries[0])
				   ->fs;
	struct daxfs_attr attr;

	for (unsigned i = 0; i < 4; i++) {
		struct point *p = i ? add_point(s, fs, "%u entries", entries[i]) : &s->point[0];
		struct daxfs_statfs before, after;
		char figure[32];

		must(daxfs_mkdir(fs, DAXFS_ROOT, p->label, 0700, cred, &attr), "mkdir");
		p->dir = attr.ino;
		p->entries = entries[i];
		must(daxfs_statfs(fs, &before), "statfs");
		for (unsigned k = 0; k < entries[i]; k++)
			make_file(fs, p->dir, "old", k);
		must(daxfs_statfs(fs, &after), "statfs");
		snprintf(figure, sizeof(figure), "memory-name-%u", entries[i]);
		out_figure(figure, (double)(after.pages.live - before.pages.live) * 4096 / entries[i],
			   "bytes a name, beside its entry and inode", NULL);
	}
}

#define OPERATIONS_MAX 3u

static const struct {
	void (*build)(struct series *s);
	struct operation {
		const char *name;
		struct job job;
	} operation[OPERATIONS_MAX];
} all[] = {
	{ by_hosts,
	  { { "scale-write-4k-hosts", { .run = write_4k } },
	    { "scale-read-4k-hosts", { .run = read_4k } },
	    { "scale-create-hosts", { .run = create, .finish = remove_fresh } } } },
	{ by_busy_hosts, { { "scale-write-4k-busy-hosts", { .run = stirred_write_4k } } } },
	{ by_fill, { { "scale-first-4k-fill", { .run = first_4k, .finish = cut } } } },
	{ by_height,
	  { { "scale-write-4k-height", { .run = write_4k } }, { "scale-read-4k-height", { .run = read_4k } } } },
	{ by_pool,
	  { { "scale-write-4k-pool", { .run = write_4k } },
	    { "scale-statfs-pool", { .run = usage } },
	    { "scale-create-pool", { .run = create, .finish = remove_fresh } } } },
	{ by_directory,
	  { { "scale-stat-directory", { .run = look_up } },
	    { "scale-create-directory", { .run = create, .finish = remove_fresh } },
	    { "scale-unlink-directory", { .prepare = create, .run = remove_fresh } } } },
};

static bool wanted(const struct operation *operation)
{
	for (unsigned i = 0; i < OPERATIONS_MAX && operation[i].name; i++)
		if (bench_wants(operation[i].name))
			return true;
	return false;
}

void bench_scale(void)
{
	struct series series = { .n = 0 };
	struct rig rig = { .fs = NULL };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (!wanted(all[i].operation))
			continue;
		if (!rig.fs)
			rig_open(&rig, &(struct rig_options){ .pool = 256 * MIB, .plain = true });
		series.rig = &rig;
		all[i].build(&series);
		for (unsigned k = 0; k < OPERATIONS_MAX && all[i].operation[k].name; k++)
			run(&series, all[i].operation[k].name, all[i].operation[k].job);
		end(&series);
	}
	if (rig.fs)
		rig_close(&rig);
}
