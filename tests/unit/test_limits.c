/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_limits.c - at the limits that follow from the layout of words: each is reached, and nothing is
 * beyond it. (Counters that run out are the business of test_record.c and test_word.c.)
 */
#include <sys/mman.h>

#include "mem/layout.h"
#include "mem/super.h"
#include "rig.h"

static void sized(struct pod *pod, uint64_t size)
{
	pod_start_with(pod, size, (struct daxfs_mkfs_options){ .inodes = 512, .lanes = 4 });
}

static int set_size(struct daxfs *fs, daxfs_ino ino, uint64_t size)
{
	struct daxfs_attr in = { .size = size };

	return daxfs_setattr(fs, ino, DAXFS_SET_SIZE, &in, NULL);
}

/* Bytes at the end of the longest file; it is cut, appended to and removed like any other. */
static void longest_file(void **state)
{
	const uint64_t last = DAXFS_FILE_MAX - 3;
	struct pod pod;
	struct daxfs_attr attr;
	daxfs_ino ino;
	char buf[8] = "";

	(void)state;
	sized(&pod, 8 << 20);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	assert_int_equal(set_size(pod.fs[0], ino, DAXFS_FILE_MAX + 1), -EFBIG);
	assert_int_equal(set_size(pod.fs[0], ino, UINT64_MAX), -EFBIG);
	assert_int_equal(daxfs_write(pod.fs[0], ino, "abc", 3, last, 0), 3);
	assert_int_equal(daxfs_getattr(pod.fs[1], ino, &attr), 0);
	assert_int_equal(attr.size, DAXFS_FILE_MAX);
	assert_int_equal(daxfs_read(pod.fs[1], ino, buf, sizeof(buf), last), 3);
	assert_string_equal(buf, "abc");
	assert_int_equal(daxfs_read(pod.fs[1], ino, buf, sizeof(buf), DAXFS_FILE_MAX), 0);
	assert_int_equal(daxfs_read(pod.fs[1], ino, buf, sizeof(buf), UINT64_MAX), 0);
	assert_true(daxfs_write(pod.fs[1], ino, "x", 1, 0, DAXFS_APPEND) < 0);
	assert_true(daxfs_write(pod.fs[1], ino, "x", 1, DAXFS_FILE_MAX, 0) < 0);
	assert_true(daxfs_write(pod.fs[1], ino, "x", 1, UINT64_MAX, 0) < 0);
	assert_int_equal(daxfs_getattr(pod.fs[1], ino, &attr), 0);
	assert_int_equal(attr.size, DAXFS_FILE_MAX);
	assert_int_equal(set_size(pod.fs[2], ino, DAXFS_FILE_MAX - 1), 0);
	assert_int_equal(daxfs_write(pod.fs[1], ino, "x", 1, 0, DAXFS_APPEND), 1);
	assert_int_equal(daxfs_read(pod.fs[1], ino, buf, sizeof(buf), last), 3);
	assert_memory_equal(buf, "abx", 3);
	pod_check(&pod);
	assert_int_equal(daxfs_unlink(pod.fs[2], DAXFS_ROOT, "f"), 0);
	assert_int_equal(pod_check(&pod).usage.pages.live, 1);
	pod_stop(&pod);
}

/* The page before each change of height of the index, and the one after it. */
static void each_height(void **state)
{
	uint64_t edge = DAXFS_DIRECT, reach = 1;
	struct pod pod;
	daxfs_ino ino;
	char c;

	(void)state;
	sized(&pod, 8 << 20);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	for (unsigned height = 0; height < DAXFS_INDIRECT; height++) {
		for (uint64_t page = edge - 1; page <= edge; page++) {
			assert_int_equal(daxfs_write(pod.fs[0], ino, "p", 1, page * DAXFS_PAGE_SIZE + 7, 0), 1);
			assert_int_equal(daxfs_read(pod.fs[1], ino, &c, 1, page * DAXFS_PAGE_SIZE + 7), 1);
			assert_int_equal(c, 'p');
			assert_int_equal(daxfs_read(pod.fs[1], ino, &c, 1, page * DAXFS_PAGE_SIZE + 6), 1);
			assert_int_equal(c, 0);
		}
		reach *= DAXFS_NODE_SLOTS;
		edge += reach;
	}
	pod_check(&pod);
	assert_int_equal(set_size(pod.fs[1], ino, 0), 0);
	assert_int_equal(pod_check(&pod).usage.pages.live, 1);
	pod_stop(&pod);
}

