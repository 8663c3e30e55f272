/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_lease_end.c - hosts that keep something, and end, or stop: others wait for lease_ms, and nobody is told
 * what is old.
 */
#include "test_agent_watch.h"

/* The next process answers for nothing that the former one has granted until that has run out. */
static void test_agent_killed(void **state)
{
	struct pod *pod = watch_begin(state, SHORT_MS);

	new_names(pod);
	warm(pod, "d/f");
	kill(pod_server(pod, A), SIGKILL);
	assert_int_equal(chmod(at(pod, B, "d/f"), 0600), 0);
	assert_int_equal(stat_of(at(pod, A, "d/f")).st_mode & 0777, 0600);
	warm(pod, "d/f");
	assert_int_equal(unlink(at(pod, B, "d/f")), 0);
	expect_gone(pod, A, "d/f");
}

/* A host that dies is waited for until it cannot believe anything any more. */
static void test_host_killed(void **state)
{
	struct pod *pod = watch_begin(state, SHORT_MS);

	new_names(pod);
	warm(pod, "d/f");
	pod_stop(pod, A, SIGKILL);
	assert_int_equal(unlink(at(pod, B, "d/f")), 0);
}

/* One that is stopped, too, and when it goes on it has forgotten. */
static void test_host_stopped(void **state)
{
	struct pod *pod = watch_begin(state, SHORT_MS);
	pid_t server;

	new_names(pod);
	warm(pod, "d/f");
	server = pod_server(pod, A);
	pod_freeze(server);
	assert_int_equal(unlink(at(pod, B, "d/f")), 0);
	kill(server, SIGCONT);
	expect_gone(pod, A, "d/f");
	put(at(pod, B, "d/f"), "again");
	assert_int_equal(stat_of(at(pod, A, "d/f")).st_size, 5);
	warm(pod, "d/f");
}

static void test_left(void **state)
{
	struct pod *pod = watch_begin(state, LONG_MS);

	new_names(pod);
	warm(pod, "d/f");
	assert_int_equal(pod_stop(pod, A, SIGTERM), AGENT_EXIT_OK);
	assert_int_equal(unlink(at(pod, B, "d/f")), 0); /* at once: it has let go */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, watch_setup, pod_teardown)
		TEST(test_agent_killed),
		TEST(test_host_killed),
		TEST(test_host_stopped),
		TEST(test_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
