/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backing_write.c - what was written through the pool, written back to storage.
 *
 * One host at a time writes back the files of a backing: it holds a lock of the pool on the backing's directory, which
 * it gives up after each file, and loses with its life when its recovery ends. Its storage must have lost it by then,
 * too: what fences a host has to stop its writes to storage. A process that dies with it, and its host does not, leaves
 * it to the next one, which gives it up before it begins: it may have nothing to write.
 * Each host writes back what it has written when that is BACKING_DIRTY_MS old, oldest file first, pages in order of
 * place; each looks every BACKING_SCAN_MS for dirty files of anybody's, which hosts that died have left. So what the
 * pool alone has is younger than the two together, the time it took to recover a host and the time storage takes.
 *
 * Files are known by number: while a file is dirty, or being written, the pool's bytes win over changes that somebody
 * makes in storage, which is logged. A file that storage has no more stays dirty: fsync says ESTALE.
 * An error is tried again; each fsync tries by itself, so each is told. Writers wait while too much is dirty, in
 * threads that only they use; if that cannot be written, they are told why.
 */
#include "node-agent/backing_change.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"

#define LOCK_POLL_MS 5
#define TICK_MS 250
#define SCAN_PART 50 /* of a thread is the most that looking through all inodes takes */
#define RETRY_MS 1000
#define OPENS 8 /* of a file that is renamed meanwhile */

