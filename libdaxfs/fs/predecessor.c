/* SPDX-License-Identifier: Apache-2.0 */
/*
 * predecessor.c - what a joining host can prove of other slots: which tenants of its own machine are over, and
 * whether a living host has its name.
 *
 * A machine that has booted anew is itself the proof that nothing of its former boot is left; and where
 * the boot is the same, the kernel says which processes have ended. So the first host of a machine that joins
 * ends all slots that this machine had: it makes them FENCED, and no fence agent has to cut a machine off,
 * least of all the one that just came back.
 *
 * Such a slot is ended only when its counter has stood still between two attempts to join, QUIET_BEATS
 * apart. Machines cloned from one image have one id, and each is another boot of "the same machine": if
 * the counter moves there are two of them, and this one does not join. And what a process that
 * has ended had started, to be killed with it, may take a moment to end.
 *
 * Crash between the two moves of a slot: it is FENCING, and ended by the next attempt, or fenced.
 */
#include <errno.h>
#include <string.h>

#include "fs/fs.h"
#include "mem/clock.h"
#include "mem/event_ring.h"
#include "mem/identity.h"
#include "sync/member.h"
#include "sync/timing.h"

#define QUIET_BEATS 10u
#define TRIES 8u /* each is lost to a move of that slot, or a stamp */

static int still_beats(const struct daxfs_host_view *v, enum daxfs_kin kin, struct daxfs_error *err)
{
	if (kin == DAXFS_KIN_ENDED)
		return daxfs_error_set(err, -EBUSY, "host %u (%s): its process has ended, and somebody beats for it",
				       v->id, v->name);
	return daxfs_error_set(err, -EEXIST,
			       "host %u (%s), which is alive, has the id of this machine: was one cloned from "
			       "the other? give this one an id of its own (systemd-machine-id-setup(1))",
			       v->id, v->name);
}

/* Has the slot stood still for long enough? Of a new tenant the watch begins. */
static int watch_former(struct daxfs *fs, const struct daxfs_host_view *v, enum daxfs_kin kin, struct daxfs_error *err)
{
	struct former *f = &fs->former[v->id];
	uint64_t now_ns = monotonic_ns(), tenant = ((uint64_t)v->generation << 40 ^ identity_process(&v->who)) | 1;
	bool moved = f->tenant == tenant && f->beat != v->beat;

	if (f->tenant != tenant || moved)
		*f = (struct former){ .tenant = tenant, .beat = v->beat, .since_ns = now_ns };
	if (moved)
		return still_beats(v, kin, err);
	if (now_ns - f->since_ns >= QUIET_BEATS * 1000000ull * timing_load(&fs->pool).judged_ms)
		return 0;
	return daxfs_error_set(err, -EBUSY, "watching whether host %u (%s), of a former %s of this machine, is over",
			       v->id, v->name, kin == DAXFS_KIN_ENDED ? "process" : "boot");
}

static void tell(struct daxfs *fs, const struct daxfs_host_view *v, enum daxfs_kin kin)
{
	struct daxfs_event event = member_event(&fs->pool, DAXFS_EVENT_STATE, v->id);

	event.state = DAXFS_HOST_FENCED;
	event.reason = kin == DAXFS_KIN_ENDED ? DAXFS_REASON_ENDED : DAXFS_REASON_REBOOTED;
	event.generation = v->generation + 1;
	event.value = v->beat;
	memcpy(event.name, v->name, sizeof(event.name));
	strcpy(event.text, "proved by its own machine, which joins again");
	event_add(&fs->pool, &event);
}

static int end_predecessor(struct daxfs *fs, unsigned host, const struct daxfs_identity *identity,
			   struct daxfs_error *err)
{
	int rc = -EAGAIN;

	for (unsigned tries = 0; rc == -EAGAIN && tries < TRIES; tries++) {
		struct daxfs_host_view v;
		enum daxfs_kin kin;

		if (member_look(&fs->pool, host, &v) || !daxfs_host_may_live(&v) || !daxfs_host_introduced(&v))
			return 0; /* damaged, over, or nobody knows whose it is */
		kin = daxfs_identity_kin(identity, &v.who);
		if (kin < DAXFS_KIN_ENDED)
			return 0;
		rc = watch_former(fs, &v, kin, err);
		if (rc == 0)
			rc = member_end(&fs->pool, &v, identity);
		if (rc == 0)
			tell(fs, &v, kin);
	}
	return rc == -EAGAIN ? daxfs_error_set(err, -EBUSY, "host %u is being moved; try again", host) : rc;
}

int fs_end_predecessors(struct daxfs *fs, const struct daxfs_identity *identity, struct daxfs_error *err)
{
	int rc = 0;

	for (unsigned host = 0; rc == 0 && identity && host < fs->pool.super.hosts; host++)
		rc = end_predecessor(fs, host, identity, err);
	return rc;
}

int fs_name_taken(struct daxfs *fs, const char *name, struct daxfs_error *err)
{
	for (unsigned host = 0; name && name[0] && host < fs->pool.super.hosts; host++) {
		struct daxfs_host_view v;

		if (host == fs->host || member_look(&fs->pool, host, &v) || !daxfs_host_may_live(&v))
			continue;
		if (daxfs_host_introduced(&v) && strcmp(v.name, name) == 0)
			return daxfs_error_set(err, -EEXIST,
					       "host %u has the name %s, and hosts are fenced by name: give this one "
					       "another name",
					       host, name);
	}
	return 0;
}
