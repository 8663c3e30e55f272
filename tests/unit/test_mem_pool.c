/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_mem_pool.c - pools mapped by path: what works, and every refusal in words.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "test_mem_util.h"

static char dir[] = "/tmp/daxfs-unit-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return rmdir(dir);
}

static const char *in_dir(const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

/* Both ways of mapping refuse path alike. */
static void refused(const char *path, bool writable, int error, const char *words)
{
	struct daxfs_error err = { .text = "" };
	struct pool pool = { .lanes_total = 77 };

	util_refused(pool_map(path, writable ? DAXFS_READ_WRITE : DAXFS_READ_ONLY, &pool, &err), error, &err, words);
	memset(err.text, 0, sizeof(err.text));
	util_refused(pool_map_member(path, writable, &pool, &err), error, &err, words);
	assert_int_equal(pool.lanes_total, 77);
}

static void refused_both(const char *path, int error, const char *words)
{
	refused(path, false, error, words);
	refused(path, true, error, words);
}

/* A pool that another user made: may be looked at, and is not written to. */
static void test_owner(void **state)
{
	struct daxfs_error err = { .text = "" };
	struct util_file f;
	struct pool pool;

	(void)state;
	if (geteuid() != 0)
		skip();
	util_pool_file(&f);
	assert_int_equal(fchown(f.fd, 12345, 12345), 0);
	refused(f.path, true, -EPERM, "belongs to another user (12345)");
	assert_int_equal(pool_map(f.path, DAXFS_READ_ONLY, &pool, &err), 0);
	pool_unmap(&pool);
	assert_int_equal(fchown(f.fd, 0, 0), 0);
	assert_int_equal(pool_map(f.path, DAXFS_READ_WRITE, &pool, &err), 0);
	pool_unmap(&pool);
	close(f.fd);
}

/* -- what works ---------------------------------------------------------------------- */

static void test_filemap(void **state)
{
	struct daxfs_error err = { .text = "" };
	struct util_file f;
	struct pool a, b;

	(void)state;
	util_pool_file(&f);
	assert_int_equal(pool_map(f.path, DAXFS_READ_WRITE, &a, &err), 0);
	assert_int_equal(pool_map(f.path, DAXFS_READ_ONLY, &b, &err), 0);
	assert_true(a.writable && !b.writable && a.owns_map && b.owns_map);
	assert_true(a.shm.size >= a.super.size);
	assert_int_equal((uintptr_t)a.shm.base % (2 << 20), 0);
	assert_ptr_not_equal(a.shm.base, b.shm.base);
	assert_int_equal(sm_load(&b.inodes[1].parent), 4ull << 32 | 1);
	sm_store(&a.open_table[3], 99); /* one memory, two mappings */
	assert_int_equal(sm_load(&b.open_table[3]), 99);
	memset(a.pages + (a.objects[DAXFS_T_PAGE] - 1) * 4096, 1, 4096);
	pool_unmap(&a);
	pool_unmap(&a); /* twice is once */
	assert_int_equal(sm_load(&b.open_table[3]), 99);
	pool_unmap(&b);
	assert_int_equal(fcntl(f.fd, F_GETFD), FD_CLOEXEC);
	close(f.fd);
}

/* A daemon that watches members cannot reach file data by accident. */
static void test_map_member(void **state)
{
	struct daxfs_error err = { .text = "" };
	struct util_file f;
	struct pool a, b;

	(void)state;
	util_pool_file(&f);
	assert_int_equal(pool_map_member(f.path, true, &a, &err), 0);
	assert_true(a.shm.size >= 3 * 4096 + sizeof(struct sm_member) && a.shm.size <= 8 * 4096);
	assert_null(a.lanes);
	assert_null(a.open_table);
	assert_null(a.inodes);
	assert_null(a.dirents);
	assert_null(a.pages);
	assert_null(a.state[0]);
	assert_int_equal(pool_map(f.path, DAXFS_READ_ONLY, &b, &err), 0);
	sm_store(&a.member->host[63].rec_files, 5);
	assert_int_equal(sm_load(&b.member->host[63].rec_files), 5);
	pool_unmap(&a);
	pool_unmap(&b);
	close(f.fd);
}

/* Damage elsewhere is not the business of who maps members only. */
static void test_map_member_of_damaged(void **state)
{
	struct daxfs_error err = { .text = "" };
	struct util_file f;
	struct sm_super s;
	struct pool pool;

	(void)state;
	util_pool_file(&f);
	assert_int_equal(pread(f.fd, &s, sizeof(s), 0), sizeof(s));
	assert_int_equal(pwrite(f.fd, "x", 1, (off_t)s.region[DAXFS_R_INODES].offset), 1);
	util_refused(pool_map(f.path, DAXFS_READ_ONLY, &pool, &err), -EUCLEAN, &err, "inodes");
	assert_int_equal(pool_map_member(f.path, false, &pool, &err), 0);
	pool_unmap(&pool);
	assert_int_equal(pwrite(f.fd, "x", 1, (off_t)s.region[DAXFS_R_MEMBER].offset), 1);
	refused_both(f.path, -EUCLEAN, "member");
	close(f.fd);
}

static void test_one_good_superblock(void **state)
{
	struct daxfs_error err = { .text = "" };
	struct pool pool;

	(void)state;
	for (off_t at = 0; at <= 4096; at += 4096) {
		struct util_file f;

		util_pool_file(&f);
		assert_int_equal(pwrite(f.fd, "garbage", 7, at + 0x20), 7);
		assert_int_equal(pool_map(f.path, DAXFS_READ_WRITE, &pool, &err), 0);
		pool_unmap(&pool);
		assert_int_equal(pool_map_member(f.path, false, &pool, &err), 0);
		pool_unmap(&pool);
		assert_int_equal(pwrite(f.fd, "garbage", 7, 4096 - at + 0x21), 7);
		refused_both(f.path, -EUCLEAN, "both superblocks are damaged");
		close(f.fd);
	}
}

/* A copy with holes gets its memory at mapping time, not by luck of a later store. */
static void test_holes_filled(void **state)
{
	struct daxfs_error err = { .text = "" };
	void *base = util_pool();
	struct util_file f;
	struct pool pool;
	struct stat st;
	uint64_t at;

	(void)state;
	util_memfd(&f, NULL, UTIL_POOL_BYTES);
	assert_int_equal(pwrite(f.fd, base, 600 << 10, 0), 600 << 10);  /* the tables; pages are a hole */
	for (unsigned id = DAXFS_R_SUMMARY; id < DAXFS_REGIONS; id++) { /* but for the tables behind them */
		at = util_super(base, 0)->region[id].offset;
		assert_int_equal(pwrite(f.fd, (uint8_t *)base + at, DAXFS_PAGE_SIZE, (off_t)at), DAXFS_PAGE_SIZE);
	}
	assert_int_equal(pool_map(f.path, DAXFS_READ_ONLY, &pool, &err), 0);
	pool_unmap(&pool);
	assert_int_equal(fstat(f.fd, &st), 0);
	assert_true(st.st_blocks * 512 < (off_t)UTIL_POOL_BYTES);
	assert_int_equal(pool_map(f.path, DAXFS_READ_WRITE, &pool, &err), 0);
	pool_unmap(&pool);
	assert_int_equal(fstat(f.fd, &st), 0);
	assert_true(st.st_blocks * 512 >= (off_t)UTIL_POOL_BYTES);
	close(f.fd);
	free(base);
}

/* -- refusals -------------------------------------------------------------------------- */

static void test_not_a_pool(void **state)
{
	const size_t sizes[] = { 0, 1, 4096, 8191, 8192, 1 << 20 };
	struct util_file f;

	(void)state;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		util_memfd(&f, NULL, sizes[i]);
		refused_both(f.path, -EINVAL, "not a daxfs pool: ");
		close(f.fd);
	}
}