static void nap(unsigned ms)
{
	const struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

/* -- whose turn it is ------------------------------------------------------------------------ */

static int lock_pod(struct backing *b, enum daxfs_lock_type type)
{
	const struct daxfs_lock lock = { .end = DAXFS_LOCK_END, .owner = 1, .type = type, .kind = DAXFS_LOCK_FLOCK };

	return daxfs_lock(b->fs, b->root, &lock);
}

/* A dead host keeps it until it is recovered. -ENOTCONN: this one stops. */
static int begin(struct backing *b)
{
	int rc;

	pthread_mutex_lock(&b->flushing);
	while ((rc = lock_pod(b, DAXFS_LOCK_WRITE)) == -EAGAIN)
		nap(LOCK_POLL_MS);
	if (rc)
		pthread_mutex_unlock(&b->flushing);
	return rc;
}

static void end(struct backing *b)
{
	lock_pod(b, DAXFS_UNLOCK);
	pthread_mutex_unlock(&b->flushing);
}

void backing_release_left_turn(struct backing *b)
{
	lock_pod(b, DAXFS_UNLOCK);
}

/* -- what the library calls, by who holds the lock ---------------------------------------------- */

static void close_out(struct backing *b)
{
	if (b->out >= 0)
		close(b->out);
	b->out = -1;
	b->out_ino = 0;
}

/* It is the file's, if the pool says so before and after: another one gets its number only when it is gone. */
static int open_once(struct backing *b, daxfs_ino ino, uint64_t file)
{
	char path[PATH_MAX];
	int rc = backing_path(b, ino, path, sizeof(path));

	if (rc == 0)
		rc = storage_open_file(b->fd, path, file);
	if (rc == -ESTALE)
		return backing_is_elsewhere(b, ino, path) ? -EAGAIN : rc;
	if (rc >= 0 && !backing_path_is(b, ino, path)) {
		close(rc);
		return -EAGAIN;
	}
	return rc;
}

/* Kept open from the first write on: the errors of what it wrote are told to this descriptor. */
static int open_out(struct backing *b, daxfs_ino ino, uint64_t file)
{
	int rc = -EAGAIN;

	if (b->out >= 0 && b->out_ino == ino)
		return 0;
	close_out(b);
	for (unsigned i = 0; rc == -EAGAIN && i < OPENS; i++)
		rc = open_once(b, ino, file);
	if (rc < 0)
		return rc == -EAGAIN ? -ESTALE : rc;
	b->out = rc;
	b->out_ino = ino;
	return 0;
}

int backing_out_write(void *context, daxfs_ino ino, uint64_t file, const void *buf, size_t len, uint64_t offset)
{
	struct backing *b = context;
	int rc = open_out(b, ino, file);

	return rc ? rc : storage_write(b->out, buf, len, offset);
}

int backing_out_resize(void *context, daxfs_ino ino, uint64_t file, uint64_t size, bool exact)
{
	struct backing *b = context;
	int rc = open_out(b, ino, file);

	return rc ? rc : storage_resize(b->out, size, exact);
}

/* What a host left that died between the two of backing_set: storage was first. */
static int heal(struct backing *b, daxfs_ino ino, const struct daxfs_attr *here, const struct daxfs_attr *there)
{
	if (here->mode == there->mode && here->uid == there->uid && here->gid == there->gid)
		return 0;
	return daxfs_setattr(b->fs, ino, DAXFS_SET_MODE | DAXFS_SET_UID | DAXFS_SET_GID, there, NULL);
}

/* The file has there the time that the pool says. */
int backing_out_sync(void *context, daxfs_ino ino, uint64_t file, uint64_t *stamp)
{
	struct backing *b = context;
	struct storage_entry now;
	struct daxfs_attr attr;
	int rc = open_out(b, ino, file);

	if (rc == 0)
		rc = daxfs_getattr(b->fs, ino, &attr);
	if (rc == 0)
		rc = storage_sync(b->out, &attr.mtime, &now);
	if (rc == 0)
		rc = heal(b, ino, &attr, &now.attr);
	if (rc == 0)
		*stamp = storage_stamp(&now);
	return rc;
}

/* -- who may write ---------------------------------------------------------------------------- */

/* What was written to another one comes first: then its names lead here, too. */
static int write_by_one(struct backing *b, daxfs_ino ino, uint64_t file)
{
	struct daxfs_source source;
	int rc = backing_number(b, file, ino);

	if (rc != -ESTALE)
		return rc;
	if (daxfs_source(b->fs, ino, &source) == 0 && source.dirty)
		rc = backing_flush(b, ino);
	backing_unnote(b, ino);
	return rc ? rc : -ESTALE;
}

int backing_may_write(struct backing *b, daxfs_ino ino)
{
	struct storage_entry now;
	char path[PATH_MAX];
	int rc = b->writable ? backing_path(b, ino, path, sizeof(path)) : -EROFS;

	if (rc == 0)
		rc = storage_look(b->fd, path, &now);
	if (rc || !S_ISREG(now.attr.mode) || now.links < 2)
		return rc;
	return backing_is_many(b, &now) ? write_by_one(b, ino, now.file) : -EMLINK;
}

/* -- writing back ------------------------------------------------------------------------------- */

/* What the pod is told of this host's attempts: why a file cannot be written back; once, until that changes. */
static void tell(struct backing *b)
{
	const struct backing_dirty *file;
	unsigned ino = 0;
	char text[400];
	int error, was;

	pthread_mutex_lock(&b->lock);
	for (file = b->dirty; file && !file->error;)
		file = file->next;
	was = b->write_error;
	error = b->write_error = file ? file->error : 0;
	ino = file ? (unsigned)file->ino : 0;
	pthread_cond_broadcast(&b->changed);
	pthread_mutex_unlock(&b->lock);
	if (was == error)
		return;
	daxfs_tell_write_error(b->fs, b->number, b->config->name, error);
	if (!error) {
		log_note("backing %s: all that was written is written back again", b->config->name);
		daxfs_xattr_remove(b->fs, b->root, BACKING_ERROR);
		return;
	}
	log_warn("backing %s: cannot write back: %s: it stays in the pool", b->config->name, strerror(-error));
	snprintf(text, sizeof(text), "%s (inode %u)", strerror(-error), ino);
	daxfs_xattr_set(b->fs, b->root, BACKING_ERROR, text, strlen(text), 0);
}

/* It changed in storage since it was last written back, and we write now. */
static void say_if_changed(struct backing *b, daxfs_ino ino, const struct daxfs_source *source)
{
	struct storage_entry now;
	char path[PATH_MAX];

	if (!source->stamp || backing_path(b, ino, path, sizeof(path)) || storage_look(b->fd, path, &now))
		return;
	if (!storage_stamp_is(source->stamp, &now))
		log_warn(
			"backing %s: %s was changed in storage while it was written here, or a host died that wrote it "
			"back: what was written here wins",
			b->config->name, path);
}

int backing_flush(struct backing *b, daxfs_ino ino)
{
	struct daxfs_source source = { .dirty = false };
	int64_t before = clock_ns();
	uint64_t bytes;
	int rc = begin(b);

	if (rc)
		return rc;
	bytes = backing_dirty_bytes(b, ino);
	rc = daxfs_source(b->fs, ino, &source);
	if (rc == 0 && source.dirty) {
		say_if_changed(b, ino, &source);
		rc = daxfs_write_back(b->fs, ino);
		close_out(b);
		if (rc == 0)
			backing_stamp_again(b, ino); /* it may have got another name meanwhile */
	}
	end(b);
	if (rc == 0)
		backing_written(b, ino, bytes, before, 0);
	return rc;
}

static int stamp_once(struct backing *b, daxfs_ino ino)
{
	struct daxfs_source source;
	struct storage_entry now;
	char path[PATH_MAX];
	int rc = daxfs_source(b->fs, ino, &source);

	path[0] = '\0';
	if (rc == 0)
		rc = backing_path(b, ino, path, sizeof(path));
	if (rc == 0)
		rc = storage_look(b->fd, path, &now);
	if (rc == -ENOENT || rc == -ENOTDIR || (rc == 0 && now.file != source.file))
		rc = -ESTALE;
	if (rc == 0)
		return daxfs_stamp(b->fs, ino, storage_stamp(&now));
	return rc == -ESTALE && backing_is_elsewhere(b, ino, path) ? -EAGAIN : rc;
}

/* What it is like after its attributes were set; other names may come and go meanwhile. */
static int stamp(struct backing *b, daxfs_ino ino)
{
	int rc = -EAGAIN;

	for (unsigned i = 0; rc == -EAGAIN && i < OPENS; i++)
		rc = stamp_once(b, ino);
	if (rc == 0)
		backing_stamp_again(b, ino);
	return rc;
}

/* Only those who have it open know it any more. */
static bool is_removed(struct backing *b, daxfs_ino ino)
{
	struct daxfs_attr attr;

	return daxfs_getattr(b->fs, ino, &attr) == 0 && attr.nlink == 0;
}

static int set_there(struct backing *b, daxfs_ino ino, unsigned set, const struct daxfs_attr *in)
{
	struct daxfs_source source;
	char path[PATH_MAX];
	int rc = daxfs_source(b->fs, ino, &source);

	path[0] = '\0';
	if (rc == 0)
		rc = backing_path(b, ino, path, sizeof(path));
	if (rc == 0)
		rc = storage_set(b->fd, path, source.file, set, in);
	return rc == -ESTALE && backing_is_elsewhere(b, ino, path) ? -EAGAIN : rc;
}

/*
 * From before storage has other attributes until the pool has, and the stamp of then, nobody may take the file for one
 * that others have changed: whoever forgets it has it locked. Its directory is locked, too, so that it keeps the name
 * that it is reached by.
 */
static int lock_for_attributes(struct backing *b, daxfs_ino ino, struct name_locks *locks)
{
	struct backing_note place = { .ino = 0 }, now;
	int rc = -EAGAIN;

	locks->n = 0;
	for (unsigned i = 0; rc == -EAGAIN && i < OPENS; i++) {
		if (backing_place(b, ino, &place))
			place.parent = 0; /* it has no name here, or is the topmost directory */
		rc = backing_lock_names(b, locks, (daxfs_ino[]){ place.parent, ino }, 2, 0);
		if (rc == 0 && place.parent && backing_place(b, ino, &now) == 0 && now.parent != place.parent) {
			backing_unlock_names(b, locks);
			rc = -EAGAIN;
		}
	}
	return rc;
}

static int set_both(struct backing *b, daxfs_ino ino, unsigned set, const struct daxfs_attr *in, struct daxfs_attr *out)
{
	const unsigned there = set & ~(unsigned)DAXFS_SET_SIZE;
	int rc = begin(b);

	if (rc)
		return rc;
	rc = there ? -EAGAIN : 0;
	for (unsigned i = 0; rc == -EAGAIN && i < OPENS; i++)
		rc = set_there(b, ino, there, in);
	if (rc == 0)
		rc = daxfs_setattr(b->fs, ino, set, in, out);
	if (rc == 0 && there && S_ISREG(out->mode))
		rc = stamp(b, ino);
	end(b);
	return rc;
}

int backing_set(struct backing *b, daxfs_ino ino, unsigned set, const struct daxfs_attr *in, struct daxfs_attr *out)
{
	struct name_locks locks;
	int rc = b->writable ? 0 : -EROFS;

	if (rc == 0 && is_removed(b, ino))
		return daxfs_setattr(b->fs, ino, set, in, out);
	if (rc == 0 && set & DAXFS_SET_SIZE)
		rc = backing_may_write(b, ino);
	if (rc == 0)
		rc = lock_for_attributes(b, ino, &locks);
	if (rc)
		return rc == -EAGAIN ? -ESTALE : rc;
	rc = set_both(b, ino, set, in, out);
	backing_unlock_names(b, &locks);
	if (rc == 0 && set & DAXFS_SET_SIZE)
		backing_wrote(b, ino, 0);
	return rc == -EAGAIN ? -ESTALE : rc;
}

int backing_sync_there(struct backing *b, daxfs_ino ino)
{
	struct daxfs_source source;
	char path[PATH_MAX];
	int rc = is_removed(b, ino) || !b->writable ? 0 : -EAGAIN;

	for (unsigned i = 0; rc == -EAGAIN && i < OPENS; i++) {
		path[0] = '\0';
		rc = daxfs_source(b->fs, ino, &source);
		if (rc == 0)
			rc = backing_path(b, ino, path, sizeof(path));
		if (rc == 0)
			rc = storage_fsync(b->fd, path, source.file);
		if (rc == -ESTALE && backing_is_elsewhere(b, ino, path))
			rc = -EAGAIN;
	}
	return rc == -EAGAIN ? -ESTALE : rc;
}

/* -- the flusher ---------------------------------------------------------------------------------- */

/* A file that is not there any more needs nothing; one that cannot be written now waits behind the others. */
static bool flush_next(struct backing *b, daxfs_ino ino)
{
	struct daxfs_source source;
	int rc = backing_flush(b, ino);

	if (rc && daxfs_source(b->fs, ino, &source) == -ESTALE)
		rc = 0;
	backing_written(b, ino, rc ? 0 : UINT64_MAX, clock_ns(), rc);
	return rc == 0;
}

/*
 * What nobody here has written: hosts that died have, or will write it back themselves. That is as long as the pool has
 * inodes, so it rests for SCAN_PART times as long as it took, if that is longer. When to do it again.
 */
static int64_t scan(struct backing *b)
{
	const int64_t began = clock_ns();
	int64_t rest = (int64_t)BACKING_SCAN_MS * 1000000, took;
	uint64_t at = 0;
	daxfs_ino ino;
	int rc;

	backing_take_share(b);
	while ((rc = daxfs_dirty(b->fs, b->number, &at, &ino)) >= 0)
		if (rc > 0)
			backing_wrote(b, ino, 0);
	took = clock_ns() - began;
	return began + took + (SCAN_PART * took > rest ? SCAN_PART * took : rest);
}

/* All that there is, as somebody asked for; then that is done. */
static bool take_sync(struct backing *b)
{
	bool wanted;

	pthread_mutex_lock(&b->lock);
	wanted = b->sync_wanted;
	b->sync_wanted = false;
	pthread_mutex_unlock(&b->lock);
	if (wanted)
		daxfs_xattr_remove(b->fs, b->root, BACKING_SYNC);
	return wanted;
}

static bool is_serving(struct backing *b, bool *stop)
{
	bool serving;

	pthread_mutex_lock(&b->lock);
	*stop = b->stop;
	serving = b->attached && b->writable;
	if (serving)
		b->users++;
	pthread_mutex_unlock(&b->lock);
	return serving;
}

/* Files that are due; as many as there were, so that it comes to an end. */
static unsigned flush_due(struct backing *b, bool all)
{
	unsigned failed = 0, n = backing_count_dirty(b);
	daxfs_ino ino;

	while (n-- && (ino = backing_next_dirty(b, all)))
		failed += !flush_next(b, ino);
	tell(b);
	return failed;
}

void *backing_flusher(void *context)
{
	struct backing *b = context;
	int64_t next_scan = 0;
	bool stop = false;

	while (!stop) {
		unsigned failed = 0;

		if (is_serving(b, &stop)) {
			bool all = take_sync(b) || stop;

			if (!stop && (all || clock_ns() >= next_scan))
				next_scan = scan(b);
			backing_tell_dirty(b);
			failed = flush_due(b, all);
			backing_tell_dirty(b);
			backing_put(b);
		}
		if (!stop)
			nap(failed ? RETRY_MS : TICK_MS);
	}
	return NULL;
}
