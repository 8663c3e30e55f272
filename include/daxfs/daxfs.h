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

#include "daxfs/base.h"
#include "daxfs/host.h"
#include "daxfs/local.h"
#include "daxfs/lock.h"
#include "daxfs/view.h"
#include "daxfs/xattr.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * daxfs_version - the version of the library
 *
 * "0.1.0" and the like; compare it with DAXFS_VERSION_STRING, what the program was compiled with.
 */
DAXFS_API const char *daxfs_version(void);

/* -- pools ---------------------------------------------------------------- */

/* Heartbeats, in milliseconds: the range, and the two profiles. What follows from them is in fabricd/timing.h. */
#define DAXFS_HEARTBEAT_MS_MIN 5u
#define DAXFS_HEARTBEAT_MS_MAX 10000u
#define DAXFS_HEARTBEAT_MS_DEFAULT 50u
#define DAXFS_HEARTBEAT_MS_RT 5u /* quiet machines with real-time priority, no guests */
#define DAXFS_LEASE_BEATS 4u     /* a lease is so many long at least: what is granted after a beat is worth having */

/* Which cached page is given back first where room is short. */
enum daxfs_cache_policy_name {
	DAXFS_CACHE_HEAT, /* used least often, then longest ago; of what hosts read one behind the other, longest ago */
	DAXFS_CACHE_CLOCK /* MH-clock: not used since a hand went by */
};

#define DAXFS_HOSTS_MANY UINT32_MAX /* as many slots as there can be, 64, in at most 1/128 of the pool; 9 at least */

struct daxfs_mkfs_options {
	size_t struct_size;    /* sizeof(struct daxfs_mkfs_options): see base.h */
	const char *name;      /* up to 31 bytes; NULL: "daxfs" */
	uint64_t size;         /* bytes; 0: the size the file or device has */
	uint64_t inodes;       /* 0: one per 32 KiB */
	unsigned hosts;        /* slots, one more than hosts: see daxfsctl mkfs; 0: 8; or DAXFS_HOSTS_MANY */
	unsigned lanes;        /* per host; 0: 8 */
	unsigned opens;        /* files one host can hold open; 0: 4096 */
	unsigned heartbeat_ms; /* 0: 50. Everything else in time follows from it */
	unsigned lease_ms;     /* how long kernels may believe what they were told; 0: no leases */
	enum daxfs_cache_policy_name cache_policy;
	uint64_t cache_min; /* bytes of cached pages that files of the pool do not push out; 0: files have all room */
	uint64_t cache_max; /* bytes of cached pages that there are at most; 0: no limit */
	bool wb;            /* durability domain: write back, instead of gpf */
	bool force;         /* overwrite an existing pool */
};

/*
 * daxfs_mkfs - make a pool
 *
 * Lays an empty pool over a file or device. A missing file is created with the given size. Not for a
 * pool in use: nobody may have it mapped.
 *
 * Errors:
 * -EEXIST   the path holds a pool, or other data, and force is not set
 * -EINVAL   an option is out of range, as is a size too small for the others, or struct_size is not set; err says which
 * -E2BIG    an option is set that this version of the library does not know
 * -ENODEV   the path is neither a regular file nor a device-DAX device that can be used
 * -ENOSPC   the disk is full
 * -ENOMEM, -EACCES and others of open(2); -EFBIG of a size that is too large
 * Crash: the superblocks are written last, so what is there is the old pool or no pool; make it again.
 */
DAXFS_API int daxfs_mkfs(const char *path, const struct daxfs_mkfs_options *options, struct daxfs_error *err);

enum daxfs_open_mode {
	DAXFS_READ_ONLY, /* inspection: no join; operations that write fail with -EROFS */
	DAXFS_REPAIR,    /* for daxfs_repair: headers of regions may be damaged */
	DAXFS_READ_WRITE
};

struct daxfs_geometry {
	char name[32];
	uint8_t uuid[16];
	uint64_t size;
	unsigned version, hosts, lanes_per_host, opens_per_host, heartbeat_ms, lease_ms;
	bool wb;
	uint64_t pages, inodes, dirents;
	enum daxfs_cache_policy_name cache_policy;
	uint64_t cache_min, cache_max;
};

