/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_lease_links.c - names of one file that this host removes, beside what its kernel counts of them.
 *
 * The kernel takes one off when the thread that removed a name comes to run; at 0 it refuses link() and asks nobody
 * (kernel_cache.h). The answer to a removal is held here (test_agent_watch.h), while others look, link and change.
 */
#include "test_agent_watch.h"

#include <pthread.h>
#include <sys/wait.h>

static void *unlink_main(void *context)
{
	assert_int_equal(unlink(at(context, A, "d/name")), 0);
	return NULL;
}

static void two_names(const struct pod *pod)
{
	char from[160];

	assert_int_equal(mkdir(at(pod, A, "d"), 0755), 0);
	put(at(pod, A, "file"), "text");
	snprintf(from, sizeof(from), "%s", at(pod, A, "file"));
	assert_int_equal(link(from, at(pod, A, "d/name")), 0);
}

/* One of the two is removed here, and that is not answered until removed(). */
static void removing(struct pod *pod, pthread_t *remover)
{
	watch_hold(FUSE_UNLINK);
	assert_int_equal(pthread_create(remover, NULL, unlink_main, pod), 0);
	watch_wait_held();
}

static void removed(pthread_t remover)
{
	watch_release();
	pthread_join(remover, NULL);
}

/* The kernel is told of a removal before it counts that itself: it does not take the file for gone. */
static void test_name_removed(void **state)
{
	struct pod *pod = watch_begin(state, LONG_MS);
	pthread_t remover;
	char from[160];
	nlink_t before;

	two_names(pod);
	warm(pod, "file");
	removing(pod, &remover);
	snprintf(from, sizeof(from), "%s", at(pod, A, "file"));
	before = stat_of(from).st_nlink;
	removed(remover);
	assert_int_equal(before, 1);
	assert_int_equal(link(from, at(pod, A, "d/again")), 0);
	expect_same(pod, "file");
}

struct linker {
	const struct pod *pod;
	atomic_int thread;
	int error;
};

static void *link_main(void *context)
{
	struct linker *l = context;
	char from[160];

	snprintf(from, sizeof(from), "%s", at(l->pod, A, "file"));
	atomic_store(&l->thread, gettid());
	l->error = link(from, at(l->pod, A, "e/again")) ? errno : 0;
	return NULL;
}

/* A thread waits for a lock of the kernel (D), not for an answer (S). */
static void wait_locked(const atomic_int *thread)
{
	char path[64], state = 0;
	FILE *f;

	while (state != 'D') {
		snprintf(path, sizeof(path), "/proc/self/task/%d/stat", atomic_load(thread));
		f = fopen(path, "r");
		if (f) {
			assert_int_equal(fscanf(f, "%*d (%*[^)]) %c", &state), 1);
			fclose(f);
		}
	}
}

/* A link finds its file after a name of that is gone, and waits for the lock of the file, which the remover holds. */
static void link_while_removed(struct pod *pod)
{
	struct linker l = { .pod = pod };
	pthread_t remover, linker;

	assert_int_equal(mkdir(at(pod, A, "e"), 0755), 0);
	two_names(pod);
	stat_of(at(pod, A, "file"));
	removing(pod, &remover);
	assert_int_equal(pthread_create(&linker, NULL, link_main, &l), 0);
	wait_locked(&l.thread);
	removed(remover);
	pthread_join(linker, NULL);
	assert_int_equal(l.error, 0);
	assert_int_equal(stat_of(at(pod, A, "file")).st_nlink, 2);
	expect_same(pod, "file");
}

/* The count alone: with the rest the kernel asks again after a removal, for the time of that. */
static unsigned names_of(int fd)
{
	struct statx st;

	assert_int_equal(statx(fd, "", AT_EMPTY_PATH, STATX_NLINK, &st), 0);
	return st.stx_nlink;
}

/* What is open is asked about before the kernel has counted a removal: that answer is right, and is not kept. */
static void test_counted_while_removed(void **state)
{
	struct pod *pod = watch_begin(state, LONG_MS);
	unsigned before, after;
	pthread_t remover;
	int fd;

	two_names(pod);
	assert_int_equal(link(at(pod, B, "file"), at(pod, B, "third")), 0);
	fd = open(at(pod, A, "file"), O_RDONLY);
	warm(pod, "file");
	removing(pod, &remover);
	before = names_of(fd);
	removed(remover);
	after = names_of(fd);
	assert_true(before == 2 && after == 2);
	close(fd);
	expect_same(pod, "file");
}

