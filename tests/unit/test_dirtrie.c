/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_dirtrie.c - names under hashes that the test chooses: collisions of every
 * depth, counts, nodes that come and go (index/dirtrie.c). The entries name the
 * root directory and are gone again before the pool is checked.
 */
#include <unistd.h>

#include "hang.h"
#include "rig.h"

#define HASH_ALL ((1ull << DAXFS_HASH_BITS) - 1)

struct fixture {
	struct pod pod;
	struct pool *pool;
	struct lane *lane;
	daxfs_ino dir;
	uint64_t root; /* page of the directory's root node */
	uint64_t pages;
};

static uint64_t live_pages(struct fixture *s)
{
	struct daxfs_usage u;
	uint64_t nodes;

	space_usage(s->pool, DAXFS_T_PAGE, &u, &nodes);
	assert_int_equal(u.private_, 0);
	return u.live;
}

static void fixture_start(struct fixture *s)
{
	alarm(HANG_S);
	pod_start_with(&s->pod, 8 << 20, (struct daxfs_mkfs_options){ .inodes = 2048, .lanes = 4 });
	s->pool = rig_pool(&s->pod);
	s->dir = pod_mkdir(s->pod.fs[0], DAXFS_ROOT, "d");
	s->root = link_index(sm_load(&s->pool->inodes[handle_index(s->dir)].dir_root));
	s->lane = rig_enter(s->pod.fs[1]);
	s->pages = live_pages(s);
}

static void fixture_stop(struct fixture *s)
{
	assert_int_equal(live_pages(s), s->pages); /* emptied nodes are freed */
	assert_int_equal(word_payload(sm_load(&s->pool->count[s->root]), DAXFS_W_COUNT), 0);
	s->lane->fault = false;
	rig_exit(s->pod.fs[1], s->lane);
	assert_int_equal(daxfs_rmdir(s->pod.fs[2], DAXFS_ROOT, "d"), 0);
	pod_stop(&s->pod);
}

/* Names are told apart by their first byte too: "aN" and so on. */
static struct trie_name named(char *buf, size_t size, unsigned i, uint64_t hash)
{
	int len = snprintf(buf, size, "n%u", i);

	return (struct trie_name){ .name = buf, .len = (uint8_t)len, .hash = hash };
}

static int find(struct fixture *s, unsigned i, uint64_t hash, bool intend, struct trie_pos *pos)
{
	char buf[16];
	struct trie_name name = named(buf, sizeof(buf), i, hash);

	lane_renew(s->lane);
	return trie_find(s->lane, s->root, &name, intend, pos);
}

static int insert(struct fixture *s, unsigned i, uint64_t hash)
{
	char buf[16];
	struct trie_name name = named(buf, sizeof(buf), i, hash);
	struct trie_pos pos;
	int rc = find(s, i, hash, true, &pos);

	if (rc)
		return rc;
	if (pos.found)
		return -EEXIST;
	record_begin(s->lane, OP_CREATE);
	rc = entry_insert(s->lane, &pos, &name, DAXFS_ROOT + ((uint64_t)i << 32), S_IFREG);
	return rc ? record_abort(s->lane, rc) : record_commit(s->lane);
}

static int delete (struct fixture *s, unsigned i, uint64_t hash)
{
	struct trie_pos pos;
	int rc = find(s, i, hash, true, &pos);

	if (rc)
		return rc;
	if (!pos.found)
		return -ENOENT;
	assert_int_equal(pos.handle >> 32, i);
	record_begin(s->lane, OP_UNLINK);
	entry_remove(s->lane, &pos);
	return record_commit(s->lane);
}

static bool there(struct fixture *s, unsigned i, uint64_t hash)
{
	struct trie_pos pos;

	assert_int_equal(find(s, i, hash, false, &pos), 0);
	return pos.found && pos.handle >> 32 == i;
}

/* Every node's count is the number of its used slots; returns names below. */
static unsigned count_below(struct fixture *s, uint64_t page, unsigned level)
{
	unsigned names = 0, used = 0;

	for (unsigned i = 0; i < DAXFS_NODE_SLOTS; i++) {
		uint64_t w = sm_load(&map_node(s->pool, page)->slot[i]);

		used += link_kind(w) != DAXFS_ABSENT;
		names += link_kind(w) == DAXFS_DIRENT;
		if (link_kind(w) == DAXFS_NODE)
			names += count_below(s, link_index(w), level + 1);
	}
	assert_true(level <= DAXFS_HASH_LEVELS);
	assert_true(used > 0 || level == 0);
	assert_int_equal(word_payload(sm_load(&s->pool->count[page]), DAXFS_W_COUNT), used);
	return names;
}

