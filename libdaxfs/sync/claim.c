/* SPDX-License-Identifier: Apache-2.0 */
/*
 * claim.c - how a helper puts a mark into a word, however late it is.
 *
 * A helper that has seen a record UNDECIDED and then sleeps may wake up when the record is over,
 * and the version of the word has come round to what the record expected. Were it to put the
 * mark there by one CAS, nobody could take it off (or it would stand for a decision that this
 * word is no part of). So it puts a claim first (RDCSS: Harris, Fraser, Pratt 2002):
 *
 *   before -> claim {lane, number}    whatever the record has become: the word still means `before`
 *   claim -> mark    if the record was seen UNDECIDED, helped, while the claim was in the word
 *   claim -> before  if not
 *
 *  C1 A number is used for one CAS and never again, so a claim that has been taken off does not
 *     come back, and a CAS that comes late to it fails.
 *  C2 A lane changes its struct sm_claim only when its last claim is in no word any more. The
 *     number goes first: a reader of the fields that finds the same number afterwards has read that claim.
 *  C3 While a claim of word i is in the word of a record that was UNDECIDED then, it is not COMMITTED: for
 *     that it takes its mark there. It may be ABORTED by one that saw the word changed before it
 *     came round. Then a mark may still follow, and so the owner looks for claims
 *     of its record, too, before it is IDLE (record.c, resolve): no mark comes after that.
 *
 * A reader or helper that meets a claim finds all that it needs in the lane that the claim names, so it never
 * waits for a helper that died. Crash: the claim stays until it is met, or that lane recovered. The same holds
 * for a helper that a failing load stopped: its lane is mended (fs/mend.c) before it makes another claim, for C2.
 * A claim for a record that is lost is taken off for `before`: that record counts no word any more.
 * One of a lane that is lost cannot be told, and its word with it; that lane makes no claim again.
 * In a wb pool the fields are written back before the claim, and the word before the fields change.
 */
#include <errno.h>

#include "sync/record.h"

/* The fields of the claim w at p: 1; 0: it is not there any more; -EIO: no such claim. */
static int claim_read(const struct pool *pool, const sm_u64 *p, uint64_t w, uint64_t *mark, uint64_t *before)
{
	const struct sm_claim *claim;
	uint64_t where;

	if (mark_lane(w) >= pool->lanes_total)
		return -EIO;
	claim = &pool->lanes[mark_lane(w)].claim;
	if (pool_lost(pool, claim, sizeof(*claim)))
		return -EIO;
	if (sm_load(&claim->number) != mark_seq(w))
		return 0;
	where = sm_load_relaxed(&claim->where);
	*mark = sm_load_relaxed(&claim->mark);
	*before = sm_load_relaxed(&claim->before);
	sm_fence_acquire(); /* ORD weak claim: fields before the second look at the number */
	if (sm_load(&claim->number) != mark_seq(w))
		return 0;
	if (where != pool_offset(pool, p) || !word_is_mark(*mark) || word_is_claim(*mark) || word_is_mark(*before) ||
	    mark_lane(*mark) >= pool->lanes_total)
		return -EIO;
	return 1;
}

int claim_value(const struct pool *pool, const sm_u64 *p, uint64_t w, uint64_t *value)
{
	uint64_t mark;

	return claim_read(pool, p, w, &mark, value);
}

bool claim_is_for(const struct pool *pool, const sm_u64 *p, uint64_t w, uint64_t mark)
{
	uint64_t claimed, before;

	return claim_read(pool, p, w, &claimed, &before) > 0 && claimed == mark;
}

/* May the record of a mark still get it? To be asked after a claim for it was seen in the word. */
static bool wants_mark(const struct pool *pool, uint64_t mark)
{
	const sm_u64 *word = &pool->lanes[mark_lane(mark)].status;
	uint64_t status;

	if (pool_lost(pool, word, sizeof(*word)))
		return false;
	status = sm_load(word); /* ORD claimed: the status after the claim was seen in the word. */
	return status_seq(status) == mark_seq(mark) && status_state(status) == DAXFS_UNDECIDED && status_helped(status);
}

void claim_resolve(struct lane *helper, sm_u64 *p, uint64_t w)
{
	struct pool *pool = helper->pool;
	uint64_t mark, before;
	int rc = claim_read(pool, p, w, &mark, &before);

	helper->txn.fault |= rc < 0;
	if (rc <= 0)
		return;
	if (!wants_mark(pool, mark))
		mark = before;
	/* ORD claim off: a claim is put once, so this fails if it is off already. Crash: it stays, as before. */
	sm_cas(p, w, mark);
	sm_flush(&pool->shm, p, sizeof(*p));
}

void claim_word(struct lane *helper, sm_u64 *p, uint64_t mark, uint64_t before)
{
	const struct shm *shm = &helper->pool->shm;
	struct sm_claim *claim = &helper->sm->claim;

	sm_drain(shm); /* the word of the last claim */
	/* ORD claim: released after the number, so that a reader that sees a new field finds a new number. */
	sm_store(&claim->number, ++helper->claims);
	sm_store(&claim->where, pool_offset(helper->pool, p));
	sm_store(&claim->mark, mark);
	sm_store(&claim->before, before);
	sm_flush(shm, claim, sizeof(*claim));
	sm_drain(shm);
	helper->claiming = true;
	/* ORD claim on: after its fields (written back). However late: the word means what it meant. */
	if (sm_cas(p, before, claim_make(helper->id, helper->claims)))
		claim_resolve(helper, p, claim_make(helper->id, helper->claims));
	helper->claiming = false;
}
