/* SPDX-License-Identifier: Apache-2.0 */
/*
 * daxfs.h - a shared filesystem on CXL memory that outlives its hosts.
 *
 * A pool is a region of memory (a file in /dev/shm, a memfd, a device-DAX
 * device) that several hosts map. Each host that uses it joins as a numbered
 * host slot and then calls the operations below from any number of threads; a
 * call takes one of the host's lanes for its duration and waits for one if all
 * are busy. Nothing else ever waits for another thread or host, dead or alive.
 *
 * Every call returns 0 (or a count where it says so) or -errno; out-parameters
 * come last and are set only on success. Every operation that changes the pool
 * happens wholly or not at all, whatever dies; when it has returned 0 it has
 * happened, in the pool's durability domain. Common errors:
 *   -ESTALE  this host was declared dead (stop using the pool), or the handle
 *            names an inode that is gone
 *   -EIO     shared bytes do not make sense; daxfsctl check says more
 *   -ENOSPC  no free page, inode or directory entry
 *   -ECHILD  called by a child of the process that opened the pool
 *
 * Processes. What daxfs_open or daxfs_member_open gave belongs to the process that called it.
 * A child (fork) has no mapping of the pool: every call with its parent's fs, view or draft returns
 * -ECHILD (those that return nothing do nothing) and touches nothing that is shared; a pointer of a
 * view or draft is SIGSEGV there. It may close and abort them, which frees its copy alone, and
 * open the pool for itself, as another host. vfork, posix_spawn and fork with exec are fine.
 *
 * Threads. A call is never left in the middle by pthread_cancel: calls are no cancellation
 * points, only the callback of daxfs_readdir may be one (nothing is held in it). With
 * PTHREAD_CANCEL_ASYNCHRONOUS no call may be made, and no callback may leave its call
 * otherwise (longjmp, exceptions). A view or draft belongs to no thread: if the one that used it ends,
 * another may go on with it, or close it, and until then it keeps its lane.
 */
#ifndef DAXFS_DAXFS_H
#define DAXFS_DAXFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DAXFS_API __attribute__((visibility("default")))

/* A one-line reason for a failure: what is wrong and what to do. */
struct daxfs_error {
	char text[256];
};

/* -- pools ---------------------------------------------------------------- */

struct daxfs_mkfs_options {
	const char *name;      /* up to 31 bytes; NULL: "daxfs" */
	uint64_t size;         /* bytes; 0: the size the file or device has */
	uint64_t inodes;       /* 0: one per 32 KiB */
	unsigned hosts;        /* slots, one more than hosts: see daxfsctl mkfs; 0: 8 */
	unsigned lanes;        /* per host; 0: 8 */
	unsigned opens;        /* files one host can hold open; 0: 4096 */
	unsigned heartbeat_ms; /* 0: 50. Everything else in time follows from it */
	bool wb;               /* durability domain: write back, instead of gpf */
	bool force;            /* overwrite an existing pool */
};

/*
 * Make a pool at path. A missing file is created with the given size. Refuses
 * (-EEXIST) a path that holds a pool unless force. Not for a pool in use.
 */
DAXFS_API int daxfs_mkfs(const char *path, const struct daxfs_mkfs_options *options, struct daxfs_error *err);

struct daxfs; /* a mapped pool */

enum daxfs_open_mode {
	DAXFS_READ_ONLY, /* inspection: no join; operations that write fail with -EROFS */
	DAXFS_REPAIR,    /* for daxfs_repair: headers of regions may be damaged */
	DAXFS_READ_WRITE
};

struct daxfs_geometry {
	char name[32];
	uint8_t uuid[16];
	uint64_t size;
	unsigned version, hosts, lanes_per_host, opens_per_host, heartbeat_ms;
	bool wb;
	uint64_t pages, inodes, dirents;
};

