/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirtrie.h - names of a directory.
 *
 * A directory is a trie over a keyed 54-bit hash of the name, nine bits a
 * level, high bits first. A slot is absent, names a directory entry, or names a
 * node of the next level, made when two hashes meet in a slot. Two names with
 * all 54 bits equal end in a node of the seventh level, where slots have no
 * order. A name is in exactly one slot; lookup and readdir read the same words.
 *
 * Each node has a count word (pool->count[page]): its non-absent slots. Every
 * record that fills or empties a slot changes the count too, so that
 *   - the record that empties a node, but for the root, also freezes the count
 *     and unlinks the node: there are no empty nodes,
 *   - rmdir is a record that freezes the root's count at 0,
 *   - two insertions into an unordered node conflict.
 *
 * Order and cookies: an entry's key is hash << 9 | place in the unordered node
 * (0 elsewhere). Pushing an entry down a level does not change its key.
 */
#ifndef DAXFS_INDEX_DIRTRIE_H
#define DAXFS_INDEX_DIRTRIE_H

#include "sync/lane.h"

#define TRIE_BITS 9u
#define TRIE_NODES_MAX DAXFS_HASH_LEVELS /* new nodes that one insertion can need */

struct trie_name {
	const char *name;
	uint8_t len;
	uint64_t hash; /* trie_hash */
};

/* where a name is, or would go */
struct trie_pos {
	bool intend; /* to change it: words are finalized, counts read */
	bool found;
	unsigned level;
	uint64_t node;  /* page index of the node with the slot */
	uint64_t count; /* its count word, finalized before the slot was read */
	sm_u64 *slot;
	uint64_t word;     /* finalized; a DIRENT when found or when pushing down */
	uint64_t entry;    /* found: the dirent's index */
	uint64_t handle;   /* found: of its inode */
	uint8_t type;      /* found: DT_* */
	uint64_t pushed;   /* pushing down: hash of the entry in the way */
	unsigned nodes;    /* new nodes an insertion needs: 0 if the slot is absent */
	struct trie_step { /* how we got here: path[0..level-1] */
		uint64_t node;
		sm_u64 *slot; /* in node, naming the next node */
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
 * removed; -EAGAIN: a node was unlinked meanwhile; -ENOSPC: no slot for it.
 */
int trie_find(struct lane *lane, uint64_t root, const struct trie_name *name, bool intend, struct trie_pos *pos);

/* Stage the insertion of entry at a position where the name is not. new_nodes:
 * pos->nodes pages PRIVATE to the record, filled here. */
void trie_insert(struct lane *lane, const struct trie_pos *pos, const struct trie_name *name, uint64_t entry,
		 const uint64_t *new_nodes);
/*
 * Stage that a found name disappears, and with it every node above that would be
 * left empty. After the insertion, if the record has one: the counts tell what
 * stays in use.
 */
void trie_remove(struct lane *lane, const struct trie_pos *pos);
/* Stage that the slot of a found name names another entry. */
void trie_replace(struct lane *lane, const struct trie_pos *pos, uint64_t entry);
struct trie_entry {
	uint64_t key, handle;
	uint8_t type, len;
	char name[DAXFS_NAME_MAX + 1];
};
/* The first entries with key >= from, in order: 0, *n of at most max: fewer at the end; -EIO. */
int trie_list(struct lane *lane, uint64_t root, uint64_t from, unsigned max, struct trie_entry *entry, unsigned *n);

#endif
