/* SPDX-License-Identifier: Apache-2.0 */
/*
 * member.c - the membership region: host words moved, manager elected, both read.
 *
 * A host word changes by CAS against the word that was seen, so every decision
 * is made on the facts it was taken from or not at all. The reason and figures
 * beside it are stored afterwards by whoever moved it: for display only, and a
 * crash in between leaves the former ones.
 *
 * A deposed manager. The epoch it acts under is checked before its CAS; the new
 * one puts its epoch into every host word before it decides anything:
 *
 *   old primary (epoch 4)            new primary
 *   reads host word {ALIVE, 4}
 *   manager word says 4: go on
 *     ... stopped for a second ...   claims: manager word 4 -> 5
 *                                    stamps: host word {ALIVE, 4} -> {ALIVE, 5}
 *   CAS {ALIVE, 4} -> FENCING fails: -EAGAIN
 *   reads {ALIVE, 5}; manager word says 5: -ESTALE
 *
 * ORD: a stamp is a releasing CAS after the claim, and reading a host word
 * acquires; whoever sees a stamped word therefore sees the claim too.
 */
#include "sync/member.h"

#include <stdlib.h>
#include <unistd.h>

#include "mem/identity.h"
#include "mem/process.h"
#include "mem/super.h"

/* -- moves ------------------------------------------------------------------- */

#define TO(state) (1u << DAXFS_HOST_##state)

/*
 * From each state, where a host word may go. FENCING -> FENCING is a fence that
 * failed and is tried again (a new reason); RECOVERING -> RECOVERING hands a
 * recovery to another host after its recoverer died. FENCED and RECOVERING -> JOINING: the host comes back and sees to
 * itself what it left (daxfs_revive).
 */
static const unsigned moves[DAXFS_HOST_STATES] = {
	[DAXFS_HOST_FREE] = TO(JOINING),
	[DAXFS_HOST_JOINING] = TO(ALIVE) | TO(FENCING) | TO(FREE), /* FREE: gave up */
	[DAXFS_HOST_ALIVE] = TO(SUSPECT) | TO(FENCING) | TO(FREE), /* FREE: the host leaves */
	[DAXFS_HOST_SUSPECT] = TO(ALIVE) | TO(FENCING),
	[DAXFS_HOST_FENCING] = TO(FENCING) | TO(FENCED),
	[DAXFS_HOST_FENCED] = TO(RECOVERING) | TO(JOINING),
	[DAXFS_HOST_RECOVERING] = TO(RECOVERING) | TO(RECOVERED) | TO(JOINING),
	[DAXFS_HOST_RECOVERED] = TO(JOINING) | TO(FREE),
};

bool member_move_legal(unsigned from, unsigned to)
{
	return from < DAXFS_HOST_STATES && to < DAXFS_HOST_STATES && (moves[from] & 1u << to);
}

/* When the tenant of the slot is gone for certain: cut off, or left by itself. */
bool member_move_ends_generation(unsigned from, unsigned to)
{
	return (from == DAXFS_HOST_FENCING && to == DAXFS_HOST_FENCED) ||
	       (from == DAXFS_HOST_ALIVE && to == DAXFS_HOST_FREE);
}

/* May the word go from -> to in all its parts? Sets what the move dictates. */
static int judge_move(const struct pool *pool, const struct host_word *from, struct host_word *to)
{
	uint32_t generation = (from->generation + member_move_ends_generation(from->state, to->state)) &
			      HOST_GENERATION_MAX;

	if (!member_move_legal(from->state, to->state))
		return -EINVAL;
	if ((to->generation & HOST_GENERATION_MAX) != generation)
		return -EINVAL;
	if (to->state != DAXFS_HOST_JOINING)
		to->seat = to->state == DAXFS_HOST_FENCING ? from->seat : (struct lobby_seat){ .place = 0 };
	if (to->state != DAXFS_HOST_RECOVERING) {
		to->recoverer = -1;
		to->recoverer_generation = 0;
		return 0;
	}
	if (to->recoverer < 0 || (unsigned)to->recoverer >= pool->super.hosts)
		return -EINVAL;
	return from->state == DAXFS_HOST_RECOVERING && from->recoverer == to->recoverer &&
			       from->recoverer_generation == DAXFS_RECOVERER_GENERATION(to->recoverer_generation)
		       ? -EINVAL
		       : 0;
}

