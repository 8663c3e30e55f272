/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd_backing.c - daxfsctl backing: directories of storage that the pod reads, and writes, through the pool.
 *
 * A backing is a directory of the pool's root that was imported, with an attribute that says where it was. It is made
 * and removed from a free host slot. Killed in between: a backing without the attribute, which `add` completes, or one
 * with less below it, of which the rest is removed, or imported anew by who looks at it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daxfs/cache.h"
#include "daxfsctl/ctl.h"
#include "daxfsctl/guest.h"
#include "daxfsctl/json.h"

#define ATTRIBUTE "trusted.daxfs.backing"
#define ERROR_ATTRIBUTE "trusted.daxfs.write-error"
#define SYNC_ATTRIBUTE "trusted.daxfs.sync"
#define SYNC_POLL_MS 100u
#define FILE_MASK ((1ull << 56) - 1)
#define REVALIDATE_MS 1000u
#define NUMBERS ".daxfs.numbers." /* and the backing: its files that have several names */
#define PASSES 64u                /* over a tree that hosts still look at */

struct backing {
	struct ctl *ctl;
	struct daxfs *fs;
	const char *name, *path;
	uint64_t revalidate_ms, timeout_s;
	bool read_only;
};

/* -- what there is ------------------------------------------------------------------- */

struct found {
	char name[256];
	daxfs_ino ino;
};

struct found_list {
	struct found *found;
	unsigned n, room;
	bool failed;
};

static bool add(void *context, const char *name, daxfs_ino ino, unsigned type, uint64_t next)
{
	struct found_list *list = context;
	struct found *more;

	(void)type, (void)next;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return true;
	if (list->n == list->room) {
		list->room = list->room ? 2 * list->room : 64;
		more = realloc(list->found, list->room * sizeof(*more));
		list->failed = !more;
		if (!more)
			return false;
		list->found = more;
	}
	snprintf(list->found[list->n].name, sizeof(list->found[0].name), "%s", name);
	list->found[list->n++].ino = ino;
	return true;
}

static int names_of(struct daxfs *fs, daxfs_ino dir, struct found_list *out)
{
	int rc = daxfs_readdir(fs, dir, 0, add, out);

	return rc ? rc : out->failed ? -ENOMEM : 0;
}

/* Is it a backing? Links and files of storage may be in the root, too. */
static bool is_backing(struct daxfs *fs, daxfs_ino ino, struct daxfs_source *source)
{
	struct daxfs_attr attr;

	return daxfs_source(fs, ino, source) == 0 && daxfs_getattr(fs, ino, &attr) == 0 && S_ISDIR(attr.mode);
}

/* Entries of files that are gone, or of another backing that had the number. -EBUSY: of some that are in use. */
static int forget_numbers(struct daxfs *fs, unsigned number)
{
	struct found_list list = { 0 };
	struct daxfs_attr dir;
	char name[32];
	int rc;

	snprintf(name, sizeof(name), NUMBERS "%u", number);
	rc = daxfs_lookup(fs, DAXFS_ROOT, name, &dir);
	if (rc == 0)
		rc = names_of(fs, dir.ino, &list);
	for (unsigned i = 0; rc == 0 && i < list.n; i++) {
		rc = daxfs_forget(fs, dir.ino, list.found[i].name, list.found[i].ino);
		rc = rc == -ENOENT || rc == -ESTALE ? 0 : rc;
	}
	free(list.found);
	if (rc == 0)
		rc = daxfs_rmdir(fs, DAXFS_ROOT, name);
	return rc == -ENOENT ? 0 : rc;
}

/* -- add -------------------------------------------------------------------------------- */

static int free_number(struct daxfs *fs, unsigned *out)
{
	bool used[DAXFS_BACKINGS] = { false };
	struct found_list list = { 0 };
	struct daxfs_source source;
	int rc = names_of(fs, DAXFS_ROOT, &list);

	for (unsigned i = 0; i < list.n; i++)
		if (daxfs_source(fs, list.found[i].ino, &source) == 0 && source.backing < DAXFS_BACKINGS)
			used[source.backing] = true;
	free(list.found);
	for (*out = 0; rc == 0 && *out < DAXFS_BACKINGS && used[*out];)
		++*out;
	return rc ? rc : *out == DAXFS_BACKINGS ? -ENOSPC : 0;
}

