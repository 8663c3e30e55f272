/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs.h - inside of the filesystem: the context, and what its files share.
 *
 * Every public operation is a step function run by fs_run: it takes a lane,
 * protects itself, tries, and tries again from the beginning after -EAGAIN
 * (somebody else changed a word it relied on, so somebody made progress). A
 * step makes at most one visible change that is not its own clean-up, by one
 * record.
 */
#ifndef DAXFS_FS_FS_H
#define DAXFS_FS_FS_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

#include "fs/copying.h"
#include "fs/lease_holder.h"
#include "index/filemap.h"
#include "index/dirtrie.h"
#include "space/space.h"

struct open_table;    /* fs/open_table.c */
struct shm_guard;     /* mem/guard.h */
struct cache;         /* fs/cache.c */
struct cache_asks;    /* fs/cache_ask.c */
struct cache_streams; /* fs/cache_window.c */
struct local;         /* fs/local.c */

#define HEAT_LOOKS 16u

/* Where victims of the cache are looked for next: lines that are being fetched (heat.c). */
struct heat_looks {
	uint32_t word[HEAT_LOOKS]; /* its index plus 1; 0: none yet */
	unsigned next;
};

/* a lane of this host and who uses it */
struct lane_slot {
	struct lane lane;
	struct copy_speed copy_speed; /* of who has the lane */
	struct heat_looks heat_looks; /* ... too */
	atomic_bool busy;
	unsigned seen, stuck;       /* of daxfs_progressing */
	unsigned looks;             /* whether it may end its rest */
	bool torn;                  /* a load failed in it: to be mended before it is used again */
	uint64_t torn_at;           /* pool offset of that */
	bool rests;                 /* broken for good: its record cannot be told */
	atomic_bool broken;         /* could not be mended, for now */
	atomic_bool parked;         /* held by a view or a draft: its user may take its time */
	char apart[2 * DAXFS_LINE]; /* from the next slot: another processor's */
};

static inline struct lane_slot *fs_slot(struct lane *lane)
{
	return (struct lane_slot *)((char *)lane - offsetof(struct lane_slot, lane));
}

#define BLOCKS_KNOWN 64u

/* blocks that were counted in this process: files by inode */
struct blocks_known {
	pthread_mutex_t lock;
	struct blocks_entry {
		daxfs_ino ino;
		uint64_t size, trunc; /* words */
		uint64_t at, before;  /* pages before page `at` */
		uint64_t pages;       /* all */
	} entry[BLOCKS_KNOWN];
};

struct daxfs {
	struct pool pool;
	bool *here; /* false in a child of the process that opened it: mem/process.h */
	bool joined;
	unsigned host;
	uint32_t generation;
	uint64_t succession; /* processes of this generation before this one */
	struct lane_slot *slots;
	unsigned n_slots;
	pthread_mutex_t wait_lock; /* for a free lane */
	pthread_cond_t wait_free;
	unsigned waiting;         /* threads */
	unsigned broken, resting; /* lanes that are not to be used; of them, those that never will be */
	atomic_uint parked;
	atomic_bool receipts;  /* somebody keeps some: resume.c */
	pthread_key_t receipt; /* then, of a thread's request */
	struct open_table *open_table;
	struct blocks_known blocks;
	/* Slots that this machine had, as the first attempt to join saw them: fs/predecessor.c. */
	struct former {
		uint64_t tenant, beat, since_ns; /* tenant 0: none */
	} former[DAXFS_HOSTS_MAX];
	struct lease_holder lease;
	struct cache *cache;
	struct cache_asks *asks;
	struct cache_streams *streams;
	_Atomic(struct local *) local; /* NULL: no copies are kept */
};

/* -- context ---------------------------------------------------------------- */

/* A context on memory that is already mapped (tests, tools). */
int fs_attach(void *base, uint64_t size, struct daxfs **out, struct daxfs_error *err);
const struct pool *fs_pool(const struct daxfs *fs);
struct pool *fs_pool_writable(struct daxfs *fs);

