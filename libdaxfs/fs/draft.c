/* SPDX-License-Identifier: Apache-2.0 */
/*
 * draft.c - a write whose pages its user fills in place.
 *
 * The record of a draft is begun, and its pages are taken, before they are
 * handed out; it stays in PREPARE on a lane of its own until it is committed like
 * any other write (file.c) or aborted. Nobody else sees the pages before that.
 * Crash while it is open: its pages are PRIVATE and named in the record, recovery
 * frees them.
 */
#include <errno.h>
#include <stdlib.h>

#include "fs/lease.h"
#include "fs/write_txn.h"
#include "sync/lease_own.h"

struct daxfs_draft {
	struct daxfs *fs;
	struct lane *lane;
	daxfs_ino ino;
	uint64_t offset;
	size_t len;
	struct write_txn taken;
};

static int take_pages(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct daxfs_draft *d = arg;
	struct inode inode;
	int rc = inode_get_file(lane, d->ino, &inode);

	(void)fs;
	if (rc == 0 && inode_backed(inode.sm))
		rc = -EROFS;
	/* From here on, or one look of this host at the file for each draft would have all of them refused. */
	if (rc == 0 && lease_own_changes(lane, inode.sm))
		rc = -EAGAIN;
	if (rc)
		return rc;
	do {
		record_begin(d->lane, OP_WRITE);
		rc = write_txn_take(d->lane, &d->taken, d->offset, d->len);
		if (rc)
			record_abort(d->lane, rc);
	} while (rc == -EAGAIN);
	/* ORD hand over: the states of the pages, before another thread seals the record. */
	sm_drain(&d->fs->pool.shm);
	return rc;
}

/* What is in the way. There is no record. */
static bool clear_leases(struct daxfs_draft *d)
{
	if (!lease_notes_any(&d->lane->notes) || d->lane->txn.fault)
		return false;
	lane_exit(d->lane);
	lease_recall(d->fs, d->lane);
	lane_enter(d->lane);
	return true;
}

static int finish(struct daxfs_draft *d, int rc)
{
	if (d->lane->txn.fault)
		rc = -EIO;
	clear_leases(d); /* of the next one */
	fs_unpark(d->fs, d->lane);
	free(d);
	return rc;
}

int daxfs_draft_begin(struct daxfs *fs, daxfs_ino ino, uint64_t offset, size_t len, void **pages,
		      struct daxfs_draft **out)
{
	struct daxfs_draft *d;
	int rc;

	if (!len || len > DAXFS_ATOMIC_WRITE_MAX || len % DAXFS_PAGE_SIZE || offset % DAXFS_PAGE_SIZE)
		return -EINVAL;
	if (offset > DAXFS_FILE_MAX - len)
		return -EFBIG;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	*d = (struct daxfs_draft){ .fs = fs, .ino = ino, .offset = offset, .len = len };
	rc = fs_park(fs, &d->lane);
	if (rc) {
		free(d);
		return rc;
	}
	rc = fs_try(fs, d->lane, take_pages, d);
	if (rc == -EAGAIN && clear_leases(d))
		rc = fs_try(fs, d->lane, take_pages, d);
	if (rc)
		return finish(d, rc);
	for (unsigned i = 0; i < d->taken.pages; i++)
		pages[i] = pool_page(d->lane->pool, d->taken.page[i].is);
	*out = d;
	return 0;
}

/* The pages of the piece that the user has filled. */
static void hand_in(const struct daxfs_draft *d, struct write_txn *txn)
{
	txn->own = (unsigned)(d->taken.first - txn->first);
	txn->own_end = txn->own + d->taken.pages;
	for (unsigned i = 0; i < d->taken.pages; i++) {
		struct write_txn_page *page = &txn->page[txn->own + i];

		page->is = d->taken.page[i].is;
		page->to_extent = d->taken.page[i].to_extent;
		sm_flush(&d->fs->pool.shm, pool_page(d->lane->pool, page->is), DAXFS_PAGE_SIZE);
	}
}

static int stage(struct daxfs_draft *d, struct write_txn *txn)
{
	int rc = write_txn_start(d->lane, d->ino, d->offset, d->len, txn);

	if (rc == 0 && write_txn_must_prune(txn))
		rc = -EAGAIN;
	/* For the survey: with pages of our own each word counts. Which they are is known behind it. */
	txn->own_end = d->taken.pages;
	if (rc == 0)
		rc = write_txn_survey(d->lane, txn);
	if (rc)
		return rc;
	sm_stream_end(); /* the user may have gone around the caches */
	hand_in(d, txn);
	return write_txn_stage(d->lane, txn, NULL);
}

/* What is in the way of making a file longer, out of the way for the next draft. */
static int clear_the_way(struct daxfs_draft *d, int rc)
{
	struct write_txn txn;

	if (rc == -EAGAIN && write_txn_start(d->lane, d->ino, d->offset, d->len, &txn) == 0 &&
	    write_txn_must_prune(&txn))
		prune(d->lane, txn.sm);
	return rc;
}

static int commit_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct daxfs_draft *d = arg;
	struct write_txn txn;
	int rc;

	(void)fs;
	rc = stage(d, &txn);
	rc = rc ? record_abort(lane, rc) : record_commit(lane);
	if (rc == 0)
		inode_changed(lane, txn.sm);
	return clear_the_way(d, rc);
}

static int abort_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	(void)fs, (void)arg;
	return record_abort(lane, 0);
}

int daxfs_draft_commit(struct daxfs_draft *d)
{
	if (!*d->fs->here) {
		free(d);
		return -ECHILD;
	}
	return finish(d, fs_try(d->fs, d->lane, commit_step, d));
}

void daxfs_draft_abort(struct daxfs_draft *d)
{
	if (*d->fs->here)
		finish(d, fs_try(d->fs, d->lane, abort_step, d));
	else
		free(d);
}
