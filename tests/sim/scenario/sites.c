/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sites.c - was every call of the seam a crash point?
 *
 * The linker gathers the sites of the library in one section. A site in the
 * parts that change the pool must have been a crash point, or be excused here
 * with the reason why no scenario can or need get there.
 */
#include <stdlib.h>

#include "sim.h"

/* Named by the linker after the section. */
extern struct sm_site __start_daxfs_sites[];
extern struct sm_site __stop_daxfs_sites[];

#define READS_ONLY "reads only: a crash in it leaves nothing"
#define NO_FAULT "only after a load that failed, which the simulator's do not: tests/unit/test_poison.c"

static const struct excuse {
	const char *file, *func, *call, *reason;
} excuses[] = {
	{ "inspect/check", NULL, NULL, READS_ONLY },
	{ "inspect/dump", NULL, NULL, READS_ONLY },
	{ "inspect/dryrun.c", NULL, NULL, READS_ONLY },
	{ "inspect/inspect.c", NULL, NULL, READS_ONLY },
	{ "inspect/backup.c", NULL, NULL, READS_ONLY },
	{ "inspect/coherence.c", NULL, NULL, "caches are coherent here: tests/unit/test_ctl_coherence.c" },
	{ "inspect/repair.c", NULL, NULL, READS_ONLY },
	{ "fs/mend.c", "mend_once", "load", NO_FAULT },
	{ "recover/recover.c", "drop_held", "load", NO_FAULT },
	{ "inspect/repair_run.c", "load_page", NULL, NO_FAULT },
	{ "inspect/repair_run.c", "holds_bytes", NULL, NO_FAULT },
	{ "space/lost.c", NULL, NULL, NO_FAULT },
	{ "sync/lane.c", "lane_take_over", NULL, NO_FAULT },
	{ "sync/epoch.c", "epoch_take_over", NULL, NO_FAULT },
	{ "sync/record_recover.c", "node_committed", "load", READS_ONLY },
	{ "sync/record_recover.c", "among_words", "load", READS_ONLY },
	{ "sync/record_recover.c", "recover_claim", "load", READS_ONLY },
	{ "sync/record.c", "resolve_entry", "cas", "after a version came round: model claim, tests/unit/test_claim.c" },
	{ "sync/rest.c", "lane_rest", NULL, "after 2^43 records: tests/unit/test_claim.c has what a crash leaves" },
	{ "sync/member.c", "member_move_own", "load", READS_ONLY },
	{ "sync/timing.c", "timing_load", "load", READS_ONLY },
	{ "sync/features.c", "enable", NULL,
	  "one word, by one CAS: tests/unit/test_features.c, and the pair join-enable" },
	{ "sync/features.c", "daxfs_member_feature", "load", READS_ONLY },
	{ "sync/features.c", "daxfs_member_speaks", "load", READS_ONLY },
	{ "sync/features.c", "features_incompat", "load", "in pools of an older version: tests/unit/test_features.c" },
	{ "sync/timing.c", "change", NULL, "one word, by one CAS: tests/unit/test_fabricd_heartbeat.c, and pods" },
	{ "sync/lobby.c", "named", "load", READS_ONLY },
	{ "fs/membership.c", "beat", "load", "needs another thread of the same host: hosts have one here" },
	{ "fs/cache.c", "look_at_words", "load", READS_ONLY },
	{ "fs/cache.c", "read_oldest", "load", READS_ONLY },
	{ "fs/lease.c", "lease_since", "load", READS_ONLY },
	{ "fs/lease.c", "forget_moved", "load", READS_ONLY },
	{ "fs/attr.c", "find_source", "load", READS_ONLY },
	{ "fs/cache_scan.c", "is_it", "load", READS_ONLY },
	{ "fs/cache.h", "cache_is_dirty", "load", READS_ONLY },
	{ "fs/cache.c", "cache_tell", "store", "figures for people, of one writer: nothing relies on them" },
	{ "fs/cache.c", "tell_now", "store", "figures for people, of one writer: nothing relies on them" },
	{ "fs/heat.h", NULL, NULL, "a hint, which the simulator sees as none: tests/unit/test_heat.c has garbage" },
	{ "fs/heat.c", NULL, NULL, "a hint, which the simulator sees as none: tests/unit/test_heat.c has garbage" },
	{ "fs/lease.c", "disinherit", "load", "of a tenant that grants nothing, after T: tests/unit/test_lease.c" },
	{ "fs/resume.c", "settle", "load", READS_ONLY },
	{ "fs/resume.c", "daxfs_tenancy", "load", READS_ONLY },
	{ "space/usage.c", NULL, NULL, READS_ONLY },
	{ "sync/summary.c", "close_above", "load", "needs a larger pool: tests/unit/test_summary.c has two levels" },
};

