/* SPDX-License-Identifier: Apache-2.0 */
/* test_rename.c - moving, replacing and exchanging names (fs/rename.c). */
#include "pod.h"

static void assert_is(struct daxfs *fs, daxfs_ino parent, const char *name, daxfs_ino want)
{
	daxfs_ino found;

	assert_int_equal(pod_lookup(fs, parent, name, &found), 0);
	assert_int_equal(found, want);
}

static void move_and_replace(void **state)
{
	struct pod pod;
	struct daxfs_attr attr;
	daxfs_ino a, b, d;

	(void)state;
	pod_start(&pod, 4 << 20);
	a = pod_create(pod.fs[0], DAXFS_ROOT, "a");
	b = pod_create(pod.fs[0], DAXFS_ROOT, "b");
	d = pod_mkdir(pod.fs[0], DAXFS_ROOT, "d");
	assert_int_equal(daxfs_rename(pod.fs[1], DAXFS_ROOT, "a", d, "x", 0), 0);
	assert_int_equal(pod_lookup(pod.fs[2], DAXFS_ROOT, "a", NULL), -ENOENT);
	assert_is(pod.fs[2], d, "x", a);
	assert_int_equal(daxfs_rename(pod.fs[1], d, "x", DAXFS_ROOT, "b", DAXFS_RENAME_NOREPLACE), -EEXIST);
	assert_int_equal(daxfs_rename(pod.fs[1], d, "x", DAXFS_ROOT, "b", 0), 0);
	assert_is(pod.fs[0], DAXFS_ROOT, "b", a);
	assert_int_equal(daxfs_getattr(pod.fs[0], b, &attr), -ESTALE);
	assert_int_equal(daxfs_rename(pod.fs[1], DAXFS_ROOT, "nothing", DAXFS_ROOT, "b", 0), -ENOENT);
	assert_int_equal(daxfs_rename(pod.fs[1], DAXFS_ROOT, "b", DAXFS_ROOT, "b", 0), 0);
	assert_int_equal(daxfs_link(pod.fs[1], a, DAXFS_ROOT, "c", NULL), 0);
	assert_int_equal(daxfs_rename(pod.fs[1], DAXFS_ROOT, "b", DAXFS_ROOT, "c", 0), 0);
	assert_is(pod.fs[0], DAXFS_ROOT, "b", a); /* two names of one file: nothing happens */
	assert_int_equal(daxfs_rename(pod.fs[1], DAXFS_ROOT, "b", DAXFS_ROOT, "d", 0), -EISDIR);
	assert_int_equal(daxfs_rename(pod.fs[1], DAXFS_ROOT, "d", DAXFS_ROOT, "b", 0), -ENOTDIR);
	assert_int_equal(daxfs_rename(pod.fs[1], DAXFS_ROOT, "b", DAXFS_ROOT, "z", 4), -EINVAL);
	assert_int_equal(daxfs_rename(pod.fs[1], DAXFS_ROOT, ".", DAXFS_ROOT, "z", 0), -EBUSY);
	pod_stop(&pod);
}

static void directories(void **state)
{
	struct pod pod;
	daxfs_ino a, b, c, up;

	(void)state;
	pod_start(&pod, 4 << 20);
	a = pod_mkdir(pod.fs[0], DAXFS_ROOT, "a");
	b = pod_mkdir(pod.fs[0], a, "b");
	c = pod_mkdir(pod.fs[0], b, "c");
	/* No cycles. */
	assert_int_equal(daxfs_rename(pod.fs[1], DAXFS_ROOT, "a", c, "a", 0), -EINVAL);
	assert_int_equal(daxfs_rename(pod.fs[1], DAXFS_ROOT, "a", a, "a", 0), -EINVAL);
	assert_int_equal(daxfs_rename(pod.fs[1], a, "b", DAXFS_ROOT, "b", 0), 0);
	assert_int_equal(pod_lookup(pod.fs[2], b, "..", &up), 0);
	assert_int_equal(up, DAXFS_ROOT);
	assert_int_equal(daxfs_rename(pod.fs[1], DAXFS_ROOT, "a", b, "c", 0), 0); /* replaces the empty c */
	assert_is(pod.fs[0], b, "c", a);
	assert_int_equal(daxfs_mkdir(pod.fs[0], c, "late", 0755, pod_root, NULL), -ESTALE);
	pod_mkdir(pod.fs[0], DAXFS_ROOT, "e");
	assert_int_equal(daxfs_rename(pod.fs[1], DAXFS_ROOT, "e", DAXFS_ROOT, "b", 0), -ENOTEMPTY);
	pod_stop(&pod);
}

