/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_cache.h - what this host's kernel keeps of the pool, and how it is made to forget.
 *
 * In a pool with leases (daxfs/lease.h) answers say for how long the kernel may believe them. Before another
 * host changes what was answered, it asks for the lease back; then the kernel is told to forget, and
 * only then the lease is given back. An answer that is computed before and believed after that would be old for
 * as long as it is believed. It is on its way in two parts:
 *
 *  1. From the look at the pool to write(2) on the connection. daxfs_lease_poll waits for all answers that are
 *     between kernel_cache_begin() and _end(), so nothing in between may wait for others.
 *  2. From there until who asked has run, in the kernel, and has taken it. What is taken then is void if the
 *     kernel was told to forget in the meantime, by two counts of its own that it reads before it asks:
 *       attributes   a count of each inode, raised by NOTIFY_INVAL_INODE. An inode that the kernel does not know
 *                    has none: it says ENOENT.
 *       names        one epoch of the whole mount, raised by NOTIFY_INC_EPOCH (kernel 6.16): all names are looked
 *                    up again. A listing with attributes reads it when it has the answer, name by name.
 *     So two kinds of answers are noted, with the thread that asks: those that may make an inode known, and
 *     listings. A thread waits for its answer, and takes it, before it asks for anything else: its next request
 *     ends the note. (Not those that it need not wait for: they may be older.) Who is told to forget an inode
 *     that the kernel does not know, or names, waits for the notes that are about it, for a quarter of lease_ms,
 *     which is what an answer has to arrive. Who takes longer was stopped.
 *
 * A third way leads by a directory. A lookup of a name that the kernel knows makes it valid again when that thread
 * comes to run, and asks for no epoch: that of what it knew counts. But a directory has one place in the tree:
 * another thread that finds it again, since, puts what the first one holds under its name, with a new epoch. If
 * that was found without a lease, nobody would be asked before the name leads elsewhere. So who is told of a
 * directory without a lease of its name, while an answer about it is on its way to somebody else, is told so by an
 * epoch that is old already: all names are forgotten before the answer. A listing, which reads the epoch later,
 * shows it by its name alone.
 *
 * NOTIFY_INVAL_ENTRY, which forgets one name, waits for whoever makes a name in that directory here, who may
 * wait for another host, which may wait for us: it is not used. With an older kernel no names are kept, and
 * attributes from GETATTR alone, whose inode the kernel knows.
 *
 * The attributes of what was made the kernel takes even if it was told to forget since. Of a file that is opened with
 * that, this is seen to (kernel_made.h). All else is told as nothing to keep, its name, too: who changes it would have
 * to wait for the thread that made it, which may ask for nothing more.
 *
 * What this host changes its kernel knows when it has been answered. Others see it before that, and until then it
 * would show what was. And it takes an answer that was on its way all the same; and it believes that a name leads
 * where it led when it asked, so that it does not know which inode a rename has replaced, if another host was
 * faster. So the library says what is about to be changed, by its number, and the kernel forgets its attributes
 * (libdaxfs/sync/lease_own.h). Not names: they are all forgotten at once, and that after each change of one would
 * leave nothing kept. Besides:
 *  - When a name of a file is removed it takes one off its own count of names when the thread that removed it comes
 *    to run, also off a count that it was told since. At 0 it refuses link() unasked. So a removal is noted, in every
 *    pool, until its thread asks for anything else, or ends, or its answer has had the time to arrive. Until then, of
 *    that file:
 *       found       (LOOKUP, a listing) is told with a count from which as much may be taken off; nothing of it is to
 *                   be kept, and all names are old: who is to link it finds it so. No program sees that count, for
 *                   stat() asks again.
 *       attributes  are told as they are, but between the question and the answer the kernel is told to forget: stat()
 *                   shows that answer, and the kernel does not take it. It does not take a new mode either;
 *                   so if another host changes that, all names are old, and who opens the file finds it anew.
 *  - A name that moves to another directory keeps its time, which is of a lease of the former one. Then all
 *    names are looked up again.
 *
 * A process that goes on in the place of one that died gives back what that one was granted: the kernel is the
 * same. What that one has noted is lost, so for the first quarter of lease_ms every listing, and every inode that
 * the kernel does not know, may be on its way. It begins with names that are all old, for the former one may have
 * moved some without saying so.
 */
