/* SPDX-License-Identifier: Apache-2.0 */
/*
 * coherence.c - do several hosts see each other's stores?
 *
 * Processes on several hosts meet in the pool and change and look at the same lines in turn. Where nothing keeps
 * their caches coherent one of them still finds in its own cache what a line held before: a *stale word* if that
 * is the word everybody polls, a *stale copy* if it is among the lines that were changed with it, as the bytes of a
 * page are before the word that publishes them. Or compare-and-swap, done in two caches at once, succeeds in both:
 * increments are *lost*.
 *
 *   host w, in turn                        all hosts, w among them
 *                                          have looked at word and lines: their caches hold them
 *   lines = r, written back in wb; word = r
 *   -- barrier --
 *                                          word is r, or stale; each line is r, or the copy is stale
 *   -- barrier --                          r + 1: another w
 *
 * Meeting must work where coherence does not. So no word of it has two writers: each host has a line of its own, in
 * which it says how far it is, and a line is written back and dropped from the cache (sm_refresh) after each change
 * and before each look. Host 0 leads: it draws the number of the run, which the others repeat in their lines; so a
 * line that an earlier run left is nobody's. The others begin only with a run that they saw in phase 0.
 *
 * What is found is recorded in the manager's line, with a hash, so that a torn record is none. Crash anywhere: the
 * others time out; the record is the former one, or none. Nothing else looks at any of these words.
 */
#include <errno.h>
#include <inttypes.h>
#include <sys/random.h>

#include "daxfs/inspect.h"
#include "fs/fs.h"
#include "mem/clock.h"
#include "mem/guard.h"
#include "mem/options.h"
#include "mem/siphash.h"

#define LINES_BYTES (DAXFS_SCRATCH_OFFSET - DAXFS_TEST_LINES_AT)
#define LINES_WORDS (LINES_BYTES / sizeof(uint64_t))
#define COUNT_MAX ((UINT64_C(1) << 40) - 1) /* of rounds, in the record */
#define SPINS 200u                          /* looks at another's line before sleeping between them */
#define NAP_US 50u

/* Of host 0 when a run begins, of host 0 when it ends, of another one before its last phase. */
enum begin_figure { BEGIN_HOSTS, BEGIN_ROUNDS, BEGIN_INCREMENTS };
enum end_figure { END_MACHINES, END_WORDS, END_COPIES, END_LOST };
enum own_figure { OWN_VALUE, OWN_WORDS, OWN_COPIES };

struct run {
	struct pool *pool;
	const struct daxfs_coherence_options *options;
	struct daxfs_error *err;
	struct sm_tester *tester; /* DAXFS_TESTERS of them */
	struct sm_tester *mine;
	sm_u64 *word, *scratch;
	uint8_t *lines;
	uint64_t number, nonce, phase;
	uint64_t rounds, increments;
	uint64_t stale_words, stale_copies;
	struct daxfs_coherence *out;
};

static bool leads(const struct run *r)
{
	return r->options->host == 0;
}

/* -- meeting ------------------------------------------------------------------------ */

/* The figures, then the phase: whoever sees the phase has the figures. */
static void tell(struct run *r, uint64_t phase)
{
	r->phase = phase;
	/* ORD phase: after the figures of this line; pairs with await. */
	sm_store(&r->mine->phase, phase);
	sm_refresh(r->mine, sizeof(*r->mine));
}

static void introduce(struct run *r)
{
	uint64_t machine;

	memcpy(&machine, r->options->machine, sizeof(machine));
	sm_store_relaxed(&r->mine->run, 0);
	sm_store_relaxed(&r->mine->machine, machine);
	sm_store_relaxed(&r->mine->nonce, r->nonce);
	tell(r, 0);
}

static void number(struct run *r, uint64_t number)
{
	r->number = number;
	/* ORD run: after all else of this line; pairs with await, adopt. */
	sm_store(&r->mine->run, number);
	sm_refresh(r->mine, sizeof(*r->mine));
}

struct patience {
	uint64_t until_ns;
	unsigned looks;
};

static struct patience patience(const struct run *r)
{
	return (struct patience){ .until_ns = monotonic_ns() + (uint64_t)r->options->wait_ms * 1000000u };
}

static bool patient(struct patience *p)
{
	if (++p->looks < SPINS) {
		sm_pause();
		return true;
	}
	sm_nap(NAP_US);
	return monotonic_ns() < p->until_ns;
}

static int missing(const struct run *r, unsigned host)
{
	return daxfs_error_set(r->err, -ETIMEDOUT,
			       r->phase ? "host %u took part and does not go on: start all again"
					: "host %u of %u did not come within %u ms: start it there at the same time",
			       host, r->options->hosts, r->options->wait_ms);
}

