/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repair_found.c - names for what lost its names.
 *
 * The pool is whole again, so this is work as any host does it: the caller joins a free
 * slot for the time it takes, and each name is one record: the slot and count of
 * /lost+found, the link count 0 -> 1, of a directory its parent and the tree word.
 * An inode that is ALIVE with 0 links is nothing else than one that is to be named.
 * Crash: what has a name by then has it; the rest is still such an inode, of which the
 * next repair takes care. The slot is recovered as any.
 */
#include "inspect/repair_found.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "fs/fs.h"
#include "inspect/inspect.h"
#include "sync/member.h"
#include "sync/record.h"

struct naming {
	daxfs_ino parent, ino;
	char name[40];
};

static int stage(struct lane *lane, const struct naming *n, const struct inode *inode, const struct trie_pos *pos,
		 const struct trie_name *name, uint64_t nlink)
{
	uint64_t parent = word_help(lane, &inode->sm->parent);
	uint64_t tree = word_help(lane, &lane_manager(lane)->tree);
	int rc;

	record_begin(lane, OP_LINK);
	rc = entry_insert(lane, pos, name, n->ino, inode->mode);
	if (rc)
		return record_abort(lane, rc);
	txn_word(&lane->txn, &inode->sm->nlink, DAXFS_W_NLINK, nlink, nlink_payload(DAXFS_LIFE_ALIVE, 1));
	if (S_ISDIR(inode->mode)) {
		txn_word(&lane->txn, &inode->sm->parent, DAXFS_W_LINK, parent,
			 link_payload(DAXFS_INODE, handle_index(n->parent)));
		txn_word(&lane->txn, &lane_manager(lane)->tree, DAXFS_W_TICK, tree, 0);
	}
	return record_commit(lane);
}

static int name_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	const struct naming *n = arg;
	struct inode dir, inode;
	struct trie_name name;
	struct trie_pos pos;
	uint64_t root, nlink;
	int rc = inode_get(lane, n->ino, &inode);

	if (rc == 0)
		rc = inode_get_dir(lane, n->parent, &dir, &root);
	if (rc == 0)
		rc = name_init(&fs->pool, n->name, &name);
	if (rc == 0)
		rc = trie_find(lane, root, &name, true, &pos);
	if (rc == 0)
		rc = pos.found ? -EEXIST : trie_make_room(lane, &pos);
	if (rc)
		return rc;
	nlink = word_help(lane, &inode.sm->nlink);
	if (nlink_life(nlink) != DAXFS_LIFE_ALIVE || nlink_count(nlink) != 0)
		return 0;
	return stage(lane, n, &inode, &pos, &name, nlink);
}

/* #INDEX, or #INDEX.1 and so on where that is taken. */
static int give_name(struct daxfs *fs, struct naming *n)
{
	int rc = -EEXIST;

	for (unsigned i = 0; rc == -EEXIST && i < 100; i++) {
		if (i)
			snprintf(n->name, sizeof(n->name), "#%" PRIu64 ".%u", handle_index(n->ino), i);
		else
			snprintf(n->name, sizeof(n->name), "#%" PRIu64, handle_index(n->ino));
		rc = fs_run(fs, name_step, n);
	}
	return rc;
}

static int lost_and_found(struct daxfs *fs, daxfs_ino *out)
{
	const struct daxfs_cred root = { 0, 0 };
	struct daxfs_attr attr;
	int rc = daxfs_mkdir(fs, DAXFS_ROOT, "lost+found", 0700, root, &attr);

	if (rc == -EEXIST)
		rc = daxfs_lookup(fs, DAXFS_ROOT, "lost+found", &attr);
	*out = attr.ino;
	return rc ? rc : S_ISDIR(attr.mode) ? 0 : -ENOTDIR;
}

static bool nameless(const struct pool *pool, uint64_t i)
{
	uint64_t s = sm_load(&pool->state[DAXFS_T_INODE][i]);
	uint64_t nlink = inspect_word(pool, &pool->inodes[i].nlink, DAXFS_W_NLINK);

	return state_of(s) == DAXFS_LIVE && use_of(s) == DAXFS_USE_INODE && nlink_life(nlink) == DAXFS_LIFE_ALIVE &&
	       nlink_count(nlink) == 0;
}

static int name_all(struct daxfs *fs, daxfs_report report, void *context, struct daxfs_repaired *out)
{
	struct naming n;
	int rc = lost_and_found(fs, &n.parent);

	for (uint64_t i = DAXFS_ROOT_INO + 1; rc == 0 && i < fs->pool.objects[DAXFS_T_INODE]; i++) {
		if (!nameless(&fs->pool, i))
			continue;
		n.ino = handle_make(sm_load(&fs->pool.inodes[i].i_generation) & 0xffffffffull, i);
		rc = give_name(fs, &n);
		if (rc)
			break;
		out->repairs++;
		out->found++;
		if (report)
			inspect_line(report, context, "did: inode %" PRIu64 ": named /lost+found/%s", i, n.name);
	}
	return rc;
}

void repair_found(struct daxfs *fs, daxfs_report report, void *context, struct daxfs_repaired *out)
{
	struct daxfs_error err = { .text = "no host slot is free to work from" };
	int rc = -EBUSY;

	for (unsigned host = fs->pool.super.hosts; rc && host > 0; host--)
		rc = daxfs_join(fs, host - 1, "daxfsctl", &err);
	if (rc == 0) {
		daxfs_beat(fs);
		rc = name_all(fs, report, context, out);
		if (rc)
			snprintf(err.text, sizeof(err.text), "%s (error %d)",
				 rc == -ENOSPC    ? "no space"
				 : rc == -ENOTDIR ? "/lost+found is no directory"
						  : "the pool cannot be used",
				 -rc);
		daxfs_leave(fs);
	}
	if (rc && report)
		inspect_line(report, context, "left: inodes without names: %s", err.text);
}
