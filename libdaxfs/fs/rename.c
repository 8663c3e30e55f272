/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rename.c - moving names, in one record.
 *
 *   move      source slot -> absent, target slot -> new entry, both counts
 *   replace   and the victim's link count (a directory: its root frozen)
 *   exchange  both slots -> new entries
 *   a directory to another parent: its parent word, and the tree word of the
 *       pool, which every such move bumps. So the ancestry that was walked to
 *       exclude a cycle has not changed when the record commits, and no lock is
 *       needed.
 *   of storage, anything to another parent: its parent word, too, by which its path is found
 *
 * At every moment the name is in the old place, or in the new one: the record's
 * status decides for both words at once.
 */
#include <errno.h>

#include "fs/cache.h"
#include "fs/lease.h"

#define NOTHING_TO_DO 1

struct rename_op {
	daxfs_ino parent, new_parent;
	const char *name, *new_name;
	unsigned flags;
	bool storage; /* as it was done there: of these two, and no others */
	daxfs_ino ino, victim;
	const struct daxfs_since *since;
};

/* of a rename: a name in a directory */
struct end {
	struct inode dir, inode; /* inode: what the name leads to, if found */
	struct trie_name name;
	struct trie_pos pos;
	bool last; /* staged: the name was its last one; */
	bool gone; /* ... and the inode is gone with it */
};

static int find_end(struct daxfs *fs, struct lane *lane, daxfs_ino parent, const char *name, struct end *end)
{
	uint64_t root;
	int rc = inode_get_dir(lane, parent, &end->dir, &root);

	end->last = end->gone = false;
	if (rc == 0)
		rc = name_init(&fs->pool, name, &end->name);
	if (rc)
		return rc == -EEXIST ? -EBUSY : rc; /* "." and ".." cannot be renamed */
	rc = trie_find(lane, root, &end->name, true, &end->pos);
	if (rc == 0 && end->pos.found) {
		rc = inode_get(lane, end->pos.handle, &end->inode);
		rc = rc == -ESTALE ? entry_gone(lane, &end->pos) : rc;
	}
	return rc;
}

/*
 * The way up from a directory led to something that is none. If the directory is
 * still there and no directory has moved, all above it was there too.
 */
static int way_gone(struct lane *lane, const struct inode *dir, uint64_t tree)
{
	struct inode still;

	if (word_load(lane, &lane_manager(lane)->tree) != tree || inode_get(lane, dir->handle, &still))
		return -EAGAIN;
	return txn_broken(&lane->txn);
}

/* Is `ancestor` on the way from directory `dir` up to the root? */
static int is_below(struct lane *lane, const struct inode *dir, uint64_t ancestor, uint64_t tree)
{
	uint64_t limit = lane->pool->objects[DAXFS_T_INODE], index = handle_index(dir->handle);

	for (uint64_t steps = 0; index != DAXFS_ROOT_INO && steps < limit; steps++) {
		uint64_t w;

		if (index == ancestor)
			return -EINVAL;
		w = word_load(lane, &lane->pool->inodes[index].parent);
		if (link_kind(w) != DAXFS_INODE || link_index(w) >= limit)
			return way_gone(lane, dir, tree); /* a directory on the way was just removed */
		index = link_index(w);
	}
	return index == ancestor ? -EINVAL : 0;
}

/* Stage that a directory has another parent. */
static void stage_parent(struct lane *lane, const struct inode *dir, daxfs_ino parent)
{
	txn_word(&lane->txn, &dir->sm->parent, DAXFS_W_LINK, word_help(lane, &dir->sm->parent),
		 link_payload(DAXFS_INODE, handle_index(parent)));
}

/* Check that the moving directories do not end below themselves. 1: parents change. */
static int check_tree(struct lane *lane, const struct end *from, const struct end *to, bool exchange, uint64_t *tree)
{
	bool moves = S_ISDIR(from->inode.mode) || (exchange && S_ISDIR(to->inode.mode));
	int rc = 0;

	if (!moves || from->dir.sm == to->dir.sm)
		return 0;
	*tree = word_help(lane, &lane_manager(lane)->tree);
	if (S_ISDIR(from->inode.mode))
		rc = is_below(lane, &to->dir, handle_index(from->inode.handle), *tree);
	if (rc == 0 && exchange && S_ISDIR(to->inode.mode))
		rc = is_below(lane, &from->dir, handle_index(to->inode.handle), *tree);
	/* The way up was read step by step: it was one way only if no directory has moved. */
	if (rc == -EINVAL && word_load(lane, &lane_manager(lane)->tree) != *tree)
		rc = -EAGAIN;
	return rc ? rc : 1;
}

