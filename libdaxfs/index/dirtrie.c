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

int trie_broken(struct lane *lane)
{
	return txn_broken(&lane->txn);
}

int trie_read_entry(struct lane *lane, uint64_t w, struct sm_dirent *out)
{
	if (!link_names(lane->pool, w, DAXFS_DIRENT) ||
	    pool_lost(lane->pool, &lane->pool->dirents[link_index(w)], sizeof(struct sm_dirent)))
		return trie_broken(lane);
	sm_read(out, &lane->pool->dirents[link_index(w)], offsetof(struct sm_dirent, name));
	/* A longer hash would send a listing backwards. */
	return !out->len || out->hash >> DAXFS_HASH_BITS || out->twin >= DAXFS_BUCKET_SLOTS ? trie_broken(lane) : 0;
}

/* -- finding ------------------------------------------------------------------ */

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
	rc = trie_read_entry(lane, w, &entry);
	if (rc)
		return rc;
	if (entry.hash != name->hash)
		return 0;
	pos->twins |= (uint8_t)(1u << entry.twin);
	if (entry.len != name->len)
		return 0;
	if (handle_index(entry.handle) != link_index(w))
		fetch_inode(lane->pool, handle_index(entry.handle));
	if (!sm_same(lane->pool->dirents[link_index(w)].name, name->name, name->len))
		return 0;
	pos->found = true;
	pos->entry = link_index(w);
	pos->handle = entry.handle;
	pos->type = entry.type;
	pos->twin = entry.twin;
	return 1;
}

static uint64_t look(struct lane *lane, const struct trie_pos *pos, sm_u64 *slot)
{
	return pos->intend ? word_help(lane, slot) : word_load(lane, slot);
}

/* No entry of this bucket has the name: it would go to the first absent slot, as the next twin. */
static int not_in_bucket(struct trie_pos *pos, sm_u64 *absent, uint64_t word)
{
	pos->slot = absent;
	pos->word = word;
	pos->crowded = !absent;
	while (pos->twins >> pos->twin & 1)
		pos->twin++;
	return 0;
}

/* In a leaf. The count was read before, so an insertion that happened meanwhile makes ours fail. */
static int find_in_leaf(struct lane *lane, const struct trie_name *name, struct trie_pos *pos)
{
	unsigned bucket = trie_bucket(name->hash, pos->level - 1, name_hint(pos->path[pos->level - 1].word));
	sm_u64 *slot = &map_node(lane->pool, pos->node)->slot[bucket * DAXFS_BUCKET_SLOTS], *absent = NULL;
	uint64_t absent_word = 0;

	for (unsigned i = 0; i < DAXFS_BUCKET_SLOTS; i++, slot++) {
		uint64_t w = look(lane, pos, slot);
		int rc;

		if (lane->txn.fault)
			return -EIO;
		if (link_kind(w) == DAXFS_ABSENT) {
			absent_word = absent ? absent_word : w;
			absent = absent ? absent : slot;
			continue;
		}
		if (link_kind(w) != DAXFS_DIRENT)
			return trie_broken(lane);
		if (name_hint(w) != trie_hint(name->hash))
			continue;
		pos->slot = slot;
		pos->word = w;
		rc = match(lane, w, name, pos);
		if (rc)
			return rc < 0 ? rc : 0;
	}
	return not_in_bucket(pos, absent, absent_word);
}

/* pos->node is frozen: the record that did so unlinked it too, unless it is the root. */
static int frozen(struct lane *lane, const struct trie_pos *pos)
{
	const struct trie_step *up = pos->level ? &pos->path[pos->level - 1] : NULL;

	if (!up)
		return -ENOENT;
	return word_load(lane, up->slot) == up->word ? trie_broken(lane) : -EAGAIN;
}

/* The name's slot in a node leads on, to a node or a leaf. */
static int step_down(struct lane *lane, struct trie_pos *pos)
{
	pos->leaf = trie_names_leaf(lane->pool, pos->word);
	if (!pos->leaf && (!link_names(lane->pool, pos->word, DAXFS_NODE) || pos->level + 1 == DAXFS_HASH_LEVELS))
		return trie_broken(lane);
	pos->path[pos->level++] = (struct trie_step){ pos->node, pos->slot, pos->word };
	pos->node = link_index(pos->word);
	return 1;
}

/* Look at the name's slot in pos->node. 1: go on in the next level's node. */
static int find_level(struct lane *lane, const struct trie_name *name, struct trie_pos *pos)
{
	int rc;

	if (pos->intend) {
		pos->count = word_help(lane, &lane->pool->count[pos->node]);
		if (pos->count & DAXFS_COUNT_FROZEN)
			return frozen(lane, pos);
	}
	if (pos->leaf)
		return find_in_leaf(lane, name, pos);
	pos->slot = &map_node(lane->pool, pos->node)->slot[trie_digit(name->hash, pos->level)];
	pos->word = look(lane, pos, pos->slot);
	if (lane->txn.fault)
		return -EIO;
	if (link_kind(pos->word) == DAXFS_ABSENT)
		return 0;
	if (link_kind(pos->word) != DAXFS_DIRENT)
		return step_down(lane, pos);
	rc = match(lane, pos->word, name, pos);
	pos->crowded = rc == 0;
	return rc < 0 ? rc : 0;
}

