/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beat.c - beats every period, unless the workers are stuck.
 *
 * The thread does nothing that can wait: it logs nothing, allocates nothing,
 * takes no lock. It sleeps to absolute times, so its work does not add to the
 * period; after a pause (SIGSTOP, a stalled machine) it beats once and goes on
 * from there instead of catching up. Recovery of other hosts has its own thread
 * (recover.c), so it delays no beat. But its lane is watched like a worker's: one that goes
 * on, batch by batch, may take as long as it takes; one that stands still for stuck_ms
 * withholds the beat like any stuck call.
 *
 * Declared dead (-ESTALE) is final: the pod may already be reusing what was
 * ours, so dead() is called at once, here, at real-time priority.
 */
#include "node-agent/beat.h"
#include "node-agent/thread.h"
#include "common/clock.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define STACK_BYTES (1024u * 1024u) /* sanitizers want most of it */
#define PRIORITY 50                 /* above ordinary work, below the kernel's own threads */
#define NS_PER_S 1000000000ll
#define NS_PER_MS 1000000ll

int beat_lock_memory(void)
{
	return mlockall(MCL_CURRENT | MCL_ONFAULT) == 0 ? 0 : -errno;
}

static void sleep_until(int64_t ns)
{
	struct timespec t = { .tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static void note_late(struct beat *b, int64_t late_ns)
{
	unsigned late_ms = late_ns > 0 ? (unsigned)(late_ns / NS_PER_MS) : 0;

	if (late_ms > atomic_load(&b->late_ms))
		atomic_store(&b->late_ms, late_ms);
}

/* False: declared dead. */
static bool beat_once(struct beat *b)
{
	bool progress = daxfs_progressing(b->fs, b->stuck_ms / b->period_ms + 1);
	int error;

	atomic_store(&b->withheld, !progress);
	if (!progress)
		return true;
	error = daxfs_beat(b->fs);
	if (error == -ESTALE)
		return false;
	atomic_store(&b->error, error);
	if (!error)
		atomic_fetch_add(&b->beats, 1);
	return true;
}

static void *beat_main(void *context)
{
	struct beat *b = context;
	int64_t period_ns, due = clock_ns();

	atomic_store(&b->tid, gettid());
	while (!atomic_load(&b->stop)) {
		if (!beat_once(b)) {
			b->dead(b->context);
			return NULL;
		}
		/* After the beat: whoever sees it may rely on it that we sleep by what the pool says from there on. */
		atomic_store(&b->period_ms, daxfs_heartbeat_ms(b->fs));
		period_ns = b->period_ms * NS_PER_MS;
		due += period_ns;
		sleep_until(due);
		note_late(b, clock_ns() - due);
		if (clock_ns() - due > period_ns)
			due = clock_ns();
	}
	return NULL;
}

/* A stack of our own, so that it can be locked and is there to its last page. */
static int make_stack(struct beat *b)
{
	void *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (stack == MAP_FAILED)
		return -errno;
	b->stack = stack;
	return 0;
}

/* Signals go to the main thread. */
static int start_thread(struct beat *b)
{
	pthread_attr_t attr;
	int error;

	error = -pthread_attr_init(&attr);
	if (error)
		return error;
	error = -pthread_attr_setstack(&attr, b->stack, STACK_BYTES);
	if (!error)
		error = thread_start(&b->thread, &attr, beat_main, b);
	pthread_attr_destroy(&attr);
	return error;
}

int beat_start(struct beat *b, int *realtime_error)
{
	struct sched_param priority = { .sched_priority = PRIORITY };
	int error, locked = 0;

	atomic_store(&b->stop, false);
	error = make_stack(b);
	if (error)
		return error;
	if (b->realtime && mlock(b->stack, STACK_BYTES) < 0)
		locked = -errno;
	error = start_thread(b);
	if (error) {
		munmap(b->stack, STACK_BYTES);
		return error;
	}
	*realtime_error = 0;
	if (b->realtime)
		*realtime_error = -pthread_setschedparam(b->thread, SCHED_FIFO, &priority);
	if (!*realtime_error)
		*realtime_error = locked;
	return 0;
}

void beat_stop(struct beat *b)
{
	atomic_store(&b->stop, true);
	pthread_join(b->thread, NULL);
	munmap(b->stack, STACK_BYTES);
}
