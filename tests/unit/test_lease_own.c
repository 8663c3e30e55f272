/* SPDX-License-Identifier: Apache-2.0 */
/* test_lease_own.c - a cache that does not know an inode yet, and changes of its own host. */
#include <sched.h>

#include "daxfs/xattr.h"
#include "lease_fixture.h"

#define DIR_INDEX 7u

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

/* Host 0 keeps answers, and is told what it is about to change. */
static void start_told(struct pod *pod, daxfs_lease_drop changes, void *context)
{
	start(pod, LONG_MS, false);
	assert_int_equal(daxfs_lease_start(pod->fs[0], changes, context), 0);
}

/* what a cache sees when it is told to forget what its own host is about to change */
struct own {
	struct pod *pod;
	unsigned told;
	daxfs_ino last;
	struct daxfs_attr attr; /* in the pool, at that moment */
	struct daxfs_lease lease;
};

static bool own_change(void *context, daxfs_ino ino, bool names)
{
	struct own *own = context;

	assert_false(names);
	own->told++;
	own->last = ino;
	if (own->pod)
		ask(own->pod, "f", &own->attr, &own->lease);
	return true;
}

/* What this host is about to change its cache is told, once for each time that it was told of it. */
static void test_own_change(void **state)
{
	struct daxfs_lease lease;
	struct daxfs_attr attr;
	struct pod pod;
	struct own own = { 0 };
	daxfs_ino f, g;

	(void)state;
	start_told(&pod, own_change, &own);
	f = pod_create(pod.fs[2], DAXFS_ROOT, "f");
	g = pod_create(pod.fs[2], DAXFS_ROOT, "g");
	assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
	assert_true(lease.attr_ns);
	assert_true(daxfs_lease_stands(pod.fs[0], f, &lease));
	assert_int_equal(set_mode(pod.fs[0], g), 0);
	assert_int_equal(own.told, 0);
	assert_true(daxfs_lease_stands(pod.fs[0], f, &lease));
	assert_int_equal(set_mode(pod.fs[0], f), 0);
	assert_int_equal(set_mode(pod.fs[0], f), 0);
	assert_int_equal(own.told, 1);
	assert_int_equal(own.last, f);
	assert_false(daxfs_lease_stands(pod.fs[0], f, &lease)); /* what was looked up before is not to be kept */
	assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
	assert_int_equal(daxfs_unlink(pod.fs[0], DAXFS_ROOT, "f"), 0);
	assert_int_equal(own.told, 2); /* of the directory names were told, and no attributes */
	assert_int_equal(own.last, f);
	stop(&pod);
}

/* Before anything is changed; and what is looked at from there on, until it is, is not to be kept. */
static void test_own_before(void **state)
{
	static const struct daxfs_attr in = { .size = 5000 };
	struct daxfs_lease lease;
	struct daxfs_attr attr;
	struct pod pod;
	struct own own = { .pod = &pod };
	daxfs_ino f;

	(void)state;
	start_told(&pod, own_change, &own);
	f = pod_create(pod.fs[2], DAXFS_ROOT, "f");
	for (unsigned i = 0; i < 4; i++) {
		struct daxfs_attr out, was;

		assert_int_equal(ask(&pod, "f", &was, &lease), 0);
		assert_true(lease.attr_ns);
		if (i == 0)
			assert_int_equal(daxfs_setattr(pod.fs[0], f, DAXFS_SET_SIZE, &in, &out), 0);
		else if (i == 1)
			assert_int_equal(daxfs_write(pod.fs[0], f, "x", 1, 6000, 0), 1);
		else if (i == 2)
			assert_int_equal(daxfs_setattr(pod.fs[0], f, DAXFS_SET_MTIME_NOW, &in, &out), 0);
		else
			assert_int_equal(daxfs_xattr_set(pod.fs[0], f, "user.x", "x", 1, 0), 0);
		assert_int_equal(own.told, i + 1);
		assert_int_equal(own.attr.size, was.size);
		assert_memory_equal(&own.attr.mtime, &was.mtime, sizeof(was.mtime));
		assert_memory_equal(&own.attr.ctime, &was.ctime, sizeof(was.ctime));
		assert_int_equal(own.lease.attr_ns, 0);
		assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
		assert_true(lease.attr_ns);
		assert_memory_not_equal(&attr, &was, sizeof(was));
	}
	stop(&pod);
}

static void *set_mode_main(void *context)
{
	struct own *own = context;

	assert_int_equal(set_mode(own->pod->fs[0], own->last), 0);
	return NULL;
}

/* two calls at once: the first is held where the cache forgets */
struct pair {
	struct own own; /* first, for set_mode_main */
	atomic_uint told;
	atomic_bool go;
};

