/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_summary.c - a full pool says so at once, and can still be worked on; what is in use
 * is counted. Time plays no part: a word that is closed is not looked behind, so what was put
 * there behind its back shows whether somebody looked.
 */
#include "rig.h"
#include "space/inner.h"

#define MIB ((uint64_t)1 << 20)
#define GROUPS 40u /* of pages, in the larger pool: more than there are probes */

struct fixture {
	struct pod pod;
	struct pool *pool;
	struct lane *lane;
};

static void fixture_start(struct fixture *s, uint64_t size)
{
	pod_start(&s->pod, size);
	s->pool = rig_pool(&s->pod);
	s->lane = rig_enter(s->pod.fs[0]);
}

static void fixture_stop(struct fixture *s)
{
	rig_exit(s->pod.fs[0], s->lane);
	pod_check(&s->pod);
	pod_stop(&s->pod);
}

/* All free pages are in use, by hand. */
static void fill_states(struct fixture *s)
{
	for (uint64_t i = 0; i < s->pool->objects[DAXFS_T_PAGE]; i++)
		sm_cas(&s->pool->state[DAXFS_T_PAGE][i], 0, state_make(DAXFS_LIVE, DAXFS_USE_LOCKS, 1));
}

/* They are free again. */
static void empty_states(struct fixture *s)
{
	for (uint64_t i = 0; i < s->pool->objects[DAXFS_T_PAGE]; i++)
		if (use_of(rig_state(s->pool, DAXFS_T_PAGE, i)) == DAXFS_USE_LOCKS)
			sm_store(&s->pool->state[DAXFS_T_PAGE][i], 0);
	rig_recount(s->pool);
}

/* Look for one page, and take none. */
static int look(struct fixture *s, uint64_t *page)
{
	struct space_batch batch;
	int rc;

	record_begin(s->lane, OP_SETATTR); /* the reserve is for it, too */
	space_begin(&batch, DAXFS_T_PAGE);
	rc = space_find(s->lane, &batch, DAXFS_USE_DATA, page);
	return record_abort(s->lane, rc);
}

static sm_u64 *top_of(struct fixture *s)
{
	const struct pool_summary *sum = &s->pool->summary[DAXFS_T_PAGE];

	return sum->word[sum->levels - 1];
}

static unsigned top_kind(struct fixture *s)
{
	return (unsigned)(sm_load(top_of(s)) >> DAXFS_GROUP_BITS);
}

/* Who finds nothing closes all words on the way; whatever is freed then, wherever, is found. */
static void full_and_not(void **state)
{
	struct fixture s;
	uint64_t page, pages;

	(void)state;
	fixture_start(&s, 2 * GROUPS * MIB + 8 * MIB);
	pages = s.pool->objects[DAXFS_T_PAGE];
	assert_true(s.pool->summary[DAXFS_T_PAGE].levels >= 2);
	fill_states(&s);
	assert_int_equal(look(&s, &page), -ENOSPC);
	assert_int_equal(top_kind(&s), DAXFS_GROUP_NOTHING);
	/* Said by one word: what is freed behind its back is not seen. */
	sm_store(&s.pool->state[DAXFS_T_PAGE][pages / 2], 0);
	assert_int_equal(look(&s, &page), -ENOSPC);
	summary_open(s.pool, DAXFS_T_PAGE, pages / 2);
	assert_int_equal(top_kind(&s), DAXFS_GROUP_OPEN);
	assert_int_equal(look(&s, &page), 0);
	assert_int_equal(page, pages / 2);
	for (uint64_t at = 3; at < pages; at += pages / 7) {
		sm_store(&s.pool->state[DAXFS_T_PAGE][pages / 2], state_make(DAXFS_LIVE, DAXFS_USE_LOCKS, 1));
		assert_int_equal(look(&s, &page), -ENOSPC);
		sm_store(&s.pool->state[DAXFS_T_PAGE][at], 0);
		summary_open(s.pool, DAXFS_T_PAGE, at);
		assert_int_equal(look(&s, &page), 0);
		assert_int_equal(page, at);
		sm_store(&s.pool->state[DAXFS_T_PAGE][at], state_make(DAXFS_LIVE, DAXFS_USE_LOCKS, 1));
	}
	empty_states(&s);
	fixture_stop(&s);
}

