/* SPDX-License-Identifier: Apache-2.0 */
/* test_mem_crc32c.c - CRC-32C against published values, in any split. */
#include "test_mem_util.h"

/* RFC 3720, B.4, and the check value of the CRC catalogue. */
static void test_published(void **state)
{
	uint8_t bytes[32];

	(void)state;
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(crc32c(0, "", 0), 0);
	memset(bytes, 0, sizeof(bytes));
	assert_int_equal(crc32c(0, bytes, sizeof(bytes)), 0x8a9136aa);
	memset(bytes, 0xff, sizeof(bytes));
	assert_int_equal(crc32c(0, bytes, sizeof(bytes)), 0x62a8ab43);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	assert_int_equal(crc32c(0, bytes, sizeof(bytes)), 0x46dd794e);
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(31 - i);
	assert_int_equal(crc32c(0, bytes, sizeof(bytes)), 0x113fdb5c);
}

static void test_chained(void **state)
{
	uint8_t bytes[41];
	uint32_t whole;

	(void)state;
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 37 + 11);
	whole = crc32c(0, bytes, sizeof(bytes));
	for (size_t cut = 0; cut <= sizeof(bytes); cut++)
		assert_int_equal(crc32c(crc32c(0, bytes, cut), bytes + cut, sizeof(bytes) - cut), whole);
}

/* Pools move between machines with the instruction and without it. */
static void test_table_and_instruction(void **state)
{
	uint8_t bytes[1700]; /* twice as many as are summed at once, and some */

	(void)state;
	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * i * 7 + (i >> 8) + 3);
	for (size_t from = 0; from < 9; from++)
		for (size_t len = 0; len + from <= sizeof(bytes); len++)
			assert_int_equal(crc32c(5, bytes + from, len), crc32c_by_table(5, bytes + from, len));
}

static void test_every_bit_counts(void **state)
{
	uint8_t bytes[64] = { 0 };
	uint32_t whole = crc32c(0, bytes, sizeof(bytes));

	(void)state;
	for (unsigned bit = 0; bit < sizeof(bytes) * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_not_equal(crc32c(0, bytes, sizeof(bytes)), whole);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_published),
		cmocka_unit_test(test_chained),
		cmocka_unit_test(test_table_and_instruction),
		cmocka_unit_test(test_every_bit_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
