/* SPDX-License-Identifier: Apache-2.0 */
/* contents.c - what write and append write, and what reading says of it: see script.h. */
#include "script/script.h"

void script_fill(uint8_t *buf, size_t len, uint64_t tag)
{
	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)(((i >> 3) + tag) * 0x9e3779b97f4a7c15ull >> (56 - i % 8));
}

uint64_t script_digest(const uint8_t *buf, size_t len)
{
	uint64_t h = 0xcbf29ce484222325ull ^ len, v;

	for (; len >= 8; buf += 8, len -= 8) {
		memcpy(&v, buf, sizeof(v));
		h = (h ^ v) * 0x9fb21c651e98df25ull;
		h ^= h >> 29;
	}
	for (; len; buf++, len--)
		h = (h ^ *buf) * 0x100000001b3ull;
	return h ^ h >> 32;
}
