/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lane_pool.c - the lanes of this process, and running steps.
 *
 * Lanes are shared by the threads of this process: a thread takes one for the
 * length of a call, first come first served from the place of its processor;
 * only when all are taken does it wait, for a thread of this very process.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "fs/cache.h"
#include "fs/lease.h"
#include "mem/clock.h"
#include "mem/event_ring.h"
#include "mem/guard.h"
#include "mem/process.h"
#include "sync/lease_own.h"
#include "sync/member.h"

#define BACK_OFF_MIN 128u /* pauses, twice that at most before the second try: some ten operations */
#define BACK_OFF_DOUBLINGS 4u
#define REST_LOOKS 16u            /* a lane that rests looks every so often whether it may work */
#define WAIT_NS 1000000           /* between two looks for a free lane */
#define KEPT_NS 100000000         /* so long a call waits for views and drafts of its own host alone */
#define NUMBERS_LEFT (1ull << 31) /* of a lane that rests, for calls that cannot wait; as many again are for one call */
#define GIVE_BACK 32u             /* cached pages dropped by a step without space, before it is tried again */
#define STARVED_MAX 16u           /* times a step without space waits for lanes to move on, ... */
#define STARVED_DOUBLINGS 10u     /* ... twice as long each time up to here, */
#define STARVED_NS 2000000u       /* or for so long, where many want to run: 32 ms in all */

/* -- lanes ------------------------------------------------------------------ */

static int rest(void *arg)
{
	return lane_rest(arg);
}

/*
 * May a lane that is spent start again? If memory fails that this needs, and that was known to fail,
 * the call that gets the lane needs it, too, and says so.
 */
static bool rested(struct daxfs *fs, struct lane *lane)
{
	struct shm_guard guard = shm_guard_of(&fs->pool.shm);
	int rc = shm_guard_run(&guard, rest, lane);

	return guard.hit ? trouble_add_page(&fs->pool, guard.offset) <= 0 : rc;
}

/* one search for a free lane */
struct search {
	uint64_t end;     /* of its numbers: one that has used as many has to rest */
	bool look;        /* one that rests must look whether it may start again */
	unsigned resting; /* those that were found so */
};

#define ANY_LANE UINT64_MAX /* for no more records */

/* Not one that has to rest. A look costs all announcements: now and then one is due, or is insisted on. */
static bool try_slot(struct daxfs *fs, struct lane_slot *slot, struct search *search)
{
	bool due;

	bool free_now = false;

	if (!atomic_compare_exchange_strong(&slot->busy, &free_now, true))
		return false;
	if (__builtin_expect(lane_used(&slot->lane) < search->end, 1))
		return true;
	due = search->look || !slot->lane.rests || slot->looks++ % REST_LOOKS == 0;
	search->look = false;
	if (due && rested(fs, &slot->lane))
		return true;
	search->resting++;
	atomic_store(&slot->busy, false);
	return false;
}

/* Start at the slot of the current CPU, whose cache lines are likely local. If it is taken,
 * its owner was preempted on this CPU in mid-operation. */
static struct lane_slot *try_slots(struct daxfs *fs, struct search *search)
{
	unsigned at = (unsigned)sched_getcpu() % fs->n_slots;

	search->resting = 0;
	for (unsigned i = 0; i < fs->n_slots; i++) {
		if (try_slot(fs, &fs->slots[at], search))
			return &fs->slots[at];
		at = at + 1 < fs->n_slots ? at + 1 : 0;
	}
	return NULL;
}

/* Until a lane is given back, or so long: one that rests becomes free by what other hosts do. */
static void wait_a_while(struct daxfs *fs)
{
	const struct timespec until = monotonic_deadline(WAIT_NS);

	pthread_cond_timedwait(&fs->wait_free, &fs->wait_lock, &until);
}

/* since when views and drafts keep all lanes, and how often these had moved then */
struct kept {
	uint64_t since_ns, moves;
};

/*
 * A lane that rests starts again when what was announced before is withdrawn, and a view or a draft of this host
 * may stand there for as long as its user likes, who may be the one that waits. Have they kept all lanes for long?
 * Then a call takes one that rests: it has numbers left, for more such calls than there will be.
 */
