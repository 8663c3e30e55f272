/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cell_work.c - a worker: visits cells that are open now, and does as it likes there.
 *
 * Single-threaded; a process a worker, so that each is an owner of locks by
 * itself. It may be killed at any moment. Directories are held by descriptor, so that a
 * call is about one name in one directory, and its way there is not part of it.
 */
#include "cell_work.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cell_log.h"
#include "oplog.h"

#define DIRS_MAX 4u
#define VISIT_OPS 24u

struct visitor {
	struct cell_log log;
	uint64_t dice;
	uint32_t token;
	int top; /* where the cells are */
	struct {
		int fd;
		uint64_t ino;
	} dir[DIRS_MAX]; /* [0]: the cell */
	int file, lock;  /* or -1 */
	uint64_t file_ino;
	uint8_t locked;
	size_t slot_size;
	bool full; /* the log */
};

static uint32_t draw(struct visitor *v, uint32_t n)
{
	v->dice = v->dice * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((v->dice >> 33) % n);
}

static const char *name_text(unsigned name)
{
	static const char *const text[CELL_NAMES] = { "a", "b", "c" };

	return text[name];
}

static struct cell_op *begin(struct visitor *v, enum cell_kind kind)
{
	struct cell_op *op = cell_log_begin(&v->log, kind);
	static struct cell_op nowhere;

	if (op)
		return op;
	v->full = true;
	return &nowhere;
}

static unsigned any_dir(struct visitor *v)
{
	unsigned i = draw(v, 2) ? draw(v, DIRS_MAX) : 0;

	return v->dir[i].fd < 0 ? 0 : i;
}

/* The number of what is open, without asking for its attributes. */
static uint64_t number_of(int fd)
{
	struct statx sx;

	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &sx) ? 0 : sx.stx_ino;
}

/* -- names -------------------------------------------------------------------------- */

static void close_file(struct visitor *v)
{
	struct cell_op *op;

	if (v->file < 0)
		return;
	op = begin(v, CELL_CLOSE);
	op->ino = v->file_ino;
	cell_log_ask(op);
	cell_log_answer(op, close(v->file) ? -errno : 0);
	v->file = -1;
}

/* Opens a file, or makes one. */
static void open_file(struct visitor *v, enum cell_kind kind)
{
	const int flags = O_RDWR | O_CLOEXEC | (kind == CELL_CREATE ? O_CREAT | O_EXCL : 0);
	unsigned dir = any_dir(v);
	struct cell_op *op;
	int fd;

	close_file(v);
	op = begin(v, kind);
	op->dir = v->dir[dir].ino;
	op->name = (uint8_t)draw(v, CELL_NAMES);
	cell_log_ask(op);
	fd = openat(v->dir[dir].fd, name_text(op->name), flags, 0644);
	if (fd >= 0)
		op->ino = number_of(fd);
	cell_log_answer(op, fd < 0 ? -errno : 0);
	v->file = fd;
	v->file_ino = op->ino;
}

