/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recover.c - settling what a dead host left.
 *
 * Precondition: the host is FENCED, so nothing of it runs and its generation is
 * over. One host is assigned; it may die at any step and the next one starts
 * again from the top. Every step finds nothing to do where it was done before:
 *
 *   1 each lane: finish its record, finalize its objects, IDLE    sync/record.c
 *     if one was inside of a call: move the times of what may have been changed    fs/mend.c
 *   2 withdraw the lanes' announcements: after all of step 1, for they protect whoever
 *     is helping one of its records; before what follows, for until then nothing that
 *     was in use when the host died can be used again            sync/epoch.c
 *   3 each lane: finish the file it had to finish                fs/truncate.c
 *   4 each listed open file: clear the host's bit, finish it     fs/open_table.c
 *   5 RECOVERED: the slot and its lanes may be used again
 *
 * Steps 3 and 4 take as long as the files are large. They go on by batches, between which
 * the recoverer renews its protection and counts as making progress.
 *
 * Nothing of that can fail for long: a record is finalized past words whose memory is lost or that
 * make no sense, a file that cannot be finished is listed as one to repair (fs/mend.c), and a lane
 * whose record cannot be told rests as it is, for good. The slot becomes free all the same.
 *
 * Cost: the host's lanes, its table of open files, and what was in flight.
 * Survivors need none of this to go on.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fs/fs.h"
#include "mem/clock.h"
#include "mem/event_ring.h"
#include "mem/process.h"
#include "sync/member.h"

struct recovery {
	unsigned host;
	unsigned lane; /* of the dead host: index in the pool */
	bool inside;   /* of a call, was one of them */
	sm_u64 *open;  /* entry of its open table */
	uint64_t inode;
	struct mend_tally tally;
};

static int finalize_record(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct recovery *r = arg;
	bool inside = mend_inside(fs, r->lane);
	int rc = mend_record(fs, lane, r->lane, &r->tally.records);

	if (inside && rc == 0)
		rc = mend_times(fs, lane, r->lane);
	r->inside |= inside;
	return rc;
}

static int touch_written(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct recovery *r = arg;

	return mend_written(fs, lane, r->host, r->open);
}

static int finish_todo(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct recovery *r = arg;

	return mend_todo(fs, lane, r->lane, &r->tally);
}

static int pass_todo(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct recovery *r = arg;

	(void)lane;
	return mend_pass_todo(fs, r->lane, &r->tally);
}

static int drop_open(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct recovery *r = arg;

	return mend_open(fs, lane, r->host, r->open, &r->tally);
}

static int pass_open(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct recovery *r = arg;

	(void)lane;
	return mend_pass_open(fs, r->open, &r->tally);
}

static int pass_lost(struct daxfs *fs, struct lane *lane, void *arg)
{
	(void)fs, (void)lane, (void)arg;
	return 0; /* its memory fails: it is listed as that */
}

static int withdraw(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct recovery *r = arg;

	(void)lane;
	/* Of every lane after every record of the host is finalized; see epoch.c. */
	mend_withdraw(fs, r->lane);
	return 0;
}

/*
 * A step whose memory fails is done again, for now it knows of that page and goes past it;
 * if it meets what it knew of, or its lane cannot be mended, `pass` goes past all of it. Without
 * one, the lane's record cannot be told: it rests, and the lane with it.
 */
static int do_step(struct daxfs *fs, struct recovery *r, fs_step step, fs_step pass)
{
	unsigned known;
	int rc;

	do {
		known = fs->pool.bad.n;
		rc = fs_run_recovery(fs, step, r);
	} while (rc == -EIO && fs->pool.bad.n != known);
	if (rc == -EIO && pass)
		rc = fs_run_recovery(fs, pass, r);
	if (rc != -EUCLEAN)
		return rc;
	r->tally.passed++;
	return 0;
}

static int each_lane(struct daxfs *fs, struct recovery *r, fs_step step, fs_step pass)
{
	unsigned per_host = fs->pool.super.lanes_per_host;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < per_host; i++) {
		r->lane = r->host * per_host + i;
		rc = do_step(fs, r, step, pass);
	}
	return rc;
}

static int look_open(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct recovery *r = arg;

	(void)lane;
	return !pool_lost(&fs->pool, r->open, sizeof(*r->open)) && sm_load(r->open);
}

/* Does the dead host hold an inode? What cannot be read is not asked. */
static int drop_held(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct recovery *r = arg;
	struct sm_inode *sm = &fs->pool.inodes[r->inode];
	uint64_t bits;

	if (pool_lost(&fs->pool, sm, sizeof(*sm)))
		return 0;
	bits = word_load(lane, &sm->openers[r->host / 32]);
	if (lane->txn.fault || !(bits >> r->host % 32 & 1))
		return 0;
	return mend_held(fs, lane, r->host, handle_make(sm_load(&sm->i_generation), r->inode), &r->tally);
}

