/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_stored_hang.c - storage that does not answer while kernels keep data of its files: pages of some are being
 * read from there, and others change these. Nobody who does not ask for them notices.
 *
 * Storage is held until the test lets it go, so whoever had to wait for it would never come back: when nobody has come
 * any further for STUCK_S, the test has failed. Times are printed, beside those of before.
 */
#include "agent_stored.h"

#define SIZE 65536u
#define COLD 6u /* more than lanes of a backing, fewer than its threads */
#define ROUNDS 20
#define MANY 80u              /* reads that the kernel has under way at once */
#define STUCK_S (HANG_S / 10) /* of standing still; a mutant need not wait longer */

ssize_t __wrap_storage_read(int root, const char *path, void *buf, size_t len, uint64_t offset,
			    struct storage_entry *now)
{
	return stored_read(root, path, buf, len, offset, now);
}

/* -- whether anybody comes any further --------------------------------------------------------------- */

static atomic_bool stuck;

static void *watch_over(void *unused)
{
	unsigned seen = 0, since = 0;

	(void)unused;
	for (;;) {
		sleep(1);
		since = reads && atomic_load(&reads->hold) && atomic_load(&stored_opens) == seen ? since + 1 : 0;
		seen = atomic_load(&stored_opens);
		if (since == STUCK_S) {
			atomic_store(&stuck, true);
			atomic_store(&reads->hold, false);
		}
	}
	return NULL;
}

/* -- those who do not ask for it --------------------------------------------------------------------- */

static const char *const beside[] = { "own", "data/warm", "beside/warm" };

#define BESIDE (sizeof(beside) / sizeof(beside[0]))

struct others {
	const struct stored *t;
	int held[BESIDE]; /* open on A all the time */
	unsigned changes;
};

static void others_begin(struct others *o, const struct stored *t)
{
	*o = (struct others){ .t = t };
	for (unsigned i = 0; i < BESIDE; i++) {
		fill(at(&t->pod, B, beside[i]), O_CREAT, 'a', SIZE);
		expect(at(&t->pod, A, beside[i]), 'a', SIZE);
		o->held[i] = open_as(at(&t->pod, A, beside[i]), O_RDONLY);
		expect_fd(o->held[i], 'a', SIZE);
	}
}

/* They read what is kept, what B has changed since, and what they open anew. */
static void others_go_on(struct others *o, const char *when)
{
	struct timespec begin, end;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int r = 0; r < ROUNDS; r++) {
		char letter = (char)('a' + ++o->changes % 20);

		for (unsigned i = 0; i < BESIDE; i++) {
			fill(at(&o->t->pod, B, beside[i]), 0, letter, SIZE);
			expect_fd(o->held[i], letter, SIZE);
			expect(at(&o->t->pod, A, beside[i]), letter, SIZE);
			expect_fd(o->held[i], letter, SIZE);
		}
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	print_message("%s: %.1f ms a round\n", when,
		      (1e3 * (double)(end.tv_sec - begin.tv_sec) + 1e-6 * (double)(end.tv_nsec - begin.tv_nsec)) /
			      ROUNDS);
}

static void others_end(struct others *o)
{
	for (unsigned i = 0; i < BESIDE; i++)
		close(o->held[i]);
}

/* -- those who do ------------------------------------------------------------------------------------- */

struct reader {
	int fd;
	off_t at;
	pthread_t thread;
	atomic_bool done;
	ssize_t n;
	char byte;
};

static void *read_one(void *context)
{
	struct reader *r = context;

	r->n = pread(r->fd, &r->byte, 1, r->at);
	atomic_store(&r->done, true);
	return NULL;
}

static void reader_start(struct reader *r, int fd, off_t at)
{
	*r = (struct reader){ .fd = fd, .at = at };
	assert_int_equal(pthread_create(&r->thread, NULL, read_one, r), 0);
}