static void test_truncated(void **state)
{
	struct util_file f;

	(void)state;
	util_pool_file(&f);
	assert_int_equal(ftruncate(f.fd, UTIL_POOL_BYTES - 1), 0);
	refused_both(f.path, -ENODATA, "only 2097151");
	assert_int_equal(ftruncate(f.fd, 8192), 0);
	refused_both(f.path, -ENODATA, "only 8192");
	assert_int_equal(ftruncate(f.fd, 4096), 0);
	refused_both(f.path, -EINVAL, "not a daxfs pool: ");
	close(f.fd);
}

static void next_version(struct sm_super *s)
{
	s->version = DAXFS_VERSION + 1;
}

static void new_feature(struct sm_super *s)
{
	s->incompat = 1ull << 63;
}

static void compat_feature(struct sm_super *s)
{
	s->compat |= 1ull << 63;
}

static void read_only_feature(struct sm_super *s)
{
	s->ro_compat = 8;
}

static void test_features(void **state)
{
	struct daxfs_error err = { .text = "" };
	struct util_file f;
	struct pool pool;

	(void)state;
	util_pool_file(&f);
	util_edit(&f, compat_feature);
	assert_int_equal(pool_map(f.path, DAXFS_READ_WRITE, &pool, &err), 0);
	pool_unmap(&pool);
	util_edit(&f, read_only_feature);
	refused(f.path, true, -EROFS, "0x8");
	assert_int_equal(pool_map(f.path, DAXFS_READ_ONLY, &pool, &err), 0);
	pool_unmap(&pool);
	util_edit(&f, new_feature);
	refused_both(f.path, -EPROTONOSUPPORT, "features");
	util_edit(&f, next_version);
	refused_both(f.path, -EPROTONOSUPPORT, "format version 5, this program 4");
	close(f.fd);
}

