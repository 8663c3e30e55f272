/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_check_flight.c - the check on pools that are not at rest: what is in
 * flight is no problem while somebody owns it and one when nobody does; garbage
 * is survived. Also what the dry run and daxfs_inflight make of the same.
 */

#include "check_fixture.h"

/* -- a write, stopped at each step -------------------------------------------- */

struct flight {
	struct fixture s;
	struct daxfs *fs; /* host 1, joined again */
	struct lane *lane;
	struct sm_inode *sm;
	sm_u64 *slot;
	uint64_t page, old; /* that replaces, that is replaced */
	uint64_t mark[2];
};

static void flight_start(struct flight *f)
{
	struct daxfs_error err;

	fixture_start(&f->s);
	f->fs = f->s.pod.fs[1];
	if (daxfs_join(f->fs, 1, "flyer", &err))
		fail_msg("%s", err.text);
	f->sm = fixture_inode(&f->s, f->s.small);
	f->slot = &f->sm->direct[0];
	f->old = link_index(sm_load(f->slot));
	f->lane = fs_take_lane(f->fs);
	lane_enter(f->lane);
	record_begin(f->lane, OP_WRITE);
	assert_int_equal(space_take(f->lane, DAXFS_T_PAGE, DAXFS_USE_DATA, 1, &f->page), 0);
	memset(pool_page(f->s.pool, f->page), 0, DAXFS_PAGE_SIZE);
}

/* The words by address, as record_commit has them: size before direct[0]. */
static void flight_undecided(struct flight *f)
{
	struct sm_lane *sm = f->lane->sm;
	sm_u64 *word[2] = { &f->sm->size, f->slot };
	const enum daxfs_word_class class[2] = { DAXFS_W_SIZE, DAXFS_W_LINK };
	const uint64_t to[2] = { 400, link_payload(DAXFS_DATA, f->page) };

	for (unsigned i = 0; i < 2; i++) {
		sm_store(&sm->words[3 * i], address_make(class[i], pool_offset(f->s.pool, word[i])));
		sm_store(&sm->words[3 * i + 1], sm_load(word[i]));
		sm_store(&sm->words[3 * i + 2], word_next(sm_load(word[i]), class[i], to[i]));
		f->mark[i] = mark_make(f->lane->id, i, f->lane->seq);
	}
	record_retire(f->lane, DAXFS_T_PAGE, f->old);
	sm_store(&sm->n_words, 2);
	sm_store(&sm->n_retires, 1);
	sm_store(&sm->delta, account_delta(&f->lane->txn.account));
	sm_store(&sm->status, status_with(sm_load(&sm->status), DAXFS_UNDECIDED));
}

static void flight_mark(struct flight *f, unsigned i)
{
	sm_u64 *word = i ? f->slot : &f->sm->size;

	assert_true(sm_cas(word, sm_load(&f->lane->sm->words[3 * i + 1]), f->mark[i]));
}

static void flight_commit(struct flight *f)
{
	sm_store(&f->lane->sm->status, status_with(sm_load(&f->lane->sm->status), DAXFS_COMMITTED));
}

/* Let the library finish it, leave, and find the pool sound. */
static void flight_land(struct flight *f)
{
	struct record_tally tally = { 0 };

	record_recover(f->lane, f->lane->id, &tally);
	lane_exit(f->lane);
	fs_put_lane(f->fs, f->lane);
	assert_int_equal(daxfs_leave(f->fs), 0);
	assert_int_equal(fixture_check(&f->s), 0);
	fixture_stop(&f->s);
}

static void clean(struct flight *f)
{
	if (fixture_check(&f->s))
		fail_msg("in flight, but: %s", f->s.line[0]);
}

static void in_flight_is_clean(void **unused)
{
	struct flight *f = calloc(1, sizeof(*f));

	(void)unused;
	flight_start(f);
	clean(f);
	flight_undecided(f);
	clean(f);
	flight_mark(f, 0);
	clean(f);
	flight_mark(f, 1);
	clean(f);
	flight_commit(f);
	clean(f);
	assert_int_equal(f->s.check.usage.pages.private_, 1); /* reached, PRIVATE, committed */
	fixture_host(&f->s, 1, DAXFS_HOST_RECOVERING);
	clean(f);
	fixture_host(&f->s, 1, DAXFS_HOST_ALIVE);
	flight_land(f);
	free(f);
}