static void expect_waiting(const struct reader *r, unsigned n)
{
	if (atomic_load(&stuck))
		fail_msg("somebody has waited for storage");
	for (unsigned i = 0; i < n; i++)
		assert_false(atomic_load(&r[i].done));
}

static void expect_read(struct reader *r, char byte)
{
	pthread_join(r->thread, NULL);
	assert_int_equal(r->n, 1);
	assert_int_equal(r->byte, byte);
}

/* A file of storage that A has open cached, and has read nothing of by that; the pool has nothing of it either. */
static int open_cold(const struct stored *t, const char *name)
{
	int fd;

	fill(in(t, 0, strchr(name, '/') + 1), O_CREAT, 'a', SIZE);
	expect(at(&t->pod, A, name), 'a', SIZE);
	fd = open_as(at(&t->pod, A, name), O_RDONLY);
	drop_from_pool(t, name);
	return fd;
}

static unsigned asked(void)
{
	return atomic_load(&watch->host[A].requests[FUSE_GETATTR]);
}

struct cold {
	int fd[COLD];
	char name[COLD][16];
	struct reader reads[COLD], asks[COLD];
};

/* Of each a page is being read from storage; B has written another one, and somebody on A asks for that. */
static void cold_begin(struct cold *c, const struct stored *t)
{
	unsigned before;

	for (unsigned i = 0; i < COLD; i++) {
		snprintf(c->name[i], sizeof(c->name[i]), "data/cold%u", i);
		c->fd[i] = open_cold(t, c->name[i]);
	}
	hold_reads("cold");
	for (unsigned i = 0; i < COLD; i++)
		reader_start(&c->reads[i], c->fd[i], SIZE / 2);
	await_held(COLD);
	for (unsigned i = 0; i < COLD; i++)
		close(open_as(at(&t->pod, A, c->name[i]), O_RDWR)); /* which is direct, and drops nothing */
	for (unsigned i = 0; i < COLD; i++)
		fill(at(&t->pod, B, c->name[i]), 0, 'b', PAGE);
	before = asked();
	for (unsigned i = 0; i < COLD; i++)
		reader_start(&c->asks[i], c->fd[i], 0);
	while (asked() < before + COLD)
		usleep(1000);
}

static void cold_end(struct cold *c)
{
	expect_waiting(c->reads, COLD);
	expect_waiting(c->asks, COLD);
	atomic_store(&reads->hold, false);
	for (unsigned i = 0; i < COLD; i++) {
		expect_read(&c->reads[i], 'a');
		expect_read(&c->asks[i], 'b');
		close(c->fd[i]);
	}
}

static void *open_anew(void *path)
{
	char byte = 0;
	int fd = open(path, O_RDONLY);

	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 'b');
	close(fd);
	return NULL;
}

static void test_reads_hang(void **state)
{
	struct stored *t = stored_begin(state, LONG_MS);
	struct others o;
	struct cold c;
	pthread_t opener;
	unsigned before;

	others_begin(&o, t);
	others_go_on(&o, "before");
	cold_begin(&c, t);
	others_go_on(&o, "storage hangs");
	/* Whoever opens such a file waits, and holds up nobody in the directory where it is. */
	before = asked();
	assert_int_equal(pthread_create(&opener, NULL, open_anew, (void *)(uintptr_t)at(&t->pod, A, c.name[0])), 0);
	while (asked() == before)
		usleep(1000);
	fill(at(&t->pod, A, "data/new"), O_CREAT, 'n', SIZE);
	expect(at(&t->pod, A, "data/new"), 'n', SIZE);
	cold_end(&c);
	pthread_join(opener, NULL);
	others_go_on(&o, "afterwards");
	others_end(&o);
}

/* The next life is asked for all that again. */
static void test_killed(void **state)
{
	struct stored *t = stored_begin(state, LONG_MS);
	struct others o;
	struct cold c;

	others_begin(&o, t);
	cold_begin(&c, t);
	pod_kill_server(&t->pod, A);
	await_held(2 * COLD);
	others_go_on(&o, "killed while storage hangs");
	cold_end(&c);
	others_end(&o);
}

