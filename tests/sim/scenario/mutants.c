/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mutants.c - the library without one of its write-backs.
 *
 * For each call site of sm_flush and sm_drain: left out, does any scenario in
 * a wb pool end in a violation? One that nobody misses is either not needed or
 * not tested, and both are worth knowing. Takes minutes; not part of the tests.
 */
#include <stdlib.h>

#include "sim.h"

static bool is_write_back(const struct sm_site *site)
{
	return !strcmp(site->call, "persist") || !strcmp(site->call, "drain");
}

/* Which scenarios call each site, from one run in good health. */
static bool *survey(const struct options *opt, size_t n_sites)
{
	bool *calls = calloc(n_sites * n_scenarios, sizeof(*calls));
	unsigned *before = calloc(n_sites, sizeof(*before));

	for (unsigned i = 0; calls && before && i < n_scenarios; i++) {
		struct tally tally;
		size_t k = 0;

		for (const struct sm_site *site = sites_next(NULL); site; site = sites_next(site))
			before[k++] = site->hits;
		if (!opt->op || !strcmp(opt->op, scenarios[i].name))
			explore_scenario(&scenarios[i], opt, true, &tally);
		k = 0;
		for (const struct sm_site *site = sites_next(NULL); site; site = sites_next(site), k++)
			calls[k * n_scenarios + i] = site->hits != before[k];
	}
	free(before);
	return calls;
}

/* The first scenario that notices, or NULL. */
static const struct scenario *noticed_by(const struct options *opt, const struct sm_site *site, const bool *calls)
{
	for (unsigned i = 0; i < n_scenarios; i++) {
		struct tally tally;

		if (!calls[i])
			continue;
		seam_break_site(site);
		explore_scenario(&scenarios[i], opt, true, &tally);
		seam_break_site(NULL);
		if (tally.violations)
			return &scenarios[i];
	}
	return NULL;
}

unsigned mutants(const struct options *given)
{
	struct options opt = *given;
	unsigned sites = 0, missed = 0;
	size_t n_sites = 0, k = 0;
	bool *calls;

	opt.quiet = opt.first_only = true;
	for (const struct sm_site *site = sites_next(NULL); site; site = sites_next(site))
		n_sites++;
	calls = survey(&opt, n_sites);
	for (const struct sm_site *site = sites_next(NULL); calls && site; site = sites_next(site), k++) {
		const struct scenario *by;

		if (!is_write_back(site) || (opt.func && strcmp(opt.func, site->func)))
			continue;
		by = noticed_by(&opt, site, &calls[k * n_scenarios]);
		sites++;
		missed += !by;
		printf("%s %s:%u %s: %s\n", site->call, site->file, site->line, site->func,
		       by ? by->name : "NOT NOTICED");
		fflush(stdout);
	}
	free(calls);
	printf("%u write-backs left out one by one, %u not noticed\n", sites, missed);
	return missed;
}
