/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shrink.c - from a seed that fails to a schedule that is short to read:
 * fewer faults, fewer operations, fewer turns cut short, as long as something
 * still fails. By running again; nothing else is known of the cause.
 */
#include <inttypes.h>
#include <time.h>

#include "pod/pod.h"

#define SECONDS_MAX 30

struct shrinking {
	uint64_t seed;
	struct limits best;
	clock_t until;
	unsigned runs;
};

static bool fails(struct shrinking *s, const struct limits *limits)
{
	struct tallies ignored = { 0 };

	if (clock() > s->until)
		return false;
	s->runs++;
	if (pod_run(s->seed, limits, &ignored))
		return false;
	s->best = *limits;
	return true;
}

static void fewer_faults(struct shrinking *s)
{
	for (unsigned i = 0; i < FAULTS_MAX; i++) {
		struct limits fewer = s->best;

		fewer.faults &= ~(1ull << i);
		if (fewer.faults != s->best.faults)
			fails(s, &fewer);
	}
}

static void fewer_ops(struct shrinking *s)
{
	for (uint64_t ops = s->best.ops / 2; ops && ops < s->best.ops;) {
		struct limits fewer = s->best;

		fewer.ops = ops;
		ops = fails(s, &fewer) ? ops / 2 : ops + (s->best.ops - ops + 1) / 2;
		if (ops >= s->best.ops - 1)
			break;
	}
}

/* Cut turns only from some turn on, and only up to some other. */
static void fewer_turns(struct shrinking *s)
{
	for (uint64_t step = s->best.turns; step; step /= 2) {
		struct limits fewer = s->best;

		fewer.turns_from += step;
		if (fewer.turns_from < fewer.turns)
			fails(s, &fewer);
		fewer = s->best;
		if (fewer.turns > step + fewer.turns_from) {
			fewer.turns -= step;
			fails(s, &fewer);
		}
	}
}

void pod_shrink(uint64_t seed, struct limits *limits)
{
	struct shrinking s = { .seed = seed, .best = *limits, .until = clock() + SECONDS_MAX * CLOCKS_PER_SEC };

	trace_mode(TRACE_OFF);
	for (unsigned i = 0; i < 2; i++) {
		fewer_faults(&s);
		fewer_ops(&s);
		fewer_turns(&s);
	}
	*limits = s.best;
	printf("  made smaller in %u runs\n", s.runs);
}
