/* SPDX-License-Identifier: Apache-2.0 */
/* test_word.c - words packed and unpacked at their limits (sync/word.h); pure functions, no pool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "sync/word.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const enum daxfs_word_class classes[] = {
	DAXFS_W_LINK,  DAXFS_W_SIZE, DAXFS_W_NLINK, DAXFS_W_OPENERS,
	DAXFS_W_COUNT, DAXFS_W_ATTR, DAXFS_W_TICK,  DAXFS_W_LOCKS,
};

/* Each field at 0, 1 and its largest, with the other fields at theirs. */
static void marks(void **state)
{
	const unsigned lanes[] = { 0, 1, 511, DAXFS_LANES_MAX - 1, 4095 };
	const unsigned widxs[] = { 0, 1, DAXFS_RECORD_WORDS - 1, 127 };
	const uint64_t seqs[] = { 0, 1, 1ull << 42, DAXFS_SEQ_MASK };

	(void)state;
	for (unsigned l = 0; l < COUNT(lanes); l++)
		for (unsigned w = 0; w < COUNT(widxs); w++)
			for (unsigned s = 0; s < COUNT(seqs); s++) {
				uint64_t mark = mark_make(lanes[l], widxs[w], seqs[s]);

				assert_true(word_is_mark(mark));
				assert_int_equal(mark_lane(mark), lanes[l]);
				assert_int_equal(mark_widx(mark), widxs[w]);
				assert_int_equal(mark_seq(mark), seqs[s]);
			}
	assert_int_equal(mark_make(4095, 127, DAXFS_SEQ_MASK) | DAXFS_MARK_HELPED, UINT64_MAX);
	assert_true(word_is_claim(UINT64_MAX) && mark_helped(UINT64_MAX));
	assert_int_equal(status_mark(status_make(5, 3, DAXFS_UNDECIDED), 7, 9), mark_make(7, 9, 5));
	assert_int_equal(status_mark(status_make(5, 3, DAXFS_UNDECIDED) | DAXFS_STATUS_HELPED, 7, 9),
			 mark_make(7, 9, 5) | DAXFS_MARK_HELPED);
	assert_false(word_is_mark(DAXFS_MARK - 1));
	/* A sequence that is too long touches neither lane nor index. */
	assert_int_equal(mark_make(0, 0, UINT64_MAX), DAXFS_MARK | DAXFS_SEQ_MASK);
}

static void versions(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(classes); i++) {
		enum daxfs_word_class class = classes[i];
		unsigned s = word_shift(class);
		uint64_t ones = (1ull << s) - 1, w = ones | 41ull << s;

		assert_int_equal(word_payload(w, class), ones);
		assert_int_equal(word_next(w, class, 0), 42ull << s);
		assert_int_equal(word_next(42ull << s, class, ones), 43ull << s | ones);
		assert_int_equal(word_bump(w, class), 42ull << s | ones);
		assert_int_not_equal(word_bump(w, class), w);
	}
}

/* The last version is followed by version 0, never by a mark. */
static void versions_wrap(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(classes); i++) {
		enum daxfs_word_class class = classes[i];
		unsigned s = word_shift(class);
		uint64_t ones = (1ull << s) - 1, last = DAXFS_MARK - 1;

		assert_int_equal(word_bump(last, class), ones);
		assert_int_equal(word_next(last, class, 0), 0);
		assert_false(word_is_mark(word_next(last - (1ull << s), class, ones)));
		assert_int_equal(word_bump(last - (1ull << s), class), last);
		/* Bit 63 of what it is given is not taken for version. */
		assert_int_equal(word_bump(last | DAXFS_MARK, class), ones);
	}
}

/* Every payload fits below its class's version shift and comes back. */
static void payloads(void **state)
{
	const uint64_t versions = 0x7fffull << 48;

	(void)state;
	for (unsigned kind = 0; kind < 32; kind++) {
		uint64_t p = link_payload((enum daxfs_link_kind)kind, UINT32_MAX);

		assert_int_equal(word_payload(p, DAXFS_W_LINK), p);
		assert_int_equal(link_kind(p | versions), kind);
		assert_int_equal(link_index(p | versions), UINT32_MAX);
		assert_int_equal(link_index(link_payload((enum daxfs_link_kind)kind, 0)), 0);
	}
	for (unsigned life = 0; life < 4; life++) {
		uint64_t p = nlink_payload((enum daxfs_life)life, UINT32_MAX);

		assert_int_equal(word_payload(p, DAXFS_W_NLINK), p);
		assert_int_equal(nlink_life(p | versions), life);
		assert_int_equal(nlink_count(p | versions), UINT32_MAX);
		assert_int_equal(nlink_count(nlink_payload((enum daxfs_life)life, 0)), 0);
	}
}

