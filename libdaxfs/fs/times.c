/* SPDX-License-Identifier: Apache-2.0 */
/*
 * times.c - what a time is in the pool, and how it moves.
 *
 * A time is one word (format.h): nanoseconds since 1970 up to the year 2262, which
 * is what a change of a file writes; and, told apart by the highest bit, any other time
 * of 29,000 years in steps of 100 ns, which somebody asked for (utimensat). Times are
 * outside the all-or-nothing promise; a change moves them forward only.
 *
 * What a change moves them for is to be seen. So the two lowest bits of a ctime, which nobody is shown and nobody
 * can set, say:
 *
 *   LOOKED   somebody was told these times
 *   BEHIND   the ctime has moved since, and the mtime not yet: a change was of attributes, or is about to do it
 *
 * A change that finds neither writes a coarse time, if that is later, and else nothing: nobody can tell. One that
 * finds either gives ctime and mtime a time of their own, in nanoseconds, later than the one before.
 *
 *  T1 A look sets LOOKED before it takes the times, and takes them again if the ctime is another one behind them.
 *  T2 A change that somebody has looked at before moves the ctime, with BEHIND and without LOOKED. If it is one of the
 *     mtime, too, it moves that then, and takes BEHIND away if the ctime is still its own. As each ctime is later than
 *     the last, none comes back.
 *  T3 A change moves times before it is decided, and once more if somebody has looked meanwhile: then a look that it
 *     has not moved for came after it was decided.
 *
 * So of two looks with the end of a change in between, and its decision behind the first, both times differ:
 *
 *     A look          change X                    change Y
 *     LOOKED
 *                     ctime, BEHIND
 *                                                 finds BEHIND: moves ctime and mtime itself
 *     (takes mtime)   mtime, BEHIND away          if that was X's mtime, then the ctime is not the one that was
 *     ctime again                                 looked at, and the look begins anew: LOOKED is set for Y to find
 *
 * Who died where:
 *   looked                a bit: the next change moves the times in vain
 *   ctime moved           BEHIND: the next change moves both
 *   before the decision   a later time, and no change
 *   decided               the change has the time from before the decision. A look that fell between the two would not
 *                         be told of it: recovery moves what was looked at (mend.c)
 * In a wb pool a change relies on no time that another host has moved, for that may be lost with it: it always moves
 * its own. LOOKED is written back before somebody is told: an operation ends with a drain.
 *
 * Of coarse and of fine times of one process none is earlier than one before: the floor is what the clock last said.
 * Older programs take the two bits for nanoseconds: they show them, and move nothing for them.
 */
#include <errno.h>
#include <time.h>

#include "fs/fs.h"

#define FLAGS (DAXFS_CTIME_LOOKED | DAXFS_CTIME_BEHIND)
#define CTIME_STEP (FLAGS + 1)
#define TICK_MAX_NS 20000000u /* a coarse clock is not further behind */
#define LOOKS_MAX 16
#define NS_PER_S 1000000000ll
#define STEPS_PER_S (NS_PER_S / DAXFS_TIME_STEP_NS)
#define STEPS_MAX (DAXFS_TIME_FAR / 2 - 1) /* of a far time, and as many and one before 1970 */

int time_encode(const struct timespec *t, uint64_t *out)
{
	int64_t steps;

	if (t->tv_nsec < 0 || t->tv_nsec >= NS_PER_S)
		return -EINVAL;
	if (t->tv_sec >= 0 && t->tv_sec < INT64_MAX / NS_PER_S) {
		*out = (uint64_t)t->tv_sec * (uint64_t)NS_PER_S + (uint64_t)t->tv_nsec;
		return 0;
	}
	if (t->tv_sec >= (int64_t)STEPS_MAX / STEPS_PER_S || t->tv_sec <= -(int64_t)STEPS_MAX / STEPS_PER_S)
		return -EINVAL;
	steps = t->tv_sec * STEPS_PER_S + t->tv_nsec / DAXFS_TIME_STEP_NS;
	*out = DAXFS_TIME_FAR | ((uint64_t)steps & (DAXFS_TIME_FAR - 1));
	return 0;
}

/* The steps of a far time: 63 bits and their sign. */
static int64_t far_steps(uint64_t time)
{
	return (int64_t)(time << 1) >> 1;
}

struct timespec time_decode(uint64_t time)
{
	int64_t unit = time & DAXFS_TIME_FAR ? STEPS_PER_S : NS_PER_S;
	int64_t n = time & DAXFS_TIME_FAR ? far_steps(time) : (int64_t)time;
	int64_t s = n / unit, rest = n % unit;

	if (rest < 0) {
		s--;
		rest += unit;
	}
	return (struct timespec){ .tv_sec = (time_t)s, .tv_nsec = (long)(rest * (NS_PER_S / unit)) };
}

struct timespec ctime_decode(uint64_t ctime)
{
	return time_decode(ctime & ~FLAGS);
}

