/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.c - spawn, time and judge fence agents. See agent.h.
 *
 * An agent that was stopped or late stays on the list, owned by nobody, until
 * it is reaped; one that hangs in the kernel may stay for long, and does not
 * keep the next attempt from starting.
 */
#include "fabricd/fence_agent.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

#define INPUT_BYTES 4096u /* PIPE_BUF: an empty pipe takes it without blocking */

extern char **environ;

struct agent {
	struct agents *agents;
	struct agent *next;
	ev_child child;
	ev_timer timeout;
	unsigned host;
	bool off;     /* or status */
	bool dropped; /* its end interests nobody */
	uint64_t began_ms;
	char plug[64];
};

const char *agent_name(const struct options *options)
{
	const char *slash = strrchr(options->fence_agent, '/');

	return slash ? slash + 1 : options->fence_agent;
}

static const char *verb(const struct agent *a)
{
	return a->off ? "off" : "status";
}

static uint64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint32_t age_ms(const struct agent *a)
{
	return (uint32_t)(clock_ms() - a->began_ms);
}

/* -- the end of one ----------------------------------------------------------- */

static void unlink_agent(struct agent *a)
{
	struct agent **p = &a->agents->first;

	while (*p != a)
		p = &(*p)->next;
	*p = a->next;
}

static void free_agent(struct agent *a)
{
	ev_timer_stop(a->agents->loop, &a->timeout);
	ev_child_stop(a->agents->loop, &a->child);
	unlink_agent(a);
	free(a);
}

/* The group: an agent is often a script, and what it waits for must end too. */
static void drop(struct agent *a)
{
	a->dropped = true;
	ev_timer_stop(a->agents->loop, &a->timeout);
	kill(-a->child.pid, SIGKILL);
}

static enum decide_result judge(bool off, int status)
{
	if (!WIFEXITED(status))
		return RESULT_FAILED;
	if (off)
		return WEXITSTATUS(status) == 0 ? RESULT_OFF_DONE : RESULT_FAILED;
	if (WEXITSTATUS(status) == 0)
		return RESULT_STATUS_ON;
	return WEXITSTATUS(status) == 2 ? RESULT_STATUS_OFF : RESULT_FAILED;
}

static void log_end(const struct agent *a, int status, enum decide_result result)
{
	const char *name = agent_name(a->agents->options);

	if (result == RESULT_OFF_DONE)
		log_note("%s: off %s done in %u ms", name, a->plug, age_ms(a));
	else if (result == RESULT_STATUS_OFF || result == RESULT_STATUS_ON)
		log_note("%s: status of %s is %s, in %u ms", name, a->plug, result == RESULT_STATUS_OFF ? "off" : "on",
			 age_ms(a));
	else if (WIFSIGNALED(status))
		log_warn("%s: %s %s failed: killed by signal %d", name, verb(a), a->plug, WTERMSIG(status));
	else
		log_warn("%s: %s %s failed: exit status %d", name, verb(a), a->plug, WEXITSTATUS(status));
}

static void on_child(struct ev_loop *loop, ev_child *w, int revents)
{
	struct agent *a = w->data;
	struct agents *agents = a->agents;
	enum decide_result result = judge(a->off, w->rstatus);
	unsigned host = a->host;
	uint32_t ms = age_ms(a);
	bool dropped = a->dropped;

	(void)loop;
	(void)revents;
	if (!dropped)
		log_end(a, w->rstatus, result);
	free_agent(a);
	if (!dropped)
		agents->done(agents->context, host, result, ms);
}

