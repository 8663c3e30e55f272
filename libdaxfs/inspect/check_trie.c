/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_trie.c - the nodes and leaves of a directory, and its entries.
 *
 * A recursion of at most six levels, that enters each page at most once.
 *
 * Repairs. An entry that nobody would find goes; its inode may get another name. The hint of a
 * slot and the twin of an entry follow from the rest. Slots of a run that do not agree follow
 * those that name the leaf if they are more than those that name something else, and
 * what is named by fewer is cut off. A node or leaf without a name is cut off, with all of its run.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "index/filemap.h"
#include "index/dirtrie.h"
#include "inspect/check_trie.h"
#include "inspect/repair.h"

/* a slot of a node, or of the leaf of a run of 2^run slots of one */
struct spot {
	uint64_t page;
	unsigned slot;
	bool leaf;
	unsigned level, run;
	uint64_t key;  /* the bits of the hash that the slot, or run, stands for */
	unsigned bits; /* how many */
};

static sm_u64 *slot_word(const struct dir_walk *d, uint64_t page, unsigned slot)
{
	return &map_node(d->c->pool, page)->slot[slot];
}

/* What a slot says. */
static uint64_t slot_value(const struct dir_walk *d, uint64_t page, unsigned slot)
{
	return check_value(d->c, slot_word(d, page, slot), DAXFS_W_NAME);
}

/* A slot that names what cannot be there. */
static void cut(const struct dir_walk *d, uint64_t page, unsigned slot)
{
	if (repair_do(d->c, PLACE_FIELD("page", page, "slot", (int)slot), "names nothing"))
		repair_word(d->c, slot_word(d, page, slot), DAXFS_W_NAME, 0);
}

/* -- entries ---------------------------------------------------------------- */