/* A part of the table of open files is lost: what it named is found from the inodes, all of them. */
static int each_inode(struct daxfs *fs, struct recovery *r)
{
	int rc = 0;

	for (r->inode = 1; rc == 0 && r->inode < fs->pool.objects[DAXFS_T_INODE]; r->inode++)
		rc = do_step(fs, r, drop_held, pass_lost);
	return rc;
}

/* While the announcements say that there was a call: the next recoverer, too, is to see to it. */
static int each_written(struct daxfs *fs, struct recovery *r)
{
	unsigned per_host = fs->pool.super.opens_per_host;
	int rc = 0;

	for (unsigned i = 0; r->inside && rc == 0 && i < per_host; i++) {
		r->open = &fs->pool.open_table[(uint64_t)r->host * per_host + i];
		rc = do_step(fs, r, look_open, NULL);
		if (rc > 0)
			rc = do_step(fs, r, touch_written, pass_lost);
	}
	return rc;
}

static int each_open(struct daxfs *fs, struct recovery *r)
{
	unsigned per_host = fs->pool.super.opens_per_host;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < per_host; i++) {
		r->open = &fs->pool.open_table[(uint64_t)r->host * per_host + i];
		rc = do_step(fs, r, look_open, NULL);
		if (rc > 0)
			rc = do_step(fs, r, drop_open, pass_open);
	}
	if (rc == 0 &&
	    pool_lost(&fs->pool, &fs->pool.open_table[(uint64_t)r->host * per_host], per_host * sizeof(sm_u64)))
		rc = each_inode(fs, r);
	return rc;
}

static void fill(struct daxfs_recovery *report, const struct mend_tally *tally, uint64_t start_ns)
{
	report->finished = tally->records.finished;
	report->rolled_back = tally->records.rolled_back;
	report->objects = tally->records.objects;
	report->opens = tally->opens;
	report->files = tally->files;
	report->passed = tally->passed;
	report->ns = monotonic_ns() - start_ns;
}

/* Numbers for status displays. */
static void show(struct daxfs *fs, const struct daxfs_recovery *report)
{
	struct sm_host *host = fs_host(fs, report->host);

	sm_store_relaxed(&host->rec_ns, report->ns);
	sm_store_relaxed(&host->rec_done, report->finished);
	sm_store_relaxed(&host->rec_undone, report->rolled_back);
	sm_store_relaxed(&host->rec_objects, report->objects);
	sm_store_relaxed(&host->rec_opens, report->opens);
	sm_store_relaxed(&host->rec_files, report->files);
	sm_flush(&fs->pool.shm, &host->rec_ns, DAXFS_LINE);
	sm_drain(&fs->pool.shm);
}

static void tell(struct daxfs *fs, const struct daxfs_recovery *report, struct daxfs_event event)
{
	event.state = DAXFS_HOST_RECOVERED;
	event.reason = DAXFS_REASON_RECOVERY_DONE;
	event.by = (int)fs->host;
	event.value = report->ns;
	snprintf(event.text, sizeof(event.text),
		 "%" PRIu64 " finished, %" PRIu64 " undone, %" PRIu64 " opens, %" PRIu64 " files", report->finished,
		 report->rolled_back, report->opens, report->files);
	event_add(&fs->pool, &event);
}

/*
 * What the kernel of a machine that was cut off believed need not be waited for (sync/lease.h, L4). Crash: the next
 * recoverer does it, or waits.
 */
static void end_leases(struct daxfs *fs, unsigned host, uint32_t generation)
{
	/* ORD none: stored before the word that we loaded said FENCED. */
	uint64_t since = sm_load_relaxed(&fs_host(fs, host)->fence_ms) >> 40;

	if (lease_used(&fs->pool) && since == generation)
		lease_cut_off(&fs->pool, host);
}

/* The host is RECOVERING by us under the word `seen`. */
static int recover_host(struct daxfs *fs, unsigned host, uint64_t seen, struct host_word word,
			struct daxfs_recovery *report)
{
	struct daxfs_event event = member_event(&fs->pool, DAXFS_EVENT_STATE, host);
	struct recovery r = { .host = host };
	uint64_t start = monotonic_ns();
	int rc;

	*report = (struct daxfs_recovery){ .host = host, .generation = word.generation - 1 };
	end_leases(fs, host, word.generation);
	rc = each_lane(fs, &r, finalize_record, NULL);
	if (rc == 0)
		rc = each_written(fs, &r);
	if (rc == 0)
		rc = each_lane(fs, &r, withdraw, NULL);
	if (rc == 0)
		rc = each_lane(fs, &r, finish_todo, pass_todo);
	if (rc == 0)
		rc = each_open(fs, &r);
	if (rc)
		return rc;
	sm_drain(&fs->pool.shm);
	fill(report, &r.tally, start);
	show(fs, report);
	word.state = DAXFS_HOST_RECOVERED;
	word.recoverer = -1;
	rc = member_move_own(&fs->pool, host, seen, word);
	if (rc == 0)
		tell(fs, report, event);
	return rc;
}