/* May `to`, which exists, be replaced by `from`? */
static int check_replace(const struct end *from, const struct end *to)
{
	if (S_ISDIR(from->inode.mode) && !S_ISDIR(to->inode.mode))
		return -ENOTDIR;
	if (!S_ISDIR(from->inode.mode) && S_ISDIR(to->inode.mode))
		return -EISDIR;
	return 0;
}

/* Stage the end of what the target name led to; begins the record. */
static int stage_victim(struct lane *lane, struct end *to)
{
	uint64_t nlink;

	if (S_ISDIR(to->inode.mode))
		return entry_stage_rmdir(lane, &to->inode, &to->pos);
	nlink = word_help(lane, &to->inode.sm->nlink);
	if (nlink_life(nlink) != DAXFS_LIFE_ALIVE || nlink_count(nlink) == 0)
		return entry_gone(lane, &to->pos);
	record_begin(lane, OP_RENAME);
	to->last = nlink_count(nlink) == 1;
	to->gone = inode_stage_unlink(lane, to->pos.handle, to->inode.sm, nlink);
	return 0;
}

/* Stage the disappearance of `from` and the new entry at `to`. */
static int stage_move(struct lane *lane, struct end *from, struct end *to)
{
	int rc;

	if (from->pos.slot == to->pos.slot) /* the target's place is where the source is */
		return entry_replace(lane, &from->pos, &to->name, from->pos.handle, from->inode.mode);
	if (to->pos.found)
		rc = entry_replace(lane, &to->pos, &to->name, from->pos.handle, from->inode.mode);
	else
		rc = entry_insert(lane, &to->pos, &to->name, from->pos.handle, from->inode.mode);
	if (rc == 0)
		entry_remove(lane, &from->pos); /* last: see trie_remove */
	return rc;
}

static void stage_tree(struct lane *lane, const struct rename_op *op, const struct end *from, const struct end *to,
		       uint64_t tree)
{
	if (S_ISDIR(from->inode.mode))
		stage_parent(lane, &from->inode, op->new_parent);
	if (op->flags & DAXFS_RENAME_EXCHANGE && S_ISDIR(to->inode.mode))
		stage_parent(lane, &to->inode, op->parent);
	txn_word(&lane->txn, &lane_manager(lane)->tree, DAXFS_W_TICK, tree, 0);
}

/* Both directories change, and what the names led to; in storage times are what they are there. */
static void stage_changes(struct lane *lane, const struct rename_op *op, struct end *from, struct end *to)
{
	struct sm_inode *changed[4] = { from->dir.sm, to->dir.sm, from->inode.sm, to->pos.found ? to->inode.sm : NULL };

	for (unsigned i = 0; i < 4; i++) {
		if (!changed[i] || (i == 1 && changed[1] == changed[0]))
			continue;
		if (op->storage)
			change_bar(lane, changed[i]);
		else
			change_stage(lane, changed[i], i < 2);
	}
}

static int exchange(struct lane *lane, const struct rename_op *op, struct end *from, struct end *to)
{
	uint64_t tree = 0;
	int rc, parents;

	if (!to->pos.found)
		return -ENOENT;
	if (from->pos.slot == to->pos.slot)
		return NOTHING_TO_DO;
	parents = check_tree(lane, from, to, true, &tree);
	if (parents < 0)
		return parents;
	record_begin(lane, OP_EXCHANGE);
	rc = entry_replace(lane, &from->pos, &from->name, to->pos.handle, to->inode.mode);
	if (rc == 0)
		rc = entry_replace(lane, &to->pos, &to->name, from->pos.handle, from->inode.mode);
	if (rc)
		return record_abort(lane, rc);
	if (parents)
		stage_tree(lane, op, from, to, tree);
	stage_changes(lane, op, from, to);
	return record_commit(lane);
}

