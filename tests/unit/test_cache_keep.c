/* SPDX-License-Identifier: Apache-2.0 */
/* test_cache_keep.c - directories of storage that hosts have open for their locks alone: fs/keep.c. */
#include "cache_fixture.h"

static const struct daxfs_attr dir_attr = { .mode = S_IFDIR | 0750, .mtime.tv_sec = 50 };
static const struct daxfs_attr file_attr = { .mode = S_IFREG | 0640, .size = PAGE, .mtime.tv_sec = 5 };

/* A directory that hosts 0 and 1 keep, and a name there. */
static daxfs_ino start(struct fixture *s)
{
	struct daxfs_attr out;

	fixture_start(s, 8 << 20, PAGE, PATIENCE_MS);
	assert_int_equal(daxfs_import(s->pod.fs[0], DAXFS_ROOT, "tree", &dir_attr, BACKING, 9, &out), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(daxfs_dir_keep(s->pod.fs[i], out.ino), 0);
	return out.ino;
}

static void stop(struct fixture *s, daxfs_ino dir)
{
	for (unsigned i = 0; i < POD_HOSTS; i++)
		daxfs_dir_unkeep(s->pod.fs[i], dir);
	assert_int_equal(daxfs_forget(s->pod.fs[0], DAXFS_ROOT, "tree", dir), 0);
	fixture_stop(s);
}

/* Import a name, and have each host try to give it back: what the first says. */
static int give_back(struct fixture *s, daxfs_ino dir)
{
	struct daxfs_attr out;
	int rc;

	assert_int_equal(daxfs_import(s->pod.fs[0], dir, "f", &file_attr, BACKING, 10, &out), 0);
	rc = daxfs_give_back(s->pod.fs[2], dir, "f", out.ino, true);
	if (rc) {
		assert_int_equal(daxfs_give_back(s->pod.fs[0], dir, "f", out.ino, true), rc);
		assert_int_equal(daxfs_forget(s->pod.fs[0], dir, "f", out.ino), 0);
	}
	return rc;
}

static void test_only_who_lists_counts(void **state)
{
	struct fixture s;
	daxfs_ino dir = start(&s);

	(void)state;
	assert_int_equal(give_back(&s, dir), 0);
	for (unsigned host = 0; host < POD_HOSTS; host++) {
		assert_int_equal(daxfs_file_open(s.pod.fs[host], dir), 0);
		assert_int_equal(give_back(&s, dir), -ETXTBSY);
		assert_int_equal(daxfs_file_open(s.pod.fs[host], dir), 0);
		assert_int_equal(daxfs_file_close(s.pod.fs[host], dir), 0);
		assert_int_equal(give_back(&s, dir), -ETXTBSY);
		assert_int_equal(daxfs_file_close(s.pod.fs[host], dir), 0);
		assert_int_equal(give_back(&s, dir), 0);
	}
	/* Listed before it is kept, and kept no more while it is listed. */
	assert_int_equal(daxfs_file_open(s.pod.fs[2], dir), 0);
	assert_int_equal(daxfs_dir_keep(s.pod.fs[2], dir), 0);
	assert_int_equal(give_back(&s, dir), -ETXTBSY);
	assert_int_equal(daxfs_dir_unkeep(s.pod.fs[2], dir), 0);
	assert_int_equal(daxfs_dir_unkeep(s.pod.fs[2], dir), -EBADF);
	assert_int_equal(give_back(&s, dir), -ETXTBSY);
	assert_int_equal(daxfs_file_close(s.pod.fs[2], dir), 0);
	assert_int_equal(give_back(&s, dir), 0);
	stop(&s, dir);
}

/* Kept for several reasons: it is open until the last of them ends, and its names may go all the time. */
static void test_kept_twice(void **state)
{
	struct fixture s;
	daxfs_ino dir = start(&s);
	struct daxfs *fs = s.pod.fs[0];

	(void)state;
	assert_int_equal(daxfs_dir_keep(fs, dir), 0);
	assert_int_equal(give_back(&s, dir), 0);
	assert_int_equal(daxfs_file_close(fs, dir), -EBADF);
	assert_int_equal(daxfs_file_open(fs, dir), 0);
	assert_int_equal(daxfs_dir_keep(fs, dir), 0);
	assert_int_equal(give_back(&s, dir), -ETXTBSY);
	assert_int_equal(daxfs_dir_unkeep(fs, dir), 0);
	assert_int_equal(give_back(&s, dir), -ETXTBSY);
	assert_int_equal(daxfs_file_close(fs, dir), 0);
	assert_int_equal(give_back(&s, dir), 0);
	assert_int_equal(daxfs_dir_unkeep(fs, dir), 0);
	assert_int_equal(give_back(&s, dir), 0);
	assert_int_equal(daxfs_dir_unkeep(fs, dir), 0);
	assert_int_equal(daxfs_dir_unkeep(fs, dir), -EBADF);
	stop(&s, dir);
}

/* Locks of it are as ever, and change nothing about that. */
static void test_locks_beside(void **state)
{
	struct daxfs_lock lock = { .start = 4, .end = 5, .owner = 2, .type = DAXFS_LOCK_WRITE };
	struct fixture s;
	daxfs_ino dir = start(&s);

	(void)state;
	assert_int_equal(daxfs_lock(s.pod.fs[0], dir, &lock), 0);
	assert_int_equal(daxfs_lock(s.pod.fs[1], dir, &lock), -EAGAIN);
	assert_int_equal(give_back(&s, dir), 0);
	lock.type = DAXFS_UNLOCK;
	assert_int_equal(daxfs_lock(s.pod.fs[0], dir, &lock), 0);
	assert_int_equal(give_back(&s, dir), 0);
	stop(&s, dir);
}

/* No room for one more lock: it is open, its names stay, and it is tried again. */
static void test_no_place(void **state)
{
	struct daxfs_lock lock = { .owner = 2, .type = DAXFS_LOCK_WRITE };
	struct fixture s;
	daxfs_ino dir = start(&s);
	int rc = 0;

	(void)state;
	for (unsigned i = 0; rc == 0; i++) {
		lock.start = lock.end = 2 * i;
		rc = daxfs_lock(s.pod.fs[0], dir, &lock);
	}
	assert_int_equal(rc, -ENOLCK);
	assert_int_equal(daxfs_dir_keep(s.pod.fs[2], dir), -ENOLCK);
	assert_int_equal(give_back(&s, dir), -ETXTBSY);
	lock = (struct daxfs_lock){ .end = 1000, .owner = 2, .type = DAXFS_UNLOCK };
	assert_int_equal(daxfs_lock(s.pod.fs[0], dir, &lock), 0);
	assert_int_equal(daxfs_dir_keep(s.pod.fs[2], dir), 0);
	assert_int_equal(give_back(&s, dir), 0);
	assert_int_equal(daxfs_dir_unkeep(s.pod.fs[2], dir), 0);
	assert_int_equal(give_back(&s, dir), 0);
	stop(&s, dir);
}

/* What a process that is over said of itself says nothing of the next one. */
static void test_next_process(void **state)
{
	struct fixture s;
	daxfs_ino dir = start(&s);

	(void)state;
	fixture_go_on(&s, 1);
	assert_int_equal(daxfs_file_open(s.pod.fs[1], dir), 0);
	assert_int_equal(give_back(&s, dir), -ETXTBSY);
	assert_int_equal(daxfs_dir_keep(s.pod.fs[1], dir), 0);
	assert_int_equal(give_back(&s, dir), -ETXTBSY);
	assert_int_equal(daxfs_file_close(s.pod.fs[1], dir), 0);
	assert_int_equal(give_back(&s, dir), 0);
	stop(&s, dir);
}

/* A number of another process in the keep, as one leaves it that is killed: it counts as none. */
static void test_void_keep(void **state)
{
	struct daxfs_lock keep = {
		.start = DAXFS_LOCK_END, .end = DAXFS_LOCK_END, .owner = DAXFS_KEEP_OWNER, .type = DAXFS_LOCK_READ
	};
	struct fixture s;
	daxfs_ino dir = start(&s);

	(void)state;
	keep.pid = (uint32_t)link_index(cache_claim_of(s.pod.fs[2])) + (1u << 24);
	assert_int_equal(daxfs_file_open(s.pod.fs[2], dir), 0);
	assert_int_equal(daxfs_lock(s.pod.fs[2], dir, &keep), 0);
	assert_int_equal(give_back(&s, dir), -ETXTBSY);
	assert_int_equal(daxfs_file_close(s.pod.fs[2], dir), 0);
	assert_int_equal(give_back(&s, dir), 0);
	stop(&s, dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_who_lists_counts), cmocka_unit_test(test_kept_twice),
		cmocka_unit_test(test_locks_beside),          cmocka_unit_test(test_no_place),
		cmocka_unit_test(test_next_process),          cmocka_unit_test(test_void_keep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
