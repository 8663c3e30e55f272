/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pair.c - two calls of two hosts in a weak memory, of which one at most may succeed.
 *
 * Scenarios are judged by what hosts that have joined find in the tree. A join and a
 * repair are not among them: each looks for the other by a store, a fence and a load, and
 * all that matters is that one of them sees the other (store buffering).
 *
 * Turns of random length, each by a policy of its own.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inspect/repair.h"
#include "machine/weak.h"
#include "machine/world.h"
#include "sim.h"

#define STEPS_MAX 100000u
#define TURN_MAX 24u /* steps of one turn */
#define MIXES 300u

static long call_join(void *arg)
{
	struct daxfs_error err;

	(void)arg;
	return daxfs_join(world.fs[0], 0, "joins", &err);
}

static long call_repair(void *arg)
{
	struct daxfs_error err;

	(void)arg;
	return repair_begin(world.fs[1], 1, &err);
}

static const struct pair {
	const char *name;
	long (*call[2])(void *arg);
} pairs[] = {
	{ "join-repair", { call_join, call_repair } },
};

#define PAIRS (sizeof(pairs) / sizeof(pairs[0]))

static uint64_t draw(uint64_t *random, uint64_t n)
{
	*random = *random * 6364136223846793005ull + 1442695040888963407ull;
	return (*random >> 33) % n;
}

/* Turn and turn about, until both have returned. */
static void take_turns(struct run *run, uint64_t *random)
{
	while (run[0].end == RUN_PAUSED || run[1].end == RUN_PAUSED) {
		struct run *next = &run[draw(random, 2)];

		if (next->end == RUN_PAUSED)
			run_until(next, next->steps + 1 + draw(random, TURN_MAX));
	}
}

/* Why it went wrong; NULL: it did not. */
static const char *play(const struct pair *pair, uint64_t seed)
{
	uint64_t random = seed * 0x9e3779b97f4a7c15ull;
	const struct weak_policy policy = {
		.hide = draw(&random, 2) ? HIDE_ALL : HIDE_SOME,
		.n = seed,
		.density = 32u << draw(&random, 4),
		.patience = 100,
	};
	static char why[400];
	struct run run[2];
	bool wrong;

	weak_begin(&policy);
	for (unsigned host = 0; host < 2; host++) {
		run_start(&run[host], host, pair->call[host], NULL);
		run[host].steps_max = STEPS_MAX;
		run[host].end = RUN_PAUSED;
	}
	take_turns(run, &random);
	weak_end();
	wrong = run[0].end == RUN_BROKEN || run[1].end == RUN_BROKEN || (!run[0].result && !run[1].result);
	snprintf(why, sizeof(why), "host 0: %ld%s, host 1: %ld%s: one of them had to see the other", run[0].result,
		 run[0].end == RUN_BROKEN ? run[0].err : "", run[1].result, run[1].end == RUN_BROKEN ? run[1].err : "");
	run_free(&run[0]);
	run_free(&run[1]);
	world_rewind();
	return wrong ? why : NULL;
}

const char *pair_name(unsigned n)
{
	return n < PAIRS ? pairs[n].name : NULL;
}

static uint64_t play_all(const struct pair *pair, const struct options *opt, bool wb, uint64_t mixes)
{
	uint64_t violations = 0;

	world_make(wb, true, 0);
	world_mark();
	for (uint64_t n = 1; n <= mixes && !(violations && (opt->first_only || violations > 4)); n++) {
		const char *why = play(pair, opt->seed * 65536 + n);

		violations += why != NULL;
		if (why && !opt->quiet)
			printf("VIOLATION pair %s, mix %" PRIu64 ": %s\n", pair->name, n, why);
	}
	world_drop();
	if (!opt->quiet)
		printf("pair %-18s %-3s %" PRIu64 " mixes, %" PRIu64 " violations\n", pair->name, wb ? "wb" : "gpf",
		       mixes, violations);
	return violations;
}

uint64_t pairs_play(const struct options *opt, unsigned *played)
{
	uint64_t violations = 0, mixes = opt->mixes ? opt->mixes : MIXES;

	for (unsigned i = 0; i < 2 * PAIRS; i++) {
		const struct pair *pair = &pairs[i / 2];

		if ((opt->op && strcmp(opt->op, pair->name)) || !(i % 2 ? opt->wb : opt->gpf))
			continue;
		violations += play_all(pair, opt, i % 2, mixes);
		++*played;
	}
	return violations;
}
