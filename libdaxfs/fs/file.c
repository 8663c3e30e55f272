/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.c - reading and writing: the only place that composes a write.
 *
 * A piece of a write (up to 256 KiB) is one record over the link words of its
 * pages, plus the size word if the file gets longer, plus the trunc word if a
 * hole inside the file is filled. Pages are never written in place: new pages
 * are taken, filled and linked, the old ones retired. Why these words suffice:
 *
 *   overwrite (page -> page)  no other word. A truncation that removes the page
 *       changes its word. One that leaves it, but has committed its new size
 *       below it, will remove the new page just the same (prune.c).
 *   fill (absent -> page)     demands an unchanged trunc word, or changes the
 *       size word: no truncation was committed since we looked, so the node is
 *       still linked and nobody is pruning it.
 *   longer                    demands the size word as read: appends of several
 *       hosts get disjoint ranges, and no PRUNE is pending.
 */
#include <errno.h>

#include "fs/piece.h"

#define READ_RETRIES 8
#define WARM_BYTES 2048u /* of the first page of a read, fetched while a lane is taken */
#define NEXT_BYTES 512u  /* of the next page, fetched while one is copied; the processor goes on by itself */
#define STREAM_PAGES 8  /* pieces from here on go around the caches */
#define AHEAD_BYTES 2048u /* of the next page of a smaller one, fetched while one is filled */
#define SSIZE_MAX_WRITE ((size_t)1 << 30) /* bytes a call */

bool is_page(struct lane *lane, uint64_t w)
{
	if (link_names(lane->pool, w, DAXFS_DATA))
		return true;
	lane->fault |= link_kind(w) != DAXFS_ABSENT;
	return false;
}

/* -- write -------------------------------------------------------------------- */

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

/* Find the word of page i of the piece, through nodes of ours if need be; *pos: of the page before it. */
static int survey_page(struct lane *lane, struct piece *piece, unsigned i, struct map_pos *pos)
{
	uint64_t page;
	int rc = map_next(lane, piece->sm, piece->from / DAXFS_PAGE_SIZE + i, pos);

	while (rc == -ENOENT) {
		rc = grow(lane, piece, pos, &page);
		if (rc == 0)
			rc = map_below(lane, page, pos);
	}
	if (rc)
		return rc;
	piece->old[i].slot = pos->slot;
	piece->old[i].word = word_settle(lane, pos->slot);
	if (is_page(lane, piece->old[i].word))
		space_warm_state(lane->pool, link_index(piece->old[i].word));
	else
		piece->fills = true;
	return 0;
}

/* Find out which words the piece is about. */
int piece_survey(struct lane *lane, struct piece *piece)
{
	struct map_pos pos;
	int rc = 0;

	pos.left = 0;
	piece->pages = (unsigned)((piece->end - 1) / DAXFS_PAGE_SIZE - piece->from / DAXFS_PAGE_SIZE + 1);
	for (unsigned i = 0; rc == 0 && i < piece->pages; i++)
		rc = survey_page(lane, piece, i, &pos);
	if (rc)
		return rc;
	/* Words before size: if it is what it was, no truncation came between. */
	if (word_settle(lane, &piece->sm->size) != piece->size)
		return -EAGAIN;
	return lane->fault ? -EIO : 0;
}

/* Around the caches: much at once, and what must leave them at once anyway. */
static bool streams(const struct lane *lane, const struct piece *piece)
{
	return piece->pages >= STREAM_PAGES || lane->pool->shm.wb;
}

