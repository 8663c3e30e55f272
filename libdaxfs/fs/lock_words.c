/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock_words.c - the words and the page of an inode's locks: looked at, and changed in somebody's record.
 *
 * Invariants, what the record of each change has in it, and what a crash leaves: lock.c.
 */
#include "fs/lock_words.h"

#include <errno.h>
#include <string.h>

/* -- looking --------------------------------------------------------------------- */

/* The first place from i on that is in force, or is not. */
static unsigned next_place(const struct locks_view *view, unsigned i, bool live)
{
	for (; i < view->copy.count; i = (i | 31) + 1) {
		uint32_t w = (uint32_t)(live ? view->live[i / 32] : ~view->live[i / 32]) >> i % 32;

		if (w)
			return i + (unsigned)__builtin_ctz(w);
	}
	return i;
}

/* Of the copy, leave what is in force. */
static void keep_live(struct locks_view *view)
{
	struct lockset *set = &view->set;
	unsigned i, end, count = view->copy.count;

	for (i = next_place(view, 0, true); i < count; i = next_place(view, end, true)) {
		end = next_place(view, i, false);
		if (end > count)
			end = count;
		if (set->n != i)
			memmove(&set->lock[set->n], &set->lock[i], (end - i) * sizeof(set->lock[0]));
		while (i < end)
			view->place[set->n++] = (uint8_t)i++;
	}
}

static int view_page(struct lane *lane, uint64_t handle, struct locks_view *view)
{
	const size_t from = offsetof(struct sm_locks, inode);
	struct sm_locks *copy = &view->copy;

	sm_read(&copy->inode, &view->page->inode, offsetof(struct sm_locks, lock) - from);
	if (copy->count <= DAXFS_LOCKS_MAX)
		sm_read(copy->lock, view->page->lock, copy->count * sizeof(copy->lock[0]));
	if (!locks_page_sane(copy, handle))
		return txn_broken(&lane->txn);
	keep_live(view);
	return 0;
}

int locks_view(struct lane *lane, uint64_t handle, struct sm_inode *sm, struct locks_view *view)
{
	view->word = word_help(lane, &sm->locks);
	view->page = NULL;
	view->set = (struct lockset){ 0, view->copy.lock };
	if (link_kind(view->word) == DAXFS_ABSENT)
		return lane->txn.fault ? -EIO : 0;
	if (!link_names(lane->pool, view->word, DAXFS_LOCKS) || pool_lost_page(lane->pool, link_index(view->word)))
		return txn_broken(&lane->txn);
	view->page = (struct sm_locks *)(void *)pool_page(lane->pool, link_index(view->word));
	for (unsigned i = 0; i < DAXFS_LOCK_WORDS; i++)
		view->live[i] = word_help(lane, &view->page->live[i]);
	return lane->txn.fault ? -EIO : view_page(lane, handle, view);
}

/* -- changing -------------------------------------------------------------------- */

static void stage_none(struct lane *lane, struct sm_inode *sm, const struct locks_view *view)
{
	txn_word(&lane->txn, &sm->locks, DAXFS_W_LINK, view->word, link_payload(DAXFS_ABSENT, 0));
	record_retire(lane, DAXFS_T_PAGE, link_index(view->word));
}

/* Stage the end of the locks whose bits are set in gone. */
static void stage_gone(struct lane *lane, struct sm_inode *sm, const struct locks_view *view,
		       const uint64_t gone[DAXFS_LOCK_WORDS])
{
	uint64_t left = 0;

	for (unsigned i = 0; i < DAXFS_LOCK_WORDS; i++)
		left |= word_payload(view->live[i], DAXFS_W_LOCKS) & ~gone[i];
	if (!left) {
		stage_none(lane, sm, view);
		return;
	}
	txn_word(&lane->txn, &sm->locks, DAXFS_W_LINK, view->word, word_payload(view->word, DAXFS_W_LINK));
	for (unsigned i = 0; i < DAXFS_LOCK_WORDS; i++)
		if (gone[i])
			txn_word(&lane->txn, &view->page->live[i], DAXFS_W_LOCKS, view->live[i],
				 word_payload(view->live[i], DAXFS_W_LOCKS) & ~gone[i]);
}

static void set_place(uint64_t words[DAXFS_LOCK_WORDS], unsigned place)
{
	words[place / 32] |= 1ull << place % 32;
}

/* Of the first n places, those in a word. */
static uint64_t first_places(unsigned n, unsigned word)
{
	unsigned before = 32 * word;

	return n >= before + 32 ? UINT32_MAX : n > before ? (UINT64_C(1) << (n - before)) - 1 : 0;
}

/* Fill a private page with what `fill` has in its first n places. */
static void fill_page(struct lane *lane, uint64_t page, uint64_t handle, struct sm_locks *fill, unsigned n)
{
	const size_t from = offsetof(struct sm_locks, inode), len = offsetof(struct sm_locks, lock[n]);
	struct sm_locks *to = (struct sm_locks *)(void *)pool_page(lane->pool, page);

	memset(fill, 0, offsetof(struct sm_locks, lock));
	fill->inode = handle;
	fill->count = n;
	fill->crc = locks_page_crc(fill);
	sm_write(&to->inode, &fill->inode, len - from);
	for (unsigned i = 0; i < DAXFS_LOCK_WORDS; i++)
		sm_store_relaxed(&to->live[i], first_places(n, i));
	sm_flush(&lane->pool->shm, to, len);
}

static int stage_page(struct lane *lane, uint64_t handle, struct sm_inode *sm, const struct locks_view *view,
		      const struct sm_lock *want)
{
	struct sm_locks fill;
	struct lockset next = { 0, fill.lock };
	uint64_t page;
	int rc;

	if (!lockset_change(&view->set, want, &next))
		return -ENOLCK;
	rc = space_take(lane, DAXFS_T_PAGE, DAXFS_USE_LOCKS, 1, &page);
	if (rc)
		return rc;
	fill_page(lane, page, handle, &fill, next.n);
	txn_word(&lane->txn, &sm->locks, DAXFS_W_LINK, view->word, link_payload(DAXFS_LOCKS, page));
	if (view->page)
		record_retire(lane, DAXFS_T_PAGE, link_index(view->word));
	return 0;
}

int locks_stage_change(struct lane *lane, uint64_t handle, struct sm_inode *sm, const struct locks_view *view,
		       const struct sm_lock *want)
{
	uint64_t gone[DAXFS_LOCK_WORDS] = { 0 };
	struct lock_places places;

	if (!lockset_only_loses(&view->set, want, &places))
		return stage_page(lane, handle, sm, view, want);
	for (unsigned i = 0; i < places.n; i++)
		set_place(gone, view->place[places.at[i]]);
	stage_gone(lane, sm, view, gone);
	return 0;
}

int locks_stage_drop(struct lane *lane, unsigned host, uint64_t handle, struct sm_inode *sm)
{
	uint64_t gone[DAXFS_LOCK_WORDS] = { 0 };
	struct locks_view view;
	bool any = false;
	int rc = locks_view(lane, handle, sm, &view);

	for (unsigned i = 0; rc == 0 && i < view.set.n; i++)
		if (view.set.lock[i].host == host) {
			set_place(gone, view.place[i]);
			any = true;
		}
	if (any)
		stage_gone(lane, sm, &view, gone);
	return rc;
}
