/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_again.c - the process that serves a mount dies when it has done a request, and has not
 * answered it: the next one answers, and does nothing twice.
 *
 * test_agent_lives.c kills at any moment; this is the one moment that matters, for each kind of request.
 */
#include "test_agent_watch.h"

#include <linux/fs.h>
#include <pthread.h>
#include <sys/xattr.h>

#define LIVES 4
#define NEW at(pod, A, "new")
#define OLD at(pod, A, "old")

static int make_file(const struct pod *pod)
{
	int fd = open(NEW, O_WRONLY | O_CREAT | O_EXCL, 0600);

	return fd < 0 ? -1 : close(fd);
}

static int append(const struct pod *pod)
{
	int fd = open(OLD, O_WRONLY | O_APPEND);
	ssize_t n = write(fd, "once", 4);

	close(fd);
	return n == 4 ? 0 : -1;
}

/* Each of them fails, or does more, if it is done twice. */
static int perform(const struct pod *pod, unsigned opcode)
{
	switch (opcode) {
	case FUSE_MKDIR: return mkdir(NEW, 0700);
	case FUSE_MKNOD: return mknod(NEW, S_IFIFO | 0600, 0);
	case FUSE_CREATE: return make_file(pod);
	case FUSE_SYMLINK: return symlink("x", NEW);
	case FUSE_LINK: return link(OLD, NEW);
	case FUSE_RENAME: return rename(OLD, NEW);
	case FUSE_RENAME2: return renameat2(AT_FDCWD, OLD, AT_FDCWD, at(pod, A, "dir"), RENAME_EXCHANGE);
	case FUSE_UNLINK: return unlink(OLD);
	case FUSE_RMDIR: return rmdir(at(pod, A, "dir"));
	case FUSE_WRITE: return append(pod);
	case FUSE_SETXATTR: return setxattr(OLD, "user.a", "1", 1, XATTR_CREATE);
	case FUSE_REMOVEXATTR: return removexattr(OLD, "user.b");
	default: return -1;
	}
}

static bool happened(const struct pod *pod, unsigned opcode)
{
	struct stat st;

	switch (opcode) {
	case FUSE_RENAME2: return stat(OLD, &st) == 0 && S_ISDIR(st.st_mode);
	case FUSE_UNLINK: return access(OLD, F_OK) != 0;
	case FUSE_RMDIR: return access(at(pod, A, "dir"), F_OK) != 0;
	case FUSE_WRITE: return stat(OLD, &st) == 0 && st.st_size == 8;
	case FUSE_SETXATTR: return getxattr(OLD, "user.a", NULL, 0) == 1;
	case FUSE_REMOVEXATTR: return getxattr(OLD, "user.b", NULL, 0) == -1;
	default: return lstat(NEW, &st) == 0;
	}
}

static void prepare(const struct pod *pod)
{
	int fd;

	remove(NEW);
	remove(OLD);
	remove(at(pod, A, "dir"));
	assert_int_equal(mkdir(at(pod, A, "dir"), 0700), 0);
	fd = open(OLD, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_int_equal(write(fd, "four", 4), 4);
	assert_int_equal(fsetxattr(fd, "user.b", "2", 1, 0), 0);
	close(fd);
}

struct request {
	const struct pod *pod;
	unsigned opcode;
	int error;
};

static void *request_main(void *arg)
{
	struct request *r = arg;

	r->error = perform(r->pod, r->opcode) ? errno : 0;
	return NULL;
}

static void done_and_not_answered(const struct pod *pod, unsigned opcode)
{
	struct request r = { .pod = pod, .opcode = opcode };
	pthread_t thread;

	prepare(pod);
	watch_hold(opcode);
	assert_int_equal(pthread_create(&thread, NULL, request_main, &r), 0);
	watch_wait_held();
	pod_kill_server(pod, A);
	watch_release();
	assert_int_equal(pthread_join(thread, NULL), 0);
	if (r.error || !happened(pod, opcode))
		fail_msg("request %u: %s, %s", opcode, strerror(r.error),
			 happened(pod, opcode) ? "it happened" : "it did not happen once");
}

/* Not too many: an agent whose servers die one after the other gives up. */
static void each(struct pod *pod, const unsigned opcodes[LIVES])
{
	if (!pod_possible())
		skip();
	watch_start();
	watch_pod_start(pod, A);
	if (pod_log_says(pod, A, "does not send requests again"))
		skip();
	for (unsigned i = 0; i < LIVES; i++)
		done_and_not_answered(pod, opcodes[i]);
	assert_int_equal(pod_stop(pod, A, SIGTERM), AGENT_EXIT_OK);
}

static void test_made_once(void **state)
{
	each(*state, (const unsigned[LIVES]){ FUSE_MKDIR, FUSE_MKNOD, FUSE_CREATE, FUSE_SYMLINK });
}

static void test_moved_once(void **state)
{
	each(*state, (const unsigned[LIVES]){ FUSE_LINK, FUSE_RENAME, FUSE_RENAME2, FUSE_UNLINK });
}

static void test_changed_once(void **state)
{
	each(*state, (const unsigned[LIVES]){ FUSE_RMDIR, FUSE_WRITE, FUSE_SETXATTR, FUSE_REMOVEXATTR });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_made_once, pod_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_moved_once, pod_setup, pod_teardown),
		cmocka_unit_test_setup_teardown(test_changed_once, pod_setup, pod_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
