/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_quarantine.c - memory that failed is never handed out: not while it is free, not when it becomes
 * free, and not by hosts that have not learned of it. What cannot be listed is not gone past.
 */
#include "poison.h"
#include "rig.h"

#define POOL (1u << 20)

static void start(struct poison *p)
{
	alarm(120);
	poison_start(p, POOL, false);
}

static struct pool *pool_of(struct poison *p, unsigned host)
{
	return fs_pool_writable(p->pod.fs[host]);
}

/* Host 0 meets it in a call. */
static void meet(struct poison *p, uint64_t offset)
{
	struct lane *lane = fs_take_lane(p->pod.fs[0]);

	poison_all(p, offset, true);
	assert_true(mend_page(p->pod.fs[0], lane, offset));
	fs_put_lane(p->pod.fs[0], lane);
}

/* Write until nothing is free, and remove it all again, some times: whatever can be handed out was. */
static void use_all(struct poison *p, unsigned host)
{
	static const char bytes[4096];
	struct daxfs *fs = p->pod.fs[host];
	daxfs_ino ino;

	for (unsigned round = 0; round < 3; round++) {
		ssize_t n = 4096;

		ino = pod_create(fs, DAXFS_ROOT, "all");
		for (uint64_t at = 0; n == 4096; at += 4096)
			n = daxfs_write(fs, ino, bytes, sizeof(bytes), at, 0);
		assert_int_equal(n, -ENOSPC);
		assert_int_equal(daxfs_unlink(fs, DAXFS_ROOT, "all"), 0);
	}
}

static void expect_quarantined(struct poison *p, enum daxfs_type type, uint64_t index)
{
	uint64_t s = rig_state(pool_of(p, 2), type, index);

	assert_int_equal(state_of(s), DAXFS_LIVE);
	assert_int_equal(use_of(s), DAXFS_USE_BAD);
}

static uint64_t page_offset(struct poison *p, uint64_t page)
{
	return pool_offset(pool_of(p, 0), pool_page(pool_of(p, 0), page));
}

/* Free when it fails: in quarantine at once, so that hosts that do not know of it pass it over. */
static void free_page(void **state)
{
	struct daxfs_statfs usage;
	struct poison p;
	uint64_t page;

	(void)state;
	start(&p);
	page = pool_of(&p, 0)->objects[DAXFS_T_PAGE] - 1;
	assert_int_equal(rig_state(pool_of(&p, 0), DAXFS_T_PAGE, page), 0);
	meet(&p, page_offset(&p, page));
	expect_quarantined(&p, DAXFS_T_PAGE, page);
	use_all(&p, 1);
	use_all(&p, 0);
	expect_quarantined(&p, DAXFS_T_PAGE, page);
	assert_int_equal(daxfs_statfs(p.pod.fs[2], &usage), 0);
	assert_int_equal(usage.pages.quarantined, 1);
	poison_stop(&p);
}

/* In use when it fails: it stays so; free again, it is not handed out by who knows, and then not by others. */
static void used_page(void **state)
{
	static const char bytes[4096];
	struct poison p;
	uint64_t page;
	daxfs_ino ino;

	(void)state;
	start(&p);
	ino = pod_create(p.pod.fs[0], DAXFS_ROOT, "f");
	assert_int_equal(daxfs_write(p.pod.fs[0], ino, bytes, sizeof(bytes), 0, 0), 4096);
	page = link_index(sm_load(&pool_of(&p, 0)->inodes[handle_index(ino)].direct[0]));
	meet(&p, page_offset(&p, page));
	assert_int_equal(use_of(rig_state(pool_of(&p, 0), DAXFS_T_PAGE, page)), DAXFS_USE_DATA);
	assert_int_equal(daxfs_unlink(p.pod.fs[0], DAXFS_ROOT, "f"), 0);
	use_all(&p, 0);
	expect_quarantined(&p, DAXFS_T_PAGE, page);
	use_all(&p, 1);
	expect_quarantined(&p, DAXFS_T_PAGE, page);
	poison_stop(&p);
}

/*
 * Who joins learns of it before it takes anything. Made free by who has not learned of it, it is in no
 * quarantine; and it can be written again, so that nothing stops who does not know.
 */
static void learnt_by_joining(void **state)
{
	static const char bytes[4096];
	struct daxfs_error err;
	struct poison p;
	uint64_t page;
	daxfs_ino ino;

	(void)state;
	start(&p);
	assert_int_equal(daxfs_leave(p.pod.fs[1]), 0);
	ino = pod_create(p.pod.fs[0], DAXFS_ROOT, "f");
	assert_int_equal(daxfs_write(p.pod.fs[0], ino, bytes, sizeof(bytes), 0, 0), 4096);
	page = link_index(sm_load(&pool_of(&p, 0)->inodes[handle_index(ino)].direct[0]));
	meet(&p, page_offset(&p, page));
	assert_int_equal(daxfs_unlink(p.pod.fs[2], DAXFS_ROOT, "f"), 0);
	assert_int_equal(state_of(rig_state(pool_of(&p, 2), DAXFS_T_PAGE, page)), DAXFS_RETIRED);
	poison_all(&p, page_offset(&p, page), false);
	assert_int_equal(daxfs_join(p.pod.fs[1], 1, "unit1", &err), 0);
	use_all(&p, 1);
	expect_quarantined(&p, DAXFS_T_PAGE, page);
	poison_stop(&p);
}

