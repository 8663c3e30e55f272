/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zombie.c - does a process that was stopped, and goes on after its host was declared dead, store anything?
 *
 *	zombie [--tries N] [--seed N]
 *
 * Each try: a process of its own joins a pool and works there, writes, creates, renames, removes. It is stopped in one
 * of two ways,
 *	anywhere    by SIGSTOP at a random moment; three threads work
 *	after look  by a watchpoint of the processor on its host's word: behind the load of that word, so between a
 *	            look that found the host alive and what is stored because of it; one thread works
 * then its host is revoked as fabricd does it (FENCING), the pool is copied, and the process goes on. It ends when it
 * is told that its host is revoked, after it has also beaten, left and closed the pool. No byte of the pool
 * may differ from the copy then.
 *
 * The same is done once more by a process in which the C library has registered no restartable sequences (glibc's
 * tunable), so that stores are not checked (mem/rseq.h). That is to be noticed in nine of ten tries after a look, or
 * the test could not fail.
 *
 * Exit status: 0 right, 1 not, 77 there are no restartable sequences here, or no watchpoints, 2 cannot work.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daxfs/member.h"
#include "fs/fs.h"

#if defined(__x86_64__)

#include <sys/ptrace.h>
#include <sys/user.h>

#define HOST 1u
#define THREADS 3u
#define POOL_BYTES (4ull << 20)
#define WRITE_MAX 150000u    /* more than half a write that goes around the caches */
#define RUN_US_MAX 3000u     /* before it is stopped */
#define WATCH_WORD 0xb0001ul /* debug register 7: the first address, 8 bytes, loads and stores */
#define TUNABLE "glibc.pthread.rseq=0"

enum way { ANYWHERE, AFTER_LOOK, WAYS };

static const char *const way_name[WAYS] = { "anywhere", "after look" };

/* what the process that works tells the one that watches it */
struct told {
	int ready;        /* it works */
	const void *word; /* of its host, in its memory */
	int checked;      /* its stores are */
};

struct zombie {
	char path[64];
	uint8_t *pool, *fresh, *copy;
	struct daxfs_member *member;
	struct told *told;
	unsigned seed;
};

struct worker {
	struct daxfs *fs;
	unsigned id, seed;
	uint8_t bytes[WRITE_MAX];
	pthread_t thread;
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "zombie: %s: %s\n", what, why);
	exit(2);
}

/* -- the one that works ------------------------------------------------------------ */

/* One file is made, written, cut, moved and removed: -ESTALE once the host is revoked. */
static int work_once(struct worker *w)
{
	const struct daxfs_cred root = { .uid = 0 };
	struct daxfs_attr attr, cut = { .size = rand_r(&w->seed) % 20000u };
	size_t len = 1 + (size_t)rand_r(&w->seed) % (rand_r(&w->seed) % 2 ? WRITE_MAX : 5000);
	char name[2][16];
	int rc;

	snprintf(name[0], sizeof(name[0]), "f%u", w->id);
	snprintf(name[1], sizeof(name[1]), "g%u", w->id);
	memset(w->bytes, (int)w->seed, len);
	rc = daxfs_mknod(w->fs, DAXFS_ROOT, name[0], S_IFREG | 0644, 0, root, false, &attr);
	if (rc == 0)
		rc = (int)daxfs_write(w->fs, attr.ino, w->bytes, len, 0, false);
	if (rc > 0)
		rc = (int)daxfs_write(w->fs, attr.ino, w->bytes, 100, (uint64_t)rand_r(&w->seed) % len, false);
	if (rc >= 0)
		rc = daxfs_setattr(w->fs, attr.ino, DAXFS_SET_SIZE, &cut, &attr);
	if (rc == 0)
		rc = (int)daxfs_read(w->fs, attr.ino, w->bytes, 5000, 0);
	if (rc >= 0)
		rc = daxfs_rename(w->fs, DAXFS_ROOT, name[0], DAXFS_ROOT, name[1], 0);
	if (rc == -ENOSPC) /* others that wait for a processor hold back what was freed */
		rc = daxfs_unlink(w->fs, DAXFS_ROOT, name[0]);
	else if (rc == 0)
		rc = daxfs_unlink(w->fs, DAXFS_ROOT, name[1]);
	return rc == -ENOENT ? 0 : rc;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	int rc;

	do
		rc = work_once(w);
	while (rc == 0);
	if (rc != -ESTALE)
		fprintf(stderr, "zombie: thread %u: %s\n", w->id, strerror(-rc));
	return (void *)(intptr_t)rc;
}

