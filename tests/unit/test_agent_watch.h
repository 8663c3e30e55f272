/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_watch.h - how many requests an agent has taken, and a stop before it answers one.
 *
 * The agents of a test are its children, and the program's own read() and writev() are those that they
 * use. What they count is in memory that all share. An agent that is started after watch_host(n) is host n's.
 */
#ifndef TEST_AGENT_WATCH_H
#define TEST_AGENT_WATCH_H

#include "test_agent_pod.h"

#include <linux/fuse.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define WATCH_OPCODES 64u

struct watch {
	struct {
		atomic_uint requests[WATCH_OPCODES];
	} host[POD_HOSTS];
	atomic_uint hold;  /* host A stops in one request of this opcode; 0: none */
	atomic_uint where; /* enum watch_where */
	atomic_uint stops; /* so far: who was stopped by an earlier one goes on */
	atomic_bool holds; /* it has come */
	atomic_uint went;  /* the last stop whose request has gone on, and written what it was about to write */
};

enum watch_where {
	WATCH_READ,    /* nothing is done for it */
	WATCH_MADE,    /* the file is there, and nothing of it was looked up to be told */
	WATCH_ANSWERED /* but the answer is not written */
};

static struct watch *watch;
static int watched_host;
static _Thread_local unsigned watched_opcode;

static inline void watch_start(void)
{
	watch = mmap(NULL, sizeof(*watch), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(watch != MAP_FAILED);
}

/* Start an agent whose requests are counted. */
static inline void watch_pod_start(struct pod *pod, int host)
{
	watched_host = host;
	pod_start(pod, host);
}

/* The agent of a host ends, and another one begins, whose kernel keeps what that says. */
static inline void watch_again(struct pod *pod, int host, enum kernel_keeps keeps)
{
	struct config config;

	assert_int_equal(pod_stop(pod, host, SIGTERM), AGENT_EXIT_OK);
	pod_config(pod, host, &config);
	config.keeps = keeps;
	watched_host = host;
	pod->agent[host] = pod_spawn(pod, &config, host);
	pod_wait_ready(pod, host);
}

/* As read(2) of the library, which libfuse ends by pthread_cancel(). */
static inline ssize_t cancellable_read(int fd, void *buf, size_t size)
{
	ssize_t n;
	int type;

	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	n = syscall(SYS_read, fd, buf, size);
	pthread_setcanceltype(type, NULL);
	return n;
}

/* Which stop it was; 0: it has not stopped. */
static inline unsigned stop_here(enum watch_where where)
{
	unsigned stop = atomic_load(&watch->stops);

	if (watched_host != A || !watched_opcode || atomic_load(&watch->hold) != watched_opcode ||
	    atomic_load(&watch->where) != where || atomic_exchange(&watch->holds, true))
		return 0;
	while (atomic_load(&watch->hold) && atomic_load(&watch->stops) == stop)
		sched_yield();
	return stop;
}

ssize_t read(int fd, void *buf, size_t size)
{
	ssize_t n = cancellable_read(fd, buf, size);
	const struct fuse_in_header *in = buf;

	if (!watch || n < (ssize_t)sizeof(*in) || in->len != (size_t)n || in->opcode >= WATCH_OPCODES)
		return n;
	watched_opcode = in->opcode;
	atomic_fetch_add(&watch->host[watched_host].requests[in->opcode], 1);
	stop_here(WATCH_READ);
	return n;
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
	const struct fuse_out_header *out = iov[0].iov_base; /* unique 0: no answer, but a notification */
	unsigned stop = watch && out->unique ? stop_here(WATCH_ANSWERED) : 0;
	ssize_t n = syscall(SYS_writev, fd, iov, count);

	if (stop)
		atomic_store(&watch->went, stop);
	return n;
}

static inline unsigned watch_all(int host)
{
	unsigned n = 0;

	for (unsigned i = 0; i < WATCH_OPCODES; i++)
		n += atomic_load(&watch->host[host].requests[i]);
	return n;
}

static inline void watch_hold_at(unsigned opcode, enum watch_where where)
{
	atomic_store(&watch->hold, 0);
	atomic_store(&watch->holds, false);
	atomic_store(&watch->where, where);
	atomic_fetch_add(&watch->stops, 1);
	atomic_store(&watch->hold, opcode);
}

static inline void watch_hold(unsigned opcode)
{
	watch_hold_at(opcode, WATCH_ANSWERED);
}

static inline void watch_wait_held(void)
{
	while (!atomic_load(&watch->holds))
		sched_yield();
}

static inline void watch_release(void)
{
	atomic_store(&watch->hold, 0);
}

static inline void watch_wait_went(void)
{
	while (atomic_load(&watch->went) != atomic_load(&watch->stops))
		sched_yield();
}

/* -- two hosts that keep what they look up ------------------------------------------------ */

#define LONG_MS 60000u /* runs out in no test */
#define SHORT_MS 1000u
#define NOT_GRANTED 5000000u /* what was recalled is not granted for a moment: looks until it is */

static inline struct pod *watch_begin(void **state, unsigned lease_ms)
{
	struct pod *pod = *state;

	if (!pod_possible())
		skip();
	if (!watch)
		watch_start();
	memset(watch, 0, sizeof(*watch));
	pod_make_leased(pod, lease_ms);
	watch_pod_start(pod, A);
	watch_pod_start(pod, B);
	if (pod_log_says(pod, A, "keeps attributes alone"))
		skip();
	return pod;
}

static inline int watch_setup(void **state)
{
	*state = calloc(1, sizeof(struct pod));
	return *state ? 0 : -1;
}

static inline struct stat stat_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		fail_msg("%s: %s", path, strerror(errno));
	return st;
}

