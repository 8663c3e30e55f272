/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beside.c - random system calls on two directories, whose answers must be the same: a tmpfs says what is right.
 *
 *   beside SEED ROUNDS TMPFS MOUNT [MOUNT OF ANOTHER HOST]
 *
 * A round begins with two empty directories and makes CALLS calls, each on both: paths of a small tree (and wrong
 * ones), eight descriptors, four users with groups of their own, any mode and flags. Result, errno, and what was read
 * must be equal. With two mounts each call draws the host that makes it: what one host does, the other sees at once.
 * A difference is printed with its seed, and the calls before it; the same seed makes the same calls.
 *
 * What is known to differ is not asked, and said in docs/LIMITS.md: link counts and sizes of directories,
 * O_TMPFILE, pages beyond the end of a file; of two hosts also locks (whose owner is one process here), where an append
 * has left the position, and what is open with O_PATH or not a file when the other removes it. Needs root, and
 * directories mounted nosuid,nodev.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

#define CALLS 400
#define FDS 8
#define HOSTS_MAX 2
#define TEXT 4096
#define PAST 1000000000 /* seconds: a time that utimensat sets, so that a change shows */

enum { ONE, OTHER };

/* What a call is given: drawn once, used on both sides. */
struct args {
	const char *path, *to;
	int slot, from;
	int flags;
	mode_t mode;
	off_t at, at2;
	size_t len;
	unsigned any; /* for the choices of one call alone */
	unsigned user;
	unsigned host; /* of those that a side has */
};

struct side {
	const char *above[HOSTS_MAX]; /* what .. of the root is, through links */
	int dir[HOSTS_MAX];           /* the root */
	unsigned hosts, host;
	int fd[FDS];
	char text[TEXT]; /* what the call has read */
	size_t text_len;
	long result;
	int error;
};

struct call {
	const char *name;
	long (*make)(struct side *s, const struct args *a);
};

static struct side side[2];
static uint64_t seed, lot;
static char log_text[CALLS][256];

/* -- lots ---------------------------------------------------------------------------------------- */

static unsigned draw(unsigned n)
{
	lot ^= lot << 13;
	lot ^= lot >> 7;
	lot ^= lot << 17;
	return (unsigned)((lot >> 11) % n);
}

static char name255[256], name256[257];

static const char *draw_path(void)
{
	static const char *const paths[] = { "a",      "b",   "c",   "d",     "e",     "l",     "d/a",  "d/b",
					     "d/e",    "e/a", "e/d", "e/d/a", "d/e/a", "l/a",   "a",    "b",
					     "d/a",    "d",   "a/x", "a/",    "d/",    "d/.",   "d/..", ".",
					     "d/../a", "",    "x/y", name255, name256, "e/d/l", "l/",   "d//a" };

	return paths[draw(sizeof(paths) / sizeof(paths[0]))];
}

static mode_t draw_mode(void)
{
	static const mode_t modes[] = { 0644,  0600,  0666,  0755,  0700, 0777, 01777,
					02775, 04755, 06755, 02755, 0,    0444, 0070 };

	return modes[draw(sizeof(modes) / sizeof(modes[0]))];
}

static off_t draw_offset(void)
{
	static const off_t edges[] = { 0, 1, 511, 4095, 4096, 4097, 8192, 65535, 65536, 70000, 200000, 1 << 20 };

	return edges[draw(sizeof(edges) / sizeof(edges[0]))] + (draw(4) == 0 ? (off_t)draw(5000) : 0);
}

static int draw_flags(void)
{
	static const int more[] = { O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_DIRECTORY, O_NOFOLLOW, O_SYNC, O_PATH };
	int flags = (int)draw(3);

	if (draw(2))
		flags |= O_CREAT;
	for (unsigned n = draw(3); n > 0; n--)
		flags |= more[draw(sizeof(more) / sizeof(more[0]))];
	return flags;
}

static void draw_args(struct args *a)
{
	a->path = draw_path();
	a->to = draw_path();
	a->slot = (int)draw(FDS);
	a->from = (int)draw(FDS);
	a->flags = draw_flags();
	a->mode = draw_mode();
	a->at = draw_offset();
	a->at2 = draw_offset();
	a->len = draw(3) ? draw(9000) : draw(100000);
	a->any = draw(1u << 30);
	a->host = draw(HOSTS_MAX);
	a->user = draw(3) ? 0 : 1 + draw(3);
}

