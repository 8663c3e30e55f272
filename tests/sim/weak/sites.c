/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sites.c - does every memory order of the library matter?
 *
 * At each call of the seam that asks for an order, one step of that is left out, in
 * a weak memory (weak.h), and scenarios are played until one of them ends in a
 * violation. What nobody notices is either not needed or not tested: it has to be
 * in the list of reasons, or the run fails.
 *
 *   load, fence   acquire -> relaxed         CAS    acq_rel -> acquire, acq_rel -> release
 *   store         release -> relaxed         fence  seq_cst -> acq_rel, seq_cst -> nothing
 *   the end of streamed copies -> nothing
 *
 * Who notices is listed in weak/reasons.c, and has to; opt->every looks for somebody else
 * where there is only a reason. inspect/, but for repairs, only looks.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "machine/arena.h"
#include "sim.h"

#define PLAYS_MAX 512u
#define PLAYS_EACH 24u /* tried for one order */
#define SURVEY_MIXES 20u
#define MIXES 250u

static const struct step {
	enum sm_order of, without;
	const char *name;
} steps[] = {
	{ SM_ACQUIRE, SM_ACQUIRE, "acquire -> relaxed" },
	{ SM_RELEASE, SM_RELEASE, "release -> relaxed" },
	{ SM_ACQ_REL, SM_RELEASE, "acq_rel -> acquire" },
	{ SM_ACQ_REL, SM_ACQUIRE, "acq_rel -> release" },
	{ SM_SEQ_CST, SM_SEQ_CST - SM_ACQ_REL, "seq_cst -> acq_rel" },
	{ SM_SEQ_CST, SM_SEQ_CST, "seq_cst -> nothing" },
};

static bool same_place(const struct sm_site *a, const struct sm_site *b)
{
	return a->line == b->line && !strcmp(a->file, b->file) && !strcmp(a->call, b->call);
}

/* An inline function has a site in each file that uses it: all of them. */
static void leave_out(const struct sm_site *place, enum sm_order without)
{
	for (struct sm_site *site = sites_next(NULL); site; site = sites_next(site))
		if (same_place(site, place))
			site->without = without;
}

/* Is this the first site of its place? */
static bool is_first(const struct sm_site *site)
{
	for (struct sm_site *other = sites_next(NULL); other != site; other = sites_next(other))
		if (same_place(site, other))
			return false;
	return true;
}

/* -- which scenarios come by ------------------------------------------------------- */

static unsigned hits_of(const struct sm_site *place)
{
	unsigned hits = 0;

	for (struct sm_site *site = sites_next(NULL); site; site = sites_next(site))
		hits += same_place(site, place) ? site->hits : 0;
	return hits;
}

/* Hits of every site so far, in the order of sites_next. */
static void note_hits(unsigned *hits)
{
	for (struct sm_site *site = sites_next(NULL); site; site = sites_next(site))
		*hits++ = hits_of(site);
}

struct survey {
	size_t sites;
	unsigned *before, *after;
	unsigned plays;
	unsigned *calls; /* [site][play]: how often, and once for certain if there is one play only */
	uint64_t cost[PLAYS_MAX];
};

/* What is played: scenarios, then pairs, then stories. */
static const char *play_name(unsigned i)
{
	unsigned n_pairs = 0;

	while (pair_name(n_pairs))
		n_pairs++;
	if (i < n_scenarios)
		return scenarios[i].name;
	i -= n_scenarios;
	return i < n_pairs ? pair_name(i) : story_name(i - n_pairs);
}

static unsigned count_plays(void)
{
	unsigned n = 0;

	while (play_name(n))
		n++;
	return n;
}

/* States played. */
static uint64_t explore(const struct options *opt, unsigned i, uint64_t mixes, uint64_t *violations)
{
	const char *name = play_name(i);
	struct options few = *opt;
	struct tally tally = { 0 };
	bool pair = false;

	for (unsigned n = 0; pair_name(n); n++)
		pair |= !strcmp(pair_name(n), name);
	few.mixes = mixes;
	few.weak = pair || i < n_scenarios || mixes != SURVEY_MIXES; /* stories are dear */
	few.op = few.story = name;
	if (i < n_scenarios)
		explore_scenario(&scenarios[i], &few, false, &tally);
	else
		tally.violations = pair ? pairs_play(&few).violations : stories_tell(&few);
	*violations = tally.violations;
	return tally.states[V_MIX];
}

static bool wanted(const struct options *opt, unsigned i)
{
	return !opt->op || !strcmp(opt->op, play_name(i));
}

/* In good health: nobody may complain. */
static unsigned make_survey(const struct options *opt, struct survey *s)
{
	unsigned complaints = 0;

	for (struct sm_site *site = sites_next(NULL); site; site = sites_next(site))
		s->sites++;
	s->before = calloc(2 * s->sites, sizeof(*s->before));
	s->after = s->before + s->sites;
	s->plays = count_plays();
	if (s->plays > PLAYS_MAX)
		arena_die("more scenarios, pairs and stories than PLAYS_MAX");
	s->calls = calloc(s->sites * s->plays, sizeof(*s->calls));
	for (unsigned i = 0; i < s->plays; i++) {
		uint64_t violations;

		if (!wanted(opt, i))
			continue;
		note_hits(s->before);
		explore(opt, i, SURVEY_MIXES, &violations);
		note_hits(s->after);
		complaints += violations != 0;
		if (violations)
			printf("with nothing left out: %s\n", play_name(i));
		for (size_t k = 0; k < s->sites; k++) {
			s->calls[k * s->plays + i] = s->after[k] - s->before[k] + (opt->op != NULL);
			s->cost[i] += s->after[k] - s->before[k];
		}
	}
	return complaints;
}

