/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.c - what happened to hosts, as lines and in the pool's ring. See events.h.
 */
#include "fabricd/events.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "fabricd/message_id.h"

/*
 * Why a host was moved by somebody else. The reason beside the word is stored
 * after the word, so of the moves that have one reason only it is not asked.
 */
static const char *reason_of(const struct daxfs_host_view *v, char *buf, size_t size)
{
	switch (v->state) {
	case DAXFS_HOST_JOINING: return "slot taken";
	case DAXFS_HOST_ALIVE: return v->reason == DAXFS_REASON_BEAT_RESUMED ? "heartbeat resumed" : "joined";
	case DAXFS_HOST_FREE: return v->reason == DAXFS_REASON_RECOVERY_DONE ? "recovered" : "left";
	case DAXFS_HOST_RECOVERED: return "recovered";
	case DAXFS_HOST_RECOVERING: snprintf(buf, size, "by host %d", v->recoverer); return buf;
	default: return daxfs_reason_text(v->reason, v->reason_ms, buf, size);
	}
}

static bool is_death(enum daxfs_host_state state)
{
	return state == DAXFS_HOST_SUSPECT || state == DAXFS_HOST_FENCING || state == DAXFS_HOST_FENCED;
}

static const char *message_of(enum daxfs_host_state state)
{
	switch (state) {
	case DAXFS_HOST_SUSPECT: return MESSAGE_SUSPECT;
	case DAXFS_HOST_FENCING: return MESSAGE_DECLARED_DEAD;
	case DAXFS_HOST_FENCED: return MESSAGE_FENCED;
	case DAXFS_HOST_RECOVERED: return MESSAGE_RECOVERED;
	default: return MESSAGE_STATE;
	}
}

static void log_entry(const struct events *events, const struct daxfs_host_view *v, enum daxfs_host_state to,
		      uint32_t generation, const char *err)
{
	const char *name = v->name[0] ? v->name : "unnamed";
	char fields[256];
	const struct log_event event = {
		.level = is_death(to) ? LOG_LEVEL_WARN : LOG_LEVEL_NOTE,
		.id = message_of(to),
		.fields = fields,
	};

	snprintf(fields, sizeof(fields),
		 "DAXFS_POOL=%.31s\nDAXFS_HOST=%u\nDAXFS_NAME=%.31s\nDAXFS_GENERATION=%u\nDAXFS_STATE=%s\n",
		 events->pool ? events->pool : "", v->id, v->name, generation, daxfs_host_state_name(to));
	log_event(&event, "host %u (%s) generation %u %s: %s", v->id, name, generation, daxfs_host_state_name(to), err);
}

static bool same_recovery(const struct daxfs_recovery *a, const struct daxfs_recovery *b)
{
	return a->ns == b->ns && a->finished == b->finished && a->rolled_back == b->rolled_back &&
	       a->objects == b->objects && a->opens == b->opens && a->files == b->files;
}

/* The figures are complete once the recoverer has let go of the slot. */
static void saw_recovery(struct events *events, struct events_host *h, const struct daxfs_host_view *v)
{
	if (v->state == DAXFS_HOST_RECOVERING || same_recovery(&h->last, &v->last))
		return;
	h->last = v->last;
	if (!h->known || v->last.ns == 0)
		return;
	events->newest = v->last;
	events->newest.host = v->id;
	events->newest.generation = v->generation - 1;
	events->recovered = true;
	log_note("host %u recovered in %" PRIu64 ".%" PRIu64 " ms: %" PRIu64 " records finished, %" PRIu64
		 " rolled back, %" PRIu64 " objects, %" PRIu64 " opens, %" PRIu64 " files",
		 v->id, v->last.ns / 1000000, v->last.ns / 100000 % 10, v->last.finished, v->last.rolled_back,
		 v->last.objects, v->last.opens, v->last.files);
}

void events_saw(struct events *events, const struct daxfs_host_view *v)
{
	struct events_host *h = &events->host[v->id];
	bool same = h->known && h->state == v->state && h->generation == v->generation;
	bool never_used = !h->known && v->state == DAXFS_HOST_FREE;
	char buf[96];

	saw_recovery(events, h, v);
	if (!same && !never_used)
		log_entry(events, v, v->state, v->generation, reason_of(v, buf, sizeof(buf)));
	if (!same)
		h->reason = DAXFS_REASON_NONE;
	h->known = true;
	h->state = v->state;
	h->generation = v->generation;
}

/* -- in the pool ------------------------------------------------------------------ */

static void record(const struct events *events, const struct daxfs_event *e)
{
	if (events->record)
		events->record(events->context, e);
}

/* About a host as it was seen. */
static struct daxfs_event event_of(const struct daxfs_host_view *v, enum daxfs_event_kind kind)
{
	struct daxfs_event e = {
		.kind = kind,
		.host = (int)v->id,
		.by = -1,
		.state = v->state,
		.reason = v->reason,
		.ms = v->reason_ms,
		.generation = v->generation,
		.value = v->beat,
	};

