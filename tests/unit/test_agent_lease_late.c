/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_lease_late.c - an answer about a directory that a thread takes when others have found that once more.
 *
 * What a thread is told it takes when it runs: here its processor is kept busy (agent_late.h).
 */
#include "test_agent_watch.h"

#include "agent_late.h"

#include <dirent.h>

struct late {
	const struct pod *pod;
	pthread_t asker;
	struct hog hog;
};

static void *ask_late(void *context)
{
	const struct late *l = context;

	run_on(LATE_CPU);
	stat_of(at(l->pod, A, "d"));
	return NULL;
}

/* From here until late_end() the answer to a lookup of "d" has been given, and is not taken. */
static void late_begin(struct late *l)
{
	watch_hold(FUSE_LOOKUP);
	assert_int_equal(pthread_create(&l->asker, NULL, ask_late, l), 0);
	watch_wait_held();
	hog_begin(&l->hog);
	watch_release();
}

/* False: it has not been late. */
static bool late_end(struct late *l)
{
	bool was_late = hog_end(&l->hog);

	pthread_join(l->asker, NULL);
	return was_late;
}

/* "d" was looked up without a lease when it is looked up with one; then, once that is recalled, without one again. */
static void looked_up_late(void **state, void (*again)(const struct pod *pod))
{
	struct late late = { 0 };
	struct pod *pod;

	if (!late_possible())
		skip();
	late.pod = pod = watch_begin(state, LONG_MS);
	assert_int_equal(mkdir(at(pod, B, "d"), 0755), 0);
	recall_often(pod, ".");
	stat_of(at(pod, A, "d"));
	warm(pod, "none");
	late_begin(&late);
	put(at(pod, B, "f"), "");
	again(pod);
	if (!late_end(&late))
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
