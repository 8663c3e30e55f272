/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor.c - the process that stays: it keeps the mount while those that serve it come and go.
 *
 * It holds the connection to the kernel and the estate (estate.h), starts a process that serves
 * (agent.c) and waits for its end. One that ends by itself has unmounted and left the pool, or says
 * why it could not: then this one ends with its status. One that is killed (a crash, the
 * OOM killer, kill -9) leaves all as it was, and the next one goes on: to programs that is a
 * pause. It has to come before the pod misses the heartbeat.
 *
 * Only it knows for certain that the former process has ended and stores nothing more: it is its
 * parent. If this one dies, the process that serves is killed with it: that is the death of the
 * host's agent, and the pod's to see to. The kernel does that before anybody can see that this one has
 * ended, which is what others take for the end of both (daxfs_identity_kin). Unless a service manager keeps
 * the mount (fd_store.h): then the next supervisor goes on with it, and with the host's slot, if it comes before
 * the pod has missed the heartbeat. So does the one that `systemctl restart` starts.
 *
 * SIGHUP: an upgrade without a service manager. The process that serves is killed, this one runs the program
 * that is now at its path, with the same descriptors, and goes on. One whose estate is of another
 * layout ends, as it would if it were killed.
 *
 * A process that dies again and again, of the same request perhaps, is replaced DEATHS_MAX times in
 * DEATHS_S seconds; then the mount goes, and the host is recovered like any other.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/await_pool.h"
#include "common/clock.h"
#include "common/log.h"
#include "node-agent/agent.h"
#include "node-agent/estate.h"
#include "node-agent/fd_store.h"
#include "node-agent/mountpoint.h"

#define DEATHS_MAX 10u
#define DEATHS_S 2
#define INHERITED "DAXFS_AGENT_ESTATE" /* memory, connection: descriptors of the former program */

struct supervisor {
	const struct config *config;
	struct estate estate;
	struct daxfs_identity identity;
	char mountpoint[PATH_MAX];
	char program[PATH_MAX]; /* ours, as it was called when we began */
	sigset_t waited, before;
	pid_t child;
	unsigned deaths;
	int64_t died_s[DEATHS_MAX]; /* the last, in turn */
};

/* -- beginning --------------------------------------------------------------------------- */

static enum agent_exit refuse(enum agent_exit status, const struct daxfs_error *err)
{
	log_fail("%s", err->text);
	return status;
}

/*
 * The slot's tenant is this process, though the program in it is another: while it lives, nobody can prove that the
 * tenant is over, and the machine would be fenced for that. So a child begins anew, and proves it. (Under a service
 * manager, the next start of the unit does.)
 */
static void be_another_process(void)
{
	if (fork() > 0)
		_exit(AGENT_EXIT_FAILED);
}

/* Of a program that was replaced by this one. What cannot be gone on with: nobody will serve its mount. */
static bool inherit_from_program(struct supervisor *s)
{
	const char *text = getenv(INHERITED), *dir = getenv(INHERITED "_DIR");
	struct daxfs_error err;
	int fd, fuse_fd;
	char *end;

	if (!text)
		return false;
	fd = (int)strtol(text, &end, 10);
	if (*end != ',')
		return false;
	fuse_fd = (int)strtol(end + 1, &end, 10);
	unsetenv(INHERITED);
	if (estate_inherit(&s->estate, fd, fuse_fd, &err) == 0)
		return true;
	log_fail("%s", err.text);
	if (dir)
		mountpoint_detach(dir);
	close(fuse_fd);
	be_another_process();
	return false;
}

/* The mount is there, so its directory is not looked at. */
static bool inherits(struct supervisor *s)
{
	if (!inherit_from_program(s) && !fd_store_inherit(&s->estate))
		return false;
	if (estate_is_mounted(&s->estate) && estate_is_of(&s->estate, s->config)) {
		snprintf(s->mountpoint, sizeof(s->mountpoint), "%s", estate_mountpoint(&s->estate));
		return true;
	}
	if (estate_is_mounted(&s->estate)) {
		log_warn("the settings of %s have changed: mounting it anew", estate_mountpoint(&s->estate));
		mountpoint_detach(estate_mountpoint(&s->estate));
	}
	estate_close(&s->estate);
	fd_store_forget();
	return false;
}

