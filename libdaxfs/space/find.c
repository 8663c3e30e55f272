/* SPDX-License-Identifier: Apache-2.0 */
/*
 * find.c - where a free object is looked for: a table of sources, cheapest first.
 *
 * A source proposes an object whose state says that it may be taken; only the CAS of that
 * state takes it (space.c), so nothing here has to be right but one thing: before it is said that
 * there is none, every state was looked at since the last one was freed. That is up to the
 * last source, and to sync/summary.h.
 *
 * Retired objects become free with time. If one was seen that is not yet, all sources are
 * asked once more under a fresh scan of the announcements; if that does not help,
 * txn.starved says whether more time can.
 */
#include "space/inner.h"

#include <errno.h>

#include "sync/summary.h"

#define SNAPSHOT_EVERY 64u /* pages taken between two looks at all lanes */
#define AHEAD_SCAN 16u     /* states looked at for the page after this one */
#define SPARE_SCAN 1024u   /* states looked at before an extent that rests is taken apart */
/* So many places are tried, before all groups in turn: a pool that is full in one part and
 * free in another would else be looked through as far as it is full. */
#define PROBES 32u

/* -- may it be taken? ------------------------------------------------------------- */

bool object_reusable(struct epoch_guard *guard, struct space_batch *batch, uint64_t index, uint64_t state)
{
	uint64_t birth = sm_load_relaxed(&guard->pool->birth[batch->type][index]);

	if (epoch_reusable(&guard->scan, state & DAXFS_EPOCH_MASK, birth))
		return true;
	batch->blocked = true;
	if (guard->taken_since_snapshot < SNAPSHOT_EVERY)
		return false;
	epoch_rescan(guard);
	return epoch_reusable(&guard->scan, state & DAXFS_EPOCH_MASK, birth);
}

bool object_allocatable(struct lane *lane, struct space_batch *batch, uint64_t index, uint64_t *state)
{
	uint64_t s;

	if (space_lost(lane, batch->type, index)) {
		*state = state_make(DAXFS_LIVE, DAXFS_USE_BAD, 0);
		return false;
	}
	s = sm_load(&lane->pool->state[batch->type][index]);
	*state = s;
	if (object_worn(lane->pool, batch->type, index))
		return false;
	switch (state_of(s)) {
	case DAXFS_FREE: return s == 0;
	case DAXFS_RETIRED:
		if (use_of(s) == DAXFS_USE_EXTENT && !batch->second && batch->scanned < SPARE_SCAN &&
		    extent_whole(lane->pool, index)) {
			batch->blocked = true; /* whoever writes much wants it whole */
			return false;
		}
		return object_reusable(&lane->epoch, batch, index, s);
	default: return space_left_over(lane->pool, batch->type, index, s);
	}
}

/* -- a group of states ---------------------------------------------------------------- */

static uint64_t *cursor_of(struct lane *lane, const struct space_batch *batch)
{
	uint64_t *cursor = &lane->alloc.cursor[batch->type];

	if (*cursor >= lane->pool->objects[batch->type])
		*cursor = 0;
	return cursor;
}

static uint64_t group_end(const struct pool *pool, enum daxfs_type type, uint64_t index)
{
	uint64_t end = (index / DAXFS_GROUP + 1) * DAXFS_GROUP;

	return end < pool->objects[type] ? end : pool->objects[type];
}

/* A cursor that comes to the end of a group leaves it. */
static void left_behind(struct lane *lane, enum daxfs_type type, uint64_t cursor, uint64_t end)
{
	if (cursor >= end)
		lane->alloc.behind[type] = (end + DAXFS_GROUP - 1) / DAXFS_GROUP;
}

