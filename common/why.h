/* SPDX-License-Identifier: Apache-2.0 */
/*
 * why.h - one-line reasons for the failures of the programs' own code.
 *
 * The library fills struct daxfs_why for its calls; this does so for a program's.
 */
#ifndef COMMON_WHY_H
#define COMMON_WHY_H

#include "daxfs/daxfs.h"

/* Fill *why, which may be NULL, and return error: `return why_say(why, -EINVAL, "...", ...)`. */
int why_say(struct daxfs_why *why, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
