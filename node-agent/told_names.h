/* SPDX-License-Identifier: Apache-2.0 */
/*
 * told_names.h - directories of which the kernel has been told all names, with attributes, not long ago.
 *
 * A listing tells the kernel each name with its attributes, as a lookup would, and to take that is more work, for it
 * and for us, than all else of a listing. So a directory that was listed from its beginning to its end, under leases
 * of which more than half is left, is listed by its names alone when it is listed again: the kernel has the rest.
 *
 * It is an estimate. An answer by the name alone makes nothing valid in the kernel: where it has not what we think, it
 * asks, for each name that a program looks at. That this is seldom, we see to by what the kernel asks, and is told:
 *
 *   what becomes of it                                    told again with attributes
 *   an inode is read, listed, changed, or forgotten       that inode (after a read its time of access is void)
 *   a name is made or removed in a directory              all of that directory
 *   a rename, a link, all names are to be looked up anew  all directories
 *
 * Inodes share places, by their numbers; so what is told again is what should be, and a little more. Any worker, any
 * time: listings are under a lock, the rest is numbers that nothing else depends on. Crash: the next process begins
 * with nothing, and tells everything once.
 */
#ifndef AGENT_TOLD_NAMES_H
#define AGENT_TOLD_NAMES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "daxfs/daxfs.h"

struct told_places;

struct told_names {
	/* private; what happens has the number of the last listing that began before it */
	atomic_ullong listings; /* that began */
	atomic_ullong all;      /* the last that all directories were void at */
	pthread_mutex_t lock;   /* of the directories */
	struct told_places *at; /* NULL: there is no memory for it, and everything is told */
};

void told_start(struct told_names *t);
void told_stop(struct told_names *t);

/* The kernel has asked this about an inode; or it is told to forget one, or all names. */
void told_asked(struct told_names *t, uint32_t opcode, daxfs_ino ino);
void told_forgets(struct told_names *t, daxfs_ino ino);
void told_forgets_all(struct told_names *t);

/*
 * A directory is listed from a cookie on. 0: with attributes; else the number of the listing that has told all names:
 * what has been told since, told_has() says.
 */
uint64_t told_listing(struct told_names *t, daxfs_ino dir, uint64_t from, int64_t now_ns);
bool told_has(const struct told_names *t, uint64_t listing, daxfs_ino ino);
/* An answer with attributes, up to that cookie (the same: that was all). All of it counts for that time at least. */
void told_answered(struct told_names *t, daxfs_ino dir, uint64_t from, uint64_t to, int64_t now_ns, uint64_t lease_ns);

#endif
