/* SPDX-License-Identifier: Apache-2.0 */
/* test_scale.c - many names in a directory; more names and pages over time than a pool has places. */
#include "rig.h"

#include "index/dirtrie.h"

#define NAMES 100000u
#define CHURN 10u /* times as many as there are places */

static void name_of(char *buf, size_t size, const char *prefix, unsigned i)
{
	snprintf(buf, size, "%s%u", prefix, i);
}

struct listing {
	uint8_t *seen;
	unsigned n;
};

static bool list_one(void *context, const char *name, daxfs_ino ino, unsigned type, uint64_t next)
{
	struct listing *l = context;

	(void)ino, (void)type, (void)next;
	if (name[0] == '.')
		return true;
	assert_int_equal(l->seen[atoi(name + 1)]++, 0);
	l->n++;
	return true;
}

/* Pages of the pool in use, nodes of directories and files among them. */
static uint64_t pages_used(struct daxfs *fs)
{
	struct daxfs_statfs use;

	assert_int_equal(daxfs_statfs(fs, &use), 0);
	return use.pages.total - use.pages.free - use.pages.retired;
}

/* Through how many nodes do lookups of all names go? */
static uint64_t nodes_passed(struct daxfs *fs, daxfs_ino dir)
{
	struct lane *lane = rig_enter(fs);
	uint64_t root, sum = 0;
	struct inode inode;
	char name[32];

	assert_int_equal(inode_get_dir(lane, dir, &inode, &root), 0);
	for (unsigned i = 0; i < NAMES; i++) {
		struct trie_name key;
		struct trie_pos pos;

		name_of(name, sizeof(name), "n", i);
		assert_int_equal(name_init(lane->pool, name, &key), 0);
		assert_int_equal(trie_find(lane, root, &key, false, &pos), 0);
		assert_true(pos.found);
		sum += pos.level + 1;
	}
	rig_exit(fs, lane);
	return sum;
}

/* By hash, 512 ways a node: a node and a leaf lead to a name, or a node more; no list is searched. */
static void a_directory_of_100000(void **state)
{
	struct listing list = { .seen = calloc(NAMES, 1) };
	struct pod pod;
	char name[32];
	daxfs_ino dir, ino;

	(void)state;
	pod_start_with(&pod, 192 << 20, (struct daxfs_mkfs_options){ .inodes = NAMES + 1000, .lanes = 4 });
	dir = pod_mkdir(pod.fs[0], DAXFS_ROOT, "d");
	for (unsigned i = 0; i < NAMES; i++) {
		name_of(name, sizeof(name), "n", i);
		pod_create(pod.fs[i % POD_HOSTS], dir, name);
	}
	assert_in_range(nodes_passed(pod.fs[0], dir), 2 * NAMES, 3 * NAMES);
	assert_in_range(pages_used(pod.fs[0]), NAMES / 512, NAMES * 110ull / DAXFS_PAGE_SIZE);
	for (unsigned i = 0; i < NAMES; i++) {
		name_of(name, sizeof(name), "n", i);
		assert_int_equal(pod_lookup(pod.fs[(i + 1) % POD_HOSTS], dir, name, &ino), 0);
	}
	assert_int_equal(daxfs_readdir(pod.fs[2], dir, 0, list_one, &list), 0);
	assert_int_equal(list.n, NAMES);
	for (unsigned i = 0; i < NAMES; i++) {
		name_of(name, sizeof(name), "n", i);
		assert_int_equal(daxfs_unlink(pod.fs[i % POD_HOSTS], dir, name), 0);
	}
	assert_int_equal(daxfs_rmdir(pod.fs[1], DAXFS_ROOT, "d"), 0);
	assert_int_equal(pages_used(pod.fs[0]), 1); /* the root's node */
	free(list.seen);
	pod_stop(&pod);
}

/* Nothing is left of names that are gone: none is refused, and the index is as small as before. */
static void more_names_than_places(void **state)
{
	struct daxfs_geometry geometry;
	struct pod pod;
	char name[32];
	uint64_t used;

	(void)state;
	pod_start(&pod, 8 << 20);
	daxfs_geometry(pod.fs[0], &geometry);
	used = pages_used(pod.fs[0]);
	for (unsigned i = 0; i < CHURN * geometry.dirents; i++) {
		name_of(name, sizeof(name), "churn", i);
		pod_create(pod.fs[i % POD_HOSTS], DAXFS_ROOT, name);
		assert_int_equal(daxfs_unlink(pod.fs[(i + 1) % POD_HOSTS], DAXFS_ROOT, name), 0);
	}
	assert_int_equal(pages_used(pod.fs[0]), used);
	pod_stop(&pod);
}

/* The same for pages of a file, each at another place. */
static void more_pages_than_places(void **state)
{
	struct daxfs_attr none = { .size = 0 };
	struct daxfs_geometry geometry;
	uint8_t page[DAXFS_PAGE_SIZE];
	struct pod pod;
	daxfs_ino ino;
	uint64_t used;

	(void)state;
	memset(page, 7, sizeof(page));
	pod_start(&pod, 8 << 20);
	daxfs_geometry(pod.fs[0], &geometry);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	used = pages_used(pod.fs[0]);
	for (uint64_t i = 0; i < CHURN * geometry.pages; i++) {
		uint64_t offset = i * 977 * DAXFS_PAGE_SIZE; /* sparse: most of them want nodes of their own */

		assert_int_equal(daxfs_write(pod.fs[i % POD_HOSTS], ino, page, sizeof(page), offset, 0), sizeof(page));
		if (i % 64 == 63)
			assert_int_equal(daxfs_setattr(pod.fs[0], ino, DAXFS_SET_SIZE, &none, NULL), 0);
	}
	assert_int_equal(daxfs_setattr(pod.fs[0], ino, DAXFS_SET_SIZE, &none, NULL), 0);
	assert_int_equal(pages_used(pod.fs[0]), used);
	pod_stop(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_directory_of_100000),
		cmocka_unit_test(more_names_than_places),
		cmocka_unit_test(more_pages_than_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
