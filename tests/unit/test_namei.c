/* SPDX-License-Identifier: Apache-2.0 */
/* test_namei.c - making, finding, listing and removing names (fs/namei.c, list.c, entry.c). */
#include "fs/fs.h"
#include "pod.h"

/* Records that a host has begun. */
static uint64_t records(struct daxfs *fs)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < fs->n_slots; i++)
		n += status_seq(sm_load(&fs->slots[i].lane.sm->status));
	return n;
}

/* What unlinking a new file takes: records. */
static uint64_t unlinking(struct pod *pod, unsigned pages, bool held, bool linked)
{
	daxfs_ino ino = pod_create(pod->fs[0], DAXFS_ROOT, "f");
	struct daxfs_attr attr;
	uint64_t before;
	char c = 1;

	for (unsigned i = 0; i < pages; i++)
		assert_int_equal(daxfs_write(pod->fs[0], ino, &c, 1, 4096ull * i, 0), 1);
	if (held)
		assert_int_equal(daxfs_file_open(pod->fs[1], ino), 0);
	if (linked)
		assert_int_equal(daxfs_link(pod->fs[0], ino, DAXFS_ROOT, "g", NULL), 0);
	before = records(pod->fs[0]);
	assert_int_equal(daxfs_unlink(pod->fs[0], DAXFS_ROOT, "f"), 0);
	before = records(pod->fs[0]) - before;
	assert_int_equal(daxfs_getattr(pod->fs[2], ino, &attr), held || linked ? 0 : -ESTALE);
	if (held)
		assert_int_equal(daxfs_file_close(pod->fs[1], ino), 0);
	if (linked)
		assert_int_equal(daxfs_unlink(pod->fs[0], DAXFS_ROOT, "g"), 0);
	assert_int_equal(daxfs_getattr(pod->fs[2], ino, &attr), -ESTALE);
	return before;
}

/* A small file goes with its name, another in a second record; nothing of either stays. */
static void gone_at_once(void **state)
{
	struct daxfs_statfs before, after;
	struct pod pod;

	(void)state;
	pod_start(&pod, 4 << 20);
	assert_int_equal(daxfs_statfs(pod.fs[0], &before), 0);
	assert_int_equal(unlinking(&pod, 0, false, false), 1);
	assert_int_equal(unlinking(&pod, 8, false, false), 1);
	assert_int_equal(unlinking(&pod, 9, false, false), 2);
	assert_int_equal(unlinking(&pod, 1, true, false), 1); /* its holder frees it */
	assert_int_equal(unlinking(&pod, 1, false, true), 1);
	assert_int_equal(daxfs_statfs(pod.fs[0], &after), 0);
	assert_int_equal(after.pages.live, before.pages.live);
	assert_int_equal(after.inodes.live, before.inodes.live);
	assert_int_equal(after.dirents.live, before.dirents.live);
	pod_stop(&pod);
}

static void create_is_exclusive(void **state)
{
	struct pod pod;
	daxfs_ino ino, found;

	(void)state;
	pod_start(&pod, 4 << 20);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "a");
	/* The loser must not touch the winner's entry. */
	assert_int_equal(daxfs_mknod(pod.fs[1], DAXFS_ROOT, "a", S_IFREG | 0600, 0, pod_root, false, NULL), -EEXIST);
	assert_int_equal(pod_lookup(pod.fs[2], DAXFS_ROOT, "a", &found), 0);
	assert_int_equal(found, ino);
	assert_int_equal(daxfs_unlink(pod.fs[1], DAXFS_ROOT, "a"), 0);
	assert_int_equal(pod_lookup(pod.fs[0], DAXFS_ROOT, "a", NULL), -ENOENT);
	assert_int_equal(daxfs_unlink(pod.fs[1], DAXFS_ROOT, "a"), -ENOENT);
	pod_stop(&pod);
}

static void names_are_checked(void **state)
{
	struct pod pod;
	char name[300];

	(void)state;
	pod_start(&pod, 4 << 20);
	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	assert_int_equal(daxfs_mknod(pod.fs[0], DAXFS_ROOT, name, 0644, 0, pod_root, false, NULL), -ENAMETOOLONG);
	name[255] = '\0';
	assert_int_equal(daxfs_mknod(pod.fs[0], DAXFS_ROOT, name, 0644, 0, pod_root, false, NULL), 0);
	assert_int_equal(pod_lookup(pod.fs[1], DAXFS_ROOT, name, NULL), 0);
	assert_int_equal(daxfs_mknod(pod.fs[0], DAXFS_ROOT, "", 0644, 0, pod_root, false, NULL), -ENOENT);
	assert_int_equal(daxfs_mknod(pod.fs[0], DAXFS_ROOT, "a/b", 0644, 0, pod_root, false, NULL), -EINVAL);
	assert_int_equal(daxfs_mkdir(pod.fs[0], DAXFS_ROOT, "..", 0755, pod_root, NULL), -EEXIST);
	assert_int_equal(daxfs_rmdir(pod.fs[0], DAXFS_ROOT, "."), -EINVAL);
	pod_stop(&pod);
}