/*
 * daxfs_open - map a pool
 *
 * Maps the file or device and validates its superblocks and region headers. In read-write mode all of
 * a file's blocks are reserved, so that no later store can fail for want of them. Nothing is joined:
 * to change the pool call daxfs_join.
 *
 * Errors:
 * -EINVAL   not a pool
 * -EPROTONOSUPPORT another format version, or a feature that this version does not know
 * -EUCLEAN  both superblocks, or a region header, are damaged
 * -ENODATA  the file is shorter than the pool
 * -ENODEV   the path is neither a regular file nor a device-DAX device that can be used
 * -ENOSPC   there is no room for the blocks of a sparse file
 * -ENOMEM, -ENOENT, -EACCES and others of open(2)
 */
DAXFS_API int daxfs_open(const char *path, enum daxfs_open_mode mode, struct daxfs **fs, struct daxfs_error *err);

/*
 * daxfs_close - unmap a pool
 *
 * Leaves first if joined. No view or draft may be open, and no other call be under way. In a child of
 * the process that opened the pool it frees the child's copy alone.
 */
DAXFS_API void daxfs_close(struct daxfs *fs);

/*
 * daxfs_geometry - what a pool was made with
 *
 * Fills *out from the copy of the superblock that was validated when the pool was opened. Never fails.
 */
DAXFS_API void daxfs_geometry(const struct daxfs *fs, struct daxfs_geometry *out);

/* -- memory that fails --------------------------------------------------------- */

/*
 * A load of the pool that fails (SIGBUS) ends the call that made it in -EIO; what the call
 * had begun is finished or undone. The 4 KiB around it are listed in the pool: what lay
 * there is lost, and is never handed out again. The handler of SIGBUS is installed when a
 * pool is opened; faults outside of a call, or of other memory, go to the one that was
 * there before. A program that installs another one later must pass on what it does not know, and
 * a thread that blocks SIGBUS ends its process when a load of it fails.
 */

/*
 * daxfs_guard - run a function whose own loads of the pool may fail
 *
 * A program's loads through a view or a draft are its own matter. Returns what use(context) returns,
 * or -EIO if a load of this pool failed in it. It is then left where it was, so it must hold no lock
 * and leave nothing half done. Guards nest.
 *
 * Errors:
 * -EIO      a load of the pool failed
 * Crash: nothing of it is in the pool but what use does.
 */
DAXFS_API int daxfs_guard(struct daxfs *fs, int (*use)(void *context), void *context);

/* -- filesystem ------------------------------------------------------------ */

struct daxfs_attr {
	daxfs_ino ino;
	uint64_t size, blocks; /* blocks of 512 bytes: of the pages that are there, of data and of the index */
	uint32_t mode, nlink, uid, gid, rdev;
	/*
	 * Of the clock of the host that made the change, to some milliseconds; to the nanosecond for
	 * changes of what somebody has looked at: of two looks with a change in between, made by any
	 * host, the second has another ctime, and another mtime if contents or names have changed. (The
	 * change has returned, or its host was recovered; for the latter in a pool without leases see
	 * docs/LIMITS.md.) A change never moves mtime or ctime backwards, also where a host whose
	 * clock was ahead has left a time of the future. Only daxfs_setattr sets an earlier time, an
	 * mtime or atime. mtime and atime are kept to the nanosecond from 1970 to 2262, to 100 ns before
	 * and after that; a ctime is a multiple of 4 ns.
	 */
	struct timespec atime, mtime, ctime;
};

/* Who creates, and with what mode bits. */
struct daxfs_cred {
	uint32_t uid, gid;
};

/*
 * daxfs_lookup - find a name in a directory
 *
 * Fills *out with the attributes of what the name leads to. "." and ".." are names like others.
 * Changes nothing.
 *
 * Errors:
 * -ENOENT   no such name
 * -ENOTDIR  parent is no directory
 * -ENAMETOOLONG a name of more than 255 bytes
 * -EINVAL   a name with a slash
 */
DAXFS_API int daxfs_lookup(struct daxfs *fs, daxfs_ino parent, const char *name, struct daxfs_attr *out);

/*
 * daxfs_getattr - attributes of an inode
 *
 * Fills *out. Size, mode, uid, gid and link count are each of one moment, together or not; times are
 * plain words beside them. blocks counts the pages that are really there: of a large file in a moment of
 * its own, once, and again where it has changed.
 */
DAXFS_API int daxfs_getattr(struct daxfs *fs, daxfs_ino ino, struct daxfs_attr *out);