/* Map the pool at path and validate its header. */
DAXFS_API int daxfs_open(const char *path, enum daxfs_open_mode mode, struct daxfs **fs, struct daxfs_error *err);
/* Unmap. Leaves first if joined. No view or draft of it may be open. In a child: frees its copy of fs. */
DAXFS_API void daxfs_close(struct daxfs *fs);
DAXFS_API void daxfs_geometry(const struct daxfs *fs, struct daxfs_geometry *out);

/* -- membership of this host ---------------------------------------------- */

/*
 * Join as host slot `host`. -EBUSY: the slot is taken by a live or not yet
 * recovered tenant (why says which), or a former tenant left something in it, and
 * it is now FENCED, for recovery. name: up to 31 bytes.
 */
DAXFS_API int daxfs_join(struct daxfs *fs, unsigned host, const char *name, struct daxfs_error *err);
/*
 * Leave cleanly: releases open files, frees the slot; nothing is left to
 * recover. The caller has ended its other calls with fs and begins none before
 * this returns. -ESTALE if declared dead meanwhile; -EBUSY: views or drafts are
 * open, nothing happened; -EIO: something of it could not be put in order, so it
 * goes without its slot, which stays ALIVE until it is fenced and recovered.
 */
DAXFS_API int daxfs_leave(struct daxfs *fs);
/* Advance this host's heartbeat and publish its counters. One thread, every
 * heartbeat_ms. -ESTALE when this host was declared dead. */
DAXFS_API int daxfs_beat(struct daxfs *fs);
/*
 * False if some call has stood still for the last `calls` calls of this function: its worker is
 * stuck. A long call (a large file is deleted, or recovered from a dead host) goes on by
 * batches, each of which counts, so it may take as long as it takes. One thread.
 */
DAXFS_API bool daxfs_progressing(struct daxfs *fs, unsigned calls);

struct daxfs_recovery {
	unsigned host;        /* that died */
	uint32_t generation;  /* before the bump */
	uint64_t finished;    /* records rolled forward or finalized as committed */
	uint64_t rolled_back; /* records undone */
	uint64_t objects;     /* pages, inodes, entries finalized */
	uint64_t opens;       /* open files released */
	uint64_t files;       /* truncations and unlinks finished */
	uint64_t ns;          /* duration */
};

/* Recover every host slot assigned to this host (RECOVERING by us). Fills at
 * most `max` reports; returns how many hosts were recovered. Call from one
 * thread, on each heartbeat. */
DAXFS_API int daxfs_recover_assigned(struct daxfs *fs, struct daxfs_recovery *reports, unsigned max);
/* Claim a FENCED slot for this host and recover it (no fabricd needed). */
DAXFS_API int daxfs_recover(struct daxfs *fs, unsigned host, struct daxfs_recovery *report);

/* -- filesystem ------------------------------------------------------------ */

/*
 * Inodes are named by handles: 64 bits, never reused for another file. The
 * root's is DAXFS_ROOT.
 */
typedef uint64_t daxfs_ino;
#define DAXFS_ROOT ((daxfs_ino)1)

struct daxfs_attr {
	daxfs_ino ino;
	uint64_t size, blocks; /* blocks of 512 bytes, from the pages really held up to a bound */
	uint32_t mode, nlink, uid, gid, rdev;
	/*
	 * Since 1970, of the clock of the host that made the change, to some milliseconds. A change
	 * never moves mtime or ctime backwards: where a host whose clock was ahead has left a time of
	 * the future, each change moves it on by 1 ns. Only daxfs_setattr sets an earlier time.
	 */
	uint64_t atime_ns, mtime_ns, ctime_ns;
};

/* Who creates, and with what mode bits. */
struct daxfs_cred {
	uint32_t uid, gid;
};

DAXFS_API int daxfs_lookup(struct daxfs *fs, daxfs_ino parent, const char *name, struct daxfs_attr *out);
DAXFS_API int daxfs_getattr(struct daxfs *fs, daxfs_ino ino, struct daxfs_attr *out);

