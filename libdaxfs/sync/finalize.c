/* SPDX-License-Identifier: Apache-2.0 */
/*
 * finalize.c - the end of a record: what becomes of its objects, then IDLE.
 *
 * Done by the owner, or by the recoverer of its host after it was fenced; never
 * by helpers, which only finish the words (record.c). Every change of a state is a
 * CAS from a txid that no other record ever had. So it is made once, even if several recoveries begin, or another
 * record retires the same object meanwhile. Then the words that say where nothing is free are
 * opened (summary.h), and the lane's count of objects in use is changed (account.h).
 */
#include "sync/record.h"
#include "sync/summary.h"

/* Is it an object of this pool, whose state can be told? */
static bool object_sane(const struct pool *pool, uint64_t object)
{
	return object_type(object) < DAXFS_TYPES && object_index(object) < pool->objects[object_type(object)] &&
	       !pool_lost(pool, &pool->state[object_type(object)][object_index(object)], sizeof(sm_u64));
}

/* The epoch in which what was just unlinked is retired. */
static uint64_t retirement(struct lane *by)
{
	/* ORD retire: the epoch is sampled after the unlinking commit. */
	sm_fence_after_cas();
	return state_make(DAXFS_RETIRED, DAXFS_USE_NONE, sm_load(&by->pool->member->manager.epoch));
}

/* Retired, an extent stays one, to be taken whole again. */
static uint64_t retired_as(uint64_t retired, enum daxfs_use use)
{
	return use == DAXFS_USE_EXTENT ? retired | (uint64_t)DAXFS_USE_EXTENT << 56 : retired;
}

/* What becomes of an object that the record took. */
static uint64_t finalized(uint64_t s, enum outcome outcome, uint64_t retired)
{
	if (outcome == HAPPENED || outcome == UNKNOWN)
		return state_make(DAXFS_LIVE, use_of(s), txid_of(s));
	/* A tail is a tail, and so again a page that was to be kept: the head says the rest. */
	if (use_of(s) == DAXFS_USE_TAIL || use_of(s) == DAXFS_USE_KEPT)
		return state_make(DAXFS_LIVE, DAXFS_USE_TAIL, txid_of(s));
	/* Overtaken, it may have been seen while it was linked. */
	return outcome == OVERTAKEN ? retired_as(retired, use_of(s)) : 0;
}

/* PRIVATE of this record -> what it becomes. Someone may have retired it meanwhile. */
static void finalize_allocs(struct lane *by, unsigned owner, uint64_t seq, enum outcome outcome,
			    struct record_tally *tally)
{
	struct pool *pool = by->pool;
	const struct sm_lane *record = record_of(by, owner);
	uint64_t txid = txid_make(owner, seq), n = sm_load(&record->n_allocs);
	uint64_t retired = outcome == OVERTAKEN ? retirement(by) : 0;
	const sm_u64 *last = NULL;

	for (unsigned i = 0; i < n && i < DAXFS_RECORD_ALLOCS; i++) {
		uint64_t object;
		sm_u64 *state;
		uint64_t s;

		if (pool_lost(pool, &record->allocs[i], sizeof(sm_u64)))
			continue;
		object = sm_load_relaxed(&record->allocs[i]);
		if (!object_sane(pool, object))
			continue;
		state = &pool->state[object_type(object)][object_index(object)];
		s = sm_load(state);
		if (state_of(s) != DAXFS_PRIVATE || txid_of(s) != txid)
			continue;
		sm_flush_run(&pool->shm, &last, state);
		/* ORD finalize: after the word, or every mark, is resolved. Crash:
		 * PRIVATE stays and the record still says what it becomes. */
		sm_cas(state, s, finalized(s, outcome, retired));
		tally->objects++;
	}
	sm_flush_run(&pool->shm, &last, NULL);
}

/* LIVE (or still PRIVATE: its owner died after commit) under the txid it was
 * found with -> RETIRED in the current epoch. */
static void finalize_retires(struct lane *by, const struct sm_lane *record, struct record_tally *tally)
{
	struct pool *pool = by->pool;
	uint64_t n = sm_load(&record->n_retires), retired;
	const sm_u64 *last = NULL;

	if (!n)
		return;
	retired = retirement(by);
	for (unsigned i = 0; i < n && i < DAXFS_RECORD_RETIRES; i++) {
		uint64_t object, txid;
		sm_u64 *state;

		if (pool_lost(pool, &record->retires[2 * i], 2 * sizeof(sm_u64)))
			continue;
		object = sm_load_relaxed(&record->retires[2 * i]);
		txid = sm_load_relaxed(&record->retires[2 * i + 1]) & DAXFS_USE_TXID_MASK;
		if (!object_sane(pool, object))
			continue;
		state = &pool->state[object_type(object)][object_index(object)];
		sm_flush_run(&pool->shm, &last, state);
		/* ORD retired: after the epoch was sampled. PRIVATE first: its owner may
		 * make it LIVE between the two. Crash: retired again, by txid once. */
		if ((state_of(sm_load(state)) == DAXFS_PRIVATE &&
		     sm_cas(state, (uint64_t)DAXFS_PRIVATE << 61 | txid, retired_as(retired, use_of(txid)))) ||
		    sm_cas(state, (uint64_t)DAXFS_LIVE << 61 | txid, retired_as(retired, use_of(txid))))
			tally->objects++;
	}
	sm_flush_run(&pool->shm, &last, NULL);
}

/* Open the words above an object of a list, unless the one before it was in the same group. */
static void open_above(const struct pool *pool, const sm_u64 *place, uint64_t *last)
{
	uint64_t object = pool_lost(pool, place, sizeof(*place)) ? UINT64_MAX : sm_load_relaxed(place);
	uint64_t group = object / DAXFS_GROUP; /* the type, too */

	if (group == *last || !object_sane(pool, object))
		return;
	*last = group;
	summary_open(pool, object_type(object), object_index(object));
}

/* What the record names may be free now: S3 of summary.h. What its owner took for good is not. */
static void open_groups(struct lane *by, unsigned owner, enum outcome outcome)
{
	const struct sm_lane *record = record_of(by, owner);
	uint64_t allocs = sm_load(&record->n_allocs), retires = sm_load(&record->n_retires), last = UINT64_MAX;

	if (outcome == HAPPENED && by->id == owner)
		allocs = 0;
	if (outcome == DID_NOT && by->id == owner)
		retires = 0;
	sm_fence_after_cas(); /* ORD open: the states are changed */
	for (unsigned i = 0; i < allocs && i < DAXFS_RECORD_ALLOCS; i++)
		open_above(by->pool, &record->allocs[i], &last);
	for (unsigned i = 0; i < retires && i < DAXFS_RECORD_RETIRES; i++)
		open_above(by->pool, &record->retires[2 * i], &last);
}

void record_finalize(struct lane *by, unsigned owner, uint64_t status, enum outcome outcome, struct record_tally *tally)
{
	struct sm_lane *record = record_of(by, owner);

	finalize_allocs(by, owner, status_seq(status), outcome, tally);
	if (outcome == HAPPENED || outcome == OVERTAKEN)
		finalize_retires(by, record, tally);
	open_groups(by, owner, outcome);
	sm_drain(&by->pool->shm);
	account_settle(record, status_seq(status), outcome == HAPPENED);
	/* ORD idle: after everything above (written back). I1, I2. */
	sm_store(&record->status, status_with(status, DAXFS_IDLE) | (outcome == HAPPENED ? DAXFS_STATUS_HAPPENED : 0));
	sm_flush(&by->pool->shm, &record->status, sizeof(record->status));
}
