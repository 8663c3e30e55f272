/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backing.c - a file or device opened and mapped.
 *
 * Regular files (a file in /dev/shm, a memfd through /proc/self/fd/N) and
 * device-DAX character devices; anything else is refused in words. Mappings are
 * shared, of this process and not of its children, and start on the alignment the
 * source asks for, which device-DAX demands and which lets files use huge pages.
 */
#include "mem/backing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "mem/dax.h"
#include "mem/process.h"

#define HUGE_BYTES (2u << 20)
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

/* A missing /dev/daxN.M may be a device in the wrong mode. */
static int missing_device(struct daxfs_error *err, const char *path)
{
	struct dax_facts facts;
	int rc = 0;

	if (dax_by_name(strrchr(path, '/') + 1, &facts) == 0)
		rc = dax_unusable(&facts, err);
	if (rc)
		return rc;
	return daxfs_error_set(err, -ENOENT, "%s: no such device: daxctl list shows those there are", path);
}

static int missing(struct daxfs_error *err, const char *path)
{
	if (strncmp(path, "/dev/daxfs/by-uuid/", 19) == 0)
		return daxfs_error_set(err, -ENOENT,
				       "%s: no device has this pool; one that was made just now: "
				       "udevadm trigger --action=add /dev/daxN.M",
				       path);
	if (strncmp(path, "/dev/dax", 8) == 0)
		return missing_device(err, path);
	return daxfs_error_set(err, -ENOENT, "%s: no such file: make the pool with daxfsctl mkfs", path);
}

int backing_fail(struct daxfs_error *err, int error, const char *path, bool writable)
{
	switch (error) {
	case -ENOENT: return missing(err, path);
	case -EACCES:
	case -EPERM:
		return daxfs_error_set(err, error, "%s: no permission to %s it: run as its owner or change its mode",
				       path, writable ? "write" : "read");
	case -EISDIR:
		return daxfs_error_set(err, error, "%s is a directory: name the file or device that holds the pool",
				       path);
	default: return daxfs_error_set(err, error, "%s: %s", path, strerrordesc_np(-error));
	}
}

static int take_device(const char *path, const struct stat *st, struct backing *s, struct daxfs_error *err)
{
	struct dax_facts facts;
	int rc = dax_by_number(major(st->st_rdev), minor(st->st_rdev), &facts);

	if (rc)
		return daxfs_error_set(err, rc, "%s is not a device-DAX device: daxctl list shows those there are",
				       path);
	rc = dax_unusable(&facts, err);
	if (rc)
		return rc;
	s->device = true;
	s->size = facts.size;
	s->align = facts.align;
	return 0;
}

/*
 * A file that somebody else made and has open is not for us to keep a pool in: who
 * owns it may write to it, cut it short, or put it there before us.
 */
static int judge_owner(const char *path, const struct stat *st, struct daxfs_error *err)
{
	if (st->st_uid == geteuid() || st->st_uid == 0)
		return 0;
	return daxfs_error_set(err, -EPERM,
			       "%s belongs to another user (%u): not used for writing; chown it first, if it is "
			       "to be a pool",
			       path, st->st_uid);
}

static int take_kind(const char *path, bool writable, struct backing *s, struct daxfs_error *err)
{
	struct stat st;

	if (fstat(s->fd, &st))
		return backing_fail(err, -errno, path, false);
	if (S_ISCHR(st.st_mode))
		return take_device(path, &st, s, err);
	if (S_ISDIR(st.st_mode))
		return backing_fail(err, -EISDIR, path, false);
	if (!S_ISREG(st.st_mode))
		return daxfs_error_set(err, -ENODEV, "%s is neither a regular file nor a device-DAX device", path);
	s->size = (uint64_t)st.st_size;
	s->align = DAXFS_PAGE_SIZE;
	return writable ? judge_owner(path, &st, err) : 0;
}

int backing_open(const char *path, int flags, struct backing *out, struct daxfs_error *err)
{
	struct backing s = { .device = false };
	int rc;

	/* O_NONBLOCK: a fifo must be refused, not waited for. */
	s.fd = open(path, flags | O_CLOEXEC | O_NONBLOCK, 0600);
	if (s.fd < 0)
		return backing_fail(err, -errno, path, (flags & O_ACCMODE) != O_RDONLY);
	rc = take_kind(path, (flags & O_ACCMODE) != O_RDONLY, &s, err);
	if (rc) {
		close(s.fd);
		return rc;
	}
	*out = s;
	return 0;
}

