/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_recover.c - recovery of records left in each state (recover/recover.c,
 * sync/record.c). The states are left by stopping a record half way by hand;
 * every crash point of every operation is the simulator's business.
 */
#include "rig.h"

/* Stage a rename-like change of two modes by a lane, without committing it. */
static void stage_two(struct lane *lane, struct sm_inode *a, struct sm_inode *b)
{
	record_begin(lane, OP_SETATTR);
	txn_word(&lane->txn, &a->mode, DAXFS_W_ATTR, word_help(lane, &a->mode), S_IFREG | 0111);
	txn_word(&lane->txn, &b->mode, DAXFS_W_ATTR, word_help(lane, &b->mode), S_IFREG | 0222);
}

static uint32_t mode_of(struct daxfs *fs, daxfs_ino ino)
{
	struct daxfs_attr attr;

	assert_int_equal(daxfs_getattr(fs, ino, &attr), 0);
	return attr.mode & 07777;
}

struct fixture {
	struct pod pod;
	daxfs_ino a, b;
	struct sm_inode *ia, *ib;
	struct lane *lane;
};

static void fixture_start(struct fixture *s)
{
	pod_start(&s->pod, 4 << 20);
	s->a = pod_create(s->pod.fs[1], DAXFS_ROOT, "a");
	s->b = pod_create(s->pod.fs[1], DAXFS_ROOT, "b");
	s->ia = &fs_pool_writable(s->pod.fs[0])->inodes[handle_index(s->a)];
	s->ib = &fs_pool_writable(s->pod.fs[0])->inodes[handle_index(s->b)];
	s->lane = rig_enter(s->pod.fs[0]);
	stage_two(s->lane, s->ia, s->ib);
}

static struct daxfs_recovery fixture_recover(struct fixture *s)
{
	struct daxfs_recovery report, again;

	pod_fence(&s->pod, 0);
	assert_int_equal(daxfs_recover(s->pod.fs[1], 0, &report), 0);
	assert_int_equal(daxfs_recover(s->pod.fs[1], 0, &again), -EBUSY); /* RECOVERED: nothing to claim */
	pod_check(&s->pod);
	fs_put_lane(s->pod.fs[0], s->lane);
	return report;
}

static void prepared_is_undone(void **state)
{
	struct fixture s;
	struct daxfs_recovery report;
	uint64_t page;

	(void)state;
	fixture_start(&s);
	assert_int_equal(space_take(s.lane, DAXFS_T_PAGE, DAXFS_USE_DATA, 1, &page), 0);
	report = fixture_recover(&s);
	assert_int_equal(report.rolled_back, 1);
	assert_int_equal(report.objects, 1);
	assert_int_equal(mode_of(s.pod.fs[2], s.a), 0644);
	pod_stop(&s.pod);
}

static void undecided_goes_forward(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s);
	rig_undecided(s.lane);
	assert_int_equal(mode_of(s.pod.fs[2], s.a), 0644); /* readers see the old value */
	assert_int_equal(fixture_recover(&s).finished, 1);
	assert_int_equal(mode_of(s.pod.fs[2], s.a), 0111);
	assert_int_equal(mode_of(s.pod.fs[2], s.b), 0222);
	pod_stop(&s.pod);
}

/* Without any recovery, whoever needs a marked word finishes the record. */
static void writers_help(void **state)
{
	struct fixture s;
	struct daxfs_attr in = { .mode = 0777 };

	(void)state;
	fixture_start(&s);
	rig_undecided(s.lane);
	sm_store(&s.ia->mode, mark_make(s.lane->id, s.lane->txn.words[0].word == &s.ia->mode ? 0 : 1, s.lane->seq));
	assert_int_equal(daxfs_setattr(s.pod.fs[1], s.a, DAXFS_SET_MODE, &in, NULL), 0);
	assert_int_equal(mode_of(s.pod.fs[2], s.a), 0777);
	assert_int_equal(mode_of(s.pod.fs[2], s.b), 0222); /* the other word went along */
	assert_int_equal(fixture_recover(&s).finished, 1);
	pod_stop(&s.pod);
}

static void changed_word_aborts(void **state)
{
	struct fixture s;
	struct daxfs_attr in = { .mode = 0777 };

	(void)state;
	fixture_start(&s);
	assert_int_equal(daxfs_setattr(s.pod.fs[1], s.b, DAXFS_SET_MODE, &in, NULL), 0);
	rig_undecided(s.lane);
	assert_int_equal(fixture_recover(&s).rolled_back, 1);
	assert_int_equal(mode_of(s.pod.fs[2], s.a), 0644);
	assert_int_equal(mode_of(s.pod.fs[2], s.b), 0777);
	pod_stop(&s.pod);
}

