/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_local.c - programs get the answers of a local filesystem, with the other
 * host beside them. Every check runs on tmpfs first, where both hosts are the same
 * directory, and must pass there too: it says what is right.
 */
#include "test_agent_pod.h"

#include <dirent.h>
#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>

#define TMPFS "/dev/shm"

struct place {
	char host[2][128];
};

typedef void (*check_fn)(const struct place *p);

static const char *in(const struct place *p, int host, const char *name)
{
	static _Thread_local char path[8][512];
	static _Thread_local unsigned next;
	char *to = path[next++ % 8];

	snprintf(to, sizeof(path[0]), "%s/%s", p->host[host], name);
	return to;
}

/* On tmpfs, then on the pod. */
static void run(void **state, check_fn check)
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

static int make(const char *path, int flags)
{
	int fd = open(path, O_RDWR | O_CREAT | flags, 0644);

	assert_true(fd >= 0);
	return fd;
}

static int64_t ctime_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ctim.tv_sec * 1000000000ll + st.st_ctim.tv_nsec;
}

/* -- removed, and still open to the kernel --------------------------------------------- */

static void expect_stat(int fd, mode_t mode)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_nlink, 0);
	assert_int_equal(st.st_mode, mode);
}

static void removed_directory(const struct place *p)
{
	int home = open(".", O_RDONLY | O_DIRECTORY), fd, path_fd;
	struct stat st;
	DIR *dir;

	assert_int_equal(mkdir(in(p, A, "dir"), 0755), 0);
	fd = open(in(p, A, "dir"), O_RDONLY | O_DIRECTORY);
	path_fd = open(in(p, A, "dir"), O_PATH | O_DIRECTORY);
	assert_true(fd >= 0 && path_fd >= 0);
	assert_int_equal(rmdir(in(p, A, "dir")), 0);
	expect_stat(fd, S_IFDIR | 0755);
	expect_stat(path_fd, S_IFDIR | 0755);
	assert_int_equal(fchmod(fd, 0700), 0);
	expect_stat(fd, S_IFDIR | 0700);
	assert_int_equal(fsync(fd), 0);
	expect_error(openat(fd, "x", O_CREAT | O_RDWR, 0600), ENOENT);
	expect_error(openat(fd, "x", O_RDONLY), ENOENT);
	expect_error(mkdirat(fd, "x", 0700), ENOENT);
	dir = fdopendir(dup(fd));
	errno = 0;
	assert_null(readdir(dir));
	assert_int_equal(errno, 0);
	closedir(dir);
	assert_int_equal(fchdir(fd), 0);
	assert_int_equal(stat(".", &st), 0);
	expect_error(getcwd((char[8]){ "" }, 8) ? 0 : -1, ENOENT);
	assert_int_equal(close(openat(fd, "..", O_RDONLY)), 0);
	assert_int_equal(fchdir(home), 0);
	close(home);
	close(fd);
	close(path_fd);
}

static void test_removed_directory(void **state)
{
	run(state, removed_directory);
}

/* By the other host: what was opened with a request lives on. */
static void removed_elsewhere(const struct place *p)
{
	int fd, file;

	assert_int_equal(mkdir(in(p, A, "dir"), 0755), 0);
	fd = open(in(p, A, "dir"), O_RDONLY | O_DIRECTORY);
	file = make(in(p, A, "file"), 0);
	assert_int_equal(rmdir(in(p, B, "dir")), 0);
	assert_int_equal(unlink(in(p, B, "file")), 0);
	expect_stat(fd, S_IFDIR | 0755);
	expect_stat(file, S_IFREG | 0644);
	assert_int_equal(fchmod(fd, 0700), 0);
	expect_stat(fd, S_IFDIR | 0700);
	expect_error(openat(fd, "x", O_CREAT | O_RDWR, 0600), ENOENT);
	expect_error(openat(fd, "x", O_RDONLY), ENOENT);
	close(fd);
	close(file);
}

static void test_removed_elsewhere(void **state)
{
	run(state, removed_elsewhere);
}

