/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_record.c - one record at a time, stopped where a test wants it: what it
 * does to words and objects, what others see of it, and what garbage in it does
 * (sync/record.c). Two lanes of two hosts stand in for owner and helper.
 */
#include <unistd.h>

#include "hang.h"
#include "rig.h"

#define W DAXFS_W_ATTR

struct fixture {
	struct pod pod;
	struct pool *pool;
	struct lane *a, *b; /* of hosts 0 and 1, both inside */
	sm_u64 *w[4];
	uint64_t before[4];
};

static void fixture_start(struct fixture *s)
{
	alarm(HANG_S);
	pod_start(&s->pod, 4 << 20);
	s->pool = rig_pool(&s->pod);
	s->a = rig_enter(s->pod.fs[0]);
	s->b = rig_enter(s->pod.fs[1]);
	for (unsigned i = 0; i < 4; i++) {
		s->w[i] = rig_word(s->pool, 10 * i);
		s->before[i] = sm_load(s->w[i]);
	}
}

static void fixture_stop(struct fixture *s)
{
	struct record_tally tally = { 0 };

	s->a->txn.fault = s->b->txn.fault = false;
	record_recover(s->b, s->a->id, &tally);
	assert_int_equal(rig_status_of(s->a), DAXFS_IDLE);
	rig_exit(s->pod.fs[0], s->a);
	rig_exit(s->pod.fs[1], s->b);
	pod_stop(&s->pod);
}

/* A record of lane over the first n words, highest first; word i gets i. */
static void stage(struct fixture *s, struct lane *lane, unsigned n)
{
	record_begin(lane, OP_SETATTR);
	for (unsigned i = n; i-- > 0;)
		txn_word(&lane->txn, s->w[i], W, s->before[i], i);
}

/* Stage, sort and write out, so that rig_mark(lane, i) marks w[i]. */
static void stage_undecided(struct fixture *s, struct lane *lane, unsigned n)
{
	record_begin(lane, OP_SETATTR);
	for (unsigned i = 0; i < n; i++)
		txn_word(&lane->txn, s->w[i], W, s->before[i], i);
	rig_undecided(lane);
}

static void expect_after(struct fixture *s, unsigned i)
{
	assert_int_equal(sm_load(s->w[i]), word_next(s->before[i], W, i));
}

static void expect_untouched(struct fixture *s, unsigned i)
{
	assert_int_equal(sm_load(s->w[i]), s->before[i]);
}

/* -- words ------------------------------------------------------------------------ */

static void all_words_change_in_order(void **state)
{
	struct fixture s;
	uint64_t last = 0;

	(void)state;
	fixture_start(&s);
	stage(&s, s.a, 4);
	assert_int_equal(record_commit(s.a), 0);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t addr = sm_load(&s.a->sm->words[3 * i]);

		expect_after(&s, i);
		assert_int_equal(address_class(addr), W);
		assert_true((address_offset(addr)) > last); /* helpers meet in one order */
		last = address_offset(addr);
	}
	assert_int_equal(rig_status_of(s.a), DAXFS_IDLE);
	fixture_stop(&s);
}

/* A word changed: those marked before it are undone with a bump, the rest untouched. */
static void conflict_undoes(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s);
	stage(&s, s.a, 4);
	sm_store(s.w[2], word_bump(s.before[2], W)); /* the same payload: the version is what counts */
	assert_int_equal(record_commit(s.a), -EAGAIN);
	assert_int_equal(sm_load(s.w[0]), word_bump(s.before[0], W));
	assert_int_equal(sm_load(s.w[1]), word_bump(s.before[1], W));
	assert_int_equal(sm_load(s.w[2]), word_bump(s.before[2], W));
	expect_untouched(&s, 3);
	assert_int_equal(rig_status_of(s.a), DAXFS_IDLE);
	fixture_stop(&s);
}

/* A record that only demands an unchanged word changes its version all the same. */
static void demanding_is_changing(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s);
	record_begin(s.a, OP_SETATTR);
	txn_word(&s.a->txn, s.w[0], W, s.before[0], word_payload(s.before[0], W));
	record_begin(s.b, OP_SETATTR);
	txn_word(&s.b->txn, s.w[0], W, s.before[0], 1);
	assert_int_equal(record_commit(s.a), 0);
	assert_int_equal(record_commit(s.b), -EAGAIN);
	assert_int_equal(sm_load(s.w[0]), word_bump(s.before[0], W));
	fixture_stop(&s);
}

