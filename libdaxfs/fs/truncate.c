/* SPDX-License-Identifier: Apache-2.0 */
/*
 * truncate.c - taking files apart.
 *
 * A truncation commits the new size first, with the PRUNE flag if not all pages
 * past the end went in the same record. While the flag is set
 *   - no host makes the file longer; a host that wants to prunes first,
 *   - each batch of removals demands an unchanged size word, so a pruner that
 *     slept cannot remove what was written after the flag was cleared,
 *   - the last batch clears it.
 * A page past the end that is overwritten meanwhile stays past the end.
 *
 * Freeing an inode: ORPHAN with no opener -> (small) all gone in one record, or
 * DEAD with size 0 and PRUNE -> batches -> the last one frees the inode. A few
 * pages of a file that no host has open go in the record that takes the last name: then nothing is
 * left to do.
 * Crash between batches: the flag, or the life, says what is left; lane.todo
 * says where. Recovery goes on, or the next host that makes the file longer.
 */
#include <errno.h>

#include "fs/fs.h"

void prune_stage(struct lane *lane, const struct map_batch *batch)
{
	for (unsigned i = 0; i < batch->n; i++) {
		const struct map_item *item = &batch->item[i];

		txn_word(&lane->txn, item->slot, DAXFS_W_LINK, item->word, link_payload(DAXFS_ABSENT, 0));
		if (!map_is_empty(item->word))
			record_retire(lane, DAXFS_T_PAGE, link_index(item->word));
	}
}

static uint64_t pages_of(uint64_t bytes)
{
	return (bytes + DAXFS_PAGE_SIZE - 1) / DAXFS_PAGE_SIZE;
}

/* One batch: 0 nothing left, -EAGAIN go on. */
static int prune_once(struct lane *lane, struct sm_inode *sm)
{
	uint64_t size = word_help(lane, &sm->size);
	struct map_batch batch;
	bool last;
	int rc;

	if (!size_prune(size))
		return 0;
	record_begin(lane, OP_PRUNE);
	map_collect(lane, sm, pages_of(size_bytes(size)), &batch);
	last = batch.n < MAP_BATCH;
	prune_stage(lane, &batch);
	txn_word(&lane->txn, &sm->size, DAXFS_W_SIZE, size, size_bytes(size) | (last ? 0 : DAXFS_SIZE_PRUNE));
	rc = record_commit(lane);
	return rc == 0 && !last ? -EAGAIN : rc;
}

int prune(struct lane *lane, struct sm_inode *sm)
{
	int rc;

	while ((rc = prune_once(lane, sm)) == -EAGAIN)
		lane_renew(lane);
	return rc;
}

/* Stage the end of the page that a word names, if it names one. */
static void stage_drop(struct lane *lane, sm_u64 *word, enum daxfs_link_kind kind)
{
	uint64_t w = word_help(lane, word);

	if (!link_names(lane->pool, w, kind))
		return;
	txn_word(&lane->txn, word, DAXFS_W_LINK, w, link_payload(DAXFS_ABSENT, 0));
	record_retire(lane, DAXFS_T_PAGE, link_index(w));
}

/* Stage that an inode is gone: no life, no root node, no attributes, no locks (they went
 * with their holders), its index retired. */
static void stage_free(struct lane *lane, uint64_t handle, struct sm_inode *sm, uint64_t nlink)
{
	txn_word(&lane->txn, &sm->nlink, DAXFS_W_NLINK, nlink, nlink_payload(DAXFS_LIFE_NONE, 0));
	stage_drop(lane, &sm->dir_root, DAXFS_NODE);
	stage_drop(lane, &sm->locks, DAXFS_LOCKS);
	stage_drop(lane, &sm->xattrs, DAXFS_XATTR);
	record_retire(lane, DAXFS_T_INODE, handle_index(handle));
}

/* What the end of an inode depends on: if all is still so, nobody holds it and these are its pages. */
struct ending {
	uint64_t nlink, size, trunc, openers[2];
	struct map_batch batch;
};

/* Openers words that some host has a bit in. */
static unsigned openers_words(const struct pool *pool)
{
	return (pool->super.hosts + 31) / 32;
}

/* False: somebody holds it. */
static bool look_unheld(struct lane *lane, struct sm_inode *sm, struct ending *end)
{
	end->size = word_help(lane, &sm->size);
	end->trunc = word_help(lane, &sm->trunc);
	for (unsigned i = 0; i < openers_words(lane->pool); i++) {
		end->openers[i] = word_help(lane, &sm->openers[i]);
		if (word_payload(end->openers[i], DAXFS_W_OPENERS))
			return false;
	}
	return true;
}

/* A file of no size has no page: only PRUNE leaves any past the end. */
static void look_pages(struct lane *lane, struct sm_inode *sm, struct ending *end)
{
	end->batch.n = 0;
	if (word_payload(end->size, DAXFS_W_SIZE))
		map_collect(lane, sm, 0, &end->batch);
}

