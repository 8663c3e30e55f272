/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_local.c - copies of pages in memory of a process: read in place of the pool's while they are what the pool has,
 * whatever becomes of the page; which pages are copied; what is counted and told.
 */
#include <pthread.h>
#include <unistd.h>

#include "cache_fixture.h"
#include "fs/heat.h"
#include "fs/local.h"

#define POOL_BYTES (8u << 20)
#define PAGES 64u /* of the file, in most tests */

static const struct daxfs_local_options least = { sizeof(least), DAXFS_LOCAL_MIN };

struct own {
	struct pod pod;
	daxfs_ino ino;
};

static void own_start(struct own *o)
{
	struct daxfs_attr attr;

	alarm(HANG_S);
	pod_start(&o->pod, POOL_BYTES);
	assert_int_equal(daxfs_mknod(o->pod.fs[1], DAXFS_ROOT, "f", 0100600, 0, pod_root, false, &attr), 0);
	o->ino = attr.ino;
	assert_int_equal(daxfs_local_open(o->pod.fs[0], &least), 0);
}

static void put(struct own *o, unsigned host, uint64_t offset, size_t len, unsigned what)
{
	uint8_t *buf = malloc(len);

	assert_non_null(buf);
	memset(buf, (int)what, len);
	assert_int_equal(daxfs_write(o->pod.fs[host], o->ino, buf, len, offset, 0), len);
	free(buf);
}

static int cut(struct own *o, uint64_t size)
{
	struct daxfs_attr attr = { .size = size };

	return daxfs_setattr(o->pod.fs[2], o->ino, DAXFS_SET_SIZE, &attr, NULL);
}

