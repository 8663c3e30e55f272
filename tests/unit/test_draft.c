/* SPDX-License-Identifier: Apache-2.0 */
/* test_draft.c - writes whose pages the caller fills (fs/draft.c). */
#include "pod.h"

#define PAGE DAXFS_PAGE_SIZE

static struct daxfs_draft *begin(struct daxfs *fs, daxfs_ino ino, uint64_t offset, unsigned n, int byte)
{
	void *pages[DAXFS_ATOMIC_WRITE_MAX / PAGE];
	struct daxfs_draft *draft;

	assert_int_equal(daxfs_draft_begin(fs, ino, offset, (size_t)n * PAGE, pages, &draft), 0);
	for (unsigned i = 0; i < n; i++)
		memset(pages[i], byte + (int)i, PAGE);
	return draft;
}

/* Byte of each page of the file; ends with the file. */
static void expect_pages(struct daxfs *fs, daxfs_ino ino, const char *bytes)
{
	static uint8_t buf[64 * PAGE];
	size_t n = strlen(bytes);

	assert_int_equal(daxfs_read(fs, ino, buf, sizeof(buf), 0), n * PAGE);
	for (size_t i = 0; i < n * PAGE; i++)
		assert_int_equal(buf[i], bytes[i / PAGE] == '.' ? 0 : bytes[i / PAGE]);
}

static void seen_when_committed(void **state)
{
	struct daxfs_draft *draft;
	struct pod pod;
	daxfs_ino ino;

	(void)state;
	pod_start(&pod, 8 << 20);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	draft = begin(pod.fs[0], ino, 0, 3, 'a');
	expect_pages(pod.fs[1], ino, "");
	assert_int_equal(daxfs_draft_commit(draft), 0);
	expect_pages(pod.fs[1], ino, "abc");
	assert_int_equal(daxfs_draft_commit(begin(pod.fs[1], ino, PAGE, 1, 'x')), 0);
	assert_int_equal(daxfs_draft_commit(begin(pod.fs[2], ino, 4 * PAGE, 1, 'y')), 0);
	expect_pages(pod.fs[0], ino, "axc.y");
	pod_check(&pod);
	pod_stop(&pod);
}

static void aborted_leaves_nothing(void **state)
{
	struct daxfs_check before, after;
	struct pod pod;
	daxfs_ino ino;

	(void)state;
	pod_start(&pod, 8 << 20);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	assert_int_equal(daxfs_draft_commit(begin(pod.fs[0], ino, 0, 2, 'a')), 0);
	before = pod_check(&pod);
	daxfs_draft_abort(begin(pod.fs[0], ino, 0, 64, 'k'));
	expect_pages(pod.fs[1], ino, "ab");
	after = pod_check(&pod);
	assert_int_equal(after.pages_used, before.pages_used);
	assert_int_equal(after.usage.pages.free + after.usage.pages.retired,
			 before.usage.pages.free + before.usage.pages.retired);
	pod_stop(&pod);
}

/* Who changed the range first wins; the other is told, and nothing of it happened. */
static void two_drafts_of_one_range(void **state)
{
	struct daxfs_draft *one, *two;
	struct pod pod;
	daxfs_ino ino;

	(void)state;
	pod_start(&pod, 8 << 20);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	one = begin(pod.fs[0], ino, 0, 2, 'a');
	two = begin(pod.fs[1], ino, PAGE, 2, 'k');
	assert_int_equal(daxfs_draft_commit(two), 0);
	assert_int_equal(daxfs_draft_commit(one), 0); /* the later one lies on top */
	expect_pages(pod.fs[2], ino, "abl");
	pod_check(&pod);
	pod_stop(&pod);
}

static void nonsense_is_refused(void **state)
{
	void *pages[DAXFS_ATOMIC_WRITE_MAX / PAGE];
	struct daxfs_draft *draft;
	struct pod pod;
	struct daxfs *fs;
	daxfs_ino ino, dir;

	(void)state;
	pod_start(&pod, 8 << 20);
	fs = pod.fs[0];
	ino = pod_create(fs, DAXFS_ROOT, "f");
	dir = pod_mkdir(fs, DAXFS_ROOT, "d");
	assert_int_equal(daxfs_draft_begin(fs, ino, 0, 0, pages, &draft), -EINVAL);
	assert_int_equal(daxfs_draft_begin(fs, ino, 0, 100, pages, &draft), -EINVAL);
	assert_int_equal(daxfs_draft_begin(fs, ino, 100, PAGE, pages, &draft), -EINVAL);
	assert_int_equal(daxfs_draft_begin(fs, ino, 0, DAXFS_ATOMIC_WRITE_MAX + PAGE, pages, &draft), -EINVAL);
	assert_int_equal(daxfs_draft_begin(fs, dir, 0, PAGE, pages, &draft), -EISDIR);
	assert_int_equal(daxfs_draft_begin(fs, 12345, 0, PAGE, pages, &draft), -ESTALE);
	assert_int_equal(daxfs_draft_begin(fs, ino, DAXFS_FILE_MAX, PAGE, pages, &draft), -EFBIG);
	pod_check(&pod);
	pod_stop(&pod);
}

