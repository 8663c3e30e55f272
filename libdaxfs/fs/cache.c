/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.c - what one process knows of the cache: how storage is read, which reads are
 * under way, figures.
 *
 * All of it but the figures is private memory under one lock, which is held for a few instructions, never
 * while storage or the pool is touched. A process that dies leaves nothing of this.
 */
#include "fs/cache.h"

#include <ctype.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mem/clock.h"
#include "mem/process.h"

#define SLOW_NS 1000000000u /* so long nobody waits for a host that let us wait in vain */
#define DOUBT_NS 300000000u /* so long the number of cached pages is believed, whatever it says, ... */
#define DOUBT_SHARE 32u /* ... and so many times as long as it took to count them: in a large pool that is the longer */

#define PLACES 1024u /* pages */
/* between the figures in struct sm_asks, which are sums: what is so now */
enum { NOW_DIRTY = FIGURE_LOCAL - FIGURE_LOST, NOW_DIRTY_AGE, NOW_END };
/* behind the last of those: of which backing the oldest is (its number + 1, [63:32] errno), and its name */
enum { NOW_OLDEST = NOW_END + FIGURES - FIGURE_LOCAL, NOW_NAME };
#define NAME_WORDS 4u

_Static_assert(FIGURE_PAST == DAXFS_CACHE_FIGURES && FIGURE_LOST - FIGURE_PAST == DAXFS_CACHE_FIGURES_MORE &&
		       NOW_NAME + NAME_WORDS <= DAXFS_CACHE_FIGURES_REST,
	       "each figure has its word");

struct cache {
	pthread_mutex_t lock;
	pthread_cond_t ended; /* a read; a use of a backing */
	struct cache_fill *fills;
	struct {
		struct daxfs_storage storage;
		unsigned users;
		bool attached;
	} backing[DAXFS_BACKINGS];
	uint64_t slow_ns[DAXFS_HOSTS_MAX]; /* since when, 0: never */
	uint64_t hand;
	uint64_t bare_mark, bare_steps;   /* while that was the mark, the hand met nothing cached for so many */
	uint64_t doubted_ns, believed_ns; /* when they were counted last; until when that is believed */
	uint64_t tenancy,
		cached;     /* generation + 1 of the host that the next is of: its word, cached of sm_cache_host */
	atomic_ullong room; /* see cache_room.c */
	atomic_uint place[PLACES];     /* pages that were filled */
	atomic_ullong figure[FIGURES]; /* without the lock: the heartbeat reads them */
	bool told;                     /* of the heartbeat: what follows is known */
	uint64_t before[FIGURES];      /* of this slot, by earlier processes */
	struct {
		atomic_ullong bytes, since_ns; /* the second: if the first is not 0 */
		atomic_int error;
		atomic_ullong name[NAME_WORDS];
	} dirty[DAXFS_BACKINGS]; /* without the lock, too */
};

int cache_init(struct daxfs *fs)
{
	struct cache *c = calloc(1, sizeof(*c));
	pthread_condattr_t monotonic;

	if (!c)
		return -ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&c->ended, &monotonic);
	pthread_condattr_destroy(&monotonic);
	fs->cache = c;
	return 0;
}

void cache_fini(struct daxfs *fs)
{
	if (*fs->here) { /* else threads that are not there may have it locked */
		pthread_cond_destroy(&fs->cache->ended);
		pthread_mutex_destroy(&fs->cache->lock);
	}
	free(fs->cache);
}

/* Cancelled in between, a thread would keep the lock. */
static struct cache *lock(struct daxfs *fs, int *was)
{
	*was = process_cancel_off();
	pthread_mutex_lock(&fs->cache->lock);
	return fs->cache;
}

static void unlock(struct cache *c, int was)
{
	pthread_mutex_unlock(&c->lock);
	process_cancel_restore(was);
}

/* -- storage -------------------------------------------------------------------- */

int cache_storage_set(struct daxfs *fs, unsigned backing, const struct daxfs_storage *storage)
{
	int was, rc = 0;
	struct cache *c = lock(fs, &was);

	if (c->backing[backing].attached || c->backing[backing].users)
		rc = -EBUSY;
	if (rc == 0) {
		c->backing[backing].storage = *storage;
		c->backing[backing].attached = true;
	}
	unlock(c, was);
	return rc;
}

