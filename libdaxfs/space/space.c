/* SPDX-License-Identifier: Apache-2.0 */
/*
 * space.c - the allocator: a state word per object, and nothing else shared.
 *
 * There is no free list in the pool. A lane looks for objects that are FREE, or
 * RETIRED and visible to nobody (sync/epoch.c), first among those it retired
 * itself, then from a cursor of its own; it names what it is about to take in
 * its record and takes it by CAS. A host that dies with any number of
 * favourites in its head leaks nothing; what it had taken is in its records.
 * Sixteen pages at once: extent.c.
 */
#include "space/space.h"

#include <errno.h>

#define SNAPSHOT_EVERY 64u /* pages taken between two looks at all lanes */
#define WARM_SCAN 16u      /* states looked at for a page to fetch ahead */
/* How much of it is fetched, in two goes: as much as the processor keeps under way at once,
 * and what it gets before the page is filled. It finds the rest by itself. */
#define WARM_FIRST 1024u
#define WARM_SECOND 2048u
#define ADVANCE_EVERY 64u /* pages taken in one epoch: bounds what a dead lane holds back unseen */
#define SPARE_SCAN 1024u  /* states looked at before an extent that rests is taken apart */
/* So many states are looked at in so many places, before all are in turn: a pool that is full
 * in one part and free in another would else be looked through as far as it is full. */
#define STRIDE 512u
#define PLACES 32u

bool object_reusable(struct lane *lane, struct space_batch *batch, uint64_t index, uint64_t state)
{
	uint64_t birth = sm_load_relaxed(&lane->pool->birth[batch->type][index]);

	if (epoch_reusable(&lane->scan, state & DAXFS_EPOCH_MASK, birth))
		return true;
	batch->blocked = true;
	if (lane->taken_since_snapshot < SNAPSHOT_EVERY)
		return false;
	epoch_rescan(lane);
	return epoch_reusable(&lane->scan, state & DAXFS_EPOCH_MASK, birth);
}

/* An index that has had its last i_generation is not used again: its handles would come again. */
static bool inode_worn(const struct pool *pool, uint64_t index)
{
	return sm_load_relaxed(&pool->inodes[index].i_generation) >= counter_ends.i_generation;
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
	if (batch->type == DAXFS_T_INODE && inode_worn(lane->pool, index))
		return false;
	switch (state_of(s)) {
	case DAXFS_FREE: return s == 0;
	case DAXFS_RETIRED:
		if (use_of(s) == DAXFS_USE_EXTENT && !batch->second && batch->scanned < SPARE_SCAN &&
		    extent_whole(lane->pool, index)) {
			batch->blocked = true; /* whoever writes much wants it whole */
			return false;
		}
		return object_reusable(lane, batch, index, s);
	case DAXFS_LIVE:
		return use_of(s) == DAXFS_USE_TAIL && batch->type == DAXFS_T_PAGE && extent_gone(lane->pool, index);
	default: return false;
	}
}

static bool next_hint(struct lane *lane, struct space_batch *batch, uint64_t *index, uint64_t *state)
{
	while (batch->type == DAXFS_T_PAGE && lane->hint_head != lane->hint_tail) {
		*index = lane->hints[lane->hint_head % LANE_HINTS];
		if (object_allocatable(lane, batch, *index, state)) {
			lane->hint_head++;
			return true;
		}
		if (state_of(*state) == DAXFS_RETIRED && use_of(*state) != DAXFS_USE_EXTENT &&
		    lane->hint_tail - lane->hint_head < LANE_HINTS / 2)
			return false; /* too young: keep it for later */
		lane->hint_head++;
	}
	return false;
}

/* The whole table was looked at: once more under a fresh scan, if that can
 * help. If it does not, lane->starved says whether time can. */
static bool another_pass(struct lane *lane, struct space_batch *batch)
{
	lane->starved = batch->blocked;
	if (batch->second || !batch->blocked)
		return false;
	batch->second = true;
	batch->scanned = 0;
	batch->blocked = false;
	epoch_rescan(lane);
	return true;
}

/* What alloc_prefetch found, if it is still so. */
static bool next_known(struct lane *lane, struct space_batch *batch, uint64_t *index, uint64_t *state)
{
	if (batch->type != DAXFS_T_PAGE || !lane->next_known)
		return false;
	lane->next_known = false;
	*index = lane->next_page;
	return object_allocatable(lane, batch, *index, state);
}

