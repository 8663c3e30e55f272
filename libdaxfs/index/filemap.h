/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filemap.h - which page holds page p of a file.
 *
 *   page index p      link word
 *   0..7              inode.direct[p]
 *   8..511            inode.indirect[0]: a node of height 1, in its word p
 *   up to 512^h - 1   inode.indirect[h-1]: a node of height h, h = 2..4
 *
 * A node of height h is a page of 512 link words to nodes of height h - 1, or
 * to data pages when h = 1. An absent word stands for a hole of any size. Nodes
 * come from the page pool, so the index cannot fill before the pages do. The
 * first words of a node at the top are not used: a shorter way leads there.
 *
 * From page 16 on, each 16 words of a node of height 1 are a group, with a head,
 * the first. Either the head names an extent, which has all their pages, and the
 * others are absent; or each word is by itself. Every record that turns one into
 * the other changes the version of all sixteen, those included that are absent
 * before and after. So (map_look)
 *   - a reader that finds a word, then its head without an extent, then the word as it was,
 *     knows that it was by itself all the while;
 *   - a writer that finds an extent needs nothing but the head to replace it as a whole.
 *
 * Of a file of backing storage a word may also be CLEAN, FILLING or VOID, and absent says
 * nothing: see fs/cache.h. It has no extents.
 *
 * Concurrency: only records change these words. A word is filled (ABSENT ->
 * something) only in a record that also demands an unchanged trunc or size word,
 * and emptied only by pruning past the end, or in favour of its head; see
 * fs/truncate.c, fs/write_txn.c. (Not so for backing storage.)
 */
#ifndef DAXFS_INDEX_FILEMAP_H
#define DAXFS_INDEX_FILEMAP_H

#include "sync/lane.h"

/* Is it of storage (fs/cache.h): a file's bytes, a directory's names? Of an inode that is known
 * to live, or where damage is looked for. */
static inline bool inode_backed(const struct sm_inode *sm)
{
	return sm_load_relaxed(&sm->rdev) >> 56;
}

#define MAP_BATCH 64u

struct map_pos { /* the word that names a page, or the last one on the way */
	sm_u64 *slot;
	uint64_t word;   /* on the way only: its value, absent */
	unsigned height; /* of the node the word should name; 0: it names the page */
	uint64_t p;      /* the page, relative to what the node covers that the word is in */
	unsigned left;   /* words behind this one that name the next pages */
};

/* Does page p begin a group; does it belong to one? */
static inline bool map_is_head(uint64_t p)
{
	return p % DAXFS_EXTENT_PAGES == 0 && p >= DAXFS_EXTENT_PAGES;
}

static inline bool map_has_head(uint64_t p)
{
	return p % DAXFS_EXTENT_PAGES && p >= DAXFS_EXTENT_PAGES;
}

/* The first page that a root word of this height leads to. */
uint64_t map_first(unsigned height);

/* Find the word that names page p: 0; -ENOENT: a node is missing at *pos, see
 * map_below; -EIO: lane->txn.fault. */
int map_find(struct lane *lane, struct sm_inode *inode, uint64_t p, struct map_pos *pos);
/* The same for the page behind that which *pos was found for, which is p. */
int map_next(struct lane *lane, struct sm_inode *inode, uint64_t p, struct map_pos *pos);
/* Pass over n pages behind *pos, no more than pos->left. */
static inline void map_skip(struct map_pos *pos, unsigned n)
{
	pos->slot += n;
	pos->left -= n;
}
/* Go on from *pos, whose word is to name the node `page`. */
int map_below(struct lane *lane, uint64_t page, struct map_pos *pos);

#define MAP_HOLE UINT64_MAX

/* May a word that names no page say that: because there is none, or because storage has it (fs/cache.h)? */
static inline bool map_is_empty(uint64_t w)
{
	unsigned kind = link_kind(w);

	return kind == DAXFS_ABSENT || kind == DAXFS_FILLING || kind == DAXFS_VOID;
}

/* Does a word name one page, by itself? */
static inline bool map_names_page(const struct pool *pool, uint64_t w)
{
	return link_names(pool, w, DAXFS_DATA) || link_names(pool, w, DAXFS_CLEAN);
}

/* what holds a page */
struct map_look {
	sm_u64 *slot;  /* the word that says it: its own, or its head */
	uint64_t word; /* ... and what that was */
	uint64_t own;  /* its own */
	uint64_t page; /* or MAP_HOLE */
	bool extent;
	unsigned behind; /* pages behind it in its extent */
};
/* Look what the word at slot says of page p. Garbage is a fault. */
void map_look(struct lane *lane, sm_u64 *slot, uint64_t p, struct map_look *out);

/* A guess at the word that names page p of an inode and at that page: for
 * prefetching, at any time. False: no idea. */
bool map_guess(const struct pool *pool, uint64_t inode, uint64_t p, sm_u64 **slot, uint64_t *page);

/* link words to make absent */
struct map_batch {
	unsigned n;
	struct map_item {
		sm_u64 *slot;
		uint64_t word;
	} item[MAP_BATCH];
};

/*
 * Collect words that name pages from page `first` on, and nodes with nothing
 * else in them, at most MAP_BATCH. Making all of them absent in one record is
 * right however many batches are left. n = 0: nothing is left.
 */
void map_collect(struct lane *lane, struct sm_inode *inode, uint64_t first, struct map_batch *batch);

/* Pages held by the file, data and nodes. False: it has more than `limit` words. */
bool map_pages(struct lane *lane, struct sm_inode *inode, uint64_t limit, uint64_t *pages);

/* what follows a page */
struct map_run {
	bool data;      /* page p is there, or may be in storage; else it is a hole */
	bool node;      /* its word is in a node that *pos was not in before */
	uint64_t pages; /* that one look tells the same of, p included; may go past the end */
};
/* Look at page p; *pos as for map_next, and passed over the run. -EIO. */
int map_run(struct lane *lane, struct sm_inode *inode, uint64_t p, struct map_pos *pos, struct map_run *out);

static inline struct sm_node *map_node(const struct pool *pool, uint64_t index)
{
	return (struct sm_node *)pool_page(pool, index);
}

#endif
