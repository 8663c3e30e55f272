/* SPDX-License-Identifier: Apache-2.0 */
/* affinity.c - see affinity.h. */
#include "node-agent/affinity.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node-agent/thread.h"

#define ANY (-1)
#define ALONE 64u         /* requests of one thread in a row, from which on workers are bound */
#define ALONE_MAX 256u    /* at most that many count */
#define OTHER 64u         /* of which one of another thread takes back so many; at 0 workers are bound no more */
#define MUCH (32u * 1024) /* bytes of one request that count as another thread */
#define LOOK_EVERY 32u    /* requests of one thread */
#define LOOK_FIRST 24u    /* of which so many are given to one that has just come */

/* Where threads start that are not told otherwise: a bound worker may start some. */
static void start_threads_anywhere(const cpu_set_t *allowed)
{
	pthread_attr_t attr;

	if (pthread_getattr_default_np(&attr) != 0)
		return;
	if (pthread_attr_setaffinity_np(&attr, sizeof(*allowed), allowed) == 0)
		pthread_setattr_default_np(&attr);
	pthread_attr_destroy(&attr);
}

void affinity_start(struct affinity *a)
{
	memset(a, 0, sizeof(*a));
	atomic_store(&a->cpu, ANY);
	pthread_mutex_init(&a->lock, NULL);
	a->on = sched_getaffinity(0, sizeof(a->allowed), &a->allowed) == 0 && CPU_COUNT(&a->allowed) > 1;
	if (a->on)
		start_threads_anywhere(&a->allowed);
}

void affinity_stop(struct affinity *a)
{
	pthread_mutex_destroy(&a->lock);
}

/* -- where workers run -------------------------------------------------------------- */

/* An error (a cpuset that has shrunk): it runs where it ran. */
static void bind_worker(const struct affinity *a, pid_t worker, int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	if (cpu != ANY)
		CPU_SET((unsigned)cpu, &one);
	sched_setaffinity(worker, sizeof(one), cpu == ANY ? &a->allowed : &one);
}

static void bind_all(struct affinity *a, int cpu)
{
	pthread_mutex_lock(&a->lock);
	if (atomic_exchange(&a->cpu, cpu) != cpu)
		for (unsigned i = 0; i < a->n; i++)
			bind_worker(a, a->worker[i], cpu);
	pthread_mutex_unlock(&a->lock);
}

void affinity_join(struct affinity *a)
{
	if (!a->on)
		return;
	pthread_mutex_lock(&a->lock);
	if (a->n < CONFIG_THREADS_MAX)
		a->worker[a->n++] = gettid();
	bind_worker(a, 0, atomic_load(&a->cpu)); /* it has inherited what the worker had that started it */
	pthread_mutex_unlock(&a->lock);
}

/* -- where a program runs -------------------------------------------------------------- */

/* That is the 37th field behind the name. */
static int cpu_of(uint32_t thread)
{
	char line[1024];
	const char *at = thread_stat(thread, line, sizeof(line));

	for (unsigned i = 1; at && i < 37; i++)
		at = strchr(at + 1, ' ');
	return at ? (int)strtol(at + 1, NULL, 10) : ANY;
}

static void follow(struct affinity *a, uint32_t thread)
{
	int cpu = cpu_of(thread);

	if (cpu >= 0 && cpu < CPU_SETSIZE && CPU_ISSET((unsigned)cpu, &a->allowed))
		bind_all(a, cpu);
}

/* -- who asks ------------------------------------------------------------------------------ */

/* Workers count at once, and may lose some. */
static unsigned count(struct affinity *a, bool other)
{
	unsigned n = atomic_load_explicit(&a->alone, memory_order_relaxed);

	if (other)
		n = n > OTHER ? n - OTHER : 0;
	else if (n < ALONE_MAX)
		n++;
	atomic_store_explicit(&a->alone, n, memory_order_relaxed);
	if (!n && atomic_load_explicit(&a->cpu, memory_order_relaxed) != ANY)
		bind_all(a, ANY);
	return n;
}

void affinity_asked(struct affinity *a, uint32_t thread)
{
	bool other = atomic_load_explicit(&a->caller, memory_order_relaxed) != thread;
	unsigned turns = other ? LOOK_FIRST : atomic_load_explicit(&a->turns, memory_order_relaxed) + 1;

	if (!a->on || !thread)
		return;
	if (other)
		atomic_store_explicit(&a->caller, thread, memory_order_relaxed);
	atomic_store_explicit(&a->turns, turns % LOOK_EVERY, memory_order_relaxed);
	if (count(a, other) >= ALONE && turns == LOOK_EVERY)
		follow(a, thread);
}

void affinity_moves(struct affinity *a, size_t bytes)
{
	if (a->on && bytes > MUCH)
		count(a, true);
}
