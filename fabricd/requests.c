/* SPDX-License-Identifier: Apache-2.0 */
/*
 * requests.c - one request, one response. See requests.h.
 *
 * Orders are checked against what the last poll saw, so that the operator hears
 * at once why not; the next poll decides, on what it sees then.
 */
#include "fabricd/requests.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVENTS_MAX 64u /* in one answer */

/* a response and all that it points to */
struct reply {
	Fabric__Response response;
	Fabric__Pool pool;
	Fabric__Manager manager;
	Fabric__Host host[DECIDE_HOSTS_MAX];
	Fabric__Host *hosts[DECIDE_HOSTS_MAX];
	Fabric__Recovery last[DECIDE_HOSTS_MAX];
	Fabric__Recovery last_recovery;
	char text[512];
	char names[DECIDE_HOSTS_MAX][32], said[DECIDE_HOSTS_MAX][AGENT_SAID_BYTES], broken[AGENT_SAID_BYTES];
	struct daxfs_identity who[DECIDE_HOSTS_MAX];
	char path[PATH_MAX], agent[PATH_MAX], note[128], pool_name[32];
	uint8_t uuid[16];
	Fabric__Condition condition[HEALTH_MAX];
	Fabric__Condition *conditions[HEALTH_MAX];
	struct health_condition wrong[HEALTH_MAX];
	char code[HEALTH_MAX][24];
	uint8_t machine[16], standby[16];
	struct daxfs_event seen[EVENTS_MAX];
	Fabric__Event event[EVENTS_MAX];
	Fabric__Event *events[EVENTS_MAX];
};

__attribute__((format(printf, 3, 4))) static void say(struct reply *r, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(r->text, sizeof(r->text), format, args);
	va_end(args);
	r->response.error = error;
	r->response.text = r->text;
}

/* A string of the pool is bytes; one of a protobuf message is text. */
static char *text_of(char *out, size_t size, const char *in)
{
	size_t len = strnlen(in, size - 1);

	for (size_t i = 0; i < len; i++)
		out[i] = in[i] >= ' ' && in[i] <= '~' ? in[i] : '?';
	out[len] = '\0';
	return out;
}

/* -- status ------------------------------------------------------------------- */

static void fill_pool(struct reply *r, const struct watch *w)
{
	const struct daxfs_geometry *g = &w->geometry;
	Fabric__Pool *p = &r->pool;

	fabric__pool__init(p);
	memcpy(r->uuid, g->uuid, sizeof(r->uuid));
	p->name = text_of(r->pool_name, sizeof(r->pool_name), g->name);
	p->path = text_of(r->path, sizeof(r->path), w->path);
	p->uuid = (ProtobufCBinaryData){ .len = sizeof(r->uuid), .data = r->uuid };
	p->size = g->size;
	p->version = g->version;
	p->hosts = g->hosts;
	p->lanes_per_host = g->lanes_per_host;
	p->opens_per_host = g->opens_per_host;
	p->heartbeat_ms = g->heartbeat_ms;
	p->lease_ms = g->lease_ms;
	p->wb = g->wb;
	p->pages = g->pages;
	p->inodes = g->inodes;
	p->dirents = g->dirents;
	r->response.pool = p;
}

static void fill_manager(struct reply *r, const struct watch *w)
{
	const char *waits = decide_waits(&w->decide), *broken = agents_broken(w->agents);
	Fabric__Manager *m = &r->manager;

	fabric__manager__init(m);
	m->epoch = w->in.manager.epoch;
	m->pid = w->in.manager.pid;
	m->beat = w->in.manager.beat;
	m->reclaim_epoch = w->in.manager.reclaim_epoch;
	m->role = w->decide.role == DECIDE_PRIMARY ? FABRIC__ROLE__PRIMARY : FABRIC__ROLE__BACKUP;
	m->self_pid = (uint32_t)getpid();
	m->fence_agent = text_of(r->agent, sizeof(r->agent), agent_name(w->options));
	m->fence_broken = text_of(r->broken, sizeof(r->broken), broken ? broken : "");
	m->backup_seen = w->decide.role == DECIDE_PRIMARY && decide_has_peer(&w->decide);
	m->backup_expected = w->options->expect_backup;
	memcpy(r->machine, w->in.manager.machine, sizeof(r->machine));
	memcpy(r->standby, w->in.manager.standby_machine, sizeof(r->standby));
	m->machine = (ProtobufCBinaryData){ .len = sizeof(r->machine), .data = r->machine };
	m->standby_machine = (ProtobufCBinaryData){ .len = sizeof(r->standby), .data = r->standby };
	m->polls = w->decide.polls;
	m->late_polls = w->decide.late_polls;
	m->deciding = waits == NULL;
	m->note = text_of(r->note, sizeof(r->note), waits ? waits : "");
	r->response.manager = m;
}

