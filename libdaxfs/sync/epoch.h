/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoch.h - protection of what an operation looks at, and when the retired may be used again.
 *
 * A lane's guard announces the interval of epochs whose objects its operation may be looking at,
 * and keeps what all lanes had announced when it looked last. What holds, and the crash story: epoch.c.
 * One thread uses a guard at a time.
 */
#ifndef DAXFS_SYNC_EPOCH_H
#define DAXFS_SYNC_EPOCH_H

#include "mem/trouble.h"

struct interval {
	uint64_t low, high;
};

/* What all lanes had announced at one moment: see epoch_reusable. */
struct epoch_scan {
	uint64_t epoch;
	uint64_t oldest; /* the lowest low; UINT64_MAX: none */
	unsigned n;
	struct interval *announced; /* room for every lane of the pool, twice */
};

struct epoch_guard {
	struct pool *pool;
	struct sm_lane *sm; /* where it announces */
	struct interval announced;
	struct epoch_scan scan;
	unsigned taken_since_snapshot, taken_since_advance; /* objects, pages */
};

/* Bind a guard to the lane in which it announces: -ENOMEM. */
int epoch_init(struct epoch_guard *guard, struct pool *pool, struct sm_lane *sm);
void epoch_fini(struct epoch_guard *guard);

/* Begin and end protection. Not nested. */
void epoch_enter(struct epoch_guard *guard);
void epoch_exit(struct epoch_guard *guard);
void epoch_extend(struct epoch_guard *guard, uint64_t epoch);
/* Take over the protection that the owner of a record holds: see epoch.c. */
void epoch_adopt(struct epoch_guard *guard, const struct sm_lane *owner);
/* Go on with what a lane's last user had announced, and all that came since. */
void epoch_take_over(struct epoch_guard *guard);
/* Advance the epoch: what is taken from now on is younger than all that is announced now. */
void epoch_advance(struct epoch_guard *guard);
/* Advance the epoch and look at every announcement. */
void epoch_rescan(struct epoch_guard *guard);
/* May an object with this birth and retirement epoch be reused? */
bool epoch_reusable(const struct epoch_scan *scan, uint64_t retired, uint64_t birth);

/* Load a word and make sure that what it names is protected. */
static inline uint64_t epoch_load(struct epoch_guard *guard, const sm_u64 *p)
{
	for (;;) {
		/* ORD protect: the word before the epoch, so that an object born
		 * in a later epoch than `high` is noticed and the word re-read
		 * under the wider announcement. */
		uint64_t w = sm_load(p);
		uint64_t epoch = sm_load(&guard->pool->member->manager.epoch);

		if (__builtin_expect(epoch <= guard->announced.high, 1))
			return w;
		epoch_extend(guard, epoch);
	}
}

#endif