/* Look on from the cursor, to the end of its group, at so many states at most. */
static bool look_on(struct lane *lane, struct space_batch *batch, unsigned most, struct space_item *item)
{
	uint64_t *cursor = cursor_of(lane, batch), end = group_end(lane->pool, batch->type, *cursor);

	for (; *cursor < end && most; most--) {
		item->index = (*cursor)++;
		batch->scanned++;
		if (object_allocatable(lane, batch, item->index, &item->found)) {
			left_behind(lane, batch->type, *cursor, end);
			return true;
		}
		if (use_of(item->found) != DAXFS_USE_EXTENT || !extent_whole(lane->pool, item->index))
			continue;
		*cursor += DAXFS_EXTENT_PAGES - 1; /* nor are its others free */
		batch->scanned += DAXFS_EXTENT_PAGES - 1;
	}
	left_behind(lane, batch->type, *cursor, end);
	return false;
}

/* What does a state mean for the word over its group? Not what this batch would rather leave. */
static void judge(struct lane *lane, enum daxfs_type type, uint64_t index, struct summary_verdict *verdict)
{
	uint64_t s;

	if (space_lost(lane, type, index) || object_worn(lane->pool, type, index))
		return;
	s = sm_load(&lane->pool->state[type][index]);
	if (state_of(s) == DAXFS_FREE)
		verdict->open |= s == 0;
	else if (state_of(s) == DAXFS_LIVE)
		verdict->open |= space_left_over(lane->pool, type, index, s);
	else if (state_of(s) == DAXFS_RETIRED &&
		 summary_waits(lane->epoch.scan.oldest, sm_load_relaxed(&lane->pool->birth[type][index]),
			       s & DAXFS_EPOCH_MASK))
		verdict->waiting = true;
	else
		verdict->open |= state_of(s) == DAXFS_RETIRED;
}

/* Nothing was found in all of a group. */
static void close_group(struct lane *lane, enum daxfs_type type, uint64_t group)
{
	uint64_t look = summary_look(lane, type, group), index = group * DAXFS_GROUP;
	struct summary_verdict verdict = { .open = false };

	for (uint64_t end = group_end(lane->pool, type, index); !verdict.open && index < end; index++)
		judge(lane, type, index, &verdict);
	summary_conclude(lane, type, group, look, verdict);
}

void find_close_behind(struct lane *lane, enum daxfs_type type)
{
	uint64_t behind = lane->alloc.behind[type];
	bool waiting;

	lane->alloc.behind[type] = 0;
	if (behind && !summary_closed(&lane->epoch, type, behind - 1, &waiting))
		close_group(lane, type, behind - 1);
}

/* -- sources --------------------------------------------------------------------------- */

/* The one that the caller wishes for. */
static bool try_wanted(struct lane *lane, struct space_batch *batch, struct space_item *item)
{
	item->index = batch->wanted;
	batch->wanted = 0;
	return item->index && item->index < lane->pool->objects[batch->type] &&
	       object_allocatable(lane, batch, item->index, &item->found);
}

/* What alloc_prefetch found, if it is still so. */
static bool try_fetched(struct lane *lane, struct space_batch *batch, struct space_item *item)
{
	if (batch->type != DAXFS_T_PAGE || !lane->alloc.next_known)
		return false;
	lane->alloc.next_known = false;
	item->index = lane->alloc.next_page;
	return object_allocatable(lane, batch, item->index, &item->found);
}

/* What this lane retired itself. */
static bool try_own(struct lane *lane, struct space_batch *batch, struct space_item *item)
{
	struct alloc_cache *cache = &lane->alloc;

	while (batch->type == DAXFS_T_PAGE && cache->hint_head != cache->hint_tail) {
		item->index = cache->hints[cache->hint_head % LANE_HINTS];
		if (object_allocatable(lane, batch, item->index, &item->found)) {
			cache->hint_head++;
			return true;
		}
		if (state_of(item->found) == DAXFS_RETIRED && use_of(item->found) != DAXFS_USE_EXTENT &&
		    cache->hint_tail - cache->hint_head < LANE_HINTS / 2)
			return false; /* too young: keep it for later */
		cache->hint_head++;
	}
	return false;
}

