/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.c - commit records: the one way in which the pool changes.
 *
 * A record is a multi-word compare-and-swap (Harris, Fraser, Pratt 2002) whose
 * descriptor is also the redo log (PMwCAS 2018). Invariants:
 *
 *  I1 A mark {lane, i, seq} is in a word only while that lane's status carries
 *     seq and is UNDECIDED, COMMITTED or ABORTED. (And HELPED, if the mark is.)
 *  I2 The fields of a record change only while the status is IDLE or PREPARE.
 *     A reader of fields re-reads the status afterwards; the same seq in one of
 *     the other states means that what it read is the record.
 *  I3 Every change of a word bumps its version, undoing included, so a CAS that
 *     comes late fails, unless the version came round: then I7, which holds without versions.
 *  I4 UNDECIDED is left by CAS only, for COMMITTED when every word carried the
 *     mark, for ABORTED when some word was found changed, or a lease in the way. While it is not HELPED, only
 *     the owner marks and decides; a helper makes it HELPED first.
 *  I5 An object PRIVATE to {lane, seq} is named in that record before it is
 *     taken; objects are finalized by the owner, or its recoverer, by txid.
 *  I6 What a record without marks takes is linked by its word or not at all, as
 *     long as it lives; what it retires was linked there.
 *  I7 A mark that comes late, after the record was decided, stands for the value that it replaced.
 *     The owner puts marks by one CAS while it decides alone: such a mark in a HELPED record stands
 *     for `before`, until it is replaced by a HELPED one. Those are put by way of claims (claim.c).
 *
 * A record of one word puts no mark: its word goes from before to after in one
 * CAS, so nobody meets it and nobody need help. Whether it happened is judged by
 * what the word names now, even if others changed it since (see judge_single). Not so
 * if it takes or retires directory entries: splitting a node moves them (I6); nor if it
 * takes more than it retires, or less: whether that was counted could not be told; nor if somebody's
 * kernel might believe what it changes: marks are what a lease and a change meet at (lease.h).
 *
 * What a death leaves (R: what recovery does; others help, or pass by):
 *   PREPARE     nothing visible                 R: free what is PRIVATE to us
 *   UNDECIDED   some words marked               R: make it HELPED, go on marking, then decide
 *   COMMITTED   some marks left, objects not finalized   R: resolve, finalize
 *   ABORTED     same                            R: resolve to the old values, free
 *   SINGLE      the word changed or not, objects not finalized   R: judge, finalize
 *   IDLE        nothing
 * Each row is repeatable, so the recoverer may die in it too.
 *
 * In a wb pool: body before UNDECIDED, UNDECIDED before the first mark, a mark
 * before the next one in another line, marks before the decision, decision
 * before its first resolved word, resolved words and finalized objects before
 * IDLE, IDLE before the fields change, HELPED before the first mark that says so,
 * PREPARE and names before an object is taken.
 * What was filled: before UNDECIDED, for then anyone may link it; of a record of
 * one word, before the word, for until then it did not happen. So there the body may
 * go out with the names (record_write), and SINGLE with what was filled.
 */
#include <errno.h>

#include "sync/lease.h"
#include "sync/record.h"

#define RECORD_DEPTH_MAX DAXFS_LANES_MAX /* helping goes up in addresses, one lane each */

static void finish(struct lane *helper, unsigned owner, uint64_t seq, unsigned depth);

/* -- reading another's record ----------------------------------------------- */

bool record_entry_read(const struct pool *pool, const struct sm_lane *record, unsigned i, struct record_entry *out)
{
	uint64_t addr, offset;

	if (pool_lost(pool, &record->words[3 * i], sizeof(struct sm_record_word)))
		return false;
	addr = sm_load_relaxed(&record->words[3 * i]);
	offset = address_offset(addr);
	out->before = sm_load_relaxed(&record->words[3 * i + 1]);
	out->after = sm_load_relaxed(&record->words[3 * i + 2]);
	out->class = address_class(addr);
	out->word = pool_at(pool, offset);
	return offset % sizeof(sm_u64) == 0 && offset >= DAXFS_PAGE_SIZE && offset < pool->shm.size &&
	       word_class_known(out->class) && !word_is_mark(out->before | out->after);
}

