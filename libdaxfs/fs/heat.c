/* SPDX-License-Identifier: Apache-2.0 */
/* heat.c - the clock of the cache, how many pages it has, and the choice of a victim: see heat.h. */
#include "fs/heat.h"

#include "fs/cache.h"

#define SAMPLES 16u /* bytes looked at for a victim; those that are alike beside each other were filled at once: one */
#define WORDS 8u    /* ... in so many words at most */
#define BYTES sizeof(sm_u64)                      /* of one */
#define LINE_WORDS (DAXFS_LINE / (unsigned)BYTES) /* of eight */
#define LOOKS 8u                                  /* lines, for a word that is not empty */
#define AGE_MAX (DAXFS_TICK_MASK - HEAT_TICKS)    /* kept at that: the rest of a round is for those not looked at */
#define CACHED_LEAST 64u                          /* for the clock: with fewer it would race */
#define MARK_MIX 0x9e3779b97f4a7c15u              /* odd: of two marks that differ in one host none are alike */
#define SWEEP 8u                                  /* victims for which MH-clock's hand clears one word */

/* -- how many ------------------------------------------------------------------- */

/* The host's word has one writer, this process: what it counted before follows from the word. */
void heat_count(struct daxfs *fs, int64_t n)
{
	const struct pool *pool = &fs->pool;
	sm_u64 *word = pool->heat.at ? &pool->heat.host[fs->host].cached : NULL;
	uint64_t now;

	if (!word || n == 0 || pool_lost(pool, word, sizeof(*word)))
		return;
	now = cache_tally(fs, sm_load_relaxed(word), (uint64_t)n);
	do /* of threads that come here together the one that stores last has seen all of it */
		sm_store_relaxed(word, now);
	while (now != cache_tally(fs, 0, 0) && (now = cache_tally(fs, 0, 0), true));
}

uint64_t heat_cached(const struct pool *pool)
{
	uint64_t sum = 0;

	for (unsigned i = 0; pool->heat.at && i < pool->super.hosts; i++)
		if (!pool_lost(pool, &pool->heat.host[i], sizeof(pool->heat.host[i])))
			sum += sm_peek(&pool->heat.host[i].cached);
	return sum > pool->objects[DAXFS_T_PAGE] ? 0 : sum; /* less than none, for a host died: none */
}

/* Who looks for cached pages after this finds those of each fill that it does not tell: the loads acquire. */
uint64_t heat_mark(const struct pool *pool)
{
	uint64_t mark;

	if (!pool->heat.at || pool_troubled(pool))
		return UINT64_MAX;
	mark = sm_load(pool->heat.clock);
	for (unsigned i = 0; i < pool->super.hosts; i++)
		mark = (mark ^ sm_load(&pool->heat.host[i].cached)) * MARK_MIX;
	return mark;
}

/* -- clock ---------------------------------------------------------------------- */

void heat_filled(const struct pool *pool, unsigned n)
{
	uint64_t was, filled, cached = heat_cached(pool);

	if (!pool->heat.at || pool_lost(pool, pool->heat.clock, sizeof(*pool->heat.clock)))
		return;
	if (cached < CACHED_LEAST)
		cached = CACHED_LEAST;
	cached /= HEAT_TICKS;
	was = sm_peek(pool->heat.clock);
	filled = (was >> 32) + n;
	was += filled / cached, filled %= cached;
	sm_store_relaxed(pool->heat.clock, filled << 32 | (uint32_t)was); /* two at once: one of them is not counted */
}

/* -- bytes ------------------------------------------------------------------------ */

static bool is_lost(const struct pool *pool, uint64_t page)
{
	return pool_lost(pool, &pool->heat.at[page], BYTES) ||
	       pool_lost(pool, pool->heat.clock, sizeof(*pool->heat.clock));
}

void heat_put(struct daxfs *fs, struct lane *lane, uint64_t page, enum daxfs_heat kind)
{
	const struct pool *pool = &fs->pool;

	if (!pool->heat.at || is_lost(pool, page))
		return;
	if (sm_peek_byte(&pool->heat.at[page]))
		heat_count(fs, -1); /* of a page that was here before, and went unseen: it counted until now */
	sm_store_byte(&pool->heat.at[page], heat_make(kind, heat_tick(pool)));
	cache_place(fs, lane, page);
}

