/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resume.c - a process goes on with the membership of one that has ended.
 *
 * A process that dies leaves its host's slot as it is: ALIVE, until the manager misses its heartbeat. A process
 * that knows that the former one has ended, and with it everything that could store, may go on in its
 * place: same slot, same generation, open files and locks as they are. Nothing is
 * fenced: to the pod the host has paused.
 *
 *   0 the slot says that another process goes on: what the former one had claimed of pages of storage is from
 *     here on nobody's, and taken over by whoever wants it (fs/cache.h)
 *   1 each lane, by itself: its record is finished, its objects finalized, IDLE
 *   2 receipts of requests that were in progress are completed: the lane's status, IDLE, says whether
 *     its last record happened, and the receipt which record that would have been. After the next
 *     step nobody could tell
 *   3 each lane, after all of step 1, because announcements protect the helpers of other records:
 *     the file that it had to finish is finished, its announcement withdrawn
 *   4 open files: those that are listed with their bit are taken over, held by nobody yet; of the
 *     others nothing is left but the place in the table
 *
 * Before all of it this process takes the place of the one that the slot names, if that has ended (succeed). If it
 * does not know what the pool uses by now (an older version), that is all that it does.
 *
 * Then the caller holds what its programs have open (daxfs_file_open), and lets go of the rest
 * (daxfs_resume_end), and of the locks that the former process had there: so it first holds what it wants to go on
 * having locked. Crash: the next one begins at 1, and finds nothing to do where it was done.
 * A slot that was declared dead meanwhile is not resumed: recovery sees to it.
 *
 * If another host has since replaced what a record of one word changed, it cannot be told whether that record
 * happened: the receipt then says that it did not. Such a record is an overwrite within a page, or
 * of one attribute; doing it again makes it the last one.
 */
#include <errno.h>
#include <unistd.h>

#include "fs/fs.h"
#include "fs/lease.h"
#include "fs/local.h"
#include "mem/event_ring.h"
#include "mem/guard.h"
#include "mem/identity.h"
#include "mem/process.h"
#include "sync/features.h"
#include "sync/member.h"

/* -- receipts ----------------------------------------------------------------------- */

int daxfs_receipt_use(struct daxfs *fs, struct daxfs_receipt *receipt)
{
	int error = 0;

	if (!atomic_load(&fs->receipts)) {
		pthread_mutex_lock(&fs->wait_lock);
		if (!atomic_load(&fs->receipts))
			error = -pthread_key_create(&fs->receipt, NULL);
		atomic_store(&fs->receipts, !error);
		pthread_mutex_unlock(&fs->wait_lock);
	}
	return error ? error : -pthread_setspecific(fs->receipt, receipt);
}

void receipts_fini(struct daxfs *fs)
{
	if (atomic_load(&fs->receipts))
		pthread_key_delete(fs->receipt);
}

static void settle(struct daxfs *fs, struct daxfs_receipt *receipt)
{
	struct daxfs_receipt_step *step = &receipt->step[receipt->current & 1];
	unsigned lane = txid_lane(step->txid);
	uint64_t status;

	if (!step->txid || step->happened || lane / fs->pool.super.lanes_per_host != fs->host)
		return;
	status = sm_load(&fs->pool.lanes[lane].status);
	if (status_seq(status) == txid_seq(step->txid) && status & DAXFS_STATUS_HAPPENED)
		step->happened = 1;
}

/* -- lanes --------------------------------------------------------------------------- */

struct ending {
	struct daxfs *fs;
	struct lane *lane;
	struct mend_tally *tally;
	bool inside; /* of a call, was a lane */
};

static int end_record(void *arg)
{
	struct ending *e = arg;
	struct lane *lane = e->lane;
	bool inside = mend_inside(e->fs, lane->id);

	e->inside |= inside;
	lane_take_over(lane);
	record_recover(lane, lane->id, &e->tally->records);
	if (inside)
		(void)mend_times(e->fs, lane, lane->id); /* no cache is served yet: lease_moves */
	return 0;
}

