/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fabricd_pod.h - a scripted pod for the tests of the decisions: beats, agents
 * and operators do as told, and moves are carried out as the pool would.
 */
#ifndef TESTS_UNIT_FABRICD_POD_H
#define TESTS_UNIT_FABRICD_POD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "fabricd/decide.h"
#include "fabricd/timing.h"

#define H 50u

struct pod {
	struct decide d;
	struct decide_input in;
	bool beats[DECIDE_HOSTS_MAX];
	bool deaf_agents; /* agents never report */
	bool bad_agents;  /* agents fail */
	unsigned offs[DECIDE_HOSTS_MAX], statuses[DECIDE_HOSTS_MAX], stops[DECIDE_HOSTS_MAX], overs[DECIDE_HOSTS_MAX];
	unsigned counts[DECIDE_HOSTS_MAX], refused[DECIDE_HOSTS_MAX], moves, stamps, beaten, claims, steps_down, yields;
	struct decide_action last_move[DECIDE_HOSTS_MAX];
	bool off[DECIDE_HOSTS_MAX]; /* as it was moved to FENCED last */
	unsigned polled;
};

#define POLLS_MOST 1000000u /* no test takes nearly so many: what it waits for does not come */

static inline void host_is(struct pod *pod, unsigned i, enum daxfs_host_state state)
{
	struct daxfs_host_view *v = &pod->in.view[i];

	v->state = state;
	v->tenancy = (uint64_t)v->generation << 40 | 1;
	snprintf(v->name, sizeof(v->name), "host%u", i);
	pod->beats[i] = state == DAXFS_HOST_ALIVE;
}

/* Carry out a move as the pool does: the generation ends with FENCED. */
static inline void carry_out_move(struct pod *pod, const struct decide_action *a)
{
	struct daxfs_host_view *v = &pod->in.view[a->host];

	v->generation += a->to == DAXFS_HOST_FENCED;
	v->deaths = a->to == DAXFS_HOST_FENCED ? 0 : v->deaths;
	v->death_counted = false;
	v->state = a->to;
	v->recoverer = a->recoverer;
	v->recoverer_generation = a->recoverer < 0 ? 0
						   : DAXFS_RECOVERER_GENERATION(pod->in.view[a->recoverer].generation);
	v->reason = a->reason;
	v->reason_ms = a->ms;
	pod->last_move[a->host] = *a;
	if (a->to == DAXFS_HOST_FENCED)
		pod->off[a->host] = a->off;
	pod->moves++;
	if (a->to == DAXFS_HOST_FENCED && a->fence_ms)
		decide_fenced(&pod->d, a->host);
}

static inline void agent(struct pod *pod, unsigned host, enum decide_result result)
{
	if (pod->deaf_agents)
		return;
	pod->in.result[host] = pod->bad_agents ? RESULT_FAILED : result;
	pod->in.result_ms[host] = 7;
}

static inline void carry_out(struct pod *pod, const struct decide_action *a)
{
	switch (a->kind) {
	case DECIDE_BEAT:
		pod->beaten++;
		pod->in.manager.beat++;
		break;
	case DECIDE_CLAIM:
		pod->claims++;
		pod->in.manager.epoch++;
		pod->in.manager.pid = 1;
		decide_claimed(&pod->d, pod->in.manager.epoch);
		break;
	case DECIDE_STEP_DOWN: pod->steps_down++; break;
	case DECIDE_YIELD: pod->yields++; break;
	case DECIDE_STANDBY:
	case DECIDE_JUDGE: break;
	case DECIDE_STAMP:
		pod->stamps++;
		pod->in.view[a->host].manager_epoch = pod->d.epoch & 0xfffffff;
		break;
	case DECIDE_COUNT:
		pod->counts[a->host]++;
		pod->in.view[a->host].deaths++;
		pod->in.view[a->host].death_counted = true;
		break;
	case DECIDE_MOVE: carry_out_move(pod, a); break;
	case DECIDE_AGENT_OFF:
		pod->offs[a->host]++;
		agent(pod, a->host, RESULT_OFF_DONE);
		break;
	case DECIDE_AGENT_STATUS:
		pod->statuses[a->host]++;
		agent(pod, a->host, RESULT_STATUS_OFF);
		break;
	case DECIDE_AGENT_STOP: pod->stops[a->host]++; break;
	case DECIDE_AGENT_OVER: pod->overs[a->host]++; break;
	case DECIDE_REFUSED: pod->refused[a->host]++; break;
	}
}

static inline void poll_after(struct pod *pod, unsigned ms)
{
	struct decide_action actions[DECIDE_ACTIONS_MAX];
	unsigned n;

	assert_true(++pod->polled < POLLS_MOST);
	pod->in.now_ms += ms;
	for (unsigned i = 0; i < DECIDE_HOSTS_MAX; i++)
		pod->in.view[i].beat += pod->beats[i];
	n = decide_poll(&pod->d, &pod->in, actions);
	assert_true(n <= DECIDE_ACTIONS_MAX);
	memset(pod->in.result, 0, sizeof(pod->in.result));
	memset(pod->in.order, 0, sizeof(pod->in.order));
	for (unsigned i = 0; i < n; i++)
		carry_out(pod, &actions[i]);
}

static inline void polls(struct pod *pod, unsigned n)
{
	while (n--)
		poll_after(pod, H);
}

/* Primary, windows over, the first `alive` hosts beating. */
static inline void start(struct pod *pod, unsigned hosts, unsigned alive)
{
	memset(pod, 0, sizeof(*pod));
	decide_init(&pod->d, hosts, H);
	pod->in.readable = true;
	pod->in.now_ms = 1000000;
	for (unsigned i = 0; i < DECIDE_HOSTS_MAX; i++) {
		pod->in.view[i] = (struct daxfs_host_view){ .id = i, .generation = 1, .recoverer = -1 };
		pod->in.sensible[i] = true;
	}
	for (unsigned i = 0; i < alive; i++)
		host_is(pod, i, DAXFS_HOST_ALIVE);
	polls(pod, TIMING_WINDOW_POLLS + 2);
	assert_int_equal(pod->d.role, DECIDE_PRIMARY);
	assert_int_equal(pod->claims, 1);
	assert_int_equal(pod->stamps, hosts);
	assert_int_equal(pod->moves, 0);
	assert_null(decide_waits(&pod->d));
}

/* Agents never report, and host 1 of three falls silent: so long after FENCING one is at it. */
static inline void agent_is_deaf(struct pod *pod, unsigned n)
{
	start(pod, 3, 3);
	pod->deaf_agents = true;
	pod->beats[1] = false;
	polls(pod, TIMING_FENCING_POLLS + n);
	assert_int_equal(pod->offs[1], 1);
}

static inline enum daxfs_host_state state_of(const struct pod *pod, unsigned i)
{
	return pod->in.view[i].state;
}

#endif