static void test_wrong_kinds(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	refused_both(in_dir("missing"), -ENOENT, "make the pool with daxfsctl mkfs");
	refused_both("/dev/dax977.3", -ENOENT, "no such device");
	refused_both(dir, -EISDIR, "is a directory");
	refused_both("/dev/null", -ENODEV, "not a device-DAX device");
	assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
	refused(in_dir("fifo"), true, -ENODEV, "neither a regular file nor a device-DAX device");
	refused(in_dir("fifo"), false, -ENODEV, "neither a regular file nor a device-DAX device");
	assert_int_equal(unlink(in_dir("fifo")), 0);
	memcpy(addr.sun_path, in_dir("socket"), strlen(in_dir("socket")) + 1);
	assert_int_equal(bind(s, (struct sockaddr *)&addr, sizeof(addr)), 0);
	refused_both(in_dir("socket"), -ENXIO, "No such device or address");
	assert_int_equal(unlink(in_dir("socket")), 0);
	close(s);
}

/* As somebody who may not: the exit status tells what went wrong, if anything. */
static int try_unprivileged(const char *path)
{
	struct daxfs_error err = { .text = "" };
	struct pool pool;

	if (geteuid() == 0 && (setgid(65534) || setuid(65534)))
		return 1;
	if (pool_map(path, DAXFS_READ_ONLY, &pool, &err) != -EACCES || !strstr(err.text, "no permission to read"))
		return 2;
	if (pool_map(path, DAXFS_READ_WRITE, &pool, &err) != -EACCES || !strstr(err.text, "no permission to write"))
		return 3;
	return 0;
}

static void test_no_permission(void **state)
{
	int fd = open(in_dir("secret"), O_CREAT | O_RDWR, 0), status;
	pid_t child;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(chmod(dir, 0755), 0);
	close(fd);
	child = fork();
	if (child == 0)
		_exit(try_unprivileged(in_dir("secret")));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(unlink(in_dir("secret")), 0);
	assert_int_equal(status, 0);
}

/* Failures leave no descriptor and no mapping behind. */
static void test_no_leaks(void **state)
{
	struct daxfs_error err;
	struct util_file f;
	struct pool pool;
	int before, after;

	(void)state;
	util_pool_file(&f);
	util_edit(&f, next_version);
	before = dup(f.fd);
	close(before);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(pool_map(f.path, DAXFS_READ_WRITE, &pool, &err), -EPROTONOSUPPORT);
		assert_int_equal(pool_map_member(f.path, true, &pool, &err), -EPROTONOSUPPORT);
		assert_int_equal(pool_map("/dev/null", DAXFS_READ_WRITE, &pool, &err), -ENODEV);
	}
	after = dup(f.fd);
	close(after);
	assert_int_equal(before, after);
	close(f.fd);
}

/* Names and paths in a reason are anybody's bytes. */
static void test_reasons_are_one_line(void **state)
{
	struct daxfs_error err;
	char path[512];

	(void)state;
	assert_int_equal(daxfs_error_set(&err, -ENOENT, "%s: no", "a\nb\t\033[2Jc\177"), -ENOENT);
	assert_string_equal(err.text, "a?b??[2Jc?: no");
	memset(path, '\n', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	daxfs_error_set(&err, 0, "%s", path);
	assert_int_equal(strspn(err.text, "?"), sizeof(err.text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reasons_are_one_line),
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_filemap),
		cmocka_unit_test(test_map_member),
		cmocka_unit_test(test_map_member_of_damaged),
		cmocka_unit_test(test_one_good_superblock),
		cmocka_unit_test(test_holes_filled),
		cmocka_unit_test(test_not_a_pool),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_features),
		cmocka_unit_test(test_wrong_kinds),
		cmocka_unit_test(test_no_permission),
		cmocka_unit_test(test_no_leaks),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
