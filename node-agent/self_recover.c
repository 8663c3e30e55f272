/* SPDX-License-Identifier: Apache-2.0 */
/* self_recover.c - see self_recover.h. */
#include "node-agent/self_recover.h"

#include <errno.h>
#include <string.h>

#include "common/log.h"
#include "daxfs/member.h"

#define PATIENCE 8u    /* looks: fabricd would have assigned somebody within a few polls */
#define STEPS_MAX 100u /* heartbeats in which we do nothing; a recovery assigned to us comes within a few */

/* Not for one that recoverers died of: that is for the operator to order. */
static bool waits(const struct daxfs_host_view *v)
{
	return v->state == DAXFS_HOST_FENCED || (v->state == DAXFS_HOST_RECOVERING && v->deaths < DAXFS_RECOVERERS_MAX);
}

struct outlook {
	bool waiting; /* our slot, for a recoverer */
	bool ours;    /* and we are that */
	bool fenced;  /* and nobody is assigned */
	bool alone;   /* no host is there to be one */
	int spare;    /* the last free slot, -1: none */
};

/*
 * A slot that makes no sense has no host that works: each checks its own word
 * before whatever it does. It is neither waited for nor used.
 */
static struct outlook look(const struct self_recover *s)
{
	struct outlook o = { .spare = -1 };
	struct daxfs_host_view view;
	struct daxfs_member *m;
	struct daxfs_error err;
	unsigned live = 0;

	if (daxfs_member_open(s->pool, false, &m, &err))
		return o;
	for (unsigned i = 0; i < s->hosts; i++) {
		if (daxfs_member_host(m, i, &view))
			continue;
		live += daxfs_host_may_live(&view); /* or is not yet known to be off */
		if (i == s->host) {
			o.waiting = waits(&view);
			o.fenced = view.state == DAXFS_HOST_FENCED;
			o.ours = s->joined && view.recoverer == (int)s->slot;
		} else if (view.state == DAXFS_HOST_FREE || view.state == DAXFS_HOST_RECOVERED) {
			o.spare = (int)i;
		}
	}
	daxfs_member_close(m);
	o.alone = live == 0;
	return o;
}

static bool begin(struct self_recover *s)
{
	struct outlook o = look(s);
	struct daxfs_error err;

	s->waiting = o.fenced ? s->waiting + 1 : 0;
	if (!o.waiting || !(o.alone || s->waiting > PATIENCE) || o.spare < 0 ||
	    daxfs_join_as(s->fs, (unsigned)o.spare, s->name, s->identity, &err))
		return false;
	log_note("no host is there to recover host slot %u: standing in as host %d", s->host, o.spare);
	s->slot = (unsigned)o.spare;
	s->joined = true;
	s->steps = s->waiting = 0;
	s->recover->own = (int)s->host;
	daxfs_beat(s->fs);
	s->live = s->start && s->start(s->context);
	if (s->live || !s->start)
		return true;
	self_recover_stop(s);
	return false;
}

/* False when there is nothing more to do for us. */
static bool work(struct self_recover *s)
{
	struct outlook o;

	if (!s->live && daxfs_beat(s->fs))
		return false;
	if (!s->live)
		recover_once(s->recover);
	o = look(s);
	s->steps = o.ours && !atomic_load(&s->recover->error) ? 0 : s->steps + 1;
	return o.waiting && s->steps < STEPS_MAX;
}

bool self_recover_step(struct self_recover *s)
{
	if (!s->joined)
		return begin(s);
	if (!work(s))
		self_recover_stop(s);
	return true;
}

void self_recover_stop(struct self_recover *s)
{
	int error;

	if (!s->joined)
		return;
	if (s->live)
		s->stop(s->context);
	s->joined = s->live = false;
	s->recover->own = -1;
	error = daxfs_leave(s->fs);
	if (error)
		log_warn("cannot leave host slot %u: %s; the pod will recover it", s->slot, strerror(-error));
}
