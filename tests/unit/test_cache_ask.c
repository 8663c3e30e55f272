/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cache_ask.c - a host without the storage asks those that have it: what it reads, and what it is told when
 * they fail, die, are slow, or are not there.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "cache_fixture.h"

#define ASKER 2u /* has no storage */
#define ASKERS 12u
#define PAGES 40u
#define LOOKS 200u        /* for an answer that does not come */
#define MANY_LOOKS 40000u /* ... that comes */

struct server {
	struct fixture *s;
	unsigned host;
	pthread_t thread;
	atomic_bool stop;
	atomic_uint served;
	int last;
};

static void *serve(void *context)
{
	struct server *v = context;
	struct daxfs *fs = v->s->pod.fs[v->host];
	struct daxfs_ask ask;

	while (!atomic_load(&v->stop)) {
		if (daxfs_asked(fs, BACKING, &ask) == 1) {
			v->last = daxfs_serve(fs, &ask);
			atomic_fetch_add(&v->served, 1);
		} else {
			usleep(100);
		}
	}
	return NULL;
}

static void server_start(struct server *v, struct fixture *s, unsigned host)
{
	struct daxfs_ask ask;

	*v = (struct server){ .s = s, .host = host };
	assert_int_equal(daxfs_asked(s->pod.fs[host], BACKING, &ask), 0); /* from here on others rely on it */
	assert_int_equal(pthread_create(&v->thread, NULL, serve, v), 0);
}

static void server_stop(struct server *v)
{
	atomic_store(&v->stop, true);
	pthread_join(v->thread, NULL);
}

static void start(struct fixture *s, uint64_t bytes)
{
	fixture_start(s, 16 << 20, bytes, PATIENCE_MS);
	assert_int_equal(daxfs_backing_detach(s->pod.fs[ASKER], BACKING), 0);
}

static ssize_t read_byte(struct fixture *s, uint64_t page)
{
	char byte;

	return daxfs_read(s->pod.fs[ASKER], s->ino, &byte, 1, page * PAGE);
}

/* All of a file, by who has no storage: read once, by the host that has it, and what it was. */
static void test_read(void **state)
{
	struct server v;
	struct fixture s;

	(void)state;
	start(&s, PAGES * PAGE + 77);
	server_start(&v, &s, 0);
	for (uint64_t at = 0; at < s.size; at += 10001)
		expect(&s, ASKER, at, 10001);
	expect(&s, 1, 0, s.size);
	server_stop(&v);
	assert_int_equal(pages_read(&s), pages_of(s.size));
	assert_int_equal(s.storage[ASKER].reads, 0);
	assert_in_range(atomic_load(&v.served), 2, 3); /* read ahead, 16 pages and then more */
	fixture_stop(&s);
}

/* Nobody has it, any more: said at once. */
static void test_nobody(void **state)
{
	struct server v;
	struct fixture s;

	(void)state;
	start(&s, PAGES * PAGE);
	assert_int_equal(read_byte(&s, 0), -ENXIO);
	server_start(&v, &s, 1);
	assert_int_equal(read_byte(&s, 0), 1);
	server_stop(&v);
	assert_int_equal(daxfs_backing_detach(s.pod.fs[1], BACKING), 0);
	assert_int_equal(read_byte(&s, PAGES - 1), -ENXIO);
	assert_int_equal(read_byte(&s, 0), 1);
	fixture_stop(&s);
}

/* A host that died while it served: forgotten when its life is over, and when another process has its place. */
static void test_server_is_gone(void **state)
{
	struct server v;
	struct fixture s;

	(void)state;
	start(&s, PAGES * PAGE);
	server_start(&v, &s, 1);
	server_stop(&v);
	cache_ask_patience(s.pod.fs[ASKER], LOOKS, LOOKS);
	assert_int_equal(read_byte(&s, 0), -ETIMEDOUT); /* it lives, as far as is known */
	pod_fence(&s.pod, 1);
	assert_int_equal(read_byte(&s, 0), -ENXIO);
	fixture_stop(&s);
}

/* What storage says goes to who asked, and is not kept. */
static void test_error(void **state)
{
	struct server v;
	struct fixture s;

	(void)state;
	start(&s, PAGES * PAGE);
	s.storage[0].error = -ENETDOWN;
	server_start(&v, &s, 0);
	assert_int_equal(read_byte(&s, 3), -ENETDOWN);
	s.storage[0].error = 0;
	s.storage[0].cut = 1;
	assert_int_equal(read_byte(&s, 3), -EIO);
	s.storage[0].cut = 0;
	assert_int_equal(read_byte(&s, 3), 1);
	server_stop(&v);
	fixture_stop(&s);
}

struct asker {
	struct fixture *s;
	uint64_t page;
	pthread_t thread;
	ssize_t n;
};

