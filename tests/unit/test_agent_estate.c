/* SPDX-License-Identifier: Apache-2.0 */
/* test_agent_estate.c - numbers of open files, which the kernel keeps for as long as it likes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daxfs/daxfs.h"
#include "node-agent/estate.h"

/* A place is used again, its number is not: who comes late with the old one finds nothing, and closes nothing. */
static void a_number_is_of_one_file(void **state)
{
	struct daxfs_error err;
	struct estate e;
	uint64_t first, second;

	(void)state;
	if (estate_create(&e, &err))
		skip(); /* no /dev/fuse */
	first = estate_file_new(&e);
	assert_int_not_equal(first, 0);
	estate_file_set(&e, first, 5);
	assert_int_equal(estate_file(&e, first), 5);
	estate_file_free(&e, first);
	second = estate_file_new(&e);
	assert_int_not_equal(second, first);
	estate_file_set(&e, second, 7);
	estate_file_free(&e, first);
	assert_int_equal(estate_file(&e, second), 7);
	assert_int_not_equal(estate_file_new(&e), second);
	estate_close(&e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_is_of_one_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
