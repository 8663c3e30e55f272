/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_life.c - the agent's life: every way in and every way out, on real
 * mounts. The test plays fabricd where one is needed (daxfs/member.h).
 */
#include "manager.h"
#include "test_agent_pod.h"

static void sleep_ms(long ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static void manager_await(struct manager *m, unsigned host, enum daxfs_host_state state)
{
	for (int ms = 0; ms < POD_WAIT_MS; ms += 10) {
		if (manager_see(m, host).state == state)
			return;
		sleep_ms(10);
	}
	fail_msg("host %u is %s, not %s", host, daxfs_host_state_name(manager_see(m, host).state),
		 daxfs_host_state_name(state));
}

/* -- in and out ------------------------------------------------------------------ */

static void test_clean_stop(void **state)
{
	struct pod *pod = *state;
	struct manager m;

	if (!pod_possible())
		skip();
	manager_open(&m, pod->pool);
	pod_start(pod, 0);
	assert_true(pod_mounted(pod, 0));
	assert_int_equal(manager_see(&m, 0).state, DAXFS_HOST_ALIVE);
	assert_string_equal(manager_see(&m, 0).name, "host0");
	assert_int_equal(pod_stop(pod, 0, SIGTERM), AGENT_EXIT_OK);
	assert_false(pod_mounted(pod, 0));
	assert_int_equal(manager_see(&m, 0).state, DAXFS_HOST_FREE);
	assert_true(pod_log_says(pod, 0, "left pool pod"));
	daxfs_member_close(m.member);
}

static void test_stop_while_in_use(void **state)
{
	struct pod *pod = *state;
	char path[128];
	int fd;

	if (!pod_possible())
		skip();
	pod_start(pod, 0);
	snprintf(path, sizeof(path), "%s/open", pod->mount[0]);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(pod_stop(pod, 0, SIGINT), AGENT_EXIT_OK);
	assert_false(pod_mounted(pod, 0));
	assert_int_equal(write(fd, "x", 1), -1);
	close(fd);
	pod_start(pod, 0); /* the slot is free, the file is there */
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(pod_stop(pod, 0, SIGTERM), AGENT_EXIT_OK);
}

static void test_unmounted_by_hand(void **state)
{
	struct pod *pod = *state;
	pid_t pid;

	if (!pod_possible())
		skip();
	pod_start(pod, 0);
	pid = pod->agent[0];
	pod->agent[0] = 0;
	assert_int_equal(umount2(pod->mount[0], 0), 0);
	assert_int_equal(pod_end(pod, pid), AGENT_EXIT_OK);
	assert_true(pod_log_says(pod, 0, "was unmounted"));
	assert_true(pod_log_says(pod, 0, "left pool"));
}

static void test_heart_beats(void **state)
{
	struct pod *pod = *state;
	struct manager m;
	uint64_t before;

	if (!pod_possible())
		skip();
	manager_open(&m, pod->pool);
	pod_start(pod, 0);
	before = manager_see(&m, 0).beat;
	for (int ms = 0; manager_see(&m, 0).beat < before + 10; ms += 10) {
		assert_true(ms < POD_WAIT_MS);
		sleep_ms(10);
	}
	assert_int_equal(pod_stop(pod, 0, SIGTERM), AGENT_EXIT_OK);
	daxfs_member_close(m.member);
}

/* -- refusals: one line, the right status, nothing joined or mounted --------------- */

static void test_second_agent(void **state)
{
	struct pod *pod = *state;
	struct config config;

	if (!pod_possible())
		skip();
	pod_start(pod, 0);
	pod_config(pod, 1, &config);
	config.host = 0;
	pod_refused(pod, &config, AGENT_EXIT_BUSY, "another agent has this id");
	assert_false(pod_mounted(pod, 1));
	pod_config(pod, 0, &config);
	config.host = 1;
	pod_refused(pod, &config, AGENT_EXIT_MOUNT, "something is mounted there");
	pod_start(pod, 1); /* nobody joined as host 1 meanwhile */
	assert_int_equal(pod_stop(pod, 1, SIGTERM), AGENT_EXIT_OK);
	assert_int_equal(pod_stop(pod, 0, SIGTERM), AGENT_EXIT_OK);
}

static void test_bad_pools_and_hosts(void **state)
{
	struct pod *pod = *state;
	struct config config;

	if (!pod_possible())
		skip();
	pod_config(pod, 0, &config);
	config.host = 4;
	pod_refused(pod, &config, AGENT_EXIT_USAGE, "no host 4: give 0 to 2");
	config.host = 3;
	pod_refused(pod, &config, AGENT_EXIT_USAGE, "host 3 is the spare slot");
	config.host = 0;
	strcpy(config.pool, "/dev/shm/test_agent_none");
	pod_refused(pod, &config, AGENT_EXIT_POOL, "/dev/shm/test_agent_none");
	strcpy(config.pool, "/proc/version");
	pod_refused(pod, &config, AGENT_EXIT_POOL, "/proc/version");
	strcpy(config.pool, pod->pool);
	config.pool_uuid.given = true; /* all zeros: no pool has that */
	pod_refused(pod, &config, AGENT_EXIT_POOL, "not 00000000-0000-0000-0000-000000000000 as pool-uuid says");
	config.pool_uuid.given = false;
	strcpy(config.mount, "/dev/shm/test_agent_none");
	pod_refused(pod, &config, AGENT_EXIT_MOUNT, "does not exist");
	assert_false(pod_mounted(pod, 0));
}

static void test_truncated_pool(void **state)
{
	struct pod *pod = *state;
	struct config config;

	if (!pod_possible())
		skip();
	assert_int_equal(truncate(pod->pool, POD_BYTES / 2), 0);
	pod_config(pod, 0, &config);
	pod_refused(pod, &config, AGENT_EXIT_POOL, "pool");
	assert_false(pod_mounted(pod, 0));
}

/* -- death ------------------------------------------------------------------------ */

static void test_declared_dead(void **state)
{
	struct pod *pod = *state;
	struct manager m;
	uint64_t beat;
	pid_t pid;

	if (!pod_possible())
		skip();
	manager_open(&m, pod->pool);
	pod_start(pod, 0);
	pid = pod->agent[0];
	pod->agent[0] = 0;
	manager_move(&m, 0, DAXFS_HOST_SUSPECT, -1);
	manager_move(&m, 0, DAXFS_HOST_FENCING, -1);
	assert_int_equal(pod_end(pod, pid), AGENT_EXIT_DEAD);
	assert_false(pod_mounted(pod, 0));
	assert_true(pod_log_says(pod, 0, "declared dead"));
	beat = manager_see(&m, 0).beat;
	manager_move(&m, 0, DAXFS_HOST_FENCED, -1);
	assert_true(manager_see(&m, 0).beat == beat);
	daxfs_member_close(m.member);
}

static void await_disconnected(const struct pod *pod, int host)
{
	struct stat st;

	for (int ms = 0; stat(pod->mount[host], &st) == 0 || errno != ENOTCONN; ms++) {
		assert_true(ms < POD_WAIT_MS); /* the process that serves is killed with its parent, a moment later */
		sleep_ms(1);
	}
}

/*
 * Host 0 is killed with a file open. Its mount is dead; an agent that wants its
 * slot waits, detaches the dead mount, and joins once host 1 has recovered it.
 */
static void test_killed_and_recovered(void **state)
{
	struct pod *pod = *state;
	struct config config;
	struct manager m;
	char path[128];
	uint32_t generation;
	int fd;

	if (!pod_possible())
		skip();
	manager_open(&m, pod->pool);
	pod_start(pod, 0);
	pod_start(pod, 1);
	generation = manager_see(&m, 0).generation;
	snprintf(path, sizeof(path), "%s/victim", pod->mount[0]);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_int_equal(write(fd, "kept", 4), 4);
	assert_int_equal(pod_stop(pod, 0, SIGKILL), -SIGKILL);
	close(fd);
	await_disconnected(pod, 0);

	pod_config(pod, 0, &config);
	pod_refused(pod, &config, AGENT_EXIT_BUSY, "detached a dead mount");
	config.join_wait_s = POD_WAIT_MS / 1000;
	pod->agent[0] = pod_spawn(pod, &config, 0);
	manager_fence(&m, 0);
	manager_move(&m, 0, DAXFS_HOST_RECOVERING, 1);
	pod_wait_ready(pod, 0);
	assert_true(pod_log_says(pod, 1, "recovered host 0"));
	assert_int_equal(manager_see(&m, 0).generation, generation + 1);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, path, 8), 4);
	close(fd);
	assert_int_equal(pod_stop(pod, 0, SIGTERM), AGENT_EXIT_OK);
	assert_int_equal(pod_stop(pod, 1, SIGTERM), AGENT_EXIT_OK);
	manager_await(&m, 0, DAXFS_HOST_FREE);
	daxfs_member_close(m.member);
}

