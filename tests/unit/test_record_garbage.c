/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_record_garbage.c - marks that belong to no record and records that make
 * no sense: whoever meets them ends in an error, at once, and harms nothing
 * (sync/record.c).
 */
#include <unistd.h>

#include "hang.h"
#include "rig.h"

#define W DAXFS_W_ATTR

struct fixture {
	struct pod pod;
	struct pool *pool;
	struct lane *a, *b;
	sm_u64 *w[3];
	uint64_t before[3];
};

static void fixture_start(struct fixture *s)
{
	alarm(HANG_S);
	pod_start(&s->pod, 4 << 20);
	s->pool = rig_pool(&s->pod);
	s->a = rig_enter(s->pod.fs[0]);
	s->b = rig_enter(s->pod.fs[1]);
	for (unsigned i = 0; i < 3; i++) {
		s->w[i] = rig_word(s->pool, 10 * i);
		s->before[i] = sm_load(s->w[i]);
	}
}

static void fixture_stop(struct fixture *s)
{
	s->a->txn.fault = s->b->txn.fault = false;
	rig_status(s->a, DAXFS_IDLE);
	rig_status(s->b, DAXFS_IDLE);
	rig_exit(s->pod.fs[0], s->a);
	rig_exit(s->pod.fs[1], s->b);
	pod_stop(&s->pod);
}

static void stage_undecided(struct fixture *s, struct lane *lane)
{
	record_begin(lane, OP_SETATTR);
	for (unsigned i = 0; i < 3; i++)
		txn_word(&lane->txn, s->w[i], W, s->before[i], i);
	rig_undecided(lane);
}

/* Loading, helping, and a record over a word: all end in a fault. One of a single word fails; its next try helps. */
static void expect_fault(struct fixture *s, sm_u64 *word)
{
	struct lane *b = s->b;
	sm_u64 *other = rig_word(s->pool, 210);
	uint64_t was = sm_load(word);

	b->txn.fault = false;
	word_load(b, word);
	assert_true(b->txn.fault);
	b->txn.fault = false;
	word_help(b, word);
	assert_true(b->txn.fault);
	assert_int_equal(record_abort(b, -EIO), -EIO);
	b->txn.fault = false;
	record_begin(b, OP_SETATTR);
	txn_word(&b->txn, word, W, 0, 1); /* the mark came after our look */
	assert_int_equal(record_commit(b), -EAGAIN);
	record_begin(b, OP_SETATTR);
	txn_word(&b->txn, word, W, 0, 1);
	txn_word(&b->txn, other, W, sm_load(other), 1);
	assert_int_equal(record_commit(b), -EIO);
	assert_int_equal(sm_load(word), was);
	rig_status(b, DAXFS_IDLE);
	b->txn.fault = false;
}

static void orphan_marks(void **state)
{
	struct fixture s;
	unsigned id, lanes;
	uint64_t seq;

	(void)state;
	fixture_start(&s);
	id = s.a->id;
	lanes = s.pool->lanes_total;
	record_begin(s.a, OP_WRITE);
	assert_int_equal(record_commit(s.a), 0);
	seq = s.a->seq;
	const uint64_t marks[] = {
		mark_make(id, 0, seq), /* of a record that is over */
		mark_make(id, 0, seq - 1),
		mark_make(id, 0, seq + 1), /* of one that never was */
		mark_make(id, 0, DAXFS_SEQ_MASK),
		mark_make(lanes, 0, seq), /* of no lane of this pool */
		mark_make(DAXFS_LANES_MAX - 1, 0, 0),
		mark_make(id, DAXFS_RECORD_WORDS, seq), /* of no word of a record */
		mark_make(id, 127, seq),
		UINT64_MAX,
		DAXFS_MARK,
	};
	for (unsigned i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		sm_store(s.w[0], marks[i]);
		expect_fault(&s, s.w[0]);
	}
	fixture_stop(&s);
}

/* A mark with the right lane and sequence in a word that the record does not have. */
static void stray_marks(void **state)
{
	struct fixture s;
	sm_u64 *stray;

	(void)state;
	fixture_start(&s);
	stray = rig_word(s.pool, 200);
	stage_undecided(&s, s.a);
	sm_store(stray, mark_make(s.a->id, 1, s.a->seq));
	expect_fault(&s, stray);
	sm_store(stray, mark_make(s.a->id, 79, s.a->seq));
	expect_fault(&s, stray);
	fixture_stop(&s);
}