/* Fill new page i of the piece: old bytes around the new ones. */
static void compose(struct lane *lane, const struct piece *piece, unsigned i, uint64_t page, const uint8_t *in)
{
	uint64_t base = (piece->from / DAXFS_PAGE_SIZE + i) * DAXFS_PAGE_SIZE;
	uint64_t start = piece->from > base ? piece->from - base : 0;
	uint64_t stop = piece->end < base + DAXFS_PAGE_SIZE ? piece->end - base : DAXFS_PAGE_SIZE;
	uint8_t *to = pool_page(lane->pool, page);
	const uint8_t *old = is_page(lane, piece->old[i].word) ?
			     pool_page(lane->pool, link_index(piece->old[i].word)) : NULL;

	if (start && old)
		sm_write(to, old, start);
	else if (start)
		sm_zero(to, start);
	if (streams(lane, piece))
		sm_write_stream(to + start, in + (base + start - piece->from), stop - start);
	else
		sm_write(to + start, in + (base + start - piece->from), stop - start);
	if (stop < DAXFS_PAGE_SIZE && old)
		sm_write(to + stop, old + stop, DAXFS_PAGE_SIZE - stop);
	else if (stop < DAXFS_PAGE_SIZE)
		sm_zero(to + stop, DAXFS_PAGE_SIZE - stop);
	if (stop - start == DAXFS_PAGE_SIZE && streams(lane, piece))
		sm_persist_stream(&lane->pool->shm, to, DAXFS_PAGE_SIZE);
	else
		sm_persist(&lane->pool->shm, to, DAXFS_PAGE_SIZE);
}

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
		record_word(lane, slot, DAXFS_S_LINK, word, payload);
}

static void link_nodes(struct lane *lane, const struct piece *piece)
{
	for (unsigned i = 0; i < piece->n_nodes; i++)
		set_link(lane, piece, piece->node[i].slot, piece->node[i].word,
			 link_payload(DAXFS_NODE, piece->node[i].page));
	for (unsigned i = 0; i < piece->n_nodes; i++)
		sm_persist(&lane->pool->shm, pool_page(lane->pool, piece->node[i].page), DAXFS_PAGE_SIZE);
}

void piece_link(struct lane *lane, const struct piece *piece, const uint64_t *page)
{
	for (unsigned i = 0; i < piece->pages; i++) {
		set_link(lane, piece, piece->old[i].slot, piece->old[i].word, link_payload(DAXFS_DATA, page[i]));
		if (is_page(lane, piece->old[i].word))
			record_retire(lane, DAXFS_T_PAGE, link_index(piece->old[i].word));
	}
	link_nodes(lane, piece);
	if (piece->longer)
		record_word(lane, &piece->sm->size, DAXFS_S_SIZE, piece->size, piece->end);
	else if (piece->fills)
		record_word(lane, &piece->sm->trunc, DAXFS_S_TICK, piece->trunc, 0);
}

static void write_down(struct lane *lane, const struct piece *piece, const uint64_t *page)
{
	record_unstage(lane);
	piece_link(lane, piece, page);
	record_write(lane);
}

static int stage_piece(struct lane *lane, struct piece *piece, const uint8_t *in)
{
	uint64_t page[PIECE_PAGES];
	struct space_batch batch;
	int rc = piece_survey(lane, piece);

	if (rc == 0)
		rc = space_begin(lane, &batch, DAXFS_T_PAGE, DAXFS_USE_DATA, piece->pages, page);
	if (rc)
		return rc;
	/* Where writing back is dear, the record goes the way of the names of its pages. */
	do {
		rc = space_find(lane, &batch);
		if (rc)
			return rc;
		if (lane->pool->shm.wb)
			write_down(lane, piece, page);
		rc = space_claim(lane, &batch);
	} while (rc == -EAGAIN);
	for (unsigned i = 0; i < piece->pages; i++) {
		if (i + 1 < piece->pages && !streams(lane, piece))
			sm_prefetch_write(pool_page(lane->pool, page[i + 1]), AHEAD_BYTES);
		compose(lane, piece, i, page[i], in);
	}
	if (!lane->pool->shm.wb)
		write_down(lane, piece, page); /* while the last streams drain */
	if (streams(lane, piece))
		sm_stream_end();
	return 0;
}

