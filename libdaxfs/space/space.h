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
struct space_search { /* for objects of one type */
	enum daxfs_type type;
	uint64_t wanted;    /* to be tried before all others; 0: none */
	uint64_t scanned;   /* states looked at in this pass */
	bool second;        /* pass: under a fresh snapshot */
	bool blocked;       /* saw one that is retired and not reusable yet */
};
struct space_batch {
	struct space_search search;
	enum daxfs_use use;
	unsigned at, n;  /* places in the record */
	uint64_t *index; /* what is in them: found, and what we have */
	uint64_t found[DAXFS_RECORD_ALLOCS];
	bool have[DAXFS_RECORD_ALLOCS];
};
/* -E2BIG. */
int space_begin(struct lane *lane, struct space_batch *batch, enum daxfs_type type, enum daxfs_use use, unsigned n,
		uint64_t *index);
/* Name an object for every place that has none. -ENOSPC. */
int space_find(struct lane *lane, struct space_batch *batch);
/* Take them. -EAGAIN: somebody else took one; find again. */
int space_claim(struct lane *lane, struct space_batch *batch);

/* Count the states of one type. Bounded, no protection needed. */
void space_usage(const struct pool *pool, enum daxfs_type type, struct daxfs_usage *out, uint64_t *nodes);

/* Hints: look for the page that this lane takes next, for it will be written
 * soon; and, some time later, it will be written now. */
void space_warm(struct lane *lane);
void space_warm_on(struct lane *lane);

/* A hint: the state of this page will change. */
static inline void space_warm_state(const struct pool *pool, uint64_t page)
{
	sm_prefetch_write(&pool->state[DAXFS_T_PAGE][page], sizeof(sm_u64));
}

#endif
