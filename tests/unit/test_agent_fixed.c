/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_fixed.c - files of a backing that was added read-only: kernels keep their data though nobody asked for
 * that, with or without leases, on hosts with the storage and without; and of no others.
 */
#include "agent_stored.h"
#include "node-agent/kernel_pages.h"

#define SIZE 65536u
#define LARGE (KERNEL_PAGES_FILE_MAX + PAGE) /* such a file is not cached as long as it is cold */
#define AGAIN 20

ssize_t __wrap_storage_read(int root, const char *path, void *buf, size_t len, uint64_t offset,
			    struct storage_entry *now)
{
	return stored_read(root, path, buf, len, offset, now);
}

static struct stored *begin(void **state, unsigned lease_ms)
{
	struct stored *t = *state;

	t->read_only = true;
	t->keeps = KERNEL_KEEPS_NAMES;
	stored_begin(state, lease_ms);
	fill(in(t, 0, "f"), O_CREAT, 'a', SIZE);
	keep(t, A, "data/f", 'a', SIZE);
	return t;
}

static unsigned questions(int host)
{
	return atomic_load(&watch->host[host].requests[FUSE_GETATTR]);
}

/* -- which ones ---------------------------------------------------------------------------------- */

/* C has not the storage. */
static void test_kept(void **state)
{
	struct stored *t = begin(state, LONG_MS);
	unsigned before[POD_HOSTS];

	keep(t, B, "data/f", 'a', SIZE);
	keep(t, C, "data/f", 'a', SIZE);
	for (int host = A; host <= C; host++)
		before[host] = requests(host);
	for (int i = 0; i < AGAIN; i++)
		for (int host = A; host <= C; host++)
			expect(at(&t->pod, host, "data/f"), 'a', SIZE);
	drop_from_pool(t, "data/f"); /* the kernel has it, whatever becomes of the pool's */
	for (int host = A; host <= C; host++) {
		expect(at(&t->pod, host, "data/f"), 'a', SIZE);
		assert_int_equal(requests(host), before[host]);
	}
}

/* A large one once the pool has it; and then, whatever becomes of the pool's. */
static void test_large(void **state)
{
	struct stored *t = begin(state, LONG_MS);
	unsigned before;

	fill(in(t, 0, "large"), O_CREAT, 'l', LARGE);
	keep(t, A, "data/large", 'l', LARGE);
	drop_from_pool(t, "data/large");
	before = requests(A);
	expect(at(&t->pod, A, "data/large"), 'l', LARGE);
	assert_int_equal(requests(A), before);
}

/* What may be written each read asks for, as before. */
static void test_others(void **state)
{
	static const char *const others[] = { "own", "beside/f" };
	struct stored *t = begin(state, LONG_MS);

	for (unsigned i = 0; i < 2; i++) {
		int fd, writer;

		fill(at(&t->pod, A, others[i]), O_CREAT, 'a', SIZE);
		expect(at(&t->pod, A, others[i]), 'a', SIZE);
		fd = open_as(at(&t->pod, A, others[i]), O_RDONLY);
		writer = open_as(at(&t->pod, B, others[i]), O_WRONLY);
		for (int n = 0; n < AGAIN; n++) {
			unsigned before = requests(A);
			char letter = (char)('a' + n);

			assert_int_equal(pwrite(writer, &letter, 1, SIZE - 1), 1);
			assert_int_equal(pread(fd, &letter, 1, SIZE - 1), 1);
			assert_int_equal(letter, 'a' + n);
			assert_true(requests(A) > before);
		}
		close(writer);
		close(fd);
	}
}

/* -- for how long ----------------------------------------------------------------------------------- */

/* Attributes run out, and are asked for; data is not. */
static void test_lease_over(void **state)
{
	struct stored *t = begin(state, SHORT_MS);
	int fd = open_as(at(&t->pod, A, "data/f"), O_RDONLY);
	unsigned reads_before = requests(A);

	for (int i = 0; i < 3; i++) {
		unsigned before = questions(A);

		while (questions(A) == before)
			expect_fd(fd, 'a', SIZE);
	}
	expect(at(&t->pod, A, "data/f"), 'a', SIZE);
	assert_int_equal(requests(A), reads_before);
	close(fd);
}

/* Who opens it anew finds what storage has; who has it open, what was there. */
static void test_behind(void **state)
{
	struct stored *t = begin(state, LONG_MS);
	int old[AGAIN];

	for (int i = 0; i < AGAIN; i++) {
		char letter = (char)('b' + i);

		old[i] = open_as(at(&t->pod, A, "data/f"), O_RDONLY);
		fill(in(t, 0, ".new"), O_CREAT | O_TRUNC, letter, SIZE + 100 * (size_t)i);
		if (i % 2)
			fill(in(t, 0, "f"), O_TRUNC, letter, SIZE + 100 * (size_t)i);
		else
			assert_int_equal(rename(in(t, 0, ".new"), in(t, 0, "f")), 0);
		keep(t, A, "data/f", letter, SIZE + 100 * (size_t)i);
	}
	for (int i = 0; i < AGAIN; i++) {
		expect_fd(old[i], (char)('a' + i), SIZE + 100 * (size_t)(i ? i - 1 : 0));
		close(old[i]);
	}
}