/* A dead host's open files: kept by others, freed when it was the last. */
static void open_files_are_released(void **state)
{
	struct pod pod;
	struct daxfs_recovery report;
	struct daxfs_attr attr;
	daxfs_ino kept, gone;

	(void)state;
	pod_start(&pod, 4 << 20);
	kept = pod_create(pod.fs[1], DAXFS_ROOT, "kept");
	gone = pod_create(pod.fs[1], DAXFS_ROOT, "gone");
	assert_int_equal(daxfs_file_open(pod.fs[0], kept), 0);
	assert_int_equal(daxfs_file_open(pod.fs[0], gone), 0);
	assert_int_equal(daxfs_file_open(pod.fs[1], kept), 0);
	assert_int_equal(daxfs_unlink(pod.fs[2], DAXFS_ROOT, "kept"), 0);
	assert_int_equal(daxfs_unlink(pod.fs[2], DAXFS_ROOT, "gone"), 0);
	assert_int_equal(daxfs_getattr(pod.fs[2], gone, &attr), 0);
	pod_fence(&pod, 0);
	assert_int_equal(daxfs_recover(pod.fs[2], 0, &report), 0);
	assert_int_equal(report.opens, 2);
	assert_int_equal(daxfs_getattr(pod.fs[2], gone, &attr), -ESTALE);
	assert_int_equal(daxfs_getattr(pod.fs[2], kept, &attr), 0);
	assert_int_equal(daxfs_file_close(pod.fs[1], kept), 0);
	assert_int_equal(daxfs_getattr(pod.fs[2], kept, &attr), -ESTALE);
	pod_stop(&pod);
}

/* The dead stay dead, and their slot has a new tenant under the next generation. */
static void the_dead_stay_dead(void **state)
{
	struct pod pod;
	struct daxfs_recovery report;
	struct daxfs_error err;
	struct daxfs *next;

	(void)state;
	pod_start(&pod, 4 << 20);
	pod_fence(&pod, 0);
	assert_int_equal(daxfs_mknod(pod.fs[0], DAXFS_ROOT, "x", 0644, 0, pod_root, false, NULL), -ESTALE);
	assert_int_equal(daxfs_beat(pod.fs[0]), -ESTALE);
	assert_int_equal(fs_attach(pod.base, pod.size, &next, &err), 0);
	assert_int_equal(daxfs_join(next, 0, "early", &err), -EBUSY);
	assert_int_equal(daxfs_recover(pod.fs[1], 0, &report), 0);
	assert_int_equal(daxfs_join(next, 0, "next", &err), 0);
	pod_create(next, DAXFS_ROOT, "y");
	assert_int_equal(daxfs_mknod(pod.fs[0], DAXFS_ROOT, "x", 0644, 0, pod_root, false, NULL), -ESTALE);
	assert_int_equal(daxfs_leave(next), 0);
	daxfs_close(next);
	pod_stop(&pod);
}

/* A recovery assigned to a former tenant of its slot is none of its business. */
static void former_tenants_assignment_is_not_ours(void **state)
{
	struct fixture s;
	struct daxfs_recovery report;
	struct host_word word;
	sm_u64 *shared;

	(void)state;
	fixture_start(&s);
	rig_undecided(s.lane);
	pod_fence(&s.pod, 0);
	shared = &fs_host(s.pod.fs[1], 0)->word;
	assert_int_equal(host_word_unpack(sm_load(shared), &word), 0);
	word.state = DAXFS_HOST_RECOVERING;
	word.recoverer = 1;
	word.recoverer_generation = DAXFS_RECOVERER_GENERATION(s.pod.fs[1]->generation - 1);
	sm_store(shared, host_word_pack(word));
	assert_int_equal(daxfs_recover_assigned(s.pod.fs[1], &report, 1), 0);
	assert_int_equal(daxfs_recover(s.pod.fs[1], 0, &report), -EBUSY);
	assert_int_equal(sm_load(shared), host_word_pack(word));
	word.recoverer_generation = DAXFS_RECOVERER_GENERATION(s.pod.fs[1]->generation);
	sm_store(shared, host_word_pack(word));
	assert_int_equal(daxfs_recover_assigned(s.pod.fs[1], &report, 1), 1);
	assert_int_equal(report.finished, 1);
	fs_put_lane(s.pod.fs[0], s.lane);
	pod_stop(&s.pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prepared_is_undone),
		cmocka_unit_test(undecided_goes_forward),
		cmocka_unit_test(writers_help),
		cmocka_unit_test(changed_word_aborts),
		cmocka_unit_test(former_tenants_assignment_is_not_ours),
		cmocka_unit_test(open_files_are_released),
		cmocka_unit_test(the_dead_stay_dead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
