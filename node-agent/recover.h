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

	/* read by anyone */
	atomic_uint recovered; /* hosts, since the start */

	/* private */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop; /* under lock */
};

/* A line of the log. */
void recover_log(const struct daxfs_recovery *report);
int recover_start(struct recover *r);
/* Waits for a recovery in progress: it is short, and better done than handed on. */
void recover_stop(struct recover *r);

#endif