static int look_at_path(struct backing *b, struct daxfs_attr *attr, uint64_t *file)
{
	int fd = open(b->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		if (fd >= 0)
			close(fd);
		return ctl_fail(b->ctl, CTL_ERROR, "%s: %s", b->path, strerror(errno));
	}
	close(fd);
	*attr = (struct daxfs_attr){
		.mode = st.st_mode, .uid = st.st_uid, .gid = st.st_gid, .mtime = st.st_mtim, .ctime = st.st_ctim
	};
	*file = st.st_ino & FILE_MASK;
	return CTL_OK;
}

/* There already: as an `add` left it that did not come to its end? */
static bool is_half(struct backing *b, uint64_t file, daxfs_ino *ino)
{
	struct daxfs_source source;
	struct daxfs_attr attr;

	if (daxfs_lookup(b->fs, DAXFS_ROOT, b->name, &attr) || !is_backing(b->fs, attr.ino, &source))
		return false;
	*ino = attr.ino;
	return source.file == file && daxfs_xattr_get(b->fs, attr.ino, ATTRIBUTE, NULL, 0) == -ENODATA;
}

static int backing_add(struct backing *b)
{
	char text[4096 + 64];
	struct daxfs_attr attr, out = { 0 };
	unsigned number;
	uint64_t file = 0;
	int code = look_at_path(b, &attr, &file), rc, len;

	if (code)
		return code;
	rc = free_number(b->fs, &number);
	if (rc == 0)
		rc = forget_numbers(b->fs, number);
	if (rc == 0)
		rc = daxfs_import(b->fs, DAXFS_ROOT, b->name, &attr, number, file, &out);
	if (rc == -EEXIST && is_half(b, file, &out.ino))
		rc = 0;
	if (rc == -EEXIST)
		return ctl_fail(b->ctl, CTL_REFUSED, "%s: there is such a name in the root of the pool already",
				b->name);
	len = snprintf(text, sizeof(text), "%srevalidate-ms=%u path=%s", b->read_only ? "" : "writable ",
		       (unsigned)b->revalidate_ms, b->path);
	if (rc == 0)
		rc = daxfs_xattr_set(b->fs, out.ino, ATTRIBUTE, text, (size_t)len, 0);
	if (rc == -ENOSPC || rc == -E2BIG)
		daxfs_forget(b->fs, DAXFS_ROOT, b->name, out.ino);
	if (rc == -EOPNOTSUPP)
		return ctl_fail(
			b->ctl, CTL_REFUSED,
			"this pool was made by a version without backings: daxfsctl features POOL --enable cache");
	if (rc)
		return ctl_fail(b->ctl, ctl_exit_of(rc), "%s: %s", b->name, strerror(-rc));
	if (!b->ctl->json)
		fprintf(b->ctl->out, "backing %s added: %s, read%s by hosts that are started with --backing %s\n",
			b->name, b->path, b->read_only ? "" : " and written", b->name);
	return CTL_OK;
}

/* -- list --------------------------------------------------------------------------------- */

/* Files that storage has not all of. */
static unsigned count_dirty(struct daxfs *fs, unsigned number)
{
	unsigned n = 0;
	uint64_t at = 0;
	daxfs_ino ino;
	int rc;

	while ((rc = daxfs_dirty(fs, number, &at, &ino)) >= 0)
		n += rc > 0;
	return n;
}

static void show(struct backing *b, struct json *j, const struct found *f, const struct daxfs_source *source)
{
	char text[4096 + 64], error[512], *path, *at;
	ssize_t n = daxfs_xattr_get(b->fs, f->ino, ATTRIBUTE, text, sizeof(text) - 1);
	unsigned long ms = REVALIDATE_MS;
	unsigned dirty = count_dirty(b->fs, source->backing);
	bool writable;

	text[n > 0 ? n : 0] = '\0';
	n = daxfs_xattr_get(b->fs, f->ino, ERROR_ATTRIBUTE, error, sizeof(error) - 1);
	error[n > 0 ? n : 0] = '\0';
	writable = strncmp(text, "writable ", 9) == 0;
	at = strstr(text, "revalidate-ms=");
	if (at)
		ms = strtoul(at + 14, NULL, 10);
	path = strstr(text, "path=");
	path = path ? path + 5 : text + strlen(text);
	if (!b->ctl->json) {
		fprintf(b->ctl->out, "%-20s %s  revalidate-ms %-6lu %s\n", f->name,
			writable ? "writable " : "read-only", ms, *path ? path : "(no path)");
		if (dirty)
			fprintf(b->ctl->out, "%-20s %u files to be written back\n", "", dirty);
		if (*error)
			fprintf(b->ctl->out, "%-20s cannot be written back: %s\n", "", error);
		return;
	}
	json_open_object(j, NULL);
	json_add_text(j, "name", f->name);
	json_add_number(j, "number", source->backing);
	json_add_text(j, "path", path);
	json_add_number(j, "revalidate_ms", ms);
	json_add_bool(j, "read_only", !writable);
	json_add_number(j, "dirty_files", dirty);
	json_add_text(j, "write_error", error);
	json_close(j);
}

