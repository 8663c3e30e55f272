/* SPDX-License-Identifier: Apache-2.0 */
/* lockset.c - see lockset.h. Pure functions; bytes of a page are checked before they are in a set. */
#include "fs/lockset.h"

#include <assert.h>
#include <string.h>

#include "mem/crc32c.h"

uint32_t locks_page_crc(const struct sm_locks *page)
{
	static const uint32_t zero;
	const size_t from = offsetof(struct sm_locks, inode), crc = offsetof(struct sm_locks, crc);
	const uint8_t *bytes = (const uint8_t *)page;
	uint32_t sum = crc32c(0, bytes + from, crc - from);

	sum = crc32c(sum, &zero, sizeof(zero));
	return crc32c(sum, page->reserved, sizeof(page->reserved) + page->count * sizeof(page->lock[0]));
}

static bool lock_sane(const struct sm_lock *lock)
{
	return lock->start <= lock->end && lock->end <= DAXFS_LOCK_END && lock->host < DAXFS_HOSTS_MAX &&
	       (lock->type == DAXFS_LOCK_READ || lock->type == DAXFS_LOCK_WRITE) && lock->kind <= DAXFS_LOCK_MAP;
}

static bool comes_before(const struct sm_lock *a, const struct sm_lock *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind;
	if (a->start != b->start)
		return a->start < b->start;
	return a->host != b->host ? a->host < b->host : a->owner < b->owner;
}

/* The last lock of each owner so far, by a hash of the owner: its place + 1, or 0. */
struct owners {
	uint8_t last[2 * (DAXFS_LOCKS_MAX + 2)];
};

/* Does the lock begin behind the last one of its owner? In order of their begins none overlaps another then. */
static bool behind_its_last(struct owners *owners, const struct sm_locks *page, unsigned i)
{
	const struct sm_lock *lock = &page->lock[i];
	uint64_t hash = (lock->owner ^ (uint64_t)lock->host << 32 ^ lock->kind) * 0x9e3779b97f4a7c15ull;
	unsigned at = (unsigned)(hash >> 56);

	while (owners->last[at] && !lock_same_owner(&page->lock[owners->last[at] - 1], lock))
		at = (at + 1) % sizeof(owners->last);
	if (owners->last[at] && page->lock[owners->last[at] - 1].end >= lock->start)
		return false;
	owners->last[at] = (uint8_t)(i + 1);
	return true;
}

static bool owners_apart(const struct sm_locks *page)
{
	struct owners owners = { .last = { 0 } };

	for (unsigned i = 0; i < page->count; i++)
		if (!behind_its_last(&owners, page, i))
			return false;
	return true;
}

/* The order and the owners are more than tidiness: a change of a set relies on them for its room. */
bool locks_page_sane(const struct sm_locks *page, uint64_t inode)
{
	const struct sm_lock *lock = page->lock;
	bool apart = true; /* no two of them overlap */

	if (page->count == 0 || page->count > DAXFS_LOCKS_MAX || page->inode != inode ||
	    page->crc != locks_page_crc(page))
		return false;
	for (unsigned i = 0; i < page->count; i++) {
		if (!lock_sane(&lock[i]) || (i && !comes_before(&lock[i - 1], &lock[i])))
			return false;
		apart &= !i || lock[i - 1].end < lock[i].start;
	}
	return apart || owners_apart(page);
}

static_assert(sizeof(struct owners) == 256, "a hash of 8 bits");

bool lock_overlaps(const struct sm_lock *a, const struct sm_lock *b)
{
	return a->start <= b->end && b->start <= a->end;
}

bool lock_same_owner(const struct sm_lock *a, const struct sm_lock *b)
{
	return a->kind == b->kind && a->host == b->host && a->owner == b->owner;
}

bool lock_conflicts(const struct sm_lock *a, const struct sm_lock *b)
{
	return lock_overlaps(a, b) && a->kind == b->kind && !lock_same_owner(a, b) &&
	       (a->type == DAXFS_LOCK_WRITE || b->type == DAXFS_LOCK_WRITE);
}

/* Does the order of the set say that neither this lock nor a later one overlaps what is asked for, or touches it? */
static bool beyond(const struct sm_lock *lock, const struct sm_lock *want)
{
	return lock->kind != want->kind ? lock->kind > want->kind : lock->start > want->end + 1;
}

/* The mapping of a host other than that of `want`. */
static const struct sm_lock *foreign_mapping(const struct lockset *set, const struct sm_lock *want)
{
	for (unsigned i = set->n; i && set->lock[i - 1].kind == DAXFS_LOCK_MAP; i--) /* they are the last */
		if (set->lock[i - 1].host != want->host)
			return &set->lock[i - 1];
	return NULL;
}

