/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session.h - the mount: a FUSE connection and the workers that serve it.
 */
#ifndef AGENT_SESSION_H
#define AGENT_SESSION_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "node-agent/mount_options.h"
#include "node-agent/ops.h"

struct session {
	/* set by the caller */
	char mountpoint[PATH_MAX];    /* as mountpoint_prepare() made it */
	unsigned threads;             /* workers at most */
	struct mount_options options; /* of mountpoint_mount() */
	unsigned lease_ms;            /* of the pool */
	enum kernel_keeps keeps;      /* of what there are leases for */
	struct dropper *dropper;      /* a process, if data is to be kept */
	struct estate *estate;        /* with the connection, and what a former life has left */
	struct ops ops;               /* fs, host, timeout_s, backings */
	void (*ready)(void *context); /* in a thread: the mount is served */
	void (*ended)(void *context); /* in a thread: nobody serves the mount any more */
	void *context;

	/* read by anyone */
	atomic_int error; /* of the workers, once ended */
	atomic_bool over; /* ended: the kernel has forgotten the mount */

	/* private */
	_Atomic(struct fuse_session *) se;
	struct channel channel;
	pthread_t thread;
};

/* Mount and serve, or go on with the mount of a former life. Either all or nothing is left behind. */
int session_start(struct session *s, struct daxfs_error *err);
/*
 * Unmount, finish the requests in progress, end the workers. A lazily unmounted
 * filesystem still has users: they wait until session_free().
 */
void session_stop(struct session *s);
/* Stopped as it is, threads of it wait for storage that does not answer: nothing is to be freed. */
bool session_is_stuck(const struct session *s);
void session_free(struct session *s);
/*
 * From any thread between start (while it runs, too) and free; never waits: no
 * new request is taken, the mount is gone.
 */
void session_abandon(struct session *s);

#endif
