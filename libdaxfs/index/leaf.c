/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leaf.c - making room for a name: gather, halve, deepen. See dirtrie.h for the shape and
 * for what a crash leaves.
 *
 * Each reads what is to move under a count that was finalized before (pos->count), and has
 * that count in its record: nobody inserted, removed or replaced an entry meanwhile, or
 * the record does not commit. What it fills is private; nothing that is full is filled,
 * for the buckets of the new leaves are parts of those of the old one, and of the slots
 * of a run.
 */
#include <errno.h>

#include "index/filemap.h"
#include "index/dirtrie.h"
#include "space/space.h"

#define RUN_SLOTS (1u << DAXFS_RUN_MAX)
#define RUNS (DAXFS_NODE_SLOTS / RUN_SLOTS)

/* an entry that moves */
struct moved {
	uint64_t hash, payload; /* of the slot that names it */
};

/* What the entries have in common that a new page is for. */
struct share {
	unsigned level, run; /* of the node that will name it, and of how many slots */
	uint64_t page;
	unsigned n;
};

/* A new page of words, all absent. */
static void clear_page(struct lane *lane, uint64_t page)
{
	sm_zero(pool_page(lane->pool, page), DAXFS_PAGE_SIZE);
}

/* It is filled: so many slots are used. */
static void finish_page(struct lane *lane, uint64_t page, uint64_t used)
{
	sm_u64 *count = &lane->pool->count[page];

	sm_store_relaxed(count, word_next(sm_load_relaxed(count) & ~DAXFS_MARK, DAXFS_W_COUNT, used));
	sm_flush(&lane->pool->shm, count, sizeof(*count));
	sm_flush(&lane->pool->shm, pool_page(lane->pool, page), DAXFS_PAGE_SIZE);
}

/* Put an entry into its bucket of a new leaf. */
static int put(struct lane *lane, const struct share *leaf, const struct moved *entry)
{
	unsigned bucket = trie_bucket(entry->hash, leaf->level, leaf->run);
	sm_u64 *slot = &map_node(lane->pool, leaf->page)->slot[bucket * DAXFS_BUCKET_SLOTS];

	for (unsigned i = 0; i < DAXFS_BUCKET_SLOTS; i++, slot++) {
		if (sm_load_relaxed(slot))
			continue;
		sm_store_relaxed(slot, entry->payload);
		return 0;
	}
	return trie_broken(lane); /* its entries are not where their hashes say */
}

/* Fetch what entries say of themselves; then read it. */
static int read_moved(struct lane *lane, struct moved *entry, unsigned n)
{
	struct sm_dirent fixed;

	for (unsigned i = 0; i < n; i++)
		if (link_names(lane->pool, entry[i].payload, DAXFS_DIRENT))
			sm_prefetch(&lane->pool->dirents[link_index(entry[i].payload)], DAXFS_LINE);
	for (unsigned i = 0; i < n; i++) {
		int rc = trie_read_entry(lane, entry[i].payload, &fixed);

		if (rc)
			return rc;
		entry[i].hash = fixed.hash;
	}
	return 0;
}

/* -- gather ------------------------------------------------------------------- */

/* The longest run around a slot in which every slot is absent or names an entry; w: finalized, of the
 * RUN_SLOTS slots that the slot is among. */
static unsigned free_run(const uint64_t *w, unsigned at)
{
	for (unsigned run = DAXFS_RUN_MAX;; run--) {
		unsigned start = trie_run_start(at, run), i = 0;

		while (i < 1u << run &&
		       (link_kind(w[start + i]) == DAXFS_ABSENT || link_kind(w[start + i]) == DAXFS_DIRENT))
			i++;
		if (i == 1u << run || run == 0)
			return run;
	}
}

static int settle_slots(struct lane *lane, sm_u64 *slot, uint64_t *w, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		w[i] = word_help(lane, &slot[i]);
	return lane->txn.fault ? -EIO : 0;
}

