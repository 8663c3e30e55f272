/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.c - copies that go around this processor's caches.
 *
 * ORD: streaming stores are weakly ordered; sm_stream_end puts them before
 * whatever publishes them. The simulator copies as always.
 */
#include "mem/shm.h"

#ifndef DAXFS_SIM

#if defined(__x86_64__)

#include <immintrin.h>

/* Whole lines, to a line's beginning. */
static void stream_lines(uint8_t *to, const uint8_t *from, size_t lines)
{
	for (; lines; lines--, to += DAXFS_LINE, from += DAXFS_LINE) {
		const __m128i *in = (const __m128i *)(const void *)from;
		__m128i *out = (__m128i *)(void *)to;
		__m128i a = _mm_loadu_si128(in), b = _mm_loadu_si128(in + 1);
		__m128i c = _mm_loadu_si128(in + 2), d = _mm_loadu_si128(in + 3);

		_mm_stream_si128(out, a);
		_mm_stream_si128(out + 1, b);
		_mm_stream_si128(out + 2, c);
		_mm_stream_si128(out + 3, d);
	}
}

/* The same, a line at once: no line is ever sent off half full. */
__attribute__((target("avx512f"))) static void stream_lines_512(uint8_t *to, const uint8_t *from, size_t lines)
{
	for (; lines; lines--, to += DAXFS_LINE, from += DAXFS_LINE)
		_mm512_stream_si512((__m512i *)(void *)to, _mm512_loadu_si512((const void *)from));
}

void sm_write_stream(void *dst, const void *src, size_t len)
{
	size_t head = -(uintptr_t)dst % DAXFS_LINE, body;
	uint8_t *to = dst;
	const uint8_t *from = src;

#ifdef SHM_RSEQ
	if (shm_rseq_write_stream(dst, src, len))
		return;
#endif
	if (head > len)
		head = len;
	body = (len - head) / DAXFS_LINE * DAXFS_LINE;
	memcpy(to, from, head);
	if (__builtin_cpu_supports("avx512f"))
		stream_lines_512(to + head, from + head, body / DAXFS_LINE);
	else
		stream_lines(to + head, from + head, body / DAXFS_LINE);
	memcpy(to + head + body, from + head + body, len - head - body);
}

void sm_stream_end(void)
{
	_mm_sfence();
}

uint64_t sm_ticks(void)
{
	return __rdtsc();
}

#else

#include "mem/clock.h"

void sm_write_stream(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len);
}

void sm_stream_end(void)
{
}

uint64_t sm_ticks(void)
{
	return monotonic_ns();
}

#endif

#endif
