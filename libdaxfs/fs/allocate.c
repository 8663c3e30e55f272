/* SPDX-License-Identifier: Apache-2.0 */
/*
 * allocate.c - giving a range of a file pages of zeros, or taking its pages away.
 *
 * Each call is a sequence of pieces. A piece is one record, made by the code that makes those of a
 * write (write_txn.c), and happens wholly or not at all. A sequence that ends early, by an error or a death,
 * has done its first pieces.
 *
 *   fill    pages of zeros where there are none; what is there stays, also what another host writes meanwhile
 *   zero    a write of zeros
 *   punch   whole pages go, parts of others become zeros. A hole is passed over in one
 *           step, however large.
 */
#include <errno.h>

#include "fs/cache.h"
#include "fs/write_txn.h"

struct allocate_op {
	daxfs_ino ino;
	uint64_t from, end;
	enum write_kind kind;
	bool keep_size;
};

/* Pass over a hole that a punch begins with. 1: done, go on. */
static int pass_hole(struct lane *lane, struct allocate_op *op, struct sm_inode *sm)
{
	struct map_pos pos = { .left = 0 };
	struct map_run run;
	uint64_t p = op->from / DAXFS_PAGE_SIZE;
	int rc = map_run(lane, sm, p, &pos, &run);

	if (rc || run.data || run.pages < 2)
		return rc;
	op->from = (p + run.pages) * DAXFS_PAGE_SIZE;
	return 1;
}

static int change(struct lane *lane, struct write_txn *txn)
{
	int rc;

	if (write_txn_must_prune(txn)) {
		rc = prune(lane, txn->sm);
		return rc ? rc : -EAGAIN;
	}
	record_begin(lane, OP_WRITE);
	rc = write_txn_survey(lane, txn);
	if (rc == 0 && !write_txn_changes(txn))
		return record_abort(lane, 0);
	if (rc == 0)
		rc = write_txn_stage(lane, txn, NULL);
	rc = rc ? record_abort(lane, rc) : record_commit(lane);
	if (rc == 0)
		inode_changed(lane, txn->sm);
	return rc;
}

static int allocate_piece(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct allocate_op *op = arg;
	struct write_txn txn;
	int rc = write_txn_start_kind(lane, op->ino, op->from, op->end - op->from, op->kind, op->keep_size, &txn);

	if (rc >= 0 && txn.source)
		return cache_writes(fs, txn.source) ? -EOPNOTSUPP : -EROFS;
	if (rc > 0)
		op->from = op->end; /* beyond the end of the file */
	if (rc == 0 && op->kind == PUNCHES)
		rc = pass_hole(lane, op, txn.sm);
	if (rc > 0)
		return 0;
	if (rc == 0)
		rc = change(lane, &txn);
	if (rc == 0) /* what others append meanwhile is not part of it */
		op->from = op->keep_size && txn.end >= size_bytes(txn.size) ? op->end : txn.end;
	return rc;
}

int daxfs_allocate(struct daxfs *fs, daxfs_ino ino, uint64_t offset, uint64_t len, enum daxfs_allocate what,
		   bool keep_size)
{
	struct allocate_op op = {
		.ino = ino,
		.from = offset,
		.end = offset + len,
		.kind = what == DAXFS_PUNCH  ? PUNCHES
			: what == DAXFS_ZERO ? WRITES
					     : FILLS,
		.keep_size = keep_size || what == DAXFS_PUNCH,
	};
	int rc = fs_ready(fs);

	if (rc)
		return rc;
	if (len == 0 || (unsigned)what > DAXFS_PUNCH)
		return -EINVAL;
	if (offset > DAXFS_FILE_MAX || len > DAXFS_FILE_MAX - offset) {
		if (!op.keep_size)
			return -EFBIG;
		if (offset >= DAXFS_FILE_MAX)
			return 0;
		op.end = DAXFS_FILE_MAX;
	}
	while (rc == 0 && op.from < op.end)
		rc = fs_run(fs, allocate_piece, &op);
	return rc;
}
