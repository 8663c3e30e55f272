/* SPDX-License-Identifier: Apache-2.0 */
/* thread.h - threads that leave signals to the thread that waits for them. */
#ifndef AGENT_THREAD_H
#define AGENT_THREAD_H

#include <pthread.h>
#include <signal.h>

/* attr: NULL for the usual ones. 0 or -errno. */
static inline int thread_start(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	sigset_t most, old;
	int error;

	sigfillset(&most);
	sigdelset(&most, SIGBUS); /* a load of the pool that fails is its thread's own */
	pthread_sigmask(SIG_SETMASK, &most, &old);
	error = pthread_create(thread, attr, run, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -error;
}

#endif
