/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_self_recover.c - a host comes back under its old id when nobody is left
 * to recover it (node-agent/self_recover.c, daxfs_revive). A child joins and dies in a file; the
 * test says what fabricd would. No root, no mount.
 */
#include <errno.h>
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
	struct self_recover own;
	struct daxfs_inflight inflight; /* of host 0, when it is alive again */
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
	s->own = (struct self_recover){ .pool = s->path, .host = 0 };
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

static void host_0_is_fenced(struct fixture *s)
{
	fixture_start(s);
	live_and_die(s->path, 0);
	fence(s, 0);
}

static int revive(struct fixture *s, unsigned host, void (*alive)(void *context), struct daxfs_recovery *report)
{
	struct daxfs_error err = { .text = "" };

	return daxfs_revive(s->fs, host, NULL, NULL, alive, s, report, &err);
}

/* With what it held let go of, and a next tenant that finds nothing. */
static void assert_comes_back(struct fixture *s, unsigned host)
{
	struct daxfs_recovery report;
	struct daxfs_error err;

	assert_int_equal(revive(s, host, NULL, &report), 0);
	assert_int_equal(state_of(s, host), DAXFS_HOST_ALIVE);
	assert_int_equal(daxfs_leave(s->fs), 0);
	if (daxfs_join(s->fs, host, "host", &err))
		fail_msg("%s", err.text);
	assert_int_equal(daxfs_leave(s->fs), 0);
}

static void recovers_its_own_slot_when_alone(void **state)
{
	struct daxfs_recovery report;
	struct fixture s;

	(void)state;
	fixture_start(&s);
	live_and_die(s.path, 0);
	live_and_die(s.path, 1);
	assert_false(self_recover_due(&s.own)); /* not yet fenced: it may live */
	assert_int_equal(revive(&s, 0, NULL, &report), -EBUSY);
	fence(&s, 0);
	assert_false(self_recover_due(&s.own)); /* the other may live, and would do it */
	fence(&s, 1);
	assert_true(self_recover_due(&s.own));
	assert_int_equal(revive(&s, 0, NULL, &report), 0);
	assert_int_equal(report.opens, 1);
	assert_int_equal(report.generation, 0);
	assert_int_equal(daxfs_leave(s.fs), 0);
	assert_int_equal(state_of(&s, 1), DAXFS_HOST_FENCED); /* its own agent's, or for fabricd to assign */
	s.own.host = 1;
	assert_true(self_recover_due(&s.own));
	assert_comes_back(&s, 1);
	fixture_stop(&s);
}

/* Nobody need have a slot to work from. */
static void every_slot_is_of_a_dead_host(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s);
	for (unsigned i = 0; i < HOSTS; i++)
		live_and_die(s.path, i);
	for (unsigned i = 0; i < HOSTS; i++)
		fence(&s, i);
	for (unsigned i = 0; i < HOSTS; i++) {
		s.own.host = i;
		assert_true(self_recover_due(&s.own));
		assert_comes_back(&s, i);
	}
	fixture_stop(&s);
}

/* Somebody has it: until that tenant is over. */
static void a_recoverer_may_die_of_it(void **state)
{
	struct daxfs_recovery report;
	struct fixture s;

	(void)state;
	host_0_is_fenced(&s);
	live_and_die(s.path, 1);
	move(&s, 0, DAXFS_HOST_RECOVERING, 1);
	assert_false(self_recover_due(&s.own));
	assert_int_equal(revive(&s, 0, NULL, &report), -EBUSY);
	move(&s, 1, DAXFS_HOST_SUSPECT, -1);
	move(&s, 1, DAXFS_HOST_FENCING, -1);
	assert_int_equal(revive(&s, 0, NULL, &report), -EBUSY); /* it may yet work */
	move(&s, 1, DAXFS_HOST_FENCED, -1);
	assert_true(self_recover_due(&s.own));
	assert_comes_back(&s, 0);
	fixture_stop(&s);
}

