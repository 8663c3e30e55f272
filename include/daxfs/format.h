/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.h - every byte that hosts share.
 *
 * A pool is one region of memory that several hosts map. It holds offsets and
 * indexes, never pointers, is little-endian, and is laid out as
 *
 *   0        4K       8K
 *   | super0 | super1 | member | lanes | opens | state/birth/count tables |
 *   | inodes | dirents | trouble | leases | pages | summary | events | heat | asks |
 *
 * Each region after the superblocks starts on a 4 KiB boundary with one 4 KiB
 * header page (struct sm_region_hdr); its array follows the header page. Region
 * offsets, element sizes and counts are in the superblock's region table.
 *
 * Words. A mutable shared word is an sm_u64, touched only through mem/shm.h.
 * Bit 63 clear: a value. Its low S bits are the payload and bits [62:S] are a
 * version, bumped by every change of the word; S is fixed by the word's class
 * (enum daxfs_word_class). Bit 63 set: the mark of an operation in flight,
 *
 *   63 62      51 50    44  43  42       0
 *   |1|  lane12  | widx7  |helped| seq43 |
 *
 * that is word number widx of the commit record of that lane, if that lane's
 * status word still carries seq; {lane, seq} names one operation (see Counters).
 * HELPED: put there after others took the record over (sync/record.c). With widx
 * DAXFS_WIDX_CLAIM it is no mark yet but the claim number seq of that lane, which
 * is about to put one there: struct sm_claim of the lane says which.
 *
 * Counters. Each comes round; how long it lasts at 10 million changes a second, and what then:
 *
 *   version of SIZE, LINK    0.05 s, 7 s   A CAS that sleeps that long and finds its word the same
 *     NLINK                  54 s          puts a mark that is taken for one only if its record is
 *     OPENERS, ATTR, LOCKS   3.6 min       still to be decided: sync/claim.c needs no versions.
 *                                          A record that was staged before demands the same payloads: what
 *                                          they name is protected, and it has all words that it relies on.
 *                                          But a payload that names nothing can come back: a hole that was
 *                                          filled and cut off, or is now part of an extent, is told from
 *                                          that which a write has seen by the version of its LINK alone. A
 *                                          word changes a million times a second at best: a minute, and a
 *                                          host with a thread so long in one operation was fenced long ago.
 *                                          A reader that looks twice and sleeps in between for exactly
 *                                          such a time may take it for no change.
 *     NAME                   0.1 s         A slot of a directory that names nothing is relied on with the count of
 *                                          its node or leaf, which changes with each name that comes or goes:
 *     COUNT                  81 days       Of the slots of a leaf that is split only the count is in the
 *                                          record: two names that change places are seen by its version.
 *   version of TICK          29,000 years
 *   seq of a lane, number    10 days       The lane rests until nobody is inside who was there before, and
 *     of its claims                        starts again: sync/rest.c. The others go on.
 *   reclamation epoch, of 56 bits in RETIRED   228 years
 *   i_generation of an inode  7 min         of one index, which is then not used again: its space stays
 *                                          unused, one inode for 4 billion files.
 *   generation of a host, 24 bits          Each takes a join and a leave, or a death. Then 0 again: only
 *     the recoverer's generation, 12 bits                  equality is asked for, and of a tenant that lasts that long
 *                                          meanwhile. One of the same recoverer_generation goes on with a recovery.
 *   epoch of the manager, 32 bits          Each takes a manager that was given up. Then 1 again.
 *     16 of them in a host word            A manager that slept for 65,536 others may make the move that it
 *                                          had decided on, if the host is again as it saw it: to SUSPECT or
 *                                          FENCING at worst. FENCED it makes nobody: FENCING is not left otherwise.
 *   number of an ask, 32 bits  7 min       of one place. An errno of so long ago may be taken for that of this ask;
 *                                          bytes come from the word of the page alone.
 *   looks of a lane, 43 bits  10 days      One at a time: a lane meets none of its former numbers.
 *   ticket in the lobby, 12 bits           Each takes a join. A host that sleeps for 4,096 joins at its place, while it
 *                                          joins, takes that place for its own still.
 *   changes of heartbeat, of features, 32 bits   Each takes an operator. A host that slept for all sees no change.
 *   ticks of heat, 5 bits                  A page that was not used for 32 ticks may look young: a hint.
 *   term of a lease, 62 bits, number of an event, 64 bits   14,000 years
 *   random part of a host's i_generation, 40 bits, with the generation: two alike once in 2^39.
 *
 * Changelog: format 1 - first. Its inodes got their word of locks out of reserved
 * bytes (zero: no locks), so pools made before are what they would be now.
 * Format 2 - extents: 16 pages of a file under one word and one state. An indirect
 * word covers a file from page 0 on, so that they line up with it; records of 96 words.
 * Format 3 - the use KEPT: an extent is broken up without copying all of it.
 * Format 4 - headroom: 32 kinds of links, 4096 lanes in a mark, a region table of 32
 * entries with a count; a record says the class of each word, not only its shift;
 * records that are helped, and claims; in what was reserved, the toll of a host and the
 * repair word of the pool. Names lie together in leaves of a directory, with twins in the
 * entries. Among the locks of a file are mappings (DAXFS_LOCK_MAP). The trouble region (memory
 * that failed, files to repair) and the use BAD. Times before 1970 and after 2262 have a form of
 * their own. Extended attributes: a word of the inode, a kind of link, a use.
 * Again in what was reserved (zero: not known): machine, boot and process of a host, and the lobby.
 * What is in use is counted in the lanes; the summary region says where nothing is free.
 * Leases: lease_ms of the superblock, two words of an inode, one of a lane, and a region.
 * An IDLE status says whether the last record happened.
 * Events: a region of its own. A pool without it (n_regions 16) is as good: DAXFS_COMPAT_EVENTS.
 * The feature CACHE: files of backing storage, with their links and pages; what a host counts of them. Of such a file
 * the word of a directory's root says how much of it storage has (DAXFS_STORED), once it was written.
 * In what was reserved (zero: as mkfs said): the heartbeat, changed since. Every program must know of it.
 * In what was reserved (zero: not away): how long a host said that it would be silent.
 * In what was reserved (zero: never tested): what a test of coherence found, and in header pages what it works on.
 * Heat: a region of its own, a byte a page. A pool without it is as good: DAXFS_COMPAT_HEAT. In what was
 * reserved of the superblock: cache_policy, cache_min, cache_max (zero: the default, none, no limit).
 * In what was reserved (zero: nothing): features that were switched on since mkfs, and those that a host knows. Every
 * program must look at the first.
 * Asks: a region of its own, the last, of hosts that ask others to read storage, and more that hosts count. A pool
 * without it is as good: DAXFS_COMPAT_ASKS.
 * In what was reserved (zero: none): how many processes went on with a host; a claim of a page says which of them made
 * it, in upper bits of the generation, which are zero of hosts that are young. Older programs take such a claim for one
 * of the dead, at worst while the page is read: two then read it.
 * The two lowest bits of a ctime say whether somebody has looked at it. Programs that do not know them show up to 3 ns
 * more, and changes of theirs within some milliseconds of the last have its times, as they always had.
 */
