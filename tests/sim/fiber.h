/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fiber.h - a call on a stack of its own, which can be left and come back to.
 *
 * fiber_resume runs it until it pauses or returns; a fiber that is not resumed
 * again is simply forgotten. A fiber may start and resume others.
 */
#ifndef SIM_FIBER_H
#define SIM_FIBER_H

#include <stdbool.h>

struct fiber;

/* Take a free stack. */
struct fiber *fiber_new(void (*call)(void *arg), void *arg);
/* Run on; true when the call has returned. */
bool fiber_resume(struct fiber *fiber);
/* Inside a fiber: back to whoever resumed it. */
void fiber_pause(struct fiber *fiber);
/* Give the stack back, returned or not. */
void fiber_free(struct fiber *fiber);

#endif
