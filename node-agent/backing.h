/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backing.h - trees of storage that the pod reads and writes through, as far as this host can reach them.
 *
 * A backing is a directory of the pool's root that daxfsctl has imported; its attribute says where the storage
 * was. A host reads it only if its own configuration names it: what a pool says cannot make a host read its files.
 * Names of such a tree are read through: looked at in storage when they are looked up, opened or listed, and
 * imported; bytes are the library's (daxfs/cache.h), which calls back here for what is not in the pool.
 *
 * What this host cannot read it asks other hosts to read (daxfs_read does), in threads of `others`; to look at the
 * names of a directory (backing_ask_names), or at a file (backing_ask_look); and it does that for those that ask: a
 * thread a backing looks for it.
 *
 * Nothing of storage is done by the threads that serve the mount: each backing has threads of its own, and two
 * queues, so that readers do not wait behind those that write. One that hangs holds up those who wait for it, and
 * nobody else. What is known of a tree is private memory, a hint: a process that begins finds it anew. Rules of what is
 * noticed when: backing_names.c; of what is written back when: backing_write.c.
 */
#ifndef AGENT_BACKING_H
#define AGENT_BACKING_H

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "daxfs/cache.h"
#include "node-agent/name_list.h"
#include "node-agent/storage.h"

#define BACKINGS_MAX 16u
#define BACKING_READERS 8u /* reads and looks at one storage at once */
#define BACKING_WRITERS 4u /* writes and syncs */
#define BACKING_THREADS (BACKING_READERS + BACKING_WRITERS)
#define BACKING_SLOW_MS 2000u       /* so long without an answer, and what the pool has is served as it is */
#define BACKING_PATIENCE_MS 1000u   /* for another host that reads the same page */
#define BACKING_REVALIDATE_MS 1000u /* unless the backing says otherwise */
#define BACKING_REVALIDATE_MAX_MS 86400001u
#define BACKING_NOTES 4096u               /* files and directories that are remembered */
#define NAME_LOCKS 64u                    /* of directories whose names change; they fit the locks of one file */
#define BACKING_LEFT_MS 3000u             /* for requests that a former process had begun to be sent again */
#define BACKING_RESERVED "trusted.daxfs." /* attributes that no mount shows or changes */
#define BACKING_ATTRIBUTE BACKING_RESERVED "backing"
#define BACKING_NUMBERS ".daxfs.numbers." /* and the number of a backing: a directory of the root that no mount shows */
/* Of the backing's directory: why a host cannot write back; that all is to be written back now. */
#define BACKING_ERROR BACKING_RESERVED "write-error"
#define BACKING_SYNC BACKING_RESERVED "sync"
#define BACKING_DIRTY_MS 5000u           /* so old, and it is written back */
#define BACKING_SCAN_MS 10000u           /* between two looks for what dead hosts have left */
#define BACKING_DIRTY_MAX (256ull << 20) /* bytes that this host may have written and not written back, or less */
#define BACKING_DIRTY_LEAST (1ull << 20)
#define BACKING_DIRTY_SHARES 8u /* of a quarter of the pool, or one for each host that ever was in it */

/* one, as the configuration names it */
struct backing_config {
	char name[256];
	char path[PATH_MAX]; /* empty: as the pool says */
};

/* something of a tree that was looked at lately */
struct backing_note {
	daxfs_ino ino, parent;
	char name[256];
	int64_t looked_ns;            /* in storage; 0: not */
	struct timespec mtime, ctime; /* of a directory, */
	int64_t listed_ns;            /* when it was listed; 0: not */
	bool settled;                 /* its times will tell of another change */
	uint64_t stamp;               /* from before it was listed: it changes when names are given back */
	unsigned unknown;             /* names of a file that storage has and the pool has not, when it was looked at */
};

/* work that waits for storage */
struct backing_work {
	struct backing_work *next;
	void (*run)(struct backing_work *work); /* frees it */
};

/* Who is told that names were made or removed, or attributes changed (0: of none), to be as in storage. */
struct backing_told {
	void (*changed)(void *context, daxfs_ino ino);
	bool (*does_again)(void *context); /* is a request in progress that a former process had begun? */
	void *context;
};

/* work for some threads, in order */
struct backing_queue {
	struct backing_work *first, **last;
	pthread_cond_t added; /* wakes one of them: for each to wake all costs more than the work */
};

/* a file that this host, or one that is gone, has written */
struct backing_dirty {
	struct backing_dirty *next; /* older ones first */
	daxfs_ino ino;
	int64_t since_ns;
	uint64_t bytes; /* by this host, at most */
	int error;      /* of the last attempt to write it back */
};

struct backing {
	const struct backing_config *config;
	struct daxfs *fs;
	const struct backing_told *told;

