/* SPDX-License-Identifier: Apache-2.0 */
/* file.c - writing, piece by piece (txn.c), and reading. */
#include <errno.h>
#include <stdlib.h>

#include "fs/cache.h"
#include "fs/heat.h"
#include "fs/local.h"
#include "fs/write_txn.h"

#define READ_RETRIES 8
#define READ_WAITS 8u    /* for storage, in one look's room */
#define WARM_BYTES 2048u /* of the first page of a read, fetched while a lane is taken */
#define NEXT_BYTES 512u  /* of the next page, fetched while one is copied; the processor goes on by itself */
#define SSIZE_MAX_WRITE ((size_t)1 << 30) /* bytes a call */

struct file_op {
	daxfs_ino ino;
	uint8_t *out;      /* read */
	const uint8_t *in; /* write */
	uint64_t offset;
	size_t len, done;
	bool append;
	bool here; /* what is in the pool alone */
	uint64_t hits, ahead, local;
	struct cache_aside *aside, *aside_end; /* the second of a write, which is about parts of two pages at most */
	uint64_t missing;                      /* the page that is to be read from storage first */
	bool parts;                            /* a read ends where a page is missing */
	size_t waited_at;                      /* `done` when pages were read from storage, */
	unsigned waits;                        /* ... and how often since */
	int failed;                            /* what storage said of a page behind the first one */
};

/* -- write -------------------------------------------------------------------- */

static int write_piece(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct file_op *op = arg;
	struct write_txn txn;
	int rc;

	if (op->len - op->done <= DAXFS_PAGE_SIZE)
		space_warm_on(lane);
	rc = write_txn_start(lane, op->ino, op->append ? PIECE_APPEND : op->offset + op->done, op->len - op->done,
			     &txn);
	if (rc == 0 && txn.source && !cache_writes(fs, txn.source))
		rc = -EROFS;
	if (rc)
		return rc;
	if (write_txn_must_prune(&txn)) {
		rc = prune(lane, txn.sm);
		return rc ? rc : -EAGAIN;
	}
	txn.aside[0] = op->aside;
	txn.aside[1] = op->aside_end;
	record_begin(lane, OP_WRITE);
	rc = write_txn_survey(lane, &txn);
	op->missing = txn.missing;
	if (rc == 0)
		rc = write_txn_stage(lane, &txn, op->in + op->done);
	lane->txn.piece = txn.end - txn.from;
	rc = rc ? record_abort(lane, rc) : record_commit(lane);
	if (rc)
		return rc;
	op->done += txn.end - txn.from;
	inode_changed(lane, txn.sm);
	if (txn.source)
		cache_overwritten(fs, &txn);
	if (txn.pages == 1)
		alloc_prefetch(lane);
	return 0;
}

/* Is it the first page of the write that is missing? Of an append, any that is. */
static bool is_first(const struct file_op *op)
{
	return op->append || op->missing == (op->offset + op->done) / DAXFS_PAGE_SIZE;
}

/* As in read_ahead, the words that an overwrite changes. */
static void write_ahead(struct daxfs *fs, const void *arg)
{
	const struct file_op *op = arg;
	uint64_t page;
	sm_u64 *slot;

	if (op->append || op->done)
		return;
	if (map_guess(&fs->pool, handle_index(op->ino), op->offset / DAXFS_PAGE_SIZE, &slot, &page)) {
		sm_prefetch_write(slot, sizeof(*slot));
		space_warm_state(&fs->pool, page);
	}
}

ssize_t daxfs_write(struct daxfs *fs, daxfs_ino ino, const void *buf, size_t len, uint64_t offset, unsigned flags)
{
	struct file_op op = {
		.ino = ino,
		.in = buf,
		.offset = offset,
		.len = len,
		.append = flags & DAXFS_APPEND,
	};
	unsigned tries[2] = { 0 };
	int rc = fs_ready(fs);

	if (len > SSIZE_MAX_WRITE)
		op.len = SSIZE_MAX_WRITE;
	if (!op.append && offset > DAXFS_FILE_MAX)
		return -EFBIG;
	while (rc == 0 && op.done < op.len) {
		unsigned known = fs_trouble(fs);

		rc = fs_run_ahead(fs, write_ahead, write_piece, &op);
		if (rc == -EIO && fs_trouble(fs) != known)
			rc = 0;
		if (rc == WRITE_MISSING && is_first(&op))
			rc = cache_bring_for_write(fs, ino, op.missing, &op.aside, op.aside_end, &tries[0]);
		else if (rc == WRITE_MISSING)
			rc = cache_bring_for_write(fs, ino, op.missing, &op.aside_end, op.aside, &tries[1]);
	}
	free(op.aside);
	free(op.aside_end);
	return op.done ? (ssize_t)op.done : rc;
}

