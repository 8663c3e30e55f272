/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map.h - which page holds page p of a file.
 *
 *   page index p      link word
 *   0..7              inode.direct[p]
 *   next 512^h        inode.indirect[h-1]: a node of height h, h = 1..4
 *
 * A node of height h is a page of 512 link words to nodes of height h - 1, or
 * to data pages when h = 1. An absent word stands for a hole of any size. Nodes
 * come from the page pool, so the index cannot fill before the pages do.
 *
 * Concurrency: only records change these words. A word is filled (ABSENT ->
 * something) only in a record that also demands an unchanged trunc or size word,
 * and emptied only by pruning past the end; see fs/prune.c.
 */
#ifndef DAXFS_INDEX_MAP_H
#define DAXFS_INDEX_MAP_H

#include "sync/lane.h"

#define MAP_BATCH 64u

struct map_pos {   /* the word that names a page, or the last one on the way */
	sm_u64 *slot;
	uint64_t word;     /* on the way only: its value, absent */
	unsigned height;   /* of the node the word should name; 0: it names the page */
	uint64_t p;        /* the page, relative to what the word covers */
	unsigned left;     /* words behind this one that name the next pages */
};

/* Find the word that names page p: 0; -ENOENT: a node is missing at *pos, see
 * map_below; -EIO: lane->fault. */
int map_find(struct lane *lane, struct sm_inode *inode, uint64_t p, struct map_pos *pos);
/* The same for the page behind that which *pos was found for, which is p. */
int map_next(struct lane *lane, struct sm_inode *inode, uint64_t p, struct map_pos *pos);
/* Go on from *pos, whose word is to name the node `page`. */
int map_below(struct lane *lane, uint64_t page, struct map_pos *pos);

/* A guess at the word that names page p of an inode and at that page: for
 * prefetching, at any time. False: no idea. */
bool map_guess(const struct pool *pool, uint64_t inode, uint64_t p, sm_u64 **slot, uint64_t *page);

struct map_batch { /* link words to make absent */
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

/* Pages held by the file, data and nodes; counts at most `limit` words. */
uint64_t map_pages(struct lane *lane, struct sm_inode *inode, uint64_t limit);

static inline struct sm_node *map_node(const struct pool *pool, uint64_t index)
{
	return (struct sm_node *)pool_page(pool, index);
}

#endif