/*
 * Crash before the CAS: nothing happened. After it: the move happened and any
 * host may have seen it; in a wb pool it may still be lost with this host's
 * caches until the drain, which only takes back what nobody has been told.
 */
static int swap_word(struct pool *pool, unsigned host, uint64_t seen, struct host_word to)
{
	sm_u64 *word = &pool->member->host[host].word;

	/* ORD move: after all that it was decided from. */
	if (!sm_cas(word, seen, host_word_pack(to)))
		return -EAGAIN;
	sm_flush(&pool->shm, word, sizeof(*word));
	sm_drain(&pool->shm);
	return 0;
}

int member_move(struct pool *pool, unsigned host, uint64_t seen, struct host_word to)
{
	struct host_word from;
	int rc;

	if (host >= pool->super.hosts)
		return -EINVAL;
	rc = host_word_unpack(seen, &from);
	if (rc == 0)
		rc = judge_move(pool, &from, &to);
	return rc ? rc : swap_word(pool, host, seen, to);
}

/* Each failure is a stamp, which comes with a new manager only: few in a row, and the bound is for a bug. */
#define STAMPS_MAX (1u << 20)
int member_move_own(struct pool *pool, unsigned host, uint64_t seen, struct host_word to)
{
	int rc = member_move(pool, host, seen, to);

	for (unsigned tries = 0; rc == -EAGAIN && tries < STAMPS_MAX; tries++) {
		uint64_t now = sm_load(&pool->member->host[host].word);

		if ((now ^ seen) & ~(uint64_t)HOST_EPOCH_MASK)
			return -EAGAIN;
		to.epoch = now & HOST_EPOCH_MASK;
		rc = member_move(pool, host, now, to);
	}
	return rc;
}

/*
 * A process that has ended is over, whatever its word says; but a successor may have put itself in its
 * place, in the process word, before the slot was FENCING: it is in force if it then saw the slot not
 * FENCING. Hence the second look:
 *
 *   successor                       whoever ends it
 *   process: CAS old -> new         word: CAS -> FENCING
 *   fence                           fence
 *   looks at the word: FENCING?     looks at the process: new?
 *
 * One of them at least sees the other.
 */
static int end_step(struct pool *pool, const struct daxfs_host_view *seen, const struct daxfs_identity *mine)
{
	enum daxfs_kin kin = daxfs_identity_kin(mine, &seen->who);
	bool fencing = seen->state == DAXFS_HOST_FENCING;
	struct host_word to = {
		.generation = seen->generation + fencing,
		.state = fencing ? DAXFS_HOST_FENCED : DAXFS_HOST_FENCING,
		.recoverer = -1,
		.epoch = seen->manager_epoch,
	};
	int rc;

	if (kin < DAXFS_KIN_ENDED || !daxfs_host_introduced(seen))
		return -EAGAIN;
	rc = member_move(pool, seen->id, seen->word, to);
	if (rc == 0)
		sm_store_relaxed(&pool->member->host[seen->id].reason,
				 (uint64_t)(kin == DAXFS_KIN_ENDED ? DAXFS_REASON_ENDED : DAXFS_REASON_REBOOTED));
	return rc;
}

int member_end(struct pool *pool, const struct daxfs_host_view *seen, const struct daxfs_identity *mine)
{
	struct daxfs_host_view now = *seen;
	int rc = end_step(pool, seen, mine);

	if (rc || seen->state == DAXFS_HOST_FENCING)
		return rc;
	/* ORD end: the word is FENCING before the process is looked at again. */
	sm_fence();
	rc = member_look(pool, seen->id, &now);
	if (rc == 0 && (now.state != DAXFS_HOST_FENCING || now.generation != seen->generation))
		rc = -EAGAIN;
	return rc ? rc : end_step(pool, &now, mine);
}

