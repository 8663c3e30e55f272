/* SPDX-License-Identifier: Apache-2.0 */
/*
 * write_txn.c - one record's worth of a write.
 *
 * A piece (up to 256 KiB) is one record over the link words of its pages, plus the
 * size word if the file gets longer, plus the trunc word if a hole inside the file
 * is filled. Pages are never written in place: new pages are taken, filled and
 * linked, the old ones retired. Why these words suffice:
 *
 *   overwrite (page -> page)  no other word. A truncation that removes the page
 *       changes its word. One that leaves it, but has committed its new size
 *       below it, will remove the new page just the same (truncate.c).
 *   fill (absent -> page)     demands an unchanged trunc word, or changes the
 *       size word: no truncation was committed since we looked, so the node is
 *       still linked and nobody is pruning it.
 *   longer                    demands the size word as read: appends of several
 *       hosts get disjoint ranges, and no PRUNE is pending.
 *   punch (page -> absent)    changes the trunc word, as a truncation does: a host that fills
 *       a hole or counts pages sees that one went.
 *   allocate                  as fill, and the trunc word even if the file gets longer: pages
 *       that are there already have no word in the record, and must not be punched meanwhile.
 *
 * A group that is written whole once more becomes an extent if sixteen pages are to be
 * had together: extent -> extent is one word. What is written in part, or cut, of an
 * extent is not an extent any more: the piece grows to all of it, every page gets a word of
 * its own, and those that stay, but the first, are kept (space_keep). A file never ends
 * within an extent. If a group was found half as one and half as the other, its head has changed,
 * and is in the record.
 *
 * Of a file of storage (cache.h) each page has a word of its own, and its record says that storage has not all
 * of it; a page of which only a part is written is read from there first (WRITE_MISSING).
 */
#include "fs/write_txn.h"

#include <errno.h>

#include "fs/cache.h"
#include "fs/lease.h"
#include "fs/write_pages.h"

#define CACHE_BYTES (64u << 20) /* written by a lane: what it wrote before that is in no cache */

static void span_pages(struct write_txn *txn, uint64_t first, uint64_t last)
{
	txn->first = first;
	txn->pages = (unsigned)(last - first + 1);
}

/* It is about bytes [from, end). */
static void about(struct write_txn *txn, uint64_t from, uint64_t end)
{
	txn->from = from;
	txn->end = end;
	txn->longer = end > size_bytes(txn->size);
	txn->kind = WRITES;
	txn->streams = false;
	txn->alone = true;
	txn->own = txn->own_end = txn->n_nodes = 0;
	txn->missing = MAP_HOLE;
	span_pages(txn, from / DAXFS_PAGE_SIZE, (end - 1) / DAXFS_PAGE_SIZE);
}

int write_txn_start(struct lane *lane, daxfs_ino ino, uint64_t offset, uint64_t len, struct write_txn *txn)
{
	struct inode inode;
	bool alone;
	int rc = inode_get_file(lane, ino, &inode);
	uint64_t from, most;

	if (rc)
		return rc;
	txn->sm = inode.sm;
	/* trunc before life: if the inode dies later, trunc will have changed. */
	txn->size = word_help(lane, &inode.sm->size);
	txn->trunc = word_help(lane, &inode.sm->trunc);
	txn->source = inode_source(inode.sm);
	txn->stored = txn->source ? word_help(lane, &inode.sm->dir_root) : 0;
	txn->aside[0] = txn->aside[1] = NULL;
	rc = inode_get(lane, ino, &inode);
	if (rc == 0)
		rc = lease_may_write(lane, inode.sm, &alone);
	if (rc)
		return rc;
	from = offset == PIECE_APPEND ? size_bytes(txn->size) : offset;
	if (txn->source && cache_stored(txn->stored, txn->size) > DAXFS_STORED_PAGES)
		return -EFBIG;
	most = txn->source ? (uint64_t)DAXFS_STORED_PAGES * DAXFS_PAGE_SIZE : DAXFS_FILE_MAX;
	if (from >= most)
		return -EFBIG;
	if (len > most - from)
		len = most - from; /* short; what is left is refused */
	about(txn, from, from + (len < DAXFS_ATOMIC_WRITE_MAX ? len : DAXFS_ATOMIC_WRITE_MAX));
	txn->alone = alone;
	return 0;
}

