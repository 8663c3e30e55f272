/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_coherence.h - three hosts look at what they keep while all of them change it.
 *
 * There are objects, and each has a history of states. A change is one step of it, and of one object there is one at
 * a time. A look must show a state that the object had between the begin and the end of the look: one between the last
 * change that had returned before, and the last that had begun after. What is kept too long is told by that.
 *
 * Meanwhile the process that serves a host is killed, and the next one goes on with what its kernel keeps.
 *
 * A test defines OBJECTS and struct state, includes this, and defines what is declared below.
 *
 * COHERENCE_LOOKS in the environment says how many looks, COHERENCE_KILLS how many kills, COHERENCE_PACE how many looks
 * a host has for a change of its own, at most: more, for the long run.
 */
#ifndef TESTS_UNIT_AGENT_COHERENCE_H
#define TESTS_UNIT_AGENT_COHERENCE_H

#include "test_agent_watch.h"

#include <dirent.h>
#include <pthread.h>

#include "common/clock.h"

#define PAST 64u /* states of an object that are remembered */
#define LOOKS 200000u
#define KILLS 1u
#define LEASE_MS 2000u
#define PACE 3000u    /* so that there is something to keep */
#define TIMES 262144u /* changes whose times are remembered */

struct object {
	pthread_mutex_t lock;    /* of who changes it */
	atomic_uint begun, done; /* changes */
	struct state past[PAST]; /* by the number of the change that made it */
};

struct pods {
	struct pod *pod;
	struct object object[OBJECTS];
	atomic_uint looks, sure, stale;
	atomic_bool stop;
	unsigned wanted, kills, pace;
	atomic_uint changes;
	unsigned took_us[TIMES]; /* of changes, with whatever they recall */
};

struct worker {
	struct pods *pods;
	int host;
	unsigned seed;
	pthread_t thread;
};

/* -- of the test ------------------------------------------------------------------------- */

static void make_places(struct pods *p);
/* What is done next to an object that is so. */
static struct state plan(struct state s, unsigned dice);
static int carry_out(const struct pods *p, int host, unsigned object, const struct state *was, const struct state *is);
/* Some looks: look_begin(), the look itself, look_taken(), look_is_wrong(). */
static void look_around(struct worker *w);

/* -- changing ------------------------------------------------------------------------- */

/* What it will be is remembered before that can be seen. */
static void change(struct pods *p, int host, unsigned index, unsigned dice)
{
	struct object *o = &p->object[index];
	const struct state *was;
	struct state *is;
	int64_t began;
	unsigned n;

	pthread_mutex_lock(&o->lock);
	n = atomic_load(&o->done);
	was = &o->past[n % PAST];
	is = &o->past[(n + 1) % PAST];
	*is = plan(*was, dice);
	atomic_store(&o->begun, n + 1);
	began = clock_ns();
	if (carry_out(p, host, index, was, is) != 0)
		fail_msg("object %u on host %d: %s", index, host, strerror(errno));
	p->took_us[atomic_fetch_add(&p->changes, 1) % TIMES] = (unsigned)((clock_ns() - began) / 1000);
	atomic_store(&o->done, n + 1);
	pthread_mutex_unlock(&o->lock);
}

static void *change_main(void *context)
{
	struct worker *w = context;
	unsigned next = 0;

	while (!atomic_load(&w->pods->stop)) {
		if (atomic_load(&w->pods->looks) < next) {
			usleep(100);
			continue;
		}
		change(w->pods, w->host, (unsigned)rand_r(&w->seed) % OBJECTS, (unsigned)rand_r(&w->seed));
		next = atomic_load(&w->pods->looks) + (unsigned)rand_r(&w->seed) % w->pods->pace;
	}
	return NULL;
}

/* -- looking ----------------------------------------------------------------------------- */

struct look {
	struct object *object;
	unsigned from, to; /* it was so after one of these changes */
};

static inline struct look look_begin(struct worker *w, unsigned index)
{
	struct object *o = &w->pods->object[index];

	return (struct look){ .object = o, .from = atomic_load(&o->done) };
}

static inline void look_taken(struct look *l)
{
	l->to = atomic_load(&l->object->begun);
}

static inline const struct state *state_at(const struct look *l, unsigned n)
{
	return &l->object->past[n % PAST];
}

