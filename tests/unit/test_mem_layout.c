/* SPDX-License-Identifier: Apache-2.0 */
/* test_mem_layout.c - regions: in order, aligned, inside, and as many pages as fit. */
#include <errno.h>

#include "test_mem_util.h"

static struct layout laid(uint64_t size, struct daxfs_mkfs_options options)
{
	struct daxfs_error err = { .text = "" };
	struct layout l;

	if (layout_compute(size, &options, &l, &err))
		fail_msg("%llu bytes: %s", (unsigned long long)size, err.text);
	return l;
}

static void check_order(const struct layout *l)
{
	uint64_t before = 8192, end = 0;

	for (unsigned id = 0; id < DAXFS_REGIONS; id++) {
		const struct sm_region *r = &l->region[id];

		assert_int_equal(r->offset % 4096, 0);
		assert_true(r->offset >= before && r->offset < before + 4096);
		assert_true(r->count > 0);
		end = r->offset + 4096 + r->elem_size * r->count;
		before = end;
	}
	assert_true(end <= l->size);
	/* One page more would need at most a page of each of its three tables. */
	assert_true(l->size - end < 4 * 4096 + 24);
}

static void test_sizes(void **state)
{
	const struct daxfs_mkfs_options small = { .hosts = 1, .lanes = 1, .inodes = 16 };
	const struct daxfs_mkfs_options standard = { .hosts = 0 };

	(void)state;
	for (uint64_t size = 512 << 10; size < 64 << 20; size += 1234567) {
		struct layout l = laid(size, small);

		check_order(&l);
		assert_int_equal(l.size, size / 4096 * 4096);
	}
	for (unsigned shift = 20; shift <= 43; shift++) {
		struct layout l = laid((1ull << shift) + 4095, standard);

		check_order(&l);
	}
}

static void test_defaults(void **state)
{
	struct layout l = laid(1ull << 30, (struct daxfs_mkfs_options){ .hosts = 0 });

	(void)state;
	assert_int_equal(l.hosts, 8);
	assert_int_equal(l.lanes_per_host, 8);
	assert_int_equal(l.opens_per_host, 4096);
	assert_int_equal(l.heartbeat_ms, 50);
	assert_int_equal(l.objects[DAXFS_T_INODE], 32768);
	assert_int_equal(l.objects[DAXFS_T_DIRENT], 32768 + 8192 + 64);
	assert_int_equal(l.region[DAXFS_R_MEMBER].count, 1);
	assert_int_equal(l.region[DAXFS_R_LANES].count, 64);
	assert_int_equal(l.region[DAXFS_R_OPEN_TABLE].count, 32768);
	assert_int_equal(l.region[DAXFS_R_STATE2].count, 32768 + 8192 + 64);
	assert_int_equal(l.region[DAXFS_R_COUNT].count, l.region[DAXFS_R_PAGES].count);
	/* Tables cost less than four percent. */
	assert_true(l.objects[DAXFS_T_PAGE] * 4096 > (1ull << 30) / 100 * 96);
}

static void test_options_kept(void **state)
{
	const struct daxfs_mkfs_options o = { .hosts = 64, .lanes = 16, .heartbeat_ms = 10000, .inodes = 777 };
	struct layout l = laid(64 << 20, o);

	(void)state;
	check_order(&l);
	assert_int_equal(l.region[DAXFS_R_LANES].count, 1024);
	assert_int_equal(l.region[DAXFS_R_OPEN_TABLE].count, 64 * 4096);
	assert_int_equal(l.objects[DAXFS_T_INODE], 777);
	assert_int_equal(l.objects[DAXFS_T_DIRENT], 777 + 194 + 64);
	assert_int_equal(l.heartbeat_ms, 10000);
}

static void refused(uint64_t size, struct daxfs_mkfs_options options, int error, const char *words)
{
	struct daxfs_error err = { .text = "" };
	struct layout l;

	util_refused(layout_compute(size, &options, &l, &err), error, &err, words);
}

