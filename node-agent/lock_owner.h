/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock_owner.h - through which open file each owner has set record locks.
 *
 * The kernel names an owner with each lock: of POSIX locks the process, of open file
 * description (OFD) locks the open file; the two cannot be told apart. The locks of a
 * process end when it closes any descriptor of the file, and then the kernel names the
 * owner (a flush). Those of an open file end with its last descriptor, and then the
 * kernel names nobody: only which open file it was (a release).
 *
 * So it is noted which owner set locks through which open file. A flush ends the
 * owner's locks and its notes. Every process that had the open file has flushed it
 * before the release comes: an owner that is noted then is the open file itself, and
 * its locks end. The kernel may name the next open file as it named that one, before
 * the release of that arrives. Then two open files are noted for one owner, and its
 * locks end with the last of them.
 *
 * A note is made before the lock is set. An agent that dies loses its notes; its locks
 * end with the host's last close of the file, or with recovery.
 */
#ifndef AGENT_LOCK_OWNER_H
#define AGENT_LOCK_OWNER_H

#include <pthread.h>
#include <stdint.h>

#include "daxfs/daxfs.h"

#define LOCK_OWNER_STRIPES 64u

struct lock_owners {
	struct daxfs *fs;
	struct lock_owner_stripe {
		pthread_mutex_t lock; /* of the list, and over the call of libdaxfs that it is about */
		struct lock_owner *list;
	} stripe[LOCK_OWNER_STRIPES]; /* by inode */
};

void lock_owners_init(struct lock_owners *o, struct daxfs *fs);
void lock_owners_fini(struct lock_owners *o);
/* daxfs_lock() of a POSIX or OFD lock, set through open file fh. -ENOMEM. */
int lock_owner_set(struct lock_owners *o, daxfs_ino ino, uint64_t fh, const struct daxfs_lock *lock);
/* A descriptor of the file is closed: end the locks of an owner. */
int lock_owner_flush(struct lock_owners *o, daxfs_ino ino, uint64_t owner);
/* An open file is gone: end the locks that are its own. True: there were any. */
bool lock_owner_release(struct lock_owners *o, daxfs_ino ino, uint64_t fh);

#endif
