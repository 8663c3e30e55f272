/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_links.c - files that have several names in storage, through real mounts: made by programs of the pod, and
 * found there. One inode, whichever name; written back by a name that is left.
 */
#include "agent_tree.h"

static struct stat stat_of(const char *path)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st;
}

/* Two names of one file, in the pool as in storage. */
static void expect_linked(const struct tree *t, const char *one, const char *other, unsigned names)
{
	char a[64], b[64];
	struct stat x, y;

	snprintf(a, sizeof(a), "data/%s", one);
	snprintf(b, sizeof(b), "data/%s", other);
	for (int host = A; host <= B; host++) {
		x = stat_of(at(&t->pod, host, a));
		y = stat_of(at(&t->pod, host, b));
		assert_true(x.st_ino == y.st_ino);
		assert_int_equal(x.st_nlink, names);
		assert_int_equal(y.st_nlink, names);
	}
	x = stat_of(in(t, one));
	y = stat_of(in(t, other));
	assert_true(x.st_ino == y.st_ino);
	assert_int_equal(x.st_nlink, names);
}

static void write_at(const char *path, const char *text, off_t offset)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0)
		fail_msg("%s: %s", path, strerror(errno));
	assert_int_equal(pwrite(fd, text, strlen(text), offset), (ssize_t)strlen(text));
	assert_int_equal(close(fd), 0);
}

static void sync_path(const char *path)
{
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	if (fsync(fd))
		fail_msg("%s: %s", path, strerror(errno));
	close(fd);
}

static void sync_file(int fd)
{
	if (fsync(fd))
		fail_msg("fsync: %s", strerror(errno));
}

static void make_link(const struct tree *t, int host, const char *from, const char *to)
{
	if (link(at(&t->pod, host, from), at(&t->pod, host, to)))
		fail_msg("%s to %s: %s", from, to, strerror(errno));
}

/* -- made by programs ------------------------------------------------------------------------- */

static void test_linked(void **state)
{
	struct tree *t = *state;
	char text[8];
	int fd;

	if (!pod_possible())
		skip();
	fd = make_file(at(&t->pod, A, "data/one"), "dirty");
	assert_int_equal(mkdir(at(&t->pod, A, "data/dir"), 0755), 0);
	make_link(t, B, "data/one", "data/dir/two");
	expect_linked(t, "one", "dir/two", 2);
	expect_text(at(&t->pod, A, "data/dir/two"), "dirty");
	expect_text(at(&t->pod, C, "data/dir/two"), "dirty");
	/* By either name, on any host. */
	write_at(at(&t->pod, B, "data/dir/two"), "D", 0);
	expect_text(at(&t->pod, A, "data/one"), "Dirty");
	assert_int_equal(pwrite(fd, "Y", 1, 4), 1);
	expect_text(at(&t->pod, B, "data/dir/two"), "DirtY");
	sync_path(at(&t->pod, B, "data/dir/two"));
	expect_text(in(t, "one"), "DirtY");
	/* Clean, it is the same one after another name has come. */
	make_link(t, A, "data/dir/two", "data/three");
	expect_linked(t, "one", "three", 3);
	assert_int_equal(pread(fd, text, 5, 0), 5);
	/* A name goes, the others stay. */
	assert_int_equal(unlink(at(&t->pod, B, "data/one")), 0);
	expect_error(access(at(&t->pod, A, "data/one"), F_OK), ENOENT);
	assert_false(is_there(in(t, "one")));
	expect_linked(t, "dir/two", "three", 2);
	assert_int_equal(pwrite(fd, "again", 5, 0), 5);
	sync_file(fd);
	expect_text(in(t, "dir/two"), "again");
	assert_int_equal(unlink(at(&t->pod, A, "data/dir/two")), 0);
	assert_int_equal(stat_of(at(&t->pod, B, "data/three")).st_nlink, 1);
	write_at(at(&t->pod, B, "data/three"), "A", 0);
	sync_path(at(&t->pod, A, "data/three"));
	expect_text(in(t, "three"), "Again");
	assert_int_equal(unlink(at(&t->pod, A, "data/three")), 0);
	sync_file(fd);
	close(fd);
	assert_int_equal(rmdir(at(&t->pod, A, "data/dir")), 0);
}

