/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod.h - a whole pod on one thread, from one seed.
 *
 * Machines, each with the process of a node-agent: an agent that joins and
 * beats, a thread that recovers, workers; and two managers that run fabricd's
 * poll. Each of these is an actor: a fiber whose seam calls pass through one
 * hook, where it may be made to wait, for a moment or for good. Time is virtual:
 * a seam call of a worker or recoverer takes step_ns, managers and heartbeats
 * are parallel to them and take none.
 *
 *   pod.c         a seed: plan, clock, which actor goes on, phases
 *   pod/setup.c   what a seed draws; the new pool
 *   pod/actor.c   what agents, recoverers, workers do; processes and machines
 *   pod/manager.c fabricd's watch.c on the simulated pool; fence agents
 *   pod/faults.c  the plan of what goes wrong, and doing it
 *   pod/oracle.c  what commits is fed to the model, and results are held against it
 *   pod/locks.c   who may have which lock
 *   pod/view.c    views and drafts
 *   pod/extent.c  what happens to extents
 *   pod/store.h   files of storage, and the storage (--storage)
 *   pod/check.c   checks of the whole pool: after recoveries, at the end
 *   pod/model.c   what a filesystem is; pod/meaning.c: its operations
 *   pod/trace.c   what happened, for people
 *   pod/main.c    many seeds; pod/shrink.c: a small schedule that still fails
 *   pod/mutants.c mistakes planted in the seam, each of which must be noticed
 *
 * Everything follows from the seed and the limits: no address, clock, or
 * hash of one enters a choice. Random numbers come in streams, so that leaving
 * out a fault or a turn does not shift all other choices.
 */
#ifndef SIM_POD_H
#define SIM_POD_H

#include <stdio.h>

#include "daxfs/daxfs.h"
#include "mem/pool.h"
#include "pod/model.h"
#include "machine/seam.h"

#define MACHINES_MAX 8u
#define WORKERS_MAX 3u
#define MANAGERS 2u
#define SPARE_MAX 3u /* slots */
#define FAULTS_MAX 48u
#define MANAGER_CACHE(i) (OBSERVER_CACHE + 1 + (i))
#define OBSERVER_CACHE 8u
#define HEARTBEAT_NS 50000000ull
#define FOREVER UINT64_MAX
#define POISON_BYTE 0xdb

/* -- random numbers ------------------------------------------------------------- */

struct rng {
	uint64_t state;
};

