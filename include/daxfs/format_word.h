/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format_word.h - shared words, marks, and states of objects; part of format.h, which says what they mean.
 */
#ifndef DAXFS_FORMAT_WORD_H
#define DAXFS_FORMAT_WORD_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* A shared 64-bit word. Only mem/shm.h may look inside. */
typedef struct {
	uint64_t sm_v;
} sm_u64;

/* A shared byte: a hint, changed by plain stores. The same holds. */
typedef struct {
	uint8_t sm_b;
} sm_u8;

#define DAXFS_MAGIC 0x3153465841445043ull /* "CPDAXFS1" */
#define DAXFS_REGION_MAGIC 0x4e47455258414400ull
#define DAXFS_VERSION 4u
#define DAXFS_PAGE_SIZE 4096u
#define DAXFS_PAGE_SHIFT 12u
#define DAXFS_LINE 64u

/* Limits that follow from word layouts. */
#define DAXFS_HOSTS_MAX 64u   /* two openers words of 32 bits */
#define DAXFS_LANES_MAX 1024u /* a mark has room for 4096 */
#define DAXFS_NAME_MAX 255u
#define DAXFS_SYMLINK_MAX 4095u
#define DAXFS_FILE_MAX (1ull << 42) /* bytes: 4 TiB */
#define DAXFS_NLINK_MAX 0x7fffffffu
#define DAXFS_OBJECTS_MAX (1ull << 32)

/* Marks. */
#define DAXFS_MARK (1ull << 63)
#define DAXFS_LANE_BITS 12u
#define DAXFS_WIDX_BITS 7u
#define DAXFS_SEQ_BITS 43u
#define DAXFS_MARK_HELPED (1ull << DAXFS_SEQ_BITS)
#define DAXFS_WIDX_CLAIM 127u
#define DAXFS_SEQ_MASK ((1ull << DAXFS_SEQ_BITS) - 1)

/* Classes of words, and how many bits S of each are payload: payload is [S-1:0], version [62:S]. */
enum daxfs_word_class {
	DAXFS_W_NONE = 0,
	DAXFS_W_LINK,    /* [36:32] kind, [31:0] object index */
	DAXFS_W_SIZE,    /* [43] PRUNE, [42:0] bytes */
	DAXFS_W_NLINK,   /* [33:32] life, [31:0] link count */
	DAXFS_W_OPENERS, /* one bit a host */
	DAXFS_W_COUNT,   /* [16] FROZEN, [15:0] used slots of a node */
	DAXFS_W_ATTR,    /* mode, uid, gid: 32 bits each */
	DAXFS_W_LOCKS,   /* one bit a lock of a page of locks */
	DAXFS_W_TICK,    /* no payload: a pure version (trunc, tree) */
	DAXFS_W_NAME,    /* [42:37] hint, [36:0] as LINK: a slot of a directory */
	DAXFS_WORD_CLASSES
};
#define DAXFS_LINK_BITS 37u
#define DAXFS_SIZE_BITS 44u
#define DAXFS_NLINK_BITS 34u
#define DAXFS_OPENERS_BITS 32u
#define DAXFS_COUNT_BITS 17u
#define DAXFS_ATTR_BITS 32u
#define DAXFS_LOCKS_BITS 32u
#define DAXFS_TICK_BITS 0u
#define DAXFS_NAME_BITS 43u

enum daxfs_link_kind {
	DAXFS_ABSENT = 0,
	DAXFS_DATA = 1,   /* index of a data page */
	DAXFS_NODE = 2,   /* index of a page of 512 link words */
	DAXFS_DIRENT = 3, /* index of a directory entry */
	DAXFS_INODE = 4,  /* index of an inode (parent word) */
	DAXFS_LOCKS = 5,  /* index of a page of locks */
	DAXFS_EXTENT = 6, /* index of the first page of an extent */
	DAXFS_LEAF = 7,   /* index of a page of 64 buckets of names */
	DAXFS_XATTR = 8,  /* index of a page of extended attributes */
	/* of a file of backing storage, where nothing is said storage has it: fs/cache.h */
	DAXFS_CLEAN = 9,    /* index of a page that is as storage has it */
	DAXFS_FILLING = 10, /* [31:24] succession, [23:6] generation (their lower bits), [5:0] host that reads it */
	DAXFS_VOID = 11,    /* zeros in storage: no page */
	DAXFS_STORED = 12,  /* [31:30] enum daxfs_stored, [29:0] pages that storage has bytes of: its dir_root */
};

