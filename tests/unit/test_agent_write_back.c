/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_write_back.c - storage that is written through real mounts: two hosts that reach it, one that does not.
 * The storage is a small file system of its own, so that it can be full.
 */
#include <sys/mman.h>
#include <sys/xattr.h>

#include "agent_tree.h"

/* Until storage says so, which some host will see to. */
static void await_text(const char *path, const char *text)
{
	char buf[256];

	for (int ms = 0; ms < POD_WAIT_MS; ms += 20) {
		int fd = open(path, O_RDONLY);
		ssize_t n = fd >= 0 ? read(fd, buf, sizeof(buf) - 1) : 0;

		if (fd >= 0)
			close(fd);
		buf[n > 0 ? n : 0] = '\0';
		if (strcmp(buf, text) == 0)
			return;
		usleep(20000);
	}
	fail_msg("%s does not say '%s'", path, text);
}

/* -- what reaches storage, and when --------------------------------------------------------- */

static void test_written(void **state)
{
	struct tree *t = *state;
	struct stat here, there;
	int fd;

	if (!pod_possible())
		skip();
	put(in(t, "f"), "of storage, before");
	fd = open(at(&t->pod, A, "data/f"), O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "THE POD", 7, 3), 7);
	expect_text(at(&t->pod, B, "data/f"), "of THE POD, before");
	expect_text(at(&t->pod, C, "data/f"), "of THE POD, before");
	expect_text(in(t, "f"), "of storage, before"); /* nobody asked */
	assert_int_equal(fsync(fd), 0);
	expect_text(in(t, "f"), "of THE POD, before");
	assert_int_equal(fstat(fd, &here), 0);
	assert_int_equal(stat(in(t, "f"), &there), 0);
	assert_true(here.st_mtim.tv_sec == there.st_mtim.tv_sec && here.st_size == there.st_size);
	assert_int_equal(ftruncate(fd, 6), 0);
	assert_int_equal(pwrite(fd, "end", 3, 9), 3);
	assert_int_equal(close(fd), 0);
	fd = open(at(&t->pod, B, "data/f"), O_RDONLY);
	assert_int_equal(fsync(fd), 0); /* by whomever it was written */
	close(fd);
	assert_int_equal(stat(in(t, "f"), &there), 0);
	assert_int_equal(there.st_size, 12);
	expect_text(in(t, "f"), "of THE"); /* then zeros */
	/* O_SYNC, O_TRUNC, O_APPEND; and what nobody syncs comes there, too. */
	fd = open(at(&t->pod, B, "data/f"), O_WRONLY | O_TRUNC | O_SYNC);
	assert_int_equal(write(fd, "synced", 6), 6);
	expect_text(in(t, "f"), "synced");
	close(fd);
	fd = open(at(&t->pod, A, "data/f"), O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, ", not", 5), 5);
	close(fd);
	await_text(in(t, "f"), "synced, not");
	/* It is not taken for a change that somebody else made. */
	assert_int_equal(stat(at(&t->pod, A, "data/f"), &here), 0);
	usleep(20000);
	assert_int_equal(stat(at(&t->pod, B, "data/f"), &there), 0);
	assert_int_equal(here.st_ino, there.st_ino);
	assert_false(pod_log_says(&t->pod, A, "wins"));
	assert_false(pod_log_says(&t->pod, B, "wins"));
}

static void test_refused(void **state)
{
	struct tree *t = *state;

	if (!pod_possible())
		skip();
	expect_error(open(at(&t->pod, C, "data/f"), O_WRONLY), EROFS);
	expect_error(truncate(at(&t->pod, C, "data/f"), 0), EROFS);
}

