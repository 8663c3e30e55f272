/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lane.h - a lane: the one place from which an operation touches the pool.
 *
 * struct lane is this process's side of a struct sm_lane. One thread uses a
 * lane at a time; between lane_enter and lane_exit everything it finds through
 * shared words stays what it is (sync/epoch.c), and it may run any number of
 * records (sync/record.c), one after the other.
 */
#ifndef DAXFS_SYNC_LANE_H
#define DAXFS_SYNC_LANE_H

#include <stdatomic.h>

#include "daxfs/resume.h"
#include "mem/trouble.h"
#include "sync/account.h"
#include "sync/alloc_cache.h"
#include "sync/word.h"

#define LANE_OWN 8u    /* inodes that one call changes, in all its records */
#define LANE_LEASES 4u /* inodes that a record changes for those who look at them */

struct interval {
	uint64_t low, high;
};

/* What all lanes had announced at one moment: see epoch_reusable. */
struct epoch_scan {
	uint64_t epoch;
	uint64_t oldest; /* the lowest low; UINT64_MAX: none */
	unsigned n;
	struct interval *announced; /* room for every lane of the pool, twice */
};

struct staged_word {
	sm_u64 *word;
	uint64_t before, after;
	enum daxfs_word_class class;
};

struct lane {
	struct pool *pool;
	struct sm_lane *sm;
	unsigned id; /* index in the pool's lanes */
	unsigned host;
	uint32_t generation; /* of the host when it joined */
	bool fault;          /* shared bytes made no sense: the operation ends in -EIO */
	bool lost;           /* a record was decided that some word could not be part of: of ours, -EIO */
	bool conflict;       /* the record being made is known not to fit: -EAGAIN */
	bool written;        /* its body is in the shared record */
	bool durable;        /* ... and would survive the loss of our caches */
	bool movable;        /* the record has objects that another word may link later, or record_by_marks */
	bool spare;          /* it may take pages of the reserve: space/reserve.h */
	bool marked;         /* a mark was met where a word was looked at */
	bool starved;        /* -ENOSPC, but retired objects are waiting for lanes to move on */
	atomic_uint moved;   /* bumped as its work goes on (lane_moved): read by daxfs_progressing */
	uint64_t seq;        /* of the record being made or last made */
	uint64_t claims;     /* made so far */
	bool claiming;       /* the last of them may be in its word */
	uint64_t rests;      /* since this epoch, for its numbers are used up; 0: it does not */
	struct interval announced;
	struct daxfs_receipt *receipt; /* of the request that the caller serves, or NULL */
	uint64_t made;                 /* for it: handle of the inode that was filled last */
	uint64_t piece;                /* ... bytes that the record writes */
	unsigned n_words, n_allocs, n_retires;
	struct account account;
	struct staged_word words[DAXFS_RECORD_WORDS];
	uint64_t retires[DAXFS_RECORD_RETIRES]; /* objects; for the hints */
	unsigned n_leases, n_recalls, n_own;
	uint32_t leases[LANE_LEASES], recalls[LANE_LEASES]; /* inodes: staged; to be recalled */
	uint64_t own[LANE_OWN]; /* handles: changed by this call, and this host has a lease */
	struct epoch_scan scan;
	unsigned taken_since_snapshot, taken_since_advance; /* objects, pages */
	struct alloc_cache cache;
	uint32_t copy_ticks[2][2]; /* what a KiB took, 0: not tried; see fs/copying.c */
	unsigned copies;
};

/* Any number below n, which is at most 2^32. A matter of speed alone. */
static inline uint64_t lane_random(struct lane *lane, uint64_t n)
{
	return alloc_cache_dice(&lane->cache, lane->id, n);
}

/* Bind a lane to its shared side. -ENOMEM. The host must own it. */
int lane_init(struct lane *lane, struct pool *pool, unsigned id, unsigned host, uint32_t generation);
void lane_fini(struct lane *lane);
/*
 * The thread that used a lane was stopped somewhere in an operation, and will not go on: make
 * this side of it what the shared side says, still announced as it was. Then the record can be
 * recovered like a dead one's, by this very lane.
 */
