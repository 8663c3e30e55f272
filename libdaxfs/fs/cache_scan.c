/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache_scan.c - inodes of a backing: which files are dirty, and which directories may have names to give back?
 *
 * Looks only: what is found may be something else by then, and whoever does something to it demands that it is not.
 * Proportional to the pool, some thousands of inodes a call.
 */
#include "fs/cache.h"

#define SCAN_INODES 4096u /* in one step */

struct scan_op {
	unsigned backing;
	bool (*wanted)(struct lane *lane, const struct sm_inode *sm);
	uint32_t type; /* S_IFREG or S_IFDIR: of what is wanted */
	uint64_t at;
	daxfs_ino ino;
};

static bool is_dirty(struct lane *lane, const struct sm_inode *sm)
{
	return cache_is_dirty(word_load(lane, &sm->dir_root), sm);
}

static bool is_directory(struct lane *lane, const struct sm_inode *sm)
{
	return S_ISDIR((uint32_t)word_payload(word_load(lane, &sm->mode), DAXFS_W_ATTR));
}

/* Is it inode i? What is in memory that has failed is not looked at. */
static bool is_it(struct lane *lane, struct scan_op *op, uint64_t i)
{
	struct pool *pool = lane->pool;
	struct sm_inode *sm = &pool->inodes[i];
	struct inode inode;

	if (pool_troubled(pool) &&
	    (pool_lost(pool, sm, sizeof(*sm)) || pool_lost(pool, &pool->state[DAXFS_T_INODE][i], sizeof(sm_u64))))
		return false;
	if (inode_source(sm) >> 56 != op->backing + 1 || !op->wanted(lane, sm))
		return false;
	op->ino = handle_make(sm_load_relaxed(&sm->i_generation), i); /* if it is not that now, it is none */
	return inode_get(lane, op->ino, &inode) == 0 && (inode.mode & S_IFMT) == op->type;
}

static int scan_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct scan_op *op = arg;
	uint64_t n = lane->pool->objects[DAXFS_T_INODE], end = n - op->at < SCAN_INODES ? n : op->at + SCAN_INODES;

	(void)fs;
	while (op->at < end)
		if (is_it(lane, op, op->at++))
			return 1;
	return 0;
}

static int scan(struct daxfs *fs, struct scan_op *op, uint64_t *at, daxfs_ino *ino)
{
	int rc;

	if (!*fs->here)
		return -ECHILD;
	if (*at >= fs->pool.objects[DAXFS_T_INODE])
		return -ENOENT;
	op->at = *at;
	rc = fs_run(fs, scan_step, op);
	*at = op->at;
	*ino = op->ino;
	return rc;
}

int daxfs_dirty(struct daxfs *fs, unsigned backing, uint64_t *at, daxfs_ino *ino)
{
	return scan(fs, &(struct scan_op){ .backing = backing, .wanted = is_dirty, .type = S_IFREG }, at, ino);
}

int daxfs_directories(struct daxfs *fs, unsigned backing, uint64_t *at, daxfs_ino *ino)
{
	return scan(fs, &(struct scan_op){ .backing = backing, .wanted = is_directory, .type = S_IFDIR }, at, ino);
}
