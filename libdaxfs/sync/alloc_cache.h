/* SPDX-License-Identifier: Apache-2.0 */
/*
 * alloc_cache.h - what a lane remembers of where free objects are.
 *
 * Private to one process, and hints only: an object is free if its state says so. What is
 * lost here with its process is a matter of speed.
 */
#ifndef DAXFS_SYNC_ALLOC_CACHE_H
#define DAXFS_SYNC_ALLOC_CACHE_H

#include <stdbool.h>
#include <stdint.h>

#include "mem/pool.h"

#define LANE_HINTS 256u /* pages */
#define LANE_EXTENTS 32u

struct alloc_cache {
	uint64_t cursor[DAXFS_TYPES]; /* where the next look begins */
	uint64_t extent_cursor;       /* in extents */
	uint64_t behind[DAXFS_TYPES]; /* the group that a cursor left last, plus 1, until it was looked at; 0: none */
	uint64_t next_page;           /* found and fetched for the next record, if next_known; nobody keeps it for us */
	bool next_known;
	/* What this lane retired last, tried first. */
	uint32_t hints[LANE_HINTS];
	unsigned hint_head, hint_tail;
	struct {
		uint32_t index;
		uint32_t age; /* records since it was written, if by this lane; else UINT32_MAX */
	} extents[LANE_EXTENTS];
	unsigned extents_head, extents_tail;
	uint64_t room;    /* pages it may take before it counts what is free: space/reserve.c */
	uint64_t counted; /* seq of the record for which it did */
	uint64_t names;   /* of storage that it may make before it counts what is free, there */
	uint64_t looks;   /* of summary_look: each its own */
};

/* Lanes begin in places of their own. */
void alloc_cache_init(struct alloc_cache *cache, const struct pool *pool, unsigned lane);
/* Forget what was retired, and what is to be taken next: it may be half written down. */
void alloc_cache_forget(struct alloc_cache *cache);
void alloc_cache_page(struct alloc_cache *cache, uint32_t index);
void alloc_cache_extent(struct alloc_cache *cache, uint32_t index, uint32_t age);

#endif
