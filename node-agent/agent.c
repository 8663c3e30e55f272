/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.c - the life of the process that serves a mount; supervisor.c begins it, and the next one.
 *
 *   pool -> join (perhaps after waiting) -> beat, recover, mount -> serve
 *        -> unmount -> stop recovering, beating -> leave
 *   pool -> go on with slot, open files and mount of one that died -> beat, recover -> serve ...
 *
 * Threads: this one (an event loop: signals, timers, news from the others),
 * the heartbeat, the recovery, FUSE's loop and its workers. How far all is, is
 * one word (phase.h). The others wake this one by ev_async only.
 *
 * Whatever is wrong before the join leaves nothing behind; whatever is wrong
 * after it is undone in reverse. Two ways out do not go that way: being killed
 * (the next process goes on, see estate.h), and being declared dead (on_dead()).
 */
#include "node-agent/agent.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/log.h"
#include "node-agent/beat.h"
#include "node-agent/beat_watch.h"
#include "node-agent/mountpoint.h"
#include "node-agent/phase.h"
#include "node-agent/proof.h"
#include "node-agent/recover.h"
#include "node-agent/session.h"
#include "node-agent/self_recover.h"

#define JOIN_RETRY_S 0.2
#define JOIN_QUIET_S 1         /* a tenant that is leaving is not worth a line */
#define REVIVE_US "3600000000" /* as a hang: what recovery takes is a matter of sizes */
#define TICK_S 1.0
#define EXPIRE_TICKS 30 /* until then the kernel has sent again what it will */

struct agent {
	const struct config *config;
	struct estate *estate;
	struct daxfs *fs;
	struct daxfs_geometry geometry;
	struct beat beat;
	struct recover recover;
	struct session session;
	struct dropper dropper;
	enum agent_exit status;
	char name[32];
	struct daxfs_identity identity; /* zeros: not known */
	int lock_error;                 /* of beat_lock_memory() */
	int realtime_error;             /* why the heart beats at ordinary priority, although asked otherwise */

	struct ev_loop *loop;
	struct ev_signal stop[4], cont;
	struct ev_timer join;
	struct ev_timer tick;
	struct ev_async news;
	struct self_recover own; /* while we wait for the slot */
	double join_until;
	agent_phase_word phase;
	struct beat_watch watch;

	/* what the last tick saw */
	unsigned recovered_seen, ticks;
};

static void finish(struct agent *a, enum agent_exit status)
{
	if (a->status == AGENT_EXIT_OK)
		a->status = status;
	ev_break(a->loop, EVBREAK_ALL);
}

static enum agent_phase phase_of(struct agent *a)
{
	return atomic_load(&a->phase);
}

/* -- news from other threads ------------------------------------------------ */

/*
 * In the heartbeat's thread. Nothing of this process may touch the pool any
 * more, so it ends here, workers and all: no unwinding, no leave. The mount
 * goes first so that new users see an empty directory, not a dead mount; files
 * that are still open get ENOTCONN once the process is gone.
 */
static void on_dead(void *context)
{
	struct agent *a = context;

	if (phase_of(a) >= AGENT_MOUNTING)
		session_abandon(&a->session);
	log_fail("declared dead by the pod (host slot %d): stopped using pool %s; start again once it is recovered",
		 a->config->host, a->geometry.name);
	_exit(AGENT_EXIT_DEAD);
}

static void notify_status(const struct agent *a)
{
	unsigned recovered = atomic_load(&a->recover.recovered);

	sd_notifyf(0, "STATUS=host %d (%s) of pool %s on %s%s", a->config->host, a->name, a->geometry.name,
		   a->session.mountpoint, recovered ? "; has recovered others" : "");
}

/* In a worker: the kernel has shaken hands. */
static void on_ready(void *context)
{
	struct agent *a = context;

	if (!agent_phase_move(&a->phase, AGENT_SERVING))
		return;
	log_note("%s pool %s on %s, %u workers", a->session.channel.goes_on ? "goes on serving" : "serving",
		 a->geometry.name, a->session.mountpoint, a->session.threads);
	notify_status(a);
	sd_notify(0, "READY=1");
}

/* In the thread of FUSE's loop. */
static void on_ended(void *context)
{
	struct agent *a = context;

	agent_phase_move(&a->phase, AGENT_ENDED);
	ev_async_send(a->loop, &a->news);
}

