/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_cache.c - files of backing storage: read once for all hosts, taken over from the dead, read past
 * the slow; errors that are returned and not kept.
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "cache_fixture.h"

/* All hosts read all of it, in pieces that begin and end anywhere: storage is read once. */
static void test_read_once(void **state)
{
	const uint64_t size = 300 * PAGE + 777;
	struct fixture s;

	(void)state;
	fixture_start(&s, 16 << 20, size, PATIENCE_MS);
	for (unsigned host = 0; host < POD_HOSTS; host++)
		for (uint64_t at = 0; at < size; at += 100001)
			expect(&s, host, at, 100001);
	assert_int_equal(pages_read(&s), pages_of(size));
	assert_int_equal(s.storage[0].pages, pages_of(size)); /* the first one found nothing there */
	expect(&s, 1, 0, 2 * size);                           /* up to its end */
	expect(&s, 1, size, 10);
	expect(&s, 1, size + PAGE, 10);
	assert_int_equal(pages_read(&s), pages_of(size));
	/* Sequential readers get more with each read. */
	assert_int_equal(s.storage[0].largest, CACHE_PAGES * PAGE);
	fixture_stop(&s);
}

/* Zeros take no page; a file may be far larger than the pool. */
static void test_sparse_and_large(void **state)
{
	const uint64_t size = 5ull << 30;
	struct daxfs_statfs before, after;
	struct daxfs_attr attr;
	struct fixture s;
	uint64_t at;

	(void)state;
	fixture_start(&s, 8 << 20, size, PATIENCE_MS);
	/* Of what was not read nobody says that it is a hole. */
	assert_int_equal(daxfs_seek(s.pod.fs[0], s.ino, 5, DAXFS_SEEK_HOLE, &at), 0);
	assert_int_equal(at, size);
	assert_int_equal(daxfs_getattr(s.pod.fs[0], s.ino, &attr), 0);
	assert_int_equal(attr.blocks, size / 512);
	assert_int_equal(daxfs_statfs(s.pod.fs[0], &before), 0);
	for (uint64_t page = 4; page < 1000; page += 5)
		expect(&s, 0, page * PAGE, PAGE);
	assert_int_equal(daxfs_statfs(s.pod.fs[0], &after), 0);
	assert_true(after.pages.live - before.pages.live <= 3); /* nodes */
	assert_int_equal(link_kind(word_of(&s, 4)), DAXFS_VOID);
	assert_int_equal(daxfs_seek(s.pod.fs[0], s.ino, 5, DAXFS_SEEK_HOLE, &at), 0);
	assert_int_equal(at, 4 * PAGE);
	assert_int_equal(daxfs_seek(s.pod.fs[0], s.ino, at, DAXFS_SEEK_DATA, &at), 0);
	assert_int_equal(at, 5 * PAGE);
	expect(&s, 1, size - 3 * PAGE, 4 * PAGE);
	expect(&s, 2, (4ull << 30) - PAGE, 2 * PAGE);
	assert_int_equal(daxfs_cache_drop(s.pod.fs[0], s.ino, 0, UINT64_MAX), filled(&s));
	assert_int_equal(word_of(&s, 4) & 31ull << 32, 0);
	expect(&s, 0, 4 * PAGE, PAGE);
	fixture_stop(&s);
}

/* An error goes to who asked, every time, and the next read finds the file as if nothing had been. */
static void test_errors(void **state)
{
	const int errors[] = { -EIO, -ESTALE, -ETIMEDOUT, -ENOENT };
	struct daxfs_cache_stats stats;
	struct fixture s;
	uint8_t buf[3 * PAGE];

	(void)state;
	fixture_start(&s, 8 << 20, 40 * PAGE, PATIENCE_MS);
	for (unsigned i = 0; i < 4; i++) {
		s.storage[1].error = errors[i];
		assert_int_equal(daxfs_read(s.pod.fs[1], s.ino, buf, sizeof(buf), 0), errors[i]);
		assert_int_equal(link_kind(word_of(&s, 0)), DAXFS_ABSENT);
	}
	s.storage[1].error = 0;
	s.storage[1].cut = 1; /* it has become shorter */
	assert_int_equal(daxfs_read(s.pod.fs[1], s.ino, buf, sizeof(buf), 0), -EIO);
	assert_int_equal(link_kind(word_of(&s, 0)), DAXFS_ABSENT);
	daxfs_cache_stats(s.pod.fs[1], &stats);
	assert_int_equal(stats.errors, 5);
	assert_int_equal(stats.filled, 0);
	s.storage[1].cut = 0;
	expect(&s, 1, 0, sizeof(buf));
	/* What came before the error is returned first. */
	s.storage[1].error = -EIO;
	assert_int_equal(daxfs_read(s.pod.fs[1], s.ino, buf, sizeof(buf), 7 * PAGE), PAGE);
	fixture_stop(&s);
}

