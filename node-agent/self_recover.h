/* SPDX-License-Identifier: Apache-2.0 */
/*
 * self_recover.h - is nobody left to recover this agent's slot?
 *
 * A dead host is recovered by a live one. If all have died (a power cut of the whole pod, the memory lives) and come
 * back under their old ids, each finds its slot FENCED and nobody alive, or nobody of whom that is known yet; or
 * RECOVERING by a host that has died since. Then, or when nobody is assigned for some looks (fabricd is down), this
 * agent recovers it itself (daxfs_revive).
 */
#ifndef AGENT_SELF_RECOVER_H
#define AGENT_SELF_RECOVER_H

#include <stdbool.h>

struct self_recover {
	const char *pool; /* path */
	unsigned host;    /* the slot that is waited for */
	unsigned waiting; /* looks in a row that found it without a recoverer */
};

/* Call on each attempt to join that found the slot taken: true, recover it. */
bool self_recover_due(struct self_recover *s);

#endif
