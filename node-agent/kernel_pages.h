/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_pages.h - data that this host's kernel keeps, and when it may read it.
 *
 * Files that are opened for reading alone, while this host has a lease of them and nobody writes them, are opened
 * cached: the kernel reads them by way of its page cache. All others are direct, and ask for each read.
 *
 * *Fixed* files, those of backings that were added read-only (backing_is_fixed), have the same bytes, and as many, for
 * as long as they are there. They are opened cached whenever names are kept, no page of theirs is ever dropped, and
 * none of what follows is needed for them. Files that may change are opened cached with `--keep all` alone (`drops`).
 *
 * Before a read from a cached file the kernel looks whether its attributes still count (AUTO_INVAL_DATA), and
 * asks (GETATTR) if they do not. So attributes are the lock of the pages, and a recall, which makes them old
 * (kernel_cache.h), reaches them, too, without waiting for anything. What has to hold:
 *
 *  G1 While the kernel believes attributes of a file that is open cached, no page of it is older than the lease by
 *     which it does: each was looked up after this host had its bit. No other host changes data as long as it has
 *     that (L1, L6 of sync/lease.h). Leases are told apart by their numbers (struct daxfs_lease.since).
 *  G2 An answer to a read's question lets that read see no page that was looked up before the question came.
 *
 * How, by the state of a file:
 *   opened      pages are kept (FOPEN_KEEP_CACHE) if they are known to be of this very lease: `since`. Else the
 *               kernel drops them, in open(2). It has done so, and they are of this lease from then on, when it
 *               reads by that open file: not when the open is answered, for another one could be told to keep them
 *               in between.
 *   asked       all that are open were opened, or dropped, under this lease (`good`): believed as long as it lasts.
 *               Else, because there is another lease since, or none: the lease, the answer, the drop, and the lease
 *               again: if it is the same, all is `good` from then on. That answer itself is not believed: it was
 *               asked for before the drop, which makes it void. So the size is told with the drop.
 *   looked up   LOOKUP and READDIRPLUS make attributes known as well: not those of what is open cached.
 *   written     by this host: nothing is `since` or `good` any more, and attributes are old, before a byte changes;
 *               and it stays so until that is over. What this host writes its lease does not know of.
 *
 * So a file that was opened cached before somebody came to write it pays for that: a question, a drop and a read
 * each time. Who opens it after that is direct. What is not covered:
 *  - What no read asks for: pages that are mapped, or spliced (sendfile), are as old as the last look at the file
 *    (stat, open, read).
 *  - A read of several pages may find some that were kept, and get others after a write.
 *  - The kernel can be told of a larger size, and not of a smaller one, which it learns from a read that gets less
 *    than it asked for; unless pages are dropped, for another read, while that is under way: then it gives
 *    zeros for what was cut off. Therefore all this is off unless it is asked for.
 *
 * A page that is being read is locked until that is answered; to drop it waits for that (dropper.h). Reads wait for
 * nobody but, through a mapping that may be written, for that lock (ops_map.c), and for storage. Nobody who gives back
 * leases waits for pages.
 *
 * Files of storage are opened cached if they are warm: the pool has their first and last pages (ops_file.c). All of the
 * above holds of them. Their bytes are changed in the pool alone: what is made of storage behind it is another inode,
 * which is found when the name is opened (backing.h), so to look at storage again is no matter of pages that are kept;
 * a page that goes from the pool and is filled again has the same bytes; write-back changes none. And:
 *
 *  G3 Who does not ask for a file of storage does not wait for storage: not with the questions (kernel_questions.h),
 *     nor with reads that the kernel sends by itself: it sends any number at once (ops_table.c).
 *  G4 While a read of a file for the kernel's cache waits for storage (`waiting`), open(2) and looks at its name do not
 *     make the kernel drop pages, which would wait, uninterruptibly, and with a directory locked: it is told to keep
 *     them, and attributes are made void. Who asks for attributes of it then, which an open does, waits here if it was
 *     changed.
 *  G5 A read for the kernel's cache is answered by all bytes up to the end, or by an error. A short answer would be the
 *     end of the file to the kernel, and zeros up to there.
 *
 * `waiting` is set when such a read has come: what is on its way in that moment may wait for it.
 *
 * What the agent knows of files it forgets when they have been closed and others come. Then the kernel keeps nothing
 * at the next open. Who died where:
 *   opened      before it was answered: asked again; the estate says cached, it is answered as direct
 *   open        the next life finds it in the estate: nothing is `good`, so pages are dropped at the first question
 *   asked       asked again; what was dropped is gone, what was not the next life drops
 *   written     what the kernel believes was made old before a byte changed
 *   waiting     the read is sent again, and noted again; a question that comes before it waits in its lane
 *   storage     a read that it fails is EIO, and not kept; a question that needs the last byte from there is, too
 *   the host    its kernel's pages go with it; a host that is only silent asks once attributes have run out (L4)
 */
