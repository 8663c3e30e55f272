/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops_file.c - opening, reading and writing files.
 *
 * Each answered open or create holds the file open in the pool once, each
 * release lets go once. An open whose answer nobody takes is released here. A process of the
 * agent that dies leaves its holds in the estate, for the next one, and in the host's table, for recovery.
 */
#include "node-agent/ops.h"

#include <errno.h>
#include <linux/falloc.h>
#include <linux/fuse.h>
#include <linux/xattr.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define IN_PLACE_MIN (64 * 1024) /* reads from here on are not copied twice */
#define CREATE_TRIES 16          /* names made and removed by others while we look */
#define COPY_MAX (16u << 20)     /* bytes copied by one request: the kernel asks for the rest */

/* The kernel does not truncate a file that create opened, so that is ours. */
static int truncate_existing(fuse_req_t req, struct daxfs_attr *attr)
{
	struct daxfs_attr want;
	daxfs_ino ino = attr->ino;
	int error;

	memset(&want, 0, sizeof(want));
	want.mode = attr->mode & ~(uint32_t)(S_ISUID | S_ISGID);
	ops_data_changes(req, ino);
	error = daxfs_setattr(ops_fs(req), ino, DAXFS_SET_SIZE | DAXFS_SET_MODE, &want, attr);
	ops_data_changed(req, ino);
	return error;
}

/*
 * The kernel saw no name and asked to create it; another host was faster. It
 * believes that we made the file and checks no permission, so we do. What is
 * not a regular file gets -ESTALE: the kernel then walks the path again and
 * treats it as what it is. -EAGAIN: it has vanished again.
 */
static int open_existing(fuse_req_t req, daxfs_ino parent, const char *name, int flags, struct daxfs_attr *attr)
{
	int error = daxfs_lookup(ops_fs(req), parent, name, attr);

	if (error == -ENOENT)
		return -EAGAIN;
	if (error)
		return ops_name_error(req, error);
	if (!S_ISREG(attr->mode))
		return -ESTALE;
	if (!ops_may_open(req, attr, flags))
		return -EACCES;
	error = daxfs_file_open(ops_fs(req), attr->ino);
	if (error)
		return error == -ESTALE ? -EAGAIN : error;
	if (flags & O_TRUNC)
		error = truncate_existing(req, attr);
	if (error)
		daxfs_file_close(ops_fs(req), attr->ino);
	return error;
}

/* Bounded: against a name that others make and remove all the time the kernel
 * starts again (-ESTALE). */
static int create_or_open(fuse_req_t req, daxfs_ino parent, const char *name, uint32_t mode, int flags,
			  struct daxfs_attr *attr, bool *made)
{
	struct daxfs_cred cred;
	int error = ops_cred(req, parent, &mode, &cred);

	*made = false;
	if (error)
		return ops_name_error(req, error);
	for (int i = 0; i < CREATE_TRIES; i++) {
		error = daxfs_mknod(ops_fs(req), parent, name, mode, 0, cred, true, attr);
		*made = !error;
		if (error != -EEXIST || (flags & O_EXCL))
			return ops_name_error(req, error);
		error = open_existing(req, parent, name, flags, attr);
		if (error != -EAGAIN)
			return error;
	}
	return -ESTALE;
}

/* Made by a former process of this agent, which did not come to answer. */
static bool answered_created(fuse_req_t req)
{
	static const struct daxfs_lease nothing;
	daxfs_ino ino = ops_made();
	struct daxfs_attr attr;
	int error;

	if (!ino)
		return false;
	error = daxfs_getattr(ops_fs(req), ino, &attr);
	if (error)
		ops_reply(req, error);
	else if (ops_reply_created(req, &attr, &nothing, ops_new_file(req)) != 0)
		ops_close_file(req, ops_new_file(req));
	return true;
}

/* As a lookup would find it, with what may be kept, unless it is not there any more. */
static int reply_created_leased(fuse_req_t req, daxfs_ino parent, const char *name, const struct daxfs_attr *made,
				uint64_t fh, struct kernel_maker *maker)
{
	struct kernel_cache *cache = &ops_of(req)->cache;
	struct daxfs_answer answer;
	struct daxfs_lease lease;
	struct daxfs_attr attr;
	int error;

	kernel_cache_begin(cache, &answer);
	if (daxfs_lookup_leased(ops_fs(req), parent, name, &attr, &lease) != 0 || attr.ino != made->ino)
		lease.attr_ns = lease.names_ns = 0;
	if (!kernel_made_as(&cache->made, maker, lease.attr_ns ? made->ino : 0))
		lease.attr_ns = 0;
	error = ops_reply_created(req, lease.attr_ns ? &attr : made, &lease, fh);
	kernel_made_answered(&cache->made, maker, fh);
	if (kernel_cache_end(cache, &answer))
		return error;
	kernel_cache_forget_names(cache);
	kernel_cache_forget(cache, made->ino);
	return error;
}

