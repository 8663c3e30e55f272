/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_errors.c - every error that a contract of the library names is given, for the reason that it names.
 *
 * EXPECT makes a call and notes which error of which call it was. At the end the contracts are read, and what
 * they name must have been noted, or be the business of another test that has both the call and the error.
 */
#include <sys/stat.h>

#include "pod.h"
#include "source.h"

#define NOTES 256

struct fixture {
	struct pod pod;
	struct daxfs *fs;
	daxfs_ino d, e, f, l, fifo; /* directories d (not empty) and e, a file, a symbolic link */
	struct daxfs_attr out;
};

static char noted[NOTES][64]; /* "daxfs_lookup -ENOENT" */
static size_t n_noted;

static void note(const char *call, const char *error)
{
	assert_true(n_noted < NOTES);
	snprintf(noted[n_noted++], sizeof(noted[0]), "%.*s %s", (int)strcspn(call, "("), call, error);
}

#define EXPECT(call, error)                                                                                            \
	do {                                                                                                           \
		assert_int_equal(call, error);                                                                         \
		note(#call, #error);                                                                                   \
	} while (0)

static char too_long[300], page[4096];
static const struct daxfs_attr no_attr;

static void fixture_start(struct fixture *s)
{
	struct daxfs_attr attr;

	pod_start(&s->pod, 4 << 20);
	s->fs = s->pod.fs[0];
	s->d = pod_mkdir(s->fs, DAXFS_ROOT, "d");
	s->e = pod_mkdir(s->fs, DAXFS_ROOT, "e");
	s->f = pod_create(s->fs, DAXFS_ROOT, "f");
	pod_mkdir(s->fs, s->d, "sub");
	assert_int_equal(daxfs_symlink(s->fs, DAXFS_ROOT, "l", "target", pod_root, &attr), 0);
	s->l = attr.ino;
	assert_int_equal(daxfs_mknod(s->fs, DAXFS_ROOT, "fifo", S_IFIFO, 0, pod_root, false, &attr), 0);
	s->fifo = attr.ino;
	memset(too_long, 'x', sizeof(too_long) - 1);
}

/* A directory that has been removed, and is still open. */
static daxfs_ino removed(struct fixture *s)
{
	daxfs_ino gone = pod_mkdir(s->fs, DAXFS_ROOT, "gone");

	assert_int_equal(daxfs_file_open(s->fs, gone), 0);
	assert_int_equal(daxfs_rmdir(s->fs, DAXFS_ROOT, "gone"), 0);
	return gone;
}

static void test_make(void **state)
{
	struct fixture s;
	struct daxfs *fs;
	daxfs_ino gone;

	(void)state;
	fixture_start(&s);
	fs = s.fs;
	gone = removed(&s);
	EXPECT(daxfs_lookup(fs, DAXFS_ROOT, "none", &s.out), -ENOENT);
	EXPECT(daxfs_lookup(fs, s.f, "none", &s.out), -ENOTDIR);
	EXPECT(daxfs_lookup(fs, DAXFS_ROOT, too_long, &s.out), -ENAMETOOLONG);
	EXPECT(daxfs_lookup(fs, DAXFS_ROOT, "d/sub", &s.out), -EINVAL);
	EXPECT(daxfs_mknod(fs, DAXFS_ROOT, "f", S_IFREG, 0, pod_root, false, &s.out), -EEXIST);
	EXPECT(daxfs_mknod(fs, gone, "x", S_IFREG, 0, pod_root, false, &s.out), -ENOENT);
	EXPECT(daxfs_mknod(fs, s.f, "x", S_IFREG, 0, pod_root, false, &s.out), -ENOTDIR);
	EXPECT(daxfs_mknod(fs, DAXFS_ROOT, "x", S_IFDIR, 0, pod_root, false, &s.out), -EINVAL);
	EXPECT(daxfs_mknod(fs, DAXFS_ROOT, "", S_IFREG, 0, pod_root, false, &s.out), -ENOENT);
	EXPECT(daxfs_mknod(fs, DAXFS_ROOT, too_long, S_IFREG, 0, pod_root, false, &s.out), -ENAMETOOLONG);
	EXPECT(daxfs_mkdir(fs, DAXFS_ROOT, "f", 0755, pod_root, &s.out), -EEXIST);
	EXPECT(daxfs_mkdir(fs, gone, "x", 0755, pod_root, &s.out), -ENOENT);
	EXPECT(daxfs_mkdir(fs, s.f, "x", 0755, pod_root, &s.out), -ENOTDIR);
	EXPECT(daxfs_mkdir(fs, DAXFS_ROOT, "a/b", 0755, pod_root, &s.out), -EINVAL);
	EXPECT(daxfs_mkdir(fs, DAXFS_ROOT, "", 0755, pod_root, &s.out), -ENOENT);
	EXPECT(daxfs_mkdir(fs, DAXFS_ROOT, too_long, 0755, pod_root, &s.out), -ENAMETOOLONG);
	EXPECT(daxfs_symlink(fs, DAXFS_ROOT, "f", "t", pod_root, &s.out), -EEXIST);
	EXPECT(daxfs_symlink(fs, gone, "x", "t", pod_root, &s.out), -ENOENT);
	EXPECT(daxfs_symlink(fs, s.f, "x", "t", pod_root, &s.out), -ENOTDIR);
	EXPECT(daxfs_symlink(fs, DAXFS_ROOT, too_long, "t", pod_root, &s.out), -ENAMETOOLONG);
	EXPECT(daxfs_link(fs, s.f, DAXFS_ROOT, "d", &s.out), -EEXIST);
	EXPECT(daxfs_link(fs, s.d, DAXFS_ROOT, "x", &s.out), -EPERM);
	EXPECT(daxfs_link(fs, s.f, gone, "x", &s.out), -ENOENT);
	EXPECT(daxfs_link(fs, s.f, s.l, "x", &s.out), -ENOTDIR);
	EXPECT(daxfs_link(fs, s.f, DAXFS_ROOT, too_long, &s.out), -ENAMETOOLONG);
	EXPECT(daxfs_readlink(fs, s.f, page, sizeof(page)), -EINVAL);
	EXPECT(daxfs_readlink(fs, s.l, page, 3), -ERANGE);
	assert_int_equal(daxfs_file_close(fs, gone), 0);
	EXPECT(daxfs_file_close(fs, gone), -EBADF);
	EXPECT(daxfs_file_open(fs, gone), -ESTALE);
	pod_stop(&s.pod);
}

static void test_remove(void **state)
{
	struct fixture s;
	struct daxfs *fs;

	(void)state;
	fixture_start(&s);
	fs = s.fs;
	EXPECT(daxfs_unlink(fs, DAXFS_ROOT, "none"), -ENOENT);
	EXPECT(daxfs_unlink(fs, DAXFS_ROOT, "d"), -EISDIR);
	EXPECT(daxfs_unlink(fs, s.f, "x"), -ENOTDIR);
	EXPECT(daxfs_rmdir(fs, DAXFS_ROOT, "none"), -ENOENT);
	EXPECT(daxfs_rmdir(fs, DAXFS_ROOT, "f"), -ENOTDIR);
	EXPECT(daxfs_rmdir(fs, DAXFS_ROOT, "d"), -ENOTEMPTY);
	EXPECT(daxfs_rmdir(fs, DAXFS_ROOT, "."), -EINVAL);
	EXPECT(daxfs_rename(fs, DAXFS_ROOT, "none", DAXFS_ROOT, "x", 0), -ENOENT);
	EXPECT(daxfs_rename(fs, DAXFS_ROOT, "f", DAXFS_ROOT, "l", DAXFS_RENAME_NOREPLACE), -EEXIST);
	EXPECT(daxfs_rename(fs, DAXFS_ROOT, "e", DAXFS_ROOT, "d", 0), -ENOTEMPTY);
	EXPECT(daxfs_rename(fs, DAXFS_ROOT, "f", DAXFS_ROOT, "e", 0), -EISDIR);
	EXPECT(daxfs_rename(fs, DAXFS_ROOT, "e", DAXFS_ROOT, "f", 0), -ENOTDIR);
	EXPECT(daxfs_rename(fs, DAXFS_ROOT, "d", s.d, "x", 0), -EINVAL);
	EXPECT(daxfs_rename(fs, DAXFS_ROOT, "f", DAXFS_ROOT, too_long, 0), -ENAMETOOLONG);
	pod_stop(&s.pod);
}

static void test_data(void **state)
{
	const struct daxfs_attr large = { .size = DAXFS_FILE_MAX + 1 };
	struct daxfs_view *view;
	struct daxfs_draft *draft;
	const void *at;
	void *pages;
	uint64_t found;
	struct fixture s;
	struct daxfs *fs;

	(void)state;
	fixture_start(&s);
	fs = s.fs;
	EXPECT(daxfs_setattr(fs, s.d, DAXFS_SET_SIZE, &no_attr, &s.out), -EISDIR);
	EXPECT(daxfs_setattr(fs, s.l, DAXFS_SET_SIZE, &no_attr, &s.out), -EINVAL);
	EXPECT(daxfs_setattr(fs, s.f, DAXFS_SET_SIZE, &large, &s.out), -EFBIG);
	EXPECT(daxfs_read(fs, s.d, page, 1, 0), -EISDIR);
	EXPECT(daxfs_write(fs, s.d, page, 1, 0, 0), -EISDIR);
	EXPECT(daxfs_write(fs, s.l, page, 1, 0, 0), -EINVAL);
	EXPECT(daxfs_write(fs, s.f, page, 1, DAXFS_FILE_MAX, 0), -EFBIG);
	EXPECT(daxfs_seek(fs, s.f, 0, DAXFS_SEEK_DATA, &found), -ENXIO);
	EXPECT(daxfs_seek(fs, s.d, 0, DAXFS_SEEK_DATA, &found), -EISDIR);
	EXPECT(daxfs_seek(fs, s.l, 0, DAXFS_SEEK_DATA, &found), -EINVAL);
	EXPECT(daxfs_allocate(fs, s.f, 0, 0, DAXFS_PUNCH, 0), -EINVAL);
	EXPECT(daxfs_allocate(fs, s.d, 0, 4096, DAXFS_PUNCH, 0), -EISDIR);
	EXPECT(daxfs_allocate(fs, s.f, DAXFS_FILE_MAX, 4096, DAXFS_ALLOCATE, 0), -EFBIG);
	EXPECT(daxfs_readdir(fs, s.f, 0, NULL, NULL), -ENOTDIR);
	EXPECT(daxfs_draft_begin(fs, s.f, 1, 4096, &pages, &draft), -EINVAL);
	EXPECT(daxfs_draft_begin(fs, s.f, DAXFS_FILE_MAX, 4096, &pages, &draft), -EFBIG);
	assert_int_equal(daxfs_view_open(fs, &view), 0);
	EXPECT(daxfs_view_read(view, s.d, 0, &at), -EISDIR);
	EXPECT(daxfs_view_read(view, s.fifo, 0, &at), -EINVAL);
	daxfs_view_close(view);
	pod_stop(&s.pod);
}

static void test_beside(void **state)
{
	struct daxfs_lock lock = { .type = DAXFS_LOCK_WRITE, .kind = DAXFS_LOCK_FLOCK, .owner = 1 }, bad = lock, out;
	struct fixture s;
	struct daxfs *fs;

	(void)state;
	fixture_start(&s);
	fs = s.fs;
	EXPECT(daxfs_xattr_set(fs, s.f, "user.a", "v", 1, DAXFS_XATTR_REPLACE), -ENODATA);
	assert_int_equal(daxfs_xattr_set(fs, s.f, "user.a", "value", 5, 0), 0);
	EXPECT(daxfs_xattr_set(fs, s.f, "user.a", "v", 1, DAXFS_XATTR_CREATE), -EEXIST);
	EXPECT(daxfs_xattr_set(fs, s.f, too_long, "v", 1, 0), -ERANGE);
	EXPECT(daxfs_xattr_set(fs, s.f, "", "v", 1, 0), -EINVAL);
	EXPECT(daxfs_xattr_get(fs, s.f, "user.b", page, 4), -ENODATA);
	EXPECT(daxfs_xattr_get(fs, s.f, "user.a", page, 4), -ERANGE);
	EXPECT(daxfs_xattr_get(fs, s.f, "", page, 4), -EINVAL);
	EXPECT(daxfs_xattr_list(fs, s.f, page, 4), -ERANGE);
	EXPECT(daxfs_xattr_remove(fs, s.f, "user.b"), -ENODATA);
	EXPECT(daxfs_xattr_remove(fs, s.f, too_long), -ERANGE);
	EXPECT(daxfs_xattr_remove(fs, s.f, ""), -EINVAL);
	EXPECT(daxfs_lock(fs, s.f, &lock), -EBADF);
	assert_int_equal(daxfs_file_open(fs, s.f), 0);
	assert_int_equal(daxfs_file_open(s.pod.fs[1], s.f), 0);
	assert_int_equal(daxfs_lock(s.pod.fs[1], s.f, &lock), 0);
	EXPECT(daxfs_lock(fs, s.f, &lock), -EAGAIN);
	bad.kind = DAXFS_LOCK_POSIX;
	bad.start = 1;
	EXPECT(daxfs_lock(fs, s.f, &bad), -EINVAL);
	EXPECT(daxfs_lock_get(fs, s.f, &bad, &out), -EINVAL);
	assert_int_equal(daxfs_file_close(s.pod.fs[1], s.f), 0);
	assert_int_equal(daxfs_file_close(fs, s.f), 0);
	pod_stop(&s.pod);
}

/* -- the contracts ----------------------------------------------------------------------- */

/* What takes more than a call: where the error is given, which must name it. NULL: by nobody. */
static const struct {
	const char *error, *where;
} elsewhere[] = {
	{ "daxfs_mkfs -E2BIG", "test_mem_mkfs.c" },
	{ "daxfs_mkfs -EEXIST", "test_mem_mkfs.c" },
	{ "daxfs_mkfs -EINVAL", "test_mem_mkfs.c" },
	{ "daxfs_mkfs -ENODEV", "test_mem_mkfs.c" },
	{ "daxfs_mkfs -ENOSPC", "test_mem_mkfs.c" },
	{ "daxfs_mkfs -EACCES", NULL },
	{ "daxfs_open -EINVAL", "test_mem_pool.c" },
	{ "daxfs_open -EPROTONOSUPPORT", "test_mem_super.c" },
	{ "daxfs_open -EUCLEAN", "test_mem_super.c" },
	{ "daxfs_open -ENODATA", "test_mem_pool.c" },
	{ "daxfs_open -ENODEV", "test_mem_pool.c" },
	{ "daxfs_open -ENOSPC", NULL },
	{ "daxfs_open -ENOENT", "test_mem_pool.c" },
	{ "daxfs_open -EACCES", NULL },
	{ "daxfs_backing_attach -E2BIG", "test_cache.c" },
	{ "daxfs_coherence_test -E2BIG", "test_ctl_coherence.c" },
	{ "daxfs_backup -EBUSY", "test_ctl_backup.c" },
	{ "daxfs_backup -EIO", NULL },
	{ "daxfs_backup -ENOSPC", "test_ctl_backup.c" },
	{ "daxfs_restore -EINVAL", "test_ctl_backup.c" },
	{ "daxfs_restore -ENODATA", "test_ctl_backup.c" },
	{ "daxfs_restore -EEXIST", "test_ctl_backup.c" },
	{ "daxfs_restore -EBUSY", "test_ctl_backup.c" },
	{ "daxfs_restore -ENOSPC", NULL },
	{ "daxfs_restore -EACCES", NULL },
	{ "daxfs_member_heartbeat -EINVAL", "test_fabricd_heartbeat.c" },
	{ "daxfs_member_heartbeat -EROFS", "test_fabricd_heartbeat.c" },
	{ "daxfs_member_judge -EAGAIN", "test_fabricd_heartbeat.c" },
	{ "daxfs_member_judge -EROFS", "test_fabricd_heartbeat.c" },
	{ "daxfs_coherence_test -EINVAL", "test_ctl_coherence.c" },
	{ "daxfs_coherence_test -EROFS", "test_ctl_coherence.c" },
	{ "daxfs_coherence_test -ETIMEDOUT", "test_ctl_coherence.c" },
	{ "daxfs_coherence_test -EBUSY", "test_ctl_coherence.c" },
	{ "daxfs_coherence_proof -ENODATA", "test_ctl_coherence.c" },
	{ "daxfs_identity_here -EINVAL", "test_lobby.c" },
	{ "daxfs_identity_here -ENOENT", "test_lobby.c" },
	{ "daxfs_identity_here -EACCES", NULL },
	{ "daxfs_join_as -EBUSY", "test_membership.c" },
	{ "daxfs_join_as -EALREADY", "test_membership.c" },
	{ "daxfs_join_as -EEXIST", "test_lobby.c" },
	{ "daxfs_join_as -ENAMETOOLONG", "test_membership.c" },
	{ "daxfs_join_as -EROFS", "test_lane_pool.c" },
	{ "daxfs_join_as -EINVAL", "test_membership.c" },
	{ "daxfs_join_as -ESTALE", "test_membership.c" },
	{ "daxfs_join_as -EIO", "test_membership.c" },
	{ "daxfs_leave -EBUSY", "test_view.c" },
	{ "daxfs_leave -ESTALE", "test_membership.c" },
	{ "daxfs_leave -EIO", "test_membership.c" },
	{ "daxfs_beat -ESTALE", "test_membership.c" },
	{ "daxfs_recover -EBUSY", "test_recover.c" },
	{ "daxfs_recover -EINVAL", "test_membership.c" },
	{ "daxfs_recover -EIO", "test_membership.c" },
	{ "daxfs_revive -ESTALE", "test_agent_self_recover.c" },
	{ "daxfs_revive -EIO", NULL },
	{ "daxfs_guard -EIO", "test_poison.c" },
	{ "daxfs_repair_done -ENOENT", "test_membership.c" },
	{ "daxfs_repair_done -EINVAL", "test_membership.c" },
	{ "daxfs_repair_done -EROFS", NULL },
	{ "daxfs_mknod -ENFILE", "test_open_table.c" },
	{ "daxfs_file_open -ENFILE", "test_open_table.c" },
	{ "daxfs_dir_keep -ENOLCK", "test_cache_keep.c" },
	{ "daxfs_dir_keep -ENOSPC", NULL },
	{ "daxfs_dir_unkeep -EBADF", "test_cache_keep.c" },
	{ "daxfs_link -EMLINK", "test_limits.c" },
	{ "daxfs_view_open -EBUSY", "test_view.c" },
	{ "daxfs_local_open -EINVAL", "test_local.c" },
	{ "daxfs_local_open -E2BIG", "test_local.c" },
	{ "daxfs_local_open -EBUSY", "test_local.c" },
	{ "daxfs_view_read -ESTALE", "test_view.c" },
	{ "daxfs_view_read -EAGAIN", NULL },
	{ "daxfs_view_read -ENODATA", "test_cache_room.c" },
	{ "daxfs_backing_attach -EINVAL", "test_cache.c" },
	{ "daxfs_backing_attach -EBUSY", "test_cache.c" },
	{ "daxfs_asked -ENXIO", "test_cache_ask.c" },
	{ "daxfs_ask_names -ENXIO", "test_cache_ask_names.c" },
	{ "daxfs_ask_names -ETIMEDOUT", "test_cache_ask_names.c" },
	{ "daxfs_ask_names -ESTALE", "test_cache_ask_names.c" },
	{ "daxfs_ask_names -ENOSPC", NULL },
	{ "daxfs_ask_names -EINVAL", "test_cache_ask_names.c" },
	{ "daxfs_ask_names -ENOTDIR", "test_cache_ask_names.c" },
	{ "daxfs_ask_name -ENOENT", "test_cache_ask_names.c" },
	{ "daxfs_ask_name -ENAMETOOLONG", "test_cache_ask_names.c" },
	{ "daxfs_ask_name -EINVAL", "test_cache_ask_names.c" },
	{ "daxfs_ask_look -ESTALE", "test_cache_ask_names.c" },
	{ "daxfs_ask_look -ENXIO", "test_cache_ask_names.c" },
	{ "daxfs_ask_look -ETIMEDOUT", "test_cache_ask_names.c" },
	{ "daxfs_ask_look -EINVAL", "test_cache_ask_names.c" },
	{ "daxfs_serve -EEXIST", NULL },
	{ "daxfs_serve -EALREADY", "test_cache_ask_names.c" },
	{ "daxfs_serve -EOPNOTSUPP", "test_cache_ask_names.c" },
	{ "daxfs_serve -ENXIO", "test_cache_ask.c" },
	{ "daxfs_serve -EAGAIN", "test_cache_ask.c" },
	{ "daxfs_serve -ENOSPC", "test_cache_ask.c" },
	{ "daxfs_backing_detach -ENOENT", "test_cache.c" },
	{ "daxfs_import -EEXIST", "test_cache.c" },
	{ "daxfs_import -ENOSPC", "test_cache_give_back.c" },
	{ "daxfs_import -EFBIG", "test_cache.c" },
	{ "daxfs_import -EINVAL", "test_cache.c" },
	{ "daxfs_import -EOPNOTSUPP", "test_cache.c" },
	{ "daxfs_import_link -EEXIST", "test_cache_names.c" },
	{ "daxfs_import_link -ENAMETOOLONG", "test_cache_names.c" },
	{ "daxfs_import_link -EINVAL", "test_cache_names.c" },
	{ "daxfs_import_again -EINVAL", "test_cache_names.c" },
	{ "daxfs_import_name -EEXIST", "test_cache_names.c" },
	{ "daxfs_import_name -EINVAL", "test_cache_names.c" },
	{ "daxfs_import_name -EPERM", "test_cache_names.c" },
	{ "daxfs_import_name -ENOENT", NULL },
	{ "daxfs_import_name -EMLINK", NULL },
	{ "daxfs_import_name -EOPNOTSUPP", "test_features.c" },
	{ "daxfs_import_name -ECANCELED", "test_cache_names.c" },
	{ "daxfs_give_back -ESTALE", "test_cache_give_back.c" },
	{ "daxfs_give_back -ENOENT", "test_cache_give_back.c" },
	{ "daxfs_give_back -ENOTEMPTY", "test_cache_give_back.c" },
	{ "daxfs_give_back -EBUSY", "test_cache_give_back.c" },
	{ "daxfs_give_back -ETXTBSY", "test_cache_give_back.c" },
	{ "daxfs_directories -ENOENT", "test_cache_give_back.c" },
	{ "daxfs_forget -ESTALE", "test_cache_names.c" },
	{ "daxfs_forget -ENOENT", "test_cache_names.c" },
	{ "daxfs_forget -ENOTEMPTY", "test_cache_names.c" },
	{ "daxfs_forget -EBUSY", "test_cache_write.c" },
	{ "daxfs_discard -ESTALE", "test_cache_write.c" },
	{ "daxfs_discard -ENOENT", "test_cache_write.c" },
	{ "daxfs_discard -ENOTEMPTY", "test_cache_write.c" },
	{ "daxfs_move -ESTALE", "test_cache_write.c" },
	{ "daxfs_move -EINVAL", "test_cache_write.c" },
	{ "daxfs_move -ECANCELED", "test_cache_since.c" },
	{ "daxfs_discard -ECANCELED", "test_cache_since.c" },
	{ "daxfs_since -ESTALE", "test_cache_since.c" },
	{ "daxfs_source -EINVAL", "test_cache_names.c" },
	{ "daxfs_source -ESTALE", "test_cache_names.c" },
	{ "daxfs_read_cached -ENODATA", "test_cache_names.c" },
	{ "daxfs_write_back -EROFS", "test_cache_write.c" },
	{ "daxfs_write_back -EINVAL", "test_cache_write.c" },
	{ "daxfs_write_back -EBUSY", "test_cache_write.c" },
	{ "daxfs_write_back -EIO", NULL },
	{ "daxfs_stamp -EINVAL", "test_cache_write.c" },
	{ "daxfs_restamp -ECANCELED", "test_cache_since.c" },
	{ "daxfs_cached -EINVAL", "test_cache_poison.c" },
	{ "daxfs_cached -ESTALE", "test_cache_poison.c" },
	{ "daxfs_cache_stats_of -EINVAL", "test_cache_names.c" },
	{ "daxfs_cache_stats_of -EIO", NULL },
	{ "daxfs_draft_begin -EBUSY", NULL },
	{ "daxfs_draft_commit -EAGAIN", "test_draft.c" },
	{ "daxfs_allocate -ENOSPC", "test_sparse.c" },
	{ "daxfs_readdir -ESTALE", NULL },
	{ "daxfs_xattr_set -ENOSPC", "test_xattr.c" },
	{ "daxfs_xattr_set -EOPNOTSUPP", "test_cache_write.c" },
	{ "daxfs_xattr_set -EROFS", "test_cache_write.c" },
	{ "daxfs_xattr_remove -ENOSPC", NULL },
	{ "daxfs_lease_start -EOPNOTSUPP", "test_lease.c" },
	{ "daxfs_receipt_use -EAGAIN", NULL },
	{ "daxfs_resume -ESTALE", "test_resume.c" },
	{ "daxfs_resume -EINVAL", "test_resume.c" },
	{ "daxfs_resume -EIO", NULL },
	{ "daxfs_lock -ENOLCK", "test_lock.c" },
	{ "daxfs_repair -EBUSY", "test_repair.c" },
	{ "daxfs_repair -ECANCELED", NULL },
	{ "daxfs_repair_item -EBUSY", "test_repair.c" },
	{ "daxfs_repair_item -EIO", NULL },
	{ "daxfs_recover_dry_run -EINVAL", "test_check_flight.c" },
	{ "daxfs_inflight -EINVAL", "test_check_flight.c" },
	{ "daxfs_dump -EINVAL", "test_check_flight.c" },
};

static bool is_given(const char *error)
{
	char path[128];

	for (size_t i = 0; i < n_noted; i++)
		if (strcmp(noted[i], error) == 0)
			return true;
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
		if (strcmp(elsewhere[i].error, error) != 0)
			continue;
		snprintf(path, sizeof(path), "tests/unit/%s", elsewhere[i].where ? elsewhere[i].where : "");
		return !elsewhere[i].where || strstr(source_read(path), strchr(error, '-') + 1);
	}
	return false;
}

