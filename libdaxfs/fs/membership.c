/* SPDX-License-Identifier: Apache-2.0 */
/*
 * membership.c - becoming and ceasing to be a host of the pod.
 *
 * A host slot is taken by one CAS of its word, FREE or RECOVERED -> JOINING, so
 * two agents with the same id cannot both have it. Before that CAS the host writes its name and identity into the
 * lobby (sync/lobby.c), and the new word names this place in the lobby. Crash while JOINING: no
 * heartbeat; the manager fences and the recovery finds nothing.
 *
 * Names are what hosts are fenced by, so no two living hosts have one name: after it is JOINING a host
 * looks whether another one has its name, and gives up if so. Of two that join at once one at least
 * sees the other.
 *
 * A slot that is FREE holds nothing of a former tenant, for no recovery would ever look
 * there. So a host leaves only with idle lanes and an empty table of open files, and
 * stays ALIVE, without a heartbeat, if it cannot: then it is fenced and recovered
 * like a dead one. After leaving it stores only a reason, for display. A host that
 * finds something all the same (damage, another version) gives the slot to recovery:
 * it ends its own generation, JOINING -> FENCING -> FENCED. It has begun nothing, so
 * it can itself prove that nothing of it is left. Crash between the two: it is fenced.
 *
 * Where nobody lives who could recover a dead host (a power cut of the whole pod), that host comes back by itself:
 * daxfs_revive. It takes its slot by the same CAS, from FENCED, or from RECOVERING by a tenant that is over: what was
 * there before it can store nothing any more, and nobody else is to see to it, for the word is not what a manager
 * saw who assigns somebody. Then it is ALIVE with records in flight and files open, as after the death of a process
 * only, and beats; and it finishes what is left (recover/recover.c) before it works. Crash: it is fenced, and
 * recovered by whoever lives, or comes back again.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "fs/cache.h"
#include "fs/lease.h"
#include "fs/local.h"
#include "mem/event_ring.h"
#include "mem/guard.h"
#include "mem/identity.h"
#include "mem/process.h"
#include "sync/features.h"
#include "sync/member.h"
#include "sync/timing.h"

static int move_self(struct daxfs *fs, enum daxfs_host_state to, uint32_t generation, enum daxfs_reason reason)
{
	struct sm_host *host = fs_host(fs, fs->host);
	uint64_t seen = sm_load(&host->word);
	struct host_word word;
	int rc = host_word_unpack(seen, &word);

	if (rc)
		return rc;
	word.state = to;
	word.generation = generation;
	word.recoverer = -1;
	rc = member_move_own(&fs->pool, fs->host, seen, word);
	if (rc == 0)
		sm_store_relaxed(&host->reason, (uint64_t)reason);
	return rc;
}

/*
 * From here on each store of this context is made only while the slot is ours: JOINING, ALIVE or SUSPECT under our
 * generation, or FREE again, which nobody but we makes it. FENCING is behind those, and then the generation is another.
 */
void fs_stores_ask(struct daxfs *fs)
{
	const uint64_t states = (uint64_t)(15 & ~DAXFS_HOST_SUSPECT) << 36;
	const uint64_t generations = (uint64_t)HOST_GENERATION_MAX << 40;
	uint64_t live = (uint64_t)fs->generation << 40 & generations;

	shm_life_begin(&fs->pool.shm.life, &fs_host(fs, fs->host)->word, generations | states, live);
	fs->pool.events.shm.life = fs->pool.shm.life;
}

void fs_stores_free(struct daxfs *fs)
{
	shm_life_end(&fs->pool.shm.life);
	shm_life_end(&fs->pool.events.shm.life);
}

bool daxfs_stores_checked(const struct daxfs *fs)
{
	return fs->joined && fs->pool.shm.life.mask;
}

_Static_assert(DAXFS_HOST_SUSPECT == 3 && DAXFS_HOST_FENCING == 4, "a host may store in the states below FENCING");

/* who joins, and where that is written until the slot says so */
struct joiner {
	const char *name;
	bool revives; /* and recovers itself what was left in the slot */
	struct card card;
	struct lobby_seat seat;
};

static int take_slot(struct daxfs *fs, uint64_t seen, struct host_word word, struct joiner *j, struct daxfs_error *err)
{
	j->seat = lobby_enter(&fs->pool, fs->host, &j->card);
	if (!j->seat.place)
		return daxfs_error_set(err, -EBUSY, "too many hosts are joining at once; try again");
	word.state = DAXFS_HOST_JOINING;
	word.recoverer = -1;
	word.seat = j->seat;
	fs->generation = word.generation;
	fs->succession = 0;
	if (member_move_own(&fs->pool, fs->host, seen, word) == 0)
		return 0;
	lobby_leave(&fs->pool, j->seat);
	return daxfs_error_set(err, -EBUSY, "host %u was just taken by another agent; choose another id", fs->host);
}