/* -- users ---------------------------------------------------------------------------------------- */

static const gid_t groups[4][2] = { { 0, 0 }, { 1001, 2000 }, { 1002, 2000 }, { 1003, 3000 } };

/* Of this thread alone, and with that the capabilities over files. */
static void become(unsigned user)
{
	syscall(SYS_setgroups, 2, groups[user]);
	setfsgid(groups[user][0]);
	setfsuid(user ? 1000 + user : 0);
}

/* -- calls ------------------------------------------------------------------------------------------ */

static int dir_of(const struct side *s)
{
	return s->dir[s->host];
}

/* More than one host. */
static bool shared(void)
{
	return side[OTHER].hosts > 1;
}

static const char *full_path(const struct side *s, const struct args *a)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/in/%s", s->above[s->host], a->path);
	return path;
}

static void note(struct side *s, const void *bytes, size_t n)
{
	n = n < TEXT - s->text_len ? n : TEXT - s->text_len;
	memcpy(s->text + s->text_len, bytes, n);
	s->text_len += n;
}

static void note_sum(struct side *s, const unsigned char *bytes, size_t n)
{
	uint64_t sum = 1469598103934665603u;

	for (size_t i = 0; i < n; i++)
		sum = (sum ^ bytes[i]) * 1099511628211u;
	note(s, &sum, sizeof(sum));
}

static void note_stat(struct side *s, const struct stat *st)
{
	char text[160];
	bool dir = S_ISDIR(st->st_mode);
	int n = snprintf(text, sizeof(text), "%o %u:%u links %u size %lld rdev %llx old %d;", st->st_mode, st->st_uid,
			 st->st_gid, dir ? 0 : (unsigned)st->st_nlink, dir ? 0ll : (long long)st->st_size,
			 (unsigned long long)st->st_rdev, S_ISREG(st->st_mode) && st->st_mtime == PAST);

	note(s, text, (size_t)n);
}

static const unsigned char *bytes_for(const struct args *a)
{
	static unsigned char bytes[128 << 10];

	for (size_t i = 0; i < a->len; i++)
		bytes[i] = (unsigned char)(a->any >> (i % 3) ^ i);
	return bytes;
}

static long call_open(struct side *s, const struct args *a)
{
	if (s->fd[a->slot] >= 0)
		close(s->fd[a->slot]);
	s->fd[a->slot] = openat(dir_of(s), a->path, (a->flags | O_NONBLOCK) & ~(shared() ? O_PATH : 0), a->mode);
	return s->fd[a->slot] >= 0 ? 0 : -1;
}

static long call_close(struct side *s, const struct args *a)
{
	int rc = close(s->fd[a->slot]);

	s->fd[a->slot] = -1;
	return rc;
}

static long call_write(struct side *s, const struct args *a)
{
	return write(s->fd[a->slot], bytes_for(a), a->len);
}

static long call_pwrite(struct side *s, const struct args *a)
{
	return pwrite(s->fd[a->slot], bytes_for(a), a->len, a->at);
}

static long call_read(struct side *s, const struct args *a)
{
	static unsigned char bytes[128 << 10];
	ssize_t n = a->any % 2 && !shared() ? read(s->fd[a->slot], bytes, a->len)
					    : pread(s->fd[a->slot], bytes, a->len, a->at);

	if (n > 0)
		note_sum(s, bytes, (size_t)n);
	return n;
}

static long call_lseek(struct side *s, const struct args *a)
{
	static const int whence[] = { SEEK_SET, SEEK_END, SEEK_CUR, SEEK_DATA, SEEK_HOLE };
	unsigned how = a->any % (seed % 2 ? 3 : 5);
	struct stat st;

	if ((fstat(s->fd[a->slot], &st) == 0 && !S_ISREG(st.st_mode)) || (shared() && whence[how] == SEEK_CUR))
		return 0;
	return lseek(s->fd[a->slot], a->any % 4 ? a->at : -a->at, whence[how]);
}

/* To the length that it has: some filesystems move mtime then, tmpfs does not. */
static bool has_length(const struct stat *st, off_t length)
{
	return S_ISREG(st->st_mode) && st->st_size == length;
}

static long call_ftruncate(struct side *s, const struct args *a)
{
	off_t length = a->any % 16 ? a->at : -1;
	struct stat st;

	if (fstat(s->fd[a->slot], &st) == 0 && has_length(&st, length))
		return 0;
	return ftruncate(s->fd[a->slot], length);
}