/* 0 or errno of access() at A by a user who owns nothing, and cannot come to the mount by its path. */
static int access_by_other(const struct pod *pod, const char *name)
{
	int status, root = open(pod->mount[A], O_PATH | O_DIRECTORY);
	pid_t pid = fork();

	if (!pid)
		_exit(setgid(1000) || setuid(1000) ? 255 : faccessat(root, name, R_OK, 0) ? errno : 0);
	close(root);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WEXITSTATUS(status);
}

/* The kernel does not take the attributes that it asks for meanwhile: it finds the file anew once they have changed. */
static void test_mode_while_removed(void **state)
{
	struct pod *pod = watch_begin(state, LONG_MS);
	pthread_t remover;
	int before;

	assert_int_equal(chmod(pod->mount[A], 0755), 0);
	two_names(pod);
	warm(pod, "file");
	removing(pod, &remover);
	assert_int_equal(chmod(at(pod, B, "file"), 0600), 0);
	before = access_by_other(pod, "file");
	removed(remover);
	assert_int_equal(before, EACCES);
	assert_int_equal(access_by_other(pod, "file"), EACCES);
	expect_same(pod, "file");
}

static void test_linked_while_removed(void **state)
{
	link_while_removed(watch_begin(state, LONG_MS));
}

static void test_linked_while_removed_no_leases(void **state)
{
	link_while_removed(watch_begin(state, 0));
}

/* Nobody was told of that file meanwhile: what is known of others stays. */
static void test_name_removed_alone(void **state)
{
	struct pod *pod = watch_begin(state, LONG_MS);
	unsigned before;

	put(at(pod, A, "file"), "text");
	put(at(pod, A, "other"), "text");
	assert_int_equal(mkdir(at(pod, A, "d"), 0755), 0);
	assert_int_equal(link(at(pod, A, "file"), at(pod, A, "d/name")), 0);
	warm(pod, "other");
	assert_int_equal(unlink(at(pod, A, "d/name")), 0);
	before = watch_all(A);
	stat_of(at(pod, A, "other"));
	assert_int_equal(watch_all(A), before);
	expect_same(pod, "file");
}

/* -- many at once ---------------------------------------------------------------------------- */

#define RACE_LINKS 3000
#define RACE_DIRS 4

struct race {
	char dir[RACE_DIRS][160], source[160];
	atomic_bool over;
};

static void *remove_all(void *context)
{
	struct race *r = context;

	while (!atomic_load(&r->over))
		for (int i = 0; i < RACE_DIRS; i++)
			unlink(r->dir[i]);
	return NULL;
}

static void *look_at_all(void *context)
{
	struct race *r = context;
	struct stat st;

	while (!atomic_load(&r->over))
		for (int i = 0; i < RACE_DIRS; i++) {
			stat(r->dir[i], &st);
			stat(r->source, &st);
		}
	return NULL;
}

/* A file that keeps one name is linked and loses its others, all the time, while others look: it is always there. */
static void link_often(struct pod *pod)
{
	struct race r = { .over = false };
	pthread_t thread[4];
	unsigned missing = 0;

	for (int i = 0; i < RACE_DIRS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "d%d", i);
		assert_int_equal(mkdir(at(pod, A, name), 0755), 0);
		snprintf(r.dir[i], sizeof(r.dir[i]), "%s/name", at(pod, A, name));
	}
	put(at(pod, A, "file"), "text");
	snprintf(r.source, sizeof(r.source), "%s", at(pod, A, "file"));
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, i % 2 ? look_at_all : remove_all, &r), 0);
	for (int i = 0; i < RACE_LINKS; i++)
		missing += link(r.source, r.dir[i % RACE_DIRS]) != 0 && errno != EEXIST;
	atomic_store(&r.over, true);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(missing, 0);
	expect_same(pod, "file");
}

static void test_linked_often(void **state)
{
	link_often(watch_begin(state, LONG_MS));
}

static void test_linked_often_no_leases(void **state)
{
	link_often(watch_begin(state, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, watch_setup, pod_teardown)
		TEST(test_name_removed),          TEST(test_name_removed_alone),
		TEST(test_linked_while_removed),  TEST(test_linked_while_removed_no_leases),
		TEST(test_counted_while_removed), TEST(test_mode_while_removed),
		TEST(test_linked_often),          TEST(test_linked_often_no_leases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
