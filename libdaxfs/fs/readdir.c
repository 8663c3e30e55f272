/* SPDX-License-Identifier: Apache-2.0 */
/*
 * readdir.c - reading what names lead to: directories and symbolic links.
 *
 * Cookies: 0 ".", 1 "..", then key + 2 of the entry to continue at. Keys do not
 * move, so an entry present throughout is seen exactly once.
 */
#include <dirent.h>
#include <errno.h>

#include "fs/lease.h"

#define LIST_BATCH 32u /* entries collected before the callback is called */

struct list_op {
	daxfs_ino dir;
	uint64_t cookie;
	unsigned n;
	daxfs_ino self, parent;
	struct trie_entry entry[LIST_BATCH];
	struct daxfs_lease *lease; /* NULL: nobody asks */
};

static int collect(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct list_op *op = arg;
	struct inode dir;
	uint64_t root, from = op->cookie < 2 ? 0 : op->cookie - 2;
	int rc = inode_get_dir(lane, op->dir, &dir, &root);

	(void)fs;
	if (rc)
		return rc;
	if (nlink_life(word_load(lane, &dir.sm->nlink)) != DAXFS_LIFE_ALIVE)
		return lane->txn.fault ? -EIO : -ESTALE; /* removed, and held: not even "." is in it */
	op->self = dir.handle;
	rc = inode_parent(lane, &dir, &op->parent);
	return rc ? rc : trie_list(lane, root, from, LIST_BATCH, op->entry, &op->n);
}

/* All batches must be leased for one to be. */
static int collect_leased(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct list_op *op = arg;
	uint64_t length;
	bool granted;
	int rc;

	lane->txn.marked = false;
	granted = lease_grant(fs, lane, op->dir, true, false);
	rc = collect(fs, lane, op);
	length = granted && !lane->txn.marked && rc == 0 ? lease_length(fs) : 0;
	if (length < op->lease->names_ns)
		op->lease->names_ns = length;
	return rc;
}

/* Hand a batch out. False: the caller wants no more. */
static bool hand_out(struct list_op *op, daxfs_fill fill, void *context)
{
	if (op->cookie == 0 && !fill(context, ".", op->self, DT_DIR, 1))
		return false;
	if (op->cookie <= 1 && !fill(context, "..", op->parent, DT_DIR, 2))
		return false;
	for (unsigned i = 0; i < op->n; i++) {
		struct trie_entry *entry = &op->entry[i];

		if (!fill(context, entry->name, entry->handle, entry->type, entry->key + 3))
			return false;
		op->cookie = entry->key + 3;
	}
	return op->n == LIST_BATCH;
}

int daxfs_readdir(struct daxfs *fs, daxfs_ino dir, uint64_t cookie, daxfs_fill fill, void *context)
{
	return daxfs_readdir_leased(fs, dir, cookie, fill, context, NULL);
}

int daxfs_readdir_leased(struct daxfs *fs, daxfs_ino dir, uint64_t cookie, daxfs_fill fill, void *context,
			 struct daxfs_lease *lease)
{
	struct list_op op = { .dir = dir, .cookie = cookie, .lease = lease };
	int rc;

	if (lease)
		*lease = (struct daxfs_lease){ .names_ns = UINT64_MAX };
	do
		rc = fs_run(fs, lease ? collect_leased : collect, &op);
	while (rc == 0 && hand_out(&op, fill, context));
	if (lease && rc)
		lease->names_ns = 0;
	return rc;
}

struct readlink_op {
	daxfs_ino ino;
	char *buf;
	size_t size;
};

static int readlink_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct readlink_op *op = arg;
	struct inode inode;
	uint64_t w, size;
	int rc = inode_get(lane, op->ino, &inode);

	(void)fs;
	if (rc)
		return rc;
	if (!S_ISLNK(inode.mode))
		return -EINVAL;
	w = word_load(lane, &inode.sm->direct[0]);
	size = size_bytes(word_load(lane, &inode.sm->size));
	if (link_kind(w) == DAXFS_ABSENT)
		return lane->txn.fault ? -EIO : -ESTALE; /* freed under our eyes */
	if (!link_names(lane->pool, w, DAXFS_DATA) || size > DAXFS_SYMLINK_MAX ||
	    pool_lost_page(lane->pool, link_index(w)))
		return -EIO;
	if (size + 1 > op->size)
		return -ERANGE;
	sm_read(op->buf, pool_page(lane->pool, link_index(w)), size);
	op->buf[size] = '\0';
	/* Size and page belong together only if it was still there after both. */
	return inode_get(lane, op->ino, &inode);
}

int daxfs_readlink(struct daxfs *fs, daxfs_ino ino, char *buf, size_t size)
{
	struct readlink_op op = { ino, buf, size };

	return fs_run(fs, readlink_step, &op);
}
