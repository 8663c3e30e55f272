/* SPDX-License-Identifier: Apache-2.0 */
/* test_agent_kernel_pages.c - when pages that were dropped are known to be of a lease (node-agent/kernel_pages.h). */
#include "node-agent/kernel_pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node-agent/channel.h"
#include "node-agent/estate.h"

#define INO 7u
#define FH 1u
#define LEASE 1000u

/* No thread: the test is the one that drops. */
int __wrap_kernel_questions_start(struct kernel_questions *k);
void __wrap_kernel_questions_stop(struct kernel_questions *k);
bool __wrap_kernel_questions_quiesce(struct kernel_questions *k);

int __wrap_kernel_questions_start(struct kernel_questions *k)
{
	(void)k;
	return 0;
}

void __wrap_kernel_questions_stop(struct kernel_questions *k)
{
	(void)k;
}

bool __wrap_kernel_questions_quiesce(struct kernel_questions *k)
{
	(void)k;
	return true;
}

/* Nor what a former agent has left. */
void __wrap_estate_each_cached(const struct estate *e, void (*each)(void *context, daxfs_ino ino), void *context);

void __wrap_estate_each_cached(const struct estate *e, void (*each)(void *context, daxfs_ino ino), void *context)
{
	(void)e;
	(void)each;
	(void)context;
}

static struct kernel_pages pages;
static const struct channel nobody = { .fd = -1 };
static struct dropper dropper; /* which no lane is asked of */

/* One open file, which is to be known of no lease. */
static int start(void **state)
{
	(void)state;
	if (kernel_pages_start(&pages, &nobody, NULL, &dropper, NULL))
		return -1;
	kernel_pages_open(&pages, INO, FH, LEASE);
	kernel_pages_change(&pages, INO);
	kernel_pages_changed(&pages, INO);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	kernel_pages_quiesce(&pages);
	kernel_pages_stop(&pages);
	return 0;
}

static void test_dropped(void **state)
{
	uint64_t changes = kernel_pages_changes(&pages, INO);

	(void)state;
	assert_false(kernel_pages_good(&pages, INO, LEASE));
	kernel_pages_dropped(&pages, INO, LEASE, changes);
	assert_true(kernel_pages_good(&pages, INO, LEASE));
}

static void test_change_meets_the_drop(void **state)
{
	uint64_t changes = kernel_pages_changes(&pages, INO);

	(void)state;
	kernel_pages_change(&pages, INO);
	kernel_pages_dropped(&pages, INO, LEASE, changes);
	assert_false(kernel_pages_good(&pages, INO, LEASE));
	kernel_pages_changed(&pages, INO);
	kernel_pages_dropped(&pages, INO, LEASE, changes);
	assert_false(kernel_pages_good(&pages, INO, LEASE));
}

/* Pages were dropped, and read again, before data changed; that is over when the thread that dropped looks. */
static void test_drop_begins_within_a_change(void **state)
{
	uint64_t changes;

	(void)state;
	kernel_pages_change(&pages, INO);
	changes = kernel_pages_changes(&pages, INO);
	kernel_pages_changed(&pages, INO);
	kernel_pages_dropped(&pages, INO, LEASE, changes);
	assert_false(kernel_pages_good(&pages, INO, LEASE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_dropped, start, stop),
		cmocka_unit_test_setup_teardown(test_change_meets_the_drop, start, stop),
		cmocka_unit_test_setup_teardown(test_drop_begins_within_a_change, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
