/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload.h - data that says what it is.
 *
 * Every byte the load generator writes can be derived from {file, operation,
 * offset}, and every block and record carries that identity and a checksum. So
 * whoever reads it can tell, without asking anybody, a good block from a torn
 * one, and its own file's from another's.
 *
 * A file is named by a hash of its path; an operation by {host, generation,
 * thread, sequence} packed in 64 bits (op_id), unique within a test round.
 * Pure functions; safe in any number of threads.
 */
#ifndef CHAOS_STAMP_H
#define CHAOS_STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHAOS_BLOCK 4096u
#define CHAOS_BLOCKS_MAX 64u /* of one write: 256 KiB, the all-or-nothing limit */
#define CHAOS_GROUP 16u      /* blocks that may be one object, if they are written together and lie right */

struct stamp { /* first bytes of a block */
	uint64_t magic;
	uint64_t op;    /* op_id() of the write it belongs to */
	uint64_t block; /* its place in the file, in blocks */
	uint32_t file;  /* path_id() */
	uint32_t crc;   /* crc32c of the whole block with crc = 0 */
};

struct append_hdr { /* first bytes of a record in an append file */
	uint64_t magic;
	uint64_t op;
	uint32_t file;
	uint32_t len; /* of the record, header included */
	uint32_t crc; /* crc32c of the whole record with crc = 0 */
	uint32_t reserved;
};

uint32_t crc32c(uint32_t crc, const void *data, size_t len);
/* Identity of a path: never 0. */
uint32_t path_id(const char *path);

static inline uint64_t op_id(unsigned host, uint32_t generation, unsigned thread, uint64_t seq)
{
	return (uint64_t)(host & 0xff) << 56 | (uint64_t)(generation & 0xffff) << 40 | (uint64_t)(thread & 0xff) << 32 |
	       (seq & 0xffffffff);
}

/* "h1 g2 t0 #17", in buf. */
const char *op_text(uint64_t op, char buf[64]);

/* The bytes that operation `op` puts at [offset, offset + len) of a file. */
void pattern_fill(void *buf, size_t len, uint32_t file, uint64_t op, uint64_t offset);

void block_fill(void *buf, uint32_t file, uint64_t block, uint64_t op);
/* NULL if the block is whole and in its place; else what is wrong with it. */
const char *block_check(const void *buf, uint32_t file, uint64_t block, struct stamp *out);
bool is_zero(const void *buf, size_t len);

void append_fill(void *buf, uint32_t file, uint64_t op, uint32_t len);
/* NULL if a whole record of this file starts at buf; else what is wrong. */
const char *append_check(const void *buf, size_t left, uint32_t file, struct append_hdr *out);
#define CHAOS_APPEND_MAX (64u * 1024u)

#endif
