/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage.h - one directory of this host that the pod reads and writes through: looked at, listed, read, written.
 *
 * Paths come from the pool, which other hosts write: they are resolved beneath the directory, through
 * no symbolic link and no magic one (openat2), whatever they say. Nothing here touches the pool, and any of it
 * may take as long as the storage likes, but for storage_peek. Any thread.
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
/*
 * The same without waiting for anything, where storage_is_near(): by what the kernel has of the path in memory.
 * -EAGAIN, -EXDEV, and others: it cannot be told so.
 */
int storage_peek(int root, const char *path, struct storage_entry *out);
bool storage_is_near(int root);
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
/* Give a file or directory of that number attributes: of enum daxfs_set, but for the size. -ESTALE: another one. */
int storage_set(int root, const char *path, uint64_t file, unsigned set, const struct daxfs_attr *attr);
/*
 * Names. A directory is known by its path and its number there, what a name leads to by its number: -ESTALE: it is
 * another one. What fails leaves storage as it was.
 */
struct storage_dir {
	const char *path;
	uint64_t file;
};
/* A file, a directory, or a link to `target`, of that mode and owner. -EEXIST. */
int storage_make(int root, const struct storage_dir *dir, const char *name, const struct daxfs_attr *attr,
		 const char *target, struct storage_entry *out);
/* after: what it is without that name, or NULL: links 0: it had no other one. */
int storage_remove(int root, const struct storage_dir *dir, const char *name, uint64_t file, bool directory,
		   struct storage_entry *after);
/* Another name for a file, or a link, of that number: -EEXIST, and what the file system says that has none. */
int storage_link(int root, const char *path, uint64_t file, const struct storage_dir *dir, const char *name,
		 struct storage_entry *out);
/* A path of that number, not `but`, by a look through all directories: -ENOENT. */
int storage_find(int root, uint64_t file, const char *but, char *path, size_t size);
/* Replacing what has that name, or, if not `replace`, -EEXIST. What was replaced, as it is without that name. */
int storage_rename(int root, const struct storage_dir *from, const char *name, uint64_t file,
		   const struct storage_dir *to, const char *new_name, bool replace, struct storage_entry *replaced);
/* What is there of a file or directory, and of the names in it, on stable storage. */
int storage_fsync(int root, const char *path, uint64_t file);
/* What tells a file as it is from what others make of it, by size, mtime and ctime: not 0. */
uint64_t storage_stamp(const struct storage_entry *entry);
/* Do they differ by ctime at most, as another name or mode makes them differ? */
bool storage_stamp_same_bytes(uint64_t a, uint64_t b);
/* One that leaves the ctime open: it is of whatever has these bytes. No file has it. */
uint64_t storage_stamp_open(uint64_t stamp);
bool storage_stamp_is_open(uint64_t stamp);
bool storage_stamp_is(uint64_t stamp, const struct storage_entry *now);
/* Is a file, or a link, as it was? Of a directory: is it the same one? Times the pool cannot hold are left out. */
bool storage_same(const struct storage_entry *a, const struct storage_entry *b);

#endif
