/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_ctl_backup.c - a pool copied and restored: whole, or not at all.
 *
 * Linked with a pwrite that lets something happen in the middle of a copy, and a renameat2 that need not know flags.
 */
#include "ctl_run.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "daxfs/inspect.h"

struct place {
	char dir[64], pool[96], copy[96], other[96];
	struct ctl_run r;
};

static void (*meanwhile)(struct place *p);
static struct place *at;
static int refuse;    /* errno of the next pwrite */
static bool no_flags; /* storage that cannot rename without replacing */

int __real_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int __wrap_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	if (no_flags && flags) {
		errno = EINVAL;
		return -1;
	}
	return __real_renameat2(from_dir, from, to_dir, to, flags);
}

ssize_t __real_pwrite(int fd, const void *buf, size_t n, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *buf, size_t n, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *buf, size_t n, off_t offset)
{
	void (*now)(struct place * p) = meanwhile;

	meanwhile = NULL;
	if (now)
		now(at);
	if (refuse) {
		errno = refuse;
		refuse = 0;
		return -1;
	}
	return __real_pwrite(fd, buf, n, offset);
}

static struct daxfs *join(const struct place *p)
{
	struct daxfs_error err;
	struct daxfs *fs;

	assert_int_equal(daxfs_open(p->pool, DAXFS_READ_WRITE, &fs, &err), 0);
	assert_int_equal(daxfs_join(fs, 1, "one", &err), 0);
	return fs;
}

static void write_file(const struct place *p, const char *name)
{
	struct daxfs_cred cred = { 0, 0 };
	struct daxfs *fs = join(p);
	struct daxfs_attr attr;

	assert_int_equal(daxfs_mknod(fs, DAXFS_ROOT, name, S_IFREG | 0644, 0, cred, false, &attr), 0);
	assert_int_equal(daxfs_write(fs, attr.ino, name, strlen(name), 0, 0), strlen(name));
	assert_int_equal(daxfs_leave(fs), 0);
	daxfs_close(fs);
}

/* Looked for from a slot that nobody else takes. */
static bool has_file(const char *pool, const char *name)
{
	struct daxfs_error err;
	struct daxfs_attr attr;
	struct daxfs *fs;
	char bytes[64];
	bool has;

	assert_int_equal(daxfs_open(pool, DAXFS_READ_WRITE, &fs, &err), 0);
	assert_int_equal(daxfs_join(fs, 0, "reader", &err), 0);
	has = daxfs_lookup(fs, DAXFS_ROOT, name, &attr) == 0;
	if (has) {
		assert_int_equal(daxfs_read(fs, attr.ino, bytes, sizeof(bytes), 0), strlen(name));
		assert_memory_equal(bytes, name, strlen(name));
	}
	assert_int_equal(daxfs_leave(fs), 0);
	daxfs_close(fs);
	return has;
}

