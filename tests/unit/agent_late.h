/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_late.h - a thread that does not come to run, and so does not take what it was told.
 *
 * Its processor, the second one, is kept busy by a thread that goes first: that needs two processors, and the right to
 * have such a thread. All else of the test is on the first one.
 */
#ifndef AGENT_LATE_H
#define AGENT_LATE_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

#define LATE_CPU 1

struct hog {
	bool refused;
	atomic_bool busy, stop;
	pthread_t thread;
};

static inline bool run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0;
}

/* Before there are agents. False: there is no second processor. */
static inline bool late_possible(void)
{
	return run_on(LATE_CPU) && run_on(0);
}

static inline void *hog_main(void *context)
{
	struct hog *h = context;

	h->refused = !run_on(LATE_CPU) || sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ 1 }) != 0;
	atomic_store(&h->busy, true);
	while (!h->refused && !atomic_load(&h->stop))
		;
	return NULL;
}

/* From here on nothing else runs there. */
static inline void hog_begin(struct hog *h)
{
	assert_int_equal(pthread_create(&h->thread, NULL, hog_main, h), 0);
	while (!atomic_load(&h->busy))
		sched_yield();
}

/* False: it was not there. */
static inline bool hog_end(struct hog *h)
{
	atomic_store(&h->stop, true);
	pthread_join(h->thread, NULL);
	return !h->refused;
}

#endif
