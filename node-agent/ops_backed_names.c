/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops_backed_names.c - requests that make, remove and rename names of storage (backing_change.h).
 *
 * A thread of the backing does the change and answers, and only then ends it: if this process dies, the request is sent
 * to the next one, which finds by the intent whether it was done. So there are no receipts of these.
 * Who may do it the kernel has looked at, by the attributes that the pool has; what is made belongs to the caller.
 * Refused: EXDEV between backings, or one and the pool's own tree; EROFS where this host does not write the
 * storage; EPERM for what is neither file, directory nor link, and for a second name where the pool, or the storage,
 * has no such; EINVAL to exchange.
 */
#include "node-agent/ops_deferred.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "node-agent/backing_change.h"

#define UNNOTED (1ull << 63) /* of what no successor is asked for */

/* Tells this request from others of this membership. */
static uint64_t number_of_request(void)
{
	static atomic_ullong unnoted;
	const struct estate_request *r = channel_request();

	return r ? r->unique : UNNOTED | atomic_fetch_add(&unnoted, 1);
}

static void begin(struct deferred *d, struct backing_change *c)
{
	ops_aside(d->req, true);
	*c = (struct backing_change){ .dir = d->ino, .to_dir = d->to_dir };
	memcpy(c->name, d->name, sizeof(c->name));
	memcpy(c->to_name, d->to_name, sizeof(c->to_name));
}

/* Answered. The request may be gone. */
static void end(struct backing *b, struct backing_change *c)
{
	backing_change_end(b, c);
	channel_aside(b->fs, false);
}

static int make(struct deferred *d, struct backing_change *c, struct daxfs_attr *out)
{
	int error = backing_has_stopped(d->b) ? -ENOTCONN
					      : backing_make(d->b, c, number_of_request(), &d->attr, d->buf, out);

	free(d->buf);
	return ops_name_error(d->req, error);
}

static void run_make(struct deferred *d)
{
	struct backing_change c;
	struct daxfs_attr attr;
	int error;

	begin(d, &c);
	error = make(d, &c, &attr);
	ops_reply_entry(d->req, error, &attr);
	end(d->b, &c);
}

/* What somebody else has made meanwhile the kernel is to find, and to open as what it is: -ESTALE. */
static void run_create(struct deferred *d)
{
	static const struct daxfs_lease nothing;
	struct backing_change c;
	struct daxfs_attr attr;
	uint64_t fh = 0;
	int error;

	begin(d, &c);
	error = make(d, &c, &attr);
	if (error == -EEXIST && !(d->flags & O_EXCL))
		error = -ESTALE;
	if (!error) {
		fh = ops_new_file(d->req);
		error = ops_open_file(d->req, fh, attr.ino);
	}
	if (error)
		ops_reply(d->req, error);
	else if (ops_reply_created(d->req, &attr, &nothing, fh) != 0)
		ops_close_file(d->req, fh);
	end(d->b, &c);
}

static void run_remove(struct deferred *d)
{
	struct tombstones *stones = &ops_of(d->req)->tombstones;
	struct tombstone *stone;
	struct backing_change c;
	int error = -ENOTCONN;

	begin(d, &c);
	stone = ops_begin_removal(d->req, d->ino, d->name);
	if (!backing_has_stopped(d->b))
		error = backing_remove(d->b, &c, number_of_request(), d->flags);
	tombstone_settle(stones, stone, error == 0);
	ops_reply(d->req, ops_name_error(d->req, error));
	end(d->b, &c);
}

static void run_rename(struct deferred *d)
{
	struct ops *ops = ops_of(d->req);
	struct tombstone *stone;
	struct backing_change c;
	int error = -ENOTCONN;

	begin(d, &c);
	stone = ops_begin_removal(d->req, d->to_dir, d->to_name);
	if (!backing_has_stopped(d->b))
		error = backing_move(d->b, &c, number_of_request(), d->flags);
	tombstone_settle(&ops->tombstones, stone, error == 0);
	if (!error && d->ino != d->to_dir) /* as op_rename */
		kernel_cache_forget_names(&ops->cache);
	ops_reply(d->req, ops_name_error(d->req, error));
	end(d->b, &c);
}

/* A source that changed is looked up anew: -ESTALE. */
static void run_link(struct deferred *d)
{
	struct backing_change c;
	struct daxfs_attr attr;
	int error = -ENOTCONN;

	begin(d, &c);
	c.ino = d->attr.ino;
	if (!backing_has_stopped(d->b))
		error = backing_link(d->b, &c, number_of_request(), &attr);
	ops_reply_entry(d->req, error, &attr);
	end(d->b, &c);
}

