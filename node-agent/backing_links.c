/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backing_links.c - files that have several names in storage, and one inode of the pool.
 *
 *  L1 A file that storage says has several names is numbered: a directory of the pool's own, one a backing, has an
 *     entry by its number there, which leads to its inode.
 *  L2 A name that is imported of such a file leads to the inode that the entry leads to, or makes the entry: of two
 *     hosts that do so at once one has made it, and the other one forgets what it made, and joins.
 *  L3 A file that storage says has several names is written by the inode alone that is numbered: so what is written by
 *     one name is read by another, and there is one to be written back.
 *  L4 The entry goes when no name leads to the inode any more, nobody has it open, and nothing of it is to be written
 *     back; at once, when storage has no name of it left, with what was written.
 *
 * A host dies                 pool                        what becomes of that
 *   behind the entry          one name, numbered          as good as any
 *   behind the first name     a name, not numbered        the next look at it numbers it; or another name was, and then
 *                                                         this one is forgotten and imported anew, which joins
 *   before the entry goes     an entry that is alone      given back for room, or taken when the file is met again
 *
 * That a number is another file by now is seen as of a name: by stamp, of one that is dirty by size and mtime. So the
 * entry of what storage has no more goes with its last name (N2 of backing_change.c).
 *
 * A file is reached by any name: by the one that was looked at last, or is in the directory that the inode says. Where
 * that is gone, and the file is not, all of storage is looked through for another one.
 */
#include "node-agent/backing_change.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"

#define TRIES 16u    /* while others import the same */
#define LOST_S 10    /* until a file that was not found is looked for again */
#define ENTRY_MAX 17 /* a number, ended */

static void entry_of(uint64_t file, char entry[ENTRY_MAX])
{
	snprintf(entry, ENTRY_MAX, "%llx", (unsigned long long)file);
}

/* -ENOENT; -EEXIST: something else has its name. */
int backing_numbers(struct backing *b, daxfs_ino *dir)
{
	struct daxfs_source source;
	struct daxfs_attr attr;
	char name[sizeof(BACKING_NUMBERS) + 8];
	int rc;

	snprintf(name, sizeof(name), BACKING_NUMBERS "%u", b->number);
	rc = daxfs_lookup(b->fs, DAXFS_ROOT, name, &attr);
	if (rc == 0 && (!S_ISDIR(attr.mode) || daxfs_source(b->fs, attr.ino, &source) != -EINVAL))
		rc = -EEXIST;
	*dir = attr.ino;
	return rc;
}

static int make_numbers(struct backing *b, daxfs_ino *dir)
{
	const struct daxfs_cred root = { 0 };
	struct daxfs_attr attr;
	char name[sizeof(BACKING_NUMBERS) + 8];
	int rc = backing_numbers(b, dir);

	if (rc != -ENOENT)
		return rc;
	snprintf(name, sizeof(name), BACKING_NUMBERS "%u", b->number);
	rc = daxfs_mkdir(b->fs, DAXFS_ROOT, name, 0700, root, &attr);
	return rc == 0 || rc == -EEXIST ? backing_numbers(b, dir) : rc;
}

static int numbered(struct backing *b, uint64_t file, daxfs_ino *ino)
{
	char entry[ENTRY_MAX];
	struct daxfs_attr attr = { .ino = 0 };
	daxfs_ino dir;
	int rc = backing_numbers(b, &dir);

	entry_of(file, entry);
	if (rc == 0)
		rc = daxfs_lookup(b->fs, dir, entry, &attr);
	*ino = attr.ino;
	return rc;
}

int backing_number(struct backing *b, uint64_t file, daxfs_ino ino)
{
	char entry[ENTRY_MAX];
	daxfs_ino dir;
	int rc = make_numbers(b, &dir);

	entry_of(file, entry);
	if (rc == 0)
		rc = daxfs_import_name(b->fs, dir, entry, ino, NULL);
	return rc == -EEXIST ? -ESTALE : rc;
}

bool backing_is_many(struct backing *b, const struct storage_entry *e)
{
	return !S_ISDIR(e->attr.mode) && e->links > 1 && daxfs_has_links(b->fs) == 1;
}

enum joins { JOINS, CHANGED, ANOTHER };

/*
 * May what is found in storage be a name of the inode that has its number? Of one that is dirty, if nobody has written
 * it there: or the number is another file's by now, and what was written to the former one must not come into that.
 */
static enum joins joins(struct backing *b, daxfs_ino one, const struct storage_entry *e)
{
	struct daxfs_source source;

	if (daxfs_source(b->fs, one, &source))
		return CHANGED;
	if (source.dirty)
		return storage_stamp_same_bytes(source.stamp, storage_stamp(e)) ? JOINS : ANOTHER;
	return backing_is_as(b, one, e) ? JOINS : CHANGED;
}

bool backing_is_the_one(struct backing *b, daxfs_ino ino, const struct storage_entry *e)
{
	daxfs_ino one;

	if (!backing_is_many(b, e) || backing_number(b, e->file, ino) != -ESTALE)
		return true;
	return numbered(b, e->file, &one) == 0 && joins(b, one, e) == ANOTHER;
}

bool backing_may_join(struct backing *b, const struct storage_entry *e)
{
	daxfs_ino one;

	if (S_ISDIR(e->attr.mode) || daxfs_has_links(b->fs) != 1)
		return false;
	if (numbered(b, e->file, &one))
		return e->links > 1;
	return joins(b, one, e) != ANOTHER;
}

