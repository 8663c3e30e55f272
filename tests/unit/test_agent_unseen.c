/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_unseen.c - names of storage that nobody has looked at, through the real mount of a host that has not the
 * storage: it asks those that have it.
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unseen),
		cmocka_unit_test(test_nobody),
	};
	const struct CMUnitTest leased[] = {
		cmocka_unit_test(test_absent),
	};

	return cmocka_run_group_tests(tests, setup, teardown) + cmocka_run_group_tests(leased, setup_leased, teardown);
}