static bool kept_by_views(struct daxfs *fs, const struct search *search, struct kept *kept)
{
	uint64_t moves = 0, now = monotonic_ns();
	unsigned parked = 0;

	for (unsigned i = 0; i < fs->n_slots; i++)
		if (atomic_load(&fs->slots[i].parked)) {
			parked++;
			moves += atomic_load_explicit(&fs->slots[i].lane.moved, memory_order_relaxed);
		}
	if (!parked || !search->resting || parked + search->resting + fs->broken < fs->n_slots)
		kept->since_ns = 0;
	else if (!kept->since_ns || kept->moves != moves)
		*kept = (struct kept){ now, moves };
	return kept->since_ns && now - kept->since_ns >= KEPT_NS;
}

/* Sleep until a lane is free, or none can be. Before it sleeps it looks, for lanes that rest may be all that there
 * are, and nobody else does. */
static struct lane_slot *await_slot(struct daxfs *fs, unsigned broken_max, uint64_t end)
{
	struct search search = { .end = end };
	struct lane_slot *slot;
	struct kept kept = { 0 };

	for (;;) {
		search.look = true;
		slot = try_slots(fs, &search);
		if (slot || fs->broken > broken_max || search.end > end)
			return slot;
		if (kept_by_views(fs, &search, &kept))
			search.end = counter_ends.seq + NUMBERS_LEFT;
		else
			wait_a_while(fs);
	}
}

/* Wait for a free lane that has not used so many numbers; NULL: see no_lane. */
static struct lane *wait_lane(struct daxfs *fs, unsigned broken_max, uint64_t end)
{
	struct lane_slot *slot = try_slots(fs, &(struct search){ .end = end });
	int was;

	if (!slot) {
		/* Cancelled here a thread would keep the lock, and leave no trace in its call. */
		was = process_cancel_off();
		pthread_mutex_lock(&fs->wait_lock);
		__atomic_fetch_add(&fs->waiting, 1, __ATOMIC_SEQ_CST);
		slot = await_slot(fs, broken_max, end);
		__atomic_fetch_sub(&fs->waiting, 1, __ATOMIC_SEQ_CST);
		pthread_mutex_unlock(&fs->wait_lock);
		process_cancel_restore(was);
	}
	return slot ? &slot->lane : NULL;
}

/* Why there is none: -EIO, all are broken; -EBUSY, views and drafts keep them all, and they have no numbers left. */
static int no_lane(struct daxfs *fs)
{
	bool broken;

	pthread_mutex_lock(&fs->wait_lock);
	broken = fs->broken >= fs->n_slots;
	pthread_mutex_unlock(&fs->wait_lock);
	return broken ? -EIO : -EBUSY;
}

struct lane *fs_take_lane(struct daxfs *fs)
{
	return wait_lane(fs, fs->n_slots - 1, counter_ends.seq);
}

int fs_take_all_lanes(struct daxfs *fs)
{
	for (unsigned i = fs->resting; i < fs->n_slots; i++)
		if (!wait_lane(fs, fs->resting, ANY_LANE))
			return -EIO;
	return 0;
}

/* A record that could not be ended keeps its lane, or its marks would be orphans:
 * until memory that could not be reached can be, or for good. */
static void keep_broken(struct daxfs *fs, struct lane_slot *slot, bool rests)
{
	pthread_mutex_lock(&fs->wait_lock);
	fs->broken++;
	fs->resting += rests;
	slot->rests = rests;
	atomic_store(&slot->broken, true);
	pthread_cond_broadcast(&fs->wait_free);
	pthread_mutex_unlock(&fs->wait_lock);
}

void fs_break_lane(struct daxfs *fs, struct lane *lane, bool rests)
{
	atomic_store(&fs_slot(lane)->busy, true);
	keep_broken(fs, fs_slot(lane), rests);
}

static inline void give_back(struct daxfs *fs, struct lane_slot *slot)
{
	/* ORD hand over: a drain waits for what its own thread wrote back, and the next user of the
	 * lane may be another one: IDLE of the last record before its fields change, `todo` as well. */
	sm_drain(&fs->pool.shm);
	lease_own_end(&slot->lane); /* a torn one is mended: what it was about to change is as it stays */
	atomic_store(&slot->busy, false);
	if (__atomic_load_n(&fs->waiting, __ATOMIC_SEQ_CST)) {
		pthread_mutex_lock(&fs->wait_lock);
		pthread_cond_signal(&fs->wait_free);
		pthread_mutex_unlock(&fs->wait_lock);
	}
}

