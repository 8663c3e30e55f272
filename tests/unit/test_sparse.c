/* SPDX-License-Identifier: Apache-2.0 */
/* test_sparse.c - blocks, data and holes (fs/sparse.c), pages given and taken away (fs/allocate.c). */
#include "pod.h"

#define PAGE DAXFS_PAGE_SIZE
#define GROUP (DAXFS_EXTENT_PAGES * PAGE)
#define MANY 6000u /* pages: more words than are counted at one look */

struct fixture {
	struct pod pod;
	daxfs_ino ino;
};

static void start(struct fixture *s, uint64_t bytes)
{
	pod_start(&s->pod, bytes);
	s->ino = pod_create(s->pod.fs[0], DAXFS_ROOT, "f");
}

static void write_pages(struct fixture *s, uint64_t first, uint64_t n)
{
	static char buf[GROUP];

	memset(buf, 'x', sizeof(buf));
	for (uint64_t done = 0; done < n; done += DAXFS_EXTENT_PAGES) {
		size_t len = (n - done < DAXFS_EXTENT_PAGES ? n - done : DAXFS_EXTENT_PAGES) * PAGE;

		assert_int_equal(daxfs_write(s->pod.fs[1], s->ino, buf, len, (first + done) * PAGE, 0), (ssize_t)len);
	}
}

/* Pages of data, one by one, and nodes of the lowest level: what st_blocks is to say of a large file. */
static uint64_t pages_there(struct fixture *s, uint64_t size)
{
	uint64_t pages = 0, at = 0, end;

	while (daxfs_seek(s->pod.fs[2], s->ino, at, DAXFS_SEEK_DATA, &at) == 0) {
		assert_int_equal(daxfs_seek(s->pod.fs[2], s->ino, at, DAXFS_SEEK_HOLE, &end), 0);
		pages += (end - at + PAGE - 1) / PAGE;
		at = end;
	}
	assert_true(at <= size);
	return pages;
}

static void expect_blocks(struct fixture *s, uint64_t nodes)
{
	struct daxfs_attr attr;

	for (int twice = 0; twice < 2; twice++) {
		assert_int_equal(daxfs_getattr(s->pod.fs[0], s->ino, &attr), 0);
		assert_int_equal(attr.blocks / 8, pages_there(s, attr.size) + nodes);
	}
}

/* What is remembered of a large file is right after whatever happens to it. */
static void blocks_of_many_pages(void **state)
{
	struct daxfs_attr in = { .size = 0 }, out;
	struct fixture s;

	(void)state;
	start(&s, 64 << 20);
	write_pages(&s, 0, MANY);
	expect_blocks(&s, 12);
	write_pages(&s, MANY, 1000); /* it grows */
	expect_blocks(&s, 14);
	in.size = 9000 * PAGE;
	assert_int_equal(daxfs_setattr(s.pod.fs[1], s.ino, DAXFS_SET_SIZE, &in, &out), 0);
	expect_blocks(&s, 14);
	write_pages(&s, 8990, 20); /* a hole before the end, and past it */
	expect_blocks(&s, 15);
	assert_int_equal(daxfs_allocate(s.pod.fs[1], s.ino, 100 * PAGE, 50 * PAGE, DAXFS_PUNCH, true), 0);
	expect_blocks(&s, 15);
	write_pages(&s, 110, 3); /* filled again */
	expect_blocks(&s, 15);
	in.size = 6500 * PAGE + 5;
	assert_int_equal(daxfs_setattr(s.pod.fs[1], s.ino, DAXFS_SET_SIZE, &in, &out), 0);
	expect_blocks(&s, 13);
	write_pages(&s, 16, 4000); /* as extents */
	expect_blocks(&s, 13);
	assert_int_equal(pod_check(&s.pod).problems, 0);
	pod_stop(&s.pod);
}

