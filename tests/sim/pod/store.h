/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - pods with storage behind them (--storage): a directory of some files, on a disk (machine/disk.h) that
 * fails, delays, tears and reorders, which some machines reach and others do not.
 *
 * Of the product these run: the library's cache, and node-agent/backing_write.c, which is who flushes when, and what an
 * fsync says. On machines that reach the storage worker 2 is the agent's flusher, and worker 1 also reads for others.
 * What is simulated in between is node-agent/storage.h (store_calls.c), and the names, which do not change.
 *
 *   store.c        what a seed draws; the files; machines get the storage, and lose it
 *   store_calls.c  the calls of storage.h: time passes, they fail, a part of them is done
 *   store_work.c   what workers do with these files
 *   store_check.c  the oracle
 */
#ifndef SIM_POD_STORE_H
#define SIM_POD_STORE_H

#include "machine/disk.h"
#include "node-agent/backing.h"
#include "pod/oracle.h"

#define STORE_FILES 3u
#define STORE_PAGES 24u  /* of a file, about */
#define STORE_BACKING 1u /* its number */
#define STORE_NAME 9u    /* of the directory: nobody else makes it */
#define STORE_NAMES 6u   /* that others make */
#define STORE_FILE 100u  /* numbers of files in storage, from there on */
#define STORE_FLUSHER 2u /* of the workers */

struct store {
	struct disk disk;
	daxfs_ino tree, file[STORE_FILES];
	uint64_t size[STORE_FILES]; /* as they began */
	bool without[MACHINES_MAX]; /* it never has the storage */
	struct rng r;
	unsigned error_rate, slow_rate, patience_ms; /* one call in so many; 0: none */
	bool cached;                                 /* hosts have caches of their own */
	uint64_t dirty_max;
	uint64_t hang_ns, away_ns, burst_ns; /* calls hang, and fail, until then */
	uint64_t errors;                     /* that it told anybody */
};

extern bool store_wanted; /* by the command line */
extern struct store store;

/* -- store.c */
void store_draw(void);
/* In a new pool: the files. Before and after the model begins. */
void store_make(void);
void store_begin(void);
/* Which of the files is it? -1: none. */
int store_file(uint64_t ino);
/* The agent's part of a machine that has the storage now; else NULL. */
struct backing *store_backing(unsigned machine);
unsigned store_machine(const struct backing *b);
/* A process has joined. The life of its worker STORE_FLUSHER. */
void store_start(unsigned machine, struct daxfs *fs);
void store_flusher(struct actor *a);
/* With a heartbeat: are the workers done, for whom the flusher goes on? */
void store_tick(unsigned machine);
/* A process is gone; a machine loses power; what it had under way has ended. */
void store_process_ended(unsigned machine);
void store_machine_off(unsigned machine);
void store_fenced(unsigned machine);
void store_strike(enum fault_kind kind, struct rng *r);
void store_faults_stop(void);

/* -- store_calls.c */
ssize_t store_read(void *context, daxfs_ino ino, uint64_t file, void *buf, size_t len, uint64_t offset);
void store_calls_reset(void);
void store_calls_forget(unsigned machine);

/* -- store_work.c */
/* Where in the file. */
void store_choose(struct rng *r, struct op *op);
void store_perform(struct actor *a, const struct op *op, uint8_t *buf, struct outcome *out);
/* Read what others have asked for. */
void store_serve(struct actor *a);
/* May an operation of one of the files have failed like that? */
bool store_may_fail(const struct pending *p, long rc);

/* -- store_check.c */
void store_check_reset(void);
/* The model has changed a file by that; or went back. */
void store_changed(const struct op *op);
void store_taken_back(void);
/* For store_synced: what an fsync that begins now has to make safe. */
uint64_t store_now(void);
void store_synced(unsigned file, uint64_t since);
/* Nothing is lost, at this moment. */
void store_check(const char *when);
/* All machines are at rest: storage gets everything, and has it; pages are dropped; the storage is let go of. */
void store_end_flush(void);
void store_end_drop(void);
void store_end_detach(void);

#endif