/* How a file that was written differs from what storage has. */
enum daxfs_stored {
	DAXFS_STORED_SAME = 0,    /* it does not */
	DAXFS_STORED_DIRTY = 1,   /* there are pages of DATA, or it has another size */
	DAXFS_STORED_SYNCING = 2, /* it did when it was begun to be written back, and was not written since */
	DAXFS_STORED_CUT = 3,     /* DIRTY, and cut off since */
};
#define DAXFS_STORED_PAGES ((1u << 30) - 1) /* the most that the word can say */

#define DAXFS_SIZE_PRUNE (1ull << 43) /* pages past the end may still be there */
#define DAXFS_SIZE_MASK (DAXFS_SIZE_PRUNE - 1)
#define DAXFS_COUNT_FROZEN (1ull << 16) /* node removed: nothing may be added */

/* of an inode, in its nlink word */
enum daxfs_life {
	DAXFS_LIFE_NONE = 0,   /* not in use, or not yet linked */
	DAXFS_LIFE_ALIVE = 1,  /* has a name */
	DAXFS_LIFE_ORPHAN = 2, /* no name; freed when no host has it open */
	DAXFS_LIFE_DEAD = 3,   /* being taken apart */
};

/*
 * Object states, one word per page, inode and directory entry, apart from the
 * object:  [63:61] state  [60:56] use  [54:0] txid {lane12, seq43} of the
 * operation that allocated it; in RETIRED [55:0] is the epoch of retirement.
 *
 * An extent is DAXFS_EXTENT_PAGES pages, the first of them (its head) a multiple of
 * that, which are one object: the state of its head is that of all, and keeps the
 * use EXTENT when it is RETIRED. The others have the use TAIL, which says nothing by
 * itself: such a page is free unless its head has the use EXTENT. One that is kept when
 * the extent is broken up has the use KEPT, and is as one of DATA. See space/extent.c.
 *
 * LIVE with the use BAD: in quarantine. Nothing names it and it is never handed out,
 * for memory of it, or of its entries in the tables, failed (struct sm_trouble).
 */
#define DAXFS_EXTENT_PAGES 16u
enum daxfs_state {
	DAXFS_FREE = 0,
	DAXFS_PRIVATE = 1, /* of the operation in the txid, unless it committed */
	DAXFS_LIVE = 2,
	DAXFS_RETIRED = 3,
};

enum daxfs_use {
	DAXFS_USE_NONE = 0,
	DAXFS_USE_DATA,
	DAXFS_USE_NODE,
	DAXFS_USE_INODE,
	DAXFS_USE_DIRENT,
	DAXFS_USE_LOCKS,
	DAXFS_USE_EXTENT,
	DAXFS_USE_TAIL,
	DAXFS_USE_KEPT,
	DAXFS_USE_BAD,
	DAXFS_USE_XATTR,
	DAXFS_USE_CACHED /* of a file of storage; if CLEAN, its COUNT is where the link is, in 8 bytes: a hint */
};

/* Object types: which table an index is in. */
enum daxfs_type { DAXFS_T_PAGE = 0, DAXFS_T_INODE = 1, DAXFS_T_DIRENT = 2, DAXFS_TYPES = 3 };

#define DAXFS_SIZE_IS(type, n) static_assert(sizeof(type) == (n), #type " size")
#define DAXFS_AT(type, field, n) static_assert(offsetof(type, field) == (n), #type "." #field)

DAXFS_SIZE_IS(sm_u64, 8);
DAXFS_SIZE_IS(sm_u8, 1);
static_assert(1 + DAXFS_LANE_BITS + DAXFS_WIDX_BITS + 1 + DAXFS_SEQ_BITS == 64, "a mark fills a word");
static_assert(DAXFS_LANES_MAX <= 1u << DAXFS_LANE_BITS, "a mark names any lane");

#endif
