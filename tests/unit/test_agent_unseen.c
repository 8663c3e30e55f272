/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_unseen.c - names of storage that nobody has looked at, and files that have changed there, through the real
 * mount of a host that has not the storage: it asks those that have it.
 */
#include "agent_storage.h"

#define SHELVES 5
#define BOOKS 7

/* unseen/s3/b2, with its own name in it; and a link to the last. */
static void make_library(const struct tree *t)
{
	char path[64], text[96];

	assert_int_equal(mkdir(in(t, "unseen"), 0755), 0);
	for (int s = 0; s < SHELVES; s++) {
		snprintf(path, sizeof(path), "unseen/s%d", s);
		assert_int_equal(mkdir(in(t, path), 0755), 0);
		for (int b = 0; b < BOOKS; b++) {
			snprintf(path, sizeof(path), "unseen/s%d/b%d", s, b);
			snprintf(text, sizeof(text), "I am %s", path);
			put(in(t, path), text);
		}
	}
	assert_int_equal(symlink("s4/b6", in(t, "unseen/last")), 0);
}

/* A line of a command's output, which must be the only one. */
static void expect_line(const char *command, const char *want)
{
	char line[256] = "", more[256];
	FILE *out = popen(command, "r");

	assert_non_null(out);
	if (fgets(line, sizeof(line), out))
		line[strcspn(line, "\n")] = '\0';
	assert_null(fgets(more, sizeof(more), out));
	assert_int_equal(pclose(out), 0);
	assert_string_equal(line, want);
}

/* What a command says of the tree in storage, it says of it through that host. */
static void expect_alike(const struct tree *t, int host, const char *command)
{
	char both[700];

	snprintf(both, sizeof(both),
		 "(cd '%s' && %s) > '%s/want' && (cd '%s' && %s) > '%s/got' && cmp '%s/want' '%s/got'", in(t, "unseen"),
		 command, t->other, at(&t->pod, host, "data/unseen"), command, t->other, t->other, t->other);
	assert_int_equal(system(both), 0);
}

static void test_unseen(void **state)
{
	struct tree *t = *state;
	char command[256];

	if (!pod_possible())
		skip();
	make_library(t);
	expect_text(at(&t->pod, C, "data/unseen/s2/b3"), "I am unseen/s2/b3"); /* by its path, first of all */
	expect_alike(t, C, "find . | sort");
	expect_alike(t, C, "ls -lR >/dev/null && ls -R"); /* sizes of directories are the pool's */
	expect_alike(t, C, "find . ! -type d -printf '%p %s %m %U %T@ %l\\n' | sort");
	expect_alike(t, C, "cat */* last");
	expect_error(access(at(&t->pod, C, "data/unseen/s2/none"), F_OK), ENOENT);
	/* What is made, and goes, behind its back. */
	put(in(t, "unseen/s0/new"), "new");
	assert_int_equal(unlink(in(t, "unseen/s0/b0")), 0);
	expect_text(at(&t->pod, C, "data/unseen/s0/new"), "new");
	expect_alike(t, C, "find . | sort");
	remove_tree(in(t, "unseen/s1"));
	expect_alike(t, C, "find . | sort");
	expect_error(access(at(&t->pod, C, "data/unseen/s1/b1"), F_OK), ENOENT);
	/* A host that has it stands still; another one is there. */
	assert_int_equal(mkdir(in(t, "unseen/s5"), 0755), 0);
	put(in(t, "unseen/s5/b0"), "after");
	kill(pod_server(&t->pod, A), SIGSTOP);
	expect_text(at(&t->pod, C, "data/unseen/s5/b0"), "after");
	kill(pod_server(&t->pod, A), SIGCONT);
	snprintf(command, sizeof(command), "ls '%s' | wc -l", at(&t->pod, C, "data/unseen"));
	expect_line(command, "6");
}

/* Nobody who has the storage is there: what the pool has is read, and of what it has not nobody says that it is not. */
static void test_nobody(void **state)
{
	struct tree *t = *state;
	struct stat st;

	if (!pod_possible())
		skip();
	for (int i = 0; i < C; i++)
		assert_int_equal(pod_stop(&t->pod, i, SIGTERM), AGENT_EXIT_OK);
	assert_int_equal(stat(at(&t->pod, C, "data/unseen/s2/b3"), &st), 0);
	expect_text(at(&t->pod, C, "data/unseen/s2/b3"), "I am unseen/s2/b3");
	expect_error(access(at(&t->pod, C, "data/unseen/s2/none"), F_OK), ENXIO);
	assert_null(opendir(at(&t->pod, C, "data/unseen")));
	assert_int_equal(errno, ENXIO);
	assert_int_equal(pod_stop(&t->pod, C, SIGTERM), AGENT_EXIT_OK);
	pod_expect_clean(&t->pod);
}

#define LEASE_MS 2000
#define REVALIDATE_MS 300

static int setup_leased(void **state)
{
	return setup_with(state, LEASE_MS, REVALIDATE_MS);
}

