/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lockset.h - the algebra of locks, on private memory: what is in the way of
 * what, and what a set becomes. No pool, no lanes.
 *
 * In a set the locks of one owner (host, owner, kind) never overlap, and two of
 * the same type never touch: they are one. Sets are ordered by kind, start, host
 * and owner.
 *
 * A mapping (DAXFS_LOCK_MAP) says that a host has pages of the file mapped to be written. Other
 * hosts do not see what is written there before it is written back, so where programs rely
 * on locks, one host alone may map: a mapping keeps the locks of other hosts out, and
 * where there are locks, mappings of a second host. Locks that were there when the first mapping
 * came stay; their hosts cannot map any more. Mappings without locks are in nobody's way.
 */
#ifndef DAXFS_FS_LOCKSET_H
#define DAXFS_FS_LOCKSET_H

#include <stdbool.h>

#include "daxfs/daxfs.h"
#include "daxfs/format.h"

struct lockset {
	unsigned n;
	struct sm_lock *lock; /* room for DAXFS_LOCKS_MAX */
};

/* of some locks of a set */
struct lock_places {
	unsigned n;
	uint8_t at[DAXFS_LOCKS_MAX];
};

/* Is a page, copied as far as its count says, what somebody wrote for this inode? */
bool locks_page_sane(const struct sm_locks *page, uint64_t inode);
uint32_t locks_page_crc(const struct sm_locks *page);

bool lock_overlaps(const struct sm_lock *a, const struct sm_lock *b);
bool lock_same_owner(const struct sm_lock *a, const struct sm_lock *b);
/* Can only one of two locks be in force? */
bool lock_conflicts(const struct sm_lock *a, const struct sm_lock *b);

/* The first lock in the way of one that is asked for, or NULL. */
const struct sm_lock *lockset_conflict(const struct lockset *set, const struct sm_lock *want);
/* Does the set say already what is asked for? */
bool lockset_says(const struct lockset *set, const struct sm_lock *want);
/* Does what is asked for only give up whole locks? Which ones. */
bool lockset_only_loses(const struct lockset *set, const struct sm_lock *want, struct lock_places *gone);
/* What the set becomes, in room of its own; false: more than DAXFS_LOCKS_MAX locks. */
bool lockset_change(const struct lockset *set, const struct sm_lock *want, struct lockset *out);

#endif
