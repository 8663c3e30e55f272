/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_dirtrie.c - names under hashes that the test chooses: collisions of every depth,
 * counts, nodes and leaves that come and go, against a model, garbage (index/).
 */
#include "trie_fixture.h"

/* -- collisions --------------------------------------------------------------------- */

/* Two hashes equal in their first `same` digits, and no more. */
static void pair(struct fixture *s, unsigned same, bool first_goes_first)
{
	uint64_t a = HASH_ALL / 3, b = a ^ (same == 6 ? 0 : 1ull << (9 * (5 - same) + 4));
	uint64_t key_a, key_b;
	struct trie_pos pos;

	assert_int_equal(insert(s, 1, a), 0);
	key_a = key_of(s, 1);
	assert_int_equal(key_a, a << 9);
	assert_int_equal(find(s, 2, b, true, &pos), 0);
	assert_false(pos.found);
	assert_int_equal(pos.crowded, same > 0);
	assert_int_equal(pos.level, 0);
	assert_int_equal(insert(s, 2, b), 0);
	assert_int_equal(s->made_room, same > 0);
	assert_int_equal(live_pages(s), s->pages + (same > 0)); /* a leaf, however much they share */
	assert_int_equal(names_in(s), 2);
	assert_int_equal(key_of(s, 1), key_a); /* moved, and the same cookie */
	key_b = key_of(s, 2);
	assert_int_equal(key_b, same == 6 ? (b << 9) + 1 : b << 9);
	assert_true(there(s, 1, a) && there(s, 2, b));
	assert_false(there(s, 3, a) || there(s, 3, b));
	assert_int_equal(find(s, 1, a, false, &pos), 0);
	assert_int_equal(pos.level, same > 0);
	assert_int_equal(pos.leaf, same > 0);
	assert_int_equal(insert(s, 1, a), -EEXIST);
	assert_int_equal(delete (s, first_goes_first ? 1 : 2, first_goes_first ? a : b), 0);
	assert_int_equal(names_in(s), 1);
	assert_true(there(s, first_goes_first ? 2 : 1, first_goes_first ? b : a));
	assert_int_equal(key_of(s, first_goes_first ? 2 : 1), first_goes_first ? key_b : key_a);
	assert_int_equal(delete (s, first_goes_first ? 2 : 1, first_goes_first ? b : a), 0);
	assert_int_equal(names_in(s), 0);
	assert_int_equal(live_pages(s), s->pages);
	assert_int_equal(delete (s, 1, a), -ENOENT);
}

static void collisions_of_every_depth(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s);
	for (unsigned same = 0; same <= 6; same++) {
		pair(&s, same, true);
		pair(&s, same, false);
	}
	fixture_stop(&s);
}

/* Real names whose hashes share a digit or two, through the API. */
static void real_names(void **state)
{
	struct fixture s;
	char buf[2][16];
	uint64_t first[512] = { 0 };
	unsigned found = 0;

	(void)state;
	fixture_start(&s);
	for (unsigned i = 1; i < 4000 && found < 6; i++) {
		int len = snprintf(buf[0], sizeof(buf[0]), "r%u", i);
		uint64_t hash = trie_hash(s.pool, buf[0], (size_t)len), prev = first[hash >> 45];

		if (prev) {
			snprintf(buf[1], sizeof(buf[1]), "r%u", (unsigned)prev);
			pod_create(s.pod.fs[0], s.dir, buf[0]);
			pod_create(s.pod.fs[0], s.dir, buf[1]);
			pod_check(&s.pod);
			assert_int_equal(pod_lookup(s.pod.fs[2], s.dir, buf[0], NULL), 0);
			assert_int_equal(pod_lookup(s.pod.fs[2], s.dir, buf[1], NULL), 0);
			assert_int_equal(daxfs_unlink(s.pod.fs[0], s.dir, buf[1]), 0);
			assert_int_equal(pod_lookup(s.pod.fs[2], s.dir, buf[0], NULL), 0);
			assert_int_equal(daxfs_unlink(s.pod.fs[0], s.dir, buf[0]), 0);
			found++;
		}
		first[hash >> 45] = prev ? 0 : i;
	}
	assert_int_equal(found, 6);
	fixture_stop(&s);
}