static unsigned names_in(struct fixture *s)
{
	return count_below(s, s->root, 0);
}

/* The key under which a listing has name i; 0 < keys of these tests. */
static uint64_t key_of(struct fixture *s, unsigned i)
{
	struct trie_entry entry;
	uint64_t from = 0, key = 0;

	while (rig_next_entry(s->lane, s->root, from, &entry) == 0) {
		if (entry.handle >> 32 == i)
			key = entry.key;
		assert_true(entry.key >= from);
		from = entry.key + 1;
	}
	return key;
}

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
	assert_int_equal(pos.nodes, same); /* one a level they share */
	assert_int_equal(pos.level, 0);
	assert_int_equal(insert(s, 2, b), 0);
	assert_int_equal(live_pages(s), s->pages + same);
	assert_int_equal(names_in(s), 2);
	assert_int_equal(key_of(s, 1), key_a); /* pushed down, and the same cookie */
	key_b = key_of(s, 2);
	assert_int_equal(key_b, same == 6 ? (b << 9) + 1 : b << 9);
	assert_true(there(s, 1, a) && there(s, 2, b));
	assert_false(there(s, 3, a) || there(s, 3, b));
	assert_int_equal(find(s, 1, a, false, &pos), 0);
	assert_int_equal(pos.level, same);
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

/* A third name that leaves the chain of two others half way. */
static void branches(void **state)
{
	struct fixture s;
	const uint64_t a = 0x155555555555ull;

	(void)state;
	fixture_start(&s);
	assert_int_equal(insert(&s, 1, a), 0);
	assert_int_equal(insert(&s, 2, a ^ 1), 0); /* differ in the last digit */
	for (unsigned level = 0; level < 5; level++)
		assert_int_equal(insert(&s, 10 + level, a ^ (1ull << (9 * (5 - level)))), 0);
	assert_int_equal(names_in(&s), 7);
	assert_int_equal(live_pages(&s), s.pages + 5); /* all of them in the same five nodes */
	for (unsigned level = 0; level < 5; level++)
		assert_int_equal(delete (&s, 10 + level, a ^ (1ull << (9 * (5 - level)))), 0);
	assert_int_equal(delete (&s, 1, a), 0);
	assert_true(there(&s, 2, a ^ 1));
	assert_int_equal(live_pages(&s), s.pages + 5);
	assert_int_equal(delete (&s, 2, a ^ 1), 0);
	fixture_stop(&s);
}

/* All 54 bits equal: 512 names without order, and no 513th. */
static void one_hash_for_all(void **state)
{
	struct fixture s;
	struct trie_entry entry;
	struct trie_pos pos;
	uint64_t from = 0, hash = HASH_ALL;
	unsigned n = 0;

	(void)state;
	fixture_start(&s);
	for (unsigned i = 0; i < 512; i++)
		assert_int_equal(insert(&s, i, hash), 0);
	assert_int_equal(insert(&s, 512, hash), -ENOSPC);
	assert_int_equal(insert(&s, 100, hash), -EEXIST);
	assert_int_equal(find(&s, 512, hash, false, &pos), 0); /* looking is no problem */
	assert_false(pos.found);
	assert_int_equal(names_in(&s), 512);
	assert_int_equal(live_pages(&s), s.pages + 6);
	for (; rig_next_entry(s.lane, s.root, from, &entry) == 0; from = entry.key + 1, n++)
		assert_int_equal(entry.key, hash << 9 | n);
	assert_int_equal(n, 512);
	assert_int_equal(delete (&s, 77, hash), 0);
	assert_int_equal(insert(&s, 512, hash), 0); /* in the place of 77 */
	assert_int_equal(key_of(&s, 512), hash << 9 | 77);
	assert_int_equal(delete (&s, 512, hash), 0);
	for (unsigned i = 0; i < 512; i++)
		assert_int_equal(delete (&s, i, hash), i == 77 ? -ENOENT : 0);
	fixture_stop(&s);
}

