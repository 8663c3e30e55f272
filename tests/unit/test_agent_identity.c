/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_identity.c - machines, boots and processes of real agents: who comes back
 * without anybody's help, and who is refused. No fabricd runs here.
 */
#include "test_agent_pod.h"

static struct daxfs_host_view see(const struct pod *pod, unsigned host)
{
	struct daxfs_host_view view;
	struct daxfs_member *m;
	struct daxfs_error err;

	assert_int_equal(daxfs_member_open(pod->pool, false, &m, &err), 0);
	assert_int_equal(daxfs_member_host(m, host, &view), 0);
	daxfs_member_close(m);
	return view;
}

static void start_patient(struct pod *pod, int host)
{
	struct config config;

	pod_config(pod, host, &config);
	config.join_wait_s = POD_WAIT_MS / 1000;
	pod->agent[host] = pod_spawn(pod, &config, host);
}

static void write_file(const struct pod *pod, int host, const char *name)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", pod->mount[host], name);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, name, strlen(name)), strlen(name));
	close(fd);
}

/* The agent alone is killed: its successor, on the same boot, needs nobody's word for it. */
static void a_killed_agent_comes_back(void **state)
{
	struct pod *pod = *state;
	uint32_t generation;

	if (!pod_possible())
		skip();
	for (int i = 0; i < 2; i++) {
		pod_identify(pod, i, 10 + i, 1);
		pod_start(pod, i);
	}
	write_file(pod, 0, "kept");
	generation = see(pod, 0).generation;
	assert_int_equal(pod_stop(pod, 0, SIGKILL), -SIGKILL);
	assert_int_equal(see(pod, 0).state, DAXFS_HOST_ALIVE); /* nobody has judged it */
	start_patient(pod, 0);
	pod_wait_ready(pod, 0);
	assert_int_equal(see(pod, 0).generation, generation + 1);
	assert_int_equal(see(pod, 1).state, DAXFS_HOST_ALIVE);
	expect_text(at(pod, 0, "kept"), "kept");
	assert_int_equal(pod_stop(pod, 0, SIGTERM), AGENT_EXIT_OK);
	assert_int_equal(pod_stop(pod, 1, SIGTERM), AGENT_EXIT_OK);
}

/* All lose power, with files open, and boot again; the memory lives. Nobody manages, and all come back. */
static void all_machines_reboot(void **state)
{
	struct pod *pod = *state;

	if (!pod_possible())
		skip();
	for (int i = 0; i < POD_HOSTS; i++) {
		pod_identify(pod, i, 10 + i, 1);
		pod_start(pod, i);
	}
	write_file(pod, 0, "a");
	write_file(pod, 2, "b");
	for (unsigned boot = 2; boot < 4; boot++) {
		for (int i = 0; i < POD_HOSTS; i++)
			assert_int_equal(pod_stop(pod, i, SIGKILL), -SIGKILL);
		for (int i = 0; i < POD_HOSTS; i++) {
			pod_identify(pod, i, 10 + i, boot);
			start_patient(pod, i);
		}
		pod_wait_all_ready(pod, POD_HOSTS);
		for (int i = 0; i < POD_HOSTS; i++) {
			assert_int_equal(see(pod, i).state, DAXFS_HOST_ALIVE);
			expect_text(at(pod, i, "a"), "a");
			expect_text(at(pod, i, "b"), "b");
		}
	}
	for (int i = 0; i < POD_HOSTS; i++)
		assert_int_equal(pod_stop(pod, i, SIGTERM), AGENT_EXIT_OK);
}

/* Another machine cannot tell: the slot stays as it is. */
static void another_machine_cannot_tell(void **state)
{
	struct pod *pod = *state;
	struct config config;

	if (!pod_possible())
		skip();
	pod_identify(pod, 0, 10, 1);
	pod_start(pod, 0);
	assert_int_equal(pod_stop(pod, 0, SIGKILL), -SIGKILL);
	pod_identify(pod, 0, 11, 1);
	pod_config(pod, 0, &config);
	pod_refused(pod, &config, AGENT_EXIT_BUSY, "another agent has this id");
	assert_int_equal(see(pod, 0).state, DAXFS_HOST_ALIVE);
}

static void a_clone_is_refused(void **state)
{
	struct pod *pod = *state;
	struct config config;

	if (!pod_possible())
		skip();
	pod_identify(pod, 0, 10, 1);
	pod_start(pod, 0);
	pod_identify(pod, 1, 10, 2);
	pod_config(pod, 1, &config);
	config.join_wait_s = 2;
	pod_refused(pod, &config, AGENT_EXIT_USAGE, "cloned");
	assert_int_equal(see(pod, 0).state, DAXFS_HOST_ALIVE);
	assert_int_equal(see(pod, 1).state, DAXFS_HOST_FREE);
	assert_int_equal(pod_stop(pod, 0, SIGTERM), AGENT_EXIT_OK);
}

static void a_name_that_is_taken_is_refused(void **state)
{
	struct pod *pod = *state;
	struct config config;

	if (!pod_possible())
		skip();
	pod_start(pod, 0);
	pod_config(pod, 1, &config);
	strcpy(config.name, "host0");
	pod_refused(pod, &config, AGENT_EXIT_USAGE, "host 0 has the name host0");
	assert_int_equal(see(pod, 1).state, DAXFS_HOST_FREE);
	assert_int_equal(pod_stop(pod, 0, SIGTERM), AGENT_EXIT_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_killed_agent_comes_back, pod_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(all_machines_reboot, pod_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(another_machine_cannot_tell, pod_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(a_clone_is_refused, pod_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(a_name_that_is_taken_is_refused, pod_setup, pod_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
