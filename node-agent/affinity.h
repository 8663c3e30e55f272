/* SPDX-License-Identifier: Apache-2.0 */
/*
 * affinity.h - workers run on the processor of the program that asks, while there is one such program.
 *
 * A program that waits for its answer leaves its processor to others. The scheduler does not know that when it wakes a
 * worker, so it takes another processor that is idle, and later wakes the program from there: two interrupts for each
 * request, and in a virtual machine as many exits. On the processor of the program both are a switch of threads. So
 * while one thread asks for one small thing after the other, all workers are bound to the processor that it was last
 * seen on. They are bound to none while several threads ask, or for so much data that it is better copied side by side.
 *
 * It is a guess, and decides nothing but where workers run, among the processors that this process was started with.
 * Where a thread runs is looked up in /proc (10 µs), once in LOOK_EVERY of its requests. Any worker, any time. Crash:
 * the next process begins with workers that are bound to none.
 */
#ifndef AGENT_AFFINITY_H
#define AGENT_AFFINITY_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "node-agent/config.h"

struct affinity {
	/* constant once started */
	bool on;
	cpu_set_t allowed;

	/* private */
	atomic_uint caller;   /* thread that asked last */
	atomic_uint turns;    /* requests of it since it was looked up */
	atomic_uint alone;    /* how much the last requests were of one thread */
	atomic_int cpu;       /* that workers are bound to, or ANY */
	pthread_mutex_t lock; /* of what follows, and of binding */
	unsigned n;
	pid_t worker[CONFIG_THREADS_MAX];
};

/* Before there are workers. From here on threads start on any processor, whoever starts them. */
void affinity_start(struct affinity *a);
void affinity_stop(struct affinity *a);

/* This thread is a worker from here on. */
void affinity_join(struct affinity *a);
/* A thread (0: not known) has asked for something. So many bytes come with that, or with the answer. */
void affinity_asked(struct affinity *a, uint32_t thread);
void affinity_moves(struct affinity *a, size_t bytes);

#endif