static void *ask(void *context)
{
	struct asker *a = context;
	uint8_t byte = 0, want;

	a->n = daxfs_read(a->s->pod.fs[ASKER], a->s->ino, &byte, 1, a->page * PAGE);
	storage_bytes(&a->s->storage[0], FILE_NUMBER, a->page * PAGE, &want, 1);
	if (a->n == 1 && byte != want)
		a->n = -EBADMSG;
	return NULL;
}

static void asker_start(struct asker *a, struct fixture *s, uint64_t page)
{
	*a = (struct asker){ .s = s, .page = page };
	assert_int_equal(pthread_create(&a->thread, NULL, ask, a), 0);
}

static ssize_t asker_end(struct asker *a)
{
	pthread_join(a->thread, NULL);
	return a->n;
}

static void take_one(struct fixture *s, unsigned host, struct daxfs_ask *out)
{
	while (daxfs_asked(s->pod.fs[host], BACKING, out) != 1)
		usleep(100);
	assert_int_equal(out->ino, s->ino);
	assert_int_equal(out->host, ASKER);
}

static void dies_reading(struct storage *storage, uint64_t file, uint64_t offset)
{
	(void)file, (void)offset;
	pod_fence(storage->context, 0);
}

/*
 * A server takes what it is asked and dies, before it claims a page, or after: another one is asked. So where each of
 * its stores asks whether it lives (mem/rseq.h), and where none does.
 */
static void test_taker_dies(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		bool claimed = i % 2, stores_ask = i / 2;
		struct daxfs_ask taken;
		struct asker a;
		struct server v;
		struct fixture s;

		start(&s, PAGES * PAGE);
		if (!stores_ask)
			shm_life_end(&fs_pool_writable(s.pod.fs[0])->shm.life);
		cache_ask_patience(s.pod.fs[ASKER], MANY_LOOKS, 20);
		assert_int_equal(daxfs_asked(s.pod.fs[0], BACKING, &taken), 0);
		asker_start(&a, &s, 5);
		take_one(&s, 0, &taken);
		if (claimed) {
			s.storage[0].during = dies_reading;
			s.storage[0].context = &s.pod;
			assert_true(daxfs_serve(s.pod.fs[0], &taken) < 0);
			assert_int_equal(link_kind(word_of(&s, 5)), DAXFS_FILLING);
		} else {
			pod_fence(&s.pod, 0);
		}
		server_start(&v, &s, 1);
		assert_int_equal(asker_end(&a), 1);
		server_stop(&v);
		fixture_stop(&s);
	}
}

/* The process that asked is gone: what it wanted is served for nobody, and its successor's ask is its own. */
static void test_late(void **state)
{
	struct daxfs_ask old, now;
	struct asker a;
	struct fixture s;

	(void)state;
	start(&s, PAGES * PAGE);
	cache_ask_patience(s.pod.fs[ASKER], LOOKS, 2 * LOOKS);
	assert_int_equal(daxfs_asked(s.pod.fs[0], BACKING, &old), 0);
	asker_start(&a, &s, 5);
	take_one(&s, 0, &old);
	assert_int_equal(asker_end(&a), -ETIMEDOUT);
	cache_ask_patience(s.pod.fs[ASKER], MANY_LOOKS, MANY_LOOKS);
	asker_start(&a, &s, 30);
	take_one(&s, 0, &now);
	assert_int_equal(now.page, 30);
	s.storage[0].error = -ENETDOWN;
	assert_int_equal(daxfs_serve(s.pod.fs[0], &old), -ENETDOWN); /* an answer to nobody */
	assert_int_equal(sm_load(&s.pool->asks.host[ASKER].word[now.place]) & 3, DAXFS_ASK_TAKEN);
	s.storage[0].error = 0;
	assert_int_equal(daxfs_serve(s.pod.fs[0], &now), 0);
	assert_int_equal(asker_end(&a), 1);
	fixture_stop(&s);
}

/* Somebody fills the page and takes its time: the server does not wait, and does not read it once more. */
static void test_filled_by_another(void **state)
{
	struct daxfs_ask taken;
	struct asker a;
	struct server v;
	struct fixture s;
	struct lane *lane;
	struct cache_aside *aside = calloc(1, sizeof(*aside));
	struct cache_fill f = { .wanted = 1, .asked = 1, .aside = aside };

	(void)state;
	start(&s, PAGES * PAGE);
	cache_ask_patience(s.pod.fs[ASKER], MANY_LOOKS, 20);
	f.ino = s.ino;
	f.first = 7;
	lane = rig_enter(s.pod.fs[1]);
	assert_int_equal(cache_claim(s.pod.fs[1], lane, &f), 0);
	rig_exit(s.pod.fs[1], lane);
	assert_int_equal(f.n, 1);
	assert_int_equal(daxfs_asked(s.pod.fs[0], BACKING, &taken), 0);
	asker_start(&a, &s, 7);
	take_one(&s, 0, &taken);
	assert_int_equal(daxfs_serve(s.pod.fs[0], &taken), -EAGAIN);
	assert_int_equal(pages_read(&s), 0);
	server_start(&v, &s, 0);
	while (atomic_load(&v.served) < 3) /* it is asked again, and again */
		usleep(100);
	lane = rig_enter(s.pod.fs[1]);
	assert_int_equal(cache_release(s.pod.fs[1], lane, &f), 0);
	rig_exit(s.pod.fs[1], lane);
	assert_int_equal(asker_end(&a), 1);
	server_stop(&v);
	free(aside);
	fixture_stop(&s);
}

