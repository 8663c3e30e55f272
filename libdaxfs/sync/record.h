/* SPDX-License-Identifier: Apache-2.0 */
/* record.h - what record.c and finalize.c share; for everybody else see lane.h. */
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

/* What became of a record. OVERTAKEN: of one word, and that names something else by now. */
enum outcome { HAPPENED, DID_NOT, OVERTAKEN };

/* All words of a record are as the outcome says: finalize its objects, then IDLE. */
void record_finalize(struct lane *by, unsigned owner, uint64_t status, enum outcome outcome,
		     struct record_tally *tally);

static inline struct sm_lane *record_of(const struct lane *lane, unsigned id)
{
	return &lane->pool->lanes[id];
}

#endif
