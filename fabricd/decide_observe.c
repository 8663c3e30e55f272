/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide_observe.c - tenants, counters and agents, as polls see them.
 *
 * Counts are of the manager's own polls. They begin with a tenant of a slot and
 * are never carried over to the next one.
 */
#include "fabricd/decide_observe.h"

#include "fabricd/timing.h"

/* -- cutting a host off ----------------------------------------------------- */

bool see_agent_running(const struct decide_host *h)
{
	return h->phase == PHASE_OFF_RUNNING || h->phase == PHASE_STATUS_RUNNING;
}

void see_forget_fencing(struct decide_host *h)
{
	h->phase = PHASE_IDLE;
	h->next_pause = TIMING_RETRY_POLLS;
	h->agent_ms = 0;
	h->cause = DAXFS_REASON_NONE;
	h->order = ORDER_NONE;
	h->struck = h->overtaken = false;
}

void see_pause_fencing(struct decide_host *h)
{
	h->phase = PHASE_WAITING;
	h->pause = h->next_pause;
	h->next_pause = 2 * h->next_pause < TIMING_RETRY_POLLS_MAX ? 2 * h->next_pause : TIMING_RETRY_POLLS_MAX;
	h->agent_ms = 0;
}

static void proven(struct decide_host *h)
{
	h->phase = PHASE_PROVEN;
	h->moved = false; /* may have beaten between the last poll and its end */
}

void see_proven_off(struct decide_host *h)
{
	proven(h);
	h->still = 0;
}

/* From here on its counter must stand still, also while the agent's status is asked. */
static void switched_off(struct decide_host *h)
{
	h->phase = PHASE_OFF_DONE;
	h->still = 0;
}

/* A result of an agent that we do not wait for any more is none. */
static void take_result(struct decide_host *h, enum decide_result result, uint32_t ms)
{
	if (result == RESULT_NONE || !see_agent_running(h))
		return;
	h->agent_ms += ms;
	if (h->phase == PHASE_OFF_RUNNING && result == RESULT_OFF_DONE)
		switched_off(h);
	else if (h->phase == PHASE_STATUS_RUNNING && result == RESULT_STATUS_OFF)
		proven(h);
	else if (h->phase == PHASE_OFF_RUNNING && result == RESULT_REBOOTED)
		see_proven_off(h);
	else
		h->phase = PHASE_FAILED;
}

static void tick_pause(struct decide_host *h)
{
	h->hold -= h->hold != 0;
	if (h->phase == PHASE_WAITING && --h->pause == 0)
		h->phase = PHASE_IDLE;
}

/* -- what a poll sees of a host --------------------------------------------- */

bool see_under_orders(enum daxfs_host_state state)
{
	return state == DAXFS_HOST_JOINING || state == DAXFS_HOST_ALIVE || state == DAXFS_HOST_SUSPECT ||
	       state == DAXFS_HOST_FENCING;
}

/*
 * Counts begin with the tenant, and again when it has finished joining. A join
 * takes less than a poll: mostly an empty slot is next seen ALIVE.
 */
static bool begins(const struct decide_host *h, const struct daxfs_host_view *v)
{
	bool joined = h->state == DAXFS_HOST_JOINING && v->state == DAXFS_HOST_ALIVE;
	bool taken = !see_under_orders(h->state) && see_under_orders(v->state);
	bool another = h->generation != v->generation || h->tenancy != v->tenancy;

	return !h->known || joined || taken || (another && see_under_orders(v->state));
}

/* A host that has said that it will be silent for a while is, for so long since its last beat, and no longer. */
static void count_silence(struct decide_host *h, const struct daxfs_host_view *v, unsigned heartbeat_ms)
{
	if ((uint64_t)h->away * heartbeat_ms < v->away_ms && h->state == DAXFS_HOST_ALIVE)
		h->away++;
	else
		h->silent++;
}

static void count_beat(struct decide_host *h, const struct daxfs_host_view *v, const struct decide *d, uint64_t now_ms)
{
	h->moved = h->known && v->beat != h->beat;
	if (h->moved || begins(h, v))
		h->changed_ms = now_ms;
	/* A host that beats but never finishes joining is not alive either. */
	if ((h->moved && v->state != DAXFS_HOST_JOINING) || begins(h, v))
		h->silent = h->away = 0;
	else
		count_silence(h, v, d->heartbeat_ms);
	h->still = h->moved ? 0 : h->still + 1;
	if (begins(h, v) || h->moved || !see_under_orders(v->state)) {
		h->seen_beating = h->moved;
		h->found_silent = false;
		h->hold = 0;
	}
}

/* Why it is being fenced, if we did not see it begin: a former manager did. */
static void see_cause(struct decide_host *h, const struct daxfs_host_view *v)
{
	bool of_agent = v->reason == DAXFS_REASON_FENCE_FAILED || v->reason == DAXFS_REASON_STILL_BEATING ||
			v->reason == DAXFS_REASON_OWN_MACHINE;

	if (v->state != DAXFS_HOST_FENCING || h->cause != DAXFS_REASON_NONE)
		return;
	h->cause = of_agent ? DAXFS_REASON_BEAT_LOST : v->reason;
	h->cause_ms = v->reason_ms;
}

static void see_host(struct decide *d, unsigned i, const struct decide_input *in)
{
	struct decide_host *h = &d->host[i];
	const struct daxfs_host_view *v = &in->view[i];

	if (h->known && v->generation != h->generation) {
		bool struck = h->struck;

		see_forget_fencing(h);
		h->overtaken = struck;
	}
	h->introduced = daxfs_host_introduced(v);
	h->kin = h->introduced ? in->kin[i] : DAXFS_KIN_NONE;
	h->rested = h->known && v->deaths == h->deaths ? h->rested + 1 : 0;
	count_beat(h, v, d, in->now_ms);
	see_cause(h, v);
	if (!see_under_orders(v->state))
		h->order = ORDER_NONE;
	h->known = true;
	h->state = v->state;
	h->recoverer = v->recoverer;
	h->recoverer_generation = v->recoverer_generation;
	h->deaths = v->deaths;
	h->death_counted = v->death_counted;
	h->left = v->state == DAXFS_HOST_FREE && v->reason == DAXFS_REASON_LEFT;
	h->generation = v->generation;
	h->tenancy = v->tenancy;
	h->beat = v->beat;
}

void see_hosts(struct decide *d, const struct decide_input *in)
{
	for (unsigned i = 0; i < d->hosts; i++) {
		struct decide_host *h = &d->host[i];

		h->sensible = in->sensible[i];
		if (h->sensible)
			see_host(d, i, in);
		else
			h->silent = h->away = h->still = h->rested = 0;
		tick_pause(h);
	}
}

/* After see_hosts, so that a host that beat until its agent had done is not THAWED. */
void see_reports(struct decide *d, const struct decide_input *in)
{
	for (unsigned i = 0; i < d->hosts; i++) {
		struct decide_host *h = &d->host[i];

		take_result(h, in->result[i], in->result_ms[i]);
		if (in->order[i] != ORDER_NONE && see_under_orders(h->state))
			h->order = in->order[i];
	}
}
