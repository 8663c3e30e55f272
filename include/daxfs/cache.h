/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.h - files whose bytes are in storage, and in the pool as far as they were read.
 *
 * A backed file is a file of the pool that stands for one of a backing: storage that all hosts of the
 * pod, or some, can read. A page of it is read from storage once, by the host that wants it first,
 * and from then on is a page of the pool, for all hosts. Such pages are given back when other files
 * need the room. Backed files are read-only: the pool never changes storage.
 */
#ifndef DAXFS_CACHE_H
#define DAXFS_CACHE_H

#include "daxfs/daxfs.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DAXFS_BACKINGS 255u /* numbers of backings: 0 to 254 */

/* How this host reads a backing. */
struct daxfs_storage {
	size_t struct_size; /* of this, as the program was compiled */
	/*
	 * Read len bytes of a file from offset on, as pread(2): how many, fewer only at its end, or -errno,
	 * which is what daxfs_read returns then. `file` is what daxfs_import was given. Called by any
	 * thread that reads, several at once, while nothing of the pool is held: it may take its time,
	 * and must not call the library.
	 */
	ssize_t (*read)(void *context, daxfs_ino ino, uint64_t file, void *buf, size_t len, uint64_t offset);
	void *context;
	unsigned patience_ms; /* for another host that reads the same page; then this one reads, too */
};

/*
 * daxfs_backing_attach - say how this host reads a backing
 *
 * From now on pages of the files of that backing which are not in the pool are read through `storage`,
 * which is copied.
 *
 * Errors:
 * -EINVAL   no such number, or no way to read
 * -EBUSY    it is attached already
 */
DAXFS_API int daxfs_backing_attach(struct daxfs *fs, unsigned backing, const struct daxfs_storage *storage);

/*
 * daxfs_backing_detach - the backing is not to be read any more
 *
 * Waits for reads of it that are under way in this process. Pages that are in the pool stay readable.
 *
 * Errors:
 * -ENOENT   it is not attached
 */
DAXFS_API int daxfs_backing_detach(struct daxfs *fs, unsigned backing);

/*
 * daxfs_import - make a file that stands for one of a backing
 *
 * Makes the name with mode, uid, gid, size, mtime and ctime of *attr. `file` is how the
 * storage's read knows the file: 56 bits. Size and contents must stay what they are as long as the
 * file is there; where they do not, storage should fail with -ESTALE, and the name be imported anew.
 * Writing to it, truncating it and changing its attributes is -EROFS; its names are names.
 *
 * Errors:
 * -EEXIST   the name is there
 * -EFBIG    the file is longer than one of the pool may be
 * -EINVAL   no such backing number, not a regular file, or a time that the pool cannot hold
 * -EOPNOTSUPP the pool was made without the feature
 * and those of daxfs_mknod.
 * Crash: as daxfs_mknod.
 */
DAXFS_API int daxfs_import(struct daxfs *fs, daxfs_ino parent, const char *name, const struct daxfs_attr *attr,
			   unsigned backing, uint64_t file, struct daxfs_attr *out);

/*
 * daxfs_cache_drop - give back cached pages of a file
 *
 * Of all pages that begin in the range; storage has them. Returns how many there were, or -errno.
 * Readers on any host go on, and read from storage what is gone.
 */
DAXFS_API int64_t daxfs_cache_drop(struct daxfs *fs, daxfs_ino ino, uint64_t offset, uint64_t len);

/* what this process has done since it opened the pool; pages, unless it says otherwise */
struct daxfs_cache_stats {
	uint64_t reads;      /* of storage, whatever came of them */
	uint64_t filled;     /* that are in the pool, or known to be zeros, by us */
	uint64_t past;       /* reads of storage past a claim of another host */
	uint64_t waits;      /* for other hosts or threads, how often */
	uint64_t taken_over; /* claims of hosts that are gone */
	uint64_t lost;       /* that were read, but that somebody else had provided or removed meanwhile */
	uint64_t no_room;    /* that were read, but found no page */
	uint64_t errors;     /* of storage, how often */
	uint64_t dropped;    /* to make room */
};

/*
 * daxfs_cache_stats - figures of the cache, of this process
 *
 * Fills *out. Never fails.
 */
DAXFS_API void daxfs_cache_stats(struct daxfs *fs, struct daxfs_cache_stats *out);

#ifdef __cplusplus
}
#endif

#endif