static long call_truncate(struct side *s, const struct args *a)
{
	struct stat st;

	if (fstatat(dir_of(s), a->path, &st, 0) == 0 && has_length(&st, a->at))
		return 0;
	return truncate(full_path(s, a), a->at);
}

static long call_fallocate(struct side *s, const struct args *a)
{
	static const int modes[] = { 0, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE };

	/* Pages that are given and not written are data here, and holes to tmpfs: in odd rounds nobody seeks them. */
	return fallocate(s->fd[a->slot], modes[seed % 2 ? a->any % 2 : 1], a->at, (off_t)a->len);
}

static long call_mkdir(struct side *s, const struct args *a)
{
	return mkdirat(dir_of(s), a->path, a->mode);
}

static long call_mknod(struct side *s, const struct args *a)
{
	static const mode_t types[] = { S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK, 0 };
	unsigned type = shared() ? 0 : a->any % 6;

	return mknodat(dir_of(s), a->path, types[type] | (a->mode & 0777), type > 2 ? 0x103 : 0);
}

static long call_unlink(struct side *s, const struct args *a)
{
	return unlinkat(dir_of(s), a->path, a->any % 3 ? 0 : AT_REMOVEDIR);
}

static long call_rename(struct side *s, const struct args *a)
{
	static const unsigned flags[] = { 0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE };
	struct stat st;
	int rc = renameat2(dir_of(s), a->path, dir_of(s), a->to, flags[a->any % 5]);

	if (rc == 0 || errno != ESTALE || s->hosts == 1)
		return rc;
	/* The other host has moved a directory to one of these names: the kernel takes no note of it in a rename. */
	fstatat(dir_of(s), a->path, &st, AT_SYMLINK_NOFOLLOW);
	fstatat(dir_of(s), a->to, &st, AT_SYMLINK_NOFOLLOW);
	return renameat2(dir_of(s), a->path, dir_of(s), a->to, flags[a->any % 5]);
}

static long call_link(struct side *s, const struct args *a)
{
	return linkat(dir_of(s), a->path, dir_of(s), a->to, a->any % 3 ? 0 : AT_SYMLINK_FOLLOW);
}

static long call_symlink(struct side *s, const struct args *a)
{
	return symlinkat(a->path, dir_of(s), a->to);
}

static long call_readlink(struct side *s, const struct args *a)
{
	char text[300];
	ssize_t n = readlinkat(dir_of(s), a->path, text, a->any % 3 ? sizeof(text) : 3);

	if (n > 0)
		note(s, text, (size_t)n);
	return n;
}

static long call_stat(struct side *s, const struct args *a)
{
	struct stat st;
	int rc = fstatat(dir_of(s), a->path, &st, a->any % 2 ? 0 : AT_SYMLINK_NOFOLLOW);

	if (rc == 0)
		note_stat(s, &st);
	return rc;
}

static long call_fstat(struct side *s, const struct args *a)
{
	struct stat st;
	int rc = fstat(s->fd[a->slot], &st);

	if (rc == 0)
		note_stat(s, &st);
	return rc;
}

static long call_chmod(struct side *s, const struct args *a)
{
	return a->any % 2 ? fchmodat(dir_of(s), a->path, a->mode, 0) : fchmod(s->fd[a->slot], a->mode);
}

static long call_chown(struct side *s, const struct args *a)
{
	uid_t uid = a->any % 4 == 3 ? (uid_t)-1 : 1000 + a->any % 4;
	gid_t gid = a->any / 4 % 4 == 3 ? (gid_t)-1 : groups[a->any / 4 % 4][a->any / 16 % 2];

	if (a->any / 32 % 2)
		return fchown(s->fd[a->slot], uid, gid);
	return fchownat(dir_of(s), a->path, uid, gid, a->any / 64 % 2 ? 0 : AT_SYMLINK_NOFOLLOW);
}

static long call_access(struct side *s, const struct args *a)
{
	return syscall(SYS_faccessat2, AT_FDCWD, full_path(s, a), (int)(a->any % 8), AT_EACCESS);
}

static long call_utimens(struct side *s, const struct args *a)
{
	const struct timespec old[2] = { { .tv_sec = PAST }, { .tv_sec = PAST } };
	const struct timespec now[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_NOW } };
	const struct timespec omit[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = PAST } };
	const struct timespec *times[] = { old, now, omit, old };

	return utimensat(dir_of(s), a->path, times[a->any % 4], a->any / 4 % 2 ? 0 : AT_SYMLINK_NOFOLLOW);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