void lane_take_over(struct lane *lane);
/* Is memory of a lane's shared side lost? Then nothing can be told of its record. */
bool lane_lost(const struct pool *pool, unsigned id);

/*
 * The work of this lane goes on. Called once a bounded piece of work, in every loop that is as
 * long as a file or the pool: a host whose lanes stand still stops beating, and is fenced.
 */
static inline void lane_moved(struct lane *lane)
{
	unsigned n = atomic_load_explicit(&lane->moved, memory_order_relaxed); /* nobody else counts */

	atomic_store_explicit(&lane->moved, n + 1, memory_order_relaxed);
}

/* Numbers that a lane has used. From counter_ends.seq on it is spent, and makes no more records until lane_rest
 * says that it may. */
static inline uint64_t lane_used(const struct lane *lane)
{
	return lane->seq > lane->claims ? lane->seq : lane->claims;
}
/* Of a lane that is spent, idle and nobody else's: start again, if nobody can hold an old number any more. */
bool lane_rest(struct lane *lane);

static inline struct sm_manager *lane_manager(const struct lane *lane)
{
	return &lane->pool->member->manager;
}

/* -- epochs ----------------------------------------------------------------- */

/* Begin and end protection. Not nested. */
void lane_enter(struct lane *lane);
void lane_exit(struct lane *lane);
/* Leave and enter: lets go of what a long operation no longer needs, and says that it goes on. */
void lane_renew(struct lane *lane);
void epoch_extend(struct lane *lane, uint64_t epoch);
/* Take over the protection that the owner of a record holds: see epoch.c. */
void epoch_adopt(struct lane *lane, const struct sm_lane *owner);
/* Advance the epoch: what is taken from now on is younger than who is inside now. */
void epoch_advance(struct lane *lane);
/* Advance the epoch and look at every announcement. */
void epoch_rescan(struct lane *lane);
/* May an object with this birth and retirement epoch be reused? */
bool epoch_reusable(const struct epoch_scan *scan, uint64_t retired, uint64_t birth);

/* Load a word and make sure that what it names is protected. */
static inline uint64_t epoch_load(struct lane *lane, const sm_u64 *p)
{
	for (;;) {
		/* ORD protect: the word before the epoch, so that an object born
		 * in a later epoch than `high` is noticed and the word re-read
		 * under the wider announcement. */
		uint64_t w = sm_load(p);
		uint64_t epoch = sm_load(&lane_manager(lane)->epoch);

		if (__builtin_expect(epoch <= lane->announced.high, 1))
			return w;
		epoch_extend(lane, epoch);
	}
}

/* -- words ------------------------------------------------------------------ */

/* Does a link word name an object of this kind that this pool has? */
static inline bool link_names(const struct pool *pool, uint64_t w, enum daxfs_link_kind kind)
{
	unsigned type = kind == DAXFS_INODE ? DAXFS_T_INODE : kind == DAXFS_DIRENT ? DAXFS_T_DIRENT : DAXFS_T_PAGE;

	return link_kind(w) == (unsigned)kind && link_index(w) < pool->objects[type];
}

/* Does a link word name an extent of this pool? */
static inline bool link_names_extent(const struct pool *pool, uint64_t w)
{
	return link_names(pool, w, DAXFS_EXTENT) && link_index(w) % DAXFS_EXTENT_PAGES == 0 &&
	       link_index(w) + DAXFS_EXTENT_PAGES <= pool->objects[DAXFS_T_PAGE];
}