static void removed_others(const struct place *p)
{
	char target[8] = "";
	struct stat st;
	int fd;

	close(make(in(p, A, "file"), 0));
	assert_int_equal(link(in(p, A, "file"), in(p, A, "other")), 0);
	fd = open(in(p, A, "file"), O_PATH);
	assert_int_equal(unlink(in(p, A, "file")), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_nlink, 1);
	close(make(in(p, A, "replaces"), 0));
	assert_int_equal(rename(in(p, A, "replaces"), in(p, A, "other")), 0);
	expect_stat(fd, S_IFREG | 0644);
	close(fd);
	assert_int_equal(unlink(in(p, A, "other")), 0);

	assert_int_equal(mkfifo(in(p, A, "fifo"), 0600), 0);
	fd = open(in(p, A, "fifo"), O_RDWR | O_NONBLOCK);
	assert_int_equal(unlink(in(p, A, "fifo")), 0);
	expect_stat(fd, S_IFIFO | 0600);
	assert_int_equal(fchmod(fd, 0640), 0);
	expect_stat(fd, S_IFIFO | 0640);
	assert_int_equal(write(fd, "abc", 3), 3);
	assert_int_equal(read(fd, target, 3), 3);
	close(fd);

	assert_int_equal(symlink("to", in(p, A, "link")), 0);
	fd = open(in(p, A, "link"), O_PATH | O_NOFOLLOW);
	assert_int_equal(unlink(in(p, A, "link")), 0);
	expect_stat(fd, S_IFLNK | 0777);
	assert_int_equal(readlinkat(fd, "", target, sizeof(target)), 2);
	close(fd);
}

static void test_removed_others(void **state)
{
	run(state, removed_others);
}

/* -- file handles ---------------------------------------------------------------------- */

struct handle {
	struct file_handle head;
	unsigned char room[MAX_HANDLE_SZ];
};

static struct handle handle_of(const char *path)
{
	struct handle h = { .head.handle_bytes = MAX_HANDLE_SZ };
	int mount;

	assert_int_equal(name_to_handle_at(AT_FDCWD, path, &h.head, &mount, 0), 0);
	return h;
}

/* What an NFS server does: a file is found by its handle when nothing of it is in memory. */
static void handles(const struct place *p)
{
	struct handle file, dir, gone;
	int mount, fd, drop;
	char text[8] = "";

	assert_int_equal(mkdir(in(p, A, "dir"), 0755), 0);
	put(in(p, A, "dir/file"), "found");
	put(in(p, A, "dir/gone"), "");
	file = handle_of(in(p, A, "dir/file"));
	dir = handle_of(in(p, A, "dir"));
	gone = handle_of(in(p, A, "dir/gone"));
	assert_int_equal(unlink(in(p, B, "dir/gone")), 0);
	drop = open("/proc/sys/vm/drop_caches", O_WRONLY);
	if (drop >= 0 && write(drop, "2", 1) != 1)
		print_message("nothing dropped from the kernel's memory\n");
	close(drop);
	mount = open(p->host[A], O_RDONLY | O_DIRECTORY);
	fd = open_by_handle_at(mount, &file.head, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, text, sizeof(text)), 5);
	close(fd);
	fd = open_by_handle_at(mount, &dir.head, O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0);
	assert_int_equal(faccessat(fd, "file", R_OK, 0), 0);
	close(fd);
	expect_error(open_by_handle_at(mount, &gone.head, O_RDONLY), ESTALE);
	close(mount);
	assert_int_equal(unlink(in(p, A, "dir/file")), 0);
	assert_int_equal(rmdir(in(p, A, "dir")), 0);
}

static void test_handles(void **state)
{
	run(state, handles);
}

/* -- data ------------------------------------------------------------------------------ */

#define ASYNC_BYTES (8u << 20)
#define ASYNC_ROUNDS 40

static long submit_and_wait(int fd, int opcode, void *buf, size_t len, int64_t offset)
{
	aio_context_t context = 0;
	struct iocb cb = { .aio_lio_opcode = (uint16_t)opcode, .aio_fildes = (uint32_t)fd, .aio_nbytes = len };
	struct iocb *list = &cb;
	struct io_event event = { .res = 0 };

	cb.aio_buf = (uintptr_t)buf;
	cb.aio_offset = offset;
	assert_int_equal(syscall(SYS_io_setup, 1, &context), 0);
	assert_int_equal(syscall(SYS_io_submit, context, 1, &list), 1);
	assert_int_equal(syscall(SYS_io_getevents, context, 1, 1, &event, NULL), 1);
	syscall(SYS_io_destroy, context);
	return (long)event.res;
}

