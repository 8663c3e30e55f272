/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.c - pages of files read where they are.
 *
 * A page is never written again while anybody can reach it, so a pointer to it
 * is a copy that costs nothing, for as long as the lane it was found through
 * announces the epoch (sync/epoch.c). A view is such a lane, held by its user.
 * Crash: the announcement stands until recovery, like that of any operation.
 */
#include <errno.h>
#include <stdlib.h>

#include "fs/piece.h"

#define LOOKS 64 /* at a size that keeps changing */

struct daxfs_view {
	struct daxfs *fs;
	struct lane *lane;
	daxfs_ino ino; /* last read since it was renewed, 0: none */
	struct sm_inode *sm;
};

static const uint8_t hole[DAXFS_PAGE_SIZE];

int daxfs_view_open(struct daxfs *fs, struct daxfs_view **out)
{
	struct daxfs_view *v = calloc(1, sizeof(*v));
	int rc;

	if (!v)
		return -ENOMEM;
	v->fs = fs;
	rc = fs_park(fs, &v->lane);
	if (rc) {
		free(v);
		return rc;
	}
	*out = v;
	return 0;
}

void daxfs_view_close(struct daxfs_view *v)
{
	if (!v)
		return;
	fs_unpark(v->fs, v->lane);
	free(v);
}

void daxfs_view_renew(struct daxfs_view *v)
{
	lane_renew(v->lane);
	v->ino = 0;
}

/* The page over `offset`, a hole's if there is none. */
static int find_page(struct lane *lane, struct sm_inode *sm, uint64_t offset, const uint8_t **out)
{
	struct map_pos pos;
	int rc = map_find(lane, sm, offset / DAXFS_PAGE_SIZE, &pos);
	uint64_t w = 0;

	if (rc && rc != -ENOENT)
		return rc;
	if (rc == 0)
		w = word_load(lane, pos.slot);
	*out = rc == 0 && is_page(lane, w) ? pool_page(lane->pool, link_index(w)) : hole;
	return 0;
}

/* The inode, found once: until the view is renewed its place is not used again. */
static int find_inode(struct daxfs_view *v, daxfs_ino ino)
{
	struct inode inode;
	int rc;

	if (v->ino == ino)
		return inode_exists(v->lane, v->sm) ? 0 : -ESTALE;
	rc = inode_get_file(v->lane, ino, &inode);
	if (rc)
		return rc;
	v->ino = ino;
	v->sm = inode.sm;
	return 0;
}

/*
 * Page and size as they were at one moment. Nothing is cut off a file without
 * another size (or version of it), so if that is the same at a second look, page is its page.
 */
static int look(struct daxfs_view *v, daxfs_ino ino, uint64_t offset, const uint8_t **page, uint64_t *bytes)
{
	struct inode inode;
	int rc = find_inode(v, ino);

	for (int i = 0; rc == 0 && i < LOOKS; i++) {
		uint64_t size = word_load(v->lane, &v->sm->size);

		*bytes = size_bytes(size);
		if (offset >= *bytes)
			return inode_get(v->lane, ino, &inode);
		rc = find_page(v->lane, v->sm, offset, page);
		if (rc == 0 && word_load(v->lane, &v->sm->size) == size)
			return 0;
	}
	return rc ? rc : -EAGAIN;
}

ssize_t daxfs_view_read(struct daxfs_view *v, daxfs_ino ino, uint64_t offset, const void **out)
{
	size_t within = offset % DAXFS_PAGE_SIZE;
	const uint8_t *page = NULL;
	uint64_t bytes = 0;
	int rc = lane_alive(v->lane) ? look(v, ino, offset, &page, &bytes) : -ESTALE;

	if (v->lane->fault) {
		v->lane->fault = false; /* other files may be sound */
		return -EIO;
	}
	if (rc || offset >= bytes)
		return rc;
	*out = page + within;
	bytes -= offset;
	return (ssize_t)(bytes < DAXFS_PAGE_SIZE - within ? bytes : DAXFS_PAGE_SIZE - within);
}
