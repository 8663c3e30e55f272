/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.c - create, stat, rename, unlink and readdir beside 10,000 standing entries.
 *
 * Workers share one directory or have one each. What a burst creates it removes again
 * outside the timed part, and the other way round, so the directory stays as
 * large as it is; a removal that does not find its name ends the run, so do a
 * stat that finds another file and a listing of another length.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

#define STANDING 10000u
#define FRESH_MAX 4000u /* names of a burst */
#define NAME_MAX_BYTES 24u

typedef char entry_name[NAME_MAX_BYTES];

struct own {
	daxfs_ino dir;
	int fd;
	daxfs_ino standing_ino[STANDING];
	ino_t standing_tmpfs[STANDING];
	entry_name standing[STANDING], fresh[FRESH_MAX], other[FRESH_MAX];
	unsigned listed;
};

static const struct daxfs_cred cred;

#define EACH_NAME(w, n)                                                                                                \
	struct own *own = (w)->own;                                                                                    \
	for (unsigned i = 0; i < (n); i++)

static void must(long rc, const char *what)
{
	if (rc < 0)
		bench_fail("names: %s: %ld %s", what, rc, rc == -1 ? strerror(errno) : "");
}

/* -- one operation on each target ----------------------------------------------------- */

static void ours_create(struct worker *w, unsigned n)
{
	struct daxfs_attr attr;

	EACH_NAME(w, n)
		must(daxfs_mknod(w->fs, own->dir, own->fresh[i], S_IFREG | 0600, 0, cred, false, &attr), "create");
}

static void ours_open(struct worker *w, unsigned n)
{
	struct daxfs_attr attr;

	EACH_NAME(w, n) {
		must(daxfs_mknod(w->fs, own->dir, own->fresh[i], S_IFREG | 0600, 0, cred, true, &attr), "create");
		must(daxfs_file_close(w->fs, attr.ino), "release");
	}
}

static void ours_unlink(struct worker *w, unsigned n)
{
	EACH_NAME(w, n)
		must(daxfs_unlink(w->fs, own->dir, own->fresh[i]), "unlink");
}

static void ours_rename(struct worker *w, unsigned n)
{
	EACH_NAME(w, n)
		must(daxfs_rename(w->fs, own->dir, own->fresh[i], own->dir, own->other[i], 0), "rename");
}

static void ours_unlink_other(struct worker *w, unsigned n)
{
	EACH_NAME(w, n)
		must(daxfs_unlink(w->fs, own->dir, own->other[i]), "unlink");
}

static void ours_stat(struct worker *w, unsigned n)
{
	struct daxfs_attr attr;

	EACH_NAME(w, n) {
		uint64_t k = random_below(&w->rng, STANDING);

		must(daxfs_lookup(w->fs, own->dir, own->standing[k], &attr), "stat");
		if (attr.ino != own->standing_ino[k])
			bench_fail("names: stat found another file");
	}
}

static bool count_entry(void *context, const char *name, daxfs_ino ino, unsigned type, uint64_t next)
{
	struct own *own = context;

	(void)ino;
	(void)type;
	(void)next;
	own->listed += name[0] != '\0';
	return true;
}

static void check_listed(struct own *own)
{
	if (own->listed < STANDING + 2)
		bench_fail("names: a listing has %u entries", own->listed);
	own->listed = 0;
}

static void ours_readdir(struct worker *w, unsigned n)
{
	EACH_NAME(w, n) {
		must(daxfs_readdir(w->fs, own->dir, 0, count_entry, own), "readdir");
		check_listed(own);
	}
}

static void tmpfs_create(struct worker *w, unsigned n)
{
	EACH_NAME(w, n)
		must(mknodat(own->fd, own->fresh[i], S_IFREG | 0600, 0), "tmpfs create");
}