int piece_start(struct lane *lane, const struct file_op *op, struct piece *piece)
{
	struct inode inode;
	int rc = inode_get_file(lane, op->ino, &inode);
	uint64_t bytes, want = op->len - op->done;

	if (rc)
		return rc;
	piece->sm = inode.sm;
	/* trunc before life: if the inode dies later, trunc will have changed. */
	piece->size = word_settle(lane, &inode.sm->size);
	piece->trunc = word_settle(lane, &inode.sm->trunc);
	rc = inode_get(lane, op->ino, &inode);
	if (rc)
		return rc;
	bytes = size_bytes(piece->size);
	piece->from = op->append ? bytes : op->offset + op->done;
	if (piece->from >= DAXFS_FILE_MAX || DAXFS_FILE_MAX - piece->from < want)
		return -EFBIG;
	piece->end = piece->from + (want < DAXFS_ATOMIC_WRITE_MAX ? want : DAXFS_ATOMIC_WRITE_MAX);
	piece->longer = piece->end > bytes;
	piece->fills = false;
	piece->n_nodes = 0;
	return 0;
}

static int write_piece(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct file_op *op = arg;
	struct piece piece;
	int rc;

	(void)fs;
	if (op->len - op->done <= DAXFS_PAGE_SIZE)
		space_warm_on(lane);
	rc = piece_start(lane, op, &piece);
	if (rc)
		return rc;
	if (piece_must_prune(&piece)) {
		rc = prune(lane, piece.sm);
		return rc ? rc : -EAGAIN;
	}
	record_begin(lane, OP_WRITE);
	rc = stage_piece(lane, &piece, op->in + op->done);
	rc = rc ? record_abort(lane, rc) : record_commit(lane);
	if (rc)
		return rc;
	op->done += piece.end - piece.from;
	inode_changed(lane, piece.sm);
	if (piece.pages == 1)
		space_warm(lane);
	return 0;
}

/* As in read_ahead, the words that an overwrite changes. */
static void write_ahead(struct daxfs *fs, const struct file_op *op)
{
	uint64_t page;
	sm_u64 *slot;

	if (map_guess(&fs->pool, handle_index(op->ino), op->offset / DAXFS_PAGE_SIZE, &slot, &page)) {
		sm_prefetch_write(slot, sizeof(*slot));
		space_warm_state(&fs->pool, page);
	}
}

ssize_t daxfs_write(struct daxfs *fs, daxfs_ino ino, const void *buf, size_t len, uint64_t offset, unsigned flags)
{
	struct file_op op = {
		.ino = ino, .in = buf, .offset = offset, .len = len, .append = flags & DAXFS_APPEND,
	};
	int rc = 0;

	if (len > SSIZE_MAX_WRITE)
		op.len = SSIZE_MAX_WRITE;
	if (!op.append && offset > DAXFS_FILE_MAX)
		return -EFBIG;
	if (!op.append)
		write_ahead(fs, &op);
	while (rc == 0 && op.done < op.len)
		rc = fs_run(fs, write_piece, &op);
	return op.done ? (ssize_t)op.done : rc;
}

/* -- read --------------------------------------------------------------------- */

/*
 * A read of several pages is a snapshot: the words that led to them are looked
 * at again after the copy, and if one has changed, all is read anew. Whoever
 * overwrites the very range without a pause can spoil that; after READ_RETRIES
 * the result is taken as it is, each page whole.
 */
struct view { /* the words a read went through */
	unsigned n;
	struct {
		sm_u64 *slot;
		uint64_t word;
		const uint8_t *page; /* NULL: a hole */
	} seen[PIECE_PAGES];
};

/* Find the words of the pages that [from, end) meets. */
static int view_find(struct lane *lane, struct sm_inode *sm, uint64_t from, uint64_t end, struct view *view)
{
	uint64_t last = (end - 1) / DAXFS_PAGE_SIZE;
	struct map_pos pos;

	pos.left = 0;
	view->n = 0;
	for (uint64_t p = from / DAXFS_PAGE_SIZE; p <= last; p++) {
		int rc = map_next(lane, sm, p, &pos);
		uint64_t w;

		if (rc && rc != -ENOENT)
			return rc;
		w = rc ? pos.word : word_load(lane, pos.slot);
		view->seen[view->n].slot = pos.slot;
		view->seen[view->n].page = rc == 0 && is_page(lane, w) ? pool_page(lane->pool, link_index(w)) : NULL;
		view->seen[view->n++].word = w;
	}
	return lane->fault ? -EIO : 0;
}

