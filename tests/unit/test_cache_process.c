/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cache_process.c - claims of pages whose process, tenant or thread is over, though their host lives.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "cache_fixture.h"

static uint64_t filling(struct fixture *s)
{
	struct daxfs_cached seen;

	assert_int_equal(daxfs_cached(s->pod.fs[2], s->ino, &seen), 0);
	return seen.filling;
}

static void claim_pages(struct fixture *s, unsigned host, struct cache_fill *f)
{
	f->ino = s->ino;
	f->wanted = 4;
	assert_int_equal(fs_run(s->pod.fs[host], cache_claim, f), 0);
	assert_int_equal(f->n, 4);
}

/* What a process had claimed that died, and its host did not, is another host's at once when the next one goes on; what
 * that one claims is its own. */
static void test_process_left_over(void **state)
{
	struct cache_fill f = { .wanted = 4 };
	struct daxfs_cache_stats stats;
	struct fixture s;

	(void)state;
	fixture_start(&s, 8 << 20, 40 * PAGE, PATIENCE_MS);
	f.aside = malloc(sizeof(*f.aside));
	for (unsigned i = 0; i < 3; i++) {
		claim_pages(&s, 0, &f);
		assert_int_equal(filling(&s), 4);
		fixture_go_on(&s, 0);
		assert_int_equal(filling(&s), 0);
		expect(&s, 1, 0, PAGE); /* or it would wait for a minute */
		assert_int_equal(link_kind(word_of(&s, 3)), DAXFS_CLEAN);
		assert_true(daxfs_cache_drop(s.pod.fs[2], s.ino, 0, UINT64_MAX) >= 4);
	}
	daxfs_cache_stats(s.pod.fs[1], &stats);
	assert_int_equal(stats.taken_over, 12);
	assert_int_equal(stats.waits, 0);
	assert_int_equal(stats.past, 0);
	claim_pages(&s, 0, &f);
	f.busy = word_of(&s, 0);
	assert_int_equal(fs_run(s.pod.fs[1], cache_stands, &f), 1);
	assert_int_equal(fs_run(s.pod.fs[0], cache_release, &f), 0);
	free(f.aside);
	fixture_stop(&s);
}

/* A host's next tenant is not taken for a process that goes on, nor the other way round. */
static void test_tenant_left_over(void **state)
{
	struct cache_fill f = { .wanted = 4 };
	struct daxfs_error err;
	struct fixture s;

	(void)state;
	fixture_start(&s, 8 << 20, 40 * PAGE, PATIENCE_MS);
	f.aside = malloc(sizeof(*f.aside));
	fixture_go_on(&s, 0);
	claim_pages(&s, 0, &f);
	f.busy = word_of(&s, 0);
	assert_int_equal(fs_run(s.pod.fs[1], cache_stands, &f), 1);
	assert_int_equal(daxfs_leave(s.pod.fs[0]), 0);
	assert_int_equal(filling(&s), 0);
	assert_int_equal(daxfs_join(s.pod.fs[0], 0, "again", &err), 0);
	assert_int_equal(fs_run(s.pod.fs[1], cache_stands, &f), 0);
	f.first = 10;
	claim_pages(&s, 0, &f);
	f.busy = word_of(&s, 10);
	assert_int_equal(fs_run(s.pod.fs[1], cache_stands, &f), 1);
	assert_int_equal(filling(&s), 4);
	assert_int_equal(fs_run(s.pod.fs[0], cache_release, &f), 0);
	expect(&s, 1, 0, s.size);
	free(f.aside);
	fixture_stop(&s);
}

struct cancelled {
	struct fixture *s;
	sem_t reading, cancelled;
	ssize_t got;
};

static void wait_there(struct storage *storage, uint64_t file, uint64_t offset)
{
	struct cancelled *c = storage->context;

	(void)file, (void)offset;
	sem_post(&c->reading);
	sem_wait(&c->cancelled); /* a cancellation point, as those are that wait for a disk */
}

static void *read_one(void *arg)
{
	struct cancelled *c = arg;
	uint8_t buf[PAGE];

	c->got = daxfs_read(c->s->pod.fs[0], c->s->ino, buf, PAGE, 0);
	return NULL;
}

/* A thread that is cancelled in storage ends its call, or others would wait for it. */
static void test_cancelled(void **state)
{
	struct cancelled c = { .got = 0 };
	struct fixture s;
	pthread_t thread;

	(void)state;
	fixture_start(&s, 8 << 20, 40 * PAGE, PATIENCE_MS);
	c.s = &s;
	sem_init(&c.reading, 0, 0);
	sem_init(&c.cancelled, 0, 0);
	s.storage[0].during = wait_there;
	s.storage[0].context = &c;
	assert_int_equal(pthread_create(&thread, NULL, read_one, &c), 0);
	sem_wait(&c.reading);
	assert_int_equal(pthread_cancel(thread), 0);
	sem_post(&c.cancelled);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(c.got, PAGE);
	s.storage[0].during = NULL;
	assert_int_equal(filling(&s), 0);
	assert_int_equal(daxfs_backing_detach(s.pod.fs[0], BACKING), 0); /* nobody uses it */
	fixture_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_process_left_over),
		cmocka_unit_test(test_tenant_left_over),
		cmocka_unit_test(test_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
