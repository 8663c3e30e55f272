/* SPDX-License-Identifier: Apache-2.0 */
/* test_cache_names.c - directories, links and names of backing storage. */
#include "cache_fixture.h"

static const struct daxfs_attr dir_attr = {
	.mode = S_IFDIR | 0750, .uid = 7, .gid = 8, .mtime.tv_sec = 50, .ctime.tv_sec = 60
};
static const struct daxfs_attr file_attr = { .mode = S_IFREG | 0640, .size = 3 * PAGE, .mtime.tv_sec = 5 };

static daxfs_ino import_dir(struct fixture *s, daxfs_ino parent, const char *name)
{
	struct daxfs_attr out;

	assert_int_equal(daxfs_import(s->pod.fs[0], parent, name, &dir_attr, BACKING, 9, &out), 0);
	assert_true(S_ISDIR(out.mode));
	return out.ino;
}

/* Whatever changes names of storage, or is not to be there. */
static void test_only_as_in_storage(void **state)
{
	const struct daxfs_attr mode = { .mode = 0777 };
	struct daxfs_attr out;
	struct fixture s;
	daxfs_ino dir, own;
	struct daxfs *fs;

	(void)state;
	fixture_start(&s, 8 << 20, PAGE, PATIENCE_MS);
	fs = s.pod.fs[1];
	dir = import_dir(&s, DAXFS_ROOT, "tree");
	own = pod_create(fs, DAXFS_ROOT, "own");
	assert_int_equal(daxfs_import(fs, dir, "g", &file_attr, BACKING, 10, &out), 0);
	assert_int_equal(daxfs_mknod(fs, dir, "x", S_IFREG | 0600, 0, pod_root, false, &out), -EROFS);
	assert_int_equal(daxfs_mknod(fs, dir, "g", S_IFREG | 0600, 0, pod_root, false, &out), -EEXIST);
	assert_int_equal(daxfs_mkdir(fs, dir, "x", 0700, pod_root, &out), -EROFS);
	assert_int_equal(daxfs_symlink(fs, dir, "x", "y", pod_root, &out), -EROFS);
	assert_int_equal(daxfs_link(fs, own, dir, "x", &out), -EROFS);
	assert_int_equal(daxfs_unlink(fs, dir, "g"), -EROFS);
	assert_int_equal(daxfs_rename(fs, dir, "g", DAXFS_ROOT, "g", 0), -EROFS);
	assert_int_equal(daxfs_rename(fs, DAXFS_ROOT, "own", dir, "own", 0), -EROFS);
	assert_int_equal(daxfs_rename(fs, DAXFS_ROOT, "own", dir, "g", DAXFS_RENAME_EXCHANGE), -EROFS);
	assert_int_equal(daxfs_setattr(fs, dir, DAXFS_SET_MODE, &mode, &out), -EROFS);
	assert_int_equal(daxfs_xattr_set(fs, dir, "user.a", "b", 1, 0), -EROFS);
	assert_int_equal(daxfs_xattr_remove(fs, dir, "user.a"), -ENODATA);
	assert_int_equal(daxfs_lookup(fs, dir, "g", &out), 0);
	assert_int_equal(daxfs_link(fs, out.ino, DAXFS_ROOT, "x", &out), -EROFS);
	/* Its times are the storage's, though names have come. */
	assert_int_equal(daxfs_getattr(fs, dir, &out), 0);
	assert_int_equal(out.mtime.tv_sec, 50);
	assert_int_equal(out.mode, S_IFDIR | 0750);
	assert_int_equal(out.nlink, 1);
	assert_int_equal(daxfs_lookup(fs, dir, "g", &out), 0);
	assert_int_equal(daxfs_forget(fs, dir, "g", out.ino), 0);
	assert_int_equal(daxfs_forget(fs, DAXFS_ROOT, "tree", dir), 0);
	assert_int_equal(daxfs_unlink(fs, DAXFS_ROOT, "own"), 0);
	fixture_stop(&s);
}

