/* SPDX-License-Identifier: Apache-2.0 */
/* thread.h - threads that leave signals to the thread that waits for them; and what /proc says of threads of others. */
#ifndef AGENT_THREAD_H
#define AGENT_THREAD_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* attr: NULL for the usual ones. 0 or -errno. */
static inline int thread_start(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	sigset_t most, old;
	int error;

	sigfillset(&most);
	sigdelset(&most, SIGBUS); /* a load of the pool that fails is its thread's own */
	pthread_sigmask(SIG_SETMASK, &most, &old);
	error = pthread_create(thread, attr, run, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -error;
}

static inline bool thread_is_gone(uint32_t thread)
{
	return kill((pid_t)thread, 0) != 0 && errno == ESRCH;
}

/* Its line of /proc, from behind the name, which stands in brackets: " S 1 ...". NULL: there is none. */
static inline const char *thread_stat(uint32_t thread, char *line, size_t size)
{
	char path[32], *at;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/stat", thread);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	n = read(fd, line, size - 1);
	close(fd);
	line[n > 0 ? n : 0] = '\0';
	at = strrchr(line, ')');
	return at ? at + 1 : NULL;
}

#endif
