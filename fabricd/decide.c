/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide.c - from what polls see to what is to be done. See decide.h.
 *
 * One poll: watch the clock, see and count (decide_observe.c), and then for each
 * host: facts, verdict of the table, actions. Read from decide_poll() upwards.
 *
 * Why no clock is compared across hosts, and why lateness starts all counts
 * again: a manager that was itself stopped sees one old counter and a clock far
 * ahead, which looks exactly like a dead host.
 *
 *   manager                          host
 *   poll: beat 7
 *     ... stopped for 2 s ...        beats 8 .. 47
 *     first poll after: late, counts start again
 *   next poll: beat 48, it moved
 */
#include "fabricd/decide.h"

#include "fabricd/decide_observe.h"
#include "fabricd/timing.h"

/* actions of one poll, being collected */
struct plan {
	struct decide_action *out;
	unsigned n;
};

static struct decide_action *act(struct plan *plan, enum decide_kind kind, unsigned host)
{
	struct decide_action *a = &plan->out[plan->n++];

	*a = (struct decide_action){ .kind = kind, .host = host, .recoverer = -1 };
	return a;
}

/* -- facts for the table ---------------------------------------------------- */

static bool overdue(const struct decide_host *h)
{
	return h->silent >= TIMING_SUSPECT_POLLS;
}

static enum decide_beat fact_beat(const struct decide_host *h)
{
	unsigned lost = h->state == DAXFS_HOST_JOINING ? TIMING_JOIN_POLLS : TIMING_FENCING_POLLS;

	if (h->silent >= lost)
		return BEAT_LOST;
	if (overdue(h))
		return BEAT_LATE;
	if (h->away && !h->silent)
		return BEAT_AWAY;
	return h->moved && h->state != DAXFS_HOST_JOINING ? BEAT_MOVED : BEAT_QUIET;
}

static enum decide_fence fact_fence(const struct decide_host *h)
{
	switch (h->phase) {
	case PHASE_IDLE:
		if (h->hold)
			return FENCE_HELD;
		return h->introduced ? FENCE_IDLE : FENCE_FAILED; /* no name to fence it by */
	case PHASE_OFF_RUNNING:
	case PHASE_STATUS_RUNNING: return FENCE_RUNNING;
	case PHASE_OFF_DONE: return FENCE_OFF_DONE;
	case PHASE_FAILED: return FENCE_FAILED;
	case PHASE_WAITING: return FENCE_WAITING;
	case PHASE_PROVEN: break;
	}
	if (h->moved)
		return FENCE_THAWED;
	return h->still >= TIMING_FROZEN_POLLS ? FENCE_FROZEN : FENCE_PROVEN;
}

/* A counter that moves says that somebody has the id of a machine who is not that machine. */
static enum decide_proof fact_proof(const struct decide_host *h)
{
	if (h->kin == DAXFS_KIN_NONE)
		return PROOF_NONE;
	if (h->kin == DAXFS_KIN_HERE)
		return PROOF_HERE;
	return !h->moved && h->still >= TIMING_FROZEN_POLLS ? PROOF_OVER : PROOF_HERE;
}

/*
 * Only tenants that work are named, and a recoverer_generation ends when its host has left or
 * is FENCED. Until then it may be at work, whatever its state. One that is not
 * known to have left, just now, has died: rather one too many is counted than too few.
 */
enum decide_recoverer decide_recoverer(const struct decide *d, unsigned host)
{
	const struct decide_host *h = &d->host[host], *by;

	if (h->recoverer < 0 || (unsigned)h->recoverer >= d->hosts || (unsigned)h->recoverer == host)
		return RECOVERER_GONE;
	by = &d->host[h->recoverer];
	if (!by->sensible || DAXFS_RECOVERER_GENERATION(by->generation) == h->recoverer_generation)
		return RECOVERER_HELD;
	if (h->death_counted || (by->left && DAXFS_RECOVERER_GENERATION(by->generation - 1) == h->recoverer_generation))
		return RECOVERER_GONE;
	return RECOVERER_DIED;
}

enum decide_toll decide_toll(const struct decide *d, unsigned host)
{
	const struct decide_host *h = &d->host[host];

	if (h->state != DAXFS_HOST_RECOVERING || h->deaths < 2)
		return TOLL_LOW;
	if (h->deaths >= DAXFS_RECOVERERS_MAX)
		return TOLL_HIGH;
	return h->rested < TIMING_REST_POLLS ? TOLL_RESTING : TOLL_LOW;
}