static void on_news(struct ev_loop *loop, struct ev_async *w, int events)
{
	struct agent *a = w->data;
	int error = atomic_load(&a->session.error);

	(void)loop;
	(void)events;
	if (phase_of(a) != AGENT_ENDED)
		return;
	if (error)
		log_fail("the mount has failed: %s; leaving", strerror(error < 0 ? -error : EIO));
	else
		log_warn("%s was unmounted; leaving", a->session.mountpoint);
	finish(a, error ? AGENT_EXIT_FAILED : AGENT_EXIT_OK);
}

/* -- once a second ------------------------------------------------------------ */

static void on_tick(struct ev_loop *loop, struct ev_timer *w, int events)
{
	struct agent *a = w->data;
	unsigned recovered = atomic_load(&a->recover.recovered);
	bool mounted = phase_of(a) >= AGENT_MOUNTING;

	(void)loop;
	(void)events;
	beat_watch_look(&a->watch);
	if (mounted && ++a->ticks == EXPIRE_TICKS)
		estate_expire(a->estate);
	if (mounted)
		lookup_pins_drop(&a->session.ops.pins, LOOKUP_PINS_KEEP_MS);
	if (recovered != a->recovered_seen && phase_of(a) == AGENT_SERVING)
		notify_status(a);
	a->recovered_seen = recovered;
}

/* -- up ------------------------------------------------------------------------- */

static void start_beating(struct agent *a)
{
	int error, realtime_error;

	a->beat.fs = a->fs;
	a->beat.period_ms = daxfs_heartbeat_ms(a->fs);
	a->beat.stuck_ms = BEAT_STUCK_MS;
	a->beat.realtime = a->config->realtime;
	a->beat.dead = on_dead;
	a->beat.context = a;
	error = beat_start(&a->beat, &realtime_error);
	if (error) {
		log_fail("cannot start the heartbeat: %s", strerror(-error));
		finish(a, AGENT_EXIT_FAILED);
		return;
	}
	agent_phase_move(&a->phase, AGENT_BEATING);
	a->realtime_error = realtime_error ? realtime_error : a->lock_error;
}

static void start_recovering(struct agent *a)
{
	int error;

	a->recover.fs = a->fs;
	error = recover_start(&a->recover);
	if (error) {
		log_fail("cannot start the recovery thread: %s", strerror(-error));
		finish(a, AGENT_EXIT_FAILED);
		return;
	}
	agent_phase_move(&a->phase, AGENT_RECOVERING);
}

/* Two lanes are left for recovery and for whoever asks for status: a worker
 * more than lanes would only wait for one. */
static unsigned workers(const struct agent *a)
{
	unsigned lanes = a->geometry.lanes_per_host, n = a->config->threads;

	if (n == 0)
		n = lanes > 2 ? lanes - 2 : 1;
	if (a->geometry.lease_ms && lanes > 2 && n > lanes - 2) /* an answer that others wait for gets a lane */
		n = lanes - 2;
	return n < lanes ? n : lanes;
}

static void start_serving(struct agent *a)
{
	struct daxfs_error err;

	a->session.threads = workers(a);
	a->session.options = a->config->options;
	a->session.estate = a->estate;
	a->session.lease_ms = a->geometry.lease_ms;
	a->session.keeps = a->config->attr_timeout_s > 0 ? KERNEL_KEEPS_NOTHING : a->config->keeps;
	a->session.ops.fs = a->fs;
	a->session.ops.host = (unsigned)a->config->host;
	a->session.ops.timeout_s = a->config->attr_timeout_s;
	a->session.ops.backing_config = a->config->backing;
	a->session.ops.n_backings = a->config->n_backings;
	a->session.ops.dirty_max = a->config->dirty_max;
	a->session.ready = on_ready;
	a->session.context = a;
	a->session.ended = on_ended;
	agent_phase_move(&a->phase, AGENT_MOUNTING);
	if (session_start(&a->session, &err) != 0) {
		agent_phase_move(&a->phase, AGENT_RECOVERING);
		log_fail("%s", err.text);
		finish(a, AGENT_EXIT_MOUNT);
	}
}

