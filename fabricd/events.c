/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.c - what happened to hosts, as lines. See events.h.
 */
#include "fabricd/events.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"

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

static void log_entry(const struct daxfs_host_view *v, enum daxfs_host_state to, uint32_t generation, const char *err)
{
	const char *name = v->name[0] ? v->name : "unnamed";

	if (is_death(to))
		log_warn("host %u (%s) generation %u %s: %s", v->id, name, generation, daxfs_host_state_name(to), err);
	else
		log_note("host %u (%s) generation %u %s: %s", v->id, name, generation, daxfs_host_state_name(to), err);
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
		log_entry(v, v->state, v->generation, reason_of(v, buf, sizeof(buf)));
	if (!same)
		h->reason = DAXFS_REASON_NONE;
	h->known = true;
	h->state = v->state;
	h->generation = v->generation;
}

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
		  const char *agent)
{
	struct events_host *h = &events->host[a->host];
	uint32_t generation = seen->generation + (a->to == DAXFS_HOST_FENCED);
	bool again = h->state == a->to && h->generation == generation && h->reason == a->reason &&
		     a->to != DAXFS_HOST_RECOVERING;
	char err[200];

	if (!again)
		log_entry(seen, a->to, generation, moved_why(a, agent, err, sizeof(err)));
	h->known = true;
	h->state = a->to;
	h->generation = generation;
	h->reason = a->reason;
}

void events_recoverer_died(const struct daxfs_host_view *seen)
{
	unsigned n = seen->deaths + 1;

	if (n < DAXFS_RECOVERERS_MAX)
		log_warn("host %u: host %d died while it recovered it (%u so far)", seen->id, seen->recoverer, n);
	else
		log_fail("host %u: %u hosts died while they recovered it: nobody is assigned any more; see \"Hosts die "
			 "of recovering another\" in OPERATIONS.md, then daxfsctl recover --again --host %u",
			 seen->id, n, seen->id);
}
