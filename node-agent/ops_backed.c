/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops_backed.c - requests that may have to wait for storage (backing.h).
 *
 * What the pool has is answered by the worker that was asked. The rest goes to a thread of the backing, which
 * answers by the descriptor that the request came by, with its receipt: what it makes in the pool to be as in
 * storage is not what was asked for (ops_aside). A process that dies leaves the request to the next one, which
 * begins anew.
 *
 * Storage that has been silent for long is not asked about what the pool has: that is served as it is.
 */
#include "node-agent/ops.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct deferred {
	struct backing_work work; /* first */
	struct backing *b;        /* kept */
	struct channel_place place;
	fuse_req_t req;
	void (*run)(struct deferred *d);
	daxfs_ino ino;
	size_t size;
	off_t offset;
	char name[256];
};

static void run(struct backing_work *work)
{
	struct deferred *d = (struct deferred *)work;

	channel_go_on(ops_of(d->req)->channel, &d->place);
	d->run(d);
	backing_put(d->b);
	free(d);
}

/* The backing is kept by the request from here on. */
static void defer(fuse_req_t req, struct backing *b, const struct deferred *how)
{
	struct deferred *d = malloc(sizeof(*d));

	if (!d) {
		backing_put(b);
		ops_reply(req, -ENOMEM);
		return;
	}
	*d = *how;
	d->work.run = run;
	d->req = req;
	d->b = b;
	channel_leave(ops_of(req)->channel, &d->place);
	backing_add(b, &d->work);
}

/* -- in a thread of the backing ----------------------------------------------------------- */

static int look(struct deferred *d, int (*at)(struct backing *b, daxfs_ino ino))
{
	int error;

	ops_aside(d->req, true);
	error = backing_has_stopped(d->b) ? -ENOTCONN : at(d->b, d->ino);
	ops_aside(d->req, false);
	return error;
}

static void run_lookup(struct deferred *d)
{
	struct daxfs_attr attr;
	int error;

	ops_aside(d->req, true);
	error = backing_has_stopped(d->b) ? -ENOTCONN : backing_look(d->b, d->ino, d->name);
	ops_aside(d->req, false);
	if (!error)
		error = daxfs_lookup(ops_fs(d->req), d->ino, d->name, &attr);
	ops_reply_entry(d->req, error, &attr);
}

static void run_open(struct deferred *d)
{
	int error = look(d, backing_look_at);

	if (error)
		ops_reply(d->req, ops_inode_error(d->req, error));
	else
		ops_open_now(d->req, d->ino, O_RDWR); /* direct */
}

static void run_opendir(struct deferred *d)
{
	int error = look(d, backing_list);

	if (error)
		ops_reply(d->req, error);
	else
		ops_opendir_now(d->req, d->ino);
}

static void run_read(struct deferred *d)
{
	void *buf = malloc(d->size);
	ssize_t n = buf ? -ENOTCONN : -ENOMEM;

	if (buf && !backing_has_stopped(d->b))
		n = daxfs_read(ops_fs(d->req), d->ino, buf, d->size, (uint64_t)d->offset);
	if (n < 0)
		ops_reply(d->req, (int)n);
	else
		fuse_reply_buf(d->req, buf, (size_t)n);
	free(buf);
}

/* -- true: answered, now or later ---------------------------------------------------------- */

bool ops_backed_lookup(fuse_req_t req, daxfs_ino parent, const char *name)
{
	struct backing *b = backing_get(&ops_of(req)->backings, parent);
	struct deferred how = { .run = run_lookup, .ino = parent };
	struct daxfs_attr attr;

	if (!b)
		return false;
	if (daxfs_lookup(ops_fs(req), parent, name, &attr) == 0 &&
	    (backing_is_fresh(b, attr.ino) || backing_is_slow(b))) {
		backing_put(b);
		ops_reply_entry(req, 0, &attr);
		return true;
	}
	if (strlen(name) >= sizeof(how.name)) {
		backing_put(b);
		ops_reply(req, -ENAMETOOLONG);
		return true;
	}
	snprintf(how.name, sizeof(how.name), "%s", name);
	defer(req, b, &how);
	return true;
}

static bool defer_open(fuse_req_t req, daxfs_ino ino, void (*run_it)(struct deferred *d),
		       bool (*is_known)(struct backing *b, daxfs_ino ino))
{
	struct backing *b = backing_get(&ops_of(req)->backings, ino);

	if (!b)
		return false;
	if (backing_is_slow(b) || (is_known && is_known(b, ino))) {
		backing_put(b);
		return false;
	}
	defer(req, b, &(struct deferred){ .run = run_it, .ino = ino });
	return true;
}

bool ops_backed_open(fuse_req_t req, daxfs_ino ino, int flags)
{
	struct daxfs_source source;

	if ((flags & O_ACCMODE) != O_RDONLY && daxfs_source(ops_fs(req), ino, &source) == 0) {
		ops_reply(req, -EROFS);
		return true;
	}
	return defer_open(req, ino, run_open, NULL);
}

bool ops_backed_opendir(fuse_req_t req, daxfs_ino ino)
{
	return defer_open(req, ino, run_opendir, backing_is_listed);
}

bool ops_backed_read(fuse_req_t req, daxfs_ino ino, size_t size, off_t offset)
{
	struct backing *b = backing_get(&ops_of(req)->backings, ino);

	if (!b)
		return false;
	defer(req, b, &(struct deferred){ .run = run_read, .ino = ino, .size = size, .offset = offset });
	return true;
}
