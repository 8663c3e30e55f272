/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - daxfs-sim: the real library on simulated hosts; see sim.h.
 *
 * Exit status: 0 no violation, 1 violations or a crash point never reached,
 * 2 wrong use or no memory.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "pod/pod.h"
#include "sim.h"
#include "sync/counters.h"

static const char usage_text[] =
	"usage: daxfs-sim [options]\n"
	"  --op NAME           only this scenario (--list names them)\n"
	"  --domain DOMAIN     gpf, wb or both (default)\n"
	"  --variant NAME      only recover, survive, recover-crash, survive-crash, take-over, take-over-crash,\n"
	"                      revive, revive-crash, pause, pause-both, pause-crash, resume-crash, tangle,\n"
	"                      bystand, revoke or mix\n"
	"  --seed S            which states are sampled, which lines are lost (default 1)\n"
	"  --quick | --full    fewer samples of products of steps, or nearly all of them\n"
	"  --share PERCENT     of the scenarios, in each of two kinds of pools (for slow machines), and as many of\n"
	"                      the others as it takes to crash at each place\n"
	"  --step N            only this step of the operation\n"
	"  --recovery-step M   only this step of the recovery, or of the second host\n"
	"  --trace             print the seam calls of the operation\n"
	"  --sites             list the seam calls that were never a crash point\n"
	"  --selftest          only the simulator's own tests (done in every complete run)\n"
	"  --mutants           leave out each write-back in turn: which one does nobody miss?\n"
	"  --func NAME         with --mutants: only those of this function\n"
	"  --worlds            small worlds instead, exhaustively\n"
	"  --shard K/N         of every N scenarios, or with --worlds worlds, the K-th\n"
	"  --world W           ... or only this one\n"
	"  --from W            ... or from this one on, and round\n"
	"  --minutes M         ... for so long\n"
	"  --every             judge what is known, too, in scenarios and --worlds; it must be the same\n"
	"  --story NAME        only this story of three hosts; all: all of them\n"
	"  --first             stop at the first violation\n"
	"  --repairs           only repairs that die at every step (--op NAME: of that damage)\n"
	"  --list              list the scenarios\n"
	"  --tiny              counters come round: versions have one bit, inodes are used twice\n"
	"  --weak              random turns in a weak memory: orders are taken at their word\n"
	"                      (--worlds: each pair of operations, one stopped anywhere; --story)\n"
	"  --mixes N           so many random turns a scenario\n"
	"  --orders            leave out each memory order in turn: which one does nobody miss?\n"
	"                      (with --func, --op, --shard, --mixes; --every: look for who notices\n"
	"                      what is listed with a reason, too; --table: only print the list)\n"
	"  --litmus            the weak memory itself against verdicts that are known\n"
	"  --pod ...           a whole pod from a seed: see --pod --help\n";

struct totals {
	uint64_t points, states, violations;
	unsigned passed, failed;
};