static int backing_list(struct backing *b)
{
	struct found_list list = { 0 };
	struct daxfs_source source;
	struct json j;
	int rc = names_of(b->fs, DAXFS_ROOT, &list);

	if (rc == 0 && b->ctl->json) {
		json_begin(&j, b->ctl->out);
		json_add_schema(&j, "backings");
		json_open_array(&j, "backings");
	}
	for (unsigned i = 0; rc == 0 && i < list.n; i++)
		if (is_backing(b->fs, list.found[i].ino, &source))
			show(b, &j, &list.found[i], &source);
	if (rc == 0 && b->ctl->json)
		json_finish(&j);
	free(list.found);
	return rc ? ctl_fail(b->ctl, ctl_exit_of(rc), "%s", strerror(-rc)) : CTL_OK;
}

/* -- remove --------------------------------------------------------------------------------- */

static int forget(struct daxfs *fs, daxfs_ino dir, const char *name, daxfs_ino ino)
{
	struct found_list list = { 0 };
	int rc = daxfs_forget(fs, dir, name, ino);

	if (rc != -ENOTEMPTY)
		return rc == -ENOENT ? 0 : rc;
	rc = names_of(fs, ino, &list);
	for (unsigned i = 0; rc == 0 && i < list.n; i++)
		rc = forget(fs, ino, list.found[i].name, list.found[i].ino);
	free(list.found);
	return rc ? rc : daxfs_forget(fs, dir, name, ino);
}

/* Hosts may still look at it, and import what has just gone. */
static int backing_remove(struct backing *b)
{
	struct daxfs_source source;
	struct daxfs_attr attr;
	int rc = daxfs_lookup(b->fs, DAXFS_ROOT, b->name, &attr);

	if (rc || !is_backing(b->fs, attr.ino, &source))
		return ctl_fail(b->ctl, CTL_REFUSED, "%s: there is no such backing", b->name);
	if (count_dirty(b->fs, source.backing))
		return ctl_fail(b->ctl, CTL_REFUSED, "%s: there are files to be written back: daxfsctl backing sync",
				b->name);
	rc = -ENOTEMPTY;
	for (unsigned i = 0; i < PASSES && (rc == -ENOTEMPTY || rc == -ESTALE); i++)
		rc = forget(b->fs, DAXFS_ROOT, b->name, attr.ino);
	for (unsigned i = 0; i < PASSES && (rc == 0 || rc == -ENOTEMPTY); i++) {
		rc = forget_numbers(b->fs, source.backing);
		if (rc == 0)
			break;
	}
	if (rc == -ENOTEMPTY || rc == -ESTALE)
		return ctl_fail(b->ctl, CTL_REFUSED, "%s: hosts still use it: try again", b->name);
	if (rc)
		return ctl_fail(b->ctl, ctl_exit_of(rc), "%s: %s", b->name, strerror(-rc));
	if (!b->ctl->json)
		fprintf(b->ctl->out, "backing %s removed from the pool; storage is as it was\n", b->name);
	return CTL_OK;
}

/* -- sync ------------------------------------------------------------------------------------ */

static bool is_dirty(struct daxfs *fs, daxfs_ino ino)
{
	struct daxfs_source source;

	return daxfs_source(fs, ino, &source) == 0 && source.dirty;
}

