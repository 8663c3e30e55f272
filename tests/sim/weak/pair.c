/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pair.c - calls of two or three hosts in a weak memory, of which one has to see the other.
 *
 * Scenarios are judged by what hosts that have joined find in the tree. That shows too late, or not, that of two that
 * look for each other by a store, a fence and a load neither saw the other (store buffering). Turns of random length,
 * each by a policy of its own:
 *   join-repair    a join and a repair: one of them at most may succeed
 *   join-enable    a host that does not know a feature comes, and it is switched on (F1 of sync/features.c)
 *   frees-looks    an inode becomes free, another host looks at the last: the word above is open in the end (S2)
 *   lease-settle   a time moves after its change was decided; who is told the old one is recalled (L7)
 *   lease-first    a first write, and a lease for another host: one of them at most goes on (L6)
 *   lease-silent   a lease under a beat, and who found its host silent until then: if granted it counts (L4)
 *   look-*         a change, and a look at times: pair_times.h
 *   local-again, ask-names, *-scan, join-adopt, taken-over  pair_local.c, pair_names.c, pair_reclaim.c
 *   claim-anew     a claim is read while its lane claims another word: as it was, or not (C2 of sync/claim.c)
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daxfs/lease.h"
#include "fs/lease.h"
#include "inspect/repair.h"
#include "machine/weak.h"
#include "machine/world.h"
#include "sim.h"
#include "space/space.h"
#include "sync/record.h"
#include "sync/summary.h"
#include "weak/pair_features.h"
#include "weak/pair_local.h"
#include "weak/pair_names.h"
#include "weak/pair_reclaim.h"
#include "weak/pair_times.h"

#define STEPS_MAX 100000u
#define TURN_MAX 24u /* steps of one turn */
#define LOOKS 60u    /* for what another host is about to do */
#define MIXES 300u

static long call_join(void *arg)
{
	struct daxfs_error err;

	(void)arg;
	return daxfs_join(world.fs[0], 0, "joins", &err);
}

static long call_repair(void *arg)
{
	struct daxfs_error err;

	(void)arg;
	return repair_begin(world.fs[1], 1, &err);
}

static bool both_succeed(const struct run *run)
{
	return !run[0].result && !run[1].result;
}

/* -- the last object becomes free ---------------------------------------------------- */

static enum daxfs_type type; /* of what becomes free */

static struct lane *lane_of(unsigned host)
{
	return &world.fs[host]->slots[0].lane;
}

static long enter(void *arg)
{
	struct lane *lane = lane_of(*(unsigned *)arg);

	lane_enter(lane);
	record_begin(lane, OP_SETATTR);
	return 0;
}

static long take_one(void *arg)
{
	uint64_t index;

	(void)arg;
	return space_take(lane_of(0), type, DAXFS_USE_NONE, 1, &index);
}

/* By hand: all that is free is in use, and a level higher that is known below. */
static long fill(void *arg)
{
	const struct pool_summary *s = &world.pool.summary[type];
	uint64_t used = state_make(DAXFS_LIVE, DAXFS_USE_NONE, 1);

	(void)arg;
	for (uint64_t i = 0; i < world.pool.objects[type]; i++)
		if (sm_load(&world.pool.state[type][i]) == 0)
			sm_store(&world.pool.state[type][i], used);
	for (uint64_t i = 0; s->levels > 1 && i < s->count[0]; i++)
		sm_store(&s->word[0][i], (uint64_t)DAXFS_GROUP_NOTHING << DAXFS_GROUP_BITS);
	return 0;
}

static bool fill_up(void)
{
	return run_all(0, enter, &(unsigned){ 0 }, NULL, NULL) == RUN_RETURNED &&
	       run_all(0, take_one, NULL, NULL, NULL) == RUN_RETURNED &&
	       run_all(1, enter, &(unsigned){ 1 }, NULL, NULL) == RUN_RETURNED &&
	       run_all(OBSERVER, fill, NULL, NULL, NULL) == RUN_RETURNED;
}

static bool fill_inodes(void)
{
	type = DAXFS_T_INODE;
	return fill_up();
}

static bool fill_pages(void)
{
	type = DAXFS_T_PAGE;
	return fill_up() && world.pool.summary[type].levels > 1;
}

static long call_free(void *arg)
{
	(void)arg;
	return record_abort(lane_of(0), 0);
}

