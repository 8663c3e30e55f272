/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench.h - what the parts of the benchmark share.
 *
 * A *workload* is one piece of work done on several *targets* side by side: the
 * library, tmpfs, a copy in raw memory. A *crew* of workers does it, threads of
 * one host or processes that are a host each. A *shot* is one timed burst of
 * some thousand operations by all workers; the sampler (sample.c) takes shots of
 * all targets in turn, so that whatever the machine does meanwhile meets all of
 * them, and only ratios of what was measured within the same round are reported.
 *
 * Workers are told apart by their seat alone; seats are in memory shared by
 * threads and processes alike.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "daxfs/daxfs.h"

#define WORKERS_MAX 4u
#define TARGETS_MAX 6u
#define ROUNDS 5u

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

/* -- main.c --------------------------------------------------------------------- */

_Noreturn void bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Is a workload of this name wanted? */
bool bench_wants(const char *name);

struct bench_args {
	double alone;                            /* seconds > 0: no comparison, run ours for so long (for a profiler) */
	uint64_t seed;                           /* of traces of requests; 0: the usual one */
	bool quick;                              /* too little to conclude anything: does it work? */
	const char *mount, *passthrough, *tmpfs; /* directories: through an agent, libfuse's example, neither */
	const char *pool, *cgroup;               /* of a running pod */
	const char *trace;                       /* a file of blocks that were read: lirs_trace.c */
	int daemon[4];                           /* processes whose CPU time is ours, too */
	unsigned n_daemons;
};
const struct bench_args *bench_args(void);

/* -- stats.c -------------------------------------------------------------------- */

struct spread {
	double median, q1, q3;
	unsigned n;
};
/* Sorts v. */
struct spread spread_of(double *v, unsigned n);

/* -- rig.c: what is measured on -------------------------------------------------- */

/* a pool, a tmpfs with huge pages and raw memory, all in /dev/shm */
struct rig {
	char dir[64], pool[96], raw_path[96], huge[96];
	struct daxfs *fs; /* joined as host 0 */
	bool huge_mounted;
	uint8_t *raw;
	uint64_t raw_size;
};

struct rig_options {
	uint64_t pool, raw; /* bytes */
	uint64_t inodes;    /* 0: the default */
	unsigned lanes;     /* a host, 0: the default */
	bool wb, plain;     /* plain: no tmpfs with huge pages beside it */
};

void rig_open(struct rig *rig, const struct rig_options *options);
void rig_close(struct rig *rig);
/* The pool as host `host` sees it: joined, populated. */
struct daxfs *rig_join(const struct rig *rig, unsigned host);
/* A regular file in one of the two tmpfs. */
int rig_tmpfs(const struct rig *rig, bool huge, const char *name, int flags);
/* Fault in what is mapped of a file, as a host that has run for long has. */
void rig_populate(const char *path);
/* KiB of a file's mappings in this process that huge pages map. */
uint64_t rig_huge_kib(const char *path);
void rig_cleanup(void); /* on any exit: remove what this process made */

/* -- workers.c: workers -------------------------------------------------------------- */

struct worker {
	unsigned id, of;
	unsigned job; /* that runs: an index of workload.job */
	struct rig *rig;
	struct daxfs *fs;
	uint64_t rng;
	const void *arg; /* of the workload */
	void *own;       /* made by its open() */
};

/* a workload on one target */
struct job {
	const char *target;
	void (*prepare)(struct worker *w, unsigned n); /* untimed, before n operations */
	void (*run)(struct worker *w, unsigned n);
	void (*finish)(struct worker *w, unsigned n); /* untimed, after */
};

struct workload {
	const char *name;
	unsigned workers;
	bool processes;   /* each worker a host of its own */
	bool pairs;       /* wall-clock pairs instead of slices: somebody sleeps, or fewer CPUs than workers */
	bool warm;        /* each burst is run twice, the second time timed */
	uint64_t bytes;   /* an operation moves, 0: none */
	unsigned ops_max; /* a shot, 0: no limit */
	unsigned n_jobs;
	struct job job[TARGETS_MAX];     /* [0] is ours */
	void (*open)(struct worker *w);  /* in the worker: w->own */
	void (*close)(struct worker *w); /* checks what was written, frees w->own */
	const void *arg;
};

/* what came of one burst */
struct shot {
	double wall_ns;    /* first start to last end */
	double ns_per_op;  /* of all workers together: wall time / operations */
	double cpu_per_op; /* the same of the CPU time of the one that used most */
	bool undisturbed;  /* every worker had its CPU to itself and all overlapped */
};

struct crew;
struct crew *crew_open(const struct workload *workload, struct rig *rig);
struct shot crew_shoot(struct crew *crew, unsigned job, unsigned n);
uint64_t crew_cpu_ns(const struct crew *crew); /* used by all workers so far */
void crew_close(struct crew *crew);
_Noreturn void crew_fail(void); /* of bench_fail in a worker */
unsigned cpus(void);
#define ANY_CPU (~0u)
void run_on(unsigned cpu); /* modulo the number there are */

/* -- sample.c ----------------------------------------------------------------------- */

struct measured {
	struct spread ns[TARGETS_MAX];    /* of an operation, over rounds */
	struct spread ratio[TARGETS_MAX]; /* target's time / ours, over rounds */
	unsigned valid[TARGETS_MAX], discarded[TARGETS_MAX];
	bool conclusive;
};

void sample(struct crew *crew, const struct workload *workload, struct measured *out);
/* Crew, samples, report. */
void measure(const struct workload *workload, struct rig *rig);

/* -- out.c: results as lines of JSON ----------------------------------------------------- */

void out_open(const char *path);
void out_measured(const struct workload *workload, const struct measured *m);
/* One figure that is not a comparison. */
void out_figure(const char *name, double value, const char *unit, const struct spread *spread);
void out_machine(void);
void out_call(void);
void out_mapping(const struct rig *rig);

/* -- what there is to measure ------------------------------------------------------------ */

void bench_data(void);
void bench_names(void);
void bench_cas(void);
void bench_recovery(void);
void bench_cost(void);
void bench_scale(void);
void bench_cliff(void);
void bench_cache(void);
void bench_fuse(void);   /* with a mount and a passthrough */
void bench_detect(void); /* with a pod */

/* -- small things -------------------------------------------------------------------------- */

uint64_t now_ns(void);
uint64_t cpu_ns(void); /* of this thread */

static inline uint64_t random_next(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

static inline uint64_t random_below(uint64_t *state, uint64_t n)
{
	return ((random_next(state) >> 32) * n) >> 32;
}

#endif