/* -- read --------------------------------------------------------------------- */

/*
 * A read of several pages is a snapshot: the words that led to them are looked
 * at again after the copy, and if one has changed, all is read anew. Whoever
 * overwrites the very range without a pause can spoil that; after READ_RETRIES
 * the result is taken as it is, each page whole.
 */
#define READ_MISSING 2 /* of a step: storage has it */

/* the words a read went through */
struct view {
	unsigned n;
	uint64_t missing; /* the page that it ends before, for storage has that; MAP_HOLE: none */
	daxfs_ino ino;
	const struct sm_inode *sm;
	struct daxfs *local;             /* that has copies of pages (local.h), or NULL */
	unsigned copies;                 /* pages that were read from those */
	const struct cache_aside *aside; /* what was read from storage of such pages */
	struct {
		sm_u64 *slot;
		uint64_t word;
		const uint8_t *page; /* NULL: a hole */
		uint64_t state;      /* of what holds it, if there may be copies */
		unsigned pages;      /* of an extent */
		bool aside;          /* it is private memory */
		bool quiet;          /* it was read from a copy, which need not be told */
	} seen[DAXFS_ATOMIC_WRITE_MAX / DAXFS_PAGE_SIZE + 1];
};

/* No page is there: the last one seen is a hole, or was read aside, or is missing. */
static void view_add_none(struct view *view, uint64_t p, uint64_t word)
{
	const uint8_t *aside = cache_aside_page(view->aside, view->ino, p, word);

	view->seen[view->n].page = aside;
	view->seen[view->n].aside = aside;
	if (!aside && link_kind(word) != DAXFS_VOID && inode_backed(view->sm))
		view->missing = p;
}

/* Note what holds page p, and what follows it in its extent up to the last one. */
static unsigned view_add(struct lane *lane, sm_u64 *slot, uint64_t p, uint64_t last, struct view *view)
{
	struct map_look look;
	unsigned pages;

	map_look(lane, slot, p, &look);
	if (cache_lost(lane->pool, look.word))
		look.page = MAP_HOLE;
	pages = look.behind < last - p ? look.behind + 1 : (unsigned)(last - p) + 1;
	if (pool_troubled(lane->pool) && look.page != MAP_HOLE)
		lane->txn.fault |= pool_lost(lane->pool, pool_page(lane->pool, look.page),
					     (size_t)pages * DAXFS_PAGE_SIZE);
	view->seen[view->n].slot = look.slot;
	view->seen[view->n].word = look.word;
	if (look.page == MAP_HOLE) {
		view_add_none(view, p, look.own);
	} else {
		view->seen[view->n].page = pool_page(lane->pool, look.page);
		view->seen[view->n].aside = view->seen[view->n].quiet = false;
		view->seen[view->n].state = view->local ? local_state(lane, &look) : 0;
	}
	view->seen[view->n++].pages = pages;
	return pages;
}

/* No way leads to a page: it is a hole. */
static void view_add_hole(const struct map_pos *pos, uint64_t p, struct view *view)
{
	view->seen[view->n].slot = pos->slot;
	view->seen[view->n].word = pos->word;
	view_add_none(view, p, pos->word);
	view->seen[view->n++].pages = 1;
}

/* Find the words of the pages that [from, end) meets, as far as they are here. */
static int view_find(struct lane *lane, struct sm_inode *sm, uint64_t from, uint64_t end, struct view *view)
{
	uint64_t p = from / DAXFS_PAGE_SIZE, last = (end - 1) / DAXFS_PAGE_SIZE;
	struct map_pos pos;
	unsigned n;

	pos.left = 0;
	view->missing = MAP_HOLE;
	view->sm = sm;
	for (view->n = 0; p <= last && view->missing == MAP_HOLE; p += n) {
		int rc = map_next(lane, sm, p, &pos);

		if (rc && rc != -ENOENT)
			return rc;
		n = 1;
		if (rc) {
			view_add_hole(&pos, p, view);
			continue;
		}
		n = view_add(lane, pos.slot, p, last, view);
		map_skip(&pos, n - 1);
	}
	view->n -= view->missing != MAP_HOLE;
	return lane->txn.fault ? -EIO : 0;
}

/* Page k of what is behind word i, which may be the first behind the next word. */
static const uint8_t *view_page(const struct view *view, unsigned i, unsigned k)
{
	if (k == view->seen[i].pages && ++i < view->n)
		k = 0;
	return i < view->n && view->seen[i].page ? view->seen[i].page + (size_t)k * DAXFS_PAGE_SIZE : NULL;
}