static void test_refused(void **state)
{
	struct tree *t = *state;
	DIR *root;
	struct dirent *e;

	if (!pod_possible())
		skip();
	put(in(t, "f"), "f");
	put(in(t, "g"), "g");
	put(at(&t->pod, A, "own"), "own");
	assert_int_equal(mkdir(in(t, "d"), 0755), 0);
	expect_error(link(at(&t->pod, A, "data/f"), at(&t->pod, A, "data/g")), EEXIST);
	expect_error(link(at(&t->pod, A, "data/d"), at(&t->pod, A, "data/e")), EPERM);
	expect_error(link(at(&t->pod, A, "data/f"), at(&t->pod, A, "f")), EXDEV);
	expect_error(link(at(&t->pod, A, "own"), at(&t->pod, A, "data/own")), EXDEV);
	expect_error(link(at(&t->pod, A, "data/none"), at(&t->pod, A, "data/h")), ENOENT);
	expect_error(link(at(&t->pod, A, "data/f"), at(&t->pod, A, "data/none/h")), ENOENT);
	expect_error(link(at(&t->pod, C, "data/f"), at(&t->pod, C, "data/h")), EROFS);
	/* A symbolic link has names, too. */
	assert_int_equal(symlink("f", at(&t->pod, A, "data/l")), 0);
	assert_int_equal(link(at(&t->pod, A, "data/l"), at(&t->pod, A, "data/m")), 0);
	expect_linked(t, "l", "m", 2);
	expect_text(at(&t->pod, B, "data/m"), "f");
	/* What is for the agents alone is not shown. */
	root = opendir(at(&t->pod, B, "."));
	assert_non_null(root);
	while ((e = readdir(root)))
		assert_true(strncmp(e->d_name, BACKING_NUMBERS, sizeof(BACKING_NUMBERS) - 1) != 0);
	closedir(root);
	expect_error(access(at(&t->pod, B, BACKING_NUMBERS "0"), F_OK), ENOENT);
	for (const char *const *name = (const char *const[]){ "f", "g", "l", "m", NULL }; *name; name++)
		assert_int_equal(unlink(in(t, *name)), 0);
	assert_int_equal(rmdir(in(t, "d")), 0);
	assert_int_equal(unlink(at(&t->pod, A, "own")), 0);
}

/* One name replaces another, of the same file or not. */
static void test_replaced(void **state)
{
	struct tree *t = *state;
	int fd;

	if (!pod_possible())
		skip();
	fd = make_file(at(&t->pod, A, "data/r1"), "linked");
	make_link(t, A, "data/r1", "data/r2");
	close(make_file(at(&t->pod, B, "data/new"), "new"));
	assert_int_equal(rename(at(&t->pod, B, "data/r1"), at(&t->pod, B, "data/r2")), 0); /* says POSIX */
	expect_linked(t, "r1", "r2", 2);
	assert_int_equal(rename(at(&t->pod, B, "data/new"), at(&t->pod, B, "data/r2")), 0);
	expect_text(at(&t->pod, A, "data/r2"), "new");
	expect_text(at(&t->pod, B, "data/r1"), "linked");
	assert_int_equal(stat_of(at(&t->pod, B, "data/r1")).st_nlink, 1);
	assert_int_equal(pwrite(fd, "LINKED", 6, 0), 6);
	sync_file(fd);
	expect_text(in(t, "r1"), "LINKED");
	/* The last one, with what is not written back. */
	assert_int_equal(pwrite(fd, "lost", 4, 0), 4);
	assert_int_equal(rename(at(&t->pod, B, "data/r2"), at(&t->pod, B, "data/r1")), 0);
	sync_file(fd);
	close(fd);
	sync_path(at(&t->pod, A, "data/r1"));
	expect_text(in(t, "r1"), "new");
	assert_int_equal(unlink(at(&t->pod, A, "data/r1")), 0);
}

