/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_times.c - two mounts: what has changed behind a look at it has other times, however soon it did.
 *
 * Without leases, with them, and with data that kernels keep.
 */
#include "test_agent_watch.h"

#define ROUNDS 200u

static struct pod *begin_unleased(void **state)
{
	struct pod *pod = *state;

	if (!pod_possible())
		skip();
	pod_make(pod);
	pod_start(pod, A);
	pod_start(pod, B);
	return pod;
}

static struct pod *begin_all(void **state)
{
	struct pod *pod = watch_begin(state, LONG_MS);

	watch_again(pod, A, KERNEL_KEEPS_ALL);
	watch_again(pod, B, KERNEL_KEEPS_ALL);
	return pod;
}

static bool same(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* One change by a host, one look by the other: none may be missed. */
static void write_and_look(struct pod *pod, int by, int seen)
{
	int fd = open(at(pod, by, "f"), O_RDWR | O_CREAT, 0644);
	unsigned mtimes = 0, ctimes = 0, before = 0;
	struct stat was, is;

	assert_int_equal(pwrite(fd, "x", 1, 0), 1);
	was = stat_of(at(pod, seen, "f"));
	for (unsigned i = 0; i < ROUNDS; i++) {
		assert_int_equal(pwrite(fd, &(char){ (char)('a' + i % 26) }, 1, 0), 1);
		is = stat_of(at(pod, seen, "f"));
		mtimes += same(is.st_mtim, was.st_mtim);
		ctimes += same(is.st_ctim, was.st_ctim);
		before += is.st_mtim.tv_sec < was.st_mtim.tv_sec ||
			  (is.st_mtim.tv_sec == was.st_mtim.tv_sec && is.st_mtim.tv_nsec < was.st_mtim.tv_nsec);
		was = is;
	}
	close(fd);
	if (mtimes || ctimes || before)
		fail_msg("of %u changes by host %d, %u left the mtime that host %d knew, %u the ctime, %u took it back",
			 ROUNDS, by, mtimes, seen, ctimes, before);
}

/* The attributes, the names of a directory, and a file that others go on to open. */
static void change_and_look(struct pod *pod)
{
	struct stat was = stat_of(at(pod, A, "f")), dir = stat_of(at(pod, A, ".")), is;

	for (unsigned i = 0; i < ROUNDS / 4; i++) {
		assert_int_equal(chmod(at(pod, B, "f"), i % 2 ? 0600 : 0644), 0);
		is = stat_of(at(pod, A, "f"));
		assert_false(same(is.st_ctim, was.st_ctim));
		assert_true(same(is.st_mtim, was.st_mtim));
		assert_int_equal(rename(at(pod, B, "f"), at(pod, B, "g")), 0);
		was = stat_of(at(pod, A, "g"));
		assert_false(same(is.st_ctim, was.st_ctim));
		assert_int_equal(rename(at(pod, B, "g"), at(pod, B, "f")), 0);
		is = stat_of(at(pod, A, "."));
		assert_false(same(is.st_mtim, dir.st_mtim));
		dir = is;
		was = stat_of(at(pod, A, "f"));
	}
}

/* What somebody asked for is what there is; and the next change moves it on. */
static void set_and_look(struct pod *pod)
{
	static const struct timespec times[] = { { 1000000000, 123456789 }, { 4000000000, 999999999 } };
	struct stat was, is;
	int fd = open(at(pod, B, "f"), O_RDWR);

	for (unsigned i = 0; i < 2; i++) {
		was = stat_of(at(pod, A, "f"));
		assert_int_equal(utimensat(AT_FDCWD, at(pod, B, "f"), (struct timespec[]){ times[i], times[i] }, 0), 0);
		is = stat_of(at(pod, A, "f"));
		assert_true(same(is.st_mtim, times[i]) && same(is.st_atim, times[i]));
		assert_false(same(is.st_ctim, was.st_ctim));
		assert_int_equal(pwrite(fd, "y", 1, 0), 1);
		assert_false(same(stat_of(at(pod, A, "f")).st_mtim, times[i]));
	}
	assert_int_equal(utimensat(AT_FDCWD, at(pod, B, "f"), NULL, 0), 0);
	close(fd);
}

/* A mapping of A shows what B wrote once somebody on A has looked at the file. */
static void map_and_look(struct pod *pod)
{
	int writer = open(at(pod, B, "m"), O_RDWR | O_CREAT, 0644), reader;
	char *seen;

	assert_int_equal(pwrite(writer, "x", 1, 0), 1);
	reader = open(at(pod, A, "m"), O_RDONLY);
	seen = mmap(NULL, 4096, PROT_READ, MAP_SHARED, reader, 0);
	if (seen == MAP_FAILED)
		skip(); /* kernel 6.6 */
	for (unsigned i = 0; i < ROUNDS; i++) {
		char letter = (char)('a' + i % 26);

		assert_int_equal(pwrite(writer, &letter, 1, 0), 1);
		stat_of(at(pod, A, "m"));
		__asm__("" ::: "memory");
		if (seen[0] != letter)
			fail_msg("write %u: the mapping shows %c, not %c", i, seen[0], letter);
	}
	munmap(seen, 4096);
	close(reader);
	close(writer);
}

static void try_all(struct pod *pod)
{
	write_and_look(pod, A, A);
	write_and_look(pod, A, B);
	write_and_look(pod, B, A);
	change_and_look(pod);
	set_and_look(pod);
	map_and_look(pod);
}

static void test_unleased(void **state)
{
	try_all(begin_unleased(state));
}

static void test_leased(void **state)
{
	try_all(watch_begin(state, LONG_MS));
}

static void test_data_kept(void **state)
{
	try_all(begin_all(state));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_unleased, watch_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_leased, watch_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_data_kept, watch_setup, pod_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
