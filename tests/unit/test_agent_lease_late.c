/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_lease_late.c - an answer about a directory that a thread takes when others have found that once more.
 *
 * What a thread is told it takes when it runs: here its processor is kept busy by a program that goes first. It
 * needs two processors, and the right to have such a program; all else is on the first one.
 */
#include "test_agent_watch.h"

#include <dirent.h>
#include <pthread.h>

struct late {
	const struct pod *pod;
	int cpu;
	bool refused;
	atomic_bool busy, stop;
	pthread_t asker, hog;
};

static bool run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0;
}

static void *hog_main(void *context)
{
	struct late *l = context;

	l->refused = !run_on(l->cpu) || sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ 1 }) != 0;
	atomic_store(&l->busy, true);
	while (!l->refused && !atomic_load(&l->stop))
		;
	return NULL;
}

static void *ask_late(void *context)
{
	const struct late *l = context;

	run_on(l->cpu);
	stat_of(at(l->pod, A, "d"));
	return NULL;
}

/* From here until late_end() the answer to a lookup of "d" has been given, and is not taken. */
static void late_begin(struct late *l)
{
	watch_hold(FUSE_LOOKUP);
	assert_int_equal(pthread_create(&l->asker, NULL, ask_late, l), 0);
	watch_wait_held();
	assert_int_equal(pthread_create(&l->hog, NULL, hog_main, l), 0);
	while (!atomic_load(&l->busy))
		sched_yield();
	watch_release();
}

static void late_end(struct late *l)
{
	atomic_store(&l->stop, true);
	pthread_join(l->hog, NULL);
	pthread_join(l->asker, NULL);
}

/* "d" was looked up without a lease when it is looked up with one; then, once that is recalled, without one again. */
static void looked_up_late(void **state, void (*again)(const struct pod *pod))
{
	struct late late = { .cpu = 1 };
	struct pod *pod;

	if (!run_on(0) || !run_on(1) || !run_on(0))
		skip();
	late.pod = pod = watch_begin(state, LONG_MS);
	assert_int_equal(mkdir(at(pod, B, "d"), 0755), 0);
	recall_often(pod, ".");
	stat_of(at(pod, A, "d"));
	warm(pod, "none");
	late_begin(&late);
	put(at(pod, B, "f"), "");
	again(pod);
	late_end(&late);
	if (late.refused)
		skip();
	assert_int_equal(rename(at(pod, B, "d"), at(pod, B, "e")), 0);
	expect_gone(pod, A, "d");
}

static void look_again(const struct pod *pod)
{
	stat_of(at(pod, A, "d"));
}

static void list_again(const struct pod *pod)
{
	DIR *dir = opendir(at(pod, A, "."));

	while (readdir(dir))
		;
	closedir(dir);
}

static void test_directory_taken_late(void **state)
{
	looked_up_late(state, look_again);
}

static void test_listed_directory_taken_late(void **state)
{
	looked_up_late(state, list_again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_directory_taken_late, watch_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_listed_directory_taken_late, watch_setup, pod_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
