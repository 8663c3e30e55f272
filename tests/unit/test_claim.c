/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_claim.c - what comes late: a helper or an owner that sleeps before it puts its mark, until the record
 * is over and the word has its old version again (sync/claim.c); and a lane that has
 * used up its numbers (sync/rest.c).
 */
#include <pthread.h>
#include <unistd.h>

#include "rig.h"
#include "sync/record.h"

#define W DAXFS_W_ATTR

struct fixture {
	struct pod pod;
	struct pool *pool;
	struct lane *a, *b, *c; /* owner, helper and bystander, of three hosts, all inside */
	sm_u64 *w[2];
	uint64_t before[2], mark;
};

static void fixture_start(struct fixture *s)
{
	alarm(60);
	pod_start(&s->pod, 4 << 20);
	s->pool = rig_pool(&s->pod);
	s->a = rig_enter(s->pod.fs[0]);
	s->b = rig_enter(s->pod.fs[1]);
	s->c = rig_enter(s->pod.fs[2]);
	record_begin(s->a, OP_SETATTR);
	for (unsigned i = 0; i < 2; i++) {
		s->w[i] = rig_word(s->pool, 10 * i);
		s->before[i] = sm_load(s->w[i]);
		txn_word(&s->a->txn, s->w[i], W, s->before[i], i);
	}
	rig_undecided(s->a);
	s->mark = mark_make(s->a->id, 1, s->a->seq) | DAXFS_MARK_HELPED;
}

static void fixture_stop(struct fixture *s)
{
	assert_false(s->a->txn.fault || s->b->txn.fault || s->c->txn.fault);
	assert_int_equal(rig_status_of(s->a), DAXFS_IDLE);
	rig_exit(s->pod.fs[0], s->a);
	rig_exit(s->pod.fs[1], s->b);
	rig_exit(s->pod.fs[2], s->c);
	pod_stop(&s->pod);
}

/* The owner wakes up and ends its record. */
static void owner_ends(struct fixture *s)
{
	struct record_tally tally = { 0 };

	record_finish(s->a, s->a->id, s->a->seq);
	record_finalize(s->a, s->a->id, sm_load(&s->a->sm->status), DID_NOT, &tally); /* it took nothing */
}

static void expect(struct fixture *s, unsigned i, uint64_t w)
{
	assert_int_equal(sm_load(s->w[i]), w);
	assert_int_equal(word_load(s->c, s->w[i]), w);
}

/* What a helper, that saw word 1 and the record undecided, does when it wakes up. */
static void helper_wakes(struct fixture *s)
{
	claim_word(s->b, s->w[1], s->mark, s->before[1]);
}

/* Helped to its end by a third, so that marks are helpers' marks. */
static void helped(struct fixture *s, enum daxfs_status outcome)
{
	if (outcome == DAXFS_ABORTED)
		sm_store(s->w[1], word_bump(s->before[1], W)); /* changed meanwhile */
	record_finish(s->c, s->a->id, s->a->seq);
	assert_int_equal(rig_status_of(s->a), outcome);
	assert_true(status_helped(sm_load(&s->a->sm->status)));
	sm_store(s->w[1], s->before[1]); /* its version has come round */
}

static void late_after_the_record(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s);
	helped(&s, DAXFS_COMMITTED);
	owner_ends(&s);
	helper_wakes(&s);
	expect(&s, 1, s.before[1]);
	expect(&s, 0, word_next(s.before[0], W, 0));
	fixture_stop(&s);
}

/* The owner sleeps, too: the status still has the same number. */
static void late_after_the_decision(void **state)
{
	const enum daxfs_status outcome[] = { DAXFS_COMMITTED, DAXFS_ABORTED };
	struct fixture s;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		fixture_start(&s);
		helped(&s, outcome[i]);
		helper_wakes(&s);
		expect(&s, 1, s.before[1]);
		owner_ends(&s);
		expect(&s, 1, s.before[1]);
		fixture_stop(&s);
	}
}