/* Every way to take away a part of three groups, of which one is an extent, leaves what is outside. */
static void punch_anything(void **state)
{
	static const uint64_t edge[] = { 0,
					 1,
					 PAGE,
					 15 * PAGE + 7,
					 GROUP,
					 GROUP + PAGE,
					 GROUP + 9000,
					 2 * GROUP,
					 2 * GROUP + 3 * PAGE,
					 3 * GROUP - 1,
					 3 * GROUP };
	static uint8_t back[3 * GROUP];
	struct fixture s;

	(void)state;
	start(&s, 8 << 20);
	for (unsigned i = 0; i < sizeof(edge) / 8; i++)
		for (unsigned k = i + 1; k < sizeof(edge) / 8; k++) {
			write_pages(&s, 0, 48);
			write_pages(&s, 16, 16);
			write_pages(&s, 16, 16);
			assert_int_equal(
				daxfs_allocate(s.pod.fs[0], s.ino, edge[i], edge[k] - edge[i], DAXFS_PUNCH, true), 0);
			assert_int_equal(daxfs_read(s.pod.fs[2], s.ino, back, sizeof(back), 0), sizeof(back));
			for (uint64_t b = 0; b < sizeof(back); b++)
				assert_int_equal(back[b], b >= edge[i] && b < edge[k] ? 0 : 'x');
			assert_int_equal(pages_there(&s, sizeof(back)),
					 48 - (edge[k] / PAGE > (edge[i] + PAGE - 1) / PAGE
						       ? edge[k] / PAGE - (edge[i] + PAGE - 1) / PAGE
						       : 0));
		}
	assert_int_equal(pod_check(&s.pod).problems, 0);
	pod_stop(&s.pod);
}

/* Far beyond what there is: one step a hole. The index that a punch leaves goes with the file. */
static void punch_far(void **state)
{
	struct daxfs_attr in = { .size = DAXFS_FILE_MAX }, out;
	struct fixture s;

	(void)state;
	start(&s, 8 << 20);
	write_pages(&s, 0, 20);
	write_pages(&s, DAXFS_FILE_MAX / PAGE - 3, 3);
	assert_int_equal(daxfs_allocate(s.pod.fs[0], s.ino, 5, UINT64_MAX - 5, DAXFS_PUNCH, true), 0);
	assert_int_equal(pages_there(&s, DAXFS_FILE_MAX), 1);
	assert_int_equal(daxfs_setattr(s.pod.fs[1], s.ino, DAXFS_SET_SIZE, &in, &out), 0);
	assert_int_equal(out.size, DAXFS_FILE_MAX);
	assert_int_equal(daxfs_unlink(s.pod.fs[1], DAXFS_ROOT, "f"), 0);
	assert_int_equal(pod_check(&s.pod).usage.pages.live, 1);
	pod_stop(&s.pod);
}

static void allocate(void **state)
{
	struct daxfs_attr attr;
	struct fixture s;
	daxfs_ino dir;
	char byte;

	(void)state;
	start(&s, 8 << 20);
	dir = pod_mkdir(s.pod.fs[0], DAXFS_ROOT, "d");
	write_pages(&s, 20, 1);
	assert_int_equal(daxfs_allocate(s.pod.fs[0], s.ino, 1, 100 * PAGE, DAXFS_ALLOCATE, true), 0);
	assert_int_equal(daxfs_getattr(s.pod.fs[1], s.ino, &attr), 0);
	assert_int_equal(attr.size, 21 * PAGE);
	assert_int_equal(pages_there(&s, attr.size), 21);
	assert_int_equal(daxfs_allocate(s.pod.fs[0], s.ino, 1, 100 * PAGE, DAXFS_ALLOCATE, false), 0);
	assert_int_equal(daxfs_getattr(s.pod.fs[1], s.ino, &attr), 0);
	assert_int_equal(attr.size, 100 * PAGE + 1);
	assert_int_equal(pages_there(&s, attr.size), 101);
	assert_int_equal(daxfs_read(s.pod.fs[0], s.ino, &byte, 1, 20 * PAGE), 1);
	assert_int_equal(byte, 'x'); /* what was there is there */
	assert_int_equal(daxfs_allocate(s.pod.fs[0], s.ino, 0, 0, DAXFS_ALLOCATE, false), -EINVAL);
	assert_int_equal(daxfs_allocate(s.pod.fs[0], dir, 0, 1, DAXFS_ALLOCATE, false), -EISDIR);
	assert_int_equal(daxfs_allocate(s.pod.fs[0], s.ino, 1, DAXFS_FILE_MAX, DAXFS_ALLOCATE, false), -EFBIG);
	assert_int_equal(daxfs_allocate(s.pod.fs[0], s.ino, 0, 1 << 30, DAXFS_ALLOCATE, false), -ENOSPC);
	assert_int_equal(daxfs_seek(s.pod.fs[0], dir, 0, DAXFS_SEEK_DATA, &attr.size), -EISDIR);
	assert_int_equal(pod_check(&s.pod).problems, 0);
	pod_stop(&s.pod);
}

