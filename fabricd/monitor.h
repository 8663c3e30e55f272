/* SPDX-License-Identifier: Apache-2.0 */
/*
 * monitor.h - one poll: read the pool, decide, act.
 *
 * The only part of fabricd that touches the pool. What a poll saw stays in
 * `in` until the next, and is what the control socket answers from. One thread.
 */
#ifndef FABRICD_WATCH_H
#define FABRICD_WATCH_H

#include "fabricd/fence_agent.h"
#include "fabricd/decide.h"
#include "fabricd/events.h"
#include "fabricd/gaps.h"
#include "fabricd/health.h"

struct watch {
	char path[PATH_MAX];
	struct daxfs_member *member;
	struct daxfs_geometry geometry;
	struct agents *agents;
	const struct options *options;
	struct daxfs_identity here; /* zeros: not known */
	struct decide decide;
	struct decide_input in;
	struct decide_action actions[DECIDE_ACTIONS_MAX];
	unsigned n_actions;
	struct events events;
	struct gaps gaps;     /* likewise: gaps_poll */
	struct health health; /* of whoever runs the polls: health_poll */
	bool was_readable;
	bool foreign;            /* the pool uses by now what this version does not know: polls decide nothing */
	struct daxfs_error what; /* ... that is */
	int host_error[DECIDE_HOSTS_MAX]; /* last complaint about a host, so that it is made once */
	int manager_error;
};

int watch_open(struct watch *w, const struct options *options, struct agents *agents, struct daxfs_error *err);
void watch_close(struct watch *w);
void watch_poll(struct watch *w);
/* An agent ended: a fact for the next poll. context is the watch. */
void watch_agent_done(void *context, unsigned host, enum decide_result result, uint32_t ms);
/* Carry out what was decided on what the last poll saw. */
void watch_act(struct watch *w, const struct decide_action *a);
/* The operator: recover that host although so many died of it. -EINVAL: it is not RECOVERING. */
int watch_again(struct watch *w, unsigned host);
/* The operator wants it, and decide_refuses did not: an order for the next poll. */
void watch_order(struct watch *w, unsigned host, enum decide_order order);
/* As daxfs_event_list. */
int watch_events(struct watch *w, uint64_t after, daxfs_event_fill fill, void *context);
uint64_t watch_clock_ms(void);
/* One line on the whole pod, for the service manager. */
void watch_summary(const struct watch *w, char *out, size_t size);

#endif