static void giving_up(void **state)
{
	struct fixture s;
	uint64_t page;

	(void)state;
	fixture_start(&s);
	stage(&s, s.a, 2);
	assert_int_equal(space_take(s.a, DAXFS_T_PAGE, DAXFS_USE_DATA, 1, &page), 0);
	assert_int_equal(state_of(rig_state(s.pool, DAXFS_T_PAGE, page)), DAXFS_PRIVATE);
	assert_int_equal(record_abort(s.a, -ENOTEMPTY), -ENOTEMPTY);
	assert_int_equal(rig_state(s.pool, DAXFS_T_PAGE, page), 0);
	expect_untouched(&s, 0);
	expect_untouched(&s, 1);
	assert_int_equal(rig_status_of(s.a), DAXFS_IDLE);
	fixture_stop(&s);
}

/* -- counts ------------------------------------------------------------------------ */

static void counts_add_up(void **state)
{
	struct fixture s;
	sm_u64 *count;

	(void)state;
	fixture_start(&s);
	count = s.w[0];
	sm_store(count, 9ull << DAXFS_COUNT_BITS | 3);
	record_begin(s.a, OP_RENAME);
	assert_int_equal(txn_count(&s.a->txn, count, sm_load(count), 1), 4);
	assert_int_equal(txn_count(&s.a->txn, count, sm_load(count), 1), 5);
	assert_int_equal(txn_count(&s.a->txn, count, sm_load(count), -1), 4);
	assert_int_equal(s.a->txn.n_words, 1);
	assert_int_equal(record_commit(s.a), 0);
	assert_int_equal(sm_load(count), 10ull << DAXFS_COUNT_BITS | 4); /* one change, one version */
	record_begin(s.a, OP_RMDIR);
	for (unsigned left = 4; left-- > 0;)
		assert_int_equal(txn_count(&s.a->txn, count, sm_load(count), -1), left);
	txn_count(&s.a->txn, count, sm_load(count), (int)DAXFS_COUNT_FROZEN);
	assert_int_equal(record_commit(s.a), 0);
	assert_int_equal(sm_load(count), 11ull << DAXFS_COUNT_BITS | DAXFS_COUNT_FROZEN);
	fixture_stop(&s);
}

/* Looks that do not agree cannot commit, and nothing happens to other words. */
static void counts_that_do_not_fit(void **state)
{
	struct fixture s;
	sm_u64 *count;

	(void)state;
	fixture_start(&s);
	count = s.w[3];
	sm_store(count, 9ull << DAXFS_COUNT_BITS | 1);
	stage(&s, s.a, 1);
	txn_count(&s.a->txn, count, sm_load(count), 1);
	txn_count(&s.a->txn, count, word_bump(sm_load(count), DAXFS_W_COUNT), 1);
	assert_true(s.a->txn.conflict);
	assert_int_equal(record_commit(s.a), -EAGAIN);
	expect_untouched(&s, 0);
	sm_store(count, 9ull << DAXFS_COUNT_BITS);
	stage(&s, s.a, 1);
	assert_false(s.a->txn.conflict); /* of the last record */
	txn_count(&s.a->txn, count, sm_load(count), -1);
	assert_int_equal(record_commit(s.a), -EAGAIN);
	expect_untouched(&s, 0);
	assert_int_equal(sm_load(count), 9ull << DAXFS_COUNT_BITS);
	fixture_stop(&s);
}

/* -- limits ------------------------------------------------------------------------- */

