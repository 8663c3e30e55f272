/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot.c - see snapshot.h. */
#include "daxfsctl/snapshot.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "daxfs/cache.h"
#include "daxfsctl/find_socket.h"
#include "daxfsctl/health.h"
#include "proto/framing.h"

#define SAMPLE_MS_MAX 2000 /* nobody waits longer for a glance */
#define SOCKETS "/run/daxfs/fabricd-*.sock"

static void copy_text(char *out, size_t size, const char *in)
{
	snprintf(out, size, "%s", in ? in : "");
}

/* -- from the pool itself ----------------------------------------------------- */

/* What each host has in flight, by its records rather than by what it last said. */
static void take_in_flight(struct snapshot *s, struct daxfs *fs)
{
	for (unsigned i = 0; i < s->n_hosts; i++) {
		struct daxfs_host_view *v = &s->host[i].view;
		struct daxfs_inflight f;

		if (daxfs_inflight(fs, i, &f))
			continue;
		v->lanes = f.lanes;
		v->records = f.records;
		v->owned = f.owned;
		v->pins = f.opens;
	}
}

static bool take_repair(void *context, const struct daxfs_repair *item)
{
	struct snapshot *s = context;

	s->to_repair[item->kind]++;
	if (s->n_repairs < SNAPSHOT_REPAIRS)
		s->repair[s->n_repairs++] = *item;
	return true;
}

static void take_unwritten(struct snapshot *s, struct daxfs *fs)
{
	struct daxfs_cache_stats stats;

	for (unsigned i = 0; i < s->n_hosts; i++)
		if (daxfs_cache_stats_of(fs, i, &stats) == 0) {
			s->host[i].unwritten = stats.dirty_bytes;
			s->host[i].unwritten_ms = stats.dirty_age_ms;
			s->host[i].write_error = (int)stats.dirty_error;
			copy_text(s->host[i].unwritten_of, sizeof(s->host[i].unwritten_of), stats.dirty_name);
		}
}

static bool take_change(void *context, const struct daxfs_event *e)
{
	struct snapshot *s = context;

	if (e->kind == DAXFS_EVENT_HEARTBEAT)
		s->heartbeat = *e;
	return true;
}

/* Of a heartbeat that is not what mkfs made it: who changed it, if that is remembered. */
static void take_heartbeat(struct snapshot *s, struct daxfs_member *m)
{
	struct daxfs_geometry g;
	struct daxfs_timing timing;

	daxfs_member_geometry(m, &g);
	daxfs_member_timing(m, &timing);
	if (memcmp(g.uuid, s->geometry.uuid, sizeof(g.uuid)))
		return;
	s->made_heartbeat_ms = g.heartbeat_ms;
	if (timing.beat_ms != g.heartbeat_ms)
		daxfs_event_list(m, 0, take_change, s);
	if (s->heartbeat.value != timing.beat_ms) /* the event of this change is lost */
		s->heartbeat = (struct daxfs_event){ .number = 0 };
}

/* Usage, work in flight, what is to be repaired, if this process may map the pool that this is about. */
static int take_pool(struct snapshot *s, struct daxfs_error *err)
{
	struct daxfs_geometry g;
	struct daxfs *fs;
	int rc = daxfs_open(s->path, DAXFS_READ_ONLY, &fs, err);

	if (rc)
		return rc;
	daxfs_geometry(fs, &g);
	if (memcmp(g.uuid, s->geometry.uuid, sizeof(g.uuid)) == 0) {
		s->have_usage = daxfs_statfs(fs, &s->usage) == 0;
		take_in_flight(s, fs);
		take_unwritten(s, fs);
		daxfs_repair_list(fs, take_repair, s);
		s->have_proof = daxfs_coherence_proof(fs, &s->proof) == 0;
	}
	daxfs_close(fs);
	return 0;
}

static void take_members(struct snapshot *s, const struct daxfs_member *m)
{
	struct daxfs_timing timing;

	daxfs_member_geometry(m, &s->geometry);
	daxfs_member_timing(m, &timing);
	s->geometry.heartbeat_ms = timing.judged_ms;
	daxfs_member_manager(m, &s->manager);
	s->n_hosts = s->geometry.hosts < SNAPSHOT_HOSTS ? s->geometry.hosts : SNAPSHOT_HOSTS;
	for (unsigned i = 0; i < s->n_hosts; i++) {
		s->host[i].readable = daxfs_member_host(m, i, &s->host[i].view) == 0;
		s->host[i].view.id = i;
	}
}