/* What is retired, and was alive when somebody came who is still there, is not looked at again
 * before he is gone. */
static void waiting_for_one(void **state)
{
	struct fixture s;
	struct lane *other;
	uint64_t page, waits, epoch;

	(void)state;
	fixture_start(&s, 16 * MIB);
	waits = s.pool->objects[DAXFS_T_PAGE] - 5;
	fill_states(&s);
	other = rig_enter(s.pod.fs[1]);
	lane_renew(s.lane);
	epoch = sm_load(&lane_manager(s.lane)->epoch);
	sm_store(&s.pool->birth[DAXFS_T_PAGE][waits], 1);
	sm_store(&s.pool->state[DAXFS_T_PAGE][waits], state_make(DAXFS_RETIRED, DAXFS_USE_NONE, epoch));
	assert_int_equal(look(&s, &page), -ENOSPC);
	assert_true(s.lane->txn.starved); /* time helps */
	assert_int_equal(top_kind(&s), DAXFS_GROUP_WAITING);
	lane_renew(s.lane);
	assert_int_equal(look(&s, &page), -ENOSPC);
	assert_true(s.lane->txn.starved);
	rig_exit(s.pod.fs[1], other);
	lane_renew(s.lane);
	assert_int_equal(look(&s, &page), 0);
	assert_int_equal(page, waits);
	empty_states(&s);
	fixture_stop(&s);
}

/* An object that was born after the one who stays came is not held back by him, nor its word. */
static void not_waiting_for_one(void **state)
{
	struct fixture s;
	struct lane *other;
	uint64_t page, young, epoch;

	(void)state;
	fixture_start(&s, 16 * MIB);
	young = s.pool->objects[DAXFS_T_PAGE] - 5;
	fill_states(&s);
	other = rig_enter(s.pod.fs[1]);
	epoch_advance(&s.lane->epoch);
	epoch_advance(&s.lane->epoch);
	epoch = sm_load(&lane_manager(s.lane)->epoch);
	sm_store(&s.pool->birth[DAXFS_T_PAGE][young], epoch);
	sm_store(&s.pool->state[DAXFS_T_PAGE][young], state_make(DAXFS_RETIRED, DAXFS_USE_NONE, epoch));
	lane_renew(s.lane);
	assert_int_equal(look(&s, &page), -ENOSPC); /* we came before it was retired */
	assert_int_not_equal(top_kind(&s), DAXFS_GROUP_WAITING);
	epoch_advance(&s.lane->epoch);
	lane_renew(s.lane);
	assert_int_equal(look(&s, &page), 0);
	assert_int_equal(page, young);
	rig_exit(s.pod.fs[1], other);
	empty_states(&s);
	fixture_stop(&s);
}

/* Retired, aborted, taken apart: each opens the words above. */
static void settling_opens(void **state)
{
	struct fixture s;
	uint64_t page, was;
	sm_u64 *word;

	(void)state;
	fixture_start(&s, 16 * MIB);
	word = rig_word(s.pool, 0);
	record_begin(s.lane, OP_SETATTR);
	assert_int_equal(space_take(s.lane, DAXFS_T_PAGE, DAXFS_USE_DATA, 1, &page), 0);
	txn_word(&s.lane->txn, word, DAXFS_W_ATTR, sm_load(word), 1);
	assert_int_equal(record_commit(s.lane), 0);
	for (unsigned committed = 0; committed < 2; committed++) {
		sm_store(&s.pool->summary[DAXFS_T_PAGE].word[0][page / DAXFS_GROUP],
			 (uint64_t)DAXFS_GROUP_NOTHING << DAXFS_GROUP_BITS);
		sm_store(top_of(&s), (uint64_t)DAXFS_GROUP_NOTHING << DAXFS_GROUP_BITS);
		record_begin(s.lane, OP_SETATTR);
		was = sm_load(word);
		txn_word(&s.lane->txn, word, DAXFS_W_ATTR, was, 2);
		record_retire(s.lane, DAXFS_T_PAGE, page);
		if (!committed)
			record_abort(s.lane, 0); /* frees nothing: still closed */
		else
			assert_int_equal(record_commit(s.lane), 0);
		assert_int_equal(top_kind(&s), committed ? DAXFS_GROUP_OPEN : DAXFS_GROUP_NOTHING);
		sm_store(&s.pool->summary[DAXFS_T_PAGE].word[0][page / DAXFS_GROUP], 0);
	}
	fixture_stop(&s);
}

