/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.h - every byte that hosts share.
 *
 * Here: what words, counters and versions of the format mean, the regions, the superblock, lists of trouble. In
 * format_word.h: words and states. In format_lane.h: records. In format_member.h: hosts, events. In format_file.h:
 * inodes and all that hangs from them. In format_cache.h: leases, heat, asks.
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
 * trunc of a directory of storage moves with each name that is given back. Agents that do not know it may leave such
 * names out of a listing that they remember, until storage changes: replace all of a pod's agents.
 */
#ifndef DAXFS_FORMAT_H
#define DAXFS_FORMAT_H

#include "daxfs/format_cache.h"
#include "daxfs/format_file.h"
#include "daxfs/format_lane.h"
#include "daxfs/format_member.h"
#include "daxfs/format_word.h"

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
#define DAXFS_INCOMPAT_LINKS 2ull /* ... of several names there, and one inode */

/*
 * Features in one word, as those that were switched on since mkfs and those that a host knows: [31:16] lower bits of
 * compat  [15:0] lower bits of incompat. What is in use is that or the superblock's. See sync/features.c.
 */
#define DAXFS_COMPAT_SHIFT 16u
#define DAXFS_FEATURES_MASK 0xffffffffull

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
DAXFS_SIZE_IS(struct sm_trouble, 0x4040);
DAXFS_AT(struct sm_trouble, bad, 0x40);
DAXFS_AT(struct sm_trouble, file, 0x2040);
static_assert(DAXFS_REGIONS <= DAXFS_REGIONS_MAX, "an entry for each region");

#endif
