/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.c - libfuse's session around our own mount.
 *
 * libfuse gets the mounted /dev/fuse descriptor and reads and writes it by way of a
 * channel, so it neither mounts nor unmounts. Its multi-threaded loop runs in a thread of ours and
 * makes the workers.
 *
 * The loop ends by itself when the kernel ends the connection (somebody
 * unmounted), and on session_stop(). Workers finish the request they are in.
 */
#include "node-agent/session.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "node-agent/mountpoint.h"
#include "node-agent/thread.h"

#define NUDGE_MS 50 /* how often the loop is woken until it has ended */

static void log_fuse(enum fuse_log_level level, const char *format, va_list args)
{
	char text[512];

	vsnprintf(text, sizeof(text), format, args);
	if (level <= FUSE_LOG_ERR)
		log_fail("%s", text);
	else if (level <= FUSE_LOG_NOTICE)
		log_warn("%s", text);
}

/* Interrupts the loop's wait; there is nothing else to do. */
static void on_nudge(int signal)
{
	(void)signal;
}

static void *session_main(void *context)
{
	struct session *s = context;
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	sigset_t nudge;
	int error = -ENOMEM;

	sigemptyset(&nudge);
	sigaddset(&nudge, SIGUSR1);
	pthread_sigmask(SIG_UNBLOCK, &nudge, NULL);
	if (config) {
		fuse_loop_cfg_set_clone_fd(config, 0); /* the channel has clones of its own */
		fuse_loop_cfg_set_max_threads(config, s->threads);
		fuse_loop_cfg_set_idle_threads(config, s->threads);
		error = fuse_session_loop_mt(s->se, config);
		fuse_loop_cfg_destroy(config);
	}
	atomic_store(&s->error, error);
	atomic_store(&s->over, true);
	s->ended(s->context);
	return NULL;
}

static int start_thread(struct session *s)
{
	struct sigaction nudge = { .sa_handler = on_nudge };

	sigemptyset(&nudge.sa_mask);
	sigaction(SIGUSR1, &nudge, NULL);
	return thread_start(&s->thread, NULL, session_main, s);
}

/* The connection belongs to the session if this succeeds. */
static int new_session(struct session *s)
{
	char name[] = "daxfs";
	char *argv[] = { name, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_session *se;
	int error;

	fuse_set_log_func(log_fuse);
	se = fuse_session_new(&args, &ops_table, sizeof(ops_table), &s->ops);
	fuse_opt_free_args(&args);
	if (!se)
		return -ENOMEM;
	error = channel_attach(&s->channel, se);
	if (error == 0)
		atomic_store(&s->se, se);
	else
		fuse_session_destroy(se);
	return error;
}

/* What the kernel keeps; if that is names, data, too: of fixed files, or of all if there is a dropper. */
static int start_caches(struct session *s)
{
	int error = kernel_cache_start(&s->ops.cache, s->ops.fs, &s->channel, s->estate, s->lease_ms, s->keeps);

	if (error || !kernel_cache_keeps_names(&s->ops.cache))
		return error;
	error = kernel_pages_start(&s->ops.pages, &s->channel, s->estate, s->dropper->pid ? s->dropper : NULL,
				   ops_getattr_dropping);
	if (error)
		kernel_cache_stop(&s->ops.cache);
	return error;
}

/* No worker is left. */
static void stop_caches(struct session *s)
{
	kernel_pages_quiesce(&s->ops.pages);
	kernel_pages_stop(&s->ops.pages);
	kernel_cache_stop(&s->ops.cache);
}

static int connect_session(struct session *s, int fd)
{
	int error = channel_greet(&s->channel, fd, s->estate, s->ops.fs);

	if (error)
		return error;
	s->channel.served = s->ready;
	s->channel.context = s->context;
	s->channel.told = &s->ops.told;
	if (!(s->channel.can & CHANNEL_MAPPINGS))
		log_note("this kernel has no shared mappings (MAP_SHARED) of files here: 6.6 or newer is needed");
	if (!(s->channel.can & CHANNEL_RESENDS))
		log_note("this kernel does not send requests again (6.9 does): what is in progress fails if this "
			 "process dies");
	error = start_caches(s);
	if (error)
		return error;
	error = new_session(s);
	if (error)
		stop_caches(s);
	return error;
}

/* The connection, mounted and known to libfuse, which gets a descriptor of its own. */
static int connect_kernel(struct session *s, struct daxfs_error *err)
{
	bool goes_on = estate_is_mounted(s->estate);
	int fd = fcntl(s->estate->fuse_fd, F_DUPFD_CLOEXEC, 0), error = 0;

	if (fd < 0)
		return daxfs_error_set(err, -errno, "cannot use the connection: %s", strerror(errno));
	if (!goes_on)
		error = mountpoint_mount(s->mountpoint, fd, &s->options, err);
	if (error)
		goto close_fd;
	error = connect_session(s, fd);
	if (!error)
		return 0;
	snprintf(err->text, sizeof(err->text), "libfuse cannot start a session: %s", strerror(-error));
	mountpoint_detach(s->mountpoint);
close_fd:
	close(fd);
	return error;
}

int session_start(struct session *s, struct daxfs_error *err)
{
	int error;

	s->ops.channel = &s->channel;
	s->ops.estate = s->estate;
	error = ops_start(&s->ops);
	if (error) {
		snprintf(err->text, sizeof(err->text), "cannot start workers: %s", strerror(-error));
		return error;
	}
	error = connect_kernel(s, err);
	if (error)
		goto stop_ops;
	error = start_thread(s);
	if (!error)
		return 0;
	snprintf(err->text, sizeof(err->text), "cannot start workers: %s", strerror(-error));
	mountpoint_detach(s->mountpoint);
	stop_caches(s);
	fuse_session_destroy(s->se);
stop_ops:
	ops_stop(&s->ops);
	return error;
}

static bool ended_within(pthread_t thread, long ms)
{
	const struct timespec until = clock_deadline(CLOCK_REALTIME, ms); /* pthread_timedjoin_np's clock */

	return pthread_timedjoin_np(thread, NULL, &until) == 0;
}

/*
 * The loop checks its exit flag and then waits: a signal in between is missed,
 * so it is repeated. (A plain unmount wakes it too, a lazy one does not.)
 */
void session_stop(struct session *s)
{
	if (!atomic_load(&s->over))
		mountpoint_unmount(s->mountpoint);
	kernel_pages_quiesce(&s->ops.pages); /* its reads are answered by workers */
	fuse_session_exit(s->se);
	do
		pthread_kill(s->thread, SIGUSR1);
	while (!ended_within(s->thread, NUDGE_MS));
	ops_quiesce(&s->ops); /* threads of backings use the caches, too */
	stop_caches(s);
}

bool session_is_stuck(const struct session *s)
{
	return s->ops.backings.stuck || s->ops.pages.stuck;
}

void session_free(struct session *s)
{
	fuse_session_destroy(s->se);
	ops_stop(&s->ops);
}

void session_abandon(struct session *s)
{
	struct fuse_session *se = atomic_load(&s->se);

	if (se)
		fuse_session_exit(se);
	mountpoint_abort(s->mountpoint);
}
