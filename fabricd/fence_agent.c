/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fence_agent.c - spawn, time and judge fence agents. See agent.h.
 *
 * An agent that was stopped or late stays on the list, owned by nobody, until
 * its keeper is reaped; one that hangs in the kernel may stay for long, and does not
 * keep the next attempt from starting.
 */
#include "fabricd/fence_agent.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "fabricd/keeper.h"
#include "fabricd/timing.h"

enum task { TASK_OFF, TASK_STATUS, TASK_REBOOT, TASK_ON, TASK_MONITOR, TASK_TEST };

struct agent {
	struct agents *agents;
	struct agent *next;
	ev_child child;
	ev_timer timeout;
	ev_io output;
	struct keeper keeper;
	enum task task;
	unsigned host, level;
	bool dropped; /* its end interests nobody */
	uint64_t began_ms;
	char plug[64];
	char line[AGENT_SAID_BYTES]; /* being read */
	char last[AGENT_SAID_BYTES];
	size_t line_len;
	unsigned lines;
};

static const struct fence_level *level_at(const struct agents *agents, unsigned level)
{
	return level < FENCE_LEVELS && agents->options->fence[level].agent[0] ? &agents->options->fence[level] : NULL;
}

const char *agent_name(const struct options *options)
{
	return fence_name(options->fence[0].agent);
}

const char *agents_name(const struct agents *agents, unsigned host)
{
	return fence_name(agents->options->fence[agents->level[host]].agent);
}

static const char *name_of(const struct agent *a)
{
	return fence_name(a->agents->options->fence[a->level].agent);
}

static const char *verb(enum task task)
{
	static const char *const verbs[] = { "off", "status", "reboot", "on", "monitor", "status" };

	return verbs[task];
}

static uint32_t age_ms(const struct agent *a)
{
	return (uint32_t)((uint64_t)clock_ms() - a->began_ms);
}

/* -- what it says ---------------------------------------------------------------- */

static void end_line(struct agent *a)
{
	if (a->line_len == 0)
		return;
	a->line[a->line_len] = '\0';
	memcpy(a->last, a->line, sizeof(a->last));
	a->line_len = 0;
	if (!a->dropped && a->lines < AGENT_LINES)
		log_note("%s: %s: %s", name_of(a), a->plug, a->last);
	a->lines++;
}

/* A line that is too long is cut; nothing of it drives a terminal. */
static void take_output(struct agent *a, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n' || text[i] == '\r')
			end_line(a);
		else if (a->line_len < sizeof(a->line) - 1)
			a->line[a->line_len++] = (char)(isprint((unsigned char)text[i]) ? text[i] : '?');
	}
}

/* Returns whether there may be more. */
static bool read_output(struct agent *a)
{
	char text[16384];
	ssize_t n = read(a->keeper.output, text, sizeof(text));

	if (n > 0)
		take_output(a, text, (size_t)n);
	else if (n == 0 || errno != EAGAIN)
		ev_io_stop(a->agents->loop, &a->output);
	return n > 0;
}

static void on_output(struct ev_loop *loop, ev_io *w, int revents)
{
	(void)loop;
	(void)revents;
	read_output(w->data);
}

/* Its keeper has ended: what is in the pipe is all. One that left somebody behind may still be written to. */
static void drain(struct agent *a)
{
	for (unsigned i = 0; i < 8 && read_output(a); i++)
		;
	end_line(a);
	if (!a->dropped && a->lines > AGENT_LINES)
		log_note("%s: %s: %u more lines", name_of(a), a->plug, a->lines - AGENT_LINES);
}

/* -- the end of one ----------------------------------------------------------- */

static void unlink_agent(struct agent *a)
{
	struct agent **p = &a->agents->first;

	while (*p != a)
		p = &(*p)->next;
	*p = a->next;
}

static void let_go(struct agent *a)
{
	if (a->keeper.alive >= 0)
		close(a->keeper.alive);
	a->keeper.alive = -1;
}

static void free_agent(struct agent *a)
{
	let_go(a);
	ev_timer_stop(a->agents->loop, &a->timeout);
	ev_child_stop(a->agents->loop, &a->child);
	ev_io_stop(a->agents->loop, &a->output);
	close(a->keeper.output);
	unlink_agent(a);
	free(a);
}

/* Its keeper kills it. */
static void drop(struct agent *a)
{
	a->dropped = true;
	ev_timer_stop(a->agents->loop, &a->timeout);
	let_go(a);
}