/* Until a host is in that phase of this run. */
static int await(const struct run *r, unsigned host, uint64_t phase)
{
	struct sm_tester *t = &r->tester[host];
	struct patience p = patience(r);

	do {
		sm_refresh(t, sizeof(*t));
		if (sm_load(&t->run) == r->number && sm_load(&t->phase) >= phase)
			return 0;
	} while (patient(&p));
	return missing(r, host);
}

static int await_others(const struct run *r, uint64_t phase)
{
	int rc = 0;

	for (unsigned host = 1; host < r->options->hosts && rc == 0; host++)
		rc = await(r, host, phase);
	return rc;
}

static int alone(const struct run *r)
{
	sm_refresh(r->mine, sizeof(*r->mine));
	if (sm_load_relaxed(&r->mine->nonce) == r->nonce)
		return 0;
	return daxfs_error_set(r->err, -EBUSY, "another process takes part as host %u: give each a number of its own",
			       r->options->host);
}

/* All are here before anybody goes on. */
static int barrier(struct run *r)
{
	uint64_t phase = r->phase + 1;
	int rc = alone(r);

	if (rc == 0 && leads(r))
		rc = await_others(r, phase);
	if (rc)
		return rc;
	tell(r, phase);
	return leads(r) ? 0 : await(r, 0, phase);
}

/* Take part in the run that host 0 is about to begin; it may be another one than at the last look. */
static int adopt(struct run *r)
{
	struct sm_tester *leader = &r->tester[0];
	struct patience p = patience(r);

	do {
		uint64_t seen, phase;

		sm_refresh(leader, sizeof(*leader));
		seen = sm_load(&leader->run);
		phase = sm_load(&leader->phase);
		if (seen && seen != r->number && phase == 0) {
			number(r, seen);
			tell(r, 1);
		}
		if (seen && seen == r->number && phase > 0)
			return 0;
	} while (patient(&p));
	r->phase = 0;
	return missing(r, 0);
}

/* -- looking ------------------------------------------------------------------------- */

static void change(const struct run *r, uint64_t round)
{
	uint64_t lines[LINES_WORDS];

	for (unsigned i = 0; i < LINES_WORDS; i++)
		lines[i] = round;
	sm_write(r->lines, lines, sizeof(lines));
	sm_flush(&r->pool->shm, r->lines, LINES_BYTES);
	sm_drain(&r->pool->shm);
	/* ORD word: after the lines, as any publication; pairs with look. */
	sm_store(r->word, round);
	sm_flush(&r->pool->shm, r->word, sizeof(*r->word));
	sm_drain(&r->pool->shm);
}

static void look(struct run *r, uint64_t round)
{
	uint64_t lines[LINES_WORDS];
	bool same = true;

	r->stale_words += sm_load(r->word) != round;
	sm_read(lines, r->lines, sizeof(lines));
	for (unsigned i = 0; i < LINES_WORDS; i++)
		same &= lines[i] == round;
	r->stale_copies += !same;
}

static int take_turns(struct run *r)
{
	int rc = 0;

	for (uint64_t round = 1; round <= r->rounds && rc == 0; round++) {
		if (round % r->options->hosts == r->options->host)
			change(r, round);
		rc = barrier(r);
		if (rc == 0) {
			look(r, round);
			rc = barrier(r);
		}
	}
	return rc;
}

static void increment(const struct run *r)
{
	uint64_t seen = sm_load(r->scratch);

	for (uint64_t done = 0; done < r->increments;) {
		/* ORD none: only the word's own atomicity is under test. */
		bool won = sm_cas_value(r->scratch, &seen, seen + 1);

		done += won;
		seen += won;
	}
}

/* -- the verdict ----------------------------------------------------------------------- */

static const uint64_t check_key[2] = { DAXFS_MAGIC, 1 };

static uint64_t at_most(uint64_t n, uint64_t limit)
{
	return n < limit ? n : limit;
}

static void record(const struct run *r)
{
	const struct daxfs_coherence *c = r->out;
	struct sm_manager *manager = &r->pool->member->manager;
	uint64_t proof[3] = {
		c->wall_ns,
		at_most(c->rounds, COUNT_MAX) << 24 | (uint64_t)c->machines << 16 | (uint64_t)c->hosts << 8 |
			c->coherent,
		at_most(c->lost, UINT32_MAX) << 32 | at_most(c->stale_copies, UINT16_MAX) << 16 |
			at_most(c->stale_words, UINT16_MAX),
	};

	for (unsigned i = 0; i < 3; i++)
		sm_store_relaxed(&manager->proof[i], proof[i]);
	/* ORD none: a record whose check is of other words is none. */
	sm_store(&manager->proof_check, siphash24(check_key, proof, sizeof(proof)));
	sm_flush(&r->pool->shm, manager, sizeof(*manager));
	sm_drain(&r->pool->shm);
}

