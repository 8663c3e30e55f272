/* SPDX-License-Identifier: Apache-2.0 */
/* test_lane_pool.c - lanes among threads, steps and their retries, read-only use (fs/lane_pool.c). */
#include <pthread.h>
#include <unistd.h>

#include "hang.h"
#include "rig.h"

#define THREADS 6
#define ROUNDS 3000

static void pod_with_lanes(struct pod *pod, unsigned lanes)
{
	alarm(HANG_S);
	pod_start_with(pod, 4 << 20, (struct daxfs_mkfs_options){ .inodes = 128, .lanes = lanes });
}

/* -- lanes -------------------------------------------------------------------- */

struct user {
	struct daxfs *fs;
	unsigned *inside; /* of each lane of the pool */
	unsigned taken, clashes;
};

static void *take_and_put(void *arg)
{
	struct user *u = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct lane *lane = fs_take_lane(u->fs);

		u->clashes += __atomic_fetch_add(&u->inside[lane->id], 1, __ATOMIC_SEQ_CST) != 0;
		u->taken++;
		if (i % 64 == 0)
			usleep(1); /* let the others come and wait */
		u->clashes += __atomic_fetch_sub(&u->inside[lane->id], 1, __ATOMIC_SEQ_CST) != 1;
		fs_put_lane(u->fs, lane);
	}
	return NULL;
}

static void one_thread_a_lane(unsigned lanes)
{
	struct pod pod;
	struct user user[THREADS];
	pthread_t thread[THREADS];
	unsigned inside[POD_HOSTS * 4] = { 0 };

	pod_with_lanes(&pod, lanes);
	for (unsigned i = 0; i < THREADS; i++) {
		user[i] = (struct user){ .fs = pod.fs[1], .inside = inside };
		assert_int_equal(pthread_create(&thread[i], NULL, take_and_put, &user[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(user[i].taken, ROUNDS); /* everybody had a turn: no lost wakeup */
		assert_int_equal(user[i].clashes, 0);
	}
	pod_stop(&pod);
}

static void more_threads_than_lanes(void **state)
{
	(void)state;
	one_thread_a_lane(1);
	one_thread_a_lane(2);
	one_thread_a_lane(4);
}

/* Each lane of the host once, none of another's; put back, they can be had again. */
static void every_lane(void **state)
{
	struct pod pod;
	struct lane *lane[4];

	(void)state;
	pod_with_lanes(&pod, 4);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 4; i++) {
			lane[i] = fs_take_lane(pod.fs[2]);
			assert_in_range(lane[i]->id, 8, 11);
			assert_int_equal(lane[i]->host, 2);
			assert_ptr_equal(lane[i]->sm, &rig_pool(&pod)->lanes[lane[i]->id]);
			for (unsigned k = 0; k < i; k++)
				assert_ptr_not_equal(lane[k], lane[i]);
		}
		for (unsigned i = 0; i < 4; i++)
			fs_put_lane(pod.fs[2], lane[i]);
	}
	pod_stop(&pod);
}

/* -- steps ---------------------------------------------------------------------- */

struct step {
	unsigned runs, until; /* -EAGAIN until then */
	int rc;
	bool fault, announced;
	uint64_t low[8];
};

static int step(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct step *s = arg;

	s->low[s->runs % 8] = sm_load(&lane->sm->low);
	s->announced = s->low[s->runs % 8] != 0;
	lane->txn.fault = s->fault;
	if (++s->runs < s->until) {
		sm_store(&fs->pool.member->manager.epoch, sm_load(&fs->pool.member->manager.epoch) + 1);
		return -EAGAIN;
	}
	return s->rc;
}

static void steps_are_retried(void **state)
{
	struct pod pod;
	struct step s = { .until = 5, .rc = 7 }, bad = { .until = 9, .fault = true }, no = { .rc = -ENOTEMPTY };
	struct sm_lane *sm;

	(void)state;
	pod_with_lanes(&pod, 1);
	sm = &rig_pool(&pod)->lanes[0];
	assert_int_equal(fs_run(pod.fs[0], step, &s), 7);
	assert_int_equal(s.runs, 5);
	assert_true(s.announced);
	for (unsigned i = 1; i < 5; i++)
		assert_true(s.low[i] > s.low[i - 1]);          /* each try lets go of what the last one saw */
	assert_int_equal(sm_load(&sm->low), 0);                /* and nothing stays announced */
	assert_int_equal(fs_run(pod.fs[0], step, &bad), -EIO); /* not retried */
	assert_int_equal(bad.runs, 1);
	assert_int_equal(sm_load(&sm->low), 0);
	bad = (struct step){ .rc = 0, .fault = true };
	assert_int_equal(fs_run(pod.fs[0], step, &bad), -EIO); /* whatever it says */
	assert_int_equal(fs_run(pod.fs[0], step, &no), -ENOTEMPTY);
	assert_int_equal(no.runs, 1);
	pod_stop(&pod);
}

/* Nothing begins, and nothing is retried, for a host that was declared dead. */
static void steps_of_the_dead(void **state)
{
	struct pod pod;
	struct step s = { .rc = 0 };
	struct daxfs_recovery report;

	(void)state;
	pod_with_lanes(&pod, 2);
	pod_fence(&pod, 0);
	assert_int_equal(fs_run(pod.fs[0], step, &s), -ESTALE);
	assert_int_equal(s.runs, 0);
	assert_int_equal(daxfs_recover(pod.fs[1], 0, &report), 0);
	assert_int_equal(fs_run(pod.fs[0], step, &s), -ESTALE);
	pod_stop(&pod);
}

/* What a step was to finish is forgotten when it has ended. */
static int name_todo(struct daxfs *fs, struct lane *lane, void *arg)
{
	(void)fs;
	lane_todo(lane, 4711);
	return *(int *)arg;
}

static void todo_ends_with_the_step(void **state)
{
	struct pod pod;
	int rc[] = { 0, 3, -ENOSPC, -ENOENT };

	(void)state;
	pod_with_lanes(&pod, 1);
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(fs_run(pod.fs[0], name_todo, &rc[i]), rc[i]);
		assert_int_equal(sm_load(&rig_pool(&pod)->lanes[0].todo), 0);
	}
	pod_stop(&pod);
}

