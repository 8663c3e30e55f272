/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lost.c - objects whose memory failed, and what keeps them from being handed out.
 *
 * An object is lost if its bytes, or its entries in the tables of states, births and counts, lie
 * in a page that is listed (mem/trouble.c). Where it is in use, it stays so: what of it can be
 * read is read, and whoever replaces or removes it retires it like any other. Once it could be
 * handed out again its state becomes LIVE with the use BAD, for hosts that have not
 * learned of the page yet; if the state itself is lost, it is passed over.
 *
 * Crash: one CAS. A page in quarantine of an extent that is retired makes that no whole one, as one
 * that was kept does (X4 of extent.c).
 */
#include "space/inner.h"

static bool entries_lost(const struct pool *pool, enum daxfs_type type, uint64_t index)
{
	return pool_lost(pool, &pool->birth[type][index], sizeof(sm_u64)) ||
	       (type == DAXFS_T_PAGE && pool_lost(pool, &pool->count[index], sizeof(sm_u64)));
}

static bool bytes_lost(const struct pool *pool, enum daxfs_type type, uint64_t index)
{
	if (type == DAXFS_T_INODE)
		return pool_lost(pool, &pool->inodes[index], sizeof(struct sm_inode));
	if (type == DAXFS_T_DIRENT)
		return pool_lost(pool, &pool->dirents[index], sizeof(struct sm_dirent));
	return pool_lost_page(pool, index);
}

bool space_lost_pages(const struct pool *pool, uint64_t index, unsigned n)
{
	return pool_lost(pool, pool_page(pool, index), (size_t)n * DAXFS_PAGE_SIZE) ||
	       pool_lost(pool, &pool->state[DAXFS_T_PAGE][index], n * sizeof(sm_u64)) ||
	       pool_lost(pool, &pool->birth[DAXFS_T_PAGE][index], n * sizeof(sm_u64));
}

bool space_lost_object(const struct pool *pool, enum daxfs_type type, uint64_t index)
{
	return pool_lost(pool, &pool->state[type][index], sizeof(sm_u64)) || bytes_lost(pool, type, index) ||
	       entries_lost(pool, type, index);
}

/* Whom nobody uses goes into quarantine. */
static void quarantine(struct lane *lane, enum daxfs_type type, uint64_t index)
{
	struct pool *pool = lane->pool;
	sm_u64 *word = &pool->state[type][index];
	uint64_t s = sm_load(word);

	if (s != 0 && state_of(s) != DAXFS_RETIRED && !space_left_over(pool, type, index, s))
		return;
	/* ORD quarantine: nothing depends on it. Lost, it is done again by whoever looks. */
	if (sm_cas(word, s, state_make(DAXFS_LIVE, DAXFS_USE_BAD, 0)))
		sm_flush(&pool->shm, word, sizeof(*word));
}

bool space_lost(struct lane *lane, enum daxfs_type type, uint64_t index)
{
	const struct pool *pool = lane->pool;

	if (!pool_troubled(pool))
		return false;
	if (pool_lost(pool, &pool->state[type][index], sizeof(sm_u64)))
		return true;
	if (!bytes_lost(pool, type, index) && !entries_lost(pool, type, index))
		return false;
	quarantine(lane, type, index);
	return true;
}

/* The objects of a type that lie in a page of the pool: from *first on, so many. */
static uint64_t objects_in(const struct pool *pool, enum daxfs_type type, uint64_t offset, uint64_t *first)
{
	static const unsigned arrays[DAXFS_TYPES] = { DAXFS_R_PAGES, DAXFS_R_INODES, DAXFS_R_DIRENTS };
	const struct sm_region *r = &pool->super.region[arrays[type]];
	uint64_t page = offset & ~(DAXFS_PAGE_SIZE - 1ull), array = r->offset + DAXFS_PAGE_SIZE, end;

	if (page < array)
		return 0;
	*first = (page - array) / r->elem_size;
	end = (page + DAXFS_PAGE_SIZE - array - 1) / r->elem_size + 1;
	end = end < r->count ? end : r->count;
	return *first < end ? end - *first : 0;
}

void space_quarantine(struct lane *lane, uint64_t offset)
{
	for (unsigned type = 0; type < DAXFS_TYPES; type++) {
		uint64_t first = 0;

		for (uint64_t n = objects_in(lane->pool, (enum daxfs_type)type, offset, &first); n; n--)
			space_lost(lane, (enum daxfs_type)type, first + n - 1);
	}
}

static bool is_bad(const struct pool *pool, enum daxfs_type type, uint64_t index)
{
	const sm_u64 *word = &pool->state[type][index];
	uint64_t s = pool_lost(pool, word, sizeof(*word)) ? 0 : sm_load_relaxed(word);

	return state_of(s) == DAXFS_LIVE && use_of(s) == DAXFS_USE_BAD;
}

uint64_t space_quarantined(const struct pool *pool, enum daxfs_type type)
{
	uint64_t bad = 0, first = 0;

	for (unsigned i = 0; pool_troubled(pool) && i < DAXFS_BAD_MAX; i++) {
		uint64_t entry = trouble_entry(pool, i);

		if (entry % DAXFS_PAGE_SIZE != DAXFS_BAD_LISTED || entry >= pool->shm.size)
			continue;
		for (uint64_t n = objects_in(pool, type, entry, &first); n; n--)
			bad += is_bad(pool, type, first + n - 1);
	}
	return bad;
}
