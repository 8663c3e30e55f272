/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cliff.c - where an operation may cost much more than it does elsewhere.
 *
 * Each row is one operation on a cliff, beside the same one, or the nearest to
 * it, where there is none ("plain"): their times are taken in turn. A ratio of 1
 * is no cliff; goals say how far it may fall. A full pool, one without a free inode, a lock
 * beside many, more threads than lanes; large directories are in scale.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define BLOCK (4 * KIB)
#define LARGE (64 * KIB)
#define WINDOW (4 * MIB) /* of the file that is overwritten */
#define POOL (256 * MIB)
#define SPARE_4K (16 * KIB) /* free in a pool that is all but full, for writes of this size */
#define SPARE_64K (128 * KIB)
#define LOCKS 80u
#define LOCK_BYTES 10u

enum { CLIFF, PLAIN, SIDES };

struct side {
	char path[128];
	struct daxfs *fs;
	daxfs_ino ino, extra; /* extra: a file that may grow, and cannot */
};

struct cliff {
	struct side side[SIDES];
};

static const struct daxfs_cred cred;
static const uint8_t data[LARGE] = { 1 };

static void must(long rc, const char *what)
{
	if (rc < 0)
		bench_fail("cliff: %s: %s", what, strerror((int)-rc));
}

static void must_be(long rc, long want, const char *what)
{
	if (rc != want)
		bench_fail("cliff: %s: %ld, should be %ld", what, rc, want);
}

/* -- pools ------------------------------------------------------------------------ */

static daxfs_ino make(struct daxfs *fs, const char *name, bool open)
{
	struct daxfs_attr attr = { .ino = 0 };

	must(daxfs_mknod(fs, DAXFS_ROOT, name, S_IFREG | 0600, 0, cred, open, &attr), "create");
	return attr.ino;
}

static void make_side(const struct rig *rig, struct side *side, const char *name, unsigned lanes, uint64_t inodes)
{
	const struct daxfs_mkfs_options options = {
		.struct_size = sizeof(options), .size = POOL, .lanes = lanes, .inodes = inodes
	};
	struct daxfs_error err;

	snprintf(side->path, sizeof(side->path), "%s/%s", rig->dir, name);
	if (daxfs_mkfs(side->path, &options, &err) || daxfs_open(side->path, DAXFS_READ_WRITE, &side->fs, &err) ||
	    daxfs_join(side->fs, 0, "cliff", &err))
		bench_fail("%s", err.text);
	rig_populate(side->path);
	side->ino = make(side->fs, "file", true);
	side->extra = make(side->fs, "extra", false);
	for (uint64_t at = 0; at < WINDOW; at += LARGE)
		must(daxfs_write(side->fs, side->ino, data, LARGE, at, 0), "write");
}

static void end_side(struct side *side)
{
	daxfs_close(side->fs);
	unlink(side->path);
}

/* Fill a pool to its last page, then give back `spare` bytes. */
static void fill(struct side *side, uint64_t spare)
{
	daxfs_ino ino = make(side->fs, "filler", false);
	struct daxfs_attr attr;
	uint64_t size = 0;

	for (uint64_t step = LARGE; step >= BLOCK; step = step > BLOCK ? BLOCK : 0)
		while (daxfs_write(side->fs, ino, data, step, size, 0) == (ssize_t)step)
			size += step;
	attr.size = size - spare;
	must(daxfs_setattr(side->fs, ino, DAXFS_SET_SIZE, &attr, &attr), "truncate");
}

/* -- operations --------------------------------------------------------------------- */

static const struct side *side_of(const struct worker *w)
{
	return &(*(const struct cliff *const *)w->arg)->side[w->job];
}

static void overwrite(struct worker *w, unsigned n, uint64_t bytes)
{
	const struct side *side = side_of(w);

	for (unsigned i = 0; i < n; i++)
		must(daxfs_write(side->fs, side->ino, data, bytes, random_below(&w->rng, WINDOW / bytes) * bytes, 0),
		     "overwrite");
}

static void overwrite_4k(struct worker *w, unsigned n)
{
	overwrite(w, n, BLOCK);
}

static void overwrite_64k(struct worker *w, unsigned n)
{
	overwrite(w, n, LARGE);
}

static void refused_write(struct worker *w, unsigned n)
{
	const struct side *side = side_of(w);

	for (unsigned i = 0; i < n; i++)
		must_be(daxfs_write(side->fs, side->extra, data, BLOCK, 0, 0), -ENOSPC, "write into a full pool");
}

static void refused_create(struct worker *w, unsigned n)
{
	const struct side *side = side_of(w);
	struct daxfs_attr attr;

	for (unsigned i = 0; i < n; i++)
		must_be(daxfs_mknod(side->fs, DAXFS_ROOT, "none", S_IFREG | 0600, 0, cred, false, &attr), -ENOSPC,
			"create without a free inode");
}

static void create_one(struct worker *w, unsigned n)
{
	const struct side *side = side_of(w);

	for (unsigned i = 0; i < n; i++) {
		make(side->fs, "one", false);
		must(daxfs_unlink(side->fs, DAXFS_ROOT, "one"), "unlink");
	}
}

static void lock_one(struct worker *w, unsigned n)
{
	const struct side *side = side_of(w);
	struct daxfs_lock lock = { .end = LOCK_BYTES - 1, .owner = 1, .type = DAXFS_LOCK_WRITE };

	for (unsigned i = 0; i < n; i++) {
		lock.type = DAXFS_LOCK_WRITE;
		must(daxfs_lock(side->fs, side->ino, &lock), "lock");
		lock.type = DAXFS_UNLOCK;
		must(daxfs_lock(side->fs, side->ino, &lock), "unlock");
	}
}

