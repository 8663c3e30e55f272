/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim.h - scenarios and how they are explored.
 *
 * Variants, for host 0 stopped at step n of script a (steps 1..N, and N + 1: it
 * has returned):
 *   recover        it died; host 1 recovers
 *   survive        it died; host 1 runs script b before anybody recovers (P3)
 *   recover-crash  it died; host 1 dies at step m of the recovery; host 2
 *                  recovers both
 *   survive-crash  it died; host 1 dies at step m of script b; host 2 recovers both
 *   take-over      its process died; the next one goes on with its membership (daxfs_resume), then
 *                  dies with the host, and host 1 recovers
 *   take-over-crash  the same, but it dies at its step m
 *   revive         it died, and nobody recovers it: it comes back and does so itself (daxfs_revive), then dies again,
 *                  and host 1 recovers
 *   revive-crash   the same, but it dies at its step m
 *   pause          it is paused; host 1 runs script b; it goes on
 *   pause-both     it is paused; host 1 runs to step m of b and is paused; it
 *                  goes on to its end, then host 1
 *   pause-crash    it is paused; host 1 runs to step m of b and dies; it goes on
 *   resume-crash   it is paused; host 1 runs script b, whole or to some step,
 *                  where it dies; host 0 goes on and dies at its step m
 *   tangle         it is paused; host 1 runs to some step of b and is paused;
 *                  host 0 goes on and dies some steps later; host 1 goes on, to
 *                  its end, or to its step m, where it dies
 *   bystand        it died; host 1 runs to step m of b and is paused; host 2
 *                  recovers host 0, which comes back and works; host 1 goes on
 *   revoke         it is paused; fabricd revokes it; it goes on until it notices,
 *                  or dies at its step m; then it is fenced and recovered
 *   mix            turns of random length (random_schedule.c); n is the number of the mix
 * Whoever works while another one is paused also makes and removes names of its
 * own (churn), so that lanes, inodes and pages that the paused one knows serve
 * something else when it goes on.
 *
 * In each the outcome must be legal (history.h) and the check must find nothing.
 * In wb pools each death is tried with several fates of the dirty lines.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "exhaustive/history.h"
#include "exhaustive/interleave.h"

enum variant {
	V_RECOVER,
	V_SURVIVE,
	V_RECOVER_CRASH,
	V_SURVIVE_CRASH,
	V_TAKE_OVER,
	V_TAKE_OVER_CRASH,
	V_REVIVE,
	V_REVIVE_CRASH,
	V_PAUSE,
	V_PAUSE_BOTH,
	V_PAUSE_CRASH,
	V_RESUME_CRASH,
	V_TANGLE,
	V_BYSTAND,
	V_REVOKE,
	V_MIX,
	VARIANTS
};

struct options {
	const char *op; /* only this scenario; NULL: all */
	const char *variant;
	const char *func;                   /* mutants: only sites in this function */
	const char *story;                  /* only this one */
	uint64_t seed, step, recovery_step; /* 0: all */
	bool gpf, wb, quick, full, trace, sites;
	bool quiet;      /* say nothing about violations */
	bool first_only; /* one violation is enough */
	bool worlds, one_world, repairs, mutants, selftest;
	unsigned world, shard, shards; /* small worlds: one of them or the first one, and each shards-th */
	unsigned share;                /* of all scenarios in both kinds of pools, in percent */
	unsigned minutes;              /* 0: until all are done */
	bool every;                    /* see interleave.h */
	bool orders, table;            /* see weak/sites.c */
	bool weak;                     /* mixes in a weak memory: see random_schedule.c */
	uint64_t mixes;                /* 0: as many as ever */
};

struct scenario {
	const char *name, *setup, *a, *b;
	unsigned flags;
};

#define SC_HOLDS 1u   /* the death of host 0 lets go of open files: the state may differ */
#define SC_OUTSIDE 2u /* host 0 has not joined when a starts */
#define SC_MEMBER 4u  /* a joins or leaves: host 0 is paused for nobody */
#define SC_TIGHT 8u   /* hardly a free page: who is stopped may make others run out of them */
#define SC_VAGUE 32u  /* what finds no space depends on more than the order of commands: not in a weak memory */
#define SC_LEASES 64u /* of a pool with leases */
#define SC_DEEP 16u   /* what matters is a window of few steps: stop both hosts more often */

extern const struct scenario scenarios[];
extern const unsigned n_scenarios;

struct tally {
	uint64_t points; /* crash points: steps of host 0 */
	uint64_t states[VARIANTS];
	uint64_t violations;
};

/* of one scenario in one domain */
struct explorer {
	const struct scenario *sc;
	const struct options *opt;
	bool wb;
	struct script a, b, churn;
	struct references *refs;
	struct history history;
	struct performance survivor; /* of script b, as long as its run */
	struct tally tally;
	/* where we are */
	enum variant variant;
	uint64_t n, m;
	struct fate fate[2];
	const struct sm_site *site[2];
	bool goes_on; /* after the state has ended: recovery must have happened */
	/* sizes of the product space, from the first pass */
	uint64_t distinct;
	uint64_t last_changes;
	unsigned last_ended;
	uint64_t m_seen[VARIANTS];
	uint64_t weak_stores; /* of both scripts */
};