static void sizes(void **state)
{
	const uint64_t largest = DAXFS_FILE_MAX | DAXFS_SIZE_PRUNE, version = 1ull << DAXFS_SIZE_BITS;

	(void)state;
	assert_int_equal(word_payload(largest, DAXFS_W_SIZE), largest);
	assert_int_equal(size_bytes(largest | version), DAXFS_FILE_MAX);
	assert_true(size_prune(largest | version));
	assert_false(size_prune(DAXFS_SIZE_MASK | version));
	assert_int_equal(size_bytes(DAXFS_SIZE_MASK), DAXFS_SIZE_MASK);
	assert_int_equal(word_bump(largest, DAXFS_W_SIZE), largest | version);
	/* A count of all slots, frozen, fits its class. */
	assert_true((DAXFS_COUNT_FROZEN | DAXFS_NODE_SLOTS) < 1ull << DAXFS_COUNT_BITS);
}

static void states_and_txids(void **state)
{
	const unsigned lanes[] = { 0, 1, DAXFS_LANES_MAX - 1 };
	const uint64_t seqs[] = { 0, 1, DAXFS_SEQ_MASK };

	(void)state;
	for (unsigned l = 0; l < COUNT(lanes); l++)
		for (unsigned q = 0; q < COUNT(seqs); q++)
			for (unsigned s = 0; s < 8; s++)
				for (unsigned use = 0; use < 32; use++) {
					uint64_t txid = txid_make(lanes[l], seqs[q]);
					uint64_t w = state_make((enum daxfs_state)s, (enum daxfs_use)use, txid);

					assert_int_equal(state_of(w), s);
					assert_int_equal(use_of(w), use);
					assert_int_equal(txid_of(w), txid);
					assert_int_equal(txid_lane(txid), lanes[l]);
					assert_int_equal(txid_seq(txid), seqs[q]);
					/* Use and txid, without the state: what a retirement names. */
					assert_int_equal(w & DAXFS_USE_TXID_MASK, (uint64_t)use << 56 | txid);
				}
	assert_int_equal(state_make(DAXFS_FREE, DAXFS_USE_NONE, 0), 0);
	assert_int_equal(state_make(DAXFS_RETIRED, DAXFS_USE_NONE, DAXFS_EPOCH_MASK) & DAXFS_EPOCH_MASK,
			 DAXFS_EPOCH_MASK);
	assert_int_equal(txid_make(3, UINT64_MAX), txid_make(3, DAXFS_SEQ_MASK));
}

static void objects_and_handles(void **state)
{
	(void)state;
	for (unsigned type = 0; type < DAXFS_TYPES; type++) {
		uint64_t o = object_make((enum daxfs_type)type, UINT32_MAX);

		assert_int_equal(object_type(o), type);
		assert_int_equal(object_index(o), UINT32_MAX);
	}
	assert_int_equal(object_type(UINT64_MAX), 255); /* garbage stays recognizable */
	assert_int_equal(handle_index(handle_make(UINT32_MAX, 7)), 7);
	assert_int_equal(handle_generation(handle_make(UINT32_MAX, 7)), UINT32_MAX);
	assert_int_equal(handle_make(0, DAXFS_ROOT_INO), 1);
}

static void statuses(void **state)
{
	(void)state;
	for (unsigned s = 0; s < 256; s += 5) {
		uint64_t w = status_make(DAXFS_SEQ_MASK, 1023, (enum daxfs_status)s);

		assert_int_equal(status_seq(w), DAXFS_SEQ_MASK);
		assert_int_equal(status_operation(w), 1023);
		assert_int_equal(status_state(w), s);
		for (unsigned to = DAXFS_IDLE; to <= DAXFS_ABORTED; to++) {
			uint64_t v = status_with(w, (enum daxfs_status)to);

			assert_int_equal(status_state(v), to);
			assert_int_equal(v & ~255ull, w & ~255ull);
		}
	}
	/* An operation out of range does not reach the sequence. */
	assert_int_equal(status_seq(status_make(1, 1024 + 3, DAXFS_PREPARE)), 1);
	assert_int_equal(status_operation(status_make(1, 1024 + 3, DAXFS_PREPARE)), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(marks),
		cmocka_unit_test(versions),
		cmocka_unit_test(versions_wrap),
		cmocka_unit_test(payloads),
		cmocka_unit_test(sizes),
		cmocka_unit_test(states_and_txids),
		cmocka_unit_test(objects_and_handles),
		cmocka_unit_test(statuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