/* May the filesystem be used: -ECHILD by a child of the process that opened it, else -ESTALE or -EROFS. */
static inline int fs_ready(const struct daxfs *fs)
{
	if (__builtin_expect(!*fs->here, 0))
		return -ECHILD;
	if (__builtin_expect(fs->joined, 1))
		return 0;
	return fs->pool.writable ? -ESTALE : -EROFS;
}

typedef int (*fs_step)(struct daxfs *fs, struct lane *lane, void *arg);
/*
 * Run a step until it returns something else than -EAGAIN. -EIO also if a load of the pool
 * failed: the step ended there, its lane has been mended. It may hold no lock around what touches
 * the pool, and allocate nothing, unless it runs that by fs_try.
 */
int fs_run(struct daxfs *fs, fs_step step, void *arg);
/* The same; before a lane is taken, `ahead` may fetch what the step will look at first. */
typedef void (*fs_ahead)(struct daxfs *fs, const void *arg);
int fs_run_ahead(struct daxfs *fs, fs_ahead ahead, fs_step step, void *arg);
/* For recovery. Lanes that have used up their numbers rest until a dead host's announcements are
 * withdrawn (sync/rest.c): the host that withdraws them cannot wait for them, and has some left for this. */
int fs_run_recovery(struct daxfs *fs, fs_step step, void *arg);
/* How many pages of failed memory are known: when a step fails that met one, it may go around it from then on. */
static inline unsigned fs_trouble(const struct daxfs *fs)
{
	return __atomic_load_n(&fs->pool.bad.n, __ATOMIC_RELAXED);
}
/* Something that only looks, without a lane. Where a load fails it begins again, and goes around
 * that page: it must ask pool_lost before it looks anywhere. -EIO: it looked there once more. */
int fs_look(struct daxfs *fs, int (*look)(void *arg), void *arg);
/* The same; guard->hit and its offset say what is in the way. */
int fs_look_on(struct daxfs *fs, struct shm_guard *guard, int (*look)(void *arg), void *arg);
/* Something else without a lane, once: -EIO if a load failed in it, and that page is listed. */
int fs_guarded(struct daxfs *fs, int (*work)(void *arg), void *arg);
/* Within a step, or with a lane of one's own: -EIO if a load failed in it, and the lane is torn. */
int fs_try(struct daxfs *fs, struct lane *lane, fs_step step, void *arg);
/* Waits for a free lane; NULL: every lane is broken, or waits for views and has no number left. */
struct lane *fs_take_lane(struct daxfs *fs);
/* Back, mended first if a step left it with a fault. */
void fs_put_lane(struct daxfs *fs, struct lane *lane);
/* Try again to mend lanes that could not be: their memory may have come back. */
void fs_retry_broken(struct daxfs *fs);
/* A fault in looking alone: the lane, without a record, goes on. */
void fs_spare(struct daxfs *fs, struct lane *lane);
/* A lane, entered, for longer than a call. -EBUSY: one is kept for calls. */
int fs_park(struct daxfs *fs, struct lane **out);
void fs_unpark(struct daxfs *fs, struct lane *lane);
/* Lanes and an empty table of open files, for a host that joins: -ENOMEM. */
int fs_make_slots(struct daxfs *fs);
/* Let go of the lanes and the open files, in this process's memory. */
void fs_free_slots(struct daxfs *fs);
/* For good, but for those that rest: waits for calls in progress. -EIO: one of them is broken. */
int fs_take_all_lanes(struct daxfs *fs);

/* A lane, not in use, that could not be mended: out of use, until its memory comes back, or for good (rests). */
void fs_break_lane(struct daxfs *fs, struct lane *lane, bool rests);

/* daxfs_join_as; revives: also in a slot with what a dead tenant left, for the caller to recover (daxfs_revive). */
int fs_join(struct daxfs *fs, unsigned host, const char *name, const struct daxfs_identity *identity, bool revives,
	    struct daxfs_error *err);
/* Each store of this context, which has a slot, is made only while it has that; or, from now on, in any case. Where
 * mem/rseq.h cannot, nothing is asked. */
