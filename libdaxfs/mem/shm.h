/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shm.h - the seam: the only code that touches shared memory.
 *
 * In a product build each call is one C11 atomic or one copy. With DAXFS_SIM
 * defined the calls are functions of tests/sim, where each is a crash point, a
 * scheduling point and an access to a modelled cache; each call passes the site
 * it was made from.
 *
 * Names say the order: sm_load acquires, sm_store releases, sm_cas_value is
 * acq_rel / acquire; _relaxed ones say so; sm_fence is sequentially consistent,
 * and so is sm_fence_after_cas, which costs nothing where a CAS is a full fence.
 * sm_write_stream leaves what it wrote out of this processor's caches; after the
 * last one, sm_stream_end before anything that publishes it. sm_prefetch and sm_prefetch_write are hints;
 * what sm_peek loads may only decide what they are given (the simulator sees nothing there, and no access).
 * Write-back: sm_flush starts the write-back of a range, sm_drain waits for
 * all started ones; both are nothing in a gpf pool. What is persisted and
 * drained survives the loss of this host's caches. sm_flush_stream is that for
 * whole lines written by sm_write_stream, which starts their write-back by itself where it can.
 * Each store, copy and CAS is made in one step with a look at whether this host lives, where rseq.h can.
 * sm_refresh writes lines back and drops them from this processor's caches: what is loaded next is what
 * memory has, also where nothing keeps caches coherent.
 */
#ifndef DAXFS_MEM_SHM_H
#define DAXFS_MEM_SHM_H

#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "daxfs/format.h"
#include "mem/rseq.h"

/* a mapped region */
struct shm {
	uint8_t *base;
	uint64_t size;
	bool wb;              /* write back explicitly */
	struct shm_life life; /* what is asked with each store */
};

#ifdef DAXFS_SIM

enum sm_order { SM_RELAXED = 0, SM_ACQUIRE = 1, SM_RELEASE = 2, SM_ACQ_REL = 3, SM_SEQ_CST = 7 };

/* A call site of the seam: the simulator demands that each was a crash point, and that each order is needed. */
struct sm_site {
	const char *file, *func, *call;
	unsigned line;
	unsigned hits, crashes;
	enum sm_order order, without; /* what it asks for; what of that is not done, for a test */
} __attribute__((aligned(64)));       /* an array in its own section: no gaps */

#define SM_SITE(name, order)                                                                                           \
	(__extension__({                                                                                               \
		static struct sm_site sm_site_ __attribute__((                                                         \
			section("daxfs_sites"))) = { __FILE__, __func__, name, __LINE__, 0, 0, order, 0 };             \
		&sm_site_;                                                                                             \
	}))

uint64_t sm_load_at(const sm_u64 *p, struct sm_site *site);
uint64_t sm_load_relaxed_at(const sm_u64 *p, struct sm_site *site);
void sm_store_at(sm_u64 *p, uint64_t v, struct sm_site *site);
void sm_store_relaxed_at(sm_u64 *p, uint64_t v, struct sm_site *site);
bool sm_cas_value_at(sm_u64 *p, uint64_t *expected, uint64_t desired, struct sm_site *site);
void sm_fence_at(struct sm_site *site);
void sm_fence_acquire_at(struct sm_site *site);
void sm_read_at(void *dst, const void *src, size_t len, struct sm_site *site);
void sm_write_at(void *dst, const void *src, size_t len, struct sm_site *site);
void sm_write_stream_at(void *dst, const void *src, size_t len, struct sm_site *site);
void sm_stream_end_at(struct sm_site *site);
void sm_zero_at(void *dst, size_t len, struct sm_site *site);
void sm_flush_at(const struct shm *shm, const void *p, size_t len, struct sm_site *site);
void sm_drain_at(const struct shm *shm, struct sm_site *site);

