/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops_name.c - names: lookup and everything that makes or removes one.
 *
 * Each request is one atomic operation of the pool, so there is nothing to
 * undo here. What loses its last name may still be open to the kernel (tombstone.h).
 * Another host may remove a directory, or the source of a link, after the kernel
 * has found it: see ops_name_error().
 */
#include "node-agent/ops.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static_assert(DAXFS_RENAME_NOREPLACE == RENAME_NOREPLACE && DAXFS_RENAME_EXCHANGE == RENAME_EXCHANGE, "flags");

#define TARGET_BYTES 4096 /* always suffices */

/* What was found and may be kept. */
static void lookup_leased(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct ops *ops = ops_of(req);
	struct daxfs_answer answer;
	struct daxfs_lease lease;
	struct daxfs_attr attr;
	int error;

	kernel_cache_begin(&ops->cache, &answer);
	error = daxfs_lookup_leased(ops->fs, parent, name, &attr, &lease);
	if (!error && !kernel_cache_tells(&ops->cache, ops_thread(req), attr.ino, false))
		lease.attr_ns = lease.names_ns = 0;
	if (!error && lease.attr_ns && !daxfs_lease_stands(ops->fs, attr.ino, &lease))
		lease.attr_ns = 0;
	if (!error && lease.names_ns && ops_backing_number(req, parent) != QUESTION_OF_POOL)
		ops_backed_limit(ops, &attr, &lease);
	if (error != -ENOENT || !ops_backed_lookup(req, parent, name, true)) /* it was there just now */
		ops_reply_found(req, error, &attr, &lease);
	if (kernel_cache_end(&ops->cache, &answer))
		return;
	kernel_cache_forget_names(&ops->cache);
	if (!error)
		kernel_cache_forget(&ops->cache, attr.ino);
}

/* To hold a file (lookup_pin.h) may wait for others, and no answer that may be kept does that. */
static bool may_keep(const struct ops *ops, const char *name)
{
	return kernel_cache_keeps_names(&ops->cache) && !lookup_pins_racing(&ops->pins) && strcmp(name, ".") != 0;
}

/* "." of any inode: the kernel has its number from a file handle (open_by_handle_at, NFS). */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct daxfs_attr attr;
	int error;

	if (ops_is_hidden(parent, name)) {
		ops_reply(req, -ENOENT);
		return;
	}
	if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && ops_backed_lookup(req, parent, name, false))
		return;
	if (may_keep(ops_of(req), name)) {
		lookup_leased(req, parent, name);
		return;
	}
	if (strcmp(name, ".") == 0)
		error = daxfs_getattr(ops_fs(req), parent, &attr);
	else
		error = lookup_pins_lookup(&ops_of(req)->pins, parent, name, &attr);
	if (error == -ENOENT && strcmp(name, "..") != 0 && ops_backed_lookup(req, parent, name, true))
		return;
	ops_reply_entry(req, ops_name_error(req, error), &attr);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	char target[TARGET_BYTES];
	int error = daxfs_readlink(ops_fs(req), ino, target, sizeof(target));

	if (error == -ESTALE)
		error = tombstone_readlink(&ops_of(req)->tombstones, ino, target, sizeof(target));
	if (error < 0)
		ops_reply(req, ops_inode_error(req, error));
	else
		fuse_reply_readlink(req, target);
}

/* A device number of the kernel fits 32 bits, as makedev() lays it out. */
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	struct daxfs_cred cred;
	struct daxfs_attr attr;
	uint32_t bits = mode;
	int error;

	if (ops_backed_make(req, parent, name, mode & S_IFMT ? mode : mode | S_IFREG, NULL, 0))
		return;
	error = ops_cred(req, parent, &bits, &cred);
	if (ops_answered_entry(req, ops_made()))
		return;
	if (!error)
		error = daxfs_mknod(ops_fs(req), parent, name, bits, (uint32_t)rdev, cred, false, &attr);
	ops_reply_entry(req, ops_name_error(req, error), &attr);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct daxfs_cred cred;
	struct daxfs_attr attr;
	uint32_t bits = mode | S_IFDIR;
	int error;

	if (ops_backed_make(req, parent, name, bits, NULL, 0))
		return;
	error = ops_cred(req, parent, &bits, &cred);
	if (ops_answered_entry(req, ops_made()))
		return;
	if (!error)
		error = daxfs_mkdir(ops_fs(req), parent, name, bits, cred, &attr);
	ops_reply_entry(req, ops_name_error(req, error), &attr);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct daxfs_cred cred;
	struct daxfs_attr attr;
	uint32_t bits = S_IFLNK | 0777;
	int error;

	if (ops_backed_make(req, parent, name, bits, target, 0))
		return;
	error = ops_cred(req, parent, &bits, &cred);
	if (ops_answered_entry(req, ops_made()))
		return;
	if (!error)
		error = daxfs_symlink(ops_fs(req), parent, name, target, cred, &attr);
	ops_reply_entry(req, ops_name_error(req, error), &attr);
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent, const char *new_name)
{
	struct daxfs_attr attr;
	int error;

	if (ops_backed_link(req, ino, new_parent, new_name) || ops_answered_entry(req, ino))
		return;
	error = daxfs_link(ops_fs(req), ino, new_parent, new_name, &attr);

	ops_reply_entry(req, ops_name_error(req, error), &attr);
}

struct tombstone *ops_begin_removal(fuse_req_t req, daxfs_ino parent, const char *name)
{
	struct tombstone *stone = tombstone_make(&ops_of(req)->tombstones, parent, name);

	if (tombstone_linked(stone))
		kernel_cache_loses(&ops_of(req)->cache, ops_thread(req), tombstone_linked(stone));
	return stone;
}

static void remove_name(fuse_req_t req, fuse_ino_t parent, const char *name,
			int (*remove)(struct daxfs *fs, daxfs_ino parent, const char *name))
{
	struct tombstone *stone;
	int error;

	if (ops_answered_done(req))
		return;
	stone = ops_begin_removal(req, parent, name);
	error = remove(ops_fs(req), parent, name);
	tombstone_settle(&ops_of(req)->tombstones, stone, error == 0);
	ops_reply(req, ops_name_error(req, error));
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	if (!ops_backed_remove(req, parent, name, false))
		remove_name(req, parent, name, daxfs_unlink);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	if (!ops_backed_remove(req, parent, name, true))
		remove_name(req, parent, name, daxfs_rmdir);
}

/* The kernel's flags are the pool's; another one (WHITEOUT) is not supported. */
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
	       unsigned int flags)
{
	struct tombstone *stone = NULL;
	int error = -EINVAL;

	if (ops_backed_rename(req, parent, name, new_parent, new_name, flags) || ops_answered_done(req))
		return;
	if (!flags)
		stone = ops_begin_removal(req, new_parent, new_name);
	if (!(flags & ~(DAXFS_RENAME_NOREPLACE | DAXFS_RENAME_EXCHANGE)))
		error = daxfs_rename(ops_fs(req), parent, name, new_parent, new_name, flags);
	tombstone_settle(&ops_of(req)->tombstones, stone, error == 0);
	if (!error && parent != new_parent) /* what moves keeps its time in the kernel, of a lease of `parent` */
		kernel_cache_forget_names(&ops_of(req)->cache);
	ops_reply(req, ops_name_error(req, error));
}