/* What the mark w found at p stands for. 1: *value set; 0: look at the word
 * again; -EIO: no such lane, record, or word of it. */
static int mark_value(const struct lane *lane, const sm_u64 *p, uint64_t w, uint64_t *value)
{
	struct pool *pool = lane->pool;
	const struct sm_lane *record;
	struct record_entry entry;
	uint64_t status, again;
	bool sane;

	if (word_is_claim(w))
		return claim_value(pool, p, w, value);
	if (mark_lane(w) >= pool->lanes_total || mark_widx(w) >= DAXFS_RECORD_WORDS)
		return -EIO;
	record = record_of(lane, mark_lane(w));
	if (pool_lost(pool, &record->status, sizeof(record->status)))
		return -EIO;
	status = sm_load(&record->status);
	if (status_seq(status) != mark_seq(w))
		return 0;
	sane = record_entry_read(pool, record, mark_widx(w), &entry);
	sm_fence_acquire(); /* ORD weak descriptor: fields before the second status */
	again = sm_load(&record->status);
	if (status_seq(again) != mark_seq(w))
		return 0;
	/* Over between the word and the status: the mark is gone. Over after the
	 * status: a lost cache took the PREPARE of the next record back, and may
	 * have left fields that were stored after it. */
	if (status_state(status) < DAXFS_UNDECIDED || status_state(again) < DAXFS_UNDECIDED)
		return 0;
	if (!sane || entry.word != p || status_state(status) > DAXFS_ABORTED ||
	    (mark_helped(w) && !status_helped(status)))
		return -EIO;
	if (status_helped(status) && !mark_helped(w))
		*value = entry.before; /* the owner's: taken over next, or it came late */
	else if (status_state(status) == DAXFS_COMMITTED)
		*value = entry.after;
	else if (status_state(status) == DAXFS_UNDECIDED)
		*value = entry.before;
	else
		*value = word_bump(entry.before, entry.class);
	return 1;
}

/* word_load, of a word that was found marked. */
uint64_t word_load_marked(struct lane *lane, const sm_u64 *p, uint64_t w)
{
	uint64_t epoch, value, again;
	int rc;

	lane->txn.marked = true;
	while (word_is_mark(w)) {
		rc = mark_value(lane, p, w, &value);
		if (rc > 0) {
			/* What the value names may be younger than `high`. */
			epoch = sm_load(&lane_manager(lane)->epoch);
			if (epoch <= lane->epoch.announced.high)
				return value;
			epoch_extend(&lane->epoch, epoch);
		}
		again = epoch_load(&lane->epoch, p);
		if (rc < 0 || (rc == 0 && again == w)) {
			lane->txn.fault = true; /* I1 broken: an orphan mark */
			return 0;
		}
		w = again;
	}
	return w;
}

/* word_load, in a pool with memory that failed. */
uint64_t word_load_wary(struct lane *lane, const sm_u64 *p)
{
	if (pool_lost(lane->pool, p, sizeof(*p))) {
		lane->txn.fault = true;
		return 0;
	}
	return word_load_known(lane, p);
}

uint64_t word_help(struct lane *lane, sm_u64 *p)
{
	uint64_t w;

	if (pool_lost(lane->pool, p, sizeof(*p))) {
		lane->txn.fault = true;
		return 0;
	}
	while (word_is_mark(w = epoch_load(&lane->epoch, p))) {
		if (word_is_claim(w))
			claim_resolve(lane, p, w);
		else
			finish(lane, mark_lane(w), mark_seq(w), 0);
		if (lane->txn.fault)
			return 0;
		if (sm_load(p) == w) {
			lane->txn.fault = true;
			return 0;
		}
	}
	return w;
}

/* -- deciding --------------------------------------------------------------- */

/* LOST: the entry, or the memory of the word, or the record whose mark is in the word. */
enum marking { MARKED, CHANGED, LOST, DECIDED };

