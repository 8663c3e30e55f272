/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cache_since.c - names that are changed if nobody changed the attributes of some directory since; stamps, if
 * nobody changed these.
 */
#include <sys/stat.h>

#include "daxfs/cache.h"
#include "pod.h"

static daxfs_ino import_in(struct pod *pod, daxfs_ino parent, const char *name, uint32_t mode, uint64_t file)
{
	const struct daxfs_attr attr = { .mode = mode };
	struct daxfs_attr out;

	assert_int_equal(daxfs_import(pod->fs[0], parent, name, &attr, 1, file, &out), 0);
	return out.ino;
}

/* Files and directories, in the directory that has the attributes, and in another one. */
static void test_since(void **state)
{
	struct pod pod;
	daxfs_ino d, e, b, x, y, ino;
	struct daxfs_since since;
	struct daxfs *fs;

	(void)state;
	pod_start(&pod, 4 << 20);
	fs = pod.fs[2];
	e = import_in(&pod, DAXFS_ROOT, "e", S_IFDIR | 0755, 6);
	d = import_in(&pod, e, "d", S_IFDIR | 0755, 7);
	b = import_in(&pod, d, "b", S_IFREG | 0644, 5);
	x = import_in(&pod, e, "x", S_IFDIR | 0755, 8);
	y = import_in(&pod, e, "y", S_IFREG | 0644, 9);
	assert_int_equal(daxfs_since(fs, b + (1ull << 32), &since), -ESTALE);
	assert_int_equal(daxfs_since(fs, e, &since), 0);
	assert_int_equal(daxfs_xattr_set(pod.fs[1], e, "trusted.daxfs.a", "1", 1, 0), 0);
	assert_int_equal(daxfs_move(fs, d, "b", b, e, "b", 0, &since), -ECANCELED);
	assert_int_equal(daxfs_discard(fs, e, "x", x, &since), -ECANCELED);
	assert_int_equal(daxfs_discard(fs, e, "y", y, &since), -ECANCELED);
	assert_int_equal(daxfs_since(fs, e, &since), 0);
	assert_int_equal(daxfs_xattr_remove(pod.fs[1], e, "trusted.daxfs.a"), 0);
	assert_int_equal(daxfs_discard(fs, e, "y", y, &since), -ECANCELED);
	assert_int_equal(pod_lookup(fs, d, "b", &ino), 0);
	assert_true(ino == b);
	assert_int_equal(daxfs_since(fs, e, &since), 0);
	assert_int_equal(daxfs_move(fs, d, "b", b, e, "b", 0, &since), 0);
	assert_int_equal(daxfs_move(fs, e, "b", b, d, "b", 0, &since), -ECANCELED); /* it is a change itself */
	assert_int_equal(daxfs_since(fs, e, &since), 0);
	assert_int_equal(daxfs_move(fs, e, "b", b, d, "b", 0, &since), 0);
	assert_int_equal(daxfs_since(fs, e, &since), 0);
	assert_int_equal(daxfs_discard(fs, e, "x", x, &since), 0);
	assert_int_equal(daxfs_since(fs, e, &since), 0);
	assert_int_equal(daxfs_discard(fs, e, "y", y, &since), 0);
	since.ino = y; /* which is gone */
	assert_int_equal(daxfs_discard(fs, d, "b", b, &since), -ECANCELED);
	pod_stop(&pod);
}

static uint64_t stamp_of(struct daxfs *fs, daxfs_ino ino)
{
	struct daxfs_source source;

	assert_int_equal(daxfs_source(fs, ino, &source), 0);
	return source.stamp;
}

/* Of two who have looked at storage, the one who was slow does not overwrite what the other one saw. */
static void test_restamp(void **state)
{
	struct pod pod;
	daxfs_ino f;

	(void)state;
	pod_start(&pod, 4 << 20);
	f = import_in(&pod, DAXFS_ROOT, "f", S_IFREG | 0644, 6);
	assert_int_equal(daxfs_restamp(pod.fs[0], f, 0, 11), 0);
	assert_int_equal(daxfs_restamp(pod.fs[1], f, 11, 13), 0);
	assert_int_equal(daxfs_restamp(pod.fs[0], f, 11, 15), -ECANCELED);
	assert_int_equal(stamp_of(pod.fs[0], f), 13);
	assert_int_equal(daxfs_stamp(pod.fs[0], f, 15), 0);
	assert_int_equal(stamp_of(pod.fs[1], f), 15);
	pod_stop(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_since),
		cmocka_unit_test(test_restamp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
