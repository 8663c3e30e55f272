/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage.h - backing storage in a test's memory: file number n has a byte pattern of its
 * own with runs of zero pages; it can fail, be short, and be looked at while a read is under way.
 */
#ifndef TESTS_UNIT_STORAGE_H
#define TESTS_UNIT_STORAGE_H

#include "daxfs/cache.h"
#include "pod.h"

struct storage {
	unsigned reads;  /* calls */
	uint64_t pages;  /* read in all */
	int error;       /* -errno: of the next reads */
	size_t cut;      /* bytes that the next reads lack */
	uint64_t change; /* added to what is in the file */
	void (*during)(struct storage *s, uint64_t file, uint64_t offset);
	void *context;
	uint64_t largest; /* bytes in one read */
};

/* Every fifth page is zeros; the others repeat 251 of the 255 bytes that are not 0, each from a place of its own. */
static inline void storage_bytes(const struct storage *s, uint64_t file, uint64_t offset, uint8_t *out, size_t len)
{
	uint8_t pattern[255 + 251];
	size_t n;

	for (unsigned i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(1 + i % 255);
	for (size_t i = 0; i < len; i += n) {
		uint64_t at = offset + i, page = at / DAXFS_PAGE_SIZE, left = DAXFS_PAGE_SIZE - at % DAXFS_PAGE_SIZE;

		n = 251 - at % 251;
		n = n < left ? n : left;
		n = n < len - i ? n : len - i;
		if (page % 5 == 4)
			memset(out + i, 0, n);
		else
			memcpy(out + i, pattern + (file * 7 + page * 13 + s->change) % 255 + at % 251, n);
	}
}

static inline ssize_t storage_read(void *context, daxfs_ino ino, uint64_t file, void *buf, size_t len, uint64_t offset)
{
	struct storage *s = context;

	(void)ino;
	s->reads++;
	s->pages += (len + DAXFS_PAGE_SIZE - 1) / DAXFS_PAGE_SIZE;
	s->largest = len > s->largest ? len : s->largest;
	if (s->during)
		s->during(s, file, offset);
	if (s->error)
		return s->error;
	len -= len < s->cut ? len : s->cut;
	storage_bytes(s, file, offset, buf, len);
	return (ssize_t)len;
}

static inline void storage_attach(struct storage *s, struct daxfs *fs, unsigned backing, unsigned patience_ms)
{
	const struct daxfs_storage storage = {
		.struct_size = sizeof(storage),
		.read = storage_read,
		.context = s,
		.patience_ms = patience_ms,
	};

	assert_int_equal(daxfs_backing_attach(fs, backing, &storage), 0);
}

static inline daxfs_ino storage_import(struct daxfs *fs, const char *name, unsigned backing, uint64_t file,
				       uint64_t size)
{
	const struct daxfs_attr attr = {
		.mode = 0640,
		.uid = 3,
		.gid = 4,
		.size = size,
		.mtime.tv_sec = 5,
		.ctime.tv_sec = 6,
	};
	struct daxfs_attr out;

	assert_int_equal(daxfs_import(fs, DAXFS_ROOT, name, &attr, backing, file, &out), 0);
	assert_int_equal(out.size, size);
	return out.ino;
}

/* The file reads, through this host, as it is in storage. */
static inline void storage_expect(const struct storage *s, struct daxfs *fs, daxfs_ino ino, uint64_t file,
				  uint64_t offset, size_t len, uint64_t size)
{
	uint8_t *want = malloc(len), *got = malloc(len);
	size_t n = offset >= size ? 0 : size - offset < len ? (size_t)(size - offset) : len;

	storage_bytes(s, file, offset, want, n);
	assert_int_equal(daxfs_read(fs, ino, got, len, offset), (ssize_t)n);
	assert_memory_equal(got, want, n);
	free(want);
	free(got);
}

#endif
