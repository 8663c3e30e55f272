/* SPDX-License-Identifier: Apache-2.0 */
/* test_view.c - files read where they are (fs/view.c). */
#include "pod.h"

#define PAGE DAXFS_PAGE_SIZE

static daxfs_ino file_of(struct daxfs *fs, const char *name, int byte, size_t len)
{
	daxfs_ino ino = pod_create(fs, DAXFS_ROOT, name);
	uint8_t *buf = malloc(len);

	memset(buf, byte, len);
	assert_int_equal(daxfs_write(fs, ino, buf, len, 0, 0), len);
	free(buf);
	return ino;
}

static void all_are(const void *at, int byte, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(((const uint8_t *)at)[i], byte);
}

static void up_to_its_page_or_the_end(void **state)
{
	struct pod pod;
	struct daxfs_view *view;
	const void *at;
	daxfs_ino ino, dir;

	(void)state;
	pod_start(&pod, 8 << 20);
	ino = file_of(pod.fs[0], "f", 7, PAGE + 100);
	dir = pod_mkdir(pod.fs[0], DAXFS_ROOT, "d");
	assert_int_equal(daxfs_view_open(pod.fs[1], &view), 0);
	assert_int_equal(daxfs_view_read(view, 0, 0, &at), -ESTALE); /* before any file was found */
	assert_int_equal(daxfs_view_read(view, ino, 0, &at), PAGE);
	all_are(at, 7, PAGE);
	assert_int_equal(daxfs_view_read(view, ino, 1000, &at), PAGE - 1000);
	all_are(at, 7, PAGE - 1000);
	assert_int_equal(daxfs_view_read(view, ino, PAGE, &at), 100);
	all_are(at, 7, 100);
	assert_int_equal(daxfs_view_read(view, ino, PAGE + 100, &at), 0);
	assert_int_equal(daxfs_view_read(view, ino, UINT64_MAX, &at), 0);
	assert_int_equal(daxfs_view_read(view, dir, 0, &at), -EISDIR);
	assert_int_equal(daxfs_view_read(view, 12345, 0, &at), -ESTALE);
	daxfs_view_renew(view);
	assert_int_equal(daxfs_view_read(view, 0, 0, &at), -ESTALE);
	daxfs_view_close(view);
	daxfs_view_close(NULL);
	pod_stop(&pod);
}

static void holes_are_zeros(void **state)
{
	struct daxfs_attr size = { .size = 10 * PAGE };
	struct pod pod;
	struct daxfs_view *view;
	const void *at;
	daxfs_ino ino;

	(void)state;
	pod_start(&pod, 8 << 20);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	assert_int_equal(daxfs_setattr(pod.fs[0], ino, DAXFS_SET_SIZE, &size, NULL), 0);
	assert_int_equal(daxfs_view_open(pod.fs[0], &view), 0);
	assert_int_equal(daxfs_view_read(view, ino, 5 * PAGE + 1, &at), PAGE - 1);
	all_are(at, 0, PAGE - 1);
	daxfs_view_close(view);
	pod_stop(&pod);
}

/* Found once or not: a file that lost its last name is gone, although its pages are still there. */
static void gone_with_its_name(void **state)
{
	struct pod pod;
	struct daxfs_view *view;
	const void *at;
	sm_u64 *nlink;
	daxfs_ino ino;
	uint64_t word;

	(void)state;
	pod_start(&pod, 8 << 20);
	ino = file_of(pod.fs[0], "f", 1, PAGE);
	nlink = &fs_pool_writable(pod.fs[0])->inodes[handle_index(ino)].nlink;
	assert_int_equal(daxfs_view_open(pod.fs[1], &view), 0);
	assert_int_equal(daxfs_view_read(view, ino, 0, &at), PAGE);
	word = sm_load(nlink);
	sm_store(nlink, word_next(word, DAXFS_W_NLINK, nlink_payload(DAXFS_LIFE_ORPHAN, 0)));
	assert_int_equal(daxfs_view_read(view, ino, 0, &at), -ESTALE);
	sm_store(nlink, word_next(word, DAXFS_W_NLINK, word_payload(word, DAXFS_W_NLINK)));
	daxfs_view_close(view);
	pod_stop(&pod);
}

