/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_dirty.c - storage that does not answer while a host writes: its writers wait when as much is dirty as may
 * be, and nobody else does; when it dies, another host writes back.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define TREE_LINE "dirty-max-mib = 1"
#include "agent_tree.h"
#include "storage_calls.h"

#define MAX (1u << 20)
#define PIECE (64u << 10)
#define ALL (3u << 20)
#define TRIES 40 /* of others, while the writer waits */

/* between the test and its agents: writes of this host to storage wait, and how many do; -1: of none */
static struct {
	atomic_int host, waiting;
} * held;

int __wrap_storage_write(int fd, const void *buf, size_t len, uint64_t offset)
{
	if (atomic_load(&held->host) == tree_host) {
		atomic_fetch_add(&held->waiting, 1);
		while (atomic_load(&held->host) == tree_host)
			usleep(1000);
	}
	return __real_storage_write(fd, buf, len, offset);
}

struct writer {
	struct tree *t;
	atomic_uint done; /* bytes */
	int error;
};

static void *write_all(void *arg)
{
	static char piece[PIECE];
	struct writer *w = arg;
	int fd = open(at(&w->t->pod, A, "data/big"), O_WRONLY | O_CREAT, 0644);

	memset(piece, 'b', sizeof(piece));
	while (!w->error && atomic_load(&w->done) < ALL) {
		if (fd < 0 || write(fd, piece, PIECE) != PIECE)
			w->error = errno;
		else
			atomic_fetch_add(&w->done, PIECE);
	}
	close(fd);
	return NULL;
}

static void *sync_b(void *arg)
{
	const struct tree *t = arg;
	int fd = open(at(&t->pod, B, "data/b"), O_RDONLY);

	assert_int_equal(fsync(fd), 0);
	close(fd);
	return NULL;
}

static void start_writer(struct writer *w, pthread_t *thread)
{
	atomic_store(&held->waiting, 0);
	atomic_store(&held->host, A);
	assert_int_equal(pthread_create(thread, NULL, write_all, w), 0);
	alarm(HANG_S);
	while (atomic_load(&w->done) <= MAX || !atomic_load(&held->waiting))
		usleep(1000);
	alarm(0);
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0644);

	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(close(fd), 0);
}

/* Whoever is no writer of that host and backing. */
static void others_go_on(struct tree *t)
{
	alarm(HANG_S);
	for (int i = 0; i < TRIES; i++) {
		expect_text(at(&t->pod, A, "data/cached"), "cached");
		write_text(at(&t->pod, A, "own"), "of the pool");
		write_text(at(&t->pod, B, "data/b"), "of the other host");
		expect_text(at(&t->pod, C, "data/b"), "of the other host");
		usleep(5000);
	}
	alarm(0);
}

/* The pod is told how much waits, and how long. */
static void expect_told(struct tree *t)
{
	struct daxfs_cache_stats stats = { 0 };
	struct daxfs_error err = { .text = "" };
	struct daxfs *fs;

	assert_int_equal(daxfs_open(t->pod.pool, DAXFS_READ_ONLY, &fs, &err), 0);
	alarm(HANG_S);
	while (!stats.dirty_bytes || !stats.dirty_age_ms) {
		assert_int_equal(daxfs_cache_stats_of(fs, A, &stats), 0);
		usleep(1000);
	}
	alarm(0);
	assert_true(stats.dirty_bytes <= MAX + PIECE);
	daxfs_close(fs);
}

static void test_limit(void **state)
{
	struct tree *t = *state;
	struct writer w = { .t = t };
	pthread_t thread;
	struct stat st;
	int fd;

	if (!pod_possible())
		skip();
	put(in(t, "cached"), "cached");
	put(in(t, "b"), "");
	expect_text(at(&t->pod, A, "data/cached"), "cached");
	start_writer(&w, &thread);
	others_go_on(t);
	expect_told(t);
	assert_in_range(atomic_load(&w.done), MAX, MAX + PIECE);
	atomic_store(&held->host, -1);
	pthread_join(thread, NULL);
	assert_int_equal(w.error, 0);
	fd = open(at(&t->pod, A, "data/big"), O_RDONLY);
	assert_int_equal(fsync(fd), 0);
	close(fd);
	assert_int_equal(stat(in(t, "big"), &st), 0);
	assert_int_equal(st.st_size, ALL);
}

/* The host dies as it writes back: who waited for its turn has it when it is recovered; what it left comes there. */
static void test_turn_is_taken(void **state)
{
	struct tree *t = *state;
	struct writer w = { .t = t };
	pthread_t writer, other;
	struct stat st;
	char byte = 0;
	int fd;

	if (!pod_possible())
		skip();
	assert_int_equal(truncate(at(&t->pod, A, "data/big"), 0), 0);
	start_writer(&w, &writer);
	write_text(at(&t->pod, B, "data/b"), "before the end of the other host");
	assert_int_equal(pthread_create(&other, NULL, sync_b, t), 0);
	kill_host(t, A);
	pthread_join(writer, NULL);
	assert_true(w.error);
	manager_fence(&t->manager, A);
	manager_move(&t->manager, A, DAXFS_HOST_RECOVERING, B);
	atomic_store(&held->host, -1);
	pthread_join(other, NULL);
	expect_text(in(t, "b"), "before the end of the other host");
	fd = open(at(&t->pod, B, "data/big"), O_RDONLY);
	assert_int_equal(fsync(fd), 0);
	close(fd);
	assert_int_equal(stat(in(t, "big"), &st), 0);
	assert_true((uint64_t)st.st_size >= atomic_load(&w.done));
	fd = open(in(t, "big"), O_RDONLY);
	assert_int_equal(pread(fd, &byte, 1, atomic_load(&w.done) - 1), 1);
	assert_int_equal(byte, 'b');
	close(fd);
}

static int setup_held(void **state)
{
	held = mmap(NULL, sizeof(*held), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(held != MAP_FAILED);
	atomic_store(&held->host, -1);
	return setup(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_turn_is_taken),
	};

	return cmocka_run_group_tests(tests, setup_held, teardown);
}
