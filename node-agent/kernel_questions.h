/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_questions.h - questions for attributes that are answered after pages were dropped (kernel_pages.h), and the
 * threads that do so: lanes, each with one of the dropper's (dropper.h).
 *
 * To drop pages waits for those that are being read, and a page that is in storage alone is being read for as long as
 * storage takes. Hence:
 *
 *  Q1 Questions of the pool's own files have a lane of their own. It never has one of a file of storage, so
 *     nothing in it waits for storage.
 *  Q2 A question of a file of storage waits here, in nobody's way, while a read of that file for the kernel's
 *     cache waits for storage. What is asked for after that it sees: it was looked up after the question came.
 *  Q3 That is known when such a read has come, and it may come after the drop has begun (as after a death, when both
 *     are asked for again); and the end of a file may have to be read from storage. So a lane can be held up all the
 *     same: one by each file, EACH by each backing, and there are enough for all backings of a host. They are started
 *     when there is work that no other lane will do.
 *
 * So storage that hangs holds up those who ask for a file of it that was changed while they had it open cached: if a
 * page of that very file is being read from storage; or if EACH other files have met a read in the moment of Q3.
 *
 * Who died where: the agent: those who ask do so again, by the kernel's resend; a lane of the dropper ends with what it
 * waits for.
 */
#ifndef AGENT_KERNEL_QUESTIONS_H
#define AGENT_KERNEL_QUESTIONS_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include <pthread.h>
#include <stdbool.h>

#include "daxfs/daxfs.h"
#include "node-agent/channel.h"
#include "node-agent/dropper.h"

#define QUESTION_LANES_EACH 4u /* EACH */
#define QUESTION_LANES                                                                                                 \
	(1u + 2u * 16u * QUESTION_LANES_EACH) /* backings that a host reads, and that others read for it */
#define QUESTION_OF_POOL (-1)                 /* in the place of the number of a backing */

struct question;

struct question_lane {
	struct kernel_questions *of;
	pthread_t thread;
	int drop;      /* the dropper's */
	daxfs_ino ino; /* that it is about; 0: idle */
	int backing;
};

struct kernel_questions {
	/* constant once started */
	const struct channel *channel;
	struct dropper *dropper;
	/* Asked in a thread that may wait for reads, and for storage if it is not of the pool. */
	void (*answer)(fuse_req_t req, daxfs_ino ino, int backing, int drop);
	/* Does a read of that file for the kernel's cache wait for storage? */
	bool (*waits)(void *context, daxfs_ino ino);
	void *context;

	/* private */
	pthread_mutex_t lock; /* of what follows; waits() is called with it */
	pthread_cond_t changed;
	struct question *first, **last;            /* as they came */
	struct question_lane lane[QUESTION_LANES]; /* the first is the pool's */
	unsigned lanes, idle;                      /* the latter of storage's */
	bool stop;
};

/* 0 or -errno: nothing is left. The members above the line are set. */
int kernel_questions_start(struct kernel_questions *k);
/* False: out of memory, or the mount goes. */
bool kernel_questions_add(struct kernel_questions *k, fuse_req_t req, daxfs_ino ino, int backing);
/* No read of some file waits for storage any more. */
void kernel_questions_again(struct kernel_questions *k);
/*
 * While there are still workers, and the mount goes: from here on no question is taken. False: a lane is held up by
 * storage, and what it uses must stay. Once more does no harm.
 */
bool kernel_questions_quiesce(struct kernel_questions *k);
/* All lanes have ended. */
void kernel_questions_stop(struct kernel_questions *k);

#endif
