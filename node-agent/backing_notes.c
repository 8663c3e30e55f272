/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backing_notes.c - what this process knows of the files of a backing: where they are, when they were looked at.
 *
 * A table in which a later one takes the place of an earlier one. What is not in it is found in the pool: an inode
 * that was imported says into which directory, and the directory what its name is there. A note may be old, for any
 * host may rename: it counts if the name still leads there in the pool. What a path leads to in storage, beneath the
 * backing, is compared.
 */
#include "node-agent/backing.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"

#define DEPTH_MAX 256u
#define RECENT_NS 1000000000ll
#define RACY_S 2 /* a directory may change once more within the tick of the clock that its times tell */

static struct backing_note *place_of(struct backing *b, daxfs_ino ino)
{
	return &b->note[(ino ^ ino >> 32) % BACKING_NOTES];
}

/* How long a look still counts. */
static int64_t left_ns(struct backing *b, daxfs_ino ino, bool listed)
{
	const struct backing_note *note = place_of(b, ino);
	int64_t since, left = 0;

	pthread_mutex_lock(&b->lock);
	since = listed ? note->listed_ns : note->looked_ns;
	if (note->ino == ino && since)
		left = since + (int64_t)b->revalidate_ms * 1000000 - clock_ns();
	pthread_mutex_unlock(&b->lock);
	return left > 0 ? left : 0;
}

int64_t backing_fresh_ns(struct backing *b, daxfs_ino ino)
{
	return left_ns(b, ino, false);
}

bool backing_is_fresh(struct backing *b, daxfs_ino ino)
{
	return left_ns(b, ino, false) > 0;
}

/* By names that the pool still has. */
bool backing_is_listed(struct backing *b, daxfs_ino dir)
{
	struct daxfs_source source;
	struct backing_note note;

	return left_ns(b, dir, true) > 0 && backing_find_note(b, dir, &note) &&
	       daxfs_source(b->fs, dir, &source) == 0 && note.stamp == source.stamp;
}

void backing_note(struct backing *b, daxfs_ino ino, daxfs_ino parent, const char *name, bool looked)
{
	struct backing_note *note = place_of(b, ino);

	pthread_mutex_lock(&b->lock);
	if (note->ino != ino)
		*note = (struct backing_note){ .ino = ino };
	note->parent = parent;
	snprintf(note->name, sizeof(note->name), "%s", name);
	if (looked)
		note->looked_ns = clock_ns();
	pthread_mutex_unlock(&b->lock);
}

void backing_unnote(struct backing *b, daxfs_ino ino)
{
	struct backing_note *note = place_of(b, ino);

	pthread_mutex_lock(&b->lock);
	if (note->ino == ino)
		*note = (struct backing_note){ .ino = 0 };
	pthread_mutex_unlock(&b->lock);
}

bool backing_find_note(struct backing *b, daxfs_ino ino, struct backing_note *out)
{
	pthread_mutex_lock(&b->lock);
	*out = *place_of(b, ino);
	pthread_mutex_unlock(&b->lock);
	return out->ino == ino;
}

bool backing_is_recent(struct backing *b, daxfs_ino ino)
{
	const struct backing_note *note = place_of(b, ino);
	bool recent;

	pthread_mutex_lock(&b->lock);
	recent = note->ino == ino && note->looked_ns && clock_ns() - note->looked_ns < RECENT_NS;
	pthread_mutex_unlock(&b->lock);
	return recent;
}

void backing_note_list(struct backing *b, daxfs_ino dir, const struct daxfs_attr *attr, uint64_t stamp)
{
	struct backing_note *note = place_of(b, dir);
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	pthread_mutex_lock(&b->lock);
	if (note->ino != dir)
		*note = (struct backing_note){ .ino = dir };
	note->looked_ns = note->listed_ns = clock_ns();
	note->mtime = attr->mtime;
	note->ctime = attr->ctime;
	note->stamp = stamp;
	note->settled = attr->mtime.tv_sec + RACY_S < now.tv_sec && attr->ctime.tv_sec + RACY_S < now.tv_sec;
	pthread_mutex_unlock(&b->lock);
}

bool backing_was_listed(struct backing *b, daxfs_ino dir, const struct daxfs_attr *now, uint64_t stamp)
{
	struct backing_note note;

	return backing_find_note(b, dir, &note) && note.listed_ns && note.settled && note.stamp == stamp &&
	       note.mtime.tv_sec == now->mtime.tv_sec && note.mtime.tv_nsec == now->mtime.tv_nsec &&
	       note.ctime.tv_sec == now->ctime.tv_sec && note.ctime.tv_nsec == now->ctime.tv_nsec;
}

