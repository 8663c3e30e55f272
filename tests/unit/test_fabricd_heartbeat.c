/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_fabricd_heartbeat.c - the heartbeat is changed, again and again, and nobody healthy is declared dead.
 *
 * Hosts and two managers have clocks of their own in virtual time; the managers' decisions and the pool's word are
 * the real ones. Hosts beat with jitter, late by half a period at worst; managers are stopped for up to three seconds,
 * between their look at the word and that at the hosts too. One host dies. Then the same without rules of
 * libdaxfs/sync/timing.c, one each: that must cost a healthy host.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fabricd/decide.h"
#include "fabricd/timing.h"

#define HOSTS 4u
#define MANAGERS 2u
#define NEVER UINT64_MAX
#define RACES 300u
#define END_US (90u * 1000000ull)

enum rules { ALL_RULES, JUDGED_AT_ONCE, READ_ONCE };

struct host {
	uint64_t beat, due_us;
	enum daxfs_host_state state;
	uint32_t stamp;
};

struct manager {
	struct decide decide;
	struct decide_input in;
	uint64_t due_us;
	bool looking; /* it has read the word, and is about to look at the hosts */
};

struct scene {
	struct daxfs_member *m;
	enum rules rules;
	uint64_t random, now_us, change_us, death_us;
	struct host host[HOSTS];
	struct manager manager[MANAGERS];
	uint32_t epoch, primary;
	uint64_t manager_beat;
	unsigned false_deaths, lowered, deaths;
	char path[64];
};

static uint64_t below(struct scene *s, uint64_t n)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return s->random % n;
}

/* -- hosts ------------------------------------------------------------------------ */

static struct daxfs_timing timing(const struct scene *s)
{
	struct daxfs_timing t;

	daxfs_member_timing(s->m, &t);
	return t;
}

/* It beats, and sleeps by what the word says now. */
static void host_beats(struct scene *s, unsigned i)
{
	uint64_t period_us = timing(s).beat_ms * 1000ull;

	s->host[i].beat++;
	s->host[i].due_us = s->now_us + period_us + (below(s, 4) ? 0 : below(s, period_us / 2));
}

/* -- managers ----------------------------------------------------------------------- */

static void moved(struct scene *s, const struct decide_action *a)
{
	struct host *h = &s->host[a->host];

	if (h->state == DAXFS_HOST_FENCING)
		return; /* there is no fence agent here */
	h->state = a->to;
	if (a->to != DAXFS_HOST_FENCING)
		return;
	if (h->due_us == NEVER)
		s->deaths++;
	else
		s->false_deaths++;
}

static void act(struct scene *s, struct manager *m, const struct decide_action *a)
{
	switch (a->kind) {
	case DECIDE_BEAT: s->manager_beat++; break;
	case DECIDE_CLAIM:
		s->primary = (uint32_t)(m - s->manager) + 1;
		decide_claimed(&m->decide, ++s->epoch);
		break;
	case DECIDE_STEP_DOWN: decide_deposed(&m->decide); break;
	case DECIDE_STAMP: s->host[a->host].stamp = s->epoch; break;
	case DECIDE_JUDGE: s->lowered += daxfs_member_judge(s->m, &m->in.timing) == 0; break;
	case DECIDE_MOVE: moved(s, a); break;
	default: break;
	}
}

static void look_at_hosts(const struct scene *s, struct manager *m)
{
	m->in.readable = true;
	m->in.manager = (struct daxfs_manager_view){ .epoch = s->epoch, .pid = s->primary, .beat = s->manager_beat };
	for (unsigned i = 0; i < HOSTS; i++) {
		const struct host *h = &s->host[i];

		m->in.sensible[i] = true;
		m->in.view[i] = (struct daxfs_host_view){
			.id = i,
			.generation = 1,
			.tenancy = 1ull << 40 | 1,
			.state = h->state,
			.beat = h->beat,
			.recoverer = -1,
			.manager_epoch = h->stamp & 0xffff,
			.name = "host",
		};
	}
	m->in.now_ms = s->now_us / 1000;
}

static void poll_on(struct scene *s, struct manager *m)
{
	struct decide_action action[DECIDE_ACTIONS_MAX];
	unsigned n;

	look_at_hosts(s, m);
	n = decide_poll(&m->decide, &m->in, action);
	for (unsigned i = 0; i < n; i++)
		act(s, m, &action[i]);
	m->looking = false;
	m->due_us = s->now_us + m->decide.heartbeat_ms * 1000ull + (below(s, 50) ? below(s, 500) : below(s, 3000000));
}

static void poll_begins(struct scene *s, struct manager *m)
{
	if (s->rules != READ_ONCE || !m->in.timing.judged_ms)
		m->in.timing = timing(s);
	m->looking = true;
	m->due_us = s->now_us + (below(s, 50) ? 0 : below(s, 3000000));
}