/* A status out of range decides nothing. */
static void senseless_status(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s);
	stage_undecided(&s, s.a);
	rig_mark(s.a, 0);
	for (unsigned status = DAXFS_STATUSES; status < 256; status += 50) {
		rig_status(s.a, (enum daxfs_status)status);
		expect_fault(&s, s.w[0]);
		assert_int_equal(rig_status_of(s.a), status);
	}
	fixture_stop(&s);
}

/* What a word is after a record over it was undone. */
static void expect_undone(struct fixture *s, unsigned k)
{
	uint64_t now = sm_load(s->w[k]);

	assert_false(word_is_mark(now));
	assert_int_equal(word_payload(now, W), word_payload(s->before[k], W));
	s->before[k] = now;
}

/* Each field of an UNDECIDED record ruined in turn: it cannot happen, and is undone, by whoever meets it. */
static void senseless_records(void **state)
{
	struct fixture s;
	struct record_tally tally;
	const uint64_t class = (uint64_t)W << 56;
	const struct {
		unsigned field; /* of word 0: address, before, after; 3: the number of words */
		uint64_t value;
	} ruin[] = {
		{ 0, class | (4ull << 20) }, /* past the pool */
		{ 0, class | ((1ull << 56) - 8) },
		{ 0, class | (DAXFS_PAGE_SIZE * 64 + 4) },                        /* between two words */
		{ 0, class | 0x58 },                                              /* the superblock */
		{ 0, (uint64_t)DAXFS_WORD_CLASSES << 56 | DAXFS_PAGE_SIZE * 64 }, /* no such class */
		{ 0, 255ull << 56 | DAXFS_PAGE_SIZE * 64 },
		{ 1, DAXFS_MARK }, /* values that are marks */
		{ 2, UINT64_MAX },
		{ 3, DAXFS_RECORD_WORDS + 1 },
		{ 3, UINT64_MAX },
	};

	(void)state;
	fixture_start(&s);
	for (unsigned i = 0; i < sizeof(ruin) / sizeof(ruin[0]); i++) {
		memset(&tally, 0, sizeof(tally));
		stage_undecided(&s, s.a);
		sm_store(ruin[i].field < 3 ? &s.a->sm->words[ruin[i].field] : &s.a->sm->n_words, ruin[i].value);
		record_finish(s.b, s.a->id, s.a->seq);
		assert_false(s.b->txn.fault);
		assert_int_equal(rig_status_of(s.a), DAXFS_ABORTED);
		for (unsigned k = 0; k < 3; k++)
			expect_undone(&s, k);
		assert_true(record_recover(s.b, s.a->id, &tally));
		assert_int_equal(tally.rolled_back, 1);
		assert_int_equal(tally.finished + tally.objects, 0);
		assert_int_equal(rig_status_of(s.a), DAXFS_IDLE);
	}
	fixture_stop(&s);
}

/* The same in a decided record: whoever meets its mark is told, the other words are resolved. */
static void senseless_decided_record(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s);
	stage_undecided(&s, s.a);
	for (unsigned i = 0; i < 3; i++)
		rig_mark(s.a, i);
	rig_status(s.a, DAXFS_COMMITTED);
	sm_store(&s.a->sm->words[3], UINT64_MAX);
	word_load(s.b, s.w[1]);
	assert_true(s.b->txn.fault);
	s.b->txn.fault = false;
	assert_int_equal(word_load(s.b, s.w[0]), word_next(s.before[0], W, 0)); /* word 0 makes sense */
	assert_false(s.b->txn.fault);
	assert_int_equal(word_help(s.b, s.w[2]), word_next(s.before[2], W, 2));
	assert_false(s.b->txn.fault);
	word_help(s.b, s.w[1]);
	assert_true(s.b->txn.fault);
	fixture_stop(&s);
}

/* Two records, each marked on what the other needs first: no order of addresses
 * leads there, so it is garbage, and helping does not go round for ever. */
static void circle(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s);
	stage_undecided(&s, s.a);
	stage_undecided(&s, s.b);
	sm_store(s.w[0], mark_make(s.b->id, 0, s.b->seq));
	sm_store(s.w[1], mark_make(s.a->id, 1, s.a->seq));
	/* b needs w[1] next, which a holds; a needs w[0], which b holds. */
	word_help(s.b, s.w[1]); /* one of them is undone */
	assert_false(s.b->txn.fault);
	for (unsigned k = 0; k < 3; k++)
		assert_false(word_is_mark(sm_load(s.w[k])));
	fixture_stop(&s);
}

