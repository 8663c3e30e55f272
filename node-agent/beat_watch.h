/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beat_watch.h - what the event loop makes of the heartbeat, once a second: lines of the log, and signs of life to
 * the service manager.
 */
#ifndef AGENT_BEAT_WATCH_H
#define AGENT_BEAT_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "node-agent/beat.h"

struct beat_watch {
	struct beat *beat;
	bool fed; /* the service manager waits for signs of life */

	/* private: what was seen last */
	unsigned long long beats;
	uint64_t stolen_ms;
	unsigned late_pause; /* looks for which nothing is said of lateness */
	int error;
	bool withheld;
};

/* The heart of a host that is to serve has begun. realtime_error: why at ordinary priority, 0: it is not. */
void beat_watch_begin(struct beat_watch *w, struct beat *beat, int realtime_error);
/* Once a second, or as often as the service manager wants to hear of it. */
void beat_watch_look(struct beat_watch *w);

#endif