const char *variant_name(enum variant v);
/* Is this variant to be explored at all here? */
bool explore_wants(const struct explorer *x, enum variant v);
/* Is the state (n, m) one of those to be tried? */
bool explore_samples(struct explorer *x, uint64_t m, const struct sm_site *site);
/* States that a variant may cost here. */
uint64_t explore_budget(const struct explorer *x, enum variant v);
/* A number for the i-th choice at step n. */
uint64_t explore_draw(const struct explorer *x, uint64_t i);
void explore_violation(struct explorer *x, const char *text);
bool explore_exhausted(const struct explorer *x); /* too many violations to go on */
/* The end of one state: recover, check, judge. */
void explore_finish(struct explorer *x, unsigned dead);
/* Steps after which a host is said to wait for something. */
uint64_t explore_steps_max(const struct explorer *x);
/* Host 1 runs script b; true if it returned. */
bool explore_survive(struct explorer *x, struct run *run, seam_hook hook, uint64_t pause_at);
/* A hook that lets its host die before each step that finds a new state, and
 * looks at the outcome. */
struct second {
	struct explorer *x;
	unsigned host, dead; /* who dies; all who are dead then */
	uint64_t last_changes, distinct;
	bool tried; /* the state that this step, too, would leave */
};
void explore_second_hook(void *second, struct run *run, const struct seam_event *event);
/* Fates of a dying host's dirty lines to try: the nth, or false. */
bool explore_fate(const struct explorer *x, unsigned dirty, unsigned nth, bool few, struct fate *out);

void explore_scenario(const struct scenario *sc, const struct options *opt, bool wb, struct tally *out);
void explore_crashes(struct explorer *x); /* crash.c */
void explore_pauses(struct explorer *x);  /* pause.c */
void explore_mixes(struct explorer *x);   /* random_schedule.c */
void explore_stops(struct explorer *x);   /* weak/stops.c */
/* Of pause.c, for random_schedule.c. False with a violation. */
bool explore_go_on(struct explorer *x, struct run *run);
bool explore_churn(struct explorer *x, unsigned host);
bool explore_succession(struct explorer *x);

/* Which scenario is at work, for messages. */
void explore_where(const struct explorer *x, FILE *out);

/* -- call sites of the seam (sites.c) ------------------------------------------------ */

/* Print coverage; number of sites that were never a crash point and have no excuse. */
unsigned sites_report(bool complete, bool list);
/* So far: places in the library that were no crash point, and have no excuse. */
unsigned sites_missed(void);

/* The sites of those parts, one after the other: NULL, ..., NULL. */
struct sm_site *sites_next(const struct sm_site *site);

/* Processor time so far: of this process, and of those that executed its orders (exhaustive/references.c). */
double sim_seconds(void);
/* What one part of a run has taken of it. */
void sim_print_part(const char *name, double took);

/* -- can it fail? ---------------------------------------------------------------------- */

/* The simulator's own tests: number of failures (selftest.c). */
unsigned selftest(const struct options *opt);
/* Turns of three hosts, told: number of stories that went wrong (directed.c). */
unsigned stories_tell(const struct options *opt);
/* Repairs that die at every step: number of violations (repair.c). */
uint64_t repairs(const struct options *opt);
const char *story_name(unsigned n); /* NULL: there are fewer */
/* Small worlds, exhaustively: 0, or 1 with violations (exhaustive.c). */
unsigned worlds(const struct options *opt);
/* Of two scripts in the tree of the first small worlds; stops at the first violation. */
struct interleave_tally world_explored(const char *a, const char *b, bool wb, bool every);

/* -- weak memory (weak.h) ----------------------------------------------------------------- */

/* Two calls of which one at most may succeed: violations, and how many pairs had none, or some (weak/pair.c). */
struct pairs_tally {
	unsigned passed, failed;
	uint64_t violations;
};
struct pairs_tally pairs_play(const struct options *opt);
const char *pair_name(unsigned n); /* NULL: there are fewer */

/* Litmus tests of the weak memory itself: number of those that go wrong (weak/litmus.c). */
unsigned weak_litmus(void);
/* Each memory order of the library left out in turn: number of those that nobody
 * notices, and that have no reason (weak/sites.c). */
unsigned weak_sites(const struct options *opt);
/* on an order that is left out */
struct order_note {
	const char *file, *func, *call;
	unsigned nth;
	enum sm_order without;
	const char *by; /* the scenario or story that notices, in so many mixes (a story: 0) */
	uint64_t mixes;
	const char *because; /* ... or why nobody need notice */
};
/* NULL: none (weak/reasons.c). */
const struct order_note *weak_note(const struct sm_site *site, enum sm_order without);

/* Each write-back of the library left out in turn: number of those whose absence
 * no scenario notices (mutants.c). */
unsigned mutants(const struct options *opt);

#endif
