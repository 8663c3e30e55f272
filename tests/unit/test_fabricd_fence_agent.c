/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_fabricd_fence_agent.c - real fence agents, small shell scripts, on the real
 * event loop: what they are told, how they end, and that none outlives its time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fabricd/fence_agent.h"
#include "hang.h"

struct bench {
	struct ev_loop *loop;
	struct options options;
	struct agents agents;
	unsigned done;
	unsigned host;
	enum decide_result result;
	uint32_t ms;
	char dir[64], script[96], seen[96];
};

static void on_done(void *context, unsigned host, enum decide_result result, uint32_t ms)
{
	struct bench *b = context;

	b->done++;
	b->host = host;
	b->result = result;
	b->ms = ms;
}

/* An agent that writes what it reads to `seen`, then runs body. */
static void start(struct bench *b, const char *body)
{
	FILE *file;

	memset(b, 0, sizeof(*b));
	signal(SIGPIPE, SIG_IGN);
	b->loop = ev_default_loop(EVFLAG_AUTO);
	strcpy(b->dir, "/tmp/daxfs-test-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->script, sizeof(b->script), "%s/agent", b->dir);
	snprintf(b->seen, sizeof(b->seen), "%s/seen", b->dir);
	options_defaults(&b->options);
	snprintf(b->options.fence_agent, sizeof(b->options.fence_agent), "%s", b->script);
	file = fopen(b->script, "w");
	assert_non_null(file);
	fprintf(file, "#!/bin/sh\ncat >%s\n%s\n", b->seen, body);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(b->script, 0700), 0);
	agents_init(&b->agents, b->loop, &b->options, on_done, b);
}

static void stop(struct bench *b)
{
	agents_fini(&b->agents);
	unlink(b->script);
	unlink(b->seen);
	rmdir(b->dir);
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)w;
	(void)revents;
	ev_break(loop, EVBREAK_ALL);
}

/* Run the loop until the condition holds. */
static void run_loop(struct bench *b, unsigned done, bool reaped)
{
	for (unsigned i = 0; i < HANG_S * 100; i++) {
		ev_timer tick;

		if (b->done >= done && (!reaped || !b->agents.first))
			return;
		ev_timer_init(&tick, on_tick, 0.01, 0.);
		ev_timer_start(b->loop, &tick);
		ev_run(b->loop, 0);
		ev_timer_stop(b->loop, &tick);
	}
	fail_msg("nothing happened");
}

static enum decide_result outcome(const char *body, bool off)
{
	struct bench b;
	enum decide_result result;

	start(&b, body);
	agents_start(&b.agents, 3, "host3", off);
	run_loop(&b, 1, true);
	assert_int_equal(b.done, 1);
	assert_int_equal(b.host, 3);
	result = b.result;
	stop(&b);
	return result;
}

static void exit_status_is_judged(void **state)
{
	(void)state;
	assert_int_equal(outcome("exit 0", true), RESULT_OFF_DONE);
	assert_int_equal(outcome("exit 1", true), RESULT_FAILED);
	assert_int_equal(outcome("exit 2", true), RESULT_FAILED);
	assert_int_equal(outcome("kill -9 $$", true), RESULT_FAILED);
	assert_int_equal(outcome("exit 0", false), RESULT_STATUS_ON);
	assert_int_equal(outcome("exit 2", false), RESULT_STATUS_OFF);
	assert_int_equal(outcome("exit 1", false), RESULT_FAILED);
	assert_int_equal(outcome("exit 3", false), RESULT_FAILED);
	assert_int_equal(outcome("kill -9 $$", false), RESULT_FAILED);
}

static void it_is_told_what_to_do(void **state)
{
	char text[256];
	struct bench b;
	FILE *file;
	size_t n;

	(void)state;
	start(&b, "exit 0");
	strcpy(b.options.fence_option[0], "ip=10.0.0.1");
	strcpy(b.options.fence_option[1], "note=a b=c");
	b.options.fence_options = 2;
	agents_start(&b.agents, 1, "rack-1:host.1", true);
	run_loop(&b, 1, true);
	file = fopen(b.seen, "r");
	assert_non_null(file);
	n = fread(text, 1, sizeof(text) - 1, file);
	text[n] = 0;
	fclose(file);
	assert_string_equal(text, "action=off\nplug=rack-1:host.1\nip=10.0.0.1\nnote=a b=c\n");
	stop(&b);
}

