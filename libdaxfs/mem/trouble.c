/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trouble.c - what memory lost, as the pool remembers it.
 *
 * Two tables of single words (struct sm_trouble): 4 KiB pages of the region that failed, and
 * handles of files that could not be finished. A subject has one place: the first, from one
 * that follows from it on, that is 0 or holds it. Places are filled by one CAS and never become
 * 0 again, so two hosts that list the same subject meet in the same place, and a reader that
 * has come to a 0 has seen all.
 *
 * Each process has a copy of the first table, kept by whoever beats, so that asking costs
 * nothing while there is no trouble and touches no shared memory when there is.
 *
 * T1 A page is listed (written back) before anybody goes past what it held: marks that are
 *    left, objects that are not finalized. So memory that only one moment could not reach, its
 *    table included, is never taken for lost.
 * T2 What lies in a listed page is lost until it is repaired: hosts need not agree on
 *    whether they can load it.
 *
 * Crash: a listed page without anything else; nothing to finish. Every load of the tables may
 * fail like any other: places that cannot be read are passed over by whoever met that.
 */
#include "mem/trouble.h"

#include <errno.h>

#include "mem/event_ring.h"
#include "mem/guard.h"

#define PAGE_MASK (~(DAXFS_PAGE_SIZE - 1ull))

/* of one subject */
struct listing {
	struct pool *pool;
	sm_u64 *table;
	unsigned places;
	uint64_t subject;
	uint64_t is, was; /* the entry, and what it is when it has been repaired */
};

static unsigned first_place(uint64_t subject, unsigned places)
{
	return (unsigned)((subject >> 8 ^ subject) * 0x9e3779b97f4a7c15ull >> 40) % places;
}

static bool copied(const struct bad_pages *bad, uint64_t page)
{
	unsigned at = first_place(page, DAXFS_BAD_MAX);

	for (unsigned i = 0; i < DAXFS_BAD_MAX; i++, at = (at + 1) % DAXFS_BAD_MAX) {
		uint64_t entry = __atomic_load_n(&bad->entry[at], __ATOMIC_RELAXED);

		if (!entry || entry == (page | DAXFS_BAD_LISTED))
			return entry;
	}
	return false;
}

bool trouble_lost(const struct pool *pool, const void *p, size_t len)
{
	uint64_t from = pool_offset(pool, p) & PAGE_MASK, end = pool_offset(pool, p) + len;

	for (; from < end; from += DAXFS_PAGE_SIZE)
		if (copied(&pool->bad, from))
			return true;
	return false;
}

/* -- places that cannot be read ------------------------------------------------- */

/* The tables lie in pages that may fail, too. Such a page is passed over, by each process that met it. */
static bool blind(const struct pool *pool, const sm_u64 *place)
{
	uint64_t page = pool_offset(pool, place) & PAGE_MASK;

	for (unsigned i = 0; i < TROUBLE_BLIND && pool->bad.blind[i]; i++)
		if (__atomic_load_n(&pool->bad.blind[i], __ATOMIC_RELAXED) == page)
			return true;
	return false;
}

/* True: it is one of the tables', and new. */
static bool note_blind(struct pool *pool, uint64_t offset)
{
	uint64_t from = pool_offset(pool, pool->trouble), page = offset & PAGE_MASK;

	if (offset < from || offset - from >= sizeof(*pool->trouble))
		return false;
	for (unsigned i = 0; i < TROUBLE_BLIND; i++) {
		uint64_t none = 0;

		if (__atomic_compare_exchange_n(&pool->bad.blind[i], &none, page, false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED))
			return true;
		if (none == page)
			return false;
	}
	return false;
}

static int list_page(struct pool *pool, uint64_t offset);

/* Is it the memory that says whether this host lives? Then nobody can ask it, and it is listed all the same. */
static bool asked_there(const struct pool *pool, uint64_t offset)
{
	const struct shm_life *life = &pool->shm.life;

	return life->mask && (pool_offset(pool, life->word) & PAGE_MASK) == (offset & PAGE_MASK);
}

/* Run with the places that fail left out. */
static int run_around(struct pool *pool, int (*run)(void *arg), void *arg)
{
	struct shm unasked = { .base = pool->shm.base, .size = pool->shm.size };
	struct shm_guard guard = shm_guard_of(&pool->shm);
	int rc;

	for (;;) {
		guard.hit = false;
		rc = shm_guard_run(&guard, run, arg);
		if (guard.hit && guard.shm != &unasked && asked_there(pool, guard.offset))
			guard.shm = &unasked;
		else if (!guard.hit || !note_blind(pool, guard.offset))
			return rc;
		else
			list_page(pool, guard.offset); /* in another page of the table */
	}
}

/* -- this process's copy ------------------------------------------------------- */

static int copy_table(void *arg)
{
	struct pool *pool = arg;
	struct sm_trouble *trouble = pool->trouble;
	struct bad_pages *bad = &pool->bad;
	uint64_t changes = blind(pool, &trouble->changes) ? UINT64_MAX : sm_load(&trouble->changes);
	unsigned n = 0;

	if (changes == __atomic_load_n(&bad->changes, __ATOMIC_RELAXED) && changes != UINT64_MAX)
		return 0;
	for (unsigned i = 0; i < DAXFS_BAD_MAX; i++) {
		/* Not 0: behind it there may be more. */
		uint64_t entry = blind(pool, &trouble->bad[i]) ? DAXFS_BAD_REPAIRED : sm_load(&trouble->bad[i]);

		__atomic_store_n(&bad->entry[i], entry, __ATOMIC_RELAXED);
		n += (entry & ~PAGE_MASK) == DAXFS_BAD_LISTED;
	}
	__atomic_store_n(&bad->n, n, __ATOMIC_RELAXED);
	__atomic_store_n(&bad->changes, changes, __ATOMIC_RELAXED);
	return 0;
}