	pthread_mutex_t lock; /* of all below; never held over storage or the pool */
	pthread_cond_t changed;
	bool attached, stop, looked; /* the last: it has been tried to attach it */
	unsigned number, users;
	daxfs_ino root;
	int fd;
	bool near; /* of a file system that answers from memory, if it can (backing_peek.c) */
	unsigned revalidate_ms;
	int said; /* of the last error that was logged */
	struct backing_queue reads, writes;
	int64_t began_ns[BACKING_THREADS]; /* what each thread does now; 0: nothing */
	struct backing_note note[BACKING_NOTES];
	pthread_t thread[BACKING_THREADS], keeper, flusher, server;
	unsigned threads;
	bool kept, flushes, serves;

	/* backing_dirty.c */
	struct backing_dirty *dirty;
	uint64_t dirty_bytes, dirty_max;
	bool shares; /* dirty_max is a share of the pool: nobody has said another */

	/* backing_write.c */
	bool writable;
	int write_error;          /* of the last attempt to write back */
	bool sync_wanted;         /* everything, at once */
	pthread_mutex_t flushing; /* held over storage: whoever writes back, or changes attributes there */
	daxfs_ino out_ino;        /* under that: the file that is written, */
	int out;                  /* ... and its descriptor */

	/* backing_links.c */
	daxfs_ino lost; /* what was looked for last, and is not there; */
	int64_t lost_ns;

	/* backing_room.c */
	pthread_mutex_t giving; /* one thread at a time gives names back; it waits for no storage */
	uint64_t hand;          /* under that: of the inodes; */
	bool given;             /* ... did the last try find any? */
	int64_t full_ns;        /* ... when it was said that it did not */
	atomic_ullong tried;    /* how often */

	/* backing_intent.c */
	pthread_mutex_t names[NAME_LOCKS];
	int64_t since_ns; /* it was attached; 0: what former processes left is done */
};

struct backings {
	struct daxfs *fs;
	unsigned n, n_others;
	struct backing *backing[BACKINGS_MAX];
	struct backing *others[BACKINGS_MAX]; /* that this host has not: threads that wait for hosts that have */
	pthread_mutex_t others_lock;
	bool stuck; /* threads are left in storage that does not answer */
};

/* Start to serve what the configuration names. dirty_max: bytes of each; 0: not said. -errno: nothing is left. */
int backings_start(struct backings *all, struct daxfs *fs, const struct backing_config *config, unsigned n,
		   uint64_t dirty_max, const struct backing_told *told);
/* When nobody adds work any more: what waits is run with the backing gone. Sets `stuck`. */
void backings_stop(struct backings *all);

/* The backing of something, kept until backing_put: NULL: of none, or not of one that this host reads. */
struct backing *backing_get(struct backings *all, daxfs_ino ino);
void backing_put(struct backing *b);
/* The same of a file that this host cannot read by itself. NULL: of none, or there are too many. */
struct backing *backing_get_others(struct backings *all, daxfs_ino ino);
/*
 * Does a file never change? Those of backings that were added read-only: no host writes them through the pool, and what
 * changes in storage behind it becomes another inode. Any host can tell. False: it does, or it is gone.
 */
bool backing_is_fixed(struct daxfs *fs, daxfs_ino ino);
/* Has storage been silent for long? Then what the pool has is served as it is. */
bool backing_is_slow(struct backing *b);
/* Its threads are to end: what still waits is answered that the mount is gone. */
bool backing_has_stopped(struct backing *b);
/* Do this in a thread of the backing. */
void backing_add(struct backing *b, struct backing_work *work, bool writes);

/* -- for other hosts (backing_serve.c) -------------------------------------------------------- */

/* The thread that looks for what they ask for. */
void *backing_server(void *context);
/* What the library calls for another host: the names of a directory; is a file what it was? */
int backing_list_for_others(void *context, daxfs_ino dir);
int backing_look_for_others(void *context, daxfs_ino ino);
int backing_find_for_others(void *context, daxfs_ino dir, uint64_t key);
/*
 * The other way: a host that has the storage makes the names of a directory what they are there, or the name of a file
 * that is not what it was (-ESTALE). They wait for that, and note that it was looked at.
 */
int backing_ask_names(struct backing *others, daxfs_ino dir);
/* One name: what that host may give back again, before it is looked at here. -ENOENT: storage has it not. */
int backing_ask_name(struct backing *others, daxfs_ino dir, const char *name);
int backing_ask_look(struct backing *others, daxfs_ino ino);
/* How old a look of another host may be is read anew. A backing that is added once more may say otherwise. */
void backing_others_revalidate(struct backing *b, daxfs_ino ino);

/* -- names (backing_names.c): these wait for storage ------------------------------------- */