/* which fields of struct daxfs_setattr count */
enum daxfs_set {
	DAXFS_SET_MODE = 1,
	DAXFS_SET_UID = 2,
	DAXFS_SET_GID = 4,
	DAXFS_SET_SIZE = 8,
	DAXFS_SET_ATIME = 16,
	DAXFS_SET_MTIME = 32,
	DAXFS_SET_ATIME_NOW = 64,
	DAXFS_SET_MTIME_NOW = 128
};
/* mode, uid, gid and size change together or not at all. */
DAXFS_API int daxfs_setattr(struct daxfs *fs, daxfs_ino ino, unsigned set, const struct daxfs_attr *in,
			    struct daxfs_attr *out);

/*
 * Make a regular file, fifo, socket or device (mode has the type). -EEXIST if
 * the name exists: of any number of callers on any hosts exactly one succeeds.
 * With open = true the new file is already open (as by daxfs_file_open).
 */
DAXFS_API int daxfs_mknod(struct daxfs *fs, daxfs_ino parent, const char *name, uint32_t mode, uint32_t rdev,
			  struct daxfs_cred cred, bool open, struct daxfs_attr *out);
DAXFS_API int daxfs_mkdir(struct daxfs *fs, daxfs_ino parent, const char *name, uint32_t mode, struct daxfs_cred cred,
			  struct daxfs_attr *out);
DAXFS_API int daxfs_symlink(struct daxfs *fs, daxfs_ino parent, const char *name, const char *target,
			    struct daxfs_cred cred, struct daxfs_attr *out);
DAXFS_API int daxfs_link(struct daxfs *fs, daxfs_ino ino, daxfs_ino parent, const char *name, struct daxfs_attr *out);
DAXFS_API int daxfs_unlink(struct daxfs *fs, daxfs_ino parent, const char *name);
DAXFS_API int daxfs_rmdir(struct daxfs *fs, daxfs_ino parent, const char *name);

#define DAXFS_RENAME_NOREPLACE 1u
#define DAXFS_RENAME_EXCHANGE 2u
DAXFS_API int daxfs_rename(struct daxfs *fs, daxfs_ino parent, const char *name, daxfs_ino new_parent,
			   const char *new_name, unsigned flags);
/* buf receives a NUL-terminated target; size >= 4096 always suffices. */
DAXFS_API int daxfs_readlink(struct daxfs *fs, daxfs_ino ino, char *buf, size_t size);

/*
 * Hold a file open: it stays readable and writable after its last name is
 * removed, on any host, until every holder on every host has released it or
 * died. Counted per host. -ESTALE if it is already gone, -ENFILE when the
 * host's table of open files is full.
 */
DAXFS_API int daxfs_file_open(struct daxfs *fs, daxfs_ino ino);
DAXFS_API int daxfs_file_close(struct daxfs *fs, daxfs_ino ino);

/* Bytes read or -errno. Short only at the end of the file. */
DAXFS_API ssize_t daxfs_read(struct daxfs *fs, daxfs_ino ino, void *buf, size_t len, uint64_t offset);
/*
 * Bytes written or -errno. A write of up to 256 KiB is all or nothing; a
 * larger one is a sequence of such pieces (and may return a count less than
 * len if a later piece fails). DAXFS_APPEND: at the end of the file, whatever
 * offset says; appends of any hosts never overlap.
 */
#define DAXFS_APPEND 1u
#define DAXFS_ATOMIC_WRITE_MAX (256u * 1024u)
DAXFS_API ssize_t daxfs_write(struct daxfs *fs, daxfs_ino ino, const void *buf, size_t len, uint64_t offset,
			      unsigned flags);
/*
 * Reading without copying. A view_read gives a pointer to what is at offset, and how
 * many bytes lie together there: up to the end of its page, or further where more of the
 * file follows, or of the file; 0 at the end. They never change: a write replaces
 * pages. They stay until the view is renewed or closed, and so does, in the pool, all
 * that is replaced or removed meanwhile: renew often. A view occupies one of the host's
 * lanes; -EBUSY when only one is left. One thread at a time. -ESTALE: this host was
 * declared dead, or there is no such file any more; -EAGAIN: the file's size changes
 * all the time.
 */
