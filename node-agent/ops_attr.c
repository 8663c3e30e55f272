/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops_attr.c - attributes of one inode, and of the whole filesystem.
 *
 * A setattr is one daxfs_setattr: mode, owner and size change together or not
 * at all, wherever this host dies.
 */
#include "node-agent/ops.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

static void reply_attr(fuse_req_t req, int error, const struct daxfs_attr *attr, double timeout_s)
{
	struct stat st;

	if (error) {
		ops_reply(req, ops_inode_error(req, error));
		return;
	}
	ops_stat(attr, &st);
	fuse_reply_attr(req, &st, timeout_s);
}

/* To be kept for as long as there is a lease. */
static void getattr_leased(fuse_req_t req, fuse_ino_t ino)
{
	struct ops *ops = ops_of(req);
	struct daxfs_answer answer;
	struct daxfs_lease lease;
	struct daxfs_attr attr;
	int error;

	kernel_cache_begin(&ops->cache, &answer);
	error = daxfs_getattr_leased(ops->fs, ino, true, &attr, &lease);
	if (error == -ESTALE)
		error = tombstone_getattr(&ops->tombstones, ino, &attr);
	reply_attr(req, error, &attr, kernel_cache_seconds(lease.attr_ns));
	if (!kernel_cache_end(&ops->cache, &answer))
		kernel_cache_forget(&ops->cache, ino);
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct daxfs_attr attr;
	int error;

	(void)fi;
	if (kernel_cache_keeps_attributes(&ops_of(req)->cache)) {
		getattr_leased(req, ino);
		return;
	}
	error = ops_getattr(req, ino, &attr);
	reply_attr(req, error, &attr, ops_of(req)->timeout_s);
}

/* For "now" the kernel sets both bits of a time. */
unsigned ops_set_bits(int to_set)
{
	unsigned set = 0;

	if (to_set & FUSE_SET_ATTR_MODE)
		set |= DAXFS_SET_MODE;
	if (to_set & FUSE_SET_ATTR_UID)
		set |= DAXFS_SET_UID;
	if (to_set & FUSE_SET_ATTR_GID)
		set |= DAXFS_SET_GID;
	if (to_set & FUSE_SET_ATTR_SIZE)
		set |= DAXFS_SET_SIZE;
	if (to_set & FUSE_SET_ATTR_ATIME_NOW)
		set |= DAXFS_SET_ATIME_NOW;
	else if (to_set & FUSE_SET_ATTR_ATIME)
		set |= DAXFS_SET_ATIME;
	if (to_set & FUSE_SET_ATTR_MTIME_NOW)
		set |= DAXFS_SET_MTIME_NOW;
	else if (to_set & FUSE_SET_ATTR_MTIME)
		set |= DAXFS_SET_MTIME;
	return set;
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *in, int to_set, struct fuse_file_info *fi)
{
	unsigned set = ops_set_bits(to_set);
	struct daxfs_attr attr, want;
	int error;

	(void)fi;
	if (ops_done()) /* but for the times, which are in no record */
		set &= ~(unsigned)(DAXFS_SET_MODE | DAXFS_SET_UID | DAXFS_SET_GID | DAXFS_SET_SIZE);
	if ((to_set & FUSE_SET_ATTR_SIZE) && in->st_size < 0) {
		ops_reply(req, -EINVAL);
		return;
	}
	memset(&want, 0, sizeof(want));
	want.mode = in->st_mode;
	want.uid = in->st_uid;
	want.gid = in->st_gid;
	want.size = (uint64_t)in->st_size;
	want.atime = in->st_atim;
	want.mtime = in->st_mtim;
	error = daxfs_setattr(ops_fs(req), ino, set, &want, &attr);
	if (error == -ESTALE)
		error = tombstone_setattr(&ops_of(req)->tombstones, ino, set, &want, &attr);
	reply_attr(req, error, &attr, ops_of(req)->timeout_s);
}

/* Retired objects are in nobody's way for long: they count as free. Of the free pages some are
 * for those who overwrite and delete only. */
void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct daxfs_statfs usage;
	struct statvfs out;
	int error;

	(void)ino;
	error = daxfs_statfs(ops_fs(req), &usage);
	if (error) {
		ops_reply(req, error);
		return;
	}
	memset(&out, 0, sizeof(out));
	out.f_bsize = 4096;
	out.f_frsize = 4096;
	out.f_blocks = usage.pages.total;
	out.f_bfree = usage.pages.free;
	out.f_bavail = out.f_bfree > usage.reserved ? out.f_bfree - usage.reserved : 0;
	out.f_files = usage.inodes.total;
	out.f_ffree = usage.inodes.free;
	out.f_favail = out.f_ffree;
	out.f_namemax = 255;
	fuse_reply_statfs(req, &out);
}
