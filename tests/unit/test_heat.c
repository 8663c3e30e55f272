/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_heat.c - which cached page goes first: what a use makes of its byte, hosts that read one behind the other,
 * limits, and bytes that say anything.
 */
#include <stdlib.h>

#include "cache_fixture.h"
#include "fs/heat.h"

#define FILE_PAGES 4000u
#define RUN 16u /* pages of a read */

static void start(struct fixture *s, uint64_t pool_bytes, uint64_t size, struct daxfs_mkfs_options options)
{
	alarm(HANG_S);
	*s = (struct fixture){ .size = size };
	options.inodes = 512;
	options.lanes = 4;
	pod_start_with(&s->pod, pool_bytes, options);
	s->pool = rig_pool(&s->pod);
	for (unsigned i = 0; i < POD_HOSTS; i++)
		storage_attach(&s->storage[i], s->pod.fs[i], BACKING, PATIENCE_MS);
	s->ino = storage_import(s->pod.fs[0], "f", BACKING, FILE_NUMBER, size);
}

/* Pages of the cache, by their states. */
static uint64_t cached(const struct fixture *s)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < s->pool->objects[DAXFS_T_PAGE]; i++) {
		uint64_t state = sm_load(&s->pool->state[DAXFS_T_PAGE][i]);

		n += state_of(state) == DAXFS_LIVE && use_of(state) == DAXFS_USE_CACHED;
	}
	return n;
}

/* Bytes that say that there is one: what the number of cached pages is a count of. */
static uint64_t bytes_of(const struct fixture *s)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < s->pool->objects[DAXFS_T_PAGE]; i++)
		n += sm_peek_byte(&s->pool->heat.at[i]) != 0;
	return n;
}

static int no_write(void *context, daxfs_ino ino, uint64_t file, const void *buf, size_t len, uint64_t offset)
{
	(void)context, (void)ino, (void)file, (void)buf, (void)len, (void)offset;
	return 0;
}

static int no_resize(void *context, daxfs_ino ino, uint64_t file, uint64_t size, bool exact)
{
	(void)context, (void)ino, (void)file, (void)size, (void)exact;
	return 0;
}

static int no_sync(void *context, daxfs_ino ino, uint64_t file, uint64_t *stamp)
{
	(void)context, (void)ino, (void)file;
	*stamp = 1;
	return 0;
}

static void let_write(struct fixture *s, unsigned host)
{
	const struct daxfs_storage storage = { .struct_size = sizeof(storage),
					       .read = storage_read,
					       .context = &s->storage[host],
					       .patience_ms = PATIENCE_MS,
					       .write = no_write,
					       .resize = no_resize,
					       .sync = no_sync };

	assert_int_equal(daxfs_backing_detach(s->pod.fs[host], BACKING), 0);
	assert_int_equal(daxfs_backing_attach(s->pod.fs[host], BACKING, &storage), 0);
}

static void test_uses(void **state)
{
	const uint8_t cold = heat_make(DAXFS_HEAT_COLD, 3), hot = heat_make(DAXFS_HEAT_HOT, 3);
	uint8_t heat = cold;

	(void)state;
	for (unsigned kind = DAXFS_HEAT_COLD + 1; kind <= DAXFS_HEAT_HOT; kind++) {
		heat = heat_used(heat, 3, false, false);
		assert_int_equal(heat, heat_make(kind, 3));
	}
	assert_int_equal(heat_used(heat, 40, false, false), heat_make(DAXFS_HEAT_HOT, 8));
	/* Who reads on in a page, in the same tick, has not used it again. */
	assert_int_equal(heat_used(cold, 3, true, false), cold);
	assert_int_equal(heat_used(cold, 4, true, false), heat_make(DAXFS_HEAT_COLD + 1, 4));
	/* Nothing that readers do keeps a page of a scan, or makes a byte where there is no page. */
	assert_int_equal(heat_used(heat_make(DAXFS_HEAT_SCAN, 3), 9, false, false), heat_make(DAXFS_HEAT_SCAN, 3));
	assert_int_equal(heat_used(heat_make(DAXFS_HEAT_NONE, 3), 9, false, false), heat_make(DAXFS_HEAT_NONE, 3));
	/* The first use of what was read ahead is no second one. */
	assert_int_equal(heat_used(heat_make(DAXFS_HEAT_AHEAD, 3), 9, false, false), heat_make(DAXFS_HEAT_COLD, 9));
	assert_int_equal(heat_used(heat_make(DAXFS_HEAT_SCAN_AHEAD, 3), 9, false, false),
			 heat_make(DAXFS_HEAT_SCAN, 3));
	assert_int_equal(heat_used(cold, 5, false, true), heat_make(DAXFS_HEAT_HOT, 5)); /* MH-clock has one bit */
	assert_int_equal(heat_age(hot, 3), 0);
	assert_int_equal(heat_age(hot, 2), DAXFS_TICK_MASK);
}

