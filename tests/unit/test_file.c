/* SPDX-License-Identifier: Apache-2.0 */
/* test_file.c - reading, writing, sizes (fs/file.c, attr.c, truncate.c, index/filemap.c). */
#include "pod.h"

#define KIB 1024u
#define MIB (1024u * KIB)

static void set_size(struct daxfs *fs, daxfs_ino ino, uint64_t size)
{
	struct daxfs_attr in = { .size = size };

	assert_int_equal(daxfs_setattr(fs, ino, DAXFS_SET_SIZE, &in, NULL), 0);
}

static uint64_t size_of(struct daxfs *fs, daxfs_ino ino)
{
	struct daxfs_attr attr;

	assert_int_equal(daxfs_getattr(fs, ino, &attr), 0);
	return attr.size;
}

static void all_zero(struct daxfs *fs, daxfs_ino ino, uint64_t offset, size_t len)
{
	uint8_t *buf = malloc(len);

	memset(buf, 1, len);
	assert_int_equal(daxfs_read(fs, ino, buf, len, offset), len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(buf[i], 0);
	free(buf);
}

/* Random writes and truncations against a plain copy in memory. */
static void like_memory(void **state)
{
	enum { MAX = 3 * MIB };
	struct pod pod;
	uint8_t *model = calloc(1, MAX), *buf = malloc(MAX);
	uint64_t size = 0;
	unsigned seed = 12345;
	daxfs_ino ino;

	(void)state;
	printf("seed %u\n", seed);
	pod_start(&pod, 16 * MIB);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	for (int i = 0; i < 3000; i++) {
		struct daxfs *fs = pod.fs[rand_r(&seed) % 3];
		uint64_t offset = (unsigned)rand_r(&seed) % (MAX - 300 * KIB);
		size_t len = 1 + (unsigned)rand_r(&seed) % (i % 8 ? 9000 : 290 * KIB);

		if (i % 5 == 4) {
			offset = i % 2 ? offset : offset % (64 * KIB);
			set_size(fs, ino, offset);
			if (offset < size)
				memset(model + offset, 0, size - offset);
			size = offset;
		} else {
			for (size_t k = 0; k < len; k++)
				buf[k] = (uint8_t)rand_r(&seed);
			assert_int_equal(daxfs_write(fs, ino, buf, len, offset, 0), len);
			memcpy(model + offset, buf, len);
			size = offset + len > size ? offset + len : size;
		}
		assert_int_equal(size_of(pod.fs[i % 3], ino), size);
		if (i % 16 == 0) {
			assert_int_equal(daxfs_read(pod.fs[(i + 1) % 3], ino, buf, MAX, 0), size);
			assert_memory_equal(buf, model, size);
		}
		if (i % 500 == 0)
			pod_check(&pod);
	}
	free(model);
	free(buf);
	pod_stop(&pod);
}

static void sparse_to_the_limit(void **state)
{
	struct pod pod;
	struct daxfs_attr attr;
	daxfs_ino ino;
	char c;

	(void)state;
	pod_start(&pod, 8 * MIB);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	assert_int_equal(daxfs_write(pod.fs[0], ino, "x", 1, (1ull << 40) - 1, 0), 1);
	assert_int_equal(daxfs_write(pod.fs[0], ino, "y", 1, DAXFS_FILE_MAX - 1, 0), 1);
	assert_int_equal(daxfs_write(pod.fs[0], ino, "z", 1, DAXFS_FILE_MAX, 0), -EFBIG);
	assert_int_equal(daxfs_write(pod.fs[0], ino, "z", 1, 0, DAXFS_APPEND), -EFBIG);
	assert_int_equal(daxfs_read(pod.fs[1], ino, &c, 1, (1ull << 40) - 1), 1);
	assert_int_equal(c, 'x');
	all_zero(pod.fs[2], ino, 1ull << 39, 300 * KIB);
	assert_int_equal(daxfs_getattr(pod.fs[1], ino, &attr), 0);
	assert_int_equal(attr.size, DAXFS_FILE_MAX);
	pod_check(&pod);
	set_size(pod.fs[2], ino, 5);
	assert_int_equal(size_of(pod.fs[0], ino), 5);
	all_zero(pod.fs[2], ino, 0, 5);
	assert_int_equal(daxfs_unlink(pod.fs[0], DAXFS_ROOT, "f"), 0);
	assert_int_equal(pod_check(&pod).usage.pages.live, 1);
	pod_stop(&pod);
}

/* What crosses the limit is written as far as it goes, whatever its length; no byte past it. */
static void short_at_the_limit(void **state)
{
	static uint8_t buf[600 * KIB], back[600 * KIB];
	struct pod pod;
	daxfs_ino ino;

	(void)state;
	pod_start(&pod, 8 * MIB);
	memset(buf, 'l', sizeof(buf));
	for (unsigned i = 0; i < 4; i++) {
		const uint64_t left[] = { 1, 4096, 5000, 500 * KIB }, len = i < 3 ? 8192 : sizeof(buf);

		ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
		assert_int_equal(daxfs_write(pod.fs[0], ino, buf, len, DAXFS_FILE_MAX - left[i], 0), left[i]);
		assert_int_equal(size_of(pod.fs[1], ino), DAXFS_FILE_MAX);
		assert_int_equal(daxfs_read(pod.fs[1], ino, back, len, DAXFS_FILE_MAX - left[i]), left[i]);
		assert_memory_equal(back, buf, left[i]);
		set_size(pod.fs[0], ino, DAXFS_FILE_MAX - 10);
		assert_int_equal(daxfs_write(pod.fs[0], ino, buf, 4096, 0, DAXFS_APPEND), 10);
		pod_check(&pod);
		assert_int_equal(daxfs_unlink(pod.fs[0], DAXFS_ROOT, "f"), 0);
	}
	pod_stop(&pod);
}

/* Old bytes past the end never come back. */
static void cut_bytes_stay_cut(void **state)
{
	struct pod pod;
	uint8_t buf[8192];
	daxfs_ino ino;

	(void)state;
	pod_start(&pod, 4 * MIB);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	memset(buf, 7, sizeof(buf));
	assert_int_equal(daxfs_write(pod.fs[0], ino, buf, sizeof(buf), 0, 0), sizeof(buf));
	set_size(pod.fs[1], ino, 100);
	set_size(pod.fs[2], ino, 8192);
	all_zero(pod.fs[0], ino, 100, 8092);
	set_size(pod.fs[1], ino, 50);
	assert_int_equal(daxfs_write(pod.fs[1], ino, "e", 1, 5000, 0), 1);
	all_zero(pod.fs[0], ino, 50, 4950);
	pod_stop(&pod);
}

static void appends_do_not_overlap(void **state)
{
	struct pod pod;
	char buf[16], all[16 * 300];
	daxfs_ino ino;

	(void)state;
	pod_start(&pod, 4 * MIB);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "log");
	for (int i = 0; i < 300; i++) {
		snprintf(buf, sizeof(buf), "record %8u", (unsigned)i % 1000);
		assert_int_equal(daxfs_write(pod.fs[i % 3], ino, buf, 16, 0, DAXFS_APPEND), 16);
	}
	assert_int_equal(daxfs_read(pod.fs[0], ino, all, sizeof(all), 0), sizeof(all));
	for (int i = 0; i < 300; i++) {
		snprintf(buf, sizeof(buf), "record %8u", (unsigned)i % 1000);
		assert_string_equal(all + (size_t)16 * (unsigned)i, buf);
	}
	pod_stop(&pod);
}

