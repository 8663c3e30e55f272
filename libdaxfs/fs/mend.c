/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mend.c - recovery of one lane, and going past what cannot be recovered.
 *
 * A lane that nobody uses any more, because its thread or its host died or because a load of
 * the pool failed in the middle of its operation, is mended in three steps, each of which finds
 * nothing to do where it was done before:
 *
 *   1 its claim is taken off; its record is finished, its objects finalized, IDLE
 *                                                                  sync/record_recover.c
 *   2 the file it had to finish is finished, or listed as one to repair
 *   3 its announcement is withdrawn
 *
 * Between 1 and 3, of a host or a process that has ended: times are moved of what it may have been changing, if
 * somebody has looked at them since they last moved. For a change has moved them before it was decided, and it may
 * have ended before it looked again (fs/times.c). That is what the record of a lane names that is announced, and what
 * its host may write without naming it; in a pool without leases no record says.
 *
 * The caller makes sure that no thread uses the lane: the host is FENCED (recover/recover.c), or the
 * lane is this process's own, and its thread is here (mend_lane; it is recovered by itself).
 *
 * Memory that fails meanwhile is listed, and the step begun again: it then goes past what lies
 * there. So each round ends the work or makes the list longer. Memory that cannot be listed is not
 * gone past: the list may be as unreachable as all the rest, and both come back. The lane then
 * stays as it is, broken, and is tried again (fs_retry_broken).
 *
 * Crash: the next recoverer begins at 1. A file is listed before its lane forgets it.
 */
#include <errno.h>

#include "fs/lease.h"
#include "mem/guard.h"

int mend_record(struct daxfs *fs, struct lane *by, unsigned owner, struct record_tally *tally)
{
	(void)fs;
	return record_recover(by, owner, tally) ? 0 : -EUCLEAN;
}

/* The handle in a word that names a file to see to, 0: none, or none that can be told. */
static uint64_t named(const struct daxfs *fs, const sm_u64 *word)
{
	return pool_lost(&fs->pool, word, sizeof(*word)) ? 0 : sm_load(word);
}

/* -- times ------------------------------------------------------------------------ */

bool mend_inside(const struct daxfs *fs, unsigned owner)
{
	const sm_u64 *low = &fs->pool.lanes[owner].low;

	return !pool_lost(&fs->pool, low, sizeof(*low)) && sm_load(low);
}

/* -EAGAIN: the cache of this host, which recovers another one, is to forget first. */
static int touch_looked(struct daxfs *fs, struct lane *by, uint64_t index)
{
	struct sm_inode *sm = &fs->pool.inodes[index];

	if (!index || index >= fs->pool.objects[DAXFS_T_INODE] || pool_lost(&fs->pool, sm, sizeof(*sm)))
		return 0;
	if (!lease_moves(fs, by, sm))
		return -EAGAIN;
	inode_changed(by, sm);
	if (fs->pool.shm.wb) { /* what says that somebody has looked may be lost with the caches of the dead */
		inode_touch(by, sm, true);
		change_settle(by, sm);
	}
	return 0;
}

int mend_times(struct daxfs *fs, struct lane *by, unsigned owner)
{
	const struct sm_lane *sm = &fs->pool.lanes[owner];
	uint64_t w;
	int rc = 0;

	if (pool_lost(&fs->pool, sm->leases, sizeof(sm->leases)))
		return 0;
	for (unsigned i = 0; i < 2; i++)
		for (w = sm_load(&sm->leases[i]); w && rc == 0; w >>= 32)
			rc = touch_looked(fs, by, w & UINT32_MAX);
	return rc;
}

int mend_written(struct daxfs *fs, struct lane *by, unsigned host, const sm_u64 *open)
{
	uint64_t index = handle_index(named(fs, open));
	const struct sm_inode *sm = &fs->pool.inodes[index];

	if (index < fs->pool.objects[DAXFS_T_INODE] && !pool_lost(&fs->pool, sm, sizeof(*sm)) &&
	    sm_load(&sm->writers) >> host & 1)
		return touch_looked(fs, by, index);
	return 0;
}

/* -- files ------------------------------------------------------------------------ */

/* Finish an inode, or list it as one to repair and go past it. */
static int finish_file(struct daxfs *fs, struct lane *by, uint64_t handle, bool past, struct mend_tally *tally)
{
	int rc = past ? trouble_add_file(&fs->pool, handle) : inode_finish_or_list(by, handle);

	if (rc < 0 && rc != -ENOSPC)
		return rc;
	tally->passed += past || rc == 1;
	if (by)
		by->txn.fault = false;
	return 0;
}

static void forget(struct daxfs *fs, sm_u64 *word)
{
	/* ORD forget: after the file is finished (written back by its records), or listed. A crash
	 * before: it is looked at again. */
	sm_store(word, 0);
	sm_flush(&fs->pool.shm, word, sizeof(*word));
}