/* -- found in storage --------------------------------------------------------------------------- */

static void test_found(void **state)
{
	struct tree *t = *state;

	if (!pod_possible())
		skip();
	assert_int_equal(mkdir(in(t, "s"), 0755), 0);
	put(in(t, "x"), "theirs");
	assert_int_equal(link(in(t, "x"), in(t, "s/y")), 0);
	assert_int_equal(link(in(t, "x"), in(t, "s/z")), 0);
	/* As many as storage says, however many the pool knows. */
	assert_int_equal(stat_of(at(&t->pod, A, "data/x")).st_nlink, 3);
	expect_linked(t, "x", "s/y", 3);
	write_at(at(&t->pod, A, "data/x"), "T", 0);
	expect_text(at(&t->pod, B, "data/s/y"), "Theirs");
	write_at(at(&t->pod, B, "data/s/z"), "S", 5);
	expect_text(at(&t->pod, A, "data/x"), "TheirS");
	sync_path(at(&t->pod, A, "data/s/y"));
	expect_text(in(t, "x"), "TheirS");
	/* Another name, made there, while it is clean; and while it is dirty. */
	assert_int_equal(link(in(t, "x"), in(t, "s/w")), 0);
	expect_linked(t, "s/w", "x", 4);
	write_at(at(&t->pod, A, "data/x"), "t", 0);
	assert_int_equal(link(in(t, "x"), in(t, "s/v")), 0);
	expect_linked(t, "s/v", "x", 5);
	expect_text(at(&t->pod, B, "data/s/v"), "theirS");
	write_at(at(&t->pod, B, "data/s/v"), "s", 5);
	expect_text(at(&t->pod, A, "data/x"), "theirs");
	sync_path(at(&t->pod, A, "data/x"));
	expect_text(in(t, "s/y"), "theirs");
	for (const char *const *name = (const char *const[]){ "x", "s/v", "s/w", "s/y", "s/z", NULL }; *name; name++)
		assert_int_equal(unlink(in(t, *name)), 0);
	expect_error(access(at(&t->pod, A, "data/s/y"), F_OK), ENOENT);
	assert_int_equal(rmdir(in(t, "s")), 0);
}

/* It was imported, as of one name, and is open, when it gets another one there. */
static void test_found_late(void **state)
{
	struct tree *t = *state;
	int fd;

	if (!pod_possible())
		skip();
	put(in(t, "late"), "one name");
	expect_text(at(&t->pod, A, "data/late"), "one name");
	assert_int_equal(link(in(t, "late"), in(t, "later")), 0);
	expect_text(at(&t->pod, B, "data/later"), "one name");
	fd = open(at(&t->pod, A, "data/late"), O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "two", 3, 0), 3);
	expect_text(at(&t->pod, B, "data/later"), "two name");
	expect_linked(t, "late", "later", 2);
	sync_file(fd);
	expect_text(in(t, "later"), "two name");
	close(fd);
	assert_int_equal(unlink(at(&t->pod, A, "data/late")), 0);
	assert_int_equal(unlink(at(&t->pod, A, "data/later")), 0);
}

