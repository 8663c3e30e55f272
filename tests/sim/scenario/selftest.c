/* SPDX-License-Identifier: Apache-2.0 */
/*
 * selftest.c - would the simulator notice?
 *
 * The model of memory against what it promises; then wrong operations and a
 * library without one of its write-backs, each of which must be found, by the
 * variant that exists for it. A canary that sings on without being heard fails
 * the run.
 */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sim.h"

static unsigned failures;
static bool quick;

static void expect(bool ok, const char *what)
{
	if (ok)
		return;
	failures++;
	printf("selftest: FAILED: %s\n", what);
}

/* -- memory ------------------------------------------------------------------------ */

#define AT 4096u

static void put(unsigned host, uint64_t offset, uint64_t v)
{
	memory_store(host, offset, &v, sizeof(v));
}

static uint64_t get(uint64_t offset)
{
	uint64_t v;

	memcpy(&v, memory_bytes() + offset, sizeof(v));
	return v;
}

static void lose(unsigned host, enum fate_kind kind, uint64_t n)
{
	memory_lose(host, (struct fate){ .kind = kind, .n = n });
}

static void test_write_back(void)
{
	memory_reset(true);
	put(0, AT, 1);
	lose(0, FATE_DROP_ALL, 0);
	expect(get(AT) == 0, "a dirty line is lost");
	put(0, AT, 2);
	memory_persist(0, 0, AT, 8);
	put(0, AT, 3);
	memory_drain(0, 0);
	lose(0, FATE_DROP_ALL, 0);
	expect(get(AT) == 2, "what was persisted, not what came after, survives");
	put(0, AT, 4);
	memory_persist(0, 0, AT, 8);
	lose(0, FATE_DROP_ALL, 0);
	expect(get(AT) == 2, "what was not drained may be lost");
	put(0, AT, 5);
	memory_touch(1, AT, 8);
	lose(0, FATE_DROP_ALL, 0);
	expect(get(AT) == 5, "what another host has seen stays");
	put(0, AT, 6);
	memory_persist(0, 1, AT, 8);
	memory_drain(0, 0);
	lose(0, FATE_DROP_ALL, 0);
	expect(get(AT) == 5, "a drain does not wait for what another thread started");
	put(0, AT, 6);
	memory_persist(0, 1, AT, 8);
	memory_new_thread(0, 1);
	memory_drain(0, 1);
	lose(0, FATE_DROP_ALL, 0);
	expect(get(AT) == 5, "nor for what a thread started that is gone");
	put(0, AT, 6);
	put(1, AT + 8, 7);
	lose(1, FATE_DROP_ALL, 0);
	expect(get(AT) == 6 && get(AT + 8) == 0, "a line has one owner, and goes as a whole");
}

static void test_fates(void)
{
	bool seen[4] = { false };

	memory_reset(true);
	put(0, AT, 1);
	put(0, AT + LINE, 2);
	memory_mark();
	lose(0, FATE_DROP_ONE, 1);
	expect(get(AT) == 1 && get(AT + LINE) == 0, "one line is dropped");
	memory_rewind();
	lose(0, FATE_KEEP_ONE, 1);
	expect(get(AT) == 0 && get(AT + LINE) == 2, "one line is kept");
	memory_rewind();
	put(0, AT, 3);
	memory_mark();
	for (uint64_t seed = 0; seed < 64; seed++) {
		lose(0, FATE_RANDOM, seed);
		seen[get(AT) & 3] = true;
		memory_rewind();
	}
	memory_drop();
	expect(seen[0] && seen[1] && seen[3] && !seen[2], "any contents since the device's can be left");
	memory_rewind();
	memory_drop();
	expect(get(AT) == 1 && memory_dirty(0) == 2, "a rewind restores lines and caches");
}

/* -- scenarios that must fail -------------------------------------------------------- */

static const struct canary {
	struct scenario sc;
	const char *variant;
	bool wb;
} canaries[] = {
	{ { "canary-rename", "mkdir d;create d/f", "bad-rename d/f d/g", "stat d/f", 0 }, "recover", false },
	{ { "canary-append", "create f;append f 10 1", "bad-append f 20 2", "append f 30 3", 0 }, "pause", false },
	{ { "canary-wait", "create f", "append f 20 2", "bad-wait", 0 }, "survive", false },
	{ { "canary-leak", "create f", "bad-leak", "stat f", 0 }, "recover", false },
};

static uint64_t violations_of(const struct scenario *sc, const char *variant, bool wb)
{
	const struct options opt = {
		.variant = variant, .seed = 1, .gpf = true, .wb = true, .quiet = true, .first_only = true
	};
	struct tally tally;

	explore_scenario(sc, &opt, wb, &tally);
	return tally.violations;
}

static const struct scenario healthy = { "healthy", "mkdir d;create d/f", "rename d/f d/g", "stat d/f;create d/f", 0 };

static void test_canaries(void)
{
	for (unsigned i = 0; i < sizeof(canaries) / sizeof(canaries[0]); i++)
		expect(violations_of(&canaries[i].sc, canaries[i].variant, canaries[i].wb), canaries[i].sc.name);
	expect(!violations_of(&healthy, NULL, false), "nothing is wrong with a healthy operation");
	expect(!violations_of(&healthy, NULL, true), "nothing is wrong with it in a wb pool");
}