static bool has_locks(const struct lockset *set)
{
	return set->n && set->lock[0].kind != DAXFS_LOCK_MAP;
}

const struct sm_lock *lockset_conflict(const struct lockset *set, const struct sm_lock *want)
{
	if (want->type == DAXFS_UNLOCK)
		return NULL;
	for (unsigned i = 0; i < set->n && !beyond(&set->lock[i], want); i++)
		if (lock_conflicts(&set->lock[i], want))
			return &set->lock[i];
	return want->kind != DAXFS_LOCK_MAP || has_locks(set) ? foreign_mapping(set, want) : NULL;
}

static bool covers(const struct sm_lock *a, const struct sm_lock *b)
{
	return a->start <= b->start && b->end <= a->end;
}

/* A lock of the same owner that what is asked for is about. */
static bool touched(const struct sm_lock *lock, const struct sm_lock *want)
{
	return lock_overlaps(lock, want) && lock_same_owner(lock, want);
}

bool lockset_says(const struct lockset *set, const struct sm_lock *want)
{
	for (unsigned i = 0; i < set->n && !beyond(&set->lock[i], want); i++)
		if (touched(&set->lock[i], want))
			return set->lock[i].type == want->type && covers(&set->lock[i], want);
	return want->type == DAXFS_UNLOCK;
}

/* Is the lock given up whole? */
static bool lost(const struct sm_lock *lock, const struct sm_lock *want)
{
	return want->type == DAXFS_UNLOCK && covers(want, lock);
}

bool lockset_only_loses(const struct lockset *set, const struct sm_lock *want, struct lock_places *gone)
{
	gone->n = 0;
	for (unsigned i = 0; i < set->n && !beyond(&set->lock[i], want); i++) {
		if (!touched(&set->lock[i], want))
			continue;
		if (!lost(&set->lock[i], want))
			return false;
		gone->at[gone->n++] = (uint8_t)i;
	}
	return want->type == DAXFS_UNLOCK;
}

static void append(struct lockset *set, const struct sm_lock *lock, unsigned n)
{
	memcpy(&set->lock[set->n], lock, n * sizeof(*lock));
	set->n += n;
}

static void insert(struct lockset *set, const struct sm_lock *lock)
{
	unsigned i = set->n++;

	while (i && comes_before(lock, &set->lock[i - 1]))
		i--;
	memmove(&set->lock[i + 1], &set->lock[i], (set->n - 1 - i) * sizeof(*lock));
	set->lock[i] = *lock;
}

/* Of the same owner and type, overlapping or end to end: one lock with it. */
static bool merges(const struct sm_lock *lock, const struct sm_lock *want)
{
	return lock->start <= want->end + 1 && want->start <= lock->end + 1 && /* no overflow: DAXFS_LOCK_END */
	       lock->type == want->type && lock_same_owner(lock, want);
}

struct pieces {
	unsigned n;
	struct sm_lock lock[3]; /* what is left of a lock at each end, and what is asked for */
};

static void add_piece(struct pieces *pieces, const struct sm_lock *lock, uint64_t start, uint64_t end)
{
	struct sm_lock *piece = &pieces->lock[pieces->n++];

	*piece = *lock;
	piece->start = start;
	piece->end = end;
}

/* What is left of a lock outside of a range. */
static void add_rest(struct pieces *pieces, const struct sm_lock *lock, const struct sm_lock *range)
{
	if (lock->start < range->start)
		add_piece(pieces, lock, lock->start, range->start - 1);
	if (lock->end > range->end)
		add_piece(pieces, lock, range->end + 1, lock->end);
}

bool lockset_change(const struct lockset *set, const struct sm_lock *want, struct lockset *out)
{
	uint64_t start = want->start, end = want->end;
	struct pieces pieces = { .n = 0 };
	unsigned from = 0; /* those from here on are not in `out`, and stay as they are */

	out->n = 0;
	for (unsigned i = 0; i < set->n && !beyond(&set->lock[i], want); i++) {
		const struct sm_lock *lock = &set->lock[i];

		if (merges(lock, want)) {
			start = lock->start < start ? lock->start : start;
			end = lock->end > end ? lock->end : end;
		} else if (touched(lock, want)) {
			add_rest(&pieces, lock, want);
		} else {
			continue;
		}
		append(out, &set->lock[from], i - from);
		from = i + 1;
	}
	append(out, &set->lock[from], set->n - from);
	if (want->type != DAXFS_UNLOCK)
		add_piece(&pieces, want, start, end);
	if (out->n + pieces.n > DAXFS_LOCKS_MAX)
		return false;
	for (unsigned i = 0; i < pieces.n; i++)
		insert(out, &pieces.lock[i]);
	return true;
}
