/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.h - fence agents, run beside the event loop.
 *
 * The ClusterLabs interface: a command that reads key=value lines on its
 * standard input (action, plug, and the options of the configuration) and
 * answers with its exit status: 0 for done; of status, 0 for on and 2 for off.
 * Anything else, a signal or a timeout is a failure. At most one agent a host
 * is waited for; it runs in its own process group, which dies with it when it
 * is stopped or late.
 *
 * One thread, on the default event loop (child watchers demand it). SIGPIPE
 * must be ignored: an agent may end without reading.
 */
#ifndef FABRICD_AGENT_H
#define FABRICD_AGENT_H

#include <ev.h>

#include "fabricd/decide.h"
#include "fabricd/options.h"

typedef void (*agent_done)(void *context, unsigned host, enum decide_result result, uint32_t ms);

struct agent;

struct agents {
	struct ev_loop *loop;
	const struct options *options;
	agent_done done;
	void *context;
	struct agent *first; /* all that have not been reaped */
};

void agents_init(struct agents *agents, struct ev_loop *loop, const struct options *options, agent_done done,
		 void *context);
/*
 * Start off (or status) for the host with that name. done is called once, when
 * it ends, is late, or could not be run at all - the last from within this call.
 */
void agents_start(struct agents *agents, unsigned host, const char *plug, bool off);
/* Kill the agent of that host, if one runs; done is not called. */
void agents_stop(struct agents *agents, unsigned host);
void agents_stop_all(struct agents *agents);
/* Kill all and forget them; for the end of the process. */
void agents_fini(struct agents *agents);
/* The agent's name without its directory. */
const char *agent_name(const struct options *options);

#endif