int member_succeed(struct pool *pool, unsigned host, uint64_t tenancy, uint64_t ended, uint64_t process)
{
	struct sm_host *slot = &pool->member->host[host];
	struct host_word word;

	/* ORD succeed: the CAS, then the look at the word (the fence): see end_step. */
	if (!sm_cas(&slot->process, ended, process))
		return -EAGAIN;
	sm_flush(&pool->shm, &slot->process, sizeof(slot->process));
	sm_drain(&pool->shm);
	sm_fence();
	if (host_word_unpack(sm_load(&slot->word), &word))
		return -EIO;
	if ((word.state != DAXFS_HOST_ALIVE && word.state != DAXFS_HOST_SUSPECT) || sm_load(&slot->tenancy) != tenancy)
		return -ESTALE;
	return 0;
}

/* -- the mapping ----------------------------------------------------------------- */

static int open_member(const char *path, bool writable, struct daxfs_member *m, struct daxfs_error *err)
{
	int rc = process_mark(&m->here, err);

	if (rc)
		return rc;
	rc = pool_map_member(path, writable, &m->pool, err);
	if (rc)
		process_unmark(m->here);
	return rc;
}

int daxfs_member_open(const char *path, bool writable, struct daxfs_member **out, struct daxfs_error *err)
{
	struct daxfs_member *m = malloc(sizeof(*m));
	int was, rc;

	if (!m)
		return daxfs_error_set(err, -ENOMEM, "out of memory");
	was = process_cancel_off();
	rc = open_member(path, writable, m, err);
	process_cancel_restore(was);
	if (rc)
		free(m);
	else
		*out = m;
	return rc;
}

void daxfs_member_close(struct daxfs_member *m)
{
	int was;

	if (!m)
		return;
	was = process_cancel_off();
	if (*m->here)
		pool_unmap(&m->pool);
	else
		pool_forget(&m->pool);
	process_unmark(m->here);
	free(m);
	process_cancel_restore(was);
}

void daxfs_member_geometry(const struct daxfs_member *m, struct daxfs_geometry *out)
{
	super_geometry(&m->pool.super, out);
}

/* -- hosts ------------------------------------------------------------------------ */

/*
 * The name is of the tenant that the tenancy names, before and after it: one
 * that gives up joining leaves its generation to the next, who may write its name
 * meanwhile. ORD tenant: tenancy, name, tenancy; see introduce() in fs/membership.c. Of one
 * that has not introduced itself yet the lobby knows: after it the tenancy is what it was.
 */
static void read_tenant(const struct pool *pool, const struct host_word *word, struct daxfs_host_view *v)
{
	struct sm_host *host = &pool->member->host[v->id];
	uint64_t before = sm_load(&host->tenancy);
	struct card card, lobby;

	card_load(CARD_WORDS(host), &card);
	sm_fence_acquire();
	v->tenancy = sm_load(&host->tenancy) == before ? before : 0;
	if (!v->tenancy || v->tenancy >> 40 != v->generation)
		v->in_lobby = lobby_read(pool, word->seat, &lobby);
	card_show(v->in_lobby ? &lobby : &card, v->name, &v->who);
}

static void read_last_recovery(const struct sm_host *host, struct daxfs_recovery *out)
{
	out->ns = sm_load_relaxed(&host->rec_ns);
	out->finished = sm_load_relaxed(&host->rec_done);
	out->rolled_back = sm_load_relaxed(&host->rec_undone);
	out->objects = sm_load_relaxed(&host->rec_objects);
	out->opens = sm_load_relaxed(&host->rec_opens);
	out->files = sm_load_relaxed(&host->rec_files);
}

/* Of another generation than the word, it is about somebody who is recovered. */
static void read_toll(const struct sm_host *host, struct daxfs_host_view *v)
{
	v->toll = sm_load(&host->toll);
	if (v->toll >> 40 != v->generation || v->state != DAXFS_HOST_RECOVERING)
		return;
	v->deaths = (unsigned)(v->toll >> 36) & 15;
	v->death_counted = (v->toll & HOST_RECOVERER_MASK) == (v->word & HOST_RECOVERER_MASK);
}