/* One write of several requests is appended as one. */
static void async_append(const struct place *p)
{
	uint64_t *out = aligned_alloc(4096, ASYNC_BYTES), *back = aligned_alloc(4096, ASYNC_BYTES);
	int fd = open(in(p, A, "async"), O_RDWR | O_CREAT | O_APPEND | O_DIRECT, 0644);

	assert_true(fd >= 0);
	for (size_t i = 0; i < ASYNC_BYTES / 8; i++)
		out[i] = i;
	for (int round = 0; round < ASYNC_ROUNDS; round++) {
		assert_int_equal(submit_and_wait(fd, IOCB_CMD_PWRITE, out, ASYNC_BYTES, 0), ASYNC_BYTES);
		assert_int_equal(pread(fd, back, ASYNC_BYTES, 0), ASYNC_BYTES);
		assert_memory_equal(back, out, ASYNC_BYTES);
		assert_int_equal(ftruncate(fd, 0), 0);
	}
	close(fd);
	free(out);
	free(back);
	assert_int_equal(unlink(in(p, A, "async")), 0);
}

static void test_async_append(void **state)
{
	run(state, async_append);
}

/* -- holes ------------------------------------------------------------------------------ */

#define PAGE 4096
#define FAR ((off_t)3 << 40)

static blkcnt_t blocks(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_blocks;
}

static void fill(int fd, off_t offset, size_t len)
{
	char buf[PAGE];

	memset(buf, 'x', sizeof(buf));
	for (size_t done = 0; done < len; done += PAGE)
		assert_int_equal(pwrite(fd, buf, PAGE, offset + (off_t)done), PAGE);
}

/* st_blocks of a hole is 0, and its ends are found at once, however large it is. */
static void holes(const struct place *p)
{
	int a = make(in(p, A, "holes"), 0), b = open(in(p, B, "holes"), O_RDWR);

	assert_int_equal(ftruncate(a, FAR), 0);
	assert_int_equal(blocks(in(p, B, "holes")), 0);
	expect_error(lseek(b, 0, SEEK_DATA) == -1 ? -1 : 0, ENXIO);
	assert_int_equal(lseek(b, 5, SEEK_HOLE), 5);
	fill(a, FAR / 2, 4 * PAGE);
	assert_true(lseek(b, 1000, SEEK_DATA) == FAR / 2);
	assert_true(lseek(b, FAR / 2 + 5, SEEK_DATA) == FAR / 2 + 5);
	assert_true(lseek(b, FAR / 2 + 5, SEEK_HOLE) == FAR / 2 + 4 * PAGE);
	expect_error(lseek(b, FAR / 2 + 4 * PAGE, SEEK_DATA) == -1 ? -1 : 0, ENXIO);
	expect_error(lseek(b, FAR, SEEK_HOLE) == -1 ? -1 : 0, ENXIO);
	assert_in_range(blocks(in(p, B, "holes")), 4 * PAGE / 512, 12 * PAGE / 512); /* with an index */
	assert_int_equal(ftruncate(b, PAGE / 2), 0);
	assert_int_equal(blocks(in(p, A, "holes")), 0);
	assert_int_equal(pwrite(a, "x", 1, 0), 1);
	assert_int_equal(lseek(b, 0, SEEK_HOLE), PAGE / 2); /* there is one behind the end */
	close(a);
	close(b);
	assert_int_equal(unlink(in(p, A, "holes")), 0);
}

static void test_holes(void **state)
{
	run(state, holes);
}

static void expect_bytes(int fd, off_t offset, size_t len, char byte)
{
	char buf[PAGE];

	for (size_t done = 0; done < len; done += sizeof(buf)) {
		size_t n = len - done < sizeof(buf) ? len - done : sizeof(buf);

		assert_int_equal(pread(fd, buf, n, offset + (off_t)done), (ssize_t)n);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(buf[i], byte);
	}
}