/* Look again and say which counters moved. */
static void sample_beats(struct snapshot *s, const struct daxfs_member *m)
{
	uint64_t ms = s->geometry.heartbeat_ms + s->geometry.heartbeat_ms / 2;
	struct daxfs_manager_view manager;
	struct daxfs_host_view v;

	if (ms > SAMPLE_MS_MAX)
		return;
	clock_nap_ms(ms);
	daxfs_member_manager(m, &manager);
	if (manager.epoch)
		s->fabricd = manager.beat == s->manager.beat ? FABRICD_SILENT : FABRICD_PRIMARY;
	for (unsigned i = 0; i < s->n_hosts; i++) {
		if (!s->host[i].readable || !snapshot_in_use(&s->host[i]) || daxfs_member_host(m, i, &v))
			continue;
		s->host[i].beat = v.beat == s->host[i].view.beat ? BEAT_NOT_WITHIN : BEAT_WITHIN;
		s->host[i].beat_ms = ms;
	}
}

unsigned snapshot_slots(const struct snapshot *s, unsigned *free)
{
	unsigned slots = s->n_hosts ? s->n_hosts - 1 : 0;

	*free = 0;
	for (unsigned i = 0; i < slots; i++)
		*free += !snapshot_in_use(&s->host[i]);
	return slots;
}

/* The pool does not say which recovery came last: one that is still on display, else any. */
static void guess_last(struct snapshot *s)
{
	for (unsigned i = 0; i < s->n_hosts; i++) {
		const struct daxfs_host_view *v = &s->host[i].view;

		if (!s->host[i].readable || !v->last.ns)
			continue;
		if (!s->last.ns || v->state == DAXFS_HOST_RECOVERED)
			s->last = v->last;
	}
}

int snapshot_direct(const char *path, struct snapshot *out, struct daxfs_error *err)
{
	struct daxfs_member *m;
	int rc = daxfs_member_open(path, false, &m, err);

	if (rc)
		return rc;
	memset(out, 0, sizeof(*out));
	copy_text(out->path, sizeof(out->path), path);
	take_members(out, m);
	out->fabricd = out->manager.epoch ? FABRICD_UNKNOWN : FABRICD_NONE;
	sample_beats(out, m);
	condition_direct(out, m);
	take_heartbeat(out, m);
	daxfs_member_close(m);
	guess_last(out);
	return take_pool(out, err);
}

/* -- from fabricd --------------------------------------------------------------- */

static void from_pool(struct daxfs_geometry *g, const Fabric__Pool *p)
{
	copy_text(g->name, sizeof(g->name), p->name);
	if (p->uuid.len == sizeof(g->uuid))
		memcpy(g->uuid, p->uuid.data, sizeof(g->uuid));
	g->size = p->size;
	g->version = p->version;
	g->hosts = p->hosts;
	g->lanes_per_host = p->lanes_per_host;
	g->opens_per_host = p->opens_per_host;
	g->heartbeat_ms = p->heartbeat_ms;
	g->lease_ms = p->lease_ms;
	g->wb = p->wb;
	g->pages = p->pages;
	g->inodes = p->inodes;
	g->dirents = p->dirents;
}

static void copy_id(uint8_t out[16], const ProtobufCBinaryData *in)
{
	if (in->len == 16)
		memcpy(out, in->data, 16);
}

static void from_manager(struct snapshot *s, const Fabric__Manager *m)
{
	s->manager.epoch = m->epoch;
	s->manager.pid = m->pid;
	s->manager.beat = m->beat;
	s->manager.reclaim_epoch = m->reclaim_epoch;
	s->fabricd = m->role == FABRIC__ROLE__PRIMARY ? FABRICD_PRIMARY : FABRICD_BACKUP;
	s->answered_by = m->self_pid;
	s->deciding = m->deciding;
	copy_text(s->note, sizeof(s->note), m->note);
	copy_text(s->fence_agent, sizeof(s->fence_agent), m->fence_agent);
	copy_text(s->fence_broken, sizeof(s->fence_broken), m->fence_broken);
	s->backup_seen = m->backup_seen;
	s->backup_expected = m->backup_expected;
	copy_id(s->manager.machine, &m->machine);
	copy_id(s->manager.standby_machine, &m->standby_machine);
	s->polls = m->polls;
	s->late_polls = m->late_polls;
}

static void from_recovery(struct daxfs_recovery *out, const Fabric__Recovery *r)
{
	if (!r)
		return;
	out->host = r->host;
	out->generation = r->generation;
	out->finished = r->finished;
	out->rolled_back = r->rolled_back;
	out->objects = r->objects;
	out->opens = r->opens;
	out->files = r->files;
	out->ns = r->ns;
}

