/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage.h - one directory of this host that the pod reads and writes through: looked at, listed, read, written.
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
	unsigned links;         /* names that it has there */
};

/* The directory itself, which may be reached by links: *fd. -errno, -ENOTDIR. */
int storage_open(const char *path, int *fd, struct storage_entry *out);
/* "" is the directory itself. -EOPNOTSUPP: a device, a socket, a fifo. */
int storage_look(int root, const char *path, struct storage_entry *out);
/* The target of a symbolic link, ended. */
int storage_readlink(int root, const char *path, char *target, size_t size);
/* Each name but "." and ".."; -errno also of fill. */
int storage_list(int root, const char *path, int (*fill)(void *context, const char *name), void *context);
/* Bytes of a file, and what it was when they had been read. -ESTALE: it is gone, or is none. */
ssize_t storage_read(int root, const char *path, void *buf, size_t len, uint64_t offset, struct storage_entry *now);
/* A file to be written: its descriptor. -ESTALE: it has not that number there, or is gone. */
int storage_open_file(int root, const char *path, uint64_t file);
int storage_write(int fd, const void *buf, size_t len, uint64_t offset);
/* It is to end there, or, if not `exact`, no later. */
int storage_resize(int fd, uint64_t size, bool exact);
/* On stable storage, with that mtime if it is not NULL; *now: what it is then. */
int storage_sync(int fd, const struct timespec *mtime, struct storage_entry *now);
/* Give a file or directory attributes: of enum daxfs_set, but for the size. */
int storage_set(int root, const char *path, unsigned set, const struct daxfs_attr *attr);
/* What tells a file as it is from what others make of it, by size, mtime and ctime: not 0. */
uint64_t storage_stamp(const struct storage_entry *entry);
/* Is a file, or a link, as it was? Of a directory: is it the same one? Times the pool cannot hold are left out. */
bool storage_same(const struct storage_entry *a, const struct storage_entry *b);

#endif