static void expect_all(struct daxfs *fs, daxfs_ino ino, uint64_t offset, size_t len, unsigned what)
{
	uint8_t buf[16 * PAGE];

	assert_int_equal(daxfs_read(fs, ino, buf, len, offset), len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(buf[i], what);
}

static struct daxfs_cache_stats stats_of(struct daxfs *fs)
{
	struct daxfs_cache_stats stats;

	daxfs_cache_stats(fs, &stats);
	return stats;
}

/* Read it as often as it takes until it comes from a copy. */
static void make_local(struct own *o, uint64_t offset, size_t len, unsigned what)
{
	uint64_t before = stats_of(o->pod.fs[0]).local;

	for (unsigned i = 0; i < 4; i++)
		expect_all(o->pod.fs[0], o->ino, offset, len, what);
	assert_true(stats_of(o->pod.fs[0]).local > before);
}

static void test_options(void **state)
{
	struct {
		struct daxfs_local_options known;
		uint64_t more;
	} newer = { { sizeof(newer), DAXFS_LOCAL_MIN }, 1 };
	struct pod pod;

	(void)state;
	pod_start(&pod, POOL_BYTES);
	assert_int_equal(daxfs_local_open(pod.fs[0], &(struct daxfs_local_options){ .bytes = DAXFS_LOCAL_MIN }),
			 -EINVAL);
	assert_int_equal(daxfs_local_open(pod.fs[0], &(struct daxfs_local_options){ sizeof(least), 4096 }), -EINVAL);
	assert_int_equal(daxfs_local_open(pod.fs[0], &newer.known), -E2BIG);
	assert_int_equal(daxfs_local_open(pod.fs[0], &(struct daxfs_local_options){ sizeof(least), UINT64_MAX }),
			 -ENOMEM);
	newer.more = 0;
	assert_int_equal(daxfs_local_open(pod.fs[0], &newer.known), 0);
	assert_int_equal(daxfs_local_open(pod.fs[0], &least), -EBUSY);
	pod_stop(&pod);
}

/* What is read once is not copied, not even in small pieces; what is read again is, and then read there. */
static void test_by_heat(void **state)
{
	uint64_t early, before;
	struct own o;

	(void)state;
	own_start(&o);
	put(&o, 1, 0, PAGES * PAGE, 7);
	for (unsigned i = 0; i < PAGES * 8; i++)
		expect_all(o.pod.fs[0], o.ino, i * PAGE / 8, PAGE / 8, 7);
	early = stats_of(o.pod.fs[0]).promoted; /* pages that share a counter count as one */
	assert_true(early <= PAGES / 8);
	for (unsigned i = 0; i < PAGES; i++)
		expect_all(o.pod.fs[0], o.ino, i * PAGE + 100, 50, 7);
	assert_int_equal(stats_of(o.pod.fs[0]).promoted, PAGES);
	before = stats_of(o.pod.fs[0]).local;
	assert_true(before >= early && before <= early * 9);
	for (unsigned i = 0; i < PAGES; i += 16)
		expect_all(o.pod.fs[0], o.ino, i * PAGE, 16 * PAGE, 7);
	assert_int_equal(stats_of(o.pod.fs[0]).local, before + PAGES);
	assert_int_equal(stats_of(o.pod.fs[0]).demoted, 0);
	/* The others have none. */
	assert_int_equal(stats_of(o.pod.fs[1]).promoted, 0);
	pod_stop(&o.pod);
}

/* Whatever becomes of a page that has a copy: the next read sees it. */
static void test_changes(void **state)
{
	uint8_t byte;
	struct own o;

	(void)state;
	own_start(&o);
	put(&o, 1, 0, 2 * PAGE, 1);
	make_local(&o, 0, 2 * PAGE, 1);
	put(&o, 1, 10, 100, 2); /* overwritten by another host, in part */
	expect_all(o.pod.fs[0], o.ino, 10, 100, 2);
	expect_all(o.pod.fs[0], o.ino, 110, 2 * PAGE - 110, 1);
	put(&o, 0, 0, PAGE, 3); /* and by this one */
	make_local(&o, 0, PAGE, 3);
	assert_int_equal(cut(&o, 5), 0);
	assert_int_equal(cut(&o, PAGE), 0);
	expect_all(o.pod.fs[0], o.ino, 0, 5, 3);
	expect_all(o.pod.fs[0], o.ino, 5, PAGE - 5, 0);
	assert_int_equal(cut(&o, 0), 0);
	assert_int_equal(daxfs_read(o.pod.fs[0], o.ino, &byte, 1, 0), 0);
	put(&o, 1, 0, PAGE, 4);
	make_local(&o, 0, PAGE, 4);
	assert_int_equal(daxfs_allocate(o.pod.fs[1], o.ino, 0, PAGE, DAXFS_PUNCH, true), 0);
	expect_all(o.pod.fs[0], o.ino, 0, PAGE, 0);
	pod_stop(&o.pod);
}

/* An extent, written whole; then in part, which keeps some of its pages. */
static void test_extent(void **state)
{
	struct own o;

	(void)state;
	own_start(&o);
	put(&o, 1, 0, 32 * PAGE, 1);
	make_local(&o, 16 * PAGE, 16 * PAGE, 1);
	put(&o, 1, 18 * PAGE, PAGE, 2);
	expect_all(o.pod.fs[0], o.ino, 16 * PAGE, 2 * PAGE, 1);
	expect_all(o.pod.fs[0], o.ino, 18 * PAGE, PAGE, 2);
	expect_all(o.pod.fs[0], o.ino, 19 * PAGE, 13 * PAGE, 1);
	put(&o, 1, 16 * PAGE, 16 * PAGE, 3);
	make_local(&o, 16 * PAGE, 16 * PAGE, 3);
	put(&o, 1, 16 * PAGE, 16 * PAGE, 4);
	expect_all(o.pod.fs[0], o.ino, 16 * PAGE, 16 * PAGE, 4);
	pod_stop(&o.pod);
}

static uint64_t page_of(struct own *o, uint64_t p)
{
	struct lane *lane = rig_enter(o->pod.fs[1]);
	struct map_pos pos;
	uint64_t w = 0;

	if (map_find(lane, &rig_pool(&o->pod)->inodes[handle_index(o->ino)], p, &pos) == 0)
		w = word_load(lane, pos.slot);
	rig_exit(o->pod.fs[1], lane);
	return link_index(w);
}

/* The same page of the pool comes back under the same word with other bytes: the copy of before is none of it (L3). */
static void test_same_page_again(void **state)
{
	unsigned again = 0;
	uint64_t page;
	struct own o;

	(void)state;
	own_start(&o);
	put(&o, 1, 0, PAGE, 1);
	/* Nearly full, so that pages come round soon. */
	for (uint64_t at = PAGE; daxfs_write(o.pod.fs[1], o.ino, "x", 1, at, 0) == 1;)
		at += PAGE;
	make_local(&o, 0, PAGE, 1);
	page = page_of(&o, 0);
	for (unsigned i = 0; i < 4000 && again < 3; i++) {
		unsigned what = 2 + i % 200;

		put(&o, 1, 0, PAGE, what);
		if (page_of(&o, 0) != page)
			continue;
		make_local(&o, 0, PAGE, what);
		again++;
	}
	assert_int_equal(again, 3);
	pod_stop(&o.pod);
}

/* Of a file of storage: dropped and filled anew, where storage has changed; and the pool learns that it is in use. */
static void test_storage(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s, 8 << 20, 4 * PAGE, PATIENCE_MS);
	assert_int_equal(daxfs_local_open(s.pod.fs[0], &least), 0);
	for (unsigned i = 0; i < 4; i++)
		expect(&s, 0, 0, 4 * PAGE);
	assert_true(stats_of(s.pod.fs[0]).local > 0);
	assert_true(stats_of(s.pod.fs[0]).hits > 0);
	assert_int_equal(pages_read(&s), 4);
	assert_int_equal(daxfs_cache_drop(s.pod.fs[1], s.ino, 0, UINT64_MAX), 4);
	for (unsigned i = 0; i < POD_HOSTS; i++)
		s.storage[i].change = 1;
	for (unsigned i = 0; i < 4; i++)
		expect(&s, 0, 0, 4 * PAGE);
	assert_int_equal(pages_read(&s), 8);
	for (unsigned i = 0; i < 64; i++)
		expect(&s, 0, PAGE, PAGE);
	assert_int_equal(heat_kind(sm_peek_byte(&s.pool->heat.at[link_index(word_of(&s, 1))])), DAXFS_HEAT_HOT);
	fixture_stop(&s);
}

