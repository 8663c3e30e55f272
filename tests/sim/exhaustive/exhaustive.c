/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exhaustive.c - small worlds, explored to the end.
 *
 * Two directories, two files and a third name, and every operation on them; then
 * a file with an extent, and what makes, breaks, shows and frees one; then a file that
 * both hosts have open and have locked in part; then directories that are moved below each other, and pages
 * that are written over in one go or singly; then a file of storage. Of each of
 * these families: each pair of operations on two hosts, and each sequence of two
 * on one, woven as interleave.h says, in gpf and in wb pools; with an extent there is no
 * preemption but by death, because its records have so many words. Worlds are numbered, a
 * family's pairs first, then its sequences; a world's outcome depends on its number
 * alone, so that a run may be split into shards, and one world be run again.
 * In a weak memory the pairs alone are played, less exhaustively: weak/stops.c.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "machine/arena.h"
#include "sim.h"

static const char *const operations[] = {
	/* names */
	"create d/c",
	"create d/a",
	"mkdir d/c",
	"symlink d/c x",
	"link d/a d/c",
	"link d/a e/b",
	"unlink d/a",
	"unlink e/b",
	"mkdir d/s/c",
	"rmdir d/s",
	"rmdir d",
	/* moves */
	"rename d/a d/c",
	"rename d/a e/b",
	"rename e/b d/a",
	"rename d/a d/s/c",
	"rename d/s e/s",
	"rename e d/s/c",
	"noreplace d/a d/c",
	"exchange d/a e/b",
	"exchange d/a d/s",
	/* contents and attributes */
	"write d/a 3000 3000 3",
	"write d/a 4096 904 4",
	"write d/a 9000 100 5",
	"append d/a 300 6",
	"trunc d/a 100",
	"trunc d/a 9000",
	"chattr d/a 0600 1 2 4500",
	/* looking */
	"read d/a",
	"ls d",
	"stat d/a",
	"stat d/c",
	/* without copying */
	"review d/a 4096",
	"renew d/a 0",
	"draft d/a 0 4096 7",
	"draft d/a 0 8192 8",
	"undraft d/a",
};

/* Pages 16 to 31. */
static const char *const on_extents[] = {
	"write a 65536 65536 3",
	"write a 70000 100 4",
	"write a 65000 2000 5",
	"trunc a 70000",
	"trunc a 0",
	"append a 100 6",
	"unlink a",
	"read a",
	"renew a 70000",
	"draft a 65536 65536 7",
	"draft a 69632 4096 8",
};

/* Both hosts have a open. */
static const char *const on_open[] = {
	"hold a",       "release a",     "hold b",         "lock a 0 9 2",   "lock a 5 14 1",
	"lock a 0 9 0", "lock a 0 99 0", "lock a 40 49 2", "flock a 2",      "locked a 0 99 2",
	"unlink a",     "unlink b",      "rename b a",     "append a 100 3", "getattr a",
};

/* Who is above whom, three directories deep; and pages of f inside its size. */
static const char *const on_trees[] = {
	"rename d/s e/t/s",   "rename e/t d/s/t",    "rename d/s e/s",      "rename e/t d/t",
	"exchange d/s e/t",   "rmdir d/s",           "write f 4096 8192 3", "write f 4096 4096 4",
	"write f 5000 100 5", "write f 8192 4096 6", "trunc f 8000",
};

/* Pages that come and go inside the size of f, and its attributes. */
static const char *const on_ranges[] = {
	"punch f 4096 8192", "punch f 3000 9000", "allocate f 0 20000", "zero f 3000 3000", "write f 4096 4096 3",
	"append f 100 4",    "trunc f 5000",      "unlink f",           "read f",           "setx f 50 2 0",
	"setx f 60 3 1",     "dropx f 0",         "getx f 0",
};

