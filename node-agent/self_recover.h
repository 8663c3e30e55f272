/* SPDX-License-Identifier: Apache-2.0 */
/*
 * self_recover.h - recovering one's own slot when nobody is left to do it.
 *
 * A dead host is recovered by a live one. If all have died (a power cut of the
 * whole pod, the memory lives) and come back under their old ids, each finds
 * its slot FENCED and nobody alive, or nobody of whom that is known yet. Then, or when nobody is
 * assigned for some looks (fabricd is down), this agent joins a free slot for the
 * time it takes, under its own name, recovers what it can, and leaves it again.
 * Killed meanwhile: one more host that died, of the same name, so that fencing
 * it hits the right machine.
 *
 * A recovery may take long: a large file is cut, or caches that the dead granted must run out. So what beats
 * and what recovers are threads, as of any host, which the caller has (`start`, `stop`); the steps only look.
 * Not for use after the agent has joined its own slot.
 */
#ifndef AGENT_STANDIN_H
#define AGENT_STANDIN_H

#include <stdbool.h>

#include "node-agent/recover.h"

struct self_recover {
	struct daxfs *fs;
	const char *pool; /* path */
	const char *name;
	const struct daxfs_identity *identity;
	struct recover *recover; /* told to see to `host`, too */
	/* Heart and recoverer of the slot that we stand in; start(): false if they do not live. NULL: each step beats
	 * and recovers, which is for simulators. */
	bool (*start)(void *context);
	void (*stop)(void *context);
	void *context;
	unsigned host;  /* the slot that is waited for */
	unsigned hosts; /* slots of the pool */

	/* private */
	unsigned waiting; /* looks in a row that found it FENCED */
	unsigned steps;   /* since it joined */
	unsigned slot;
	bool joined; /* `slot` */
	bool live;   /* started */
};

/*
 * Call on each attempt to join that found the slot taken. Returns true if it is
 * to be called again after one heartbeat; else whenever the slot is next tried.
 */
bool self_recover_step(struct self_recover *s);
/* Give up the free slot, if one is held. */
void self_recover_stop(struct self_recover *s);

#endif
