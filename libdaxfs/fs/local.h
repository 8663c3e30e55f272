/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local.h - copies of pages in private memory, which are read in place of the pool's.
 *
 * A page that a word of a file names does not change: a write puts another one in its place. So what it holds is told
 * by its index and its state, LIVE with the txid of the record that took it (of a page of an extent: the state of the
 * head). No record takes a page twice, and no other one has that txid. A copy has these two for its name.
 *
 *  L1 It is made by a lane that found, under its announcement, a word that names the page, and then the state LIVE.
 *     Such a page is not used again before the lane exits (epoch.c): the bytes that are read until then are of that
 *     state.
 *  L2 It is used by a lane that has found such a word now, and then the state by which the copy is known. The page was
 *     not used again since the word was loaded, for the same reason, so the state is of what the word named; no older
 *     one is loaded, for the word was loaded with acquire, and whoever put it there had taken the page before. So the
 *     copy has the bytes that the page has, and a read is as much of one moment as without it: its second look at
 *     words, size and trunc comes after the copy, as ever (file.c).
 *  L3 The version of the word does not matter, nor which file or offset it is of. A word that was overwritten, cut off
 *     or dropped, and names the same page again, names it with another state. A state comes again when its lane has
 *     used up 2^43 numbers and begins anew (sync/rest.c), and the same number takes the same page: weeks, at any rate
 *     that a lane can have. What is a day old is forgotten with a heartbeat; all is, when the host leaves the pool,
 *     which can be repaired then, or made anew.
 *  L4 Nothing of this is in the pool, and nothing is stored there: nobody asks for a copy back, and a crash leaves
 *     none.
 *  L5 What is listed as failed memory (mem/trouble.c) is an error, or is read again from storage, before a copy is
 *     asked for.
 *
 * Copies are in sets, by the page; each has a lock that nobody waits for: who does not get it at once reads the pool,
 * or copies nothing. The pool is not touched while it is held, for a load that fails ends the call there.
 *
 * Which pages. A set counts how often each of its copies was used, and each of the others that were asked for, by a
 * hash; all counts are halved once there were so many uses. A page that was used more often than the copy that was
 * used least takes its place. So what is read once, as by whoever reads a tree from end to end, replaces nothing.
 *
 * A page that is read here is in use for the pool, too: were it given back there, no word would name it. One in some
 * reads says so, by the byte that any reader stores (heat.h).
 */
#ifndef DAXFS_FS_LOCAL_H
#define DAXFS_FS_LOCAL_H

#include "daxfs/local.h"
#include "fs/fs.h"

struct local; /* the copies of one process */

/* what a reader finds of a page */
enum local_found {
	LOCAL_NOT,   /* no copy, and none was made: read the pool */
	LOCAL_COPY,  /* read from a copy */
	LOCAL_TELLS, /* the same; say that the page is in use */
	LOCAL_MADE   /* read from the pool, and copied */
};

/* The state by which copies of the page that *look found are known; 0: there are none. After the word, in the
 * same announcement (L2). */
uint64_t local_state(struct lane *lane, const struct map_look *look);
/* Read n bytes, from `at` on, of that page with that state, unless it is LOCAL_NOT. In the same announcement. */
enum local_found local_read(struct daxfs *fs, uint64_t page, uint64_t state, size_t at, void *out, size_t n);
/* Is there likely a copy of that page? A hint. */
bool local_holds(struct daxfs *fs, uint64_t page);
/* With a heartbeat; when the host has left: L3. */
void local_tick(struct daxfs *fs);
void local_forget(struct daxfs *fs);
/* Copies of so many bytes, at least those of a set (64 KiB): -EBUSY, -ENOMEM. */
int local_open(struct daxfs *fs, uint64_t bytes);
void local_free(struct daxfs *fs);

static inline struct local *local_of(struct daxfs *fs)
{
	return atomic_load_explicit(&fs->local, memory_order_acquire);
}

#endif
