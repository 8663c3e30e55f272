/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage.h - one directory of this host that the pod reads through: looked at, listed, read.
 *
 * Paths come from the pool, which other hosts write: they are resolved beneath the directory, through
 * no symbolic link and no magic one (openat2), whatever they say. Nothing here touches the pool, and any of it
 * may take as long as the storage likes. Any thread.
 */
#ifndef AGENT_STORAGE_H
#define AGENT_STORAGE_H

#include <limits.h>
#include <stdbool.h>

#include "daxfs/daxfs.h"

/* what storage says of a file, directory or symbolic link */
struct storage_entry {
	struct daxfs_attr attr; /* without ino: type, mode, uid, gid, size, mtime, ctime */
	uint64_t file;          /* its number there, 56 bits: the same on all hosts that share the storage */
};

/* The directory itself, which may be reached by links: *fd. -errno, -ENOTDIR. */
int storage_open(const char *path, int *fd, struct storage_entry *out);
/* "" is the directory itself. -EOPNOTSUPP: a device, a socket, a fifo. */
int storage_look(int root, const char *path, struct storage_entry *out);
/* The target of a symbolic link, ended. */
int storage_readlink(int root, const char *path, char *target, size_t size);
/* Each name but "." and ".."; -errno also of fill. */
int storage_list(int root, const char *path, int (*fill)(void *context, const char *name), void *context);
/*
 * Bytes of a file that is as *known says, and still was when they had been read: -ESTALE, where it is not, or is gone.
 */
ssize_t storage_read(int root, const char *path, const struct storage_entry *known, void *buf, size_t len,
		     uint64_t offset);
/* Is a file, or a link, as it was? Of a directory: is it the same one? Times the pool cannot hold are left out. */
bool storage_same(const struct storage_entry *a, const struct storage_entry *b);

#endif
