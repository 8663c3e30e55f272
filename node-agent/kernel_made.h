/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_made.h - files that were just made, until who made them has taken the answer.
 *
 * An answer to a creation makes the file known to the kernel, which takes its attributes when the thread that asked
 * comes to run, whatever it was told to forget meanwhile: of such an answer it looks at no count (kernel_cache.h). So
 * they may be kept as long as it is seen to that nothing changes between the answer and that moment, or is forgotten
 * behind it. A creation is noted from before it can be seen in the pool:
 *
 *  - Another host asks for the lease. The kernel is told to forget, and again, until the answer has been taken.
 *  - A program of this host changes the file. A new file has its name in the kernel when the answer has been taken,
 *    not before; so a request about it says that it was, unless somebody else was told of it (found, listed): it is
 *    contested. What is contested before it is answered is told as nothing to keep. What is later: requests about that
 *    file, and changes of it by its name, wait for the end of the note.
 *
 * A note ends when its thread asks for anything else, or is no more; when it sleeps, once the answer is written, for it
 * takes that without a sleep that a signal would end; when anybody asks about the file, if that is not contested; or
 * after the time that an answer has to arrive. While it lasts the estate has, with the number of the open file, which
 * thread that is: a successor goes on with it, as contested.
 *
 * Any worker, any time: under a lock, but for counts that say that there is nothing to look for.
 */
#ifndef AGENT_KERNEL_MADE_H
#define AGENT_KERNEL_MADE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "daxfs/daxfs.h"
#include "node-agent/estate.h"

#define KERNEL_MAKERS 64u /* notes; one more creation is told as nothing to keep */
#define KERNEL_MADE 256u  /* files, and threads, by their numbers, several in one place */

struct kernel_maker {
	uint32_t thread; /* 0: nothing */
	bool contested;
	bool answered;
	daxfs_ino ino; /* 0: not made yet */
	uint64_t fh;
	int64_t since_ns;
};

struct kernel_made {
	/* constant once started */
	struct estate *estate;
	int64_t arrive_ns;

	/* private */
	atomic_uint making;              /* notes of what is not made yet */
	atomic_uint made[KERNEL_MADE];   /* of such files */
	atomic_uint thread[KERNEL_MADE]; /* of such threads */
	pthread_mutex_t lock;            /* of the notes */
	struct kernel_maker maker[KERNEL_MAKERS];
};

/* Before there are requests; with the notes of a former process, if this one goes on. */
void kernel_made_start(struct kernel_made *m, struct estate *estate, int64_t arrive_ns, bool goes_on);

/* A thread (0: not known) is about to make a file, which will be open by that number. NULL: it is not noted. */
struct kernel_maker *kernel_made_begin(struct kernel_made *m, uint32_t thread, uint64_t fh);
/* It has (or not: 0), and is answered after that. True: the attributes may be kept. Else the note is over. */
bool kernel_made_as(struct kernel_made *m, struct kernel_maker *maker, daxfs_ino ino);
/* The answer is written. */
void kernel_made_answered(struct kernel_made *m, struct kernel_maker *maker, uint64_t fh);

/* A thread is about to be told of a file that it may not know. */
void kernel_made_told(struct kernel_made *m, uint32_t thread, daxfs_ino ino);
/* A thread asks about a file, or none (0); in_order: it has taken all that it has asked for before. */
void kernel_made_asked(struct kernel_made *m, uint32_t thread, bool in_order, daxfs_ino ino);

/* May the kernel still take what it was told when the file was made? */
bool kernel_made_arrives(struct kernel_made *m, daxfs_ino ino);
/* Wait until it cannot. */
void kernel_made_await(struct kernel_made *m, daxfs_ino ino);
/* The same of one that is contested. */
void kernel_made_settle(struct kernel_made *m, daxfs_ino ino);

#endif
