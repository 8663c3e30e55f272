/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_files.c - one filesystem through two mounts of two agents: what
 * one host does the other sees at once, through the kernel's eyes.
 */
#include "test_agent_pod.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>

/* -- data ------------------------------------------------------------------------- */

static void test_data_both_ways(void **state)
{
	struct pod *pod = *state;
	size_t size = 3 * 1024 * 1024 + 123;
	uint32_t *out, *in;
	int fa, fb;

	if (!pod_possible())
		skip();
	out = malloc(size + 4);
	in = malloc(size + 4);
	for (size_t i = 0; i <= size / 4; i++)
		out[i] = (uint32_t)(i * 2654435761u);
	fa = open(at(pod, A, "data"), O_RDWR | O_CREAT, 0644);
	fb = open(at(pod, B, "data"), O_RDWR);
	assert_true(fa >= 0 && fb >= 0);
	assert_int_equal(pwrite(fa, out, size, 0), (ssize_t)size);
	assert_int_equal(pread(fb, in, size + 4, 0), (ssize_t)size);
	assert_memory_equal(in, out, size);
	assert_int_equal(pwrite(fb, "middle", 6, 1024 * 1024 - 3), 6);
	assert_int_equal(pread(fa, in, 6, 1024 * 1024 - 3), 6); /* the open file sees it, too */
	assert_memory_equal(in, "middle", 6);
	assert_int_equal(fsync(fa), 0);
	close(fa);
	close(fb);
	free(out);
	free(in);
}

static void test_truncate(void **state)
{
	struct pod *pod = *state;
	struct stat st;
	char byte = 'x';
	int fd;

	if (!pod_possible())
		skip();
	put(at(pod, A, "cut"), "0123456789");
	fd = open(at(pod, B, "cut"), O_RDWR);
	assert_int_equal(truncate(at(pod, A, "cut"), 4), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 4);
	assert_int_equal(ftruncate(fd, 8), 0);
	assert_int_equal(pread(fd, &byte, 1, 6), 1);
	assert_int_equal(byte, 0);  /* not the old '6' */
	put(at(pod, A, "cut"), ""); /* O_TRUNC */
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(lseek(fd, 0, SEEK_END), 0);
	expect_error(ftruncate(fd, (off_t)1 << 50), EFBIG);
	close(fd);
}

static void test_unlinked_but_open(void **state)
{
	struct pod *pod = *state;
	struct stat st;
	char buf[16];
	int fd;

	if (!pod_possible())
		skip();
	fd = open(at(pod, A, "gone"), O_RDWR | O_CREAT, 0600);
	assert_int_equal(write(fd, "still here", 10), 10);
	assert_int_equal(unlink(at(pod, B, "gone")), 0);
	expect_error(access(at(pod, A, "gone"), F_OK), ENOENT);
	assert_int_equal(pread(fd, buf, 16, 0), 10);
	assert_memory_equal(buf, "still here", 10);
	assert_int_equal(pwrite(fd, "and there", 9, 100), 9);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(st.st_size, 109);
	assert_int_equal(close(fd), 0);
}

struct appender {
	const struct pod *pod;
	int host;
};

#define APPENDS 300
#define APPEND_BYTES 100

static void *append_main(void *context)
{
	const struct appender *a = context;
	char line[APPEND_BYTES];
	int fd = open(at(a->pod, a->host, "log"), O_WRONLY | O_APPEND | O_CREAT, 0644);

	memset(line, 'a' + a->host, sizeof(line));
	for (int i = 0; fd >= 0 && i < APPENDS; i++)
		if (write(fd, line, sizeof(line)) != sizeof(line))
			break;
	close(fd);
	return NULL;
}

static void test_appends_never_overlap(void **state)
{
	struct pod *pod = *state;
	struct appender a[2] = { { pod, A }, { pod, B } };
	char line[APPEND_BYTES];
	pthread_t thread[2];
	int fd, count[2] = { 0, 0 };

	if (!pod_possible())
		skip();
	for (int i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, append_main, &a[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	fd = open(at(pod, B, "log"), O_RDONLY);
	while (read(fd, line, sizeof(line)) == sizeof(line)) {
		for (int i = 1; i < APPEND_BYTES; i++)
			assert_int_equal(line[i], line[0]);
		count[line[0] - 'a']++;
	}
	close(fd);
	assert_int_equal(count[A], APPENDS);
	assert_int_equal(count[B], APPENDS);
}

#define WHOLE_BYTES (256 * 1024) /* the longest write that is all or nothing */
#define WHOLE_WRITES 1500
#define WHOLE_PAUSE_NS 500000 /* a range that is overwritten without a pause may be read mixed */

struct whole {
	const struct pod *pod;
	atomic_bool done;
};

static void *whole_main(void *context)
{
	struct whole *w = context;
	int fd = open(at(w->pod, A, "whole"), O_WRONLY);
	char *bytes = malloc(WHOLE_BYTES);

	for (int i = 0; fd >= 0 && i < WHOLE_WRITES; i++) {
		memset(bytes, 'a' + i % 26, WHOLE_BYTES);
		if (pwrite(fd, bytes, WHOLE_BYTES, 0) != WHOLE_BYTES)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = WHOLE_PAUSE_NS }, NULL);
	}
	atomic_store(&w->done, true);
	free(bytes);
	close(fd);
	return NULL;
}

