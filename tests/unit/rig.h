/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rig.h - records moved by hand: a lane stopped in any state of a record, so
 * that a test can look at what others see of it.
 *
 * Words to play with lie in the last page of the pool, which is free and which
 * nobody comes to take in such small tests; its contents mean nothing.
 */
#ifndef TESTS_UNIT_RIG_H
#define TESTS_UNIT_RIG_H

#include "index/dirtrie.h"
#include "pod.h"
#include "sync/summary.h"

static inline struct lane *rig_enter(struct daxfs *fs)
{
	struct lane *lane = fs_take_lane(fs);

	lane_enter(lane);
	return lane;
}

static inline void rig_exit(struct daxfs *fs, struct lane *lane)
{
	lane_exit(lane);
	fs_put_lane(fs, lane);
}

static inline struct pool *rig_pool(struct pod *pod)
{
	return fs_pool_writable(pod->fs[0]);
}

/* A word of the playground, with a version that is not 0. */
static inline sm_u64 *rig_word(struct pool *pool, unsigned i)
{
	sm_u64 *word = (sm_u64 *)(void *)pool_page(pool, pool->objects[DAXFS_T_PAGE] - 1) + i;

	sm_store(word, (uint64_t)5 << DAXFS_ATTR_BITS | (100 + i));
	return word;
}

/* The first entry at or after a key: 0, -ENOENT at the end. */
static inline int rig_next_entry(struct lane *lane, uint64_t root, uint64_t from, struct trie_entry *entry)
{
	unsigned n = 0;
	int rc = trie_list(lane, root, from, 1, entry, &n);

	return rc == 0 && n == 0 ? -ENOENT : rc;
}

/* Write a staged record out as record_commit does, and stop before the first mark. */
static inline void rig_undecided(struct lane *lane)
{
	struct sm_lane *sm = lane->sm;

	for (unsigned i = 0; i < lane->txn.n_words; i++) {
		const struct staged_word *w = &lane->txn.words[i];

		sm_store(&sm->words[3 * i], address_make(w->class, pool_offset(lane->pool, w->word)));
		sm_store(&sm->words[3 * i + 1], w->before);
		sm_store(&sm->words[3 * i + 2], w->after);
	}
	sm_store(&sm->n_words, lane->txn.n_words);
	sm_store(&sm->n_retires, lane->txn.n_retires);
	sm_store(&sm->delta, account_delta(&lane->txn.account));
	sm_store(&sm->status, status_with(sm_load(&sm->status), DAXFS_UNDECIDED));
}

static inline void rig_mark(struct lane *lane, unsigned i)
{
	sm_store(lane->txn.words[i].word, mark_make(lane->id, i, lane->seq));
}

static inline void rig_status(struct lane *lane, enum daxfs_status status)
{
	sm_store(&lane->sm->status, status_with(sm_load(&lane->sm->status), status));
	if (status == DAXFS_IDLE)
		account_settle(lane->sm, lane->seq, false);
}

static inline unsigned rig_status_of(const struct lane *lane)
{
	return status_state(sm_load(&lane->sm->status));
}

static inline uint64_t rig_state(const struct pool *pool, enum daxfs_type type, uint64_t index)
{
	return sm_load(&pool->state[type][index]);
}

/* Bring the counters, and what is summed up, in line with states that a test has set by hand. */
static inline void rig_recount(struct pool *pool)
{
	uint64_t live[DAXFS_TYPES], more[DAXFS_TYPES], nodes, words[2];
	struct daxfs_usage u;

	for (unsigned type = 0; type < DAXFS_TYPES; type++) {
		space_usage(pool, (enum daxfs_type)type, &u, &nodes);
		live[type] = u.live;
		for (uint64_t i = 0; i < pool->objects[type]; i++)
			summary_open(pool, (enum daxfs_type)type, i);
	}
	account_missing(pool, live, more);
	account_adjusted(&pool->lanes[0], more, words);
	sm_store(&pool->lanes[0].used[0], words[0]);
	sm_store(&pool->lanes[0].used[1], words[1]);
}

/* A page that a test had taken is free again. */
static inline void rig_free(struct pool *pool, uint64_t page)
{
	sm_store(&pool->state[DAXFS_T_PAGE][page], 0);
	rig_recount(pool);
}

#endif