/* Look at a name until the kernel of A answers by itself. */
static inline void warm(const struct pod *pod, const char *name)
{
	struct stat st;

	for (unsigned i = 0; i < NOT_GRANTED; i++) {
		unsigned before = watch_all(A);

		stat(at(pod, A, name), &st);
		if (watch_all(A) == before)
			return;
	}
	fail_msg("%s is not kept", name);
}

/* So often that there will be no lease of it for a while. */
static inline void recall_often(const struct pod *pod, const char *dir)
{
	for (int i = 0; i < 8; i++) {
		char name[32];

		snprintf(name, sizeof(name), "%s/r%d", dir, i);
		warm(pod, name);
		put(at(pod, B, name), "");
	}
}

static inline bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static inline void expect_equal(struct stat a, struct stat b)
{
	assert_int_equal(a.st_mode, b.st_mode);
	assert_int_equal(a.st_uid, b.st_uid);
	assert_int_equal(a.st_size, b.st_size);
	assert_int_equal(a.st_nlink, b.st_nlink);
	assert_int_equal(a.st_blocks, b.st_blocks);
	assert_true(same_time(a.st_mtim, b.st_mtim));
	assert_true(same_time(a.st_ctim, b.st_ctim));
}

/* Both kernels say the same of a file that B has changed. */
static inline void expect_same(const struct pod *pod, const char *name)
{
	expect_equal(stat_of(at(pod, A, name)), stat_of(at(pod, B, name)));
}

static inline void expect_gone(const struct pod *pod, int host, const char *name)
{
	struct stat st;

	expect_error(stat(at(pod, host, name), &st), ENOENT);
}

/* What A has never looked at it has no lease of. */
static inline void new_names(struct pod *pod)
{
	assert_int_equal(mkdir(at(pod, B, "d"), 0755), 0);
	for (int i = 0; i < 20; i++) {
		char name[32];

		snprintf(name, sizeof(name), "d/f%.*d", i, 0); /* "d/f", "d/f0", "d/f00" ... */
		put(at(pod, B, name), "text");
	}
}

#endif
