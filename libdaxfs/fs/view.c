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

#include "fs/cache.h"
#include "fs/heat.h"
#include "fs/write_txn.h"

#define LOOKS 64 /* at a size that keeps changing */

struct daxfs_view {
	struct daxfs *fs;
	struct lane *lane;
	daxfs_ino ino; /* last read since it was renewed, 0: none */
	struct sm_inode *sm;
};

/* a view_read, and where it leads */
struct view_look {
	struct daxfs_view *view;
	daxfs_ino ino;
	uint64_t offset;
	const uint8_t *found;
	ssize_t n;
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
	if (*v->fs->here)
		fs_unpark(v->fs, v->lane);
	free(v);
}

static int renew_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	(void)fs, (void)arg;
	lane_renew(lane);
	return 0;
}

void daxfs_view_renew(struct daxfs_view *v)
{
	if (!*v->fs->here)
		return;
	fs_try(v->fs, v->lane, renew_step, NULL);
	v->ino = 0;
}

/* What is at `offset`, a hole's page if nothing, and how much of it lies together. */
static int find_bytes(struct lane *lane, struct sm_inode *sm, uint64_t offset, const uint8_t **out, uint64_t *together)
{
	struct map_look look = { .page = MAP_HOLE };
	struct map_pos pos;
	int rc = map_find(lane, sm, offset / DAXFS_PAGE_SIZE, &pos);

	if (rc && rc != -ENOENT)
		return rc;
	if (rc == 0)
		map_look(lane, pos.slot, offset / DAXFS_PAGE_SIZE, &look);
	while (look.page != MAP_HOLE && look.behind &&
	       pool_lost(lane->pool, pool_page(lane->pool, look.page), (look.behind + 1ull) * DAXFS_PAGE_SIZE))
		look.behind--; /* up to the page that is lost */
	if (look.page != MAP_HOLE && cache_lost(lane->pool, look.word))
		return -ENODATA;
	if (look.page != MAP_HOLE && pool_lost_page(lane->pool, look.page))
		return txn_broken(&lane->txn);
	if (look.page == MAP_HOLE && link_kind(look.own) != DAXFS_VOID && inode_backed(sm))
		return -ENODATA; /* not read here: storage may be slow, and this lane is announced */
	if (look.page != MAP_HOLE && inode_backed(sm))
		heat_touch(lane->pool, look.page, offset % DAXFS_PAGE_SIZE);
	*out = (look.page == MAP_HOLE ? hole : pool_page(lane->pool, look.page)) + offset % DAXFS_PAGE_SIZE;
	*together = (look.behind + 1ull) * DAXFS_PAGE_SIZE - offset % DAXFS_PAGE_SIZE;
	return 0;
}

/* The inode, found once: until the view is renewed its place is not used again. */
static int find_inode(struct daxfs_view *v, daxfs_ino ino)
{
	struct inode inode;
	int rc;

	if (ino && v->ino == ino)
		return inode_exists(v->lane, v->sm) ? 0 : -ESTALE;
	rc = inode_get_file(v->lane, ino, &inode);
	if (rc)
		return rc;
	v->ino = ino;
	v->sm = inode.sm;
	return 0;
}

/*
 * Bytes and size as they were at one moment. Nothing is cut off a file without another tick of
 * `trunc`, so if that and the size are the same at a second look, they are its bytes.
 * Returns how many, 0 at the end.
 */
static ssize_t look(struct daxfs_view *v, daxfs_ino ino, uint64_t offset, const uint8_t **out)
{
	struct inode inode;
	uint64_t together;
	int rc = find_inode(v, ino);

	for (int i = 0; rc == 0 && i < LOOKS; i++) {
		uint64_t trunc = word_load(v->lane, &v->sm->trunc);
		uint64_t size = word_load(v->lane, &v->sm->size), bytes = size_bytes(size);

		if (offset >= bytes)
			return inode_get(v->lane, ino, &inode);
		rc = find_bytes(v->lane, v->sm, offset, out, &together);
		if (rc == 0 && word_load(v->lane, &v->sm->size) == size && word_load(v->lane, &v->sm->trunc) == trunc)
			return (ssize_t)(bytes - offset < together ? bytes - offset : together);
	}
	return rc ? rc : -EAGAIN;
}

static int look_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct view_look *l = arg;

	(void)fs;
	l->n = lane_alive(lane) ? look(l->view, l->ino, l->offset, &l->found) : -ESTALE;
	return 0;
}

ssize_t daxfs_view_read(struct daxfs_view *v, daxfs_ino ino, uint64_t offset, const void **out)
{
	struct view_look l = { .view = v, .ino = ino, .offset = offset };

	if (!*v->fs->here)
		return -ECHILD;
	fs_try(v->fs, v->lane, look_step, &l);
	if (v->lane->txn.fault) {
		fs_spare(v->fs, v->lane); /* other files may be sound */
		return -EIO;
	}
	if (l.n > 0)
		*out = l.found;
	return l.n;
}