#ifndef DAXFS_FORMAT_H
#define DAXFS_FORMAT_H

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

/*
 * Summary of free objects: a word over each DAXFS_GROUP states of a type, one over each
 * DAXFS_GROUP of those, up to a single one; the words of type 0, lowest level first, then of
 * type 1, 2; then a word that is not 0 while few pages are free. Hints: [63:62] kind; in
 * WAITING [55:0] is an epoch, in LOOKING [54:0] a tag: of a lane, and how often it looked. See sync/summary.h.
 */
#define DAXFS_GROUP 512u
#define DAXFS_GROUP_BITS 62u
enum daxfs_group_kind {
	DAXFS_GROUP_OPEN = 0,
	DAXFS_GROUP_LOOKING = 1,
	DAXFS_GROUP_NOTHING = 2,
	DAXFS_GROUP_WAITING = 3,
};

/* Object types: which table an index is in. */
enum daxfs_type { DAXFS_T_PAGE = 0, DAXFS_T_INODE = 1, DAXFS_T_DIRENT = 2, DAXFS_TYPES = 3 };

enum daxfs_region_id {
	DAXFS_R_MEMBER = 0,
	DAXFS_R_LANES,
	DAXFS_R_OPEN_TABLE,
	DAXFS_R_STATE0, /* + type */
	DAXFS_R_STATE1,
	DAXFS_R_STATE2,
	DAXFS_R_BIRTH0, /* + type */
	DAXFS_R_BIRTH1,
	DAXFS_R_BIRTH2,
	DAXFS_R_COUNT, /* used slots, one word per page, for directory nodes; of a page of use CACHED see there */
	DAXFS_R_INODES,
	DAXFS_R_DIRENTS,
	DAXFS_R_TROUBLE,
	DAXFS_R_LEASES, /* one struct sm_holder a host */
	DAXFS_R_PAGES,
	DAXFS_R_SUMMARY, /* of what is free */
	DAXFS_R_EVENTS,  /* what happened, as a ring; where DAXFS_COMPAT_EVENTS says so */
	DAXFS_R_HEAT,    /* of cached pages, a byte a page; where DAXFS_COMPAT_HEAT says so */
	DAXFS_R_ASKS,    /* of storage that others have, one struct sm_asks a host; where DAXFS_COMPAT_ASKS says so */
	DAXFS_REGIONS
};
#define DAXFS_REGIONS_LEAST 16u /* that every pool of this format has */
#define DAXFS_REGIONS_MAX 32u   /* entries of the region table; those from n_regions on are zero */

