/* SPDX-License-Identifier: Apache-2.0 */
/* linear.c - see linear.h. */
#include "linear.h"

#include <stdlib.h>
#include <string.h>

#define OPEN_MAX 64u
#define CONFIGS_MAX 400000u

struct config {
	uint64_t state, done; /* done: bit per open slot */
};

/* a set: in order of arrival, and found by hash */
struct configs {
	struct config *at;
	uint32_t *slot; /* index + 1; twice as many as there is space */
	size_t count, space;
};

struct search {
	struct configs now;
	const struct linear_op *open[OPEN_MAX];
	linear_step step;
	void *context;
	bool too_wide;
};

static size_t hash_of(const struct config *c)
{
	uint64_t h = (c->state ^ (c->done * 0x9e3779b97f4a7c15ull)) * 0xff51afd7ed558ccdull;

	return (size_t)(h ^ h >> 29);
}

/* Where a configuration is, or would be. */
static uint32_t *slot_for(const struct configs *set, const struct config *c)
{
	size_t i = hash_of(c) & (2 * set->space - 1);

	while (set->slot[i] && memcmp(&set->at[set->slot[i] - 1], c, sizeof(*c)))
		i = (i + 1) & (2 * set->space - 1);
	return &set->slot[i];
}

static bool grow(struct configs *set)
{
	size_t space = set->space ? 2 * set->space : 64;
	struct config *at = space > CONFIGS_MAX ? NULL : realloc(set->at, space * sizeof(*at));

	if (!at)
		return false;
	set->at = at;
	free(set->slot);
	set->slot = calloc(2 * space, sizeof(*set->slot));
	if (!set->slot)
		return false;
	set->space = space;
	for (size_t i = 0; i < set->count; i++)
		*slot_for(set, &at[i]) = (uint32_t)i + 1;
	return true;
}

static void add(struct search *s, struct configs *set, struct config c)
{
	uint32_t *slot;

	if (s->too_wide || (set->count == set->space && !grow(set))) {
		s->too_wide = true;
		return;
	}
	slot = slot_for(set, &c);
	if (*slot)
		return;
	set->at[set->count++] = c;
	*slot = (uint32_t)set->count;
}

/* What only looks and is explained by the state has taken effect. */
static struct config looked(struct search *s, struct config c)
{
	uint64_t next;

	for (unsigned k = 0; k < OPEN_MAX; k++)
		if (s->open[k] && s->open[k]->looks && !(c.done >> k & 1) &&
		    s->step(s->context, c.state, s->open[k]->op, &next) && next == c.state)
			c.done |= 1ull << k;
	return c;
}

/* Everything that may have happened by the time slot `end` is known to have. */
static void expand(struct search *s, unsigned end)
{
	for (size_t i = 0; i < s->now.count && !s->too_wide; i++) {
		struct config c = looked(s, s->now.at[i]);
		uint64_t next;

		if (c.done != s->now.at[i].done) {
			add(s, &s->now, c);
			continue; /* it is looked at in its place */
		}
		if (c.done >> end & 1)
			continue;
		for (unsigned k = 0; k < OPEN_MAX; k++)
			if (s->open[k] && !(c.done >> k & 1) && s->step(s->context, c.state, s->open[k]->op, &next))
				add(s, &s->now, (struct config){ next, c.done | 1ull << k });
	}
}

/* Keep what has slot `end` done, or may do without, and free the slot. */
static void settle(struct search *s, unsigned end)
{
	struct configs kept = { 0 };

	for (size_t i = 0; i < s->now.count; i++) {
		struct config c = looked(s, s->now.at[i]);

		if (c.done >> end & 1 || s->open[end]->optional)
			add(s, &kept, (struct config){ c.state, c.done & ~(1ull << end) });
	}
	free(s->now.at);
	free(s->now.slot);
	s->now = kept;
	s->open[end] = NULL;
}

static bool start(struct search *s, const struct linear_op *op)
{
	for (unsigned k = 0; k < OPEN_MAX; k++)
		if (!s->open[k]) {
			s->open[k] = op;
			return true;
		}
	return false;
}

static unsigned slot_of(const struct search *s, const struct linear_op *op)
{
	unsigned k = 0;

	while (s->open[k] != op)
		k++;
	return k;
}

static int by_end(const void *a, const void *b)
{
	const struct linear_op *x = *(const struct linear_op *const *)a, *y = *(const struct linear_op *const *)b;

	return x->t1 < y->t1 ? -1 : x->t1 > y->t1;
}

static enum linear_verdict walk(struct search *s, const struct linear_op *ops, const struct linear_op **ends, size_t n,
				const struct linear_op **culprit)
{
	size_t next = 0;
	unsigned k;

	for (size_t e = 0; e < n && ends[e]->t1 != LINEAR_NEVER; e++) {
		/* Equal times: count as overlapping. */
		for (; next < n && ops[next].t0 <= ends[e]->t1; next++)
			if (!start(s, &ops[next]))
				return LINEAR_TOO_WIDE;
		k = slot_of(s, ends[e]);
		expand(s, k);
		settle(s, k);
		if (s->too_wide)
			return LINEAR_TOO_WIDE;
		if (!s->now.count) {
			*culprit = ends[e];
			return LINEAR_IMPOSSIBLE;
		}
	}
	return LINEAR_OK;
}

enum linear_verdict linear_check(const struct linear_op *ops, size_t n, uint64_t initial, linear_step step,
				 void *context, const struct linear_op **culprit)
{
	struct search s = { .step = step, .context = context };
	const struct linear_op **ends = malloc((n + 1) * sizeof(const struct linear_op *));
	enum linear_verdict verdict = LINEAR_TOO_WIDE;

	add(&s, &s.now, (struct config){ initial, 0 });
	if (ends && !s.too_wide) {
		for (size_t i = 0; i < n; i++)
			ends[i] = &ops[i];
		qsort(ends, n, sizeof(const struct linear_op *), by_end);
		verdict = walk(&s, ops, ends, n, culprit);
	}
	free(s.now.at);
	free(s.now.slot);
	free(ends);
	return verdict;
}
