/* SPDX-License-Identifier: Apache-2.0 */
/* test_hosts.c - as many hosts and lanes as there can be: all that depends on which slot a host has. */
#include <sys/mman.h>

#include "rig.h"

#define HOSTS 64u
#define LANES 16u
#define POOL_BYTES (192u << 20)

struct many {
	void *base;
	struct daxfs *fs[HOSTS];
};

static void many_start(struct many *m)
{
	const struct daxfs_mkfs_options options = {
		.hosts = HOSTS,
		.lanes = LANES,
		.size = POOL_BYTES,
		.inodes = 4096,
		.opens = 64,
	};
	struct daxfs_error err;

	m->base = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(m->base != MAP_FAILED);
	if (pool_format(m->base, POOL_BYTES, &options, &err))
		fail_msg("%s", err.text);
	for (unsigned i = 0; i < HOSTS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "many%u", i);
		if (fs_attach(m->base, POOL_BYTES, &m->fs[i], &err) || daxfs_join(m->fs[i], i, name, &err))
			fail_msg("%s", err.text);
	}
}

static void many_check(struct many *m)
{
	struct daxfs_check check;

	assert_int_equal(check_pool(fs_pool(m->fs[0]), pod_print, NULL, &check), 0);
	assert_int_equal(check.problems, 0);
}

static void many_stop(struct many *m)
{
	many_check(m);
	for (unsigned i = 0; i < HOSTS; i++)
		daxfs_close(m->fs[i]);
	munmap(m->base, POOL_BYTES);
}

static struct host_word word_of(struct many *m, unsigned host)
{
	struct host_word word;

	assert_int_equal(host_word_unpack(sm_load(&fs_pool(m->fs[0])->member->host[host].word), &word), 0);
	return word;
}

static void put_word(struct many *m, unsigned host, struct host_word word)
{
	sm_store(&fs_pool_writable(m->fs[0])->member->host[host].word, host_word_pack(word));
}

static void fence(struct many *m, unsigned host)
{
	struct host_word word = word_of(m, host);

	word.state = DAXFS_HOST_FENCED;
	word.generation++;
	put_word(m, host, word);
}

/* A file that only this host holds lives without a name, though nobody else of its 32 does; and then ends. */
static void held_by_each(void **state)
{
	struct many m;
	struct daxfs_attr attr;

	(void)state;
	many_start(&m);
	for (unsigned host = 0; host < HOSTS; host++) {
		struct daxfs *other = m.fs[(host + 31) % HOSTS];
		daxfs_ino ino = pod_create(other, DAXFS_ROOT, "f");
		char c = 'x';

		assert_int_equal(daxfs_file_open(m.fs[host], ino), 0);
		assert_int_equal(daxfs_file_open(m.fs[(host + 32) % HOSTS], ino), 0); /* its like in the other word */
		assert_int_equal(daxfs_file_close(m.fs[(host + 32) % HOSTS], ino), 0);
		assert_int_equal(daxfs_unlink(other, DAXFS_ROOT, "f"), 0);
		assert_int_equal(daxfs_write(m.fs[host], ino, &c, 1, 0, DAXFS_APPEND), 1);
		assert_int_equal(daxfs_getattr(other, ino, &attr), 0);
		assert_int_equal(attr.size, 1);
		assert_int_equal(daxfs_file_close(m.fs[host], ino), 0);
		assert_int_equal(daxfs_getattr(other, ino, &attr), -ESTALE);
	}
	many_stop(&m);
}

/* The same of one that was created open. */
static void created_open_by_each(void **state)
{
	struct many m;
	struct daxfs_attr attr;

	(void)state;
	many_start(&m);
	for (unsigned host = 0; host < HOSTS; host++) {
		assert_int_equal(daxfs_mknod(m.fs[host], DAXFS_ROOT, "f", S_IFREG | 0600, 0, pod_root, true, &attr), 0);
		assert_int_equal(daxfs_unlink(m.fs[(host + 1) % HOSTS], DAXFS_ROOT, "f"), 0);
		assert_int_equal(daxfs_getattr(m.fs[(host + 2) % HOSTS], attr.ino, &attr), 0);
		assert_int_equal(daxfs_file_close(m.fs[host], attr.ino), 0);
		assert_int_equal(daxfs_getattr(m.fs[host], attr.ino, &attr), -ESTALE);
	}
	many_stop(&m);
}

