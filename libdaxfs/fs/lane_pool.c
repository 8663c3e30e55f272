/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lane_pool.c - a mapped pool, its lanes in this process, and running steps.
 *
 * Lanes are shared by the threads of this process: a thread takes one for the
 * length of a call, first come first served from the place of its processor;
 * only when all are taken does it wait, for a thread of this very process.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "fs/fs.h"
#include "mem/process.h"
#include "mem/super.h"
#include "sync/member.h"

#define BACK_OFF_MIN 128u /* pauses, twice that at most before the second try: some ten operations */
#define BACK_OFF_DOUBLINGS 4u
#define STARVED_MAX 16u       /* times a step without space waits for lanes to move on, ... */
#define STARVED_DOUBLINGS 10u /* ... twice as long each time up to here, */
#define STARVED_NS 2000000u   /* or for so long, where many want to run: 32 ms in all */

static int context_new(struct daxfs **out, struct daxfs_error *err)
{
	struct daxfs *fs = calloc(1, sizeof(*fs));
	int rc;

	if (!fs)
		return daxfs_error_set(err, -ENOMEM, "out of memory");
	rc = process_mark(&fs->here, err);
	if (rc) {
		free(fs);
		return rc;
	}
	pthread_mutex_init(&fs->wait_lock, NULL);
	pthread_cond_init(&fs->wait_free, NULL);
	*out = fs;
	return 0;
}

static void context_free(struct daxfs *fs)
{
	pthread_cond_destroy(&fs->wait_free);
	pthread_mutex_destroy(&fs->wait_lock);
	process_unmark(fs->here);
	free(fs);
}

int fs_attach(void *base, uint64_t size, struct daxfs **out, struct daxfs_error *err)
{
	struct daxfs *fs;
	int rc = context_new(&fs, err);

	if (rc)
		return rc;
	rc = pool_attach(base, size, &fs->pool, err);
	if (rc) {
		context_free(fs);
		return rc;
	}
	*out = fs;
	return 0;
}

int daxfs_open(const char *path, enum daxfs_open_mode mode, struct daxfs **out, struct daxfs_error *err)
{
	int was = process_cancel_off();
	struct daxfs *fs;
	int rc = context_new(&fs, err);

	if (rc == 0) {
		rc = pool_map(path, mode, &fs->pool, err);
		if (rc)
			context_free(fs);
		else
			*out = fs;
	}
	process_cancel_restore(was);
	return rc;
}

/* In a child: its copy of our memory. Threads that it does not have may have locked, or wait for,
 * what is in there, so nothing is destroyed; and where the pool was mapped there may be anything. */
static void close_copy(struct daxfs *fs)
{
	fs_free_slots(fs);
	pool_forget(&fs->pool);
	process_unmark(fs->here);
	free(fs);
}

void daxfs_close(struct daxfs *fs)
{
	int was = process_cancel_off();

	if (fs && !*fs->here) {
		close_copy(fs);
	} else if (fs) {
		if (fs->joined)
			daxfs_leave(fs);
		pool_unmap(&fs->pool);
		context_free(fs);
	}
	process_cancel_restore(was);
}

const struct pool *fs_pool(const struct daxfs *fs)
{
	return &fs->pool;
}

struct pool *fs_pool_writable(struct daxfs *fs)
{
	return &fs->pool;
}

void daxfs_geometry(const struct daxfs *fs, struct daxfs_geometry *out)
{
	super_geometry(&fs->pool.super, out);
}

/* -- lanes ------------------------------------------------------------------ */

static struct lane_slot *slot_of(struct lane *lane)
{
	return (struct lane_slot *)((char *)lane - offsetof(struct lane_slot, lane));
}

static bool try_slot(struct lane_slot *slot)
{
	bool free_now = false;

	return atomic_compare_exchange_strong(&slot->busy, &free_now, true);
}

/* Start at the slot of the current CPU, whose cache lines are likely local. If it is taken,
 * its owner was preempted on this CPU in mid-operation. */
static struct lane_slot *try_slots(struct daxfs *fs)
{
	unsigned at = (unsigned)sched_getcpu() % fs->n_slots;

	for (unsigned i = 0; i < fs->n_slots; i++) {
		if (try_slot(&fs->slots[at]))
			return &fs->slots[at];
		at = at + 1 < fs->n_slots ? at + 1 : 0;
	}
	return NULL;
}

/* Wait for a free lane; NULL: more than so many are broken, and none is free. */
static struct lane *wait_lane(struct daxfs *fs, unsigned broken_max)
{
	struct lane_slot *slot = try_slots(fs);
	int was;

	if (!slot) {
		/* Cancelled here a thread would keep the lock, and leave no trace in its call. */
		was = process_cancel_off();
		pthread_mutex_lock(&fs->wait_lock);
		__atomic_fetch_add(&fs->waiting, 1, __ATOMIC_SEQ_CST);
		while (!(slot = try_slots(fs)) && fs->broken <= broken_max)
			pthread_cond_wait(&fs->wait_free, &fs->wait_lock);
		__atomic_fetch_sub(&fs->waiting, 1, __ATOMIC_SEQ_CST);
		pthread_mutex_unlock(&fs->wait_lock);
		process_cancel_restore(was);
	}
	return slot ? &slot->lane : NULL;
}

