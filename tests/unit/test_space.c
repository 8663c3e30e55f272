/* SPDX-License-Identifier: Apache-2.0 */
/* test_space.c - taking objects: which, under whose name, and when there are none (space/space.c). */
#include <pthread.h>
#include <unistd.h>

#include "hang.h"
#include "rig.h"
#include "space/inner.h"

struct fixture {
	struct pod pod;
	struct pool *pool;
	struct lane *a, *b;
};

static void fixture_start(struct fixture *s)
{
	alarm(HANG_S);
	pod_start(&s->pod, 2 << 20);
	s->pool = rig_pool(&s->pod);
	s->a = rig_enter(s->pod.fs[0]);
	s->b = rig_enter(s->pod.fs[1]);
}

static void fixture_stop(struct fixture *s)
{
	rig_exit(s->pod.fs[0], s->a);
	rig_exit(s->pod.fs[1], s->b);
	pod_stop(&s->pod);
}

static struct daxfs_usage usage(struct fixture *s, enum daxfs_type type)
{
	struct daxfs_usage u;
	uint64_t nodes;

	space_usage(s->pool, type, &u, &nodes);
	assert_int_equal(u.free + u.live + u.private_ + u.retired, u.total);
	return u;
}

static int take(struct lane *lane, enum daxfs_type type, unsigned n, uint64_t *out)
{
	static const enum daxfs_use use[DAXFS_TYPES] = { DAXFS_USE_DATA, DAXFS_USE_INODE, DAXFS_USE_DIRENT };

	return space_take(lane, type, use[type], n, out);
}

/* What is taken is PRIVATE to the record and named in it. */
static void taken_is_named(void **state)
{
	struct fixture s;
	uint64_t out[5], txid;

	(void)state;
	fixture_start(&s);
	for (unsigned type = 0; type < DAXFS_TYPES; type++) {
		record_begin(s.a, OP_WRITE);
		txid = txid_make(s.a->id, s.a->seq);
		assert_int_equal(take(s.a, (enum daxfs_type)type, 2, out), 0);
		assert_int_equal(take(s.a, (enum daxfs_type)type, 3, out + 2), 0);
		assert_int_equal(sm_load(&s.a->sm->n_allocs), 5);
		for (unsigned i = 0; i < 5; i++) {
			uint64_t w = rig_state(s.pool, (enum daxfs_type)type, out[i]);

			assert_int_equal(sm_load(&s.a->sm->allocs[i]), object_make((enum daxfs_type)type, out[i]));
			assert_int_equal(state_of(w), DAXFS_PRIVATE);
			assert_int_equal(txid_of(w), txid);
			assert_int_not_equal(use_of(w), DAXFS_USE_NONE);
			assert_int_equal(sm_load(&s.pool->birth[type][out[i]]), sm_load(&lane_manager(s.a)->epoch));
		}
		assert_int_equal(record_abort(s.a, 0), 0);
	}
	fixture_stop(&s);
}

/* Everything that is free can be had, once, and then there is nothing; index 0 and
 * the root are no inodes to take. */
static void all_of_a_type(enum daxfs_type type)
{
	struct fixture s;
	struct daxfs_usage before;
	uint8_t *seen;
	uint64_t out[1], taken = 0;

	fixture_start(&s);
	before = usage(&s, type);
	seen = calloc(1, before.total);
	record_begin(s.a, OP_WRITE);
	while (taken < before.free) {
		if (s.a->txn.n_allocs == DAXFS_RECORD_ALLOCS) {
			assert_int_equal(record_commit(s.a), 0);
			record_begin(s.a, OP_WRITE);
		}
		assert_int_equal(take(s.a, type, 1, out), 0);
		assert_true(out[0] < before.total);
		assert_int_equal(seen[out[0]]++, 0);
		taken++;
	}
	assert_int_equal(usage(&s, type).free, 0);
	assert_int_equal(record_commit(s.a), 0);
	record_begin(s.a, OP_WRITE);
	assert_int_equal(take(s.a, type, 1, out), -ENOSPC);
	assert_false(s.a->txn.starved); /* time does not help */
	assert_int_equal(record_abort(s.a, -ENOSPC), -ENOSPC);
	for (uint64_t i = 0; i < before.total; i++)
		if (seen[i])
			sm_store(&s.pool->state[type][i], 0);
	rig_recount(s.pool);
	assert_int_equal(usage(&s, type).free, before.free);
	free(seen);
	fixture_stop(&s);
}