/* That a name is not there is believed for the backing's time, and by no kernel for as long as it has a lease. */
static void test_absent(void **state)
{
	struct tree *t = *state;

	if (!pod_possible())
		skip();
	assert_int_equal(mkdir(in(t, "d"), 0755), 0);
	for (int i = 0; i < 3; i++)
		expect_error(access(at(&t->pod, C, "data/d/late"), F_OK), ENOENT);
	put(in(t, "d/late"), "late");
	usleep((REVALIDATE_MS + 100) * 1000);
	expect_text(at(&t->pod, C, "data/d/late"), "late");
	for (int i = 0; i < POD_HOSTS; i++)
		assert_int_equal(pod_stop(&t->pod, i, SIGTERM), AGENT_EXIT_OK);
}

static void age(void)
{
	usleep((REVALIDATE_MS + 100) * 1000);
}

/* What is open is opened once more, by no name. */
static void expect_reopened(int fd, int error)
{
	char path[32];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (error) {
		expect_error(open(path, O_RDONLY), error);
		return;
	}
	again = open(path, O_RDONLY);
	assert_true(again >= 0);
	close(again);
}

/* What others do to storage behind the pool is seen as on a host that has it: by who opens, or looks at a name. */
static void test_changed(void **state)
{
	struct tree *t = *state;
	char path[64];
	struct stat st;
	int fd[POD_HOSTS];

	if (!pod_possible())
		skip();
	put(in(t, "f"), "old");
	put(in(t, "g"), "g");
	expect_text(at(&t->pod, C, "data/f"), "old");
	for (int i = 0; i < POD_HOSTS; i++)
		fd[i] = open(at(&t->pod, i, "data/f"), O_RDONLY);
	age();
	expect_reopened(fd[C], 0);
	age();
	put(in(t, "f"), "longer");
	for (int i = 0; i < POD_HOSTS; i++) {
		expect_reopened(fd[i], ESTALE);
		close(fd[i]);
	}
	expect_text(at(&t->pod, C, "data/f"), "longer");
	age();
	assert_int_equal(truncate(in(t, "f"), 2), 0);
	assert_int_equal(stat(at(&t->pod, C, "data/f"), &st), 0);
	assert_int_equal(st.st_size, 2);
	age();
	snprintf(path, sizeof(path), "%s", in(t, "g"));
	assert_int_equal(rename(path, in(t, "f")), 0);
	expect_text(at(&t->pod, C, "data/f"), "g");
	age();
	assert_int_equal(unlink(in(t, "f")), 0);
	expect_error(open(at(&t->pod, C, "data/f"), O_RDONLY), ENOENT);
	for (int i = 0; i < POD_HOSTS; i++)
		assert_int_equal(pod_stop(&t->pod, i, SIGTERM), AGENT_EXIT_OK);
}

/* Nobody is asked about what was looked at lately. */
static void test_believed(void **state)
{
	struct tree *t = *state;

	if (!pod_possible())
		skip();
	put(in(t, "f"), "old");
	expect_text(at(&t->pod, C, "data/f"), "old");
	put(in(t, "f"), "longer");
	expect_text(at(&t->pod, C, "data/f"), "old");
	for (int i = 0; i < POD_HOSTS; i++)
		assert_int_equal(pod_stop(&t->pod, i, SIGTERM), AGENT_EXIT_OK);
}

/* What `ls -l` sees of a name: listed with attributes, and asked for. */
static off_t listed_size(const char *dir, const char *name)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	struct stat st = { .st_size = -1 };

	assert_non_null(d);
	while ((e = readdir(d)))
		if (strcmp(e->d_name, name) == 0)
			assert_int_equal(fstatat(dirfd(d), name, &st, 0), 0);
	closedir(d);
	return st.st_size;
}

/* Who lists a directory all the time keeps nothing for longer than who looks once: with the storage, and without. */
static void test_listed_often(void **state)
{
	struct tree *t = *state;
	unsigned rounds;

	if (!pod_possible())
		skip();
	assert_int_equal(mkdir(in(t, "dir"), 0755), 0);
	put(in(t, "dir/f"), "old");
	for (int host = A; host <= C; host += C - A) {
		put(in(t, "dir/f"), host == A ? "longer" : "by far longer");
		for (rounds = 0; rounds < 200; rounds++) {
			if (listed_size(at(&t->pod, host, "data/dir"), "f") == (host == A ? 6 : 13))
				break;
			usleep(20000);
		}
		assert_true(rounds < 200);
	}
	for (int i = 0; i < POD_HOSTS; i++)
		assert_int_equal(pod_stop(&t->pod, i, SIGTERM), AGENT_EXIT_OK);
}

static int setup_long(void **state)
{
	return setup_with(state, LEASE_MS, 60000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unseen),
		cmocka_unit_test(test_nobody),
	};
	const struct CMUnitTest leased[] = {
		cmocka_unit_test(test_absent),
	};

	const struct CMUnitTest changed[] = {
		cmocka_unit_test(test_changed),
	};
	const struct CMUnitTest listed[] = {
		cmocka_unit_test(test_listed_often),
	};
	const struct CMUnitTest believed[] = {
		cmocka_unit_test(test_believed),
	};

	return cmocka_run_group_tests(tests, setup, teardown) + cmocka_run_group_tests(leased, setup_leased, teardown) +
	       cmocka_run_group_tests(changed, setup_leased, teardown) +
	       cmocka_run_group_tests(listed, setup_leased, teardown) +
	       cmocka_run_group_tests(believed, setup_long, teardown);
}
