/* SPDX-License-Identifier: Apache-2.0 */
/*
 * write_pages.c - the bytes of a write's new pages.
 *
 * Each page that the txn takes is filled whole: the new bytes, around them the old ones, from the page that it
 * replaces or from what storage had, or zeros. All sixteen pages of an extent that is written whole lie together and
 * need no old byte: they are one copy. A page whose old bytes are needed but lost (mem/trouble.h) is a fault, and the
 * txn ends in EIO; where none of them is needed the write mends it.
 *
 * Crash: the pages are claimed for the lane's txid, and no word names them. Whatever is in them, recovery gives
 * them back, or finds the record committed; before that it was drained, and so was what is flushed here.
 */
#include "fs/write_pages.h"

#define AHEAD_BYTES 2048u /* of the next page of a smaller one, fetched while one is filled */

static void fill_old(uint8_t *to, const uint8_t *old, size_t n)
{
	if (n && old)
		sm_write(to, old, n);
	else if (n)
		sm_zero(to, n);
}

/* Fill new page i of the piece: old bytes around the new ones. */
static void compose(struct lane *lane, const struct write_txn *txn, unsigned i, const uint8_t *in)
{
	const struct write_txn_page *page = &txn->page[i];
	uint64_t base = (txn->first + i) * DAXFS_PAGE_SIZE;
	uint64_t start = page_within(base, txn->from), stop = page_within(base, txn->end);
	uint8_t *to = pool_page(lane->pool, page->is);
	const uint8_t *old = page->base ? page->base : page->was == MAP_HOLE ? NULL : pool_page(lane->pool, page->was);

	if (!page->base && page->was != MAP_HOLE && (start || stop != DAXFS_PAGE_SIZE) &&
	    pool_lost_page(lane->pool, page->was)) {
		lane->txn.fault = true; /* the rest of it cannot be kept */
		return;
	}
	fill_old(to, old, start);
	if (start < stop && !in)
		sm_zero(to + start, stop - start);
	else if (start < stop && txn->streams)
		sm_write_stream(to + start, in + (base + start - txn->from), stop - start);
	else if (start < stop)
		sm_write(to + start, in + (base + start - txn->from), stop - start);
	fill_old(to + stop, old && txn->kind != CUTS ? old + stop : NULL, DAXFS_PAGE_SIZE - stop);
	if (stop - start == DAXFS_PAGE_SIZE && txn->streams)
		sm_flush_stream(&lane->pool->shm, to, DAXFS_PAGE_SIZE);
	else
		sm_flush(&lane->pool->shm, to, DAXFS_PAGE_SIZE);
}

/* Has page i a new page, for us to fill? */
static bool is_new(const struct write_txn *txn, unsigned i)
{
	return !page_is_own(txn, i) && txn->page[i].is != MAP_HOLE && txn->page[i].is != txn->page[i].was;
}

/* Is page i an extent's first, and all of that written? */
static bool is_whole_extent(const struct write_txn *txn, unsigned i)
{
	return txn->page[i].to_extent && !page_is_own(txn, i) && page_begins_whole(txn, i);
}

static void copy_extent(struct lane *lane, const struct write_txn *txn, unsigned i, const uint8_t *in)
{
	const uint64_t len = DAXFS_EXTENT_PAGES * DAXFS_PAGE_SIZE;
	uint8_t *to = pool_page(lane->pool, txn->page[i].is);

	in += (txn->first + i) * DAXFS_PAGE_SIZE - txn->from;
	if (txn->streams) {
		sm_write_stream(to, in, len);
		sm_flush_stream(&lane->pool->shm, to, len);
	} else {
		sm_write(to, in, len);
		sm_flush(&lane->pool->shm, to, len);
	}
}

void write_pages_fill(struct lane *lane, const struct write_txn *txn, const uint8_t *in)
{
	for (unsigned i = 0; i < txn->pages; i++) {
		if (in && is_whole_extent(txn, i)) {
			copy_extent(lane, txn, i, in);
			i += DAXFS_EXTENT_PAGES - 1;
			continue;
		}
		if (i + 1 < txn->pages && is_new(txn, i + 1) && !txn->streams)
			sm_prefetch_write(pool_page(lane->pool, txn->page[i + 1].is), AHEAD_BYTES);
		if (is_new(txn, i))
			compose(lane, txn, i, in);
	}
}
