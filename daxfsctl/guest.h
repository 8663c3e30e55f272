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
	pthread_t heart, recoverer; /* two: a recovery may take longer than a silence may */
	bool beats, recovers;       /* they were started */
	atomic_bool stop, dead;
};

/* -EBUSY: no slot is free; and other errors of daxfs_join_as. */
int guest_come(struct guest *g, struct daxfs *fs, const char *command, struct daxfs_error *err);
/* In one slot, and for who calls daxfs_recover: that is of one thread, so nothing is recovered but by it. */
int guest_come_to(struct guest *g, struct daxfs *fs, unsigned slot, const char *command, struct daxfs_error *err);
/* In the slot of a dead host, which is recovered: errors of daxfs_revive. */
int guest_revive(struct guest *g, struct daxfs *fs, unsigned slot, const char *command, struct daxfs_recovery *report,
		 struct daxfs_error *err);
/* Leave the pool. -ESTALE: declared dead meanwhile. */
int guest_go(struct guest *g);

#endif
