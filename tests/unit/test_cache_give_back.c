/* SPDX-License-Identifier: Apache-2.0 */
/* test_cache_give_back.c - names of storage leave room for the pool's own files, and are given back for others. */
#include "cache_fixture.h"

static const struct daxfs_attr dir_attr = { .mode = S_IFDIR | 0750, .mtime.tv_sec = 50 };
static const struct daxfs_attr file_attr = { .mode = S_IFREG | 0640, .size = 3 * PAGE, .mtime.tv_sec = 5 };

static daxfs_ino import_dir(struct daxfs *fs, daxfs_ino parent, const char *name)
{
	struct daxfs_attr out;

	assert_int_equal(daxfs_import(fs, parent, name, &dir_attr, BACKING, 9, &out), 0);
	return out.ino;
}

static daxfs_ino import_file(struct daxfs *fs, daxfs_ino parent, const char *name, uint64_t number)
{
	struct daxfs_attr out;

	assert_int_equal(daxfs_import(fs, parent, name, &file_attr, BACKING, number, &out), 0);
	return out.ino;
}

static uint64_t stamp_of(struct daxfs *fs, daxfs_ino ino)
{
	struct daxfs_source source;

	assert_int_equal(daxfs_source(fs, ino, &source), 0);
	return source.stamp;
}

/* Names by each host in turn, until there is no room: how many. */
static unsigned fill(struct fixture *s, daxfs_ino dir, daxfs_ino *ino)
{
	struct daxfs_attr out;
	char name[16];
	unsigned n = 0;
	int rc = 0;

	for (; rc == 0; n++) {
		snprintf(name, sizeof(name), "n%u", n);
		rc = daxfs_import(s->pod.fs[n % POD_HOSTS], dir, name, &file_attr, BACKING, 100 + n, &out);
		ino[n] = out.ino;
	}
	assert_int_equal(rc, -ENOSPC);
	return n - 1;
}

static unsigned create_own(struct fixture *s)
{
	struct daxfs_attr out;
	char name[16];
	unsigned n = 0;
	int rc = 0;

	for (; rc == 0; n++) {
		snprintf(name, sizeof(name), "own%u", n);
		rc = daxfs_mknod(s->pod.fs[n % POD_HOSTS], DAXFS_ROOT, name, S_IFREG | 0600, 0, pod_root, false, &out);
	}
	assert_int_equal(rc, -ENOSPC);
	for (unsigned i = 0; i + 1 < n; i++) {
		snprintf(name, sizeof(name), "own%u", i);
		assert_int_equal(daxfs_unlink(s->pod.fs[0], DAXFS_ROOT, name), 0);
	}
	return n - 1;
}

/* What is left, when storage has used up what it gets, is for files of the pool; and what is given back, for both. */
static void test_own_files_have_room(void **state)
{
	struct daxfs_statfs usage;
	daxfs_ino dir, ino[600];
	struct fixture s;
	uint64_t left, kept;
	char name[16];
	unsigned n;

	(void)state;
	fixture_start(&s, 8 << 20, PAGE, PATIENCE_MS);
	assert_int_equal(daxfs_statfs(s.pod.fs[0], &usage), 0);
	kept = usage.inodes.total / 16;
	assert_int_equal(daxfs_names_left(s.pod.fs[1], &left), 0);
	assert_int_equal(left, usage.inodes.free - kept);
	dir = import_dir(s.pod.fs[1], DAXFS_ROOT, "tree");
	n = fill(&s, dir, ino);
	/* Another lane may have counted a few before. */
	assert_true(n + 1 >= left && n + 1 <= left + kept / 2);
	assert_int_equal(daxfs_names_left(s.pod.fs[1], &left), 0);
	assert_int_equal(left, 0);
	assert_true(create_own(&s) >= kept / 2);
	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		assert_int_equal(daxfs_give_back(s.pod.fs[i % POD_HOSTS], dir, name, ino[i], false), 0);
	}
	import_file(s.pod.fs[2], dir, "n0", 100);
	assert_int_equal(daxfs_lookup(s.pod.fs[0], dir, "n0", &(struct daxfs_attr){ .ino = 0 }), 0);
	assert_int_equal(daxfs_lookup(s.pod.fs[0], dir, "n1", &(struct daxfs_attr){ .ino = 0 }), -ENOENT);
	create_own(&s);
	daxfs_unlink(s.pod.fs[0], DAXFS_ROOT, "f"); /* a name of the fixture's */
	s.ino = storage_import(s.pod.fs[0], "f", BACKING, FILE_NUMBER, PAGE);
	assert_int_equal(daxfs_lookup(s.pod.fs[0], dir, "n0", &(struct daxfs_attr){ .ino = 0 }), 0);
	{
		struct daxfs_attr out;

		assert_int_equal(daxfs_lookup(s.pod.fs[0], dir, "n0", &out), 0);
		assert_int_equal(daxfs_forget(s.pod.fs[0], dir, "n0", out.ino), 0);
	}
	assert_int_equal(daxfs_forget(s.pod.fs[0], DAXFS_ROOT, "tree", dir), 0);
	fixture_stop(&s);
}