static enum decide_result judge(enum task task, int status)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

	switch (task) {
	case TASK_OFF: return code == 0 ? RESULT_OFF_DONE : RESULT_FAILED;
	case TASK_REBOOT: return code == 0 ? RESULT_REBOOTED : RESULT_FAILED;
	case TASK_TEST:
	case TASK_STATUS: return code == 0 ? RESULT_STATUS_ON : code == 2 ? RESULT_STATUS_OFF : RESULT_FAILED;
	default: return code == 0 ? RESULT_NONE : RESULT_FAILED;
	}
}

static void log_end(const struct agent *a, int status, enum decide_result result)
{
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);

	if (result == RESULT_STATUS_OFF || result == RESULT_STATUS_ON)
		log_note("%s: status of %s is %s, in %u ms", name_of(a), a->plug,
			 result == RESULT_STATUS_OFF ? "off" : "on", age_ms(a));
	else if (result == RESULT_FAILED)
		log_warn("%s: %s %s failed: exit status %d", name_of(a), verb(a->task), a->plug, code);
	else if (a->task != TASK_MONITOR)
		log_note("%s: %s %s done in %u ms", name_of(a), verb(a->task), a->plug, age_ms(a));
}

/* The next round, in so many seconds at most. */
static void monitor_within(struct agents *agents, unsigned seconds)
{
	unsigned rounds_s = agents->options->fence_monitor_s;

	ev_timer_stop(agents->loop, &agents->monitor);
	ev_timer_set(&agents->monitor, rounds_s < seconds ? rounds_s : seconds, 0.);
	ev_timer_start(agents->loop, &agents->monitor);
}

static void monitored(struct agents *agents, unsigned level, bool failed, const char *said)
{
	char *broken = agents->broken[level];
	const char *name = fence_name(agents->options->fence[level].agent);

	if (failed && !broken[0])
		log_fail("%s: monitor failed (%s): hosts could not be fenced by it", name, said);
	else if (!failed && broken[0])
		log_note("%s: monitor succeeds again", name);
	snprintf(broken, AGENT_SAID_BYTES, "%.119s", failed ? said : "");
	if (failed)
		monitor_within(agents, TIMING_MONITOR_AGAIN_S);
}

static void tested(struct agents *agents, unsigned level, enum decide_result result, const char *said)
{
	struct agents_test *t = &agents->test;
	size_t at = strlen(t->text);
	const char *text = result == RESULT_STATUS_ON ? "on" : result == RESULT_STATUS_OFF ? "off" : said;

	t->running--;
	t->failed |= result == RESULT_FAILED;
	snprintf(t->text + at, sizeof(t->text) - at, "%s%s: %s", at ? "; " : "",
		 fence_name(agents->options->fence[level].agent), text);
}

static int launch(struct agents *agents, unsigned host, const char *plug, enum task task, unsigned level);

/* One level could not cut it off: the next one, if there is one. */
static void try_next(struct agents *agents, unsigned host, const char *plug, enum task task, unsigned level,
		     uint32_t ms)
{
	unsigned next = level + 1;

	while (level_at(agents, next)) {
		if (launch(agents, host, plug, task, next) == 0)
			return;
		next++;
	}
	agents->level[host] = 0;
	agents->done(agents->context, host, RESULT_FAILED, ms);
}

static void ended(const struct agent *a, enum decide_result result, const char *said)
{
	struct agents *agents = a->agents;

	if (a->task == TASK_MONITOR)
		monitored(agents, a->level, result == RESULT_FAILED, said);
	if (a->task == TASK_TEST)
		tested(agents, a->level, result, said);
	if (a->task == TASK_MONITOR || a->task == TASK_ON || a->task == TASK_TEST)
		return;
	snprintf(agents->said[a->host], AGENT_SAID_BYTES, "%.119s", result == RESULT_FAILED ? said : "");
	if (a->task != TASK_STATUS && result == RESULT_FAILED) {
		try_next(agents, a->host, a->plug, a->task, a->level, age_ms(a));
		return;
	}
	/* What one level says is off and is not, the next one cuts off in the next attempt. */
	if (a->task == TASK_STATUS && result != RESULT_STATUS_OFF)
		agents->level[a->host] = level_at(agents, a->level + 1) ? a->level + 1 : 0;
	agents->done(agents->context, a->host, result, age_ms(a));
}

static bool is_fence(const struct agent *a)
{
	return a->task == TASK_OFF || a->task == TASK_STATUS || a->task == TASK_REBOOT;
}

/* Not while one may still switch it off: which of the two came last would be luck. */
static void switch_on(struct agents *agents, unsigned host)
{
	for (const struct agent *a = agents->first; a; a = a->next)
		if (a->host == host && is_fence(a))
			return;
	if (!agents->on_again[host])
		return;
	agents->on_again[host] = false;
	launch(agents, host, agents->plug[host], TASK_ON, agents->level[host]);
	agents->level[host] = 0;
}

