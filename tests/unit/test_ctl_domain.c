/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_ctl_domain.c - which durability domain daxfsctl mkfs chooses where none is said.
 *
 * The pool is a file of memory, and the kernel's answers about it are this test's: that it is a device, or a file that
 * is mapped past the page cache. All that daxfsctl knows of its medium it asks by stat(2) and statx(2); the library
 * asks of the open file, by fstat(2), and makes a real pool.
 */
#include "ctl_run.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "daxfsctl/medium.h"

static char pool[64];
static enum { AS_IT_IS, DEVICE, PAST_PAGE_CACHE } told;

/* In the place of the C library's. */
int stat(const char *restrict path, struct stat *restrict st)
{
	int rc = fstatat(AT_FDCWD, path, st, 0);

	if (rc == 0 && told == DEVICE && strcmp(path, pool) == 0)
		st->st_mode = (st->st_mode & ~(mode_t)S_IFMT) | S_IFCHR;
	return rc;
}

int statx(int dir, const char *restrict path, int flags, unsigned mask, struct statx *restrict sx)
{
	struct stat st;

	memset(sx, 0, sizeof(*sx));
	if (fstatat(dir, path, &st, flags))
		return -1;
	sx->stx_mask = mask & STATX_TYPE;
	sx->stx_mode = (uint16_t)st.st_mode;
	if (told == PAST_PAGE_CACHE && strcmp(path, pool) == 0)
		sx->stx_attributes = STATX_ATTR_DAX;
	return 0;
}

static int begin(void **state)
{
	int fd;

	(void)state;
	strcpy(pool, "/dev/shm/daxfs-ctl-XXXXXX");
	fd = mkstemp(pool);
	return fd < 0 || close(fd);
}

static int end(void **state)
{
	(void)state;
	return unlink(pool);
}

static void made(const char *options, const char *domain)
{
	struct ctl_run r = { 0 };
	char words[32];

	snprintf(words, sizeof(words), ", %s\n", domain);
	ctl_run(&r, "mkfs %s --size 16M --force %s", pool, options);
	ctl_expect(&r, CTL_OK, words);
	snprintf(words, sizeof(words), "\"domain\": \"%s\"", domain);
	ctl_run(&r, "mkfs %s --size 16M --force --json %s", pool, options);
	ctl_expect_json(&r, words);
	ctl_run_end(&r);
}

static void a_device_is_wb(void **state)
{
	(void)state;
	told = DEVICE;
	assert_true(medium_is_device(pool));
	made("", "wb");
	made("--domain gpf", "gpf");
}

static void a_file_past_the_page_cache_is_wb(void **state)
{
	(void)state;
	told = PAST_PAGE_CACHE;
	assert_false(medium_is_device(pool));
	made("", "wb");
	made("--domain gpf", "gpf");
}

static void a_file_of_memory_is_gpf(void **state)
{
	(void)state;
	told = AS_IT_IS;
	made("", "gpf");
	made("--domain wb", "wb");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_device_is_wb),
		cmocka_unit_test(a_file_past_the_page_cache_is_wb),
		cmocka_unit_test(a_file_of_memory_is_gpf),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