static long call_list(struct side *s, const struct args *a)
{
	static char names[128][260];
	int fd = openat(dir_of(s), a->path, O_RDONLY | O_DIRECTORY), n = 0;
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	if (!d)
		return -1;
	for (struct dirent *e = readdir(d); e && n < 128; e = readdir(d))
		snprintf(names[n++], sizeof(names[0]), "%s %d", e->d_name, e->d_type);
	closedir(d);
	qsort(names, (size_t)n, sizeof(names[0]), by_name);
	for (int i = 0; i < n; i++)
		note(s, names[i], strlen(names[i]) + 1);
	return n;
}

static long call_xattr(struct side *s, const struct args *a)
{
	static const char *const names[] = { "user.a", "user.b", "trusted.t", "security.s", "user.", "none.x" };
	const char *name = names[a->any % 6], *path = full_path(s, a);
	char value[600];
	ssize_t n;

	switch (a->any / 8 % 4) {
	case 0:
	case 1: return lsetxattr(path, name, bytes_for(a), a->len % 500, a->any / 64 % 3);
	case 2: return lremovexattr(path, name);
	default: n = lgetxattr(path, name, value, a->any / 64 % 2 ? sizeof(value) : 2);
	}
	if (n > 0)
		note_sum(s, (unsigned char *)value, (size_t)n);
	return n;
}

