/* SPDX-License-Identifier: Apache-2.0 */
/* test_process.c - children of a process that uses a pool, and threads that are cancelled in it. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem/process.h"
#include "pod.h"

#define POOL_BYTES (16ull << 20)

static char path[64];
static const struct daxfs_mkfs_options options_of_pool = {
	.struct_size = sizeof(options_of_pool),
	.size = POOL_BYTES,
	.inodes = 512,
	.hosts = 3,
	.lanes = 4,
	.force = true,
};

struct fixture {
	struct daxfs *fs;
	struct daxfs_member *member;
	daxfs_ino file;
};

static void fixture_start(struct fixture *s)
{
	struct daxfs_error err;

	alarm(60);
	snprintf(path, sizeof(path), "/dev/shm/daxfs-test-process-%d", getpid());
	if (daxfs_mkfs(path, &options_of_pool, &err) || daxfs_open(path, DAXFS_READ_WRITE, &s->fs, &err) ||
	    daxfs_join(s->fs, 0, "parent", &err) || daxfs_member_open(path, true, &s->member, &err))
		fail_msg("%s", err.text);
	s->file = pod_create(s->fs, DAXFS_ROOT, "f");
	assert_int_equal(daxfs_write(s->fs, s->file, "hello", 5, 0, 0), 5);
}

/* Nothing that others rely on has changed: the parent goes on, and the pool is flawless. */
static void fixture_stop(struct fixture *s)
{
	struct daxfs_check check;

	pod_create(s->fs, DAXFS_ROOT, "after");
	assert_int_equal(daxfs_unlink(s->fs, DAXFS_ROOT, "after"), 0);
	assert_int_equal(daxfs_leave(s->fs), 0);
	assert_int_equal(daxfs_check(s->fs, pod_print, NULL, &check), 0);
	assert_int_equal(check.problems, 0);
	daxfs_close(s->fs);
	daxfs_member_close(s->member);
	unlink(path);
}

/* Run in a child; which of its demands it did not meet is its exit code. */
static int in_child(int (*run)(struct fixture *), struct fixture *s)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		alarm(30);
		_exit(run(s));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

#define DEMAND(call)                                                                                                   \
	do {                                                                                                           \
		if (!(call))                                                                                           \
			return __LINE__ % 251 + 1;                                                                     \
	} while (0)
#define REFUSED(call) DEMAND((call) == -ECHILD)

static bool fill(void *context, const char *name, daxfs_ino ino, unsigned type, uint64_t next)
{
	(void)name, (void)ino, (void)type, (void)next;
	++*(unsigned *)context;
	return true;
}

static void report(void *context, const char *line)
{
	(void)line;
	++*(unsigned *)context;
}

static int call_names(struct fixture *s)
{
	struct daxfs_attr a;
	struct daxfs *fs = s->fs;

	REFUSED(daxfs_lookup(fs, DAXFS_ROOT, "f", &a));
	REFUSED(daxfs_mknod(fs, DAXFS_ROOT, "n", S_IFREG, 0, pod_root, true, &a));
	REFUSED(daxfs_mkdir(fs, DAXFS_ROOT, "n", 0755, pod_root, &a));
	REFUSED(daxfs_symlink(fs, DAXFS_ROOT, "n", "f", pod_root, &a));
	REFUSED(daxfs_link(fs, s->file, DAXFS_ROOT, "n", &a));
	REFUSED(daxfs_unlink(fs, DAXFS_ROOT, "f"));
	REFUSED(daxfs_rmdir(fs, DAXFS_ROOT, "f"));
	REFUSED(daxfs_rename(fs, DAXFS_ROOT, "f", DAXFS_ROOT, "g", 0));
	return 0;
}