/* Objects that do not exist, named in a record that is being recovered. */
static void senseless_objects(void **state)
{
	struct fixture s;
	struct record_tally tally = { 0 };
	const uint64_t objects[] = {
		UINT64_MAX,
		object_make(DAXFS_TYPES, 0),
		object_make(DAXFS_T_PAGE, UINT32_MAX),
		255ull << 32,
		object_make(DAXFS_T_INODE, UINT32_MAX),
	};

	(void)state;
	fixture_start(&s);
	for (unsigned status = DAXFS_PREPARE; status <= DAXFS_ABORTED; status++) {
		record_begin(s.a, OP_WRITE);
		for (unsigned i = 0; i < 5; i++) {
			sm_store(&s.a->sm->allocs[i], objects[i]);
			sm_store(&s.a->sm->retires[2 * i], objects[i]);
			sm_store(&s.a->sm->retires[2 * i + 1], UINT64_MAX);
		}
		rig_undecided(s.a);
		sm_store(&s.a->sm->n_allocs, UINT64_MAX); /* and far too many of them */
		sm_store(&s.a->sm->n_retires, UINT64_MAX);
		rig_status(s.a, (enum daxfs_status)status);
		record_recover(s.b, s.a->id, &tally);
		assert_false(s.b->txn.fault);
		assert_int_equal(rig_status_of(s.a), DAXFS_IDLE);
	}
	assert_int_equal(tally.finished, 2);
	assert_int_equal(tally.rolled_back, 2);
	assert_int_equal(tally.objects, 0);
	fixture_stop(&s);
}

/* An object that is somebody else's is not freed by a record that names it. */
static void objects_of_others(void **state)
{
	struct fixture s;
	struct record_tally tally = { 0 };
	uint64_t page, other;

	(void)state;
	fixture_start(&s);
	record_begin(s.b, OP_WRITE);
	assert_int_equal(space_take(s.b, DAXFS_T_PAGE, DAXFS_USE_DATA, 1, &page), 0);
	other = rig_state(s.pool, DAXFS_T_PAGE, page);
	record_begin(s.a, OP_WRITE);
	sm_store(&s.a->sm->allocs[0], object_make(DAXFS_T_PAGE, page)); /* intended, lost to b */
	sm_store(&s.a->sm->n_allocs, 1);
	record_recover(s.b, s.a->id, &tally);
	assert_int_equal(rig_state(s.pool, DAXFS_T_PAGE, page), other);
	assert_int_equal(tally.objects, 0);
	assert_int_equal(record_abort(s.b, 0), 0);
	fixture_stop(&s);
}

/* An operation of the API that meets a garbage mark says so, and goes on when it is gone. */
static void through_the_api(void **state)
{
	struct fixture s;
	struct daxfs_attr attr, in = { .mode = 0600 };
	struct sm_inode *sm;
	daxfs_ino ino;
	uint64_t was;

	(void)state;
	fixture_start(&s);
	ino = pod_create(s.pod.fs[2], DAXFS_ROOT, "f");
	sm = &s.pool->inodes[handle_index(ino)];
	was = sm_load(&sm->mode);
	sm_store(&sm->mode, mark_make(2, 3, 4));
	assert_int_equal(daxfs_getattr(s.pod.fs[2], ino, &attr), -EIO);
	assert_int_equal(daxfs_setattr(s.pod.fs[1], ino, DAXFS_SET_MODE, &in, NULL), -EIO);
	sm_store(&sm->mode, was);
	assert_int_equal(daxfs_setattr(s.pod.fs[1], ino, DAXFS_SET_MODE, &in, &attr), 0);
	assert_int_equal(attr.mode & 07777, 0600);
	fixture_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(orphan_marks),
		cmocka_unit_test(stray_marks),
		cmocka_unit_test(senseless_status),
		cmocka_unit_test(senseless_records),
		cmocka_unit_test(senseless_decided_record),
		cmocka_unit_test(circle),
		cmocka_unit_test(senseless_objects),
		cmocka_unit_test(objects_of_others),
		cmocka_unit_test(through_the_api),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