static int move(struct lane *lane, const struct rename_op *op, struct end *from, struct end *to)
{
	uint64_t tree = 0;
	int rc = 0, parents;

	if (to->pos.found && to->pos.handle == from->pos.handle)
		return NOTHING_TO_DO; /* two names of one file, says POSIX */
	if (to->pos.found)
		rc = check_replace(from, to);
	else if (from->pos.slot != to->pos.slot)
		rc = trie_make_room(lane, &to->pos);
	if (rc)
		return rc;
	parents = check_tree(lane, from, to, false, &tree);
	if (parents < 0)
		return parents;
	if (to->pos.found)
		rc = stage_victim(lane, to);
	else
		record_begin(lane, OP_RENAME);
	if (rc)
		return rc;
	rc = stage_move(lane, from, to);
	if (rc)
		return record_abort(lane, rc);
	if (parents)
		stage_tree(lane, op, from, to, tree);
	else if (op->storage && from->dir.sm != to->dir.sm)
		stage_parent(lane, &from->inode, op->new_parent);
	stage_changes(lane, op, from, to);
	rc = xattr_stage_since(lane, op->since);
	return rc ? record_abort(lane, rc) : record_commit(lane);
}

/* After the record: times, and the victim, which may have other names, or be held. */
static int after_move(struct lane *lane, const struct rename_op *op, struct end *from, struct end *to)
{
	int rc;

	if (!op->storage) { /* which has times of its own */
		inode_changed(lane, from->dir.sm);
		if (to->dir.sm != from->dir.sm)
			inode_changed(lane, to->dir.sm);
		inode_renamed(lane, from->inode.sm);
	}
	if (!to->pos.found || to->pos.handle == from->pos.handle)
		return 0;
	if (!to->gone)
		inode_renamed(lane, to->inode.sm);
	if (to->last && !to->gone && op->storage && S_ISREG(to->inode.mode))
		cache_stamp_removed(lane, to->inode.sm);
	if (op->flags & DAXFS_RENAME_EXCHANGE)
		return 0;
	rc = inode_finish_or_list(lane, to->pos.handle);
	return rc > 0 ? 0 : rc;
}

/* The names of directories of storage are changed there first, and then as they were. */
static int may_rename(const struct rename_op *op, const struct end *from, const struct end *to)
{
	bool backed = inode_backed(from->dir.sm) && inode_backed(to->dir.sm) && inode_backed(from->inode.sm);

	if (!op->storage)
		return inode_backed(from->dir.sm) || inode_backed(to->dir.sm) ? -EROFS : 0;
	if (!backed)
		return -EINVAL;
	return from->pos.handle == op->ino && (to->pos.found ? to->pos.handle : 0) == op->victim ? 0 : -ESTALE;
}

static int rename_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct rename_op *op = arg;
	struct end from, to;
	int rc = find_end(fs, lane, op->parent, op->name, &from);

	if (rc == 0 && !from.pos.found)
		rc = -ENOENT;
	if (rc == 0)
		rc = find_end(fs, lane, op->new_parent, op->new_name, &to);
	if (rc == 0)
		rc = may_rename(op, &from, &to);
	if (rc)
		return rc;
	lane_todo(lane, 0);
	if (to.pos.found && op->flags & DAXFS_RENAME_NOREPLACE)
		rc = -EEXIST;
	else
		rc = op->flags & DAXFS_RENAME_EXCHANGE ? exchange(lane, op, &from, &to) : move(lane, op, &from, &to);
	if (rc == 0)
		return after_move(lane, op, &from, &to);
	/* An answer that changed nothing must have been true at one moment: when
	 * we looked at what the two lead to, they still did. */
	if (!trie_unchanged(lane, &from.pos) || (to.pos.found && !trie_unchanged(lane, &to.pos)))
		return -EAGAIN;
	return rc == NOTHING_TO_DO ? 0 : rc;
}

int daxfs_rename(struct daxfs *fs, daxfs_ino parent, const char *name, daxfs_ino new_parent, const char *new_name,
		 unsigned flags)
{
	struct rename_op op = { parent, new_parent, name, new_name, flags, false, 0, 0, NULL };

	if (flags & ~(DAXFS_RENAME_NOREPLACE | DAXFS_RENAME_EXCHANGE) ||
	    flags == (DAXFS_RENAME_NOREPLACE | DAXFS_RENAME_EXCHANGE))
		return -EINVAL;
	return fs_run(fs, rename_step, &op);
}

int daxfs_move(struct daxfs *fs, daxfs_ino parent, const char *name, daxfs_ino ino, daxfs_ino new_parent,
	       const char *new_name, daxfs_ino victim, const struct daxfs_since *since)
{
	struct rename_op op = { parent, new_parent, name, new_name, 0, true, ino, victim, since };

	return fs_run(fs, rename_step, &op);
}
