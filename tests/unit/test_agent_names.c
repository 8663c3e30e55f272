/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_agent_names.c - names of storage that are made, removed and renamed through real mounts: two hosts that reach
 * it, one that does not; what is refused; what others do to storage meanwhile.
 */
#include <grp.h>

#include "agent_tree.h"

static void expect_synced(const char *path)
{
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(fsync(fd), 0);
	close(fd);
}

/* -- making ---------------------------------------------------------------------------------- */

static void test_made(void **state)
{
	struct tree *t = *state;
	struct stat st;
	char target[16] = "";
	int fd;

	if (!pod_possible())
		skip();
	expect_error(access(at(&t->pod, B, "data/new"), F_OK), ENOENT);
	fd = make_file(at(&t->pod, A, "data/new"), "made here");
	assert_true(fd >= 0);
	expect_text(in(t, "new"), ""); /* the name is there at once, its bytes when it is written back */
	expect_text(at(&t->pod, B, "data/new"), "made here");
	expect_text(at(&t->pod, C, "data/new"), "made here");
	expect_error(open(at(&t->pod, B, "data/new"), O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	assert_int_equal(stat(in(t, "new"), &st), 0);
	assert_int_equal(st.st_mode, S_IFREG | 0640);
	assert_int_equal(fsync(fd), 0);
	expect_text(in(t, "new"), "made here");
	close(fd);
	assert_int_equal(mkdir(at(&t->pod, B, "data/dir"), 0750), 0);
	expect_error(mkdir(at(&t->pod, A, "data/dir"), 0750), EEXIST);
	assert_int_equal(stat(in(t, "dir"), &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0750);
	assert_int_equal(symlink("dir/x", at(&t->pod, A, "data/link")), 0);
	assert_int_equal(readlink(in(t, "link"), target, sizeof(target)), 5);
	assert_memory_equal(target, "dir/x", 5);
	fd = open(at(&t->pod, A, "data/dir/x"), O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "deep", 4), 4);
	close(fd);
	expect_text(at(&t->pod, B, "data/link"), "deep");
	/* What somebody else made is opened, not made anew. */
	put(in(t, "dir/y"), "theirs");
	fd = open(at(&t->pod, A, "data/dir/y"), O_RDWR | O_CREAT, 0600);
	assert_int_equal(read(fd, target, 6), 6);
	assert_memory_equal(target, "theirs", 6);
	close(fd);
	/* Names on stable storage. */
	expect_synced(at(&t->pod, A, "data/dir"));
	assert_int_equal(mknod(at(&t->pod, A, "data/node"), S_IFREG | 0600, 0), 0);
	assert_true(is_there(in(t, "node")));
	expect_error(mkfifo(at(&t->pod, A, "data/fifo"), 0600), EPERM);
}

/* As the user who asks; of the group of a set-group-ID directory. */
static void test_owner(void **state)
{
	struct tree *t = *state;
	struct stat st;
	int status, dir;
	pid_t pid;

	if (!pod_possible())
		skip();
	assert_int_equal(mkdir(in(t, "own"), 0777), 0);
	assert_int_equal(chmod(in(t, "own"), 02777), 0);
	assert_int_equal(chown(in(t, "own"), 0, 77), 0);
	assert_int_equal(chmod(in(t, "own"), 02777), 0);
	dir = open(at(&t->pod, A, "data/own"), O_PATH);
	pid = fork();
	if (pid == 0) {
		umask(0);
		if (setgroups(0, NULL) || setgid(13) || setuid(12))
			_exit(1);
		if (mkdirat(dir, "d", 0700) || symlinkat("d", dir, "l"))
			_exit(2);
		_exit(openat(dir, "f", O_WRONLY | O_CREAT, 0604) < 0 ? 3 : 0);
	}
	close(dir);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(stat(in(t, "own/f"), &st), 0);
	assert_true(st.st_uid == 12 && st.st_gid == 77 && st.st_mode == (S_IFREG | 0604));
	assert_int_equal(stat(in(t, "own/d"), &st), 0);
	assert_true(st.st_uid == 12 && st.st_gid == 77 && st.st_mode == (S_IFDIR | S_ISGID | 0700));
	assert_int_equal(lstat(in(t, "own/l"), &st), 0);
	assert_true(st.st_uid == 12 && st.st_gid == 77);
	assert_int_equal(stat(at(&t->pod, B, "data/own/f"), &st), 0);
	assert_true(st.st_uid == 12 && st.st_gid == 77 && st.st_mode == (S_IFREG | 0604));
}

/* -- removing -------------------------------------------------------------------------------- */

static void test_removed(void **state)
{
	struct tree *t = *state;
	char buf[16] = "";
	int fd;

	if (!pod_possible())
		skip();
	fd = make_file(at(&t->pod, A, "data/gone"), "dirty bytes");
	assert_int_equal(unlink(at(&t->pod, B, "data/gone")), 0);
	assert_false(is_there(in(t, "gone")));
	expect_error(access(at(&t->pod, A, "data/gone"), F_OK), ENOENT);
	expect_error(access(at(&t->pod, C, "data/gone"), F_OK), ENOENT);
	/* Who has it open goes on with it. */
	assert_int_equal(pread(fd, buf, 5, 0), 5);
	assert_memory_equal(buf, "dirty", 5);
	assert_int_equal(pwrite(fd, "MORE", 4, 6000), 4);
	assert_int_equal(ftruncate(fd, 6002), 0);
	assert_int_equal(pread(fd, buf, 9, 5999), 3);
	assert_memory_equal(buf, "\0MO", 3);
	assert_int_equal(fsync(fd), 0);
	assert_int_equal(fchmod(fd, 0600), 0);
	/* Its bytes are not another file's. */
	put(in(t, "gone"), "another");
	usleep(20000);
	assert_int_equal(fsync(fd), 0);
	close(fd);
	expect_text(in(t, "gone"), "another");
	expect_text(at(&t->pod, A, "data/gone"), "another");
	expect_error(unlink(at(&t->pod, A, "data/none")), ENOENT);
	/* Directories. */
	assert_int_equal(mkdir(at(&t->pod, A, "data/rd"), 0755), 0);
	put(in(t, "rd/x"), "x");
	expect_error(rmdir(at(&t->pod, B, "data/rd")), ENOTEMPTY);
	expect_error(unlink(at(&t->pod, B, "data/rd")), EISDIR);
	expect_error(rmdir(at(&t->pod, B, "data/rd/x")), ENOTDIR);
	assert_int_equal(unlink(at(&t->pod, A, "data/rd/x")), 0);
	assert_int_equal(rmdir(at(&t->pod, B, "data/rd")), 0);
	assert_false(is_there(in(t, "rd")));
	expect_error(rmdir(at(&t->pod, A, "data/rd")), ENOENT);
}

/* -- renaming -------------------------------------------------------------------------------- */

static void test_renamed(void **state)
{
	struct tree *t = *state;
	char buf[16] = "";
	uint64_t number;
	int fd, other;

	if (!pod_possible())
		skip();
	assert_int_equal(mkdir(at(&t->pod, A, "data/from"), 0755), 0);
	assert_int_equal(mkdir(at(&t->pod, A, "data/to"), 0755), 0);
	fd = make_file(at(&t->pod, A, "data/from/f"), "written");
	other = open(at(&t->pod, B, "data/from/f"), O_RDWR);
	assert_true(other >= 0);
	number = number_of(at(&t->pod, A, "data/from/f"));
	put(in(t, "to/g"), "old");
	assert_int_equal(rename(at(&t->pod, A, "data/from/f"), at(&t->pod, A, "data/to/g")), 0);
	assert_false(is_there(in(t, "from/f")));
	expect_error(access(at(&t->pod, B, "data/from/f"), F_OK), ENOENT);
	expect_text(at(&t->pod, B, "data/to/g"), "written");
	expect_text(at(&t->pod, C, "data/to/g"), "written");
	assert_int_equal(number_of(at(&t->pod, B, "data/to/g")), number); /* with all that is cached of it */
	assert_int_equal(pwrite(other, "W", 1, 0), 1);
	assert_int_equal(fsync(other), 0);
	expect_text(in(t, "to/g"), "Written");
	/* Clean, it is no other file afterwards. */
	assert_int_equal(rename(at(&t->pod, B, "data/to/g"), at(&t->pod, B, "data/from/h")), 0);
	assert_int_equal(pread(fd, buf, 7, 0), 7);
	assert_int_equal(number_of(at(&t->pod, A, "data/from/h")), number);
	/* A directory, and what is open and dirty below it. */
	assert_int_equal(pwrite(fd, "again", 5, 0), 5);
	assert_int_equal(rename(at(&t->pod, B, "data/from"), at(&t->pod, B, "data/to/sub")), 0);
	expect_text(at(&t->pod, A, "data/to/sub/h"), "againen");
	assert_int_equal(fsync(fd), 0);
	expect_text(in(t, "to/sub/h"), "againen");
	expect_error(rename(at(&t->pod, A, "data/to"), at(&t->pod, A, "data/to/sub/to")), EINVAL);
	assert_int_equal(mkdir(at(&t->pod, A, "data/full"), 0755), 0);
	put(in(t, "full/x"), "x");
	expect_error(rename(at(&t->pod, A, "data/to"), at(&t->pod, A, "data/full")), ENOTEMPTY);
	expect_error(rename(at(&t->pod, A, "data/to"), at(&t->pod, A, "data/full/x")), ENOTDIR);
	expect_error(rename(at(&t->pod, A, "data/full/x"), at(&t->pod, A, "data/to")), EISDIR);
	assert_int_equal(unlink(at(&t->pod, B, "data/full/x")), 0);
	assert_int_equal(rename(at(&t->pod, A, "data/to"), at(&t->pod, A, "data/full")), 0);
	expect_text(at(&t->pod, B, "data/full/sub/h"), "againen");
	assert_int_equal(pread(other, buf, 7, 0), 7);
	close(fd);
	close(other);
}

static void test_refused(void **state)
{
	struct tree *t = *state;
	char name[400] = "data/";
	int n = 0, fd;

	if (!pod_possible())
		skip();
	put(in(t, "r"), "r");
	put(at(&t->pod, A, "mine"), "mine");
	expect_error(rename(at(&t->pod, A, "data/r"), at(&t->pod, A, "r")), EXDEV);
	expect_error(rename(at(&t->pod, A, "mine"), at(&t->pod, A, "data/mine")), EXDEV);
	expect_error(link(at(&t->pod, A, "mine"), at(&t->pod, A, "data/mine")), EXDEV);
	expect_error(
		renameat2(AT_FDCWD, at(&t->pod, A, "data/r"), AT_FDCWD, at(&t->pod, A, "data/own"), RENAME_EXCHANGE),
		EINVAL);
	put(in(t, "s"), "s");
	expect_error(
		renameat2(AT_FDCWD, at(&t->pod, A, "data/r"), AT_FDCWD, at(&t->pod, A, "data/s"), RENAME_NOREPLACE),
		EEXIST);
	assert_int_equal(
		renameat2(AT_FDCWD, at(&t->pod, A, "data/r"), AT_FDCWD, at(&t->pod, A, "data/t"), RENAME_NOREPLACE), 0);
	expect_text(in(t, "t"), "r");
	memset(name + 5, 'n', 300);
	expect_error(mkdir(at(&t->pod, A, name), 0700), ENAMETOOLONG);
	/* The host without the storage. */
	expect_error(open(at(&t->pod, C, "data/new-by-c"), O_WRONLY | O_CREAT, 0600), EROFS);
	expect_error(mkdir(at(&t->pod, C, "data/new-by-c"), 0700), EROFS);
	expect_error(unlink(at(&t->pod, C, "data/t")), EROFS);
	expect_error(rename(at(&t->pod, C, "data/t"), at(&t->pod, C, "data/u")), EROFS);
	/* It is full: one error, and the pool is as storage. */
	assert_int_equal(mkdir(at(&t->pod, A, "data/many"), 0755), 0);
	do {
		sprintf(name, "data/many/%d", n++);
		fd = open(at(&t->pod, A, name), O_WRONLY | O_CREAT, 0600);
	} while (fd >= 0 && close(fd) == 0);
	assert_int_equal(errno, ENOSPC);
	expect_error(access(at(&t->pod, B, name), F_OK), ENOENT);
	expect_error(mkdir(at(&t->pod, A, name), 0700), ENOSPC);
	while (--n > 0) {
		sprintf(name, "data/many/%d", n - 1);
		assert_int_equal(unlink(at(&t->pod, n % 2 ? A : B, name)), 0);
	}
	assert_int_equal(rmdir(at(&t->pod, A, "data/many")), 0);
	assert_int_equal(unlink(at(&t->pod, A, "mine")), 0);
}

/* -- others change storage -------------------------------------------------------------------- */

static void test_behind_our_back(void **state)
{
	struct tree *t = *state;
	int fd;

	if (!pod_possible())
		skip();
	/* A name goes there while its file is dirty: kept, and to be removed by name. */
	fd = make_file(at(&t->pod, A, "data/kept"), "ours");
	assert_int_equal(unlink(in(t, "kept")), 0);
	expect_text(at(&t->pod, B, "data/kept"), "ours");
	expect_error(fsync(fd), ESTALE);
	assert_int_equal(unlink(at(&t->pod, B, "data/kept")), 0);
	expect_error(access(at(&t->pod, A, "data/kept"), F_OK), ENOENT);
	assert_int_equal(fsync(fd), 0);
	close(fd);
	/* It is another one there: then that is removed. */
	fd = make_file(at(&t->pod, A, "data/kept"), "ours");
	put(in(t, "x"), "theirs");
	assert_int_equal(rename(in(t, "x"), in(t, "kept")), 0);
	assert_int_equal(unlink(at(&t->pod, A, "data/kept")), 0);
	assert_false(is_there(in(t, "kept")));
	close(fd);
	/* A directory that the pool knows is renamed there: it is found under its new name, and used. */
	assert_int_equal(mkdir(at(&t->pod, A, "data/was"), 0755), 0);
	put(in(t, "was/x"), "x");
	expect_text(at(&t->pod, B, "data/was/x"), "x");
	assert_int_equal(rename(in(t, "was"), in(t, "is")), 0);
	expect_error(open(at(&t->pod, B, "data/was/new"), O_WRONLY | O_CREAT, 0600), ENOENT);
	expect_text(at(&t->pod, B, "data/is/x"), "x");
	assert_int_equal(unlink(at(&t->pod, A, "data/is/x")), 0);
	assert_int_equal(rmdir(at(&t->pod, A, "data/is")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made),    cmocka_unit_test(test_owner),   cmocka_unit_test(test_removed),
		cmocka_unit_test(test_renamed), cmocka_unit_test(test_refused), cmocka_unit_test(test_behind_our_back),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
