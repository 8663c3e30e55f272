/* SPDX-License-Identifier: Apache-2.0 */
/* identity.h - struct daxfs_identity as the words of a host slot. */
#ifndef DAXFS_MEM_IDENTITY_H
#define DAXFS_MEM_IDENTITY_H

#include "daxfs/daxfs.h"

static inline uint64_t identity_process(const struct daxfs_identity *i)
{
	return (uint64_t)i->began << 32 | i->pid;
}

#endif
