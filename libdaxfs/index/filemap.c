/* SPDX-License-Identifier: Apache-2.0 */
/* filemap.c - file index: see filemap.h for the shape. */
#include "index/filemap.h"

#include <errno.h>

#define BITS 9u

static uint64_t span(unsigned height) /* pages under a word whose target has this height */
{
	return 1ull << (BITS * height);
}

/* The root word over page p, and its height. */
static sm_u64 *root_of(struct sm_inode *inode, uint64_t p, unsigned *height)
{
	*height = 0;
	if (p < DAXFS_DIRECT)
		return &inode->direct[p];
	*height = 1;
	while (*height < DAXFS_INDIRECT && p >= span(*height))
		++*height;
	return &inode->indirect[*height - 1];
}

uint64_t map_first(unsigned height)
{
	return height == 0 ? 0 : height == 1 ? DAXFS_DIRECT : span(height - 1);
}

/* The word in the node `page` that leads on to pos->p. */
static void enter(const struct pool *pool, uint64_t page, struct map_pos *pos)
{
	uint64_t i;

	pos->height--;
	i = pos->p >> (BITS * pos->height);
	pos->slot = &map_node(pool, page)->slot[i];
	pos->p &= span(pos->height) - 1;
	pos->left = pos->height ? 0 : (unsigned)(DAXFS_NODE_SLOTS - 1 - i);
}

/* Follow the words from pos->slot, which should name a node of pos->height. */
static int descend(struct lane *lane, struct map_pos *pos)
{
	while (pos->height) {
		pos->word = word_load(lane, pos->slot);
		if (link_kind(pos->word) == DAXFS_ABSENT)
			return lane->txn.fault ? -EIO : -ENOENT;
		if (!link_names(lane->pool, pos->word, DAXFS_NODE) || pool_lost_page(lane->pool, link_index(pos->word)))
			return txn_broken(&lane->txn);
		enter(lane->pool, link_index(pos->word), pos);
	}
	return 0;
}

int map_find(struct lane *lane, struct sm_inode *inode, uint64_t p, struct map_pos *pos)
{
	pos->p = p;
	pos->left = 0;
	pos->slot = root_of(inode, p, &pos->height);
	return descend(lane, pos);
}

int map_next(struct lane *lane, struct sm_inode *inode, uint64_t p, struct map_pos *pos)
{
	if (!pos->left)
		return map_find(lane, inode, p, pos);
	pos->slot++;
	pos->left--;
	return 0;
}

int map_below(struct lane *lane, uint64_t page, struct map_pos *pos)
{
	enter(lane->pool, page, pos);
	return descend(lane, pos);
}

bool map_guess(const struct pool *pool, uint64_t inode, uint64_t p, sm_u64 **slot, uint64_t *page)
{
	struct map_pos pos = { .p = p };
	uint64_t w;

	if (inode >= pool->objects[DAXFS_T_INODE] || pool_troubled(pool))
		return false;
	pos.slot = root_of(&pool->inodes[inode], p, &pos.height);
	while (w = sm_peek(pos.slot), pos.height) {
		if (!link_names(pool, w, DAXFS_NODE))
			return false;
		enter(pool, link_index(w), &pos);
	}
	if (link_kind(w) == DAXFS_ABSENT && map_has_head(p)) {
		pos.slot -= p % DAXFS_EXTENT_PAGES;
		w = sm_peek(pos.slot);
	}
	*slot = pos.slot;
	*page = link_index(w) + (link_kind(w) == DAXFS_EXTENT ? p % DAXFS_EXTENT_PAGES : 0);
	return map_names_page(pool, w) || link_names_extent(pool, w);
}

/* -- what holds a page -------------------------------------------------------- */

static void found(struct map_look *out, sm_u64 *slot, uint64_t word, unsigned nth)
{
	out->slot = slot;
	out->word = word;
	out->page = link_index(word) + nth;
	out->extent = link_kind(word) == DAXFS_EXTENT;
	out->behind = out->extent ? DAXFS_EXTENT_PAGES - 1 - nth : 0;
}

/* The word of page p is absent: is it part of an extent? */
static bool look_head(struct lane *lane, sm_u64 *slot, uint64_t p, struct map_look *out)
{
	unsigned nth = p % DAXFS_EXTENT_PAGES;
	uint64_t head = word_load(lane, slot - nth); /* ORD head: after its own word */

	if (!link_names_extent(lane->pool, head)) {
		lane->txn.fault |= link_kind(head) == DAXFS_EXTENT;
		return false;
	}
	found(out, slot - nth, head, nth);
	return true;
}

void map_look(struct lane *lane, sm_u64 *slot, uint64_t p, struct map_look *out)
{
	do {
		uint64_t w = word_load(lane, slot);

		*out = (struct map_look){ .slot = slot, .word = w, .own = w, .page = MAP_HOLE };
		if (map_names_page(lane->pool, w) || (map_is_head(p) && link_names_extent(lane->pool, w))) {
			found(out, slot, w, 0);
			return;
		}
		lane->txn.fault |= !map_is_empty(w);
		if (lane->txn.fault || link_kind(w) != DAXFS_ABSENT || !map_has_head(p) ||
		    look_head(lane, slot, p, out))
			return;
	} while (word_load(lane, slot) != out->own); /* a hole, unless an extent came and went */
}