/* Read a page of word i from a copy in private memory. */
static bool view_copied(struct view *view, unsigned i, const uint8_t *page, size_t at, uint8_t *out, size_t n)
{
	enum local_found found = LOCAL_NOT;

	if (view->seen[i].state)
		found = local_read(view->local, page_index(&view->local->pool, page), view->seen[i].state, at, out, n);
	view->copies += found == LOCAL_COPY || found == LOCAL_TELLS;
	view->seen[i].quiet = found == LOCAL_COPY;
	return found != LOCAL_NOT;
}

static void view_copy(struct view *view, uint64_t from, uint64_t end, uint8_t *out)
{
	view->copies = 0;
	for (unsigned i = 0; i < view->n; i++)
		for (unsigned k = 0; k < view->seen[i].pages; k++) {
			const uint8_t *page = view_page(view, i, k), *next = view_page(view, i, k + 1);
			size_t at = from % DAXFS_PAGE_SIZE, n = DAXFS_PAGE_SIZE - at;

			if (n > end - from)
				n = end - from;
			if (next && !view->local)
				sm_prefetch(next, NEXT_BYTES); /* processors do not look beyond a page by themselves */
			if (page && view->seen[i].aside)
				memcpy(out, page + at, n);
			else if (page && !(view->local && view_copied(view, i, page, at, out, n)))
				sm_read(out, page + at, n);
			else if (!page)
				memset(out, 0, n); /* a hole */
			from += n;
			out += n;
		}
}

/* *end: where the read ends, no later; READ_MISSING: it cannot begin, or not be whole. */
static int read_range(struct lane *lane, struct sm_inode *sm, uint64_t from, uint64_t *end, const struct file_op *op,
		      struct view *view)
{
	uint8_t *out = op->out + op->done;
	int rc = view_find(lane, sm, from, *end, view);

	if (rc)
		return rc;
	if (view->n == 0 || (view->missing != MAP_HOLE && !op->parts))
		return READ_MISSING;
	if (view->missing != MAP_HOLE)
		*end = view->missing * DAXFS_PAGE_SIZE;
	view_copy(view, from, *end, out);
	return 0;
}

static bool view_holds(struct lane *lane, const struct view *view)
{
	sm_fence_acquire(); /* ORD view: the copies before the second look */
	for (unsigned i = 0; view->n > 1 && i < view->n; i++)
		if (word_load_known(lane, view->seen[i].slot) != view->seen[i].word)
			return false;
	return true;
}

/* Where a read that starts at `from` ends: 0 if at or past the end of the file. */
static uint64_t read_end(const struct file_op *op, uint64_t from, uint64_t bytes)
{
	uint64_t end = from + (op->len - op->done);

	if (from >= bytes)
		return 0;
	if (end > bytes)
		end = bytes;
	return end - from > DAXFS_ATOMIC_WRITE_MAX ? from + DAXFS_ATOMIC_WRITE_MAX : end;
}

/* Pages of a file of storage, which has no extents, were read: count those that were in the pool before this read
 * came. Whoever reads on within a page may still be at the same use of it. */
static void count_hits(struct lane *lane, const struct view *view, uint64_t from, struct file_op *op)
{
	const struct cache_aside *a = view->aside;
	uint64_t first = from / DAXFS_PAGE_SIZE;

	for (unsigned i = 0; i < view->n; i++) {
		if (a && a->ino == view->ino && first + i >= a->first && first + i - a->first < a->n)
			continue;
		op->hits++;
		if (view->seen[i].page && !view->seen[i].aside && !view->seen[i].quiet)
			op->ahead += heat_touch(lane->pool, page_index(lane->pool, view->seen[i].page),
						i == 0 && from % DAXFS_PAGE_SIZE);
	}
}

/* Up to one txn. 1: the end of the file; READ_MISSING: the next page is to be read from storage. */
static int read_piece(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct file_op *op = arg;
	struct inode inode;
	struct view view;
	uint64_t size = 0, trunc, from = op->offset + op->done, end = 0;
	int rc = inode_get(lane, op->ino, &inode);

	view.local = local_of(fs) ? fs : NULL;
	view.copies = 0;
	view.ino = op->ino;
	view.aside = op->aside;
	view.missing = MAP_HOLE;
	if (rc == 0 && S_ISDIR(inode.mode))
		rc = -EISDIR;
	for (int i = 0; rc == 0 && i < READ_RETRIES; i++) {
		trunc = word_load_known(lane, &inode.sm->trunc);
		size = word_load_known(lane, &inode.sm->size);
		end = read_end(op, from, size_bytes(size));
		if (!end)
			return inode_get(lane, op->ino, &inode) ? -ESTALE : 1;
		rc = read_range(lane, inode.sm, from, &end, op, &view);
		/* Pages cut away while we copied would have looked like holes,
		 * bytes added past the end like part of the old ones. */
		if (rc == 0 && view_holds(lane, &view) && word_load_known(lane, &inode.sm->trunc) == trunc &&
		    (end < size_bytes(size) || word_load_known(lane, &inode.sm->size) == size))
			break;
	}
	if (rc == READ_MISSING)
		op->missing = view.missing;
	if (rc)
		return rc;
	op->done += end - from;
	op->local += view.copies;
	if (inode_backed(inode.sm))
		count_hits(lane, &view, from, op);
	return end == size_bytes(size); /* 1: what is appended now came after this read */
}

