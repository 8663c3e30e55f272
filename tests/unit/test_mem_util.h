/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_mem_util.h - what the tests of libdaxfs/mem share: pools in memory and in
 * memfds, and assertions on the words of a failure.
 */
#ifndef TEST_MEM_UTIL_H
#define TEST_MEM_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "mem/crc32c.h"
#include "mem/super.h"

#define UTIL_POOL_BYTES (2u << 20)

static const struct daxfs_mkfs_options util_options = { .name = "unit", .hosts = 2, .lanes = 2, .inodes = 32 };

/* Fails unless rc is error and the reason is one line that contains words. */
static inline void util_refused(int rc, int error, const struct daxfs_error *err, const char *words)
{
	if (rc != error)
		fail_msg("returned %d, not %d: %s", rc, error, err->text);
	if (!strstr(err->text, words))
		fail_msg("\"%s\" does not say \"%s\"", err->text, words);
	if (strchr(err->text, '\n') || strlen(err->text) + 1 >= sizeof(err->text))
		fail_msg("\"%s\" is not one line that fits", err->text);
}

/* Page-aligned memory full of rubbish. */
static inline void *util_memory(size_t size)
{
	void *p;

	assert_int_equal(posix_memalign(&p, DAXFS_PAGE_SIZE, size), 0);
	memset(p, 0xa5, size);
	return p;
}

static inline void *util_pool(void)
{
	struct daxfs_error err = { .text = "" };
	void *base = util_memory(UTIL_POOL_BYTES);

	if (pool_format(base, UTIL_POOL_BYTES, &util_options, &err))
		fail_msg("%s", err.text);
	return base;
}

static inline struct sm_super *util_super(void *base, unsigned copy)
{
	return (struct sm_super *)((uint8_t *)base + copy * DAXFS_PAGE_SIZE);
}

/* Right checksum, whatever else is wrong. */
static inline void util_seal(struct sm_super *s)
{
	s->crc = 0;
	s->crc = crc32c(0, s, sizeof(*s));
}

struct util_file {
	int fd;
	char path[64];
};

static inline void util_memfd(struct util_file *f, const void *bytes, size_t size)
{
	f->fd = memfd_create("daxfs-unit", MFD_CLOEXEC);
	assert_true(f->fd >= 0);
	snprintf(f->path, sizeof(f->path), "/proc/self/fd/%d", f->fd);
	if (bytes)
		assert_int_equal(pwrite(f->fd, bytes, size, 0), (ssize_t)size);
	else
		assert_int_equal(ftruncate(f->fd, (off_t)size), 0);
}

/* A memfd that holds a fresh pool. */
static inline void util_pool_file(struct util_file *f)
{
	void *base = util_pool();

	util_memfd(f, base, UTIL_POOL_BYTES);
	free(base);
}

/* Change both superblocks of a file by the same edit and seal them. */
static inline void util_edit(const struct util_file *f, void (*edit)(struct sm_super *s))
{
	struct sm_super s;

	for (off_t at = 0; at <= DAXFS_PAGE_SIZE; at += DAXFS_PAGE_SIZE) {
		assert_int_equal(pread(f->fd, &s, sizeof(s), at), sizeof(s));
		edit(&s);
		util_seal(&s);
		assert_int_equal(pwrite(f->fd, &s, sizeof(s), at), sizeof(s));
	}
}

#endif
