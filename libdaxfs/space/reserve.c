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
 *
 * Names of storage can be had again, so they leave more: a sixteenth of the inodes, and of the entries of directories,
 * and an eighth of the reserve in pages once more. A lane counts what is left for a few names at once. What all lanes
 * have counted and not used is at most half of what is kept of inodes and entries, so the files of the pool itself are
 * sure of the other half; of pages they are sure as far as those lanes do not make names at once.
 */
#include "space/inner.h"

#define RESERVE_PART 256u  /* of the pool ... */
#define RESERVE_MIN 256u   /* ... but four of the longest writes, */
#define RESERVE_MOST 16u   /* in a small pool no more than this part, */
#define RESERVE_MAX 16384u /* in a large one no more than 64 MiB */
#define POOL_MIN 1024u     /* pages; less has no reserve */
#define BETWEEN_PART 16u   /* of the pool: what all lanes may take between two counts */
#define BETWEEN_MAX 4096u  /* one lane */
#define NAMES_PART 16u     /* of inodes and entries, that names of storage leave, */
#define NAMES_MIN 256u     /* of a pool of fewer none */
#define NAMES_PAGES 8u     /* this part of the reserve once more */
#define NAME_PAGES 4u      /* that a name may take */
#define RECORD_MAX (DAXFS_RECORD_ALLOCS * DAXFS_EXTENT_PAGES)

uint64_t space_kept_of_names(const struct pool *pool, enum daxfs_type type)
{
	uint64_t n = pool->objects[type];

	if (type == DAXFS_T_PAGE)
		return space_reserve(pool) / NAMES_PAGES;
	return n < NAMES_MIN ? 0 : n / NAMES_PART;
}

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

/* -- names of storage ----------------------------------------------------------------------- */

/* What is left of inodes, or of entries, to names of storage. */
static uint64_t names_left(const struct pool *pool, const uint64_t used[DAXFS_TYPES], enum daxfs_type type)
{
	uint64_t gone = used[type] + space_quarantined(pool, type) + space_kept_of_names(pool, type);

	return gone < pool->objects[type] ? pool->objects[type] - gone : 0;
}

/* So many names may a lane make between two counts, that all lanes together make no more than half of what is kept. */
static uint64_t names_between(const struct pool *pool)
{
	uint64_t least = UINT64_MAX;

	for (unsigned type = DAXFS_T_INODE; type < DAXFS_TYPES; type++) {
		uint64_t n = space_kept_of_names(pool, type) / 2 / pool->lanes_total;

		least = n < least ? n : least;
	}
	return least < 1 ? 1 : least;
}

/* Are so few pages left that names of storage get none? */
static bool pages_short(const struct pool *pool)
{
	uint64_t kept = space_kept_of_names(pool, DAXFS_T_PAGE);

	return kept && pages_left(pool) < kept + NAME_PAGES;
}

uint64_t space_names_left(const struct pool *pool)
{
	uint64_t used[DAXFS_TYPES], inodes, entries;

	if (!account_known(pool))
		return pool->objects[DAXFS_T_INODE];
	account_sum(pool, used);
	inodes = names_left(pool, used, DAXFS_T_INODE);
	entries = names_left(pool, used, DAXFS_T_DIRENT);
	return inodes < entries ? inodes : entries;
}

bool reserve_admits_name(struct lane *lane)
{
	uint64_t left, each;

	lane->txn.full = false;
	if (!lane->alloc.names) {
		if (pages_short(lane->pool))
			return false;
		left = space_names_left(lane->pool);
		each = names_between(lane->pool);
		lane->alloc.names = left < each ? left : each;
		lane->txn.full = !left;
	}
	if (!lane->alloc.names)
		return false;
	lane->alloc.names--;
	return true;
}
