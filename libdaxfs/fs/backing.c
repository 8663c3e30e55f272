/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backing.c - storage is attached to a process, and detached.
 *
 * Private to the process, but for two things that others are told: how many pages are cached is counted anew, and that
 * asks of others for that storage are served no more. A crash detaches.
 */
#include <errno.h>

#include "fs/cache.h"
#include "fs/heat.h"
#include "mem/options.h"

int daxfs_backing_attach(struct daxfs *fs, unsigned backing, const struct daxfs_storage *storage)
{
	const size_t least = OPTIONS_UPTO(struct daxfs_storage, patience_ms);
	struct daxfs_storage known;
	int rc = options_take(&known, sizeof(known), least, storage, NULL);

	if (!*fs->here)
		return -ECHILD;
	if (rc == 0 &&
	    (backing >= DAXFS_BACKINGS || !known.read || !known.write != !known.resize || !known.write != !known.sync))
		rc = -EINVAL;
	if (rc == 0)
		rc = cache_storage_set(fs, backing, &known);
	if (rc == 0)
		heat_recount(fs);
	return rc;
}

int daxfs_backing_detach(struct daxfs *fs, unsigned backing)
{
	if (!*fs->here)
		return -ECHILD;
	asks_unserve(fs, backing);
	return cache_storage_unset(fs, backing);
}