static Fabric__Recovery *fill_recovery(Fabric__Recovery *out, const struct daxfs_recovery *in)
{
	fabric__recovery__init(out);
	out->host = in->host;
	out->generation = in->generation;
	out->finished = in->finished;
	out->rolled_back = in->rolled_back;
	out->objects = in->objects;
	out->opens = in->opens;
	out->files = in->files;
	out->ns = in->ns;
	return out;
}

static void fill_host(struct reply *r, const struct watch *w, unsigned i)
{
	const struct daxfs_host_view *v = &w->in.view[i];
	Fabric__Host *h = &r->host[i];

	fabric__host__init(h);
	h->id = i;
	h->readable = w->in.readable && w->in.sensible[i];
	h->word = v->word;
	h->generation = v->generation;
	h->state = v->state;
	h->recoverer = v->recoverer;
	h->deaths = v->deaths;
	h->manager_epoch = v->manager_epoch;
	h->beat = v->beat;
	h->tenancy = v->tenancy;
	h->pid = v->pid;
	h->lanes = v->lanes;
	h->records = v->records;
	h->owned = v->owned;
	h->pins = v->pins;
	h->reason = v->reason;
	h->reason_ms = v->reason_ms;
	h->fence_ms = v->fence_ms;
	h->said = text_of(r->said[i], sizeof(r->said[i]), v->state == DAXFS_HOST_FENCING ? w->agents->said[i] : "");
	h->machine = (ProtobufCBinaryData){ .len = sizeof(r->who[i].machine), .data = r->who[i].machine };
	h->boot = (ProtobufCBinaryData){ .len = sizeof(r->who[i].boot), .data = r->who[i].boot };
	r->who[i] = v->who;
	h->name = text_of(r->names[i], sizeof(r->names[i]), v->name);
	h->last = fill_recovery(&r->last[i], &v->last);
	h->worst_gap_ms = w->gaps.host[i].worst_ms;
	h->silence_ms = decide_silence_ms(&w->decide, i, watch_clock_ms());
	r->hosts[i] = h;
}

static void fill_conditions(struct reply *r, const struct watch *w)
{
	for (unsigned i = 0; i < w->health.n; i++) {
		struct health_condition *c = &r->wrong[i];

		*c = w->health.condition[i];
		fabric__condition__init(&r->condition[i]);
		r->condition[i].code = text_of(r->code[i], sizeof(r->code[i]), health_name(c->code));
		r->condition[i].host = c->host;
		r->condition[i].since_ns = c->since_ns;
		r->condition[i].text = text_of(c->text, sizeof(c->text), w->health.condition[i].text);
		r->conditions[i] = &r->condition[i];
	}
	r->response.conditions = r->conditions;
	r->response.n_conditions = w->health.n;
}

static void status(struct reply *r, const struct watch *w)
{
	fill_conditions(r, w);
	fill_pool(r, w);
	fill_manager(r, w);
	for (unsigned i = 0; i < w->decide.hosts; i++)
		fill_host(r, w, i);
	r->response.hosts = r->hosts;
	r->response.n_hosts = w->decide.hosts;
	if (w->events.recovered)
		r->response.last_recovery = fill_recovery(&r->last_recovery, &w->events.newest);
}

/* -- events ------------------------------------------------------------------- */