/* The owner is the one that comes late, with its one CAS. */
static void late_owner(void **state)
{
	const enum daxfs_status outcome[] = { DAXFS_COMMITTED, DAXFS_ABORTED };
	struct fixture s;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		fixture_start(&s);
		helped(&s, outcome[i % 2]);
		rig_mark(s.a, 1);
		assert_int_equal(word_load(s.c, s.w[1]), s.before[1]);
		if (i < 2) /* found by others, or by itself */
			assert_int_equal(word_payload(word_help(s.c, s.w[1]), W), word_payload(s.before[1], W));
		owner_ends(&s);
		assert_int_equal(sm_load(s.w[1]), word_bump(s.before[1], W));
		fixture_stop(&s);
	}
}

/* The owner's marks are taken over, those that are there and those that are to come. */
static void taken_over(void **state)
{
	struct fixture s;

	(void)state;
	for (unsigned marks = 0; marks <= 2; marks++) {
		fixture_start(&s);
		for (unsigned i = 0; i < marks; i++)
			rig_mark(s.a, i);
		record_finish(s.b, s.a->id, s.a->seq);
		assert_int_equal(rig_status_of(s.a), DAXFS_COMMITTED);
		for (unsigned i = 0; i < 2; i++)
			expect(&s, i, word_next(s.before[i], W, i));
		assert_int_equal(s.b->claims, 2 - marks);
		owner_ends(&s);
		fixture_stop(&s);
	}
}

/* A claim, put down by hand: the helper stands between its two steps. */
static uint64_t put_claim(struct fixture *s)
{
	struct sm_claim *claim = &s->b->sm->claim;

	sm_store(&claim->number, ++s->b->claims);
	sm_store(&claim->where, pool_offset(s->pool, s->w[1]));
	sm_store(&claim->mark, s->mark);
	sm_store(&claim->before, s->before[1]);
	sm_store(s->w[1], claim_make(s->b->id, s->b->claims));
	return sm_load(s->w[1]);
}

static void set_helped(struct fixture *s, enum daxfs_status status)
{
	sm_store(&s->a->sm->status, status_with(sm_load(&s->a->sm->status), status) | DAXFS_STATUS_HELPED);
}

/* Others see through a claim, and go on without the helper that put it. */
static void helper_stopped(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s);
	set_helped(&s, DAXFS_UNDECIDED);
	put_claim(&s);
	assert_int_equal(word_load(s.c, s.w[1]), s.before[1]);
	assert_int_equal(word_help(s.c, s.w[1]), word_next(s.before[1], W, 1));
	owner_ends(&s);
	fixture_stop(&s);
}

/*
 * Aborted by one that had seen the word changed, while a claim is there that was seen with the
 * record undecided: until the owner has looked, its mark may still come, not after that.
 */
static void aborted_under_a_claim(void **state)
{
	struct fixture s;
	uint64_t claim;

	(void)state;
	for (unsigned first = 0; first < 2; first++) {
		fixture_start(&s);
		set_helped(&s, DAXFS_ABORTED);
		claim = put_claim(&s);
		if (first)
			assert_true(sm_cas(s.w[1], claim, s.mark));
		owner_ends(&s);
		assert_int_equal(word_payload(sm_load(s.w[1]), W), word_payload(s.before[1], W));
		assert_false(sm_cas(s.w[1], claim, s.mark));
		assert_false(word_is_mark(sm_load(s.w[1])));
		fixture_stop(&s);
	}
}

/* A helper that died: its claim goes with its recovery, if nobody met it. */
static void helper_recovered(void **state)
{
	struct record_tally tally = { 0 };
	struct fixture s;
	struct sm_inode *inode;

	(void)state;
	fixture_start(&s);
	inode = &s.pool->inodes[handle_index(pod_create(s.pod.fs[2], DAXFS_ROOT, "f"))];
	s.w[1] = &inode->mode;
	s.before[1] = sm_load(s.w[1]);
	put_claim(&s);
	record_recover(s.c, s.b->id, &tally);
	assert_int_equal(sm_load(s.w[1]), s.before[1]);
	/* Of a claim that is long over nothing is believed but the number. */
	sm_store(&s.b->sm->claim.where, UINT64_MAX);
	record_recover(s.c, s.b->id, &tally);
	assert_false(s.c->txn.fault);
	record_abort(s.a, 0);
	fixture_stop(&s);
}