/* Which attributes daxfs_setattr changes. */
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

/*
 * daxfs_setattr - change attributes of an inode
 *
 * Changes the fields that `set` names; mode, uid, gid and size change together or not at all, times
 * follow. Fills *out with all attributes afterwards. A size beyond the end leaves a hole; a smaller
 * one cuts, and bytes that were cut read as zeros if the file grows again.
 *
 * Errors:
 * -EISDIR   a size, for a directory
 * -EINVAL   a size, for what is no regular file; a time more than 14,000 years from now, or no time
 * -EFBIG    a size of more than 4 TiB
 * Crash: happened wholly or not at all, but for times. What was cut off is given back by recovery.
 */
DAXFS_API int daxfs_setattr(struct daxfs *fs, daxfs_ino ino, unsigned set, const struct daxfs_attr *in,
			    struct daxfs_attr *out);

/*
 * daxfs_mknod - make a file, fifo, socket or device
 *
 * mode has the type and the permission bits. Of any number of callers on any hosts exactly one makes
 * the name. With open = true the new file is open already, as by daxfs_file_open.
 *
 * Errors:
 * -EEXIST   the name exists
 * -ENOENT   parent has been removed, or the name is empty
 * -ENOTDIR  parent is no directory
 * -EINVAL   mode has another type, or the name has a slash
 * -ENAMETOOLONG a name of more than 255 bytes
 * -ENFILE   open, and this host's table of open files is full
 * Crash: the file is there, or it is not.
 */
DAXFS_API int daxfs_mknod(struct daxfs *fs, daxfs_ino parent, const char *name, uint32_t mode, uint32_t rdev,
			  struct daxfs_cred cred, bool open, struct daxfs_attr *out);

/*
 * daxfs_mkdir - make a directory
 *
 * Errors:
 * -EEXIST   the name exists
 * -ENOENT   parent has been removed, or the name is empty
 * -ENOTDIR  parent is no directory
 * -EINVAL   the name has a slash
 * -ENAMETOOLONG a name of more than 255 bytes
 * Crash: the directory is there, or it is not.
 */
DAXFS_API int daxfs_mkdir(struct daxfs *fs, daxfs_ino parent, const char *name, uint32_t mode, struct daxfs_cred cred,
			  struct daxfs_attr *out);

/*
 * daxfs_symlink - make a symbolic link
 *
 * The target is kept as it is: up to 4095 bytes, not looked at.
 *
 * Errors:
 * -EEXIST   the name exists
 * -ENOENT   parent has been removed, or the target is empty
 * -ENOTDIR  parent is no directory
 * -ENAMETOOLONG a name of more than 255 bytes, or a target of more than 4095
 * Crash: the link is there, or it is not.
 */
DAXFS_API int daxfs_symlink(struct daxfs *fs, daxfs_ino parent, const char *name, const char *target,
			    struct daxfs_cred cred, struct daxfs_attr *out);

/*
 * daxfs_link - give an inode another name
 *
 * Errors:
 * -EEXIST   the name exists
 * -EPERM    ino is a directory
 * -ENOENT   ino has no name any more, or parent has been removed
 * -ENOTDIR  parent is no directory
 * -EMLINK   2147483647 names are enough
 * -ENAMETOOLONG a name of more than 255 bytes
 * Crash: name and link count have changed, or neither.
 */
DAXFS_API int daxfs_link(struct daxfs *fs, daxfs_ino ino, daxfs_ino parent, const char *name, struct daxfs_attr *out);

/*
 * daxfs_unlink - remove a name
 *
 * The inode goes with its last name, once no host has it open. Its pages are free as soon as nobody
 * can be looking at them.
 *
 * Errors:
 * -ENOENT   no such name
 * -EISDIR   it is a directory
 * -ENOTDIR  parent is no directory
 * Crash: removed, or not. A large file that was being taken apart is finished by recovery.
 */
DAXFS_API int daxfs_unlink(struct daxfs *fs, daxfs_ino parent, const char *name);

/*
 * daxfs_rmdir - remove an empty directory
 *
 * Errors:
 * -ENOENT   no such name
 * -ENOTDIR  it is no directory, or parent is none
 * -ENOTEMPTY it has names
 * -EINVAL   the name is "."
 * Crash: removed, or not.
 */
