/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.h - advisory locks, which exclude the processes of all hosts.
 *
 * Included by daxfs.h, at whose head stands what holds for all calls.
 */
#ifndef DAXFS_LOCK_H
#define DAXFS_LOCK_H

#include "daxfs/base.h"

#ifdef __cplusplus
extern "C" {
#endif

enum daxfs_lock_type { DAXFS_UNLOCK = 0, DAXFS_LOCK_READ, DAXFS_LOCK_WRITE };
/* POSIX and FLOCK do not see each other. POSIX: of ranges, split and merged. FLOCK: of whole files, start
 * and end are ignored. MAP: this host has pages of the file mapped to be written, and other hosts see
 * what is written there only later; of whole files, without owners, READ. It keeps the locks
 * of other hosts out, and where there are locks, the mappings of a second host. */
enum daxfs_lock_kind { DAXFS_LOCK_POSIX = 0, DAXFS_LOCK_FLOCK, DAXFS_LOCK_MAP };
#define DAXFS_LOCK_END ((uint64_t)INT64_MAX) /* the last byte there may be */

struct daxfs_lock {
	uint64_t start, end; /* first and last byte; end at most DAXFS_LOCK_END */
	uint64_t owner;      /* told apart from the other owners of this host */
	uint32_t pid;        /* only to be told to those who ask */
	unsigned host;       /* of the owner; set by daxfs_lock_get */
	enum daxfs_lock_type type;
	enum daxfs_lock_kind kind;
};

/*
 * daxfs_lock - set, change or give up an advisory lock
 *
 * Of a file that this host has open. What the owner had locked in the range becomes what is asked for,
 * all at once. Never waits.
 *
 * Errors:
 * -EAGAIN   another owner, of any host, is in the way; nothing has changed
 * -EBADF    this host does not have the file open
 * -ENOLCK   the file has 126 locks, or no page is free; to give up whole locks never needs a page
 * -EINVAL   start behind end, or end beyond DAXFS_LOCK_END; a MAP that is WRITE
 * Crash: the locks of a dead host keep others out until it is recovered.
 */
DAXFS_API int daxfs_lock(struct daxfs *fs, daxfs_ino ino, const struct daxfs_lock *lock);

/*
 * daxfs_lock_get - what is in the way of a lock
 *
 * Fills *out with the first lock that is in the way; its type is DAXFS_UNLOCK if none is.
 *
 * Errors:
 * -EINVAL   as daxfs_lock
 */
DAXFS_API int daxfs_lock_get(struct daxfs *fs, daxfs_ino ino, const struct daxfs_lock *lock, struct daxfs_lock *out);

#ifdef __cplusplus
}
#endif
#endif
