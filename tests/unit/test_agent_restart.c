/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_restart.c - the mount outlives a restart of the agent's service, and the death of the process that
 * keeps it: programs wait, and go on. A stop for good ends it.
 *
 * The agent is the real program; the service manager is the test's (service_manager.h).
 */
#include "service_manager.h"

#include <stdatomic.h>
#include <sys/mman.h>

#include "manager.h"

struct service {
	struct pod pod;
	struct service_manager sm;
	struct manager manager;
	char config[128];
};

static void configure(const struct service *s, const char *more)
{
	FILE *file = fopen(s->config, "w");

	assert_non_null(file);
	fprintf(file, "pool = %s\nhost = 0\nname = host0\nmount = %s\n", s->pod.pool, s->pod.mount[0]);
	fprintf(file, "machine-id = %s/machine0\nboot-id = %s/boot0\n", s->pod.dir, s->pod.dir);
	fprintf(file, "join-wait = 60\n%s", more);
	assert_int_equal(fclose(file), 0);
}

static int setup(void **state)
{
	struct service *s = calloc(1, sizeof(*s));

	*state = s;
	if (!s || !pod_possible())
		return s ? 0 : -1;
	pod_make(&s->pod);
	pod_identify(&s->pod, 0, 1, 1);
	service_manager_start(&s->sm, &s->pod);
	snprintf(s->config, sizeof(s->config), "%s/conf", s->pod.dir);
	configure(s, "");
	manager_open(&s->manager, s->pod.pool);
	service_manager_run(&s->sm, &s->pod, 0, s->config);
	return 0;
}

static int teardown(void **state)
{
	struct service *s = *state;

	if (s->pod.dir[0]) {
		service_manager_stop(&s->sm); /* first: else its descriptors would keep the mount waiting */
		unlink(s->config);
		daxfs_member_close(s->manager.member);
		pod_destroy(&s->pod);
	}
	free(s);
	return 0;
}

/* -- a program meanwhile ------------------------------------------------------------ */

/* In a process of its own: if the test fails, its end must not wait for what nobody serves any more. */
struct program {
	atomic_uint lines;
	atomic_bool stop;
	atomic_int error;
};

