/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease.h - what kernels may believe while others change the pool.
 *
 * A host may let its kernel keep names, the absence of names, and attributes. It has then a
 * lease of the inode: a bit of its own in the inode's word `leases`. Leases of a directory are
 * about the names in it and its attributes, of another inode about its attributes.
 *
 *  L1 What a kernel believes of an inode was true when no change of that was decided that others
 *     can see: a record that changes it names the inode (`leases` of its lane), and is not
 *     committed while somebody else has a lease of it. Who decides looks after all marks are down,
 *     whether it is the owner, a helper or a recoverer. The owner's own kernel has forgotten by then
 *     (lease_own.h).
 *  L2 Who grants sets the bit, then looks at what it will answer, and grants nothing if it meets a
 *     mark. So of a grant and a change one sees the other: the bit is before the look, and
 *     the marks are before the look for bits. No word is changed for that.
 *  L3 A bit is cleared by its host alone, when its kernel believes nothing any more: no new grants,
 *     then the answers under way have arrived, then the kernel is told to forget, then the bit. That is
 *     also the acknowledgement; a request (struct sm_holder) is a hint, and is repeated.
 *  L4 What a kernel was told, it believes until a beat of its host + T at the latest, T being the
 *     pool's lease_ms: of the last beat before the grant, not of the grant. So a host whose beat
 *     has not moved for T, as somebody counted who saw it at the begin and at the end, is one
 *     whose kernel believes nothing. That is made known by its term: GRANTING -> ACCUSED, a second
 *     look at the beat, ACCUSED -> VOID; bits of a host whose term is VOID count for nothing. A
 *     host grants only when it finds its own term after it has set the bit, so of an accusation
 *     and a grant under a later beat one sees the other. It goes on under the next number.
 *     Of T a quarter is for an answer's way to its kernel; one that took longer is taken back at
 *     once, for its host was stopped in the middle of it. (What a program there is told in between, after
 *     its host goes on, may be old.)
 *     A machine that was cut off has no kernel that believes anything: who recovers its host makes the term VOID at
 *     once. A process that has ended is no such proof: its kernel lives, and the mount may.
 *  L5 A tenant whose predecessor's term is not VOID answers no request before T has passed since
 *     it joined. But for one that goes on with the cache of a process that has ended (daxfs_lease_go_on):
 *     it gives back what it did not grant, as far as that one could have granted it.
 *  L6 Data is written without looking for leases by hosts that are named in the inode's word `writers`: that
 *     bit is before their look for bits, and nobody else grants a lease of what somebody else may write.
 *     It is set when a file is first written by a host that holds it open, and goes with its last close.
 *  L7 Times are plain words. They are set before the record is decided (L1), and once more, if somebody
 *     has looked meanwhile (fs/times.c), after it: then leases are recalled before the change returns.
 *
 * A change waits for whom it recalls, outside of its lane's protection, and for the dead up to T
 * after their last beat; reads never wait. What is recalled often is not granted for a while.
 *
 * Who died where:
 *   granting    a bit without a lease                  asked for; void T after the last beat
 *   recalled    the bit, and perhaps a kernel that believes nothing      the same
 *   asking      a request of nobody                    answered, in vain
 *   UNDECIDED   marks                                  who finishes the record looks for bits, too
 *   accusing    a term that is ACCUSED                 counts as before; the next one goes on, or its host
 *   writing     a bit in `writers`                     no leases of the file until recovery closes it
 * In a wb pool bits and terms are written back before they count: a line that others changed, too,
 * may be lost with one of them. tests/models/lease.pml has the naive ways, and what refutes them.
 */
#ifndef DAXFS_SYNC_LEASE_H
#define DAXFS_SYNC_LEASE_H

#include <pthread.h>

#include "sync/lane.h"

#define LEASE_REQUESTS (sizeof(((struct sm_holder *)0)->request) / sizeof(sm_u64)) /* to a host at once */

static inline bool lease_used(const struct pool *pool)
{
	return pool->super.lease_ms;
}

static inline enum daxfs_term term_state(uint64_t term)
{
	return (enum daxfs_term)(term & 3);
}

static inline uint64_t term_with(uint64_t term, enum daxfs_term state)
{
	return (term & ~UINT64_C(3)) | state;
}

/* -- who changes ------------------------------------------------------------------ */

/* The record being made changes what leases of this inode are about: nobody else may have one. */
void lease_stage(struct lane *lane, const struct sm_inode *sm);
/* Put what is staged into the shared record. */
void lease_write_down(struct lane *lane);
/* Does another host than the owner of a record have a lease of what it changes? After its marks. */
bool lease_bars(const struct pool *pool, const struct sm_lane *record);
/* The same of the record being made, before it has any; what is to be recalled is noted. */
bool lease_bars_staged(struct lane *lane);
/* Other hosts that have a lease of an inode. */
uint64_t lease_others(const struct pool *pool, const struct sm_inode *sm, unsigned host);
/* Note that leases of an inode are to be recalled before this operation is tried again, or returns. */
void lease_note(struct lane *lane, const struct sm_inode *sm);
/* Ask a host for its lease of an inode. */
void lease_ask(struct pool *pool, unsigned host, uint64_t index);

/* -- silence ------------------------------------------------------------------------ */

/* of all hosts, as this process has seen them; what is shared is not touched under the lock, for a load may fail */
struct lease_watch {
	pthread_mutex_t lock;
	struct {
		uint64_t number, beat; /* of its term; its beat */
		uint64_t since_ns;     /* nothing of this has changed */
	} host[DAXFS_HOSTS_MAX];
};

uint64_t lease_clock(void);
/* A host's machine is off, and this host recovers it: its leases are void. */
void lease_cut_off(struct pool *pool, unsigned host);
/* Look at a host; if it has been silent for T, make its leases void. */
void lease_watch_look(struct pool *pool, unsigned host, struct lease_watch *watch);

/* -- who holds ------------------------------------------------------------------------ */

/* Set, or clear, the bit of a host in a word of an inode. */
void lease_set_bit(struct pool *pool, sm_u64 *word, unsigned host);
void lease_clear_bit(struct pool *pool, sm_u64 *word, unsigned host);
/* From the term `seen` to `term`; written back. */
bool lease_move_term(struct pool *pool, unsigned host, uint64_t seen, uint64_t term);

#endif
