/* SPDX-License-Identifier: Apache-2.0 */
/* work.c - operations, walks and inspections: see work.h. */
#include "work.h"

#include <dirent.h>
#include <stdio.h>

#include "daxfs/member.h"

#define BUFFER (64u * 1024u)
#define ENTRIES 64u
#define DIRECTORIES 24u /* of one walk: the tree may have become a circle */

static const struct daxfs_cred cred = { 1, 1 };
static uint8_t buffer[BUFFER];

/* -- operations --------------------------------------------------------------- */

static const char *name_of(unsigned pick)
{
	static const char *const names[] = { "a",   "d", "big",   "s",  "x", "e", "again",
					     "new", "x", "other", "..", ".", "",  "a/b" };
	static char made[DAXFS_NAME_MAX + 2];

	if (pick & 0x80) {
		memset(made, 'n', sizeof(made));
		made[(pick >> 4) % sizeof(made)] = '\0';
		made[0] = (char)('a' + pick % 16);
		return made;
	}
	return names[pick % (sizeof(names) / sizeof(names[0]))];
}

static void attributes(struct daxfs *fs, daxfs_ino ino, const struct item *item)
{
	struct daxfs_attr attr = {
		.mode = (uint32_t)item->v,
		.uid = 7,
		.gid = 8,
		.size = item->v >> 16 & DAXFS_SIZE_MASK,
	};

	if (item->v & 1)
		attr.size %= 4 << 20;
	demand_answer(daxfs_setattr(fs, ino, item->b, &attr, &attr), 0, "setattr");
}

/* A look at bytes, or sixteen pages of them, where they are. */
static void in_place(struct daxfs *fs, daxfs_ino ino, uint64_t offset, bool in)
{
	void *page[BUFFER / DAXFS_PAGE_SIZE];
	struct daxfs_draft *draft;
	struct daxfs_view *view;
	const void *at = NULL;
	ssize_t n;

	if (in && daxfs_draft_begin(fs, ino, offset / DAXFS_PAGE_SIZE * DAXFS_PAGE_SIZE, BUFFER, page, &draft) == 0) {
		for (unsigned i = 0; i < BUFFER / DAXFS_PAGE_SIZE; i++)
			memset(page[i], 'd', DAXFS_PAGE_SIZE);
		demand_answer(daxfs_draft_commit(draft), 0, "draft");
	}
	if (in || daxfs_view_open(fs, &view))
		return;
	n = daxfs_view_read(view, ino, offset, &at);
	demand_answer(n, BUFFER, "view");
	if (n > 0)
		memcpy(buffer, at, (size_t)n);
	daxfs_view_close(view);
}

static void content(struct daxfs *fs, daxfs_ino ino, const struct item *item, bool in)
{
	size_t len = item->b % (BUFFER + 1);
	uint64_t offset = item->v & 1 ? item->v >> 1 & DAXFS_SIZE_MASK : (item->v >> 1) % (4 << 20);

	if (item->v >> 61 & 1) { /* what an extent is made of */
		offset = offset % (8 * BUFFER) / BUFFER * BUFFER;
		len = BUFFER;
	}
	if (item->v >> 60 & 1)
		in_place(fs, ino, offset, in);
	else if (in)
		demand_answer(daxfs_write(fs, ino, buffer, len, offset, item->v >> 62 & 1), (long)len, "write");
	else
		demand_answer(daxfs_read(fs, ino, buffer, len, offset), (long)len, "read");
}

static bool count_entry(void *context, const char *name, daxfs_ino ino, unsigned type, uint64_t next)
{
	unsigned *n = context;

	(void)ino;
	(void)type;
	(void)next;
	demand(strlen(name) <= DAXFS_NAME_MAX, "names of at most 255 bytes");
	return ++*n < 1000;
}

static void list(struct daxfs *fs, daxfs_ino ino, const struct item *item)
{
	unsigned n = 0;

	demand_answer(daxfs_readdir(fs, ino, item->v, count_entry, &n), 0, "readdir");
}

static void locks(struct daxfs *fs, daxfs_ino ino, const struct item *item)
{
	struct daxfs_lock lock = {
		.start = item->v >> 8 & 0xff,
		.end = item->v >> 16 & 0xffff,
		.owner = item->b & 3,
		.type = (enum daxfs_lock_type)(item->v >> 32 & 3),
		.kind = (enum daxfs_lock_kind)(item->v >> 34 & 1),
	};
	struct daxfs_lock found;

	if (item->v & 16)
		demand_answer(daxfs_file_open(fs, ino), 0, "hold");
	if (item->v & 8)
		demand_answer(daxfs_lock_get(fs, ino, &lock, &found), 0, "lock_get");
	else
		demand_answer(daxfs_lock(fs, ino, &lock), 0, "lock");
}

