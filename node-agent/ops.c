/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops.c - what requests share. ops_table.c has the list of them.
 *
 * Requests run on any of the FUSE workers at once; struct ops is constant
 * meanwhile except for its pins, and the scratch buffer is a worker's own.
 */
#include "node-agent/ops.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define GROUPS_MAX 256

struct scratch {
	size_t size;
	char data[];
};

/* Names first: an inode that is not known by any is soon forgotten. */
static void backing_changed(void *context, daxfs_ino ino)
{
	struct ops *ops = context;

	kernel_cache_forget_names(&ops->cache);
	if (ino)
		kernel_cache_forget(&ops->cache, ino);
}

static bool does_again(void *context)
{
	const struct ops *ops = context;

	return estate_does_again(ops->estate);
}

/*
 * What a former process had open, and nobody has by now. Backings have their directories by now, and with those the
 * locks of names that it was changing: else another host could settle that, and this one would be asked to do it again.
 */
static int let_go_of_left(struct ops *ops)
{
	int error = daxfs_resume_end(ops->fs);

	if (error)
		backings_stop(&ops->backings);
	return error;
}

int ops_start(struct ops *ops)
{
	int error = -pthread_key_create(&ops->scratch, free);

	if (error)
		return error;
	affinity_start(&ops->affinity);
	told_start(&ops->told);
	lookup_pins_init(&ops->pins, ops->fs);
	tombstones_init(&ops->tombstones, ops->fs);
	lock_owners_init(&ops->lock_owners, ops->fs);
	lockwait_init(&ops->lockwait, ops->fs);
	ops->backing_told = (struct backing_told){ backing_changed, does_again, ops };
	error = backings_start(&ops->backings, ops->fs, ops->backing_config, ops->n_backings, ops->dirty_max,
			       &ops->backing_told);
	if (!error)
		error = let_go_of_left(ops);
	if (error)
		ops_stop(ops);
	return error;
}

void ops_quiesce(struct ops *ops)
{
	lockwait_stop(&ops->lockwait);
	backings_stop(&ops->backings);
}

void ops_stop(struct ops *ops)
{
	lockwait_fini(&ops->lockwait);
	lock_owners_fini(&ops->lock_owners);
	tombstones_fini(&ops->tombstones);
	lookup_pins_fini(&ops->pins);
	told_stop(&ops->told);
	affinity_stop(&ops->affinity);
	pthread_key_delete(ops->scratch);
}

void *ops_scratch(struct ops *ops, size_t size)
{
	struct scratch *s = pthread_getspecific(ops->scratch);

	if (s && s->size >= size)
		return s->data;
	free(s);
	size = size > OPS_IO_MAX ? size : OPS_IO_MAX;
	s = malloc(sizeof(*s) + size);
	if (s)
		s->size = size;
	if (pthread_setspecific(ops->scratch, s) != 0) {
		free(s);
		return NULL;
	}
	return s ? s->data : NULL;
}

/* An answer the kernel no longer wants (-ENOENT: interrupted) is nobody's. */
void ops_reply(fuse_req_t req, int error)
{
	fuse_reply_err(req, error < 0 ? -error : 0);
}

/* The root is never gone, so only the death of this host makes it stale. */
bool ops_alive(fuse_req_t req)
{
	struct daxfs_attr root;

	return daxfs_getattr(ops_fs(req), DAXFS_ROOT, &root) != -ESTALE;
}

/*
 * -ENOENT, as for any name in a removed directory. If the kernel trusts names
 * for a while, it may have come here by an old one: then -ESTALE makes it walk
 * the path again. A dead host's -ESTALE stays: it says nothing about names.
 */
int ops_name_error(fuse_req_t req, int error)
{
	if (error != -ESTALE || ops_of(req)->timeout_s > 0 || !ops_alive(req))
		return error;
	return -ENOENT;
}

int ops_inode_error(fuse_req_t req, int error)
{
	if (error == -ESTALE)
		lookup_pins_raced(&ops_of(req)->pins);
	return error;
}

int ops_getattr(fuse_req_t req, daxfs_ino ino, struct daxfs_attr *out)
{
	int error = daxfs_getattr(ops_fs(req), ino, out);

	return error == -ESTALE ? tombstone_getattr(&ops_of(req)->tombstones, ino, out) : error;
}

bool ops_is_hidden(daxfs_ino parent, const char *name)
{
	return parent == DAXFS_ROOT && strncmp(name, BACKING_NUMBERS, sizeof(BACKING_NUMBERS) - 1) == 0;
}