/* Hosts of a pool in a file are processes of one machine, which stop with whoever judges them: see lengthen.h. */
static void watch_beat(struct agent *a)
{
	a->watch.beat = &a->beat;
	a->watch.root = "";
	a->watch.lengthen = (struct lengthen){
		.pool = proof_is_device(a->config->pool) ? a->config->pool : NULL,
		.host = (unsigned)a->config->host,
	};
	beat_watch_begin(&a->watch, a->realtime_error);
}

static void start_all(struct agent *a)
{
	double tick_s = TICK_S;
	uint64_t usec;

	if (phase_of(a) == AGENT_JOINED)
		start_beating(a);
	watch_beat(a);
	if (phase_of(a) == AGENT_BEATING)
		start_recovering(a);
	if (phase_of(a) == AGENT_RECOVERING)
		start_serving(a);
	if (sd_watchdog_enabled(0, &usec) > 0 && (double)usec / 2e6 < tick_s)
		tick_s = (double)usec / 2e6;
	ev_timer_init(&a->tick, on_tick, tick_s, tick_s);
	a->tick.data = a;
	ev_timer_start(a->loop, &a->tick);
}

static void refuse_join(struct agent *a, int error, const struct daxfs_error *err)
{
	log_fail("cannot join pool %s: %s%s", a->geometry.name, err->text,
		 error == -EBUSY && !a->config->join_wait_s ? " (--join-wait S waits for it)" : "");
	if (error == -EBUSY)
		finish(a, AGENT_EXIT_BUSY);
	else
		finish(a, error == -EINVAL || error == -EEXIST || error == -ENAMETOOLONG ? AGENT_EXIT_USAGE
											 : AGENT_EXIT_FAILED);
}

static void wait_for_slot(struct agent *a, const struct daxfs_error *err)
{
	if (ev_now(a->loop) > a->join_until - a->config->join_wait_s + JOIN_QUIET_S &&
	    agent_phase_move(&a->phase, AGENT_WAITING)) {
		log_warn("waiting up to %u s for the host slot: %s", a->config->join_wait_s, err->text);
		sd_notifyf(0, "STATUS=waiting for host slot %d of pool %s", a->config->host, a->geometry.name);
	}
	sd_notify(0, "EXTEND_TIMEOUT_USEC=5000000");
	ev_timer_set(&a->join, JOIN_RETRY_S, 0.);
	ev_timer_start(a->loop, &a->join);
}

/* The slot is ours, and what it holds of a dead tenant is next: that may take longer than a silence may. */
static void on_alive(void *context)
{
	struct agent *a = context;

	agent_phase_move(&a->phase, AGENT_JOINED);
	log_note("no host is there to recover host slot %d: recovering it before it is served", a->config->host);
	start_beating(a);
}

static int revive(struct agent *a, struct daxfs_error *err)
{
	struct daxfs_recovery report;
	int error;

	sd_notify(0, "EXTEND_TIMEOUT_USEC=" REVIVE_US);
	error = daxfs_revive(a->fs, (unsigned)a->config->host, a->name, &a->identity, on_alive, a, &report, err);
	if (!error)
		recover_log(&report);
	return error;
}

static void warn_of_memory(const struct agent *a)
{
	struct daxfs_coherence proof;
	bool tested = daxfs_coherence_proof(a->fs, &proof) == 0;
	const char *warning = proof_warning(proof_is_device(a->config->pool), a->geometry.hosts,
					    tested ? &proof : NULL);

	if (warning)
		log_warn("pool %s: %s", a->geometry.name, warning);
}

static void on_join(struct ev_loop *loop, struct ev_timer *w, int events)
{
	struct agent *a = w->data;
	struct daxfs_error err;
	int error = daxfs_join_as(a->fs, (unsigned)a->config->host, a->name, &a->identity, &err);

	(void)events;
	if (error == -EBUSY && self_recover_due(&a->own))
		error = revive(a, &err);
	if ((error == -EBUSY || error == -EEXIST) && phase_of(a) < AGENT_JOINED && ev_now(loop) < a->join_until) {
		wait_for_slot(a, &err);
		return;
	}
	if (error) {
		refuse_join(a, error, &err);
		return;
	}
	agent_phase_move(&a->phase, AGENT_JOINED);
	log_note("joined pool %s as host %d (%s)%s", a->geometry.name, a->config->host, a->name,
		 daxfs_stores_checked(a->fs) ? "" : "; stores are not checked, for there are no restartable sequences");
	warn_of_memory(a);
	start_all(a);
}

