/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lockwait.h - requests that wait for a lock, without a worker and without a lane.
 *
 * A request that finds a lock in its way is put on a list. One thread, made for
 * the first of them, tries each again, in the order they came: at once when this
 * host gives up a lock, else after a few milliseconds, for other hosts do not
 * tell. It answers those that got their lock or were interrupted.
 */
#ifndef AGENT_LOCKWAIT_H
#define AGENT_LOCKWAIT_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "daxfs/daxfs.h"

#define LOCKWAIT_MIN_MS 5u  /* between two tries; doubled up to ... */
#define LOCKWAIT_MAX_MS 50u /* ... while nothing happens here */

struct waiter;

/* What to do with a request once it need not wait any more; all zero: answer it, and wait as long as it takes. */
struct lockwait_then {
	void (*done)(fuse_req_t req, daxfs_ino ino, const struct lockwait_then *then, int error); /* answers it */
	size_t size;                                                                              /* for done */
	off_t offset;                                                                             /* for done */
	unsigned ms; /* -ETIMEDOUT after that; 0: never */
};

struct lockwait {
	struct daxfs *fs;
	atomic_uint waiting;  /* on a list: without any, there is nobody to tell */
	pthread_mutex_t lock; /* of all below; not held over calls of libdaxfs or libfuse */
	pthread_cond_t changed;
	pthread_t thread;
	bool running, stop, poked;
	struct waiter *arrived, **last; /* in order; the thread takes them from here */
};

void lockwait_init(struct lockwait *w, struct daxfs *fs);
/* Wait with a request that is answered later. -errno: it is not, and still the caller's. */
int lockwait_add(struct lockwait *w, fuse_req_t req, daxfs_ino ino, const struct daxfs_lock *lock,
		 const struct lockwait_then *then);
/* This host gave up a lock: try now. */
void lockwait_poke(struct lockwait *w);
/* When no worker is left, and libfuse still is: whoever waits is told that the mount is gone. */
void lockwait_stop(struct lockwait *w);
void lockwait_fini(struct lockwait *w);

#endif
