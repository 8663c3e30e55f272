/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_check.c - the check on headers, hosts, lanes, open files, marks and object
 * states: it finds what is wrong, says so, and says nothing else. Files and names:
 * test_check_tree.c; what is in flight and what is garbage: test_check_flight.c.
 */
#include "check_fixture.h"

/* -- headers, hosts, lanes ------------------------------------------------------ */

static void super_copy(struct fixture *s)
{
	((uint8_t *)s->pod.base)[DAXFS_PAGE_SIZE + 0x60] ^= 1;
	fixture_want(s, "bad-super: superblock 1: wrong checksum");
}

static void region_header(struct fixture *s)
{
	((uint8_t *)s->pod.base)[s->pool->super.region[DAXFS_R_COUNT].offset + 0x18] ^= 1;
	fixture_want(s, "bad-header: region %u", DAXFS_R_COUNT);
}

static void host_word(struct fixture *s)
{
	sm_store(&s->pool->member->host[2].word, 11ull << 36);
	fixture_want(s, "bad-host: host 2");
}

static void host_beyond(struct fixture *s)
{
	sm_store(&s->pool->member->host[40].word, 1ull << 40);
	fixture_want(s, "bad-host: host 40");
}

static void lane_status(struct fixture *s)
{
	sm_store(&s->pool->lanes[1].status, 77);
	fixture_want(s, "bad-status: lane 1");
}

static void lane_owner(struct fixture *s)
{
	fixture_host(s, 1, DAXFS_HOST_ALIVE);
	for (unsigned i = 2; i < 4; i++)
		sm_store(&s->pool->lanes[i].owner, sm_load(&s->pool->member->host[1].word) >> 40 << 32 | 1);
	sm_store(&s->pool->lanes[3].owner, 1);
	fixture_want(s, "bad-owner: lane 3");
}

static void lane_prepare(struct fixture *s)
{
	sm_store(&s->pool->lanes[5].status, status_make(900, OP_WRITE, DAXFS_PREPARE));
	fixture_want(s, "dead-record: lane 5: PREPARE");
}

static void lane_committed(struct fixture *s)
{
	sm_store(&s->pool->lanes[5].status, status_make(900, OP_WRITE, DAXFS_COMMITTED));
	sm_store(&s->pool->lanes[5].n_words, 0);
	sm_store(&s->pool->lanes[5].n_allocs, 0);
	sm_store(&s->pool->lanes[5].n_retires, 0);
	fixture_want(s, "dead-record: lane 5: COMMITTED");
}

static void lane_todo_left(struct fixture *s)
{
	sm_store(&s->pool->lanes[2].todo, DAXFS_ROOT);
	fixture_want(s, "dead-todo: lane 2");
}

static void lane_announces(struct fixture *s)
{
	sm_store(&s->pool->lanes[0].low, 1);
	fixture_want(s, "dead-epoch: lane 0");
}

static void record_words(struct fixture *s)
{
	struct sm_lane *lane = &s->pool->lanes[4];

	fixture_host(s, 2, DAXFS_HOST_FENCED);
	sm_store(&lane->n_words, 1);
	sm_store(&lane->n_allocs, 0);
	sm_store(&lane->n_retires, 0);
	sm_store(&lane->words[0], address_make(DAXFS_W_LINK, 12345));
	sm_store(&lane->status, status_make(900, OP_WRITE, DAXFS_UNDECIDED));
	fixture_want(s, "bad-record: lane 4 words[0]");
}

static void record_length(struct fixture *s)
{
	record_words(s);
	sm_store(&s->pool->lanes[4].n_words, 0);
	sm_store(&s->pool->lanes[4].n_retires, 1ull << 40);
	fixture_want(s, "bad-record: lane 4: ");
}

static void record_allocs(struct fixture *s)
{
	record_words(s);
	sm_store(&s->pool->lanes[4].n_words, 0);
	sm_store(&s->pool->lanes[4].n_allocs, 1ull << 40);
	fixture_want(s, "bad-record: lane 4: %llu allocations", 1ull << 40);
}

static void record_alloc(struct fixture *s)
{
	record_words(s);
	sm_store(&s->pool->lanes[4].n_words, 0);
	sm_store(&s->pool->lanes[4].n_allocs, 1);
	sm_store(&s->pool->lanes[4].allocs[0], object_make(DAXFS_TYPES, 0));
	fixture_want(s, "bad-record: lane 4 allocs[0]");
}