static long call_look(void *arg)
{
	struct space_batch batch;
	uint64_t index;

	(void)arg;
	space_begin(&batch, type);
	return space_find(lane_of(1), &batch, DAXFS_USE_NONE, &index);
}

static long call_look_above(void *arg)
{
	bool waiting = false;

	(void)arg;
	return (long)summary_next(lane_of(1), type, 0, &waiting);
}

static long find_closed(void *arg)
{
	const struct pool_summary *s = &world.pool.summary[type];
	uint64_t w = sm_load(s->word[s->levels - 1]);

	(void)arg;
	return w >> DAXFS_GROUP_BITS == DAXFS_GROUP_NOTHING || w >> DAXFS_GROUP_BITS == DAXFS_GROUP_WAITING;
}

static bool stays_closed(const struct run *run)
{
	long closed = 1;

	(void)run;
	memory_quiesce();
	return run_all(OBSERVER, find_closed, NULL, &closed, NULL) != RUN_RETURNED || closed;
}

/* -- leases: host 0 changes, host 1 grants ------------------------------------------------ */

static daxfs_ino file;
static struct timespec ctime_before;

static struct sm_inode *file_words(void)
{
	return &world.pool.inodes[handle_index(file)];
}

static bool forgets(void *context, daxfs_ino ino, bool names)
{
	(void)context, (void)ino, (void)names;
	return true;
}

static long make_file(void *arg)
{
	struct daxfs_attr attr;
	int rc = daxfs_mknod(world.fs[0], DAXFS_ROOT, "f", 0100600, 0, (struct daxfs_cred){ 0 }, true, &attr);

	(void)arg;
	file = attr.ino;
	ctime_before = attr.ctime;
	return rc;
}

static long serve(void *arg)
{
	struct daxfs *fs = world.fs[*(unsigned *)arg];

	while (lease_clock() < 2 * fs->pool.super.lease_ms * UINT64_C(1000000))
		;
	return daxfs_lease_start(fs, forgets, NULL) || daxfs_beat(fs);
}

static bool serve_by(unsigned host)
{
	long rc[2] = { -1, -1 };

	return run_all(0, make_file, NULL, &rc[0], NULL) == RUN_RETURNED &&
	       run_all(host, serve, &host, &rc[1], NULL) == RUN_RETURNED && !rc[0] && !rc[1];
}

static struct {
	uint64_t term, beat;
} seen; /* of host 0 */

static long see(void *arg)
{
	(void)arg;
	seen.term = sm_load(&world.pool.holders[0].term);
	seen.beat = sm_load(&world.pool.member->host[0].beat);
	return 0;
}

static bool serve_by_0(void)
{
	return serve_by(0) && run_all(OBSERVER, see, NULL, NULL, NULL) == RUN_RETURNED;
}

static bool serve_by_1(void)
{
	return serve_by(1);
}

/* Does it recall somebody? */
static long call_settle(void *arg)
{
	struct lane *lane = lane_of(0);
	bool recalls;

	(void)arg;
	lane_enter(lane);
	inode_renamed(lane, file_words());
	recalls = lane->notes.n_recalls;
	lane->notes.n_recalls = 0;
	lane_exit(lane);
	return recalls;
}

static bool granted(unsigned host, struct daxfs_attr *attr)
{
	struct daxfs_lease lease = { 0 };

	return daxfs_getattr_leased(world.fs[host], file, false, attr, &lease) == 0 && lease.attr_ns;
}

/* Is the old time granted? */
static long call_grant_old(void *arg)
{
	struct daxfs_attr attr;

	(void)arg;
	return granted(1, &attr) && attr.ctime.tv_sec == ctime_before.tv_sec &&
	       attr.ctime.tv_nsec == ctime_before.tv_nsec;
}

static bool old_is_kept(const struct run *run)
{
	return !run[0].result && run[1].result;
}

static long call_first_write(void *arg)
{
	struct lane *lane = lane_of(0);
	bool alone, may;

	(void)arg;
	lane_enter(lane);
	may = lease_may_write(lane, file_words(), &alone) == 0;
	lane->notes.n_recalls = 0;
	lane_exit(lane);
	return may && alone;
}

static long call_grant(void *arg)
{
	struct daxfs_attr attr;

	(void)arg;
	return granted(1, &attr);
}

static bool both_go_on(const struct run *run)
{
	return run[0].result && run[1].result;
}

static long call_beat_and_grant(void *arg)
{
	struct daxfs_attr attr;

	(void)arg;
	return daxfs_beat(world.fs[0]) == 0 && granted(0, &attr);
}

