/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stops.c - pairs of the small worlds in a weak memory.
 *
 * Host 0 is stopped before each of its steps, host 1 does the whole of its operation, and host 0 goes on; then the
 * same with their operations changed over. So one preemption, at every place, where exhaustive/ takes two and a death:
 * there a state that was met again is left, for what follows depends on memory alone, and here it depends on what each
 * host has seen. What is seen late is drawn, POLICIES times for each place. Nobody dies; mixes do that.
 */
#include "machine/weak.h"
#include "sim.h"

#define POLICIES 3u
#define PATIENCE 100u

static struct weak_policy draw_policy(const struct explorer *x, unsigned nth)
{
	uint64_t drawn = explore_draw(x, nth);
	struct weak_policy policy = {
		.hide = HIDE_SOME,
		.n = drawn >> 8,
		.density = 16u << drawn % 4, /* 1 of 16 to 1 of 2 */
		.patience = PATIENCE,
	};

	if (nth == 0)
		policy.hide = HIDE_ALL;
	return policy;
}

/* False: host 0 had come to its end before that step. */
static bool play(struct explorer *x, unsigned nth)
{
	const struct weak_policy policy = draw_policy(x, nth);
	struct performance p = { .script = &x->a, .history = &x->history, .host = 0 };
	bool stopped, ok = true;
	struct run a, b;

	world_rewind();
	x->history = (struct history){ 0 };
	weak_begin(&policy);
	run_start(&a, 0, perform, &p);
	run_until(&a, x->n);
	stopped = a.end == RUN_PAUSED;
	x->site[0] = a.site;
	if (stopped) {
		ok = explore_survive(x, &b, NULL, 0) && explore_go_on(x, &a);
		run_free(&b);
	}
	weak_end();
	if (stopped && ok)
		explore_finish(x, 0);
	run_free(&a);
	return stopped;
}

void explore_stops(struct explorer *x)
{
	bool stopped = true;

	x->variant = V_MIX;
	world_mark();
	if (x->opt->trace && x->opt->step)
		seam_trace(stdout, 7);
	for (x->n = 1; stopped && !explore_exhausted(x); x->n++)
		for (unsigned nth = 0; nth < POLICIES; nth++)
			if (explore_wants(x, V_MIX) && !(stopped = play(x, nth)))
				break;
	seam_trace(NULL, 0);
	world_rewind();
	world_drop();
}
