/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash.c - host 0 dies at every step of script a.
 *
 * Script a runs once. Before each step, from its hook, the world is marked, the
 * death and everything that may follow are played, and the world is rewound; so
 * the cost is linear in the number of steps. A step that finds memory and device
 * as the step before did leads to the same states and is only counted.
 */
#include "fs/cache.h"
#include "sim.h"

#define CRASHES_QUICK 4u /* at one step of the code; of what is beyond */
#define SHARE_QUICK 16u  /* one in so many */

/* -- the second host dies, too ------------------------------------------------------- */

static void keep_size(struct explorer *x, uint64_t distinct)
{
	if (distinct > x->m_seen[x->variant])
		x->m_seen[x->variant] = distinct;
}

static long call_recover(void *arg)
{
	struct daxfs_recovery report;

	(void)arg;
	return daxfs_recover(world.fs[1], 0, &report);
}

static long call_recover_assigned(void *arg)
{
	struct daxfs_recovery report[HOSTS];

	(void)arg;
	return daxfs_recover_assigned(world.fs[1], report, HOSTS) - 1;
}

static void recover_crash(struct explorer *x)
{
	struct second s = { .x = x, .host = 1, .dead = 3 };
	bool assigned = x->n % 2;
	char text[256];
	struct run run;

	if (!world_fence(0, 1))
		return;
	if (assigned)
		world_assign(0, 1);
	run_start(&run, 1, assigned ? call_recover_assigned : call_recover, NULL);
	run.hook = explore_second_hook;
	run.context = &s;
	run_until(&run, 0);
	if (run.end != RUN_RETURNED || run.result) {
		snprintf(text, sizeof(text), "recovery of host 0 by host 1: %ld %s", run.result, run.err);
		explore_violation(x, text);
	}
	run_free(&run);
	keep_size(x, s.distinct);
}

static void survive_crash(struct explorer *x)
{
	struct performance p = { .script = &x->b, .history = &x->history, .host = 1 };
	struct second s = { .x = x, .host = 1, .dead = 3 };
	struct run run;

	run_start(&run, 1, perform, &p);
	run.hook = explore_second_hook;
	run.context = &s;
	run_until(&run, 0);
	run_free(&run);
	keep_size(x, s.distinct);
}

/* Is that the claim of a page by this host, and others would wait for it? */
static bool claim_stands(const sm_u64 *at, unsigned host)
{
	uint64_t w = sm_load(at);

	return !word_is_mark(w) && link_kind(w) == DAXFS_FILLING && filling_host(w) == host &&
	       !cache_claim_over(&world.pool, w);
}

/* How many there are, in inodes and in pages of an index. */
static long claims_standing(void *arg)
{
	const struct pool *pool = &world.pool;
	unsigned host = *(unsigned *)arg;
	long n = 0;

	for (uint64_t i = 0; i < pool->objects[DAXFS_T_INODE]; i++)
		for (unsigned k = 0; k < DAXFS_DIRECT; k++)
			n += claim_stands(&pool->inodes[i].direct[k], host);
	for (uint64_t i = 0; i < pool->objects[DAXFS_T_PAGE]; i++) {
		const sm_u64 *slot = (const sm_u64 *)pool_page(pool, i);

		if (use_of(sm_load(&pool->state[DAXFS_T_PAGE][i])) != DAXFS_USE_NODE)
			continue;
		for (unsigned k = 0; k < DAXFS_NODE_SLOTS; k++)
			n += claim_stands(&slot[k], host);
	}
	return n;
}

/* The process dies, not the host: its stores are all there. hook: of the next one. */
static void take_over(struct explorer *x, seam_hook hook, struct second *s)
{
	unsigned host = 0;
	struct run run;
	char text[256];
	long claims = 0;

	world_take_over(&host, &run, hook, s);
	if (run.end != RUN_RETURNED || run.result) {
		snprintf(text, sizeof(text), "taking over host 0: %ld %s", run.result, run.err);
		explore_violation(x, text);
	} else if (!hook) {
		if (run_all(1, claims_standing, &host, &claims, text) != RUN_RETURNED || claims)
			explore_violation(x, "pages stay claimed by a process that died");
		explore_finish(x, 1);
	}
	run_free(&run);
}

