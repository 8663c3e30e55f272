/* SPDX-License-Identifier: Apache-2.0 */
/* event_ring.h - the pool's ring of events: see event_ring.c. */
#ifndef DAXFS_MEM_EVENT_RING_H
#define DAXFS_MEM_EVENT_RING_H

#include "daxfs/events.h"
#include "mem/pool.h"

/* As daxfs_event_add. */
int event_add(struct pool *pool, const struct daxfs_event *e);
/* As daxfs_event_list. */
int event_list(const struct pool *pool, uint64_t after, daxfs_event_fill fill, void *context);

#endif
