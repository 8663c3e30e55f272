/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide.h - who is dead, who is fenced, who recovers whom.
 *
 * Pure: no clock, no I/O, no shared memory, no allocation. Once per poll the
 * caller hands in what it saw and carries out the actions that come back; so
 * the daemon and a simulator run the same code. What decide remembers between
 * polls is counts of its own polls; the truth is in the pool, and every action
 * that changes it is a CAS against the view it was decided on, which the caller
 * may lose without telling: the next poll decides again.
 *
 * Invariants:
 *   1 Nothing is decided from a pool or host word that cannot be read, from
 *     counts that its own lateness interrupted, or in the first window as
 *     primary.
 *   2 FENCED follows only from: agent off, agent status off (or the operator's
 *     word for both), and a counter that stood still since off; or from what the
 *     manager's own machine tells of a tenant that was its own.
 *   3 A recovery is taken from its recoverer only when the generation of that
 *     is over: it left, or is itself FENCED.
 *   4 A recoverer that died is counted, in the pool, before another is assigned,
 *     and after the third nobody is, until the operator says so.
 *   5 No agent cuts off the machine that the manager runs on.
 *   6 When no host beats any more, no agent is started before hold_polls are over: after a
 *     power failure of the whole pod its machines come back by themselves, and prove by
 *     booting that they were off. A host that was found so is left alone that long,
 *     though others beat again. Meanwhile nobody waits for it but what comes back.
 *   7 Of two primaries at most one acts: the epoch in the manager word decides.
 *
 * One thread.
 */
#ifndef FABRICD_DECIDE_H
#define FABRICD_DECIDE_H

#include "fabricd/decide_table.h"

#define DECIDE_HOSTS_MAX 64u

/* How an agent ended, since the last poll. */
enum decide_result {
	RESULT_NONE = 0,
	RESULT_OFF_DONE,   /* off exited 0 */
	RESULT_STATUS_OFF, /* status says off */
	RESULT_REBOOTED,   /* reboot exited 0: it was off, and may be on again */
	RESULT_STATUS_ON,
	RESULT_FAILED, /* any other exit, a timeout, or it could not be run */
};

struct decide_input {
	uint64_t now_ms; /* of one monotonic clock; polls are at least heartbeat_ms apart */
	bool readable;   /* false: nothing below counts */
	struct daxfs_manager_view manager;
	struct daxfs_timing timing; /* read before the hosts below; judged_ms 0: as decide_init said */
	bool peer;                  /* who beats as standby is on another machine */
	struct daxfs_host_view view[DECIDE_HOSTS_MAX];
	enum daxfs_kin kin[DECIDE_HOSTS_MAX]; /* of view[i].who, to this machine */
	bool sensible[DECIDE_HOSTS_MAX];      /* view[i] could be made sense of */
	enum decide_result result[DECIDE_HOSTS_MAX];
	uint32_t result_ms[DECIDE_HOSTS_MAX];      /* how long that agent took */
	enum decide_order order[DECIDE_HOSTS_MAX]; /* new since the last poll */
};

enum decide_kind {
	DECIDE_BEAT,      /* daxfs_member_manager_beat */
	DECIDE_CLAIM,     /* daxfs_member_claim, then decide_claimed */
	DECIDE_STEP_DOWN, /* another epoch is in force: stop all agents */
	DECIDE_YIELD,     /* stop all agents, and let another manager become primary */
	DECIDE_STANDBY,   /* daxfs_member_standby */
	DECIDE_JUDGE,     /* daxfs_member_judge: hosts follow the shorter heartbeat */
	DECIDE_STAMP,     /* daxfs_member_stamp */
	DECIDE_MOVE,      /* daxfs_member_move to, recoverer, reason, ms */
	DECIDE_COUNT,     /* daxfs_member_count_death: the recoverer of host died */
	DECIDE_AGENT_OFF, /* start the agent; its end is a result of a later poll */
	DECIDE_AGENT_STATUS,
	DECIDE_AGENT_STOP, /* kill it; no result */
	DECIDE_AGENT_OVER, /* the same, of a host that is over by another's proof: what it has done is undone */
	DECIDE_REFUSED,    /* the order is dropped: the host beats */
};

struct decide_action {
	enum decide_kind kind;
	unsigned host;
	enum daxfs_host_state to;
	int recoverer;
	enum daxfs_reason reason;
	uint32_t ms;
	uint32_t fence_ms; /* with a MOVE to FENCED: how long the agent took */
	bool off;          /* ... its machine is off, or was: more than that its process has ended */
};

