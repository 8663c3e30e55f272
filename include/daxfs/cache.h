/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.h - files whose bytes are in storage, and in the pool as far as they were read.
 *
 * A backed file is a file of the pool that stands for one of a backing: storage that all hosts of the
 * pod, or some, can read. A page of it is read from storage once, by the host that wants it first,
 * and from then on is a page of the pool, for all hosts. Such pages are given back when other files
 * need the room. A process that says how may write them: what it wrote is the pool's, outlives any host, and stays
 * there until it was written back (daxfs_write_back). A pool that loses its memory loses what was not.
 */
#ifndef DAXFS_CACHE_H
#define DAXFS_CACHE_H

#include "daxfs/daxfs.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DAXFS_BACKINGS 255u /* numbers of backings: 0 to 254 */

/* How this host reads a backing. */
struct daxfs_storage {
	size_t struct_size; /* sizeof(struct daxfs_storage): see base.h */
	/*
	 * Read len bytes of a file from offset on, as pread(2): how many, fewer only at its end, or -errno,
	 * which is what daxfs_read returns then. Of a file that is dirty (daxfs_source) zeros count where the file in
	 * storage has ended within its last page: that was cut off, or is not written back yet. `file` is what
	 * daxfs_import was given. Called by any thread that reads, several at once, while nothing of the pool is held:
	 * it may take its time.
	 * It may call the library, but to read files of storage or to detach.
	 */
	ssize_t (*read)(void *context, daxfs_ino ino, uint64_t file, void *buf, size_t len, uint64_t offset);
	void *context;
	unsigned patience_ms; /* for another host that reads the same page; then this one reads, too */
	/*
	 * Or NULL, all three: then files of this backing cannot be written by this process. 0 or -errno; called by
	 * daxfs_write_back alone. Bytes are to be written to the file; it is to end at `size`, if `exact`, else
	 * no later; all of that is to be on stable storage. *stamp: what tells the file as it then is from what
	 * somebody else makes of it (daxfs_source gives it back).
	 */
	int (*write)(void *context, daxfs_ino ino, uint64_t file, const void *buf, size_t len, uint64_t offset);
	int (*resize)(void *context, daxfs_ino ino, uint64_t file, uint64_t size, bool exact);
	int (*sync)(void *context, daxfs_ino ino, uint64_t file, uint64_t *stamp);
	/*
	 * Or NULL: nobody asks this process for names. Called by daxfs_serve alone: the names of a directory of this
	 * backing are to be made in the pool what they are in storage, by a look at that now: 0, or -errno.
	 */
	int (*list)(void *context, daxfs_ino dir);
	/*
	 * Or NULL: nobody asks this process that. Called by daxfs_serve alone: is a file of this backing in storage
	 * what it is in the pool, by a look at that now? 0; -ESTALE: no, and its name was made what storage says; or
	 * -errno.
	 */
	int (*look)(void *context, daxfs_ino ino);
	/*
	 * Or NULL: then `list` is called in its place. Called by daxfs_serve alone: of a directory of this backing the
	 * names with that key (daxfs_name_key), few, are to be made what they are in storage, by a look at that now.
	 * 0; -ENOENT: storage has none; or -errno.
	 */
	int (*find)(void *context, daxfs_ino dir, uint64_t key);
};

/*
 * A write to such a file is one step, as to any, up to DAXFS_ATOMIC_WRITE_MAX; a read that has to wait for storage may
 * be in parts, each of whole pages.
 */

/*
 * daxfs_backing_attach - say how this host reads a backing
 *
 * From now on pages of the files of that backing which are not in the pool are read through `storage`,
 * which is copied.
 *
 * Errors:
 * -EINVAL   no such number, no way to read, only part of a way to write, or struct_size is not set
 * -E2BIG    a member is set that this version of the library does not know
 * -EBUSY    it is attached already
 */
DAXFS_API int daxfs_backing_attach(struct daxfs *fs, unsigned backing, const struct daxfs_storage *storage);

/*
 * daxfs_backing_detach - the backing is not to be read any more
 *
 * Waits for reads of it that are under way in this process. Pages that are in the pool stay readable.
 *
 * Errors:
 * -ENOENT   it is not attached
 */