/* -- what is in use, counted --------------------------------------------------------- */

static void used_untold(struct fixture *s)
{
	sm_u64 *used = &s->pool->lanes[1].used[0];

	sm_store(used, sm_load(used) ^ 1ull << 63);
	fixture_want(s, "bad-used: lane 1: word 0 of its share");
}

static void used_more(struct fixture *s)
{
	sm_u64 *used = &s->pool->lanes[1].used[0];

	fixture_check(s);
	sm_store(used, sm_load(used) + 5);
	fixture_want(s, "bad-used: type 0: %llu objects are counted",
		     (unsigned long long)s->check.usage.pages.live + 5);
}

/* Host 2 as if it had never come, and a lane of it that counts all the same. */
static void used_by_nobody(struct fixture *s)
{
	struct sm_host *slot = &s->pool->member->host[2];

	sm_store(&slot->tenancy, 0);
	sm_store(&slot->word, 0);
	sm_store(&s->pool->lanes[2 * s->pool->super.lanes_per_host + 1].used[1], 5);
	fixture_want(s, "bad-used: lane %u: it counts, and nobody", 2 * s->pool->super.lanes_per_host + 1);
}

static void no_epoch(struct fixture *s)
{
	sm_store(&s->pool->member->manager.epoch, DAXFS_EPOCH_MASK + 1);
	fixture_want(s, "bad-epoch: manager 0 epoch");
}

/* -- open files ------------------------------------------------------------------ */

static void open_left(struct fixture *s)
{
	sm_store(&s->pool->open_table[s->pool->super.opens_per_host + 3],
		 handle_make(sm_load(&fixture_inode(s, s->small)->i_generation), s->small));
	fixture_want(s, "dead-open: host 1 opens[3]");
}

static void open_nonsense(struct fixture *s)
{
	fixture_host(s, 0, DAXFS_HOST_RECOVERING);
	sm_store(&s->pool->open_table[0], 0xffffffffull);
	fixture_want(s, "bad-open: host 0 opens[0]");
}

static void opener_free(struct fixture *s)
{
	fixture_set(&fixture_inode(s, s->small)->openers[0], DAXFS_W_OPENERS, 2);
	fixture_want(s, "dead-opener: inode %llu", (unsigned long long)s->small);
}

static void opener_beyond(struct fixture *s)
{
	fixture_set(&fixture_inode(s, s->small)->openers[1], DAXFS_W_OPENERS, 1u << 31);
	fixture_want(s, "bad-opener: inode %llu", (unsigned long long)s->small);
}

static void opener_unlisted(struct fixture *s)
{
	fixture_host(s, 1, DAXFS_HOST_SUSPECT);
	fixture_set(&fixture_inode(s, s->small)->openers[0], DAXFS_W_OPENERS, 2);
	fixture_want(s, "unlisted-opener: inode %llu", (unsigned long long)s->small);
}

/* -- marks ------------------------------------------------------------------------ */

static void mark_trunc(struct fixture *s)
{
	sm_store(&fixture_inode(s, s->small)->trunc, mark_make(1, 3, 77));
	fixture_want(s, "orphan-mark: inode %llu trunc", (unsigned long long)s->small);
}

static void mark_no_lane(struct fixture *s)
{
	sm_store(&fixture_inode(s, s->small)->uid, mark_make(1000, 3, 77));
	fixture_want(s, "orphan-mark: inode %llu uid", (unsigned long long)s->small);
}

static void mark_in_free_inode(struct fixture *s)
{
	uint64_t i = fixture_find(s, DAXFS_T_INODE, DAXFS_FREE);

	sm_store(&fixture_inode(s, i)->openers[1], mark_make(1, 3, 77));
	fixture_want(s, "orphan-mark: inode %llu openers[1]", (unsigned long long)i);
}

static void mark_in_count(struct fixture *s)
{
	uint64_t i = fixture_find(s, DAXFS_T_PAGE, DAXFS_FREE);

	sm_store(&s->pool->count[i], mark_make(1, 3, 77));
	fixture_want(s, "orphan-mark: page %llu count", (unsigned long long)i);
}

