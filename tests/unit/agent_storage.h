/* SPDX-License-Identifier: Apache-2.0 */
/* agent_storage.h - a pod of real agents with a tree of storage: two hosts can read it, the third cannot. */
#ifndef TESTS_UNIT_AGENT_STORAGE_H
#define TESTS_UNIT_AGENT_STORAGE_H

#include <dirent.h>

#include "daxfs/cache.h"
#include "test_agent_pod.h"

#define C 2            /* the host without the storage */
#define BIG (6u << 20) /* bytes of a file that is read by many */
#define MISSING_MS 200 /* between two looks at what must come */

struct tree {
	struct pod pod;
	char storage[96], other[96];
	uint8_t *bytes; /* of big */
};

/* -- storage ---------------------------------------------------------------------------- */

static inline const char *in(const struct tree *t, const char *name)
{
	return below(t->storage, name);
}

static inline void put_bytes(const char *path, const uint8_t *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), (ssize_t)n);
	close(fd);
}

/* As daxfsctl backing add does it, from the fourth host. */
static inline void add_backing(struct tree *t, const char *name, const char *path, unsigned number,
			       unsigned revalidate_ms)
{
	struct daxfs_error err = { .text = "" };
	struct daxfs_attr attr = { .mode = S_IFDIR | 0755 }, out;
	char text[256];
	struct daxfs *fs;
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(daxfs_open(t->pod.pool, DAXFS_READ_WRITE, &fs, &err), 0);
	assert_int_equal(daxfs_join(fs, 3, "admin", &err), 0);
	assert_int_equal(daxfs_import(fs, DAXFS_ROOT, name, &attr, number, st.st_ino, &out), 0);
	snprintf(text, sizeof(text), "revalidate-ms=%u path=%s", revalidate_ms, path);
	assert_int_equal(daxfs_xattr_set(fs, out.ino, "trusted.daxfs.backing", text, strlen(text), 0), 0);
	assert_int_equal(daxfs_leave(fs), 0);
	daxfs_close(fs);
}

static inline struct daxfs_cache_stats stats_of(const struct tree *t, int host)
{
	struct daxfs_error err = { .text = "" };
	struct daxfs_cache_stats out;
	struct daxfs *fs;

	assert_int_equal(daxfs_open(t->pod.pool, DAXFS_READ_ONLY, &fs, &err), 0);
	assert_int_equal(daxfs_cache_stats_of(fs, (unsigned)host, &out), 0);
	daxfs_close(fs);
	return out;
}

static inline void start(struct tree *t, int host, const char *const *backing, unsigned n)
{
	struct config config;
	struct daxfs_error err;
	char line[400];

	pod_config(&t->pod, host, &config);
	for (unsigned i = 0; i < n; i++) {
		snprintf(line, sizeof(line), "backing = %s", backing[i]);
		assert_int_equal(config_line(&config, line, &err), 0);
	}
	t->pod.agent[host] = pod_spawn(&t->pod, &config, host);
	pod_wait_ready(&t->pod, host);
}

static inline void wait_log(const struct tree *t, int host, const char *what)
{
	alarm(HANG_S);
	while (!pod_log_says(&t->pod, host, what))
		usleep(MISSING_MS * 1000);
	alarm(0);
}

/* Of a pool that is made: a backing, which A and B have and C has not. */
static inline void start_all(struct tree *t, unsigned revalidate_ms)
{
	const char *both[] = { "data" };

	snprintf(t->storage, sizeof(t->storage), "%s/storage", t->pod.dir);
	snprintf(t->other, sizeof(t->other), "%s/other", t->pod.dir);
	assert_int_equal(mkdir(t->storage, 0755), 0);
	assert_int_equal(mkdir(t->other, 0755), 0);
	add_backing(t, "data", t->storage, 0, revalidate_ms);
	start(t, A, both, 1);
	start(t, B, both, 1);
	start(t, C, NULL, 0);
	wait_log(t, A, "backing data: reading");
	wait_log(t, B, "backing data: reading");
}

static inline int setup_with(void **state, unsigned lease_ms, unsigned revalidate_ms)
{
	struct tree *t = calloc(1, sizeof(*t));

	*state = t;
	if (!pod_possible())
		return 0;
	t->bytes = malloc(BIG);
	for (size_t i = 0; i < BIG; i++)
		t->bytes[i] = (uint8_t)(1 + i * 7 % 251 + i / 4096 % 3);
	pod_make_leased(&t->pod, lease_ms);
	start_all(t, revalidate_ms);
	return 0;
}

static inline void remove_tree(const char *path)
{
	char command[256];

	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	assert_int_equal(system(command), 0);
}

static inline int setup(void **state)
{
	return setup_with(state, 0, 0);
}

static inline int teardown(void **state)
{
	struct tree *t = *state;

	if (t->pod.dir[0]) {
		remove_tree(t->storage);
		remove_tree(t->other);
		pod_destroy(&t->pod);
	}
	free(t->bytes);
	free(t);
	return 0;
}

#endif
