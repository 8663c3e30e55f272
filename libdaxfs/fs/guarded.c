/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guarded.c - work on the pool without a lane: a load that fails in it ends it, and the page is listed.
 *
 * Nothing of it is in a record, so there is nothing to mend: what is half done then is the caller's business. With a
 * lane it is fs_run and fs_try (lane_pool.c).
 */
#include <errno.h>

#include "fs/fs.h"
#include "mem/guard.h"

int fs_look_on(struct daxfs *fs, struct shm_guard *guard, int (*look)(void *arg), void *arg)
{
	int rc = 0;

	do {
		guard->hit = false;
		rc = shm_guard_run(guard, look, arg);
	} while (guard->hit &&
		 (trouble_add_page(&fs->pool, guard->offset) > 0 || trouble_note_page(&fs->pool, guard->offset)));
	return rc;
}

int fs_look(struct daxfs *fs, int (*look)(void *arg), void *arg)
{
	struct shm_guard guard = shm_guard_of(&fs->pool.shm);

	return fs_look_on(fs, &guard, look, arg);
}

int fs_guarded(struct daxfs *fs, int (*work)(void *arg), void *arg)
{
	struct shm_guard guard = shm_guard_of(&fs->pool.shm);
	int rc = shm_guard_run(&guard, work, arg);

	if (guard.hit)
		trouble_add_page(&fs->pool, guard.offset);
	return rc;
}

int daxfs_guard(struct daxfs *fs, int (*use)(void *context), void *context)
{
	return *fs->here ? fs_guarded(fs, use, context) : -ECHILD;
}