/* Sixteen pages are written whole twice, so that they may lie in the pool as one object. */
static void punching(const struct place *p)
{
	static char group[16 * PAGE];
	int a = make(in(p, A, "punch"), 0), b = open(in(p, B, "punch"), O_RDWR);
	struct stat st;

	memset(group, 'x', sizeof(group));
	for (int i = 0; i < 4; i++)
		assert_int_equal(pwrite(a, group, sizeof(group), (off_t)sizeof(group) * (1 + i % 2)), sizeof(group));
	expect_error(fallocate(a, FALLOC_FL_PUNCH_HOLE, 0, PAGE), EOPNOTSUPP); /* without KEEP_SIZE */
	assert_int_equal(fallocate(a, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 18 * PAGE + 100, 10 * PAGE), 0);
	expect_bytes(b, 0, 16 * PAGE, 0);
	expect_bytes(b, 16 * PAGE, 2 * PAGE + 100, 'x');
	expect_bytes(b, 18 * PAGE + 100, 10 * PAGE, 0);
	expect_bytes(b, 28 * PAGE + 100, 20 * PAGE - 100, 'x');
	assert_int_equal(lseek(b, 18 * PAGE + 1, SEEK_HOLE), 19 * PAGE);
	assert_int_equal(lseek(b, 19 * PAGE, SEEK_DATA), 28 * PAGE);
	assert_int_equal(fallocate(a, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, FAR), 0);
	assert_int_equal(fstat(b, &st), 0);
	assert_int_equal(st.st_size, 48 * PAGE);
	expect_bytes(b, 0, 48 * PAGE, 0);
	expect_error(lseek(b, 0, SEEK_DATA) == -1 ? -1 : 0, ENXIO);
	close(a);
	close(b);
	assert_int_equal(unlink(in(p, A, "punch")), 0);
}

static void test_punch(void **state)
{
	run(state, punching);
}

static void allocating(const struct place *p)
{
	int a = make(in(p, A, "alloc"), 0), b = open(in(p, B, "alloc"), O_RDWR);
	struct stat st;

	fill(a, PAGE, PAGE);
	assert_int_equal(fallocate(a, 0, 100, 100 * PAGE), 0);
	assert_int_equal(fstat(b, &st), 0);
	assert_int_equal(st.st_size, 100 * PAGE + 100);
	assert_true(st.st_blocks >= 101 * PAGE / 512);
	expect_bytes(b, 0, PAGE, 0);
	expect_bytes(b, PAGE, PAGE, 'x');
	expect_bytes(b, 2 * PAGE, 98 * PAGE + 100, 0);
	assert_int_equal(fallocate(a, FALLOC_FL_KEEP_SIZE, 0, 100 * PAGE), 0);
	assert_int_equal(fstat(b, &st), 0);
	assert_int_equal(st.st_size, 100 * PAGE + 100);
	expect_error(fallocate(a, 0, 0, 0), EINVAL);
	close(a);
	close(b);
	assert_int_equal(unlink(in(p, A, "alloc")), 0);
}

static void test_allocate(void **state)
{
	run(state, allocating);
}

/* What tmpfs does not offer. */
static void test_zero_range(void **state)
{
	struct pod *pod = *state;
	struct stat st;
	int a, b;

	if (!pod_possible())
		skip();
	a = make(at(pod, A, "zero"), 0);
	b = open(at(pod, B, "zero"), O_RDWR);
	fill(a, 0, 4 * PAGE);
	assert_int_equal(fallocate(a, FALLOC_FL_ZERO_RANGE, 100, PAGE), 0);
	expect_bytes(b, 0, 100, 'x');
	expect_bytes(b, 100, PAGE, 0);
	expect_bytes(b, PAGE + 100, 3 * PAGE - 100, 'x');
	assert_int_equal(fallocate(a, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 3 * PAGE, 9 * PAGE), 0);
	assert_int_equal(fstat(b, &st), 0);
	assert_int_equal(st.st_size, 4 * PAGE);
	expect_bytes(b, 3 * PAGE, PAGE, 0);
	assert_int_equal(fallocate(a, FALLOC_FL_ZERO_RANGE, 3 * PAGE, 9 * PAGE), 0);
	assert_int_equal(fstat(b, &st), 0);
	assert_int_equal(st.st_size, 12 * PAGE);
	/* Pages past the end of a file that stays as long as it is are not to be had, and it says so. */
	expect_error(fallocate(a, FALLOC_FL_KEEP_SIZE, 0, 13 * PAGE), EOPNOTSUPP);
	close(a);
	close(b);
	assert_int_equal(unlink(at(pod, A, "zero")), 0);
}