/* Host 1 has seen the beat of before for long. Does it make host 0's leases void? */
static long call_find_silent(void *arg)
{
	static struct lease_watch watch = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct pool *pool = fs_pool_writable(world.fs[1]);

	(void)arg;
	watch.host[0].number = seen.term >> 2;
	watch.host[0].beat = seen.beat;
	watch.host[0].since_ns = 1;
	lease_watch_look(pool, 0, &watch);
	return term_state(sm_load(&pool->holders[0].term)) == DAXFS_TERM_VOID;
}

/* -- claims: host 0 claims one word after the other, host 1 reads a claim of the first -------- */

enum { FIRST_WAS = 2, SECOND_WAS, CLAIMS = 4 };

static sm_u64 *claimed_word(unsigned nth)
{
	return &world.pool.inodes[10 + nth % 2].mtime; /* words that nobody minds, too */
}

static long name_both(void *arg)
{
	(void)arg;
	sm_store(claimed_word(0), FIRST_WAS);
	sm_store(claimed_word(1), SECOND_WAS);
	return 0;
}

static bool make_words(void)
{
	return run_all(OBSERVER, name_both, NULL, NULL, NULL) == RUN_RETURNED;
}

/* For a record that is over: each claim is taken off again. */
static long call_claim(void *arg)
{
	const uint64_t mark = mark_make(lane_of(2)->id, 0, 5);

	(void)arg;
	for (unsigned i = 0; i < CLAIMS; i++)
		claim_word(lane_of(0), claimed_word(i), mark, i % 2 ? SECOND_WAS : FIRST_WAS);
	return 0;
}

/* Is something else found in it than was put there? */
static long call_read_claim(void *arg)
{
	uint64_t w = 0, value = 0;
	int rc;

	(void)arg;
	for (unsigned looks = 0; !word_is_claim(w) && looks < LOOKS; looks++)
		w = sm_load(claimed_word(0));
	rc = word_is_claim(w) ? claim_value(&world.pool, claimed_word(0), w, &value) : 0;
	return rc < 0 || (rc > 0 && value != FIRST_WAS);
}

static bool read_wrong(const struct run *run)
{
	return run[1].result;
}

/* ------------------------------------------------------------------------------------- */

static const struct pair {
	const char *name;
	bool small, leases; /* of the pool */
	unsigned join;
	bool (*setup)(void);
	long (*call[HOSTS])(void *arg);
	bool (*wrong)(const struct run *run);
} pairs[] = {
	{ "join-repair", true, false, 0, NULL, { call_join, call_repair }, both_succeed },
	{ "join-enable", true, false, 6, features_older, { features_come, features_switch_on }, both_succeed },
	{ "frees-looks", true, false, 7, fill_inodes, { call_free, call_look }, stays_closed },
	{ "frees-above", false, false, 7, fill_pages, { call_free, call_look_above }, stays_closed },
	{ "lease-settle", true, true, 7, serve_by_1, { call_settle, call_grant_old }, old_is_kept },
	{ "lease-first", true, true, 7, serve_by_1, { call_first_write, call_grant }, both_go_on },
	{ "lease-silent", true, true, 7, serve_by_0, { call_beat_and_grant, call_find_silent }, both_go_on },
	{ "look-change", true, false, 7, times_unseen, { times_change, times_look }, both_go_on },
	{ "look-halves", true, false, 7, times_seen, { times_move, times_look_half }, read_wrong },
	{ "look-relied", true, false, 7, times_seen, { times_move, times_rely }, read_wrong },
	{ "enter-scan",
	  true,
	  false,
	  7,
	  reclaim_name_object,
	  { reclaim_enter_and_load, reclaim_retire_and_scan },
	  reclaim_used_again },
	{ "join-scan",
	  true,
	  false,
	  7,
	  reclaim_name_and_free,
	  { reclaim_join_and_load, reclaim_retire_and_scan },
	  reclaim_used_again },
	{ "extend-scan",
	  true,
	  false,
	  7,
	  reclaim_enter_before,
	  { reclaim_load, reclaim_retire_and_scan },
	  reclaim_used_again },
	{ "claim-anew", true, false, 7, make_words, { call_claim, call_read_claim }, read_wrong },
	{ "adopt-scan",
	  true,
	  false,
	  7,
	  reclaim_meet_record,
	  { reclaim_end_record, reclaim_scan, reclaim_adopt },
	  reclaim_used_under_helper },
	{ "join-adopt",
	  true,
	  false,
	  7,
	  reclaim_meet_and_free,
	  { reclaim_end_record, reclaim_scan, reclaim_join_and_adopt },
	  reclaim_used_under_helper },
	{ "local-again", true, false, 7, local_setup, { local_reads, local_writes }, local_went_back },
	{ "ask-names", true, false, 7, names_setup, { names_ask, names_serve }, names_missed },
	{ "taken-over",
	  true,
	  false,
	  7,
	  reclaim_enter_before,
	  { reclaim_take_over_and_load, reclaim_retire_and_scan },
	  reclaim_used_again },
};