static void full_of_words(void **state)
{
	struct fixture s;
	sm_u64 *w[DAXFS_RECORD_WORDS + 1];

	(void)state;
	fixture_start(&s);
	for (unsigned i = 0; i <= DAXFS_RECORD_WORDS; i++)
		w[i] = rig_word(s.pool, 100 + i);
	record_begin(s.a, OP_WRITE);
	for (unsigned i = 0; i < DAXFS_RECORD_WORDS; i++)
		txn_word(&s.a->txn, w[i], W, sm_load(w[i]), 7);
	assert_int_equal(record_commit(s.a), 0);
	for (unsigned i = 0; i < DAXFS_RECORD_WORDS; i++)
		assert_int_equal(word_payload(sm_load(w[i]), W), 7);
	assert_int_equal(word_payload(sm_load(w[DAXFS_RECORD_WORDS]), W), 100 + 100 + DAXFS_RECORD_WORDS);
	record_begin(s.a, OP_WRITE);
	for (unsigned i = 0; i <= DAXFS_RECORD_WORDS; i++)
		txn_word(&s.a->txn, w[i], W, sm_load(w[i]), 8);
	assert_int_equal(s.a->txn.n_words, DAXFS_RECORD_WORDS);
	assert_int_equal(record_commit(s.a), -EIO);
	assert_int_equal(word_payload(sm_load(w[0]), W), 7);
	assert_int_equal(rig_status_of(s.a), DAXFS_IDLE);
	s.a->txn.fault = false;
	record_begin(s.a, OP_WRITE);
	for (unsigned i = 0; i < DAXFS_RECORD_WORDS; i++)
		txn_word(&s.a->txn, w[i], W, sm_load(w[i]), 8);
	txn_count(&s.a->txn, w[DAXFS_RECORD_WORDS], sm_load(w[DAXFS_RECORD_WORDS]), 1);
	assert_int_equal(record_commit(s.a), -EIO);
	fixture_stop(&s);
}

static void full_of_objects(void **state)
{
	struct fixture s;
	uint64_t pages[DAXFS_RECORD_ALLOCS], page;

	(void)state;
	fixture_start(&s);
	record_begin(s.a, OP_WRITE);
	assert_int_equal(space_take(s.a, DAXFS_T_PAGE, DAXFS_USE_DATA, DAXFS_RECORD_ALLOCS, pages), 0);
	assert_int_equal(space_take(s.a, DAXFS_T_PAGE, DAXFS_USE_DATA, 1, &page), -E2BIG);
	assert_int_equal(record_commit(s.a), 0);
	for (unsigned i = 0; i < DAXFS_RECORD_ALLOCS; i++)
		assert_int_equal(rig_state(s.pool, DAXFS_T_PAGE, pages[i]),
				 state_make(DAXFS_LIVE, DAXFS_USE_DATA, txid_make(s.a->id, s.a->seq)));
	record_begin(s.a, OP_FREE);
	for (unsigned i = 0; i < DAXFS_RECORD_RETIRES; i++)
		record_retire(s.a, DAXFS_T_PAGE, pages[i]);
	assert_false(s.a->txn.fault);
	record_retire(s.a, DAXFS_T_PAGE, pages[0]);
	assert_true(s.a->txn.fault);
	assert_int_equal(record_commit(s.a), -EIO);
	assert_int_equal(state_of(rig_state(s.pool, DAXFS_T_PAGE, pages[0])), DAXFS_LIVE);
	s.a->txn.fault = false;
	record_begin(s.a, OP_FREE);
	for (unsigned i = 0; i < DAXFS_RECORD_RETIRES; i++)
		record_retire(s.a, DAXFS_T_PAGE, pages[i]);
	assert_int_equal(record_commit(s.a), 0);
	for (unsigned i = 0; i < DAXFS_RECORD_RETIRES; i++)
		assert_int_equal(state_of(rig_state(s.pool, DAXFS_T_PAGE, pages[i])), DAXFS_RETIRED);
	fixture_stop(&s);
}

/* -- retiring by txid ---------------------------------------------------------------- */

static uint64_t take_live(struct lane *lane)
{
	uint64_t page;

	record_begin(lane, OP_WRITE);
	assert_int_equal(space_take(lane, DAXFS_T_PAGE, DAXFS_USE_DATA, 1, &page), 0);
	assert_int_equal(record_commit(lane), 0);
	return page;
}

static void retire_live(void **state)
{
	struct fixture s;
	uint64_t page, epoch;

	(void)state;
	fixture_start(&s);
	page = take_live(s.a);
	stage(&s, s.b, 1);
	record_retire(s.b, DAXFS_T_PAGE, page);
	epoch_rescan(&s.a->epoch); /* retired in the epoch of the commit, not of the staging */
	epoch = sm_load(&s.pool->member->manager.epoch);
	assert_int_equal(record_commit(s.b), 0);
	assert_int_equal(rig_state(s.pool, DAXFS_T_PAGE, page), state_make(DAXFS_RETIRED, DAXFS_USE_NONE, epoch));
	/* A second party that found it linked before does not retire it again. */
	epoch_rescan(&s.a->epoch);
	record_begin(s.a, OP_FREE);
	record_retire(s.a, DAXFS_T_PAGE, page);
	assert_int_equal(record_commit(s.a), 0);
	assert_int_equal(rig_state(s.pool, DAXFS_T_PAGE, page), state_make(DAXFS_RETIRED, DAXFS_USE_NONE, epoch));
	rig_recount(s.pool); /* of which no library counts the second */
	fixture_stop(&s);
}

