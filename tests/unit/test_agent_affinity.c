/* SPDX-License-Identifier: Apache-2.0 */
/* test_agent_affinity.c - where workers run, by what asks (node-agent/affinity.h). Needs two processors. */
#include "node-agent/affinity.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#define MANY 1000u /* requests: more than it takes to be bound, or followed */

/* A thread that asks: it runs where it is told, once, and sleeps. */
struct caller {
	pthread_t thread;
	pid_t id;
	int cpu; /* -1: it ends */
	sem_t go, there;
};

/* a worker, which sleeps; what it was bound to is looked up from outside */
struct worker {
	struct affinity *a;
	pthread_t thread;
	pid_t id;
	cpu_set_t of_another;
	sem_t go, there;
};

static cpu_set_t only(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	return set;
}

static void *call(void *arg)
{
	struct caller *c = arg;
	cpu_set_t set;

	c->id = gettid();
	while (c->cpu >= 0) {
		set = only(c->cpu);
		assert_int_equal(sched_setaffinity(0, sizeof(set), &set), 0);
		sem_post(&c->there);
		sem_wait(&c->go);
	}
	return NULL;
}

static void caller_start(struct caller *c, int cpu)
{
	*c = (struct caller){ .cpu = cpu };
	sem_init(&c->go, 0, 0);
	sem_init(&c->there, 0, 0);
	assert_int_equal(pthread_create(&c->thread, NULL, call, c), 0);
	sem_wait(&c->there);
}

static void caller_move(struct caller *c, int cpu)
{
	c->cpu = cpu;
	sem_post(&c->go);
	if (cpu >= 0)
		sem_wait(&c->there);
	else
		pthread_join(c->thread, NULL);
}

static void *look_at_own(void *arg)
{
	sched_getaffinity(0, sizeof(cpu_set_t), arg);
	return NULL;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	pthread_t other;

	w->id = gettid();
	affinity_join(w->a);
	sem_post(&w->there);
	sem_wait(&w->go);
	assert_int_equal(pthread_create(&other, NULL, look_at_own, &w->of_another), 0);
	pthread_join(other, NULL);
	return NULL;
}

static void worker_start(struct worker *w, struct affinity *a)
{
	*w = (struct worker){ .a = a };
	sem_init(&w->go, 0, 0);
	sem_init(&w->there, 0, 0);
	assert_int_equal(pthread_create(&w->thread, NULL, work, w), 0);
	sem_wait(&w->there);
}

static void worker_end(struct worker *w)
{
	sem_post(&w->go);
	pthread_join(w->thread, NULL);
}

static bool runs_on(const struct worker *w, const cpu_set_t *set)
{
	cpu_set_t now;

	assert_int_equal(sched_getaffinity(w->id, sizeof(now), &now), 0);
	return CPU_EQUAL(&now, set);
}

static void ask(struct affinity *a, const struct caller *c, unsigned times, bool much)
{
	for (unsigned i = 0; i < times; i++) {
		affinity_asked(a, (uint32_t)c->id);
		affinity_moves(a, much ? 1024 * 1024 : 4096);
	}
}

struct world {
	struct affinity a;
	struct worker worker[2];
	struct caller one, two;
	int cpu[2];
};

static int begin(void **state)
{
	static struct world w;
	unsigned n = 0;

	affinity_start(&w.a);
	for (int i = 0; i < CPU_SETSIZE && n < 2; i++)
		if (CPU_ISSET((unsigned)i, &w.a.allowed))
			w.cpu[n++] = i;
	*state = n == 2 ? &w : NULL;
	if (n < 2)
		return 0;
	for (unsigned i = 0; i < 2; i++)
		worker_start(&w.worker[i], &w.a);
	caller_start(&w.one, w.cpu[1]);
	caller_start(&w.two, w.cpu[0]);
	return 0;
}

static int end(void **state)
{
	struct world *w = *state;

	if (!w)
		return 0;
	for (unsigned i = 0; i < 2; i++)
		worker_end(&w->worker[i]);
	caller_move(&w->one, -1);
	caller_move(&w->two, -1);
	affinity_stop(&w->a);
	return 0;
}

static struct world *of(void **state)
{
	if (!*state)
		skip();
	return *state;
}

static void assert_all_on(const struct world *w, cpu_set_t set)
{
	for (unsigned i = 0; i < 2; i++)
		assert_true(runs_on(&w->worker[i], &set));
}

/* Workers run where one thread asks from, and go with it. */
static void test_followed(void **state)
{
	struct world *w = of(state);

	ask(&w->a, &w->one, 32, false);
	assert_all_on(w, w->a.allowed); /* too few to say */
	ask(&w->a, &w->one, MANY, false);
	assert_all_on(w, only(w->cpu[1]));
	caller_move(&w->one, w->cpu[0]);
	ask(&w->a, &w->one, MANY, false);
	assert_all_on(w, only(w->cpu[0]));
}

/* A program that comes after another, and not beside it, is followed, too. */
static void test_one_after_the_other(void **state)
{
	struct world *w = of(state);

	ask(&w->a, &w->one, MANY, false);
	ask(&w->a, &w->two, MANY, false);
	assert_all_on(w, only(w->cpu[0]));
}

static void test_several(void **state)
{
	struct world *w = of(state);

	ask(&w->a, &w->one, MANY, false);
	assert_all_on(w, only(w->cpu[1]));
	for (unsigned i = 0; i < MANY; i++) {
		ask(&w->a, &w->one, 8, false);
		ask(&w->a, &w->two, 8, false);
	}
	assert_all_on(w, w->a.allowed);
}

static void test_much(void **state)
{
	struct world *w = of(state);

	ask(&w->a, &w->one, MANY, true);
	assert_all_on(w, w->a.allowed);
	ask(&w->a, &w->one, MANY, false);
	assert_all_on(w, only(w->cpu[1]));
	ask(&w->a, &w->one, MANY, true);
	assert_all_on(w, w->a.allowed);
}

/* Nobody knows who it is, or where. */
static void test_unknown(void **state)
{
	struct world *w = of(state);
	struct caller nobody = { .id = 0 }, gone = { .id = 0x7ffffff0 };

	ask(&w->a, &nobody, MANY, false);
	ask(&w->a, &gone, MANY, false);
	assert_all_on(w, w->a.allowed);
}

/* Whoever comes while workers are bound; and what a worker starts is none. */
static void test_newcomers(void **state)
{
	struct world *w = of(state);
	struct worker late;
	cpu_set_t set = only(w->cpu[1]);

	ask(&w->a, &w->one, MANY, false);
	worker_start(&late, &w->a);
	assert_true(runs_on(&late, &set));
	worker_end(&late);
	assert_true(CPU_EQUAL(&late.of_another, &w->a.allowed));
	w->a.n--; /* its number may be anybody's now */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_followed, begin, end),
		cmocka_unit_test_setup_teardown(test_one_after_the_other, begin, end),
		cmocka_unit_test_setup_teardown(test_several, begin, end),
		cmocka_unit_test_setup_teardown(test_much, begin, end),
		cmocka_unit_test_setup_teardown(test_unknown, begin, end),
		cmocka_unit_test_setup_teardown(test_newcomers, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
