/* SPDX-License-Identifier: Apache-2.0 */
/*
 * times.c - what a time is in the pool, and how it moves.
 *
 * A time is one word (format.h): nanoseconds since 1970 up to the year 2262, which
 * is what a change of a file writes; and, told apart by the highest bit, any other time
 * of 29,000 years in steps of 100 ns, which somebody asked for (utimensat). Times are
 * outside the all-or-nothing promise; a change moves them forward only.
 */
#include <errno.h>
#include <time.h>

#include "fs/fs.h"

#define TOUCH_NS 1000000u /* times closer than this are the same */
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

uint64_t fs_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME_COARSE, &ts);
	return (uint64_t)ts.tv_sec * (uint64_t)NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* What a time becomes when something changes now. It may have been set by a host whose clock is ahead, or
 * to a time of the future: then every change moves it by the least there is, or nobody could tell that there
 * was one. */
static uint64_t time_after(uint64_t old, uint64_t now)
{
	if (old & DAXFS_TIME_FAR) {
		if (far_steps(old) < 0)
			return now;
		return far_steps(old) < (int64_t)STEPS_MAX ? old + 1 : old;
	}
	if (now > old)
		return now - old > TOUCH_NS ? now : old;
	return old - now > TOUCH_NS && old < (uint64_t)INT64_MAX ? old + 1 : old;
}

bool inode_touch(struct lane *lane, sm_u64 *time, uint64_t now)
{
	uint64_t old = sm_load_relaxed(time), next;

	while ((next = time_after(old, now)) != old) {
		/* ORD none: a word of its own. CAS, so that of hosts that race none moves it
		 * backwards. A crash leaves the old time or the new one. */
		if (!sm_cas_value(time, &old, next))
			continue;
		sm_flush(&lane->pool->shm, time, sizeof(*time));
		return true;
	}
	return false;
}
