/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_format.c - the freeze test of format.h.
 *
 * Every size, offset and constant of the shared format once more, as numbers. A pool outlives the program that
 * made it: whoever changes a number here changes the format, and must raise DAXFS_VERSION or add a feature bit, and
 * say so in the changelog of format.h. Its names that are missing here, and whether daxfs(5) says the same, are asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frozen_format.h"
#include "source.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(fields); i++) {
		const struct field *f = &fields[i];

		if (f->offset != f->offset_was || f->size != f->size_was)
			fail_msg("%s is at 0x%zx with 0x%zx bytes; frozen at 0x%zx with 0x%zx", f->name, f->offset,
				 f->size, f->offset_was, f->size_was);
	}
}

static void check_constants(const struct constant *c, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (c[i].value != c[i].was)
			fail_msg("%s is 0x%llx; frozen as 0x%llx", c[i].name, (unsigned long long)c[i].value,
				 (unsigned long long)c[i].was);
}

static void test_sizes(void **state)
{
	(void)state;
	check_constants(sizes, COUNT(sizes));
}

static void test_constants(void **state)
{
	(void)state;
	check_constants(constants, COUNT(constants));
}

/* Fields of each struct follow one another without a hole that nobody named. */
static void test_no_holes(void **state)
{
	size_t at = 0, next_size = 0;

	(void)state;
	for (size_t i = 0; i < COUNT(fields); i++) {
		if (fields[i].offset == 0 && i > 0) {
			assert_int_equal(at, sizes[next_size].value);
			next_size++;
			at = 0;
		}
		assert_int_equal(fields[i].offset, at);
		at += fields[i].size;
	}
	assert_int_equal(at, sizes[next_size].value);
	assert_int_equal(next_size + 2, COUNT(sizes)); /* all but the sm_u64 */
}

/* The bytes on the medium, not only the numbers: a big-endian build must fail. */
static void test_byte_order(void **state)
{
	const uint64_t magic = DAXFS_MAGIC;

	(void)state;
	assert_memory_equal(&magic, "CPDAXFS1", 8);
}

/* The parts of a mark fill the word exactly. */
static void test_mark(void **state)
{
	uint64_t lanes = (uint64_t)((1u << DAXFS_LANE_BITS) - 1) << 51, words = 127ull << 44;

	(void)state;
	assert_true(DAXFS_RECORD_WORDS <= 128);
	assert_int_equal(DAXFS_MARK ^ lanes ^ words ^ DAXFS_MARK_HELPED ^ DAXFS_SEQ_MASK, UINT64_MAX);
	assert_int_equal(DAXFS_MARK + lanes + words + DAXFS_MARK_HELPED + DAXFS_SEQ_MASK, UINT64_MAX);
}

/* -- format.h has no names but these, daxfs(5) the same numbers ------------------- */

static const struct constant *constant_of(const char *name, size_t len)
{
	for (size_t i = 0; i < COUNT(constants); i++)
		if (strlen(constants[i].name) == len && strncmp(constants[i].name, name, len) == 0)
			return &constants[i];
	return NULL;
}

/* Every constant of format.h: a macro without arguments, or a member of an enum. */
static void test_all_constants(void **state)
{
	char *line, *text = source_read("include/daxfs/format.h");

	(void)state;
	if (!text)
		skip();
	for (line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		const char *name = strncmp(line, "#define ", 8) == 0 ? line + 8 : line[0] == '\t' ? line + 1 : "";
		size_t len = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");

		if (strncmp(name, "DAXFS_", 6) != 0 || strchr("([", name[len]) || !name[len])
			continue;
		if (!constant_of(name, len))
			fail_msg("format.h has %.*s, which is not frozen here", (int)len, name);
	}
}

/* The page goes on here with this row; next is what follows it. */
static const char *row(const char *at, const char *want)
{
	if (strncmp(at, want, strlen(want)) != 0)
		fail_msg("daxfs(5) should go on with the row \"%s...\", not with \"%.40s\"", want, at);
	return strchr(at, '\n') + 1;
}

static const char *after(const char *page, const char *heading)
{
	const char *at = strstr(page, heading);

	if (!at)
		fail_msg("daxfs(5) lacks \"%s\"", heading);
	return at + strlen(heading);
}

/* Every struct, every field, in order and no others. */
static void test_page_structs(void **state)
{
	const char *page = source_read("deploy/man/daxfs.5"), *at = NULL;
	char text[128];
	size_t next = 0;

	(void)state;
	if (!page)
		skip();
	for (size_t i = 0; i < COUNT(fields); i++) {
		if (fields[i].offset == 0) {
			if (at)
				row(at, ".TE\n");
			snprintf(text, sizeof(text), ".SS %s (%llu bytes)\n", sizes[next].name,
				 (unsigned long long)sizes[next].value);
			at = after(after(page, text), "\nl r l l.\n");
			next++;
		}
		snprintf(text, sizeof(text), "%03zx\t%zu\t%s\t", fields[i].offset, fields[i].size,
			 strchr(fields[i].name, '.') + 1);
		at = row(at, text);
	}
	row(at, ".TE\n");
}