static int call_files(struct fixture *s)
{
	struct daxfs_lock lock = { .type = DAXFS_LOCK_WRITE, .end = DAXFS_LOCK_END };
	struct daxfs_attr a = { 0 };
	struct daxfs_statfs statfs;
	struct daxfs *fs = s->fs;
	unsigned n = 0;
	char buf[64];

	REFUSED(daxfs_getattr(fs, s->file, &a));
	REFUSED(daxfs_setattr(fs, s->file, DAXFS_SET_MODE, &a, &a));
	REFUSED(daxfs_readlink(fs, s->file, buf, sizeof(buf)));
	REFUSED(daxfs_file_open(fs, s->file));
	REFUSED(daxfs_file_close(fs, s->file));
	REFUSED(daxfs_read(fs, s->file, buf, sizeof(buf), 0));
	REFUSED(daxfs_write(fs, s->file, "x", 1, 0, 0));
	REFUSED(daxfs_write(fs, s->file, "x", 1, 0, DAXFS_APPEND));
	REFUSED(daxfs_fsync(fs, s->file));
	REFUSED(daxfs_readdir(fs, DAXFS_ROOT, 0, fill, &n));
	REFUSED(daxfs_lock(fs, s->file, &lock));
	REFUSED(daxfs_lock_get(fs, s->file, &lock, &lock));
	REFUSED(daxfs_statfs(fs, &statfs));
	DEMAND(n == 0);
	return 0;
}

static int call_host(struct fixture *s)
{
	struct daxfs_recovery recovery;
	struct daxfs_inflight inflight;
	struct daxfs_selftest selftest;
	struct daxfs_check check;
	struct daxfs_geometry geometry;
	struct daxfs *fs = s->fs;
	struct daxfs_error err;
	unsigned n = 0;

	daxfs_geometry(fs, &geometry);
	DEMAND(geometry.hosts == 3);
	REFUSED(daxfs_join(fs, 1, "child", &err));
	DEMAND(strstr(err.text, "child"));
	REFUSED(daxfs_leave(fs));
	REFUSED(daxfs_beat(fs));
	REFUSED(daxfs_recover_assigned(fs, &recovery, 1));
	REFUSED(daxfs_recover(fs, 1, &recovery));
	REFUSED(daxfs_check(fs, report, &n, &check));
	REFUSED(daxfs_recover_dry_run(fs, 0, report, &n));
	REFUSED(daxfs_inflight(fs, 0, &inflight));
	REFUSED(daxfs_dump(fs, "super", report, &n));
	REFUSED(daxfs_selftest(fs, 1, &selftest));
	DEMAND(n == 0);
	return 0;
}

static int call_member(struct fixture *s)
{
	struct daxfs_manager_view manager = { .epoch = 5 };
	struct daxfs_host_view host = { .id = 0 };
	struct daxfs_geometry geometry;
	uint32_t epoch;

	daxfs_member_geometry(s->member, &geometry);
	DEMAND(geometry.hosts == 3);
	REFUSED(daxfs_member_host(s->member, 0, &host));
	REFUSED(daxfs_member_move(s->member, &host, DAXFS_HOST_SUSPECT, -1, 1, DAXFS_REASON_NONE, 0));
	REFUSED(daxfs_member_stamp(s->member, &host, 1));
	REFUSED(daxfs_member_claim(s->member, &manager, &epoch));
	REFUSED(daxfs_member_manager_beat(s->member, 1));
	daxfs_member_fence_took(s->member, &host, true, 1);
	daxfs_member_manager(s->member, &manager);
	DEMAND(manager.epoch == 0);
	return 0;
}

/* Each call is refused, and then the child lets go of its copies. */
static int call_all(struct fixture *s)
{
	int rc = call_names(s);

	if (rc == 0)
		rc = call_files(s);
	if (rc == 0)
		rc = call_host(s);
	if (rc == 0)
		rc = call_member(s);
	daxfs_close(s->fs);
	daxfs_member_close(s->member);
	return rc;
}

static void child_is_refused(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s);
	assert_int_equal(daxfs_file_open(s.fs, s.file), 0); /* a table of open files that a child copies */
	assert_int_equal(in_child(call_all, &s), 0);
	assert_int_equal(daxfs_file_close(s.fs, s.file), 0);
	fixture_stop(&s);
}