/* All hosts read the file to its end, one `lag` pages behind the other: pages read from storage in all. */
static uint64_t follow(struct daxfs_mkfs_options options, unsigned lag)
{
	struct fixture s;
	uint64_t read;

	start(&s, 24 << 20, FILE_PAGES * PAGE, options);
	for (unsigned i = 0; i < POD_HOSTS; i++)
		assert_int_equal(daxfs_file_open(s.pod.fs[i], s.ino), 0);
	for (uint64_t at = 0; at < FILE_PAGES + 2ull * lag; at += RUN)
		for (unsigned i = 0; i < POD_HOSTS; i++)
			if (at >= (uint64_t)i * lag && at - (uint64_t)i * lag < FILE_PAGES)
				expect(&s, i, (at - (uint64_t)i * lag) * PAGE, RUN * PAGE);
	read = pages_read(&s);
	for (unsigned i = 0; i < POD_HOSTS; i++)
		daxfs_file_close(s.pod.fs[i], s.ino);
	fixture_stop(&s);
	return read;
}

/* With a cache of a twentieth of the file. One that keeps what was used twice would read it almost three times. */
static void test_followers(void **state)
{
	struct daxfs_mkfs_options options = { .cache_max = FILE_PAGES / 20 * PAGE };

	(void)state;
	assert_true(follow(options, 48) <= FILE_PAGES * 11ull / 10);
	options.cache_max = 0;
	assert_int_equal(follow(options, 48), FILE_PAGES);
}

/* There are never more cached pages than cache-max, whoever reads what; and they are as many. */
static void test_max(void **state)
{
	const unsigned max = 150;
	struct fixture s;
	uint64_t most = 0, seed = 5, now;

	(void)state;
	for (unsigned policy = 0; policy < 2; policy++) {
		start(&s, 16 << 20, FILE_PAGES * PAGE,
		      (struct daxfs_mkfs_options){ .cache_max = max * PAGE, .cache_policy = policy });
		for (unsigned i = 0; i < 2000; i++) {
			uint64_t page;

			seed = seed * 6364136223846793005u + 1;
			page = (seed >> 33) % (FILE_PAGES - RUN);
			expect(&s, i % POD_HOSTS, page * PAGE, (i % 7 ? 1 : RUN) * PAGE);
			now = cached(&s);
			assert_true(now <= max);
			assert_int_equal(now, heat_cached(s.pool));
			most = now > most ? now : most;
		}
		assert_true(most > max - 2 * RUN);
		/* What goes with its file goes on counting only until it is found. */
		assert_int_equal(daxfs_cache_drop(s.pod.fs[1], s.ino, 0, UINT64_MAX) > 0, true);
		assert_int_equal(heat_cached(s.pool), 0);
		fixture_stop(&s);
	}
}

