/* SPDX-License-Identifier: Apache-2.0 */
/*
 * summary.h - where it is of no use to look for a free object.
 *
 * The states of each type lie in groups of DAXFS_GROUP, each with a word; the words of a
 * level lie in groups with a word on the level above, up to one for all.
 *
 *   level 1                     [ word ]                      all of them
 *   level 0     [ word ]        [ word ]        [ word ]      groups of states
 *   states   |512 states|    |512 states|    |512 states|
 *
 * A word is OPEN (0: look there) or closed: NOTHING (all are in use), or WAITING with an
 * epoch O (the others are retired, and were alive in epoch O: nobody can have them while
 * somebody announces O). LOOKING, with a tag of its own, is open.
 *
 * Invariants:
 *  S1 Below a word that is closed no object is FREE, and none is RETIRED but, under WAITING
 *     O, with birth <= O <= retirement; unless a record that is not IDLE names one.
 *  S2 A word is closed only by CAS from the LOOKING that its looker put there before it
 *     looked at what is below. Whoever frees or retires an object first changes its state,
 *     then, after a fence, opens the words above it, from below. So either the looker sees
 *     the state, or its CAS fails:
 *
 *        looker                       settler
 *        LOOKING
 *        loads the state: in use
 *                                     state -> RETIRED
 *                                     finds LOOKING: opens
 *        CAS to NOTHING: fails
 *
 *  S3 The settler opens after all its states are changed and before its record is IDLE
 *     (written back). Crash between: recovery opens the words above all that the record names.
 *  S4 Whoever takes the head of an extent as a page, whose others are free by that, opens
 *     after that; its record names the head.
 *
 * A group is also looked at once a cursor has left it behind, so that a pool that fills up closes
 * its words on the way, and the first that is refused need not look at all of it.
 *
 * So ENOSPC is said only if every state was looked at since the last object was freed. A
 * looker that dies leaves LOOKING, which the next one replaces. `tests/models/summary.pml`.
 */
#ifndef DAXFS_SYNC_SUMMARY_H
#define DAXFS_SYNC_SUMMARY_H

#include "sync/lane.h"

/* An object may have become free: open the words above it. After the change of its state. */
void summary_open(const struct pool *pool, enum daxfs_type type, uint64_t index);

/* What was found below a word. */
struct summary_verdict {
	bool open;    /* something may be had */
	bool waiting; /* something will be when nobody announces the oldest epoch any more */
};

/* Is a group closed under this guard's scan? *waiting: set if time can change that. */
bool summary_closed(const struct epoch_guard *guard, enum daxfs_type type, uint64_t group, bool *waiting);
/* The first group from this one on that is not; the number of groups: none. */
uint64_t summary_next(struct lane *lane, enum daxfs_type type, uint64_t group, bool *waiting);
/* Begin to look at all states of a group; then say what was seen under the lane's scan. */
uint64_t summary_look(struct lane *lane, enum daxfs_type type, uint64_t group);
void summary_conclude(struct lane *lane, enum daxfs_type type, uint64_t group, uint64_t look,
		      struct summary_verdict verdict);

static inline uint64_t summary_groups(const struct pool *pool, enum daxfs_type type)
{
	return pool->summary[type].count[0];
}

/* Is an object of this birth and retirement unusable as long as somebody announces epoch `oldest`? */
static inline bool summary_waits(uint64_t oldest, uint64_t birth, uint64_t retired)
{
	return birth <= oldest && oldest <= retired;
}

#endif
