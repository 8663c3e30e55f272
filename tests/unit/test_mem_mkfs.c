/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_mem_mkfs.c - pools made by path, and everything mkfs will not destroy.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "test_mem_util.h"

static char dir[] = "/dev/shm/daxfs-unit-XXXXXX";
static char path[64]; /* of the pool of each test */

static int make_dir(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/pool", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

static int remove_pool(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

static void made(const char *at, struct daxfs_mkfs_options options)
{
	struct daxfs_error err = { .text = "" };

	options.struct_size = sizeof(options);
	if (daxfs_mkfs(at, &options, &err))
		fail_msg("%s", err.text);
}

static void refused(const char *at, struct daxfs_mkfs_options options, int error, const char *words)
{
	struct daxfs_error err = { .text = "" };

	options.struct_size = sizeof(options);
	util_refused(daxfs_mkfs(at, &options, &err), error, &err, words);
}

static struct sm_super super_of(const char *at)
{
	struct daxfs_error err = { .text = "" };
	struct sm_super s;
	struct pool pool;

	if (pool_map(at, DAXFS_READ_WRITE, &pool, &err))
		fail_msg("%s", err.text);
	s = pool.super;
	pool_unmap(&pool);
	return s;
}

static uint64_t size_of(const char *at)
{
	struct stat st;

	assert_int_equal(stat(at, &st), 0);
	return (uint64_t)st.st_size;
}

static void write_file(const char *bytes, size_t len)
{
	int fd = open(path, O_CREAT | O_RDWR | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	close(fd);
}

/* -- what works ---------------------------------------------------------------------- */

/* Programs of another version: what they do not know is as it was, and they ask for nothing that is not there. */
static void test_versions(void **state)
{
	struct {
		struct daxfs_mkfs_options now;
		uint64_t later[3];
	} o = { .now = { .size = 2 << 20, .hosts = 3, .force = true } };
	struct daxfs_error err = { .text = "" };

	(void)state;
	util_refused(daxfs_mkfs(path, &o.now, &err), -EINVAL, &err, "set struct_size");
	o.now.struct_size = offsetof(struct daxfs_mkfs_options, hosts);
	assert_int_equal(daxfs_mkfs(path, &o.now, &err), 0);
	assert_int_equal(super_of(path).hosts, 8); /* the member lies behind what it knows */
	o.now.struct_size = offsetof(struct daxfs_mkfs_options, size);
	util_refused(daxfs_mkfs(path, &o.now, &err), -EINVAL, &err, "set struct_size");
	o.now.struct_size = sizeof(o);
	assert_int_equal(daxfs_mkfs(path, &o.now, &err), 0);
	assert_int_equal(super_of(path).hosts, 3);
	o.later[2] = 1ull << 63;
	util_refused(daxfs_mkfs(path, &o.now, &err), -E2BIG, &err, "does not know");
	assert_int_equal(super_of(path).hosts, 3);
}

static void test_new_file(void **state)
{
	const struct daxfs_mkfs_options o = {
		.name = "pod1",
		.size = (4 << 20) + 5,
		.hosts = 3,
		.wb = true,
		.heartbeat_ms = 20,
	};
	struct sm_super s;
	struct stat st;

	(void)state;
	made(path, o);
	s = super_of(path);
	assert_string_equal(s.name, "pod1");
	assert_int_equal(s.size, 4 << 20);
	assert_int_equal(s.hosts, 3);
	assert_int_equal(s.domain, DAXFS_DOMAIN_WB);
	assert_int_equal(s.heartbeat_ms, 20);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 4 << 20);
	assert_true(st.st_blocks * 512 >= 4 << 20); /* all memory is there: no SIGBUS later */
	assert_int_equal(st.st_mode & 077, 0);      /* others' files are in it */
}

/* Files that hold nothing are as good as new, and keep the size they have. */
static void test_empty_files(void **state)
{
	struct daxfs_error err = { .text = "" };
	struct util_file f;
	struct pool pool;

	(void)state;
	write_file("", 0);
	refused(path, (struct daxfs_mkfs_options){ .size = 0 }, -EINVAL, "give a size");
	made(path, (struct daxfs_mkfs_options){ .size = 2 << 20 });
	util_memfd(&f, NULL, 3 << 20);
	/* Nor does looking at it make it something. */
	assert_int_equal(pool_map(f.path, DAXFS_READ_ONLY, &pool, &err), -EINVAL);
	made(f.path, (struct daxfs_mkfs_options){ .size = 0 });
	assert_int_equal(super_of(f.path).size, 3 << 20);
	close(f.fd);
	util_memfd(&f, NULL, (3 << 20) + 100);
	made(f.path, (struct daxfs_mkfs_options){ .size = 0 });
	assert_int_equal(super_of(f.path).size, 3 << 20);
	assert_int_equal(size_of(f.path), (3 << 20) + 100);
	close(f.fd);
}

static void test_force_makes_another(void **state)
{
	struct daxfs_mkfs_options o = { .size = 2 << 20 };
	struct sm_super first, second;

	(void)state;
	made(path, o);
	first = super_of(path);
	o.force = true;
	o.size = 3 << 20;
	made(path, o);
	second = super_of(path);
	assert_memory_not_equal(first.uuid, second.uuid, 16);
	assert_int_equal(second.size, 3 << 20);
	o.size = 1 << 20; /* and smaller again */
	made(path, o);
	assert_int_equal(super_of(path).size, 1 << 20);
	assert_int_equal(size_of(path), 1 << 20);
	made(path, (struct daxfs_mkfs_options){ .force = true }); /* the size it has */
	assert_int_equal(super_of(path).size, 1 << 20);
}

/* -- refusals -------------------------------------------------------------------------- */

static void test_existing_pool(void **state)
{
	struct daxfs_mkfs_options o = { .size = 2 << 20 };
	struct sm_super before, after;
	int fd;

	(void)state;
	made(path, o);
	before = super_of(path);
	refused(path, o, -EEXIST, "holds a pool: --force");
	o.size = 4 << 20;
	refused(path, o, -EEXIST, "holds a pool: --force");
	after = super_of(path);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(size_of(path), 2 << 20);
	/* A damaged pool is one still: it may be repaired. */
	fd = open(path, O_RDWR);
	assert_int_equal(pwrite(fd, "garbage!", 8, 0), 8);
	assert_int_equal(pwrite(fd, "x", 1, 4096 + 0x30), 1);
	close(fd);
	refused(path, o, -EEXIST, "holds a pool: --force");
}

static void test_other_data(void **state)
{
	const char letter[] = "Dear Ann, this is no pool.\n";
	char back[sizeof(letter)] = "";
	int fd;

	(void)state;
	write_file(letter, sizeof(letter) - 1);
	refused(path, (struct daxfs_mkfs_options){ .size = 2 << 20 }, -EEXIST, "27 bytes that are not a pool");
	refused(path, (struct daxfs_mkfs_options){ .size = 0 }, -EEXIST, "not a pool");
	fd = open(path, O_RDONLY);
	assert_int_equal(read(fd, back, sizeof(back)), sizeof(letter) - 1);
	close(fd);
	assert_string_equal(back, letter);
	/* Also where it is far inside what else is a hole. */
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(truncate(path, 4 << 20), 0);
	fd = open(path, O_RDWR);
	assert_int_equal(pwrite(fd, letter, 5, 3 << 20), 5);
	close(fd);
	refused(path, (struct daxfs_mkfs_options){ .size = 0 }, -EEXIST, "not a pool");
	made(path, (struct daxfs_mkfs_options){ .force = true });
}

/* Whoever has it mapped on this machine, for members only or reading only. */
static void test_in_use(void **state)
{
	const struct daxfs_mkfs_options force = { .force = true };
	struct daxfs_error err = { .text = "" };
	struct pool pool;

	(void)state;
	made(path, (struct daxfs_mkfs_options){ .size = 2 << 20 });
	assert_int_equal(pool_map(path, DAXFS_READ_WRITE, &pool, &err), 0);
	refused(path, force, -EBUSY, "is in use");
	pool_unmap(&pool);
	assert_int_equal(pool_map_member(path, false, &pool, &err), 0);
	refused(path, force, -EBUSY, "is in use");
	pool_unmap(&pool);
	made(path, force);
}

/* What cannot become a pool is not created, and not changed. */
static void test_nothing_left(void **state)
{
	(void)state;
	refused(path, (struct daxfs_mkfs_options){ .size = 0 }, -ENOENT, "give a size");
	assert_int_equal(access(path, F_OK), -1);
	refused(path, (struct daxfs_mkfs_options){ .size = 4096 }, -EINVAL, "at least");
	assert_int_equal(access(path, F_OK), -1);
	refused(path, (struct daxfs_mkfs_options){ .size = 2 << 20, .name = "a/\n" }, -EINVAL, "name");
	assert_int_equal(access(path, F_OK), -1);
	refused(path, (struct daxfs_mkfs_options){ .size = 2 << 20, .hosts = 100 }, -EINVAL, "hosts");
	assert_int_equal(access(path, F_OK), -1);
	refused(path, (struct daxfs_mkfs_options){ .size = UINT64_MAX }, -EFBIG, "too large");
	assert_int_equal(access(path, F_OK), -1);
	made(path, (struct daxfs_mkfs_options){ .size = 2 << 20 });
	refused(path, (struct daxfs_mkfs_options){ .force = true, .size = 4096 }, -EINVAL, "at least");
	refused(path, (struct daxfs_mkfs_options){ .force = true, .hosts = 100 }, -EINVAL, "hosts");
	assert_int_equal(super_of(path).size, 2 << 20);
}

/* Twice what its filesystem has altogether. */
static void test_no_room(void **state)
{
	struct statvfs vfs;
	uint64_t size;

	(void)state;
	assert_int_equal(statvfs(dir, &vfs), 0);
	size = 2 * (uint64_t)vfs.f_blocks * vfs.f_frsize;
	if (!size)
		skip(); /* this /dev/shm has no limit to meet */
	refused(path, (struct daxfs_mkfs_options){ .size = size }, -ENOSPC, "no room");
	assert_int_equal(access(path, F_OK), -1);
	made(path, (struct daxfs_mkfs_options){ .size = 2 << 20 });
	refused(path, (struct daxfs_mkfs_options){ .size = size, .force = true }, -ENOSPC, "no room");
	assert_int_equal(size_of(path), 2 << 20);
	assert_int_equal(super_of(path).size, 2 << 20); /* the old pool is still one */
}

static void test_wrong_places(void **state)
{
	char deeper[128];

	(void)state;
	snprintf(deeper, sizeof(deeper), "%s/no/pool", dir);
	refused(deeper, (struct daxfs_mkfs_options){ .size = 2 << 20 }, -ENOENT, "directory does not exist");
	refused(dir, (struct daxfs_mkfs_options){ .size = 2 << 20, .force = true }, -EISDIR, "is a directory");
	refused("/dev/null", (struct daxfs_mkfs_options){ .size = 2 << 20, .force = true }, -ENODEV, "device-DAX");
	/* A typo in a device's name must not fill /dev with a file. */
	refused("/dev/dax977.3", (struct daxfs_mkfs_options){ .size = 2 << 20 }, -ENOENT, "no such device");
	assert_int_equal(access("/dev/dax977.3", F_OK), -1);
	assert_int_equal(mkfifo(path, 0600), 0);
	refused(path, (struct daxfs_mkfs_options){ .size = 2 << 20, .force = true }, -ENODEV, "neither a regular file");
}

/* What was laid down is there for whoever maps it later. In a mount namespace of its own. */
static int on_huge_pages(void)
{
	const struct daxfs_mkfs_options options = { .struct_size = sizeof(options), .size = 32 << 20 };
	struct daxfs_error err = { .text = "" };
	struct daxfs *fs;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", dir, "tmpfs", 0, "size=64m,huge=always"))
		return 77;
	if (daxfs_mkfs(path, &options, &err) || daxfs_open(path, DAXFS_READ_ONLY, &fs, &err)) {
		print_message("%s\n", err.text);
		return 1;
	}
	daxfs_close(fs);
	return 0;
}

static void test_huge_pages(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0)
		_exit(on_huge_pages());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(status, 0);
}

#define TEST(f) cmocka_unit_test_teardown(f, remove_pool)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_versions),      TEST(test_new_file),
		TEST(test_empty_files),   TEST(test_force_makes_another),
		TEST(test_existing_pool), TEST(test_other_data),
		TEST(test_in_use),        TEST(test_nothing_left),
		TEST(test_no_room),       TEST(test_wrong_places),
		TEST(test_huge_pages),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
