/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage.c - see storage.h.
 *
 * The file system of the storage is not known: what it says is taken as input. A file is told by its number there and
 * by size, mtime and ctime: who changes one and puts all of that back is not noticed. Beneath, not
 * above: a path that leads out is -EXDEV, one through a link -ELOOP.
 */
#include "node-agent/storage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILE_MASK ((1ull << 56) - 1)
#define FIND_DEPTH 128u               /* of directories that are open at once */
#define TIME_MAX_S ((int64_t)1 << 33) /* that the pool can surely hold */

static int open_so(int root, const char *path, int flags, uint64_t resolve)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC | O_NOFOLLOW),
		.resolve = resolve | RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, root, path[0] ? path : ".", &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

static int open_beneath(int root, const char *path, int flags)
{
	return open_so(root, path, flags, 0);
}

static struct timespec held(struct timespec t)
{
	return t.tv_sec >= 0 && t.tv_sec < TIME_MAX_S ? t : (struct timespec){ 0, 0 };
}

static int fill(const struct stat *st, struct storage_entry *out)
{
	if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode) && !S_ISLNK(st->st_mode))
		return -EOPNOTSUPP;
	*out = (struct storage_entry){
		.file = st->st_ino & FILE_MASK,
		.links = (unsigned)st->st_nlink,
		.attr = {
			.mode = st->st_mode,
			.uid = st->st_uid,
			.gid = st->st_gid,
			.size = S_ISREG(st->st_mode) ? (uint64_t)st->st_size : 0,
			.mtime = held(st->st_mtim),
			.ctime = held(st->st_ctim),
		},
	};
	return 0;
}

static int fill_from(int fd, struct storage_entry *out)
{
	struct stat st;

	return fstat(fd, &st) < 0 ? -errno : fill(&st, out);
}

int storage_open(const char *path, int *fd, struct storage_entry *out)
{
	int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC), rc = root < 0 ? -errno : fill_from(root, out);

	if (rc == 0)
		*fd = root;
	else if (root >= 0)
		close(root);
	return rc;
}

static int look(int root, const char *path, uint64_t resolve, struct storage_entry *out)
{
	int fd = open_so(root, path, O_PATH, resolve), rc = fd < 0 ? fd : fill_from(fd, out);

	if (fd >= 0)
		close(fd);
	return rc;
}

int storage_look(int root, const char *path, struct storage_entry *out)
{
	return look(root, path, 0, out);
}

/* In the same mount: what is mounted there may be of another kind. */
int storage_peek(int root, const char *path, struct storage_entry *out)
{
	return look(root, path, RESOLVE_CACHED | RESOLVE_NO_XDEV, out);
}

/* Those whose stat(2) of what is in memory reads nothing and asks nobody. */
bool storage_is_near(int root)
{
	static const unsigned kinds[] = { EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC,
					  TMPFS_MAGIC };
	struct statfs fs;
	bool near = false;

	if (fstatfs(root, &fs) == 0)
		for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
			near |= (unsigned)fs.f_type == kinds[i];
	return near;
}

int storage_readlink(int root, const char *path, char *target, size_t size)
{
	int fd = open_beneath(root, path, O_PATH);
	ssize_t n;

	if (fd < 0)
		return fd;
	n = readlinkat(fd, "", target, size);
	close(fd);
	if (n < 0)
		return -errno;
	if ((size_t)n >= size)
		return -ENAMETOOLONG;
	target[n] = '\0';
	return 0;
}

int storage_list(int root, const char *path, int (*fill_name)(void *context, const char *name), void *context)
{
	int fd = open_beneath(root, path, O_RDONLY | O_DIRECTORY), rc = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		rc = fd < 0 ? fd : -errno;
		if (fd >= 0)
			close(fd);
		return rc;
	}
	for (errno = 0; rc == 0 && (entry = readdir(dir)); errno = 0)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			rc = fill_name(context, entry->d_name);
	if (rc == 0 && errno)
		rc = -errno;
	closedir(dir);
	return rc;
}

static ssize_t read_bytes(int fd, uint8_t *buf, size_t len, uint64_t offset)
{
	size_t done = 0;
	ssize_t n = 1;

	while (n > 0 && done < len) {
		n = pread(fd, buf + done, len - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n < 0)
			return -errno;
		else
			done += (size_t)n;
	}
	return (ssize_t)done;
}