/* One link short of as many as fit, and no more; one goes, and there is room for one. */
static void most_links(void **state)
{
	struct pod pod;
	struct daxfs_attr attr;
	daxfs_ino ino;
	sm_u64 *word;

	(void)state;
	sized(&pod, 4 << 20);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	word = &rig_pool(&pod)->inodes[handle_index(ino)].nlink;
	sm_store(word, word_next(sm_load(word), DAXFS_W_NLINK, nlink_payload(DAXFS_LIFE_ALIVE, DAXFS_NLINK_MAX - 1)));
	assert_int_equal(daxfs_link(pod.fs[0], ino, DAXFS_ROOT, "a", &attr), 0);
	assert_int_equal(attr.nlink, DAXFS_NLINK_MAX);
	assert_int_equal(daxfs_link(pod.fs[1], ino, DAXFS_ROOT, "b", &attr), -EMLINK);
	assert_int_equal(pod_lookup(pod.fs[1], DAXFS_ROOT, "b", NULL), -ENOENT);
	assert_int_equal(daxfs_unlink(pod.fs[1], DAXFS_ROOT, "a"), 0);
	assert_int_equal(daxfs_link(pod.fs[1], ino, DAXFS_ROOT, "b", NULL), 0);
	assert_int_equal(daxfs_rename(pod.fs[2], DAXFS_ROOT, "b", DAXFS_ROOT, "c", 0), 0); /* as many as before */
	assert_int_equal(daxfs_getattr(pod.fs[2], ino, &attr), 0);
	assert_int_equal(attr.nlink, DAXFS_NLINK_MAX);
	sm_store(word, word_next(sm_load(word), DAXFS_W_NLINK, nlink_payload(DAXFS_LIFE_ALIVE, 2)));
	pod_stop(&pod);
}

/* Names and targets of every length up to the longest. */
static void longest_names(void **state)
{
	char name[DAXFS_NAME_MAX + 2], target[DAXFS_SYMLINK_MAX + 2], back[DAXFS_SYMLINK_MAX + 2];
	struct pod pod;
	struct daxfs_attr attr;

	(void)state;
	sized(&pod, 8 << 20);
	memset(name, 'n', sizeof(name));
	for (unsigned len = DAXFS_NAME_MAX - 2; len <= DAXFS_NAME_MAX; len++) {
		name[len] = '\0';
		pod_create(pod.fs[0], DAXFS_ROOT, name);
		assert_int_equal(pod_lookup(pod.fs[1], DAXFS_ROOT, name, NULL), 0);
		name[len] = 'n';
	}
	name[DAXFS_NAME_MAX + 1] = '\0';
	assert_int_equal(daxfs_mkdir(pod.fs[0], DAXFS_ROOT, name, 0755, pod_root, NULL), -ENAMETOOLONG);
	assert_int_equal(pod_lookup(pod.fs[1], DAXFS_ROOT, name, NULL), -ENAMETOOLONG);
	name[DAXFS_NAME_MAX] = '\0';
	assert_int_equal(daxfs_rename(pod.fs[1], DAXFS_ROOT, name, DAXFS_ROOT, "short", 0), 0);
	assert_int_equal(daxfs_rename(pod.fs[2], DAXFS_ROOT, "short", DAXFS_ROOT, name, 0), 0);
	memset(target, 't', sizeof(target));
	target[DAXFS_SYMLINK_MAX + 1] = '\0';
	assert_int_equal(daxfs_symlink(pod.fs[0], DAXFS_ROOT, "l", target, pod_root, &attr), -ENAMETOOLONG);
	target[DAXFS_SYMLINK_MAX] = '\0';
	assert_int_equal(daxfs_symlink(pod.fs[0], DAXFS_ROOT, "l", target, pod_root, &attr), 0);
	assert_true(daxfs_readlink(pod.fs[1], attr.ino, back, sizeof(back)) >= 0);
	assert_string_equal(back, target);
	pod_stop(&pod);
}

