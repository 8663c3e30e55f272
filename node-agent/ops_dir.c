/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops_dir.c - listing directories.
 *
 * The kernel's offsets are the pool's cookies, so a listing keeps no state
 * between requests: a directory may change, or this agent be replaced, in the
 * middle of one. libdaxfs calls back while it holds a lane, so the callbacks
 * only copy; attributes for readdirplus are fetched after it has returned. Names and attributes
 * that are listed may be kept as those that are looked up; kernel_cache.h says what is noted for that. What the kernel
 * has of a former listing is not told again (told_names.h).
 */
#include "node-agent/ops.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"

/* an answer being filled */
struct listing {
	fuse_req_t req;
	daxfs_ino dir;
	char *buf;
	size_t size, used;
};

struct found {
	struct daxfs_attr attr; /* ino and the type's mode bits, before the lookup */
	uint64_t next;
	char name[256];
};

struct found_list {
	struct listing to;
	size_t reserved; /* bytes the entries found will take */
	unsigned count, max;
	struct found *found;
	daxfs_ino dir;
	struct daxfs_lease lease; /* of the names */
	bool kept;                /* if it may be */
	bool stored;              /* of a directory of storage, and kept */
	uint64_t told;            /* told_names.h: the listing that has told all of it, or 0 */
	uint64_t least_ns;        /* of all leases */
};

static bool fill_plain(void *context, const char *name, daxfs_ino ino, unsigned dt_type, uint64_t next)
{
	struct listing *l = context;
	struct stat st;
	size_t need, room = l->size - l->used;

	if (ops_is_hidden(l->dir, name))
		return true;
	memset(&st, 0, sizeof(st));
	st.st_ino = ino;
	st.st_mode = DTTOIF(dt_type);
	need = fuse_add_direntry(l->req, l->buf + l->used, room, name, &st, (off_t)next);
	if (need > room)
		return false;
	l->used += need;
	return true;
}

static bool fill_found(void *context, const char *name, daxfs_ino ino, unsigned dt_type, uint64_t next)
{
	struct found_list *list = context;
	struct found *f = &list->found[list->count];
	size_t need = fuse_add_direntry_plus(list->to.req, NULL, 0, name, NULL, 0);

	if (ops_is_hidden(list->dir, name))
		return true;
	if (list->count == list->max || need > list->to.size - list->reserved)
		return false;
	f->attr.ino = ino;
	f->attr.mode = DTTOIF(dt_type);
	f->next = next;
	strncpy(f->name, name, sizeof(f->name) - 1);
	list->reserved += need;
	list->count++;
	return true;
}

/* What was found before an error is answered; the next request meets it. A
 * directory removed meanwhile has no entries. */