int write_txn_start_kind(struct lane *lane, daxfs_ino ino, uint64_t offset, uint64_t len, enum write_kind kind,
			 bool keep_size, struct write_txn *txn)
{
	int rc = write_txn_start(lane, ino, offset, len, txn);

	if (rc)
		return rc;
	txn->kind = kind;
	if (!keep_size || !txn->longer)
		return 0;
	txn->longer = false;
	if (txn->from >= size_bytes(txn->size))
		return 1;
	txn->end = size_bytes(txn->size);
	span_pages(txn, txn->from / DAXFS_PAGE_SIZE, (txn->end - 1) / DAXFS_PAGE_SIZE);
	return 0;
}

/* -- which words ---------------------------------------------------------------- */

/* The node that our record puts at a place where the file lacks one: 0 and its page. */
static int grow(struct lane *lane, struct write_txn *txn, const struct map_pos *at, uint64_t *page)
{
	unsigned i;
	int rc;

	for (i = 0; i < txn->n_nodes; i++)
		if (txn->node[i].slot == at->slot) {
			*page = txn->node[i].page;
			return 0;
		}
	if (i == NODES_MAX)
		return -EIO;
	rc = space_take(lane, DAXFS_T_PAGE, DAXFS_USE_NODE, 1, page);
	if (rc)
		return rc;
	sm_zero(pool_page(lane->pool, *page), DAXFS_PAGE_SIZE);
	txn->node[i].slot = at->slot;
	txn->node[i].word = word_help(lane, at->slot);
	txn->node[i].page = *page;
	txn->n_nodes++;
	return link_kind(txn->node[i].word) == DAXFS_ABSENT ? 0 : -EAGAIN;
}

/* Find the word of page i of the txn; *pos: of the page before it. -ENOENT: a cut needs none. */
static int find_word(struct lane *lane, struct write_txn *txn, unsigned i, struct map_pos *pos)
{
	uint64_t page;
	int rc = map_next(lane, txn->sm, txn->first + i, pos);

	while (rc == -ENOENT && (txn->kind == WRITES || txn->kind == FILLS)) {
		rc = grow(lane, txn, pos, &page);
		if (rc == 0)
			rc = map_below(lane, page, pos);
	}
	return rc;
}

/* Page i was found in an extent: the piece is about all of that. True: it is, now. */
static bool widen(struct write_txn *txn, unsigned i)
{
	uint64_t p = txn->first + i, head = p - p % DAXFS_EXTENT_PAGES, last = txn->first + txn->pages - 1;

	if (txn->first <= head && last >= head + DAXFS_EXTENT_PAGES - 1)
		return false;
	span_pages(txn, txn->first < head ? txn->first : head,
		   last > head + DAXFS_EXTENT_PAGES - 1 ? last : head + DAXFS_EXTENT_PAGES - 1);
	return true;
}

/* Does something of page i stay as it is? */
static bool keeps_bytes(const struct write_txn *txn, unsigned i)
{
	uint64_t base = (txn->first + i) * DAXFS_PAGE_SIZE, stop = page_within(base, txn->end);

	return page_within(base, txn->from) || (txn->kind != CUTS && stop < page_within(base, size_bytes(txn->size)));
}

