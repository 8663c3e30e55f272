/* SPDX-License-Identifier: Apache-2.0 */
/* account.c - adding up what is in use: see account.h. */
#include "sync/account.h"

#include "sync/slots.h"

#define TOLD (1ull << 63) /* the lowest bit of a record's number, in a word of used */
#define DIRENT_BITS 32u
#define INODE_BITS 31u

/* The field of a type: those below it may have borrowed from it. */
static uint64_t delta_of(uint64_t delta, enum daxfs_type type)
{
	uint64_t rest = delta; /* may be garbage: it wraps */

	for (unsigned t = 0; t < (unsigned)type; t++)
		rest = (uint64_t)((int64_t)(rest - (uint64_t)(int16_t)rest) >> 16);
	return (uint64_t)(int16_t)rest;
}

static const uint64_t mask_of[DAXFS_TYPES] = {
	TOLD - 1,
	(1ull << INODE_BITS) - 1,
	(1ull << DIRENT_BITS) - 1,
};

static uint64_t field(uint64_t w, unsigned shift, unsigned bits)
{
	return w >> shift & ((1ull << bits) - 1);
}

static uint64_t add_files(uint64_t w, uint64_t inodes, uint64_t dirents)
{
	inodes = field(field(w, DIRENT_BITS, INODE_BITS) + inodes, 0, INODE_BITS);
	return inodes << DIRENT_BITS | field(field(w, 0, DIRENT_BITS) + dirents, 0, DIRENT_BITS);
}

void account_settle(struct sm_lane *record, uint64_t seq, bool happened)
{
	uint64_t pages = sm_load_relaxed(&record->used[0]), files = sm_load_relaxed(&record->used[1]);
	uint64_t delta = happened ? sm_load_relaxed(&record->delta) : 0;

	/* Crash between the two: this one has the bit, the other is told again. */
	if (pages >> 63 != (seq & 1))
		sm_store_relaxed(&record->used[0], ((pages + delta_of(delta, DAXFS_T_PAGE)) & ~TOLD) | seq << 63);
	if (files >> 63 != (seq & 1))
		sm_store_relaxed(&record->used[1],
				 add_files(files, delta_of(delta, DAXFS_T_INODE), delta_of(delta, DAXFS_T_DIRENT)) |
					 seq << 63);
}

void account_adjusted(const struct sm_lane *lane, const uint64_t more[DAXFS_TYPES], uint64_t used[2])
{
	uint64_t pages = sm_load_relaxed(&lane->used[0]), files = sm_load_relaxed(&lane->used[1]);

	used[0] = ((pages + more[DAXFS_T_PAGE]) & ~TOLD) | (pages & TOLD);
	used[1] = add_files(files, more[DAXFS_T_INODE], more[DAXFS_T_DIRENT]) | (files & TOLD);
}

/*
 * A sum, modulo mask + 1, as a number of objects. In the middle of things it may be of a moment
 * that never was: less than nothing, where what one lane took and has not told yet another
 * has given up and told; or more than there are.
 */
static uint64_t in_use(uint64_t sum, uint64_t mask, uint64_t objects)
{
	sum &= mask;
	if (sum <= objects)
		return sum;
	return mask - sum < sum - objects ? 0 : objects;
}

bool account_known(const struct pool *pool)
{
	for (unsigned i = 0; pool_troubled(pool) && i < pool->lanes_total; i++)
		if (pool_lost(pool, pool->lanes[i].used, sizeof(pool->lanes[i].used)))
			return false;
	return true;
}

uint64_t account_pages(const struct pool *pool)
{
	unsigned per_host = pool->super.lanes_per_host;
	uint64_t pages = 0;

	for (unsigned host = 0; host < pool->super.hosts; host++) {
		unsigned lanes = slot_counts(pool, host) ? per_host : 0;

		for (unsigned i = 0; i < lanes; i++)
			pages += sm_load_relaxed(&pool->lanes[host * per_host + i].used[0]);
	}
	return in_use(pages, TOLD - 1, pool->objects[DAXFS_T_PAGE]);
}

static void add_lane(const struct sm_lane *lane, uint64_t used[DAXFS_TYPES])
{
	uint64_t files = sm_load_relaxed(&lane->used[1]);

	used[DAXFS_T_PAGE] += sm_load_relaxed(&lane->used[0]);
	used[DAXFS_T_INODE] += field(files, DIRENT_BITS, INODE_BITS);
	used[DAXFS_T_DIRENT] += field(files, 0, DIRENT_BITS);
}

static void sum(const struct pool *pool, uint64_t used[DAXFS_TYPES])
{
	unsigned per_host = pool->super.lanes_per_host;

	for (unsigned type = 0; type < DAXFS_TYPES; type++)
		used[type] = 0;
	for (unsigned host = 0; host < pool->super.hosts; host++) {
		unsigned lanes = slot_counts(pool, host) ? per_host : 0;

		for (unsigned i = 0; i < lanes; i++)
			add_lane(&pool->lanes[host * per_host + i], used);
	}
}

void account_sum(const struct pool *pool, uint64_t used[DAXFS_TYPES])
{
	sum(pool, used);
	for (unsigned type = 0; type < DAXFS_TYPES; type++)
		used[type] = in_use(used[type], mask_of[type], pool->objects[type]);
}

bool account_missing(const struct pool *pool, const uint64_t live[DAXFS_TYPES], uint64_t more[DAXFS_TYPES])
{
	bool any = false;

	sum(pool, more);
	for (unsigned type = 0; type < DAXFS_TYPES; type++) {
		more[type] = (live[type] - more[type]) & mask_of[type];
		any |= more[type] != 0;
	}
	return any;
}

bool account_none(const struct sm_lane *lane)
{
	return !((sm_load_relaxed(&lane->used[0]) | sm_load_relaxed(&lane->used[1])) & ~TOLD);
}

bool account_told(const struct sm_lane *lane, unsigned word, uint64_t seq)
{
	return sm_load_relaxed(&lane->used[word]) >> 63 == (seq & 1);
}