/* What another tenant said, or nonsense, is nothing; and none may put its death off for long. */
static uint32_t away_of(uint64_t away, uint32_t generation)
{
	uint64_t ms = away & ((1ull << 40) - 1);

	if (away >> 40 != generation)
		return 0;
	return ms < DAXFS_AWAY_MAX_MS ? (uint32_t)ms : DAXFS_AWAY_MAX_MS;
}

/* What a former tenant said, or a program that does not say it, is nothing. */
static uint32_t knows_of(uint64_t knows, uint32_t generation)
{
	return knows >> 40 == generation ? (uint32_t)knows : 0;
}

/* Everything beside the word: figures for display, relaxed because nothing is decided from how they combine. */
static void read_figures(const struct sm_host *host, struct daxfs_host_view *v)
{
	uint64_t reason = sm_load_relaxed(&host->reason);

	v->beat = sm_load(&host->beat);
	v->away_ms = away_of(sm_load_relaxed(&host->away), v->generation);
	v->knows = knows_of(sm_load(&host->knows), v->generation);
	v->lanes = (uint32_t)sm_load_relaxed(&host->lanes);
	v->records = (uint32_t)sm_load_relaxed(&host->records);
	v->owned = (uint32_t)sm_load_relaxed(&host->owned);
	v->pins = (uint32_t)sm_load_relaxed(&host->pins);
	v->reason = (uint32_t)reason < DAXFS_REASONS ? (enum daxfs_reason)(uint32_t)reason : DAXFS_REASON_NONE;
	v->reason_ms = (uint32_t)(reason >> 32);
	v->fence_ms = (uint32_t)sm_load_relaxed(&host->fence_ms);
}

int member_look(const struct pool *pool, unsigned id, struct daxfs_host_view *out)
{
	const struct sm_host *host = &pool->member->host[id];
	struct daxfs_host_view v = { .id = id };
	struct host_word word;
	int rc;

	v.word = sm_load(&host->word);
	rc = host_word_unpack(v.word, &word);
	if (rc)
		return rc;
	v.generation = word.generation;
	v.state = word.state;
	v.recoverer = word.recoverer;
	v.recoverer_generation = word.recoverer_generation;
	v.manager_epoch = word.epoch;
	read_toll(host, &v);
	read_figures(host, &v);
	read_tenant(pool, &word, &v);
	v.pid = v.who.pid;
	v.last.host = id;
	read_last_recovery(host, &v.last);
	*out = v;
	return 0;
}

int daxfs_member_host(const struct daxfs_member *m, unsigned id, struct daxfs_host_view *out)
{
	if (!*m->here)
		return -ECHILD;
	return id < m->pool.super.hosts ? member_look(&m->pool, id, out) : -EINVAL;
}

/* May this process act under that manager epoch? */
static int in_force(const struct daxfs_member *m, uint32_t epoch)
{
	if (!*m->here)
		return -ECHILD;
	if (!m->pool.writable)
		return -EROFS;
	return sm_load(&m->pool.member->manager.word) >> 32 == epoch ? 0 : -ESTALE;
}

int daxfs_member_in_force(const struct daxfs_member *m, uint32_t epoch)
{
	return in_force(m, epoch);
}

static void store_reason(struct daxfs_member *m, unsigned id, enum daxfs_reason reason, uint32_t ms)
{
	sm_u64 *p = &m->pool.member->host[id].reason;

	sm_store_relaxed(p, (uint64_t)ms << 32 | (uint32_t)reason);
	sm_flush(&m->pool.shm, p, sizeof(*p));
	sm_drain(&m->pool.shm);
}

/*
 * Name the tenant that a slot has now. It must work: one that is named while it
 * leaves, or is declared dead, has ended its generation before anybody looks.
 */