/* What is in the way of a record's mark, out of it. False: that cannot be. */
static bool clear_word(struct lane *helper, sm_u64 *p, uint64_t w, unsigned depth)
{
	if (word_is_claim(w))
		claim_resolve(helper, p, w);
	else
		finish(helper, mark_lane(w), mark_seq(w), depth + 1);
	if (!helper->txn.fault && sm_load(p) != w)
		return true;
	helper->txn.fault = false; /* what it met is not the record that is being finished here */
	return false;
}

/* Put the mark of a record, whose status was `undecided`, into the word of an entry. */
static enum marking mark_entry(struct lane *helper, uint64_t undecided, const struct record_entry *entry, uint64_t mark,
			       unsigned depth)
{
	const struct sm_lane *record = record_of(helper, mark_lane(mark));
	uint64_t early = mark & ~DAXFS_MARK_HELPED; /* the owner's, before others took over */

	while (!helper->txn.fault) {
		uint64_t w = sm_load(entry->word);

		if (w == mark)
			return MARKED;
		if (w != early && word_is_mark(w)) {
			if (!clear_word(helper, entry->word, w, depth))
				return LOST;
			continue;
		}
		/* ORD still undecided: the status after the word, which may have come round since. */
		if (sm_load(&record->status) != undecided)
			return DECIDED;
		if (w != early && w != entry->before)
			return CHANGED;
		/* ORD mark: after UNDECIDED is visible (and written back), and HELPED, which a
		 * helper's needs. A crash here leaves some words marked: anyone goes on. */
		if (w == early || !status_helped(undecided))
			sm_cas(entry->word, w, mark);
		else
			claim_word(helper, entry->word, mark, entry->before);
	}
	return DECIDED;
}

/* The same for entry i. *last is the word that was marked before it. */
static enum marking mark_word(struct lane *helper, unsigned owner, uint64_t undecided, unsigned i, unsigned depth,
			      const sm_u64 **last)
{
	struct sm_lane *record = record_of(helper, owner);
	uint64_t mark = status_mark(undecided, owner, i);
	struct record_entry entry;
	bool sane = record_entry_read(helper->pool, record, i, &entry);

	sm_fence_acquire(); /* ORD weak descriptor */
	if (sm_load(&record->status) != undecided)
		return DECIDED;
	if (!sane || pool_lost(helper->pool, entry.word, sizeof(*entry.word)))
		return LOST;
	/* ORD ladder: marks are written back in order of address. If a lost
	 * cache left a later mark without an earlier one, two records could each
	 * hold what the other needs first, and helping would go in a circle. */
	if (sm_flush_run(&helper->pool->shm, last, entry.word))
		sm_drain(&helper->pool->shm);
	/* ORD mark: as in mark_entry. The owner, alone, finds nearly always what it expects. */
	if (!status_helped(undecided) && sm_cas(entry.word, entry.before, mark))
		return MARKED;
	return mark_entry(helper, undecided, &entry, mark, depth);
}

/*
 * Mark all words, and decide. A record that has a word that is LOST is aborted, as if it had CHANGED: a
 * helper to which it is not lost decides first, or finds the decision when its claim is in a word (C3).
 */
static void decide(struct lane *helper, unsigned owner, uint64_t undecided, unsigned depth)
{
	struct sm_lane *record = record_of(helper, owner);
	uint64_t n = sm_load(&record->n_words);
	enum marking marking = n > DAXFS_RECORD_WORDS ? LOST : MARKED;
	const sm_u64 *last = NULL;

	for (unsigned i = 0; i < n && marking == MARKED; i++)
		marking = mark_word(helper, owner, undecided, i, depth, &last);
	if (marking == DECIDED)
		return;
	helper->txn.lost |= marking == LOST && owner == helper->id;
	sm_flush_run(&helper->pool->shm, &last, NULL);
	sm_drain(&helper->pool->shm);
	if (marking == MARKED && lease_bars(helper->pool, record))
		marking = CHANGED; /* its owner recalls it, and begins again */
	/* ORD decide: the linearization point. After every mark (written
	 * back); a crash before it leaves an undecided record that is still
	 * rolled forward, after it a decided one. */
	sm_cas(&record->status, undecided, status_with(undecided, marking == MARKED ? DAXFS_COMMITTED : DAXFS_ABORTED));
}