/* As many locks as a page holds, of two hosts in turn; one goes, one comes. */
static void most_locks(void **state)
{
	struct daxfs_lock lock = { .type = DAXFS_LOCK_WRITE, .owner = 3 }, found;
	struct pod pod;
	daxfs_ino ino;

	(void)state;
	sized(&pod, 8 << 20);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	assert_int_equal(daxfs_file_open(pod.fs[0], ino), 0);
	assert_int_equal(daxfs_file_open(pod.fs[1], ino), 0);
	for (unsigned i = 0; i < DAXFS_LOCKS_MAX; i++) {
		lock.start = lock.end = 2 * i;
		assert_int_equal(daxfs_lock(pod.fs[i % 2], ino, &lock), 0);
	}
	lock.start = lock.end = DAXFS_LOCK_END;
	assert_int_equal(daxfs_lock(pod.fs[0], ino, &lock), -ENOLCK);
	lock.start = lock.end = 2 * (DAXFS_LOCKS_MAX - 1);
	assert_int_equal(daxfs_lock_get(pod.fs[0], ino, &lock, &found), 0);
	assert_int_equal(found.host, (DAXFS_LOCKS_MAX - 1) % 2);
	lock.start = lock.end = 0;
	lock.type = DAXFS_UNLOCK;
	assert_int_equal(daxfs_lock(pod.fs[0], ino, &lock), 0);
	lock.start = lock.end = DAXFS_LOCK_END;
	lock.type = DAXFS_LOCK_READ;
	assert_int_equal(daxfs_lock(pod.fs[0], ino, &lock), 0);
	assert_int_equal(daxfs_file_close(pod.fs[0], ino), 0);
	assert_int_equal(daxfs_file_close(pod.fs[1], ino), 0);
	pod_stop(&pod);
}

/* What mkfs would make of sparse memory that is zero already, without touching all of it. */
static void format_sparse(uint8_t *base, struct daxfs_mkfs_options options)
{
	const uint64_t size = options.size, small_size = 32 << 20;
	uint8_t *small = calloc(1, small_size);
	struct sm_super super;
	struct daxfs_error err;
	struct layout layout;

	options.size = small_size;
	assert_int_equal(pool_format(small, small_size, &options, &err), 0);
	memcpy(&super, small, sizeof(super));
	options.size = size;
	assert_int_equal(layout_compute(size, &options, &layout, &err), 0);
	super.size = layout.size;
	for (unsigned id = 0; id < DAXFS_REGIONS; id++) {
		const struct sm_region *from = &super.region[id], *to = &layout.region[id];
		uint64_t bytes = from->elem_size * from->count;

		memcpy(base + to->offset + DAXFS_PAGE_SIZE, small + from->offset + DAXFS_PAGE_SIZE,
		       id == DAXFS_R_PAGES ? DAXFS_PAGE_SIZE : bytes);
	}
	memcpy(super.region, layout.region, sizeof(layout.region));
	super_seal(&super);
	for (unsigned id = 0; id < DAXFS_REGIONS; id++) {
		struct sm_region_hdr hdr;

		region_hdr_make(&super, id, &hdr);
		memcpy(base + super.region[id].offset, &hdr, sizeof(hdr));
	}
	memcpy(base, &super, sizeof(super));
	memcpy(base + DAXFS_PAGE_SIZE, &super, sizeof(super));
	free(small);
}

/* A pool whose indices need all of 31 bits and more, in sparse memory. */
static void vast_pool(void **state)
{
	const uint64_t size = 9ull << 40, far = (1ull << 31) + 5;
	const struct daxfs_mkfs_options options = { .hosts = 2, .size = size, .inodes = 1024, .lanes = 2 };
	void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char out[2 * DAXFS_PAGE_SIZE], in[2 * DAXFS_PAGE_SIZE];
	struct daxfs_error err;
	struct daxfs *fs;
	struct pool *pool;
	daxfs_ino ino;

	(void)state;
	if (base == MAP_FAILED)
		skip(); /* no room for addresses */
	format_sparse(base, options);
	if (fs_attach(base, size, &fs, &err) || daxfs_join(fs, 1, "vast", &err))
		fail_msg("%s", err.text);
	pool = fs_pool_writable(fs);
	assert_true(pool->objects[DAXFS_T_PAGE] > far);
	for (unsigned i = 0; i < fs->n_slots; i++)
		fs->slots[i].lane.alloc.cursor[DAXFS_T_PAGE] = far;
	ino = pod_create(fs, DAXFS_ROOT, "f");
	memset(out, 'v', sizeof(out));
	for (unsigned i = 0; i < 3; i++) {
		out[0] = out[DAXFS_PAGE_SIZE] = (char)i;
		assert_int_equal(daxfs_write(fs, ino, out, sizeof(out), 0, 0), sizeof(out));
		assert_int_equal(daxfs_read(fs, ino, in, sizeof(in), 0), sizeof(in));
		assert_memory_equal(in, out, sizeof(in));
	}
	assert_true(link_index(sm_load(&pool->inodes[handle_index(ino)].direct[0])) >= 1ull << 31);
	assert_int_equal(daxfs_leave(fs), 0);
	daxfs_close(fs);
	munmap(base, size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(longest_file),  cmocka_unit_test(each_height), cmocka_unit_test(most_links),
		cmocka_unit_test(longest_names), cmocka_unit_test(most_locks),  cmocka_unit_test(vast_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