/* Of a file of storage: a page that is not here. 0: it is zeros, or all of it is written, or was read for this. */
static int find_base(const struct pool *pool, struct write_txn *txn, unsigned i)
{
	struct write_txn_page *page = &txn->page[i];
	uint64_t p = txn->first + i;

	if ((page->was != MAP_HOLE && !cache_lost(pool, page->word)) || link_kind(page->word) == DAXFS_VOID ||
	    !keeps_bytes(txn, i) || p >= cache_stored(txn->stored, txn->size))
		return 0;
	for (unsigned k = 0; k < 2 && !page->base; k++)
		page->base = cache_aside_since(txn->aside[k], txn->trunc, p, page->word);
	if (!page->base)
		txn->missing = p;
	return page->base ? 0 : WRITE_MISSING;
}

/* Page i begins an extent that is written as a whole: what its others are follows from that (filemap.h). */
static void survey_rest(struct write_txn *txn, unsigned i, struct map_pos *pos)
{
	txn->page[i].whole = true;
	for (unsigned k = 1; k < DAXFS_EXTENT_PAGES; k++)
		txn->page[i + k] = (struct write_txn_page){ .slot = pos->slot + k,
							    .was = txn->page[i].was + k,
							    .from_extent = true };
	map_skip(pos, DAXFS_EXTENT_PAGES - 1);
}

/* What page i is now. 1: the piece has grown, look again. */
static int survey_page(struct lane *lane, struct write_txn *txn, unsigned i, struct map_pos *pos)
{
	struct write_txn_page *page = &txn->page[i];
	struct map_look look;
	int rc = find_word(lane, txn, i, pos);

	*page = (struct write_txn_page){ .was = MAP_HOLE };
	if (rc == -ENOENT && txn->kind == PUNCHES)
		return 0;
	if (rc)
		return rc;
	page->slot = pos->slot;
	page->word = word_help(lane, pos->slot);
	page->was = link_index(page->word);
	if (link_names(lane->pool, page->word, DAXFS_DATA)) {
		space_warm_state(lane->pool, page->was);
		return 0;
	}
	map_look(lane, pos->slot, txn->first + i, &look);
	page->word = look.own;
	page->was = look.page;
	page->from_extent = look.extent;
	txn->fills |= look.page == MAP_HOLE;
	if (look.extent && page_begins_whole(txn, i) && txn->own == txn->own_end) {
		survey_rest(txn, i, pos);
		return 0;
	}
	if (txn->source)
		return find_base(lane->pool, txn, i);
	return look.extent && txn->kind != FILLS && widen(txn, i) ? 1 : 0;
}

int write_txn_survey(struct lane *lane, struct write_txn *txn)
{
	struct map_pos pos;
	int rc;

	do {
		rc = 0;
		pos.left = 0;
		txn->fills = false;
		for (unsigned i = 0; rc == 0 && i < txn->pages; i += txn->page[i].whole ? DAXFS_EXTENT_PAGES : 1)
			rc = survey_page(lane, txn, i, &pos);
	} while (rc == 1);
	if (rc)
		return rc;
	/* It retires as many pages as it takes: space/reserve.h. */
	lane->txn.spare |= !txn->fills;
	/* Words before size: if it is what it was, no truncation came between. */
	if (word_help(lane, &txn->sm->size) != txn->size)
		return -EAGAIN;
	return lane->txn.fault ? -EIO : 0;
}

/* -- new pages ------------------------------------------------------------------- */

/*
 * Does page i begin a group that is written whole and had all of its pages? Who writes a file
 * for the first time, and in large pieces, may go on to change it in small ones, each of
 * which would break up an extent, and has gained next to nothing by it; who writes a whole
 * group once more will do so again.
 */
static bool again(const struct write_txn *txn, unsigned i)
{
	if (!page_begins_whole(txn, i))
		return false;
	for (unsigned k = 0; k < DAXFS_EXTENT_PAGES; k++)
		if (txn->page[i + k].was == MAP_HOLE)
			return false;
	return true;
}

