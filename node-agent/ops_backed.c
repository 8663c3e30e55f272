/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops_backed.c - requests that may have to wait for storage (backing.h): to read, to write, to be safe.
 *
 * What the pool has is answered by the worker that was asked. The rest goes to a thread of the backing, which
 * answers by the descriptor that the request came by, with its receipt: what it makes in the pool to be as in
 * storage is not what was asked for (ops_aside). A process that dies leaves the request to the next one, which
 * begins anew.
 *
 * Storage that has been silent for long is not asked about what the pool has: that is served as it is.
 */
#include "node-agent/ops_deferred.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

#define GONE 1
#define LISTED 2
#define FIND_MS 10000 /* for a name that is given back as soon as it is there */

static void run(struct backing_work *work)
{
	struct deferred *d = (struct deferred *)work;

	channel_go_on(ops_of(d->req)->channel, &d->place);
	d->run(d);
	backing_put(d->b);
	free(d);
}

void ops_defer(fuse_req_t req, struct backing *b, const struct deferred *how, bool writes)
{
	struct kernel_pages *pages = &ops_of(req)->pages;
	struct deferred *d = malloc(sizeof(*d));

	if (!d) {
		backing_put(b);
		free(how->buf);
		ops_reply(req, -ENOMEM);
		if (how->noted)
			kernel_pages_waited(pages, how->ino);
		return;
	}
	*d = *how;
	d->work.run = run;
	d->req = req;
	d->b = b;
	channel_leave(ops_of(req)->channel, &d->place);
	backing_add(b, &d->work, writes);
}

/*
 * A name that the pool has not is one that storage has not, if the directory was open while it was looked at: else it
 * may have been given back since (daxfs_give_back). That it cannot be kept open is an error: no names are left out.
 */
static int hold(struct backing *b, daxfs_ino dir)
{
	return daxfs_file_open(b->fs, dir);
}

