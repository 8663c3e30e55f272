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
#include <sys/wait.h>
#include <unistd.h>

#include "fabricd/fence_agent.h"
#include "fabricd/timing.h"
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
	snprintf(b->options.fence[0].agent, sizeof(b->options.fence[0].agent), "%s", b->script);
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
	strcpy(b.options.fence[0].option[0], "ip=10.0.0.1");
	strcpy(b.options.fence[0].option[1], "note=a b=c");
	b.options.fence[0].options = 2;
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
	strcpy(b.options.fence[0].agent, "/nonexistent/fence_none");
	agents_start(&b.agents, 1, "host1", true);
	assert_int_equal(b.done, 1);
	assert_int_equal(b.result, RESULT_FAILED);
	b.options.fence[0].agent[0] = 0;
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
	strcpy(b.options.fence[0].agent, "/bin/true");
	for (unsigned i = 0; i < 20; i++)
		agents_start(&b.agents, i, "host1", true);
	run_loop(&b, 20, true);
	assert_int_equal(b.result, RESULT_OFF_DONE);
	stop(&b);
}

/* -- what it says, and who else is asked ------------------------------------------ */

static void its_last_line_is_kept(void **state)
{
	struct bench b;

	(void)state;
	start(&b, "yes talk | head -n 200000; printf 'a\\tb\\033[1m\\n\\n' >&2; exit 1");
	agents_start(&b.agents, 3, "host3", true);
	run_loop(&b, 1, true);
	assert_int_equal(b.result, RESULT_FAILED);
	assert_string_equal(b.agents.said[3], "a?b?[1m");
	stop(&b);
}

/* What it left running in its group ends with it. */
static void nothing_is_left_behind(void **state)
{
	struct bench b;
	char line[32] = "";

	(void)state;
	start(&b, "sleep 1000 & echo $!; exit 1");
	agents_start(&b.agents, 3, "host3", true);
	run_loop(&b, 1, true);
	snprintf(line, sizeof(line), "%.31s", b.agents.said[3]);
	for (unsigned i = 0; kill((pid_t)atoi(line), 0) == 0; i++) {
		assert_true(i < HANG_S * 100);
		usleep(10000);
	}
	stop(&b);
}

/* fabricd is killed while its agent is at work: the agent does not cut off anybody afterwards. */
static void it_dies_with_fabricd(void **state)
{
	char done[128], began[128];
	struct bench b;
	pid_t pid;

	(void)state;
	start(&b, "touch $0.began; (sleep 1; touch $0.done) & wait; exit 0");
	snprintf(done, sizeof(done), "%s.done", b.script);
	snprintf(began, sizeof(began), "%s.began", b.script);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		ev_loop_fork(b.loop);
		agents_start(&b.agents, 3, "host3", true);
		pause();
	}
	for (unsigned i = 0; access(began, F_OK); i++) {
		assert_true(i < HANG_S * 100);
		usleep(10000);
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	usleep(1500000); /* it would have been done by then */
	assert_int_equal(access(done, F_OK), -1);
	unlink(began);
	stop(&b);
}

static void second_agent(struct bench *b, const char *body)
{
	FILE *file;

	snprintf(b->options.fence[1].agent, sizeof(b->options.fence[1].agent), "%s/second", b->dir);
	file = fopen(b->options.fence[1].agent, "w");
	assert_non_null(file);
	fprintf(file, "#!/bin/sh\ncat >%s\n%s\n", b->seen, body);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(b->options.fence[1].agent, 0700), 0);
}

static void the_next_level_is_tried(void **state)
{
	struct bench b;

	(void)state;
	start(&b, "exit 1");
	second_agent(&b, "exit 0");
	agents_start(&b.agents, 3, "host3", true);
	run_loop(&b, 1, true);
	assert_int_equal(b.result, RESULT_OFF_DONE);
	assert_int_equal(b.agents.level[3], 1); /* who is asked for the status */
	assert_string_equal(agents_name(&b.agents, 3), "second");
	assert_string_equal(agents_name(&b.agents, 2), agent_name(&b.options));
	agents_fenced(&b.agents, 3, "host3");
	assert_int_equal(b.agents.level[3], 0);
	/* One that cannot even be run, and no third: a failure, and from the first again. */
	strcpy(b.options.fence[0].agent, "/nonexistent/fence");
	agents_start(&b.agents, 3, "host3", true);
	run_loop(&b, 2, true);
	assert_int_equal(b.result, RESULT_OFF_DONE);
	unlink(b.options.fence[1].agent);
	agents_start(&b.agents, 3, "host3", true);
	assert_int_equal(b.done, 3);
	assert_int_equal(b.result, RESULT_FAILED);
	assert_int_equal(b.agents.level[3], 0);
	stop(&b);
}

