/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cache_window.c - how much is read ahead: of files that are read in order, by several at once, in runs, at
 * random. Reads of storage are counted; all pages stay in the pool.
 */
#include "cache_fixture.h"

#define PAGES 3000u
#define POOL_BYTES (32u << 20)

static void start(struct fixture *s)
{
	fixture_start(s, POOL_BYTES, PAGES * PAGE, PATIENCE_MS);
}

static void read_page(struct fixture *s, uint64_t page)
{
	char byte;

	assert_int_equal(daxfs_read(s->pod.fs[0], s->ino, &byte, 1, page * PAGE), 1);
}

static void read_run(struct fixture *s, uint64_t page, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		read_page(s, page + i);
}

/* As ever: 16, 32, then 64 pages a read, and nothing beyond the end. */
static void test_whole(void **state)
{
	struct fixture s;

	(void)state;
	start(&s);
	read_run(&s, 0, PAGES);
	assert_int_equal(s.storage[0].pages, PAGES);
	assert_in_range(s.storage[0].reads, PAGES / CACHE_PAGES, PAGES / CACHE_PAGES + 4);
	fixture_stop(&s);
}

/* Four readers of one file, each in a part of its own, take turns: each has its stream. */
static void test_streams(void **state)
{
	struct fixture s;

	(void)state;
	start(&s);
	for (unsigned i = 0; i < 600; i++)
		for (unsigned k = 0; k < 4; k++)
			read_page(&s, 1 + k * 700 + i);
	assert_in_range(s.storage[0].reads, 4 * 600 / CACHE_PAGES, 4 * (600 / CACHE_PAGES + 5));
	fixture_stop(&s);
}

/* A fifth of the reads are elsewhere, each at a page that nobody has read: the stream goes on. */
static void test_strays(void **state)
{
	unsigned strays = 0;
	struct fixture s;

	(void)state;
	start(&s);
	for (unsigned i = 0; i < 600; i++) {
		read_page(&s, 1 + i);
		if (i % 4 == 3)
			read_page(&s, 1000 + 13 * strays++);
	}
	assert_in_range(s.storage[0].reads, strays + 600 / CACHE_PAGES, strays + 600 / CACHE_PAGES + 5);
	fixture_stop(&s);
}

/* Runs of so many pages, far from each other: after some of them little is read behind their ends. */
static void expect_runs(unsigned run, unsigned gap, unsigned waste_percent)
{
	unsigned n = 2000 / (run + gap), learn = n / 4;
	uint64_t before = 0;
	struct fixture s;

	start(&s);
	for (unsigned i = 0; i < n; i++) {
		if (i == learn)
			before = s.storage[0].pages;
		read_run(&s, 1 + i * 7 % n * (run + gap), run);
	}
	before = s.storage[0].pages - before;
	assert_in_range(before, (n - learn) * run, (n - learn) * run * (100 + waste_percent) / 100);
	fixture_stop(&s);
}

static void test_runs(void **state)
{
	(void)state;
	expect_runs(2, 30, 60);
	expect_runs(8, 40, 30);
	expect_runs(32, 80, 20);
}

/* What is longer than all runs before is read ahead again, more and more. */
static void test_longer(void **state)
{
	unsigned before;
	struct fixture s;

	(void)state;
	start(&s);
	for (unsigned i = 0; i < 20; i++)
		read_run(&s, 1 + i * 50, 8);
	before = s.storage[0].reads;
	read_run(&s, 1200, 1000);
	assert_in_range(s.storage[0].reads - before, 1000 / CACHE_PAGES, 1000 / CACHE_PAGES + 20);
	fixture_stop(&s);
}

/* One page here, one there: no more is read than is asked for. */
static void test_random(void **state)
{
	struct fixture s;

	(void)state;
	start(&s);
	for (unsigned i = 0; i < 400; i++)
		read_page(&s, 1 + i * 1201 % 2999);
	assert_int_equal(s.storage[0].pages, 400);
	fixture_stop(&s);
}

/* In a cache of 160 pages a window is ten of them, for a reader in order; who asks for more at once has it. */
static void test_small_cache(void **state)
{
	static char buf[CACHE_PAGES * PAGE];
	struct fixture s;

	(void)state;
	start(&s);
	fs_pool_writable(s.pod.fs[0])->super.cache_max = 160;
	read_run(&s, 1, 1000);
	assert_in_range(s.storage[0].reads, 1000 / 10, 1000 / 10 + 10);
	assert_in_range(s.storage[0].pages, 1000, 1000 + 10);
	assert_int_equal(s.storage[0].largest, 10 * PAGE);
	s.storage[0].reads = 0;
	assert_int_equal(daxfs_read(s.pod.fs[0], s.ino, buf, sizeof(buf), 2000 * PAGE), sizeof(buf));
	assert_in_range(s.storage[0].reads, 1, 2);
	fs_pool_writable(s.pod.fs[0])->super.cache_max = 0;
	fixture_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),       cmocka_unit_test(test_streams), cmocka_unit_test(test_strays),
		cmocka_unit_test(test_runs),        cmocka_unit_test(test_longer),  cmocka_unit_test(test_random),
		cmocka_unit_test(test_small_cache),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
