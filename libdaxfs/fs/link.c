/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link.c - another name of a file.
 *
 *   link            the slot of the name and the count of its node, the link count of the inode
 *   of storage      ... and the inode's parent word, by which its path is found
 *
 * Names of storage are made there first; here daxfs_import_name follows. The names of one file of storage lead to one
 * inode, which whoever finds another name of it finds by its number: an entry of a directory that is not of storage. So
 * that entry comes before a second name: who imports by the number cannot miss it.
 */
#include <errno.h>

#include "fs/cache.h"
#include "fs/lease.h"
#include "sync/features.h"

struct link_op {
	daxfs_ino ino, parent;
	const char *name;
	bool storage; /* as it was done there */
	const struct daxfs_since *since;
	struct daxfs_attr *out;
};

/* a name to be, and what it is to lead to */
struct link_place {
	struct inode dir, inode;
	struct trie_name name;
	struct trie_pos pos;
	uint64_t nlink;
};

static int find_place(struct daxfs *fs, struct lane *lane, const struct link_op *op, struct link_place *at)
{
	uint64_t root = 0;
	int rc = inode_get(lane, op->ino, &at->inode);

	if (rc == 0 && S_ISDIR(at->inode.mode))
		rc = -EPERM;
	if (rc == 0)
		rc = inode_get_dir(lane, op->parent, &at->dir, &root);
	if (rc == 0)
		rc = name_init(&fs->pool, op->name, &at->name);
	return rc ? rc : trie_find(lane, root, &at->name, true, &at->pos);
}

/* In a directory of the same backing, or in one of none. */
static int may_link_stored(const struct daxfs *fs, const struct link_place *at)
{
	uint64_t dir = inode_source(at->dir.sm), file = inode_source(at->inode.sm);

	if (!features_incompat(&fs->pool, DAXFS_INCOMPAT_LINKS))
		return -EOPNOTSUPP;
	return !file || (dir && dir >> 56 != file >> 56) ? -EINVAL : 0;
}

static int may_link(const struct daxfs *fs, const struct link_op *op, const struct link_place *at)
{
	if (op->storage)
		return may_link_stored(fs, at);
	if (at->pos.found)
		return -EEXIST;
	return inode_backed(at->inode.sm) || inode_backed(at->dir.sm) ? -EROFS : 0;
}

/* By the name that was made or found last its path is found. A directory that is not of storage is of no path. */
static void stage_home(struct lane *lane, const struct link_place *at)
{
	uint64_t parent = word_help(lane, &at->inode.sm->parent);

	if (inode_backed(at->dir.sm))
		txn_word(&lane->txn, &at->inode.sm->parent, DAXFS_W_LINK, parent,
			 link_payload(DAXFS_INODE, handle_index(at->dir.handle)));
}

/* The name is there. If it leads to this file, that is all but for the path. */
static int link_again(struct lane *lane, const struct link_op *op, const struct link_place *at)
{
	uint64_t parent = word_load(lane, &at->inode.sm->parent);

	if (!op->storage || at->pos.handle != op->ino)
		return -EEXIST;
	if (!inode_backed(at->dir.sm) || link_index(parent) == handle_index(at->dir.handle))
		return 0;
	record_begin(lane, OP_LINK);
	stage_home(lane, at);
	return record_commit(lane);
}

static int link_new(struct lane *lane, const struct link_op *op, struct link_place *at)
{
	int rc;

	record_begin(lane, OP_LINK);
	rc = entry_insert(lane, &at->pos, &at->name, op->ino, at->inode.mode);
	if (rc)
		return record_abort(lane, rc);
	txn_word(&lane->txn, &at->inode.sm->nlink, DAXFS_W_NLINK, at->nlink,
		 nlink_payload(DAXFS_LIFE_ALIVE, nlink_count(at->nlink) + 1ull));
	if (op->storage) {
		stage_home(lane, at);
		change_bar(lane, at->dir.sm);
		change_bar(lane, at->inode.sm);
	} else {
		change_stage(lane, at->dir.sm, true);
		change_stage(lane, at->inode.sm, false);
	}
	rc = xattr_stage_since(lane, op->since);
	return rc ? record_abort(lane, rc) : record_commit(lane);
}

static int link_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct link_op *op = arg;
	struct link_place at;
	int rc = find_place(fs, lane, op, &at);

	if (rc)
		return rc;
	at.nlink = word_help(lane, &at.inode.sm->nlink);
	rc = may_link(fs, op, &at);
	if (rc == 0 && at.pos.found)
		return link_again(lane, op, &at);
	if (rc == 0)
		rc = trie_make_room(lane, &at.pos);
	if (rc)
		return rc;
	if (nlink_life(at.nlink) != DAXFS_LIFE_ALIVE)
		return -ENOENT; /* its last name went meanwhile */
	if (nlink_count(at.nlink) >= DAXFS_NLINK_MAX)
		return -EMLINK;
	rc = link_new(lane, op, &at);
	if (rc)
		return rc;
	if (!op->storage) { /* which has times of its own */
		inode_changed(lane, at.dir.sm);
		inode_renamed(lane, at.inode.sm);
	}
	if (op->out && inode_attr(lane, op->ino, op->out))
		*op->out = (struct daxfs_attr){ .ino = op->ino, .mode = at.inode.mode }; /* removed since */
	return 0;
}

int daxfs_link(struct daxfs *fs, daxfs_ino ino, daxfs_ino parent, const char *name, struct daxfs_attr *out)
{
	struct link_op op = { .ino = ino, .parent = parent, .name = name, .out = out };
	int rc = fs_run(fs, link_step, &op);

	if (rc == 0)
		blocks_fill(fs, out);
	return rc;
}

int daxfs_import_name(struct daxfs *fs, daxfs_ino parent, const char *name, daxfs_ino ino,
		      const struct daxfs_since *since)
{
	struct link_op op = { .ino = ino, .parent = parent, .name = name, .storage = true, .since = since };

	return fs_run(fs, link_step, &op);
}

int daxfs_has_links(struct daxfs *fs)
{
	if (!*fs->here)
		return -ECHILD;
	return features_incompat(&fs->pool, DAXFS_INCOMPAT_LINKS);
}
