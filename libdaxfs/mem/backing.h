/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backing.h - a file or device that holds, or is to hold, a pool, and its mapping.
 */
#ifndef DAXFS_MEM_BACKING_H
#define DAXFS_MEM_BACKING_H

#include <sys/stat.h>

#include "mem/pool.h"

struct backing {
	int fd;
	bool device;    /* device-DAX; else a regular file */
	uint64_t size;  /* of the file or device */
	uint64_t align; /* of every mapping of it, address and length, at least */
};

/* Open with flags of open(2); why says what to do about a failure. */
int backing_open(const char *path, int flags, struct backing *out, struct daxfs_error *err);
void backing_close(struct backing *s);
/*
 * Hold the file or device against mkfs (shared), or for it (exclusive), until it
 * is closed. Among the processes of this machine only. -EBUSY: refused.
 */
int backing_lock(const struct backing *s, bool exclusive, const char *path, struct daxfs_error *err);
/* Map len bytes (rounded up to the alignment) from an aligned offset on, shared; *mapped is how many. */
int backing_map(const struct backing *s, uint64_t from, uint64_t len, bool writable, void **base, uint64_t *mapped,
		struct daxfs_error *err);
/*
 * Copy the first bytes, which must be there. Leaves holes of a file holes, which
 * a look through a mapping does not.
 */
#define SOURCE_HEAD_BYTES (2 * DAXFS_PAGE_SIZE)
int backing_head(const struct backing *s, uint8_t head[SOURCE_HEAD_BYTES], struct daxfs_error *err);
/* Make sure each page of a file has memory behind it, so that no store can raise SIGBUS. */
int backing_reserve(const struct backing *s, uint64_t len, const char *path, struct daxfs_error *err);
/* Put huge pages behind a file's memory, where the kernel has them to give: fewer TLB misses for all that map it. */
void backing_collapse(const struct backing *s, void *base, uint64_t len);
/* Words for a failed open(2) or the like of path. */
int backing_fail(struct daxfs_error *err, int error, const char *path, bool writable);

#endif
