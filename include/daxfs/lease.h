/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease.h - answers that a kernel, or another cache on this host, may keep.
 *
 * For programs that serve a cache which others' changes must reach. What holds for all
 * calls stands at the head of daxfs.h.
 */
#ifndef DAXFS_LEASE_H
#define DAXFS_LEASE_H

#include "daxfs/daxfs.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How long from now on answers may be kept, in nanoseconds; 0: not at all. */
struct daxfs_lease {
	uint64_t names_ns; /* of a directory: that the name leads there, or that it is not there */
	uint64_t attr_ns;  /* attributes */
	/*
	 * Of a file (daxfs_getattr_leased alone), if attr_ns is not 0: two answers with the same number are of one
	 * lease, and no other host has changed its data from the first to the second. 0: not leased, or this host
	 * itself has it open and has written to it. What somebody changes of storage behind the pool is not told: such
	 * a file is imported anew, under another number.
	 */
	uint64_t since;
	uint64_t begun; /* for daxfs_lease_stands */
};

/*
 * Told what a cache of this host must forget, before others change it: the attributes of an inode and,
 * with `names`, all names in it that are kept. Returns when that is done: true. False: the cache does not
 * know the inode. It is told again, if an answer that makes it known may still be on its way.
 */
typedef bool (*daxfs_lease_drop)(void *context, daxfs_ino ino, bool names);

/*
 * daxfs_lease_start - begin to keep answers on this host
 *
 * From here on the _leased calls grant, and daxfs_lease_poll must be called all the time: others wait for
 * it. A host that stops to beat loses what it was granted after the pool's lease_ms, and others go on.
 * changes, if it is not NULL, is told of each inode that a call of this handle is about to change (its attributes,
 * its data) and whose attributes were told since it was told last, in the thread of that call, before anything is
 * changed: so this host's cache believes nothing that another host can see is over. names is false: names that calls
 * of this handle make or remove are for the cache to know. What was asked for before the cache was told to forget must
 * be void to it.
 *
 * Errors:
 * -EOPNOTSUPP the pool was made without leases
 * -ENOMEM
 * Crash: others wait for lease_ms after the last beat, once, before they change what this host kept.
 */
DAXFS_API int daxfs_lease_start(struct daxfs *fs, daxfs_lease_drop changes, void *context);

/*
 * daxfs_lease_go_on - keep answers on this host, and those that a former process has given
 *
 * As daxfs_lease_start, after daxfs_resume, and with the cache that the former process had: what that one was granted
 * is given back when others ask for it, instead of being waited for. The cache must be told to forget what
 * it had on its way from there, too.
 *
 * Errors:
 * those of daxfs_lease_start
 * Crash: as daxfs_lease_start.
 */
DAXFS_API int daxfs_lease_go_on(struct daxfs *fs, daxfs_lease_drop changes, void *context);

/*
 * daxfs_lease_stop - nothing is kept any more
 *
 * Nobody has to wait for this host from here on. Call it when the cache is gone.
 */
DAXFS_API void daxfs_lease_stop(struct daxfs *fs);

/*
 * daxfs_lease_poll - give back what others asked for
 *
 * Calls drop for each inode that somebody wants to change, after the answers that were under way, and
 * lets the others go on. Returns how many requests there were. One thread, often: as long as it is not called
 * others wait. Of an inode that the cache does not know, though it was told less than a quarter of lease_ms ago, it
 * tells again until that has passed.
 */
DAXFS_API int daxfs_lease_poll(struct daxfs *fs, daxfs_lease_drop drop, void *context);

struct daxfs_answer {
	unsigned phase;
	uint64_t begun_ns;
};

/*
 * daxfs_answer_begin - an answer is looked up, and then given to the cache
 *
 * Before the _leased calls that it is made of. Fills *answer for daxfs_answer_end. Not around a call that
 * changes anything: that may have to wait for others, which may wait for this answer. Never blocks.
 */
DAXFS_API void daxfs_answer_begin(struct daxfs *fs, struct daxfs_answer *answer);

/*
 * daxfs_answer_end - the cache has the answer
 *
 * Or will not get it. Ends what daxfs_answer_begin began. False: that was so long ago (a quarter of lease_ms) that
 * others may have gone on without this host, which was stopped: the cache must forget the answer at once.
 */
DAXFS_API bool daxfs_answer_end(struct daxfs *fs, const struct daxfs_answer *answer);

/*
 * daxfs_lookup_leased - find a name, and say how long that may be kept
 *
 * As daxfs_lookup. Fills *lease; names_ns counts for -ENOENT, too. Between daxfs_answer_begin and _end.
 *
 * Errors:
 * those of daxfs_lookup
 * Crash: as a host that kept the answer.
 */
DAXFS_API int daxfs_lookup_leased(struct daxfs *fs, daxfs_ino parent, const char *name, struct daxfs_attr *out,
				  struct daxfs_lease *lease);

/*
 * daxfs_getattr_leased - attributes, and how long they may be kept
 *
 * As daxfs_getattr. known: the cache knows of the inode and will not take this answer if it is told
 * to forget before it has arrived. Between daxfs_answer_begin and _end.
 *
 * Errors:
 * those of daxfs_getattr
 * Crash: as a host that kept the answer.
 */
DAXFS_API int daxfs_getattr_leased(struct daxfs *fs, daxfs_ino ino, bool known, struct daxfs_attr *out,
				   struct daxfs_lease *lease);

/*
 * daxfs_readdir_leased - list a directory, and say how long the names may be kept
 *
 * As daxfs_readdir. lease->names_ns is set at the end, for all entries. Between daxfs_answer_begin and _end. Whoever
 * takes the names from the answer later than it is given waits for that when it is told to forget.
 *
 * Errors:
 * those of daxfs_readdir
 * Crash: as a host that kept the answer.
 */
DAXFS_API int daxfs_readdir_leased(struct daxfs *fs, daxfs_ino dir, uint64_t cookie, daxfs_fill fill, void *context,
				   struct daxfs_lease *lease);

/*
 * daxfs_lease_stands - are the attributes that daxfs_lookup_leased has just given still to be kept?
 *
 * Of an inode that the cache may not know, once it is noted that an answer about it is on its way, so that whoever
 * tells the cache to forget it waits for that. False: a call of this handle has begun to change it since the look, and
 * may not have found the note. Between daxfs_answer_begin and _end. Never blocks.
 */
DAXFS_API bool daxfs_lease_stands(struct daxfs *fs, daxfs_ino ino, const struct daxfs_lease *lease);

#ifdef __cplusplus
}
#endif
#endif