/* A page whose state cannot be read is passed over by all that know. */
static void lost_state(void **state)
{
	struct poison p;
	uint64_t states;

	(void)state;
	start(&p);
	states = pool_offset(pool_of(&p, 0), pool_of(&p, 0)->state[DAXFS_T_PAGE]);
	pod_create(p.pod.fs[0], DAXFS_ROOT, "before");
	meet(&p, states);
	/* all pages of so small a pool: there is nothing left, and nobody is ended by it */
	for (unsigned host = 0; host < 3; host++) {
		char bytes[64] = "";
		daxfs_ino ino;

		trouble_sync(pool_of(&p, host));
		assert_int_equal(pod_lookup(p.pod.fs[host], DAXFS_ROOT, "before", &ino), 0);
		assert_int_equal(daxfs_write(p.pod.fs[host], ino, bytes, sizeof(bytes), 0, 0), -ENOSPC);
	}
	poison_stop(&p);
}

/*
 * The list itself cannot be reached, nor a word of a record in flight: the lane waits as it is. Both
 * come back, as after an error of the way to the memory, and nothing was taken for lost.
 */
static void not_past_what_is_not_listed(void **state)
{
	struct poison p;
	struct lane *lane;
	struct pool *pool;
	uint64_t list, word, seq;
	daxfs_ino ino;
	struct daxfs_attr attr;

	(void)state;
	start(&p);
	pool = pool_of(&p, 0);
	ino = pod_create(p.pod.fs[0], DAXFS_ROOT, "f");
	list = pool_offset(pool, pool->trouble);
	word = pool_offset(pool, &pool->inodes[handle_index(ino)].mode);
	lane = rig_enter(p.pod.fs[0]);
	record_begin(lane, OP_SETATTR);
	for (unsigned i = 0; i < 2; i++) {
		sm_u64 *at = i ? &pool->inodes[handle_index(ino)].uid : &pool->inodes[handle_index(ino)].mode;

		txn_word(&lane->txn, at, DAXFS_W_ATTR, word_help(lane, at), S_IFREG | 0600);
	}
	rig_undecided(lane);
	seq = lane->seq;
	poison_all(&p, word, true);
	for (uint64_t at = 0; at < sizeof(struct sm_trouble) + 4096; at += 4096)
		poison_all(&p, list + at, true);
	lane->txn.fault = true;
	fs_put_lane(p.pod.fs[0], lane);
	assert_int_equal(p.pod.fs[0]->broken, 1);
	assert_int_equal(rig_status_of(lane), DAXFS_UNDECIDED);
	fs_retry_broken(p.pod.fs[0]);
	assert_int_equal(p.pod.fs[0]->broken, 1);
	poison_all(&p, word, false);
	for (uint64_t at = 0; at < sizeof(struct sm_trouble) + 4096; at += 4096)
		poison_all(&p, list + at, false);
	fs_retry_broken(p.pod.fs[0]);
	assert_int_equal(p.pod.fs[0]->broken, 0);
	assert_int_equal(rig_status_of(lane), DAXFS_IDLE);
	assert_int_equal(status_seq(sm_load(&lane->sm->status)), seq);
	assert_int_equal(daxfs_getattr(p.pod.fs[1], ino, &attr), 0);
	assert_int_equal(attr.mode & 07777, 0600); /* finished, for nobody took a word of it for lost */
	poison_stop(&p);
}

/* Headers of regions say nothing that the superblock does not. */
static void lost_header(void **state)
{
	struct daxfs_error err;
	struct poison p;
	struct daxfs *fs;

	(void)state;
	start(&p);
	for (unsigned id = 0; id < DAXFS_REGIONS; id++) {
		uint64_t header = pool_of(&p, 0)->super.region[id].offset;

		poison_all(&p, header, true);
		if (fs_attach(p.map[1], p.pod.size, &fs, &err))
			fail_msg("%s", err.text);
		daxfs_close(fs);
		poison_all(&p, header, false);
	}
	poison_stop(&p);
}

/* -- repair ------------------------------------------------------------------------------ */

static bool count_kind(void *context, const struct daxfs_repair *item)
{
	((unsigned *)context)[item->kind]++;
	return true;
}

static void expect_list(struct poison *p, unsigned pages, unsigned files)
{
	unsigned n[DAXFS_REPAIR_KINDS] = { 0 };

	daxfs_repair_list(p->pod.fs[2], count_kind, n);
	assert_int_equal(n[DAXFS_REPAIR_PAGE], pages);
	assert_int_equal(n[DAXFS_REPAIR_FILE], files);
	assert_int_equal(n[DAXFS_REPAIR_LANE], 0);
}

