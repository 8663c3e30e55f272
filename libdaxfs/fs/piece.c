/* SPDX-License-Identifier: Apache-2.0 */
/*
 * piece.c - one record's worth of a write.
 *
 * A piece (up to 256 KiB) is one record over the link words of its pages, plus the
 * size word if the file gets longer, plus the trunc word if a hole inside the file
 * is filled. Pages are never written in place: new pages are taken, filled and
 * linked, the old ones retired. Why these words suffice:
 *
 *   overwrite (page -> page)  no other word. A truncation that removes the page
 *       changes its word. One that leaves it, but has committed its new size
 *       below it, will remove the new page just the same (prune.c).
 *   fill (absent -> page)     demands an unchanged trunc word, or changes the
 *       size word: no truncation was committed since we looked, so the node is
 *       still linked and nobody is pruning it.
 *   longer                    demands the size word as read: appends of several
 *       hosts get disjoint ranges, and no PRUNE is pending.
 *
 * A group that is written whole once more becomes an extent if sixteen pages are to be
 * had together: extent -> extent is one word. What is written in part, or cut, of an
 * extent is not an extent any more: the piece grows to all of it, every page gets a word of
 * its own, and those that stay, but the first, are kept (space_keep). A file never ends
 * within an extent. If a group was found half as one and half as the other, its head has changed,
 * and is in the record.
 */
#include "fs/piece.h"

#include <errno.h>

#define STREAM_BYTES (32u << 10) /* from here on they may go around the caches */
#define CACHE_BYTES (64u << 20) /* written by a lane: what it wrote before that is in no cache */
#define AHEAD_BYTES 2048u /* of the next page of a smaller one, fetched while one is filled */

static void span_pages(struct piece *piece, uint64_t first, uint64_t last)
{
	piece->first = first;
	piece->pages = (unsigned)(last - first + 1);
}

/* It is about bytes [from, end). */
static void about(struct piece *piece, uint64_t from, uint64_t end)
{
	piece->from = from;
	piece->end = end;
	piece->longer = end > size_bytes(piece->size);
	piece->cuts = false;
	piece->own = piece->own_end = piece->n_nodes = 0;
	span_pages(piece, from / DAXFS_PAGE_SIZE, (end - 1) / DAXFS_PAGE_SIZE);
}

int piece_start(struct lane *lane, daxfs_ino ino, uint64_t offset, uint64_t len, struct piece *piece)
{
	struct inode inode;
	int rc = inode_get_file(lane, ino, &inode);
	uint64_t from;

	if (rc)
		return rc;
	piece->sm = inode.sm;
	/* trunc before life: if the inode dies later, trunc will have changed. */
	piece->size = word_settle(lane, &inode.sm->size);
	piece->trunc = word_settle(lane, &inode.sm->trunc);
	rc = inode_get(lane, ino, &inode);
	if (rc)
		return rc;
	from = offset == PIECE_APPEND ? size_bytes(piece->size) : offset;
	if (from >= DAXFS_FILE_MAX)
		return -EFBIG;
	if (len > DAXFS_FILE_MAX - from)
		len = DAXFS_FILE_MAX - from; /* short; what is left is refused */
	about(piece, from, from + (len < DAXFS_ATOMIC_WRITE_MAX ? len : DAXFS_ATOMIC_WRITE_MAX));
	return 0;
}

/* -- which words ---------------------------------------------------------------- */

/* The node that our record puts at a place where the file lacks one: 0 and its page. */
static int grow(struct lane *lane, struct piece *piece, const struct map_pos *at, uint64_t *page)
{
	unsigned i;
	int rc;

	for (i = 0; i < piece->n_nodes; i++)
		if (piece->node[i].slot == at->slot) {
			*page = piece->node[i].page;
			return 0;
		}
	if (i == NODES_MAX)
		return -EIO;
	rc = space_take(lane, DAXFS_T_PAGE, DAXFS_USE_NODE, 1, page);
	if (rc)
		return rc;
	sm_zero(pool_page(lane->pool, *page), DAXFS_PAGE_SIZE);
	piece->node[i].slot = at->slot;
	piece->node[i].word = word_settle(lane, at->slot);
	piece->node[i].page = *page;
	piece->n_nodes++;
	return link_kind(piece->node[i].word) == DAXFS_ABSENT ? 0 : -EAGAIN;
}

/* Find the word of page i of the piece; *pos: of the page before it. -ENOENT: a cut needs none. */
static int find_word(struct lane *lane, struct piece *piece, unsigned i, struct map_pos *pos)
{
	uint64_t page;
	int rc = map_next(lane, piece->sm, piece->first + i, pos);

	while (rc == -ENOENT && !piece->cuts) {
		rc = grow(lane, piece, pos, &page);
		if (rc == 0)
			rc = map_below(lane, page, pos);
	}
	return rc;
}

