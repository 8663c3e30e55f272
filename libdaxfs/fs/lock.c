/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.c - POSIX and flock locks, and mappings (lockset.h), of all hosts; their words: lock_words.c.
 *
 * An inode's locks word names a page of locks, or nothing. Invariants:
 *
 *  L1 Every change of the set changes the locks word, giving up locks of a page
 *     its version: a record that demands it as it was when the set was looked at
 *     loses no change of others. (Answers that change nothing need not look
 *     twice: on a page locks only go, and no more once it is replaced, so a lock
 *     that was seen was in force at some moment of the call, and a set without
 *     one in the way was, too.)
 *  L2 A host has locks only while its openers bit is set: the record that sets a lock
 *     demands an unchanged openers word with the bit in it, and the record that
 *     clears the bit ends the host's locks (fs/open_table.c, recovery included). So
 *     no lock outlives its host, and a locker need not ask which hosts are alive.
 *  L3 Giving up whole locks takes no page: the record clears their bits, or the word
 *     names nothing afterwards. So programs can unlock and close, and hosts recover,
 *     in a full pool. Every other change goes into a new page.
 *
 *   change                     words of its record
 *   lock, split, merge         locks -> new page, openers unchanged; the old page retired
 *   unlock whole locks         locks unchanged, their live words, openers unchanged
 *   unlock the last ones       locks -> nothing, openers unchanged; the page retired
 *   close, recovery of a host  openers without its bit, and one of the last two
 *
 * Concurrency: by L1 changes of one inode's locks happen one after the other; the loser looks
 * again. Crash: a record happens or does not. What a dead host had locked stays
 * locked until recovery clears its bit, because its programs may have been half
 * way through what the lock was for: here alone the living wait for a dead host.
 */
#include <errno.h>

#include "fs/lock_words.h"

#define IN_THE_WAY 1 /* -EAGAIN is for fs_run */

struct lock_op {
	daxfs_ino ino;
	struct sm_lock want;
	struct sm_lock found; /* in the way; type DAXFS_UNLOCK: none */
};

/* -- calls ------------------------------------------------------------------------ */

static int lock_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct lock_op *op = arg;
	struct inode inode;
	struct locks_view view;
	uint64_t openers;
	sm_u64 *word;
	int rc = inode_get(lane, op->ino, &inode);

	if (rc)
		return rc;
	word = &inode.sm->openers[fs->host / 32];
	openers = word_help(lane, word);
	rc = locks_view(lane, op->ino, inode.sm, &view);
	if (rc)
		return rc;
	if (!(openers >> fs->host % 32 & 1))
		return -EBADF;
	if (lockset_conflict(&view.set, &op->want))
		return IN_THE_WAY;
	if (lockset_says(&view.set, &op->want))
		return 0;
	record_begin(lane, OP_LOCK);
	txn_word(&lane->txn, word, DAXFS_W_OPENERS, openers, word_payload(openers, DAXFS_W_OPENERS));
	rc = locks_stage_change(lane, op->ino, inode.sm, &view, &op->want);
	return rc ? record_abort(lane, rc) : record_commit(lane);
}

static int get_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct lock_op *op = arg;
	const struct sm_lock *found;
	struct inode inode;
	struct locks_view view;
	int rc = inode_get(lane, op->ino, &inode);

	(void)fs;
	if (rc == 0)
		rc = locks_view(lane, op->ino, inode.sm, &view);
	if (rc)
		return rc;
	found = lockset_conflict(&view.set, &op->want);
	op->found = found ? *found : (struct sm_lock){ .type = DAXFS_UNLOCK };
	return 0;
}

/* -EINVAL: no such lock. */
static int op_make(const struct daxfs *fs, daxfs_ino ino, const struct daxfs_lock *lock, struct lock_op *op)
{
	bool whole = lock->kind != DAXFS_LOCK_POSIX, map = lock->kind == DAXFS_LOCK_MAP;

	if ((unsigned)lock->kind > DAXFS_LOCK_MAP || (unsigned)lock->type > DAXFS_LOCK_WRITE ||
	    (map && lock->type == DAXFS_LOCK_WRITE) ||
	    (!whole && (lock->start > lock->end || lock->end > DAXFS_LOCK_END)))
		return -EINVAL;
	*op = (struct lock_op){
		.ino = ino,
		.want = {
			.start = whole ? 0 : lock->start, .end = whole ? DAXFS_LOCK_END : lock->end,
			.owner = map ? 0 : lock->owner, .pid = lock->pid, .host = (uint8_t)fs->host,
			.type = (uint8_t)lock->type, .kind = (uint8_t)lock->kind,
		},
	};
	return 0;
}

int lock_try(struct daxfs *fs, struct lane *lane, uint64_t handle, const struct daxfs_lock *lock)
{
	struct lock_op op;
	int rc = op_make(fs, handle, lock, &op);

	return rc ? rc : fs_try(fs, lane, lock_step, &op);
}

int daxfs_lock(struct daxfs *fs, daxfs_ino ino, const struct daxfs_lock *lock)
{
	struct lock_op op;
	int rc = op_make(fs, ino, lock, &op);

	if (rc == 0)
		rc = fs_run(fs, lock_step, &op);
	if (rc == IN_THE_WAY)
		return -EAGAIN;
	return rc == -ENOSPC ? -ENOLCK : rc;
}

int daxfs_lock_get(struct daxfs *fs, daxfs_ino ino, const struct daxfs_lock *lock, struct daxfs_lock *out)
{
	struct lock_op op;
	int rc = op_make(fs, ino, lock, &op);

	if (rc == 0)
		rc = fs_run(fs, get_step, &op);
	if (rc == 0)
		*out = (struct daxfs_lock){
			.start = op.found.start,
			.end = op.found.end,
			.owner = op.found.owner,
			.pid = op.found.pid,
			.host = op.found.host,
			.type = (enum daxfs_lock_type)op.found.type,
			.kind = (enum daxfs_lock_kind)op.found.kind,
		};
	return rc;
}