DAXFS_API int daxfs_backing_detach(struct daxfs *fs, unsigned backing);

/*
 * daxfs_import - make a file or directory that stands for one of a backing
 *
 * Makes the name with type, mode, uid, gid, size, mtime and ctime of *attr. `file` is how the
 * storage's read knows the file: 56 bits. Size and contents must stay what they are as long as the
 * file is there; where they do not, storage should fail with -ESTALE, and the name be forgotten and imported anew.
 * Writing to it, truncating it and changing its attributes is -EROFS, unless this process has attached its backing with
 * a way to write; to allocate, punch or draft is -EOPNOTSUPP, -EROFS. Of a directory that was imported the
 * names are the storage's, too: what makes, removes or renames one is -EROFS, but for the calls of this header.
 *
 * Errors:
 * -EEXIST   the name is there
 * -ENOSPC   there is no room, or what is left is for the pool's own files (daxfs_names_left)
 * -EFBIG    the file is longer than one of the pool may be
 * -EINVAL   no such backing number, neither file nor directory, or a time that the pool cannot hold
 * -EOPNOTSUPP the pool was made without the feature
 * and those of daxfs_mknod.
 * Crash: as daxfs_mknod.
 */
DAXFS_API int daxfs_import(struct daxfs *fs, daxfs_ino parent, const char *name, const struct daxfs_attr *attr,
			   unsigned backing, uint64_t file, struct daxfs_attr *out);

/*
 * daxfs_import_link - the same for a symbolic link
 *
 * Errors:
 * -EEXIST   the name is there
 * -ENAMETOOLONG the target is longer than one of the pool may be
 * -EINVAL   no target, or as daxfs_import
 * and those of daxfs_symlink.
 * Crash: as daxfs_mknod.
 */
DAXFS_API int daxfs_import_link(struct daxfs *fs, daxfs_ino parent, const char *name, const char *target,
				const struct daxfs_attr *attr, unsigned backing, uint64_t file, struct daxfs_attr *out);

/*
 * daxfs_import_again - a directory of storage is to be as it is there now
 *
 * Sets mode, uid, gid and mtime. What changes of a file makes it another one: forget it, and import it anew.
 *
 * Errors:
 * -EINVAL   not a directory that was imported, or a time that the pool cannot hold
 * Crash: as daxfs_setattr.
 */
DAXFS_API int daxfs_import_again(struct daxfs *fs, daxfs_ino dir, const struct daxfs_attr *attr);

/*
 * daxfs_forget - remove the name of what was imported
 *
 * If it still is `ino`'s. As daxfs_unlink, or daxfs_rmdir, also where the names are the storage's: the name is to be
 * looked up there anew. What was written and not written back stays.
 *
 * Errors:
 * -ESTALE   the name leads to another one by now
 * -ENOENT   there is no such name
 * -ENOTEMPTY a directory with names in it
 * -EBUSY    a file that is dirty (daxfs_source)
 * Crash: as daxfs_unlink.
 */
DAXFS_API int daxfs_forget(struct daxfs *fs, daxfs_ino parent, const char *name, daxfs_ino ino);

/*
 * daxfs_give_back - forget a name of storage that nobody uses, for the room that it takes
 *
 * As daxfs_forget, if neither what the name leads to nor its directory is open on any host, and that in one step with
 * the removal. So the names of a directory of storage that somebody has open stay. Who takes a name that is not there
 * for one that storage has not, therefore opens the directory first (daxfs_file_open), has its names looked at, and
 * looks then; or finds the stamp of the directory (daxfs_source) to be what it was before that. `cached`: also a file
 * of which something is in the pool, which goes with it.
 *
 * Errors:
 * -ESTALE   the name leads to another one by now
 * -ENOENT   there is no such name
 * -ENOTEMPTY a directory with names in it
 * -EBUSY    it is open somewhere, or dirty; or not `cached`, and something of it is in the pool; the entry by a number
 *           (daxfs_import_name) of what still has names
 * -ETXTBSY  its directory is open somewhere
 * Crash: as daxfs_unlink.
 */
DAXFS_API int daxfs_give_back(struct daxfs *fs, daxfs_ino parent, const char *name, daxfs_ino ino, bool cached);

