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

#define DRAWS_DEEP 600u /* ways to stop both hosts, in a scenario that asks for it */

static bool start_a(struct explorer *x, struct run *run, struct performance *p)
{
	world_rewind();
	x->history = (struct history){ 0 };
	*p = (struct performance){ .script = &x->a, .history = &x->history, .host = 0 };
	run_start(run, 0, perform, p);
	run_until(run, x->n);
	x->site[0] = run->site;
	return run->end == RUN_PAUSED;
}

bool explore_go_on(struct explorer *x, struct run *run)
{
	char text[200];

	run->steps_max = run->steps + explore_steps_max(x);
	run_until(run, 0);
	if (run->end == RUN_BROKEN) {
		snprintf(text, sizeof(text), "host %u going on: %s", run->host, run->err);
		explore_violation(x, text);
	}
	return run->end == RUN_RETURNED;
}

/* Host 1 dies where it is; host 0, which was paused, goes on. */
static void crash_b(struct explorer *x, struct run *a, struct run *b, uint64_t m)
{
	unsigned dirty = memory_dirty(1);

	explore_fate(x, dirty, dirty ? (unsigned)(m % 3) : 0, true, &x->fate[1]);
	world_lose(1, x->fate[1]);
	b->site->crashes++;
	if (explore_go_on(x, a))
		explore_finish(x, 2);
}

/* Work that leaves nothing but used lanes, inodes and pages. */
bool explore_churn(struct explorer *x, unsigned host)
{
	struct performance p = { .script = &x->churn, .host = host };
	char err[160] = "", text[200];

	if (x->sc->flags & SC_TIGHT || run_all(host, perform, &p, NULL, err) == RUN_RETURNED)
		return true;
	snprintf(text, sizeof(text), "host %u at work beside a paused one: %s", host, err);
	explore_violation(x, text);
	return false;
}

/* Host 0 is paused at step n, host 1 at step m or (0) done: what then? */
static void pause_at(struct explorer *x, uint64_t m)
{
	struct performance p;
	struct run a, b;

	x->m = m;
	x->site[1] = NULL;
	if (start_a(x, &a, &p)) {
		bool whole = explore_survive(x, &b, NULL, m);
		bool paused = b.end == RUN_PAUSED;

		x->site[1] = paused ? b.site : NULL;
		if (paused && x->variant == V_PAUSE_CRASH)
			crash_b(x, &a, &b, m);
		else if ((paused || whole) && explore_go_on(x, &a) &&
			 (whole || (explore_churn(x, 0) && explore_go_on(x, &b))))
			explore_finish(x, 0);
		run_free(&b);
	}
	run_free(&a);
	x->m = 0;
}

static void keep_size(struct explorer *x, const struct second *s)
{
	if (s->distinct > x->m_seen[x->variant])
		x->m_seen[x->variant] = s->distinct;
}

/* Host 0 goes on and dies at every step it still has. */
static void resume_crash(struct explorer *x, uint64_t steps_b)
{
	struct second s = { .x = x, .host = 0, .dead = 1 };
	struct performance p;
	struct run a, b;

	if (start_a(x, &a, &p)) {
		/* Host 1 is done at half of the places, dead in the middle at others. */
		uint64_t m = x->n % 2 ? 0 : 1 + (x->n * 7919 + x->opt->seed) % steps_b;

		explore_survive(x, &b, NULL, m);
		if (b.end == RUN_PAUSED) {
			world_lose(1, (struct fate){ .kind = FATE_KEEP_ALL });
			s.dead = 3;
		}
		a.hook = explore_second_hook;
		a.context = &s;
		if (b.end != RUN_BROKEN)
			explore_go_on(x, &a);
		run_free(&b);
	}
	run_free(&a);
	keep_size(x, &s);
}

/* Host 1 is in the middle of b when host 0 dies in the middle of a. */
static void tangle(struct explorer *x, uint64_t steps_a, uint64_t steps_b, uint64_t draw)
{
	struct second s = { .x = x, .host = 1, .dead = 3 };
	struct performance p;
	struct run a, b;

	if (start_a(x, &a, &p)) {
		explore_survive(x, &b, NULL, 1 + draw % steps_b);
		run_until(&a, x->n + 1 + draw / steps_b % (steps_a - x->n + 1));
		if (b.end == RUN_PAUSED && a.end == RUN_PAUSED) {
			unsigned dirty = memory_dirty(0);

			explore_fate(x, dirty, dirty ? (unsigned)(draw % 3) : 0, true, &x->fate[0]);
			world_lose(0, x->fate[0]);
			b.hook = explore_second_hook;
			b.context = &s;
			if (explore_go_on(x, &b))
				explore_finish(x, 1);
		}
		run_free(&b);
	}
	run_free(&a);
	keep_size(x, &s);
}

