/* SPDX-License-Identifier: Apache-2.0 */
/* copying.h - how the bytes of a large write are copied: see copying.c. */
#ifndef DAXFS_FS_COPYING_H
#define DAXFS_FS_COPYING_H

#include "sync/lane.h"

/* one copy */
struct copying {
	bool warm;    /* to where this lane has written not long ago */
	bool streams; /* around the caches */
	uint64_t began;
};

/* Before a copy of bytes: how. */
void copying_begin(struct lane *lane, uint64_t bytes, bool warm, struct copying *out);
/* It is done, and drained: how long it took is remembered. */
void copying_end(struct lane *lane, uint64_t bytes, const struct copying *copying);

#endif
