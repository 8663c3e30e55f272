/* SPDX-License-Identifier: Apache-2.0 */
/*
 * member.h - membership of a pod, as fabricd and daxfsctl see it.
 *
 * Maps only the superblock and the membership region. Every change of a host is
 * one CAS of its host word {generation, state, recoverer, recoverer_generation, manager epoch}, made
 * against the word that was seen, so that a decision taken on stale facts
 * fails with -EAGAIN and a deposed manager's with -ESTALE.
 */
#ifndef DAXFS_MEMBER_H
#define DAXFS_MEMBER_H

#include "daxfs/daxfs.h"

#ifdef __cplusplus
extern "C" {
#endif

enum daxfs_host_state {
	DAXFS_HOST_FREE = 0,
	DAXFS_HOST_JOINING, /* slot taken, tables being set up */
	DAXFS_HOST_ALIVE,
	DAXFS_HOST_SUSPECT,    /* heartbeat late; back to ALIVE if it beats */
	DAXFS_HOST_FENCING,    /* revoked; being cut off */
	DAXFS_HOST_FENCED,     /* cut off for certain; generation bumped */
	DAXFS_HOST_RECOVERING, /* by the recoverer in the word; see daxfs_revive */
	DAXFS_HOST_RECOVERED,  /* nothing of it is left; the slot may be FREE */
	DAXFS_HOST_STATES
};

/* why the last state was entered; logged once */
enum daxfs_reason {
	DAXFS_REASON_NONE = 0,
	DAXFS_REASON_JOINED,
	DAXFS_REASON_LEFT,
	DAXFS_REASON_BEAT_LATE, /* ms: silence */
	DAXFS_REASON_BEAT_RESUMED,
	DAXFS_REASON_BEAT_LOST, /* ms: silence */
	DAXFS_REASON_OPERATOR_FENCE,
	DAXFS_REASON_OPERATOR_CONFIRM, /* confirm-dead: the operator's word */
	DAXFS_REASON_FENCE_FAILED,     /* still FENCING, retried */
	DAXFS_REASON_STILL_BEATING,    /* agent said off, heartbeat moved */
	DAXFS_REASON_RECOVERER_DIED,
	DAXFS_REASON_RECOVERY_DONE,
	DAXFS_REASON_LEFTOVERS,   /* a free slot was not empty: given to recovery by the host that joined it */
	DAXFS_REASON_REBOOTED,    /* its machine has booted anew: nothing of the former boot is left */
	DAXFS_REASON_ENDED,       /* its process has ended, as its own machine can tell */
	DAXFS_REASON_OWN_MACHINE, /* still FENCING: the manager runs on that machine, which another one is to cut off */
	DAXFS_REASONS
};

/*
 * daxfs_host_state_name - a state of a host as a word
 *
 * "ALIVE" and the like; "?" for what is no state.
 */
DAXFS_API const char *daxfs_host_state_name(enum daxfs_host_state state);

/*
 * daxfs_reason_text - why a host is in its state, as text
 *
 * "heartbeat lost 512 ms" and the like, written to buf, of which 96 bytes suffice. Returns buf.
 */
DAXFS_API const char *daxfs_reason_text(enum daxfs_reason reason, uint32_t ms, char *buf, size_t size);

/*
 * A recoverer is named with the lower 12 bits of its generation: a later tenant
 * of its slot, who finds the host id in the word, is not meant.
 */
#define DAXFS_RECOVERER_GENERATION(generation) ((generation)&0xfffu)

struct daxfs_member; /* the mapping */

/*
 * daxfs_member_open - map the membership of a pool
 *
 * Maps only the superblock and the membership region, so that it works where the rest of the pool is
 * damaged. writable = false for inspection.
 *
 * Errors:
 * As daxfs_open.
 */
DAXFS_API int daxfs_member_open(const char *path, bool writable, struct daxfs_member **out, struct daxfs_error *err);

/*
 * daxfs_member_close - unmap it
 *
 * Frees m. In a child of the process that opened it, the child's copy alone.
 */
DAXFS_API void daxfs_member_close(struct daxfs_member *m);

/*
 * daxfs_member_geometry - what the pool was made with
 *
 * As daxfs_geometry.
 */
DAXFS_API void daxfs_member_geometry(const struct daxfs_member *m, struct daxfs_geometry *out);

/* So many recoverers may die of one host; then nobody is assigned until the operator says so. */
#define DAXFS_RECOVERERS_MAX 3u

#define DAXFS_AWAY_MAX_MS 10000u

struct daxfs_host_view {
	unsigned id;
	uint64_t word; /* raw, for daxfs_member_move */
	uint32_t generation;
	enum daxfs_host_state state;
	int recoverer;                 /* host id or -1 */
	uint32_t recoverer_generation; /* DAXFS_RECOVERER_GENERATION of it */
	uint64_t toll;                 /* raw, for daxfs_member_count_death */
	unsigned deaths;               /* of its recoverers, while they recovered this generation of it */
	bool death_counted;            /* the one that the word names is among them */
	uint32_t manager_epoch;        /* its lower 16 bits */
	uint64_t beat;
	uint32_t away_ms; /* it has said that it will be silent for so long (daxfs_away); at most DAXFS_AWAY_MAX_MS */
	uint32_t knows;   /* features, a bit each: bit `bit` of struct daxfs_feature */
	uint64_t tenancy; /* [63:40] generation it joined under, [39:0] random */
	uint32_t pid;
	uint32_t lanes, records, owned, pins;
	enum daxfs_reason reason;
	uint32_t reason_ms, fence_ms;
	char name[32];
	struct daxfs_recovery last; /* last recovery of this slot; ns = 0: never */
	struct daxfs_identity who;  /* of the tenant; zeros: not known */
	bool in_lobby;              /* name and who are from the lobby: the slot does not have them yet */
};
/*
 * Is the name in a view that of the tenant of this generation? Between taking a
 * slot and writing its name a joining host carries its predecessor's, and to
 * fence by that would cut off somebody else; the view then has what the lobby says. The
 * tenancy is written after the name and has the generation in its upper 24 bits.
 */
static inline bool daxfs_host_introduced(const struct daxfs_host_view *v)
{
	return v->name[0] && (v->in_lobby || (v->tenancy && v->tenancy >> 40 == v->generation));
}
/* The same of one that was cut off, whose generation is over: until the next one joins. */
static inline bool daxfs_host_was_introduced(const struct daxfs_host_view *v)
{
	return v->state >= DAXFS_HOST_FENCED && v->name[0] && v->tenancy && v->tenancy >> 40 == v->generation - 1;
}
/* Is the tenant that recovers v over, for good? by: the slot that v names. */
static inline bool daxfs_recoverer_over(const struct daxfs_host_view *v, const struct daxfs_host_view *by)
{
	return DAXFS_RECOVERER_GENERATION(by->generation) != v->recoverer_generation;
}
/* May a tenant of the slot still run? Of the others all is over: they are FENCED, or never were. */
static inline bool daxfs_host_may_live(const struct daxfs_host_view *v)
{
	return v->state == DAXFS_HOST_JOINING || v->state == DAXFS_HOST_ALIVE || v->state == DAXFS_HOST_SUSPECT ||
	       v->state == DAXFS_HOST_FENCING;
}

/*
 * daxfs_member_host - what is known of a host slot
 *
 * Fills *out with one look at the host's lines. Later moves are made against out->word, so a decision
 * taken on a stale look fails.
 *
 * Errors:
 * -EINVAL   no such host
 * -EIO      the word makes no sense: decide nothing
 */
DAXFS_API int daxfs_member_host(const struct daxfs_member *m, unsigned id, struct daxfs_host_view *out);

/*
 * daxfs_member_move - move a host from one state to another
 *
 * CAS of the host's word from seen->word to the state `to`, with the recoverer and the manager's
 * epoch; the generation moves on with FENCED. Then stores the reason.
 *
 * Errors:
 * -EAGAIN   the word changed since seen, or the recoverer does not work any more
 * -ESTALE   epoch is not the manager's any more
 * -EINVAL   not a legal move (the table is in sync/member.c)
 * -EOVERFLOW the slot's last generation: make the pool anew
 * Crash: moved, or not; the reason may be that of the move before.
 */
DAXFS_API int daxfs_member_move(struct daxfs_member *m, const struct daxfs_host_view *seen, enum daxfs_host_state to,
				int recoverer, uint32_t epoch, enum daxfs_reason reason, uint32_t ms);

/*
 * daxfs_member_count_death - count a recoverer that died of its work
 *
 * The recoverer that seen names died: one more in the count of those that did. It is counted before
 * the recovery is handed on, and once, whoever counts: the count names the last one.
 *
 * Errors:
 * -EAGAIN   counted by somebody else, or the word changed
 * -EINVAL   seen is not RECOVERING
 * -ESTALE   epoch is not the manager's any more
 */
DAXFS_API int daxfs_member_count_death(struct daxfs_member *m, const struct daxfs_host_view *seen, uint32_t epoch);

/*
 * daxfs_member_forget_deaths - the operator says that the next recoverer will not die
 *
 * Sets the count of daxfs_member_count_death to 0.
 *
 * Errors:
 * -EAGAIN   the word changed
 * -ESTALE   epoch is not the manager's any more
 */
DAXFS_API int daxfs_member_forget_deaths(struct daxfs_member *m, const struct daxfs_host_view *seen, uint32_t epoch);

/*
 * daxfs_member_fence_took - tell how a host was cut off, before it is moved to FENCED
 *
 * off: its machine is off, or was since: its kernel is gone, and who recovers it need not wait until that believes
 * nothing any more (daxfs/lease.h). Not if its process alone has ended. ms: how long a fence agent took; 0: there was
 * none.
 *
 * Crash: it is not known, and they wait.
 */
DAXFS_API void daxfs_member_fence_took(struct daxfs_member *m, const struct daxfs_host_view *seen, bool off,
				       uint32_t ms);

/* Heartbeats in force. */
struct daxfs_timing {
	unsigned beat_ms;   /* hosts beat so often */
	unsigned judged_ms; /* and are judged by that: not less, more while a shorter beat is being introduced */
	uint64_t word;      /* raw, for daxfs_member_judge */
};

/*
 * daxfs_member_timing - the heartbeats in force
 *
 * What mkfs said, or daxfs_member_heartbeat since. A manager reads it in each poll before it looks at hosts,
 * and counts all silence anew where judged_ms changed.
 */
DAXFS_API void daxfs_member_timing(const struct daxfs_member *m, struct daxfs_timing *out);

/*
 * daxfs_member_heartbeat - change the heartbeat, while hosts and managers are at work
 *
 * Hosts follow with their next beat. A longer one is what they are judged by at once; a shorter one when the
 * primary manager has seen that they follow.
 *
 * Errors:
 * -EINVAL   not within DAXFS_HEARTBEAT_MS_MIN and _MAX, or more than a quarter of the pool's leases
 * -EROFS    the pool is mapped read-only
 * Crash: changed, or not.
 */
DAXFS_API int daxfs_member_heartbeat(struct daxfs_member *m, unsigned ms, struct daxfs_error *err);

/*
 * daxfs_member_lengthen - have hosts beat no more often than that
 *
 * As daxfs_member_heartbeat where they beat more often, and nothing where they do not: who lengthens undoes no longer
 * heartbeat, whoever sets that at the same time. *was receives what was in force: with was->beat_ms below ms it has
 * been changed, by this call.
 *
 * Errors:
 * As daxfs_member_heartbeat.
 * Crash: changed, or not.
 */
DAXFS_API int daxfs_member_lengthen(struct daxfs_member *m, unsigned ms, struct daxfs_timing *was,
				    struct daxfs_error *err);

/*
 * daxfs_member_judge - judge hosts by the heartbeat that they have by now
 *
 * For the primary manager, when each host that may live has beaten since *seen was read.
 *
 * Errors:
 * -EAGAIN   changed since seen
 * -EROFS    the pool is mapped read-only
 */
DAXFS_API int daxfs_member_judge(struct daxfs_member *m, const struct daxfs_timing *seen);

/* What a pool may use, or not: see daxfs_member_enable. */
struct daxfs_feature {
	const char *name; /* NULL: the pool uses it, and this version does not know it */
	unsigned bit;
	bool on;
	bool by_mkfs;  /* on, or off, for ever: it has room that mkfs makes */
	bool incompat; /* programs that do not know it refuse the pool; else they leave it alone */
};

/*
 * daxfs_member_feature - what features there are, and which of them a pool uses
 *
 * Fills *out with number n, from 0 on, of those that this version knows or that are in use.
 *
 * Errors:
 * -ENOENT   there are not so many
 * -ECHILD   this process is a child of the one that opened it
 */
DAXFS_API int daxfs_member_feature(const struct daxfs_member *m, unsigned n, struct daxfs_feature *out);

/*
 * daxfs_member_enable - switch on a feature, while hosts work
 *
 * Once every host that may live runs a version that knows it. It is never switched off again, so versions that
 * do not know it cannot use the pool any more (if it is incompat). Nothing happens if it is on.
 *
 * Errors:
 * -EBUSY    a host does not know it: err names the first
 * -EINVAL   no such feature, or only mkfs can make room for it
 * -EIO      a host slot makes no sense
 * -ECHILD   this process is a child of the one that opened it
 * -EROFS    the pool is mapped read-only
 * Crash: it is on, or not.
 */
DAXFS_API int daxfs_member_enable(struct daxfs_member *m, const char *name, struct daxfs_error *err);

/*
 * daxfs_member_speaks - does this version still know what the pool uses
 *
 * For programs that look at a pool for long, but are no hosts: what they do not know may be switched on meanwhile.
 *
 * Errors:
 * -EPROTONOSUPPORT the pool uses an incompat feature that this version does not know: decide nothing
 * -ECHILD   this process is a child of the one that opened it
 */
DAXFS_API int daxfs_member_speaks(const struct daxfs_member *m, struct daxfs_error *err);

struct daxfs_manager_view {
	uint32_t epoch; /* 0: none yet */
	uint32_t pid;
	uint64_t beat;
	uint64_t reclaim_epoch; /* E, for display */
	uint8_t machine[16];    /* of the primary; zeros: not known */
	uint64_t standby;       /* moves while a backup on another machine watches */
	uint8_t standby_machine[16];
};

/*
 * daxfs_member_manager - what is known of the manager
 *
 * Fills *out with one look at the manager's line.
 */
DAXFS_API void daxfs_member_manager(const struct daxfs_member *m, struct daxfs_manager_view *out);

/*
 * daxfs_member_claim - become the primary manager
 *
 * CAS of the manager's word to seen->epoch + 1, which *epoch receives. Moves of earlier epochs fail
 * from here on.
 *
 * Errors:
 * -EAGAIN   somebody else was faster
 */
DAXFS_API int daxfs_member_claim(struct daxfs_member *m, const struct daxfs_manager_view *seen, uint32_t *epoch);

/*
 * daxfs_member_settle - tell which machine the primary runs on
 *
 * To be called after daxfs_member_claim. Zeros: not known.
 *
 * Errors:
 * -ESTALE   another epoch is in force
 */
DAXFS_API int daxfs_member_settle(struct daxfs_member *m, uint32_t epoch, const uint8_t machine[16]);

/*
 * daxfs_member_standby - tell the primary that a backup watches
 *
 * Advances the counter of backups, unless this one is on the primary's machine, where it could not stand
 * in for it when that machine is to be cut off. Several backups may call it; the last one is named.
 */
DAXFS_API void daxfs_member_standby(struct daxfs_member *m, const uint8_t machine[16]);

/*
 * daxfs_member_in_force - is an epoch still the manager's
 *
 * To be asked just before something is done outside the pool.
 *
 * Errors:
 * -ESTALE   another epoch is in force
 */
DAXFS_API int daxfs_member_in_force(const struct daxfs_member *m, uint32_t epoch);

/*
 * daxfs_member_manager_beat - advance the primary's heartbeat
 *
 * Errors:
 * -ESTALE   another epoch is in force
 */
DAXFS_API int daxfs_member_manager_beat(struct daxfs_member *m, uint32_t epoch);

/*
 * daxfs_member_stamp - put the manager's epoch into a host's word
 *
 * Without changing its state: moves that a former manager still tries fail.
 *
 * Errors:
 * -EAGAIN   the word changed since seen
 * -ESTALE   epoch is not the manager's any more
 */
DAXFS_API int daxfs_member_stamp(struct daxfs_member *m, const struct daxfs_host_view *seen, uint32_t epoch);

#ifdef __cplusplus
}
#endif
#endif