/* -- the operator --------------------------------------------------------------------- */

static void change(struct scene *s)
{
	static const unsigned ms[] = { 5, 10, 50, 200, 1000 };
	unsigned to = ms[below(s, 5)];
	struct daxfs_timing was, t;
	struct daxfs_error err;

	if (to == 200) /* that a host asks for, which lengthens only */
		assert_int_equal(daxfs_member_lengthen(s->m, to, &was, &err), 0);
	else
		assert_int_equal(daxfs_member_heartbeat(s->m, to, &err), 0);
	t = timing(s);
	assert_true(to != 200 || t.beat_ms >= to);
	assert_true(t.beat_ms <= t.judged_ms);
	if (s->rules == JUDGED_AT_ONCE)
		assert_int_equal(daxfs_member_judge(s->m, &t), 0);
	s->change_us = s->now_us + below(s, 20000000);
}

/* -- the whole ---------------------------------------------------------------------------- */

static void begin(struct scene *s, uint64_t seed, enum rules rules)
{
	struct daxfs_mkfs_options options = {
		.struct_size = sizeof(options), .size = 16u << 20, .hosts = HOSTS, .lanes = 1, .opens = 8
	};
	struct daxfs_error err;
	int fd;

	memset(s, 0, sizeof(*s));
	s->rules = rules;
	s->random = seed * 0x9e3779b97f4a7c15ull + 1;
	strcpy(s->path, "/dev/shm/daxfs-heartbeat-XXXXXX");
	fd = mkstemp(s->path);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(daxfs_mkfs(s->path, &options, &err), 0);
	assert_int_equal(daxfs_member_open(s->path, true, &s->m, &err), 0);
	for (unsigned i = 0; i < HOSTS; i++)
		s->host[i].state = DAXFS_HOST_ALIVE;
	for (unsigned i = 0; i < MANAGERS; i++)
		decide_init(&s->manager[i].decide, HOSTS, timing(s).judged_ms);
	s->change_us = below(s, 20000000);
	s->death_us = below(s, END_US / 2);
}

static void end(struct scene *s)
{
	daxfs_member_close(s->m);
	unlink(s->path);
}

/* What comes next does. */
static void step(struct scene *s)
{
	uint64_t *next = &s->change_us;
	unsigned what = 0;

	if (s->death_us < *next)
		next = &s->death_us;
	for (unsigned i = 0; i < HOSTS; i++)
		if (s->host[i].due_us < *next)
			next = &s->host[i].due_us, what = 1 + i;
	for (unsigned i = 0; i < MANAGERS; i++)
		if (s->manager[i].due_us < *next)
			next = &s->manager[i].due_us, what = 1 + HOSTS + i;
	s->now_us = *next;
	if (what > HOSTS && s->manager[what - 1 - HOSTS].looking)
		poll_on(s, &s->manager[what - 1 - HOSTS]);
	else if (what > HOSTS)
		poll_begins(s, &s->manager[what - 1 - HOSTS]);
	else if (what)
		host_beats(s, what - 1);
	else if (next == &s->change_us)
		change(s);
	else
		s->death_us = s->host[HOSTS - 1].due_us = NEVER;
}

static struct scene run(uint64_t seed, enum rules rules)
{
	struct scene s;

	begin(&s, seed, rules);
	while (s.now_us < END_US)
		step(&s);
	end(&s);
	return s;
}

static unsigned seeds(void)
{
	const char *given = getenv("SEEDS");

	return given ? (unsigned)atoi(given) : 40;
}

static void nobody_healthy_dies(void **unused)
{
	unsigned lowered = 0, deaths = 0;

	(void)unused;
	for (unsigned seed = 1; seed <= seeds(); seed++) {
		struct scene s = run(seed, ALL_RULES);

		if (s.false_deaths)
			fail_msg("seed %u: a healthy host was declared dead", seed);
		lowered += s.lowered;
		deaths += s.deaths;
	}
	/* It comes to an end: shorter heartbeats are judged by, and the dead are found. */
	assert_true(lowered > seeds() / 2);
	assert_true(deaths > seeds() * 3 / 4);
	print_message("%u seeds: heartbeat lowered %u times, %u deaths found\n", seeds(), lowered, deaths);
}

static unsigned false_deaths(enum rules rules)
{
	unsigned n = 0;

	for (unsigned seed = 1; seed <= 10; seed++)
		n += run(seed, rules).false_deaths;
	return n;
}

static void each_rule_is_needed(void **unused)
{
	(void)unused;
	assert_true(false_deaths(JUDGED_AT_ONCE) > 0);
	assert_true(false_deaths(READ_ONCE) > 0);
}

