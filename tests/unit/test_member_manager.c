/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_member_manager.c - managers: the election, and what a deposed one can
 * still do to a host word (nothing).
 */
#include <pthread.h>

#include "member_fixture.h"

static void test_first_manager(void **state)
{
	struct fixture *f = *state;
	struct daxfs_manager_view v;

	daxfs_member_manager(f->m, &v);
	assert_int_equal(f->epoch, 1);
	assert_int_equal(v.epoch, 1);
	assert_int_equal(v.pid, (uint32_t)getpid());
	assert_int_equal(v.reclaim_epoch, 1);
	assert_int_equal(v.beat, 0);
	assert_int_equal(daxfs_member_manager_beat(f->m, 1), 0);
	assert_int_equal(daxfs_member_manager_beat(f->m, 1), 0);
	daxfs_member_manager(f->m, &v);
	assert_int_equal(v.beat, 2);
}

static uint32_t depose(struct fixture *f)
{
	struct daxfs_manager_view seen;
	uint32_t epoch;

	daxfs_member_manager(f->m, &seen);
	assert_int_equal(daxfs_member_claim(f->m, &seen, &epoch), 0);
	return epoch;
}

static void test_deposed(void **state)
{
	struct fixture *f = *state;
	struct daxfs_manager_view v;
	struct daxfs_host_view seen;

	set_word(f, 1, in_state(DAXFS_HOST_ALIVE));
	seen = view(f, 1);
	assert_int_equal(depose(f), 2);
	assert_int_equal(daxfs_member_manager_beat(f->m, 1), -ESTALE);
	assert_int_equal(daxfs_member_stamp(f->m, &seen, 1), -ESTALE);
	assert_int_equal(daxfs_member_move(f->m, &seen, DAXFS_HOST_SUSPECT, -1, 1, DAXFS_REASON_BEAT_LATE, 1), -ESTALE);
	assert_int_equal(word(f, 1), seen.word);
	assert_int_equal(view(f, 1).reason, DAXFS_REASON_NONE);
	daxfs_member_manager(f->m, &v);
	assert_int_equal(v.beat, 0);
}

/* Even one that checked its epoch just before it was deposed: the stamp undoes what it saw. */
static void test_deposed_between_check_and_cas(void **state)
{
	struct fixture *f = *state;
	struct host_word to = in_state(DAXFS_HOST_FENCING);
	struct daxfs_host_view seen, now;

	set_word(f, 1, in_state(DAXFS_HOST_ALIVE));
	seen = view(f, 1);
	now = seen;
	assert_int_equal(daxfs_member_stamp(f->m, &now, depose(f)), 0);
	assert_int_equal(member_move(&f->pool, 1, seen.word, to), -EAGAIN);
	now = view(f, 1);
	assert_int_equal(now.manager_epoch, 2);
	assert_int_equal(now.state, DAXFS_HOST_ALIVE);
	assert_int_equal(now.generation, 7);
}

static void test_stamp_keeps_the_rest(void **state)
{
	struct fixture *f = *state;

	for (unsigned st = 0; st < DAXFS_HOST_STATES; st++) {
		struct host_word w = in_state(st);
		struct daxfs_host_view v;

		set_word(f, 1, w);
		v = view(f, 1);
		assert_int_equal(daxfs_member_stamp(f->m, &v, f->epoch), 0);
		w.epoch = f->epoch;
		assert_int_equal(word(f, 1), host_word_pack(w));
		assert_int_equal(daxfs_member_stamp(f->m, &v, f->epoch), -EAGAIN); /* on what it was before */
	}
}

static void test_claim_refused(void **state)
{
	struct fixture *f = *state;
	struct daxfs_manager_view seen;
	uint32_t epoch = 99;

	daxfs_member_manager(f->m, &seen);
	seen.pid++;
	assert_int_equal(daxfs_member_claim(f->m, &seen, &epoch), -EAGAIN);
	sm_store(&f->pool.member->manager.word, 0xffffffffull << 32);
	daxfs_member_manager(f->m, &seen);
	assert_int_equal(epoch, 99);
	assert_int_equal(daxfs_member_claim(f->m, &seen, &epoch), 0);
	assert_int_equal(epoch, 1); /* after the last; 0 means none yet */
}

/* Host words hold 16 bits of the epoch, the manager word all. */
static void test_many_takeovers(void **state)
{
	struct fixture *f = *state;
	struct daxfs_manager_view seen;
	struct daxfs_host_view v;
	uint32_t epoch;

	sm_store(&f->pool.member->manager.word, 0xffffull << 32);
	daxfs_member_manager(f->m, &seen);
	assert_int_equal(daxfs_member_claim(f->m, &seen, &epoch), 0);
	assert_int_equal(epoch, 0x10000);
	set_word(f, 1, in_state(DAXFS_HOST_ALIVE));
	v = view(f, 1);
	assert_int_equal(daxfs_member_stamp(f->m, &v, epoch), 0);
	v = view(f, 1);
	assert_int_equal(v.manager_epoch, 0);
	assert_int_equal(daxfs_member_move(f->m, &v, DAXFS_HOST_SUSPECT, -1, 0xffff, 0, 0), -ESTALE);
	assert_int_equal(daxfs_member_move(f->m, &v, DAXFS_HOST_SUSPECT, -1, epoch, 0, 0), 0);
}

#define CLAIMANTS 4
#define ROUNDS 2000

struct claimant {
	struct daxfs_member *m;
	pthread_barrier_t *start;
	unsigned won;
};

