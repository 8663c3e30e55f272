/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache_window.c - how much of a file is read ahead, by how it was read lately.
 *
 * A reader that misses a page behind those that were read for it last goes on: it has a stream, and its next read is
 * larger, up to CACHE_PAGES. A file has some streams at once: several threads read it, each in order, or one reads it
 * in order and looks at other places meanwhile. They are found by file and place. A miss that is in none begins one,
 * in the place of the one that has not gone on for longest; one that never went on counts as much older, so that
 * readers at random leave the others alone.
 *
 * What is read ahead of the end of a run is read for nothing, and in a small cache throws out what was in use. So what
 * is remembered of a file is how long its runs have been lately, which is known when a stream ends: up to its last
 * read, and as many pages of that as were used. A stream is not read ahead beyond that length; one that is longer goes
 * on by half of what it was so far. Where nothing is known yet a window doubles: a file that is read for the first
 * time is read as a whole. And no window is more than a small part of the cache, for streams are many.
 *
 * All of it is private memory under one lock, hints of this process. What other hosts use of what was read here
 * is not seen: then runs look shorter by a window, which is little of a long one.
 */
#include <stdlib.h>

#include "fs/cache.h"
#include "mem/process.h"

#define SETS 64u       /* of streams, of one or several files each */
#define WAYS 4u        /* streams of a set */
#define UNPROVEN 8u    /* so many times as old counts what never went on */
#define WINDOW_MIN 16u /* pages of the first read ahead; it doubles up to CACHE_PAGES */
#define LEAST 2u       /* ... where runs are known to be short */
#define CACHE_PART 16u /* a window is one in so many of the pages that may be cached, at most */
#define WEIGHT 4u      /* of a run in what is known: one in so many */
#define HABITS 256u    /* files whose runs are known */

struct stream {
	daxfs_ino ino;            /* 0: none */
	uint64_t start;           /* page */
	uint64_t from, next, got; /* pages of the last read: as it was wanted; up to here it was done */
	unsigned window, asked;   /* pages of that: all, and those that the reader wanted at once */
	unsigned used;            /* of the others, by this process */
	uint64_t turn;            /* when that was */
	bool shy;                 /* it grows, but by no leap */
};

struct cache_streams {
	pthread_mutex_t lock;
	struct stream stream[SETS][WAYS];
	uint64_t turn[SETS];
	struct {
		daxfs_ino ino;
		uint64_t pages; /* of a run, lately */
	} habit[HABITS];
};

struct cache_streams *streams_new(void)
{
	struct cache_streams *s = calloc(1, sizeof(*s));

	if (s)
		pthread_mutex_init(&s->lock, NULL);
	return s;
}

void streams_free(struct cache_streams *streams)
{
	free(streams);
}

static unsigned hash(daxfs_ino ino)
{
	return (unsigned)(ino ^ ino >> 32);
}

/* How long a run of the file is, lately. 0: not known. */
static uint64_t *habit_of(struct cache_streams *s, daxfs_ino ino, bool make)
{
	unsigned i = hash(ino) % HABITS;

	if (s->habit[i].ino != ino && make) {
		s->habit[i].ino = ino;
		s->habit[i].pages = 0;
	}
	return s->habit[i].ino == ino ? &s->habit[i].pages : NULL;
}

static bool is_proven(const struct stream *t)
{
	return t->from != t->start;
}

/* It ends: one page says nothing of runs. */
static void learn(struct cache_streams *s, const struct stream *t)
{
	unsigned ahead = t->window - t->asked;
	uint64_t length = t->from - t->start + t->asked + (t->used < ahead ? t->used : ahead), *pages;

	if (!t->ino || !is_proven(t))
		return;
	pages = habit_of(s, t->ino, true);
	*pages = *pages ? (*pages * (WEIGHT - 1) + length + WEIGHT - 1) / WEIGHT : length;
}

/* The stream of which the page is the next one, or one that was read. */
static struct stream *find(struct cache_streams *s, daxfs_ino ino, uint64_t page, bool read)
{
	struct stream *set = s->stream[hash(ino) % SETS];

	for (unsigned i = 0; i < WAYS; i++)
		if (set[i].ino == ino &&
		    (read ? page >= set[i].from && page < set[i].next : page > set[i].from && page <= set[i].next))
			return &set[i];
	return NULL;
}