static void directories(void **state)
{
	struct pod pod;
	daxfs_ino dir, up;

	(void)state;
	pod_start(&pod, 4 << 20);
	dir = pod_mkdir(pod.fs[0], DAXFS_ROOT, "d");
	pod_create(pod.fs[1], dir, "f");
	assert_int_equal(daxfs_rmdir(pod.fs[2], DAXFS_ROOT, "d"), -ENOTEMPTY);
	assert_int_equal(daxfs_unlink(pod.fs[2], DAXFS_ROOT, "d"), -EISDIR);
	assert_int_equal(daxfs_rmdir(pod.fs[2], dir, "f"), -ENOTDIR);
	assert_int_equal(pod_lookup(pod.fs[0], dir, "..", &up), 0);
	assert_int_equal(up, DAXFS_ROOT);
	assert_int_equal(daxfs_unlink(pod.fs[2], dir, "f"), 0);
	assert_int_equal(daxfs_rmdir(pod.fs[0], DAXFS_ROOT, "d"), 0);
	assert_int_equal(daxfs_mknod(pod.fs[1], dir, "late", 0644, 0, pod_root, false, NULL), -ESTALE);
	pod_stop(&pod);
}

static void links_and_symlinks(void **state)
{
	struct pod pod;
	struct daxfs_attr attr;
	char target[4096], big[4097];
	daxfs_ino ino;

	(void)state;
	pod_start(&pod, 4 << 20);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "one");
	assert_int_equal(daxfs_link(pod.fs[1], ino, DAXFS_ROOT, "two", &attr), 0);
	assert_int_equal(attr.nlink, 2);
	assert_int_equal(daxfs_link(pod.fs[1], ino, DAXFS_ROOT, "two", NULL), -EEXIST);
	assert_int_equal(daxfs_link(pod.fs[1], DAXFS_ROOT, DAXFS_ROOT, "root", NULL), -EPERM);
	assert_int_equal(daxfs_unlink(pod.fs[0], DAXFS_ROOT, "one"), 0);
	assert_int_equal(daxfs_getattr(pod.fs[0], ino, &attr), 0);
	assert_int_equal(attr.nlink, 1);
	assert_int_equal(daxfs_unlink(pod.fs[0], DAXFS_ROOT, "two"), 0);
	assert_int_equal(daxfs_getattr(pod.fs[0], ino, &attr), -ESTALE);

	assert_int_equal(daxfs_symlink(pod.fs[0], DAXFS_ROOT, "s", "some/where", pod_root, &attr), 0);
	assert_int_equal(attr.size, 10);
	assert_int_equal(daxfs_readlink(pod.fs[1], attr.ino, target, sizeof(target)), 0);
	assert_string_equal(target, "some/where");
	assert_int_equal(daxfs_readlink(pod.fs[1], attr.ino, target, 5), -ERANGE);
	memset(big, 'x', sizeof(big));
	big[4096] = '\0';
	assert_int_equal(daxfs_symlink(pod.fs[0], DAXFS_ROOT, "t", big, pod_root, NULL), -ENAMETOOLONG);
	big[4095] = '\0';
	assert_int_equal(daxfs_symlink(pod.fs[0], DAXFS_ROOT, "t", big, pod_root, NULL), 0);
	pod_stop(&pod);
}

struct seen {
	unsigned count[4000];
	unsigned n, stop_after;
	uint64_t cookie;
};

static bool see(void *context, const char *name, daxfs_ino ino, unsigned type, uint64_t next)
{
	struct seen *seen = context;

	(void)ino;
	(void)type;
	if (seen->n == seen->stop_after)
		return false;
	seen->n++;
	seen->cookie = next;
	if (name[0] == 'f')
		seen->count[atoi(name + 1)]++;
	return true;
}