static void tmpfs_open(struct worker *w, unsigned n)
{
	EACH_NAME(w, n) {
		int fd = openat(own->fd, own->fresh[i], O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

		must(fd, "tmpfs create");
		close(fd);
	}
}

static void tmpfs_unlink(struct worker *w, unsigned n)
{
	EACH_NAME(w, n)
		must(unlinkat(own->fd, own->fresh[i], 0), "tmpfs unlink");
}

static void tmpfs_rename(struct worker *w, unsigned n)
{
	EACH_NAME(w, n)
		must(renameat(own->fd, own->fresh[i], own->fd, own->other[i]), "tmpfs rename");
}

static void tmpfs_unlink_other(struct worker *w, unsigned n)
{
	EACH_NAME(w, n)
		must(unlinkat(own->fd, own->other[i], 0), "tmpfs unlink");
}

static void tmpfs_stat(struct worker *w, unsigned n)
{
	struct stat st;

	EACH_NAME(w, n) {
		uint64_t k = random_below(&w->rng, STANDING);

		must(fstatat(own->fd, own->standing[k], &st, 0), "tmpfs stat");
		if (st.st_ino != own->standing_tmpfs[k])
			bench_fail("names: tmpfs stat found another file");
	}
}

static void tmpfs_readdir(struct worker *w, unsigned n)
{
	EACH_NAME(w, n) {
		int fd = openat(own->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		DIR *dir = fd < 0 ? NULL : fdopendir(fd);

		if (!dir)
			bench_fail("names: tmpfs opendir: %s", strerror(errno));
		for (const struct dirent *d = readdir(dir); d; d = readdir(dir))
			own->listed += d->d_name[0] != '\0';
		closedir(dir);
		check_listed(own);
	}
}

/* -- directories ------------------------------------------------------------------------- */

static void fill_names(struct own *own, unsigned worker)
{
	for (unsigned i = 0; i < STANDING; i++)
		snprintf(own->standing[i], NAME_MAX_BYTES, "standing-%05u", i);
	for (unsigned i = 0; i < FRESH_MAX; i++) {
		snprintf(own->fresh[i], NAME_MAX_BYTES, "fresh%u-%06u", worker, i);
		snprintf(own->other[i], NAME_MAX_BYTES, "other%u-%06u", worker, i);
	}
}

static void open_worker(struct worker *w)
{
	struct own *own = calloc(1, sizeof(*own));
	struct daxfs_attr attr;
	struct stat st;
	char name[16];
	char path[96];

	w->own = own;
	snprintf(name, sizeof(name), "dir%u", *(const bool *)w->arg ? 0 : w->id);
	fill_names(own, w->id);
	must(daxfs_lookup(w->fs, DAXFS_ROOT, name, &attr), "lookup");
	own->dir = attr.ino;
	snprintf(path, sizeof(path), "%s/%s", w->rig->dir, name);
	own->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(own->fd, path);
	for (unsigned i = 0; i < STANDING; i++) {
		must(daxfs_lookup(w->fs, own->dir, own->standing[i], &attr), "lookup");
		must(fstatat(own->fd, own->standing[i], &st, 0), "tmpfs stat");
		own->standing_ino[i] = attr.ino;
		own->standing_tmpfs[i] = st.st_ino;
	}
}

static void close_worker(struct worker *w)
{
	struct own *own = w->own;

	close(own->fd);
	free(own);
}

static void make_directory(struct rig *rig, unsigned number)
{
	struct daxfs_attr dir, attr;
	char name[NAME_MAX_BYTES], path[96];
	int fd;

	snprintf(name, sizeof(name), "dir%u", number);
	snprintf(path, sizeof(path), "%s/%s", rig->dir, name);
	must(daxfs_mkdir(rig->fs, DAXFS_ROOT, name, 0700, cred, &dir), "mkdir");
	must(mkdir(path, 0700), "tmpfs mkdir");
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(fd, path);
	for (unsigned i = 0; i < STANDING; i++) {
		snprintf(name, sizeof(name), "standing-%05u", i);
		must(daxfs_mknod(rig->fs, dir.ino, name, S_IFREG | 0600, 0, cred, false, &attr), "create");
		must(mknodat(fd, name, S_IFREG | 0600, 0), "tmpfs create");
	}
	close(fd);
}

/* -- workloads ------------------------------------------------------------------------------ */

static const struct {
	const char *name;
	bool changes;
	struct job ours, tmpfs;
} operations[] = {
	{ "create", true, { "daxfs", NULL, ours_create, ours_unlink }, { "tmpfs", NULL, tmpfs_create, tmpfs_unlink } },
	{ "create-open", true, { "daxfs", NULL, ours_open, ours_unlink }, { "tmpfs", NULL, tmpfs_open, tmpfs_unlink } },
	{ "stat", false, { "daxfs", NULL, ours_stat, NULL }, { "tmpfs", NULL, tmpfs_stat, NULL } },
	{ "rename",
	  true,
	  { "daxfs", ours_create, ours_rename, ours_unlink_other },
	  { "tmpfs", tmpfs_create, tmpfs_rename, tmpfs_unlink_other } },
	{ "unlink", true, { "daxfs", ours_create, ours_unlink, NULL }, { "tmpfs", tmpfs_create, tmpfs_unlink, NULL } },
	{ "readdir", false, { "daxfs", NULL, ours_readdir, NULL }, { "tmpfs", NULL, tmpfs_readdir, NULL } },
};

static void prepare(struct rig *rig)
{
	if (rig->fs)
		return;
	rig_open(rig, &(struct rig_options){
			      .pool = GIB,
			      .inodes = 2 * STANDING + 2 * WORKERS_MAX * FRESH_MAX,
			      .plain = true,
		      });
	for (unsigned i = 0; i < 2; i++)
		make_directory(rig, i);
}

static void one(struct rig *rig, unsigned operation, unsigned workers, bool shared, bool hosts)
{
	char name[64];
	struct workload w = {
		.name = name,
		.workers = workers,
		.processes = hosts,
		.ops_max = FRESH_MAX,
		.arg = &shared,
		.open = open_worker,
		.close = close_worker,
		.n_jobs = 2,
		.job = { operations[operation].ours, operations[operation].tmpfs },
	};

	snprintf(name, sizeof(name), "%s-%s-%u%s", operations[operation].name, shared ? "shared" : "private", workers,
		 hosts ? "hosts" : "threads");
	/* The lock of a tmpfs directory puts those to sleep who wait to change it. */
	w.pairs = shared && workers > 1 && operations[operation].changes;
	if (!bench_wants(name))
		return;
	prepare(rig);
	measure(&w, rig);
}

void bench_names(void)
{
	struct rig rig = { .fs = NULL };

	for (unsigned i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		one(&rig, i, 1, false, false);
		one(&rig, i, 2, false, false);
		one(&rig, i, 2, true, true);
	}
	one(&rig, 0, 4, true, true); /* all create in one directory */
	if (rig.fs)
		rig_close(&rig);
}