/* What is written to a mapping is in the file. */
static long call_map(struct side *s, const struct args *a)
{
	int fd = s->fd[a->slot], protection = a->any % 2 ? PROT_READ : PROT_READ | PROT_WRITE;
	struct stat st;
	unsigned char *p;

	if (fstat(fd, &st) == 0 && (!S_ISREG(st.st_mode) || st.st_size == 0))
		return 0;
	p = mmap(NULL, 4096, protection, a->any / 2 % 2 ? MAP_PRIVATE : MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -1;
	if (protection & PROT_WRITE)
		p[0] = (unsigned char)a->any;
	note_sum(s, p, 4096);
	msync(p, 4096, MS_SYNC);
	munmap(p, 4096);
	return 0;
}

static long call_copy(struct side *s, const struct args *a)
{
	off_t in = a->at, out = a->at2;

	if (shared()) /* perhaps of two hosts: EXDEV */
		return 0;
	return copy_file_range(s->fd[a->from], &in, s->fd[a->slot], &out, a->len, 0);
}

static long call_writev(struct side *s, const struct args *a)
{
	const unsigned char *bytes = bytes_for(a);
	struct iovec part[2] = { { (void *)(uintptr_t)bytes, a->len / 3 }, { (void *)(uintptr_t)bytes, a->len / 2 } };

	return writev(s->fd[a->slot], part, 2);
}

static long call_lock(struct side *s, const struct args *a)
{
	static const short types[] = { F_RDLCK, F_WRLCK, F_UNLCK };
	struct flock lock = { .l_type = types[a->any % 3], .l_start = a->at, .l_len = (off_t)(a->len % 100) };

	if (shared())
		return 0;
	if (a->any / 4 % 2)
		return flock(s->fd[a->slot], (a->any / 8 % 2 ? LOCK_EX : LOCK_SH) | LOCK_NB);
	return fcntl(s->fd[a->slot], F_SETLK, &lock);
}

static long call_sync(struct side *s, const struct args *a)
{
	return a->any % 2 ? fsync(s->fd[a->slot]) : fdatasync(s->fd[a->slot]);
}

#define CALL(name)                                                                                                     \
	{                                                                                                              \
#name, call_##name                                                                                     \
	}

/* Some more often than others. */
static const struct call calls[] = { CALL(open),      CALL(open),     CALL(open),      CALL(close),  CALL(write),
				     CALL(write),     CALL(pwrite),   CALL(read),      CALL(read),   CALL(lseek),
				     CALL(ftruncate), CALL(truncate), CALL(fallocate), CALL(mkdir),  CALL(mkdir),
				     CALL(mknod),     CALL(unlink),   CALL(rename),    CALL(rename), CALL(link),
				     CALL(symlink),   CALL(readlink), CALL(stat),      CALL(fstat),  CALL(chmod),
				     CALL(chown),     CALL(access),   CALL(utimens),   CALL(list),   CALL(xattr),
				     CALL(map),       CALL(copy),     CALL(writev),    CALL(lock),   CALL(sync) };

/* -- rounds ------------------------------------------------------------------------------------------ */

static void make_call(struct side *s, const struct call *call, const struct args *a)
{
	s->text_len = 0;
	s->host = a->host % s->hosts;
	become(a->user);
	errno = 0;
	s->result = call->make(s, a);
	s->error = s->result < 0 ? errno : 0;
	become(0);
}

static const char *told(const struct side *s)
{
	static char text[2][TEXT + 64];
	char *t = text[s == &side[OTHER]];
	int n = snprintf(t, 64, "%ld %s ", s->result, s->error ? strerrorname_np(s->error) : "");

	for (size_t i = 0; i < s->text_len && i < 200; i++)
		t[n++] = s->text[i] < ' ' || s->text[i] > '~' ? '.' : s->text[i];
	t[n] = '\0';
	return t;
}

static bool same(void)
{
	return side[ONE].result == side[OTHER].result && side[ONE].error == side[OTHER].error &&
	       side[ONE].text_len == side[OTHER].text_len &&
	       memcmp(side[ONE].text, side[OTHER].text, side[ONE].text_len) == 0;
}

static void report(int n)
{
	for (int i = 0; i <= n; i++)
		printf("  %s\n", log_text[i]);
	printf("seed %llu, call %d: %s\n  tmpfs: %s\n  mount: %s\n", (unsigned long long)seed, n, log_text[n],
	       told(&side[ONE]), told(&side[OTHER]));
}

static bool one_call(int n)
{
	const struct call *call = &calls[draw(sizeof(calls) / sizeof(calls[0]))];
	struct args a;

	draw_args(&a);
	for (int i = 0; i < 2; i++)
		make_call(&side[i], call, &a);
	snprintf(log_text[n], sizeof(log_text[0]),
		 "%s host %u user %u path %.40s to %.40s fd %d,%d flags %o mode %o at %ld,%ld len %zu any %u -> %ld %s",
		 call->name, a.host, a.user, a.path, a.to, a.slot, a.from, a.flags, a.mode, (long)a.at, (long)a.at2,
		 a.len, a.any, side[ONE].result, side[ONE].error ? strerrorname_np(side[ONE].error) : "");
	if (same())
		return true;
	report(n);
	return false;
}

static void open_side(struct side *s)
{
	char command[2 * PATH_MAX];

	snprintf(command, sizeof(command), "cd %s && chmod 1777 . && rm -rf ./* && mkdir -m 1777 in", s->above[0]);
	if (system(command) != 0)
		exit(2);
	for (unsigned h = 0; h < s->hosts; h++) {
		snprintf(command, sizeof(command), "%s/in", s->above[h]);
		s->dir[h] = open(command, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	for (int f = 0; f < FDS; f++)
		s->fd[f] = -1;
}

static void close_side(struct side *s)
{
	for (unsigned h = 0; h < s->hosts; h++)
		close(s->dir[h]);
	for (int f = 0; f < FDS; f++)
		if (s->fd[f] >= 0)
			close(s->fd[f]);
}

static bool one_round(void)
{
	bool good = true;

	lot = seed * 0x9e3779b97f4a7c15u + 1;
	open_side(&side[ONE]);
	open_side(&side[OTHER]);
	for (int n = 0; n < CALLS && good; n++)
		good = one_call(n);
	close_side(&side[ONE]);
	close_side(&side[OTHER]);
	return good;
}

int main(int argc, char **argv)
{
	unsigned long rounds, bad = 0;

	if (argc < 5 || argc > 4 + HOSTS_MAX) {
		fputs("usage: beside SEED ROUNDS TMPFS MOUNT [MOUNT]\n", stderr);
		return 2;
	}
	seed = strtoull(argv[1], NULL, 10);
	rounds = strtoul(argv[2], NULL, 10);
	side[ONE].above[side[ONE].hosts++] = argv[3];
	for (int i = 4; i < argc; i++)
		side[OTHER].above[side[OTHER].hosts++] = argv[i];
	memset(name255, 'n', 255);
	memset(name256, 'n', 256);
	umask(022);
	for (unsigned long i = 0; i < rounds; i++, seed++)
		bad += !one_round();
	printf("%lu rounds of %d calls, %lu with a difference\n", rounds, CALLS, bad);
	return bad ? 1 : 0;
}
