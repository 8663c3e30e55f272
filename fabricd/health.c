/* SPDX-License-Identifier: Apache-2.0 */
/* health.c - see health.h. Reads what the last poll saw, and the pool's events once; decides nothing. */
#include "fabricd/health.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "fabricd/message_id.h"
#include "fabricd/monitor.h"
#include "fabricd/timing.h"

const char *health_name(enum health_code code)
{
	static const char *const names[HEALTH_CODES] = {
		[HEALTH_HOST_SUSPECT] = "host-suspect",
		[HEALTH_HOST_FENCING] = "host-fencing",
		[HEALTH_HOST_FENCED] = "host-fenced",
		[HEALTH_HOST_RECOVERING] = "host-recovering",
		[HEALTH_RECOVERY_GIVEN_UP] = "recovery-given-up",
		[HEALTH_SLOT_DAMAGED] = "slot-damaged",
		[HEALTH_HOST_ABSENT] = "host-absent",
		[HEALTH_NO_BACKUP] = "no-backup",
		[HEALTH_FENCE_BROKEN] = "fence-broken",
		[HEALTH_LATE] = "polls-late",
		[HEALTH_POOL_UNREADABLE] = "pool-unreadable",
	};

	return (unsigned)code < HEALTH_CODES ? names[code] : "?";
}

static uint64_t wall_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static bool of_a_state(enum health_code code)
{
	return code <= HEALTH_HOST_RECOVERING;
}

/* -- what begins and ends ------------------------------------------------------------ */

static void say(const struct watch *w, const struct health_condition *c, bool begins)
{
	char fields[160], host[32] = "";
	const struct log_event event = {
		.level = begins ? LOG_LEVEL_WARN : LOG_LEVEL_NOTE,
		.id = begins ? MESSAGE_DEGRADED : MESSAGE_HEALTHY,
		.fields = fields,
	};

	if (c->host >= 0)
		snprintf(host, sizeof(host), "DAXFS_HOST=%d\n", c->host);
	snprintf(fields, sizeof(fields), "DAXFS_POOL=%.31s\nDAXFS_CODE=%s\n%s", w->geometry.name, health_name(c->code),
		 host);
	log_event(&event, "%s: %s", begins ? "DEGRADED" : "not any more", c->text);
}

static void record(struct watch *w, const struct health_condition *c, bool begins)
{
	struct daxfs_event e = {
		.kind = begins ? DAXFS_EVENT_DEGRADED : DAXFS_EVENT_HEALTHY,
		.host = c->host,
		.by = -1,
	};

	if (of_a_state(c->code))
		return; /* recorded, and logged, as that */
	snprintf(e.text, sizeof(e.text), "%.63s", c->text);
	if (c->host >= 0) {
		memcpy(e.name, w->in.view[c->host].name, sizeof(e.name));
		e.generation = w->in.view[c->host].generation;
	}
	say(w, c, begins);
	if (w->decide.role == DECIDE_PRIMARY && w->events.record)
		w->events.record(w->events.context, &e);
}

static struct health_condition *find(struct health *h, enum health_code code, int host, unsigned which)
{
	for (unsigned i = 0; i < h->n; i++)
		if (h->condition[i].code == code && h->condition[i].host == host && h->condition[i].which == which)
			return &h->condition[i];
	return NULL;
}

__attribute__((format(printf, 6, 7))) static void note(struct health *h, struct watch *w, enum health_code code,
						       int host, unsigned which, const char *format, ...)
{
	struct health_condition *c = find(h, code, host, which);
	bool begins = c == NULL;
	va_list args;

	if (begins && h->n == HEALTH_MAX)
		return;
	if (begins) {
		c = &h->condition[h->n++];
		*c = (struct health_condition){ .code = code, .host = host, .which = which, .since_ns = wall_ns() };
	}
	c->seen = true;
	va_start(args, format);
	vsnprintf(c->text, sizeof(c->text), format, args);
	va_end(args);
	if (begins)
		record(w, c, true);
}

static void end_unseen(struct health *h, struct watch *w)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < h->n; i++) {
		if (h->condition[i].seen)
			h->condition[kept++] = h->condition[i];
		else
			record(w, &h->condition[i], false);
	}
	h->n = kept;
}

/* -- of hosts -------------------------------------------------------------------------- */