/* Of what another host has made we keep nothing: the kernel may have known it before. */
static int make(fuse_req_t req, daxfs_ino parent, const char *name, mode_t mode, int flags, uint64_t fh)
{
	static const struct daxfs_lease nothing;
	struct ops *ops = ops_of(req);
	struct kernel_maker *maker = NULL;
	struct daxfs_attr attr;
	bool made;
	int error;

	if (kernel_cache_keeps_names(&ops->cache))
		maker = kernel_made_begin(&ops->cache.made, ops_thread(req), fh);
	error = create_or_open(req, parent, name, mode, flags, &attr, &made);
	if (maker && !made)
		kernel_made_as(&ops->cache.made, maker, 0);
	if (error)
		return error;
	estate_file_set(ops->estate, fh, attr.ino);
	if (maker && made)
		error = reply_created_leased(req, parent, name, &attr, fh, maker);
	else
		error = ops_reply_created(req, &attr, &nothing, fh);
	if (error)
		ops_close_file(req, fh);
	return 0;
}

/* The number first: if this process dies, the next one finds by it what was made. */
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	uint64_t fh;
	int error;

	if (ops_backed_make(req, parent, name, (mode & 07777) | S_IFREG, NULL, fi->flags | O_CREAT) ||
	    answered_created(req))
		return;
	fh = ops_new_file(req);
	error = fh ? make(req, parent, name, mode, fi->flags, fh) : -ENFILE;
	if (!error)
		return;
	if (fh)
		estate_file_free(ops_of(req)->estate, fh);
	ops_reply(req, error);
}

/* -ESTALE: removed or replaced since the kernel looked the name up; it does so
 * once more, and finds it pinned. */
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	if (!ops_backed_open(req, ino, fi->flags))
		ops_open_now(req, ino, fi->flags);
}

/*
 * Of what is in storage: somebody in the pod has read it from begin to end, as it seems, and it is in use enough to be
 * in the pool still. What is read once no kernel need keep, and its pages would be locked while storage is read.
 */
static bool is_warm(struct ops *ops, daxfs_ino ino, uint64_t size)
{
	uint8_t byte;

	return size && daxfs_read_cached(ops->fs, ino, &byte, 1, 0) == 1 &&
	       daxfs_read_cached(ops->fs, ino, &byte, 1, size - 1) == 1;
}

static bool is_stored(fuse_req_t req, daxfs_ino ino)
{
	return ops_backing_number(req, ino) != QUESTION_OF_POOL;
}

/*
 * Of storage: to be read by requests, for its pages would be locked for as long as storage takes. Of a small file that
 * never changes that is no matter: nobody drops them.
 */
static bool is_cold(struct ops *ops, daxfs_ino ino, uint64_t size, bool fixed)
{
	return !(fixed && size <= KERNEL_PAGES_FILE_MAX) && !is_warm(ops, ino, size);
}

/* How the kernel is to read it. The estate says so before the kernel hears of it. */
static unsigned how_to_read(fuse_req_t req, daxfs_ino ino, uint64_t fh, int flags)
{
	struct ops *ops = ops_of(req);
	bool stored = is_stored(req, ino), fixed = stored && backing_is_fixed(ops->fs, ino), direct, cold;
	struct daxfs_lease lease;
	struct daxfs_attr attr;
	unsigned how;

	direct = flags & O_DIRECT || daxfs_getattr_leased(ops->fs, ino, true, &attr, &lease) != 0 ||
		 attr.size > (stored ? KERNEL_PAGES_STORED_MAX : KERNEL_PAGES_FILE_MAX);
	cold = !direct && stored && is_cold(ops, ino, attr.size, fixed);
	if (fixed)
		how = kernel_pages_open_fixed(&ops->pages, ino, direct, cold);
	else if (!direct && !cold)
		how = kernel_pages_open(&ops->pages, ino, fh, lease.since);
	else
		how = kernel_pages_open_direct(&ops->pages, ino);
	if (!(how & FOPEN_DIRECT_IO))
		estate_file_cached(ops->estate, fh);
	return how;
}