static int touch_written(void *arg)
{
	const struct ending *e = arg;
	unsigned per_host = e->fs->pool.super.opens_per_host;

	for (unsigned i = 0; i < per_host; i++)
		(void)mend_written(e->fs, e->lane, e->fs->host,
				   &e->fs->pool.open_table[(uint64_t)e->fs->host * per_host + i]);
	return 0;
}

/* One that cannot be mended is out of use; -ESTALE is of the whole host. */
static int mend_or_break(struct daxfs *fs, struct lane *lane)
{
	int rc = mend_lane(fs, lane);

	if (rc && rc != -ESTALE)
		fs_break_lane(fs, lane, rc == -EUCLEAN);
	return rc == -ESTALE ? rc : 0;
}

int fs_mend_lanes(struct daxfs *fs, struct daxfs_receipt *const *receipts, unsigned n, struct mend_tally *tally)
{
	struct ending ending = { .fs = fs, .tally = tally };
	struct shm_guard guard;
	int rc = lease_prepare(fs);

	if (rc)
		return rc;
	for (unsigned i = 0; i < fs->n_slots; i++) {
		guard = shm_guard_of(&fs->pool.shm);
		ending.lane = &fs->slots[i].lane;
		if (!lane_lost(&fs->pool, ending.lane->id))
			shm_guard_run(&guard, end_record, &ending); /* memory that fails is the next step's */
	}
	guard = shm_guard_of(&fs->pool.shm);
	if (ending.inside)
		shm_guard_run(&guard, touch_written, &ending);
	for (unsigned i = 0; i < n; i++)
		settle(fs, receipts[i]);
	for (unsigned i = 0; rc == 0 && i < fs->n_slots; i++)
		if (!fs->slots[i].rests)
			rc = mend_or_break(fs, &fs->slots[i].lane);
	sm_drain(&fs->pool.shm);
	if (rc == 0 && fs->broken == fs->n_slots)
		rc = -EIO;
	return rc;
}

/* -- the slot --------------------------------------------------------------------------- */

static int find_slot(struct daxfs *fs, unsigned host, uint64_t tenancy, struct daxfs_error *err)
{
	struct host_word word;

	if (!*fs->here)
		return daxfs_error_set(err, -ECHILD, "this process is a child of the one that opened the pool");
	if (!fs->pool.writable || fs->joined || host >= fs->pool.super.hosts)
		return daxfs_error_set(err, -EINVAL, "host slot %u cannot be gone on with", host);
	if (host_word_unpack(sm_load(&fs_host(fs, host)->word), &word))
		return daxfs_error_set(err, -EIO, "host slot %u makes no sense; run daxfsctl check", host);
	if ((word.state != DAXFS_HOST_ALIVE && word.state != DAXFS_HOST_SUSPECT) ||
	    sm_load(&fs_host(fs, host)->tenancy) != tenancy)
		return daxfs_error_set(err, -ESTALE, "host slot %u was declared dead meanwhile", host);
	fs->host = host;
	fs->generation = word.generation;
	return 0;
}

/*
 * A slot names the process whose end is the end of all that could store for it. While that lives, a parent that keeps
 * the mount, it goes on to be that one. Once it has ended, this process must be named before it touches
 * anything: else the end of the former one would be taken for this one's (daxfs_identity_kin), and a
 * successor that only stands still would be declared dead without being cut off. Of several successors one succeeds.
 */
static int succeed(struct daxfs *fs, uint64_t tenancy, struct daxfs_error *err)
{
	struct sm_host *slot = fs_host(fs, fs->host);
	uint64_t named = sm_load_relaxed(&slot->process); /* written before the tenancy, which was acquired */
	struct daxfs_identity mine = { .pid = (uint32_t)getpid() };
	int rc;

	if (!process_gone((uint32_t)named, (uint32_t)(named >> 32), (uint32_t)sm_load_relaxed(&slot->pids)))
		return 0;
	mine.began = process_began(mine.pid);
	rc = member_succeed(&fs->pool, fs->host, tenancy, named, identity_process(&mine));
	if (rc == -EAGAIN)
		return daxfs_error_set(err, -ESTALE, "another process goes on with host slot %u", fs->host);
	return rc ? daxfs_error_set(err, rc, "host slot %u was declared dead meanwhile", fs->host) : 0;
}

