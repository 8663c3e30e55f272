/* SPDX-License-Identifier: Apache-2.0 */
/*
 * extent.c - sixteen neighbouring pages as one object.
 *
 * The state of the first page, the head, is that of the extent. The others have
 * TAIL in their states, which is put there once, when the extent is formed, and
 * stays while the extent is retired and used again, by its head alone. An extent
 * ends when a lane that needs single pages takes its head as one: from
 * then on the others are free, without having been touched.
 *
 * Where a part of an extent is written, the record that breaks it up keeps pages
 * that stay as they are: it takes them, in use as they are, from TAIL to KEPT, and
 * links each by itself. The head is replaced by a copy, and retired as ever: a dead host
 * may have left a record that replaced this extent, or not, and the recoverer that judges it
 * retires the head once more. So it must not be linked by then, nor speak for its pages.
 *
 * Invariants:
 *  X1 A page with TAIL is free unless its head's use is EXTENT.
 *  X2 Forming takes all sixteen pages, each by CAS from the state in which it was
 *     found free, with the txid of the record in it. If a page's TAIL
 *     state is unchanged and its head, read afterwards, is not an EXTENT, the page
 *     belongs to no extent and may be allocated. (Read in the other order, the extent
 *     could be formed in between.)
 *  X3 A record that took some pages of an extent and lost one of them is aborted: its
 *     head becomes free, and with it the tails.
 *  X4 A RETIRED extent is used again only if all its others, looked at after the state of
 *     the head that it is taken from (which has an epoch in it, and does not come again), are
 *     LIVE and TAIL. One that is not is of a page that goes its own way: it was kept; or a cache
 *     was lost in which this head had ceased to be one, or that page become part of it.
 *  X5 A page is kept by CAS from {LIVE or PRIVATE, TAIL} under protection of the word that
 *     names its extent, with the birth of that; it becomes LIVE with the record, or a TAIL
 *     again without. One that another record is keeping is copied: nobody waits.
 *
 * A crash in the middle of forming leaves pages PRIVATE, all named, and the head among
 * them. `tests/models/extent.pml`.
 */
#include "space/inner.h"
#include "sync/summary.h"

#define SCAN 32u /* groups of pages looked at for one */

bool extent_gone(const struct pool *pool, uint64_t index)
{
	uint64_t head = index - index % DAXFS_EXTENT_PAGES;

	/* ORD tail: the caller loaded the state of the tail before (X2). */
	return head != index && use_of(sm_load(&pool->state[DAXFS_T_PAGE][head])) != DAXFS_USE_EXTENT;
}

bool extent_whole(const struct pool *pool, uint64_t head)
{
	uint64_t pages = pool->objects[DAXFS_T_PAGE];

	/* Some state said EXTENT: of a page in the middle, or of no page at all, if that was garbage. */
	if (head % DAXFS_EXTENT_PAGES || head >= pages || pages - head < DAXFS_EXTENT_PAGES ||
	    space_lost_pages(pool, head, DAXFS_EXTENT_PAGES))
		return false;
	for (unsigned i = 1; i < DAXFS_EXTENT_PAGES; i++) {
		uint64_t state = sm_load(&pool->state[DAXFS_T_PAGE][head + i]);

		if (state_of(state) != DAXFS_LIVE || use_of(state) != DAXFS_USE_TAIL)
			return false;
	}
	return true;
}

/* The state of what may be the head of one; 0 if it is lost with its memory. */
static uint64_t head_state(const struct pool *pool, uint64_t head)
{
	const sm_u64 *word = &pool->state[DAXFS_T_PAGE][head];

	return pool_lost(pool, word, sizeof(*word)) ? 0 : sm_load(word);
}

/* One that was retired as it is, and that nobody sees any more. */
static bool find_whole(struct lane *lane, struct space_batch *batch, uint64_t head)
{
	struct space_item *item = &batch->item[batch->n];
	uint64_t state = head_state(lane->pool, head);

	if (state_of(state) != DAXFS_RETIRED || use_of(state) != DAXFS_USE_EXTENT ||
	    !object_reusable(&lane->epoch, batch, head, state) || !extent_whole(lane->pool, head) ||
	    !txn_has_room(&lane->txn, 1))
		return false;
	*item = (struct space_item){ head, state, DAXFS_USE_EXTENT, false };
	if (space_named(batch, item))
		return false;
	space_name(lane, batch, 1);
	return true;
}

