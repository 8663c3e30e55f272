/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workload_names.c - names that all hosts fight for: created, replaced, linked,
 * removed, moved. Each attempt is logged with what came of it and the inode it
 * was about; verify decides afterwards whether some one order explains all.
 */
#include "load.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The first block of every file that can come under a contested name by link or rename. */
#define IDENT "ident"

static int stat_ino(struct worker *w, const char *path)
{
	struct stat st;

	if (fstatat(w->load->root, path, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	w->rec.b = st.st_ino;
	return 0;
}

static int create_excl(struct worker *w, const char *path, int *fd)
{
	struct stat st;

	*fd = openat(w->load->root, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (*fd < 0)
		return -errno;
	if (fstat(*fd, &st))
		return -errno;
	w->rec.b = st.st_ino;
	return 0;
}

static int name_create(struct worker *w, const char *path)
{
	int fd = -1, result;

	op_begin(w, OP_NAME_CREATE, path, NULL);
	op_intent(w);
	result = op_done(w, create_excl(w, path, &fd));
	if (fd >= 0)
		close(fd);
	return result;
}

/* A new file of our own with an ident block, to be linked or renamed. */
static int make_source(struct worker *w, char path[OPLOG_NAME], uint64_t *ino)
{
	int fd = -1, result;

	snprintf(path, OPLOG_NAME, "tmp/%s.%llu", w->own, (unsigned long long)w->seq);
	op_begin(w, OP_NAME_CREATE, path, NULL);
	op_intent(w);
	result = op_done(w, create_excl(w, path, &fd));
	*ino = w->rec.b;
	if (!result) {
		block_fill(w->buf, path_id(IDENT), 0, worker_op(w));
		if (pwrite(fd, w->buf, CHAOS_BLOCK, 0) != (ssize_t)CHAOS_BLOCK && !mount_lost(w, errno))
			violation(w, "ident of %s: errno %d", path, errno);
	}
	if (fd >= 0)
		close(fd);
	return result;
}

static void name_unlink(struct worker *w, const char *path)
{
	op_begin(w, OP_NAME_UNLINK, path, NULL);
	op_intent(w);
	op_done(w, unlinkat(w->load->root, path, 0) ? -errno : 0);
}

static void name_replace(struct worker *w, const char *path)
{
	char source[OPLOG_NAME];
	uint64_t ino;

	if (make_source(w, source, &ino))
		return;
	op_begin(w, OP_NAME_REPLACE, path, source);
	w->rec.b = ino;
	op_intent(w);
	op_done(w, renameat(w->load->root, source, w->load->root, path) ? -errno : 0);
}

static void name_link(struct worker *w, const char *path)
{
	if (!w->source[0] && make_source(w, w->source, &w->source_ino)) {
		w->source[0] = '\0';
		return;
	}
	op_begin(w, OP_NAME_LINK, path, w->source);
	w->rec.b = w->source_ino;
	op_intent(w);
	op_done(w, linkat(w->load->root, w->source, w->load->root, path, 0) ? -errno : 0);
}

static void name_stat(struct worker *w, const char *path)
{
	op_begin(w, OP_NAME_STAT, path, NULL);
	op_intent(w);
	op_done(w, stat_ino(w, path));
}

/*
 * Open what has the name now, keep it, and see later, when it most likely has
 * no name any more on any host, that it still reads the same.
 */
static void name_watch(struct worker *w, const char *path)
{
	struct seen_file *seen = &w->seen;
	ssize_t n;
	uint32_t crc;

	if (seen->fd >= 0) {
		n = pread(seen->fd, w->buf, 2 * CHAOS_BLOCK, 0);
		crc = n < 0 ? 0 : crc32c(0, w->buf, (size_t)n);
		if ((n != (ssize_t)seen->len || crc != seen->crc) && !(n < 0 && mount_lost(w, errno)))
			violation(w, "open file changed: had %u bytes, got %zd (errno %d)", seen->len, n, errno);
		close(seen->fd);
	}
	seen->fd = openat(w->load->root, path, O_RDONLY | O_CLOEXEC);
	if (seen->fd < 0)
		return;
	n = pread(seen->fd, w->buf, 2 * CHAOS_BLOCK, 0);
	if ((n < 0 && !mount_lost(w, errno)) || (n > 0 && n != (ssize_t)CHAOS_BLOCK))
		violation(w, "%s: read of an open file: %zd (errno %d)", path, n, errno);
	if (n == (ssize_t)CHAOS_BLOCK) {
		struct stamp s;
		const char *err = block_check(w->buf, path_id(IDENT), 0, &s);

		if (err)
			violation(w, "%s ident: %s", path, err);
	}
	seen->len = n < 0 ? 0 : (uint32_t)n;
	seen->crc = n < 0 ? 0 : crc32c(0, w->buf, (size_t)n);
}

void do_names(struct worker *w)
{
	char path[OPLOG_NAME];

	snprintf(path, sizeof(path), "names/n%llu", (unsigned long long)draw(w, FIGHT_NAMES));
	switch (draw(w, 8)) {
	case 0:
	case 1: name_create(w, path); break;
	case 2:
	case 3: name_unlink(w, path); break;
	case 4: name_replace(w, path); break;
	case 5: name_link(w, path); break;
	case 6: name_stat(w, path); break;
	default: name_watch(w, path);
	}
}

static void excl_other(struct worker *w, const char *path, enum op_kind kind)
{
	int result;

	op_begin(w, kind, path, NULL);
	op_intent(w);
	result = kind == OP_NAME_MKDIR ? mkdirat(w->load->root, path, 0755) : symlinkat("nowhere", w->load->root, path);
	result = result ? -errno : stat_ino(w, path);
	op_done(w, result);
}

/* Every thread of every host tries the same new name in the same moment. */
void do_excl(struct worker *w)
{
	uint64_t slot = now_ns() / EXCL_SLOT_NS;
	char path[OPLOG_NAME];

	if (slot == w->excl_slot)
		return;
	w->excl_slot = slot;
	snprintf(path, sizeof(path), "excl/x%llu", (unsigned long long)slot);
	switch (draw(w, 6)) {
	case 0: excl_other(w, path, OP_NAME_MKDIR); break;
	case 1: excl_other(w, path, OP_NAME_SYMLINK); break;
	case 2: name_link(w, path); break;
	default: name_create(w, path);
	}
}

/* A directory removed while others put entries into it: never both. */
void do_dirs(struct worker *w)
{
	char dir[24], entry[32];
	int fd, result;

	snprintf(dir, sizeof(dir), "dirs/d%llu", (unsigned long long)draw(w, FIGHT_DIRS));
	snprintf(entry, sizeof(entry), "%s/c%llu", dir, (unsigned long long)draw(w, DIR_ENTRIES));
	switch (draw(w, 5)) {
	case 0:
		op_begin(w, OP_DIR_MAKE, dir, NULL);
		op_intent(w);
		result = mkdirat(w->load->root, dir, 0755) ? -errno : 0;
		break;
	case 1:
		op_begin(w, OP_DIR_REMOVE, dir, NULL);
		op_intent(w);
		result = unlinkat(w->load->root, dir, AT_REMOVEDIR) ? -errno : 0;
		break;
	case 2:
		op_begin(w, OP_DIR_ADD, dir, entry);
		op_intent(w);
		fd = openat(w->load->root, entry, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		result = fd < 0 ? -errno : 0;
		if (fd >= 0)
			close(fd);
		break;
	default:
		op_begin(w, OP_DIR_DROP, dir, entry);
		op_intent(w);
		result = unlinkat(w->load->root, entry, 0) ? -errno : 0;
	}
	op_done(w, result);
}

/* Where the token is now, or was a moment ago. */
static bool find_token(struct worker *w, unsigned token, char path[OPLOG_NAME])
{
	char dir[16], prefix[16];
	struct dirent *e;
	bool found = false;
	DIR *d;
	int fd;

	snprintf(prefix, sizeof(prefix), "k%u.", token);
	for (int i = 0; i < 2 && !found; i++) {
		snprintf(dir, sizeof(dir), "tok/%d", i);
		fd = openat(w->load->root, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		d = fd < 0 ? NULL : fdopendir(fd);
		while (d && !found && (e = readdir(d)))
			if (!strncmp(e->d_name, prefix, strlen(prefix))) {
				snprintf(path, OPLOG_NAME, "%s/%.48s", dir, e->d_name);
				found = true;
			}
		if (d)
			closedir(d);
	}
	return found;
}

void do_token(struct worker *w)
{
	unsigned token = (unsigned)draw(w, TOKENS);
	char from[OPLOG_NAME], to[OPLOG_NAME];

	if (!find_token(w, token, from))
		return;
	snprintf(to, sizeof(to), "tok/%u/k%u.%s.%llu", (unsigned)draw(w, 2), token, w->own, (unsigned long long)w->seq);
	op_begin(w, OP_TOKEN_MOVE, from, to);
	w->rec.a = token;
	op_intent(w);
	op_done(w, renameat(w->load->root, from, w->load->root, to) ? -errno : 0);
}