/* The same with nobody to finish it. */
static void expect_unowned(struct flight *f, const char *const *want)
{
	fixture_host(&f->s, 1, DAXFS_HOST_FREE);
	fixture_check(&f->s);
	for (; *want; want++)
		if (!fixture_said(&f->s, *want))
			fail_msg("nothing said about \"%s\"", *want);
	fixture_host(&f->s, 1, DAXFS_HOST_ALIVE);
}

static void unowned_is_left_over(void **unused)
{
	static const char *const prepare[] = { "dead-record: lane ", "dead-epoch: lane ", "private-leak: page ", NULL };
	static const char *const undecided[] = { "dead-record: lane ", "dead-mark: inode ", "private-leak: page ",
						 NULL };
	static const char *const committed[] = { "dead-record: ", "dead-mark: inode ", "private-in-use: inode ",
						 "leak: page ", NULL };
	struct flight *f = calloc(1, sizeof(*f));

	(void)unused;
	flight_start(f);
	expect_unowned(f, prepare);
	flight_undecided(f);
	flight_mark(f, 0);
	expect_unowned(f, undecided);
	flight_mark(f, 1);
	flight_commit(f);
	expect_unowned(f, committed);
	flight_land(f);
	free(f);
}

/* A mark of an operation that its lane has left behind is nobody's. */
static void overtaken_mark(void **unused)
{
	struct flight *f = calloc(1, sizeof(*f));
	uint64_t status;

	(void)unused;
	flight_start(f);
	flight_undecided(f);
	flight_mark(f, 0);
	status = sm_load(&f->lane->sm->status);
	sm_store(&f->lane->sm->status, status_make(status_seq(status) + 1, OP_WRITE, DAXFS_UNDECIDED));
	fixture_check(&f->s);
	assert_true(fixture_said(&f->s, "orphan-mark: inode "));
	sm_store(&f->lane->sm->status, status);
	sm_store(&f->lane->sm->words[0], sm_load(&f->lane->sm->words[0]) ^ 8); /* about another word */
	fixture_check(&f->s);
	assert_true(fixture_said(&f->s, "orphan-mark: inode "));
	sm_store(&f->lane->sm->words[0], sm_load(&f->lane->sm->words[0]) ^ 8);
	clean(f);
	flight_land(f);
	free(f);
}

/* Unlinked and held: fine while the holder's slot has an owner. */
static void held_orphan(void **unused)
{
	struct fixture *s = calloc(1, sizeof(*s));
	struct daxfs_inflight inflight;
	struct daxfs_error err;
	daxfs_ino victim, dir;
	uint64_t openers, nlink;

	(void)unused;
	fixture_start(s);
	victim = handle_make(sm_load(&fixture_inode(s, s->victim)->i_generation), s->victim);
	dir = handle_make(sm_load(&fixture_inode(s, s->dir)->i_generation), s->dir);
	assert_int_equal(daxfs_join(s->pod.fs[2], 2, "holder", &err), 0);
	assert_int_equal(daxfs_file_open(s->pod.fs[2], victim), 0);
	assert_int_equal(daxfs_unlink(s->pod.fs[2], dir, "victim"), 0);
	assert_int_equal(fixture_check(s), 0);
	assert_int_equal(daxfs_inflight(s->pod.fs[0], 2, &inflight), 0);
	assert_int_equal(inflight.opens, 1);
	/* Its holder has let go, and is taking it apart in several records. */
	openers = sm_load(&fixture_inode(s, s->victim)->openers[0]);
	nlink = sm_load(&fixture_inode(s, s->victim)->nlink);
	fixture_set(&fixture_inode(s, s->victim)->openers[0], DAXFS_W_OPENERS, 0);
	assert_int_equal(fixture_check(s), 0);
	fixture_set(&fixture_inode(s, s->victim)->nlink, DAXFS_W_NLINK, nlink_payload(DAXFS_LIFE_DEAD, 0));
	assert_int_equal(fixture_check(s), 0);
	sm_store(&fixture_inode(s, s->victim)->openers[0], openers);
	sm_store(&fixture_inode(s, s->victim)->nlink, nlink);
	fixture_host(s, 2, DAXFS_HOST_FREE);
	fixture_check(s);
	assert_true(fixture_said(s, "orphan: inode "));
	assert_true(fixture_said(s, "dead-opener: inode "));
	assert_true(fixture_said(s, "dead-open: host 2 opens["));
	fixture_host(s, 2, DAXFS_HOST_ALIVE);
	assert_int_equal(daxfs_file_close(s->pod.fs[2], victim), 0);
	assert_int_equal(daxfs_leave(s->pod.fs[2]), 0);
	assert_int_equal(fixture_check(s), 0);
	fixture_stop(s);
	free(s);
}