/* Is a name of a directory as in storage? It is afterwards. 0, -ENOENT, -errno of storage. */
int backing_look(struct backing *b, daxfs_ino parent, const char *name);
/* The same, by who has the directory locked. BACKING_NOT_LOCKED: what it leads to is to be locked, too. */
struct name_locks;
#define BACKING_NOT_LOCKED 1
int backing_look_locked(struct backing *b, daxfs_ino parent, const char *name, const struct name_locks *locks);
/* A name for what is in storage; the target of a link. */
int backing_import(struct backing *b, daxfs_ino parent, const char *name, const char *target,
		   const struct storage_entry *e, struct daxfs_attr *out);
/* The same, whatever other names it has. */
int backing_import_one(struct backing *b, daxfs_ino parent, const char *name, const char *target,
		       const struct storage_entry *e, struct daxfs_attr *out);
/* Is what was imported as storage says now? */
bool backing_is_as(struct backing *b, daxfs_ino ino, const struct storage_entry *now);
/* The name, and all that is below it: -EBUSY: but what is dirty. */
int backing_forget(struct backing *b, daxfs_ino parent, const char *name, daxfs_ino ino);
/* Has the pool names in a directory? 0, -ENOTEMPTY. */
int backing_is_empty(struct backing *b, daxfs_ino dir);
/* Is a file still what it was? -ESTALE: no; it is forgotten. */
int backing_look_at(struct backing *b, daxfs_ino ino);
/* Are the names of a directory those of storage? They are afterwards. */
int backing_list(struct backing *b, daxfs_ino dir);
/* Those names of a directory of which storage has some with that key; all, where that takes little room. -ENOENT. */
int backing_find(struct backing *b, daxfs_ino dir, uint64_t key);
/* Of the library: bytes that are not in the pool. */
ssize_t backing_read(void *context, daxfs_ino ino, uint64_t file, void *buf, size_t len, uint64_t offset);

/* It is, under that name: noted, and its stamp is of that. Waits for nothing. */
void backing_keep(struct backing *b, daxfs_ino ino, daxfs_ino parent, const char *name,
		  const struct storage_entry *now);
/* Are the attributes that a directory has from storage the same? */
bool backing_same_attributes(const struct daxfs_attr *a, const struct daxfs_attr *b);

/* -- without waiting for storage (backing_peek.c); false: it is not so, or that cannot be told --------- */

/* Is something as in storage; the same of what a name of the pool leads to; and are a directory's names those there? */
bool backing_is_still(struct backing *b, daxfs_ino ino);
bool backing_is_still_at(struct backing *b, daxfs_ino parent, const char *name, daxfs_ino ino);
bool backing_is_still_listed(struct backing *b, daxfs_ino dir);

/* -- several names (backing_links.c): these may wait for storage ------------------------------- */

/* The directory of those that have several, by number. -ENOENT. */
int backing_numbers(struct backing *b, daxfs_ino *dir);
/* Has it several names in storage, which may be one inode here? */
bool backing_is_many(struct backing *b, const struct storage_entry *e);
/* May there be an inode that it is another name of, here, or one for its others to come? */
bool backing_may_join(struct backing *b, const struct storage_entry *e);
/* Is it the inode of all of its names? It is, if no other one was. */
bool backing_is_the_one(struct backing *b, daxfs_ino ino, const struct storage_entry *e);
/* It is, from here on: -ESTALE: another one is. */
int backing_number(struct backing *b, uint64_t file, daxfs_ino ino);
/* A name of it is gone from the pool. If that was the last, and nobody uses it, it goes. */
void backing_unnumber(struct backing *b, daxfs_ino ino);
/* Storage has no name of it any more, or is about to have none. -ECANCELED: as daxfs_discard. */
int backing_number_gone(struct backing *b, daxfs_ino ino, const struct daxfs_since *since);
/* As backing_import, of one that has several. */
int backing_import_many(struct backing *b, daxfs_ino parent, const char *name, const char *target,
			const struct storage_entry *e, struct daxfs_attr *out);
/* Has storage any name of it? Only asked of one that has, or had, several. */
bool backing_is_named(struct backing *b, daxfs_ino ino);
/* It was not found by a path. Has it another one, by what others have changed, or another name? */
bool backing_is_elsewhere(struct backing *b, daxfs_ino ino, const char *path);

/* -- writing (backing_write.c): these wait for storage -------------------------------------- */

/* What the library calls: write, resize, sync. */
int backing_out_write(void *context, daxfs_ino ino, uint64_t file, const void *buf, size_t len, uint64_t offset);
int backing_out_resize(void *context, daxfs_ino ino, uint64_t file, uint64_t size, bool exact);
int backing_out_sync(void *context, daxfs_ino ino, uint64_t file, uint64_t *stamp);
/* May the file be written: -EROFS; -EMLINK: it has other names in storage, and the pool cannot have it so; -ESTALE: by
 * another inode, to which its name is to be looked up. */