/* Sixteen free pages. */
static bool find_pages(struct lane *lane, struct space_batch *batch, uint64_t head)
{
	struct space_item *item = &batch->item[batch->n];

	if (!txn_has_room(&lane->txn, DAXFS_EXTENT_PAGES))
		return false;
	for (unsigned i = DAXFS_EXTENT_PAGES; i-- > 0;) {
		item[i] = (struct space_item){ head + i, 0, i ? DAXFS_USE_TAIL : DAXFS_USE_EXTENT, false };
		if (!object_allocatable(lane, batch, head + i, &item[i].found) || space_named(batch, &item[i]))
			return false;
	}
	if (use_of(item[0].found) == DAXFS_USE_EXTENT)
		return false;
	space_name(lane, batch, DAXFS_EXTENT_PAGES);
	return true;
}

/* Among those that this lane retired itself. */
static bool find_own(struct lane *lane, struct space_batch *batch, uint64_t *head, uint32_t *age)
{
	struct alloc_cache *cache = &lane->alloc;

	while (cache->extents_head != cache->extents_tail) {
		uint64_t state;

		*head = cache->extents[cache->extents_head % LANE_EXTENTS].index;
		*age = cache->extents[cache->extents_head % LANE_EXTENTS].age;
		if (find_whole(lane, batch, *head)) {
			cache->extents_head++;
			return true;
		}
		state = head_state(lane->pool, *head);
		if (state_of(state) == DAXFS_RETIRED && use_of(state) == DAXFS_USE_EXTENT &&
		    cache->extents_tail - cache->extents_head < LANE_EXTENTS / 2 && extent_whole(lane->pool, *head))
			return false; /* too young: keep it for later */
		cache->extents_head++;
	}
	return false;
}

/* Where the next extent is looked for: not in a group of states that is closed. False: all are. */
static bool next_place(struct lane *lane, uint64_t *head)
{
	uint64_t *cursor = &lane->alloc.extent_cursor, groups = summary_groups(lane->pool, DAXFS_T_PAGE);
	uint64_t group, to;
	bool waiting;

	if (*cursor >= lane->pool->objects[DAXFS_T_PAGE] / DAXFS_EXTENT_PAGES)
		*cursor = 0;
	group = *cursor * DAXFS_EXTENT_PAGES / DAXFS_GROUP;
	if (summary_closed(&lane->epoch, DAXFS_T_PAGE, group, &waiting)) {
		to = summary_next(lane, DAXFS_T_PAGE, group, &waiting);
		if (to == groups)
			to = summary_next(lane, DAXFS_T_PAGE, 0, &waiting);
		if (to == groups)
			return false;
		*cursor = to * (DAXFS_GROUP / DAXFS_EXTENT_PAGES);
	}
	*head = (*cursor)++ * DAXFS_EXTENT_PAGES;
	if (*cursor % (DAXFS_GROUP / DAXFS_EXTENT_PAGES) == 0)
		lane->alloc.behind[DAXFS_T_PAGE] = *head / DAXFS_GROUP + 1;
	return *head + DAXFS_EXTENT_PAGES <= lane->pool->objects[DAXFS_T_PAGE];
}

static bool find_extent(struct lane *lane, struct space_batch *batch, uint64_t *head, uint32_t *age)
{
	uint64_t groups = lane->pool->objects[DAXFS_T_PAGE] / DAXFS_EXTENT_PAGES;

	if (find_own(lane, batch, head, age))
		return true;
	*age = UINT32_MAX;
	for (unsigned i = 0; i < SCAN && i < groups; i++) {
		if (!next_place(lane, head))
			return false;
		if (find_whole(lane, batch, *head) || find_pages(lane, batch, *head))
			return true;
	}
	lane->alloc.extent_cursor = lane_random(lane, groups); /* nothing here */
	return false;
}

bool space_find_extent(struct lane *lane, struct space_batch *batch, uint64_t *head, uint32_t *age)
{
	if (lane->txn.n_allocs == 0)
		find_close_behind(lane, DAXFS_T_PAGE);
	if (!reserve_admits(lane, DAXFS_EXTENT_PAGES))
		return false;
	if (find_extent(lane, batch, head, age))
		return true;
	reserve_return(lane, DAXFS_EXTENT_PAGES);
	return false;
}

bool space_keep(struct lane *lane, struct space_batch *batch, uint64_t page)
{
	uint64_t state = sm_load(&lane->pool->state[DAXFS_T_PAGE][page]);

	/* PRIVATE: the record that formed the extent happened, for it is linked, but is not finalized. */
	if (use_of(state) != DAXFS_USE_TAIL || !txn_has_room(&lane->txn, 1))
		return false;
	batch->item[batch->n] = (struct space_item){ page, state, DAXFS_USE_KEPT, false };
	space_name(lane, batch, 1);
	return true;
}
