/* SPDX-License-Identifier: Apache-2.0 */
/* test_mem_copy.c - copies around the caches: every alignment and length, and not a byte beside it (mem/copy.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "mem/shm.h"

#define SIZE 512u
#define AROUND 0xee

static void each(const uint8_t *from, uint8_t *to, unsigned at, unsigned len)
{
	memset(to, AROUND, SIZE);
	sm_write_stream(to + at, from, len);
	sm_stream_end();
	for (unsigned i = 0; i < SIZE; i++)
		if (to[i] != (i >= at && i < at + len ? from[i - at] : AROUND))
			fail_msg("%u bytes at %u: byte %u is %u", len, at, i, to[i]);
}

static void exact(void **state)
{
	static _Alignas(DAXFS_LINE) uint8_t from[SIZE], to[SIZE];

	(void)state;
	for (unsigned i = 0; i < SIZE; i++)
		from[i] = (uint8_t)(i * 37 + 1);
	for (unsigned at = 0; at <= 2 * DAXFS_LINE; at++)
		for (unsigned len = 0; len <= 4 * DAXFS_LINE; len++)
			for (unsigned skew = 0; skew < DAXFS_LINE; skew += 21)
				each(from + skew, to, at, len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
