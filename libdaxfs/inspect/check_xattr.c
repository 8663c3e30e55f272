/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_xattr.c - extended attributes: see fs/xattr.c.
 *
 * Rule: the word names a page of attributes of this very inode, whose checksum and
 * entries make sense, and of which no name comes twice, or nothing.
 */
#include <inttypes.h>

#include "fs/xattrset.h"
#include "inspect/repair.h"

void check_xattrs(struct check *c, uint64_t inode)
{
	const struct sm_inode *sm = &c->pool->inodes[inode];
	uint64_t w = check_value(c, &sm->xattrs, DAXFS_W_LINK);
	const struct place *at = PLACE_FIELD("inode", inode, "xattrs", -1);
	struct sm_xattrs set;
	const char *wrong;

	if (link_kind(w) == DAXFS_ABSENT)
		return;
	wrong = inspect_xattrs(c->pool, inode, w, &set);
	if (wrong)
		check_problem(c, "bad-xattrs", at, "%s", wrong);
	if (link_kind(w) == DAXFS_XATTR && check_reach(c, DAXFS_T_PAGE, link_index(w), DAXFS_USE_XATTR, at) && !wrong)
		return;
	if (repair_cut(c, &sm->xattrs, at))
		repair_lost(c, "inode %" PRIu64 ": its extended attributes", inode);
}