/* The name by which it is known goes, by the pod or there; another one, which nobody here has looked at, is left. */
static void test_name_goes(void **state)
{
	struct tree *t = *state;
	int fd;

	if (!pod_possible())
		skip();
	assert_int_equal(mkdir(in(t, "deep"), 0755), 0);
	assert_int_equal(mkdir(in(t, "deep/er"), 0755), 0);
	put(in(t, "n"), "written");
	assert_int_equal(link(in(t, "n"), in(t, "deep/er/m")), 0);
	fd = open(at(&t->pod, A, "data/n"), O_RDWR);
	assert_int_equal(pwrite(fd, "W", 1, 0), 1);
	assert_int_equal(unlink(at(&t->pod, A, "data/n")), 0);
	assert_int_equal(pwrite(fd, "N", 1, 6), 1);
	sync_file(fd);
	expect_text(in(t, "deep/er/m"), "WritteN");
	expect_text(at(&t->pod, B, "data/deep/er/m"), "WritteN");
	assert_int_equal(pwrite(fd, "w", 1, 0), 1);
	expect_text(at(&t->pod, B, "data/deep/er/m"), "writteN");
	close(fd);
	sync_path(at(&t->pod, B, "data/deep/er/m"));
	expect_text(in(t, "deep/er/m"), "writteN");
	/* There. */
	put(in(t, "o"), "behind");
	assert_int_equal(link(in(t, "o"), in(t, "deep/p")), 0);
	fd = open(at(&t->pod, B, "data/o"), O_RDWR);
	assert_int_equal(pwrite(fd, "B", 1, 0), 1);
	assert_int_equal(unlink(in(t, "o")), 0);
	sync_file(fd);
	expect_text(in(t, "deep/p"), "Behind");
	expect_error(access(at(&t->pod, A, "data/o"), F_OK), ENOENT);
	expect_text(at(&t->pod, A, "data/deep/p"), "Behind");
	close(fd);
	/* There, and its number is of other bytes by then: of another file, for all that is known. */
	put(in(t, "r"), "number");
	assert_int_equal(link(in(t, "r"), in(t, "deep/r")), 0);
	fd = open(at(&t->pod, B, "data/r"), O_RDWR);
	assert_int_equal(pwrite(fd, "N", 1, 0), 1);
	assert_int_equal(unlink(in(t, "r")), 0);
	put(in(t, "deep/r"), "another");
	expect_text(at(&t->pod, A, "data/deep/r"), "another");
	expect_error(fsync(fd), ESTALE);
	expect_text(in(t, "deep/r"), "another");
	expect_text(at(&t->pod, A, "data/r"), "Number"); /* kept */
	assert_int_equal(unlink(at(&t->pod, A, "data/r")), 0);
	sync_file(fd);
	close(fd);
	expect_text(in(t, "deep/r"), "another");
	assert_int_equal(unlink(at(&t->pod, B, "data/deep/r")), 0);
	/* All of them: what was written is kept under its name, as of any file. */
	put(in(t, "q"), "all");
	assert_int_equal(link(in(t, "q"), in(t, "deep/q")), 0);
	fd = open(at(&t->pod, B, "data/q"), O_RDWR);
	assert_int_equal(pwrite(fd, "A", 1, 0), 1);
	assert_int_equal(unlink(in(t, "q")), 0);
	assert_int_equal(unlink(in(t, "deep/q")), 0);
	expect_error(fsync(fd), ESTALE);
	expect_text(at(&t->pod, A, "data/q"), "All");
	assert_int_equal(unlink(at(&t->pod, A, "data/q")), 0);
	expect_error(access(at(&t->pod, B, "data/q"), F_OK), ENOENT);
	sync_file(fd);
	close(fd);
	assert_int_equal(unlink(in(t, "deep/p")), 0);
	assert_int_equal(unlink(in(t, "deep/er/m")), 0);
	assert_int_equal(rmdir(in(t, "deep/er")), 0);
	assert_int_equal(rmdir(in(t, "deep")), 0);
}

/* -- programs ------------------------------------------------------------------------------------ */

static bool has_program(const char *name)
{
	char command[128];

	snprintf(command, sizeof(command), "command -v %s >/dev/null", name);
	return system(command) == 0;
}

/* In a directory of the tree, on a host; it is to be there in storage, too, when all is synced. */
static void run_on(const struct tree *t, int host, const char *script)
{
	char command[1024];
	int rc;

	snprintf(command, sizeof(command), "cd '%s' && { %s; } >'%s/log' 2>&1", at(&t->pod, host, "data"), script,
		 t->pod.dir);
	rc = system(command);
	if (rc) {
		snprintf(command, sizeof(command), "cat '%s/log' >&2", t->pod.dir);
		assert_int_equal(system(command), 0);
		fail_msg("%s: %d", script, rc);
	}
}