int backing_may_write(struct backing *b, daxfs_ino ino);
/* All that was written of a file is in storage when this returns. */
int backing_flush(struct backing *b, daxfs_ino ino);
/* A file or directory, and its names, are on stable storage; what was written of it is not written back. */
int backing_sync_there(struct backing *b, daxfs_ino ino);
/* Attributes, in storage and then in the pool. */
int backing_set(struct backing *b, daxfs_ino ino, unsigned set, const struct daxfs_attr *in, struct daxfs_attr *out);
/* The thread that writes back what is old. */
void *backing_flusher(void *context);
/* Give up the lock of who writes back, which a former process may have had: before anybody of this one uses the
 * backing. */
void backing_release_left_turn(struct backing *b);

/* -- what is dirty (backing_dirty.c) --------------------------------------------------------- */

/* This host has written so much of a file; 0: somebody has. */
void backing_wrote(struct backing *b, daxfs_ino ino, uint64_t bytes);
/*
 * So much of what was written before `before` is in storage: the file leaves the list, or is as young as what came
 * since; or that failed, and it waits as long as one that is new.
 */
void backing_written(struct backing *b, daxfs_ino ino, uint64_t bytes, int64_t before, int error);
/* How much this host has written of a file, and not written back, at most. */
uint64_t backing_dirty_bytes(struct backing *b, daxfs_ino ino);
unsigned backing_count_dirty(struct backing *b);
/* The oldest file, if it is so old, or must make room; all: any. 0: none. */
daxfs_ino backing_next_dirty(struct backing *b, bool all);
/* For people who look at the pod. */
void backing_tell_dirty(struct backing *b);
/* When the backing goes. */
void backing_forget_dirty(struct backing *b);
/* How much may be dirty, if that is a share: of one more host, it is less. */
void backing_take_share(struct backing *b);
/* Wait until less is dirty than may be: 0, or why that cannot be written back. */
int backing_wait_room(struct backing *b);

/* -- room (backing_room.c) ---------------------------------------------------------------- */

/* There is no room for another name: give some back, but for a directory. False: there are none. */
bool backing_give_back(struct backing *b, daxfs_ino keep);
/* The same, if there is no room for one name. */
void backing_make_room(struct backing *b, daxfs_ino keep);
/* Is that few, so that they take little of the room that there is? */
bool backing_are_few(struct backing *b, uint64_t names);
/* The pool's own files have what names of storage leave them. */
void backing_keep_room(struct backing *b);

/* -- what is known (backing_notes.c) ------------------------------------------------------- */

/* Was it looked at, or its names, within the backing's time? For how long still? */
int64_t backing_fresh_ns(struct backing *b, daxfs_ino ino);
bool backing_is_fresh(struct backing *b, daxfs_ino ino);
bool backing_is_listed(struct backing *b, daxfs_ino dir);
void backing_note(struct backing *b, daxfs_ino ino, daxfs_ino parent, const char *name, bool looked);
void backing_unnote(struct backing *b, daxfs_ino ino);
bool backing_find_note(struct backing *b, daxfs_ino ino, struct backing_note *out);
/* Its directory and name in the pool now, by the note if that is right. -ESTALE: it has none. */
int backing_place(struct backing *b, daxfs_ino ino, struct backing_note *out);
/* It has been listed when it was of these times, and of that stamp, or a later one. */
void backing_note_list(struct backing *b, daxfs_ino dir, const struct daxfs_attr *attr, uint64_t stamp);
/* Has it the names that it had when this host listed it, by its times now, and the pool all of them, by its stamp? */
bool backing_was_listed(struct backing *b, daxfs_ino dir, const struct daxfs_attr *now, uint64_t stamp);
/* Has this host looked at it, or listed it, in the last second? */
bool backing_is_recent(struct backing *b, daxfs_ino ino);
/* How many names it has in storage, as of a look now. */
void backing_note_links(struct backing *b, daxfs_ino ino, unsigned links);
/* So many more than the pool has, as of the last look of this host. */
unsigned backings_unknown_names(struct backings *all, daxfs_ino ino);
/* The path of something within its backing, by the pool's names now: "" is the backing. -ESTALE: it has none. */
int backing_path(struct backing *b, daxfs_ino ino, char *path, size_t size);
/* The same by notes alone, which are looked at in the pool, and its own place. False: some are not there, or not so. */
bool backing_noted_path(struct backing *b, daxfs_ino ino, struct backing_note *place, char *path, size_t size);
/* Is that its path still? */
bool backing_path_is(struct backing *b, daxfs_ino ino, const char *path);
/* The path of a name. */
int backing_path_of(struct backing *b, daxfs_ino parent, const char *name, char *path, size_t size);

#endif
