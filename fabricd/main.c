/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - fabricd: the event loop around watch.c.
 *
 * One thread. A timer polls the pool, child watchers wait for fence agents, the
 * control socket answers, SIGTERM and SIGINT end it. Dying at any point is
 * fine: what was decided is in the pool, and what was not is decided again by
 * the backup or the next start.
 */
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/await_pool.h"
#include "common/log.h"
#include "fabricd/control.h"
#include "fabricd/sigbus.h"
#include "fabricd/unix_listen.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_POOL = 4 };

struct fabricd {
	struct ev_loop *loop;
	struct options options;
	struct watch watch;
	struct agents agents;
	struct control control;
	ev_timer poll;
	ev_signal term, interrupt;
	bool ready;
	uint64_t watchdog_ms; /* 0: nobody asked */
	uint64_t watchdog_last_ms;
	char summary[256];
};

/* -- the service manager -------------------------------------------------------- */

static void notify_watchdog(struct fabricd *f)
{
	uint64_t now_ms = watch_clock_ms();

	if (f->watchdog_ms == 0 || now_ms - f->watchdog_last_ms < f->watchdog_ms / 4)
		return;
	sd_notify(0, "WATCHDOG=1");
	f->watchdog_last_ms = now_ms;
}

static void notify(struct fabricd *f)
{
	char summary[sizeof(f->summary)];

	notify_watchdog(f);
	watch_summary(&f->watch, summary, sizeof(summary));
	if (f->ready && strcmp(summary, f->summary) == 0)
		return;
	memcpy(f->summary, summary, sizeof(summary));
	sd_notifyf(0, "%sSTATUS=%s", f->ready ? "" : "READY=1\n", summary);
	f->ready = true;
}

/* -- the loop ------------------------------------------------------------------- */

/* Armed again after each poll, so that two polls are never closer than a heartbeat. */
static void on_poll(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct fabricd *f = w->data;

	(void)revents;
	watch_poll(&f->watch);
	if (f->watch.foreign) {
		log_fail("%s: stopping", f->watch.what.text);
		ev_break(loop, EVBREAK_ALL);
		return;
	}
	gaps_poll(&f->watch.gaps, &f->watch);
	health_poll(&f->watch.health, &f->watch);
	notify(f);
	ev_now_update(loop);
	ev_timer_set(w, f->watch.geometry.heartbeat_ms / 1000., 0.);
	ev_timer_start(loop, w);
}

static void on_signal(struct ev_loop *loop, ev_signal *w, int revents)
{
	(void)revents;
	log_note("stopping: %s", strsignal(w->signum));
	ev_break(loop, EVBREAK_ALL);
}

static void run(struct fabricd *f)
{
	ev_signal_init(&f->term, on_signal, SIGTERM);
	ev_signal_init(&f->interrupt, on_signal, SIGINT);
	ev_signal_start(f->loop, &f->term);
	ev_signal_start(f->loop, &f->interrupt);
	ev_timer_init(&f->poll, on_poll, 0., 0.);
	f->poll.data = f;
	ev_timer_start(f->loop, &f->poll);
	ev_run(f->loop, 0);
	sd_notify(0, "STOPPING=1");
	agents_fini(&f->agents);
	control_close(&f->control);
	watch_close(&f->watch);
}

/* -- setting up ------------------------------------------------------------------- */

/* Descriptors 0 to 2 exist, so that nothing of ours becomes an agent's stdin. */
static int own_std_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO && fcntl(fd, F_SETFD, 0) == 0);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* A manager that runs late judges nobody. Its agents have no real-time priority: see keeper.c. */
static void be_realtime(void)
{
	struct sched_param param = { .sched_priority = 20 };
	struct rlimit limit;

	if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &param))
		log_warn("no real-time priority (%s): a busy machine may make it late; run as root, or --no-realtime",
			 strerror(errno));
	/* With a limit on locked memory a later allocation would fail, not this call. */
	if (geteuid() != 0 && (getrlimit(RLIMIT_MEMLOCK, &limit) || limit.rlim_cur != RLIM_INFINITY))
		log_warn("memory is not locked: raise the limit (ulimit -l unlimited), or --no-realtime");
	else if (mlockall(MCL_CURRENT | MCL_FUTURE))
		log_warn("memory is not locked: %s", strerror(errno));
}