/* Large reads on one host see each large write of another wholly or not at all. */
static void test_large_reads_are_whole(void **state)
{
	struct pod *pod = *state;
	struct whole w = { .pod = pod };
	char *bytes = malloc(WHOLE_BYTES);
	pthread_t thread;
	int fd;

	if (!pod_possible())
		skip();
	fd = open(at(pod, B, "whole"), O_RDWR | O_CREAT, 0600);
	assert_int_equal(ftruncate(fd, WHOLE_BYTES), 0); /* a hole reads as zeros, whole too */
	pthread_create(&thread, NULL, whole_main, &w);
	while (!atomic_load(&w.done)) {
		assert_int_equal(pread(fd, bytes, WHOLE_BYTES, 0), WHOLE_BYTES);
		assert_memory_equal(bytes, bytes + 1, WHOLE_BYTES - 1);
	}
	pthread_join(thread, NULL);
	assert_int_equal(pread(fd, bytes, WHOLE_BYTES, 0), WHOLE_BYTES);
	assert_int_equal(bytes[0], 'a' + (WHOLE_WRITES - 1) % 26);
	free(bytes);
	close(fd);
}

/* -- names ------------------------------------------------------------------------ */

#define RACES 200

struct racer {
	const struct pod *pod;
	int host, flags;
	pthread_barrier_t *start;
	ino_t ino[RACES]; /* 0: it was not us */
	int error;
};

static void *race_main(void *context)
{
	struct racer *r = context;
	struct stat st;
	char name[32];

	for (int i = 0; i < RACES; i++) {
		snprintf(name, sizeof(name), "race%x.%d", r->flags, i);
		pthread_barrier_wait(r->start);
		int fd = open(at(r->pod, r->host, name), r->flags, 0644);

		if (fd < 0 && errno != EEXIST)
			r->error = errno;
		r->ino[i] = fd >= 0 && fstat(fd, &st) == 0 ? st.st_ino : 0;
		/* Whoever made it: each has it open by itself, when the other has closed it and its name is gone. */
		pthread_barrier_wait(r->start);
		if (fd >= 0 && i % 2 == r->host)
			close(fd);
		if (i % 2 == r->host)
			unlink(at(r->pod, r->host, name));
		pthread_barrier_wait(r->start);
		if (fd < 0 || i % 2 == r->host)
			continue;
		if (pwrite(fd, "x", 1, 0) != 1)
			r->error = errno;
		close(fd);
	}
	return NULL;
}