static void what_is_refused(void **unused)
{
	struct daxfs_error err;
	struct daxfs_timing t;
	struct scene s;

	(void)unused;
	begin(&s, 1, ALL_RULES);
	assert_int_equal(daxfs_member_heartbeat(s.m, 4, &err), -EINVAL);
	assert_int_equal(daxfs_member_heartbeat(s.m, 10001, &err), -EINVAL);
	t = timing(&s);
	assert_int_equal(t.beat_ms, 50);
	assert_int_equal(daxfs_member_heartbeat(s.m, 5, &err), 0);
	assert_int_equal(daxfs_member_judge(s.m, &t), -EAGAIN);
	t = timing(&s);
	assert_true(t.beat_ms == 5 && t.judged_ms == 50);
	assert_int_equal(daxfs_member_judge(s.m, &t), 0);
	t = timing(&s);
	assert_true(t.beat_ms == 5 && t.judged_ms == 5);
	assert_int_equal(daxfs_member_heartbeat(s.m, 1000, &err), 0);
	t = timing(&s);
	assert_true(t.beat_ms == 1000 && t.judged_ms == 1000);
	daxfs_member_close(s.m);
	assert_int_equal(daxfs_member_open(s.path, false, &s.m, &err), 0);
	assert_int_equal(daxfs_member_heartbeat(s.m, 50, &err), -EROFS);
	assert_int_equal(daxfs_member_judge(s.m, &t), -EROFS);
	end(&s);
}

/* Two hosts and the operator at the same time: what is longest stays. */
struct setter {
	pthread_t thread;
	pthread_barrier_t *start;
	const char *path;
	unsigned ms;
	bool lengthens;
};

static void *set_again_and_again(void *arg)
{
	struct setter *t = arg;
	struct daxfs_timing was;
	struct daxfs_member *m;
	struct daxfs_error err;

	assert_int_equal(daxfs_member_open(t->path, true, &m, &err), 0);
	for (unsigned i = 0; i < RACES; i++) {
		pthread_barrier_wait(t->start);
		if (t->lengthens)
			assert_int_equal(daxfs_member_lengthen(m, t->ms, &was, &err), 0);
		else
			assert_int_equal(daxfs_member_heartbeat(m, t->ms, &err), 0);
		pthread_barrier_wait(t->start);
		pthread_barrier_wait(t->start);
	}
	daxfs_member_close(m);
	return NULL;
}

static void lengthened_beside_others(void **unused)
{
	struct setter setter[] = { { .ms = 100, .lengthens = true }, { .ms = 200, .lengthens = true }, { .ms = 500 } };
	pthread_barrier_t start;
	struct daxfs_error err;
	struct scene s;

	(void)unused;
	begin(&s, 1, ALL_RULES);
	pthread_barrier_init(&start, NULL, 4);
	for (unsigned i = 0; i < 3; i++) {
		setter[i].start = &start;
		setter[i].path = s.path;
		assert_int_equal(pthread_create(&setter[i].thread, NULL, set_again_and_again, &setter[i]), 0);
	}
	for (unsigned i = 0; i < RACES; i++) {
		assert_int_equal(daxfs_member_heartbeat(s.m, 50, &err), 0);
		pthread_barrier_wait(&start);
		pthread_barrier_wait(&start);
		assert_int_equal(timing(&s).beat_ms, 500);
		pthread_barrier_wait(&start);
	}
	for (unsigned i = 0; i < 3; i++)
		pthread_join(setter[i].thread, NULL);
	pthread_barrier_destroy(&start);
	end(&s);
}

static void lengthened_only(void **unused)
{
	struct daxfs_timing was, t;
	struct daxfs_error err;
	struct scene s;

	(void)unused;
	begin(&s, 1, ALL_RULES);
	assert_int_equal(daxfs_member_lengthen(s.m, 4, &was, &err), -EINVAL);
	assert_int_equal(daxfs_member_lengthen(s.m, 40, &was, &err), 0);
	assert_int_equal(was.beat_ms, 50);
	t = timing(&s);
	assert_true(t.word == was.word && t.beat_ms == 50);
	assert_int_equal(daxfs_member_lengthen(s.m, 200, &was, &err), 0);
	assert_int_equal(was.beat_ms, 50);
	t = timing(&s);
	assert_true(t.beat_ms == 200 && t.judged_ms == 200);
	assert_int_equal(daxfs_member_heartbeat(s.m, 20, &err), 0); /* they are judged by 200 yet */
	assert_int_equal(daxfs_member_lengthen(s.m, 100, &was, &err), 0);
	t = timing(&s);
	assert_true(was.beat_ms == 20 && t.beat_ms == 100 && t.judged_ms == 200);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_healthy_dies),      cmocka_unit_test(each_rule_is_needed),
		cmocka_unit_test(what_is_refused),          cmocka_unit_test(lengthened_only),
		cmocka_unit_test(lengthened_beside_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