static bool hold_first(void *context, daxfs_ino ino, bool names)
{
	struct pair *pair = context;

	(void)ino, (void)names;
	if (atomic_fetch_add(&pair->told, 1) == 0)
		while (!atomic_load(&pair->go))
			sched_yield();
	return true;
}

/* Another call does not go on before the cache has forgotten, either. */
static void test_own_two(void **state)
{
	struct daxfs_lease lease;
	struct daxfs_attr attr;
	struct pod pod;
	struct pair pair = { .own.pod = &pod };
	pthread_t changer;

	(void)state;
	start_told(&pod, hold_first, &pair);
	pair.own.last = pod_create(pod.fs[2], DAXFS_ROOT, "f");
	assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
	assert_true(lease.attr_ns);
	assert_int_equal(pthread_create(&changer, NULL, set_mode_main, &pair.own), 0);
	while (!atomic_load(&pair.told))
		sched_yield();
	assert_int_equal(set_mode(pod.fs[0], pair.own.last), 0);
	assert_int_equal(atomic_load(&pair.told), 2);
	atomic_store(&pair.go, true);
	pthread_join(changer, NULL);
	stop(&pod);
}

static bool forget_all(void *context, daxfs_ino ino, bool names)
{
	(void)context, (void)ino, (void)names;
	return true;
}

/* Also while the change waits for another host. */
static void test_own_meanwhile(void **state)
{
	struct daxfs_lease lease;
	struct daxfs_answer answer;
	struct daxfs_attr attr;
	struct pod pod;
	struct own own = { .pod = &pod };
	pthread_t changer;

	(void)state;
	start(&pod, LONG_MS, true);
	assert_int_equal(daxfs_lease_start(pod.fs[1], NULL, NULL), 0);
	own.last = pod_create(pod.fs[2], DAXFS_ROOT, "f");
	daxfs_beat(pod.fs[1]);
	daxfs_answer_begin(pod.fs[1], &answer);
	assert_int_equal(daxfs_getattr_leased(pod.fs[1], own.last, false, &attr, &lease), 0);
	daxfs_answer_end(pod.fs[1], &answer);
	assert_true(lease.attr_ns);
	assert_int_equal(pthread_create(&changer, NULL, set_mode_main, &own), 0);
	while (!sm_load(&fs_pool(pod.fs[1])->holders[1].request[0]))
		sched_yield();
	assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
	assert_int_equal(lease.attr_ns, 0);
	assert_int_equal(daxfs_lease_poll(pod.fs[1], forget_all, NULL), 1);
	pthread_join(changer, NULL);
	assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
	assert_true(lease.attr_ns);
	assert_int_equal(attr.mode & 07777, 0600);
	stop(&pod);
}

/* A call that is refused again and again has met more inodes than it can note: the directory is the last to go. */
static void test_own_many(void **state)
{
	struct pod pod;
	struct lane *lane;
	struct lease_own *own;

	(void)state;
	start(&pod, LONG_MS, true);
	lane = &pod.fs[0]->slots[0].lane;
	own = pod.fs[0]->pool.own;
	for (uint32_t i = 2; i < 2 + 2 * NOTES_OWN; i++) {
		assert_false(lease_own_changes(lane, &lane->pool->inodes[DIR_INDEX]));
		assert_false(lease_own_changes(lane, &lane->pool->inodes[DIR_INDEX + i]));
	}
	assert_false(lease_own_tells(own, DIR_INDEX));
	assert_true(lease_own_tells(own, DIR_INDEX + 2));
	lease_own_end(lane);
	assert_true(lease_own_tells(own, DIR_INDEX));
	stop(&pod);
}

/* A look of this host at the file, while its pages are filled, does not have a draft refused. */
static void test_own_draft(void **state)
{
	void *pages[DAXFS_ATOMIC_WRITE_MAX / DAXFS_PAGE_SIZE];
	struct daxfs_draft *draft;
	struct daxfs_lease lease;
	struct daxfs_attr attr;
	struct pod pod;
	struct own own = { 0 };
	daxfs_ino f;

	(void)state;
	start_told(&pod, own_change, &own);
	f = pod_create(pod.fs[2], DAXFS_ROOT, "f");
	assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
	assert_true(lease.attr_ns);
	assert_int_equal(daxfs_draft_begin(pod.fs[0], f, 0, DAXFS_PAGE_SIZE, pages, &draft), 0);
	assert_int_equal(own.told, 1);
	assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
	assert_int_equal(lease.attr_ns, 0);
	memset(pages[0], 'x', DAXFS_PAGE_SIZE);
	assert_int_equal(daxfs_draft_commit(draft), 0);
	assert_int_equal(own.told, 1);
	assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
	assert_true(lease.attr_ns);
	assert_int_equal(attr.size, DAXFS_PAGE_SIZE);
	stop(&pod);
}