/* The write-back that record_commit needs before anybody may mark words. */
static void test_missing_write_back(void)
{
	unsigned broken = 0, noticed = 0;

	for (const struct sm_site *site = sites_next(NULL); site; site = sites_next(site)) {
		if (strcmp(site->func, "record_write") || strcmp(site->call, "persist"))
			continue;
		broken++;
		seam_break_site(site);
		noticed += violations_of(&healthy, NULL, true) != 0;
		expect(!violations_of(&healthy, NULL, false), "gpf pools need no write-back");
		seam_break_site(NULL);
	}
	expect(broken && noticed, "a missing write-back of a record's body is noticed");
}

static bool world_notices(const char *a, const char *b, bool wb, bool every)
{
	return world_explored(a, b, wb, every).violations != 0;
}

/*
 * What is not played a second time is not lost: neither a state, nor a mistake that few states show. To play all of it
 * takes as long as a quarter of a quick run: that has the mistakes as they are looked for, and the smallest world.
 */
static void test_worlds_shortened(void)
{
	static const char *const luck[] = { "bad-luck 1", "bad-luck 2", "bad-luck 3" };
	static const char *const other[] = { "stat d/c", "trunc d/a 100" };

	for (unsigned i = 0; i < 6; i += 1 + quick)
		expect(world_notices("rename d/a d/c", luck[i / 2], true, i % 2), luck[i / 2]);
	for (unsigned i = 0; i < (quick ? 1 : 4); i++) {
		struct interleave_tally t = world_explored("rename d/a d/c", other[i / 2], i % 2, false);
		struct interleave_tally every = world_explored("rename d/a d/c", other[i / 2], i % 2, true);

		expect(t.states == every.states && t.sum == every.sum && t.ends == every.ends,
		       "the shortened exploration of a small world judges each state");
	}
}

/* Small worlds: an interleaving, a crash, a lost line. */
static void test_worlds(void)
{
	unsigned noticed = 0;

	expect(world_notices("bad-append d/a 20 2", "append d/a 30 3", false, false), "interleaved appends");
	expect(world_notices("bad-rename d/a d/c", "", false, false), "a crash in a rename of two steps");
	expect(world_notices("stat d/a", "bad-leak", false, false), "a leak");
	expect(!world_notices("rename d/a d/c", "stat d/c", true, false), "nothing is wrong with a healthy world");
	for (const struct sm_site *site = sites_next(NULL); site; site = sites_next(site)) {
		if (strcmp(site->func, "record_write") || strcmp(site->call, "persist"))
			continue;
		seam_break_site(site);
		noticed += world_notices("rename d/a d/c", "", true, false);
		seam_break_site(NULL);
	}
	expect(noticed, "a missing write-back of a record's body is noticed in a small world");
}

/* A pair in a weak memory: a mark that is put without what it leads to. */
static void test_weak_world(void)
{
	static const struct scenario pair = { "0", "mkdir d;mkdir e;create d/a;create e/b", "unlink d/a",
					      "rename d/a e/b", 0 };
	static const struct options opt = {
		.seed = 1,
		.weak = true,
		.worlds = true,
		.variant = "mix",
		.quiet = true,
		.first_only = true,
	};
	struct tally sound, broken;

	explore_scenario(&pair, &opt, false, &sound);
	expect(!sound.violations && sound.states[V_MIX], "nothing is wrong with a sound world in a weak memory");
	for (struct sm_site *site = sites_next(NULL); site; site = sites_next(site))
		if (!strcmp(site->func, "mark_word") && !strcmp(site->call, "cas"))
			site->without = SM_RELEASE;
	explore_scenario(&pair, &opt, false, &broken);
	expect(broken.violations, "an order left out is noticed in a small world in a weak memory");
	for (struct sm_site *site = sites_next(NULL); site; site = sites_next(site))
		site->without = SM_RELAXED;
}

/* In a child: it ends there. */
static void test_bypass(void)
{
	static const struct scenario bypass = { "bypass", "create f", "bad-load", "", 0 };
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(0);
		violations_of(&bypass, NULL, false);
		_exit(0);
	}
	expect(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 1,
	       "a load that bypasses the seam ends the run");
}

static const struct {
	const char *name;
	void (*test)(void);
} tests[] = {
	{ "write-back", test_write_back }, { "fates", test_fates },
	{ "canaries", test_canaries },     { "missing write-back", test_missing_write_back },
	{ "worlds", test_worlds },         { "worlds shortened", test_worlds_shortened },
	{ "weak world", test_weak_world }, { "bypass", test_bypass },
};

unsigned selftest(const struct options *opt)
{
	failures = 0;
	quick = opt->quick;
	world_make(true, false, false, 7); /* maps the memory */
	for (unsigned i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		char name[64];
		double start = sim_seconds();

		tests[i].test();
		snprintf(name, sizeof(name), "selftest %s", tests[i].name);
		sim_print_part(name, sim_seconds() - start);
	}
	printf("selftest: %s\n", failures ? "FAILED" : "wrong operations, lost write-backs and bypasses are noticed");
	return failures;
}