static int name_recoverer(const struct pool *pool, struct host_word *word)
{
	struct host_word candidate;
	int rc;

	if (word->state != DAXFS_HOST_RECOVERING)
		return 0;
	if (word->recoverer < 0 || (unsigned)word->recoverer >= pool->super.hosts)
		return -EINVAL;
	rc = host_word_unpack(sm_load(&pool->member->host[word->recoverer].word), &candidate);
	if (rc)
		return rc;
	word->recoverer_generation = DAXFS_RECOVERER_GENERATION(candidate.generation);
	return candidate.state == DAXFS_HOST_ALIVE || candidate.state == DAXFS_HOST_SUSPECT ? 0 : -EAGAIN;
}

int daxfs_member_move(struct daxfs_member *m, const struct daxfs_host_view *seen, enum daxfs_host_state to,
		      int recoverer, uint32_t epoch, enum daxfs_reason reason, uint32_t ms)
{
	struct host_word word = { .state = to, .recoverer = recoverer, .epoch = epoch };
	int rc = in_force(m, epoch);

	if (rc == 0)
		rc = name_recoverer(&m->pool, &word);
	if (rc)
		return rc;
	word.generation = seen->generation + member_move_ends_generation(seen->state, to);
	rc = member_move(&m->pool, seen->id, seen->word, word);
	if (rc == 0)
		store_reason(m, seen->id, reason, ms);
	return rc;
}

/*
 * Counted before the recovery is handed on: a crash in between leaves a count that
 * names the recoverer, so the next manager does not count it twice. A word never
 * comes back to what it was (each names a later tenant than those before), so a
 * deposed manager's CAS fails once anybody has counted or forgotten since.
 */
static int swap_toll(struct daxfs_member *m, const struct daxfs_host_view *seen, unsigned deaths, uint64_t last,
		     uint32_t epoch)
{
	uint64_t toll = (uint64_t)seen->generation << 40 | (uint64_t)deaths << 36 | (last & HOST_RECOVERER_MASK);
	int rc = in_force(m, epoch);
	sm_u64 *word;

	if (rc)
		return rc;
	if (seen->id >= m->pool.super.hosts || seen->state != DAXFS_HOST_RECOVERING)
		return -EINVAL;
	word = &m->pool.member->host[seen->id].toll;
	/* ORD toll: before the recovery is handed on (its CAS releases): who sees the next recoverer sees the count. */
	if (!sm_cas(word, seen->toll, toll))
		return -EAGAIN;
	sm_flush(&m->pool.shm, word, sizeof(*word));
	sm_drain(&m->pool.shm);
	return 0;
}

int daxfs_member_count_death(struct daxfs_member *m, const struct daxfs_host_view *seen, uint32_t epoch)
{
	int rc;

	if (seen->death_counted)
		return -EAGAIN;
	rc = swap_toll(m, seen, seen->deaths < 15 ? seen->deaths + 1 : 15, seen->word, epoch);
	if (rc == 0)
		store_reason(m, seen->id, DAXFS_REASON_RECOVERER_DIED, seen->deaths + 1);
	return rc;
}

/* The last one that was counted stays named: it must not be counted again, and the present one may yet die. */
int daxfs_member_forget_deaths(struct daxfs_member *m, const struct daxfs_host_view *seen, uint32_t epoch)
{
	return swap_toll(m, seen, 0, seen->toll >> 40 == seen->generation ? seen->toll : 0, epoch);
}

void daxfs_member_fence_took(struct daxfs_member *m, const struct daxfs_host_view *seen, bool off, uint32_t ms)
{
	uint64_t since = off ? (uint64_t)(seen->generation + 1) << 40 : 0;
	sm_u64 *p;

	if (!*m->here || !m->pool.writable || seen->id >= m->pool.super.hosts)
		return;
	p = &m->pool.member->host[seen->id].fence_ms;
	/* ORD none: the CAS to FENCED releases it. */
	sm_store_relaxed(p, since | ms);
	sm_flush(&m->pool.shm, p, sizeof(*p));
	sm_drain(&m->pool.shm);
}