/* -- conflicts -------------------------------------------------------------------------- */

static void changes_conflict(void **state)
{
	struct fixture s;
	struct lane *b;
	const uint64_t hash = HASH_ALL / 5;

	(void)state;
	fixture_start(&s);
	b = rig_enter(s.pod.fs[2]);
	stage_insert(&s, b, 1, hash); /* the same name twice */
	assert_int_equal(insert(&s, 1, hash), 0);
	assert_int_equal(record_commit(b), -EAGAIN);
	stage_insert(&s, b, 2, hash); /* both into one slot of a bucket */
	assert_int_equal(insert(&s, 3, hash), 0);
	assert_int_equal(record_commit(b), -EAGAIN);
	stage_insert(&s, b, 2, hash); /* and into two: the count tells */
	assert_int_equal(delete (&s, 1, hash), 0);
	assert_int_equal(insert(&s, 2, hash), 0);
	assert_int_equal(record_commit(b), -EAGAIN);
	assert_int_equal(delete (&s, 3, hash), 0);
	stage_insert(&s, b, 3, hash); /* into a leaf that is being emptied */
	assert_int_equal(delete (&s, 2, hash), 0);
	assert_int_equal(record_commit(b), -EAGAIN);
	assert_int_equal(names_in(&s), 0);
	stage_insert(&s, b, 2, hash);
	assert_int_equal(record_commit(b), 0);
	assert_int_equal(delete (&s, 2, hash), 0);
	rig_exit(s.pod.fs[2], b);
	fixture_stop(&s);
}

/* A frozen count: the root's means no directory, another's means look again. */
static void frozen_nodes(void **state)
{
	struct fixture s;
	struct trie_pos pos;
	sm_u64 *count;
	uint64_t was;

	(void)state;
	fixture_start(&s);
	assert_int_equal(insert(&s, 1, 5), 0);
	assert_int_equal(insert(&s, 2, 5 ^ (1ull << 36)), 0); /* one level below the root */
	assert_int_equal(find(&s, 1, 5, true, &pos), 0);
	assert_int_equal(pos.level, 1);
	count = &s.pool->count[pos.node];
	was = sm_load(count);
	sm_store(count, was | DAXFS_COUNT_FROZEN);
	assert_int_equal(find(&s, 1, 5, true, &pos), -EIO); /* frozen, but still linked: damaged */
	s.lane->txn.fault = false;
	assert_int_equal(find(&s, 1, 5, false, &pos), 0); /* who only looks is not disturbed */
	assert_true(pos.found);
	sm_store(count, was);
	count = &s.pool->count[s.root];
	was = sm_load(count);
	sm_store(count, was | DAXFS_COUNT_FROZEN);
	assert_int_equal(find(&s, 3, 5, true, &pos), -ENOENT);
	sm_store(count, was);
	assert_int_equal(delete (&s, 1, 5), 0);
	/* The record that empties the node freezes it, wherever else it is looked at. */
	assert_int_equal(find(&s, 2, 5 ^ (1ull << 36), true, &pos), 0);
	assert_int_equal(delete (&s, 2, 5 ^ (1ull << 36)), 0);
	assert_int_equal(word_payload(sm_load(&s.pool->count[pos.node]), DAXFS_W_COUNT), DAXFS_COUNT_FROZEN);
	assert_int_equal(state_of(rig_state(s.pool, DAXFS_T_PAGE, pos.node)), DAXFS_RETIRED);
	fixture_stop(&s);
}

/* A replaced entry keeps slot and key. */
static void replacing(void **state)
{
	struct fixture s;
	char buf[16];
	struct trie_name name = named(buf, sizeof(buf), 4, 1234);
	struct trie_pos pos;
	uint64_t old;

	(void)state;
	fixture_start(&s);
	assert_int_equal(insert(&s, 4, 1234), 0);
	assert_int_equal(find(&s, 4, 1234, true, &pos), 0);
	old = pos.entry;
	record_begin(s.lane, OP_RENAME);
	assert_int_equal(entry_replace(s.lane, &pos, &name, 9ull << 32 | DAXFS_ROOT, S_IFDIR), 0);
	assert_int_equal(record_commit(s.lane), 0);
	assert_int_equal(find(&s, 4, 1234, true, &pos), 0);
	assert_int_equal(pos.handle, 9ull << 32 | DAXFS_ROOT);
	assert_int_equal(pos.type, 4); /* DT_DIR */
	assert_int_not_equal(pos.entry, old);
	assert_int_equal(state_of(rig_state(s.pool, DAXFS_T_DIRENT, old)), DAXFS_RETIRED);
	assert_int_equal(key_of(&s, 9), 1234ull << 9);
	assert_int_equal(names_in(&s), 1);
	record_begin(s.lane, OP_UNLINK);
	entry_remove(s.lane, &pos);
	assert_int_equal(record_commit(s.lane), 0);
	fixture_stop(&s);
}