static uint64_t clock_now(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * (uint64_t)NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t fs_now(void)
{
	return clock_now(CLOCK_REALTIME_COARSE);
}

/* Further ahead than a tick is the floor of a clock that was set back since. */
static bool floor_holds(uint64_t floor, uint64_t now)
{
	return floor > now && floor - now < TICK_MAX_NS;
}

uint64_t time_now(const struct pool *pool)
{
	uint64_t now = fs_now(), floor = __atomic_load_n(&pool->time_floor, __ATOMIC_RELAXED);

	return floor_holds(floor, now) ? floor : now;
}

static uint64_t time_fine(struct pool *pool)
{
	uint64_t now = clock_now(CLOCK_REALTIME), floor = __atomic_load_n(&pool->time_floor, __ATOMIC_RELAXED);

	while (now != floor && !floor_holds(floor, now))
		if (__atomic_compare_exchange_n(&pool->time_floor, &floor, now, true, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED))
			break;
	return now;
}

/* -- how it moves ------------------------------------------------------------- */

/* What a time becomes when something changes now, for nobody. It may have been set by a host whose clock is ahead, or
 * to a time of the future. */
static uint64_t time_lazily(uint64_t old, uint64_t now, uint64_t step)
{
	(void)step;
	if (old & DAXFS_TIME_FAR)
		return far_steps(old) < 0 ? now : old;
	return now > old ? now : old;
}

/* The same for somebody who has looked: another one, as long as there is any. */
static uint64_t time_after(uint64_t old, uint64_t now, uint64_t step)
{
	uint64_t next = time_lazily(old, now, step), last = old & DAXFS_TIME_FAR ? STEPS_MAX : INT64_MAX;

	if (next != old)
		return next;
	return (old & ~DAXFS_TIME_FAR) <= last - step ? old + step : old;
}

/* The mtime, which may be anything that somebody has asked for. */
static bool move_mtime(sm_u64 *time, uint64_t now, uint64_t (*moves)(uint64_t old, uint64_t now, uint64_t step))
{
	uint64_t old = sm_load_relaxed(time), next;

	while ((next = moves(old, now, 1)) != old)
		/* ORD mtime: behind BEHIND of the ctime. CAS, so that of hosts that race none moves it
		 * backwards. A crash leaves the old time or the new one. */
		if (sm_cas_value(time, &old, next))
			return true;
	return false;
}

enum touched { STAYS, MOVED, OVERTAKEN };

static enum touched touch_lazily(struct lane *lane, struct sm_inode *sm, uint64_t *ctime, bool modified)
{
	uint64_t now = time_now(lane->pool) & ~FLAGS, behind = *ctime & DAXFS_CTIME_BEHIND;
	uint64_t next = time_lazily(*ctime & ~FLAGS, now, CTIME_STEP) | behind;
	bool moved = modified && move_mtime(&sm->mtime, now, time_lazily);

	if (next == *ctime)
		return moved ? MOVED : STAYS;
	/* ORD none: nobody has looked, or it fails. A crash before leaves a ctime that is older than the mtime. */
	return sm_cas_value(&sm->ctime, ctime, next) ? MOVED : OVERTAKEN;
}

static enum touched touch_finely(struct lane *lane, struct sm_inode *sm, uint64_t *ctime, bool modified)
{
	uint64_t now = time_fine(lane->pool) & ~FLAGS, next = time_after(*ctime & ~FLAGS, now, CTIME_STEP);

	/* ORD behind: before the mtime; pairs with the second load of a look. Crash before: LOOKED; after: BEHIND. */
	if (!sm_cas_value(&sm->ctime, ctime, next | DAXFS_CTIME_BEHIND))
		return OVERTAKEN;
	if (modified) {
		move_mtime(&sm->mtime, now, time_after);
		/* ORD moved: behind the mtime. If somebody has looked meanwhile, or moved it on, BEHIND stays. */
		sm_cas(&sm->ctime, next | DAXFS_CTIME_BEHIND, next);
	}
	return MOVED;
}

/* What says that somebody has looked at what a change moves. */
static uint64_t seen_by(bool modified)
{
	return modified ? DAXFS_CTIME_LOOKED | DAXFS_CTIME_BEHIND : DAXFS_CTIME_LOOKED;
}

bool inode_touch(struct lane *lane, struct sm_inode *sm, bool modified)
{
	uint64_t ctime = sm_load(&sm->ctime);
	bool moved = false, alone = lane->pool->shm.wb;
	enum touched rc;

	do {
		rc = alone || ctime & seen_by(modified) ? touch_finely(lane, sm, &ctime, modified)
							: touch_lazily(lane, sm, &ctime, modified);
		moved |= rc != STAYS;
	} while (rc == OVERTAKEN);
	if (moved)
		sm_flush(&lane->pool->shm, &sm->mtime, 2 * sizeof(sm_u64));
	return moved;
}

bool inode_touch_again(struct lane *lane, struct sm_inode *sm, bool modified)
{
	/* ORD look: what was decided before the look for LOOKED; pairs with the fence of a look. */
	sm_fence_after_cas();
	return sm_load(&sm->ctime) & seen_by(modified) && inode_touch(lane, sm, modified);
}

/* -- who looks ------------------------------------------------------------------ */

/* The ctime, with LOOKED: a word that says so already is not stored to. */
static uint64_t mark_looked(struct lane *lane, struct sm_inode *sm)
{
	uint64_t ctime = sm_load(&sm->ctime);

	while (!(ctime & DAXFS_CTIME_LOOKED))
		/* ORD looked: before all that is looked at. Crash: a bit. */
		if (sm_cas_value(&sm->ctime, &ctime, ctime | DAXFS_CTIME_LOOKED)) {
			sm_flush(&lane->pool->shm, &sm->ctime, sizeof(sm->ctime));
			return ctime | DAXFS_CTIME_LOOKED;
		}
	return ctime;
}

void inode_look(struct lane *lane, struct sm_inode *sm, struct daxfs_attr *out)
{
	uint64_t ctime = mark_looked(lane, sm), mtime, again;

	/* T1; each turn is one that a change has spoiled in between. */
	for (unsigned i = 0;; i++) {
		/* ORD look: LOOKED before all that is seen from here on; pairs with the fence of a change. */
		sm_fence_after_cas();
		mtime = sm_load(&sm->mtime);
		again = mark_looked(lane, sm);
		if (again == ctime || i == LOOKS_MAX)
			break;
		ctime = again;
	}
	out->atime = time_decode(sm_load_relaxed(&sm->atime));
	out->mtime = time_decode(mtime);
	out->ctime = ctime_decode(ctime);
}
