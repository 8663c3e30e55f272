/* SPDX-License-Identifier: Apache-2.0 */
/* trie.c - finding and staging names: see trie.h for the shape. */
#include "index/trie.h"

#include <errno.h>

#include "index/map.h"
#include "mem/siphash.h"

uint64_t trie_hash(const struct pool *pool, const char *name, size_t len)
{
	return siphash24(pool->super.hash_key, name, len) >> (64 - DAXFS_HASH_BITS);
}

static unsigned digit(uint64_t hash, unsigned level)
{
	return (hash >> (TRIE_BITS * (DAXFS_HASH_LEVELS - 1 - level))) & (DAXFS_NODE_SLOTS - 1);
}

static int broken(struct lane *lane)
{
	lane->fault = true;
	return -EIO;
}

/* Read an entry, all of it or only its fixed part (name not filled). */
static int read_entry(struct lane *lane, uint64_t w, bool with_name, struct sm_dirent *out)
{
	const struct sm_dirent *entry;

	if (!link_names(lane->pool, w, DAXFS_DIRENT))
		return broken(lane);
	entry = &lane->pool->dirents[link_index(w)];
	sm_read(out, entry, offsetof(struct sm_dirent, name));
	/* A longer hash would send a listing backwards. */
	if (!out->len || out->hash >> DAXFS_HASH_BITS)
		return broken(lane);
	if (with_name)
		sm_read(out->name, entry->name, out->len);
	out->name[out->len] = '\0';
	return 0;
}

/* What a name leads to will be looked at next. */
static void fetch_inode(const struct pool *pool, uint64_t index)
{
	if (index >= pool->objects[DAXFS_T_INODE])
		return;
	sm_prefetch(&pool->inodes[index], sizeof(struct sm_inode));
	sm_prefetch(&pool->state[DAXFS_T_INODE][index], sizeof(sm_u64));
}

/* Does the entry named by w carry this name? 1, 0 or -EIO; fills pos if so. */
static int match(struct lane *lane, uint64_t w, const struct trie_name *name, struct trie_pos *pos)
{
	struct sm_dirent entry;
	int rc;

	fetch_inode(lane->pool, link_index(w)); /* most likely that one: see entry.c */
	rc = read_entry(lane, w, false, &entry);

	if (rc)
		return rc;
	pos->pushed = entry.hash;
	if (entry.hash != name->hash || entry.len != name->len)
		return 0;
	if (handle_index(entry.handle) != link_index(w))
		fetch_inode(lane->pool, handle_index(entry.handle));
	if (!sm_same(lane->pool->dirents[link_index(w)].name, name->name, name->len))
		return 0;
	pos->found = true;
	pos->entry = link_index(w);
	pos->handle = entry.handle;
	pos->type = entry.type;
	return 1;
}

static uint64_t look(struct lane *lane, const struct trie_pos *pos, sm_u64 *slot)
{
	return pos->intend ? word_settle(lane, slot) : word_load(lane, slot);
}

/* The last level: any slot may hold the name. The count was read before, so an
 * insertion that happened meanwhile makes ours fail. */
static int find_unordered(struct lane *lane, const struct trie_name *name, struct trie_pos *pos)
{
	struct sm_node *node = map_node(lane->pool, pos->node);
	sm_u64 *absent = NULL;
	uint64_t absent_word = 0;

	for (unsigned i = 0; i < DAXFS_NODE_SLOTS; i++) {
		int rc;

		pos->slot = &node->slot[i];
		pos->word = look(lane, pos, pos->slot);
		if (lane->fault)
			return -EIO;
		if (link_kind(pos->word) == DAXFS_ABSENT && !absent) {
			absent = pos->slot;
			absent_word = pos->word;
		}
		if (link_kind(pos->word) == DAXFS_ABSENT)
			continue;
		rc = match(lane, pos->word, name, pos);
		if (rc)
			return rc < 0 ? rc : 0;
	}
	pos->slot = absent;
	pos->word = absent_word;
	return absent || !pos->intend ? 0 : -ENOSPC;
}

/* Nodes needed below `level` to keep two hashes apart. */
static unsigned nodes_between(uint64_t a, uint64_t b, unsigned level)
{
	unsigned nodes = 1;

	for (level++; level < DAXFS_HASH_LEVELS && digit(a, level) == digit(b, level); level++)
		nodes++;
	return nodes;
}

/* pos->node is frozen: the record that did so unlinked it too, unless it is the root. */
static int frozen(struct lane *lane, const struct trie_pos *pos)
{
	const struct trie_step *up = pos->level ? &pos->path[pos->level - 1] : NULL;

	if (!up)
		return -ENOENT;
	return word_load(lane, up->slot) == up->word ? broken(lane) : -EAGAIN;
}

