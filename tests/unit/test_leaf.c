/* SPDX-License-Identifier: Apache-2.0 */
/* test_leaf.c - leaves of a directory: full ones, halves, twins, what conflicts with a split (index/leaf.c). */
#include "trie_fixture.h"

/* A full bucket: its leaf is halved until its run is one slot, then there is another level; and so on. */
static void full_buckets(void **state)
{
	struct fixture s;
	struct trie_pos pos;
	const uint64_t a = 0x155555555555ull & ~511ull; /* a bucket of the fifth level, and its eight hashes */

	(void)state;
	fixture_start(&s);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(insert(&s, i, a + i), 0);
	assert_int_equal(live_pages(&s), s.pages + 1);
	assert_int_equal(insert(&s, 8, a), 0);
	/* In each of five levels the leaf is halved six times, and then deepened. */
	assert_int_equal(s.made_room, 5 * 7);
	assert_int_equal(live_pages(&s), s.pages + 5 + 1);
	assert_int_equal(find(&s, 8, a, false, &pos), 0);
	assert_true(pos.found && pos.leaf);
	assert_int_equal(pos.level, 6);
	for (unsigned i = 0; i < 9; i++)
		assert_true(there(&s, i, a + i % 8));
	assert_int_equal(names_in(&s), 9);
	/* A name that leaves their way after each level. */
	for (unsigned level = 0; level < 5; level++)
		assert_int_equal(insert(&s, 10 + level, a ^ (1ull << (9 * (5 - level)))), 0);
	assert_int_equal(names_in(&s), 14);
	for (unsigned i = 0; i < 9; i++)
		assert_int_equal(delete (&s, i, a + i % 8), 0);
	assert_int_equal(names_in(&s), 5);
	for (unsigned level = 0; level < 5; level++)
		assert_int_equal(delete (&s, 10 + level, a ^ (1ull << (9 * (5 - level)))), 0);
	fixture_stop(&s);
}

/* A leaf that is halved with entries on both sides, and one of a run that lost its other half. */
static void halves(void **state)
{
	struct fixture s;
	struct trie_pos pos;
	const uint64_t top = 1ull << 45, bucket = 1ull << 44;
	unsigned n = 0;

	(void)state;
	fixture_start(&s);
	/* Slots 0 and 32 of the root: buckets 0 and 32 of a leaf for slots 0 to 63. */
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(insert(&s, n++, i), 0);
		assert_int_equal(insert(&s, n++, 32 * top + i), 0);
	}
	assert_int_equal(live_pages(&s), s.pages + 1);
	assert_int_equal(insert(&s, n++, 8), 0);
	assert_true(s.made_room > 1);
	assert_int_equal(find(&s, 1, 32 * top, false, &pos), 0);
	assert_true(pos.found && pos.leaf);
	assert_int_equal(name_hint(pos.path[0].word), 5); /* what is left of it: slots 32 to 63 */
	/* Its last name takes all 32 slots with it; then two meet there again. */
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(delete (&s, 2 * i + 1, 32 * top + i), 0);
	assert_int_equal(names_in(&s), 9);
	assert_int_equal(insert(&s, n++, 40 * top), 0);
	assert_int_equal(insert(&s, n++, 40 * top + bucket), 0);
	assert_int_equal(find(&s, n - 1, 40 * top + bucket, false, &pos), 0);
	assert_true(pos.found && pos.leaf);
	assert_int_equal(name_hint(pos.path[0].word), 5);
	assert_int_equal(names_in(&s), 11);
	assert_int_equal(delete (&s, n - 2, 40 * top), 0);
	assert_int_equal(delete (&s, n - 1, 40 * top + bucket), 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(delete (&s, 2 * i, i), 0);
	assert_int_equal(delete (&s, 16, 8), 0);
	fixture_stop(&s);
}