static daxfs_ino written(struct daxfs *fs, const char *name, uint64_t bytes, size_t each)
{
	daxfs_ino ino = pod_create(fs, DAXFS_ROOT, name);
	static uint8_t buf[256 << 10];

	for (uint64_t at = 0; at < bytes; at += each)
		assert_int_equal(daxfs_write(fs, ino, buf, each, at, 0), each);
	return ino;
}

/* Until there is no page for it. */
static void fill(struct daxfs *fs, daxfs_ino ino)
{
	static uint8_t buf[64 << 10];
	struct daxfs_attr attr;
	ssize_t n;

	assert_int_equal(daxfs_getattr(fs, ino, &attr), 0);
	for (size_t len = sizeof(buf); len >= DAXFS_PAGE_SIZE;) {
		n = daxfs_write(fs, ino, buf, len, 0, DAXFS_APPEND);
		if (n < 0) {
			assert_int_equal(n, -ENOSPC);
			len /= 2;
		}
	}
}

/* A full pool: nothing grows; all of it can be overwritten, cut, renamed, locked, deleted. */
static void work_in_a_full_pool(void **state)
{
	struct daxfs_attr attr = { .size = 0 };
	struct daxfs_lock lock = { .start = 0, .end = 9, .owner = 1, .type = DAXFS_LOCK_WRITE };
	static uint8_t buf[256 << 10], back[256 << 10];
	struct daxfs_statfs st;
	struct pod pod;
	daxfs_ino small, large, big;

	(void)state;
	pod_start(&pod, 24 * MIB);
	small = written(pod.fs[0], "small", MIB, 4096);
	large = written(pod.fs[0], "large", 4 * MIB, 256 << 10);
	written(pod.fs[0], "gone", MIB, 64 << 10);
	big = pod_create(pod.fs[1], DAXFS_ROOT, "big");
	fill(pod.fs[1], big);
	assert_int_equal(daxfs_statfs(pod.fs[2], &st), 0);
	assert_int_equal(st.reserved, 256);
	assert_in_range(st.pages.free, st.reserved, st.reserved + 16);
	assert_int_equal(daxfs_write(pod.fs[2], big, buf, 4096, 0, DAXFS_APPEND), -ENOSPC);
	assert_int_equal(daxfs_file_open(pod.fs[0], small), 0);
	for (unsigned i = 0; i < 2000; i++) {
		struct daxfs *fs = pod.fs[i % POD_HOSTS];

		memset(buf, (int)i, sizeof(buf));
		assert_int_equal(daxfs_write(fs, small, buf, 4096, i * 7919ull % 256 * 4096, 0), 4096);
		assert_int_equal(daxfs_write(fs, large, buf, sizeof(buf), i % 16 * sizeof(buf), 0), sizeof(buf));
		assert_int_equal(daxfs_write(fs, large, buf, 100, i * 7919ull % (4 * MIB - 100), 0), 100);
		assert_int_equal(daxfs_rename(fs, DAXFS_ROOT,
					      i % 2 ? "b"
					      : i   ? "a"
						    : "small",
					      DAXFS_ROOT, i % 2 ? "a" : "b", 0),
				 0);
		lock.type = i % 2 ? DAXFS_UNLOCK : DAXFS_LOCK_WRITE;
		assert_int_equal(daxfs_lock(pod.fs[0], small, &lock), 0);
	}
	assert_int_equal(daxfs_read(pod.fs[1], large, back, 4096, 0), 4096);
	assert_int_equal(daxfs_statfs(pod.fs[2], &st), 0);
	assert_in_range(st.pages.free, st.reserved - 2, st.reserved + 16); /* a page of locks, a node */
	assert_int_equal(daxfs_write(pod.fs[2], big, buf, 4096, 0, DAXFS_APPEND), -ENOSPC);
	pod_check(&pod);
	attr.size = 2 * MIB + 10;
	assert_int_equal(daxfs_setattr(pod.fs[1], large, DAXFS_SET_SIZE, &attr, NULL), 0);
	assert_int_equal(daxfs_unlink(pod.fs[1], DAXFS_ROOT, "gone"), 0);
	assert_int_equal(daxfs_write(pod.fs[2], big, buf, 4096, 0, DAXFS_APPEND), 4096);
	assert_int_equal(daxfs_file_close(pod.fs[0], small), 0);
	pod_check(&pod);
	pod_stop(&pod);
}