/* Is a recovery nobody's any more? The tenant that does it is over for good if its slot has another generation. */
static bool abandoned(struct daxfs *fs, const struct host_word *word)
{
	struct host_word by;

	return word->state == DAXFS_HOST_RECOVERING && (unsigned)word->recoverer < fs->pool.super.hosts &&
	       host_word_unpack(sm_load(&fs_host(fs, (unsigned)word->recoverer)->word), &by) == 0 &&
	       DAXFS_RECOVERER_GENERATION(by.generation) != word->recoverer_generation;
}

static bool may_claim(struct daxfs *fs, const struct host_word *word, bool revives)
{
	if (word->state == DAXFS_HOST_FREE || word->state == DAXFS_HOST_RECOVERED)
		return true;
	return revives && (word->state == DAXFS_HOST_FENCED || abandoned(fs, word));
}

static int claim_slot(struct daxfs *fs, struct joiner *j, struct daxfs_error *err)
{
	uint64_t seen = sm_load(&fs_host(fs, fs->host)->word);
	struct host_word word;

	if (host_word_unpack(seen, &word))
		return daxfs_error_set(err, -EIO, "host slot %u makes no sense; run daxfsctl check", fs->host);
	if (!may_claim(fs, &word, j->revives))
		return daxfs_error_set(
			err, -EBUSY,
			"host %u is %s (generation %u): another agent has this id, or it died and is not "
			"recovered yet; choose another id, wait, or fence it",
			fs->host, daxfs_host_state_name(word.state), word.generation);
	return take_slot(fs, seen, word, j, err);
}

static void introduce(struct daxfs *fs, const struct card *card)
{
	struct sm_host *host = fs_host(fs, fs->host);
	uint64_t tenancy = 0;

	/* ORD introduce: nobody's before the name changes, ours after it (written back): whoever finds a
	 * tenancy before and after the name has its name. See read_tenant, daxfs_host_introduced. */
	sm_store_relaxed(&host->tenancy, 0);
	sm_fence();
	card_store(CARD_WORDS(host), card);
	if (getrandom(&tenancy, sizeof(tenancy), GRND_NONBLOCK) != sizeof(tenancy))
		tenancy = fs_now();
	sm_flush(&fs->pool.shm, &host->beat, 2 * DAXFS_LINE);
	sm_drain(&fs->pool.shm);
	/* ORD introduce: after the name. */
	sm_store(&host->tenancy, (uint64_t)fs->generation << 40 | (tenancy & 0xffffffffffull) | 1);
	sm_flush(&fs->pool.shm, host, sizeof(*host));
	sm_drain(&fs->pool.shm);
}

/* A lane whose record cannot be told, after a recovery that went past it: nobody's. */
static bool rests(const struct pool *pool, unsigned id)
{
	return lane_lost(pool, id) || status_state(sm_load(&pool->lanes[id].status)) >= DAXFS_STATUSES;
}

/* What a former tenant may not have left behind. */
static const char *leftovers(const struct daxfs *fs)
{
	const struct pool *pool = &fs->pool;

	for (unsigned i = 0; i < pool->super.lanes_per_host; i++) {
		unsigned id = fs->host * pool->super.lanes_per_host + i;
		const struct sm_lane *lane = &pool->lanes[id];

		if (rests(pool, id))
			continue;
		if (status_state(sm_load(&lane->status)) != DAXFS_IDLE)
			return "a record in flight";
		if (sm_load(&lane->todo))
			return "an unfinished file";
		if (sm_load(&lane->low))
			return "an announced epoch";
	}
	for (unsigned i = 0; i < pool->super.opens_per_host; i++) {
		const sm_u64 *open = &pool->open_table[(uint64_t)fs->host * pool->super.opens_per_host + i];

		if (!pool_lost(pool, open, sizeof(*open)) && sm_load(open))
			return "an open file";
	}
	return NULL;
}

void fs_free_slots(struct daxfs *fs)
{
	for (unsigned i = 0; fs->slots && i < fs->n_slots; i++)
		lane_fini(&fs->slots[i].lane);
	free(fs->slots);
	fs->slots = NULL;
	fs->n_slots = fs->broken = fs->resting = 0;
	open_table_fini(fs);
}