static struct daxfs_repaired repair(struct poison *p, bool dry_run)
{
	struct daxfs_repaired r;
	struct daxfs_error err;

	if (daxfs_repair(p->pod.fs[0], dry_run, NULL, NULL, &r, &err))
		fail_msg("%s", err.text);
	return r;
}

static void leave_all(struct poison *p)
{
	for (unsigned i = 0; i < POD_HOSTS; i++)
		assert_int_equal(daxfs_leave(p->pod.fs[i]), 0);
}

static void join_all(struct poison *p)
{
	struct daxfs_error err;
	char name[16];

	for (unsigned i = 0; i < POD_HOSTS; i++) {
		snprintf(name, sizeof(name), "unit%u", i);
		assert_int_equal(daxfs_join(p->pod.fs[i], i, name, &err), 0);
	}
}

/* A page of a file and a free one failed, and maybe are back: the repair cuts the one and frees both. */
static void repaired(void **state)
{
	static char bytes[3 * 4096], got[3 * 4096];
	struct daxfs_repaired r;
	struct daxfs_statfs usage;
	struct poison p;
	uint64_t page, spare;
	daxfs_ino ino;

	(void)state;
	for (unsigned back = 0; back < 2; back++) {
		start(&p);
		memset(bytes, 'x', sizeof(bytes));
		ino = pod_create(p.pod.fs[0], DAXFS_ROOT, "f");
		assert_int_equal(daxfs_write(p.pod.fs[0], ino, bytes, sizeof(bytes), 0, 0), sizeof(bytes));
		page = link_index(sm_load(&pool_of(&p, 0)->inodes[handle_index(ino)].direct[1]));
		spare = pool_of(&p, 0)->objects[DAXFS_T_PAGE] - 1;
		meet(&p, page_offset(&p, page));
		meet(&p, page_offset(&p, spare));
		expect_list(&p, 2, 0);
		leave_all(&p);
		if (back) {
			poison_all(&p, page_offset(&p, page), false);
			poison_all(&p, page_offset(&p, spare), false);
		}
		assert_in_range(repair(&p, true).problems, 2, 9);
		expect_list(&p, 2, 0);
		r = repair(&p, false);
		assert_int_equal(r.losses, 1); /* the second page of f */
		assert_int_equal(r.left, back ? 0 : 2);
		if (!back)
			expect_quarantined(&p, DAXFS_T_PAGE, page);
		expect_list(&p, back ? 0 : 2, 0);
		join_all(&p);
		memset(bytes + 4096, 0, 4096);
		assert_int_equal(daxfs_read(p.pod.fs[1], ino, got, sizeof(got), 0), sizeof(got));
		assert_memory_equal(got, bytes, sizeof(got));
		use_all(&p, 1);
		assert_int_equal(daxfs_statfs(p.pod.fs[2], &usage), 0);
		assert_int_equal(usage.pages.quarantined, back ? 0 : 2);
		poison_stop(&p);
	}
}

/* A removed file whose index failed: nobody can finish it, it is listed, and taken apart in a pool in use. */
static void item_repaired(void **state)
{
	static char bytes[12 * 4096];
	struct daxfs_error err = { .text = "" };
	struct poison p;
	daxfs_ino ino;
	uint64_t node;

	(void)state;
	start(&p);
	ino = pod_create(p.pod.fs[0], DAXFS_ROOT, "f");
	for (unsigned i = 0; i < 12; i++)
		assert_int_equal(daxfs_write(p.pod.fs[0], ino, bytes, 4096, i * 4096, 0), 4096);
	node = link_index(sm_load(&pool_of(&p, 0)->inodes[handle_index(ino)].indirect[0]));
	meet(&p, page_offset(&p, node));
	assert_int_equal(daxfs_unlink(p.pod.fs[0], DAXFS_ROOT, "f"), 0);
	expect_list(&p, 1, 1);
	if (daxfs_repair_item(p.pod.fs[1], handle_index(ino), NULL, NULL, &err))
		fail_msg("%s", err.text);
	expect_list(&p, 1, 0);
	assert_int_equal(daxfs_repair_done(p.pod.fs[1], DAXFS_REPAIR_FILE, ino), -ENOENT);
	assert_int_not_equal(state_of(rig_state(pool_of(&p, 1), DAXFS_T_INODE, handle_index(ino))), DAXFS_LIVE);
	assert_int_equal(daxfs_repair_item(p.pod.fs[1], handle_index(ino), NULL, NULL, &err), -EBUSY);
	poison_stop(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(free_page),
		cmocka_unit_test(used_page),
		cmocka_unit_test(learnt_by_joining),
		cmocka_unit_test(lost_state),
		cmocka_unit_test(not_past_what_is_not_listed),
		cmocka_unit_test(lost_header),
		cmocka_unit_test(repaired),
		cmocka_unit_test(item_repaired),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
