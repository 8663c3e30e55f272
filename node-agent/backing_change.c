/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backing_change.c - names of storage that programs of the pod make, remove and rename.
 *
 * Storage first, then the pool; what storage refuses is returned, and nothing has changed.
 *
 *  N1 Who changes names of directories has them locked, from before the look at storage to behind the pool. So of
 *     the pod's hosts one at a time decides by what names lead to. Others look, and import, at any time. If storage
 *     has the same file under a name, and it is another one than it was, its attributes may be just being set, under
 *     another name perhaps: then it is locked, too, and looked at again.
 *  N2 The intent is in the pool from before storage changes until the pool is the same. So whoever finds that storage
 *     and pool differ, and no intent, knows that somebody else changed storage. What was written and not written
 *     back goes with the pool's own changes, and stays in spite of others.
 *  N3 The pool is changed by identity: daxfs_discard, daxfs_move of the inodes that the intent names. So it can be
 *     done by anybody who finds it undone, several at once, once more and late: the first one has done it. A name that
 *     was moved and moved back leads to the same inode: so whoever has not the locks demands in that record that the
 *     intents are what they were.
 *  N4 In storage a directory is known by path and number, what is removed or renamed by its number, looked at
 *     under the locks. Only who changes storage behind our back can come between that and the change.
 *
 * A host dies              storage   pool      what becomes of that
 *   before the intent      before    before    nothing happened
 *   behind the intent      before    before    found undone: the intent is removed
 *   behind the change      after     before    whoever looks at one of the names, or gets their locks, sees that it
 *                                              happened, and does the same in the pool
 *   behind the pool        after     after     found done
 *   (made, owner not set)  made      before    an empty file or directory of the agent's, mode 0600 or 0700, which
 *                                              somebody may remove
 * It happened if the name that was made or moved to is there, or what was removed is not there under its name.
 * A process that dies leaves its locks, too, to the next one, which is asked for the same once more: by the intent,
 * which stays until the answer was given, it knows whether it has been done.
 *
 * What fails: the pool is full, or its memory failed, when storage has changed: what was made is removed again; else
 * the intent stays, and is settled later.
 */
#include "node-agent/backing_change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/log.h"

#define TRIES 16u /* while others change what the names lead to */

static int dir_of(struct backing *b, daxfs_ino dir, char *path, size_t size, struct storage_dir *out)
{
	struct daxfs_source source;
	int rc = daxfs_source(b->fs, dir, &source);

	if (rc == 0)
		rc = backing_path(b, dir, path, size);
	*out = (struct storage_dir){ path, source.file };
	return rc;
}

/* Of a directory the pool says what storage does. */
static void refresh(struct backing *b, daxfs_ino dir)
{
	struct storage_entry now;
	char path[PATH_MAX];

	if (backing_path(b, dir, path, sizeof(path)) == 0 && storage_look(b->fd, path, &now) == 0)
		daxfs_import_again(b->fs, dir, &now.attr);
}

/* -- what programs ask for ------------------------------------------------------------------------ */

/* Directories, and what is to be locked with them. 1: a former process has done it. */
static int lock(struct backing *b, struct backing_change *c)
{
	const daxfs_ino all[] = { c->dir, c->to_dir, c->also[0], c->also[1] };
	int rc = backing_lock_names(b, &c->locks, all, 4, 0);

	return rc ? rc : backing_settle_under_locks(b, c);
}

/* All anew, for locks are taken in order: what was found before may be otherwise now. */
static int lock_too(struct backing *b, struct backing_change *c, daxfs_ino dir, const char *name)
{
	struct daxfs_attr attr = { .ino = 0 };
	int rc;

	backing_unlock_names(b, &c->locks);
	daxfs_lookup(b->fs, dir, name, &attr);
	c->also[c->relocked++ % 2] = attr.ino;
	rc = lock(b, c);
	return rc < 0 ? rc : 0;
}

/* 1: a former process has done it. */
static int begin(struct backing *b, struct backing_change *c, uint64_t request)
{
	c->locks.n = 0;
	c->intended = false;
	c->relocked = 0;
	c->also[0] = c->also[1] = 0;
	backing_intent_key(b, request, c);
	return b->writable ? lock(b, c) : -EROFS;
}

