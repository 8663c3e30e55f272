/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format_member.h - who takes part: manager, hosts, the lobby; tests of coherence, events. Part of format.h.
 */
#ifndef DAXFS_FORMAT_MEMBER_H
#define DAXFS_FORMAT_MEMBER_H

#include "daxfs/format_word.h"

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
	sm_u64 fence_ms;    /* 10 [63:40] generation since its machine was cut off, [39:0] ms that took */
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
DAXFS_SIZE_IS(struct sm_event, 0xc0);
DAXFS_AT(struct sm_event, what, 0x20);
DAXFS_AT(struct sm_event, name, 0x60);
DAXFS_AT(struct sm_event, text, 0x80);

#endif