/* An answer under a lease: what is recalled after it finds the file open. */
static int reply_open_leased(fuse_req_t req, daxfs_ino ino, uint64_t fh, int flags)
{
	struct ops *ops = ops_of(req);
	struct daxfs_answer answer;
	int error;

	kernel_cache_begin(&ops->cache, &answer);
	error = ops_reply_open(req, fh, how_to_read(req, ino, fh, flags));
	if (!kernel_cache_end(&ops->cache, &answer))
		kernel_cache_forget(&ops->cache, ino);
	return error;
}

static unsigned how_to_write(fuse_req_t req, daxfs_ino ino)
{
	struct kernel_pages *pages = &ops_of(req)->pages;

	return pages->on ? kernel_pages_open_direct(pages, ino) : FOPEN_DIRECT_IO;
}

/* Opened by a former life, it is what that one made of it: it counts as cached if that one meant it to be. */
static bool is_only_read(fuse_req_t req, uint64_t fh, int flags)
{
	struct ops *ops = ops_of(req);

	return ops->pages.on && (flags & (O_ACCMODE | O_TRUNC)) == O_RDONLY && !estate_file_is_cached(ops->estate, fh);
}

void ops_open_now(fuse_req_t req, daxfs_ino ino, int flags)
{
	uint64_t fh = ops_new_file(req);
	int error = ops_open_file(req, fh, ino);

	if (error) {
		ops_reply(req, ops_inode_error(req, error));
		return;
	}
	if (is_only_read(req, fh, flags) && (ops_of(req)->pages.drops || is_stored(req, ino)))
		error = reply_open_leased(req, ino, fh, flags);
	else
		error = ops_reply_open(req, fh, how_to_write(req, ino));
	if (error)
		ops_close_file(req, fh);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	ops_release_locks(req, ino, fi);
	ops_reply(req, ops_close_file(req, fi->fh));
}

/* -- reading ------------------------------------------------------------------- */

#define PLACES_MAX (OPS_IO_MAX / 4096 + 1)

/* where the bytes of a read lie in the pool */
struct places {
	struct iovec iov[PLACES_MAX];
	int n;
	size_t bytes;
};

/* -EAGAIN: the file's end moves all the time. */
static int find_places(struct daxfs_view *view, daxfs_ino ino, size_t size, uint64_t offset, struct places *out)
{
	const void *at;
	ssize_t n;

	out->n = 0;
	for (out->bytes = 0; out->bytes < size; out->bytes += (size_t)n) {
		n = daxfs_view_read(view, ino, offset + out->bytes, &at);
		if (n <= 0)
			return (int)n;
		if (out->n == PLACES_MAX)
			return -EAGAIN;
		if ((size_t)n > size - out->bytes)
			n = (ssize_t)(size - out->bytes);
		if (out->n && (char *)out->iov[out->n - 1].iov_base + out->iov[out->n - 1].iov_len == at)
			out->iov[out->n - 1].iov_len += (size_t)n;
		else
			out->iov[out->n++] = (struct iovec){ (void *)(uintptr_t)at, (size_t)n };
	}
	return 0;
}

/*
 * Pages are not reused while the view is held: if they are the same at a second
 * look, all of them were there at one moment, and the answer is no mixture of
 * before and after some write. (A hole may have been filled and cut again
 * meanwhile, but that cuts all pages behind it.)
 */
static bool same_places(const struct places *a, const struct places *b)
{
	return a->bytes == b->bytes && a->n == b->n && memcmp(a->iov, b->iov, sizeof(a->iov[0]) * (size_t)a->n) == 0;
}

/* Load a byte of each page: the pool learns which of them cannot be read. */
static int touch_places(void *context)
{
	const struct places *p = context;
	unsigned sum = 0;

	for (int i = 0; i < p->n; i++)
		for (size_t at = 0; at < p->iov[i].iov_len; at += 4096)
			sum += __atomic_load_n((const uint8_t *)p->iov[i].iov_base + at, __ATOMIC_RELAXED);
	return (int)(sum & 1);
}

/* Answer a large read from where its bytes lie. False: not done, in any way. */
static bool read_in_place(fuse_req_t req, daxfs_ino ino, size_t size, uint64_t offset)
{
	struct daxfs *fs = ops_fs(req);
	struct daxfs_view *view;
	struct places first, again;
	bool done;

	if (daxfs_view_open(fs, &view))
		return false;
	done = find_places(view, ino, size, offset, &first) == 0 && find_places(view, ino, size, offset, &again) == 0 &&
	       same_places(&first, &again);
	/*
	 * Touched first: killed while it copies from pages that this process has not mapped yet, the kernel would
	 * end the request in EIO. So it does where memory fails.
	 */
	done = done && daxfs_guard(fs, touch_places, &first) >= 0;
	if (done && fuse_reply_iov(req, first.iov, first.n) == -EFAULT)
		daxfs_guard(fs, touch_places, &first);
	daxfs_view_close(view);
	return done;
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *fi)
{
	bool cached = channel_reads_for_cache();

	if (ops_of(req)->pages.on && cached)
		kernel_pages_read(&ops_of(req)->pages, ino, fi->fh);
	if (cached && (fi->flags & O_ACCMODE) == O_RDWR)
		ops_map_read(req, ino, size, offset);
	else
		ops_read(req, ino, size, offset, cached);
}