/* There are no extended attributes, which is no failure for who copies files; what agents keep there is not shown. */
static void test_extended(void **state)
{
	static const char *const paths[] = { "data/x", "data/dir", "data" };
	struct tree *t = *state;
	char text[256];

	if (!pod_possible())
		skip();
	put(in(t, "x"), "extended");
	assert_int_equal(mkdir(in(t, "dir"), 0755), 0);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		const char *path = at(&t->pod, A, paths[i]);

		expect_error(setxattr(path, "user.a", "b", 1, 0), EOPNOTSUPP);
		expect_error(setxattr(path, "trusted.daxfs.backing", "b", 1, 0), EOPNOTSUPP);
		expect_error(removexattr(path, "trusted.daxfs.backing"), EOPNOTSUPP);
		expect_error((int)getxattr(path, "user.a", text, sizeof(text)), ENODATA);
		assert_int_equal(listxattr(path, text, sizeof(text)), 0);
		expect_error(setxattr(at(&t->pod, C, paths[i]), "user.a", "b", 1, 0), EROFS);
	}
	assert_int_equal(unlink(in(t, "x")), 0);
	assert_int_equal(rmdir(in(t, "dir")), 0);
}

static void test_attributes(void **state)
{
	const struct timespec times[2] = { { 1000, 5 }, { 2000, 7 } };
	struct tree *t = *state;
	struct stat st;

	if (!pod_possible())
		skip();
	put(in(t, "a"), "attributes");
	assert_int_equal(chmod(at(&t->pod, A, "data/a"), 0604), 0);
	assert_int_equal(chown(at(&t->pod, B, "data/a"), 12, 13), 0);
	assert_int_equal(utimensat(AT_FDCWD, at(&t->pod, A, "data/a"), times, 0), 0);
	assert_int_equal(stat(in(t, "a"), &st), 0);
	assert_true(st.st_mode == (S_IFREG | 0604) && st.st_uid == 12 && st.st_gid == 13 && st.st_mtim.tv_sec == 2000);
	assert_int_equal(stat(at(&t->pod, B, "data/a"), &st), 0);
	assert_true(st.st_mode == (S_IFREG | 0604) && st.st_uid == 12 && st.st_gid == 13 && st.st_mtim.tv_sec == 2000);
	expect_text(at(&t->pod, B, "data/a"), "attributes");
	expect_text(at(&t->pod, C, "data/a"), "attributes");
}

/* Pages of a shared mapping are written as others. */
static void test_mapped(void **state)
{
	struct tree *t = *state;
	char *map;
	int fd;

	if (!pod_possible())
		skip();
	put(in(t, "m"), "mapped file");
	fd = open(at(&t->pod, A, "data/m"), O_RDWR);
	map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		close(fd);
		skip(); /* a kernel before 6.6 */
	}
	memcpy(map, "MAP", 3);
	assert_int_equal(msync(map, 4096, MS_SYNC), 0);
	assert_int_equal(fsync(fd), 0);
	munmap(map, 4096);
	close(fd);
	expect_text(in(t, "m"), "MAPped file");
}

/* -- what goes wrong ---------------------------------------------------------------------- */

/* The pod is told whether, and why, host A cannot write back. */
static void await_told(struct tree *t, uint32_t error)
{
	struct daxfs_cache_stats stats = { 0 };
	struct daxfs_error err = { .text = "" };
	struct daxfs *fs;

	assert_int_equal(daxfs_open(t->pod.pool, DAXFS_READ_ONLY, &fs, &err), 0);
	for (int ms = 0; ms < POD_WAIT_MS && (stats.dirty_error != error || !stats.dirty_oldest == (error != 0));
	     ms++) {
		assert_int_equal(daxfs_cache_stats_of(fs, A, &stats), 0);
		usleep(1000);
	}
	assert_int_equal(stats.dirty_error, error);
	assert_string_equal(stats.dirty_name, error ? "data" : "");
	daxfs_close(fs);
}