/* More threads than places, and two hosts that serve: each page is read once. */
static void test_many(void **state)
{
	struct asker a[ASKERS];
	struct server v[2];
	struct fixture s;

	(void)state;
	start(&s, ASKERS * 64 * PAGE);
	for (unsigned i = 0; i < 2; i++)
		server_start(&v[i], &s, i);
	for (unsigned i = 0; i < ASKERS; i++)
		asker_start(&a[i], &s, i * 64 + 1);
	for (unsigned i = 0; i < ASKERS; i++)
		assert_int_equal(asker_end(&a[i]), 1);
	for (unsigned i = 0; i < 2; i++)
		server_stop(&v[i]);
	assert_int_equal(pages_read(&s), ASKERS);
	fixture_stop(&s);
}

/* No page for it: said, and nothing is left claimed. */
static void test_no_room(void **state)
{
	struct server v;
	struct fixture s;

	(void)state;
	start(&s, PAGES * PAGE);
	fs_pool_writable(s.pod.fs[0])->super.cache_max = 4; /* less than what is read at once */
	server_start(&v, &s, 0);
	assert_int_equal(read_byte(&s, 0), -ENOSPC);
	assert_int_equal(link_kind(word_of(&s, 0)), DAXFS_ABSENT);
	fs_pool_writable(s.pod.fs[0])->super.cache_max = 0;
	assert_int_equal(read_byte(&s, 0), 1);
	server_stop(&v);
	fixture_stop(&s);
}

/* What others write into the region is no more than a wish: of files that are not there, of pages behind all ends. */
static void test_garbage(void **state)
{
	struct daxfs_ask got;
	struct fixture s;
	struct sm_asks *asks;

	(void)state;
	start(&s, PAGES * PAGE);
	assert_int_equal(daxfs_asked(s.pod.fs[0], BACKING, &got), 0);
	asks = &s.pool->asks.host[ASKER];
	for (unsigned i = 0; i < 2000; i++) {
		for (unsigned k = 0; k < sizeof(*asks) / sizeof(sm_u64); k++)
			sm_store(&((sm_u64 *)(void *)asks)[k],
				 i % 2 ? ~0ull << i % 64 : (i + k) * 0x9e3779b97f4a7c15ull);
		for (unsigned k = 0; k < DAXFS_ASKS; k++)
			sm_store(&asks->word[k], (uint64_t)i << 32 | BACKING << 8 | DAXFS_ASKED);
		if (i % 3 == 0)
			sm_store(&asks->ask[i % DAXFS_ASKS].ino, s.ino);
		sm_store(s.pool->asks.bell, i);
		while (daxfs_asked(s.pod.fs[0], BACKING, &got) == 1)
			daxfs_serve(s.pod.fs[0], &got);
	}
	assert_int_equal(daxfs_asked(s.pod.fs[0], DAXFS_BACKINGS, &got), -ENXIO);
	got.host = POD_HOSTS + 100;
	assert_int_equal(daxfs_serve(s.pod.fs[0], &got), -EINVAL);
	/* Its own words say anything: it goes on from there. */
	assert_int_equal(daxfs_beat(s.pod.fs[ASKER]), 0);
	assert_int_equal(sm_load(&asks->serves[0]), 0);
	fixture_stop(&s);
}

/* A pool that was made before: as it was. */
static void test_without_region(void **state)
{
	struct daxfs_ask got;
	struct fixture s;

	(void)state;
	start(&s, PAGES * PAGE);
	for (unsigned i = 0; i < POD_HOSTS; i++)
		fs_pool_writable(s.pod.fs[i])->asks = (struct pool_asks){ .bell = NULL };
	assert_int_equal(daxfs_asked(s.pod.fs[0], BACKING, &got), 0);
	assert_int_equal(read_byte(&s, 0), -ENXIO);
	assert_int_equal(daxfs_beat(s.pod.fs[0]), 0);
	fixture_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_server_is_gone),
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_taker_dies),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_filled_by_another),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_without_region),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
