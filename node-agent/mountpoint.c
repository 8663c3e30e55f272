/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mountpoint.c - checks before mounting, mounting, unmounting.
 *
 * The agent mounts with mount(2) itself rather than through fusermount3: the
 * errno says which of a dozen things is wrong, and nothing else prints.
 *
 * An agent that is killed leaves its mount behind, and every access to it fails
 * with ENOTCONN. The next agent on the same directory detaches it. Killed
 * between mount(2) and its first answer it leaves just the same.
 *
 * What programs write by path while nothing is mounted would lie beneath the next mount,
 * hidden. So the directory must be empty, and is made immutable (chattr +i): then nothing
 * can be made in it, now and after the next boot, by root neither. It stays so.
 *
 * Not if it may have something in it (nonempty): that is somebody's to change when nothing is mounted, the seal would
 * stay for good, and would not hold for what is in directories there. A seal that is there stays in that case, too.
 */
#include "node-agent/mountpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

#define TRIES 10
#define TRY_AGAIN_NS 50000000
#define STALE_MAX 16 /* dead mounts stacked on one directory */

static int fail(struct daxfs_error *err, int error, const char *dir, const char *what)
{
	snprintf(err->text, sizeof(err->text), "mount point %.150s: %s", dir, what);
	return error;
}

/* Nobody serves it any more: what was asked before gets the one answer, what is asked now the other. */
static bool is_dead(int error)
{
	return error == ENOTCONN || error == ECONNABORTED;
}

/* statfs, unlike stat, is never answered from the kernel's cache. */
static int detach_stale(const char *dir, struct daxfs_error *err)
{
	struct statfs st;

	for (int i = 0; i < STALE_MAX; i++) {
		if (statfs(dir, &st) == 0 || !is_dead(errno))
			return 0;
		if (umount2(dir, MNT_DETACH) < 0)
			return fail(err, -errno, dir, "a dead mount is in the way; unmount it as root (umount -l)");
		log_note("detached a dead mount from %s: its server was killed", dir);
	}
	return fail(err, -EBUSY, dir, "too many dead mounts on it; unmount them (umount -l)");
}

static int check_dir(const char *dir, struct daxfs_error *err)
{
	struct stat st;

	if (stat(dir, &st) < 0) {
		if (errno == ENOENT)
			return fail(err, -ENOENT, dir, "does not exist; make the directory first");
		return fail(err, -errno, dir, strerror(errno));
	}
	if (!S_ISDIR(st.st_mode))
		return fail(err, -ENOTDIR, dir, "is not a directory");
	return 0;
}

/* The kernel writes space, tab, newline and backslash as \ooo. */
static size_t unescape(const char *from, size_t len, char *to)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (from[i] == '\\' && i + 3 < len) {
			to[n++] = (char)((from[i + 1] - '0') << 6 | (from[i + 2] - '0') << 3 | (from[i + 3] - '0'));
			i += 3;
		} else {
			to[n++] = from[i];
		}
	}
	return n;
}

bool mountpoint_line_is(const char *line, const char *dir)
{
	char point[PATH_MAX];
	const char *field = line;
	size_t len;

	for (int i = 0; i < 4; i++) { /* id, parent, device, root */
		field = strchr(field, ' ');
		if (!field)
			return false;
		field++;
	}
	len = strcspn(field, " ");
	if (len >= sizeof(point))
		return false;
	len = unescape(field, len, point);
	return len == strlen(dir) && memcmp(point, dir, len) == 0;
}

static int check_not_mounted(const char *dir, struct daxfs_error *err)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t size = 0;
	bool mounted = false;

	if (!file)
		return fail(err, -errno, dir, "cannot read /proc/self/mountinfo; is /proc mounted?");
	while (!mounted && getline(&line, &size, file) > 0)
		mounted = mountpoint_line_is(line, dir);
	free(line);
	fclose(file);
	if (mounted)
		return fail(err, -EBUSY, dir, "something is mounted there; unmount it or choose another directory");
	return 0;
}

