/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_limits.c - what docs/LIMITS.md says that a mount does otherwise than a local filesystem, because the
 * kernel answers and does not ask. If one of these fails, a kernel does better, or we do: then that sentence goes.
 */
#include "test_agent_pod.h"

#include <sys/mman.h>
#include <sys/uio.h>

static int opened(const struct pod *pod, int host, const char *name, int flags)
{
	int fd = open(at(pod, host, name), flags | O_CREAT, 0644);

	if (fd < 0)
		fail_msg("%s: %s", name, strerror(errno));
	return fd;
}

/* By host B, at the end. */
static void put_more(const struct pod *pod, const char *name, const char *text)
{
	int fd = opened(pod, B, name, O_WRONLY | O_APPEND);

	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(close(fd), 0);
}

/* A lease of a file is granted, and one who opens it on the same host has to wait for it; another host has not. */
static void test_setlease_binds_one_host(void **state)
{
	int a, other;

	if (!pod_possible())
		skip();
	put(at(*state, A, "leased"), "text");
	a = opened(*state, A, "leased", O_RDONLY);
	assert_int_equal(fcntl(a, F_SETSIG, SIGURG), 0); /* which is ignored */
	assert_int_equal(fcntl(a, F_SETLEASE, F_RDLCK), 0);
	expect_error(open(at(*state, A, "leased"), O_WRONLY | O_NONBLOCK), EWOULDBLOCK);
	other = opened(*state, B, "leased", O_WRONLY | O_NONBLOCK);
	assert_int_equal(write(other, "TEXT", 4), 4);
	assert_int_equal(fcntl(a, F_SETLEASE, F_UNLCK), 0);
	close(other);
	close(a);
}

/*
 * Where another host has made a file longer, and nobody here has looked: an append goes to the end, and the position
 * that this kernel then tells is behind where it believed the end to be.
 */
static void test_position_after_append(void **state)
{
	int a;

	if (!pod_possible())
		skip();
	put(at(*state, A, "appended"), "1234");
	a = opened(*state, A, "appended", O_WRONLY | O_APPEND);
	put_more(*state, "appended", "5678");
	assert_int_equal(write(a, "9", 1), 1);
	expect_text(at(*state, B, "appended"), "123456789");
	assert_int_equal(lseek(a, 0, SEEK_CUR), 5); /* 9, on a local filesystem */
	close(a);
}

/* RWF_APPEND says to the kernel alone that the end is meant: so it goes where that believed the end to be. */
static void test_append_flag(void **state)
{
	const struct iovec nine = { (void *)(uintptr_t) "9", 1 };
	int a;

	if (!pod_possible())
		skip();
	put(at(*state, A, "flagged"), "1234");
	a = opened(*state, A, "flagged", O_WRONLY);
	put_more(*state, "flagged", "5678");
	assert_int_equal(pwritev2(a, &nine, 1, 0, RWF_APPEND), 1);
	expect_text(at(*state, B, "flagged"), "12349678"); /* 123456789, on a local filesystem */
	close(a);
}

/* A lock drops none of the kernel's pages: what is mapped for reading stays as it was, until somebody looks. */
static void test_lock_leaves_mapping(void **state)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	struct stat st;
	int a;
	char *p;

	if (!pod_possible() || pod_log_says(*state, A, "no shared mappings"))
		skip();
	put(at(*state, B, "mapped"), "before");
	a = opened(*state, A, "mapped", O_RDONLY);
	p = mmap(NULL, 6, PROT_READ, MAP_SHARED, a, 0);
	assert_true(p != MAP_FAILED);
	assert_memory_equal(p, "before", 6);
	put(at(*state, B, "mapped"), "behind");
	assert_int_equal(fcntl(a, F_SETLK, &lock), 0);
	assert_memory_equal(p, "before", 6); /* "behind", on NFS */
	assert_int_equal(fstat(a, &st), 0);
	assert_memory_equal(p, "behind", 6);
	munmap(p, 6);
	close(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pod_start_both),
		cmocka_unit_test(test_setlease_binds_one_host),
		cmocka_unit_test(test_position_after_append),
		cmocka_unit_test(test_append_flag),
		cmocka_unit_test(test_lock_leaves_mapping),
		cmocka_unit_test(pod_stop_both),
	};

	return cmocka_run_group_tests(tests, pod_setup, pod_teardown);
}
