/* SPDX-License-Identifier: Apache-2.0 */
/* write_txn.h - one record's worth of a write: see write_txn.c. */
#ifndef DAXFS_FS_WRITE_TXN_H
#define DAXFS_FS_WRITE_TXN_H

#include "fs/fs.h"

#define EXTENT_BYTES (DAXFS_EXTENT_PAGES * DAXFS_PAGE_SIZE)
/* The longest write from anywhere in a page, and all of the extents that it begins and ends in. */
#define PIECE_PAGES (DAXFS_ATOMIC_WRITE_MAX / DAXFS_PAGE_SIZE + DAXFS_EXTENT_PAGES)
#define NODES_MAX (2 * DAXFS_INDIRECT) /* a piece crosses one border at most */

struct write_txn_page {
	sm_u64 *slot;     /* its own word */
	uint64_t word;    /* as finalized */
	uint64_t was, is; /* the page that held it, and that will; MAP_HOLE: none */
	bool from_extent, to_extent;
	bool whole; /* the first of an extent that is written whole: the words of its others were not looked at */
	const uint8_t *base; /* the bytes that it had, in private memory: it was read from storage for this */
};

struct cache_aside;

enum write_kind {
	WRITES,  /* the bytes are new */
	CUTS,    /* no bytes are: the file ends at `end` */
	PUNCHES, /* what is whole pages goes, and the rest of the bytes are zeros */
	FILLS,   /* pages of zeros come where there are none */
};

struct write_txn {
	struct sm_inode *sm;
	uint64_t size, trunc; /* words as finalized */
	uint64_t from, end;   /* bytes that are new */
	uint64_t first;       /* page of the file; .. of page[0] */
	unsigned pages;
	bool fills, longer;
	enum write_kind kind;
	bool alone;             /* nobody else has a lease of the file, or gets one: see lease_may_write */
	unsigned extents, warm; /* that it takes; and those still in this processor's caches, by what is known */
	bool streams;           /* what is new goes around the caches */
	/* of a file of storage (cache_write.c): where from, 0: it is none; how much of it storage has, as finalized;
	 * what was read from there lately; a page whose bytes are to be read from there first */
	uint64_t source, stored;
	const struct cache_aside *aside[2];
	uint64_t missing;
	unsigned own, own_end; /* pages [own, own_end) are taken and filled by somebody else (draft.c) */
	unsigned n_nodes;
	struct {
		sm_u64 *slot; /* that will name it: linked, or in another of these */
		uint64_t word, page;
	} node[NODES_MAX];
	struct write_txn_page page[PIECE_PAGES];
};

#define PIECE_APPEND UINT64_MAX

/* A write of len bytes at an offset, or at the end of the file, or as much as goes in one record. */
int write_txn_start(struct lane *lane, daxfs_ino ino, uint64_t offset, uint64_t len, struct write_txn *txn);
/* Of the survey and the cut: bytes of a page are in storage alone, and needed. */
#define WRITE_MISSING 2
/* With a record begun: which words are its pages', through nodes of ours if need be. */
int write_txn_survey(struct lane *lane, struct write_txn *txn);
/* Take pages, fill them, and stage that they are the file's. in NULL: with zeros. */
int write_txn_stage(struct lane *lane, struct write_txn *txn, const uint8_t *in);
/* For who fills them before the file is looked at: take pages for len bytes from offset on, both whole pages. */
int write_txn_take(struct lane *lane, struct write_txn *txn, uint64_t offset, uint64_t len);
/* Stage that nothing follows `size` in the page, or extent, that it is in; *behind: the next page to remove. */
int write_txn_cut(struct lane *lane, struct sm_inode *sm, uint64_t before, uint64_t size, struct write_txn *txn,
		  uint64_t *behind);

/*
 * A piece of another kind: PUNCHES, FILLS. keep_size: it ends where the file does. 1: there is
 * nothing to do, as far as txn->end.
 */
int write_txn_start_kind(struct lane *lane, daxfs_ino ino, uint64_t offset, uint64_t len, enum write_kind kind,
			 bool keep_size, struct write_txn *txn);
/* After the survey: does the record change anything? */
bool write_txn_changes(const struct write_txn *txn);

/* Nobody makes a file longer before what a truncation left is gone (prune). */
static inline bool write_txn_must_prune(const struct write_txn *txn)
{
	return txn->longer && size_prune(txn->size);
}

#endif
