/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_file.c - pages of a file: see index/map.h for the shape.
 *
 * Rules: 1 every word names what its height calls for, or nothing; 2 no page, of
 * data or of the index, at or past the end, unless the size says that pruning is
 * pending (before the end an index node may be empty: all it had was past it);
 * 3 bytes of the last page past the end are zero, or a longer file
 * would show them; 4 a symbolic link has its target, all of it, in page 0.
 */
#include <inttypes.h>
#include <sys/stat.h>

#include "index/map.h"
#include "recover/check_walk.h"

struct walk { /* of one file */
	struct check *c;
	uint64_t inode, size;
	uint64_t pages; /* up to the end */
	bool prune, symlink;
};

static uint64_t span(unsigned height)
{
	return 1ull << (9 * height);
}

/* The last page, if the file ends within it. */
static void check_tail(struct walk *f, uint64_t page)
{
	uint8_t bytes[DAXFS_PAGE_SIZE];
	uint64_t end = f->size % DAXFS_PAGE_SIZE;

	sm_read(bytes, pool_page(f->c->pool, page), sizeof(bytes));
	if (f->symlink && memchr(bytes, '\0', end))
		check_problem(f->c, "bad-symlink", PLACE("inode", f->inode), "its target is shorter than its size of %"
			      PRIu64, f->size);
	for (uint64_t i = end; i < DAXFS_PAGE_SIZE; i++)
		if (bytes[i]) {
			check_problem(f->c, "dirty-tail", PLACE("page", page),
				      "byte %" PRIu64 ", past the end of inode %" PRIu64 ", is not zero", i, f->inode);
			return;
		}
}

static void walk_data(struct walk *f, uint64_t page, uint64_t p, const struct place *at)
{
	if (check_reach(f->c, DAXFS_T_PAGE, page, DAXFS_USE_DATA, at) &&
	    p == f->size / DAXFS_PAGE_SIZE && f->size % DAXFS_PAGE_SIZE)
		check_tail(f, page);
}

/* Below one word, whose target covers pages from base; at most four levels deep. */
static void walk_word(struct walk *f, const sm_u64 *word, unsigned height, uint64_t base, const struct place *at)
{
	struct check *c = f->c;
	uint64_t w = check_value(c, word, DAXFS_S_LINK);

	if (link_kind(w) == DAXFS_ABSENT)
		return;
	if (link_kind(w) != (height ? DAXFS_NODE : DAXFS_DATA)) {
		check_problem(c, "bad-kind", at, "a link of kind %u in the index of inode %" PRIu64, link_kind(w),
			      f->inode);
		return;
	}
	if (base >= f->pages && !f->prune)
		check_problem(c, "past-end", at,
			      "page %" PRIu64 " of inode %" PRIu64 ", which ends at byte %" PRIu64, base, f->inode,
			      f->size);
	if (!height) {
		walk_data(f, link_index(w), base, at);
		return;
	}
	if (!check_reach(c, DAXFS_T_PAGE, link_index(w), DAXFS_USE_NODE, at))
		return;
	for (unsigned i = 0; i < DAXFS_NODE_SLOTS; i++) {
		const sm_u64 *below = &map_node(c->pool, link_index(w))->slot[i];
		struct place slot = { "page", link_index(w), "slot", (int)i };

		check_mark(c, below, DAXFS_S_LINK, &slot);
		walk_word(f, below, height - 1, base + i * span(height - 1), &slot);
	}
}

static void check_symlink(const struct walk *f)
{
	uint64_t w = check_value(f->c, &f->c->pool->inodes[f->inode].direct[0], DAXFS_S_LINK);

	if (f->size == 0 || f->size > DAXFS_SYMLINK_MAX || link_kind(w) != DAXFS_DATA)
		check_problem(f->c, "bad-symlink", PLACE("inode", f->inode), "no target of %" PRIu64 " bytes", f->size);
}

void check_file(struct check *c, uint64_t inode)
{
	const struct sm_inode *sm = &c->pool->inodes[inode];
	uint64_t size = check_value(c, &sm->size, DAXFS_S_SIZE);
	uint64_t base = DAXFS_DIRECT;
	uint32_t mode = (uint32_t)check_value(c, &sm->mode, DAXFS_S_ATTR);
	struct walk f = { .c = c, .inode = inode, .size = size_bytes(size), .prune = size_prune(size) };

	f.pages = (f.size + DAXFS_PAGE_SIZE - 1) / DAXFS_PAGE_SIZE;
	f.symlink = S_ISLNK(mode) && !f.prune;
	if (f.symlink)
		check_symlink(&f);
	for (unsigned i = 0; i < DAXFS_DIRECT; i++)
		walk_word(&f, &sm->direct[i], 0, i, PLACE_FIELD("inode", inode, "direct", (int)i));
	for (unsigned h = 1; h <= DAXFS_INDIRECT; h++) {
		walk_word(&f, &sm->indirect[h - 1], h, base, PLACE_FIELD("inode", inode, "indirect", (int)h - 1));
		base += span(h);
	}
}
