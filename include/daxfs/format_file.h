/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format_file.h - inodes, directories, locks, extended attributes. Part of format.h.
 */
#ifndef DAXFS_FORMAT_FILE_H
#define DAXFS_FORMAT_FILE_H

#include "daxfs/format_word.h"

/*
 * Inode. Handle = (generation << 32 | index); index 1 is the root, whose
 * handle is 1. All words may be marked. Times are plain words outside the
 * all-or-nothing promise; a change moves them forward only. Bit 63 clear: nanoseconds
 * since 1970, to 2262. Bit 63 set: any other time, [62:0] steps of 100 ns since 1970, signed.
 * The two lowest bits of a ctime are no time.
 */
#define DAXFS_TIME_FAR (1ull << 63)
#define DAXFS_TIME_STEP_NS 100
/* In a ctime, and not part of it (fs/times.c). */
#define DAXFS_CTIME_LOOKED 1ull /* somebody was told these times: the next change moves them */
#define DAXFS_CTIME_BEHIND 2ull /* ... and the mtime has not been moved since: the next change of what is in it does */
#define DAXFS_DIRECT 8u
#define DAXFS_INDIRECT 4u
#define DAXFS_NODE_SLOTS 512u
#define DAXFS_ROOT_INO 1u

struct sm_inode {
	sm_u64 size;                 /* 00 SIZE */
	sm_u64 trunc;                /* 08 TICK: bumped by every truncation; of a directory, by each name given back */
	sm_u64 nlink;                /* 10 NLINK */
	sm_u64 openers[2];           /* 18 OPENERS */
	sm_u64 mode;                 /* 28 ATTR: type and permissions */
	sm_u64 uid;                  /* 30 ATTR */
	sm_u64 gid;                  /* 38 ATTR */
	sm_u64 parent;               /* 40 LINK: of a directory, and of what is of storage */
	sm_u64 dir_root;             /* 48 LINK: of a directory a NODE; of a file of storage STORED, or nothing: all */
	sm_u64 direct[DAXFS_DIRECT]; /* 50 LINK: pages 0..7 */
	sm_u64 indirect[DAXFS_INDIRECT]; /* 90 LINK: nodes of height 1..4; see index/filemap.h */
	sm_u64 atime;                    /* b0 */
	sm_u64 mtime;                    /* b8 */
	sm_u64 ctime;                    /* c0 [1] BEHIND, [0] LOOKED */
	sm_u64 btime;                    /* c8 of a file of storage: its stamp (cache.h), 0: none, ~0: removed */
	sm_u64 i_generation;             /* d0 32 bits: changes with each reuse of the index */
	sm_u64 rdev;                     /* d8 a device: 32 bits; a file in storage: [63:56] backing + 1, [55:0] file */
	sm_u64 locks;                    /* e0 LINK: a page of LOCKS, nothing: no locks */
	sm_u64 xattrs;                   /* e8 LINK: a page of attributes, nothing: none */
	sm_u64 leases;                   /* f0 a bit a host whose kernel may know of it; never marked */
	sm_u64 writers;                  /* f8 a bit a host that may write it at any time; never marked */
};

/* Directory entry: constant from its publication to its reuse. */
struct sm_dirent {
	uint64_t hash;        /* 00 54 bits: nine for each of six levels, high first */
	uint64_t handle;      /* 08 of the inode */
	uint8_t type;         /* 10 DT_* */
	uint8_t len;          /* 11 of name, 1..255 */
	uint8_t twin;         /* 12 tells names of one hash apart, 0..7 */
	uint8_t pad[5];       /* 13 */
	char name[256];       /* 18 NUL-terminated */
	uint64_t reserved[5]; /* 118 */
};

/* a page of words: file index node (LINK), directory node or leaf (NAME) */
struct sm_node {
	sm_u64 slot[DAXFS_NODE_SLOTS];
};

/*
 * Locks of an inode. A page is constant from its publication on but for `live`,
 * whose bits go, never come, by records that also change the inode's locks word.
 * A lock is in force while its bit is set; its host then has its openers bit set.
 */
#define DAXFS_LOCKS_MAX 126u
#define DAXFS_KEEP_OWNER                                                                                               \
	0ull /* of a directory: of byte INT64_MAX, pid as FILLING says: open for its locks alone (keep.c) */
