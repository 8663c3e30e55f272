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

struct state {
	const struct trace *trace;
	uint32_t *before, *behind; /* of each page in its list: towards the head, towards the tail */
	uint8_t *place, *uses;
};

static struct state state_make(const struct trace *t)
{
	struct state s = {
		.trace = t,
		.before = malloc(t->pages * sizeof(uint32_t)),
		.behind = malloc(t->pages * sizeof(uint32_t)),
		.place = calloc(t->pages, 1),
		.uses = calloc(t->pages, 1),
	};

	if (!s.before || !s.behind || !s.place || !s.uses)
		bench_fail("cache: no memory");
	return s;
}

static double state_end(struct state *s, uint64_t hits)
{
	free(s->before);
	free(s->behind);
	free(s->place);
	free(s->uses);
	return (double)hits / (double)s->trace->n;
}

static const struct list empty = { NOBODY, NOBODY, 0 };

static void push(struct state *s, struct list *l, uint32_t page)
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

static void take(struct state *s, struct list *l, uint32_t page)
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

static uint32_t pop(struct state *s, struct list *l)
{
	uint32_t page = l->tail;

	take(s, l, page);
	return page;
}

double policy_lru(const struct trace *t, uint32_t cache)
{
	struct state s = state_make(t);
	struct list l = empty;
	uint64_t hits = 0;

	for (uint64_t i = 0; i < t->n; i++) {
		uint32_t page = t->at[i].page;

		if (s.place[page]) {
			hits++;
			take(&s, &l, page);
		} else if (l.n == cache) {
			s.place[pop(&s, &l)] = OUT;
		}
		s.place[page] = MAIN;
		push(&s, &l, page);
	}
	return state_end(&s, hits);
}

double policy_sieve(const struct trace *t, uint32_t cache)
{
	struct state s = state_make(t);
	struct list l = empty;
	uint32_t hand = NOBODY;
	uint64_t hits = 0;

	for (uint64_t i = 0; i < t->n; i++) {
		uint32_t page = t->at[i].page;

		if (s.place[page]) {
			hits++;
			s.uses[page] = 1;
			continue;
		}
		if (l.n == cache) {
			for (hand = hand == NOBODY ? l.tail : hand; s.uses[hand];) {
				s.uses[hand] = 0;
				hand = s.before[hand] == NOBODY ? l.tail : s.before[hand];
			}
			s.place[hand] = OUT;
			page = s.before[hand];
			take(&s, &l, hand);
			hand = page;
			page = t->at[i].page;
		}
		s.place[page] = MAIN;
		s.uses[page] = 0;
		push(&s, &l, page);
	}
	return state_end(&s, hits);
}

struct s3fifo {
	struct state s;
	struct list small, main, ghost;
	uint32_t places; /* of small */
};

/* Somebody leaves small, for main if it was used twice; or main, if it was not used since it came by. */
static void s3fifo_evict(struct s3fifo *f, uint32_t cache)
{
	struct state *s = &f->s;
	uint32_t page;

	if (f->small.n >= f->places || !f->main.n) {
		page = pop(s, &f->small);
		s->place[page] = s->uses[page] > 1 ? MAIN : GHOST;
		s->uses[page] = 0;
		push(s, s->place[page] == MAIN ? &f->main : &f->ghost, page);
		if (f->ghost.n > cache - f->places)
			s->place[pop(s, &f->ghost)] = OUT;
		return;
	}
	page = pop(s, &f->main);
	if (s->uses[page]) {
		s->uses[page]--;
		push(s, &f->main, page);
	} else {
		s->place[page] = OUT;
	}
}

double policy_s3fifo(const struct trace *t, uint32_t cache)
{
	struct s3fifo f = { state_make(t), empty, empty, empty, cache / 10 ? cache / 10 : 1 };
	struct state *s = &f.s;
	uint64_t hits = 0;

	for (uint64_t i = 0; i < t->n; i++) {
		uint32_t page = t->at[i].page;
		bool known = s->place[page] == GHOST;

		if (s->place[page] == SMALL || s->place[page] == MAIN) {
			hits++;
			s->uses[page] += s->uses[page] < 3;
			continue;
		}
		if (known)
			take(s, &f.ghost, page);
		s->place[page] = OUT;
		while (f.small.n + f.main.n >= cache)
			s3fifo_evict(&f, cache);
		s->uses[page] = 0;
		s->place[page] = known ? MAIN : SMALL;
		push(s, known ? &f.main : &f.small, page);
	}
	return state_end(s, hits);
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
	struct state s = state_make(t);
	uint32_t cached = 0;

	if (!due || !heap)
		bench_fail("cache: no memory");
	for (uint64_t i = 0; i < t->n; i++) {
		uint32_t page = t->at[i].page;

		if (s.place[page]) {
			hits++;
		} else if (cached == cache) {
			do /* what is there of a page that was used since is not true any more */
				out = due_take(heap, --n);
			while (!s.place[out.page] || due[out.page] != out.next);
			s.place[out.page] = OUT;
		} else {
			cached++;
		}
		s.place[page] = MAIN;
		due[page] = next[i];
		due_add(heap, n++, (struct due){ next[i], page });
	}
	free(next);
	free(due);
	free(heap);
	return state_end(&s, hits);
}
