/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fiber.c - fibers by ucontext; a fixed set of stacks, each with a guard page.
 * Going back to a place puts a stack back as it was, at the addresses it had.
 */
#include "machine/fiber.h"

#include <sys/mman.h>

#include "machine/arena.h"

#define STACK_BYTES (512u << 10)
#define FIBERS_MAX 64u
#define MARGIN 1024u /* below a frame: what swapcontext and makecontext put there */

struct fiber {
	ucontext_t self, resumer;
	void (*call)(void *arg);
	void *arg;
	uint8_t *stack, *low; /* low: nothing below is in use while it is paused */
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
	fiber->stack = arena_host_map(STACK_BYTES);
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
	fiber->low = fiber->stack + STACK_BYTES - MARGIN;
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
	fiber->low = (uint8_t *)__builtin_frame_address(0) - MARGIN;
	swapcontext(&fiber->self, &fiber->resumer);
}

void fiber_free(struct fiber *fiber)
{
	fiber->used = false;
}

/* Other functions' frames, of which an address sanitizer wants to know more. */
__attribute__((no_sanitize("address"))) static void copy_stack(uint8_t *to, const uint8_t *from, size_t n)
{
	for (size_t i = 0; i < n; i += sizeof(uint64_t)) {
		uint64_t word;

		__builtin_memcpy(&word, from + i, sizeof(word));
		__builtin_memcpy(to + i, &word, sizeof(word));
	}
}

static size_t in_use(const struct fiber *fiber, const uint8_t *low)
{
	return (size_t)(fiber->stack + STACK_BYTES - low);
}

void fiber_keep(const struct fiber *fiber, struct fiber_place *place)
{
	uint8_t *low = fiber->low - (uintptr_t)fiber->low % sizeof(uint64_t);
	size_t n = in_use(fiber, low);

	if (n > place->capacity) {
		place->capacity = 2 * n;
		place->stack = arena_host_realloc(place->stack, place->capacity);
	}
	place->self = fiber->self;
	place->returned = fiber->returned;
	place->low = low;
	copy_stack(place->stack, low, n);
}

void fiber_go_back(struct fiber *fiber, const struct fiber_place *place)
{
	fiber->self = place->self; /* where it was: its pointers into itself hold */
	fiber->returned = place->returned;
	fiber->low = place->low;
	copy_stack(place->low, place->stack, in_use(fiber, place->low));
}

void fiber_forget(struct fiber_place *place)
{
	arena_host_free(place->stack);
	*place = (struct fiber_place){ 0 };
}
