/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_map.c - shared mappings on two mounts: exact on one host, as on NFS
 * between hosts, and never two hosts at once where programs rely on locks.
 */
#include "test_agent_pod.h"

#include <sys/mman.h>

#define PAGE 4096
#define BYTES (4 * PAGE)

/* Does this machine's kernel have shared mappings (6.6)? The pod says so where it does not. */
static bool have_mappings(struct pod *pod)
{
	return pod_possible() && !pod_log_says(pod, A, "no shared mappings");
}

static int new_file(const struct pod *pod, const char *name)
{
	int fd = open(at(pod, A, name), O_RDWR | O_CREAT | O_EXCL, 0644);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, BYTES), 0);
	return fd;
}

static char *map_file(int fd, int protection)
{
	char *p = mmap(NULL, BYTES, protection, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		fail_msg("mmap: %s", strerror(errno));
	return p;
}

static void expect_bytes(int fd, off_t offset, const char *text)
{
	char buf[64];

	assert_int_equal(pread(fd, buf, strlen(text), offset), (ssize_t)strlen(text));
	assert_memory_equal(buf, text, strlen(text));
}

static void test_one_host(void **state)
{
	struct pod *pod = *state;
	char *p, *q;
	int fd, other;

	if (!have_mappings(pod))
		skip();
	fd = new_file(pod, "one");
	other = open(at(pod, A, "one"), O_RDWR);
	p = map_file(fd, PROT_READ | PROT_WRITE);
	q = map_file(other, PROT_READ | PROT_WRITE);
	memcpy(p + 100, "mapped", 6);
	assert_memory_equal(q + 100, "mapped", 6);
	expect_bytes(other, 100, "mapped"); /* read() sees what is only in the mapping ... */
	assert_int_equal(pwrite(other, "written", 7, PAGE), 7);
	assert_memory_equal(p + PAGE, "written", 7); /* ... and the mapping what is written */
	assert_int_equal(pwrite(other, "mixed", 5, 103), 5);
	assert_memory_equal(q + 100, "mapmixed", 8);
	assert_int_equal(ftruncate(fd, 102), 0);
	assert_int_equal(ftruncate(fd, BYTES), 0);
	assert_memory_equal(p + 100, "ma\0\0\0\0\0\0", 8);
	munmap(p, BYTES);
	munmap(q, BYTES);
	close(fd);
	close(other);
}

static void test_two_hosts(void **state)
{
	struct pod *pod = *state;
	char *p, *q;
	int a, b;

	if (!have_mappings(pod))
		skip();
	a = new_file(pod, "two");
	b = open(at(pod, B, "two"), O_RDWR);
	p = map_file(a, PROT_READ | PROT_WRITE);
	memcpy(p, "first", 5);
	assert_int_equal(msync(p, BYTES, MS_SYNC), 0);
	expect_bytes(b, 0, "first");
	q = map_file(b, PROT_READ | PROT_WRITE); /* no locks: nobody is kept out */
	assert_memory_equal(q, "first", 5);
	memcpy(q + 2 * PAGE, "from b", 6);
	munmap(q, BYTES);
	close(b); /* writes back */
	expect_bytes(a, 2 * PAGE, "from b");
	munmap(p, BYTES);
	p = map_file(a, PROT_READ);
	assert_memory_equal(p + 2 * PAGE, "from b", 6);
	munmap(p, BYTES);
	close(a);
}

static int lock_byte(int fd, int command, short type)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = 128, .l_len = 1 };

	return fcntl(fd, command, &lock);
}

/* Wait until the other host has heard of the last close here: the kernel tells the agent a moment later. */
static void lock_soon(int fd)
{
	for (int ms = 0; lock_byte(fd, F_SETLK, F_RDLCK) != 0; ms++) {
		assert_true(ms < POD_WAIT_MS && errno == EAGAIN);
		usleep(1000);
	}
}

/* As SQLite's -shm: a lock, a mapping, and others that ask for the lock. */
static void test_locks_keep_out(void **state)
{
	struct pod *pod = *state;
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	int a, b;
	char *p;

	if (!have_mappings(pod))
		skip();
	a = new_file(pod, "shm");
	b = open(at(pod, B, "shm"), O_RDWR);
	assert_int_equal(lock_byte(a, F_SETLK, F_RDLCK), 0);
	assert_int_equal(lock_byte(b, F_SETLK, F_RDLCK), 0); /* nothing is mapped yet */
	assert_int_equal(lock_byte(b, F_SETLK, F_UNLCK), 0);
	p = map_file(a, PROT_READ | PROT_WRITE);
	p[0] = 'x';
	expect_error(lock_byte(b, F_SETLK, F_RDLCK), EAGAIN);
	assert_int_equal(fcntl(b, F_GETLK, &lock), 0);
	assert_int_equal(lock.l_type, F_WRLCK);
	munmap(p, BYTES);
	close(a);
	lock_soon(b);
	p = map_file(b, PROT_READ);
	assert_int_equal(p[0], 'x');
	munmap(p, BYTES);
	close(b);
}

/* Both have a lock before either has a page: the second waits for its pages until the first has closed. */
static void test_second_waits(void **state)
{
	struct pod *pod = *state;
	char *p, *q, byte = 0;
	int a, b, told[2];
	pid_t pid;

	if (!have_mappings(pod))
		skip();
	a = new_file(pod, "race");
	b = open(at(pod, B, "race"), O_RDWR);
	assert_int_equal(lock_byte(a, F_SETLK, F_RDLCK), 0);
	p = map_file(a, PROT_READ | PROT_WRITE);
	assert_int_equal(pipe(told), 0);
	pid = fork();
	if (pid == 0) {
		close(a);
		munmap(p, BYTES);
		if (lock_byte(b, F_SETLK, F_RDLCK) != 0 || write(told[1], "l", 1) != 1)
			_exit(1);
		q = map_file(b, PROT_READ | PROT_WRITE);
		while (access(at(pod, A, "race.mapped"), F_OK) != 0)
			usleep(1000);
		_exit(q[0] == 'y' ? 0 : 2); /* 'x' were a page from before the other's close */
	}
	close(b);
	assert_int_equal(read(told[0], &byte, 1), 1);
	p[0] = 'x';
	put(at(pod, A, "race.mapped"), "");
	usleep(50000); /* time for it to ask for its page; if it takes longer, nothing is shown */
	p[0] = 'y';
	munmap(p, BYTES);
	close(a);
	assert_int_equal(pod_reap(pid), 0);
	close(told[0]);
	close(told[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pod_start_both),    cmocka_unit_test(test_one_host),
		cmocka_unit_test(test_two_hosts),    cmocka_unit_test(test_locks_keep_out),
		cmocka_unit_test(test_second_waits), cmocka_unit_test(pod_stop_both),
	};

	return cmocka_run_group_tests(tests, pod_setup, pod_teardown);
}