static double spent_by(int who)
{
	struct rusage u;

	getrusage(who, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

double sim_seconds(void)
{
	return spent_by(RUSAGE_SELF) + spent_by(RUSAGE_CHILDREN);
}

void sim_print_part(const char *name, double took)
{
	printf("%s: %.1f s\n", name, took);
	fflush(stdout);
}

static void print_tally(const char *name, bool wb, const struct tally *t, double took)
{
	uint64_t states = 0;

	for (unsigned v = 0; v < VARIANTS; v++)
		states += t->states[v];
	printf("%-22s %-3s %6" PRIu64 " steps %7" PRIu64 " states (", name, wb ? "wb" : "gpf", t->points, states);
	for (unsigned v = 0; v < VARIANTS; v++)
		printf("%s%" PRIu64, v ? " " : "", t->states[v]);
	printf(") %" PRIu64 " violations %.1f s\n", t->violations, took);
	fflush(stdout);
}

/* By a number that each scenario has. One kind of pool comes first, wb or gpf by turns, then the other. */
static bool left_out(const struct options *opt, unsigned scenario, bool wb)
{
	uint64_t draw = (scenario + opt->seed) * 0x9e3779b97f4a7c15ull;
	bool second = wb != (draw >> 62 & 1);

	return (draw >> 32) % 100 + (second ? 100 : 0) >= 2 * opt->share;
}

/* In those pools in which it was left out, or in those in which it was not. */
static void run_scenario(unsigned scenario, const struct options *opt, bool out, struct totals *totals)
{
	const struct scenario *sc = &scenarios[scenario];
	uint64_t violations = 0;
	bool played = false;

	for (unsigned wb = 0; wb < 2; wb++) {
		struct tally tally = { 0 };
		double start = sim_seconds();

		if ((wb ? !opt->wb : !opt->gpf) || left_out(opt, scenario, wb) != out)
			continue;
		played = true;
		explore_scenario(sc, opt, wb, &tally);
		print_tally(sc->name, wb, &tally, sim_seconds() - start);
		totals->points += tally.points;
		for (unsigned v = 0; v < VARIANTS; v++)
			totals->states += tally.states[v];
		violations += tally.violations;
	}
	totals->violations += violations;
	totals->passed += played && violations == 0;
	totals->failed += violations != 0;
}

/* Until each place was a crash point: what was left out, from the end. */
static void make_up(const struct options *opt, struct totals *totals)
{
	unsigned n = n_scenarios, missed = sites_missed();

	printf("a share of %u %%: %u places were no crash point yet\n", opt->share, missed);
	while (n-- > 0 && missed && !totals->violations) {
		run_scenario(n, opt, true, totals);
		missed = sites_missed();
	}
}

static void add_pairs(const struct options *opt, struct totals *totals)
{
	struct pairs_tally tally = pairs_play(opt);

	totals->violations += tally.violations;
	totals->passed += tally.passed;
	totals->failed += tally.failed;
}

static void add_repairs(const struct options *opt, struct totals *totals)
{
	double start = sim_seconds();
	uint64_t violations = repairs(opt);

	sim_print_part("repairs", sim_seconds() - start);
	totals->violations += violations;
	totals->passed += violations == 0;
	totals->failed += violations != 0;
}

/* Of every complete run: number of failures. */
static unsigned end_whole(const struct options *opt)
{
	unsigned failed = selftest(opt);
	double start = sim_seconds();

	failed += stories_tell(opt);
	sim_print_part("stories", sim_seconds() - start);
	return failed;
}

static int list(void)
{
	for (unsigned i = 0; i < n_scenarios; i++)
		printf("%s\n  setup %s\n  a     %s\n  b     %s\n", scenarios[i].name, scenarios[i].setup,
		       scenarios[i].a, scenarios[i].b);
	return 0;
}

/* --tiny: versions come round with every second change, and an inode can be used twice. Numbers of
 * lanes end in pods alone, where hosts can wait for each other. */
static const struct counter_ends tiny = { .version = 1, .seq = DAXFS_SEQ_MASK, .i_generation = 2 };

static int parse(int argc, char **argv, struct options *opt)
{
	static const struct option longs[] = {
		{ "op", 1, NULL, 'o' },      { "domain", 1, NULL, 'd' },  { "variant", 1, NULL, 'v' },
		{ "seed", 1, NULL, 's' },    { "quick", 0, NULL, 'q' },   { "full", 0, NULL, 'f' },
		{ "step", 1, NULL, 'n' },    { "trace", 0, NULL, 't' },   { "recovery-step", 1, NULL, 'm' },
		{ "list", 0, NULL, 'l' },    { "help", 0, NULL, 'h' },    { "selftest", 0, NULL, 'S' },
		{ "mutants", 0, NULL, 'M' }, { "func", 1, NULL, 'F' },    { "first", 0, NULL, '1' },
		{ "sites", 0, NULL, 'c' },   { "worlds", 0, NULL, 'w' },  { "world", 1, NULL, 'W' },
		{ "shard", 1, NULL, 'K' },   { "from", 1, NULL, 'R' },    { "minutes", 1, NULL, 'T' },
		{ "table", 0, NULL, 'B' },   { "litmus", 0, NULL, 'L' },  { "orders", 0, NULL, 'O' },
		{ "weak", 0, NULL, 'k' },    { "mixes", 1, NULL, 'x' },   { "story", 1, NULL, 'Y' },
		{ "every", 0, NULL, 'E' },   { "repairs", 0, NULL, 'P' }, { "tiny", 0, NULL, 'y' },
		{ "share", 1, NULL, 'H' },   { NULL, 0, NULL, 0 },
	};
	int c;

	*opt = (struct options){ .seed = 1, .gpf = true, .wb = true, .shard = 1, .shards = 1, .share = 100 };
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'o': opt->op = optarg; break;
		case 'd':
			opt->gpf = strcmp(optarg, "wb") != 0;
			opt->wb = strcmp(optarg, "gpf") != 0;
			break;
		case 'v': opt->variant = optarg; break;
		case 's': opt->seed = strtoull(optarg, NULL, 0); break;
		case 'q': opt->quick = true; break;
		case 'f': opt->full = true; break;
		case 'n': opt->step = strtoull(optarg, NULL, 0); break;
		case 'm': opt->recovery_step = strtoull(optarg, NULL, 0); break;
		case 't': opt->trace = true; break;
		case 'l': exit(list());
		case 'c': opt->sites = true; break;
		case 'S': opt->selftest = true; break;
		case '1': opt->first_only = true; break;
		case 'P': opt->repairs = true; break;
		case 'y': counter_ends = tiny; break;
		case 'E': opt->every = true; break;
		case 'F': opt->func = optarg; break;
		case 'w': opt->worlds = true; break;
		case 'W':
			opt->one_world = true;
			opt->world = (unsigned)strtoul(optarg, NULL, 0);
			break;
		case 'R': opt->world = (unsigned)strtoul(optarg, NULL, 0); break;
		case 'Y': opt->story = optarg; break;
		case 'T': opt->minutes = (unsigned)strtoul(optarg, NULL, 0); break;
		case 'K':
			if (sscanf(optarg, "%u/%u", &opt->shard, &opt->shards) != 2 || opt->shard - 1 >= opt->shards)
				return -1;
			break;
		case 'H':
			opt->share = (unsigned)strtoul(optarg, NULL, 0);
			if (opt->share - 1 >= 100)
				return -1;
			break;
		case 'k':
			opt->weak = true;
			opt->variant = "mix";
			break;
		case 'x': opt->mixes = strtoull(optarg, NULL, 0); break;
		case 'O': opt->orders = true; break;
		case 'B': opt->table = true; break;
		case 'L': exit(weak_litmus() != 0);
		case 'M': opt->mutants = true; break;
		default: return -1;
		}
	}
	return optind == argc ? 0 : -1;
}

