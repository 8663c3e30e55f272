/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reserve.c - the last pages are for records that make the pool no fuller.
 *
 * Nothing is written in place, so an overwrite takes pages before it retires others. If
 * all were given to files that grow, a full pool could not be changed at all. Records that
 * retire as many as they take, and those that lead to less (unlink, truncate, rename, locks:
 * txn.spare), may take any; the others are refused when no more than the reserve is left.
 *
 * How many are in use is the sum over all lanes (sync/account.h). A lane counts them once in
 * so many pages that it takes. While less is left than all lanes together may take between
 * two counts, a word that all see says so, and each record counts for itself. Several records
 * at once may each be told that the same pages are left: the reserve is exact but for what is
 * in flight. For the same reason one that may take the reserve, and finds that others have it,
 * waits for them (txn.starved) as for what is retired. The word is a hint: set or not after
 * a crash, the next count puts it right.
 */
#include "space/inner.h"

#define RESERVE_PART 256u  /* of the pool ... */
#define RESERVE_MIN 256u   /* ... but four of the longest writes, */
#define RESERVE_MOST 16u   /* in a small pool no more than this part, */
#define RESERVE_MAX 16384u /* in a large one no more than 64 MiB */
#define POOL_MIN 1024u     /* pages; less has no reserve */
#define BETWEEN_PART 16u   /* of the pool: what all lanes may take between two counts */
#define BETWEEN_MAX 4096u  /* one lane */
#define RECORD_MAX (DAXFS_RECORD_ALLOCS * DAXFS_EXTENT_PAGES)

uint64_t space_reserve(const struct pool *pool)
{
	uint64_t pages = pool->objects[DAXFS_T_PAGE], kept = pages / RESERVE_PART;

	if (pages < POOL_MIN)
		return 0;
	if (kept < RESERVE_MIN)
		kept = pages / RESERVE_MOST < RESERVE_MIN ? pages / RESERVE_MOST : RESERVE_MIN;
	return kept < RESERVE_MAX ? kept : RESERVE_MAX;
}

/* Pages that a lane may take between two counts. */
static uint64_t between(const struct pool *pool)
{
	uint64_t pages = pool->objects[DAXFS_T_PAGE] / BETWEEN_PART / pool->lanes_total;

	return pages < 1 ? 1 : pages > BETWEEN_MAX ? BETWEEN_MAX : pages;
}

/* Of lanes whose memory failed it is not known what they have counted: until that is repaired, nothing is kept. */
uint64_t space_left(const struct pool *pool)
{
	uint64_t pages = pool->objects[DAXFS_T_PAGE], gone;

	if (!account_known(pool))
		return pages;
	gone = account_pages(pool) + space_quarantined(pool, DAXFS_T_PAGE);
	return gone < pages ? pages - gone : 0;
}

/* Pages that are left to those who may not have the reserve. */
static uint64_t pages_left(const struct pool *pool)
{
	uint64_t left = space_left(pool), kept = account_known(pool) ? space_reserve(pool) : 0;

	return left > kept ? left - kept : 0;
}

static bool is_scarce(const struct pool *pool)
{
	return pool_lost(pool, pool->scarce, sizeof(sm_u64)) || sm_load_relaxed(pool->scarce);
}

static void count(struct lane *lane, unsigned wanted)
{
	const struct pool *pool = lane->pool;
	uint64_t left = pages_left(pool), each = between(pool), few = each * pool->lanes_total;
	bool scarce = is_scarce(pool);

	if (!pool_lost(pool, pool->scarce, sizeof(sm_u64)) && (scarce ? left >= 2 * few : left < few)) {
		scarce = !scarce;
		sm_store_relaxed(pool->scarce, scarce);
	}
	lane->alloc.room = !scarce ? each + wanted : left < RECORD_MAX ? left : RECORD_MAX;
	lane->alloc.counted = lane->seq;
}

bool reserve_admits(struct lane *lane, unsigned pages)
{
	bool scarce, counted = lane->alloc.counted == lane->seq;

	if (lane->txn.spare)
		return true;
	scarce = is_scarce(lane->pool);
	if (scarce ? !counted : lane->alloc.room < pages)
		count(lane, pages);
	if (lane->alloc.room < pages)
		return false;
	lane->alloc.room -= pages;
	return true;
}

void reserve_return(struct lane *lane, unsigned pages)
{
	if (!lane->txn.spare)
		lane->alloc.room += pages;
}

bool reserve_comes_back(const struct lane *lane)
{
	return lane->txn.spare && account_known(lane->pool) &&
	       account_pages(lane->pool) < lane->pool->objects[DAXFS_T_PAGE];
}