/* Hosts without the storage read what is there, and are told of what is not. */
static void test_no_storage(void **state)
{
	struct fixture s;
	uint8_t buf[PAGE];

	(void)state;
	fixture_start(&s, 8 << 20, 40 * PAGE, PATIENCE_MS);
	assert_int_equal(daxfs_backing_detach(s.pod.fs[1], BACKING), 0);
	assert_int_equal(daxfs_backing_detach(s.pod.fs[1], BACKING), -ENOENT);
	assert_int_equal(daxfs_backing_detach(s.pod.fs[1], DAXFS_BACKINGS), -ENOENT);
	assert_int_equal(daxfs_read(s.pod.fs[1], s.ino, buf, PAGE, 0), -ENXIO);
	expect(&s, 0, 0, PAGE);
	expect(&s, 1, 0, PAGE);
	assert_int_equal(s.storage[1].reads, 0);
	fixture_stop(&s);
}

/* Of a later version, which has more ways to use storage: refused if it means one of them. */
static void attach_later(struct daxfs *fs)
{
	struct {
		struct daxfs_storage now;
		uint64_t later;
	} storage = { .now = { .struct_size = sizeof(storage), .read = storage_read }, .later = 1 };

	assert_int_equal(daxfs_backing_attach(fs, 1, &storage.now), -E2BIG);
	storage.later = 0;
	assert_int_equal(daxfs_backing_attach(fs, 1, &storage.now), 0);
	assert_int_equal(daxfs_backing_detach(fs, 1), 0);
}

static void test_arguments(void **state)
{
	struct daxfs_storage storage = { .struct_size = sizeof(storage), .read = storage_read };
	struct daxfs_attr attr = { .mode = S_IFREG | 0600, .size = 1 };
	struct fixture s;
	struct daxfs *fs;
	uint64_t incompat;

	(void)state;
	fixture_start(&s, 8 << 20, PAGE, PATIENCE_MS);
	fs = s.pod.fs[0];
	assert_int_equal(daxfs_backing_attach(fs, BACKING, &storage), -EBUSY);
	assert_int_equal(daxfs_backing_attach(fs, DAXFS_BACKINGS, &storage), -EINVAL);
	attach_later(fs);
	storage.struct_size = 0;
	assert_int_equal(daxfs_backing_attach(fs, 1, &storage), -EINVAL);
	storage.struct_size = offsetof(struct daxfs_storage, patience_ms); /* that member is needed */
	assert_int_equal(daxfs_backing_attach(fs, 1, &storage), -EINVAL);
	storage.struct_size = sizeof(storage);
	storage.read = NULL;
	assert_int_equal(daxfs_backing_attach(fs, 1, &storage), -EINVAL);
	assert_int_equal(daxfs_import(fs, DAXFS_ROOT, "f", &attr, 1, 1, NULL), -EEXIST);
	assert_int_equal(daxfs_import(fs, DAXFS_ROOT, "g", &attr, DAXFS_BACKINGS, 1, NULL), -EINVAL);
	assert_int_equal(daxfs_import(fs, DAXFS_ROOT, "g", &attr, 1, 1ull << 56, NULL), -EINVAL);
	attr.mode = S_IFIFO | 0700;
	assert_int_equal(daxfs_import(fs, DAXFS_ROOT, "g", &attr, 1, 1, NULL), -EINVAL);
	attr.mode = 0600;
	attr.size = DAXFS_FILE_MAX + 1;
	assert_int_equal(daxfs_import(fs, DAXFS_ROOT, "g", &attr, 1, 1, NULL), -EFBIG);
	attr.size = 1;
	incompat = s.pool->super.incompat;
	s.pool->super.incompat = 0; /* an older pool */
	assert_int_equal(daxfs_import(fs, DAXFS_ROOT, "g", &attr, 1, 1, NULL), -EOPNOTSUPP);
	s.pool->super.incompat = incompat;
	fixture_stop(&s);
}

