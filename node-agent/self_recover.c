/* SPDX-License-Identifier: Apache-2.0 */
/* self_recover.c - see self_recover.h. */
#include "node-agent/self_recover.h"

#include "daxfs/member.h"

#define PATIENCE 8u /* looks: fabricd would have assigned somebody within a few polls */

static bool recoverer_over(const struct daxfs_member *m, const struct daxfs_host_view *v)
{
	struct daxfs_host_view by;

	return daxfs_member_host(m, (unsigned)v->recoverer, &by) == 0 && daxfs_recoverer_over(v, &by);
}

/* For somebody to recover? Not a slot that recoverers died of: that is for the operator to order. */
static bool waits(const struct daxfs_member *m, const struct daxfs_host_view *v)
{
	return v->state == DAXFS_HOST_FENCED ||
	       (v->state == DAXFS_HOST_RECOVERING && v->deaths < DAXFS_RECOVERERS_MAX && recoverer_over(m, v));
}

/*
 * No host is there to do it, or not yet known to be off. A slot that makes no sense has no host that works: each
 * checks its own word before whatever it does.
 */
static bool alone(const struct daxfs_member *m)
{
	struct daxfs_geometry geometry;
	struct daxfs_host_view view;

	daxfs_member_geometry(m, &geometry);
	for (unsigned i = 0; i < geometry.hosts; i++)
		if (daxfs_member_host(m, i, &view) == 0 && daxfs_host_may_live(&view))
			return false;
	return true;
}

bool self_recover_due(struct self_recover *s)
{
	struct daxfs_host_view view;
	struct daxfs_member *m;
	struct daxfs_error err;
	bool waiting, due;

	if (daxfs_member_open(s->pool, false, &m, &err))
		return false;
	waiting = daxfs_member_host(m, s->host, &view) == 0 && waits(m, &view);
	s->waiting = waiting ? s->waiting + 1 : 0;
	due = waiting && (s->waiting > PATIENCE || alone(m));
	daxfs_member_close(m);
	return due;
}