/* -- the dry run ---------------------------------------------------------------- */

static void append(void *context, const char *line)
{
	char *text = context;
	size_t len = strlen(text);

	assert_null(strchr(line, '\n'));
	snprintf(text + len, 4096 - len, "%s\n", line);
}

static void dry(struct flight *f, const char *want)
{
	char text[4096] = "";

	assert_int_equal(daxfs_recover_dry_run(f->fs, 1, append, text), 0);
	if (!strstr(text, want))
		fail_msg("\"%s\" is not in:\n%s", want, text);
}

static void dry_run_tells_the_outcome(void **unused)
{
	struct flight *f = calloc(1, sizeof(*f));
	struct daxfs_inflight inflight;
	uint64_t size;

	(void)unused;
	flight_start(f);
	dry(f, "is PREPARE: would be rolled back");
	dry(f, "PRIVATE -> FREE");
	dry(f, "0 records to finish, 1 to roll back, 1 objects to finalize");
	flight_undecided(f);
	flight_mark(f, 0);
	dry(f, "is UNDECIDED: would be finished");
	dry(f, "size: 300 bytes -> 400 bytes\n");
	dry(f, "PRIVATE -> LIVE");
	dry(f, "LIVE -> RETIRED");
	dry(f, "1 records to finish, 0 to roll back, 2 objects to finalize");
	assert_int_equal(daxfs_inflight(f->fs, 1, &inflight), 0);
	assert_int_equal(inflight.lanes, 1);
	assert_int_equal(inflight.records, 1);
	assert_int_equal(inflight.owned, 1);
	/* Somebody changes the word that is not marked yet: it must fail now. */
	size = sm_load(f->slot);
	sm_store(f->slot, word_bump(size, DAXFS_W_LINK));
	dry(f, "is UNDECIDED: would be rolled back");
	dry(f, "bytes, would stay as it was");
	sm_store(f->slot, size);
	flight_mark(f, 1);
	flight_commit(f);
	dry(f, "is COMMITTED: would be finished");
	assert_int_equal(daxfs_recover_dry_run(f->fs, 99, append, NULL), -EINVAL);
	flight_land(f);
	free(f);
}

/* -- garbage ---------------------------------------------------------------------- */

#define FLIPS 5000u /* or as many as the environment says, from the seed that it gives */
#define FLIPS_BETWEEN_RESTORES 40u

static uint64_t next(uint64_t *seed) /* splitmix64 */
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static void ignore(void *context, const char *line)
{
	assert_null(strchr(line, '\n'));
	++*(uint64_t *)context;
}

/* A place that means something: half of the flips in tables, half in pages that are nodes. */
static uint64_t target(struct fixture *s, uint64_t *seed)
{
	uint64_t tables = pool_offset(s->pool, s->pool->pages);

	for (int tries = 0; next(seed) % 2 && tries < 1000; tries++) {
		uint64_t page = next(seed) % s->pool->objects[DAXFS_T_PAGE];
		uint64_t state = sm_load(&s->pool->state[DAXFS_T_PAGE][page]);

		if (use_of(state) == DAXFS_USE_NODE)
			return tables + page * DAXFS_PAGE_SIZE + next(seed) % DAXFS_PAGE_SIZE;
	}
	return next(seed) % tables;
}

static void inspect_all(struct fixture *s, uint64_t i)
{
	static const char *const whole[] = { "super", "member", "lanes" };
	struct daxfs *fs = s->pod.fs[0];
	struct daxfs_inflight inflight;
	uint64_t lines = 0;
	char what[32];

	assert_int_equal(daxfs_dump(fs, whole[i % 3], ignore, &lines), 0);
	snprintf(what, sizeof(what), "inode %llu", (unsigned long long)(i % s->pool->objects[DAXFS_T_INODE]));
	assert_int_equal(daxfs_dump(fs, what, ignore, &lines), 0);
	daxfs_dump(fs, "dir 1", ignore, &lines);
	snprintf(what, sizeof(what), "dir %llu", (unsigned long long)s->dir);
	daxfs_dump(fs, what, ignore, &lines);
	assert_int_equal(daxfs_recover_dry_run(fs, (unsigned)(i % POD_HOSTS), ignore, &lines), 0);
	assert_int_equal(daxfs_inflight(fs, (unsigned)(i % POD_HOSTS), &inflight), 0);
	assert_true(lines > 0);
}

