/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lockwait.c - see lockwait.h.
 *
 * Workers put waiters on the list of arrivals; the thread moves them to a list of
 * its own, and it alone tries, answers and frees them. An interrupt only sets a
 * flag: libfuse calls back with the request's lock held, and taking the callback
 * back waits for one in progress, so that none finds its waiter gone. The waiters
 * of an agent that dies hold nothing in the pool.
 */
#include "node-agent/lockwait.h"

#include "common/clock.h"
#include "node-agent/channel.h"
#include "node-agent/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

struct waiter {
	struct lockwait *of;
	fuse_req_t req;
	daxfs_ino ino;
	struct daxfs_lock lock;
	struct lockwait_then then;
	int64_t since_ms;
	int door; /* that its request came by */
	atomic_bool interrupted;
	struct waiter *next;
};

void lockwait_init(struct lockwait *w, struct daxfs *fs)
{
	pthread_condattr_t attr;

	*w = (struct lockwait){ .fs = fs };
	w->last = &w->arrived;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->changed, &attr);
	pthread_condattr_destroy(&attr);
}

void lockwait_fini(struct lockwait *w)
{
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
}

/* Each close() comes here. Who is added after we have looked tries after that, too. */
void lockwait_poke(struct lockwait *w)
{
	if (!atomic_load(&w->waiting))
		return;
	pthread_mutex_lock(&w->lock);
	w->poked = true;
	if (w->running)
		pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

static void on_interrupt(fuse_req_t req, void *data)
{
	struct waiter *waiter = data;

	(void)req;
	atomic_store(&waiter->interrupted, true);
	lockwait_poke(waiter->of);
}

/* -- the thread ----------------------------------------------------------------- */

static void answer(struct waiter *waiter, int error)
{
	fuse_req_interrupt_func(waiter->req, NULL, NULL);
	atomic_fetch_sub(&waiter->of->waiting, 1);
	channel_answer_by(waiter->door);
	if (waiter->then.done)
		waiter->then.done(waiter->req, waiter->ino, &waiter->then, error);
	else
		fuse_reply_err(waiter->req, -error);
	free(waiter);
}

static bool too_long(const struct waiter *waiter)
{
	return waiter->then.ms && clock_ms() - waiter->since_ms > waiter->then.ms;
}

/* Try each once, in order, and answer those that are done. True if any is. */
static bool try_all(struct lockwait *w, struct waiter **list)
{
	struct waiter *waiter;
	bool any = false;
	int error;

	while ((waiter = *list)) {
		error = atomic_load(&waiter->interrupted) ? -EINTR : daxfs_lock(w->fs, waiter->ino, &waiter->lock);
		if (error == -EAGAIN && too_long(waiter))
			error = -ETIMEDOUT;
		if (error == -EAGAIN) {
			list = &waiter->next;
			continue;
		}
		*list = waiter->next;
		answer(waiter, error);
		any = true;
	}
	return any;
}

static void answer_all(struct waiter **list, int error)
{
	struct waiter *waiter;

	while ((waiter = *list)) {
		*list = waiter->next;
		answer(waiter, error);
	}
}

/* With the lock: wait until something changes, or so many ms (0: for ever). True if it has changed. */
static bool wait_change(struct lockwait *w, unsigned ms)
{
	const struct timespec until = clock_deadline(CLOCK_MONOTONIC, ms);
	int rc = 0;

	while (!w->stop && !w->poked && !w->arrived && rc == 0)
		rc = ms ? pthread_cond_timedwait(&w->changed, &w->lock, &until)
			: pthread_cond_wait(&w->changed, &w->lock);
	return rc == 0;
}

/* Append what has arrived. True if all are to go. */
static bool next_round(struct lockwait *w, struct waiter **list, unsigned *ms)
{
	bool stop;

	pthread_mutex_lock(&w->lock);
	if (wait_change(w, *list ? *ms : 0))
		*ms = LOCKWAIT_MIN_MS;
	else
		*ms = 2 * *ms < LOCKWAIT_MAX_MS ? 2 * *ms : LOCKWAIT_MAX_MS;
	w->poked = false;
	while (*list)
		list = &(*list)->next;
	*list = w->arrived;
	w->arrived = NULL;
	w->last = &w->arrived;
	stop = w->stop;
	pthread_mutex_unlock(&w->lock);
	return stop;
}

static void *lockwait_main(void *context)
{
	struct lockwait *w = context;
	struct waiter *list = NULL;
	unsigned ms = LOCKWAIT_MIN_MS;

	while (!next_round(w, &list, &ms))
		if (try_all(w, &list))
			ms = LOCKWAIT_MIN_MS;
	answer_all(&list, -ENOTCONN);
	return NULL;
}

/* -- from outside ------------------------------------------------------------------ */

static int start_thread(struct lockwait *w)
{
	int error = w->running ? 0 : thread_start(&w->thread, NULL, lockwait_main, w);

	w->running |= !error;
	return error;
}

int lockwait_add(struct lockwait *w, fuse_req_t req, daxfs_ino ino, const struct daxfs_lock *lock,
		 const struct lockwait_then *then)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));
	int error;

	if (!waiter)
		return -ENOMEM;
	waiter->of = w;
	waiter->req = req;
	waiter->ino = ino;
	waiter->lock = *lock;
	waiter->then = *then;
	waiter->door = channel_door();
	waiter->since_ms = clock_ms();
	atomic_fetch_add(&w->waiting, 1); /* before an interrupt may come */
	fuse_req_interrupt_func(req, on_interrupt, waiter);
	pthread_mutex_lock(&w->lock);
	error = start_thread(w);
	if (!error) {
		*w->last = waiter;
		w->last = &waiter->next;
		pthread_cond_signal(&w->changed);
	}
	pthread_mutex_unlock(&w->lock);
	if (error) {
		fuse_req_interrupt_func(req, NULL, NULL);
		atomic_fetch_sub(&w->waiting, 1);
		free(waiter);
	}
	return error;
}

void lockwait_stop(struct lockwait *w)
{
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
	if (w->running)
		pthread_join(w->thread, NULL);
	w->running = false;
}
