/* SPDX-License-Identifier: Apache-2.0 */
/* repair_found.h - names for what lost its names. */
#ifndef DAXFS_INSPECT_REPAIR_FOUND_H
#define DAXFS_INSPECT_REPAIR_FOUND_H

#include "daxfs/inspect.h"

/* Each inode that is ALIVE with 0 links gets a name in /lost+found. What cannot be named is said, and is left. */
void repair_found(struct daxfs *fs, daxfs_report report, void *context, struct daxfs_repaired *out);

#endif
