/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount_helper.c - `mount -t daxfs POOL DIR -o host=3,...`, and a line of fstab.
 *
 * It starts an agent of its own for the mount and waits until that serves it. Not a unit of systemd: mount(8)
 * mounts in the namespace of its caller, which may be a container, and works where there is no systemd; a unit that
 * is started while systemd mounts what fstab says would wait for that very mount. The agent replaces the process
 * that serves by itself. What only a unit has is the watchdog, and a restart if the process that was started is
 * killed: daxfs-node-agent(8).
 *
 * The agent ends when DIR is unmounted. Until the mount is there its lines come to us, and warnings and errors go on
 * to our stderr (with -v all of them); afterwards nobody has the other end, and they go to the machine's log
 * (common/log.h).
 *
 * Killed meanwhile, it leaves an agent that goes on mounting; asked to stop (SIGINT, SIGTERM) it stops the agent
 * and waits for its end.
 */
#include "node-agent/mount_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node-agent/agent.h"
#include "node-agent/mount_request.h"

#define NAME "mount.daxfs"
#define BADNESS "-900" /* of the out-of-memory killer's, as the unit has it: this host's death is not to be cheap */

static const char usage[] = "usage: mount -t daxfs POOL DIR -o host=N[,OPTION...]\n"
			    "See mount.daxfs(8).\n";

struct helper {
	const struct mount_request *request;
	char program[PATH_MAX];
	int signals; /* a descriptor of them */
	int lines;   /* the agent's stderr; -1: closed */
	int ready;   /* what it says to NOTIFY_SOCKET */
	char ready_name[64];
	sigset_t before;
	pid_t agent;
	bool stopped;
	char said[4096]; /* the beginning of a line */
	size_t said_bytes;
};

static int say(int status, const char *text)
{
	fprintf(stderr, NAME ": %s\n", text);
	return status;
}

static int say_errno(const char *what)
{
	fprintf(stderr, NAME ": %s: %s\n", what, strerror(errno));
	return MOUNT_EXIT_SYSTEM;
}

bool mount_helper_is(const char *argv0)
{
	const char *name = argv0 ? strrchr(argv0, '/') : NULL;

	name = name ? name + 1 : argv0;
	return name && strncmp(name, "mount.", strlen("mount.")) == 0;
}

/* -- the agent's process ------------------------------------------------------------------------ */

/* A container may not: then it is as cheap as others. */
static void set_badness(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, BADNESS, strlen(BADNESS));

	if (fd >= 0)
		close(fd);
	(void)n;
}

/* Of nobody's terminal, in nobody's directory. */
static void become_agent(struct helper *h, int lines)
{
	int null = open("/dev/null", O_RDWR);

	if (setsid() < 0 || chdir("/") < 0 || null < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(null, STDOUT_FILENO) < 0 || dup2(lines, STDERR_FILENO) < 0)
		_exit(AGENT_EXIT_FAILED);
	if (null > STDERR_FILENO)
		close(null);
	umask(077);
	set_badness();
	unsetenv("WATCHDOG_USEC");
	setenv("JOURNAL_STREAM", NAME, 1); /* lines begin with what they are */
	setenv("NOTIFY_SOCKET", h->ready_name, 1);
	sigprocmask(SIG_SETMASK, &h->before, NULL);
	execv(h->program, h->request->argument);
	fprintf(stderr, "<3>" NAME ": cannot run %s: %s\n", h->program, strerror(errno));
	_exit(AGENT_EXIT_FAILED);
}

/* A name that the kernel chooses, in no directory. */
static int listen_for_ready(struct helper *h)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	socklen_t size = sizeof(at);

	h->ready = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (h->ready < 0 || bind(h->ready, (struct sockaddr *)&at, sizeof(at.sun_family)) < 0 ||
	    getsockname(h->ready, (struct sockaddr *)&at, &size) < 0)
		return -1;
	snprintf(h->ready_name, sizeof(h->ready_name), "@%.*s",
		 (int)(size - offsetof(struct sockaddr_un, sun_path) - 1), at.sun_path + 1);
	return 0;
}

static int start_agent(struct helper *h)
{
	ssize_t n = readlink("/proc/self/exe", h->program, sizeof(h->program) - 1);
	sigset_t set;
	int pair[2];

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, &h->before);
	h->signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (n < 0 || h->signals < 0 || listen_for_ready(h) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	h->program[n] = '\0';
	h->lines = pair[0];
	h->agent = fork();
	if (h->agent == 0)
		become_agent(h, pair[1]);
	close(pair[1]);
	return h->agent < 0 ? -1 : 0;
}

