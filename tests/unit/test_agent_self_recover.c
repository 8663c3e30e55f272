/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_self_recover.c - a host comes back under its old id when nobody is left
 * to recover it (node-agent/self_recover.c). A child joins and dies in a file; the
 * test says what fabricd would. No root, no mount.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "daxfs/inspect.h"
#include "daxfs/member.h"
#include "node-agent/self_recover.h"

#define HOSTS 3

struct fixture {
	char path[64];
	struct daxfs *fs;
	struct daxfs_member *m;
	uint32_t epoch;
	struct recover recover;
	struct self_recover standin;
};

/* Joins as host, holds a file, dies. */
static void live_and_die(const char *path, unsigned host)
{
	struct daxfs_cred root = { 0, 0 };
	struct daxfs_attr attr;
	struct daxfs_error err;
	struct daxfs *fs;
	char name[24];
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		snprintf(name, sizeof(name), "file%d", (int)getpid());
		_exit(daxfs_open(path, DAXFS_READ_WRITE, &fs, &err) || daxfs_join(fs, host, NULL, &err) ||
		      daxfs_mknod(fs, DAXFS_ROOT, name, 0100644, 0, root, true, &attr));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void fixture_start(struct fixture *s)
{
	struct daxfs_mkfs_options options = {
		.struct_size = sizeof(options), .size = 16 << 20, .hosts = HOSTS, .force = true
	};
	struct daxfs_manager_view manager;
	struct daxfs_error err;
	int fd;

	snprintf(s->path, sizeof(s->path), "/dev/shm/daxfs-standin.XXXXXX");
	fd = mkstemp(s->path);
	assert_true(fd >= 0);
	close(fd);
	if (daxfs_mkfs(s->path, &options, &err) || daxfs_open(s->path, DAXFS_READ_WRITE, &s->fs, &err) ||
	    daxfs_member_open(s->path, true, &s->m, &err))
		fail_msg("%s", err.text);
	daxfs_member_manager(s->m, &manager);
	assert_int_equal(daxfs_member_claim(s->m, &manager, &s->epoch), 0);
	s->recover = (struct recover){ .fs = s->fs, .own = -1 };
	s->standin = (struct self_recover){
		.fs = s->fs, .pool = s->path, .name = "host", .recover = &s->recover, .host = 0, .hosts = HOSTS
	};
}

static void fixture_stop(struct fixture *s)
{
	struct daxfs_check check;

	assert_int_equal(daxfs_check(s->fs, NULL, NULL, &check), 0);
	assert_int_equal(check.problems, 0);
	daxfs_member_close(s->m);
	daxfs_close(s->fs);
	unlink(s->path);
}

static enum daxfs_host_state state_of(struct fixture *s, unsigned host)
{
	struct daxfs_host_view view;

	assert_int_equal(daxfs_member_host(s->m, host, &view), 0);
	return view.state;
}

static void move(struct fixture *s, unsigned host, enum daxfs_host_state to, int recoverer)
{
	struct daxfs_host_view view;

	assert_int_equal(daxfs_member_host(s->m, host, &view), 0);
	assert_int_equal(daxfs_member_move(s->m, &view, to, recoverer, s->epoch, DAXFS_REASON_BEAT_LOST, 1), 0);
}

static void fence(struct fixture *s, unsigned host)
{
	move(s, host, DAXFS_HOST_SUSPECT, -1);
	move(s, host, DAXFS_HOST_FENCING, -1);
	move(s, host, DAXFS_HOST_FENCED, -1);
}

static void assert_comes_back(struct fixture *s)
{
	struct daxfs_error err;
	unsigned steps = 0;

	while (self_recover_step(&s->standin))
		assert_true(++steps < 10);
	assert_false(s->standin.joined);
	if (daxfs_join(s->fs, 0, "host", &err))
		fail_msg("%s", err.text);
	assert_int_equal(daxfs_leave(s->fs), 0);
}

static void recovers_its_own_slot_when_alone(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s);
	live_and_die(s.path, 0);
	live_and_die(s.path, 1);
	assert_false(self_recover_step(&s.standin)); /* not yet fenced: it may live */
	fence(&s, 0);
	assert_false(self_recover_step(&s.standin)); /* the other may live, and would do it */
	fence(&s, 1);
	assert_comes_back(&s);
	assert_int_equal(state_of(&s, 1), DAXFS_HOST_FENCED); /* its own agent's, or for fabricd to assign */
	s.standin.host = 1;
	while (self_recover_step(&s.standin))
		;
	assert_int_equal(state_of(&s, 1), DAXFS_HOST_RECOVERED);
	fixture_stop(&s);
}

/* fabricd was quicker: the stand-in does what it was assigned. */
static void does_what_it_is_assigned(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s);
	live_and_die(s.path, 0);
	fence(&s, 0);
	assert_true(self_recover_step(&s.standin));
	assert_true(s.standin.joined);
	move(&s, 0, DAXFS_HOST_RECOVERING, (int)s.standin.slot);
	assert_comes_back(&s);
	fixture_stop(&s);
}

static void leaves_when_stopped(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s);
	live_and_die(s.path, 0);
	fence(&s, 0);
	assert_true(self_recover_step(&s.standin));
	assert_int_equal(state_of(&s, s.standin.slot), DAXFS_HOST_ALIVE);
	self_recover_stop(&s.standin);
	assert_int_equal(state_of(&s, s.standin.slot), DAXFS_HOST_FREE);
	assert_comes_back(&s);
	fixture_stop(&s);
}

/* Three recoverers died of the slot: no fourth one before the operator says so. */
static void stays_away_from_what_kills_recoverers(void **state)
{
	struct daxfs_host_view view;
	struct fixture s;

	(void)state;
	fixture_start(&s);
	live_and_die(s.path, 0);
	fence(&s, 0);
	for (unsigned i = 0; i < DAXFS_RECOVERERS_MAX; i++) {
		live_and_die(s.path, 1);
		move(&s, 0, DAXFS_HOST_RECOVERING, 1);
		fence(&s, 1);
		assert_int_equal(daxfs_member_host(s.m, 0, &view), 0);
		assert_int_equal(daxfs_member_count_death(s.m, &view, s.epoch), 0);
		s.standin.host = 1;
		while (self_recover_step(&s.standin))
			;
		s.standin.host = 0;
	}
	assert_false(self_recover_step(&s.standin));
	assert_int_equal(daxfs_member_host(s.m, 0, &view), 0);
	assert_int_equal(view.deaths, DAXFS_RECOVERERS_MAX);
	assert_int_equal(daxfs_member_forget_deaths(s.m, &view, s.epoch), 0);
	assert_true(self_recover_step(&s.standin));
	move(&s, 0, DAXFS_HOST_RECOVERING, (int)s.standin.slot);
	assert_comes_back(&s);
	fixture_stop(&s);
}

static void waits_when_there_is_no_free_slot(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s);
	for (unsigned i = 0; i < HOSTS; i++)
		live_and_die(s.path, i);
	for (unsigned i = 0; i < HOSTS; i++)
		fence(&s, i);
	assert_false(self_recover_step(&s.standin));
	assert_false(s.standin.joined);
	daxfs_member_close(s.m);
	daxfs_close(s.fs);
	unlink(s.path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recovers_its_own_slot_when_alone),
		cmocka_unit_test(does_what_it_is_assigned),
		cmocka_unit_test(leaves_when_stopped),
		cmocka_unit_test(stays_away_from_what_kills_recoverers),
		cmocka_unit_test(waits_when_there_is_no_free_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
