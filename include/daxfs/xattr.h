/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xattr.h - extended attributes of inodes.
 *
 * Included by daxfs.h, at whose head stands what holds for all calls.
 */
#ifndef DAXFS_XATTR_H
#define DAXFS_XATTR_H

#include "daxfs/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DAXFS_XATTR_CREATE 1u
#define DAXFS_XATTR_REPLACE 2u

/*
 * daxfs_xattr_set - set an extended attribute
 *
 * A name is any string of 1 to 255 bytes; what namespaces mean, and who may use them, is for the
 * caller to say. The attributes of an inode lie in one page: names, values and 4 bytes each have 4064
 * bytes together. With DAXFS_XATTR_CREATE the attribute must be new, with DAXFS_XATTR_REPLACE it must
 * be there. On any inode, with or without a name, but for those that stand for files and directories of
 * storage (cache.h): they have names that begin with trusted.daxfs. alone, which programs use for themselves.
 *
 * Errors:
 * -EOPNOTSUPP, -EROFS  it is of storage, which this process writes, or does not
 * -EEXIST   it exists, with CREATE
 * -ENODATA  it does not, with REPLACE
 * -ENOSPC   no room in the page, or no free page
 * -ERANGE   a name of more than 255 bytes
 * -EINVAL   an empty name, or flags that are not known
 * Crash: set, or as it was.
 */
DAXFS_API int daxfs_xattr_set(struct daxfs *fs, daxfs_ino ino, const char *name, const void *value, size_t size,
			      unsigned flags);

/*
 * daxfs_xattr_get - read an extended attribute
 *
 * Returns its length; copies it if size is not 0.
 *
 * Errors:
 * -ENODATA  there is none of that name
 * -ERANGE   it has more than size bytes; or a name of more than 255
 * -EINVAL   an empty name
 */
DAXFS_API ssize_t daxfs_xattr_get(struct daxfs *fs, daxfs_ino ino, const char *name, void *value, size_t size);

/*
 * daxfs_xattr_list - the names of all extended attributes
 *
 * Returns the length of all names, each with its NUL; copies them if size is not 0. They are of one
 * moment, in no order.
 *
 * Errors:
 * -ERANGE   they have more than size bytes
 */
DAXFS_API ssize_t daxfs_xattr_list(struct daxfs *fs, daxfs_ino ino, char *list, size_t size);

/*
 * daxfs_xattr_remove - remove an extended attribute
 *
 * Errors:
 * -ENODATA  there is none of that name
 * -ENOSPC   no free page for those that are left
 * -ERANGE, -EINVAL as daxfs_xattr_set
 * Crash: removed, or as it was.
 */
DAXFS_API int daxfs_xattr_remove(struct daxfs *fs, daxfs_ino ino, const char *name);

#ifdef __cplusplus
}
#endif
#endif
