/* SPDX-License-Identifier: Apache-2.0 */
/* asks.h - asks of hosts without the storage: what a process knows of its own, and their words. See cache_ask.c. */
#ifndef DAXFS_FS_ASKS_H
#define DAXFS_FS_ASKS_H

#include <stdatomic.h>

#include "daxfs/cache.h"
#include "fs/fs.h"

struct cache_asks {
	pthread_mutex_t lock;           /* of the places; never held over the pool */
	pthread_cond_t freed;           /* a place */
	unsigned busy;                  /* places, a bit each */
	uint64_t heard[DAXFS_BACKINGS]; /* of the one thread that takes them: the bell, when there were none; + 1 */
	unsigned looks, again;
	struct answering *answering; /* what this process is about */
	/* without the lock */
	atomic_ullong serves[DAXFS_BACKINGS / 64 + 1];
	atomic_uint next; /* host, at which the next look begins */
};

/* A host's, or NULL: the pool has none, or that memory has failed. */
static inline struct sm_asks *asks_of(const struct pool *pool, unsigned host)
{
	struct sm_asks *asks = pool->asks.host ? &pool->asks.host[host] : NULL;

	return asks && !pool_lost(pool, asks, sizeof(*asks)) ? asks : NULL;
}

static inline sm_u64 *asks_bell(const struct pool *pool)
{
	sm_u64 *bell = pool->asks.bell;

	return bell && !pool_lost(pool, bell, sizeof(*bell)) ? bell : NULL;
}

static inline uint64_t ask_word(uint64_t number, unsigned error, unsigned backing, enum daxfs_ask_state state)
{
	return number << 32 | (uint64_t)error << 16 | backing << 8 | state;
}

static inline uint64_t ask_number(uint64_t w)
{
	return w >> 32;
}

static inline unsigned ask_error(uint64_t w)
{
	return w >> 16 & 0xfff;
}

static inline unsigned ask_backing(uint64_t w)
{
	return w >> 8 & 0xff;
}

static inline enum daxfs_ask_state ask_state(uint64_t w)
{
	return w & 3;
}

#endif
