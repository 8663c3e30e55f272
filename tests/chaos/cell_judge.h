/* SPDX-License-Identifier: Apache-2.0 */
/* cell_judge.h - is there an order that explains what happened in each cell? See cell_judge.c. */
#ifndef CHAOS_CELL_JUDGE_H
#define CHAOS_CELL_JUDGE_H

#include "cell_log.h"
#include "linear.h"

/* of host under gen: it worked until `killed`, and was recovered by `over` */
struct cell_death {
	unsigned host, gen;
	uint64_t killed, over;
};

struct cell_tally {
	uint64_t cells, ops, unanswered, deaths, refused, overflows, states, violations;
};

/*
 * n operations on one cell, in any order, none refused; ends[i]: when one without
 * an answer can happen no more. Of a death the times are its own. `why`: the one
 * that no order explains.
 */
enum linear_verdict cell_judge(struct cell_op *const *ops, const uint64_t *ends, size_t n, uint64_t root,
			       struct cell_tally *tally, const struct cell_op **err);
/* All logs of a directory, and the file `deaths` in it. 0, or -errno. */
int cell_judge_all(const char *dir, struct cell_tally *tally);
/* Histories with a known verdict: number of wrong verdicts. */
unsigned cell_selftest(void);

#endif