#ifndef AGENT_KERNEL_PAGES_H
#define AGENT_KERNEL_PAGES_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "daxfs/daxfs.h"
#include "node-agent/channel.h"
#include "node-agent/dropper.h"
#include "node-agent/estate.h"
#include "node-agent/kernel_questions.h"

/*
 * Larger files are direct: their cost is to copy, which a cache of the same memory does not save, and they would
 * fill it.
 */
#define KERNEL_PAGES_FILE_MAX (4u << 20)
/*
 * Of what is in storage the kernel drops what is cold by itself, and reads by requests cost three times as much at this
 * size, too (bench/kept); to drop so much takes a lane, not a worker.
 */
#define KERNEL_PAGES_STORED_MAX (256u << 20)

#define KERNEL_PAGES_LOCKS 64u

struct pages_set;

struct kernel_pages {
	/* constant once started */
	bool on, drops; /* the latter: files that may change are opened cached, too */
	const struct channel *channel;

	/* private */
	bool stuck; /* a thread is held up by storage that does not answer */
	struct pages_set *set;
	pthread_mutex_t set_lock[KERNEL_PAGES_LOCKS];
	struct kernel_questions questions;
};

/*
 * Before there are requests. dropper: NULL if only fixed files are to be opened cached. answer: asked again, as
 * struct kernel_questions says. 0 or -errno.
 */
int kernel_pages_start(struct kernel_pages *k, const struct channel *channel, struct estate *estate,
		       struct dropper *dropper, void (*answer)(fuse_req_t req, daxfs_ino ino, int backing, int drop));
/* While there are still workers, and the mount goes: from here on no question is taken. Once more does no harm. */
void kernel_pages_quiesce(struct kernel_pages *k);
/* Nobody uses it any more; but if it is stuck, for good. */
void kernel_pages_stop(struct kernel_pages *k);

/* A file is opened for reading, in an answer that is leased `since`: how, as flags of the kernel. */
unsigned kernel_pages_open(struct kernel_pages *k, daxfs_ino ino, uint64_t fh, uint64_t since);
/*
 * The same of a fixed one: cached, or (direct) by requests, of which what is mapped is kept; and if it is not cold, or
 * was opened cached before.
 */
unsigned kernel_pages_open_fixed(struct kernel_pages *k, daxfs_ino ino, bool direct, bool cold);
/* The same of one that is to be direct. */
unsigned kernel_pages_open_direct(struct kernel_pages *k, daxfs_ino ino);
/* One that was not direct is closed. */
void kernel_pages_close(struct kernel_pages *k, daxfs_ino ino);
/* The kernel reads pages by an open file. */
void kernel_pages_read(struct kernel_pages *k, daxfs_ino ino, uint64_t fh);

/*
 * Such a read is about to wait for storage: noted, unless it is by no file that is open cached; what was noted has
 * been answered.
 */
bool kernel_pages_wait(struct kernel_pages *k, daxfs_ino ino);
void kernel_pages_waited(struct kernel_pages *k, daxfs_ino ino);

/*
 * A name of it is about to be told, with attributes. If those differ from what the kernel knows, it drops the pages,
 * and whoever looks the name up would wait for a read that waits for storage, with the directory locked. So then they
 * are made to count for nothing.
 */
void kernel_pages_told(struct kernel_pages *k, daxfs_ino ino);

/* This host is about to change data of a file; it has. */
void kernel_pages_change(struct kernel_pages *k, daxfs_ino ino);
void kernel_pages_changed(struct kernel_pages *k, daxfs_ino ino);

/* Is a file open cached, that may change? */
bool kernel_pages_open_cached(struct kernel_pages *k, daxfs_ino ino);
/* May the answer to a question, leased `since`, be believed as it is (G1), and given without dropping pages (G2)? */
bool kernel_pages_good(struct kernel_pages *k, daxfs_ino ino, uint64_t since);
/*
 * It may not: another thread will drop them and answer. The number of its backing, or QUESTION_OF_POOL. False: out of
 * memory, or the mount goes.
 */
bool kernel_pages_question(struct kernel_pages *k, fuse_req_t req, daxfs_ino ino, int backing);
/*
 * That thread: how often changes of this host have begun and ended so far; and, after pages were dropped and if that is
 * the same, all is good.
 */
uint64_t kernel_pages_changes(struct kernel_pages *k, daxfs_ino ino);
void kernel_pages_dropped(struct kernel_pages *k, daxfs_ino ino, uint64_t since, uint64_t changes);

#endif
