/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_range.c - holes, ranges and extended attributes get the answers of a
 * local filesystem, with the other host beside them: see agent_local.h.
 */
#include "agent_local.h"

#include <sys/xattr.h>

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

/* Any bytes to anywhere, up to the end of the file. */
static void copying(const struct place *p)
{
	const size_t size = 5 * 1024 * 1024 + 77;
	int from = make(in(p, A, "from"), 0), to = make(in(p, A, "to"), 0), b = open(in(p, B, "to"), O_RDWR);
	off_t at = 5, end = 1000;
	uint8_t *out = malloc(size), *back = malloc(size);
	size_t done = 0;
	ssize_t n;

	for (size_t i = 0; i < size; i++)
		out[i] = (uint8_t)(i * 2654435761u >> 13);
	assert_int_equal(write(from, out, size), (ssize_t)size);
	while ((n = copy_file_range(from, &at, to, &end, size, 0)) > 0)
		done += (size_t)n;
	assert_int_equal(n, 0);
	assert_int_equal(done, size - 5);
	assert_int_equal(pread(b, back, size, 1000), (ssize_t)(size - 5));
	assert_memory_equal(back, out + 5, size - 5);
	expect_bytes(b, 0, 1000, 0);
	close(from);
	close(to);
	close(b);
	free(out);
	free(back);
	assert_int_equal(unlink(in(p, A, "from")), 0);
	assert_int_equal(unlink(in(p, A, "to")), 0);
}

static void test_copy(void **state)
{
	run(state, copying);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pod_start_both), cmocka_unit_test(test_holes),      cmocka_unit_test(test_punch),
		cmocka_unit_test(test_allocate),  cmocka_unit_test(test_zero_range), cmocka_unit_test(test_copy),
		cmocka_unit_test(test_xattrs),    cmocka_unit_test(pod_stop_both),
	};

	return cmocka_run_group_tests(tests, pod_setup, pod_teardown);
}