/* Take the mark of a decided record off the word of an entry. */
static void resolve_entry(struct lane *helper, uint64_t decided, const struct record_entry *entry, uint64_t mark)
{
	uint64_t undone = word_bump(entry->before, entry->class), w;
	bool committed = status_state(decided) == DAXFS_COMMITTED;

	/* ORD resolve: after the decision. Crash: the mark stays and readers
	 * go through the status, as before. I3: undoing bumps. */
	if (!status_helped(decided)) {
		sm_cas(entry->word, mark, committed ? entry->after : undone);
		return;
	}
	/* At most from the owner's mark, or a claim, to the mark, and on. */
	for (unsigned steps = 0; steps < 3 && word_is_mark(w = sm_load(entry->word)); steps++) {
		if (w == mark)
			sm_cas(entry->word, w, committed ? entry->after : undone); /* ORD resolve */
		else if (w == (mark & ~DAXFS_MARK_HELPED))
			sm_cas(entry->word, w, undone); /* ORD resolve: the owner's that came late */
		else if (word_is_claim(w) && claim_is_for(helper->pool, entry->word, w, mark))
			claim_resolve(helper, entry->word, w);
		else
			return;
	}
}

/* Replace the marks of a decided record by the values it decided for. */
static void resolve(struct lane *helper, unsigned owner, uint64_t decided)
{
	struct sm_lane *record = record_of(helper, owner);
	uint64_t n = sm_load(&record->n_words);
	const sm_u64 *last = NULL;

	for (unsigned i = 0; i < n && i < DAXFS_RECORD_WORDS; i++) {
		struct record_entry entry;
		bool sane = record_entry_read(helper->pool, record, i, &entry);

		sm_fence_acquire(); /* ORD weak descriptor */
		if (sm_load(&record->status) != decided)
			return;
		if (!sane || pool_lost(helper->pool, entry.word, sizeof(*entry.word)))
			continue; /* whoever looks at that word is told */
		sm_flush_run(&helper->pool->shm, &last, entry.word);
		resolve_entry(helper, decided, &entry, status_mark(decided, owner, i));
	}
	sm_flush_run(&helper->pool->shm, &last, NULL);
	sm_drain(&helper->pool->shm);
}

/* Make the record HELPED: from here on its owner decides nothing alone. Returns the status. */
static uint64_t take_over(struct lane *helper, struct sm_lane *record, uint64_t undecided)
{
	/* ORD take over: written back before the first mark that says so. Crash: helped by anybody. */
	sm_cas(&record->status, undecided, undecided | DAXFS_STATUS_HELPED);
	sm_flush(&helper->pool->shm, &record->status, sizeof(record->status));
	sm_drain(&helper->pool->shm);
	return sm_load(&record->status);
}

static void finish(struct lane *helper, unsigned owner, uint64_t seq, unsigned depth)
{
	struct sm_lane *record;
	uint64_t status;

	if (owner >= helper->pool->lanes_total || depth > RECORD_DEPTH_MAX) {
		helper->txn.fault = true;
		return;
	}
	record = record_of(helper, owner);
	if (pool_lost(helper->pool, &record->status, 2 * DAXFS_LINE)) {
		helper->txn.fault = true;
		return;
	}
	if (owner != helper->id)
		epoch_adopt(&helper->epoch, record); /* before the status is believed */
	status = sm_load(&record->status);
	while (status_seq(status) == seq && status_state(status) == DAXFS_UNDECIDED && !helper->txn.fault) {
		if (owner != helper->id && !status_helped(status)) {
			status = take_over(helper, record, status);
			continue;
		}
		decide(helper, owner, status, depth);
		status = sm_load(&record->status);
	}
	if (status_seq(status) != seq)
		return;
	if (status_state(status) != DAXFS_COMMITTED && status_state(status) != DAXFS_ABORTED)
		return;
	/* Whoever decided may not have written it back yet. */
	sm_flush(&helper->pool->shm, &record->status, sizeof(record->status));
	sm_drain(&helper->pool->shm);
	resolve(helper, owner, status);
}

void record_finish(struct lane *helper, unsigned owner, uint64_t seq)
{
	finish(helper, owner, seq, 0);
}

/* -- making one's own record -------------------------------------------------- */

