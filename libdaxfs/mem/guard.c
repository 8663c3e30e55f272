/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard.c - SIGBUS in a pool, or a store that is too late, ends the call that met it.
 *
 * This file has the only mutable state of the library that belongs to no context: a signal
 * has one handler in a process, and what interrupts a thread must be found by that thread
 * alone. It is the handler that was there before, set once, and each thread's innermost guard, and what that asks.
 *
 * Why a jump, and not a page of zeros put in the place of the bad one: after the load nothing
 * of the call runs, so nothing that came out of such a page is ever believed, copied, or
 * swapped in. What is left is exactly what a thread leaves that dies at that load: a record in
 * some state, an announcement. For that there is recovery, which is tested at every step;
 * with a page of zeros each step would need a look of its own before its next change.
 *
 * The jump is not async-unsafe here: the signal comes from an instruction of ours that touches
 * the pool (never from within malloc or stdio), and the mask is as it was (SA_NODEFER, no
 * signal blocked), so nothing has to be restored.
 */
#include "mem/guard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#ifdef DAXFS_SIM

int shm_guard_install(void)
{
	return 0;
}

int shm_guard_run(struct shm_guard *guard, int (*run)(void *arg), void *arg)
{
	(void)guard;
	return run(arg);
}

#else

_Thread_local struct shm_guard *shm_guard_innermost;
static struct sigaction before_us;

/* Not ours: as if we were not there. A default action returns into the same fault, and acts. */
static void pass_on(int number, siginfo_t *info, void *context)
{
	const struct sigaction fallback = { .sa_handler = SIG_DFL };

	if (before_us.sa_flags & SA_SIGINFO)
		before_us.sa_sigaction(number, info, context);
	else if (before_us.sa_handler != SIG_DFL && before_us.sa_handler != SIG_IGN)
		before_us.sa_handler(number);
	else if (before_us.sa_handler == SIG_DFL || info->si_code > 0)
		sigaction(number, &fallback, NULL);
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	struct shm_guard *guard = shm_guard_innermost;
	uint64_t offset = guard ? (uint64_t)((const uint8_t *)info->si_addr - guard->shm->base) : 0;

	if (!guard || info->si_code <= 0 || offset >= guard->shm->size) {
		pass_on(number, info, context);
		return;
	}
	if (info->si_code == BUS_MCEERR_AO)
		return; /* memory that nobody has loaded: whoever does will be told again */
	guard->hit = true;
	guard->offset = offset;
	shm_guard_leave(guard);
	shm_guard_jump(guard);
}

#ifdef SHM_RSEQ

_Thread_local const struct shm_life *shm_asked;

/* Who asks is inside of a guard. */
void shm_revoked(void)
{
	struct shm_guard *guard = shm_guard_innermost;

	shm_guard_leave(guard);
	shm_guard_jump(guard);
}

#endif

static void install(void)
{
	struct sigaction action = { .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK };

	action.sa_sigaction = on_sigbus;
	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, &before_us);
}

int shm_guard_install(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	return -pthread_once(&once, install);
}

/* Apart, so that nobody keeps a variable in a register across the place that is jumped to. */
__attribute__((noinline)) int shm_guard_run(struct shm_guard *guard, int (*run)(void *arg), void *arg)
{
	int rc;

	shm_guard_arm(guard, guard->shm);
	if (shm_guard_caught(guard))
		return guard->hit ? -EIO : -ESTALE;
	rc = run(arg);
	shm_guard_disarm(guard);
	return rc;
}

#endif
