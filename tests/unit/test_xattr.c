/* SPDX-License-Identifier: Apache-2.0 */
/* test_xattr.c - extended attributes (fs/xattr.c), and what the check and repair say of damaged ones. */
#include "check_fixture.h"
#include "fs/xattrset.h"

static ssize_t get(struct daxfs *fs, daxfs_ino ino, const char *name, char *value)
{
	return daxfs_xattr_get(fs, ino, name, value, 8192);
}

static void set_and_get(void **state)
{
	char value[8192], name[258];
	struct daxfs_attr attr;
	struct pod pod;
	struct daxfs *fs;
	daxfs_ino ino;

	(void)state;
	pod_start(&pod, 4 << 20);
	fs = pod.fs[0];
	ino = pod_create(fs, DAXFS_ROOT, "f");
	assert_int_equal(get(pod.fs[1], ino, "user.a", value), -ENODATA);
	assert_int_equal(daxfs_xattr_list(fs, ino, value, sizeof(value)), 0);
	assert_int_equal(daxfs_xattr_set(fs, ino, "user.a", "one", 3, DAXFS_XATTR_REPLACE), -ENODATA);
	assert_int_equal(daxfs_xattr_set(fs, ino, "user.a", "one", 3, DAXFS_XATTR_CREATE), 0);
	assert_int_equal(daxfs_xattr_set(fs, ino, "user.a", "two", 3, DAXFS_XATTR_CREATE), -EEXIST);
	assert_int_equal(daxfs_xattr_set(fs, ino, "user.a", "three", 5, DAXFS_XATTR_REPLACE), 0);
	assert_int_equal(daxfs_xattr_set(fs, ino, "user.aa", NULL, 0, 0), 0);
	assert_int_equal(get(pod.fs[1], ino, "user.a", value), 5);
	assert_memory_equal(value, "three", 5);
	assert_int_equal(get(pod.fs[1], ino, "user.aa", value), 0);
	assert_int_equal(get(pod.fs[1], ino, "user.", value), -ENODATA);
	assert_int_equal(daxfs_xattr_get(fs, ino, "user.a", NULL, 0), 5);
	assert_int_equal(daxfs_xattr_get(fs, ino, "user.a", value, 4), -ERANGE);
	assert_int_equal(daxfs_xattr_list(fs, ino, NULL, 0), 15);
	assert_int_equal(daxfs_xattr_list(fs, ino, value, 14), -ERANGE);
	assert_int_equal(daxfs_xattr_list(fs, ino, value, 15), 15);
	assert_memory_equal(value, "user.a\0user.aa", 15);
	assert_int_equal(daxfs_xattr_remove(fs, ino, "user.b"), -ENODATA);
	assert_int_equal(daxfs_xattr_remove(fs, ino, "user.a"), 0);
	assert_int_equal(get(pod.fs[2], ino, "user.a", value), -ENODATA);
	assert_int_equal(daxfs_xattr_remove(fs, ino, "user.aa"), 0);
	assert_int_equal(pod_check(&pod).usage.pages.live, 1);
	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	assert_int_equal(daxfs_xattr_set(fs, ino, name, "", 0, 0), -ERANGE);
	assert_int_equal(daxfs_xattr_set(fs, ino, "", "", 0, 0), -EINVAL);
	assert_int_equal(daxfs_xattr_set(fs, ino, "user.a", "", 0, 4), -EINVAL);
	name[255] = '\0';
	assert_int_equal(daxfs_xattr_set(fs, ino, name, "", 0, 0), 0);
	assert_int_equal(daxfs_xattr_list(fs, ino, value, sizeof(value)), 256);
	assert_int_equal(daxfs_getattr(fs, ino, &attr), 0);
	assert_int_equal(attr.size, 0);
	assert_int_equal(daxfs_unlink(fs, DAXFS_ROOT, "f"), 0);
	assert_int_equal(get(fs, ino, "user.a", value), -ESTALE);
	assert_int_equal(daxfs_xattr_set(fs, ino, "user.a", "", 0, 0), -ESTALE);
	assert_int_equal(pod_check(&pod).usage.pages.live, 1); /* its page went with it */
	pod_stop(&pod);
}

