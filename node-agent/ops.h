/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops.h - the filesystem as the kernel asks for it (FUSE low-level requests).
 *
 * A request is one call of libdaxfs and one answer; nothing is kept between
 * requests except the pool's own count of open files (and lookup_pin.h, lock_owner.h,
 * tombstone.h). A FUSE node id is a daxfs handle, so there is no table of inodes,
 * next to nothing to forget, and the generation is always 0 (handles are never
 * reused): the kernel may come back with one, for whom it exports the files to.
 * An open file has a number that no other one of this tenant gets.
 *
 * Coherence first: other hosts change the pool, so the kernel trusts neither names nor attributes (timeouts 0)
 * but for as long as there is a lease of them (kernel_cache.h), nor, but for files that are read alone under a lease
 * (kernel_pages.h), cached data: opens are direct. Mappings have pages in its cache all the same: ops_map.c.
 */
#ifndef AGENT_OPS_H
#define AGENT_OPS_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "daxfs/daxfs.h"
#include "node-agent/affinity.h"
#include "node-agent/backing.h"
#include "node-agent/channel.h"
#include "node-agent/kernel_cache.h"
#include "node-agent/kernel_pages.h"
#include "node-agent/lock_owner.h"
#include "node-agent/lockwait.h"
#include "node-agent/lookup_pin.h"
#include "node-agent/told_names.h"
#include "node-agent/tombstone.h"

static_assert(FUSE_ROOT_ID == DAXFS_ROOT, "the root's node id is its handle");
static_assert(sizeof(fuse_ino_t) == sizeof(daxfs_ino), "a node id holds a handle");

#define OPS_IO_MAX (1024u * 1024u) /* bytes of one read or write request */

/* what every request needs */
struct ops {
	/* constant once the mount is up */
	struct daxfs *fs;
	unsigned host;         /* slot */
	double timeout_s;      /* of attributes and names in the kernel */
	pthread_key_t scratch; /* a buffer a worker keeps */
	struct channel *channel;
	struct estate *estate;
	const struct backing_config *backing_config; /* n_backings of them */
	unsigned n_backings;
	uint64_t dirty_max; /* bytes of each; 0: not said */

	struct affinity affinity; /* these have locks of their own */
	struct kernel_cache cache;
	struct kernel_pages pages;
	struct told_names told;
	struct lookup_pins pins;
	struct tombstones tombstones;
	struct lock_owners lock_owners;
	struct lockwait lockwait; /* .. and a thread */
	struct backings backings; /* .. and some */
	struct backing_told backing_told;
};

extern const struct fuse_lowlevel_ops ops_table; /* ops_table.c */

int ops_start(struct ops *ops);
/* No worker is left: answer who still waits for a lock. */
void ops_quiesce(struct ops *ops);
/* After the last request, before leaving the pool. */
void ops_stop(struct ops *ops);

/* -- shared by ops_*.c ------------------------------------------------------ */

static inline struct ops *ops_of(fuse_req_t req)
{
	return (struct ops *)fuse_req_userdata(req);
}

/* 0: of a PID namespace that is not ours. */
static inline uint32_t ops_thread(fuse_req_t req)
{
	return (uint32_t)fuse_req_ctx(req)->pid;
}

static inline struct daxfs *ops_fs(fuse_req_t req)
{
	return ops_of(req)->fs;
}

/* False: every -ESTALE means that this host was declared dead. */
bool ops_alive(fuse_req_t req);
/* The error of an operation on a name: -ESTALE because a directory is gone
 * becomes what a local filesystem says. */
int ops_name_error(fuse_req_t req, int error);
/* Before a name is removed: what it leads to, to be settled (tombstone.h). NULL: nothing, or no memory. */
struct tombstone *ops_begin_removal(fuse_req_t req, daxfs_ino parent, const char *name);
/* Note the error of a request for an inode, on its way to the answer. */
int ops_inode_error(fuse_req_t req, int error);
/* Attributes of an inode, which may be one that only the kernel has open any more. */
int ops_getattr(fuse_req_t req, daxfs_ino ino, struct daxfs_attr *out);
/* Answer without data: error is 0 or -errno. */
void ops_reply(fuse_req_t req, int error);
void ops_reply_entry(fuse_req_t req, int error, const struct daxfs_attr *attr);
/* The same of an answer that may be kept: found, or (-ENOENT) not there. */
void ops_reply_found(fuse_req_t req, int error, const struct daxfs_attr *attr, const struct daxfs_lease *lease);
/* For that thread, which may not know it. */
void ops_entry(struct ops *ops, uint32_t thread, const struct daxfs_attr *attr, struct fuse_entry_param *out);
void ops_entry_leased(struct ops *ops, uint32_t thread, const struct daxfs_attr *attr, const struct daxfs_lease *lease,
		      struct fuse_entry_param *out);
void ops_stat(struct ops *ops, const struct daxfs_attr *attr, struct stat *out);
/* A name of the root that is for the agents alone. */
bool ops_is_hidden(daxfs_ino parent, const char *name);
/* This worker's buffer of at least size bytes, or NULL. */
void *ops_scratch(struct ops *ops, size_t size);
/* Who asks. In a set-group-ID directory new files take its group (and new
 * directories the bit too: *mode). */
int ops_cred(fuse_req_t req, daxfs_ino parent, uint32_t *mode, struct daxfs_cred *out);
/* May the caller open a file of these attributes with these flags? */
bool ops_may_open(fuse_req_t req, const struct daxfs_attr *attr, int flags);

/* ops_open.c: not 0: nobody took the answer */
int ops_reply_open(fuse_req_t req, uint64_t fh, unsigned how);
int ops_reply_created(fuse_req_t req, const struct daxfs_attr *attr, const struct daxfs_lease *lease, uint64_t fh);

