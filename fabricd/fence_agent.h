/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fence_agent.h - fence agents, run beside the event loop.
 *
 * The ClusterLabs interface: a command that reads key=value lines on its
 * standard input (action, plug, and the options of the configuration) and
 * answers with its exit status: 0 for done; of status, 0 for on and 2 for off.
 * Anything else, a signal or a timeout is a failure. At most one agent a host
 * is waited for; it is killed, with all that it started in its process group, when it
 * is stopped or late, and when fabricd dies (keeper.h).
 *
 * Of several levels (fence_level.h) the next is tried when one has failed to cut a
 * host off, and status is asked of the one that said it had.
 *
 * What an agent writes goes to the log, with its name, AGENT_LINES lines of it at most; the last
 * line is kept, for whoever asks why a host is not fenced.
 *
 * One thread, on the default event loop (child watchers demand it). SIGPIPE
 * must be ignored: an agent may end without reading.
 */
#ifndef FABRICD_AGENT_H
#define FABRICD_AGENT_H

#include <ev.h>

#include "fabricd/decide.h"
#include "fabricd/options.h"

#define AGENT_LINES 20u
#define AGENT_SAID_BYTES 120u

typedef void (*agent_done)(void *context, unsigned host, enum decide_result result, uint32_t ms);

struct agent;

/* A host's status, asked for by the operator. */
struct agents_test {
	unsigned host, running;
	bool asked, failed;
	char text[400]; /* what each level answered */
};

struct agents {
	struct ev_loop *loop;
	const struct options *options;
	agent_done done;
	void *context;
	struct agent *first;                           /* all that have not been reaped */
	unsigned level[DECIDE_HOSTS_MAX];              /* that is tried, or did it */
	char plug[DECIDE_HOSTS_MAX][64];               /* that was last to be switched off */
	bool on_again[DECIDE_HOSTS_MAX];               /* once the agent that was at it has ended */
	char said[DECIDE_HOSTS_MAX][AGENT_SAID_BYTES]; /* last, by the last one that failed; empty: none did */
	struct agents_test test;
	ev_timer monitor;
	unsigned monitored;                          /* rounds so far; which host is asked */
	char broken[FENCE_LEVELS][AGENT_SAID_BYTES]; /* of each level: why its last monitor failed, empty: it did not */
};

void agents_init(struct agents *agents, struct ev_loop *loop, const struct options *options, agent_done done,
		 void *context);
/* Can each level's agent be run? -ENOENT or the like with *err. */
int agents_check(const struct options *options, struct daxfs_error *err);
/* From now on, and again and again, ask each agent whether it could work (action monitor). */
void agents_monitor(struct agents *agents);
/*
 * Start off (or status) for the host with that name. done is called once, when
 * it ends, is late, or could not be run at all - the last from within this call.
 */
void agents_start(struct agents *agents, unsigned host, const char *plug, bool off);
/* The host was cut off, and is FENCED: switch it on again, if that is wanted. Nobody waits for it. */
void agents_fenced(struct agents *agents, unsigned host, const char *plug);
/*
 * The host is over by another's proof, while an agent was to switch it off, or had: that one is stopped, and when it
 * has ended the machine is switched on again, if the action would have done so (cycle, reboot). Nobody waits for it.
 */
void agents_over(struct agents *agents, unsigned host);
/* Ask each level for the status of a host; see test. Cuts nobody off. */
void agents_test(struct agents *agents, unsigned host, const char *plug);
/* Kill the agent of that host, if one runs; done is not called. */
void agents_stop(struct agents *agents, unsigned host);
void agents_stop_all(struct agents *agents);
/* Kill all and forget them; for the end of the process. */
void agents_fini(struct agents *agents);
/* The first agent's name without its directory. */
const char *agent_name(const struct options *options);
/* The same of the one that cut a host off; until agents_fenced. */
const char *agents_name(const struct agents *agents, unsigned host);
/* NULL, or what is wrong with an agent that has not been needed yet. */
const char *agents_broken(const struct agents *agents);

#endif
