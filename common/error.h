/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h - one-line reasons for the failures of the programs' own code.
 *
 * The library fills struct daxfs_error for its calls; this does so for a program's.
 */
#ifndef COMMON_WHY_H
#define COMMON_WHY_H

#include "daxfs/daxfs.h"

/* Fill *err, which may be NULL, and return error: `return daxfs_error_set(why, -EINVAL, "...", ...)`. */
int daxfs_error_set(struct daxfs_error *err, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
