/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest.h - daxfsctl as a host of the pod for a while: in a free slot, with a heartbeat.
 *
 * Its name is that of the command, the machine and the process: backup@alpha.811, for status and the pool's events.
 *
 * It does what is asked of a host meanwhile: it recovers others when they are assigned to it. A guest that is killed
 * leaves its slot with its machine's identity, so that fabricd, or the next agent that starts there, can prove it dead
 * without a fence agent, which would not know its name.
 */
#ifndef DAXFSCTL_GUEST_H
#define DAXFSCTL_GUEST_H

#include <pthread.h>
#include <stdatomic.h>

#include "daxfs/daxfs.h"

struct guest {
	struct daxfs *fs;
	pthread_t thread;
	atomic_bool stop, dead;
};

/* -EBUSY: no slot is free; and other errors of daxfs_join_as. */
int guest_come(struct guest *g, struct daxfs *fs, const char *command, struct daxfs_error *err);
/* Leave the pool. -ESTALE: declared dead meanwhile. */
int guest_go(struct guest *g);
/* Join one slot as such a guest, for a moment and without a heartbeat of its own. Errors of daxfs_join_as. */
int guest_join(struct daxfs *fs, unsigned slot, const char *command, struct daxfs_error *err);

#endif
