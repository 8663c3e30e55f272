/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_finalize.c - a record of one word whose host died (sync/finalize.c): an
 * overwrite of a page Q by P, stopped before or after its swap, and what others
 * did to the word before anybody recovered it.
 */
#include "rig.h"

struct fixture {
	struct pod pod;
	struct pool *pool;
	struct lane *lane; /* of host 0, which dies */
	daxfs_ino ino;
	sm_u64 *word;
	uint64_t before, after, p, q;
};

static unsigned page_state(const struct fixture *s, uint64_t page)
{
	return state_of(rig_state(s->pool, DAXFS_T_PAGE, page));
}

static void overwrite(struct fixture *s, unsigned host, char fill)
{
	char page[DAXFS_PAGE_SIZE];

	memset(page, fill, sizeof(page));
	assert_int_equal(daxfs_write(s->pod.fs[host], s->ino, page, sizeof(page), 0, 0), sizeof(page));
}

/* Host 0 has written its record and not swapped yet. */
static void fixture_start(struct fixture *s)
{
	pod_start(&s->pod, 4 << 20);
	s->pool = rig_pool(&s->pod);
	s->ino = pod_create(s->pod.fs[1], DAXFS_ROOT, "a");
	overwrite(s, 1, 'q');
	s->word = &s->pool->inodes[handle_index(s->ino)].direct[0];
	s->before = sm_load(s->word);
	s->q = link_index(s->before);
	s->lane = rig_enter(s->pod.fs[0]);
	record_begin(s->lane, OP_WRITE);
	assert_int_equal(space_take(s->lane, DAXFS_T_PAGE, DAXFS_USE_DATA, 1, &s->p), 0);
	txn_word(&s->lane->txn, s->word, DAXFS_W_LINK, s->before, link_payload(DAXFS_DATA, s->p));
	record_retire(s->lane, DAXFS_T_PAGE, s->q);
	s->after = s->lane->txn.words[0].after;
	rig_undecided(s->lane);
	rig_status(s->lane, DAXFS_SINGLE);
}

static void swap(struct fixture *s)
{
	sm_store(s->word, s->after);
}

/* What the undoing of a record that had marked the word leaves: the same, a version later. */
static void mark_and_undo(struct fixture *s)
{
	sm_store(s->word, word_bump(sm_load(s->word), DAXFS_W_LINK));
}

/* Recover; the pool is flawless, and the page is linked. */
static struct daxfs_recovery recover(struct fixture *s)
{
	struct daxfs_recovery report;

	pod_fence(&s->pod, 0);
	assert_int_equal(daxfs_recover(s->pod.fs[1], 0, &report), 0);
	assert_int_equal(report.finished + report.rolled_back, 1);
	pod_check(&s->pod);
	return report;
}

static void fixture_stop(struct fixture *s)
{
	fs_put_lane(s->pod.fs[0], s->lane);
	pod_stop(&s->pod);
}

static void expect_rolled_back(struct fixture *s)
{
	assert_int_equal(recover(s).rolled_back, 1);
	assert_int_equal(page_state(s, s->p), DAXFS_FREE);
	assert_int_equal(page_state(s, s->q), DAXFS_LIVE);
	assert_int_equal(link_index(sm_load(s->word)), s->q);
	fixture_stop(s);
}

static void expect_finished(struct fixture *s)
{
	assert_int_equal(recover(s).finished, 1);
	assert_int_equal(page_state(s, s->p), DAXFS_LIVE);
	assert_int_equal(page_state(s, s->q), DAXFS_RETIRED);
	assert_int_equal(link_index(sm_load(s->word)), s->p);
	fixture_stop(s);
}

/* Neither is linked any more, and neither is lost. */
static void expect_overtaken(struct fixture *s)
{
	uint64_t now = sm_load(s->word);

	assert_int_equal(recover(s).finished, 1);
	assert_int_equal(page_state(s, s->p), DAXFS_RETIRED);
	assert_int_equal(page_state(s, s->q), DAXFS_RETIRED);
	assert_int_equal(sm_load(s->word), now);
	fixture_stop(s);
}

static void not_swapped(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s);
	expect_rolled_back(&s);
}

static void swapped(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s);
	swap(&s);
	expect_finished(&s);
}

static void not_swapped_and_undone_by_another(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s);
	mark_and_undo(&s);
	expect_rolled_back(&s);
}

static void swapped_and_undone_by_another(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s);
	swap(&s);
	mark_and_undo(&s);
	expect_finished(&s);
}

/* Whoever overwrites does not wait, whether the dead host's swap came first or not. */
static void overwritten(void **state)
{
	struct fixture s;

	(void)state;
	for (unsigned swapped_first = 0; swapped_first < 2; swapped_first++) {
		fixture_start(&s);
		if (swapped_first)
			swap(&s);
		overwrite(&s, 2, 'z');
		expect_overtaken(&s);
	}
}

/*
 * The first recoverer retired Q and died. By now Q serves another operation and
 * stands in the very same place: it is left alone.
 */
static void recovered_half_and_reused(void **state)
{
	struct fixture s;
	uint64_t epoch;

	(void)state;
	fixture_start(&s);
	epoch = sm_load(&s.pool->member->manager.epoch);
	sm_store(&s.pool->state[DAXFS_T_PAGE][s.p], state_make(DAXFS_RETIRED, DAXFS_USE_NONE, epoch));
	sm_store(&s.pool->state[DAXFS_T_PAGE][s.q], state_make(DAXFS_LIVE, DAXFS_USE_DATA, txid_make(7, 99)));
	sm_store(s.word, word_next(word_bump(s.after, DAXFS_W_LINK), DAXFS_W_LINK, link_payload(DAXFS_DATA, s.q)));
	recover(&s);
	assert_int_equal(page_state(&s, s.p), DAXFS_RETIRED);
	assert_int_equal(rig_state(s.pool, DAXFS_T_PAGE, s.q),
			 state_make(DAXFS_LIVE, DAXFS_USE_DATA, txid_make(7, 99)));
	fixture_stop(&s);
}

