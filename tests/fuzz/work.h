/* SPDX-License-Identifier: Apache-2.0 */
/*
 * work.h - what is done with a damaged pool. Each call may fail with any errno;
 * what comes back must be an errno or make sense, and all must come to an end.
 */
#ifndef TESTS_FUZZ_WORK_H
#define TESTS_FUZZ_WORK_H

#include "daxfs/inspect.h"
#include "mutate.h"

/* Host 0 on the pool as it is; NULL: it was refused. */
struct daxfs *work_begin(struct fixture *s);
void work_end(struct daxfs *fs);
/* One operation, as an item says. */
void work_operate(struct fixture *s, struct daxfs *fs, const struct item *item);
/* Look at everything, by path and without joining. */
void work_inspect(const struct fixture *s);
void work_check(struct daxfs *fs);
void work_recover(struct daxfs *fs, unsigned host);
/* Visit all that has a name and read it. */
void work_walk(struct daxfs *fs);
/* Remove what can be removed. */
void work_clear(struct daxfs *fs);

#endif
