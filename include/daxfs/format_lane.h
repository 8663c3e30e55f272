/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format_lane.h - what a thread of a host has in flight. Part of format.h.
 */
#ifndef DAXFS_FORMAT_LANE_H
#define DAXFS_FORMAT_LANE_H

#include "daxfs/format_word.h"

/*
 * Lane: what one thread of one host has in flight. Only its owner writes it,
 * except status, which any helper moves from UNDECIDED by CAS, and everything,
 * which the recoverer of a fenced owner may write.
 *
 * Status word: [62] HAPPENED, of an IDLE one: the last record did  [61] HELPED
 *              [60:18] seq43  [17:8] operation  [7:0] enum daxfs_status
 */
enum daxfs_status {
	DAXFS_IDLE = 0,
	DAXFS_PREPARE = 1,   /* allocating, filling; nothing visible */
	DAXFS_UNDECIDED = 2, /* record complete; words being marked */
	DAXFS_COMMITTED = 3, /* happened; marks being resolved, objects finalized */
	DAXFS_ABORTED = 4,   /* did not happen; same */
	DAXFS_SINGLE = 5,    /* complete, of one word and without a mark: whether it happened is seen from that */
	DAXFS_STATUSES
};

#define DAXFS_RECORD_WORDS 96u
#define DAXFS_RECORD_ALLOCS 96u
#define DAXFS_RECORD_RETIRES 96u

struct sm_record_word {
	uint64_t addr;   /* 00 [63:56] enum daxfs_word_class, [55:0] pool offset of the word */
	uint64_t before; /* 08 expected value */
	uint64_t after;  /* 10 new value, version already bumped */
};

struct sm_record_retire {
	uint64_t object; /* 00 [39:32] type, [31:0] index */
	uint64_t txid;   /* 08 low 61 bits of its state word when it was found linked */
};

/* of a word, for a record that is helped; written by the lane alone */
struct sm_claim {
	sm_u64 number; /* 00 of its claim; 0: none yet */
	sm_u64 where;  /* 08 pool offset of the word */
	sm_u64 mark;   /* 10 that is to be put there */
	sm_u64 before; /* 18 the value that it had, and still has */
};

struct sm_lane {
	sm_u64 status;    /* 000 */
	sm_u64 owner;     /* 008 [63:32] generation, [31:0] host */
	sm_u64 todo;      /* 010 handle of an inode to finish (prune, free), 0 none */
	sm_u64 n_words;   /* 018 */
	sm_u64 n_allocs;  /* 020 */
	sm_u64 n_retires; /* 028 */
	sm_u64 used[2];   /* 030 its share of what is in use; see sync/account.h
			  *     [63] of seq [62:0] pages;  [63] of seq [62:32] inodes [31:0] dirents */
	sm_u64 low;       /* 040 announced interval of epochs, 0: none */
	sm_u64 high;      /* 048 */
	sm_u64 delta;     /* 050 of the record, to used: the sum of dirents << 32, inodes << 16, pages, each signed */
	sm_u64 leases[2]; /* 058 inodes that nobody else may hold a lease of: two each, 0 none */
	uint64_t reserved1[3];                    /* 068 */
	sm_u64 words[3 * DAXFS_RECORD_WORDS];     /* 080 struct sm_record_word[] */
	sm_u64 allocs[DAXFS_RECORD_ALLOCS];       /* 980 [39:32] type, [31:0] index */
	sm_u64 retires[2 * DAXFS_RECORD_RETIRES]; /* c80 struct sm_record_retire[] */
	struct sm_claim claim;                    /* 1280 */
	uint64_t reserved2[44];                   /* 12a0 */
};

DAXFS_SIZE_IS(struct sm_record_word, 24);
DAXFS_SIZE_IS(struct sm_record_retire, 16);
DAXFS_SIZE_IS(struct sm_lane, 0x1400);
DAXFS_AT(struct sm_lane, used, 0x30);
DAXFS_AT(struct sm_lane, leases, 0x58);
DAXFS_AT(struct sm_lane, low, 0x40);
DAXFS_AT(struct sm_lane, delta, 0x50);
DAXFS_AT(struct sm_lane, words, 0x80);
DAXFS_AT(struct sm_lane, allocs, 0x980);
DAXFS_AT(struct sm_lane, retires, 0xc80);
static_assert(DAXFS_RECORD_WORDS <= DAXFS_WIDX_CLAIM, "a mark names any word of a record, and no claim");

#endif