DAXFS_API int daxfs_rmdir(struct daxfs *fs, daxfs_ino parent, const char *name);

#define DAXFS_RENAME_NOREPLACE 1u
#define DAXFS_RENAME_EXCHANGE 2u

/*
 * daxfs_rename - move a name
 *
 * Replaces what new_name names, as rename(2) does; DAXFS_RENAME_NOREPLACE refuses that,
 * DAXFS_RENAME_EXCHANGE changes two names for one another. At any moment every reader finds the old
 * state or the new one.
 *
 * Errors:
 * -ENOENT   no such name; or, to exchange, no such new_name
 * -EEXIST   new_name exists, with NOREPLACE
 * -ENOTEMPTY new_name is a directory with names
 * -EISDIR   new_name is a directory, name is none
 * -ENOTDIR  name is a directory, new_name is none; or a parent is no directory
 * -EINVAL   a directory would move below itself; flags that are not known, or both
 * -ENAMETOOLONG a name of more than 255 bytes
 * Crash: happened wholly or not at all.
 */
DAXFS_API int daxfs_rename(struct daxfs *fs, daxfs_ino parent, const char *name, daxfs_ino new_parent,
			   const char *new_name, unsigned flags);

/*
 * daxfs_readlink - the target of a symbolic link
 *
 * buf receives it with a NUL; 4096 bytes always suffice.
 *
 * Errors:
 * -EINVAL   not a symbolic link
 * -ERANGE   buf is too small
 */
DAXFS_API int daxfs_readlink(struct daxfs *fs, daxfs_ino ino, char *buf, size_t size);

/*
 * daxfs_file_open - keep a file open
 *
 * The file stays readable and writable after its last name is removed, on any host, until every host
 * that has it open has closed it or died. Counted within a host: as many closes as opens.
 *
 * Errors:
 * -ESTALE   it is gone already
 * -ENFILE   this host's table of open files is full
 * -ENOMEM
 * Crash: what a dead host had open is closed by its recovery.
 */
DAXFS_API int daxfs_file_open(struct daxfs *fs, daxfs_ino ino);

/*
 * daxfs_file_close - end one daxfs_file_open
 *
 * A host's last close of a file ends its locks of it, and frees a file that has no name and that no
 * other host has open.
 *
 * Errors:
 * -EBADF    this host does not have it open
 */
DAXFS_API int daxfs_file_close(struct daxfs *fs, daxfs_ino ino);

/*
 * daxfs_dir_keep - keep a directory open for locks alone
 *
 * As daxfs_file_open, and each is ended by daxfs_dir_unkeep. While this host has it open in no other way, other hosts
 * are told that nobody relies on its names, so daxfs_give_back (daxfs/cache.h) may take them. What could not be said is
 * tried again by the next one, or the end of one, while there is another.
 *
 * Errors: those of daxfs_file_open, and
 * -ENOSPC   it is open, and that could not be said: no page is free
 * -ENOLCK   ... or it has 126 locks
 * Crash: as daxfs_file_open.
 */
DAXFS_API int daxfs_dir_keep(struct daxfs *fs, daxfs_ino dir);

/*
 * daxfs_dir_unkeep - end one daxfs_dir_keep
 *
 * Errors:
 * -EBADF    this host does not keep it so
 */
DAXFS_API int daxfs_dir_unkeep(struct daxfs *fs, daxfs_ino dir);

/*
 * daxfs_read - read bytes
 *
 * Returns how many bytes were read: fewer than len only at the end of the file. Sees each write wholly
 * or not at all, unless the range is written without a pause. A symbolic link reads as its target, a
 * fifo, socket or device as empty.
 *
 * Errors:
 * -EISDIR   a directory
 */
DAXFS_API ssize_t daxfs_read(struct daxfs *fs, daxfs_ino ino, void *buf, size_t len, uint64_t offset);
#define DAXFS_APPEND 1u
#define DAXFS_ATOMIC_WRITE_MAX (256u * 1024u)

/*
 * daxfs_write - write bytes
 *
 * Returns how many bytes were written. A write of up to DAXFS_ATOMIC_WRITE_MAX is all or nothing; a
 * larger one is a sequence of such pieces, and returns the count of those that happened if a later one
 * fails. With DAXFS_APPEND offset is not looked at: the bytes go to the end of the file, and appends
 * of any hosts never overlap.
 *
 * Errors:
 * -EISDIR   a directory
 * -EINVAL   not a regular file
 * -EFBIG    at or beyond 4 TiB
 * Crash: each piece happened wholly or not at all.
 */