/* -- waiting for it ------------------------------------------------------------------------------- */

/* "<4>text": what it is, and the text. */
static void pass_on(const struct helper *h, const char *line)
{
	bool marked = line[0] == '<' && line[1] >= '0' && line[1] <= '7' && line[2] == '>';

	if (!marked || line[1] <= '4' || h->request->verbose)
		fprintf(stderr, "%s\n", marked ? line + 3 : line);
}

static void hear_lines(struct helper *h)
{
	ssize_t n = read(h->lines, h->said + h->said_bytes, sizeof(h->said) - 1 - h->said_bytes);
	char *line = h->said, *end;

	if (n <= 0) {
		close(h->lines);
		h->lines = -1;
		return;
	}
	h->said_bytes += (size_t)n;
	h->said[h->said_bytes] = '\0';
	while ((end = strchr(line, '\n')) != NULL) {
		*end = '\0';
		pass_on(h, line);
		line = end + 1;
	}
	h->said_bytes -= (size_t)(line - h->said);
	memmove(h->said, line, h->said_bytes);
	if (h->said_bytes == sizeof(h->said) - 1) /* no line of the agent is that long */
		h->said_bytes = 0;
}

static bool hear_ready(const struct helper *h)
{
	char text[512];
	ssize_t n = recv(h->ready, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	return strstr(text, "READY=1") != NULL;
}

static int status_of(const struct helper *h, int status)
{
	if (h->stopped)
		return MOUNT_EXIT_STOPPED;
	if (WIFSIGNALED(status))
		fprintf(stderr, NAME ": the agent was killed by signal %d\n", WTERMSIG(status));
	if (WIFEXITED(status) && WEXITSTATUS(status) == AGENT_EXIT_USAGE)
		return MOUNT_EXIT_USAGE;
	return MOUNT_EXIT_FAILED;
}

/* A signal: -1, or the status to end with. */
static int hear_signal(struct helper *h)
{
	struct signalfd_siginfo info;
	int status;

	if (read(h->signals, &info, sizeof(info)) != sizeof(info))
		return -1;
	if (info.ssi_signo != SIGCHLD) {
		h->stopped = true;
		kill(h->agent, SIGTERM);
	}
	if (waitpid(h->agent, &status, WNOHANG) != h->agent)
		return -1;
	while (h->lines >= 0) /* its last words; a child that served has ended with it */
		hear_lines(h);
	return status_of(h, status);
}

static int await_mount(struct helper *h)
{
	int status = -1;

	while (status < 0) {
		struct pollfd in[] = { { .fd = h->ready, .events = POLLIN },
				       { .fd = h->signals, .events = POLLIN },
				       { .fd = h->lines, .events = POLLIN } };

		if (poll(in, 3, -1) < 0 && errno != EINTR)
			return say_errno("cannot wait for the agent");
		if (in[2].revents)
			hear_lines(h);
		if (in[0].revents && hear_ready(h))
			status = MOUNT_EXIT_OK;
		else if (in[1].revents)
			status = hear_signal(h);
	}
	return status;
}

/* -- what is asked --------------------------------------------------------------------------------- */

/* Flags that are not given are cleared, as mount(8) means it: it hands over those that are to stay. */
static int remount(const struct mount_request *r)
{
	if (mount(r->source, r->dir, NULL, MS_REMOUNT | r->options.flags, NULL) == 0)
		return MOUNT_EXIT_OK;
	fprintf(stderr, NAME ": cannot remount %s: %s\n", r->dir,
		errno == EBUSY    ? "files are open for writing"
		: errno == EINVAL ? "nothing is mounted there"
				  : strerror(errno));
	return MOUNT_EXIT_FAILED;
}

static int enter_namespace(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = fd < 0 ? -1 : setns(fd, CLONE_NEWNS);

	if (fd >= 0)
		close(fd);
	return rc;
}

int mount_helper(int argc, char **argv)
{
	static struct mount_request request;
	static struct helper helper;
	struct daxfs_error err;

	if (mount_request_parse(&request, argc, argv, &err) != 0)
		return say(MOUNT_EXIT_USAGE, err.text);
	if (request.help) {
		fputs(usage, stdout);
		return MOUNT_EXIT_OK;
	}
	if (request.namespace && enter_namespace(request.namespace) < 0)
		return say_errno(request.namespace);
	if (request.fake)
		return MOUNT_EXIT_OK;
	if (request.remount)
		return remount(&request);
	helper.request = &request;
	if (start_agent(&helper) < 0)
		return say_errno("cannot start an agent");
	return await_mount(&helper);
}