/* -- broken lanes ------------------------------------------------------------------ */

/* Leave a record in flight that cannot be ended, as garbage would. */
/* A record of which nobody can tell what became. */
static int break_lane(struct daxfs *fs, struct lane *lane, void *arg)
{
	(void)fs;
	(void)arg;
	record_begin(lane, OP_WRITE);
	rig_undecided(lane);
	rig_status(lane, DAXFS_STATUSES);
	lane->txn.fault = true;
	return -EIO;
}

static void *wait_for_lane(void *arg)
{
	return fs_take_lane(arg);
}

static void make_lanes_whole(struct pod *pod)
{
	struct pool *pool = rig_pool(pod);

	for (unsigned i = 0; i < 2; i++)
		if (status_state(sm_load(&pool->lanes[i].status)) == DAXFS_STATUSES) {
			sm_store(&pool->lanes[i].status, status_with(sm_load(&pool->lanes[i].status), DAXFS_IDLE));
			account_settle(&pool->lanes[i], status_seq(sm_load(&pool->lanes[i].status)), false);
			sm_store(&pool->lanes[i].low, 0);
		}
}

/* A lane whose record could not be ended is not used again; the others are, and when
 * none is left callers are told, the waiting ones too. */
static void broken_lanes(void **state)
{
	struct pod pod;
	struct daxfs_attr attr;
	struct lane *last;
	pthread_t waiting;
	void *got = pod.fs;

	(void)state;
	pod_with_lanes(&pod, 2);
	assert_int_equal(fs_run(pod.fs[0], break_lane, NULL), -EIO);
	assert_int_equal(pod.fs[0]->broken, 1);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(daxfs_getattr(pod.fs[0], DAXFS_ROOT, &attr), 0);
	last = rig_enter(pod.fs[0]);
	assert_int_equal(pthread_create(&waiting, NULL, wait_for_lane, pod.fs[0]), 0);
	while (!__atomic_load_n(&pod.fs[0]->waiting, __ATOMIC_SEQ_CST))
		usleep(100);
	break_lane(pod.fs[0], last, NULL);
	rig_exit(pod.fs[0], last);
	pthread_join(waiting, &got);
	assert_null(got);
	assert_int_equal(daxfs_getattr(pod.fs[0], DAXFS_ROOT, &attr), -EIO);
	fs_retry_broken(pod.fs[0]); /* not for these */
	assert_int_equal(pod.fs[0]->broken, 2);
	assert_int_equal(daxfs_leave(pod.fs[0]), 0); /* nothing is left to recover */
	make_lanes_whole(&pod);
	pod_stop(&pod);
}

/* The last call in progress breaks its lane while the host waits to leave. */
static void *leave(void *arg)
{
	return (void *)(intptr_t)daxfs_leave(arg);
}

static void broken_while_leaving(void **state)
{
	struct pod pod;
	struct lane *last;
	struct daxfs_recovery report;
	pthread_t leaving;
	void *rc;

	(void)state;
	pod_with_lanes(&pod, 2);
	last = rig_enter(pod.fs[0]);
	assert_int_equal(pthread_create(&leaving, NULL, leave, pod.fs[0]), 0);
	while (!__atomic_load_n(&pod.fs[0]->waiting, __ATOMIC_SEQ_CST))
		usleep(100);
	break_lane(pod.fs[0], last, NULL);
	rig_exit(pod.fs[0], last);
	pthread_join(leaving, &rc);
	assert_int_equal((intptr_t)rc, -EIO); /* its slot is for recovery to free */
	make_lanes_whole(&pod);
	pod_fence(&pod, 0);
	assert_int_equal(daxfs_recover(pod.fs[1], 0, &report), 0);
	pod_stop(&pod);
}

/* -- read-only ----------------------------------------------------------------------- */

struct file_pool {
	char path[64];
	struct daxfs *rw, *ro;
};