static bool name_valid(const struct sm_dirent *entry)
{
	const char *name = entry->name;

	return entry->len > 0 && name[entry->len] == '\0' && !memchr(name, '\0', entry->len) &&
	       !memchr(name, '/', entry->len) && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* A name that a file may have, and its hash. */
static bool check_name(struct check *c, const struct sm_dirent *entry, const struct place *at)
{
	if (!name_valid(entry))
		check_problem(c, "bad-name", at, "its name of %u bytes is not one that a file may have", entry->len);
	else if (entry->hash != trie_hash(c->pool, entry->name, entry->len))
		check_problem(c, "bad-hash", at, "stored hash %#" PRIx64 " is not that of its name", entry->hash);
	else
		return true;
	return false;
}

static bool in_its_place(const struct sm_dirent *entry, const struct spot *spot)
{
	if (entry->hash >> DAXFS_HASH_BITS || entry->hash >> (DAXFS_HASH_BITS - spot->bits) != spot->key)
		return false;
	return !spot->leaf || trie_bucket(entry->hash, spot->level, spot->run) == spot->slot / DAXFS_BUCKET_SLOTS;
}

/* The entry that another slot of a leaf names, if it does. */
static bool entry_of(const struct dir_walk *d, const struct spot *spot, unsigned i, struct sm_dirent *out)
{
	uint64_t w = slot_value(d, spot->page, i);

	if (i == spot->slot || link_kind(w) != DAXFS_DIRENT || link_index(w) >= d->c->pool->objects[DAXFS_T_DIRENT] ||
	    pool_lost(d->c->pool, &d->c->pool->dirents[link_index(w)], sizeof(*out)))
		return false;
	sm_read(out, &d->c->pool->dirents[link_index(w)], sizeof(*out));
	return true;
}

/* Names are unique: equal ones have equal hashes and meet in one bucket. */
static bool named_before(const struct dir_walk *d, const struct spot *spot, const struct sm_dirent *entry)
{
	struct sm_dirent other;

	for (unsigned i = spot->slot - spot->slot % DAXFS_BUCKET_SLOTS; i < spot->slot; i++)
		if (entry_of(d, spot, i, &other) && other.len == entry->len &&
		    memcmp(other.name, entry->name, entry->len) == 0)
			return true;
	return false;
}

/* Twins of the other entries of this hash in the bucket, before this one alone or all: a bit each. */
static unsigned twins(const struct dir_walk *d, const struct spot *spot, uint64_t hash, bool all)
{
	unsigned first = spot->slot - spot->slot % DAXFS_BUCKET_SLOTS, found = 0;
	struct sm_dirent other;

	for (unsigned i = first; spot->leaf && i < (all ? first + DAXFS_BUCKET_SLOTS : spot->slot); i++)
		if (entry_of(d, spot, i, &other) && other.hash == hash && other.twin < DAXFS_BUCKET_SLOTS)
			found |= 1u << other.twin;
	return found;
}

static void check_twin(const struct dir_walk *d, const struct sm_dirent *entry, uint64_t dirent,
		       const struct spot *spot)
{
	const struct place *at = PLACE("dirent", dirent);
	uint8_t right = 0;

	if (entry->twin >= DAXFS_BUCKET_SLOTS)
		check_problem(d->c, "bad-twin", at, "%u is the twin of no entry", entry->twin);
	else if (twins(d, spot, entry->hash, false) >> entry->twin & 1)
		check_problem(d->c, "bad-twin", at, "another entry of hash %#" PRIx64 " is twin %u, too", entry->hash,
			      entry->twin);
	else
		return;
	while (twins(d, spot, entry->hash, true) >> right & 1)
		right++;
	if (repair_do(d->c, at, "twin %u", right))
		repair_bytes(d->c, &d->c->pool->dirents[dirent].twin, &right, sizeof(right));
}

static void check_hint(const struct dir_walk *d, uint64_t hash, uint64_t w, const struct spot *spot)
{
	const struct place *at = PLACE_FIELD("page", spot->page, "slot", (int)spot->slot);

	if (name_hint(w) == trie_hint(hash))
		return;
	check_problem(d->c, "bad-hint", at, "hint %u is not that of hash %#" PRIx64, name_hint(w), hash);
	if (repair_do(d->c, at, "hint %u", trie_hint(hash)))
		repair_word(d->c, slot_word(d, spot->page, spot->slot), DAXFS_W_NAME,
			    name_payload(DAXFS_DIRENT, link_index(w), trie_hint(hash)));
}

/* w: the slot that names it. False: it is not to stay, in a repair. */
static bool check_entry(struct dir_walk *d, const struct sm_dirent *entry, uint64_t w, const struct spot *spot)
{
	struct check *c = d->c;
	const struct place *at = PLACE("dirent", link_index(w));
	bool named = check_name(c, entry, at), placed = in_its_place(entry, spot);

	if (!placed)
		check_problem(c, "misplaced", at,
			      "hash %#" PRIx64 " does not belong where directory %" PRIu64 " has it", entry->hash,
			      d->dir);
	/* Nobody finds it by its name, so in a repair it goes; its inode may get another name. */
	if (c->fix && !(named && placed))
		return false;
	if (named && placed)
		check_hint(d, entry->hash, w, spot);
	if (placed)
		check_twin(d, entry, link_index(w), spot);
	return check_target(d, entry, link_index(w), at);
}

/* False: the entry is not to stay. */
static bool walk_entry(struct dir_walk *d, uint64_t w, const struct spot *spot)
{
	struct check *c = d->c;
	struct sm_dirent entry;

	if (!check_reach(c, DAXFS_T_DIRENT, link_index(w), DAXFS_USE_DIRENT,
			 PLACE_FIELD("page", spot->page, "slot", (int)spot->slot)))
		return false;
	if (check_blind(c, &c->pool->dirents[link_index(w)], sizeof(entry)))
		return true; /* it stays, whatever it is */
	sm_read(&entry, &c->pool->dirents[link_index(w)], sizeof(entry));
	if (spot->leaf && named_before(d, spot, &entry)) {
		check_problem(c, "double-name", PLACE("dirent", link_index(w)),
			      "directory %" PRIu64 " has this name twice", d->dir);
		if (c->fix)
			return false;
	}
	return check_entry(d, &entry, w, spot);
}

/* An entry that is not to stay, or cannot be: the index may be none. Of its name no more is printed than can be. */
static void repair_entry(struct dir_walk *d, uint64_t w, const struct spot *spot)
{
	struct sm_dirent entry;
	char name[64];

	cut(d, spot->page, spot->slot);
	if (link_index(w) >= d->c->pool->objects[DAXFS_T_DIRENT])
		return;
	sm_read(&entry, &d->c->pool->dirents[link_index(w)], sizeof(entry));
	snprintf(name, sizeof(name), "%.*s", entry.len < 60 ? entry.len : 60, entry.name);
	for (char *p = name; *p; p++)
		*p = *p < ' ' || *p > '~' ? '?' : *p;
	repair_lost(d->c, "the name \"%s\" of inode %" PRIu64 " in directory inode %" PRIu64, name,
		    handle_index(entry.handle), d->dir);
}

/* -- nodes and leaves ------------------------------------------------------------ */

static unsigned walk_node(struct dir_walk *d, uint64_t page, unsigned level, uint64_t key);

static void repair_count(struct check *c, uint64_t page, unsigned used, bool frozen, const struct place *at)
{
	if (repair_do(c, at, "%u%s", used, frozen ? ", frozen" : ""))
		repair_word(c, &c->pool->count[page], DAXFS_W_COUNT, used | (frozen ? DAXFS_COUNT_FROZEN : 0));
}

/* The count is right; a node but the root goes with its last name; names may be added to it. */
static void check_count(struct dir_walk *d, uint64_t page, bool root, unsigned used)
{
	struct check *c = d->c;
	uint64_t count = check_value(c, &c->pool->count[page], DAXFS_W_COUNT);
	uint64_t said = count & (DAXFS_COUNT_FROZEN - 1);
	bool frozen = count & DAXFS_COUNT_FROZEN, removed = d->orphan && root;
	const struct place *at = PLACE_FIELD("page", page, "count", -1);

	if (said != used) {
		check_problem(c, "bad-count", at, "%" PRIu64 ", but %u slots are used", said, used);
		repair_count(c, page, used, removed, at);
	}
	if (!used && !root)
		check_problem(c, "empty-node", at, "directory %" PRIu64 " keeps a node without a name", d->dir);
	if (frozen && !removed)
		check_problem(c, "frozen", at, "frozen, but directory %" PRIu64 " is in use", d->dir);
	if (!frozen && removed)
		check_problem(c, "not-frozen", at, "directory %" PRIu64 " was removed, names could still be added",
			      d->dir);
	if (frozen != removed)
		repair_count(c, page, used, removed, at);
}

static void bad_kind(struct dir_walk *d, uint64_t w, const struct spot *spot)
{
	check_problem(d->c, "bad-kind", PLACE_FIELD("page", spot->page, "slot", (int)spot->slot),
		      "a link of kind %u, hint %u, in a directory %s of level %u", link_kind(w), name_hint(w),
		      spot->leaf ? "leaf" : "node", spot->level);
	cut(d, spot->page, spot->slot);
}

/* True: the slot is used. */
static bool walk_leaf_slot(struct dir_walk *d, const struct spot *spot)
{
	const sm_u64 *word = slot_word(d, spot->page, spot->slot);
	uint64_t w;

	check_mark(d->c, word, DAXFS_W_NAME, PLACE_SLOT(spot->page, spot->slot, d->dir));
	w = check_value(d->c, word, DAXFS_W_NAME);
	if (link_kind(w) == DAXFS_ABSENT)
		return false;
	if (link_kind(w) != DAXFS_DIRENT)
		bad_kind(d, w, spot);
	else if (!walk_entry(d, w, spot) && d->c->fix)
		repair_entry(d, w, spot);
	return link_kind(slot_value(d, spot->page, spot->slot)) != DAXFS_ABSENT;
}

/* How many slots of the leaf that w names, for a run, are used. */
static unsigned walk_leaf(struct dir_walk *d, uint64_t w, const struct spot *up)
{
	struct spot spot = *up;
	uint64_t blind = d->c->blind;
	unsigned used = 0;

	if (check_blind(d->c, pool_page(d->c->pool, link_index(w)), DAXFS_PAGE_SIZE))
		return 1; /* for all that can be said */
	spot.page = link_index(w);
	spot.leaf = true;
	spot.run = name_hint(w);
	spot.bits = trie_fixed_bits(up->level, spot.run);
	spot.key >>= spot.run;
	for (spot.slot = 0; spot.slot < DAXFS_NODE_SLOTS; spot.slot++)
		used += walk_leaf_slot(d, &spot);
	if (d->c->blind != blind || check_unknown(d->c, &d->c->pool->count[spot.page]))
		return used ? used : 1;
	check_count(d, spot.page, false, used);
	return used;
}

/* Of the slots of a run, how many say what this one says, and how many name something else. */
static void count_run(const struct dir_walk *d, uint64_t w, const struct spot *spot, unsigned *same, unsigned *other)
{
	unsigned start = trie_run_start(spot->slot, name_hint(w));

	*same = *other = 0;
	for (unsigned i = start; i < start + (1u << name_hint(w)); i++) {
		uint64_t v = slot_value(d, spot->page, i);

		*same += v == w;
		*other += v != w && link_kind(v) != DAXFS_ABSENT;
	}
}

/* Those of a run that do not say what most say are brought to, in a repair. How many name nothing after that. */
static unsigned unite_run(struct dir_walk *d, uint64_t w, const struct spot *spot)
{
	unsigned start = trie_run_start(spot->slot, name_hint(w)), absent = 0;

	for (unsigned i = start; i < start + (1u << name_hint(w)); i++) {
		const struct place *at = PLACE_FIELD("page", spot->page, "slot", (int)i);
		uint64_t v = slot_value(d, spot->page, i);

		if (v == w || check_unknown(d->c, slot_word(d, spot->page, i)))
			continue;
		check_problem(d->c, "bad-run", at, "does not name page %" PRIu64 ", the leaf of its run",
			      link_index(w));
		if (link_kind(v) != DAXFS_ABSENT)
			repair_lost(d->c, "directory inode %" PRIu64 ": names below slot %u of page %" PRIu64, d->dir,
				    i, spot->page);
		if (repair_do(d->c, at, "names it"))
			repair_word(d->c, slot_word(d, spot->page, i), DAXFS_W_NAME, w);
		absent += link_kind(slot_value(d, spot->page, i)) == DAXFS_ABSENT;
	}
	return absent;
}

/* The slot names a leaf, and nothing before it in its run did: how many slots need no further look. */
static unsigned walk_run(struct dir_walk *d, uint64_t w, const struct spot *spot, unsigned *absent)
{
	const struct place *at = PLACE_FIELD("page", spot->page, "slot", (int)spot->slot);
	unsigned start = trie_run_start(spot->slot, name_hint(w)), end = start + (1u << name_hint(w)), same, other;

	count_run(d, w, spot, &same, &other);
	if (same <= other) {
		check_problem(d->c, "bad-run", at, "names page %" PRIu64 ", a leaf that its run does not",
			      link_index(w));
		cut(d, spot->page, spot->slot);
		return 1;
	}
	if (same < end - start)
		*absent += unite_run(d, w, spot);
	if (!check_reach(d->c, DAXFS_T_PAGE, link_index(w), DAXFS_USE_NODE, at) || walk_leaf(d, w, spot) == 0)
		for (unsigned i = start; d->c->fix && i < end; i++)
			cut(d, spot->page, i);
	return end - spot->slot;
}

/* How many slots from this one on need no further look; *absent: more that name nothing, and should. */
static unsigned walk_slot(struct dir_walk *d, const struct spot *spot, unsigned *absent)
{
	const struct place *at = PLACE_SLOT(spot->page, spot->slot, d->dir);
	const sm_u64 *word = slot_word(d, spot->page, spot->slot);
	uint64_t w;

	check_mark(d->c, word, DAXFS_W_NAME, at);
	w = check_value(d->c, word, DAXFS_W_NAME);
	if (link_kind(w) == DAXFS_LEAF && name_hint(w) <= DAXFS_RUN_MAX)
		return walk_run(d, w, spot, absent);
	if (link_kind(w) == DAXFS_DIRENT) {
		if (!walk_entry(d, w, spot) && d->c->fix)
			repair_entry(d, w, spot);
	} else if (link_kind(w) == DAXFS_NODE && !name_hint(w) && spot->level + 1 < DAXFS_HASH_LEVELS) {
		if (!check_reach(d->c, DAXFS_T_PAGE, link_index(w), DAXFS_USE_NODE, at) ||
		    walk_node(d, link_index(w), spot->level + 1, spot->key) == 0)
			cut(d, spot->page, spot->slot);
	} else if (link_kind(w) != DAXFS_ABSENT) {
		bad_kind(d, w, spot);
	}
	return 1;
}

/* How many slots are used. */
static unsigned walk_node(struct dir_walk *d, uint64_t page, unsigned level, uint64_t key)
{
	struct spot spot = { .page = page, .level = level, .bits = trie_fixed_bits(level, 0) };
	uint64_t blind = d->c->blind;
	unsigned used = 0, absent = 0;

	if (check_blind(d->c, pool_page(d->c->pool, page), DAXFS_PAGE_SIZE))
		return 1; /* for all that can be said */
	while (spot.slot < DAXFS_NODE_SLOTS) {
		spot.key = key << TRIE_BITS | spot.slot;
		spot.slot += walk_slot(d, &spot, &absent);
	}
	for (unsigned i = 0; i < DAXFS_NODE_SLOTS; i++)
		used += link_kind(slot_value(d, page, i)) != DAXFS_ABSENT;
	if (d->c->blind != blind || check_unknown(d->c, &d->c->pool->count[page]))
		return used ? used : 1;
	check_count(d, page, level == 0, used + absent);
	return used;
}

void check_trie(struct dir_walk *d, uint64_t root)
{
	walk_node(d, root, 0, 0);
}
