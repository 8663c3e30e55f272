/* SPDX-License-Identifier: Apache-2.0 */
/*
 * condition.c - see condition.h.
 *
 * fabricd has watched, so its conditions are taken where it answers. Without it a look at the pool must do: what is
 * wrong now, and since when as far as the pool remembers. What only daxfsctl sees (memory that failed, things to
 * repair, a fabricd that is not there) is added in both cases.
 */
#include "daxfsctl/condition.h"

#include <stdarg.h>
#include <string.h>

#include "daxfs/events.h"
#include "daxfsctl/snapshot.h"

void condition_add(struct snapshot *s, const char *code, int host, uint64_t since_ns, const char *format, ...)
{
	struct condition *c = &s->condition[s->n_conditions];
	va_list args;

	if (s->n_conditions == CONDITIONS_MAX)
		return;
	s->n_conditions++;
	*c = (struct condition){ .host = host, .since_ns = since_ns };
	snprintf(c->code, sizeof(c->code), "%s", code);
	va_start(args, format);
	vsnprintf(c->text, sizeof(c->text), format, args);
	va_end(args);
}

unsigned condition_count(const struct snapshot *s, const char *code)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n_conditions; i++)
		n += strcmp(s->condition[i].code, code) == 0;
	return n;
}

/* -- without fabricd -------------------------------------------------------------- */

struct entered {
	enum daxfs_host_state state;
	uint32_t generation;
	uint64_t wall_ns;
};

struct search {
	struct entered host[SNAPSHOT_HOSTS];
};

static bool take(void *context, const struct daxfs_event *e)
{
	struct search *search = context;

	if (e->kind == DAXFS_EVENT_STATE && e->host >= 0 && (unsigned)e->host < SNAPSHOT_HOSTS)
		search->host[e->host] = (struct entered){ e->state, e->generation, e->wall_ns };
	return true;
}

static void look_at(struct snapshot *s, const struct search *search, unsigned i)
{
	static const char *const code[DAXFS_HOST_STATES] = {
		[DAXFS_HOST_SUSPECT] = "host-suspect",
		[DAXFS_HOST_FENCING] = "host-fencing",
		[DAXFS_HOST_FENCED] = "host-fenced",
		[DAXFS_HOST_RECOVERING] = "host-recovering",
	};
	const struct daxfs_host_view *v = &s->host[i].view;
	const struct entered *entered = &search->host[i];
	bool known = entered->state == v->state && entered->generation == v->generation;
	char reason[96];

	if (!s->host[i].readable)
		condition_add(s, "slot-damaged", (int)i, 0, "host slot %u makes no sense", i);
	else if (code[v->state])
		condition_add(s, code[v->state], (int)i, known ? entered->wall_ns : 0, "host %u (%.31s) is %s: %.60s",
			      i, v->name, daxfs_host_state_name(v->state),
			      daxfs_reason_text(v->reason, v->reason_ms, reason, sizeof(reason)));
	if (s->host[i].readable && v->deaths >= DAXFS_RECOVERERS_MAX)
		condition_add(s, "recovery-given-up", (int)i, 0, "recovery of host %u given up: %u hosts died of it", i,
			      v->deaths);
}

void condition_direct(struct snapshot *s, const struct daxfs_member *m)
{
	struct search search = { .host = { { .wall_ns = 0 } } };

	daxfs_event_list(m, 0, take, &search);
	for (unsigned i = 0; i < s->n_hosts; i++)
		look_at(s, &search, i);
}
