/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pair.c - two calls of two hosts in a weak memory, of which one has to see the other.
 *
 * Scenarios are judged by what hosts that have joined find in the tree. That shows too late, or
 * not, that of two that look for each other by a store, a fence and a load neither saw the
 * other (store buffering):
 *
 *   join-repair    a join and a repair: one of them at most may succeed
 *   frees-looks    an inode becomes free while another host looks at the last ones: the word
 *                  above them is open in the end (S2 of sync/summary.h)
 *   frees-above    the same for a page, a level higher
 *
 * Turns of random length, each by a policy of its own.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fs.h"
#include "inspect/repair.h"
#include "machine/weak.h"
#include "machine/world.h"
#include "sim.h"
#include "space/space.h"
#include "sync/summary.h"

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

static bool both_succeed(const struct run *run)
{
	return !run[0].result && !run[1].result;
}

/* -- the last object becomes free ---------------------------------------------------- */

static enum daxfs_type type; /* of what becomes free */

static struct lane *lane_of(unsigned host)
{
	return &world.fs[host]->slots[0].lane;
}

static long enter(void *arg)
{
	struct lane *lane = lane_of(*(unsigned *)arg);

	lane_enter(lane);
	record_begin(lane, OP_SETATTR);
	return 0;
}

static long take_one(void *arg)
{
	uint64_t index;

	(void)arg;
	return space_take(lane_of(0), type, DAXFS_USE_NONE, 1, &index);
}

/* By hand: all that is free is in use, and a level higher that is known below. */
static long fill(void *arg)
{
	const struct pool_summary *s = &world.pool.summary[type];
	uint64_t used = state_make(DAXFS_LIVE, DAXFS_USE_NONE, 1);

	(void)arg;
	for (uint64_t i = 0; i < world.pool.objects[type]; i++)
		if (sm_load(&world.pool.state[type][i]) == 0)
			sm_store(&world.pool.state[type][i], used);
	for (uint64_t i = 0; s->levels > 1 && i < s->count[0]; i++)
		sm_store(&s->word[0][i], (uint64_t)DAXFS_GROUP_NOTHING << DAXFS_GROUP_BITS);
	return 0;
}

static bool fill_up(void)
{
	return run_all(0, enter, &(unsigned){ 0 }, NULL, NULL) == RUN_RETURNED &&
	       run_all(0, take_one, NULL, NULL, NULL) == RUN_RETURNED &&
	       run_all(1, enter, &(unsigned){ 1 }, NULL, NULL) == RUN_RETURNED &&
	       run_all(OBSERVER, fill, NULL, NULL, NULL) == RUN_RETURNED;
}

static bool fill_inodes(void)
{
	type = DAXFS_T_INODE;
	return fill_up();
}

static bool fill_pages(void)
{
	type = DAXFS_T_PAGE;
	return fill_up() && world.pool.summary[type].levels > 1;
}

static long call_free(void *arg)
{
	(void)arg;
	return record_abort(lane_of(0), 0);
}

static long call_look(void *arg)
{
	struct space_batch batch;
	uint64_t index;

	(void)arg;
	space_begin(&batch, type);
	return space_find(lane_of(1), &batch, DAXFS_USE_NONE, &index);
}

static long call_look_above(void *arg)
{
	bool waiting = false;

	(void)arg;
	return (long)summary_next(lane_of(1), type, 0, &waiting);
}

static long find_closed(void *arg)
{
	const struct pool_summary *s = &world.pool.summary[type];
	uint64_t w = sm_load(s->word[s->levels - 1]);

	(void)arg;
	return w >> DAXFS_GROUP_BITS == DAXFS_GROUP_NOTHING || w >> DAXFS_GROUP_BITS == DAXFS_GROUP_WAITING;
}

static bool stays_closed(const struct run *run)
{
	long closed = 1;

	(void)run;
	memory_quiesce();
	return run_all(OBSERVER, find_closed, NULL, &closed, NULL) != RUN_RETURNED || closed;
}

/* ------------------------------------------------------------------------------------- */

static const struct pair {
	const char *name;
	bool small; /* pool */
	unsigned join;
	bool (*setup)(void);
	long (*call[2])(void *arg);
	bool (*wrong)(const struct run *run);
} pairs[] = {
	{ "join-repair", true, 0, NULL, { call_join, call_repair }, both_succeed },
	{ "frees-looks", true, 7, fill_inodes, { call_free, call_look }, stays_closed },
	{ "frees-above", false, 7, fill_pages, { call_free, call_look_above }, stays_closed },
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
	wrong = run[0].end == RUN_BROKEN || run[1].end == RUN_BROKEN || pair->wrong(run);
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

	world_make(wb, pair->small, false, pair->join);
	if (pair->setup && !pair->setup()) {
		printf("VIOLATION pair %s: cannot be set up\n", pair->name);
		return 1;
	}
	memory_quiesce();
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
