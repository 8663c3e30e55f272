/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workers.c - workers: threads of one host, or processes that are a host each.
 *
 * Worker 0 is whoever calls; the others wait for commands in shared memory. A
 * burst begins by a barrier that all spin in, so that starts are a few cache
 * misses apart. Whoever waits for longer yields: with more workers than CPUs
 * spinning would take the time of those that are waited for. A worker that
 * fails says so in the shared memory and the caller ends the run.
 */
#include <string.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define SPINS 4000
#define CPU_SLACK 1.02 /* wall time over CPU time of an undisturbed burst */
#define OVERLAP_MIN 0.9

enum command { PREPARE, RUN, FINISH, QUIT };

/* written by one worker, 128 bytes apart: neighbours are fetched in pairs */
struct seat {
	_Alignas(128) uint64_t start, end, cpu, cpu_total;
};

struct shared {
	_Alignas(128) atomic_uint command_number, done, arrived;
	_Alignas(128) atomic_bool failed;
	enum command command;
	unsigned job, n;
	bool warm;
	struct seat seat[WORKERS_MAX];
};

struct crew {
	const struct workload *workload;
	struct shared *shared;
	struct worker worker[WORKERS_MAX];
	pthread_t thread[WORKERS_MAX];
	pid_t pid[WORKERS_MAX];
	unsigned n;
};

/* what a worker needs to begin */
struct starter {
	struct crew *crew;
	unsigned id;
};

