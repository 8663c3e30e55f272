/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mutants.c - the library without one of its write-backs.
 *
 * For each call site of sm_flush and sm_drain: left out, does any scenario in
 * a wb pool end in a violation? One that nobody misses is either not needed or
 * not tested, and both are worth knowing. Takes minutes: one that nobody misses
 * takes as long as all scenarios that call it. Not part of the tests.
 */
#include <stdlib.h>

#include "sim.h"

static bool is_write_back(const struct sm_site *site)
{
	return !strcmp(site->call, "persist") || !strcmp(site->call, "drain");
}

/* Of one scenario and one site. */
struct meeting {
	unsigned seen; /* calls in a glance at it: with one death, at its first step */
	bool never;    /* it was played to its end, and did not call it */
};

/*
 * Which scenarios call which sites: those that do so most in a glance are tried first, for the verdict of each
 * opens files and reads, whatever the scenario is about. One that was played to its end says so of all sites.
 */
struct survey {
	struct options opt;
	size_t n_sites;
	struct meeting *meeting; /* n_sites of each scenario */
	unsigned *hits;          /* of each site, before */
	size_t *tried;           /* in each scenario: the last site, counted from 1 */
};

static size_t count_sites(void)
{
	size_t n = 0;

	for (const struct sm_site *site = sites_next(NULL); site; site = sites_next(site))
		n++;
	return n;
}

static struct meeting *meeting(const struct survey *s, unsigned scenario, size_t site)
{
	return &s->meeting[scenario * s->n_sites + site];
}

static uint64_t play(struct survey *s, unsigned scenario, const struct options *opt)
{
	struct tally tally;
	size_t k = 0;

	for (const struct sm_site *site = sites_next(NULL); site; site = sites_next(site))
		s->hits[k++] = site->hits;
	explore_scenario(&scenarios[scenario], opt, true, &tally);
	return tally.violations;
}

static void glance(struct survey *s)
{
	struct options opt = s->opt;

	opt.variant = "recover";
	opt.step = 1;
	for (unsigned i = 0; i < n_scenarios; i++) {
		size_t k = 0;

		play(s, i, &opt);
		for (const struct sm_site *site = sites_next(NULL); site; site = sites_next(site), k++)
			meeting(s, i, k)->seen = site->hits - s->hits[k];
	}
}

/* A site is left out: does this scenario notice? */
static bool notices(struct survey *s, unsigned scenario, const struct sm_site *site)
{
	uint64_t violations;
	size_t k = 0;

	seam_break_site(site);
	violations = play(s, scenario, &s->opt);
	seam_break_site(NULL);
	for (site = sites_next(NULL); !violations && site; site = sites_next(site), k++)
		meeting(s, scenario, k)->never = site->hits == s->hits[k];
	return violations;
}

/* The scenario to try next with the k-th site; n_scenarios: there is none. */
static unsigned next_scenario(struct survey *s, size_t k)
{
	unsigned best = n_scenarios;

	for (unsigned i = 0; i < n_scenarios; i++) {
		if (s->tried[i] == k + 1 || meeting(s, i, k)->never ||
		    (s->opt.op && strcmp(s->opt.op, scenarios[i].name)))
			continue;
		if (best == n_scenarios || meeting(s, i, k)->seen > meeting(s, best, k)->seen)
			best = i;
	}
	return best;
}

/* A scenario that notices, or NULL. */
static const struct scenario *noticed_by(struct survey *s, const struct sm_site *site, size_t k)
{
	unsigned i;

	while ((i = next_scenario(s, k)) < n_scenarios) {
		s->tried[i] = k + 1;
		if (notices(s, i, site))
			return &scenarios[i];
	}
	return NULL;
}

static unsigned leave_out_each(struct survey *s)
{
	unsigned sites = 0, missed = 0;
	size_t k = 0;

	for (const struct sm_site *site = sites_next(NULL); site; site = sites_next(site), k++) {
		const struct scenario *by;

		if (!is_write_back(site) || (s->opt.func && strcmp(s->opt.func, site->func)))
			continue;
		by = noticed_by(s, site, k);
		sites++;
		missed += !by;
		printf("%s %s:%u %s: %s\n", site->call, site->file, site->line, site->func,
		       by ? by->name : "NOT NOTICED");
		fflush(stdout);
	}
	printf("%u write-backs left out one by one, %u not noticed\n", sites, missed);
	return missed + !sites;
}

unsigned mutants(const struct options *given)
{
	struct survey s = { .opt = *given, .n_sites = count_sites() };
	unsigned failed = 1;

	s.opt.quiet = s.opt.first_only = true;
	s.meeting = calloc(s.n_sites * n_scenarios, sizeof(*s.meeting));
	s.hits = calloc(s.n_sites, sizeof(*s.hits));
	s.tried = calloc(n_scenarios, sizeof(*s.tried));
	if (s.meeting && s.hits && s.tried) {
		glance(&s);
		failed = leave_out_each(&s);
	}
	free(s.meeting);
	free(s.hits);
	free(s.tried);
	return failed;
}