/* It said off, and its status says on: the next attempt is the other's. */
static void a_level_that_lies_is_left(void **state)
{
	struct bench b;

	(void)state;
	start(&b, "exit 0");
	second_agent(&b, "exit 0");
	agents_start(&b.agents, 3, "host3", false);
	run_loop(&b, 1, true);
	assert_int_equal(b.result, RESULT_STATUS_ON);
	assert_int_equal(b.agents.level[3], 1);
	unlink(b.options.fence[1].agent);
	stop(&b);
}

/* What the last agent has been told so far. */
static const char *seen(struct bench *b)
{
	static char text[512];
	FILE *file = fopen(b->seen, "r");

	text[file ? fread(text, 1, sizeof(text) - 1, file) : 0] = '\0';
	if (file)
		fclose(file);
	return text;
}

static void seen_is(struct bench *b, const char *want)
{
	assert_string_equal(seen(b), want);
}

/* An agent that was told all does not empty that file any more, under one that comes after it. */
static void await_seen(struct bench *b, const char *want)
{
	for (unsigned i = 0; strcmp(seen(b), want); i++) {
		assert_true(i < HANG_S * 1000);
		usleep(1000);
	}
}

/* Lines of a host, a password from a file; a host that has no line is not cut off by another's. */
static void hosts_have_lines_of_their_own(void **state)
{
	struct fence_level *l;
	struct daxfs_error err;
	char secret[160], path[128];
	struct bench b;
	FILE *file;

	(void)state;
	start(&b, "exit 0");
	l = b.options.fence;
	snprintf(path, sizeof(path), "%s/secret", b.dir);
	snprintf(secret, sizeof(secret), "passwd=%s", path);
	assert_int_equal(fence_set_option(l, "fence-option", "ip=10.0.0.1", &err), 0);
	assert_int_equal(fence_set_option(l, "fence-option", "ssl=1", &err), 0);
	assert_int_equal(fence_set_host(l, "fence-host", "host3 plug=System.3 ip=10.0.0.3", &err), 0);
	assert_int_equal(fence_set_host(l, "fence-host", "host4", &err), 0);
	assert_int_equal(fence_set_secret(l, "fence-secret", secret, &err), 0);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("sesame\n", file);
	fclose(file);
	assert_int_equal(chmod(path, 0644), 0);
	agents_start(&b.agents, 3, "host3", true);
	assert_int_equal(b.result, RESULT_FAILED);
	assert_non_null(strstr(b.agents.said[3], "mode 0600"));
	assert_int_equal(chmod(path, 0600), 0);
	agents_start(&b.agents, 3, "host3", true);
	run_loop(&b, 2, true);
	seen_is(&b, "action=off\nplug=System.3\nip=10.0.0.3\nssl=1\npasswd=sesame\n");
	agents_start(&b.agents, 4, "host4", true);
	run_loop(&b, 3, true);
	seen_is(&b, "action=off\nplug=host4\nip=10.0.0.1\nssl=1\npasswd=sesame\n");
	b.result = RESULT_NONE;
	agents_start(&b.agents, 5, "host5", true);
	assert_int_equal(b.result, RESULT_FAILED);
	assert_non_null(strstr(b.agents.said[5], "no fence-host line for host5"));
	unlink(path);
	stop(&b);
}

static void actions(void **state)
{
	struct bench b;

	(void)state;
	start(&b, "exit 0");
	b.options.fence_action = FENCE_REBOOT;
	agents_start(&b.agents, 3, "host3", true);
	run_loop(&b, 1, true);
	assert_int_equal(b.result, RESULT_REBOOTED);
	seen_is(&b, "action=reboot\nplug=host3\n");
	b.options.fence_action = FENCE_CYCLE;
	agents_start(&b.agents, 3, "host3", true);
	run_loop(&b, 2, true);
	seen_is(&b, "action=off\nplug=host3\n");
	agents_fenced(&b.agents, 3, "host3");
	run_loop(&b, 2, true);
	seen_is(&b, "action=on\nplug=host3\n");
	assert_int_equal(b.done, 2); /* nobody waits for it */
	b.options.fence_action = FENCE_OFF;
	agents_fenced(&b.agents, 3, "host3");
	assert_null(b.agents.first);
	stop(&b);
}

/* An agent that is overtaken is stopped; then, and not before, the machine is switched on. */
static void overtaken(void **state)
{
	struct bench b;

	(void)state;
	start(&b, "grep -q action=off ${0%agent}seen && sleep 1000");
	b.options.fence_action = FENCE_CYCLE;
	agents_start(&b.agents, 3, "host3", true);
	agents_over(&b.agents, 3);
	assert_true(b.agents.on_again[3]); /* not beside the one that ends */
	run_loop(&b, 0, true);
	seen_is(&b, "action=on\nplug=host3\n");
	assert_int_equal(b.done, 0);
	/* One that has ended; and action off switches nothing on. */
	agents_over(&b.agents, 3);
	assert_non_null(b.agents.first);
	run_loop(&b, 0, true);
	unlink(b.seen);
	b.options.fence_action = FENCE_OFF;
	agents_over(&b.agents, 3);
	assert_null(b.agents.first);
	/* It has died again: what is left of the first time does not switch it on beside that. */
	b.options.fence_action = FENCE_REBOOT;
	agents_start(&b.agents, 3, "host3", true);
	await_seen(&b, "action=reboot\nplug=host3\n");
	unlink(b.seen);
	agents_over(&b.agents, 3);
	agents_start(&b.agents, 3, "host3", true);
	run_loop(&b, 1, true);
	seen_is(&b, "action=reboot\nplug=host3\n");
	stop(&b);
}