static void open_dir(struct visitor *v)
{
	unsigned dir = any_dir(v), at = 1 + draw(v, DIRS_MAX - 1);
	struct cell_op *op = begin(v, CELL_OPENDIR);
	int fd;

	op->dir = v->dir[dir].ino;
	op->name = (uint8_t)draw(v, CELL_NAMES);
	cell_log_ask(op);
	fd = openat(v->dir[dir].fd, name_text(op->name), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		op->ino = number_of(fd);
	cell_log_answer(op, fd < 0 ? -errno : 0);
	if (fd < 0)
		return;
	if (v->dir[at].fd >= 0)
		close(v->dir[at].fd);
	v->dir[at].fd = fd;
	v->dir[at].ino = op->ino;
}

static void on_name(struct visitor *v, enum cell_kind kind)
{
	unsigned dir = any_dir(v);
	struct cell_op *op = begin(v, kind);
	const char *name;
	int rc;

	op->dir = v->dir[dir].ino;
	op->name = (uint8_t)draw(v, CELL_NAMES);
	name = name_text(op->name);
	cell_log_ask(op);
	if (kind == CELL_MKDIR)
		rc = mkdirat(v->dir[dir].fd, name, 0755);
	else
		rc = unlinkat(v->dir[dir].fd, name, kind == CELL_RMDIR ? AT_REMOVEDIR : 0);
	cell_log_answer(op, rc ? -errno : 0);
}

static void rename_any(struct visitor *v)
{
	static const uint8_t flags[] = { 0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE };
	unsigned dir = any_dir(v), dir2 = any_dir(v);
	struct cell_op *op = begin(v, CELL_RENAME);
	int rc;

	op->dir = v->dir[dir].ino;
	op->dir2 = v->dir[dir2].ino;
	op->name = (uint8_t)draw(v, CELL_NAMES);
	op->name2 = (uint8_t)draw(v, CELL_NAMES);
	op->a = flags[draw(v, sizeof(flags))];
	cell_log_ask(op);
	rc = renameat2(v->dir[dir].fd, name_text(op->name), v->dir[dir2].fd, name_text(op->name2), op->a);
	cell_log_answer(op, rc ? -errno : 0);
}

static void link_any(struct visitor *v)
{
	unsigned dir = any_dir(v);
	struct cell_op *op;
	int rc;

	if (v->file < 0)
		return;
	op = begin(v, CELL_LINK);
	op->ino = v->file_ino;
	op->dir2 = v->dir[dir].ino;
	op->name2 = (uint8_t)draw(v, CELL_NAMES);
	cell_log_ask(op);
	rc = linkat(v->file, "", v->dir[dir].fd, name_text(op->name2), AT_EMPTY_PATH) ? -errno : 0;
	cell_log_answer(op, rc == -ESTALE ? -ENOENT : rc); /* it has no name any more */
}

/* A look at a name, then at the attributes of what it leads to. */
static void look(struct visitor *v, unsigned dir, unsigned name)
{
	struct cell_op *op = begin(v, CELL_LOOKUP), *more;
	struct stat st;
	int rc;

	op->dir = v->dir[dir].ino;
	op->name = (uint8_t)name;
	op->t0 = now_ns();
	rc = fstatat(v->dir[dir].fd, name_text(name), &st, AT_SYMLINK_NOFOLLOW) ? -errno : 0;
	op->ino = rc ? 0 : st.st_ino;
	op->a = rc == 0 && S_ISDIR(st.st_mode);
	cell_log_answer(op, rc);
	more = rc == 0 && !op->a ? cell_log_beside(&v->log, op, CELL_ATTR) : NULL;
	if (!more)
		return;
	more->ino = st.st_ino;
	more->a = (uint32_t)st.st_nlink;
	more->b = (size_t)st.st_size % v->slot_size ? CELL_TORN : (uint32_t)((size_t)st.st_size / v->slot_size);
}

/* A listing promises nothing of two names at one moment: a look at each, at any moment of it. */
static void list(struct visitor *v, unsigned dir)
{
	struct cell_op *op = begin(v, CELL_LOOKUP);
	uint64_t seen[CELL_NAMES] = { 0 };
	bool is_dir[CELL_NAMES] = { false };
	struct dirent *e;
	int fd, rc;
	DIR *d;

	op->dir = v->dir[dir].ino;
	op->t0 = now_ns();
	fd = openat(v->dir[dir].fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	for (errno = d ? 0 : errno; d && (e = readdir(d));)
		for (unsigned i = 0; i < CELL_NAMES; i++)
			if (!strcmp(e->d_name, name_text(i))) {
				seen[i] = e->d_ino;
				is_dir[i] = e->d_type == DT_DIR;
			}
	rc = -errno;
	if (d)
		closedir(d);
	cell_log_answer(op, rc);
	for (unsigned i = 0; op && rc == 0 && i < CELL_NAMES; i++) {
		struct cell_op *one = i ? cell_log_beside(&v->log, op, CELL_LOOKUP) : op;

		if (!one)
			return;
		one->name = (uint8_t)i;
		one->ino = seen[i];
		one->a = is_dir[i];
		one->result = seen[i] ? 0 : -ENOENT;
	}
}

/* -- files ------------------------------------------------------------------------------ */

static void fill(uint64_t *to, size_t size, uint32_t token)
{
	for (size_t i = 0; i < size / sizeof(*to); i++)
		to[i] = (uint64_t)token << 32 | i;
}

static uint32_t token_in(const uint64_t *from, size_t size)
{
	uint32_t token = (uint32_t)(from[0] >> 32);

	for (size_t i = 0; i < size / sizeof(*from); i++)
		if (from[i] != (token ? (uint64_t)token << 32 | i : 0))
			return CELL_TORN;
	return token;
}

static int outcome(ssize_t n, size_t want)
{
	return n < 0 ? -errno : (size_t)n == want ? 0 : -EOVERFLOW; /* short: nothing is known of it */
}

static void attributes(struct visitor *v)
{
	struct cell_op *op = begin(v, CELL_ATTR);
	struct stat st;
	int rc;

	op->ino = v->file_ino;
	op->t0 = now_ns();
	rc = fstat(v->file, &st) ? -errno : 0;
	if (rc == 0) {
		op->a = (uint32_t)st.st_nlink;
		op->b = (size_t)st.st_size % v->slot_size ? CELL_TORN : (uint32_t)((size_t)st.st_size / v->slot_size);
	}
	cell_log_answer(op, rc);
}

static void write_slot(struct visitor *v, uint64_t *buf)
{
	struct cell_op *op = begin(v, CELL_WRITE);

	op->ino = v->file_ino;
	op->a = draw(v, CELL_SLOTS - 3);
	op->b = ++v->token;
	fill(buf, v->slot_size, op->b);
	cell_log_ask(op);
	cell_log_answer(op, outcome(pwrite(v->file, buf, v->slot_size, (off_t)(op->a * v->slot_size)), v->slot_size));
}

static void append(struct visitor *v, uint64_t *buf)
{
	struct cell_op *op = begin(v, CELL_APPEND);
	ssize_t n;

	op->ino = v->file_ino;
	op->b = ++v->token;
	fill(buf, v->slot_size, op->b);
	fcntl(v->file, F_SETFL, O_APPEND);
	cell_log_ask(op);
	n = write(v->file, buf, v->slot_size);
	cell_log_answer(op, outcome(n, v->slot_size));
	fcntl(v->file, F_SETFL, 0);
}

static void cut(struct visitor *v)
{
	struct cell_op *op = begin(v, CELL_TRUNCATE);

	op->ino = v->file_ino;
	op->a = draw(v, 3);
	cell_log_ask(op);
	cell_log_answer(op, ftruncate(v->file, (off_t)(op->a * v->slot_size)) ? -errno : 0);
}

/* A file that has grown long is cut: the model has room for so many slots. */
static void grow(struct visitor *v, uint64_t *buf)
{
	struct stat st;

	if (fstat(v->file, &st) || (size_t)st.st_size > 3 * v->slot_size)
		cut(v);
	else
		append(v, buf);
}

static void read_slot(struct visitor *v, uint64_t *buf, unsigned slot)
{
	struct cell_op *op = begin(v, CELL_READ);
	ssize_t n;

	op->ino = v->file_ino;
	op->a = slot;
	op->t0 = now_ns();
	n = pread(v->file, buf, v->slot_size, (off_t)(slot * v->slot_size));
	op->b = n > 0 && (size_t)n == v->slot_size ? token_in(buf, v->slot_size) : n ? CELL_TORN : 0;
	cell_log_answer(op, n < 0 ? -errno : n > 0);
}

static void read_all(struct visitor *v, uint64_t *buf)
{
	struct cell_op *op = begin(v, CELL_READ_ALL);
	ssize_t n;

	op->ino = v->file_ino;
	op->t0 = now_ns();
	n = pread(v->file, buf, CELL_SLOTS * v->slot_size, 0);
	op->a = n < 0 ? 0 : (size_t)n % v->slot_size ? CELL_TORN : (uint32_t)((size_t)n / v->slot_size);
	for (unsigned i = 0; n > 0 && op->a != CELL_TORN && i < op->a; i++)
		op->all[i] = token_in((uint64_t *)(void *)((char *)buf + i * v->slot_size), v->slot_size);
	cell_log_answer(op, n < 0 ? -errno : 0);
}

static void on_file(struct visitor *v)
{
	static uint64_t buf[CELL_SLOTS * CELL_SLOT_MAX / sizeof(uint64_t)];
	uint32_t what = draw(v, 100);

	if (what < 25)
		write_slot(v, buf);
	else if (what < 45)
		grow(v, buf);
	else if (what < 55)
		cut(v);
	else if (what < 70)
		attributes(v);
	else if (what < 85 || v->slot_size > CELL_WHOLE_MAX)
		read_slot(v, buf, draw(v, CELL_SLOTS - 3));
	else
		read_all(v, buf);
}

/* -- the lock --------------------------------------------------------------------------- */

static int set_lock(struct visitor *v, unsigned type)
{
	struct flock l = { .l_type = type == 2 ? F_WRLCK : type ? F_RDLCK : F_UNLCK, .l_whence = SEEK_SET };

	if (v->log.cell % 2)
		return flock(v->lock, type == 2 ? LOCK_EX | LOCK_NB : type ? LOCK_SH | LOCK_NB : LOCK_UN);
	return fcntl(v->lock, F_SETLK, &l);
}

/* Never from one type to another: that may be two steps. */
static void lock_or_unlock(struct visitor *v)
{
	struct cell_op *op = begin(v, v->locked ? CELL_UNLOCK : CELL_LOCK);
	int rc;

	op->a = v->locked ? 0 : 1 + draw(v, 2);
	cell_log_ask(op);
	rc = set_lock(v, op->a) ? -errno : 0;
	cell_log_answer(op, rc == -EACCES ? -EAGAIN : rc);
	if (rc == 0)
		v->locked = (uint8_t)op->a;
}

/* -- visits ------------------------------------------------------------------------------ */

static void act_on_names(struct visitor *v)
{
	uint32_t what = draw(v, 100);

	if (what < 18)
		open_file(v, CELL_CREATE);
	else if (what < 28)
		on_name(v, CELL_MKDIR);
	else if (what < 42)
		on_name(v, CELL_UNLINK);
	else if (what < 50)
		on_name(v, CELL_RMDIR);
	else if (what < 72)
		rename_any(v);
	else if (what < 82)
		open_dir(v);
	else if (what < 92)
		look(v, any_dir(v), draw(v, CELL_NAMES));
	else
		list(v, any_dir(v));
}

static void act_on_files(struct visitor *v)
{
	uint32_t what = draw(v, 100);

	if (v->log.cell % 3 == 2 && what < 25)
		lock_or_unlock(v);
	else if (v->file >= 0 && what < 75)
		on_file(v);
	else if (what < 80)
		open_file(v, CELL_CREATE);
	else if (what < 87)
		open_file(v, CELL_OPEN);
	else if (what < 90)
		on_name(v, CELL_UNLINK);
	else if (what < 93)
		rename_any(v);
	else if (what < 96)
		link_any(v);
	else
		look(v, 0, draw(v, CELL_NAMES));
}

static size_t slot_size_of(uint32_t cell)
{
	static const size_t sizes[] = { 8, 4096, 5000, CELL_SLOT_MAX };

	return sizes[cell / 3 % 4];
}

/* 0, or -errno. */
static int enter(struct visitor *v, uint32_t cell, bool make)
{
	char name[24];
	struct cell_op *op;

	snprintf(name, sizeof(name), "c%u", cell);
	if (make && mkdirat(v->top, name, 0755) && errno != EEXIST)
		return -errno;
	v->dir[0].fd = openat(v->top, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (v->dir[0].fd < 0)
		return -errno;
	v->lock = openat(v->dir[0].fd, "lk", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	v->dir[0].ino = number_of(v->dir[0].fd);
	for (unsigned i = 1; i < DIRS_MAX; i++)
		v->dir[i].fd = -1;
	v->file = -1;
	v->locked = 0;
	v->log.cell = cell;
	v->slot_size = slot_size_of(cell);
	op = begin(v, CELL_VISIT);
	op->ino = v->dir[0].ino;
	cell_log_answer(op, v->lock < 0 ? -errno : 0);
	return v->lock < 0 ? -EIO : 0;
}

static void leave(struct visitor *v)
{
	close_file(v);
	if (v->locked)
		lock_or_unlock(v);
	if (v->lock >= 0)
		close(v->lock);
	for (unsigned i = 0; i < DIRS_MAX; i++)
		if (v->dir[i].fd >= 0)
			close(v->dir[i].fd);
}

static uint32_t cell_now(struct visitor *v, uint64_t began)
{
	uint32_t turn = (uint32_t)((now_ns() - began) / CELL_TURN_NS);

	return turn * CELL_AT_ONCE + draw(v, CELL_AT_ONCE);
}

/* Like O_PATH descriptors, what has no name is held by the kernel alone: closing asks nobody. */
static int visit(struct visitor *v, uint32_t cell)
{
	int rc = enter(v, cell, true);

	for (unsigned i = 0; rc == 0 && i < VISIT_OPS && !v->full; i++)
		if (cell % 3 == 0)
			act_on_names(v);
		else
			act_on_files(v);
	leave(v);
	return rc;
}

static int visitor_init(struct visitor *v, const struct cell_job *job, unsigned worker)
{
	*v = (struct visitor){ .dice = job->seed * 2654435761u + worker + 1, .top = job->top };
	v->token = worker << 24 | (job->gen & 0xff) << 16;
	return cell_log_open(job->log, job->host, job->gen, worker, &v->log);
}

int cell_work(const struct cell_job *job, unsigned worker)
{
	struct visitor v;
	int rc = visitor_init(&v, job, worker);

	while (rc == 0 && now_ns() < job->until && !v.full)
		rc = visit(&v, cell_now(&v, job->began));
	return rc;
}

/* -- the last look ------------------------------------------------------------------------ */

static void look_into(struct visitor *v, uint64_t *buf)
{
	attributes(v);
	for (unsigned i = 0; i < CELL_SLOTS; i++)
		read_slot(v, buf, i);
	close_file(v);
}

/* Everything in directory [0], files by what is in them; then in the directories below. */
static void look_around(struct visitor *v, unsigned depth)
{
	static uint64_t buf[CELL_SLOT_MAX / sizeof(uint64_t)];

	list(v, 0);
	for (unsigned name = 0; name < CELL_NAMES; name++) {
		int here = v->dir[0].fd, fd;
		uint64_t ino = v->dir[0].ino;
		struct cell_op *op;

		look(v, 0, name);
		fd = openat(here, name_text(name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 && depth < CELL_NODES) {
			v->dir[0].fd = fd;
			v->dir[0].ino = number_of(fd);
			look_around(v, depth + 1);
			close(fd);
			v->dir[0].fd = here;
			v->dir[0].ino = ino;
			continue;
		}
		op = begin(v, CELL_OPEN);
		op->dir = ino;
		op->name = (uint8_t)name;
		op->t0 = now_ns();
		v->file = openat(here, name_text(name), O_RDONLY | O_CLOEXEC);
		v->file_ino = op->ino = v->file < 0 ? 0 : number_of(v->file);
		cell_log_answer(op, v->file < 0 ? -errno : 0);
		if (v->file >= 0)
			look_into(v, buf);
	}
}

int cell_look(const struct cell_job *job, unsigned worker)
{
	struct visitor v;
	int rc = visitor_init(&v, job, worker);

	for (uint32_t cell = 0; rc == 0 && cell < job->cells && !v.full; cell++) {
		int entered = enter(&v, cell, false);

		if (entered == 0)
			look_around(&v, 0);
		if (entered != -ENOENT) {
			rc = entered;
			leave(&v);
		}
	}
	return rc;
}
