/* SPDX-License-Identifier: Apache-2.0 */
/*
 * footprint.c - what a pool costs in memory, and what it takes to begin to use one.
 *
 * Memory: the difference between two geometries that differ in one thing says what
 * that thing costs, and nothing here knows the layout. Index nodes are counted in a
 * pool with a real file in it. Time: open, join, the first look at the root, and a whole
 * check, in a process that has not touched the pool before.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daxfs/inspect.h"
#include "bench.h"

#define FILE_BYTES (256 * MIB)
#define CHUNK (256 * KIB)
#define JOINS 9u

static void make(const char *path, struct daxfs_mkfs_options options, struct daxfs_geometry *out)
{
	struct daxfs_error err;
	struct daxfs *fs;

	options.struct_size = sizeof(options);
	options.force = true;
	if (daxfs_mkfs(path, &options, &err) || daxfs_open(path, DAXFS_READ_ONLY, &fs, &err))
		bench_fail("%s", err.text);
	daxfs_geometry(fs, out);
	daxfs_close(fs);
}

/* Bytes of a pool that are not pages for data and nodes. */
static double overhead(const struct daxfs_geometry *g)
{
	return (double)g->size - (double)g->pages * 4096;
}

static double nodes_share(const struct rig *rig)
{
	uint8_t *chunk = calloc(1, CHUNK);
	struct daxfs_statfs stat;
	struct daxfs_attr attr;

	if (daxfs_mknod(rig->fs, DAXFS_ROOT, "big", S_IFREG | 0600, 0, (struct daxfs_cred){ 0 }, false, &attr))
		bench_fail("cost: cannot create a file");
	for (uint64_t at = 0; at < FILE_BYTES; at += CHUNK)
		if (daxfs_write(rig->fs, attr.ino, chunk, CHUNK, at, 0) != (ssize_t)CHUNK)
			bench_fail("cost: cannot write");
	if (daxfs_statfs(rig->fs, &stat))
		bench_fail("cost: no statfs");
	free(chunk);
	return (double)stat.nodes / (double)stat.pages.live;
}

static void memory(const struct rig *rig)
{
	struct daxfs_geometry base, more;
	char path[160];
	const struct daxfs_mkfs_options plain = { .size = GIB, .inodes = 32768, .hosts = 8, .lanes = 8 };
	struct daxfs_mkfs_options other = plain;
	double nodes = nodes_share(rig), per_page;

	snprintf(path, sizeof(path), "%s/cost", rig->dir);
	make(path, plain, &base);
	other.inodes *= 2;
	make(path, other, &more);
	out_figure("memory-file", (overhead(&more) - overhead(&base)) / (double)(more.inodes - base.inodes),
		   "bytes a file", NULL);
	other = plain;
	other.hosts *= 2;
	make(path, other, &more);
	out_figure("memory-host", (overhead(&more) - overhead(&base)) / (double)(more.hosts - base.hosts) / 1024,
		   "KiB a host of 8 lanes", NULL);
	other = plain;
	other.size *= 2;
	make(path, other, &more);
	per_page = (overhead(&more) - overhead(&base)) / (double)(more.pages - base.pages);
	out_figure("memory-page", per_page, "bytes a page", NULL);
	out_figure("memory-pages-share", 100 * (per_page / 4096 + nodes), "% (states of pages and index nodes)", NULL);
	make(path, (struct daxfs_mkfs_options){ .size = 4 * GIB }, &base);
	out_figure("memory-share", 100 * (overhead(&base) / (double)base.size + nodes),
		   "% (all tables, 4 GiB default pool)", NULL);
	unlink(path);
}

#define STEPS 4u

/* In a process of its own: ns of each step. */
static void begin(const char *pool, double ns[STEPS])
{
	struct daxfs_check check;
	struct daxfs_attr attr;
	struct daxfs_error err;
	struct daxfs *fs;
	uint64_t t[STEPS + 1] = { now_ns() };

	if (daxfs_open(pool, DAXFS_READ_WRITE, &fs, &err))
		bench_fail("%s", err.text);
	t[1] = now_ns();
	if (daxfs_join(fs, 1, "bench", &err))
		bench_fail("%s", err.text);
	t[2] = now_ns();
	if (daxfs_getattr(fs, DAXFS_ROOT, &attr))
		bench_fail("cost: no root");
	t[3] = now_ns();
	if (daxfs_check(fs, NULL, NULL, &check) || check.problems)
		bench_fail("cost: a new pool is not sound");
	t[4] = now_ns();
	for (unsigned i = 0; i < STEPS; i++)
		ns[i] = (double)(t[i + 1] - t[i]);
	daxfs_close(fs);
}

static void begin_elsewhere(const char *pool, double ns[STEPS])
{
	int fd[2], status;
	pid_t pid;

	if (pipe(fd))
		bench_fail("cost: no pipe");
	pid = fork();
	if (pid == 0) {
		begin(pool, ns);
		_exit(write(fd[1], ns, STEPS * sizeof(*ns)) != STEPS * sizeof(*ns));
	}
	if (read(fd[0], ns, STEPS * sizeof(*ns)) != STEPS * sizeof(*ns))
		bench_fail("cost: the joining process failed");
	waitpid(pid, &status, 0);
	close(fd[0]);
	close(fd[1]);
}

static void times(const struct rig *rig, uint64_t size)
{
	static const char *const step[STEPS] = { "open", "join", "first-look", "check" };
	double ns[STEPS], us[STEPS][JOINS], ms;
	char path[160], name[64];
	struct daxfs_geometry g;
	uint64_t began = now_ns();

	snprintf(path, sizeof(path), "%s/times", rig->dir);
	make(path, (struct daxfs_mkfs_options){ .size = size }, &g);
	ms = (double)(now_ns() - began) / 1e6;
	snprintf(name, sizeof(name), "mkfs-%llum", (unsigned long long)(size / MIB));
	out_figure(name, ms, "ms", NULL);
	for (unsigned i = 0; i < JOINS; i++) {
		begin_elsewhere(path, ns);
		for (unsigned s = 0; s < STEPS; s++)
			us[s][i] = ns[s] / 1e3;
	}
	for (unsigned s = 0; s < STEPS; s++) {
		struct spread spread = spread_of(us[s], JOINS);

		snprintf(name, sizeof(name), "%s-%llum", step[s], (unsigned long long)(size / MIB));
		out_figure(name, spread.median, "us", &spread);
	}
	unlink(path);
}

void bench_cost(void)
{
	static const uint64_t pool[] = { 256 * MIB, GIB, 4 * GIB };
	bool memory_wanted = bench_wants("memory"), times_wanted = bench_wants("join");
	struct rig rig;

	if (!memory_wanted && !times_wanted)
		return;
	rig_open(&rig, &(struct rig_options){ .pool = GIB, .plain = true });
	if (memory_wanted)
		memory(&rig);
	for (unsigned i = 0; times_wanted && i < 3; i++)
		times(&rig, pool[i]);
	rig_close(&rig);
}
