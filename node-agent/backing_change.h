/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backing_change.h - names of storage that programs of the pod make, remove and rename: see backing_change.c.
 *
 * These wait for storage, and for others that change names of the same directories, as long as it takes.
 */
#ifndef AGENT_BACKING_CHANGE_H
#define AGENT_BACKING_CHANGE_H

#include "node-agent/backing.h"

#define NAME_LOCKS_HELD 4u /* by one change */

/* of directories whose names are to change, and of what they lead to; in order */
struct name_locks {
	unsigned number[NAME_LOCKS_HELD], n;
};

enum backing_op { BACKING_MAKE = 1, BACKING_REMOVE, BACKING_MOVE, BACKING_LINK };

/* a change of names, as it is asked for, and as its intent says */
struct backing_change {
	unsigned op;
	daxfs_ino dir;
	char name[256];
	daxfs_ino to_dir; /* of a move */
	char to_name[256];
	daxfs_ino ino, victim;  /* whom the names lead to; victim 0: nobody */
	uint64_t file;          /* number of ino in storage */
	bool last, victim_last; /* the name that is removed, or replaced, is the last one there of what it leads to */

	char key[80]; /* of the intent */
	bool intended;
	struct name_locks locks;
	daxfs_ino also[2]; /* that are locked, too; */
	unsigned relocked; /* ... and how often that was begun anew */
};

/*
 * Each does what is asked for in storage, then in the pool, and keeps the names locked and the intent written until
 * backing_change_end: so that a program whose request is sent again, to the next process, is answered as it would have
 * been. To be ended whatever it returns. `request` tells requests of this mount apart. 0, -errno of storage, or
 * -EROFS; -ENOSPC, -EIO of the pool.
 */
int backing_make(struct backing *b, struct backing_change *c, uint64_t request, const struct daxfs_attr *attr,
		 const char *target, struct daxfs_attr *out);
int backing_remove(struct backing *b, struct backing_change *c, uint64_t request, bool directory);
/* A new name of the same backing; flags: DAXFS_RENAME_NOREPLACE. */
int backing_move(struct backing *b, struct backing_change *c, uint64_t request, unsigned flags);
/* Another name, dir and name, for what is `ino`. */
int backing_link(struct backing *b, struct backing_change *c, uint64_t request, struct daxfs_attr *out);
void backing_change_end(struct backing *b, struct backing_change *c);

/* -- settling (backing_settle.c) ------------------------------------------------------------- */

/* What was begun and is not ended: the pool is made what storage says. True: something was done about it. */
bool backing_settle(struct backing *b);
/* The same of what is left over: by dead hosts, by former processes; it is removed. */
void backing_settle_left(struct backing *b);
/* Under the locks, so of nobody who goes on with it. 1: it was the same request, and has happened. */
int backing_settle_under_locks(struct backing *b, struct backing_change *c);
/*
 * The pool, after storage. since: the intents are what they were then, or nothing is done (-ECANCELED); NULL: by who
 * has the locks. -ENOENT, -ESTALE: somebody has done it.
 */
int backing_follow_removal(struct backing *b, const struct backing_change *c, const struct daxfs_since *since);
int backing_follow_move(struct backing *b, const struct backing_change *c, const struct daxfs_since *since);
int backing_follow_link(struct backing *b, const struct backing_change *c, const struct daxfs_since *since);
/* The number under a name, and is that its only name: 0, -ENOENT; -errno: not to be known now. */
int backing_number_at(struct backing *b, daxfs_ino dir, const char *name, uint64_t *file, bool *last);
/* Only another name, or mode, has changed a file since its stamp was taken: it is the same one. True: it has. */
bool backing_stamp_again(struct backing *b, daxfs_ino ino);
/* The same of one that has lost a name, whatever name it has now. */
bool backing_stamp_left(struct backing *b, daxfs_ino ino);
/* The same, by what storage said. */
bool backing_stamp_as(struct backing *b, daxfs_ino ino, const struct storage_entry *now);

/* -- locks and intents (backing_intent.c) ---------------------------------------------------- */

struct backing_intents {
	struct backing_change *change; /* to be freed */
	unsigned n;
};

/* Lock directories, but for 0; patience_ms 0: as long as it takes. -EAGAIN: not by then, -ENOTCONN: it stops. */
int backing_lock_names(struct backing *b, struct name_locks *out, const daxfs_ino dir[], unsigned n,
		       unsigned patience_ms);
void backing_unlock_names(struct backing *b, struct name_locks *l);
bool backing_has_locked(const struct name_locks *l, daxfs_ino ino);
/* Give up what no thread of this process has: a former one had it. */
void backing_release_left_locks(struct backing *b);

void backing_intent_key(struct backing *b, uint64_t request, struct backing_change *c);
/* From here on it will be settled, whoever dies. */
int backing_intend(struct backing *b, struct backing_change *c);
void backing_intent_done(struct backing *b, const struct backing_change *c);
/* Is it of this membership? Of a directory that is locked? */
bool backing_intent_is_ours(struct backing *b, const struct backing_change *c);
bool backing_intent_is_of(const struct name_locks *l, const struct backing_change *c);
/* All there are. */
void backing_intents(struct backing *b, struct backing_intents *out);

#endif