int cache_storage_unset(struct daxfs *fs, unsigned backing)
{
	int was, rc = 0;
	struct cache *c = lock(fs, &was);

	if (backing >= DAXFS_BACKINGS || !c->backing[backing].attached)
		rc = -ENOENT;
	if (rc == 0)
		c->backing[backing].attached = false;
	while (rc == 0 && c->backing[backing].users)
		pthread_cond_wait(&c->ended, &c->lock);
	unlock(c, was);
	return rc;
}

/* The backing of an inode's source, if there may be such a one; DAXFS_BACKINGS: none. */
static unsigned backing_of(uint64_t source)
{
	unsigned n = (unsigned)(source >> 56);

	return n ? n - 1 : DAXFS_BACKINGS;
}

int cache_storage_get(struct daxfs *fs, uint64_t source, struct daxfs_storage *out)
{
	unsigned n = backing_of(source);
	int was, rc = -ENXIO;
	struct cache *c = lock(fs, &was);

	if (n < DAXFS_BACKINGS && c->backing[n].attached) {
		*out = c->backing[n].storage;
		c->backing[n].users++;
		rc = 0;
	}
	unlock(c, was);
	return rc;
}

void cache_storage_put(struct daxfs *fs, uint64_t source)
{
	int was;
	struct cache *c = lock(fs, &was);

	c->backing[backing_of(source)].users--;
	pthread_cond_broadcast(&c->ended);
	unlock(c, was);
}

bool cache_attached(struct daxfs *fs, unsigned backing)
{
	int was;
	struct cache *c = lock(fs, &was);
	bool attached = backing < DAXFS_BACKINGS && c->backing[backing].attached;

	unlock(c, was);
	return attached;
}

bool cache_writes(struct daxfs *fs, uint64_t source)
{
	struct daxfs_storage storage;

	if (cache_storage_get(fs, source, &storage))
		return false;
	cache_storage_put(fs, source);
	return storage.write;
}

/* -- reads under way -------------------------------------------------------------- */

static bool covers(const struct cache_fill *f, daxfs_ino ino, uint64_t page)
{
	return f->ino == ino && page >= f->first && page - f->first < f->wanted;
}

static bool is_read(const struct cache *c, daxfs_ino ino, uint64_t page)
{
	for (const struct cache_fill *f = c->fills; f; f = f->next)
		if (covers(f, ino, page))
			return true;
	return false;
}

int cache_begin(struct daxfs *fs, struct cache_fill *fill)
{
	int was, rc = 1;
	struct cache *c = lock(fs, &was);
	unsigned n = 0;

	while (n < fill->wanted && !is_read(c, fill->ino, fill->first + n))
		n++;
	if (n) {
		fill->wanted = n;
		fill->next = c->fills;
		c->fills = fill;
		rc = 0;
	}
	unlock(c, was);
	return rc;
}

void cache_end(struct daxfs *fs, struct cache_fill *fill)
{
	int was;
	struct cache *c = lock(fs, &was);
	struct cache_fill **at = &c->fills;

	while (*at != fill)
		at = &(*at)->next;
	*at = fill->next;
	pthread_cond_broadcast(&c->ended);
	unlock(c, was);
}

void cache_pause(struct daxfs *fs)
{
	const struct timespec until = monotonic_deadline(CACHE_POLL_NS);
	int was;
	struct cache *c = lock(fs, &was);

	pthread_cond_timedwait(&c->ended, &c->lock, &until);
	unlock(c, was);
}

bool cache_wait(struct daxfs *fs, const struct cache_fill *fill, unsigned patience_ms)
{
	const struct timespec until = monotonic_deadline(patience_ms * 1000000ull);
	int was, rc = patience_ms ? 0 : ETIMEDOUT;
	struct cache *c = lock(fs, &was);
	bool ended;

	while (!(ended = !is_read(c, fill->ino, fill->first)) && rc == 0)
		rc = pthread_cond_timedwait(&c->ended, &c->lock, &until);
	unlock(c, was);
	return ended;
}

/* -- hints -------------------------------------------------------------------------- */