static bool take_entered(void *context, const struct daxfs_event *e)
{
	struct health *h = context;

	if (e->kind == DAXFS_EVENT_STATE && e->host >= 0 && (unsigned)e->host < DECIDE_HOSTS_MAX)
		h->entered[e->host] = (struct health_entered){ e->state, e->generation, e->wall_ns };
	return true;
}

static void look_at_host(struct health *h, struct watch *w, unsigned i)
{
	static const enum health_code codes[DAXFS_HOST_STATES] = {
		[DAXFS_HOST_SUSPECT] = HEALTH_HOST_SUSPECT,
		[DAXFS_HOST_FENCING] = HEALTH_HOST_FENCING,
		[DAXFS_HOST_FENCED] = HEALTH_HOST_FENCED,
		[DAXFS_HOST_RECOVERING] = HEALTH_HOST_RECOVERING,
	};
	const struct daxfs_host_view *v = &w->in.view[i];
	const struct health_entered *entered = &h->entered[i];
	struct health_condition *c;
	char reason[96];

	if (!w->in.sensible[i]) {
		note(h, w, HEALTH_SLOT_DAMAGED, (int)i, 0, "host slot %u cannot be read, or makes no sense", i);
		return;
	}
	if (v->state < DAXFS_HOST_SUSPECT || v->state > DAXFS_HOST_RECOVERING)
		return;
	c = find(h, codes[v->state], (int)i, 0);
	note(h, w, codes[v->state], (int)i, 0, "host %u (%.31s) is %s: %.60s", i, v->name,
	     daxfs_host_state_name(v->state), daxfs_reason_text(v->reason, v->reason_ms, reason, sizeof(reason)));
	if (!c && entered->state == v->state && entered->generation == v->generation)
		find(h, codes[v->state], (int)i, 0)->since_ns = entered->wall_ns;
	if (v->deaths >= DAXFS_RECOVERERS_MAX)
		note(h, w, HEALTH_RECOVERY_GIVEN_UP, (int)i, 0, "recovery of host %u given up: %u hosts died of it", i,
		     v->deaths);
}

static bool present(const struct watch *w, const char *name)
{
	for (unsigned i = 0; i < w->decide.hosts; i++) {
		const struct daxfs_host_view *v = &w->in.view[i];

		if (w->in.sensible[i] && v->state != DAXFS_HOST_FREE && v->state != DAXFS_HOST_RECOVERED &&
		    strcmp(v->name, name) == 0)
			return true;
	}
	return false;
}

static void look_at_expected(struct health *h, struct watch *w)
{
	for (unsigned i = 0; i < w->options->n_expected; i++)
		if (!present(w, w->options->expected[i]))
			note(h, w, HEALTH_HOST_ABSENT, -1, i, "expected host %s is absent", w->options->expected[i]);
}

/* -- of the manager ---------------------------------------------------------------------- */

static void look_at_manager(struct health *h, struct watch *w)
{
	const char *broken = agents_broken(w->agents);
	uint64_t now_ns = wall_ns();

	if (broken)
		note(h, w, HEALTH_FENCE_BROKEN, -1, 0, "fence agent does not work: %.80s", broken);
	if (w->options->expect_backup && w->decide.role == DECIDE_PRIMARY && !decide_has_peer(&w->decide))
		note(h, w, HEALTH_NO_BACKUP, -1, 0, "no backup fabricd on another machine");
	if (w->decide.late_polls != h->late_polls)
		h->late_ns = now_ns;
	h->late_polls = w->decide.late_polls;
	if (h->late_ns && now_ns - h->late_ns < TIMING_LATE_SHOWN_S * 1000000000ull)
		note(h, w, HEALTH_LATE, -1, 0, "fabricd polled late %llu times: give it more of the processor",
		     (unsigned long long)h->late_polls);
}

void health_poll(struct health *h, struct watch *w)
{
	for (unsigned i = 0; i < h->n; i++)
		h->condition[i].seen = false;
	if (!w->in.readable) {
		for (unsigned i = 0; i < h->n; i++)
			h->condition[i].seen = true; /* nothing is known to be better */
		note(h, w, HEALTH_POOL_UNREADABLE, -1, 0, "the pool cannot be read");
		return;
	}
	if (!h->began)
		watch_events(w, 0, take_entered, h);
	h->began = true;
	for (unsigned i = 0; i < w->decide.hosts; i++)
		look_at_host(h, w, i);
	look_at_expected(h, w);
	look_at_manager(h, w);
	end_unseen(h, w);
}