/* -- extended attributes ---------------------------------------------------------------- */

static void expect_xattr(const char *path, const char *name, const char *value)
{
	char buf[64];

	assert_int_equal(lgetxattr(path, name, buf, sizeof(buf)), (ssize_t)strlen(value));
	assert_memory_equal(buf, value, strlen(value));
}

static bool lists(const char *list, ssize_t n, const char *name)
{
	for (const char *at = list; at < list + n; at += strlen(at) + 1)
		if (strcmp(at, name) == 0)
			return true;
	return false;
}

/* What a user sees of names that only root may read. Returns which check failed, 0: none. */
static int list_as_user(const char *path)
{
	char list[256];
	ssize_t n;

	if (setgid(1000) != 0 || setuid(1000) != 0)
		return 1;
	n = listxattr(path, list, sizeof(list));
	if (n < 0 || !lists(list, n, "user.a") || lists(list, n, "trusted.t"))
		return 2;
	if (getxattr(path, "trusted.t", list, sizeof(list)) >= 0)
		return 3;
	if (setxattr(path, "user.b", "x", 1, 0) == 0 || errno != EACCES)
		return 4;
	return 0;
}

static void attributes(const struct place *p)
{
	char buf[256];
	ssize_t n;
	pid_t pid;
	int fd;

	put(in(p, A, "x"), "");
	expect_error((int)getxattr(in(p, A, "x"), "user.a", buf, sizeof(buf)), ENODATA);
	assert_int_equal(setxattr(in(p, A, "x"), "user.a", "one", 3, XATTR_CREATE), 0);
	expect_error(setxattr(in(p, B, "x"), "user.a", "two", 3, XATTR_CREATE), EEXIST);
	expect_error(setxattr(in(p, B, "x"), "user.b", "two", 3, XATTR_REPLACE), ENODATA);
	expect_xattr(in(p, B, "x"), "user.a", "one");
	assert_int_equal(setxattr(in(p, B, "x"), "trusted.t", "seen by root", 12, 0), 0);
	assert_int_equal(setxattr(in(p, B, "x"), "security.s", "", 0, 0), 0);
	n = listxattr(in(p, A, "x"), buf, sizeof(buf));
	assert_true(lists(buf, n, "user.a") && lists(buf, n, "trusted.t") && lists(buf, n, "security.s"));
	assert_int_equal(listxattr(in(p, A, "x"), NULL, 0), n);
	expect_error((int)listxattr(in(p, A, "x"), buf, 3), ERANGE);
	expect_error((int)getxattr(in(p, A, "x"), "trusted.t", buf, 3), ERANGE);
	assert_int_equal(getxattr(in(p, A, "x"), "trusted.t", NULL, 0), 12);
	assert_int_equal(chmod(p->host[A], 0755), 0);
	pid = fork();
	if (pid == 0)
		_exit(list_as_user(in(p, A, "x")));
	assert_int_equal(pod_reap(pid), 0);
	assert_int_equal(rename(in(p, A, "x"), in(p, A, "y")), 0);
	fd = open(in(p, A, "y"), O_RDWR);
	assert_int_equal(unlink(in(p, B, "y")), 0);
	assert_int_equal(fsetxattr(fd, "user.late", "1", 1, 0), 0);
	assert_int_equal(fgetxattr(fd, "user.a", buf, sizeof(buf)), 3);
	assert_int_equal(fremovexattr(fd, "user.a"), 0);
	expect_error(fremovexattr(fd, "user.a"), ENODATA);
	close(fd);
	assert_int_equal(symlink("to", in(p, A, "l")), 0);
	expect_error(lsetxattr(in(p, A, "l"), "user.a", "", 0, 0), EPERM);
	assert_int_equal(lsetxattr(in(p, A, "l"), "trusted.a", "link", 4, 0), 0);
	expect_xattr(in(p, B, "l"), "trusted.a", "link");
	assert_int_equal(unlink(in(p, A, "l")), 0);
}

