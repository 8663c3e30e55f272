/* SPDX-License-Identifier: Apache-2.0 */
/*
 * medium.h - what a pool at a path lies on: a device, memory of this machine, or a disk.
 */
#ifndef DAXFSCTL_MEDIUM_H
#define DAXFSCTL_MEDIUM_H

#include "daxfsctl/ctl.h"

bool medium_is_device(const char *path);
/* A device, or a file of a filesystem on such memory (DAX): loads and stores go there, past the page cache. */
bool medium_past_page_cache(const char *path);
/*
 * A pool on a disk works, but no other machine can share it: the kernel has it in its page cache, and
 * writes it when it likes. One line on ctl->err says so, of a file that is there.
 */
void medium_warn(struct ctl *ctl, const char *path);

#endif
