/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backing_change.c - names of storage that programs of the pod make, remove and rename.
 *
 * Storage first, then the pool; what storage refuses is returned, and nothing has changed.
 *
 *  N1 Who changes names of directories has them locked, from before the look at storage to behind the pool. So of
 *     the pod's hosts one at a time decides by what names lead to. Others look, and import, at any time.
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
#include "node-agent/channel.h"

#define TRIES 16u /* while others change what the names lead to */
#define STAMPS 4u
#define SETTLES 64u /* while others change names */

/* -- what storage says ------------------------------------------------------------------------ */

static int dir_of(struct backing *b, daxfs_ino dir, char *path, size_t size, struct storage_dir *out)
{
	struct daxfs_source source;
	int rc = daxfs_source(b->fs, dir, &source);

	if (rc == 0)
		rc = backing_path(b, dir, path, size);
	*out = (struct storage_dir){ path, source.file };
	return rc;
}

/* The number under a name: 0, -ENOENT; -errno: not to be known now. */
static int number_at(struct backing *b, daxfs_ino dir, const char *name, uint64_t *file)
{
	struct storage_entry now;
	char path[PATH_MAX];
	int rc = backing_path_of(b, dir, name, path, sizeof(path));

	if (rc == 0)
		rc = storage_look(b->fd, path, &now);
	*file = rc ? 0 : now.file;
	return rc == -EOPNOTSUPP ? 0 : rc == -ENOTDIR || rc == -ESTALE ? -ENOENT : rc;
}

/* 1: it happened, 0: it did not, -errno. */
static int has_happened(struct backing *b, const struct backing_change *c)
{
	uint64_t file;
	int rc = c->op == BACKING_MOVE ? number_at(b, c->to_dir, c->to_name, &file)
				       : number_at(b, c->dir, c->name, &file);

	if (rc && rc != -ENOENT)
		return rc;
	switch (c->op) {
	case BACKING_MAKE: return rc == 0;
	case BACKING_REMOVE: return rc == -ENOENT || file != c->file;
	default: return rc == 0 && file == c->file;
	}
}

/* -- the pool, after storage -------------------------------------------------------------------- */

void backing_stamp_again(struct backing *b, daxfs_ino ino)
{
	struct daxfs_source source;
	struct storage_entry now;
	char path[PATH_MAX];
	uint64_t stamp;

	/* Until it is what it was when it was looked at: somebody else may do the same for another reason. */
	for (unsigned i = 0; i < STAMPS; i++) {
		if (backing_path(b, ino, path, sizeof(path)) || storage_look(b->fd, path, &now) ||
		    daxfs_source(b->fs, ino, &source) || !S_ISREG(now.attr.mode))
			return;
		stamp = storage_stamp(&now);
		if (now.file != source.file || source.dirty || source.stamp == stamp ||
		    !storage_stamp_same_bytes(source.stamp, stamp))
			return;
		daxfs_stamp(b->fs, ino, stamp);
	}
}

/* In these, since: the intents are what they were then, or nothing is done (-ECANCELED). NULL: by who has the locks. */
static int discard(struct backing *b, const struct backing_change *c, const struct daxfs_since *since)
{
	int rc = daxfs_discard(b->fs, c->dir, c->name, c->ino, since);

	if (rc == -ENOTEMPTY) /* names that somebody found in storage just before */
		rc = backing_forget(b, c->dir, c->name, c->ino);
	backing_unnote(b, c->ino);
	return rc;
}

/* Whoever has the second name goes: storage says so. */
static int move(struct backing *b, const struct backing_change *c, const struct daxfs_since *since)
{
	struct daxfs_attr there = { .ino = 0 };
	int rc = -ESTALE;

	for (unsigned i = 0; rc == -ESTALE && i < TRIES; i++) {
		rc = daxfs_lookup(b->fs, c->to_dir, c->to_name, &there);
		if (rc && rc != -ENOENT)
			return rc;
		if (rc == 0 && there.ino == c->ino) { /* done, but for the stamp perhaps */
			backing_stamp_again(b, c->ino);
			return -ENOENT;
		}
		rc = daxfs_move(b->fs, c->dir, c->name, c->ino, c->to_dir, c->to_name, rc ? 0 : there.ino, since);
		if (rc == -ENOTEMPTY)
			rc = backing_forget(b, c->to_dir, c->to_name, there.ino) ? rc : -ESTALE;
	}
	if (rc == 0) {
		backing_note(b, c->ino, c->to_dir, c->to_name, true);
		if (there.ino)
			backing_unnote(b, there.ino);
		backing_stamp_again(b, c->ino);
	}
	return rc;
}

