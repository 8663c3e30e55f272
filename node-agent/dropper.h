/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dropper.h - a process that has the kernel drop the pages of a file.
 *
 * NOTIFY_INVAL_INODE with a range waits, uninterruptibly, for pages that are being read: for answers of the process
 * that serves. If that one did it, and was killed while it waited, it would never end, and no successor would come to
 * give those answers. So a process of its own does, which each life of the agent starts: it holds the connection
 * and its ends of pairs of sockets, and touches nothing else that it has inherited.
 *
 * A lane is a thread of it with such a pair: what one waits for holds up no other.
 *
 * Crash: when the process that serves is gone, this one ends once what it waits for has been answered: by the next
 * life, or by the end of the connection. If this one dies, the agent kills itself, and the next life has another.
 */
#ifndef AGENT_DROPPER_H
#define AGENT_DROPPER_H

#include <stdint.h>
#include <sys/types.h>

struct dropper {
	pid_t pid; /* 0: none */
	int fd;    /* for new lanes */
};

/* While this process has one thread. 0 or -errno. */
int dropper_start(struct dropper *d, int fuse_fd);
/* Nobody asks any more. */
void dropper_end(struct dropper *d);
/* A new lane, to be closed: one thread at a time asks for one. -errno. */
int dropper_lane(struct dropper *d);
/*
 * Pages that were there when this was called are gone when it returns, and the kernel knows that the file has at
 * least that many bytes, and the last of them. No answer is believed that was asked for before. One thread at a
 * time by each lane; it may wait for reads.
 */
void dropper_drop(int lane, uint64_t ino, uint64_t size, uint8_t last);

#endif
