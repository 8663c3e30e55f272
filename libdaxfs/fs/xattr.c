/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xattr.c - extended attributes.
 *
 * An inode's xattrs word names a page of attributes, or nothing. The page is constant
 * from its publication on, so a reader finds all attributes of one moment; a change
 * is a new page. The word is the only way to it: a record that changes it loses no
 * change of others.
 *
 *   change                words of its record
 *   set, remove           xattrs -> new page, nlink unchanged; the old page retired
 *   remove the last one   xattrs -> nothing, nlink unchanged; the page retired
 *   the end of an inode   nlink, and xattrs -> nothing if it names a page (truncate.c)
 *
 * Unchanged nlink: an inode that ends changes it, so none ends without seeing the page.
 * Crash: a record happens or does not.
 */
#include <errno.h>

#include "daxfs/cache.h"
#include "fs/cache.h"
#include "fs/lease.h"
#include "fs/xattrset.h"
#include "mem/trouble.h"

struct xattr_op {
	daxfs_ino ino;
	const char *name;
	const void *in; /* NULL: remove */
	void *out;      /* NULL: only the length */
	size_t size;
	unsigned flags;
	ssize_t got;
};

/* the attributes of an inode at one moment */
struct view {
	struct inode inode;
	uint64_t nlink, word;
	struct sm_xattrs set; /* a copy; used 0: none */
};

static int view_page(struct lane *lane, struct view *view)
{
	const size_t head = offsetof(struct sm_xattrs, list);
	const struct sm_xattrs *page = (const void *)pool_page(lane->pool, link_index(view->word));

	sm_read(&view->set, page, head);
	if (view->set.used <= sizeof(view->set.list))
		sm_read(view->set.list, page->list, view->set.used);
	if (!xattrset_sane(&view->set, view->inode.handle))
		return txn_broken(&lane->txn);
	return 0;
}

/* nlink before the look at the inode: unchanged since, it says that the inode is still there. */
static int view_xattrs(struct lane *lane, daxfs_ino ino, struct view *view)
{
	int rc = inode_get(lane, ino, &view->inode);

	if (rc)
		return rc;
	view->nlink = word_help(lane, &view->inode.sm->nlink);
	view->word = word_help(lane, &view->inode.sm->xattrs);
	rc = inode_get(lane, ino, &view->inode);
	if (rc)
		return rc;
	memset(&view->set, 0, offsetof(struct sm_xattrs, list));
	view->set.inode = ino;
	if (link_kind(view->word) == DAXFS_ABSENT)
		return 0;
	if (!link_names(lane->pool, view->word, DAXFS_XATTR) || pool_lost_page(lane->pool, link_index(view->word)))
		return txn_broken(&lane->txn);
	return view_page(lane, view);
}

/* -- changing -------------------------------------------------------------------- */

static void fill_page(struct lane *lane, uint64_t page, struct sm_xattrs *set)
{
	size_t len = offsetof(struct sm_xattrs, list) + set->used;
	uint8_t *to = pool_page(lane->pool, page);

	set->crc = xattrset_crc(set);
	sm_write(to, set, len);
	sm_flush(&lane->pool->shm, to, len);
}

/* Stage that an inode has this set, if any, in place of the one that was seen. */
static int stage_set(struct lane *lane, struct view *view)
{
	struct sm_inode *sm = view->inode.sm;
	uint64_t payload = link_payload(DAXFS_ABSENT, 0), page;
	int rc;

	lane->txn.spare |= link_kind(view->word) != DAXFS_ABSENT; /* a page for another: space/reserve.c */
	if (view->set.used) {
		rc = space_take(lane, DAXFS_T_PAGE, DAXFS_USE_XATTR, 1, &page);
		if (rc)
			return rc;
		fill_page(lane, page, &view->set);
		payload = link_payload(DAXFS_XATTR, page);
	}
	txn_word(&lane->txn, &sm->xattrs, DAXFS_W_LINK, view->word, payload);
	txn_word(&lane->txn, &sm->nlink, DAXFS_W_NLINK, view->nlink, word_payload(view->nlink, DAXFS_W_NLINK));
	if (link_kind(view->word) != DAXFS_ABSENT)
		record_retire(lane, DAXFS_T_PAGE, link_index(view->word));
	return 0;
}

/* What the copy of the set becomes. */
static int change_set(struct sm_xattrs *set, const struct xattr_op *op)
{
	struct xattr old;
	bool there = xattrset_find(set, op->name, &old);

	if (there && op->flags & DAXFS_XATTR_CREATE)
		return -EEXIST;
	if (!there && (!op->in || op->flags & DAXFS_XATTR_REPLACE))
		return -ENODATA;
	xattrset_remove(set, op->name);
	return op->in ? xattrset_add(set, op->name, op->in, op->size) : 0;
}

/* What agents tell each other is no change of the inode: nobody waits for kernels that know its attributes. */
static bool is_aside(const char *name)
{
	static const char prefix[] = "trusted.daxfs.";

	return strncmp(name, prefix, sizeof(prefix) - 1) == 0;
}

/*
 * May it be changed? What stands for a file or a directory of storage gets none: storage would not have them, and they
 * would go with a name that is given back. As everywhere where there are none, so that programs that copy go on.
 */
