/* SPDX-License-Identifier: Apache-2.0 */
/* attach.h - the two halves of pool_attach that mapping needs apart. */
#ifndef DAXFS_MEM_ATTACH_H
#define DAXFS_MEM_ATTACH_H

#include "mem/pool.h"

/* Judge the header of region id of the mapped pool. -EUCLEAN: damaged. */
int attach_region(const struct pool *pool, unsigned id, struct daxfs_error *err);
/* -EPROTONOSUPPORT: since mkfs something was switched on that this program does not know. */
int attach_features(const struct pool *pool, struct daxfs_error *err);
/* Take size, domain and read-only features from pool->super, already valid. */
void attach_super(struct pool *pool);

#endif