static void test_forget(void **state)
{
	struct daxfs_attr first, second;
	struct fixture s;
	struct daxfs *fs;
	daxfs_ino dir;

	(void)state;
	fixture_start(&s, 8 << 20, PAGE, PATIENCE_MS);
	fs = s.pod.fs[1];
	dir = import_dir(&s, DAXFS_ROOT, "tree");
	assert_int_equal(daxfs_import(fs, dir, "g", &file_attr, BACKING, 10, &first), 0);
	storage_expect(&s.storage[1], fs, first.ino, 10, 0, 3 * PAGE, 3 * PAGE);
	assert_int_equal(daxfs_forget(fs, dir, "none", first.ino), -ENOENT);
	assert_int_equal(daxfs_forget(fs, DAXFS_ROOT, "tree", dir), -ENOTEMPTY);
	/* Who forgets what somebody else has imported anew meanwhile does not. */
	assert_int_equal(daxfs_forget(fs, dir, "g", first.ino), 0);
	assert_int_equal(daxfs_import(fs, dir, "g", &file_attr, BACKING, 11, &second), 0);
	assert_int_equal(daxfs_forget(s.pod.fs[2], dir, "g", first.ino), -ESTALE);
	storage_expect(&s.storage[2], s.pod.fs[2], second.ino, 11, 0, 3 * PAGE, 3 * PAGE);
	assert_int_equal(daxfs_forget(fs, dir, "g", second.ino), 0);
	assert_int_equal(daxfs_forget(fs, DAXFS_ROOT, "tree", dir), 0);
	fixture_stop(&s);
}

static void test_links_and_sources(void **state)
{
	static char longer[5000];
	const struct daxfs_attr changed = { .mode = 0700, .uid = 1, .gid = 2, .mtime.tv_sec = 51 };
	struct daxfs_source source;
	struct daxfs_attr out;
	struct fixture s;
	struct daxfs *fs;
	daxfs_ino dir, link;
	char target[16];

	(void)state;
	fixture_start(&s, 8 << 20, PAGE, PATIENCE_MS);
	fs = s.pod.fs[1];
	dir = import_dir(&s, DAXFS_ROOT, "tree");
	memset(longer, 'x', sizeof(longer) - 1);
	assert_int_equal(daxfs_import_link(fs, dir, "l", "", &file_attr, BACKING, 12, &out), -EINVAL);
	assert_int_equal(daxfs_import_link(fs, dir, "l", longer, &file_attr, BACKING, 12, &out), -ENAMETOOLONG);
	assert_int_equal(daxfs_import_link(fs, dir, "l", "g/h", &file_attr, BACKING, 12, &out), 0);
	link = out.ino;
	assert_int_equal(daxfs_import_link(fs, dir, "l", "g/h", &file_attr, BACKING, 12, &out), -EEXIST);
	assert_int_equal(daxfs_readlink(fs, link, target, sizeof(target)), 0);
	assert_string_equal(target, "g/h");
	assert_int_equal(daxfs_source(fs, link, &source), 0);
	assert_int_equal(source.backing, BACKING);
	assert_int_equal(source.file, 12);
	assert_true(source.directory == dir);
	assert_int_equal(daxfs_source(fs, s.ino, &source), 0);
	assert_true(source.file == FILE_NUMBER && source.directory == DAXFS_ROOT);
	assert_int_equal(daxfs_source(fs, DAXFS_ROOT, &source), -EINVAL);
	/* A directory of the storage changes. */
	assert_int_equal(daxfs_import_again(fs, dir, &changed), 0);
	assert_int_equal(daxfs_getattr(fs, dir, &out), 0);
	assert_int_equal(out.mode, S_IFDIR | 0700);
	assert_true(out.uid == 1 && out.gid == 2 && out.mtime.tv_sec == 51);
	assert_int_equal(daxfs_import_again(fs, s.ino, &changed), -EINVAL);
	assert_int_equal(daxfs_import_again(fs, DAXFS_ROOT, &changed), -EINVAL);
	assert_int_equal(daxfs_forget(fs, dir, "l", link), 0);
	assert_int_equal(daxfs_source(fs, link, &source), -ESTALE);
	assert_int_equal(daxfs_forget(fs, DAXFS_ROOT, "tree", dir), 0);
	fixture_stop(&s);
}

