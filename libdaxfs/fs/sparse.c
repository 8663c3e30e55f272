/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sparse.c - which pages of a file are there: its blocks, its data and holes.
 *
 * Absent subtrees are passed over in one step, so a hole costs nothing, whatever its
 * size. Dense parts are read word by word. That takes some milliseconds for a
 * gigabyte of single pages, so the walk is done in pieces, between which the lane moves on,
 * and this process remembers the count of a large file, with the size and trunc
 * words for which it was true. A page that is added changes one of these two words, and a page
 * that goes changes trunc (write_txn.c, truncate.c). While a
 * file only grows, what is a piece of a write before its former end need not be counted
 * again.
 */
#include <errno.h>

#include "fs/write_txn.h"

#define RUNS_A_PIECE 65536u /* looks, then the lane moves on */
#define BLOCKS_PER_PAGE (DAXFS_PAGE_SIZE / 512)

static uint64_t pages_of(uint64_t bytes)
{
	return (bytes + DAXFS_PAGE_SIZE - 1) / DAXFS_PAGE_SIZE;
}

/* a walk through a file, in pieces */
struct walk {
	struct inode inode;
	struct map_pos pos;
	unsigned runs;
};

/* What page p is. The lane moves on now and then: then the inode is looked for again. */
static int walk_run(struct lane *lane, struct walk *walk, uint64_t p, struct map_run *run)
{
	int rc;

	if (++walk->runs >= RUNS_A_PIECE && !walk->pos.left) {
		lane_renew(lane);
		walk->runs = 0;
		rc = inode_get(lane, walk->inode.handle, &walk->inode);
		if (rc)
			return rc;
	}
	return map_run(lane, walk->inode.sm, p, &walk->pos, run);
}

/* -- blocks ------------------------------------------------------------------------ */

static struct blocks_entry *place_of(struct daxfs *fs, daxfs_ino ino)
{
	return &fs->blocks.entry[handle_index(ino) % BLOCKS_KNOWN];
}

/* Go on from what is known of the file, as far as that still holds. */
static void recall(struct daxfs *fs, struct blocks_entry *file)
{
	const struct blocks_entry *known = place_of(fs, file->ino);

	file->at = file->before = 0;
	pthread_mutex_lock(&fs->blocks.lock);
	if (known->ino == file->ino && known->trunc == file->trunc &&
	    size_bytes(known->size) <= size_bytes(file->size)) {
		file->at = known->at;
		file->before = known->before;
	}
	pthread_mutex_unlock(&fs->blocks.lock);
}

static void remember(struct daxfs *fs, const struct blocks_entry *file)
{
	pthread_mutex_lock(&fs->blocks.lock);
	*place_of(fs, file->ino) = *file;
	pthread_mutex_unlock(&fs->blocks.lock);
}

/* Count from file->at on; keep the count of what a write that makes it longer does not reach. */
static int count_from(struct lane *lane, struct walk *walk, struct blocks_entry *file)
{
	uint64_t end = pages_of(size_bytes(file->size)), keep = end > PIECE_PAGES ? end - PIECE_PAGES : 0;
	uint64_t pages = file->before;
	struct map_run run;
	int rc = 0;

	for (uint64_t p = file->at; rc == 0 && p < end; p += run.pages) {
		if (p <= keep && p % DAXFS_NODE_SLOTS == 0) {
			file->at = p;
			file->before = pages;
		}
		rc = walk_run(lane, walk, p, &run);
		pages += rc == 0 ? (run.data ? run.pages : 0) + run.node : 0;
	}
	file->pages = pages;
	return rc;
}

static int count_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct blocks_entry *file = arg;
	struct walk walk = { .pos.left = 0 };
	int rc = inode_get_file(lane, file->ino, &walk.inode);

	if (rc)
		return rc;
	file->trunc = word_load(lane, &walk.inode.sm->trunc);
	file->size = word_load(lane, &walk.inode.sm->size);
	recall(fs, file);
	rc = count_from(lane, &walk, file);
	if (rc == 0 && word_load(lane, &walk.inode.sm->trunc) == file->trunc &&
	    word_load(lane, &walk.inode.sm->size) == file->size)
		remember(fs, file);
	return rc;
}

void blocks_fill(struct daxfs *fs, struct daxfs_attr *attr)
{
	struct blocks_entry file;

	if (!attr || attr->blocks != BLOCKS_MANY)
		return;
	file.ino = attr->ino;
	if (fs_run(fs, count_step, &file) == 0)
		attr->blocks = file.pages * BLOCKS_PER_PAGE;
	else /* removed since, or unreadable: that is for who reads it to say */
		attr->blocks = pages_of(attr->size) * BLOCKS_PER_PAGE;
}

/* -- data and holes ---------------------------------------------------------------- */

struct seek_op {
	daxfs_ino ino;
	uint64_t offset;
	bool data;
	uint64_t found;
};

static int seek_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct seek_op *op = arg;
	struct walk walk = { .pos.left = 0 };
	struct map_run run;
	uint64_t size, first = op->offset / DAXFS_PAGE_SIZE, p;
	int rc = inode_get_file(lane, op->ino, &walk.inode);

	(void)fs;
	if (rc)
		return rc;
	size = size_bytes(word_load(lane, &walk.inode.sm->size));
	if (op->offset >= size)
		return -ENXIO;
	for (p = first; p < pages_of(size); p += run.pages) {
		rc = walk_run(lane, &walk, p, &run);
		if (rc)
			return rc;
		if (run.data == op->data)
			break;
	}
	if (p >= pages_of(size) && op->data)
		return -ENXIO;
	op->found = p == first ? op->offset : p * DAXFS_PAGE_SIZE;
	if (op->found > size)
		op->found = size; /* behind the data there is a hole */
	return 0;
}

int daxfs_seek(struct daxfs *fs, daxfs_ino ino, uint64_t offset, enum daxfs_seek what, uint64_t *out)
{
	struct seek_op op = { .ino = ino, .offset = offset, .data = what == DAXFS_SEEK_DATA };
	int rc = fs_run(fs, seek_step, &op);

	if (rc == 0)
		*out = op.found;
	return rc;
}