/*
 * The first bytes come to the caches while a lane is taken and an interval announced,
 * for neither of which the processor waits with other things outstanding.
 */
static void read_ahead(struct daxfs *fs, const void *arg)
{
	const struct file_op *op = arg;
	uint64_t from = op->offset + op->done;
	size_t at = from % DAXFS_PAGE_SIZE, n = DAXFS_PAGE_SIZE - at;
	uint64_t page;
	sm_u64 *slot;

	if (n > op->len - op->done)
		n = op->len - op->done;
	if (!map_guess(&fs->pool, handle_index(op->ino), from / DAXFS_PAGE_SIZE, &slot, &page))
		return;
	if (local_of(fs) && local_holds(fs, page))
		sm_prefetch(&fs->pool.state[DAXFS_T_PAGE][page], sizeof(sm_u64));
	else
		sm_prefetch(pool_page(&fs->pool, page) + at, n < WARM_BYTES ? n : WARM_BYTES);
}

/*
 * A page of a read is in storage. What one look could read is read by one look, when all of it is there: read in parts,
 * it might be of before a change and of after it. Where pages go as fast as they come, or one cannot be had, it is read
 * in parts.
 */
static int bring(struct daxfs *fs, struct file_op *op)
{
	uint64_t first = (op->offset + op->done) / DAXFS_PAGE_SIZE, last = (op->offset + op->len - 1) / DAXFS_PAGE_SIZE;
	int rc;

	if (op->failed)
		return op->failed;
	op->waits = op->waited_at == op->done ? op->waits + 1 : 1;
	op->waited_at = op->done;
	rc = cache_bring(fs, op->ino, op->missing, last - op->missing + 1, &op->aside);
	if (rc && op->missing > first)
		op->failed = rc;
	op->parts = op->failed || op->waits >= READ_WAITS;
	return op->failed ? 0 : rc;
}

static ssize_t read_all(struct daxfs *fs, struct file_op *op)
{
	int rc = fs_ready(fs);

	if (op->len > SSIZE_MAX_WRITE)
		op->len = SSIZE_MAX_WRITE;
	if (op->offset > DAXFS_FILE_MAX)
		return 0;
	op->parts = op->here;
	while (rc == 0 && op->done < op->len) {
		unsigned known = fs_trouble(fs);

		rc = fs_run_ahead(fs, read_ahead, read_piece, op);
		if (rc == -EIO && fs_trouble(fs) != known)
			rc = 0; /* known now: storage may have it (C7) */
		if (rc == READ_MISSING)
			rc = op->here ? -ENODATA : bring(fs, op);
	}
	free(op->aside);
	cache_count(fs, FIGURE_HITS, op->hits);
	cache_count(fs, FIGURE_AHEAD_USED, op->ahead);
	if (op->ahead)
		cache_used_ahead(fs, op->ino, op->offset / DAXFS_PAGE_SIZE, (unsigned)op->ahead);
	cache_count(fs, FIGURE_LOCAL, op->local);
	return op->done || rc > 0 ? (ssize_t)op->done : rc;
}

ssize_t daxfs_read(struct daxfs *fs, daxfs_ino ino, void *buf, size_t len, uint64_t offset)
{
	struct file_op op = { .ino = ino, .out = buf, .offset = offset, .len = len };

	return read_all(fs, &op);
}

ssize_t daxfs_read_cached(struct daxfs *fs, daxfs_ino ino, void *buf, size_t len, uint64_t offset)
{
	struct file_op op = { .ino = ino, .out = buf, .offset = offset, .len = len, .here = true };

	return read_all(fs, &op);
}

int daxfs_fsync(struct daxfs *fs, daxfs_ino ino)
{
	int rc = fs_ready(fs);

	(void)ino;
	if (rc)
		return rc;
	/* ORD fsync: every write was in the durability domain when it returned;
	 * whatever tells others of this call comes after. */
	sm_fence();
	return 0;
}
