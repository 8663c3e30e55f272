/* SPDX-License-Identifier: Apache-2.0 */
/* beat_watch.c - see beat_watch.h. */
#include "node-agent/beat_watch.h"

#include <string.h>
#include <systemd/sd-daemon.h>

#include "common/hypervisor.h"
#include "common/log.h"

#define LATE_PERIODS 4 /* a beat later than so many periods is worth a line ... */
#define LATE_LOOKS 10  /* ... once in so many looks */

static void warn_of_hypervisor(const struct beat_watch *w)
{
	unsigned period_ms = w->beat->period_ms;

	if (w->guest && period_ms < HYPERVISOR_HEARTBEAT_MS)
		log_note("this machine is a guest: on a busy hypervisor a heartbeat of %u ms may cost its life; %u are "
			 "safer (daxfsctl heartbeat)",
			 period_ms, HYPERVISOR_HEARTBEAT_MS);
}

void beat_watch_begin(struct beat_watch *w, int realtime_error)
{
	w->fed = sd_watchdog_enabled(0, NULL) > 0;
	w->guest = hypervisor_here(w->root);
	w->stolen_ms = steal_ms(w->root);
	w->waited_ms = steal_waited_ms(w->root, atomic_load(&w->beat->tid));
	warn_of_hypervisor(w);
	if (realtime_error)
		log_warn("heartbeat is not real-time (%s): on a busy machine this host may be declared dead; run as "
			 "root (CAP_SYS_NICE, CAP_IPC_LOCK) or give --no-realtime",
			 strerror(-realtime_error));
}

void beat_watch_continued(struct beat_watch *w)
{
	w->continued = true;
}

/* -- late beats -------------------------------------------------------------------------- */

/* The latest since the last look, and what happened meanwhile. */
static struct lateness take_lateness(struct beat_watch *w)
{
	uint64_t stolen_ms = steal_ms(w->root), waited_ms = steal_waited_ms(w->root, atomic_load(&w->beat->tid));
	struct lateness l = {
		.late_ms = atomic_exchange(&w->beat->late_ms, 0),
		.stolen_ms = stolen_ms - w->stolen_ms,
		.waited_ms = waited_ms - w->waited_ms,
		.guest = w->guest,
		.continued = w->continued,
	};

	w->stolen_ms = stolen_ms;
	w->waited_ms = waited_ms;
	w->continued = false;
	return l;
}

static void say_late(const struct lateness *l, unsigned period_ms)
{
	switch (late_cause(l)) {
	case LATE_STOLEN:
		log_warn("a heartbeat was %u ms late (of %u): the hypervisor took %llu ms of this guest's time since "
			 "a second ago; a longer one: daxfsctl heartbeat",
			 l->late_ms, period_ms, (unsigned long long)l->stolen_ms);
		break;
	case LATE_UNSEEN:
		log_warn("a heartbeat was %u ms late (of %u), and nothing in this guest had the processor: its "
			 "hypervisor stopped it; a longer one: daxfsctl heartbeat",
			 l->late_ms, period_ms);
		break;
	case LATE_SIGNAL:
	case LATE_LOAD:
		log_warn("a heartbeat was %u ms late (one is due every %u ms): this machine is overloaded or stopped",
			 l->late_ms, period_ms);
		break;
	}
}

static void look_at_lateness(struct beat_watch *w)
{
	unsigned period_ms = w->beat->period_ms;
	struct lateness now = take_lateness(w);
	enum late_cause cause = late_cause(&now);

	if (now.late_ms > LATE_PERIODS * period_ms && w->guest && (cause == LATE_STOLEN || cause == LATE_UNSEEN))
		lengthen_for(&w->lengthen, now.late_ms);
	if (now.late_ms > w->worst.late_ms)
		w->worst = now;
	if (w->late_pause > 0) {
		w->late_pause--;
		return;
	}
	if (w->worst.late_ms > LATE_PERIODS * period_ms) {
		say_late(&w->worst, period_ms);
		w->late_pause = LATE_LOOKS;
	}
	w->worst = (struct lateness){ .late_ms = 0 };
}

static void look_at_beats(struct beat_watch *w)
{
	bool withheld = atomic_load(&w->beat->withheld);
	int error = atomic_load(&w->beat->error);

	if (withheld && !w->withheld)
		log_fail("a worker has been inside one call for over %u s: not beating until it returns",
			 BEAT_STUCK_MS / 1000);
	if (!withheld && w->withheld)
		log_note("workers make progress again: beating");
	w->withheld = withheld;
	if (error && error != w->error)
		log_fail("heartbeat failed: %s; run daxfsctl check", strerror(-error));
	w->error = error;
}

/* Alive, to the service manager, is what it is to the pod: beating. */
static void feed_watchdog(struct beat_watch *w)
{
	unsigned long long beats = atomic_load(&w->beat->beats);

	if (w->fed && beats != w->beats)
		sd_notify(0, "WATCHDOG=1");
	w->beats = beats;
}

void beat_watch_look(struct beat_watch *w)
{
	look_at_lateness(w);
	look_at_beats(w);
	feed_watchdog(w);
}