#define sm_load(p) sm_load_at(p, SM_SITE("load", SM_ACQUIRE))
#define sm_load_relaxed(p) sm_load_relaxed_at(p, SM_SITE("load", SM_RELAXED))
#define sm_store(p, v) sm_store_at(p, v, SM_SITE("store", SM_RELEASE))
#define sm_store_relaxed(p, v) sm_store_relaxed_at(p, v, SM_SITE("store", SM_RELAXED))
#define sm_cas_value(p, expected, desired) sm_cas_value_at(p, expected, desired, SM_SITE("cas", SM_ACQ_REL))
#define sm_cas(p, expected, desired) sm_cas_at(p, expected, desired, SM_SITE("cas", SM_ACQ_REL))
#define sm_fence() sm_fence_at(SM_SITE("fence", SM_SEQ_CST))
#define sm_fence_after_cas() sm_fence_at(SM_SITE("fence", SM_SEQ_CST))
#define sm_fence_acquire() sm_fence_acquire_at(SM_SITE("fence", SM_ACQUIRE))
#define sm_read(dst, src, len) sm_read_at(dst, src, len, SM_SITE("read", SM_RELAXED))
#define sm_same(p, bytes, len) sm_same_at(p, bytes, len, SM_SITE("read", SM_RELAXED))
#define sm_write(dst, src, len) sm_write_at(dst, src, len, SM_SITE("write", SM_RELAXED))
#define sm_write_stream(dst, src, len) sm_write_stream_at(dst, src, len, SM_SITE("write", SM_RELAXED))
#define sm_stream_end() sm_stream_end_at(SM_SITE("fence", SM_RELEASE))
#define sm_ticks() UINT64_C(0)
#define sm_streams(bytes, faster) ((void)(faster), (bytes) < 131072u) /* each way is gone by some */
#define sm_peek(p) ((void)(p), UINT64_C(0))
#define sm_pause() ((void)0)
void sm_nap(unsigned us);
#define sm_prefetch(p, len) ((void)(p), (void)(len))
#define sm_prefetch_write(p, len) ((void)(p), (void)(len))
#define sm_zero(dst, len) sm_zero_at(dst, len, SM_SITE("zero", SM_RELAXED))
#define sm_flush(shm, p, len) sm_flush_at(shm, p, len, SM_SITE("persist", SM_RELAXED))
#define sm_flush_stream(shm, p, len) sm_flush_at(shm, p, len, SM_SITE("persist", SM_RELAXED))
#define sm_drain(shm) sm_drain_at(shm, SM_SITE("drain", SM_RELAXED))
#define sm_refresh(p, len) ((void)(p), (void)(len))

#define sm_peek_byte(p) ((void)(p), (uint8_t)0)
#define sm_store_byte(p, v) sm_store_byte_at(p, v, SM_SITE("store", SM_RELAXED))

static inline void sm_store_byte_at(sm_u8 *p, uint8_t v, struct sm_site *site)
{
	sm_write_at(p, &v, sizeof(v), site);
}

static inline bool sm_same_at(const void *p, const void *bytes, size_t len, struct sm_site *site)
{
	uint8_t copy[DAXFS_LINE];

	for (size_t at = 0, n; at < len; at += n) {
		n = len - at < sizeof(copy) ? len - at : sizeof(copy);
		sm_read_at(copy, (const uint8_t *)p + at, n, site);
		if (memcmp(copy, (const uint8_t *)bytes + at, n))
			return false;
	}
	return true;
}

static inline bool sm_cas_at(sm_u64 *p, uint64_t expected, uint64_t desired, struct sm_site *site)
{
	return sm_cas_value_at(p, &expected, desired, site);
}

#else

static inline uint64_t sm_load(const sm_u64 *p)
{
	return __atomic_load_n(&p->sm_v, __ATOMIC_ACQUIRE);
}

static inline uint64_t sm_load_relaxed(const sm_u64 *p)
{
	return __atomic_load_n(&p->sm_v, __ATOMIC_RELAXED);
}

/* May look at what is no word any more, in a page that somebody fills: hidden from the thread sanitizer. */
__attribute__((no_sanitize("thread"))) static inline uint64_t sm_peek(const sm_u64 *p)
{
	return __atomic_load_n(&p->sm_v, __ATOMIC_RELAXED);
}

/* As sm_peek, of a hint. */
static inline uint8_t sm_peek_byte(const sm_u8 *p)
{
	return __atomic_load_n(&p->sm_b, __ATOMIC_RELAXED);
}