static void setup(struct place *p)
{
	memset(p, 0, sizeof(*p));
	at = p;
	strcpy(p->dir, "/dev/shm/daxfs-backup-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->pool, sizeof(p->pool), "%s/pool", p->dir);
	snprintf(p->copy, sizeof(p->copy), "%s/copy", p->dir);
	snprintf(p->other, sizeof(p->other), "%s/other", p->dir);
	ctl_run(&p->r, "mkfs %s --size 16M --hosts 3", p->pool);
	ctl_expect(&p->r, CTL_OK, "pool ");
	write_file(p, "first");
}

/* Nothing half is left, whatever happened. */
static void teardown(struct place *p)
{
	ctl_run_end(&p->r);
	unlink(p->pool);
	unlink(p->copy);
	unlink(p->other);
	assert_int_equal(rmdir(p->dir), 0);
}

static void there_and_back(void **unused)
{
	struct place p;

	(void)unused;
	setup(&p);
	ctl_run(&p.r, "backup %s %s", p.pool, p.copy);
	ctl_expect(&p.r, CTL_OK, "copied ");
	write_file(&p, "second");
	ctl_run(&p.r, "restore %s %s", p.copy, p.pool);
	ctl_expect(&p.r, CTL_REFUSED, "--force");
	assert_true(has_file(p.pool, "second"));
	ctl_run(&p.r, "restore %s %s --force --json", p.copy, p.pool);
	ctl_expect_json(&p.r, "\"size\": 16777216");
	assert_true(has_file(p.pool, "first") && !has_file(p.pool, "second"));
	ctl_run(&p.r, "check %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "clean; files 1");
	write_file(&p, "third");
	ctl_run(&p.r, "restore %s %s", p.copy, p.other);
	ctl_expect(&p.r, CTL_OK, "restored ");
	assert_true(has_file(p.other, "first") && !has_file(p.other, "third"));
	teardown(&p);
}

static void copy_made_by_another(struct place *p)
{
	int fd = open(p->copy, O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static off_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -1 : st.st_size;
}

static void made_meanwhile_by_another(struct place *p)
{
	meanwhile = copy_made_by_another;
	ctl_run(&p->r, "backup %s %s", p->pool, p->copy);
	ctl_expect(&p->r, CTL_REFUSED, "is there");
	assert_int_equal(size_of(p->copy), 0);
	ctl_run(&p->r, "backup %s %s --force", p->pool, p->copy);
	ctl_expect(&p->r, CTL_OK, "copied ");
	assert_true(has_file(p->copy, "first"));
}

/* What is there is replaced only when that was asked for, whenever it came. */
static void over_what_is_there(void **unused)
{
	char part[sizeof(((struct place *)0)->copy) + 8];
	struct place p;
	int fd;

	(void)unused;
	setup(&p);
	snprintf(part, sizeof(part), "%s.part", p.copy);
	copy_made_by_another(&p);
	ctl_run(&p.r, "backup %s %s", p.pool, p.copy);
	ctl_expect(&p.r, CTL_REFUSED, "is there: name another file, or --force");
	assert_int_equal(size_of(p.copy), 0);
	ctl_run(&p.r, "backup --online %s %s", p.pool, p.copy);
	ctl_expect(&p.r, CTL_REFUSED, "is there: name another file, or --force");
	unlink(p.copy);
	made_meanwhile_by_another(&p);
	ctl_run(&p.r, "backup %s %s --force", p.pool, p.pool);
	ctl_expect(&p.r, CTL_REFUSED, "is the pool itself");
	ctl_run(&p.r, "backup %s %s --force", p.pool, p.dir);
	ctl_expect(&p.r, CTL_REFUSED, "is no regular file");
	assert_true(has_file(p.pool, "first"));

	fd = open(part, O_WRONLY | O_CREAT, 0600); /* left by one that was killed, or being written */
	assert_true(fd >= 0);
	assert_int_equal(__real_pwrite(fd, "half", 4, 1 << 25), 4);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	ctl_run(&p.r, "backup %s %s", p.pool, p.other);
	ctl_expect(&p.r, CTL_OK, "copied ");
	ctl_run(&p.r, "backup %s %s --force", p.pool, p.copy);
	ctl_expect(&p.r, CTL_REFUSED, "is being written by another backup");
	assert_int_equal(size_of(part), (1 << 25) + 4);
	close(fd);
	ctl_run(&p.r, "backup %s %s --force", p.pool, p.copy);
	ctl_expect(&p.r, CTL_OK, "copied ");
	assert_int_equal(size_of(p.copy), 16 << 20);
	teardown(&p);
}

/* There a look says whether somebody has made the file meanwhile. */
static void where_flags_are_not_known(void **unused)
{
	struct place p;

	(void)unused;
	setup(&p);
	no_flags = true;
	ctl_run(&p.r, "backup %s %s", p.pool, p.copy);
	ctl_expect(&p.r, CTL_OK, "copied ");
	assert_true(has_file(p.copy, "first"));
	unlink(p.copy);
	made_meanwhile_by_another(&p);
	no_flags = false;
	teardown(&p);
}

static void of_a_pool_in_use(void **unused)
{
	struct daxfs *fs;
	struct place p;

	(void)unused;
	setup(&p);
	fs = join(&p);
	ctl_run(&p.r, "backup %s %s", p.pool, p.copy);
	ctl_expect(&p.r, CTL_REFUSED, "host 1 is ALIVE: stop all agents first");
	assert_int_not_equal(access(p.copy, F_OK), 0);
	daxfs_close(fs);
	teardown(&p);
}

static void comes_and_goes(struct place *p)
{
	write_file(p, "meanwhile");
}

/* Gone again when the copy is done: the slot tells. A former copy stays. */
static void while_a_host_comes_and_goes(void **unused)
{
	struct place p;

	(void)unused;
	setup(&p);
	ctl_run(&p.r, "backup %s %s", p.pool, p.copy);
	ctl_expect(&p.r, CTL_OK, "copied ");
	meanwhile = comes_and_goes;
	ctl_run(&p.r, "backup %s %s --force", p.pool, p.copy);
	ctl_expect(&p.r, CTL_REFUSED, "host 1 came or went meanwhile");
	assert_true(has_file(p.pool, "meanwhile") && !has_file(p.copy, "meanwhile"));
	refuse = ENOSPC;
	ctl_run(&p.r, "backup %s %s --force", p.pool, p.copy);
	ctl_expect(&p.r, CTL_ERROR, "cannot be written: No space");
	assert_true(has_file(p.copy, "first"));
	teardown(&p);
}

/* The library's own words for it. */
static void errors(void **unused)
{
	struct daxfs_error err;
	struct daxfs *fs;
	struct place p;
	int fd;

	(void)unused;
	setup(&p);
	fs = join(&p);
	fd = open(p.copy, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(daxfs_backup(fs, fd, &err), -EBUSY);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(daxfs_restore(p.copy, p.other, false, &err), -EINVAL);
	assert_int_equal(daxfs_leave(fs), 0);
	assert_int_equal(daxfs_backup(fs, fd, &err), 0);
	assert_int_equal(daxfs_restore(p.copy, p.pool, false, &err), -EBUSY); /* mapped, by us */
	daxfs_close(fs);
	assert_int_equal(daxfs_restore(p.copy, p.pool, false, &err), -EEXIST);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	assert_int_equal(daxfs_restore(p.copy, p.pool, true, &err), -ENODATA);
	close(fd);
	assert_true(has_file(p.pool, "first"));
	teardown(&p);
}

/* A copy is there after any mistake: it may be all that is left. */
static void to_itself(void **unused)
{
	struct place p;

	(void)unused;
	setup(&p);
	ctl_run(&p.r, "backup %s %s", p.pool, p.copy);
	ctl_expect(&p.r, CTL_OK, "copied ");
	assert_int_equal(symlink(p.copy, p.other), 0);
	ctl_run(&p.r, "restore %s %s --force", p.copy, p.other);
	ctl_expect(&p.r, CTL_REFUSED, "is the copy itself");
	assert_int_equal(unlink(p.other), 0);
	ctl_run(&p.r, "restore %s %s", p.copy, p.other);
	ctl_expect(&p.r, CTL_OK, "restored ");
	assert_true(has_file(p.other, "first"));
	teardown(&p);
}

/* The bytes of a pool that a host is in are no copy of it, and not taken for one. */
static void of_what_hosts_use(void **unused)
{
	struct daxfs *fs;
	struct place p;

	(void)unused;
	setup(&p);
	fs = join(&p);
	ctl_run(&p.r, "restore %s %s", p.pool, p.other);
	ctl_expect(&p.r, CTL_REFUSED, "host 1 is ALIVE in ");
	assert_int_equal(access(p.other, F_OK), -1);
	assert_int_equal(daxfs_leave(fs), 0);
	daxfs_close(fs);
	ctl_run(&p.r, "restore %s %s", p.pool, p.other);
	ctl_expect(&p.r, CTL_OK, "restored ");
	teardown(&p);
}

static void of_what_is_damaged(void **unused)
{
	struct place p;
	int fd;

	(void)unused;
	setup(&p);
	ctl_run(&p.r, "backup %s %s", p.pool, p.copy);
	ctl_expect(&p.r, CTL_OK, "copied ");
	assert_int_equal(truncate(p.copy, 1 << 20), 0);
	ctl_run(&p.r, "restore %s %s --force", p.copy, p.pool);
	ctl_expect(&p.r, CTL_ERROR, "");
	assert_true(has_file(p.pool, "first")); /* before anything was changed */
	assert_int_equal(truncate(p.copy, 0), 0);
	ctl_run(&p.r, "restore %s %s --force", p.copy, p.pool);
	ctl_expect(&p.r, CTL_ERROR, "is no copy of a pool");
	fd = open(p.pool, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(__real_pwrite(fd, "x", 1, 0x1000), 1);
	close(fd);
	ctl_run(&p.r, "backup %s %s --force", p.pool, p.copy);
	assert_int_equal(p.r.code, CTL_PROBLEMS);
	assert_non_null(strstr(p.r.err, "run daxfsctl check"));
	teardown(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(over_what_is_there),
		cmocka_unit_test(where_flags_are_not_known),
		cmocka_unit_test(of_a_pool_in_use),
		cmocka_unit_test(while_a_host_comes_and_goes),
		cmocka_unit_test(errors),
		cmocka_unit_test(to_itself),
		cmocka_unit_test(of_what_hosts_use),
		cmocka_unit_test(of_what_is_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
