/* SPDX-License-Identifier: Apache-2.0 */
/* member_event.c - events of the pool, for who maps the membership; and as text. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "mem/event_ring.h"
#include "mem/guard.h"
#include "sync/member.h"

struct looking {
	const struct pool *pool;
	struct daxfs_event *event;
};

static int look(void *arg)
{
	const struct looking *l = arg;
	struct daxfs_host_view v;

	if (member_look(l->pool, (unsigned)l->event->host, &v))
		return 0;
	l->event->generation = v.generation;
	l->event->state = v.state;
	l->event->reason = v.reason;
	l->event->value = v.beat;
	if (daxfs_host_introduced(&v) || daxfs_host_was_introduced(&v))
		memcpy(l->event->name, v.name, sizeof(v.name));
	return 0;
}

struct daxfs_event member_event(const struct pool *pool, enum daxfs_event_kind kind, unsigned host)
{
	struct daxfs_event event = { .kind = kind, .host = (int)host, .by = -1 };
	struct shm_guard guard = shm_guard_of(&pool->shm);
	struct looking l = { pool, &event };

	shm_guard_run(&guard, look, &l);
	return event;
}

int daxfs_event_add(struct daxfs_member *m, const struct daxfs_event *e)
{
	return *m->here ? event_add(&m->pool, e) : -ECHILD;
}

int daxfs_event_list(const struct daxfs_member *m, uint64_t after, daxfs_event_fill fill, void *context)
{
	return *m->here ? event_list(&m->pool, after, fill, context) : -ECHILD;
}

const char *daxfs_event_kind_name(enum daxfs_event_kind kind)
{
	static const char *const names[DAXFS_EVENT_KINDS] = {
		[DAXFS_EVENT_NONE] = "none",           [DAXFS_EVENT_STATE] = "state",
		[DAXFS_EVENT_FOUND] = "found",         [DAXFS_EVENT_RECOVERER_DIED] = "recoverer-died",
		[DAXFS_EVENT_RESUMED] = "resumed",     [DAXFS_EVENT_PRIMARY] = "primary",
		[DAXFS_EVENT_MEMORY] = "memory",       [DAXFS_EVENT_MENDED] = "mended",
		[DAXFS_EVENT_DEGRADED] = "degraded",   [DAXFS_EVENT_HEALTHY] = "healthy",
		[DAXFS_EVENT_HEARTBEAT] = "heartbeat",
	};

	return (unsigned)kind < DAXFS_EVENT_KINDS ? names[kind] : "?";
}

/* What happened, after "host 3 (alpha) generation 4 ". */
static void say_what(const struct daxfs_event *e, char *buf, size_t size)
{
	char reason[96];

	switch ((unsigned)e->kind) {
	case DAXFS_EVENT_STATE:
	case DAXFS_EVENT_FOUND:
		snprintf(buf, size, "%s%s: %s", e->kind == DAXFS_EVENT_FOUND ? "found " : "",
			 daxfs_host_state_name(e->state), daxfs_reason_text(e->reason, e->ms, reason, sizeof(reason)));
		break;
	case DAXFS_EVENT_RECOVERER_DIED:
		snprintf(buf, size, "lost its recoverer (%" PRIu64 " so far)", e->value);
		break;
	case DAXFS_EVENT_RESUMED: snprintf(buf, size, "goes on in another process"); break;
	case DAXFS_EVENT_PRIMARY: snprintf(buf, size, "fabricd is primary with epoch %" PRIu64, e->value); break;
	case DAXFS_EVENT_MEMORY: snprintf(buf, size, "memory of the pool failed at %#" PRIx64, e->value); break;
	case DAXFS_EVENT_MENDED: snprintf(buf, size, "mended its lane %" PRIu64, e->value); break;
	case DAXFS_EVENT_DEGRADED: snprintf(buf, size, "DEGRADED"); break;
	case DAXFS_EVENT_HEALTHY: snprintf(buf, size, "HEALTHY"); break;
	case DAXFS_EVENT_HEARTBEAT:
		snprintf(buf, size, "%s %" PRIu64 " ms", e->host < 0 ? "heartbeat" : "made the heartbeat", e->value);
		break;
	default: snprintf(buf, size, "event of kind %u", (unsigned)e->kind); break;
	}
}

const char *daxfs_event_text(const struct daxfs_event *e, char *buf, size_t size)
{
	char who[96] = "", what[160], by[32] = "";

	say_what(e, what, sizeof(what));
	if (e->host >= 0)
		snprintf(who, sizeof(who), "host %d (%s) generation %u ", e->host, e->name[0] ? e->name : "unnamed",
			 e->generation);
	if (e->by >= 0)
		snprintf(by, sizeof(by), ", by host %d", e->by);
	snprintf(buf, size, "%s%s%s%s%s", who, what, by, e->text[0] ? "; " : "", e->text);
	return buf;
}