static void exchange(void **state)
{
	struct pod pod;
	daxfs_ino f, d, e, up;

	(void)state;
	pod_start(&pod, 4 << 20);
	d = pod_mkdir(pod.fs[0], DAXFS_ROOT, "d");
	e = pod_mkdir(pod.fs[0], d, "e");
	f = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	assert_int_equal(daxfs_rename(pod.fs[1], DAXFS_ROOT, "f", DAXFS_ROOT, "g", DAXFS_RENAME_EXCHANGE), -ENOENT);
	assert_int_equal(daxfs_rename(pod.fs[1], DAXFS_ROOT, "f", d, "e", DAXFS_RENAME_EXCHANGE), 0);
	assert_is(pod.fs[2], DAXFS_ROOT, "f", e);
	assert_is(pod.fs[2], d, "e", f);
	assert_int_equal(pod_lookup(pod.fs[2], e, "..", &up), 0);
	assert_int_equal(up, DAXFS_ROOT);
	assert_int_equal(daxfs_rename(pod.fs[1], DAXFS_ROOT, "d", d, "e", DAXFS_RENAME_EXCHANGE), -EINVAL);
	/* Either of the two would end below itself. */
	pod_mkdir(pod.fs[0], d, "s");
	assert_int_equal(daxfs_rename(pod.fs[1], d, "s", DAXFS_ROOT, "d", DAXFS_RENAME_EXCHANGE), -EINVAL);
	assert_int_equal(daxfs_rename(pod.fs[1], DAXFS_ROOT, "d", d, "s", DAXFS_RENAME_EXCHANGE), -EINVAL);
	pod_stop(&pod);
}

/* Names are moved about at random; a model knows where each must be. */
static void like_a_model(void **state)
{
	enum { NAMES = 24 };
	struct pod pod;
	daxfs_ino dir[3], at[NAMES] = { 0 };
	unsigned seed = 4711;
	char from[16], to[16];

	(void)state;
	printf("seed %u\n", seed);
	pod_start(&pod, 4 << 20);
	for (int i = 0; i < 3; i++) {
		snprintf(from, sizeof(from), "dir%c", '0' + i);
		dir[i] = pod_mkdir(pod.fs[0], DAXFS_ROOT, from);
	}
	for (int i = 0; i < 5000; i++) {
		unsigned a = (unsigned)rand_r(&seed) % NAMES, b = (unsigned)rand_r(&seed) % NAMES;
		struct daxfs *fs = pod.fs[i % 3];
		int want = at[a] ? 0 : -ENOENT;

		snprintf(from, sizeof(from), "n%u", a);
		snprintf(to, sizeof(to), "n%u", b);
		if (!at[a] && i % 2) {
			at[a] = pod_create(fs, dir[a % 3], from);
			continue;
		}
		if (i % 7 == 0) {
			want = want ? want : at[b] ? 0 : -ENOENT;
			assert_int_equal(daxfs_rename(fs, dir[a % 3], from, dir[b % 3], to, DAXFS_RENAME_EXCHANGE),
					 want);
			if (want == 0) {
				daxfs_ino t = at[a];

				at[a] = at[b];
				at[b] = t;
			}
		} else {
			assert_int_equal(daxfs_rename(fs, dir[a % 3], from, dir[b % 3], to, 0), want);
			if (want == 0 && a != b) {
				at[b] = at[a];
				at[a] = 0;
			}
		}
		for (unsigned n = 0; n < NAMES; n++) {
			snprintf(from, sizeof(from), "n%u", n);
			if (at[n])
				assert_is(pod.fs[(i + 1) % 3], dir[n % 3], from, at[n]);
			else
				assert_int_equal(pod_lookup(pod.fs[(i + 1) % 3], dir[n % 3], from, NULL), -ENOENT);
		}
	}
	pod_stop(&pod);
}

/* What loses a name, or changes one for another, has changed. */
static void times(void **state)
{
	struct pod pod;
	struct sm_inode *inodes;
	daxfs_ino victim, other;

	(void)state;
	pod_start(&pod, 4 << 20);
	inodes = fs_pool_writable(pod.fs[0])->inodes;
	pod_create(pod.fs[0], DAXFS_ROOT, "a");
	victim = pod_create(pod.fs[0], DAXFS_ROOT, "b");
	other = pod_create(pod.fs[0], DAXFS_ROOT, "c");
	assert_int_equal(daxfs_link(pod.fs[0], victim, DAXFS_ROOT, "b2", NULL), 0);
	sm_store(&inodes[handle_index(victim)].ctime, 1);
	assert_int_equal(daxfs_rename(pod.fs[1], DAXFS_ROOT, "a", DAXFS_ROOT, "b", 0), 0);
	assert_true(sm_load(&inodes[handle_index(victim)].ctime) > 1);
	sm_store(&inodes[handle_index(other)].ctime, 1);
	assert_int_equal(daxfs_rename(pod.fs[1], DAXFS_ROOT, "b", DAXFS_ROOT, "c", DAXFS_RENAME_EXCHANGE), 0);
	assert_true(sm_load(&inodes[handle_index(other)].ctime) > 1);
	pod_stop(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(move_and_replace), cmocka_unit_test(directories),
		cmocka_unit_test(exchange),         cmocka_unit_test(times),
		cmocka_unit_test(like_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
