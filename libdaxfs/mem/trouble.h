/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trouble.h - the pool's lists of bad pages and of files to repair.
 *
 * A page of the pool is 4 KiB of the region on a 4 KiB boundary, whatever lies in it.
 */
#ifndef DAXFS_MEM_TROUBLE_H
#define DAXFS_MEM_TROUBLE_H

#include "mem/pool.h"

/*
 * Is memory that a pointer leads to in a page that is listed? What is there is lost, even
 * if it can be loaded: memory that was replaced reads as zeros.
 */
bool trouble_lost(const struct pool *pool, const void *p, size_t len);

/* A place of this process's copy of the list of pages. */
static inline uint64_t trouble_entry(const struct pool *pool, unsigned i)
{
	return __atomic_load_n(&pool->bad.entry[i], __ATOMIC_RELAXED);
}

static inline bool pool_troubled(const struct pool *pool)
{
	return __builtin_expect(__atomic_load_n(&pool->bad.n, __ATOMIC_RELAXED) != 0, 0);
}

static inline bool pool_lost(const struct pool *pool, const void *p, size_t len)
{
	return pool_troubled(pool) && trouble_lost(pool, p, len);
}

static inline bool pool_lost_page(const struct pool *pool, uint64_t index)
{
	return pool_lost(pool, pool_page(pool, index), DAXFS_PAGE_SIZE);
}

/*
 * List the page around an offset. 1: this process did not know; 0: it did; -EIO: the list
 * cannot be reached, -ENOSPC: it is full, -EROFS: then nothing may go past what the page held.
 */
int trouble_add_page(struct pool *pool, uint64_t offset);
/* Know of it in this process alone, which only looks, until the list changes. True: it did not. */
bool trouble_note_page(struct pool *pool, uint64_t offset);
/* List a file that could not be finished; again or not. -EIO, -ENOSPC: counted, if possible. */
int trouble_add_file(struct pool *pool, uint64_t handle);
/* -ENOENT */
int trouble_end_page(struct pool *pool, uint64_t offset);
int trouble_end_file(struct pool *pool, uint64_t handle);
/* Learn what others have listed. Cheap when nothing has changed. */
void trouble_sync(struct pool *pool);

#endif