/* A file of storage is removed with its pages, and another one has all the room of cache-max again. */
static void test_removed(void **state)
{
	const unsigned max = 150;
	struct fixture s;

	(void)state;
	start(&s, 16 << 20, FILE_PAGES * PAGE, (struct daxfs_mkfs_options){ .cache_max = max * PAGE });
	for (unsigned i = 0; i < max; i++)
		expect(&s, 0, i * PAGE, PAGE);
	assert_int_equal(daxfs_unlink(s.pod.fs[2], DAXFS_ROOT, "f"), 0);
	assert_int_equal(cached(&s), 0);
	s.ino = storage_import(s.pod.fs[0], "f", BACKING, FILE_NUMBER, s.size);
	for (unsigned i = 0; i < 2 * max; i++) {
		expect(&s, 1, i * PAGE, PAGE);
		assert_true(cached(&s) <= max);
	}
	assert_true(cached(&s) > max / 2);
	fixture_stop(&s);
}

/* Pages are written and written back, again and again: they count once, and leave the others their room. */
static void test_overwritten(void **state)
{
	const unsigned max = 300, n = 100;
	static uint8_t buf[100 * PAGE];
	struct fixture s;
	uint64_t before;

	(void)state;
	start(&s, 16 << 20, FILE_PAGES * PAGE, (struct daxfs_mkfs_options){ .cache_max = max * PAGE });
	let_write(&s, 0);
	memset(buf, 'w', sizeof(buf));
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(daxfs_write(s.pod.fs[0], s.ino, buf, n * PAGE, 0, 0), n * PAGE);
		assert_int_equal(bytes_of(&s), 0); /* all of them are newer than storage */
		assert_int_equal(heat_cached(s.pool), 0);
		assert_int_equal(daxfs_write_back(s.pod.fs[0], s.ino), 0);
		assert_int_equal(heat_cached(s.pool), n);
	}
	for (unsigned i = n; i < 2 * n; i++)
		expect(&s, 1, i * PAGE, PAGE);
	before = pages_read(&s);
	assert_int_equal(daxfs_read(s.pod.fs[2], s.ino, buf, n * PAGE, 0), n * PAGE);
	assert_int_equal(pages_read(&s), before);
	assert_int_equal(heat_cached(s.pool), bytes_of(&s));
	fixture_stop(&s);
}

/* Files go with their pages, and others come in their place: each page counts once, whatever its byte said before. */
static void test_counted_once(void **state)
{
	struct fixture s;

	(void)state;
	start(&s, 4 << 20, FILE_PAGES * PAGE, (struct daxfs_mkfs_options){ .cache_max = 0 });
	for (unsigned i = 0; i < 50; i++) {
		for (unsigned at = 0; at < 100; at += 4)
			expect(&s, 1, at * PAGE, 4 * PAGE);
		assert_int_equal(heat_cached(s.pool), bytes_of(&s));
		assert_int_equal(daxfs_unlink(s.pod.fs[2], DAXFS_ROOT, "f"), 0);
		s.ino = storage_import(s.pod.fs[0], "f", BACKING, FILE_NUMBER, s.size);
	}
	fixture_stop(&s);
}

/* Files fill the pool, and leave as many cached pages as cache-min; by default none, if they need the room. */
static void test_min(void **state)
{
	const unsigned min = 300;
	struct fixture s;
	uint8_t page[PAGE];
	daxfs_ino file;

	(void)state;
	memset(page, 'p', PAGE);
	for (unsigned with = 0; with < 2; with++) {
		uint64_t n = 0;

		start(&s, 8 << 20, FILE_PAGES * PAGE, (struct daxfs_mkfs_options){ .cache_min = with * min * PAGE });
		file = pod_create(s.pod.fs[0], DAXFS_ROOT, "g");
		for (uint64_t at = 0; at < s.size; at += RUN * PAGE)
			expect(&s, 1, at, RUN * PAGE);
		assert_true(cached(&s) > 2 * min);
		while (daxfs_write(s.pod.fs[0], file, page, PAGE, n * PAGE, 0) == PAGE)
			n++;
		assert_true(n > min);
		assert_true(with ? cached(&s) >= min && cached(&s) < min + 64 : cached(&s) < 24);
		expect(&s, 2, 0, 64 * PAGE);
		assert_int_equal(daxfs_unlink(s.pod.fs[0], DAXFS_ROOT, "g"), 0);
		fixture_stop(&s);
	}
}

