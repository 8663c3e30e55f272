/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_names_half.c - hosts that die between storage and the pool while they change names: what others make of
 * it, through real mounts.
 */
#include "agent_dead.h"

/* Between storage and the pool: what was dirty stays with what was moved, and goes with what was removed. */
static void test_half_done(void **state)
{
	struct tree *t = *state;
	struct dead d;
	uint64_t number;
	int fd[4];

	if (!pod_possible())
		skip();
	fd[0] = make_file(at(&t->pod, A, "data/moved"), "moved, dirty");
	fd[1] = make_file(at(&t->pod, A, "data/removed"), "removed, dirty");
	fd[2] = make_file(at(&t->pod, A, "data/stays"), "not moved");
	fd[3] = make_file(at(&t->pod, A, "data/remains"), "not removed");
	put(in(t, "victim"), "replaced");
	expect_text(at(&t->pod, B, "data/victim"), "replaced");
	number = number_of(at(&t->pod, B, "data/moved"));
	die_begin(t, &d);
	dead_lock(&d);
	intend(&d, t, BACKING_MOVE, "moved", "victim");
	intend(&d, t, BACKING_REMOVE, "removed", NULL);
	intend(&d, t, BACKING_MOVE, "stays", "nowhere");
	intend(&d, t, BACKING_REMOVE, "remains", NULL);
	intend(&d, t, BACKING_MAKE, "made", NULL);
	assert_int_equal(daxfs_xattr_set(d.b.fs, d.b.root, "trusted.daxfs.name.rubbish", "rubbish", 7, 0), 0);
	assert_int_equal(rename(in(t, "moved"), in(t, "victim")), 0);
	assert_int_equal(unlink(in(t, "removed")), 0);
	put(in(t, "made"), "made");
	dead_unlock(&d);
	/* At once, whoever asks. */
	expect_text(at(&t->pod, B, "data/victim"), "moved, dirty");
	assert_int_equal(number_of(at(&t->pod, B, "data/victim")), number);
	expect_error(access(at(&t->pod, A, "data/moved"), F_OK), ENOENT);
	expect_error(access(at(&t->pod, B, "data/removed"), F_OK), ENOENT);
	expect_text(at(&t->pod, B, "data/made"), "made");
	assert_int_equal(fsync(fd[0]), 0);
	expect_text(in(t, "victim"), "moved, dirty");
	assert_int_equal(fsync(fd[1]), 0);
	expect_text(at(&t->pod, A, "data/stays"), "not moved");
	expect_text(at(&t->pod, A, "data/remains"), "not removed");
	die(&d);
	await_no_intents(t);
	expect_text(at(&t->pod, B, "data/stays"), "not moved");
	expect_text(at(&t->pod, B, "data/remains"), "not removed");
	for (int i = 0; i < 4; i++)
		close(fd[i]);
}

/* The same of a second name: whoever looks at either one, or has it open, has one file of two names. */
static void test_half_linked(void **state)
{
	struct tree *t = *state;
	uint64_t number;
	struct stat st;
	struct dead d;
	char text[8];
	int fd;

	if (!pod_possible())
		skip();
	put(in(t, "first"), "linked");
	fd = open(at(&t->pod, A, "data/first"), O_RDONLY);
	assert_true(fd >= 0);
	number = number_of(at(&t->pod, A, "data/first"));
	die_begin(t, &d);
	dead_lock(&d);
	intend_of(&d, BACKING_LINK, "first", "never");
	intend_of(&d, BACKING_LINK, "first", "second");
	assert_int_equal(link(in(t, "first"), in(t, "second")), 0);
	dead_unlock(&d);
	assert_int_equal(pread(fd, text, 6, 0), 6); /* from storage, and it is what it was */
	assert_int_equal(number_of(at(&t->pod, B, "data/first")), number);
	assert_int_equal(number_of(at(&t->pod, B, "data/second")), number);
	assert_int_equal(number_of(at(&t->pod, A, "data/second")), number);
	expect_error(access(at(&t->pod, A, "data/never"), F_OK), ENOENT);
	assert_int_equal(stat(at(&t->pod, A, "data/first"), &st), 0);
	assert_int_equal(st.st_nlink, 2);
	/* One of them is removed by a host that dies of it: the other one stays, and is what it was. */
	dead_lock(&d);
	intend(&d, t, BACKING_REMOVE, "first", NULL);
	assert_int_equal(unlink(in(t, "first")), 0);
	dead_unlock(&d);
	expect_error(access(at(&t->pod, B, "data/first"), F_OK), ENOENT);
	assert_int_equal(number_of(at(&t->pod, B, "data/second")), number);
	assert_int_equal(stat(at(&t->pod, B, "data/second"), &st), 0);
	assert_int_equal(st.st_nlink, 1);
	die(&d);
	await_no_intents(t);
	assert_int_equal(number_of(at(&t->pod, A, "data/second")), number);
	close(fd);
	assert_int_equal(unlink(at(&t->pod, A, "data/second")), 0);
}