static unsigned machines(const struct run *r)
{
	unsigned n = 0, before;

	for (unsigned host = 0; host < r->options->hosts; host++) {
		for (before = 0; before < host; before++)
			if (sm_load(&r->tester[before].machine) == sm_load(&r->tester[host].machine))
				break;
		n += before == host;
	}
	return n;
}

/* Host 0, after all have said what they saw. */
static void judge(struct run *r, uint64_t value)
{
	uint64_t want = r->increments * r->options->hosts;
	struct daxfs_coherence *c = r->out;

	c->machines = machines(r);
	c->stale_words = r->stale_words;
	c->stale_copies = r->stale_copies;
	c->lost = want - at_most(value, want);
	for (unsigned host = 1; host < r->options->hosts; host++) {
		const struct sm_tester *t = &r->tester[host];
		uint64_t lost = want - at_most(sm_load(&t->figure[OWN_VALUE]), want);

		c->stale_words += sm_load(&t->figure[OWN_WORDS]);
		c->stale_copies += sm_load(&t->figure[OWN_COPIES]);
		c->lost = lost > c->lost ? lost : c->lost;
	}
	sm_store_relaxed(&r->mine->figure[END_MACHINES], c->machines);
	sm_store_relaxed(&r->mine->figure[END_WORDS], c->stale_words);
	sm_store_relaxed(&r->mine->figure[END_COPIES], c->stale_copies);
	sm_store_relaxed(&r->mine->figure[END_LOST], c->lost);
}

static void read_verdict(struct run *r)
{
	const struct sm_tester *leader = &r->tester[0];
	struct daxfs_coherence *c = r->out;

	c->machines = (unsigned)sm_load(&leader->figure[END_MACHINES]);
	c->stale_words = sm_load(&leader->figure[END_WORDS]);
	c->stale_copies = sm_load(&leader->figure[END_COPIES]);
	c->lost = sm_load(&leader->figure[END_LOST]);
}

static int conclude(struct run *r)
{
	struct daxfs_coherence *c = r->out;
	uint64_t value = sm_load(r->scratch);
	int rc;

	*c = (struct daxfs_coherence){ .hosts = r->options->hosts, .rounds = r->rounds, .wall_ns = fs_now() };
	if (!leads(r)) {
		sm_store_relaxed(&r->mine->figure[OWN_VALUE], value);
		sm_store_relaxed(&r->mine->figure[OWN_WORDS], r->stale_words);
		sm_store_relaxed(&r->mine->figure[OWN_COPIES], r->stale_copies);
		rc = barrier(r);
	} else {
		rc = await_others(r, r->phase + 1);
		if (rc == 0) {
			judge(r, value);
			rc = barrier(r);
		}
	}
	if (rc)
		return rc;
	if (!leads(r))
		read_verdict(r);
	c->coherent = !c->stale_words && !c->stale_copies && !c->lost;
	if (leads(r))
		record(r);
	return 0;
}

/* -- the whole --------------------------------------------------------------------------- */

static int begin_as_leader(struct run *r)
{
	int rc;

	sm_store_relaxed(&r->mine->figure[BEGIN_HOSTS], r->options->hosts);
	sm_store_relaxed(&r->mine->figure[BEGIN_ROUNDS], r->rounds);
	sm_store_relaxed(&r->mine->figure[BEGIN_INCREMENTS], r->increments);
	change(r, 0);
	sm_store_relaxed(r->scratch, 0);
	sm_refresh(r->scratch, sizeof(*r->scratch));
	number(r, r->nonce);
	rc = await_others(r, 1);
	if (rc == 0)
		tell(r, 1);
	return rc;
}

static int begin(struct run *r)
{
	const struct sm_tester *leader = &r->tester[0];
	uint64_t hosts;
	int rc;

	if (leads(r))
		return begin_as_leader(r);
	rc = adopt(r);
	hosts = sm_load(&leader->figure[BEGIN_HOSTS]);
	r->rounds = sm_load(&leader->figure[BEGIN_ROUNDS]);
	r->increments = sm_load(&leader->figure[BEGIN_INCREMENTS]);
	if (rc == 0 && hosts != r->options->hosts)
		rc = daxfs_error_set(r->err, -EINVAL,
				     "host 0 says that %" PRIu64 " hosts take part, not %u: say the same", hosts,
				     r->options->hosts);
	return rc;
}

