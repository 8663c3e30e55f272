/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backing_settle.c - what storage has and the pool has not yet: names that somebody of the pod was about to change.
 *
 * By the intents (N2 and N3 of backing_change.c): has it happened in storage? Then the pool is made so, by whoever
 * finds that, late or twice.
 */
#include "node-agent/backing_change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "node-agent/channel.h"

#define TRIES 16u /* while others change what the names lead to */
#define STAMPS 4u
#define SETTLES 64u /* while others change names */

/* -- what storage says ------------------------------------------------------------------------ */

/* The number under a name, and is that its only name: 0, -ENOENT; -errno: not to be known now. */
int backing_number_at(struct backing *b, daxfs_ino dir, const char *name, uint64_t *file, bool *last)
{
	struct storage_entry now;
	char path[PATH_MAX];
	int rc = backing_path_of(b, dir, name, path, sizeof(path));

	if (rc == 0)
		rc = storage_look(b->fd, path, &now);
	*file = rc ? 0 : now.file;
	*last = rc || now.links < 2;
	return rc == -EOPNOTSUPP ? 0 : rc == -ENOTDIR || rc == -ESTALE ? -ENOENT : rc;
}

/* 1: it happened, 0: it did not, -errno. */
static int has_happened(struct backing *b, const struct backing_change *c)
{
	uint64_t file;
	bool last;
	int rc = c->op == BACKING_MOVE ? backing_number_at(b, c->to_dir, c->to_name, &file, &last)
				       : backing_number_at(b, c->dir, c->name, &file, &last);

	if (rc && rc != -ENOENT)
		return rc;
	switch (c->op) {
	case BACKING_MAKE: return rc == 0;
	case BACKING_REMOVE: return rc == -ENOENT || file != c->file;
	default: return rc == 0 && file == c->file;
	}
}

/* -- the pool, after storage -------------------------------------------------------------------- */

/* True: its stamp was another one, of the same bytes. */
bool backing_stamp_as(struct backing *b, daxfs_ino ino, const struct storage_entry *now)
{
	uint64_t stamp = storage_stamp(now);
	struct daxfs_source source;
	int rc;

	if (!S_ISREG(now->attr.mode) || daxfs_source(b->fs, ino, &source) || now->file != source.file || source.dirty ||
	    source.stamp == stamp || !storage_stamp_same_bytes(source.stamp, stamp))
		return false;
	rc = daxfs_restamp(b->fs, ino, source.stamp, stamp);
	return rc == 0 || rc == -ECANCELED;
}

bool backing_stamp_again(struct backing *b, daxfs_ino ino)
{
	struct storage_entry now;
	char path[PATH_MAX];
	unsigned i = 0;

	/* Until it is what it was when it was looked at: somebody else may do the same for another reason. */
	while (i < STAMPS && backing_path(b, ino, path, sizeof(path)) == 0 && storage_look(b->fd, path, &now) == 0 &&
	       backing_stamp_as(b, ino, &now))
		i++;
	return i;
}

/*
 * What names it has left may be where no host of the pod has looked. Then its stamp leaves the ctime open: the next
 * look at any of them takes the file for the same one, if its bytes are, and stamps it.
 */
bool backing_stamp_left(struct backing *b, daxfs_ino ino)
{
	struct daxfs_source source;
	struct storage_entry now;
	char path[PATH_MAX];

	if (daxfs_source(b->fs, ino, &source))
		return false;
	if (backing_path(b, ino, path, sizeof(path)) == 0 && storage_look(b->fd, path, &now) == 0 &&
	    now.file == source.file)
		return backing_stamp_again(b, ino);
	if (source.dirty || !source.stamp || storage_stamp_is_open(source.stamp))
		return false;
	return daxfs_restamp(b->fs, ino, source.stamp, storage_stamp_open(source.stamp)) == 0;
}

/* In these, since: the intents are what they were then, or nothing is done (-ECANCELED). NULL: by who has the locks. */
int backing_follow_removal(struct backing *b, const struct backing_change *c, const struct daxfs_since *since)
{
	int rc = c->last ? backing_number_gone(b, c->ino, since) : 0;

	if (rc == 0)
		rc = daxfs_discard(b->fs, c->dir, c->name, c->ino, since);
	if (rc == -ENOTEMPTY) /* names that somebody found in storage just before */
		rc = backing_forget(b, c->dir, c->name, c->ino);
	backing_unnote(b, c->ino);
	if (rc == 0)
		backing_unnumber(b, c->ino);
	return rc;
}

/* Another name has come or gone: its stamp is to be of that. */
static int stamped(struct backing *b, daxfs_ino ino, int rc)
{
	return backing_stamp_left(b, ino) && (rc == -ENOENT || rc == -ESTALE) ? 0 : rc;
}

int backing_follow_link(struct backing *b, const struct backing_change *c, const struct daxfs_since *since)
{
	struct daxfs_attr there;
	int rc = daxfs_lookup(b->fs, c->dir, c->name, &there);

	if (rc == 0)
		rc = -ENOENT; /* done, but for the stamp perhaps */
	else if (rc == -ENOENT)
		rc = daxfs_import_name(b->fs, c->dir, c->name, c->ino, since);
	return stamped(b, c->ino, rc == -EEXIST ? -ENOENT : rc);
}

/* 0: a stamp was not of what the names are now. */
static int stamp_moved(struct backing *b, const struct backing_change *c)
{
	bool any = backing_stamp_again(b, c->ino);

	if (c->victim && !c->victim_last)
		any |= backing_stamp_left(b, c->victim);
	return any ? 0 : -ENOENT;
}

/* Whoever has the second name goes: storage says so. */
int backing_follow_move(struct backing *b, const struct backing_change *c, const struct daxfs_since *since)
{
	struct daxfs_attr there = { .ino = 0 };
	int rc = c->victim_last ? backing_number_gone(b, c->victim, since) : 0;

	if (rc)
		return rc;
	rc = -ESTALE;
	for (unsigned i = 0; rc == -ESTALE && i < TRIES; i++) {
		rc = daxfs_lookup(b->fs, c->to_dir, c->to_name, &there);
		if (rc && rc != -ENOENT)
			return rc;
		if (rc == 0 && there.ino == c->ino) /* done, but for the stamps perhaps */
			return stamp_moved(b, c);
		rc = daxfs_move(b->fs, c->dir, c->name, c->ino, c->to_dir, c->to_name, rc ? 0 : there.ino, since);
		if (rc == -ENOTEMPTY)
			rc = backing_forget(b, c->to_dir, c->to_name, there.ino) ? rc : -ESTALE;
	}
	if (rc == 0) {
		backing_note(b, c->ino, c->to_dir, c->to_name, true);
		if (there.ino)
			backing_unnote(b, there.ino);
		stamp_moved(b, c);
	}
	return rc;
}

/* -ENOENT, -ESTALE: somebody has done it. */
static int follow(struct backing *b, const struct backing_change *c, const struct daxfs_since *since)
{
	switch (c->op) {
	case BACKING_REMOVE:
		return c->last ? backing_follow_removal(b, c, since)
			       : stamped(b, c->ino, backing_follow_removal(b, c, since));
	case BACKING_MOVE: return backing_follow_move(b, c, since);
	case BACKING_LINK: return backing_follow_link(b, c, since);
	default: return 0;
	}
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
int backing_settle_under_locks(struct backing *b, struct backing_change *c)
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