static void take_over_crash(struct explorer *x)
{
	struct second s = { .x = x, .host = 0, .dead = 1 };

	take_over(x, explore_second_hook, &s);
	keep_size(x, s.distinct);
}

static void revive(struct explorer *x, seam_hook hook, struct second *s)
{
	unsigned host = 0;
	struct run run;
	char text[256];

	if (!world_fence(0, 1))
		return;
	if (x->n % 2)
		world_abandon(0, 2);
	world_revive(&host, &run, hook, s);
	if (run.end != RUN_RETURNED || run.result) {
		snprintf(text, sizeof(text), "host 0 recovers itself: %ld %s", run.result, run.err);
		explore_violation(x, text);
	} else if (!hook) {
		explore_finish(x, 1);
	}
	run_free(&run);
}

static void revive_crash(struct explorer *x)
{
	struct second s = { .x = x, .host = 0, .dead = 1 };

	revive(x, explore_second_hook, &s);
	keep_size(x, s.distinct);
}

static void survive(struct explorer *x)
{
	struct run run;

	if (explore_survive(x, &run, NULL, 0))
		explore_finish(x, 1);
	run_free(&run);
}

/* -- after the death of host 0 ---------------------------------------------------------- */

/* Recovery again, as if nobody had noticed the first: nothing changes. Then the
 * host comes back and does its script: whatever that gives, nothing is broken. */
static void come_back(struct explorer *x)
{
	struct world_check check;
	struct performance p = { .script = &x->a, .host = 0 };
	char err[1200] = "", *text = err;

	world_unrecover(0);
	explore_finish(x, 1);
	x->tally.states[x->variant]--;
	if (x->sc->flags & SC_MEMBER)
		return;
	if (world_rejoin(0, err)) {
		memmove(err + 10, err, 160);
		memcpy(err, "no rejoin:", 10);
		explore_violation(x, text);
	} else if (run_all(0, perform, &p, NULL, err) != RUN_RETURNED) {
		explore_violation(x, text);
	} else if (!world_check(&check) || check.problems) {
		snprintf(err, sizeof(err), "after coming back, check: %s", check.text);
		explore_violation(x, text);
	}
}

static void recover(struct explorer *x, bool again)
{
	x->goes_on = again;
	explore_finish(x, 1);
	if (again && !explore_exhausted(x))
		come_back(x);
	x->goes_on = false;
}

static void play(struct explorer *x, enum variant v, bool first)
{
	struct history kept = x->history;

	x->variant = v;
	if (!explore_wants(x, v) || explore_exhausted(x))
		return;
	if (v == V_RECOVER)
		recover(x, first);
	else if (v == V_SURVIVE)
		survive(x);
	else if (v == V_RECOVER_CRASH)
		recover_crash(x);
	else if (v == V_TAKE_OVER)
		take_over(x, NULL, NULL);
	else if (v == V_TAKE_OVER_CRASH)
		take_over_crash(x);
	else if (v == V_REVIVE)
		revive(x, NULL, NULL);
	else if (v == V_REVIVE_CRASH)
		revive_crash(x);
	else
		survive_crash(x);
	x->history = kept;
	world_rewind();
}

/* Is it worth to run host 1 step by step for this n? */
static bool second_worth(struct explorer *x, enum variant v)
{
	x->variant = v;
	if (x->opt->full || x->opt->step || !x->m_seen[v])
		return true;
	return explore_samples(x, 0, NULL) || x->n % 3 == x->opt->seed % 3;
}

