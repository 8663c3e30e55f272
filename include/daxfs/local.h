/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local.h - pages that are read often, in memory of this process.
 *
 * Memory that hosts share is slower than their own, and all of them share its bandwidth. A process can have some memory
 * of its own for copies of pages that it reads often, of any files. Reads mean what they mean without it: a copy counts
 * while it is what the pool has at that moment, which two words of the pool say. Included by daxfs.h.
 */
#ifndef DAXFS_LOCAL_H
#define DAXFS_LOCAL_H

#include "daxfs/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DAXFS_LOCAL_MIN (1u << 20) /* bytes */

struct daxfs_local_options {
	size_t struct_size; /* sizeof(struct daxfs_local_options): see base.h */
	uint64_t bytes;     /* of memory for copies, at least DAXFS_LOCAL_MIN; less than 1 % more is used besides */
};

/*
 * daxfs_local_open - keep copies of pages that are read often in memory of this process
 *
 * From now on daxfs_read takes pages from there where it can. Which, is learned: a page is copied when it was read
 * more often lately than one that is there. Nothing is to be done when files change: what was written, on any host, is
 * read by whoever reads after that, as ever. It may be called at any time; the memory is used as it is filled, and
 * given back by daxfs_close. Views (view.h) lead to the pool.
 * daxfs_cache_stats says how many pages were read there, copied there, and replaced.
 *
 * Errors:
 * -EINVAL   fewer bytes than DAXFS_LOCAL_MIN, or struct_size is not set
 * -E2BIG    a member is set that this version of the library does not know
 * -EBUSY    there is one already
 * -ENOMEM
 * Crash: nothing of it is in the pool.
 */
DAXFS_API int daxfs_local_open(struct daxfs *fs, const struct daxfs_local_options *options);

#ifdef __cplusplus
}
#endif
#endif
