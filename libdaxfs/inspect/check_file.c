/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_file.c - pages of a file: see index/filemap.h for the shape.
 *
 * Rules: 1 every word names what its height calls for, or nothing; 2 no page, of
 * data or of the index, at or past the end, unless the size says that pruning is
 * pending (before the end an index node may be empty: all it had was past it);
 * 3 bytes of the last page past the end are zero, or a longer file
 * would show them; 4 a symbolic link has its target, all of it, in page 0; 5 an
 * extent lies at the head of a group, all of it before the end, and the other words of
 * the group name nothing; 6 a file of backing storage has pages that are CLEAN, or claimed
 * by a host that there may be, or VOID, and no other file has; 7 those it was written have the use of cached pages, and
 * it says that storage has not all of them.
 */
#include <inttypes.h>
#include <sys/stat.h>

#include "index/filemap.h"
#include "inspect/repair.h"

/* of one file */
struct walk {
	struct check *c;
	uint64_t inode, size;
	uint64_t pages; /* up to the end */
	bool prune, symlink, backed;
	bool dirty;         /* storage has not got all pages */
	uint64_t clean_end; /* behind the last page before the end that is as storage has it */
	bool ends;          /* the pruning, in a repair: no lane will */
	uint64_t top;       /* in a repair: behind the last page that is past the end */
};

/*
 * Repairs. A word that leads nowhere names nothing: there the file reads as zeros,
 * which is said to be lost; not so if storage has it. Pages past the end: the size is taken to be wrong, not
 * they, for that loses nothing; while it is pruned they go. Of an index past the end
 * without a page below only the word goes.
 */
static void cut(struct walk *f, const sm_u64 *word, unsigned height, uint64_t base, const struct place *at)
{
	uint64_t pages = link_kind(check_value(f->c, word, DAXFS_W_LINK)) == DAXFS_EXTENT ? DAXFS_EXTENT_PAGES
											  : 1ull << (9 * height);

	if (base < f->pages && (!f->backed || link_kind(check_value(f->c, word, DAXFS_W_LINK)) == DAXFS_DATA))
		repair_lost(f->c, "inode %" PRIu64 ": up to %" PRIu64 " bytes from byte %" PRIu64 " on are zeros",
			    f->inode, pages * DAXFS_PAGE_SIZE, base * DAXFS_PAGE_SIZE);
	repair_cut(f->c, word, at);
}

/* A page, or pages, past the end of a file that is not being pruned. False: they cannot be its. */
static bool claim(struct walk *f, uint64_t end)
{
	if (f->symlink || end * DAXFS_PAGE_SIZE > DAXFS_FILE_MAX)
		return false;
	f->top = end > f->top ? end : f->top;
	return true;
}

static uint64_t span(unsigned height)
{
	return 1ull << (9 * height);
}

/* As long as its target; without one it is an empty file. */
static void repair_symlink(struct walk *f, uint64_t len)
{
	const struct sm_inode *sm = &f->c->pool->inodes[f->inode];
	uint64_t mode = check_value(f->c, &sm->mode, DAXFS_W_ATTR);

	repair_lost(f->c, "inode %" PRIu64 ": the target of a symbolic link", f->inode);
	if (len) {
		if (repair_do(f->c, PLACE("inode", f->inode), "a symbolic link of %" PRIu64 " bytes", len))
			repair_word(f->c, &sm->size, DAXFS_W_SIZE, len);
	} else if (repair_do(f->c, PLACE("inode", f->inode), "an empty file")) {
		repair_word(f->c, &sm->direct[0], DAXFS_W_LINK, 0);
		repair_word(f->c, &sm->size, DAXFS_W_SIZE, 0);
		repair_word(f->c, &sm->mode, DAXFS_W_ATTR, (mode & 0777) | S_IFREG);
	}
}

