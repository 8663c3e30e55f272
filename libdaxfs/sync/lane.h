/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lane.h - a lane: the one place from which an operation touches the pool.
 *
 * struct lane is this process's side of a struct sm_lane: which lane it is, and the four things that an operation
 * needs, each with a header of its own: protection (epoch.h), what is staged for the record (txn.h), where free
 * objects were seen (alloc_cache.h), what to see to about leases (lease_notes.h). One thread uses a
 * lane at a time; between lane_enter and lane_exit everything it finds through
 * shared words stays what it is (sync/epoch.c), and it may run any number of
 * records (sync/record.c), one after the other.
 */
#ifndef DAXFS_SYNC_LANE_H
#define DAXFS_SYNC_LANE_H

#include <stdatomic.h>

#include "sync/alloc_cache.h"
#include "sync/epoch.h"
#include "sync/lease_notes.h"
#include "sync/txn.h"

struct lane {
	struct pool *pool;
	struct sm_lane *sm;
	unsigned id; /* index in the pool's lanes */
	unsigned host;
	uint32_t generation; /* of the host when it joined */
	atomic_uint moved;   /* bumped as its work goes on (lane_moved): read by daxfs_progressing */
	uint64_t seq;        /* of the record being made or last made */
	uint64_t claims;     /* made so far */
	uint64_t rests;      /* since this epoch, for its numbers are used up; 0: it does not */
	uint64_t dice;       /* how long to pause where two meet, where to look next */
	bool claiming;       /* the last of its claims may be in its word */
	struct epoch_guard epoch;
	struct txn txn;
	struct alloc_cache alloc;
	struct lease_notes notes;
};

/* Any number below n, which is at most 2^32. A matter of speed alone. */
static inline uint64_t lane_random(struct lane *lane, uint64_t n)
{
	lane->dice = lane->dice * 6364136223846793005ull + 2 * lane->id + 1;
	return (lane->dice >> 32) * n >> 32;
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

/* Begin and end an operation: its protection, and no fault yet. Not nested. */
static inline void lane_enter(struct lane *lane)
{
	lane->txn.fault = lane->txn.full = false;
	epoch_enter(&lane->epoch);
}

static inline void lane_exit(struct lane *lane)
{
	epoch_exit(&lane->epoch);
}

/* Leave and enter: lets go of what a long operation no longer needs, and says that it goes on. */
static inline void lane_renew(struct lane *lane)
{
	lane_moved(lane);
	epoch_exit(&lane->epoch);
	epoch_enter(&lane->epoch);
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
	uint64_t w = epoch_load(&lane->epoch, p);

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

/* Start a record: nothing staged (txn.h), nothing allocated. */
void record_begin(struct lane *lane, enum record_operation operation);
/* Name an object that is to be taken, in a place that has a name or the next one, of
 * DAXFS_RECORD_ALLOCS; then make it so that n places from `at` on count. */
void record_intend(struct lane *lane, unsigned at, enum daxfs_type type, uint64_t index);
void record_intended(struct lane *lane, unsigned at, unsigned n);
/* Stage the retirement of a linked object. */
void record_retire(struct lane *lane, enum daxfs_type type, uint64_t index);
/* Nothing more will be staged: write the record down, so that what is taken next makes
 * it durable in passing. Commit does it otherwise. */
void record_write(struct lane *lane);
/*
 * Make it happen: 0 all words changed; -EAGAIN some word was not as staged and
 * nothing happened; -ESTALE this host was declared dead; -EIO a fault (txn.h).
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