/* Host 2 recovers host 0, which comes back; true if all is well so far. */
bool explore_succession(struct explorer *x)
{
	char err[200] = "", text[256];
	int rc = world_fence(0, 2) ? world_recover(2, 0, err) : 0;

	if (rc == 0 && explore_churn(x, 2))
		rc = world_rejoin(0, err);
	if (rc == 0)
		return explore_churn(x, 0);
	snprintf(text, sizeof(text), "recovery beside a paused host: %d %s", rc, err);
	explore_violation(x, text);
	return false;
}

/* Host 1 is paused at its step m while host 0, dead at n, has a successor. */
static void bystand(struct explorer *x, uint64_t m)
{
	struct performance p;
	struct run a, b;

	x->m = m;
	if (start_a(x, &a, &p)) {
		unsigned dirty = memory_dirty(0);

		explore_fate(x, dirty, dirty ? (unsigned)((x->n + m) % 3) : 0, true, &x->fate[0]);
		world_lose(0, x->fate[0]);
		explore_survive(x, &b, NULL, m);
		x->site[1] = b.site;
		x->history.recovered = 1;
		if (b.end == RUN_PAUSED && explore_succession(x) && explore_go_on(x, &b))
			explore_finish(x, 1);
		run_free(&b);
	}
	run_free(&a);
	x->m = 0;
	x->site[1] = NULL;
}

/* Declared dead while it runs. */
static void revoke(struct explorer *x)
{
	struct second s = { .x = x, .host = 0, .dead = 1 };
	struct performance p;
	struct run a;

	if (start_a(x, &a, &p) && world_revoke(0)) {
		a.hook = explore_second_hook;
		a.context = &s;
		if (explore_go_on(x, &a)) {
			world_lose(0, (struct fate){ .kind = FATE_KEEP_ALL });
			explore_finish(x, 1);
		}
	}
	run_free(&a);
	keep_size(x, &s);
}

static void pause_second(struct explorer *x, enum variant v, uint64_t steps_b)
{
	x->variant = v;
	x->m_seen[v] = steps_b;
	for (uint64_t m = 1; m <= steps_b && !explore_exhausted(x); m++)
		if (explore_samples(x, m, NULL)) {
			if (v == V_BYSTAND)
				bystand(x, m);
			else
				pause_at(x, m);
		}
}

static uint64_t steps_of(struct explorer *x, const struct script *script, unsigned host)
{
	struct performance p = { .script = script, .host = host };
	struct run run;

	(void)x;
	run_start(&run, host, perform, &p);
	run_until(&run, 0);
	run_free(&run);
	world_rewind();
	return run.steps;
}

/* Running host 0 to its end costs something even if no state is tried. */
static bool worth(const struct explorer *x)
{
	return x->opt->full || x->opt->step ||
	       (x->n * 31 + x->opt->seed) % 100 * x->distinct < (x->opt->quick ? 1000 : 3000);
}

static void pauses_at(struct explorer *x, uint64_t steps_a, uint64_t steps_b)
{
	bool deep = x->n == 1 && (x->sc->flags & SC_DEEP);
	uint64_t draws = deep ? (x->opt->quick ? DRAWS_DEEP / 3 : DRAWS_DEEP) : x->opt->full ? 8 : 1;

	x->variant = V_PAUSE;
	x->m_seen[V_PAUSE] = 1; /* host 1 is not stopped */
	if (explore_wants(x, V_PAUSE) && explore_samples(x, 0, NULL))
		pause_at(x, 0);
	if (explore_wants(x, V_PAUSE_BOTH))
		pause_second(x, V_PAUSE_BOTH, steps_b);
	if (explore_wants(x, V_PAUSE_CRASH))
		pause_second(x, V_PAUSE_CRASH, steps_b);
	if (explore_wants(x, V_BYSTAND))
		pause_second(x, V_BYSTAND, steps_b);
	x->variant = V_RESUME_CRASH;
	if (explore_wants(x, V_RESUME_CRASH) && worth(x))
		resume_crash(x, steps_b);
	x->variant = V_TANGLE;
	for (uint64_t i = 0; explore_wants(x, V_TANGLE) && (worth(x) || deep) && i < draws; i++)
		tangle(x, steps_a, steps_b, explore_draw(x, i));
	x->variant = V_REVOKE;
	if (explore_wants(x, V_REVOKE) && worth(x))
		revoke(x);
}

void explore_pauses(struct explorer *x)
{
	uint64_t steps_a, steps_b;

	if (explore_exhausted(x))
		return;
	world_mark();
	steps_a = steps_of(x, &x->a, 0);
	steps_b = steps_of(x, &x->b, 1);
	x->distinct = steps_a;
	for (x->n = 1; x->n <= steps_a && !explore_exhausted(x); x->n++)
		pauses_at(x, steps_a, steps_b);
	world_rewind();
	world_drop();
}
