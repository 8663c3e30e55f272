/* SPDX-License-Identifier: Apache-2.0 */
/*
 * actor.c - what runs on machines: agents, recoverers; see pod/work.c for
 * workers. A process is what a node-agent is, and is made and ended here.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "machine/arena.h"
#include "fs/fs.h"
#include "mem/process.h"
#include "node-agent/self_recover.h"
#include "pod/locks.h"
#include "pod/store.h"
#include "pod/work.h"

#define STEPS_MAX 600000u /* in which something must come to its end, if nobody else makes progress */
#define STUCK_BEATS 600u
#define REPORTS_MAX 8

bool __wrap_process_gone(uint32_t pid, uint32_t began, uint32_t pids);
int __wrap_daxfs_identity_here(const char *machine_file, const char *boot_file, struct daxfs_identity *out,
			       struct daxfs_error *err);

/* -- actors ---------------------------------------------------------------------- */

struct actor *actor_of(enum actor_kind kind, unsigned machine, unsigned nth)
{
	if (kind == ACTOR_MANAGER)
		return &pod.actor[MACHINES_MAX * (2 + WORKERS_MAX) + machine];
	nth = kind == ACTOR_AGENT ? 0 : kind == ACTOR_RECOVER ? 1 : 2 + nth;
	return &pod.actor[machine * (2 + WORKERS_MAX) + nth];
}

void actor_text(const struct actor *a, char *buf, size_t size)
{
	static const char *const kinds[ACTOR_KINDS] = { "agent", "recoverer", "worker", "manager" };

	if (a->kind == ACTOR_MANAGER)
		snprintf(buf, size, "manager %u", a->machine);
	else
		snprintf(buf, size, "machine %u %s %u", a->machine, kinds[a->kind], a->nth);
}

void actor_start(struct actor *a, unsigned cache, long (*call)(void *arg))
{
	uint64_t priority = rng_next(&pod.life);

	if (a->used)
		run_free(&a->run);
	a->done = false;
	a->pending = NULL;
	a->wake_ns = pod.now_ns;
	a->priority = priority;
	a->recovering = a->napping = false;
	a->single = -1;
	a->used = true;
	run_start(&a->run, cache, call, a);
	a->run.thread = (unsigned)a->kind * (WORKERS_MAX + 1) + a->nth;
	memory_new_thread(cache, a->run.thread); /* another process may have had the number */
	a->run.steps_max = STEPS_MAX;
}

bool actor_ready(const struct actor *a)
{
	return a->used && !a->done && a->wake_ns <= pod.now_ns &&
	       (a->kind == ACTOR_MANAGER || pod.machine[a->machine].paused_ns <= pod.now_ns);
}

struct actor *actor_current(void)
{
	return pod.current;
}

void actor_sleep(struct actor *a, uint64_t until_ns)
{
	a->wake_ns = until_ns;
	if (!a->pending) /* in the middle of a draft */
		a->run.steps_max = a->run.steps + STEPS_MAX;
	fiber_pause(a->run.fiber);
}

/* -- threads of one process wait for each other ------------------------------------ */

int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until);
int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);

/* Its turn is over; it looks again a moment later. */
static void stand_by(struct actor *a, unsigned steps)
{
	a->wake_ns = pod.now_ns + steps * pod.step_ns;
	fiber_pause(a->run.fiber);
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex)
{
	if (!pod.current)
		return __real_pthread_mutex_lock(mutex);
	while (pthread_mutex_trylock(mutex))
		stand_by(pod.current, 20);
	return 0;
}

#define LOOK_STEPS 1000u /* for a lane that has rested: all announcements, twice */
#define YIELD_STEPS 20u  /* until it looks for space again */
#define WAIT_STEPS 500u  /* between two looks, for all of a pod share one processor here */

/* A lane that rests waits for others by design: nothing to be shown by a machine that goes on alone. */
static void note_rest(const struct actor *a)
{
	const struct daxfs *fs = pod.machine[a->machine].fs;

	for (unsigned i = 0; i < fs->n_slots; i++)
		if (fs->slots[i].lane.rests && (int)a->machine == pod.alone)
			pod.alone_workers &= ~(1u << a->nth);
}

/* For a read of storage by another thread, or another host: it looks again, or that has taken too long. */
static int wait_for_storage(struct actor *a, pthread_mutex_t *mutex, const struct timespec *until)
{
	struct timespec now;

	pthread_mutex_unlock(mutex);
	stand_by(a, LOOK_STEPS / 20);
	a->run.steps_max += LOOK_STEPS;
	clock_gettime(CLOCK_MONOTONIC, &now);
	__wrap_pthread_mutex_lock(mutex);
	return now.tv_sec > until->tv_sec || (now.tv_sec == until->tv_sec && now.tv_nsec >= until->tv_nsec) ? ETIMEDOUT
													    : 0;
}

