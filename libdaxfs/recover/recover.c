/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recover.c - settling what a dead host left.
 *
 * Precondition: the host is FENCED, so nothing of it runs and its generation is
 * over. One host is assigned; it may die at any step and the next one starts
 * again from the top. Every step finds nothing to do where it was done before:
 *
 *   1 each lane: finish its record, finalize its objects, IDLE    sync/record.c
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
 * Cost: the host's lanes, its table of open files, and what was in flight.
 * Survivors need none of this to go on.
 */
#include <errno.h>
#include <time.h>

#include "fs/fs.h"
#include "sync/member.h"

struct recovery {
	unsigned host;
	unsigned lane; /* of the dead host: index in the pool */
	sm_u64 *open;  /* entry of its open table */
	struct record_tally tally;
	struct daxfs_recovery *report;
};

static uint64_t monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static int finalize_record(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct recovery *r = arg;

	record_recover(lane, r->lane, &r->tally);
	return status_state(sm_load(&fs->pool.lanes[r->lane].status)) == DAXFS_IDLE ? 0 : -EIO;
}

static int withdraw(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct recovery *r = arg;
	struct sm_lane *dead = &fs->pool.lanes[r->lane];

	(void)lane;
	/* ORD withdraw: after every record of the host is finalized; see epoch.c. */
	sm_store(&dead->low, 0);
	sm_flush(&fs->pool.shm, &dead->low, sizeof(dead->low));
	return 0;
}

static int finish_todo(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct recovery *r = arg;
	sm_u64 *todo = &fs->pool.lanes[r->lane].todo;
	uint64_t handle = sm_load(todo);
	int rc;

	if (!handle)
		return 0;
	rc = inode_finish(lane, handle);
	if (rc)
		return rc;
	/* ORD todo: after the file is finished (written back by its records). */
	sm_store(todo, 0);
	sm_flush(&fs->pool.shm, todo, sizeof(*todo));
	r->report->files++;
	return 0;
}

static int drop_open(struct daxfs *fs, struct lane *lane, void *arg)
{
	struct recovery *r = arg;
	uint64_t handle = sm_load(r->open);
	int rc;

	if (!handle)
		return 0;
	rc = opens_drop(lane, r->host, handle);
	if (rc)
		return rc;
	/* ORD unlist: after the bit is cleared. Crash: dropped again. */
	sm_store(r->open, 0);
	sm_flush(&fs->pool.shm, r->open, sizeof(*r->open));
	r->report->opens++;
	return 0;
}

static int each_lane(struct daxfs *fs, struct recovery *r, fs_step step)
{
	unsigned per_host = fs->pool.super.lanes_per_host;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < per_host; i++) {
		r->lane = r->host * per_host + i;
		rc = fs_run(fs, step, r);
	}
	return rc;
}

static int each_open(struct daxfs *fs, struct recovery *r)
{
	unsigned per_host = fs->pool.super.opens_per_host;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < per_host; i++) {
		r->open = &fs->pool.open_table[(uint64_t)r->host * per_host + i];
		if (sm_load(r->open))
			rc = fs_run(fs, drop_open, r);
	}
	return rc;
}

/* Numbers for status displays; then the slot is done with. */
static int publish(struct daxfs *fs, const struct recovery *r, uint64_t seen, struct host_word word)
{
	struct sm_host *host = fs_host(fs, r->host);

	sm_store_relaxed(&host->rec_ns, r->report->ns);
	sm_store_relaxed(&host->rec_done, r->report->finished);
	sm_store_relaxed(&host->rec_undone, r->report->rolled_back);
	sm_store_relaxed(&host->rec_objects, r->report->objects);
	sm_store_relaxed(&host->rec_opens, r->report->opens);
	sm_store_relaxed(&host->rec_files, r->report->files);
	sm_flush(&fs->pool.shm, &host->rec_ns, DAXFS_LINE);
	sm_drain(&fs->pool.shm);
	word.state = DAXFS_HOST_RECOVERED;
	word.recoverer = -1;
	return member_move_own(&fs->pool, r->host, seen, word);
}

/* The host is RECOVERING by us under the word `seen`. */
static int recover_host(struct daxfs *fs, unsigned host, uint64_t seen, struct host_word word,
			struct daxfs_recovery *report)
{
	struct recovery r = { .host = host, .report = report };
	uint64_t start = monotonic_ns();
	int rc;

	*report = (struct daxfs_recovery){ .host = host, .generation = word.generation - 1 };
	rc = each_lane(fs, &r, finalize_record);
	if (rc == 0)
		rc = each_lane(fs, &r, withdraw);
	if (rc == 0)
		rc = each_lane(fs, &r, finish_todo);
	if (rc == 0)
		rc = each_open(fs, &r);
	if (rc)
		return rc;
	sm_drain(&fs->pool.shm);
	report->finished = r.tally.finished;
	report->rolled_back = r.tally.rolled_back;
	report->objects = r.tally.objects;
	report->ns = monotonic_ns() - start;
	return publish(fs, &r, seen, word);
}

/* Assigned to this tenant of our slot, not to a former one. */
static bool ours(const struct daxfs *fs, const struct host_word *word)
{
	return word->state == DAXFS_HOST_RECOVERING && word->recoverer == (int)fs->host &&
	       word->recoverer_generation == DAXFS_RECOVERER_GENERATION(fs->generation);
}

int daxfs_recover_assigned(struct daxfs *fs, struct daxfs_recovery *reports, unsigned max)
{
	unsigned n = 0;
	int rc = fs_ready(fs);

	if (rc)
		return rc;
	for (unsigned host = 0; host < fs->pool.super.hosts && n < max; host++) {
		uint64_t seen = sm_load(&fs_host(fs, host)->word);
		struct host_word word;

		if (host_word_unpack(seen, &word) || !ours(fs, &word))
			continue;
		rc = recover_host(fs, host, seen, word, &reports[n]);
		if (rc)
			return rc;
		n++;
	}
	return (int)n;
}

int daxfs_recover(struct daxfs *fs, unsigned host, struct daxfs_recovery *report)
{
	struct host_word word;
	uint64_t seen;
	int rc = fs_ready(fs);

	if (rc)
		return rc;
	if (host >= fs->pool.super.hosts)
		return -EINVAL;
	seen = sm_load(&fs_host(fs, host)->word);
	rc = host_word_unpack(seen, &word);
	if (rc)
		return rc;
	if (word.state == DAXFS_HOST_FENCED) {
		word.state = DAXFS_HOST_RECOVERING;
		word.recoverer = (int)fs->host;
		word.recoverer_generation = DAXFS_RECOVERER_GENERATION(fs->generation);
		rc = member_move_own(&fs->pool, host, seen, word);
		if (rc)
			return rc;
		seen = host_word_pack(word); /* but for a stamp, which publish() does not mind */
	}
	return ours(fs, &word) ? recover_host(fs, host, seen, word, report) : -EBUSY;
}