static void retire_another_tenant(void **state)
{
	struct fixture s;
	uint64_t page, now;

	(void)state;
	fixture_start(&s);
	page = take_live(s.a);
	record_begin(s.b, OP_FREE);
	record_retire(s.b, DAXFS_T_PAGE, page);
	/* Freed and taken by somebody else before our commit. */
	now = state_make(DAXFS_LIVE, DAXFS_USE_DATA, txid_make(s.a->id, s.a->seq + 1));
	sm_store(&s.pool->state[DAXFS_T_PAGE][page], now);
	assert_int_equal(record_commit(s.b), 0);
	assert_int_equal(rig_state(s.pool, DAXFS_T_PAGE, page), now);
	rig_free(s.pool, page);
	fixture_stop(&s);
}

static void aborted_retires_nothing(void **state)
{
	struct fixture s;
	uint64_t page, was;

	(void)state;
	fixture_start(&s);
	page = take_live(s.a);
	was = rig_state(s.pool, DAXFS_T_PAGE, page);
	stage(&s, s.b, 1);
	record_retire(s.b, DAXFS_T_PAGE, page);
	sm_store(s.w[0], word_bump(s.before[0], W));
	assert_int_equal(record_commit(s.b), -EAGAIN);
	assert_int_equal(rig_state(s.pool, DAXFS_T_PAGE, page), was);
	rig_free(s.pool, page);
	fixture_stop(&s);
}

/* The owner committed and stopped before settling: its object is PRIVATE and
 * linked. finalizes: it goes on between the other's staging and commit. */
static void retire_private(bool finalizes)
{
	struct fixture s;
	struct record_tally tally = { 0 };
	uint64_t page, epoch;

	fixture_start(&s);
	record_begin(s.a, OP_WRITE);
	assert_int_equal(space_take(s.a, DAXFS_T_PAGE, DAXFS_USE_DATA, 1, &page), 0);
	rig_undecided(s.a);
	rig_status(s.a, DAXFS_COMMITTED);
	record_begin(s.b, OP_WRITE);
	record_retire(s.b, DAXFS_T_PAGE, page);
	if (finalizes) {
		record_recover(s.b, s.a->id, &tally);
		assert_int_equal(state_of(rig_state(s.pool, DAXFS_T_PAGE, page)), DAXFS_LIVE);
	}
	epoch = sm_load(&s.pool->member->manager.epoch);
	assert_int_equal(record_commit(s.b), 0);
	assert_int_equal(rig_state(s.pool, DAXFS_T_PAGE, page), state_make(DAXFS_RETIRED, DAXFS_USE_NONE, epoch));
	/* Settled late, it does not come back to life. */
	record_recover(s.b, s.a->id, &tally);
	assert_int_equal(rig_state(s.pool, DAXFS_T_PAGE, page), state_make(DAXFS_RETIRED, DAXFS_USE_NONE, epoch));
	assert_int_equal(tally.finished, 1);
	assert_int_equal(tally.objects, finalizes ? 1 : 0);
	fixture_stop(&s);
}

static void retire_unsettled(void **state)
{
	(void)state;
	retire_private(false);
	retire_private(true);
}

/* -- what others see --------------------------------------------------------------------- */

static void readers_go_by_the_status(void **state)
{
	struct fixture s;
	uint64_t mark;

	(void)state;
	fixture_start(&s);
	stage_undecided(&s, s.a, 2);
	rig_mark(s.a, 1);
	mark = sm_load(s.w[1]);
	assert_int_equal(word_load(s.b, s.w[1]), s.before[1]);
	rig_status(s.a, DAXFS_COMMITTED);
	assert_int_equal(word_load(s.b, s.w[1]), word_next(s.before[1], W, 1));
	rig_status(s.a, DAXFS_ABORTED);
	assert_int_equal(word_load(s.b, s.w[1]), word_bump(s.before[1], W));
	assert_int_equal(word_load(s.a, s.w[1]), word_bump(s.before[1], W)); /* the owner too */
	assert_int_equal(sm_load(s.w[1]), mark);                             /* looked at, not changed */
	assert_false(s.a->txn.fault || s.b->txn.fault);
	fixture_stop(&s);
}