/* Look at the name's slot in pos->node. 1: go on in the next level's node. */
static int find_level(struct lane *lane, const struct trie_name *name, struct trie_pos *pos)
{
	struct sm_node *node = map_node(lane->pool, pos->node);
	int rc;

	if (pos->intend) {
		pos->count = word_settle(lane, &lane->pool->count[pos->node]);
		if (pos->count & DAXFS_COUNT_FROZEN)
			return frozen(lane, pos);
	}
	if (pos->level == DAXFS_HASH_LEVELS)
		return find_unordered(lane, name, pos);
	pos->slot = &node->slot[digit(name->hash, pos->level)];
	pos->word = look(lane, pos, pos->slot);
	if (lane->fault)
		return -EIO;
	if (link_kind(pos->word) == DAXFS_ABSENT)
		return 0;
	if (link_kind(pos->word) == DAXFS_DIRENT) {
		rc = match(lane, pos->word, name, pos);
		if (rc == 0)
			pos->nodes = nodes_between(name->hash, pos->pushed, pos->level);
		return rc < 0 ? rc : 0;
	}
	if (!link_names(lane->pool, pos->word, DAXFS_NODE))
		return broken(lane);
	pos->path[pos->level] = (struct trie_step){ pos->node, pos->slot, pos->word };
	pos->node = link_index(pos->word);
	return 1;
}

int trie_find(struct lane *lane, uint64_t root, const struct trie_name *name, bool intend, struct trie_pos *pos)
{
	int rc;

	trie_nowhere(pos);
	pos->intend = intend;
	pos->node = root;
	do {
		rc = find_level(lane, name, pos);
		pos->level += rc == 1;
	} while (rc == 1 && pos->level <= DAXFS_HASH_LEVELS);
	return lane->fault ? -EIO : rc;
}

/* -- staging ---------------------------------------------------------------- */

static void stage_count(struct lane *lane, const struct trie_pos *pos, int delta)
{
	record_count(lane, &lane->pool->count[pos->node], pos->count, delta);
}

/* A private node's slot and count. */
static void fill_node(struct lane *lane, uint64_t page, unsigned at, uint64_t payload, unsigned count)
{
	sm_u64 *word = &lane->pool->count[page];

	sm_store_relaxed(&map_node(lane->pool, page)->slot[at], payload);
	sm_store_relaxed(word, word_next(sm_load_relaxed(word) & ~DAXFS_MARK, DAXFS_S_COUNT, count));
	sm_persist(&lane->pool->shm, word, sizeof(*word));
}

/* Chain of new nodes under a slot, with the old and the new entry at its end. */
static void push_down(struct lane *lane, const struct trie_pos *pos, const struct trie_name *name, uint64_t entry,
		      const uint64_t *new_nodes)
{
	unsigned last = pos->nodes - 1;
	unsigned level = pos->level + 1 + last;
	bool unordered = level == DAXFS_HASH_LEVELS;
	uint64_t below;

	for (unsigned i = 0; i <= last; i++)
		sm_zero(pool_page(lane->pool, new_nodes[i]), DAXFS_PAGE_SIZE);
	/* The entry in the way keeps its key: place 0 if unordered. */
	fill_node(lane, new_nodes[last], unordered ? 0 : digit(pos->pushed, level),
		  word_payload(pos->word, DAXFS_S_LINK), 1);
	fill_node(lane, new_nodes[last], unordered ? 1 : digit(name->hash, level),
		  link_payload(DAXFS_DIRENT, entry), 2);
	for (unsigned i = last; i > 0; i--) {
		below = link_payload(DAXFS_NODE, new_nodes[i]);
		fill_node(lane, new_nodes[i - 1], digit(name->hash, pos->level + i), below, 1);
	}
	for (unsigned i = 0; i <= last; i++)
		sm_persist(&lane->pool->shm, pool_page(lane->pool, new_nodes[i]), DAXFS_PAGE_SIZE);
	record_word(lane, pos->slot, DAXFS_S_LINK, pos->word, link_payload(DAXFS_NODE, new_nodes[0]));
}

void trie_insert(struct lane *lane, const struct trie_pos *pos, const struct trie_name *name, uint64_t entry,
		 const uint64_t *new_nodes)
{
	if (pos->nodes) {
		push_down(lane, pos, name, entry, new_nodes);
		return; /* the slot was and stays used: no change of the count */
	}
	record_word(lane, pos->slot, DAXFS_S_LINK, pos->word, link_payload(DAXFS_DIRENT, entry));
	stage_count(lane, pos, 1);
}

/* A used slot in a node whose count was seen as 0: one of them came after the other was looked at, unless both
 * are still so. Then the count is wrong. */
static void expect_used(struct lane *lane, const struct trie_step *at, uint64_t count)
{
	const uint64_t used = DAXFS_COUNT_FROZEN - 1;

	if (!(count & used) && !(word_settle(lane, &lane->pool->count[at->node]) & used) &&
	    word_load(lane, at->slot) == at->word)
		lane->fault = true;
}

