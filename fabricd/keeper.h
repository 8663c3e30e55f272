/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper.h - a process between fabricd and a fence agent, so that no agent outlives fabricd.
 *
 * A fence that was started by a manager that is dead would be delivered late: to the next tenant.
 * The keeper has the agent in a process group of its own, and one end of a pipe, of
 * which fabricd alone has the other. When that is closed, by fabricd or by its end, the keeper kills
 * the group; when the agent ends, whatever it left running. It exits as the agent did.
 *
 * What leaves the group (setsid) is not found.
 */
#ifndef FABRICD_KEEPER_H
#define FABRICD_KEEPER_H

#include <sys/types.h>

struct keeper {
	pid_t pid;  /* of the keeper, a child of ours */
	int alive;  /* close it: the agent is killed */
	int output; /* what the agent and what it starts write, not blocking */
};

/* Run program, which is to read input. 0 or -errno. */
int keeper_start(const char *program, const char *input, size_t len, struct keeper *out);

#endif
