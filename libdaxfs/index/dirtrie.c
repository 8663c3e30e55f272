/* SPDX-License-Identifier: Apache-2.0 */
/* dirtrie.c - finding and staging names: see dirtrie.h for the shape. */
#include "index/dirtrie.h"

#include <errno.h>

#include "index/filemap.h"
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

/* Read an entry without its name. */
static int read_fixed(struct lane *lane, uint64_t w, struct sm_dirent *out)
{
	if (!link_names(lane->pool, w, DAXFS_DIRENT))
		return broken(lane);
	sm_read(out, &lane->pool->dirents[link_index(w)], offsetof(struct sm_dirent, name));
	/* A longer hash would send a listing backwards. */
	return !out->len || out->hash >> DAXFS_HASH_BITS ? broken(lane) : 0;
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
	rc = read_fixed(lane, w, &entry);

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
	return pos->intend ? word_help(lane, slot) : word_load(lane, slot);
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
		pos->count = word_help(lane, &lane->pool->count[pos->node]);
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
	sm_store_relaxed(word, word_next(sm_load_relaxed(word) & ~DAXFS_MARK, DAXFS_W_COUNT, count));
	sm_flush(&lane->pool->shm, word, sizeof(*word));
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
		  word_payload(pos->word, DAXFS_W_LINK), 1);
	fill_node(lane, new_nodes[last], unordered ? 1 : digit(name->hash, level), link_payload(DAXFS_DIRENT, entry),
		  2);
	for (unsigned i = last; i > 0; i--) {
		below = link_payload(DAXFS_NODE, new_nodes[i]);
		fill_node(lane, new_nodes[i - 1], digit(name->hash, pos->level + i), below, 1);
	}
	for (unsigned i = 0; i <= last; i++)
		sm_flush(&lane->pool->shm, pool_page(lane->pool, new_nodes[i]), DAXFS_PAGE_SIZE);
	record_word(lane, pos->slot, DAXFS_W_LINK, pos->word, link_payload(DAXFS_NODE, new_nodes[0]));
}

void trie_insert(struct lane *lane, const struct trie_pos *pos, const struct trie_name *name, uint64_t entry,
		 const uint64_t *new_nodes)
{
	if (pos->nodes) {
		push_down(lane, pos, name, entry, new_nodes);
		return; /* the slot was and stays used: no change of the count */
	}
	record_word(lane, pos->slot, DAXFS_W_LINK, pos->word, link_payload(DAXFS_DIRENT, entry));
	stage_count(lane, pos, 1);
}

/* A used slot in a node whose count was seen as 0: one of them came after the other was looked at, unless both
 * are still so. Then the count is wrong. */
static void expect_used(struct lane *lane, const struct trie_step *at, uint64_t count)
{
	const uint64_t used = DAXFS_COUNT_FROZEN - 1;

	if (!(count & used) && !(word_help(lane, &lane->pool->count[at->node]) & used) &&
	    word_load(lane, at->slot) == at->word)
		lane->fault = true;
}

void trie_remove(struct lane *lane, const struct trie_pos *pos)
{
	struct trie_step at = { pos->node, pos->slot, pos->word };
	uint64_t count = pos->count, left;

	for (unsigned level = pos->level;; level--) {
		expect_used(lane, &at, count);
		record_word(lane, at.slot, DAXFS_W_LINK, at.word, link_payload(DAXFS_ABSENT, 0));
		left = record_count(lane, &lane->pool->count[at.node], count, -1);
		if (left || level == 0)
			return;
		/* Nothing is left in it: freeze it, and remove it in turn. */
		record_count(lane, &lane->pool->count[at.node], count, (int)DAXFS_COUNT_FROZEN);
		record_retire(lane, DAXFS_T_PAGE, at.node);
		at = pos->path[level - 1];
		count = word_help(lane, &lane->pool->count[at.node]);
	}
}

void trie_replace(struct lane *lane, const struct trie_pos *pos, uint64_t entry)
{
	record_word(lane, pos->slot, DAXFS_W_LINK, pos->word, link_payload(DAXFS_DIRENT, entry));
}

/* -- walking ---------------------------------------------------------------- */

/*
 * What bounds a walk, whatever the pool holds: an entry is where its hash says,
 * and no linked node is empty. So below every slot past `from` there is an entry
 * or an error, and only the nodes on the way to `from` are walked in vain - or
 * those that somebody empties meanwhile.
 *
 * Names come and go beside a walk. One that is there throughout is found: a node
 * that it is in stays linked, and pushing it down leaves it below its slot. So a
 * walk may go on in a node that it has read a link to, though it was unlinked
 * since: then all that was in it is gone.
 */
#define AHEAD 32u /* slots whose targets are fetched before the first is read */

struct walk {
	uint64_t from;
	struct trie_entry *entry;
	unsigned n, max;
};

struct used_slot {
	const sm_u64 *slot;
	uint64_t word;
	unsigned place;
};

