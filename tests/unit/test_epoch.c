/* SPDX-License-Identifier: Apache-2.0 */
/* test_epoch.c - what may be reused when (sync/epoch.c). */
#include "rig.h"

#define EPOCHS 7u

/* The definition, epoch by epoch: does an interval share one with [birth, retired]? */
static bool meet(uint64_t low, uint64_t high, uint64_t birth, uint64_t retired)
{
	for (uint64_t e = low; e <= high; e++)
		if (birth <= e && e <= retired)
			return true;
	return false;
}

/* Every relation of an object's life to one announced interval, and to two. */
static void every_relation(void **state)
{
	struct interval announced[2];
	struct epoch_scan scan = { .announced = announced };
	unsigned reusable = 0, held = 0;

	(void)state;
	for (unsigned code = 0; code < EPOCHS * EPOCHS * EPOCHS * EPOCHS; code++) {
		uint64_t birth = 1 + code % EPOCHS, retired = 1 + code / EPOCHS % EPOCHS;
		uint64_t low = 1 + code / EPOCHS / EPOCHS % EPOCHS, high = 1 + code / EPOCHS / EPOCHS / EPOCHS;
		bool met = meet(low, high, birth, retired);

		if (birth > retired || low > high)
			continue;
		scan.epoch = EPOCHS + 1;
		scan.n = 0;
		scan.oldest = UINT64_MAX;
		assert_true(epoch_reusable(&scan, retired, birth));
		announced[0] = (struct interval){ low, high };
		scan.n = 1;
		scan.oldest = low;
		assert_int_equal(epoch_reusable(&scan, retired, birth), !met);
		/* Second of two, after one that is never in the way. */
		announced[0] = (struct interval){ EPOCHS + 5, EPOCHS + 9 };
		announced[1] = (struct interval){ low, high };
		scan.n = 2;
		assert_int_equal(epoch_reusable(&scan, retired, birth), !met);
		/* A scan says nothing about what was retired in its epoch or later. */
		scan.epoch = retired;
		assert_false(epoch_reusable(&scan, retired, birth));
		held += met;
		reusable += !met;
	}
	assert_true(held > 100 && reusable > 100);
}

static void announcements(void **state)
{
	struct pod pod;
	struct lane *lane;
	uint64_t e;

	(void)state;
	pod_start(&pod, 4 << 20);
	lane = rig_enter(pod.fs[0]);
	e = sm_load(&lane_manager(lane)->epoch);
	assert_int_equal(sm_load(&lane->sm->low), e);
	assert_int_equal(sm_load(&lane->sm->high), e);
	epoch_rescan(&lane->epoch);
	assert_int_equal(sm_load(&lane_manager(lane)->epoch), e + 1);
	assert_int_equal(lane->epoch.scan.epoch, e + 1);
	assert_int_equal(sm_load(&lane->sm->high), e); /* not wider before something is loaded */
	epoch_load(&lane->epoch, rig_word(lane->pool, 0));
	assert_int_equal(sm_load(&lane->sm->low), e);
	assert_int_equal(sm_load(&lane->sm->high), e + 1);
	assert_int_equal(lane->epoch.announced.high, e + 1);
	lane->txn.fault = true;
	lane_renew(lane);
	assert_true(lane->txn.fault); /* of the whole operation */
	assert_int_equal(sm_load(&lane->sm->low), e + 1);
	lane_exit(lane);
	assert_int_equal(sm_load(&lane->sm->low), 0);
	lane_enter(lane);
	assert_false(lane->txn.fault);
	rig_exit(pod.fs[0], lane);
	pod_stop(&pod);
}