/* Claims that no lane made. */
static void garbage(void **state)
{
	struct fixture s;
	uint64_t claim;

	(void)state;
	fixture_start(&s);
	set_helped(&s, DAXFS_UNDECIDED);
	claim = put_claim(&s);
	const uint64_t wrong[] = {
		claim_make(s.pool->lanes_total, 1),
		claim_make(4095, 1),
		claim + 1,
		claim_make(s.a->id, 1),
	};
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		sm_store(s.w[1], wrong[i]);
		word_load(s.c, s.w[1]);
		assert_true(s.c->txn.fault);
		s.c->txn.fault = false;
		word_help(s.c, s.w[1]);
		assert_true(s.c->txn.fault);
		s.c->txn.fault = false;
	}
	sm_store(s.w[1], claim);
	sm_store(&s.b->sm->claim.where, pool_offset(s.pool, s.w[0]));
	word_load(s.c, s.w[1]);
	assert_true(s.c->txn.fault);
	s.c->txn.fault = false;
	sm_store(s.w[1], s.before[1]);
	record_abort(s.a, 0);
	fixture_stop(&s);
}

/* -- used up ---------------------------------------------------------------------------- */

static uint64_t seq_of(struct daxfs *fs)
{
	return status_seq(sm_load(&fs->slots[0].lane.sm->status));
}

static void set_lane(struct lane *lane, uint64_t seq, uint64_t claims)
{
	lane->seq = seq;
	lane->claims = claims;
	sm_store(&lane->sm->status, status_make(seq, OP_NONE, DAXFS_IDLE));
	sm_store(&lane->sm->claim.number, claims);
	for (unsigned i = 0; i < 2; i++) /* told of that number */
		sm_store(&lane->sm->used[i], (sm_load(&lane->sm->used[i]) & ~(1ull << 63)) | seq << 63);
}

static void set_numbers(struct daxfs *fs, uint64_t seq, uint64_t claims)
{
	set_lane(&fs->slots[0].lane, seq, claims);
}

struct maker {
	struct daxfs *fs;
	atomic_bool done;
};

static void *make_file(void *arg)
{
	struct maker *m = arg;
	struct daxfs_attr attr;
	int rc = daxfs_mknod(m->fs, DAXFS_ROOT, "waits", S_IFREG | 0644, 0, pod_root, false, &attr);

	atomic_store(&m->done, true);
	return rc ? arg : NULL;
}

/*
 * A lane at its end starts again, but only when nobody is inside who was there before: a view of
 * another host is. Those who come later are in nobody's way.
 */
static void numbers_used_up(void **state)
{
	struct daxfs_view *old, *young;
	struct maker maker;
	struct pod pod;
	pthread_t thread;
	void *result;

	(void)state;
	alarm(60);
	pod_start_with(&pod, 8 << 20, (struct daxfs_mkfs_options){ .inodes = 512, .lanes = 2 });
	atomic_store(&pod.fs[0]->slots[1].busy, true); /* only the other one works */
	for (unsigned i = 0; i < 8; i++) {
		char name[8];

		snprintf(name, sizeof(name), "f%u", i);
		if (i == 3)
			set_numbers(pod.fs[0], counter_ends.seq - 2, 0);
		if (i == 6)
			set_numbers(pod.fs[0], 40, counter_ends.seq);
		pod_create(pod.fs[0], DAXFS_ROOT, name);
		assert_int_equal(daxfs_unlink(pod.fs[0], DAXFS_ROOT, name), 0);
	}
	assert_in_range(seq_of(pod.fs[0]), 1, 40);
	assert_int_equal(pod.fs[0]->slots[0].lane.claims, 0);

	assert_int_equal(daxfs_view_open(pod.fs[1], &old), 0);
	set_numbers(pod.fs[0], counter_ends.seq, 0);
	maker = (struct maker){ .fs = pod.fs[0] };
	assert_int_equal(pthread_create(&thread, NULL, make_file, &maker), 0);
	while (!__atomic_load_n(&pod.fs[0]->waiting, __ATOMIC_SEQ_CST))
		usleep(1000); /* it has looked for a lane: this one rests */
	assert_int_equal(daxfs_view_open(pod.fs[2], &young), 0);
	usleep(50000);
	assert_false(atomic_load(&maker.done));
	assert_int_equal(pod_lookup(pod.fs[2], DAXFS_ROOT, "waits", NULL), -ENOENT);
	daxfs_view_close(old);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_null(result);
	assert_int_equal(pod_lookup(pod.fs[2], DAXFS_ROOT, "waits", NULL), 0);
	assert_in_range(seq_of(pod.fs[0]), 1, 10);
	daxfs_view_close(young);
	atomic_store(&pod.fs[0]->slots[1].busy, false);
	pod_stop(&pod);
}

