/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fs/lease.c - recalling, writing, granting; see sync/lease.h for the rules by their numbers.
 *
 * In this process: workers grant, one thread gives back (daxfs_lease_poll). Each stripe of inodes has
 * a count of recalls under way. A worker enters its answer, then looks at that count; who
 * recalls sets it, then waits for answers that were entered before (L3). So of a grant and a recall of one
 * process, too, one sees the other. A crash leaves what sync/lease.h says; nothing here is shared.
 */
#include "fs/lease.h"

#include <errno.h>
#include <stdlib.h>

#include "mem/process.h"
#include "sync/lease_own.h"

#define NS_PER_MS UINT64_C(1000000)
#define COOL_NS (4 * NS_PER_MS) /* not granted again, after one recall ... */
#define COOL_DOUBLINGS 7u       /* ... and after many */
#define COOL_AGAIN_NS (1000 * NS_PER_MS)
#define SPINS 64u /* looks before a waiting thread sleeps */
#define NAP_US 50u

static uint64_t lease_ns(const struct daxfs *fs)
{
	return fs->pool.super.lease_ms * NS_PER_MS;
}

/* An answer may take so long to arrive, from where its length was set; and clocks do not run alike. */
static uint64_t slack(const struct daxfs *fs)
{
	return lease_ns(fs) / 4;
}

static struct lease_stripe *stripe_of(const struct daxfs *fs, uint64_t index)
{
	return &fs->lease.stripe[index % LEASE_STRIPES];
}

static void rest(unsigned looks)
{
	if (looks < SPINS)
		sm_pause();
	else
		sm_nap(NAP_US);
}

/* -- this host ------------------------------------------------------------------------------ */

void lease_holder_init(struct lease_holder *h)
{
	pthread_mutex_init(&h->watch.lock, NULL);
}

void lease_holder_fini(struct lease_holder *h)
{
	pthread_mutex_destroy(&h->watch.lock);
	free(h->stripe);
	free(h->own);
}

static sm_u64 *own_term(struct daxfs *fs)
{
	return &fs->pool.holders[fs->host].term;
}

void lease_joined(struct daxfs *fs)
{
	if (!lease_used(&fs->pool))
		return;
	atomic_store(&fs->lease.serving, false);
	atomic_store(&fs->lease.beat_ns, 0);
	fs->lease.inherited_ns = 0;
	if (term_state(sm_load(own_term(fs))) != DAXFS_TERM_VOID) /* L5 */
		fs->lease.inherited_ns = lease_clock() + lease_ns(fs);
}

int lease_prepare(struct daxfs *fs)
{
	if (lease_used(&fs->pool) && !fs->lease.own)
		fs->lease.own = lease_own_make(&fs->pool);
	return lease_used(&fs->pool) && !fs->lease.own ? -ENOMEM : 0;
}

bool lease_moves(struct daxfs *fs, struct lane *by, struct sm_inode *sm)
{
	if (fs->pool.own || !fs->lease.own)
		return !lease_own_changes(by, sm);
	lease_own_tells(fs->lease.own, (uint64_t)(sm - fs->pool.inodes));
	return true;
}

/* A former tenant of the slot granted; nobody here answers for it, and its kernel believes nothing any more. */
static void disinherit(struct daxfs *fs)
{
	uint64_t term = sm_load(own_term(fs));

	if (lease_clock() < fs->lease.inherited_ns)
		return;
	fs->lease.inherited_ns = 0;
	if (term_state(term) != DAXFS_TERM_VOID)
		lease_move_term(&fs->pool, fs->host, term, term_with(term, DAXFS_TERM_VOID));
}

void lease_beats(struct daxfs *fs, uint64_t before_ns)
{
	if (!lease_used(&fs->pool))
		return;
	/* After the beat, which is what others see (L4). */
	atomic_store(&fs->lease.beat_ns, before_ns);
	if (fs->lease.inherited_ns && !atomic_load(&fs->lease.serving))
		disinherit(fs);
	for (unsigned host = 0; host < fs->pool.super.hosts; host++)
		if (host != fs->host)
			lease_watch_look(&fs->pool, host, &fs->lease.watch);
}

