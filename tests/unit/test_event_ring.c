/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_event_ring.c - the ring of events: order, coming round, entries that are none, memory that
 * fails, pools without one. Deaths of writers at every step are the simulator's ("tell").
 */
#include "member_fixture.h"

#include <pthread.h>
#include <signal.h>

#include "mem/event_ring.h"
#include "mem/guard.h"

struct seen {
	unsigned n, most;
	struct daxfs_event event[64];
};

static bool take(void *context, const struct daxfs_event *e)
{
	struct seen *s = context;

	s->event[s->n++] = *e;
	return s->n < s->most;
}

static struct seen list(struct fixture *f, uint64_t after)
{
	struct seen s = { .most = 64 };

	unsigned told = (unsigned)daxfs_event_list(f->m, after, take, &s);

	assert_int_equal(told, s.n);
	return s;
}

static struct daxfs_event event(unsigned i)
{
	struct daxfs_event e = {
		.kind = DAXFS_EVENT_STATE,
		.host = (int)(i % 64),
		.by = (int)(i % 65) - 1,
		.state = DAXFS_HOST_FENCED,
		.reason = DAXFS_REASON_BEAT_LOST,
		.ms = i,
		.generation = 100 + i,
		.epoch = 7,
		.pid = 4711,
		.machine = { 9, 8, 7 },
		.value = UINT64_MAX - i,
		.wall_ns = 1000 + i,
		.mono_ns = 2000 + i,
		.name = "alpha",
		.text = "more of it",
	};

	return e;
}

static void add(struct fixture *f, unsigned i)
{
	struct daxfs_event e = event(i);

	assert_int_equal(daxfs_event_add(f->m, &e), 0);
}

static unsigned places(struct fixture *f)
{
	return (unsigned)f->pool.events.count;
}

/* All but the number; struct assignment leaves padding to itself. */
static bool same(const struct daxfs_event *a, const struct daxfs_event *b)
{
	return a->wall_ns == b->wall_ns && a->mono_ns == b->mono_ns && a->kind == b->kind && a->host == b->host &&
	       a->by == b->by && a->state == b->state && a->reason == b->reason && a->ms == b->ms &&
	       a->generation == b->generation && a->epoch == b->epoch && a->pid == b->pid && a->value == b->value &&
	       !memcmp(a->machine, b->machine, sizeof(a->machine)) && !strcmp(a->name, b->name) &&
	       !strcmp(a->text, b->text);
}

/* -- what comes out ------------------------------------------------------------------ */

static void test_all_of_it(void **state)
{
	struct daxfs_event want = event(5);
	struct fixture *f = *state;
	struct seen s;

	add(f, 5);
	s = list(f, 0);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.event[0].number, 1);
	assert_true(same(&s.event[0], &want));
}

/* Times and the writer are filled in; texts that are too long are cut; what is not print is shown as that. */
static void test_filled_in(void **state)
{
	struct daxfs_event e = { .kind = DAXFS_EVENT_DEGRADED, .host = -1, .by = -1 };
	struct fixture *f = *state;
	struct timespec now;
	struct seen s;

	memset(e.name, 'n', sizeof(e.name));
	memset(e.text, '\n', sizeof(e.text));
	assert_int_equal(daxfs_event_add(f->m, &e), 0);
	s = list(f, 0);
	clock_gettime(CLOCK_REALTIME, &now);
	assert_int_equal(s.event[0].pid, getpid());
	assert_true(s.event[0].mono_ns && s.event[0].wall_ns / 1000000000 <= (uint64_t)now.tv_sec);
	assert_true(s.event[0].wall_ns / 1000000000 + 60 > (uint64_t)now.tv_sec);
	assert_int_equal(strlen(s.event[0].name), 31);
	assert_int_equal(strspn(s.event[0].text, "?"), 63);
	assert_int_equal(s.event[0].host, -1);
	assert_int_equal(s.event[0].by, -1);
}

static void test_order_and_after(void **state)
{
	struct fixture *f = *state;
	struct seen s = { .most = 3 };

	for (unsigned i = 1; i <= 10; i++)
		add(f, i);
	assert_int_equal(daxfs_event_list(f->m, 4, take, &s), 3); /* fill stopped it */
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(s.event[i].number, 5 + i);
	assert_int_equal(list(f, 10).n, 0);
	assert_int_equal(list(f, UINT64_MAX).n, 0);
}