/* One that has to rest leaves the work to the others of its host, and keeps nobody from leaving. */
static void others_work_on(void **state)
{
	struct daxfs_view *old;
	struct pod pod;

	(void)state;
	alarm(60);
	pod_start(&pod, 8 << 20);
	assert_int_equal(daxfs_view_open(pod.fs[1], &old), 0);
	set_numbers(pod.fs[0], DAXFS_SEQ_MASK - 5, 0);
	for (unsigned i = 0; i < 100; i++) {
		pod_create(pod.fs[0], DAXFS_ROOT, "f");
		assert_int_equal(daxfs_unlink(pod.fs[0], DAXFS_ROOT, "f"), 0);
	}
	assert_int_equal(seq_of(pod.fs[0]), DAXFS_SEQ_MASK - 5);
	assert_int_equal(daxfs_leave(pod.fs[0]), 0);
	daxfs_view_close(old);
	pod_stop(&pod);
}

/* A view that was open before keeps lanes at their end from starting again. Where no other is left, and its user may
 * be the one that waits, a call takes one of them, while they have numbers; until the view lets go. */
static void nobody_waits_for_its_own_view(void **state)
{
	const uint64_t left = 1ull << 31;
	struct daxfs_attr attr;
	struct daxfs_view *view, *second;
	struct pod pod;

	(void)state;
	alarm(60);
	pod_start_with(&pod, 8 << 20, (struct daxfs_mkfs_options){ .inodes = 512, .lanes = 3 });
	atomic_store(&pod.fs[0]->slots[0].busy, true); /* lane 0 is not the view's */
	assert_int_equal(daxfs_view_open(pod.fs[0], &view), 0);
	atomic_store(&pod.fs[0]->slots[0].busy, false);
	for (unsigned i = 0; i < 3; i++)
		set_lane(&pod.fs[0]->slots[i].lane, counter_ends.seq, 0);
	pod_create(pod.fs[0], DAXFS_ROOT, "d");
	pod_create(pod.fs[0], DAXFS_ROOT, "e");
	assert_int_equal(daxfs_view_open(pod.fs[0], &second), 0);
	daxfs_view_close(second);

	for (unsigned i = 0; i < 3; i++)
		set_lane(&pod.fs[0]->slots[i].lane, counter_ends.seq + left, 0);
	assert_int_equal(daxfs_mknod(pod.fs[0], DAXFS_ROOT, "f", S_IFREG | 0644, 0, pod_root, false, &attr), -EBUSY);
	daxfs_view_renew(view);
	pod_create(pod.fs[0], DAXFS_ROOT, "f");
	assert_in_range(seq_of(pod.fs[0]), 1, counter_ends.seq + left);
	daxfs_view_close(view);
	pod_create(pod.fs[0], DAXFS_ROOT, "g");
	pod_stop(&pod);
}

/* Looks at announcements are spread over many calls, but a call that would sleep looks first. */
static void nobody_sleeps_for_nothing(void **state)
{
	struct lane_slot *slot;
	struct pod pod;

	(void)state;
	alarm(60);
	pod_start_with(&pod, 8 << 20, (struct daxfs_mkfs_options){ .inodes = 512, .lanes = 2 });
	slot = pod.fs[0]->slots;
	atomic_store(&slot[1].busy, true);
	set_numbers(pod.fs[0], counter_ends.seq, 0);
	slot[0].lane.rests = slot[0].looks = 1; /* no look is due for long */
	pod_create(pod.fs[0], DAXFS_ROOT, "f");
	assert_in_range(seq_of(pod.fs[0]), 1, 10);
	assert_int_equal(slot[0].looks, 2); /* it tried, then insisted */
	atomic_store(&slot[1].busy, false);
	pod_stop(&pod);
}

