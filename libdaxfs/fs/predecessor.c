/* SPDX-License-Identifier: Apache-2.0 */
/*
 * predecessor.c - what a host that joins can tell of others: what of its own machine is over, and
 * whose name it has.
 *
 * A machine that has booted anew is itself the proof that nothing of its former boot is left; and where
 * the boot is the same, the kernel says which processes have ended. So whoever joins first ends
 * the slots that its machine had, in any slot: it makes them FENCED, and nobody need cut anything off,
 * least of all the machine that just came back.
 *
 * Machines cloned from one image have one id, and each is another boot of "the same machine". So a slot of
 * another boot is ended only when its counter has stood still between two attempts to join, QUIET_BEATS
 * apart. If it moves there are two machines with one id, and this one does not join.
 *
 * Crash between the two moves of a slot: it is FENCING, and ended by the next attempt, or fenced.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "fs/fs.h"
#include "sync/member.h"

#define QUIET_BEATS 10u
#define TRIES 8u /* each is lost to a move of that slot, or a stamp */

static uint64_t monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

/* Has a slot of another boot stood still for long enough? Of a new tenant the watch begins. */
static int watch_former(struct daxfs *fs, const struct daxfs_host_view *v, struct daxfs_error *err)
{
	struct former *f = &fs->former[v->id];
	uint64_t now_ns = monotonic_ns();

	if (f->tenancy == v->tenancy && f->beat != v->beat)
		return daxfs_error_set(err, -EEXIST,
				       "host %u (%s), which is alive, has the id of this machine: was one cloned from "
				       "the other? give this one an id of its own (systemd-machine-id-setup(1))",
				       v->id, v->name);
	if (f->tenancy != v->tenancy)
		*f = (struct former){ .tenancy = v->tenancy, .beat = v->beat, .since_ns = now_ns };
	if (now_ns - f->since_ns >= QUIET_BEATS * 1000000ull * fs->pool.super.heartbeat_ms)
		return 0;
	return daxfs_error_set(err, -EBUSY, "watching whether host %u (%s), of a former boot of this machine, is over",
			       v->id, v->name);
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
		rc = kin == DAXFS_KIN_REBOOTED ? watch_former(fs, &v, err) : 0;
		if (rc == 0)
			rc = member_end(&fs->pool, &v, identity);
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
