/* SPDX-License-Identifier: Apache-2.0 */
/* cache_names.c - is there room for names of storage? */
#include "fs/cache.h"

static int count_left(struct daxfs *fs, struct lane *lane, void *arg)
{
	(void)fs;
	*(uint64_t *)arg = space_names_left(lane->pool);
	return 0;
}

int daxfs_names_left(struct daxfs *fs, uint64_t *out)
{
	return fs_run(fs, count_left, out);
}
