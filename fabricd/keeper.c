/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper.c - see keeper.h. fabricd has one thread, so that its child may go on without exec. It
 * touches no pool: that is not mapped in a child.
 */
#include "fabricd/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Before ordinary work, for recovery waits for it; and not before what beats, which is real-time. */
#define AGENT_NICE (-20)

enum { KEEPER_ALIVE = 3 }; /* where the keeper has its end of the pipe, and nothing behind it */

static void default_signals(void)
{
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void be_agent(const char *program)
{
	char name[] = "fence agent: cannot be run: ";
	const char *why;

	setpgid(0, 0);
	close(KEEPER_ALIVE);
	execl(program, program, (char *)NULL);
	why = strerror(errno);
	if (write(STDERR_FILENO, name, sizeof(name) - 1) < 0 || write(STDERR_FILENO, why, strlen(why)) < 0)
		_exit(126);
	_exit(127);
}

/* Until the agent has ended, or fabricd. The agent is not reaped before its group is: its number stays its own. */
static _Noreturn void keep(pid_t agent)
{
	struct pollfd wait[2] = { { .fd = KEEPER_ALIVE, .events = POLLIN }, { .fd = -1, .events = POLLIN } };
	int status = 0;

	wait[1].fd = (int)syscall(SYS_pidfd_open, agent, 0);
	if (wait[1].fd < 0)
		kill(-agent, SIGKILL);
	while (wait[1].fd >= 0 && poll(wait, 2, -1) < 0)
		;
	kill(-agent, SIGKILL);
	waitpid(agent, &status, 0);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static _Noreturn void be_keeper(const char *program, int input, int output, int alive)
{
	pid_t agent;

	default_signals();
	setpriority(PRIO_PROCESS, 0, AGENT_NICE); /* or not, where it is not allowed */
	signal(SIGTERM, SIG_IGN);                 /* of the service manager to all of the unit: fabricd says when */
	signal(SIGINT, SIG_IGN);
	if (dup2(alive, KEEPER_ALIVE) < 0 || dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
	    dup2(output, STDERR_FILENO) < 0)
		_exit(126);
	syscall(SYS_close_range, KEEPER_ALIVE + 1, ~0u, 0);
	agent = fork();
	if (agent == 0) {
		signal(SIGTERM, SIG_DFL);
		signal(SIGINT, SIG_DFL);
		be_agent(program);
	}
	if (agent < 0)
		_exit(126);
	setpgid(agent, agent); /* whoever is first */
	keep(agent);
}

/* -- fabricd's side --------------------------------------------------------------------- */

struct pipes {
	int input[2], output[2], alive[2];
};

static void close_all(struct pipes *p)
{
	int *fd[] = { p->input, p->output, p->alive };

	for (unsigned i = 0; i < 6; i++)
		if (fd[i / 2][i % 2] >= 0)
			close(fd[i / 2][i % 2]);
}

/* The keeper's ends of them are above the numbers that it puts them at. */
static int open_all(struct pipes *p, const char *input, size_t len)
{
	*p = (struct pipes){ { -1, -1 }, { -1, -1 }, { -1, -1 } };
	if (pipe2(p->input, O_CLOEXEC) || pipe2(p->output, O_CLOEXEC) || pipe2(p->alive, O_CLOEXEC))
		return -errno;
	for (int *fd = p->input; fd; fd = fd == p->input ? p->output : fd == p->output ? p->alive : NULL)
		for (unsigned i = 0; i < 2; i++) {
			int high = fd[i] > KEEPER_ALIVE ? fd[i] : fcntl(fd[i], F_DUPFD_CLOEXEC, KEEPER_ALIVE + 1);

			if (high < 0)
				return -errno;
			if (high != fd[i])
				close(fd[i]);
			fd[i] = high;
		}
	if (fcntl(p->output[0], F_SETFL, O_NONBLOCK))
		return -errno;
	return write(p->input[1], input, len) == (ssize_t)len ? 0 : -EIO;
}

int keeper_start(const char *program, const char *input, size_t len, struct keeper *out)
{
	struct pipes p;
	int rc = open_all(&p, input, len);
	pid_t pid = rc ? -1 : fork();

	if (pid == 0) {
		/* The one that must not stay open in here, nor in a keeper that is started later: see close_range. */
		close(p.alive[1]);
		be_keeper(program, p.input[0], p.output[1], p.alive[0]);
	}
	if (pid < 0) {
		rc = rc ? rc : -errno;
		close_all(&p);
		return rc;
	}
	*out = (struct keeper){ .pid = pid, .alive = p.alive[1], .output = p.output[0] };
	p.alive[1] = p.output[0] = -1;
	close_all(&p);
	return 0;
}