static void space_runs_out_and_comes_back(void **state)
{
	struct pod pod;
	uint8_t *buf = calloc(1, 256 * KIB);
	uint64_t offset = 0, total, kept;
	ssize_t n;
	daxfs_ino ino;

	(void)state;
	pod_start(&pod, 8 * MIB);
	total = pod_check(&pod).usage.pages.total;
	kept = pod_check(&pod).usage.reserved;
	for (int round = 0; round < 20; round++) {
		ino = pod_create(pod.fs[round % 3], DAXFS_ROOT, "big");
		offset = 0;
		while ((n = daxfs_write(pod.fs[(round + 1) % 3], ino, buf, 256 * KIB, offset, 0)) > 0)
			offset += (uint64_t)n;
		assert_int_equal(n, -ENOSPC);
		assert_in_range(offset / 4096, total - 64 - 16 - kept, total - kept);
		assert_int_equal(daxfs_unlink(pod.fs[(round + 2) % 3], DAXFS_ROOT, "big"), 0);
	}
	free(buf);
	pod_stop(&pod);
}

/* (file, page) pairs churn far beyond the number of pages. */
static void pages_churn(void **state)
{
	struct pod pod;
	daxfs_ino ino;
	unsigned seed = 99;

	(void)state;
	pod_start(&pod, 8 * MIB);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	for (int i = 0; i < 20000; i++) {
		uint64_t offset = ((uint64_t)rand_r(&seed) << 8) % (1ull << 36);

		assert_int_equal(daxfs_write(pod.fs[i % 3], ino, &i, sizeof(i), offset, 0), sizeof(i));
		if (i % 100 == 99)
			set_size(pod.fs[(i + 1) % 3], ino, 0);
	}
	set_size(pod.fs[0], ino, 0);
	assert_int_equal(pod_check(&pod).usage.pages.live, 1);
	pod_stop(&pod);
}

static void attributes(void **state)
{
	struct pod pod;
	struct daxfs_attr in = { .mode = 0600, .uid = 7, .gid = 8, .size = 10, .mtime.tv_nsec = 5 }, out;
	daxfs_ino ino, dir;

	(void)state;
	pod_start(&pod, 4 * MIB);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	dir = pod_mkdir(pod.fs[0], DAXFS_ROOT, "d");
	assert_int_equal(
		daxfs_setattr(pod.fs[1], ino,
			      DAXFS_SET_MODE | DAXFS_SET_UID | DAXFS_SET_GID | DAXFS_SET_SIZE | DAXFS_SET_MTIME, &in,
			      &out),
		0);
	assert_int_equal(out.mode, S_IFREG | 0600);
	assert_int_equal(out.uid, 7);
	assert_int_equal(out.gid, 8);
	assert_int_equal(out.size, 10);
	assert_int_equal(out.mtime.tv_sec, 0);
	assert_int_equal(out.mtime.tv_nsec, 5);
	assert_int_equal(daxfs_setattr(pod.fs[1], dir, DAXFS_SET_SIZE, &in, NULL), -EISDIR);
	in.size = DAXFS_FILE_MAX + 1;
	assert_int_equal(daxfs_setattr(pod.fs[1], ino, DAXFS_SET_SIZE, &in, NULL), -EFBIG);
	assert_int_equal(daxfs_write(pod.fs[0], dir, "x", 1, 0, 0), -EISDIR);
	assert_int_equal(daxfs_getattr(pod.fs[0], 0, &out), -ESTALE);
	assert_int_equal(daxfs_getattr(pod.fs[0], 1ull << 31, &out), -ESTALE);
	pod_stop(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(like_memory),
		cmocka_unit_test(sparse_to_the_limit),
		cmocka_unit_test(short_at_the_limit),
		cmocka_unit_test(cut_bytes_stay_cut),
		cmocka_unit_test(appends_do_not_overlap),
		cmocka_unit_test(space_runs_out_and_comes_back),
		cmocka_unit_test(pages_churn),
		cmocka_unit_test(attributes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