void backing_change_end(struct backing *b, struct backing_change *c)
{
	if (c->intended)
		backing_intent_done(b, c);
	c->intended = false;
	backing_unlock_names(b, &c->locks);
}

static int intend(struct backing *b, struct backing_change *c)
{
	int rc = backing_intend(b, c);

	c->intended = rc == 0;
	return rc;
}

/* Storage has not changed: nothing is intended any more. */
static int refused(struct backing *b, struct backing_change *c, int rc)
{
	backing_intent_done(b, c);
	c->intended = false;
	return rc;
}

/* Storage has, and the pool cannot: whoever comes next will do it. */
static int stuck(struct backing *b, struct backing_change *c, int rc)
{
	log_warn("backing %s: %s: storage has changed, the pool not yet: %s", b->config->name, c->name, strerror(-rc));
	c->intended = false;
	return rc;
}

/* What is there under a name, in storage and in the pool. */
static int look(struct backing *b, struct backing_change *c, daxfs_ino dir, const char *name, struct daxfs_attr *attr,
		struct daxfs_source *source)
{
	int rc = backing_look_locked(b, dir, name, &c->locks);

	for (unsigned i = 0; rc == BACKING_NOT_LOCKED && i < TRIES; i++) {
		rc = lock_too(b, c, dir, name);
		if (rc == 0)
			rc = backing_look_locked(b, dir, name, &c->locks);
	}
	if (rc == BACKING_NOT_LOCKED) /* it leads to another one each time */
		rc = -ESTALE;
	if (rc == 0)
		rc = daxfs_lookup(b->fs, dir, name, attr);
	if (rc == 0)
		rc = daxfs_source(b->fs, attr->ino, source);
	return rc;
}

static int import_made(struct backing *b, struct backing_change *c, const struct storage_entry *made,
		       const char *target, struct daxfs_attr *out)
{
	struct daxfs_source source;
	int rc = backing_import(b, c->dir, c->name, target, made, out);

	if (rc != -EEXIST)
		return rc;
	rc = look(b, c, c->dir, c->name, out, &source); /* somebody has found it there */
	return rc == 0 && source.file != made->file ? -ESTALE : rc;
}

static int make(struct backing *b, struct backing_change *c, const struct daxfs_attr *attr, const char *target,
		struct daxfs_attr *out)
{
	struct storage_entry made;
	struct storage_dir dir;
	char path[PATH_MAX];
	int rc = dir_of(b, c->dir, path, sizeof(path), &dir);

	if (rc == 0)
		rc = intend(b, c);
	if (rc)
		return rc;
	rc = storage_make(b->fd, &dir, c->name, attr, target, &made);
	if (rc)
		return refused(b, c, rc);
	rc = import_made(b, c, &made, target, out);
	if (rc == -ENOSPC || rc == -EIO || rc == -ENOMEM) {
		if (storage_remove(b->fd, &dir, c->name, made.file, S_ISDIR(attr->mode), NULL) == 0)
			return refused(b, c, rc);
		return stuck(b, c, rc);
	}
	refresh(b, c->dir);
	return rc;
}

int backing_make(struct backing *b, struct backing_change *c, uint64_t request, const struct daxfs_attr *attr,
		 const char *target, struct daxfs_attr *out)
{
	struct daxfs_source source;
	int done, rc;

	c->op = BACKING_MAKE;
	backing_make_room(b, c->dir); /* before names are locked, and storage has it */
	done = begin(b, c, request);
	if (done < 0)
		return done;
	rc = look(b, c, c->dir, c->name, out, &source);
	if (done)
		return rc;
	if (rc == -ENOENT)
		rc = make(b, c, attr, target, out);
	else if (rc == 0)
		rc = -EEXIST;
	return rc == -ESTALE ? -ENOENT : rc; /* of a directory that somebody moved or removed in storage */
}

/* Has the pool names in a directory that storage has not: what was written and not written back? */
static int expect_empty(struct backing *b, daxfs_ino dir)
{
	int rc = backing_list(b, dir);

	return rc ? rc : backing_is_empty(b, dir);
}