/* Exactly what a page holds, and not a byte more; a refusal leaves what was there. */
static void full_page(void **state)
{
	const size_t room = DAXFS_XATTR_LIST - 4 - 6;
	char *value = calloc(1, 65536), back[8192];
	struct pod pod;
	struct daxfs *fs;
	daxfs_ino ino;

	(void)state;
	assert_non_null(value);
	pod_start(&pod, 4 << 20);
	fs = pod.fs[0];
	ino = pod_create(fs, DAXFS_ROOT, "f");
	memset(value, 'v', 65536);
	assert_int_equal(daxfs_xattr_set(fs, ino, "user.a", value, room + 1, 0), -ENOSPC);
	assert_int_equal(daxfs_xattr_set(fs, ino, "user.a", value, 65536, 0), -ENOSPC);
	assert_int_equal(daxfs_xattr_set(fs, ino, "user.a", value, room, 0), 0);
	assert_int_equal(daxfs_xattr_set(fs, ino, "user.b", value, 0, 0), -ENOSPC);
	assert_int_equal(daxfs_xattr_set(fs, ino, "user.a", value, room + 1, 0), -ENOSPC);
	assert_int_equal(get(pod.fs[1], ino, "user.a", back), (ssize_t)room);
	assert_memory_equal(back, value, room);
	assert_int_equal(daxfs_xattr_set(fs, ino, "user.a", value, room - 10, 0), 0);
	assert_int_equal(daxfs_xattr_set(fs, ino, "user.b", value, 0, 0), 0);
	assert_int_equal(pod_check(&pod).problems, 0);
	free(value);
	pod_stop(&pod);
}

/* Of what has no name any more, but is open; of directories and links. */
static void of_anything(void **state)
{
	struct daxfs_attr attr;
	char value[8192];
	struct pod pod;
	struct daxfs *fs;
	daxfs_ino ino, dir;

	(void)state;
	pod_start(&pod, 4 << 20);
	fs = pod.fs[0];
	ino = pod_create(fs, DAXFS_ROOT, "f");
	dir = pod_mkdir(fs, DAXFS_ROOT, "d");
	assert_int_equal(daxfs_file_open(fs, ino), 0);
	assert_int_equal(daxfs_unlink(pod.fs[1], DAXFS_ROOT, "f"), 0);
	assert_int_equal(daxfs_xattr_set(pod.fs[2], ino, "user.a", "late", 4, 0), 0);
	assert_int_equal(get(fs, ino, "user.a", value), 4);
	assert_int_equal(daxfs_file_close(fs, ino), 0);
	assert_int_equal(get(fs, ino, "user.a", value), -ESTALE);
	assert_int_equal(daxfs_xattr_set(fs, dir, "user.a", "dir", 3, 0), 0);
	assert_int_equal(daxfs_symlink(fs, dir, "l", "to", pod_root, &attr), 0);
	assert_int_equal(daxfs_xattr_set(fs, attr.ino, "trusted.a", "link", 4, 0), 0);
	assert_int_equal(get(pod.fs[1], dir, "user.a", value), 3);
	assert_int_equal(get(pod.fs[1], attr.ino, "trusted.a", value), 4);
	assert_int_equal(daxfs_unlink(fs, dir, "l"), 0);
	assert_int_equal(daxfs_rmdir(fs, DAXFS_ROOT, "d"), 0);
	assert_int_equal(pod_check(&pod).usage.pages.live, 1);
	pod_stop(&pod);
}

/* -- damage ---------------------------------------------------------------------- */

static struct sm_xattrs *page_of(struct fixture *s, uint64_t inode)
{
	return (void *)pool_page(s->pool, link_index(sm_load(&fixture_inode(s, inode)->xattrs)));
}

static void want_bad(struct fixture *s)
{
	fixture_want(s, "bad-xattrs: inode %llu", (unsigned long long)s->small);
}

static void bad_byte(struct fixture *s)
{
	page_of(s, s->small)->list[3] ^= 1;
	want_bad(s);
}

static void sealed(struct fixture *s, struct sm_xattrs *page)
{
	page->crc = xattrset_crc(page);
	want_bad(s);
}

static void too_long(struct fixture *s)
{
	page_of(s, s->small)->used = UINT32_MAX;
	want_bad(s);
}

