/* SPDX-License-Identifier: Apache-2.0 */
/* piece.h - one record's worth of a write: see piece.c. */
#ifndef DAXFS_FS_PIECE_H
#define DAXFS_FS_PIECE_H

#include "fs/fs.h"

#define EXTENT_BYTES (DAXFS_EXTENT_PAGES * DAXFS_PAGE_SIZE)
/* The longest write from anywhere in a page, and all of the extents that it begins and ends in. */
#define PIECE_PAGES (DAXFS_ATOMIC_WRITE_MAX / DAXFS_PAGE_SIZE + DAXFS_EXTENT_PAGES)
#define NODES_MAX (2 * DAXFS_INDIRECT) /* a piece crosses one border at most */

struct piece_page {
	sm_u64 *slot;     /* its own word */
	uint64_t word;    /* as settled */
	uint64_t was, is; /* the page that held it, and that will; MAP_HOLE: none */
	bool from_extent, to_extent;
};

struct piece {
	struct sm_inode *sm;
	uint64_t size, trunc;   /* words as settled */
	uint64_t from, end;     /* bytes that are new */
	uint64_t first;         /* page of the file; .. of page[0] */
	unsigned pages;
	bool fills, longer;
	bool cuts;              /* no bytes are new: the file ends at `end` */
	unsigned extents, warm; /* that it takes; and those still in this processor's caches, by what is known */
	unsigned own, own_end;  /* pages [own, own_end) are taken and filled by somebody else (draft.c) */
	unsigned n_nodes;
	struct {
		sm_u64 *slot;   /* that will name it: linked, or in another of these */
		uint64_t word, page;
	} node[NODES_MAX];
	struct piece_page page[PIECE_PAGES];
};

#define PIECE_APPEND UINT64_MAX

/* A write of len bytes at an offset, or at the end of the file, or as much as goes in one record. */
int piece_start(struct lane *lane, daxfs_ino ino, uint64_t offset, uint64_t len, struct piece *piece);
/* With a record begun: which words are its pages', through nodes of ours if need be. */
int piece_survey(struct lane *lane, struct piece *piece);
/* Take pages, fill them, and stage that they are the file's. */
int piece_stage(struct lane *lane, struct piece *piece, const uint8_t *in);
/* For who fills them before the file is looked at: take pages for len bytes from offset on, both whole pages. */
int piece_take(struct lane *lane, struct piece *piece, uint64_t offset, uint64_t len);
/* Stage that nothing follows `size` in the page, or extent, that it is in; *behind: the next page to remove. */
int piece_cut(struct lane *lane, struct sm_inode *sm, uint64_t before, uint64_t size, uint64_t *behind);

/* Nobody makes a file longer before what a truncation left is gone (prune). */
static inline bool piece_must_prune(const struct piece *piece)
{
	return piece->longer && size_prune(piece->size);
}

#endif