/* Nothing of this may store anything, either. */
static int end(struct daxfs *fs)
{
	int beat = daxfs_beat(fs), leave = daxfs_leave(fs);

	daxfs_close(fs);
	return beat == -ESTALE && leave == -ESTALE ? 0 : 3;
}

static int live(const struct zombie *z, enum way way, unsigned seed)
{
	unsigned threads = way == ANYWHERE ? THREADS : 1;
	static struct worker w[THREADS];
	struct daxfs_error err;
	struct daxfs *fs;
	void *rc;
	int bad = 0;

	if (daxfs_open(z->path, DAXFS_READ_WRITE, &fs, &err) || daxfs_join(fs, HOST, "zombie", &err))
		die("cannot join", err.text);
	z->told->word = &fs_pool(fs)->member->host[HOST].word;
	z->told->checked = daxfs_stores_checked(fs);
	for (unsigned i = 0; i < threads; i++)
		w[i].fs = fs, w[i].id = i, w[i].seed = seed + i;
	for (unsigned i = 1; i < threads; i++)
		if (pthread_create(&w[i].thread, NULL, work, &w[i]))
			die("cannot begin", "no threads");
	__atomic_store_n(&z->told->ready, 1, __ATOMIC_RELEASE);
	rc = work(&w[0]);
	bad += (intptr_t)rc != -ESTALE;
	for (unsigned i = 1; i < threads; i++) {
		pthread_join(w[i].thread, &rc);
		bad += (intptr_t)rc != -ESTALE;
	}
	return bad ? 4 : end(fs);
}

/* -- the one that watches ------------------------------------------------------------ */

static void await_stop(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
		die("cannot stop it", "it has ended");
}

/* Stopped right behind its next look at its host's word; false: this machine has no watchpoints. */
static bool stop_after_look(const struct zombie *z, pid_t pid)
{
	const size_t address = offsetof(struct user, u_debugreg[0]), control = offsetof(struct user, u_debugreg[7]);

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) || ptrace(PTRACE_INTERRUPT, pid, NULL, NULL))
		return false;
	await_stop(pid);
	if (ptrace(PTRACE_POKEUSER, pid, address, z->told->word) || ptrace(PTRACE_POKEUSER, pid, control, WATCH_WORD) ||
	    ptrace(PTRACE_CONT, pid, NULL, NULL))
		return false;
	await_stop(pid);
	return ptrace(PTRACE_POKEUSER, pid, control, 0) == 0;
}

static bool stop(const struct zombie *z, pid_t pid, enum way way)
{
	if (way == AFTER_LOOK)
		return stop_after_look(z, pid);
	kill(pid, SIGSTOP);
	await_stop(pid);
	return true;
}

static void go_on(pid_t pid, enum way way)
{
	if (way == AFTER_LOOK)
		ptrace(PTRACE_DETACH, pid, NULL, NULL);
	else
		kill(pid, SIGCONT);
}

static void declare_dead(const struct zombie *z)
{
	struct daxfs_manager_view manager;
	struct daxfs_host_view host;
	uint32_t epoch;

	daxfs_member_manager(z->member, &manager);
	if (daxfs_member_claim(z->member, &manager, &epoch) || daxfs_member_host(z->member, HOST, &host) ||
	    daxfs_member_move(z->member, &host, DAXFS_HOST_FENCING, -1, epoch, DAXFS_REASON_BEAT_LOST, 500))
		die("cannot revoke the host", "its word has moved");
}