static inline void sm_fence(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void sm_fence_after_cas(void)
{
#if defined(__x86_64__)
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

/* Let the other thread of this core, and the others of this line, go on for some 10 to 50 ns. */
static inline void sm_pause(void)
{
#if defined(__x86_64__)
	__asm__("pause" ::: "memory");
#elif defined(__aarch64__)
	__asm__("isb" ::: "memory");
#endif
}

/* Sleep: for whoever waits for another host and looks again and again. */
static inline void sm_nap(unsigned us)
{
	nanosleep(&(struct timespec){ .tv_nsec = us * 1000l }, NULL);
}

static inline void sm_fence_acquire(void)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

/* Hides how long a copy can be at most: for short ones compilers write a loop
 * of string instructions in line, which is slower than the library's. Not if
 * it is some words for certain. */
static inline size_t shm_opaque(size_t len)
{
	if (!__builtin_constant_p(len) || len > DAXFS_LINE)
		__asm__("" : "+r"(len));
	return len;
}

/* Copy out of shared memory; src may change meanwhile, the caller validates. */
static inline void sm_read(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, shm_opaque(len));
}

/* Are the bytes at p those? They are constant, or the caller will not believe it. */
static inline bool sm_same(const void *p, const void *bytes, size_t len)
{
	return memcmp(p, bytes, len) == 0;
}

void sm_write_stream(void *dst, const void *src, size_t len); /* mem/copy.c */
void sm_stream_end(void);
#define sm_streams(bytes, faster) ((void)(bytes), (faster)) /* which way a large copy goes */
uint64_t sm_ticks(void); /* of a clock of this processor, of any rate; for what is a matter of speed alone */

static inline void sm_prefetch(const void *p, size_t len)
{
	/* A function that does nothing but fetch counts as one without effect, and gcc drops calls of it. */
	__asm__("");
	for (size_t i = 0; i < len; i += DAXFS_LINE)
		__builtin_prefetch((const char *)p + i);
}

static inline void sm_prefetch_write(const void *p, size_t len)
{
	for (size_t i = 0; i < len; i += DAXFS_LINE) {
#if defined(__x86_64__)
		/* The builtin means this instruction only where every processor has it. */
		__asm__("prefetchw %0" ::"m"(((const char *)p)[i]));
#else
		__builtin_prefetch((const char *)p + i, 1);
#endif
	}
}

#ifdef SHM_RSEQ

static inline void sm_store(sm_u64 *p, uint64_t v)
{
	shm_rseq_store(&p->sm_v, v);
}

static inline void sm_store_relaxed(sm_u64 *p, uint64_t v)
{
	shm_rseq_store(&p->sm_v, v); /* the same instruction */
}

static inline void sm_store_byte(sm_u8 *p, uint8_t v)
{
	shm_rseq_store_byte(&p->sm_b, v);
}

/* On failure *expected is what was found. */
static inline bool sm_cas_value(sm_u64 *p, uint64_t *expected, uint64_t desired)
{
	return shm_rseq_cas(&p->sm_v, expected, desired);
}

/* Copy into shared memory that no other host may read yet. */
static inline void sm_write(void *dst, const void *src, size_t len)
{
	shm_rseq_write(dst, src, len);
}

static inline void sm_zero(void *dst, size_t len)
{
	shm_rseq_zero(dst, len);
}

#else

static inline void sm_store(sm_u64 *p, uint64_t v)
{
	__atomic_store_n(&p->sm_v, v, __ATOMIC_RELEASE);
}

static inline void sm_store_relaxed(sm_u64 *p, uint64_t v)
{
	__atomic_store_n(&p->sm_v, v, __ATOMIC_RELAXED);
}

static inline void sm_store_byte(sm_u8 *p, uint8_t v)
{
	__atomic_store_n(&p->sm_b, v, __ATOMIC_RELAXED);
}

/* On failure *expected is what was found. */
static inline bool sm_cas_value(sm_u64 *p, uint64_t *expected, uint64_t desired)
{
	return __atomic_compare_exchange_n(&p->sm_v, expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

/* Copy into shared memory that no other host may read yet. */
static inline void sm_write(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, shm_opaque(len));
}

static inline void sm_zero(void *dst, size_t len)
{
	memset(dst, 0, len);
}

#endif

void shm_write_back(const void *p, size_t len); /* mem/writeback.c */
void shm_write_back_drain(void);
void shm_evict(const void *p, size_t len);

static inline void sm_refresh(const void *p, size_t len)
{
	shm_evict(p, len);
}

static inline void sm_flush(const struct shm *shm, const void *p, size_t len)
{
	if (__builtin_expect(shm->wb, 0))
		shm_write_back(p, len);
}

static inline void sm_flush_stream(const struct shm *shm, const void *p, size_t len)
{
#if defined(__x86_64__)
	(void)shm, (void)p, (void)len;
#else
	sm_flush(shm, p, len);
#endif
}

static inline void sm_drain(const struct shm *shm)
{
	if (__builtin_expect(shm->wb, 0))
		shm_write_back_drain();
}

/* CAS that does not care what was found instead. */
static inline bool sm_cas(sm_u64 *p, uint64_t expected, uint64_t desired)
{
	return sm_cas_value(p, &expected, desired);
}

#endif

/*
 * Write back words that change one after the other, each line once: called when
 * the next one is about to change, and with NULL after the last. *last: the one
 * before, NULL at first. True: that was in another line, whose write-back has begun.
 */
static inline bool sm_flush_run(const struct shm *shm, const sm_u64 **last, const sm_u64 *next)
{
	const sm_u64 *was = *last;

	*last = next;
	if (!shm->wb || !was || (next && (uintptr_t)was / DAXFS_LINE == (uintptr_t)next / DAXFS_LINE))
		return false;
	sm_flush(shm, was, sizeof(*was));
	return true;
}

#endif