/* What cannot be reached by that path any more. */
static int stale(int error)
{
	return error == -ENOENT || error == -ENOTDIR || error == -ELOOP || error == -EOPNOTSUPP ? -ESTALE : error;
}

/* It is looked at after the bytes: what changed it before, or meanwhile, has left its mark by then. */
ssize_t storage_read(int root, const char *path, void *buf, size_t len, uint64_t offset, struct storage_entry *now)
{
	int fd = open_beneath(root, path, O_RDONLY | O_NONBLOCK), rc;
	ssize_t n;

	if (fd < 0)
		return stale(fd);
	n = read_bytes(fd, buf, len, offset);
	rc = stale(fill_from(fd, now));
	close(fd);
	return rc ? rc : n;
}

/* -- writing --------------------------------------------------------------------------- */

int storage_open_file(int root, const char *path, uint64_t file)
{
	int fd = open_beneath(root, path, O_RDWR | O_NONBLOCK), rc;
	struct storage_entry now;

	if (fd < 0)
		return stale(fd);
	rc = stale(fill_from(fd, &now));
	if (rc == 0 && (!S_ISREG(now.attr.mode) || now.file != file))
		rc = -ESTALE;
	if (rc)
		close(fd);
	return rc ? rc : fd;
}

int storage_write(int fd, const void *buf, size_t len, uint64_t offset)
{
	const uint8_t *from = buf;
	ssize_t n;

	for (size_t done = 0; done < len; done += (size_t)n) {
		n = pwrite(fd, from + done, len - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n <= 0)
			return n < 0 ? -errno : -EIO;
	}
	return 0;
}

int storage_resize(int fd, uint64_t size, bool exact)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size == size || (!exact && (uint64_t)st.st_size < size))
		return 0;
	return ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
}

int storage_sync(int fd, const struct timespec *mtime, struct storage_entry *now)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, mtime ? *mtime : (struct timespec){ 0 } };

	if (mtime && futimens(fd, times) < 0)
		return -errno;
	if (fsync(fd) < 0)
		return -errno;
	return fill_from(fd, now);
}

static struct timespec time_to_set(unsigned set, unsigned given, unsigned is_now, struct timespec time)
{
	if (set & is_now)
		return (struct timespec){ .tv_nsec = UTIME_NOW };
	return set & given ? time : (struct timespec){ .tv_nsec = UTIME_OMIT };
}

/* Owner first: it takes bits of the mode away. A path that is a link is one itself, which has no mode to set. */
int storage_set(int root, const char *path, uint64_t file, unsigned set, const struct daxfs_attr *attr)
{
	const struct timespec times[2] = {
		time_to_set(set, DAXFS_SET_ATIME, DAXFS_SET_ATIME_NOW, attr->atime),
		time_to_set(set, DAXFS_SET_MTIME, DAXFS_SET_MTIME_NOW, attr->mtime),
	};
	struct storage_entry now;
	char self[64];
	int fd = open_beneath(root, path, O_PATH), rc = fd < 0 ? stale(fd) : stale(fill_from(fd, &now));

	if (rc == 0 && now.file != file)
		rc = -ESTALE;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (rc == 0 && set & (DAXFS_SET_UID | DAXFS_SET_GID) &&
	    fchownat(fd, "", set & DAXFS_SET_UID ? attr->uid : (uid_t)-1, set & DAXFS_SET_GID ? attr->gid : (gid_t)-1,
		     AT_EMPTY_PATH) < 0)
		rc = -errno;
	if (rc == 0 && set & DAXFS_SET_MODE && chmod(self, attr->mode & 07777) < 0)
		rc = -errno;
	if (rc == 0 && (times[0].tv_nsec != UTIME_OMIT || times[1].tv_nsec != UTIME_OMIT) &&
	    utimensat(fd, "", times, AT_EMPTY_PATH) < 0)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	return rc;
}

/* -- names -------------------------------------------------------------------------------- */

static int open_dir(int root, const struct storage_dir *dir)
{
	int fd = open_beneath(root, dir->path, O_PATH | O_DIRECTORY), rc;
	struct storage_entry now;

	if (fd < 0)
		return stale(fd);
	rc = fill_from(fd, &now);
	if (rc == 0 && now.file != dir->file)
		rc = -ESTALE;
	if (rc)
		close(fd);
	return rc ? rc : fd;
}