/* 1: something was stored; 0; -1: no watchpoints. */
static int try_once(struct zombie *z, enum way way)
{
	unsigned seed = (unsigned)rand_r(&z->seed);
	int status, rc = 0;
	pid_t pid;

	memcpy(z->pool, z->fresh, POOL_BYTES);
	*z->told = (struct told){ 0 };
	pid = fork();
	if (pid == 0)
		_exit(live(z, way, seed));
	while (!__atomic_load_n(&z->told->ready, __ATOMIC_ACQUIRE))
		if (waitpid(pid, &status, WNOHANG) == pid)
			die("cannot work", "it could not begin");
	usleep((unsigned)rand_r(&z->seed) % RUN_US_MAX);
	if (stop(z, pid, way)) {
		declare_dead(z);
		memcpy(z->copy, z->pool, POOL_BYTES);
		go_on(pid, way);
	} else {
		rc = -1;
		kill(pid, SIGKILL);
	}
	if (waitpid(pid, &status, 0) != pid || (rc == 0 && (!WIFEXITED(status) || WEXITSTATUS(status)))) {
		fprintf(stderr, "zombie: seed %u, %s: it ended with status %#x\n", seed, way_name[way],
			(unsigned)status);
		exit(1);
	}
	return rc ? rc : memcmp(z->copy, z->pool, POOL_BYTES) != 0;
}

static void *map(int fd)
{
	void *p = mmap(NULL, POOL_BYTES, PROT_READ | PROT_WRITE, fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, fd,
		       0);

	if (p == MAP_FAILED)
		die("cannot map memory", strerror(errno));
	return p;
}

static void prepare(struct zombie *z)
{
	const struct daxfs_mkfs_options options = {
		.struct_size = sizeof(options), .hosts = 4, .lanes = 4, .opens = 16
	};
	int fd = memfd_create("zombie", 0);
	struct daxfs_error err;

	snprintf(z->path, sizeof(z->path), "/proc/self/fd/%d", fd);
	if (fd < 0 || ftruncate(fd, POOL_BYTES))
		die("cannot make a pool", strerror(errno));
	if (daxfs_mkfs(z->path, &options, &err) || daxfs_member_open(z->path, true, &z->member, &err))
		die("cannot make a pool", err.text);
	z->pool = map(fd);
	z->fresh = map(-1);
	z->copy = map(-1);
	z->told = map(-1);
	memcpy(z->fresh, z->pool, POOL_BYTES);
}

/* Half the tries each way; the figures, and what they say. */
static int run(struct zombie *z, unsigned tries, bool bare)
{
	unsigned stored[WAYS] = { 0 };

	for (unsigned i = 0; i < tries; i++) {
		int rc = try_once(z, i % WAYS);

		if (rc < 0) {
			printf("zombie: this machine has no watchpoints\n");
			return 77;
		}
		if (z->told->checked == bare) {
			printf("zombie: there are no restartable sequences here\n");
			return bare ? 2 : 77;
		}
		stored[i % WAYS] += (unsigned)rc;
	}
	for (enum way way = 0; way < WAYS; way++)
		printf("zombie: stores %s, stopped %s: %u of %u stored something after they were revoked\n",
		       bare ? "unchecked" : "checked", way_name[way], stored[way], (tries + 1 - way) / 2);
	fflush(stdout);
	return bare ? stored[AFTER_LOOK] * 10 < tries / 2 * 9 : stored[ANYWHERE] + stored[AFTER_LOOK] > 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "tries", required_argument, NULL, 't' },
						 { "seed", required_argument, NULL, 's' },
						 { NULL, 0, NULL, 0 } };
	struct zombie z = { .seed = (unsigned)time(NULL) };
	const char *tunables = getenv("GLIBC_TUNABLES");
	bool bare = tunables && !strcmp(tunables, TUNABLE);
	unsigned tries = 100;
	int c, rc;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == '?')
			die("usage", "zombie [--tries N] [--seed N]");
		*(c == 't' ? &tries : &z.seed) = (unsigned)strtoul(optarg, NULL, 10);
	}
	if (!bare)
		printf("zombie: seed %u\n", z.seed);
	prepare(&z);
	rc = run(&z, tries, bare);
	if (rc || bare)
		return rc;
	setenv("GLIBC_TUNABLES", TUNABLE, 1);
	execv("/proc/self/exe", argv);
	die("cannot begin anew", strerror(errno));
}

#else

int main(void)
{
	printf("zombie: stores are checked on x86-64 alone\n");
	return 77;
}

#endif
