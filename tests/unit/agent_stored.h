/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent_stored.h - a pod whose kernels keep data of files of storage: A and B read and write two backings, `data` and
 * `beside`; C has neither. Reads of storage are held, or fail, by the begin of the path. If the test says so before
 * it begins, `data` is read-only, and kernels keep something else.
 */
#ifndef TESTS_UNIT_AGENT_STORED_H
#define TESTS_UNIT_AGENT_STORED_H

#include "daxfs/cache.h"
#include "node-agent/backing.h"
#include "storage_calls.h"
#include "test_agent_watch.h"

#include <pthread.h>

#define C 2
#define PAGE 4096u

struct stored {
	struct pod pod; /* first */
	char storage[2][96];
	bool read_only;
	enum kernel_keeps keeps;
};

static const char *const stored_name[] = { "data", "beside" };

/* between the test and its agents, which are its children: reads of storage by host A */
static struct {
	atomic_bool hold;
	atomic_uint held;
	atomic_ullong fail_from; /* bytes; UINT64_MAX: none fails */
	char path[32];           /* how those begin that are meant; set while nothing is held and none fails */
} * reads;

static inline ssize_t stored_read(int root, const char *path, void *buf, size_t len, uint64_t offset,
				  struct storage_entry *now)
{
	bool meant = reads && watched_host == A && strncmp(path, reads->path, strlen(reads->path)) == 0;

	if (meant && atomic_load(&reads->hold)) {
		atomic_fetch_add(&reads->held, 1);
		while (atomic_load(&reads->hold))
			usleep(1000);
	}
	if (meant && offset + len > atomic_load(&reads->fail_from))
		return -EIO;
	return __real_storage_read(root, path, buf, len, offset, now);
}

static inline void hold_reads(const char *path)
{
	snprintf(reads->path, sizeof(reads->path), "%s", path);
	atomic_store(&reads->held, 0);
	atomic_store(&reads->hold, true);
}

static inline void await_held(unsigned n)
{
	while (atomic_load(&reads->held) < n && atomic_load(&reads->hold))
		usleep(1000);
}

static inline const char *in(const struct stored *t, int backing, const char *name)
{
	return below(t->storage[backing], name);
}

/* -- files, which are of one letter -------------------------------------------------------------------- */

static atomic_uint stored_opens; /* so many files were opened: by that it is seen that somebody comes any further */

static inline int open_as(const char *path, int flags)
{
	int fd = open(path, flags, 0644);

	if (fd < 0)
		fail_msg("%s: %s", path, strerror(errno));
	atomic_fetch_add(&stored_opens, 1);
	return fd;
}

static inline void fill(const char *path, int flags, char letter, size_t size)
{
	char *buf = malloc(size);
	int fd = open_as(path, O_WRONLY | flags);

	memset(buf, letter, size);
	assert_int_equal(write(fd, buf, size), (ssize_t)size);
	assert_int_equal(close(fd), 0);
	free(buf);
}

/* The whole file is of that letter, and so long. */
static inline void expect_fd(int fd, char letter, size_t size)
{
	char *buf = malloc(size + 1);

	assert_int_equal(pread(fd, buf, size + 1, 0), (ssize_t)size);
	for (size_t i = 0; i < size; i += 512)
		if (buf[i] != letter)
			fail_msg("byte %zu is '%c', not '%c'", i, buf[i], letter);
	assert_true(size == 0 || buf[size - 1] == letter);
	free(buf);
}

static inline void expect(const char *path, char letter, size_t size)
{
	int fd = open_as(path, O_RDONLY);

	expect_fd(fd, letter, size);
	close(fd);
}

static inline unsigned requests(int host)
{
	return atomic_load(&watch->host[host].requests[FUSE_READ]);
}

/* Read a file on a host until its kernel has it. */
static inline void keep(const struct stored *t, int host, const char *name, char letter, size_t size)
{
	for (unsigned i = 0; i < NOT_GRANTED; i++) {
		unsigned before = requests(host);

		expect(at(&t->pod, host, name), letter, size);
		if (requests(host) == before)
			return;
	}
	fail_msg("data of %s is not kept", name);
}

/* -- the pool, from the fourth host ---------------------------------------------------------------- */

static inline struct daxfs *as_admin(const struct stored *t)
{
	struct daxfs_error err = { .text = "" };
	struct daxfs *fs;

	assert_int_equal(daxfs_open(t->pod.pool, DAXFS_READ_WRITE, &fs, &err), 0);
	assert_int_equal(daxfs_join(fs, 3, "admin", &err), 0);
	return fs;
}

