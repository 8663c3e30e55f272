/* SPDX-License-Identifier: Apache-2.0 */
/* test_mem_siphash.c - SipHash-2-4 against the vectors of its authors. */
#include "mem/siphash.h"

#include "test_mem_util.h"

/* Key 00 01 .. 0f; input 00 01 .. (n - 1), as in the reference implementation. */
static void test_vectors(void **state)
{
	static const uint64_t key[2] = { 0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull };
	static const uint64_t expected[] = {
		0x726fdb47dd0e0e31ull, 0x74f839c593dc67fdull, 0x0d6c8009d9a94f5aull, 0x85676696d7fb7e2dull,
		0xcf2794e0277187b7ull, 0x18765564cd99a68dull, 0xcbc9466e58fee3ceull, 0xab0200f58b01d137ull,
		0x93f5f5799a932462ull, 0x9e0082df0ba9e4b0ull, 0x7a5dbbc594ddb9f3ull, 0xf4b32f46226bada7ull,
		0x751e8fbc860ee5fbull, 0x14ea5627c0843d90ull, 0xf723ca908e7af2eeull, 0xa129ca6149be45e5ull,
	};
	uint8_t bytes[16];

	(void)state;
	for (unsigned n = 0; n < 16; n++) {
		bytes[n] = (uint8_t)n;
		assert_int_equal(siphash24(key, bytes, n), expected[n]);
	}
}

static void test_key_and_length_count(void **state)
{
	const uint64_t key[2] = { 1, 2 }, low[2] = { 3, 2 }, high[2] = { 1, 3 };
	const char zeros[300] = { 0 };

	(void)state;
	assert_int_not_equal(siphash24(key, "name", 4), siphash24(low, "name", 4));
	assert_int_not_equal(siphash24(key, "name", 4), siphash24(high, "name", 4));
	for (size_t n = 1; n < sizeof(zeros); n++)
		assert_int_not_equal(siphash24(key, zeros, n), siphash24(key, zeros, n - 1));
}

/* Bytes are read, not words: any alignment, nothing past the end. */
static void test_unaligned(void **state)
{
	const uint64_t key[2] = { 5, 6 };
	char *page = mmap(NULL, 2 * DAXFS_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char name[24] = "a name of twenty-3 byte";

	(void)state;
	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(mprotect(page + DAXFS_PAGE_SIZE, DAXFS_PAGE_SIZE, PROT_NONE), 0);
	for (size_t n = 0; n < sizeof(name); n++) {
		char *at = page + DAXFS_PAGE_SIZE - n;

		memcpy(at, name, n);
		assert_int_equal(siphash24(key, at, n), siphash24(key, name, n));
	}
	munmap(page, 2 * DAXFS_PAGE_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_key_and_length_count),
		cmocka_unit_test(test_unaligned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
