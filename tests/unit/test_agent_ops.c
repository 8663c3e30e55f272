/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_ops.c - translation between the kernel's terms and the pool's.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "node-agent/ops.h"
#include "pod.h"

static const struct daxfs_attr sample = {
	.ino = 0x1234500000007ull,
	.size = 1ull << 40,
	.blocks = 24,
	.mode = S_IFREG | 04755,
	.nlink = 3,
	.uid = 1000,
	.gid = 100,
	.rdev = 0x801,
	.atime = { .tv_sec = 1, .tv_nsec = 1 },
	.mtime = { .tv_sec = 2, .tv_nsec = 999999999 },
};

static void test_stat(void **state)
{
	struct ops ops = { .timeout_s = 0 };
	struct stat st;

	(void)state;
	ops_stat(&ops, &sample, &st);
	assert_true(st.st_ino == sample.ino);
	assert_true(st.st_size == (off_t)1 << 40);
	assert_int_equal(st.st_blocks, 24);
	assert_int_equal(st.st_blksize, 4096);
	assert_int_equal(st.st_mode, S_IFREG | 04755);
	assert_int_equal(st.st_nlink, 3);
	assert_int_equal(st.st_uid, 1000);
	assert_int_equal(st.st_gid, 100);
	assert_int_equal(st.st_rdev, 0x801);
	assert_int_equal(st.st_atim.tv_sec, 1);
	assert_int_equal(st.st_atim.tv_nsec, 1);
	assert_int_equal(st.st_mtim.tv_sec, 2);
	assert_int_equal(st.st_mtim.tv_nsec, 999999999);
	assert_int_equal(st.st_ctim.tv_sec, 0);
}

/* Coherence: no timeout unless asked for, and never a generation. */
static void test_entry(void **state)
{
	struct ops ops = { .timeout_s = 0 };
	struct fuse_entry_param entry;

	(void)state;
	ops_entry(&ops, 1, &sample, &entry);
	assert_true(entry.ino == sample.ino);
	assert_true(entry.generation == 0);
	assert_true(entry.attr_timeout <= 0 && entry.entry_timeout <= 0);
	ops.timeout_s = 2;
	ops_entry(&ops, 1, &sample, &entry);
	assert_true(entry.attr_timeout > 1.9 && entry.entry_timeout > 1.9);
}

static void test_set_bits(void **state)
{
	(void)state;
	assert_int_equal(ops_set_bits(0), 0);
	assert_int_equal(ops_set_bits(FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID | FUSE_SET_ATTR_SIZE),
			 DAXFS_SET_MODE | DAXFS_SET_UID | DAXFS_SET_GID | DAXFS_SET_SIZE);
	assert_int_equal(ops_set_bits(FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME), DAXFS_SET_ATIME | DAXFS_SET_MTIME);
	assert_int_equal(ops_set_bits(FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME |
				      FUSE_SET_ATTR_MTIME_NOW),
			 DAXFS_SET_ATIME_NOW | DAXFS_SET_MTIME_NOW);
	assert_int_equal(ops_set_bits(FUSE_SET_ATTR_CTIME), 0);
}

/* Returns what is wrong, as text. The buffer goes when its worker ends. */
static void *scratch_worker(void *context)
{
	static char lost[] = "lost or moved", none[] = "none";
	struct ops *ops = context;
	char *first = ops_scratch(ops, 10), *second;

	if (!first)
		return none;
	memset(first, 1, OPS_IO_MAX);
	if (ops_scratch(ops, OPS_IO_MAX) != first)
		return lost;
	second = ops_scratch(ops, 2 * OPS_IO_MAX);
	if (!second)
		return none;
	memset(second, 2, 2 * OPS_IO_MAX);
	return ops_scratch(ops, 10) == second ? NULL : lost;
}

static void test_scratch_grows_and_stays(void **state)
{
	struct ops ops = { 0 };
	struct pod pod;
	pthread_t worker;
	void *wrong;

	(void)state;
	pod_start(&pod, 4u << 20);
	ops.fs = pod.fs[0];
	assert_int_equal(ops_start(&ops), 0);
	assert_int_equal(pthread_create(&worker, NULL, scratch_worker, &ops), 0);
	assert_int_equal(pthread_join(worker, &wrong), 0);
	assert_null(wrong);
	ops_stop(&ops);
	pod_stop(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stat),
		cmocka_unit_test(test_entry),
		cmocka_unit_test(test_set_bits),
		cmocka_unit_test(test_scratch_grows_and_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
