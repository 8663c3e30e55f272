/* SPDX-License-Identifier: Apache-2.0 */
/* lane.c - binding a lane of this process to its shared side. */
#include "sync/lane.h"

#include <errno.h>

#include "sync/member.h"

int lane_init(struct lane *lane, struct pool *pool, unsigned id, unsigned host, uint32_t generation)
{
	memset(lane, 0, sizeof(*lane));
	if (epoch_init(&lane->epoch, pool, &pool->lanes[id]))
		return -ENOMEM;
	lane->pool = pool;
	lane->sm = &pool->lanes[id];
	lane->id = id;
	lane->host = host;
	lane->generation = generation;
	alloc_cache_init(&lane->alloc, pool, id);
	if (lane_lost(pool, id))
		return 0; /* never to be used */
	lane->seq = status_seq(sm_load(&lane->sm->status));
	lane->claims = sm_load(&lane->sm->claim.number);
	sm_store_relaxed(&lane->sm->owner, (uint64_t)generation << 32 | host);
	sm_flush(&pool->shm, &lane->sm->owner, sizeof(lane->sm->owner)); /* whoever joins drains */
	return 0;
}

void lane_fini(struct lane *lane)
{
	epoch_fini(&lane->epoch);
}

bool lane_lost(const struct pool *pool, unsigned id)
{
	return pool_lost(pool, &pool->lanes[id], sizeof(struct sm_lane));
}

void lane_take_over(struct lane *lane)
{
	uint64_t seq = status_seq(sm_load(&lane->sm->status));
	uint64_t claims = sm_load(&lane->sm->claim.number);

	lane->seq = seq > lane->seq ? seq : lane->seq;
	lane->claims = claims > lane->claims ? claims : lane->claims;
	lane->txn.fault = lane->txn.lost = false;
	alloc_cache_forget(&lane->alloc);
	epoch_take_over(&lane->epoch);
}

bool lane_alive(const struct lane *lane)
{
	struct host_word word;

	if (host_word_unpack(sm_load(&lane->pool->member->host[lane->host].word), &word))
		return false;
	return word.generation == lane->generation &&
	       (word.state == DAXFS_HOST_ALIVE || word.state == DAXFS_HOST_SUSPECT);
}

const char *record_operation_name(unsigned operation)
{
	static const char *const name[OP_COUNT] = {
		"none",   "create", "link", "unlink", "rmdir", "rename", "exchange", "setattr", "write", "prune",
		"orphan", "free",   "open", "close",  "lock",  "split",  "xattr",    "fill",    "drop",
	};

	return operation < OP_COUNT ? name[operation] : "unknown";
}

void lane_todo(struct lane *lane, uint64_t handle)
{
	/* ORD todo: before the commit that makes it so (drained with its body),
	 * cleared after the end. A crash between leaves a file to look at again. */
	sm_store(&lane->sm->todo, handle);
	sm_flush(&lane->pool->shm, &lane->sm->todo, sizeof(lane->sm->todo));
}