/* Find sixteen pages together for those from i on. */
static bool find_extent(struct lane *lane, struct write_txn *txn, unsigned i, struct space_batch *batch)
{
	uint64_t head;
	uint32_t age;

	if (txn->source || !again(txn, i) || !space_find_extent(lane, batch, &head, &age))
		return false;
	txn->extents++;
	txn->warm += age < CACHE_BYTES / (txn->end - txn->from);
	for (unsigned k = 0; k < DAXFS_EXTENT_PAGES; k++) {
		txn->page[i + k].is = head + k;
		txn->page[i + k].to_extent = true;
	}
	return true;
}

/* Is page i of an extent that is broken up, and nothing of it new? Then it stays, but for
 * the head: see space/extent.c. */
static bool keep(struct lane *lane, struct write_txn *txn, unsigned i, struct space_batch *batch)
{
	struct write_txn_page *page = &txn->page[i];
	uint64_t base = (txn->first + i) * DAXFS_PAGE_SIZE;

	if (!page->from_extent || map_is_head(txn->first + i) ||
	    (base + DAXFS_PAGE_SIZE > txn->from && base < txn->end) || !space_keep(lane, batch, page->was))
		return false;
	page->is = page->was;
	return true;
}

/* Is nothing left of page i, bytes past the end of the file not counted? */
static bool punched(const struct write_txn *txn, unsigned i)
{
	uint64_t base = (txn->first + i) * DAXFS_PAGE_SIZE;

	return page_within(base, txn->from) == 0 && base < txn->end &&
	       (page_within(base, txn->end) == DAXFS_PAGE_SIZE || txn->end >= size_bytes(txn->size));
}

/* Is it known without looking for one what page i will be? */
static bool known(struct write_txn *txn, unsigned i)
{
	struct write_txn_page *page = &txn->page[i];

	switch (txn->kind) {
	case CUTS: page->is = MAP_HOLE; return (txn->first + i) * DAXFS_PAGE_SIZE >= txn->end;
	case PUNCHES: page->is = MAP_HOLE; return page->was == MAP_HOLE || punched(txn, i);
	case FILLS: page->is = page->was; return page->was != MAP_HOLE;
	default: return false;
	}
}

/* It becomes single pages, for sixteen are not to be had together: now their words count. */
static int look_at_rest(struct lane *lane, struct write_txn *txn, unsigned i)
{
	txn->page[i].whole = false;
	for (unsigned k = i + 1; k < i + DAXFS_EXTENT_PAGES; k++) {
		txn->page[k].word = word_help(lane, txn->page[k].slot);
		if (link_kind(txn->page[k].word) == DAXFS_ABSENT)
			continue;
		/* Not so beside a head that names an extent before and after: garbage. */
		lane->txn.fault |= word_help(lane, txn->page[i].slot) == txn->page[i].word;
		return lane->txn.fault ? -EIO : -EAGAIN;
	}
	return 0;
}

/* Find a page for each of the txn, but for those that stay empty, or as they are. */
static int find_pages(struct lane *lane, struct write_txn *txn, struct space_batch *batch)
{
	int rc = 0;

	space_begin(batch, DAXFS_T_PAGE);
	txn->extents = txn->warm = 0;
	for (unsigned i = 0; rc == 0 && i < txn->pages; i++) {
		if (page_is_own(txn, i))
			continue;
		if (known(txn, i))
			continue;
		if (find_extent(lane, txn, i, batch)) {
			i += DAXFS_EXTENT_PAGES - 1;
			continue;
		}
		if (txn->page[i].whole)
			rc = look_at_rest(lane, txn, i);
		if (rc == 0 && !keep(lane, txn, i, batch))
			rc = space_find(lane, batch, txn->source ? DAXFS_USE_CACHED : DAXFS_USE_DATA, &txn->page[i].is);
	}
	return rc;
}

int write_txn_take(struct lane *lane, struct write_txn *txn, uint64_t offset, uint64_t len)
{
	struct space_batch batch;
	int rc;

	txn->size = txn->source = 0;
	about(txn, offset, offset + len);
	for (unsigned i = 0; i < txn->pages; i++)
		txn->page[i] = (struct write_txn_page){ .slot = NULL }; /* as if each was there */
	rc = find_pages(lane, txn, &batch);
	return rc ? rc : space_claim(lane, &batch);
}