int __wrap_pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
	struct actor *a = pod.current;

	(void)cond;
	if (!a)
		return 0;
	pthread_mutex_unlock(mutex);
	stand_by(a, LOOK_STEPS / 20);
	return __wrap_pthread_mutex_lock(mutex);
}

/*
 * For a lane: of another thread, or that rests until others are no longer inside. Waiting is no work,
 * and no reason to keep those others from theirs: two that look in turn would, for ever.
 */
int __wrap_pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
	struct actor *a = pod.current;

	if (a && cond != &pod.machine[a->machine].fs->wait_free)
		return wait_for_storage(a, mutex, until);
	if (!a) {
		printf("VIOLATION a call waits for a lane while everybody stands still\n");
		exit(1);
	}
	pthread_mutex_unlock(mutex);
	note_rest(a);
	a->priority = UINT32_MAX - pod.gave_way++;
	stand_by(a, WAIT_STEPS);
	a->run.steps_max += LOOK_STEPS;
	return __wrap_pthread_mutex_lock(mutex); /* woken for nothing, perhaps: it looks */
}

/*
 * Without space, and others are in the way of what is retired: a processor would let them on, too. Else who looks for
 * space before all others would keep them from ever leaving.
 */
void actor_yield(void)
{
	struct actor *a = pod.current;

	if (!a)
		return;
	a->priority = UINT32_MAX - pod.gave_way++;
	stand_by(a, YIELD_STEPS);
}

/* -- the recoverer -------------------------------------------------------------------- */

static bool workers_done(unsigned machine)
{
	for (unsigned i = 0; i < pod.workers; i++)
		if (!actor_of(ACTOR_WORKER, machine, i)->done)
			return false;
	return true;
}

/* Until the last operation is over, as in node-agent: one may wait for what is to be recovered here. */
static long recover_main(void *arg)
{
	struct actor *a = arg;
	struct machine *m = &pod.machine[a->machine];
	struct daxfs_recovery reports[REPORTS_MAX];

	while (!m->leave || !workers_done(a->machine)) {
		int n;

		a->recovering = true;
		n = daxfs_recover_assigned(m->fs, reports, REPORTS_MAX);
		a->recovering = false;
		if (n < 0 && n != -ESTALE && n != -EAGAIN && !pod.damaged)
			pod_violation("machine %u cannot recover: %d", a->machine, n);
		if (n > 0)
			trace_line("machine %u recovered %d", a->machine, n);
		actor_sleep(a, pod.now_ns + (pod.liveness ? HEARTBEAT_NS : pod.recover_ns));
	}
	return 0;
}

/* -- the agent --------------------------------------------------------------------------- */

static void name_of(unsigned machine, char name[16])
{
	snprintf(name, 16, "host%u", machine);
}

struct daxfs_identity machine_identity(unsigned machine)
{
	const struct machine *m = &pod.machine[machine];
	struct daxfs_identity i = { .pid = m->lives * MACHINES_MAX + machine, .began = 1, .pids = 1 };
	unsigned number = machine + 1, boot = m->boots + 1;

	memcpy(i.machine, &number, sizeof(number));
	memcpy(i.boot, &boot, sizeof(boot));
	return i;
}

/* In the place of the kernel. */
bool __wrap_process_gone(uint32_t pid, uint32_t began, uint32_t pids)
{
	const struct machine *m = &pod.machine[pid % MACHINES_MAX];

	return began && pids && (m->lives != pid / MACHINES_MAX || m->process == PROCESS_NONE);
}

int __wrap_daxfs_identity_here(const char *machine_file, const char *boot_file, struct daxfs_identity *out,
			       struct daxfs_error *err)
{
	(void)machine_file;
	(void)boot_file;
	(void)out;
	return daxfs_error_set(err, -ENOENT, "nobody asks here");
}

/* The process ends here, by itself. */
static void exit_process(struct actor *a)
{
	pod.machine[a->machine].exits = true;
	actor_sleep(a, FOREVER);
}

static void start_threads(struct actor *a)
{
	struct machine *m = &pod.machine[a->machine];

	m->slot = a->machine;
	m->generation = m->fs->generation;
	m->process = PROCESS_JOINED;
	m->workers_done = 0;
	if (pod.stored)
		store_start(a->machine, m->fs);
	actor_start(actor_of(ACTOR_RECOVER, a->machine, 0), a->machine, recover_main);
	for (unsigned i = 0; i < pod.workers; i++)
		actor_start(actor_of(ACTOR_WORKER, a->machine, i), a->machine, worker_main);
}

