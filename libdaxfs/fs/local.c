/* SPDX-License-Identifier: Apache-2.0 */
/* local.c - copies of pages in private memory: see local.h. */
#include "fs/local.h"

#include <stdlib.h>

#include "fs/cache.h"
#include "mem/clock.h"
#include "mem/options.h"

#define WAYS 16u                     /* copies in a set */
#define SEEN 256u                    /* counters of pages that are none of them */
#define AGED_BY (16u * WAYS)         /* uses in a set, until its counts are halved */
#define USES_LEAST 2u                /* of a page that is copied */
#define TOLD_OF 8u                   /* uses of copies in a set, one of which is told to the pool */
#define DAY_NS (24 * 3600000000000u) /* L3 */

struct set {
	pthread_rwlock_t lock; /* of the first three; only tried */
	unsigned day;          /* they count if it is that of struct local */
	uint64_t state[WAYS];  /* 0: no copy */
	uint32_t page[WAYS];
	atomic_uchar used[WAYS], seen[SEEN];
	atomic_uint uses;   /* since the counts were halved */
	atomic_ullong last; /* page << 12 | offset of the last use */
};

struct local {
	uint64_t sets;
	struct set *set;
	uint8_t *bytes; /* WAYS pages a set */
	atomic_uint day;
	uint64_t day_ns; /* when that began; of the heartbeat */
};

/* -- which is where ---------------------------------------------------------------- */

static uint64_t mix(uint64_t page)
{
	page = (page + 1) * 0x9e3779b97f4a7c15u;
	return page ^ page >> 32;
}

static struct set *set_of(const struct local *l, uint64_t page)
{
	return &l->set[(mix(page) >> 32) * l->sets >> 32];
}

static atomic_uchar *seen_of(struct set *s, uint64_t page)
{
	return &s->seen[mix(page) % SEEN];
}

static uint8_t *bytes_of(const struct local *l, const struct set *s, unsigned way)
{
	return l->bytes + ((uint64_t)(s - l->set) * WAYS + way) * DAXFS_PAGE_SIZE;
}

static bool is_current(const struct local *l, const struct set *s)
{
	return s->day == atomic_load_explicit(&l->day, memory_order_relaxed);
}

/* The copy of a page by its name; WAYS: none. */
static unsigned find(const struct local *l, const struct set *s, uint64_t page, uint64_t state)
{
	unsigned i = is_current(l, s) ? 0 : WAYS;

	while (i < WAYS && (s->page[i] != page || s->state[i] != state))
		i++;
	return i;
}

/* -- how often --------------------------------------------------------------------- */

static unsigned get(atomic_uchar *count)
{
	return atomic_load_explicit(count, memory_order_relaxed);
}

static void put(atomic_uchar *count, unsigned n)
{
	atomic_store_explicit(count, (unsigned char)(n < UINT8_MAX ? n : UINT8_MAX), memory_order_relaxed);
}

/* Is it part of the use before? Of whoever reads on within a page. */
static bool is_same_use(struct set *s, uint64_t page, size_t at)
{
	uint64_t last = atomic_exchange_explicit(&s->last, page << DAXFS_PAGE_SHIFT | at, memory_order_relaxed);

	return last >> DAXFS_PAGE_SHIFT == page && at > last % DAXFS_PAGE_SIZE;
}

static void halve(atomic_uchar *count, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		put(&count[i], get(&count[i]) / 2);
}

/* One more use of what *count is about. The uses in this set. */
static unsigned count_use(struct set *s, atomic_uchar *count)
{
	unsigned uses = atomic_fetch_add_explicit(&s->uses, 1, memory_order_relaxed) + 1;

	put(count, get(count) + 1);
	if (uses % AGED_BY == 0) {
		halve(s->used, WAYS);
		halve(s->seen, SEEN);
	}
	return uses;
}

/* Where a copy of that page would go: in the place of one that no word names any more, of none, or of the one that was
 * used least. *least: how often. */
static unsigned choose(const struct local *l, struct set *s, uint64_t page, unsigned *least)
{
	unsigned way = 0;

	*least = 0;
	if (!is_current(l, s))
		return 0;
	for (unsigned i = 0; i < WAYS; i++) {
		if (!s->state[i] || s->page[i] == page)
			return i;
		if (get(&s->used[i]) < get(&s->used[way]))
			way = i;
	}
	*least = get(&s->used[way]);
	return way;
}

/* -- reading, and copying ------------------------------------------------------------ */

static enum local_found from_copy(const struct local *l, struct set *s, uint64_t page, uint64_t state, size_t at,
				  void *out, size_t n)
{
	unsigned way = find(l, s, page, state), uses = 1;

	if (way == WAYS)
		return LOCAL_NOT;
	memcpy(out, bytes_of(l, s, way) + at, n);
	if (!is_same_use(s, page, at))
		uses = count_use(s, &s->used[way]);
	return uses % TOLD_OF == 0 ? LOCAL_TELLS : LOCAL_COPY;
}

/* A page without a copy was asked for: is it to have one? */
static bool is_wanted(const struct local *l, struct set *s, uint64_t page, size_t at)
{
	atomic_uchar *seen = seen_of(s, page);
	unsigned least;

	if (is_same_use(s, page, at))
		return false;
	count_use(s, seen);
	choose(l, s, page, &least);
	return get(seen) >= USES_LEAST && get(seen) > least + (least > 0);
}

