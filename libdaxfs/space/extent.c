/* SPDX-License-Identifier: Apache-2.0 */
/*
 * extent.c - sixteen neighbouring pages as one object.
 *
 * The state of the first page, the head, is that of the extent. The others have
 * TAIL in their states, which is put there once, when the extent is formed, and
 * stays while the extent is retired and used again, by its head alone. What ends
 * an extent is that somebody who needs single pages takes its head as one: from
 * then on the others are free, without having been touched.
 *
 * Where a part of an extent is written, the record that breaks it up keeps pages
 * that stay as they are: it takes them, in use as they are, from TAIL to KEPT, and
 * links each by itself. The head is replaced by a copy, and retired as ever: a dead host
 * may have left a record that replaced this extent, or not, and whoever judges that
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
#include "space/space.h"

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

/* One that was retired as it is, and that nobody sees any more. */
static bool find_rested(struct lane *lane, struct space_batch *batch, uint64_t head)
{
	struct space_item *item = &batch->item[batch->n];
	uint64_t state = sm_load(&lane->pool->state[DAXFS_T_PAGE][head]);

	if (state_of(state) != DAXFS_RETIRED || use_of(state) != DAXFS_USE_EXTENT ||
	    !object_reusable(lane, batch, head, state) || !extent_whole(lane->pool, head) || !record_has_room(lane, 1))
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

	if (!record_has_room(lane, DAXFS_EXTENT_PAGES))
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
	while (lane->extents_head != lane->extents_tail) {
		uint64_t state;

		*head = lane->extents[lane->extents_head % LANE_EXTENTS].index;
		*age = lane->extents[lane->extents_head % LANE_EXTENTS].age;
		if (find_rested(lane, batch, *head)) {
			lane->extents_head++;
			return true;
		}
		state = sm_load_relaxed(&lane->pool->state[DAXFS_T_PAGE][*head]);
		if (state_of(state) == DAXFS_RETIRED && use_of(state) == DAXFS_USE_EXTENT &&
		    lane->extents_tail - lane->extents_head < LANE_EXTENTS / 2 && extent_whole(lane->pool, *head))
			return false; /* too young: keep it for later */
		lane->extents_head++;
	}
	return false;
}

bool space_find_extent(struct lane *lane, struct space_batch *batch, uint64_t *head, uint32_t *age)
{
	uint64_t groups = lane->pool->objects[DAXFS_T_PAGE] / DAXFS_EXTENT_PAGES;

	if (find_own(lane, batch, head, age))
		return true;
	*age = UINT32_MAX;
	for (unsigned i = 0; i < SCAN && i < groups; i++) {
		if (lane->extent_cursor >= groups)
			lane->extent_cursor = 0;
		*head = lane->extent_cursor++ * DAXFS_EXTENT_PAGES;
		if (find_rested(lane, batch, *head) || find_pages(lane, batch, *head))
			return true;
	}
	lane->extent_cursor = lane_random(lane, groups); /* nothing here */
	return false;
}

bool space_keep(struct lane *lane, struct space_batch *batch, uint64_t page)
{
	uint64_t state = sm_load(&lane->pool->state[DAXFS_T_PAGE][page]);

	/* PRIVATE: the record that formed the extent happened, for it is linked, but is not finalized. */
	if (use_of(state) != DAXFS_USE_TAIL || !record_has_room(lane, 1))
		return false;
	batch->item[batch->n] = (struct space_item){ page, state, DAXFS_USE_KEPT, false };
	space_name(lane, batch, 1);
	return true;
}