static void tell_mended(struct daxfs *fs, const struct lane *lane)
{
	struct daxfs_event event = member_event(&fs->pool, DAXFS_EVENT_MENDED, fs->host);

	event.value = lane->id;
	event_add(&fs->pool, &event);
}

static __attribute__((noinline)) void put_mended(struct daxfs *fs, struct lane_slot *slot)
{
	bool torn = slot->torn;
	int rc;

	slot->torn = false;
	rc = mend_lane(fs, &slot->lane);
	if (torn)
		mend_page(fs, &slot->lane, slot->torn_at);
	if (torn && rc == 0)
		tell_mended(fs, &slot->lane);
	if (rc)
		keep_broken(fs, slot, rc == -EUCLEAN);
	else
		give_back(fs, slot);
}

void fs_put_lane(struct daxfs *fs, struct lane *lane)
{
	struct lane_slot *slot = fs_slot(lane);

	if (__builtin_expect(slot->torn || lane->txn.fault, 0))
		put_mended(fs, slot);
	else
		give_back(fs, slot);
}

void fs_retry_broken(struct daxfs *fs)
{
	for (unsigned i = 0; fs->broken && i < fs->n_slots; i++) {
		struct lane_slot *slot = &fs->slots[i];
		bool broken = true;
		int rc;

		if (slot->rests || !atomic_compare_exchange_strong(&slot->broken, &broken, false))
			continue;
		pthread_mutex_lock(&fs->wait_lock);
		fs->broken--;
		pthread_mutex_unlock(&fs->wait_lock);
		rc = mend_lane(fs, &slot->lane);
		if (rc)
			keep_broken(fs, slot, rc == -EUCLEAN);
		else
			give_back(fs, slot);
	}
}

static int leave_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	(void)fs, (void)arg;
	lane_exit(lane);
	return 0;
}

static int enter_step(struct daxfs *fs, struct lane *lane, void *arg)
{
	(void)fs, (void)arg;
	lane_enter(lane);
	return lane_alive(lane) ? 0 : -ESTALE;
}

void fs_unpark(struct daxfs *fs, struct lane *lane)
{
	if (!lane->txn.fault) /* else its record comes first: fs_put_lane */
		fs_try(fs, lane, leave_step, NULL);
	atomic_store(&fs_slot(lane)->parked, false);
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
		return no_lane(fs);
	}
	atomic_store(&fs_slot(lane)->parked, true);
	rc = fs_try(fs, lane, enter_step, NULL);
	if (rc)
		fs_unpark(fs, lane);
	else
		*out = lane;
	return rc;
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
 * waiting to be reused, the cache has no page to give back, or nothing came of letting everybody move on: our own
 * announcement is in the way of what was retired since we entered, and so are
 * those of operations in progress. A dead host's stays, so this is bounded.
 */
static bool again(struct daxfs *fs, struct lane *lane, int rc, unsigned *starved, unsigned *refused)
{
	bool room;

	if (lane->txn.fault || !lane_alive(lane))
		return false;
	/* Cached pages are no help where anything else is full. */
	room = rc == -ENOSPC && ((!lane->txn.full && cache_yield(fs, lane, GIVE_BACK)) || lane->txn.starved);
	if (room && ++*starved <= STARVED_MAX) {
		epoch_rescan(&lane->epoch);
		lane_exit(lane);
		let_others_on(*starved);
		lane_enter(lane);
		return true;
	}
	if (rc != -EAGAIN)
		return false;
	lane_exit(lane);
	if (lease_notes_any(&lane->notes))
		lease_recall(fs, lane);
	else
		back_off(lane, ++*refused);
	lane_enter(lane);
	return true;
}