/* The word carries the mark of somebody's record: finished first, then judged. */
static void marked_by_another(void **state)
{
	struct fixture s;
	struct lane *other;

	(void)state;
	fixture_start(&s);
	other = rig_enter(s.pod.fs[2]);
	record_begin(other, OP_SETATTR);
	txn_word(&other->txn, s.word, DAXFS_W_LINK, s.before, word_payload(s.before, DAXFS_W_LINK));
	rig_undecided(other);
	rig_mark(other, 0);
	assert_int_equal(recover(&s).rolled_back, 1);
	assert_int_equal(sm_load(s.word), word_bump(s.before, DAXFS_W_LINK));
	assert_int_equal(rig_status_of(other), DAXFS_COMMITTED);
	rig_status(other, DAXFS_IDLE);
	rig_exit(s.pod.fs[2], other);
	fixture_stop(&s);
}

/* The record was over, its IDLE lost; the node of its word serves as something else, and holds no words. */
static void node_reused(void **state)
{
	struct fixture s;
	uint64_t page;

	(void)state;
	fixture_start(&s);
	overwrite(&s, 1, '\xff');
	page = link_index(sm_load(s.word));
	sm_store(&s.lane->sm->words[0], address_make(DAXFS_W_LINK, pool_offset(s.pool, pool_page(s.pool, page))));
	assert_int_equal(recover(&s).finished, 1);
	assert_int_equal(page_state(&s, s.p), DAXFS_RETIRED);
	assert_int_equal(page_state(&s, s.q), DAXFS_RETIRED);
	assert_int_equal(page_state(&s, page), DAXFS_LIVE);
	fixture_stop(&s);
}

/* The node of its word was made by another host, whose record is committed, and which died before it said LIVE. */
static void node_not_finalized(void **state)
{
	for (unsigned swapped_first = 0; swapped_first < 2; swapped_first++) {
		struct fixture s;
		struct record_tally tally = { 0 };
		struct lane *other;
		uint64_t node;
		char byte = 1;

		(void)state;
		fixture_start(&s);
		assert_int_equal(daxfs_write(s.pod.fs[1], s.ino, &byte, 1, 20 * DAXFS_PAGE_SIZE, 0), 1);
		node = link_index(sm_load(&s.pool->inodes[handle_index(s.ino)].indirect[0]));
		s.word = &((struct sm_node *)pool_page(s.pool, node))->slot[9]; /* a word, a hole so far */
		sm_store(s.word, sm_load(&s.pool->inodes[handle_index(s.ino)].direct[0]));
		sm_store(&s.pool->inodes[handle_index(s.ino)].direct[0], 0);
		sm_store(&s.lane->sm->words[0], address_make(DAXFS_W_LINK, pool_offset(s.pool, s.word)));
		other = rig_enter(s.pod.fs[2]);
		record_begin(other, OP_WRITE);
		sm_store(&other->sm->allocs[0], object_make(DAXFS_T_PAGE, node));
		sm_store(&other->sm->n_allocs, 1);
		sm_store(&s.pool->state[DAXFS_T_PAGE][node],
			 state_make(DAXFS_PRIVATE, DAXFS_USE_NODE, txid_make(other->id, other->seq)));
		rig_undecided(other);
		rig_status(other, DAXFS_COMMITTED);
		if (swapped_first)
			swap(&s);
		assert_int_equal(recover(&s).finished, swapped_first);
		assert_int_equal(page_state(&s, s.q), swapped_first ? DAXFS_RETIRED : DAXFS_LIVE);
		assert_int_equal(page_state(&s, s.p), swapped_first ? DAXFS_LIVE : DAXFS_FREE);
		record_recover(other, other->id, &tally);
		rig_exit(s.pod.fs[2], other);
		pod_check(&s.pod);
		fixture_stop(&s);
	}
}

/* A body that makes no sense: recovery goes past it, and nothing that it named is used again. */
static void garbage(void **state)
{
	struct fixture s;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct daxfs_recovery report;

		fixture_start(&s);
		if (i)
			sm_store(&s.lane->sm->n_words, 2);
		else
			sm_store(&s.lane->sm->words[0], UINT64_MAX);
		pod_fence(&s.pod, 0);
		assert_int_equal(daxfs_recover(s.pod.fs[1], 0, &report), 0);
		assert_int_equal(rig_status_of(s.lane), DAXFS_IDLE);
		/* Which of them is linked cannot be told, so neither may be used again. */
		assert_int_equal(page_state(&s, s.q), DAXFS_LIVE);
		assert_int_equal(page_state(&s, s.p), DAXFS_LIVE);
		sm_store(&s.pool->state[DAXFS_T_PAGE][s.p], 0);
		fixture_stop(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(not_swapped),
		cmocka_unit_test(swapped),
		cmocka_unit_test(not_swapped_and_undone_by_another),
		cmocka_unit_test(swapped_and_undone_by_another),
		cmocka_unit_test(overwritten),
		cmocka_unit_test(recovered_half_and_reused),
		cmocka_unit_test(marked_by_another),
		cmocka_unit_test(node_reused),
		cmocka_unit_test(node_not_finalized),
		cmocka_unit_test(garbage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