static int revive(struct actor *a, const char *name, const struct daxfs_identity *identity, struct daxfs_error *err)
{
	struct machine *m = &pod.machine[a->machine];
	struct daxfs_recovery report;
	int rc;

	m->reviving = true;
	rc = daxfs_revive(m->fs, a->machine, name, identity, NULL, NULL, &report, err);
	m->reviving = false;
	if (rc && m->fs->joined) { /* and declared dead since: it does not beat meanwhile, as an agent does */
		if (rc != -ESTALE && !pod.damaged)
			pod_violation("machine %u cannot recover what it left: %d", a->machine, rc);
		exit_process(a);
	}
	if (rc == 0)
		oracle_revived(a->machine, m->fs->generation);
	return rc;
}

static void join(struct actor *a)
{
	struct machine *m = &pod.machine[a->machine];
	struct daxfs_identity identity = machine_identity(a->machine), *known = pod.identified ? &identity : NULL;
	struct self_recover s = { .pool = "pool", .host = a->machine };
	struct daxfs_error err = { .text = "" };
	char name[16];

	name_of(a->machine, name);
	for (;;) {
		int rc = daxfs_join_as(m->fs, a->machine, name, known, &err);

		if (rc == -EBUSY && self_recover_due(&s))
			rc = revive(a, name, known, &err);
		if (rc == 0)
			return;
		if (rc != -EBUSY && rc != -ESTALE && rc != -EEXIST && !pod.damaged)
			pod_violation("machine %u cannot join: %d %s", a->machine, rc, err.text);
		actor_sleep(a, pod.now_ns + HEARTBEAT_NS);
	}
}

static void leave(struct actor *a)
{
	struct machine *m = &pod.machine[a->machine];
	int rc;

	m->process = PROCESS_LEAVING;
	locks_ending(m->slot);
	rc = daxfs_leave(m->fs);
	trace_line("machine %u leaves: %d", a->machine, rc);
	if (rc && rc != -ESTALE && !pod.damaged)
		pod_violation("machine %u cannot leave: %d", a->machine, rc);
	exit_process(a);
}

static long agent_main(void *arg)
{
	struct actor *a = arg;
	struct machine *m = &pod.machine[a->machine];
	struct daxfs_error err = { .text = "" };
	uint64_t due, period_ns;

	if (fs_attach(memory_base(), pod.size, &m->fs, &err)) {
		if (!pod.damaged)
			pod_violation("machine %u cannot attach: %s", a->machine, err.text);
		exit_process(a);
	}
	join(a);
	start_threads(a);
	pod.tallies->rejoins += m->lives > 1;
	for (due = pod.now_ns;; actor_sleep(a, due)) {
		if (m->leave && workers_done(a->machine) && actor_of(ACTOR_RECOVER, a->machine, 0)->done)
			leave(a);
		store_tick(a->machine);
		m->withheld = !daxfs_progressing(m->fs, STUCK_BEATS) && !m->fence_lies;
		if (!m->withheld && daxfs_beat(m->fs) == -ESTALE)
			exit_process(a);
		period_ns = daxfs_heartbeat_ms(m->fs) * 1000000ull;
		due = due + period_ns > pod.now_ns ? due + period_ns : pod.now_ns;
	}
	return 0;
}

/* -- processes and machines ------------------------------------------------------------------ */

void machine_start(unsigned machine)
{
	struct machine *m = &pod.machine[machine];

	*m = (struct machine){
		.on = true,
		.process = PROCESS_JOINING,
		.lives = m->lives + 1,
		.boots = m->boots,
		.slot = UINT32_MAX,
		.restart_ns = FOREVER,
	};
	trace_line("machine %u starts, for the %u. time", machine, m->lives);
	store_fenced(machine); /* it has booted: its former kernel has nothing under way */
	arena_abandon(machine);
	actor_start(actor_of(ACTOR_AGENT, machine, 0), machine, agent_main);
}

void process_end(unsigned machine)
{
	struct machine *m = &pod.machine[machine];

	for (unsigned i = 0; i < 2 + WORKERS_MAX; i++) {
		struct actor *a = &pod.actor[machine * (2 + WORKERS_MAX) + i];

		if (a->used)
			run_free(&a->run);
		a->used = false;
		a->pending = NULL;
	}
	oracle_died(machine);
	faults_forget(machine);
	store_process_ended(machine);
	m->process = PROCESS_NONE;
	m->exits = m->leave = m->fence_lies = m->reviving = false;
}
