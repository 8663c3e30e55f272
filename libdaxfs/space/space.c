/* SPDX-License-Identifier: Apache-2.0 */
/*
 * space.c - the allocator: a state word per object, and nothing else shared.
 *
 * There is no free list in the pool. A lane looks for objects that are FREE, or
 * RETIRED and visible to nobody (sync/epoch.c), first among those it retired
 * itself, then from a cursor of its own; it names what it is about to take in
 * its record and takes it by CAS. A host that dies with any number of
 * favourites in its head leaks nothing; what it had taken is in its records.
 */
#include "space/space.h"

#include <errno.h>

#define SNAPSHOT_EVERY 64u /* objects taken between two looks at all lanes */
#define WARM_SCAN 16u      /* states looked at for a page to fetch ahead */
/* How much of it is fetched, in two goes: as much as the processor keeps under way at once,
 * and what it gets before the page is filled. It finds the rest by itself. */
#define WARM_FIRST 1024u
#define WARM_SECOND 2048u
#define ADVANCE_EVERY 64u  /* objects taken in one epoch: bounds what a dead lane holds back unseen */

/* May index be taken now? *state: what the CAS must find. */
static bool usable(struct lane *lane, struct space_search *search, uint64_t index, uint64_t *state)
{
	struct pool *pool = lane->pool;
	uint64_t s = sm_load(&pool->state[search->type][index]);
	uint64_t birth;

	*state = s;
	if (state_of(s) == DAXFS_FREE)
		return s == 0;
	if (state_of(s) != DAXFS_RETIRED)
		return false;
	birth = sm_load_relaxed(&pool->birth[search->type][index]);
	if (epoch_reusable(&lane->snapshot, s & DAXFS_EPOCH_MASK, birth))
		return true;
	search->blocked = true;
	if (lane->taken_since_snapshot < SNAPSHOT_EVERY)
		return false;
	epoch_snapshot(lane);
	return epoch_reusable(&lane->snapshot, s & DAXFS_EPOCH_MASK, birth);
}

static bool next_hint(struct lane *lane, struct space_search *search, uint64_t *index, uint64_t *state)
{
	while (search->type == DAXFS_T_PAGE && lane->hint_head != lane->hint_tail) {
		*index = lane->hints[lane->hint_head % LANE_HINTS];
		if (usable(lane, search, *index, state)) {
			lane->hint_head++;
			return true;
		}
		if (state_of(*state) == DAXFS_RETIRED && lane->hint_tail - lane->hint_head < LANE_HINTS / 2)
			return false; /* too young: keep it for later */
		lane->hint_head++;
	}
	return false;
}

/* The whole table was looked at: once more under a fresh snapshot, if that can
 * help. If it does not, lane->starved says whether time can. */
static bool another_pass(struct lane *lane, struct space_search *search)
{
	lane->starved = search->blocked;
	if (search->second || !search->blocked)
		return false;
	search->second = true;
	search->scanned = 0;
	search->blocked = false;
	epoch_snapshot(lane);
	return true;
}

/* What space_warm found, if it is still so. */
static bool next_known(struct lane *lane, struct space_search *search, uint64_t *index, uint64_t *state)
{
	if (search->type != DAXFS_T_PAGE || !lane->next_known)
		return false;
	lane->next_known = false;
	*index = lane->next_page;
	return usable(lane, search, *index, state);
}

/* Go on from the cursor until `scanned` objects were looked at in this pass. */
static bool next_scanned(struct lane *lane, struct space_search *search, uint64_t scanned, uint64_t *index,
			 uint64_t *state)
{
	while (search->scanned < scanned) {
		if (lane->cursor[search->type] >= lane->pool->objects[search->type])
			lane->cursor[search->type] = 0;
		*index = lane->cursor[search->type]++;
		search->scanned++;
		if (usable(lane, search, *index, state))
			return true;
	}
	return false;
}

static bool next_wanted(struct lane *lane, struct space_search *search, uint64_t *index, uint64_t *state)
{
	*index = search->wanted;
	search->wanted = 0;
	return *index && *index < lane->pool->objects[search->type] && usable(lane, search, *index, state);
}

/* Find an object to try: 0 or -ENOSPC. */
static int next_candidate(struct lane *lane, struct space_search *search, uint64_t *index, uint64_t *state)
{
	if (next_wanted(lane, search, index, state) || next_known(lane, search, index, state) ||
	    next_hint(lane, search, index, state))
		return 0;
	do {
		if (next_scanned(lane, search, lane->pool->objects[search->type], index, state))
			return 0;
	} while (another_pass(lane, search));
	return -ENOSPC;
}

