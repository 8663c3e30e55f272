/* SPDX-License-Identifier: Apache-2.0 */
/*
 * many.h - a tree of files that nobody stores: what each is, is computed from its number.
 *
 * D directories of F files each, or F files at the top where D is 0. Number n of a file is d * F + f. Inode numbers and
 * times are always the same, so a tree is what it was after its server was started anew.
 */
#ifndef TESTS_PROGRAMS_MANY_H
#define TESTS_PROGRAMS_MANY_H

#include <stdint.h>
#include <stdio.h>

#define MANY_SIZE_MAX 6000u /* more than one page, for some */
#define MANY_BORN_S 1500000000ll

struct many {
	uint64_t dirs, files; /* files: in each directory */
};

static inline uint64_t many_all(const struct many *m)
{
	return (m->dirs ? m->dirs : 1) * m->files;
}

static inline uint64_t many_mix(uint64_t n)
{
	n = (n ^ 0x9e3779b97f4a7c15ull) * 0xff51afd7ed558ccdull;
	return n ^ n >> 29;
}

static inline uint64_t many_size(uint64_t n)
{
	return many_mix(n) % MANY_SIZE_MAX;
}

static inline uint8_t many_byte(uint64_t n, uint64_t at)
{
	return (uint8_t)(many_mix(n) >> 8 * (at % 7) ^ at / 7);
}

/* "d12/f3", or "f3" at the top. */
static inline void many_path(const struct many *m, uint64_t n, char *out, size_t size)
{
	if (m->dirs)
		snprintf(out, size, "d%llu/f%llu", (unsigned long long)(n / m->files),
			 (unsigned long long)(n % m->files));
	else
		snprintf(out, size, "f%llu", (unsigned long long)n);
}

#endif
