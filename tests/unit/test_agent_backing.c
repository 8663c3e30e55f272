/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_backing.c - trees of storage through real mounts: two hosts that can read it, one that cannot.
 *
 * Storage that hangs is a mount of another pool, whose serving process is stopped.
 */
#include <pthread.h>

#include "agent_storage.h"
#include "daxfs/inspect.h"
#include "node-agent/storage.h"

#define READERS 4 /* of it on each host */

/* -- names ---------------------------------------------------------------------------------- */

static void test_names(void **state)
{
	struct tree *t = *state;
	struct stat st, want;
	char target[16] = "";

	if (!pod_possible())
		skip();
	put(in(t, "f"), "of storage");
	assert_int_equal(mkdir(in(t, "d"), 0750), 0);
	put(in(t, "d/g"), "deep");
	assert_int_equal(symlink("d/g", in(t, "l")), 0);
	assert_int_equal(mkfifo(in(t, "p"), 0600), 0);
	expect_text(at(&t->pod, A, "data/f"), "of storage");
	expect_text(at(&t->pod, B, "data/l"), "deep");
	expect_error(access(at(&t->pod, A, "data/p"), F_OK), ENOENT); /* what it is not for */
	expect_error(access(at(&t->pod, A, "data/none"), F_OK), ENOENT);
	assert_int_equal(readlink(at(&t->pod, A, "data/l"), target, sizeof(target)), 3);
	assert_int_equal(stat(at(&t->pod, A, "data/d"), &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0750);
	assert_int_equal(stat(in(t, "f"), &want), 0);
	assert_int_equal(stat(at(&t->pod, A, "data/f"), &st), 0);
	assert_true(st.st_mode == want.st_mode && st.st_size == want.st_size && st.st_uid == want.st_uid &&
		    st.st_mtim.tv_sec == want.st_mtim.tv_sec && st.st_mtim.tv_nsec == want.st_mtim.tv_nsec);
	/* The host without it reads what was read. */
	expect_text(at(&t->pod, C, "data/f"), "of storage");
	expect_text(at(&t->pod, C, "data/d/g"), "deep");
	/* Nobody changes it through the pool. */
	expect_error(open(at(&t->pod, A, "data/f"), O_RDWR), EROFS);
	expect_error(open(at(&t->pod, C, "data/f"), O_WRONLY), EROFS);
	expect_error(open(at(&t->pod, C, "data/new"), O_WRONLY | O_CREAT, 0600), EROFS);
	expect_error(mkdir(at(&t->pod, A, "data/new"), 0700), EROFS);
	expect_error(unlink(at(&t->pod, A, "data/f")), EROFS);
	expect_error(rename(at(&t->pod, A, "data/f"), at(&t->pod, A, "data/g")), EROFS);
	expect_error(symlink("f", at(&t->pod, A, "data/g")), EROFS);
	expect_error(rename(at(&t->pod, A, "data/f"), at(&t->pod, A, "f")), EXDEV);
	expect_error(truncate(at(&t->pod, A, "data/f"), 0), EROFS);
	expect_error(chmod(at(&t->pod, A, "data/f"), 0), EROFS);
}

static int count_names(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

static void test_changed_behind_our_back(void **state)
{
	struct tree *t = *state;
	char byte;
	int fd;

	if (!pod_possible())
		skip();
	assert_int_equal(mkdir(in(t, "c"), 0755), 0);
	put(in(t, "c/a"), "first");
	put(in(t, "c/b"), "second");
	expect_text(at(&t->pod, A, "data/c/a"), "first");
	expect_text(at(&t->pod, B, "data/c/a"), "first");
	assert_int_equal(count_names(at(&t->pod, A, "data/c")), 2);
	put(in(t, "c/a"), "changed"); /* its inode is the same */
	expect_text(at(&t->pod, B, "data/c/a"), "changed");
	expect_text(at(&t->pod, C, "data/c/a"), "changed");
	put(in(t, "c/new"), "another"); /* replaced */
	assert_int_equal(rename(in(t, "c/new"), in(t, "c/a")), 0);
	expect_text(at(&t->pod, A, "data/c/a"), "another");
	assert_int_equal(unlink(in(t, "c/b")), 0);
	expect_error(open(at(&t->pod, B, "data/c/b"), O_RDONLY), ENOENT);
	expect_error(access(at(&t->pod, C, "data/c/b"), F_OK), ENOENT);
	put(in(t, "c/x"), "x");
	put(in(t, "c/y"), "y");
	assert_int_equal(count_names(at(&t->pod, B, "data/c")), 3);
	assert_int_equal(unlink(in(t, "c/x")), 0);
	assert_int_equal(count_names(at(&t->pod, B, "data/c")), 2);
	assert_int_equal(count_names(at(&t->pod, C, "data/c")), 2);
	/* A directory in place of a file, with something in it, and back. */
	assert_int_equal(unlink(in(t, "c/y")), 0);
	assert_int_equal(mkdir(in(t, "c/y"), 0755), 0);
	put(in(t, "c/y/z"), "below");
	expect_text(at(&t->pod, A, "data/c/y/z"), "below");
	remove_tree(in(t, "c/y"));
	put(in(t, "c/y"), "file");
	expect_text(at(&t->pod, A, "data/c/y"), "file");
	/* What is not in the pool, of a file that shrinks, or goes, while it is open. */
	put_bytes(in(t, "c/big"), t->bytes, BIG);
	fd = open(at(&t->pod, A, "data/c/big"), O_RDONLY);
	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	assert_int_equal(truncate(in(t, "c/big"), 4096), 0);
	expect_error((int)pread(fd, &byte, 1, BIG - 1), ESTALE);
	assert_int_equal(unlink(in(t, "c/big")), 0);
	expect_error((int)pread(fd, &byte, 1, BIG - 1), ESTALE);
	assert_int_equal(pread(fd, &byte, 1, 1), 1); /* what is, stays */
	assert_int_equal(byte, t->bytes[1]);
	close(fd);
}

/* -- bytes ---------------------------------------------------------------------------------- */

struct reader {
	const struct tree *t;
	int host;
	size_t piece;
	bool same;
};

static void *read_big(void *context)
{
	struct reader *r = context;
	uint8_t *buf = malloc(BIG);
	int fd = open(at(&r->t->pod, r->host, "data/big"), O_RDONLY);
	size_t done = 0;
	ssize_t n = 1;

	while (fd >= 0 && n > 0 && done < BIG) {
		n = pread(fd, buf + done, r->piece < BIG - done ? r->piece : BIG - done, (off_t)done);
		done += n > 0 ? (size_t)n : 0;
	}
	r->same = done == BIG && memcmp(buf, r->t->bytes, BIG) == 0;
	close(fd);
	free(buf);
	return NULL;
}

static void test_read_once(void **state)
{
	struct tree *t = *state;
	struct reader r[3 * READERS];
	pthread_t thread[3 * READERS];
	struct daxfs_cache_stats now;
	uint64_t filled = 0, reads = 0;

	if (!pod_possible())
		skip();
	put_bytes(in(t, "big"), t->bytes, BIG);
	for (int i = 0; i < 2 * READERS; i++) {
		r[i] = (struct reader){ t, i % 2, i % 4 < 2 ? 4096u * 32 : 10000, false };
		assert_int_equal(pthread_create(&thread[i], NULL, read_big, &r[i]), 0);
	}
	for (int i = 0; i < 2 * READERS; i++) {
		pthread_join(thread[i], NULL);
		assert_true(r[i].same);
	}
	r[0] = (struct reader){ t, C, 65536, false }; /* which has no storage */
	read_big(&r[0]);
	assert_true(r[0].same);
	alarm(HANG_S);
	do { /* told with the next heartbeat */
		usleep(MISSING_MS * 1000);
		filled = reads = 0;
		for (int i = 0; i < 2; i++) {
			now = stats_of(t, i);
			filled += now.filled;
			reads += now.reads;
		}
	} while (filled < BIG / 4096);
	alarm(0);
	print_message("%u pages of one file, %d readers: %llu were read, %llu filled\n", BIG / 4096, 2 * READERS + 1,
		      (unsigned long long)reads, (unsigned long long)filled);
	assert_int_equal(filled, BIG / 4096); /* whoever read past a slow one has not filled */
	assert_int_equal(stats_of(t, C).reads, 0);
}

/* A host without the storage, of what is not cached; and one whose storage is not there. */
static void test_without(void **state)
{
	struct tree *t = *state;
	const char *wrong[] = { "data=/proc" };
	struct reader r = { t, C, 65536, false };
	uint8_t byte;
	int fd;

	if (!pod_possible())
		skip();
	put_bytes(in(t, "cold"), t->bytes, BIG);
	put_bytes(in(t, "big"), t->bytes, BIG); /* anew */
	assert_int_equal(access(at(&t->pod, A, "data/cold"), F_OK), 0);
	assert_int_equal(access(at(&t->pod, A, "data/big"), F_OK), 0);
	/* It asks a host that has it. */
	read_big(&r);
	assert_true(r.same);
	assert_int_equal(stats_of(t, C).reads, 0);
	expect_error(access(at(&t->pod, C, "data/never"), F_OK), ENOENT);
	assert_int_equal(pod_stop(&t->pod, C, SIGTERM), AGENT_EXIT_OK);
	start(t, C, wrong, 1); /* not the directory that it was added with */
	wait_log(t, C, "(not mounted?)");
	fd = open(at(&t->pod, C, "data/cold"), O_RDONLY);
	assert_int_equal(pread(fd, &byte, 1, BIG / 2), 1);
	assert_int_equal(byte, t->bytes[BIG / 2]);
	close(fd);
	expect_text(at(&t->pod, C, "data/f"), "of storage");
}

/* Of what is cached in part nobody gets a short answer: programs take that for the end. */
static void test_cached_in_part(void **state)
{
	struct tree *t = *state;
	uint8_t two[8192];
	int fd, other;

	if (!pod_possible())
		skip();
	put_bytes(in(t, "part"), t->bytes, BIG);
	fd = open(at(&t->pod, A, "data/part"), O_RDONLY);
	other = open(at(&t->pod, C, "data/part"), O_RDONLY);
	assert_int_equal(pread(fd, two, 1, 0), 1); /* and what follows it, up to page 8 */
	assert_int_equal(pread(other, two, 4096, 7 * 4096), 4096);
	assert_int_equal(pread(fd, two, sizeof(two), 7 * 4096), sizeof(two));
	assert_memory_equal(two, t->bytes + 7 * 4096, sizeof(two));
	close(fd);
	close(other);
}

/* -- what a pool says is input ------------------------------------------------------------------ */

/* Another host makes of a link in storage a directory, with a file of the place where the link leads. */
static void test_beneath(void **state)
{
	struct tree *t = *state;
	struct daxfs_error err = { .text = "" };
	struct daxfs_attr attr = { .mode = S_IFDIR | 0755 }, data, dir, file;
	struct daxfs *fs;
	struct stat st;
	char buf[16];

	if (!pod_possible())
		skip();
	put(below(t->other, "secret"), "secret");
	assert_int_equal(symlink(t->other, in(t, "escape")), 0);
	assert_int_equal(stat(below(t->other, "secret"), &st), 0);
	assert_int_equal(daxfs_open(t->pod.pool, DAXFS_READ_WRITE, &fs, &err), 0);
	assert_int_equal(daxfs_join(fs, 3, "evil", &err), 0);
	assert_int_equal(daxfs_lookup(fs, DAXFS_ROOT, "data", &data), 0);
	assert_int_equal(daxfs_import(fs, data.ino, "escape", &attr, 0, 1, &dir), 0);
	attr = (struct daxfs_attr){ .mode = S_IFREG | 0644, .size = 6, .mtime = st.st_mtim, .ctime = st.st_ctim };
	assert_int_equal(daxfs_import(fs, dir.ino, "secret", &attr, 0, st.st_ino, &file), 0);
	/* By its path it is gone as soon as somebody looks, or asks; so who does neither goes first. */
	assert_int_equal(daxfs_read(fs, file.ino, buf, 6, 0), -ESTALE); /* a host that has the storage says so */
	expect_error(open(at(&t->pod, C, "data/escape/secret"), O_RDONLY), ENOENT);
	expect_error(open(at(&t->pod, A, "data/escape/secret/"), O_RDONLY), ENOTDIR); /* now it is the link */
	assert_int_equal(readlink(at(&t->pod, A, "data/escape"), buf, sizeof(buf)), sizeof(buf));
	assert_int_equal(daxfs_read(fs, file.ino, buf, 6, 0), -ESTALE);
	assert_int_equal(daxfs_leave(fs), 0);
	daxfs_close(fs);
}

static int no_names(void *context, const char *name)
{
	(void)name;
	return ++*(int *)context;
}

/* The same one layer below: whatever path is asked for, nothing above or beside the directory is looked at. */
static void test_paths(void **state)
{
	static const char *const out[] = { "escape/secret", "../other/secret", "/etc/passwd", "d/../../other/secret" };
	struct tree *t = *state;
	struct storage_entry entry, secret;
	char buf[64];
	int root, other, names = 0;

	if (!pod_possible())
		skip();
	assert_int_equal(storage_open(t->storage, &root, &entry), 0);
	assert_int_equal(storage_open(t->other, &other, &entry), 0);
	assert_int_equal(storage_look(other, "secret", &secret), 0);
	for (unsigned i = 0; i < sizeof(out) / sizeof(out[0]); i++) {
		assert_true(storage_look(root, out[i], &entry) < 0);
		assert_true(storage_read(root, out[i], buf, 6, 0, &entry) < 0);
		assert_true(storage_readlink(root, out[i], buf, sizeof(buf)) < 0);
		assert_true(storage_list(root, out[i], no_names, &names) < 0);
	}
	assert_true(storage_list(root, "escape", no_names, &names) < 0);
	assert_int_equal(names, 0);
	assert_int_equal(storage_look(root, "escape", &entry), 0); /* the link itself is there */
	assert_int_equal(storage_read(other, "secret", buf, 6, 0, &secret), 6);
	close(root);
	close(other);
}

/* -- storage that hangs, and that fails ------------------------------------------------------------ */

struct slow {
	const struct tree *t;
	atomic_bool done;
	ssize_t n;
	char byte;
};

static void *read_slow(void *context)
{
	struct slow *s = context;
	int fd = open(at(&s->t->pod, B, "slow/cold"), O_RDONLY);

	s->n = pread(fd, &s->byte, 1, BIG / 2);
	if (s->n < 0)
		s->n = -errno;
	close(fd);
	atomic_store(&s->done, true);
	return NULL;
}

static void *open_warm(void *context)
{
	struct slow *s = context;
	int fd = open(at(&s->t->pod, B, "slow/warm"), O_RDONLY);

	s->n = pread(fd, &s->byte, 1, 4097);
	close(fd);
	atomic_store(&s->done, true);
	return NULL;
}

#define OPENERS 60u

/* What the pool has is opened as it is once storage has been silent for long: one that came before waits for it. */
static void open_what_is_there(const struct tree *t, pthread_t opener[OPENERS], struct slow *of, unsigned *n)
{
	bool opened = false;

	for (*n = 0; !opened; ++*n) {
		assert_true(*n < OPENERS);
		of[*n] = (struct slow){ .t = t };
		assert_int_equal(pthread_create(&opener[*n], NULL, open_warm, &of[*n]), 0);
		for (unsigned ms = 0; !opened && ms < BACKING_SLOW_MS / 2; ms++) {
			usleep(1000);
			opened = atomic_load(&of[*n].done);
		}
	}
}

/* For as long as DAXFS_HANG_S says, in seconds: what is cached of the storage that hangs, another storage, and the
 * pool, read by B; the longest that one of them took is printed. */
static void read_beside(const struct tree *t, int warm)
{
	const char *seconds = getenv("DAXFS_HANG_S");
	time_t until = time(NULL) + (seconds ? atoi(seconds) : 0);
	double longest = 0, took;
	unsigned rounds = 0;
	char byte;

	do {
		struct timespec begin, end;

		clock_gettime(CLOCK_MONOTONIC, &begin);
		assert_int_equal(pread(warm, &byte, 1, 4096), 1);
		assert_int_equal(byte, t->bytes[4096]);
		expect_text(at(&t->pod, B, "data/beside"), "beside");
		expect_text(at(&t->pod, B, "own"), "own");
		clock_gettime(CLOCK_MONOTONIC, &end);
		took = 1e3 * (double)(end.tv_sec - begin.tv_sec) + 1e-6 * (double)(end.tv_nsec - begin.tv_nsec);
		longest = took > longest ? took : longest;
		rounds++;
	} while (time(NULL) < until);
	print_message("%u rounds beside storage that hangs, the longest took %.1f ms\n", rounds, longest);
}

static void test_storage_hangs(void **state)
{
	static struct slow of[OPENERS];
	pthread_t opener[OPENERS];
	unsigned openers;
	struct tree *t = *state;
	const char *backing[] = { "data", "slow" };
	struct pod far;
	struct slow s = { .t = t };
	pthread_t thread;
	char byte;
	int fd;

	if (!pod_possible())
		skip();
	pod_make(&far);
	pod_start(&far, A);
	put_bytes(at(&far, A, "warm"), t->bytes, 8192);
	put_bytes(at(&far, A, "cold"), t->bytes, BIG);
	add_backing(t, "slow", far.mount[A], 1, 0);
	assert_int_equal(pod_stop(&t->pod, B, SIGTERM), AGENT_EXIT_OK);
	start(t, B, backing, 2);
	wait_log(t, B, "backing data: reading");
	wait_log(t, B, "backing slow: reading");
	fd = open(at(&t->pod, B, "slow/warm"), O_RDONLY);
	assert_int_equal(pread(fd, &byte, 1, 4096), 1);
	assert_int_equal(access(at(&t->pod, B, "slow/cold"), F_OK), 0);
	pod_freeze(pod_server(&far, A));
	assert_int_equal(pthread_create(&thread, NULL, read_slow, &s), 0);
	/* Readers of what is cached, of other storage and of the pool do not notice. */
	assert_int_equal(pread(fd, &byte, 1, 4096), 1);
	assert_int_equal(byte, t->bytes[4096]);
	put(in(t, "beside"), "beside");
	expect_text(at(&t->pod, B, "data/beside"), "beside");
	put(at(&t->pod, B, "own"), "own");
	expect_text(at(&t->pod, B, "own"), "own");
	open_what_is_there(t, opener, of, &openers);
	expect_text(at(&t->pod, C, "own"), "own");
	read_beside(t, fd);
	close(fd);
	if (atomic_load(&s.done))
		fail_msg("what storage does not give was read: %zd", s.n);
	assert_int_equal(kill(pod_server(&far, A), SIGCONT), 0);
	pthread_join(thread, NULL);
	for (unsigned i = 0; i < openers; i++) {
		pthread_join(opener[i], NULL);
		assert_int_equal(of[i].n, 1);
	}
	assert_int_equal(s.n, 1);
	assert_int_equal((uint8_t)s.byte, t->bytes[BIG / 2]);
	/* It fails for good: that is told, and not kept. */
	fd = open(at(&t->pod, B, "slow/cold"), O_RDONLY);
	assert_int_equal(pod_stop(&far, A, SIGKILL), -SIGKILL);
	assert_int_equal(pread(fd, &byte, 1, 0), -1);
	assert_true(errno == ENOTCONN || errno == ECONNABORTED || errno == EIO);
	assert_int_equal(pread(fd, &byte, 1, BIG / 2), 1); /* cached */
	assert_int_equal((uint8_t)byte, t->bytes[BIG / 2]);
	close(fd);
	pod_destroy(&far);
}

/* The process that fills dies; another host, and the next process of this one, read on. */
static void test_filler_dies(void **state)
{
	struct tree *t = *state;
	struct reader r = { t, B, 4096, false };
	pthread_t thread;
	pid_t server;

	if (!pod_possible())
		skip();
	put_bytes(in(t, "big"), t->bytes, BIG); /* anew */
	assert_int_equal(access(at(&t->pod, A, "data/big"), F_OK), 0);
	assert_int_equal(pthread_create(&thread, NULL, read_big, &r), 0);
	server = pod_server(&t->pod, B);
	usleep(20000);
	kill(server, SIGKILL);
	r.host = A;
	read_big(&r);
	assert_true(r.same);
	pthread_join(thread, NULL);
	/* B is served on, and by its own storage, once its keeper has found it again. */
	r = (struct reader){ t, B, 65536, false };
	read_big(&r);
	assert_true(r.same);
}

static void test_stop(void **state)
{
	struct tree *t = *state;

	char byte;
	int fd;

	if (!pod_possible())
		skip();
	put_bytes(in(t, "last"), t->bytes, BIG);
	assert_int_equal(access(at(&t->pod, A, "data/last"), F_OK), 0);
	fd = open(at(&t->pod, C, "data/last"), O_RDONLY);
	for (int i = A; i <= B; i++)
		assert_int_equal(pod_stop(&t->pod, i, SIGTERM), AGENT_EXIT_OK);
	expect_error((int)pread(fd, &byte, 1, 0), ENXIO); /* nobody is there who has the storage */
	close(fd);
	pod_leave_clean(&t->pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_once), /* first: nothing has been counted */
		cmocka_unit_test(test_names),          cmocka_unit_test(test_changed_behind_our_back),
		cmocka_unit_test(test_cached_in_part), cmocka_unit_test(test_without),
		cmocka_unit_test(test_beneath),        cmocka_unit_test(test_paths),
		cmocka_unit_test(test_storage_hangs),  cmocka_unit_test(test_filler_dies),
		cmocka_unit_test(test_stop),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
