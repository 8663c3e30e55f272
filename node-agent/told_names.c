/* SPDX-License-Identifier: Apache-2.0 */
/* told_names.c - see told_names.h. */
#include "node-agent/told_names.h"

#include <linux/fuse.h>
#include <stdlib.h>

#define DIRS 4096u
#define INODES 16384u

/* a directory that is being listed, or was */
struct told_dir {
	daxfs_ino ino;
	uint64_t listing; /* its number */
	uint64_t to;      /* all is told up to that cookie */
	int64_t until_ns; /* and counts so long */
	bool whole;
};

struct told_places {
	struct told_dir dir[DIRS];
	atomic_ullong names[DIRS];   /* the last listing before a name in such a directory was changed */
	atomic_ullong inode[INODES]; /* .. before such an inode was */
};

void told_start(struct told_names *t)
{
	atomic_store(&t->listings, 1);
	atomic_store(&t->all, 0);
	pthread_mutex_init(&t->lock, NULL);
	t->at = calloc(1, sizeof(*t->at));
}

void told_stop(struct told_names *t)
{
	pthread_mutex_destroy(&t->lock);
	free(t->at);
	t->at = NULL;
}

static uint64_t mixed(daxfs_ino ino)
{
	return (ino ^ ino >> 32) * 0x9e3779b97f4a7c15ull >> 40;
}

/* -- what becomes of names and inodes ------------------------------------------------------------ */

static void now(const struct told_names *t, atomic_ullong *when)
{
	atomic_store_explicit(when, atomic_load_explicit(&t->listings, memory_order_relaxed), memory_order_relaxed);
}

static bool is_since(const atomic_ullong *when, uint64_t listing)
{
	return atomic_load_explicit(when, memory_order_relaxed) >= listing;
}

void told_forgets(struct told_names *t, daxfs_ino ino)
{
	if (t->at)
		now(t, &t->at->inode[mixed(ino) % INODES]);
}

void told_forgets_all(struct told_names *t)
{
	now(t, &t->all);
}

static void names_change(struct told_names *t, daxfs_ino dir)
{
	told_forgets(t, dir);
	if (t->at)
		now(t, &t->at->names[mixed(dir) % DIRS]);
}

/* The inode of the request is the directory, if it is about a name. Which names FORGETs are of, nobody says. */
void told_asked(struct told_names *t, uint32_t opcode, daxfs_ino ino)
{
	switch (opcode) {
	case FUSE_LOOKUP:
	case FUSE_GETATTR:
	case FUSE_STATFS:
	case FUSE_OPEN:
	case FUSE_OPENDIR:
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR: return;
	case FUSE_CREATE:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_SYMLINK:
	case FUSE_UNLINK:
	case FUSE_RMDIR: names_change(t, ino); return;
	case FUSE_RENAME:
	case FUSE_RENAME2:
	case FUSE_LINK:
	case FUSE_BATCH_FORGET: told_forgets_all(t); return;
	default: told_forgets(t, ino);
	}
}

/* -- listings ---------------------------------------------------------------------------------------- */

static struct told_dir *dir_of(struct told_names *t, daxfs_ino dir)
{
	return &t->at->dir[mixed(dir) % DIRS];
}

/* With the lock: is that listing of the directory as good as it was? */
static bool is_good(const struct told_names *t, const struct told_dir *d, daxfs_ino dir, int64_t now_ns)
{
	return d->ino == dir && now_ns < d->until_ns && !is_since(&t->all, d->listing) &&
	       !is_since(&t->at->names[mixed(dir) % DIRS], d->listing);
}

uint64_t told_listing(struct told_names *t, daxfs_ino dir, uint64_t from, int64_t now_ns)
{
	uint64_t listing = 0;
	struct told_dir *d;

	if (!t->at)
		return 0;
	pthread_mutex_lock(&t->lock);
	d = dir_of(t, dir);
	if (d->whole && is_good(t, d, dir, now_ns))
		listing = d->listing;
	else if (!from)
		*d = (struct told_dir){ .ino = dir,
					.listing = atomic_fetch_add(&t->listings, 1) + 1,
					.until_ns = INT64_MAX };
	pthread_mutex_unlock(&t->lock);
	return listing;
}

bool told_has(const struct told_names *t, uint64_t listing, daxfs_ino ino)
{
	return listing && !is_since(&t->at->inode[mixed(ino) % INODES], listing);
}

void told_answered(struct told_names *t, daxfs_ino dir, uint64_t from, uint64_t to, int64_t now_ns, uint64_t lease_ns)
{
	int64_t until_ns = now_ns + (int64_t)(lease_ns / 2);
	struct told_dir *d;

	if (!t->at)
		return;
	pthread_mutex_lock(&t->lock);
	d = dir_of(t, dir);
	if (!d->whole && d->to == from && is_good(t, d, dir, now_ns)) {
		d->whole = to == from;
		d->to = to;
		d->until_ns = until_ns < d->until_ns ? until_ns : d->until_ns;
	}
	pthread_mutex_unlock(&t->lock);
}