static void race(struct pod *pod, struct racer r[2], int flags)
{
	pthread_barrier_t start;
	pthread_t thread[2];

	pthread_barrier_init(&start, NULL, 2);
	for (int i = 0; i < 2; i++) {
		r[i] = (struct racer){ .pod = pod, .host = i, .flags = flags, .start = &start };
		pthread_create(&thread[i], NULL, race_main, &r[i]);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	pthread_barrier_destroy(&start);
}

static void test_exclusive_create_has_one_winner(void **state)
{
	struct racer r[2];

	if (!pod_possible())
		skip();
	race(*state, r, O_RDWR | O_CREAT | O_EXCL);
	assert_int_equal(r[A].error | r[B].error, 0);
	for (int i = 0; i < RACES; i++)
		assert_int_equal((r[A].ino[i] != 0) + (r[B].ino[i] != 0), 1);
}

static void test_create_race_opens_one_file(void **state)
{
	struct racer r[2];

	if (!pod_possible())
		skip();
	race(*state, r, O_RDWR | O_CREAT | O_TRUNC);
	assert_int_equal(r[A].error | r[B].error, 0);
	for (int i = 0; i < RACES; i++) {
		assert_true(r[A].ino[i] != 0);
		assert_true(r[A].ino[i] == r[B].ino[i]);
	}
}

#define REPLACEMENTS 3000

struct replacer {
	const struct pod *pod;
	atomic_bool stop, done;
};

static void *replace_main(void *context)
{
	struct replacer *r = context;

	for (int i = 0; i < REPLACEMENTS && !atomic_load(&r->stop); i++) {
		close(open(at(r->pod, B, "fresh"), O_WRONLY | O_CREAT, 0644));
		rename(at(r->pod, B, "fresh"), at(r->pod, B, "current"));
		symlink("current", at(r->pod, B, "newlink"));
		rename(at(r->pod, B, "newlink"), at(r->pod, B, "link"));
	}
	atomic_store(&r->done, true);
	return NULL;
}

/* Use the replaced names in every way; NULL or what failed. */
static const char *use_names(const struct pod *pod)
{
	char target[16];
	struct stat st;
	int fd;

	fd = open(at(pod, A, "link"), O_RDONLY);
	if (fd < 0)
		return "open";
	close(fd);
	fd = open(at(pod, A, "current"), O_RDWR | O_CREAT, 0644);
	if (fd < 0)
		return "open to write";
	close(fd);
	if (stat(at(pod, A, "current"), &st) != 0)
		return "stat";
	if (readlink(at(pod, A, "link"), target, sizeof(target)) != 7)
		return "readlink";
	return NULL;
}

/* A name that is replaced on one host is there all the time on the other. */
static void test_replaced_name_is_always_there(void **state)
{
	struct replacer r = { .pod = *state };
	const char *failed = NULL;
	pthread_t thread;
	int error = 0, used = 0;

	if (!pod_possible())
		skip();
	put(at(r.pod, B, "current"), "fresh");
	assert_int_equal(symlink("current", at(r.pod, B, "link")), 0);
	assert_int_equal(pthread_create(&thread, NULL, replace_main, &r), 0);
	while (!failed && !atomic_load(&r.done)) {
		failed = use_names(r.pod);
		error = errno;
		used++;
	}
	atomic_store(&r.stop, true);
	pthread_join(thread, NULL);
	if (failed)
		fail_msg("%s, round %d: %s", failed, used, strerror(error));
	assert_true(used > 10);
}

static void test_rename(void **state)
{
	struct pod *pod = *state;

	if (!pod_possible())
		skip();
	put(at(pod, A, "r1"), "one");
	put(at(pod, A, "r2"), "two");
	expect_error(renameat2(AT_FDCWD, at(pod, B, "r1"), AT_FDCWD, at(pod, B, "r2"), RENAME_NOREPLACE), EEXIST);
	assert_int_equal(renameat2(AT_FDCWD, at(pod, B, "r1"), AT_FDCWD, at(pod, B, "r2"), RENAME_EXCHANGE), 0);
	expect_text(at(pod, A, "r1"), "two");
	expect_text(at(pod, A, "r2"), "one");
	expect_error(renameat2(AT_FDCWD, at(pod, B, "r1"), AT_FDCWD, at(pod, B, "r3"), RENAME_WHITEOUT), EINVAL);
	assert_int_equal(rename(at(pod, B, "r1"), at(pod, B, "r2")), 0);
	expect_text(at(pod, A, "r2"), "two");
	expect_error(access(at(pod, A, "r1"), F_OK), ENOENT);
	assert_int_equal(mkdir(at(pod, A, "rd"), 0755), 0);
	assert_int_equal(rename(at(pod, B, "r2"), at(pod, B, "rd/r2")), 0);
	expect_text(at(pod, A, "rd/r2"), "two");
	expect_error(rename(at(pod, A, "rd"), at(pod, A, "rd/below")), EINVAL);
	expect_error(rmdir(at(pod, B, "rd")), ENOTEMPTY);
	assert_int_equal(unlink(at(pod, A, "rd/r2")), 0);
	assert_int_equal(rmdir(at(pod, B, "rd")), 0);
	expect_error(mkdir(at(pod, A, "rd/late"), 0755), ENOENT);
}

static void test_links(void **state)
{
	struct pod *pod = *state;
	struct stat one, two;
	char target[64];
	ssize_t n;

	if (!pod_possible())
		skip();
	put(at(pod, A, "l1"), "linked");
	assert_int_equal(link(at(pod, A, "l1"), at(pod, A, "l2")), 0);
	assert_int_equal(stat(at(pod, A, "l1"), &one), 0);
	assert_int_equal(stat(at(pod, B, "l2"), &two), 0);
	assert_true(one.st_ino == two.st_ino);
	assert_int_equal(two.st_nlink, 2);
	assert_int_equal(unlink(at(pod, B, "l1")), 0);
	assert_int_equal(stat(at(pod, A, "l2"), &one), 0);
	assert_int_equal(one.st_nlink, 1);
	expect_error(link(at(pod, A, "l2"), at(pod, A, "l2")), EEXIST);
	assert_int_equal(symlink("l2", at(pod, A, "s")), 0);
	n = readlink(at(pod, B, "s"), target, sizeof(target));
	assert_int_equal(n, 2);
	expect_text(at(pod, B, "s"), "linked");
	assert_int_equal(mknod(at(pod, A, "fifo"), S_IFIFO | 0600, 0), 0);
	assert_int_equal(stat(at(pod, B, "fifo"), &one), 0);
	assert_true(S_ISFIFO(one.st_mode));
	assert_int_equal(mknod(at(pod, A, "dev"), S_IFBLK | 0600, (dev_t)0x12345), 0);
	assert_int_equal(stat(at(pod, B, "dev"), &one), 0);
	assert_true(one.st_rdev == 0x12345);
}

#define ENTRIES 700

/* Entries that are there all the time are seen once, whatever goes meanwhile. */
static void test_listing(void **state)
{
	struct pod *pod = *state;
	unsigned char seen[ENTRIES] = { 0 };
	struct dirent *entry;
	char name[32];
	int dots = 0, n, count = 0;
	DIR *dir;

	if (!pod_possible())
		skip();
	assert_int_equal(mkdir(at(pod, A, "list"), 0755), 0);
	for (int i = 0; i < ENTRIES; i++) {
		snprintf(name, sizeof(name), "list/entry.%d", i);
		assert_int_equal(mknod(at(pod, A, name), S_IFREG | 0644, 0), 0);
	}
	dir = opendir(at(pod, B, "list"));
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.') {
			dots++;
			continue;
		}
		assert_int_equal(sscanf(entry->d_name, "entry.%d", &n), 1);
		assert_int_equal(seen[n]++, 0);
		assert_int_equal(entry->d_type, DT_REG);
		if (++count % 2 == 0) { /* what was listed goes, on the other host */
			snprintf(name, sizeof(name), "list/entry.%d", n);
			assert_int_equal(unlink(at(pod, A, name)), 0);
		}
	}
	closedir(dir);
	assert_int_equal(dots, 2);
	assert_int_equal(count, ENTRIES);
}

