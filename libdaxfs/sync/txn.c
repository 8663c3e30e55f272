/* SPDX-License-Identifier: Apache-2.0 */
/* txn.c - staging words for a record: see txn.h. */
#include "sync/txn.h"

void txn_begin(struct txn *txn, bool spare)
{
	txn->n_allocs = 0;
	txn->account.taken = 0;
	txn->spare = spare;
	txn->conflict = txn->movable = txn->lost = false;
	txn_unstage(txn);
}

void txn_unstage(struct txn *txn)
{
	txn->n_words = txn->n_retires = txn->n_leases = 0;
	txn->account.retired = 0;
	txn->written = txn->durable = false;
}

void txn_word(struct txn *txn, sm_u64 *p, enum daxfs_word_class class, uint64_t before, uint64_t payload)
{
	if (txn->n_words == DAXFS_RECORD_WORDS) {
		txn->fault = true; /* callers keep within the limit */
		return;
	}
	txn->written = false;
	txn->words[txn->n_words++] = (struct staged_word){ p, before, word_next(before, class, payload), class };
}

uint64_t txn_count(struct txn *txn, sm_u64 *p, uint64_t before, int delta)
{
	const uint64_t used = DAXFS_COUNT_FROZEN - 1;
	unsigned i = 0;

	/* An entry found in a node whose count was still 0 came after our look. */
	txn->conflict |= delta < 0 && (before & used) == 0;
	while (i < txn->n_words && txn->words[i].word != p)
		i++;
	if (i == txn->n_words)
		txn_word(txn, p, DAXFS_W_COUNT, before, word_payload(before, DAXFS_W_COUNT));
	if (i == txn->n_words)
		return used;                             /* full: the record cannot commit */
	txn->conflict |= txn->words[i].before != before; /* changed between our two looks */
	txn->words[i].after += (uint64_t)(int64_t)delta;
	return txn->words[i].after & used;
}

void txn_lease(struct txn *txn, uint32_t index)
{
	for (unsigned i = 0; i < txn->n_leases; i++)
		if (txn->leases[i] == index)
			return;
	if (txn->n_leases == TXN_LEASES) {
		txn->fault = true; /* callers keep within the limit */
		return;
	}
	txn->written = false;
	txn->leases[txn->n_leases++] = index;
}

/* By insertion: few, mostly in order already. Moving the words instead would load each whole, which
 * waits until its parts, stored just now, are in the cache. */
void txn_order(const struct txn *txn, uint8_t order[DAXFS_RECORD_WORDS])
{
	for (unsigned i = 0; i < txn->n_words; i++) {
		unsigned j = i;

		for (; j && txn->words[order[j - 1]].word > txn->words[i].word; j--)
			order[j] = order[j - 1];
		order[j] = (uint8_t)i;
	}
}