/* Assigned to this tenant of our slot, not to a former one. */
static bool ours(const struct daxfs *fs, const struct host_word *word)
{
	return word->state == DAXFS_HOST_RECOVERING && word->recoverer == (int)fs->host &&
	       word->recoverer_generation == DAXFS_RECOVERER_GENERATION(fs->generation);
}

struct recover_call {
	struct daxfs *fs;
	struct daxfs_recovery *reports;
	unsigned max, host;
};

static int recover_assigned(void *arg)
{
	const struct recover_call *call = arg;
	struct daxfs *fs = call->fs;
	unsigned n = 0;

	for (unsigned host = 0; host < fs->pool.super.hosts && n < call->max; host++) {
		struct host_word word;
		uint64_t seen;
		int rc;

		if (pool_lost(&fs->pool, &fs_host(fs, host)->word, sizeof(sm_u64)))
			continue;
		seen = sm_load(&fs_host(fs, host)->word);
		if (host_word_unpack(seen, &word) || !ours(fs, &word))
			continue;
		rc = recover_host(fs, host, seen, word, &call->reports[n]);
		if (rc)
			return rc;
		n++;
	}
	return (int)n;
}

static int claim_and_recover(void *arg)
{
	const struct recover_call *call = arg;
	struct daxfs *fs = call->fs;
	uint64_t seen = sm_load(&fs_host(fs, call->host)->word);
	struct host_word word;
	int rc = host_word_unpack(seen, &word);

	if (rc)
		return rc;
	if (word.state == DAXFS_HOST_FENCED) {
		word.state = DAXFS_HOST_RECOVERING;
		word.recoverer = (int)fs->host;
		word.recoverer_generation = DAXFS_RECOVERER_GENERATION(fs->generation);
		rc = member_move_own(&fs->pool, call->host, seen, word);
		if (rc)
			return rc;
		seen = host_word_pack(word); /* but for a stamp, which member_move_own() does not mind */
	}
	return ours(fs, &word) ? recover_host(fs, call->host, seen, word, call->reports) : -EBUSY;
}

int daxfs_recover_assigned(struct daxfs *fs, struct daxfs_recovery *reports, unsigned max)
{
	struct recover_call call = { .fs = fs, .reports = reports, .max = max };
	int rc = fs_ready(fs);

	if (rc)
		return rc;
	fs_retry_broken(fs);
	return fs_guarded(fs, recover_assigned, &call); /* host words, too, are memory that may fail */
}

int daxfs_recover(struct daxfs *fs, unsigned host, struct daxfs_recovery *report)
{
	struct recover_call call = { .fs = fs, .reports = report, .host = host };
	int rc = fs_ready(fs);

	if (rc)
		return rc;
	return host < fs->pool.super.hosts ? fs_guarded(fs, claim_and_recover, &call) : -EINVAL;
}

/* -- by itself -------------------------------------------------------------------- */

/*
 * The slot is ours, ALIVE, and what a tenant left that is over is still in it (daxfs_revive). The same steps, but
 * that there is no other lane to work from: each finishes its own record, as after the death of a process
 * (fs/resume.c).
 */
static int recover_own(void *arg)
{
	const struct recover_call *call = arg;
	struct daxfs *fs = call->fs;
	struct daxfs_recovery *report = call->reports;
	struct daxfs_event event = member_event(&fs->pool, DAXFS_EVENT_STATE, fs->host);
	struct recovery r = { .host = fs->host };
	uint64_t start = monotonic_ns();
	int rc = fs_mend_lanes(fs, NULL, 0, &r.tally);

	if (rc == 0)
		rc = each_open(fs, &r);
	if (rc)
		return rc;
	*report = (struct daxfs_recovery){ .host = fs->host, .generation = fs->generation - 1 };
	fill(report, &r.tally, start);
	show(fs, report);
	tell(fs, report, event);
	return 0;
}

int daxfs_revive(struct daxfs *fs, unsigned host, const char *name, const struct daxfs_identity *identity,
		 void (*alive)(void *context), void *context, struct daxfs_recovery *report, struct daxfs_error *err)
{
	struct recover_call call = { .fs = fs, .reports = report };
	int was = process_cancel_off(), rc;

	*report = (struct daxfs_recovery){ .host = host };
	rc = fs_join(fs, host, name, identity, true, err);
	if (rc == 0) {
		if (alive)
			alive(context);
		rc = fs_guarded(fs, recover_own, &call);
		if (rc)
			daxfs_error_set(err, rc, "host %u cannot recover what it left: %s", host, strerror(-rc));
	}
	process_cancel_restore(was);
	return rc;
}