/* The last page, if the file ends within it. */
static void check_tail(struct walk *f, uint64_t page)
{
	uint8_t bytes[DAXFS_PAGE_SIZE];
	uint64_t end = f->size % DAXFS_PAGE_SIZE;

	if (pool_lost_page(f->c->pool, page))
		return;
	sm_read(bytes, pool_page(f->c->pool, page), sizeof(bytes));
	if (f->symlink && memchr(bytes, '\0', end)) {
		check_problem(f->c, "bad-symlink", PLACE("inode", f->inode),
			      "its target is shorter than its size of %" PRIu64, f->size);
		repair_symlink(f, strlen((const char *)bytes));
	}
	for (uint64_t i = end; i < DAXFS_PAGE_SIZE; i++)
		if (bytes[i]) {
			check_problem(f->c, "dirty-tail", PLACE("page", page),
				      "byte %" PRIu64 ", past the end of inode %" PRIu64 ", is not zero", i, f->inode);
			if (repair_do(f->c, PLACE("page", page), "zeros past the end"))
				repair_zero(f->c, pool_page(f->c->pool, page) + end, DAXFS_PAGE_SIZE - end);
			return;
		}
}

/*
 * Its memory failed. In a repair the file is cut there, for it would read as whatever lies there now. Not so
 * an extent, whose other pages can be read: it stays on the list until the file is removed.
 */
static bool lost(struct walk *f, const sm_u64 *word, uint64_t page, unsigned height, uint64_t base,
		 const struct place *at)
{
	if (!pool_lost_page(f->c->pool, page))
		return false;
	check_problem(f->c, "lost-bytes", at, "page %" PRIu64 " of inode %" PRIu64 ": its memory failed", base,
		      f->inode);
	if (link_kind(check_value(f->c, word, DAXFS_W_LINK)) != DAXFS_EXTENT)
		cut(f, word, height, base, at);
	return true;
}

static void walk_data(struct walk *f, const sm_u64 *word, uint64_t page, uint64_t p, const struct place *at)
{
	enum daxfs_use use = f->backed ? DAXFS_USE_CACHED : DAXFS_USE_DATA;
	bool dirty = link_kind(check_value(f->c, word, DAXFS_W_LINK)) == DAXFS_DATA;

	f->dirty |= dirty;
	if (!dirty && p < f->pages)
		f->clean_end = p + 1;

	if (!check_reach(f->c, DAXFS_T_PAGE, page, use, at) || (p >= f->pages && !f->prune && !claim(f, p + 1)))
		cut(f, word, 0, p, at);
	else if (!lost(f, word, page, 0, p, at) && p == f->size / DAXFS_PAGE_SIZE && f->size % DAXFS_PAGE_SIZE)
		check_tail(f, page);
}

/* Does a link of this file say of one page what it may? */
static bool kind_fits(const struct walk *f, uint64_t w)
{
	switch (link_kind(w)) {
	case DAXFS_DATA: return true;
	case DAXFS_EXTENT: return !f->backed;
	case DAXFS_CLEAN: return f->backed;
	case DAXFS_VOID: return f->backed && !link_index(w);
	case DAXFS_FILLING: return f->backed && filling_host(w) < f->c->pool->super.hosts;
	default: return false;
	}
}

/* No page is there, which a file that ends before it may not say, either. */
static void walk_empty(struct walk *f, const sm_u64 *word, uint64_t p, const struct place *at)
{
	if (p >= f->pages && !f->prune)
		repair_cut(f->c, word, at);
}

/* All pages of an extent belong to it, and its group to them. */
static void walk_extent(struct walk *f, const sm_u64 *word, uint64_t w, uint64_t p, const struct place *at)
{
	uint64_t head = link_index(w);
	bool whole = true;

	if (!map_is_head(p) || !link_names_extent(f->c->pool, w)) {
		check_problem(f->c, "bad-extent", at,
			      "page %" PRIu64 " and on as an extent at page %" PRIu64 ": neither may be one", head, p);
		cut(f, word, 0, p, at);
		return;
	}
	if (p + DAXFS_EXTENT_PAGES > f->pages && p < f->pages)
		check_problem(f->c, "past-end", at, "inode %" PRIu64 " ends within an extent", f->inode);
	if (p + DAXFS_EXTENT_PAGES > f->pages && !claim(f, p + DAXFS_EXTENT_PAGES))
		whole = false;
	for (unsigned i = 0; i < DAXFS_EXTENT_PAGES; i++) {
		whole &= check_reach(f->c, DAXFS_T_PAGE, head + i, i ? DAXFS_USE_TAIL : DAXFS_USE_EXTENT, at);
		lost(f, word, head + i, 0, p + i, at);
		if (!i || !check_value(f->c, word + i, DAXFS_W_LINK))
			continue;
		check_problem(f->c, "double-use", at,
			      "page %" PRIu64 " of inode %" PRIu64 " is in an extent and beside it", p + i, f->inode);
		repair_cut(f->c, word + i, at); /* the extent is what is read */
	}
	if (!whole)
		cut(f, word, 0, p, at);
}