/* Whatever the bytes, the clock and the counts say, reads are right, files get the room, and nothing is lost. */
static void test_garbage(void **state)
{
	uint64_t seed = 99, n = 0;
	struct fixture s;
	struct lane *lane;
	uint8_t page[PAGE];
	daxfs_ino file;

	(void)state;
	memset(page, 'p', PAGE);
	start(&s, 4 << 20, FILE_PAGES * PAGE, (struct daxfs_mkfs_options){ .cache_max = 2 << 20 });
	file = pod_create(s.pod.fs[0], DAXFS_ROOT, "g");
	for (unsigned i = 0; i < 400; i++) {
		for (unsigned k = 0; k < 50; k++) {
			seed = seed * 6364136223846793005u + 1;
			sm_store_byte(&s.pool->heat.at[(seed >> 33) % s.pool->objects[DAXFS_T_PAGE]],
				      (uint8_t)(seed >> 25));
		}
		sm_store(s.pool->heat.clock, seed);
		if (i % 5 == 0)
			sm_store(&s.pool->heat.host[i % 3].cached, seed >> (i % 60));
		expect(&s, i % POD_HOSTS, (seed >> 40) % (FILE_PAGES - RUN) * PAGE, RUN * PAGE);
		if (daxfs_write(s.pod.fs[0], file, page, PAGE, n % 600 * PAGE, 0) == PAGE)
			n++;
	}
	assert_true(n > 300);
	memset(s.pool->heat.at, 0xff, s.pool->objects[DAXFS_T_PAGE]); /* none, or all: only the states know */
	lane = rig_enter(s.pod.fs[2]);
	for (unsigned i = 0; i < 8; i++)
		cache_give_back(s.pod.fs[2], lane, 4000);
	rig_exit(s.pod.fs[2], lane);
	assert_int_equal(cached(&s), 0);
	assert_int_equal(daxfs_unlink(s.pod.fs[0], DAXFS_ROOT, "g"), 0);
	fixture_stop(&s);
}

/* A pool that was made before there was heat is as good. */
static void test_without(void **state)
{
	struct fixture s;

	(void)state;
	start(&s, 4 << 20, FILE_PAGES * PAGE, (struct daxfs_mkfs_options){ .cache_max = 0 });
	for (unsigned i = 0; i < POD_HOSTS; i++)
		fs_pool_writable(s.pod.fs[i])->heat = (struct pool_heat){ .at = NULL };
	for (uint64_t at = 0; at < s.size; at += RUN * PAGE)
		expect(&s, 0, at, RUN * PAGE);
	assert_int_equal(daxfs_cache_drop(s.pod.fs[1], s.ino, 0, UINT64_MAX) > 0, true);
	fixture_stop(&s);
}

/* What hosts that died left in the sum does not add up, nor does what is missing in it. */
static void test_counted_anew(void **state)
{
	struct fixture s;

	(void)state;
	start(&s, 16 << 20, FILE_PAGES * PAGE, (struct daxfs_mkfs_options){ .cache_max = 200 * PAGE });
	for (uint64_t at = 0; at < 300; at++)
		expect(&s, 0, at * PAGE, PAGE);
	assert_int_equal(heat_cached(s.pool), cached(&s));
	for (int64_t off = -64; off <= 4096; off += 4160) {
		heat_count(s.pod.fs[1], off);
		assert_int_not_equal(heat_cached(s.pool), cached(&s));
		assert_int_equal(daxfs_backing_detach(s.pod.fs[2], BACKING), 0);
		storage_attach(&s.storage[2], s.pod.fs[2], BACKING, PATIENCE_MS);
		assert_int_equal(heat_cached(s.pool), cached(&s));
	}
	expect(&s, 0, 1000 * PAGE, PAGE);
	assert_true(filled(&s) > 0 && cached(&s) <= 200);
	fixture_stop(&s);
}