#define DAXFS_LOCK_WORDS 4u

struct sm_lock {
	uint64_t start; /* 00 first byte */
	uint64_t end;   /* 08 last byte */
	uint64_t owner; /* 10 as its host names it */
	uint32_t pid;   /* 18 of that host */
	uint8_t host;   /* 1c */
	uint8_t type;   /* 1d enum daxfs_lock_type, not DAXFS_UNLOCK */
	uint8_t kind;   /* 1e enum daxfs_lock_kind */
	uint8_t pad;    /* 1f */
};

/* a page */
struct sm_locks {
	sm_u64 live[DAXFS_LOCK_WORDS];        /* 00 LOCKS: bit i % 32 of word i / 32: lock i */
	uint64_t inode;                       /* 20 handle */
	uint32_t count;                       /* 28 of locks, 1..DAXFS_LOCKS_MAX */
	uint32_t crc;                         /* 2c crc32c of inode .. lock[count - 1] with crc = 0 */
	uint64_t reserved[2];                 /* 30 */
	struct sm_lock lock[DAXFS_LOCKS_MAX]; /* 40 by kind, start, host, owner */
};

/*
 * Extended attributes of an inode: a page, constant from its publication on. The list is
 * entries without gaps: two lengths of 16 bits, of the name and of the value, then both.
 */
#define DAXFS_XATTR_NAME_MAX 255u
#define DAXFS_XATTR_LIST (DAXFS_PAGE_SIZE - 0x20)

struct sm_xattrs {                      /* a page */
	uint64_t inode;                 /* 00 handle */
	uint32_t used;                  /* 08 bytes of the list, 1..DAXFS_XATTR_LIST */
	uint32_t crc;                   /* 0c crc32c up to list[used] with crc = 0 */
	uint64_t reserved[2];           /* 10 */
	uint8_t list[DAXFS_XATTR_LIST]; /* 20 */
};

/*
 * Directory: a trie of six levels of nine bits, whose lowest nodes are leaves. A slot of a
 * node names an entry, the next level's node, or a leaf; a leaf is shared by a run of
 * 2^hint slots, aligned to that. A leaf is 64 buckets of 8 slots, which name entries: the
 * bucket is given by the six bits of the hash that follow those which the run stands for.
 * The hint of a slot that names an entry is the lowest six bits of its hash; see
 * index/dirtrie.h.
 */
#define DAXFS_HASH_BITS 54u
#define DAXFS_HASH_LEVELS 6u
#define DAXFS_HINT_SHIFT 37u
#define DAXFS_HINT_BITS 6u
#define DAXFS_RUN_MAX 6u /* log2 of the slots that share a leaf */
#define DAXFS_BUCKET_BITS 6u
#define DAXFS_BUCKET_SLOTS 8u

DAXFS_SIZE_IS(struct sm_inode, 256);
DAXFS_AT(struct sm_inode, parent, 0x40);
DAXFS_AT(struct sm_inode, direct, 0x50);
DAXFS_AT(struct sm_inode, indirect, 0x90);
DAXFS_AT(struct sm_inode, atime, 0xb0);
DAXFS_AT(struct sm_inode, i_generation, 0xd0);
DAXFS_AT(struct sm_inode, locks, 0xe0);
DAXFS_AT(struct sm_inode, xattrs, 0xe8);
DAXFS_AT(struct sm_inode, leases, 0xf0);
DAXFS_SIZE_IS(struct sm_dirent, 320);
DAXFS_AT(struct sm_dirent, name, 0x18);
DAXFS_SIZE_IS(struct sm_node, DAXFS_PAGE_SIZE);
DAXFS_SIZE_IS(struct sm_lock, 32);
DAXFS_SIZE_IS(struct sm_xattrs, DAXFS_PAGE_SIZE);
DAXFS_AT(struct sm_xattrs, list, 0x20);
DAXFS_SIZE_IS(struct sm_locks, DAXFS_PAGE_SIZE);
DAXFS_AT(struct sm_locks, inode, 0x20);
DAXFS_AT(struct sm_locks, lock, 0x40);
static_assert(DAXFS_LOCKS_MAX <= 32 * DAXFS_LOCK_WORDS, "a bit for each lock");

#endif