/* Go on from the cursor until `scanned` objects were looked at in this pass. */
static bool next_scanned(struct lane *lane, struct space_batch *batch, uint64_t scanned, uint64_t *index,
			 uint64_t *state)
{
	while (batch->scanned < scanned) {
		if (lane->cursor[batch->type] >= lane->pool->objects[batch->type])
			lane->cursor[batch->type] = 0;
		*index = lane->cursor[batch->type]++;
		batch->scanned++;
		if (object_allocatable(lane, batch, *index, state))
			return true;
		if (use_of(*state) != DAXFS_USE_EXTENT || !extent_whole(lane->pool, *index))
			continue;
		lane->cursor[batch->type] += DAXFS_EXTENT_PAGES - 1; /* nor are its others free */
		batch->scanned += DAXFS_EXTENT_PAGES - 1;
	}
	return false;
}

static bool next_in_places(struct lane *lane, struct space_batch *batch, uint64_t *index, uint64_t *state)
{
	uint64_t objects = lane->pool->objects[batch->type];

	if (objects <= PLACES * STRIDE)
		return false;
	for (; batch->places < PLACES; batch->places++) {
		if (next_scanned(lane, batch, (batch->places + 1) * STRIDE, index, state))
			return true;
		lane->cursor[batch->type] = lane_random(lane, objects);
		if (batch->places + 1 == PLACES)
			batch->scanned = 0; /* all, from here on */
	}
	return false;
}

static bool next_wanted(struct lane *lane, struct space_batch *batch, uint64_t *index, uint64_t *state)
{
	*index = batch->wanted;
	batch->wanted = 0;
	return *index && *index < lane->pool->objects[batch->type] && object_allocatable(lane, batch, *index, state);
}

/* What was found by one way of looking comes up again in another, for it is not taken yet. */
bool space_named(const struct space_batch *batch, const struct space_item *item)
{
	for (unsigned i = 0; i < batch->n; i++)
		if (batch->item[i].index == item->index && &batch->item[i] != item)
			return true;
	return false;
}

static bool next(struct lane *lane, struct space_batch *batch, uint64_t *index, uint64_t *state)
{
	if (next_wanted(lane, batch, index, state) || next_known(lane, batch, index, state) ||
	    next_hint(lane, batch, index, state) || next_in_places(lane, batch, index, state))
		return true;
	do {
		if (next_scanned(lane, batch, lane->pool->objects[batch->type], index, state))
			return true;
	} while (another_pass(lane, batch));
	return false;
}

/* Find an object to try: 0 or -ENOSPC. */
static int next_candidate(struct lane *lane, struct space_batch *batch, struct space_item *item)
{
	do {
		if (!next(lane, batch, &item->index, &item->found))
			return -ENOSPC;
	} while (space_named(batch, item));
	return 0;
}

static uint64_t birth_of(const struct lane *lane, const struct space_item *item)
{
	uint64_t head = item->index - item->index % DAXFS_EXTENT_PAGES;

	if (item->use == DAXFS_USE_KEPT)
		return sm_load_relaxed(&lane->pool->birth[DAXFS_T_PAGE][head]);
	return sm_load(&lane_manager(lane)->epoch);
}

/* CAS to PRIVATE, then give it its birth epoch: now, or when its extent came into use. */
static bool take(struct lane *lane, enum daxfs_type type, const struct space_item *item)
{
	struct pool *pool = lane->pool;

	/* ORD take: after the intent. Crash: PRIVATE under our txid, named in
	 * our record: recovery frees it. */
	if (!sm_cas(&pool->state[type][item->index], item->found,
		    state_make(DAXFS_PRIVATE, item->use, txid_make(lane->id, lane->seq))))
		return false;
	if (item->use == DAXFS_USE_TAIL)
		return true; /* as old as its head */
	/* Before it is published, and no later than the epoch it is seen in. */
	sm_store(&pool->birth[type][item->index], birth_of(lane, item));
	if (item->use == DAXFS_USE_KEPT)
		return true; /* was in use before */
	lane->taken_since_snapshot += space_pages(item->use);
	lane->taken_since_advance += space_pages(item->use);
	if (lane->taken_since_advance >= ADVANCE_EVERY)
		epoch_advance(lane);
	return true;
}

/* Start the write-back of what taking changed, each line once where neighbours were taken. */
static void persist_taken(struct lane *lane, const struct space_batch *batch)
{
	const struct pool *pool = lane->pool;
	const sm_u64 *state = NULL, *birth = NULL;

	for (unsigned i = 0; pool->shm.wb && i < batch->n; i++) {
		sm_flush_run(&pool->shm, &state, &pool->state[batch->type][batch->item[i].index]);
		sm_flush_run(&pool->shm, &birth, &pool->birth[batch->type][batch->item[i].index]);
	}
	sm_flush_run(&pool->shm, &state, NULL);
	sm_flush_run(&pool->shm, &birth, NULL);
}