/* -- down ----------------------------------------------------------------------- */

static void on_stop(struct ev_loop *loop, struct ev_signal *w, int events)
{
	struct agent *a = w->data;

	(void)loop;
	(void)events;
	if (w->signum == AGENT_REPLACE) { /* to the next one: as if it were killed, but the pod waits */
		daxfs_away(a->fs, AGENT_AWAY_MS);
		_exit(AGENT_EXIT_OK);
	}
	log_note("%s: stopping", w->signum == SIGTERM ? "SIGTERM" : w->signum == SIGINT ? "SIGINT" : "SIGHUP");
	finish(a, AGENT_EXIT_OK);
}

static void on_continued(struct ev_loop *loop, struct ev_signal *w, int events)
{
	struct agent *a = w->data;

	(void)loop;
	(void)events;
	beat_watch_continued(&a->watch);
}

static void leave(struct agent *a)
{
	int error = daxfs_leave(a->fs);

	if (error == -ESTALE) {
		log_fail("declared dead by the pod while stopping");
		a->status = AGENT_EXIT_DEAD;
	} else if (error) {
		log_fail("cannot leave pool %s: %s; it will recover this host", a->geometry.name, strerror(-error));
		a->status = AGENT_EXIT_FAILED;
	} else {
		log_note("left pool %s", a->geometry.name);
	}
}

/* The heart beats until no worker and no recovery is left. */
static void stop_all(struct agent *a)
{
	enum agent_phase phase = phase_of(a); /* MOUNTING and what follows it are the same to us */

	sd_notify(0, "STOPPING=1");
	if (phase >= AGENT_MOUNTING)
		session_stop(&a->session);
	if (phase >= AGENT_RECOVERING)
		recover_stop(&a->recover);
	if (phase >= AGENT_BEATING)
		beat_stop(&a->beat);
	if (phase >= AGENT_MOUNTING && !session_is_stuck(&a->session))
		session_free(&a->session);
	if (phase >= AGENT_JOINED)
		leave(a);
	if (session_is_stuck(&a->session))
		_exit(a->status); /* a thread may come back from storage to what would have been freed */
}

/* -- checks before anything is taken --------------------------------------------- */

static enum agent_exit refuse(enum agent_exit status, const struct daxfs_error *err)
{
	log_fail("%s", err->text);
	return status;
}

/* A name is what this host is fenced by: it is not cut, for two that are cut may be one. */
static enum agent_exit choose_name(struct agent *a)
{
	char machine[256] = "";
	struct daxfs_error err;

	if (a->config->name[0]) {
		memcpy(a->name, a->config->name, sizeof(a->name));
		return AGENT_EXIT_OK;
	}
	if (gethostname(machine, sizeof(machine) - 1) < 0 || machine[0] == '\0')
		snprintf(machine, sizeof(machine), "host%d", a->config->host);
	if (strlen(machine) < sizeof(a->name)) {
		memcpy(a->name, machine, strlen(machine) + 1);
		return AGENT_EXIT_OK;
	}
	daxfs_error_set(&err, -ENAMETOOLONG, "the machine's name %s is longer than %zu bytes: give one with --name",
			machine, sizeof(a->name) - 1);
	return refuse(AGENT_EXIT_USAGE, &err);
}

static enum agent_exit open_pool(struct agent *a)
{
	struct daxfs_error err;

	if (daxfs_open(a->config->pool, DAXFS_READ_WRITE, &a->fs, &err) != 0)
		return refuse(AGENT_EXIT_POOL, &err);
	daxfs_geometry(a->fs, &a->geometry);
	if (pool_uuid_check(&a->config->pool_uuid, &a->geometry, a->config->pool, &err)) {
		daxfs_close(a->fs);
		return refuse(AGENT_EXIT_POOL, &err);
	}
	if ((unsigned)a->config->host + 1 < a->geometry.hosts)
		return AGENT_EXIT_OK;
	daxfs_close(a->fs);
	if ((unsigned)a->config->host + 1 == a->geometry.hosts)
		daxfs_error_set(&err, -EINVAL,
				"host %d is the spare slot of pool %s, from which commands work: give 0 to %u",
				a->config->host, a->geometry.name, a->geometry.hosts - 2);
	else
		daxfs_error_set(&err, -EINVAL, "pool %s has no host %d: give 0 to %u", a->geometry.name,
				a->config->host, a->geometry.hosts - 2);
	return refuse(AGENT_EXIT_USAGE, &err);
}

