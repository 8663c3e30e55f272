/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace.h - requests of pages, and what other policies would make of them.
 *
 * Everything is private memory of this process, from one seed: a trace is the same in each run (--seed: another one).
 */
#ifndef BENCH_TRACE_H
#define BENCH_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#define TRACE_FILES 2u
#define TRACE_HOSTS 3u

struct request {
	uint32_t page; /* of all: file after file */
	uint8_t host;
};

struct trace {
	struct request *at;
	uint64_t n;
	uint32_t pages, file[TRACE_FILES]; /* in all, of each file */
	uint32_t distinct;                 /* that are ever asked for, of which a cache is a share */
	unsigned hosts[TRACE_FILES];       /* that have it open */
};

enum trace_kind {
	TRACE_ZIPF,   /* a: exponent */
	TRACE_SCAN,   /* zipf by a, and by turns 2000 pages of another file, in order, round and round */
	TRACE_LOOP,   /* one file from its first page to its last, eight times */
	TRACE_HOSTS3, /* the same by three hosts, each so many pages behind the one before */
	TRACE_MIXED,  /* that, and zipf by 0.9 in another file */
	TRACE_SHIFT,  /* zipf by a, and half-way other pages */
	TRACE_BLOCK,  /* as of a disk: runs, what is popular, and what comes round */
	TRACE_BUILD,  /* what a build read: build_trace.c */
	TRACE_FILE    /* blocks that somebody recorded: lirs_trace.c */
};

/* NULL: no memory. seed: 0 for the usual one. */
struct trace *trace_make(enum trace_kind kind, double a, unsigned lag, uint64_t seed, bool quick);
struct trace *trace_build(void);
/* From a file with the number of a block a line, as the traces of LIRS are. NULL: *why says why not. */
struct trace *trace_lirs(const char *path, const char **why);
void trace_free(struct trace *trace);

/* -- what others would make of it (policies.c) -------------------------------------------- */

enum policy_name { POLICY_LRU, POLICY_SIEVE, POLICY_S3FIFO };
#define POLICIES 3u

/* Of pages from 0 on, in a cache of so many. Never NULL. */
struct policy *policy_open(enum policy_name name, uint32_t pages, uint32_t cache);
/* True: it was there. It is now. */
bool policy_read(struct policy *policy, uint32_t page);
void policy_close(struct policy *policy);

/* The share of requests that is hit with a cache of so many pages. */
double policy_hits(enum policy_name name, const struct trace *trace, uint32_t cache);
/* The same of who knows the trace before it comes. */
double policy_optimum(const struct trace *trace, uint32_t cache);

#endif
