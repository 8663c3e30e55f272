/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pause.c - two hosts in the middle of conflicting scripts.
 *
 * Host 0 is stopped before each of its steps; host 1 runs script b, whole or up
 * to a step of its own; then host 0 goes on as if nothing had been. Nobody is
 * dead, so here a helper's late steps meet records that their owner has long
 * finished and begun anew.
 */
#include "sim.h"

static bool start_a(struct explorer *x, struct run *run, struct performance *p)
{
	world_rewind();
	x->history = (struct history){0};
	*p = (struct performance){.script = &x->a, .history = &x->history, .host = 0};
	run_start(run, 0, perform, p);
	run_until(run, x->n);
	x->site[0] = run->site;
	return run->end == RUN_PAUSED;
}

static bool go_on(struct explorer *x, struct run *run)
{
	char text[200];

	run->steps_max = run->steps + 200000;
	run_until(run, 0);
	if (run->end == RUN_BROKEN) {
		snprintf(text, sizeof(text), "host %u going on: %s", run->host, run->why);
		explore_violation(x, text);
	}
	return run->end == RUN_RETURNED;
}

/* 1: judged; 0: b ended before step m. */
static bool pause_at(struct explorer *x, uint64_t m)
{
	struct performance p;
	struct run a, b;
	bool more = false;

	x->m = m;
	x->site[1] = NULL;
	if (start_a(x, &a, &p)) {
		bool whole = explore_survive(x, &b, NULL, m);

		more = b.end == RUN_PAUSED;
		x->site[1] = more ? b.site : NULL;
		if (more && x->variant == V_PAUSE_CRASH) {
			unsigned dirty = memory_dirty(1);

			explore_fate(x, dirty, dirty ? (unsigned)(m % 3) : 0, true, &x->fate[1]);
			world_lose(1, x->fate[1]);
			b.site->crashes++;
			if (go_on(x, &a))
				explore_finish(x, 2);
		} else if (more || whole) {
			if (go_on(x, &a) && (whole || go_on(x, &b)))
				explore_finish(x, 0);
		}
		run_free(&b);
	}
	run_free(&a);
	x->m = 0;
	return more;
}

static void pause_second(struct explorer *x, enum variant v, uint64_t steps_b)
{
	x->variant = v;
	x->m_seen[v] = steps_b;
	for (uint64_t m = 1; m <= steps_b && !explore_exhausted(x); m++)
		if (explore_samples(x, m, NULL))
			pause_at(x, m);
}

static uint64_t steps_of(struct explorer *x, const struct script *script, unsigned host)
{
	struct history unused = {0};
	struct performance p = {.script = script, .history = &unused, .host = host};
	struct run run;

	(void)x;
	run_start(&run, host, perform, &p);
	run_until(&run, 0);
	run_free(&run);
	world_rewind();
	return run.steps;
}

void explore_pauses(struct explorer *x)
{
	uint64_t steps_a, steps_b;

	if (!x->b.n || (x->sc->flags & SC_MEMBER) || explore_exhausted(x))
		return;
	world_mark();
	steps_a = steps_of(x, &x->a, 0);
	steps_b = steps_of(x, &x->b, 1);
	x->distinct = steps_a;
	for (x->n = 1; x->n <= steps_a && !explore_exhausted(x); x->n++) {
		x->variant = V_PAUSE;
		if (explore_wants(x, V_PAUSE) && explore_samples(x, 0, NULL))
			pause_at(x, 0);
		if (explore_wants(x, V_PAUSE_BOTH))
			pause_second(x, V_PAUSE_BOTH, steps_b);
		if (explore_wants(x, V_PAUSE_CRASH))
			pause_second(x, V_PAUSE_CRASH, steps_b);
	}
	world_rewind();
	world_drop();
}
