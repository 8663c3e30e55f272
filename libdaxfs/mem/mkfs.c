/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mkfs.c - a pool made at a path.
 *
 * Everything that can be refused is refused before the first byte changes:
 * options and size, what the target holds, whether it is in use on this machine
 * (an exclusive flock, against the shared one of every mapping). A file gets all
 * its memory now, so that no later store meets a full /dev/shm and a SIGBUS.
 * Crash: a file that is not yet a pool stays, and a second mkfs replaces it.
 *
 * A pool is restored in the same way, from an image (inspect/backup.c): its superblocks come last, too.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daxfs/inspect.h"
#include "mem/backing.h"
#include "mem/options.h"
#include "mem/process.h"
#include "mem/super.h"

struct target {
	const char *path;
	const struct daxfs_mkfs_options *options;
	struct backing source;
	const struct backing *image; /* to be restored; NULL: an empty pool */
	bool created;                /* by us: removed again on failure */
	uint64_t size;               /* the pool will have */
};

static int create(struct target *t, struct daxfs_error *err)
{
	int rc;

	if (!t->options->size)
		return daxfs_error_set(err, -ENOENT, "%s does not exist: give a size to make it", t->path);
	rc = backing_open(t->path, O_RDWR | O_CREAT | O_EXCL, &t->source, err);
	if (rc == -ENOENT)
		return daxfs_error_set(err, rc, "%s: its directory does not exist: make it first", t->path);
	t->created = rc == 0;
	return rc;
}

static int open_target(struct target *t, struct daxfs_error *err)
{
	int rc = backing_open(t->path, O_RDWR, &t->source, err);

	/* Never a regular file where a device is missing. */
	if (rc == -ENOENT && strncmp(t->path, "/dev/dax", 8) != 0)
		rc = create(t, err);
	if (rc)
		return rc;
	rc = backing_lock(&t->source, true, t->path, err);
	if (rc)
		t->created = false; /* another mkfs found our empty file: now it is theirs */
	return rc;
}

static int holds_pool(const struct backing *s, bool *answer, struct daxfs_error *err)
{
	uint8_t head[SOURCE_HEAD_BYTES];
	int rc;

	*answer = false;
	if (s->size < SOURCE_HEAD_BYTES)
		return 0;
	rc = backing_head(s, head, err);
	if (rc == 0)
		*answer = super_present(head);
	return rc;
}

/* A file of nothing but holes, as truncate(1) makes, is as good as an empty one. */
static bool holds_data(const struct backing *s)
{
	return !s->device && s->size && lseek(s->fd, 0, SEEK_DATA) >= 0;
}

static int refuse_contents(const struct target *t, struct daxfs_error *err)
{
	bool pool;
	int rc;

	if (t->options->force)
		return 0;
	rc = holds_pool(&t->source, &pool, err);
	if (rc)
		return rc;
	if (pool)
		return daxfs_error_set(err, -EEXIST, "%s holds a pool: --force destroys it and makes a new one",
				       t->path);
	if (holds_data(&t->source))
		return daxfs_error_set(err, -EEXIST, "%s holds %llu bytes that are not a pool: remove it, or --force",
				       t->path, (unsigned long long)t->source.size);
	return 0;
}

static int choose_size(struct target *t, struct daxfs_error *err)
{
	const struct backing *s = &t->source;
	uint64_t wanted = t->options->size ? t->options->size : s->size;
	struct layout l;
	int rc;

	if (!wanted)
		return daxfs_error_set(err, -EINVAL, "%s is empty: give a size", t->path);
	if (t->image && s->device && wanted > s->size)
		return daxfs_error_set(err, -ENOSPC, "%s has only %llu bytes, the pool in the copy has %llu", t->path,
				       (unsigned long long)s->size, (unsigned long long)wanted);
	if (t->image) {
		t->size = wanted;
		return 0;
	}
	if (s->device && wanted > s->size)
		return daxfs_error_set(err, -EINVAL, "%s has only %llu bytes: give a size up to that, or none", t->path,
				       (unsigned long long)s->size);
	if (wanted > INT64_MAX)
		return daxfs_error_set(err, -EFBIG, "a pool of %llu bytes is too large", (unsigned long long)wanted);
	rc = layout_compute(wanted, t->options, &l, err);
	if (rc == 0)
		t->size = l.size;
	return rc;
}

/* Give a file its size and its memory; on failure the size it had. */
static int take_space(struct target *t, struct daxfs_error *err)
{
	int rc;

	if (t->source.device)
		return 0;
	if (t->options->size && ftruncate(t->source.fd, (off_t)t->size))
		return backing_fail(err, -errno, t->path, true);
	rc = backing_reserve(&t->source, t->size, t->path, err);
	if (rc && ftruncate(t->source.fd, (off_t)t->source.size))
		return daxfs_error_set(err, rc, "%s: no room, and its former size cannot be restored", t->path);
	return rc;
}