int fs_make_slots(struct daxfs *fs)
{
	unsigned per_host = fs->pool.super.lanes_per_host;
	int rc = open_table_init(fs);

	fs->n_slots = per_host;
	fs->slots = calloc(per_host, sizeof(*fs->slots));
	if (!fs->slots)
		rc = -ENOMEM;
	for (unsigned i = 0; rc == 0 && i < per_host; i++) {
		bool resting = rests(&fs->pool, fs->host * per_host + i);

		rc = lane_init(&fs->slots[i].lane, &fs->pool, fs->host * per_host + i, fs->host, fs->generation);
		atomic_init(&fs->slots[i].busy, resting);
		atomic_init(&fs->slots[i].broken, resting);
		fs->slots[i].rests = resting;
		fs->broken += resting;
		fs->resting += resting;
	}
	return rc;
}

/* Something of a former tenant is left in a slot that is JOINING and ours: it is for recovery to finalize. */
static int hand_over(struct daxfs *fs, const char *left, struct daxfs_error *err)
{
	int rc;

	fs_stores_free(fs); /* it revokes itself, and says why */
	rc = move_self(fs, DAXFS_HOST_FENCING, fs->generation, DAXFS_REASON_LEFTOVERS);

	if (rc == 0)
		move_self(fs, DAXFS_HOST_FENCED, fs->generation + 1, DAXFS_REASON_LEFTOVERS);
	return daxfs_error_set(err, -EBUSY,
			       "host slot %u still holds %s of a former tenant: wait until it is recovered", fs->host,
			       left);
}

/* Is this slot for us to have, now that all can see that we have taken it? */
static int may_stay(struct daxfs *fs, const struct joiner *j, struct daxfs_error *err)
{
	/* ORD repair word: either the repair sees this slot taken, or we see the repair; inspect/repair_run.c.
	 * ORD names: either another one that joins sees our name, or we see its. */
	sm_fence();
	if (sm_load(&fs->pool.member->manager.repair))
		return daxfs_error_set(err, -EUCLEAN,
				       "the pool is being repaired, or a repair of it was interrupted: "
				       "let it end, or run daxfsctl repair again");
	if (!lobby_holds(&fs->pool, j->seat))
		return daxfs_error_set(err, -EAGAIN, "was too slow to join; try again");
	return fs_name_taken(fs, j->name, err);
}

/* The slot is JOINING and ours: make it ALIVE. */
static int join_activate(struct daxfs *fs, const struct joiner *j, struct daxfs_error *err)
{
	const char *left = j->revives ? NULL : leftovers(fs);

	if (left)
		return hand_over(fs, left, err);
	if (fs_make_slots(fs))
		return daxfs_error_set(err, -ENOMEM, "out of memory");
	if (fs->broken == fs->n_slots)
		return daxfs_error_set(err, -EIO, "memory of every lane of host slot %u failed: choose another id",
				       fs->host);
	/* ORD alive: lanes name their owner (written back) before it is ALIVE. */
	sm_drain(&fs->pool.shm);
	return move_self(fs, DAXFS_HOST_ALIVE, fs->generation, DAXFS_REASON_JOINED) ? -ESTALE : 0;
}

static void give_up(struct daxfs *fs)
{
	sm_u64 *tenancy = &fs_host(fs, fs->host)->tenancy;

	/* ORD give up: not introduced any more (written back), then FREE: the next one has this generation too. */
	sm_store(tenancy, 0);
	sm_flush(&fs->pool.shm, tenancy, sizeof(*tenancy));
	sm_drain(&fs->pool.shm);
	move_self(fs, DAXFS_HOST_FREE, fs->generation, DAXFS_REASON_LEFT);
}

static int may_join(const struct daxfs *fs, unsigned host, const char *name, struct daxfs_error *err)
{
	if (!*fs->here)
		return daxfs_error_set(err, -ECHILD,
				       "this process is a child of the one that opened the pool: open it anew");
	if (!fs->pool.writable)
		return daxfs_error_set(err, -EROFS, "the pool is mapped read-only; open it for writing to join");
	if (fs->joined)
		return daxfs_error_set(err, -EALREADY, "already joined as host %u", fs->host);
	if (host >= fs->pool.super.hosts)
		return daxfs_error_set(err, -EINVAL, "host %u: this pool has hosts 0 to %u; choose one of them", host,
				       fs->pool.super.hosts - 1);
	if (name && strlen(name) >= sizeof(fs->pool.member->host[0].name))
		return daxfs_error_set(err, -ENAMETOOLONG, "host name %.64s is longer than %zu bytes", name,
				       sizeof(fs->pool.member->host[0].name) - 1);
	return 0;
}