/*
 * All of it up to the end of the file, without storage. -ENODATA: a part is there alone, for which the kernel
 * would take a short answer to be the end. For its cache it takes any short answer to be that, and what is missing for
 * zeros: then the error of a part is that of all, and the kernel asks for the other pages again.
 */
static ssize_t read_here(struct daxfs *fs, daxfs_ino ino, char *buf, size_t size, uint64_t offset, bool cached)
{
	size_t done = 0;
	ssize_t n;

	do {
		n = daxfs_read_cached(fs, ino, buf + done, size - done, offset + done);
		done += n > 0 ? (size_t)n : 0;
	} while (n > 0 && done < size);
	return n < 0 && (n == -ENODATA || !done || cached) ? n : (ssize_t)done;
}

void ops_read(fuse_req_t req, daxfs_ino ino, size_t size, off_t offset, bool cached)
{
	ssize_t n = -ENOMEM;
	void *buf;

	if (size >= IN_PLACE_MIN && size <= OPS_IO_MAX && read_in_place(req, ino, size, (uint64_t)offset))
		return;
	buf = ops_scratch(ops_of(req), size);
	if (buf)
		n = read_here(ops_fs(req), ino, buf, size, (uint64_t)offset, cached);
	if (n == -ENODATA) {
		if (ops_backed_read(req, ino, size, offset, cached))
			return;
		n = -ENXIO; /* this host does not read that storage */
	}
	if (n < 0)
		ops_reply(req, (int)n);
	else
		fuse_reply_buf(req, buf, (size_t)n);
}

/* -- writing ------------------------------------------------------------------- */

/* Before the bytes change, so that dying in between leaves no foreign bytes in
 * a set-user-ID file. root keeps the bits, as in every local filesystem. */
int ops_bits_to_drop(fuse_req_t req, daxfs_ino ino, struct daxfs_attr *want)
{
	struct daxfs_attr attr;
	uint32_t drop = 0;
	int error;

	if (fuse_req_ctx(req)->uid == 0)
		return 0;
	error = daxfs_getattr(ops_fs(req), ino, &attr);
	if (error)
		return error;
	if (attr.mode & S_ISUID)
		drop |= S_ISUID;
	if ((attr.mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
		drop |= S_ISGID;
	memset(want, 0, sizeof(*want));
	want->mode = attr.mode & ~drop;
	return drop != 0;
}

/* File capabilities go with the first change of the bytes, whoever makes it, root as well. For truncate and chown
 * the kernel looks, and removes them. */
static int drop_capabilities(fuse_req_t req, daxfs_ino ino)
{
	ssize_t n = daxfs_xattr_get(ops_fs(req), ino, XATTR_NAME_CAPS, NULL, 0);
	int error;

	if (n < 0)
		return n == -ENODATA ? 0 : (int)n;
	ops_aside(req, true);
	error = daxfs_xattr_remove(ops_fs(req), ino, XATTR_NAME_CAPS);
	ops_aside(req, false);
	return error == -ENODATA ? 0 : error;
}

static int drop_privileges(fuse_req_t req, daxfs_ino ino)
{
	struct daxfs_attr attr, want;
	int error = ops_bits_to_drop(req, ino, &want);

	if (error > 0) {
		ops_aside(req, true);
		error = daxfs_setattr(ops_fs(req), ino, DAXFS_SET_MODE, &want, &attr);
		ops_aside(req, false);
	}
	return error ? error : drop_capabilities(req, ino);
}

/* The kernel's offset of an append is this host's idea of the end: ignored. */
void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t offset, struct fuse_file_info *fi)
{
	unsigned flags = fi->flags & O_APPEND ? DAXFS_APPEND : 0;
	ssize_t n = fi->writepage ? ops_map_write(req, ino) : 0;
	size_t done = (size_t)ops_done();

	if (n == 0 && ops_backed_write(req, ino, buf, size, offset, fi))
		return;
	if (n == 0 && !fi->writepage)
		n = drop_privileges(req, ino);
	ops_data_changes(req, ino);
	if (n == 0 && done < size)
		n = daxfs_write(ops_fs(req), ino, buf + done, size - done, (uint64_t)offset + done, flags);
	ops_data_changed(req, ino);
	if (n < 0 && !done)
		ops_reply(req, (int)n);
	else
		fuse_reply_write(req, done + (size_t)(n > 0 ? n : 0));
}

/* Also of directories. What it promises is the pool's to say; of what is of storage, that has it. */
void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)datasync;
	(void)fi;
	if (!ops_backed_fsync(req, ino))
		ops_reply(req, daxfs_fsync(ops_fs(req), ino));
}