static unsigned below_bits(unsigned level) /* of a hash, not fixed by a place in a node of this level */
{
	return level == DAXFS_HASH_LEVELS ? 0 : DAXFS_HASH_BITS - TRIE_BITS * (level + 1);
}

/* The entry of a slot in a node of this level, whose entries' hashes begin with prefix.
 * 1: that is as many as were asked for. */
static int take_entry(struct lane *lane, const struct used_slot *at, unsigned level, uint64_t prefix, struct walk *walk)
{
	struct trie_entry *out = &walk->entry[walk->n];
	bool unordered = level == DAXFS_HASH_LEVELS;
	struct sm_dirent entry;
	int rc = read_fixed(lane, at->word, &entry);

	if (rc)
		return rc;
	if (entry.hash >> below_bits(level) != (unordered ? prefix : prefix << TRIE_BITS | at->place))
		return broken(lane);
	out->key = entry.hash << TRIE_BITS | (unordered ? at->place : 0);
	if (out->key < walk->from)
		return 0;
	out->handle = entry.handle;
	out->type = entry.type;
	out->len = entry.len;
	sm_read(out->name, lane->pool->dirents[link_index(at->word)].name, entry.len);
	out->name[entry.len] = '\0';
	return ++walk->n == walk->max;
}

static int walk_node(struct lane *lane, uint64_t page, unsigned level, uint64_t prefix, struct walk *walk);

/* All below a slot that names a node of the next level. */
static int walk_below(struct lane *lane, const struct used_slot *at, unsigned level, uint64_t prefix, struct walk *walk)
{
	const sm_u64 *count;
	uint64_t before;
	int rc;

	if (level == DAXFS_HASH_LEVELS || !link_names(lane->pool, at->word, DAXFS_NODE))
		return broken(lane);
	count = &lane->pool->count[link_index(at->word)];
	before = word_load(lane, count);
	rc = walk_node(lane, link_index(at->word), level + 1, prefix << TRIE_BITS | at->place, walk);
	if (rc != -ENODATA)
		return rc;
	/* Linked all the time, and nothing came or went: it was empty. */
	return word_load(lane, count) == before && word_load(lane, at->slot) == at->word ? broken(lane) : 0;
}

static void fetch_target(const struct pool *pool, uint64_t w)
{
	if (link_names(pool, w, DAXFS_DIRENT))
		sm_prefetch(&pool->dirents[link_index(w)], DAXFS_LINE);
	else if (link_names(pool, w, DAXFS_NODE))
		sm_prefetch(map_node(pool, link_index(w)), DAXFS_LINE);
}

/* The next used slots of a node, from *place on; *place is then behind them. */
static unsigned look_ahead(struct lane *lane, uint64_t page, unsigned *place, struct used_slot used[AHEAD])
{
	const struct sm_node *node = map_node(lane->pool, page);
	unsigned n = 0;

	for (; *place < DAXFS_NODE_SLOTS && n < AHEAD; ++*place) {
		const sm_u64 *slot = &node->slot[*place];
		uint64_t w = word_load(lane, slot);

		if (link_kind(w) == DAXFS_ABSENT)
			continue;
		used[n++] = (struct used_slot){ slot, w, *place };
		fetch_target(lane->pool, w);
	}
	return n;
}

/* Entries from walk->from on in a node: 0 all found, 1 enough, -EIO; -ENODATA: no slot of it is used. */
static int walk_node(struct lane *lane, uint64_t page, unsigned level, uint64_t prefix, struct walk *walk)
{
	uint64_t hash = walk->from >> TRIE_BITS;
	bool inside = prefix == hash >> (DAXFS_HASH_BITS - TRIE_BITS * level);
	unsigned place = !inside                      ? 0
			 : level == DAXFS_HASH_LEVELS ? walk->from & (DAXFS_NODE_SLOTS - 1)
						      : digit(hash, level);
	struct used_slot used[AHEAD];
	bool any = place > 0;

	while (place < DAXFS_NODE_SLOTS) {
		unsigned n = look_ahead(lane, page, &place, used);
		int rc = 0;

		if (lane->fault)
			return -EIO;
		any |= n > 0;
		for (unsigned i = 0; rc == 0 && i < n; i++)
			rc = link_kind(used[i].word) == DAXFS_DIRENT ? take_entry(lane, &used[i], level, prefix, walk)
								     : walk_below(lane, &used[i], level, prefix, walk);
		if (rc)
			return rc;
	}
	return any ? 0 : -ENODATA;
}

int trie_list(struct lane *lane, uint64_t root, uint64_t from, unsigned max, struct trie_entry *entry, unsigned *n)
{
	struct walk walk = { .from = from, .entry = entry, .max = max };
	int rc = 0;

	if (!(from >> (DAXFS_HASH_BITS + TRIE_BITS))) /* else past every key */
		rc = walk_node(lane, root, 0, 0, &walk);
	if (rc < 0 && rc != -ENODATA)
		return rc;
	*n = walk.n;
	return 0;
}