/* -- forgetting -------------------------------------------------------------------------------- */

/*
 * The cache forgets. Of an inode that it does not know it has forgotten nothing: an answer that makes it known may
 * have been given and not have been taken yet, for which it has a quarter of T (L4).
 */
static void forget(struct daxfs *fs, daxfs_ino ino, bool names, daxfs_lease_drop drop, void *context)
{
	struct lease_stripe *stripe = stripe_of(fs, handle_index(ino));

	for (unsigned looks = 0; !drop(context, ino, names); looks++) {
		if (lease_clock() >= atomic_load(&stripe->fresh_ns) + slack(fs))
			break;
		rest(looks);
	}
}

/* -- recalling -------------------------------------------------------------------------------- */

/* One look at who is in the way: false, nobody. */
static bool ask_others(struct daxfs *fs, const struct sm_inode *sm)
{
	uint64_t others = lease_others(&fs->pool, sm, fs->host), w;

	for (w = others; w; w &= w - 1) {
		unsigned host = (unsigned)__builtin_ctzll(w);

		lease_ask(&fs->pool, host, (uint64_t)(sm - fs->pool.inodes));
		lease_watch_look(&fs->pool, host, &fs->lease.watch);
	}
	return others;
}

static void recall_others(struct daxfs *fs, struct lane *lane)
{
	for (unsigned i = 0; i < lane->notes.n_recalls; i++) {
		const struct sm_inode *sm = &fs->pool.inodes[lane->notes.recalls[i]];

		for (unsigned looks = 0; lane_alive(lane) && ask_others(fs, sm); looks++) {
			lane_moved(lane);
			rest(looks);
		}
	}
	lane->notes.n_recalls = 0;
}

/* O1 of lease_own.h. */
static void forget_own(struct daxfs *fs, struct lane *lane)
{
	struct lease_holder *h = &fs->lease;
	uint32_t index;

	while (lease_own_next(lane, &index)) {
		const struct sm_inode *sm = &fs->pool.inodes[index];

		lane_moved(lane);
		if (atomic_load(&h->serving) && h->changes)
			forget(fs, handle_make(sm_load_relaxed(&sm->i_generation), index), false, h->changes,
			       h->context);
		lease_own_clear(lane->pool->own, index);
	}
}

void lease_recall(struct daxfs *fs, struct lane *lane)
{
	int was = process_cancel_off();

	forget_own(fs, lane);
	recall_others(fs, lane);
	process_cancel_restore(was);
}

/* -- changing ----------------------------------------------------------------------------------- */

static bool writes(const struct lane *lane, const struct sm_inode *sm)
{
	return sm_load(&sm->writers) >> lane->host & 1;
}

/* Is anything to be recalled, from others or from this host's own cache, before it is changed? Then that is noted. */
static bool is_told(struct lane *lane, struct sm_inode *sm)
{
	bool own = lease_own_changes(lane, sm), others = lease_others(lane->pool, sm, lane->host);

	if (others)
		lease_note(lane, sm);
	return own || others;
}

/* Times are not touched before: they are plain words, that everybody sees at once. */
void change_stage(struct lane *lane, struct sm_inode *sm, bool modified)
{
	change_bar(lane, sm);
	if (!lane->txn.conflict)
		inode_touch(lane, sm, modified); /* L7 */
}

void change_bar(struct lane *lane, struct sm_inode *sm)
{
	if (!lease_used(lane->pool))
		return;
	lease_stage(lane, sm);
	lane->txn.conflict |= is_told(lane, sm);
}

int change_alone(struct lane *lane, struct sm_inode *sm)
{
	if (!lease_used(lane->pool))
		return 0;
	if (writes(lane, sm))
		return lease_own_changes(lane, sm) ? -EAGAIN : 0;
	return is_told(lane, sm) ? -EAGAIN : 0;
}