static pid_t program_start(struct service *s, struct program *p, const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	pid_t pid;
	char line[16];

	assert_true(fd >= 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid > 0) {
		close(fd);
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	service_manager_drop(&s->sm, NULL); /* of this process */
	while (!atomic_load(&p->stop) && !atomic_load(&p->error)) {
		snprintf(line, sizeof(line), "%07u\n", atomic_load(&p->lines));
		if (write(fd, line, 8) != 8)
			atomic_store(&p->error, errno);
		atomic_fetch_add(&p->lines, 1);
	}
	_exit(close(fd) != 0);
}

static void await_lines(struct program *p, unsigned more)
{
	unsigned from = atomic_load(&p->lines);

	for (int ms = 0; atomic_load(&p->lines) < from + more && !atomic_load(&p->error); ms++) {
		assert_true(ms < POD_WAIT_MS);
		usleep(1000);
	}
}

static void expect_lines(struct program *p, const char *path)
{
	char line[16] = "", want[16];
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	for (unsigned i = 0; i < atomic_load(&p->lines); i++) {
		snprintf(want, sizeof(want), "%07u\n", i);
		assert_non_null(fgets(line, sizeof(line), file));
		assert_string_equal(line, want);
	}
	assert_null(fgets(line, sizeof(line), file));
	fclose(file);
}

/* Another supervisor, with what is kept, while a program writes to a file that is open all the time. */
static void go_on_by(struct service *s, void (*end)(struct service *))
{
	struct program *p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const char *path = at(&s->pod, 0, "log");
	uint32_t generation = manager_see(&s->manager, 0).generation;
	pid_t program;

	assert_true(p != MAP_FAILED);
	program = program_start(s, p, path);
	for (unsigned i = 0; i < 3; i++) {
		await_lines(p, 10);
		end(s);
		assert_true(pod_mounted(&s->pod, 0));
		service_manager_run(&s->sm, &s->pod, 0, s->config);
	}
	await_lines(p, 10);
	atomic_store(&p->stop, true);
	assert_int_equal(pod_reap(program), 0);
	assert_int_equal(atomic_load(&p->error), 0);
	expect_lines(p, path);
	assert_int_equal(manager_see(&s->manager, 0).generation, generation);
	assert_int_equal(manager_see(&s->manager, 0).state, DAXFS_HOST_ALIVE);
	munmap(p, sizeof(*p));
}

static void stop_for_good(struct service *s)
{
	s->sm.job = "stop";
	assert_int_equal(pod_stop(&s->pod, 0, SIGTERM), AGENT_EXIT_OK);
	assert_false(pod_mounted(&s->pod, 0));
	assert_int_equal(manager_see(&s->manager, 0).state, DAXFS_HOST_FREE);
	service_manager_hear_all(&s->sm, &s->pod);
	assert_int_equal(s->sm.n, 0); /* nothing for the next one */
}

/* -- what it is about ---------------------------------------------------------------- */

static void restart(struct service *s)
{
	s->sm.job = "restart";
	assert_int_equal(pod_stop(&s->pod, 0, SIGTERM), AGENT_EXIT_OK);
	s->sm.job = NULL;
}

static void test_restart(void **state)
{
	if (!pod_possible())
		skip();
	go_on_by(*state, restart);
	stop_for_good(*state);
}

static void die(struct service *s)
{
	assert_int_equal(pod_stop(&s->pod, 0, SIGKILL), -SIGKILL);
}

static void test_death_of_the_keeper(void **state)
{
	if (!pod_possible())
		skip();
	go_on_by(*state, die);
	stop_for_good(*state);
}

static void await_food(struct service *s)
{
	unsigned enough = s->sm.fed + 3;

	for (int ms = 0; s->sm.fed < enough; ms += 10) {
		assert_true(ms < POD_WAIT_MS);
		service_manager_hear_all(&s->sm, &s->pod);
		usleep(10000);
	}
}

/* The manager's watchdog is of the process that was started, and it is another one that knows whether it beats. */
static void test_watchdog_is_fed(void **state)
{
	struct service *s = *state;

	if (!pod_possible())
		skip();
	await_food(s);
	restart(s);
	service_manager_run(&s->sm, &s->pod, 0, s->config);
	await_food(s);
	stop_for_good(s);
}

static void test_stop_by_signal(void **state)
{
	struct service *s = *state;

	if (!pod_possible())
		skip();
	assert_int_equal(pod_stop(&s->pod, 0, SIGTERM), AGENT_EXIT_OK); /* the manager has no job for it */
	assert_false(pod_mounted(&s->pod, 0));
	assert_int_equal(manager_see(&s->manager, 0).state, DAXFS_HOST_FREE);
}

static void test_other_settings_mount_anew(void **state)
{
	struct service *s = *state;
	int fd;

	if (!pod_possible())
		skip();
	put(at(&s->pod, 0, "file"), "there");
	configure(s, "threads = 3\n"); /* not the mount's business */
	restart(s);
	assert_true(pod_mounted(&s->pod, 0));
	service_manager_run(&s->sm, &s->pod, 0, s->config);
	configure(s, "threads = 3\noptions = ro\n");
	restart(s);
	assert_false(pod_mounted(&s->pod, 0));
	service_manager_hear_all(&s->sm, &s->pod);
	assert_int_equal(s->sm.n, 0);
	service_manager_run(&s->sm, &s->pod, 0, s->config);
	expect_text(at(&s->pod, 0, "file"), "there");
	expect_error(open(at(&s->pod, 0, "file"), O_WRONLY), EROFS);
	configure(s, "threads = 3\n"); /* and with nobody there to unmount it properly */
	fd = open(at(&s->pod, 0, "file"), O_RDONLY);
	die(s);
	service_manager_run(&s->sm, &s->pod, 0, s->config);
	assert_true(pod_log_says(&s->pod, 0, "have changed: mounting it anew"));
	put(at(&s->pod, 0, "file"), "changed");
	close(fd);
	stop_for_good(s);
}

static void test_reload_with_other_settings(void **state)
{
	struct service *s = *state;
	pid_t server;

	if (!pod_possible())
		skip();
	server = pod_server(&s->pod, 0);
	configure(s, "options = ro\n");
	assert_int_equal(kill(s->pod.agent[0], SIGHUP), 0);
	for (int ms = 0; !pod_log_says(&s->pod, 0, "going on as before"); ms++) {
		assert_true(ms < POD_WAIT_MS);
		usleep(1000);
	}
	assert_int_equal(pod_server(&s->pod, 0), server);
	stop_for_good(s);
}

static void test_part_of_it_is_missing(void **state)
{
	struct service *s = *state;

	if (!pod_possible())
		skip();
	put(at(&s->pod, 0, "file"), "there");
	die(s);
	service_manager_drop(&s->sm, "daxfs-doors");
	service_manager_run(&s->sm, &s->pod, 0, s->config);
	assert_true(pod_log_says(&s->pod, 0, "some of it is missing"));
	expect_text(at(&s->pod, 0, "file"), "there");
	stop_for_good(s);
}

/* The next life begins when the former one is over, and with it all that it stores. */
static void test_one_serves_at_a_time(void **state)
{
	struct daxfs_error err;
	struct estate e;
	atomic_uint *over = mmap(NULL, sizeof(*over), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int ready[2];
	char byte;

	(void)state;
	if (!pod_possible())
		skip();
	assert_true(over != MAP_FAILED && pipe(ready) == 0);
	assert_int_equal(estate_create(&e, &err), 0);
	if (fork() == 0) {
		if (estate_enter(&e) == 0 && write(ready[1], "x", 1) == 1)
			usleep(200000);
		atomic_store(over, 1);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(estate_enter(&e), 0);
	assert_int_equal(atomic_load(over), 1);
	assert_true(wait(NULL) > 0);
	estate_close(&e);
	munmap(over, sizeof(*over));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_death_of_the_keeper, setup, teardown),
		cmocka_unit_test_setup_teardown(test_watchdog_is_fed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stop_by_signal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_settings_mount_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reload_with_other_settings, setup, teardown),
		cmocka_unit_test_setup_teardown(test_part_of_it_is_missing, setup, teardown),
		cmocka_unit_test(test_one_serves_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