/* One of its names is gone, perhaps the one that its path was known by: so it was looked at without a path. */
static void stamp_without_name(struct backing *b, daxfs_ino ino, const struct storage_entry *after)
{
	if (!after->links)
		return;
	if (backing_stamp_as(b, ino, after))
		backing_stamp_again(b, ino); /* others may have given it a name behind that look */
	backing_note_links(b, ino, after->links);
}

static int remove_it(struct backing *b, struct backing_change *c, bool directory)
{
	struct storage_entry after;
	struct storage_dir dir;
	char path[PATH_MAX];
	int rc = directory ? expect_empty(b, c->ino) : 0;

	if (rc == 0)
		rc = dir_of(b, c->dir, path, sizeof(path), &dir);
	if (rc == 0)
		rc = intend(b, c);
	if (rc)
		return rc;
	rc = storage_remove(b->fd, &dir, c->name, c->file, directory, &after);
	if (rc && rc != -ENOENT) /* that is gone, and was kept for what was written */
		return refused(b, c, rc);
	if (rc == 0 && after.links)
		c->last = false; /* somebody has given it another name meanwhile */
	rc = backing_follow_removal(b, c, NULL);
	if (rc && rc != -ENOENT && rc != -ESTALE)
		return stuck(b, c, rc);
	stamp_without_name(b, c->ino, &after);
	refresh(b, c->dir);
	return 0;
}

int backing_remove(struct backing *b, struct backing_change *c, uint64_t request, bool directory)
{
	struct daxfs_source source;
	struct daxfs_attr attr;
	int rc;

	c->op = BACKING_REMOVE;
	rc = begin(b, c, request);
	if (rc)
		return rc < 0 ? rc : 0;
	for (unsigned i = 0; i < TRIES; i++) {
		rc = look(b, c, c->dir, c->name, &attr, &source);
		if (rc == 0 && S_ISDIR(attr.mode) != directory)
			rc = directory ? -ENOTDIR : -EISDIR;
		if (rc)
			return rc;
		c->ino = attr.ino;
		rc = backing_number_at(b, c->dir, c->name, &c->file, &c->last);
		if (rc == -ENOENT || (rc == 0 && c->file != source.file)) /* it was kept for what was written */
			c->last = !backing_is_named(b, c->ino);
		if (rc == 0 || rc == -ENOENT)
			rc = remove_it(b, c, directory);
		if (rc != -ESTALE)
			return rc;
	}
	return -ENOENT;
}

/* May what the second name leads to be replaced? 1: both are the same, and nothing is done. */
static int check_victim(struct backing *b, struct backing_change *c, const struct daxfs_attr *attr, unsigned flags)
{
	struct daxfs_source source;
	struct daxfs_attr there;
	uint64_t file;
	int rc = look(b, c, c->to_dir, c->to_name, &there, &source);

	c->victim = 0;
	c->victim_last = false;
	if (rc)
		return rc == -ENOENT ? 0 : rc;
	if (flags & DAXFS_RENAME_NOREPLACE)
		return -EEXIST;
	if (source.file == c->file)
		return 1;
	if (S_ISDIR(there.mode) != S_ISDIR(attr->mode))
		return S_ISDIR(there.mode) ? -EISDIR : -ENOTDIR;
	c->victim = there.ino;
	if (S_ISDIR(there.mode))
		return expect_empty(b, there.ino);
	rc = backing_number_at(b, c->to_dir, c->to_name, &file, &c->victim_last);
	return rc == -ENOENT ? 0 : rc;
}

