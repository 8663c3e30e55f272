/* SPDX-License-Identifier: Apache-2.0 */
/*
 * epoch.c - interval-based reclamation (2GE-IBR, Wen et al., PPoPP 2018).
 *
 * An object is born in an epoch and retired in an epoch. A lane announces the
 * interval [low, high] of epochs whose objects it may be looking at; an object
 * is reusable when no announced interval meets [birth, retirement]. The epoch
 * advances whenever a lane looks for reusable objects, and with every so many
 * that a lane takes, also while others are inside: a dead lane holds back only what was
 * alive when it died, and only until its records are finalized. Without the
 * second, a pool with plenty of free objects would stay in one epoch until they
 * are all gone, every one of them as old as the dead lane.
 *
 * Helpers. The words of lane A's record lie in objects that A found linked
 * under its announcement, so none of them is reused while A announces. A helper
 * that meets A's mark may have entered after such an object was retired, and
 * would not be protected once A finishes. It therefore first announces A's low
 * as its own, fences, and only then checks that A's record is still in flight:
 * at that moment A's announcement stood and so did ours, and reuse looks at
 * both. This is why recovery drops a dead lane's announcement last.
 *
 * An announcement whose memory is lost protects nothing any more: the operation, or view,
 * that made it meets the same memory, and ends. A pointer that a view handed out before may
 * then show other bytes than those it was given for.
 */
#include "sync/epoch.h"

#include <errno.h>
#include <stdlib.h>

#include "sync/slots.h"

static struct sm_manager *manager_of(const struct epoch_guard *guard)
{
	return &guard->pool->member->manager;
}

int epoch_init(struct epoch_guard *guard, struct pool *pool, struct sm_lane *sm)
{
	*guard = (struct epoch_guard){ .pool = pool, .sm = sm };
	guard->scan.announced = calloc(2 * (size_t)pool->lanes_total, sizeof(*guard->scan.announced));
	return guard->scan.announced ? 0 : -ENOMEM;
}

void epoch_fini(struct epoch_guard *guard)
{
	free(guard->scan.announced);
	guard->scan.announced = NULL;
}

void epoch_enter(struct epoch_guard *guard)
{
	uint64_t epoch = sm_load(&manager_of(guard)->epoch);

	guard->announced = (struct interval){ epoch, epoch };
	sm_store_relaxed(&guard->sm->high, epoch);
	sm_store(&guard->sm->low, epoch); /* ORD announce: high before low; scanners read low first */
	/* ORD enter: the announcement is visible before any word is loaded;
	 * pairs with the fence in epoch_rescan. A crash before leaves a stale
	 * or no interval and no access; after, an interval until recovery. */
	sm_fence();
}

void epoch_exit(struct epoch_guard *guard)
{
	/* ORD exit: release, so that no access of ours moves past it. */
	sm_store(&guard->sm->low, 0);
}

void epoch_extend(struct epoch_guard *guard, uint64_t epoch)
{
	guard->announced.high = epoch;
	/* ORD extend: announced, then the word is loaded again; as on entering. */
	sm_store(&guard->sm->high, epoch);
	sm_flush(&guard->pool->shm, &guard->sm->low, DAXFS_LINE);
	sm_fence();
}

void epoch_adopt(struct epoch_guard *guard, const struct sm_lane *owner)
{
	uint64_t low = sm_load(&owner->low);
	uint64_t epoch = sm_load(&manager_of(guard)->epoch);

	/* ORD adopt: announced before the caller re-validates the status. */
	if (low && low < guard->announced.low) {
		guard->announced.low = low;
		sm_store(&guard->sm->low, low);
	}
	if (epoch > guard->announced.high) {
		guard->announced.high = epoch;
		sm_store(&guard->sm->high, epoch);
	}
	sm_flush(&guard->pool->shm, &guard->sm->low, DAXFS_LINE);
	sm_fence(); /* ORD adopt */
}

void epoch_take_over(struct epoch_guard *guard)
{
	uint64_t low = sm_load(&guard->sm->low), epoch = sm_load(&manager_of(guard)->epoch);

	/* ORD take over: what it announced stays announced, and more; as on entering. */
	guard->announced = (struct interval){ low && low < epoch ? low : epoch, epoch };
	sm_store_relaxed(&guard->sm->high, epoch);
	sm_store(&guard->sm->low, guard->announced.low);
	sm_fence();
}

/* Note every interval that lanes of a slot announce now. */
static void look(struct epoch_scan *scan, const struct pool *pool, unsigned host)
{
	const struct sm_lane *lane = &pool->lanes[host * pool->super.lanes_per_host];

	for (unsigned i = 0; i < pool->super.lanes_per_host; i++, lane++) {
		uint64_t low;

		/* Nobody can tell what was announced there, and its owner can do nothing with it. */
		if (pool_lost(pool, &lane->low, sizeof(lane->low)))
			continue;
		low = sm_load(&lane->low);
		if (!low)
			continue;
		scan->announced[scan->n++] = (struct interval){ low, sm_load(&lane->high) };
		if (low < scan->oldest)
			scan->oldest = low;
	}
}

static void look_everywhere(struct epoch_scan *scan, const struct pool *pool)
{
	for (unsigned host = 0; host < pool->super.hosts; host++)
		if (slot_announces(pool, host))
			look(scan, pool, host);
}

/* Returns the epoch that was current before; it is past when this returns. */
static uint64_t advance(struct epoch_guard *guard)
{
	struct sm_manager *manager = manager_of(guard);
	uint64_t epoch = sm_load(&manager->epoch);

	/* ORD advance: whoever wins, the epoch is now past `epoch`. Written back before
	 * any object can be born in it: a birth must never outlive its epoch. */
	sm_cas(&manager->epoch, epoch, epoch + 1);
	sm_flush(&guard->pool->shm, &manager->epoch, sizeof(manager->epoch));
	sm_drain(&guard->pool->shm);
	guard->taken_since_advance = 0;
	return epoch;
}

void epoch_advance(struct epoch_guard *guard)
{
	advance(guard);
}

void epoch_rescan(struct epoch_guard *guard)
{
	struct pool *pool = guard->pool;
	struct epoch_scan *scan = &guard->scan;
	uint64_t epoch = advance(guard);

	scan->epoch = epoch + 1;
	scan->n = 0;
	scan->oldest = UINT64_MAX;
	guard->taken_since_snapshot = 0;
	sm_fence(); /* ORD scan: pairs with enter */
	/* Twice: protection passes from an owner A to a helper H.
	 *   this lane         H                        A
	 *   reads H: nothing
	 *                     adopts, status still A's
	 *                                              finishes, withdraws
	 *   reads A: nothing
	 * A helper that the second look misses adopted after the first had
	 * ended, while A still announced: the first saw A. */
	look_everywhere(scan, pool);
	sm_fence(); /* ORD look twice: not a load of the second before one of the first */
	look_everywhere(scan, pool);
}

bool epoch_reusable(const struct epoch_scan *scan, uint64_t retired, uint64_t birth)
{
	if (retired >= scan->epoch)
		return false;
	/* Nearly always, however many lanes there are: it went before all that are here came. */
	if (retired < scan->oldest)
		return true;
	for (unsigned i = 0; i < scan->n; i++)
		if (scan->announced[i].low <= retired && birth <= scan->announced[i].high)
			return false;
	return true;
}