static bool whole(const struct options *opt)
{
	return !opt->op && !opt->variant && !opt->step && !opt->recovery_step && opt->gpf && opt->wb &&
	       opt->shards == 1;
}

static bool asked(const struct options *opt, unsigned scenario)
{
	if (opt->op && strcmp(opt->op, scenarios[scenario].name))
		return false;
	return scenario % opt->shards == opt->shard - 1;
}

/* What is asked for in place of the scenarios: true, with the exit status. */
static bool run_instead(struct options *opt, int *status)
{
	if (opt->repairs) {
		*status = repairs(opt) != 0;
		sites_report(false, opt->sites);
	} else if (opt->selftest) {
		*status = selftest(opt) != 0;
	} else if (opt->mutants) {
		*status = mutants(opt) != 0;
	} else if (opt->orders) {
		*status = weak_sites(opt) != 0;
	} else if (opt->worlds) {
		*status = (int)worlds(opt);
	} else if (opt->story) {
		opt->story = strcmp(opt->story, "all") ? opt->story : NULL;
		*status = stories_tell(opt) != 0;
	} else {
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct totals totals = { 0 };
	struct options opt;
	unsigned missed;
	int status;

	seam_guard();
	if (argc > 1 && !strcmp(argv[1], "--pod"))
		return pod_main(argc, argv);
	if (parse(argc, argv, &opt)) {
		fputs(usage_text, stderr);
		return 2;
	}
	if (run_instead(&opt, &status))
		return status;
	printf("seed %" PRIu64 "; states are listed as", opt.seed);
	for (unsigned v = 0; v < VARIANTS; v++)
		printf(" %s", variant_name(v));
	printf("\n");
	for (unsigned i = 0; i < n_scenarios && !(opt.first_only && totals.failed); i++)
		if (asked(&opt, i))
			run_scenario(i, &opt, false, &totals);
	if (opt.weak)
		add_pairs(&opt, &totals);
	if (whole(&opt))
		add_repairs(&opt, &totals);
	if (whole(&opt) && opt.share < 100)
		make_up(&opt, &totals);
	missed = opt.weak ? 0 : sites_report(whole(&opt), whole(&opt) || opt.sites);
	if (whole(&opt))
		missed += end_whole(&opt);
	printf("%" PRIu64 " crash points, %" PRIu64 " states, %" PRIu64 " violations; %.1f s of processor\n",
	       totals.points, totals.states, totals.violations, sim_seconds());
	printf("%u passed, %u failed\n", totals.passed, totals.failed + missed);
	return totals.violations || missed || !(totals.passed + totals.failed);
}
