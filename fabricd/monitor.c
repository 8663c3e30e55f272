/* SPDX-License-Identifier: Apache-2.0 */
/*
 * monitor.c - read the pool, decide, act. See monitor.h.
 *
 * Whatever touches the pool runs under the guard, each slot by itself: a region
 * that went away makes a poll that decides nothing, a bad line decides nothing
 * about its host. Every change of the pool is one CAS in libdaxfs, so a crash of
 * fabricd between any two of them leaves what a next manager finds by polling.
 */
#include "fabricd/monitor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "fabricd/sigbus.h"

/* BOOTTIME: time asleep is time in which we did not watch. */
uint64_t watch_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* -- reading ------------------------------------------------------------------ */

static void read_manager(void *context)
{
	struct watch *w = context;

	w->foreign = daxfs_member_speaks(w->member, &w->what) == -EPROTONOSUPPORT;
	daxfs_member_manager(w->member, &w->in.manager);
	daxfs_member_timing(w->member, &w->in.timing); /* before hosts are looked at */
}

struct reading {
	struct watch *w;
	unsigned host;
	int rc;
};

static void read_host(void *context)
{
	struct reading *r = context;

	r->rc = daxfs_member_host(r->w->member, r->host, &r->w->in.view[r->host]);
}

/* The kernel is asked about processes of hosts that are being cut off, and no others. */
static enum daxfs_kin kin_of(const struct watch *w, const struct daxfs_host_view *v)
{
	return v->state == DAXFS_HOST_FENCING ? daxfs_identity_kin(&w->here, &v->who) : DAXFS_KIN_NONE;
}

/* Does the backup that was heard of last run on another machine than this? */
static bool elsewhere(const struct watch *w)
{
	static const uint8_t nowhere[16];
	const uint8_t *there = w->in.manager.standby_machine;

	return memcmp(there, nowhere, sizeof(nowhere)) && memcmp(there, w->here.machine, sizeof(w->here.machine));
}

/* -EIO: it makes no sense; -EFAULT: it cannot be read. */
static void look_at_host(struct watch *w, unsigned i)
{
	struct reading r = { .w = w, .host = i };
	int *last = &w->host_error[i];
	int rc = guard_run(read_host, &r) ? -EFAULT : r.rc;

	w->in.sensible[i] = rc == 0;
	w->in.kin[i] = rc == 0 ? kin_of(w, &w->in.view[i]) : DAXFS_KIN_NONE;
	if (rc && *last != rc)
		log_fail("host slot %u %s, deciding nothing about it: run daxfsctl check", i,
			 rc == -EFAULT ? "cannot be read" : "makes no sense");
	if (rc || *last == -EIO || *last == -EFAULT)
		*last = rc;
}

static void look(struct watch *w)
{
	w->in.readable = guard_run(read_manager, w) == 0;
	w->in.peer = elsewhere(w);
	for (unsigned i = 0; w->in.readable && i < w->decide.hosts; i++)
		look_at_host(w, i);
	w->in.now_ms = watch_clock_ms();
	if (w->in.readable != w->was_readable) {
		if (w->in.readable)
			log_note("pool %s can be read", w->path);
		else
			log_fail("pool %s cannot be read any more: deciding nothing", w->path);
	}
	w->was_readable = w->in.readable;
	for (unsigned i = 0; w->in.readable && i < w->decide.hosts; i++)
		if (w->in.sensible[i])
			events_saw(&w->events, &w->in.view[i]);
}

/* -- recording ---------------------------------------------------------------- */

struct recording {
	struct watch *w;
	struct daxfs_event event;
};

static void add_event(void *context)
{
	struct recording *r = context;

	daxfs_event_add(r->w->member, &r->event); /* or not: nothing depends on it */
}

/* By the primary alone: a backup sees what it sees. */
static void record_event(void *context, const struct daxfs_event *e)
{
	struct recording r = { .w = context, .event = *e };

	r.event.epoch = r.w->decide.epoch;
	memcpy(r.event.machine, r.w->here.machine, sizeof(r.event.machine));
	guard_run(add_event, &r);
}

