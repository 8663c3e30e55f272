/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policies.c - what is known of caches, to measure ours beside: the optimum of whoever knows the future (Belady), LRU,
 * SIEVE (Zhang et al., NSDI 2024), S3-FIFO (Yang et al., SOSP 2023; a tenth is probation, the ghosts are as
 * many as the main queue has places). Sequential, exact, on lists that a pod could not have.
 */
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "trace.h"

#define NOBODY UINT32_MAX

/* which list a page is in */
enum place { OUT, SMALL, MAIN, GHOST };

struct list {
	uint32_t head, tail, n;
};

struct policy {
	bool (*read)(struct policy *s, uint32_t page);
	uint32_t cache;            /* pages */
	uint32_t *before, *behind; /* of each page in its list: towards the head, towards the tail */
	uint8_t *place, *uses;
	struct list main;
	uint32_t hand;            /* SIEVE's; NOBODY: at the tail */
	struct list small, ghost; /* S3-FIFO's, */
	uint32_t places;          /* ... of small */
};

static const struct list empty = { NOBODY, NOBODY, 0 };

static void push(struct policy *s, struct list *l, uint32_t page)
{
	s->before[page] = NOBODY;
	s->behind[page] = l->head;
	if (l->head == NOBODY)
		l->tail = page;
	else
		s->before[l->head] = page;
	l->head = page;
	l->n++;
}

static void take(struct policy *s, struct list *l, uint32_t page)
{
	uint32_t before = s->before[page], behind = s->behind[page];

	if (before == NOBODY)
		l->head = behind;
	else
		s->behind[before] = behind;
	if (behind == NOBODY)
		l->tail = before;
	else
		s->before[behind] = before;
	l->n--;
}

static uint32_t pop(struct policy *s, struct list *l)
{
	uint32_t page = l->tail;

	take(s, l, page);
	return page;
}

static bool read_lru(struct policy *s, uint32_t page)
{
	bool hit = s->place[page];

	if (hit)
		take(s, &s->main, page);
	else if (s->main.n == s->cache)
		s->place[pop(s, &s->main)] = OUT;
	s->place[page] = MAIN;
	push(s, &s->main, page);
	return hit;
}

static void sieve_evict(struct policy *s)
{
	uint32_t out = s->hand == NOBODY ? s->main.tail : s->hand;

	while (s->uses[out]) {
		s->uses[out] = 0;
		out = s->before[out] == NOBODY ? s->main.tail : s->before[out];
	}
	s->place[out] = OUT;
	s->hand = s->before[out];
	take(s, &s->main, out);
}

static bool read_sieve(struct policy *s, uint32_t page)
{
	if (s->place[page]) {
		s->uses[page] = 1;
		return true;
	}
	if (s->main.n == s->cache)
		sieve_evict(s);
	s->place[page] = MAIN;
	s->uses[page] = 0;
	push(s, &s->main, page);
	return false;
}

/* Somebody leaves small, for main if it was used twice; or main, if it was not used since it came by. */
static void s3fifo_evict(struct policy *s)
{
	uint32_t page;

	if (s->small.n >= s->places || !s->main.n) {
		page = pop(s, &s->small);
		s->place[page] = s->uses[page] > 1 ? MAIN : GHOST;
		s->uses[page] = 0;
		push(s, s->place[page] == MAIN ? &s->main : &s->ghost, page);
		if (s->ghost.n > s->cache - s->places)
			s->place[pop(s, &s->ghost)] = OUT;
		return;
	}
	page = pop(s, &s->main);
	if (s->uses[page]) {
		s->uses[page]--;
		push(s, &s->main, page);
	} else {
		s->place[page] = OUT;
	}
}

static bool read_s3fifo(struct policy *s, uint32_t page)
{
	bool known = s->place[page] == GHOST;

	if (s->place[page] == SMALL || s->place[page] == MAIN) {
		s->uses[page] += s->uses[page] < 3;
		return true;
	}
	if (known)
		take(s, &s->ghost, page);
	s->place[page] = OUT;
	while (s->small.n + s->main.n >= s->cache)
		s3fifo_evict(s);
	s->uses[page] = 0;
	s->place[page] = known ? MAIN : SMALL;
	push(s, known ? &s->main : &s->small, page);
	return false;
}