/* A host is stopped and moved; and one beat or the like. */
#define DECIDE_ACTIONS_MAX (2u * DECIDE_HOSTS_MAX + 4u)

enum decide_role { DECIDE_BACKUP, DECIDE_PRIMARY };

/* of cutting a host off */
enum decide_phase {
	PHASE_IDLE = 0,
	PHASE_OFF_RUNNING,
	PHASE_OFF_DONE,
	PHASE_STATUS_RUNNING,
	PHASE_FAILED,
	PHASE_WAITING,
	PHASE_PROVEN,
};

struct decide_host {
	/* As last seen. */
	bool known;
	bool sensible;
	enum daxfs_host_state state;
	int recoverer;
	uint32_t recoverer_generation; /* of the recoverer */
	unsigned deaths;               /* of its recoverers */
	bool death_counted;            /* that of the one who is named is among them */
	bool left;                     /* the last tenant, by itself */
	uint32_t generation;
	uint64_t tenancy;
	uint64_t beat;
	uint64_t changed_ms; /* when beat was last seen to change */
	bool introduced;     /* its name is this tenant's, not its predecessor's */
	bool seen_beating;   /* by this manager */
	enum daxfs_kin kin;
	bool found_silent; /* when no host beat any more */
	unsigned hold;     /* polls until it may be cut off for that */
	/* Counts of polls. */
	bool moved; /* since the last poll */
	unsigned silent;
	unsigned away;   /* without a beat, as it said that it would be: not counted as silent */
	unsigned still;  /* without change since it was switched off, as its agent says */
	unsigned rested; /* since the last death of a recoverer of it was counted */
	unsigned pause;  /* until the next attempt to fence */
	/* Cutting it off. */
	enum decide_phase phase;
	unsigned next_pause;
	uint32_t agent_ms;
	bool struck;             /* an agent was to switch it off, and it is not FENCED by that */
	bool overtaken;          /* it was struck, and was proved over by somebody else */
	enum daxfs_reason cause; /* of FENCING, whatever its agent did since */
	uint32_t cause_ms;
	enum decide_order order;
};

struct decide {
	unsigned hosts;
	unsigned heartbeat_ms; /* hosts are judged by */
	uint64_t timing_word;  /* as last seen */
	unsigned timing_polls; /* in which every host that may live has beaten, since it changed */
	unsigned hold_polls;   /* see invariant 6; 0: cut off at once */
	enum decide_role role;
	uint32_t epoch; /* PRIMARY: ours */
	bool polled;
	uint64_t last_ms; /* of the last poll */
	uint64_t polls, late_polls;
	unsigned grace_polls;              /* polls a new primary still waits */
	unsigned all_silent;               /* polls since every host fell silent */
	struct daxfs_manager_view manager; /* BACKUP: as last seen */
	unsigned manager_silent;
	uint64_t standby; /* PRIMARY: as last seen */
	unsigned standby_silent;
	bool wants_peer; /* PRIMARY: a host is to be cut off that runs on our machine */
	unsigned yield;  /* BACKUP: polls in which we do not claim */
	struct decide_host host[DECIDE_HOSTS_MAX];
};

void decide_init(struct decide *d, unsigned hosts, unsigned heartbeat_ms);
/* What to do now; returns how many of out[DECIDE_ACTIONS_MAX] are set. */
unsigned decide_poll(struct decide *d, const struct decide_input *in, struct decide_action *out);
/* The claim succeeded: we are primary under epoch. */
void decide_claimed(struct decide *d, uint32_t epoch);
/* That host is FENCED, by what its agent did. */
void decide_fenced(struct decide *d, unsigned host);
/* The pool said that our epoch is no longer in force. */
void decide_deposed(struct decide *d);
/* NULL, or why that order cannot be taken, by what the last poll saw. */
const char *decide_refuses(const struct decide *d, unsigned host, enum decide_order order);
/* NULL, or why nothing is being decided at present. */
const char *decide_waits(const struct decide *d);
/* The live host that would recover host now, or -1. */
int decide_heir(const struct decide *d, unsigned host);
/* Of a host in RECOVERING: how many recoverers died of it already? */
enum decide_toll decide_toll(const struct decide *d, unsigned host);
/* Of a host in RECOVERING: may whoever its word names still be at work? */
enum decide_recoverer decide_recoverer(const struct decide *d, unsigned host);
/* Is a manager on another machine ready to take over? */
bool decide_has_peer(const struct decide *d);
uint64_t decide_silence_ms(const struct decide *d, unsigned host, uint64_t now_ms);

#endif