static void copy(struct daxfs *fs, struct set *s, uint64_t page, uint64_t state, const uint8_t *bytes)
{
	struct local *l = local_of(fs);
	unsigned least, way = choose(l, s, page, &least);
	bool current = is_current(l, s);

	if (current && s->state[way]) {
		put(seen_of(s, s->page[way]), get(&s->used[way]));
		cache_count(fs, FIGURE_DEMOTED, 1);
	}
	for (unsigned i = 0; !current && i < WAYS; i++)
		s->state[i] = 0;
	s->day = atomic_load_explicit(&l->day, memory_order_relaxed);
	s->page[way] = (uint32_t)page;
	s->state[way] = state;
	put(&s->used[way], get(seen_of(s, page)));
	memcpy(bytes_of(l, s, way), bytes, DAXFS_PAGE_SIZE);
	cache_count(fs, FIGURE_PROMOTED, 1);
}

enum local_found local_read(struct daxfs *fs, uint64_t page, uint64_t state, size_t at, void *out, size_t n)
{
	struct local *l = local_of(fs);
	struct set *s = set_of(l, page);
	uint8_t bytes[DAXFS_PAGE_SIZE];
	enum local_found found;
	bool wanted = false;

	if (pthread_rwlock_tryrdlock(&s->lock))
		return LOCAL_NOT;
	found = from_copy(l, s, page, state, at, out, n);
	if (found == LOCAL_NOT)
		wanted = is_wanted(l, s, page, at);
	pthread_rwlock_unlock(&s->lock);
	if (!wanted)
		return found;
	sm_read(bytes, pool_page(&fs->pool, page), DAXFS_PAGE_SIZE); /* L1 */
	memcpy(out, bytes + at, n);
	if (pthread_rwlock_trywrlock(&s->lock) == 0) {
		copy(fs, s, page, state, bytes);
		pthread_rwlock_unlock(&s->lock);
	}
	return LOCAL_MADE;
}

uint64_t local_state(struct lane *lane, const struct map_look *look)
{
	const struct pool *pool = lane->pool;
	const sm_u64 *at = &pool->state[DAXFS_T_PAGE][look->extent ? link_index(look->word) : look->page];
	uint64_t state = pool_lost(pool, at, sizeof(*at)) ? 0
							  : sm_load_relaxed(at); /* behind the word, which acquires */

	return state_of(state) == DAXFS_LIVE ? state : 0;
}

bool local_holds(struct daxfs *fs, uint64_t page)
{
	struct local *l = local_of(fs);
	struct set *s = set_of(l, page);
	bool holds = false;

	if (pthread_rwlock_tryrdlock(&s->lock))
		return false;
	for (unsigned i = 0; i < WAYS; i++)
		holds |= s->state[i] && s->page[i] == page;
	pthread_rwlock_unlock(&s->lock);
	return holds;
}

void local_forget(struct daxfs *fs)
{
	if (local_of(fs))
		atomic_fetch_add_explicit(&local_of(fs)->day, 1, memory_order_relaxed);
}

void local_tick(struct daxfs *fs)
{
	struct local *l = local_of(fs);
	uint64_t now = l ? monotonic_ns() : 0;

	if (!l || now - l->day_ns < DAY_NS)
		return;
	l->day_ns = now;
	local_forget(fs);
}

/* -- for a time ---------------------------------------------------------------------- */

static struct local *make(uint64_t bytes)
{
	struct local *l = calloc(1, sizeof(*l));
	uint64_t sets = bytes / (WAYS * DAXFS_PAGE_SIZE);

	if (!l || sets > UINT32_MAX) {
		free(l);
		return NULL;
	}
	l->sets = sets;
	l->set = calloc(sets, sizeof(*l->set));
	l->bytes = malloc(sets * WAYS * DAXFS_PAGE_SIZE);
	l->day_ns = monotonic_ns();
	if (!l->set || !l->bytes) {
		free(l->set);
		free(l->bytes);
		free(l);
		return NULL;
	}
	for (uint64_t i = 0; i < sets; i++)
		pthread_rwlock_init(&l->set[i].lock, NULL);
	return l;
}

static void destroy(struct local *l, bool here)
{
	for (uint64_t i = 0; here && i < l->sets; i++)
		pthread_rwlock_destroy(&l->set[i].lock);
	free(l->set);
	free(l->bytes);
	free(l);
}

int local_open(struct daxfs *fs, uint64_t bytes)
{
	struct local *l = local_of(fs) ? NULL : make(bytes), *none = NULL;

	if (!l)
		return local_of(fs) ? -EBUSY : -ENOMEM;
	if (atomic_compare_exchange_strong(&fs->local, &none, l))
		return 0;
	destroy(l, true);
	return -EBUSY;
}

int daxfs_local_open(struct daxfs *fs, const struct daxfs_local_options *options)
{
	struct daxfs_local_options known;
	int rc = options_take(&known, sizeof(known), sizeof(known), options, NULL);

	if (!*fs->here)
		return -ECHILD;
	if (rc == 0 && known.bytes < DAXFS_LOCAL_MIN)
		rc = -EINVAL;
	return rc ? rc : local_open(fs, known.bytes);
}

void local_free(struct daxfs *fs)
{
	if (local_of(fs))
		destroy(local_of(fs), *fs->here);
}
