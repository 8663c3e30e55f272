/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_selftest.c - histories with a known verdict. (tests/chaos/selftest plants
 * faults in whole trees; here is what only a hand-made history can show.)
 */
#include "verify.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* of a history of one register: write, read or add-if-empty */
struct line {
	enum op_kind kind;
	uint64_t t0, t1; /* t1 0: pending */
	uint64_t value;
	int result;
};

struct story {
	const char *name;
	enum linear_verdict verdict;
	struct line lines[6];
};

static const struct story stories[] = {
	{ "in turn", LINEAR_OK, { { OP_NAME_REPLACE, 1, 2, 7, 0 }, { OP_NAME_STAT, 3, 4, 7, 0 } } },
	{ "stale read",
	  LINEAR_IMPOSSIBLE,
	  { { OP_NAME_REPLACE, 1, 2, 7, 0 }, { OP_NAME_REPLACE, 3, 4, 8, 0 }, { OP_NAME_STAT, 5, 6, 7, 0 } } },
	{ "overlap: either",
	  LINEAR_OK,
	  { { OP_NAME_REPLACE, 1, 5, 7, 0 }, { OP_NAME_REPLACE, 2, 6, 8, 0 }, { OP_NAME_STAT, 7, 8, 7, 0 } } },
	{ "seen, then unseen",
	  LINEAR_IMPOSSIBLE,
	  { { OP_NAME_REPLACE, 1, 2, 7, 0 },
	    { OP_NAME_REPLACE, 3, 9, 8, 0 },
	    { OP_NAME_STAT, 4, 5, 8, 0 },
	    { OP_NAME_STAT, 6, 7, 7, 0 } } },
	{ "two winners", LINEAR_IMPOSSIBLE, { { OP_NAME_CREATE, 1, 5, 7, 0 }, { OP_NAME_CREATE, 2, 6, 8, 0 } } },
	{ "no winner",
	  LINEAR_IMPOSSIBLE,
	  { { OP_NAME_CREATE, 1, 5, 0, -EEXIST }, { OP_NAME_CREATE, 2, 6, 0, -EEXIST } } },
	{ "the dead one won", LINEAR_OK, { { OP_NAME_CREATE, 1, 0, 0, 0 }, { OP_NAME_CREATE, 2, 6, 0, -EEXIST } } },
	{ "the dead one did not", LINEAR_OK, { { OP_NAME_CREATE, 1, 0, 0, 0 }, { OP_NAME_CREATE, 2, 6, 7, 0 } } },
	{ "the dead one came too late",
	  LINEAR_IMPOSSIBLE,
	  { { OP_NAME_CREATE, 1, 2, 0, -EEXIST }, { OP_NAME_CREATE, 3, 0, 0, 0 } } },
	{ "pending write happens late",
	  LINEAR_OK,
	  { { OP_NAME_REPLACE, 1, 0, 7, 0 },
	    { OP_NAME_REPLACE, 2, 3, 8, 0 },
	    { OP_NAME_STAT, 4, 5, 8, 0 },
	    { OP_NAME_STAT, 6, 7, 7, 0 } } },
	{ "pending write happens once",
	  LINEAR_IMPOSSIBLE,
	  { { OP_NAME_REPLACE, 1, 0, 7, 0 },
	    { OP_NAME_STAT, 2, 3, 7, 0 },
	    { OP_NAME_REPLACE, 4, 5, 8, 0 },
	    { OP_NAME_STAT, 6, 7, 7, 0 } } },
	{ "removed once, by two",
	  LINEAR_IMPOSSIBLE,
	  { { OP_NAME_CREATE, 1, 2, 7, 0 }, { OP_NAME_UNLINK, 3, 6, 0, 0 }, { OP_NAME_UNLINK, 4, 7, 0, 0 } } },
};

static bool step(uint64_t state, const struct op *op, uint64_t *next)
{
	*next = state;
	switch (op->kind) {
	case OP_NAME_REPLACE: *next = op->b; return true;
	case OP_NAME_STAT: return state == op->b;
	case OP_NAME_UNLINK: *next = 0; return state;
	default:
		if (!op_pending(op) && op->result)
			return state;
		*next = op->b ? op->b : 99;
		return !state;
	}
}

static bool tell(const struct story *s)
{
	struct op ops[6] = { 0 };
	const struct op *list[6], *culprit;
	size_t n;
	enum linear_verdict got;

	for (n = 0; n < 6 && s->lines[n].kind; n++) {
		const struct line *l = &s->lines[n];

		ops[n] = (struct op){ .kind = l->kind,
				      .t0 = l->t0,
				      .t1 = l->t1 ? l->t1 : UINT64_MAX,
				      .b = l->value,
				      .result = l->result,
				      .id = n + 1 };
		list[n] = &ops[n];
	}
	got = judge_history(list, n, 0, step, &culprit);
	if (got != s->verdict)
		printf("self-test: history \"%s\": verdict %d, must be %d\n", s->name, got, s->verdict);
	return got == s->verdict;
}

static bool stamps(void)
{
	static uint8_t block[CHAOS_BLOCK], other[CHAOS_BLOCK];
	struct append_hdr h;
	struct stamp s;

	block_fill(block, 5, 9, op_id(1, 2, 3, 4));
	block_fill(other, 5, 9, op_id(1, 2, 3, 5));
	if (block_check(block, 5, 9, &s) || s.op != op_id(1, 2, 3, 4) || !block_check(block, 6, 9, &s) ||
	    !block_check(block, 5, 8, &s))
		return false;
	memcpy(block + 2048, other + 2048, 2048); /* torn in the middle */
	if (!block_check(block, 5, 9, &s))
		return false;
	append_fill(other, 7, 8, 1000);
	if (append_check(other, 1000, 7, &h) || h.len != 1000 || !append_check(other, 999, 7, &h))
		return false;
	other[700] ^= 1;
	return append_check(other, 1000, 7, &h);
}

int self_test(void)
{
	size_t n = sizeof(stories) / sizeof(stories[0]), good = 0;

	for (size_t i = 0; i < n; i++)
		good += tell(&stories[i]);
	if (!stamps()) {
		printf("self-test: blocks or records are not told from damaged ones\n");
		return 1;
	}
	printf("self-test: %zu of %zu histories judged right\n", good, n);
	return good == n ? 0 : 1;
}
