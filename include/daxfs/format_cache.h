/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format_cache.h - what hosts keep of what is elsewhere: leases of their kernels, heat of cached pages, asks of
 * storage. Part of format.h.
 */
#ifndef DAXFS_FORMAT_CACHE_H
#define DAXFS_FORMAT_CACHE_H

#include "daxfs/format_word.h"

#define DAXFS_CACHE_FIGURES 7u /* that a host counts of them, since the pool was made; hints */

/*
 * Leases: what a host's kernel may believe, see sync/lease.h.
 * Term: [63:2] number, [1:0] enum daxfs_term. Requests are hints: one that is lost is asked again.
 */
enum daxfs_term {
	DAXFS_TERM_VOID = 0,     /* what the host was granted counts for nothing */
	DAXFS_TERM_GRANTING = 1, /* it counts */
	DAXFS_TERM_ACCUSED = 2,  /* it counts, and there is no more of it under this number */
};

struct sm_holder {
	sm_u64 term;                       /* 00 */
	sm_u64 cache[DAXFS_CACHE_FIGURES]; /* 08 hits, misses, pages read, filled, waits, taken over, dropped */
	sm_u64 request[24];                /* 40 index of an inode whose lease is to be given back; 0: none */
};

/*
 * Heat of a cached page, a byte, which readers store: [7:5] enum daxfs_heat, [4:0] when it was used last, in ticks
 * modulo 32. Hints: fs/heat.h. In the header page of the region are the clock of the ticks, and a struct
 * sm_cache_host a host.
 */
enum daxfs_heat {
	DAXFS_HEAT_NONE = 0, /* no cached page, as far as is known */
	DAXFS_HEAT_SCAN = 1, /* read in order, and others will follow: it ages, whoever reads it */
	DAXFS_HEAT_COLD = 2, /* used by whoever filled it; from here on up to HOT, one more with each use */
	DAXFS_HEAT_HOT = 5,
	DAXFS_HEAT_AHEAD = 6,     /* read before anybody asked for it; then COLD */
	DAXFS_HEAT_SCAN_AHEAD = 7 /* ... then SCAN */
};
#define DAXFS_HEAT_SHIFT 5u
#define DAXFS_TICK_MASK 31u
#define DAXFS_CLOCK_OFFSET 0x40u  /* [63:32] pages filled since the last tick, [31:0] ticks */
#define DAXFS_CACHED_OFFSET 0x80u /* struct sm_cache_host[] */
#define DAXFS_CACHE_FIGURES_MORE 5u

struct sm_cache_host {
	sm_u64 cached;                         /* 00 pages that it put there, less those that it gave back */
	sm_u64 more[DAXFS_CACHE_FIGURES_MORE]; /* 08 past, read ahead used, wasted, dropped young, dropped old */
};
/*
 * A host that has not the storage asks those that have it to read some pages, to look at the names of a directory, or
 * whether a file is what it was: fs/cache_ask.c. A word of an ask is [63:32] its number, [27:16] errno, [15:8] backing,
 * [1:0] enum daxfs_ask_state. In the header page is a bell, a word that changes with each ask.
 */
#define DAXFS_ASKS 8u /* of a host, at once */
#define DAXFS_BELL_OFFSET 0x40u
#define DAXFS_ASK_LOOK UINT64_MAX   /* in place of a page: is it what it was? */
#define DAXFS_ASK_NAME (1ull << 62) /* ... of a directory, with the hash of a name: that one is enough */
enum daxfs_ask_state { DAXFS_ASK_NONE = 0, DAXFS_ASKED = 1, DAXFS_ASK_TAKEN = 2, DAXFS_ASK_DONE = 3 };

struct sm_ask {
	sm_u64 ino;      /* 00 handle; a directory: its names are meant */
	sm_u64 page;     /* 08 first page, or DAXFS_ASK_LOOK, DAXFS_ASK_NAME */
	sm_u64 pages;    /* 10 how many; of names, and of a look, 1 */
	sm_u64 reserved; /* 18 zero */
};

#define DAXFS_CACHE_FIGURES_REST 16u

struct sm_asks {
	sm_u64 serves[4];              /* 000 a bit for each backing that it reads for others */
	sm_u64 reserved[4];            /* 020 zero */
	sm_u64 word[DAXFS_ASKS];       /* 040 of each ask */
	struct sm_ask ask[DAXFS_ASKS]; /* 080 */
	/* 180 lost, no room, errors of storage, written back; then as it is now: dirty bytes, ms of the oldest; then
	 * read from private copies, copied there, replaced there; then of the backing whose bytes are the oldest
	 * [63:32] errno of the last try to write back [31:0] its number + 1, 0: none, and its name, 4 words; zero */
	sm_u64 figure[DAXFS_CACHE_FIGURES_REST];
};

enum daxfs_cache_policy { DAXFS_POLICY_HEAT = 0, DAXFS_POLICY_CLOCK = 1 };

DAXFS_SIZE_IS(struct sm_holder, 256);
DAXFS_AT(struct sm_holder, request, 0x40);
DAXFS_SIZE_IS(struct sm_cache_host, 48);
DAXFS_SIZE_IS(struct sm_ask, 32);
DAXFS_SIZE_IS(struct sm_asks, 512);
DAXFS_AT(struct sm_asks, word, 0x40);
DAXFS_AT(struct sm_asks, figure, 0x180);
static_assert(DAXFS_CACHED_OFFSET + 48 * DAXFS_HOSTS_MAX <= DAXFS_PAGE_SIZE, "they are in the header page");

#endif
