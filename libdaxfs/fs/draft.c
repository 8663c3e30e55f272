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

#include "fs/piece.h"

struct daxfs_draft {
	struct daxfs *fs;
	struct lane *lane;
	struct file_op op;
	unsigned pages;
	uint64_t page[DAXFS_ATOMIC_WRITE_MAX / DAXFS_PAGE_SIZE];
};

static int take_pages(struct daxfs_draft *d, void **out)
{
	struct inode inode;
	int rc = inode_get_file(d->lane, d->op.ino, &inode);

	if (rc)
		return rc;
	record_begin(d->lane, OP_WRITE);
	rc = space_take(d->lane, DAXFS_T_PAGE, DAXFS_USE_DATA, d->pages, d->page);
	if (rc)
		return record_abort(d->lane, rc);
	for (unsigned i = 0; i < d->pages; i++)
		out[i] = pool_page(d->lane->pool, d->page[i]);
	return 0;
}

static int finish(struct daxfs_draft *d, int rc)
{
	if (d->lane->fault)
		rc = -EIO;
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
	*d = (struct daxfs_draft){ .fs = fs, .op = { .ino = ino, .offset = offset, .len = len } };
	d->pages = (unsigned)(len / DAXFS_PAGE_SIZE);
	rc = fs_park(fs, &d->lane);
	if (rc) {
		free(d);
		return rc;
	}
	rc = take_pages(d, pages);
	if (rc)
		return finish(d, rc);
	*out = d;
	return 0;
}

static int stage(struct daxfs_draft *d, struct piece *piece)
{
	int rc = piece_start(d->lane, &d->op, piece);

	if (rc == 0 && piece_must_prune(piece))
		rc = -EAGAIN;
	if (rc == 0)
		rc = piece_survey(d->lane, piece);
	if (rc)
		return rc;
	sm_stream_end(); /* the user may have gone around the caches */
	for (unsigned i = 0; i < d->pages; i++)
		sm_persist(&d->fs->pool.shm, pool_page(d->lane->pool, d->page[i]), DAXFS_PAGE_SIZE);
	piece_link(d->lane, piece, d->page);
	return 0;
}

/* What is in the way of making a file longer, out of the way for the next draft. */
static int clear_the_way(struct daxfs_draft *d, int rc)
{
	struct piece piece;

	if (rc == -EAGAIN && piece_start(d->lane, &d->op, &piece) == 0 && piece_must_prune(&piece))
		prune(d->lane, piece.sm);
	return rc;
}

int daxfs_draft_commit(struct daxfs_draft *d)
{
	struct piece piece;
	int rc = stage(d, &piece);

	rc = rc ? record_abort(d->lane, rc) : record_commit(d->lane);
	if (rc == 0)
		inode_changed(d->lane, piece.sm);
	return finish(d, clear_the_way(d, rc));
}

void daxfs_draft_abort(struct daxfs_draft *d)
{
	finish(d, record_abort(d->lane, 0));
}