/* Fill a leaf with the entries of the slots of a run. */
static int gather_entries(struct lane *lane, struct share *leaf, const uint64_t *w)
{
	struct moved entry[RUN_SLOTS];
	int rc;

	for (unsigned i = 0; i < 1u << leaf->run; i++)
		if (link_kind(w[i]) == DAXFS_DIRENT)
			entry[leaf->n++].payload = word_payload(w[i], DAXFS_W_NAME);
	rc = read_moved(lane, entry, leaf->n);
	clear_page(lane, leaf->page);
	for (unsigned i = 0; rc == 0 && i < leaf->n; i++)
		rc = put(lane, leaf, &entry[i]);
	finish_page(lane, leaf->page, leaf->n);
	return rc;
}

/* What the slots hold is read here; that the node is as pos found it the record demands of its count. */
static int gather(struct lane *lane, const struct trie_pos *pos)
{
	struct sm_node *node = map_node(lane->pool, pos->node);
	unsigned at = (unsigned)(pos->slot - node->slot), base = trie_run_start(at, DAXFS_RUN_MAX), start, absent = 0;
	struct share leaf = { .level = pos->level };
	uint64_t w[RUN_SLOTS];
	int rc = settle_slots(lane, &node->slot[base], w, RUN_SLOTS);

	if (rc == 0)
		rc = space_take(lane, DAXFS_T_PAGE, DAXFS_USE_NODE, 1, &leaf.page);
	if (rc)
		return rc;
	leaf.run = free_run(w, at - base);
	start = trie_run_start(at - base, leaf.run);
	rc = gather_entries(lane, &leaf, &w[start]);
	for (unsigned i = start; i < start + (1u << leaf.run); i++) {
		absent += link_kind(w[i]) == DAXFS_ABSENT;
		txn_word(&lane->txn, &node->slot[base + i], DAXFS_W_NAME, w[i],
			 name_payload(DAXFS_LEAF, leaf.page, leaf.run));
	}
	txn_count(&lane->txn, &lane->pool->count[pos->node], pos->count, (int)absent);
	return rc;
}

/* -- a full leaf ------------------------------------------------------------------ */

struct full {
	struct trie_step up;
	unsigned level, run; /* of the node that names it */
	unsigned n;
	struct moved entry[DAXFS_NODE_SLOTS];
	struct share share[RUNS]; /* of entries, by the next bits of their hashes */
	uint64_t page[RUNS + 1];
};

/* All entries of the leaf, which are as many as its count says, or it changed since. */
static int read_full(struct lane *lane, const struct trie_pos *pos, struct full *full)
{
	sm_u64 *count = &lane->pool->count[pos->node];
	uint64_t used = word_payload(pos->count, DAXFS_W_COUNT);

	for (unsigned i = 0; i < DAXFS_NODE_SLOTS; i++) {
		uint64_t w = word_help(lane, &map_node(lane->pool, pos->node)->slot[i]);

		if (lane->txn.fault)
			return -EIO;
		if (link_kind(w) != DAXFS_ABSENT)
			full->entry[full->n++].payload = word_payload(w, DAXFS_W_NAME);
	}
	if (full->n != used)
		return word_load(lane, count) == pos->count ? trie_broken(lane) : -EAGAIN;
	return read_moved(lane, full->entry, full->n);
}

/* The share that an entry belongs to: a half of the run, or a run of the next level. */
static struct share *share_of(struct full *full, uint64_t hash)
{
	unsigned i = full->run ? trie_digit(hash, full->level) >> (full->run - 1) & 1
			       : trie_digit(hash, full->level + 1) / RUN_SLOTS;

	return &full->share[i];
}

/* Take a page for each share that has entries worth one, and `more`; then fill the leaves. */
static int spread(struct lane *lane, struct full *full, unsigned worth, unsigned more)
{
	unsigned n = more;
	int rc;

	for (unsigned i = 0; i < full->n; i++)
		share_of(full, full->entry[i].hash)->n++;
	for (unsigned i = 0; i < RUNS; i++)
		n += full->share[i].n >= worth;
	rc = space_take(lane, DAXFS_T_PAGE, DAXFS_USE_NODE, n, full->page);
	n = more;
	for (unsigned i = 0; rc == 0 && i < RUNS; i++) {
		if (full->share[i].n < worth)
			continue;
		full->share[i].page = full->page[n++];
		full->share[i].level = full->run ? full->level : full->level + 1;
		full->share[i].run = full->run ? full->run - 1 : DAXFS_RUN_MAX;
		clear_page(lane, full->share[i].page);
	}
	for (unsigned i = 0; rc == 0 && i < full->n; i++)
		if (share_of(full, full->entry[i].hash)->n >= worth)
			rc = put(lane, share_of(full, full->entry[i].hash), &full->entry[i]);
	for (unsigned i = 0; rc == 0 && i < RUNS; i++)
		if (full->share[i].n >= worth)
			finish_page(lane, full->share[i].page, full->share[i].n);
	return rc;
}

