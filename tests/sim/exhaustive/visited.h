/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visited.h - a set of 64-bit digests: where an exploration has been.
 *
 * Two states of one digest are taken for the same. With n states in a set that
 * happens to some two of them with a probability of n * n / 2^65.
 */
#ifndef SIM_EXHAUSTIVE_VISITED_H
#define SIM_EXHAUSTIVE_VISITED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct visited {
	uint64_t *key; /* 0: empty */
	size_t capacity, n;
};

bool visited_has(const struct visited *v, uint64_t digest);
/* True if it was not there yet. */
bool visited_add(struct visited *v, uint64_t digest);
void visited_clear(struct visited *v);
void visited_free(struct visited *v);

#endif