static void walk_word(struct walk *f, const sm_u64 *word, unsigned height, uint64_t base, const struct place *at);

/* The words of a node over pages from `base` on; those before are not used. */
static void walk_node(struct walk *f, uint64_t node, unsigned height, uint64_t base)
{
	uint64_t start = base & ~(span(height) - 1);

	for (unsigned i = 0; i < DAXFS_NODE_SLOTS; i++) {
		const sm_u64 *below = &map_node(f->c->pool, node)->slot[i];
		const struct place *slot = PLACE_SLOT(node, i, f->inode);

		check_mark(f->c, below, DAXFS_W_LINK, slot);
		if (start + (i + 1) * span(height - 1) > base)
			walk_word(f, below, height - 1, start + i * span(height - 1), slot);
		else if (check_value(f->c, below, DAXFS_W_LINK)) {
			check_problem(f->c, "out-of-place", slot, "a page of inode %" PRIu64 " that no way leads to",
				      f->inode);
			repair_cut(f->c, below, slot);
		}
	}
}

/* Below one word, whose target covers pages from base; at most four levels deep. */
static void walk_word(struct walk *f, const sm_u64 *word, unsigned height, uint64_t base, const struct place *at)
{
	struct check *c = f->c;
	uint64_t w = check_value(c, word, DAXFS_W_LINK);
	bool extent = height == 0 && link_kind(w) == DAXFS_EXTENT;
	uint64_t top = f->top;

	if (link_kind(w) == DAXFS_ABSENT)
		return;
	if (height ? link_kind(w) != DAXFS_NODE : !kind_fits(f, w)) {
		check_problem(c, "bad-kind", at, "a link of kind %u in the index of inode %" PRIu64, link_kind(w),
			      f->inode);
		cut(f, word, height, base, at);
		return;
	}
	if (base >= f->pages && f->prune && f->ends && repair_cut(c, word, at))
		return;
	if (base >= f->pages && !f->prune)
		check_problem(c, "past-end", at, "page %" PRIu64 " of inode %" PRIu64 ", which ends at byte %" PRIu64,
			      base, f->inode, f->size);
	if (extent)
		walk_extent(f, word, w, base, at);
	else if (!height && map_is_empty(w))
		walk_empty(f, word, base, at);
	else if (!height)
		walk_data(f, word, link_index(w), base, at);
	else if (!check_reach(c, DAXFS_T_PAGE, link_index(w), DAXFS_USE_NODE, at))
		cut(f, word, height, base, at);
	else if (!lost(f, word, link_index(w), height, base, at))
		walk_node(f, link_index(w), height, base);
	else
		check_blind(c, pool_page(c->pool, link_index(w)), DAXFS_PAGE_SIZE);
	if (height && base >= f->pages && !f->prune && f->top == top)
		cut(f, word, height, base, at); /* no page below */
}

/* The first word of a file that names a page by itself, below one; 0: none. At most four levels deep. */
static uint64_t first_link(const struct check *c, const sm_u64 *word, unsigned height)
{
	uint64_t w = check_value(c, word, DAXFS_W_LINK), found = 0;

	if (!height)
		return w;
	if (!link_names(c->pool, w, DAXFS_NODE) || pool_lost_page(c->pool, link_index(w)))
		return 0;
	for (unsigned i = 0; !found && i < DAXFS_NODE_SLOTS; i++)
		found = first_link(c, &map_node(c->pool, link_index(w))->slot[i], height - 1);
	return found;
}

/* Was a page taken for a file of storage? */
static bool is_cached(const struct check *c, uint64_t page)
{
	const sm_u64 *state = &c->pool->state[DAXFS_T_PAGE][page];

	return page < c->pool->objects[DAXFS_T_PAGE] && !pool_lost(c->pool, state, sizeof(*state)) &&
	       use_of(sm_load(state)) == DAXFS_USE_CACHED;
}