/* More pages than there is room for: those that are read often stay, whatever else is read once. */
static void test_replacement(void **state)
{
	const uint64_t room = DAXFS_LOCAL_MIN / PAGE, pages = 4 * room, hot = room / 2;
	uint64_t before;
	struct own o;

	(void)state;
	own_start(&o);
	for (uint64_t p = 0; p < pages; p += 16)
		put(&o, 1, p * PAGE, 16 * PAGE, 9);
	for (unsigned round = 0; round < 8; round++)
		for (uint64_t p = 0; p < hot; p++)
			expect_all(o.pod.fs[0], o.ino, p * PAGE, PAGE, 9);
	for (uint64_t p = hot; p < pages; p++)
		expect_all(o.pod.fs[0], o.ino, p * PAGE, PAGE, 9);
	before = stats_of(o.pod.fs[0]).local;
	for (uint64_t p = 0; p < hot; p++)
		expect_all(o.pod.fs[0], o.ino, p * PAGE, PAGE, 9);
	assert_true(stats_of(o.pod.fs[0]).local - before >= hot * 9 / 10);
	/* And what is hot from now on takes their place. */
	for (unsigned round = 0; round < 24; round++)
		for (uint64_t p = pages - hot; p < pages; p++)
			expect_all(o.pod.fs[0], o.ino, p * PAGE, PAGE, 9);
	before = stats_of(o.pod.fs[0]).local;
	for (uint64_t p = pages - hot; p < pages; p++)
		expect_all(o.pod.fs[0], o.ino, p * PAGE, PAGE, 9);
	assert_true(stats_of(o.pod.fs[0]).local - before >= hot * 9 / 10);
	assert_true(stats_of(o.pod.fs[0]).demoted > 0);
	pod_stop(&o.pod);
}

/* The figures are told with a heartbeat; a host that has left finds no copy of before. */
static void test_told(void **state)
{
	struct daxfs_cache_stats told;
	struct daxfs_error err;
	struct own o;

	(void)state;
	own_start(&o);
	put(&o, 1, 0, PAGE, 5);
	make_local(&o, 0, PAGE, 5);
	assert_int_equal(daxfs_beat(o.pod.fs[0]), 0);
	assert_int_equal(daxfs_cache_stats_of(o.pod.fs[1], 0, &told), 0);
	assert_int_equal(told.local, stats_of(o.pod.fs[0]).local);
	assert_int_equal(told.promoted, 1);
	assert_int_equal(told.demoted, 0);
	assert_int_equal(told.dirty_bytes, 0);
	assert_int_equal(daxfs_leave(o.pod.fs[0]), 0);
	assert_int_equal(daxfs_join(o.pod.fs[0], 0, "unit0", &err), 0);
	expect_all(o.pod.fs[0], o.ino, 0, PAGE, 5);
	assert_int_equal(stats_of(o.pod.fs[0]).local, told.local);
	make_local(&o, 0, PAGE, 5);
	pod_stop(&o.pod);
}

/* -- several threads ----------------------------------------------------------------- */

#define ROUNDS 3000u

struct racer {
	struct own *own;
	atomic_uint *written; /* what was written, at least */
	unsigned worst;       /* how often it read something older */
};

/* Pages of one number each, all of one write. */
static void *race(void *arg)
{
	struct racer *r = arg;
	uint8_t buf[4 * PAGE];

	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned least_now = atomic_load(r->written), is;

		if (daxfs_read(r->own->pod.fs[0], r->own->ino, buf, sizeof(buf), 0) != sizeof(buf))
			r->worst++;
		is = buf[0];
		r->worst += (uint8_t)(is - least_now) > 100;
		for (size_t k = 0; k < sizeof(buf); k += 64)
			r->worst += buf[k] != is;
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct racer racer[2];
	pthread_t thread[2];
	atomic_uint written = 0;
	struct own o;

	(void)state;
	own_start(&o);
	put(&o, 1, 0, 4 * PAGE, 0);
	for (unsigned i = 0; i < 2; i++) {
		racer[i] = (struct racer){ &o, &written, 0 };
		assert_int_equal(pthread_create(&thread[i], NULL, race, &racer[i]), 0);
	}
	for (unsigned i = 1; i < 200; i++) {
		put(&o, 1, 0, 4 * PAGE, i);
		atomic_store(&written, i);
		for (unsigned k = 0; k < 8; k++)
			expect_all(o.pod.fs[0], o.ino, 0, 4 * PAGE, i);
	}
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(racer[i].worst, 0);
	}
	assert_true(stats_of(o.pod.fs[0]).local > 0);
	pod_stop(&o.pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),         cmocka_unit_test(test_by_heat),
		cmocka_unit_test(test_changes),         cmocka_unit_test(test_extent),
		cmocka_unit_test(test_same_page_again), cmocka_unit_test(test_storage),
		cmocka_unit_test(test_replacement),     cmocka_unit_test(test_told),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
