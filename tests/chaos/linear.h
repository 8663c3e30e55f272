/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linear.h - is there one order of these operations that explains every result?
 *
 * Linearizability of one object: an operation takes effect at one moment between
 * its start and its end. An optional one (its host died before it answered) takes
 * effect at such a moment, or never; its end is when nothing of its host can act
 * any more, or LINEAR_NEVER. Decided exactly by walking starts and ends in
 * time order, keeping every possible {state, which open operations have taken
 * effect} (Lowe 2017, "just-in-time" linearization, with his memory of
 * configurations). An operation that only looks takes effect as soon as a state
 * explains it and stays as it is: waiting could not help it, and it stands in nobody's way.
 *
 * States are 64-bit values of the caller's: the state itself, or the number of
 * one that the caller keeps. Single-threaded.
 */
#ifndef CHAOS_LINEAR_H
#define CHAOS_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINEAR_NEVER UINT64_MAX

struct linear_op {
	uint64_t t0, t1;
	bool optional;
	bool looks;     /* or makes known what was so already */
	const void *op; /* the caller's */
};

/*
 * Whether `op` may take effect in `state` with the result that it had, and the
 * state it leaves. An optional one: as a success, with any result.
 */
typedef bool (*linear_step)(void *context, uint64_t state, const void *op, uint64_t *next);

enum linear_verdict { LINEAR_OK, LINEAR_IMPOSSIBLE, LINEAR_TOO_WIDE };

/*
 * ops: n operations on one object in order of t0. On LINEAR_IMPOSSIBLE *culprit
 * is the first operation whose end no order reaches.
 */
enum linear_verdict linear_check(const struct linear_op *ops, size_t n, uint64_t initial, linear_step step,
				 void *context, const struct linear_op **culprit);

#endif
