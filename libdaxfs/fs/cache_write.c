/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache_write.c - files of storage that were written: what storage has of them, and bringing it up to date.
 *
 * A write makes pages of DATA, as of any file. A word of the inode (dir_root, which only directories use else) is
 * STORED {state, n}: storage has bytes of the first n pages; what is absent behind those is zeros. Nothing: it was
 * never written, storage has all.
 *
 *   any -> DIRTY, or stays CUT          in the record of each write
 *   any -> CUT, n = min(n, new size)    in the record of each truncation
 *   any -> SYNCING                      a flusher begins
 *   n -> n'                             in the record in which it says that pages are CLEAN, all before n'
 *   SYNCING -> SAME, n = all            it has written everything, and nobody wrote since
 *   n -> all that there was             the same, but somebody did, and nobody cut anything off
 *
 *  W1 A page is DATA from the record of its write to the record that says that storage has it. So what was
 *     acknowledged is in the pool, or on stable storage, whoever dies; nothing but a write or a truncation
 *     removes it.
 *  W2 CLEAN comes by a record that expects the very word that was copied, after storage has said that the bytes are
 *     safe. A page that was written meanwhile is another word, and stays DATA.
 *  W3 While any page is DATA, or the sizes differ, the state is not SAME: each write demands the state, and changes
 *     it, in its own record. A flusher that dies leaves SYNCING, which is as good as DIRTY.
 *  W4 n is raised no later than a page behind it is CLEAN, and a reader looks at n after the word: what was
 *     written back and dropped is never taken for zeros.
 *  W5 Storage may have stale bytes behind n, of before a truncation. A flusher cuts them off before it writes; one that
 *     finds CUT after it began raises nothing: what it cut was for another n.
 *     So n is all of what it has written when it says so, though others write on: else the next one would cut off
 *     zeros at the end that somebody was told are safe, and storage end too early until it is done.
 *  W6 One flusher at a time for a file: two could write an old page over a new one. Its callers have a lock, which
 *     a dead one loses when its host is fenced.
 *
 * The flusher dies                 what it leaves             what becomes of that
 *   in a record                    as any record
 *   SYNCING, before it wrote       DATA, SYNCING              written by the next one
 *   while it wrote                 DATA; storage old or new,  the pages are read from the pool; written again
 *                                  or torn
 *   after storage said so          DATA                       written again: the same bytes, or newer ones
 *   some records of CLEAN done     CLEAN and DATA, n raised   the rest is written
 *   before SAME                    SYNCING, all CLEAN         found to be the same by the next one
 * A writer dies: as with any record, a write happened and the state says so, or neither.
 */
#include <errno.h>
#include <stdlib.h>

#include "fs/cache.h"
#include "fs/heat.h"
#include "fs/write_txn.h"
#include "mem/process.h"

#define BATCH_PAGES 1024u /* written before storage is asked to make them safe */
#define LOOKS 512u        /* words of a file looked at in one step */

/* -- in the records of writers ------------------------------------------------------ */

void cache_stage_dirty(struct lane *lane, const struct write_txn *txn)
{
	bool cut = link_kind(txn->stored) == DAXFS_STORED && stored_state(txn->stored) == DAXFS_STORED_CUT;

	txn_word(&lane->txn, &txn->sm->dir_root, DAXFS_W_LINK, txn->stored,
		 stored_payload(cut ? DAXFS_STORED_CUT : DAXFS_STORED_DIRTY, cache_stored(txn->stored, txn->size)));
}

/* A crash before this leaves bytes of heat that say too much, as that of a removed file does (heat.h). */
void cache_overwritten(struct daxfs *fs, const struct write_txn *txn)
{
	int64_t n = 0;

	for (uint64_t i = 0; i < txn->pages; i++) {
		const struct write_txn_page *page = &txn->page[i];

		if (!link_names(&fs->pool, page->word, DAXFS_CLEAN) || page->is == page->was)
			continue;
		heat_clear(&fs->pool, link_index(page->word));
		n++;
	}
	heat_count(fs, -n);
}

void cache_stage_cut(struct lane *lane, struct sm_inode *sm, uint64_t stored, uint64_t before, uint64_t size)
{
	uint64_t pages = cache_stored(stored, before), now = cache_stored(0, size);

	txn_word(&lane->txn, &sm->dir_root, DAXFS_W_LINK, stored,
		 stored_payload(DAXFS_STORED_CUT, now < pages ? now : pages));
}