/* What is replaced by a rename goes on under its other names, whichever of them the hosts know it by. */
static void test_replaced_elsewhere(void **state)
{
	struct tree *t = *state;
	char text[8] = { 0 };
	struct stat was;
	int fd;

	if (!pod_possible())
		skip();
	assert_int_equal(mkdir(at(&t->pod, A, "data/e"), 0755), 0);
	assert_int_equal(mkdir(at(&t->pod, A, "data/f"), 0755), 0);
	fd = make_file(at(&t->pod, A, "data/e/one"), "hello");
	sync_file(fd);
	was = stat_of(at(&t->pod, A, "data/e/one"));
	make_link(t, A, "data/e/one", "data/f/two");
	put(at(&t->pod, A, "data/f/new"), "new");
	assert_int_equal(rename(at(&t->pod, A, "data/f/new"), at(&t->pod, A, "data/f/two")), 0);
	assert_true(stat_of(at(&t->pod, A, "data/e/one")).st_ino == was.st_ino);
	assert_int_equal(stat_of(at(&t->pod, A, "data/e/one")).st_nlink, 1);
	assert_int_equal(pwrite(fd, "J", 1, 0), 1);
	sync_file(fd);
	assert_int_equal(pread(fd, text, 5, 0), 5);
	assert_string_equal(text, "Jello");
	expect_text(in(t, "e/one"), "Jello");
	expect_text(at(&t->pod, B, "data/e/one"), "Jello");
	close(fd);
	for (const char *const *name = (const char *const[]){ "data/e/one", "data/f/two", NULL }; *name; name++)
		assert_int_equal(unlink(at(&t->pod, B, *name)), 0);
	assert_int_equal(rmdir(at(&t->pod, A, "data/e")), 0);
	assert_int_equal(rmdir(at(&t->pod, A, "data/f")), 0);
}

static void test_programs(void **state)
{
	struct tree *t = *state;
	char command[512];

	if (!pod_possible())
		skip();
	run_on(t, A, "mkdir p && cd p && mkdir -p s/sub && echo one >s/1 && echo two >s/sub/2 && ln -s 1 s/l");
	run_on(t, B, "cd p && cp -al s copy && test s/1 -ef copy/1 && test s/sub/2 -ef copy/sub/2 && diff -r s copy");
	run_on(t, A,
	       "cd p && echo three >>copy/1 && grep -q three s/1 && ln s/1 again && test \"$(stat -c %h s/1)\" = 3");
	run_on(t, B,
	       "cd p && test \"$(stat -c %h again)\" = 3 && rm -r s && grep -q three again && diff -r copy/1 again");
	if (has_program("rsync"))
		run_on(t, B,
		       "cd p && rsync -a copy/ first/ && rsync -a --link-dest=\"$PWD\"/first first/ second/ && "
		       "test first/1 -ef second/1 && test first/sub/2 -ef second/sub/2 && diff -r first second && "
		       "rm -r first && grep -q three second/1");
	if (has_program("git"))
		run_on(t, A,
		       "cd p && git init -q r && cd r && git config user.name n && git config user.email e@e && "
		       "cp ../again f && git add f && git commit -qm f && cd .. && git clone -q --local r c && "
		       "git -C c fsck --full && test \"$(find c/.git/objects -type f -links 2 | wc -l)\" -gt 2 && "
		       "cmp r/f c/f");
	run_on(t, B, "sync -f . ; find p -type f -exec sync {} +");
	snprintf(command, sizeof(command), "diff -r '%s' '%s'", in(t, "p"), at(&t->pod, B, "data/p"));
	assert_int_equal(system(command), 0);
	run_on(t, A, "rm -rf p");
	assert_false(is_there(in(t, "p")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_linked),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_found),
		cmocka_unit_test(test_found_late),
		cmocka_unit_test(test_name_goes),
		cmocka_unit_test(test_replaced_elsewhere),
		cmocka_unit_test(test_programs),
		cmocka_unit_test(tree_test_stop),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
