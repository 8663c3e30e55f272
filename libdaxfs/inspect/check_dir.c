/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_dir.c - directories: what has a name, and the tree that names make.
 *
 * Directories are walked from a queue that each enters at most once, so neither a
 * cycle nor a deep tree costs more than the objects there are. Their nodes: check_trie.c.
 */
#include <inttypes.h>
#include <sys/stat.h>

#include "index/filemap.h"
#include "inspect/check_trie.h"
#include "inspect/repair.h"

/* -- what has a name -------------------------------------------------------- */

/* False: it has another name, or is above this one, or is the root, and this one is not to stay. */
static bool reach_dir(struct dir_walk *d, uint64_t inode, const struct place *at)
{
	struct check *c = d->c;
	uint64_t parent = check_value(c, &c->pool->inodes[inode].parent, DAXFS_W_LINK);
	bool above = c->top && inode == c->top; /* a loop that nothing leads to */
	bool stays = c->names[inode] <= 1 && (inode != DAXFS_ROOT_INO || !c->names[inode]) && !above;

	if (parent != link_payload(DAXFS_INODE, d->dir)) {
		check_problem(c, "bad-parent", PLACE("inode", inode),
			      "named in directory %" PRIu64 ", its parent word is kind %u index %" PRIu64, d->dir,
			      link_kind(parent), link_index(parent));
		if (stays && repair_do(c, PLACE_FIELD("inode", inode, "parent", -1), "directory %" PRIu64, d->dir))
			repair_word(c, &c->pool->inodes[inode].parent, DAXFS_W_LINK, link_payload(DAXFS_INODE, d->dir));
	}
	if (above)
		check_problem(c, "double-dir", at, "directory %" PRIu64 " is above it", inode);
	else if (c->names[inode] > 1)
		check_problem(c, "double-dir", at, "directory %" PRIu64 " has another name already", inode);
	return stays;
}

/* The first name of an inode brings in what is below it. */
static void reach_inode(struct check *c, uint64_t inode, bool dir, const struct place *at)
{
	if (check_is(c, DAXFS_T_INODE, inode, CHECK_REACHED))
		return;
	c->notes[DAXFS_T_INODE][inode] |= CHECK_REACHED;
	check_state(c, DAXFS_T_INODE, inode, DAXFS_USE_INODE, at);
	c->out->directories += dir;
	c->out->files += !dir;
	if (dir)
		c->queue[c->queued++] = (uint32_t)inode;
	else
		check_content(c, inode);
}

/* An entry's type follows its inode; but an inode without a type follows its entry. */
static void repair_type(struct check *c, uint64_t index, uint64_t dirent, uint32_t mode, unsigned type)
{
	const struct sm_dirent *entry = &c->pool->dirents[dirent];
	uint8_t right = (uint8_t)((mode & S_IFMT) >> 12);

	if (right) {
		if (repair_do(c, PLACE("dirent", dirent), "of type %u", right))
			repair_bytes(c, &entry->type, &right, 1);
	} else if (repair_do(c, PLACE_FIELD("inode", index, "mode", -1), "of type %u", type)) {
		mode = (mode & 07777) | (uint32_t)(type & 15) << 12;
		repair_word(c, &c->pool->inodes[index].mode, DAXFS_W_ATTR, mode);
	}
}

static bool in_storage(const struct check *c, uint64_t inode)
{
	const struct sm_inode *sm = &c->pool->inodes[inode];

	return !check_unknown(c, &sm->rdev) && inode_backed(sm);
}

/* Nobody makes names in a directory of storage, and the root is none: then rdev is what is wrong. */
static void check_own(struct check *c, uint64_t inode)
{
	if (!in_storage(c, inode))
		return;
	check_problem(c, "bad-source", PLACE("inode", inode), "in storage, but it is a directory of the pool's own");
	if (repair_do(c, PLACE("inode", inode), "a directory of the pool"))
		repair_plain(c, &c->pool->inodes[inode].rdev, 0);
}