/* Bits of the feature word compat. */
#define DAXFS_COMPAT_EVENTS 1ull /* the region of events is there */
#define DAXFS_COMPAT_HEAT 2ull   /* the region of heat is there */
#define DAXFS_COMPAT_ASKS 4ull   /* the region of asks is there */

#define DAXFS_INCOMPAT_CACHE 1ull /* may have files of backing storage */

/*
 * Features in one word, as those that were switched on since mkfs and those that a host knows: [31:16] lower bits of
 * compat  [15:0] lower bits of incompat. What is in use is that or the superblock's. See sync/features.c.
 */
#define DAXFS_COMPAT_SHIFT 16u
#define DAXFS_FEATURES_MASK 0xffffffffull
#define DAXFS_CACHE_FIGURES 7u /* that a host counts of them, since the pool was made; hints */

enum daxfs_domain { DAXFS_DOMAIN_GPF = 0, DAXFS_DOMAIN_WB = 1 };

struct sm_region {          /* an entry of the region table */
	uint64_t offset;    /* 00 of the header page, 4 KiB aligned */
	uint64_t elem_size; /* 08 bytes */
	uint64_t count;     /* 10 elements */
};

struct sm_region_hdr {        /* first line of a region's header page */
	uint64_t magic;       /* 00 DAXFS_REGION_MAGIC + region id */
	uint32_t version;     /* 08 */
	uint32_t crc;         /* 0c crc32c of this header with crc = 0 */
	uint64_t elem_size;   /* 10 */
	uint64_t count;       /* 18 */
	uint8_t uuid[16];     /* 20 of the pool */
	uint64_t reserved[2]; /* 30 */
};
/* In the header page of the lanes, a line of its own: a word that means nothing, for tests of compare-and-swap. */
#define DAXFS_SCRATCH_OFFSET (DAXFS_PAGE_SIZE - DAXFS_LINE)

/*
 * What the test of coherence works on, in header pages behind the header. Of the lanes: a word that one host changes
 * and all look at, and lines that are changed with it, up to the scratch word. Of the open table: a line for each host
 * that takes part, written by it alone.
 */
#define DAXFS_TEST_WORD_AT 0x40u
#define DAXFS_TEST_LINES_AT 0x80u
#define DAXFS_TESTERS_AT 0x40u
#define DAXFS_TESTERS 63u

