/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_locks.c - locks through two mounts of two agents: who is kept out,
 * who waits and is told, what a close, a fork and a signal do.
 */
#include "test_agent_pod.h"

#include <pthread.h>
#include <sched.h>
#include <sys/file.h>

static int lock(int fd, int command, short type, off_t start, off_t len)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };

	return fcntl(fd, command, &l) == 0 ? 0 : -errno;
}

static int open_at(struct pod *pod, int host, const char *name)
{
	int fd = open(at(pod, host, name), O_RDWR | O_CREAT, 0644);

	assert_true(fd >= 0);
	return fd;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* -- POSIX ------------------------------------------------------------------------ */

static void test_ranges(void **state)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 15 };
	int a, b;

	if (!pod_possible())
		skip();
	a = open_at(*state, A, "ranges");
	b = open_at(*state, B, "ranges");
	assert_int_equal(lock(a, F_SETLK, F_WRLCK, 10, 10), 0);
	assert_int_equal(lock(a, F_SETLK, F_RDLCK, 100, 0), 0); /* to the end, wherever it will be */
	assert_int_equal(lock(b, F_SETLK, F_RDLCK, 19, 1), -EAGAIN);
	assert_int_equal(lock(b, F_SETLK, F_RDLCK, 20, 80), 0);
	assert_int_equal(lock(b, F_SETLK, F_RDLCK, 1000, 10), 0);
	assert_int_equal(lock(b, F_SETLK, F_WRLCK, (off_t)1 << 60, 1), -EAGAIN);
	assert_int_equal(fcntl(b, F_GETLK, &l), 0);
	assert_int_equal(l.l_type, F_WRLCK);
	assert_int_equal(l.l_start, 10);
	assert_int_equal(l.l_len, 10);
	assert_int_equal(l.l_pid, 0); /* of another host */
	assert_int_equal(lock(a, F_SETLK, F_UNLCK, 12, 3), 0);
	assert_int_equal(lock(b, F_SETLK, F_WRLCK, 12, 3), 0);
	assert_int_equal(lock(b, F_SETLK, F_WRLCK, 11, 1), -EAGAIN);
	close(b);
	assert_int_equal(lock(a, F_SETLK, F_WRLCK, 0, 0), 0);
	close(a);
}

