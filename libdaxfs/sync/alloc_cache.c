/* SPDX-License-Identifier: Apache-2.0 */
/* alloc_cache.c - rings of what a lane retired last; see alloc_cache.h. */
#include "sync/alloc_cache.h"

void alloc_cache_init(struct alloc_cache *cache, const struct pool *pool, unsigned lane)
{
	for (unsigned type = 0; type < DAXFS_TYPES; type++)
		cache->cursor[type] = pool->objects[type] / pool->lanes_total * lane;
	/* Extents half a place further on, where single pages come last. */
	cache->extent_cursor = pool->objects[DAXFS_T_PAGE] * (2ull * lane + 1) / (2ull * pool->lanes_total) /
			       DAXFS_EXTENT_PAGES;
}

void alloc_cache_forget(struct alloc_cache *cache)
{
	cache->next_known = false;
	cache->hint_head = cache->hint_tail = cache->extents_head = cache->extents_tail = 0;
	cache->room = 0;
}

void alloc_cache_page(struct alloc_cache *cache, uint32_t index)
{
	cache->hints[cache->hint_tail++ % LANE_HINTS] = index;
	if (cache->hint_tail - cache->hint_head > LANE_HINTS)
		cache->hint_head = cache->hint_tail - LANE_HINTS;
}

void alloc_cache_extent(struct alloc_cache *cache, uint32_t index, uint32_t age)
{
	unsigned at = cache->extents_tail++ % LANE_EXTENTS;

	cache->extents[at].index = index;
	cache->extents[at].age = age;
	if (cache->extents_tail - cache->extents_head > LANE_EXTENTS)
		cache->extents_head = cache->extents_tail - LANE_EXTENTS;
}