static void *claim_often(void *arg)
{
	struct claimant *c = arg;
	struct daxfs_manager_view seen;
	uint32_t epoch;

	for (int i = 0; i < ROUNDS; i++) {
		daxfs_member_manager(c->m, &seen);
		pthread_barrier_wait(c->start); /* all have seen the same manager */
		c->won += daxfs_member_claim(c->m, &seen, &epoch) == 0;
		pthread_barrier_wait(c->start);
	}
	return NULL;
}

/* Of all that saw the same manager exactly one becomes the next. */
static void test_one_winner(void **state)
{
	struct fixture *f = *state;
	struct claimant c[CLAIMANTS];
	struct daxfs_manager_view v;
	pthread_barrier_t start;
	pthread_t thread[CLAIMANTS];
	unsigned won = 0;

	pthread_barrier_init(&start, NULL, CLAIMANTS);
	for (unsigned i = 0; i < CLAIMANTS; i++) {
		c[i] = (struct claimant){ .m = f->m, .start = &start };
		assert_int_equal(pthread_create(&thread[i], NULL, claim_often, &c[i]), 0);
	}
	for (unsigned i = 0; i < CLAIMANTS; i++) {
		pthread_join(thread[i], NULL);
		won += c[i].won;
	}
	pthread_barrier_destroy(&start);
	daxfs_member_manager(f->m, &v);
	assert_int_equal(won, ROUNDS);
	assert_int_equal(v.epoch, f->epoch + ROUNDS);
}

/* -- recoverers that died ------------------------------------------------------ */

static struct daxfs_host_view recovering_by(struct fixture *f, uint32_t recoverer_generation)
{
	struct host_word w = in_state(DAXFS_HOST_RECOVERING);

	w.recoverer_generation = recoverer_generation;
	set_word(f, 0, w);
	return view(f, 0);
}

/* Each death once, whoever counts it, and all of them until the generation is another one. */
static void test_deaths_are_counted_once(void **state)
{
	struct fixture *f = *state;
	struct daxfs_host_view seen = recovering_by(f, 4), late = seen;

	assert_int_equal(seen.deaths, 0);
	assert_false(seen.death_counted);
	assert_int_equal(daxfs_member_count_death(f->m, &seen, f->epoch), 0);
	assert_int_equal(daxfs_member_count_death(f->m, &late, f->epoch), -EAGAIN); /* seen before that */
	seen = view(f, 0);
	assert_int_equal(seen.deaths, 1);
	assert_true(seen.death_counted);
	assert_int_equal(seen.reason, DAXFS_REASON_RECOVERER_DIED);
	assert_int_equal(daxfs_member_count_death(f->m, &seen, f->epoch), -EAGAIN); /* by the next manager */
	seen = recovering_by(f, 5);
	assert_int_equal(seen.deaths, 1);
	assert_false(seen.death_counted);
	assert_int_equal(daxfs_member_count_death(f->m, &seen, f->epoch), 0);
	assert_int_equal(view(f, 0).deaths, 2);
	assert_int_equal(daxfs_member_count_death(f->m, &late, f->epoch), -EAGAIN);
}

static void test_deaths_are_of_a_generation(void **state)
{
	struct fixture *f = *state;
	struct daxfs_host_view seen = recovering_by(f, 4);
	struct host_word w = in_state(DAXFS_HOST_RECOVERING);

	assert_int_equal(daxfs_member_count_death(f->m, &seen, f->epoch), 0);
	w.generation++;
	set_word(f, 0, w);
	assert_int_equal(view(f, 0).deaths, 0);
	set_word(f, 0, in_state(DAXFS_HOST_ALIVE));
	seen = view(f, 0);
	assert_int_equal(seen.deaths, 0);
	assert_int_equal(daxfs_member_count_death(f->m, &seen, f->epoch), -EINVAL);
	assert_int_equal(daxfs_member_forget_deaths(f->m, &seen, f->epoch), -EINVAL);
}

/* Forgotten by the operator; and the one at work since then may still die. */
static void test_deaths_forgotten(void **state)
{
	struct fixture *f = *state;
	struct daxfs_host_view seen = recovering_by(f, 4);

	assert_int_equal(daxfs_member_count_death(f->m, &seen, f->epoch), 0);
	seen = view(f, 0);
	assert_int_equal(daxfs_member_forget_deaths(f->m, &seen, f->epoch), 0);
	seen = view(f, 0);
	assert_int_equal(seen.deaths, 0);
	assert_true(seen.death_counted); /* it died before that: not once more */
	seen = recovering_by(f, 5);
	assert_int_equal(daxfs_member_forget_deaths(f->m, &seen, f->epoch), 0);
	seen = view(f, 0);
	assert_false(seen.death_counted);
	assert_int_equal(daxfs_member_count_death(f->m, &seen, f->epoch), 0);
	assert_int_equal(view(f, 0).deaths, 1);
}

static void test_deposed_counts_nothing(void **state)
{
	struct fixture *f = *state;
	struct daxfs_host_view seen = recovering_by(f, 4);

	depose(f);
	assert_int_equal(daxfs_member_count_death(f->m, &seen, f->epoch), -ESTALE);
	assert_int_equal(daxfs_member_forget_deaths(f->m, &seen, f->epoch), -ESTALE);
	assert_int_equal(view(f, 0).deaths, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_POOL(test_first_manager),
		WITH_POOL(test_deposed),
		WITH_POOL(test_deposed_between_check_and_cas),
		WITH_POOL(test_stamp_keeps_the_rest),
		WITH_POOL(test_claim_refused),
		WITH_POOL(test_many_takeovers),
		WITH_POOL(test_one_winner),
		WITH_POOL(test_deaths_are_counted_once),
		WITH_POOL(test_deaths_are_of_a_generation),
		WITH_POOL(test_deaths_forgotten),
		WITH_POOL(test_deposed_counts_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
