/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage_calls.h - calls of storage (node-agent/storage.h) that a test stands in for: it defines __wrap_NAME, which
 * all of the program calls as NAME, and calls __real_NAME.
 */
#ifndef TESTS_UNIT_STORAGE_CALLS_H
#define TESTS_UNIT_STORAGE_CALLS_H

#include "node-agent/storage.h"

#define STORAGE_CALL(type, name, ...)                                                                                  \
	type __real_##name(__VA_ARGS__);                                                                               \
	type __wrap_##name(__VA_ARGS__)

STORAGE_CALL(int, storage_look, int root, const char *path, struct storage_entry *out);
STORAGE_CALL(int, storage_list, int root, const char *path, int (*each)(void *context, const char *name),
	     void *context);
STORAGE_CALL(bool, storage_is_near, int root);
STORAGE_CALL(ssize_t, storage_read, int root, const char *path, void *buf, size_t len, uint64_t offset,
	     struct storage_entry *now);
STORAGE_CALL(int, storage_open_file, int root, const char *path, uint64_t file);
STORAGE_CALL(int, storage_write, int fd, const void *buf, size_t len, uint64_t offset);
STORAGE_CALL(int, storage_sync, int fd, const struct timespec *mtime, struct storage_entry *now);
STORAGE_CALL(int, storage_set, int root, const char *path, uint64_t file, unsigned set, const struct daxfs_attr *attr);
STORAGE_CALL(int, storage_make, int root, const struct storage_dir *dir, const char *name,
	     const struct daxfs_attr *attr, const char *target, struct storage_entry *out);
STORAGE_CALL(int, storage_rename, int root, const struct storage_dir *from, const char *name, uint64_t file,
	     const struct storage_dir *to, const char *new_name, bool replace, struct storage_entry *replaced);
STORAGE_CALL(int, storage_link, int root, const char *path, uint64_t file, const struct storage_dir *dir,
	     const char *name, struct storage_entry *out);
STORAGE_CALL(int, storage_find, int root, uint64_t file, const char *but, char *path, size_t size);

#endif
