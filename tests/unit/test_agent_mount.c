/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_mount.c - what mount(8) hands to its helper, as the agent's command line. Real mounts are those of
 * tests/programs/mount.
 */
#include "settings_try.h"

#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include "node-agent/mount_helper.h"
#include "node-agent/mount_request.h"

#define CALL(...)                                                                                                      \
	(int)(sizeof((char *[]){ __VA_ARGS__ }) / sizeof(char *)), (char *[])                                          \
	{                                                                                                              \
		__VA_ARGS__, NULL                                                                                      \
	}

static struct mount_request r;

static void taken(int argc, char **argv)
{
	struct daxfs_error err = { .text = "" };

	if (mount_request_parse(&r, argc, argv, &err) != 0)
		fail_msg("%s", err.text);
}

static void refused(int argc, char **argv, const char *says)
{
	struct daxfs_error err = { .text = "" };

	try_refused(mount_request_parse(&r, argc, argv, &err), &err, says);
}

/* What the agent gets behind this option, or NULL. */
static const char *argument(const char *option)
{
	for (int i = 1; i + 1 < r.arguments; i++)
		if (strcmp(r.argument[i], option) == 0)
			return r.argument[i + 1];
	return NULL;
}

static void test_a_mount(void **state)
{
	(void)state;
	taken(CALL("/sbin/mount.daxfs", "/dev/shm/none", "/none", "-v", "-n", "-t", "daxfs", "-o",
		   "rw,host=3,name=n,ro,noexec,x-systemd.automount,_netdev,attr_timeout=2,"
		   "keep=attributes,no_realtime,allow_suid"));
	assert_string_equal(r.argument[0], "daxfs-node-agent");
	assert_string_equal(argument("--host"), "3");
	assert_string_equal(argument("--name"), "n");
	assert_string_equal(argument("--attr-timeout"), "2");
	assert_string_equal(argument("--keep"), "attributes");
	assert_string_equal(argument("--join-wait"), "60");
	assert_string_equal(argument("--pool"), "/dev/shm/none");
	assert_string_equal(argument("--source"), "/dev/shm/none");
	assert_string_equal(argument("--mount"), "/none");
	assert_non_null(argument("--no-realtime"));
	assert_string_equal(argument("--options"), "rw,ro,noexec,x-systemd.automount,_netdev,allow_suid");
	assert_null(r.argument[r.arguments]);
	assert_true(r.verbose && !r.fake && !r.sloppy && !r.remount);
	assert_true(r.options.flags == (MS_RDONLY | MS_NOEXEC | MS_NODEV));
}

static void test_where_the_pool_is(void **state)
{
	(void)state;
	taken(CALL("mount.daxfs", "pool=/p", "/none", "-o", "host=0,join-wait=0"));
	assert_string_equal(argument("--pool"), "/p");
	assert_string_equal(argument("--source"), "pool=/p");
	assert_string_equal(argument("--join-wait"), "0");
	assert_null(argument("--options"));
	taken(CALL("mount.daxfs", "/p", "/none", "-o", "host=0,backing=a=/b,dirty_max_mib=2"));
	assert_string_equal(argument("--backing"), "a=/b");
	assert_string_equal(argument("--dirty-max-mib"), "2");
	taken(CALL("mount.daxfs", "word", "/none", "-o", "pool=/p", "-o", "host=0"));
	assert_string_equal(argument("--pool"), "/p");
	assert_string_equal(argument("--source"), "word");
	taken(CALL("mount.daxfs", "word", "/none", "-o", "config=/c,ro"));
	assert_null(argument("--pool"));
	assert_null(argument("--join-wait"));
	assert_string_equal(argument("--config"), "/c");
}

/* The agent works in /, so what is relative is relative to the caller. */
static void test_paths_become_absolute(void **state)
{
	char dir[] = "/tmp/test_agent_mount.XXXXXX", real[PATH_MAX];

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_non_null(realpath(dir, real));
	assert_int_equal(chdir("/tmp"), 0);
	taken(CALL("mount.daxfs", dir, dir + strlen("/tmp/"), "-o", "host=0"));
	assert_string_equal(argument("--mount"), real);
	assert_string_equal(argument("--source"), dir);
	assert_int_equal(rmdir(dir), 0);
}

static void test_a_remount(void **state)
{
	(void)state;
	taken(CALL("mount.fuse.daxfs", "word", "/proc", "-o",
		   "rw,noexec,fd=7,rootmode=40000,user_id=0,group_id=0,host=3,remount,ro"));
	assert_true(r.remount);
	assert_true((r.options.flags & (MS_RDONLY | MS_NOEXEC)) == (MS_RDONLY | MS_NOEXEC));
	taken(CALL("mount.daxfs", "/p", "/none", "-o", "host=1,x-remount,name=remount"));
	assert_false(r.remount);
	refused(CALL("mount.daxfs", "/p", "/none", "-o", "host=1,user_id=0"), "\"user_id=0\" is no mount option");
	refused(CALL("mount.daxfs", "/p", "/none", "-o", "remount,bogus"), "\"bogus\" is no mount option");
}

static void test_refusals(void **state)
{
	static char long_list[5000], many[2000] = "host=1";

	(void)state;
	memset(long_list, ',', sizeof(long_list) - 1);
	for (int i = 0; i < MOUNT_REQUEST_WORDS; i++)
		strcat(many, ",threads=1");
	refused(CALL("mount.daxfs", "/p"), "usage: ");
	refused(CALL("mount.daxfs", "/p", "/d", "/e", "-o", "host=1"), "usage: ");
	refused(CALL("mount.daxfs", "", "/d", "-o", "host=1"), "usage: ");
	refused(CALL("mount.daxfs", "/p", "/d"), "host=N");
	refused(CALL("mount.daxfs", "/p", "/d", "-x"), "unknown switch -x");
	refused(CALL("mount.daxfs", "/p", "/d", "-o", "host=1,bogus"), "\"bogus\" is no mount option");
	refused(CALL("mount.daxfs", "/p", "/d", "-o", "host="), "option host has no value");
	refused(CALL("mount.daxfs", "/p", "/d", "-o", "host=1,no-realtime=1"), "takes no value");
	refused(CALL("mount.daxfs", "/p", "/d", "-o", "host=1,pool=/q"), "named twice");
	refused(CALL("mount.daxfs", "p", "/d", "-o", "host=1"), "p is no path of a pool");
	refused(CALL("mount.daxfs", "p", "/d", "-o", "host=1,pool=q"), "q is no absolute path");
	refused(CALL("mount.daxfs", "/p", "/d", "-o", long_list), "too long");
	refused(CALL("mount.daxfs", "/p", "/d", "-o", many), "too many options");
	taken(CALL("mount.daxfs", "/p", "/d", "-s", "-f", "-o", "host=1,bogus"));
	assert_true(r.sloppy && r.fake);
	assert_null(argument("--options"));
}

static void test_names(void **state)
{
	(void)state;
	assert_true(mount_helper_is("/sbin/mount.daxfs"));
	assert_true(mount_helper_is("mount.fuse.daxfs"));
	assert_false(mount_helper_is("/usr/sbin/daxfs-node-agent"));
	assert_false(mount_helper_is("/mount.d/agent"));
	assert_false(mount_helper_is(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_mount),   cmocka_unit_test(test_where_the_pool_is),
		cmocka_unit_test(test_a_remount), cmocka_unit_test(test_paths_become_absolute),
		cmocka_unit_test(test_refusals),  cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