void backing_unnumber(struct backing *b, daxfs_ino ino)
{
	char entry[ENTRY_MAX];
	struct daxfs_source source;
	daxfs_ino dir;

	if (daxfs_source(b->fs, ino, &source) || backing_numbers(b, &dir))
		return;
	entry_of(source.file, entry);
	daxfs_give_back(b->fs, dir, entry, ino, true); /* -EBUSY: not yet */
}

int backing_number_gone(struct backing *b, daxfs_ino ino, const struct daxfs_since *since)
{
	char entry[ENTRY_MAX];
	struct daxfs_source source;
	daxfs_ino dir;
	int rc;

	if (daxfs_source(b->fs, ino, &source) || backing_numbers(b, &dir))
		return 0;
	entry_of(source.file, entry);
	rc = daxfs_discard(b->fs, dir, entry, ino, since);
	return rc == -ENOENT || rc == -ESTALE ? 0 : rc;
}

/* -- another name ------------------------------------------------------------------------- */

/* Of the inode that has the number. -EAGAIN: not of that one. */
static int join(struct backing *b, daxfs_ino parent, const char *name, daxfs_ino ino, const struct storage_entry *e)
{
	char entry[ENTRY_MAX];
	daxfs_ino dir;
	int rc;

	if (joins(b, ino, e) == JOINS) {
		rc = daxfs_import_name(b->fs, parent, name, ino, NULL);
		return rc == -ESTALE || rc == -ENOENT ? -EAGAIN : rc;
	}
	entry_of(e->file, entry);
	if (backing_numbers(b, &dir) == 0) /* it was changed by others: so it is another file, as under any name */
		daxfs_forget(b->fs, dir, entry, ino);
	return -EAGAIN;
}

/* The first name of it here. -EAGAIN: another host was faster. */
static int be_the_one(struct backing *b, daxfs_ino parent, const char *name, const char *target,
		      const struct storage_entry *e, struct daxfs_attr *out)
{
	int rc = backing_import_one(b, parent, name, target, e, out), error;

	if (rc)
		return rc;
	error = backing_number(b, e->file, out->ino);
	if (error)
		rc = daxfs_forget(b->fs, parent, name, out->ino);
	return error == -ESTALE ? (rc && rc != -ENOENT && rc != -ESTALE ? rc : -EAGAIN) : error;
}

int backing_import_many(struct backing *b, daxfs_ino parent, const char *name, const char *target,
			const struct storage_entry *e, struct daxfs_attr *out)
{
	daxfs_ino ino;
	int rc = -EAGAIN;

	for (unsigned i = 0; rc == -EAGAIN && i < TRIES; i++) {
		rc = numbered(b, e->file, &ino);
		if (rc == -ENOENT) {
			rc = be_the_one(b, parent, name, target, e, out);
		} else if (rc == 0) {
			rc = join(b, parent, name, ino, e);
			if (rc == 0)
				rc = daxfs_getattr(b->fs, ino, out);
		}
	}
	return rc;
}

/* -- where it is ----------------------------------------------------------------------------- */

/* Not again at once, for it takes as long as there are directories. */
static bool may_look_for(struct backing *b, daxfs_ino ino)
{
	bool may;

	pthread_mutex_lock(&b->lock);
	may = b->lost != ino || clock_ns() - b->lost_ns > (int64_t)LOST_S * 1000000000;
	pthread_mutex_unlock(&b->lock);
	return may;
}

static void note_lost(struct backing *b, daxfs_ino ino)
{
	pthread_mutex_lock(&b->lock);
	b->lost = ino;
	b->lost_ns = clock_ns();
	pthread_mutex_unlock(&b->lock);
}

/* Look up a path of storage name by name: does it lead to that inode? Its path is known then. */
static bool leads_to(struct backing *b, char *path, daxfs_ino ino)
{
	struct daxfs_attr attr = { .ino = b->root };
	daxfs_ino parent = 0;
	char *rest = path, *name, *last = NULL;

	while ((name = strsep(&rest, "/"))) {
		parent = attr.ino;
		last = name;
		if (backing_look(b, parent, name) || daxfs_lookup(b->fs, parent, name, &attr))
			return false;
	}
	if (!last || attr.ino != ino || daxfs_import_name(b->fs, parent, last, ino, NULL))
		return false;
	backing_note(b, ino, parent, last, true);
	return true;
}

/* A name that storage still has, of a file that is not under the one that the pool knows. */
static bool find_elsewhere(struct backing *b, daxfs_ino ino, const char *path)
{
	struct daxfs_source source;
	char other[PATH_MAX];
	daxfs_ino one;

	if (daxfs_source(b->fs, ino, &source) || numbered(b, source.file, &one) || one != ino || !may_look_for(b, ino))
		return false;
	if (storage_find(b->fd, source.file, path, other, sizeof(other)) == 0 && leads_to(b, other, ino))
		return true;
	note_lost(b, ino);
	return false;
}

bool backing_is_named(struct backing *b, daxfs_ino ino)
{
	struct daxfs_source source;
	struct storage_entry now;
	char path[PATH_MAX];
	daxfs_ino one;

	return daxfs_source(b->fs, ino, &source) == 0 && numbered(b, source.file, &one) == 0 && one == ino &&
	       storage_find(b->fd, source.file, "", path, sizeof(path)) == 0 && storage_look(b->fd, path, &now) == 0 &&
	       joins(b, ino, &now) == JOINS;
}

bool backing_is_elsewhere(struct backing *b, daxfs_ino ino, const char *path)
{
	char now[PATH_MAX];

	if (backing_settle(b))
		return true;
	if (backing_path(b, ino, now, sizeof(now)) == 0 && strcmp(now, path) != 0)
		return true;
	return find_elsewhere(b, ino, path);
}
