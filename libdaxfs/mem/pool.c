/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.c - a pool opened by path: mapped, judged, and unmapped again.
 *
 * The superblock is judged against the size the file or device has before
 * anything behind it is touched, so a truncated file is an error and not a
 * SIGBUS. Nothing here writes shared memory; any host may do it at any time.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem/attach.h"
#include "mem/backing.h"
#include "mem/guard.h"
#include "mem/super.h"
#include "mem/trouble.h"

static int open_pool(const char *path, bool writable, struct backing *s, struct daxfs_error *err)
{
	int rc = backing_open(path, writable ? O_RDWR : O_RDONLY, s, err);

	if (rc)
		return rc;
	rc = backing_lock(s, false, path, err);
	if (rc == 0 && s->size < SOURCE_HEAD_BYTES)
		rc = daxfs_error_set(err, -EINVAL,
				     "%s is not a daxfs pool: only %llu bytes; make one with daxfsctl mkfs", path,
				     (unsigned long long)s->size);
	if (rc)
		backing_close(s);
	return rc;
}

static int peek_super(const struct backing *s, struct sm_super *out, struct daxfs_error *err)
{
	uint8_t head[SOURCE_HEAD_BYTES];
	int rc = backing_head(s, head, err);

	return rc ? rc : super_read(head, s->size, out, err);
}

/* A file may have come back from a copy with holes in it. */
static int fill_holes(const struct backing *s, const char *path, const struct sm_super *super, struct daxfs_error *err)
{
	struct stat st;

	if (s->device || fstat(s->fd, &st) || (uint64_t)st.st_blocks * 512 >= super->size)
		return 0;
	return backing_reserve(s, super->size, path, err);
}

/* Map the first len bytes and take over the descriptor. */
static int map_super(struct backing *s, uint64_t len, bool writable, struct pool *p, struct daxfs_error *err)
{
	void *base;
	int rc;

	attach_super(p);
	if (writable && !p->writable)
		return daxfs_error_set(err, -EROFS,
				       "pool uses features 0x%llx this program can only read: use a newer one",
				       (unsigned long long)p->super.ro_compat);
	rc = backing_map(s, 0, len, writable, &base, &p->shm.size, err);
	if (rc)
		return rc;
	p->shm.base = base;
	p->writable = writable;
	p->owns_map = true;
	p->fd = s->fd;
	s->fd = -1;
	return 0;
}

static int judge_regions(const struct pool *p, unsigned count, struct daxfs_error *err)
{
	int rc = 0;

	for (unsigned id = 0; id < count && rc == 0; id++)
		rc = attach_region(p, id, err);
	return rc;
}

int pool_map(const char *path, enum daxfs_open_mode mode, struct pool *pool, struct daxfs_error *err)
{
	bool writable = mode != DAXFS_READ_ONLY;
	struct pool p = { .fd = -1 };
	struct backing s;
	int rc = open_pool(path, writable, &s, err);

	if (rc)
		return rc;
	shm_guard_install();
	rc = peek_super(&s, &p.super, err);
	if (rc == 0 && writable)
		rc = fill_holes(&s, path, &p.super, err);
	if (rc == 0)
		rc = map_super(&s, p.super.size, writable, &p, err);
	if (rc == 0 && mode != DAXFS_REPAIR)
		rc = judge_regions(&p, super_regions(&p.super), err);
	backing_close(&s);
	if (rc == 0) {
		layout_place(&p);
		rc = attach_features(&p, err);
	}
	if (rc) {
		pool_unmap(&p);
		return rc;
	}
	*pool = p;
	trouble_sync(pool);
	return 0;
}

/* Best effort: a pool whose events cannot be mapped is watched all the same. */
static void map_events(const struct backing *s, bool writable, struct pool *p)
{
	const struct backing mapped_by = { .fd = p->fd, .device = s->device, .size = s->size, .align = s->align };
	const struct sm_region *r = &p->super.region[DAXFS_R_EVENTS];
	struct daxfs_error ignored;
	uint64_t from, mapped;
	void *base;

	if (!super_has_region(&p->super, DAXFS_R_EVENTS))
		return;
	from = r->offset / s->align * s->align;
	if (backing_map(&mapped_by, from, region_end(r) - from, writable, &base, &mapped, &ignored))
		return;
	p->owns_events = true;
	layout_place_events(p, (struct shm){ .base = base, .size = mapped, .wb = p->shm.wb }, r->offset - from);
}

int pool_map_member(const char *path, bool writable, struct pool *pool, struct daxfs_error *err)
{
	struct pool p = { .fd = -1 };
	struct backing s;
	int rc = open_pool(path, writable, &s, err);

	if (rc)
		return rc;
	shm_guard_install();
	rc = peek_super(&s, &p.super, err);
	if (rc == 0)
		rc = map_super(&s, region_end(&p.super.region[DAXFS_R_MEMBER]), writable, &p, err);
	if (rc == 0)
		rc = judge_regions(&p, DAXFS_R_MEMBER + 1, err);
	if (rc == 0) {
		map_events(&s, writable, &p);
		p.member = pool_at(&p, p.super.region[DAXFS_R_MEMBER].offset + DAXFS_PAGE_SIZE);
		rc = attach_features(&p, err);
	}
	backing_close(&s);
	if (rc) {
		pool_unmap(&p);
		return rc;
	}
	*pool = p;
	return 0;
}

void pool_unmap(struct pool *pool)
{
	if (pool->owns_map)
		munmap(pool->shm.base, pool->shm.size);
	if (pool->owns_events)
		munmap(pool->events.shm.base, pool->events.shm.size);
	pool_forget(pool);
}

void pool_forget(struct pool *pool)
{
	if (pool->fd >= 0)
		close(pool->fd);
	pool->owns_map = pool->owns_events = false;
	pool->fd = -1;
	pool->shm = (struct shm){ .base = NULL };
	pool->events = (struct pool_events){ .at = NULL };
}