#define PAIRS (sizeof(pairs) / sizeof(pairs[0]))

static uint64_t draw(uint64_t *random, uint64_t n)
{
	*random = *random * 6364136223846793005ull + 1442695040888963407ull;
	return (*random >> 33) % n;
}

/* Turn and turn about, until all have returned. */
static void take_turns(struct run *run, unsigned hosts, uint64_t *random)
{
	unsigned left = hosts;

	while (left) {
		struct run *next = &run[draw(random, hosts)];

		if (next->end != RUN_PAUSED)
			continue;
		run_until(next, next->steps + 1 + draw(random, TURN_MAX));
		left -= next->end != RUN_PAUSED;
	}
}

/* Why it went wrong; NULL: it did not. */
static const char *play(const struct pair *pair, uint64_t seed)
{
	uint64_t random = seed * 0x9e3779b97f4a7c15ull;
	const struct weak_policy policy = {
		.hide = draw(&random, 2) ? HIDE_ALL : HIDE_SOME,
		.n = seed,
		.density = 32u << draw(&random, 4),
		.patience = 100,
	};
	static char why[400];
	struct run run[HOSTS];
	unsigned hosts = pair->call[2] ? 3 : 2;
	bool wrong;

	weak_begin(&policy);
	for (unsigned host = 0; host < hosts; host++) {
		run_start(&run[host], host, pair->call[host], NULL);
		run[host].steps_max = STEPS_MAX;
		run[host].end = RUN_PAUSED;
	}
	take_turns(run, hosts, &random);
	weak_end();
	snprintf(why, sizeof(why), "host 0: %ld, host 1: %ld: one of them had to see the other", run[0].result,
		 run[1].result);
	wrong = pair->wrong(run);
	for (unsigned host = 0; host < hosts; host++) {
		if (run[host].end == RUN_BROKEN)
			snprintf(why, sizeof(why), "host %u: %s", host, run[host].err);
		wrong |= run[host].end == RUN_BROKEN;
		run_free(&run[host]);
	}
	world_rewind();
	return wrong ? why : NULL;
}

const char *pair_name(unsigned n)
{
	return n < PAIRS ? pairs[n].name : NULL;
}

static uint64_t play_all(const struct pair *pair, const struct options *opt, bool wb, uint64_t mixes)
{
	uint64_t violations = 0;

	world_make(wb, pair->small, pair->leases, pair->join);
	if (pair->setup && !pair->setup()) {
		printf("VIOLATION pair %s: cannot be set up\n", pair->name);
		return 1;
	}
	memory_quiesce();
	world_mark();
	for (uint64_t n = 1; n <= mixes && !(violations && (opt->first_only || violations > 4)); n++) {
		const char *why = play(pair, opt->seed * 65536 + n);

		violations += why != NULL;
		if (why && !opt->quiet)
			printf("VIOLATION pair %s, mix %" PRIu64 ": %s\n", pair->name, n, why);
	}
	world_drop();
	if (!opt->quiet)
		printf("pair %-18s %-3s %" PRIu64 " mixes, %" PRIu64 " violations\n", pair->name, wb ? "wb" : "gpf",
		       mixes, violations);
	return violations;
}

struct pairs_tally pairs_play(const struct options *opt)
{
	struct pairs_tally tally = { 0 };
	uint64_t violations;

	for (unsigned i = 0; i < 2 * PAIRS; i++) {
		const struct pair *pair = &pairs[i / 2];

		if ((opt->op && strcmp(opt->op, pair->name)) || !(i % 2 ? opt->wb : opt->gpf))
			continue;
		violations = play_all(pair, opt, i % 2, opt->mixes ? opt->mixes : MIXES);
		*(violations ? &tally.failed : &tally.passed) += 1;
		tally.violations += violations;
	}
	return tally;
}