/* -- true: answered, now or later ------------------------------------------------------------ */

/* The backing of a directory of storage, if this host writes it; NULL, and *answered: it was said that it does not. */
static struct backing *backing_of(fuse_req_t req, daxfs_ino dir, bool *answered)
{
	struct daxfs_source source;
	struct backing *b;

	*answered = false;
	if (daxfs_source(ops_fs(req), dir, &source))
		return NULL;
	b = backing_get(&ops_of(req)->backings, dir);
	if (b && b->writable)
		return b;
	if (b)
		backing_put(b);
	ops_reply(req, -EROFS);
	*answered = true;
	return NULL;
}

static int take_name(const char *name, char out[256])
{
	if (strlen(name) > 255)
		return -ENAMETOOLONG;
	snprintf(out, 256, "%s", name);
	return 0;
}

bool ops_backed_make(fuse_req_t req, daxfs_ino parent, const char *name, uint32_t mode, const char *target, int flags)
{
	struct deferred how = { .run = flags & O_CREAT ? run_create : run_make,
				.ino = parent,
				.flags = (unsigned)flags };
	struct daxfs_cred cred;
	bool answered;
	struct backing *b = backing_of(req, parent, &answered);
	int error;

	if (!b)
		return answered;
	error = take_name(name, how.name);
	if (!error)
		error = ops_cred(req, parent, &mode, &cred);
	if (!error && !S_ISREG(mode) && !S_ISDIR(mode) && !S_ISLNK(mode))
		error = -EPERM;
	how.buf = !error && target ? strdup(target) : NULL;
	if (!error && target && !how.buf)
		error = -ENOMEM;
	if (error) {
		backing_put(b);
		ops_reply(req, ops_name_error(req, error));
		return true;
	}
	how.attr = (struct daxfs_attr){ .mode = mode, .uid = cred.uid, .gid = cred.gid };
	ops_defer(req, b, &how, true);
	return true;
}

bool ops_backed_remove(fuse_req_t req, daxfs_ino parent, const char *name, bool directory)
{
	struct deferred how = { .run = run_remove, .ino = parent, .flags = directory };
	bool answered;
	struct backing *b = backing_of(req, parent, &answered);

	if (!b)
		return answered;
	if (take_name(name, how.name)) {
		backing_put(b);
		ops_reply(req, -ENAMETOOLONG);
		return true;
	}
	ops_defer(req, b, &how, true);
	return true;
}

/* Are both of storage, and of one? 0: neither, 1, -EXDEV; -ESTALE: one is no more, and is looked up anew. */
static int judge(fuse_req_t req, daxfs_ino from, daxfs_ino to)
{
	struct daxfs_source a, b;
	int first = daxfs_source(ops_fs(req), from, &a), second = daxfs_source(ops_fs(req), to, &b);

	if (first && second)
		return 0;
	if (first == -ESTALE || second == -ESTALE)
		return -ESTALE;
	return !first && !second && a.backing == b.backing ? 1 : -EXDEV;
}

bool ops_backed_rename(fuse_req_t req, daxfs_ino parent, const char *name, daxfs_ino new_parent, const char *new_name,
		       unsigned flags)
{
	struct deferred how = { .run = run_rename, .ino = parent, .to_dir = new_parent, .flags = flags };
	bool answered;
	struct backing *b;
	int rc = judge(req, parent, new_parent);

	if (rc > 0 && flags & ~(unsigned)DAXFS_RENAME_NOREPLACE)
		rc = -EINVAL;
	if (rc > 0 && (take_name(name, how.name) || take_name(new_name, how.to_name)))
		rc = -ENAMETOOLONG;
	if (rc < 0)
		ops_reply(req, ops_name_error(req, rc));
	if (rc <= 0)
		return rc < 0;
	b = backing_of(req, parent, &answered);
	if (b)
		ops_defer(req, b, &how, true);
	return b || answered;
}

bool ops_backed_link(fuse_req_t req, daxfs_ino ino, daxfs_ino new_parent, const char *new_name)
{
	struct deferred how = { .run = run_link, .ino = new_parent, .attr.ino = ino };
	bool answered;
	struct backing *b;
	int rc = judge(req, ino, new_parent);

	if (rc > 0 && take_name(new_name, how.name))
		rc = -ENAMETOOLONG;
	if (rc < 0)
		ops_reply(req, rc);
	if (rc <= 0)
		return rc < 0;
	b = backing_of(req, new_parent, &answered);
	if (b)
		ops_defer(req, b, &how, true);
	return b || answered;
}
