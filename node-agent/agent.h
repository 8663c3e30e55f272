/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.h - the life of one agent, from its options to its exit status.
 */
#ifndef AGENT_AGENT_H
#define AGENT_AGENT_H

#include <signal.h>

#include "node-agent/config.h"

#define AGENT_NAME "daxfs-node-agent"
#define AGENT_LOG_PATIENCE_MS 200 /* far below the silence that the pod takes for death */

/* From the supervisor to the process that serves: end where you are, another one goes on. */
#define AGENT_REPLACE SIGUSR2
#define AGENT_REPLACE_NS 500000000L /* then it is killed */
#define AGENT_AWAY_MS 10000u        /* the pod is asked to wait for the next one so long */

enum agent_exit {
	AGENT_EXIT_OK = 0,     /* stopped when asked; unmounted, left the pool */
	AGENT_EXIT_FAILED = 1, /* see the log */
	AGENT_EXIT_USAGE = 2,  /* bad option, config file or host number */
	AGENT_EXIT_DEAD = 3,   /* declared dead by the pod; start again once it is recovered */
	AGENT_EXIT_POOL = 4,   /* the pool cannot be used */
	AGENT_EXIT_BUSY = 5,   /* the host slot is taken by another tenant */
	AGENT_EXIT_MOUNT = 6,  /* the mount point or /dev/fuse cannot be used */
};

/* Runs until told to stop; returns an enum agent_exit. Once a process. (supervisor.c) */
int agent_run(const struct config *config);

struct estate;
/* Serve, or go on serving, until told to stop, in a process made for it (agent.c). The slot is its parent's. */
enum agent_exit agent_live(const struct config *config, struct estate *estate, const char *mountpoint,
			   const struct daxfs_identity *identity);

#endif
