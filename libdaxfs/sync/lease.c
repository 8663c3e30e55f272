/* SPDX-License-Identifier: Apache-2.0 */
/* lease.c - leases in shared memory: bits, terms, requests. See lease.h for what holds, and who died where. */
#include "sync/lease.h"

#include "mem/clock.h"

#define NS_PER_MS UINT64_C(1000000)

/* -- bits ----------------------------------------------------------------------------- */

void lease_set_bit(struct pool *pool, sm_u64 *word, unsigned host)
{
	uint64_t bit = UINT64_C(1) << host, w = sm_load(word);

	while (!(w & bit))
		/* ORD bit: before what is granted is looked at; the caller fences. Crash: a bit without a lease. */
		if (sm_cas_value(word, &w, w | bit))
			break;
	sm_flush(&pool->shm, word, sizeof(*word));
	sm_drain(&pool->shm);
}

void lease_clear_bit(struct pool *pool, sm_u64 *word, unsigned host)
{
	uint64_t bit = UINT64_C(1) << host, w = sm_load(word);

	while (w & bit)
		/* ORD unlease: after the kernel has forgotten. Crash: it has forgotten. */
		if (sm_cas_value(word, &w, w & ~bit))
			break;
	sm_flush(&pool->shm, word, sizeof(*word));
}

uint64_t lease_others(const struct pool *pool, const struct sm_inode *sm, unsigned host)
{
	uint64_t w = sm_load(&sm->leases) & ~(UINT64_C(1) << host), others = 0;

	for (; w; w &= w - 1) {
		unsigned other = (unsigned)__builtin_ctzll(w);

		if (other < pool->super.hosts && term_state(sm_load(&pool->holders[other].term)) != DAXFS_TERM_VOID)
			others |= w & -w;
	}
	return others;
}

/* -- who changes ------------------------------------------------------------------------ */

void lease_stage(struct lane *lane, const struct sm_inode *sm)
{
	txn_lease(&lane->txn, (uint32_t)(sm - lane->pool->inodes));
}

void lease_write_down(struct lane *lane)
{
	uint64_t w[2] = { 0, 0 };

	for (unsigned i = 0; i < lane->txn.n_leases; i++)
		w[i / 2] |= (uint64_t)lane->txn.leases[i] << (i % 2 * 32);
	/* ORD weak descriptor: as the words of the record. */
	sm_store(&lane->sm->leases[0], w[0]);
	sm_store(&lane->sm->leases[1], w[1]);
}

static bool barred(const struct pool *pool, uint64_t w, unsigned owner)
{
	for (; w; w >>= 32) {
		uint64_t index = w & UINT32_MAX;

		if (index && index < pool->objects[DAXFS_T_INODE] && lease_others(pool, &pool->inodes[index], owner))
			return true;
	}
	return false;
}

bool lease_bars(const struct pool *pool, const struct sm_lane *record)
{
	uint64_t first = sm_load(&record->leases[0]), second = sm_load(&record->leases[1]);
	unsigned owner;

	if (__builtin_expect(!(first | second), 1))
		return false;
	owner = (unsigned)sm_load_relaxed(&record->owner) % DAXFS_HOSTS_MAX;
	/* ORD lease: the marks before the bits; pairs with the fence of who grants, between its bit and its look. */
	sm_fence_after_cas();
	return barred(pool, first, owner) || barred(pool, second, owner);
}

void lease_note(struct lane *lane, const struct sm_inode *sm)
{
	lease_notes_recall(&lane->notes, (uint32_t)(sm - lane->pool->inodes));
}

bool lease_bars_staged(struct lane *lane)
{
	for (unsigned i = 0; i < lane->txn.n_leases; i++) {
		const struct sm_inode *sm = &lane->pool->inodes[lane->txn.leases[i]];

		if (lease_others(lane->pool, sm, lane->host))
			lease_note(lane, sm);
	}
	return lane->notes.n_recalls;
}

void lease_ask(struct pool *pool, unsigned host, uint64_t index)
{
	sm_u64 *request = pool->holders[host].request;
	unsigned free_at = LEASE_REQUESTS;

	for (unsigned i = 0; i < LEASE_REQUESTS; i++) {
		uint64_t w = sm_load_relaxed(&request[i]);

		if (w == index)
			return;
		if (!w && free_at == LEASE_REQUESTS)
			free_at = i;
	}
	/* ORD none: a hint, and repeated. No place is free, or was taken: next time. */
	if (free_at < LEASE_REQUESTS)
		sm_cas(&request[free_at], 0, index);
}

/* -- terms -------------------------------------------------------------------------------- */

uint64_t lease_clock(void)
{
	return monotonic_ns();
}

bool lease_move_term(struct pool *pool, unsigned host, uint64_t seen, uint64_t term)
{
	sm_u64 *word = &pool->holders[host].term;

	/* ORD term: after the silence was seen. Crash: the term is as it was, or moved. */
	if (!sm_cas(word, seen, term))
		return false;
	sm_flush(&pool->shm, word, sizeof(*word));
	sm_drain(&pool->shm);
	return true;
}

/* A host whose beat was `beat` for T: its leases have run out. */
static void make_void(struct pool *pool, unsigned host, uint64_t term, uint64_t beat)
{
	if (term_state(term) == DAXFS_TERM_GRANTING) {
		if (!lease_move_term(pool, host, term, term_with(term, DAXFS_TERM_ACCUSED)))
			return;
		term = term_with(term, DAXFS_TERM_ACCUSED);
	}
	/* ORD accuse: the accusation before the second look at the beat; pairs with the fence of who grants,
	 * between its beat and its look at the term. */
	sm_fence();
	if (sm_load(&pool->member->host[host].beat) == beat)
		lease_move_term(pool, host, term, term_with(term, DAXFS_TERM_VOID));
}

/* Nobody grants: the next tenant comes when the host is recovered. */
void lease_cut_off(struct pool *pool, unsigned host)
{
	uint64_t term = sm_load_relaxed(&pool->holders[host].term);

	if (term_state(term) != DAXFS_TERM_VOID)
		lease_move_term(pool, host, term, term_with(term, DAXFS_TERM_VOID));
}

/* Has nothing of a host changed for T? now: before it was looked at. */
static bool is_silent(struct lease_watch *watch, unsigned host, uint64_t number, uint64_t beat, uint64_t now,
		      uint64_t t_ns)
{
	bool silent = false;

	pthread_mutex_lock(&watch->lock);
	if (watch->host[host].number != number || watch->host[host].beat != beat || !watch->host[host].since_ns) {
		watch->host[host].number = number;
		watch->host[host].beat = beat;
		watch->host[host].since_ns = lease_clock(); /* after the beat, which is as old as that, or older */
	} else {
		silent = now > watch->host[host].since_ns && now - watch->host[host].since_ns >= t_ns;
	}
	pthread_mutex_unlock(&watch->lock);
	return silent;
}

void lease_watch_look(struct pool *pool, unsigned host, struct lease_watch *watch)
{
	uint64_t now = lease_clock(), term = sm_load(&pool->holders[host].term);
	uint64_t beat = sm_load(&pool->member->host[host].beat);

	if (term_state(term) != DAXFS_TERM_VOID &&
	    is_silent(watch, host, term >> 2, beat, now, pool->super.lease_ms * NS_PER_MS))
		make_void(pool, host, term, beat);
}
