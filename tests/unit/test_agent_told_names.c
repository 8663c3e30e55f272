/* SPDX-License-Identifier: Apache-2.0 */
/* test_agent_told_names.c - which names a listing need not tell again (node-agent/told_names.h). */
#include "node-agent/told_names.h"

#include <linux/fuse.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define DIR 7u
#define FILE_IN 8u
#define ANOTHER 9u
#define LEASE 1000u

static struct told_names told;

/* In two answers and the end. */
static void list(int64_t now, uint64_t first_ns, uint64_t second_ns)
{
	assert_int_equal(told_listing(&told, DIR, 0, now), 0);
	told_answered(&told, DIR, 0, 20, now, first_ns);
	assert_int_equal(told_listing(&told, DIR, 20, now), 0);
	told_answered(&told, DIR, 20, 40, now, second_ns);
	assert_int_equal(told_listing(&told, DIR, 40, now), 0);
	told_answered(&told, DIR, 40, 40, now, INT64_MAX);
}

static bool has(int64_t now, daxfs_ino ino)
{
	return told_has(&told, told_listing(&told, DIR, 0, now), ino);
}

static int start(void **state)
{
	(void)state;
	told_start(&told);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	told_stop(&told);
	return 0;
}

static void test_a_listing_from_begin_to_end_is_not_told_again(void **state)
{
	(void)state;
	list(0, LEASE, LEASE);
	assert_true(has(0, FILE_IN));
	assert_true(told_has(&told, told_listing(&told, DIR, 20, 0), FILE_IN));
	assert_int_equal(told_listing(&told, ANOTHER, 0, 0), 0);
}

static void test_half_of_the_shortest_lease_is_what_it_counts(void **state)
{
	(void)state;
	list(0, LEASE, LEASE / 2);
	assert_true(has(LEASE / 4 - 1, FILE_IN));
	assert_false(has(LEASE / 4, FILE_IN));
	list(LEASE, LEASE, 0); /* no lease */
	assert_false(has(LEASE, FILE_IN));
}

static void test_a_part_of_a_listing_is_none(void **state)
{
	(void)state;
	told_listing(&told, DIR, 0, 0);
	told_answered(&told, DIR, 0, 20, 0, LEASE);
	assert_false(has(0, FILE_IN)); /* begins again */
	told_answered(&told, DIR, 20, 40, 0, LEASE);
	told_answered(&told, DIR, 40, 40, 0, LEASE);
	assert_false(has(0, FILE_IN)); /* without its beginning */
	told_answered(&told, DIR, 0, 20, 0, LEASE);
	told_answered(&told, DIR, 0, 30, 0, LEASE); /* somebody else, of the same directory */
	told_answered(&told, DIR, 30, 30, 0, LEASE);
	assert_false(has(0, FILE_IN));
}

static void test_what_is_asked_of_an_inode_makes_it_told_again(void **state)
{
	static const uint32_t changes[] = { FUSE_READ,     FUSE_WRITE,       FUSE_SETATTR,        FUSE_FORGET,
					    FUSE_READDIR,  FUSE_READDIRPLUS, FUSE_FALLOCATE,      FUSE_SETXATTR,
					    FUSE_READLINK, FUSE_REMOVEXATTR, FUSE_COPY_FILE_RANGE };
	static const uint32_t looks[] = { FUSE_LOOKUP, FUSE_GETATTR, FUSE_OPEN, FUSE_FLUSH, FUSE_RELEASE };

	(void)state;
	for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		told_forgets_all(&told);
		list(0, LEASE, LEASE);
		told_asked(&told, changes[i], FILE_IN);
		assert_false(has(0, FILE_IN));
		assert_true(has(0, ANOTHER));
	}
	told_forgets_all(&told);
	list(0, LEASE, LEASE);
	for (unsigned i = 0; i < sizeof(looks) / sizeof(looks[0]); i++)
		told_asked(&told, looks[i], FILE_IN);
	assert_true(has(0, FILE_IN));
	told_forgets(&told, FILE_IN);
	assert_false(has(0, FILE_IN));
}

static void test_a_change_of_names_makes_all_of_the_directory_told_again(void **state)
{
	static const uint32_t here[] = { FUSE_CREATE, FUSE_MKNOD, FUSE_MKDIR, FUSE_SYMLINK, FUSE_UNLINK, FUSE_RMDIR };
	static const uint32_t anywhere[] = { FUSE_RENAME, FUSE_RENAME2, FUSE_LINK, FUSE_BATCH_FORGET };

	(void)state;
	for (unsigned i = 0; i < sizeof(here) / sizeof(here[0]); i++) {
		list(0, LEASE, LEASE);
		told_asked(&told, here[i], ANOTHER);
		assert_true(has(0, FILE_IN));
		told_asked(&told, here[i], DIR);
		assert_false(has(0, FILE_IN));
	}
	for (unsigned i = 0; i < sizeof(anywhere) / sizeof(anywhere[0]); i++) {
		list(0, LEASE, LEASE);
		told_asked(&told, anywhere[i], ANOTHER);
		assert_false(has(0, FILE_IN));
	}
	list(0, LEASE, LEASE);
	told_forgets_all(&told);
	assert_false(has(0, FILE_IN));
}

static void test_a_change_in_the_middle_of_a_listing_counts(void **state)
{
	(void)state;
	told_listing(&told, DIR, 0, 0);
	told_answered(&told, DIR, 0, 20, 0, LEASE);
	told_asked(&told, FUSE_WRITE, FILE_IN);
	told_answered(&told, DIR, 20, 20, 0, LEASE);
	assert_false(has(0, FILE_IN));
	assert_true(has(0, ANOTHER));
	told_forgets_all(&told);
	told_listing(&told, DIR, 0, 0);
	told_asked(&told, FUSE_CREATE, DIR);
	told_answered(&told, DIR, 0, 20, 0, LEASE);
	told_answered(&told, DIR, 20, 20, 0, LEASE);
	assert_false(has(0, ANOTHER));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_listing_from_begin_to_end_is_not_told_again, start, stop),
		cmocka_unit_test_setup_teardown(test_half_of_the_shortest_lease_is_what_it_counts, start, stop),
		cmocka_unit_test_setup_teardown(test_a_part_of_a_listing_is_none, start, stop),
		cmocka_unit_test_setup_teardown(test_what_is_asked_of_an_inode_makes_it_told_again, start, stop),
		cmocka_unit_test_setup_teardown(test_a_change_of_names_makes_all_of_the_directory_told_again, start,
						stop),
		cmocka_unit_test_setup_teardown(test_a_change_in_the_middle_of_a_listing_counts, start, stop),
	};

	return cmocka_run_group_tests_name("agent-told-names", tests, NULL, NULL);
}