static inline uint64_t rng_next(struct rng *r)
{
	uint64_t x = r->state += 0x9e3779b97f4a7c15ull;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static inline uint64_t rng_below(struct rng *r, uint64_t n)
{
	return n ? (rng_next(r) >> 11) % n : 0;
}

static inline bool rng_chance(struct rng *r, unsigned one_in)
{
	return one_in && rng_below(r, one_in) == 0;
}

/* A stream of its own for each purpose. */
struct rng rng_stream(uint64_t seed, uint64_t purpose, uint64_t nth);
enum {
	STREAM_SETUP = 1,
	STREAM_TURNS,
	STREAM_FAULTS,
	STREAM_FENCES,
	STREAM_LIFE,
	STREAM_WORK,
	STREAM_GROUPS,
	STREAM_STORE
};

/* -- actors ---------------------------------------------------------------------- */

enum actor_kind { ACTOR_AGENT, ACTOR_RECOVER, ACTOR_WORKER, ACTOR_MANAGER, ACTOR_KINDS };

struct pending; /* pod/oracle.h */

struct actor {
	enum actor_kind kind;
	unsigned machine; /* or manager */
	unsigned nth;     /* worker */
	bool used, done;
	struct run run;
	uint64_t wake_ns;  /* sleeps until then */
	uint64_t priority; /* of this seed's schedule: drawn, and high; lower for each that gave way */
	struct pending *pending;
	uint64_t recovered; /* hosts, by this recoverer */
	bool recovering;    /* inside daxfs_recover_assigned */
	uint64_t committed; /* step at which it last committed something */
	bool napping;       /* stopped where this seed likes to stop */
	int single;         /* lane whose record of one word it is about to make happen, -1 */
};

#define ACTORS_MAX (MACHINES_MAX * (2 + WORKERS_MAX) + MANAGERS)

enum process { PROCESS_NONE, PROCESS_JOINING, PROCESS_JOINED, PROCESS_LEAVING };

struct machine {
	bool on; /* powered */
	enum process process;
	unsigned lives; /* processes so far */
	unsigned boots; /* before this one */
	unsigned slot;  /* where the process is joined, or stands in */
	uint32_t generation;
	struct daxfs *fs;
	uint64_t paused_ns;  /* until then */
	uint64_t restart_ns; /* when it comes up again; FOREVER: not by itself */
	bool exits;          /* its process ends by itself: told that it is dead, or done */
	bool reviving;       /* recovers what it left itself */
	bool leave;          /* asked to leave */
	bool withheld;       /* does not beat, because its workers are stuck */
	bool zombie;         /* acts, declared dead */
	bool fence_lies;     /* an agent says that it is off, and it is not: it may not be paused */
	unsigned workers_done;
	uint64_t held[WORKERS_MAX][8]; /* handles that a worker holds */
	unsigned n_held[WORKERS_MAX];
};

/* -- faults ------------------------------------------------------------------------ */

enum fault_kind {
	FAULT_KILL,         /* a host; the kernel or power: caches are lost in wb pools */
	FAULT_KILL_PROCESS, /* its stores stay */
	FAULT_KILL_RECOVERER,
	FAULT_PAUSE, /* all of a host */
	FAULT_PAUSE_RECOVERER,
	FAULT_STARVE, /* one thread of a host */
	FAULT_DEAF,   /* its agent, for long: it is declared dead, and its workers work on */
	FAULT_ALONE,  /* all but one host stand still until what it is at is done, and longer */
	FAULT_LEAVE,  /* and come back later */
	FAULT_MANAGER_KILL,
	FAULT_MANAGER_PAUSE,
	FAULT_UNREADABLE, /* a manager cannot read the pool for some polls */
	FAULT_FENCE_FAIL, /* what the next agents do */
	FAULT_FENCE_HANG,
	FAULT_FENCE_ON,      /* off says done, status says on */
	FAULT_FENCE_LIE,     /* both say off; the host runs on */
	FAULT_HEARTBEAT,     /* the operator changes the heartbeat */
	FAULT_ORDER_FENCE,   /* the operator fences a host */
	FAULT_ORDER_CONFIRM, /* the operator, who has pulled the plug, says so */
	FAULT_POISON_DATA,   /* a line of a data page holds garbage */
	FAULT_POISON_META,   /* garbage in metadata: from now on only robustness counts */
	FAULT_POISON_LOAD,   /* a load some way ahead kills the process (SIGBUS) */
	FAULT_STORAGE_POWER, /* storage loses what is not synced, and is away for a while */
	FAULT_STORAGE_HANG,
	FAULT_STORAGE_ERRORS, /* many */
	FAULT_KINDS
};

/* At its step; then before the next store, in the few steps after a commit, or where this seed likes to stop. */
enum fault_when { WHEN_DUE, WHEN_STORE, WHEN_COMMITTED, WHEN_FOCUS, WHENS };

struct fault {
	uint64_t step; /* work_steps */
	enum fault_when when;
	int at; /* not before an actor of that kind acts, -1: any */
	enum fault_kind kind;
	uint64_t draw; /* its own choices */
};

const char *fault_name(enum fault_kind kind);
void faults_plan(void);
/* A machine loses power, or its process ends. */
void machine_off(unsigned machine, struct fate fate);
struct fate draw_fate(struct rng *r, unsigned cache);
/* Is a fault to strike before this step? */
/* The process of a machine is gone: nobody waits for it. */
void faults_forget(unsigned machine);
enum fault_due { DUE_NONE, DUE_PLANNED, DUE_ARMED, DUE_LOAD };
enum fault_due faults_due(const struct actor *a, const struct seam_event *event);
/* It strikes; `at` was about to act. */
void faults_happen(enum fault_due due, struct actor *at);
void faults_stop(void);

/* -- the pod ------------------------------------------------------------------------ */

/* What becomes of extents (pod/extent.c). */
enum extent_event {
	EXTENT_FORMED,     /* its pages taken, by sixteen */
	EXTENT_AGAIN,      /* one at rest taken, by its head */
	EXTENT_DISSOLVED,  /* its head taken as a single page */
	EXTENT_TAIL_TAKEN, /* then, another one of it */
	EXTENT_TAIL_KEPT,  /* one of an extent in use, by who breaks it up */
	EXTENT_UNDONE,     /* the record that took it did not happen */
	EXTENT_REPLACED,   /* in a file, by another one */
	EXTENT_BROKEN_UP,  /* by single pages */
	EXTENT_CUT_INTO,   /* by some, for the file ends in it */
	EXTENT_REMOVED,    /* by nothing */
	EXTENT_EVENTS
};

enum bias { BIAS_RANDOM, BIAS_PRIORITY, BIAS_STARVE, BIASES };

/* Of a run, besides the seed: for shrinking. */
struct limits {
	uint64_t ops;        /* at most, 0: as drawn */
	uint64_t turns;      /* turns after that many are not cut short */
	uint64_t turns_from; /* nor those before */
	uint64_t faults;     /* bit mask of those that strike */
};

struct tallies {
	uint64_t seeds, steps, ops, commits, helped, lost, recoveries, takeovers, deaths, rejoins, checks, twice, rests;
	uint64_t revivals, given_up, fault[FAULT_KINDS];
	uint64_t lenient, zombies, wiped, views, drafts, locks;
	uint64_t extent[EXTENT_EVENTS], extents_poisoned;
	uint64_t fsyncs, served, storage_errors;
	uint64_t alone; /* operations ended while all stood still but one and some dead host */
	double seconds;
};

struct pod {
	uint64_t seed;
	struct limits limits;
	struct tallies *tallies;
	/* drawn */
	bool wb;
	uint64_t size, pages; /* pages: few, so that they serve again soon; 0: as many as there is room for */
	unsigned machines, workers, lanes, spare;
	enum bias bias;
	unsigned turn_mean, lazy_timers, naps; /* naps: one in so many cut turns is followed by one */
	unsigned overtakings;                  /* by priority: so many, and no more */
	uint32_t gave_way;                     /* ... but who waits for others lets all of them on: so often */
	uint64_t focus;                        /* names some seam calls at which actors like to stop, 0: none */
	unsigned focus_rate;                   /* one time in so many */
	uint64_t step_ns, think_ns;
	bool identified;               /* machines know who they are */
	bool at_home;                  /* managers run on the first machines, and know it */
	uint64_t fence_ns, recover_ns; /* an agent takes up to that; a recoverer looks for work so often */
	bool hot;                      /* most of the work is on few files */
	bool sparse;                   /* and on few pages, behind an index node */
	bool groups;                   /* mostly in pieces of 64 KiB, and parts of them */
	bool roles;     /* one machine only looks at files, the others write many pages, which serve again soon */
	unsigned names; /* of MODEL_NAMES, that are made */
	bool stored;    /* there are files of storage: pod/store.h */
	unsigned weight[DO_KINDS];
	unsigned n_faults, next_fault;
	struct fault fault[FAULTS_MAX];
	/* where we are */
	struct pool pool; /* for looking */
	bool liveness, over;
	bool poisoned; /* a line of data */
	bool damaged;  /* metadata: from now on only crashes, hangs and wild accesses count */
	uint64_t now_ns, steps, work_steps, hash;
	uint64_t ops_left, worked_ns, turn, alone_ns, starve_ns;
	int alone, starved;
	unsigned alone_workers; /* bits: the operation it was at is not over yet */
	bool alone_managed;     /* managers stand still as well, unless */
	uint64_t countdown, store_countdown;
	bool check_due;
	enum fault_due due;
	bool armed; /* a fault waits for a recovery to be at work, and then so many steps */
	struct fault armed_fault;
	uint64_t armed_steps;
	unsigned curse;                          /* so many more recoverers of one slot are to die */
	int cursed;                              /* which, -1: the first that is recovered */
	unsigned died[MACHINES_MAX + SPARE_MAX]; /* recoverers of it, as seen from outside */
	uint64_t poisoned_load;                  /* so many loads ahead, 0: none */
	int confirm;                             /* machine whose death the operator confirms, -1: none */
	uint64_t manager_paused_ns[MANAGERS], manager_restart_ns[MANAGERS];
	int recovered_slot;
	struct actor actor[ACTORS_MAX];
	struct machine machine[MACHINES_MAX];
	struct actor *current;
	struct rng turns, life, fences;
	bool violated;
	char violation[1200];
};

extern struct pod pod;

void pod_draw(void);
void pod_make(void);
/* One seed: true if nothing was violated. */
bool pod_run(uint64_t seed, const struct limits *limits, struct tallies *tallies);
/* Say what is violated; the run is over. */
void pod_violation(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Does this seed like to stop actors before this step? */
bool pod_focus(const struct actor *a, const struct seam_event *event);

/* In an actor: do nothing until then; let others go on. */
void actor_sleep(struct actor *a, uint64_t until_ns);
/* The current one, if any, lets all others on for a moment. */
void actor_yield(void);
void actor_start(struct actor *a, unsigned cache, long (*call)(void *arg));
struct actor *actor_of(enum actor_kind kind, unsigned machine, unsigned nth);
/* Is it to go on when its turn comes? */
bool actor_ready(const struct actor *a);
void actor_text(const struct actor *a, char *buf, size_t size);
/* The actor at work, NULL: the harness. */
struct actor *actor_current(void);

void machine_start(unsigned machine);
/* Who its process is; a manager, if at home, is of the machine with its number. */
struct daxfs_identity machine_identity(unsigned machine);
/* The process ends: nothing of it goes on. */
void process_end(unsigned machine);

/* -- looking at shared memory ---------------------------------------------------------- */

uint64_t peek(uint64_t offset);
uint64_t peek_word(const sm_u64 *p);

/* -- managers (pod/manager.c) ------------------------------------------------------------ */

void managers_reset(void);
void manager_start(unsigned i);
void manager_end(unsigned i);
bool manager_primary(unsigned i);
uint32_t manager_epoch(unsigned i); /* under which it acts */
void manager_order(unsigned i, unsigned slot, bool confirm);
/* The operator: recover that slot, although so many died of it. */
/* The operator changes the heartbeat, from that machine; LENGTHENED_MS: a host there does, which only lengthens. */
#define LENGTHENED_MS 100u
void manager_heartbeat(unsigned i, unsigned ms);
void manager_again(unsigned i, unsigned slot);
void manager_unreadable(unsigned i, unsigned polls);
/* Fence agents whose time has come cut their machine off. */
void fences_due(void);
uint64_t fences_next(void);
/* What the next fence agents do wrong. */
void fences_misbehave(enum fault_kind kind, unsigned times);
void fences_behave(void);
unsigned managers_started(void);

/* -- extents (pod/extent.c) --------------------------------------------------------------- */

const char *extent_event_name(enum extent_event event);
/* The state of a page, or of the extent that it is in, 0: free. */
uint64_t extent_page(uint64_t page);
/* A word changes, perhaps the state of a page; a record commits. */
void extent_state(uint64_t offset, uint64_t before, uint64_t after);
void extent_commit(unsigned id);

/* -- checks (pod/check.c) ------------------------------------------------------------------ */

/* The pool is new. */
void check_begin(void);
/* After the recovery of a slot: nothing is left of it, and doing it again does nothing. */
void check_recovered(unsigned slot);
/* The end: all hosts at rest; then all of them leave. */
void check_end(void);

/* -- trace ----------------------------------------------------------------------------------- */

enum trace_mode { TRACE_OFF, TRACE_TAIL, TRACE_ALL };

void trace_mode(enum trace_mode mode);
bool trace_wanted(void);
void trace_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
void trace_step(const struct actor *a, const struct seam_event *event);
void trace_tail(FILE *out);

/* -- mutants (pod/mutants.c) ------------------------------------------------------------------ */

/* Around each seam call: what the planted mistake makes of it. */
void mutants_before(const struct actor *a, const struct seam_event *event);
void mutants_after(void);
bool mutants_no_cut(void);
/* Is the canary noticed? All of them, or one: how many are not, in so many seeds (0: as stated of each). */
bool mutants_canary(uint64_t seed);
unsigned mutants_run(const char *name, uint64_t seed, uint64_t seeds);

int pod_main(int argc, char **argv);
/* Smaller limits under which the seed still fails. */
void pod_shrink(uint64_t seed, struct limits *limits);

#endif
