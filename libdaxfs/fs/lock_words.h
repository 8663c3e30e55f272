/* SPDX-License-Identifier: Apache-2.0 */
/* lock_words.h - the words and the page of an inode's locks, seen by a lane, changed in a record: see lock.c. */
#ifndef DAXFS_FS_LOCK_WORDS_H
#define DAXFS_FS_LOCK_WORDS_H

#include "fs/fs.h"
#include "fs/lockset.h"

/* the locks of an inode; a moment's, if `word` is still there */
struct locks_view {
	uint64_t word;
	struct sm_locks *page; /* NULL: none */
	uint64_t live[DAXFS_LOCK_WORDS];
	struct sm_locks copy;
	struct lockset set;             /* what is in force of the copy, in its place */
	uint8_t place[DAXFS_LOCKS_MAX]; /* of each lock of the set in the page */
};

/* -EIO: they make no sense, or their memory has failed. */
int locks_view(struct lane *lane, uint64_t handle, struct sm_inode *sm, struct locks_view *view);
/* In a record: stage a change of what was seen. -ENOSPC, -ENOLCK. */
int locks_stage_change(struct lane *lane, uint64_t handle, struct sm_inode *sm, const struct locks_view *view,
		       const struct sm_lock *want);

#endif
