/* SPDX-License-Identifier: Apache-2.0 */
/* timing.h - how often hosts beat, and by what heartbeat they are judged: see timing.c. */
#ifndef DAXFS_SYNC_TIMING_H
#define DAXFS_SYNC_TIMING_H

#include "daxfs/member.h"
#include "mem/pool.h"

/* What is in force. */
struct daxfs_timing timing_load(const struct pool *pool);

#endif