void fs_stores_ask(struct daxfs *fs);
void fs_stores_free(struct daxfs *fs);
/* Before a join: see fs/predecessor.c. 0, -EBUSY: come again, -EEXIST. */
int fs_end_predecessors(struct daxfs *fs, const struct daxfs_identity *identity, struct daxfs_error *err);
/* -EEXIST: another host that may live has this name. */
int fs_name_taken(struct daxfs *fs, const char *name, struct daxfs_error *err);

static inline struct sm_host *fs_host(struct daxfs *fs, unsigned host)
{
	return &fs->pool.member->host[host];
}

/* -- recovery of a lane (mend.c) ----------------------------------------------- */

struct mend_tally {
	struct record_tally records;
	uint64_t files, opens; /* finished, released */
	uint64_t passed;       /* files listed as ones to repair, lanes that rest */
};
/* All lanes of this host, each by itself, before any of them works: resume.c. -ESTALE; -EIO: none can be mended. */
int fs_mend_lanes(struct daxfs *fs, struct daxfs_receipt *const *receipts, unsigned n, struct mend_tally *tally);
/* What is left to do of a lane that nobody uses any more, step by step; see mend.c. 0 or -errno. */
int mend_record(struct daxfs *fs, struct lane *by, unsigned owner, struct record_tally *tally);
/* Was a lane inside of a call? Then move the times of what its record names, and of a file that its host had open, if
 * the host wrote it. */
bool mend_inside(const struct daxfs *fs, unsigned owner);
int mend_times(struct daxfs *fs, struct lane *by, unsigned owner);
int mend_written(struct daxfs *fs, struct lane *by, unsigned host, const sm_u64 *open);
int mend_todo(struct daxfs *fs, struct lane *by, unsigned owner, struct mend_tally *tally);
/* The same without a try: list what there is to finish. */
int mend_pass_todo(struct daxfs *fs, unsigned owner, struct mend_tally *tally);
void mend_withdraw(struct daxfs *fs, unsigned owner);
/* An open file of a dead host: release and finish it; the same without a try. *open is then 0. */
int mend_open(struct daxfs *fs, struct lane *by, unsigned host, sm_u64 *open, struct mend_tally *tally);
/* The same for a handle that no table names any more. */
int mend_held(struct daxfs *fs, struct lane *by, unsigned host, uint64_t handle, struct mend_tally *tally);
int mend_pass_open(struct daxfs *fs, sm_u64 *open, struct mend_tally *tally);
/* All of it, of a lane of this host by that lane itself. -EUCLEAN: its record cannot be told, the lane
 * rests; -EIO and others: not possible now. */
int mend_lane(struct daxfs *fs, struct lane *lane);
/* List the page around an offset, and put in quarantine what of it nobody uses. False: it was
 * known, or cannot be listed. */
bool mend_page(struct daxfs *fs, struct lane *lane, uint64_t offset);

/* -- inodes (inode.c) -------------------------------------------------------- */

struct inode {
	struct sm_inode *sm;
	uint64_t handle;
	uint32_t mode;
};

/* Has it a name, or is it held? */
bool inode_exists(struct lane *lane, struct sm_inode *sm);
bool inode_is(struct lane *lane, uint64_t handle, struct sm_inode **out);
/* The inode of a handle: -ESTALE if it has neither a name nor a holder. */
int inode_get(struct lane *lane, uint64_t handle, struct inode *out);
/* The same, and it must be a regular file (-EISDIR, -EINVAL). */
int inode_get_file(struct lane *lane, uint64_t handle, struct inode *out);
/* The same, and it must be a directory (-ENOTDIR); *root is its root node. */
int inode_get_dir(struct lane *lane, uint64_t handle, struct inode *out, uint64_t *root);
/* The handle of a directory's parent. */
int inode_parent(struct lane *lane, const struct inode *dir, uint64_t *handle);
/* All attributes of a handle's inode, as of one moment: 0 or -ESTALE. Blocks may be BLOCKS_MANY. */
#define BLOCKS_MANY UINT64_MAX /* for blocks_fill() to count */
int inode_attr(struct lane *lane, uint64_t handle, struct daxfs_attr *out);

