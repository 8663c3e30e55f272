/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mutants.c - the library without one of its write-backs.
 *
 * For each call site of sm_persist and sm_drain: left out, does any scenario in
 * a wb pool end in a violation? One that nobody misses is either not needed or
 * not tested, and both are worth knowing. Takes minutes; not part of the tests.
 */
#include <stdlib.h>

#include "sim.h"

static bool is_write_back(const struct sm_site *site)
{
	return !strcmp(site->call, "persist") || !strcmp(site->call, "drain");
}

/* The first scenario that notices, or NULL. */
static const struct scenario *noticed_by(const struct options *opt, const struct sm_site *site)
{
	for (unsigned i = 0; i < n_scenarios; i++) {
		unsigned hits = site->hits;
		struct tally tally;

		if (opt->op && strcmp(opt->op, scenarios[i].name))
			continue;
		seam_break_site(site);
		explore_scenario(&scenarios[i], opt, true, &tally);
		seam_break_site(NULL);
		if (tally.violations && site->hits != hits)
			return &scenarios[i];
	}
	return NULL;
}

unsigned mutants(const struct options *given)
{
	struct options opt = *given;
	unsigned sites = 0, missed = 0;

	opt.quiet = opt.first_only = true;
	for (struct sm_site *site = sites_next(NULL); site; site = sites_next(site)) {
		const struct scenario *by;

		if (!is_write_back(site))
			continue;
		by = noticed_by(&opt, site);
		sites++;
		missed += !by;
		printf("%s %s:%u %s: %s\n", site->call, site->file, site->line, site->func,
		       by ? by->name : "NOT NOTICED");
		fflush(stdout);
	}
	printf("%u write-backs left out one by one, %u not noticed\n", sites, missed);
	return missed;
}
