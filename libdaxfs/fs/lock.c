/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.c - POSIX and flock locks, and mappings (lockset.h), of all hosts.
 *
 * An inode's locks word names a page of locks, or nothing. Invariants:
 *
 *  L1 Every change of the set changes the locks word, giving up locks of a page
 *     its version: a record that demands it as it was when the set was looked at
 *     loses no change of others. (Answers that change nothing need not look
 *     twice: on a page locks only go, and no more once it is replaced, so a lock
 *     that was seen was in force at some moment of the call, and a set without
 *     one in the way was, too.)
 *  L2 A host has locks only while its openers bit is set: the record that sets a lock
 *     demands an unchanged openers word with the bit in it, and the record that
 *     clears the bit ends the host's locks (fs/open_table.c, recovery included). So
 *     no lock outlives its host, and a locker need not ask which hosts are alive.
 *  L3 Giving up whole locks takes no page: the record clears their bits, or the word
 *     names nothing afterwards. So programs can unlock and close, and hosts recover,
 *     in a full pool. Every other change goes into a new page.
 *
 *   change                     words of its record
 *   lock, split, merge         locks -> new page, openers unchanged; the old page retired
 *   unlock whole locks         locks unchanged, their live words, openers unchanged
 *   unlock the last ones       locks -> nothing, openers unchanged; the page retired
 *   close, recovery of a host  openers without its bit, and one of the last two
 *
 * Concurrency: by L1 changes of one inode's locks happen one after the other; the loser looks
 * again. Crash: a record happens or does not. What a dead host had locked stays
 * locked until recovery clears its bit, because its programs may have been half
 * way through what the lock was for: here alone the living wait for a dead host.
 */
#include <errno.h>
#include <string.h>

#include "fs/fs.h"
#include "fs/lockset.h"

#define IN_THE_WAY 1 /* -EAGAIN is for fs_run */

struct lock_op {
	daxfs_ino ino;
	struct sm_lock want;
	struct sm_lock found; /* in the way; type DAXFS_UNLOCK: none */
};

/* the locks of an inode; a moment's, if `word` is still there */
struct view {
	uint64_t word;
	struct sm_locks *page; /* NULL: none */
	uint64_t live[DAXFS_LOCK_WORDS];
	struct sm_locks copy;
	struct lockset set;             /* what is in force of the copy, in its place */
	uint8_t place[DAXFS_LOCKS_MAX]; /* of each lock of the set in the page */
};

/* -- looking --------------------------------------------------------------------- */

/* The first place from i on that is in force, or is not. */
static unsigned next_place(const struct view *view, unsigned i, bool live)
{
	for (; i < view->copy.count; i = (i | 31) + 1) {
		uint32_t w = (uint32_t)(live ? view->live[i / 32] : ~view->live[i / 32]) >> i % 32;

		if (w)
			return i + (unsigned)__builtin_ctz(w);
	}
	return i;
}

/* Of the copy, leave what is in force. */
static void keep_live(struct view *view)
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

static int view_page(struct lane *lane, uint64_t handle, struct view *view)
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

static int view_locks(struct lane *lane, uint64_t handle, struct sm_inode *sm, struct view *view)
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

static void stage_none(struct lane *lane, struct sm_inode *sm, const struct view *view)
{
	txn_word(&lane->txn, &sm->locks, DAXFS_W_LINK, view->word, link_payload(DAXFS_ABSENT, 0));
	record_retire(lane, DAXFS_T_PAGE, link_index(view->word));
}