static void file_pool_start(struct file_pool *f)
{
	struct daxfs_mkfs_options options = {
		.struct_size = sizeof(options), .size = 4 << 20, .hosts = 2, .lanes = 2, .inodes = 64, .name = "ctx"
	};
	struct daxfs_error err;

	alarm(HANG_S);
	snprintf(f->path, sizeof(f->path), "/dev/shm/daxfs-test-context.%d", (int)getpid());
	unlink(f->path);
	assert_int_equal(daxfs_mkfs(f->path, &options, &err), 0);
	assert_int_equal(daxfs_open(f->path, DAXFS_READ_WRITE, &f->rw, &err), 0);
	assert_int_equal(daxfs_open(f->path, DAXFS_READ_ONLY, &f->ro, &err), 0);
	assert_int_equal(daxfs_join(f->rw, 1, "rw", &err), 0);
}

static void read_only(void **state)
{
	struct file_pool f;
	struct daxfs_attr attr = { .mode = 0 };
	struct daxfs_statfs st;
	struct daxfs_geometry geometry;
	struct daxfs_check check;
	struct daxfs_error err;
	char c = 'x';

	(void)state;
	file_pool_start(&f);
	assert_int_equal(daxfs_join(f.ro, 0, "ro", &err), -EROFS);
	assert_int_equal(daxfs_mknod(f.ro, DAXFS_ROOT, "f", S_IFREG, 0, pod_root, false, NULL), -EROFS);
	assert_int_equal(daxfs_mkdir(f.ro, DAXFS_ROOT, "d", 0755, pod_root, NULL), -EROFS);
	assert_int_equal(daxfs_symlink(f.ro, DAXFS_ROOT, "s", "t", pod_root, NULL), -EROFS);
	assert_int_equal(daxfs_link(f.ro, DAXFS_ROOT, DAXFS_ROOT, "l", NULL), -EROFS);
	assert_int_equal(daxfs_unlink(f.ro, DAXFS_ROOT, "f"), -EROFS);
	assert_int_equal(daxfs_rmdir(f.ro, DAXFS_ROOT, "d"), -EROFS);
	assert_int_equal(daxfs_rename(f.ro, DAXFS_ROOT, "f", DAXFS_ROOT, "g", 0), -EROFS);
	assert_int_equal(daxfs_setattr(f.ro, DAXFS_ROOT, DAXFS_SET_MODE, &attr, NULL), -EROFS);
	assert_int_equal(daxfs_write(f.ro, DAXFS_ROOT, &c, 1, 0, 0), -EROFS);
	assert_int_equal(daxfs_file_open(f.ro, DAXFS_ROOT), -EROFS);
	assert_int_equal(daxfs_leave(f.ro), -ESTALE);
	assert_int_equal(daxfs_beat(f.ro), -ESTALE);
	/* Inspection works, beside a host that is at work. */
	assert_int_equal(daxfs_mknod(f.rw, DAXFS_ROOT, "f", S_IFREG, 0, pod_root, false, NULL), 0);
	assert_int_equal(daxfs_statfs(f.ro, &st), 0);
	assert_int_equal(daxfs_check(f.ro, pod_print, NULL, &check), 0);
	assert_int_equal(check.problems, 0);
	assert_int_equal(check.files, 1);
	daxfs_geometry(f.ro, &geometry);
	assert_string_equal(geometry.name, "ctx");
	assert_int_equal(geometry.hosts, 2);
	assert_int_equal(geometry.lanes_per_host, 2);
	assert_int_equal(geometry.size, 4 << 20);
	assert_int_equal(geometry.pages, st.pages.total);
	daxfs_close(f.ro);
	daxfs_close(f.rw); /* leaves */
	unlink(f.path);
}

/* Writable but not a member: nothing is done either. */
static void not_joined(void **state)
{
	struct file_pool f;
	struct daxfs *other;
	struct daxfs_attr attr;
	struct daxfs_error err;

	(void)state;
	file_pool_start(&f);
	assert_int_equal(daxfs_open(f.path, DAXFS_READ_WRITE, &other, &err), 0);
	assert_int_equal(daxfs_getattr(other, DAXFS_ROOT, &attr), -ESTALE);
	assert_int_equal(daxfs_mkdir(other, DAXFS_ROOT, "d", 0755, pod_root, NULL), -ESTALE);
	assert_int_equal(daxfs_file_open(other, DAXFS_ROOT), -ESTALE);
	assert_int_equal(daxfs_file_close(other, DAXFS_ROOT), -ESTALE);
	daxfs_close(other);
	daxfs_close(NULL);
	daxfs_close(f.ro);
	daxfs_close(f.rw);
	unlink(f.path);
	assert_int_equal(daxfs_open(f.path, DAXFS_READ_WRITE, &other, &err), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(more_threads_than_lanes),
		cmocka_unit_test(every_lane),
		cmocka_unit_test(steps_are_retried),
		cmocka_unit_test(steps_of_the_dead),
		cmocka_unit_test(todo_ends_with_the_step),
		cmocka_unit_test(broken_lanes),
		cmocka_unit_test(broken_while_leaving),
		cmocka_unit_test(read_only),
		cmocka_unit_test(not_joined),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