struct sm_tester {
	sm_u64 run;       /* 00 number of the test, random: host 0 chooses it, the others repeat it; 0: none */
	sm_u64 nonce;     /* 08 random: of this process */
	sm_u64 phase;     /* 10 how far it is */
	sm_u64 machine;   /* 18 of its machine's id; 0: not known */
	sm_u64 figure[4]; /* 20 */
};

/*
 * Superblock: written by mkfs, constant afterwards. Two copies; a pool is
 * usable if one is valid. Valid: 1 magic, 2 crc32c, 3 version, 4 no unknown
 * incompat bit, 5 size <= region, 6 every table entry inside size, aligned and
 * of the expected element size, none missing (of the compat bits, too), 7 hosts, lanes and counts within the limits.
 */
struct sm_super {
	uint64_t magic;                             /* 000 */
	uint32_t version;                           /* 008 */
	uint32_t crc;                               /* 00c crc32c of this struct with crc = 0 */
	uint64_t compat;                            /* 010 unknown bits: use anyway */
	uint64_t ro_compat;                         /* 018 unknown bits: read only */
	uint64_t incompat;                          /* 020 unknown bits: refuse; DAXFS_INCOMPAT_CACHE */
	uint8_t uuid[16];                           /* 028 */
	char name[32];                              /* 038 NUL-terminated */
	uint64_t size;                              /* 058 bytes of the whole pool */
	uint32_t domain;                            /* 060 enum daxfs_domain */
	uint32_t hosts;                             /* 064 host slots */
	uint32_t lanes_per_host;                    /* 068 */
	uint32_t opens_per_host;                    /* 06c */
	uint32_t heartbeat_ms;                      /* 070 the one timing knob */
	uint32_t n_regions;                         /* 074 */
	uint64_t hash_key[2];                       /* 078 SipHash key of names */
	uint64_t created_ns;                        /* 088 CLOCK_REALTIME */
	uint32_t lease_ms;                          /* 090 how long a silent host's kernel may believe; 0: no leases */
	uint32_t cache_policy;                      /* 094 enum daxfs_cache_policy; one that is not known: 0 */
	uint32_t cache_min;                         /* 098 cached pages that files of the pool leave alone */
	uint32_t cache_max;                         /* 09c cached pages that there are at most; 0: no limit */
	struct sm_region region[DAXFS_REGIONS_MAX]; /* 0a0 */
};

/*
 * Membership. The manager line is the consensus object of the fabricds; a host
 * line pair per host.
 *
 * Host word:  [63:40] generation  [39:36] state  [35:28] recoverer host + 1
 *             [27:16] the recoverer's generation: generation of the recoverer, lower 12 bits
 *             [15:0] epoch of the manager that last moved it, lower 16 bits
 *             In JOINING, and in FENCING behind it: [35:28] place in the lobby + 1  [27:16] ticket of that place
 * Toll word:  [63:40] generation it is about: of another one it is 0  [39:36] recoverers that
 *             died  [35:28] the last one that was counted + 1  [27:16] the recoverer's generation  [15:0] 0
 * Manager word: [63:32] manager epoch, [31:0] pid of the primary
 */
struct sm_manager {
	sm_u64 word;               /* 00 CAS only */
	sm_u64 beat;               /* 08 written by the primary */
	sm_u64 epoch;              /* 10 reclamation epoch E; CAS only; see sync/epoch.c */
	sm_u64 tree;               /* 18 TICK word: bumped by each directory move between parents */
	sm_u64 repair;             /* 20 not 0: being repaired, nobody joins; see inspect/repair_run.c */
	sm_u64 machine[2];         /* 28 of the primary; zero: not known */
	sm_u64 standby;            /* 38 counter of the backups that are on other machines */
	sm_u64 standby_machine[2]; /* 40 of the last one that counted */
	sm_u64 proof[3];           /* 50 is the memory coherent: the last test of that; see inspect/coherence.c
				    *    CLOCK_REALTIME;  [63:24] rounds [23:16] machines [15:8] hosts [0] it is;
				    *    [63:32] increments lost [31:16] copies stale [15:0] words stale */
	sm_u64 proof_check;        /* 68 SipHash of proof; zero: never tested */
	sm_u64 timing;             /* 70 heartbeats since mkfs: [63:32] changes [31:16] judged by, ms [15:0] beat, ms */
	sm_u64 features;           /* 78 switched on since mkfs: [63:32] changes [31:0] DAXFS_FEATURES_MASK; CAS only */
};

