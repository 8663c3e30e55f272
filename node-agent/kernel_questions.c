/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_questions.c - see kernel_questions.h.
 *
 * Any thread adds; lanes take, under one lock, in which nothing waits but for the dropper to say that a new lane of it
 * is there.
 */
#include "node-agent/kernel_questions.h"
#include "node-agent/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"

#define STOP_MS 5000 /* for storage to answer what lanes wait for */

struct question {
	fuse_req_t req;
	daxfs_ino ino;
	int backing;
	bool refused; /* the mount goes */
	struct channel_place place;
	struct question *next;
};

/* -- which one is next: with the lock -------------------------------------------------------- */

/* Q2, Q3. When the mount goes, what is left is refused, which waits for nothing. */
static bool may_begin(const struct kernel_questions *k, const struct question *q)
{
	unsigned same = 0;

	if (q->backing == QUESTION_OF_POOL || k->stop)
		return true;
	for (unsigned i = 1; i < k->lanes; i++) {
		if (k->lane[i].ino == q->ino)
			return false;
		same += k->lane[i].ino && k->lane[i].backing == q->backing;
	}
	return same < QUESTION_LANES_EACH && !k->waits(k->context, q->ino);
}

/* Where the first one is that such a lane may take (Q1); NULL: none is. */
static struct question **find(struct kernel_questions *k, bool of_pool)
{
	for (struct question **q = &k->first; *q; q = &(*q)->next)
		if (((*q)->backing == QUESTION_OF_POOL) == of_pool && may_begin(k, *q))
			return q;
	return NULL;
}

static struct question *take(struct kernel_questions *k, bool of_pool)
{
	struct question **at = find(k, of_pool), *q = at ? *at : NULL;

	if (!q)
		return NULL;
	*at = q->next;
	if (!q->next)
		k->last = at;
	return q;
}

/* -- lanes -------------------------------------------------------------------------------------- */

static void *answer_all(void *context);

static int start_lane(struct kernel_questions *k)
{
	struct question_lane *lane = &k->lane[k->lanes];
	int rc;

	*lane = (struct question_lane){ .of = k, .drop = dropper_lane(k->dropper) };
	if (lane->drop < 0)
		return lane->drop;
	rc = thread_start(&lane->thread, NULL, answer_all, lane);
	if (rc) {
		close(lane->drop);
		return rc;
	}
	k->lanes++;
	return 0;
}

/* With the lock: somebody is to come for what there is. If a lane cannot be started, one that ends its work does. */
static void see_to(struct kernel_questions *k)
{
	pthread_cond_broadcast(&k->changed);
	if (!k->idle && !k->stop && k->lanes < QUESTION_LANES && find(k, false))
		start_lane(k);
}

/* NULL: none is left, and none will come. */
static struct question *next_question(struct kernel_questions *k, struct question_lane *lane)
{
	bool of_pool = lane == &k->lane[0];
	struct question *q;

	pthread_mutex_lock(&k->lock);
	lane->ino = 0;
	while (!(q = take(k, of_pool)) && !k->stop) {
		k->idle += !of_pool;
		pthread_cond_wait(&k->changed, &k->lock);
		k->idle -= !of_pool;
	}
	if (q) {
		q->refused = k->stop && !of_pool;
		lane->ino = q->ino;
		lane->backing = q->backing;
		see_to(k);
	}
	pthread_mutex_unlock(&k->lock);
	return q;
}

static void *answer_all(void *context)
{
	struct question_lane *lane = context;
	struct kernel_questions *k = lane->of;
	struct question *q;

	while ((q = next_question(k, lane))) {
		channel_go_on(k->channel, &q->place);
		if (q->refused)
			fuse_reply_err(q->req, ENOTCONN);
		else
			k->answer(q->req, q->ino, q->backing, lane->drop);
		free(q);
	}
	return NULL;
}

/* -- who asks -------------------------------------------------------------------------------------- */

bool kernel_questions_add(struct kernel_questions *k, fuse_req_t req, daxfs_ino ino, int backing)
{
	struct question *q = malloc(sizeof(*q));
	bool taken;

	if (!q)
		return false;
	*q = (struct question){ .req = req, .ino = ino, .backing = backing };
	channel_leave(k->channel, &q->place);
	pthread_mutex_lock(&k->lock);
	taken = !k->stop;
	if (taken) {
		*k->last = q;
		k->last = &q->next;
		see_to(k);
	}
	pthread_mutex_unlock(&k->lock);
	if (!taken)
		free(q);
	return taken;
}

void kernel_questions_again(struct kernel_questions *k)
{
	pthread_mutex_lock(&k->lock);
	if (k->first)
		see_to(k);
	pthread_mutex_unlock(&k->lock);
}

/* -- beginning and end ------------------------------------------------------------------------------- */

/* The pool's lane, and one of storage's, so that there is one. */
int kernel_questions_start(struct kernel_questions *k)
{
	int rc = 0;

	k->last = &k->first;
	pthread_mutex_init(&k->lock, NULL);
	pthread_cond_init(&k->changed, NULL);
	pthread_mutex_lock(&k->lock);
	while (rc == 0 && k->lanes < 2)
		rc = start_lane(k);
	pthread_mutex_unlock(&k->lock);
	if (rc && kernel_questions_quiesce(k))
		kernel_questions_stop(k);
	return rc;
}

/* Threads that have ended are not waited for again: they are taken off the list. */
bool kernel_questions_quiesce(struct kernel_questions *k)
{
	const struct timespec until = clock_deadline(CLOCK_REALTIME, STOP_MS); /* pthread_timedjoin_np's */

	pthread_mutex_lock(&k->lock);
	k->stop = true;
	pthread_cond_broadcast(&k->changed);
	pthread_mutex_unlock(&k->lock);
	for (; k->lanes; k->lanes--) {
		struct question_lane *lane = &k->lane[k->lanes - 1];

		if (lane == &k->lane[0])
			pthread_join(lane->thread, NULL);
		else if (pthread_timedjoin_np(lane->thread, NULL, &until) != 0)
			return false;
		close(lane->drop);
	}
	return true;
}

void kernel_questions_stop(struct kernel_questions *k)
{
	pthread_cond_destroy(&k->changed);
	pthread_mutex_destroy(&k->lock);
}