int daxfs_member_stamp(struct daxfs_member *m, const struct daxfs_host_view *seen, uint32_t epoch)
{
	struct host_word word;
	int rc = in_force(m, epoch);

	if (rc)
		return rc;
	if (seen->id >= m->pool.super.hosts)
		return -EINVAL;
	rc = host_word_unpack(seen->word, &word);
	if (rc)
		return rc;
	word.epoch = epoch;
	return swap_word(&m->pool, seen->id, seen->word, word);
}

/* -- the manager --------------------------------------------------------------------- */

/* For display, and for whether two are the same: a mixture of two is another machine's, or nobody's. */
static void read_machine(const sm_u64 words[2], uint8_t out[16])
{
	uint64_t v[2] = { sm_load_relaxed(&words[0]), sm_load_relaxed(&words[1]) };

	memcpy(out, v, sizeof(v));
}

static void write_machine(sm_u64 words[2], const uint8_t machine[16])
{
	uint64_t v[2];

	memcpy(v, machine, sizeof(v));
	sm_store_relaxed(&words[0], v[0]);
	sm_store_relaxed(&words[1], v[1]);
}

void daxfs_member_manager(const struct daxfs_member *m, struct daxfs_manager_view *out)
{
	const struct sm_manager *manager = &m->pool.member->manager;
	uint64_t word;

	memset(out, 0, sizeof(*out));
	if (!*m->here)
		return;
	word = sm_load(&manager->word);
	*out = (struct daxfs_manager_view){
		.epoch = (uint32_t)(word >> 32),
		.pid = (uint32_t)word,
		.beat = sm_load(&manager->beat),
		.reclaim_epoch = sm_load_relaxed(&manager->epoch),
		.standby = sm_load_relaxed(&manager->standby),
	};
	read_machine(manager->machine, out->machine);
	read_machine(manager->standby_machine, out->standby_machine);
}

int daxfs_member_settle(struct daxfs_member *m, uint32_t epoch, const uint8_t machine[16])
{
	struct sm_manager *manager = &m->pool.member->manager;
	int rc = in_force(m, epoch);

	if (rc == 0)
		write_machine(manager->machine, machine);
	return rc;
}

/* Counters of two backups may overtake each other: that they move is all that is asked. */
void daxfs_member_standby(struct daxfs_member *m, const uint8_t machine[16])
{
	struct sm_manager *manager = &m->pool.member->manager;
	uint8_t primary[16];

	if (!*m->here || !m->pool.writable)
		return;
	read_machine(manager->machine, primary);
	if (memcmp(primary, machine, sizeof(primary)) == 0)
		return;
	write_machine(manager->standby_machine, machine);
	sm_store_relaxed(&manager->standby, sm_load_relaxed(&manager->standby) + 1);
}

/* Of any number of claimants that saw the same manager exactly one wins the CAS. */
int daxfs_member_claim(struct daxfs_member *m, const struct daxfs_manager_view *seen, uint32_t *epoch)
{
	sm_u64 *word = &m->pool.member->manager.word;
	uint64_t before = (uint64_t)seen->epoch << 32 | seen->pid;
	uint32_t next = seen->epoch == UINT32_MAX ? 1 : seen->epoch + 1; /* 0: none yet */

	if (!*m->here)
		return -ECHILD;
	if (!m->pool.writable)
		return -EROFS;
	/* ORD claim: before any stamp; see the head of this file. */
	if (!sm_cas(word, before, (uint64_t)next << 32 | (uint32_t)getpid()))
		return -EAGAIN;
	sm_flush(&m->pool.shm, word, sizeof(*word));
	sm_drain(&m->pool.shm);
	*epoch = next;
	return 0;
}

/*
 * A deposed primary may get one beat in after its check. That delays a backup
 * that counts missed beats by one period and decides nothing else.
 */
int daxfs_member_manager_beat(struct daxfs_member *m, uint32_t epoch)
{
	sm_u64 *beat = &m->pool.member->manager.beat;
	int rc = in_force(m, epoch);

	if (rc)
		return rc;
	sm_store_relaxed(beat, sm_load_relaxed(beat) + 1);
	return 0;
}