int decide_heir(const struct decide *d, unsigned host)
{
	for (unsigned i = 0; i < d->hosts; i++) {
		const struct decide_host *h = &d->host[i];

		if (i != host && h->sensible && h->state == DAXFS_HOST_ALIVE && !overdue(h) && h->order == ORDER_NONE)
			return (int)i;
	}
	return -1;
}

static struct decide_facts gather(const struct decide *d, unsigned host)
{
	const struct decide_host *h = &d->host[host];

	return (struct decide_facts){
		.state = h->state,
		.beat = fact_beat(h),
		.order = h->order,
		.fence = fact_fence(h),
		.proof = fact_proof(h),
		.recoverer = decide_recoverer(d, host),
		.toll = decide_toll(d, host),
		.candidate = decide_heir(d, host) < 0 ? HEIR_NONE : HEIR_READY,
	};
}

/* -- verdicts carried out --------------------------------------------------- */

static struct decide_action *move(struct plan *plan, unsigned host, enum daxfs_host_state to, enum daxfs_reason reason,
				  uint64_t ms)
{
	struct decide_action *a = act(plan, DECIDE_MOVE, host);

	a->to = to;
	a->reason = reason;
	a->ms = ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
	return a;
}

static void start_agent(struct plan *plan, struct decide_host *h, unsigned host, enum decide_kind kind)
{
	h->phase = kind == DECIDE_AGENT_OFF ? PHASE_OFF_RUNNING : PHASE_STATUS_RUNNING;
	h->struck |= kind == DECIDE_AGENT_OFF;
	act(plan, kind, host);
}

static void fence_failed(struct plan *plan, struct decide_host *h, unsigned host, enum daxfs_reason reason)
{
	move(plan, host, DAXFS_HOST_FENCING, reason, h->cause_ms);
	see_pause_fencing(h);
	h->order = ORDER_NONE;
}

static void trust_operator(struct plan *plan, struct decide_host *h, unsigned host)
{
	if (see_agent_running(h))
		act(plan, DECIDE_AGENT_STOP, host);
	see_proven_off(h);
	h->agent_ms = 0;
	h->struck = false; /* whether it is switched on is for the operator, too */
}

static void fenced(struct plan *plan, const struct decide_host *h, unsigned host)
{
	bool confirmed = h->order == ORDER_CONFIRM;
	struct decide_action *a = move(plan, host, DAXFS_HOST_FENCED,
				       confirmed ? DAXFS_REASON_OPERATOR_CONFIRM : h->cause, h->cause_ms);

	a->fence_ms = h->agent_ms;
	a->off = true;
}

/* What our own machine tells of one that was its own. */
static void over(struct plan *plan, const struct decide_host *h, unsigned host)
{
	bool rebooted = h->kin == DAXFS_KIN_REBOOTED;

	if (see_agent_running(h))
		act(plan, DECIDE_AGENT_STOP, host);
	move(plan, host, DAXFS_HOST_FENCED, rebooted ? DAXFS_REASON_REBOOTED : DAXFS_REASON_ENDED, h->cause_ms)->off =
		rebooted;
}

static void at_once(struct decide_host *h)
{
	h->hold = 0;
	if (h->phase == PHASE_WAITING || h->phase == PHASE_FAILED)
		h->phase = PHASE_IDLE;
	h->order = ORDER_NONE;
}

static void refuse(struct plan *plan, struct decide_host *h, unsigned host)
{
	act(plan, DECIDE_REFUSED, host);
	h->order = ORDER_NONE;
}

/* ALIVE again; an operator who thought it dead was wrong. */
static void resume(struct plan *plan, struct decide_host *h, unsigned host)
{
	if (h->order == ORDER_CONFIRM)
		refuse(plan, h, host);
	move(plan, host, DAXFS_HOST_ALIVE, DAXFS_REASON_BEAT_RESUMED, 0);
}

static void assign(const struct decide *d, unsigned host, enum daxfs_reason reason, uint32_t ms, struct plan *plan)
{
	move(plan, host, DAXFS_HOST_RECOVERING, reason, ms)->recoverer = decide_heir(d, host);
}

static void carry_out(struct decide *d, const struct daxfs_host_view *v, uint64_t now_ms, enum decide_verdict verdict,
		      struct plan *plan)
{
	unsigned id = v->id;
	struct decide_host *h = &d->host[id];
	uint64_t silence_ms = decide_silence_ms(d, id, now_ms);

