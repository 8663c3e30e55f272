/* SPDX-License-Identifier: Apache-2.0 */
/*
 * siphash.c - SipHash-2-4 (Aumasson & Bernstein, INDOCRYPT 2012).
 *
 * Names are hashed with the pool's secret key, so nobody can choose names that
 * all land in one directory slot. Pure, no state. Words are read little-endian,
 * which is the byte order of a pool and of every machine that can map one.
 */
#include "mem/siphash.h"

#include <string.h>

static inline uint64_t rotate(uint64_t x, unsigned bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[0] = rotate(v[0], 32);
	v[2] += v[3];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

static inline void sip_word(uint64_t v[4], uint64_t m)
{
	v[3] ^= m;
	sip_round(v);
	sip_round(v);
	v[0] ^= m;
}

uint64_t siphash24(const uint64_t key[2], const void *data, size_t len)
{
	uint64_t v[4] = {
		key[0] ^ 0x736f6d6570736575ull,
		key[1] ^ 0x646f72616e646f6dull,
		key[0] ^ 0x6c7967656e657261ull,
		key[1] ^ 0x7465646279746573ull,
	};
	const uint8_t *p = data;
	uint64_t word, last = (uint64_t)len << 56;
	size_t left;

	for (left = len; left >= 8; p += 8, left -= 8) {
		memcpy(&word, p, 8);
		sip_word(v, word);
	}
	if (left && len >= 8) {
		memcpy(&word, p + left - 8, 8);
		last |= word >> (64 - 8 * left);
	} else {
		while (left--)
			last |= (uint64_t)p[left] << 8 * left;
	}
	sip_word(v, last);
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