/* All 54 bits equal: eight names, told apart by their twins, and no ninth. */
static void one_hash_for_all(void **state)
{
	struct fixture s;
	struct trie_entry entry;
	struct trie_pos pos;
	uint64_t from = 0, hash = HASH_ALL;
	unsigned n = 0;

	(void)state;
	fixture_start(&s);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(insert(&s, i, hash), 0);
	assert_int_equal(insert(&s, 8, hash), -ENOSPC);
	assert_int_equal(insert(&s, 5, hash), -EEXIST);
	assert_int_equal(find(&s, 8, hash, false, &pos), 0); /* looking is no problem */
	assert_false(pos.found);
	assert_int_equal(names_in(&s), 8);
	for (; rig_next_entry(s.lane, s.root, from, &entry) == 0; from = entry.key + 1, n++)
		assert_int_equal(entry.key, hash << 9 | n);
	assert_int_equal(n, 8);
	assert_int_equal(delete (&s, 6, hash), 0);
	assert_int_equal(insert(&s, 8, hash), 0); /* the twin that 6 was */
	assert_int_equal(key_of(&s, 8), hash << 9 | 6);
	assert_int_equal(insert(&s, 9, hash ^ 1), 0); /* another bucket */
	assert_int_equal(key_of(&s, 8), hash << 9 | 6);
	assert_int_equal(key_of(&s, 9), (hash ^ 1) << 9);
	assert_int_equal(delete (&s, 9, hash ^ 1), 0);
	assert_int_equal(delete (&s, 8, hash), 0);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(delete (&s, i, hash), i == 6 ? -ENOENT : 0);
	fixture_stop(&s);
}

/* Fill the bucket of a hash with eight names, n on. */
static void fill_bucket(struct fixture *s, unsigned n, uint64_t hash)
{
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(insert(s, n + i, hash + i), 0);
}

static void stage_delete(struct fixture *s, struct lane *b, unsigned i, uint64_t hash)
{
	static char buf[16];
	struct trie_name name = named(buf, sizeof(buf), i, hash);
	struct trie_pos pos;

	assert_int_equal(trie_find(b, s->root, &name, true, &pos), 0);
	assert_true(pos.found);
	record_begin(b, OP_UNLINK);
	entry_remove(b, &pos);
}

static void stage_replace(struct fixture *s, struct lane *b, unsigned i, uint64_t hash)
{
	static char buf[16];
	struct trie_name name = named(buf, sizeof(buf), i, hash);
	struct trie_pos pos;

	assert_int_equal(trie_find(b, s->root, &name, true, &pos), 0);
	assert_true(pos.found);
	record_begin(b, OP_RENAME);
	assert_int_equal(entry_replace(b, &pos, &name, DAXFS_ROOT + ((uint64_t)i << 32), S_IFDIR), 0);
}

static void empty_bucket(struct fixture *s, unsigned n, uint64_t hash)
{
	for (unsigned i = 0; i < 9; i++)
		assert_int_equal(delete (s, n + i, hash + i), 0);
}

/* Whatever is about to change in a leaf does not when that is split; what was found in it looks again. */
static void changes_conflict_with_splits(void **state)
{
	struct fixture s;
	struct lane *b;
	const uint64_t hash = HASH_ALL / 5 & ~511ull, beside = hash ^ 1ull << 44;
	struct trie_pos pos;

	(void)state;
	fixture_start(&s);
	b = rig_enter(s.pod.fs[2]);
	for (unsigned way = 0; way < 4; way++) {
		char buf[16];
		struct trie_name name = named(buf, sizeof(buf), 3, hash + 3);

		fill_bucket(&s, 0, hash);
		assert_int_equal(trie_find(b, s.root, &name, false, &pos), 0);
		assert_true(pos.found && trie_unchanged(b, &pos));
		if (way == 0)
			stage_insert(&s, b, 100, beside);
		else if (way == 1)
			stage_delete(&s, b, 3, hash + 3);
		else if (way == 2)
			stage_replace(&s, b, 3, hash + 3);
		assert_int_equal(insert(&s, 8, hash + 8), 0);
		if (way < 3)
			assert_int_equal(record_commit(b), -EAGAIN);
		assert_int_equal(sm_load(pos.slot), pos.word); /* L5 */
		assert_false(trie_unchanged(b, &pos));
		assert_int_equal(names_in(&s), 9);
		empty_bucket(&s, 0, hash);
		lane_renew(b);
	}
	rig_exit(s.pod.fs[2], b);
	fixture_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_buckets),
		cmocka_unit_test(halves),
		cmocka_unit_test(one_hash_for_all),
		cmocka_unit_test(changes_conflict_with_splits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