/* As many slots as can be, if they take at most 1/128 of the pool; and nine, whatever they take. */
static void test_many_slots(void **state)
{
	const uint64_t slot = 8 * sizeof(struct sm_lane) + 4096 * 8 + sizeof(struct sm_holder) + sizeof(struct sm_asks);
	struct daxfs_mkfs_options o = { .hosts = DAXFS_HOSTS_MANY };

	(void)state;
	assert_int_equal(laid(16 << 20, o).hosts, 9);
	assert_int_equal(laid(1ull << 30, o).hosts, 64);
	assert_int_equal(laid(1ull << 43, o).hosts, 64);
	for (unsigned n = 10; n <= 64; n++) {
		uint64_t least = (n * slot * 128 + 4095) / 4096 * 4096;

		assert_int_equal(laid(least, o).hosts, n);
		assert_int_equal(laid(least - 4096, o).hosts, n - 1);
	}
	o.lanes = 32; /* 1024 in all */
	assert_int_equal(laid(1ull << 40, o).hosts, 32);
	o.lanes = 100;
	assert_int_equal(laid(1ull << 40, o).hosts, 10);
	o.lanes = 200;
	refused(1ull << 40, o, -EINVAL, "9 hosts x 200 lanes");
}

static void test_options_refused(void **state)
{
	(void)state;
	refused(1 << 30, (struct daxfs_mkfs_options){ .hosts = 65 }, -EINVAL, "65 hosts");
	refused(1 << 30, (struct daxfs_mkfs_options){ .hosts = 64, .lanes = 17 }, -EINVAL, "at most 1024 lanes");
	refused(1 << 30, (struct daxfs_mkfs_options){ .hosts = 2, .lanes = UINT32_MAX }, -EINVAL, "lanes");
	refused(1 << 30, (struct daxfs_mkfs_options){ .heartbeat_ms = 10001 }, -EINVAL, "heartbeat");
	refused(1 << 30, (struct daxfs_mkfs_options){ .heartbeat_ms = 4 }, -EINVAL, "give 5 to 10000");
	refused(1 << 30, (struct daxfs_mkfs_options){ .inodes = 15 }, -EINVAL, "inodes");
	refused(1 << 30, (struct daxfs_mkfs_options){ .inodes = UINT64_MAX }, -EINVAL, "inodes");
	refused(1 << 30, (struct daxfs_mkfs_options){ .inodes = 1 << 30 }, -EINVAL, "at least");
}

/* The size an error asks for is enough, and one page less is not. */
static void test_least_size(void **state)
{
	const struct daxfs_mkfs_options options[] = {
		{ .hosts = 1, .lanes = 1 },
		{ .hosts = 0 },
		{ .hosts = 64, .lanes = 16 },
		{ .inodes = 100000 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		struct daxfs_error err = { .text = "" };
		unsigned long long least;
		struct layout l;

		util_refused(layout_compute(4096, &options[i], &l, &err), -EINVAL, &err, "needs at least ");
		assert_int_equal(sscanf(strstr(err.text, "at least "), "at least %llu", &least), 1);
		assert_int_equal(layout_compute(least - 1, &options[i], &l, &err), -EINVAL);
		l = laid(least, options[i]);
		check_order(&l);
		assert_true(l.objects[DAXFS_T_PAGE] >= LAYOUT_PAGES_MIN);
	}
	refused(0, options[0], -EINVAL, "too small");
}

static void test_namei(void **state)
{
	(void)state;
	for (unsigned id = 0; id < DAXFS_REGIONS; id++) {
		assert_string_not_equal(region_name(id), "?");
		for (unsigned other = 0; other < id; other++)
			assert_string_not_equal(region_name(id), region_name(other));
	}
	assert_string_equal(region_name(DAXFS_REGIONS), "?");
}

/* A page has a number of 32 bits: a pool is not made smaller than was asked for, but refused. */
static void test_largest_size(void **state)
{
	const struct daxfs_mkfs_options standard = { .hosts = 0 };
	const uint64_t too_large = (uint64_t)32 << 40;
	unsigned long long most = 0;
	struct daxfs_error err;
	struct layout l;

	(void)state;
	assert_int_equal(layout_compute(too_large, &standard, &l, &err), -EFBIG);
	assert_int_equal(sscanf(strstr(err.text, "at most "), "at most %llu", &most), 1);
	assert_true(most > (uint64_t)16 << 40 && most < too_large);
	/* What it says is taken, and has all the pages there can be. */
	l = laid(most, standard);
	check_order(&l);
	assert_true(l.objects[DAXFS_T_PAGE] > DAXFS_OBJECTS_MAX - 1024);
	assert_int_equal(layout_compute(most + ((uint64_t)1 << 40), &standard, &l, &err), -EFBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),           cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_options_kept),    cmocka_unit_test(test_many_slots),
		cmocka_unit_test(test_options_refused), cmocka_unit_test(test_least_size),
		cmocka_unit_test(test_largest_size),    cmocka_unit_test(test_namei),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