struct sm_host {
	/* line 0: CAS by the manager, the host itself, its recoverer */
	sm_u64 word;        /* 00 */
	sm_u64 reason;      /* 08 enum daxfs_reason, [63:32] milliseconds */
	sm_u64 fence_ms;    /* 10 how long fencing took */
	sm_u64 toll;        /* 18 recoverers that died of it; CAS by the manager */
	sm_u64 away;        /* 20 [63:40] generation, [39:0] ms: by the host itself, before another process goes on */
	sm_u64 knows;       /* 28 [63:40] generation, [31:0] features that its program knows: by the host itself */
	sm_u64 successions; /* 30 [63:40] generation, [39:0] processes that went on with it: by the host itself */
	uint64_t reserved0; /* 38 */
	/* line 1: written by the host alone */
	sm_u64 beat;    /* 40 heartbeat counter */
	sm_u64 process; /* 48 [63:32] when it began, in clock ticks after boot, [31:0] pid; 0: not known */
	sm_u64 lanes;   /* 50 in use */
	sm_u64 records; /* 58 in flight */
	sm_u64 owned;   /* 60 pages PRIVATE */
	sm_u64 pins;    /* 68 open files */
	sm_u64 tenancy; /* 70 [63:40] generation, [39:0] random: this tenant; after the name */
	sm_u64 pids;    /* 78 pid namespace of the process, 0: not known */
	/* line 2: name and identity, written while JOINING */
	sm_u64 name[4];    /* 80 32 bytes, NUL-terminated */
	sm_u64 machine[2]; /* a0 zero: not known */
	sm_u64 boot[2];    /* b0 */
	/* line 3: last recovery of this slot, written by its recoverer */
	sm_u64 rec_ns;         /* c0 duration */
	sm_u64 rec_done;       /* c8 records finished */
	sm_u64 rec_undone;     /* d0 records rolled back */
	sm_u64 rec_objects;    /* d8 pages, inodes, entries finalized */
	sm_u64 rec_opens;      /* e0 open files released */
	sm_u64 rec_files;      /* e8 half-done truncations and unlinks finished */
	uint64_t reserved3[2]; /* f0 */
};

/*
 * The lobby, in the header page of the membership: who is about to join writes there who it is, and
 * names its place in the host word, so that a host that dies before it has written its name into its
 * slot is known. See sync/lobby.c.
 *
 * Word of a place: [12:1] ticket: one more with each who takes the place  [0] taken
 */
struct sm_lobby {
	sm_u64 word;          /* 00 */
	sm_u64 process;       /* 08 as in struct sm_host */
	sm_u64 pids;          /* 10 */
	sm_u64 check;         /* 18 SipHash of what follows, process and pids, keyed with the ticket */
	uint64_t reserved[4]; /* 20 */
	sm_u64 name[4];       /* 40 */
	sm_u64 machine[2];    /* 60 */
	sm_u64 boot[2];       /* 70 */
};
#define DAXFS_LOBBY_OFFSET 0x80u /* in the header page */
#define DAXFS_LOBBY_PLACES 31u

struct sm_member {
	struct sm_manager manager;            /* 0 */
	struct sm_host host[DAXFS_HOSTS_MAX]; /* 80 */
};

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
	sm_u64 trunc;                /* 08 TICK: bumped by every truncation */
	sm_u64 nlink;                /* 10 NLINK */
	sm_u64 openers[2];           /* 18 OPENERS */
	sm_u64 mode;                 /* 28 ATTR: type and permissions */
	sm_u64 uid;                  /* 30 ATTR */
	sm_u64 gid;                  /* 38 ATTR */
	sm_u64 parent;               /* 40 LINK: directories only */
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

