/* SPDX-License-Identifier: Apache-2.0 */
/*
 * word.h - taking shared words apart and putting them together.
 *
 * Pure functions on values; layouts are in format.h. A value that came from
 * shared memory may hold anything: these never fail, their callers compare what
 * comes out with the limits of the pool.
 */
#ifndef DAXFS_SYNC_WORD_H
#define DAXFS_SYNC_WORD_H

#include <stdbool.h>

#include "sync/counters.h"

/* -- marks ----------------------------------------------------------------- */

static inline bool word_is_mark(uint64_t w)
{
	return w & DAXFS_MARK;
}

static inline uint64_t mark_make(unsigned lane, unsigned widx, uint64_t seq)
{
	return DAXFS_MARK | (uint64_t)lane << (DAXFS_SEQ_BITS + 1 + DAXFS_WIDX_BITS) |
	       (uint64_t)widx << (DAXFS_SEQ_BITS + 1) | (seq & DAXFS_SEQ_MASK);
}

static inline unsigned mark_lane(uint64_t w)
{
	return (w >> (DAXFS_SEQ_BITS + 1 + DAXFS_WIDX_BITS)) & ((1u << DAXFS_LANE_BITS) - 1);
}

static inline unsigned mark_widx(uint64_t w)
{
	return (w >> (DAXFS_SEQ_BITS + 1)) & ((1u << DAXFS_WIDX_BITS) - 1);
}

static inline uint64_t mark_seq(uint64_t w)
{
	return w & DAXFS_SEQ_MASK;
}

static inline bool mark_helped(uint64_t w)
{
	return w & DAXFS_MARK_HELPED;
}

static inline bool word_is_claim(uint64_t w)
{
	return word_is_mark(w) && mark_widx(w) == DAXFS_WIDX_CLAIM;
}

static inline uint64_t claim_make(unsigned lane, uint64_t number)
{
	return mark_make(lane, DAXFS_WIDX_CLAIM, number);
}

/* -- versioned values ------------------------------------------------------ */

/* How many bits of a word of this class are payload; the version begins there. */
static inline unsigned word_shift(enum daxfs_word_class class)
{
	static const uint8_t bits[DAXFS_WORD_CLASSES] = {
		[DAXFS_W_LINK] = DAXFS_LINK_BITS,       [DAXFS_W_NAME] = DAXFS_NAME_BITS,
		[DAXFS_W_SIZE] = DAXFS_SIZE_BITS,       [DAXFS_W_NLINK] = DAXFS_NLINK_BITS,
		[DAXFS_W_OPENERS] = DAXFS_OPENERS_BITS, [DAXFS_W_COUNT] = DAXFS_COUNT_BITS,
		[DAXFS_W_ATTR] = DAXFS_ATTR_BITS,       [DAXFS_W_LOCKS] = DAXFS_LOCKS_BITS,
		[DAXFS_W_TICK] = DAXFS_TICK_BITS,
	};

	return class < DAXFS_WORD_CLASSES ? bits[class] : 0;
}

static inline bool word_class_known(enum daxfs_word_class class)
{
	return class > DAXFS_W_NONE && class < DAXFS_WORD_CLASSES;
}

static inline uint64_t word_payload(uint64_t w, enum daxfs_word_class class)
{
	return w & ((1ull << word_shift(class)) - 1);
}

/* The successor of w: its version + 1, with another payload. */
static inline uint64_t word_next(uint64_t w, enum daxfs_word_class class, uint64_t payload)
{
	uint64_t version = ((w & ~DAXFS_MARK) >> word_shift(class)) + 1;

	if (class != DAXFS_W_TICK && class != DAXFS_W_COUNT) /* see counters.h */
		version &= counter_ends.version;
	return ((version << word_shift(class)) & ~DAXFS_MARK) | payload;
}

/* The same payload under the next version: what an abort leaves behind. */
static inline uint64_t word_bump(uint64_t w, enum daxfs_word_class class)
{
	return word_next(w, class, word_payload(w, class));
}

/* -- the first word of a record's entry: where, and of which class ------------ */

static inline uint64_t address_make(enum daxfs_word_class class, uint64_t offset)
{
	return (uint64_t) class << 56 | offset;
}

static inline enum daxfs_word_class address_class(uint64_t address)
{
	return (enum daxfs_word_class)(address >> 56);
}

static inline uint64_t address_offset(uint64_t address)
{
	return address & ((1ull << 56) - 1);
}

static inline uint64_t link_payload(enum daxfs_link_kind kind, uint64_t index)
{
	return (uint64_t)kind << 32 | index;
}

static inline unsigned link_kind(uint64_t w)
{
	return (w >> 32) & 31;
}

static inline uint64_t link_index(uint64_t w)
{
	return w & 0xffffffffull;
}

/* A page that a process reads from storage: which one of its host and generation. */
static inline uint64_t filling_payload(unsigned host, uint32_t generation, uint64_t succession)
{
	return link_payload(DAXFS_FILLING, (succession & 0xff) << 24 | (generation & 0x3ffffu) << 6 | host);
}

static inline unsigned filling_host(uint64_t w)
{
	return link_index(w) & 63;
}

