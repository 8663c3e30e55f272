/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inspect.h - looking at shared words without a lane.
 *
 * Inspection has no host slot, announces nothing and writes nothing, so what it
 * finds may change under it and be reused: good for showing and for checking a
 * pool at rest, never for deciding a change.
 */
#ifndef DAXFS_RECOVER_INSPECT_H
#define DAXFS_RECOVER_INSPECT_H

#include "daxfs/inspect.h"
#include "mem/trouble.h"
#include "sync/word.h"

/*
 * The entry of a record (three words: address, before, after) that `mark`, found
 * in `word`, stands for, and that record's status. NULL: an orphan mark, there
 * is no such record about this word.
 */
const sm_u64 *inspect_mark(const struct pool *pool, const sm_u64 *word, uint64_t mark, uint64_t *status);
/* Is w, found in `word`, a claim that its lane knows? *before is the value that it stands for. */
bool inspect_claim(const struct pool *pool, const sm_u64 *word, uint64_t w, uint64_t *before);
/* The payload of a word, of the value its mark stands for if it is marked; 0 for an orphan mark. */
uint64_t inspect_word(const struct pool *pool, const sm_u64 *word, enum daxfs_word_class class);

/* Is the record of a lane complete? */
static inline bool inspect_has_record(uint64_t status)
{
	return status_state(status) >= DAXFS_UNDECIDED && status_state(status) < DAXFS_STATUSES;
}

struct lockset;
/* The locks in force of inode i, whose locks word has payload w (kind not ABSENT):
 * NULL, or what is wrong with the page. */
const char *inspect_locks(const struct pool *pool, uint64_t i, uint64_t w, struct lockset *out);
/* The same of its xattrs word: *out is a copy of the page, used 0 if it makes no sense. */
const char *inspect_xattrs(const struct pool *pool, uint64_t i, uint64_t w, struct sm_xattrs *out);

#define INSPECT_TEXT 96u /* bytes that suffice for any of these texts */

const char *inspect_status_name(unsigned status);
/* Where an offset into the pool is: "inode 5 size", "page 12 slot[3]". */
void inspect_place_text(const struct pool *pool, uint64_t offset, char *buf, size_t size);
/* What lies in 4 KiB of the pool. */
void inspect_page_text(const struct pool *pool, uint64_t offset, char *buf, size_t size);
/* A payload in words: "dirent 7", "4096 bytes", "ALIVE 1". */
void inspect_value_text(uint64_t payload, enum daxfs_word_class class, char *buf, size_t size);
/* "inode 7" for an object of a record; false if the pool has no such object. */
bool inspect_object_text(const struct pool *pool, uint64_t object, char *buf, size_t size);
/* Is an object still PRIVATE to operation seq of a lane? */
bool inspect_is_private_to(const struct pool *pool, uint64_t object, unsigned lane, uint64_t seq);

/* Show a part of something: where memory fails, a line says so, and that part ends. Else what show returns. */
int inspect_part(struct daxfs *fs, int (*show)(void *arg), void *arg, daxfs_report report, void *context);
/* One formatted line to a report. */
void inspect_line(daxfs_report report, void *context, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
