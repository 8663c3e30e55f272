/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cell_judge.c - one cell: is there an order that explains it?
 *
 * States of the model are kept by number (linear.h wants 64 bits), each once. A
 * cell that came to have more nodes or slots than the model has room for is not
 * judged from there on, and counted. Single-threaded.
 */
#include "cell_judge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STATES_MAX (1u << 18)

struct states {
	struct cell *at;
	uint32_t *slot; /* number + 1 */
	size_t count, space;
	bool full, overflow;
};

static uint64_t hash_of(const struct cell *cell)
{
	const uint8_t *bytes = (const uint8_t *)cell;
	uint64_t h = 0, w;

	for (size_t i = 0; i + sizeof(w) <= sizeof(*cell); i += sizeof(w)) {
		memcpy(&w, bytes + i, sizeof(w));
		h = (h ^ w) * 0x9e3779b97f4a7c15ull;
		h ^= h >> 29;
	}
	return h ^ cell->shared ^ (uint64_t)cell->exclusive << 32;
}

static uint32_t *slot_for(const struct states *s, const struct cell *cell)
{
	size_t i = hash_of(cell) & (2 * s->space - 1);

	while (s->slot[i] && memcmp(&s->at[s->slot[i] - 1], cell, sizeof(*cell)))
		i = (i + 1) & (2 * s->space - 1);
	return &s->slot[i];
}

static bool grow(struct states *s)
{
	size_t space = s->space ? 2 * s->space : 256;
	struct cell *at = space > STATES_MAX ? NULL : realloc(s->at, space * sizeof(*at));

	if (!at)
		return false;
	s->at = at;
	free(s->slot);
	s->slot = calloc(2 * space, sizeof(*s->slot));
	if (!s->slot)
		return false;
	s->space = space;
	for (size_t i = 0; i < s->count; i++)
		*slot_for(s, &at[i]) = (uint32_t)i + 1;
	return true;
}

/* The number of a state. */
static uint64_t number(struct states *s, const struct cell *cell)
{
	uint32_t *slot;

	if (s->count == s->space && !grow(s)) {
		s->full = true;
		return 0;
	}
	slot = slot_for(s, cell);
	if (!*slot) {
		memcpy(&s->at[s->count], cell, sizeof(*cell));
		*slot = (uint32_t)++s->count;
	}
	return *slot - 1;
}

static bool step(void *context, uint64_t state, const void *op, uint64_t *next)
{
	static struct cell cell;
	struct states *s = context;

	if (s->full)
		return true;
	memcpy(&cell, &s->at[state], sizeof(cell));
	if (!cell_apply(&cell, op))
		return false;
	s->overflow |= cell.overflow;
	cell_order(&cell);
	*next = number(s, &cell);
	return true;
}

static int by_start(const void *a, const void *b)
{
	const struct linear_op *x = a, *y = b;

	return x->t0 < y->t0 ? -1 : x->t0 > y->t0;
}

enum linear_verdict cell_judge(struct cell_op *const *ops, const uint64_t *ends, size_t n, uint64_t root,
			       struct cell_tally *tally, const struct cell_op **err)
{
	struct linear_op *list = calloc(n + 1, sizeof(*list));
	const struct linear_op *culprit = NULL;
	enum linear_verdict verdict = LINEAR_TOO_WIDE;
	struct states s = { .at = NULL };
	static struct cell cell;

	cell_init(&cell, root);
	number(&s, &cell);
	for (size_t i = 0; list && i < n; i++)
		list[i] = (struct linear_op){
			.t0 = ops[i]->t0,
			.t1 = cell_unanswered(ops[i]) ? ends[i] : ops[i]->t1,
			.optional = cell_unanswered(ops[i]) || ops[i]->nothing,
			.looks = cell_looks(ops[i]),
			.op = ops[i],
		};
	if (list && !s.full) {
		qsort(list, n, sizeof(*list), by_start);
		verdict = linear_check(list, n, 0, step, &s, &culprit);
	}
	*err = culprit ? culprit->op : NULL;
	tally->states += s.count;
	tally->overflows += s.overflow;
	if (s.full)
		verdict = LINEAR_TOO_WIDE;
	free(list);
	free(s.at);
	free(s.slot);
	return verdict;
}
