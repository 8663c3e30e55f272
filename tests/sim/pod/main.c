/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - daxfs-sim --pod: many seeds, and what to say about them.
 *
 * Exit status: 0 no violation, 1 violations, or a fault of the simulator itself
 * (a seed that does not repeat itself), 2 wrong use.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pod/store.h"
#include "sync/counters.h"

#define OPS_MAX 4096u /* more than any seed has */
#define CHECK_SEED 1u
#define CHECK_SEEDS 150u
#define TINY_SEQ 12u
#define REPEAT_EVERY 50u /* seeds, of which one is run again to compare hashes */

static const char usage_text[] = "usage: daxfs-sim --pod [options]\n"
				 "  --seed S         the first seed (default 1)\n"
				 "  --seeds N        how many (default 1)\n"
				 "  --trace          print everything that happens\n"
				 "  --keep-going     not only up to the first violation; they are not made smaller\n"
				 "  --check          the canary, then 150 seeds from the first one: for scripts/check\n"
				 "  --tiny           lanes use up their numbers every 12 records, and start again\n"
				 "  --storage        files of storage that fails, delays, tears and reorders\n"
				 "  --mutants        plant each mistake in turn: which one does nobody notice?\n"
				 "  --mutant NAME    only that one\n"
				 "of one seed, to make it smaller:\n"
				 "  --ops N          at most so many operations\n"
				 "  --faults MASK    only these faults strike\n"
				 "  --turns FROM:TO  only these turns are cut short\n";

struct pod_options {
	uint64_t seed, seeds;
	bool trace, keep_going, mutants, check;
	const char *mutant;
	struct limits limits;
};

static bool parse(int argc, char **argv, struct pod_options *o)
{
	static const struct option longs[] = {
		{ "pod", 0, NULL, 'p' },     { "seed", 1, NULL, 's' },       { "seeds", 1, NULL, 'n' },
		{ "trace", 0, NULL, 't' },   { "ops", 1, NULL, 'o' },        { "faults", 1, NULL, 'f' },
		{ "turns", 1, NULL, 'u' },   { "keep-going", 0, NULL, 'k' }, { "mutants", 0, NULL, 'm' },
		{ "mutant", 1, NULL, 'M' },  { "check", 0, NULL, 'c' },      { "tiny", 0, NULL, 'y' },
		{ "storage", 0, NULL, 'S' }, { NULL, 0, NULL, 0 },
	};
	char *colon;
	int c;

	*o = (struct pod_options){ .seed = 1, .seeds = 1, .limits = { .turns = UINT64_MAX, .faults = UINT64_MAX } };
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'p': break;
		case 's': o->seed = strtoull(optarg, NULL, 0); break;
		case 'n': o->seeds = strtoull(optarg, NULL, 0); break;
		case 't': o->trace = true; break;
		case 'k': o->keep_going = true; break;
		case 'M': o->mutant = optarg; /* fall through */
		case 'm': o->mutants = true; break;
		case 'c':
			o->check = true;
			o->seed = CHECK_SEED;
			o->seeds = CHECK_SEEDS;
			break;
		case 'S': store_wanted = true; break;
		case 'y': counter_ends.seq = TINY_SEQ; break;
		case 'o': o->limits.ops = strtoull(optarg, NULL, 0); break;
		case 'f': o->limits.faults = strtoull(optarg, NULL, 0); break;
		case 'u':
			o->limits.turns_from = strtoull(optarg, &colon, 0);
			o->limits.turns = *colon == ':' ? strtoull(colon + 1, NULL, 0) : UINT64_MAX;
			break;
		default: return false;
		}
	}
	return optind == argc;
}

static void print_setting(void)
{
	static const char *const biases[BIASES] = { "random", "priorities", "starving one" };
	unsigned n = 0;

	printf("  %u machines, %u workers each, %s, %" PRIu64 " KiB, turns %s of about %u steps\n", pod.machines,
	       pod.workers, pod.wb ? "wb" : "gpf", pod.size >> 10, biases[pod.bias], pod.turn_mean);
	printf("  faults:");
	for (unsigned i = 0; i < pod.n_faults; i++)
		if (pod.limits.faults >> i & 1)
			n += printf("%s %u:%s@%" PRIu64, n ? "," : "", i, fault_name(pod.fault[i].kind),
				    pod.fault[i].step) > 0;
	printf("%s\n", n ? "" : " none");
}

