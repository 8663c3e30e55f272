/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmocka.h - what the unit tests use of cmocka, in a header.
 *
 * For processors that Debian has no cmocka for on this one (scripts/check-arm64).
 * A failed assertion says where, and ends its test; the program's status is the
 * number of failed tests. Single-threaded, as cmocka is: another thread that
 * fails an assertion ends the program.
 */
#ifndef TESTS_CROSS_CMOCKA_H
#define TESTS_CROSS_CMOCKA_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int (*cmocka_fixture)(void **state);

struct CMUnitTest {
	const char *name;
	void (*test)(void **state);
	cmocka_fixture setup, teardown;
};

#define cmocka_unit_test(f)                                                                                            \
	{                                                                                                              \
		.name = #f, .test = (f)                                                                                \
	}
#define cmocka_unit_test_setup_teardown(f, s, t)                                                                       \
	{                                                                                                              \
		.name = #f, .test = (f), .setup = (s), .teardown = (t)                                                 \
	}
#define cmocka_unit_test_teardown(f, t)                                                                                \
	{                                                                                                              \
		.name = #f, .test = (f), .teardown = (t)                                                               \
	}

enum { CMOCKA_FAILED = 1, CMOCKA_SKIPPED };

static __thread jmp_buf *cmocka_running; /* NULL: not the thread of the tests */

static inline void cmocka_end(int how)
{
	if (!cmocka_running)
		exit(99);
	longjmp(*cmocka_running, how);
}

#define print_message(...) printf(__VA_ARGS__)
#define skip() cmocka_end(CMOCKA_SKIPPED)
#define fail_msg(...)                                                                                                  \
	do {                                                                                                           \
		fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                                        \
		fprintf(stderr, __VA_ARGS__);                                                                          \
		fprintf(stderr, "\n");                                                                                 \
		cmocka_end(CMOCKA_FAILED);                                                                             \
	} while (0)
#define fail() fail_msg("failed")

static inline void cmocka_assert(bool holds, const char *text, const char *file, int line, uint64_t a, uint64_t b)
{
	if (holds)
		return;
	fprintf(stderr, "%s:%d: not so: %s (0x%llx, 0x%llx)\n", file, line, text, (unsigned long long)a,
		(unsigned long long)b);
	cmocka_end(CMOCKA_FAILED);
}

/* Values are compared as cmocka compares them: as its largest integers. */
#define CMOCKA_COMPARE(a, op, b)                                                                                       \
	do {                                                                                                           \
		uint64_t cmocka_a = (uint64_t)(a), cmocka_b = (uint64_t)(b);                                           \
		cmocka_assert(cmocka_a op cmocka_b, #a " " #op " " #b, __FILE__, __LINE__, cmocka_a, cmocka_b);        \
	} while (0)
#define CMOCKA_HOLDS(c, text) cmocka_assert(c, text, __FILE__, __LINE__, 0, 0)

#define assert_int_equal(a, b) CMOCKA_COMPARE(a, ==, b)
#define assert_int_not_equal(a, b) CMOCKA_COMPARE(a, !=, b)
#define assert_true(c) CMOCKA_HOLDS(!!(c), #c)
#define assert_false(c) CMOCKA_HOLDS(!(c), "!(" #c ")")
#define assert_null(p) CMOCKA_HOLDS(!(p), #p " is NULL")
#define assert_non_null(p) CMOCKA_HOLDS(!!(p), #p " is not NULL")
#define assert_ptr_equal(a, b) CMOCKA_HOLDS((const void *)(a) == (const void *)(b), #a " == " #b)
#define assert_ptr_not_equal(a, b) CMOCKA_HOLDS((const void *)(a) != (const void *)(b), #a " != " #b)
#define assert_string_equal(a, b) CMOCKA_HOLDS(!strcmp(a, b), #a " equals " #b)
#define assert_string_not_equal(a, b) CMOCKA_HOLDS(!!strcmp(a, b), #a " differs from " #b)
#define assert_memory_equal(a, b, n) CMOCKA_HOLDS(!memcmp(a, b, n), #a " holds what " #b " does")
#define assert_memory_not_equal(a, b, n) CMOCKA_HOLDS(!!memcmp(a, b, n), #a " does not hold what " #b " does")
#define assert_in_range(v, low, high)                                                                                  \
	CMOCKA_HOLDS((uint64_t)(v) >= (uint64_t)(low) && (uint64_t)(v) <= (uint64_t)(high), #v " is in range")

/* How one test ended: 0, or why it stopped. */
static inline int cmocka_run_one(const struct CMUnitTest *t, void **state)
{
	jmp_buf running;
	int how = setjmp(running);

	if (how)
		return how;
	cmocka_running = &running;
	if (t->setup && t->setup(state))
		return CMOCKA_FAILED;
	t->test(state);
	return t->teardown && t->teardown(state) ? CMOCKA_FAILED : 0;
}

static inline int cmocka_run_tests(const struct CMUnitTest *tests, size_t n, cmocka_fixture setup,
				   cmocka_fixture teardown)
{
	static const char *const says[] = { "       OK", "  FAILED ", "  SKIPPED" };
	void *state = NULL;
	int failed = 0;

	if (setup && setup(&state))
		return 1;
	for (size_t i = 0; i < n; i++) {
		void *own = state;
		int how = cmocka_run_one(&tests[i], &own);

		fprintf(stderr, "[ %s ] %s\n", says[how], tests[i].name);
		failed += how == CMOCKA_FAILED;
	}
	return teardown && teardown(&state) ? failed + 1 : failed;
}

#define cmocka_run_group_tests(tests, setup, teardown)                                                                 \
	cmocka_run_tests(tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)

#endif