static int whole(void *arg)
{
	struct run *r = arg;
	int rc;

	introduce(r);
	rc = begin(r);
	if (rc == 0)
		look(r, 0); /* so that the first change meets a full cache */
	if (rc == 0)
		rc = barrier(r);
	if (rc == 0)
		rc = take_turns(r);
	if (rc == 0) {
		increment(r);
		rc = barrier(r);
	}
	return rc ? rc : conclude(r);
}

static int judge_options(const struct daxfs_coherence_options *o, struct daxfs_error *err)
{
	if (o->hosts < 2 || o->hosts > DAXFS_TESTERS || o->host >= o->hosts)
		return daxfs_error_set(err, -EINVAL, "host %u of %u: 2 to %u hosts take part, numbered from 0", o->host,
				       o->hosts, DAXFS_TESTERS);
	if (!o->rounds || !o->increments || o->rounds > COUNT_MAX || o->increments > COUNT_MAX)
		return daxfs_error_set(err, -EINVAL, "give 1 to 2^40 - 1 rounds and increments");
	return 0;
}

int daxfs_coherence_test(struct daxfs *fs, const struct daxfs_coherence_options *options, struct daxfs_coherence *out,
			 struct daxfs_error *err)
{
	const size_t least = OPTIONS_UPTO(struct daxfs_coherence_options, wait_ms);
	struct pool *pool = fs_pool_writable(fs);
	struct daxfs_coherence_options known;
	struct daxfs_coherence found;
	struct run r = { .pool = pool, .options = &known, .err = err, .out = &found };
	struct shm_guard guard = shm_guard_of(&pool->shm);
	int rc = options_take(&known, sizeof(known), least, options, err);

	if (rc == 0)
		rc = judge_options(&known, err);
	if (rc)
		return rc;
	if (!*fs->here)
		return daxfs_error_set(err, -ECHILD, "this process is a child of the one that opened the pool");
	if (!pool->writable)
		return daxfs_error_set(err, -EROFS, "the pool is mapped read-only; the test writes");
	if (getrandom(&r.nonce, sizeof(r.nonce), 0) != sizeof(r.nonce) || !r.nonce)
		r.nonce = fs_now();
	r.rounds = known.rounds;
	r.increments = known.increments;
	r.tester = pool_at(pool, pool->super.region[DAXFS_R_OPEN_TABLE].offset + DAXFS_TESTERS_AT);
	r.mine = &r.tester[known.host];
	r.lines = pool_at(pool, pool->super.region[DAXFS_R_LANES].offset + DAXFS_TEST_LINES_AT);
	r.word = pool_at(pool, pool->super.region[DAXFS_R_LANES].offset + DAXFS_TEST_WORD_AT);
	r.scratch = pool_at(pool, pool->super.region[DAXFS_R_LANES].offset + DAXFS_SCRATCH_OFFSET);
	rc = shm_guard_run(&guard, whole, &r);
	if (guard.hit)
		return daxfs_error_set(err, -EIO, "memory of the pool failed at offset %#" PRIx64, guard.offset);
	if (rc == 0)
		*out = found;
	return rc;
}

struct proof_call {
	const struct sm_manager *manager;
	struct daxfs_coherence *out;
};

static int load_proof(void *arg)
{
	const struct proof_call *call = arg;
	uint64_t proof[3];

	for (unsigned i = 0; i < 3; i++)
		proof[i] = sm_load(&call->manager->proof[i]);
	if (sm_load(&call->manager->proof_check) != siphash24(check_key, proof, sizeof(proof)))
		return -ENODATA;
	*call->out = (struct daxfs_coherence){
		.wall_ns = proof[0],
		.coherent = proof[1] & 1,
		.hosts = (unsigned)(proof[1] >> 8 & 0xff),
		.machines = (unsigned)(proof[1] >> 16 & 0xff),
		.rounds = proof[1] >> 24,
		.stale_words = proof[2] & UINT16_MAX,
		.stale_copies = proof[2] >> 16 & UINT16_MAX,
		.lost = proof[2] >> 32,
	};
	return 0;
}

int daxfs_coherence_proof(const struct daxfs *fs, struct daxfs_coherence *out)
{
	const struct pool *pool = fs_pool(fs);
	struct daxfs_coherence found;
	struct proof_call call = { &pool->member->manager, &found };
	struct shm_guard guard = shm_guard_of(&pool->shm);
	int rc = *fs->here ? shm_guard_run(&guard, load_proof, &call) : -ECHILD;

	if (guard.hit)
		return -EIO;
	if (rc == 0)
		*out = found;
	return rc;
}
