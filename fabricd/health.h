/* SPDX-License-Identifier: Apache-2.0 */
/*
 * health.h - what is wrong with the pod, on which host, and since when.
 *
 * A condition is a reason for which the pod is DEGRADED: it works, but less of it may fail than should. It begins when
 * a poll first sees it; the state of a host, when the pool's events say that it was entered. The primary
 * records what begins and ends, but for states of hosts, which are events themselves. One thread.
 */
#ifndef FABRICD_HEALTH_H
#define FABRICD_HEALTH_H

#include <stdbool.h>
#include <stddef.h>

#include "daxfs/events.h"
#include "fabricd/decide.h"

struct watch;

enum health_code {
	HEALTH_HOST_SUSPECT = 0,
	HEALTH_HOST_FENCING,
	HEALTH_HOST_FENCED,
	HEALTH_HOST_RECOVERING,
	HEALTH_RECOVERY_GIVEN_UP, /* as many as may died of it */
	HEALTH_SLOT_DAMAGED,
	HEALTH_HOST_ABSENT, /* is expected, and has no slot */
	HEALTH_NO_BACKUP,   /* of a primary that should have one */
	HEALTH_FENCE_BROKEN,
	HEALTH_LATE, /* polls were late in the last minute */
	HEALTH_POOL_UNREADABLE,
	HEALTH_CODES
};

#define HEALTH_MAX (2 * DECIDE_HOSTS_MAX + 64u + HEALTH_CODES)

struct health_condition {
	enum health_code code;
	int host;          /* -1: of the pod */
	unsigned which;    /* of several without a host: number of an expected host */
	uint64_t since_ns; /* CLOCK_REALTIME */
	bool seen;         /* by the poll that is going on */
	char text[120];
};

/* what the pool's events say of a host's last state */
struct health_entered {
	enum daxfs_host_state state;
	uint32_t generation;
	uint64_t wall_ns;
};

struct health {
	bool began;
	unsigned n;
	struct health_condition condition[HEALTH_MAX];
	struct health_entered entered[DECIDE_HOSTS_MAX];
	uint64_t late_polls, late_ns; /* how many, when that was seen to grow */
};

/* "host-fencing" and the like: what programs ask for. */
const char *health_name(enum health_code code);
/* After a poll: what is wrong now. */
void health_poll(struct health *h, struct watch *w);

#endif