void heat_clear(const struct pool *pool, uint64_t page)
{
	if (pool->heat.at && !is_lost(pool, page))
		sm_store_byte(&pool->heat.at[page], 0);
}

/* -- how many, anew ------------------------------------------------------------------ */

static uint64_t word_at(const struct pool *pool, uint64_t page)
{
	return is_lost(pool, page) ? 0 : sm_peek((const sm_u64 *)(const void *)&pool->heat.at[page]);
}

/* Has that byte a page, or may it get one now? Else it says nothing. */
static bool has_page(const struct pool *pool, uint64_t page)
{
	const sm_u64 *at = &pool->state[DAXFS_T_PAGE][page];
	uint64_t state;

	if (page >= pool->objects[DAXFS_T_PAGE] || pool_lost(pool, at, sizeof(*at)))
		return false;
	state = sm_load_relaxed(at);
	return state_of(state) == DAXFS_PRIVATE || (state_of(state) == DAXFS_LIVE && use_of(state) == DAXFS_USE_CACHED);
}

static int count_all(void *arg)
{
	struct daxfs *fs = arg;
	const struct pool *pool = &fs->pool;
	int64_t more = 0;

	for (uint64_t first = 0; first < pool->objects[DAXFS_T_PAGE]; first += BYTES) {
		uint64_t w = word_at(pool, first);

		for (unsigned i = 0; w; i++, w >>= 8) {
			if (!(w & 0xff))
				continue;
			if (has_page(pool, first + i))
				more++;
			else
				heat_clear(pool, first + i);
		}
	}
	for (unsigned i = 0; i < pool->super.hosts; i++)
		if (!pool_lost(pool, &pool->heat.host[i], sizeof(pool->heat.host[i])))
			more -= (int64_t)sm_peek(&pool->heat.host[i].cached);
	heat_count(fs, more);
	return 0;
}

void heat_recount(struct daxfs *fs)
{
	if (fs->joined && fs->pool.heat.at)
		fs_look(fs, count_all, fs);
}

/* -- a victim ----------------------------------------------------------------------- */

/*
 * A word anywhere. In a large pool each is a line from far away, and what is done with it decides whether another
 * one is wanted; so places are drawn as many looks ahead as one victim may take, and fetched meanwhile.
 */
static uint64_t some_word(struct lane *lane)
{
	const struct pool *pool = lane->pool;
	struct heat_looks *looks = &fs_slot(lane)->heat_looks;
	uint32_t *place = &looks->word[looks->next++ % HEAT_LOOKS], word = *place, ahead;

	ahead = (uint32_t)(lane_random(lane, pool->objects[DAXFS_T_PAGE]) / BYTES);
	sm_prefetch(&pool->heat.at[ahead * BYTES], BYTES);
	*place = ahead + 1;
	return word ? word - 1 : lane_random(lane, pool->objects[DAXFS_T_PAGE]) / BYTES;
}

/* A word of some cached page; its first page in *page. What is in a line beside it has been fetched with it. */
static uint64_t draw(struct daxfs *fs, struct lane *lane, uint64_t *page)
{
	const struct pool *pool = &fs->pool;
	uint64_t pages = pool->objects[DAXFS_T_PAGE], w = 0;

	for (unsigned i = 0; i < LOOKS && !w; i++) {
		uint64_t at = some_word(lane), line = at / LINE_WORDS * LINE_WORDS;

		for (unsigned k = 0; k < LINE_WORDS && !w; k++) {
			*page = (line + (at + k) % LINE_WORDS) * BYTES;
			w = *page < pages ? word_at(pool, *page) : 0;
		}
		if (w)
			break;
		/* Where few pages are cached: one that this process filled lately. */
		*page = cache_a_place(fs, lane) / BYTES * BYTES;
		w = *page < pages ? word_at(pool, *page) : 0;
	}
	return w;
}

/* The higher, the sooner it goes. */
static unsigned urgency(uint8_t heat, unsigned tick)
{
	static const unsigned char rank[] = { 0, 3, 4, 3, 2, 1, 4, 3 }; /* by enum daxfs_heat */

	return rank[heat_kind(heat)] << 5 | heat_age(heat, tick);
}

