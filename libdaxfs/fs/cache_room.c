/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache_room.c - is there room for pages that are to be cached? If not, other cached pages make it.
 *
 * A filler leaves some pages of the pool free, or at rest: a fiftieth, and never fewer than the reserve of files that
 * grow (space/reserve.c), which its record might take. How many are left is a sum over the lanes, whatever the size of
 * the pool; by that the filler drops two cached pages for each that it fills, or one, or none:
 *
 *      left             0 ........ least ........ most ............... all pages
 *      dropped a page        2      |      1       |         0
 *      left after it     one more   |   as many    |      one less
 *
 * It is not added up for each fill. A process believes what it found for as many pages as it may fill before the
 * answer changes, even if every other host fills as many: with 2 for (least - left) / hosts pages, with 0 for
 * (left - most) / hosts, with 1, which changes nothing, for (most - least) / hosts; and never for more than that.
 *
 * Invariants:
 *  R1 Fillers do not bring `left` above `most` by dropping pages, nor below `least` by keeping them, in whatever order
 *     they fill: what all hosts believe at once is good for most - least pages. But for what is in flight: a record of
 *     CACHE_PAGES a thread. (A belief that lasts for so many fills, however large, empties a small cache: fifteen fills
 *     of 64 pages drop 1,920.)
 *  R2 What files take meanwhile, a filler learns with its next look. Until then all hosts together fill no more than
 *     most - least pages, a quarter of what they leave.
 *  R3 Files come first, whatever is believed: an operation that finds no space has cached pages dropped, and is tried
 *     again (cache_yield, lane_pool.c); its process forgets what it believed. So a belief that files overtook costs
 *     them time.
 *
 * What is believed is private to a process. A crash forgets it, and the next process looks.
 */
#include "fs/cache.h"
#include "fs/heat.h"

#define SPARE 2u         /* dropped for a page that is filled, where too few are left, or there are too many */
#define SPARE_PART 50u   /* of the pool that fills leave: what is given back is at rest for a while */
#define BAND_PART 4u     /* of that, between `least` and `most` */
#define BELIEF_MAX 4096u /* pages */
#define ROUNDS 8u        /* of searches for victims, where there are too many */

static uint64_t least_left(const struct pool *pool)
{
	uint64_t spare = pool->objects[DAXFS_T_PAGE] / SPARE_PART, kept = space_reserve(pool);

	return spare > kept ? spare : kept;
}

/* What each host may fill on a way of so many pages: of the band's at most. */
static uint64_t share(const struct pool *pool, uint64_t distance, uint64_t band)
{
	uint64_t n = (distance < band ? distance : band) / pool->super.hosts;

	return n < BELIEF_MAX ? n : BELIEF_MAX;
}

/* A belief: pages to be dropped for each that is filled, and how many more may be filled so. */
#define BELIEF_SHIFT 2u
#define BELIEF_EACH ((1u << BELIEF_SHIFT) - 1)
static unsigned long long belief_make(unsigned each, uint64_t pages)
{
	return pages << BELIEF_SHIFT | each;
}

/* Is it good for n pages more? */
static bool use_belief(atomic_ullong *belief, unsigned n, unsigned *each)
{
	unsigned long long was = atomic_load_explicit(belief, memory_order_relaxed), next;

	do {
		if (was >> BELIEF_SHIFT < n)
			return false;
		next = was - belief_make(0, n);
	} while (!atomic_compare_exchange_weak(belief, &was, next));
	*each = was & BELIEF_EACH;
	return true;
}

/* n pages are to be filled: look how many are left. What is to be believed then, before they are. */
static unsigned long long look(const struct pool *pool, unsigned n)
{
	uint64_t least = least_left(pool) + n, band = least / BAND_PART, left = space_left(pool);

	if (left < least)
		return belief_make(SPARE, share(pool, least - left, band));
	if (left < least + band)
		return belief_make(1, share(pool, band, band));
	return belief_make(0, share(pool, left - least - band, band));
}

/* How many pages are to be dropped for each of n? */
static unsigned each_costs(struct daxfs *fs, unsigned n)
{
	atomic_ullong *belief = cache_room(fs);
	unsigned long long now;
	unsigned each;

	if (use_belief(belief, n, &each))
		return each;
	now = look(&fs->pool, n);
	each = now & BELIEF_EACH;
	now = now >> BELIEF_SHIFT > n ? now - belief_make(0, n) : 0;
	atomic_store_explicit(belief, now, memory_order_relaxed);
	return each;
}

int cache_make_room(struct daxfs *fs, struct lane *lane, unsigned n)
{
	const struct pool *pool = lane->pool;
	uint64_t max = pool->heat.at ? pool->super.cache_max : 0, cached;
	unsigned each;

	if (!n)
		return 0;
	heat_count(fs, n); /* first, for others do the same */
	cached = max ? heat_cached(pool) : 0;
	each = cached <= max ? each_costs(fs, n) : 0;
	if (each)
		cache_give_back(fs, lane, each * n);
	/* More than once: what is found first may be bytes of files that were removed. */
	for (unsigned i = 0; i < ROUNDS && cached > max && !lane->txn.fault; i++) {
		cache_give_back(fs, lane, cached - max < SPARE * n ? (unsigned)(cached - max) : SPARE * n);
		cached = heat_cached(pool);
	}
	if (!max || heat_cached(pool) <= max)
		return 0;
	heat_count(fs, -(int64_t)n);
	return -ENOSPC;
}

/*
 * Where there is none, who is refused for want of room is not to look at thousands of states each time: after a whole
 * round that met none, nobody of this process looks until a host has filled a page, or written one back, and says so
 * (heat_mark). Of a host that died between the two, or of a thread that is still at a part of that round, up to a
 * record of pages may be missed until then: they are the next filler's to drop.
 */
unsigned cache_yield(struct daxfs *fs, struct lane *lane, unsigned n)
{
	const struct pool *pool = lane->pool;
	uint64_t min = pool->heat.at ? pool->super.cache_min : 0, cached = min ? heat_cached(pool) : 0;

	atomic_store_explicit(cache_room(fs), 0, memory_order_relaxed); /* there is less than was believed */
	if (cache_is_bare(fs, heat_mark(pool)))
		return 0;
	if (min && cached < min + n)
		n = cached > min ? (unsigned)(cached - min) : 0;
	return n ? cache_give_back(fs, lane, n) : 0;
}