static void all_of_each_type(void **state)
{
	(void)state;
	for (unsigned type = 0; type < DAXFS_TYPES; type++)
		all_of_a_type((enum daxfs_type)type);
}

/* The one wanted if it is free, else another; one that no pool has is just not there. */
static void wanted_first(void **state)
{
	const uint64_t wanted[] = { 77, 77, UINT64_MAX, 0 };
	struct fixture s;
	uint64_t out[4];

	(void)state;
	fixture_start(&s);
	record_begin(s.a, OP_CREATE);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(space_take_at(s.a, DAXFS_T_DIRENT, DAXFS_USE_DIRENT, wanted[i], &out[i]), 0);
	assert_int_equal(out[0], 77);
	for (unsigned i = 1; i < 4; i++)
		assert_int_not_equal(out[i], 77);
	assert_int_equal(sm_load(&s.a->sm->n_allocs), 4);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(state_of(rig_state(s.pool, DAXFS_T_DIRENT, out[i])), DAXFS_PRIVATE);
	assert_int_equal(record_abort(s.a, 0), 0);
	fixture_stop(&s);
}

/* Asking for more than there is: nothing stays taken after the record is given up. */
static void all_or_nothing(void **state)
{
	struct fixture s;
	uint64_t out[DAXFS_RECORD_ALLOCS];
	struct daxfs_usage before;

	(void)state;
	fixture_start(&s);
	before = usage(&s, DAXFS_T_PAGE);
	for (uint64_t i = 0, left = before.free; left > 40; i++)
		if (sm_cas(&s.pool->state[DAXFS_T_PAGE][i], 0, state_make(DAXFS_LIVE, DAXFS_USE_DATA, 1)))
			left--;
	record_begin(s.a, OP_WRITE);
	assert_int_equal(take(s.a, DAXFS_T_PAGE, 41, out), -ENOSPC);
	assert_int_equal(record_abort(s.a, -ENOSPC), -ENOSPC);
	assert_int_equal(usage(&s, DAXFS_T_PAGE).free, 40);
	record_begin(s.a, OP_WRITE);
	assert_int_equal(take(s.a, DAXFS_T_PAGE, DAXFS_RECORD_ALLOCS + 1, out), -E2BIG);
	assert_int_equal(take(s.a, DAXFS_T_PAGE, 40, out), 0);
	assert_int_equal(record_abort(s.a, 0), 0);
	for (uint64_t i = 0; i < before.total; i++)
		sm_cas(&s.pool->state[DAXFS_T_PAGE][i], state_make(DAXFS_LIVE, DAXFS_USE_DATA, 1), 0);
	assert_int_equal(usage(&s, DAXFS_T_PAGE).free, before.free);
	fixture_stop(&s);
}

/* Retired pages come back when nobody can see them, and not before. */
static void retired_waits(void **state)
{
	struct fixture s;
	uint64_t page, out[1];

	(void)state;
	fixture_start(&s);
	/* All pages but one are in use, and that one is retired now. */
	record_begin(s.a, OP_WRITE);
	assert_int_equal(take(s.a, DAXFS_T_PAGE, 1, &page), 0);
	assert_int_equal(record_commit(s.a), 0);
	for (uint64_t i = 0; i < s.pool->objects[DAXFS_T_PAGE]; i++)
		sm_cas(&s.pool->state[DAXFS_T_PAGE][i], 0, state_make(DAXFS_LIVE, DAXFS_USE_DATA, 1));
	record_begin(s.a, OP_FREE);
	record_retire(s.a, DAXFS_T_PAGE, page);
	assert_int_equal(record_commit(s.a), 0);
	lane_exit(s.a);
	record_begin(s.a, OP_WRITE);
	assert_int_equal(take(s.a, DAXFS_T_PAGE, 1, out), -ENOSPC); /* b is inside, since before */
	assert_true(s.a->txn.starved);
	record_abort(s.a, 0);
	lane_renew(s.b); /* b moves on, and cannot have seen it */
	record_begin(s.a, OP_WRITE);
	assert_int_equal(take(s.a, DAXFS_T_PAGE, 1, out), 0);
	assert_int_equal(out[0], page);
	record_abort(s.a, 0);
	assert_int_equal(rig_state(s.pool, DAXFS_T_PAGE, page), 0);
	for (uint64_t i = 0; i < s.pool->objects[DAXFS_T_PAGE]; i++)
		sm_cas(&s.pool->state[DAXFS_T_PAGE][i], state_make(DAXFS_LIVE, DAXFS_USE_DATA, 1), 0);
	lane_enter(s.a);
	fixture_stop(&s);
}