void ops_stat(struct ops *ops, const struct daxfs_attr *attr, struct stat *out)
{
	memset(out, 0, sizeof(*out));
	out->st_ino = attr->ino;
	out->st_mode = attr->mode;
	out->st_nlink = attr->nlink;
	if (attr->nlink && !S_ISDIR(attr->mode))
		out->st_nlink += backings_unknown_names(&ops->backings, attr->ino);
	out->st_uid = attr->uid;
	out->st_gid = attr->gid;
	out->st_rdev = attr->rdev;
	out->st_size = (off_t)attr->size;
	out->st_blocks = (blkcnt_t)attr->blocks;
	out->st_blksize = 4096;
	out->st_atim = attr->atime;
	out->st_mtim = attr->mtime;
	out->st_ctim = attr->ctime;
}

/* False: nothing of it is to be kept. */
static bool fill_entry(struct ops *ops, uint32_t thread, const struct daxfs_attr *attr, struct fuse_entry_param *out)
{
	unsigned uncounted = kernel_cache_uncounted(&ops->cache, attr->ino);

	kernel_made_told(&ops->cache.made, thread, attr->ino);
	if (ops->pages.on)
		kernel_pages_told(&ops->pages, attr->ino);
	memset(out, 0, sizeof(*out));
	out->ino = attr->ino;
	ops_stat(ops, attr, &out->attr);
	out->attr.st_nlink += uncounted;
	if (!uncounted)
		out->attr_timeout = out->entry_timeout = ops->timeout_s;
	return !uncounted;
}

void ops_entry(struct ops *ops, uint32_t thread, const struct daxfs_attr *attr, struct fuse_entry_param *out)
{
	fill_entry(ops, thread, attr, out);
}

void ops_entry_leased(struct ops *ops, uint32_t thread, const struct daxfs_attr *attr, const struct daxfs_lease *lease,
		      struct fuse_entry_param *out)
{
	if (!fill_entry(ops, thread, attr, out) || !kernel_cache_keeps_names(&ops->cache))
		return;
	if (!ops->pages.on || !kernel_pages_open_cached(&ops->pages, attr->ino))
		out->attr_timeout = kernel_cache_seconds(lease->attr_ns);
	out->entry_timeout = kernel_cache_seconds(lease->names_ns);
}

/* See kernel_cache.h. */
static void show(fuse_req_t req, const struct fuse_entry_param *entry, bool leased)
{
	struct kernel_cache *cache = &ops_of(req)->cache;

	if (!leased && S_ISDIR(entry->attr.st_mode) && kernel_cache_told_another(cache, ops_thread(req), entry->ino))
		kernel_cache_forget_names(cache);
	fuse_reply_entry(req, entry);
}

void ops_reply_found(fuse_req_t req, int error, const struct daxfs_attr *attr, const struct daxfs_lease *lease)
{
	static const struct daxfs_attr nothing; /* number 0: not there, and that may be kept */
	struct fuse_entry_param entry;

	if (error && (error != -ENOENT || !lease->names_ns)) {
		ops_reply(req, ops_name_error(req, error));
		return;
	}
	ops_entry_leased(ops_of(req), ops_thread(req), error ? &nothing : attr, lease, &entry);
	show(req, &entry, lease->names_ns);
}

void ops_reply_entry(fuse_req_t req, int error, const struct daxfs_attr *attr)
{
	struct fuse_entry_param entry;

	if (error) {
		ops_reply(req, error);
		return;
	}
	ops_entry(ops_of(req), ops_thread(req), attr, &entry);
	show(req, &entry, false);
}

int ops_cred(fuse_req_t req, daxfs_ino parent, uint32_t *mode, struct daxfs_cred *out)
{
	const struct fuse_ctx *who = fuse_req_ctx(req);
	struct daxfs_attr dir;
	int error = daxfs_getattr(ops_fs(req), parent, &dir);

	if (error)
		return error;
	out->uid = who->uid;
	out->gid = who->gid;
	if (dir.mode & S_ISGID) {
		out->gid = dir.gid;
		if (S_ISDIR(*mode))
			*mode |= S_ISGID;
	}
	return 0;
}

static bool in_group(fuse_req_t req, uint32_t gid)
{
	gid_t groups[GROUPS_MAX];
	int n;

	if (fuse_req_ctx(req)->gid == gid)
		return true;
	n = fuse_req_getgroups(req, GROUPS_MAX, groups);
	for (int i = 0; i < n && i < GROUPS_MAX; i++)
		if (groups[i] == gid)
			return true;
	return false;
}

bool ops_may_open(fuse_req_t req, const struct daxfs_attr *attr, int flags)
{
	const struct fuse_ctx *who = fuse_req_ctx(req);
	unsigned want = 0, have = attr->mode;

	if ((flags & O_ACCMODE) != O_WRONLY)
		want |= 4;
	if ((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC))
		want |= 2;
	if (who->uid == 0)
		return true;
	if (who->uid == attr->uid)
		have >>= 6;
	else if (in_group(req, attr->gid))
		have >>= 3;
	return (have & want) == want;
}