/* Who wants to write finishes the record, whoever's it is; settling is left. */
static void writers_finish(void **state)
{
	struct fixture s;
	struct record_tally tally = { 0 };
	uint64_t page;

	(void)state;
	fixture_start(&s);
	record_begin(s.a, OP_WRITE);
	assert_int_equal(space_take(s.a, DAXFS_T_PAGE, DAXFS_USE_DATA, 1, &page), 0);
	for (unsigned i = 0; i < 3; i++)
		txn_word(&s.a->txn, s.w[i], W, s.before[i], i);
	rig_undecided(s.a);
	rig_mark(s.a, 0);
	assert_int_equal(word_help(s.b, s.w[0]), word_next(s.before[0], W, 0));
	for (unsigned i = 0; i < 3; i++)
		expect_after(&s, i);
	assert_int_equal(rig_status_of(s.a), DAXFS_COMMITTED);
	assert_int_equal(state_of(rig_state(s.pool, DAXFS_T_PAGE, page)), DAXFS_PRIVATE);
	record_recover(s.b, s.a->id, &tally);
	assert_int_equal(state_of(rig_state(s.pool, DAXFS_T_PAGE, page)), DAXFS_LIVE);
	rig_free(s.pool, page);
	fixture_stop(&s);
}

static void helping_chains(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s);
	/* b holds w[2] and needs w[3]; a holds w[0] and needs w[2]. */
	record_begin(s.b, OP_WRITE);
	txn_word(&s.b->txn, s.w[2], W, s.before[2], 22);
	txn_word(&s.b->txn, s.w[3], W, s.before[3], 33);
	rig_undecided(s.b);
	rig_mark(s.b, 0);
	stage_undecided(&s, s.a, 3);
	rig_mark(s.a, 0);
	/* b's record goes through, so a's word 2 has changed: a's is undone. */
	assert_int_equal(word_help(s.a, s.w[0]), word_bump(s.before[0], W));
	assert_int_equal(rig_status_of(s.a), DAXFS_ABORTED);
	assert_int_equal(rig_status_of(s.b), DAXFS_COMMITTED);
	assert_int_equal(word_payload(sm_load(s.w[2]), W), 22);
	assert_int_equal(word_payload(sm_load(s.w[3]), W), 33);
	rig_status(s.b, DAXFS_IDLE);
	fixture_stop(&s);
}

/* -- recovery of each status ---------------------------------------------------------------- */

struct fate {
	enum daxfs_status status;
	unsigned marked;     /* words with marks */
	bool finished, live; /* what becomes of record and object */
};

static void recover_one(const struct fate *fate)
{
	struct fixture s;
	struct record_tally tally = { 0 };
	uint64_t page;

	fixture_start(&s);
	record_begin(s.a, OP_WRITE);
	assert_int_equal(space_take(s.a, DAXFS_T_PAGE, DAXFS_USE_DATA, 1, &page), 0);
	for (unsigned i = 0; i < 3; i++)
		txn_word(&s.a->txn, s.w[i], W, s.before[i], i);
	if (fate->status != DAXFS_PREPARE)
		rig_undecided(s.a);
	for (unsigned i = 0; i < fate->marked; i++)
		rig_mark(s.a, i);
	for (unsigned i = fate->marked; i < 3 && fate->status == DAXFS_COMMITTED; i++)
		sm_store(s.w[i], word_next(s.before[i], W, i)); /* resolved already */
	rig_status(s.a, fate->status);
	for (unsigned again = 0; again < 2; again++)
		record_recover(s.b, s.a->id, &tally);
	assert_int_equal(tally.finished, fate->finished);
	assert_int_equal(tally.rolled_back, !fate->finished);
	assert_int_equal(tally.objects, 1);
	assert_int_equal(rig_status_of(s.a), DAXFS_IDLE);
	assert_int_equal(state_of(rig_state(s.pool, DAXFS_T_PAGE, page)), fate->live ? DAXFS_LIVE : DAXFS_FREE);
	for (unsigned i = 0; i < 3; i++) {
		if (fate->finished)
			expect_after(&s, i);
		else
			assert_int_equal(word_payload(sm_load(s.w[i]), W), word_payload(s.before[i], W));
	}
	rig_free(s.pool, page);
	fixture_stop(&s);
}

