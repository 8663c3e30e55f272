/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manager.c - fabricd in a pod: its watch.c and decide*.c on the simulated
 * pool, its polls in virtual time. Here is what they need of the rest of
 * fabricd: fence agents (they cut machines off, or fail, hang and lie), the guard
 * (polls that cannot read the pool), the log. Whatever a fence agent says is
 * told between two polls, as the event loop does.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "machine/arena.h"
#include "common/log.h"
#include "fabricd/sigbus.h"
#include "fabricd/monitor.h"
#include "pod/pod.h"

#define AGENTS_MAX 64u
#define FENCE_TIMEOUT_NS (40 * HEARTBEAT_NS)

/* a fence agent at work */
struct job {
	bool used, off, done, cuts;
	unsigned manager, slot, machine;
	uint64_t began_ns, due_ns;
	enum decide_result result;
};

static struct managers {
	struct watch watch[MANAGERS];
	struct agents agents[MANAGERS];
	struct options options;
	unsigned unreadable[MANAGERS];                  /* guarded calls that will fail */
	bool again[MANAGERS][MACHINES_MAX + SPARE_MAX]; /* orders of the operator */
	unsigned heartbeat_ms[MANAGERS];                /* the same: to change to */
	unsigned starts;
	struct job job[AGENTS_MAX];
	unsigned fail, hang, on, lie; /* of the next agents */
} managers;

int __wrap_pool_map_member(const char *path, bool writable, struct pool *pool, struct daxfs_error *err);

/* The members' part of the pool is in the simulated memory like all of it. */
int __wrap_pool_map_member(const char *path, bool writable, struct pool *pool, struct daxfs_error *err)
{
	(void)path;
	int rc = pool_attach(memory_base(), pod.size, pool, err);

	pool->writable = writable;
	return rc;
}

/* -- the log ------------------------------------------------------------------------- */

static void say(const char *format, va_list args)
{
	char text[256], who[48] = "";

	if (!trace_wanted())
		return;
	vsnprintf(text, sizeof(text), format, args);
	if (actor_current())
		actor_text(actor_current(), who, sizeof(who));
	trace_line("%s says: %s", who, text);
}

#define SAY(format)                                                                                                    \
	do {                                                                                                           \
		va_list args;                                                                                          \
		va_start(args, format);                                                                                \
		say(format, args);                                                                                     \
		va_end(args);                                                                                          \
	} while (0)

void log_note(const char *format, ...)
{
	SAY(format);
}

void log_warn(const char *format, ...)
{
	SAY(format);
}

void log_fail(const char *format, ...)
{
	SAY(format);
}

void log_event(const struct log_event *event, const char *format, ...)
{
	(void)event;
	SAY(format);
}

/* -- the guard ------------------------------------------------------------------------- */

int guard_install(void)
{
	return 0;
}

int guard_run(void (*run)(void *context), void *context)
{
	unsigned *unreadable = &managers.unreadable[actor_current()->machine];

	if (*unreadable) {
		--*unreadable;
		return -EIO;
	}
	run(context);
	return 0;
}

/* -- fence agents -------------------------------------------------------------------------- */

const char *agent_name(const struct options *options)
{
	return options->fence[0].agent;
}

const char *agents_name(const struct agents *agents, unsigned host)
{
	(void)agents;
	(void)host;
	return managers.options.fence[0].agent;
}

static int machine_named(const char *plug)
{
	int machine = !strncmp(plug, "host", 4) && plug[4] ? atoi(plug + 4) : -1;

	return machine >= 0 && (unsigned)machine < pod.machines ? machine : -1;
}

static bool takes(unsigned *times)
{
	if (!*times)
		return false;
	--*times;
	return true;
}

/*
 * A lie is told of a machine whose process has ended by itself or makes way for
 * the next one, or that runs and beats: not of one that stands still, whose
 * counter would not give the lie away. Nothing but the fence guards against that.
 */
static bool lies(const struct job *job)
{
	struct machine *m = &pod.machine[job->machine];
	bool tenant = m->process != PROCESS_NONE && m->slot == job->slot;
	bool late = actor_of(ACTOR_AGENT, job->machine, 0)->wake_ns > pod.now_ns + HEARTBEAT_NS;

	if (m->fence_lies)
		return true;
	if (!job->off || !m->on || (tenant && (m->process != PROCESS_JOINED || m->withheld || late)) ||
	    m->paused_ns > pod.now_ns || !takes(&managers.lie))
		return false;
	m->fence_lies = true;
	pod.tallies->fault[FAULT_FENCE_LIE]++;
	return true;
}