static void on_child(struct ev_loop *loop, ev_child *w, int revents)
{
	struct agent *a = w->data, copy;
	enum decide_result result = judge(a->task, w->rstatus);

	(void)loop;
	(void)revents;
	drain(a);
	if (!a->dropped)
		log_end(a, w->rstatus, result);
	copy = *a;
	free_agent(a);
	if (!copy.dropped)
		ended(&copy, result, copy.last[0] ? copy.last : "it said nothing");
	else
		switch_on(copy.agents, copy.host);
}

static void on_timeout(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct agent *a = w->data;

	(void)loop;
	(void)revents;
	log_warn("%s: %s %s did not end in %u ms: killed", name_of(a), verb(a->task), a->plug,
		 a->agents->options->fence_timeout_ms);
	drop(a);
	ended(a, RESULT_FAILED, "it did not end in time");
}

/* -- the beginning of one ------------------------------------------------------- */

/* A name comes from the pool, and becomes a path or an argument of somebody. */
static bool plug_makes_sense(const char *plug)
{
	if (!isalnum((unsigned char)plug[0]))
		return false;
	for (const char *c = plug; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("._:-", *c))
			return false;
	return strlen(plug) < sizeof(((struct agent *)NULL)->plug);
}

static void watch(struct agent *a)
{
	struct agents *agents = a->agents;

	ev_child_init(&a->child, on_child, a->keeper.pid, 0);
	ev_timer_init(&a->timeout, on_timeout, agents->options->fence_timeout_ms / 1000., 0.);
	ev_io_init(&a->output, on_output, a->keeper.output, EV_READ);
	a->child.data = a->timeout.data = a->output.data = a;
	ev_child_start(agents->loop, &a->child);
	ev_io_start(agents->loop, &a->output);
	ev_now_update(agents->loop);
	ev_timer_start(agents->loop, &a->timeout);
	a->next = agents->first;
	agents->first = a;
}

static int start(struct agents *agents, struct agent *a, struct daxfs_error *err)
{
	const struct fence_level *level = &agents->options->fence[a->level];
	char input[FENCE_INPUT_BYTES], program[PATH_MAX];
	int len = fence_input(level, verb(a->task), a->task == TASK_MONITOR ? NULL : a->plug, agents->monitored, input,
			      sizeof(input), err);
	int rc = len < 0 ? len : fence_find(level->agent, program);

	if (len < 0)
		return len;
	if (rc == 0)
		rc = keeper_start(program, input, (size_t)len, &a->keeper);
	explicit_bzero(input, sizeof(input));
	return rc ? daxfs_error_set(err, rc, "cannot be run: %s", strerror(-rc)) : 0;
}

static int launch(struct agents *agents, unsigned host, const char *plug, enum task task, unsigned level)
{
	struct agent *a = calloc(1, sizeof(*a));
	struct daxfs_error err;
	int rc;

	if (!a)
		return -ENOMEM;
	a->agents = agents;
	a->host = host;
	a->task = task;
	a->level = level;
	a->began_ms = (uint64_t)clock_ms();
	snprintf(a->plug, sizeof(a->plug), "%s", plug);
	rc = start(agents, a, &err);
	if (rc == 0) {
		if (task != TASK_MONITOR && task != TASK_TEST)
			agents->level[host] = level;
		if (task == TASK_OFF || task == TASK_REBOOT)
			snprintf(agents->plug[host], sizeof(agents->plug[host]), "%s", plug);
		watch(a);
		return 0;
	}
	if (task == TASK_MONITOR) {
		monitored(agents, level, true, err.text);
	} else if (task == TASK_TEST) {
		tested(agents, level, RESULT_FAILED, err.text);
	} else {
		log_warn("%s: %s %s: %s", name_of(a), verb(task), plug, err.text);
		snprintf(agents->said[host], AGENT_SAID_BYTES, "%.119s", err.text);
	}
	free(a);
	return rc;
}

void agents_start(struct agents *agents, unsigned host, const char *plug, bool off)
{
	bool reboot = agents->options->fence_action == FENCE_REBOOT;
	enum task task = !off ? TASK_STATUS : reboot ? TASK_REBOOT : TASK_OFF;
	unsigned level = agents->level[host];

	agents_stop(agents, host);
	agents->on_again[host] = false;
	if (off)
		agents->plug[host][0] = '\0';
	if (!level_at(agents, 0)) {
		log_warn("host %u: no fence agent is set; when %s is off: daxfsctl confirm-dead --host %u", host, plug,
			 host);
	} else if (!plug_makes_sense(plug)) {
		log_warn("host %u: \"%s\" is no name to fence by; when it is off: daxfsctl confirm-dead --host %u",
			 host, plug, host);
	} else {
		if (launch(agents, host, plug, task, level) == 0)
			return;
		if (off) {
			try_next(agents, host, plug, task, level, 0);
			return;
		}
	}
	agents->done(agents->context, host, RESULT_FAILED, 0);
}

