/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash_collision.c - names whose hashes meet.
 *
 * The linker sends the library's trie_hash here (--wrap). Names "=NBASE,REST"
 * get the first N nine-bit digits of the hash of "=NBASE" and the others of
 * their own; N = 6 makes names with one hash, which nobody finds by search.
 */
#include "index/dirtrie.h"

uint64_t __real_trie_hash(const struct pool *pool, const char *name, size_t len);
uint64_t __wrap_trie_hash(const struct pool *pool, const char *name, size_t len);

uint64_t __wrap_trie_hash(const struct pool *pool, const char *name, size_t len)
{
	const char *comma = memchr(name, ',', len);
	uint64_t own = __real_trie_hash(pool, name, len), shared, mask;
	unsigned digits;

	if (len < 3 || name[0] != '=' || !comma)
		return own;
	digits = (unsigned)(name[1] - '0');
	if (digits == 0 || digits > DAXFS_HASH_LEVELS)
		return own;
	shared = __real_trie_hash(pool, name, (size_t)(comma - name));
	mask = (1ull << (DAXFS_HASH_BITS - TRIE_BITS * digits)) - 1;
	return (shared & ~mask) | (own & mask);
}