/* Nothing changes such a file but its removal. Its inode may be an ordinary one afterwards. */
static void test_read_only(void **state)
{
	struct daxfs_attr attr = { .size = 3, .mode = 0600 }, out;
	struct daxfs_draft *draft;
	struct fixture s;
	uint8_t buf[PAGE] = "x";
	void *pages[1];
	struct daxfs *fs;
	daxfs_ino other;

	(void)state;
	fixture_start(&s, 8 << 20, 3 * PAGE, PATIENCE_MS);
	fs = s.pod.fs[0];
	assert_int_equal(daxfs_write(fs, s.ino, buf, 1, 0, 0), -EROFS);
	assert_int_equal(daxfs_write(fs, s.ino, buf, 1, 0, DAXFS_APPEND), -EROFS);
	assert_int_equal(daxfs_draft_begin(fs, s.ino, 0, PAGE, pages, &draft), -EROFS);
	assert_int_equal(daxfs_setattr(fs, s.ino, DAXFS_SET_SIZE, &attr, &out), -EROFS);
	assert_int_equal(daxfs_setattr(fs, s.ino, DAXFS_SET_MODE, &attr, &out), -EROFS);
	assert_int_equal(daxfs_xattr_set(fs, s.ino, "user.a", "b", 1, 0), -EROFS);
	assert_int_equal(daxfs_setattr(fs, s.ino, DAXFS_SET_MTIME_NOW, &attr, &out), -EROFS);
	assert_int_equal(daxfs_setattr(fs, s.ino, DAXFS_SET_ATIME_NOW, &attr, &out), -EROFS);
	assert_int_equal(daxfs_getattr(fs, s.ino, &out), 0);
	assert_int_equal(out.mode, S_IFREG | 0640);
	assert_int_equal(out.mtime.tv_sec, 5);
	assert_int_equal(out.ctime.tv_sec, 6);
	assert_int_equal(daxfs_allocate(fs, s.ino, 0, PAGE, DAXFS_PUNCH, true), -EROFS);
	expect(&s, 1, 0, 3 * PAGE);
	assert_int_equal(daxfs_unlink(fs, DAXFS_ROOT, "f"), 0);
	assert_int_equal(daxfs_read(fs, s.ino, buf, 1, 0), -ESTALE);
	while (handle_index(other = pod_create(fs, DAXFS_ROOT, "f")) != handle_index(s.ino))
		assert_int_equal(daxfs_unlink(fs, DAXFS_ROOT, "f"), 0);
	assert_int_equal(daxfs_write(fs, other, buf, 1, 2 * PAGE, 0), 1);
	assert_int_equal(daxfs_read(fs, other, buf, PAGE, 0), PAGE); /* a hole is a hole again */
	assert_int_equal(buf[0], 0);
	fixture_stop(&s);
}

/* -- others meanwhile ---------------------------------------------------------------- */

struct meddler {
	struct fixture *s;
	int what;
};

static void meddle(struct storage *storage, uint64_t file, uint64_t offset)
{
	struct meddler *m = storage->context;
	struct fixture *s = m->s;
	struct daxfs_cache_stats stats;
	uint8_t buf[PAGE];

	(void)file, (void)offset;
	storage->during = NULL;
	assert_int_equal(link_kind(word_of(s, 0)), DAXFS_FILLING);
	switch (m->what) {
	case 0: /* another host, which has no patience: it reads past the claim */
		expect(s, 1, 0, PAGE);
		daxfs_cache_stats(s->pod.fs[1], &stats);
		assert_int_equal(stats.past, 8);
		assert_int_equal(stats.filled, 0);
		assert_int_equal(link_kind(word_of(s, 0)), DAXFS_FILLING);
		break;
	case 1: /* another thread of this host, likewise */ expect(s, 0, 0, PAGE); break;
	case 2: /* this host is declared dead, and another one takes over */
		pod_fence(&s->pod, 0);
		expect(s, 1, 0, PAGE);
		daxfs_cache_stats(s->pod.fs[1], &stats);
		assert_int_equal(stats.taken_over, 8);
		assert_int_equal(link_kind(word_of(s, 0)), DAXFS_CLEAN);
		break;
	case 3: /* the file goes away */
		assert_int_equal(daxfs_unlink(s->pod.fs[1], DAXFS_ROOT, "f"), 0);
		assert_int_equal(daxfs_read(s->pod.fs[1], s->ino, buf, 1, 0), -ESTALE);
		break;
	case 4: /* it is read, and another host has it read and dropped: what comes of the first read is late */
		pod_fence(&s->pod, 0);
		s->storage[1].change = s->storage[2].change = 9;
		storage_expect(&s->storage[1], s->pod.fs[1], s->ino, FILE_NUMBER, 0, PAGE, s->size);
		assert_int_equal(daxfs_cache_drop(s->pod.fs[1], s->ino, 0, PAGE), 1);
		break;
	}
}

