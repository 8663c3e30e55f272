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
 * The heartbeat of a new pool there, where nobody says one; 0: the default. Longer in a guest, for a pool that other
 * machines may share: its hypervisor may take its processors for longer than the default allows. Hosts of a file are
 * processes of this machine, which stop together with whoever judges them. root: as for hypervisor_here.
 */
unsigned medium_heartbeat_ms(const char *path, const char *root);
/*
 * A pool on a disk works, but no other machine can share it: the kernel has it in its page cache, and
 * writes it when it likes. One line on ctl->err says so, of a file that is there.
 */
void medium_warn(struct ctl *ctl, const char *path);

#endif
