/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect.h - looking at a pool, and putting it in order: check, repair, dump, selftest.
 *
 * Where nothing else is said, read-only mode suffices. What holds for all calls stands at the head of daxfs.h.
 */
#ifndef DAXFS_INSPECT_H
#define DAXFS_INSPECT_H

#include "daxfs/daxfs.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One finding: a problem (or, from dry runs, a fact), as one line. */
typedef void (*daxfs_report)(void *context, const char *line);

struct daxfs_check {
	uint64_t problems;
	uint64_t files, directories, names, pages_used;
	struct daxfs_statfs usage;
};

/*
 * daxfs_check - look for damage
 *
 * Walks every structure: states against reachability, link counts, node counts, marks, checksums. One
 * line for each finding goes to report. Exact only while no host changes the pool; read-only mode
 * suffices.
 */
DAXFS_API int daxfs_check(struct daxfs *fs, daxfs_report report, void *context, struct daxfs_check *out);
struct daxfs_repaired {
	uint64_t problems; /* found at first */
	uint64_t repairs;  /* done, or in a dry run, that would be */
	uint64_t losses;   /* things that are said to be lost */
	uint64_t found;    /* inodes without names that have one in /lost+found now */
	uint64_t left;     /* problems that the check still finds */
};

/*
 * daxfs_repair - put in order what check finds
 *
 * For a pool that no host uses; fs was opened with DAXFS_REPAIR and must not have joined. Repairs
 * until the check finds nothing. report (may be NULL) gets the findings, and lines that begin with
 * "did: " ("would: " in a dry run, which changes nothing) and "lost: ". Until it ends no host can
 * join.
 *
 * Errors:
 * -EBUSY    a host has not left, or is not recovered; err says which
 * -ECANCELED another repair has begun meanwhile
 * Crash: it may be interrupted at any point and run again.
 */
DAXFS_API int daxfs_repair(struct daxfs *fs, bool dry_run, daxfs_report report, void *context,
			   struct daxfs_repaired *out, struct daxfs_error *err);

/*
 * daxfs_repair_item - finish one removed file that nobody could finish
 *
 * In a pool that is in use: "orphan" or "dead-inode" of the check. Links of it that make no sense, or
 * that name what belongs to others, are cut first. inode is its index; fs has joined.
 *
 * Errors:
 * -EBUSY    it has a name, or somebody has it open, or it is no inode; err says which
 * -EIO      it still cannot be finished
 * Crash: as daxfs_unlink; run it again.
 */
DAXFS_API int daxfs_repair_item(struct daxfs *fs, uint64_t inode, daxfs_report report, void *context,
				struct daxfs_error *err);

/*
 * daxfs_recover_dry_run - what the recovery of a host would do
 *
 * Says line by line what the host left in flight and what would become of it. Changes nothing; read-
 * only mode suffices.
 *
 * Errors:
 * -EINVAL   no such host
 */
DAXFS_API int daxfs_recover_dry_run(struct daxfs *fs, unsigned host, daxfs_report report, void *context);
/* Records in flight, PRIVATE objects named by them, and open files of a host. */
struct daxfs_inflight {
	unsigned lanes, records, owned, opens;
};

/*
 * daxfs_inflight - count what a host has in flight
 *
 * Read-only mode suffices; exact while the host stands still.
 *
 * Errors:
 * -EINVAL   no such host
 */
DAXFS_API int daxfs_inflight(struct daxfs *fs, unsigned host, struct daxfs_inflight *out);

/*
 * daxfs_dump - show shared bytes in words
 *
 * what: "super", "member", "lanes", "inode N", "dir N". Read-only mode suffices.
 *
 * Errors:
 * -EINVAL   nothing of that name
 */
DAXFS_API int daxfs_dump(struct daxfs *fs, const char *what, daxfs_report report, void *context);

struct daxfs_selftest {
	uint64_t value;      /* of the scratch word afterwards */
	uint64_t increments; /* made by this call */
	uint64_t tries;      /* compare-and-swaps they took */
};

/*
 * daxfs_selftest - does compare-and-swap work on this memory
 *
 * Increments the pool's scratch word by compare-and-swap. Run by any number of processes and hosts at
 * once, the word must grow by the exact sum. Touches nothing else: harmless in a pool in use.
 * increments = 0 (read-only mode suffices) tells the value.
 */
DAXFS_API int daxfs_selftest(struct daxfs *fs, uint64_t increments, struct daxfs_selftest *out);

/* -- copies of a pool ---------------------------------------------------------- */

/*
 * daxfs_backup - copy a pool that nobody uses into a file
 *
 * Writes an image of the pool to fd, a regular file, whose size becomes that of the pool; pages of zeros are
 * holes. No host may be in the pool, nor join meanwhile; fabricd may run. Read-only mode suffices.
 *
 * Errors:
 * -EBUSY    a host uses the pool, or did meanwhile; err says which
 * -EIO      memory of the pool failed
 * -ENOSPC and others of pwrite(2)
 * Crash: the file is no copy; the pool is as it was.
 */
