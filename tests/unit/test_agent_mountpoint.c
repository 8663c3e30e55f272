/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_mountpoint.c - what the agent accepts as a mount point.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
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

	assert_int_equal(mountpoint_prepare(dir, false, real, &err), error);
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
	assert_int_equal(mountpoint_prepare(link, false, real, &err), 0);
	assert_string_equal(real, dir);
	unlink(link);
	mountpoint_seal(dir, false);
	rmdir(dir);
}

/* Not everybody can, and not everywhere. */
static bool can_seal(const char *dir)
{
	return mountpoint_seal(dir, true) == 0 && mountpoint_seal(dir, false) == 0;
}

/* Not empty: refused unless asked for, and left as it is. Empty: nothing can be made in it from now on. */
static void test_empty_and_sealed(void **state)
{
	char dir[] = "/tmp/test_agent_mountpoint.XXXXXX", file[64], real[PATH_MAX];
	struct daxfs_error err;
	bool sealed;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/file", dir);
	fd = open(file, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	expect_refused(dir, -ENOTEMPTY, "is not empty");
	assert_int_equal(mountpoint_prepare(dir, true, real, &err), 0);
	assert_int_equal(unlink(file), 0);
	sealed = can_seal(dir);
	assert_int_equal(mountpoint_prepare(dir, false, real, &err), 0);
	if (sealed) {
		assert_int_equal(open(file, O_CREAT | O_WRONLY, 0600), -1);
		assert_int_equal(errno, EPERM);
		assert_int_equal(mountpoint_prepare(dir, false, real, &err), 0);
		assert_int_equal(mountpoint_seal(dir, false), 0);
	}
	assert_int_equal(rmdir(dir), 0);
}

/* A former agent dies while its mount is looked at. */
static int dying; /* looks that end so */

int __real_stat(const char *path, struct stat *st);
int __wrap_stat(const char *path, struct stat *st);
int __wrap_stat(const char *path, struct stat *st)
{
	if (dying == 0)
		return __real_stat(path, st);
	dying--;
	errno = dying ? ECONNABORTED : ENOTCONN;
	return -1;
}

static void test_dies_while_looked_at(void **state)
{
	char dir[] = "/tmp/test_agent_mountpoint.XXXXXX", real[PATH_MAX];
	struct daxfs_error err;

	(void)state;
	assert_non_null(mkdtemp(dir));
	dying = 3;
	assert_int_equal(mountpoint_prepare(dir, false, real, &err), 0);
	assert_int_equal(dying, 0);
	mountpoint_seal(dir, false);
	assert_int_equal(rmdir(dir), 0);
}

static unsigned long flags_of(const char *list)
{
	struct mount_options o;
	struct daxfs_error err = { .text = "" };

	mount_options_default(&o);
	if (mount_options_set(&o, list, &err) != 0)
		fail_msg("%s", err.text);
	return o.flags | (o.owner_only ? 1ul << 62 : 0) | (o.nonempty ? 1ul << 63 : 0);
}

static void test_options(void **state)
{
	struct mount_options o;
	struct daxfs_error err;

	(void)state;
	assert_true(flags_of("") == (MS_NOSUID | MS_NODEV));
	assert_true(flags_of("ro,noexec") == (MS_RDONLY | MS_NOEXEC | MS_NOSUID | MS_NODEV));
	assert_true(flags_of("suid,dev,,ro,rw") == 0);
	assert_true(flags_of("suid,ro,defaults,_netdev,nofail,x-systemd.automount") == (MS_NOSUID | MS_NODEV));
	assert_true(flags_of("suid,dev,noallow_other,nonempty") == (3ul << 62));
	assert_true(flags_of("suid,dev,noallow_other,allow_other") == 0);
	mount_options_default(&o);
	assert_int_equal(mount_options_set(&o, "ro,rot", &err), -EINVAL);
	assert_non_null(strstr(err.text, "\"rot\" is no mount option"));
	assert_int_equal(mount_options_set(&o, "r", &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mountinfo_lines),      cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_resolves_links),       cmocka_unit_test(test_empty_and_sealed),
		cmocka_unit_test(test_dies_while_looked_at), cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