/* -- holes ---------------------------------------------------------------------- */

/* The kernel asks for SEEK_DATA and SEEK_HOLE only. */
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence, struct fuse_file_info *fi)
{
	uint64_t found;
	int error = offset < 0 ? -ENXIO : 0;

	(void)fi;
	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		error = -EINVAL;
	if (!error)
		error = daxfs_seek(ops_fs(req), ino, (uint64_t)offset,
				   whence == SEEK_DATA ? DAXFS_SEEK_DATA : DAXFS_SEEK_HOLE, &found);
	if (error)
		ops_reply(req, error);
	else
		fuse_reply_lseek(req, (off_t)found);
}

/* -EOPNOTSUPP: pages past the end of a file that stays as long as it is are not to be had. */
static int allocate(struct daxfs *fs, daxfs_ino ino, int mode, uint64_t offset, uint64_t len)
{
	bool keep = mode & FALLOC_FL_KEEP_SIZE;
	struct daxfs_attr attr;
	int error;

	switch (mode & ~FALLOC_FL_KEEP_SIZE) {
	case FALLOC_FL_PUNCH_HOLE: return daxfs_allocate(fs, ino, offset, len, DAXFS_PUNCH, true);
	case FALLOC_FL_ZERO_RANGE: return daxfs_allocate(fs, ino, offset, len, DAXFS_ZERO, keep);
	case 0: break;
	default: return -EOPNOTSUPP;
	}
	error = keep ? daxfs_getattr(fs, ino, &attr) : 0;
	if (error == 0 && keep && offset + len > attr.size)
		error = -EOPNOTSUPP;
	return error ? error : daxfs_allocate(fs, ino, offset, len, DAXFS_ALLOCATE, keep);
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset, off_t len, struct fuse_file_info *fi)
{
	int error = drop_privileges(req, ino);

	(void)fi;
	ops_data_changes(req, ino);
	if (!error)
		error = allocate(ops_fs(req), ino, mode, (uint64_t)offset, (uint64_t)len);
	ops_data_changed(req, ino);
	if (!error) /* which the kernel marks as old, and takes what is on its way */
		kernel_cache_forget(&ops_of(req)->cache, ino);
	ops_reply(req, error);
}

/* -- copying ---------------------------------------------------------------------- */

/* As a read and a write of each piece: how many bytes, fewer at the end of the file. */
static ssize_t copy_range(fuse_req_t req, daxfs_ino from, uint64_t from_offset, daxfs_ino to, uint64_t to_offset,
			  size_t len)
{
	void *buf = ops_scratch(ops_of(req), OPS_IO_MAX);
	size_t done = 0;
	ssize_t n = buf ? 1 : -ENOMEM;

	while (n > 0 && done < len) {
		size_t piece = len - done < OPS_IO_MAX ? len - done : OPS_IO_MAX;

		n = daxfs_read(ops_fs(req), from, buf, piece, from_offset + done);
		if (n > 0)
			n = daxfs_write(ops_fs(req), to, buf, (size_t)n, to_offset + done, 0);
		done += n > 0 ? (size_t)n : 0;
	}
	return done ? (ssize_t)done : n;
}

void op_copy_range(fuse_req_t req, fuse_ino_t from, off_t from_offset, struct fuse_file_info *from_fi, fuse_ino_t to,
		   off_t to_offset, struct fuse_file_info *to_fi, size_t len, int flags)
{
	struct daxfs_source source;
	ssize_t n = flags ? -EINVAL : drop_privileges(req, to);

	(void)from_fi, (void)to_fi;
	if (n == 0 && (daxfs_source(ops_fs(req), from, &source) == 0 || daxfs_source(ops_fs(req), to, &source) == 0))
		n = -EOPNOTSUPP; /* it may have to wait for storage: the kernel reads and writes instead */
	ops_data_changes(req, to);
	if (n == 0)
		n = copy_range(req, from, (uint64_t)from_offset, to, (uint64_t)to_offset,
			       len < COPY_MAX ? len : COPY_MAX);
	ops_data_changed(req, to);
	if (n < 0)
		ops_reply(req, (int)n);
	else
		fuse_reply_write(req, (size_t)n);
}
