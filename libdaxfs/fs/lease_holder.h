/* SPDX-License-Identifier: Apache-2.0 */
/* lease_holder.h - what a process knows of its own leases, and of how long other hosts are silent: see lease.c. */
#ifndef DAXFS_FS_LEASE_HOLDER_H
#define DAXFS_FS_LEASE_HOLDER_H

#include <pthread.h>
#include <stdatomic.h>

#include "daxfs/lease.h"
#include "sync/lease.h"
#include "sync/lease_own.h"

#define LEASE_STRIPES 4096u

/* what this process knows of inodes whose index has the same remainder */
struct lease_stripe {
	atomic_uint recalling; /* no grants */
	atomic_uint returned;  /* leases given back */
	atomic_ullong granted_ns;
	atomic_ullong names_ns; /* names of a directory were granted */
	atomic_ullong fresh_ns; /* granted by an answer that may make the inode known to the kernel */
	atomic_ullong cool_ns;  /* no grants until then */
	unsigned strikes;       /* recalls that followed one another; the recalling thread's */
};

struct lease_holder {
	/* of this host as one that holds leases */
	atomic_bool serving;
	atomic_ullong term;    /* own */
	atomic_ullong beat_ns; /* when the last beat was about to be made */
	uint64_t inherited_ns; /* until then a former tenant's kernel may believe something; 0: not */
	atomic_uint phase;     /* answers under way are counted by phase (see answers_arrive) */
	atomic_uint under_way[2];
	struct lease_stripe *stripe; /* NULL: never served */
	struct lease_own *own;       /* the same */
	daxfs_lease_drop changes;    /* told what this host is about to change, or NULL */
	void *context;
	/* of all hosts */
	struct lease_watch watch;
};

#endif