static void recovery_of_each_status(void **state)
{
	static const struct fate fates[] = {
		{ DAXFS_PREPARE, 0, false, false }, { DAXFS_UNDECIDED, 0, true, true },
		{ DAXFS_UNDECIDED, 1, true, true }, { DAXFS_UNDECIDED, 3, true, true },
		{ DAXFS_COMMITTED, 3, true, true }, { DAXFS_COMMITTED, 1, true, true },
		{ DAXFS_COMMITTED, 0, true, true }, { DAXFS_ABORTED, 2, false, false },
		{ DAXFS_ABORTED, 0, false, false },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(fates) / sizeof(fates[0]); i++)
		recover_one(&fates[i]);
}

/* -- membership ------------------------------------------------------------------------------- */

static void host_state(struct fixture *s, enum daxfs_host_state to)
{
	sm_u64 *word = &s->pool->member->host[0].word;
	struct host_word w;

	assert_int_equal(host_word_unpack(sm_load(word), &w), 0);
	w.state = to;
	assert_int_equal(member_move(s->pool, 0, sm_load(word), w), 0);
}

/* A host that is SUSPECT goes on; one that was revoked never reaches UNDECIDED. */
static void the_dead_do_not_commit(void **state)
{
	struct fixture s;
	struct daxfs_recovery report;
	uint64_t page;

	(void)state;
	fixture_start(&s);
	host_state(&s, DAXFS_HOST_SUSPECT);
	stage(&s, s.a, 1);
	assert_int_equal(record_commit(s.a), 0);
	expect_after(&s, 0);
	stage(&s, s.a, 0);
	assert_int_equal(space_take(s.a, DAXFS_T_PAGE, DAXFS_USE_DATA, 1, &page), 0);
	txn_word(&s.a->txn, s.w[1], W, s.before[1], 1);
	host_state(&s, DAXFS_HOST_FENCING);
	assert_int_equal(record_commit(s.a), -ESTALE);
	expect_untouched(&s, 1);
	assert_int_equal(rig_status_of(s.a), DAXFS_IDLE);
	assert_int_equal(rig_state(s.pool, DAXFS_T_PAGE, page), 0);
	pod_fence(&s.pod, 0);
	assert_int_equal(daxfs_recover(s.pod.fs[1], 0, &report), 0);
	fixture_stop(&s);
}

/* The slot's next tenant is alive, this process is not it. */
static void another_generation(void **state)
{
	struct fixture s;
	sm_u64 *word;
	uint64_t was;

	(void)state;
	fixture_start(&s);
	word = &s.pool->member->host[0].word;
	was = sm_load(word);
	sm_store(word, was + (1ull << 40));
	stage(&s, s.a, 1);
	assert_int_equal(record_commit(s.a), -ESTALE);
	sm_store(word, 15ull << 36); /* and a word that makes no sense is not "alive" */
	stage(&s, s.a, 1);
	assert_int_equal(record_commit(s.a), -ESTALE);
	sm_store(word, was);
	stage(&s, s.a, 1);
	assert_int_equal(record_commit(s.a), 0);
	fixture_stop(&s);
}

static void operation_names(void **state)
{
	(void)state;
	for (unsigned i = 0; i < OP_COUNT; i++) {
		assert_string_not_equal(record_operation_name(i), "unknown");
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(record_operation_name(i), record_operation_name(j));
	}
	assert_string_equal(record_operation_name(OP_COUNT), "unknown");
	assert_string_equal(record_operation_name(UINT32_MAX), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_words_change_in_order),
		cmocka_unit_test(conflict_undoes),
		cmocka_unit_test(demanding_is_changing),
		cmocka_unit_test(giving_up),
		cmocka_unit_test(counts_add_up),
		cmocka_unit_test(counts_that_do_not_fit),
		cmocka_unit_test(full_of_words),
		cmocka_unit_test(full_of_objects),
		cmocka_unit_test(retire_live),
		cmocka_unit_test(retire_another_tenant),
		cmocka_unit_test(aborted_retires_nothing),
		cmocka_unit_test(retire_unsettled),
		cmocka_unit_test(readers_go_by_the_status),
		cmocka_unit_test(writers_finish),
		cmocka_unit_test(helping_chains),
		cmocka_unit_test(recovery_of_each_status),
		cmocka_unit_test(the_dead_do_not_commit),
		cmocka_unit_test(another_generation),
		cmocka_unit_test(operation_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
