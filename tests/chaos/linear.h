/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linear.h - is there one order of these operations that explains every result?
 *
 * Linearizability of one object whose state is a 64-bit value: an operation
 * takes effect at one moment between its start and its end. A pending one (its
 * host died) takes effect at any moment after its start, or never. Decided
 * exactly by walking starts and ends in time order, keeping every possible
 * {state, which open operations have taken effect} (Lowe 2017, "just-in-time"
 * linearization). Few threads fight for one name at once, so the sets are small.
 */
#ifndef CHAOS_LINEAR_H
#define CHAOS_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "oplog.h"

/*
 * Whether `op` may take effect in `state` with the result that it had, and the
 * state it leaves. For a pending one: with any result, but as a success.
 */
typedef bool (*linear_step)(uint64_t state, const struct op *op, uint64_t *next);

enum linear_verdict { LINEAR_OK, LINEAR_IMPOSSIBLE, LINEAR_TOO_WIDE };

/*
 * ops: n operations on one object in order of t0. On LINEAR_IMPOSSIBLE *culprit
 * is the first operation whose end no order reaches.
 */
enum linear_verdict linear_check(const struct op *const *ops, size_t n, uint64_t initial, linear_step step,
				 const struct op **culprit);

#endif