/* The same while nobody attaches anything: who finds no room doubts the sum, and the next fill finds some. */
static void test_doubted(void **state)
{
	struct fixture s;
	int64_t before;

	(void)state;
	start(&s, 16 << 20, FILE_PAGES * PAGE, (struct daxfs_mkfs_options){ .cache_max = 200 * PAGE });
	for (uint64_t at = 0; at < 300; at++)
		expect(&s, 0, at * PAGE, PAGE);
	heat_count(s.pod.fs[1], 1024); /* of a host that died then */
	before = filled(&s);
	expect(&s, 0, 1000 * PAGE, PAGE);
	assert_int_equal(filled(&s), before);
	assert_int_equal(heat_cached(s.pool), cached(&s));
	expect(&s, 0, 1001 * PAGE, PAGE);
	assert_true(filled(&s) > before);
	fixture_stop(&s);
}

/* A file of as many pages as there may be is removed: the next fill finds room all the same. */
static void test_room_of_removed(void **state)
{
	struct daxfs_cache_stats stats;
	struct fixture s;
	daxfs_ino other;

	(void)state;
	start(&s, 16 << 20, 200 * PAGE, (struct daxfs_mkfs_options){ .cache_max = 64 * PAGE });
	other = storage_import(s.pod.fs[0], "other", BACKING, FILE_NUMBER + 1, 100 * PAGE);
	for (uint64_t at = 0; at < 100; at++)
		storage_expect(&s.storage[0], s.pod.fs[0], other, FILE_NUMBER + 1, at * PAGE, PAGE, 100 * PAGE);
	assert_int_equal(daxfs_discard(s.pod.fs[0], DAXFS_ROOT, "other", other, NULL), 0);
	for (uint64_t at = 1; at < 200; at += 3)
		expect(&s, 0, at * PAGE, PAGE);
	daxfs_cache_stats(s.pod.fs[0], &stats);
	assert_int_equal(stats.no_room, 0);
	fixture_stop(&s);
}

static void test_figures(void **state)
{
	struct daxfs_cache_stats stats, told;
	struct fixture s;

	(void)state;
	start(&s, 16 << 20, FILE_PAGES * PAGE, (struct daxfs_mkfs_options){ .cache_max = 200 * PAGE });
	for (uint64_t at = 0; at < 2000; at++)
		expect(&s, 0, at * PAGE, PAGE);
	daxfs_cache_stats(s.pod.fs[0], &stats);
	assert_true(stats.ahead_used > 1000 && stats.ahead_used <= stats.hits);
	expect(&s, 0, 0, PAGE); /* sixteen are read; of those that nobody wants some go unused */
	for (uint64_t i = 0; i < 600; i++)
		expect(&s, 0, (2000 + 3 * i) * PAGE, PAGE);
	daxfs_cache_stats(s.pod.fs[0], &stats);
	assert_true(stats.ahead_wasted > 0);
	assert_true(stats.dropped_young + stats.dropped_old <= stats.dropped);
	daxfs_beat(s.pod.fs[0]);
	assert_int_equal(daxfs_cache_stats_of(s.pod.fs[1], 0, &told), 0);
	assert_int_equal(told.ahead_used, stats.ahead_used);
	assert_int_equal(told.ahead_wasted, stats.ahead_wasted);
	assert_int_equal(told.dropped_young, stats.dropped_young);
	assert_int_equal(told.cached, cached(&s));
	fixture_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uses),
		cmocka_unit_test(test_followers),
		cmocka_unit_test(test_max),
		cmocka_unit_test(test_overwritten),
		cmocka_unit_test(test_counted_once),
		cmocka_unit_test(test_removed),
		cmocka_unit_test(test_min),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_without),
		cmocka_unit_test(test_figures),
		cmocka_unit_test(test_counted_anew),
		cmocka_unit_test(test_doubted),
		cmocka_unit_test(test_room_of_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
