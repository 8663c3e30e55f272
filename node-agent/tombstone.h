/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tombstone.h - what the kernel may still ask of an inode whose last name is gone.
 *
 * A working directory, an open fifo, socket or device and whatever is open with
 * O_PATH are open to the kernel alone: no request tells of them, so nothing holds
 * them in the pool, and they are gone with their last name. fstat(), fchmod() and
 * readlinkat() of them go on all the same, as on a local filesystem: this agent
 * notes the attributes, and a link's target, before it removes a name, and answers
 * from its note until the kernel forgets the inode. Nobody else can see those
 * attributes any more, so a change of them is a change of the note.
 *
 * What is open with a request (files, listed directories) is held in the pool and
 * needs no note. What another host removes is not noted: ESTALE. The notes of an
 * agent that dies die with it.
 */
#ifndef AGENT_TOMBSTONE_H
#define AGENT_TOMBSTONE_H

#include <pthread.h>
#include <stdbool.h>

#include "daxfs/daxfs.h"

#define TOMBSTONE_CHAINS 1024u
#define TOMBSTONE_CHAIN_MAX 64u /* the newest; the kernel may never have heard of what a race left here */

struct tombstone;

struct tombstones {
	struct daxfs *fs;
	pthread_mutex_t lock; /* of the chains; not held over calls of libdaxfs */
	struct tombstone *chain[TOMBSTONE_CHAINS];
};

void tombstones_init(struct tombstones *t, struct daxfs *fs);
void tombstones_fini(struct tombstones *t);
/* Before a name is removed: note what it leads to. NULL: there is nothing to note, or no memory. */
struct tombstone *tombstone_make(struct tombstones *t, daxfs_ino parent, const char *name);
/* The number of what may have other names, too, or get them meanwhile from another host; 0: it cannot. */
daxfs_ino tombstone_linked(const struct tombstone *stone);
/* Afterwards, before the kernel is answered: keep the note if the name was removed, and was the last. */
void tombstone_settle(struct tombstones *t, struct tombstone *stone, bool removed);
/* The calls of libdaxfs, of an inode that has a note: -ESTALE: it has none. */
int tombstone_getattr(struct tombstones *t, daxfs_ino ino, struct daxfs_attr *out);
int tombstone_setattr(struct tombstones *t, daxfs_ino ino, unsigned set, const struct daxfs_attr *in,
		      struct daxfs_attr *out);
int tombstone_readlink(struct tombstones *t, daxfs_ino ino, char *buf, size_t size);
/* The kernel has forgotten an inode. */
void tombstone_forget(struct tombstones *t, daxfs_ino ino);

#endif
