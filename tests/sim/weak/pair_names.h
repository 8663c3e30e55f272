/* SPDX-License-Identifier: Apache-2.0 */
/* pair_names.h - the two sides of the pair ask-names: see pair.c. */
#ifndef SIM_WEAK_PAIR_NAMES_H
#define SIM_WEAK_PAIR_NAMES_H

#include <stdbool.h>

struct run;

bool names_setup(void);
long names_ask(void *arg);
long names_serve(void *arg);
bool names_missed(const struct run *run);

#endif