DAXFS_API int daxfs_backup(const struct daxfs *fs, int fd, struct daxfs_error *err);

/*
 * daxfs_restore - make a pool from such a copy
 *
 * As daxfs_mkfs, but with what is in the copy: files, uuid, generations of slots. path is made if it is missing,
 * and may be larger than the pool.
 *
 * Errors:
 * -EINVAL   image is no copy of a pool
 * -ENODATA  it is shorter than the pool was
 * -EEXIST   path holds a pool, or other data, and force is not set; or it is the copy itself
 * -EBUSY    path, or the copy, is in use on this machine
 * -ENOSPC   path is too small, or its disk is full
 * -EACCES and others of open(2)
 * Crash: the superblocks are written last: no pool, or a whole one.
 */
DAXFS_API int daxfs_restore(const char *image, const char *path, bool force, struct daxfs_error *err);

/* -- is the memory coherent between hosts ----------------------------------- */

struct daxfs_coherence_options {
	size_t struct_size;   /* sizeof(struct daxfs_coherence_options): see base.h */
	unsigned host, hosts; /* this is number 0 .. hosts - 1 of so many that take part, 2 to 63 */
	uint64_t rounds;      /* of changes that all look at; what number 0 says counts */
	uint64_t increments;  /* by each, of one word; the same */
	unsigned wait_ms;     /* for another one that takes part, before it is given up */
	uint8_t machine[16];  /* as in struct daxfs_identity: how many machines took part */
};

struct daxfs_coherence {
	bool coherent;
	unsigned hosts, machines;
	uint64_t rounds;       /* each is one change, that all hosts looked at at once */
	uint64_t stale_words;  /* looks at a word that showed it as it had been */
	uint64_t stale_copies; /* copies of lines that showed one as it had been */
	uint64_t lost;         /* increments */
	uint64_t wall_ns;      /* when: CLOCK_REALTIME of number 0 */
};

/*
 * daxfs_coherence_test - do several hosts see each other's stores
 *
 * To be called on each host that takes part, at about the same time, each with its own number; they meet in
 * the pool. In each round one changes a word and lines, and all, who have looked at them before, look again:
 * what one of them still sees as it was, a cache kept. Then all increment one word by compare-and-swap. All
 * get the same *out, and number 0 records it in the pool (daxfs_coherence_proof). Meeting needs no coherence:
 * each line is written by one host, and dropped from the caches before each look. fs need not have joined;
 * harmless in a pool in use. Nothing is proved for hosts that do not take part.
 *
 * Errors:
 * -EINVAL   hosts, host, rounds or increments out of range, or struct_size is not set
 * -E2BIG    an option is set that this version of the library does not know
 * -EROFS    the pool is mapped read-only
 * -ETIMEDOUT one did not come, or did not go on; err says which
 * -EBUSY    another one takes part with this number
 * Crash: nothing relies on what it writes; the others time out.
 */
DAXFS_API int daxfs_coherence_test(struct daxfs *fs, const struct daxfs_coherence_options *options,
				   struct daxfs_coherence *out, struct daxfs_error *err);

/*
 * daxfs_coherence_proof - what the last test of coherence found
 *
 * Read-only mode suffices. Its counts of stale words and copies end at 65535.
 *
 * Errors:
 * -ENODATA  the pool was never tested between hosts
 */
DAXFS_API int daxfs_coherence_proof(const struct daxfs *fs, struct daxfs_coherence *out);

/* -- what is to repair, in a pool in use ----------------------------------- */

enum daxfs_repair_kind {
	DAXFS_REPAIR_PAGE, /* subject: offset in the pool of 4 KiB that failed */
	DAXFS_REPAIR_FILE, /* subject: handle of an inode that could not be finished: pages of it may never be free */
	DAXFS_REPAIR_LANE, /* subject: a lane of no host whose record makes no sense, or cannot be read */
	DAXFS_REPAIR_KINDS
};
struct daxfs_repair {
	enum daxfs_repair_kind kind;
	uint64_t subject;
	char what[80]; /* the same in words: "page 17", "inodes 16 to 31" */
};
typedef bool (*daxfs_repair_fill)(void *context, const struct daxfs_repair *item);

/*
 * daxfs_repair_list - what is left to repair
 *
 * Memory that failed, files that could not be finished, lanes of no host that rest. fill (may be
 * NULL) returns false to stop. Read-only mode suffices. Returns how many there are.
 *
 * Crash: reads only.
 */
DAXFS_API int daxfs_repair_list(struct daxfs *fs, daxfs_repair_fill fill, void *context);

/*
 * daxfs_repair_done - take a page or a file off the list
 *
 * It is in order again: its memory was replaced and nothing of it is believed, or the file was finished.
 *
 * Errors:
 * -ENOENT   it is not on the list
 * -EINVAL   of lanes: one is in order when its record is
 * -EROFS    the pool is mapped read-only
 * Crash: it is off the list, or still on it.
 */
DAXFS_API int daxfs_repair_done(struct daxfs *fs, enum daxfs_repair_kind kind, uint64_t subject);

#ifdef __cplusplus
}
#endif
#endif
