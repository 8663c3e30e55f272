/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache_look.c - where the pages of one file of storage are, for people. It changes nothing, and looks at so many words
 * a step, so that a large file holds up nobody: what changes meanwhile is seen as it was or as it is.
 */
#include "fs/cache.h"
#include "fs/heat.h"

#define LOOKS 512u /* words of a file in one step */

struct look_op {
	daxfs_ino ino;
	uint64_t page; /* next one */
	struct daxfs_cached *out;
};

/* A page in the pool. */
static void count_page(const struct pool *pool, uint64_t word, uint64_t page, struct daxfs_cached *out)
{
	const sm_u8 *heat = pool->heat.at ? &pool->heat.at[page] : NULL;
	unsigned kind = heat && !pool_lost(pool, heat, 1) ? heat_kind(sm_peek_byte(heat)) : DAXFS_HEAT_NONE;

	out->lost += pool_troubled(pool) && pool_lost_page(pool, page);
	if (!link_names(pool, word, DAXFS_CLEAN)) {
		out->dirty++;
		return;
	}
	out->clean++;
	switch (kind) {
	case DAXFS_HEAT_AHEAD:
	case DAXFS_HEAT_SCAN_AHEAD: out->ahead++; break;
	case DAXFS_HEAT_SCAN: out->scanned++; break;
	default:
		if (kind >= DAXFS_HEAT_COLD && kind <= DAXFS_HEAT_HOT)
			out->used[kind - DAXFS_HEAT_COLD]++;
	}
}

static void count_word(struct lane *lane, sm_u64 *slot, uint64_t p, struct daxfs_cached *out)
{
	struct map_look look;

	map_look(lane, slot, p, &look);
	if (look.page != MAP_HOLE)
		count_page(lane->pool, look.word, look.page, out);
	else if (link_kind(look.own) == DAXFS_FILLING) /* of the dead: as good as absent */
		out->filling += !cache_claim_over(lane->pool, look.own);
	else if (link_kind(look.own) == DAXFS_VOID)
		out->zeros++;
}

/* Some of its words. 1: there are more. */
static int look_at_some(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct look_op *op = arg;
	struct daxfs_cached seen = *op->out; /* a step may begin again */
	struct map_pos pos = { .left = 0 };
	uint64_t at = op->page;
	struct inode inode;
	int rc = inode_get_file(lane, op->ino, &inode);

	(void)fs;
	if (rc == 0 && !inode_source(inode.sm))
		rc = -EINVAL;
	if (rc)
		return rc;
	seen.pages = cache_stored(0, word_load(lane, &inode.sm->size));
	for (unsigned i = 0; rc == 0 && i < LOOKS && at < seen.pages; i++) {
		rc = map_next(lane, inode.sm, at, &pos);
		if (rc == -ENOENT) {
			at = cache_behind_hole(&pos, at);
			pos.left = 0;
			rc = 0;
		} else if (rc == 0) {
			count_word(lane, pos.slot, at++, &seen);
		}
	}
	if (rc || lane->txn.fault)
		return rc ? rc : -EIO;
	op->page = at;
	*op->out = seen;
	return at < seen.pages;
}

int daxfs_cached(struct daxfs *fs, daxfs_ino ino, struct daxfs_cached *out)
{
	struct look_op op = { .ino = ino, .out = out };
	int rc = *fs->here ? 1 : -ECHILD;

	*out = (struct daxfs_cached){ 0 };
	while (rc > 0)
		rc = fs_run(fs, look_at_some, &op);
	return rc;
}
