/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.h - each entry into a state logged once, with its reason; and, of our own moves, recorded in the pool.
 *
 * Our own moves are logged when they succeeded; those of hosts, of recoverers
 * and of another manager when a poll sees them. A state that came and went
 * between two polls is not. Recorded, in the pool's ring, is what we did and, once, what we found when we
 * became primary: hosts record what they do themselves.
 */
#ifndef FABRICD_EVENTS_H
#define FABRICD_EVENTS_H

#include "daxfs/events.h"
#include "fabricd/decide.h"

/* Records an event in the pool; may fail, and nobody cares. */
typedef void (*events_record)(void *context, const struct daxfs_event *e);

struct events {
	const char *pool;     /* its name, for the journal; NULL: not known */
	events_record record; /* NULL: nobody does */
	void *context;
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
/* Our move succeeded; agent is the name of the fence agent, or empty; beats: when the host beat last, or empty. */
void events_moved(struct events *events, const struct daxfs_host_view *seen, const struct decide_action *a,
		  const char *agent, const char *beats);
/* The recoverer of a host died, and is counted. */
void events_recoverer_died(struct events *events, const struct daxfs_host_view *seen);
/* We are primary now; the former one is what the manager's line said. */
void events_primary(struct events *events, uint32_t epoch, const struct daxfs_manager_view *former);
/* A new primary found a host so. */
void events_found(struct events *events, const struct daxfs_host_view *v);

#endif
