/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process.h - which process a context belongs to, and not being ended in the middle of it.
 *
 * fork() leaves a child without the other threads, with locks that nobody holds any more,
 * and with lanes that are its parent's. A child therefore gets no mapping of the pool
 * (MADV_DONTFORK), and its copy of a context says that it is one: the mark is a page that the
 * kernel gives to a child as zeros (MADV_WIPEONFORK), so asking costs one load and no system call.
 */
#ifndef DAXFS_MEM_PROCESS_H
#define DAXFS_MEM_PROCESS_H

#include <pthread.h>
#include <stdbool.h>

#include "daxfs/daxfs.h"

/* *mark is true in this process and false in its children. -ENOMEM, -EINVAL: a kernel that cannot. */
int process_mark(bool **mark, struct daxfs_error *err);
void process_unmark(bool *mark);
/* A child is to have no mapping here. A touch of it there is SIGSEGV. */
int process_keep(void *base, size_t len);

/* Up to size - 1 bytes of a small file, as a string. */
int process_read_text(const char *path, char *out, size_t size);
/* When a process began, in clock ticks after boot; 0: not known. */
uint32_t process_began(uint32_t pid);
/* Inode number of this process's pid namespace; 0: not known. */
uint32_t process_namespace(void);
/* Is that process, of the pid namespace with that number, over? Only what the kernel says for certain counts. */
bool process_gone(uint32_t pid, uint32_t began, uint32_t pids);

/*
 * Calls that open, close or report are left alone by pthread_cancel until they are over:
 * what they had begun nobody else would end. Calls of the filesystem have no cancellation
 * point, but for the wait for a lane (fs/lane_pool.c).
 */
static inline int process_cancel_off(void)
{
	int was;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &was);
	return was;
}

static inline void process_cancel_restore(int was)
{
	pthread_setcancelstate(was, NULL);
}

#endif