/* Names of one file: by its number first, then any, and it goes when the last has gone. */
static void test_names_of_one(void **state)
{
	struct daxfs_source source;
	struct daxfs_attr one, out;
	struct daxfs_since since;
	struct fixture s;
	daxfs_ino tree, sub, other, numbers;
	struct daxfs *fs;

	(void)state;
	fixture_start(&s, 8 << 20, PAGE, PATIENCE_MS);
	fs = s.pod.fs[1];
	assert_int_equal(daxfs_has_links(fs), 1);
	tree = import_dir(&s, DAXFS_ROOT, "tree");
	sub = import_dir(&s, tree, "sub");
	assert_int_equal(daxfs_import(fs, DAXFS_ROOT, "other", &dir_attr, BACKING + 1, 9, &out), 0);
	other = out.ino;
	assert_int_equal(daxfs_mkdir(fs, DAXFS_ROOT, "numbers", 0700, pod_root, &out), 0);
	numbers = out.ino;
	assert_int_equal(daxfs_import(fs, tree, "a", &file_attr, BACKING, 10, &one), 0);
	assert_int_equal(daxfs_import_name(fs, numbers, "a", one.ino, NULL), 0);
	assert_int_equal(daxfs_import_name(fs, numbers, "a", one.ino, NULL), 0);
	assert_int_equal(daxfs_getattr(fs, one.ino, &out), 0);
	assert_int_equal(out.nlink, 1);
	assert_int_equal(daxfs_source(fs, one.ino, &source), 0);
	assert_true(source.directory == tree);
	assert_int_equal(daxfs_import_name(fs, other, "b", one.ino, NULL), -EINVAL);
	assert_int_equal(daxfs_import_name(fs, sub, "b", tree, NULL), -EPERM);
	assert_int_equal(daxfs_import_name(fs, sub, "b", pod_create(fs, DAXFS_ROOT, "own"), NULL), -EINVAL);
	assert_int_equal(daxfs_since(fs, tree, &since), 0);
	assert_int_equal(daxfs_xattr_set(fs, tree, "trusted.daxfs.x", "x", 1, 0), 0);
	assert_int_equal(daxfs_import_name(fs, sub, "b", one.ino, &since), -ECANCELED);
	assert_int_equal(daxfs_import_name(fs, sub, "b", one.ino, NULL), 0);
	assert_int_equal(daxfs_lookup(s.pod.fs[0], sub, "b", &out), 0);
	assert_true(out.ino == one.ino && out.nlink == 2);
	assert_int_equal(daxfs_source(fs, one.ino, &source), 0);
	assert_true(source.directory == sub); /* by which its path is found; or by a name that is there */
	assert_int_equal(daxfs_import_name(fs, tree, "a", one.ino, NULL), 0);
	assert_int_equal(daxfs_source(fs, one.ino, &source), 0);
	assert_true(source.directory == tree);
	assert_int_equal(daxfs_import(fs, tree, "c", &file_attr, BACKING, 11, &out), 0);
	assert_int_equal(daxfs_import_name(fs, tree, "c", one.ino, NULL), -EEXIST);
	/* The entry by its number goes last, and only if nobody has the file. */
	assert_int_equal(daxfs_give_back(fs, numbers, "a", one.ino, true), -EBUSY);
	assert_int_equal(daxfs_forget(fs, tree, "a", one.ino), 0);
	assert_int_equal(daxfs_give_back(fs, numbers, "a", one.ino, true), -EBUSY);
	assert_int_equal(daxfs_file_open(fs, one.ino), 0);
	assert_int_equal(daxfs_discard(fs, sub, "b", one.ino, NULL), 0);
	assert_int_equal(daxfs_give_back(fs, numbers, "a", one.ino, true), -EBUSY);
	/* Found again, it has a name again. */
	assert_int_equal(daxfs_import_name(fs, tree, "d", one.ino, NULL), 0);
	assert_int_equal(daxfs_discard(fs, tree, "d", one.ino, NULL), 0);
	assert_int_equal(daxfs_file_close(fs, one.ino), 0);
	assert_int_equal(daxfs_give_back(fs, numbers, "a", one.ino, true), 0);
	assert_int_equal(daxfs_getattr(fs, one.ino, &out), -ESTALE);
	assert_int_equal(daxfs_rmdir(fs, DAXFS_ROOT, "numbers"), 0);
	assert_int_equal(daxfs_unlink(fs, DAXFS_ROOT, "own"), 0);
	assert_int_equal(daxfs_lookup(fs, tree, "c", &out), 0);
	assert_int_equal(daxfs_forget(fs, tree, "c", out.ino), 0);
	assert_int_equal(daxfs_forget(fs, tree, "sub", sub), 0);
	assert_int_equal(daxfs_forget(fs, DAXFS_ROOT, "tree", tree), 0);
	assert_int_equal(daxfs_forget(fs, DAXFS_ROOT, "other", other), 0);
	fixture_stop(&s);
}