/* A host dies when it has taken away the name that a file got last, by a rename or a removal. Another directory
 * has another name of it: whoever looks at that, at once or when nothing is left of that host, finds the same file. */
static void test_half_left(void **state)
{
	struct tree *t = *state;
	struct dead d;
	uint64_t number;
	int fd;

	if (!pod_possible())
		skip();
	for (int round = 0; round < 4; round++) {
		bool at_once = round % 2, removes = round / 2;

		assert_int_equal(mkdir(at(&t->pod, A, "data/e"), 0755), 0);
		fd = make_file(at(&t->pod, A, "data/e/one"), "hello");
		assert_int_equal(fsync(fd), 0);
		close(make_file(at(&t->pod, A, "data/new"), "new"));
		assert_int_equal(link(at(&t->pod, A, "data/e/one"), at(&t->pod, A, "data/two")), 0);
		number = number_of(at(&t->pod, A, "data/two"));
		if (!at_once)
			pod_kill_server(&t->pod, A); /* nobody remembers where that is */
		die_begin(t, &d);
		dead_lock(&d);
		intend(&d, t, removes ? BACKING_REMOVE : BACKING_MOVE, removes ? "two" : "new", removes ? NULL : "two");
		assert_int_equal(removes ? unlink(in(t, "two")) : rename(in(t, "new"), in(t, "two")), 0);
		dead_unlock(&d);
		if (at_once)
			assert_int_equal(number_of(at(&t->pod, B, "data/e/one")), number);
		die(&d);
		await_no_intents(t);
		assert_int_equal(number_of(at(&t->pod, B, "data/e/one")), number);
		assert_int_equal(number_of(at(&t->pod, A, "data/e/one")), number);
		assert_int_equal(pwrite(fd, "J", 1, 0), 1);
		assert_int_equal(fsync(fd), 0);
		expect_text(in(t, "e/one"), "Jello");
		expect_text(at(&t->pod, B, "data/e/one"), "Jello");
		close(fd);
		assert_int_equal(unlink(at(&t->pod, B, "data/e/one")), 0);
		assert_int_equal(rmdir(at(&t->pod, A, "data/e")), 0);
		assert_int_equal(unlink(at(&t->pod, A, removes ? "data/new" : "data/two")), 0);
	}
}

/* The last name of a file of several, which is dirty: by a host that dies of it. */
static void test_half_gone(void **state)
{
	struct tree *t = *state;
	struct dead d;
	int fd;

	if (!pod_possible())
		skip();
	fd = make_file(at(&t->pod, A, "data/a"), "dirty");
	assert_int_equal(link(at(&t->pod, A, "data/a"), at(&t->pod, A, "data/b")), 0);
	assert_int_equal(unlink(at(&t->pod, A, "data/a")), 0);
	die_begin(t, &d);
	dead_lock(&d);
	intend(&d, t, BACKING_REMOVE, "b", NULL);
	assert_int_equal(unlink(in(t, "b")), 0);
	dead_unlock(&d);
	expect_error(access(at(&t->pod, B, "data/b"), F_OK), ENOENT);
	assert_int_equal(fsync(fd), 0); /* it is removed, and nothing of it is to be written back */
	die(&d);
	await_no_intents(t);
	close(fd);
}

/* Nobody asks for the names: the files are written back where storage has them. */
static void test_half_done_unasked(void **state)
{
	struct tree *t = *state;
	struct dead d;
	int fd;

	if (!pod_possible())
		skip();
	fd = make_file(at(&t->pod, A, "data/here"), "to be synced");
	die_begin(t, &d);
	dead_lock(&d);
	intend(&d, t, BACKING_MOVE, "here", "there");
	assert_int_equal(rename(in(t, "here"), in(t, "there")), 0);
	put(in(t, "here"), "another");
	dead_unlock(&d);
	assert_int_equal(fsync(fd), 0);
	expect_text(in(t, "there"), "to be synced");
	expect_text(in(t, "here"), "another");
	die(&d);
	close(fd);
	expect_text(at(&t->pod, B, "data/here"), "another");
	await_no_intents(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_half_done),   cmocka_unit_test(test_half_done_unasked),
		cmocka_unit_test(test_half_linked), cmocka_unit_test(test_half_gone),
		cmocka_unit_test(test_half_left),   cmocka_unit_test(tree_test_stop),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