#ifndef AGENT_KERNEL_CACHE_H
#define AGENT_KERNEL_CACHE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "daxfs/lease.h"
#include "node-agent/channel.h"
#include "node-agent/kernel_made.h"

/* what the kernel may keep: names, attributes and data (kernel_pages.h), or fewer of them */
enum kernel_keeps { KERNEL_KEEPS_ALL, KERNEL_KEEPS_NAMES, KERNEL_KEEPS_ATTRIBUTES, KERNEL_KEEPS_NOTHING };

#define KERNEL_LOSING 256u  /* files by their numbers, several in one place */
#define KERNEL_ASKERS 1024u /* threads by their numbers; who finds another one in its place is told nothing to keep */

/* what a thread was told and may not have taken yet */
struct kernel_asker {
	atomic_uint thread; /* 0: nothing */
	bool listing;
	daxfs_ino ino; /* that is listed, or that it may not know */
	int64_t since_ns;
};

/* a thread that removes a name of a file, and may not have counted that yet */
struct kernel_loser {
	atomic_uint thread; /* 0: not known, or nothing */
	daxfs_ino ino;      /* 0: nothing */
	int64_t since_ns;
};

struct kernel_cache {
	/* constant once started */
	struct daxfs *fs;
	const struct channel *channel;
	enum kernel_keeps keeps;
	int64_t arrive_ns; /* what an answer has to arrive */
	int64_t former_ns; /* until then those of a former process may arrive; 0: there was none */

	struct kernel_made made;

	/* private */
	pthread_t thread;
	atomic_bool stop;
	atomic_uint losing[KERNEL_LOSING]; /* how many of the losers are of such files: 0, and nobody need look */
	pthread_mutex_t lock;              /* of what follows */
	struct kernel_asker asker[KERNEL_ASKERS];
	struct kernel_loser loser[KERNEL_ASKERS]; /* as far behind the place of its thread as others are in the way */
};

/* Before there are requests, in a pool of these leases; a thread gives back what others ask for. 0 or -errno. */
int kernel_cache_start(struct kernel_cache *k, struct daxfs *fs, const struct channel *channel, struct estate *estate,
		       unsigned lease_ms, enum kernel_keeps wanted);
/* No worker is left. If the kernel still keeps anything (detached, and in use), others wait until it has run out. */
void kernel_cache_stop(struct kernel_cache *k);

static inline bool kernel_cache_keeps_names(const struct kernel_cache *k)
{
	return k->keeps <= KERNEL_KEEPS_NAMES;
}

static inline bool kernel_cache_keeps_attributes(const struct kernel_cache *k)
{
	return k->keeps != KERNEL_KEEPS_NOTHING;
}

/* An answer that may be kept is looked up; and the connection has it. False: too late, it is to be forgotten. */
void kernel_cache_begin(struct kernel_cache *k, struct daxfs_answer *answer);
bool kernel_cache_end(struct kernel_cache *k, const struct daxfs_answer *answer);

/* What a lease is to the kernel, in seconds. */
double kernel_cache_seconds(uint64_t lease_ns);

/*
 * A thread is about to be told of an inode that it may not know, or what a directory lists. False: that is not to be
 * kept. After that it asks for something (about an inode; 0: none).
 */
bool kernel_cache_tells(struct kernel_cache *k, uint32_t thread, daxfs_ino ino, bool listing);
void kernel_cache_asked(struct kernel_cache *k, uint32_t thread, uint32_t opcode, daxfs_ino ino);

/*
 * A directory is about to be found without a lease of its name. True: another thread may still take an answer about
 * it, and make that name valid.
 */
bool kernel_cache_told_another(struct kernel_cache *k, uint32_t thread, daxfs_ino ino);

/* A thread (0: not known) is about to remove a name of a file. */
void kernel_cache_loses(struct kernel_cache *k, uint32_t thread, daxfs_ino ino);
/*
 * What was just found of a file is about to be told: how many of its names the kernel may still take off that
 * count. If any, nothing of the answer is to be kept.
 */
unsigned kernel_cache_uncounted(struct kernel_cache *k, daxfs_ino ino);
/* The same of attributes, which are told as they are: if any, the kernel does not take them. */
void kernel_cache_counts(struct kernel_cache *k, daxfs_ino ino);

/* Attributes of an inode are old, or all names are. Of what was just made: once it is known. */
void kernel_cache_forget(struct kernel_cache *k, daxfs_ino ino);
void kernel_cache_forget_names(struct kernel_cache *k);

#endif
