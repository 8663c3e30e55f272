/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease_own.h - what this host's own cache was told, while this host changes it.
 *
 * A host's lease bars the others alone (lease.h): a record of its own is committed beside its own bit. Other hosts
 * see the change from then on, so by then the host's own cache must have forgotten, too, or a program here would
 * be shown what was before a change that a program there has seen. That is a matter of one process:
 *
 *  O1 A call that is about to change an inode counts itself in `changing`, and stays there until it ends. Then it looks
 *     whether attributes of that inode were told; if so, the cache is told to forget, before anything is changed.
 *  O2 Who tells sets the inode's bit in `told`, and then looks whether it is changing: if so, what it tells is not to
 *     be kept. So of a change and an answer one sees the other; and an answer that began before the cache was told to
 *     forget is void to the cache itself (daxfs/lease.h).
 *  O3 The bit is cleared when the cache has forgotten, before the call ends: not before, or another call would go on
 *     while this one has it forget. Who tells looks at it once more, behind `changing`: a call that has ended since may
 *     have cleared it for an answer that was not there yet.
 *  O4 An inode that the cache does not know it cannot forget: then whoever has it forget waits for the answers that are
 *     noted as making it known. Where that is noted only behind the look, no change may have begun in between.
 *
 * tests/models/own.pml has the naive ways, and what refutes them. A bit stays until a change finds it, so what is
 * written again and again is forgotten once for each time that somebody looks. Names are not covered: to forget
 * one costs all of them (node-agent/kernel_cache.h).
 *
 * Crash: all of it is gone. A process that goes on with the cache takes all inodes for told, for as long as that may
 * believe anything; and what it mends before it serves the cache is noted as told, and forgotten when it does
 * (daxfs_lease_go_on). Between those two another host may see times that the cache does not.
 */
#ifndef DAXFS_SYNC_LEASE_OWN_H
#define DAXFS_SYNC_LEASE_OWN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "sync/lane.h"

#define LEASE_OWN_PLACES 4096u /* inodes by their numbers, several in one place */
#define LEASE_OWN_BEGUN (UINT64_C(1) << 32)

struct lease_own {
	uint64_t all_ns; /* until then all are taken for told: of a process that goes on, else 0 */
	/* private */
	atomic_ullong
		changing[LEASE_OWN_PLACES]; /* calls that do, and from LEASE_OWN_BEGUN on how many have begun to */
	atomic_uint told[];                 /* a bit an inode */
};

/* For a pool's inodes; NULL: no memory. */
struct lease_own *lease_own_make(const struct pool *pool);

/* Attributes of an inode are about to be looked up, and told. False: they are not to be kept. */
bool lease_own_tells(struct lease_own *own, uint64_t index);

/* How many changes have begun: if as many as before it was looked up, what is to be told stands. */
uint64_t lease_own_begun(const struct lease_own *own, uint64_t index);
/* The first from `index` on, and before `end`, that was told. */
bool lease_own_told_from(const struct lease_own *own, uint64_t *index, uint64_t end);

/* A call is about to change an inode. True: the cache must forget it first (noted in the lane). */
bool lease_own_changes(struct lane *lane, const struct sm_inode *sm);
/* Of what is noted one that must be forgotten, and is about to be; false: there is none. It is (lease_own_clear). */
bool lease_own_next(struct lane *lane, uint32_t *index);
void lease_own_clear(struct lease_own *own, uint64_t index);
/* The call is over, and its record decided. */
void lease_own_end(struct lane *lane);

#endif