#define TAILS 2u
#define ASKERS 5u

/* Their last bytes are in storage alone, and many ask: one thread waits for each. */
static void test_ends_hang(void **state)
{
	static struct reader r[TAILS][ASKERS];
	struct stored *t = stored_begin(state, LONG_MS);
	struct others o;
	int fd[TAILS];
	char name[16];

	others_begin(&o, t);
	for (unsigned i = 0; i < TAILS; i++) {
		int sync;

		snprintf(name, sizeof(name), "data/tail%u", i);
		fd[i] = open_cold(t, name);
		expect_fd(fd[i], 'a', SIZE);
		fill(at(&t->pod, B, name), O_APPEND, 'b', SIZE);
		sync = open_as(at(&t->pod, B, name), O_RDONLY);
		assert_int_equal(fsync(sync), 0);
		close(sync);
		drop_from_pool(t, name);
	}
	hold_reads("tail");
	for (unsigned i = 0; i < TAILS * ASKERS; i++)
		reader_start(&r[i % TAILS][i / TAILS], fd[i % TAILS], SIZE);
	await_held(TAILS);
	others_go_on(&o, "ends of files hang");
	expect_waiting(r[0], TAILS * ASKERS);
	assert_int_equal(atomic_load(&reads->held), TAILS);
	atomic_store(&reads->hold, false);
	for (unsigned i = 0; i < TAILS * ASKERS; i++)
		expect_read(&r[i % TAILS][i / TAILS], 'b');
	for (unsigned i = 0; i < TAILS; i++)
		close(fd[i]);
	others_end(&o);
}

/* However many reads of the kernel wait for storage, others come through. */
static void test_many_hang(void **state)
{
	static struct reader r[MANY];
	struct stored *t = stored_begin(state, LONG_MS);
	struct others o;
	char name[16];
	int fd[MANY];

	others_begin(&o, t);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "data/many%u", i);
		fd[i] = open_cold(t, name);
	}
	hold_reads("many");
	for (unsigned i = 0; i < MANY; i++)
		reader_start(&r[i], fd[i], SIZE / 2);
	await_held(BACKING_READERS);
	/* By now it may have no thread left: what it has in the pool is opened as it is once it is slow. */
	for (unsigned i = 0; i < MANY; i++)
		fill(at(&t->pod, B, "own"), 0, 'z', SIZE);
	expect_fd(o.held[0], 'z', SIZE);
	expect(at(&t->pod, A, "own"), 'z', SIZE);
	expect_waiting(r, MANY);
	atomic_store(&reads->hold, false);
	for (unsigned i = 0; i < MANY; i++) {
		expect_read(&r[i], 'a');
		close(fd[i]);
	}
	others_end(&o);
}

/* It is stopped: nobody waits for storage but those who asked for it, who are told that the mount is gone. */
static void test_stopped(void **state)
{
	struct stored *t = stored_begin(state, LONG_MS);
	struct cold c;

	cold_begin(&c, t);
	assert_int_equal(pod_stop(&t->pod, A, SIGTERM), AGENT_EXIT_OK);
	assert_false(atomic_load(&stuck));
	for (unsigned i = 0; i < COLD; i++) {
		pthread_join(c.reads[i].thread, NULL);
		pthread_join(c.asks[i].thread, NULL);
		assert_int_equal(c.reads[i].n, -1);
		assert_int_equal(c.asks[i].n, -1);
		close(c.fd[i]);
	}
	pod_expect_clean(&t->pod);
}

#define STORED_TEST(test) cmocka_unit_test_setup_teardown(test, stored_setup, stored_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORED_TEST(test_reads_hang), STORED_TEST(test_killed),  STORED_TEST(test_ends_hang),
		STORED_TEST(test_many_hang),  STORED_TEST(test_stopped),
	};

	pthread_t watcher;

	assert_int_equal(pthread_create(&watcher, NULL, watch_over, NULL), 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