/* -- walking ---------------------------------------------------------------- */

static bool add(struct map_batch *batch, sm_u64 *slot, uint64_t word)
{
	if (batch->n == MAP_BATCH)
		return false;
	batch->item[batch->n++] = (struct map_item){ slot, word };
	return true;
}

/* Is a word, over pages from base on, of a kind that its place calls for? */
static bool in_place(const struct pool *pool, uint64_t w, unsigned height, uint64_t base)
{
	if (height)
		return link_names(pool, w, DAXFS_NODE);
	return map_is_empty(w) || map_names_page(pool, w) || (map_is_head(base) && link_names_extent(pool, w));
}

/* Collect below one word, whose target has pages from base on, of a span that begins there or,
 * at the top, before. True: after this batch the word is absent. At most four levels deep. */
static bool collect(struct lane *lane, struct map_batch *batch, sm_u64 *slot, unsigned height, uint64_t base,
		    uint64_t first)
{
	uint64_t w = word_help(lane, slot);
	uint64_t child = height ? span(height - 1) : 0, start = base & ~(span(height) - 1);
	bool empty = true;

	if (link_kind(w) == DAXFS_ABSENT)
		return true;
	if (!in_place(lane->pool, w, height, base) || (height && pool_lost_page(lane->pool, link_index(w)))) {
		lane->txn.fault = true;
		return false;
	}
	for (unsigned i = 0; height && i < DAXFS_NODE_SLOTS && batch->n < MAP_BATCH && !lane->txn.fault; i++) {
		sm_u64 *below = &map_node(lane->pool, link_index(w))->slot[i];

		if (start + (i + 1) * child <= first)
			empty &= base >= first || link_kind(word_load(lane, below)) == DAXFS_ABSENT;
		else
			empty &= collect(lane, batch, below, height - 1, start + i * child, first);
	}
	return empty && base >= first && batch->n < MAP_BATCH && add(batch, slot, w);
}

void map_collect(struct lane *lane, struct sm_inode *inode, uint64_t first, struct map_batch *batch)
{
	batch->n = 0;
	for (uint64_t p = first; p < DAXFS_DIRECT; p++)
		collect(lane, batch, &inode->direct[p], 0, p, first);
	for (unsigned height = 1; height <= DAXFS_INDIRECT && batch->n < MAP_BATCH; height++)
		if (span(height) > first)
			collect(lane, batch, &inode->indirect[height - 1], height, map_first(height), first);
}

static void count(struct lane *lane, const sm_u64 *slot, unsigned height, uint64_t *pages, uint64_t *left)
{
	uint64_t w;

	if (!*left)
		return;
	--*left;
	w = word_load_known(lane, slot); /* of an inode, or of a node that was asked about below */
	if (height == 0 && link_names_extent(lane->pool, w))
		*pages += DAXFS_EXTENT_PAGES;
	if ((height ? !link_names(lane->pool, w, DAXFS_NODE) : !map_names_page(lane->pool, w)) ||
	    (height && pool_lost_page(lane->pool, link_index(w))))
		return;
	++*pages;
	for (unsigned i = 0; height && i < DAXFS_NODE_SLOTS; i++)
		count(lane, &map_node(lane->pool, link_index(w))->slot[i], height - 1, pages, left);
}

bool map_pages(struct lane *lane, struct sm_inode *inode, uint64_t limit, uint64_t *pages)
{
	*pages = 0;
	for (unsigned i = 0; i < DAXFS_DIRECT; i++)
		count(lane, &inode->direct[i], 0, pages, &limit);
	for (unsigned height = 1; height <= DAXFS_INDIRECT; height++)
		count(lane, &inode->indirect[height - 1], height, pages, &limit);
	return limit;
}

/* Of a page that is not there: has storage bytes of it, for all that is known? */
static bool stored(const struct sm_inode *inode, uint64_t own)
{
	return link_kind(own) != DAXFS_VOID && inode_backed(inode);
}

int map_run(struct lane *lane, struct sm_inode *inode, uint64_t p, struct map_pos *pos, struct map_run *out)
{
	struct map_look look;
	bool node = !pos->left && p >= DAXFS_DIRECT;
	int rc = map_next(lane, inode, p, pos);

	*out = (struct map_run){ .data = false };
	if (rc == -ENOENT) {
		pos->left = 0;
		out->pages = span(pos->height) - pos->p;
		out->data = stored(inode, 0);
		return 0;
	}
	if (rc)
		return rc;
	map_look(lane, pos->slot, p, &look);
	out->data = look.page != MAP_HOLE || stored(inode, look.own);
	out->node = node;
	out->pages = look.behind + 1;
	map_skip(pos, look.behind);
	return lane->txn.fault ? -EIO : 0;
}
