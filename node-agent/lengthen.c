/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lengthen.c - see lengthen.h. The membership is mapped for the moment that it takes: it is done a few times in a
 * life.
 */
#include "node-agent/lengthen.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "daxfs/events.h"
#include "node-agent/steal.h"

static void record(const struct lengthen *l, struct daxfs_member *m, unsigned was_ms, unsigned ms, unsigned late_ms)
{
	struct daxfs_event e = { .kind = DAXFS_EVENT_HEARTBEAT, .host = (int)l->host, .by = -1, .ms = late_ms };
	struct daxfs_host_view v;

	if (daxfs_member_host(m, l->host, &v) == 0) {
		e.generation = v.generation;
		e.state = v.state;
		memcpy(e.name, v.name, sizeof(e.name));
		memcpy(e.machine, v.who.machine, sizeof(e.machine));
	}
	e.value = ms;
	snprintf(e.text, sizeof(e.text), "was %u ms; its hypervisor stopped it for %u ms", was_ms, late_ms);
	daxfs_event_add(m, &e);
	log_warn("the hypervisor stopped this guest for %u ms: the pool's heartbeat is %u ms now, it was %u, so that "
		 "this host is not taken for dead; deaths are noticed later. To set it: daxfsctl heartbeat",
		 late_ms, ms, was_ms);
}

static void change(struct lengthen *l, struct daxfs_member *m, unsigned late_ms)
{
	struct daxfs_geometry g;
	struct daxfs_timing was;
	struct daxfs_error err;
	unsigned ms;

	daxfs_member_geometry(m, &g);
	ms = steal_heartbeat_ms(late_ms, g.lease_ms);
	if (daxfs_member_lengthen(m, ms, &was, &err)) {
		log_warn("the heartbeat cannot be made longer: %s", err.text);
		return;
	}
	if (was.beat_ms < ms) {
		l->done_ms = ms;
		record(l, m, was.beat_ms, ms, late_ms);
	}
}

void lengthen_for(struct lengthen *l, unsigned late_ms)
{
	struct daxfs_member *m;
	struct daxfs_timing now;
	struct daxfs_error err;

	if (!l->pool || l->overruled || daxfs_member_open(l->pool, true, &m, &err))
		return;
	daxfs_member_timing(m, &now);
	l->overruled = now.beat_ms < l->done_ms;
	if (!l->overruled)
		change(l, m, late_ms);
	daxfs_member_close(m);
}