/* Page i was found in an extent: the piece is about all of that. True: it is, now. */
static bool widen(struct piece *piece, unsigned i)
{
	uint64_t p = piece->first + i, head = p - p % DAXFS_EXTENT_PAGES, last = piece->first + piece->pages - 1;

	if (piece->first <= head && last >= head + DAXFS_EXTENT_PAGES - 1)
		return false;
	span_pages(piece, piece->first < head ? piece->first : head,
		   last > head + DAXFS_EXTENT_PAGES - 1 ? last : head + DAXFS_EXTENT_PAGES - 1);
	return true;
}

/* What page i is now. 1: the piece has grown, look again. */
static int survey_page(struct lane *lane, struct piece *piece, unsigned i, struct map_pos *pos)
{
	struct piece_page *page = &piece->page[i];
	struct map_look look;
	int rc = find_word(lane, piece, i, pos);

	if (rc)
		return rc;
	page->slot = pos->slot;
	page->word = word_settle(lane, pos->slot);
	page->was = link_index(page->word);
	page->from_extent = page->to_extent = false;
	if (link_names(lane->pool, page->word, DAXFS_DATA)) {
		space_warm_state(lane->pool, page->was);
		return 0;
	}
	map_look(lane, pos->slot, piece->first + i, &look);
	page->word = look.own;
	page->was = look.page;
	page->from_extent = look.extent;
	piece->fills |= look.page == MAP_HOLE;
	return look.extent && widen(piece, i) ? 1 : 0;
}

int piece_survey(struct lane *lane, struct piece *piece)
{
	struct map_pos pos;
	int rc;

	do {
		rc = 0;
		pos.left = 0;
		piece->fills = false;
		for (unsigned i = 0; rc == 0 && i < piece->pages; i++)
			rc = survey_page(lane, piece, i, &pos);
	} while (rc > 0);
	if (rc)
		return rc;
	/* Words before size: if it is what it was, no truncation came between. */
	if (word_settle(lane, &piece->sm->size) != piece->size)
		return -EAGAIN;
	return lane->fault ? -EIO : 0;
}

/* -- new pages ------------------------------------------------------------------- */

static bool is_own(const struct piece *piece, unsigned i)
{
	return i >= piece->own && i < piece->own_end;
}

/*
 * Does page i begin a group that is written whole and had all of its pages? Who writes a file
 * for the first time, and in large pieces, may go on to change it in small ones, each of
 * which would break up an extent, and has gained next to nothing by it; who writes a whole
 * group once more will do so again.
 */
static bool again(const struct piece *piece, unsigned i)
{
	uint64_t p = piece->first + i;

	if (!map_is_head(p) || p * DAXFS_PAGE_SIZE < piece->from ||
	    (p + DAXFS_EXTENT_PAGES) * DAXFS_PAGE_SIZE > piece->end)
		return false;
	for (unsigned k = 0; k < DAXFS_EXTENT_PAGES; k++)
		if (piece->page[i + k].was == MAP_HOLE)
			return false;
	return true;
}

/* Find sixteen pages together for those from i on. */
static bool find_extent(struct lane *lane, struct piece *piece, unsigned i, struct space_batch *batch)
{
	uint64_t head;
	uint32_t age;

	if (!again(piece, i) || !space_find_extent(lane, batch, &head, &age))
		return false;
	piece->extents++;
	piece->warm += age < CACHE_BYTES / (piece->end - piece->from);
	for (unsigned k = 0; k < DAXFS_EXTENT_PAGES; k++) {
		piece->page[i + k].is = head + k;
		piece->page[i + k].to_extent = true;
	}
	return true;
}

/* Is page i of an extent that is broken up, and nothing of it new? Then it stays, but for
 * the head: see space/extent.c. */
static bool keep(struct lane *lane, struct piece *piece, unsigned i, struct space_batch *batch)
{
	struct piece_page *page = &piece->page[i];
	uint64_t base = (piece->first + i) * DAXFS_PAGE_SIZE;

	if (!page->from_extent || map_is_head(piece->first + i) ||
	    (base + DAXFS_PAGE_SIZE > piece->from && base < piece->end) || !space_keep(lane, batch, page->was))
		return false;
	page->is = page->was;
	return true;
}

/* Find a page for each of the piece, but for those that stay empty. */
static int find_pages(struct lane *lane, struct piece *piece, struct space_batch *batch)
{
	int rc = 0;

	space_begin(batch, DAXFS_T_PAGE);
	piece->extents = piece->warm = 0;
	for (unsigned i = 0; rc == 0 && i < piece->pages; i++) {
		if (is_own(piece, i))
			continue;
		if (piece->cuts && (piece->first + i) * DAXFS_PAGE_SIZE >= piece->end)
			piece->page[i].is = MAP_HOLE;
		else if (find_extent(lane, piece, i, batch))
			i += DAXFS_EXTENT_PAGES - 1;
		else if (!keep(lane, piece, i, batch))
			rc = space_find(lane, batch, DAXFS_USE_DATA, &piece->page[i].is);
	}
	return rc;
}