bool check_target(struct dir_walk *d, const struct sm_dirent *entry, uint64_t dirent, const struct place *at)
{
	struct check *c = d->c;
	uint64_t index = handle_index(entry->handle);
	uint32_t mode;

	c->out->names++;
	if (index && index < c->pool->objects[DAXFS_T_INODE] &&
	    check_blind(c, &c->pool->inodes[index], sizeof(struct sm_inode))) {
		c->notes[DAXFS_T_INODE][index] |= CHECK_REACHED;
		return true; /* for all that can be said */
	}
	if (index == 0 || index >= c->pool->objects[DAXFS_T_INODE] ||
	    sm_load(&c->pool->inodes[index].i_generation) != handle_generation(entry->handle)) {
		check_problem(c, "bad-handle", at, "names handle %#" PRIx64 ", which is no inode", entry->handle);
		return false;
	}
	c->names[index]++;
	if (check_unknown(c, &c->pool->inodes[index].mode))
		mode = (uint32_t)entry->type << 12; /* for all that can be said */
	else
		mode = (uint32_t)check_value(c, &c->pool->inodes[index].mode, DAXFS_W_ATTR);
	if (entry->type != (mode & S_IFMT) >> 12) {
		check_problem(c, "bad-type", at, "says type %u, mode of inode %" PRIu64 " is %#o", entry->type, index,
			      mode);
		repair_type(c, index, dirent, mode, entry->type);
		mode = (uint32_t)check_value(c, &c->pool->inodes[index].mode, DAXFS_W_ATTR);
	}
	if (S_ISDIR(mode) && !reach_dir(d, index, at) && c->fix) {
		c->names[index]--;
		return false;
	}
	d->own |= !in_storage(c, index);
	reach_inode(c, index, S_ISDIR(mode), at);
	return true;
}

/* -- the tree --------------------------------------------------------------- */

static void check_dir(struct check *c, uint64_t inode)
{
	struct dir_walk d = { .c = c, .dir = inode, .orphan = check_is(c, DAXFS_T_INODE, inode, CHECK_ORPHAN) };
	uint64_t w = check_value(c, &c->pool->inodes[inode].dir_root, DAXFS_W_LINK);
	const struct place *at = PLACE_FIELD("inode", inode, "dir_root", -1);

	check_content(c, inode);
	if (link_kind(w) != DAXFS_NODE)
		check_problem(c, "bad-kind", at, "a directory's root is a link of kind %u", link_kind(w));
	if (link_kind(w) == DAXFS_NODE && check_reach(c, DAXFS_T_PAGE, link_index(w), DAXFS_USE_NODE, at)) {
		check_trie(&d, link_index(w));
		if (d.own || inode == DAXFS_ROOT_INO)
			check_own(c, inode);
		return;
	}
	repair_root(c, inode, at);
}

void check_dirs_queued(struct check *c)
{
	/* What is walked may queue more; the queue has a place for every inode. */
	for (uint64_t i = 0; i < c->queued; i++)
		check_dir(c, c->queue[i]);
	c->queued = 0;
}

void check_tree(struct check *c)
{
	uint32_t mode = (uint32_t)check_value(c, &c->pool->inodes[DAXFS_ROOT_INO].mode, DAXFS_W_ATTR);
	const struct place *at = PLACE("inode", DAXFS_ROOT_INO);
	struct dir_walk root = { .c = c, .dir = DAXFS_ROOT_INO };

	c->notes[DAXFS_T_INODE][0] |= CHECK_REACHED; /* nobody's, and never to be taken */
	check_state(c, DAXFS_T_INODE, 0, DAXFS_USE_NONE, PLACE("inode", 0));
	if (check_blind(c, &c->pool->inodes[DAXFS_ROOT_INO], sizeof(struct sm_inode)))
		return;
	if (!S_ISDIR(mode)) {
		check_problem(c, "bad-mode", at, "the root is not a directory but %#o", mode);
		if (!repair_do(c, at, "a directory"))
			return;
		repair_word(c, &c->pool->inodes[DAXFS_ROOT_INO].mode, DAXFS_W_ATTR, S_IFDIR | (mode & 07777));
	}
	reach_dir(&root, DAXFS_ROOT_INO, at);
	reach_inode(c, DAXFS_ROOT_INO, true, at);
	check_dirs_queued(c);
}
