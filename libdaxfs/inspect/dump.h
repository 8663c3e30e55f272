/* SPDX-License-Identifier: Apache-2.0 */
/* dump.h - the parts of daxfs_dump. */
#ifndef DAXFS_RECOVER_DUMP_H
#define DAXFS_RECOVER_DUMP_H

#include "daxfs/inspect.h"
#include "inspect/inspect.h"

struct dump {
	const struct pool *pool;
	daxfs_report report;
	void *context;
};

#define DUMP(d, ...) inspect_line((d)->report, (d)->context, __VA_ARGS__)

void dump_super(const struct dump *d);            /* dump.c */
void dump_member(const struct dump *d);           /* dump.c */
void dump_lanes(const struct dump *d);            /* dump_lane.c */
int dump_inode(const struct dump *d, uint64_t i); /* dump_tree.c: -ENOENT: no such index */
int dump_dir(const struct dump *d, uint64_t i);   /* dump_tree.c: also -ENOTDIR */

#endif