static const char *const parts[] = { "fs/", "index/", "space/", "sync/", "recover/", "inspect/" };

static const char *in_library(const char *file)
{
	const char *at = strstr(file, "libdaxfs/");

	return at ? at + strlen("libdaxfs/") : NULL;
}

static bool counts(const char *file)
{
	for (unsigned i = 0; file && i < sizeof(parts) / sizeof(parts[0]); i++)
		if (!strncmp(file, parts[i], strlen(parts[i])))
			return true;
	return false;
}

static bool starts(const char *text, const char *with)
{
	return !with || !strncmp(text, with, strlen(with));
}

static const struct excuse *excuse_of(const struct sm_site *site)
{
	const char *file = in_library(site->file);

	for (unsigned i = 0; i < sizeof(excuses) / sizeof(excuses[0]); i++)
		if (starts(file, excuses[i].file) && starts(site->func, excuses[i].func) &&
		    starts(site->call, excuses[i].call))
			return &excuses[i];
	return NULL;
}

static int by_place(const void *a, const void *b)
{
	const struct sm_site *const *x = a, *const *y = b;
	int rc = strcmp((*x)->file, (*y)->file);

	if (rc == 0)
		rc = (*x)->line < (*y)->line ? -1 : (*x)->line > (*y)->line;
	return rc ? rc : strcmp((*x)->call, (*y)->call);
}

/* An inline function in a header has a site in each file that uses it: one place. */
static bool same_place(const struct sm_site *a, const struct sm_site *b)
{
	return a->line == b->line && !strcmp(a->file, b->file) && !strcmp(a->call, b->call);
}

struct coverage {
	unsigned sites, reached, excused, missed;
};

static void judge(struct coverage *c, const struct sm_site *site, unsigned crashes, bool list)
{
	const struct excuse *excuse = excuse_of(site);

	c->sites++;
	c->reached += crashes != 0;
	if (crashes)
		return;
	c->excused += excuse != NULL;
	if (excuse)
		return;
	c->missed++;
	if (list)
		printf("never a crash point: %s:%u %s in %s\n", site->file, site->line, site->call, site->func);
}

struct sm_site *sites_next(const struct sm_site *site)
{
	struct sm_site *next = site ? &__start_daxfs_sites[site - __start_daxfs_sites + 1] : __start_daxfs_sites;

	while (next < __stop_daxfs_sites && !counts(in_library(next->file)))
		next++;
	return next < __stop_daxfs_sites ? next : NULL;
}

static struct coverage judge_all(bool list)
{
	size_t n = (size_t)(__stop_daxfs_sites - __start_daxfs_sites), kept = 0;
	struct sm_site **sorted = calloc(n + 1, sizeof(*sorted));
	struct coverage c = { 0 };

	for (size_t i = 0; sorted && i < n; i++)
		if (counts(in_library(__start_daxfs_sites[i].file)))
			sorted[kept++] = &__start_daxfs_sites[i];
	if (kept)
		qsort(sorted, kept, sizeof(*sorted), by_place);
	for (size_t i = 0; i < kept;) {
		const struct sm_site *site = sorted[i];
		unsigned crashes = 0;

		for (; i < kept && same_place(site, sorted[i]); i++)
			crashes += sorted[i]->crashes;
		judge(&c, site, crashes, list);
	}
	free(sorted);
	return c;
}

unsigned sites_missed(void)
{
	return judge_all(false).missed;
}

unsigned sites_report(bool complete, bool list)
{
	struct coverage c = judge_all(list);

	printf("sites: %u in the library's fs index space sync recover inspect, "
	       "%u were crash points, %u excused, %u missed\n",
	       c.sites, c.reached, c.excused, c.missed);
	return complete ? c.missed : 0;
}