/* Behind the answer, too: then the request is gone. */
static void let_go(struct backing *b, daxfs_ino dir)
{
	daxfs_file_close(b->fs, dir);
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

/* GONE: storage has it, and the pool has it no more. */
static int find(struct deferred *d, struct daxfs_attr *attr)
{
	int error;

	ops_aside(d->req, true);
	error = backing_has_stopped(d->b) ? -ENOTCONN : backing_look(d->b, d->ino, d->name);
	ops_aside(d->req, false);
	if (error)
		return error;
	/* Pinned while others race, or it is given back before it is opened. */
	error = lookup_pins_lookup(&ops_of(d->req)->pins, d->ino, d->name, attr);
	return error == -ENOENT ? GONE : error;
}

/* A name that is there is answered, whatever that host says. LISTED: it says that the pool has all that storage has. */
static int find_asked(struct deferred *d, struct daxfs_attr *attr)
{
	int asked = backing_ask_name(d->b, d->ino, d->name),
	    error = lookup_pins_lookup(&ops_of(d->req)->pins, d->ino, d->name, attr);

	if (error != -ENOENT || asked == -ENOENT || asked == -ESTALE)
		return error;
	return asked > 0 ? GONE : asked ? asked : LISTED;
}

/*
 * A name that was there and has been given back since is looked for anew, without the directory open: with it no name
 * of it can be given back, and where it is larger than the pool, there would be no room for this one. Only what is to
 * be believed of all names needs that.
 */
static void run_lookup_by(struct deferred *d, int (*how)(struct deferred *d, struct daxfs_attr *attr))
{
	const int64_t until = clock_ns() + (int64_t)FIND_MS * 1000000;
	struct daxfs_attr attr;
	int error;

	do
		error = how(d, &attr);
	while (error == GONE && clock_ns() < until);
	if (error == LISTED) {
		error = hold(d->b, d->ino);
		if (!error) {
			error = how(d, &attr);
			let_go(d->b, d->ino);
		}
	}
	ops_reply_entry(d->req, error == LISTED ? -ENOENT : error == GONE ? -ESTALE : error, &attr);
}

static void run_lookup(struct deferred *d)
{
	run_lookup_by(d, find);
}

/* The same where another host has the storage. */
static void run_lookup_asked(struct deferred *d)
{
	run_lookup_by(d, find_asked);
}

/* Is what the pool has of a name still so? If nobody can say, it counts. Given back meanwhile, it is asked for. */
static void run_lookup_doubted(struct deferred *d)
{
	struct daxfs_attr attr;
	int asked = backing_ask_look(d->b, d->attr.ino),
	    error = lookup_pins_lookup(&ops_of(d->req)->pins, d->ino, d->name, &attr);

	if (error == -ENOENT) {
		run_lookup_asked(d);
		return;
	}
	if (asked == -ESTALE && !error)
		backing_note(d->b, attr.ino, 0, "", true); /* it was made what storage says */
	ops_reply_entry(d->req, error, &attr);
}

static void run_open_doubted(struct deferred *d)
{
	if (backing_ask_look(d->b, d->ino) == -ESTALE)
		ops_reply(d->req, ops_inode_error(d->req, -ESTALE));
	else
		ops_open_now(d->req, d->ino, (int)d->flags);
}

/* It stays open from before it is looked at until the kernel closes it. */
static void run_opendir_by(struct deferred *d, bool asked)
{
	int error = hold(d->b, d->ino);

	if (error) {
		ops_reply(d->req, error);
		return;
	}
	error = asked ? backing_ask_names(d->b, d->ino) : look(d, backing_list);
	if (error)
		ops_reply(d->req, error);
	else
		ops_opendir_now(d->req, d->ino);
	let_go(d->b, d->ino);
}

static void run_opendir_asked(struct deferred *d)
{
	run_opendir_by(d, true);
}

static void run_opendir(struct deferred *d)
{
	run_opendir_by(d, false);
}

static void run_open(struct deferred *d)
{
	int error = look(d, backing_look_at);

	if (error)
		ops_reply(d->req, ops_inode_error(d->req, error));
	else
		ops_open_now(d->req, d->ino, (int)d->flags);
}

static int look_to_write(struct backing *b, daxfs_ino ino)
{
	int error = backing_look_at(b, ino);

	return error ? error : backing_may_write(b, ino);
}

static void run_open_to_write(struct deferred *d)
{
	int error = look(d, look_to_write);

	if (error)
		ops_reply(d->req, ops_inode_error(d->req, error));
	else
		ops_open_now(d->req, d->ino, O_RDWR);
}

/* For the kernel's cache all of it, up to the end of the file, or an error: see read_here of ops_file.c. */
static ssize_t read_there(struct deferred *d, char *buf)
{
	size_t done = 0;
	ssize_t n;

	do {
		n = daxfs_read(ops_fs(d->req), d->ino, buf + done, d->size - done, (uint64_t)d->offset + done);
		done += n > 0 ? (size_t)n : 0;
	} while (n > 0 && d->cached && done < d->size);
	return n < 0 ? n : (ssize_t)done;
}

static void run_read(struct deferred *d)
{
	struct kernel_pages *pages = &ops_of(d->req)->pages;
	void *buf = malloc(d->size);
	ssize_t n = buf ? -ENOTCONN : -ENOMEM;

	if (buf && !backing_has_stopped(d->b))
		n = read_there(d, buf);
	if (n < 0)
		ops_reply(d->req, (int)n);
	else
		fuse_reply_buf(d->req, buf, (size_t)n);
	free(buf);
	if (d->noted)
		kernel_pages_waited(pages, d->ino);
}

/* Before the bytes change, and in storage first. */
static int drop_bits(struct deferred *d)
{
	struct daxfs_attr want, attr;
	int error = d->kept ? 0 : ops_bits_to_drop(d->req, d->ino, &want);

	if (error <= 0)
		return error;
	ops_aside(d->req, true);
	error = backing_set(d->b, d->ino, DAXFS_SET_MODE, &want, &attr);
	ops_aside(d->req, false);
	return error;
}

static ssize_t write_from(struct deferred *d, size_t done)
{
	ssize_t n;

	ops_data_changes(d->req, d->ino);
	n = daxfs_write(ops_fs(d->req), d->ino, (uint8_t *)d->buf + done, d->size - done, (uint64_t)d->offset + done,
			d->flags);
	ops_data_changed(d->req, d->ino);
	return n;
}

static void run_write(struct deferred *d)
{
	size_t done = (size_t)ops_done();
	ssize_t n = done ? 0 : backing_wait_room(d->b);

	if (n == 0 && !done)
		n = drop_bits(d);
	if (n == 0 && done < d->size)
		n = write_from(d, done);
	if (n == -ENOSPC && look(d, backing_flush) == 0) /* of which some is what is dirty */
		n = write_from(d, done);
	backing_wrote(d->b, d->ino, d->size);
	if (n >= 0 && d->sync) {
		int error = look(d, backing_flush);

		n = error ? error : n;
		done = error ? 0 : done;
	}
	free(d->buf);
	if (n < 0 && !done)
		ops_reply(d->req, (int)n);
	else
		fuse_reply_write(d->req, done + (size_t)(n > 0 ? n : 0));
}

/* What is not dirty may be new, or of other attributes or names. */
static void run_fsync(struct deferred *d)
{
	struct daxfs_source source;
	int error = daxfs_source(ops_fs(d->req), d->ino, &source);

	ops_reply(d->req, error ? error : look(d, source.dirty ? backing_flush : backing_sync_there));
}

static void run_setattr(struct deferred *d)
{
	struct daxfs_attr attr;
	int error;

	ops_data_changes(d->req, d->ino);
	error = backing_set(d->b, d->ino, d->flags, &d->attr, &attr);
	ops_data_changed(d->req, d->ino);
	ops_reply_attr(d->req, error, &attr);
}

/* Of what is gone it is not known: it may have been of storage. */
int ops_backing_number(fuse_req_t req, daxfs_ino ino)
{
	struct daxfs_source source = { .backing = DAXFS_BACKINGS };
	int error = daxfs_source(ops_fs(req), ino, &source);

	return error == -EINVAL ? QUESTION_OF_POOL : (int)source.backing;
}

/* -- true: answered, now or later ---------------------------------------------------------- */

/* known: what the pool has of that name; number 0: nothing. */
static bool defer_lookup(fuse_req_t req, struct backing *b, daxfs_ino parent, const char *name, daxfs_ino known,
			 void (*run_it)(struct deferred *d))
{
	struct deferred how = { .run = run_it, .ino = parent, .attr.ino = known };

	if (strlen(name) >= sizeof(how.name)) {
		backing_put(b);
		ops_reply(req, -ENAMETOOLONG);
		return true;
	}
	snprintf(how.name, sizeof(how.name), "%s", name);
	ops_defer(req, b, &how, false);
	return true;
}

/* Need nobody be asked whether what the pool has is still so? Directories are looked at when they are listed. */
static bool is_believed(struct backing *b, const struct daxfs_attr *attr)
{
	return S_ISDIR(attr->mode) || backing_is_fresh(b, attr->ino) || backing_is_slow(b);
}

void ops_backed_limit(struct ops *ops, const struct daxfs_attr *attr, struct daxfs_lease *lease)
{
	struct backing *b = backing_get(&ops->backings, attr->ino);
	uint64_t left = 0;

	if (!b && S_ISDIR(attr->mode))
		return; /* nobody would be asked about it */
	if (!b)
		b = backing_get_others(&ops->backings, attr->ino);
	if (b) {
		left = (uint64_t)backing_fresh_ns(b, attr->ino);
		backing_put(b);
	}
	if (lease->names_ns > left)
		lease->names_ns = left;
}

/* What no name is no kernel keeps: that is believed for the backing's time. */
static bool lookup_at_others(fuse_req_t req, daxfs_ino parent, const char *name, bool missed)
{
	struct daxfs_attr attr = { .ino = 0 };
	struct daxfs_source source;
	struct backing *b;
	int error;

	if (daxfs_source(ops_fs(req), parent, &source))
		return false;
	error = daxfs_lookup(ops_fs(req), parent, name, &attr);
	b = error && error != -ENOENT ? NULL : backing_get_others(&ops_of(req)->backings, parent);
	if (b && !error && (missed || !is_believed(b, &attr)))
		return defer_lookup(req, b, parent, name, attr.ino, run_lookup_doubted);
	if (b && error && !backing_is_listed(b, parent)) /* asked behind that look: or it may have been given back */
		return defer_lookup(req, b, parent, name, 0, run_lookup_asked);
	if (error == -ENOENT)
		ops_reply_entry(req, b ? -ENOENT : -ENXIO, &attr);
	if (b)
		backing_put(b);
	return error == -ENOENT;
}

static bool is_listed(struct backing *b, daxfs_ino dir)
{
	return backing_is_listed(b, dir) || backing_is_still_listed(b, dir);
}

/* It was listed lately, or is as it was then, and no name has been given back since, nor can be now. */
static bool open_listed(fuse_req_t req, struct backing *b, daxfs_ino dir)
{
	bool listed;

	if (!is_listed(b, dir) || hold(b, dir))
		return false;
	listed = is_listed(b, dir);
	if (listed)
		ops_opendir_now(req, dir);
	let_go(b, dir);
	return listed;
}

static bool opendir_at_others(fuse_req_t req, daxfs_ino dir)
{
	struct backing *b = backing_get_others(&ops_of(req)->backings, dir);

	if (!b) {
		ops_reply(req, -ENXIO);
		return true;
	}
	if (open_listed(req, b, dir))
		backing_put(b);
	else
		ops_defer(req, b, &(struct deferred){ .run = run_opendir_asked, .ino = dir }, false);
	return true;
}

static bool need_not_look(struct backing *b, daxfs_ino parent, const char *name)
{
	struct daxfs_attr attr;

	return daxfs_lookup(b->fs, parent, name, &attr) == 0 &&
	       (backing_is_fresh(b, attr.ino) || backing_is_slow(b) || backing_is_still_at(b, parent, name, attr.ino));
}

bool ops_backed_lookup(fuse_req_t req, daxfs_ino parent, const char *name, bool missed)
{
	struct backing *b = backing_get(&ops_of(req)->backings, parent);

	if (!b)
		return lookup_at_others(req, parent, name, missed);
	if (!missed && need_not_look(b, parent, name)) {
		backing_put(b);
		return false; /* it is answered as the pool has it, and may be kept for as long as that look counts */
	}
	return defer_lookup(req, b, parent, name, 0, run_lookup);
}

/* To look first, in a thread of the backing, which was kept for that. False: nobody need, or it is silent for long. */
static bool defer_open(fuse_req_t req, struct backing *b, daxfs_ino ino, int flags, void (*run_it)(struct deferred *d),
		       bool known)
{
	if (known || backing_is_slow(b)) {
		backing_put(b);
		return false;
	}
	ops_defer(req, b, &(struct deferred){ .run = run_it, .ino = ino, .flags = (unsigned)flags }, false);
	return true;
}

static bool open_at_others(fuse_req_t req, daxfs_ino ino, int flags)
{
	struct backing *b = backing_get_others(&ops_of(req)->backings, ino);

	return b && defer_open(req, b, ino, flags, run_open_doubted, backing_is_fresh(b, ino));
}

bool ops_backed_open(fuse_req_t req, daxfs_ino ino, int flags)
{
	struct daxfs_source source;
	struct backing *b;

	if (daxfs_source(ops_fs(req), ino, &source))
		return false; /* the pool's own */
	b = backing_get(&ops_of(req)->backings, ino);
	if ((flags & O_ACCMODE) == O_RDONLY)
		return b ? defer_open(req, b, ino, flags, run_open, backing_is_still(b, ino))
			 : open_at_others(req, ino, flags);
	if (!b || !b->writable) { /* a host without the storage could not say what becomes of a write */
		if (b)
			backing_put(b);
		ops_reply(req, -EROFS);
		return true;
	}
	ops_defer(req, b, &(struct deferred){ .run = run_open_to_write, .ino = ino }, true);
	return true;
}

bool ops_backed_opendir(fuse_req_t req, daxfs_ino ino)
{
	struct backing *b = backing_get(&ops_of(req)->backings, ino);
	struct daxfs_source source;

	if (b && open_listed(req, b, ino)) {
		backing_put(b);
		return true;
	}
	if (b)
		return defer_open(req, b, ino, 0, run_opendir, false);
	if (daxfs_source(ops_fs(req), ino, &source))
		return false; /* the pool's own */
	return opendir_at_others(req, ino);
}

bool ops_backed_read(fuse_req_t req, daxfs_ino ino, size_t size, off_t offset, bool cached)
{
	struct deferred how = { .run = run_read, .ino = ino, .size = size, .offset = offset, .cached = cached };
	struct backing *b = backing_get(&ops_of(req)->backings, ino);

	if (!b)
		b = backing_get_others(&ops_of(req)->backings, ino);
	if (!b)
		return false;
	how.noted = cached && ops_of(req)->pages.on && kernel_pages_wait(&ops_of(req)->pages, ino);
	ops_defer(req, b, &how, false);
	return true;
}

/* -- writing: by threads that readers do not wait for --------------------------------------- */

bool ops_backed_write(fuse_req_t req, daxfs_ino ino, const char *buf, size_t size, off_t offset,
		      const struct fuse_file_info *fi)
{
	struct backing *b = backing_get(&ops_of(req)->backings, ino);
	struct deferred how = { .run = run_write, .ino = ino, .size = size, .offset = offset };

	if (!b)
		return false;
	how.flags = fi->flags & O_APPEND ? DAXFS_APPEND : 0;
	how.sync = fi->flags & (O_SYNC | O_DSYNC);
	how.kept = fi->writepage;
	how.buf = malloc(size ? size : 1);
	if (!how.buf) {
		backing_put(b);
		ops_reply(req, -ENOMEM);
		return true;
	}
	memcpy(how.buf, buf, size);
	ops_defer(req, b, &how, true);
	return true;
}

/* What nobody of this host can write back is said not to be safe. */
bool ops_backed_fsync(fuse_req_t req, daxfs_ino ino)
{
	struct daxfs_source source;
	struct backing *b;

	if (daxfs_source(ops_fs(req), ino, &source))
		return false;
	b = backing_get(&ops_of(req)->backings, ino);
	if (b)
		ops_defer(req, b, &(struct deferred){ .run = run_fsync, .ino = ino }, true);
	else if (source.dirty)
		ops_reply(req, -ENXIO);
	else
		return false;
	return true;
}

bool ops_backed_setattr(fuse_req_t req, daxfs_ino ino, unsigned set, const struct daxfs_attr *attr)
{
	struct backing *b = set ? backing_get(&ops_of(req)->backings, ino) : NULL;

	if (!b)
		return false;
	ops_defer(req, b, &(struct deferred){ .run = run_setattr, .ino = ino, .flags = set, .attr = *attr }, true);
	return true;
}