/* Real names whose hashes share a digit or two, through the API. */
static void real_names(void **state)
{
	struct fixture s;
	char buf[2][16];
	uint64_t first[512] = { 0 }, d;
	unsigned found = 0;

	(void)state;
	fixture_start(&s);
	d = trie_hash(s.pool, "d", 1) >> 45; /* beside d, in a node that stays, no pair is tried: keys are random */
	for (unsigned i = 1; i < 4000 && found < 6; i++) {
		int len = snprintf(buf[0], sizeof(buf[0]), "r%u", i);
		uint64_t hash = trie_hash(s.pool, buf[0], (size_t)len), prev = first[hash >> 45];

		if (prev && hash >> 45 != d) {
			snprintf(buf[1], sizeof(buf[1]), "r%u", (unsigned)prev);
			pod_create(s.pod.fs[0], DAXFS_ROOT, buf[0]);
			pod_create(s.pod.fs[0], DAXFS_ROOT, buf[1]);
			pod_check(&s.pod);
			assert_int_equal(pod_lookup(s.pod.fs[2], DAXFS_ROOT, buf[0], NULL), 0);
			assert_int_equal(pod_lookup(s.pod.fs[2], DAXFS_ROOT, buf[1], NULL), 0);
			assert_int_equal(daxfs_unlink(s.pod.fs[0], DAXFS_ROOT, buf[1]), 0);
			assert_int_equal(pod_lookup(s.pod.fs[2], DAXFS_ROOT, buf[0], NULL), 0);
			assert_int_equal(daxfs_unlink(s.pod.fs[0], DAXFS_ROOT, buf[0]), 0);
			found++;
		}
		first[hash >> 45] = prev ? 0 : i;
	}
	assert_int_equal(found, 6);
	fixture_stop(&s);
}

/* -- conflicts -------------------------------------------------------------------------- */

/* Stage a change by lane b at what it sees now; commit it when told. */
static void stage_insert(struct fixture *s, struct lane *b, unsigned i, uint64_t hash)
{
	static char buf[16];
	struct trie_name name = named(buf, sizeof(buf), i, hash);
	struct trie_pos pos;

	assert_int_equal(trie_find(b, s->root, &name, true, &pos), 0);
	assert_false(pos.found);
	record_begin(b, OP_CREATE);
	assert_int_equal(entry_insert(b, &pos, &name, DAXFS_ROOT + ((uint64_t)i << 32), S_IFREG), 0);
}

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
	stage_insert(&s, b, 2, hash); /* pushed down by both */
	assert_int_equal(insert(&s, 3, hash), 0);
	assert_int_equal(record_commit(b), -EAGAIN);
	stage_insert(&s, b, 2, hash); /* into an unordered node, in two places: the count tells */
	assert_int_equal(insert(&s, 2, hash), 0);
	assert_int_equal(record_commit(b), -EAGAIN);
	assert_int_equal(delete (&s, 3, hash), 0);
	assert_int_equal(delete (&s, 2, hash), 0);
	stage_insert(&s, b, 2, hash); /* into a node that is being emptied */
	assert_int_equal(delete (&s, 1, hash), 0);
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
	s.lane->fault = false;
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

#define MODEL 160u

/* Hashes that collide a lot: two values for each digit, and some for the last. */
static uint64_t clustered(unsigned *seed)
{
	uint64_t hash = 0;

	for (unsigned level = 0; level < 6; level++)
		hash = hash << 9 | (rand_r(seed) % 4 ? 257 : 13);
	return hash;
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

static void like_a_set(void **state)
{
	struct fixture s;
	uint64_t hash[MODEL];
	bool in[MODEL] = { false };
	unsigned seed = 20240611;

	(void)state;
	print_message("seed %u\n", seed);
	fixture_start(&s);
	for (unsigned i = 0; i < MODEL; i++)
		hash[i] = clustered(&seed);
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

/* -- garbage -------------------------------------------------------------------------------- */

static void expect_eio(struct fixture *s, unsigned i, uint64_t hash)
{
	struct trie_entry entry;
	struct trie_pos pos;

	for (unsigned intend = 0; intend < 2; intend++) {
		assert_int_equal(find(s, i, hash, intend, &pos), -EIO);
		assert_true(s->lane->fault);
		s->lane->fault = false;
	}
	assert_int_equal(rig_next_entry(s->lane, s->root, 0, &entry), -EIO);
	s->lane->fault = false;
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
		link_payload((enum daxfs_link_kind)7, 0),
		link_payload(DAXFS_NODE, s.pool->objects[DAXFS_T_PAGE]),
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
	expect_eio(&s, 1, 0); /* in the unordered level a node has no business */
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
		assert_int_equal(insert(&s, i, 12345), 0);
	assert_int_equal(daxfs_readdir(s.pod.fs[0], s.dir, 0, count_names, &n), 0);
	assert_int_equal(n, 100 + 2);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(delete (&s, i, 12345), 0);
	fixture_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(collisions_of_every_depth),
		cmocka_unit_test(branches),
		cmocka_unit_test(one_hash_for_all),
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
