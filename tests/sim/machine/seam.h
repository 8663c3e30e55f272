/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seam.h - the recording twin of mem/shm.h, and runs of simulated hosts.
 *
 * A run is one call of the library by one host, on a stack of its own. Every
 * seam call it makes is a numbered step, 1 the first; a copy over several lines
 * is several steps, so that it can stop before, between and after lines. Before
 * a step takes effect the run's hook is called, which may run other hosts, mark
 * and rewind the world, and the run may pause (and be resumed, or forgotten: a
 * crash).
 *
 * Runs are sequentially consistent, unless weak.h is on: then loads and copies get
 * what the memory orders of shm.h permit.
 */
#ifndef SIM_MACHINE_SEAM_H
#define SIM_MACHINE_SEAM_H

#include <stdio.h>

#include "machine/fiber.h"
#include "mem/shm.h"
#include "machine/memory.h"

#define SEAM_STEPS_MAX 2000000u /* of one run, unless it says otherwise */

struct run;

/* a step about to happen */
struct seam_event {
	uint64_t step;
	const struct sm_site *site;
	unsigned part; /* of a copy: lines already done */
	uint64_t offset, len;
	uint64_t from;     /* of a copy within the pool: its source; else 0 */
	uint64_t value;    /* stored; for a CAS, desired */
	uint64_t expected; /* by a CAS */
};

typedef void (*seam_hook)(void *context, struct run *run, const struct seam_event *event);

enum run_end {
	RUN_PAUSED,   /* about to do step `pause_at` */
	RUN_RETURNED, /* result is set */
	RUN_BROKEN,   /* touched what is not the pool's, or did not end: see why */
};

struct run {
	unsigned host;
	unsigned thread; /* of that host: another number for each run that goes on at the same time */
	unsigned weak;   /* its thread of weak.h + 1, if that was on when it started */
	long (*call)(void *arg);
	void *arg;
	long result;
	uint64_t seen; /* digest of all it was told: runs of equal ones are in one place */
	uint64_t steps, pause_at, steps_max;
	seam_hook hook;
	void *context;
	struct fiber *fiber;
	enum run_end end;
	struct sm_site *site; /* of the last step */
	char err[160];
};

void run_start(struct run *run, unsigned host, long (*call)(void *arg), void *arg);
/* Run on until step `pause_at` (0: never) is about to happen, or the end. */
enum run_end run_until(struct run *run, uint64_t pause_at);
void run_free(struct run *run);
/* Inside a run: what follows is done by another thread of the host. */
void seam_new_thread(void);
/* A command begins, by such a thread, and ends: what is told of it is told. */
void seam_command(void);
void seam_command_done(void);
/* All of it. On RUN_BROKEN why is copied to why[160] if not NULL. */
enum run_end run_all(unsigned host, long (*call)(void *arg), void *arg, long *result, char *err);

/* Counts every change of memory or device: equal counts, equal states. */
uint64_t seam_changes(void);
/* Something else changed that belongs to the state. */
void seam_changed(void);
/* Each step of traced hosts (bit mask) goes to out; NULL: none. */
void seam_trace(FILE *out, unsigned hosts);
/* A fault to inject: the write-back at one site is not done. */
void seam_break_site(const struct sm_site *site);
/* What to say when the library faults on shared memory. */
void seam_describe(void (*describe)(FILE *out));
/* Catch loads and stores that bypass the seam. */
void seam_guard(void);

/* Name of a place in the pool: "lane 3 +0x80". Set by the world. */
typedef void (*seam_namer)(uint64_t offset, char *buf, size_t size);
void seam_set_namer(seam_namer namer);
/* What no store may do, whatever comes of it: NULL, or which rule it breaks. Set by the world. */
typedef const char *(*seam_rule)(uint64_t offset, uint64_t value);
void seam_set_rule(seam_rule rule);
/* Who sleeps when the library does; NULL: nobody, time passes by looking at the clock. */
void seam_set_nap(void (*nap)(unsigned us));
void seam_event_text(const struct run *run, const struct seam_event *event, char *buf, size_t size);

#endif