/* fabricd is down, or has nobody: others live, and none of them is told. */
static void is_patient_with_the_living(void **state)
{
	struct daxfs_error err;
	struct daxfs *other;
	struct fixture s;
	unsigned looks = 0;

	(void)state;
	host_0_is_fenced(&s);
	if (daxfs_open(s.path, DAXFS_READ_WRITE, &other, &err) || daxfs_join(other, 1, "other", &err))
		fail_msg("%s", err.text);
	while (!self_recover_due(&s.own))
		assert_true(++looks < 20);
	assert_true(looks > 4);
	assert_comes_back(&s, 0);
	daxfs_close(other);
	fixture_stop(&s);
}

/* Three recoverers died of the slot: it is the operator's. */
static void stays_away_from_what_kills_recoverers(void **state)
{
	struct daxfs_host_view view;
	struct fixture s;

	(void)state;
	host_0_is_fenced(&s);
	for (unsigned i = 0; i < DAXFS_RECOVERERS_MAX; i++) {
		live_and_die(s.path, 1);
		move(&s, 0, DAXFS_HOST_RECOVERING, 1);
		fence(&s, 1);
		assert_int_equal(daxfs_member_host(s.m, 0, &view), 0);
		assert_int_equal(daxfs_member_count_death(s.m, &view, s.epoch), 0);
		assert_comes_back(&s, 1);
	}
	assert_false(self_recover_due(&s.own));
	assert_int_equal(daxfs_member_host(s.m, 0, &view), 0);
	assert_int_equal(view.deaths, DAXFS_RECOVERERS_MAX);
	assert_int_equal(daxfs_member_forget_deaths(s.m, &view, s.epoch), 0);
	assert_true(self_recover_due(&s.own));
	assert_comes_back(&s, 0);
	fixture_stop(&s);
}

/* From here on it beats: what follows may take longer than a silence may. */
static void beats(void *context)
{
	struct fixture *s = context;
	struct daxfs_host_view view;
	uint64_t beat;

	assert_int_equal(state_of(s, 0), DAXFS_HOST_ALIVE);
	assert_int_equal(daxfs_member_host(s->m, 0, &view), 0);
	beat = view.beat;
	assert_int_equal(daxfs_beat(s->fs), 0);
	assert_int_equal(daxfs_member_host(s->m, 0, &view), 0);
	assert_int_equal(view.beat, beat + 1);
	assert_int_equal(daxfs_inflight(s->fs, 0, &s->inflight), 0);
}

static void beats_before_it_recovers(void **state)
{
	struct daxfs_recovery report;
	struct fixture s;

	(void)state;
	host_0_is_fenced(&s);
	assert_int_equal(revive(&s, 0, beats, &report), 0);
	assert_int_equal(s.inflight.opens, 1); /* it beat before */
	assert_int_equal(report.opens, 1);
	assert_int_equal(daxfs_leave(s.fs), 0);
	fixture_stop(&s);
}

static void is_declared_dead(void *context)
{
	struct fixture *s = context;

	move(s, 0, DAXFS_HOST_SUSPECT, -1);
	move(s, 0, DAXFS_HOST_FENCING, -1);
}

/* In the middle of it: nothing of it is touched any more, and it may come back once more. */
static void dies_again_as_it_comes_back(void **state)
{
	struct daxfs_recovery report;
	struct fixture s;

	(void)state;
	host_0_is_fenced(&s);
	assert_int_equal(revive(&s, 0, is_declared_dead, &report), -ESTALE);
	assert_int_equal(report.opens, 0);
	assert_int_equal(daxfs_leave(s.fs), -ESTALE);
	move(&s, 0, DAXFS_HOST_FENCED, -1);
	assert_true(self_recover_due(&s.own));
	assert_comes_back(&s, 0);
	fixture_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recovers_its_own_slot_when_alone),
		cmocka_unit_test(every_slot_is_of_a_dead_host),
		cmocka_unit_test(a_recoverer_may_die_of_it),
		cmocka_unit_test(is_patient_with_the_living),
		cmocka_unit_test(stays_away_from_what_kills_recoverers),
		cmocka_unit_test(beats_before_it_recovers),
		cmocka_unit_test(dies_again_as_it_comes_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
