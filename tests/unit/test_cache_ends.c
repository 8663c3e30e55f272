/* SPDX-License-Identifier: Apache-2.0 */
/* test_cache_ends.c - ends of files of storage that are written back, and both ends of one write. */
#include "cache_fixture.h"

static struct disk {
	uint64_t size, least; /* the last: that it was made */
	struct fixture *s;
	bool write; /* another host does, during the next write */
} disk;

static ssize_t disk_read(void *context, daxfs_ino ino, uint64_t file, void *buf, size_t len, uint64_t offset)
{
	(void)context, (void)ino, (void)file, (void)offset;
	memset(buf, 'd', len);
	return (ssize_t)len;
}

static int disk_write(void *context, daxfs_ino ino, uint64_t file, const void *buf, size_t len, uint64_t offset)
{
	uint8_t page[PAGE];

	(void)context, (void)file, (void)buf;
	disk.size = offset + len > disk.size ? offset + len : disk.size;
	memset(page, 'w', PAGE);
	if (disk.write)
		assert_int_equal(daxfs_write(disk.s->pod.fs[2], ino, page, PAGE, PAGE, 0), PAGE);
	disk.write = false;
	return 0;
}

static int disk_resize(void *context, daxfs_ino ino, uint64_t file, uint64_t size, bool exact)
{
	(void)context, (void)ino, (void)file;
	if (disk.size < size && !exact)
		return 0;
	disk.size = size;
	disk.least = size < disk.least ? size : disk.least;
	return 0;
}

static int disk_sync(void *context, daxfs_ino ino, uint64_t file, uint64_t *stamp)
{
	(void)context, (void)ino, (void)file;
	*stamp = 1;
	return 0;
}

static void start(struct fixture *s, uint64_t size)
{
	const struct daxfs_storage storage = {
		.struct_size = sizeof(storage),
		.read = disk_read,
		.write = disk_write,
		.resize = disk_resize,
		.sync = disk_sync,
	};

	alarm(HANG_S);
	*s = (struct fixture){ .size = size };
	disk = (struct disk){ .size = size, .least = UINT64_MAX, .s = s };
	pod_start(&s->pod, 8 << 20);
	s->pool = rig_pool(&s->pod);
	for (unsigned i = 0; i < POD_HOSTS; i++)
		assert_int_equal(daxfs_backing_attach(s->pod.fs[i], BACKING, &storage), 0);
	s->ino = storage_import(s->pod.fs[0], "f", BACKING, FILE_NUMBER, size);
}

static void resize(struct fixture *s, uint64_t size)
{
	const struct daxfs_attr attr = { .size = size };

	assert_int_equal(daxfs_setattr(s->pod.fs[0], s->ino, DAXFS_SET_SIZE, &attr, NULL), 0);
}

/* What is zeros at the end, and was written back beside a writer, stays in storage at the next time. */
static void test_end_stays(void **state)
{
	struct fixture s;
	uint8_t page[PAGE];

	(void)state;
	start(&s, 10 * PAGE);
	resize(&s, 20 * PAGE);
	memset(page, 'p', PAGE);
	assert_int_equal(daxfs_write(s.pod.fs[0], s.ino, page, PAGE, 0, 0), PAGE);
	disk.write = true;
	assert_int_equal(daxfs_write_back(s.pod.fs[1], s.ino), 0);
	assert_int_equal(disk.size, 20 * PAGE);
	disk.least = UINT64_MAX;
	assert_int_equal(daxfs_write_back(s.pod.fs[1], s.ino), 0);
	assert_true(disk.least >= 20 * PAGE);
	pod_stop(&s.pod);
}

/* A write reads both its ends aside: the claim of one does not make the other one old, as a cut does. */
static void test_both_ends(void **state)
{
	struct fixture s;
	struct cache_aside *end = calloc(2, sizeof(*end));
	struct cache_fill first = { .wanted = 1, .aside = end }, last = { .first = 2, .wanted = 1, .aside = end + 1 };

	(void)state;
	start(&s, 4 * PAGE);
	first.ino = last.ino = s.ino;
	last.beside = end;
	for (unsigned is_cut = 0; is_cut < 2; is_cut++) {
		assert_int_equal(fs_run(s.pod.fs[0], cache_claim, &first), 0);
		assert_int_equal(first.n, 1);
		assert_int_equal(fs_run(s.pod.fs[0], cache_release, &first), 0);
		if (is_cut)
			resize(&s, 3 * PAGE);
		assert_int_equal(fs_run(s.pod.fs[0], cache_claim, &last), 0);
		assert_int_equal(last.n, 1);
		assert_int_equal(fs_run(s.pod.fs[0], cache_release, &last), 0);
		assert_int_equal(end[0].trunc == end[1].trunc, !is_cut);
	}
	free(end);
	pod_stop(&s.pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_end_stays),
		cmocka_unit_test(test_both_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
