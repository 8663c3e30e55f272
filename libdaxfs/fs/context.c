/* SPDX-License-Identifier: Apache-2.0 */
/*
 * context.c - a mapped pool in this process: opened, asked how large it is, closed.
 *
 * A child of the process that opened it may close its copy, and do nothing else with it. Crash: nothing here is
 * shared, but for what leaving a pool leaves (membership.c).
 */
#include <errno.h>
#include <stdlib.h>

#include "fs/cache.h"
#include "fs/lease.h"
#include "fs/local.h"
#include "mem/process.h"
#include "mem/super.h"

/* What a process knows of the cache: reads under way, asks, files that are read in order. */
static int caches_init(struct daxfs *fs)
{
	fs->asks = asks_new();
	fs->streams = streams_new();
	if (fs->asks && fs->streams && cache_init(fs) == 0)
		return 0;
	streams_free(fs->streams);
	asks_free(fs->asks);
	return -ENOMEM;
}

static void caches_fini(struct daxfs *fs)
{
	cache_fini(fs);
	asks_free(fs->asks);
	streams_free(fs->streams);
}

static int context_new(struct daxfs **out, struct daxfs_error *err)
{
	struct daxfs *fs = calloc(1, sizeof(*fs));
	pthread_condattr_t monotonic;
	int rc;

	if (!fs)
		return daxfs_error_set(err, -ENOMEM, "out of memory");
	rc = process_mark(&fs->here, err);
	if (rc) {
		free(fs);
		return rc;
	}
	if (caches_init(fs)) {
		process_unmark(fs->here);
		free(fs);
		return daxfs_error_set(err, -ENOMEM, "out of memory");
	}
	pthread_mutex_init(&fs->wait_lock, NULL);
	pthread_mutex_init(&fs->blocks.lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&fs->wait_free, &monotonic);
	lease_holder_init(&fs->lease);
	pthread_condattr_destroy(&monotonic);
	*out = fs;
	return 0;
}

static void context_free(struct daxfs *fs)
{
	lease_holder_fini(&fs->lease);
	pthread_cond_destroy(&fs->wait_free);
	pthread_mutex_destroy(&fs->wait_lock);
	receipts_fini(fs);
	caches_fini(fs);
	local_free(fs);
	process_unmark(fs->here);
	free(fs);
}

int fs_attach(void *base, uint64_t size, struct daxfs **out, struct daxfs_error *err)
{
	struct daxfs *fs;
	int rc = context_new(&fs, err);

	if (rc)
		return rc;
	rc = pool_attach(base, size, &fs->pool, err);
	if (rc) {
		context_free(fs);
		return rc;
	}
	*out = fs;
	return 0;
}

int daxfs_open(const char *path, enum daxfs_open_mode mode, struct daxfs **out, struct daxfs_error *err)
{
	int was = process_cancel_off();
	struct daxfs *fs;
	int rc = context_new(&fs, err);

	if (rc == 0) {
		rc = pool_map(path, mode, &fs->pool, err);
		if (rc)
			context_free(fs);
		else
			*out = fs;
	}
	process_cancel_restore(was);
	return rc;
}

/* In a child: its copy of our memory. Threads that it does not have may have locked, or wait for,
 * what is in there, so nothing is destroyed; and where the pool was mapped there may be anything. */
static void close_copy(struct daxfs *fs)
{
	fs_free_slots(fs);
	pool_forget(&fs->pool);
	receipts_fini(fs);
	caches_fini(fs);
	local_free(fs);
	process_unmark(fs->here);
	free(fs);
}

void daxfs_close(struct daxfs *fs)
{
	int was = process_cancel_off();

	if (fs && !*fs->here) {
		close_copy(fs);
	} else if (fs) {
		if (fs->joined)
			daxfs_leave(fs);
		pool_unmap(&fs->pool);
		context_free(fs);
	}
	process_cancel_restore(was);
}

const struct pool *fs_pool(const struct daxfs *fs)
{
	return &fs->pool;
}

struct pool *fs_pool_writable(struct daxfs *fs)
{
	return &fs->pool;
}

void daxfs_geometry(const struct daxfs *fs, struct daxfs_geometry *out)
{
	super_geometry(&fs->pool.super, out);
}