/* The one not tried yet that has most to do with a site; s->plays: none comes by. */
static unsigned next_play(const struct survey *s, size_t k, const bool *tried)
{
	const unsigned *calls = &s->calls[k * s->plays];
	unsigned best = s->plays;

	for (unsigned i = 0; i < s->plays; i++)
		if (calls[i] && !tried[i] && (best == s->plays || calls[i] * s->cost[best] > calls[best] * s->cost[i]))
			best = i;
	return best;
}

/* -- one order left out -------------------------------------------------------------- */

struct notice {
	const char *by; /* scenario or story; NULL: nobody */
	uint64_t mixes;
};

static struct notice noticed(const struct options *opt, const struct survey *s, size_t k, const struct sm_site *site,
			     enum sm_order without)
{
	bool tried[PLAYS_MAX] = { false };
	struct notice n = { NULL, 0 };
	unsigned i, plays = 0;

	leave_out(site, without);
	while (!n.by && plays < PLAYS_EACH && (i = next_play(s, k, tried)) < s->plays) {
		uint64_t violations, states;

		tried[i] = true;
		plays++;
		states = explore(opt, i, opt->mixes, &violations);
		if (violations)
			n = (struct notice){ play_name(i), states };
	}
	leave_out(site, 0);
	return n;
}

/* By the one that is listed. */
static struct notice noticed_by(const struct options *opt, const struct sm_site *site, enum sm_order without,
				const struct order_note *note)
{
	struct notice n = { NULL, 0 };
	uint64_t violations;
	unsigned i = 0;

	while (play_name(i) && strcmp(play_name(i), note->by))
		i++;
	if (!play_name(i))
		return n;
	leave_out(site, without);
	n.mixes = explore(opt, i, note->mixes, &violations);
	leave_out(site, 0);
	n.by = violations ? note->by : NULL;
	return n;
}

static const char *file_of(const struct sm_site *site)
{
	const char *file = strstr(site->file, "libdaxfs/");

	return file ? file + strlen("libdaxfs/") : site->file;
}

/* True: not noticed, and no reason is known. */
static bool report(const struct sm_site *site, const struct step *step, const struct notice *n,
		   const struct order_note *note)
{
	const char *because = note ? note->because : NULL;

	printf("%s:%u %s %s %s: ", file_of(site), site->line, site->func, site->call, step->name);
	if (n->by)
		printf("%s, %" PRIu64 "%s\n", n->by, n->mixes, because ? " (listed as not noticed)" : "");
	else
		printf("%s%s\n", because ? because : "NOT NOTICED", note && note->by ? " any more" : "");
	fflush(stdout);
	return !n->by && !because;
}

static bool chosen(const struct options *opt, const struct sm_site *site, unsigned nth)
{
	bool reads_only = strstr(site->file, "/inspect/") && !strstr(site->file, "/repair_run.c");

	return is_first(site) && !reads_only && (!opt->func || !strcmp(opt->func, site->func)) &&
	       nth % opt->shards == opt->shard - 1;
}

/* Rows of the table in docs/TESTING.md: calls of one function that are judged alike in one. */
static unsigned print_table(void)
{
	const struct options all = { .shard = 1, .shards = 1 };
	const struct order_note *last = NULL;
	const char *func = "";

	printf("| function | call | without | noticed by, or why not |\n|---|---|---|---|\n");
	for (struct sm_site *site = sites_next(NULL); site; site = sites_next(site))
		for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
			const struct order_note *note;

			if (steps[i].of != site->order || !chosen(&all, site, 0))
				continue;
			note = weak_note(site, steps[i].without);
			if (note == last && !strcmp(func, site->func))
				continue;
			last = note;
			func = site->func;
			printf("| %s %s | %s | %s | %s%s%s |\n", file_of(site), site->func, site->call, steps[i].name,
			       !note      ? "?"
			       : note->by ? "`"
					  : note->because,
			       note && note->by ? note->by : "", note && note->by ? "`" : "");
		}
	return 0;
}

/* The k-th site without one of its orders. True: nobody notices, for no reason. */
static bool try_step(const struct options *opt, struct survey *s, size_t k, const struct sm_site *site,
		     const struct step *step)
{
	const struct order_note *note = opt->op ? NULL : weak_note(site, step->without);
	struct notice n = { NULL, 0 };

	if (note && note->by) {
		n = noticed_by(opt, site, step->without, note);
	} else if (!note || opt->every) {
		if (!s->sites)
			make_survey(opt, s);
		n = noticed(opt, s, k, site, step->without);
	}
	return report(site, step, &n, note);
}

unsigned weak_sites(const struct options *given)
{
	struct options opt = *given;
	struct survey s = { 0 };
	unsigned failed = 0, done = 0, nth = 0;
	size_t k = 0;

	if (given->table)
		return print_table();
	opt.quiet = opt.first_only = opt.weak = opt.orders = opt.gpf = true;
	opt.wb = false;
	opt.mixes = opt.mixes ? opt.mixes : MIXES;
	for (struct sm_site *site = sites_next(NULL); site; site = sites_next(site), k++)
		for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
			if (steps[i].of != site->order || !chosen(&opt, site, nth++))
				continue;
			failed += try_step(&opt, &s, k, site, &steps[i]);
			done++;
		}
	free(s.before);
	free(s.calls);
	printf("%u orders left out\n%u passed, %u failed\n", done, done - failed, failed);
	return failed;
}
