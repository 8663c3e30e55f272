/* SPDX-License-Identifier: Apache-2.0 */
/* piece.h - one record's worth of a write: composed in file.c, filled by its user in draft.c. */
#ifndef DAXFS_FS_PIECE_H
#define DAXFS_FS_PIECE_H

#include "fs/fs.h"

#define PIECE_PAGES (DAXFS_ATOMIC_WRITE_MAX / DAXFS_PAGE_SIZE + 1)
#define NODES_MAX (2 * DAXFS_INDIRECT) /* a piece crosses one border at most */

struct file_op {
	daxfs_ino ino;
	uint8_t *out;       /* read */
	const uint8_t *in;  /* write */
	uint64_t offset;
	size_t len, done;
	bool append;
};

struct piece {
	struct sm_inode *sm;
	uint64_t size, trunc;   /* words as settled */
	uint64_t from, end;     /* bytes */
	unsigned pages;
	bool fills, longer;
	struct {
		sm_u64 *slot;
		uint64_t word;
	} old[PIECE_PAGES];
	unsigned n_nodes;
	struct {
		sm_u64 *slot;   /* that will name it: linked, or in another of these */
		uint64_t word, page;
	} node[NODES_MAX];
};

/* What op->offset + op->done and on, up to a piece, is about. */
int piece_start(struct lane *lane, const struct file_op *op, struct piece *piece);
/* Nobody makes a file longer before what a truncation left is gone (prune). */
static inline bool piece_must_prune(const struct piece *piece)
{
	return piece->longer && size_prune(piece->size);
}
/* With a record begun: which words link its pages, through nodes of ours if need be. */
int piece_survey(struct lane *lane, struct piece *piece);
/* Stage that they link these pages, filled and written back. */
void piece_link(struct lane *lane, const struct piece *piece, const uint64_t *page);

/* Does a link word name a data page? Garbage is a fault. */
bool is_page(struct lane *lane, uint64_t w);

#endif
