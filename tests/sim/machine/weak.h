/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weak.h - the memory orders of the seam, taken at their word.
 *
 * A word is not one value but a history of messages, each stored by a thread. A
 * load may take any message that is not older than what its thread knows of this
 * word; which one is decided by a policy, so that loads of other words may be old
 * (loads pass each other, and stores pass loads), and stores become visible in any
 * order. What a thread knows is a clock: of each thread, how many of its accesses.
 *
 *   relaxed store   a message that carries what was released by the last fence
 *   release store   ... that carries all that its thread knows
 *   relaxed load    keeps what the message carries for an acquire fence
 *   acquire load    knows it from there on
 *   CAS             takes the newest message, and its own carries what that did as well
 *                   (a release sequence); one that fails is a load of something else
 *   seq_cst fence   knows all that threads knew at earlier ones; acquire, release
 *   copies          relaxed, word by word
 *   streamed copies are released by sm_stream_end alone, not by stores behind them
 *
 * This is RC11 (Lahav et al., PLDI 2017) as a view machine, without promises: a load
 * never takes a message that is stored later. So load buffering, which C11 and arm64
 * allow, does not happen here. Reads of a thread count as knowledge (coherence), and so
 * do those of threads it has heard of. It is weaker than arm64: there every store
 * becomes visible to all others at once.
 *
 * Threads of a host are ordered where they hand a lane over (private memory), commands
 * where one had ended before the other began: users talk to each other.
 *
 * Off, the seam is sequentially consistent. Not rewound with the world: begin after a
 * rewind, end before one. Single-threaded.
 */
#ifndef SIM_MACHINE_WEAK_H
#define SIM_MACHINE_WEAK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mem/shm.h"

/* which stores others see late */
enum weak_hide {
	HIDE_NOTHING, /* sequentially consistent */
	HIDE_ALL,     /* as late as the orders permit */
	HIDE_ONE,     /* only store n */
	HIDE_ALL_BUT, /* all but store n */
	HIDE_SOME,    /* each of them, by seed n, with a chance of density in 256 */
	HIDE_LATER,   /* those behind store n, but none of weak_focus; and its loads see all */
	HIDE_OTHERS,  /* as HIDE_SOME, but none of weak_focus; and its loads see all */
	HIDE_ASK,     /* ask() says which message a load takes: 0 the newest */
};

struct weak_policy {
	enum weak_hide hide;
	uint64_t n;
	unsigned density;
	unsigned of;       /* only of these hosts (bit mask); 0: of all */
	unsigned patience; /* so often a message is not seen at all; then it is. 0: for ever */
	unsigned (*ask)(unsigned n);
};

extern bool weak_on;
/* The access that follows is made where an order is left out. */
extern bool weak_focus;

/* What memory holds now is known to all. */
void weak_begin(const struct weak_policy *policy);
void weak_end(void);
void weak_set_policy(const struct weak_policy *policy);
/* Stores, copies, fences so far: what HIDE_ONE counts. */
uint64_t weak_stores(void);

/* A thread of a host; it knows what that host's threads have handed over. */
unsigned weak_thread(unsigned host);
void weak_thread_done(unsigned thread);
/* It begins a command: knows all that was ended. It ends one. */
void weak_command(unsigned thread);
void weak_command_done(unsigned thread);

uint64_t weak_load(unsigned thread, uint64_t offset, enum sm_order order);
/* The memory holds the new value only afterwards. */
void weak_store(unsigned thread, uint64_t offset, uint64_t value, enum sm_order order);
/* On success the caller stores it, as for weak_store. */
bool weak_cas(unsigned thread, uint64_t offset, uint64_t *expected, uint64_t desired, enum sm_order order);
void weak_fence(unsigned thread, enum sm_order order);
void weak_read(unsigned thread, uint64_t offset, void *dst, size_t len);
/* Called before the memory is changed; src NULL: zeros. */
void weak_write(unsigned thread, uint64_t offset, const void *src, size_t len, bool stream);
void weak_stream_end(unsigned thread);
/* By the harness, who knows everything that was ended, and tells everybody. */
void weak_declare(uint64_t offset, uint64_t value);

/*
 * A host is gone, and with it what nobody had seen of it, as far as the orders permit
 * that: a store is lost by the policy, none that one that stays had released. `set`
 * puts a word of memory to what it is then. What stays is known to all who begin later.
 */
void weak_lose(unsigned host, void (*set)(uint64_t offset, uint64_t value));
/* Memory was changed otherwise (lines lost): newer messages than that are gone. */
void weak_follow(unsigned host);

#endif
