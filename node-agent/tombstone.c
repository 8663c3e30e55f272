/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tombstone.c - see tombstone.h.
 *
 * Chains by inode, newest first. Any worker, at any time. A note is looked at only
 * when the pool says that the inode is gone, so one that is left over (another host
 * replaced the name between note and removal) does no harm.
 */
#include "node-agent/tombstone.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

struct tombstone {
	struct tombstone *next;
	struct daxfs_attr attr;
	char target[]; /* of a symbolic link */
};

void tombstones_init(struct tombstones *t, struct daxfs *fs)
{
	memset(t, 0, sizeof(*t));
	t->fs = fs;
	pthread_mutex_init(&t->lock, NULL);
}

void tombstones_fini(struct tombstones *t)
{
	struct tombstone *stone;

	for (unsigned i = 0; i < TOMBSTONE_CHAINS; i++)
		while ((stone = t->chain[i])) {
			t->chain[i] = stone->next;
			free(stone);
		}
	pthread_mutex_destroy(&t->lock);
}

static struct tombstone **chain_of(struct tombstones *t, daxfs_ino ino)
{
	return &t->chain[(ino ^ ino >> 32) % TOMBSTONE_CHAINS];
}

/* With the lock: where the note of an inode is, or the end of its chain. */
static struct tombstone **find(struct tombstones *t, daxfs_ino ino)
{
	struct tombstone **at = chain_of(t, ino);

	while (*at && (*at)->attr.ino != ino)
		at = &(*at)->next;
	return at;
}

static struct tombstone *take(struct tombstones *t, daxfs_ino ino)
{
	struct tombstone **at, *stone;

	pthread_mutex_lock(&t->lock);
	at = find(t, ino);
	stone = *at;
	if (stone)
		*at = stone->next;
	pthread_mutex_unlock(&t->lock);
	return stone;
}

void tombstone_forget(struct tombstones *t, daxfs_ino ino)
{
	free(take(t, ino));
}

struct tombstone *tombstone_make(struct tombstones *t, daxfs_ino parent, const char *name)
{
	struct tombstone *stone;
	struct daxfs_attr attr;
	size_t target;

	if (daxfs_lookup(t->fs, parent, name, &attr) != 0)
		return NULL;
	target = S_ISLNK(attr.mode) ? (size_t)attr.size + 1 : 0;
	stone = malloc(sizeof(*stone) + target);
	if (!stone)
		return NULL;
	stone->attr = attr;
	if (!target || daxfs_readlink(t->fs, attr.ino, stone->target, target) == 0)
		return stone;
	free(stone);
	return NULL;
}

daxfs_ino tombstone_linked(const struct tombstone *stone)
{
	return stone && !S_ISDIR(stone->attr.mode) ? stone->attr.ino : 0;
}

/* Drop what is behind the newest of a chain. */
static struct tombstone *cut_chain(struct tombstone *chain)
{
	struct tombstone *rest;

	for (unsigned i = 1; chain && i < TOMBSTONE_CHAIN_MAX; i++)
		chain = chain->next;
	if (!chain)
		return NULL;
	rest = chain->next;
	chain->next = NULL;
	return rest;
}

static void keep(struct tombstones *t, struct tombstone *stone)
{
	struct tombstone **chain, *rest, *next;

	tombstone_forget(t, stone->attr.ino);
	pthread_mutex_lock(&t->lock);
	chain = chain_of(t, stone->attr.ino);
	stone->next = *chain;
	*chain = stone;
	rest = cut_chain(stone);
	pthread_mutex_unlock(&t->lock);
	for (; rest; rest = next) {
		next = rest->next;
		free(rest);
	}
}

static struct timespec time_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME_COARSE, &t);
	return t;
}

void tombstone_settle(struct tombstones *t, struct tombstone *stone, bool removed)
{
	struct daxfs_attr attr;

	if (!stone)
		return;
	if (removed && stone->attr.nlink > 1 && daxfs_getattr(t->fs, stone->attr.ino, &attr) == 0)
		removed = attr.nlink == 0; /* another name was left */
	if (!removed) {
		free(stone);
		return;
	}
	stone->attr.nlink = 0;
	stone->attr.ctime = time_now();
	keep(t, stone);
}

int tombstone_getattr(struct tombstones *t, daxfs_ino ino, struct daxfs_attr *out)
{
	return tombstone_setattr(t, ino, 0, NULL, out);
}

static void change(struct daxfs_attr *attr, unsigned set, const struct daxfs_attr *in)
{
	struct timespec now = time_now();

	if (set & DAXFS_SET_MODE)
		attr->mode = (attr->mode & S_IFMT) | (in->mode & 07777);
	if (set & DAXFS_SET_UID)
		attr->uid = in->uid;
	if (set & DAXFS_SET_GID)
		attr->gid = in->gid;
	if (set & DAXFS_SET_SIZE)
		attr->size = in->size;
	if (set & (DAXFS_SET_ATIME | DAXFS_SET_ATIME_NOW))
		attr->atime = set & DAXFS_SET_ATIME_NOW ? now : in->atime;
	if (set & (DAXFS_SET_MTIME | DAXFS_SET_MTIME_NOW))
		attr->mtime = set & DAXFS_SET_MTIME_NOW ? now : in->mtime;
	attr->ctime = now;
}

int tombstone_setattr(struct tombstones *t, daxfs_ino ino, unsigned set, const struct daxfs_attr *in,
		      struct daxfs_attr *out)
{
	struct tombstone *stone;

	pthread_mutex_lock(&t->lock);
	stone = *find(t, ino);
	if (stone && set)
		change(&stone->attr, set, in);
	if (stone)
		*out = stone->attr;
	pthread_mutex_unlock(&t->lock);
	return stone ? 0 : -ESTALE;
}

int tombstone_readlink(struct tombstones *t, daxfs_ino ino, char *buf, size_t size)
{
	struct tombstone *stone;

	pthread_mutex_lock(&t->lock);
	stone = *find(t, ino);
	if (stone && S_ISLNK(stone->attr.mode) && stone->attr.size < size)
		memcpy(buf, stone->target, stone->attr.size + 1);
	else
		stone = NULL;
	pthread_mutex_unlock(&t->lock);
	return stone ? 0 : -ESTALE;
}