/* -- the record -------------------------------------------------------------------- */

/* Is a word in one of the nodes that nobody but us sees yet? */
static bool is_private(const struct lane *lane, const struct write_txn *txn, const sm_u64 *word)
{
	for (unsigned i = 0; i < txn->n_nodes; i++) {
		const uint8_t *page = pool_page(lane->pool, txn->node[i].page);

		if ((const uint8_t *)word >= page && (const uint8_t *)word < page + DAXFS_PAGE_SIZE)
			return true;
	}
	return false;
}

/* Stage a link where others look, store it where only we do, until the record publishes the subtree. */
static void set_link(struct lane *lane, const struct write_txn *txn, sm_u64 *slot, uint64_t word, uint64_t payload)
{
	if (is_private(lane, txn, slot))
		sm_store_relaxed(slot, payload);
	else
		txn_word(&lane->txn, slot, DAXFS_W_LINK, word, payload);
}

static void link_nodes(struct lane *lane, const struct write_txn *txn)
{
	for (unsigned i = 0; i < txn->n_nodes; i++)
		set_link(lane, txn, txn->node[i].slot, txn->node[i].word, link_payload(DAXFS_NODE, txn->node[i].page));
	for (unsigned i = 0; i < txn->n_nodes; i++)
		sm_flush(&lane->pool->shm, pool_page(lane->pool, txn->node[i].page), DAXFS_PAGE_SIZE);
}

/* Stage what the word of page i becomes, and the end of what it named. */
static void link_page(struct lane *lane, const struct write_txn *txn, unsigned i)
{
	const struct write_txn_page *page = &txn->page[i];
	bool head = map_is_head(txn->first + i);
	uint64_t payload = link_payload(page->to_extent ? DAXFS_EXTENT : DAXFS_DATA, page->is);

	if (page->from_extent && page->to_extent && !head)
		return; /* absent, and stays so */
	if (page->is == page->was && !page->from_extent)
		return; /* a hole that stays one, or a page that is no part of this */
	if (txn->kind == FILLS && page->is == page->was)
		return;
	if (page->is == MAP_HOLE || (page->to_extent && !head))
		payload = link_payload(DAXFS_ABSENT, 0);
	set_link(lane, txn, page->slot, page->word, payload);
	if (!map_is_empty(page->word))
		record_retire(lane, DAXFS_T_PAGE, link_index(page->word));
}

/* Does what it does rely on pages, or holes, that have no word in the record? */
static bool demands_trunc(const struct write_txn *txn)
{
	return (txn->fills && !txn->longer) || txn->kind == PUNCHES || txn->kind == FILLS;
}

static void write_down(struct lane *lane, const struct write_txn *txn)
{
	txn_unstage(&lane->txn);
	for (unsigned i = 0; i < txn->pages; i++)
		link_page(lane, txn, i);
	link_nodes(lane, txn);
	if (txn->longer)
		txn_word(&lane->txn, &txn->sm->size, DAXFS_W_SIZE, txn->size, txn->end);
	if (txn->source)
		cache_stage_dirty(lane, txn);
	if (demands_trunc(txn))
		txn_word(&lane->txn, &txn->sm->trunc, DAXFS_W_TICK, txn->trunc, 0);
	if (txn->alone)
		inode_touch(lane, txn->sm, true);
	else
		change_stage(lane, txn->sm, true);
	record_write(lane);
}

bool write_txn_changes(const struct write_txn *txn)
{
	bool any = txn->longer || txn->kind == WRITES;

	for (unsigned i = 0; !any && i < txn->pages; i++)
		any = (txn->page[i].was == MAP_HOLE) == (txn->kind == FILLS);
	return any;
}