void trie_remove(struct lane *lane, const struct trie_pos *pos)
{
	struct trie_step at = { pos->node, pos->slot, pos->word };
	uint64_t count = pos->count, left;

	for (unsigned level = pos->level;; level--) {
		expect_used(lane, &at, count);
		record_word(lane, at.slot, DAXFS_S_LINK, at.word, link_payload(DAXFS_ABSENT, 0));
		left = record_count(lane, &lane->pool->count[at.node], count, -1);
		if (left || level == 0)
			return;
		/* Nothing is left in it: freeze it, and remove it in turn. */
		record_count(lane, &lane->pool->count[at.node], count, (int)DAXFS_COUNT_FROZEN);
		record_retire(lane, DAXFS_T_PAGE, at.node);
		at = pos->path[level - 1];
		count = word_settle(lane, &lane->pool->count[at.node]);
	}
}

void trie_replace(struct lane *lane, const struct trie_pos *pos, uint64_t entry)
{
	record_word(lane, pos->slot, DAXFS_S_LINK, pos->word, link_payload(DAXFS_DIRENT, entry));
}

/* -- walking ---------------------------------------------------------------- */

/*
 * What bounds a walk, whatever the pool holds: an entry is where its hash says,
 * and no linked node is empty. So below every slot past `from` there is an entry
 * or an error, and only the nodes on the way to `from` are walked in vain - or
 * those that somebody empties meanwhile.
 */
static unsigned below_bits(unsigned level) /* of a hash, not fixed by a place in a node of this level */
{
	return level == DAXFS_HASH_LEVELS ? 0 : DAXFS_HASH_BITS - TRIE_BITS * (level + 1);
}

/* The entry in slot `place` of a node of this level, whose entries' hashes begin with prefix. */
static int take_entry(struct lane *lane, uint64_t w, unsigned level, uint64_t prefix, unsigned place, uint64_t from,
		      struct trie_entry *out)
{
	bool unordered = level == DAXFS_HASH_LEVELS;
	struct sm_dirent entry;
	int rc = read_entry(lane, w, true, &entry);

	if (rc)
		return rc;
	if (entry.hash >> below_bits(level) != (unordered ? prefix : prefix << TRIE_BITS | place))
		return broken(lane);
	out->key = entry.hash << TRIE_BITS | (unordered ? place : 0);
	if (out->key < from)
		return -ENOENT;
	out->handle = entry.handle;
	out->type = entry.type;
	out->len = entry.len;
	memcpy(out->name, entry.name, (size_t)entry.len + 1);
	return 0;
}

static int next_below(struct lane *lane, uint64_t page, unsigned level, uint64_t prefix, uint64_t from,
		      struct trie_entry *out);

/* The same below a slot that names a node of the next level. */
static int next_node(struct lane *lane, const sm_u64 *slot, uint64_t w, unsigned level, uint64_t prefix, uint64_t from,
		     struct trie_entry *out)
{
	const sm_u64 *count;
	uint64_t before;
	int rc;

	if (level == DAXFS_HASH_LEVELS || !link_names(lane->pool, w, DAXFS_NODE))
		return broken(lane);
	count = &lane->pool->count[link_index(w)];
	before = word_load(lane, count);
	rc = next_below(lane, link_index(w), level + 1, prefix, from, out);
	if (rc != -ENODATA)
		return rc;
	/* Linked all the time, and nothing came or went: it was empty. */
	return word_load(lane, count) == before && word_load(lane, slot) == w ? broken(lane) : -ENOENT;
}

/* First entry at or after `from` in a node: 0, -ENOENT, -EIO; -ENODATA: no slot of it is used. */
static int next_below(struct lane *lane, uint64_t page, unsigned level, uint64_t prefix, uint64_t from,
		      struct trie_entry *out)
{
	uint64_t hash = from >> TRIE_BITS;
	bool inside = prefix == hash >> (DAXFS_HASH_BITS - TRIE_BITS * level);
	unsigned start = !inside ? 0 : level == DAXFS_HASH_LEVELS ? from & (DAXFS_NODE_SLOTS - 1) : digit(hash, level);
	bool used = start > 0;

	for (unsigned i = start; i < DAXFS_NODE_SLOTS; i++) {
		const sm_u64 *slot = &map_node(lane->pool, page)->slot[i];
		uint64_t w = word_load(lane, slot);
		int rc;

		if (lane->fault)
			return -EIO;
		if (link_kind(w) == DAXFS_ABSENT)
			continue;
		used = true;
		if (link_kind(w) == DAXFS_DIRENT)
			rc = take_entry(lane, w, level, prefix, i, from, out);
		else
			rc = next_node(lane, slot, w, level, prefix << TRIE_BITS | i, from, out);
		if (rc != -ENOENT)
			return rc;
	}
	return used ? -ENOENT : -ENODATA;
}

int trie_next(struct lane *lane, uint64_t root, uint64_t from, struct trie_entry *entry)
{
	int rc;

	if (from >> (DAXFS_HASH_BITS + TRIE_BITS)) /* past every key */
		return -ENOENT;
	rc = next_below(lane, root, 0, 0, from, entry);
	return rc == -ENODATA ? -ENOENT : rc;
}
