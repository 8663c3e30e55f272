/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - time on this machine: intervals, deadlines, naps. */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <errno.h>
#include <stdint.h>
#include <time.h>

static inline int64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline int64_t clock_ms(void)
{
	return clock_ns() / 1000000;
}

/* So many ms from now, for waits that take a deadline of that clock: CLOCK_MONOTONIC, unless it must be another. */
static inline struct timespec clock_deadline(clockid_t clock, int64_t ms)
{
	struct timespec t;

	clock_gettime(clock, &t);
	t.tv_nsec += ms % 1000 * 1000000;
	t.tv_sec += ms / 1000 + t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

/* Do nothing for so long, whatever signals come. */
static inline void clock_nap_ns(int64_t ns)
{
	struct timespec left = { .tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000 };

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

static inline void clock_nap_ms(int64_t ms)
{
	clock_nap_ns(ms * 1000000);
}

#endif