static void others(struct daxfs *fs, const struct item *item)
{
	struct daxfs_recovery reports[SCENE_HOSTS];
	struct daxfs_statfs usage;

	switch (item->a % 6) {
	case 0: demand_answer(daxfs_beat(fs), 0, "beat"); break;
	case 1: work_recover(fs, item->b); break;
	case 2: demand_answer(daxfs_recover_assigned(fs, reports, SCENE_HOSTS), SCENE_HOSTS, "recover_assigned"); break;
	case 3: demand_answer(daxfs_statfs(fs, &usage), 0, "statfs"); break;
	case 4: daxfs_progressing(fs, item->b); break;
	default: work_check(fs); break;
	}
}

static void on_names(struct daxfs *fs, daxfs_ino from, daxfs_ino to, const struct item *item)
{
	const char *name = name_of((unsigned)item->v & 0xfff), *other = name_of((unsigned)(item->v >> 12) & 0x7f);
	uint32_t mode = (uint32_t)(item->v >> 32);
	struct daxfs_attr attr;

	switch (item->how / 8 % 8) {
	case 0: demand_answer(daxfs_lookup(fs, from, name, &attr), 0, "lookup"); break;
	case 1: demand_answer(daxfs_mknod(fs, from, name, mode, 0, cred, item->v >> 63, &attr), 0, "mknod"); break;
	case 2: demand_answer(daxfs_mkdir(fs, from, name, mode, cred, &attr), 0, "mkdir"); break;
	case 3: demand_answer(daxfs_symlink(fs, from, name, other, cred, &attr), 0, "symlink"); break;
	case 4: demand_answer(daxfs_link(fs, to, from, name, &attr), 0, "link"); break;
	case 5: demand_answer(daxfs_unlink(fs, from, name), 0, "unlink"); break;
	case 6: demand_answer(daxfs_rmdir(fs, from, name), 0, "rmdir"); break;
	default:
		demand_answer(daxfs_rename(fs, from, name, to, other, (unsigned)(item->v >> 40) & 3), 0, "rename");
		break;
	}
}

void work_operate(struct fixture *s, struct daxfs *fs, const struct item *item)
{
	daxfs_ino ino = alter_handle(s, item->a), other = alter_handle(s, item->b);
	struct daxfs_attr attr;

	switch (item->how % 8) {
	case 0: demand_answer(daxfs_getattr(fs, ino, &attr), 0, "getattr"); break;
	case 1: attributes(fs, ino, item); break;
	case 2: content(fs, ino, item, item->v >> 63); break;
	case 3: list(fs, ino, item); break;
	case 4:
		if (item->v & 1)
			demand_answer(daxfs_file_open(fs, ino), 0, "hold");
		else
			demand_answer(daxfs_file_close(fs, ino), 0, "release");
		break;
	case 5:
		if (item->v & 4)
			locks(fs, ino, item);
		else if (item->v & 1)
			others(fs, item);
		else
			demand_answer(daxfs_readlink(fs, ino, (char *)buffer, item->b % 5000), 0, "readlink");
		break;
	default: on_names(fs, ino, other, item); break;
	}
}

void work_recover(struct daxfs *fs, unsigned host)
{
	struct daxfs_recovery report;

	demand_answer(daxfs_recover(fs, host, &report), 0, "recover");
}

/* -- a host ------------------------------------------------------------------- */

struct daxfs *work_begin(struct fixture *s)
{
	struct daxfs_error err;
	struct daxfs *fs;
	int rc = fs_attach(s->base, s->size, &fs, &err);

	demand_answer(rc, 0, "attach");
	if (rc) {
		demand(!strchr(err.text, '\n'), "reasons of one line");
		return NULL;
	}
	demand_answer(daxfs_join(fs, 0, "fuzz", &err), 0, "join");
	return fs;
}

void work_end(struct daxfs *fs)
{
	work_check(fs);
	daxfs_close(fs);
}

/* -- inspection --------------------------------------------------------------- */

static void look_at(void *context, const char *line)
{
	uint64_t *lines = context;

	*lines += strlen(line);
}

void work_check(struct daxfs *fs)
{
	struct daxfs_check check;
	uint64_t lines = 0;

	demand_answer(daxfs_check(fs, look_at, &lines, &check), 0, "check");
}

static void dump(struct daxfs *fs, const char *what)
{
	uint64_t lines = 0;

	demand_answer(daxfs_dump(fs, what, look_at, &lines), 0, what);
}

static void inspect_members(const struct fixture *s)
{
	struct daxfs_host_view view;
	struct daxfs_manager_view manager;
	struct daxfs_member *m;
	struct daxfs_error err;
	char reason[96];

	if (daxfs_member_open(s->path, false, &m, &err))
		return;
	daxfs_member_manager(m, &manager);
	for (unsigned i = 0; i < SCENE_HOSTS; i++)
		if (daxfs_member_host(m, i, &view) == 0)
			demand(daxfs_reason_text(view.reason, view.reason_ms, reason, sizeof(reason)) &&
				       strlen(view.name) < sizeof(view.name),
			       "host views that make sense");
	daxfs_member_close(m);
}