static void mark_in_file_node(struct fixture *s)
{
	uint64_t node = link_index(sm_load(&fixture_inode(s, s->big)->indirect[1]));

	sm_store(&map_node(s->pool, node)->slot[17], mark_make(0, 3, 77));
	fixture_want(s, "orphan-mark: page %llu slot[17]", (unsigned long long)node);
}

static void mark_in_tree_word(struct fixture *s)
{
	sm_store(&s->pool->member->manager.tree, mark_make(0, 3, 77));
	fixture_want(s, "orphan-mark: manager 0 tree");
}

/* The record is about this word, but takes it for one of another class. */
static void mark_of_another_class(struct fixture *s)
{
	struct sm_lane *lane = &s->pool->lanes[4];
	sm_u64 *uid = &fixture_inode(s, s->small)->uid;

	record_words(s);
	sm_store(&lane->words[0], address_make(DAXFS_W_OPENERS, pool_offset(s->pool, uid)));
	sm_store(&lane->words[1], sm_load(uid));
	sm_store(&lane->words[2], word_next(sm_load(uid), DAXFS_W_ATTR, 7));
	sm_store(uid, mark_make(4, 0, 900));
	fixture_want(s, "bad-record: inode %llu uid: lane 4", (unsigned long long)s->small);
}

/* -- states -------------------------------------------------------------------------- */

static void page_leak(struct fixture *s)
{
	uint64_t i = fixture_find(s, DAXFS_T_PAGE, DAXFS_FREE);

	sm_store(fixture_state(s, DAXFS_T_PAGE, i), state_make(DAXFS_LIVE, DAXFS_USE_DATA, 0));
	sm_store(&s->pool->birth[DAXFS_T_PAGE][i], 1);
	fixture_want(s, "leak: page %llu: state LIVE but not reachable", (unsigned long long)i);
}

static void inode_leak(struct fixture *s)
{
	fixture_unname(s, s->fifo);
	fixture_want(s, "leak: inode %llu", (unsigned long long)s->fifo);
}

static void dirent_leak(struct fixture *s)
{
	uint64_t i = fixture_find(s, DAXFS_T_DIRENT, DAXFS_FREE);

	sm_store(fixture_state(s, DAXFS_T_DIRENT, i), state_make(DAXFS_LIVE, DAXFS_USE_DIRENT, 0));
	sm_store(&s->pool->birth[DAXFS_T_DIRENT][i], 1);
	fixture_want(s, "leak: dirent %llu", (unsigned long long)i);
}

static void private_leak(struct fixture *s)
{
	uint64_t i = fixture_find(s, DAXFS_T_PAGE, DAXFS_FREE);

	sm_store(fixture_state(s, DAXFS_T_PAGE, i), state_make(DAXFS_PRIVATE, DAXFS_USE_DATA, txid_make(2, 5)));
	fixture_want(s, "private-leak: page %llu", (unsigned long long)i);
}

static void private_in_use(struct fixture *s)
{
	uint64_t page = fixture_direct(s, s->small, 0);

	sm_store(fixture_state(s, DAXFS_T_PAGE, page), state_make(DAXFS_PRIVATE, DAXFS_USE_DATA, txid_make(2, 5)));
	fixture_want(s, "private-in-use: inode %llu direct[0]", (unsigned long long)s->small);
}

static void free_in_use(struct fixture *s)
{
	sm_store(fixture_state(s, DAXFS_T_PAGE, fixture_direct(s, s->small, 0)), 0);
	fixture_want(s, "free-in-use: inode %llu direct[0]", (unsigned long long)s->small);
}

static void retired_in_use(struct fixture *s)
{
	uint64_t page = fixture_direct(s, s->small, 0);

	sm_store(fixture_state(s, DAXFS_T_PAGE, page),
		 state_make(DAXFS_RETIRED, DAXFS_USE_NONE, sm_load(&s->pool->member->manager.epoch)));
	fixture_want(s, "retired-in-use: inode %llu direct[0]", (unsigned long long)s->small);
}

static void wrong_use(struct fixture *s)
{
	sm_store(fixture_state(s, DAXFS_T_PAGE, fixture_direct(s, s->small, 0)),
		 state_make(DAXFS_LIVE, DAXFS_USE_NODE, 0));
	fixture_want(s, "bad-use: inode %llu direct[0]", (unsigned long long)s->small);
}