/* CAS to PRIVATE, then give it its birth epoch. */
static bool take(struct lane *lane, enum daxfs_type type, enum daxfs_use use, uint64_t index, uint64_t found)
{
	struct pool *pool = lane->pool;
	sm_u64 *state = &pool->state[type][index];
	sm_u64 *birth = &pool->birth[type][index];

	/* ORD take: after the intent. Crash: PRIVATE under our nonce, named in
	 * our record: recovery frees it. */
	if (!sm_swap(state, found, state_make(DAXFS_PRIVATE, use, nonce_make(lane->id, lane->seq))))
		return false;
	/* Before it is published, and no later than the epoch it is seen in. */
	sm_store(birth, sm_load(&lane_manager(lane)->epoch));
	lane->taken_since_snapshot++;
	if (++lane->taken_since_advance >= ADVANCE_EVERY)
		epoch_advance(lane);
	return true;
}

/* Start the write-back of what taking changed, each line once where neighbours were taken. */
static void persist_taken(struct lane *lane, enum daxfs_type type, unsigned n, const uint64_t *index)
{
	const struct pool *pool = lane->pool;
	const sm_u64 *state = NULL, *birth = NULL;

	for (unsigned i = 0; pool->shm.wb && i < n; i++) {
		sm_persist_run(&pool->shm, &state, &pool->state[type][index[i]]);
		sm_persist_run(&pool->shm, &birth, &pool->birth[type][index[i]]);
	}
	sm_persist_run(&pool->shm, &state, NULL);
	sm_persist_run(&pool->shm, &birth, NULL);
}

int space_begin(struct lane *lane, struct space_batch *batch, enum daxfs_type type, enum daxfs_use use, unsigned n,
		uint64_t *index)
{
	batch->search = (struct space_search){ .type = type };
	batch->use = use;
	batch->n = n;
	batch->index = index;
	for (unsigned i = 0; i < n && i < DAXFS_RECORD_ALLOCS; i++)
		batch->have[i] = false;
	return record_reserve(lane, n, &batch->at);
}

int space_find(struct lane *lane, struct space_batch *batch)
{
	struct space_search *search = &batch->search;

	for (unsigned i = 0; i < batch->n; i++) {
		if (batch->have[i])
			continue;
		if (next_candidate(lane, search, &batch->index[i], &batch->found[i]))
			return -ENOSPC;
		record_intend(lane, batch->at + i, search->type, batch->index[i]);
		sm_prefetch_write(&lane->pool->birth[search->type][batch->index[i]], sizeof(sm_u64));
	}
	return 0;
}

int space_claim(struct lane *lane, struct space_batch *batch)
{
	enum daxfs_type type = batch->search.type;
	int rc = 0;

	record_intended(lane, batch->at, batch->n);
	for (unsigned i = 0; i < batch->n; i++) {
		if (!batch->have[i])
			batch->have[i] = take(lane, type, batch->use, batch->index[i], batch->found[i]);
		if (!batch->have[i])
			rc = -EAGAIN;
	}
	persist_taken(lane, type, batch->n, batch->index);
	return rc;
}

static int take_all(struct lane *lane, struct space_batch *batch)
{
	int rc;

	do {
		rc = space_find(lane, batch);
		if (rc == 0)
			rc = space_claim(lane, batch);
	} while (rc == -EAGAIN);
	return rc;
}

int space_take(struct lane *lane, enum daxfs_type type, enum daxfs_use use, unsigned n, uint64_t *out)
{
	struct space_batch batch;
	int rc = space_begin(lane, &batch, type, use, n, out);

	return rc ? rc : take_all(lane, &batch);
}

int space_take_at(struct lane *lane, enum daxfs_type type, enum daxfs_use use, uint64_t at, uint64_t *out)
{
	struct space_batch batch;
	int rc = space_begin(lane, &batch, type, use, 1, out);

	batch.search.wanted = at;
	return rc ? rc : take_all(lane, &batch);
}

void space_warm(struct lane *lane)
{
	struct space_search search = { .type = DAXFS_T_PAGE };
	struct pool *pool = lane->pool;
	uint64_t index, state;

	if (!lane->next_known)
		lane->next_known = next_hint(lane, &search, &lane->next_page, &state) ||
				   next_scanned(lane, &search, WARM_SCAN, &lane->next_page, &state);
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

void space_usage(const struct pool *pool, enum daxfs_type type, struct daxfs_usage *out, uint64_t *nodes)
{
	*out = (struct daxfs_usage){ .total = pool->objects[type] };
	*nodes = 0;
	for (uint64_t i = 0; i < pool->objects[type]; i++) {
		uint64_t s = sm_load_relaxed(&pool->state[type][i]);

		out->free += state_of(s) == DAXFS_FREE;
		out->private_ += state_of(s) == DAXFS_PRIVATE;
		out->live += state_of(s) == DAXFS_LIVE;
		out->retired += state_of(s) == DAXFS_RETIRED;
		*nodes += state_of(s) == DAXFS_LIVE && use_of(s) == DAXFS_USE_NODE;
	}
}
