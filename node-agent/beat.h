/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beat.h - the heartbeat of this host, in a thread of its own.
 */
#ifndef AGENT_BEAT_H
#define AGENT_BEAT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "daxfs/daxfs.h"

/*
 * A worker may stand still for so long before the heart stops. Long calls go on by batches of
 * microseconds, each of which counts (daxfs_progressing), so this is well over what any batch
 * needs and a loaded machine adds, whatever the size of files and pool. A host whose worker is
 * stuck for longer is as good as dead, and the pod is told so by silence.
 */
#define BEAT_STUCK_MS 10000u

struct beat {
	/* set by the caller */
	struct daxfs *fs;
	_Atomic unsigned period_ms;  /* at first; from then on what the pool says */
	unsigned stuck_ms;           /* BEAT_STUCK_MS */
	bool realtime;               /* SCHED_FIFO, locked stack */
	void (*dead)(void *context); /* in the thread: this host was declared dead; it beats no more */
	void *context;

	/* the thread's; read by anyone */
	atomic_ullong beats;
	atomic_uint late_ms;  /* the latest since somebody took it */
	atomic_bool withheld; /* workers are stuck: not beating */
	atomic_int error;     /* of the last beat: -EIO and the like */
	atomic_int tid;       /* 0: it has not begun */

	/* private */
	atomic_bool stop;
	pthread_t thread;
	void *stack;
};

/*
 * Keep in memory what is mapped now (the program, its libraries, its data) as
 * far as it is used. Call before the pool is mapped: the pool is not to be
 * locked, and its heartbeat line is touched too often to go anywhere.
 * -errno if not permitted.
 */
int beat_lock_memory(void);
/*
 * Start beating. *realtime_error: 0, or why the thread runs at ordinary
 * priority although asked otherwise.
 */
int beat_start(struct beat *b, int *realtime_error);
/* Stop and wait for the thread. Not from the thread itself. */
void beat_stop(struct beat *b);

#endif