/* -- rows ----------------------------------------------------------------------------- */

static void row(struct cliff *cliff, struct rig *rig, const char *name, void (*cliffs)(struct worker *, unsigned),
		void (*plain)(struct worker *, unsigned), unsigned workers)
{
	const struct workload w = {
		.name = name,
		.workers = workers,
		.pairs = workers > cpus(),
		.arg = &cliff,
		.n_jobs = SIDES,
		.job = { { .target = "daxfs", .run = cliffs }, { .target = "plain", .run = plain } },
	};

	if (bench_wants(name))
		measure(&w, rig);
}

static bool any_wanted(const char *const *names)
{
	while (*names)
		if (bench_wants(*names++))
			return true;
	return false;
}

static void begin(struct cliff *cliff, const struct rig *rig, unsigned lanes, uint64_t inodes)
{
	make_side(rig, &cliff->side[CLIFF], "cliff", lanes, inodes);
	make_side(rig, &cliff->side[PLAIN], "plain", 0, 0);
}

static void end(struct cliff *cliff)
{
	for (unsigned i = 0; i < SIDES; i++)
		end_side(&cliff->side[i]);
}

/* What is refused is beside what would be done: a write, a create and an unlink. */
static void full_pool(struct cliff *cliff, struct rig *rig)
{
	static const char *const names[] = { "cliff-full-overwrite-4k", "cliff-full-overwrite-64k",
					     "cliff-full-denied-write", NULL };

	if (!any_wanted(names))
		return;
	begin(cliff, rig, 0, 0);
	fill(&cliff->side[CLIFF], SPARE_4K);
	row(cliff, rig, names[0], overwrite_4k, overwrite_4k, 1);
	must(daxfs_unlink(cliff->side[CLIFF].fs, DAXFS_ROOT, "filler"), "unlink");
	fill(&cliff->side[CLIFF], SPARE_64K);
	row(cliff, rig, names[1], overwrite_64k, overwrite_64k, 1);
	must(daxfs_unlink(cliff->side[CLIFF].fs, DAXFS_ROOT, "filler"), "unlink");
	fill(&cliff->side[CLIFF], 0);
	row(cliff, rig, names[2], refused_write, overwrite_4k, 1);
	end(cliff);
}

static void no_inode(struct cliff *cliff, struct rig *rig)
{
	struct daxfs_attr attr;
	char name[24];
	int rc = 0;

	if (!bench_wants("cliff-no-inode-create"))
		return;
	begin(cliff, rig, 0, 16384);
	for (unsigned i = 0; rc == 0; i++) {
		snprintf(name, sizeof(name), "old-%u", i);
		rc = daxfs_mknod(cliff->side[CLIFF].fs, DAXFS_ROOT, name, S_IFREG | 0600, 0, cred, false, &attr);
	}
	must_be(rc, -ENOSPC, "fill with files");
	row(cliff, rig, "cliff-no-inode-create", refused_create, create_one, 1);
	end(cliff);
}

/* Locks of other owners: each of its own bytes, or all of the same, which are shared. */
static void set_locks(const struct side *side, bool same)
{
	for (unsigned i = 0; i < LOCKS; i++) {
		uint64_t start = (uint64_t)(same ? 2 : 2 * i + 2) * LOCK_BYTES;
		const struct daxfs_lock lock = {
			.start = start,
			.end = start + LOCK_BYTES - 1,
			.owner = 100 + i,
			.type = DAXFS_LOCK_READ,
		};

		must(daxfs_lock(side->fs, side->ino, &lock), "lock");
	}
}

static void locks(struct cliff *cliff, struct rig *rig)
{
	static const char *const names[] = { "cliff-lock-beside-80", "cliff-lock-beside-80-shared", NULL };

	for (unsigned i = 0; i < 2; i++) {
		if (!bench_wants(names[i]))
			continue;
		begin(cliff, rig, 0, 0);
		set_locks(&cliff->side[CLIFF], i == 1);
		row(cliff, rig, names[i], lock_one, lock_one, 1);
		end(cliff);
	}
}

/* Four threads of a host that has one lane, beside four that have one each and more. */
static void one_lane(struct cliff *cliff, struct rig *rig)
{
	if (!bench_wants("cliff-one-lane-4threads"))
		return;
	begin(cliff, rig, 1, 0);
	row(cliff, rig, "cliff-one-lane-4threads", overwrite_4k, overwrite_4k, 4);
	end(cliff);
}

void bench_cliff(void)
{
	struct rig rig = { .fs = NULL };
	struct cliff cliff;

	if (!bench_wants("cliff-") && !bench_wants("cliff-full-overwrite-4k") &&
	    !bench_wants("cliff-full-overwrite-64k") && !bench_wants("cliff-full-denied-write") &&
	    !bench_wants("cliff-no-inode-create") && !bench_wants("cliff-lock-beside-80-shared") &&
	    !bench_wants("cliff-one-lane-4threads"))
		return;
	rig_open(&rig, &(struct rig_options){ .pool = 64 * MIB, .plain = true });
	full_pool(&cliff, &rig);
	no_inode(&cliff, &rig);
	locks(&cliff, &rig);
	one_lane(&cliff, &rig);
	rig_close(&rig);
}
