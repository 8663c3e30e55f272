/* SPDX-License-Identifier: Apache-2.0 */
/* cache_fixture.h - a pod with a file of backing storage, which all its hosts can read. */
#ifndef TESTS_UNIT_CACHE_FIXTURE_H
#define TESTS_UNIT_CACHE_FIXTURE_H

#include <unistd.h>

#include "fs/cache.h"
#include "hang.h"
#include "rig.h"
#include "storage.h"

#define PAGE DAXFS_PAGE_SIZE
#define FILE_NUMBER 42u
#define BACKING 3u
#define PATIENCE_MS 60000u

struct fixture {
	struct pod pod;
	struct storage storage[POD_HOSTS];
	struct pool *pool;
	daxfs_ino ino;
	uint64_t size;
};

static inline void fixture_start(struct fixture *s, uint64_t pool_bytes, uint64_t size, unsigned patience_ms)
{
	alarm(HANG_S);
	*s = (struct fixture){ .size = size };
	pod_start(&s->pod, pool_bytes);
	s->pool = rig_pool(&s->pod);
	for (unsigned i = 0; i < POD_HOSTS; i++)
		storage_attach(&s->storage[i], s->pod.fs[i], BACKING, patience_ms);
	s->ino = storage_import(s->pod.fs[0], "f", BACKING, FILE_NUMBER, size);
}

static inline void fixture_stop(struct fixture *s)
{
	struct daxfs_check check = pod_check(&s->pod);

	assert_int_equal(check.usage.pages.private_, 0);
	daxfs_unlink(s->pod.fs[2], DAXFS_ROOT, "f");
	check = pod_check(&s->pod);
	assert_int_equal(check.usage.pages.live, 1); /* the root directory */
	pod_stop(&s->pod);
}

static inline void expect(struct fixture *s, unsigned host, uint64_t offset, size_t len)
{
	storage_expect(&s->storage[0], s->pod.fs[host], s->ino, FILE_NUMBER, offset, len, s->size);
}

/* What the word of a page is, by host 1. */
static inline uint64_t word_of(struct fixture *s, uint64_t page)
{
	struct lane *lane = rig_enter(s->pod.fs[1]);
	struct map_pos pos;
	uint64_t w = 0;

	if (map_find(lane, &s->pool->inodes[handle_index(s->ino)], page, &pos) == 0)
		w = word_load(lane, pos.slot);
	rig_exit(s->pod.fs[1], lane);
	return w;
}

static inline uint64_t pages_read(const struct fixture *s)
{
	return s->storage[0].pages + s->storage[1].pages + s->storage[2].pages;
}

static inline int64_t filled(const struct fixture *s)
{
	struct daxfs_cache_stats stats;
	int64_t n = 0;

	for (unsigned i = 0; i < POD_HOSTS; i++) {
		daxfs_cache_stats(s->pod.fs[i], &stats);
		n += (int64_t)stats.filled;
	}
	return n;
}

static inline uint64_t pages_of(uint64_t size)
{
	return (size + PAGE - 1) / PAGE;
}

/* The process of a host that lives: the next one goes on in its place. */
static inline void fixture_go_on(struct fixture *s, unsigned host)
{
	uint64_t tenancy = daxfs_tenancy(s->pod.fs[host]);
	struct daxfs_error err;

	s->pod.fs[host]->joined = false; /* it does not leave: it is dead */
	fs_free_slots(s->pod.fs[host]);
	daxfs_close(s->pod.fs[host]);
	assert_int_equal(fs_attach(s->pod.base, s->pod.size, &s->pod.fs[host], &err), 0);
	s->pool = rig_pool(&s->pod);
	if (daxfs_resume(s->pod.fs[host], host, tenancy, NULL, 0, &err))
		fail_msg("%s", err.text);
	assert_int_equal(daxfs_resume_end(s->pod.fs[host]), 0);
	storage_attach(&s->storage[host], s->pod.fs[host], BACKING, PATIENCE_MS);
}

#endif
