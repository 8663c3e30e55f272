/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk.c - listing a directory in the order of its keys.
 *
 * What bounds a walk, whatever the pool holds: an entry is where its hash says,
 * and no linked node or leaf is empty. So below every slot past `from` there is an
 * entry or an error, and only the nodes on the way to `from` are walked in vain - or
 * those that somebody empties meanwhile.
 *
 * Names come and go beside a walk, and move into leaves and from leaf to leaf. One that
 * is there throughout is found, and once: a node or leaf that it is in stays linked, or
 * keeps it (L5 of dirtrie.h) as part of what was read before. A walk passes keys in order:
 * of a leaf whose run begins before the slot in which it was met it takes the names from
 * that slot on, for the others were met where they were before, or are new.
 */
#include <errno.h>

#include "index/filemap.h"
#include "index/dirtrie.h"

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

static void fetch_target(const struct pool *pool, uint64_t w)
{
	if (link_names(pool, w, DAXFS_DIRENT))
		sm_prefetch(&pool->dirents[link_index(w)], DAXFS_LINE);
	else if (link_names(pool, w, DAXFS_NODE) || link_names(pool, w, DAXFS_LEAF))
		sm_prefetch(map_node(pool, link_index(w)), DAXFS_LINE);
}

/* Take an entry that was read. 1: that is as many as were asked for. */
static int take_entry(struct lane *lane, uint64_t w, const struct sm_dirent *fixed, struct walk *walk)
{
	struct trie_entry *out = &walk->entry[walk->n];

	out->key = fixed->hash << TRIE_BITS | fixed->twin;
	if (out->key < walk->from)
		return 0;
	out->handle = fixed->handle;
	out->type = fixed->type;
	out->len = fixed->len;
	sm_read(out->name, lane->pool->dirents[link_index(w)].name, fixed->len);
	out->name[fixed->len] = '\0';
	return ++walk->n == walk->max;
}

/* The entry that a slot of a node names; bits of its hash are those that lead there. */
static int walk_entry(struct lane *lane, const struct used_slot *at, unsigned level, uint64_t below, struct walk *walk)
{
	struct sm_dirent fixed;
	int rc = trie_read_entry(lane, at->word, &fixed);

	if (rc)
		return rc;
	if (fixed.hash >> (DAXFS_HASH_BITS - trie_fixed_bits(level, 0)) != below)
		return trie_broken(lane);
	return take_entry(lane, at->word, &fixed, walk);
}

/* -- leaves ------------------------------------------------------------------------- */

struct leaf {
	const struct sm_node *node;
	unsigned level, run; /* of the node that names it */
	uint64_t prefix;     /* of its hashes */
	uint64_t from;       /* the first key that is wanted */
};

struct found {
	uint64_t word;
	struct sm_dirent fixed;
};

/* Is an entry in the bucket that its hash says? */
static bool belongs(const struct leaf *leaf, uint64_t hash, unsigned bucket)
{
	return hash >> (DAXFS_HASH_BITS - trie_fixed_bits(leaf->level, leaf->run)) == leaf->prefix &&
	       trie_bucket(hash, leaf->level, leaf->run) == bucket;
}

static uint64_t key_of(const struct sm_dirent *fixed)
{
	return fixed->hash << TRIE_BITS | fixed->twin;
}

/* The entries of a bucket whose slots were loaded, in order: their number, or -EIO. */
static int sort_bucket(struct lane *lane, const struct leaf *leaf, unsigned bucket, const uint64_t *w,
		       struct found *found)
{
	int n = 0;

	for (unsigned i = 0; i < DAXFS_BUCKET_SLOTS; i++) {
		struct found new = { .word = w[i] };
		int k, rc;

		if (link_kind(w[i]) == DAXFS_ABSENT)
			continue;
		rc = trie_read_entry(lane, w[i], &new.fixed);
		if (rc)
			return rc;
		if (!belongs(leaf, new.fixed.hash, bucket))
			return trie_broken(lane);
		for (k = n++; k && key_of(&found[k - 1].fixed) > key_of(&new.fixed); k--)
			found[k] = found[k - 1];
		found[k] = new;
	}
	return n;
}

/* Load the slots of some buckets, and fetch what they name: how many are used. */
static unsigned load_buckets(struct lane *lane, const struct leaf *leaf, unsigned first, uint64_t w[AHEAD])
{
	unsigned used = 0;

	for (unsigned i = 0; i < AHEAD; i++) {
		w[i] = word_load(lane, &leaf->node->slot[first * DAXFS_BUCKET_SLOTS + i]);
		if (link_kind(w[i]) == DAXFS_ABSENT)
			continue;
		used++;
		fetch_target(lane->pool, w[i]);
	}
	return used;
}

static int take_bucket(struct lane *lane, const struct leaf *leaf, const struct found *found, int n, struct walk *walk)
{
	int rc = 0;

	for (int i = 0; rc == 0 && i < n; i++)
		if (key_of(&found[i].fixed) >= leaf->from)
			rc = take_entry(lane, found[i].word, &found[i].fixed, walk);
	return rc;
}