/* What makes a pool fuller; the others, in the end, retire what they take, or take little. */
static bool grows(enum record_operation operation)
{
	return operation == OP_WRITE || operation == OP_CREATE || operation == OP_LINK || operation == OP_XATTR;
}

void record_begin(struct lane *lane, enum record_operation operation)
{
	struct sm_lane *record = lane->sm;

	lane->seq++;
	txn_begin(&lane->txn, !grows(operation));
	/* The last record's IDLE was flushed when it ended, and is in memory from here on: its
	 * fields are free to change. */
	sm_drain(&lane->pool->shm);
	sm_store_relaxed(&record->n_allocs, 0);
	/* ORD prepare: after IDLE. Drained before anything is taken or published. */
	sm_store(&record->status, status_make(lane->seq, operation, DAXFS_PREPARE));
	sm_flush(&lane->pool->shm, record, 2 * DAXFS_LINE); /* and the announcement */
}

void record_intend(struct lane *lane, unsigned at, enum daxfs_type type, uint64_t index)
{
	lane->txn.movable |= type == DAXFS_T_DIRENT;
	lane->txn.written = false; /* it adds to the account */
	if (at == lane->txn.n_allocs)
		lane->txn.n_allocs++;
	sm_store_relaxed(&lane->sm->allocs[at], object_make(type, index));
}

void record_intended(struct lane *lane, unsigned at, unsigned n)
{
	/* ORD intend: the names before the count, both before an object is
	 * taken, so that recovery finds every PRIVATE object of ours (I5). */
	sm_store(&lane->sm->n_allocs, lane->txn.n_allocs);
	sm_flush(&lane->pool->shm, &lane->sm->n_allocs, sizeof(sm_u64));
	sm_flush(&lane->pool->shm, &lane->sm->allocs[at], n * sizeof(sm_u64));
	sm_drain(&lane->pool->shm);
	lane->txn.durable = lane->txn.written;
}

void record_retire(struct lane *lane, enum daxfs_type type, uint64_t index)
{
	uint64_t state;

	/* Lost, its state says nothing to anybody: it is never handed out again. */
	if (pool_lost(lane->pool, &lane->pool->state[type][index], sizeof(sm_u64)))
		return;
	state = sm_load(&lane->pool->state[type][index]);
	if (lane->txn.n_retires == DAXFS_RECORD_RETIRES) {
		lane->txn.fault = true;
		return;
	}
	/* The txid of what is linked now. If the word that links it changes
	 * before we commit, we do not commit. */
	lane->txn.written = false;
	lane->txn.movable |= type == DAXFS_T_DIRENT;
	lane->txn.account.retired += account_objects(type, use_of(state) == DAXFS_USE_EXTENT ? DAXFS_EXTENT_PAGES : 1);
	lane->txn.retires[lane->txn.n_retires] = object_make(type, index);
	sm_store_relaxed(&lane->sm->retires[2 * lane->txn.n_retires], object_make(type, index));
	sm_store_relaxed(&lane->sm->retires[2 * lane->txn.n_retires + 1], state & DAXFS_USE_TXID_MASK);
	lane->txn.n_retires++;
}

void record_write(struct lane *lane)
{
	struct sm_lane *record = lane->sm;
	const struct shm *shm = &lane->pool->shm;
	uint8_t order[DAXFS_RECORD_WORDS];

	txn_order(&lane->txn, order);
	for (unsigned i = 0; i < lane->txn.n_words; i++) {
		const struct staged_word *word = &lane->txn.words[order[i]];

		/* ORD weak descriptor: released after PREPARE, so that who sees
		 * a new field also sees that the old record is over. */
		sm_store(&record->words[3 * i], address_make(word->class, pool_offset(lane->pool, word->word)));
		sm_store(&record->words[3 * i + 1], word->before);
		sm_store(&record->words[3 * i + 2], word->after);
	}
	sm_store(&record->n_words, lane->txn.n_words);
	sm_store(&record->n_retires, lane->txn.n_retires);
	sm_store(&record->delta, account_delta(&lane->txn.account));
	lease_write_down(lane);
	sm_flush(shm, record, 2 * DAXFS_LINE);
	sm_flush(shm, record->words, lane->txn.n_words * sizeof(struct sm_record_word));
	sm_flush(shm, record->retires, lane->txn.n_retires * sizeof(struct sm_record_retire));
	lane->txn.written = true;
	lane->txn.durable = false;
}