/* A host that died in a call had changed a file; this one has looked at that since, and moves its times (mend.c). */
static void test_own_recoverer(void **state)
{
	struct daxfs_recovery report;
	struct daxfs_lease lease;
	struct daxfs_attr attr, after;
	struct sm_lane *lane;
	struct pod pod;
	struct own own = { .pod = &pod };
	daxfs_ino f;

	(void)state;
	start_told(&pod, own_change, &own);
	f = pod_create(pod.fs[2], DAXFS_ROOT, "f");
	lane = pod.fs[2]->slots[0].lane.sm;
	sm_store(&lane->low, 1); /* as if it were in the call */
	sm_store(&lane->leases[0], handle_index(f));
	assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
	assert_true(lease.attr_ns);
	pod_fence(&pod, 2);
	assert_int_equal(daxfs_recover(pod.fs[0], 2, &report), 0);
	assert_int_equal(ask(&pod, "f", &after, &lease), 0);
	assert_memory_not_equal(&after.ctime, &attr.ctime, sizeof(attr.ctime));
	assert_int_equal(own.told, 1);
	assert_int_equal(own.last, f);
	assert_memory_equal(&own.attr.ctime, &attr.ctime, sizeof(attr.ctime));
	assert_true(lease.attr_ns);
	stop(&pod);
}

/* A process that goes on with the cache of another one, whose leases it does not know. */
static void test_goes_on(void **state)
{
	struct told t = { .drops = 2 };
	struct own own = { 0 };
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
	assert_int_equal(daxfs_lease_go_on(pod.fs[0], own_change, &own), 0);
	assert_int_equal(set_mode(pod.fs[0], ino), 0);
	assert_int_equal(own.told, 1); /* of what the former one was told */
	lease_ask(fs_pool_writable(pod.fs[1]), 0, handle_index(ino));
	assert_int_equal(daxfs_lease_poll(pod.fs[0], unknown_twice, &t), 1);
	assert_int_equal(t.drops, 3);
	assert_int_equal(sm_load(&fs_pool(pod.fs[1])->inodes[handle_index(ino)].leases), 0);
	assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
	assert_true(lease.names_ns);
	stop(&pod);
}

/* What that one wrote or changed last, and this host has looked at, has other times since; and the cache believes. */
static void test_goes_on_written(void **state)
{
	struct daxfs_lease lease;
	struct daxfs_attr attr, changed, after;
	struct daxfs_error err;
	struct daxfs *next;
	struct pod pod;
	struct own own = { 0 };
	daxfs_ino ino, other;

	(void)state;
	start(&pod, LONG_MS, true);
	ino = pod_create(pod.fs[2], DAXFS_ROOT, "f");
	other = pod_create(pod.fs[2], DAXFS_ROOT, "g");
	assert_int_equal(daxfs_file_open(pod.fs[0], ino), 0);
	assert_int_equal(daxfs_write(pod.fs[0], ino, "x", 1, 0, 0), 1);
	assert_int_equal(ask(&pod, "f", &attr, &lease), 0);
	assert_true(lease.attr_ns);
	assert_int_equal(ask(&pod, "g", &changed, &lease), 0);
	assert_true(lease.attr_ns);
	sm_store(&pod.fs[0]->slots[0].lane.sm->leases[0], handle_index(other));
	sm_store(&pod.fs[0]->slots[0].lane.sm->low, 1); /* it died in a call */
	assert_int_equal(fs_attach(pod.base, pod.size, &next, &err), 0);
	assert_int_equal(daxfs_resume(next, 0, daxfs_tenancy(pod.fs[0]), NULL, 0, &err), 0);
	assert_int_equal(daxfs_file_open(next, ino), 0);
	assert_int_equal(daxfs_resume_end(next), 0);
	assert_int_equal(daxfs_lease_go_on(next, own_change, &own), 0);
	assert_int_equal(daxfs_getattr(pod.fs[1], ino, &after), 0);
	assert_memory_not_equal(&after.mtime, &attr.mtime, sizeof(attr.mtime));
	assert_int_equal(daxfs_getattr(pod.fs[1], other, &after), 0);
	assert_memory_not_equal(&after.ctime, &changed.ctime, sizeof(changed.ctime));
	assert_int_equal(own.told, 2);
	daxfs_lease_stop(next);
	daxfs_close(next);
	stop(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_told_again),      cmocka_unit_test(test_one_stripe),
		cmocka_unit_test(test_own_change),      cmocka_unit_test(test_own_before),
		cmocka_unit_test(test_own_meanwhile),   cmocka_unit_test(test_own_two),
		cmocka_unit_test(test_own_many),        cmocka_unit_test(test_own_draft),
		cmocka_unit_test(test_own_recoverer),   cmocka_unit_test(test_goes_on),
		cmocka_unit_test(test_goes_on_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