/* The slot is JOINING and ours. */
static int settle(struct daxfs *fs, const struct joiner *j, struct daxfs_error *err)
{
	int rc = may_stay(fs, j, err);

	if (rc == 0) {
		introduce(fs, &j->card);
		lobby_leave(&fs->pool, j->seat);
		rc = features_enter(&fs->pool, fs->host, fs->generation, err);
	}
	if (rc == 0)
		rc = join_activate(fs, j, err);
	if (rc == 0)
		return 0;
	fs_free_slots(fs);
	if (rc != -EBUSY) /* given to recovery: for its fence the slot keeps its name */
		give_up(fs);
	lobby_leave(&fs->pool, j->seat);
	return rc == -EAGAIN ? -EBUSY : rc;
}

struct join_call {
	struct daxfs *fs;
	struct joiner joiner;
	const struct daxfs_identity *identity;
	struct daxfs_error *err;
};

static int take(void *arg)
{
	struct join_call *call = arg;
	int rc = fs_end_predecessors(call->fs, call->identity, call->err);

	return rc ? rc : claim_slot(call->fs, &call->joiner, call->err);
}

static int settle_in(void *arg)
{
	struct join_call *call = arg;

	return settle(call->fs, &call->joiner, call->err);
}

/* What this host does by itself; the rest is told by the manager. */
static void tell(struct daxfs *fs, enum daxfs_host_state state, enum daxfs_reason reason)
{
	struct daxfs_event event = member_event(&fs->pool, DAXFS_EVENT_STATE, fs->host);

	event.state = state;
	event.reason = reason;
	event_add(&fs->pool, &event);
}

int fs_join(struct daxfs *fs, unsigned host, const char *name, const struct daxfs_identity *identity, bool revives,
	    struct daxfs_error *err)
{
	struct shm_guard guard = shm_guard_of(&fs->pool.shm);
	struct join_call call = { fs, { .name = name, .revives = revives }, identity, err };
	int rc = may_join(fs, host, name, err);

	if (rc)
		return rc;
	call.joiner.card = card_make(name, identity);
	fs->host = host;
	trouble_sync(&fs->pool);
	rc = shm_guard_run(&guard, take, &call);
	if (rc == 0) {
		fs_stores_ask(fs);
		rc = shm_guard_run(&guard, settle_in, &call); /* in a guard of its own: that asks */
	}
	if (rc) {
		fs_stores_free(fs);
		fs_free_slots(fs);
	}
	if (rc == -ESTALE) /* seen in a word, or at a store */
		daxfs_error_set(err, rc, "declared dead while joining; try again");
	if (guard.hit) { /* as if it had died while JOINING: the manager sees to the slot */
		trouble_add_page(&fs->pool, guard.offset);
		return daxfs_error_set(err, -EIO,
				       "memory of the pool failed at offset %#llx: try again, or choose another id",
				       (unsigned long long)guard.offset);
	}
	if (rc)
		return rc;
	lease_joined(fs);
	fs->joined = true;
	tell(fs, DAXFS_HOST_ALIVE, DAXFS_REASON_JOINED);
	return 0;
}

int daxfs_join_as(struct daxfs *fs, unsigned host, const char *name, const struct daxfs_identity *identity,
		  struct daxfs_error *err)
{
	int was = process_cancel_off(), rc = fs_join(fs, host, name, identity, false, err);

	process_cancel_restore(was);
	return rc;
}

int daxfs_join(struct daxfs *fs, unsigned host, const char *name, struct daxfs_error *err)
{
	const struct daxfs_identity unknown = { .pid = (uint32_t)getpid() };

	return daxfs_join_as(fs, host, name, &unknown, err);
}

static int leave(void *arg)
{
	struct daxfs *fs = arg;
	int rc = -EAGAIN;

	/* ORD leave: idle lanes and withdrawn announcements are written back before the slot is FREE, for
	 * nobody recovers it; so are emptied places of the open table (here, or when a lane was given back). */
	for (unsigned i = 0; i < fs->n_slots; i++)
		sm_flush(&fs->pool.shm, fs->slots[i].lane.sm, 2 * DAXFS_LINE);
	sm_drain(&fs->pool.shm);
	/* Declared dead in the middle; or a file that could not be closed, or finished: for recovery. */
	if (leftovers(fs))
		return lane_alive(&fs->slots[0].lane) ? -EIO : -ESTALE;
	/* Before it does, for nobody who has left may store anything: the pool may be made anew by then. */
	if (lane_alive(&fs->slots[0].lane))
		tell(fs, DAXFS_HOST_FREE, DAXFS_REASON_LEFT);
	fs_stores_free(fs); /* what follows are moves of its own word, and why */
	for (int tries = 0; rc == -EAGAIN && tries < 100; tries++) {
		/* A late heartbeat may have made us SUSPECT just now. */
		move_self(fs, DAXFS_HOST_ALIVE, fs->generation, DAXFS_REASON_BEAT_RESUMED);
		rc = move_self(fs, DAXFS_HOST_FREE, fs->generation + 1, DAXFS_REASON_LEFT);
		if (rc == -EINVAL)
			rc = -ESTALE; /* FENCING or worse: not ours to leave */
	}
	return rc;
}