struct listing {
	struct watch *w;
	uint64_t after;
	daxfs_event_fill fill;
	void *context;
	int rc;
};

static void list_events(void *context)
{
	struct listing *l = context;

	l->rc = daxfs_event_list(l->w->member, l->after, l->fill, l->context);
}

int watch_events(struct watch *w, uint64_t after, daxfs_event_fill fill, void *context)
{
	struct listing l = { w, after, fill, context, 0 };

	return guard_run(list_events, &l) ? -EIO : l.rc;
}

/* -- acting ------------------------------------------------------------------- */

/* one call into the pool, under the guard */
struct operation {
	struct watch *w;
	const struct decide_action *a;
	uint32_t epoch;
	int rc;
};

static void operate(void *context)
{
	struct operation *op = context;
	const struct decide_action *a = op->a;
	struct daxfs_member *m = op->w->member;
	const struct daxfs_host_view *seen = &op->w->in.view[a->host];

	if (a->kind == DECIDE_BEAT) {
		op->rc = daxfs_member_manager_beat(m, op->epoch);
	} else if (a->kind == DECIDE_CLAIM) {
		op->rc = daxfs_member_claim(m, &op->w->in.manager, &op->epoch);
		if (op->rc == 0)
			daxfs_member_settle(m, op->epoch, op->w->here.machine);
	} else if (a->kind == DECIDE_STANDBY) {
		daxfs_member_standby(m, op->w->here.machine);
	} else if (a->kind == DECIDE_JUDGE) {
		op->rc = daxfs_member_judge(m, &op->w->in.timing);
	} else if (a->kind == DECIDE_STAMP) {
		op->rc = daxfs_member_stamp(m, seen, op->epoch);
	} else if (a->kind == DECIDE_COUNT) {
		op->rc = daxfs_member_count_death(m, seen, op->epoch);
	} else {
		if (a->to == DAXFS_HOST_FENCED)
			daxfs_member_fence_took(m, seen, a->off, a->fence_ms);
		op->rc = daxfs_member_move(m, seen, a->to, a->recoverer, op->epoch, a->reason, a->ms);
	}
}

static void step_down(struct watch *w)
{
	agents_stop_all(w->agents);
	log_warn("another fabricd is primary now: watching as its backup");
}

static void yield(struct watch *w)
{
	agents_stop_all(w->agents);
	log_warn("a host on this machine is to be cut off: leaving that, and the pod, to another fabricd");
}

static void claimed(struct watch *w, uint32_t epoch)
{
	decide_claimed(&w->decide, epoch);
	events_primary(&w->events, epoch, &w->in.manager);
	for (unsigned i = 0; i < w->decide.hosts; i++)
		if (w->in.sensible[i])
			events_found(&w->events, &w->in.view[i]);
}

/* Polls repeat what fails; the log need not. */
static void complain(int *last, int rc, const char *what)
{
	if (*last != rc)
		log_fail("%s: %s", what, strerror(-rc));
	*last = rc;
}

/* -EAGAIN: somebody else was faster; the next poll sees what they did. */
static void outcome(struct watch *w, const struct operation *op)
{
	const struct decide_action *a = op->a;
	bool managing = a->kind == DECIDE_CLAIM || a->kind == DECIDE_BEAT || a->kind == DECIDE_JUDGE;
	char what[64], beats[64];

	if (op->rc == -EAGAIN)
		return;
	if (op->rc == -ESTALE) {
		decide_deposed(&w->decide);
		step_down(w);
	} else if (op->rc && managing) {
		complain(&w->manager_error, op->rc, "cannot manage the pool");
	} else if (op->rc) {
		snprintf(what, sizeof(what), "cannot move host %u to %s", a->host, daxfs_host_state_name(a->to));
		complain(&w->host_error[a->host], op->rc, what);
	} else if (a->kind == DECIDE_CLAIM) {
		claimed(w, op->epoch);
	} else if (a->kind == DECIDE_COUNT) {
		events_recoverer_died(&w->events, &w->in.view[a->host]);
	} else if (a->kind == DECIDE_MOVE) {
		w->host_error[a->host] = 0;
		events_moved(&w->events, &w->in.view[a->host], a, agents_name(w->agents, a->host),
			     gaps_text(&w->gaps, a->host, beats, sizeof(beats)));
		if (a->to == DAXFS_HOST_FENCED && a->fence_ms) {
			decide_fenced(&w->decide, a->host);
			agents_fenced(w->agents, a->host, w->in.view[a->host].name);
		}
	}
}

