/* SPDX-License-Identifier: Apache-2.0 */
/* pair_times.c - of pair.c: a change of a file, and somebody who looks at its times (fs/times.c). */
#include "weak/pair_times.h"

#include "fs/fs.h"
#include "machine/world.h"

#define WAS (UINT64_C(1) << 62) /* later than the clock */

static struct sm_inode *root(uint64_t host)
{
	return &world.fs[host]->pool.inodes[DAXFS_ROOT_INO];
}

static struct lane *lane(unsigned host)
{
	return &world.fs[host]->slots[0].lane;
}

static long set(void *arg)
{
	const uint64_t *flags = arg;

	sm_store(&root(0)->mtime, WAS);
	sm_store(&root(0)->ctime, WAS | *flags);
	sm_store(&root(0)->rdev, 0);
	return 0;
}

static bool set_up(uint64_t flags)
{
	return run_all(0, set, &flags, NULL, NULL) == RUN_RETURNED;
}

bool times_unseen(void)
{
	return set_up(0);
}

bool times_seen(void)
{
	return set_up(DAXFS_CTIME_LOOKED);
}

long times_change(void *arg)
{
	(void)arg;
	sm_cas(&root(0)->rdev, 0, 1); /* as a record is decided: by a CAS */
	return !inode_touch_again(lane(0), root(0), true);
}

long times_look(void *arg)
{
	struct daxfs_attr attr;

	(void)arg;
	inode_look(lane(1), root(1), &attr);
	return sm_load(&root(1)->rdev) == 0;
}

long times_move(void *arg)
{
	(void)arg;
	inode_touch(lane(0), root(0), true);
	return 0;
}

static bool is_old(struct timespec t)
{
	uint64_t was;

	return time_encode(&t, &was) == 0 && was == WAS;
}

long times_look_half(void *arg)
{
	struct daxfs_attr attr;

	(void)arg;
	inode_look(lane(1), root(1), &attr);
	return is_old(attr.ctime) && !is_old(attr.mtime);
}

long times_rely(void *arg)
{
	struct daxfs_attr attr;

	(void)arg;
	if (!inode_touch(lane(1), root(1), true))
		inode_touch_again(lane(1), root(1), true);
	inode_look(lane(1), root(1), &attr);
	return is_old(attr.ctime) || is_old(attr.mtime);
}
