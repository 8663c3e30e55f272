/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recover.h - recovers the hosts that were assigned to this one.
 */
#ifndef AGENT_RECOVER_H
#define AGENT_RECOVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "daxfs/daxfs.h"

struct recover {
	/* set by the caller */
	struct daxfs *fs;
	int own; /* a host whom nobody is assigned, but who is seen to all the same (self_recover.h); < 0: none */

	/* read by anyone */
	atomic_uint recovered; /* hosts, since the start */
	atomic_int error;      /* of the last attempt */

	/* private */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop; /* under lock */
};

/* One attempt, which says what came of it. Who has not started the thread makes them. */
void recover_once(struct recover *r);
int recover_start(struct recover *r);
/* Waits for a recovery in progress: it is short, and better done than handed on. */
void recover_stop(struct recover *r);

#endif