int piece_take(struct lane *lane, struct piece *piece, uint64_t offset, uint64_t len)
{
	struct space_batch batch;
	int rc;

	piece->size = 0;
	about(piece, offset, offset + len);
	for (unsigned i = 0; i < piece->pages; i++)
		piece->page[i] = (struct piece_page){ .slot = NULL }; /* as if each was there */
	rc = find_pages(lane, piece, &batch);
	return rc ? rc : space_claim(lane, &batch);
}

/*
 * Around the caches goes what must leave them at once anyway, and much at once, unless it is
 * going to be where this lane has written not long ago. Longer writes, of several pieces, come
 * from memory or far caches themselves, and would only be in each other's way.
 */
static bool streams(const struct lane *lane, const struct piece *piece)
{
	uint64_t bytes = piece->end - piece->from;
	bool warm = piece->extents && piece->extents == piece->warm && bytes < DAXFS_ATOMIC_WRITE_MAX;

	return lane->pool->shm.wb || (bytes >= STREAM_BYTES && !warm);
}

/* Bytes of a page starting at byte `base` that come before `at`. */
static uint64_t within(uint64_t base, uint64_t at)
{
	return at <= base ? 0 : at - base < DAXFS_PAGE_SIZE ? at - base : DAXFS_PAGE_SIZE;
}

static void fill_old(uint8_t *to, const uint8_t *old, size_t n)
{
	if (n && old)
		sm_write(to, old, n);
	else if (n)
		sm_zero(to, n);
}

/* Fill new page i of the piece: old bytes around the new ones. */
static void compose(struct lane *lane, const struct piece *piece, unsigned i, const uint8_t *in)
{
	const struct piece_page *page = &piece->page[i];
	uint64_t base = (piece->first + i) * DAXFS_PAGE_SIZE;
	uint64_t start = within(base, piece->from), stop = within(base, piece->end);
	uint8_t *to = pool_page(lane->pool, page->is);
	const uint8_t *old = page->was == MAP_HOLE ? NULL : pool_page(lane->pool, page->was);

	fill_old(to, old, start);
	if (start < stop && streams(lane, piece))
		sm_write_stream(to + start, in + (base + start - piece->from), stop - start);
	else if (start < stop)
		sm_write(to + start, in + (base + start - piece->from), stop - start);
	fill_old(to + stop, old && !piece->cuts ? old + stop : NULL, DAXFS_PAGE_SIZE - stop);
	if (stop - start == DAXFS_PAGE_SIZE && streams(lane, piece))
		sm_persist_stream(&lane->pool->shm, to, DAXFS_PAGE_SIZE);
	else
		sm_persist(&lane->pool->shm, to, DAXFS_PAGE_SIZE);
}

/* Has page i a new page, for us to fill? */
static bool is_new(const struct piece *piece, unsigned i)
{
	return !is_own(piece, i) && piece->page[i].is != MAP_HOLE && piece->page[i].is != piece->page[i].was;
}

static void fill(struct lane *lane, const struct piece *piece, const uint8_t *in)
{
	for (unsigned i = 0; i < piece->pages; i++) {
		if (i + 1 < piece->pages && is_new(piece, i + 1) && !streams(lane, piece))
			sm_prefetch_write(pool_page(lane->pool, piece->page[i + 1].is), AHEAD_BYTES);
		if (is_new(piece, i))
			compose(lane, piece, i, in);
	}
}

/* -- the record -------------------------------------------------------------------- */

/* Is a word in one of the nodes that nobody but us sees yet? */
static bool is_private(const struct lane *lane, const struct piece *piece, const sm_u64 *word)
{
	for (unsigned i = 0; i < piece->n_nodes; i++) {
		const uint8_t *page = pool_page(lane->pool, piece->node[i].page);

		if ((const uint8_t *)word >= page && (const uint8_t *)word < page + DAXFS_PAGE_SIZE)
			return true;
	}
	return false;
}

/* Stage a link where others look, store it where only we do, until the record publishes the subtree. */
static void set_link(struct lane *lane, const struct piece *piece, sm_u64 *slot, uint64_t word, uint64_t payload)
{
	if (is_private(lane, piece, slot))
		sm_store_relaxed(slot, payload);
	else
		record_word(lane, slot, DAXFS_W_LINK, word, payload);
}

static void link_nodes(struct lane *lane, const struct piece *piece)
{
	for (unsigned i = 0; i < piece->n_nodes; i++)
		set_link(lane, piece, piece->node[i].slot, piece->node[i].word,
			 link_payload(DAXFS_NODE, piece->node[i].page));
	for (unsigned i = 0; i < piece->n_nodes; i++)
		sm_persist(&lane->pool->shm, pool_page(lane->pool, piece->node[i].page), DAXFS_PAGE_SIZE);
}