/* Loading through a mark protects what the value names, as loading the value does. */
static void marked_values_extend(void **state)
{
	struct pod pod;
	struct lane *owner, *reader;
	sm_u64 *word;
	uint64_t e;

	(void)state;
	pod_start(&pod, 4 << 20);
	owner = rig_enter(pod.fs[0]);
	reader = rig_enter(pod.fs[1]);
	word = rig_word(owner->pool, 0);
	record_begin(owner, OP_WRITE);
	txn_word(&owner->txn, word, DAXFS_W_ATTR, sm_load(word), 7);
	rig_undecided(owner);
	rig_mark(owner, 0);
	rig_status(owner, DAXFS_COMMITTED);
	epoch_rescan(&owner->epoch);
	e = sm_load(&lane_manager(reader)->epoch);
	assert_int_equal(word_payload(word_load(reader, word), DAXFS_W_ATTR), 7);
	assert_int_equal(sm_load(&reader->sm->high), e);
	rig_exit(pod.fs[1], reader);
	record_finish(owner, owner->id, owner->seq);
	rig_status(owner, DAXFS_IDLE);
	rig_exit(pod.fs[0], owner);
	pod_stop(&pod);
}

static void adopt_only_widens(void **state)
{
	struct pod pod;
	struct lane *lane;
	struct sm_lane *owner;
	uint64_t e;

	(void)state;
	pod_start(&pod, 4 << 20);
	for (unsigned i = 0; i < 5; i++) {
		lane = rig_enter(pod.fs[0]);
		epoch_rescan(&lane->epoch);
		rig_exit(pod.fs[0], lane);
	}
	lane = rig_enter(pod.fs[0]);
	owner = &lane->pool->lanes[lane->pool->lanes_total - 1];
	e = lane->epoch.announced.low;
	assert_true(e > 3);
	epoch_adopt(&lane->epoch, owner); /* announces nothing */
	assert_int_equal(sm_load(&lane->sm->low), e);
	sm_store(&owner->low, e + 1);
	epoch_adopt(&lane->epoch, owner); /* younger than ours */
	assert_int_equal(sm_load(&lane->sm->low), e);
	sm_store(&owner->low, e - 2);
	epoch_adopt(&lane->epoch, owner);
	assert_int_equal(sm_load(&lane->sm->low), e - 2);
	assert_int_equal(lane->epoch.announced.low, e - 2);
	assert_int_equal(sm_load(&lane->sm->high), e);
	sm_store(&owner->low, 0);
	epoch_rescan(&lane->epoch);
	epoch_adopt(&lane->epoch, owner);
	assert_int_equal(sm_load(&lane->sm->low), e - 2); /* not narrower when the owner has gone */
	assert_int_equal(sm_load(&lane->sm->high), e + 1);
	rig_exit(pod.fs[0], lane);
	pod_stop(&pod);
}

/* A scan holds every lane of every host that has joined. */
static void snapshot_sees_all(void **state)
{
	struct pod pod;
	struct lane *lane;
	struct pool *pool;

	(void)state;
	pod_start(&pod, 4 << 20);
	lane = fs_take_lane(pod.fs[0]);
	pool = lane->pool;
	for (unsigned i = 0; i < pool->lanes_total; i++) {
		epoch_rescan(&lane->epoch);
		assert_int_equal(lane->epoch.scan.n, 0);
		assert_true(epoch_reusable(&lane->epoch.scan, 1, 1));
		sm_store(&pool->lanes[i].high, 1);
		sm_store(&pool->lanes[i].low, 1);
		epoch_rescan(&lane->epoch);
		assert_false(epoch_reusable(&lane->epoch.scan, 1, 1));
		assert_true(epoch_reusable(&lane->epoch.scan, 2, 2));
		sm_store(&pool->lanes[i].low, 0);
	}
	for (unsigned i = 0; i < pool->lanes_total; i++)
		sm_store(&pool->lanes[i].low, 1);
	epoch_rescan(&lane->epoch);
	assert_int_equal(lane->epoch.scan.n, 2 * pool->lanes_total); /* each look saw all: no room is too small */
	for (unsigned i = 0; i < pool->lanes_total; i++)
		sm_store(&pool->lanes[i].low, 0);
	fs_put_lane(pod.fs[0], lane);
	pod_stop(&pod);
}

