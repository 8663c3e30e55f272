/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops_open.c - the answers that open a file, as the kernel reads them.
 *
 * libfuse has calls for them, but none that knows FOPEN_PARALLEL_DIRECT_WRITES before 3.15:
 * without it the kernel lets one program after the other write to a file. The
 * pool needs no such order. (A kernel before 6.2 ignores it; writes past the end are
 * in order with any kernel.) Constant but for the request: any worker, any time.
 */
#include "node-agent/ops.h"

#include <linux/fuse.h>

/*
 * DIRECT_IO: every read asks the pool, because other hosts write; but for what kernel_pages.h says. Not NOFLUSH, not
 * even of what is only read: locks end with close() (ops_lock.c), and nobody knows yet who will set one.
 */
static struct fuse_open_out opened(uint64_t fh, unsigned how)
{
	return (struct fuse_open_out){
		.fh = fh,
		.open_flags = how | (how & FOPEN_DIRECT_IO ? FOPEN_PARALLEL_DIRECT_WRITES : 0),
	};
}

int ops_reply_open(fuse_req_t req, uint64_t fh, unsigned how)
{
	struct fuse_open_out out = opened(fh, how);

	return fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

static void put_attr(const struct stat *st, struct fuse_attr *out)
{
	*out = (struct fuse_attr){
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.blocks = (uint64_t)st->st_blocks,
		.atime = (uint64_t)st->st_atim.tv_sec,
		.atimensec = (uint32_t)st->st_atim.tv_nsec,
		.mtime = (uint64_t)st->st_mtim.tv_sec,
		.mtimensec = (uint32_t)st->st_mtim.tv_nsec,
		.ctime = (uint64_t)st->st_ctim.tv_sec,
		.ctimensec = (uint32_t)st->st_ctim.tv_nsec,
		.mode = st->st_mode,
		.nlink = (uint32_t)st->st_nlink,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.rdev = (uint32_t)st->st_rdev,
		.blksize = (uint32_t)st->st_blksize,
	};
}

static void put_timeout(double s, uint64_t *whole, uint32_t *ns)
{
	*whole = (uint64_t)s;
	*ns = (uint32_t)((s - (double)*whole) * 1e9);
}

int ops_reply_created(fuse_req_t req, const struct daxfs_attr *attr, const struct daxfs_lease *lease, uint64_t fh)
{
	struct fuse_entry_param entry;
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} out = { .open = opened(fh, FOPEN_DIRECT_IO) };

	static_assert(sizeof(out) == sizeof(out.entry) + sizeof(out.open), "as on the wire");
	ops_entry_leased(ops_of(req), ops_thread(req), attr, lease, &entry);
	out.entry.nodeid = entry.ino;
	put_timeout(entry.entry_timeout, &out.entry.entry_valid, &out.entry.entry_valid_nsec);
	put_timeout(entry.attr_timeout, &out.entry.attr_valid, &out.entry.attr_valid_nsec);
	put_attr(&entry.attr, &out.entry.attr);
	return fuse_reply_buf(req, (const char *)&out, sizeof(out));
}