/* Where: [63:56] its backing + 1, [55:0] the file in that; 0: its bytes are here. */
static inline uint64_t inode_source(const struct sm_inode *sm)
{
	uint64_t rdev = sm_load_relaxed(&sm->rdev);

	return rdev >> 56 ? rdev : 0;
}

struct inode_init {
	uint32_t mode, rdev;
	struct daxfs_cred cred;
	uint64_t parent; /* handle; directories */
	uint64_t page;   /* root node of a directory, target of a symlink */
	uint64_t size, now;
	uint64_t mtime, ctime;
	uint64_t source; /* where its bytes are, 0: here */
	unsigned opener; /* host + 1, 0: nobody */
};
/* Fill a PRIVATE inode; returns its handle. */
uint64_t inode_init(struct lane *lane, uint64_t index, const struct inode_init *init);
/* The attributes it then has. */
void inode_init_attr(uint64_t handle, const struct inode_init *init, struct daxfs_attr *out);
/* The handle an inode taken now will have. */
uint64_t inode_next_handle(const struct pool *pool, uint64_t index);

/* -- attributes (xattr.c) ----------------------------------------------------- */

/* Stage that the attributes of an inode, which is in the record for nothing else, are as they were. -ECANCELED. */
struct daxfs_since;
int xattr_stage_since(struct lane *lane, const struct daxfs_since *since);

/* -- times (times.c) --------------------------------------------------------- */

/* A time as the pool keeps it: -EINVAL if it cannot. */
int time_encode(const struct timespec *t, uint64_t *out);
struct timespec time_decode(uint64_t time);
struct timespec ctime_decode(uint64_t ctime); /* without its two bits */
uint64_t fs_now(void);
/* What a new file has: coarse, and not before a time that this process gave to another one. */
uint64_t time_now(const struct pool *pool);
/* Something is about to change: move its ctime, and mtime if `modified`, for those who have looked. True: moved. */
bool inode_touch(struct lane *lane, struct sm_inode *sm, bool modified);
/* The same once it was decided, if somebody has looked meanwhile. */
bool inode_touch_again(struct lane *lane, struct sm_inode *sm, bool modified);
/* The times of an answer: the next change moves them. */
void inode_look(struct lane *lane, struct sm_inode *sm, struct daxfs_attr *out);
/* After a change was decided: its mtime and ctime; or, if only its names or attributes changed, its ctime (lease.c). */
void inode_changed(struct lane *lane, struct sm_inode *sm);
void inode_renamed(struct lane *lane, struct sm_inode *sm);

/* -- names (dirent.c) --------------------------------------------------------- */

/* Check a name and hash it: -ENAMETOOLONG, -EINVAL, -EEXIST for "." and "..". */
int name_init(const struct pool *pool, const char *name, struct trie_name *out);
/* Fill a PRIVATE entry. */
void entry_init(struct lane *lane, uint64_t index, const struct trie_name *name, unsigned twin, uint64_t handle,
		uint32_t mode);
/* Stage an insertion at pos, where there is room (trie_make_room): a dirent naming handle. */
int entry_insert(struct lane *lane, const struct trie_pos *pos, const struct trie_name *name, uint64_t handle,
		 uint32_t mode);
/* Stage the removal of a found entry, or its replacement by a new one. */
void entry_remove(struct lane *lane, const struct trie_pos *pos);
int entry_replace(struct lane *lane, const struct trie_pos *pos, const struct trie_name *name, uint64_t handle,
		  uint32_t mode);

/*
 * What a found name leads to is not there any more. One record takes away both,
 * so the name is gone too: -EAGAIN. If it is not, the pool is damaged: -EIO.
 */
int entry_gone(struct lane *lane, const struct trie_pos *pos);
/* Begin a record and stage the end of an empty directory, found at pos, but for its name. */
int entry_stage_rmdir(struct lane *lane, struct inode *dir, const struct trie_pos *pos);

