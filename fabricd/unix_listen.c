/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unix_listen.c - take over a socket file. See unix_listen.h.
 *
 * Asking whether somebody listens, unlinking and binding are three steps, so
 * two daemons that start together could each remove the other's fresh socket.
 * They are made under a lock on the directory, which leaves no file behind.
 */
#include "fabricd/unix_listen.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/listener.h"

#define BACKLOG 16

static int lock_directory(const char *path, int *lock, struct daxfs_error *err)
{
	char dir[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	char *slash;
	int rc;

	strcpy(dir, path);
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = '\0';
	*lock = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*lock < 0) {
		rc = -errno;
		return daxfs_error_set(err, rc, "directory of socket %s: %s: make it, or give --socket", path,
				       strerror(-rc));
	}
	if (flock(*lock, LOCK_EX)) {
		rc = -errno;
		close(*lock);
		return daxfs_error_set(err, rc, "directory of socket %s cannot be locked: %s", path, strerror(-rc));
	}
	return 0;
}

/* Is it a socket that nobody listens on? Then remove it. */
static int clear_stale(const struct sockaddr_un *address, struct daxfs_error *err)
{
	const char *path = address->sun_path;
	struct stat st;
	bool nobody;
	int rc;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : daxfs_error_set(err, -errno, "socket %s: %s", path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return daxfs_error_set(err, -EEXIST, "%s exists and is no socket: remove it, or give --socket", path);
	rc = listener_probe(path, &nobody);
	if (rc)
		return daxfs_error_set(err, rc, "socket: %s", strerror(-rc));
	if (!nobody)
		return daxfs_error_set(err, -EADDRINUSE,
				       "socket %s: another fabricd listens there: stop it, or give --socket", path);
	if (unlink(path) && errno != ENOENT) /* who listened there a moment ago may have removed it */
		return daxfs_error_set(err, -errno, "stale socket %s: %s", path, strerror(errno));
	return 0;
}

static int fail_group(const char *path, int error, struct daxfs_error *err)
{
	return daxfs_error_set(err, -error, "socket %s: cannot be given to its group: %s%s", path, strerror(error),
			       error == EPERM ? ": fabricd must be a member (SupplementaryGroups= in its unit)" : "");
}

/* Others come in when the group is the right one. */
static int bind_for(int fd, const struct sockaddr_un *address, gid_t group, struct daxfs_error *err)
{
	const char *path = address->sun_path;
	mode_t before = umask(0177);
	int error = bind(fd, (const struct sockaddr *)address, sizeof(*address)) ? errno : 0;

	umask(before);
	if (error)
		return daxfs_error_set(err, -error, "socket %s: %s", path, strerror(error));
	if (group != LISTEN_OWNER && (chown(path, (uid_t)-1, group) || chmod(path, 0660)))
		return fail_group(path, errno, err);
	return listen(fd, BACKLOG) ? daxfs_error_set(err, -errno, "socket %s: %s", path, strerror(errno)) : 0;
}

static int open_socket(const struct sockaddr_un *address, gid_t group, int *out, struct daxfs_error *err)
{
	int fd, rc = clear_stale(address, err);

	if (rc)
		return rc;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return daxfs_error_set(err, -errno, "socket: %s", strerror(errno));
	rc = bind_for(fd, address, group, err);
	if (rc)
		close(fd);
	else
		*out = fd;
	return rc;
}

int listen_at(const char *path, gid_t group, int *fd, struct daxfs_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int lock, rc;

	if (strlen(path) >= sizeof(address.sun_path))
		return daxfs_error_set(err, -ENAMETOOLONG,
				       "socket path is longer than %zu bytes: give a shorter --socket",
				       sizeof(address.sun_path) - 1);
	strcpy(address.sun_path, path);
	rc = lock_directory(path, &lock, err);
	if (rc)
		return rc;
	rc = open_socket(&address, group, fd, err);
	close(lock);
	return rc;
}
