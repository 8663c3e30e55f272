/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_mountpoint.c - what the agent accepts as a mount point.
 */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "node-agent/mountpoint.h"

static void test_mountinfo_lines(void **state)
{
	const char *line = "36 35 98:0 /mnt1 /mnt/two\\040words rw,noatime master:1 - ext3 /dev/root rw\n";
	const char *plain = "36 35 98:0 / /mnt rw - ext3 /dev/root rw\n";

	(void)state;
	assert_true(mountpoint_line_is(line, "/mnt/two words"));
	assert_false(mountpoint_line_is(line, "/mnt1"));
	assert_false(mountpoint_line_is(line, "/mnt/two"));
	assert_true(mountpoint_line_is(plain, "/mnt"));
	assert_false(mountpoint_line_is(plain, "/mn"));
	assert_false(mountpoint_line_is(plain, "/mnt/x"));
	assert_false(mountpoint_line_is("36 35", "/mnt"));
	assert_false(mountpoint_line_is("", "/mnt"));
}

static void expect_refused(const char *dir, int error, const char *reason)
{
	char real[PATH_MAX];
	struct daxfs_error err = { .text = "" };

	assert_int_equal(mountpoint_prepare(dir, real, &err), error);
	if (!strstr(err.text, reason) || !strstr(err.text, dir))
		fail_msg("%s: said '%s'", dir, err.text);
}

static void test_refusals(void **state)
{
	char file[] = "/tmp/test_agent_mountpoint.XXXXXX";
	int fd = mkstemp(file);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	expect_refused("/tmp/test_agent_mountpoint/none", -ENOENT, "make the directory");
	expect_refused(file, -ENOTDIR, "not a directory");
	expect_refused("/proc", -EBUSY, "something is mounted there");
	unlink(file);
}

static void test_resolves_links(void **state)
{
	char dir[] = "/tmp/test_agent_mountpoint.XXXXXX", link[64], real[PATH_MAX];
	struct daxfs_error err;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(link, sizeof(link), "%s.link", dir);
	assert_int_equal(symlink(dir, link), 0);
	assert_int_equal(mountpoint_prepare(link, real, &err), 0);
	assert_string_equal(real, dir);
	unlink(link);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mountinfo_lines),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_resolves_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
