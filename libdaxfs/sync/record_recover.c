/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record_recover.c - the record of a lane that nobody uses any more, brought to its end.
 *
 * Called by the recoverer of a fenced host, or by the lane itself after its thread was stopped (lane_take_over).
 * What the lane had claimed as a helper is taken off first; its own record is then decided as any helper
 * would decide it (record.c), or, if it has one word, judged by what that word names now; and
 * its objects are finalized (finalize.c). Each step finds nothing to do where it was done before, so
 * the recoverer may die anywhere, and the next one starts at the top.
 */
#include "sync/record.h"

/* Is a node linked by a record that happened, whoever may have died before settling it? */
static bool node_committed(const struct pool *pool, uint64_t state)
{
	uint64_t status;

	if (state_of(state) != DAXFS_PRIVATE || txid_lane(txid_of(state)) >= pool->lanes_total ||
	    pool_lost(pool, &pool->lanes[txid_lane(txid_of(state))].status, sizeof(sm_u64)))
		return state_of(state) == DAXFS_LIVE;
	status = sm_load(&pool->lanes[txid_lane(txid_of(state))].status);
	return status_seq(status) == txid_seq(txid_of(state)) && status_state(status) == DAXFS_COMMITTED;
}

/* Can it not be told what the page of a word is? */
static bool state_lost(const struct pool *pool, const sm_u64 *p)
{
	uint64_t page = (uint64_t)((const uint8_t *)p - pool->pages) / DAXFS_PAGE_SIZE;

	return (const uint8_t *)p >= pool->pages && page < pool->objects[DAXFS_T_PAGE] &&
	       pool_lost(pool, &pool->state[DAXFS_T_PAGE][page], sizeof(sm_u64));
}

/* Outside of all pages, or in one that is a node? To be asked after the word was looked at. */
static bool among_words(const struct pool *pool, const sm_u64 *p)
{
	uint64_t page = (uint64_t)((const uint8_t *)p - pool->pages) / DAXFS_PAGE_SIZE, state;
	bool node;

	if ((const uint8_t *)p < pool->pages || page >= pool->objects[DAXFS_T_PAGE])
		return true;
	do {
		state = sm_load(&pool->state[DAXFS_T_PAGE][page]);
		node = use_of(state) == DAXFS_USE_NODE && node_committed(pool, state);
	} while (!node && sm_load(&pool->state[DAXFS_T_PAGE][page]) != state); /* finalized since */
	return node;
}

/*
 * Did a dead host's record of one word happen? By I6 it matters only what the
 * word names now: what the record took (it did), what it was to retire (it did
 * not, or its page was put back: no, that is not retired yet), or something
 * else. Then someone replaced either; both are unlinked, and retiring by txid
 * does no harm where that was done before. A version would not do: it changes
 * when a record that staged the same word is undone. The next recoverer may
 * find another answer here, for others work on, and by txid finds nothing left
 * to do.
 *
 * The record may have been over: IDLE was lost with the cache, which nothing
 * waits for, and what followed was not. Nobody protected the node of its word
 * since then, and that page may hold anything now. That is something else, too.
 */
static enum outcome judge_single(struct lane *helper, const struct sm_lane *record)
{
	struct record_entry entry;
	uint64_t now;
	bool lost;

	if (!record_entry_read(helper->pool, record, 0, &entry) || sm_load(&record->n_words) != 1 ||
	    state_lost(helper->pool, entry.word))
		return UNKNOWN;
	now = word_payload(word_help(helper, entry.word), entry.class);
	lost = helper->txn.fault;
	helper->txn.fault = false; /* of this word, which is not ours */
	if (!among_words(helper->pool, entry.word))
		return OVERTAKEN; /* it was no word that made no sense */
	if (lost)
		return UNKNOWN;
	if (now == word_payload(entry.after, entry.class))
		return HAPPENED;
	return now == word_payload(entry.before, entry.class) ? DID_NOT : OVERTAKEN;
}

/*
 * Take off what a dead helper had claimed. Its announcement still protects the page of that word, unless
 * the claim is long over: then there may be anything in it, but a node has no bytes that look like this claim.
 */
static void recover_claim(struct lane *helper, unsigned owner)
{
	const struct sm_claim *claim = &record_of(helper, owner)->claim;
	uint64_t number = sm_load(&claim->number), where = sm_load(&claim->where);
	uint64_t w = claim_make(owner, number);
	sm_u64 *p;

	if (!number || where % sizeof(*p) || where < DAXFS_PAGE_SIZE || where > helper->pool->shm.size - sizeof(*p))
		return;
	p = pool_at(helper->pool, where);
	if (pool_lost(helper->pool, p, sizeof(*p)) || state_lost(helper->pool, p))
		return; /* whoever looks at that word is told */
	if (sm_load(p) == w && among_words(helper->pool, p))
		claim_resolve(helper, p, w);
}

bool record_recover(struct lane *helper, unsigned owner, struct record_tally *tally)
{
	struct sm_lane *record = record_of(helper, owner);
	enum outcome outcome;
	uint64_t status;

	if (pool_lost(helper->pool, record, sizeof(*record)))
		return false;
	recover_claim(helper, owner);
	status = sm_load(&record->status);
	if (status_state(status) == DAXFS_IDLE)
		return true;
	record_finish(helper, owner, status_seq(status));
	status = sm_load(&record->status);
	if (status_state(status) >= DAXFS_STATUSES || status_state(status) == DAXFS_UNDECIDED)
		return false;
	if (status_state(status) == DAXFS_SINGLE)
		outcome = judge_single(helper, record);
	else
		outcome = status_state(status) == DAXFS_COMMITTED ? HAPPENED : DID_NOT;
	tally->finished += outcome != DID_NOT;
	tally->rolled_back += outcome == DID_NOT;
	record_finalize(helper, owner, status, outcome, tally);
	return true;
}