static int may_change(struct daxfs *fs, const struct xattr_op *op, struct sm_inode *sm)
{
	if (!op->in || is_aside(op->name) || !inode_backed(sm))
		return 0;
	return cache_writes(fs, inode_source(sm)) ? -EOPNOTSUPP : -EROFS;
}

static int change_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	const struct xattr_op *op = arg;
	struct view view;
	int rc = view_xattrs(lane, op->ino, &view);

	if (rc == 0)
		rc = may_change(fs, op, view.inode.sm);
	if (rc == 0)
		rc = change_set(&view.set, op);
	lane->txn.full = rc == -ENOSPC; /* the set is, so more pages are no help */
	if (rc)
		return rc;
	record_begin(lane, OP_XATTR);
	rc = stage_set(lane, &view);
	if (!is_aside(op->name))
		change_stage(lane, view.inode.sm, false);
	rc = rc ? record_abort(lane, rc) : record_commit(lane);
	if (rc == 0 && !is_aside(op->name))
		inode_renamed(lane, view.inode.sm);
	return rc;
}

/* -- reading --------------------------------------------------------------------- */

/* Hand bytes out, behind those that were before. -ERANGE. */
static int give(struct xattr_op *op, const void *from, size_t len)
{
	if (op->out && (size_t)op->got + len > op->size)
		return -ERANGE;
	if (op->out && len)
		memcpy((uint8_t *)op->out + op->got, from, len);
	op->got += (ssize_t)len;
	return 0;
}

static int get_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct xattr_op *op = arg;
	struct xattr found;
	struct view view;
	int rc = view_xattrs(lane, op->ino, &view);

	(void)fs;
	if (rc)
		return rc;
	op->got = 0;
	return xattrset_find(&view.set, op->name, &found) ? give(op, found.value, found.value_len) : -ENODATA;
}

static int list_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct xattr_op *op = arg;
	struct xattr entry;
	struct view view;
	uint32_t at = 0;
	int rc = view_xattrs(lane, op->ino, &view);

	(void)fs;
	op->got = 0;
	while (rc == 0 && xattrset_next(&view.set, &at, &entry)) {
		rc = give(op, entry.name, entry.name_len);
		if (rc == 0)
			rc = give(op, "", 1);
	}
	return rc;
}

/* -- calls ----------------------------------------------------------------------- */

static int check_name(const char *name)
{
	size_t len = strnlen(name, DAXFS_XATTR_NAME_MAX + 1);

	return len == 0 ? -EINVAL : len > DAXFS_XATTR_NAME_MAX ? -ERANGE : 0;
}

int daxfs_xattr_set(struct daxfs *fs, daxfs_ino ino, const char *name, const void *value, size_t size, unsigned flags)
{
	struct xattr_op op = { .ino = ino, .name = name, .in = size ? value : "", .size = size, .flags = flags };
	int rc = check_name(name);

	if (rc == 0 && flags & ~(DAXFS_XATTR_CREATE | DAXFS_XATTR_REPLACE))
		rc = -EINVAL;
	return rc ? rc : fs_run(fs, change_step, &op);
}

int daxfs_xattr_remove(struct daxfs *fs, daxfs_ino ino, const char *name)
{
	struct xattr_op op = { .ino = ino, .name = name };
	int rc = check_name(name);

	return rc ? rc : fs_run(fs, change_step, &op);
}

ssize_t daxfs_xattr_get(struct daxfs *fs, daxfs_ino ino, const char *name, void *value, size_t size)
{
	struct xattr_op op = { .ino = ino, .name = name, .out = size ? value : NULL, .size = size };
	int rc = check_name(name);

	if (rc == 0)
		rc = fs_run(fs, get_step, &op);
	return rc ? rc : op.got;
}

ssize_t daxfs_xattr_list(struct daxfs *fs, daxfs_ino ino, char *list, size_t size)
{
	struct xattr_op op = { .ino = ino, .out = size ? list : NULL, .size = size };
	int rc = fs_run(fs, list_step, &op);

	return rc ? rc : op.got;
}

struct since_op {
	daxfs_ino ino;
	struct daxfs_since *out;
};

static int since_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	const struct since_op *op = arg;
	struct inode inode;
	int rc = inode_get(lane, op->ino, &inode);

	(void)fs;
	if (rc == 0)
		*op->out = (struct daxfs_since){ op->ino, word_help(lane, &inode.sm->nlink) };
	return rc;
}

int daxfs_since(struct daxfs *fs, daxfs_ino ino, struct daxfs_since *out)
{
	struct since_op op = { ino, out };

	return fs_run(fs, since_step, &op);
}

/* Each change of the attributes makes a new version of this word, which the record demands as it was. */
int xattr_stage_since(struct lane *lane, const struct daxfs_since *since)
{
	struct inode inode;
	uint64_t nlink;

	if (!since)
		return 0;
	if (inode_get(lane, since->ino, &inode))
		return -ECANCELED;
	nlink = word_help(lane, &inode.sm->nlink);
	if (nlink != since->state)
		return -ECANCELED;
	txn_word(&lane->txn, &inode.sm->nlink, DAXFS_W_NLINK, nlink, word_payload(nlink, DAXFS_W_NLINK));
	return 0;
}