/* That inodes are short is no reason to drop what is cached. */
static void test_cached_pages_stay(void **state)
{
	daxfs_ino dir, ino[600];
	struct daxfs_cached cached;
	struct fixture s;
	uint64_t clean;
	char name[16];
	unsigned n;

	(void)state;
	fixture_start(&s, 8 << 20, 100 * PAGE, PATIENCE_MS);
	expect(&s, 0, 0, 100 * PAGE);
	assert_int_equal(daxfs_cached(s.pod.fs[0], s.ino, &cached), 0);
	clean = cached.clean;
	assert_true(clean > 0);
	dir = import_dir(s.pod.fs[1], DAXFS_ROOT, "tree");
	n = fill(&s, dir, ino);
	create_own(&s);
	assert_int_equal(daxfs_cached(s.pod.fs[0], s.ino, &cached), 0);
	assert_int_equal(cached.clean, clean);
	for (unsigned i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		assert_int_equal(daxfs_give_back(s.pod.fs[0], dir, name, ino[i], false), 0);
	}
	assert_int_equal(daxfs_give_back(s.pod.fs[0], DAXFS_ROOT, "tree", dir, false), 0);
	fixture_stop(&s);
}

static void test_what_is_used_stays(void **state)
{
	struct fixture s;
	daxfs_ino dir, file, sub, other;
	struct daxfs *fs;
	uint64_t stamp;

	(void)state;
	fixture_start(&s, 8 << 20, PAGE, PATIENCE_MS);
	fs = s.pod.fs[1];
	dir = import_dir(fs, DAXFS_ROOT, "tree");
	file = import_file(fs, dir, "g", 10);
	other = import_file(fs, dir, "h", 11);
	sub = import_dir(fs, dir, "sub");
	import_file(fs, sub, "x", 12);
	stamp = stamp_of(fs, dir);
	assert_int_equal(daxfs_give_back(fs, dir, "none", file, true), -ENOENT);
	assert_int_equal(daxfs_give_back(fs, dir, "g", other, true), -ESTALE);
	assert_int_equal(daxfs_give_back(fs, dir, "sub", sub, true), -ENOTEMPTY);
	/* Open on another host, small or with more pages than go with a name. */
	assert_int_equal(daxfs_file_open(s.pod.fs[2], file), 0);
	assert_int_equal(daxfs_give_back(fs, dir, "g", file, true), -EBUSY);
	assert_int_equal(daxfs_file_close(s.pod.fs[2], file), 0);
	/* Of which something is in the pool. */
	storage_expect(&s.storage[1], fs, file, 10, 0, 3 * PAGE, 3 * PAGE);
	assert_int_equal(daxfs_give_back(fs, dir, "g", file, false), -EBUSY);
	/* A directory that is open: nothing in it goes, nor it. */
	assert_int_equal(daxfs_file_open(s.pod.fs[0], dir), 0);
	assert_int_equal(daxfs_give_back(fs, dir, "g", file, true), -ETXTBSY);
	assert_int_equal(daxfs_file_open(s.pod.fs[0], sub), 0);
	assert_int_equal(daxfs_file_close(s.pod.fs[0], dir), 0);
	assert_int_equal(daxfs_give_back(fs, sub, "x", 0, true), -ESTALE);
	assert_true(stamp_of(fs, dir) == stamp);
	/* Those who have a listing learn of it. */
	assert_int_equal(daxfs_give_back(fs, dir, "g", file, true), 0);
	assert_true(stamp_of(s.pod.fs[0], dir) != stamp);
	stamp = stamp_of(fs, dir);
	import_file(fs, dir, "g", 10);
	assert_true(stamp_of(fs, dir) == stamp);
	{
		struct daxfs_attr out;

		assert_int_equal(daxfs_lookup(fs, sub, "x", &out), 0);
		assert_int_equal(daxfs_give_back(fs, sub, "x", out.ino, true), -ETXTBSY);
		assert_int_equal(daxfs_forget(fs, sub, "x", out.ino), 0);
		assert_int_equal(daxfs_give_back(fs, dir, "sub", sub, true), -EBUSY); /* the victim is open */
		assert_int_equal(daxfs_file_close(s.pod.fs[0], sub), 0);
		assert_int_equal(daxfs_give_back(fs, dir, "sub", sub, true), 0);
		assert_int_equal(daxfs_lookup(fs, dir, "g", &out), 0);
		assert_int_equal(daxfs_give_back(fs, dir, "g", out.ino, true), 0);
	}
	assert_int_equal(daxfs_give_back(fs, dir, "h", other, false), 0);
	assert_int_equal(daxfs_give_back(fs, DAXFS_ROOT, "tree", dir, false), 0);
	fixture_stop(&s);
}