static void watch_signals(struct agent *a)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, AGENT_REPLACE };

	for (int i = 0; i < 4; i++) {
		ev_signal_init(&a->stop[i], on_stop, signals[i]);
		a->stop[i].data = a;
		ev_signal_start(a->loop, &a->stop[i]);
	}
	ev_signal_init(&a->cont, on_continued, SIGCONT);
	a->cont.data = a;
	ev_signal_start(a->loop, &a->cont);
	ev_async_init(&a->news, on_news);
	a->news.data = a;
	ev_async_start(a->loop, &a->news);
}

static void on_going_on(struct ev_loop *loop, struct ev_timer *w, int events)
{
	(void)loop;
	(void)events;
	start_all(w->data);
}

static void serve(struct agent *a)
{
	watch_signals(a);
	ev_timer_init(&a->join, phase_of(a) == AGENT_JOINED ? on_going_on : on_join, 0., 0.);
	a->join.data = a;
	ev_timer_start(a->loop, &a->join);
	a->join_until = ev_now(a->loop) + a->config->join_wait_s;
	a->own = (struct self_recover){ .pool = a->config->pool, .host = (unsigned)a->config->host };
	ev_run(a->loop, 0);
	stop_all(a);
}

/* -- a life ------------------------------------------------------------------------- */

/* Nobody else will ever serve the mount: its users are told. */
static enum agent_exit go_on(struct agent *a)
{
	struct daxfs_error err = { .text = "" };
	int error = estate_take_over(a->estate, a->fs, (unsigned)a->config->host, &err);

	if (!error) {
		agent_phase_move(&a->phase, AGENT_JOINED);
		return AGENT_EXIT_OK;
	}
	mountpoint_abort(a->session.mountpoint);
	return refuse(error == -ESTALE ? AGENT_EXIT_DEAD : AGENT_EXIT_FAILED, &err);
}

/* Before there are threads. */
static enum agent_exit start_dropper(struct agent *a)
{
	const struct config *c = a->config;
	int error;

	if (!a->geometry.lease_ms || c->keeps != KERNEL_KEEPS_ALL || c->attr_timeout_s > 0)
		return AGENT_EXIT_OK;
	error = dropper_start(&a->dropper, a->estate->fuse_fd);
	if (!error)
		return AGENT_EXIT_OK;
	log_fail("cannot start a process: %s", strerror(-error));
	return AGENT_EXIT_FAILED;
}

static enum agent_exit begin(struct agent *a)
{
	enum agent_exit status;

	if (a->config->realtime)
		a->lock_error = beat_lock_memory();
	status = open_pool(a);
	if (status == AGENT_EXIT_OK)
		status = start_dropper(a);
	if (status == AGENT_EXIT_OK && estate_is_mounted(a->estate))
		status = go_on(a);
	return status;
}

static enum agent_exit serve_all(struct agent *a)
{
	enum agent_exit status = AGENT_EXIT_FAILED;

	a->loop = ev_default_loop(EVFLAG_AUTO);
	if (a->loop) {
		serve(a);
		status = a->status;
	} else {
		log_fail("cannot start the event loop");
	}
	daxfs_close(a->fs);
	return status;
}

enum agent_exit agent_live(const struct config *config, struct estate *estate, const char *mountpoint,
			   const struct daxfs_identity *identity)
{
	struct agent a;
	enum agent_exit status;

	memset(&a, 0, sizeof(a));
	a.config = config;
	a.estate = estate;
	a.identity = *identity;
	snprintf(a.session.mountpoint, sizeof(a.session.mountpoint), "%s", mountpoint);
	a.session.dropper = &a.dropper;
	status = choose_name(&a);
	if (status == AGENT_EXIT_OK && estate_enter(estate) != 0)
		status = AGENT_EXIT_FAILED;
	if (status == AGENT_EXIT_OK)
		status = begin(&a);
	if (status == AGENT_EXIT_OK)
		status = serve_all(&a);
	dropper_end(&a.dropper);
	return status;
}
