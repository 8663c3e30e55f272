/* SPDX-License-Identifier: Apache-2.0 */
/*
 * account.h - how many objects are in use: a number a lane, not a walk of the states.
 *
 * A record that commits changes the numbers of its own lane by what it took less what it
 * retires, even if another lane took that; the sum over all lanes, modulo the width of a field,
 * is what is in use.
 *
 * Invariants:
 *  A1 With no record in flight the sums are the numbers of LIVE objects.
 *  A2 What a record will add is in its body (delta), written before it is published.
 *  A3 Settling adds it, once: each of the two words carries the lowest bit of the number of
 *     the last record that was finalized into it, also of one that added nothing. The words
 *     are in the line of the status, and stored before IDLE, so what is written back of
 *     them is as old as the status or newer.
 *  A4 A record of one word without a mark, of which it may not be known whether it
 *     happened, adds nothing: it retires as much as it takes (record.c).
 *
 * Crash before IDLE: the recoverer that finalizes the record again adds to the words that lack its bit.
 */
#ifndef DAXFS_SYNC_ACCOUNT_H
#define DAXFS_SYNC_ACCOUNT_H

#include "mem/trouble.h"

/* Of a record that is being made: objects of each type, pages by the extent, in fields of 16 bits. */
struct account {
	uint64_t taken, retired;
};

static inline uint64_t account_objects(enum daxfs_type type, unsigned n)
{
	return (uint64_t)n << (16 * type);
}

/* What the record adds, as one word of its body: the sum of its fields, each with its sign. */
static inline uint64_t account_delta(const struct account *a)
{
	return a->taken - a->retired;
}

/* Add it, or nothing, for record seq of a lane; before its IDLE. */
void account_settle(struct sm_lane *record, uint64_t seq, bool happened);
/* Is no lane's number lost with its memory? Else no sum says anything. */
bool account_known(const struct pool *pool);
/* Objects in use, from none to all; exact but for the records in flight. */
void account_sum(const struct pool *pool, uint64_t used[DAXFS_TYPES]);
/* By how much each sum, modulo its field, is less than it should be. False: by nothing. */
bool account_missing(const struct pool *pool, const uint64_t live[DAXFS_TYPES], uint64_t more[DAXFS_TYPES]);
/* Does a lane count nothing, as those of slots in which nobody ever was? */
bool account_none(const struct sm_lane *lane);
/* Does a word of used say that record seq, the last of an IDLE lane, was settled into it? */
bool account_told(const struct sm_lane *lane, unsigned word, uint64_t seq);
/* The words of used of one lane, were each type counted `more` higher (for repairs). */
void account_adjusted(const struct sm_lane *lane, const uint64_t more[DAXFS_TYPES], uint64_t used[2]);
/* Pages in use. */
uint64_t account_pages(const struct pool *pool);

#endif
