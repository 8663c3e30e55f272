/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_lost_lane.c - memory of a lane failed, and others meet what it has left: claims in words, marks of
 * its record, its announcement. They go past it; nobody waits, and only what it held is EIO.
 */
#include "poison.h"
#include "rig.h"
#include "sync/record.h"

#define POOL (1u << 20)

/* Lanes lie 5 KiB apart: the claim of the fourth, host 1's second, is in a page that has nothing else in use. */
#define SLEEPER 2u
#define CLAIMER 3u

struct fixture {
	struct poison p;
	daxfs_ino a, b;
	struct lane *sleeper; /* of host 1: its record changes the modes of both, the first of them is marked */
	sm_u64 *word[2];
};

static uint64_t claim_page(const struct fixture *f)
{
	const struct pool *pool = fs_pool(f->p.pod.fs[0]);

	return pool_offset(pool, &pool->lanes[CLAIMER].claim) & ~4095ull;
}

static struct lane *lane_of(const struct fixture *f, unsigned id)
{
	return &f->p.pod.fs[1]->slots[id % 2].lane;
}

static void put_record(struct fixture *f)
{
	struct lane *lane = lane_of(f, SLEEPER);

	lane_enter(lane);
	record_begin(lane, OP_SETATTR);
	for (unsigned i = 0; i < 2; i++)
		txn_word(&lane->txn, f->word[i], DAXFS_W_ATTR, sm_load(f->word[i]), S_IFREG | 0600);
	rig_undecided(lane);
	rig_mark(lane, 0);
	sm_store(&lane->sm->status, sm_load(&lane->sm->status) | DAXFS_STATUS_HELPED);
	f->sleeper = lane;
}

/* The other thread of host 1 helped it, and stopped between its two steps. */
static void put_claim(struct fixture *f)
{
	struct lane *lane = lane_of(f, CLAIMER);
	struct sm_claim *claim = &lane->sm->claim;

	lane_enter(lane);
	sm_store(&claim->number, ++lane->claims);
	sm_store(&claim->where, pool_offset(lane->pool, f->word[1]));
	sm_store(&claim->mark, status_mark(sm_load(&f->sleeper->sm->status), SLEEPER, 1));
	sm_store(&claim->before, sm_load(f->word[1]));
	sm_store(f->word[1], claim_make(CLAIMER, lane->claims));
}

static void fixture_start(struct fixture *f)
{
	struct pool *pool;

	alarm(60);
	poison_start(&f->p, POOL, false);
	pool = fs_pool_writable(f->p.pod.fs[1]);
	f->a = pod_create(f->p.pod.fs[2], DAXFS_ROOT, "a");
	f->b = pod_create(f->p.pod.fs[2], DAXFS_ROOT, "b");
	f->word[0] = &pool->inodes[handle_index(f->a)].mode;
	f->word[1] = &pool->inodes[handle_index(f->b)].mode;
	assert_true(f->word[0] < f->word[1]);
	put_record(f);
	put_claim(f);
	poison_all(&f->p, claim_page(f), true);
}

static int chmod_by(struct fixture *f, unsigned host, daxfs_ino ino)
{
	struct daxfs_attr want = { .mode = 0640 };

	return daxfs_setattr(f->p.pod.fs[host], ino, DAXFS_SET_MODE, &want, NULL);
}

/*
 * Whoever helps that record finds a claim that cannot be told in its second word, and aborts it. The
 * first call learns of the page; the others need no memory that failed.
 */
static void claim_cannot_be_told(void **state)
{
	struct daxfs_recovery report;
	struct daxfs_attr attr;
	struct fixture f;

	(void)state;
	fixture_start(&f);
	chmod_by(&f, 0, f.a);
	assert_int_equal(chmod_by(&f, 0, f.a), 0);
	assert_int_equal(chmod_by(&f, 2, f.a), 0);
	assert_int_equal(rig_status_of(f.sleeper), DAXFS_ABORTED);
	assert_int_equal(chmod_by(&f, 0, f.b), -EIO);
	assert_int_equal(f.p.pod.fs[0]->broken, 0);
	pod_fence(&f.p.pod, 1);
	assert_int_equal(daxfs_recover(f.p.pod.fs[0], 1, &report), 0);
	assert_int_equal(report.passed, 1); /* the lane of that claim */
	assert_int_equal(rig_status_of(f.sleeper), DAXFS_IDLE);
	assert_int_equal(daxfs_getattr(f.p.pod.fs[2], f.a, &attr), 0);
	assert_int_equal(attr.mode & 07777, 0640);
	poison_stop(&f.p);
}

/* The thread of that record meets the claim itself, and is told; its lane is nobody's loss. */
static void owner_meets_it(void **state)
{
	struct record_tally tally = { 0 };
	struct fixture f;

	(void)state;
	fixture_start(&f);
	trouble_add_page(fs_pool_writable(f.p.pod.fs[1]), claim_page(&f));
	record_finish(f.sleeper, SLEEPER, f.sleeper->seq);
	assert_false(f.sleeper->txn.fault);
	assert_true(f.sleeper->txn.lost);
	assert_int_equal(rig_status_of(f.sleeper), DAXFS_ABORTED);
	record_finalize(f.sleeper, SLEEPER, sm_load(&f.sleeper->sm->status), DID_NOT, &tally);
	assert_false(word_is_mark(sm_load(f.word[0])));
	lane_exit(f.sleeper);
	poison_stop(&f.p);
}

/* -- lanes that rest, and need the announcements of all others for their end ----------------------- */

static void spend(struct daxfs *fs)
{
	for (unsigned i = 0; i < fs->n_slots; i++)
		fs->slots[i].lane.claims = counter_ends.seq;
}

static void rest_goes_past(void **state)
{
	struct poison p;

	(void)state;
	alarm(60);
	poison_start(&p, POOL, false);
	spend(p.pod.fs[0]);
	poison_all(&p, pool_offset(fs_pool(p.pod.fs[0]), &fs_pool(p.pod.fs[0])->lanes[2].low), true);
	pod_create(p.pod.fs[0], DAXFS_ROOT, "f");
	assert_int_equal(p.pod.fs[0]->slots[0].lane.claims & p.pod.fs[0]->slots[1].lane.claims, 0);
	assert_int_equal(daxfs_leave(p.pod.fs[0]), 0); /* no lane is lost */
	poison_stop(&p);
}

/* Without the manager's line nobody can do anything. It comes back, and the lanes are there. */
static void rest_cannot_be_told(void **state)
{
	struct daxfs_attr attr;
	struct poison p;
	uint64_t page;

	(void)state;
	alarm(60);
	poison_start(&p, POOL, false);
	page = pool_offset(fs_pool(p.pod.fs[0]), fs_pool(p.pod.fs[0])->member) & ~4095ull;
	spend(p.pod.fs[0]);
	poison_all(&p, page, true);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(daxfs_mknod(p.pod.fs[0], DAXFS_ROOT, "f", S_IFREG | 0644, 0, pod_root, false, &attr),
				 -EIO);
	poison_all(&p, page, false);
	assert_int_equal(daxfs_repair_done(p.pod.fs[0], DAXFS_REPAIR_PAGE, page), 0);
	pod_create(p.pod.fs[0], DAXFS_ROOT, "f");
	assert_int_equal(daxfs_leave(p.pod.fs[0]), 0);
	poison_stop(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(claim_cannot_be_told),
		cmocka_unit_test(owner_meets_it),
		cmocka_unit_test(rest_goes_past),
		cmocka_unit_test(rest_cannot_be_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