static enum agent_exit prepare(struct supervisor *s)
{
	const struct config *c = s->config;
	struct daxfs_error err;
	ssize_t n = readlink("/proc/self/exe", s->program, sizeof(s->program) - 1);

	s->program[n > 0 ? n : 0] = '\0';
	if (!inherits(s)) {
		if (mountpoint_prepare(c->mount, c->options.nonempty, s->mountpoint, &err) != 0 ||
		    estate_create(&s->estate, &err) != 0)
			return refuse(AGENT_EXIT_MOUNT, &err);
		estate_place(&s->estate, c, s->mountpoint);
		if (fd_store_keep(&s->estate))
			estate_kept(&s->estate);
	}
	return AGENT_EXIT_OK;
}

/* This process's, which stays: while it lives, the slot is not over. */
static void identify(struct supervisor *s)
{
	const struct config *c = s->config;
	struct daxfs_error err;

	if (daxfs_identity_here(c->machine_file, c->boot_file, &s->identity, &err))
		log_warn("this machine has no id (%s): if this host dies, only its fence agent or the operator can "
			 "prove it",
			 err.text);
}

/* The service manager's watchdog names this process; the one that serves is to feed it. */
static void pass_watchdog_on(void)
{
	const char *pid = getenv("WATCHDOG_PID");

	if (pid && strtol(pid, NULL, 10) == (long)getpid())
		unsetenv("WATCHDOG_PID"); /* anybody of the unit, then */
}

static void wait_for_signals(struct supervisor *s)
{
	static const int signals[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP };

	sigemptyset(&s->waited);
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaddset(&s->waited, signals[i]);
	sigprocmask(SIG_BLOCK, &s->waited, &s->before);
}

/* -- processes that serve ------------------------------------------------------------------ */

static int start_child(struct supervisor *s)
{
	pid_t parent = getpid();

	s->child = fork();
	if (s->child < 0)
		return -errno;
	if (s->child > 0)
		return 0;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(AGENT_EXIT_FAILED);
	sigprocmask(SIG_SETMASK, &s->before, NULL);
	_exit(agent_live(s->config, &s->estate, s->mountpoint, &s->identity));
}

static bool dies_too_often(struct supervisor *s)
{
	int64_t now_s = clock_ms() / 1000, *oldest = &s->died_s[s->deaths++ % DEATHS_MAX], since = now_s - *oldest;

	*oldest = now_s;
	return s->deaths > DEATHS_MAX && since < DEATHS_S;
}

/* It was killed. True: another one goes on. */
static bool replace_child(struct supervisor *s, int signal)
{
	if (!estate_is_mounted(&s->estate)) {
		log_fail("killed by signal %d (%s) before it served", signal, strsignal(signal));
		return false;
	}
	if (dies_too_often(s)) {
		log_fail("killed by signal %d (%s) again and again: giving up", signal, strsignal(signal));
		mountpoint_abort(s->mountpoint);
		return false;
	}
	log_warn("killed by signal %d (%s): another process goes on with the mount", signal, strsignal(signal));
	if (start_child(s) == 0)
		return true;
	log_fail("cannot start another process: %s", strerror(errno));
	mountpoint_abort(s->mountpoint);
	return false;
}

/* The child may have ended: -1: there is one. */
static int look_at_child(struct supervisor *s)
{
	int status;

	if (waitpid(s->child, &status, WNOHANG) != s->child)
		return -1;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return replace_child(s, WTERMSIG(status)) ? -1 : AGENT_EXIT_FAILED;
}

/*
 * Another process will go on: this one says so to the pod and ends where it is, whatever it is doing. One that does
 * not hear is killed; the pod then waits for the next one as for any that dies.
 */
static void end_child(struct supervisor *s)
{
	static const struct timespec patience = { .tv_nsec = AGENT_REPLACE_NS };
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	kill(s->child, AGENT_REPLACE);
	sigtimedwait(&child, NULL, &patience);
	kill(s->child, SIGKILL);
	waitpid(s->child, NULL, 0);
}

/* -- upgrade ---------------------------------------------------------------------------------- */