/* No inode is left: said by one word, until one is freed. */
static void inodes_run_out(void **state)
{
	struct daxfs_statfs st;
	struct daxfs_attr attr;
	char name[16];
	struct pod pod;
	int rc = 0;

	(void)state;
	pod_start(&pod, 8 * MIB);
	for (unsigned i = 0; rc == 0; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		rc = daxfs_mknod(pod.fs[i % 3], DAXFS_ROOT, name, S_IFREG | 0644, 0, pod_root, false, &attr);
	}
	assert_int_equal(rc, -ENOSPC);
	assert_int_equal(daxfs_statfs(pod.fs[0], &st), 0);
	assert_int_equal(st.inodes.free, 0);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		assert_int_equal(daxfs_mknod(pod.fs[0], DAXFS_ROOT, "more", S_IFREG, 0, pod_root, false, &attr),
				 -ENOSPC);
		assert_int_equal(daxfs_unlink(pod.fs[i % 3], DAXFS_ROOT, name), 0);
		assert_int_equal(daxfs_mknod(pod.fs[(i + 1) % 3], DAXFS_ROOT, name, S_IFREG, 0, pod_root, false, &attr),
				 0);
	}
	pod_check(&pod);
	pod_stop(&pod);
}

/* The memory of a lane failed, and what it had counted: the states are counted then, and nothing is refused. */
static void a_counter_lost(void **state)
{
	struct daxfs_statfs before, after;
	struct pod pod;
	struct pool *pool;
	uint64_t was[2];
	sm_u64 *used;
	daxfs_ino ino;
	char c = 1;

	(void)state;
	pod_start(&pod, 16 * MIB);
	ino = written(pod.fs[1], "f", 4 * MIB, 64 << 10);
	pool = fs_pool_writable(pod.fs[2]);
	used = pool->lanes[4].used; /* of host 1 */
	for (unsigned i = 0; i < 2; i++) {
		was[i] = sm_load(&used[i]);
		sm_store(&used[i], i ? 0 : 3000);
	}
	assert_true(trouble_note_page(pool, pool_offset(pool, used)));
	assert_int_equal(daxfs_write(pod.fs[2], ino, &c, 1, 0, DAXFS_APPEND), 1);
	assert_int_equal(daxfs_statfs(pod.fs[2], &after), 0);
	for (unsigned i = 0; i < 2; i++)
		sm_store(&used[i], was[i]);
	assert_int_equal(daxfs_statfs(pod.fs[0], &before), 0); /* by counters, which are right again */
	assert_int_equal(after.pages.live, before.pages.live);
	assert_int_equal(after.pages.free, before.pages.free);
	assert_int_equal(after.inodes.live, before.inodes.live);
	pod_stop(&pod);
}