void backing_close(struct backing *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

int backing_lock(const struct backing *s, bool exclusive, const char *path, struct daxfs_error *err)
{
	int rc;

	do
		rc = flock(s->fd, (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) ? -errno : 0;
	while (rc == -EINTR);
	if (rc != -EWOULDBLOCK)
		return 0; /* also where files have no locks: it is a convenience */
	return daxfs_error_set(err, -EBUSY,
			       exclusive ? "%s is in use: stop its node agents and fabricd first"
					 : "%s is being made by mkfs: try again when that is done",
			       path);
}

/* Reserve len bytes of address space that start on align, a power of two. NULL: errno says. */
static uint8_t *reserve(uint64_t len, uint64_t align)
{
	uint64_t room = len + align;
	uint8_t *p = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t head, tail;

	if (p == MAP_FAILED)
		return NULL;
	head = -(uintptr_t)p & (align - 1);
	tail = room - head - len;
	if (head)
		munmap(p, head);
	if (tail)
		munmap(p + head + len, tail);
	return p + head;
}

int backing_map(const struct backing *s, uint64_t from, uint64_t len, bool writable, void **base, uint64_t *mapped,
		struct daxfs_error *err)
{
	/* Huge pages need addresses like offsets. */
	uint64_t align = s->align < HUGE_BYTES && len >= HUGE_BYTES ? HUGE_BYTES : s->align;
	int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
	uint8_t *at;
	int rc = 0;

	if (len > SIZE_MAX / 2)
		return daxfs_error_set(err, -EFBIG, "pool of %llu bytes does not fit this process",
				       (unsigned long long)len);
	len = (len + s->align - 1) / s->align * s->align;
	at = reserve(len, align);
	if (!at) {
		rc = -errno;
	} else if (mmap(at, len, prot, MAP_SHARED | MAP_FIXED, s->fd, (off_t)from) == MAP_FAILED) {
		rc = -errno;
		munmap(at, len);
	} else {
		rc = process_keep(at, len);
		if (rc)
			munmap(at, len);
	}
	if (rc)
		return daxfs_error_set(err, rc, "cannot map %llu bytes: %s (see ulimit -v and vm.max_map_count)",
				       (unsigned long long)len, strerrordesc_np(-rc));
	*base = at;
	*mapped = len;
	return 0;
}

static int device_head(const struct backing *s, uint8_t head[SOURCE_HEAD_BYTES], struct daxfs_error *err)
{
	uint64_t mapped;
	void *base;
	int rc = backing_map(s, 0, SOURCE_HEAD_BYTES, false, &base, &mapped, err);

	if (rc)
		return rc;
	sm_read(head, base, SOURCE_HEAD_BYTES);
	munmap(base, mapped);
	return 0;
}

int backing_head(const struct backing *s, uint8_t head[SOURCE_HEAD_BYTES], struct daxfs_error *err)
{
	uint64_t at = 0;
	ssize_t n;

	if (s->device)
		return device_head(s, head, err);
	while (at < SOURCE_HEAD_BYTES) {
		n = pread(s->fd, head + at, SOURCE_HEAD_BYTES - at, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return daxfs_error_set(err, n ? -errno : -EIO, "cannot read the superblock: %s",
					       n ? strerrordesc_np(errno) : "the file ends before it");
		at += (uint64_t)n;
	}
	return 0;
}

int backing_reserve(const struct backing *s, uint64_t len, const char *path, struct daxfs_error *err)
{
	int rc;

	if (s->device)
		return 0;
	do
		rc = posix_fallocate(s->fd, 0, (off_t)len);
	while (rc == EINTR);
	if (rc == ENOSPC)
		return daxfs_error_set(err, -ENOSPC,
				       "%s: no room for %llu bytes there: free some or make a smaller pool", path,
				       (unsigned long long)len);
	return rc ? backing_fail(err, -rc, path, true) : 0;
}

/*
 * A huge page that fallocate took on a tmpfs with huge=always has no bytes until somebody looks: then the kernel clears
 * it. MADV_COLLAPSE maps it as it is (Linux 6.18), and what is stored through that is cleared by the first look of
 * another process. So there is a look at each before.
 */
static void look_at(uint8_t *base, uint64_t len)
{
	for (uint64_t at = 0; at < len; at += HUGE_BYTES)
		(void)madvise(base + at, DAXFS_PAGE_SIZE, MADV_POPULATE_READ);
}

void backing_collapse(const struct backing *s, void *base, uint64_t len)
{
	/* Best effort: without them everything works, a fifth slower. Devices
	 * have their own alignment. */
	if (s->device)
		return;
	look_at(base, len);
	(void)madvise(base, len, MADV_COLLAPSE);
}
