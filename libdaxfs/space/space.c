/* SPDX-License-Identifier: Apache-2.0 */
/*
 * space.c - the allocator: a state word per object is what counts.
 *
 * There is no free list in the pool. A lane looks for objects that are FREE, or
 * RETIRED and visible to nobody (find.c); it names what it is about to take in
 * its record and takes it by CAS. A host that dies with any number of
 * favourites in its head leaks nothing; what it had taken is in its records.
 * Sixteen pages at once: extent.c. The last pages: reserve.c.
 */
#include "space/inner.h"

#include <errno.h>

#include "sync/summary.h"

/* How much of a page is fetched ahead, in two goes: as much as the processor keeps under way at once,
 * and what it gets before the page is filled. It finds the rest by itself. */
#define WARM_FIRST 1024u
#define WARM_SECOND 2048u
#define ADVANCE_EVERY 64u /* pages taken in one epoch: bounds what a dead lane holds back unseen */

bool space_named(const struct space_batch *batch, const struct space_item *item)
{
	for (unsigned i = 0; i < batch->n; i++)
		if (batch->item[i].index == item->index && &batch->item[i] != item)
			return true;
	return false;
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
	if (use_of(item->found) == DAXFS_USE_EXTENT && item->use != DAXFS_USE_EXTENT) {
		sm_fence_after_cas(); /* ORD open: the others of the extent are free from here on (S4) */
		summary_open(pool, type, item->index);
	}
	/* Before it is published, and no later than the epoch it is seen in. */
	sm_store(&pool->birth[type][item->index], birth_of(lane, item));
	if (item->use == DAXFS_USE_KEPT)
		return true; /* was in use before */
	lane->epoch.taken_since_snapshot += space_pages(item->use);
	lane->epoch.taken_since_advance += space_pages(item->use);
	if (lane->epoch.taken_since_advance >= ADVANCE_EVERY)
		epoch_advance(&lane->epoch);
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
	batch->second = batch->blocked = batch->fresh = false;
	batch->probes = 0;
	batch->at = batch->n = 0; /* of none, if none is found */
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
		batch->at = lane->txn.n_allocs;
	for (; n; n--) {
		enum daxfs_use use = batch->item[batch->n].use;

		/* The pages of a new extent are named one by one, those of one that rested by its head. */
		if (use != DAXFS_USE_TAIL)
			lane->txn.account.taken += account_objects(batch->type, space_pages(use));
		name(lane, batch, batch->n++);
	}
}

/*
 * Item i is the head of an extent that rests. Claim it now: its 15 tails become free only then, and are
 * looked at next; otherwise a large request would collect only heads, and fail with ENOSPC. A lost
 * race shows in the space_claim() that follows.
 */
static void split_extent(struct lane *lane, struct space_batch *batch, unsigned i)
{
	if (use_of(batch->item[i].found) == DAXFS_USE_EXTENT)
		space_claim(lane, batch);
}

int space_find(struct lane *lane, struct space_batch *batch, enum daxfs_use use, uint64_t *index)
{
	struct space_item *item = &batch->item[batch->n]; /* filled where it is: a copy would wait for its parts */
	int rc;

	if (!txn_has_room(&lane->txn, 1))
		return -E2BIG;
	lane->txn.starved = lane->txn.full = false;
	if (lane->txn.n_allocs == 0)
		find_close_behind(lane, batch->type);
	if (batch->type == DAXFS_T_PAGE && !reserve_admits(lane, 1))
		return -ENOSPC;
	rc = find_candidate(lane, batch, item);
	lane->txn.full = rc && batch->type != DAXFS_T_PAGE;
	if (rc) {
		lane->txn.starved |= batch->type == DAXFS_T_PAGE && reserve_comes_back(lane);
		return rc;
	}
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
		rc = find_candidate(lane, batch, &batch->item[i]);
		if (rc)
			break;
		name(lane, batch, i);
		split_extent(lane, batch, i);
	}
	return rc;
}

static int take_all(struct lane *lane, struct space_batch *batch, enum daxfs_use use, unsigned n, uint64_t *out)
{
	int rc = txn_has_room(&lane->txn, n) ? 0 : -E2BIG;

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
	struct alloc_cache *cache = &lane->alloc;
	struct pool *pool = lane->pool;

	if (!cache->next_known)
		cache->next_known = find_ahead(lane, &cache->next_page);
	if (!cache->next_known)
		return;
	space_warm_state(pool, cache->next_page);
	sm_prefetch_write(&pool->birth[DAXFS_T_PAGE][cache->next_page], sizeof(sm_u64));
	if (!pool->shm.wb)
		sm_prefetch_write(pool_page(pool, cache->next_page), WARM_FIRST);
}

void space_warm_on(struct lane *lane)
{
	if (lane->alloc.next_known && !lane->pool->shm.wb)
		sm_prefetch_write(pool_page(lane->pool, lane->alloc.next_page) + WARM_FIRST, WARM_SECOND);
}