/*
 * daxfs_names_left - how many more names of storage there is room for
 *
 * Names of storage do not get the last sixteenth of the pool's inodes, nor of its entries of directories, which are
 * for files of the pool itself: daxfs_import is -ENOSPC before. Pages may end earlier.
 *
 * Errors: none but those of any call.
 */
DAXFS_API int daxfs_names_left(struct daxfs *fs, uint64_t *out);

/*
 * daxfs_directories - find directories of a backing
 *
 * Looks through the inodes of the pool from *at on, which is 0 at first, and sets it for the next call; some thousands
 * a call. 1: *ino is one; 0: none in these, go on; -ENOENT: that was all.
 */
DAXFS_API int daxfs_directories(struct daxfs *fs, unsigned backing, uint64_t *at, daxfs_ino *ino);

/* A moment since which nobody has changed extended attributes of an inode: what somebody wrote there, and took as a
 * reason for a change, still is. */
struct daxfs_since {
	daxfs_ino ino;
	uint64_t state; /* for the library alone */
};

/*
 * daxfs_since - remember the extended attributes of an inode as of now
 *
 * Calls that are given *out change nothing if they were changed since, in one step with that look.
 *
 * Errors:
 * -ESTALE   there is no such inode
 * Crash: changes nothing.
 */
DAXFS_API int daxfs_since(struct daxfs *fs, daxfs_ino ino, struct daxfs_since *out);

/*
 * daxfs_import_name - give what was imported another name, as storage has
 *
 * All names of one file of storage should lead to one inode: it is cached, and written, once. Who finds a name of a
 * file that has several must find that inode. So before a second name its number is to get an entry, in a directory of
 * the pool's own that is for nothing else: this call makes that, too. Of several links daxfs_getattr does not count it.
 * It is given back (daxfs_give_back), once it is the last that leads to the inode.
 * A directory that has a name of the file is the one that daxfs_source gives: of several the last. If the name leads to
 * the inode already, that is all that is done. In one step, if *since (NULL: none) holds.
 *
 * Errors:
 * -EEXIST   the name leads to another one
 * -EINVAL   `ino` was not imported, or into another backing
 * -EPERM    a directory
 * -ENOENT   its last name went meanwhile
 * -EMLINK   it has as many names as the pool can count
 * -EOPNOTSUPP the pool has not the feature links (daxfs_has_links)
 * -ECANCELED *since does not hold
 * and those of daxfs_link.
 * Crash: as daxfs_link.
 */
DAXFS_API int daxfs_import_name(struct daxfs *fs, daxfs_ino parent, const char *name, daxfs_ino ino,
				const struct daxfs_since *since);

/*
 * daxfs_has_links - may files of storage have several names in the pool?
 *
 * 1; 0: the pool was made by an earlier version, and the feature links is not switched on: each name is a file.
 */
DAXFS_API int daxfs_has_links(struct daxfs *fs);

/*
 * daxfs_discard - remove the name of what was removed from storage
 *
 * As daxfs_forget, whether it is dirty or not: if that was its last name, what was written to it goes with the last
 * that has it open.
 *
 * Errors:
 * -ESTALE   the name leads to another one by now
 * -ENOENT   there is no such name
 * -ENOTEMPTY a directory with names in it
 * -ECANCELED *since (NULL: none) does not hold
 * Crash: as daxfs_unlink.
 */
DAXFS_API int daxfs_discard(struct daxfs *fs, daxfs_ino parent, const char *name, daxfs_ino ino,
			    const struct daxfs_since *since);

/*
 * daxfs_move - rename what was renamed in storage
 *
 * In one step, with all that is cached or dirty of it: if the first name still is `ino`'s, and the second one
 * `victim`'s, which is replaced, as daxfs_rename does; 0: nobody's.
 *
 * Errors:
 * -ESTALE   one of the names leads to another one by now
 * -EINVAL   one of the three was not imported
 * -ECANCELED *since (NULL: none) does not hold
 * and those of daxfs_rename.
 * Crash: as daxfs_rename.
 */
DAXFS_API int daxfs_move(struct daxfs *fs, daxfs_ino parent, const char *name, daxfs_ino ino, daxfs_ino new_parent,
			 const char *new_name, daxfs_ino victim, const struct daxfs_since *since);

