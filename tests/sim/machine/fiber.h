/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fiber.h - a call on a stack of its own, which can be left and come back to.
 *
 * fiber_resume runs it until it pauses or returns; a fiber that is not resumed
 * again is simply forgotten. A fiber may start and resume others. Where a paused
 * fiber is can be kept and gone back to, as often as wanted: with the world put
 * back as well, it does other things from there on.
 */
#ifndef SIM_MACHINE_FIBER_H
#define SIM_MACHINE_FIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

struct fiber;

struct fiber_place {
	ucontext_t self;
	bool returned;
	uint8_t *low, *stack; /* the stack from `low` on; a copy of it */
	size_t capacity;
};

/* Take a free stack. */
struct fiber *fiber_new(void (*call)(void *arg), void *arg);
/* Run on; true when the call has returned. */
bool fiber_resume(struct fiber *fiber);
/* Inside a fiber: back to whoever resumed it. */
void fiber_pause(struct fiber *fiber);
/* Give the stack back, returned or not. */
void fiber_free(struct fiber *fiber);

/* Of a fiber that does not run now. A place starts zeroed and is for use again. */
void fiber_keep(const struct fiber *fiber, struct fiber_place *place);
void fiber_go_back(struct fiber *fiber, const struct fiber_place *place);
void fiber_forget(struct fiber_place *place);

#endif
