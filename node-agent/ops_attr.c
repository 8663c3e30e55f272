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
	ops_stat(ops_of(req), attr, &st);
	if (attr->nlink)
		kernel_cache_counts(&ops_of(req)->cache, attr->ino);
	fuse_reply_attr(req, &st, timeout_s);
}

/* It must wait until pages are dropped: somebody else answers. The mount goes, if that cannot be. */
static void leave_to_dropper(fuse_req_t req, daxfs_ino ino)
{
	if (!kernel_pages_question(&ops_of(req)->pages, req, ino, ops_backing_number(req, ino)))
		ops_reply(req, -ENOTCONN);
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
	if (ops->pages.on && !error && !kernel_pages_good(&ops->pages, ino, lease.since)) {
		kernel_cache_end(&ops->cache, &answer);
		leave_to_dropper(req, ino);
		return;
	}
	if (error == -ESTALE)
		error = tombstone_getattr(&ops->tombstones, ino, &attr);
	reply_attr(req, error, &attr, kernel_cache_seconds(lease.attr_ns));
	if (!kernel_cache_end(&ops->cache, &answer))
		kernel_cache_forget(&ops->cache, ino);
}

/* The number of the lease that this host has, or gets; 0: none. */
static uint64_t lease_now(struct ops *ops, daxfs_ino ino)
{
	struct daxfs_answer answer;
	struct daxfs_lease lease;
	struct daxfs_attr attr;

	kernel_cache_begin(&ops->cache, &answer);
	if (daxfs_getattr_leased(ops->fs, ino, true, &attr, &lease) != 0)
		lease.since = 0;
	return kernel_cache_end(&ops->cache, &answer) ? lease.since : 0;
}

/*
 * Attributes, and the last byte: of what is in storage from there, if the pool has it not, for without it the kernel
 * would not learn that the file is longer. 1: there is none, or it cannot be read from the pool's own memory.
 */
static int look_at_end(struct ops *ops, daxfs_ino ino, bool stored, struct daxfs_attr *attr, uint8_t *last)
{
	ssize_t n;
	int error;

	do {
		error = daxfs_getattr(ops->fs, ino, attr);
		if (error || !attr->size)
			return error ? error : 1;
		n = daxfs_read_cached(ops->fs, ino, last, 1, attr->size - 1);
		if (n < 0 && stored)
			n = daxfs_read(ops->fs, ino, last, 1, attr->size - 1);
	} while (n == 0); /* cut meanwhile */
	return n > 0 ? 0 : stored ? (int)n : 1;
}

/*
 * Outside of an answer: who asks for the lease waits for those, and this may wait for reads. What is answered is not
 * believed, for it was asked for before the pages were dropped; so the kernel is told of a larger size beforehand,
 * and learns of a smaller one by what it reads.
 */
void ops_getattr_dropping(fuse_req_t req, daxfs_ino ino, int backing, int drop)
{
	struct ops *ops = ops_of(req);
	uint64_t changes = kernel_pages_changes(&ops->pages, ino), since = lease_now(ops, ino);
	struct daxfs_attr attr;
	uint8_t last = 0;
	int error;

	error = look_at_end(ops, ino, backing != QUESTION_OF_POOL, &attr, &last);
	dropper_drop(drop, ino, error ? 0 : attr.size, last);
	if (error >= 0 && since && lease_now(ops, ino) == since)
		kernel_pages_dropped(&ops->pages, ino, since, changes);
	if (error == -ESTALE)
		error = tombstone_getattr(&ops->tombstones, ino, &attr);
	reply_attr(req, error < 0 ? error : 0, &attr, 0);
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

void ops_reply_attr(fuse_req_t req, int error, const struct daxfs_attr *attr)
{
	reply_attr(req, error, attr, ops_of(req)->timeout_s);
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
	if (ops_backed_setattr(req, ino, set, &want))
		return;
	if (set & DAXFS_SET_SIZE)
		ops_data_changes(req, ino);
	error = daxfs_setattr(ops_fs(req), ino, set, &want, &attr);
	if (set & DAXFS_SET_SIZE)
		ops_data_changed(req, ino);
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
