/* SPDX-License-Identifier: Apache-2.0 */
/* linear.c - see linear.h. */
#include "linear.h"

#include <stdlib.h>
#include <string.h>

#define OPEN_MAX 64u
#define CONFIGS_MAX 200000u

struct config {
	uint64_t state, done; /* done: bit per open slot */
};

struct search {
	struct config *at;
	size_t count, space;
	const struct op *open[OPEN_MAX];
	linear_step step;
	bool too_wide;
};

static bool known(const struct search *s, const struct config *c)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->at[i].state == c->state && s->at[i].done == c->done)
			return true;
	return false;
}

static void add(struct search *s, struct config c)
{
	struct config *more;

	if (s->too_wide || known(s, &c))
		return;
	if (s->count == s->space) {
		s->space = s->space ? 2 * s->space : 64;
		more = s->space > CONFIGS_MAX ? NULL : realloc(s->at, s->space * sizeof(*s->at));
		if (!more) {
			s->too_wide = true;
			return;
		}
		s->at = more;
	}
	s->at[s->count++] = c;
}

/* Everything that may have happened by the time slot `end` is known to have. */
static void expand(struct search *s, unsigned end)
{
	struct config c;
	uint64_t next;

	for (size_t i = 0; i < s->count && !s->too_wide; i++) {
		c = s->at[i];
		if (c.done >> end & 1)
			continue;
		for (unsigned k = 0; k < OPEN_MAX; k++)
			if (s->open[k] && !(c.done >> k & 1) && s->step(c.state, s->open[k], &next))
				add(s, (struct config){ next, c.done | 1ull << k });
	}
}

/* Keep what has slot `end` done, and free the slot. */
static void settle(struct search *s, unsigned end)
{
	struct search kept = { .step = s->step };

	for (size_t i = 0; i < s->count; i++)
		if (s->at[i].done >> end & 1)
			add(&kept, (struct config){ s->at[i].state, s->at[i].done & ~(1ull << end) });
	free(s->at);
	s->at = kept.at;
	s->count = kept.count;
	s->space = kept.space;
	s->too_wide |= kept.too_wide;
	s->open[end] = NULL;
}

static bool start(struct search *s, const struct op *op)
{
	for (unsigned k = 0; k < OPEN_MAX; k++)
		if (!s->open[k]) {
			s->open[k] = op;
			return true;
		}
	return false;
}

static unsigned slot_of(const struct search *s, const struct op *op)
{
	unsigned k = 0;

	while (s->open[k] != op)
		k++;
	return k;
}

static int by_end(const void *a, const void *b)
{
	const struct op *x = *(const struct op *const *)a, *y = *(const struct op *const *)b;

	return x->t1 < y->t1 ? -1 : x->t1 > y->t1;
}

static enum linear_verdict walk(struct search *s, const struct op *const *ops, const struct op **ends, size_t n,
				const struct op **culprit)
{
	size_t next = 0;
	unsigned k;

	for (size_t e = 0; e < n && !op_pending(ends[e]); e++) {
		/* Equal times: count as overlapping. */
		for (; next < n && ops[next]->t0 <= ends[e]->t1; next++)
			if (!start(s, ops[next]))
				return LINEAR_TOO_WIDE;
		k = slot_of(s, ends[e]);
		expand(s, k);
		settle(s, k);
		if (s->too_wide)
			return LINEAR_TOO_WIDE;
		if (!s->count) {
			*culprit = ends[e];
			return LINEAR_IMPOSSIBLE;
		}
	}
	return LINEAR_OK;
}

enum linear_verdict linear_check(const struct op *const *ops, size_t n, uint64_t initial, linear_step step,
				 const struct op **culprit)
{
	struct search s = { .step = step };
	const struct op **ends = malloc((n + 1) * sizeof(const struct op *));
	enum linear_verdict verdict = LINEAR_TOO_WIDE;

	add(&s, (struct config){ initial, 0 });
	if (ends && !s.too_wide) {
		memcpy(ends, ops, n * sizeof(const struct op *));
		qsort(ends, n, sizeof(const struct op *), by_end);
		verdict = walk(&s, ops, ends, n, culprit);
	}
	free(s.at);
	free(ends);
	return verdict;
}