/* What a lane retired itself is what it takes next: the page is warm. */
static void own_retired_first(void **state)
{
	struct fixture s;
	uint64_t page[8], again[8];

	(void)state;
	fixture_start(&s);
	record_begin(s.a, OP_WRITE);
	assert_int_equal(take(s.a, DAXFS_T_PAGE, 8, page), 0);
	assert_int_equal(record_commit(s.a), 0);
	record_begin(s.a, OP_FREE);
	for (unsigned i = 0; i < 8; i++)
		record_retire(s.a, DAXFS_T_PAGE, page[i]);
	assert_int_equal(record_commit(s.a), 0);
	lane_exit(s.a);
	lane_exit(s.b);
	epoch_rescan(&s.a->epoch);
	record_begin(s.a, OP_WRITE);
	assert_int_equal(take(s.a, DAXFS_T_PAGE, 8, again), 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(again[i], page[i]);
	record_abort(s.a, 0);
	lane_enter(s.a);
	lane_enter(s.b);
	fixture_stop(&s);
}

/* States that make no sense are nobody's to take. */
static void senseless_states(void **state)
{
	struct fixture s;
	uint64_t total, left, out[1], kept[4];
	const uint64_t odd[4] = { 1, state_make(DAXFS_FREE, DAXFS_USE_DATA, 7), 4ull << 61, UINT64_MAX };
	struct daxfs_usage before;

	(void)state;
	fixture_start(&s);
	total = s.pool->objects[DAXFS_T_PAGE];
	before = usage(&s, DAXFS_T_PAGE);
	for (uint64_t i = 0; i < total; i++)
		sm_cas(&s.pool->state[DAXFS_T_PAGE][i], 0, state_make(DAXFS_LIVE, DAXFS_USE_DATA, 1));
	for (unsigned k = 0; k < 4; k++) {
		kept[k] = total - 10 - k;
		sm_store(&s.pool->state[DAXFS_T_PAGE][kept[k]], odd[k]);
	}
	record_begin(s.a, OP_WRITE);
	assert_int_equal(take(s.a, DAXFS_T_PAGE, 1, out), -ENOSPC);
	record_abort(s.a, 0);
	for (unsigned k = 0; k < 4; k++) {
		assert_int_equal(rig_state(s.pool, DAXFS_T_PAGE, kept[k]), odd[k]);
		sm_store(&s.pool->state[DAXFS_T_PAGE][kept[k]], 0);
	}
	for (uint64_t i = left = 0; i < total; i++)
		left += sm_cas(&s.pool->state[DAXFS_T_PAGE][i], state_make(DAXFS_LIVE, DAXFS_USE_DATA, 1), 0);
	rig_recount(s.pool);
	assert_int_equal(left + 4, before.free);
	fixture_stop(&s);
}

/* A state that says EXTENT where none can be is not believed, whatever stands behind it. */
static void senseless_extents(void **state)
{
	struct fixture s;
	uint64_t was[20], total;

	(void)state;
	fixture_start(&s);
	total = s.pool->objects[DAXFS_T_PAGE];
	for (unsigned i = 0; i < 20; i++) {
		was[i] = rig_state(s.pool, DAXFS_T_PAGE, 64 + i);
		sm_store(&s.pool->state[DAXFS_T_PAGE][64 + i], state_make(DAXFS_LIVE, DAXFS_USE_TAIL, 1));
	}
	assert_true(extent_whole(s.pool, 64));
	assert_false(extent_whole(s.pool, 65));
	assert_false(extent_whole(s.pool, 68));
	assert_false(extent_whole(s.pool, (total + 15) / 16 * 16));
	assert_false(extent_whole(s.pool, UINT64_MAX / 16 * 16));
	for (unsigned i = 0; i < 20; i++)
		sm_store(&s.pool->state[DAXFS_T_PAGE][64 + i], was[i]);
	fixture_stop(&s);
}

/* Of each epoch at most a bounded number of objects is born in one lane, even
 * when everything is free: what a lane that stops holds back is bounded. */
static void births_spread_over_epochs(void **state)
{
	struct fixture s;
	uint64_t out[32], first;

	(void)state;
	fixture_start(&s);
	first = sm_load(&lane_manager(s.a)->epoch);
	for (unsigned i = 0; i < 8; i++) {
		record_begin(s.a, OP_WRITE);
		assert_int_equal(take(s.a, DAXFS_T_PAGE, 32, out), 0);
		record_abort(s.a, 0);
	}
	assert_true(sm_load(&lane_manager(s.a)->epoch) >= first + 4);
	fixture_stop(&s);
}

static void usage_counts(void **state)
{
	struct fixture s;
	uint64_t nodes, out[6];
	struct daxfs_usage u, before;

	(void)state;
	fixture_start(&s);
	space_usage(s.pool, DAXFS_T_PAGE, &before, &nodes);
	assert_int_equal(nodes, 1); /* the root directory */
	assert_int_equal(before.live, 1);
	record_begin(s.a, OP_WRITE);
	assert_int_equal(space_take(s.a, DAXFS_T_PAGE, DAXFS_USE_NODE, 2, out), 0);
	assert_int_equal(space_take(s.a, DAXFS_T_PAGE, DAXFS_USE_DATA, 4, out + 2), 0);
	space_usage(s.pool, DAXFS_T_PAGE, &u, &nodes);
	assert_int_equal(u.private_, 6);
	assert_int_equal(nodes, 1); /* live ones */
	assert_int_equal(record_commit(s.a), 0);
	space_usage(s.pool, DAXFS_T_PAGE, &u, &nodes);
	assert_int_equal(u.live, before.live + 6);
	assert_int_equal(u.free, before.free - 6);
	assert_int_equal(nodes, 3);
	record_begin(s.a, OP_FREE);
	for (unsigned i = 0; i < 6; i++)
		record_retire(s.a, DAXFS_T_PAGE, out[i]);
	assert_int_equal(record_commit(s.a), 0);
	space_usage(s.pool, DAXFS_T_PAGE, &u, &nodes);
	assert_int_equal(u.retired, 6);
	assert_int_equal(u.live, before.live);
	assert_int_equal(nodes, 1);
	fixture_stop(&s);
}

/* -- two lanes at once --------------------------------------------------------------- */

#define ROUNDS 3000

struct taker {
	struct lane *lane;
	unsigned *owner; /* of each page, 0 nobody */
	unsigned clashes, empty;
};

/* Take some, say whose they are, give them back. */
/* Most of a pool is in use, all of it in one piece: who looks there does not look through it. */
static void full_in_one_part(void **unused)
{
	struct space_batch batch;
	struct pod pod;
	struct pool *pool;
	struct lane *lane;
	uint64_t full, out;

	(void)unused;
	alarm(HANG_S);
	pod_start(&pod, 256 << 20);
	pool = rig_pool(&pod);
	lane = rig_enter(pod.fs[0]);
	full = pool->objects[DAXFS_T_PAGE] / 4 * 3;
	for (uint64_t i = 1; i < full; i++)
		if (sm_load(&pool->state[DAXFS_T_PAGE][i]) == 0)
			sm_store(&pool->state[DAXFS_T_PAGE][i], state_make(DAXFS_LIVE, DAXFS_USE_LOCKS, 1));
	for (unsigned n = 0; n < 20; n++) {
		lane->alloc.cursor[DAXFS_T_PAGE] = n * full / 40;
		lane->alloc.next_known = false;
		record_begin(lane, OP_WRITE);
		space_begin(&batch, DAXFS_T_PAGE);
		assert_int_equal(space_find(lane, &batch, DAXFS_USE_DATA, &out), 0);
		assert_true(out >= full);
		assert_true(batch.scanned < full / 4);
		assert_int_equal(record_abort(lane, 0), 0);
	}
	/* Nothing is free but the last page that is looked at: it is found. */
	for (uint64_t i = full; i < pool->objects[DAXFS_T_PAGE]; i++)
		sm_store(&pool->state[DAXFS_T_PAGE][i], state_make(DAXFS_LIVE, DAXFS_USE_LOCKS, 1));
	sm_store(&pool->state[DAXFS_T_PAGE][full / 2], 0);
	summary_open(pool, DAXFS_T_PAGE, full / 2);
	record_begin(lane, OP_WRITE);
	assert_int_equal(take(lane, DAXFS_T_PAGE, 1, &out), 0);
	assert_int_equal(out, full / 2);
	assert_int_equal(take(lane, DAXFS_T_PAGE, 1, &out), -ENOSPC);
	assert_int_equal(record_abort(lane, 0), 0);
	rig_exit(pod.fs[0], lane);
	for (uint64_t i = 1; i < pool->objects[DAXFS_T_PAGE]; i++)
		if (use_of(sm_load(&pool->state[DAXFS_T_PAGE][i])) == DAXFS_USE_LOCKS)
			sm_store(&pool->state[DAXFS_T_PAGE][i], 0);
	rig_recount(pool);
	pod_check(&pod);
	pod_stop(&pod);
}

static void *take_and_give(void *arg)
{
	struct taker *t = arg;
	uint64_t out[16];

	for (unsigned round = 0; round < ROUNDS; round++) {
		record_begin(t->lane, OP_WRITE);
		if (take(t->lane, DAXFS_T_PAGE, 16, out)) {
			t->empty++;
		} else {
			for (unsigned i = 0; i < 16; i++)
				t->clashes += __atomic_fetch_add(&t->owner[out[i]], 1, __ATOMIC_SEQ_CST) != 0;
			for (unsigned i = 0; i < 16; i++)
				__atomic_fetch_sub(&t->owner[out[i]], 1, __ATOMIC_SEQ_CST);
		}
		record_abort(t->lane, 0);
	}
	return NULL;
}

static void no_two_take_one(void **state)
{
	struct fixture s;
	struct taker taker[2];
	pthread_t thread[2];

	(void)state;
	fixture_start(&s);
	/* 48 pages for two takers of 16: they meet all the time, and always find enough. */
	for (uint64_t i = 0, left = usage(&s, DAXFS_T_PAGE).free; left > 48; i++)
		if (sm_cas(&s.pool->state[DAXFS_T_PAGE][i], 0, state_make(DAXFS_LIVE, DAXFS_USE_DATA, 1)))
			left--;
	taker[0] = (struct taker){ .lane = s.a };
	taker[1] = (struct taker){ .lane = s.b };
	taker[0].owner = taker[1].owner = calloc(s.pool->objects[DAXFS_T_PAGE], sizeof(unsigned));
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, take_and_give, &taker[i]), 0);
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(taker[i].clashes, 0);
		assert_true(taker[i].empty < ROUNDS / 2); /* a pass can miss what moves behind it */
	}
	assert_int_equal(usage(&s, DAXFS_T_PAGE).free, 48);
	free(taker[0].owner);
	for (uint64_t i = 0; i < s.pool->objects[DAXFS_T_PAGE]; i++)
		sm_cas(&s.pool->state[DAXFS_T_PAGE][i], state_make(DAXFS_LIVE, DAXFS_USE_DATA, 1), 0);
	fixture_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(taken_is_named),
		cmocka_unit_test(wanted_first),
		cmocka_unit_test(all_of_each_type),
		cmocka_unit_test(all_or_nothing),
		cmocka_unit_test(retired_waits),
		cmocka_unit_test(own_retired_first),
		cmocka_unit_test(senseless_states),
		cmocka_unit_test(senseless_extents),
		cmocka_unit_test(births_spread_over_epochs),
		cmocka_unit_test(full_in_one_part),
		cmocka_unit_test(usage_counts),
		cmocka_unit_test(no_two_take_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