static void no_state(struct fixture *s)
{
	uint64_t i = fixture_find(s, DAXFS_T_DIRENT, DAXFS_FREE);

	sm_store(fixture_state(s, DAXFS_T_DIRENT, i), 5ull << 61);
	fixture_want(s, "bad-state: dirent %llu", (unsigned long long)i);
}

static void free_with_txid(struct fixture *s)
{
	uint64_t i = fixture_find(s, DAXFS_T_INODE, DAXFS_FREE);

	sm_store(fixture_state(s, DAXFS_T_INODE, i), 3);
	fixture_want(s, "bad-state: inode %llu", (unsigned long long)i);
}

static void retired_tomorrow(struct fixture *s)
{
	uint64_t i = fixture_find(s, DAXFS_T_INODE, DAXFS_RETIRED);

	sm_store(fixture_state(s, DAXFS_T_INODE, i), state_make(DAXFS_RETIRED, DAXFS_USE_NONE, 1ull << 40));
	fixture_want(s, "bad-epoch: inode %llu", (unsigned long long)i);
}

static void born_never(struct fixture *s)
{
	sm_store(&s->pool->birth[DAXFS_T_INODE][s->dir], 0);
	fixture_want(s, "bad-epoch: inode %llu", (unsigned long long)s->dir);
}

/* -- all of them ---------------------------------------------------------------- */

static const struct damage damages[] = {
	DAMAGE(super_copy, 1),     DAMAGE(region_header, 1),     DAMAGE(host_word, 1),
	DAMAGE(host_beyond, 1),    DAMAGE(lane_status, 1),       DAMAGE(lane_owner, 1),
	DAMAGE(lane_prepare, 1),   DAMAGE(lane_committed, 1),    DAMAGE(lane_todo_left, 1),
	DAMAGE(lane_announces, 1), DAMAGE(record_words, 1),      DAMAGE(record_length, 0),
	DAMAGE(record_alloc, 1),   DAMAGE(open_left, 1),         DAMAGE(open_nonsense, 1),
	DAMAGE(opener_free, 1),    DAMAGE(opener_beyond, 1),     DAMAGE(opener_unlisted, 1),
	DAMAGE(mark_trunc, 1),     DAMAGE(mark_no_lane, 1),      DAMAGE(mark_in_free_inode, 1),
	DAMAGE(mark_in_count, 1),  DAMAGE(mark_in_file_node, 1), DAMAGE(mark_in_tree_word, 1),
	DAMAGE(page_leak, 1),      DAMAGE(inode_leak, 1),        DAMAGE(dirent_leak, 1),
	DAMAGE(private_leak, 1),   DAMAGE(private_in_use, 1),    DAMAGE(free_in_use, 1),
	DAMAGE(retired_in_use, 1), DAMAGE(wrong_use, 1),         DAMAGE(no_state, 2),
	DAMAGE(record_allocs, 0),  DAMAGE(used_untold, 1),       DAMAGE(used_more, 1),
	DAMAGE(used_by_nobody, 1), DAMAGE(no_epoch, 1),          DAMAGE(mark_of_another_class, 0),
	DAMAGE(free_with_txid, 1), DAMAGE(retired_tomorrow, 1),  DAMAGE(born_never, 1),
};

static void every_damage_is_found(void **unused)
{
	(void)unused;
	fixture_damages(damages, sizeof(damages) / sizeof(damages[0]));
}

static void a_sound_pool_is_clean(void **unused)
{
	struct fixture *s = calloc(1, sizeof(*s));
	struct daxfs_check *c = &s->check;

	(void)unused;
	fixture_start(s);
	assert_int_equal(fixture_check(s), 0);
	assert_int_equal(s->lines, 0);
	assert_int_equal(c->directories, 3);
	/* big, wide, small, link, fifo, victim, and what is left of the names, one of them moved */
	assert_int_equal(c->files, 6 + SCENE_NAMES - (SCENE_NAMES + 6) / 7);
	assert_int_equal(c->names, c->files + 1 /* second name of small */ + 2 /* dir, sub */);
	assert_int_equal(c->usage.inodes.live, c->files + c->directories + 1 /* index 0 */);
	assert_int_equal(c->usage.dirents.live, c->names);
	assert_int_equal(c->usage.pages.live, c->pages_used);
	assert_int_equal(c->usage.pages.private_, 0);
	fixture_stop(s);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sound_pool_is_clean),
		cmocka_unit_test(every_damage_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