static uint64_t names_share(const struct share *share)
{
	return share->n ? name_payload(DAXFS_LEAF, share->page, share->run) : 0;
}

/* Two leaves with half the run each; a half without entries is absent. */
static int halve(struct lane *lane, struct full *full)
{
	struct sm_node *node = map_node(lane->pool, full->up.node);
	sm_u64 *slot = &node->slot[trie_run_start((unsigned)(full->up.slot - node->slot), full->run)];
	sm_u64 *count = &lane->pool->count[full->up.node];
	uint64_t w[RUN_SLOTS], before = word_help(lane, count);
	unsigned half = 1u << (full->run - 1);
	int rc = trie_settle_run(lane, &full->up, &full->run, w);

	if (rc == 0)
		rc = spread(lane, full, 1, 0);
	for (unsigned i = 0; rc == 0 && i < 2 * half; i++)
		txn_word(&lane->txn, &slot[i], DAXFS_W_NAME, w[i], names_share(&full->share[i / half]));
	for (unsigned i = 0; rc == 0 && i < 2; i++)
		if (!full->share[i].n)
			txn_count(&lane->txn, count, before, -(int)half);
	return rc;
}

/* A node of the next level in place of the leaf. */
static int deepen(struct lane *lane, struct full *full)
{
	int rc = spread(lane, full, 2, 1);
	unsigned used = 0;
	struct sm_node *node;

	if (rc)
		return rc;
	node = map_node(lane->pool, full->page[0]);
	clear_page(lane, full->page[0]);
	for (unsigned i = 0; i < RUNS; i++) {
		for (unsigned k = 0; full->share[i].n > 1 && k < RUN_SLOTS; k++)
			sm_store_relaxed(&node->slot[i * RUN_SLOTS + k], names_share(&full->share[i]));
		used += full->share[i].n > 1 ? RUN_SLOTS : full->share[i].n;
	}
	for (unsigned i = 0; i < full->n; i++)
		if (share_of(full, full->entry[i].hash)->n == 1)
			sm_store_relaxed(&node->slot[trie_digit(full->entry[i].hash, full->level + 1)],
					 full->entry[i].payload);
	finish_page(lane, full->page[0], used);
	txn_word(&lane->txn, full->up.slot, DAXFS_W_NAME, full->up.word, name_payload(DAXFS_NODE, full->page[0], 0));
	return 0;
}

static int split(struct lane *lane, const struct trie_pos *pos)
{
	struct full full = { .up = pos->path[pos->level - 1], .level = pos->level - 1 };
	int rc;

	if (pos->level == DAXFS_HASH_LEVELS) /* a bucket is one hash, and is full if nothing came and went */
		return word_load(lane, &lane->pool->count[pos->node]) == pos->count ? -ENOSPC : -EAGAIN;
	full.run = name_hint(full.up.word);
	rc = read_full(lane, pos, &full);
	if (rc == 0)
		rc = full.run ? halve(lane, &full) : deepen(lane, &full);
	txn_count(&lane->txn, &lane->pool->count[pos->node], pos->count, (int)DAXFS_COUNT_FROZEN);
	record_retire(lane, DAXFS_T_PAGE, pos->node);
	return rc;
}

int trie_make_room(struct lane *lane, const struct trie_pos *pos)
{
	int rc;

	if (!pos->crowded)
		return 0;
	record_begin(lane, OP_SPLIT);
	rc = pos->leaf ? split(lane, pos) : gather(lane, pos);
	rc = rc ? record_abort(lane, rc) : record_commit(lane);
	return rc ? rc : -EAGAIN;
}
