/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard.h - a load that fails, and a store that is too late, as an error.
 *
 * Memory that reports an uncorrectable error, a file that was cut, a device that is gone:
 * each answers a load with SIGBUS, in the thread that loaded. Inside shm_guard_run that ends the
 * function called, where it is; nothing of it runs after the load. Whoever calls shm_guard_run
 * therefore puts in order what the function may have left: nothing that it locked, allocated
 * or half changed in private memory puts itself right. In the simulator no load fails.
 *
 * A store that is refused because this host was declared dead (rseq.h) ends the function in the same way, in
 * -ESTALE: guard->hit is false then. What the function left in the pool is for recovery; nobody puts that right here.
 */
#ifndef DAXFS_MEM_GUARD_H
#define DAXFS_MEM_GUARD_H

#include <setjmp.h>

#include "mem/shm.h"

/* sigsetjmp is what sanitizers understand; in a product build it costs twice as much as the whole guard. */
#if defined(SHM_SANITIZED) || !defined(__x86_64__)
#define GUARD_PORTABLE
#endif

struct shm_guard {
	const struct shm *shm; /* the memory whose faults are meant */
	bool hit;              /* one came */
	uint64_t offset;       /* where in it */
	struct shm_guard *outer;
	void *kept; /* shm_guard_keep */
#ifdef GUARD_PORTABLE
	sigjmp_buf place;
#else
	void *place[5];
#endif
};

/* Install the handler, once a process; the first pool that is mapped does. -errno. */
int shm_guard_install(void);
/* run(arg) and what it returns, or -EIO with guard->hit, or -ESTALE: revoked. They nest, one inside the other. */
int shm_guard_run(struct shm_guard *guard, int (*run)(void *arg), void *arg);

static inline struct shm_guard shm_guard_of(const struct shm *shm)
{
	return (struct shm_guard){ .shm = shm };
}

/*
 * The same without a function of its own, for the one place where that is felt:
 *
 *	shm_guard_arm(&guard, shm);
 *	if (shm_guard_caught(&guard))
 *		a load failed below (guard.hit), or this host was revoked; of what was assigned since, guard.kept
 *		alone is sure to be there
 *	else
 *		..., shm_guard_keep(&guard, p), ..., shm_guard_disarm(&guard);
 */
#ifdef DAXFS_SIM

#define shm_guard_caught(guard) ((void)(guard), 0)

static inline void shm_guard_arm(struct shm_guard *guard, const struct shm *shm)
{
	*guard = shm_guard_of(shm);
}

static inline void shm_guard_keep(struct shm_guard *guard, void *kept)
{
	guard->kept = kept;
}

static inline void shm_guard_disarm(const struct shm_guard *guard)
{
	(void)guard;
}

#else

/* of this thread */
extern _Thread_local struct shm_guard *shm_guard_innermost
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

#ifdef GUARD_PORTABLE
#define shm_guard_caught(guard) sigsetjmp((guard)->place, 0)
#define shm_guard_jump(guard) siglongjmp((guard)->place, 1)
#else
#define shm_guard_caught(guard) __builtin_setjmp((guard)->place)
#define shm_guard_jump(guard) __builtin_longjmp((guard)->place, 1)
#endif

static inline void shm_guard_arm(struct shm_guard *guard, const struct shm *shm)
{
	guard->shm = shm; /* the rest is set when it is hit, and to zero it would cost as much as to run */
	guard->hit = false;
	guard->kept = NULL;
	guard->outer = shm_guard_innermost;
	shm_guard_innermost = guard;
	shm_ask(&shm->life);
	__atomic_signal_fence(__ATOMIC_SEQ_CST); /* no load of the pool moves out of between */
}

static inline void shm_guard_keep(struct shm_guard *guard, void *kept)
{
	guard->kept = kept;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* Be where the guard around this one was armed. */
static inline void shm_guard_leave(const struct shm_guard *guard)
{
#ifdef SHM_RSEQ
	if (!guard->outer)
		shm_rseq_forget();
#endif
	shm_guard_innermost = guard->outer;
	shm_ask(guard->outer ? &guard->outer->shm->life : NULL);
}

static inline void shm_guard_disarm(const struct shm_guard *guard)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	shm_guard_leave(guard);
}

#endif

#endif