	if (daxfs_host_introduced(v) || daxfs_host_was_introduced(v))
		memcpy(e.name, v->name, sizeof(e.name));
	return e;
}

/* What hosts record themselves, and what is only the end of that, is not. */
static void record_move(const struct events *events, const struct daxfs_host_view *seen, const struct decide_action *a,
			uint32_t generation, const char *agent, const char *beats)
{
	struct daxfs_event e = event_of(seen, DAXFS_EVENT_STATE);

	if (a->to == DAXFS_HOST_FREE)
		return;
	e.state = a->to;
	e.reason = a->reason;
	e.ms = a->ms;
	e.generation = generation;
	e.by = a->to == DAXFS_HOST_RECOVERING ? a->recoverer : -1;
	if (a->to == DAXFS_HOST_FENCED && a->fence_ms)
		snprintf(e.text, sizeof(e.text), "by %.38s in %u ms", agent, a->fence_ms);
	else if (a->to == DAXFS_HOST_SUSPECT || a->to == DAXFS_HOST_FENCING)
		snprintf(e.text, sizeof(e.text), "%s", beats);
	record(events, &e);
}

void events_primary(struct events *events, uint32_t epoch, const struct daxfs_manager_view *former)
{
	struct daxfs_event e = { .kind = DAXFS_EVENT_PRIMARY, .host = -1, .by = -1, .value = epoch };
	char fields[96];
	const struct log_event event = { .level = LOG_LEVEL_NOTE, .id = MESSAGE_PRIMARY, .fields = fields };

	if (former->epoch)
		snprintf(e.text, sizeof(e.text), "the former one (epoch %u, pid %u) fell silent", former->epoch,
			 former->pid);
	record(events, &e);
	snprintf(fields, sizeof(fields), "DAXFS_POOL=%.31s\nDAXFS_EPOCH=%u\n", events->pool ? events->pool : "", epoch);
	log_event(&event, "primary with epoch %u%s%s", epoch, e.text[0] ? "; " : "", e.text);
}

void events_found(struct events *events, const struct daxfs_host_view *v)
{
	struct daxfs_event e = event_of(v, DAXFS_EVENT_FOUND);

	if (v->state == DAXFS_HOST_RECOVERING)
		e.by = v->recoverer;
	if (v->state >= DAXFS_HOST_SUSPECT && v->state <= DAXFS_HOST_RECOVERING)
		record(events, &e);
}

/* -- our own moves ------------------------------------------------------------------ */

static const char *moved_why(const struct decide_action *a, const char *agent, char *out, size_t size)
{
	char text[96];

	daxfs_reason_text(a->reason, a->ms, text, sizeof(text));
	if (a->to == DAXFS_HOST_FENCED && a->fence_ms)
		snprintf(out, size, "%s; fenced by %s %u ms", text, agent, a->fence_ms);
	else if (a->to == DAXFS_HOST_RECOVERING && a->reason == DAXFS_REASON_RECOVERER_DIED)
		snprintf(out, size, "%s; now by host %d", text, a->recoverer);
	else if (a->to == DAXFS_HOST_RECOVERING)
		snprintf(out, size, "by host %d", a->recoverer);
	else
		snprintf(out, size, "%s", text);
	return out;
}

void events_moved(struct events *events, const struct daxfs_host_view *seen, const struct decide_action *a,
		  const char *agent, const char *beats)
{
	struct events_host *h = &events->host[a->host];
	uint32_t generation = seen->generation + (a->to == DAXFS_HOST_FENCED);
	bool again = h->state == a->to && h->generation == generation && h->reason == a->reason &&
		     a->to != DAXFS_HOST_RECOVERING;
	char err[200];

	if (!again) {
		log_entry(events, seen, a->to, generation, moved_why(a, agent, err, sizeof(err)));
		record_move(events, seen, a, generation, agent, beats);
	}
	h->known = true;
	h->state = a->to;
	h->generation = generation;
	h->reason = a->reason;
}

void events_recoverer_died(struct events *events, const struct daxfs_host_view *seen)
{
	struct daxfs_event e = event_of(seen, DAXFS_EVENT_RECOVERER_DIED);
	unsigned n = seen->deaths + 1;

	e.by = seen->recoverer;
	e.value = n;
	record(events, &e);
	if (n < DAXFS_RECOVERERS_MAX)
		log_warn("host %u: host %d died while it recovered it (%u so far)", seen->id, seen->recoverer, n);
	else
		log_fail("host %u: %u hosts died while they recovered it: nobody is assigned any more; see \"Hosts die "
			 "of recovering another\" in OPERATIONS.md, then daxfsctl recover --again --host %u",
			 seen->id, n, seen->id);
}