/* Around what changes the data of a file on this host: what the kernel has of it it must not use meanwhile. */
static inline void ops_data_changes(fuse_req_t req, daxfs_ino ino)
{
	if (ops_of(req)->pages.on)
		kernel_pages_change(&ops_of(req)->pages, ino);
}

static inline void ops_data_changed(fuse_req_t req, daxfs_ino ino)
{
	if (ops_of(req)->pages.on)
		kernel_pages_changed(&ops_of(req)->pages, ino);
}

/* ops_backed.c: the number of the backing that a file is of, or QUESTION_OF_POOL. */
int ops_backing_number(fuse_req_t req, daxfs_ino ino);
/*
 * Of storage, and answered, now or later? The last for what is not in the pool. False: it is to be answered as the pool
 * has it. If that had no such name then, it was `missed`: it may be there again, so what the pool has does not count.
 */
bool ops_backed_lookup(fuse_req_t req, daxfs_ino parent, const char *name, bool missed);
bool ops_backed_open(fuse_req_t req, daxfs_ino ino, int flags);
/* A name in storage is kept no longer than the last look at what it leads to counts (revalidate-ms). */
void ops_backed_limit(struct ops *ops, const struct daxfs_attr *attr, struct daxfs_lease *lease);
bool ops_backed_opendir(fuse_req_t req, daxfs_ino ino);
bool ops_backed_read(fuse_req_t req, daxfs_ino ino, size_t size, off_t offset, bool cached);
bool ops_backed_write(fuse_req_t req, daxfs_ino ino, const char *buf, size_t size, off_t offset,
		      const struct fuse_file_info *fi);
/* 1: a write by that user takes bits of the mode away, and *want is what is left. -errno */
int ops_bits_to_drop(fuse_req_t req, daxfs_ino ino, struct daxfs_attr *want);
bool ops_backed_fsync(fuse_req_t req, daxfs_ino ino);
bool ops_backed_setattr(fuse_req_t req, daxfs_ino ino, unsigned set, const struct daxfs_attr *attr);
/* ops_backed_names.c: the same of names. flags O_CREAT: the file is to be open, too */
bool ops_backed_make(fuse_req_t req, daxfs_ino parent, const char *name, uint32_t mode, const char *target, int flags);
bool ops_backed_remove(fuse_req_t req, daxfs_ino parent, const char *name, bool directory);
bool ops_backed_rename(fuse_req_t req, daxfs_ino parent, const char *name, daxfs_ino new_parent, const char *new_name,
		       unsigned flags);
bool ops_backed_link(fuse_req_t req, daxfs_ino ino, daxfs_ino new_parent, const char *new_name);
/* Open it, and answer. */
void ops_open_now(fuse_req_t req, daxfs_ino ino, int flags);
void ops_opendir_now(fuse_req_t req, daxfs_ino ino);

/*
 * ops_again.c: requests that a process which has died had begun. How much of it is done (bytes of a write, else
 * 0 or more), and the file that it made, or 0.
 */
uint64_t ops_done(void);
daxfs_ino ops_made(void);
/* Answer it, if it is done: that it is; or with the attributes of a file. */
bool ops_answered_done(fuse_req_t req);
bool ops_answered_entry(fuse_req_t req, daxfs_ino ino);
/* What is done from here on (or, true, is not any more) is not what the request is about. */
void ops_aside(fuse_req_t req, bool aside);
/* A number for the file that it opens: the one that it has, or a new one; 0: there are too many. */
uint64_t ops_new_file(fuse_req_t req);
/* Hold a file in the pool, and keep that under a number, which a failure frees. 0 or -errno. */
int ops_open_file(fuse_req_t req, uint64_t fh, daxfs_ino ino);
/* Let go of what a number stands for, if it does. 0 or -errno. */
int ops_close_file(fuse_req_t req, uint64_t fh);

/* ops_attr.c */
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void ops_reply_attr(fuse_req_t req, int error, const struct daxfs_attr *attr);
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *in, int to_set, struct fuse_file_info *fi);
void op_statfs(fuse_req_t req, fuse_ino_t ino);
unsigned ops_set_bits(int to_set);
/* Once pages that may be older than the question have been dropped; in a lane (kernel_questions.h). */
void ops_getattr_dropping(fuse_req_t req, daxfs_ino ino, int backing, int drop);

/* ops_name.c */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_readlink(fuse_req_t req, fuse_ino_t ino);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
	       unsigned int flags);
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent, const char *new_name);

/* ops_file.c */
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi);
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t offset, struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi);
void op_copy_range(fuse_req_t req, fuse_ino_t from, off_t from_offset, struct fuse_file_info *from_fi, fuse_ino_t to,
		   off_t to_offset, struct fuse_file_info *to_fi, size_t len, int flags);
void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t len, struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi);

/* ops_xattr.c */
void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size, int flags);
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

/* ops_lock.c */
void op_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *l);
void op_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *l, int sleep);
void op_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op);
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
/* The locks of an open file that goes. */
void ops_release_locks(fuse_req_t req, daxfs_ino ino, const struct fuse_file_info *fi);

/* Answer a read, or (cached) one of the kernel for its cache. */
void ops_read(fuse_req_t req, daxfs_ino ino, size_t size, off_t offset, bool cached);

/* ops_map.c: pages for a mapping that may be written, now or later; may such a page be written back? */
void ops_map_read(fuse_req_t req, daxfs_ino ino, size_t size, off_t offset);
int ops_map_write(fuse_req_t req, daxfs_ino ino);

/* ops_dir.c */
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi);
void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

#endif
