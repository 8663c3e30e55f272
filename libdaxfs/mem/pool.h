/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - a mapped pool: where each table of the region is.
 *
 * Private to this process. Filled once from a validated superblock and constant
 * afterwards, so the bounds used to check shared indexes cannot be changed by
 * whoever scribbles over the superblock later.
 */
#ifndef DAXFS_MEM_POOL_H
#define DAXFS_MEM_POOL_H

#include "daxfs/daxfs.h"
#include "mem/shm.h"

#define TROUBLE_BLIND 8u /* pages that the tables of struct sm_trouble lie in, and more */

/* This process's copy of the pool's table of bad pages (mem/trouble.c). */
struct bad_pages {
	unsigned n;                    /* listed */
	uint64_t changes;              /* of the table, when it was copied */
	uint64_t blind[TROUBLE_BLIND]; /* pages of the tables that could not be read */
	uint64_t entry[DAXFS_BAD_MAX];
};

#define SUMMARY_LEVELS_MAX 4u /* 512^4 states: more than there are */

/* Words over the states of a type, by level: sync/summary.h. */
struct pool_summary {
	unsigned levels;
	uint64_t count[SUMMARY_LEVELS_MAX];
	sm_u64 *word[SUMMARY_LEVELS_MAX];
};

/* The ring of events: in the mapping of the pool, or in one of its own where only the membership is mapped. */
struct pool_events {
	struct shm shm;
	sm_u64 *last;
	struct sm_event *at; /* NULL: the pool has none, or it could not be mapped */
	uint64_t count;
	bool broken; /* memory of the header page failed: this process adds no more */
};

/* Of cached pages: fs/heat.h. */
struct pool_heat {
	sm_u8 *at; /* one a page; NULL: the pool has none */
	sm_u64 *clock;
	struct sm_cache_host *host; /* one a host */
};

/* Of hosts without the storage: fs/cache_ask.c. */
struct pool_asks {
	sm_u64 *bell;
	struct sm_asks *host; /* one a host; NULL: the pool has none */
};

struct pool {
	struct shm shm;
	struct sm_super super; /* private, validated copy */
	struct sm_member *member;
	struct sm_lane *lanes; /* hosts * lanes_per_host */
	sm_u64 *open_table;    /* hosts * opens_per_host handles */
	sm_u64 *state[DAXFS_TYPES];
	sm_u64 *birth[DAXFS_TYPES];
	sm_u64 *count;           /* one a page */
	struct sm_inode *inodes; /* index 0 is never used */
	struct sm_dirent *dirents;
	struct sm_trouble *trouble;
	uint8_t *pages;
	struct pool_summary summary[DAXFS_TYPES];
	struct pool_events events;
	sm_u64 *scarce;            /* a hint: few pages are free */
	struct sm_holder *holders; /* one a host */
	struct pool_heat heat;
	struct pool_asks asks;
	uint64_t objects[DAXFS_TYPES]; /* how many of each type */
	unsigned lanes_total;
	int fd; /* -1 when attached to memory */
	bool owns_map, owns_events;
	bool writable;
	struct lease_own *own; /* what a cache of this process was told, or NULL: sync/lease_own.h */
	uint64_t time_floor;   /* the latest time that this process has taken from the clock: fs/times.c */
	uint32_t knows;        /* features that this program knows, as in the features word of format.h */
	struct bad_pages bad;  /* last, for it is large, and the first of it is asked all the time */
};

/* Lay a fresh, empty pool over zeroed-or-not memory. Superblocks go last. */
int pool_format(void *base, uint64_t size, const struct daxfs_mkfs_options *options, struct daxfs_error *err);
/* Validate the superblock (either copy) and region headers; fill *pool. */
int pool_attach(void *base, uint64_t size, struct pool *pool, struct daxfs_error *err);
/* Open and map path (file, memfd through /proc, device-DAX), then attach. */
int pool_map(const char *path, enum daxfs_open_mode mode, struct pool *pool, struct daxfs_error *err);
/* As pool_map but only superblock, membership and, if it can be had, the events; other pointers are NULL. */
int pool_map_member(const char *path, bool writable, struct pool *pool, struct daxfs_error *err);
void pool_unmap(struct pool *pool);
/* The same in a child, which has the descriptor, but no mapping. */
void pool_forget(struct pool *pool);

static inline uint64_t pool_offset(const struct pool *pool, const void *p)
{
	return (uint64_t)((const uint8_t *)p - pool->shm.base);
}

static inline void *pool_at(const struct pool *pool, uint64_t offset)
{
	return pool->shm.base + offset;
}

static inline uint64_t page_index(const struct pool *pool, const uint8_t *page)
{
	return (uint64_t)(page - pool->pages) / DAXFS_PAGE_SIZE;
}

static inline uint8_t *pool_page(const struct pool *pool, uint64_t index)
{
	return pool->pages + index * DAXFS_PAGE_SIZE;
}

#endif
