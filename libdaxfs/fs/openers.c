/* SPDX-License-Identifier: Apache-2.0 */
/*
 * openers.c - the openers words of an inode: a bit for each host that has it open.
 *
 * One record sets a bit, or clears it; the record that clears it ends the host's locks of the file, too (lock.c). What
 * a host has open is listed in its table (open_table.c) before its bit is set, and until it is clear. Crash: a record
 * happens or does not; a listed file without the bit is one that nobody holds.
 */
#include <errno.h>

#include "fs/lease.h"

int opens_set(struct lane *lane, unsigned host, uint64_t handle)
{
	struct inode inode;
	uint64_t nlink, w, bit = 1ull << (host % 32);
	int rc = inode_get(lane, handle, &inode);
	sm_u64 *word;

	if (rc)
		return rc;
	word = &inode.sm->openers[host / 32];
	w = word_help(lane, word);
	nlink = word_help(lane, &inode.sm->nlink);
	if (nlink_life(nlink) != DAXFS_LIFE_ALIVE)
		return -ESTALE; /* nameless and not held by us: gone as far as we know */
	if (w & bit)
		return 0;
	record_begin(lane, OP_OPEN);
	txn_word(&lane->txn, word, DAXFS_W_OPENERS, w, word_payload(w, DAXFS_W_OPENERS) | bit);
	txn_word(&lane->txn, &inode.sm->nlink, DAXFS_W_NLINK, nlink, word_payload(nlink, DAXFS_W_NLINK));
	return record_commit(lane);
}

int opens_stage_none(struct lane *lane, struct sm_inode *sm)
{
	for (unsigned i = 0; i < (lane->pool->super.hosts + 31) / 32; i++) {
		uint64_t w = word_help(lane, &sm->openers[i]);

		if (word_payload(w, DAXFS_W_OPENERS))
			return -EBUSY;
		txn_word(&lane->txn, &sm->openers[i], DAXFS_W_OPENERS, w, 0);
	}
	return 0;
}

/* past: the host is dead, and if its locks cannot be found the bit goes without them. */
static int clear_bit(struct lane *lane, unsigned host, uint64_t handle, bool past)
{
	struct sm_inode *sm;
	uint64_t w, bit = 1ull << (host % 32);
	sm_u64 *word;
	int rc;

	if (!inode_is(lane, handle, &sm))
		return lane->txn.fault ? -EIO : 0;
	word = &sm->openers[host / 32];
	w = word_help(lane, word);
	if (!(w & bit))
		return lane->txn.fault ? -EIO : 0;
	lease_written(lane, sm, host);
	record_begin(lane, OP_CLOSE);
	txn_word(&lane->txn, word, DAXFS_W_OPENERS, w, word_payload(w, DAXFS_W_OPENERS) & ~bit);
	rc = locks_stage_drop(lane, host, handle, sm);
	if (rc == -EIO && past) {
		lane->txn.fault = false;
		rc = 0;
	}
	return rc ? record_abort(lane, rc) : record_commit(lane);
}

int opens_clear(struct lane *lane, unsigned host, uint64_t handle, bool past)
{
	int rc;

	while ((rc = clear_bit(lane, host, handle, past)) == -EAGAIN)
		lane_renew(lane);
	return rc;
}
