/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repair.h - what the check does about what it finds, when it may.
 *
 * The check of a pool that is repaired is the check of any other, and has a struct
 * repair besides. Beside each finding stands what is done about it: one kind of
 * finding, one repair. Without a struct repair, or in a dry run, the same calls
 * change nothing.
 *
 * Nobody else uses the pool (see repair_run.c), so a repair is plain stores. Each is
 * decided from the pool as it is and makes one finding less, whatever was or was not
 * done before: so they need no order among each other, a crash between any two of
 * them, or one that loses any of them with a cache, leaves a pool that the next run
 * repairs from there. What one repair cuts off another finds, in the next pass, to be
 * reachable from nowhere.
 *
 * What is done is said ("did"), and what is lost by it ("lost").
 */
#ifndef DAXFS_INSPECT_REPAIR_H
#define DAXFS_INSPECT_REPAIR_H

#include "inspect/check_walk.h"

struct repair {
	struct pool *pool;
	bool dry; /* say what would be done */
	struct daxfs_repaired *out;
	uint64_t done;      /* in this pass */
	uint64_t found;     /* inodes that are to have names, in this pass */
	uint64_t next_page; /* where to look for a free one */
};

/* Set the repair word: from here on no host joins. -EBUSY: one that is there, or was, has to go first. */
int repair_begin(struct daxfs *fs, uint64_t id, struct daxfs_error *err);

/* Say what is done about the last finding. True: then do it. */
bool repair_do(struct check *c, const struct place *at, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Say what that loses. */
void repair_lost(struct check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* -- after repair_do ------------------------------------------------------------ */

/* Give a word another value. */
void repair_word(struct check *c, const sm_u64 *word, enum daxfs_word_class class, uint64_t payload);
/* One without a version. */
void repair_plain(struct check *c, const sm_u64 *word, uint64_t value);
/* Bytes that are no words. */
void repair_bytes(struct check *c, const void *at, const void *bytes, size_t len);
void repair_zero(struct check *c, const void *at, size_t len);

/* -- whole repairs ----------------------------------------------------------------- */

/* A link word leads nowhere, or where it must not: nothing instead. True: it names nothing any more. */
bool repair_cut(struct check *c, const sm_u64 *word, const struct place *at);
/* An object that is named, once, is LIVE, and of that use. */
void repair_state(struct check *c, enum daxfs_type type, uint64_t index, enum daxfs_use use, const struct place *at);
/* An object that nothing names is FREE. */
void repair_free(struct check *c, enum daxfs_type type, uint64_t index, const struct place *at);
/* A mark that nobody will resolve: the value that its record decided for, or none. */
void repair_mark(struct check *c, const sm_u64 *word, enum daxfs_word_class class, const struct place *at);
/* A directory without a root node gets an empty one. */
void repair_root(struct check *c, uint64_t inode, const struct place *at);
/* Lanes of slots that nobody owns are IDLE. Last in a pass: marks are resolved by what they say. */
void repair_lanes(struct check *c);
/* The word of a host that makes no sense: FREE, in a new generation; what its tenant left is repaired. */
void repair_host(struct check *c, unsigned host, const struct place *at);
/* An epoch of reclamation that is behind no object. */
void repair_epoch(struct check *c, const struct place *at);

#endif
