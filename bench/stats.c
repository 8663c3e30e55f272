/* SPDX-License-Identifier: Apache-2.0 */
/* stats.c - medians, quartiles, clocks: nothing here is shared. */
#include <stdlib.h>
#include <time.h>

#include "bench.h"

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double quantile(const double *v, unsigned n, double p)
{
	double at = p * (n - 1);
	unsigned i = (unsigned)at;

	return i + 1 < n ? v[i] + (at - i) * (v[i + 1] - v[i]) : v[i];
}

struct spread spread_of(double *v, unsigned n)
{
	if (!n)
		return (struct spread){ 0 };
	qsort(v, n, sizeof(*v), by_value);
	return (struct spread){ quantile(v, n, 0.5), quantile(v, n, 0.25), quantile(v, n, 0.75), n };
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t cpu_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}
