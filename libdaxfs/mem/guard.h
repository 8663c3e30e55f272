/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sigbus.h - a load that fails as an error.
 *
 * Memory that reports an uncorrectable error, a file that was cut, a device that is gone:
 * each answers a load with SIGBUS, in the thread that loaded. Inside shm_guard_run that ends the
 * function called, where it is; nothing of it runs after the load. Whoever calls shm_guard_run
 * therefore puts in order what the function may have left: nothing that it locked, allocated
 * or half changed in private memory puts itself right. In the simulator no load fails.
 */
#ifndef DAXFS_MEM_SIGBUS_H
#define DAXFS_MEM_SIGBUS_H

#include <setjmp.h>

#include "mem/shm.h"

/* sigsetjmp is what sanitizers understand; in a product build it costs twice as much as the whole guard. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__x86_64__)
#define GUARD_PORTABLE
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define GUARD_PORTABLE
#endif
#endif

struct shm_guard {
	const struct shm *shm; /* the memory whose faults are meant */
	bool hit;              /* one came */
	uint64_t offset;       /* where in it */
	struct shm_guard *outer;
#ifdef GUARD_PORTABLE
	sigjmp_buf place;
#else
	void *place[5];
#endif
};

/* Install the handler, once a process; the first pool that is mapped does. -errno. */
int shm_guard_install(void);
/* run(arg) and what it returns, or -EIO with guard->hit. They nest, one inside the other. */
int shm_guard_run(struct shm_guard *guard, int (*run)(void *arg), void *arg);

/* Of this memory; the rest is set when it runs, and to zero it would cost as much as to run. */
static inline void shm_guard_init(struct shm_guard *guard, const struct shm *shm)
{
	guard->shm = shm;
	guard->hit = false;
}

static inline struct shm_guard shm_guard_of(const struct shm *shm)
{
	return (struct shm_guard){ .shm = shm };
}

#endif