int daxfs_leave(struct daxfs *fs)
{
	int rc;

	if (!*fs->here)
		return -ECHILD;
	if (!fs->joined)
		return -ESTALE;
	if (atomic_load(&fs->parked))
		return -EBUSY;
	open_table_fini(fs); /* releases what is still held */
	fs_retry_broken(fs);
	rc = fs_take_all_lanes(fs); /* nobody starts any more */
	if (rc == 0)
		rc = fs_guarded(fs, leave, fs);
	fs_stores_free(fs);
	/* -EIO: a record that could not be told is still in flight: only being fenced and
	 * recovered frees this slot. */
	fs->joined = false;
	local_forget(fs);
	fs_free_slots(fs);
	return rc;
}

static int beat(void *arg)
{
	struct daxfs *fs = arg;
	struct sm_host *host = fs_host(fs, fs->host);
	uint64_t lanes = 0, records = 0, owned = 0, before_ns;

	if (!lane_alive(&fs->slots[0].lane))
		return -ESTALE;
	for (unsigned i = 0; i < fs->n_slots; i++) {
		const struct sm_lane *lane = fs->slots[i].lane.sm;
		bool busy = !lane_lost(&fs->pool, fs->slots[i].lane.id) &&
			    status_state(sm_load(&lane->status)) != DAXFS_IDLE;

		lanes += atomic_load_explicit(&fs->slots[i].busy, memory_order_relaxed);
		records += busy;
		owned += busy ? sm_load(&lane->n_allocs) : 0;
	}
	sm_store_relaxed(&host->lanes, lanes);
	sm_store_relaxed(&host->records, records);
	sm_store_relaxed(&host->owned, owned);
	sm_store_relaxed(&host->pins, open_table_count(fs));
	before_ns = lease_clock();
	/* ORD beat: one writer; the manager only asks whether it moved. */
	sm_store(&host->beat, sm_load_relaxed(&host->beat) + 1);
	sm_flush(&fs->pool.shm, &host->beat, DAXFS_LINE);
	lease_beats(fs, before_ns);
	if (!pool_lost(&fs->pool, fs->pool.holders[fs->host].cache, sizeof(fs->pool.holders[fs->host].cache))) {
		cache_tell(fs);
		local_tick(fs);
		asks_tell(fs);
	}
	return 0;
}

int daxfs_beat(struct daxfs *fs)
{
	struct shm_guard guard = shm_guard_of(&fs->pool.shm);
	int rc;

	if (!*fs->here)
		return -ECHILD;
	if (!fs->joined)
		return -ESTALE;
	do { /* a lane whose memory fails must not keep the heart from beating */
		guard.hit = false;
		rc = shm_guard_run(&guard, beat, fs);
	} while (guard.hit && trouble_add_page(&fs->pool, guard.offset) > 0);
	trouble_sync(&fs->pool);
	return rc;
}

struct timing_call {
	const struct pool *pool;
	unsigned ms;
};

static int load_heartbeat(void *arg)
{
	struct timing_call *call = arg;

	call->ms = timing_load(call->pool).beat_ms;
	return 0;
}

/* Where the word cannot be read no manager can, and none judges. */
unsigned daxfs_heartbeat_ms(const struct daxfs *fs)
{
	struct timing_call call = { &fs->pool, fs->pool.super.heartbeat_ms };
	struct shm_guard guard = shm_guard_of(&fs->pool.shm);

	if (*fs->here)
		shm_guard_run(&guard, load_heartbeat, &call);
	return call.ms;
}

bool daxfs_progressing(struct daxfs *fs, unsigned calls)
{
	bool progressing = true;

	for (unsigned i = 0; i < fs->n_slots; i++) {
		struct lane_slot *slot = &fs->slots[i];
		unsigned now = atomic_load_explicit(&slot->lane.moved, memory_order_relaxed);
		bool same = atomic_load_explicit(&slot->busy, memory_order_relaxed) &&
			    !atomic_load_explicit(&slot->parked, memory_order_relaxed) && now == slot->seen;

		slot->stuck = same ? slot->stuck + 1 : 0;
		slot->seen = now;
		progressing &= slot->stuck < calls;
	}
	return progressing;
}
