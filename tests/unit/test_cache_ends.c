/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cache_ends.c - ends of files of storage that are written back, both ends of one write, and ends of writes and of
 * files for which the pool has hardly room.
 */
#include "cache_fixture.h"

static struct disk {
	uint64_t size, least; /* the last: that it was made */
	struct fixture *s;
	bool write; /* another host does, during the next write */
	unsigned reads;
} disk;

static ssize_t disk_read(void *context, daxfs_ino ino, uint64_t file, void *buf, size_t len, uint64_t offset)
{
	(void)context, (void)ino, (void)file, (void)offset;
	disk.reads++;
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

static void start_in(struct fixture *s, uint64_t pool, uint64_t size)
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
	pod_start(&s->pod, pool);
	s->pool = rig_pool(&s->pod);
	for (unsigned i = 0; i < POD_HOSTS; i++)
		assert_int_equal(daxfs_backing_attach(s->pod.fs[i], BACKING, &storage), 0);
	s->ino = storage_import(s->pod.fs[0], "f", BACKING, FILE_NUMBER, size);
}

static void start(struct fixture *s, uint64_t size)
{
	start_in(s, 8 << 20, size);
}

static int try_resize(struct daxfs *fs, daxfs_ino ino, uint64_t size)
{
	const struct daxfs_attr attr = { .size = size };

	return daxfs_setattr(fs, ino, DAXFS_SET_SIZE, &attr, NULL);
}

static void resize(struct fixture *s, uint64_t size)
{
	assert_int_equal(try_resize(s->pod.fs[0], s->ino, size), 0);
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

#define WORDS 400u /* bytes that are written, within a page */
#define READS 2u   /* of a page: to the pool, and aside if it was dropped to make room */

#define ROOMS 40u
#define TRIES 4u
#define STEP 2u /* pages of more room */

/* Of a page whose node is missing, a write finds the word in a node of its own: what was read aside is of that. */
static void test_node_missing(void **state)
{
	struct cache_aside *aside = NULL;
	unsigned tries = 1; /* in vain: this time it is read aside */
	struct fixture s;

	(void)state;
	start(&s, 40 * PAGE);
	assert_int_equal(cache_bring_for_write(s.pod.fs[0], s.ino, 20, &aside, NULL, &tries), 0);
	assert_int_equal(aside->n, 1);
	assert_non_null(cache_aside_since(aside, aside->trunc, 20, 0));
	free(aside);
	pod_stop(&s.pod);
}

/* Part of a page that nobody has read yet: it is written, or there is no room; at once. */
static bool write_part(struct fixture *s, daxfs_ino ino, uint64_t page)
{
	uint8_t in[WORDS], out[PAGE];
	ssize_t n;

	memset(in, 'w', sizeof(in));
	disk.reads = 0;
	n = daxfs_write(s->pod.fs[0], ino, in, WORDS, page * PAGE + 7, 0);
	assert_true(n == -ENOSPC || n == WORDS);
	assert_true(disk.reads <= READS);
	if (n == WORDS) {
		assert_int_equal(daxfs_read(s->pod.fs[1], ino, out, PAGE, page * PAGE), PAGE);
		assert_true(out[6] == 'd' && out[7] == 'w' && out[6 + WORDS] == 'w' && out[7 + WORDS] == 'd');
	}
	return n == WORDS;
}

/* The end of the file within such a page. */
static bool cut_part(struct fixture *s, daxfs_ino ino, uint64_t page)
{
	int rc;

	disk.reads = 0;
	rc = try_resize(s->pod.fs[0], ino, page * PAGE + 7);
	assert_true(rc == 0 || rc == -ENOSPC);
	assert_true(disk.reads <= READS);
	return rc == 0;
}

/* Pages of the inode, and those for which a node is missing, in a pool that has room for few, and then for more. */
static void test_full(void **state)
{
	daxfs_ino file, cold[ROOMS][TRIES];
	struct fixture s;
	uint8_t page[PAGE];
	unsigned done = 0;
	uint64_t n = 0;

	(void)state;
	start_in(&s, 2 << 20, 40 * PAGE);
	for (unsigned i = 0; i < ROOMS * TRIES; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%u", i);
		cold[i / TRIES][i % TRIES] = storage_import(s.pod.fs[0], name, BACKING, FILE_NUMBER + 1 + i, 40 * PAGE);
	}
	memset(page, 'p', PAGE);
	file = pod_create(s.pod.fs[0], DAXFS_ROOT, "g");
	while (daxfs_write(s.pod.fs[0], file, page, PAGE, n * PAGE, 0) == PAGE)
		n++;
	for (unsigned room = 0; room < ROOMS; room++) {
		if (room)
			assert_int_equal(try_resize(s.pod.fs[0], file, (n -= STEP) * PAGE), 0);
		done += write_part(&s, cold[room][0], 20);
		done += cut_part(&s, cold[room][1], 20);
		done += write_part(&s, cold[room][2], 3);
		done += cut_part(&s, cold[room][3], 3);
	}
	assert_in_range(done, 1, ROOMS * TRIES - 1);
	pod_stop(&s.pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_end_stays),
		cmocka_unit_test(test_both_ends),
		cmocka_unit_test(test_node_missing),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