static void view_copy(const struct view *view, uint64_t from, uint64_t end, uint8_t *out)
{
	for (unsigned i = 0; i < view->n; i++) {
		size_t at = from % DAXFS_PAGE_SIZE, n = DAXFS_PAGE_SIZE - at;

		if (n > end - from)
			n = end - from;
		if (i + 1 < view->n && view->seen[i + 1].page)
			sm_prefetch(view->seen[i + 1].page, NEXT_BYTES);
		if (view->seen[i].page)
			sm_read(out, view->seen[i].page + at, n);
		else
			memset(out, 0, n); /* a hole */
		from += n;
		out += n;
	}
}

static int read_range(struct lane *lane, struct sm_inode *sm, uint64_t from, uint64_t end, uint8_t *out,
		      struct view *view)
{
	int rc = view_find(lane, sm, from, end, view);

	if (rc == 0)
		view_copy(view, from, end, out);
	return rc;
}

static bool view_holds(struct lane *lane, const struct view *view)
{
	sm_fence_acquire(); /* ORD view: the copies before the second look */
	for (unsigned i = 0; view->n > 1 && i < view->n; i++)
		if (word_load(lane, view->seen[i].slot) != view->seen[i].word)
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

/* Up to one piece. 1: the end of the file. */
static int read_piece(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct file_op *op = arg;
	struct inode inode;
	struct view view;
	uint64_t size = 0, trunc, from = op->offset + op->done, end = 0;
	int rc = inode_get(lane, op->ino, &inode);

	(void)fs;
	if (rc == 0 && S_ISDIR(inode.mode))
		rc = -EISDIR;
	for (int i = 0; rc == 0 && i < READ_RETRIES; i++) {
		trunc = word_load(lane, &inode.sm->trunc);
		size = word_load(lane, &inode.sm->size);
		end = read_end(op, from, size_bytes(size));
		if (!end)
			return inode_get(lane, op->ino, &inode) ? -ESTALE : 1;
		rc = read_range(lane, inode.sm, from, end, op->out + op->done, &view);
		/* Pages cut away while we copied would have looked like holes,
		 * bytes added past the end like part of the old ones. */
		if (rc == 0 && view_holds(lane, &view) && word_load(lane, &inode.sm->trunc) == trunc &&
		    (end < size_bytes(size) || word_load(lane, &inode.sm->size) == size))
			break;
	}
	if (rc)
		return rc;
	op->done += end - from;
	return end == size_bytes(size); /* 1: what is appended now came after this read */
}

/*
 * The first bytes come to the caches while a lane is taken and an interval announced,
 * for neither of which the processor waits with other things outstanding.
 */
static void read_ahead(struct daxfs *fs, const struct file_op *op)
{
	uint64_t from = op->offset + op->done;
	size_t at = from % DAXFS_PAGE_SIZE, n = DAXFS_PAGE_SIZE - at;
	uint64_t page;
	sm_u64 *slot;

	if (n > op->len - op->done)
		n = op->len - op->done;
	if (map_guess(&fs->pool, handle_index(op->ino), from / DAXFS_PAGE_SIZE, &slot, &page))
		sm_prefetch(pool_page(&fs->pool, page) + at, n < WARM_BYTES ? n : WARM_BYTES);
}

ssize_t daxfs_read(struct daxfs *fs, daxfs_ino ino, void *buf, size_t len, uint64_t offset)
{
	struct file_op op = { .ino = ino, .out = buf, .offset = offset, .len = len };
	int rc = 0;

	if (len > SSIZE_MAX_WRITE)
		op.len = SSIZE_MAX_WRITE;
	if (offset > DAXFS_FILE_MAX)
		return 0;
	while (rc == 0 && op.done < op.len) {
		read_ahead(fs, &op);
		rc = fs_run(fs, read_piece, &op);
	}
	return op.done || rc > 0 ? (ssize_t)op.done : rc;
}

int daxfs_fsync(struct daxfs *fs, daxfs_ino ino)
{
	(void)ino;
	if (!fs->joined)
		return -ESTALE;
	/* ORD fsync: every write was in the durability domain when it returned;
	 * whatever tells others of this call comes after. */
	sm_fence();
	return 0;
}