	/* clang-format off */
	switch (verdict) {
	case VERDICT_NOTHING: case VERDICT_COUNT: case VERDICTS: break; /* counted by judge() */
	case VERDICT_SUSPECT: move(plan, id, DAXFS_HOST_SUSPECT, DAXFS_REASON_BEAT_LATE, silence_ms); break;
	case VERDICT_RESUME: resume(plan, h, id); break;
	case VERDICT_LOST: move(plan, id, DAXFS_HOST_FENCING, DAXFS_REASON_BEAT_LOST, silence_ms); break;
	case VERDICT_FENCE_ORDERED:
		move(plan, id, DAXFS_HOST_FENCING, DAXFS_REASON_OPERATOR_FENCE, silence_ms);
		break;
	case VERDICT_CONFIRM: move(plan, id, DAXFS_HOST_FENCING, DAXFS_REASON_OPERATOR_CONFIRM, silence_ms); break;
	case VERDICT_REFUSE: refuse(plan, h, id); break;
	case VERDICT_AGENT_OFF: start_agent(plan, h, id, DECIDE_AGENT_OFF); break;
	case VERDICT_AGENT_STATUS: start_agent(plan, h, id, DECIDE_AGENT_STATUS); break;
	case VERDICT_FAILED: fence_failed(plan, h, id, DAXFS_REASON_FENCE_FAILED); break;
	case VERDICT_BEATING: fence_failed(plan, h, id, DAXFS_REASON_STILL_BEATING); break;
	case VERDICT_RETRY_NOW: at_once(h); break;
	case VERDICT_DEAD_CONFIRMED: trust_operator(plan, h, id); break;
	case VERDICT_FENCED: fenced(plan, h, id); break;
	case VERDICT_OVER: over(plan, h, id); break;
	case VERDICT_OWN_MACHINE:
		fence_failed(plan, h, id, DAXFS_REASON_OWN_MACHINE);
		d->wants_peer = true;
		break;
	case VERDICT_ASSIGN: assign(d, id, v->reason, v->reason_ms, plan); break;
	case VERDICT_REASSIGN: assign(d, id, DAXFS_REASON_RECOVERER_DIED, 0, plan); break;
	case VERDICT_RELEASE: move(plan, id, DAXFS_HOST_FREE, DAXFS_REASON_RECOVERY_DONE, 0); break;
	}
	/* clang-format on */
}

/* -- primary ---------------------------------------------------------------- */

static bool own_stamp(const struct decide *d, const struct daxfs_host_view *v)
{
	return (uint16_t)(v->manager_epoch ^ d->epoch) == 0; /* a host word has 16 bits of it */
}

/*
 * Every watched host, of several, is silent. Many deaths at once are rarer than
 * one cause that is none of them: a switch, the device, our own mapping.
 */
static bool every_host_silent(const struct decide *d)
{
	unsigned watched = 0;

	for (unsigned i = 0; i < d->hosts; i++) {
		const struct decide_host *h = &d->host[i];
		bool watch = h->state == DAXFS_HOST_ALIVE || h->state == DAXFS_HOST_SUSPECT;

		if (!h->sensible || !watch)
			continue;
		if (!overdue(h))
			return false;
		watched++;
	}
	return watched > 1;
}

/*
 * No host beats, of several; or none has since we are here to see it. Of one alone that was
 * seen to fall silent the cause is its own.
 */
static bool pod_is_silent(const struct decide *d)
{
	unsigned silent = 0, seen = 0;

	for (unsigned i = 0; i < d->hosts; i++) {
		const struct decide_host *h = &d->host[i];

		if (!h->sensible || !see_under_orders(h->state))
			continue;
		if (!overdue(h))
			return false;
		silent++;
		seen += h->seen_beating;
	}
	return silent > 1 || seen == 0;
}

/* Invariant 6. */
static void hold(struct decide *d)
{
	bool pod_silent = d->hold_polls && pod_is_silent(d);

	for (unsigned i = 0; i < d->hosts; i++) {
		struct decide_host *h = &d->host[i];

		if (!pod_silent || h->found_silent || !h->sensible || !see_under_orders(h->state) ||
		    see_agent_running(h))
			continue;
		h->found_silent = true;
		h->hold = d->hold_polls;
	}
}

/* Waiting out a window: no host is judged. */
static bool waits(struct decide *d)
{
	d->all_silent = every_host_silent(d) ? d->all_silent + 1 : 0;
	if (d->grace_polls) {
		d->grace_polls--;
		return true;
	}
	return d->all_silent && d->all_silent <= TIMING_WINDOW_POLLS;
}

static enum decide_verdict verdict_on(const struct decide *d, const struct decide_input *in, unsigned host)
{
	struct decide_facts facts = gather(d, host);

