/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_lease_stall.c - how long a survivor is held up by the death of a host whose kernel had kept what it
 * changes.
 *
 * Host A has kept two files and dies; B changes the one, then the other. The first change takes T (lease_ms) at most,
 * the second waits for nothing: the dead host's leases are void by then. In a pool without leases neither waits. What a
 * loaded machine adds is not guessed: a process that only sleeps says how late it is called, and changes that concern
 * nobody how long one takes. STALL_KILLS: how often (4). Prints the median and the longest.
 */
#include "test_agent_watch.h"

#define KILLS_MAX 1000u
#define ORDINARY 20u /* changes before each death */
/* The worker is called, is called out of its nap when T is over, once more for its second look; then the program is. */
#define CALLED 4u

struct stall {
	unsigned kills;
	double first_ms[KILLS_MAX], second_ms[KILLS_MAX];
	double ordinary_ms; /* the longest */
	double late_ms;     /* the longest */
	double over_ms;     /* by which a first change took longer than T and what the machine added to it; the most */
	pid_t sleeper;
	struct called {
		atomic_llong late_ns; /* the longest since it was set to 0 */
		atomic_uint times;
	} * called; /* by the sleeper, which shares it */
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* -- a process that only sleeps --------------------------------------------------------------------- */

static _Noreturn void only_sleep(struct called *called)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		int64_t began = now_ns(), late;

		nanosleep(&ms, NULL);
		late = now_ns() - began - ms.tv_nsec;
		if (late > atomic_load(&called->late_ns))
			atomic_store(&called->late_ns, late);
		atomic_fetch_add(&called->times, 1);
	}
}

static void sleeper_start(struct stall *stall)
{
	stall->called = mmap(NULL, sizeof(*stall->called), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(stall->called != MAP_FAILED);
	stall->sleeper = fork();
	if (stall->sleeper == 0)
		only_sleep(stall->called);
	assert_true(stall->sleeper > 0);
}

/* The longest since the last look, that of the sleep under way included. */
static double look_late_ms(struct stall *stall)
{
	unsigned times = atomic_load(&stall->called->times);
	double ms;

	while (atomic_load(&stall->called->times) == times)
		usleep(100);
	ms = (double)atomic_exchange(&stall->called->late_ns, 0) / 1e6;
	stall->late_ms = ms > stall->late_ms ? ms : stall->late_ms;
	return ms;
}

static void sleeper_end(struct stall *stall)
{
	look_late_ms(stall);
	kill(stall->sleeper, SIGKILL);
	waitpid(stall->sleeper, NULL, 0);
	munmap(stall->called, sizeof(*stall->called));
}

/* -- deaths ----------------------------------------------------------------------------------------- */

static double change_ms(const struct pod *pod, const char *name)
{
	int64_t began = now_ns();

	assert_int_equal(chmod(at(pod, B, name), 0600), 0);
	return (double)(now_ns() - began) / 1e6;
}

static void keep(const struct pod *pod, const char *name, unsigned lease_ms)
{
	if (lease_ms)
		warm(pod, name);
	else
		stat_of(at(pod, A, name));
}

static void one_death(struct stall *stall, void **state, unsigned lease_ms, unsigned n)
{
	struct pod *pod = watch_begin(state, lease_ms);
	double over_ms;

	new_names(pod);
	for (unsigned i = 0; i < ORDINARY; i++) {
		double ms = change_ms(pod, "d/f000");

		stall->ordinary_ms = ms > stall->ordinary_ms ? ms : stall->ordinary_ms;
	}
	keep(pod, "d/f", lease_ms);
	keep(pod, "d/f0", lease_ms);
	pod_stop(pod, A, SIGKILL);
	look_late_ms(stall);
	stall->first_ms[n] = change_ms(pod, "d/f");
	over_ms = stall->first_ms[n] - lease_ms - stall->ordinary_ms - CALLED * look_late_ms(stall);
	stall->over_ms = over_ms > stall->over_ms ? over_ms : stall->over_ms;
	stall->second_ms[n] = change_ms(pod, "d/f0");
	pod_destroy(pod);
	memset(pod, 0, sizeof(*pod));
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void judge(const char *what, double *ms, unsigned n, double bound_ms)
{
	qsort(ms, n, sizeof(*ms), by_size);
	print_message("%s: p50 %.1f ms, longest %.1f ms, bound %.1f ms\n", what, ms[n / 2], ms[n - 1], bound_ms);
	if (ms[n - 1] > bound_ms)
		fail_msg("%s took %.1f ms, not %.1f", what, ms[n - 1], bound_ms);
}

static void deaths(void **state, unsigned lease_ms)
{
	static struct stall one;
	struct stall *stall = &one;
	const char *kills = getenv("STALL_KILLS");
	double more_ms;

	if (!pod_possible())
		skip();
	memset(stall, 0, sizeof(*stall));
	stall->kills = kills ? (unsigned)strtoul(kills, NULL, 10) : 4;
	assert_true(stall->kills > 0 && stall->kills <= KILLS_MAX);
	sleeper_start(stall);
	for (unsigned n = 0; n < stall->kills; n++)
		one_death(stall, state, lease_ms, n);
	sleeper_end(stall);
	more_ms = stall->ordinary_ms + CALLED * stall->late_ms;
	print_message("T %u ms, %u deaths; a sleeper was up to %.1f ms late, other changes took up to %.1f ms\n",
		      lease_ms, stall->kills, stall->late_ms, stall->ordinary_ms);
	judge("first change", stall->first_ms, stall->kills, lease_ms + more_ms);
	if (lease_ms && stall->over_ms > 0)
		fail_msg("a first change took %.1f ms longer than T and what the machine added", stall->over_ms);
	judge("second change", stall->second_ms, stall->kills, more_ms);
}

static void test_leases(void **state)
{
	deaths(state, SHORT_MS);
}

static void test_no_leases(void **state)
{
	deaths(state, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_leases, watch_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_no_leases, watch_setup, pod_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