/* -- against a model ------------------------------------------------------------------------ */

#define MODEL 400u

/* Hashes that collide a lot: two values for each digit but the last. */
static uint64_t clustered(unsigned *seed)
{
	uint64_t hash = 0;

	for (unsigned level = 0; level < 5; level++)
		hash = hash << 9 | (rand_r(seed) % 4 ? 257 : 13);
	return hash << 9 | (unsigned)rand_r(seed) % 128;
}

static void expect_listing(struct fixture *s, const uint64_t *hash, const bool *in)
{
	struct trie_entry entry;
	uint64_t from = 0;
	unsigned listed = 0, expected = 0;
	bool seen[MODEL] = { false };

	for (; rig_next_entry(s->lane, s->root, from, &entry) == 0; from = entry.key + 1) {
		unsigned i = (unsigned)(entry.handle >> 32);

		assert_true(i < MODEL && in[i] && !seen[i]);
		assert_int_equal(entry.key >> 9, hash[i]);
		assert_true(entry.key >= from); /* in order */
		seen[i] = true;
		listed++;
	}
	for (unsigned i = 0; i < MODEL; i++)
		expected += in[i];
	assert_int_equal(listed, expected);
	assert_int_equal(names_in(s), expected);
}

/* Any hashes at all. */
static uint64_t scattered(unsigned *seed)
{
	return ((uint64_t)rand_r(seed) << 40 ^ (uint64_t)rand_r(seed) << 20 ^ (uint64_t)rand_r(seed)) & HASH_ALL;
}

static void set_of(uint64_t (*some_hash)(unsigned *seed))
{
	struct fixture s;
	uint64_t hash[MODEL];
	bool in[MODEL] = { false };
	unsigned seed = 20240611;

	print_message("seed %u\n", seed);
	fixture_start(&s);
	for (unsigned i = 0; i < MODEL; i++)
		hash[i] = some_hash(&seed);
	for (unsigned step = 0; step < 4000; step++) {
		unsigned i = (unsigned)rand_r(&seed) % MODEL;
		bool add = rand_r(&seed) % 100 < (step / 1000 % 2 ? 30 : 70);

		assert_int_equal(there(&s, i, hash[i]), in[i]);
		if (add)
			assert_int_equal(insert(&s, i, hash[i]), in[i] ? -EEXIST : 0);
		else
			assert_int_equal(delete (&s, i, hash[i]), in[i] ? 0 : -ENOENT);
		in[i] = add;
		if (step % 200 == 0)
			expect_listing(&s, hash, in);
	}
	expect_listing(&s, hash, in);
	for (unsigned i = 0; i < MODEL; i++)
		assert_int_equal(delete (&s, i, hash[i]), in[i] ? 0 : -ENOENT);
	fixture_stop(&s);
}

static void like_a_set(void **state)
{
	(void)state;
	set_of(clustered);
	set_of(scattered);
}

/* -- garbage -------------------------------------------------------------------------------- */

static void expect_eio(struct fixture *s, unsigned i, uint64_t hash)
{
	struct trie_entry entry;
	struct trie_pos pos;

	for (unsigned intend = 0; intend < 2; intend++) {
		assert_int_equal(find(s, i, hash, intend, &pos), -EIO);
		assert_true(s->lane->txn.fault);
		s->lane->txn.fault = false;
	}
	assert_int_equal(rig_next_entry(s->lane, s->root, 0, &entry), -EIO);
	s->lane->txn.fault = false;
}