static void meddled(int what, ssize_t result)
{
	struct meddler m = { .what = what };
	struct fixture s;
	uint8_t buf[PAGE];

	fixture_start(&s, 8 << 20, 40 * PAGE, 0);
	m.s = &s;
	s.storage[0].during = meddle;
	s.storage[0].context = &m;
	assert_int_equal(daxfs_read(s.pod.fs[0], s.ino, buf, PAGE, 0), result);
	if (result > 0)
		expect(&s, 0, 0, PAGE);
	if (what == 4)
		storage_expect(&s.storage[1], s.pod.fs[2], s.ino, FILE_NUMBER, 0, PAGE, s.size);
	fixture_stop(&s);
}

static void test_past_another_host(void **state)
{
	(void)state;
	meddled(0, PAGE);
}

static void test_past_another_thread(void **state)
{
	(void)state;
	meddled(1, PAGE);
}

static void test_taken_over(void **state)
{
	(void)state;
	meddled(2, -ESTALE);
}

static void test_removed_meanwhile(void **state)
{
	(void)state;
	meddled(3, -ESTALE);
}

static void test_late_filler(void **state)
{
	(void)state;
	meddled(4, -ESTALE);
}

/* A claim of this host that no thread of it reads for is left over: nobody waits for it. */
static void test_own_left_over(void **state)
{
	struct cache_fill f = { .wanted = 4 };
	struct fixture s;
	sm_u64 *word;

	(void)state;
	fixture_start(&s, 8 << 20, 40 * PAGE, 0);
	f.ino = s.ino;
	f.aside = malloc(sizeof(*f.aside));
	assert_int_equal(fs_run(s.pod.fs[0], cache_claim, &f), 0);
	assert_int_equal(f.n, 4);
	assert_int_equal(link_kind(word_of(&s, 3)), DAXFS_FILLING);
	expect(&s, 0, 0, PAGE);
	assert_int_equal(link_kind(word_of(&s, 3)), DAXFS_CLEAN);
	assert_int_equal(s.storage[0].reads, 1);
	/* ... and of a host that died; it is not even recovered. */
	assert_int_equal(daxfs_cache_drop(s.pod.fs[1], s.ino, 0, 4 * PAGE), 4);
	assert_int_equal(fs_run(s.pod.fs[0], cache_claim, &f), 0);
	pod_fence(&s.pod, 0);
	expect(&s, 1, 0, PAGE);
	assert_int_equal(link_kind(word_of(&s, 3)), DAXFS_CLEAN);
	/* ... and of a host that there is not. */
	assert_int_equal(daxfs_cache_drop(s.pod.fs[1], s.ino, 3 * PAGE, PAGE), 1);
	word = &s.pool->inodes[handle_index(s.ino)].direct[3];
	sm_store(word, word_next(sm_load(word), DAXFS_W_LINK, filling_payload(DAXFS_HOSTS_MAX - 1, 1, 0)));
	expect(&s, 1, 3 * PAGE, PAGE);
	assert_int_equal(link_kind(word_of(&s, 3)), DAXFS_CLEAN);
	free(f.aside);
	fixture_stop(&s);
}

/* Who was overtaken neither publishes what it has read, nor takes the claim of its successor away. */
static void test_overtaken(void **state)
{
	struct cache_fill old = { .wanted = 4 }, new = { .wanted = 4 };
	struct fixture s;
	uint64_t w;

	(void)state;
	fixture_start(&s, 8 << 20, 40 * PAGE, PATIENCE_MS);
	old.ino = new.ino = s.ino;
	old.aside = malloc(sizeof(*old.aside));
	new.aside = malloc(sizeof(*new.aside));
	assert_int_equal(fs_run(s.pod.fs[0], cache_claim, &old), 0);
	memset(old.aside->bytes, 'o', 4 * PAGE);
	expect(&s, 0, 0, PAGE); /* it is taken over, */
	assert_int_equal(daxfs_cache_drop(s.pod.fs[1], s.ino, 0, UINT64_MAX), 8);
	assert_int_equal(fs_run(s.pod.fs[1], cache_claim, &new), 0); /* dropped, and claimed again */
	assert_int_equal(new.n, 4);
	w = word_of(&s, 0);
	assert_int_equal(fs_run(s.pod.fs[0], cache_publish, &old), 0);
	assert_int_equal(old.filled, 0);
	assert_int_equal(word_of(&s, 0), w);
	assert_int_equal(fs_run(s.pod.fs[0], cache_release, &old), 0);
	assert_int_equal(word_of(&s, 0), w);
	assert_int_equal(fs_run(s.pod.fs[1], cache_release, &new), 0);
	assert_int_equal(link_kind(word_of(&s, 0)), DAXFS_ABSENT);
	expect(&s, 2, 0, 4 * PAGE);
	free(old.aside);
	free(new.aside);
	fixture_stop(&s);
}