void agents_fenced(struct agents *agents, unsigned host, const char *plug)
{
	if (agents->options->fence_action == FENCE_CYCLE && level_at(agents, agents->level[host]))
		launch(agents, host, plug, TASK_ON, agents->level[host]);
	agents->level[host] = 0;
	agents->said[host][0] = '\0';
}

void agents_over(struct agents *agents, unsigned host)
{
	bool on = agents->options->fence_action != FENCE_OFF && agents->plug[host][0];

	log_note("host %u is over by another's proof; %s, which was to switch it off, is not waited for: %s", host,
		 agents_name(agents, host), on ? "switching it on" : "it may be off");
	agents_stop(agents, host);
	agents->said[host][0] = '\0';
	agents->on_again[host] = on;
	if (on)
		switch_on(agents, host);
	else
		agents->level[host] = 0;
}

void agents_test(struct agents *agents, unsigned host, const char *plug)
{
	for (struct agent *a = agents->first; a; a = a->next)
		if (a->task == TASK_TEST && !a->dropped)
			drop(a);
	agents->test = (struct agents_test){ .host = host, .asked = true };
	for (unsigned i = 0; i < FENCE_LEVELS; i++) {
		if (!level_at(agents, i))
			continue;
		agents->test.running++;
		if (plug_makes_sense(plug))
			launch(agents, host, plug, TASK_TEST, i);
		else
			tested(agents, i, RESULT_FAILED, "the host has no name to fence it by");
	}
}

/* -- before they are needed -------------------------------------------------------- */

int agents_check(const struct options *options, struct daxfs_error *err)
{
	char program[PATH_MAX], input[FENCE_INPUT_BYTES];
	int rc = 0;

	for (unsigned i = 0; rc >= 0 && i < FENCE_LEVELS; i++) {
		const struct fence_level *l = &options->fence[i];

		if (!l->agent[0])
			continue;
		rc = fence_find(l->agent, program);
		if (rc)
			return daxfs_error_set(err, rc, "fence agent %s cannot be run: %s", l->agent, strerror(-rc));
		rc = fence_input(l, "monitor", NULL, 0, input, sizeof(input), err);
	}
	explicit_bzero(input, sizeof(input));
	return rc < 0 ? rc : 0;
}

/* Hosts in turn; but while one could not be cut off that one, so that another's answer does not end the alarm. */
static void on_monitor(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct agents *agents = w->data;

	(void)loop;
	(void)revents;
	if (agents->monitored && agents_broken(agents))
		agents->monitored--;
	monitor_within(agents, agents->options->fence_monitor_s);
	for (unsigned i = 0; i < FENCE_LEVELS; i++)
		if (level_at(agents, i))
			launch(agents, 0, "monitor", TASK_MONITOR, i);
	agents->monitored++;
}

void agents_monitor(struct agents *agents)
{
	if (agents->options->fence_monitor_s == 0)
		return;
	ev_timer_init(&agents->monitor, on_monitor, 0., 0.);
	agents->monitor.data = agents;
	ev_timer_start(agents->loop, &agents->monitor);
}

const char *agents_broken(const struct agents *agents)
{
	for (unsigned i = 0; i < FENCE_LEVELS; i++)
		if (agents->broken[i][0])
			return agents->broken[i];
	return NULL;
}

/* -- all of them ------------------------------------------------------------------ */

void agents_init(struct agents *agents, struct ev_loop *loop, const struct options *options, agent_done done,
		 void *context)
{
	*agents = (struct agents){ .loop = loop, .options = options, .done = done, .context = context };
}

void agents_stop(struct agents *agents, unsigned host)
{
	for (struct agent *a = agents->first; a; a = a->next)
		if (a->host == host && is_fence(a) && !a->dropped)
			drop(a);
}

void agents_stop_all(struct agents *agents)
{
	for (struct agent *a = agents->first; a; a = a->next)
		if (is_fence(a) && !a->dropped)
			drop(a);
}

void agents_fini(struct agents *agents)
{
	if (agents->monitor.data)
		ev_timer_stop(agents->loop, &agents->monitor);
	while (agents->first)
		free_agent(agents->first);
}