/* Does the name lead to that one? */
static int expect(int dir, const char *name, uint64_t file)
{
	struct stat st;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return (st.st_ino & FILE_MASK) == file ? 0 : -ESTALE;
}

/* Its descriptor, by which no other one is meant. */
static int make(int dir, const char *name, uint32_t mode, const char *target)
{
	if (S_ISREG(mode))
		return openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (S_ISDIR(mode) ? mkdirat(dir, name, 0700) < 0 : symlinkat(target, dir, name) < 0)
		return -1;
	return openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

/* Owner first: it takes bits of the mode away. Nobody else may have it before it is its owner's. */
static int give(int fd, const struct daxfs_attr *attr)
{
	char self[64];
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((st.st_uid != attr->uid || st.st_gid != attr->gid) &&
	    fchownat(fd, "", attr->uid, attr->gid, AT_EMPTY_PATH) < 0)
		return -errno;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return !S_ISLNK(attr->mode) && chmod(self, attr->mode & 07777) < 0 ? -errno : 0;
}

int storage_make(int root, const struct storage_dir *dir, const char *name, const struct daxfs_attr *attr,
		 const char *target, struct storage_entry *out)
{
	int at = open_dir(root, dir), fd, rc;

	if (at < 0)
		return at;
	fd = make(at, name, attr->mode, target);
	rc = fd < 0 ? -errno : give(fd, attr);
	if (rc == 0)
		rc = fill_from(fd, out);
	if (fd >= 0) {
		if (rc)
			unlinkat(at, name, S_ISDIR(attr->mode) ? AT_REMOVEDIR : 0);
		close(fd);
	}
	close(at);
	return rc;
}

/* By a descriptor from before: what it is without that name. */
int storage_remove(int root, const struct storage_dir *dir, const char *name, uint64_t file, bool directory,
		   struct storage_entry *after)
{
	int at = open_dir(root, dir), self = -1, rc;

	if (after)
		*after = (struct storage_entry){ .file = file };
	if (at < 0)
		return at;
	rc = expect(at, name, file);
	if (after)
		self = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (rc == 0 && unlinkat(at, name, directory ? AT_REMOVEDIR : 0) < 0)
		rc = errno == EEXIST ? -ENOTEMPTY : -errno;
	if (after && (self < 0 || fill_from(self, after) || after->file != file))
		*after = (struct storage_entry){ .file = file };
	if (self >= 0)
		close(self);
	close(at);
	return rc;
}

/* By what was opened, so no other one is meant. */
static int link_self(int fd, int dir, const char *name)
{
	char self[64];

	if (linkat(fd, "", dir, name, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno != ENOENT) /* that it says where it must not do this */
		return -errno;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, self, dir, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int storage_link(int root, const char *path, uint64_t file, const struct storage_dir *dir, const char *name,
		 struct storage_entry *out)
{
	int fd = open_beneath(root, path, O_PATH), at, rc = fd < 0 ? stale(fd) : stale(fill_from(fd, out));

	if (rc == 0 && out->file != file)
		rc = -ESTALE;
	at = rc ? rc : open_dir(root, dir);
	if (rc == 0)
		rc = at < 0 ? at : link_self(fd, at, name);
	if (rc == 0)
		rc = stale(fill_from(fd, out));
	if (at >= 0)
		close(at);
	if (fd >= 0)
		close(fd);
	return rc;
}

/* a look through directories */
struct search {
	int root;
	uint64_t file;
	const char *but;
	char *path; /* of the directory that is looked through; then of what was found */
	size_t size;
};

/* The path with a name behind it, if that fits. */
static bool go_down(struct search *s, size_t len, const char *name)
{
	return (size_t)snprintf(s->path + len, s->size - len, "%s%s", len ? "/" : "", name) < s->size - len;
}

/* 0, -ENOENT. A directory that cannot be read has nothing. */
static int find_below(struct search *s, unsigned depth)
{
	int fd = depth < FIND_DEPTH ? open_beneath(s->root, s->path, O_RDONLY | O_DIRECTORY) : -ELOOP, rc = -ENOENT;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	size_t len = strlen(s->path);
	struct dirent *entry;

	if (!dir && fd >= 0)
		close(fd);
	while (dir && rc && (entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
		    !go_down(s, len, entry->d_name))
			continue;
		if ((entry->d_ino & FILE_MASK) == s->file && strcmp(s->path, s->but) != 0)
			rc = 0;
		else if (entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN)
			rc = find_below(s, depth + 1);
		if (rc)
			s->path[len] = '\0';
	}
	if (dir)
		closedir(dir);
	return rc;
}

int storage_find(int root, uint64_t file, const char *but, char *path, size_t size)
{
	struct search s = { root, file, but, path, size };

	path[0] = '\0';
	return find_below(&s, 0);
}

/* Not all storage can refuse to replace: then nobody of the pod does meanwhile, for the caller has the names' locks. */
static int rename_at(int from, const char *name, int to, const char *new_name, bool replace)
{
	if (!replace && renameat2(from, name, to, new_name, RENAME_NOREPLACE) == 0)
		return 0;
	if (!replace && errno != EINVAL && errno != ENOSYS)
		return -errno;
	if (renameat(from, name, to, new_name) == 0)
		return 0;
	return errno == EEXIST ? -ENOTEMPTY : -errno;
}

int storage_rename(int root, const struct storage_dir *from, const char *name, uint64_t file,
		   const struct storage_dir *to, const char *new_name, bool replace, struct storage_entry *replaced)
{
	int at = open_dir(root, from), new_at, victim = -1, rc;

	*replaced = (struct storage_entry){ .file = 0 };
	if (at < 0)
		return at;
	new_at = open_dir(root, to);
	rc = new_at < 0 ? new_at : expect(at, name, file);
	if (rc == 0 && replace)
		victim = openat(new_at, new_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (rc == 0)
		rc = rename_at(at, name, new_at, new_name, replace);
	if (victim >= 0 && fill_from(victim, replaced))
		*replaced = (struct storage_entry){ .file = 0 };
	if (victim >= 0)
		close(victim);
	if (new_at >= 0)
		close(new_at);
	close(at);
	return rc;
}

int storage_fsync(int root, const char *path, uint64_t file)
{
	int fd = open_beneath(root, path, O_RDONLY | O_NONBLOCK), rc;
	struct storage_entry now;

	if (fd < 0)
		return stale(fd);
	rc = fill_from(fd, &now);
	if (rc == 0 && now.file != file)
		rc = -ESTALE;
	if (rc == 0 && fsync(fd) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

/* -- what tells one from another ------------------------------------------------------------ */

static uint32_t mix(const uint64_t *part, unsigned n)
{
	uint64_t h = 0x9e3779b97f4a7c15ull;

	for (unsigned i = 0; i < n; i++) {
		h = (h ^ part[i]) * 0xff51afd7ed558ccdull;
		h ^= h >> 32;
	}
	return (uint32_t)h;
}

uint64_t storage_stamp(const struct storage_entry *e)
{
	const struct daxfs_attr *a = &e->attr;
	const uint64_t bytes[] = { a->size, (uint64_t)a->mtime.tv_sec, (uint64_t)a->mtime.tv_nsec };
	const uint64_t change[] = { (uint64_t)a->ctime.tv_sec, (uint64_t)a->ctime.tv_nsec };

	return (uint64_t)mix(bytes, 3) << 32 | mix(change, 2) | 1;
}

bool storage_stamp_same_bytes(uint64_t a, uint64_t b)
{
	return a >> 32 == b >> 32;
}

uint64_t storage_stamp_open(uint64_t stamp)
{
	return stamp >> 32 << 32;
}

bool storage_stamp_is_open(uint64_t stamp)
{
	return stamp && stamp == storage_stamp_open(stamp);
}

bool storage_stamp_is(uint64_t stamp, const struct storage_entry *now)
{
	uint64_t as = storage_stamp(now);

	return stamp == as || (storage_stamp_is_open(stamp) && storage_stamp_same_bytes(stamp, as));
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool storage_same(const struct storage_entry *a, const struct storage_entry *b)
{
	if (a->file != b->file || (a->attr.mode & S_IFMT) != (b->attr.mode & S_IFMT))
		return false;
	if (S_ISDIR(a->attr.mode))
		return true;
	if (S_ISLNK(a->attr.mode)) /* another target is another link; a new name changes its ctime */
		return a->attr.uid == b->attr.uid && a->attr.gid == b->attr.gid &&
		       same_time(a->attr.mtime, b->attr.mtime);
	return a->attr.size == b->attr.size && same_time(a->attr.mtime, b->attr.mtime) &&
	       same_time(a->attr.ctime, b->attr.ctime);
}