/* Locks of two hosts whose bits are alike exclude each other; who does not hold the file has none. */
static void locked_by_each(void **state)
{
	struct daxfs_lock lock = { .end = 9, .type = DAXFS_LOCK_WRITE, .owner = 1 }, found;
	struct many m;
	daxfs_ino ino;

	(void)state;
	many_start(&m);
	ino = pod_create(m.fs[0], DAXFS_ROOT, "f");
	for (unsigned host = 0; host < HOSTS; host++) {
		struct daxfs *like = m.fs[(host + 32) % HOSTS];

		assert_int_equal(daxfs_file_open(m.fs[host], ino), 0);
		assert_int_equal(daxfs_lock(like, ino, &lock), -EBADF);
		assert_int_equal(daxfs_file_open(like, ino), 0);
		assert_int_equal(daxfs_lock(m.fs[host], ino, &lock), 0);
		assert_int_equal(daxfs_lock(like, ino, &lock), -EAGAIN);
		assert_int_equal(daxfs_lock_get(like, ino, &lock, &found), 0);
		assert_int_equal(found.host, host);
		assert_int_equal(daxfs_file_close(like, ino), 0);
		assert_int_equal(daxfs_lock_get(like, ino, &lock, &found), 0);
		assert_int_equal(found.type, DAXFS_LOCK_WRITE); /* its own went, not this one */
		assert_int_equal(daxfs_file_close(m.fs[host], ino), 0);
		assert_int_equal(daxfs_lock_get(like, ino, &lock, &found), 0);
		assert_int_equal(found.type, DAXFS_UNLOCK);
	}
	many_stop(&m);
}

/* Each dies holding a nameless file and a lock, with a page taken, and is recovered by one far away. */
static void recovered_each(void **state)
{
	struct daxfs_lock lock = { .end = 9, .type = DAXFS_LOCK_WRITE, .owner = 1 }, found;
	struct daxfs_recovery report;
	struct daxfs_attr attr;
	struct many m;
	daxfs_ino common;

	(void)state;
	many_start(&m);
	common = pod_create(m.fs[0], DAXFS_ROOT, "common");
	for (unsigned host = 1; host < HOSTS; host++) {
		struct daxfs *by = m.fs[host == HOSTS - 1 ? 0 : HOSTS - 1];
		daxfs_ino ino = pod_create(m.fs[host], DAXFS_ROOT, "f");
		struct lane *lane;
		uint64_t page;

		assert_int_equal(daxfs_file_open(m.fs[host], ino), 0);
		assert_int_equal(daxfs_file_open(m.fs[host], common), 0);
		assert_int_equal(daxfs_lock(m.fs[host], common, &lock), 0);
		assert_int_equal(daxfs_unlink(m.fs[0], DAXFS_ROOT, "f"), 0);
		lane = rig_enter(m.fs[host]);
		record_begin(lane, OP_WRITE);
		assert_int_equal(space_take(lane, DAXFS_T_PAGE, DAXFS_USE_DATA, 1, &page), 0);
		fence(&m, host);
		assert_int_equal(daxfs_recover(by, host, &report), 0);
		assert_int_equal(report.opens, 2);
		assert_int_equal(report.rolled_back, 1);
		assert_int_equal(sm_load(&lane->sm->low), 0);
		assert_int_equal(rig_state(lane->pool, DAXFS_T_PAGE, page), 0);
		assert_int_equal(daxfs_getattr(by, ino, &attr), -ESTALE);
		assert_int_equal(daxfs_lock_get(by, common, &lock, &found), 0);
		assert_int_equal(found.type, DAXFS_UNLOCK);
		fs_put_lane(m.fs[host], lane);
	}
	many_stop(&m);
}

/* Who looks for reusable objects sees what each of 1,024 lanes announces. */
static void every_lane_is_seen(void **state)
{
	struct many m;
	struct lane *looker;
	struct pool *pool;

	(void)state;
	many_start(&m);
	pool = fs_pool_writable(m.fs[7]);
	looker = fs_take_lane(m.fs[7]); /* and announces nothing itself */
	for (unsigned i = 0; i < HOSTS * LANES; i++) {
		uint64_t epoch = sm_load(&pool->member->manager.epoch), low = sm_load(&pool->lanes[i].low);

		sm_store(&pool->lanes[i].high, epoch);
		sm_store(&pool->lanes[i].low, epoch);
		epoch_rescan(&looker->epoch);
		epoch_rescan(&looker->epoch);
		assert_false(epoch_reusable(&looker->epoch.scan, epoch, epoch));
		sm_store(&pool->lanes[i].low, low);
		epoch_rescan(&looker->epoch);
		assert_true(epoch_reusable(&looker->epoch.scan, epoch, epoch));
	}
	fs_put_lane(m.fs[7], looker);
	many_stop(&m);
}

