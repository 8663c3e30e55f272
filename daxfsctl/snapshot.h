/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h - what a pod looks like at one moment, whoever was asked.
 *
 * From fabricd over its socket, or from the pool itself; and in both cases,
 * where the pool can be mapped, its usage and what each host has in flight.
 * A reply of fabricd is input: bounded and terminated here.
 */
#ifndef DAXFSCTL_SNAPSHOT_H
#define DAXFSCTL_SNAPSHOT_H

#include <limits.h>

#include "daxfs/inspect.h"
#include "daxfs/events.h"
#include "daxfsctl/condition.h"
#include "daxfsctl/ctl.h"

#define SNAPSHOT_HOSTS 64u
#define SNAPSHOT_REPAIRS 64u /* of those there are, so many are named */

/* what is known of a heartbeat counter */
enum snapshot_beat {
	BEAT_UNKNOWN = 0, /* seen once only */
	BEAT_SINCE,       /* ms: since it last moved */
	BEAT_WITHIN,      /* moved within ms */
	BEAT_NOT_WITHIN,  /* did not move for ms */
};

struct snapshot_host {
	struct daxfs_host_view view;
	bool readable; /* false: the word makes no sense; only view.id counts */
	enum snapshot_beat beat;
	uint64_t beat_ms, worst_gap_ms;   /* the latter: BEAT_SINCE only */
	char said[120];                   /* by the fence agent that could not cut it off */
	uint64_t unwritten, unwritten_ms; /* bytes that storage has not, at most; the age of the oldest */
	char unwritten_of[32];            /* the backing that these are of; empty: not known */
	int write_error;                  /* errno of the last attempt to write back there; 0: none */
};

enum snapshot_fabricd {
	FABRICD_NONE = 0, /* none ever was */
	FABRICD_UNKNOWN,  /* one has been; whether it is, was not asked */
	FABRICD_PRIMARY,  /* it answered, or its beat moves */
	FABRICD_BACKUP,   /* a backup answered */
	FABRICD_SILENT,   /* its beat does not move */
};

struct snapshot {
	struct daxfs_geometry geometry; /* heartbeat_ms: that in force */
	char path[PATH_MAX];
	unsigned made_heartbeat_ms;   /* by mkfs; 0: not known */
	struct daxfs_event heartbeat; /* the last change of it; number 0: none, or not known */
	struct daxfs_manager_view manager;
	enum snapshot_fabricd fabricd;
	uint32_t answered_by; /* pid, 0: read directly */
	bool deciding;
	char note[128], fence_agent[64], fence_broken[120];
	uint64_t polls, late_polls;
	bool backup_seen, backup_expected;
	unsigned n_conditions;
	struct condition condition[CONDITIONS_MAX];
	unsigned n_hosts;
	struct snapshot_host host[SNAPSHOT_HOSTS];
	struct daxfs_recovery last; /* ns = 0: none known */
	bool have_usage;
	struct daxfs_statfs usage;
	bool have_proof;
	struct daxfs_coherence proof;           /* what the last test of coherence found */
	unsigned to_repair[DAXFS_REPAIR_KINDS]; /* with usage: how many of each kind are on the list */
	unsigned n_repairs;
	struct daxfs_repair repair[SNAPSHOT_REPAIRS]; /* the first of them */
};

/*
 * Take one as the command line says: from --socket, from the pool named by the
 * first word, or, with neither, from the one fabricd of this machine. The pool
 * is looked at twice, a heartbeat and a half apart: only so it can be told who
 * lives. CTL_OK or what ctl_fail returned.
 */
int snapshot_take(struct ctl *ctl, struct snapshot *out);
/* As above, with no output on failure: -errno. */
int snapshot_direct(const char *path, struct snapshot *out, struct daxfs_error *err);
int snapshot_ask(const char *socket, struct snapshot *out, struct daxfs_error *err);
/* The socket to use: --socket, or the only one in /run/daxfs at which a fabricd listens. -ENOENT, -ENOTUNIQ. */
int snapshot_socket(const struct ctl *ctl, char *out, size_t size, struct daxfs_error *err);

/* Is that slot taken, and not by a tenant whose recovery is done? */
static inline bool snapshot_in_use(const struct snapshot_host *h)
{
	return !h->readable || (h->view.state != DAXFS_HOST_FREE && h->view.state != DAXFS_HOST_RECOVERED);
}

/* Was anybody ever in that slot? Pools have many that nobody needs. */
static inline bool snapshot_used(const struct snapshot_host *h)
{
	return snapshot_in_use(h) || h->view.state != DAXFS_HOST_FREE || h->view.generation || h->view.tenancy;
}

/* Slots that agents may have, all but the spare one; and how many of them are free. */
unsigned snapshot_slots(const struct snapshot *s, unsigned *free);

#endif