bool cache_is_slow(struct daxfs *fs, unsigned host)
{
	uint64_t now = monotonic_ns();
	int was;
	struct cache *c = lock(fs, &was);
	bool slow = c->slow_ns[host] && now - c->slow_ns[host] < SLOW_NS;

	unlock(c, was);
	return slow;
}

void cache_was_slow(struct daxfs *fs, unsigned host)
{
	uint64_t now = monotonic_ns();
	int was;
	struct cache *c = lock(fs, &was);

	c->slow_ns[host] = now;
	unlock(c, was);
}

bool cache_doubts(struct daxfs *fs)
{
	uint64_t now = monotonic_ns();
	int was;
	struct cache *c = lock(fs, &was);
	bool due = now >= c->believed_ns;

	if (due) {
		c->doubted_ns = now;
		c->believed_ns = now + DOUBT_NS;
	}
	unlock(c, was);
	return due;
}

void cache_counted(struct daxfs *fs)
{
	uint64_t now = monotonic_ns();
	int was;
	struct cache *c = lock(fs, &was);
	uint64_t rest = DOUBT_SHARE * (now - c->doubted_ns);

	if (now + rest > c->believed_ns)
		c->believed_ns = now + rest;
	unlock(c, was);
}

void cache_place(struct daxfs *fs, struct lane *lane, uint64_t page)
{
	atomic_store_explicit(&fs->cache->place[lane_random(lane, PLACES)], (unsigned)page, memory_order_relaxed);
}

uint64_t cache_a_place(struct daxfs *fs, struct lane *lane)
{
	return atomic_load_explicit(&fs->cache->place[lane_random(lane, PLACES)], memory_order_relaxed);
}

uint64_t cache_tally(struct daxfs *fs, uint64_t word, uint64_t n)
{
	int was;
	struct cache *c = lock(fs, &was);
	uint64_t cached;

	if (c->tenancy != fs->generation + 1ull) {
		c->tenancy = fs->generation + 1ull;
		c->cached = word;
	}
	cached = c->cached += n;
	unlock(c, was);
	return cached;
}

atomic_ullong *cache_room(struct daxfs *fs)
{
	return &fs->cache->room;
}

uint64_t cache_hand(struct daxfs *fs, uint64_t by)
{
	int was;
	struct cache *c = lock(fs, &was);
	uint64_t hand = c->hand;

	c->hand += by;
	unlock(c, was);
	return hand;
}

bool cache_is_bare(struct daxfs *fs, uint64_t mark)
{
	struct cache *c;
	bool bare;
	int was;

	if (!mark)
		return true;
	c = lock(fs, &was);
	bare = mark != UINT64_MAX && mark == c->bare_mark && c->bare_steps >= fs->pool.objects[DAXFS_T_PAGE];
	unlock(c, was);
	return bare;
}

void cache_walked(struct daxfs *fs, uint64_t mark, uint64_t steps, bool bare)
{
	int was;
	struct cache *c = lock(fs, &was);

	if (!bare || mark != c->bare_mark)
		c->bare_steps = 0;
	c->bare_mark = mark;
	c->bare_steps += bare ? steps : 0;
	unlock(c, was);
}

/* -- figures -------------------------------------------------------------------------- */

void cache_count(struct daxfs *fs, enum cache_figure figure, uint64_t by)
{
	if (by)
		atomic_fetch_add_explicit(&fs->cache->figure[figure], by, memory_order_relaxed);
}

static uint64_t figure(const struct cache *c, enum cache_figure figure)
{
	return atomic_load_explicit(&c->figure[figure], memory_order_relaxed);
}

static sm_u64 *rest_word(const struct pool *pool, unsigned host, unsigned i)
{
	return pool->asks.host ? &pool->asks.host[host].figure[i] : NULL;
}

/* Where a host tells it, or NULL. */
static sm_u64 *figure_word(const struct pool *pool, unsigned host, unsigned i)
{
	sm_u64 *word;

	if (i < FIGURE_PAST)
		word = &pool->holders[host].cache[i];
	else if (i < FIGURE_LOST)
		word = pool->heat.at ? &pool->heat.host[host].more[i - FIGURE_PAST] : NULL;
	else if (i < FIGURE_LOCAL)
		word = rest_word(pool, host, i - FIGURE_LOST);
	else
		word = rest_word(pool, host, NOW_END + i - FIGURE_LOCAL);
	return word && !pool_lost(pool, word, sizeof(*word)) ? word : NULL;
}

