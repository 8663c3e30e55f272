/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_lease_own.c - a program on the host that changes a file sees no attributes older than what a program on
 * another host has seen, also while the call that changes it has not returned.
 */
#include "test_agent_watch.h"

#include <sys/xattr.h>

/* a thread of A that changes F, and is not answered until it is let go */
struct changer {
	struct pod *pod;
	int (*change)(const struct pod *pod);
	int rc;
	pthread_t thread;
};

#define F "d/f"

static void *change_main(void *context)
{
	struct changer *c = context;

	c->rc = c->change(c->pod);
	return NULL;
}

/* The kernel of A keeps F; it is changed, and what B sees of that A sees, before it is answered and behind it. */
static void change_here(void **state, unsigned opcode, int (*change)(const struct pod *pod))
{
	struct changer c = { .pod = watch_begin(state, LONG_MS), .change = change };
	struct stat a, b;

	assert_int_equal(mkdir(at(c.pod, B, "d"), 0755), 0);
	put(at(c.pod, B, F), "text");
	warm(c.pod, F);
	watch_hold(opcode);
	assert_int_equal(pthread_create(&c.thread, NULL, change_main, &c), 0);
	watch_wait_held();
	b = stat_of(at(c.pod, B, F));
	a = stat_of(at(c.pod, A, F));
	watch_release();
	pthread_join(c.thread, NULL);
	assert_int_equal(c.rc, 0);
	expect_equal(a, b);
	expect_same(c.pod, F);
}

static int append(const struct pod *pod)
{
	int fd = open(at(pod, A, F), O_WRONLY | O_APPEND), rc = write(fd, "more", 4) == 4 ? 0 : -1;

	close(fd);
	return rc;
}

static void test_written(void **state)
{
	change_here(state, FUSE_WRITE, append);
}

static int cut(const struct pod *pod)
{
	return truncate(at(pod, A, F), 1);
}

static void test_cut(void **state)
{
	change_here(state, FUSE_SETATTR, cut);
}

static int set_mode(const struct pod *pod)
{
	return chmod(at(pod, A, F), 0600);
}

static void test_mode(void **state)
{
	change_here(state, FUSE_SETATTR, set_mode);
}

static int set_times(const struct pod *pod)
{
	const struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 2 } };

	return utimensat(AT_FDCWD, at(pod, A, F), times, 0);
}

static void test_times(void **state)
{
	change_here(state, FUSE_SETATTR, set_times);
}

static int set_xattr(const struct pod *pod)
{
	return setxattr(at(pod, A, F), "user.x", "x", 1, 0);
}

static void test_xattr(void **state)
{
	change_here(state, FUSE_SETXATTR, set_xattr);
}

static int give_name(const struct pod *pod)
{
	return link(at(pod, A, F), at(pod, A, "other"));
}

static void test_linked(void **state)
{
	change_here(state, FUSE_LINK, give_name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_written, watch_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_cut, watch_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_mode, watch_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_times, watch_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_xattr, watch_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_linked, watch_setup, pod_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
