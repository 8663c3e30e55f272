/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decide_table.h - (state of a host, facts about it) -> verdict.
 *
 * A pure function of eight small enumerations. decide.c gathers the facts by
 * counting polls and carries the verdict out; the table itself is in
 * decide_table.c, on one screen. A unit test tries every combination of inputs
 * and demands exactly one row.
 */
#ifndef FABRICD_DECIDE_TABLE_H
#define FABRICD_DECIDE_TABLE_H

#include "daxfs/member.h"

/* What the heartbeat counter does, in polls of the manager (timing.h). */
enum decide_beat {
	BEAT_MOVED, /* changed since the last poll: it lives */
	BEAT_QUIET, /* no change, but not for long */
	BEAT_AWAY,  /* no change, as it has said that it would be (daxfs_away) */
	BEAT_LATE,  /* long enough for SUSPECT */
	BEAT_LOST,  /* long enough for FENCING */
	BEATS
};

/* What the operator asked for and is not done yet. */
enum decide_order {
	ORDER_NONE,
	ORDER_FENCE,   /* cut it off, alive or not */
	ORDER_CONFIRM, /* it is dead, on the operator's word */
	ORDERS
};

/* How far cutting it off has come. */
enum decide_fence {
	FENCE_HELD,     /* nothing begun: the whole pod fell silent, and its machines may yet come back by themselves */
	FENCE_IDLE,     /* nothing begun */
	FENCE_RUNNING,  /* the agent is at work, on off or status */
	FENCE_OFF_DONE, /* off succeeded; to be proven by status */
	FENCE_FAILED,   /* either failed, hung, or status said on */
	FENCE_WAITING,  /* before the next attempt */
	FENCE_PROVEN,   /* off for certain; is the counter still? */
	FENCE_THAWED,   /* proven off, and yet the counter moved */
	FENCE_FROZEN,   /* proven off and still: nothing of it can reach the pool */
	FENCES
};

/* What the manager knows of it by itself, as its machine is the manager's own. */
enum decide_proof {
	PROOF_NONE, /* nothing: another machine, or not known */
	PROOF_HERE, /* it is of this boot of this machine, and may run: to cut it off is to cut off the manager */
	PROOF_OVER, /* it is of a former boot, or its process has ended; and its counter stands still */
	PROOFS
};

/* Of a host in RECOVERING: whoever its word names. */
enum decide_recoverer {
	RECOVERER_HELD, /* may still be at work, however late it is */
	RECOVERER_DIED, /* itself cut off for certain, and not counted yet */
	RECOVERER_GONE, /* nobody, or it has left, or is counted */
	RECOVERERS
};

/* How many recoverers died of it. */
enum decide_toll {
	TOLL_LOW,     /* the next one is assigned at once */
	TOLL_RESTING, /* two: the third waits, for what killed them may pass */
	TOLL_HIGH,    /* as many as may: the operator has to look */
	TOLLS
};

/* Is there a live host that could recover it? */
enum decide_heir { HEIR_NONE, HEIR_READY, HEIRS };

struct decide_facts {
	enum daxfs_host_state state;
	enum decide_beat beat;
	enum decide_order order;
	enum decide_fence fence;
	enum decide_proof proof;
	enum decide_recoverer recoverer;
	enum decide_toll toll;
	enum decide_heir candidate;
};

enum decide_verdict {
	VERDICT_NOTHING,
	VERDICT_SUSPECT,        /* move to SUSPECT */
	VERDICT_RESUME,         /* move back to ALIVE */
	VERDICT_LOST,           /* move to FENCING: silent too long */
	VERDICT_FENCE_ORDERED,  /* move to FENCING: the operator wants it */
	VERDICT_CONFIRM,        /* move to FENCING: the operator says it is dead */
	VERDICT_REFUSE,         /* drop the order: it beats */
	VERDICT_AGENT_OFF,      /* start the agent */
	VERDICT_AGENT_STATUS,   /* let it prove what it did */
	VERDICT_FAILED,         /* stay FENCING, say why, try again later */
	VERDICT_BEATING,        /* the same, for another reason */
	VERDICT_RETRY_NOW,      /* the operator wants it: do not wait for the next attempt */
	VERDICT_DEAD_CONFIRMED, /* the operator's word stands for the agent's proof */
	VERDICT_FENCED,         /* move to FENCED: its generation ends */
	VERDICT_OVER,           /* the same, by what its own machine tells; no agent is needed */
	VERDICT_OWN_MACHINE,    /* stay FENCING: let a manager on another machine cut this one off */
	VERDICT_ASSIGN,         /* move to RECOVERING by the candidate */
	VERDICT_COUNT,          /* remember, in the pool, that its recoverer died */
	VERDICT_REASSIGN,       /* the same, from a recoverer that died */
	VERDICT_RELEASE,        /* move to FREE */
	VERDICTS
};

enum decide_verdict decide_verdict(const struct decide_facts *facts);
/* How many rows match: 1, for all facts. */
unsigned decide_rows(const struct decide_facts *facts);

#endif