/* where something of storage was imported from, and to */
struct daxfs_source {
	unsigned backing;
	uint64_t file;
	daxfs_ino directory; /* that it was imported into; it may be gone */
	bool dirty;          /* a file that was written, or is being written back: storage has not all of it, yet */
	uint64_t stamp;      /* of a file: what sync of daxfs_storage, or daxfs_stamp, said last; 0: neither;
			      * of a directory: another number when a name of it was given back */
};

/*
 * daxfs_source - of which storage a file, directory or symbolic link is
 *
 * Errors:
 * -EINVAL   of none: it is the pool's own
 * -ESTALE   it is gone
 */
DAXFS_API int daxfs_source(struct daxfs *fs, daxfs_ino ino, struct daxfs_source *out);

/*
 * daxfs_read_cached - read what is in the pool
 *
 * As daxfs_read, but never from storage: fewer bytes where that would have to be read, or
 *
 * Errors:
 * -ENODATA  the first byte is in storage alone
 * and those of daxfs_read.
 */
DAXFS_API ssize_t daxfs_read_cached(struct daxfs *fs, daxfs_ino ino, void *buf, size_t len, uint64_t offset);

/*
 * daxfs_cache_drop - give back cached pages of a file
 *
 * Of all pages that begin in the range; storage has them. Returns how many there were, or -errno.
 * Readers on any host go on, and read from storage what is gone.
 */
DAXFS_API int64_t daxfs_cache_drop(struct daxfs *fs, daxfs_ino ino, uint64_t offset, uint64_t len);

/*
 * daxfs_write_back - bring a file of storage up to date there
 *
 * When it returns 0, all that was written before the call is in storage, by the way that this process attached, and on
 * stable storage. What is written meanwhile may be, and stays dirty. Several processes must not do this for one file at
 * once: the caller sees to that, with a lock that a dead one loses when what it asked of storage has ended
 * (-EBUSY is one way in which it shows). Waits for storage, and holds nothing meanwhile.
 *
 * Errors: of storage; what was not written stays dirty, and readable.
 * -EROFS    this process has attached no way to write
 * -EINVAL   not a file of storage
 * -EIO      memory of dirty pages has failed: the others were written
 * -EBUSY    somebody else does it
 * Crash: storage has some of what was dirty. It stays dirty.
 */
DAXFS_API int daxfs_write_back(struct daxfs *fs, daxfs_ino ino);

/* what a host without the storage asks for */
struct daxfs_ask {
	unsigned host, place; /* who, and where it says so */
	uint64_t number;      /* of the ask */
	unsigned backing;
	daxfs_ino ino;
	uint64_t page; /* the first of `pages`; all ones: is it what it was? Of a directory: bit 62, and a name's key */
	unsigned pages;
};

/*
 * daxfs_asked - take what another host asks to have read
 *
 * A process that reads a file whose backing it has not attached asks those that have. This takes such an ask of a
 * backing that this process has attached: 1, and *out, which daxfs_serve does; 0: there is none now, which costs the
 * look at one word. From the first call on other hosts rely on further ones, some a second at least, until the backing
 * is detached; they wait for half a minute at most.
 *
 * Errors:
 * -ENXIO    the backing is not attached
 * Crash: who asks does so again after a second, and is served by another host.
 */
DAXFS_API int daxfs_asked(struct daxfs *fs, unsigned backing, struct daxfs_ask *out);

/*
 * daxfs_ask_names - have the names of a directory made what storage says
 *
 * By a host that has the storage, and serves others (daxfs_asked), with a way to list. 0: at some moment since the
 * call the names in the pool were those of storage. So a name that daxfs_lookup does not find behind it was not in
 * storage either, or is gone by now. Attributes of what was there are as they were looked at last. Waits half a minute
 * at most, and holds nothing meanwhile.
 *
 * Errors: of storage, as that host got them, and
 * -ENXIO    no host that lives serves the backing, or none that knows how to list
 * -ETIMEDOUT none answered in time: it may go on, and the next call find it done
 * -ESTALE   the directory is gone from storage
 * -ENOSPC   there is no room in the pool for all names
 * -EINVAL   it was not imported
 * -ENOTDIR  it is no directory
 * Crash: nothing is left. What the other host leaves that dies, is names that storage has.
 */