/* Pages that were allocated can be written when nothing else can grow; so can attributes be replaced. */
static void allocated_is_kept(void **state)
{
	static uint8_t buf[64 << 10];
	struct pod pod;
	daxfs_ino ino, big;

	(void)state;
	pod_start(&pod, 24 * MIB);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	big = pod_create(pod.fs[1], DAXFS_ROOT, "big");
	assert_int_equal(daxfs_allocate(pod.fs[0], ino, 0, 4 * MIB, DAXFS_ALLOCATE, false), 0);
	assert_int_equal(daxfs_xattr_set(pod.fs[0], ino, "user.a", buf, 100, 0), 0);
	fill(pod.fs[1], big);
	assert_int_equal(daxfs_allocate(pod.fs[0], big, 64 * MIB, MIB, DAXFS_ALLOCATE, false), -ENOSPC);
	assert_int_equal(daxfs_xattr_set(pod.fs[2], big, "user.a", buf, 100, 0), -ENOSPC);
	for (unsigned i = 0; i < 600; i++) {
		struct daxfs *fs = pod.fs[i % POD_HOSTS];

		assert_int_equal(daxfs_write(fs, ino, buf, sizeof(buf), i % 64 * sizeof(buf), 0), sizeof(buf));
		assert_int_equal(daxfs_write(fs, ino, buf, 4096, i * 7919ull % 1024 * 4096, 0), 4096);
		assert_int_equal(daxfs_xattr_set(fs, ino, "user.a", buf, i, 0), 0);
	}
	assert_int_equal(daxfs_allocate(pod.fs[0], ino, 0, MIB, DAXFS_PUNCH, true), 0);
	assert_int_equal(daxfs_write(pod.fs[2], big, buf, 4096, 0, DAXFS_APPEND), 4096);
	pod_stop(&pod);
}

/* -- how much one call looks at --------------------------------------------------------- */

/* Groups of states, and words over them, that the hosts' lanes have looked at so far. */
static uint64_t looked_at(const struct pod *pod)
{
	uint64_t n = 0;

	for (unsigned host = 0; host < POD_HOSTS; host++)
		for (unsigned i = 0; i < pod->fs[host]->n_slots; i++) {
			const struct lane *lane = &pod->fs[host]->slots[i].lane;

			n += atomic_load(&lane->moved) + lane->alloc.looks;
		}
	return n;
}

/* The same number of times, whatever the size of the pool: it is full, and each host works on. */
static uint64_t most_looks_of_a_call(uint64_t size)
{
	static uint8_t buf[64 << 10];
	struct daxfs_attr attr;
	uint64_t most = 0, was;
	struct pod pod;
	char name[16];
	daxfs_ino ino;
	unsigned n = 0;
	int rc = 0;

	pod_start_with(&pod, size, (struct daxfs_mkfs_options){ .inodes = size / MIB * 64, .lanes = 4 });
	for (ino = pod_create(pod.fs[0], DAXFS_ROOT, "f"); rc != -ENOSPC; n++) {
		snprintf(name, sizeof(name), "f%u", n);
		rc = daxfs_mknod(pod.fs[n % 3], DAXFS_ROOT, name, S_IFREG | 0644, 0, pod_root, false, &attr);
	}
	for (uint64_t i = 0; i < size / MIB * 8; i++) /* half of it in extents, then in pages */
		assert_int_equal(daxfs_write(pod.fs[i % 3], ino, buf, sizeof(buf), 0, DAXFS_APPEND), sizeof(buf));
	for (unsigned i = 0; daxfs_write(pod.fs[i % 3], ino, buf, 4096, 0, DAXFS_APPEND) == 4096; i++)
		;
	for (unsigned i = 0; i < 3000; i++) {
		struct daxfs *fs = pod.fs[i / 7 % 3];
		uint64_t at = i * 7919ull * 4096 % (size / 2);

		was = looked_at(&pod);
		switch (i % 7) {
		case 0: rc = (int)daxfs_write(fs, ino, buf, 4096, 0, DAXFS_APPEND) + ENOSPC; break;
		case 1: rc = (int)daxfs_write(fs, ino, buf, 4096, at, 0) - 4096; break;
		case 2: rc = (int)daxfs_write(fs, ino, buf, sizeof(buf), at, 0) - (int)sizeof(buf); break;
		case 3: rc = daxfs_mknod(fs, DAXFS_ROOT, "no", S_IFREG, 0, pod_root, false, &attr) + ENOSPC; break;
		case 4: rc = daxfs_rename(fs, DAXFS_ROOT, "f1", DAXFS_ROOT, "g", 0); break;
		case 5: rc = daxfs_rename(fs, DAXFS_ROOT, "g", DAXFS_ROOT, "f1", 0); break;
		case 6: rc = (int)daxfs_write(fs, ino, buf, 100, at + 50, 0) - 100; break;
		}
		if (rc)
			fail_msg("call %u: %d", i, rc);
		was = looked_at(&pod) - was;
		most = was > most ? was : most;
	}
	pod_check(&pod);
	pod_stop(&pod);
	return most;
}