static void senseless_slots(void **state)
{
	struct fixture s;
	struct trie_pos pos;
	uint64_t was;

	(void)state;
	fixture_start(&s);
	const uint64_t bad[] = {
		link_payload(DAXFS_DATA, 3),
		link_payload(DAXFS_INODE, 1),
		link_payload((enum daxfs_link_kind)5, 0),
		name_payload(DAXFS_LEAF, s.root + 1, 7),
		link_payload(DAXFS_NODE, s.pool->objects[DAXFS_T_PAGE]),
		link_payload(DAXFS_LEAF, s.pool->objects[DAXFS_T_PAGE]),
		link_payload(DAXFS_NODE, UINT32_MAX),
		link_payload(DAXFS_DIRENT, s.pool->objects[DAXFS_T_DIRENT]),
		link_payload(DAXFS_DIRENT, UINT32_MAX),
		UINT64_MAX,
	};
	assert_int_equal(insert(&s, 1, 99), 0);
	assert_int_equal(find(&s, 1, 99, true, &pos), 0);
	was = sm_load(pos.slot);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		sm_store(pos.slot, bad[i]);
		expect_eio(&s, 1, 99);
	}
	sm_store(pos.slot, was);
	assert_int_equal(delete (&s, 1, 99), 0);
	fixture_stop(&s);
}

/* A node that names itself: the levels end. */
static void node_in_itself(void **state)
{
	struct fixture s;
	sm_u64 *slot;
	uint64_t was;

	(void)state;
	fixture_start(&s);
	slot = &map_node(s.pool, s.root)->slot[0];
	was = sm_load(slot);
	sm_store(slot, link_payload(DAXFS_NODE, s.root));
	expect_eio(&s, 1, 0); /* below the last level a node has no business */
	sm_store(slot, was);
	fixture_stop(&s);
}

static bool count_names(void *context, const char *name, daxfs_ino ino, unsigned type, uint64_t next)
{
	unsigned *n = context;

	(void)name;
	(void)ino;
	(void)type;
	(void)next;
	return ++*n < 10000;
}

/* Entries without a name, or with a hash that would send a listing backwards. */
static void senseless_entries(void **state)
{
	struct fixture s;
	struct trie_pos pos;
	struct sm_dirent *entry, was;
	unsigned n = 0;

	(void)state;
	fixture_start(&s);
	assert_int_equal(insert(&s, 1, 99), 0);
	assert_int_equal(find(&s, 1, 99, true, &pos), 0);
	entry = &s.pool->dirents[pos.entry];
	was = *entry;
	entry->len = 0;
	expect_eio(&s, 1, 99);
	*entry = was;
	entry->hash = UINT64_MAX;
	expect_eio(&s, 1, 99);
	entry->hash = HASH_ALL + 1;
	expect_eio(&s, 1, 99);
	*entry = was;
	assert_int_equal(delete (&s, 1, 99), 0);
	/* Through the API a listing ends. */
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(insert(&s, i, (uint64_t)i << 45), 0);
	assert_int_equal(find(&s, 31, 31ull << 45, true, &pos), 0);
	entry = &s.pool->dirents[pos.entry];
	was = *entry;
	entry->hash = UINT64_MAX >> 9;
	assert_int_equal(daxfs_readdir(s.pod.fs[0], s.dir, 0, count_names, &n), -EIO);
	*entry = was;
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(delete (&s, i, (uint64_t)i << 45), 0);
	fixture_stop(&s);
}

/* Keys that differ by one, in several batches of a listing. */
static void keys_next_to_each_other(void **state)
{
	struct fixture s;
	unsigned n = 0;

	(void)state;
	fixture_start(&s);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(insert(&s, i, 12345 + i / 8), 0);
	assert_int_equal(daxfs_readdir(s.pod.fs[0], s.dir, 0, count_names, &n), 0);
	assert_int_equal(n, 100 + 2);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(delete (&s, i, 12345 + i / 8), 0);
	fixture_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(collisions_of_every_depth),
		cmocka_unit_test(real_names),
		cmocka_unit_test(changes_conflict),
		cmocka_unit_test(frozen_nodes),
		cmocka_unit_test(replacing),
		cmocka_unit_test(like_a_set),
		cmocka_unit_test(senseless_slots),
		cmocka_unit_test(node_in_itself),
		cmocka_unit_test(senseless_entries),
		cmocka_unit_test(keys_next_to_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