void change_settle(struct lane *lane, struct sm_inode *sm)
{
	if (!lease_used(lane->pool) || writes(lane, sm))
		return;
	/* ORD settle: the times before the look for bits; pairs with the fence of who grants. */
	sm_fence();
	if (lease_others(lane->pool, sm, lane->host))
		lease_note(lane, sm);
}

void inode_changed(struct lane *lane, struct sm_inode *sm)
{
	if (inode_touch_again(lane, sm, true))
		change_settle(lane, sm);
}

void inode_renamed(struct lane *lane, struct sm_inode *sm)
{
	if (inode_touch_again(lane, sm, false))
		change_settle(lane, sm);
}

/* Does this host hold the file open, so that its last close, or recovery, will clear a bit in `writers`? */
static bool holds(struct lane *lane, const struct sm_inode *sm)
{
	return word_load(lane, &sm->openers[lane->host / 32]) >> (lane->host % 32) & 1;
}

int lease_may_write(struct lane *lane, struct sm_inode *sm, bool *alone)
{
	*alone = true;
	if (!lease_used(lane->pool))
		return 0;
	if (__builtin_expect(lease_own_changes(lane, sm), 0))
		return -EAGAIN;
	if (!writes(lane, sm)) {
		*alone = holds(lane, sm);
		if (!*alone)
			return 0;
		lease_set_bit(lane->pool, &sm->writers, lane->host);
	}
	/* ORD writer: the bit before the look for leases (L6); pairs with the fence of who grants. */
	sm_fence_after_cas();
	if (__builtin_expect(!lease_others(lane->pool, sm, lane->host), 1))
		return 0;
	lease_note(lane, sm);
	return -EAGAIN;
}

void lease_written(struct lane *lane, struct sm_inode *sm, unsigned host)
{
	if (lease_used(lane->pool))
		lease_clear_bit(lane->pool, &sm->writers, host);
}

/* -- granting ------------------------------------------------------------------------------------- */

uint64_t lease_length(const struct daxfs *fs)
{
	uint64_t now = lease_clock(), end = atomic_load(&fs->lease.beat_ns) + lease_ns(fs) - slack(fs);

	return end > now ? end - now : 0;
}

/* Somebody found us silent. What was granted before has run out, or counts still; from now on it is another term. */
static void renew_term(struct daxfs *fs, uint64_t own)
{
	uint64_t seen = sm_load(own_term(fs)), next = term_with(seen + 4, DAXFS_TERM_GRANTING);

	if (seen != own && lease_move_term(&fs->pool, fs->host, seen, next))
		atomic_store(&fs->lease.term, next);
}

static bool others_write(const struct daxfs *fs, const struct sm_inode *sm)
{
	return sm_load(&sm->writers) & ~(UINT64_C(1) << fs->host);
}

static bool may_grant(struct daxfs *fs, const struct lease_stripe *stripe, const struct sm_inode *sm)
{
	return !atomic_load(&stripe->recalling) && atomic_load(&stripe->cool_ns) <= lease_clock() &&
	       !others_write(fs, sm) && lease_length(fs) >= lease_ns(fs) / 8; /* shorter is not worth it */
}

bool lease_grant(struct daxfs *fs, struct lane *lane, uint64_t handle, bool names, bool fresh)
{
	uint64_t index = handle_index(handle), own = atomic_load(&fs->lease.term), now = lease_clock();
	struct sm_inode *sm = &fs->pool.inodes[index];
	struct lease_stripe *stripe;

	if (!atomic_load(&fs->lease.serving) || fs->lease.inherited_ns > now || !index ||
	    index >= fs->pool.objects[DAXFS_T_INODE])
		return false;
	stripe = stripe_of(fs, index);
	if (!may_grant(fs, stripe, sm) || (!names && !lease_own_tells(fs->pool.own, index)))
		return false;
	atomic_store(&stripe->granted_ns, now);
	if (fresh)
		atomic_store(&stripe->fresh_ns, now);
	if (names)
		atomic_store(&stripe->names_ns, now);
	lease_set_bit(&fs->pool, &sm->leases, lane->host);
	/* ORD grant: the bit before what is granted, before `writers`, and before the term (L2, L4, L6). */
	sm_fence();
	if (sm_load(own_term(fs)) != own) {
		renew_term(fs, own);
		return false;
	}
	return !others_write(fs, sm) && !size_prune(word_load(lane, &sm->size));
}