static void tell_now(const struct pool *pool, unsigned host, unsigned i, uint64_t now)
{
	sm_u64 *word = rest_word(pool, host, i);

	if (word && !pool_lost(pool, word, sizeof(*word)) && now != sm_load_relaxed(word))
		sm_store_relaxed(word, now);
}

/* Whose bytes wait longest, and why. A reader may find it by halves; it is for people. */
static void tell_oldest(struct daxfs *fs, unsigned backing)
{
	bool some = backing < DAXFS_BACKINGS;
	uint64_t error = some ? (uint64_t)atomic_load(&fs->cache->dirty[backing].error) : 0;

	for (unsigned i = 0; some && i < NAME_WORDS; i++)
		tell_now(&fs->pool, fs->host, NOW_NAME + i, atomic_load(&fs->cache->dirty[backing].name[i]));
	tell_now(&fs->pool, fs->host, NOW_OLDEST, some ? error << 32 | (backing + 1) : 0);
}

static void tell_dirty(struct daxfs *fs)
{
	uint64_t bytes = 0, first = UINT64_MAX, now = monotonic_ns();
	unsigned oldest = DAXFS_BACKINGS;

	for (unsigned i = 0; i < DAXFS_BACKINGS; i++) {
		uint64_t n = atomic_load_explicit(&fs->cache->dirty[i].bytes, memory_order_relaxed);
		uint64_t since = atomic_load_explicit(&fs->cache->dirty[i].since_ns, memory_order_relaxed);

		bytes += n;
		if (n && since < first) {
			first = since;
			oldest = i;
		}
	}
	tell_now(&fs->pool, fs->host, NOW_DIRTY, bytes);
	tell_now(&fs->pool, fs->host, NOW_DIRTY_AGE, first < now ? (now - first) / 1000000 : 0);
	tell_oldest(fs, oldest);
}

void daxfs_tell_dirty(struct daxfs *fs, unsigned backing, uint64_t bytes, uint64_t age_ms)
{
	if (backing >= DAXFS_BACKINGS || !*fs->here)
		return;
	atomic_store_explicit(&fs->cache->dirty[backing].since_ns, monotonic_ns() - age_ms * 1000000,
			      memory_order_relaxed);
	atomic_store_explicit(&fs->cache->dirty[backing].bytes, bytes, memory_order_relaxed);
}

void daxfs_tell_write_error(struct daxfs *fs, unsigned backing, const char *name, int error)
{
	uint64_t words[NAME_WORDS] = { 0 };

	if (backing >= DAXFS_BACKINGS || !*fs->here)
		return;
	snprintf((char *)words, sizeof(words), "%s", name);
	for (unsigned i = 0; i < NAME_WORDS; i++)
		atomic_store(&fs->cache->dirty[backing].name[i], words[i]);
	atomic_store(&fs->cache->dirty[backing].error, error < 0 ? -error : error);
}

/* The slot's words have one writer, and are for people: what a process counted since its last beat is lost with it. */
void cache_tell(struct daxfs *fs)
{
	struct cache *c = fs->cache;

	for (unsigned i = 0; i < FIGURES; i++) {
		sm_u64 *word = figure_word(&fs->pool, fs->host, i);
		uint64_t now;

		if (!word)
			continue;
		if (!c->told)
			c->before[i] = sm_load_relaxed(word);
		now = c->before[i] + figure(c, i);
		if (now != sm_load_relaxed(word))
			sm_store_relaxed(word, now);
	}
	c->told = true;
	tell_dirty(fs);
}