/* What the pool has, as it is: names and texts are print already. */
static void fill_event(Fabric__Event *out, struct daxfs_event *e)
{
	fabric__event__init(out);
	out->number = e->number;
	out->wall_ns = e->wall_ns;
	out->mono_ns = e->mono_ns;
	out->kind = e->kind;
	out->host = e->host;
	out->by = e->by;
	out->state = e->state;
	out->reason = e->reason;
	out->ms = e->ms;
	out->generation = e->generation;
	out->epoch = e->epoch;
	out->pid = e->pid;
	out->machine = (ProtobufCBinaryData){ .len = sizeof(e->machine), .data = e->machine };
	out->value = e->value;
	out->name = e->name;
	out->text = e->text;
}

static bool take_event(void *context, const struct daxfs_event *e)
{
	struct reply *r = context;
	size_t n = r->response.n_events++;

	r->seen[n] = *e;
	fill_event(&r->event[n], &r->seen[n]);
	r->events[n] = &r->event[n];
	return n + 1 < EVENTS_MAX;
}

static void events(struct reply *r, struct watch *w, uint64_t after)
{
	int rc = watch_events(w, after, take_event, r);

	r->response.events = r->events;
	if (rc == -EOPNOTSUPP)
		say(r, EOPNOTSUPP, "this pool was made without events");
	else if (rc < 0)
		say(r, -rc, "the events cannot be read: %s", strerror(-rc));
}

/* -- orders ------------------------------------------------------------------- */

/* May anything be ordered about that host here? Says so if not. */
static bool in_charge(struct reply *r, const struct watch *w, unsigned host)
{
	if (w->decide.role != DECIDE_PRIMARY)
		say(r, EREMOTE, "this fabricd (pid %d) is the backup: ask the primary (pid %u)", (int)getpid(),
		    w->in.manager.pid);
	else if (host >= w->decide.hosts)
		say(r, EINVAL, "no host %u: this pool has hosts 0 to %u", host, w->decide.hosts - 1);
	else if (!w->in.readable)
		say(r, EIO, "the pool cannot be read: nothing is decided until it can");
	else
		return true;
	return false;
}

static void order(struct reply *r, struct watch *w, unsigned host, enum decide_order what)
{
	const char *refused;

	if (!in_charge(r, w, host))
		return;
	refused = decide_refuses(&w->decide, host, what);
	if (refused) {
		say(r, EBUSY, "host %u: %s", host, refused);
		return;
	}
	watch_order(w, host, what);
	if (what == ORDER_FENCE)
		say(r, 0, "host %u is being fenced", host);
	else
		say(r, 0, "host %u is taken for dead if its heartbeat stays still", host);
}

/* Any fabricd may be asked: each must reach the fence devices. */
static void fence_test(struct reply *r, struct watch *w, const Fabric__FenceTest *test)
{
	const struct agents_test *t = &w->agents->test;

	if (test->host >= w->decide.hosts) {
		say(r, EINVAL, "no host %u: this pool has hosts 0 to %u", test->host, w->decide.hosts - 1);
		return;
	}
	if (!w->in.readable || !w->in.sensible[test->host]) {
		say(r, EIO, "host %u: its slot cannot be read", test->host);
		return;
	}
	if (!agent_name(w->options)[0]) {
		say(r, ENODEV, "no fence agent is set: fence-agent in fabricd's configuration, see fabricd(8)");
		return;
	}
	if (test->begin)
		agents_test(w->agents, test->host, w->in.view[test->host].name);
	if (!t->asked || t->host != test->host)
		say(r, EBUSY, "host %u: another test was begun since; try again", test->host);
	else if (t->running)
		say(r, EAGAIN, "host %u: its fence agents are being asked", test->host);
	else
		say(r, t->failed ? EIO : 0, "host %u (%s): %s", test->host, w->in.view[test->host].name, t->text);
}