static void garbage_is_survived(void **unused)
{
	struct fixture *s = calloc(1, sizeof(*s));
	const char *given = getenv("DAXFS_SEED"), *many = getenv("FLIPS");
	uint64_t seed = given ? strtoull(given, NULL, 0) : 1, flips = many ? strtoull(many, NULL, 0) : FLIPS;
	uint64_t lines = 0, found = 0;
	struct daxfs_check check;

	(void)unused;
	print_message("DAXFS_SEED=%llu\n", (unsigned long long)seed);
	fixture_start(s);
	for (uint64_t i = 0; i < flips; i++) {
		if (i % FLIPS_BETWEEN_RESTORES == 0)
			fixture_restore(s);
		((uint8_t *)s->pod.base)[target(s, &seed)] ^= (uint8_t)(1u << next(&seed) % 8);
		assert_int_equal(check_pool(s->pool, ignore, &lines, &check), 0);
		found += check.problems != 0;
		if (i % 100 == 0)
			inspect_all(s, i / 100);
	}
	print_message("%llu of %llu damaged pools had findings, %llu lines\n", (unsigned long long)found,
		      (unsigned long long)flips, (unsigned long long)lines);
	assert_true(found > flips / 2);
	fixture_stop(s);
	free(s);
}

/* Every word of every table and node at its worst: still no crash, and it ends. */
static void all_ones(void **unused)
{
	struct fixture *s = calloc(1, sizeof(*s));
	uint64_t lines = 0;
	struct daxfs_check check;

	(void)unused;
	fixture_start(s);
	for (unsigned fill = 0; fill < 256; fill += 15) {
		fixture_restore(s);
		memset((uint8_t *)s->pod.base, (int)fill, SCENE_BYTES);
		assert_int_equal(check_pool(s->pool, ignore, &lines, &check), 0);
		assert_true(check.problems > 0);
		inspect_all(s, fill / 15);
	}
	fixture_stop(s);
	free(s);
}

static void dump_refuses(void **unused)
{
	static const struct {
		const char *what;
		int error;
	} cases[] = {
		{ "", -EINVAL },          { "supper", -EINVAL },
		{ "inode", -EINVAL },     { "inode ", -EINVAL },
		{ "inode x", -EINVAL },   { "inode -1", -EINVAL },
		{ "inode 1x", -EINVAL },  { "inode 99999", -ENOENT },
		{ "dir 99999", -ENOENT }, { "inode 99999999999999999999999", -EINVAL },
	};
	struct fixture *s = calloc(1, sizeof(*s));
	uint64_t lines = 0;
	char what[32];

	(void)unused;
	fixture_start(s);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(daxfs_dump(s->pod.fs[0], cases[i].what, ignore, &lines), cases[i].error);
	snprintf(what, sizeof(what), "dir %llu", (unsigned long long)s->small);
	assert_int_equal(daxfs_dump(s->pod.fs[0], what, ignore, &lines), -ENOTDIR);
	assert_int_equal(lines, 0);
	fixture_stop(s);
	free(s);
}

static void selftest_counts_exactly(void **unused)
{
	struct fixture *s = calloc(1, sizeof(*s));
	struct daxfs_selftest before, after;

	(void)unused;
	fixture_start(s);
	assert_int_equal(daxfs_selftest(s->pod.fs[0], 0, &before), 0);
	assert_int_equal(daxfs_selftest(s->pod.fs[0], 1000, &after), 0);
	assert_int_equal(after.increments, 1000);
	assert_int_equal(after.tries, 1000);
	assert_int_equal(after.value, before.value + 1000);
	assert_int_equal(fixture_check(s), 0); /* it means nothing to anybody else */
	fixture_stop(s);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_flight_is_clean),
		cmocka_unit_test(unowned_is_left_over),
		cmocka_unit_test(overtaken_mark),
		cmocka_unit_test(held_orphan),
		cmocka_unit_test(dry_run_tells_the_outcome),
		cmocka_unit_test(garbage_is_survived),
		cmocka_unit_test(all_ones),
		cmocka_unit_test(dump_refuses),
		cmocka_unit_test(selftest_counts_exactly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
