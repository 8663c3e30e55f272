/* SPDX-License-Identifier: Apache-2.0 */
/* test_agent_proof.c - what an agent warns of that joins a pool whose memory was not tested between hosts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "node-agent/proof.h"

static void devices_that_nobody_tested(void **unused)
{
	struct daxfs_coherence c = { .coherent = true, .hosts = 2, .machines = 2 };

	(void)unused;
	assert_null(proof_warning(false, 9, NULL));
	assert_null(proof_warning(true, 2, NULL));
	assert_non_null(strstr(proof_warning(true, 3, NULL), "nobody has tested"));
	assert_null(proof_warning(true, 3, &c));
	c.machines = 1;
	assert_non_null(strstr(proof_warning(true, 3, &c), "on one machine only"));
}

static void memory_that_failed_the_test(void **unused)
{
	struct daxfs_coherence c = { .coherent = false, .hosts = 2, .machines = 2 };

	(void)unused;
	assert_non_null(strstr(proof_warning(false, 2, &c), "not coherent"));
	assert_non_null(strstr(proof_warning(true, 9, &c), "not coherent"));
}

static void devices(void **unused)
{
	(void)unused;
	assert_true(proof_is_device("/dev/null"));
	assert_false(proof_is_device("/dev/shm"));
	assert_false(proof_is_device("/dev/daxfs-there-is-none"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(devices_that_nobody_tested),
		cmocka_unit_test(memory_that_failed_the_test),
		cmocka_unit_test(devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
