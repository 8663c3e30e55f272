/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache_model.h - what memory, CXL and storage cost, where none of them is at hand: time that is counted, not taken.
 *
 * The product does all reads, in a real pool, one after the other; what each of them was (read from a copy, from the
 * pool, from storage) says how long it would have taken. Each thread of each host has a clock of its own, and the one
 * that is furthest behind goes next; devices that all share serve one after the other. So a page that somebody reads
 * from storage is there for the next one as soon as that read has begun, not when it is over.
 */
#ifndef BENCH_CACHE_MODEL_H
#define BENCH_CACHE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

/* ns. HCDS'25: 24 threads reach 32 GB/s when all is in local memory; CXL ends at 16 GB/s; a page that a guest has not
 * is read from its host at about 6 us, which is what 15 GB/s take that all of 72 GB through 32 GB reach. */
#define COST_READ 3072.0     /* 4 KiB from local memory, with all that goes with it */
#define COST_CXL 960.0       /* more, from CXL: 64 lines, 150 ns each, ten at a time */
#define COST_CXL_QUEUE 256.0 /* of all hosts: 16 GB/s */
#define COST_GUEST 6200.0
#define COST_LINE 150.0           /* a line of CXL that no cache of the processor has */
#define COST_STATE 50.0           /* the second one of a look, which is fetched while the first one is worked on */
#define COST_COPY 500.0           /* 4 KiB into local memory, and choosing its place */
#define COST_STORAGE 100e3        /* a read of storage, however long */
#define COST_STORAGE_QUEUE 1200.0 /* of all hosts, a page: 3.4 GB/s */

#define MODEL_THREADS 64u
#define MODEL_HOSTS 4u
#define MODEL_LINES 2048u /* of words that a processor keeps: 60 MB of caches for 72 GB, as 120 KB for 144 MB */

struct model {
	unsigned threads, hosts; /* thread i is of host i % hosts */
	double request;          /* what storage takes for each request, besides its pages: of all hosts */
	double dirty_ns;         /* who writes waits while storage has more than that to do */
	double cxl_page;         /* ... and CXL for a page; 0: COST_CXL_QUEUE */
	double at[MODEL_THREADS], cxl, storage;
	uint64_t line[MODEL_HOSTS][MODEL_LINES];
};

/* Who goes next. */
unsigned model_next(const struct model *m);
/* A thread has read a page from its host's memory, from CXL: the end of that. */
void model_local(struct model *m, unsigned thread);
void model_cxl(struct model *m, unsigned thread);
/* It has looked at the words of that page first. */
void model_look(struct model *m, unsigned thread, uint64_t page);
/* Storage was read, so many pages at once. */
void model_storage(struct model *m, unsigned thread, uint64_t pages);

/* What an operation of several pages costs. Devices are asked for all of it as it begins: they serve in the order in
 * which they are asked, and the clock of its thread is the one that is furthest behind only then. */
struct model_cost {
	double own;                /* ns: everything but the devices */
	uint64_t requests, stored; /* of storage, and their pages, at once: the thread waits */
	uint64_t moved;            /* pages through CXL: it waits for what of that is not done by then */
	uint64_t behind;           /* pages that storage writes: the thread waits as far as dirty_ns says */
};
void model_pay(struct model *m, unsigned thread, const struct model_cost *cost);
/* What model_look makes a thread pay, to be paid so. */
double model_look_ns(struct model *m, unsigned thread, uint64_t page);
/* How far the last one is. */
double model_now(const struct model *m);

/* -- a cache that a host has by itself: CLOCK, over pages by their numbers --------------- */

struct clock_cache {
	uint64_t lot; /* not 0: no CLOCK, but whichever page the lot falls on goes */
	uint32_t room, used, hand;
	uint32_t *slot, *page; /* of each page + 1, 0: none; in each slot */
	bool *hot;
};

void clock_open(struct clock_cache *c, uint32_t room, uint32_t pages);
void clock_close(struct clock_cache *c);
/* True: it was there. It is now. */
bool clock_read(struct clock_cache *c, uint32_t page);
/* It is not there from now on. */
void clock_drop(struct clock_cache *c, uint32_t page);

#endif