/* Entries present throughout are seen once, whatever comes and goes meanwhile. */
static void cookies_are_stable(void **state)
{
	struct pod pod;
	struct seen *seen = calloc(1, sizeof(*seen));
	daxfs_ino dir;
	char name[32];
	unsigned churn = 0;

	(void)state;
	pod_start_with(&pod, 32 << 20, (struct daxfs_mkfs_options){ .inodes = 6000 });
	dir = pod_mkdir(pod.fs[0], DAXFS_ROOT, "d");
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		pod_create(pod.fs[i % 3], dir, name);
	}
	seen->cookie = 0;
	do {
		seen->n = 0;
		seen->stop_after = 7;
		assert_int_equal(daxfs_readdir(pod.fs[1], dir, seen->cookie, see, seen), 0);
		snprintf(name, sizeof(name), "c%u", churn++);
		pod_create(pod.fs[0], dir, name);
		snprintf(name, sizeof(name), "c%u", churn / 2);
		daxfs_unlink(pod.fs[2], dir, name);
	} while (seen->n);
	for (int i = 0; i < 3000; i++)
		assert_int_equal(seen->count[i], 1);
	free(seen);
	pod_stop(&pod);
}

/* Ten times more names than the pool has room for come and go. */
static void names_churn(void **state)
{
	struct pod pod;
	struct daxfs_check before, after;
	char name[32];

	(void)state;
	pod_start(&pod, 4 << 20);
	before = pod_check(&pod);
	for (int i = 0; i < 10 * 700; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		pod_create(pod.fs[i % 3], DAXFS_ROOT, name);
		if (i >= 100) {
			snprintf(name, sizeof(name), "n%d", i - 100);
			assert_int_equal(daxfs_unlink(pod.fs[(i + 1) % 3], DAXFS_ROOT, name), 0);
		}
	}
	for (int i = 10 * 700 - 100; i < 10 * 700; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(daxfs_unlink(pod.fs[0], DAXFS_ROOT, name), 0);
	}
	after = pod_check(&pod);
	assert_int_equal(after.usage.pages.live, before.usage.pages.live);
	assert_int_equal(after.usage.inodes.live, before.usage.inodes.live);
	assert_int_equal(after.usage.dirents.live, before.usage.dirents.live);
	pod_stop(&pod);
}

static void inodes_run_out(void **state)
{
	struct pod pod;
	char name[32];
	int rc = 0, n;

	(void)state;
	pod_start(&pod, 4 << 20);
	for (n = 0; rc == 0; n++) {
		snprintf(name, sizeof(name), "n%d", n);
		rc = daxfs_mknod(pod.fs[0], DAXFS_ROOT, name, 0644, 0, pod_root, false, NULL);
	}
	assert_int_equal(rc, -ENOSPC);
	assert_in_range(n, 500, 512);
	pod_check(&pod);
	assert_int_equal(daxfs_unlink(pod.fs[1], DAXFS_ROOT, "n0"), 0);
	pod_create(pod.fs[2], DAXFS_ROOT, "again");
	pod_stop(&pod);
}

static void unlinked_but_held(void **state)
{
	struct pod pod;
	struct daxfs_attr attr;
	char buf[8];
	daxfs_ino ino;

	(void)state;
	pod_start(&pod, 4 << 20);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	assert_int_equal(daxfs_write(pod.fs[0], ino, "hello", 5, 0, 0), 5);
	assert_int_equal(daxfs_file_open(pod.fs[1], ino), 0);
	assert_int_equal(daxfs_file_open(pod.fs[1], ino), 0);
	assert_int_equal(daxfs_unlink(pod.fs[0], DAXFS_ROOT, "f"), 0);
	assert_int_equal(daxfs_read(pod.fs[1], ino, buf, sizeof(buf), 0), 5);
	assert_memory_equal(buf, "hello", 5);
	assert_int_equal(daxfs_file_open(pod.fs[2], ino), -ESTALE);
	assert_int_equal(daxfs_file_close(pod.fs[1], ino), 0);
	assert_int_equal(daxfs_getattr(pod.fs[2], ino, &attr), 0);
	assert_int_equal(attr.nlink, 0);
	assert_int_equal(daxfs_file_close(pod.fs[1], ino), 0);
	assert_int_equal(daxfs_getattr(pod.fs[2], ino, &attr), -ESTALE);
	assert_int_equal(daxfs_file_close(pod.fs[1], ino), -EBADF);
	pod_stop(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(create_is_exclusive), cmocka_unit_test(names_are_checked),
		cmocka_unit_test(directories),         cmocka_unit_test(gone_at_once),
		cmocka_unit_test(links_and_symlinks),  cmocka_unit_test(cookies_are_stable),
		cmocka_unit_test(names_churn),         cmocka_unit_test(inodes_run_out),
		cmocka_unit_test(unlinked_but_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
