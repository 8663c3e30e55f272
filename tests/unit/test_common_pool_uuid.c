/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_common_pool_uuid.c - UUIDs read and written, and a pool that is not the one that is meant.
 */
#include "settings_try.h"

#include "common/pool_uuid.h"

#define SOME "6b04c766-0102-0304-0506-0708090a0bff"

static void read_and_written(void **state)
{
	struct pool_uuid u = { .given = false };
	struct daxfs_error err = { "" };
	char text[POOL_UUID_TEXT_BYTES];

	(void)state;
	assert_int_equal(pool_uuid_set("pool-uuid", SOME, &u, &err), 0);
	assert_true(u.given);
	assert_string_equal(pool_uuid_text(u.bytes, text, sizeof(text)), SOME);
	assert_int_equal(pool_uuid_set("pool-uuid", "6B04C766-0102-0304-0506-0708090A0BFF", &u, &err), 0);
	assert_string_equal(pool_uuid_text(u.bytes, text, sizeof(text)), SOME);
}

static void refused(void **state)
{
	static const char *const bad[] = {
		"",
		"6b04c766",
		SOME "0",
		SOME " ",
		"6b04c7660102030405060708090a0bff",
		"6b04c766-0102-0304-0506-0708090a0bf",
		"6b04c766-0102-0304-0506-0708090a0bfg",
		"6b04c76-60102-0304-0506-0708090a0bff",
		("/dev/daxfs/by-uuid/" SOME),
		"------------------------------------",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pool_uuid u = { .bytes = { 7 }, .given = true };
		struct daxfs_error err = { "" };

		try_refused(pool_uuid_set("pool-uuid", bad[i], &u, &err), &err, "daxfsctl probe");
		assert_true(u.given && u.bytes[0] == 7);
	}
}

static void another_pool(void **state)
{
	struct daxfs_geometry g = { .name = "testpool", .uuid = { 0x6b, 4 } };
	struct pool_uuid meant = { .given = false };
	struct daxfs_error err = { "" };

	(void)state;
	assert_int_equal(pool_uuid_check(&meant, &g, "/dev/dax0.0", &err), 0);
	meant.given = true;
	assert_int_equal(pool_uuid_check(&meant, &g, "/dev/dax0.0", &err), -ENODEV);
	assert_string_equal(err.text, "/dev/dax0.0 holds the pool testpool with UUID "
				      "6b040000-0000-0000-0000-000000000000, not "
				      "00000000-0000-0000-0000-000000000000 as pool-uuid says: name the device of that "
				      "one, or correct the setting");
	memcpy(meant.bytes, g.uuid, sizeof(meant.bytes));
	assert_int_equal(pool_uuid_check(&meant, &g, "/dev/dax0.0", &err), 0);
	meant.bytes[15] ^= 1;
	assert_int_equal(pool_uuid_check(&meant, &g, "/dev/dax0.0", &err), -ENODEV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_and_written),
		cmocka_unit_test(refused),
		cmocka_unit_test(another_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
