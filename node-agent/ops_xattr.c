/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops_xattr.c - extended attributes.
 *
 * The kernel checks which namespaces a caller may use before it asks, except for
 * listing: here names that only root may read (trusted.*) are shown to root alone.
 *
 * Not offered, and said to be not (EOPNOTSUPP, once a file system for programs like
 * ls): POSIX ACLs (system.*), which the kernel would want to look at in every
 * directory on the way to a file. File capabilities (security.capability) end with
 * the first write, of any host: ops_file.c.
 *
 * trusted.daxfs.* is what agents and daxfsctl keep with the directory of a backing. A program that copies attributes
 * (rsync -X, cp -a) would give another directory the settings of this one: to programs there are none of that name.
 */
#include "node-agent/ops.h"

#include <errno.h>
#include <linux/xattr.h>
#include <stdlib.h>
#include <string.h>

static_assert(DAXFS_XATTR_CREATE == XATTR_CREATE && DAXFS_XATTR_REPLACE == XATTR_REPLACE, "flags");

#define LIST_MAX 65536 /* more than the names of an inode have together */

static bool begins(const char *name, const char *with)
{
	return strncmp(name, with, strlen(with)) == 0;
}

/* 0, -EOPNOTSUPP, or -EINVAL for a namespace without a name, as on other filesystems. */
static int judge_name(const char *name)
{
	static const char *const offered[] = { XATTR_USER_PREFIX, XATTR_TRUSTED_PREFIX, XATTR_SECURITY_PREFIX };

	if (begins(name, BACKING_RESERVED))
		return -EOPNOTSUPP;
	for (size_t i = 0; i < sizeof(offered) / sizeof(offered[0]); i++)
		if (begins(name, offered[i]))
			return name[strlen(offered[i])] ? 0 : -EINVAL;
	return -EOPNOTSUPP;
}

/* What only the kernel has open any more has no attributes. */
static int gone_has_none(fuse_req_t req, fuse_ino_t ino, int error)
{
	struct daxfs_attr attr;

	return error == -ESTALE && ops_getattr(req, ino, &attr) == 0 ? -ENODATA : error;
}

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags)
{
	int error = judge_name(name);

	if (ops_answered_done(req))
		return;
	if (!error)
		error = daxfs_xattr_set(ops_fs(req), ino, name, value, size, (unsigned)flags);
	ops_reply(req, error);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	int error = judge_name(name);

	if (ops_answered_done(req))
		return;
	if (!error)
		error = daxfs_xattr_remove(ops_fs(req), ino, name);
	ops_reply(req, gone_has_none(req, ino, error));
}

/* Size 0 asks for the length. */
static void reply_bytes(fuse_req_t req, ssize_t n, const char *bytes, size_t size)
{
	if (n >= 0 && size && (size_t)n > size)
		n = -ERANGE;
	if (n < 0)
		ops_reply(req, (int)n);
	else if (size == 0)
		fuse_reply_xattr(req, (size_t)n);
	else
		fuse_reply_buf(req, bytes, (size_t)n);
}

/*
 * A file without a label of SELinux says that there are none here (EOPNOTSUPP): then programs like ls ask once a
 * file system, and not for each file. Where SELinux is at work its own module answers, and the agent is not asked.
 */
static int unlabelled(const char *name, int error)
{
	return error == -ENODATA && strcmp(name, "security.selinux") == 0 ? -EOPNOTSUPP : error;
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	char *value = ops_scratch(ops_of(req), size);
	ssize_t n = value ? judge_name(name) : -ENOMEM;

	if (!n)
		n = daxfs_xattr_get(ops_fs(req), ino, name, value, size);
	if (n < 0)
		n = unlabelled(name, gone_has_none(req, ino, (int)n));
	reply_bytes(req, n, value, size);
}

/* Take names that are not for this caller out of a list: its new length. */
static ssize_t hide(char *list, ssize_t n, const char *prefix)
{
	ssize_t kept = 0;

	for (ssize_t at = 0; at < n;) {
		ssize_t len = (ssize_t)strlen(list + at) + 1;

		if (!begins(list + at, prefix)) {
			memmove(list + kept, list + at, (size_t)len);
			kept += len;
		}
		at += len;
	}
	return kept;
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	char *list = ops_scratch(ops_of(req), LIST_MAX);
	ssize_t n = list ? daxfs_xattr_list(ops_fs(req), ino, list, LIST_MAX) : -ENOMEM;

	if (n > 0)
		n = hide(list, n, fuse_req_ctx(req)->uid ? XATTR_TRUSTED_PREFIX : BACKING_RESERVED);
	n = n < 0 ? gone_has_none(req, ino, (int)n) : n;
	reply_bytes(req, n == -ENODATA ? 0 : n, list, size);
}