int trie_find(struct lane *lane, uint64_t root, const struct trie_name *name, bool intend, struct trie_pos *pos)
{
	int rc;

	trie_nowhere(pos);
	pos->intend = intend;
	pos->node = root;
	do
		rc = find_level(lane, name, pos);
	while (rc == 1);
	return lane->txn.fault ? -EIO : rc;
}

/* By L5 a slot of a leaf says something only as long as the leaf is linked; a node's are emptied before it goes. */
bool trie_unchanged(struct lane *lane, const struct trie_pos *pos)
{
	const struct trie_step *up = pos->leaf ? &pos->path[pos->level - 1] : NULL;

	return word_load(lane, pos->slot) == pos->word && (!up || word_load(lane, up->slot) == up->word);
}

int trie_settle_run(struct lane *lane, const struct trie_step *up, unsigned *run, uint64_t *w)
{
	struct sm_node *node = map_node(lane->pool, up->node);
	unsigned start;

	*run = name_hint(up->word);
	start = trie_run_start((unsigned)(up->slot - node->slot), *run);
	for (unsigned i = 0; i < 1u << *run; i++) {
		w[i] = word_help(lane, &node->slot[start + i]);
		if (lane->txn.fault)
			return -EIO;
		/* By L2 the slot that led here has changed too. */
		if (word_payload(w[i], DAXFS_W_NAME) != word_payload(up->word, DAXFS_W_NAME))
			return word_load(lane, up->slot) == up->word ? trie_broken(lane) : -EAGAIN;
	}
	return 0;
}

/* -- staging ---------------------------------------------------------------- */

void trie_insert(struct lane *lane, const struct trie_pos *pos, const struct trie_name *name, uint64_t entry)
{
	if (pos->crowded)
		lane->txn.fault = true; /* callers make room first */
	else
		txn_word(&lane->txn, pos->slot, DAXFS_W_NAME, pos->word,
			 name_payload(DAXFS_DIRENT, entry, trie_hint(name->hash)));
	txn_count(&lane->txn, &lane->pool->count[pos->node], pos->count, 1);
}

/* A used slot in a node whose count was seen as 0: one of them came after the other was looked at, unless both
 * are still so. Then the count is wrong. */
static void expect_used(struct lane *lane, const struct trie_step *at, uint64_t count)
{
	const uint64_t used = DAXFS_COUNT_FROZEN - 1;

	if (!(count & used) && !(word_help(lane, &lane->pool->count[at->node]) & used) &&
	    word_load(lane, at->slot) == at->word)
		lane->txn.fault = true;
}

/* Stage that all slots of the run of a leaf are absent; how many they are. */
static unsigned stage_run_absent(struct lane *lane, const struct trie_step *at)
{
	struct sm_node *node = map_node(lane->pool, at->node);
	uint64_t w[1u << DAXFS_RUN_MAX] = { 0 };
	unsigned run, start;

	lane->txn.conflict |= trie_settle_run(lane, at, &run, w) == -EAGAIN;
	start = trie_run_start((unsigned)(at->slot - node->slot), run);
	for (unsigned i = 0; i < 1u << run; i++)
		txn_word(&lane->txn, &node->slot[start + i], DAXFS_W_NAME, w[i], 0);
	return 1u << run;
}

/* Stage that a slot names nothing; how many slots of its node that changes. */
static unsigned stage_absent(struct lane *lane, const struct trie_step *at)
{
	if (link_kind(at->word) == DAXFS_LEAF)
		return stage_run_absent(lane, at);
	txn_word(&lane->txn, at->slot, DAXFS_W_NAME, at->word, 0);
	return 1;
}

void trie_remove(struct lane *lane, const struct trie_pos *pos)
{
	struct trie_step at = { pos->node, pos->slot, pos->word };
	uint64_t count = pos->count, left;

	for (unsigned level = pos->level;; level--) {
		unsigned slots;

		expect_used(lane, &at, count);
		slots = stage_absent(lane, &at);
		left = txn_count(&lane->txn, &lane->pool->count[at.node], count, -(int)slots);
		if (left || level == 0)
			return;
		/* Nothing is left in it: freeze it, and remove it in turn. */
		txn_count(&lane->txn, &lane->pool->count[at.node], count, (int)DAXFS_COUNT_FROZEN);
		record_retire(lane, DAXFS_T_PAGE, at.node);
		at = pos->path[level - 1];
		count = word_help(lane, &lane->pool->count[at.node]);
	}
}

void trie_replace(struct lane *lane, const struct trie_pos *pos, const struct trie_name *name, uint64_t entry)
{
	txn_word(&lane->txn, pos->slot, DAXFS_W_NAME, pos->word,
		 name_payload(DAXFS_DIRENT, entry, trie_hint(name->hash)));
	if (pos->leaf)
		txn_count(&lane->txn, &lane->pool->count[pos->node], pos->count, 0);
}