static void test_comes_round(void **state)
{
	struct fixture *f = *state;
	struct seen s;

	for (unsigned i = 1; i <= places(f) * 2 + 3; i++)
		add(f, i);
	s = list(f, 0);
	assert_int_equal(s.n, places(f));
	for (unsigned i = 0; i < s.n; i++) {
		assert_int_equal(s.event[i].number, places(f) + 4 + i);
		assert_int_equal(s.event[i].ms, s.event[i].number);
	}
}

/* -- entries that are none ------------------------------------------------------------- */

/* Any one word that is not the writer's makes it none. */
static void test_each_word_is_checked(void **state)
{
	struct fixture *f = *state;
	sm_u64 *word = &f->pool.events.at[0].number;

	add(f, 1);
	add(f, 2);
	for (unsigned i = 0; i < sizeof(struct sm_event) / sizeof(*word); i++) {
		uint64_t was = sm_load(&word[i]);

		sm_store(&word[i], was ^ 1ull << i);
		assert_int_equal(list(f, 0).n, 1);
		sm_store(&word[i], was);
		assert_int_equal(list(f, 0).n, 2);
	}
}

/* A number that belongs to the place, over what was there in the round before. */
static void test_number_is_checked(void **state)
{
	struct fixture *f = *state;

	add(f, 1);
	sm_store(&f->pool.events.at[0].number, 1 + places(f));
	assert_int_equal(list(f, 0).n, 0);
}

/* A whole entry in the place of another one. */
static void test_place_is_checked(void **state)
{
	struct fixture *f = *state;

	add(f, 1);
	memcpy(&f->pool.events.at[3], &f->pool.events.at[0], sizeof(struct sm_event));
	assert_int_equal(list(f, 0).n, 1);
}

/* A writer that died after it had its number. */
static void test_number_is_missing(void **state)
{
	struct fixture *f = *state;
	struct seen s;

	add(f, 1);
	sm_store(f->pool.events.last, 2);
	add(f, 3);
	s = list(f, 0);
	assert_int_equal(s.n, 2);
	assert_int_equal(s.event[1].number, 3);
}

/* -- many writers -------------------------------------------------------------------------- */

#define WRITERS 4u
#define EACH 2000u

struct writer {
	struct fixture *f;
	pthread_t thread;
	unsigned added;
};

static void *write_many(void *arg)
{
	struct writer *w = arg;

	for (unsigned i = 0; i < EACH; i++) {
		struct daxfs_event e = event(i);
		int rc = event_add(&w->f->pool, &e);

		w->added += rc == 0;
		if (rc && rc != -EAGAIN)
			return arg;
	}
	return NULL;
}

static bool consistent(void *context, const struct daxfs_event *e)
{
	struct daxfs_event want = event(e->ms);

	*(bool *)context &= same(e, &want);
	return true;
}

static void test_many_writers(void **state)
{
	struct fixture *f = *state;
	struct writer w[WRITERS];
	unsigned added = 0;
	bool whole = true;
	void *failed;

	for (unsigned i = 0; i < WRITERS; i++) {
		w[i] = (struct writer){ .f = f };
		assert_int_equal(pthread_create(&w[i].thread, NULL, write_many, &w[i]), 0);
	}
	for (unsigned i = 0; i < 200; i++)
		daxfs_event_list(f->m, 0, consistent, &whole); /* never half of one */
	for (unsigned i = 0; i < WRITERS; i++) {
		assert_int_equal(pthread_join(w[i].thread, &failed), 0);
		assert_null(failed);
		added += w[i].added;
	}
	assert_int_equal(sm_load(f->pool.events.last), added); /* each has a number of its own */
	assert_true(daxfs_event_list(f->m, 0, consistent, &whole) > 0);
	assert_true(whole);
}

/* -- pools that cannot have it --------------------------------------------------------------- */