int mend_todo(struct daxfs *fs, struct lane *by, unsigned owner, struct mend_tally *tally)
{
	sm_u64 *todo = &fs->pool.lanes[owner].todo;
	uint64_t handle = named(fs, todo);
	int rc = handle ? finish_file(fs, by, handle, false, tally) : 0;

	if (rc || !handle)
		return rc;
	forget(fs, todo);
	tally->files++;
	return 0;
}

int mend_pass_todo(struct daxfs *fs, unsigned owner, struct mend_tally *tally)
{
	sm_u64 *todo = &fs->pool.lanes[owner].todo;
	uint64_t handle = named(fs, todo);
	int rc = handle ? finish_file(fs, NULL, handle, true, tally) : 0;

	if (rc == 0 && handle)
		forget(fs, todo);
	return rc;
}

int mend_held(struct daxfs *fs, struct lane *by, unsigned host, uint64_t handle, struct mend_tally *tally)
{
	int rc = opens_clear(by, host, handle, true);

	if (rc == 0 || rc == -EIO)
		rc = finish_file(fs, by, handle, rc, tally);
	tally->opens += rc == 0;
	return rc;
}

int mend_open(struct daxfs *fs, struct lane *by, unsigned host, sm_u64 *open, struct mend_tally *tally)
{
	uint64_t handle = named(fs, open);
	int rc = handle ? mend_held(fs, by, host, handle, tally) : 0;

	if (rc == 0 && handle)
		forget(fs, open);
	return rc;
}

int mend_pass_open(struct daxfs *fs, sm_u64 *open, struct mend_tally *tally)
{
	uint64_t handle = named(fs, open);
	int rc = handle ? finish_file(fs, NULL, handle, true, tally) : 0;

	if (rc == 0 && handle)
		forget(fs, open);
	return rc;
}

void mend_withdraw(struct daxfs *fs, unsigned owner)
{
	sm_u64 *low = &fs->pool.lanes[owner].low;

	if (pool_lost(&fs->pool, low, sizeof(*low)))
		return;
	/* ORD withdraw: after the record is finalized; see epoch.c. */
	sm_store(low, 0);
	sm_flush(&fs->pool.shm, low, sizeof(*low));
}

/* -- by itself -------------------------------------------------------------------- */

struct mending {
	struct daxfs *fs;
	struct lane *lane;
	bool past_file; /* what it was to finish meets memory that fails again and again */
};

static int mend_once(void *arg)
{
	struct mending *m = arg;
	struct lane *lane = m->lane;
	struct mend_tally tally = { .passed = 0 };
	int rc;

	if (lane_lost(&m->fs->pool, lane->id))
		return -EUCLEAN;
	if (status_state(sm_load(&lane->sm->status)) == DAXFS_IDLE && !sm_load(&lane->sm->todo) && !lane->claiming) {
		mend_withdraw(m->fs, lane->id);
		return 0; /* needs no memory but its own */
	}
	if (!lane_alive(lane))
		return -ESTALE; /* for recovery of the host */
	lane_take_over(lane);
	rc = mend_record(m->fs, lane, lane->id, &tally.records);
	if (rc == 0)
		rc = m->past_file ? mend_pass_todo(m->fs, lane->id, &tally) : mend_todo(m->fs, lane, lane->id, &tally);
	if (rc == 0)
		mend_withdraw(m->fs, lane->id);
	lane->claiming &= rc != 0;
	return rc;
}

int mend_lane(struct daxfs *fs, struct lane *lane)
{
	struct mending m = { .fs = fs, .lane = lane };
	struct shm_guard guard = shm_guard_of(&fs->pool.shm);
	int rc;

	do {
		guard.hit = false;
		rc = shm_guard_run(&guard, mend_once, &m);
		if (!guard.hit)
			break;
		rc = trouble_add_page(&fs->pool, guard.offset);
		if (rc == 0 && !m.past_file) {
			m.past_file = true; /* it was known, and in the way all the same */
			rc = 1;
		}
	} while (rc > 0);
	lane->txn.fault = lane->txn.lost = false;
	return guard.hit && rc == 0 ? -EIO : rc;
}

/* -- pages -------------------------------------------------------------------------- */

struct failed_page {
	struct lane *lane;
	uint64_t offset;
};

static int quarantine(void *arg)
{
	struct failed_page *page = arg;

	space_quarantine(page->lane, page->offset);
	return 0;
}

bool mend_page(struct daxfs *fs, struct lane *lane, uint64_t offset)
{
	struct failed_page page = { lane, offset };
	struct shm_guard guard = shm_guard_of(&fs->pool.shm);

	if (trouble_add_page(&fs->pool, offset) <= 0)
		return false;
	shm_guard_run(&guard, quarantine, &page);
	return true;
}
