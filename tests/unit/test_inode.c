/* SPDX-License-Identifier: Apache-2.0 */
/* test_inode.c - handles, first values, attributes, times (fs/inode.c). */
#include <pthread.h>

#include "file_fixture.h"

static void fixture_stop(struct fixture *s)
{
	s->lane->txn.fault = false;
	rig_exit(s->pod.fs[1], s->lane);
	pod_stop(&s->pod);
}

/* Only the one handle of the one use that lasts names an inode. */
static void handles(void **state)
{
	struct fixture s;
	struct inode inode;
	struct sm_inode *sm;
	uint64_t inc;

	(void)state;
	fixture_start(&s);
	inc = handle_generation(s.ino);
	const uint64_t wrong[] = {
		0,
		s.pool->objects[DAXFS_T_INODE],
		UINT32_MAX,
		UINT64_MAX,
		handle_make(inc, 0),
		handle_make(inc + 1, handle_index(s.ino)),
		handle_make(inc - 1, handle_index(s.ino)),
		handle_index(s.ino) + 5,
		handle_make(1, DAXFS_ROOT_INO),
	};
	assert_int_equal(inode_get(s.lane, s.ino, &inode), 0);
	assert_ptr_equal(inode.sm, s.sm);
	assert_int_equal(inode.handle, s.ino);
	assert_int_equal(inode.mode, S_IFREG | 0644);
	assert_int_equal(inode_get(s.lane, DAXFS_ROOT, &inode), 0);
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(inode_get(s.lane, wrong[i], &inode), -ESTALE);
		assert_false(inode_is(s.lane, wrong[i], &sm));
	}
	assert_int_equal(daxfs_unlink(s.pod.fs[0], DAXFS_ROOT, "f"), 0);
	assert_int_equal(inode_get(s.lane, s.ino, &inode), -ESTALE);
	assert_false(inode_is(s.lane, s.ino, &sm));
	fixture_stop(&s);
}

/* Who still sees the words of a dead use gets an error, not another's file. */
static void lives(void **state)
{
	struct fixture s;
	struct inode inode;
	uint64_t was;

	(void)state;
	fixture_start(&s);
	was = sm_load(&s.sm->nlink);
	sm_store(&s.sm->nlink, nlink_payload(DAXFS_LIFE_ORPHAN, 0));
	assert_int_equal(inode_get(s.lane, s.ino, &inode), -ESTALE); /* no name, no holder */
	sm_store(&s.sm->openers[1], 1);
	assert_int_equal(inode_get(s.lane, s.ino, &inode), 0); /* held by host 32 */
	sm_store(&s.sm->openers[1], 0);
	sm_store(&s.sm->nlink, nlink_payload(DAXFS_LIFE_DEAD, 0));
	assert_int_equal(inode_get(s.lane, s.ino, &inode), -ESTALE);
	sm_store(&s.sm->nlink, nlink_payload(DAXFS_LIFE_NONE, 0));
	assert_int_equal(inode_get(s.lane, s.ino, &inode), -ESTALE);
	sm_store(&s.sm->nlink, mark_make(0, 0, 1)); /* garbage is another matter */
	assert_int_equal(inode_get(s.lane, s.ino, &inode), -EIO);
	s.lane->txn.fault = false;
	sm_store(&s.sm->nlink, was);
	assert_int_equal(inode_get(s.lane, s.ino, &inode), 0);
	fixture_stop(&s);
}

