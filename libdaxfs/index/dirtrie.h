/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirtrie.h - names of a directory.
 *
 * A directory is a trie over a keyed 54-bit hash of the name, nine bits a level,
 * high bits first. A slot of a node is absent, names an entry, names a node of the
 * next level, or names a leaf. Names come to lie in leaves as soon as two of them
 * meet in a slot, and a leaf is shared by a run of up to 64 slots, so that names lie
 * together: 64 buckets of eight slots, by the six bits of the hash that follow those
 * of the run. Lookup and readdir read the same words.
 *
 *   node of level L   | .. | entry |  leaf A | leaf A | leaf B | leaf B | node | .. |
 *                            alone   `---- run of 2 ---'  `---- run of 2 --'
 *
 * L1 A name is in exactly one slot.
 * L2 All slots of a run name the same leaf with the same hint, log2 of the run; every
 *    record that changes one of them changes them all.
 * L3 Each node and leaf has a count word (pool->count[page]): its non-absent slots.
 *    Every record that fills or empties one of its slots changes the count; one that
 *    lets another entry into a slot of a leaf demands that the count is unchanged.
 * L4 There are no empty nodes and leaves but for the root: the record that empties one
 *    also freezes its count, at 0, and unlinks it. rmdir freezes the root's count at 0.
 * L5 A leaf that was split keeps its words for good, and its count frozen at what it was,
 *    which is not 0. So a reader of the old leaf reads the directory of the moment of the split,
 *    and a writer meets the frozen count.
 *
 * Room (leaf.c). An insertion that finds an entry in its slot of a node, or eight in its
 * bucket, first makes room, in a record of its own that changes no name, and looks again:
 *   gather   the entries of a run of slots of a node, as long as no other leaf or node is
 *            in it, move into a new leaf
 *   halve    the entries of a leaf with a run of two or more move into two new leaves,
 *            with half the run each, or one, if the other would be empty
 *   deepen   those of a leaf with one slot move into a new node of the next level, with
 *            leaves of 64 slots, or alone if they are
 * Entries move, so these records have the words of all slots that change what they name
 * and the count of what is left: 66 at most. What is new is private until then.
 *
 *   a crash                          leaves
 *   before the record is decided     the directory as it was; private pages, freed by recovery
 *   after it, words still marked     both forms by way of the status; anybody goes on
 *   before the insertion itself      a directory with more room, all its names in it
 * Where a create, an unlink or a rmdir meets it: every one of them changes or freezes a
 * count that the record has too, or a slot, so one of the two looks again.
 *
 * In the sixth level a bucket stands for a single hash: eight names may have it.
 *
 * Order and cookies: an entry's key is hash << 9 | twin. The twin is given to an entry for
 * good when its name is inserted: the smallest number that no other entry of this hash has.
 * So moving an entry does not change its key.
 */
#ifndef DAXFS_INDEX_DIRTRIE_H
#define DAXFS_INDEX_DIRTRIE_H

#include "sync/lane.h"

#define TRIE_BITS 9u

struct trie_name {
	const char *name;
	uint8_t len;
	uint64_t hash; /* trie_hash */
};

/* where a name is, or would go */
struct trie_pos {
	bool intend; /* to change it: words are finalized, counts read */
	bool found;
	bool leaf;         /* node is a leaf */
	bool crowded;      /* not found, and no slot is free for it: trie_make_room */
	unsigned level;    /* of the node with the slot; of a leaf: one more than that of the node that names it */
	uint64_t node;     /* page index of the node or leaf with the slot */
	uint64_t count;    /* its count word, finalized before the slot was read */
	sm_u64 *slot;      /* NULL: crowded, in a leaf */
	uint64_t word;     /* finalized; a DIRENT when found, or crowded in a node */
	uint64_t entry;    /* found: the dirent's index */
	uint64_t handle;   /* found: of its inode */
	uint8_t type;      /* found: DT_* */
	uint8_t twin;      /* of the entry found, or of one to be inserted */
	uint8_t twins;     /* bit t: an entry of the same hash has the twin t */
	struct trie_step { /* how we got here: path[0..level-1] */
		uint64_t node;
		sm_u64 *slot; /* in node, naming the next node or leaf */
		uint64_t word;
	} path[DAXFS_HASH_LEVELS];
};

