/* SPDX-License-Identifier: Apache-2.0 */
/* space.h - taking objects. Giving them back is part of a record: sync/record.c. */
#ifndef DAXFS_SPACE_SPACE_H
#define DAXFS_SPACE_SPACE_H

#include "sync/lane.h"

/*
 * Take n objects of a type, PRIVATE to the lane's current record and named in
 * it, their indexes in out[]. They become LIVE if the record commits and free
 * otherwise. -ENOSPC (nothing of out[] is usable; abort the record), -E2BIG.
 */
int space_take(struct lane *lane, enum daxfs_type type, enum daxfs_use use, unsigned n, uint64_t *out);
/* The same for one object, if possible the one with that index. */
int space_take_at(struct lane *lane, enum daxfs_type type, enum daxfs_use use, uint64_t at, uint64_t *out);

/* The same in steps, for who wants to know what it will be before it is taken. */
struct space_item {
	uint64_t index, found; /* its state when it was found free */
	enum daxfs_use use;
	bool have;
};
struct space_batch {
	enum daxfs_type type;
	uint64_t wanted;  /* to be tried before all others; 0: none */
	uint64_t scanned; /* states that this pass has looked at, or skipped with their closed group */
	unsigned probes;  /* places tried before all of them in turn */
	bool second;      /* pass: under a fresh scan */
	bool blocked;     /* saw one that is retired and not reusable yet */
	bool fresh;       /* took a scan for what this lane retired */
	unsigned at, n;   /* places in the record: from .. and how many */
	struct space_item item[DAXFS_RECORD_ALLOCS];
};
void space_begin(struct space_batch *batch, enum daxfs_type type);
/* Find one more object and name it in the record: -ENOSPC, -E2BIG. */
int space_find(struct lane *lane, struct space_batch *batch, enum daxfs_use use, uint64_t *index);
/* Find an extent (extent.c), its first page in *head; *age: records of this lane since it wrote
 * there, UINT32_MAX: never. False: none in sight. */
bool space_find_extent(struct lane *lane, struct space_batch *batch, uint64_t *head, uint32_t *age);
/* Name a page that stays when its extent, linked when we looked, is broken up: it
 * becomes one by itself (extent.c). False: others are about to do that. */
bool space_keep(struct lane *lane, struct space_batch *batch, uint64_t page);
/* Take them all. -EAGAIN: somebody else took one. */
int space_claim(struct lane *lane, struct space_batch *batch);

/* Pages that are kept for records that make the pool no fuller (reserve.c). */
uint64_t space_reserve(const struct pool *pool);
/* What names of storage leave to the pool's own files: of pages beside the reserve. */
uint64_t space_kept_of_names(const struct pool *pool, enum daxfs_type type);
/* How many more of them there may be. */
uint64_t space_names_left(const struct pool *pool);
/* May one be made, by a record that takes an inode for it? */
bool reserve_admits_name(struct lane *lane);
/* Pages that are free or at rest: a sum over all lanes, exact but for the records in flight. */
uint64_t space_left(const struct pool *pool);

/* Objects in quarantine (lost.c), of those whose state can be read: as long as the list of bad pages. */
uint64_t space_quarantined(const struct pool *pool, enum daxfs_type type);
/* All objects that lie in a page of the pool go there, if nobody uses them. */
void space_quarantine(struct lane *lane, uint64_t offset);
/* Are an object's bytes, or its entries in the tables, lost? Looks only. */
bool space_lost_object(const struct pool *pool, enum daxfs_type type, uint64_t index);
bool space_lost_pages(const struct pool *pool, uint64_t index, unsigned n);

/* Is it an inode that has had its last i_generation? Never taken again: its handles would come again. */
static inline bool object_worn(const struct pool *pool, enum daxfs_type type, uint64_t index)
{
	return type == DAXFS_T_INODE && sm_load_relaxed(&pool->inodes[index].i_generation) >= counter_ends.i_generation;
}

/* -- looking ------------------------------------------------------------------- */

/* Count the states of one type: as long as the table. Bounded, no protection needed. */
void space_usage(const struct pool *pool, enum daxfs_type type, struct daxfs_usage *out, uint64_t *nodes);

/* Hints: look for the page that this lane takes next, for it will be written
 * soon; and, some time later, it will be written now. */
void alloc_prefetch(struct lane *lane);
void space_warm_on(struct lane *lane);

/* A hint: the state of this page will change. */
static inline void space_warm_state(const struct pool *pool, uint64_t page)
{
	sm_prefetch_write(&pool->state[DAXFS_T_PAGE][page], sizeof(sm_u64));
}

#endif