/* Names that the pool gains and loses since, storage does. */
void backing_note_links(struct backing *b, daxfs_ino ino, unsigned links)
{
	struct backing_note *note = place_of(b, ino);
	struct daxfs_attr attr = { .nlink = links };
	bool known = links < 2 || daxfs_getattr(b->fs, ino, &attr) == 0;

	pthread_mutex_lock(&b->lock);
	if (known && note->ino == ino)
		note->unknown = links > attr.nlink ? links - attr.nlink : 0;
	pthread_mutex_unlock(&b->lock);
}

unsigned backings_unknown_names(struct backings *all, daxfs_ino ino)
{
	unsigned unknown = 0;

	for (unsigned i = 0; i < all->n; i++) {
		struct backing *b = all->backing[i];
		const struct backing_note *note = place_of(b, ino);

		pthread_mutex_lock(&b->lock);
		unknown += note->ino == ino ? note->unknown : 0;
		pthread_mutex_unlock(&b->lock);
	}
	return unknown;
}

/* -- paths ------------------------------------------------------------------------------- */

struct search {
	daxfs_ino ino;
	char name[256];
};

static bool is_it(void *context, const char *name, daxfs_ino ino, unsigned type, uint64_t next)
{
	struct search *s = context;

	(void)type, (void)next;
	if (ino != s->ino || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return true;
	snprintf(s->name, sizeof(s->name), "%s", name);
	return false;
}

/* Where something was imported, and its name there. */
static int find_in_pool(struct backing *b, daxfs_ino ino, struct backing_note *out)
{
	struct search s = { .ino = ino };
	struct daxfs_source source;
	int rc = daxfs_source(b->fs, ino, &source);

	if (rc == 0)
		rc = daxfs_readdir(b->fs, source.directory, 0, is_it, &s);
	if (rc == 0 && !s.name[0])
		rc = -ESTALE;
	if (rc == -ESTALE) /* another host took the name that was noted: the next look is to be at one that is there */
		backing_unnote(b, ino);
	if (rc == 0)
		backing_note(b, ino, source.directory, s.name, false);
	*out = (struct backing_note){ .ino = ino, .parent = source.directory };
	memcpy(out->name, s.name, sizeof(out->name));
	return rc;
}

/* Is what was noted of it so? */
static bool is_noted(struct backing *b, daxfs_ino ino, struct backing_note *out)
{
	struct daxfs_attr attr;

	return backing_find_note(b, ino, out) && out->parent &&
	       daxfs_lookup(b->fs, out->parent, out->name, &attr) == 0 && attr.ino == ino;
}

int backing_place(struct backing *b, daxfs_ino ino, struct backing_note *out)
{
	return is_noted(b, ino, out) ? 0 : find_in_pool(b, ino, out);
}

/* Put a name before what there is of a path. */
static int prepend(char *path, size_t size, const char *name)
{
	size_t len = strlen(path), add = strlen(name), slash = len > 0;

	if (!add || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EIO; /* not a name that the pool can have */
	if (add + slash + len >= size)
		return -ENAMETOOLONG;
	memmove(path + add + slash, path, len + 1);
	stpcpy(path, name);
	if (slash)
		path[add] = '/';
	return 0;
}

int backing_path(struct backing *b, daxfs_ino ino, char *path, size_t size)
{
	struct backing_note note;
	int rc = 0;

	path[0] = '\0';
	for (unsigned i = 0; rc == 0 && ino != b->root; i++) {
		if (i == DEPTH_MAX)
			return -ENAMETOOLONG;
		rc = backing_place(b, ino, &note);
		if (rc == 0)
			rc = prepend(path, size, note.name);
		ino = note.parent;
	}
	return rc == -EINVAL ? -ESTALE : rc; /* it leads out of what was imported */
}

bool backing_noted_path(struct backing *b, daxfs_ino ino, struct backing_note *place, char *path, size_t size)
{
	struct backing_note note;

	path[0] = '\0';
	for (unsigned i = 0; ino != b->root; i++) {
		if (i == DEPTH_MAX || !is_noted(b, ino, &note) || prepend(path, size, note.name))
			return false;
		if (i == 0)
			*place = note;
		ino = note.parent;
	}
	return true;
}

bool backing_path_is(struct backing *b, daxfs_ino ino, const char *path)
{
	char now[PATH_MAX];

	return backing_path(b, ino, now, sizeof(now)) == 0 && strcmp(now, path) == 0;
}

int backing_path_of(struct backing *b, daxfs_ino parent, const char *name, char *path, size_t size)
{
	int rc = backing_path(b, parent, path, size);
	size_t len = strlen(path);

	if (rc)
		return rc;
	if ((size_t)snprintf(path + len, size - len, "%s%s", len ? "/" : "", name) >= size - len)
		return -ENAMETOOLONG;
	return 0;
}
