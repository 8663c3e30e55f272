/* SPDX-License-Identifier: Apache-2.0 */
/*
 * txn.h - what an operation has staged for its record, and what it met on the way.
 *
 * Private to one thread: nothing here is seen by anybody else, so a crash forgets it. Objects that the
 * record takes or retires are named in the shared record at once (sync/record.c); words and
 * leases are written there when all are staged.
 *
 * `fault` is sticky until the lane is entered again. It is set wherever shared bytes make no sense, also where the
 * caller is told -EIO: no record is committed after it, and the lane is mended before somebody
 * uses it again (fs_put_lane), so an operation that ends in the middle of a record leaves nothing behind.
 */
#ifndef DAXFS_SYNC_TXN_H
#define DAXFS_SYNC_TXN_H

#include <errno.h>

#include "daxfs/resume.h"
#include "sync/account.h"
#include "sync/word.h"

#define TXN_LEASES 4u /* inodes that a record changes for those who look at them */

struct staged_word {
	sm_u64 *word;
	uint64_t before, after;
	enum daxfs_word_class class;
};

struct txn {
	/* met by the operation */
	bool fault;   /* shared bytes made no sense, or their memory is lost: the operation ends in -EIO */
	bool marked;  /* a mark was met where a word was looked at */
	bool full;    /* -ENOSPC, and not for want of pages */
	bool starved; /* -ENOSPC, but retired objects are waiting for lanes to move on */
	/* of the record that is being made */
	bool conflict; /* it is known not to fit: -EAGAIN */
	bool lost;     /* it was decided that some word of it could not be part of: -EIO */
	bool movable;  /* it has objects that another word may link later, or txn_by_marks */
	bool spare;    /* it may take pages of the reserve: space/reserve.c */
	bool written;  /* its body is in the shared record */
	bool durable;  /* ... and would survive the loss of our caches */
	unsigned n_words, n_allocs, n_retires, n_leases;
	struct account account;
	struct staged_word words[DAXFS_RECORD_WORDS];
	uint64_t retires[DAXFS_RECORD_RETIRES]; /* objects; for the hints */
	uint32_t leases[TXN_LEASES];            /* inodes */
	/* for the request that the caller serves: sync/receipt.c */
	struct daxfs_receipt *receipt; /* or NULL */
	uint64_t made;                 /* handle of the inode that was filled last */
	uint64_t piece;                /* bytes that the record writes */
};

/* Nothing staged, nothing allocated. spare: it makes the pool no fuller. */
void txn_begin(struct txn *txn, bool spare);
/* Forget all words and retirements staged. */
void txn_unstage(struct txn *txn);
/* Stage a change of a word from `before` to `payload` under the next version.
 * payload may equal the old one: then it only demands that nobody changed it. */
void txn_word(struct txn *txn, sm_u64 *p, enum daxfs_word_class class, uint64_t before, uint64_t payload);
/* Stage a change by delta of a node's count; changes of one count add up.
 * Returns the slots that would then be in use. */
uint64_t txn_count(struct txn *txn, sm_u64 *p, uint64_t before, int delta);
/* Stage that leases of the inode with this index are in the way. */
void txn_lease(struct txn *txn, uint32_t index);
/* The places of the staged words in order of address. */
void txn_order(const struct txn *txn, uint8_t order[DAXFS_RECORD_WORDS]);

/* Shared bytes make no sense, or their memory is lost: -EIO. */
static inline int txn_broken(struct txn *txn)
{
	txn->fault = true;
	return -EIO;
}

/* Are there places for n objects more to be taken? */
static inline bool txn_has_room(const struct txn *txn, unsigned n)
{
	return txn->n_allocs + n <= DAXFS_RECORD_ALLOCS;
}

/*
 * The record that is being made goes the long way, by marks, even with one word: for what takes
 * objects in place of a value that may come back, so that it does not tell whether it happened (I6).
 */
static inline void txn_by_marks(struct txn *txn)
{
	txn->movable = true;
}

/* Can it be one CAS of its one word? See record.c. */
static inline bool txn_is_single(const struct txn *txn)
{
	return txn->n_words == 1 && !txn->movable && !txn->n_leases && account_delta(&txn->account) == 0;
}

#endif