/* Two processes of one host; one says who it is to the other. */
static void test_getlk_here(void **state)
{
	struct flock l = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	int fd, status;
	pid_t child;

	if (!pod_possible())
		skip();
	fd = open_at(*state, A, "here");
	assert_int_equal(lock(fd, F_SETLK, F_WRLCK, 5, 5), 0);
	child = fork();
	if (child == 0) { /* locks are not inherited */
		if (fcntl(fd, F_GETLK, &l) || l.l_type != F_WRLCK || l.l_start != 5 || l.l_pid != getppid())
			_exit(1);
		_exit(lock(fd, F_SETLK, F_RDLCK, 5, 1) == -EAGAIN ? 0 : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(fd);
}

/* The close of any of a process' descriptors of the file ends its locks; so does its end. */
static void test_close_and_exit(void **state)
{
	int a, again, b, status, ready[2];
	char byte;
	pid_t child;

	if (!pod_possible())
		skip();
	a = open_at(*state, A, "close");
	again = open_at(*state, A, "close");
	b = open_at(*state, B, "close");
	assert_int_equal(lock(a, F_SETLK, F_WRLCK, 0, 0), 0);
	assert_int_equal(lock(b, F_SETLK, F_WRLCK, 0, 0), -EAGAIN);
	close(again);
	assert_int_equal(lock(b, F_SETLK, F_WRLCK, 0, 0), 0);
	assert_int_equal(lock(b, F_SETLK, F_UNLCK, 0, 0), 0);
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) { /* with a descriptor that its parent keeps */
		byte = (char)-lock(a, F_SETLK, F_WRLCK, 7, 1);
		if (write(ready[1], &byte, 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(byte, 0);
	assert_int_equal(lock(b, F_SETLK, F_RDLCK, 7, 1), -EAGAIN);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(lock(b, F_SETLK, F_RDLCK, 7, 1), 0);
	close(ready[0]);
	close(ready[1]);
	close(a);
	close(b);
}

/* -- open file descriptions -------------------------------------------------------- */

#ifndef F_OFD_SETLK
#define F_OFD_SETLK 37
#endif

#define SOON_TRIES 20000 /* a request and a millisecond each */

/* The kernel does not wait for the release of an open file: try until it is there. */
static void expect_free_soon(int fd)
{
	int tries = 0;

	while (lock(fd, F_OFD_SETLK, F_WRLCK, 0, 0)) {
		assert_true(++tries < SOON_TRIES);
		usleep(1000);
	}
	assert_int_equal(lock(fd, F_OFD_SETLK, F_UNLCK, 0, 0), 0);
}

static void expect_flock_soon(int fd)
{
	int tries = 0;

	while (flock(fd, LOCK_EX | LOCK_NB)) {
		assert_true(++tries < SOON_TRIES);
		sched_yield();
	}
	assert_int_equal(flock(fd, LOCK_UN), 0);
}

/* Its locks end with its last descriptor, whoever else has the file open; a process that
 * closes another one of the file takes nothing from it. */
static void test_open_file_locks(void **state)
{
	int keep, a, dup_a, b, ready[2];
	pid_t child;
	char byte;

	if (!pod_possible())
		skip();
	keep = open_at(*state, A, "ofd");
	a = open_at(*state, A, "ofd");
	b = open_at(*state, B, "ofd");
	assert_int_equal(lock(a, F_OFD_SETLK, F_WRLCK, 0, 0), 0);
	assert_int_equal(lock(keep, F_OFD_SETLK, F_RDLCK, 5, 1), -EAGAIN);
	close(open_at(*state, A, "ofd"));
	dup_a = dup(a);
	close(a);
	assert_int_equal(lock(b, F_OFD_SETLK, F_RDLCK, 5, 1), -EAGAIN);
	close(dup_a);
	expect_free_soon(b);
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		a = open_at(*state, A, "ofd");
		byte = (char)-lock(a, F_OFD_SETLK, F_WRLCK, 0, 0);
		if (write(ready[1], &byte, 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(byte, 0);
	assert_int_equal(lock(b, F_OFD_SETLK, F_RDLCK, 5, 1), -EAGAIN);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	expect_free_soon(b);
	a = open_at(*state, A, "ofd");
	assert_int_equal(flock(a, LOCK_EX), 0);
	expect_error(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	close(a);
	expect_flock_soon(b);
	close(ready[0]);
	close(ready[1]);
	close(keep);
	close(b);
}

/*
 * The kernel calls the next open file by the name of the one that was just closed, and the
 * release of that may come late: what the next one locks stays locked, a flock as well.
 */
#define REOPENED 300

static void test_reopened(void **state)
{
	int a, b;

	if (!pod_possible())
		skip();
	b = open_at(*state, B, "reopened");
	for (int i = 0; i < REOPENED; i++) {
		for (int again = 0; again < 2; again++) {
			a = open_at(*state, A, "reopened");
			for (int tries = 0; lock(a, F_OFD_SETLK, F_WRLCK, 0, 0) || flock(a, LOCK_EX | LOCK_NB);
			     tries++) {
				assert_true(tries < SOON_TRIES);
				usleep(1000);
			}
			if (again == 0)
				close(a);
		}
		assert_int_equal(lock(b, F_OFD_SETLK, F_RDLCK, 5, 1), -EAGAIN);
		expect_error(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
		close(a);
		expect_free_soon(b);
	}
	close(b);
}

/* -- waiting ----------------------------------------------------------------------- */

struct wait {
	int fd;
	bool flock;
	int result;
	int64_t until_ms;
};

static void *wait_main(void *context)
{
	struct wait *w = context;

	int result;

	if (w->flock)
		result = flock(w->fd, LOCK_EX) == 0 ? 0 : -errno;
	else
		result = lock(w->fd, F_SETLKW, F_WRLCK, 0, 10);
	w->until_ms = now_ms();
	__atomic_store_n(&w->result, result, __ATOMIC_RELEASE);
	return NULL;
}

/* It has begun, and for so long it does not end. */
static void expect_waiting(pthread_t thread, unsigned ms)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += ms % 1000 * 1000000l;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000l;
	until.tv_nsec %= 1000000000l;
	assert_int_equal(pthread_timedjoin_np(thread, NULL, &until), ETIMEDOUT);
}

/* Wait until one that is still open has its lock. */
static int next_granted(const struct wait *w, int n)
{
	for (int ms = 0; ms < POD_WAIT_MS / 5; ms++) { /* sooner than whoever waits for this test */
		for (int i = 0; i < n; i++)
			if (w[i].fd >= 0 && __atomic_load_n(&w[i].result, __ATOMIC_ACQUIRE) == 0)
				return i;
		usleep(1000);
	}
	fail_msg("nobody is granted the lock");
	return -1;
}

/* More wait than there are workers, and others are served; each gets its turn. */
#define WAITERS 24

static void test_waiting(void **state)
{
	struct pod *pod = *state;
	struct wait w[WAITERS];
	pthread_t thread[WAITERS];
	int a;

	if (!pod_possible())
		skip();
	for (int use_flock = 0; use_flock < 2; use_flock++) {
		a = open_at(pod, A, "wait");
		assert_int_equal(use_flock ? flock(a, LOCK_EX) : lock(a, F_SETLK, F_WRLCK, 5, 1), 0);
		for (int i = 0; i < WAITERS; i++) { /* one process: POSIX locks would all be its own */
			w[i] = (struct wait){ .fd = open_at(pod, B, "wait"), .flock = use_flock, .result = 1 };
			assert_int_equal(pthread_create(&thread[i], NULL, wait_main, &w[i]), 0);
		}
		expect_waiting(thread[0], 150);
		put(at(pod, B, "meanwhile"), "served");
		expect_text(at(pod, A, "meanwhile"), "served");
		assert_int_equal(use_flock ? flock(a, LOCK_UN) : lock(a, F_SETLK, F_UNLCK, 0, 0), 0);
		for (int i = 0; i < WAITERS; i++) { /* a flock goes on when the one before is closed */
			if (use_flock) {
				int next = next_granted(w, WAITERS);

				pthread_join(thread[next], NULL);
				close(w[next].fd);
				w[next].fd = -1;
			} else {
				pthread_join(thread[i], NULL);
				assert_int_equal(w[i].result, 0);
			}
		}
		for (int i = 0; i < WAITERS; i++)
			if (w[i].fd >= 0)
				close(w[i].fd);
		close(a);
	}
}

/* An unlock of the same host is known at once, another one's soon. */
static void test_woken(void **state)
{
	struct pod *pod = *state;
	int64_t unlocked;

	if (!pod_possible())
		skip();
	for (int host = 0; host < 2; host++) {
		struct wait w = { .fd = open_at(pod, A, "woken"), .flock = true };
		int fd = open_at(pod, host, "woken");
		pthread_t thread;

		assert_int_equal(flock(fd, LOCK_SH), 0);
		assert_int_equal(pthread_create(&thread, NULL, wait_main, &w), 0);
		expect_waiting(thread, 300);
		unlocked = now_ms();
		close(fd);
		pthread_join(thread, NULL);
		assert_int_equal(w.result, 0);
		print_message("unlocked by host %d: %d ms\n", host, (int)(w.until_ms - unlocked));
		assert_true(w.until_ms >= unlocked && w.until_ms - unlocked < POD_WAIT_MS);
		close(w.fd);
	}
}

static void on_alarm(int signal)
{
	(void)signal;
}

static void test_interrupted(void **state)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct wait w;
	pthread_t thread;
	int a;

	if (!pod_possible())
		skip();
	sigaction(SIGUSR2, &action, NULL);
	a = open_at(*state, A, "signal");
	for (int use_flock = 0; use_flock < 2; use_flock++) {
		w = (struct wait){ .fd = open_at(*state, B, "signal"), .flock = use_flock };
		assert_int_equal(use_flock ? flock(a, LOCK_EX) : lock(a, F_SETLK, F_WRLCK, 0, 0), 0);
		assert_int_equal(pthread_create(&thread, NULL, wait_main, &w), 0);
		expect_waiting(thread, 100);
		pthread_kill(thread, SIGUSR2);
		pthread_join(thread, NULL);
		assert_int_equal(w.result, -EINTR);
		assert_int_equal(use_flock ? flock(a, LOCK_UN) : lock(a, F_SETLK, F_UNLCK, 0, 0), 0);
		/* It waits no more: what it would have got is free. */
		assert_int_equal(use_flock ? flock(a, LOCK_EX) : lock(a, F_SETLK, F_WRLCK, 0, 0), 0);
		close(w.fd);
	}
	close(a);
}

/* -- flock --------------------------------------------------------------------------- */

static void test_flock(void **state)
{
	int a, b, dup_a;

	if (!pod_possible())
		skip();
	a = open_at(*state, A, "flock");
	b = open_at(*state, B, "flock");
	assert_int_equal(flock(a, LOCK_SH), 0);
	assert_int_equal(flock(b, LOCK_SH | LOCK_NB), 0);
	expect_error(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	assert_int_equal(lock(b, F_SETLK, F_WRLCK, 0, 0), 0); /* the other kind is another matter */
	assert_int_equal(flock(a, LOCK_UN), 0);
	assert_int_equal(flock(b, LOCK_EX | LOCK_NB), 0);
	expect_error(flock(a, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	assert_int_equal(flock(b, LOCK_SH | LOCK_NB), 0);
	assert_int_equal(flock(a, LOCK_SH | LOCK_NB), 0);
	dup_a = dup(a);
	close(a); /* the open file is still open */
	expect_error(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	close(dup_a);
	assert_int_equal(flock(b, LOCK_EX), 0); /* the kernel does not wait for the release */
	close(b);
}

/* Two who share a lock and both want it alone: one gets it, then the other. */
static void test_both_upgrade(void **state)
{
	struct wait w[2];
	pthread_t thread[2];

	if (!pod_possible())
		skip();
	for (int i = 0; i < 2; i++) {
		w[i] = (struct wait){ .fd = open_at(*state, i, "upgrade"), .flock = true, .result = 1 };
		assert_int_equal(flock(w[i].fd, LOCK_SH), 0);
	}
	assert_int_equal(pthread_create(&thread[0], NULL, wait_main, &w[0]), 0);
	expect_waiting(thread[0], 50);
	assert_int_equal(pthread_create(&thread[1], NULL, wait_main, &w[1]), 0);
	for (int i = 0; i < 2; i++) {
		int next = next_granted(w, 2);

		pthread_join(thread[next], NULL);
		close(w[next].fd);
		w[next].fd = -1;
	}
}

/* The same when both only ask, again and again: who was refused has given up what it shared. */
static void test_both_ask(void **state)
{
	int a, b;

	if (!pod_possible())
		skip();
	a = open_at(*state, A, "ask");
	b = open_at(*state, B, "ask");
	assert_int_equal(flock(a, LOCK_SH), 0);
	assert_int_equal(flock(b, LOCK_SH), 0);
	expect_error(flock(a, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	assert_int_equal(flock(b, LOCK_EX | LOCK_NB), 0);
	expect_error(flock(a, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	close(b);
	expect_flock_soon(a);
	close(a);
}

/* -- the end --------------------------------------------------------------------------- */

/* An agent that is stopped leaves nobody waiting, and nothing locked. */
static void test_stopped_beside_waiters(void **state)
{
	struct pod *pod = *state;
	struct wait w;
	pthread_t thread;
	int a, b;

	if (!pod_possible())
		skip();
	a = open_at(pod, A, "stop");
	b = open_at(pod, B, "stop");
	assert_int_equal(lock(a, F_SETLK, F_WRLCK, 0, 10), 0);
	assert_int_equal(flock(b, LOCK_EX), 0);
	w = (struct wait){ .fd = open_at(pod, B, "stop") };
	assert_int_equal(pthread_create(&thread, NULL, wait_main, &w), 0);
	expect_waiting(thread, 100);
	assert_int_equal(pod_stop(pod, B, SIGTERM), AGENT_EXIT_OK);
	pthread_join(thread, NULL);
	assert_int_equal(w.result, -ENOTCONN);
	close(w.fd);
	close(b);
	assert_int_equal(flock(a, LOCK_EX | LOCK_NB), 0);
	close(a);
	pod_start(pod, B);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pod_start_both),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_getlk_here),
		cmocka_unit_test(test_close_and_exit),
		cmocka_unit_test(test_open_file_locks),
		cmocka_unit_test(test_reopened),
		cmocka_unit_test(test_waiting),
		cmocka_unit_test(test_woken),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_flock),
		cmocka_unit_test(test_both_upgrade),
		cmocka_unit_test(test_both_ask),
		cmocka_unit_test(test_stopped_beside_waiters),
		cmocka_unit_test(pod_stop_both),
	};

	return cmocka_run_group_tests(tests, pod_setup, pod_teardown);
}