/* A child of a child is one, too; and what it opens itself is its own. */
static int grandchild(struct fixture *s)
{
	return in_child(call_files, s);
}

static int opens_anew(struct fixture *s)
{
	struct fixture own = *s;
	struct daxfs_error err;

	DEMAND(grandchild(s) == 0);
	DEMAND(daxfs_open(path, DAXFS_READ_WRITE, &own.fs, &err) == 0);
	DEMAND(daxfs_join(own.fs, 1, "child", &err) == 0);
	pod_create(own.fs, DAXFS_ROOT, "of the child");
	DEMAND(in_child(call_files, &own) == 0);
	daxfs_close(s->fs);
	DEMAND(daxfs_unlink(own.fs, DAXFS_ROOT, "of the child") == 0);
	daxfs_close(own.fs);
	return 0;
}

static void child_opens_anew(void **state)
{
	struct fixture s;

	(void)state;
	fixture_start(&s);
	assert_int_equal(in_child(opens_anew, &s), 0);
	fixture_stop(&s);
}

/* -- views and drafts --------------------------------------------------------------- */

static struct daxfs_view *view;
static struct daxfs_draft *draft, *draft2;
static const void *viewed;
static void *drafted[1], *drafted2[1];

static int use_views(struct fixture *s)
{
	struct daxfs_draft *d;
	struct daxfs_view *v;
	const void *p;
	void *page;

	REFUSED(daxfs_view_open(s->fs, &v));
	REFUSED(daxfs_view_read(view, s->file, 0, &p));
	REFUSED(daxfs_draft_begin(s->fs, s->file, 0, 4096, &page, &d));
	daxfs_view_renew(view);
	daxfs_view_close(view);
	REFUSED(daxfs_draft_commit(draft));
	daxfs_draft_abort(draft2);
	daxfs_close(s->fs);
	return 0;
}

static int touch_view(struct fixture *s)
{
	(void)s;
	return memcmp(viewed, "hello", 5) ? 1 : 2;
}

static int touch_draft(struct fixture *s)
{
	(void)s;
	memset(drafted[0], 'x', 4096);
	return 1;
}

static void views_and_drafts(void **state)
{
	struct fixture s;
	char buf[8] = "";

	(void)state;
	fixture_start(&s);
	assert_int_equal(daxfs_view_open(s.fs, &view), 0);
	assert_int_equal(daxfs_view_read(view, s.file, 0, &viewed), 5);
	assert_int_equal(daxfs_draft_begin(s.fs, s.file, 0, 4096, drafted, &draft), 0);
	assert_int_equal(daxfs_draft_begin(s.fs, s.file, 4096, 4096, drafted2, &draft2), 0);
	memset(drafted[0], 'd', 4096);
	assert_int_equal(in_child(touch_view, &s), 1000 + SIGSEGV);
	assert_int_equal(in_child(touch_draft, &s), 1000 + SIGSEGV);
	assert_int_equal(in_child(use_views, &s), 0);
	assert_memory_equal(viewed, "hello", 5); /* they are as they were for us */
	assert_int_equal(daxfs_draft_commit(draft), 0);
	daxfs_draft_abort(draft2);
	assert_int_equal(daxfs_view_read(view, s.file, 0, &viewed), 4096);
	daxfs_view_close(view);
	assert_int_equal(daxfs_read(s.fs, s.file, buf, 5, 0), 5);
	assert_string_equal(buf, "ddddd");
	fixture_stop(&s);
}

/* -- threads ------------------------------------------------------------------------- */

static int close_only(struct fixture *s)
{
	daxfs_close(s->fs);
	return 0;
}

static void *wait_for_lane(void *arg)
{
	struct fixture *s = arg;
	struct daxfs_attr attr;

	if (daxfs_getattr(s->fs, s->file, &attr))
		return arg;
	pthread_testcancel();
	return NULL;
}