/* An agent that could not work is known before a host has died. */
static void it_is_asked_before_it_is_needed(void **state)
{
	struct daxfs_error err;
	struct bench b;

	(void)state;
	start(&b, "echo no route; exit 1");
	b.options.fence_monitor_s = 3600;
	assert_int_equal(agents_check(&b.options, &err), 0);
	agents_monitor(&b.agents);
	for (unsigned i = 0; !agents_broken(&b.agents); i++) {
		assert_true(i < HANG_S);
		run_loop(&b, 0, false);
		ev_run(b.loop, EVRUN_ONCE);
	}
	assert_string_equal(agents_broken(&b.agents), "no route");
	assert_int_equal(b.done, 0);
	seen_is(&b, "action=monitor\n");
	strcpy(b.options.fence[1].agent, "fence_that_is_not_there");
	assert_int_equal(agents_check(&b.options, &err), -ENOENT);
	assert_non_null(strstr(err.text, "fence_that_is_not_there cannot be run"));
	strcpy(b.options.fence[1].agent, "sh"); /* by PATH */
	assert_int_equal(agents_check(&b.options, &err), 0);
	strcpy(b.options.fence[1].agent, "/etc/passwd");
	assert_int_equal(agents_check(&b.options, &err), -EACCES);
	stop(&b);
}

/* Until the next round has been asked. */
static void next_round(struct bench *b, const char *heard)
{
	unlink(b->seen);
	ev_invoke(b->loop, &b->agents.monitor, EV_TIMER);
	run_loop(b, 0, true);
	seen_is(b, heard);
}

/* Hosts in turn; that of one which could not be cut off until it could be, and sooner than all that is well. */
static void the_broken_is_asked_again(void **state)
{
	static const char *const first = "action=monitor\nip=10.0.0.1\n", *const second =
										  "action=monitor\nip=10.0.0.2\n";
	struct daxfs_error err;
	char flag[160];
	struct bench b;

	(void)state;
	start(&b, "grep -q 0.2 ${0%agent}seen && [ -e ${0%agent}down ] && exit 1; exit 0");
	b.options.fence_monitor_s = 3600;
	assert_int_equal(fence_set_host(b.options.fence, "fence-host", "host1 ip=10.0.0.1", &err), 0);
	assert_int_equal(fence_set_host(b.options.fence, "fence-host", "host2 ip=10.0.0.2", &err), 0);
	snprintf(flag, sizeof(flag), "%s/down", b.dir);
	assert_int_equal(mkdir(flag, 0700), 0);
	agents_monitor(&b.agents);
	next_round(&b, first);
	assert_true(ev_timer_remaining(b.loop, &b.agents.monitor) > TIMING_MONITOR_AGAIN_S);
	for (unsigned i = 0; i < 3; i++) {
		next_round(&b, second);
		assert_non_null(agents_broken(&b.agents));
		assert_true(ev_timer_remaining(b.loop, &b.agents.monitor) <= TIMING_MONITOR_AGAIN_S);
	}
	rmdir(flag);
	next_round(&b, second);
	assert_null(agents_broken(&b.agents));
	assert_true(ev_timer_remaining(b.loop, &b.agents.monitor) > TIMING_MONITOR_AGAIN_S);
	next_round(&b, first);
	stop(&b);
}

static void its_name_has_no_directory(void **state)
{
	struct options o;

	(void)state;
	options_defaults(&o);
	assert_string_equal(agent_name(&o), "");
	strcpy(o.fence[0].agent, "/usr/sbin/fence_ipmilan");
	assert_string_equal(agent_name(&o), "fence_ipmilan");
	strcpy(o.fence[0].agent, "fence_ipmilan");
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
		cmocka_unit_test(its_last_line_is_kept),
		cmocka_unit_test(nothing_is_left_behind),
		cmocka_unit_test(it_dies_with_fabricd),
		cmocka_unit_test(the_next_level_is_tried),
		cmocka_unit_test(a_level_that_lies_is_left),
		cmocka_unit_test(hosts_have_lines_of_their_own),
		cmocka_unit_test(actions),
		cmocka_unit_test(overtaken),
		cmocka_unit_test(it_is_asked_before_it_is_needed),
		cmocka_unit_test(the_broken_is_asked_again),
		cmocka_unit_test(its_name_has_no_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