static void test_page_constants(void **state)
{
	const char *page = source_read("deploy/man/daxfs.5"), *at;
	char text[128];

	(void)state;
	if (!page)
		skip();
	at = after(after(page, "\n.SH NUMBERS\n"), "\nl l l.\n");
	for (size_t i = 0; i < COUNT(constants); i++) {
		unsigned long long value = constants[i].value;

		snprintf(text, sizeof(text), value >> 32 ? "0x%llx\t%s\t" : "%llu\t%s\t", value, constants[i].name);
		at = row(at, text);
	}
	row(at, ".TE\n");
}

static void test_page_regions(void **state)
{
	static const struct constant regions[] = {
		{ "member", sizeof(struct sm_member), DAXFS_R_MEMBER },
		{ "lanes", sizeof(struct sm_lane), DAXFS_R_LANES },
		{ "opens", 8, DAXFS_R_OPEN_TABLE },
		{ "states", 8, DAXFS_R_STATE0 },
		{ "states", 8, DAXFS_R_STATE1 },
		{ "states", 8, DAXFS_R_STATE2 },
		{ "births", 8, DAXFS_R_BIRTH0 },
		{ "births", 8, DAXFS_R_BIRTH1 },
		{ "births", 8, DAXFS_R_BIRTH2 },
		{ "counts", 8, DAXFS_R_COUNT },
		{ "inodes", sizeof(struct sm_inode), DAXFS_R_INODES },
		{ "dirents", sizeof(struct sm_dirent), DAXFS_R_DIRENTS },
		{ "trouble", sizeof(struct sm_trouble), DAXFS_R_TROUBLE },
		{ "leases", sizeof(struct sm_holder), DAXFS_R_LEASES },
		{ "pages", DAXFS_PAGE_SIZE, DAXFS_R_PAGES },
		{ "summary", 8, DAXFS_R_SUMMARY },
		{ "events", sizeof(struct sm_event), DAXFS_R_EVENTS },
		{ "heat", 1, DAXFS_R_HEAT },
		{ "asks", sizeof(struct sm_asks), DAXFS_R_ASKS },
	};
	const char *page = source_read("deploy/man/daxfs.5"), *at;
	char text[128];

	(void)state;
	if (!page)
		skip();
	assert_int_equal(COUNT(regions), DAXFS_REGIONS);
	at = after(page, "\tbytes\tregion\tholds\n");
	for (size_t i = 0; i < COUNT(regions); i++) {
		snprintf(text, sizeof(text), "%llu\t%llu\t%s\t", (unsigned long long)regions[i].was,
			 (unsigned long long)regions[i].value, regions[i].name);
		at = row(at, text);
	}
	row(at, ".TE\n");
}

/* "\nhosts\t64\n" and its like. */
static void test_page_limits(void **state)
{
	static const struct constant limits[] = {
		{ "\nhosts\t%llu\n", DAXFS_HOSTS_MAX, 0 },
		{ "\nlanes in a pool\t%llu\n", DAXFS_LANES_MAX, 0 },
		{ "\nname\t%llu bytes\n", DAXFS_NAME_MAX, 0 },
		{ "\ntarget of a symbolic link\t%llu bytes\n", DAXFS_SYMLINK_MAX, 0 },
		{ "\nfile\t%llu TiB\n", DAXFS_FILE_MAX >> 40, 0 },
		{ "\nnames of one file\t%llu\n", DAXFS_NLINK_MAX, 0 },
		{ "\nnames of one hash in a directory\t%llu\n", DAXFS_BUCKET_SLOTS, 0 },
		{ "\nlocks of one file\t%llu\n", DAXFS_LOCKS_MAX, 0 },
		{ "format of a DaxFS pool, version %llu\n", DAXFS_VERSION, 0 },
		{ "\nAn inode has 8 direct links to pages and %llu to index nodes", DAXFS_INDIRECT, 0 },
	};
	const char *page = source_read("deploy/man/daxfs.5");
	char text[128];

	(void)state;
	if (!page)
		skip();
	for (size_t i = 0; i < COUNT(limits); i++) {
		snprintf(text, sizeof(text), limits[i].name, (unsigned long long)limits[i].value);
		after(page, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_constants),  cmocka_unit_test(test_page_structs),
		cmocka_unit_test(test_page_constants), cmocka_unit_test(test_page_regions),
		cmocka_unit_test(test_page_limits),    cmocka_unit_test(test_fields),
		cmocka_unit_test(test_sizes),          cmocka_unit_test(test_constants),
		cmocka_unit_test(test_no_holes),       cmocka_unit_test(test_byte_order),
		cmocka_unit_test(test_mark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