/* 0 all found, 1 enough, -EIO; -ENODATA: no slot of it is used. */
static int walk_buckets(struct lane *lane, const struct leaf *leaf, struct walk *walk)
{
	const unsigned buckets = 1u << DAXFS_BUCKET_BITS, ahead = AHEAD / DAXFS_BUCKET_SLOTS;
	unsigned wanted = trie_bucket(leaf->from >> TRIE_BITS, leaf->level, leaf->run), first = wanted / ahead * ahead;
	bool any = first > 0;

	for (; first < buckets; first += ahead) {
		uint64_t w[AHEAD];

		any |= load_buckets(lane, leaf, first, w) > 0;
		if (lane->txn.fault)
			return -EIO;
		for (unsigned i = 0; i < ahead; i++) {
			struct found found[DAXFS_BUCKET_SLOTS];
			int n = sort_bucket(lane, leaf, first + i, &w[i * DAXFS_BUCKET_SLOTS], found);
			int rc = n < 0 ? n : take_bucket(lane, leaf, found, n, walk);

			if (rc)
				return rc;
		}
	}
	return any ? 0 : -ENODATA;
}

/* -- nodes -------------------------------------------------------------------------- */

static int walk_node(struct lane *lane, uint64_t page, unsigned level, uint64_t prefix, struct walk *walk);

/* In a leaf: from this slot of its run on, if not from a later key. */
static int walk_leaf(struct lane *lane, const struct used_slot *at, unsigned level, uint64_t below, struct walk *walk)
{
	struct leaf leaf = { map_node(lane->pool, link_index(at->word)), level, name_hint(at->word), 0, walk->from };
	uint64_t start = below << (DAXFS_HASH_BITS - trie_fixed_bits(level, 0)) << TRIE_BITS;

	leaf.prefix = below >> leaf.run;
	if (leaf.from < start)
		leaf.from = start;
	return walk_buckets(lane, &leaf, walk);
}

/* All below a slot that names a node of the next level, or a leaf. */
static int walk_below(struct lane *lane, const struct used_slot *at, unsigned level, uint64_t below, struct walk *walk)
{
	bool leaf = trie_names_leaf(lane->pool, at->word);
	const sm_u64 *count;
	uint64_t before;
	int rc;

	if (!leaf && (level + 1 == DAXFS_HASH_LEVELS || !link_names(lane->pool, at->word, DAXFS_NODE)))
		return trie_broken(lane);
	count = &lane->pool->count[link_index(at->word)];
	before = word_load(lane, count);
	rc = leaf ? walk_leaf(lane, at, level, below, walk)
		  : walk_node(lane, link_index(at->word), level + 1, below, walk);
	if (rc != -ENODATA)
		return rc;
	/* Linked all the time, and nothing came or went: it was empty. */
	return word_load(lane, count) == before && word_load(lane, at->slot) == at->word ? trie_broken(lane) : 0;
}

/* The next used slots of a node, from *place on, of a run one; *place is then behind them. */
static unsigned look_ahead(struct lane *lane, uint64_t page, unsigned *place, struct used_slot used[AHEAD])
{
	const struct sm_node *node = map_node(lane->pool, page);
	unsigned n = 0;

	while (*place < DAXFS_NODE_SLOTS && n < AHEAD) {
		const sm_u64 *slot = &node->slot[*place];
		uint64_t w = word_load(lane, slot);

		if (link_kind(w) != DAXFS_ABSENT) {
			used[n++] = (struct used_slot){ slot, w, *place };
			fetch_target(lane->pool, w);
		}
		*place = trie_names_leaf(lane->pool, w) ? trie_run_start(*place, name_hint(w)) + (1u << name_hint(w))
							: *place + 1;
	}
	return n;
}

/* Entries from walk->from on in a node: 0 all found, 1 enough, -EIO; -ENODATA: no slot of it is used. */
static int walk_node(struct lane *lane, uint64_t page, unsigned level, uint64_t prefix, struct walk *walk)
{
	uint64_t hash = walk->from >> TRIE_BITS;
	bool inside = prefix == hash >> (DAXFS_HASH_BITS - TRIE_BITS * level);
	unsigned place = inside ? trie_digit(hash, level) : 0;
	struct used_slot used[AHEAD];
	bool any = place > 0;

	while (place < DAXFS_NODE_SLOTS) {
		unsigned n = look_ahead(lane, page, &place, used);
		int rc = 0;

		if (lane->txn.fault)
			return -EIO;
		any |= n > 0;
		for (unsigned i = 0; rc == 0 && i < n; i++) {
			uint64_t below = prefix << TRIE_BITS | used[i].place;

			rc = link_kind(used[i].word) == DAXFS_DIRENT ? walk_entry(lane, &used[i], level, below, walk)
								     : walk_below(lane, &used[i], level, below, walk);
		}
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