/* A page in storage, and what becomes of its name. */
static const char *const on_stored[] = {
	"pread a 0 4096", "drop a 0 4096", "view a 0", "unlink a", "rename b a", "import a 300 8",
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct family {
	const char *tree;
	const char *const *operation;
	unsigned n, preemptions, flags;
} families[] = {
	{ "mkdir d;mkdir e;mkdir d/s;create d/a;write d/a 0 5000 1;create e/b;write e/b 0 700 2", operations,
	  COUNT(operations), PREEMPTIONS_MAX, 0 },
	{ "create a;draft a 65536 65536 1", on_extents, COUNT(on_extents), 0, 0 },
	{ "create a;write a 0 700 1;create b;hold a;1:hold a;lock a 0 9 2;1:lock a 20 29 1", on_open, COUNT(on_open),
	  PREEMPTIONS_MAX, SC_HOLDS },
	{ "mkdir d;mkdir e;mkdir d/s;mkdir e/t;create f;write f 0 16384 1", on_trees, COUNT(on_trees), PREEMPTIONS_MAX,
	  0 },
	{ "create f;write f 0 16384 1;setx f 100 1 0", on_ranges, COUNT(on_ranges), PREEMPTIONS_MAX, 0 },
	{ "import a 4096 7;create b;write b 0 700 1", on_stored, COUNT(on_stored), PREEMPTIONS_MAX, 0 },
};

struct small_world {
	const struct family *family;
	char a[200], b[100];
};

static uint64_t standstill(void)
{
	return 1000000000;
}

static unsigned pairs_of(const struct family *f)
{
	return f->n * (f->n + 1) / 2;
}

static unsigned worlds_of(const struct family *f)
{
	return pairs_of(f) + f->n * f->n;
}

static unsigned all_worlds(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < COUNT(families); i++)
		n += worlds_of(&families[i]);
	return n;
}

static struct small_world world_number(unsigned n)
{
	const struct family *f = families;
	struct small_world w = { .b = "" };
	unsigned i = 0;

	for (; n >= worlds_of(f); f++)
		n -= worlds_of(f);
	w.family = f;
	if (n >= pairs_of(f)) {
		n -= pairs_of(f);
		snprintf(w.a, sizeof(w.a), "%s;%s", f->operation[n / f->n], f->operation[n % f->n]);
		return w;
	}
	while (n >= f->n - i)
		n -= f->n - i++;
	snprintf(w.a, sizeof(w.a), "%s", f->operation[i]);
	snprintf(w.b, sizeof(w.b), "%s", f->operation[i + n]);
	return w;
}

static void explore_world(const struct small_world *w, struct interleave_options options, bool wb,
			  struct interleave_tally *out)
{
	struct script a, b;

	arena_surround(standstill, NULL, NULL);
	world_make(wb, true, false, 7);
	memory_bulk(world.pool.super.region[DAXFS_R_PAGES].offset + DAXFS_PAGE_SIZE);
	script_setup(w->family->tree);
	script_parse(&a, w->a);
	script_parse(&b, w->b);
	script_prepare(&a, 0);
	script_prepare(&b, 1);
	options.preemptions = w->family->preemptions;
	weave(&a, &b, &options, out);
	arena_surround(NULL, NULL, NULL);
}

static void explore_number(unsigned n, const struct options *opt, bool wb, struct interleave_tally *out)
{
	const struct small_world w = world_number(n);
	char replay[80];
	const struct interleave_options options = {
		.trace = opt->trace,
		.quiet = opt->quiet,
		.first_only = opt->first_only,
		.every = opt->every,
		.replay = replay,
	};

	snprintf(replay, sizeof(replay), "--worlds --world %u --domain %s", n, wb ? "wb" : "gpf");
	explore_world(&w, options, wb, out);
}

/* Both ways, host 0 being the one that is stopped. */
static void explore_weakly(unsigned n, const struct options *opt, bool wb, struct interleave_tally *out)
{
	const struct small_world w = world_number(n);
	char name[12];

	snprintf(name, sizeof(name), "%u", n);
	*out = (struct interleave_tally){ 0 };
	for (unsigned way = 0; way < 2; way++) {
		const struct scenario sc = { name, w.family->tree, way ? w.b : w.a, way ? w.a : w.b, w.family->flags };
		struct tally tally = { 0 };

		explore_scenario(&sc, opt, wb, &tally);
		out->states += tally.states[V_MIX];
		out->violations += tally.violations;
	}
}

