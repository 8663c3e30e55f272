/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload.c - see payload.h. The checksum is the project's own second opinion: it
 * shares no code with libdaxfs, whose mistakes it has to find.
 */
#include "payload.h"

#include <stdio.h>
#include <string.h>

#ifdef __x86_64__
#include <nmmintrin.h>
#endif

#define BLOCK_MAGIC 0x6b636f6c62786164ull /* "daxblock" */
#define APPEND_MAGIC 0x646e657070616461ull

static uint32_t crc_bitwise(uint32_t crc, const uint8_t *p, size_t len)
{
	while (len--) {
		crc ^= *p++;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
	}
	return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc_sse(uint32_t crc, const uint8_t *p, size_t len)
{
	uint64_t c = crc, v;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&v, p, 8);
		c = _mm_crc32_u64(c, v);
	}
	for (; len; len--)
		c = _mm_crc32_u8((uint32_t)c, *p++);
	return (uint32_t)c;
}
#endif

uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("sse4.2"))
		return ~crc_sse(~crc, data, len);
#endif
	return ~crc_bitwise(~crc, data, len);
}

uint32_t path_id(const char *path)
{
	uint32_t id = crc32c(0, path, strlen(path));

	return id ? id : 1;
}

const char *op_text(uint64_t op, char buf[64])
{
	snprintf(buf, 64, "h%u g%u t%u #%u", (unsigned)(op >> 56), (unsigned)(op >> 40 & 0xffff),
		 (unsigned)(op >> 32 & 0xff), (unsigned)op);
	return buf;
}

static uint64_t mix(uint64_t x) /* splitmix64 */
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static uint64_t pattern_word(uint64_t seed, uint64_t index)
{
	/* Never zero in any byte, so that a hole cannot pass for data. */
	return mix(seed + index) | 0x0101010101010101ull;
}

void pattern_fill(void *buf, size_t len, uint32_t file, uint64_t op, uint64_t offset)
{
	uint64_t seed = mix(op) ^ mix((uint64_t)file << 32), word;
	uint8_t *p = buf;
	size_t skip, n, done = 0;

	while (done < len) {
		word = pattern_word(seed, (offset + done) / 8);
		skip = (offset + done) % 8;
		if (!skip && len - done >= 8) {
			memcpy(p + done, &word, 8);
			done += 8;
			continue;
		}
		n = 8 - skip < len - done ? 8 - skip : len - done;
		memcpy(p + done, (const uint8_t *)&word + skip, n);
		done += n;
	}
}

void block_fill(void *buf, uint32_t file, uint64_t block, uint64_t op)
{
	struct stamp s = { .magic = BLOCK_MAGIC, .op = op, .block = block, .file = file };
	uint8_t *p = buf;

	pattern_fill(p + sizeof(s), CHAOS_BLOCK - sizeof(s), file, op, block * CHAOS_BLOCK + sizeof(s));
	memcpy(p, &s, sizeof(s));
	s.crc = crc32c(0, p, CHAOS_BLOCK);
	memcpy(p, &s, sizeof(s));
}

/* crc32c of len bytes at buf as if the four at `at` were zero. */
static uint32_t crc_without(const uint8_t *buf, size_t len, size_t at)
{
	static const uint8_t zero[4];
	uint32_t crc = crc32c(0, buf, at);

	crc = crc32c(crc, zero, sizeof(zero));
	return crc32c(crc, buf + at + sizeof(zero), len - at - sizeof(zero));
}

const char *block_check(const void *buf, uint32_t file, uint64_t block, struct stamp *out)
{
	struct stamp s;

	memcpy(&s, buf, sizeof(s));
	if (s.magic != BLOCK_MAGIC)
		return "not a block";
	if (s.crc != crc_without(buf, CHAOS_BLOCK, offsetof(struct stamp, crc)))
		return "torn block";
	if (s.file != file)
		return "block of another file";
	if (s.block != block)
		return "block of another place";
	*out = s;
	return NULL;
}

bool is_zero(const void *buf, size_t len)
{
	const uint8_t *p = buf;

	return !len || (!*p && !memcmp(p, p + 1, len - 1));
}

void append_fill(void *buf, uint32_t file, uint64_t op, uint32_t len)
{
	struct append_hdr h = { .magic = APPEND_MAGIC, .op = op, .file = file, .len = len };
	uint8_t *p = buf;

	pattern_fill(p + sizeof(h), len - sizeof(h), file, op, sizeof(h));
	memcpy(p, &h, sizeof(h));
	h.crc = crc32c(0, p, len);
	memcpy(p, &h, sizeof(h));
}

const char *append_check(const void *buf, size_t left, uint32_t file, struct append_hdr *out)
{
	struct append_hdr h;

	if (left < sizeof(h))
		return "cut record";
	memcpy(&h, buf, sizeof(h));
	if (h.magic != APPEND_MAGIC)
		return "not a record";
	if (h.len < sizeof(h) || h.len > CHAOS_APPEND_MAX || h.len > left)
		return "cut record";
	if (h.crc != crc_without(buf, h.len, offsetof(struct append_hdr, crc)))
		return "torn record";
	if (h.file != file)
		return "record of another file";
	*out = h;
	return NULL;
}