static void from_host(struct snapshot_host *out, const Fabric__Host *h)
{
	struct daxfs_host_view *v = &out->view;

	out->readable = h->readable && h->state < DAXFS_HOST_STATES && h->reason < DAXFS_REASONS;
	if (!out->readable)
		return;
	out->beat = BEAT_SINCE;
	out->beat_ms = h->silence_ms;
	out->worst_gap_ms = h->worst_gap_ms;
	v->word = h->word;
	v->generation = h->generation;
	v->state = (enum daxfs_host_state)h->state;
	v->recoverer = h->recoverer;
	v->deaths = h->deaths;
	v->manager_epoch = h->manager_epoch;
	v->beat = h->beat;
	v->tenancy = h->tenancy;
	v->pid = h->pid;
	v->lanes = h->lanes;
	v->records = h->records;
	v->owned = h->owned;
	v->pins = h->pins;
	v->reason = (enum daxfs_reason)h->reason;
	v->reason_ms = h->reason_ms;
	v->fence_ms = h->fence_ms;
	copy_text(v->name, sizeof(v->name), h->name);
	copy_text(out->said, sizeof(out->said), h->said);
	copy_id(v->who.machine, &h->machine);
	copy_id(v->who.boot, &h->boot);
	from_recovery(&v->last, h->last);
}

static void from_conditions(struct snapshot *s, const Fabric__Response *r)
{
	for (size_t i = 0; i < r->n_conditions; i++) {
		const Fabric__Condition *c = r->conditions[i];
		int host = c->host >= 0 && c->host < (int32_t)SNAPSHOT_HOSTS ? c->host : -1;

		condition_add(s, c->code, host, c->since_ns, "%s", c->text);
	}
}

/* A status reply has all its parts, and slot i is host i. */
static bool reply_whole(const Fabric__Response *r)
{
	if (!r->pool || !r->manager || r->n_hosts > SNAPSHOT_HOSTS)
		return false;
	for (size_t i = 0; i < r->n_hosts; i++)
		if (!r->hosts[i] || r->hosts[i]->id != i)
			return false;
	return true;
}

static int from_reply(struct snapshot *s, const Fabric__Response *r, const char *socket, struct daxfs_error *err)
{
	if (!reply_whole(r)) {
		snprintf(err->text, sizeof(err->text),
			 "fabricd at %.80s gave half an answer: is it of another version?", socket);
		return -EPROTO;
	}
	memset(s, 0, sizeof(*s));
	from_pool(&s->geometry, r->pool);
	copy_text(s->path, sizeof(s->path), r->pool->path);
	from_manager(s, r->manager);
	s->n_hosts = (unsigned)r->n_hosts;
	for (unsigned i = 0; i < s->n_hosts; i++) {
		s->host[i].view.id = i;
		from_host(&s->host[i], r->hosts[i]);
	}
	from_conditions(s, r);
	from_recovery(&s->last, r->last_recovery);
	if (!s->last.ns)
		guess_last(s);
	return 0;
}

/* What fabricd does not tell, from the pool itself. Another user, another machine: then without. */
static void take_here(struct snapshot *s)
{
	struct daxfs_error none;
	struct daxfs_member *m;

	if (take_pool(s, &none) || daxfs_member_open(s->path, false, &m, &none))
		return;
	take_heartbeat(s, m);
	daxfs_member_close(m);
}

int snapshot_ask(const char *socket, struct snapshot *out, struct daxfs_error *err)
{
	Fabric__Request request = FABRIC__REQUEST__INIT;
	Fabric__Status status = FABRIC__STATUS__INIT;
	Fabric__Response *response;
	int rc;

	request.verb_case = FABRIC__REQUEST__VERB_STATUS;
	request.status = &status;
	rc = fabric_call(socket, &request, &response, err);
	if (rc)
		return rc;
	rc = from_reply(out, response, socket, err);
	fabric__response__free_unpacked(response, NULL);
	if (rc == 0)
		take_here(out);
	return rc;
}

/* -- whom to ask ---------------------------------------------------------------- */

int snapshot_socket(const struct ctl *ctl, char *out, size_t size, struct daxfs_error *err)
{
	if (!ctl->socket)
		return find_socket(SOCKETS, out, size, err);
	copy_text(out, size, ctl->socket);
	return 0;
}

int snapshot_take(struct ctl *ctl, struct snapshot *out)
{
	struct daxfs_error err = { .text = "" };
	char socket[PATH_MAX];
	int rc;

	if (ctl->direct && !ctl->n_words)
		return ctl_fail(ctl, CTL_USAGE, "--direct needs the POOL to read");
	if (ctl->n_words && !ctl->socket) {
		rc = snapshot_direct(ctl->words[0], out, &err);
	} else {
		rc = snapshot_socket(ctl, socket, sizeof(socket), &err);
		if (rc)
			return ctl_fail(ctl, CTL_ERROR, "%s", err.text);
		rc = snapshot_ask(socket, out, &err);
	}
	if (rc == 0)
		health_conditions(out);
	return rc ? ctl_fail_error(ctl, rc, &err) : CTL_OK;
}
