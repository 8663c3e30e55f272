/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm.h - the seam: the only code that touches shared memory.
 *
 * In a product build each call is one C11 atomic or one copy. With DAXFS_SIM
 * defined the calls are functions of tests/sim, where each is a crash point, a
 * scheduling point and an access to a modelled cache.
 *
 * Names say the order: sm_load acquires, sm_store releases, sm_cas is
 * acq_rel / acquire; _relaxed ones say so; sm_fence is sequentially consistent.
 * Write-back: sm_persist starts the write-back of a range, sm_drain waits for
 * all started ones; both are nothing in a gpf pool. What is persisted and
 * drained survives the loss of this host's caches.
 */
#ifndef DAXFS_MEM_SHM_H
#define DAXFS_MEM_SHM_H

#include <stdbool.h>
#include <string.h>

#include "daxfs/format.h"

struct shm { /* a mapped region */
	uint8_t *base;
	uint64_t size;
	bool wb; /* write back explicitly */
};

#ifdef DAXFS_SIM

uint64_t sm_load(const sm_u64 *p);
uint64_t sm_load_relaxed(const sm_u64 *p);
void sm_store(sm_u64 *p, uint64_t v);
void sm_store_relaxed(sm_u64 *p, uint64_t v);
bool sm_cas(sm_u64 *p, uint64_t *expected, uint64_t desired);
void sm_fence(void);
void sm_fence_acquire(void);
void sm_read(void *dst, const void *src, size_t len);
void sm_write(void *dst, const void *src, size_t len);
void sm_zero(void *dst, size_t len);
void sm_persist(const struct shm *shm, const void *p, size_t len);
void sm_drain(const struct shm *shm);

#else

static inline uint64_t sm_load(const sm_u64 *p)
{
	return __atomic_load_n(&p->sm_v, __ATOMIC_ACQUIRE);
}

static inline uint64_t sm_load_relaxed(const sm_u64 *p)
{
	return __atomic_load_n(&p->sm_v, __ATOMIC_RELAXED);
}

static inline void sm_store(sm_u64 *p, uint64_t v)
{
	__atomic_store_n(&p->sm_v, v, __ATOMIC_RELEASE);
}

static inline void sm_store_relaxed(sm_u64 *p, uint64_t v)
{
	__atomic_store_n(&p->sm_v, v, __ATOMIC_RELAXED);
}

/* On failure *expected is what was found. */
static inline bool sm_cas(sm_u64 *p, uint64_t *expected, uint64_t desired)
{
	return __atomic_compare_exchange_n(&p->sm_v, expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static inline void sm_fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void sm_fence_acquire(void)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

/* Copy out of shared memory; src may change meanwhile, the caller validates. */
static inline void sm_read(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len);
}

/* Copy into shared memory that no other host may read yet. */
static inline void sm_write(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len);
}

static inline void sm_zero(void *dst, size_t len)
{
	memset(dst, 0, len);
}

void shm_write_back(const void *p, size_t len); /* mem/writeback.c */
void shm_write_back_drain(void);

static inline void sm_persist(const struct shm *shm, const void *p, size_t len)
{
	if (__builtin_expect(shm->wb, 0))
		shm_write_back(p, len);
}

static inline void sm_drain(const struct shm *shm)
{
	if (__builtin_expect(shm->wb, 0))
		shm_write_back_drain();
}

#endif

/* CAS that does not care what was found instead. */
static inline bool sm_swap(sm_u64 *p, uint64_t expected, uint64_t desired)
{
	return sm_cas(p, &expected, desired);
}

#endif