/* Stage the end of the locks whose bits are set in gone. */
static void stage_gone(struct lane *lane, struct sm_inode *sm, const struct view *view,
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

static int stage_page(struct lane *lane, uint64_t handle, struct sm_inode *sm, const struct view *view,
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

static int stage_change(struct lane *lane, uint64_t handle, struct sm_inode *sm, const struct view *view,
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
	struct view view;
	bool any = false;
	int rc = view_locks(lane, handle, sm, &view);

	for (unsigned i = 0; rc == 0 && i < view.set.n; i++)
		if (view.set.lock[i].host == host) {
			set_place(gone, view.place[i]);
			any = true;
		}
	if (any)
		stage_gone(lane, sm, &view, gone);
	return rc;
}

/* -- calls ------------------------------------------------------------------------ */

static int lock_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct lock_op *op = arg;
	struct inode inode;
	struct view view;
	uint64_t openers;
	sm_u64 *word;
	int rc = inode_get(lane, op->ino, &inode);

	if (rc)
		return rc;
	word = &inode.sm->openers[fs->host / 32];
	openers = word_help(lane, word);
	rc = view_locks(lane, op->ino, inode.sm, &view);
	if (rc)
		return rc;
	if (!(openers >> fs->host % 32 & 1))
		return -EBADF;
	if (lockset_conflict(&view.set, &op->want))
		return IN_THE_WAY;
	if (lockset_says(&view.set, &op->want))
		return 0;
	record_begin(lane, OP_LOCK);
	txn_word(&lane->txn, word, DAXFS_W_OPENERS, openers, word_payload(openers, DAXFS_W_OPENERS));
	rc = stage_change(lane, op->ino, inode.sm, &view, &op->want);
	return rc ? record_abort(lane, rc) : record_commit(lane);
}

static int get_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct lock_op *op = arg;
	const struct sm_lock *found;
	struct inode inode;
	struct view view;
	int rc = inode_get(lane, op->ino, &inode);

	(void)fs;
	if (rc == 0)
		rc = view_locks(lane, op->ino, inode.sm, &view);
	if (rc)
		return rc;
	found = lockset_conflict(&view.set, &op->want);
	op->found = found ? *found : (struct sm_lock){ .type = DAXFS_UNLOCK };
	return 0;
}

/* -EINVAL: no such lock. */
static int op_make(const struct daxfs *fs, daxfs_ino ino, const struct daxfs_lock *lock, struct lock_op *op)
{
	bool whole = lock->kind != DAXFS_LOCK_POSIX, map = lock->kind == DAXFS_LOCK_MAP;

	if ((unsigned)lock->kind > DAXFS_LOCK_MAP || (unsigned)lock->type > DAXFS_LOCK_WRITE ||
	    (map && lock->type == DAXFS_LOCK_WRITE) ||
	    (!whole && (lock->start > lock->end || lock->end > DAXFS_LOCK_END)))
		return -EINVAL;
	*op = (struct lock_op){
		.ino = ino,
		.want = {
			.start = whole ? 0 : lock->start, .end = whole ? DAXFS_LOCK_END : lock->end,
			.owner = map ? 0 : lock->owner, .pid = lock->pid, .host = (uint8_t)fs->host,
			.type = (uint8_t)lock->type, .kind = (uint8_t)lock->kind,
		},
	};
	return 0;
}

int daxfs_lock(struct daxfs *fs, daxfs_ino ino, const struct daxfs_lock *lock)
{
	struct lock_op op;
	int rc = op_make(fs, ino, lock, &op);

	if (rc == 0)
		rc = fs_run(fs, lock_step, &op);
	if (rc == IN_THE_WAY)
		return -EAGAIN;
	return rc == -ENOSPC ? -ENOLCK : rc;
}

int daxfs_lock_get(struct daxfs *fs, daxfs_ino ino, const struct daxfs_lock *lock, struct daxfs_lock *out)
{
	struct lock_op op;
	int rc = op_make(fs, ino, lock, &op);

	if (rc == 0)
		rc = fs_run(fs, get_step, &op);
	if (rc == 0)
		*out = (struct daxfs_lock){
			.start = op.found.start,
			.end = op.found.end,
			.owner = op.found.owner,
			.pid = op.found.pid,
			.host = op.found.host,
			.type = (enum daxfs_lock_type)op.found.type,
			.kind = (enum daxfs_lock_kind)op.found.kind,
		};
	return rc;
}
