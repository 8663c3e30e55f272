/* SPDX-License-Identifier: Apache-2.0 */
/* copying.h - how the bytes of a large write are copied: see copying.c. */
#ifndef DAXFS_FS_COPYING_H
#define DAXFS_FS_COPYING_H

#include "mem/shm.h"

/* What is known of copies to one kind of place. */
struct copy_ways {
	uint32_t ticks[2]; /* a sixteenth of a KiB took, by ordinary and by streaming stores; 0: not measured */
	bool streams;      /* the way that was faster */
	bool tries;        /* takes the other one now */
	uint64_t bytes;    /* copied since that changed */
};

/* Of places where the lane wrote long ago, or not long ago. One thread's at a time. */
struct copy_speed {
	struct copy_ways ways[2];
};

/* one copy */
struct copying {
	struct copy_ways *ways;
	uint64_t bytes;
	bool known;   /* its speed is to be remembered */
	bool streams; /* around the caches */
	uint64_t began;
};

/* Before a copy of bytes, warm: to where this lane has written not long ago. How it goes. */
void copying_begin(const struct shm *shm, struct copy_speed *speed, uint64_t bytes, bool warm, struct copying *out);
/* It is done, and drained: how long it took is remembered. */
void copying_end(const struct copying *copying);

#endif