DAXFS_API int daxfs_ask_names(struct daxfs *fs, daxfs_ino dir);

/*
 * daxfs_ask_name - have one name of a directory made what storage says
 *
 * As daxfs_ask_names, of one name, so that a directory may have more names than the pool has room for. 1: at some
 * moment since the call the pool had the name, as storage; it may have been given back since (daxfs_give_back). 0: a
 * host that knows no such asks made all names what storage says.
 *
 * Errors: those of daxfs_ask_names, and
 * -ENOENT   storage has not that name
 * -ENAMETOOLONG, -EINVAL it is no name
 * Crash: as daxfs_ask_names.
 */
DAXFS_API int daxfs_ask_name(struct daxfs *fs, daxfs_ino dir, const char *name);

/*
 * daxfs_name_key - what a host that is asked for a name knows of it
 *
 * 54 bits, which seldom are those of another name, too. All ones: it is no name.
 */
DAXFS_API uint64_t daxfs_name_key(struct daxfs *fs, const char *name);

/*
 * daxfs_ask_look - have a file looked at in storage
 *
 * By a host that has the storage, and serves others (daxfs_asked), with a way to look. 0: at some moment since the
 * call it was in storage what it is in the pool. Waits half a minute at most, and holds nothing meanwhile.
 *
 * Errors: of storage, as that host got them, and
 * -ESTALE   it is not: its name leads to another one by now, or to none, in the pool as in storage
 * -ENXIO    no host that lives serves the backing, or none that knows how to look
 * -ETIMEDOUT none answered in time
 * -EINVAL   it was not imported
 * Crash: nothing is left. What the other host leaves that dies, is a name that storage has, or none: it is asked for.
 */
DAXFS_API int daxfs_ask_look(struct daxfs *fs, daxfs_ino ino);

/*
 * daxfs_serve - do what another host has asked for, and tell it so
 *
 * Reads what is not in the pool from storage, into the pool; lists a directory; or looks at a file. Waits for storage,
 * and holds nothing meanwhile. What it returns is what the other host is told: 0, or -errno of storage, which it gets
 * as if it had read by itself.
 *
 * Errors: of storage, and those of daxfs_read.
 * -ENXIO    the backing is not attached any more
 * -EAGAIN   somebody else is about these pages; the other host asks again
 * -ENOSPC   there is no room in the pool
 * -EEXIST   the name that was asked for is there
 * -EALREADY another thread of this process lists or looks at that for the same ask, and will tell
 * -EOPNOTSUPP this process has attached no way to list, or to look
 * Crash: as daxfs_asked.
 */
DAXFS_API int daxfs_serve(struct daxfs *fs, const struct daxfs_ask *ask);

/*
 * daxfs_stamp - note what a file of storage is like there
 *
 * What daxfs_source gives back, on any host; sync of struct daxfs_storage sets it, too. Any number but UINT64_MAX,
 * which is of files that were removed there.
 *
 * Errors:
 * -EINVAL   not a file of storage
 * Crash: the stamp is the old one or the new one.
 */
DAXFS_API int daxfs_stamp(struct daxfs *fs, daxfs_ino ino, uint64_t stamp);

/*
 * daxfs_restamp - the same, if it has still the stamp `was`
 *
 * For those who have looked at storage, and do not know who else has meanwhile.
 *
 * Errors:
 * -ECANCELED  it has another one
 * and those of daxfs_stamp.
 * Crash: as daxfs_stamp.
 */
DAXFS_API int daxfs_restamp(struct daxfs *fs, daxfs_ino ino, uint64_t was, uint64_t stamp);

/*
 * daxfs_dirty - find files of a backing that are to be written back
 *
 * Looks through the inodes of the pool from *at on, which is 0 at first, and sets it for the next call; some thousands
 * a call. 1: *ino is one; 0: none in these, go on; -ENOENT: that was all.
 */
DAXFS_API int daxfs_dirty(struct daxfs *fs, unsigned backing, uint64_t *at, daxfs_ino *ino);

