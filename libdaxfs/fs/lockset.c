/* SPDX-License-Identifier: Apache-2.0 */
/* lockset.c - see lockset.h. Pure functions; bytes of a page are checked before they are in a set. */
#include "fs/lockset.h"

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

/* Does lock i come in order, and overlap no later one of its owner? Those that overlap it come next. */
static bool lock_in_place(const struct sm_locks *page, unsigned i)
{
	const struct sm_lock *lock = &page->lock[i];

	if (i && !comes_before(&page->lock[i - 1], lock))
		return false;
	for (unsigned k = i + 1; k < page->count; k++) {
		const struct sm_lock *next = &page->lock[k];

		if (next->kind != lock->kind || next->start > lock->end)
			break;
		if (lock_same_owner(next, lock) && lock_overlaps(next, lock))
			return false;
	}
	return true;
}

bool locks_page_sane(const struct sm_locks *page, uint64_t inode)
{
	if (page->count == 0 || page->count > DAXFS_LOCKS_MAX || page->inode != inode ||
	    page->crc != locks_page_crc(page))
		return false;
	for (unsigned i = 0; i < page->count; i++)
		if (!lock_sane(&page->lock[i]))
			return false;
	/* More than tidiness: a change of a set relies on it for its room. */
	for (unsigned i = 0; i < page->count; i++)
		if (!lock_in_place(page, i))
			return false;
	return true;
}

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
	return a->kind == b->kind && !lock_same_owner(a, b) && lock_overlaps(a, b) &&
	       (a->type == DAXFS_LOCK_WRITE || b->type == DAXFS_LOCK_WRITE);
}

/* The mapping of a host other than that of `want`. */
static const struct sm_lock *foreign_mapping(const struct lockset *set, const struct sm_lock *want)
{
	for (unsigned i = 0; i < set->n; i++)
		if (set->lock[i].kind == DAXFS_LOCK_MAP && set->lock[i].host != want->host)
			return &set->lock[i];
	return NULL;
}

static bool has_locks(const struct lockset *set)
{
	for (unsigned i = 0; i < set->n; i++)
		if (set->lock[i].kind != DAXFS_LOCK_MAP)
			return true;
	return false;
}

const struct sm_lock *lockset_conflict(const struct lockset *set, const struct sm_lock *want)
{
	if (want->type == DAXFS_UNLOCK)
		return NULL;
	for (unsigned i = 0; i < set->n; i++)
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
	return lock_same_owner(lock, want) && lock_overlaps(lock, want);
}

bool lockset_says(const struct lockset *set, const struct sm_lock *want)
{
	for (unsigned i = 0; i < set->n; i++)
		if (touched(&set->lock[i], want))
			return set->lock[i].type == want->type && covers(&set->lock[i], want);
	return want->type == DAXFS_UNLOCK;
}

bool lockset_loses(const struct lockset *set, unsigned i, const struct sm_lock *want)
{
	return want->type == DAXFS_UNLOCK && lock_same_owner(&set->lock[i], want) && covers(want, &set->lock[i]);
}

bool lockset_only_loses(const struct lockset *set, const struct sm_lock *want)
{
	for (unsigned i = 0; i < set->n; i++)
		if (touched(&set->lock[i], want) && !lockset_loses(set, i, want))
			return false;
	return want->type == DAXFS_UNLOCK;
}

static void insert(struct lockset *set, const struct sm_lock *lock)
{
	unsigned i = set->n++;

	for (; i && comes_before(lock, &set->lock[i - 1]); i--)
		set->lock[i] = set->lock[i - 1];
	set->lock[i] = *lock;
}

/* Of the same owner and type, overlapping or end to end: one lock with it. */
static bool merges(const struct sm_lock *lock, const struct sm_lock *want)
{
	return lock_same_owner(lock, want) && lock->type == want->type && lock->start <= want->end + 1 &&
	       want->start <= lock->end + 1; /* no overflow: DAXFS_LOCK_END */
}

/* What is left of a lock outside of a range. */
static void insert_rest(struct lockset *out, const struct sm_lock *lock, const struct sm_lock *range)
{
	struct sm_lock rest = *lock;

	if (lock->start < range->start) {
		rest.end = range->start - 1;
		insert(out, &rest);
	}
	if (lock->end > range->end) {
		rest.start = range->end + 1;
		rest.end = lock->end;
		insert(out, &rest);
	}
}

void lockset_change(const struct lockset *set, const struct sm_lock *want, struct lockset *out)
{
	struct sm_lock grown = *want;

	out->n = 0;
	for (unsigned i = 0; i < set->n; i++) {
		const struct sm_lock *lock = &set->lock[i];

		if (merges(lock, want)) {
			grown.start = lock->start < grown.start ? lock->start : grown.start;
			grown.end = lock->end > grown.end ? lock->end : grown.end;
		} else if (touched(lock, want)) {
			insert_rest(out, lock, want);
		} else {
			insert(out, lock);
		}
	}
	if (want->type != DAXFS_UNLOCK)
		insert(out, &grown);
}