struct lane *fs_take_lane(struct daxfs *fs)
{
	return wait_lane(fs, fs->n_slots - 1);
}

int fs_take_all_lanes(struct daxfs *fs)
{
	for (unsigned i = 0; i < fs->n_slots; i++)
		if (!wait_lane(fs, 0))
			return -EIO;
	return 0;
}

/* A record that could not be ended (shared bytes made no sense) keeps its lane
 * for good: reusing it would orphan its marks. */
static void keep_broken(struct daxfs *fs)
{
	pthread_mutex_lock(&fs->wait_lock);
	fs->broken++;
	pthread_cond_broadcast(&fs->wait_free);
	pthread_mutex_unlock(&fs->wait_lock);
}

void fs_put_lane(struct daxfs *fs, struct lane *lane)
{
	struct lane_slot *slot = slot_of(lane);

	if (lane->fault && status_state(sm_load(&lane->sm->status)) >= DAXFS_UNDECIDED) {
		keep_broken(fs);
		return;
	}
	/* ORD hand over: a drain waits for what its own thread wrote back, and the next user of the
	 * lane may be another one: IDLE of the last record before its fields change, `todo` as well. */
	sm_drain(&fs->pool.shm);
	atomic_store(&slot->busy, false);
	if (__atomic_load_n(&fs->waiting, __ATOMIC_SEQ_CST)) {
		pthread_mutex_lock(&fs->wait_lock);
		pthread_cond_signal(&fs->wait_free);
		pthread_mutex_unlock(&fs->wait_lock);
	}
}

void fs_unpark(struct daxfs *fs, struct lane *lane)
{
	lane_exit(lane);
	atomic_store(&slot_of(lane)->parked, false);
	fs_put_lane(fs, lane);
	atomic_fetch_sub(&fs->parked, 1);
}

int fs_park(struct daxfs *fs, struct lane **out)
{
	struct lane *lane;
	int rc = fs_ready(fs);

	if (rc)
		return rc;
	if (atomic_fetch_add(&fs->parked, 1) + 1 >= fs->n_slots) {
		atomic_fetch_sub(&fs->parked, 1);
		return -EBUSY;
	}
	lane = fs_take_lane(fs);
	if (!lane) {
		atomic_fetch_sub(&fs->parked, 1);
		return -EIO;
	}
	atomic_store(&slot_of(lane)->parked, true);
	lane_enter(lane);
	if (!lane_alive(lane)) {
		fs_unpark(fs, lane);
		return -ESTALE;
	}
	*out = lane;
	return 0;
}

/*
 * Somebody else was faster. Who has the words in its cache goes on best alone for a while;
 * who comes back at once takes them away from it, and both repeat what they had done.
 * A matter of speed alone: nobody is waited for.
 */
static void back_off(struct lane *lane, unsigned refused)
{
	unsigned turns = BACK_OFF_MIN << (refused < BACK_OFF_DOUBLINGS ? refused : BACK_OFF_DOUBLINGS);

	for (unsigned i = (unsigned)lane_random(lane, turns); i; i--)
		sm_pause();
}

/* Nothing is announced here. A try that finds nothing is short, so it is time that others need. */
static void let_others_on(unsigned tries)
{
	uint64_t start = fs_now();

	for (unsigned i = 1u << (tries < STARVED_DOUBLINGS ? tries : STARVED_DOUBLINGS); i; i--) {
		sched_yield();
		if (fs_now() - start > STARVED_NS)
			return;
	}
}

/*
 * After a step that is to be tried again. -ENOSPC is final only if nothing is
 * waiting to be reused, or nothing came of letting everybody move on: our own
 * announcement is in the way of what was retired since we entered, and so are
 * those of operations in progress. A dead host's stays, so this is bounded.
 */
static bool again(struct lane *lane, int rc, unsigned *starved, unsigned *refused)
{
	if (lane->fault || !lane_alive(lane))
		return false;
	if (rc == -ENOSPC && lane->starved && ++*starved <= STARVED_MAX) {
		epoch_rescan(lane);
		lane_exit(lane);
		let_others_on(*starved);
		lane_enter(lane);
		return true;
	}
	if (rc != -EAGAIN)
		return false;
	lane_exit(lane);
	back_off(lane, ++*refused);
	lane_enter(lane);
	return true;
}

int fs_run(struct daxfs *fs, fs_step step, void *arg)
{
	struct lane *lane;
	unsigned starved = 0, refused = 0;
	int rc = fs_ready(fs);

	if (rc)
		return rc;
	lane = fs_take_lane(fs);
	if (!lane)
		return -EIO;
	lane_enter(lane);
	rc = -ESTALE;
	if (lane_alive(lane))
		do {
			lane_moved(lane);
			rc = step(fs, lane, arg);
		} while (again(lane, rc, &starved, &refused));
	if (lane->fault)
		rc = -EIO;
	else if (sm_load_relaxed(&lane->sm->todo) && lane_alive(lane))
		lane_todo(lane, 0); /* finished, or of a try that did not commit; the dead leave it */
	lane_exit(lane);
	fs_put_lane(fs, lane);
	return rc == -EAGAIN ? -ESTALE : rc;
}