/* A time that the pool keeps comes back; one that it cannot keep is refused. */
static void times(void **state)
{
	static const struct {
		struct timespec t;
		long ns; /* that come back */
	} kept[] = {
		{ { 0, 0 }, 0 },
		{ { 0, 1 }, 1 },
		{ { INT64_MAX / 1000000000 - 1, 999999999 }, 999999999 },
		{ { INT64_MAX / 1000000000, 123 }, 100 },
		{ { -1, 999999999 }, 999999900 },
		{ { -1, 0 }, 0 },
		{ { -400000000000, 55500 }, 55500 },
		{ { 400000000000, 55555 }, 55500 },
	};
	static const struct timespec refused[] = { { 470000000000, 0 }, { -470000000000, 0 },
						   { INT64_MAX, 0 },    { INT64_MIN, 0 },
						   { 0, -1 },           { 0, 1000000000 } };
	struct timespec back;
	uint64_t time;

	(void)state;
	for (unsigned i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		assert_int_equal(time_encode(&kept[i].t, &time), 0);
		back = time_decode(time);
		assert_true(back.tv_sec == kept[i].t.tv_sec);
		assert_int_equal(back.tv_nsec, kept[i].ns);
	}
	for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_int_equal(time_encode(&refused[i], &time), -EINVAL);
}

/* A change comes after any time of the past, and moves one of the far future on. */
static void changes_move_on(void **state)
{
	struct daxfs_attr in = { .mtime.tv_sec = -5000000000 }, out;
	struct fixture s;

	(void)state;
	start(&s, 4 << 20);
	assert_int_equal(daxfs_setattr(s.pod.fs[0], s.ino, DAXFS_SET_MTIME, &in, &out), 0);
	assert_true(out.mtime.tv_sec == -5000000000);
	write_pages(&s, 0, 1);
	assert_int_equal(daxfs_getattr(s.pod.fs[1], s.ino, &out), 0);
	assert_true(out.mtime.tv_sec > 1700000000 && out.mtime.tv_sec < 5000000000);
	in.mtime.tv_sec = 20000000000;
	assert_int_equal(daxfs_setattr(s.pod.fs[0], s.ino, DAXFS_SET_MTIME, &in, &out), 0);
	write_pages(&s, 0, 1);
	assert_int_equal(daxfs_getattr(s.pod.fs[1], s.ino, &out), 0);
	assert_true(out.mtime.tv_sec == 20000000000);
	assert_int_equal(out.mtime.tv_nsec, DAXFS_TIME_STEP_NS);
	in.mtime.tv_sec = (time_t)1 << 50;
	assert_int_equal(daxfs_setattr(s.pod.fs[0], s.ino, DAXFS_SET_MTIME, &in, &out), -EINVAL);
	pod_stop(&s.pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_of_many_pages),
		cmocka_unit_test(punch_anything),
		cmocka_unit_test(punch_far),
		cmocka_unit_test(allocate),
		cmocka_unit_test(times),
		cmocka_unit_test(changes_move_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
