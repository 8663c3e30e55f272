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

#include <emmintrin.h>

#define VECTOR sizeof(__m128i)

void sm_write_stream(void *dst, const void *src, size_t len)
{
	size_t head = -(uintptr_t)dst % VECTOR;
	uint8_t *to = dst;
	const uint8_t *from = src;

	if (head > len)
		head = len;
	memcpy(to, from, head);
	for (; len - head >= DAXFS_LINE; head += DAXFS_LINE) {
		const __m128i *in = (const __m128i *)(const void *)(from + head);
		__m128i *out = (__m128i *)(void *)(to + head);
		__m128i a = _mm_loadu_si128(in), b = _mm_loadu_si128(in + 1);
		__m128i c = _mm_loadu_si128(in + 2), d = _mm_loadu_si128(in + 3);

		_mm_stream_si128(out, a);
		_mm_stream_si128(out + 1, b);
		_mm_stream_si128(out + 2, c);
		_mm_stream_si128(out + 3, d);
	}
	memcpy(to + head, from + head, len - head);
}

void sm_stream_end(void)
{
	_mm_sfence();
}

#else

void sm_write_stream(void *dst, const void *src, size_t len)
{
	memcpy(dst, src, len);
}

void sm_stream_end(void)
{
}

#endif

#endif
