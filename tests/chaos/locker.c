/* SPDX-License-Identifier: Apache-2.0 */
/*
 * locker.c - a process that locks a file and stays.
 *
 *	locker FILE posix|flock START LENGTH [--wait]     lock, say "locked" or "refused"; stay until SIGTERM
 *	locker FILE churn START LENGTH SEED               until SIGTERM lock, write, read, unlock pieces of the range
 *
 * churn proves exclusion by the data: under a write lock it fills the piece with
 * a stamp of its own and must find nothing else there afterwards.
 * Exit status: 0 ended by SIGTERM, 1 refused, 2 an error, 3 not alone under a lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define PIECE_MAX 64

static void on_term(int signal)
{
	(void)signal;
	_exit(0);
}

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "locker: %s: %s\n", what, strerror(errno));
	exit(2);
}

static int set_lock(int fd, int command, short type, off_t start, off_t len)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };

	return fcntl(fd, command, &l);
}

static int stay(int fd, bool whole, off_t start, off_t len, bool wait)
{
	int rc = whole ? flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB))
		       : set_lock(fd, wait ? F_SETLKW : F_SETLK, F_WRLCK, start, len);

	if (rc && errno != EAGAIN)
		fail("lock");
	puts(rc ? "refused" : "locked");
	fflush(stdout);
	while (rc == 0)
		pause();
	return 1;
}

/* Write a stamp and look what is there: false if it is not alone. */
static bool alone(int fd, off_t start, size_t len, unsigned char stamp)
{
	unsigned char out[PIECE_MAX], in[PIECE_MAX];

	memset(out, stamp, len);
	if (pwrite(fd, out, len, start) != (ssize_t)len || pread(fd, in, len, start) != (ssize_t)len)
		fail("write and read");
	return memcmp(out, in, len) == 0;
}

static int churn(int fd, off_t start, off_t len, unsigned seed)
{
	for (unsigned n = 0;; n++) {
		size_t piece = 1 + (size_t)rand_r(&seed) % PIECE_MAX;
		off_t at = start + (off_t)((unsigned)rand_r(&seed) % (unsigned)(len - PIECE_MAX));

		if (set_lock(fd, rand_r(&seed) % 2 ? F_SETLKW : F_SETLK, F_WRLCK, at, (off_t)piece)) {
			if (errno == EAGAIN)
				continue;
			fail("lock");
		}
		for (int i = 0; i < 3; i++)
			if (!alone(fd, at, piece, (unsigned char)(n * 7 + (unsigned)getpid()))) {
				fprintf(stderr, "locker: not alone at %lld\n", (long long)at);
				return 3;
			}
		if (set_lock(fd, F_SETLK, F_UNLCK, at, (off_t)piece))
			fail("unlock");
	}
}

int main(int argc, char **argv)
{
	struct sigaction term = { .sa_handler = on_term };
	bool wait = argc == 6 && !strcmp(argv[5], "--wait");
	off_t start, len;
	int fd;

	if (argc < 5)
		return 2;
	sigaction(SIGTERM, &term, NULL);
	start = atoll(argv[3]);
	len = atoll(argv[4]);
	fd = open(argv[1], O_RDWR | O_CREAT, 0644);
	if (fd < 0)
		fail(argv[1]);
	if (!strcmp(argv[2], "churn"))
		return churn(fd, start, len, argc > 5 ? (unsigned)atoi(argv[5]) : 1);
	return stay(fd, !strcmp(argv[2], "flock"), start, len, wait);
}
