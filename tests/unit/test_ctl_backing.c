/* SPDX-License-Identifier: Apache-2.0 */
/* test_ctl_backing.c - daxfsctl backing and cache, on real pools without hosts. */
#include "ctl_run.h"

#include <errno.h>
#include <sys/stat.h>

#include "daxfs/cache.h"

struct place {
	char dir[64], pool[96], storage[96];
	struct ctl_run r;
};

static void setup(struct place *p)
{
	memset(p, 0, sizeof(*p));
	strcpy(p->dir, "/dev/shm/daxfs-ctl-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->pool, sizeof(p->pool), "%s/pool", p->dir);
	snprintf(p->storage, sizeof(p->storage), "%s/storage", p->dir);
	assert_int_equal(mkdir(p->storage, 0750), 0);
	ctl_run(&p->r, "mkfs %s --size 16M --name unit --hosts 3 --lanes 2 --heartbeat-ms 20", p->pool);
	ctl_expect(&p->r, CTL_OK, "pool unit ");
}

static void teardown(struct place *p)
{
	ctl_run(&p->r, "check %s", p->pool);
	ctl_expect(&p->r, CTL_OK, "clean");
	ctl_run_end(&p->r);
	unlink(p->pool);
	rmdir(p->storage);
	assert_int_equal(rmdir(p->dir), 0);
}

static void test_add_list_remove(void **state)
{
	struct place p;

	(void)state;
	setup(&p);
	ctl_run(&p.r, "backing add %s data --path %s --read-only", p.pool, p.storage);
	ctl_expect(&p.r, CTL_OK, "backing data added: ");
	ctl_run(&p.r, "backing add %s data --path %s --read-only", p.pool, p.storage);
	ctl_expect(&p.r, CTL_REFUSED, "there is such a name");
	ctl_run(&p.r, "backing add %s more --path %s --read-only --revalidate-ms 50 --json", p.pool, p.storage);
	ctl_expect(&p.r, CTL_OK, "\"name\": \"more\"");
	ctl_run(&p.r, "backing list %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "read-only  revalidate-ms 50 ");
	ctl_expect(&p.r, CTL_OK, p.storage);
	ctl_run(&p.r, "--json backing list %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "\"revalidate_ms\": 1000");
	ctl_run(&p.r, "backing remove %s data", p.pool);
	ctl_expect(&p.r, CTL_OK, "removed from the pool");
	ctl_run(&p.r, "backing remove %s data", p.pool);
	ctl_expect(&p.r, CTL_REFUSED, "no such backing");
	ctl_run(&p.r, "backing remove %s more --json", p.pool);
	ctl_expect(&p.r, CTL_OK, "\"there\": false");
	teardown(&p);
}

static void test_bad_input(void **state)
{
	struct place p;

	(void)state;
	setup(&p);
	ctl_run(&p.r, "backing add %s data --path relative --read-only", p.pool);
	ctl_expect(&p.r, CTL_USAGE, "--path /PATH");
	ctl_run(&p.r, "backing add %s data --path /nonexistent/x --read-only", p.pool);
	ctl_expect(&p.r, CTL_ERROR, "/nonexistent/x: No such file or directory");
	ctl_run(&p.r, "backing add %s data --path /dev/null --read-only", p.pool);
	ctl_expect(&p.r, CTL_ERROR, "/dev/null: Not a directory");
	ctl_run(&p.r, "backing add %s a/b --path /tmp --read-only", p.pool);
	ctl_expect(&p.r, CTL_USAGE, "a name without /");
	ctl_run(&p.r, "backing frob %s", p.pool);
	ctl_expect(&p.r, CTL_USAGE, "add, list, sync or remove");
	ctl_run(&p.r, "backing remove %s", p.pool);
	ctl_expect(&p.r, CTL_USAGE, "add, list, sync or remove");
	teardown(&p);
}

/* With what was in it, of which storage still has all. */
static void test_remove_a_tree(void **state)
{
	const struct daxfs_attr dir = { .mode = S_IFDIR | 0755 }, file = { .mode = S_IFREG | 0644, .size = 100 };
	struct daxfs_error err = { .text = "" };
	struct daxfs_attr top, sub, out;
	struct daxfs *fs;
	struct place p;

	(void)state;
	setup(&p);
	ctl_run(&p.r, "backing add %s data --path %s --read-only", p.pool, p.storage);
	ctl_expect(&p.r, CTL_OK, "backing data added: ");
	assert_int_equal(daxfs_open(p.pool, DAXFS_READ_WRITE, &fs, &err), 0);
	assert_int_equal(daxfs_join(fs, 0, "host", &err), 0);
	assert_int_equal(daxfs_lookup(fs, DAXFS_ROOT, "data", &top), 0);
	assert_int_equal(daxfs_import(fs, top.ino, "d", &dir, 0, 1, &sub), 0);
	assert_int_equal(daxfs_import(fs, sub.ino, "f", &file, 0, 2, &out), 0);
	daxfs_tell_dirty(fs, 0, 5000, 70);
	daxfs_tell_dirty(fs, 1, 700, 10);
	daxfs_tell_write_error(fs, 0, "data", -EDQUOT);
	daxfs_tell_write_error(fs, 1, "another one", -EIO); /* that is not so far behind */
	assert_int_equal(daxfs_beat(fs), 0);
	ctl_run(&p.r, "status %s", p.pool);
	ctl_expect(&p.r, CTL_OK,
		   "degraded: host 0 (host): storage has not what was written 0 s ago, of backing data: "
		   "Disk quota exceeded");
	ctl_run(&p.r, "status %s --json", p.pool);
	ctl_expect(&p.r, CTL_OK, "\"error\": \"Disk quota exceeded\"");
	ctl_run(&p.r, "cache %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "dirty_bytes              5700         5700");
	ctl_run(&p.r, "cache %s --watch --wait 1", p.pool);
	ctl_expect(&p.r, CTL_OK, "read MB/s");
	ctl_run(&p.r, "cache %s --watch --wait 0 --json", p.pool);
	ctl_expect(&p.r, CTL_OK, "\"dirty_bytes\": 5700");
	ctl_run(&p.r, "metrics %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "figure=\"dirty_bytes\"} 5700");
	daxfs_tell_dirty(fs, 0, 0, 0);
	daxfs_tell_dirty(fs, 1, 0, 0);
	assert_int_equal(daxfs_beat(fs), 0);
	ctl_run(&p.r, "status %s", p.pool);
	assert_null(strstr(p.r.out, "storage has not"));
	ctl_run(&p.r, "cache %s /data/d/f", p.pool);
	ctl_expect(&p.r, CTL_OK, "0 of 1 pages");
	ctl_run(&p.r, "cache %s data/d/f --json", p.pool);
	ctl_expect(&p.r, CTL_OK, "\"filling\": 0");
	ctl_run(&p.r, "events %s", p.pool); /* which command of which machine came and went */
	assert_non_null(strstr(p.r.out, "(backing@"));
	assert_non_null(strstr(p.r.out, "(cache@"));
	assert_null(strstr(p.r.out, "unnamed"));
	ctl_run(&p.r, "cache %s data/d", p.pool);
	ctl_expect(&p.r, CTL_REFUSED, "not a file of storage");
	ctl_run(&p.r, "cache %s data/none", p.pool);
	ctl_expect(&p.r, CTL_ERROR, "data/none: No such file");
	ctl_run(&p.r, "cache %s data --watch", p.pool);
	ctl_expect(&p.r, CTL_USAGE, "leave the file out");
	assert_int_equal(daxfs_leave(fs), 0);
	daxfs_close(fs);
	ctl_run(&p.r, "backing remove %s data", p.pool);
	ctl_expect(&p.r, CTL_OK, "storage is as it was");
	ctl_run(&p.r, "cache %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "total");
	ctl_run(&p.r, "cache %s --json", p.pool);
	ctl_expect(&p.r, CTL_OK, "\"evictions\": 0");
	teardown(&p);
}

static ssize_t read_none(void *context, daxfs_ino ino, uint64_t file, void *buf, size_t len, uint64_t offset)
{
	(void)context, (void)ino, (void)file, (void)offset;
	memset(buf, 0, len);
	return (ssize_t)len;
}

static int write_none(void *context, daxfs_ino ino, uint64_t file, const void *buf, size_t len, uint64_t offset)
{
	(void)context, (void)ino, (void)file, (void)buf, (void)len, (void)offset;
	return 0;
}

static int resize_none(void *context, daxfs_ino ino, uint64_t file, uint64_t size, bool exact)
{
	(void)context, (void)ino, (void)file, (void)size, (void)exact;
	return 0;
}

static int sync_none(void *context, daxfs_ino ino, uint64_t file, uint64_t *stamp)
{
	(void)context, (void)ino, (void)file;
	*stamp = 1;
	return 0;
}

/* What is to be written back is told, waited for, and not thrown away. */
static void test_dirty(void **state)
{
	const struct daxfs_storage none = { .struct_size = sizeof(none),
					    .read = read_none,
					    .write = write_none,
					    .resize = resize_none,
					    .sync = sync_none };
	const struct daxfs_attr file = { .mode = S_IFREG | 0644, .size = 100 };
	struct daxfs_error err = { .text = "" };
	struct daxfs_attr top, out;
	struct daxfs *fs;
	struct place p;

	(void)state;
	setup(&p);
	ctl_run(&p.r, "backing add %s data --path %s", p.pool, p.storage);
	ctl_expect(&p.r, CTL_OK, "read and written by hosts");
	ctl_run(&p.r, "backing sync %s data", p.pool);
	ctl_expect(&p.r, CTL_OK, "what was written is in storage");
	assert_int_equal(daxfs_open(p.pool, DAXFS_READ_WRITE, &fs, &err), 0);
	assert_int_equal(daxfs_join(fs, 0, "host", &err), 0);
	assert_int_equal(daxfs_backing_attach(fs, 0, &none), 0);
	assert_int_equal(daxfs_lookup(fs, DAXFS_ROOT, "data", &top), 0);
	assert_int_equal(daxfs_import(fs, top.ino, "f", &file, 0, 2, &out), 0);
	assert_int_equal(daxfs_write(fs, out.ino, "x", 1, 0, 0), 1);
	ctl_run(&p.r, "backing list %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "writable   revalidate-ms 1000");
	ctl_expect(&p.r, CTL_OK, "1 files to be written back");
	ctl_run(&p.r, "--json backing list %s", p.pool);
	ctl_expect(&p.r, CTL_OK, "\"dirty_files\": 1");
	ctl_run(&p.r, "backing sync %s data --timeout 0", p.pool);
	ctl_expect(&p.r, CTL_REFUSED, "still to be written back");
	ctl_run(&p.r, "backing remove %s data", p.pool);
	ctl_expect(&p.r, CTL_REFUSED, "to be written back: daxfsctl backing sync");
	assert_int_equal(daxfs_write_back(fs, out.ino), 0);
	assert_int_equal(daxfs_leave(fs), 0);
	daxfs_close(fs);
	ctl_run(&p.r, "backing sync %s data --json", p.pool);
	ctl_expect(&p.r, CTL_OK, "\"there\": true");
	ctl_run(&p.r, "backing sync %s none", p.pool);
	ctl_expect(&p.r, CTL_REFUSED, "no such backing");
	ctl_run(&p.r, "backing remove %s data", p.pool);
	ctl_expect(&p.r, CTL_OK, "removed from the pool");
	teardown(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_list_remove),
		cmocka_unit_test(test_bad_input),
		cmocka_unit_test(test_remove_a_tree),
		cmocka_unit_test(test_dirty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