/* -- taking files apart (truncate.c) --------------------------------------------- */

/* Stage "absent" for every item of a batch, retiring what they name. */
void prune_stage(struct lane *lane, const struct map_batch *batch);
/* Remove the pages past the end, if a truncation left that to do. */
int prune(struct lane *lane, struct sm_inode *sm);
/*
 * In a record that takes a name of an inode, whose link count was seen: stage one
 * link less. Without a name it is an ORPHAN to be finished; true: it is staged to be
 * gone at once, for it is small and nobody holds it.
 */
bool inode_stage_unlink(struct lane *lane, uint64_t handle, struct sm_inode *sm, uint64_t nlink);
/*
 * Do whatever is left to do for an inode: prune it; free it if it has no name
 * and no opener. Harmless at any time, by any number of lanes, repeatedly.
 */
int inode_finish(struct lane *lane, uint64_t handle);
/* The same, but what cannot be finished, for it makes no sense or its memory is lost, is listed as to
 * be repaired, and forgotten: 1. */
int inode_finish_or_list(struct lane *lane, uint64_t handle);

/* -- what is there of a file (sparse.c) ------------------------------------------- */

/* Count the blocks of a file that has many of them, outside any lane. */
void blocks_fill(struct daxfs *fs, struct daxfs_attr *attr);

/* -- receipts (resume.c) ------------------------------------------------------------ */

static inline struct daxfs_receipt *fs_receipt(struct daxfs *fs)
{
	if (__builtin_expect(!atomic_load_explicit(&fs->receipts, memory_order_acquire), 1))
		return NULL;
	return pthread_getspecific(fs->receipt);
}
void receipts_fini(struct daxfs *fs);

/* -- open files (open_table.c) ------------------------------------------------------ */

int open_table_init(struct daxfs *fs);
void open_table_fini(struct daxfs *fs);
/* The record being made creates this file held once: list and count it before
 * the commit; forget it if it did not come to be. */
int opens_expect(struct daxfs *fs, uint64_t handle);
void opens_forget(struct daxfs *fs, uint64_t handle);
unsigned open_table_count(struct daxfs *fs);
/* Take over the table of a predecessor whose lanes have been mended: its files are listed here and held by nobody
 * yet. Then let go of those that still nobody holds. */
int open_table_adopt(struct daxfs *fs);
int open_table_settle(struct daxfs *fs);

/* -- who has a file open (openers.c) -------------------------------------------------- */

/* Set the openers bit of a host. -ESTALE: the file has no name, so nobody may open it. */
int opens_set(struct lane *lane, unsigned host, uint64_t handle);
/* In a record: no host has it open. -EBUSY: one has. */
int opens_stage_none(struct lane *lane, struct sm_inode *sm);
/* Clear the openers bit of a host and end its locks; the inode is then to be finished. past: of a
 * dead host, which must not fail for locks that make no sense. */
int opens_clear(struct lane *lane, unsigned host, uint64_t handle, bool past);

/* -- directories that are open for their locks alone (keep.c) ------------------------- */

/* In a record: no host relies on the names of a directory. -ETXTBSY: one does. */
int keep_stage_unlisted(struct lane *lane, uint64_t handle, struct sm_inode *sm);
/* In the middle of a call: nobody of this process does, or somebody is about to. -ENOSPC, -ENOLCK, as a step. */
int keep_set(struct daxfs *fs, struct lane *lane, uint64_t handle, bool on);

/* -- locks (lock.c, lock_words.c) ---------------------------------------------------------- */

/* In a record that clears the openers bit of a host: stage the end of its locks,
 * after that word was read. -EIO. */
int locks_stage_drop(struct lane *lane, unsigned host, uint64_t handle, struct sm_inode *sm);
/* daxfs_lock() in the middle of a call, by its lane. As a step. */
int lock_try(struct daxfs *fs, struct lane *lane, uint64_t handle, const struct daxfs_lock *lock);

#endif
