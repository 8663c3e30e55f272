/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_mem_writeback.c - lines are written back where the range is, nowhere else.
 *
 * Write-back itself cannot be seen from inside one machine; the simulator proves
 * that it is asked for where it must be. Here: it may be executed on this
 * processor, changes nothing, and touches only lines of the range (a line outside
 * would fault).
 */
#include "test_mem_util.h"

static uint8_t *between_guards(void)
{
	uint8_t *p = mmap(NULL, 3 * DAXFS_PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(mprotect(p + DAXFS_PAGE_SIZE, DAXFS_PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
	return p + DAXFS_PAGE_SIZE;
}

static void test_only_the_range(void **state)
{
	const struct shm shm = { .wb = true };
	uint8_t *page = between_guards();

	(void)state;
	for (unsigned i = 0; i < DAXFS_PAGE_SIZE; i++)
		page[i] = (uint8_t)(i * 7);
	sm_flush(&shm, page, DAXFS_PAGE_SIZE);
	sm_flush(&shm, page + DAXFS_PAGE_SIZE - 1, 1);
	sm_flush(&shm, page + 63, 2);
	sm_flush(&shm, page + DAXFS_PAGE_SIZE, 0); /* nothing of the guard */
	sm_flush(&shm, page - DAXFS_LINE, 0);
	sm_drain(&shm);
	for (unsigned i = 0; i < DAXFS_PAGE_SIZE; i++)
		assert_int_equal(page[i], (uint8_t)(i * 7));
	munmap(page - DAXFS_PAGE_SIZE, 3 * DAXFS_PAGE_SIZE);
}

/* In a gpf pool nothing is written back: even an address nobody may touch is fine. */
static void test_gpf_does_nothing(void **state)
{
	const struct shm shm = { .wb = false };
	uint8_t *page = between_guards();

	(void)state;
	sm_flush(&shm, page + DAXFS_PAGE_SIZE, DAXFS_PAGE_SIZE);
	sm_drain(&shm);
	munmap(page - DAXFS_PAGE_SIZE, 3 * DAXFS_PAGE_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_the_range),
		cmocka_unit_test(test_gpf_does_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