/* A seed that fails: what, and a small schedule. */
static void explain(uint64_t seed, struct limits limits)
{
	struct tallies ignored = { 0 };

	printf("VIOLATION seed %" PRIu64 ": %s\n", seed, pod.violation);
	print_setting();
	fflush(stdout);
	limits.ops = limits.ops ? limits.ops : OPS_MAX;
	if (limits.turns == UINT64_MAX)
		limits.turns = pod.turn + 1;
	for (unsigned i = pod.next_fault; i < FAULTS_MAX; i++)
		limits.faults &= ~(1ull << i);
	pod_shrink(seed, &limits);
	trace_mode(TRACE_TAIL);
	pod_run(seed, &limits, &ignored);
	trace_tail(stdout);
	trace_mode(TRACE_OFF);
	printf("VIOLATION seed %" PRIu64 ", made smaller: %s\n", seed, pod.violation);
	print_setting();
	printf("  replay: daxfs-sim --pod%s%s --seed %" PRIu64 " --ops %" PRIu64 " --faults 0x%" PRIx64
	       " --turns %" PRIu64 ":%" PRIu64 " --trace\n",
	       counter_ends.seq == TINY_SEQ ? " --tiny" : "", store_wanted ? " --storage" : "", seed, limits.ops,
	       limits.faults, limits.turns_from, limits.turns);
	fflush(stdout);
}

static bool repeats(uint64_t seed, const struct limits *limits)
{
	struct tallies ignored = { 0 };
	uint64_t hash = pod.hash, steps = pod.steps;

	pod_run(seed, limits, &ignored);
	if (pod.hash == hash && pod.steps == steps)
		return true;
	printf("VIOLATION seed %" PRIu64 " does not repeat itself: %" PRIu64 " steps, then %" PRIu64 "\n", seed, steps,
	       pod.steps);
	return false;
}

static void print_tallies(const struct tallies *t, double seconds)
{
	printf("%" PRIu64 " seeds, %" PRIu64 " seam calls, %" PRIu64 " operations, %" PRIu64 " commits (%" PRIu64
	       " by others, %" PRIu64 " lost with a cache); %.1f s: %.0f seeds/s, %.0f seam calls/s\n",
	       t->seeds, t->steps, t->ops, t->commits, t->helped, t->lost, seconds, (double)t->seeds / seconds,
	       (double)t->steps / seconds);
	printf("deaths %" PRIu64 " rejoins %" PRIu64 " recoveries %" PRIu64 " (again %" PRIu64 ", given up %" PRIu64
	       ") by themselves %" PRIu64 " takeovers %" PRIu64 " lanes over %" PRIu64 " checks %" PRIu64 "\nfaults:",
	       t->deaths, t->rejoins, t->recoveries, t->twice, t->given_up, t->revivals, t->takeovers, t->rests,
	       t->checks);
	for (unsigned k = 0; k < FAULT_KINDS; k++)
		printf(" %s %" PRIu64, fault_name((enum fault_kind)k), t->fault[k]);
	printf(" zombie %" PRIu64 " cache-loss %" PRIu64 "\noperations ended alone beside a dead host %" PRIu64
	       ", reads judged block by block %" PRIu64 "; views %" PRIu64 " drafts %" PRIu64 " locks %" PRIu64 "\n",
	       t->zombies, t->wiped, t->alone, t->lenient, t->views, t->drafts, t->locks);
	printf("extents:");
	for (unsigned k = 0; k < EXTENT_EVENTS; k++)
		printf(" %s %" PRIu64, extent_event_name((enum extent_event)k), t->extent[k]);
	printf(" poisoned %" PRIu64 "\n", t->extents_poisoned);
	if (store_wanted)
		printf("storage: errors %" PRIu64 ", fsyncs %" PRIu64 ", asks served %" PRIu64 "\n", t->storage_errors,
		       t->fsyncs, t->served);
}

int pod_main(int argc, char **argv)
{
	struct tallies tallies = { 0 };
	struct pod_options o;
	uint64_t violations = 0;
	clock_t start = clock();

	if (!parse(argc, argv, &o)) {
		fputs(usage_text, stderr);
		return 2;
	}
	if (o.mutants)
		return mutants_run(o.mutant, o.seed, o.seeds > 1 ? o.seeds : 0) != 0;
	if (o.check && !mutants_canary(o.seed)) {
		printf("VIOLATION the canary is not noticed: the simulator is broken\n");
		return 1;
	}
	if (o.trace)
		trace_mode(TRACE_ALL);
	for (uint64_t i = 0; i < o.seeds && (o.keep_going || !violations); i++) {
		bool ok = pod_run(o.seed + i, &o.limits, &tallies);

		if (!ok && (o.trace || o.keep_going))
			printf("VIOLATION seed %" PRIu64 ": %s\n", o.seed + i, pod.violation);
		else if (!ok)
			explain(o.seed + i, o.limits);
		else if (!o.trace && i % REPEAT_EVERY == 0)
			ok = repeats(o.seed + i, &o.limits);
		violations += !ok;
	}
	print_tallies(&tallies, (double)(clock() - start) / CLOCKS_PER_SEC + 1e-9);
	printf("%" PRIu64 " violations\n", violations);
	return violations != 0;
}