static char **own_arguments(char *buf, size_t size, char **argv, size_t max)
{
	FILE *file = fopen("/proc/self/cmdline", "re");
	size_t n = file ? fread(buf, 1, size - 1, file) : 0, argc = 0;

	if (file)
		fclose(file);
	buf[n] = '\0';
	for (size_t at = 0; at < n && argc + 1 < max; at += strlen(buf + at) + 1)
		argv[argc++] = buf + at;
	argv[argc] = NULL;
	return argc ? argv : NULL;
}

/* What this program was called with, read again: does it still ask for the mount that is there? */
static bool settings_fit(const struct supervisor *s)
{
	static char buf[65536], *argv[256];
	static struct config now;
	enum settings_action action;
	struct daxfs_error err;
	int argc = 0;

	if (!own_arguments(buf, sizeof(buf), argv, sizeof(argv) / sizeof(argv[0])))
		return false;
	while (argv[argc])
		argc++;
	if (config_parse(argc, argv, &now, &action, &err) != 0) {
		log_fail("%s", err.text);
		return false;
	}
	if (!config_same_mount(&now, s->config))
		log_warn("the settings of %s have changed: it has to be mounted anew", s->mountpoint);
	return config_same_mount(&now, s->config);
}

/* Returns only if it cannot be done; then the old program goes on. */
static void run_anew(struct supervisor *s)
{
	static char buf[65536], *argv[256], text[32];

	end_child(s);
	snprintf(text, sizeof(text), "%d,%d", s->estate.fd, s->estate.fuse_fd);
	setenv(INHERITED, text, 1);
	setenv(INHERITED "_DIR", s->mountpoint, 1);
	estate_pass_on(&s->estate);
	sigprocmask(SIG_SETMASK, &s->before, NULL);
	if (own_arguments(buf, sizeof(buf), argv, sizeof(argv) / sizeof(argv[0])))
		execv(s->program, argv);
	sigprocmask(SIG_BLOCK, &s->waited, NULL);
	log_fail("cannot run %s anew: %s; going on with the old program", s->program, strerror(errno));
	unsetenv(INHERITED);
	if (start_child(s) != 0)
		log_fail("cannot start another process: %s", strerror(errno));
}

static void reload(struct supervisor *s)
{
	if (!settings_fit(s)) {
		log_fail("SIGHUP: going on as before; restart, to mount %s anew", s->mountpoint);
		return;
	}
	log_note("SIGHUP: running %s anew, with the mount as it is", s->program);
	run_anew(s);
}

/* -- restart: another supervisor will go on --------------------------------------------------- */

/* The mount and the slot stay as they are; nothing of this program stores any more. */
static bool let_go(struct supervisor *s)
{
	if (!estate_is_kept(&s->estate) || !estate_is_mounted(&s->estate) || !fd_store_restarting() || !settings_fit(s))
		return false;
	log_note("being started anew: %s waits for the next process", s->mountpoint);
	end_child(s);
	return true;
}

static int watch(struct supervisor *s)
{
	int signal, status;

	for (;;) {
		signal = sigwaitinfo(&s->waited, NULL);
		if (signal == SIGCHLD) {
			status = look_at_child(s);
			if (status >= 0) {
				fd_store_forget();
				return status;
			}
		} else if (signal == SIGHUP && estate_is_mounted(&s->estate)) {
			reload(s);
		} else if (signal == SIGTERM && let_go(s)) {
			return AGENT_EXIT_OK;
		} else if (signal > 0) {
			kill(s->child, signal);
		}
	}
}

int agent_run(const struct config *config)
{
	static struct supervisor s;
	enum agent_exit status;
	char who[48];

	memset(&s, 0, sizeof(s));
	s.config = config;
	snprintf(who, sizeof(who), AGENT_NAME " host %d", config->host);
	log_start(who, AGENT_LOG_PATIENCE_MS);
	signal(SIGPIPE, SIG_IGN);
	await_pool(config->pool, config->join_wait_s);
	status = prepare(&s);
	if (status != AGENT_EXIT_OK)
		return status;
	identify(&s);
	pass_watchdog_on();
	wait_for_signals(&s);
	if (start_child(&s) == 0)
		return watch(&s);
	log_fail("cannot start a process: %s", strerror(errno));
	return AGENT_EXIT_FAILED;
}