static void outcome(struct job *job)
{
	bool lie = lies(job) || (mutants_no_cut() && pod.machine[job->machine].process == PROCESS_JOINED);

	job->due_ns = pod.now_ns + rng_below(&pod.fences, pod.fence_ns);
	job->result = job->off ? RESULT_OFF_DONE : RESULT_STATUS_OFF;
	job->cuts = job->off && !lie;
	if (lie)
		return;
	if (takes(&managers.fail)) {
		job->cuts = job->off && rng_chance(&pod.fences, 3); /* done, but not said */
		job->result = RESULT_FAILED;
		pod.tallies->fault[FAULT_FENCE_FAIL]++;
	} else if (takes(&managers.hang)) {
		job->cuts = false;
		job->result = RESULT_FAILED;
		job->due_ns = pod.now_ns + FENCE_TIMEOUT_NS;
		pod.tallies->fault[FAULT_FENCE_HANG]++;
	} else if (job->off && takes(&managers.on)) {
		job->cuts = false;
		pod.tallies->fault[FAULT_FENCE_ON]++;
	}
}

void agents_start(struct agents *agents, unsigned host, const char *plug, bool off)
{
	unsigned i = 0, manager = (unsigned)(agents - managers.agents);
	int machine = machine_named(plug);

	if (pod.at_home && machine == (int)manager && pod.machine[manager].on && !pod.damaged)
		pod_violation("manager %u has the machine cut off that it runs on", manager);
	if (peek_word(&pod.pool.member->manager.word) >> 32 != manager_epoch(manager) && !pod.damaged)
		pod_violation("manager %u, deposed, starts a fence agent for slot %u, %s", manager, host, plug);
	agents_stop(agents, host);
	while (i < AGENTS_MAX && managers.job[i].used)
		i++;
	if (i == AGENTS_MAX || machine < 0) {
		if (!pod.damaged)
			pod_violation("a fence agent for slot %u, plug \"%s\": no such machine", host, plug);
		return;
	}
	managers.job[i] = (struct job){
		.used = true,
		.off = off,
		.manager = manager,
		.slot = host,
		.machine = (unsigned)machine,
		.began_ns = pod.now_ns,
	};
	outcome(&managers.job[i]);
	trace_line("manager %u: agent %s %s", manager, off ? "off" : "status", plug);
}

void agents_fenced(struct agents *agents, unsigned host, const char *plug)
{
	(void)agents;
	(void)host;
	(void)plug;
}

void agents_over(struct agents *agents, unsigned host)
{
	agents_stop(agents, host);
}

void agents_stop(struct agents *agents, unsigned host)
{
	for (unsigned i = 0; i < AGENTS_MAX; i++)
		if (&managers.agents[managers.job[i].manager] == agents && managers.job[i].slot == host)
			managers.job[i].used = false;
}

void agents_stop_all(struct agents *agents)
{
	for (unsigned i = 0; i < AGENTS_MAX; i++)
		if (&managers.agents[managers.job[i].manager] == agents)
			managers.job[i].used = false;
}

static void finish_job(struct job *job)
{
	bool was_on = pod.machine[job->machine].on;

	job->done = true;
	if (job->cuts)
		machine_off(job->machine, draw_fate(&pod.fences, job->machine));
	/* With slow agents it may be on again before its status is asked: in the end somebody waits with that. */
	if (job->cuts && pod.liveness)
		pod.machine[job->machine].restart_ns += 2 * pod.fence_ns;
	if (!job->off && job->result == RESULT_STATUS_OFF && was_on && !mutants_no_cut() &&
	    !pod.machine[job->machine].fence_lies)
		job->result = RESULT_STATUS_ON;
}

void fences_due(void)
{
	for (unsigned i = 0; i < AGENTS_MAX; i++) {
		struct job *job = &managers.job[i];

		if (job->used && !job->done && job->due_ns <= pod.now_ns)
			finish_job(job);
	}
}

uint64_t fences_next(void)
{
	uint64_t next = FOREVER;

	for (unsigned i = 0; i < AGENTS_MAX; i++)
		if (managers.job[i].used && !managers.job[i].done && managers.job[i].due_ns < next)
			next = managers.job[i].due_ns;
	return next;
}

void fences_misbehave(enum fault_kind kind, unsigned times)
{
	unsigned *what = kind == FAULT_FENCE_FAIL   ? &managers.fail
			 : kind == FAULT_FENCE_HANG ? &managers.hang
			 : kind == FAULT_FENCE_ON   ? &managers.on
						    : &managers.lie;

	*what += times;
}