/* All but the path: it is long, and empty at level 0. */
static inline void trie_nowhere(struct trie_pos *pos)
{
	memset(pos, 0, offsetof(struct trie_pos, path));
}

uint64_t trie_hash(const struct pool *pool, const char *name, size_t len);

/*
 * Find a name below the root node; intend: in order to change what is there.
 * 0 (see pos->found) or -EIO; with intend also -ENOENT: the directory was
 * removed; -EAGAIN: a node was unlinked meanwhile.
 */
int trie_find(struct lane *lane, uint64_t root, const struct trie_name *name, bool intend, struct trie_pos *pos);
/* Was a position, found with or without intent, still as it was found after all that was loaded before? */
bool trie_unchanged(struct lane *lane, const struct trie_pos *pos);

/*
 * Before a record that inserts a name, see above. 0: there is room; -EAGAIN: there was
 * not, look again. -ENOSPC: no page, or eight names have this hash; -EIO, -ESTALE.
 */
int trie_make_room(struct lane *lane, const struct trie_pos *pos);
/* Stage the insertion of entry, which has pos->twin, at a position where the name is not. */
void trie_insert(struct lane *lane, const struct trie_pos *pos, const struct trie_name *name, uint64_t entry);
/*
 * Stage that a found name disappears, and with it every node above that would be
 * left empty. After the insertion, if the record has one: the counts tell what
 * stays in use. 80 words at most.
 */
void trie_remove(struct lane *lane, const struct trie_pos *pos);
/* Stage that the slot of a found name names another entry, of this name, with pos->twin. */
void trie_replace(struct lane *lane, const struct trie_pos *pos, const struct trie_name *name, uint64_t entry);

struct trie_entry {
	uint64_t key, handle;
	uint8_t type, len;
	char name[DAXFS_NAME_MAX + 1];
};
/* The first entries with key >= from, in order: 0, *n of at most max: fewer at the end; -EIO. (walk.c) */
int trie_list(struct lane *lane, uint64_t root, uint64_t from, unsigned max, struct trie_entry *entry, unsigned *n);

/* -- shapes: for dirtrie.c, leaf.c, walk.c and those who inspect ----------------------- */

/* The digit of a hash in a node of this level. */
static inline unsigned trie_digit(uint64_t hash, unsigned level)
{
	return (hash >> (TRIE_BITS * (DAXFS_HASH_LEVELS - 1 - level))) & (DAXFS_NODE_SLOTS - 1);
}

/* Bits of the hash that are the same for all names below a run of 2^run slots of a node of this level. */
static inline unsigned trie_fixed_bits(unsigned level, unsigned run)
{
	return TRIE_BITS * (level + 1) - run;
}

static inline unsigned trie_bucket(uint64_t hash, unsigned level, unsigned run)
{
	unsigned left = DAXFS_HASH_BITS - trie_fixed_bits(level, run);

	return (left >= DAXFS_BUCKET_BITS ? hash >> (left - DAXFS_BUCKET_BITS) : hash << (DAXFS_BUCKET_BITS - left)) &
	       ((1u << DAXFS_BUCKET_BITS) - 1);
}

static inline unsigned trie_hint(uint64_t hash)
{
	return hash & ((1u << DAXFS_HINT_BITS) - 1);
}

/* Does a slot of a node name a leaf? */
static inline bool trie_names_leaf(const struct pool *pool, uint64_t w)
{
	return link_names(pool, w, DAXFS_LEAF) && name_hint(w) <= DAXFS_RUN_MAX;
}

/* The first slot of the run of 2^run slots that a slot is in. */
static inline unsigned trie_run_start(unsigned slot, unsigned run)
{
	return slot & ~((1u << run) - 1);
}

/* -- between dirtrie.c, leaf.c and walk.c ------------------------------------------------ */

/* lane->txn.fault; -EIO. */
int trie_broken(struct lane *lane);
/* Read the entry that a slot names, without its name: 0, -EIO. */
int trie_read_entry(struct lane *lane, uint64_t w, struct sm_dirent *out);
/*
 * Settle the slots of the run of the leaf at the end of a path, into w[1 << run]: 0, run in
 * *run; -EAGAIN: the leaf was split or unlinked; -EIO.
 */
int trie_settle_run(struct lane *lane, const struct trie_step *up, unsigned *run, uint64_t *w);

#endif