DAXFS_API ssize_t daxfs_write(struct daxfs *fs, daxfs_ino ino, const void *buf, size_t len, uint64_t offset,
			      unsigned flags);
enum daxfs_seek { DAXFS_SEEK_DATA, DAXFS_SEEK_HOLE };

/*
 * daxfs_seek - where data or a hole begins
 *
 * Sets *out to the first byte from offset on that is in a page that is there (data), or in none (hole).
 * Behind the data of a file there is a hole. What others change meanwhile may or may not be seen.
 *
 * Errors:
 * -ENXIO    offset is at or beyond the end, or no data follows
 * -EISDIR   a directory
 * -EINVAL   not a regular file
 */
DAXFS_API int daxfs_seek(struct daxfs *fs, daxfs_ino ino, uint64_t offset, enum daxfs_seek what, uint64_t *out);

enum daxfs_allocate { DAXFS_ALLOCATE, DAXFS_ZERO, DAXFS_PUNCH };

/*
 * daxfs_allocate - give a range pages, or take them away
 *
 * DAXFS_ALLOCATE: pages of zeros where there are none; what is there stays. DAXFS_ZERO: the range
 * reads as zeros, and has pages. DAXFS_PUNCH: the range reads as zeros, and its whole pages go. The
 * file grows if the range ends past its end, unless keep_size is set, or it is a punch: then the range
 * ends where the file does. A write into pages that are there makes the pool
 * no fuller: it succeeds in a full pool, from the reserve (daxfs_statfs), while no dead host that is not recovered
 * yet holds back what such writes give up.
 *
 * Errors:
 * -ENOSPC   the pool is full; what was done so far stays, and the file is as long as that
 * -EINVAL   len is 0; not a regular file
 * -EISDIR   a directory
 * -EFBIG    beyond 4 TiB
 * Crash: a sequence of pieces of up to DAXFS_ATOMIC_WRITE_MAX; each happened wholly or not at all.
 */
DAXFS_API int daxfs_allocate(struct daxfs *fs, daxfs_ino ino, uint64_t offset, uint64_t len, enum daxfs_allocate what,
			     bool keep_size);

/*
 * daxfs_fsync - order this host's writes before what follows
 *
 * A write is as durable as the pool's domain makes it when it returns, so there is nothing to wait
 * for: returns after a full fence.
 */
DAXFS_API int daxfs_fsync(struct daxfs *fs, daxfs_ino ino);

/* One entry for daxfs_readdir; next: the cookie that goes on behind it. False: stop. */
typedef bool (*daxfs_fill)(void *context, const char *name, daxfs_ino ino, unsigned dt_type, uint64_t next);

/*
 * daxfs_readdir - list a directory
 *
 * Calls fill for each entry, "." and ".." included, from cookie on (0: the start), until it returns
 * false; next is the cookie that goes on behind that entry. Cookies stay valid whatever changes: an
 * entry that is there throughout is seen exactly once. fill may call the library, but for daxfs_close
 * and daxfs_leave.
 *
 * Errors:
 * -ENOTDIR  no directory
 * -ESTALE   it has been removed, even if it is still open
 */
DAXFS_API int daxfs_readdir(struct daxfs *fs, daxfs_ino dir, uint64_t cookie, daxfs_fill fill, void *context);

struct daxfs_usage {
	uint64_t total, free, live, quarantined;
	uint64_t private_, retired; /* of the check; statfs counts them as free */
};
struct daxfs_statfs {
	struct daxfs_usage pages, inodes, dirents;
	uint64_t nodes;    /* of the check: live pages that hold index or directory nodes */
	uint64_t reserved; /* of the free pages: for overwrites, deletes, renames; not for what grows */
	unsigned hosts;    /* slots in which somebody ever was */
};

/*
 * daxfs_statfs - how full the pool is
 *
 * Fills *out from counters that operations keep: exact but for those in progress. Takes time in
 * proportion to the lanes of the pool, not to its size. A read-only context suffices.
 */
DAXFS_API int daxfs_statfs(struct daxfs *fs, struct daxfs_statfs *out);

#ifdef __cplusplus
}
#endif
#endif