/* The pool that is meant; opened, nothing in it has been changed. */
static int open_pool(struct fabricd *f, struct daxfs_error *err)
{
	int rc = watch_open(&f->watch, &f->options, &f->agents, err);

	if (rc)
		return rc;
	rc = pool_uuid_check(&f->options.pool_uuid, &f->watch.geometry, f->watch.path, err);
	if (rc)
		watch_close(&f->watch);
	return rc;
}

/* The group that --group names; LISTEN_OWNER if none. */
static int find_group(const char *name, gid_t *out, struct daxfs_error *err)
{
	const struct group *group = name[0] ? getgrnam(name) : NULL;

	*out = group ? group->gr_gid : LISTEN_OWNER;
	if (name[0] && !group)
		return daxfs_error_set(err, -EINVAL, "group %s: there is none: groupadd --system %s", name, name);
	return 0;
}

static int open_control(struct fabricd *f, struct daxfs_error *err)
{
	char path[OPTIONS_SOCKET_MAX];
	gid_t group;
	int rc = find_group(f->options.group, &group, err);

	snprintf(path, sizeof(path), "%s", f->options.socket);
	if (rc == 0 && !path[0])
		rc = control_default_path(f->watch.geometry.name, path, sizeof(path), err);
	return rc ? rc : control_open(&f->control, f->loop, &f->watch, path, group, err);
}

static void greet(const struct fabricd *f)
{
	const struct daxfs_geometry *g = &f->watch.geometry;

	log_note("pool %s at %s: %u host slots, heartbeat %u ms; control socket %s; fence agent %s", g->name,
		 f->watch.path, g->hosts, g->heartbeat_ms, f->control.path,
		 f->options.fence[0].agent[0] ? f->options.fence[0].agent : "none");
	if (!f->options.fence[0].agent[0])
		log_warn("no fence agent is set: a dead host that nothing proves over stays FENCING until "
			 "daxfsctl confirm-dead");
}

static void ask_watchdog(struct fabricd *f)
{
	uint64_t usec = 0;

	if (sd_watchdog_enabled(0, &usec) > 0)
		f->watchdog_ms = usec / 1000 ? usec / 1000 : 1;
}

static int fabricd_main(struct fabricd *f)
{
	struct daxfs_error err = { "" };

	if (own_std_files() || guard_install() || signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		return EXIT_FAILED;
	f->loop = ev_default_loop(EVFLAG_AUTO);
	if (!f->loop) {
		log_fail("no event loop: %s", strerror(errno));
		return EXIT_FAILED;
	}
	agents_init(&f->agents, f->loop, &f->options, watch_agent_done, &f->watch);
	if (agents_check(&f->options, &err)) {
		log_fail("%s", err.text);
		return EXIT_USAGE;
	}
	await_pool(f->options.pool, f->options.pool_wait_s);
	if (open_pool(f, &err)) {
		log_fail("%s", err.text);
		return EXIT_POOL;
	}
	if (open_control(f, &err)) {
		log_fail("%s", err.text);
		watch_close(&f->watch);
		return EXIT_FAILED;
	}
	if (f->options.realtime)
		be_realtime();
	greet(f);
	agents_monitor(&f->agents);
	ask_watchdog(f);
	run(f);
	return f->watch.foreign ? EXIT_POOL : 0;
}

int main(int argc, char **argv)
{
	static struct fabricd f; /* large: not on the stack */
	enum settings_action action;
	struct daxfs_error err = { "" };

	log_start("fabricd", 0); /* what waits for its log judges hosts late */
	if (options_parse(argc, argv, &f.options, &action, &err)) {
		fprintf(stderr, "fabricd: %s\n", err.text);
		return EXIT_USAGE;
	}
	if (action == SETTINGS_HELP) {
		fputs(options_usage, stdout);
		return 0;
	}
	if (action == SETTINGS_VERSION) {
		printf("fabricd %s\n", daxfs_version());
		return 0;
	}
	return fabricd_main(&f);
}