/* The lower bits of both: enough to tell a former one, unless it is 2^18 generations, or 2^8 processes, ago. */
static inline uint32_t filling_generation(uint64_t w)
{
	return (uint32_t)(link_index(w) >> 6) & 0x3ffff;
}

static inline unsigned filling_succession(uint64_t w)
{
	return (unsigned)(link_index(w) >> 24);
}

/* How many pages of a file storage has, and how that differs from the pool. */
static inline uint64_t stored_payload(enum daxfs_stored state, uint64_t pages)
{
	return link_payload(DAXFS_STORED, (uint64_t)state << 30 | pages);
}

static inline enum daxfs_stored stored_state(uint64_t w)
{
	return (enum daxfs_stored)(link_index(w) >> 30);
}

static inline uint64_t stored_pages(uint64_t w)
{
	return link_index(w) & DAXFS_STORED_PAGES;
}

/* A slot of a directory: a link, and a hint of six bits. */
static inline uint64_t name_payload(enum daxfs_link_kind kind, uint64_t index, uint64_t hint)
{
	return hint << DAXFS_HINT_SHIFT | link_payload(kind, index);
}

static inline unsigned name_hint(uint64_t w)
{
	return (w >> DAXFS_HINT_SHIFT) & ((1u << DAXFS_HINT_BITS) - 1);
}

static inline uint64_t nlink_payload(enum daxfs_life life, uint64_t count)
{
	return (uint64_t)life << 32 | count;
}

static inline enum daxfs_life nlink_life(uint64_t w)
{
	return (enum daxfs_life)((w >> 32) & 3);
}

static inline uint32_t nlink_count(uint64_t w)
{
	return (uint32_t)w;
}

static inline uint64_t size_bytes(uint64_t w)
{
	return w & DAXFS_SIZE_MASK;
}

static inline bool size_prune(uint64_t w)
{
	return w & DAXFS_SIZE_PRUNE;
}

/* -- object states --------------------------------------------------------- */

#define DAXFS_TXID_MASK ((1ull << 56) - 1)
#define DAXFS_USE_TXID_MASK ((1ull << 61) - 1)
#define DAXFS_EPOCH_MASK DAXFS_TXID_MASK

static inline uint64_t state_make(enum daxfs_state state, enum daxfs_use use, uint64_t txid)
{
	return (uint64_t)state << 61 | (uint64_t)use << 56 | txid;
}

static inline unsigned state_of(uint64_t s)
{
	return (unsigned)(s >> 61);
}

static inline unsigned use_of(uint64_t s)
{
	return (s >> 56) & 31;
}

static inline uint64_t txid_of(uint64_t s)
{
	return s & DAXFS_TXID_MASK;
}

static inline uint64_t txid_make(unsigned lane, uint64_t seq)
{
	return (uint64_t)lane << DAXFS_SEQ_BITS | (seq & DAXFS_SEQ_MASK);
}

static inline unsigned txid_lane(uint64_t txid)
{
	return (txid >> DAXFS_SEQ_BITS) & ((1u << DAXFS_LANE_BITS) - 1);
}

static inline uint64_t txid_seq(uint64_t txid)
{
	return txid & DAXFS_SEQ_MASK;
}

/* -- objects as named in records -------------------------------------------- */

static inline uint64_t object_make(enum daxfs_type type, uint64_t index)
{
	return (uint64_t)type << 32 | index;
}

static inline unsigned object_type(uint64_t o)
{
	return (o >> 32) & 255;
}

static inline uint64_t object_index(uint64_t o)
{
	return o & 0xffffffffull;
}

/* -- lane status ------------------------------------------------------------ */

static inline uint64_t status_make(uint64_t seq, unsigned operation, enum daxfs_status status)
{
	return (seq & DAXFS_SEQ_MASK) << 18 | (uint64_t)(operation & 1023) << 8 | (uint64_t)status;
}

static inline uint64_t status_seq(uint64_t s)
{
	return (s >> 18) & DAXFS_SEQ_MASK;
}

#define DAXFS_STATUS_HELPED (1ull << (18 + DAXFS_SEQ_BITS))
#define DAXFS_STATUS_HAPPENED (2 * DAXFS_STATUS_HELPED) /* IDLE only */

static inline bool status_helped(uint64_t s)
{
	return s & DAXFS_STATUS_HELPED;
}

static inline unsigned status_operation(uint64_t s)
{
	return (s >> 8) & 1023;
}

static inline unsigned status_state(uint64_t s)
{
	return s & 255;
}

/* The mark that a record of this status puts into its word widx. */
static inline uint64_t status_mark(uint64_t s, unsigned lane, unsigned widx)
{
	return mark_make(lane, widx, status_seq(s)) | (status_helped(s) ? DAXFS_MARK_HELPED : 0);
}

static inline uint64_t status_with(uint64_t s, enum daxfs_status status)
{
	return (s & ~255ull) | (uint64_t)status;
}

/* -- inode handles ---------------------------------------------------------- */

static inline uint64_t handle_make(uint64_t i_generation, uint64_t index)
{
	return i_generation << 32 | index;
}

static inline uint64_t handle_index(uint64_t handle)
{
	return handle & 0xffffffffull;
}

static inline uint64_t handle_generation(uint64_t handle)
{
	return handle >> 32;
}

#endif