static uint64_t *stat_of(struct daxfs_cache_stats *stats, enum cache_figure figure)
{
	static const size_t at[FIGURES] = {
		[FIGURE_HITS] = offsetof(struct daxfs_cache_stats, hits),
		[FIGURE_MISSES] = offsetof(struct daxfs_cache_stats, misses),
		[FIGURE_READS] = offsetof(struct daxfs_cache_stats, reads),
		[FIGURE_FILLED] = offsetof(struct daxfs_cache_stats, filled),
		[FIGURE_WAITS] = offsetof(struct daxfs_cache_stats, waits),
		[FIGURE_TAKEN_OVER] = offsetof(struct daxfs_cache_stats, taken_over),
		[FIGURE_DROPPED] = offsetof(struct daxfs_cache_stats, dropped),
		[FIGURE_PAST] = offsetof(struct daxfs_cache_stats, past),
		[FIGURE_AHEAD_USED] = offsetof(struct daxfs_cache_stats, ahead_used),
		[FIGURE_AHEAD_WASTED] = offsetof(struct daxfs_cache_stats, ahead_wasted),
		[FIGURE_DROPPED_YOUNG] = offsetof(struct daxfs_cache_stats, dropped_young),
		[FIGURE_DROPPED_OLD] = offsetof(struct daxfs_cache_stats, dropped_old),
		[FIGURE_LOST] = offsetof(struct daxfs_cache_stats, lost),
		[FIGURE_NO_ROOM] = offsetof(struct daxfs_cache_stats, no_room),
		[FIGURE_ERRORS] = offsetof(struct daxfs_cache_stats, errors),
		[FIGURE_WRITTEN] = offsetof(struct daxfs_cache_stats, written),
		[FIGURE_LOCAL] = offsetof(struct daxfs_cache_stats, local),
		[FIGURE_PROMOTED] = offsetof(struct daxfs_cache_stats, promoted),
		[FIGURE_DEMOTED] = offsetof(struct daxfs_cache_stats, demoted),
	};

	return (uint64_t *)(void *)((char *)stats + at[figure]);
}

void daxfs_cache_stats(struct daxfs *fs, struct daxfs_cache_stats *out)
{
	const struct cache *c = fs->cache;

	*out = (struct daxfs_cache_stats){ 0 };
	if (!*fs->here)
		return;
	for (unsigned i = 0; i < FIGURES; i++)
		*stat_of(out, i) = figure(c, i);
}

struct stats_of {
	struct daxfs *fs;
	unsigned host;
	struct daxfs_cache_stats *out;
};

/* Shared bytes: the name is terminated, and nothing in it drives a terminal. */
static void read_oldest(const struct pool *pool, unsigned host, struct daxfs_cache_stats *out)
{
	uint64_t oldest = sm_load_relaxed(rest_word(pool, host, NOW_OLDEST)), name[NAME_WORDS];

	out->dirty_oldest = (uint32_t)oldest;
	out->dirty_error = (uint32_t)(oldest >> 32) & 0xfff;
	if (!oldest)
		return;
	for (unsigned i = 0; i < NAME_WORDS; i++)
		name[i] = sm_load_relaxed(rest_word(pool, host, NOW_NAME + i));
	memcpy(out->dirty_name, name, sizeof(out->dirty_name));
	out->dirty_name[sizeof(out->dirty_name) - 1] = '\0';
	for (char *c = out->dirty_name; *c; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
}

static int look_at_words(void *arg)
{
	const struct stats_of *of = arg;
	const struct pool *pool = &of->fs->pool;

	*of->out = (struct daxfs_cache_stats){ 0 };
	if (pool_lost(pool, &pool->holders[of->host], sizeof(pool->holders[0])))
		return -EIO;
	for (unsigned i = 0; i < FIGURES; i++) {
		const sm_u64 *word = figure_word(pool, of->host, i);

		if (word)
			*stat_of(of->out, i) = sm_load_relaxed(word);
	}
	if (pool->heat.at && !pool_lost(pool, &pool->heat.host[of->host], sizeof(pool->heat.host[0])))
		of->out->cached = (int64_t)sm_load_relaxed(&pool->heat.host[of->host].cached);
	if (pool->asks.host && !pool_lost(pool, &pool->asks.host[of->host], sizeof(pool->asks.host[0]))) {
		of->out->dirty_bytes = sm_load_relaxed(rest_word(pool, of->host, NOW_DIRTY));
		of->out->dirty_age_ms = sm_load_relaxed(rest_word(pool, of->host, NOW_DIRTY_AGE));
		read_oldest(pool, of->host, of->out);
	}
	return 0;
}

int daxfs_cache_stats_of(struct daxfs *fs, unsigned host, struct daxfs_cache_stats *out)
{
	struct stats_of of = { fs, host, out };

	if (!*fs->here)
		return -ECHILD;
	return host < fs->pool.super.hosts ? fs_look(fs, look_at_words, &of) : -EINVAL;
}
