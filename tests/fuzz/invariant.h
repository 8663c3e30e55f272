/* SPDX-License-Identifier: Apache-2.0 */
/* invariant.h - what must hold whatever the input: findings that are no crash by themselves. */
#ifndef TESTS_FUZZ_DEMAND_H
#define TESTS_FUZZ_DEMAND_H

#include <stdbool.h>

/* What must hold; aborts otherwise. */
void demand(bool holds, const char *what);
/* An answer of the library: 0, a count up to `most`, or an errno. FUZZ_VERBOSE in the environment shows each. */
void demand_answer(long rc, long most, const char *what);
/* For who only wants a pool: put up a scene (fixture.h); its path. */
const char *demand_pool(unsigned fixture);

#endif