static void act_on_pool(struct watch *w, const struct decide_action *a)
{
	struct operation op = { .w = w, .a = a, .epoch = w->decide.epoch };

	if (guard_run(operate, &op))
		return; /* the next look says that it cannot be read */
	outcome(w, &op);
}

struct warrant {
	struct watch *w;
	unsigned host;
	struct daxfs_host_view now;
	int rc;
};

/* The epoch last: what is decided after it was looked at, another manager may undo. */
static void look_again(void *context)
{
	struct warrant *t = context;
	const struct daxfs_host_view *seen = &t->w->in.view[t->host];

	t->rc = daxfs_member_host(t->w->member, t->host, &t->now);
	if (t->rc == 0 && (t->now.word != seen->word || !daxfs_host_introduced(&t->now)))
		t->rc = -EAGAIN;
	if (t->rc == 0 || t->rc == -EAGAIN)
		t->rc = daxfs_member_in_force(t->w->member, t->w->decide.epoch) ? -ESTALE : t->rc;
}

/*
 * A fence agent acts outside the pool, where no CAS refuses what a deposed manager
 * decided: by now the host may be recovered and there again, under the same name.
 *
 *   old primary                      new primary
 *   poll: host 1 is FENCING
 *     ... stopped for a minute ...   fences it, has it recovered; it joins again
 *   looks again: another word, or another epoch: no agent
 */
static void start_agent(struct watch *w, const struct decide_action *a)
{
	struct warrant t = { .w = w, .host = a->host };

	if (guard_run(look_again, &t))
		t.rc = -EIO;
	if (t.rc == 0) {
		agents_start(w->agents, a->host, t.now.name, a->kind == DECIDE_AGENT_OFF);
		return;
	}
	watch_agent_done(w, a->host, RESULT_FAILED, 0);
	if (t.rc == -ESTALE) {
		decide_deposed(&w->decide);
		step_down(w);
	}
}

void watch_act(struct watch *w, const struct decide_action *a)
{
	const char *name = w->in.view[a->host].name;

	switch (a->kind) {
	case DECIDE_BEAT:
	case DECIDE_CLAIM:
	case DECIDE_STAMP:
	case DECIDE_COUNT:
	case DECIDE_STANDBY:
	case DECIDE_JUDGE:
	case DECIDE_MOVE: act_on_pool(w, a); break;
	case DECIDE_STEP_DOWN: step_down(w); break;
	case DECIDE_YIELD: yield(w); break;
	case DECIDE_AGENT_OFF:
	case DECIDE_AGENT_STATUS: start_agent(w, a); break;
	case DECIDE_AGENT_STOP: agents_stop(w->agents, a->host); break;
	case DECIDE_AGENT_OVER: agents_over(w->agents, a->host); break;
	case DECIDE_REFUSED: log_warn("host %u (%s): not confirmed dead, its heartbeat moves", a->host, name); break;
	}
}

/* -- the poll ----------------------------------------------------------------- */

static void note_heartbeat(struct watch *w)
{
	if (w->geometry.heartbeat_ms == w->decide.heartbeat_ms)
		return;
	log_note("hosts are judged by a heartbeat of %u ms now (%u before)", w->decide.heartbeat_ms,
		 w->geometry.heartbeat_ms);
	w->geometry.heartbeat_ms = w->decide.heartbeat_ms;
}