/* What a crash, or a lost cache, leaves of a lane that starts again: its next tenant works, and rests if it must. */
static void started_over_in_part(void **state)
{
	const uint64_t end = counter_ends.seq;
	const uint64_t left[][2] = { { end, 0 }, { 0, end }, { 0, 0 }, { end, end } };
	struct daxfs_error err;
	struct pod pod;

	(void)state;
	alarm(60);
	for (unsigned i = 0; i < 4; i++) {
		pod_start_with(&pod, 8 << 20, (struct daxfs_mkfs_options){ .inodes = 512, .lanes = 1 });
		set_numbers(pod.fs[0], left[i][0], left[i][1]);
		assert_int_equal(daxfs_leave(pod.fs[0]), 0);
		assert_int_equal(daxfs_join(pod.fs[0], 0, "unit", &err), 0);
		pod_create(pod.fs[0], DAXFS_ROOT, "f");
		assert_int_equal(daxfs_unlink(pod.fs[0], DAXFS_ROOT, "f"), 0);
		assert_in_range(seq_of(pod.fs[0]), 1, 10);
		assert_int_equal(pod.fs[0]->slots[0].lane.claims, 0);
		pod_stop(&pod);
	}
}

/* An index whose incarnations are used up makes no handle again: it is not used any more. */
static void incarnations_used_up(void **state)
{
	struct daxfs_attr attr;
	struct sm_inode *sm;
	struct pod pod;
	daxfs_ino first, last;
	unsigned n = 0;
	char name[8];
	int rc;

	(void)state;
	alarm(60);
	pod_start_with(&pod, 8 << 20, (struct daxfs_mkfs_options){ .inodes = 64, .lanes = 2 });
	first = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	sm = &fs_pool_writable(pod.fs[0])->inodes[handle_index(first)];
	assert_int_equal(daxfs_unlink(pod.fs[0], DAXFS_ROOT, "f"), 0);
	sm_store(&sm->i_generation, UINT32_MAX - 1);
	for (unsigned i = 0; i < 500; i++) {
		last = pod_create(pod.fs[0], DAXFS_ROOT, "f");
		assert_int_equal(daxfs_unlink(pod.fs[0], DAXFS_ROOT, "f"), 0);
		assert_int_equal(daxfs_getattr(pod.fs[1], first, &attr), -ESTALE);
		assert_int_equal(daxfs_getattr(pod.fs[1], last, &attr), -ESTALE);
	}
	assert_int_equal(sm_load(&sm->i_generation), UINT32_MAX);
	/* Full but for that one: it is said that nothing is free, and the check agrees. */
	do {
		snprintf(name, sizeof(name), "f%u", n);
		rc = daxfs_mknod(pod.fs[0], DAXFS_ROOT, name, S_IFREG | 0644, 0, pod_root, false, &attr);
		n += rc == 0;
	} while (rc == 0);
	assert_int_equal(rc, -ENOSPC);
	assert_int_equal(n, 64 - 3);
	assert_int_equal(sm_load(&fs_pool(pod.fs[0])->summary[DAXFS_T_INODE].word[0][0]) >> DAXFS_GROUP_BITS,
			 DAXFS_GROUP_NOTHING);
	pod_stop(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(late_after_the_record),
		cmocka_unit_test(late_after_the_decision),
		cmocka_unit_test(late_owner),
		cmocka_unit_test(taken_over),
		cmocka_unit_test(helper_stopped),
		cmocka_unit_test(aborted_under_a_claim),
		cmocka_unit_test(helper_recovered),
		cmocka_unit_test(garbage),
		cmocka_unit_test(numbers_used_up),
		cmocka_unit_test(others_work_on),
		cmocka_unit_test(nobody_waits_for_its_own_view),
		cmocka_unit_test(nobody_sleeps_for_nothing),
		cmocka_unit_test(started_over_in_part),
		cmocka_unit_test(incarnations_used_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