uint64_t lease_begun(const struct daxfs *fs, uint64_t handle)
{
	return fs->pool.own ? lease_own_begun(fs->pool.own, handle_index(handle)) : 0;
}

bool daxfs_lease_stands(struct daxfs *fs, daxfs_ino ino, const struct daxfs_lease *lease)
{
	return lease_begun(fs, ino) == lease->begun;
}

uint64_t lease_since(struct daxfs *fs, struct lane *lane, uint64_t handle)
{
	uint64_t index = handle_index(handle), number = atomic_load(&fs->lease.term) >> 2;
	const struct sm_inode *sm = &fs->pool.inodes[index];

	/* ORD none: this host's own bit. */
	if (sm_load_relaxed(&sm->writers) >> lane->host & 1)
		return 0;
	return number << 32 | atomic_load(&stripe_of(fs, index)->returned);
}

/* -- giving back -------------------------------------------------------------------------------------- */

void daxfs_answer_begin(struct daxfs *fs, struct daxfs_answer *answer)
{
	struct lease_holder *h = &fs->lease;
	unsigned phase = atomic_load(&h->phase) & 1;

	/* Counted in the phase that is current after it was counted: who waits for a phase to end has left it. */
	atomic_fetch_add(&h->under_way[phase], 1);
	while ((atomic_load(&h->phase) & 1) != phase) {
		atomic_fetch_sub(&h->under_way[phase], 1);
		phase ^= 1;
		atomic_fetch_add(&h->under_way[phase], 1);
	}
	*answer = (struct daxfs_answer){ phase, lease_clock() };
}

bool daxfs_answer_end(struct daxfs *fs, const struct daxfs_answer *answer)
{
	atomic_fetch_sub(&fs->lease.under_way[answer->phase & 1], 1);
	return lease_clock() - answer->begun_ns <= slack(fs) * 3 / 4;
}

/* Until all answers that are under way have been given. */
static void answers_arrive(struct lease_holder *h)
{
	unsigned phase = atomic_fetch_add(&h->phase, 1) & 1;

	for (unsigned looks = 0; atomic_load(&h->under_way[phase]); looks++)
		rest(looks);
}

/* Others in the stripe may be directories. One that is being changed is taken for one. */
static bool may_have_names(const struct sm_inode *sm)
{
	uint64_t w = sm_load_relaxed(&sm->mode);

	return word_is_mark(w) || S_ISDIR((mode_t)word_payload(w, DAXFS_W_ATTR));
}

static bool has_names(const struct daxfs *fs, const struct lease_stripe *stripe, const struct sm_inode *sm)
{
	return lease_clock() < atomic_load(&stripe->names_ns) + lease_ns(fs) && may_have_names(sm);
}

static void cool(struct lease_stripe *stripe)
{
	uint64_t now = lease_clock(), last = atomic_load(&stripe->cool_ns);

	stripe->strikes = now < last + COOL_AGAIN_NS && stripe->strikes < COOL_DOUBLINGS ? stripe->strikes + 1 : 0;
	atomic_store(&stripe->cool_ns, now + (COOL_NS << stripe->strikes));
}

static void give_back(struct daxfs *fs, uint64_t index, daxfs_lease_drop drop, void *context)
{
	struct sm_inode *sm = &fs->pool.inodes[index];
	struct lease_stripe *stripe = stripe_of(fs, index);

	atomic_fetch_add(&stripe->recalling, 1);
	answers_arrive(&fs->lease);
	if (sm_load(&sm->leases) >> fs->host & 1) {
		if (lease_clock() < atomic_load(&stripe->granted_ns) + lease_ns(fs))
			forget(fs, handle_make(sm_load(&sm->i_generation), index), has_names(fs, stripe, sm), drop,
			       context);
		atomic_fetch_add(&stripe->returned, 1); /* no answer is under way: none has both numbers */
		lease_clear_bit(&fs->pool, &sm->leases, fs->host);
		cool(stripe);
	}
	atomic_fetch_sub(&stripe->recalling, 1);
}