/* Count it. True: it was wrong, and the test says how. */
static inline bool look_is_wrong(struct worker *w, const struct look *l, bool right)
{
	atomic_fetch_add(&w->pods->looks, 1);
	if (atomic_load(&l->object->begun) - l->from >= PAST)
		return false; /* what it was then has been forgotten */
	atomic_fetch_add(&w->pods->sure, 1);
	if (!right)
		atomic_fetch_add(&w->pods->stale, 1);
	return !right;
}

static void *look_main(void *context)
{
	struct worker *w = context;

	while (atomic_load(&w->pods->looks) < w->pods->wanted && !atomic_load(&w->pods->stale))
		look_around(w);
	return NULL;
}

/* -- all of it --------------------------------------------------------------------------------- */

static unsigned requests_of_all(void)
{
	unsigned n = 0;

	for (int host = 0; host < POD_HOSTS; host++)
		n += watch_all(host);
	return n;
}

/* Evenly among the looks, and never one that has not begun to serve. */
static void *kill_main(void *context)
{
	struct pods *p = context;

	for (unsigned n = 0; n < p->kills; n++) {
		int host = (int)(n % POD_HOSTS);

		while (atomic_load(&p->looks) < (uint64_t)p->wanted * (n + 1) / (p->kills + 1) &&
		       !atomic_load(&p->stop))
			usleep(100);
		kill(pod_server(p->pod, host), SIGKILL);
		pod_wait_ready(p->pod, host);
	}
	return NULL;
}

static void run_all(struct pods *p)
{
	struct worker changer[POD_HOSTS], looker[POD_HOSTS];
	pthread_t killer;

	pthread_create(&killer, NULL, kill_main, p);

	for (int host = 0; host < POD_HOSTS; host++) {
		changer[host] = (struct worker){ .pods = p, .host = host, .seed = (unsigned)host + 1 };
		looker[host] = (struct worker){ .pods = p, .host = host, .seed = (unsigned)host + 101 };
		pthread_create(&changer[host].thread, NULL, change_main, &changer[host]);
		pthread_create(&looker[host].thread, NULL, look_main, &looker[host]);
	}
	for (int host = 0; host < POD_HOSTS; host++)
		pthread_join(looker[host].thread, NULL);
	atomic_store(&p->stop, true);
	pthread_join(killer, NULL);
	for (int host = 0; host < POD_HOSTS; host++)
		pthread_join(changer[host].thread, NULL);
}

static unsigned number(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static int by_time(const void *a, const void *b)
{
	const unsigned *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

static void print_times(struct pods *p)
{
	unsigned n = atomic_load(&p->changes) < TIMES ? atomic_load(&p->changes) : TIMES;

	qsort(p->took_us, n, sizeof(p->took_us[0]), by_time);
	if (n)
		print_message("a change took %u us at the median, %u at the 99th percentile, %u at most\n",
			      p->took_us[n / 2], p->took_us[n - n / 100 - 1], p->took_us[n - 1]);
}

static inline void test_coherent(void **state)
{
	static struct pods p;

	if (!pod_possible())
		skip();
	p.pod = *state;
	p.wanted = number("COHERENCE_LOOKS", LOOKS);
	p.kills = number("COHERENCE_KILLS", KILLS);
	p.pace = number("COHERENCE_PACE", PACE);
	watch_start();
	pod_make_leased(p.pod, LEASE_MS);
	for (int host = 0; host < POD_HOSTS; host++)
		watch_pod_start(p.pod, host);
	for (unsigned i = 0; i < OBJECTS; i++)
		pthread_mutex_init(&p.object[i].lock, NULL);
	make_places(&p);
	run_all(&p);
	print_message("%u looks, %u of them judged, %u changes, %u kills, %u requests, %u stale\n",
		      atomic_load(&p.looks), atomic_load(&p.sure), atomic_load(&p.changes), p.kills, requests_of_all(),
		      atomic_load(&p.stale));
	print_times(&p);
	assert_int_equal(atomic_load(&p.stale), 0);
	assert_true(atomic_load(&p.sure) && atomic_load(&p.changes));
	assert_true(p.pace < PACE || requests_of_all() < atomic_load(&p.looks)); /* the rest was kept */
}

static inline int coherence_main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_coherent, watch_setup, pod_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
