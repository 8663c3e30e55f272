/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c - traces of requests: see trace.h. */
#include "trace.h"

#include <math.h>
#include <stdlib.h>

#define SEED 88172645463325252ull
#define ZIPF_PAGES 20000u
#define LOOP_PAGES 10000u
#define ROUNDS_OF_LOOP 8u
#define ROUND_EVERY 9000u /* requests */
#define ROUND_PAGES 600u
#define TURN 2000u /* requests in a row that are of one kind */

struct source {
	uint64_t rng;
	uint32_t pages;
	double *upto;   /* weights of the pages up to each rank */
	uint32_t *page; /* of each rank */
};

static uint64_t draw(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

static bool zipf_open(struct source *s, double a, uint32_t pages, uint64_t seed)
{
	double sum = 0;

	*s = (struct source){ .rng = SEED + seed * 0x9e3779b97f4a7c15u, .pages = pages };
	s->upto = malloc(pages * sizeof(*s->upto));
	s->page = malloc(pages * sizeof(*s->page));
	if (!s->upto || !s->page)
		return false;
	for (uint32_t i = 0; i < pages; i++) {
		s->upto[i] = sum += 1 / pow(i + 1, a);
		s->page[i] = i;
	}
	for (uint32_t i = pages - 1; i; i--) { /* the popular ones do not lie together */
		uint32_t j = (uint32_t)(draw(&s->rng) % (i + 1)), other = s->page[i];

		s->page[i] = s->page[j];
		s->page[j] = other;
	}
	return true;
}

static void zipf_close(struct source *s)
{
	free(s->upto);
	free(s->page);
}

static uint32_t zipf_next(struct source *s)
{
	double at = (double)(draw(&s->rng) >> 11) / (double)(1ull << 53) * s->upto[s->pages - 1];
	uint32_t low = 0, high = s->pages - 1;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (s->upto[middle] < at)
			low = middle + 1;
		else
			high = middle;
	}
	return s->page[low];
}

static void add(struct trace *t, uint64_t page, unsigned host)
{
	t->at[t->n++] = (struct request){ (uint32_t)page, (uint8_t)host };
}

/* Each host's next page, in turn; the first page of file `file`. */
static void follow(struct trace *t, unsigned hosts, unsigned lag, unsigned rounds, uint32_t first, struct source *mix)
{
	uint64_t all = (uint64_t)LOOP_PAGES * rounds;

	for (uint64_t step = 0; step < all + (uint64_t)(hosts - 1) * lag; step++)
		for (unsigned h = 0; h < hosts; h++) {
			if (mix)
				add(t, zipf_next(mix), 0);
			if (step >= (uint64_t)h * lag && step - (uint64_t)h * lag < all)
				add(t, first + (step - (uint64_t)h * lag) % LOOP_PAGES, h);
		}
}

static void zipf(struct trace *t, struct source *s, uint64_t n, bool scan, bool shift)
{
	uint64_t next = 0, left = 0;
	bool scanning = false;

	for (uint64_t i = 0; i < n; i++) {
		if (scan && !left--) {
			scanning = draw(&s->rng) & 1;
			left = TURN - 1;
		}
		if (scanning)
			add(t, s->pages + next++ % s->pages, 0);
		else
			add(t, zipf_next(s) + (shift && i > n / 2 ? s->pages : 0), 0);
	}
}

/*
 * Of nine steps four are single pages, by how popular they are, and five runs of up to 64 from such a page on; after
 * each 9,000 requests the same 600 pages are read, spread over all, as by a job that comes again.
 */
static void block(struct trace *t, struct source *s, uint64_t n)
{
	uint64_t due = ROUND_EVERY;

	while (t->n < n) {
		uint32_t page = zipf_next(s), run = draw(&s->rng) % 9 < 4 ? 1 : 1 + (uint32_t)(draw(&s->rng) % 64);

		for (uint32_t i = 0; i < run && t->n < n; i++)
			add(t, (page + i) % s->pages, 0);
		if (t->n < due)
			continue;
		due = t->n + ROUND_EVERY;
		for (uint32_t i = 0; i < ROUND_PAGES && t->n < n; i++)
			add(t, i * (s->pages / ROUND_PAGES), 0);
	}
}

struct trace *trace_make(enum trace_kind kind, double a, unsigned lag, uint64_t seed, bool quick)
{
	bool loop = kind == TRACE_LOOP || kind == TRACE_HOSTS3, two = kind == TRACE_SCAN || kind == TRACE_SHIFT;
	unsigned hosts = kind == TRACE_LOOP ? 1 : TRACE_HOSTS, rounds = quick ? 1 : ROUNDS_OF_LOOP;
	struct trace *t = calloc(1, sizeof(*t));
	struct source s = { .upto = NULL };

	if (t)
		t->at = malloc((2ull * TRACE_HOSTS * LOOP_PAGES * ROUNDS_OF_LOOP + 8ull * lag) * sizeof(*t->at));
	if (!t || !t->at || (!loop && !zipf_open(&s, kind == TRACE_MIXED ? 0.9 : a, ZIPF_PAGES, seed))) {
		zipf_close(&s);
		trace_free(t);
		return NULL;
	}
	t->file[0] = loop ? LOOP_PAGES : ZIPF_PAGES;
	t->file[1] = kind == TRACE_MIXED ? LOOP_PAGES : two ? ZIPF_PAGES : 0;
	t->hosts[0] = kind == TRACE_HOSTS3 ? TRACE_HOSTS : 1;
	t->hosts[1] = kind == TRACE_MIXED ? TRACE_HOSTS : 1;
	t->pages = t->distinct = t->file[0] + t->file[1];
	if (loop || kind == TRACE_MIXED)
		follow(t, hosts, lag, rounds, loop ? 0 : ZIPF_PAGES, loop ? NULL : &s);
	else if (kind == TRACE_BLOCK)
		block(t, &s, quick ? 20000 : 400000);
	else
		zipf(t, &s,
		     quick                ? 20000
		     : kind == TRACE_SCAN ? 480000
					  : 400000,
		     kind == TRACE_SCAN, kind == TRACE_SHIFT);
	zipf_close(&s);
	return t;
}

void trace_free(struct trace *t)
{
	if (t)
		free(t->at);
	free(t);
}