/* Never from storage; and what is counted of it. */
static void test_read_cached(void **state)
{
	struct daxfs_cache_stats stats;
	struct fixture s;
	uint8_t *buf = malloc(8 * PAGE);
	daxfs_ino own;

	(void)state;
	fixture_start(&s, 8 << 20, 8 * PAGE, PATIENCE_MS);
	assert_int_equal(daxfs_read_cached(s.pod.fs[1], s.ino, buf, PAGE, 0), -ENODATA);
	assert_int_equal(pages_read(&s), 0);
	expect(&s, 0, 0, 2 * PAGE);
	assert_int_equal(daxfs_cache_drop(s.pod.fs[0], s.ino, PAGE, UINT64_MAX), 7);
	assert_int_equal(daxfs_read_cached(s.pod.fs[1], s.ino, buf, 2 * PAGE, 0), PAGE);
	assert_int_equal(daxfs_read_cached(s.pod.fs[1], s.ino, buf, PAGE, PAGE), -ENODATA);
	assert_int_equal(daxfs_read_cached(s.pod.fs[1], s.ino, buf, PAGE, 8 * PAGE), 0);
	own = pod_create(s.pod.fs[1], DAXFS_ROOT, "own");
	assert_int_equal(daxfs_write(s.pod.fs[1], own, "own", 3, PAGE, 0), 3);
	assert_int_equal(daxfs_read_cached(s.pod.fs[1], own, buf, 2 * PAGE, 0), PAGE + 3); /* a hole is one */
	assert_int_equal(daxfs_unlink(s.pod.fs[1], DAXFS_ROOT, "own"), 0);
	daxfs_cache_stats(s.pod.fs[0], &stats);
	assert_true(stats.hits == 0 && stats.misses == 1 && stats.reads == 8);
	daxfs_cache_stats(s.pod.fs[1], &stats);
	assert_true(stats.hits == 1 && stats.misses == 0 && stats.reads == 0);
	/* With the heartbeat the pod knows. */
	assert_int_equal(daxfs_cache_stats_of(s.pod.fs[2], 1, &stats), 0);
	assert_int_equal(stats.hits, 0);
	assert_int_equal(daxfs_beat(s.pod.fs[0]), 0);
	assert_int_equal(daxfs_beat(s.pod.fs[1]), 0);
	assert_int_equal(daxfs_cache_stats_of(s.pod.fs[2], 1, &stats), 0);
	assert_int_equal(stats.hits, 1);
	assert_int_equal(daxfs_cache_stats_of(s.pod.fs[2], 0, &stats), 0);
	assert_true(stats.reads == 8 && stats.filled == 8 && stats.misses == 1);
	assert_int_equal(daxfs_cache_stats_of(s.pod.fs[2], DAXFS_HOSTS_MAX, &stats), -EINVAL);
	free(buf);
	fixture_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_as_in_storage), cmocka_unit_test(test_forget),
		cmocka_unit_test(test_links_and_sources),  cmocka_unit_test(test_names_of_one),
		cmocka_unit_test(test_read_cached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
