/* SPDX-License-Identifier: Apache-2.0 */
/* inner.h - between the parts of the allocator; for everybody else see space.h. */
#ifndef DAXFS_SPACE_INNER_H
#define DAXFS_SPACE_INNER_H

#include "space/space.h"

/* -- find.c: candidates ---------------------------------------------------------- */

/* Find an object to try, that is not in the batch yet: its index and state. -ENOSPC. */
int find_candidate(struct lane *lane, struct space_batch *batch, struct space_item *item);
/* May an object be taken now? *state: what the CAS must find. */
bool object_allocatable(struct lane *lane, struct space_batch *batch, uint64_t index, uint64_t *state);
/* The same for one that is RETIRED under this state. */
bool object_reusable(struct epoch_guard *guard, struct space_batch *batch, uint64_t index, uint64_t state);
/* Close the group that a cursor left, if it is used up: while nothing of this record is named, but not taken. */
void find_close_behind(struct lane *lane, enum daxfs_type type);
/* The page that the next record of this lane is to take: a short look. */
bool find_ahead(struct lane *lane, uint64_t *index);

/* -- space.c: the batch ---------------------------------------------------------- */

/* Is what an item found in another of the batch already? */
bool space_named(const struct space_batch *batch, const struct space_item *item);
/* Name what the next n are: batch->item[batch->n] and on, for which the record has room. */
void space_name(struct lane *lane, struct space_batch *batch, unsigned n);

/* -- extent.c ---------------------------------------------------------------------- */

/* Is a page whose state has the use TAIL, and was loaded before, free for all that? */
bool extent_gone(const struct pool *pool, uint64_t index);
/* Has an extent, LIVE or RETIRED, all of its pages? Else some go their own way (X4). */
bool extent_whole(const struct pool *pool, uint64_t head);

/* -- lost.c ------------------------------------------------------------------------ */

/* Is an object lost? Then it is not to be handed out, and if nobody uses it, it goes into quarantine. */
bool space_lost(struct lane *lane, enum daxfs_type type, uint64_t index);

/* -- reserve.c --------------------------------------------------------------------- */

/* May the record take so many pages more, as far as others are to have some left? */
bool reserve_admits(struct lane *lane, unsigned pages);
/* It found none: do others have them, who will give them back? */
bool reserve_comes_back(const struct lane *lane);
/* It did not take them. */
void reserve_return(struct lane *lane, unsigned pages);

/* LIVE for all that is said, and free: a page of an extent that is gone. */
static inline bool space_left_over(const struct pool *pool, enum daxfs_type type, uint64_t index, uint64_t state)
{
	return state_of(state) == DAXFS_LIVE && use_of(state) == DAXFS_USE_TAIL && type == DAXFS_T_PAGE &&
	       extent_gone(pool, index);
}

static inline unsigned space_pages(enum daxfs_use use)
{
	return use == DAXFS_USE_EXTENT ? DAXFS_EXTENT_PAGES : 1;
}

#endif
