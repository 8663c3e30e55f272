/* SPDX-License-Identifier: Apache-2.0 */
/* write_pages.h - the bytes of a write's new pages: see write_pages.c. */
#ifndef DAXFS_FS_WRITE_PAGES_H
#define DAXFS_FS_WRITE_PAGES_H

#include "fs/write_txn.h"

/* Does page i begin a group of which every byte is new? */
static inline bool page_begins_whole(const struct write_txn *txn, unsigned i)
{
	uint64_t p = txn->first + i;

	return map_is_head(p) && txn->kind == WRITES && p * DAXFS_PAGE_SIZE >= txn->from &&
	       (p + DAXFS_EXTENT_PAGES) * DAXFS_PAGE_SIZE <= txn->end;
}

/* Bytes of a page starting at byte `base` that come before `at`. */
static inline uint64_t page_within(uint64_t base, uint64_t at)
{
	return at <= base ? 0 : at - base < DAXFS_PAGE_SIZE ? at - base : DAXFS_PAGE_SIZE;
}

/* Is page i one of those that somebody else took and filled? */
static inline bool page_is_own(const struct write_txn *txn, unsigned i)
{
	return i >= txn->own && i < txn->own_end;
}

/* With the pages claimed: fill those that are new, with the bytes at `in` for [from, end), NULL: zeros. */
void write_pages_fill(struct lane *lane, const struct write_txn *txn, const uint8_t *in);

#endif