static int copy_part(const struct target *t, uint8_t *base, uint64_t from, uint64_t to, struct daxfs_error *err)
{
	static const size_t chunk = 1u << 20;
	uint8_t *bytes = malloc(chunk);
	int rc = bytes ? 0 : daxfs_error_set(err, -ENOMEM, "out of memory");

	while (from < to && rc == 0) {
		ssize_t n = pread(t->image->fd, bytes, to - from < chunk ? to - from : chunk, (off_t)from);

		if (n <= 0) {
			rc = daxfs_error_set(err, n ? -errno : -ENODATA, "the copy cannot be read at offset %llu",
					     (unsigned long long)from);
			break;
		}
		sm_write(base + from, bytes, (size_t)n);
		sm_flush(&(struct shm){ .wb = true }, base + from, (size_t)n);
		from += (uint64_t)n;
	}
	free(bytes);
	/* ORD image: this part is written back before the next: the superblocks are the last. */
	sm_fence();
	sm_drain(&(struct shm){ .wb = true });
	return rc;
}

/* No pool, all but the superblocks, the superblocks: each written back before the next. */
static int lay_image(const struct target *t, uint8_t *base, struct daxfs_error *err)
{
	const struct shm shm = { .wb = true };
	int rc;

	sm_zero(base, 2 * DAXFS_PAGE_SIZE);
	sm_flush(&shm, base, 2 * DAXFS_PAGE_SIZE);
	/* ORD image: there is no pool before anything of it changes. */
	sm_fence();
	sm_drain(&shm);
	rc = copy_part(t, base, 2 * DAXFS_PAGE_SIZE, t->size, err);
	return rc ? rc : copy_part(t, base, 0, 2 * DAXFS_PAGE_SIZE, err);
}

/* Lay the pool down, and believe it only when it reads back. */
static int lay_pool(const struct target *t, struct daxfs_error *err)
{
	struct daxfs_mkfs_options options = *t->options;
	struct pool pool;
	uint64_t mapped;
	void *base;
	int rc = backing_map(&t->source, 0, t->size, true, &base, &mapped, err);

	if (rc)
		return rc;
	backing_collapse(&t->source, base, mapped);
	options.size = t->size;
	rc = t->image ? lay_image(t, base, err) : pool_format(base, t->size, &options, err);
	if (rc == 0)
		rc = pool_attach(base, t->size, &pool, err);
	munmap(base, mapped);
	return rc;
}

static int mkfs(const char *path, const struct daxfs_mkfs_options *options, const struct backing *image,
		struct daxfs_error *err)
{
	struct daxfs_mkfs_options known = { .name = NULL };
	struct target t = { .path = path, .options = &known, .source.fd = -1, .image = image };
	int rc = 0;

	if (options)
		rc = options_take(&known, sizeof(known), OPTIONS_UPTO(struct daxfs_mkfs_options, size), options, err);
	if (rc)
		return rc;
	rc = open_target(&t, err);
	if (rc == 0)
		rc = refuse_contents(&t, err);
	if (rc == 0)
		rc = choose_size(&t, err);
	if (rc == 0)
		rc = take_space(&t, err);
	if (rc == 0)
		rc = lay_pool(&t, err);
	if (rc && t.created)
		unlink(path);
	backing_close(&t.source);
	return rc;
}

int daxfs_mkfs(const char *path, const struct daxfs_mkfs_options *options, struct daxfs_error *err)
{
	int was = process_cancel_off(), rc = mkfs(path, options, NULL, err);

	process_cancel_restore(was);
	return rc;
}

/* The copy would be gone before the first byte of it was read. */
static int refuse_itself(const struct backing *image, const char *path, struct daxfs_error *err)
{
	struct stat from, to;

	if (fstat(image->fd, &from) || stat(path, &to) || from.st_dev != to.st_dev || from.st_ino != to.st_ino)
		return 0;
	return daxfs_error_set(err, -EEXIST, "%s is the copy itself: name another file, or a device", path);
}

static int restore(const char *image, const char *path, bool force, struct daxfs_error *err)
{
	struct daxfs_mkfs_options options = { .struct_size = sizeof(options), .force = force };
	uint8_t head[SOURCE_HEAD_BYTES];
	struct sm_super super;
	struct backing from;
	int rc = backing_open(image, O_RDONLY, &from, err);

	if (rc)
		return rc;
	rc = refuse_itself(&from, path, err);
	if (rc == 0)
		rc = backing_lock(&from, false, image, err); /* nobody makes a pool of it meanwhile */
	if (rc == 0 && (from.device || from.size < SOURCE_HEAD_BYTES))
		rc = daxfs_error_set(err, -EINVAL, "%s is no copy of a pool: give a file that daxfsctl backup wrote",
				     image);
	if (rc == 0)
		rc = backing_head(&from, head, err);
	if (rc == 0)
		rc = super_read(head, from.size, &super, err);
	if (rc == 0) {
		options.size = super.size;
		rc = mkfs(path, &options, &from, err);
	}
	backing_close(&from);
	return rc;
}

int daxfs_restore(const char *image, const char *path, bool force, struct daxfs_error *err)
{
	int was = process_cancel_off(), rc = restore(image, path, force, err);

	process_cancel_restore(was);
	return rc;
}