void watch_poll(struct watch *w)
{
	uint64_t late = w->decide.late_polls;

	look(w);
	if (w->foreign)
		return;
	w->n_actions = decide_poll(&w->decide, &w->in, w->actions);
	note_heartbeat(w);
	memset(w->in.result, 0, sizeof(w->in.result));
	memset(w->in.order, 0, sizeof(w->in.order));
	if (w->decide.late_polls != late && (late & (late + 1)) == 0)
		log_warn("polled late (%llu times so far): counting anew; give fabricd more of the processor",
			 (unsigned long long)late + 1);
	for (unsigned i = 0; i < w->n_actions; i++) {
		enum decide_role role = w->decide.role;

		watch_act(w, &w->actions[i]);
		if (role == DECIDE_PRIMARY && w->decide.role == DECIDE_BACKUP)
			break; /* deposed: what follows was decided under another epoch */
	}
}

void watch_agent_done(void *context, unsigned host, enum decide_result result, uint32_t ms)
{
	struct watch *w = context;

	w->in.result[host] = result;
	w->in.result_ms[host] = ms;
}

void watch_order(struct watch *w, unsigned host, enum decide_order order)
{
	w->in.order[host] = order;
}

struct forgetting {
	struct watch *w;
	unsigned host;
	int rc;
};

static void forget(void *context)
{
	struct forgetting *f = context;
	struct daxfs_host_view now;

	f->rc = daxfs_member_host(f->w->member, f->host, &now);
	if (f->rc == 0)
		f->rc = daxfs_member_forget_deaths(f->w->member, &now, f->w->decide.epoch);
}

int watch_again(struct watch *w, unsigned host)
{
	struct forgetting f = { .w = w, .host = host };

	if (guard_run(forget, &f))
		return -EIO;
	if (f.rc == 0)
		log_note("host %u: recovered again, on the operator's word", host);
	return f.rc;
}

/* Without one the manager cannot tell its own machine from others. */
static void identify(struct watch *w)
{
	const struct options *o = w->options;
	struct daxfs_error err;

	if (daxfs_identity_here(o->machine_file, o->boot_file, &w->here, &err))
		log_warn("this machine has no id (%s): it may be cut off by its own fabricd, and hosts that "
			 "reboot wait for their fence agent",
			 err.text);
}

int watch_open(struct watch *w, const struct options *options, struct agents *agents, struct daxfs_error *err)
{
	int rc;

	*w = (struct watch){ .agents = agents, .options = options, .was_readable = true };
	snprintf(w->path, sizeof(w->path), "%s", options->pool);
	rc = daxfs_member_open(w->path, true, &w->member, err);
	if (rc)
		return rc;
	w->events.record = record_event;
	w->events.context = w;
	w->events.pool = w->geometry.name;
	daxfs_member_geometry(w->member, &w->geometry);
	decide_init(&w->decide, w->geometry.hosts, w->geometry.heartbeat_ms);
	w->decide.hold_polls = (unsigned)(options->boot_wait_s * 1000ull / w->geometry.heartbeat_ms);
	identify(w);
	return 0;
}

void watch_close(struct watch *w)
{
	daxfs_member_close(w->member);
	w->member = NULL;
}

void watch_summary(const struct watch *w, char *out, size_t size)
{
	const char *waits = decide_waits(&w->decide);
	unsigned count[DAXFS_HOST_STATES] = { 0 };
	int len;

	for (unsigned i = 0; i < w->decide.hosts; i++)
		if (w->in.sensible[i])
			count[w->in.view[i].state]++;
	len = snprintf(out, size, "%s of pool %s, epoch %u:", w->decide.role == DECIDE_PRIMARY ? "primary" : "backup",
		       w->geometry.name, w->in.manager.epoch);
	for (unsigned s = DAXFS_HOST_JOINING; s < DAXFS_HOST_STATES && len > 0 && (size_t)len < size; s++)
		if (count[s])
			len += snprintf(out + len, size - (size_t)len, " %u %s", count[s], daxfs_host_state_name(s));
	if (waits && len > 0 && (size_t)len < size)
		snprintf(out + len, size - (size_t)len, " (%s)", waits);
}
