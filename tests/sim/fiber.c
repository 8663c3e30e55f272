/* SPDX-License-Identifier: Apache-2.0 */
/* fiber.c - fibers by ucontext; a fixed set of stacks, each with a guard page. */
#include "fiber.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "arena.h"

#define STACK_BYTES (512u << 10)
#define FIBERS_MAX 16u

struct fiber {
	ucontext_t self, resumer;
	void (*call)(void *arg);
	void *arg;
	uint8_t *stack;
	bool used, returned;
};

static struct fiber fibers[FIBERS_MAX];

static void enter(unsigned high, unsigned low)
{
	struct fiber *fiber = (struct fiber *)((uintptr_t)high << 32 | low); /* makecontext passes ints */

	fiber->call(fiber->arg);
	fiber->returned = true;
	fiber_pause(fiber);
}

static void need_stack(struct fiber *fiber)
{
	if (fiber->stack)
		return;
	fiber->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fiber->stack == MAP_FAILED || mprotect(fiber->stack, 4096, PROT_NONE))
		arena_die("no memory for a stack");
}

struct fiber *fiber_new(void (*call)(void *arg), void *arg)
{
	struct fiber *fiber = fibers;

	while (fiber < fibers + FIBERS_MAX && fiber->used)
		fiber++;
	if (fiber == fibers + FIBERS_MAX)
		arena_die("out of fibers");
	need_stack(fiber);
	fiber->used = true;
	fiber->returned = false;
	fiber->call = call;
	fiber->arg = arg;
	getcontext(&fiber->self);
	fiber->self.uc_stack.ss_sp = fiber->stack;
	fiber->self.uc_stack.ss_size = STACK_BYTES;
	fiber->self.uc_link = NULL;
	makecontext(&fiber->self, (void (*)(void))enter, 2, (unsigned)((uintptr_t)fiber >> 32),
		    (unsigned)(uintptr_t)fiber);
	return fiber;
}

bool fiber_resume(struct fiber *fiber)
{
	swapcontext(&fiber->resumer, &fiber->self);
	return fiber->returned;
}

void fiber_pause(struct fiber *fiber)
{
	swapcontext(&fiber->self, &fiber->resumer);
}

void fiber_free(struct fiber *fiber)
{
	fiber->used = false;
}
