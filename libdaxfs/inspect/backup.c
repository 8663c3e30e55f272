/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backup.c - the bytes of a pool that nobody uses, in a file.
 *
 * A pool is consistent at every moment, but a copy takes long, and is of no moment: of a pool that hosts use it
 * would have words of one time and pages of another. So no slot may have a tenant, before and after; and no host word
 * may have changed between: who joins and leaves changes the generation of its slot. fabricd may run: its beats
 * and events are words by themselves. Pages of zeros become holes. Nothing in the pool is changed.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "daxfs/inspect.h"
#include "fs/fs.h"
#include "mem/guard.h"
#include "sync/member.h"

struct backup {
	const struct pool *pool;
	int fd;
	uint64_t at; /* next byte */
	uint64_t words[DAXFS_HOSTS_MAX];
	uint8_t page[DAXFS_PAGE_SIZE];
	struct daxfs_error *err;
};

static int nobody_uses_it(struct backup *b, bool again)
{
	struct host_word word;

	for (unsigned i = 0; i < b->pool->super.hosts; i++) {
		uint64_t seen = sm_load(&b->pool->member->host[i].word);

		if (again && seen != b->words[i])
			return daxfs_error_set(b->err, -EBUSY,
					       "host %u came or went meanwhile: nothing was kept; try again", i);
		b->words[i] = seen;
		if (host_word_unpack(seen, &word))
			return daxfs_error_set(b->err, -EIO, "host slot %u makes no sense; run daxfsctl check", i);
		if (word.state != DAXFS_HOST_FREE && word.state != DAXFS_HOST_RECOVERED)
			return daxfs_error_set(
				b->err, -EBUSY,
				"host %u is %s: stop all agents first, or copy the tree through a mount (tar, "
				"rsync), file by file",
				i, daxfs_host_state_name(word.state));
	}
	return 0;
}

static int write_page(struct backup *b)
{
	static const uint8_t zeros[DAXFS_PAGE_SIZE];
	uint64_t done = 0;

	if (memcmp(b->page, zeros, sizeof(zeros)) == 0)
		return 0;
	while (done < sizeof(b->page)) {
		ssize_t n = pwrite(b->fd, b->page + done, sizeof(b->page) - done, (off_t)(b->at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return daxfs_error_set(b->err, -errno, "the copy cannot be written: %s",
					       strerrordesc_np(errno));
		done += (uint64_t)n;
	}
	return 0;
}

static int copy_all(void *arg)
{
	struct backup *b = arg;
	int rc = nobody_uses_it(b, false);

	for (; rc == 0 && b->at < b->pool->super.size; b->at += DAXFS_PAGE_SIZE) {
		sm_read(b->page, b->pool->shm.base + b->at, DAXFS_PAGE_SIZE);
		rc = write_page(b);
	}
	return rc ? rc : nobody_uses_it(b, true);
}

int daxfs_backup(const struct daxfs *fs, int fd, struct daxfs_error *err)
{
	const struct pool *pool = fs_pool(fs);
	struct shm_guard guard = shm_guard_of(&pool->shm);
	struct backup *b;
	int rc;

	if (!*fs->here)
		return daxfs_error_set(err, -ECHILD, "this process is a child of the one that opened the pool");
	b = calloc(1, sizeof(*b));
	if (!b)
		return daxfs_error_set(err, -ENOMEM, "out of memory");
	b->pool = pool;
	b->fd = fd;
	b->err = err;
	if (ftruncate(fd, (off_t)pool->super.size))
		rc = daxfs_error_set(err, -errno, "the copy cannot have %llu bytes: %s",
				     (unsigned long long)pool->super.size, strerrordesc_np(errno));
	else
		rc = shm_guard_run(&guard, copy_all, b);
	if (guard.hit)
		rc = daxfs_error_set(err, -EIO, "memory of the pool failed at offset %#llx: run daxfsctl repair first",
				     (unsigned long long)guard.offset);
	else if (rc == 0 && fsync(fd))
		rc = daxfs_error_set(err, -errno, "the copy cannot be synced: %s", strerrordesc_np(errno));
	free(b);
	return rc;
}