/* Everybody overwrites, and uses pages again, while one looks at the old ones. */
static void never_changes_while_held(void **state)
{
	struct pod pod;
	struct daxfs_view *view;
	const void *old, *now;
	uint8_t page[PAGE];
	daxfs_ino ino;

	(void)state;
	pod_start(&pod, 4 << 20);
	ino = file_of(pod.fs[0], "f", 1, PAGE);
	assert_int_equal(daxfs_view_open(pod.fs[1], &view), 0);
	assert_int_equal(daxfs_view_read(view, ino, 0, &old), PAGE);
	for (unsigned i = 0; i < 20000; i++) { /* far more than the pool has pages */
		memset(page, 2 + (int)i % 200, PAGE);
		assert_int_equal(daxfs_write(pod.fs[i % 3], ino, page, PAGE, 0, 0), PAGE);
	}
	all_are(old, 1, PAGE);
	assert_int_equal(daxfs_view_read(view, ino, 0, &now), PAGE);
	assert_memory_equal(now, page, PAGE);
	assert_int_equal(daxfs_unlink(pod.fs[2], DAXFS_ROOT, "f"), 0);
	all_are(old, 1, PAGE);
	assert_memory_equal(now, page, PAGE);
	assert_int_equal(daxfs_view_read(view, ino, 0, &now), -ESTALE);
	daxfs_view_renew(view);
	assert_int_equal(daxfs_view_read(view, ino, 0, &now), -ESTALE);
	daxfs_view_close(view);
	pod_check(&pod);
	pod_stop(&pod);
}

static void one_lane_is_left_for_calls(void **state)
{
	struct daxfs_geometry geometry;
	struct daxfs_view *view[64] = { NULL }, *more;
	struct pod pod;
	unsigned n = 0;

	(void)state;
	pod_start(&pod, 8 << 20);
	daxfs_geometry(pod.fs[0], &geometry);
	assert_in_range(geometry.lanes_per_host, 2, 64);
	while (n < geometry.lanes_per_host - 1)
		assert_int_equal(daxfs_view_open(pod.fs[0], &view[n++]), 0);
	assert_int_equal(daxfs_view_open(pod.fs[0], &more), -EBUSY);
	file_of(pod.fs[0], "f", 1, PAGE);
	assert_int_equal(daxfs_leave(pod.fs[0]), -EBUSY);
	for (unsigned i = 0; i < 5; i++) /* who holds a view is not stuck */
		assert_true(daxfs_progressing(pod.fs[0], 2));
	while (n)
		daxfs_view_close(view[--n]);
	assert_int_equal(daxfs_view_open(pod.fs[0], &more), 0);
	daxfs_view_close(more);
	pod_stop(&pod);
}

/* Of a host that was declared dead nothing is promised any more, and it is told so. */
static void the_dead_see_nothing_new(void **state)
{
	struct daxfs_recovery report;
	struct pod pod;
	struct daxfs_view *view, *more;
	const void *at;
	daxfs_ino ino;

	(void)state;
	pod_start(&pod, 8 << 20);
	ino = file_of(pod.fs[0], "f", 1, PAGE);
	assert_int_equal(daxfs_view_open(pod.fs[0], &view), 0);
	pod_fence(&pod, 0);
	assert_int_equal(daxfs_recover(pod.fs[1], 0, &report), 0);
	assert_int_equal(daxfs_view_read(view, ino, 0, &at), -ESTALE);
	daxfs_view_close(view);
	assert_int_equal(daxfs_view_open(pod.fs[0], &more), -ESTALE);
	pod_check(&pod);
	pod_stop(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(up_to_its_page_or_the_end),  cmocka_unit_test(holes_are_zeros),
		cmocka_unit_test(gone_with_its_name),         cmocka_unit_test(never_changes_while_held),
		cmocka_unit_test(one_lane_is_left_for_calls), cmocka_unit_test(the_dead_see_nothing_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