/* Hosts are asked to write back, and each file that is dirty now is waited for, until it was seen to be in storage. */
static int backing_sync(struct backing *b)
{
	struct found_list list = { 0 };
	struct daxfs_source source;
	struct daxfs_attr attr;
	uint64_t at = 0;
	daxfs_ino ino;
	int rc = daxfs_lookup(b->fs, DAXFS_ROOT, b->name, &attr);
	uint64_t polls = b->timeout_s * 1000 / SYNC_POLL_MS;

	if (rc || !is_backing(b->fs, attr.ino, &source))
		return ctl_fail(b->ctl, CTL_REFUSED, "%s: there is no such backing", b->name);
	while ((rc = daxfs_dirty(b->fs, source.backing, &at, &ino)) >= 0)
		if (rc > 0)
			add(&list, "", ino, 0, 0);
	rc = list.failed ? -ENOMEM : list.n ? daxfs_xattr_set(b->fs, attr.ino, SYNC_ATTRIBUTE, "1", 1, 0) : 0;
	while (rc == 0 && list.n && polls--) {
		while (list.n && !is_dirty(b->fs, list.found[list.n - 1].ino))
			list.n--;
		if (list.n)
			usleep(SYNC_POLL_MS * 1000);
	}
	free(list.found);
	if (rc)
		return ctl_fail(b->ctl, ctl_exit_of(rc), "%s: %s", b->name, strerror(-rc));
	if (list.n)
		return ctl_fail(b->ctl, CTL_REFUSED,
				"%s: still to be written back after %u s: see daxfsctl backing list, and hosts' logs",
				b->name, (unsigned)b->timeout_s);
	if (!b->ctl->json)
		fprintf(b->ctl->out, "backing %s: what was written is in storage\n", b->name);
	return CTL_OK;
}

/* -- all of them ------------------------------------------------------------------------------ */

static int joined(struct backing *b, const char *pool, int (*what)(struct backing *b))
{
	struct daxfs_error err = { .text = "" };
	struct guest guest;
	int rc = daxfs_open(pool, DAXFS_READ_WRITE, &b->fs, &err), code;

	if (rc)
		return ctl_fail_error(b->ctl, rc, &err);
	rc = guest_come(&guest, b->fs, "backing", &err);
	if (rc) {
		code = ctl_fail_error(b->ctl, rc, &err);
	} else {
		code = what(b);
		rc = guest_go(&guest);
		if (rc && code == CTL_OK)
			code = ctl_fail(b->ctl, ctl_exit_of(rc),
					"declared dead meanwhile: look what is there, and try again");
	}
	daxfs_close(b->fs);
	if (code == CTL_OK && b->ctl->json && what != backing_list) {
		struct json j;

		json_begin(&j, b->ctl->out);
		json_add_schema(&j, "backing");
		json_add_text(&j, "name", b->name);
		json_add_bool(&j, "there", what != backing_remove);
		json_finish(&j);
	}
	return code;
}

static int checked_add(struct backing *b, const char *pool)
{
	if (!b->name || !b->path || b->path[0] != '/')
		return ctl_fail(b->ctl, CTL_USAGE, "usage: daxfsctl backing add POOL NAME --path /PATH [--read-only]");
	if (strlen(b->path) > 3900 || strchr(b->name, '/') || strchr(b->name, '='))
		return ctl_fail(b->ctl, CTL_USAGE, "a name without / and =, and a path of at most 3900 bytes");
	return joined(b, pool, backing_add);
}

int cmd_backing(struct ctl *ctl, int argc, char **argv)
{
	struct backing b = { .ctl = ctl };
	struct arg_number ms = { 0 }, timeout = { 0 };
	const struct arg table[] = {
		{ "path", ARG_TEXT, &b.path, 0 },
		{ "revalidate-ms", ARG_NUMBER, &ms, 86400000 },
		{ "read-only", ARG_FLAG, &b.read_only, 0 },
		{ "timeout", ARG_NUMBER, &timeout, 86400 },
	};
	int code = ctl_parse(ctl, argc, argv, table, 4, 2, 3,
			     "backing add POOL NAME --path PATH [--read-only] [--revalidate-ms MS] | list POOL | "
			     "sync POOL NAME [--timeout S] | remove POOL NAME");
	const char *what = code ? "" : ctl->words[0];

	if (code)
		return code;
	b.revalidate_ms = ms.given ? ms.value : REVALIDATE_MS;
	b.timeout_s = timeout.given ? timeout.value : 60;
	b.name = ctl->n_words > 2 ? ctl->words[2] : NULL;
	if (strcmp(what, "add") == 0)
		return checked_add(&b, ctl->words[1]);
	if (strcmp(what, "list") == 0)
		return joined(&b, ctl->words[1], backing_list);
	if (strcmp(what, "remove") == 0 && b.name)
		return joined(&b, ctl->words[1], backing_remove);
	if (strcmp(what, "sync") == 0 && b.name)
		return joined(&b, ctl->words[1], backing_sync);
	return ctl_fail(ctl, CTL_USAGE, "backing add, list, sync or remove; see daxfsctl help");
}
