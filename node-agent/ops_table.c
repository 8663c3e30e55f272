/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops_table.c - the handshake, and the table of requests.
 *
 * Requests that are not in the table are answered with ENOSYS by libfuse, and
 * the kernel then does without: access (default_permissions), for one.
 */
#include "node-agent/ops.h"

#define BACKGROUND_MAX 64 /* asynchronous requests the kernel may send at once */
/* .. if it reads for its cache: what waits for storage is among them, and others are not to wait for that. */
#define BACKGROUND_KEPT_MAX 65535

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct ops *ops = userdata;
	unsigned want = FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_AUTO_INVAL_DATA |
			FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_POSIX_LOCKS | FUSE_CAP_FLOCK_LOCKS |
			FUSE_CAP_EXPORT_SUPPORT;

	/*
	 * Shared mappings are asked for in channel.c, whatever libfuse knows of them.
	 * Not wanted: ASYNC_DIO, with which the kernel sends the pieces of one large
	 * asynchronous write at once, and each would be appended where the end is when
	 * it comes; ATOMIC_O_TRUNC, so that O_TRUNC comes as a setattr in which
	 * the kernel also drops set-user-ID bits; HANDLE_KILLPRIV for the same
	 * reason (op_write does it for writes); WRITEBACK_CACHE and splicing.
	 */
	if (kernel_cache_keeps_names(&ops->cache)) /* a listing tells all that there is to keep */
		want &= ~(unsigned)FUSE_CAP_READDIRPLUS_AUTO;
	conn->want = want & conn->capable;
	conn->max_write = OPS_IO_MAX;
	conn->max_readahead = OPS_IO_MAX;
	conn->max_background = ops->pages.on ? BACKGROUND_KEPT_MAX : BACKGROUND_MAX;
	conn->congestion_threshold = conn->max_background * 3 / 4;
	conn->time_gran = 1;
}

/* The kernel forgets all its lookups at once, but for one that came to nothing. */
static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
	(void)lookups;
	tombstone_forget(&ops_of(req)->tombstones, ino);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < count; i++)
		tombstone_forget(&ops_of(req)->tombstones, forgets[i].ino);
	fuse_reply_none(req);
}

const struct fuse_lowlevel_ops ops_table = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.create = op_create,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.release = op_release,
	.fsync = op_fsync,
	.flush = op_flush,
	.lseek = op_lseek,
	.fallocate = op_fallocate,
	.copy_file_range = op_copy_range,
	.setxattr = op_setxattr,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.removexattr = op_removexattr,
	.getlk = op_getlk,
	.setlk = op_setlk,
	.flock = op_flock,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_releasedir,
	.fsyncdir = op_fsync,
	.statfs = op_statfs,
};