/* A new use: another handle, first values, and no word back at a version it had. */
static void used_again(void **state)
{
	struct fixture s;
	struct sm_inode was;
	const sm_u64 *old = &was.size, *now;
	uint64_t index, next;
	struct inode_init init = { .mode = S_IFDIR | 0700, .parent = DAXFS_ROOT, .page = 5, .opener = 2, .rdev = 77 };

	(void)state;
	fixture_start(&s);
	record_begin(s.lane, OP_CREATE);
	assert_int_equal(space_take(s.lane, DAXFS_T_INODE, DAXFS_USE_INODE, 1, &index), 0);
	now = &s.pool->inodes[index].size;
	sm_store(&s.pool->inodes[index].i_generation, 41);
	was = s.pool->inodes[index];
	next = inode_next_handle(s.pool, index);
	assert_int_equal(inode_init(s.lane, index, &init), next);
	assert_int_equal(next, handle_make(42, index));
	for (const sm_u64 *w = now; w < &s.pool->inodes[index].atime; w++, old++)
		assert_int_not_equal(sm_load(w), old->sm_v);
	assert_int_equal(word_payload(sm_load(&s.pool->inodes[index].mode), DAXFS_W_ATTR), S_IFDIR | 0700);
	assert_int_equal(word_payload(sm_load(&s.pool->inodes[index].openers[0]), DAXFS_W_OPENERS), 2); /* host 1 */
	assert_int_equal(word_payload(sm_load(&s.pool->inodes[index].openers[1]), DAXFS_W_OPENERS), 0);
	assert_int_equal(word_payload(sm_load(&s.pool->inodes[index].dir_root), DAXFS_W_LINK),
			 link_payload(DAXFS_NODE, 5));
	assert_int_equal(word_payload(sm_load(&s.pool->inodes[index].parent), DAXFS_W_LINK),
			 link_payload(DAXFS_INODE, DAXFS_ROOT_INO));
	assert_int_equal(word_payload(sm_load(&s.pool->inodes[index].nlink), DAXFS_W_NLINK),
			 nlink_payload(DAXFS_LIFE_ALIVE, 1));
	assert_int_equal(sm_load(&s.pool->inodes[index].rdev), 77);
	/* Host 40's bit is in the other word; the last i_generation is followed by 0. */
	init.opener = 41;
	sm_store(&s.pool->inodes[index].i_generation, UINT32_MAX);
	assert_int_equal(inode_init(s.lane, index, &init), index);
	assert_int_equal(word_payload(sm_load(&s.pool->inodes[index].openers[0]), DAXFS_W_OPENERS), 0);
	assert_int_equal(word_payload(sm_load(&s.pool->inodes[index].openers[1]), DAXFS_W_OPENERS), 1 << 8);
	sm_store(&s.pool->inodes[index].nlink, nlink_payload(DAXFS_LIFE_NONE, 0));
	sm_store(&s.pool->inodes[index].openers[1], 0);
	sm_store(&s.pool->inodes[index].dir_root, 0);
	assert_int_equal(record_abort(s.lane, 0), 0);
	fixture_stop(&s);
}

/* The same name made and removed again and again: never a handle twice. */
static void never_a_handle_twice(void **state)
{
	struct fixture s;
	daxfs_ino seen[300];
	struct daxfs_attr attr;

	(void)state;
	fixture_start(&s);
	lane_exit(s.lane); /* inside, it would hold back every index */
	for (unsigned i = 0; i < 300; i++) {
		seen[i] = pod_create(s.pod.fs[i % 3], DAXFS_ROOT, "x");
		assert_int_equal(daxfs_unlink(s.pod.fs[0], DAXFS_ROOT, "x"), 0);
		for (unsigned k = 0; k < i; k++)
			assert_int_not_equal(seen[k], seen[i]);
		assert_int_equal(daxfs_getattr(s.pod.fs[1], seen[i], &attr), -ESTALE);
	}
	lane_enter(s.lane);
	fixture_stop(&s);
}

static void directories(void **state)
{
	struct fixture s;
	struct inode inode;
	struct sm_inode *sm;
	daxfs_ino dir;
	uint64_t root, was;

	(void)state;
	fixture_start(&s);
	dir = pod_mkdir(s.pod.fs[0], DAXFS_ROOT, "d");
	assert_int_equal(inode_get_dir(s.lane, s.ino, &inode, &root), -ENOTDIR);
	assert_int_equal(inode_get_dir(s.lane, UINT64_MAX, &inode, &root), -ESTALE);
	assert_int_equal(inode_get_dir(s.lane, dir, &inode, &root), 0);
	sm = inode.sm;
	was = sm_load(&sm->dir_root);
	assert_int_equal(root, link_index(was));
	const uint64_t bad[] = {
		link_payload(DAXFS_DATA, root),
		link_payload(DAXFS_NODE, s.pool->objects[DAXFS_T_PAGE]),
		link_payload((enum daxfs_link_kind)6, 1),
		UINT64_MAX,
	};
	for (unsigned i = 0; i < 4; i++) {
		sm_store(&sm->dir_root, bad[i]);
		assert_int_equal(inode_get_dir(s.lane, dir, &inode, &root), -EIO);
		assert_true(s.lane->txn.fault);
		s.lane->txn.fault = false;
	}
	sm_store(&sm->dir_root, 0);
	assert_int_equal(inode_get_dir(s.lane, dir, &inode, &root), -ESTALE); /* taken apart */
	sm_store(&sm->dir_root, was);
	fixture_stop(&s);
}

