/* SPDX-License-Identifier: Apache-2.0 */
/* features.h - what a pool uses beyond what mkfs wrote, and which hosts know it: see features.c. */
#ifndef DAXFS_SYNC_FEATURES_H
#define DAXFS_SYNC_FEATURES_H

#include "daxfs/member.h"
#include "mem/pool.h"

/* Is an incompat feature in use? Written back, if so, before it returns: who uses it must not outlive that. */
bool features_incompat(const struct pool *pool, uint64_t bit);
/*
 * For a host that comes, JOINING or as a successor: say what it knows, and look whether that is enough.
 * -EPROTONOSUPPORT: it is not: go. Crash in it: as before, for others.
 */
int features_enter(struct pool *pool, unsigned host, uint32_t generation, struct daxfs_error *err);

#endif
