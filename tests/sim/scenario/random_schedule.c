/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random_schedule.c - two hosts that take turns at random, one of which may die.
 *
 * The other variants stop each host once. Some mistakes need more turns: a
 * helper that read a record, sleeps while its owner ends it and begins the next
 * one, and then acts. Each mix is a few turns of random length; most end just
 * before a store or CAS, because it is what a host does after a long sleep that
 * does harm. Between turns host 2 may recover the dead one, and whoever is free
 * makes and removes things of its own. The n-th mix follows from n and the seed.
 *
 * With opt->weak the memory orders are taken at their word (weak.h): each mix also draws
 * which stores the others see late, and turns are of all lengths, for what one of them
 * sees late is what another one did at one go. While an order is left out (weak/sites.c)
 * they often end there, and what is stored or loaded there is seen before all else. In a
 * weak memory hosts also join and leave; then nobody dies.
 */
#include "sim.h"
#include "machine/weak.h"

#define TURNS_MAX 8u

struct mix {
	struct explorer *x;
	uint64_t random;
	struct performance part[2];
	struct run run[2];
	unsigned dead;      /* bit mask */
	uint64_t reach;     /* steps of a turn, at most */
	unsigned countdown; /* stores until the turn ends; 0: it ends by step */
};

static uint64_t draw(struct mix *mix, uint64_t below)
{
	mix->random = mix->random * 6364136223846793005ull + 1442695040888963407ull;
	return (mix->random >> 33) % below;
}

static bool stores(const struct sm_site *site)
{
	return !strcmp(site->call, "cas") || !strcmp(site->call, "store") || !strcmp(site->call, "write");
}

/* Ends the turn before the store that it was to stop at. */
static void turn_hook(void *context, struct run *run, const struct seam_event *event)
{
	struct mix *mix = context;

	if (mix->x->opt->orders && event->site->without && draw(mix, 4) == 0)
		run->pause_at = event->step + draw(mix, 2);
	if (mix->countdown && stores(event->site) && --mix->countdown == 0)
		run->pause_at = event->step;
}

static bool active(const struct mix *mix, unsigned host)
{
	return mix->run[host].end == RUN_PAUSED && !(mix->dead & 1u << host);
}

static void take_turn(struct mix *mix, unsigned host)
{
	struct run *run = &mix->run[host];
	bool by_store = draw(mix, 4) != 0;
	uint64_t length = 1 + draw(mix, mix->reach);

	if (!active(mix, host))
		return;
	mix->countdown = by_store ? 2 + (unsigned)draw(mix, mix->reach / 10) : 0;
	run_until(run, by_store ? 0 : run->steps + length);
	if (run->end == RUN_BROKEN)
		explore_violation(mix->x, run->err);
}

static void die(struct mix *mix, unsigned host)
{
	struct explorer *x = mix->x;
	unsigned dirty = memory_dirty(host);

	if (!active(mix, host))
		return;
	explore_fate(x, dirty, dirty ? (unsigned)draw(mix, 3) : 0, true, &x->fate[host]);
	world_lose(host, x->fate[host]);
	mix->dead |= 1u << host;
}

/* What happens between two turns. */
static bool interlude(struct mix *mix)
{
	struct explorer *x = mix->x;

	if (x->sc->flags & SC_MEMBER)
		return true;
	switch (draw(mix, 10)) {
	case 0: return explore_churn(x, 2);
	case 1: die(mix, 0); return true;
	case 2: die(mix, 1); return true;
	case 3:
		if (mix->dead != 1 || x->history.recovered)
			return true;
		x->history.recovered = 1;
		return explore_succession(x);
	default: return true;
	}
}

static bool finish_runs(struct mix *mix)
{
	bool ok = true;

	for (unsigned host = 0; host < 2; host++)
		if (active(mix, host)) {
			mix->countdown = 0;
			ok &= explore_go_on(mix->x, &mix->run[host]);
		}
	return ok;
}

static void begin(struct mix *mix, unsigned host, const struct script *script)
{
	mix->part[host] = (struct performance){ .script = script, .history = &mix->x->history, .host = host };
	run_start(&mix->run[host], host, perform, &mix->part[host]);
	mix->run[host].hook = turn_hook;
	mix->run[host].context = mix;
	mix->run[host].steps_max = explore_steps_max(mix->x);
	mix->run[host].end = RUN_PAUSED;
}

/* What is seen late, and how late. */
static void begin_weak(struct mix *mix)
{
	static const enum weak_hide hide[] = {
		HIDE_ALL, HIDE_SOME, HIDE_SOME, HIDE_ONE, HIDE_ONE, HIDE_ONE, HIDE_ALL_BUT, HIDE_LATER,
	};
	struct weak_policy policy = {
		.hide = hide[draw(mix, 8)],
		.n = draw(mix, mix->x->weak_stores) + 1,
		.density = 1u << draw(mix, 8),
		.patience = 4u << draw(mix, 6),
		.of = (unsigned)draw(mix, 4) % 3,
	};

	if (mix->x->opt->orders && draw(mix, 2)) {
		policy.hide = draw(mix, 2) ? HIDE_OTHERS : HIDE_LATER;
		policy.density = 64 * (unsigned)(1 + draw(mix, 4));
	}

	mix->reach = 12u << draw(mix, 9);
	weak_begin(&policy);
}

static void play(struct explorer *x)
{
	struct mix mix = { .x = x, .random = explore_draw(x, 0), .reach = 120 };
	bool ok = true;

	world_rewind();
	if (x->opt->weak)
		begin_weak(&mix);
	x->history = (struct history){ 0 };
	x->site[0] = x->site[1] = NULL;
	begin(&mix, 0, &x->a);
	begin(&mix, 1, &x->b);
	for (unsigned turn = 0; ok && turn < 2 + draw(&mix, TURNS_MAX - 1); turn++) {
		take_turn(&mix, (unsigned)draw(&mix, 2));
		ok = interlude(&mix);
	}
	ok = ok && finish_runs(&mix);
	weak_end();
	if (ok)
		explore_finish(x, mix.dead);
	run_free(&mix.run[0]);
	run_free(&mix.run[1]);
}

/* Stores of both scripts, one after the other. */
static uint64_t count_stores(struct explorer *x)
{
	const struct weak_policy policy = { .hide = HIDE_NOTHING };
	struct performance p[2] = { { .script = &x->a, .host = 0 }, { .script = &x->b, .host = 1 } };
	uint64_t n;

	weak_begin(&policy);
	run_all(0, perform, &p[0], NULL, NULL);
	run_all(1, perform, &p[1], NULL, NULL);
	n = weak_stores();
	weak_end();
	world_rewind();
	return n + 1;
}

void explore_mixes(struct explorer *x)
{
	uint64_t mixes = x->opt->mixes ? x->opt->mixes : explore_budget(x, V_MIX);

	if (x->sc->flags & (x->opt->weak ? SC_VAGUE : SC_MEMBER))
		return;
	world_mark();
	x->variant = V_MIX;
	x->weak_stores = x->opt->weak ? count_stores(x) : 0;
	if (x->opt->trace && x->opt->step)
		seam_trace(stdout, 7);
	for (x->n = 1; x->n <= mixes && !explore_exhausted(x); x->n++)
		if (explore_wants(x, V_MIX))
			play(x);
	seam_trace(NULL, 0);
	world_rewind();
	world_drop();
}