static void attributes(void **state)
{
	struct fixture s;
	struct daxfs_attr attr;
	struct inode inode;
	char c = 1;

	(void)state;
	fixture_start(&s);
	assert_int_equal(inode_get(s.lane, s.ino, &inode), 0);
	assert_int_equal(inode_attr(s.lane, s.ino, &attr), 0);
	assert_int_equal(attr.ino, s.ino);
	assert_int_equal(attr.size + attr.blocks, 0);
	assert_int_equal(attr.nlink, 1);
	assert_int_equal(daxfs_write(s.pod.fs[0], s.ino, &c, 1, 5 * 4096, 0), 1);
	assert_int_equal(inode_attr(s.lane, s.ino, &attr), 0);
	assert_int_equal(attr.size, 5 * 4096 + 1);
	assert_int_equal(attr.blocks, 8); /* one page: holes take nothing */
	assert_int_equal(daxfs_write(s.pod.fs[0], s.ino, &c, 1, 8 * 4096, 0), 1);
	assert_int_equal(inode_attr(s.lane, s.ino, &attr), 0);
	assert_int_equal(attr.blocks, 24); /* two pages, one node */
	assert_int_equal(daxfs_write(s.pod.fs[0], s.ino, &c, 1, DAXFS_FILE_MAX - 1, 0), 1);
	assert_int_equal(inode_attr(s.lane, s.ino, &attr), 0);
	assert_int_equal(attr.size, DAXFS_FILE_MAX);
	assert_int_equal(attr.blocks, (3 + 1 + 4) * 8); /* a page, and the nodes that lead to it */
	assert_int_equal(daxfs_unlink(s.pod.fs[2], DAXFS_ROOT, "f"), 0);
	assert_int_equal(inode_attr(s.lane, s.ino, &attr), -ESTALE);
	fixture_stop(&s);
}

