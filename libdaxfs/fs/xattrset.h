/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xattrset.h - the extended attributes of an inode, on private memory: a copy of
 * their page, looked through and changed. No pool, no lanes.
 *
 * The list of a page is entries without gaps: two lengths of 16 bits (the processor's
 * order: little-endian), the name without a NUL, the value. No name comes twice. Order
 * means nothing: what is set is put at the end.
 */
#ifndef DAXFS_FS_XATTRSET_H
#define DAXFS_FS_XATTRSET_H

#include <stdbool.h>
#include <stddef.h>

#include "daxfs/format.h"

struct xattr {
	const char *name; /* not terminated */
	const uint8_t *value;
	unsigned name_len, value_len;
};

/* The entry at an offset of the list, and the offset behind it; false: at the end, or it makes no sense. */
bool xattrset_next(const struct sm_xattrs *set, uint32_t *at, struct xattr *out);
/* Is a page, copied as far as it is used, what somebody wrote for this inode? */
bool xattrset_sane(const struct sm_xattrs *set, uint64_t inode);
uint32_t xattrset_crc(const struct sm_xattrs *set);
bool xattrset_find(const struct sm_xattrs *set, const char *name, struct xattr *out);
/* Without a name, if it has it. */
void xattrset_remove(struct sm_xattrs *set, const char *name);
/* With one more, whose name it has not. -ENOSPC. */
int xattrset_add(struct sm_xattrs *set, const char *name, const void *value, size_t len);

#endif
