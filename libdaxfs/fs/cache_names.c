/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache_names.c - is there room for names of storage, and where are some that may be given back?
 *
 * Looks only: what is found may be something else by then, and daxfs_give_back demands in its record that it is not.
 */
#include "fs/cache.h"

#define SCAN_INODES 4096u /* in one step */

static int count_left(struct daxfs *fs, struct lane *lane, void *arg)
{
	(void)fs;
	*(uint64_t *)arg = space_names_left(lane->pool);
	return 0;
}

int daxfs_names_left(struct daxfs *fs, uint64_t *out)
{
	return fs_run(fs, count_left, out);
}

struct directories_op {
	unsigned backing;
	uint64_t at;
	daxfs_ino ino;
};

/* Is inode i a directory of that backing? What is in memory that has failed is not looked at. */
static bool is_directory(struct lane *lane, unsigned backing, uint64_t i, daxfs_ino *ino)
{
	struct pool *pool = lane->pool;
	struct sm_inode *sm = &pool->inodes[i];
	struct inode inode;

	if (pool_troubled(pool) &&
	    (pool_lost(pool, sm, sizeof(*sm)) || pool_lost(pool, &pool->state[DAXFS_T_INODE][i], sizeof(sm_u64))))
		return false;
	if (inode_source(sm) >> 56 != backing + 1 ||
	    !S_ISDIR((uint32_t)word_payload(word_load(lane, &sm->mode), DAXFS_W_ATTR)))
		return false;
	*ino = handle_make(sm_load_relaxed(&sm->i_generation), i); /* if it is not that now, it is none */
	return inode_get(lane, *ino, &inode) == 0 && S_ISDIR(inode.mode);
}

static int find_directory(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct directories_op *op = arg;
	uint64_t n = lane->pool->objects[DAXFS_T_INODE], end = n - op->at < SCAN_INODES ? n : op->at + SCAN_INODES;

	(void)fs;
	while (op->at < end)
		if (is_directory(lane, op->backing, op->at++, &op->ino))
			return 1;
	return 0;
}

int daxfs_directories(struct daxfs *fs, unsigned backing, uint64_t *at, daxfs_ino *ino)
{
	struct directories_op op = { .backing = backing, .at = *at };
	int rc;

	if (!*fs->here)
		return -ECHILD;
	if (op.at >= fs->pool.objects[DAXFS_T_INODE])
		return -ENOENT;
	rc = fs_run(fs, find_directory, &op);
	*at = op.at;
	*ino = op.ino;
	return rc;
}