static void cut_short(struct fixture *s)
{
	page_of(s, s->small)->used--;
	sealed(s, page_of(s, s->small));
}

static void of_another(struct fixture *s)
{
	page_of(s, s->small)->inode++;
	sealed(s, page_of(s, s->small));
}

static void name_twice(struct fixture *s)
{
	struct sm_xattrs *page = page_of(s, s->small);

	xattrset_remove(page, "user.empty");
	assert_int_equal(xattrset_add(page, "user.of small", "", 0), 0);
	sealed(s, page);
}

static void name_with_nul(struct fixture *s)
{
	page_of(s, s->small)->list[8] = '\0';
	sealed(s, page_of(s, s->small));
}

static void of_no_page(struct fixture *s)
{
	fixture_set(&fixture_inode(s, s->small)->xattrs, DAXFS_W_LINK, link_payload(DAXFS_XATTR, UINT32_MAX));
	want_bad(s);
}

static void of_another_kind(struct fixture *s)
{
	fixture_set(&fixture_inode(s, s->small)->xattrs, DAXFS_W_LINK,
		    link_payload(DAXFS_DATA, link_index(sm_load(&fixture_inode(s, s->small)->xattrs))));
	want_bad(s);
}

static void shared(struct fixture *s)
{
	fixture_set(&fixture_inode(s, s->small)->xattrs, DAXFS_W_LINK,
		    word_payload(sm_load(&fixture_inode(s, s->dir)->xattrs), DAXFS_W_LINK));
	want_bad(s);
}

static void lost_page(struct fixture *s)
{
	uint64_t page = link_index(sm_load(&fixture_inode(s, s->small)->xattrs));

	fixture_set(&fixture_inode(s, s->small)->xattrs, DAXFS_W_LINK, 0);
	fixture_want(s, "leak: page %llu", (unsigned long long)page);
}

static void mark_left(struct fixture *s)
{
	sm_store(&fixture_inode(s, s->small)->xattrs, mark_make(1, 0, 77777));
	fixture_want(s, "orphan-mark: inode %llu", (unsigned long long)s->small);
}

static const struct damage damages[] = {
	DAMAGE(bad_byte, 1),   DAMAGE(too_long, 1),      DAMAGE(cut_short, 1),  DAMAGE(of_another, 1),
	DAMAGE(name_twice, 1), DAMAGE(name_with_nul, 1), DAMAGE(of_no_page, 0), DAMAGE(of_another_kind, 0),
	DAMAGE(shared, 0),     DAMAGE(lost_page, 1),     DAMAGE(mark_left, 0),
};

static void every_damage_is_found(void **unused)
{
	(void)unused;
	fixture_damages(damages, sizeof(damages) / sizeof(damages[0]));
}

/* Who meets a page that makes no sense gets EIO; the file is as it was. */
static void damage_is_eio(void **state)
{
	char value[8192];
	struct pod pod;
	daxfs_ino ino;
	uint64_t w;

	(void)state;
	pod_start(&pod, 4 << 20);
	ino = pod_create(pod.fs[0], DAXFS_ROOT, "f");
	assert_int_equal(daxfs_xattr_set(pod.fs[0], ino, "user.a", "1", 1, 0), 0);
	w = sm_load(&fs_pool_writable(pod.fs[0])->inodes[handle_index(ino)].xattrs);
	pool_page(fs_pool_writable(pod.fs[0]), link_index(w))[0x20] ^= 1;
	assert_int_equal(get(pod.fs[1], ino, "user.a", value), -EIO);
	assert_int_equal(daxfs_xattr_list(pod.fs[1], ino, value, sizeof(value)), -EIO);
	assert_int_equal(daxfs_xattr_set(pod.fs[1], ino, "user.b", "1", 1, 0), -EIO);
	assert_int_equal(daxfs_write(pod.fs[1], ino, "abc", 3, 0, 0), 3);
	pool_page(fs_pool_writable(pod.fs[0]), link_index(w))[0x20] ^= 1;
	assert_int_equal(get(pod.fs[1], ino, "user.a", value), 1);
	pod_stop(&pod);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_and_get),           cmocka_unit_test(full_page),     cmocka_unit_test(of_anything),
		cmocka_unit_test(every_damage_is_found), cmocka_unit_test(damage_is_eio),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
