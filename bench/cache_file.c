/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache_file.c - fills from a file of tmpfs, and write-backs to it, beside reads and writes of that file alone: what
 * the cache adds to storage that takes no time but copying.
 */
#include "cache_pod.h"

#define ROUNDS 5u

static ssize_t file_read(void *context, daxfs_ino ino, uint64_t file, void *buf, size_t len, uint64_t offset)
{
	(void)ino, (void)file;
	return pread(*(int *)context, buf, len, (off_t)offset);
}

static int file_write(void *context, daxfs_ino ino, uint64_t file, const void *buf, size_t len, uint64_t offset)
{
	(void)ino, (void)file;
	return pwrite(*(int *)context, buf, len, (off_t)offset) == (ssize_t)len ? 0 : -EIO;
}

static int file_resize(void *context, daxfs_ino ino, uint64_t file, uint64_t size, bool exact)
{
	int fd = *(int *)context;
	struct stat st;

	(void)ino, (void)file;
	if (fstat(fd, &st) || ((exact || (uint64_t)st.st_size > size) && ftruncate(fd, (off_t)size)))
		return -errno;
	return 0;
}

static int file_sync(void *context, daxfs_ino ino, uint64_t file, uint64_t *stamp)
{
	(void)ino, (void)file;
	*stamp = 1;
	return fdatasync(*(int *)context) ? -errno : 0;
}

/* one file, cold or dirty at first, to its end */
struct run {
	struct pod pod;
	int fd;
	uint64_t bytes;
	uint8_t *buf;
};

static double since(uint64_t start)
{
	return (double)(now_ns() - start) / 1e9;
}

static double read_alone(struct run *r)
{
	uint64_t start = now_ns();

	for (uint64_t at = 0; at < r->bytes; at += READ_BYTES)
		if (pread(r->fd, r->buf, READ_BYTES, (off_t)at) != (ssize_t)READ_BYTES)
			bench_fail("cache: pread: %s", strerror(errno));
	return since(start);
}

static double write_alone(struct run *r)
{
	uint64_t start = now_ns();

	for (uint64_t at = 0; at < r->bytes; at += READ_BYTES)
		if (pwrite(r->fd, r->buf, READ_BYTES, (off_t)at) != (ssize_t)READ_BYTES)
			bench_fail("cache: pwrite: %s", strerror(errno));
	return since(start);
}

static double fill(struct run *r)
{
	uint64_t start;

	cache_must(daxfs_cache_drop(r->pod.fs[0], r->pod.file[0], 0, r->bytes), "drop");
	start = now_ns();
	for (uint64_t at = 0; at < r->bytes; at += READ_BYTES)
		cache_must(daxfs_read(r->pod.fs[0], r->pod.file[0], r->buf, READ_BYTES, at), "read");
	return since(start);
}

static double write_back(struct run *r)
{
	uint64_t start;

	for (uint64_t at = 0; at < r->bytes; at += READ_BYTES)
		cache_must(daxfs_write(r->pod.fs[0], r->pod.file[0], r->buf, READ_BYTES, at, 0), "write");
	start = now_ns();
	cache_must(daxfs_write_back(r->pod.fs[0], r->pod.file[0]), "write back");
	return since(start);
}

static void begin(const struct rig *rig, struct run *r)
{
	const struct daxfs_mkfs_options options = { .cache_max = 0 };
	const struct daxfs_storage storage = {
		.struct_size = sizeof(storage),
		.read = file_read,
		.context = &r->fd,
		.patience_ms = PATIENCE_MS,
		.write = file_write,
		.resize = file_resize,
		.sync = file_sync,
	};

	r->bytes = bench_args()->quick ? 16 * MIB : 256 * MIB;
	r->buf = malloc(READ_BYTES);
	if (!r->buf)
		bench_fail("cache: no memory");
	memset(r->buf, 'x', READ_BYTES);
	r->fd = rig_tmpfs(rig, false, "storage", O_RDWR | O_CREAT);
	write_alone(r);
	cache_pod_open(rig, &r->pod, r->bytes / PAGE * 5 / 4, &options);
	cache_must(daxfs_backing_detach(r->pod.fs[0], 0), "detach");
	cache_must(daxfs_backing_attach(r->pod.fs[0], 0, &storage), "attach");
	cache_file_add(&r->pod, 0, r->bytes / PAGE, 1);
	rig_populate(r->pod.path);
}

static void end(struct run *r)
{
	cache_file_close(&r->pod, 0, 1);
	cache_pod_close(&r->pod);
	close(r->fd);
	free(r->buf);
}

static void beside(const struct rig *rig, const char *name, double (*alone)(struct run *r),
		   double (*through)(struct run *r), const char *what, const char *share_of)
{
	double mib[ROUNDS], share[ROUNDS];
	struct spread s;
	struct run r;
	char text[64];

	if (!bench_wants(name))
		return;
	begin(rig, &r);
	for (unsigned i = 0; i < ROUNDS; i++) {
		double plain = alone(&r), ours = through(&r);

		mib[i] = (double)r.bytes / MIB / ours;
		share[i] = plain / ours;
	}
	end(&r);
	s = spread_of(mib, ROUNDS);
	out_figure(name, s.median, what, &s);
	s = spread_of(share, ROUNDS);
	snprintf(text, sizeof(text), "%s-share", name);
	out_figure(text, s.median, share_of, &s);
}

void bench_cache_file(const struct rig *rig)
{
	beside(rig, "cache-fill", read_alone, fill, "MiB/s from a file of tmpfs",
	       "of what reading that file alone does");
	beside(rig, "cache-write-back", write_alone, write_back, "MiB/s of dirty pages to a file of tmpfs",
	       "of what writing that file alone does");
}
