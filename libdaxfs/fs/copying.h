/* SPDX-License-Identifier: Apache-2.0 */
/* copying.h - how the bytes of a large write are copied: see copying.c. */
#ifndef DAXFS_FS_COPYING_H
#define DAXFS_FS_COPYING_H

#include "mem/shm.h"

/* What a KiB took, by how warm the place was and how it was copied; 0: not tried. One thread's at a time. */
struct copy_speed {
	uint32_t ticks[2][2];
	unsigned copies;
};

/* one copy */
struct copying {
	struct copy_speed *speed;
	uint64_t bytes;
	bool known;   /* its speed is to be remembered */
	bool warm;    /* to where this lane has written not long ago */
	bool streams; /* around the caches */
	uint64_t began;
};

/* Before a copy of bytes: how. */
void copying_begin(const struct shm *shm, struct copy_speed *speed, uint64_t bytes, bool warm, struct copying *out);
/* It is done, and drained: how long it took is remembered. */
void copying_end(const struct copying *copying);

#endif