/*
 * ORD away: on its own. The manager may see it late, and then judges as if nothing had been said; or for a while
 * after it is taken back, while the counter moves.
 */
static void set_away(struct daxfs *fs, unsigned ms)
{
	struct sm_host *slot = fs_host(fs, fs->host);

	sm_store_relaxed(&slot->away, (uint64_t)fs->generation << 40 | ms);
	sm_flush(&fs->pool.shm, &slot->away, sizeof(slot->away));
	sm_drain(&fs->pool.shm);
}

struct away_call {
	struct daxfs *fs;
	unsigned ms;
};

static int say_away(void *arg)
{
	struct away_call *call = arg;

	set_away(call->fs, call->ms);
	return 0;
}

void daxfs_away(struct daxfs *fs, unsigned ms)
{
	struct shm_guard guard = shm_guard_of(&fs->pool.shm);
	struct away_call call = { fs, ms };

	if (*fs->here && fs->joined)
		shm_guard_run(&guard, say_away, &call);
}

/*
 * ORD succession: written back before this process claims anything under its number. A host that sees the claim and
 * not yet the number takes it over, and reads what we read. Crash before, after: the former process is as dead; the
 * next one counts itself.
 */
static void count_succession(struct daxfs *fs)
{
	struct sm_host *slot = fs_host(fs, fs->host);

	fs->succession = host_successions(slot, fs->generation) + 1;
	sm_store_relaxed(&slot->successions, (uint64_t)fs->generation << 40 | fs->succession);
	sm_flush(&fs->pool.shm, &slot->successions, sizeof(slot->successions));
	sm_drain(&fs->pool.shm);
}

static int resume(struct daxfs *fs, unsigned host, uint64_t tenancy, struct daxfs_receipt *const *receipts, unsigned n,
		  struct daxfs_error *err)
{
	int rc = find_slot(fs, host, tenancy, err);
	struct mend_tally tally = { .passed = 0 };
	struct daxfs_event event;

	if (rc == 0)
		rc = succeed(fs, tenancy, err);
	if (rc == 0)
		rc = features_enter(&fs->pool, host, fs->generation, err);
	if (rc)
		return rc;
	if (fs_make_slots(fs)) {
		fs_free_slots(fs);
		return daxfs_error_set(err, -ENOMEM, "out of memory");
	}
	fs_stores_ask(fs);
	count_succession(fs);
	rc = fs_mend_lanes(fs, receipts, n, &tally);
	if (rc == 0)
		lease_joined(fs);
	if (rc == 0)
		set_away(fs, 0);
	fs->joined = rc == 0;
	if (rc == 0)
		rc = open_table_adopt(fs);
	if (rc == 0) {
		event = member_event(&fs->pool, DAXFS_EVENT_RESUMED, host);
		event_add(&fs->pool, &event);
		return 0;
	}
	fs->joined = false;
	fs_stores_free(fs);
	local_forget(fs);
	return daxfs_error_set(err, rc, "host slot %u cannot be gone on with: %s", host, strerror(-rc));
}

int daxfs_resume(struct daxfs *fs, unsigned host, uint64_t tenancy, struct daxfs_receipt *const *receipts, unsigned n,
		 struct daxfs_error *err)
{
	int was = process_cancel_off(), rc = resume(fs, host, tenancy, receipts, n, err);

	process_cancel_restore(was);
	return rc;
}

int daxfs_resume_end(struct daxfs *fs)
{
	int rc = fs_ready(fs);

	return rc ? rc : open_table_settle(fs);
}

uint64_t daxfs_tenancy(struct daxfs *fs)
{
	return fs->joined ? sm_load(&fs_host(fs, fs->host)->tenancy) : 0;
}