/* A file with pages of its own is none of storage, whatever rdev says: that is what is wrong, not they. */
static void check_source(struct walk *f)
{
	const struct sm_inode *sm = &f->c->pool->inodes[f->inode];
	uint64_t found = 0;

	for (unsigned i = 0; !found && i < DAXFS_DIRECT; i++)
		found = first_link(f->c, &sm->direct[i], 0);
	for (unsigned h = 1; !found && h <= DAXFS_INDIRECT; h++)
		found = first_link(f->c, &sm->indirect[h - 1], h);
	if (link_kind(found) != DAXFS_EXTENT && (link_kind(found) != DAXFS_DATA || is_cached(f->c, link_index(found))))
		return;
	check_problem(f->c, "bad-source", PLACE("inode", f->inode), "in storage, but it has pages of its own");
	f->backed = false;
	if (repair_do(f->c, PLACE("inode", f->inode), "a file of the pool"))
		repair_plain(f->c, &sm->rdev, 0);
}

/* Does it say how much of it storage has? What is not known to be there is to be written. */
static void check_stored(struct walk *f)
{
	const sm_u64 *word = &f->c->pool->inodes[f->inode].dir_root;
	uint64_t w = check_value(f->c, word, DAXFS_W_LINK), pages = w ? stored_pages(w) : f->pages;
	const struct place *at = PLACE_FIELD("inode", f->inode, "dir_root", -1);

	if (check_unknown(f->c, word) || (w && link_kind(w) != DAXFS_STORED))
		return;
	if (pages <= f->pages && f->clean_end <= pages && !(f->dirty && (!w || stored_state(w) == DAXFS_STORED_SAME)))
		return;
	check_problem(f->c, "bad-stored", at, "storage has not the %" PRIu64 " pages of inode %" PRIu64, pages,
		      f->inode);
	if (pages > f->pages)
		pages = f->pages;
	if (f->clean_end > pages)
		pages = f->clean_end;
	w = stored_payload(DAXFS_STORED_CUT, pages);
	if (repair_do(f->c, at, "%#" PRIx64, w))
		repair_word(f->c, word, DAXFS_W_LINK, w);
}

static void check_symlink(struct walk *f)
{
	uint64_t w = check_value(f->c, &f->c->pool->inodes[f->inode].direct[0], DAXFS_W_LINK);
	char target[DAXFS_SYMLINK_MAX + 1] = "";

	if (f->size == 0 || f->size > DAXFS_SYMLINK_MAX || link_kind(w) != DAXFS_DATA) {
		check_problem(f->c, "bad-symlink", PLACE("inode", f->inode), "no target of %" PRIu64 " bytes", f->size);
		if (link_kind(w) == DAXFS_DATA && link_index(w) < f->c->pool->objects[DAXFS_T_PAGE])
			sm_read(target, pool_page(f->c->pool, link_index(w)), DAXFS_SYMLINK_MAX);
		repair_symlink(f, strlen(target));
	}
}

void check_file(struct check *c, uint64_t inode)
{
	const struct sm_inode *sm = &c->pool->inodes[inode];
	uint64_t size = check_value(c, &sm->size, DAXFS_W_SIZE);
	uint32_t mode = (uint32_t)check_value(c, &sm->mode, DAXFS_W_ATTR);
	struct walk f = { .c = c, .inode = inode, .size = size_bytes(size) };

	f.prune = size_prune(size) || check_unknown(c, &sm->size);
	f.pages = (f.size + DAXFS_PAGE_SIZE - 1) / DAXFS_PAGE_SIZE;
	f.ends = !(c->notes[DAXFS_T_INODE][inode] & (CHECK_TODO | CHECK_ORPHAN));
	f.symlink = S_ISLNK(mode) && !f.prune;
	f.backed = S_ISREG(mode) && inode_backed(sm);
	if (f.backed)
		check_source(&f);
	if (f.symlink)
		check_symlink(&f);
	for (unsigned i = 0; i < DAXFS_DIRECT; i++)
		walk_word(&f, &sm->direct[i], 0, i, PLACE_FIELD("inode", inode, "direct", (int)i));
	for (unsigned h = 1; h <= DAXFS_INDIRECT; h++)
		walk_word(&f, &sm->indirect[h - 1], h, map_first(h),
			  PLACE_FIELD("inode", inode, "indirect", (int)h - 1));
	if (f.backed)
		check_stored(&f);
	if (f.top > f.pages &&
	    repair_do(c, PLACE("inode", inode), "%" PRIu64 " bytes, as far as it has pages", f.top * DAXFS_PAGE_SIZE))
		repair_word(c, &sm->size, DAXFS_W_SIZE, f.top * DAXFS_PAGE_SIZE | (f.prune ? DAXFS_SIZE_PRUNE : 0));
}