void fences_behave(void)
{
	managers.fail = managers.hang = managers.on = managers.lie = 0;
	for (unsigned i = 0; i < MANAGERS; i++)
		managers.unreadable[i] = 0;
}

/* -- polls ------------------------------------------------------------------------------------ */

static void hear(unsigned i)
{
	for (unsigned k = 0; k < AGENTS_MAX; k++) {
		struct job *job = &managers.job[k];

		if (!job->used || !job->done || job->manager != i)
			continue;
		job->used = false;
		watch_agent_done(&managers.watch[i], job->slot, job->result,
				 (uint32_t)((job->due_ns - job->began_ns) / 1000000));
	}
}

/* Only a primary is in charge. */
static void obey(unsigned i)
{
	for (unsigned slot = 0; slot < pod.pool.super.hosts; slot++) {
		bool again = managers.again[i][slot];

		managers.again[i][slot] = false;
		if (!again || !manager_primary(i) || watch_again(&managers.watch[i], slot))
			continue;
		pod.died[slot] = 0;
		pod.tallies->given_up++;
	}
}

/* daxfsctl heartbeat, on this machine: whoever is in charge. The longest is what the agent of a guest asks for. */
static void change_heartbeat(unsigned i)
{
	struct daxfs_member *m = managers.watch[i].member;
	unsigned ms = managers.heartbeat_ms[i];
	struct daxfs_timing was;
	struct daxfs_error err;
	int rc;

	managers.heartbeat_ms[i] = 0;
	if (!ms)
		return;
	rc = ms == LENGTHENED_MS ? daxfs_member_lengthen(m, ms, &was, &err) : daxfs_member_heartbeat(m, ms, &err);
	if (rc && !pod.damaged)
		pod_violation("the heartbeat cannot be changed: %s", err.text);
}

static long manager_main(void *arg)
{
	struct actor *a = arg;
	struct watch *w = &managers.watch[a->machine];
	struct daxfs_error err;
	uint64_t due = pod.now_ns, period_ns;

	if (watch_open(w, &managers.options, &managers.agents[a->machine], &err)) {
		if (!pod.damaged)
			pod_violation("manager %u: %s", a->machine, err.text);
		return 0;
	}
	for (;;) {
		hear(a->machine);
		obey(a->machine);
		change_heartbeat(a->machine);
		w->here = pod.at_home ? machine_identity(a->machine) : (struct daxfs_identity){ .pid = 0 };
		watch_poll(w);
		period_ns = w->decide.heartbeat_ms * 1000000ull;
		due = due + period_ns > pod.now_ns ? due + period_ns : pod.now_ns + period_ns;
		actor_sleep(a, due);
	}
	return 0;
}

void managers_reset(void)
{
	memset(&managers, 0, sizeof(managers));
	strcpy(managers.options.pool, "pool");
	strcpy(managers.options.fence[0].agent, "fence_sim");
	managers.options.boot_wait_s = pod.seed & 8 ? 2 : 0;
}

void manager_start(unsigned i)
{
	managers.starts++;
	agents_stop_all(&managers.agents[i]);
	actor_start(actor_of(ACTOR_MANAGER, i, 0), MANAGER_CACHE(i), manager_main);
	trace_line("manager %u starts", i);
}

/* The process and its agents; agents that have done their work have done it. */
void manager_end(unsigned i)
{
	struct actor *a = actor_of(ACTOR_MANAGER, i, 0);

	if (a->used)
		run_free(&a->run);
	a->used = false;
	agents_stop_all(&managers.agents[i]);
}

unsigned managers_started(void)
{
	return managers.starts;
}

bool manager_primary(unsigned i)
{
	return actor_of(ACTOR_MANAGER, i, 0)->used && managers.watch[i].decide.role == DECIDE_PRIMARY;
}

uint32_t manager_epoch(unsigned i)
{
	return managers.watch[i].decide.epoch;
}

/* Between two polls, as from the control socket. */
void manager_order(unsigned i, unsigned slot, bool confirm)
{
	struct watch *w = &managers.watch[i];
	enum decide_order order = confirm ? ORDER_CONFIRM : ORDER_FENCE;

	if (actor_of(ACTOR_MANAGER, i, 0)->used && !decide_refuses(&w->decide, slot, order))
		watch_order(w, slot, order);
}

void manager_heartbeat(unsigned i, unsigned ms)
{
	managers.heartbeat_ms[i] = ms;
}

void manager_again(unsigned i, unsigned slot)
{
	managers.again[i][slot] = true;
}

void manager_unreadable(unsigned i, unsigned polls)
{
	managers.unreadable[i] += polls;
}