/* ... in each state that its host may be in, but for those of a slot that is free, or was never taken. */
static void free_slots_are_passed_over(void **state)
{
	struct many m;
	struct lane *looker;
	struct pool *pool;
	sm_u64 *word;
	uint64_t was;

	(void)state;
	many_start(&m);
	pool = fs_pool_writable(m.fs[7]);
	looker = fs_take_lane(m.fs[7]);
	word = &pool->member->host[40].word;
	was = sm_load(word);
	sm_store(&pool->lanes[40 * LANES + 3].high, 1);
	sm_store(&pool->lanes[40 * LANES + 3].low, 1);
	for (unsigned i = 0; i < 16; i++) { /* those that make no sense, too */
		sm_store(word, (was & ~(15ull << 36)) | (uint64_t)i << 36);
		epoch_rescan(&looker->epoch);
		assert_int_equal(epoch_reusable(&looker->epoch.scan, 1, 1), i == DAXFS_HOST_FREE);
	}
	sm_store(word, 1ull << 28); /* FREE, and names a recoverer */
	epoch_rescan(&looker->epoch);
	assert_false(epoch_reusable(&looker->epoch.scan, 1, 1));
	sm_store(word, was);
	sm_store(&pool->lanes[40 * LANES + 3].low, 0);
	fs_put_lane(m.fs[7], looker);
	many_stop(&m);
}

/* What a host took stays counted when it has left, in whatever generation its slot is. */
static void free_slots_count(void **state)
{
	static const uint8_t byte = 1;
	struct daxfs_statfs before, after;
	struct daxfs_error err;
	struct many m;
	struct pool *pool;
	daxfs_ino ino;

	(void)state;
	many_start(&m);
	ino = pod_create(m.fs[40], DAXFS_ROOT, "f");
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(daxfs_write(m.fs[40], ino, &byte, 1, (uint64_t)i * DAXFS_PAGE_SIZE, 0), 1);
	assert_int_equal(daxfs_statfs(m.fs[0], &before), 0);
	assert_int_equal(daxfs_leave(m.fs[40]), 0);
	assert_int_equal(daxfs_statfs(m.fs[0], &after), 0);
	assert_int_equal(after.pages.live, before.pages.live);
	assert_int_equal(after.inodes.live, before.inodes.live);
	/* After the last generation comes the first again. */
	pool = fs_pool_writable(m.fs[0]);
	sm_store(&pool->member->host[40].word, 0);
	assert_int_equal(daxfs_statfs(m.fs[0], &after), 0);
	assert_int_equal(after.pages.live, before.pages.live);
	assert_int_equal(daxfs_join(m.fs[40], 40, "many40", &err), 0);
	many_stop(&m);
}

/* A recovery is its recoverer's alone: not another host's, nor that of the next tenant of its slot. */
static void recovery_has_an_owner(void **state)
{
	struct daxfs_recovery report;
	struct daxfs_error err;
	struct host_word word;
	struct many m;

	(void)state;
	many_start(&m);
	fence(&m, 40);
	word = word_of(&m, 40);
	word.state = DAXFS_HOST_RECOVERING;
	word.recoverer = 50;
	word.recoverer_generation = DAXFS_RECOVERER_GENERATION(word_of(&m, 50).generation);
	put_word(&m, 40, word);
	assert_int_equal(daxfs_recover(m.fs[18], 40, &report), -EBUSY);
	assert_int_equal(daxfs_recover_assigned(m.fs[18], &report, 1), 0);
	assert_int_equal(daxfs_leave(m.fs[50]), 0);
	assert_int_equal(daxfs_join(m.fs[50], 50, "next", &err), 0);
	assert_int_equal(daxfs_recover_assigned(m.fs[50], &report, 1), 0);
	assert_int_equal(daxfs_recover(m.fs[50], 40, &report), -EBUSY);
	word.recoverer_generation = DAXFS_RECOVERER_GENERATION(word_of(&m, 50).generation);
	put_word(&m, 40, word);
	assert_int_equal(daxfs_recover_assigned(m.fs[50], &report, 1), 1);
	many_stop(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(held_by_each),       cmocka_unit_test(created_open_by_each),
		cmocka_unit_test(locked_by_each),     cmocka_unit_test(recovered_each),
		cmocka_unit_test(every_lane_is_seen), cmocka_unit_test(free_slots_are_passed_over),
		cmocka_unit_test(free_slots_count),   cmocka_unit_test(recovery_has_an_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
