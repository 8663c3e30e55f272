/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash_collision.c - names whose hashes meet.
 *
 * The linker sends the library's trie_hash here (--wrap). Names "=NBASE,REST"
 * get the first N nine-bit digits of the hash of "=NBASE" and the others of
 * their own; N = 6 makes names with one hash, which nobody finds by search.
 * Names "=:NNBASE,REST" get the first NN bits of the hash of "BASE", and if REST
 * begins with "+", the next bit is the other one.
 */
#include "index/dirtrie.h"

uint64_t __real_trie_hash(const struct pool *pool, const char *name, size_t len);
uint64_t __wrap_trie_hash(const struct pool *pool, const char *name, size_t len);

/* The first bits of one hash, the others of another. */
static uint64_t join(uint64_t shared, uint64_t own, unsigned bits)
{
	uint64_t mask = (1ull << (DAXFS_HASH_BITS - bits)) - 1;

	return (shared & ~mask) | (own & mask);
}

static uint64_t of_digits(const struct pool *pool, const char *name, size_t base, uint64_t own)
{
	unsigned digits = (unsigned)(name[1] - '0');

	if (digits == 0 || digits > DAXFS_HASH_LEVELS)
		return own;
	return join(__real_trie_hash(pool, name, base), own, TRIE_BITS * digits);
}

static uint64_t of_bits(const struct pool *pool, const char *name, size_t base, bool other, uint64_t own)
{
	unsigned bits = (unsigned)(name[2] - '0') * 10 + (unsigned)(name[3] - '0');
	uint64_t shared = __real_trie_hash(pool, name + 4, base - 4);

	if (bits >= DAXFS_HASH_BITS)
		return own;
	return other ? join(shared ^ 1ull << (DAXFS_HASH_BITS - 1 - bits), own, bits + 1) : join(shared, own, bits);
}

uint64_t __wrap_trie_hash(const struct pool *pool, const char *name, size_t len)
{
	const char *comma = memchr(name, ',', len);
	uint64_t own = __real_trie_hash(pool, name, len);
	size_t base = comma ? (size_t)(comma - name) : 0;

	if (len < 3 || name[0] != '=' || !comma)
		return own;
	if (name[1] == ':')
		return base > 4 ? of_bits(pool, name, base, base + 1 < len && comma[1] == '+', own) : own;
	return of_digits(pool, name, base, own);
}