	return d->host[host].sensible && own_stamp(d, &in->view[host]) ? decide_verdict(&facts) : VERDICT_NOTHING;
}

/*
 * A host proved that its former life is over while an agent was at it, or just before the move that says what the
 * agent did:
 *
 *   manager                     agent                      host 1's machine
 *   FENCING; starts the agent   looks for the machine
 *                                                          a new process proves the old one over: FENCED, then joins
 *   sees another generation     switches it off            off, for a death that is over, and nobody would switch it on
 */
static void undo(struct decide *d, struct plan *plan)
{
	for (unsigned i = 0; i < d->hosts; i++) {
		if (d->host[i].overtaken)
			act(plan, DECIDE_AGENT_OVER, i);
		d->host[i].overtaken = false;
	}
}

/*
 * Deaths of recoverers are counted before anything else of the poll: once such a
 * recoverer is recovered itself, and there again, it might as well have left.
 */
static void judge(struct decide *d, const struct decide_input *in, struct plan *plan)
{
	bool waiting = waits(d);

	hold(d);
	undo(d, plan);
	for (unsigned i = 0; i < d->hosts; i++) {
		if (d->host[i].sensible && !own_stamp(d, &in->view[i]))
			act(plan, DECIDE_STAMP, i);
		else if (!waiting && verdict_on(d, in, i) == VERDICT_COUNT)
			act(plan, DECIDE_COUNT, i);
	}
	for (unsigned i = 0; i < d->hosts && !waiting; i++)
		carry_out(d, &in->view[i], in->now_ms, verdict_on(d, in, i), plan);
}

static bool every_host_beats(const struct decide *d)
{
	for (unsigned i = 0; i < d->hosts; i++) {
		const struct decide_host *h = &d->host[i];

		if (!h->sensible || (h->state >= DAXFS_HOST_JOINING && h->state <= DAXFS_HOST_SUSPECT &&
				     h->silent >= TIMING_SUSPECT_POLLS))
			return false;
	}
	return true;
}

/* A shorter heartbeat: when each host has beaten since, and so has read the word, they are judged by it. */
static void shorten(struct decide *d, const struct daxfs_timing *t, struct plan *plan)
{
	if (t->beat_ms >= t->judged_ms)
		return;
	d->timing_polls = every_host_beats(d) ? d->timing_polls + 1 : 0;
	if (d->timing_polls >= TIMING_CHANGE_POLLS)
		act(plan, DECIDE_JUDGE, 0);
}

static void poll_primary(struct decide *d, const struct decide_input *in, struct plan *plan)
{
	if (in->manager.epoch != d->epoch) {
		decide_deposed(d);
		act(plan, DECIDE_STEP_DOWN, 0);
		return;
	}
	d->standby_silent = in->peer && in->manager.standby != d->standby ? 0 : d->standby_silent + 1;
	d->standby = in->manager.standby;
	if (d->wants_peer && decide_has_peer(d)) {
		decide_deposed(d);
		d->yield = TIMING_YIELD_POLLS;
		act(plan, DECIDE_YIELD, 0);
		return;
	}
	act(plan, DECIDE_BEAT, 0);
	shorten(d, &in->timing, plan);
	judge(d, in, plan);
}

/* -- backup ----------------------------------------------------------------- */

static void poll_backup(struct decide *d, const struct decide_input *in, struct plan *plan)
{
	const struct daxfs_manager_view *m = &in->manager;
	bool moved = m->epoch != d->manager.epoch || m->pid != d->manager.pid || m->beat != d->manager.beat;

	act(plan, DECIDE_STANDBY, 0);
	d->manager_silent = moved ? 0 : d->manager_silent + 1;
	d->yield = m->epoch != d->epoch || !d->yield ? 0 : d->yield - 1;
	d->manager = *m;
	if (d->yield)
		return;
	if (m->epoch == 0 || d->manager_silent >= TIMING_MANAGER_POLLS)
		act(plan, DECIDE_CLAIM, 0);
}

/* -- the poll --------------------------------------------------------------- */

/* All counts of silence from the beginning. What agents proved stays proven; a wait was only longer. */
static void restart(struct decide *d)
{
	for (unsigned i = 0; i < d->hosts; i++)
		d->host[i].silent = d->host[i].away = d->host[i].still = 0;
	d->all_silent = 0;
	d->manager_silent = 0;
	if (d->grace_polls)
		d->grace_polls = TIMING_WINDOW_POLLS;
}