int daxfs_lease_poll(struct daxfs *fs, daxfs_lease_drop drop, void *context)
{
	sm_u64 *request = fs->pool.holders[fs->host].request;
	int n = 0;

	if (!atomic_load(&fs->lease.serving) || fs->lease.inherited_ns > lease_clock())
		return 0;
	for (unsigned i = 0; i < LEASE_REQUESTS; i++) {
		uint64_t index = sm_load_relaxed(&request[i]);

		if (!index)
			continue;
		if (index < fs->pool.objects[DAXFS_T_INODE])
			give_back(fs, index, drop, context);
		sm_cas(&request[i], index, 0); /* ORD none: a hint, and repeated */
		n++;
	}
	return n;
}

/* What a former process granted we do not know: everything, until now. */
static void take_over(struct lease_holder *h)
{
	uint64_t now = lease_clock();

	for (unsigned i = 0; i < LEASE_STRIPES; i++) {
		atomic_store(&h->stripe[i].names_ns, now);
		atomic_store(&h->stripe[i].granted_ns, now);
		atomic_store(&h->stripe[i].fresh_ns, now);
	}
	h->inherited_ns = 0;
}

/* Who went on with the lanes moved times, if somebody had looked at them (mend.c): so had its cache, perhaps. */
static void forget_moved(struct daxfs *fs)
{
	struct lease_holder *h = &fs->lease;

	for (uint64_t index = 0; lease_own_told_from(h->own, &index, fs->pool.objects[DAXFS_T_INODE]); index++) {
		const struct sm_inode *sm = &fs->pool.inodes[index];

		if (pool_lost(&fs->pool, sm, sizeof(*sm)))
			continue;
		forget(fs, handle_make(sm_load_relaxed(&sm->i_generation), index), false, h->changes, h->context);
		lease_own_clear(h->own, index);
	}
}

static int start(struct daxfs *fs, daxfs_lease_drop changes, void *context, bool goes_on)
{
	struct lease_holder *h = &fs->lease;
	uint64_t seen, next;
	int rc = fs_ready(fs);

	if (rc)
		return rc;
	if (!lease_used(&fs->pool))
		return -EOPNOTSUPP;
	if (!h->stripe)
		h->stripe = calloc(LEASE_STRIPES, sizeof(*h->stripe));
	if (!h->stripe || lease_prepare(fs))
		return -ENOMEM;
	h->own->all_ns = goes_on ? lease_clock() + lease_ns(fs) : 0;
	fs->pool.own = h->own;
	do {
		seen = sm_load(own_term(fs));
		next = term_with(seen + 4, DAXFS_TERM_GRANTING);
	} while (!lease_move_term(&fs->pool, fs->host, seen, next));
	if (goes_on)
		take_over(h);
	atomic_store(&h->term, next);
	h->changes = changes;
	h->context = context;
	if (goes_on && changes)
		forget_moved(fs);
	atomic_store(&h->serving, true);
	return 0;
}

int daxfs_lease_start(struct daxfs *fs, daxfs_lease_drop changes, void *context)
{
	return start(fs, changes, context, false);
}

int daxfs_lease_go_on(struct daxfs *fs, daxfs_lease_drop changes, void *context)
{
	return start(fs, changes, context, true);
}

void daxfs_lease_stop(struct daxfs *fs)
{
	uint64_t seen;

	if (!*fs->here || !atomic_exchange(&fs->lease.serving, false))
		return;
	/* Not what a former tenant was granted: that is for the beat, or for who waits. */
	seen = sm_load(own_term(fs));
	if (fs->lease.inherited_ns <= lease_clock() && term_state(seen) != DAXFS_TERM_VOID)
		lease_move_term(&fs->pool, fs->host, seen, term_with(seen, DAXFS_TERM_VOID));
}