/* what was done since a process opened the pool, or since it was made; pages, unless it says otherwise */
struct daxfs_cache_stats {
	uint64_t hits;                       /* read where they were in the pool */
	uint64_t misses;                     /* that a reader had to wait for, how often */
	uint64_t reads;                      /* of storage, whatever came of them */
	uint64_t filled;                     /* that are in the pool, or known to be zeros, by us */
	uint64_t waits;                      /* for other hosts or threads, how often */
	uint64_t taken_over;                 /* claims of hosts that are gone */
	uint64_t dropped;                    /* to make room */
	uint64_t past;                       /* reads of storage past a claim of another host */
	uint64_t ahead_used, ahead_wasted;   /* read before anybody asked: somebody did; or they were dropped first */
	uint64_t dropped_young, dropped_old; /* of the dropped: not used while as many pages were filled as there are
					      * cached, or less long; at least twice that */
	uint64_t lost;              /* that were read, but that somebody else had provided or removed meanwhile */
	uint64_t no_room;           /* that were read, but found no page */
	uint64_t errors;            /* of storage, how often */
	uint64_t written;           /* back to storage */
	uint64_t local;             /* read from copies in memory of the process (local.h), of any files, */
	uint64_t promoted, demoted; /* ... copied there; copies that made room for others */
	/* of a host slot alone */
	int64_t cached;        /* put into the pool, less those that it gave back, whoever had put them there */
	uint64_t dirty_bytes;  /* that it wrote and storage has not, as daxfs_tell_dirty said; */
	uint64_t dirty_age_ms; /* ... the oldest of them */
	/* which are of this backing, as daxfs_tell_write_error named it: its number + 1, 0: not said; errno of the last
	 * attempt to write back, 0: there was none, or it went well */
	uint32_t dirty_oldest, dirty_error;
	char dirty_name[32];
};

/* where the pages of one file of storage are; those that are none of these are in storage alone */
struct daxfs_cached {
	uint64_t pages;          /* that the file has */
	uint64_t clean, dirty;   /* in the pool: as storage has them; newer */
	uint64_t zeros, filling; /* known to be zeros there; being read by some host */
	uint64_t lost;           /* of the clean and dirty: their memory has failed */
	/* of the clean, which go in about this order: read ahead, and not used yet; read in order, by hosts that follow
	 * each other; used when it was filled, and so often since, up to three times */
	uint64_t ahead, scanned, used[4];
};

/*
 * daxfs_cached - where the pages of a file of storage are
 *
 * Counts them, each as it is when it is looked at; a file of 1 TiB takes seconds, and others do not notice.
 *
 * Errors:
 * -EINVAL   not a file of storage
 * -ESTALE   it is gone
 */
DAXFS_API int daxfs_cached(struct daxfs *fs, daxfs_ino ino, struct daxfs_cached *out);

/*
 * daxfs_cache_stats - figures of the cache, of this process
 *
 * Fills *out. Never fails.
 */
DAXFS_API void daxfs_cache_stats(struct daxfs *fs, struct daxfs_cache_stats *out);

/*
 * daxfs_cache_stats_of - figures of the cache, of a host slot
 *
 * Since the pool was made, as of its last heartbeat. A hint: what was counted
 * between the last beat of a process and its death is not in it. The pool may be mapped read-only.
 *
 * Errors:
 * -EINVAL   no such slot
 * -EIO      that memory has failed
 */
DAXFS_API int daxfs_cache_stats_of(struct daxfs *fs, unsigned host, struct daxfs_cache_stats *out);

/*
 * daxfs_tell_dirty - say how much of a backing this process has written and not written back
 *
 * For daxfs_cache_stats_of, with the next heartbeat. bytes: at most so many; age_ms: of the oldest. Never fails.
 */
DAXFS_API void daxfs_tell_dirty(struct daxfs *fs, unsigned backing, uint64_t bytes, uint64_t age_ms);

/*
 * daxfs_tell_write_error - say why a backing cannot be written back
 *
 * For daxfs_cache_stats_of, with the next heartbeat, of the backing whose bytes wait longest. name: for people, of
 * which 31 bytes are kept; error: of the last attempt, an errno or its negative; 0: it went well. Never fails.
 */
DAXFS_API void daxfs_tell_write_error(struct daxfs *fs, unsigned backing, const char *name, int error);

#ifdef __cplusplus
}
#endif

#endif