static struct stream *oldest(struct cache_streams *s, daxfs_ino ino)
{
	unsigned at = hash(ino) % SETS;
	struct stream *set = s->stream[at], *best = &set[0];
	uint64_t age, most = 0;

	for (unsigned i = 0; i < WAYS; i++) {
		age = !set[i].ino ? UINT64_MAX : (s->turn[at] - set[i].turn) * (is_proven(&set[i]) ? 1 : UNPROVEN);
		if (age > most) {
			most = age;
			best = &set[i];
		}
	}
	return best;
}

/* Pages of the next read of a stream that goes on. */
static unsigned widen(struct cache_streams *s, struct stream *t, uint64_t page)
{
	/* What was read ahead went before it was used: ahead of all readers there is more than the cache keeps. */
	bool too_far = page < t->got;
	const uint64_t *habit = habit_of(s, t->ino, false);
	uint64_t so_far = page - t->start, n;

	t->shy |= too_far;
	n = too_far ? t->window / 4 : t->shy ? t->window + 2 : 2 * t->window;
	if (n < WINDOW_MIN && !t->shy)
		n = WINDOW_MIN;
	if (habit && *habit) {
		uint64_t left = *habit > so_far ? *habit - so_far : so_far / 2;

		left = left < LEAST ? LEAST : left;
		n = n < left ? n : left;
	}
	return n < CACHE_PAGES ? (unsigned)n : CACHE_PAGES;
}

static struct stream *begin(struct cache_streams *s, daxfs_ino ino, uint64_t page)
{
	struct stream *t = oldest(s, ino);

	learn(s, t);
	*t = (struct stream){ .ino = ino, .start = page };
	return t;
}

/* However a file is read: where the cache has a limit, what is read for one reader leaves the others their pages. */
static unsigned bound(const struct pool *pool, unsigned n)
{
	uint64_t max = pool->heat.at && pool->super.cache_max ? pool->super.cache_max : pool->objects[DAXFS_T_PAGE];
	uint64_t most = max / CACHE_PART < LEAST ? LEAST : max / CACHE_PART;

	return n < most ? n : (unsigned)most;
}

/* Of a file from its beginning, which may go on. */
static unsigned first_window(struct cache_streams *s, daxfs_ino ino, uint64_t page)
{
	const uint64_t *habit = habit_of(s, ino, false);

	if (page)
		return 1;
	return habit && *habit && *habit < WINDOW_MIN ? (unsigned)*habit : WINDOW_MIN;
}

/* Cancelled in between, a thread would keep the lock. */
static struct cache_streams *lock(struct daxfs *fs, int *was)
{
	*was = process_cancel_off();
	pthread_mutex_lock(&fs->streams->lock);
	return fs->streams;
}

static void unlock(struct cache_streams *s, int was)
{
	pthread_mutex_unlock(&s->lock);
	process_cancel_restore(was);
}

unsigned cache_window(struct daxfs *fs, daxfs_ino ino, uint64_t page, uint64_t want, bool *stream)
{
	unsigned asked = want < CACHE_PAGES ? (unsigned)want : CACHE_PAGES, n;
	int was;
	struct cache_streams *s = lock(fs, &was);
	struct stream *t = find(s, ino, page, false);

	*stream = t || page == 0;
	n = bound(&fs->pool, t ? widen(s, t, page) : first_window(s, ino, page));
	if (!t)
		t = begin(s, ino, page);
	t->window = n < asked ? asked : n;
	t->asked = asked;
	t->used = 0;
	t->from = page; /* it may have got fewer than it wanted */
	t->next = page + t->window;
	t->got = 0;
	t->turn = ++s->turn[hash(ino) % SETS];
	n = t->window;
	unlock(s, was);
	return n;
}

void cache_got(struct daxfs *fs, const struct cache_fill *fill)
{
	int was;
	struct cache_streams *s = lock(fs, &was);
	struct stream *t = find(s, fill->ino, fill->first, true);

	if (t && t->from == fill->first)
		t->got = fill->first + fill->filled;
	unlock(s, was);
}

void cache_used_ahead(struct daxfs *fs, daxfs_ino ino, uint64_t page, unsigned n)
{
	int was;
	struct cache_streams *s = lock(fs, &was);
	struct stream *t = find(s, ino, page, true);

	if (t)
		t->used += n;
	unlock(s, was);
}