/* Who serves goes on with what the kernel has, and with what it has open. */
static void test_killed(void **state)
{
	struct stored *t = begin(state, LONG_MS);
	int fd = open_as(at(&t->pod, A, "data/f"), O_RDONLY);
	unsigned before = requests(A);

	for (int i = 0; i < 3; i++) {
		pod_kill_server(&t->pod, A);
		expect_fd(fd, 'a', SIZE);
	}
	assert_int_equal(requests(A), before);
	expect(at(&t->pod, A, "data/f"), 'a', SIZE);
	close(fd);
	keep(t, A, "data/f", 'a', SIZE);
}

/* It is written from now on: nothing that is opened after that is kept. */
static void test_read_only_no_more(void **state)
{
	static const char text[] = "writable revalidate-ms=0 path=";
	struct stored *t = begin(state, LONG_MS);
	struct daxfs *fs = as_admin(t);
	struct daxfs_attr attr;
	int fd;

	assert_int_equal(daxfs_lookup(fs, DAXFS_ROOT, "data", &attr), 0);
	assert_int_equal(daxfs_xattr_set(fs, attr.ino, BACKING_ATTRIBUTE, text, strlen(text), 0), 0);
	fd = open_as(at(&t->pod, A, "data/f"), O_RDONLY);
	for (int i = 0; i < AGAIN; i++) {
		unsigned before = requests(A);

		expect_fd(fd, 'a', SIZE);
		assert_true(requests(A) > before);
	}
	close(fd);
	end_admin(fs);
}

/* -- mapped -------------------------------------------------------------------------------------------- */

/* What is large and cold is read by requests; pages of it that are mapped stay when it is opened again. */
static void test_mapped(void **state)
{
	struct stored *t = begin(state, LONG_MS);
	const char *path = at(&t->pod, A, "data/cold");
	unsigned before;
	char *map;
	int fd;

	fill(in(t, 0, "cold"), O_CREAT, 'c', LARGE);
	fd = open_as(path, O_RDONLY);
	map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED);
	for (size_t i = 0; i < SIZE; i += PAGE)
		assert_int_equal(map[i], 'c');
	before = requests(A);
	drop_from_pool(t, "data/cold"); /* so that it is as cold once more */
	for (int i = 0; i < 3; i++) {
		int again = open_as(path, i == 1 ? O_RDONLY | O_DIRECT : O_RDONLY);

		assert_int_equal(madvise(map, SIZE, MADV_DONTNEED), 0);
		for (size_t at = 0; at < SIZE; at += PAGE)
			assert_int_equal(map[at], 'c');
		close(again);
	}
	assert_int_equal(requests(A), before);
	assert_int_equal(munmap(map, SIZE), 0);
	close(fd);
}

/* -- storage that does not answer ------------------------------------------------------------------------ */

struct reader {
	int fd;
	char byte;
	ssize_t n;
	pthread_t thread;
};

static void *read_middle(void *context)
{
	struct reader *r = context;

	r->n = pread(r->fd, &r->byte, 1, SIZE / 2);
	return NULL;
}

static void too_long(int signal)
{
	static const char text[] = "somebody waits for storage\n";

	(void)signal;
	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	_exit(1);
}

/* One waits for a page of it; the others read what is kept of that file, open it and look at it. */
static void test_hang(void **state)
{
	struct stored *t = begin(state, LONG_MS);
	const char *path = at(&t->pod, A, "data/g");
	struct reader r;
	struct stat st;
	char byte;

	fill(in(t, 0, "g"), O_CREAT, 'g', SIZE);
	expect(path, 'g', SIZE);
	drop_part(t, "data/g", PAGE, SIZE - 2 * PAGE);
	hold_reads("g");
	signal(SIGALRM, too_long);
	alarm(HANG_S);
	r.fd = open_as(path, O_RDONLY);
	assert_int_equal(posix_fadvise(r.fd, 0, 0, POSIX_FADV_RANDOM), 0); /* nothing is read ahead */
	assert_int_equal(pread(r.fd, &byte, 1, 0), 1);
	assert_int_equal(pthread_create(&r.thread, NULL, read_middle, &r), 0);
	await_held(1);
	for (int i = 0; i < AGAIN; i++) {
		int fd = open_as(path, i % 2 ? O_RDONLY : O_RDONLY | O_DIRECT);

		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_size, SIZE);
		assert_int_equal(pread(r.fd, &byte, 1, 0), 1);
		assert_int_equal(byte, 'g');
		close(fd);
		expect(at(&t->pod, A, "data/f"), 'a', SIZE);
	}
	alarm(0);
	atomic_store(&reads->hold, false);
	pthread_join(r.thread, NULL);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.byte, 'g');
	close(r.fd);
}

#define FIXED_TEST(test) cmocka_unit_test_setup_teardown(test, stored_setup, stored_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FIXED_TEST(test_kept),
		FIXED_TEST(test_large),
		FIXED_TEST(test_others),
		FIXED_TEST(test_lease_over),
		FIXED_TEST(test_behind),
		FIXED_TEST(test_killed),
		FIXED_TEST(test_read_only_no_more),
		FIXED_TEST(test_mapped),
		FIXED_TEST(test_hang),

	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
