/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slots.h - which slots a look at all lanes passes over, so that slots that nobody uses cost next to nothing.
 *
 * A pool has a slot for each host that may ever come, and most pods have fewer. All lanes are looked at for two things:
 *
 *  V1 Announcements (epoch.c) are of tenants: a slot that is FREE has none. Who joins takes the slot, then announces;
 *     who leaves, or recovers, withdraws before the slot is FREE. Somebody who joins just now is seen, or sees:
 *
 *       joins                           looks for what may be reused
 *       word: FREE -> JOINING           unlinks, retires
 *       announces                       fence
 *       fence (epoch_enter)             word FREE: its lanes are passed over
 *       loads words
 *
 *     If the word was seen FREE, the fence of the look is before that of the joiner, who then loads what is there after
 *     the unlinking. It is the argument of the announcement itself, and as there each of the two looks loads the words
 *     anew: a helper that joins after the first one may adopt what its owner withdraws before the second.
 *  V2 Counters (account.c) are of all tenants there ever were: a slot in which nobody ever was has none, but for the
 *     first one, in which mkfs and repairs count what they made. It is FREE in generation 0 and without a tenancy; who
 *     leaves ends a generation, and after the last one, when 0 comes again, its tenancy stays. Who gives up joining
 *     makes no record. What a lane of such a slot counts all the same is damage, and found by the check.
 *
 * A word that makes no sense, or whose memory is lost, is of a slot in use. Crash: nothing is kept here.
 */
#ifndef DAXFS_SYNC_SLOTS_H
#define DAXFS_SYNC_SLOTS_H

#include "mem/trouble.h"
#include "sync/member.h"

static_assert(DAXFS_HOST_FREE == 0, "a word that is FREE has zeros for state, recoverer and place in the lobby");
#define SLOT_NOT_FREE 0xffffff0000ull /* in any of these bits: it is in use, or makes no sense */

/* May lanes of that slot announce something? */
static inline bool slot_announces(const struct pool *pool, unsigned host)
{
	const sm_u64 *word = &pool->member->host[host].word;

	/* ORD slot: acquires what who left has withdrawn; behind the fence of the look. */
	return pool_lost(pool, word, sizeof(*word)) || sm_load(word) & SLOT_NOT_FREE;
}

/* Was anybody ever in that slot? */
static inline bool slot_counts(const struct pool *pool, unsigned host)
{
	const struct sm_host *slot = &pool->member->host[host];

	if (host == 0 || pool_lost(pool, slot, sizeof(*slot)))
		return true;
	/* ORD none: figures of lanes, of no one moment. */
	return sm_load_relaxed(&slot->word) >> 16 || sm_load_relaxed(&slot->tenancy);
}

static inline unsigned slots_used(const struct pool *pool)
{
	unsigned n = 0;

	for (unsigned host = 0; host < pool->super.hosts; host++)
		n += slot_counts(pool, host);
	return n;
}

#endif