uint64_t word_load_marked(struct lane *lane, const sm_u64 *p, uint64_t found);
uint64_t word_load_wary(struct lane *lane, const sm_u64 *p);
/* The value of a word of an object whose memory this step asks about before it believes anything of it (inode_is). */
static inline uint64_t word_load_known(struct lane *lane, const sm_u64 *p)
{
	uint64_t w = epoch_load(lane, p);

	return __builtin_expect(word_is_mark(w), 0) ? word_load_marked(lane, p, w) : w;
}
/* The value of a word, marks resolved by looking. Never blocks, never writes. */
static inline uint64_t word_load(struct lane *lane, const sm_u64 *p)
{
	return pool_troubled(lane->pool) ? word_load_wary(lane, p) : word_load_known(lane, p);
}
/* The value of a word with no mark on it: finishes whose mark it finds. */
uint64_t word_help(struct lane *lane, sm_u64 *p);

/* -- records ---------------------------------------------------------------- */

/* for status displays and traces */
enum record_operation {
	OP_NONE = 0,
	OP_CREATE,
	OP_LINK,
	OP_UNLINK,
	OP_RMDIR,
	OP_RENAME,
	OP_EXCHANGE,
	OP_SETATTR,
	OP_WRITE,
	OP_PRUNE,
	OP_ORPHAN,
	OP_FREE,
	OP_OPEN,
	OP_CLOSE,
	OP_LOCK,
	OP_SPLIT,
	OP_XATTR,
	OP_FILL,
	OP_DROP,
	OP_COUNT
};
const char *record_operation_name(unsigned operation);

/* Start a record: nothing staged, nothing allocated. */
void record_begin(struct lane *lane, enum record_operation operation);
/* Name an object that is to be taken, in a place that has a name or the next one, of
 * DAXFS_RECORD_ALLOCS; then make it so that n places from `at` on count. */
void record_intend(struct lane *lane, unsigned at, enum daxfs_type type, uint64_t index);
void record_intended(struct lane *lane, unsigned at, unsigned n);
/* Stage a change of a word from `before` to `payload` under the next version.
 * payload may equal the old one: then it only demands that nobody changed it. */
void record_word(struct lane *lane, sm_u64 *p, enum daxfs_word_class class, uint64_t before, uint64_t payload);
/* Stage a change by delta of a node's count; changes of one count add up.
 * Returns the slots that would then be in use. */
uint64_t record_count(struct lane *lane, sm_u64 *p, uint64_t before, int delta);
/*
 * The record that is being made goes the long way, by marks, even with one word: for what takes
 * objects in place of a value that may come back, so that it does not tell whether it happened (I6).
 */
static inline void record_by_marks(struct lane *lane)
{
	lane->movable = true;
}
/* Stage the retirement of a linked object. */
void record_retire(struct lane *lane, enum daxfs_type type, uint64_t index);
/* Forget all words and retirements staged. */
void record_unstage(struct lane *lane);
/* Nothing more will be staged: write the record down, so that what is taken next makes
 * it durable in passing. Commit does it otherwise. */
void record_write(struct lane *lane);
/*
 * Make it happen: 0 all words changed; -EAGAIN some word was not as staged and
 * nothing happened; -ESTALE this host was declared dead; -EIO lane->fault.
 * In every case the record is over, unused allocations are free again.
 */
int record_commit(struct lane *lane);
/* Give up before commit: allocations are free again. Returns error. */
int record_abort(struct lane *lane, int error);
/* Name an inode that must be finished (pruned, freed) whatever happens to us;
 * before the commit that makes it so. Cleared when the operation ends. */
void lane_todo(struct lane *lane, uint64_t handle);

/* Drive record seq of lane `owner` to its end: decide it and resolve its marks. */
void record_finish(struct lane *helper, unsigned owner, uint64_t seq);

struct record_tally {
	uint64_t finished, rolled_back, objects;
};
/*
 * Recovery: bring a dead lane's record to its end and leave it IDLE, past words and objects
 * that make no sense or whose memory is lost. helper may be that lane itself (lane_take_over).
 * False: its status makes no sense or is lost; the lane rests as it is, for good.
 */
bool record_recover(struct lane *helper, unsigned owner, struct record_tally *tally);

/* Is this process's host still a member under the generation it joined with? */
bool lane_alive(const struct lane *lane);

#endif