/* -- writing back ---------------------------------------------------------------------- */

struct write_back {
	daxfs_ino ino;
	uint64_t source;
	uint64_t size, most; /* of the file; bytes that storage may have before we write */
	uint64_t next;       /* page to look at */
	bool ended;          /* that was the last one */
	bool cut;            /* the file was cut off since: nothing is CLEAN that we write */
	int error;           /* of pages that cannot be read */
	unsigned n, marked;  /* pages of this batch; of them, those that are CLEAN, or changed */
	unsigned copied;     /* the last of them, in bytes */
	struct {
		uint64_t p, word;
	} page[BATCH_PAGES];
	uint8_t bytes[CACHE_PAGES * DAXFS_PAGE_SIZE];
};

static enum daxfs_stored state_of_file(uint64_t stored)
{
	return link_kind(stored) == DAXFS_STORED ? stored_state(stored) : DAXFS_STORED_SAME;
}

/* 1: nothing is to be done. */
static int begin(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct write_back *wb = arg;
	struct inode inode;
	uint64_t size, stored, pages;
	int rc = inode_get_file(lane, wb->ino, &inode);

	if (rc)
		return rc;
	wb->source = inode_source(inode.sm);
	if (!wb->source || !cache_writes(fs, wb->source))
		return wb->source ? -EROFS : -EINVAL;
	stored = word_help(lane, &inode.sm->dir_root); /* first: what changes the size changes this */
	size = word_help(lane, &inode.sm->size);
	if (size_prune(size)) {
		rc = prune(lane, inode.sm);
		return rc ? rc : -EAGAIN;
	}
	if (state_of_file(stored) == DAXFS_STORED_SAME)
		return 1;
	pages = cache_stored(stored, size);
	wb->size = size_bytes(size);
	wb->most = pages * DAXFS_PAGE_SIZE < wb->size ? pages * DAXFS_PAGE_SIZE : wb->size;
	record_begin(lane, OP_FILL);
	txn_word(&lane->txn, &inode.sm->dir_root, DAXFS_W_LINK, stored, stored_payload(DAXFS_STORED_SYNCING, pages));
	return record_commit(lane);
}

/* Copy a page that is dirty. It does not change while we are inside: nothing is written in place. */
static void copy_page(struct lane *lane, struct write_back *wb, uint64_t word)
{
	const uint8_t *page = pool_page(lane->pool, link_index(word));

	if (pool_lost_page(lane->pool, link_index(word))) {
		wb->error = -EIO;
		return;
	}
	sm_read(wb->bytes + (size_t)wb->copied++ * DAXFS_PAGE_SIZE, page, DAXFS_PAGE_SIZE);
	wb->page[wb->n].p = wb->next;
	wb->page[wb->n++].word = word;
}

/* Copy the next pages that are dirty, as many as fit. */
static int collect(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct write_back *wb = arg;
	struct inode inode;
	struct map_pos pos = { .left = 0 };
	uint64_t pages, word;
	int rc = inode_get_file(lane, wb->ino, &inode);

	(void)fs;
	if (rc)
		return rc;
	pages = cache_stored(0, word_load(lane, &inode.sm->size));
	for (unsigned i = 0; i < LOOKS && wb->next < pages && wb->copied < CACHE_PAGES && wb->n < BATCH_PAGES; i++) {
		rc = map_next(lane, inode.sm, wb->next, &pos);
		if (rc == -ENOENT) {
			wb->next = cache_behind_hole(&pos, wb->next);
			pos.left = 0;
			continue;
		}
		if (rc)
			return rc;
		word = word_help(lane, pos.slot);
		if (link_names(lane->pool, word, DAXFS_DATA))
			copy_page(lane, wb, word);
		wb->next++;
	}
	wb->ended = wb->next >= pages;
	/* After the words: what they name ends no later, or one of them is not what was copied any more. */
	wb->size = size_bytes(word_load(lane, &inode.sm->size));
	return lane->txn.fault ? -EIO : 0;
}

