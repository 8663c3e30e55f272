/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_local.h - checks that run on tmpfs first, where both hosts are the same
 * directory, and must pass there too: it says what is right. Then on a pod.
 */
#ifndef TESTS_UNIT_AGENT_LOCAL_H
#define TESTS_UNIT_AGENT_LOCAL_H

#include "test_agent_pod.h"

#define TMPFS "/dev/shm"

struct place {
	char host[2][128];
};

typedef void (*check_fn)(const struct place *p);

static inline const char *in(const struct place *p, int host, const char *name)
{
	return below(p->host[host], name);
}

/* On tmpfs, then on the pod. */
static inline void run(void **state, check_fn check)
{
	struct pod *pod = *state;
	struct place p;

	if (!pod_possible())
		skip();
	strcpy(p.host[A], TMPFS "/test_local.XXXXXX");
	assert_non_null(mkdtemp(p.host[A]));
	strcpy(p.host[B], p.host[A]);
	check(&p);
	assert_int_equal(rmdir(p.host[A]), 0);
	assert_int_equal(chmod(pod->dir, 0755), 0);
	strcpy(p.host[A], pod->mount[A]);
	strcpy(p.host[B], pod->mount[B]);
	check(&p);
}

static inline int make(const char *path, int flags)
{
	int fd = open(path, O_RDWR | O_CREAT | flags, 0644);

	assert_true(fd >= 0);
	return fd;
}

#endif