static int check_empty(const char *dir, struct daxfs_error *err)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	if (!d)
		return fail(err, -errno, dir, strerror(errno));
	do
		entry = readdir(d);
	while (entry && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
	closedir(d);
	if (entry)
		return fail(err, -ENOTEMPTY, dir,
			    "is not empty, and what is in it would be hidden: empty it, or give the option nonempty");
	return 0;
}

int mountpoint_seal(const char *dir, bool sealed)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), flags = 0, error = 0;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		error = -errno;
	if (!error && !!(flags & FS_IMMUTABLE_FL) != sealed) {
		flags ^= FS_IMMUTABLE_FL;
		error = ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0 ? -errno : 0;
	}
	close(fd);
	return error;
}

/* Sealed before it is looked into, so that nothing comes in between; a seal that was there before stays. */
static int seal_empty(const char *dir, struct daxfs_error *err)
{
	int unsealed = check_empty(dir, err), error;

	if (unsealed)
		return unsealed;
	error = mountpoint_seal(dir, true);
	if (error)
		log_note("cannot make %s immutable (%s): what is written there while nothing is mounted will be "
			 "hidden by the next mount, which is refused then",
			 dir, strerror(-error));
	error = check_empty(dir, err);
	if (error)
		mountpoint_seal(dir, false);
	return error;
}

static int prepare(const char *dir, bool nonempty, char *real, struct daxfs_error *err)
{
	int error = detach_stale(dir, err);

	if (!error)
		error = check_dir(dir, err);
	if (error)
		return error;
	if (!realpath(dir, real))
		return fail(err, -errno, dir, strerror(errno));
	error = check_not_mounted(real, err);
	return error || nonempty ? error : seal_empty(real, err);
}

/* A former agent that was killed just now may still be ending: its mount is dead at any moment. */
int mountpoint_prepare(const char *dir, bool nonempty, char *real, struct daxfs_error *err)
{
	int error = prepare(dir, nonempty, real, err);

	for (int i = 0; i < TRIES && (error == -EBUSY || is_dead(-error)); i++) {
		clock_nap_ns(TRY_AGAIN_NS);
		error = prepare(dir, nonempty, real, err);
	}
	return error;
}

int mountpoint_open_fuse(int *fd, struct daxfs_error *err)
{
	const char *what;
	int f = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (f >= 0) {
		*fd = f;
		return 0;
	}
	f = -errno;
	if (f == -ENOENT || f == -ENODEV || f == -ENXIO)
		what = "load the module (modprobe fuse), or give this container the device";
	else if (f == -EACCES || f == -EPERM)
		what = "run as root, or allow this user or container the device";
	else
		what = "see the kernel's log";
	snprintf(err->text, sizeof(err->text), "cannot open /dev/fuse: %s; %s", strerror(-f), what);
	return f;
}

int mountpoint_mount(const char *dir, int fuse_fd, const struct mount_options *wanted, struct daxfs_error *err)
{
	char options[128];
	int error;

	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=%u,group_id=%u,default_permissions%s", fuse_fd,
		 (unsigned)geteuid(), (unsigned)getegid(), wanted->owner_only ? "" : ",allow_other");
	if (mount(wanted->source, dir, "fuse.daxfs", wanted->flags, options) == 0)
		return 0;
	error = -errno;
	if (error == -EPERM)
		return fail(err, error, dir, "no permission to mount (CAP_SYS_ADMIN); run as root");
	if (error == -ENODEV)
		return fail(err, error, dir, "the kernel has no FUSE; load the module (modprobe fuse)");
	return fail(err, error, dir, strerror(-error));
}

void mountpoint_unmount(const char *dir)
{
	if (umount2(dir, UMOUNT_NOFOLLOW) == 0 || errno == EINVAL)
		return; /* EINVAL: somebody else has unmounted it */
	if (errno == EBUSY)
		log_warn("%s is in use; detached: its users get errors from now on", dir);
	mountpoint_detach(dir);
}

static void detach(const char *dir, int how)
{
	if (umount2(dir, how | MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL)
		log_warn("cannot detach %s: %s; do it by hand (umount -l)", dir, strerror(errno));
}

void mountpoint_detach(const char *dir)
{
	detach(dir, 0);
}

void mountpoint_abort(const char *dir)
{
	detach(dir, MNT_FORCE);
}
