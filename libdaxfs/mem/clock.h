/* SPDX-License-Identifier: Apache-2.0 */
/* clock.h - time of this machine alone, for intervals and deadlines: no host compares it with another's. */
#ifndef DAXFS_MEM_CLOCK_H
#define DAXFS_MEM_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* So long from now, for waits on conditions that go by CLOCK_MONOTONIC. */
static inline struct timespec monotonic_deadline(uint64_t ns)
{
	uint64_t t = monotonic_ns() + ns;

	return (struct timespec){ .tv_sec = (time_t)(t / 1000000000), .tv_nsec = (long)(t % 1000000000) };
}

#endif
