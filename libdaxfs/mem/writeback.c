/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writeback.c - explicit write-back of cache lines, for pools whose durability
 * domain is wb.
 *
 * shm_write_back starts the write-back of every line that a range touches and
 * shm_write_back_drain waits for all that this thread started. x86-64: clwb,
 * else clflushopt, else clflush, which all three leave to one sfence; which of
 * them the processor has is finalized by the dynamic linker (STT_GNU_IFUNC) while
 * it binds the symbol, so there is no state to initialise. arm64: dc cvap, or dc
 * cvac where the kernel does not offer it, then dsb. shm_evict also drops the lines: clflush, dc civac.
 *
 * ORD: stores before a write-back of their line are ordered before it (same
 * line); stores after the drain are ordered behind it.
 *
 * The simulator has its own cache and none of this.
 */
#include "mem/shm.h"

#ifndef DAXFS_SIM

static inline uintptr_t line_of(const void *p)
{
	return (uintptr_t)p & ~(uintptr_t)(DAXFS_LINE - 1);
}

#if defined(__x86_64__)

#include <cpuid.h>

#define FLUSH(name, instruction)                                                                                       \
	static void name(const void *p, size_t len)                                                                    \
	{                                                                                                              \
		uintptr_t end = (uintptr_t)p + len;                                                                    \
                                                                                                                       \
		for (uintptr_t line = line_of(p); line < end; line += DAXFS_LINE)                                      \
			__asm__ volatile(instruction " %0" : "+m"(*(volatile char *)line)::"memory");                  \
	}

FLUSH(flush_clwb, "clwb")
FLUSH(flush_clflushopt, "clflushopt")
FLUSH(flush_clflush, "clflush")

typedef void (*flush_fn)(const void *p, size_t len);

#if defined(__clang__)
#define NOT_INSTRUMENTED disable_sanitizer_instrumentation, no_profile_instrument_function
#else
#define NOT_INSTRUMENTED no_sanitize("address", "undefined", "thread"), no_profile_instrument_function
#endif

/* Runs before relocation and before any sanitizer is set up: calls nothing. */
__attribute__((NOT_INSTRUMENTED, no_stack_protector, used)) static flush_fn pick_flush(void)
{
	unsigned a = 0, b = 0, c = 0, d = 0;

	__cpuid(0, a, b, c, d);
	if (a < 7)
		return flush_clflush;
	__cpuid_count(7, 0, a, b, c, d);
	if (b & 1u << 24)
		return flush_clwb;
	return b & 1u << 23 ? flush_clflushopt : flush_clflush;
}

void shm_write_back(const void *p, size_t len) __attribute__((ifunc("pick_flush")));

void shm_write_back_drain(void)
{
	__asm__ volatile("sfence" ::: "memory");
}

void shm_evict(const void *p, size_t len)
{
	flush_clflush(p, len);
	__asm__ volatile("mfence" ::: "memory");
}

#elif defined(__aarch64__)

#include <sys/auxv.h>

#define HWCAP_DCPOP_BIT (1ul << 16)

void shm_write_back(const void *p, size_t len)
{
	bool to_persistence = getauxval(AT_HWCAP) & HWCAP_DCPOP_BIT;
	uintptr_t end = (uintptr_t)p + len;

	for (uintptr_t line = line_of(p); line < end; line += DAXFS_LINE) {
		if (to_persistence)
			__asm__ volatile(".arch armv8.2-a\n\tdc cvap, %0" ::"r"(line) : "memory");
		else
			__asm__ volatile("dc cvac, %0" ::"r"(line) : "memory");
	}
}

void shm_write_back_drain(void)
{
	__asm__ volatile("dsb sy" ::: "memory");
}

void shm_evict(const void *p, size_t len)
{
	uintptr_t end = (uintptr_t)p + len;

	for (uintptr_t line = line_of(p); line < end; line += DAXFS_LINE)
		__asm__ volatile("dc civac, %0" ::"r"(line) : "memory");
	__asm__ volatile("dsb sy" ::: "memory");
}

#else
#error "how does this processor write a cache line back?"
#endif

#endif