/* Wait until a thread waits for a lane. */
static void await_waiting(struct daxfs *fs)
{
	while (!__atomic_load_n(&fs->waiting, __ATOMIC_SEQ_CST))
		usleep(1000);
	usleep(20000); /* likely in the wait by now; the test holds if not */
}

/*
 * Cancelled while it waits for a lane a thread goes on waiting, and ends when its call does.
 * A child that is made meanwhile has a thread less than the locks know.
 */
static void cancelled_waiting(void **state)
{
	struct lane *lane[4];
	struct fixture s;
	pthread_t thread;
	void *result;

	(void)state;
	fixture_start(&s);
	for (unsigned i = 0; i < 4; i++)
		lane[i] = fs_take_lane(s.fs);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_lane, &s), 0);
	await_waiting(s.fs);
	assert_int_equal(in_child(close_only, &s), 0);
	assert_int_equal(pthread_cancel(thread), 0);
	usleep(20000);
	for (unsigned i = 0; i < 4; i++)
		fs_put_lane(s.fs, lane[i]);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_ptr_equal(result, PTHREAD_CANCELED);
	fixture_stop(&s);
}

static void report_cancelled(void *context, const char *line)
{
	(void)line;
	++*(unsigned *)context;
	pthread_testcancel(); /* as printing is */
}

static unsigned reached;

/* With a cancellation pending from the start: each call is made, to its end. */
static void *call_pending(void *arg)
{
	struct daxfs_member *member;
	struct daxfs_check check;
	struct daxfs_attr attr;
	struct daxfs_view *v;
	struct daxfs_draft *d;
	struct daxfs_error err;
	unsigned lines = 0;
	char other[sizeof(path) + 2];
	void *page;
	struct daxfs *fs;

	snprintf(other, sizeof(other), "%s-2", path);
	pthread_cancel(pthread_self());
	if (daxfs_mkfs(other, &options_of_pool, &err) || daxfs_open(other, DAXFS_READ_WRITE, &fs, &err) ||
	    daxfs_join(fs, 1, "cancelled", &err) || daxfs_member_open(other, true, &member, &err))
		return arg;
	reached = 1;
	if (daxfs_mknod(fs, DAXFS_ROOT, "f", S_IFREG, 0, pod_root, true, &attr) ||
	    daxfs_readdir(fs, DAXFS_ROOT, 0, fill, &lines) || daxfs_write(fs, attr.ino, "x", 1, 0, 0) != 1 ||
	    daxfs_file_close(fs, attr.ino) || daxfs_unlink(fs, DAXFS_ROOT, "f") || daxfs_view_open(fs, &v) ||
	    daxfs_draft_begin(fs, DAXFS_ROOT, 0, 4096, &page, &d) != -EISDIR || lines != 3)
		return arg;
	daxfs_view_close(v);
	reached = 2;
	if (daxfs_check(fs, report_cancelled, &lines, &check) || daxfs_dump(fs, "super", report_cancelled, &lines) ||
	    daxfs_recover_dry_run(fs, 0, report_cancelled, &lines) || lines < 5)
		return arg;
	reached = 3;
	if (daxfs_leave(fs))
		return arg;
	daxfs_close(fs);
	daxfs_member_close(member);
	reached = 4;
	pthread_testcancel();
	return arg;
}

static void cancelled_in_calls(void **state)
{
	char other[sizeof(path) + 2];
	struct fixture s;
	pthread_t thread;
	void *result;

	(void)state;
	fixture_start(&s);
	assert_int_equal(pthread_create(&thread, NULL, call_pending, &s), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_int_equal(reached, 4);
	assert_ptr_equal(result, PTHREAD_CANCELED);
	snprintf(other, sizeof(other), "%s-2", path);
	assert_int_equal(unlink(other), 0);
	fixture_stop(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(child_is_refused),   cmocka_unit_test(child_opens_anew),
		cmocka_unit_test(views_and_drafts),   cmocka_unit_test(cancelled_waiting),
		cmocka_unit_test(cancelled_in_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