void trouble_sync(struct pool *pool)
{
	run_around(pool, copy_table, pool);
}

/* -- the tables ------------------------------------------------------------------ */

static void count_up(struct pool *pool, sm_u64 *counter)
{
	uint64_t seen;

	if (blind(pool, counter))
		return;
	seen = sm_load(counter);
	/* ORD count: after the place it tells of; a count that is lost is made up for by the next. */
	while (!sm_cas_value(counter, &seen, seen + 1))
		;
	sm_flush(&pool->shm, counter, sizeof(*counter));
	sm_drain(&pool->shm);
}

/* The place that has the subject, or where it goes, and what it holds; NULL: the table is full. */
static sm_u64 *find_place(const struct listing *l, uint64_t *held)
{
	unsigned at = first_place(l->subject, l->places);
	sm_u64 *spare = NULL;

	for (unsigned i = 0; i < l->places; i++, at = (at + 1) % l->places) {
		uint64_t entry;

		if (blind(l->pool, &l->table[at]))
			continue;
		entry = sm_load(&l->table[at]);
		if (entry == l->is || (!entry && !spare)) {
			*held = entry;
			return &l->table[at];
		}
		if (entry == l->was && !spare)
			spare = &l->table[at];
		if (!entry)
			break;
	}
	*held = l->was;
	return spare;
}

static int add(void *arg)
{
	struct listing *l = arg;
	uint64_t held;
	sm_u64 *place;

	do {
		place = find_place(l, &held);
		if (!place) {
			count_up(l->pool, &l->pool->trouble->missed);
			return -ENOSPC;
		}
		if (held == l->is)
			return 0;
		/* ORD list: written back before whoever lists goes past anything (T1). */
	} while (!sm_cas(place, held, l->is));
	sm_flush(&l->pool->shm, place, sizeof(*place));
	sm_drain(&l->pool->shm);
	count_up(l->pool, &l->pool->trouble->changes);
	return 0;
}

static int end(void *arg)
{
	struct listing *l = arg;
	uint64_t held;
	sm_u64 *place = find_place(l, &held);

	/* ORD end: after the repair, which is the caller's. Crash before: it is repaired again. */
	if (!place || held != l->is || !sm_cas(place, held, l->was))
		return -ENOENT;
	sm_flush(&l->pool->shm, place, sizeof(*place));
	sm_drain(&l->pool->shm);
	count_up(l->pool, &l->pool->trouble->changes);
	return 0;
}

static int change(int (*run)(void *arg), struct listing *l)
{
	return l->pool->writable ? run_around(l->pool, run, l) : -EROFS;
}

static struct listing of_page(struct pool *pool, uint64_t offset)
{
	uint64_t page = offset & PAGE_MASK;

	return (struct listing){ pool, pool->trouble->bad,      DAXFS_BAD_MAX,
				 page, page | DAXFS_BAD_LISTED, page | DAXFS_BAD_REPAIRED };
}

static struct listing of_file(struct pool *pool, uint64_t handle)
{
	return (struct listing){ pool, pool->trouble->file, DAXFS_REPAIR_MAX, handle, handle, DAXFS_REPAIR_NONE };
}

static int list_page(struct pool *pool, uint64_t offset)
{
	struct listing l = of_page(pool, offset);

	return change(add, &l);
}

int trouble_add_page(struct pool *pool, uint64_t offset)
{
	const struct daxfs_event event = {
		.kind = DAXFS_EVENT_MEMORY, .host = -1, .by = -1, .value = offset & PAGE_MASK
	};
	bool known = trouble_lost(pool, pool_at(pool, offset), 1);
	int rc = list_page(pool, offset);

	trouble_sync(pool);
	if (rc == 0 && !known)
		event_add(pool, &event);
	return rc ? rc : !known;
}

bool trouble_note_page(struct pool *pool, uint64_t offset)
{
	struct bad_pages *bad = &pool->bad;
	uint64_t page = offset & PAGE_MASK;
	unsigned at = first_place(page, DAXFS_BAD_MAX);

	if (copied(bad, page))
		return false;
	for (unsigned i = 0; i < DAXFS_BAD_MAX; i++, at = (at + 1) % DAXFS_BAD_MAX) {
		uint64_t none = 0;

		if (!__atomic_compare_exchange_n(&bad->entry[at], &none, page | DAXFS_BAD_LISTED, false,
						 __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			continue;
		__atomic_fetch_add(&bad->n, 1, __ATOMIC_RELAXED);
		return true;
	}
	return false;
}

int trouble_add_file(struct pool *pool, uint64_t handle)
{
	struct listing l = of_file(pool, handle);

	return change(add, &l);
}

int trouble_end_page(struct pool *pool, uint64_t offset)
{
	struct listing l = of_page(pool, offset);
	int rc = change(end, &l);

	trouble_sync(pool);
	return rc;
}

int trouble_end_file(struct pool *pool, uint64_t handle)
{
	struct listing l = of_file(pool, handle);

	return change(end, &l);
}