/* Many pages, so that what it leads to is taken apart behind the record; and open, so that nothing may happen. */
static void test_large(void **state)
{
	struct daxfs_attr attr = file_attr, out;
	struct fixture s;
	daxfs_ino dir;
	struct daxfs *fs;

	(void)state;
	fixture_start(&s, 8 << 20, PAGE, PATIENCE_MS);
	fs = s.pod.fs[1];
	dir = import_dir(fs, DAXFS_ROOT, "tree");
	attr.size = 64 * PAGE;
	assert_int_equal(daxfs_import(fs, dir, "big", &attr, BACKING, 13, &out), 0);
	storage_expect(&s.storage[1], fs, out.ino, 13, 0, 64 * PAGE, 64 * PAGE);
	assert_int_equal(daxfs_give_back(fs, dir, "big", out.ino, false), -EBUSY);
	assert_int_equal(daxfs_file_open(s.pod.fs[2], out.ino), 0);
	assert_int_equal(daxfs_give_back(fs, dir, "big", out.ino, true), -EBUSY);
	assert_int_equal(daxfs_lookup(s.pod.fs[2], dir, "big", &out), 0);
	assert_int_equal(daxfs_file_close(s.pod.fs[2], out.ino), 0);
	assert_int_equal(daxfs_give_back(fs, dir, "big", out.ino, true), 0);
	assert_int_equal(daxfs_getattr(fs, out.ino, &out), -ESTALE);
	assert_int_equal(daxfs_give_back(fs, DAXFS_ROOT, "tree", dir, false), 0);
	fixture_stop(&s);
}

static void test_directories(void **state)
{
	struct fixture s;
	daxfs_ino dir, sub, ino, found[4] = { 0 };
	unsigned n = 0;
	uint64_t at = 0;
	struct daxfs *fs;
	int rc;

	(void)state;
	fixture_start(&s, 8 << 20, PAGE, PATIENCE_MS);
	fs = s.pod.fs[1];
	dir = import_dir(fs, DAXFS_ROOT, "tree");
	sub = import_dir(fs, dir, "sub");
	pod_mkdir(fs, DAXFS_ROOT, "own");
	while ((rc = daxfs_directories(fs, BACKING, &at, &ino)) >= 0)
		if (rc == 1 && n < 4)
			found[n++] = ino;
	assert_int_equal(rc, -ENOENT);
	assert_int_equal(n, 2);
	assert_true((found[0] == dir && found[1] == sub) || (found[0] == sub && found[1] == dir));
	at = 0;
	while ((rc = daxfs_directories(fs, BACKING + 1, &at, &ino)) >= 0)
		assert_int_equal(rc, 0);
	assert_int_equal(daxfs_give_back(fs, dir, "sub", sub, false), 0);
	assert_int_equal(daxfs_give_back(fs, DAXFS_ROOT, "tree", dir, false), 0);
	assert_int_equal(daxfs_rmdir(fs, DAXFS_ROOT, "own"), 0);
	fixture_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_files_have_room), cmocka_unit_test(test_cached_pages_stay),
		cmocka_unit_test(test_what_is_used_stays),  cmocka_unit_test(test_large),
		cmocka_unit_test(test_directories),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
