/* SPDX-License-Identifier: Apache-2.0 */
/* sources.h - what makes a run follow from its input alone: see sources.c. */
#ifndef TESTS_FUZZ_SOURCES_H
#define TESTS_FUZZ_SOURCES_H

#include <stdbool.h>

/* Clock and the like from their beginnings. */
void sources_restart(void);
/*
 * Run an operation whose host dies at the at-th write-back from now. False: it
 * ended before. The host's context must not be used for anything else.
 */
bool sources_dies(unsigned at, void (*operation)(void *arg), void *arg);

#endif
