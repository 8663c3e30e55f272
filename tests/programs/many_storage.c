/* SPDX-License-Identifier: Apache-2.0 */
/*
 * many_storage.c - a tree of so many files (many.h), served read-only by FUSE: storage that takes no room.
 *
 *   many_storage DIRS FILES MOUNTPOINT
 *
 * Numbers: 1 the top, 2 + d a directory, 2 + DIRS + n a file. An offset of a listing is the place of the next name, so
 * nothing is kept for anybody. It ends with its mount.
 */
#define FUSE_USE_VERSION 35
#include <fuse_lowlevel.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "many.h"

#define TIMEOUT_S 3600.0 /* nothing ever changes */

static struct many many;

static uint64_t first_file(void)
{
	return 2 + many.dirs;
}

static int look_at(fuse_ino_t ino, struct stat *st)
{
	*st = (struct stat){ .st_ino = ino, .st_nlink = 1, .st_mode = S_IFDIR | 0755 };
	if (ino < FUSE_ROOT_ID || ino >= first_file() + many_all(&many))
		return ENOENT;
	if (ino >= first_file()) {
		st->st_mode = S_IFREG | 0644;
		st->st_size = (off_t)many_size(ino - first_file());
	}
	st->st_mtim.tv_sec = st->st_ctim.tv_sec = MANY_BORN_S + (time_t)(ino % 100000000);
	return 0;
}

/* "f12": 12. All digits, and as it is written. */
static bool read_number(const char *name, char first, uint64_t *out)
{
	char *end, again[32];

	if (name[0] != first)
		return false;
	*out = strtoull(name + 1, &end, 10);
	snprintf(again, sizeof(again), "%llu", (unsigned long long)*out);
	return !*end && strcmp(again, name + 1) == 0;
}

/* The number of a name; 0: there is none. */
static fuse_ino_t find(fuse_ino_t parent, const char *name)
{
	bool top = parent == FUSE_ROOT_ID;
	uint64_t i;

	if (top && many.dirs)
		return read_number(name, 'd', &i) && i < many.dirs ? 2 + i : 0;
	if (parent >= first_file() || !read_number(name, 'f', &i) || i >= many.files)
		return 0;
	return first_file() + (top ? 0 : parent - 2) * many.files + i;
}

static void do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param e = { .attr_timeout = TIMEOUT_S, .entry_timeout = TIMEOUT_S };

	e.ino = find(parent, name);
	if (!e.ino || look_at(e.ino, &e.attr))
		fuse_reply_err(req, ENOENT);
	else
		fuse_reply_entry(req, &e);
}

static void do_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;
	int error = look_at(ino, &st);

	(void)fi;
	if (error)
		fuse_reply_err(req, error);
	else
		fuse_reply_attr(req, &st, TIMEOUT_S);
}

static void do_readdir(fuse_req_t req, fuse_ino_t dir, size_t size, off_t offset, struct fuse_file_info *fi)
{
	bool dirs = dir == FUSE_ROOT_ID && many.dirs;
	uint64_t n = dirs ? many.dirs : many.files;
	uint64_t base = dirs ? 2 : first_file() + (dir == FUSE_ROOT_ID ? 0 : dir - 2) * many.files;
	char *buf = malloc(size), name[32];
	size_t used = 0, need;

	(void)fi;
	for (uint64_t i = (uint64_t)offset; buf && i < n; i++) {
		struct stat st = { .st_ino = base + i, .st_mode = dirs ? S_IFDIR : S_IFREG };

		snprintf(name, sizeof(name), "%c%llu", dirs ? 'd' : 'f', (unsigned long long)i);
		need = fuse_add_direntry(req, buf + used, size - used, name, &st, (off_t)i + 1);
		if (need > size - used)
			break;
		used += need;
	}
	fuse_reply_buf(req, buf, used);
	free(buf);
}

static void do_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	uint64_t n = ino - first_file(), end = many_size(n), at = (uint64_t)offset;
	char *buf = malloc(size);
	size_t used = 0;

	(void)fi;
	while (buf && used < size && at < end)
		buf[used++] = (char)many_byte(n, at++);
	fuse_reply_buf(req, buf, used);
	free(buf);
}

int main(int argc, char **argv)
{
	static const struct fuse_lowlevel_ops ops = {
		.lookup = do_lookup, .getattr = do_getattr, .readdir = do_readdir, .read = do_read
	};
	char *options[] = { argv[0], "-o", "ro,default_permissions,allow_other,fsname=many", NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, options);
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	struct fuse_session *se;
	int status = 1;

	if (argc != 4) {
		fprintf(stderr, "usage: many_storage DIRS FILES MOUNTPOINT\n");
		return 2;
	}
	many = (struct many){ strtoull(argv[1], NULL, 10), strtoull(argv[2], NULL, 10) };
	se = fuse_session_new(&args, &ops, sizeof(ops), NULL);
	if (se && fuse_session_mount(se, argv[3]) == 0) {
		fuse_set_signal_handlers(se);
		status = fuse_session_loop_mt(se, config) < 0;
		fuse_session_unmount(se);
	}
	if (se)
		fuse_session_destroy(se);
	fuse_opt_free_args(&args);
	fuse_loop_cfg_destroy(config);
	return status;
}