static void reply_listing(struct listing *l, int error)
{
	if (error == -ESTALE && ops_alive(l->req))
		error = 0;
	if (error && l->used == 0)
		ops_reply(l->req, error);
	else
		fuse_reply_buf(l->req, l->buf, l->used);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct listing l = { .req = req, .dir = ino, .size = size };
	int error;

	(void)fi;
	l.buf = ops_scratch(ops_of(req), size);
	if (!l.buf) {
		ops_reply(req, -ENOMEM);
		return;
	}
	error = daxfs_readdir(ops_fs(req), ino, (uint64_t)offset, fill_plain, &l);
	reply_listing(&l, error);
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int attr_of(const struct found_list *list, daxfs_ino ino, struct daxfs_attr *attr, struct daxfs_lease *lease)
{
	struct ops *ops = ops_of(list->to.req);
	int error;

	if (!list->kept)
		return daxfs_getattr(ops->fs, ino, attr);
	error = daxfs_getattr_leased(ops->fs, ino, false, attr, lease);
	lease->names_ns = list->lease.names_ns;
	if (!error && list->stored)
		ops_backed_limit(ops, attr, lease);
	return error;
}

/* A directory whose name is not leased, while another thread may make that valid: see kernel_cache.h. */
static bool name_alone(const struct found_list *list, const struct daxfs_attr *attr, const struct daxfs_lease *lease)
{
	fuse_req_t req = list->to.req;

	return !lease->names_ns && S_ISDIR(attr->mode) &&
	       kernel_cache_told_another(&ops_of(req)->cache, ops_thread(req), attr->ino);
}

static void note_lease(struct found_list *list, uint64_t ns)
{
	list->least_ns = ns < list->least_ns ? ns : list->least_ns;
}

/*
 * An entry with its attributes is a lookup to the kernel. One without (node id
 * 0) is only a name: "." and "..", what was told before, what was removed since it was found, and name_alone().
 */
static void add_found(struct found_list *list, struct found *f)
{
	struct listing *to = &list->to;
	struct daxfs_lease lease = { 0 };
	struct fuse_entry_param entry;
	struct daxfs_attr attr;
	bool told = is_dots(f->name) || told_has(&ops_of(to->req)->told, list->told, f->attr.ino);

	if (!told && attr_of(list, f->attr.ino, &attr, &lease) == 0 && !name_alone(list, &attr, &lease)) {
		ops_entry_leased(ops_of(to->req), ops_thread(to->req), &attr, &lease, &entry);
		note_lease(list, lease.names_ns);
		note_lease(list,
			   lease.attr_ns ? lease.attr_ns : lease.names_ns); /* what others write is asked for anyway */
	} else {
		ops_entry(ops_of(to->req), ops_thread(to->req), &f->attr, &entry);
		entry.ino = 0;
	}
	to->used += fuse_add_direntry_plus(to->req, to->buf + to->used, to->size - to->used, f->name, &entry,
					   (off_t)f->next);
}

/* The request is over. Of what was told before nothing is noted: that it was. */
static void note_told(struct ops *ops, const struct found_list *list, uint64_t offset, int64_t now_ns)
{
	uint64_t to = list->count ? list->found[list->count - 1].next : offset;

	if (!list->told)
		told_answered(&ops->told, list->dir, offset, to, now_ns, list->least_ns);
}

static void list_found(struct found_list *list, uint64_t offset)
{
	struct ops *ops = ops_of(list->to.req);
	int64_t now_ns = clock_ns();
	struct daxfs_answer answer;
	int error;

	if (kernel_cache_keeps_names(&ops->cache))
		list->told = told_listing(&ops->told, list->dir, offset, now_ns);
	list->least_ns = INT64_MAX;
	kernel_cache_begin(&ops->cache, &answer);
	error = daxfs_readdir_leased(ops->fs, list->dir, offset, fill_found, list,
				     kernel_cache_keeps_names(&ops->cache) ? &list->lease : NULL);
	list->kept = list->count && kernel_cache_keeps_names(&ops->cache) &&
		     kernel_cache_tells(&ops->cache, ops_thread(list->to.req), list->dir, true);
	list->stored = list->kept && ops_backing_number(list->to.req, list->dir) != QUESTION_OF_POOL;
	for (unsigned i = 0; i < list->count; i++)
		add_found(list, &list->found[i]);
	reply_listing(&list->to, error);
	if (kernel_cache_end(&ops->cache, &answer)) {
		if (kernel_cache_keeps_names(&ops->cache) && !error)
			note_told(ops, list, offset, now_ns);
		return;
	}
	kernel_cache_forget_names(&ops->cache);
	for (unsigned i = 0; i < list->count; i++)
		kernel_cache_forget(&ops->cache, list->found[i].attr.ino);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct found_list list = { .to = { .req = req, .size = size }, .dir = ino };

	(void)fi;
	list.max = (unsigned)(size / fuse_add_direntry_plus(req, NULL, 0, "x", NULL, 0)) + 1;
	list.to.buf = ops_scratch(ops_of(req), size);
	list.found = calloc(list.max, sizeof(*list.found));
	if (list.to.buf && list.found)
		list_found(&list, (uint64_t)offset);
	else
		ops_reply(req, -ENOMEM);
	free(list.found);
}

/* Removed here, it is listed all the same: it is empty. */
static bool has_tombstone(fuse_req_t req, daxfs_ino ino)
{
	struct daxfs_attr attr;

	return tombstone_getattr(&ops_of(req)->tombstones, ino, &attr) == 0;
}

/*
 * Held, so that its attributes outlive its name, whoever removes that. If this host's table is full, it can be listed
 * all the same. If another host has removed or replaced it since the kernel looked its name up, the kernel does so once
 * more, and finds it pinned: answered as open it would be a directory whose fstat() is ESTALE.
 */
void ops_opendir_now(fuse_req_t req, daxfs_ino ino)
{
	struct fuse_file_info fi = { .fh = ops_new_file(req) };
	int error = ops_open_file(req, fi.fh, ino);

	if (error == -ESTALE && !has_tombstone(req, ino)) {
		ops_reply(req, ops_inode_error(req, error));
		return;
	}
	if (error)
		fi.fh = 0; /* not held */
	if (fuse_reply_open(req, &fi) != 0)
		ops_close_file(req, fi.fh);
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fi;
	if (!ops_backed_opendir(req, ino))
		ops_opendir_now(req, ino);
}

void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	ops_reply(req, ops_close_file(req, fi->fh));
}