static void death(struct explorer *x)
{
	unsigned dirty = memory_dirty(0);
	bool second;

	world_mark();
	for (unsigned i = 0; explore_fate(x, dirty, i, false, &x->fate[0]); i++) {
		world_lose(0, x->fate[0]);
		world_mark();
		play(x, V_RECOVER, i == 0);
		if (i == 0 && (!x->opt->quick || x->opt->step || x->n % 3 == x->opt->seed % 3))
			play(x, V_TAKE_OVER, false);
		if (i == 0 && second_worth(x, V_TAKE_OVER_CRASH))
			play(x, V_TAKE_OVER_CRASH, false);
		if (i < 2 && (!x->opt->quick || x->opt->step || x->n % 3 == (x->opt->seed + 1) % 3))
			play(x, V_REVIVE, false);
		if (i < 2 || i % 5 == x->n % 5 || x->opt->full)
			play(x, V_SURVIVE, false);
		/* All lines are kept, or none; quick: one of the two, by turns, where there are two. */
		second = i < 2 && (!x->opt->quick || x->opt->step || !x->wb || !dirty || i == x->n % 2);
		if (second && second_worth(x, V_RECOVER_CRASH))
			play(x, V_RECOVER_CRASH, false);
		if (second && second_worth(x, V_SURVIVE_CRASH))
			play(x, V_SURVIVE_CRASH, false);
		if (second && second_worth(x, V_REVIVE_CRASH))
			play(x, V_REVIVE_CRASH, false);
		world_drop();
		world_rewind();
	}
	world_drop();
}

/*
 * Of all scenarios together, quickly: hosts have died at this step of the code in many of them already,
 * and only some of the others are taken. A scenario that is run alone is run whole.
 */
static bool often_enough(const struct explorer *x, const struct sm_site *site)
{
	return x->opt->quick && !x->opt->op && !x->opt->step && site->crashes >= CRASHES_QUICK &&
	       explore_draw(x, 0) % SHARE_QUICK;
}

static void first_hook(void *context, struct run *run, const struct seam_event *event)
{
	struct explorer *x = context;
	unsigned progress = x->history.n[0];

	x->n = event->step;
	x->tally.points++;
	if (explore_exhausted(x) || (x->opt->step && x->opt->step != x->n) || often_enough(x, run->site))
		return;
	run->site->crashes++;
	if (!x->opt->step && seam_changes() == x->last_changes && progress == x->last_ended && x->n > 1)
		return;
	x->site[0] = run->site;
	x->last_ended = progress;
	death(x);
	x->last_changes = seam_changes();
}

/* How many steps leave a state of their own: to share out the budgets. */
static void count_hook(void *context, struct run *run, const struct seam_event *event)
{
	struct explorer *x = context;

	(void)run, (void)event;
	x->distinct += seam_changes() != x->last_changes;
	x->last_changes = seam_changes();
}

static void run_a(struct explorer *x, seam_hook hook)
{
	struct performance p = { .script = &x->a, .history = &x->history, .host = 0 };
	struct run run;
	char text[200];

	x->history = (struct history){ 0 };
	x->last_changes = 0;
	run_start(&run, 0, perform, &p);
	run.hook = hook;
	run.context = x;
	run_until(&run, 0);
	x->n = run.steps + 1;
	if (run.end == RUN_BROKEN) {
		snprintf(text, sizeof(text), "host 0 in script a: %s", run.err);
		explore_violation(x, text);
	}
	run_free(&run);
}

void explore_crashes(struct explorer *x)
{
	world_mark();
	run_a(x, count_hook);
	world_rewind();
	if (x->opt->trace)
		seam_trace(stdout, 1);
	run_a(x, first_hook);
	seam_trace(NULL, 0);
	if (x->tally.violations == 0 || !explore_exhausted(x)) {
		x->site[0] = NULL;
		death(x); /* it had returned: what it did is there, whatever was lost */
	}
	world_rewind();
	world_drop();
}