/* The same under a fresh scan, before a pool that is nearly full is looked through. */
static bool try_own_again(struct lane *lane, struct space_batch *batch, struct space_item *item)
{
	const struct alloc_cache *cache = &lane->alloc;

	if (batch->type != DAXFS_T_PAGE || cache->hint_head == cache->hint_tail || batch->fresh || batch->second ||
	    !sm_load_relaxed(lane->pool->scarce))
		return false;
	batch->fresh = true;
	epoch_rescan(&lane->epoch);
	return try_own(lane, batch, item);
}

/* Go to the next group that is not closed. False: this pass has been to all. */
static bool next_group(struct lane *lane, struct space_batch *batch)
{
	uint64_t groups = summary_groups(lane->pool, batch->type), *cursor = cursor_of(lane, batch);
	uint64_t at = *cursor / DAXFS_GROUP, to = summary_next(lane, batch->type, at, &batch->blocked);

	if (to == groups) { /* from the beginning */
		batch->scanned += lane->pool->objects[batch->type] - *cursor;
		*cursor = at = 0;
		to = summary_next(lane, batch->type, 0, &batch->blocked);
	}
	if (to > at) {
		batch->scanned += to * DAXFS_GROUP - *cursor;
		*cursor = to * DAXFS_GROUP;
	}
	return batch->scanned < lane->pool->objects[batch->type];
}

/* Look in another place first, some times. */
static void probe(struct lane *lane, struct space_batch *batch)
{
	uint64_t groups = summary_groups(lane->pool, batch->type);

	if (groups <= PROBES || batch->probes == PROBES)
		return;
	batch->probes++;
	batch->scanned = 0;
	*cursor_of(lane, batch) = lane_random(lane, groups) * DAXFS_GROUP;
}

/* All others: from the cursor on, then in some places, then in every group that is not closed. */
static bool try_scan(struct lane *lane, struct space_batch *batch, struct space_item *item)
{
	while (next_group(lane, batch)) {
		if (look_on(lane, batch, DAXFS_GROUP, item))
			return true;
		find_close_behind(lane, batch->type);
		lane_moved(lane);
		probe(lane, batch);
	}
	return false;
}

static bool (*const sources[])(struct lane *lane, struct space_batch *batch, struct space_item *item) = {
	try_wanted, try_fetched, try_own, try_own_again, try_scan,
};

/* Nothing was found anywhere: once more under a fresh scan, if that can help. */
static bool another_pass(struct lane *lane, struct space_batch *batch)
{
	lane->txn.starved = batch->blocked;
	if (batch->second || !batch->blocked)
		return false;
	batch->second = true;
	batch->scanned = 0;
	batch->blocked = false;
	epoch_rescan(&lane->epoch);
	return true;
}

static bool find(struct lane *lane, struct space_batch *batch, struct space_item *item)
{
	do {
#pragma GCC unroll 8 /* and with that calls of known functions: most records end at the second or third */
		for (unsigned i = 0; i < sizeof(sources) / sizeof(*sources); i++)
			if (sources[i](lane, batch, item))
				return true;
	} while (another_pass(lane, batch));
	return false;
}

/* What was found by one source comes up again in another, for it is not taken yet. */
int find_candidate(struct lane *lane, struct space_batch *batch, struct space_item *item)
{
	do {
		if (!find(lane, batch, item))
			return -ENOSPC;
	} while (space_named(batch, item));
	return 0;
}

bool find_ahead(struct lane *lane, uint64_t *index)
{
	struct space_batch batch;
	struct space_item item;
	bool found;

	find_close_behind(lane, DAXFS_T_PAGE);
	space_begin(&batch, DAXFS_T_PAGE);
	found = try_own(lane, &batch, &item) || look_on(lane, &batch, AHEAD_SCAN, &item);
	*index = item.index;
	return found;
}