struct daxfs_view;
DAXFS_API int daxfs_view_open(struct daxfs *fs, struct daxfs_view **out);
DAXFS_API ssize_t daxfs_view_read(struct daxfs_view *view, daxfs_ino ino, uint64_t offset, const void **out);
DAXFS_API void daxfs_view_renew(struct daxfs_view *view);
DAXFS_API void daxfs_view_close(struct daxfs_view *view);
/*
 * Writing without copying: the caller fills fresh pages, one commit publishes
 * them. offset and len (up to DAXFS_ATOMIC_WRITE_MAX) are multiples of 4096;
 * pages[] receives len / 4096 pointers to pages of 4096 bytes, all to be filled
 * (their contents are anything). Until the commit nobody sees any of it, and a
 * crash leaves the file as it was; the commit is all or nothing like a write of
 * that length, and makes the file longer if it ends past its end. Commit and
 * abort end the draft, whatever they return.
 * begin: -EBUSY as for views. commit: -EAGAIN, somebody changed the range or, of
 * a longer file, its end meanwhile: nothing happened, draft it anew.
 */
struct daxfs_draft;
DAXFS_API int daxfs_draft_begin(struct daxfs *fs, daxfs_ino ino, uint64_t offset, size_t len, void **pages,
				struct daxfs_draft **out);
DAXFS_API int daxfs_draft_commit(struct daxfs_draft *draft);
DAXFS_API void daxfs_draft_abort(struct daxfs_draft *draft);

/* Completed writes are already as durable as the pool's domain makes them:
 * returns after a full fence; -EIO if this pool's domain cannot promise it. */
DAXFS_API int daxfs_fsync(struct daxfs *fs, daxfs_ino ino);

/*
 * List a directory from `cookie` (0: the start). fill returns false to stop;
 * next is the cookie to continue after that entry. Cookies stay valid whatever
 * is created or removed meanwhile: an entry present throughout is seen exactly
 * once. Includes "." and "..".
 */
typedef bool (*daxfs_fill)(void *context, const char *name, daxfs_ino ino, unsigned dt_type, uint64_t next);
DAXFS_API int daxfs_readdir(struct daxfs *fs, daxfs_ino dir, uint64_t cookie, daxfs_fill fill, void *context);

enum daxfs_lock_type { DAXFS_UNLOCK = 0, DAXFS_LOCK_READ, DAXFS_LOCK_WRITE };
/* Locks of one kind do not see those of the other. POSIX: of ranges, split and
 * merged. FLOCK: of whole files, start and end are ignored. */
enum daxfs_lock_kind { DAXFS_LOCK_POSIX = 0, DAXFS_LOCK_FLOCK };
#define DAXFS_LOCK_END ((uint64_t)INT64_MAX) /* the last byte there may be */

struct daxfs_lock {
	uint64_t start, end; /* first and last byte; end at most DAXFS_LOCK_END */
	uint64_t owner;      /* told apart from the other owners of this host */
	uint32_t pid;        /* only to be told to those who ask */
	unsigned host;       /* of the owner; set by daxfs_lock_get */
	enum daxfs_lock_type type;
	enum daxfs_lock_kind kind;
};
/*
 * Set, change or give up (DAXFS_UNLOCK) an advisory lock of a file that this host
 * holds; what the owner had locked in the range becomes what is asked for, all at
 * once. Never waits: -EAGAIN when another owner, of any host, is in the way, and
 * nothing has changed. -EBADF: not held. -ENOLCK: the file has DAXFS_LOCKS_MAX
 * (126) locks, or no page is free; giving up whole locks never needs a page.
 * A host's locks of a file end with its last daxfs_file_close of it. Those of a
 * dead host keep others out until it is recovered.
 */