int write_txn_stage(struct lane *lane, struct write_txn *txn, const uint8_t *in)
{
	uint64_t bytes = in ? txn->end - txn->from : 0;
	struct space_batch batch;
	struct copying copying;
	int rc = find_pages(lane, txn, &batch);

	if (rc)
		return rc;
	/* Where writing back is dear, the record goes the way of the names of its pages. */
	if (lane->pool->shm.wb)
		write_down(lane, txn);
	rc = space_claim(lane, &batch);
	if (rc)
		return rc;
	copying_begin(&lane->pool->shm, &fs_slot(lane)->copy_speed, bytes, txn->extents && txn->extents == txn->warm,
		      &copying);
	txn->streams = copying.streams;
	write_pages_fill(lane, txn, in);
	if (!lane->pool->shm.wb)
		write_down(lane, txn); /* while the last streams drain */
	if (txn->streams)
		sm_stream_end();
	copying_end(&copying);
	return 0;
}

/* -- cutting ------------------------------------------------------------------------- */

/*
 * The end is within a group that is no extent: it must not become one before the record
 * commits. Pages behind the end would be in it, and be looked for in words of their own.
 */
static int demand_no_extent(struct lane *lane, const struct write_txn *txn)
{
	sm_u64 *head = txn->page[0].slot - txn->first % DAXFS_EXTENT_PAGES;
	uint64_t word;

	if (!map_has_head(txn->first))
		return 0;
	word = word_help(lane, head);
	if (link_kind(word) == DAXFS_EXTENT) {
		/* Not so beside a page that was there before and after: garbage. */
		lane->txn.fault |= link_kind(txn->page[0].word) != DAXFS_ABSENT &&
				   word_help(lane, txn->page[0].slot) == txn->page[0].word;
		return lane->txn.fault ? -EIO : -EAGAIN;
	}
	txn_word(&lane->txn, head, DAXFS_W_LINK, word, word_payload(word, DAXFS_W_LINK));
	return 0;
}

/* Give the pages that stay, of an extent, or the last one, others that end where the file does. */
static int cut_pages(struct lane *lane, struct write_txn *txn)
{
	struct space_batch batch;
	int rc = find_pages(lane, txn, &batch);

	if (rc == 0)
		rc = space_claim(lane, &batch);
	if (rc)
		return rc;
	write_pages_fill(lane, txn, NULL);
	for (unsigned i = 0; i < txn->pages; i++)
		link_page(lane, txn, i);
	return 0;
}

/* Others may break up the extent at any moment; what is staged here is not for map_collect to find again. */
int write_txn_cut(struct lane *lane, struct sm_inode *sm, uint64_t before, uint64_t size, struct write_txn *txn,
		  uint64_t *behind)
{
	bool extent;
	int rc;

	*behind = (size + DAXFS_PAGE_SIZE - 1) / DAXFS_PAGE_SIZE;
	if (size % EXTENT_BYTES == 0)
		return 0;
	txn->sm = sm;
	txn->size = before;
	about(txn, size, size + 1); /* the page that this byte is in */
	txn->end = size;
	txn->kind = CUTS;
	rc = write_txn_survey(lane, txn);
	if (rc == -ENOENT && txn->source && size % DAXFS_PAGE_SIZE && txn->first < cache_stored(txn->stored, before)) {
		txn->missing = txn->first;
		return WRITE_MISSING;
	}
	if (rc)
		return rc == -ENOENT ? 0 : rc; /* a hole */
	extent = txn->page[0].from_extent;
	if (!extent && txn->pages > 1)
		return -EAGAIN; /* broken up since it was found: it may be one again when its words are collected */
	if (!extent && !txn->source)
		rc = demand_no_extent(lane, txn);
	if (rc || (!extent && ((txn->page[0].was == MAP_HOLE && !txn->page[0].base) || size % DAXFS_PAGE_SIZE == 0)))
		return rc;
	*behind = txn->first + txn->pages;
	return cut_pages(lane, txn);
}