unsigned cpus(void)
{
	return (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
}

/* A process ends well only after QUIT. */
static void reap(struct crew *crew, unsigned i, int flags)
{
	int status;

	if (!crew->pid[i] || waitpid(crew->pid[i], &status, flags) != crew->pid[i])
		return;
	crew->pid[i] = 0;
	if (status)
		bench_fail("%s: worker %u died (status %#x)", crew->workload->name, i, (unsigned)status);
}

static void check_children(struct crew *crew)
{
	for (unsigned i = 1; i < crew->n; i++)
		reap(crew, i, WNOHANG);
}

/* Until *p is `value`; `crew`: watch the workers meanwhile. */
static void wait_for(struct crew *crew, const struct shared *shared, const atomic_uint *p, unsigned value)
{
	for (unsigned spins = 0; atomic_load_explicit(p, memory_order_acquire) != value; spins++) {
		if (spins < SPINS) {
			__builtin_ia32_pause();
			continue;
		}
		sched_yield();
		if (!crew)
			continue;
		if (atomic_load(&shared->failed))
			bench_fail("%s: a worker failed", crew->workload->name);
		if (spins % 1024 == 0)
			check_children(crew);
	}
}

static void run(struct shared *shared, struct worker *w, const struct job *job)
{
	struct seat *seat = &shared->seat[w->id];
	uint64_t cpu;

	/* Others worked since: the caches are to hold what this target works on. */
	if (shared->warm)
		job->run(w, shared->n);
	atomic_fetch_add(&shared->arrived, 1);
	if (w->of > 1)
		wait_for(NULL, shared, &shared->arrived, w->of);
	cpu = cpu_ns();
	seat->start = now_ns();
	job->run(w, shared->n);
	seat->end = now_ns();
	seat->cpu_total = cpu_ns();
	seat->cpu = seat->cpu_total - cpu;
}

static void obey(struct shared *shared, struct worker *w, const struct job *job)
{
	w->job = shared->job;
	if (shared->command == PREPARE && job->prepare)
		job->prepare(w, shared->n);
	if (shared->command == RUN)
		run(shared, w, job);
	if (shared->command == FINISH && job->finish)
		job->finish(w, shared->n);
}

static void command(struct crew *crew, enum command command, unsigned job, unsigned n)
{
	struct shared *shared = crew->shared;

	shared->command = command;
	shared->job = job;
	shared->n = n;
	atomic_store(&shared->arrived, 0);
	atomic_store(&shared->done, 0);
	atomic_fetch_add(&shared->command_number, 1);
	if (command != QUIT)
		obey(shared, &crew->worker[0], &crew->workload->job[job]);
	wait_for(crew, shared, &shared->done, crew->n - 1);
}

void run_on(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (unsigned i = 0; i < cpus(); i++)
		if (cpu == ANY_CPU || i == cpu % cpus())
			CPU_SET(i, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

static void begin(struct crew *crew, struct worker *w)
{
	run_on(crew->n > cpus() ? ANY_CPU : w->id); /* each on its own, if there are as many */
	if (crew->workload->open)
		crew->workload->open(w);
}

static void serve(struct crew *crew, unsigned id)
{
	struct shared *shared = crew->shared;
	struct worker *w = &crew->worker[id];
	unsigned number = 0;

	begin(crew, w);
	do {
		atomic_fetch_add(&shared->done, 1);
		wait_for(NULL, shared, &shared->command_number, ++number);
		if (shared->command != QUIT)
			obey(shared, w, &crew->workload->job[shared->job]);
	} while (shared->command != QUIT);
	if (crew->workload->close)
		crew->workload->close(w);
}

static void *thread_main(void *arg)
{
	struct starter s = *(struct starter *)arg;

	free(arg);
	serve(s.crew, s.id);
	atomic_fetch_add(&s.crew->shared->done, 1);
	return NULL;
}

static struct shared *failing; /* of this process, for crew_fail */

_Noreturn void crew_fail(void)
{
	if (failing)
		atomic_store(&failing->failed, true);
	_exit(1);
}

static void start_process(struct crew *crew, unsigned id)
{
	struct worker *w = &crew->worker[id];
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		bench_fail("cannot fork: %s", strerror(errno));
	crew->pid[id] = pid;
	if (pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	failing = crew->shared;
	w->fs = rig_join(w->rig, id);
	serve(crew, id);
	daxfs_close(w->fs);
	atomic_fetch_add(&crew->shared->done, 1);
	fflush(NULL);
	_exit(0);
}

static void start_thread(struct crew *crew, unsigned id)
{
	struct starter *s = malloc(sizeof(*s));

	*s = (struct starter){ crew, id };
	if (pthread_create(&crew->thread[id], NULL, thread_main, s))
		bench_fail("cannot start a thread");
}

struct crew *crew_open(const struct workload *workload, struct rig *rig)
{
	struct crew *crew = calloc(1, sizeof(*crew));

	crew->workload = workload;
	crew->n = workload->workers;
	crew->shared = mmap(NULL, sizeof(*crew->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (crew->shared == MAP_FAILED)
		bench_fail("no memory for a crew");
	for (unsigned i = 0; i < crew->n; i++)
		crew->worker[i] = (struct worker){
			.id = i,
			.of = crew->n,
			.rig = rig,
			.fs = rig ? rig->fs : NULL,
			.arg = workload->arg,
			.rng = 0x9e3779b97f4a7c15ull * (i + 1),
		};
	for (unsigned i = 1; i < crew->n; i++) {
		if (workload->processes)
			start_process(crew, i);
		else
			start_thread(crew, i);
	}
	begin(crew, &crew->worker[0]);
	wait_for(crew, crew->shared, &crew->shared->done, crew->n - 1);
	return crew;
}

void crew_close(struct crew *crew)
{
	command(crew, QUIT, 0, 0);
	if (crew->workload->close)
		crew->workload->close(&crew->worker[0]);
	for (unsigned i = 1; i < crew->n; i++) {
		if (crew->workload->processes)
			reap(crew, i, 0);
		else
			pthread_join(crew->thread[i], NULL);
	}
	run_on(ANY_CPU);
	munmap(crew->shared, sizeof(*crew->shared));
	free(crew);
}

struct shot crew_shoot(struct crew *crew, unsigned job, unsigned n)
{
	struct seat *seat = crew->shared->seat;
	struct shot shot = { .undisturbed = true };
	uint64_t first = UINT64_MAX, last = 0, late = 0, early = UINT64_MAX, cpu = 0;

	crew->shared->warm = crew->workload->warm;
	command(crew, PREPARE, job, n);
	command(crew, RUN, job, n);
	for (unsigned i = 0; i < crew->n; i++) {
		double wall = (double)(seat[i].end - seat[i].start);

		first = seat[i].start < first ? seat[i].start : first;
		late = seat[i].start > late ? seat[i].start : late;
		early = seat[i].end < early ? seat[i].end : early;
		last = seat[i].end > last ? seat[i].end : last;
		cpu = seat[i].cpu > cpu ? seat[i].cpu : cpu;
		shot.undisturbed &= wall <= CPU_SLACK * (double)seat[i].cpu;
	}
	command(crew, FINISH, job, n);
	shot.wall_ns = (double)(last - first);
	shot.ns_per_op = shot.wall_ns / n / crew->n;
	shot.cpu_per_op = (double)cpu / n / crew->n;
	shot.undisturbed &= early > late && (double)(early - late) >= OVERLAP_MIN * shot.wall_ns;
	return shot;
}

static uint64_t process_cpu_ns(pid_t pid)
{
	struct timespec ts;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &ts))
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

uint64_t crew_cpu_ns(const struct crew *crew)
{
	const struct bench_args *args = bench_args();
	uint64_t sum = process_cpu_ns(0);

	for (unsigned i = 1; crew->workload->processes && i < crew->n; i++)
		sum += process_cpu_ns(crew->pid[i]);
	for (unsigned i = 0; i < args->n_daemons; i++)
		sum += process_cpu_ns(args->daemon[i]);
	return sum;
}
