/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beat_watch.h - what the event loop makes of the heartbeat, once a second: lines of the log, signs of life to the
 * service manager, and a longer heartbeat where the hypervisor stops this guest.
 */
#ifndef AGENT_BEAT_WATCH_H
#define AGENT_BEAT_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "node-agent/beat.h"
#include "node-agent/lengthen.h"
#include "node-agent/steal.h"

struct beat_watch {
	/* set by the caller */
	struct beat *beat;
	struct lengthen lengthen;
	const char *root; /* "", see steal.h */

	/* private */
	bool fed; /* the service manager waits for signs of life */
	bool guest;
	bool continued; /* since the last look */

	/* what was seen last */
	unsigned long long beats;
	uint64_t stolen_ms, waited_ms;
	struct lateness worst; /* since the last line about lateness */
	unsigned late_pause;   /* looks for which nothing is said of lateness */
	int error;
	bool withheld;
};

/* The heart of a host that is to serve has begun. realtime_error: why at ordinary priority, 0: it is not. */
void beat_watch_begin(struct beat_watch *w, int realtime_error);
/* Once a second, or as often as the service manager wants to hear of it. */
void beat_watch_look(struct beat_watch *w);
/* SIGCONT: this process may have been stopped, and the heart with it. */
void beat_watch_continued(struct beat_watch *w);

#endif
