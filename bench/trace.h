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
	TRACE_BUILD   /* what a build read: build_trace.c */
};

/* NULL: no memory. seed: 0 for the usual one. */
struct trace *trace_make(enum trace_kind kind, double a, unsigned lag, uint64_t seed, bool quick);
struct trace *trace_build(void);
void trace_free(struct trace *trace);

/* The share of requests that is hit with a cache of so many pages, all told of in the same trace. */
double policy_optimum(const struct trace *trace, uint32_t cache);
double policy_lru(const struct trace *trace, uint32_t cache);
double policy_sieve(const struct trace *trace, uint32_t cache);
double policy_s3fifo(const struct trace *trace, uint32_t cache);

#endif