static void no_call_looks_at_all(void **state)
{
	uint64_t small = most_looks_of_a_call(16 * MIB), large = most_looks_of_a_call(256 * MIB);

	(void)state;
	print_message("most groups and words that one call looked at: %llu in 16 MiB, %llu in 256 MiB\n",
		      (unsigned long long)small, (unsigned long long)large);
	assert_true(large <= 64); /* of 128 groups of pages */
}

/* Counted by those who took and by those who died: exact when nothing is in flight. */
static void counted(void **state)
{
	struct daxfs_recovery report;
	struct daxfs_statfs st;
	struct daxfs_check check;
	struct pod pod;
	struct lane *lane;
	uint64_t page;

	(void)state;
	pod_start(&pod, 16 * MIB);
	for (unsigned i = 0; i < 30; i++) {
		char name[16];

		snprintf(name, sizeof(name), "f%u", i);
		written(pod.fs[i % 3], name, MIB / 8, 64 << 10);
		if (i >= 5) {
			snprintf(name, sizeof(name), "f%u", i - 5);
			assert_int_equal(daxfs_unlink(pod.fs[(i + 1) % 3], DAXFS_ROOT, name), 0);
		}
		check = pod_check(&pod);
		assert_int_equal(daxfs_statfs(pod.fs[0], &st), 0);
		assert_int_equal(st.pages.live, check.usage.pages.live);
		assert_int_equal(st.inodes.live, check.usage.inodes.live);
		assert_int_equal(st.dirents.live, check.usage.dirents.live);
	}
	lane = rig_enter(pod.fs[0]);
	record_begin(lane, OP_WRITE);
	assert_int_equal(space_take(lane, DAXFS_T_PAGE, DAXFS_USE_DATA, 1, &page), 0);
	pod_fence(&pod, 0);
	assert_int_equal(daxfs_recover(pod.fs[1], 0, &report), 0);
	fs_put_lane(pod.fs[0], lane);
	assert_int_equal(daxfs_statfs(pod.fs[1], &st), 0);
	assert_int_equal(st.pages.live, pod_check(&pod).usage.pages.live);
	pod_stop(&pod);
}

/* What was taken is not told yet, but that it was given up is: then less than nothing is in use,
 * which is no reason to refuse anything. */
