/* SPDX-License-Identifier: Apache-2.0 */
/* record.h - what record.c, finalize.c, record_recover.c and claim.c share; for everybody else see lane.h. */
#ifndef DAXFS_SYNC_RECORD_H
#define DAXFS_SYNC_RECORD_H

#include "sync/lane.h"

struct record_entry {
	sm_u64 *word;
	uint64_t before, after;
	enum daxfs_word_class class;
};

/* Copy word i of a record. The caller re-reads the status before it believes
 * the copy; false: no such place in this pool. */
bool record_entry_read(const struct pool *pool, const struct sm_lane *record, unsigned i, struct record_entry *out);

/*
 * What became of a record. OVERTAKEN: of one word, and that names something else by now.
 * UNKNOWN: of one word, and that cannot be told or read: neither what it took nor what it was to
 * retire may be used again.
 */
enum outcome { HAPPENED, DID_NOT, OVERTAKEN, UNKNOWN };

/* All words of a record are as the outcome says: finalize its objects, then IDLE. */
void record_finalize(struct lane *by, unsigned owner, uint64_t status, enum outcome outcome,
		     struct record_tally *tally);

/* Claims of words, by helpers: claim.c. What the claim w found at p stands for: 1 *value set; 0 look at
 * the word again; -EIO no such claim. */
int claim_value(const struct pool *pool, const sm_u64 *p, uint64_t w, uint64_t *value);
/* Is w, found at p, a claim to put this mark there? */
bool claim_is_for(const struct pool *pool, const sm_u64 *p, uint64_t w, uint64_t mark);
/* Take the claim w off p: for its mark or for what was there before. */
void claim_resolve(struct lane *helper, sm_u64 *p, uint64_t w);
/* Put a mark into p if that has the value `before` and the record is still to be decided. */
void claim_word(struct lane *helper, sm_u64 *p, uint64_t mark, uint64_t before);

static inline struct sm_lane *record_of(const struct lane *lane, unsigned id)
{
	return &lane->pool->lanes[id];
}

/* Note the record that is about to be published in the lane's receipt, if it has one; then that it has happened. */
void receipt_note(struct lane *lane);
void receipt_happened(struct lane *lane);

#endif