void work_inspect(const struct fixture *s)
{
	struct daxfs_inflight flight;
	struct daxfs_statfs usage;
	uint64_t lines = 0;
	struct daxfs_error err;
	struct daxfs *fs;
	char what[32];

	inspect_members(s);
	if (daxfs_open(s->path, DAXFS_READ_ONLY, &fs, &err))
		return;
	work_check(fs);
	dump(fs, "super");
	dump(fs, "member");
	dump(fs, "lanes");
	for (unsigned i = 0; i < s->n_listed[DAXFS_T_INODE]; i++) {
		snprintf(what, sizeof(what), "%s %u", i & 1 ? "dir" : "inode", s->listed[DAXFS_T_INODE][i / 2]);
		dump(fs, what);
	}
	for (unsigned i = 0; i < SCENE_HOSTS; i++) {
		demand_answer(daxfs_recover_dry_run(fs, i, look_at, &lines), 0, "dry run");
		demand_answer(daxfs_inflight(fs, i, &flight), 0, "inflight");
	}
	demand_answer(daxfs_statfs(fs, &usage), 0, "statfs");
	daxfs_close(fs);
}

/* -- walks -------------------------------------------------------------------- */

struct listing {
	unsigned n;
	struct {
		daxfs_ino ino;
		unsigned type;
		char name[DAXFS_NAME_MAX + 1];
	} entry[ENTRIES];
};

struct walk {
	struct daxfs *fs;
	unsigned directories;
	bool remove;
};

static bool note_entry(void *context, const char *name, daxfs_ino ino, unsigned type, uint64_t next)
{
	struct listing *l = context;

	(void)next;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return true;
	demand(strlen(name) <= DAXFS_NAME_MAX, "names of at most 255 bytes");
	l->entry[l->n].ino = ino;
	l->entry[l->n].type = type;
	strcpy(l->entry[l->n].name, name);
	return ++l->n < ENTRIES;
}

static void read_file(struct daxfs *fs, daxfs_ino ino, uint64_t size)
{
	const uint64_t from[] = { 0,
				  10 * DAXFS_PAGE_SIZE - 5,
				  BUFFER - 5,
				  3 * BUFFER - 5,
				  600 * DAXFS_PAGE_SIZE,
				  size > 100 ? size - 100 : 0 };
	char target[DAXFS_SYMLINK_MAX + 1];

	for (unsigned i = 0; i < sizeof(from) / sizeof(from[0]); i++)
		demand_answer(daxfs_read(fs, ino, buffer, 3 * DAXFS_PAGE_SIZE, from[i]), 3 * DAXFS_PAGE_SIZE, "read");
	demand_answer(daxfs_readlink(fs, ino, target, sizeof(target)), 0, "readlink");
}

static void remove_entry(struct daxfs *fs, daxfs_ino dir, const char *name, daxfs_ino ino)
{
	struct daxfs_attr attr = { .size = 2 * BUFFER + 5000 }; /* in an extent of the one file that has any */

	demand_answer(daxfs_setattr(fs, ino, DAXFS_SET_SIZE, &attr, NULL), 0, "setattr");
	attr.size = 3;
	demand_answer(daxfs_setattr(fs, ino, DAXFS_SET_SIZE, &attr, NULL), 0, "setattr");
	demand_answer(daxfs_write(fs, ino, "end", 3, 0, DAXFS_APPEND), 3, "write");
	demand_answer(daxfs_rename(fs, dir, name, DAXFS_ROOT, "moved", 0), 0, "rename");
	demand_answer(daxfs_unlink(fs, DAXFS_ROOT, "moved"), 0, "unlink");
	demand_answer(daxfs_rmdir(fs, DAXFS_ROOT, "moved"), 0, "rmdir");
	demand_answer(daxfs_unlink(fs, dir, name), 0, "unlink");
	demand_answer(daxfs_rmdir(fs, dir, name), 0, "rmdir");
}

static void walk_dir(struct walk *w, daxfs_ino dir, unsigned depth)
{
	struct listing l = { .n = 0 };

	if (depth > 6 || w->directories++ >= DIRECTORIES)
		return;
	demand_answer(daxfs_readdir(w->fs, dir, 0, note_entry, &l), 0, "readdir");
	for (unsigned i = 0; i < l.n; i++) {
		struct daxfs_attr attr = { .size = 0 };

		demand_answer(daxfs_lookup(w->fs, dir, l.entry[i].name, &attr), 0, "lookup");
		demand_answer(daxfs_getattr(w->fs, l.entry[i].ino, &attr), 0, "getattr");
		if (!w->remove)
			read_file(w->fs, l.entry[i].ino, attr.size);
		if (l.entry[i].type == DT_DIR)
			walk_dir(w, l.entry[i].ino, depth + 1);
		if (w->remove)
			remove_entry(w->fs, dir, l.entry[i].name, l.entry[i].ino);
	}
}

void work_walk(struct daxfs *fs)
{
	walk_dir(&(struct walk){ .fs = fs }, DAXFS_ROOT, 0);
}

void work_clear(struct daxfs *fs)
{
	walk_dir(&(struct walk){ .fs = fs, .remove = true }, DAXFS_ROOT, 0);
}