DAXFS_API int daxfs_lock(struct daxfs *fs, daxfs_ino ino, const struct daxfs_lock *lock);
/* The first lock that is in the way of one; type DAXFS_UNLOCK: none is. */
DAXFS_API int daxfs_lock_get(struct daxfs *fs, daxfs_ino ino, const struct daxfs_lock *lock, struct daxfs_lock *out);

/* exact when nothing changes meanwhile: walks the state tables */
struct daxfs_usage {
	uint64_t total, free, live, private_, retired;
};
struct daxfs_statfs {
	struct daxfs_usage pages, inodes, dirents;
	uint64_t nodes; /* live pages that hold index or directory nodes */
};
DAXFS_API int daxfs_statfs(struct daxfs *fs, struct daxfs_statfs *out);

/* -- inspection (read-only mode suffices) ---------------------------------- */

/* One finding: a problem (or, from dry runs, a fact), as one line. */
typedef void (*daxfs_report)(void *context, const char *line);

struct daxfs_check {
	uint64_t problems;
	uint64_t files, directories, names, pages_used;
	struct daxfs_statfs usage;
};
/*
 * Walk every structure: states against reachability, link counts, node counts,
 * marks, checksums of headers. Exact only while no host changes the pool.
 */
DAXFS_API int daxfs_check(struct daxfs *fs, daxfs_report report, void *context, struct daxfs_check *out);
struct daxfs_repaired {
	uint64_t problems; /* found at first */
	uint64_t repairs;  /* done, or in a dry run, that would be */
	uint64_t losses;   /* things that are said to be lost */
	uint64_t found;    /* inodes without names that have one in /lost+found now */
	uint64_t left;     /* problems that the check still finds */
};
/*
 * Repair whatever the check finds in a pool that no host uses, until it finds nothing. report
 * (may be NULL) gets the findings, and lines that begin with "did: " ("would: " in a dry run,
 * which changes nothing) and "lost: ". fs must not be joined. It may be interrupted at any
 * point and run again; until it ends no host can join. -EBUSY: a host has not left, or is not
 * recovered (why says which); -ECANCELED: another repair has begun meanwhile.
 */
DAXFS_API int daxfs_repair(struct daxfs *fs, bool dry_run, daxfs_report report, void *context,
			   struct daxfs_repaired *out, struct daxfs_error *err);
/*
 * Finish one removed file that nobody could finish ("orphan", "dead-inode" of the check), in a
 * pool that is in use: links of it that make no sense, or name what belongs to others, are
 * cut first. inode: its index. fs is joined. -EBUSY: it has a name or a holder, or is none
 * (why says which); -EIO: still not.
 */
DAXFS_API int daxfs_repair_item(struct daxfs *fs, uint64_t inode, daxfs_report report, void *context,
				struct daxfs_error *err);
/* What host left in flight and what recovery would make of it, line by line. */
DAXFS_API int daxfs_recover_dry_run(struct daxfs *fs, unsigned host, daxfs_report report, void *context);
/* Records in flight, PRIVATE objects named by them, and open files of a host. */
struct daxfs_inflight {
	unsigned lanes, records, owned, opens;
};
DAXFS_API int daxfs_inflight(struct daxfs *fs, unsigned host, struct daxfs_inflight *out);
/* What: "super", "member", "lanes", "inode N", "dir N". */
DAXFS_API int daxfs_dump(struct daxfs *fs, const char *what, daxfs_report report, void *context);

struct daxfs_selftest {
	uint64_t value;      /* of the scratch word afterwards */
	uint64_t increments; /* made by this call */
	uint64_t tries;      /* compare-and-swaps they took */
};
/*
 * Increment the pool's scratch word by compare-and-swap. Run by any number of
 * processes and hosts at once, the word must grow by the exact sum: 64-bit
 * compare-and-swap is atomic on this memory. Touches nothing else; harmless in a
 * pool in use. increments = 0 (read-only mode suffices) tells the value.
 */
DAXFS_API int daxfs_selftest(struct daxfs *fs, uint64_t increments, struct daxfs_selftest *out);

#ifdef __cplusplus
}
#endif
#endif
