/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_tree.h - a pod of real agents with a tree of storage, data, that two of them read and write, and one cannot
 * reach. The storage is a small file system of its own, so that it can be full.
 */
#ifndef TESTS_UNIT_AGENT_TREE_H
#define TESTS_UNIT_AGENT_TREE_H

#include "daxfs/cache.h"
#include "daxfs/inspect.h"
#include "manager.h"
#include "node-agent/backing.h"
#include "test_agent_pod.h"

#define C 2 /* the host without the storage */
#ifndef STORAGE_OPTIONS
#define STORAGE_OPTIONS "size=6m,nr_inodes=300"
#endif
#ifndef CACHE_MAX
#define CACHE_MAX 0 /* bytes of the pool; 0: all of it */
#endif

static int tree_host = POD_HOSTS; /* the host whose agent this process is; the test itself is none's */

struct tree {
	struct pod pod;
	struct manager manager;
	char storage[96];
};

static inline const char *in(const struct tree *t, const char *name)
{
	return below(t->storage, name);
}

static inline void add_backing(struct tree *t)
{
	struct daxfs_error err = { .text = "" };
	struct daxfs_attr attr = { .mode = S_IFDIR | 0755 }, out;
	char text[256];
	struct daxfs *fs;
	struct stat st;

	assert_int_equal(stat(t->storage, &st), 0);
	assert_int_equal(daxfs_open(t->pod.pool, DAXFS_READ_WRITE, &fs, &err), 0);
	assert_int_equal(daxfs_join(fs, 3, "admin", &err), 0);
	assert_int_equal(daxfs_import(fs, DAXFS_ROOT, "data", &attr, 0, st.st_ino, &out), 0);
	snprintf(text, sizeof(text), "writable revalidate-ms=0 path=%s", t->storage);
	assert_int_equal(daxfs_xattr_set(fs, out.ino, BACKING_ATTRIBUTE, text, strlen(text), 0), 0);
	assert_int_equal(daxfs_leave(fs), 0);
	daxfs_close(fs);
}

static inline void spawn(struct tree *t, int host)
{
	struct config config;
	struct daxfs_error err;

	pod_config(&t->pod, host, &config);
	config.join_wait_s = HANG_S;
	if (host != C)
		assert_int_equal(config_line(&config, "backing = data", &err), 0);
#ifdef TREE_LINE /* of the configuration */
	assert_int_equal(config_line(&config, TREE_LINE, &err), 0);
#endif
	unlink(t->pod.log[host]);
	tree_host = host;
	t->pod.agent[host] = pod_spawn(&t->pod, &config, host);
	tree_host = POD_HOSTS;
}

static inline void await_log(const struct tree *t, int host, const char *what)
{
	alarm(HANG_S);
	while (!pod_log_says(&t->pod, host, what))
		usleep(20000);
	alarm(0);
}

static inline void start(struct tree *t, int host)
{
	spawn(t, host);
	pod_wait_ready(&t->pod, host);
	if (host != C)
		await_log(t, host, ", and writing");
}

static inline void tree_make(struct tree *t)
{
	const struct daxfs_mkfs_options options = {
		.struct_size = sizeof(options), .name = "pod", .size = POD_BYTES, .hosts = 4, .cache_max = CACHE_MAX
	};

	pod_make_of(&t->pod, &options);
	snprintf(t->storage, sizeof(t->storage), "%s/storage", t->pod.dir);
	assert_int_equal(mkdir(t->storage, 0755), 0);
	assert_int_equal(mount("none", t->storage, "tmpfs", 0, STORAGE_OPTIONS), 0);
	add_backing(t);
	manager_open(&t->manager, t->pod.pool);
}

static inline int setup(void **state)
{
	struct tree *t = calloc(1, sizeof(*t));

	*state = t;
	if (!pod_possible())
		return 0;
	tree_make(t);
	for (int i = 0; i < POD_HOSTS; i++)
		start(t, i);
	return 0;
}

static inline int teardown(void **state)
{
	struct tree *t = *state;

	if (t->pod.dir[0]) {
		daxfs_member_close(t->manager.member);
		umount2(t->storage, MNT_DETACH);
		rmdir(t->storage);
		pod_destroy(&t->pod);
	}
	free(t);
	return 0;
}

/* Its connection, which its service manager would keep for the next start, goes with it: who waits there is let go. */
static inline void kill_host(struct tree *t, int host)
{
	assert_int_equal(pod_stop(&t->pod, host, SIGKILL), -SIGKILL);
	umount2(t->pod.mount[host], MNT_FORCE);
}

static inline bool is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static inline int make_file(const char *path, const char *text)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0640);

	if (fd >= 0)
		assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	return fd;
}

static inline uint64_t number_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_ino;
}

/* The last test: whatever the others have left, nothing is left by it when all hosts have gone. */
static inline void tree_test_stop(void **state)
{
	struct tree *t = *state;

	if (!pod_possible())
		skip();
	pod_leave_clean(&t->pod);
}

#endif