static int repeat(struct daxfs *fs, struct lane *lane, fs_step step, void *arg)
{
	unsigned starved = 0, refused = 0;
	int rc = -ESTALE;

	lane_enter(lane);
	lane->txn.receipt = fs_receipt(fs);
	if (lane_alive(lane))
		do {
			lane_moved(lane);
			rc = step(fs, lane, arg);
		} while (again(fs, lane, rc, &starved, &refused));
	if (lane->txn.fault)
		return -EIO; /* fs_put_lane sees to what is left */
	if (sm_load_relaxed(&lane->sm->todo) && lane_alive(lane))
		lane_todo(lane, 0); /* finished, or of a try that did not commit; the dead leave it */
	lane_exit(lane);
	if (__builtin_expect(lane->notes.n_recalls, 0))
		lease_recall(fs, lane); /* of what it changed last: see change_settle */
	return rc;
}

/* urgent: if all lanes are to rest, one of them will do */
static struct lane *take_for(struct daxfs *fs, bool urgent)
{
	struct lane_slot *slot = urgent ? try_slots(fs, &(struct search){ .end = counter_ends.seq }) : NULL;

	if (slot)
		return &slot->lane;
	return urgent ? wait_lane(fs, fs->n_slots - 1, ANY_LANE) : fs_take_lane(fs);
}

/* If all are broken, the memory that they need may be back. */
static struct lane *take_or_mend(struct daxfs *fs, bool urgent)
{
	struct lane *lane = take_for(fs, urgent);

	if (lane || fs->broken < fs->n_slots)
		return lane;
	fs_retry_broken(fs);
	return take_for(fs, urgent);
}

/* A load failed: the lane, if it had got that far, is as a thread leaves it that dies there. */
static int note_fault(struct daxfs *fs, struct lane *lane, const struct shm_guard *guard)
{
	if (lane && !fs_slot(lane)->torn) {
		fs_slot(lane)->torn = true;
		fs_slot(lane)->torn_at = guard->offset;
	} else if (!lane) {
		trouble_add_page(&fs->pool, guard->offset);
	}
	return -EIO;
}

static int run(struct daxfs *fs, fs_ahead ahead, fs_step step, void *arg, bool urgent)
{
	struct shm_guard guard;
	struct lane *lane;
	int rc = fs_ready(fs);

	if (rc)
		return rc;
	shm_guard_arm(&guard, &fs->pool.shm);
	if (shm_guard_caught(&guard)) {
		lane = guard.kept;
		rc = guard.hit ? note_fault(fs, lane, &guard) : -ESTALE; /* revoked: whoever gets that lane is, too */
	} else {
		if (ahead)
			ahead(fs, arg);
		lane = take_or_mend(fs, urgent);
		shm_guard_keep(&guard, lane);
		rc = lane ? repeat(fs, lane, step, arg) : no_lane(fs);
		shm_guard_disarm(&guard);
	}
	if (lane)
		fs_put_lane(fs, lane);
	return rc == -EAGAIN ? -ESTALE : rc;
}

int fs_run_ahead(struct daxfs *fs, fs_ahead ahead, fs_step step, void *arg)
{
	return run(fs, ahead, step, arg, false);
}

int fs_run_recovery(struct daxfs *fs, fs_step step, void *arg)
{
	return run(fs, NULL, step, arg, true);
}

int fs_run(struct daxfs *fs, fs_step step, void *arg)
{
	return fs_run_ahead(fs, NULL, step, arg);
}

struct attempt {
	struct daxfs *fs;
	struct lane *lane;
	fs_step step;
	void *arg;
};

static int try_step(void *arg)
{
	const struct attempt *attempt = arg;

	return attempt->step(attempt->fs, attempt->lane, attempt->arg);
}

int fs_try(struct daxfs *fs, struct lane *lane, fs_step step, void *arg)
{
	struct shm_guard guard = shm_guard_of(&fs->pool.shm);
	struct attempt attempt = { fs, lane, step, arg };
	int rc = shm_guard_run(&guard, try_step, &attempt);

	if (guard.hit) {
		rc = guard.hit ? note_fault(fs, lane, &guard) : -ESTALE; /* revoked: whoever gets that lane is, too */
		lane->txn.fault = true;                                  /* nothing more is done with it */
	}
	return rc;
}

void fs_spare(struct daxfs *fs, struct lane *lane)
{
	struct lane_slot *slot = fs_slot(lane);

	if (slot->torn)
		mend_page(fs, lane, slot->torn_at);
	slot->torn = lane->txn.fault = false;
}
