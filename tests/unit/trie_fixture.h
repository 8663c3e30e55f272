/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trie_fixture.h - a directory whose names have the hashes that a test chooses. The
 * entries name the root directory and are gone again before the pool is checked.
 */
#ifndef TESTS_UNIT_TRIE_FIXTURE_H
#define TESTS_UNIT_TRIE_FIXTURE_H

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
	unsigned made_room; /* records that made room for the name inserted last */
};

static inline uint64_t live_pages(struct fixture *s)
{
	struct daxfs_usage u;
	uint64_t nodes;

	space_usage(s->pool, DAXFS_T_PAGE, &u, &nodes);
	assert_int_equal(u.private_, 0);
	return u.live;
}

static inline void fixture_start(struct fixture *s)
{
	alarm(HANG_S);
	pod_start_with(&s->pod, 8 << 20, (struct daxfs_mkfs_options){ .inodes = 2048, .lanes = 4 });
	s->pool = rig_pool(&s->pod);
	s->dir = pod_mkdir(s->pod.fs[0], DAXFS_ROOT, "d");
	s->root = link_index(sm_load(&s->pool->inodes[handle_index(s->dir)].dir_root));
	s->lane = rig_enter(s->pod.fs[1]);
	s->pages = live_pages(s);
}

static inline void fixture_stop(struct fixture *s)
{
	assert_int_equal(live_pages(s), s->pages); /* emptied nodes are freed */
	assert_int_equal(word_payload(sm_load(&s->pool->count[s->root]), DAXFS_W_COUNT), 0);
	s->lane->txn.fault = false;
	rig_exit(s->pod.fs[1], s->lane);
	assert_int_equal(daxfs_rmdir(s->pod.fs[2], DAXFS_ROOT, "d"), 0);
	pod_stop(&s->pod);
}

/* Names are told apart by their first byte too: "aN" and so on. */
static inline struct trie_name named(char *buf, size_t size, unsigned i, uint64_t hash)
{
	int len = snprintf(buf, size, "n%u", i);

	return (struct trie_name){ .name = buf, .len = (uint8_t)len, .hash = hash };
}

static inline int find(struct fixture *s, unsigned i, uint64_t hash, bool intend, struct trie_pos *pos)
{
	char buf[16];
	struct trie_name name = named(buf, sizeof(buf), i, hash);

	lane_renew(s->lane);
	return trie_find(s->lane, s->root, &name, intend, pos);
}

/* Find the place of a new name, and make room for it: 0, -EEXIST, or what went wrong. */
static inline int place(struct fixture *s, unsigned i, uint64_t hash, struct trie_pos *pos)
{
	int rc;

	for (s->made_room = 0;; s->made_room++) {
		rc = find(s, i, hash, true, pos);
		if (rc || pos->found)
			return rc ? rc : -EEXIST;
		rc = trie_make_room(s->lane, pos);
		if (rc != -EAGAIN)
			return rc;
	}
}

static inline int insert(struct fixture *s, unsigned i, uint64_t hash)
{
	char buf[16];
	struct trie_name name = named(buf, sizeof(buf), i, hash);
	struct trie_pos pos;
	int rc = place(s, i, hash, &pos);

	if (rc)
		return rc;
	record_begin(s->lane, OP_CREATE);
	rc = entry_insert(s->lane, &pos, &name, DAXFS_ROOT + ((uint64_t)i << 32), S_IFREG);
	return rc ? record_abort(s->lane, rc) : record_commit(s->lane);
}

static inline int delete (struct fixture *s, unsigned i, uint64_t hash)
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

static inline bool there(struct fixture *s, unsigned i, uint64_t hash)
{
	struct trie_pos pos;

	assert_int_equal(find(s, i, hash, false, &pos), 0);
	return pos.found && pos.handle >> 32 == i;
}

/* The slots of a run name one leaf: how many they are. */
static inline unsigned run_of(const struct sm_node *node, unsigned i)
{
	uint64_t w = word_payload(sm_load(&node->slot[i]), DAXFS_W_NAME);
	unsigned slots = 1u << name_hint(w);

	assert_int_equal(i % slots, 0);
	for (unsigned k = 1; k < slots; k++)
		assert_int_equal(word_payload(sm_load(&node->slot[i + k]), DAXFS_W_NAME), w);
	return slots;
}

/* Every count is the number of used slots; returns names below. */
static inline unsigned count_below(struct fixture *s, uint64_t page, unsigned level, bool leaf)
{
	const struct sm_node *node = map_node(s->pool, page);
	unsigned names = 0, used = 0;

	for (unsigned i = 0, n = 1; i < DAXFS_NODE_SLOTS; i += n) {
		uint64_t w = sm_load(&node->slot[i]);

		n = link_kind(w) == DAXFS_LEAF ? run_of(node, i) : 1;
		used += link_kind(w) != DAXFS_ABSENT ? n : 0;
		names += link_kind(w) == DAXFS_DIRENT;
		if (link_kind(w) == DAXFS_NODE || link_kind(w) == DAXFS_LEAF) {
			assert_true(!leaf && level < DAXFS_HASH_LEVELS);
			names += count_below(s, link_index(w), level + 1, link_kind(w) == DAXFS_LEAF);
		}
	}
	assert_true(used > 0 || level == 0);
	assert_int_equal(word_payload(sm_load(&s->pool->count[page]), DAXFS_W_COUNT), used);
	return names;
}

static inline unsigned names_in(struct fixture *s)
{
	return count_below(s, s->root, 0, false);
}

/* The key under which a listing has name i; 0 < keys of these tests. */
static inline uint64_t key_of(struct fixture *s, unsigned i)
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

/* Stage a change by lane b at what it sees now; commit it when told. */
static inline void stage_insert(struct fixture *s, struct lane *b, unsigned i, uint64_t hash)
{
	static char buf[16];
	struct trie_name name = named(buf, sizeof(buf), i, hash);
	struct trie_pos pos;

	do
		assert_int_equal(trie_find(b, s->root, &name, true, &pos), 0);
	while (trie_make_room(b, &pos) == -EAGAIN);
	assert_false(pos.found || pos.crowded);
	record_begin(b, OP_CREATE);
	assert_int_equal(entry_insert(b, &pos, &name, DAXFS_ROOT + ((uint64_t)i << 32), S_IFREG), 0);
}

#endif