static uint64_t ns(struct timespec t)
{
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

#define LOOKED DAXFS_CTIME_LOOKED
#define BEHIND DAXFS_CTIME_BEHIND

static void set(struct fixture *s, uint64_t mtime, uint64_t ctime)
{
	sm_store(&s->sm->mtime, mtime);
	sm_store(&s->sm->ctime, ctime);
}

/* Times move forward; for somebody who has looked, always. */
static void times(void **state)
{
	uint64_t now = fs_now(), ahead = (now + 86400000000000ull) & ~7ull, later;
	struct fixture s;

	(void)state;
	fixture_start(&s);
	assert_true(now > 1700000000ull * 1000000000ull);
	assert_true(fs_now() >= now);
	set(&s, 1, 8);
	assert_true(inode_touch(s.lane, s.sm, true));
	later = sm_load(&s.sm->ctime);
	assert_true(later >= (now & ~3ull));
	assert_int_equal(sm_load(&s.sm->mtime), later);
	set(&s, ahead, ahead);
	assert_false(inode_touch(s.lane, s.sm, true)); /* nobody can tell */
	set(&s, ahead, ahead | LOOKED);
	assert_true(inode_touch(s.lane, s.sm, true));
	assert_int_equal(sm_load(&s.sm->mtime), ahead + 1);
	assert_int_equal(sm_load(&s.sm->ctime), ahead + 4);
	assert_false(inode_touch(s.lane, s.sm, true));
	assert_false(inode_touch_again(s.lane, s.sm, true));
	set(&s, 1, ahead | LOOKED); /* of attributes */
	assert_true(inode_touch_again(s.lane, s.sm, false));
	assert_int_equal(sm_load(&s.sm->mtime), 1);
	assert_int_equal(sm_load(&s.sm->ctime), (ahead + 4) | BEHIND); /* the mtime that was looked at has not moved */
	assert_true(inode_touch_again(s.lane, s.sm, true));
	assert_true(sm_load(&s.sm->mtime) > 1);
	assert_int_equal(sm_load(&s.sm->ctime), ahead + 8);
	fixture_stop(&s);
}

/* A writer has died between the two times: the next one moves both; a change of attributes leaves it to that. */
static void half_moved(void **state)
{
	uint64_t ahead = (fs_now() + 86400000000000ull) & ~7ull;
	struct fixture s;

	(void)state;
	fixture_start(&s);
	set(&s, ahead, ahead | BEHIND);
	assert_false(inode_touch(s.lane, s.sm, false));
	assert_int_equal(sm_load(&s.sm->ctime), ahead | BEHIND);
	set(&s, ahead, 4 | BEHIND);
	assert_true(inode_touch(s.lane, s.sm, false));
	assert_int_equal(sm_load(&s.sm->mtime), ahead);
	assert_int_equal(sm_load(&s.sm->ctime) & 3, BEHIND);
	set(&s, ahead, ahead | BEHIND);
	assert_true(inode_touch_again(s.lane, s.sm, true));
	assert_int_equal(sm_load(&s.sm->mtime), ahead + 1);
	assert_int_equal(sm_load(&s.sm->ctime), ahead + 4);
	fixture_stop(&s);
}

/* A look says that there was one, once, and shows nothing of it. */
static void looked(void **state)
{
	struct daxfs_attr attr;
	struct fixture s;
	uint64_t ctime;

	(void)state;
	fixture_start(&s);
	set(&s, 1000, 2000 | BEHIND);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(daxfs_getattr(s.pod.fs[i], s.ino, &attr), 0);
		assert_int_equal(attr.mtime.tv_nsec, 1000);
		assert_int_equal(attr.ctime.tv_nsec, 2000);
		assert_int_equal(sm_load(&s.sm->ctime), 2000 | BEHIND | LOOKED);
	}
	assert_int_equal(daxfs_mknod(s.pod.fs[0], DAXFS_ROOT, "new", 0600, 0, (struct daxfs_cred){ 0 }, false, &attr),
			 0);
	ctime = sm_load(&s.pod.fs[0]->pool.inodes[handle_index(attr.ino)].ctime);
	assert_true(ctime & LOOKED); /* its maker was told */
	fixture_stop(&s);
}

/* Each of changes that follow a look at once is seen in the next look, whoever makes them, and in whatever order. */
static void seen(void **state)
{
	struct daxfs_attr in = { .mode = 0600 }, was, is;
	struct fixture s;
	char byte = 'x';

	(void)state;
	fixture_start(&s);
	assert_int_equal(daxfs_getattr(s.pod.fs[2], s.ino, &was), 0);
	for (unsigned i = 0; i < 300; i++) {
		if (i % 3 == 2)
			assert_int_equal(daxfs_setattr(s.pod.fs[i % 2], s.ino, DAXFS_SET_MODE, &in, NULL), 0);
		else
			assert_int_equal(daxfs_write(s.pod.fs[i % 3], s.ino, &byte, 1, 0, 0), 1);
		assert_int_equal(daxfs_getattr(s.pod.fs[2], s.ino, &is), 0);
		assert_int_equal(memcmp(&is.mtime, &was.mtime, sizeof(is.mtime)) == 0, i % 3 == 2);
		assert_memory_not_equal(&is.ctime, &was.ctime, sizeof(is.ctime));
		was = is;
	}
	fixture_stop(&s);
}

/* What changes behind what has a time of its own, to the nanosecond, is not older. */
static void in_order(void **state)
{
	struct daxfs_cred cred = { 0 };
	struct daxfs_attr first, second;
	struct fixture s;
	char byte = 'x';

	(void)state;
	fixture_start(&s);
	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(daxfs_getattr(s.pod.fs[0], s.ino, &first), 0);
		assert_int_equal(daxfs_write(s.pod.fs[0], s.ino, &byte, 1, 0, 0), 1);
		assert_int_equal(daxfs_getattr(s.pod.fs[0], s.ino, &first), 0);
		assert_int_equal(daxfs_mknod(s.pod.fs[0], DAXFS_ROOT, "g", 0600, 0, cred, false, &second), 0);
		assert_true(ns(second.mtime) >= ns(first.mtime));
		assert_int_equal(daxfs_unlink(s.pod.fs[0], DAXFS_ROOT, "g"), 0);
	}
	fixture_stop(&s);
}