/* Stage all of it, or as much as goes in one record: then it is DEAD. */
static void stage_end(struct lane *lane, uint64_t handle, struct sm_inode *sm, const struct ending *end)
{
	bool all = end->batch.n < MAP_BATCH;

	prune_stage(lane, &end->batch);
	txn_word(&lane->txn, &sm->size, DAXFS_W_SIZE, end->size, all ? 0 : DAXFS_SIZE_PRUNE);
	/* Who would fill a hole saw a size, so trunc has changed since, or changes now. */
	if (word_payload(end->size, DAXFS_W_SIZE))
		txn_word(&lane->txn, &sm->trunc, DAXFS_W_TICK, end->trunc, 0);
	for (unsigned i = 0; i < openers_words(lane->pool); i++)
		txn_word(&lane->txn, &sm->openers[i], DAXFS_W_OPENERS, end->openers[i], 0);
	if (all)
		stage_free(lane, handle, sm, end->nlink);
	else
		txn_word(&lane->txn, &sm->nlink, DAXFS_W_NLINK, end->nlink, nlink_payload(DAXFS_LIFE_DEAD, 0));
}

bool inode_stage_unlink(struct lane *lane, uint64_t handle, struct sm_inode *sm, uint64_t nlink)
{
	uint64_t left = nlink_count(nlink) - 1ull;
	struct ending end;
	bool gone = left == 0 && look_unheld(lane, sm, &end) && !lane->txn.fault;

	end.nlink = nlink;
	if (gone) {
		look_pages(lane, sm, &end);
		/* The record has room for so many; what cannot be looked at does not keep a name. */
		gone = end.batch.n <= DAXFS_DIRECT && !lane->txn.fault;
		lane->txn.fault = false;
	}
	if (gone)
		stage_end(lane, handle, sm, &end);
	else
		txn_word(&lane->txn, &sm->nlink, DAXFS_W_NLINK, nlink,
			 nlink_payload(left ? DAXFS_LIFE_ALIVE : DAXFS_LIFE_ORPHAN, left));
	lane_todo(lane, gone || left ? 0 : handle);
	return gone;
}

/* ORPHAN: free it at once if small, else make it DEAD. 1: still open somewhere. */
static int finish_orphan(struct lane *lane, uint64_t handle, struct sm_inode *sm, uint64_t nlink)
{
	struct ending end;

	end.nlink = nlink;
	if (!look_unheld(lane, sm, &end))
		return 1;
	look_pages(lane, sm, &end);
	record_begin(lane, OP_ORPHAN);
	stage_end(lane, handle, sm, &end);
	return record_commit(lane);
}

static int finish_dead(struct lane *lane, uint64_t handle, struct sm_inode *sm, uint64_t nlink)
{
	int rc = prune(lane, sm);

	if (rc)
		return rc;
	record_begin(lane, OP_FREE);
	stage_free(lane, handle, sm, nlink);
	return record_commit(lane);
}

static int finish_once(struct lane *lane, uint64_t handle)
{
	struct sm_inode *sm;
	uint64_t nlink;
	int rc;

	if (!inode_is(lane, handle, &sm))
		return lane->txn.fault ? -EIO : 0;
	nlink = word_help(lane, &sm->nlink);
	if (lane->txn.fault)
		return -EIO;
	switch (nlink_life(nlink)) {
	case DAXFS_LIFE_ALIVE: return prune(lane, sm);
	case DAXFS_LIFE_ORPHAN:
		rc = finish_orphan(lane, handle, sm, nlink);
		return rc ? rc : -EAGAIN; /* look again: DEAD, or gone */
	case DAXFS_LIFE_DEAD: return finish_dead(lane, handle, sm, nlink);
	default: return 0;
	}
}

int inode_finish(struct lane *lane, uint64_t handle)
{
	int rc;

	/* ORD finish: our commit before we look. Who takes the last name and looks for openers, and who
	 * clears the last openers bit and looks for names, must not both find the other one still there. */
	sm_fence_after_cas();
	while ((rc = finish_once(lane, handle)) == -EAGAIN && !lane->txn.fault)
		lane_renew(lane);
	return rc < 0 ? rc : 0;
}

int inode_finish_or_list(struct lane *lane, uint64_t handle)
{
	int rc = inode_finish(lane, handle);

	if (rc != -EIO)
		return rc;
	/* ORD repair: listed (written back) before its lane, or the table of open files, forgets
	 * it. A list that is full has counted it: check finds what nobody holds. */
	rc = trouble_add_file(lane->pool, handle);
	if (rc && rc != -ENOSPC)
		return rc;
	lane->txn.fault = false; /* it was of that file alone */
	return 1;
}
