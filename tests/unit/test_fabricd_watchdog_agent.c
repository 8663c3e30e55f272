/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_fabricd_watchdog_agent.c - deploy/fence_daxfs_watchdog under fabricd, on a real pool: a dead host is FENCED
 * when it has been waited for, and no sooner; without a time to wait for never.
 *
 * The sleep that the agent finds is this test's: it ends when it is told to. The agent itself: tests/fence/run.
 */
#include <limits.h>

#include "fabricd_real.h"

#define BOTH 3u

struct scene {
	struct real r;
	char sleep[96], slept[96], over[96], mark[96];
};

static void begin(struct scene *s, const char *dead_after)
{
	static const char here[] = __FILE__;
	char text[400], path[4096];
	struct daxfs_error err = { "" };

	real_start(&s->r);
	snprintf(s->sleep, sizeof(s->sleep), "%s/sleep", s->r.dir);
	snprintf(s->slept, sizeof(s->slept), "%s/slept", s->r.dir);
	snprintf(s->over, sizeof(s->over), "%s/over", s->r.dir);
	snprintf(s->mark, sizeof(s->mark), "%s/watchdog-host1", s->r.dir);
	snprintf(text, sizeof(text), "#!/bin/sh\necho $1 >%s\nuntil [ -e %s ]; do /bin/sleep 0.01; done\n", s->slept,
		 s->over);
	real_write(s->sleep, text, 0700);
	snprintf(path, sizeof(path), "%s:%s", s->r.dir, "/usr/sbin:/usr/bin:/sbin:/bin");
	setenv("PATH", path, 1);
	if (!realpath(here, path))
		fail_msg("%s is not there: tests run in the source tree", here);
	*strstr(path, "/tests/unit/") = '\0';
	snprintf(s->r.options.fence[0].agent, sizeof(s->r.options.fence[0].agent),
		 "%.1000s/deploy/fence_daxfs_watchdog", path);
	snprintf(text, sizeof(text), "fence-option = state_dir=%s", s->r.dir);
	assert_int_equal(options_line(&s->r.options, text, &err), 0);
	if (dead_after)
		assert_int_equal(options_line(&s->r.options, dead_after, &err), 0);
	for (unsigned i = 0; i < 2; i++)
		real_join(&s->r, i);
	real_polls(&s->r, TIMING_MANAGER_POLLS + TIMING_WINDOW_POLLS + 2, BOTH);
}

static void end(struct scene *s)
{
	unlink(s->sleep);
	unlink(s->slept);
	unlink(s->over);
	unlink(s->mark);
	real_stop(&s->r);
}

/* Agents go on between polls, whether or not they end. */
static void polls(struct scene *s, unsigned n)
{
	while (n--) {
		real_polls(&s->r, 1, 1);
		ev_run(s->r.loop, EVRUN_NOWAIT);
	}
}

static void until(struct scene *s, enum daxfs_host_state state)
{
	for (unsigned i = 0; real_view(&s->r, 1).state != state; i++) {
		assert_true(i < 100);
		polls(s, 1);
		real_agents(&s->r);
	}
}

static void is_waiting(struct scene *s, const char *seconds)
{
	char said[32] = "";
	FILE *file;

	for (unsigned i = 0; access(s->slept, F_OK); i++) {
		assert_true(i < 60000);
		usleep(10000);
	}
	while (!said[0]) {
		file = fopen(s->slept, "r");
		assert_non_null(file);
		if (!fgets(said, sizeof(said), file))
			said[0] = '\0';
		fclose(file);
	}
	assert_string_equal(said, seconds);
}

static void a_host_is_waited_for(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, "fence-host = host1 dead_after=240");
	for (unsigned i = 0; real_view(&s.r, 1).state != DAXFS_HOST_FENCING; i++) {
		assert_true(i < 100);
		polls(&s, 1);
	}
	polls(&s, 2);
	is_waiting(&s, "240\n");
	polls(&s, 50);
	assert_int_equal(real_view(&s.r, 1).state, DAXFS_HOST_FENCING);
	assert_non_null(s.r.agents.first);
	real_write(s.over, "", 0600);
	until(&s, DAXFS_HOST_RECOVERING); /* which comes behind FENCED */
	assert_int_equal(access(s.mark, F_OK), 0);
	end(&s);
}

static void no_time_is_no_proof(void **state)
{
	struct scene s;

	(void)state;
	begin(&s, NULL);
	until(&s, DAXFS_HOST_FENCING);
	for (unsigned i = 0; i < 50; i++) {
		polls(&s, 1);
		real_agents(&s.r);
	}
	assert_int_equal(real_view(&s.r, 1).state, DAXFS_HOST_FENCING);
	assert_non_null(strstr(s.r.agents.said[1], "set dead_after"));
	assert_int_not_equal(access(s.slept, F_OK), 0);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_host_is_waited_for),
		cmocka_unit_test(no_time_is_no_proof),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