/* -ENOENT, -ESTALE: somebody has done it. */
static int follow(struct backing *b, const struct backing_change *c, const struct daxfs_since *since)
{
	return c->op == BACKING_REMOVE ? discard(b, c, since) : c->op == BACKING_MOVE ? move(b, c, since) : 0;
}

/* Of a directory the pool says what storage does. */
static void refresh(struct backing *b, daxfs_ino dir)
{
	struct storage_entry now;
	char path[PATH_MAX];

	if (backing_path(b, dir, path, sizeof(path)) == 0 && storage_look(b->fd, path, &now) == 0)
		daxfs_import_again(b->fs, dir, &now.attr);
}

/* -- what others have begun ---------------------------------------------------------------------- */

/* 1: it has happened. -ECANCELED: by the intents of then, and perhaps undone since. */
static int settle(struct backing *b, const struct backing_change *c, const struct daxfs_since *since, bool *progress)
{
	int happened = has_happened(b, c), rc = -ENOENT;

	if (happened > 0 && c->op != BACKING_MAKE)
		rc = follow(b, c, since);
	if (rc == 0)
		b->told->changed(b->told->context, c->ino);
	*progress |= rc == 0;
	return rc == -ECANCELED ? rc : happened;
}

/* One of them, in the moment of this look at all: 0, or -ECANCELED if that is over; *again: the name is another one. */
static int settle_one(struct backing *b, bool *again)
{
	struct backing_intents all;
	struct daxfs_since since;
	bool progress = false;
	int rc = daxfs_since(b->fs, b->root, &since);

	if (rc)
		return 0;
	backing_intents(b, &all);
	for (unsigned i = 0; i < all.n && rc != -ECANCELED && !progress; i++)
		rc = settle(b, &all.change[i], &since, &progress);
	free(all.change);
	*again |= progress || rc == -ECANCELED;
	return rc == -ECANCELED ? rc : 0;
}

/*
 * Without locks, and so perhaps late: what happened may have been undone by the next change before it is done in the
 * pool. So it is done in a record that demands the intents as they were read; where many change, once more.
 */
bool backing_settle(struct backing *b)
{
	bool again = false, was = channel_aside(b->fs, true);

	for (unsigned i = 0; i < SETTLES && settle_one(b, &again) == -ECANCELED; i++)
		;
	channel_aside(b->fs, was);
	return again;
}

/* Under the locks, so of nobody who goes on with it. 1: it was the same request, and has happened. */
static int settle_under_locks(struct backing *b, struct backing_change *c)
{
	struct backing_intents all;
	bool progress = false;
	int mine = 0;

	backing_intents(b, &all);
	for (unsigned i = 0; mine >= 0 && i < all.n; i++) {
		struct backing_change *other = &all.change[i];
		bool same = strcmp(other->key, c->key) == 0;
		int rc;

		if (!backing_intent_is_of(&c->locks, other))
			continue;
		rc = settle(b, other, NULL, &progress);
		if (rc < 0 || (same && rc > 0))
			mine = rc;
		if (same && rc > 0)
			c->intended = true;
		else if (rc >= 0 &&
			 (same || !backing_intent_is_ours(b, other))) /* a former process is asked once more */
			backing_intent_done(b, other);
	}
	free(all.change);
	return mine;
}

void backing_settle_left(struct backing *b)
{
	struct backing_intents all;
	bool progress = false;

	backing_intents(b, &all);
	for (unsigned i = 0; i < all.n; i++) {
		struct backing_change *c = &all.change[i];
		const daxfs_ino dir[] = { c->dir, c->to_dir };
		struct name_locks locks;

		if (backing_lock_names(b, &locks, dir, 2, 1))
			continue; /* it goes on, or its host is not recovered yet */
		if (settle(b, c, NULL, &progress) >= 0)
			backing_intent_done(b, c);
		backing_unlock_names(b, &locks);
	}
	free(all.change);
}

