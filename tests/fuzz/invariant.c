/* SPDX-License-Identifier: Apache-2.0 */
/* invariant.c - see invariant.h. */
#include "invariant.h"

#include <stdio.h>
#include <stdlib.h>

#include "fixture.h"

void demand(bool holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "demanded: %s\n", what);
	abort();
}

void demand_answer(long rc, long most, const char *what)
{
	static int verbose = -1;

	if (verbose < 0)
		verbose = getenv("FUZZ_VERBOSE") != NULL;
	if (verbose)
		fprintf(stderr, "%s: %ld\n", what, rc);
	if (rc > most || rc < -4095)
		fprintf(stderr, "%ld: ", rc);
	demand(rc <= most && rc >= -4095, what);
}

const char *demand_pool(unsigned fixture)
{
	struct fixture *s = fixture_get();

	fixture_restore(s, fixture);
	return s->path;
}