/* Neither it nor what it started is left. */
static void a_hung_agent_is_killed_with_its_children(void **state)
{
	struct bench b;
	char line[32] = "";
	FILE *file;
	pid_t child;

	(void)state;
	start(&b, "sleep 1000 & echo $! >$0.pid; wait");
	b.options.fence_timeout_ms = 300;
	agents_start(&b.agents, 1, "host1", true);
	run_loop(&b, 1, true);
	assert_int_equal(b.result, RESULT_FAILED);
	assert_true(b.ms >= 300);
	strcat(b.script, ".pid");
	file = fopen(b.script, "r");
	assert_non_null(file);
	assert_non_null(fgets(line, sizeof(line), file));
	fclose(file);
	unlink(b.script);
	b.script[strlen(b.script) - 4] = 0;
	child = (pid_t)atoi(line);
	assert_true(child > 1);
	for (unsigned i = 0; i < HANG_S * 100 && kill(child, 0) == 0; i++) {
		char stat[64], buf[256] = "";

		snprintf(stat, sizeof(stat), "/proc/%d/stat", child);
		file = fopen(stat, "r");
		if (file) {
			if (fgets(buf, sizeof(buf), file) && strstr(buf, ") Z"))
				i = HANG_S * 100; /* dead; nobody reaps it here */
			fclose(file);
		}
		usleep(10000);
		assert_true(i != HANG_S * 100 - 1);
	}
	stop(&b);
}

static void a_stopped_agent_reports_nothing(void **state)
{
	struct bench b;

	(void)state;
	start(&b, "sleep 1000");
	agents_start(&b.agents, 1, "host1", true);
	agents_stop(&b.agents, 0); /* another host's */
	agents_stop(&b.agents, 1);
	run_loop(&b, 0, true);
	assert_int_equal(b.done, 0);
	stop(&b);
}

/* A new attempt ends the old one; hosts do not wait for each other. */
static void one_agent_a_host(void **state)
{
	struct bench b;

	(void)state;
	start(&b, "grep -q plug=host2 ${0%agent}seen && exit 0; sleep 1000");
	b.options.fence_timeout_ms = HANG_S * 1000; /* only the second one ends by itself */
	agents_start(&b.agents, 1, "host1", true);
	usleep(200000); /* it has read its input by then, or is stopped before */
	agents_start(&b.agents, 2, "host2", true);
	run_loop(&b, 1, false);
	assert_int_equal(b.host, 2);
	assert_int_equal(b.result, RESULT_OFF_DONE);
	agents_start(&b.agents, 1, "host1", false);
	agents_stop_all(&b.agents);
	run_loop(&b, 1, true);
	assert_int_equal(b.done, 1);
	stop(&b);
}

static void what_cannot_be_run_fails_at_once(void **state)
{
	static const char *const names[] = { "", "../x", "a/b", "-n", ".h", "a b", "a\nb", "h;rm", "h$x" };
	struct bench b;

	(void)state;
	start(&b, "exit 0");
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		agents_start(&b.agents, 1, names[i], true);
		assert_int_equal(b.done, i + 1);
		assert_int_equal(b.result, RESULT_FAILED);
	}
	b.done = 0;
	strcpy(b.options.fence_agent, "/nonexistent/fence_none");
	agents_start(&b.agents, 1, "host1", true);
	assert_int_equal(b.done, 1);
	assert_int_equal(b.result, RESULT_FAILED);
	b.options.fence_agent[0] = 0;
	agents_start(&b.agents, 1, "host1", true);
	assert_int_equal(b.done, 2);
	assert_null(b.agents.first);
	stop(&b);
}

/* An agent that ends without reading must not kill us. */
static void an_agent_need_not_read(void **state)
{
	struct bench b;

	(void)state;
	start(&b, "");
	strcpy(b.options.fence_agent, "/bin/true");
	for (unsigned i = 0; i < 20; i++)
		agents_start(&b.agents, i, "host1", true);
	run_loop(&b, 20, true);
	assert_int_equal(b.result, RESULT_OFF_DONE);
	stop(&b);
}

static void its_name_has_no_directory(void **state)
{
	struct options o;

	(void)state;
	options_defaults(&o);
	assert_string_equal(agent_name(&o), "");
	strcpy(o.fence_agent, "/usr/sbin/fence_ipmilan");
	assert_string_equal(agent_name(&o), "fence_ipmilan");
	strcpy(o.fence_agent, "fence_ipmilan");
	assert_string_equal(agent_name(&o), "fence_ipmilan");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exit_status_is_judged),
		cmocka_unit_test(it_is_told_what_to_do),
		cmocka_unit_test(a_hung_agent_is_killed_with_its_children),
		cmocka_unit_test(a_stopped_agent_reports_nothing),
		cmocka_unit_test(one_agent_a_host),
		cmocka_unit_test(what_cannot_be_run_fails_at_once),
		cmocka_unit_test(an_agent_need_not_read),
		cmocka_unit_test(its_name_has_no_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