/* -- what programs ask for ------------------------------------------------------------------------ */

/* 1: a former process has done it. */
static int begin(struct backing *b, struct backing_change *c, uint64_t request)
{
	const daxfs_ino dir[] = { c->dir, c->to_dir };
	int rc = b->writable ? 0 : -EROFS;

	c->locks.n = 0;
	c->intended = false;
	backing_intent_key(b, request, c);
	if (rc == 0)
		rc = backing_lock_names(b, &c->locks, dir, 2, 0);
	return rc ? rc : settle_under_locks(b, c);
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
static int look(struct backing *b, daxfs_ino dir, const char *name, struct daxfs_attr *attr,
		struct daxfs_source *source)
{
	int rc = backing_look_locked(b, dir, name);

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
	rc = look(b, c->dir, c->name, out, &source); /* somebody has found it there */
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
		if (storage_remove(b->fd, &dir, c->name, made.file, S_ISDIR(attr->mode)) == 0)
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
	rc = look(b, c->dir, c->name, out, &source);
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

static int remove_it(struct backing *b, struct backing_change *c, bool directory)
{
	struct storage_dir dir;
	char path[PATH_MAX];
	int rc = directory ? expect_empty(b, c->ino) : 0;

	if (rc == 0)
		rc = dir_of(b, c->dir, path, sizeof(path), &dir);
	if (rc == 0)
		rc = intend(b, c);
	if (rc)
		return rc;
	rc = storage_remove(b->fd, &dir, c->name, c->file, directory);
	if (rc && rc != -ENOENT) /* that is gone, and was kept for what was written */
		return refused(b, c, rc);
	rc = discard(b, c, NULL);
	if (rc && rc != -ENOENT && rc != -ESTALE)
		return stuck(b, c, rc);
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
		rc = look(b, c->dir, c->name, &attr, &source);
		if (rc == 0 && S_ISDIR(attr.mode) != directory)
			rc = directory ? -ENOTDIR : -EISDIR;
		if (rc)
			return rc;
		c->ino = attr.ino;
		rc = number_at(b, c->dir, c->name, &c->file); /* not its own, if it was kept for what was written */
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
	int rc = look(b, c->to_dir, c->to_name, &there, &source);

	c->victim = 0;
	if (rc)
		return rc == -ENOENT ? 0 : rc;
	if (flags & DAXFS_RENAME_NOREPLACE)
		return -EEXIST;
	if (source.file == c->file)
		return 1;
	if (S_ISDIR(there.mode) != S_ISDIR(attr->mode))
		return S_ISDIR(there.mode) ? -EISDIR : -ENOTDIR;
	c->victim = there.ino;
	return S_ISDIR(there.mode) ? expect_empty(b, there.ino) : 0;
}

static int move_it(struct backing *b, struct backing_change *c)
{
	struct storage_dir from, to;
	char path[PATH_MAX], to_path[PATH_MAX];
	int rc = dir_of(b, c->dir, path, sizeof(path), &from);

	if (rc == 0)
		rc = dir_of(b, c->to_dir, to_path, sizeof(to_path), &to);
	if (rc == 0)
		rc = intend(b, c);
	if (rc)
		return rc;
	rc = storage_rename(b->fd, &from, c->name, c->file, &to, c->to_name, c->victim != 0);
	if (rc)
		return refused(b, c, rc);
	rc = move(b, c, NULL);
	if (rc && rc != -ENOENT)
		return stuck(b, c, rc);
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
		rc = look(b, c->dir, c->name, &attr, &source);
		if (rc)
			return rc;
		c->ino = attr.ino;
		c->file = source.file;
		rc = check_victim(b, c, &attr, flags);
		if (rc)
			return rc < 0 ? rc : 0;
		rc = move_it(b, c);
		if (rc != -ESTALE)
			return rc;
	}
	return -ENOENT;
}
