/* SPDX-License-Identifier: Apache-2.0 */
/* test_lease_own.c - a cache that does not know an inode yet, and changes of its own host. */
#include "lease_fixture.h"

struct told {
	unsigned drops;
	daxfs_ino last;
};

static bool unknown_twice(void *context, daxfs_ino ino, bool names)
{
	struct told *t = context;

	(void)ino;
	(void)names;
	return ++t->drops > 2;
}

/* What the cache does not know yet it is told again. */
static void test_told_again(void **state)
{
	struct told t = { 0 };
	struct daxfs_lease lease;
	struct daxfs_attr attr;
	struct pod pod;
	daxfs_ino ino;

	(void)state;
	start(&pod, LONG_MS, true);
	ino = pod_create(pod.fs[2], DAXFS_ROOT, "f");
	assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
	assert_true(lease.attr_ns);
	lease_ask(fs_pool_writable(pod.fs[1]), 0, handle_index(ino));
	assert_int_equal(daxfs_lease_poll(pod.fs[0], unknown_twice, &t), 1);
	assert_int_equal(t.drops, 3);
	stop(&pod);
}

static int set_mode(struct daxfs *fs, daxfs_ino ino)
{
	struct daxfs_attr in = { .mode = 0600 }, out;

	return daxfs_setattr(fs, ino, DAXFS_SET_MODE, &in, &out);
}

static bool note_names(void *context, daxfs_ino ino, bool names)
{
	struct told *t = context;

	t->drops += names;
	t->last = ino;
	return true;
}

/* Of two directories whose leases are counted together each has names of its own to forget; a file has none. */
static void test_one_stripe(void **state)
{
	struct told t = { 0 };
	struct pod pod;
	daxfs_ino ino[3] = { 0 };
	unsigned n = 0;

	(void)state;
	pod_start_with(&pod, 64u << 20,
		       (struct daxfs_mkfs_options){ .inodes = 2 * LEASE_STRIPES, .lanes = 4, .lease_ms = LONG_MS });
	assert_int_equal(daxfs_lease_start(pod.fs[0], NULL, NULL), 0);
	daxfs_beat(pod.fs[0]);
	for (unsigned i = 0; n < 2; i++) {
		struct daxfs_lease lease;
		struct daxfs_answer answer;
		struct daxfs_attr attr;
		char name[16];

		snprintf(name, sizeof(name), "%u", i);
		assert_int_equal(daxfs_mkdir(pod.fs[2], DAXFS_ROOT, name, 0755, (struct daxfs_cred){ 0, 0 }, &attr), 0);
		if (n && handle_index(attr.ino) % LEASE_STRIPES != handle_index(ino[0]) % LEASE_STRIPES)
			continue;
		ino[n++] = attr.ino;
		daxfs_beat(pod.fs[0]);
		daxfs_answer_begin(pod.fs[0], &answer);
		assert_int_equal(daxfs_lookup_leased(pod.fs[0], attr.ino, "none", &attr, &lease), -ENOENT);
		assert_true(lease.names_ns);
		daxfs_answer_end(pod.fs[0], &answer);
	}
	for (unsigned i = 0; i < n; i++) {
		lease_ask(fs_pool_writable(pod.fs[1]), 0, handle_index(ino[i]));
		assert_int_equal(daxfs_lease_poll(pod.fs[0], note_names, &t), 1);
		assert_int_equal(t.last, ino[i]);
		assert_int_equal(t.drops, i + 1);
	}
	stop(&pod);
}

static bool own_change(void *context, daxfs_ino ino, bool names)
{
	struct told *told = context;

	assert_false(names);
	told->last = ino;
	return true;
}

/* What this host changes its cache is told, if it may know of it. */
static void test_own_change(void **state)
{
	struct daxfs_lease lease;
	struct daxfs_attr attr;
	struct pod pod;
	struct told told = { 0 };
	daxfs_ino f, g;

	(void)state;
	start(&pod, LONG_MS, false);
	assert_int_equal(daxfs_lease_start(pod.fs[0], own_change, &told), 0);
	f = pod_create(pod.fs[2], DAXFS_ROOT, "f");
	g = pod_create(pod.fs[2], DAXFS_ROOT, "g");
	assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
	assert_true(lease.attr_ns);
	assert_int_equal(set_mode(pod.fs[0], g), 0);
	assert_int_equal(told.last, 0);
	assert_int_equal(set_mode(pod.fs[0], f), 0);
	assert_int_equal(told.last, f);
	assert_int_equal(daxfs_unlink(pod.fs[0], DAXFS_ROOT, "f"), 0);
	assert_int_equal(told.last, f); /* as the last of them: the directory, then the inode */
	stop(&pod);
}

/* A process that goes on with the cache of another one, whose leases it does not know. */
static void test_goes_on(void **state)
{
	struct told t = { .drops = 2 };
	struct daxfs_lease lease;
	struct daxfs_error err;
	struct daxfs_attr attr;
	struct pod pod;
	uint64_t tenancy;
	daxfs_ino ino;

	(void)state;
	start(&pod, LONG_MS, true);
	ino = pod_create(pod.fs[2], DAXFS_ROOT, "f");
	assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
	assert_true(lease.attr_ns);
	tenancy = daxfs_tenancy(pod.fs[0]);
	fs_free_slots(pod.fs[0]); /* as if it had been killed */
	pod.fs[0]->joined = false;
	daxfs_close(pod.fs[0]);
	assert_int_equal(fs_attach(pod.base, pod.size, &pod.fs[0], &err), 0);
	assert_int_equal(daxfs_resume(pod.fs[0], 0, tenancy, NULL, 0, &err), 0);
	assert_int_equal(daxfs_resume_end(pod.fs[0]), 0);
	assert_int_equal(daxfs_lease_go_on(pod.fs[0], NULL, NULL), 0);
	lease_ask(fs_pool_writable(pod.fs[1]), 0, handle_index(ino));
	assert_int_equal(daxfs_lease_poll(pod.fs[0], unknown_twice, &t), 1);
	assert_int_equal(t.drops, 3);
	assert_int_equal(sm_load(&fs_pool(pod.fs[1])->inodes[handle_index(ino)].leases), 0);
	assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
	assert_true(lease.names_ns);
	stop(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_told_again),
		cmocka_unit_test(test_one_stripe),
		cmocka_unit_test(test_own_change),
		cmocka_unit_test(test_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