struct interleave_tally world_explored(const char *a, const char *b, bool wb, bool every)
{
	const struct interleave_options options = { .quiet = true, .first_only = true, .every = every, .replay = "" };
	struct small_world w = { .family = &families[0] };
	struct interleave_tally t;

	snprintf(w.a, sizeof(w.a), "%s", a);
	snprintf(w.b, sizeof(w.b), "%s", b);
	explore_world(&w, options, wb, &t);
	return t;
}

static void add(struct interleave_tally *sum, const struct interleave_tally *t)
{
	sum->ends += t->ends;
	sum->deaths += t->deaths;
	sum->states += t->states;
	sum->again += t->again;
	sum->violations += t->violations;
}

static void report(unsigned n, bool wb, const struct interleave_tally *t, double took)
{
	struct small_world w = world_number(n);

	printf("%4u %s%s%s, %s: %" PRIu64 " shared %" PRIu64 " ends %" PRIu64 " deaths %" PRIu64 " states (%016" PRIx64
	       ") %" PRIu64 " again %" PRIu64 " violations %.2f s\n",
	       n, w.a, w.b[0] ? " | " : "", w.b, wb ? "wb" : "gpf", t->shared, t->ends, t->deaths, t->states, t->sum,
	       t->again, t->violations, took);
	fflush(stdout);
}

static void report_weakly(unsigned n, bool wb, const struct interleave_tally *t, double took)
{
	struct small_world w = world_number(n);

	printf("%4u %s | %s, %s: %" PRIu64 " states %" PRIu64 " violations %.2f s\n", n, w.a, w.b, wb ? "wb" : "gpf",
	       t->states, t->violations, took);
	fflush(stdout);
}

static bool wanted(const struct options *opt, unsigned n)
{
	if (opt->weak && !world_number(n).b[0])
		return false; /* of one host */
	return opt->one_world ? n == opt->world : n % opt->shards == opt->shard - 1;
}

static void print_end(const struct options *opt, const struct interleave_tally *sum, const bool *failed, unsigned done,
		      unsigned first)
{
	unsigned all = all_worlds();

	for (unsigned n = 0; n < all; n++)
		if (failed[n])
			printf("violations: --worlds --world %u\n", n);
	printf("%u worlds in all; here %" PRIu64 " ends, %" PRIu64 " deaths, %" PRIu64 " states, %" PRIu64
	       " again, %" PRIu64 " violations\n",
	       all, sum->ends, sum->deaths, sum->states, sum->again, sum->violations);
	if (done < all && opt->minutes)
		printf("time is over: worlds %u to %u, every %u-th; next: --from %u\n", first, (first + done - 1) % all,
		       opt->shards, (first + done) % all);
}

unsigned worlds(const struct options *opt)
{
	struct interleave_tally sum = { 0 };
	unsigned passed = 0, failed = 0, all = all_worlds();
	unsigned first = opt->one_world ? 0 : opt->world % all, done = 0;
	bool *violated = arena_host_alloc(all * sizeof(*violated));
	uint64_t began = arena_host_seconds();

	memset(violated, 0, all * sizeof(*violated));
	for (; done < all && !(opt->first_only && failed); done++) {
		unsigned n = (first + done) % all;

		if (opt->minutes && arena_host_seconds() - began >= 60ull * opt->minutes)
			break;
		for (unsigned wb = 0; wanted(opt, n) && wb < 2; wb++) {
			struct interleave_tally t;
			clock_t start = clock();

			if (!(wb ? opt->wb : opt->gpf))
				continue;
			if (opt->weak)
				explore_weakly(n, opt, wb, &t);
			else
				explore_number(n, opt, wb, &t);
			(opt->weak ? report_weakly : report)(n, wb, &t, (double)(clock() - start) / CLOCKS_PER_SEC);
			add(&sum, &t);
			passed += !t.violations;
			failed += t.violations != 0;
			violated[n] |= t.violations != 0;
		}
	}
	print_end(opt, &sum, violated, done, first);
	arena_host_free(violated);
	printf("%u passed, %u failed\n", passed, failed);
	return failed || !passed;
}