static void test_read_only(void **state)
{
	struct daxfs_event e = event(1);
	struct fixture *f = *state;
	struct daxfs_member *m;
	struct daxfs_error err;
	struct seen s = { .most = 64 };

	add(f, 1);
	assert_int_equal(daxfs_member_open(f->file.path, false, &m, &err), 0);
	assert_int_equal(daxfs_event_add(m, &e), -EROFS);
	assert_int_equal(daxfs_event_list(m, 0, take, &s), 1);
	daxfs_member_close(m);
}

/* One that was made before there were events: everything else works. */
static void test_pool_without(void **state)
{
	struct daxfs_event e = event(1);
	struct fixture *f = *state;
	struct daxfs_manager_view seen;
	struct daxfs_member *m;
	struct daxfs_error err;
	struct pool pool;
	uint32_t epoch;

	for (unsigned copy = 0; copy < 2; copy++) {
		struct sm_super *s = util_super(f->pool.shm.base, copy);

		s->compat = 0;
		s->n_regions = DAXFS_REGIONS_LEAST;
		memset(&s->region[DAXFS_R_EVENTS], 0, sizeof(s->region[0]));
		util_seal(s);
	}
	if (daxfs_member_open(f->file.path, true, &m, &err))
		fail_msg("%s", err.text);
	assert_int_equal(daxfs_event_add(m, &e), -EOPNOTSUPP);
	assert_int_equal(daxfs_event_list(m, 0, take, NULL), -EOPNOTSUPP);
	daxfs_member_manager(m, &seen);
	assert_int_equal(daxfs_member_claim(m, &seen, &epoch), 0);
	daxfs_member_close(m);
	assert_int_equal(pool_map(f->file.path, DAXFS_READ_WRITE, &pool, &err), 0);
	assert_null(pool.events.at);
	pool_unmap(&pool);
}

static struct sigaction library; /* cmocka takes SIGBUS for itself in each test */

/* The file was cut: the ring is beyond its end, and a load there fails. */
static void test_memory_fails(void **state)
{
	struct daxfs_event e = event(1);
	struct fixture *f = *state;
	struct daxfs_manager_view seen;
	uint64_t ring = f->pool.super.region[DAXFS_R_EVENTS].offset;
	uint32_t epoch;

	sigaction(SIGBUS, &library, NULL);
	add(f, 1);
	assert_int_equal(ftruncate(f->file.fd, (off_t)(ring + DAXFS_PAGE_SIZE)), 0);
	assert_int_equal(daxfs_event_add(f->m, &e), -EIO); /* its places */
	assert_int_equal(list(f, 0).n, 0);
	assert_int_equal(ftruncate(f->file.fd, (off_t)ring), 0);
	assert_int_equal(daxfs_event_add(f->m, &e), -EIO); /* the number */
	assert_int_equal(daxfs_event_add(f->m, &e), -EIO);
	daxfs_member_manager(f->m, &seen); /* nothing else is the worse for it */
	assert_int_equal(daxfs_member_claim(f->m, &seen, &epoch), 0);
}

static void test_words(void **state)
{
	struct daxfs_event e = event(3);
	char buf[320];

	(void)state;
	assert_string_equal(daxfs_event_text(&e, buf, sizeof(buf)),
			    "host 3 (alpha) generation 103 FENCED: heartbeat lost 3 ms, by host 2; more of it");
	for (unsigned kind = 1; kind < DAXFS_EVENT_KINDS; kind++) {
		e.kind = (enum daxfs_event_kind)kind;
		assert_true(strcmp(daxfs_event_kind_name(e.kind), "?") != 0);
		assert_true(strlen(daxfs_event_text(&e, buf, sizeof(buf))) > 40);
	}
	assert_string_equal(daxfs_event_kind_name(DAXFS_EVENT_KINDS), "?");
}

#define RING_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(test_all_of_it),
		RING_TEST(test_filled_in),
		RING_TEST(test_order_and_after),
		RING_TEST(test_comes_round),
		RING_TEST(test_each_word_is_checked),
		RING_TEST(test_number_is_checked),
		RING_TEST(test_place_is_checked),
		RING_TEST(test_number_is_missing),
		RING_TEST(test_many_writers),
		RING_TEST(test_read_only),
		RING_TEST(test_pool_without),
		RING_TEST(test_memory_fails),
		cmocka_unit_test(test_words),
	};

	shm_guard_install();
	sigaction(SIGBUS, NULL, &library);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