/* Stage that a page that was written is CLEAN, if it is what it was then: 1. */
static int stage_clean(struct lane *lane, const struct write_back *wb, unsigned i, struct sm_inode *sm)
{
	struct map_pos pos;
	int rc = map_find(lane, sm, wb->page[i].p, &pos);
	uint64_t page = link_index(wb->page[i].word);

	if (rc || word_help(lane, pos.slot) != wb->page[i].word)
		return rc == -ENOENT ? 0 : rc;
	/* A hint: a crash may leave another one, or none. */
	sm_store_relaxed(&lane->pool->count[page], pool_offset(lane->pool, pos.slot) / sizeof(*pos.slot));
	txn_word(&lane->txn, pos.slot, DAXFS_W_LINK, wb->page[i].word, link_payload(DAXFS_CLEAN, page));
	return 1;
}

/* Those of a step that are CLEAN now may be given back. */
static void warm(struct daxfs *fs, struct lane *lane, const struct write_back *wb, uint64_t clean)
{
	heat_count(fs, __builtin_popcountll(clean));
	for (unsigned i = wb->marked; clean; i++, clean >>= 1)
		if (clean & 1)
			heat_put(fs, lane, link_index(wb->page[i].word), DAXFS_HEAT_COLD);
}

/* Say of some pages of the batch that they are CLEAN. 1: there are more. */
static int mark(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct write_back *wb = arg;
	struct inode inode;
	unsigned end = wb->n - wb->marked < CACHE_PAGES ? wb->n : wb->marked + CACHE_PAGES;
	uint64_t stored, pages, clean = 0;
	int rc = inode_get_file(lane, wb->ino, &inode);

	if (rc)
		return rc;
	stored = word_help(lane, &inode.sm->dir_root);
	wb->cut = state_of_file(stored) == DAXFS_STORED_CUT;
	if (wb->cut)
		return 0;
	if (state_of_file(stored) == DAXFS_STORED_SAME)
		return -EBUSY; /* somebody else has ended it */
	pages = wb->page[end - 1].p + 1;
	if (pages < stored_pages(stored))
		pages = stored_pages(stored);
	record_begin(lane, OP_FILL);
	for (unsigned i = wb->marked; rc == 0 && i < end; i++) {
		rc = stage_clean(lane, wb, i, inode.sm);
		if (rc > 0)
			clean |= 1ull << (i - wb->marked), rc = 0;
	}
	txn_word(&lane->txn, &inode.sm->dir_root, DAXFS_W_LINK, stored, stored_payload(stored_state(stored), pages));
	rc = rc || lane->txn.fault ? record_abort(lane, rc ? rc : -EIO) : record_commit(lane);
	if (rc)
		return rc;
	warm(fs, lane, wb, clean);
	wb->marked = end;
	return wb->marked < wb->n;
}

/* Storage has everything that we found: has nobody written since? If somebody has cut it off, nothing is known (W5). */
static int end(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct write_back *wb = arg;
	struct inode inode;
	uint64_t stored, pages = (wb->size + DAXFS_PAGE_SIZE - 1) / DAXFS_PAGE_SIZE;
	enum daxfs_stored state;
	int rc = inode_get_file(lane, wb->ino, &inode);

	(void)fs;
	if (rc)
		return rc;
	stored = word_help(lane, &inode.sm->dir_root);
	state = state_of_file(stored);
	if ((state != DAXFS_STORED_SYNCING && state != DAXFS_STORED_DIRTY) || wb->error)
		return 0; /* it stays dirty */
	if (state == DAXFS_STORED_DIRTY && stored_pages(stored) >= pages)
		return 0;
	record_begin(lane, OP_FILL);
	txn_word(&lane->txn, &inode.sm->dir_root, DAXFS_W_LINK, stored,
		 stored_payload(state == DAXFS_STORED_SYNCING ? DAXFS_STORED_SAME : state, pages));
	return record_commit(lane);
}

