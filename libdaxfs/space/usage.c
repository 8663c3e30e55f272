/* SPDX-License-Identifier: Apache-2.0 */
/* usage.c - counting states, one by one: what the check holds against what is counted elsewhere. */
#include "space/inner.h"

/* The state of an object, or of the extent that it is part of. */
static uint64_t whole_state(const struct pool *pool, enum daxfs_type type, uint64_t i)
{
	uint64_t s, head;

	if (pool_lost(pool, &pool->state[type][i], sizeof(sm_u64)))
		return state_make(DAXFS_LIVE, DAXFS_USE_BAD, 0);
	s = sm_load_relaxed(&pool->state[type][i]);
	if (type != DAXFS_T_PAGE || use_of(s) != DAXFS_USE_TAIL || state_of(s) != DAXFS_LIVE)
		return s;
	head = sm_load_relaxed(&pool->state[type][i - i % DAXFS_EXTENT_PAGES]);
	return use_of(head) == DAXFS_USE_EXTENT ? head : 0;
}

void space_usage(const struct pool *pool, enum daxfs_type type, struct daxfs_usage *out, uint64_t *nodes)
{
	*out = (struct daxfs_usage){ .total = pool->objects[type] };
	*nodes = 0;
	for (uint64_t i = 0; i < pool->objects[type]; i++) {
		uint64_t s = whole_state(pool, type, i);

		out->free += state_of(s) == DAXFS_FREE;
		out->private_ += state_of(s) == DAXFS_PRIVATE;
		out->live += state_of(s) == DAXFS_LIVE && use_of(s) != DAXFS_USE_BAD;
		out->quarantined += state_of(s) == DAXFS_LIVE && use_of(s) == DAXFS_USE_BAD;
		out->retired += state_of(s) == DAXFS_RETIRED;
		*nodes += state_of(s) == DAXFS_LIVE && use_of(s) == DAXFS_USE_NODE;
	}
}
