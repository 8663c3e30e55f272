/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h - is every structure of a pool what it should be?
 *
 * Reads only. What it reads may hold anything: every index, depth and mark is
 * compared with the limits of the pool before it is followed, each object is
 * entered at most once, so that garbage costs findings and never a crash or a
 * loop. The verdict is exact only while no host changes the pool; work that
 * hosts have in flight (records, marks, PRIVATE objects of slots somebody owns)
 * is not a problem, the same left behind in a slot nobody owns is.
 */
#ifndef DAXFS_RECOVER_CHECK_H
#define DAXFS_RECOVER_CHECK_H

#include "daxfs/inspect.h"
#include "mem/pool.h"

/*
 * report (may be NULL) gets one line a problem, "code: place: what is wrong";
 * the codes are stable and listed in daxfsctl(8). -ENOMEM is the only failure.
 */
struct repair;
/* One pass of a repair: the same, and what is found is repaired (inspect/repair.h); fix may be NULL. */
int check_pass(const struct pool *pool, struct repair *fix, daxfs_report report, void *context,
	       struct daxfs_check *out);
int check_pool(const struct pool *pool, daxfs_report report, void *context, struct daxfs_check *out);

#endif