/* Polls that were counted out under the old heartbeat: what is left of a wait is as long under the new one. */
static unsigned rescale(unsigned polls, unsigned from_ms, unsigned to_ms)
{
	return (unsigned)(((uint64_t)polls * from_ms + to_ms - 1) / to_ms);
}

/* Before hosts are looked at: see libdaxfs/sync/timing.c. */
static void follow_timing(struct decide *d, const struct daxfs_timing *t)
{
	unsigned was_ms = d->heartbeat_ms;

	if (!t->judged_ms || (t->word == d->timing_word && t->judged_ms == was_ms))
		return;
	d->timing_word = t->word;
	d->timing_polls = 0;
	if (t->judged_ms == was_ms)
		return;
	d->heartbeat_ms = t->judged_ms;
	d->hold_polls = rescale(d->hold_polls, was_ms, t->judged_ms);
	for (unsigned i = 0; i < d->hosts; i++)
		d->host[i].hold = rescale(d->host[i].hold, was_ms, t->judged_ms);
	restart(d);
}

static bool late(const struct decide *d, uint64_t now_ms)
{
	return d->polled && now_ms - d->last_ms > (uint64_t)TIMING_LATE_POLLS * d->heartbeat_ms;
}

unsigned decide_poll(struct decide *d, const struct decide_input *in, struct decide_action *out)
{
	struct plan plan = { .out = out };
	bool is_late = late(d, in->now_ms);

	d->polls++;
	d->late_polls += is_late;
	d->last_ms = in->now_ms;
	d->polled = in->readable;
	if (is_late || !in->readable) {
		restart(d);
		d->timing_polls = 0;
	}
	if (in->readable) {
		follow_timing(d, &in->timing);
		see_hosts(d, in);
	}
	see_reports(d, in);
	if (!in->readable)
		return 0;
	if (d->role == DECIDE_PRIMARY)
		poll_primary(d, in, &plan);
	else
		poll_backup(d, in, &plan);
	return plan.n;
}

/* -- role and questions ----------------------------------------------------- */

void decide_init(struct decide *d, unsigned hosts, unsigned heartbeat_ms)
{
	*d = (struct decide){
		.hosts = hosts < DECIDE_HOSTS_MAX ? hosts : DECIDE_HOSTS_MAX,
		.heartbeat_ms = heartbeat_ms,
	};
	for (unsigned i = 0; i < DECIDE_HOSTS_MAX; i++)
		see_forget_fencing(&d->host[i]);
}

void decide_claimed(struct decide *d, uint32_t epoch)
{
	d->role = DECIDE_PRIMARY;
	d->epoch = epoch;
	d->grace_polls = TIMING_WINDOW_POLLS;
	d->standby_silent = TIMING_MANAGER_POLLS;
	d->wants_peer = false;
	for (unsigned i = 0; i < d->hosts; i++)
		d->host[i].seen_beating = false;
	restart(d);
}

void decide_fenced(struct decide *d, unsigned host)
{
	d->host[host].struck = false;
}

void decide_deposed(struct decide *d)
{
	d->role = DECIDE_BACKUP;
	d->grace_polls = 0;
	d->wants_peer = false;
	d->yield = 0;
	restart(d);
	for (unsigned i = 0; i < d->hosts; i++)
		see_forget_fencing(&d->host[i]);
}

const char *decide_refuses(const struct decide *d, unsigned host, enum decide_order order)
{
	const struct decide_host *h = &d->host[host];

	if (!h->known || !h->sensible)
		return "its slot cannot be read; run daxfsctl check";
	if (h->state == DAXFS_HOST_FREE)
		return "no host is in that slot";
	if (!see_under_orders(h->state))
		return "it is fenced already";
	if (order == ORDER_CONFIRM && !overdue(h) &&
	    (h->state == DAXFS_HOST_ALIVE || h->state == DAXFS_HOST_JOINING || h->moved))
		return "its heartbeat moves; fence it instead";
	return NULL;
}

const char *decide_waits(const struct decide *d)
{
	if (!d->polled)
		return "the pool cannot be read";
	if (d->role == DECIDE_BACKUP)
		return "backup: watching the primary";
	if (d->grace_polls)
		return "new primary: watching for one window";
	if (d->all_silent && d->all_silent <= TIMING_WINDOW_POLLS)
		return "every host fell silent at once: watching for one more window";
	return NULL;
}

bool decide_has_peer(const struct decide *d)
{
	return d->standby_silent < TIMING_MANAGER_POLLS;
}

uint64_t decide_silence_ms(const struct decide *d, unsigned host, uint64_t now_ms)
{
	return now_ms - d->host[host].changed_ms;
}