/* Of a host that is FENCED, or RECOVERING by nobody any more. */
static void recover_fenced(struct reply *r, const struct watch *w, unsigned host)
{
	int candidate = decide_heir(&w->decide, host);
	enum decide_toll toll = decide_toll(&w->decide, host);

	if (toll == TOLL_HIGH)
		say(r, EBUSY,
		    "%u hosts died while they recovered host %u: remove the cause (daxfsctl check), then "
		    "daxfsctl recover --again --host %u",
		    w->decide.host[host].deaths, host, host);
	else if (toll == TOLL_RESTING)
		say(r, 0, "two hosts died while they recovered host %u: the next one begins after a pause", host);
	else if (candidate < 0)
		say(r, EAGAIN, "no live host can recover host %u: start a node-agent", host);
	else
		say(r, 0, "host %d recovers host %u", candidate, host);
}

static void recover_again(struct reply *r, struct watch *w, unsigned host)
{
	int rc;

	if (!in_charge(r, w, host))
		return;
	rc = watch_again(w, host);
	if (rc == -EINVAL)
		say(r, EBUSY, "host %u is not RECOVERING: nothing holds its recovery up", host);
	else if (rc)
		say(r, -rc, "host %u: %s; try again", host, strerror(-rc));
	else
		say(r, 0, "host %u: the next host that is there recovers it", host);
}

static void recover(struct reply *r, const struct watch *w, unsigned host)
{
	enum daxfs_host_state state;

	if (!in_charge(r, w, host))
		return;
	state = w->in.view[host].state;
	if (!w->in.sensible[host])
		say(r, EIO, "host %u: its slot cannot be read; run daxfsctl check", host);
	else if (state == DAXFS_HOST_FREE || state == DAXFS_HOST_RECOVERED)
		say(r, 0, "host %u: nothing is left to recover", host);
	else if (state == DAXFS_HOST_RECOVERING && decide_recoverer(&w->decide, host) == RECOVERER_HELD)
		say(r, EBUSY, "host %d is recovering host %u; if it hangs, fence host %d", w->in.view[host].recoverer,
		    host, w->in.view[host].recoverer);
	else if (state == DAXFS_HOST_FENCED || state == DAXFS_HOST_RECOVERING)
		recover_fenced(r, w, host);
	else
		say(r, EBUSY, "host %u is %s: fence it first", host, daxfs_host_state_name(state));
}

/* -- one request ---------------------------------------------------------------- */

static bool changes_nothing(const Fabric__Request *request)
{
	return request->verb_case == FABRIC__REQUEST__VERB_STATUS ||
	       request->verb_case == FABRIC__REQUEST__VERB_EVENTS || request->verb_case == FABRIC__REQUEST__VERB_PING;
}

static void dispatch(struct reply *r, struct watch *w, const Fabric__Request *request, bool guest)
{
	if (!request) {
		say(r, EPROTO, "request does not parse");
		return;
	}
	if (guest && !changes_nothing(request)) {
		say(r, EPERM, "only root may change something; members of the socket's group may ask for status");
		return;
	}
	switch (request->verb_case) {
	case FABRIC__REQUEST__VERB_STATUS: status(r, w); break;
	case FABRIC__REQUEST__VERB_FENCE: order(r, w, request->fence->host, ORDER_FENCE); break;
	case FABRIC__REQUEST__VERB_CONFIRM_DEAD: order(r, w, request->confirm_dead->host, ORDER_CONFIRM); break;
	case FABRIC__REQUEST__VERB_RECOVER:
		if (request->recover->again)
			recover_again(r, w, request->recover->host);
		else
			recover(r, w, request->recover->host);
		break;
	case FABRIC__REQUEST__VERB_FENCE_TEST: fence_test(r, w, request->fence_test); break;
	case FABRIC__REQUEST__VERB_EVENTS: events(r, w, request->events->after); break;
	case FABRIC__REQUEST__VERB_PING: break;
	default: say(r, EOPNOTSUPP, "this fabricd does not know that request: is it older than its client?"); break;
	}
}

int answer(struct watch *w, const Fabric__Request *request, bool guest, uint8_t **out, size_t *len)
{
	struct reply *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return -ENOMEM;
	fabric__response__init(&r->response);
	dispatch(r, w, request, guest);
	rc = fabric_encode(&r->response.base, out, len);
	free(r);
	return rc;
}