void space_begin(struct space_batch *batch, enum daxfs_type type)
{
	batch->type = type;
	batch->wanted = batch->scanned = 0;
	batch->second = batch->blocked = false;
	batch->places = 0;
	batch->at = batch->n = 0; /* of none, if none is found */
}

bool record_has_room(const struct lane *lane, unsigned n)
{
	return lane->n_allocs + n <= DAXFS_RECORD_ALLOCS;
}

static void name(struct lane *lane, struct space_batch *batch, unsigned i)
{
	const struct space_item *item = &batch->item[i];

	record_intend(lane, batch->at + i, batch->type, item->index);
	sm_prefetch_write(&lane->pool->birth[batch->type][item->index], sizeof(sm_u64));
}

void space_name(struct lane *lane, struct space_batch *batch, unsigned n)
{
	if (batch->n == 0)
		batch->at = lane->n_allocs;
	for (; n; n--)
		name(lane, batch, batch->n++);
}

/*
 * The rest of an extent that item i takes apart is free, and next to be looked at, once its
 * head is taken: at once, or of many extents nothing but the heads would be found. If
 * somebody else was faster, the claim that follows says so.
 */
static void split_extent(struct lane *lane, struct space_batch *batch, unsigned i)
{
	if (use_of(batch->item[i].found) == DAXFS_USE_EXTENT)
		space_claim(lane, batch);
}

int space_find(struct lane *lane, struct space_batch *batch, enum daxfs_use use, uint64_t *index)
{
	struct space_item *item = &batch->item[batch->n]; /* filled where it is: a copy would wait for its parts */
	int rc = record_has_room(lane, 1) ? next_candidate(lane, batch, item) : -E2BIG;

	if (rc)
		return rc;
	item->use = use;
	item->have = false;
	space_name(lane, batch, 1);
	*index = item->index;
	split_extent(lane, batch, batch->n - 1);
	return 0;
}

int space_claim(struct lane *lane, struct space_batch *batch)
{
	int rc = 0;

	record_intended(lane, batch->at, batch->n);
	for (unsigned i = 0; i < batch->n; i++) {
		struct space_item *item = &batch->item[i];

		item->have = item->have || take(lane, batch->type, item);
		if (!item->have)
			rc = -EAGAIN;
	}
	persist_taken(lane, batch);
	return rc;
}

/* Find others in place of those that somebody else took. */
static int find_again(struct lane *lane, struct space_batch *batch)
{
	int rc = 0;

	for (unsigned i = 0; i < batch->n; i++) {
		if (batch->item[i].have)
			continue;
		rc = next_candidate(lane, batch, &batch->item[i]);
		if (rc)
			break;
		name(lane, batch, i);
		split_extent(lane, batch, i);
	}
	return rc;
}

static int take_all(struct lane *lane, struct space_batch *batch, enum daxfs_use use, unsigned n, uint64_t *out)
{
	int rc = record_has_room(lane, n) ? 0 : -E2BIG;

	for (unsigned i = 0; rc == 0 && i < n; i++)
		rc = space_find(lane, batch, use, &out[i]);
	while (rc == 0 && (rc = space_claim(lane, batch)) == -EAGAIN)
		rc = find_again(lane, batch);
	for (unsigned i = 0; rc == 0 && i < n; i++)
		out[i] = batch->item[i].index;
	return rc;
}

int space_take(struct lane *lane, enum daxfs_type type, enum daxfs_use use, unsigned n, uint64_t *out)
{
	struct space_batch batch;

	space_begin(&batch, type);
	return take_all(lane, &batch, use, n, out);
}

int space_take_at(struct lane *lane, enum daxfs_type type, enum daxfs_use use, uint64_t at, uint64_t *out)
{
	struct space_batch batch;

	space_begin(&batch, type);
	batch.wanted = at;
	return take_all(lane, &batch, use, 1, out);
}

void alloc_prefetch(struct lane *lane)
{
	struct space_batch batch;
	struct pool *pool = lane->pool;
	uint64_t index, state;

	space_begin(&batch, DAXFS_T_PAGE);
	if (!lane->next_known)
		lane->next_known = next_hint(lane, &batch, &lane->next_page, &state) ||
				   next_scanned(lane, &batch, WARM_SCAN, &lane->next_page, &state);
	if (!lane->next_known)
		return;
	index = lane->next_page;
	space_warm_state(pool, index);
	sm_prefetch_write(&pool->birth[DAXFS_T_PAGE][index], sizeof(sm_u64));
	if (!pool->shm.wb)
		sm_prefetch_write(pool_page(pool, index), WARM_FIRST);
}

void space_warm_on(struct lane *lane)
{
	if (lane->next_known && !lane->pool->shm.wb)
		sm_prefetch_write(pool_page(lane->pool, lane->next_page) + WARM_FIRST, WARM_SECOND);
}

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
