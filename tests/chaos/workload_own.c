/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workload_own.c - a thread's own tree: a handful of names in a few directories, on
 * which anything is tried, sensible or not. The generator keeps no record of
 * what should come of it; verify replays the log into a model and compares
 * every result, then every name and byte.
 */
#include "load.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void draw_dir(struct worker *w, char *out, size_t size)
{
	static const char *const dirs[] = { "", "", "", "/d0", "/d1", "/d0/d2", "/d1/d2" };

	snprintf(out, size, "own/%s%s", w->own, dirs[draw(w, sizeof(dirs) / sizeof(dirs[0]))]);
}

static void draw_file(struct worker *w, char out[OPLOG_NAME])
{
	char dir[48];

	draw_dir(w, dir, sizeof(dir));
	if (draw(w, 25))
		snprintf(out, OPLOG_NAME, "%s/f%llu", dir, (unsigned long long)draw(w, 4));
	else
		snprintf(out, OPLOG_NAME, "%s/d%llu", dir, (unsigned long long)draw(w, 3));
}

static void draw_subdir(struct worker *w, char out[OPLOG_NAME])
{
	char dir[48];

	draw_dir(w, dir, sizeof(dir));
	if (draw(w, 15))
		snprintf(out, OPLOG_NAME, "%s/d%llu", dir, (unsigned long long)draw(w, 3));
	else
		snprintf(out, OPLOG_NAME, "%s/f%llu", dir, (unsigned long long)draw(w, 4));
}

static int done(struct worker *w, int result)
{
	return op_done(w, result < 0 ? -errno : result);
}

void own_start(struct worker *w)
{
	char path[OPLOG_NAME];

	snprintf(path, sizeof(path), "own/%s", w->own);
	op_begin(w, OP_OWN_MKDIR, path, NULL);
	op_intent(w);
	done(w, mkdirat(w->load->root, path, 0755));
}

static void own_directory(struct worker *w)
{
	char path[OPLOG_NAME];
	bool make = draw(w, 3);

	draw_subdir(w, path);
	op_begin(w, make ? OP_OWN_MKDIR : OP_OWN_RMDIR, path, NULL);
	op_intent(w);
	done(w, make ? mkdirat(w->load->root, path, 0755) : unlinkat(w->load->root, path, AT_REMOVEDIR));
}

