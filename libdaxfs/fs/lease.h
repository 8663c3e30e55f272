/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/lease.h - leases as operations use them; sync/lease.h says what they are.
 *
 * Who changes something stages that (change_stage) and never waits in its step: the step ends in
 * -EAGAIN, and fs_run recalls before it tries again. Who writes data asks lease_may_write.
 */
#ifndef DAXFS_FS_LEASE_H
#define DAXFS_FS_LEASE_H

#include "daxfs/lease.h"
#include "fs/fs.h"
#include "sync/lease.h"

void lease_holder_init(struct lease_holder *h);
void lease_holder_fini(struct lease_holder *h);
/* This host has joined, or beats. */
void lease_joined(struct daxfs *fs);
/* Memory for what this host's cache is told: to serve it, or to mend lanes before that (lease_moves). 0 or -ENOMEM. */
int lease_prepare(struct daxfs *fs);
/*
 * What is left of a lane is seen to, and the times of an inode are about to be moved. False: not before this host's own
 * cache has forgotten (lease_recall). One that is not served yet is told when it is (daxfs_lease_go_on).
 */
bool lease_moves(struct daxfs *fs, struct lane *by, struct sm_inode *sm);
void lease_beats(struct daxfs *fs, uint64_t before_ns);

/* Recall what a lane has noted, and have this host's own cache forget it; it must be outside of its protection. */
void lease_recall(struct daxfs *fs, struct lane *lane);

/* In a record: names in a directory, or attributes of an inode, change, and its ctime, and mtime if `modified`. */
void change_stage(struct lane *lane, struct sm_inode *sm, bool modified);
/* The same of what has times of its own, for storage has them. */
void change_bar(struct lane *lane, struct sm_inode *sm);
/* Times are about to be set as asked, without a record: -EAGAIN: leases are to be recalled first. */
int change_alone(struct lane *lane, struct sm_inode *sm);
/* Its times were set after the record that changes it was decided. */
void change_settle(struct lane *lane, struct sm_inode *sm);
/*
 * Before data of a file is written: 0 nobody else has a lease of it, nor gets one before the
 * last close here; -EAGAIN it is to be recalled. *alone: the former; false: the record
 * must stage it as a change.
 */
int lease_may_write(struct lane *lane, struct sm_inode *sm, bool *alone);
/* This host has closed the file: it writes no more. */
void lease_written(struct lane *lane, struct sm_inode *sm, unsigned host);

/* May the kernel be told about an inode? Before it is looked at; lane->txn.marked after that says no. */
bool lease_grant(struct daxfs *fs, struct lane *lane, uint64_t handle, bool names, bool fresh);
static inline bool lease_is_dots(const char *name)
{
	return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}
/* Of what was granted in this answer: see struct daxfs_lease. */
uint64_t lease_since(struct daxfs *fs, struct lane *lane, uint64_t handle);
/* Before it: see daxfs_lease_stands. */
uint64_t lease_begun(const struct daxfs *fs, uint64_t handle);
/* For how long, in nanoseconds. */
uint64_t lease_length(const struct daxfs *fs);

#endif