/* Give storage what was copied, in runs of pages that follow each other. */
static int write_copied(struct write_back *wb, const struct daxfs_storage *s, uint64_t file)
{
	unsigned first = wb->n - wb->copied, at = first;
	int rc = 0;

	while (rc == 0 && at < wb->n) {
		uint64_t offset = wb->page[at].p * DAXFS_PAGE_SIZE, len = DAXFS_PAGE_SIZE;
		unsigned from = at++;

		for (; at < wb->n && wb->page[at].p == wb->page[at - 1].p + 1; at++)
			len += DAXFS_PAGE_SIZE;
		if (offset >= wb->size)
			break; /* cut off since: then nothing of it will be CLEAN */
		if (len > wb->size - offset)
			len = wb->size - offset;
		rc = s->write(s->context, wb->ino, file, wb->bytes + (size_t)(from - first) * DAXFS_PAGE_SIZE,
			      (size_t)len, offset);
	}
	wb->copied = 0;
	return rc;
}

/* Write one batch, have it made safe, and say that it is CLEAN. */
static int write_batch(struct daxfs *fs, struct write_back *wb, const struct daxfs_storage *s, uint64_t file)
{
	uint64_t stamp = 0;
	int rc = 0;

	wb->n = wb->marked = 0;
	while (rc == 0 && !wb->ended && wb->n < BATCH_PAGES) {
		rc = fs_run(fs, collect, wb);
		if (rc == 0)
			rc = write_copied(wb, s, file);
	}
	if (rc || !wb->n)
		return rc;
	rc = s->sync(s->context, wb->ino, file, &stamp);
	if (rc == 0 && !wb->cut)
		do
			rc = fs_run(fs, mark, wb);
		while (rc > 0);
	cache_count(fs, FIGURE_WRITTEN, wb->marked);
	return rc;
}

static int write_all(struct daxfs *fs, struct write_back *wb, const struct daxfs_storage *s)
{
	uint64_t file = wb->source & ~(0xffull << 56), stamp = 0;
	int rc = s->resize(s->context, wb->ino, file, wb->most, false);

	while (rc == 0 && !wb->ended)
		rc = write_batch(fs, wb, s, file);
	if (rc == 0)
		rc = s->resize(s->context, wb->ino, file, wb->size, true);
	if (rc == 0)
		rc = s->sync(s->context, wb->ino, file, &stamp);
	if (rc == 0)
		rc = daxfs_stamp(fs, wb->ino, stamp);
	if (rc == 0)
		rc = fs_run(fs, end, wb);
	return rc ? rc : wb->error;
}

int daxfs_write_back(struct daxfs *fs, daxfs_ino ino)
{
	struct write_back *wb = calloc(1, sizeof(*wb));
	struct daxfs_storage storage;
	int was, rc = wb ? 0 : -ENOMEM;

	if (rc == 0) {
		wb->ino = ino;
		rc = fs_run(fs, begin, wb);
	}
	if (rc == 0)
		rc = cache_storage_get(fs, wb->source, &storage);
	if (rc == 0) {
		was = process_cancel_off();
		rc = write_all(fs, wb, &storage);
		process_cancel_restore(was);
		cache_storage_put(fs, wb->source);
	}
	free(wb);
	return rc > 0 ? 0 : rc;
}

/* -- what is dirty ------------------------------------------------------------------------- */

struct stamp_op {
	daxfs_ino ino;
	const uint64_t *was; /* NULL: whatever it is */
	uint64_t stamp;
};

static int set_stamp(struct daxfs *fs, struct lane *lane, void *arg)
{
	const struct stamp_op *op = arg;
	struct inode inode;
	int rc = inode_get_file(lane, op->ino, &inode);

	(void)fs;
	if (rc)
		return rc;
	if (!inode_backed(inode.sm))
		return -EINVAL;
	/* A word of its own, in the durability domain before a record that says that it counts. */
	if (!op->was)
		sm_store_relaxed(&inode.sm->btime, op->stamp);
	else if (!sm_cas(&inode.sm->btime, *op->was, op->stamp)) /* ORD none: nothing else is published by it */
		return -ECANCELED;
	sm_flush(&lane->pool->shm, &inode.sm->btime, sizeof(inode.sm->btime));
	sm_drain(&lane->pool->shm);
	return 0;
}

int daxfs_stamp(struct daxfs *fs, daxfs_ino ino, uint64_t stamp)
{
	struct stamp_op op = { ino, NULL, stamp };

	return fs_run(fs, set_stamp, &op);
}

int daxfs_restamp(struct daxfs *fs, daxfs_ino ino, uint64_t was, uint64_t stamp)
{
	struct stamp_op op = { ino, &was, stamp };

	return fs_run(fs, set_stamp, &op);
}