static void on_timeout(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct agent *a = w->data;

	(void)loop;
	(void)revents;
	log_warn("%s: %s %s did not end in %u ms: killed", agent_name(a->agents->options), verb(a), a->plug,
		 a->agents->options->fence_timeout_ms);
	drop(a);
	a->agents->done(a->agents->context, a->host, RESULT_FAILED, age_ms(a));
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

static size_t compose(const struct agent *a, char *out, size_t size)
{
	const struct options *o = a->agents->options;
	size_t len = (size_t)snprintf(out, size, "action=%s\nplug=%s\n", verb(a), a->plug);

	for (unsigned i = 0; i < o->fence_options && len < size; i++)
		len += (size_t)snprintf(out + len, size - len, "%s\n", o->fence_option[i]);
	return len < size ? len : 0;
}

/* A pipe that holds what the agent is to read, at its end already. */
static int input_of(const struct agent *a)
{
	char input[INPUT_BYTES];
	size_t len = compose(a, input, sizeof(input));
	int fd[2], rc = 0;

	if (len == 0)
		return -E2BIG;
	if (pipe2(fd, O_CLOEXEC))
		return -errno;
	if (write(fd[1], input, len) != (ssize_t)len) {
		rc = -EIO;
		close(fd[0]);
	}
	close(fd[1]);
	return rc ? rc : fd[0];
}

static int spawn_with(posix_spawn_file_actions_t *files, posix_spawnattr_t *attr, const struct agent *a, int input,
		      pid_t *pid)
{
	const char *command = a->agents->options->fence_agent;
	char *copy = strdup(command);
	char *argv[] = { copy, NULL };
	sigset_t all, none;
	int rc;

	if (!copy)
		return ENOMEM;
	sigfillset(&all);
	sigemptyset(&none);
	rc = posix_spawn_file_actions_adddup2(files, input, STDIN_FILENO);
	if (rc == 0)
		rc = posix_spawn_file_actions_adddup2(files, STDERR_FILENO, STDOUT_FILENO);
	if (rc == 0)
		rc = posix_spawnattr_setflags(attr,
					      POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	if (rc == 0)
		rc = posix_spawnattr_setsigdefault(attr, &all);
	if (rc == 0)
		rc = posix_spawnattr_setsigmask(attr, &none);
	if (rc == 0)
		rc = posix_spawnp(pid, command, files, attr, argv, environ);
	free(copy);
	return rc;
}

static int spawn(const struct agent *a, pid_t *pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	int input = input_of(a), rc;

	if (input < 0)
		return input;
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	rc = spawn_with(&files, &attr, a, input, pid);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	close(input);
	return -rc;
}

static void watch(struct agent *a, pid_t pid)
{
	struct agents *agents = a->agents;

	ev_child_init(&a->child, on_child, pid, 0);
	ev_timer_init(&a->timeout, on_timeout, agents->options->fence_timeout_ms / 1000., 0.);
	a->child.data = a;
	a->timeout.data = a;
	ev_child_start(agents->loop, &a->child);
	ev_now_update(agents->loop);
	ev_timer_start(agents->loop, &a->timeout);
	a->next = agents->first;
	agents->first = a;
}

static int start(struct agents *agents, unsigned host, const char *plug, bool off)
{
	struct agent *a = calloc(1, sizeof(*a));
	pid_t pid;
	int rc;

	if (!a)
		return -ENOMEM;
	a->agents = agents;
	a->host = host;
	a->off = off;
	a->began_ms = clock_ms();
	strcpy(a->plug, plug);
	rc = spawn(a, &pid);
	if (rc)
		free(a);
	else
		watch(a, pid);
	return rc;
}

void agents_start(struct agents *agents, unsigned host, const char *plug, bool off)
{
	int rc;

	agents_stop(agents, host);
	if (!agents->options->fence_agent[0]) {
		log_warn("host %u: no fence agent is set; when %s is off: daxfsctl confirm-dead --host %u", host, plug,
			 host);
	} else if (!plug_makes_sense(plug)) {
		log_warn("host %u: \"%s\" is no name to fence by; when it is off: daxfsctl confirm-dead --host %u",
			 host, plug, host);
	} else {
		rc = start(agents, host, plug, off);
		if (rc == 0)
			return;
		log_warn("%s: cannot be run: %s", agents->options->fence_agent, strerror(-rc));
	}
	agents->done(agents->context, host, RESULT_FAILED, 0);
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
		if (a->host == host && !a->dropped)
			drop(a);
}

void agents_stop_all(struct agents *agents)
{
	for (struct agent *a = agents->first; a; a = a->next)
		if (!a->dropped)
			drop(a);
}

void agents_fini(struct agents *agents)
{
	agents_stop_all(agents);
	while (agents->first)
		free_agent(agents->first);
}