/* Stage what the word of page i becomes, and the end of what it named. */
static void link_page(struct lane *lane, const struct piece *piece, unsigned i)
{
	const struct piece_page *page = &piece->page[i];
	bool head = map_is_head(piece->first + i);
	uint64_t payload = link_payload(page->to_extent ? DAXFS_EXTENT : DAXFS_DATA, page->is);

	if (page->from_extent && page->to_extent && !head)
		return; /* absent, and stays so */
	if (page->is == MAP_HOLE || (page->to_extent && !head))
		payload = link_payload(DAXFS_ABSENT, 0);
	set_link(lane, piece, page->slot, page->word, payload);
	if (link_kind(page->word) != DAXFS_ABSENT)
		record_retire(lane, DAXFS_T_PAGE, link_index(page->word));
}

static void write_down(struct lane *lane, const struct piece *piece)
{
	record_unstage(lane);
	for (unsigned i = 0; i < piece->pages; i++)
		link_page(lane, piece, i);
	link_nodes(lane, piece);
	if (piece->longer)
		record_word(lane, &piece->sm->size, DAXFS_W_SIZE, piece->size, piece->end);
	else if (piece->fills)
		record_word(lane, &piece->sm->trunc, DAXFS_W_TICK, piece->trunc, 0);
	record_write(lane);
}

int piece_stage(struct lane *lane, struct piece *piece, const uint8_t *in)
{
	struct space_batch batch;
	int rc = find_pages(lane, piece, &batch);

	if (rc)
		return rc;
	/* Where writing back is dear, the record goes the way of the names of its pages. */
	if (lane->pool->shm.wb)
		write_down(lane, piece);
	rc = space_claim(lane, &batch);
	if (rc)
		return rc;
	fill(lane, piece, in);
	if (!lane->pool->shm.wb)
		write_down(lane, piece); /* while the last streams drain */
	if (streams(lane, piece))
		sm_stream_end();
	return 0;
}

/* -- cutting ------------------------------------------------------------------------- */

/*
 * The end is within a group that is no extent: it must not become one before the record
 * commits. Pages behind the end would be in it, and be looked for in words of their own.
 */
static int demand_no_extent(struct lane *lane, const struct piece *piece)
{
	sm_u64 *head = piece->page[0].slot - piece->first % DAXFS_EXTENT_PAGES;
	uint64_t word;

	if (!map_has_head(piece->first))
		return 0;
	word = word_settle(lane, head);
	if (link_kind(word) == DAXFS_EXTENT) {
		/* Not so beside a page that was there before and after: garbage. */
		lane->fault |= link_kind(piece->page[0].word) != DAXFS_ABSENT &&
			       word_settle(lane, piece->page[0].slot) == piece->page[0].word;
		return lane->fault ? -EIO : -EAGAIN;
	}
	record_word(lane, head, DAXFS_W_LINK, word, word_payload(word, DAXFS_W_LINK));
	return 0;
}

/* Give the pages that stay, of an extent, or the last one, others that end where the file does. */
static int cut_pages(struct lane *lane, struct piece *piece)
{
	struct space_batch batch;
	int rc = find_pages(lane, piece, &batch);

	if (rc == 0)
		rc = space_claim(lane, &batch);
	if (rc)
		return rc;
	fill(lane, piece, NULL);
	for (unsigned i = 0; i < piece->pages; i++)
		link_page(lane, piece, i);
	return 0;
}

/* Others may break up the extent at any moment; what is staged here is not for map_collect to find again. */
int piece_cut(struct lane *lane, struct sm_inode *sm, uint64_t before, uint64_t size, uint64_t *behind)
{
	struct piece piece;
	bool extent;
	int rc;

	*behind = (size + DAXFS_PAGE_SIZE - 1) / DAXFS_PAGE_SIZE;
	if (size % EXTENT_BYTES == 0)
		return 0;
	piece.sm = sm;
	piece.size = before;
	about(&piece, size, size + 1); /* the page that this byte is in */
	piece.end = size;
	piece.cuts = true;
	rc = piece_survey(lane, &piece);
	if (rc)
		return rc == -ENOENT ? 0 : rc; /* a hole */
	extent = piece.page[0].from_extent;
	if (!extent && piece.pages > 1)
		return -EAGAIN; /* broken up since it was found: it may be one again when its words are collected */
	if (!extent)
		rc = demand_no_extent(lane, &piece);
	if (rc || (!extent && (piece.page[0].was == MAP_HOLE || size % DAXFS_PAGE_SIZE == 0)))
		return rc;
	*behind = piece.first + piece.pages;
	return cut_pages(lane, &piece);
}
