/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heat.h - which cached page is given back first.
 *
 * A byte a page says how often it was used since it was filled, up to three times, and when last: in ticks of a
 * clock that all hosts read, eight of which pass while as many pages are filled as are cached. Readers store it.
 * Of sixteen such bytes, two words anywhere in the pool (or more, where neighbours were filled at once), the page goes
 *
 *   that was not used again since it was filled; else used once, twice, more often; of equal ones the oldest.
 *
 * If even that one was used again, the others of its word count one use less: what was hot long ago cools down as
 * fast as room is short. That is as good as the policies that keep lists, without a list, a lock, or a look at
 * more than a few lines however large the pool is: docs/CACHE.md has the figures.
 *
 * What none of those know: hosts that begin the same work seconds apart. Each page of a file is then used once by
 * each host, a while apart; whoever prefers what is used often throws it away before the second host comes. So
 * a page that is read in order while other hosts have the file open counts as used once (SCAN), and however often
 * it is read it ages: it stays for as long as anything does that is not hot, and goes when they have passed by.
 *
 * A byte that is not 0 says that there is a cached page. It is set with the page and cleared with it, or by
 * whoever looks for a victim and finds none; a reader changes it, and never sets it. So garbage, a store that
 * is lost or comes late, or a crash, can make a bad choice, and a page that is found by the search of
 * all states alone (cache_drop.c). Nothing else relies on it; no byte is flushed.
 *
 * How many pages are cached is a number a host, which is added up where there is a limit. A page is added before the
 * record that makes it, and taken off after the one that drops it: what a host that dies in between leaves, of
 * 64 pages a thread at most, counts as cached. So a host that attaches a backing counts the bytes of all pages, one for
 * each 4 KiB of the pool, and puts the sum right by its own number: however often hosts die, that does not add up. Two
 * that do so at once may both; the next one puts that right. Pages of a file that was removed count until somebody
 * finds their bytes, which are then cleared, or another page comes in their place; those that a write replaces, until
 * it is done.
 */
#ifndef DAXFS_FS_HEAT_H
#define DAXFS_FS_HEAT_H

#include "fs/fs.h"

#define HEAT_TICKS 8u /* in which as many pages are filled as are cached */

static inline unsigned heat_kind(uint8_t heat)
{
	return heat >> DAXFS_HEAT_SHIFT;
}

static inline uint8_t heat_make(unsigned kind, unsigned tick)
{
	return (uint8_t)(kind << DAXFS_HEAT_SHIFT | (tick & DAXFS_TICK_MASK));
}

/* Ticks since it was used last, 0 to 31; whoever looks for victims sees to it that none becomes older than that. */
static inline unsigned heat_age(uint8_t heat, unsigned tick)
{
	return (tick - heat) & DAXFS_TICK_MASK;
}

static inline unsigned heat_tick(const struct pool *pool)
{
	return (unsigned)sm_peek(pool->heat.clock);
}

/* What a use makes of a byte. `again`: it may be part of the use before. */
static inline uint8_t heat_used(uint8_t heat, unsigned tick, bool again, bool clock)
{
	unsigned kind = heat_kind(heat);

	switch (kind) {
	case DAXFS_HEAT_NONE:
	case DAXFS_HEAT_SCAN: return heat;
	case DAXFS_HEAT_SCAN_AHEAD: return heat_make(DAXFS_HEAT_SCAN, heat);
	case DAXFS_HEAT_AHEAD: return heat_make(DAXFS_HEAT_COLD, tick);
	default:
		if (kind < DAXFS_HEAT_HOT && !(again && heat_age(heat, tick) == 0))
			kind = clock ? DAXFS_HEAT_HOT : kind + 1;
		return heat_make(kind, tick);
	}
}

/* A page of the cache was read. True: for the first time, and it had been read ahead. */
static inline bool heat_touch(const struct pool *pool, uint64_t page, bool again)
{
	sm_u8 *at = pool->heat.at ? &pool->heat.at[page] : NULL;
	uint8_t was, is;

	if (!at || pool_lost(pool, at, 1) || pool_lost(pool, pool->heat.clock, sizeof(*pool->heat.clock)))
		return false;
	was = sm_peek_byte(at);
	is = heat_used(was, heat_tick(pool), again, pool->super.cache_policy == DAXFS_POLICY_CLOCK);
	if (is != was)
		sm_store_byte(at, is);
	return heat_kind(was) >= DAXFS_HEAT_AHEAD;
}

/* -- with a record (heat.c) ------------------------------------------------------------- */

/* n pages are about to be cached, or are not any more. */
void heat_count(struct daxfs *fs, int64_t n);
/* The number is as the bytes say. No lane is held. */
void heat_recount(struct daxfs *fs);
/* How many are cached; 0 in a pool without heat. */
uint64_t heat_cached(const struct pool *pool);
/* It changes with each fill, write-back and drop. 0: nothing was ever cached; UINT64_MAX: not known. */
uint64_t heat_mark(const struct pool *pool);
/* So many pages were filled: the clock goes on. */
void heat_filled(const struct pool *pool, unsigned n);
/* That page was made. */
void heat_put(struct daxfs *fs, struct lane *lane, uint64_t page, enum daxfs_heat kind);

/* a page that is to be given back */
struct heat_victim {
	uint64_t page;
	uint8_t heat;
	unsigned age; /* ticks */
};
/* False: none was found in a few looks. */
bool heat_pick(struct daxfs *fs, struct lane *lane, struct heat_victim *out);
/* It is none of the cache, or not any more. */
void heat_clear(const struct pool *pool, uint64_t page);

#endif
