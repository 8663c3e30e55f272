/* SPDX-License-Identifier: Apache-2.0 */
/* pair_local.h - the two sides of the pair local-again: see pair.c. */
#ifndef SIM_WEAK_PAIR_LOCAL_H
#define SIM_WEAK_PAIR_LOCAL_H

#include <stdbool.h>

struct run;

bool local_setup(void);
long local_reads(void *arg);
long local_writes(void *arg);
bool local_went_back(const struct run *run);

#endif