/* One that is so old that it would soon look new stays as old as that. */
static uint8_t aged(const struct pool *pool, uint64_t page, uint8_t heat, unsigned tick)
{
	if (heat_kind(heat) == DAXFS_HEAT_NONE || heat_age(heat, tick) <= AGE_MAX)
		return heat;
	heat = heat_make(heat_kind(heat), tick - AGE_MAX);
	sm_store_byte(&pool->heat.at[page], heat);
	return heat;
}

/* All that were looked at are in use: those beside the victim count one use less. */
static void cool(const struct pool *pool, uint64_t victim)
{
	uint64_t first = victim / BYTES * BYTES, w = word_at(pool, first);

	for (unsigned i = 0; i < BYTES; i++, w >>= 8) {
		unsigned kind = heat_kind((uint8_t)w);

		if (first + i != victim && kind > DAXFS_HEAT_COLD && kind <= DAXFS_HEAT_HOT)
			sm_store_byte(&pool->heat.at[first + i], heat_make(kind - 1, (uint8_t)w));
	}
}

static bool pick_by_heat(struct daxfs *fs, struct lane *lane, unsigned tick, struct heat_victim *out)
{
	const struct pool *pool = &fs->pool;
	unsigned most = 0, seen = 0;

	for (unsigned k = 0; k < WORDS && seen < SAMPLES; k++) {
		uint64_t first, w = draw(fs, lane, &first);
		uint8_t before = 0;

		for (unsigned i = 0; w; i++, w >>= 8) {
			uint8_t heat = aged(pool, first + i, (uint8_t)w, tick);

			seen += heat != before;
			before = heat;
			if (heat_kind(heat) == DAXFS_HEAT_NONE || urgency(heat, tick) < most)
				continue;
			most = urgency(heat, tick);
			*out = (struct heat_victim){ first + i, heat, heat_age(heat, tick) };
		}
	}
	if (most && heat_kind(out->heat) > DAXFS_HEAT_COLD && heat_kind(out->heat) <= DAXFS_HEAT_HOT)
		cool(pool, out->page);
	return most;
}

static void forget_use(const struct pool *pool, uint64_t first, uint64_t w)
{
	for (; w; first++, w >>= 8)
		if (heat_kind((uint8_t)w) == DAXFS_HEAT_HOT)
			sm_store_byte(&pool->heat.at[first], heat_make(DAXFS_HEAT_COLD, (uint8_t)w));
}

/* MH-clock: the first of a window that was not used; if all were, they were not from now on, and one of them goes.
 * A hand goes round and forgets uses, too. */
static bool pick_by_clock(struct daxfs *fs, struct lane *lane, unsigned tick, struct heat_victim *out)
{
	const struct pool *pool = &fs->pool;
	uint64_t first, w = draw(fs, lane, &first), hand;
	unsigned i = 0, any = 0;

	if (lane_random(lane, SWEEP) == 0) {
		hand = cache_hand(fs, BYTES) % pool->objects[DAXFS_T_PAGE] / BYTES * BYTES;
		forget_use(pool, hand, word_at(pool, hand));
	}
	if (!w)
		return false;
	while (i < BYTES && (!(w >> 8 * i & 0xff) || heat_kind((uint8_t)(w >> 8 * i)) == DAXFS_HEAT_HOT))
		i++;
	if (i == BYTES) {
		forget_use(pool, first, w);
		for (any = 0; !(w >> 8 * any & 0xff);)
			any++;
		i = any;
	}
	out->page = first + i;
	out->heat = (uint8_t)(w >> 8 * i);
	out->age = heat_age(out->heat, tick);
	return true;
}

bool heat_pick(struct daxfs *fs, struct lane *lane, struct heat_victim *out)
{
	const struct pool *pool = &fs->pool;
	bool found;

	if (!pool->heat.at || is_lost(pool, 0))
		return false;
	found = (pool->super.cache_policy == DAXFS_POLICY_CLOCK ? pick_by_clock : pick_by_heat)(fs, lane,
												heat_tick(pool), out);
	return found && out->page < pool->objects[DAXFS_T_PAGE];
}