/* -- a lane that stopped ---------------------------------------------------------- */

static void write_all(struct daxfs *fs, daxfs_ino ino, uint64_t bytes, uint8_t value)
{
	static uint8_t buf[64 * 1024];

	memset(buf, value, sizeof(buf));
	for (uint64_t at = 0; at < bytes; at += sizeof(buf))
		assert_int_equal(daxfs_write(fs, ino, buf, sizeof(buf), at, 0), sizeof(buf));
}

static uint64_t retired_pages(struct daxfs *fs)
{
	struct daxfs_usage u;
	uint64_t nodes;

	space_usage(fs_pool(fs), DAXFS_T_PAGE, &u, &nodes);
	return u.retired;
}

/* Overwrite `share` per mille of the pool again and again beside a stopped lane.
 * first: the file is there before the lane stops, so its first pages are held back. */
static void beside_a_stopped_lane(unsigned share, bool first)
{
	struct pod pod;
	struct lane *stopped;
	daxfs_ino ino;
	uint64_t bytes;

	pod_start(&pod, 8 << 20);
	ino = pod_create(pod.fs[1], DAXFS_ROOT, "f");
	bytes = rig_pool(&pod)->objects[DAXFS_T_PAGE] * share / 1000 / 16 * 65536;
	if (first)
		write_all(pod.fs[1], ino, bytes, 1);
	stopped = rig_enter(pod.fs[0]);
	for (unsigned round = 0; round < 12; round++)
		write_all(pod.fs[1 + round % 2], ino, bytes, (uint8_t)round);
	if (first) /* what was alive when it stopped is still not reused */
		assert_true(retired_pages(pod.fs[1]) >= bytes / DAXFS_PAGE_SIZE);
	rig_exit(pod.fs[0], stopped);
	write_all(pod.fs[1], ino, bytes, 99);
	pod_stop(&pod);
}

static void half_the_pool(void **state)
{
	(void)state;
	beside_a_stopped_lane(500, false);
}

static void what_was_alive_is_kept(void **state)
{
	(void)state;
	beside_a_stopped_lane(400, true);
}

/* What a stopped lane looks at stays what it is. */
static void what_it_sees_stays(void **state)
{
	struct pod pod;
	struct lane *stopped;
	struct inode inode;
	daxfs_ino ino;
	uint64_t w, birth;
	uint8_t *page;

	(void)state;
	pod_start(&pod, 4 << 20);
	ino = pod_create(pod.fs[1], DAXFS_ROOT, "f");
	write_all(pod.fs[1], ino, 1 << 20, 0x11);
	stopped = rig_enter(pod.fs[0]);
	assert_int_equal(inode_get(stopped, ino, &inode), 0);
	w = word_load(stopped, &inode.sm->direct[3]);
	birth = sm_load(&stopped->pool->birth[DAXFS_T_PAGE][link_index(w)]);
	page = pool_page(stopped->pool, link_index(w));
	for (unsigned round = 0; round < 20; round++) {
		write_all(pod.fs[2], ino, 1 << 20, (uint8_t)(0x20 + round));
		for (unsigned i = 0; i < DAXFS_PAGE_SIZE; i++)
			assert_int_equal(page[i], 0x11);
	}
	assert_int_equal(state_of(rig_state(stopped->pool, DAXFS_T_PAGE, link_index(w))), DAXFS_RETIRED);
	assert_int_equal(sm_load(&stopped->pool->birth[DAXFS_T_PAGE][link_index(w)]), birth);
	rig_exit(pod.fs[0], stopped);
	pod_stop(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_relation),         cmocka_unit_test(announcements),
		cmocka_unit_test(marked_values_extend),   cmocka_unit_test(adopt_only_widens),
		cmocka_unit_test(snapshot_sees_all),      cmocka_unit_test(half_the_pool),
		cmocka_unit_test(what_was_alive_is_kept), cmocka_unit_test(what_it_sees_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