/* SIGSTOP, declared dead, SIGCONT: it notices before it does anything else. */
static void test_stopped_then_dead(void **state)
{
	struct pod *pod = *state;
	struct manager m;
	uint64_t beat;
	pid_t pid, server;

	if (!pod_possible())
		skip();
	manager_open(&m, pod->pool);
	pod_start(pod, 0);
	pid = pod->agent[0];
	server = pod_server(pod, 0);
	pod->agent[0] = 0;
	pod_freeze(server);
	do {
		beat = manager_see(&m, 0).beat;
		sleep_ms(200);
	} while (manager_see(&m, 0).beat != beat); /* it has stopped */
	manager_fence(&m, 0);
	kill(server, SIGCONT);
	assert_int_equal(pod_end(pod, pid), AGENT_EXIT_DEAD);
	assert_int_equal(manager_see(&m, 0).state, DAXFS_HOST_FENCED);
	assert_false(pod_mounted(pod, 0));
	daxfs_member_close(m.member);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_clean_stop, pod_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_stop_while_in_use, pod_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_unmounted_by_hand, pod_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_heart_beats, pod_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_second_agent, pod_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_bad_pools_and_hosts, pod_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_truncated_pool, pod_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_declared_dead, pod_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_killed_and_recovered, pod_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_stopped_then_dead, pod_setup, pod_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
