/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_local.c - programs get the answers of a local filesystem, with the other
 * host beside them. Every check runs on tmpfs first, where both hosts are the same
 * directory, and must pass there too: it says what is right.
 */
#include "agent_local.h"

#include <dirent.h>
#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <sys/uio.h>

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

static bool same(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* One time of the two, now, neither; of a file that is open, by path and without a name. */
static void some_times(const struct place *p)
{
	struct timespec omit = { .tv_nsec = UTIME_OMIT }, now = { .tv_nsec = UTIME_NOW }, then = { .tv_sec = 1000 };
	struct stat before, st;
	int fd = make(in(p, A, "time"), 0);

	assert_int_equal(futimens(fd, (struct timespec[]){ then, then }), 0);
	assert_int_equal(futimens(fd, (struct timespec[]){ omit, now }), 0);
	assert_int_equal(stat(in(p, B, "time"), &before), 0);
	assert_true(same(before.st_atim, then) && before.st_mtim.tv_sec > 1700000000);
	assert_int_equal(utimensat(AT_FDCWD, in(p, B, "time"), (struct timespec[]){ omit, omit }, 0), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(same(st.st_atim, then) && same(st.st_mtim, before.st_mtim) && same(st.st_ctim, before.st_ctim));
	assert_int_equal(unlink(in(p, B, "time")), 0);
	assert_int_equal(futimens(fd, (struct timespec[]){ now, then }), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_atim.tv_sec > 1700000000 && same(st.st_mtim, then));
	expect_error(linkat(fd, "", AT_FDCWD, in(p, A, "again"), AT_EMPTY_PATH), ENOENT);
	close(fd);
	fd = make(in(p, A, "time"), 0);
	assert_int_equal(linkat(fd, "", AT_FDCWD, in(p, A, "again"), AT_EMPTY_PATH), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_nlink, 2);
	close(fd);
	assert_int_equal(unlink(in(p, B, "time")), 0);
	assert_int_equal(unlink(in(p, B, "again")), 0);
}

static void test_some_times(void **state)
{
	run(state, some_times);
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
		cmocka_unit_test(pod_start_both),         cmocka_unit_test(test_removed_directory),
		cmocka_unit_test(test_removed_elsewhere), cmocka_unit_test(test_removed_others),
		cmocka_unit_test(test_handles),           cmocka_unit_test(test_async_append),
		cmocka_unit_test(test_some_times),        cmocka_unit_test(test_any_time),
		cmocka_unit_test(test_no_time),           cmocka_unit_test(test_ctime),
		cmocka_unit_test(pod_stop_both),
	};

	return cmocka_run_group_tests(tests, pod_setup, pod_teardown);
}