static void no_page_no_draft(void **state)
{
	void *pages[DAXFS_ATOMIC_WRITE_MAX / PAGE];
	struct daxfs_draft *draft[16], *more;
	struct pod pod;
	daxfs_ino ino;
	uint64_t n = 0;
	int rc;

	(void)state;
	pod_start(&pod, 2 << 20);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	while (n < 4 && (rc = daxfs_draft_begin(pod.fs[0], ino, n << 18, 1 << 18, pages, &draft[n])) == 0)
		n++;
	rc = daxfs_draft_begin(pod.fs[1], ino, n << 18, 1 << 18, pages, &more);
	for (uint64_t i = 0; rc == 0 && i < 8; i++) {
		daxfs_draft_commit(more);
		rc = daxfs_draft_begin(pod.fs[1], ino, (n + 1 + i) << 18, 1 << 18, pages, &more);
	}
	assert_int_equal(rc, -ENOSPC);
	while (n)
		daxfs_draft_abort(draft[--n]);
	assert_int_equal(daxfs_draft_commit(begin(pod.fs[1], ino, 0, 64, 1)), 0);
	pod_check(&pod);
	pod_stop(&pod);
}

/* A host dies with a draft open: its pages are free again, the file is as it was. */
static void the_draft_of_the_dead(void **state)
{
	struct daxfs_recovery report;
	struct daxfs_draft *draft;
	struct pod pod;
	daxfs_ino ino;

	(void)state;
	pod_start(&pod, 8 << 20);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	assert_int_equal(daxfs_draft_commit(begin(pod.fs[0], ino, 0, 1, 'a')), 0);
	draft = begin(pod.fs[0], ino, 0, 64, 'k');
	pod_fence(&pod, 0);
	assert_int_equal(daxfs_recover(pod.fs[1], 0, &report), 0);
	assert_int_equal(report.rolled_back, 1);
	expect_pages(pod.fs[1], ino, "a");
	pod_check(&pod);
	assert_int_equal(daxfs_draft_commit(draft), -ESTALE); /* it was not dead: nothing happens any more */
	expect_pages(pod.fs[1], ino, "a");
	pod_check(&pod);
	pod_stop(&pod);
}

/* What a truncation left must go before the file grows: the draft after that one does. */
static void past_a_cut(void **state)
{
	struct daxfs_attr size = { .size = 100 };
	struct pod pod;
	daxfs_ino ino;
	int rc = -EAGAIN;

	(void)state;
	pod_start(&pod, 8 << 20);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	assert_int_equal(daxfs_draft_commit(begin(pod.fs[0], ino, 0, 4, 'a')), 0);
	assert_int_equal(daxfs_setattr(pod.fs[0], ino, DAXFS_SET_SIZE, &size, NULL), 0);
	for (int tries = 0; rc == -EAGAIN && tries < 3; tries++)
		rc = daxfs_draft_commit(begin(pod.fs[0], ino, 0, 2, 'k'));
	assert_int_equal(rc, 0);
	expect_pages(pod.fs[1], ino, "kl");
	pod_check(&pod);
	pod_stop(&pod);
}

/* What was an extent gets single pages where sixteen together are not to be had. */
static void single_pages_for_an_extent(void **state)
{
	static uint8_t bytes[16 * PAGE];
	const unsigned groups = 80;
	unsigned random = 1;
	struct pod pod;
	daxfs_ino ino;

	(void)state;
	pod_start(&pod, 8 << 20);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	for (unsigned i = 0; i < groups * 16; i++) /* so that the words behind the first have been changed, too */
		assert_int_equal(daxfs_write(pod.fs[0], ino, bytes, PAGE, (uint64_t)i * PAGE, 0), PAGE);
	for (unsigned i = 0; i < 20 * groups; i++) {
		uint64_t at = (random = random * 1103515245 + 12345) / 65536 % groups * sizeof(bytes);

		if (i % 4)
			assert_int_equal(daxfs_write(pod.fs[0], ino, bytes, PAGE, at + i % 16 * PAGE, 0), PAGE);
		else if (i % 8)
			assert_int_equal(daxfs_write(pod.fs[0], ino, bytes, sizeof(bytes), at, 0), sizeof(bytes));
		else
			assert_int_equal(daxfs_draft_commit(begin(pod.fs[0], ino, at, 16, 'a')), 0);
	}
	pod_check(&pod);
	pod_stop(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(seen_when_committed),
		cmocka_unit_test(aborted_leaves_nothing),
		cmocka_unit_test(two_drafts_of_one_range),
		cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(no_page_no_draft),
		cmocka_unit_test(the_draft_of_the_dead),
		cmocka_unit_test(past_a_cut),
		cmocka_unit_test(single_pages_for_an_extent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
