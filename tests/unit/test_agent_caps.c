/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_caps.c - file capabilities: what ends them, and what does not, whichever host does it. Every check
 * runs on tmpfs first, and must pass there too: it says what is right.
 */
#include "agent_local.h"

#include <linux/capability.h>
#include <linux/falloc.h>
#include <linux/xattr.h>
#include <sys/xattr.h>

#define BYTES 8192

static const struct vfs_cap_data bind_ports = { .magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
						.data = { { .permitted = 1 << CAP_NET_BIND_SERVICE } } };

static void make_capable(const struct place *p)
{
	int fd = make(in(p, A, "program"), O_TRUNC);

	assert_int_equal(fchmod(fd, 0755), 0);
	assert_int_equal(ftruncate(fd, BYTES), 0);
	assert_int_equal(fsetxattr(fd, "user.note", "kept", 4, 0), 0);
	assert_int_equal(fsetxattr(fd, XATTR_NAME_CAPS, &bind_ports, sizeof(bind_ports), XATTR_CREATE), 0);
	close(fd);
}

static bool is_capable(const struct place *p, int host)
{
	struct vfs_cap_data now;
	char note[4];
	ssize_t n;

	assert_int_equal(getxattr(in(p, host, "program"), "user.note", note, sizeof(note)), sizeof(note));
	assert_memory_equal(note, "kept", sizeof(note));
	n = getxattr(in(p, host, "program"), XATTR_NAME_CAPS, &now, sizeof(now));
	if (n < 0) {
		assert_int_equal(errno, ENODATA);
		return false;
	}
	assert_int_equal(n, sizeof(now));
	assert_memory_equal(&now, &bind_ports, sizeof(now));
	return true;
}

/* -- changes, by one host ---------------------------------------------------------------------------- */

static int by_write(const char *path, int fd)
{
	(void)path;
	return pwrite(fd, "x", 1, 100) == 1 ? 0 : -1;
}

static int by_append(const char *path, int fd)
{
	(void)fd;
	fd = open(path, O_WRONLY | O_APPEND);
	if (fd < 0 || write(fd, "x", 1) != 1)
		return -1;
	return close(fd);
}

static int by_ftruncate(const char *path, int fd)
{
	(void)path;
	return ftruncate(fd, 10);
}

static int by_truncate(const char *path, int fd)
{
	(void)fd;
	return truncate(path, 10);
}

static int by_open(const char *path, int fd)
{
	(void)fd;
	return close(open(path, O_WRONLY | O_TRUNC));
}

static int by_copy(const char *path, int fd)
{
	loff_t from = 0, to = 4096;

	(void)path;
	return copy_file_range(fd, &from, fd, &to, 100, 0) == 100 ? 0 : -1;
}

static int by_hole(const char *path, int fd)
{
	(void)path;
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096);
}

static int by_chown(const char *path, int fd)
{
	(void)path;
	return fchown(fd, 1, 1);
}

static int by_chmod(const char *path, int fd)
{
	(void)path;
	return fchmod(fd, 0700);
}

static int by_rename(const char *path, int fd)
{
	char other[160];

	(void)fd;
	snprintf(other, sizeof(other), "%s.other", path);
	return rename(path, other) || rename(other, path) ? -1 : 0;
}

static int by_times(const char *path, int fd)
{
	(void)path;
	return futimens(fd, NULL);
}

static int by_attribute(const char *path, int fd)
{
	(void)path;
	return fsetxattr(fd, "user.other", "x", 1, 0);
}

static int by_reading(const char *path, int fd)
{
	char byte;

	(void)path;
	return pread(fd, &byte, 1, 0) == 1 ? 0 : -1;
}

static const struct {
	const char *name;
	int (*change)(const char *path, int fd);
	bool ends;
} changes[] = {
	{ "write", by_write, true },       { "append", by_append, true },  { "ftruncate", by_ftruncate, true },
	{ "truncate", by_truncate, true }, { "O_TRUNC", by_open, true },   { "copy_file_range", by_copy, true },
	{ "a hole", by_hole, true },       { "chown", by_chown, true },    { "chmod", by_chmod, false },
	{ "rename", by_rename, false },    { "utimens", by_times, false }, { "another attribute", by_attribute, false },
	{ "read", by_reading, false },
};

static void what_ends_them(const struct place *p)
{
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		for (int host = A; host <= B; host++) {
			int fd;

			make_capable(p);
			assert_true(is_capable(p, B));
			fd = open(in(p, host, "program"), O_RDWR);
			assert_true(fd >= 0);
			assert_int_equal(changes[i].change(in(p, host, "program"), fd), 0);
			close(fd);
			for (int look = A; look <= B; look++)
				if (is_capable(p, look) == changes[i].ends)
					fail_msg("%s by host %d: capabilities are %s on host %d", changes[i].name, host,
						 changes[i].ends ? "there still" : "gone", look);
			assert_int_equal(unlink(in(p, host, "program")), 0);
		}
}

static void test_what_ends_them(void **state)
{
	run(state, what_ends_them);
}

/* They are root's to give. */
static void of_a_user(const struct place *p)
{
	int status;
	pid_t pid;

	make_capable(p);
	assert_int_equal(removexattr(in(p, B, "program"), XATTR_NAME_CAPS), 0);
	assert_false(is_capable(p, A));
	assert_int_equal(chown(in(p, A, "program"), 1000, 1000), 0);
	assert_int_equal(chmod(p->host[A], 0755), 0);
	pid = fork();
	if (pid == 0) {
		int rc = setgid(1000) || setuid(1000);

		rc = rc || setxattr(in(p, A, "program"), XATTR_NAME_CAPS, &bind_ports, sizeof(bind_ports), 0) == 0;
		_exit(rc || errno != EPERM);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_false(is_capable(p, B));
	assert_int_equal(unlink(in(p, B, "program")), 0);
}

static void test_of_a_user(void **state)
{
	run(state, of_a_user);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pod_start_both),
		cmocka_unit_test(test_what_ends_them),
		cmocka_unit_test(test_of_a_user),
		cmocka_unit_test(pod_stop_both),
	};

	return cmocka_run_group_tests(tests, pod_setup, pod_teardown);
}