struct policy *policy_open(enum policy_name name, uint32_t pages, uint32_t cache)
{
	static bool (*const reads[])(struct policy *, uint32_t) = { read_lru, read_sieve, read_s3fifo };
	struct policy *s = malloc(sizeof(*s));

	if (!s)
		bench_fail("cache: no memory");
	*s = (struct policy){
		.read = reads[name],
		.cache = cache,
		.before = malloc(pages * sizeof(uint32_t)),
		.behind = malloc(pages * sizeof(uint32_t)),
		.place = calloc(pages, 1),
		.uses = calloc(pages, 1),
		.main = empty,
		.hand = NOBODY,
		.small = empty,
		.ghost = empty,
		.places = cache / 10 ? cache / 10 : 1,
	};
	if (!s->before || !s->behind || !s->place || !s->uses)
		bench_fail("cache: no memory");
	return s;
}

bool policy_read(struct policy *policy, uint32_t page)
{
	return policy->read(policy, page);
}

void policy_close(struct policy *policy)
{
	free(policy->before);
	free(policy->behind);
	free(policy->place);
	free(policy->uses);
	free(policy);
}

double policy_hits(enum policy_name name, const struct trace *t, uint32_t cache)
{
	struct policy *s = policy_open(name, t->pages, cache);
	uint64_t hits = 0;

	for (uint64_t i = 0; i < t->n; i++)
		hits += policy_read(s, t->at[i].page);
	policy_close(s);
	return (double)hits / (double)t->n;
}

/* -- the optimum: a heap of when each page comes again -------------------------------- */

struct due {
	uint64_t next; /* request */
	uint32_t page;
};

static void due_add(struct due *heap, uint64_t n, struct due due)
{
	for (; n && heap[(n - 1) / 2].next < due.next; n = (n - 1) / 2)
		heap[n] = heap[(n - 1) / 2];
	heap[n] = due;
}

/* The one that comes last; n: how many there are without it. */
static struct due due_take(struct due *heap, uint64_t n)
{
	struct due first = heap[0], last = heap[n];
	uint64_t at = 0, child;

	for (; (child = 2 * at + 1) < n; at = child) {
		child += child + 1 < n && heap[child + 1].next > heap[child].next;
		if (heap[child].next <= last.next)
			break;
		heap[at] = heap[child];
	}
	heap[at] = last;
	return first;
}

static uint64_t *next_uses(const struct trace *t)
{
	uint64_t *next = malloc(t->n * sizeof(*next)), *seen = malloc(t->pages * sizeof(*seen));

	if (!next || !seen)
		bench_fail("cache: no memory");
	memset(seen, 0xff, t->pages * sizeof(*seen));
	for (uint64_t i = t->n; i--;) {
		next[i] = seen[t->at[i].page];
		seen[t->at[i].page] = i;
	}
	free(seen);
	return next;
}

double policy_optimum(const struct trace *t, uint32_t cache)
{
	uint64_t *next = next_uses(t), *due = malloc(t->pages * sizeof(*due)), hits = 0, n = 0;
	struct due *heap = malloc((t->n + 1) * sizeof(*heap)), out;
	bool *there = calloc(t->pages, sizeof(*there));
	uint32_t cached = 0;

	if (!due || !heap || !there)
		bench_fail("cache: no memory");
	for (uint64_t i = 0; i < t->n; i++) {
		uint32_t page = t->at[i].page;

		if (there[page]) {
			hits++;
		} else if (cached == cache) {
			do /* what is there of a page that was used since is not true any more */
				out = due_take(heap, --n);
			while (!there[out.page] || due[out.page] != out.next);
			there[out.page] = false;
		} else {
			cached++;
		}
		there[page] = true;
		due[page] = next[i];
		due_add(heap, n++, (struct due){ next[i], page });
	}
	free(next);
	free(due);
	free(heap);
	free(there);
	return (double)hits / (double)t->n;
}