static void test_xattrs(void **state)
{
	run(state, attributes);
}

/* -- times ------------------------------------------------------------------------------ */

/* A file that loses one of its names has changed, whatever took the name. */
static void ctime_moves(const struct place *p)
{
	struct timespec tick = { .tv_nsec = 20000000 };
	int64_t before;

	put(in(p, A, "s"), "");
	put(in(p, A, "d"), "");
	assert_int_equal(link(in(p, A, "d"), in(p, A, "d2")), 0);
	before = ctime_of(in(p, B, "d2"));
	nanosleep(&tick, NULL);
	assert_int_equal(rename(in(p, A, "s"), in(p, A, "d")), 0);
	assert_true(ctime_of(in(p, B, "d2")) > before);
	before = ctime_of(in(p, B, "d2"));
	nanosleep(&tick, NULL);
	assert_int_equal(renameat2(AT_FDCWD, in(p, A, "d"), AT_FDCWD, in(p, A, "d2"), RENAME_EXCHANGE), 0);
	assert_true(ctime_of(in(p, B, "d")) > before);
	assert_int_equal(unlink(in(p, A, "d")), 0);
	assert_int_equal(unlink(in(p, A, "d2")), 0);
}

static void test_ctime(void **state)
{
	run(state, ctime_moves);
}

/* Before 1970, after 2262, and in between to the nanosecond. */
static void any_time(const struct place *p)
{
	static const struct timespec times[] = { { .tv_sec = -1, .tv_nsec = 500000000 },
						 { .tv_sec = -2208988800, .tv_nsec = 100 },
						 { .tv_sec = 0, .tv_nsec = 1 },
						 { .tv_sec = 9223372035, .tv_nsec = 999999999 },
						 { .tv_sec = 9223372037 },
						 { .tv_sec = 20000000000, .tv_nsec = 999999900 } };

	put(in(p, A, "time"), "");
	for (unsigned i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		struct timespec set[2] = { times[i], times[i] };
		struct stat st;

		assert_int_equal(utimensat(AT_FDCWD, in(p, A, "time"), set, 0), 0);
		assert_int_equal(stat(in(p, B, "time"), &st), 0);
		assert_true(st.st_mtim.tv_sec == times[i].tv_sec && st.st_mtim.tv_nsec == times[i].tv_nsec);
		assert_true(st.st_atim.tv_sec == times[i].tv_sec && st.st_atim.tv_nsec == times[i].tv_nsec);
	}
	assert_int_equal(unlink(in(p, A, "time")), 0);
}

static void test_any_time(void **state)
{
	run(state, any_time);
}

/* What the pool cannot keep it refuses. */
static void test_no_time(void **state)
{
	struct timespec set[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = (time_t)1 << 40 } };
	struct pod *pod = *state;

	if (!pod_possible())
		skip();
	put(at(pod, A, "time"), "");
	expect_error(utimensat(AT_FDCWD, at(pod, A, "time"), set, 0), EINVAL);
	set[1].tv_sec = -((time_t)1 << 40);
	expect_error(utimensat(AT_FDCWD, at(pod, A, "time"), set, 0), EINVAL);
	assert_int_equal(unlink(at(pod, A, "time")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pod_start_both),
		cmocka_unit_test(test_removed_directory),
		cmocka_unit_test(test_removed_elsewhere),
		cmocka_unit_test(test_removed_others),
		cmocka_unit_test(test_handles),
		cmocka_unit_test(test_async_append),
		cmocka_unit_test(test_holes),
		cmocka_unit_test(test_punch),
		cmocka_unit_test(test_allocate),
		cmocka_unit_test(test_zero_range),
		cmocka_unit_test(test_xattrs),
		cmocka_unit_test(test_any_time),
		cmocka_unit_test(test_no_time),
		cmocka_unit_test(test_ctime),
		cmocka_unit_test(pod_stop_both),
	};

	return cmocka_run_group_tests(tests, pod_setup, pod_teardown);
}
