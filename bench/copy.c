/* SPDX-License-Identifier: Apache-2.0 */
/* copy.c - the widest streaming stores that this CPU has, as a limit to compare with. */
#include <immintrin.h>

#include "data.h"

__attribute__((target("avx512f"))) static void copy_512(uint8_t *to, const uint8_t *from, size_t len)
{
	for (size_t i = 0; i < len; i += 64)
		_mm512_stream_si512((__m512i *)(void *)(to + i), _mm512_loadu_si512(from + i));
}

static void copy_128(uint8_t *to, const uint8_t *from, size_t len)
{
	for (size_t i = 0; i < len; i += 16) {
		__m128i x = _mm_loadu_si128((const __m128i *)(const void *)(from + i));

		_mm_stream_si128((__m128i *)(void *)(to + i), x);
	}
}

void copy_streaming(void *to, const void *from, size_t len)
{
	if (__builtin_cpu_supports("avx512f"))
		copy_512(to, from, len);
	else
		copy_128(to, from, len);
	_mm_sfence();
}
