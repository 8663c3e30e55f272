/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.c - an empty filesystem laid over memory.
 *
 * Nobody else uses the memory meanwhile. Order: 1 both superblocks erased, 2
 * tables, 3 root directory, 4 superblocks. Each step is written back and drained
 * before the next, so a crash before the first superblock of step 4 is down
 * leaves no pool ("not a daxfs pool"), and one after it leaves a whole pool.
 */
#include <ctype.h>
#include <errno.h>
#include <sys/stat.h>

#include "mem/uuid.h"
#include "mem/super.h"

static void zero(struct pool *pool, void *p, uint64_t len)
{
	sm_zero(p, len);
	sm_flush(&pool->shm, p, len);
}

static void put(struct pool *pool, void *p, const void *src, uint64_t len)
{
	sm_write(p, src, len);
	sm_flush(&pool->shm, p, len);
}

static void set(struct pool *pool, sm_u64 *p, uint64_t v)
{
	sm_store_relaxed(p, v); /* nobody looks before there is a superblock */
	sm_flush(&pool->shm, p, sizeof(*p));
}

/* ORD: nothing below may become durable before what is above. */
static void persist_barrier(struct pool *pool)
{
	sm_fence();
	sm_drain(&pool->shm);
}

static void erase_supers(struct pool *pool)
{
	zero(pool, pool->shm.base, 2 * DAXFS_PAGE_SIZE);
	persist_barrier(pool);
}

static void write_supers(struct pool *pool)
{
	for (unsigned copy = 0; copy < 2; copy++) {
		put(pool, pool->shm.base + copy * DAXFS_PAGE_SIZE, &pool->super, sizeof(pool->super));
		persist_barrier(pool);
	}
}

/* Data pages keep what they held: nothing reads a page before writing it. */
static void write_region(struct pool *pool, unsigned id)
{
	const struct sm_region *r = &pool->super.region[id];
	uint8_t *page = pool->shm.base + r->offset;
	uint64_t array = id == DAXFS_R_PAGES ? DAXFS_PAGE_SIZE : r->elem_size * r->count;
	struct sm_region_hdr hdr;

	region_hdr_make(&pool->super, id, &hdr);
	zero(pool, page, DAXFS_PAGE_SIZE + array);
	put(pool, page, &hdr, sizeof(hdr));
}

static uint64_t live(enum daxfs_use use)
{
	return (uint64_t)DAXFS_LIVE << 61 | (uint64_t)use << 56;
}

static uint64_t link_to(enum daxfs_link_kind kind, uint64_t index)
{
	return (uint64_t)kind << 32 | index;
}

static void claim(struct pool *pool, enum daxfs_type type, uint64_t index, enum daxfs_use use)
{
	set(pool, &pool->birth[type][index], 1);
	set(pool, &pool->state[type][index], live(use));
}

/* Page 0 is the root's node; inode 0 is nobody's, so that no handle is 0. */
static void write_root(struct pool *pool)
{
	struct sm_inode *root = &pool->inodes[DAXFS_ROOT_INO];
	uint64_t now = pool->super.created_ns;

	claim(pool, DAXFS_T_PAGE, 0, DAXFS_USE_NODE);
	claim(pool, DAXFS_T_INODE, 0, DAXFS_USE_NONE);
	claim(pool, DAXFS_T_INODE, DAXFS_ROOT_INO, DAXFS_USE_INODE);
	set(pool, &root->nlink, (uint64_t)DAXFS_LIFE_ALIVE << 32 | 1);
	set(pool, &root->mode, S_IFDIR | 0755);
	set(pool, &root->parent, link_to(DAXFS_INODE, DAXFS_ROOT_INO));
	set(pool, &root->dir_root, link_to(DAXFS_NODE, 0));
	set(pool, &root->atime, now);
	set(pool, &root->mtime, now);
	set(pool, &root->ctime, now);
	set(pool, &root->btime, now);
	set(pool, &pool->member->manager.epoch, 1);
	set(pool, &pool->lanes[0].used[0], 1); /* of which all lanes have their share: account.h */
	set(pool, &pool->lanes[0].used[1], 2ull << 32);
}

static int take_name(struct sm_super *s, const char *name, struct daxfs_error *err)
{
	size_t len = strlen(name);

	if (len == 0 || len >= sizeof(s->name))
		return daxfs_error_set(err, -EINVAL, "pool name has %zu bytes: give 1 to %zu", len,
				       sizeof(s->name) - 1);
	for (size_t i = 0; i < len; i++)
		if (!isgraph((unsigned char)name[i]))
			return daxfs_error_set(err, -EINVAL,
					       "pool name: use printable ASCII characters without spaces");
	memcpy(s->name, name, len);
	return 0;
}

static int make_super(uint64_t size, const struct daxfs_mkfs_options *o, struct sm_super *out, struct daxfs_error *err)
{
	struct sm_super s = { .compat = DAXFS_COMPAT_EVENTS | DAXFS_COMPAT_HEAT | DAXFS_COMPAT_ASKS,
			      .domain = o->wb ? DAXFS_DOMAIN_WB : DAXFS_DOMAIN_GPF };
	struct pool_identity id;
	struct layout l;
	int rc = layout_compute(size, o, &l, err);

	if (rc == 0)
		rc = take_name(&s, o->name ? o->name : "daxfs", err);
	if (rc)
		return rc;
	rc = identity_make(&id);
	if (rc)
		return daxfs_error_set(err, rc, "no random numbers from the kernel for a new pool");
	s.size = l.size;
	s.hosts = l.hosts;
	s.lanes_per_host = l.lanes_per_host;
	s.opens_per_host = l.opens_per_host;
	s.heartbeat_ms = l.heartbeat_ms;
	s.lease_ms = l.lease_ms;
	s.cache_policy = l.cache_policy;
	s.cache_min = l.cache_min;
	s.cache_max = l.cache_max;
	s.created_ns = id.created_ns;
	memcpy(s.uuid, id.uuid, sizeof(s.uuid));
	memcpy(s.hash_key, id.hash_key, sizeof(s.hash_key));
	s.n_regions = DAXFS_REGIONS;
	memcpy(s.region, l.region, sizeof(l.region));
	super_seal(&s);
	*out = s;
	return 0;
}

int pool_format(void *base, uint64_t size, const struct daxfs_mkfs_options *options, struct daxfs_error *err)
{
	static const struct daxfs_mkfs_options defaults = { .name = NULL };
	struct pool pool = { .shm = { .base = base, .size = size }, .fd = -1, .writable = true };
	int rc = make_super(size, options ? options : &defaults, &pool.super, err);

	if (rc)
		return rc;
	pool.shm.wb = pool.super.domain == DAXFS_DOMAIN_WB;
	layout_place(&pool);
	erase_supers(&pool);
	for (unsigned id = 0; id < DAXFS_REGIONS; id++)
		write_region(&pool, id);
	write_root(&pool);
	persist_barrier(&pool);
	write_supers(&pool);
	return 0;
}