static void less_than_nothing(void **state)
{
	struct daxfs_statfs st;
	struct pod pod;
	daxfs_ino ino;
	uint64_t was[2];
	sm_u64 *used;
	char c = 1;

	(void)state;
	pod_start(&pod, 16 * MIB);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	used = rig_pool(&pod)->lanes[11].used;
	for (unsigned i = 0; i < 2; i++)
		was[i] = sm_load(&used[i]);
	sm_store(&used[0], (was[0] - 50) & ~(1ull << 63));
	sm_store(&used[1], (was[1] & 1ull << 63) | (0x7fffffffull - 20) << 32 | (0xffffffffull - 20));
	assert_int_equal(daxfs_statfs(pod.fs[0], &st), 0);
	assert_int_equal(st.pages.live + st.inodes.live + st.dirents.live, 0);
	assert_int_equal(daxfs_write(pod.fs[0], ino, &c, 1, 0, DAXFS_APPEND), 1);
	sm_store(&used[0], was[0]);
	sm_store(&used[1], was[1]);
	pod_check(&pod);
	pod_stop(&pod);
}

/* What says that nothing is free although something is, is found. */
static void check_finds_denials(void **state)
{
	struct daxfs_check check;
	struct fixture s;

	(void)state;
	fixture_start(&s, 16 * MIB);
	sm_store(s.pool->summary[DAXFS_T_PAGE].word[0] + 1, (uint64_t)DAXFS_GROUP_NOTHING << DAXFS_GROUP_BITS);
	assert_int_equal(check_pool(s.pool, NULL, NULL, &check), 0);
	assert_int_equal(check.problems, 1);
	sm_store(s.pool->summary[DAXFS_T_PAGE].word[0] + 1, 0);
	sm_store(top_of(&s), (uint64_t)DAXFS_GROUP_WAITING << DAXFS_GROUP_BITS | 1);
	assert_int_equal(check_pool(s.pool, NULL, NULL, &check), 0);
	assert_true(check.problems > 0);
	sm_store(top_of(&s), 0);
	sm_store(&s.pool->lanes[3].used[0], 5);
	assert_int_equal(check_pool(s.pool, NULL, NULL, &check), 0);
	assert_int_equal(check.problems, 1);
	sm_store(&s.pool->lanes[3].used[0], 0);
	fixture_stop(&s);
}

/* The same, repaired. */
static void repair_opens_and_counts(void **state)
{
	struct daxfs_repaired repaired;
	struct daxfs_error err;
	struct pod pod;
	struct pool *pool;

	(void)state;
	pod_start(&pod, 16 * MIB);
	written(pod.fs[0], "f", MIB, 64 << 10);
	for (unsigned i = 0; i < POD_HOSTS; i++)
		assert_int_equal(daxfs_leave(pod.fs[i]), 0);
	pool = rig_pool(&pod);
	sm_store(pool->summary[DAXFS_T_PAGE].word[0] + 2, (uint64_t)DAXFS_GROUP_NOTHING << DAXFS_GROUP_BITS);
	sm_store(pool->summary[DAXFS_T_INODE].word[0], (uint64_t)DAXFS_GROUP_WAITING << DAXFS_GROUP_BITS | 1);
	sm_store(&pool->lanes[3].used[0], sm_load(&pool->lanes[3].used[0]) + 5);
	sm_store(&pool->lanes[2].used[1], sm_load(&pool->lanes[2].used[1]) + (3ull << 32) + 7);
	if (daxfs_repair(pod.fs[0], false, NULL, NULL, &repaired, &err))
		fail_msg("%s", err.text);
	assert_int_equal(repaired.left, 0);
	assert_int_equal(repaired.losses, 0);
	assert_true(repaired.repairs >= 3);
	pod_check(&pod);
	pod_stop(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_and_not),         cmocka_unit_test(waiting_for_one),
		cmocka_unit_test(not_waiting_for_one),  cmocka_unit_test(settling_opens),
		cmocka_unit_test(work_in_a_full_pool),  cmocka_unit_test(inodes_run_out),
		cmocka_unit_test(a_counter_lost),       cmocka_unit_test(allocated_is_kept),
		cmocka_unit_test(no_call_looks_at_all), cmocka_unit_test(counted),
		cmocka_unit_test(check_finds_denials),  cmocka_unit_test(repair_opens_and_counts),
		cmocka_unit_test(less_than_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