/*
 * Leases: what a host's kernel may believe, see sync/lease.h.
 * Term: [63:2] number, [1:0] enum daxfs_term. Requests are hints: one that is lost is asked again.
 */
enum daxfs_term {
	DAXFS_TERM_VOID = 0,     /* what the host was granted counts for nothing */
	DAXFS_TERM_GRANTING = 1, /* it counts */
	DAXFS_TERM_ACCUSED = 2,  /* it counts, and there is no more of it under this number */
};

struct sm_holder {
	sm_u64 term;                       /* 00 */
	sm_u64 cache[DAXFS_CACHE_FIGURES]; /* 08 hits, misses, pages read, filled, waits, taken over, dropped */
	sm_u64 request[24];                /* 40 index of an inode whose lease is to be given back; 0: none */
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
 * Trouble: what memory lost, and what of it is left to repair. Two tables of words, each
 * entry put in and changed by CAS, found by probing from a place that follows from it
 * (mem/trouble.c) up to the first 0. A page is listed before anybody goes past what it
 * held; what lies in a page that is listed is lost, whatever can be read there later.
 */
#define DAXFS_BAD_MAX 1024u
#define DAXFS_REPAIR_MAX 1024u
#define DAXFS_REPAIR_NONE (1ull << 32) /* a file that has been repaired: no handle has the index 0 */

enum daxfs_bad { DAXFS_BAD_LISTED = 1, DAXFS_BAD_REPAIRED = 2 };

struct sm_trouble {
	sm_u64 changes;                /* 00 goes up after each change of a table */
	sm_u64 missed;                 /* 08 pages and files that found no place */
	uint64_t reserved[6];          /* 10 */
	sm_u64 bad[DAXFS_BAD_MAX];     /* 40 [63:12] pool offset of 4 KiB, [11:0] enum daxfs_bad; 0: nothing */
	sm_u64 file[DAXFS_REPAIR_MAX]; /* 2040 handle of an inode that could not be finished; 0: nothing */
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

/*
 * Heat of a cached page, a byte, which readers store: [7:5] enum daxfs_heat, [4:0] when it was used last, in ticks
 * modulo 32. Hints: fs/heat.h. In the header page of the region are the clock of the ticks, and a struct
 * sm_cache_host a host.
 */
enum daxfs_heat {
	DAXFS_HEAT_NONE = 0, /* no cached page, as far as is known */
	DAXFS_HEAT_SCAN = 1, /* read in order, and others will follow: it ages, whoever reads it */
	DAXFS_HEAT_COLD = 2, /* used by whoever filled it; from here on up to HOT, one more with each use */
	DAXFS_HEAT_HOT = 5,
	DAXFS_HEAT_AHEAD = 6,     /* read before anybody asked for it; then COLD */
	DAXFS_HEAT_SCAN_AHEAD = 7 /* ... then SCAN */
};
#define DAXFS_HEAT_SHIFT 5u
#define DAXFS_TICK_MASK 31u
#define DAXFS_CLOCK_OFFSET 0x40u  /* [63:32] pages filled since the last tick, [31:0] ticks */
#define DAXFS_CACHED_OFFSET 0x80u /* struct sm_cache_host[] */
#define DAXFS_CACHE_FIGURES_MORE 5u

struct sm_cache_host {
	sm_u64 cached;                         /* 00 pages that it put there, less those that it gave back */
	sm_u64 more[DAXFS_CACHE_FIGURES_MORE]; /* 08 past, read ahead used, wasted, dropped young, dropped old */
};
/*
 * A host that has not the storage asks those that have it to read some pages: fs/cache_ask.c. Hints. A word of an ask
 * is [63:32] its number, [27:16] errno, [15:8] backing, [1:0] enum daxfs_ask_state. In the header page is a bell,
 * a word that changes with each ask.
 */
#define DAXFS_ASKS 8u /* of a host, at once */
#define DAXFS_BELL_OFFSET 0x40u
enum daxfs_ask_state { DAXFS_ASK_NONE = 0, DAXFS_ASKED = 1, DAXFS_ASK_TAKEN = 2, DAXFS_ASK_DONE = 3 };

struct sm_ask {
	sm_u64 ino;      /* 00 handle */
	sm_u64 page;     /* 08 first page */
	sm_u64 pages;    /* 10 how many */
	sm_u64 reserved; /* 18 zero */
};

#define DAXFS_CACHE_FIGURES_REST 16u

struct sm_asks {
	sm_u64 serves[4];              /* 000 a bit for each backing that it reads for others */
	sm_u64 reserved[4];            /* 020 zero */
	sm_u64 word[DAXFS_ASKS];       /* 040 of each ask */
	struct sm_ask ask[DAXFS_ASKS]; /* 080 */
	/* 180 lost, no room, errors of storage, written back; then as it is now: dirty bytes, ms of the oldest; then
	 * read from private copies, copied there, replaced there; zero */
	sm_u64 figure[DAXFS_CACHE_FIGURES_REST];
};

enum daxfs_cache_policy { DAXFS_POLICY_HEAT = 0, DAXFS_POLICY_CLOCK = 1 };

/*
 * Events: what happened to hosts and managers, for people to read; nothing is decided from it. The number of
 * the last one is a word in the header page of the region; event n is in place (n - 1) % count. Each has
 * a check of its own, so that one which is half written, or of two writers, is none. See mem/event_ring.c.
 */
#define DAXFS_EVENTS_OFFSET 0x40u /* of that word, in the header page */
#define DAXFS_EVENTS_MIN 16u
#define DAXFS_EVENTS_MAX 2048u
#define DAXFS_EVENTS_PAGES 64u /* of the pool for each event, within these limits */

struct sm_event {
	sm_u64 number;      /* 00 1.. */
	sm_u64 check;       /* 08 SipHash of what follows, keyed with the number */
	sm_u64 wall_ns;     /* 10 CLOCK_REALTIME of the writer */
	sm_u64 mono_ns;     /* 18 CLOCK_MONOTONIC of the writer */
	sm_u64 what;        /* 20 [7:0] kind [15:8] state [23:16] reason [31:24] host + 1 [39:32] by host + 1 */
	sm_u64 who;         /* 28 [63:32] epoch of the manager that writes, or 0  [31:0] pid of the writer */
	sm_u64 machine[2];  /* 30 of the writer; zero: not known */
	sm_u64 figures;     /* 40 [63:32] generation of the host [31:0] milliseconds of the reason */
	sm_u64 value;       /* 48 what it is depends on the kind */
	sm_u64 reserved[2]; /* 50 zero */
	sm_u64 name[4];     /* 60 of the host, NUL-terminated */
	sm_u64 text[8];     /* 80 more, NUL-terminated */
};

#define DAXFS_SIZE_IS(type, n) static_assert(sizeof(type) == (n), #type " size")
#define DAXFS_AT(type, field, n) static_assert(offsetof(type, field) == (n), #type "." #field)

DAXFS_SIZE_IS(sm_u64, 8);
DAXFS_SIZE_IS(sm_u8, 1);
DAXFS_SIZE_IS(struct sm_region, 24);
DAXFS_SIZE_IS(struct sm_region_hdr, 64);
DAXFS_SIZE_IS(struct sm_super, 0xa0 + 24 * DAXFS_REGIONS_MAX);
DAXFS_AT(struct sm_super, uuid, 0x28);
DAXFS_AT(struct sm_super, size, 0x58);
DAXFS_AT(struct sm_super, domain, 0x60);
DAXFS_AT(struct sm_super, heartbeat_ms, 0x70);
DAXFS_AT(struct sm_super, hash_key, 0x78);
DAXFS_AT(struct sm_super, lease_ms, 0x90);
DAXFS_AT(struct sm_super, region, 0xa0);
DAXFS_SIZE_IS(struct sm_tester, DAXFS_LINE);
static_assert(DAXFS_TESTERS_AT + DAXFS_LINE * DAXFS_TESTERS == DAXFS_PAGE_SIZE, "a line for each that takes part");
DAXFS_SIZE_IS(struct sm_manager, 128);
DAXFS_AT(struct sm_manager, proof, 0x50);
DAXFS_SIZE_IS(struct sm_host, 256);
DAXFS_AT(struct sm_host, beat, 0x40);
DAXFS_AT(struct sm_host, name, 0x80);
DAXFS_AT(struct sm_host, rec_ns, 0xc0);
DAXFS_SIZE_IS(struct sm_member, 128 + 256 * DAXFS_HOSTS_MAX);
DAXFS_SIZE_IS(struct sm_lobby, 128);
static_assert(DAXFS_LOBBY_OFFSET + 128 * DAXFS_LOBBY_PLACES == DAXFS_PAGE_SIZE, "the lobby ends with its page");
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
DAXFS_SIZE_IS(struct sm_inode, 256);
DAXFS_AT(struct sm_inode, parent, 0x40);
DAXFS_AT(struct sm_inode, direct, 0x50);
DAXFS_AT(struct sm_inode, indirect, 0x90);
DAXFS_AT(struct sm_inode, atime, 0xb0);
DAXFS_AT(struct sm_inode, i_generation, 0xd0);
DAXFS_AT(struct sm_inode, locks, 0xe0);
DAXFS_AT(struct sm_inode, xattrs, 0xe8);
DAXFS_AT(struct sm_inode, leases, 0xf0);
DAXFS_SIZE_IS(struct sm_holder, 256);
DAXFS_AT(struct sm_holder, request, 0x40);
DAXFS_SIZE_IS(struct sm_dirent, 320);
DAXFS_AT(struct sm_dirent, name, 0x18);
DAXFS_SIZE_IS(struct sm_node, DAXFS_PAGE_SIZE);
DAXFS_SIZE_IS(struct sm_lock, 32);
DAXFS_SIZE_IS(struct sm_xattrs, DAXFS_PAGE_SIZE);
DAXFS_AT(struct sm_xattrs, list, 0x20);
DAXFS_SIZE_IS(struct sm_locks, DAXFS_PAGE_SIZE);
DAXFS_AT(struct sm_locks, inode, 0x20);
DAXFS_AT(struct sm_locks, lock, 0x40);
DAXFS_SIZE_IS(struct sm_cache_host, 48);
DAXFS_SIZE_IS(struct sm_ask, 32);
DAXFS_SIZE_IS(struct sm_asks, 512);
DAXFS_AT(struct sm_asks, word, 0x40);
DAXFS_AT(struct sm_asks, figure, 0x180);
static_assert(DAXFS_CACHED_OFFSET + 48 * DAXFS_HOSTS_MAX <= DAXFS_PAGE_SIZE, "they are in the header page");
DAXFS_SIZE_IS(struct sm_event, 0xc0);
DAXFS_AT(struct sm_event, what, 0x20);
DAXFS_AT(struct sm_event, name, 0x60);
DAXFS_AT(struct sm_event, text, 0x80);
DAXFS_SIZE_IS(struct sm_trouble, 0x4040);
DAXFS_AT(struct sm_trouble, bad, 0x40);
DAXFS_AT(struct sm_trouble, file, 0x2040);
static_assert(1 + DAXFS_LANE_BITS + DAXFS_WIDX_BITS + 1 + DAXFS_SEQ_BITS == 64, "a mark fills a word");
static_assert(DAXFS_LANES_MAX <= 1u << DAXFS_LANE_BITS, "a mark names any lane");
static_assert(DAXFS_RECORD_WORDS <= DAXFS_WIDX_CLAIM, "a mark names any word of a record, and no claim");
static_assert(DAXFS_REGIONS <= DAXFS_REGIONS_MAX, "an entry for each region");
static_assert(DAXFS_LOCKS_MAX <= 32 * DAXFS_LOCK_WORDS, "a bit for each lock");

#endif