/* A host whose clock is a day ahead was here: its time is not taken back, and yet each change shows. */
static void clock_ahead(void **state)
{
	struct daxfs_attr in = { .mode = 0600 }, before, after;
	struct fixture s;
	uint64_t ahead = (fs_now() + 86400000000000ull) & ~7ull;
	char byte = 'x';

	(void)state;
	fixture_start(&s);
	set(&s, ahead, ahead | LOOKED);
	for (uint64_t i = 1; i <= 3; i++) {
		assert_int_equal(daxfs_write(s.pod.fs[1], s.ino, &byte, 1, 0, 0), 1);
		assert_int_equal(daxfs_getattr(s.pod.fs[2], s.ino, &after), 0);
		assert_int_equal(ns(after.mtime), ahead + i);
		assert_int_equal(ns(after.ctime), ahead + 4 * i);
	}
	before = after;
	assert_int_equal(daxfs_setattr(s.pod.fs[1], s.ino, DAXFS_SET_MODE, &in, &after), 0);
	assert_int_equal(ns(after.mtime), ns(before.mtime));
	assert_int_equal(ns(after.ctime), ns(before.ctime) + 4);
	/* Who asks for the time of its clock gets it. */
	assert_int_equal(daxfs_setattr(s.pod.fs[1], s.ino, DAXFS_SET_MTIME_NOW, &in, &after), 0);
	assert_in_range(ns(after.mtime), 1, ahead - 1);
	set(&s, INT64_MAX, (INT64_MAX - 3) | LOOKED); /* as late as there is, in nanoseconds */
	assert_true(inode_touch(s.lane, s.sm, true));
	assert_int_equal(sm_load(&s.sm->mtime), INT64_MAX);
	assert_int_equal(sm_load(&s.sm->ctime), INT64_MAX - 3);
	fixture_stop(&s);
}

#define TOUCHES 200000u
#define TOUCHERS 4u

struct toucher {
	struct lane *lane;
	struct sm_inode *sm;
	pthread_barrier_t *start;
};

/* Look, change, look: both times are others. */
static void *touch_often(void *arg)
{
	struct toucher *t = arg;
	struct daxfs_attr was, is;

	pthread_barrier_wait(t->start);
	for (unsigned i = 0; i < TOUCHES; i++) {
		inode_touch(t->lane, t->sm, false); /* of others, in between */
		inode_look(t->lane, t->sm, &was);
		if (i % 3 == 0)
			inode_touch(t->lane, t->sm, i % 2);
		inode_touch_again(t->lane, t->sm, true);
		inode_look(t->lane, t->sm, &is);
		if (ns(is.mtime) <= ns(was.mtime) || ns(is.ctime) <= ns(was.ctime))
			return "a time stood still";
	}
	return NULL;
}

/* Changes and looks that race: none takes a time back, or leaves it as somebody has seen it. */
static void clocks_race(void **state)
{
	uint64_t ahead = (fs_now() + 86400000000000ull) & ~7ull;
	pthread_t thread[TOUCHERS];
	pthread_barrier_t start;
	struct fixture s;
	struct toucher t;
	void *wrong;

	(void)state;
	fixture_start(&s);
	t = (struct toucher){ .lane = s.lane, .sm = s.sm, .start = &start };
	assert_int_equal(pthread_barrier_init(&start, NULL, TOUCHERS), 0);
	set(&s, ahead, ahead);
	for (unsigned i = 0; i < TOUCHERS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, touch_often, &t), 0);
	for (unsigned i = 0; i < TOUCHERS; i++) {
		assert_int_equal(pthread_join(thread[i], &wrong), 0);
		assert_null(wrong);
	}
	pthread_barrier_destroy(&start);
	fixture_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handles),     cmocka_unit_test(lives),
		cmocka_unit_test(used_again),  cmocka_unit_test(never_a_handle_twice),
		cmocka_unit_test(directories), cmocka_unit_test(attributes),
		cmocka_unit_test(times),       cmocka_unit_test(clock_ahead),
		cmocka_unit_test(half_moved),  cmocka_unit_test(looked),
		cmocka_unit_test(seen),        cmocka_unit_test(in_order),
		cmocka_unit_test(clocks_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