static void test_full(void **state)
{
	static char megabyte[1 << 20];
	struct tree *t = *state;
	char byte;
	int fd, fill;

	if (!pod_possible())
		skip();
	put(in(t, "full"), "");
	fill = open(in(t, "fill"), O_WRONLY | O_CREAT, 0600);
	memset(megabyte, 7, sizeof(megabyte));
	while (write(fill, megabyte, sizeof(megabyte)) > 0)
		;
	fd = open(at(&t->pod, A, "data/full"), O_RDWR);
	assert_int_equal(write(fd, megabyte, sizeof(megabyte)), sizeof(megabyte));
	expect_error(fsync(fd), ENOSPC);
	expect_error(fsync(fd), ENOSPC); /* each time, and to each */
	await_log(t, A, "cannot write back: No space left on device");
	await_told(t, ENOSPC);
	assert_int_equal(pread(fd, &byte, 1, 1000000), 1); /* nothing is lost */
	assert_int_equal(byte, 7);
	assert_int_equal(ftruncate(fill, 0), 0);
	close(fill);
	assert_int_equal(unlink(in(t, "fill")), 0);
	assert_int_equal(fsync(fd), 0);
	await_told(t, 0);
	close(fd);
	fd = open(in(t, "full"), O_RDONLY);
	assert_int_equal(pread(fd, &byte, 1, 1000000), 1);
	assert_int_equal(byte, 7);
	close(fd);
	assert_int_equal(unlink(in(t, "full")), 0);
}

/* Somebody changes in storage what was written here and not written back: ours wins, and it is said. */
static void test_changed_behind_our_back(void **state)
{
	struct tree *t = *state;
	int fd;

	if (!pod_possible())
		skip();
	put(in(t, "c"), "before");
	fd = open(at(&t->pod, A, "data/c"), O_RDWR);
	assert_int_equal(pwrite(fd, "ours", 4, 0), 4);
	put(in(t, "c"), "theirs");
	expect_text(at(&t->pod, B, "data/c"), "oursre");
	assert_int_equal(fsync(fd), 0);
	expect_text(in(t, "c"), "oursre"); /* whole pages */
	await_log(t, A, "what was written here wins");
	/* And it is gone there: it stays here. */
	assert_int_equal(pwrite(fd, "kept", 4, 0), 4);
	assert_int_equal(unlink(in(t, "c")), 0);
	assert_true(fsync(fd) < 0);
	expect_text(at(&t->pod, B, "data/c"), "keptre");
	close(fd);
	/* Of what is not dirty storage is right. */
	put(in(t, "n"), "first");
	expect_text(at(&t->pod, A, "data/n"), "first");
	fd = open(at(&t->pod, A, "data/n"), O_RDWR);
	assert_int_equal(pwrite(fd, "FIRST", 5, 0), 5);
	assert_int_equal(fsync(fd), 0);
	close(fd);
	put(in(t, "n"), "second");
	expect_text(at(&t->pod, B, "data/n"), "second");
}

/* -- the end ----------------------------------------------------------------------------------- */

/* What a dead host has written and nobody asks for is written back, too. */
static void test_left_behind(void **state)
{
	struct tree *t = *state;
	int fd;

	if (!pod_possible())
		skip();
	put(in(t, "left"), "before");
	fd = open(at(&t->pod, A, "data/left"), O_RDWR);
	assert_int_equal(pwrite(fd, "behind", 6, 0), 6);
	kill_host(t, A);
	close(fd);
	manager_fence(&t->manager, A);
	manager_move(&t->manager, A, DAXFS_HOST_RECOVERING, B);
	await_text(in(t, "left"), "behind");
	start(t, A);
}

static void test_stop(void **state)
{
	struct tree *t = *state;
	int fd;

	if (!pod_possible())
		skip();
	put(in(t, "s"), "before");
	fd = open(at(&t->pod, A, "data/s"), O_RDWR);
	assert_int_equal(pwrite(fd, "at end", 6, 0), 6);
	close(fd);
	pod_leave_clean(&t->pod);
	expect_text(in(t, "s"), "at end");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_written),     cmocka_unit_test(test_refused),
		cmocka_unit_test(test_extended),    cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_mapped),      cmocka_unit_test(test_full),
		cmocka_unit_test(test_left_behind), cmocka_unit_test(test_changed_behind_our_back),
		cmocka_unit_test(test_stop),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