static void test_removed_directory_is_empty(void **state)
{
	struct pod *pod = *state;
	DIR *dir;

	if (!pod_possible())
		skip();
	assert_int_equal(mkdir(at(pod, A, "brief"), 0755), 0);
	dir = opendir(at(pod, A, "brief"));
	assert_int_equal(rmdir(at(pod, B, "brief")), 0);
	errno = 0;
	assert_null(readdir(dir));
	assert_int_equal(errno, 0);
	closedir(dir);
}

/* -- attributes and permissions ----------------------------------------------------- */

static void test_attributes(void **state)
{
	struct timespec times[2] = { { .tv_sec = 1000000000, .tv_nsec = 123456789 }, { .tv_sec = -5 } };
	struct pod *pod = *state;
	struct statvfs fs;
	struct stat st;

	if (!pod_possible())
		skip();
	put(at(pod, A, "attr"), "1234");
	assert_int_equal(chmod(at(pod, A, "attr"), 04751), 0);
	assert_int_equal(utimensat(AT_FDCWD, at(pod, A, "attr"), times, 0), 0);
	assert_int_equal(stat(at(pod, B, "attr"), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 04751);
	assert_int_equal(st.st_atim.tv_sec, 1000000000);
	assert_int_equal(st.st_atim.tv_nsec, 123456789);
	assert_int_equal(st.st_mtim.tv_sec, -5);
	assert_int_equal(st.st_blksize, 4096);
	assert_int_equal(st.st_blocks, 8);
	assert_int_equal(chown(at(pod, A, "attr"), 1234, 4321), 0);
	assert_int_equal(stat(at(pod, B, "attr"), &st), 0);
	assert_int_equal(st.st_uid, 1234);
	assert_int_equal(st.st_gid, 4321);
	assert_int_equal(statvfs(at(pod, B, ""), &fs), 0);
	assert_true(fs.f_bfree > 0 && fs.f_bfree < fs.f_blocks);
	assert_true(fs.f_blocks * fs.f_frsize <= POD_BYTES);
	assert_int_equal(fs.f_namemax, 255);
}

static void test_setgid_directory(void **state)
{
	struct pod *pod = *state;
	struct stat st;

	if (!pod_possible())
		skip();
	assert_int_equal(mkdir(at(pod, A, "team"), 0755), 0);
	assert_int_equal(chown(at(pod, A, "team"), 0, 77), 0);
	assert_int_equal(chmod(at(pod, A, "team"), 02775), 0);
	put(at(pod, B, "team/file"), "");
	assert_int_equal(stat(at(pod, B, "team/file"), &st), 0);
	assert_int_equal(st.st_gid, 77);
	assert_int_equal(mkdir(at(pod, B, "team/sub"), 0755), 0);
	assert_int_equal(stat(at(pod, B, "team/sub"), &st), 0);
	assert_int_equal(st.st_gid, 77);
	assert_true(st.st_mode & S_ISGID);
}

/* What a user may do; runs as one. Returns which check failed, 0: none. */
static int as_user(const struct pod *pod)
{
	struct stat st;
	int fd;

	if (setgid(1000) != 0 || setuid(1000) != 0)
		return 1;
	if (open(at(pod, A, "secret"), O_RDONLY) >= 0 || errno != EACCES)
		return 2;
	if (chmod(at(pod, A, "secret"), 0777) == 0 || errno != EPERM)
		return 3;
	if (unlink(at(pod, A, "secret")) == 0 || errno != EACCES)
		return 4;
	fd = open(at(pod, A, "suid"), O_WRONLY);
	if (fd < 0 || write(fd, "x", 1) != 1)
		return 5;
	if (stat(at(pod, A, "suid"), &st) != 0 || (st.st_mode & S_ISUID))
		return 6;
	return 0;
}

static void test_permissions(void **state)
{
	struct pod *pod = *state;
	pid_t pid;

	if (!pod_possible())
		skip();
	put(at(pod, B, "secret"), "mine");
	put(at(pod, B, "suid"), "anyone's");
	assert_int_equal(chmod(at(pod, B, "secret"), 0600), 0);
	assert_int_equal(chmod(at(pod, B, "suid"), 04777), 0);
	assert_int_equal(chmod(pod->dir, 0755), 0);
	pid = fork();
	if (pid == 0)
		_exit(as_user(pod));
	assert_int_equal(pod_reap(pid), 0);
}

static void test_refusals(void **state)
{
	struct pod *pod = *state;
	char name[258], xattr[8];
	int fd;

	if (!pod_possible())
		skip();
	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	expect_error(open(at(pod, A, name), O_RDWR | O_CREAT, 0644), ENAMETOOLONG);
	name[255] = '\0';
	put(at(pod, A, name), "longest");
	expect_text(at(pod, B, name), "longest");
	expect_error(open(at(pod, A, "none"), O_RDONLY), ENOENT);
	expect_error(open(at(pod, A, ""), O_RDWR), EISDIR);
	expect_error(rmdir(at(pod, A, name)), ENOTDIR);
	expect_error((int)getxattr(at(pod, A, name), "system.posix_acl_access", xattr, sizeof(xattr)), EOPNOTSUPP);
	expect_error((int)getxattr(at(pod, A, name), "security.capability", xattr, sizeof(xattr)), ENODATA);
	expect_error((int)getxattr(at(pod, A, name), "security.selinux", xattr, sizeof(xattr)), EOPNOTSUPP);
	assert_int_equal(setxattr(at(pod, B, name), "security.selinux", "label", 5, 0), 0);
	assert_int_equal(getxattr(at(pod, A, name), "security.selinux", xattr, sizeof(xattr)), 5);
	fd = open(at(pod, A, name), O_RDWR);
	expect_error((int)pwrite(fd, "x", 1, (off_t)1 << 50), EFBIG);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pod_start_both),
		cmocka_unit_test(test_data_both_ways),
		cmocka_unit_test(test_truncate),
		cmocka_unit_test(test_unlinked_but_open),
		cmocka_unit_test(test_appends_never_overlap),
		cmocka_unit_test(test_large_reads_are_whole),
		cmocka_unit_test(test_exclusive_create_has_one_winner),
		cmocka_unit_test(test_create_race_opens_one_file),
		cmocka_unit_test(test_replaced_name_is_always_there),
		cmocka_unit_test(test_rename),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_listing),
		cmocka_unit_test(test_removed_directory_is_empty),
		cmocka_unit_test(test_attributes),
		cmocka_unit_test(test_setgid_directory),
		cmocka_unit_test(test_permissions),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(pod_stop_both),
	};

	return cmocka_run_group_tests(tests, pod_setup, pod_teardown);
}