/* A record of one word tells by that word whether it happened: not so of a claim, which may come again. */
static void test_by_marks(void **state)
{
	struct fixture s;
	unsigned published = 0;

	(void)state;
	fixture_start(&s, 8 << 20, PAGE, PATIENCE_MS);
	expect(&s, 0, 0, PAGE);
	for (unsigned i = 0; i < s.pod.fs[0]->n_slots; i++) {
		const struct lane *lane = &s.pod.fs[0]->slots[i].lane;

		if (status_operation(sm_load(&lane->sm->status)) != OP_FILL || lane->txn.n_words != 1)
			continue;
		published++;
		assert_true(lane->txn.movable);
	}
	assert_int_equal(published, 1);
	fixture_stop(&s);
}

struct releaser {
	struct fixture *s;
	struct cache_fill fill;
};

/* The claim that is read past is given up; what this read brings is of another time, the next one's is not. */
static void release_it(struct storage *storage, uint64_t file, uint64_t offset)
{
	struct releaser *r = storage->context;

	(void)file, (void)offset;
	storage->change = storage->reads == 1 ? 9 : 0;
	if (storage->reads == 1)
		assert_int_equal(fs_run(r->s->pod.fs[0], cache_release, &r->fill), 0);
}

/* What was read past a claim does not count if the word is another one by then. */
static void test_past_and_gone(void **state)
{
	struct releaser r = { .fill = { .wanted = 4 } };
	struct fixture s;

	(void)state;
	fixture_start(&s, 8 << 20, 40 * PAGE, 0);
	r.s = &s;
	r.fill.ino = s.ino;
	r.fill.aside = malloc(sizeof(*r.fill.aside));
	assert_int_equal(fs_run(s.pod.fs[0], cache_claim, &r.fill), 0);
	s.storage[1].during = release_it;
	s.storage[1].context = &r;
	expect(&s, 1, 0, PAGE);
	assert_int_equal(s.storage[1].reads, 2);
	free(r.fill.aside);
	fixture_stop(&s);
}

struct reader {
	struct fixture *s;
	unsigned host;
};

static void slow(struct storage *storage, uint64_t file, uint64_t offset)
{
	const struct timespec ts = { .tv_nsec = 2000000 };

	(void)storage, (void)file, (void)offset;
	nanosleep(&ts, NULL);
}

static void *read_all(void *arg)
{
	struct reader *r = arg;

	for (uint64_t at = 0; at < r->s->size; at += 3 * PAGE)
		expect(r->s, r->host, at, 3 * PAGE);
	return NULL;
}

/* Threads of three hosts that want the same pages at once wait for each other: storage is read once. */
static void test_at_once(void **state)
{
	struct fixture s;
	pthread_t thread[2 * POD_HOSTS];
	struct reader reader[2 * POD_HOSTS];

	(void)state;
	fixture_start(&s, 8 << 20, 200 * PAGE, PATIENCE_MS);
	for (unsigned i = 0; i < POD_HOSTS; i++)
		s.storage[i].during = slow;
	for (unsigned i = 0; i < 2 * POD_HOSTS; i++) {
		reader[i] = (struct reader){ &s, i % POD_HOSTS };
		assert_int_equal(pthread_create(&thread[i], NULL, read_all, &reader[i]), 0);
	}
	for (unsigned i = 0; i < 2 * POD_HOSTS; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(pages_read(&s), 200);
	fixture_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_once),
		cmocka_unit_test(test_sparse_and_large),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_no_storage),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_past_another_host),
		cmocka_unit_test(test_past_another_thread),
		cmocka_unit_test(test_taken_over),
		cmocka_unit_test(test_removed_meanwhile),
		cmocka_unit_test(test_late_filler),
		cmocka_unit_test(test_own_left_over),
		cmocka_unit_test(test_overtaken),
		cmocka_unit_test(test_by_marks),
		cmocka_unit_test(test_past_and_gone),
		cmocka_unit_test(test_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