static int move_it(struct backing *b, struct backing_change *c)
{
	struct storage_entry replaced;
	struct storage_dir from, to;
	char path[PATH_MAX], to_path[PATH_MAX];
	int rc = dir_of(b, c->dir, path, sizeof(path), &from);

	if (rc == 0)
		rc = dir_of(b, c->to_dir, to_path, sizeof(to_path), &to);
	if (rc == 0)
		rc = intend(b, c);
	if (rc)
		return rc;
	rc = storage_rename(b->fd, &from, c->name, c->file, &to, c->to_name, c->victim != 0, &replaced);
	if (rc)
		return refused(b, c, rc);
	rc = backing_follow_move(b, c, NULL);
	if (rc && rc != -ENOENT)
		return stuck(b, c, rc);
	if (c->victim && !c->victim_last)
		stamp_without_name(b, c->victim, &replaced);
	refresh(b, c->dir);
	if (c->to_dir != c->dir)
		refresh(b, c->to_dir);
	return 0;
}

int backing_move(struct backing *b, struct backing_change *c, uint64_t request, unsigned flags)
{
	struct daxfs_source source;
	struct daxfs_attr attr;
	int rc;

	c->op = BACKING_MOVE;
	rc = begin(b, c, request);
	if (rc)
		return rc < 0 ? rc : 0;
	for (unsigned i = 0; i < TRIES; i++) {
		unsigned relocked;

		rc = look(b, c, c->dir, c->name, &attr, &source);
		if (rc)
			return rc;
		c->ino = attr.ino;
		c->file = source.file;
		relocked = c->relocked;
		rc = check_victim(b, c, &attr, flags);
		if (c->relocked != relocked)
			continue;
		if (rc)
			return rc < 0 ? rc : 0;
		rc = move_it(b, c);
		if (rc != -ESTALE)
			return rc;
	}
	return -ENOENT;
}

static int link_in_storage(struct backing *b, struct backing_change *c, struct storage_entry *now)
{
	struct daxfs_source source;
	struct storage_dir dir;
	char path[PATH_MAX], from[PATH_MAX];
	int rc = daxfs_source(b->fs, c->ino, &source);

	c->file = source.file;
	if (rc == 0)
		rc = dir_of(b, c->dir, path, sizeof(path), &dir);
	if (rc == 0)
		rc = backing_path(b, c->ino, from, sizeof(from));
	if (rc == 0)
		rc = backing_number(b, c->file, c->ino);
	if (rc == -ESTALE)
		backing_unnote(b, c->ino); /* its name is looked at anew */
	if (rc == 0)
		rc = intend(b, c);
	if (rc)
		return rc;
	rc = storage_link(b->fd, from, c->file, &dir, c->name, now);
	return rc ? refused(b, c, rc) : 0;
}

static int undo_link(struct backing *b, struct backing_change *c, int rc)
{
	struct storage_dir dir;
	char path[PATH_MAX];
	bool full = rc == -ENOSPC || rc == -EIO || rc == -ENOMEM || rc == -EMLINK;

	if (full && dir_of(b, c->dir, path, sizeof(path), &dir) == 0 &&
	    storage_remove(b->fd, &dir, c->name, c->file, false, NULL) == 0) {
		backing_stamp_again(b, c->ino);
		return refused(b, c, rc);
	}
	return stuck(b, c, rc);
}

static int link_now(struct backing *b, struct backing_change *c)
{
	struct storage_entry now;
	int rc = link_in_storage(b, c, &now);

	if (rc)
		return rc;
	rc = backing_follow_link(b, c, NULL);
	if (rc && rc != -ENOENT)
		return undo_link(b, c, rc);
	backing_note(b, c->ino, c->dir, c->name, true);
	backing_note_links(b, c->ino, now.links);
	refresh(b, c->dir);
	return 0;
}

int backing_link(struct backing *b, struct backing_change *c, uint64_t request, struct daxfs_attr *out)
{
	struct daxfs_source source;
	int done, rc;

	c->op = BACKING_LINK;
	if (daxfs_has_links(b->fs) != 1)
		return -EPERM;
	backing_make_room(b, c->dir);
	rc = backing_look_at(b, c->ino); /* before names are locked, for it locks some */
	if (rc)
		return rc;
	done = begin(b, c, request);
	if (done < 0)
		return done;
	rc = look(b, c, c->dir, c->name, out, &source);
	if (done || rc != -ENOENT)
		return done || rc ? rc : -EEXIST;
	rc = link_now(b, c);
	return rc ? rc : daxfs_getattr(b->fs, c->ino, out);
}