static void remember_extent(struct lane *lane, uint32_t index, uint64_t txid)
{
	uint64_t age = lane->seq - txid_seq(txid);
	bool known = txid_lane(txid) == lane->id && age < UINT32_MAX;

	alloc_cache_extent(&lane->alloc, index, known ? (uint32_t)age : UINT32_MAX);
}

/* They are the first that the next records of this lane try to take. */
static void remember_retired(struct lane *lane)
{
	for (unsigned i = 0; i < lane->txn.n_retires; i++) {
		uint32_t index = (uint32_t)object_index(lane->txn.retires[i]);
		uint64_t txid = sm_load_relaxed(&lane->sm->retires[2 * i + 1]); /* and its use */

		if (object_type(lane->txn.retires[i]) != DAXFS_T_PAGE)
			continue;
		if (use_of(txid) == DAXFS_USE_EXTENT)
			remember_extent(lane, index, txid);
		else
			alloc_cache_page(&lane->alloc, index);
	}
}

/* Release what is staged to everybody: from here on recovery (or anyone) may finish it. */
static uint64_t publish(struct lane *lane, enum daxfs_status state)
{
	uint64_t status = status_make(lane->seq, status_operation(sm_load_relaxed(&lane->sm->status)), state);

	/* ORD undecided: release, after the body (written back). */
	sm_store(&lane->sm->status, status);
	sm_flush(&lane->pool->shm, &lane->sm->status, sizeof(sm_u64));
	sm_drain(&lane->pool->shm);
	return status;
}

/* One word: changed in one step. Where it goes wrong nobody ever saw what we took. */
static enum outcome swap_single(struct lane *lane)
{
	const struct staged_word *word = &lane->txn.words[0];

	/* ORD swap: the linearization point. After SINGLE is visible (and written
	 * back), so that whoever finds our objects linked finds them named. */
	if (!sm_cas(word->word, word->before, word->after))
		return DID_NOT;
	sm_flush(&lane->pool->shm, word->word, sizeof(*word->word));
	sm_drain(&lane->pool->shm);
	return HAPPENED;
}

int record_commit(struct lane *lane)
{
	struct record_tally tally = { 0 };
	bool single = txn_is_single(&lane->txn);
	enum outcome outcome;
	uint64_t status;

	if (lane->txn.fault)
		return record_abort(lane, -EIO);
	if (lane->txn.conflict || (lane->txn.n_leases && lease_bars_staged(lane)))
		return record_abort(lane, -EAGAIN);
	if (!lane->txn.written)
		record_write(lane);
	/* What was filled is linked only later, if there is one word; of more, whoever finds UNDECIDED may link it. */
	if (!single || !lane->txn.durable)
		sm_drain(&lane->pool->shm);
	if (!lane_alive(lane))
		return record_abort(lane, -ESTALE);
	receipt_note(lane);
	if (single) {
		status = publish(lane, DAXFS_SINGLE);
		outcome = swap_single(lane);
	} else {
		publish(lane, DAXFS_UNDECIDED);
		finish(lane, lane->id, lane->seq, 0);
		status = sm_load(&lane->sm->status);
		if (lane->txn.fault || status_state(status) == DAXFS_UNDECIDED)
			return -EIO; /* left as it is, for recovery and check to see */
		outcome = status_state(status) == DAXFS_COMMITTED ? HAPPENED : DID_NOT;
	}
	record_finalize(lane, lane->id, status, outcome, &tally);
	if (outcome == DID_NOT)
		return lane->txn.lost ? -EIO : -EAGAIN;
	receipt_happened(lane); /* before the lane makes another record: the status tells no more then */
	remember_retired(lane);
	return 0;
}

int record_abort(struct lane *lane, int error)
{
	struct record_tally tally = { 0 };

	record_finalize(lane, lane->id, sm_load(&lane->sm->status), DID_NOT, &tally);
	return error;
}
