/* SPDX-License-Identifier: Apache-2.0 */
/* beat_watch.c - see beat_watch.h. */
#include "node-agent/beat_watch.h"

#include <string.h>
#include <systemd/sd-daemon.h>

#include "common/log.h"
#include "node-agent/steal.h"

#define LATE_PERIODS 4 /* a beat later than so many periods is worth a line ... */
#define LATE_LOOKS 10  /* ... once in so many looks */

void beat_watch_begin(struct beat_watch *w, struct beat *beat, int realtime_error)
{
	*w = (struct beat_watch){ .beat = beat, .fed = sd_watchdog_enabled(0, NULL) > 0, .stolen_ms = steal_ms() };
	steal_warn(beat->period_ms);
	if (realtime_error)
		log_warn("heartbeat is not real-time (%s): on a busy machine this host may be declared dead; run as "
			 "root (CAP_SYS_NICE, CAP_IPC_LOCK) or give --no-realtime",
			 strerror(-realtime_error));
}

static void look_at_lateness(struct beat_watch *w)
{
	unsigned period_ms = w->beat->period_ms, late_ms;
	uint64_t stolen_ms = steal_ms() - w->stolen_ms;

	w->stolen_ms += stolen_ms;
	if (w->late_pause > 0) {
		w->late_pause--;
		return;
	}
	late_ms = atomic_exchange(&w->beat->late_ms, 0);
	if (late_ms <= LATE_PERIODS * period_ms)
		return;
	if (stolen_ms > late_ms / 2)
		log_warn("a heartbeat was %u ms late (of %u): the hypervisor took %llu ms of this guest's time since "
			 "a second ago; a longer one: daxfsctl heartbeat",
			 late_ms, period_ms, (unsigned long long)stolen_ms);
	else
		log_warn("a heartbeat was %u ms late (one is due every %u ms): this machine is overloaded or stopped",
			 late_ms, period_ms);
	w->late_pause = LATE_LOOKS;
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