static void own_create(struct worker *w)
{
	char path[OPLOG_NAME];
	struct stat st;
	int fd, result;

	draw_file(w, path);
	op_begin(w, OP_OWN_CREATE, path, NULL);
	op_intent(w);
	fd = openat(w->load->root, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	result = fd < 0 ? -1 : fstat(fd, &st);
	if (!result)
		w->rec.b = st.st_ino;
	done(w, result);
	if (fd >= 0)
		close(fd);
}

static void own_unlink(struct worker *w)
{
	char path[OPLOG_NAME];

	draw_file(w, path);
	op_begin(w, OP_OWN_UNLINK, path, NULL);
	op_intent(w);
	done(w, unlinkat(w->load->root, path, 0));
}

static void own_rename(struct worker *w)
{
	static const unsigned flags[] = { 0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE };
	char from[OPLOG_NAME], to[OPLOG_NAME];

	if (draw(w, 4)) {
		draw_file(w, from);
		draw_file(w, to);
	} else {
		draw_subdir(w, from);
		draw_subdir(w, to);
	}
	op_begin(w, OP_OWN_RENAME, from, to);
	w->rec.a = flags[draw(w, sizeof(flags) / sizeof(flags[0]))];
	op_intent(w);
	done(w, renameat2(w->load->root, from, w->load->root, to, (unsigned)w->rec.a));
}

static void own_link(struct worker *w)
{
	char from[OPLOG_NAME], to[OPLOG_NAME];
	bool hard = draw(w, 3);

	draw_file(w, from);
	draw_file(w, to);
	if (!hard)
		snprintf(from, sizeof(from), "nowhere-%llu", (unsigned long long)w->seq);
	op_begin(w, hard ? OP_OWN_LINK : OP_OWN_SYMLINK, hard ? from : to, hard ? to : from);
	op_intent(w);
	done(w, hard ? linkat(w->load->root, from, w->load->root, to, 0) : symlinkat(from, w->load->root, to));
}

static uint64_t draw_length(struct worker *w)
{
	switch (draw(w, 8)) {
	case 0: return CHAOS_BLOCKS_MAX * CHAOS_BLOCK;
	case 1: return CHAOS_BLOCK;
	default: return 1 + draw(w, 24000);
	}
}

/* An operation on the content of a file by its name. */
static void own_content(struct worker *w, enum op_kind kind)
{
	char path[OPLOG_NAME];
	int fd, result;

	draw_file(w, path);
	op_begin(w, kind, path, NULL);
	w->rec.a = kind == OP_OWN_APPEND ? 0 : draw(w, draw(w, 8) ? 60000 : 300000);
	if (kind == OP_OWN_TRUNCATE && !draw(w, 3)) /* else into one, mostly */
		w->rec.a &= ~4095ull;
	w->rec.b = kind == OP_OWN_TRUNCATE ? 0 : draw_length(w);
	if (kind == OP_OWN_WRITE && !draw(w, 4)) { /* whole groups, often over each other */
		w->rec.a = (1 + draw(w, 3)) * CHAOS_GROUP * CHAOS_BLOCK;
		w->rec.b = (1 + draw(w, 2)) * CHAOS_GROUP * CHAOS_BLOCK;
	}
	pattern_fill(w->buf, w->rec.b, round_path_id(w->load, w->own), worker_op(w), 0);
	op_intent(w);
	fd = openat(w->load->root, path,
		    (kind == OP_OWN_READ ? O_RDONLY : O_WRONLY) | O_NOFOLLOW | O_CLOEXEC |
			    (kind == OP_OWN_APPEND ? O_APPEND : 0));
	if (fd < 0)
		result = fd;
	else if (kind == OP_OWN_TRUNCATE)
		result = ftruncate(fd, (off_t)w->rec.a);
	else if (kind == OP_OWN_READ)
		result = (int)pread(fd, w->buf, w->rec.b, (off_t)w->rec.a);
	else if (kind == OP_OWN_APPEND)
		result = (int)write(fd, w->buf, w->rec.b);
	else
		result = (int)pwrite(fd, w->buf, w->rec.b, (off_t)w->rec.a);
	if (kind == OP_OWN_READ && result >= 0)
		w->rec.c = crc32c(0, w->buf, (size_t)result);
	done(w, result);
	if (fd >= 0)
		close(fd);
}

static void own_chmod(struct worker *w)
{
	char path[OPLOG_NAME];

	draw_file(w, path);
	op_begin(w, OP_OWN_CHMOD, path, NULL);
	w->rec.a = 0600 | draw(w, 0200);
	op_intent(w);
	done(w, fchmodat(w->load->root, path, (mode_t)w->rec.a, 0));
}

static void own_stat(struct worker *w)
{
	char path[OPLOG_NAME];
	struct stat st;
	int result;

	draw_file(w, path);
	op_begin(w, OP_OWN_STAT, path, NULL);
	op_intent(w);
	result = fstatat(w->load->root, path, &st, AT_SYMLINK_NOFOLLOW);
	if (!result) {
		w->rec.a = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
		w->rec.b = st.st_ino;
		w->rec.c = (uint64_t)st.st_mode << 32 | (S_ISDIR(st.st_mode) ? 0 : st.st_nlink);
	}
	done(w, result);
}

static void own_list(struct worker *w)
{
	char path[OPLOG_NAME];
	struct dirent *e;
	DIR *d = NULL;
	int fd;

	draw_dir(w, path, sizeof(path));
	op_begin(w, OP_OWN_LIST, path, NULL);
	op_intent(w);
	fd = openat(w->load->root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	while (d && (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		w->rec.a++;
		w->rec.c += path_id(e->d_name);
	}
	done(w, d ? 0 : -1);
	if (d)
		closedir(d);
}

static void own_release(struct worker *w, unsigned slot)
{
	op_begin(w, OP_OWN_RELEASE, NULL, NULL);
	w->rec.a = slot;
	op_intent(w);
	done(w, close(w->held[slot]));
	w->held[slot] = -1;
}

static void own_held(struct worker *w)
{
	unsigned slot = (unsigned)draw(w, HELD);
	bool write_it = draw(w, 2);
	ssize_t n;

	if (w->held[slot] < 0)
		return;
	op_begin(w, write_it ? OP_OWN_HELD_WRITE : OP_OWN_HELD_READ, NULL, NULL);
	w->rec.a = slot;
	w->rec.b = draw_length(w);
	w->rec.c = draw(w, 60000);
	pattern_fill(w->buf, w->rec.b, round_path_id(w->load, w->own), worker_op(w), 0);
	op_intent(w);
	if (write_it) {
		n = pwrite(w->held[slot], w->buf, w->rec.b, (off_t)w->rec.c);
	} else {
		n = pread(w->held[slot], w->buf, w->rec.b, 0);
		w->rec.c = n < 0 ? 0 : crc32c(0, w->buf, (size_t)n);
	}
	done(w, (int)n);
}

static void own_hold(struct worker *w)
{
	unsigned slot = (unsigned)draw(w, HELD);
	char path[OPLOG_NAME];

	if (w->held[slot] >= 0)
		own_release(w, slot);
	draw_file(w, path);
	op_begin(w, OP_OWN_HOLD, path, NULL);
	w->rec.a = slot;
	op_intent(w);
	w->held[slot] = openat(w->load->root, path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	done(w, w->held[slot] < 0 ? -1 : 0);
}

void do_own(struct worker *w)
{
	static void (*const rest[])(struct worker *) = { own_directory, own_create, own_create, own_create, own_unlink,
							 own_rename,    own_rename, own_link,   own_chmod,  own_stat,
							 own_list,      own_hold,   own_held,   own_held };
	static const enum op_kind content[] = { OP_OWN_WRITE, OP_OWN_WRITE, OP_OWN_APPEND, OP_OWN_TRUNCATE,
						OP_OWN_READ };

	if (draw(w, 3))
		rest[draw(w, sizeof(rest) / sizeof(rest[0]))](w);
	else
		own_content(w, content[draw(w, sizeof(content) / sizeof(content[0]))]);
}