static inline void end_admin(struct daxfs *fs)
{
	assert_int_equal(daxfs_leave(fs), 0);
	daxfs_close(fs);
}

static inline void add_backing(struct stored *t, unsigned number)
{
	struct daxfs_attr attr = { .mode = S_IFDIR | 0755 }, out;
	struct daxfs *fs = as_admin(t);
	char text[256];
	struct stat st;

	assert_int_equal(stat(t->storage[number], &st), 0);
	assert_int_equal(daxfs_import(fs, DAXFS_ROOT, stored_name[number], &attr, number, st.st_ino, &out), 0);
	snprintf(text, sizeof(text), "%srevalidate-ms=0 path=%s", number == 0 && t->read_only ? "" : "writable ",
		 t->storage[number]);
	assert_int_equal(daxfs_xattr_set(fs, out.ino, BACKING_ATTRIBUTE, text, strlen(text), 0), 0);
	end_admin(fs);
}

/* Clean pages of a part of a file go from the pool, as they go to make room; len 0: of all from there on. How many. */
static inline int drop_clean(const struct stored *t, const char *name, uint64_t from, uint64_t len)
{
	struct daxfs *fs = as_admin(t);
	struct daxfs_attr attr = { .ino = DAXFS_ROOT };
	char path[64], *part, *rest;
	int dropped;

	snprintf(path, sizeof(path), "%s", name);
	for (part = strtok_r(path, "/", &rest); part; part = strtok_r(NULL, "/", &rest))
		assert_int_equal(daxfs_lookup(fs, attr.ino, part, &attr), 0);
	dropped = (int)daxfs_cache_drop(fs, attr.ino, from, len ? len : attr.size - from);
	end_admin(fs);
	return dropped;
}

static inline void drop_part(const struct stored *t, const char *name, uint64_t from, uint64_t len)
{
	assert_true(drop_clean(t, name, from, len) > 0);
}

static inline void drop_behind(const struct stored *t, const char *name, uint64_t from)
{
	drop_part(t, name, from, 0);
}

static inline void drop_from_pool(const struct stored *t, const char *name)
{
	drop_behind(t, name, 0);
}

/* -- agents --------------------------------------------------------------------------------------------- */

static inline void stored_start(struct stored *t, int host)
{
	struct config config;
	struct daxfs_error err;

	pod_config(&t->pod, host, &config);
	config.keeps = t->keeps;
	for (unsigned i = 0; i < 2 && host != C; i++) {
		char line[64];

		snprintf(line, sizeof(line), "backing = %s", stored_name[i]);
		assert_int_equal(config_line(&config, line, &err), 0);
	}
	watched_host = host;
	t->pod.agent[host] = pod_spawn(&t->pod, &config, host);
	watched_host = POD_HOSTS;
	pod_wait_ready(&t->pod, host);
	alarm(HANG_S);
	while (host != C && !(pod_log_says(&t->pod, host, "backing data: reading") &&
			      pod_log_says(&t->pod, host, "backing beside: reading")))
		usleep(20000);
	alarm(0);
}

static inline struct stored *stored_begin(void **state, unsigned lease_ms)
{
	struct stored *t = *state;

	if (!pod_possible())
		skip();
	if (!watch) {
		watch_start();
		reads = mmap(NULL, sizeof(*reads), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		assert_true(reads != MAP_FAILED);
	}
	memset(watch, 0, sizeof(*watch));
	memset(reads, 0, sizeof(*reads));
	atomic_store(&reads->fail_from, UINT64_MAX);
	pod_make_leased(&t->pod, lease_ms);
	for (unsigned i = 0; i < 2; i++) {
		snprintf(t->storage[i], sizeof(t->storage[i]), "%.64s/storage%u", t->pod.dir, i);
		assert_int_equal(mkdir(t->storage[i], 0755), 0);
		add_backing(t, i);
	}
	for (int host = 0; host < POD_HOSTS; host++)
		stored_start(t, host);
	if (pod_log_says(&t->pod, A, "keeps attributes alone"))
		skip();
	return t;
}

static inline int stored_setup(void **state)
{
	*state = calloc(1, sizeof(struct stored));
	return *state ? 0 : -1;
}

static inline int stored_teardown(void **state)
{
	struct stored *t = *state;
	char command[256];

	if (reads)
		atomic_store(&reads->hold, false);
	for (unsigned i = 0; i < 2 && t->pod.dir[0]; i++) {
		snprintf(command, sizeof(command), "rm -rf '%s'", t->storage[i]);
		assert_int_equal(system(command), 0);
	}
	if (t->pod.dir[0])
		pod_destroy(&t->pod);
	free(t);
	return 0;
}

#endif
