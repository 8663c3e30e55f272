/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod.h - a small pod for unit tests: a pool in ordinary memory and some hosts
 * joined to it, all in this process.
 */
#ifndef TESTS_UNIT_POD_H
#define TESTS_UNIT_POD_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/fs.h"
#include "inspect/check.h"
#include "sync/member.h"

#define POD_HOSTS 3

struct pod {
	void *base;
	uint64_t size;
	struct daxfs *fs[POD_HOSTS];
};

static const struct daxfs_cred pod_root;

static inline void pod_print(void *context, const char *line)
{
	(void)context;
	fprintf(stderr, "  %s\n", line);
}

static inline void pod_start_with(struct pod *pod, uint64_t size, struct daxfs_mkfs_options options)
{
	struct daxfs_error err;

	options.hosts = POD_HOSTS;
	options.size = size;
	pod->size = size;
	assert_int_equal(posix_memalign(&pod->base, 4096, size), 0);
	memset(pod->base, 0xa5, size);
	if (pool_format(pod->base, size, &options, &err))
		fail_msg("%s", err.text);
	for (unsigned i = 0; i < POD_HOSTS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "unit%u", i);
		if (fs_attach(pod->base, size, &pod->fs[i], &err) || daxfs_join(pod->fs[i], i, name, &err))
			fail_msg("%s", err.text);
	}
}

static inline void pod_start(struct pod *pod, uint64_t size)
{
	pod_start_with(pod, size, (struct daxfs_mkfs_options){ .inodes = 512, .lanes = 4 });
}

/* The pool must be flawless. */
static inline struct daxfs_check pod_check(struct pod *pod)
{
	struct daxfs_check check;

	assert_int_equal(check_pool(fs_pool(pod->fs[0]), pod_print, NULL, &check), 0);
	assert_int_equal(check.problems, 0);
	return check;
}

static inline void pod_stop(struct pod *pod)
{
	pod_check(pod);
	for (unsigned i = 0; i < POD_HOSTS; i++)
		daxfs_close(pod->fs[i]);
	free(pod->base);
}

/* What fabricd does once a host is cut off. */
static inline void pod_fence(struct pod *pod, unsigned host)
{
	struct pool *pool = fs_pool_writable(pod->fs[host]);
	sm_u64 *word = &pool->member->host[host].word;
	struct host_word w;

	assert_int_equal(host_word_unpack(sm_load(word), &w), 0);
	w.state = DAXFS_HOST_FENCING;
	assert_int_equal(member_move(pool, host, sm_load(word), w), 0);
	w.state = DAXFS_HOST_FENCED;
	w.generation++;
	assert_int_equal(member_move(pool, host, sm_load(word), w), 0);
}

static inline daxfs_ino pod_create(struct daxfs *fs, daxfs_ino parent, const char *name)
{
	struct daxfs_attr attr;

	assert_int_equal(daxfs_mknod(fs, parent, name, S_IFREG | 0644, 0, pod_root, false, &attr), 0);
	return attr.ino;
}

static inline daxfs_ino pod_mkdir(struct daxfs *fs, daxfs_ino parent, const char *name)
{
	struct daxfs_attr attr;

	assert_int_equal(daxfs_mkdir(fs, parent, name, 0755, pod_root, &attr), 0);
	return attr.ino;
}

static inline int pod_lookup(struct daxfs *fs, daxfs_ino parent, const char *name, daxfs_ino *ino)
{
	struct daxfs_attr attr = { 0 };
	int rc = daxfs_lookup(fs, parent, name, &attr);

	if (ino)
		*ino = attr.ino;
	return rc;
}

#endif
