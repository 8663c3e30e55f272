/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rseq.h - a store that is made only if this host lives, in one step.
 *
 * Part of the seam (shm.h). A process that is stopped between a look at its host's word and a store, and goes on
 * after the host was declared dead, would store once more. So each store of a thread that works for a host is the
 * last instruction of a restartable sequence (rseq(2)), which begins with that look:
 *
 *	look    load the host's word; leave if it says that the host is revoked
 *	store   one instruction: it stores, or compares and swaps; of a copy, one loop of at most SHM_PIECE bytes
 *
 * Whoever stops the thread in there, by a signal, a debugger, another thread that is to run, the kernel has it go
 * on at the beginning. To copy a piece again does no harm: nobody else may read there yet, or may write there.
 *
 * R1 A thread that ran no instruction between the moment when its host was revoked and a later one stores nothing
 *    after that: what it does next is the look, or leads to it.
 * R2 It ends at the look (shm_revoked), as at a load that fails: nothing after it in the guarded call is done, and
 *    the lane stays as that of a thread that died there, for recovery.
 *
 * What is asked, struct shm_life, is of the memory; whether a thread asks, of its innermost guard (guard.h). Outside
 * of guards nothing is asked: fabricd, mkfs and repair work for no host.
 *
 * Where there are no such sequences (another processor, another C library or an old one, a kernel or GLIBC_TUNABLES
 * that has them switched off, valgrind, a sanitizer), stores are what C makes of them, and nobody asks.
 */
#ifndef DAXFS_MEM_RSEQ_H
#define DAXFS_MEM_RSEQ_H

#include <stdbool.h>
#include <stddef.h>

#include "daxfs/format.h"

/* A sanitizer must see each store itself. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SHM_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SHM_SANITIZED
#endif
#endif

/* -DDAXFS_NO_RSEQ: as where there are none, to measure and to test what they do */
#if defined(__x86_64__) && defined(__GLIBC__) && !defined(DAXFS_SIM) && !defined(DAXFS_NO_RSEQ) &&                     \
	!defined(SHM_SANITIZED)
#if __GLIBC_PREREQ(2, 35)
#define SHM_RSEQ
#endif
#endif

/* What the word of a host says while all that it stores counts. Constant while somebody may ask. */
struct shm_life {
	const sm_u64 *word;
	uint64_t mask, live; /* word & mask == live; mask 0: nothing is asked */
	ptrdiff_t area;      /* of each thread's struct rseq, from its thread pointer */
};

/* Ask from now on, in each guard that is armed; false: there are no sequences here. */
bool shm_life_begin(struct shm_life *life, const sm_u64 *word, uint64_t mask, uint64_t live);

/* No longer: also for who is inside of a guard. */
static inline void shm_life_end(struct shm_life *life)
{
	life->mask = life->live = 0;
}

#ifdef SHM_RSEQ

/* of this thread; NULL: nothing is asked */
extern _Thread_local const struct shm_life *shm_asked __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* The host was declared dead: to where the innermost guard was armed. */
__attribute__((noreturn, cold)) void shm_revoked(void); /* mem/guard.c */

static inline void shm_ask(const struct shm_life *life)
{
	shm_asked = life && life->mask ? life : NULL;
}

/* What shm.h makes of its stores, whether anything is asked or not. In functions: in each place it would be slower. */
void shm_rseq_store(uint64_t *p, uint64_t v); /* releases */
void shm_rseq_store_byte(uint8_t *p, uint8_t v);
bool shm_rseq_cas(uint64_t *p, uint64_t *expected, uint64_t desired); /* acq_rel; *expected: what was found */
void shm_rseq_write(void *dst, const void *src, size_t len);
void shm_rseq_zero(void *dst, size_t len);
/* Around the caches, as sm_write_stream; false: nothing is asked, and nothing was done. */
bool shm_rseq_write_stream(void *dst, const void *src, size_t len);
/* No sequence is this thread's any more: what describes it may go, with the library. */
void shm_rseq_forget(void);

#else

#define shm_ask(life) ((void)(life))

#endif

#endif