/* " * -EISDIR, -EINVAL as daxfs_read": both, of this call. */
static unsigned errors_of_line(const char *call, const char *line)
{
	unsigned missing = 0;
	char error[96];

	for (const char *at = line + strspn(line, " *"); strncmp(at, "-E", 2) == 0; at += strspn(at, ", ")) {
		size_t len = 2 + strspn(at + 2, "ABCDEFGHIJKLMNOPQRSTUVWXYZ2");

		snprintf(error, sizeof(error), "%s %.*s", call, (int)len, at);
		at += len;
		if (strstr(error, "-ENOMEM") || is_given(error))
			continue;
		print_message(
			"a contract names %s, which no test gives: add it here, or where it is given to elsewhere[]\n",
			error);
		missing++;
	}
	return missing;
}

/* The comment that begins with "call - what it does" belongs to that call. Returns how many calls there are. */
static unsigned errors_of_header(const char *path, unsigned *missing)
{
	const char *header = source_read(path);
	char *copy, *line, *save = NULL, call[64] = "";
	unsigned calls = 0;

	if (!header)
		skip();
	copy = strdup(header); /* other sources are read meanwhile */
	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *name = line + strspn(line, " *");
		size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz_");

		if (strncmp(line, " * daxfs_", 9) == 0 && strncmp(name + len, " - ", 3) == 0)
			calls += snprintf(call, sizeof(call), "%.*s", (int)len, name) > 0;
		else if (strncmp(line, " *", 2) != 0)
			call[0] = '\0';
		else if (call[0])
			*missing += errors_of_line(call, line);
	}
	free(copy);
	return calls;
}

static void test_contracts(void **state)
{
	static const char *const headers[] = {
		"include/daxfs/base.h",  "include/daxfs/daxfs.h",   "include/daxfs/host.h",   "include/daxfs/lock.h",
		"include/daxfs/view.h",  "include/daxfs/xattr.h",   "include/daxfs/resume.h", "include/daxfs/lease.h",
		"include/daxfs/cache.h", "include/daxfs/inspect.h", "include/daxfs/local.h",
	};
	unsigned missing = 0, calls = 0;

	(void)state;
	for (unsigned i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		calls += errors_of_header(headers[i], &missing);
	assert_true(calls > 40);
	assert_int_equal(missing, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_make),   cmocka_unit_test(test_remove),    cmocka_unit_test(test_data),
		cmocka_unit_test(test_beside), cmocka_unit_test(test_contracts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
