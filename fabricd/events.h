/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.h - each entry into a state logged once, with its reason.
 *
 * Our own moves are logged when they succeeded; those of hosts, of recoverers
 * and of another manager when a poll sees them. A state that came and went
 * between two polls is not.
 */
#ifndef FABRICD_EVENTS_H
#define FABRICD_EVENTS_H

#include "fabricd/decide.h"

struct events {
	struct events_host {
		bool known;
		enum daxfs_host_state state;
		uint32_t generation;
		enum daxfs_reason reason; /* FENCING: the last one logged */
		struct daxfs_recovery last;
	} host[DECIDE_HOSTS_MAX];
	bool recovered;               /* since we began to watch */
	struct daxfs_recovery newest; /* of any slot; valid if recovered */
};

/* A poll saw this. */
void events_saw(struct events *events, const struct daxfs_host_view *v);
/* Our move succeeded; agent is the name of the fence agent, or empty. */
void events_moved(struct events *events, const struct daxfs_host_view *seen, const struct decide_action *a,
		  const char *agent);
/* The recoverer of a host died, and is counted. */
void events_recoverer_died(const struct daxfs_host_view *seen);

#endif
