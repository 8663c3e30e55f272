/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout.h - where each region of a pool lies, and how many elements it has.
 *
 * One description serves mkfs, which lays regions out, and validation, which
 * refuses a superblock that describes anything else. Private memory only.
 */
#ifndef DAXFS_MEM_LAYOUT_H
#define DAXFS_MEM_LAYOUT_H

#include "mem/pool.h"

#define LAYOUT_LEASE_MS_MAX 60000u
#define LAYOUT_OPENS_MAX (1u << 20) /* per host */
#define LAYOUT_INODES_MIN 16u
#define LAYOUT_PAGES_MIN 16u
#define LAYOUT_CACHE_MAX_MIN 64u /* pages: of one read of storage */

struct layout {
	uint64_t size; /* whole pages of the memory given */
	unsigned hosts, lanes_per_host, opens_per_host, heartbeat_ms, lease_ms;
	uint32_t cache_policy, cache_min, cache_max; /* pages */
	uint64_t objects[DAXFS_TYPES];
	struct sm_region region[DAXFS_REGIONS];
};

/*
 * Lay regions over size bytes as options ask. -EINVAL: an option is out of
 * range; -ENOSPC: too small, -EFBIG: too large, and why says how much would do.
 */
int layout_compute(uint64_t size, const struct daxfs_mkfs_options *options, struct layout *out,
		   struct daxfs_error *err);

const char *region_name(unsigned id);
uint64_t region_elem_size(unsigned id);
/* Elements region id must have in such a pool. */
uint64_t region_elements(unsigned id, unsigned hosts, unsigned lanes_per_host, unsigned opens_per_host,
			 const uint64_t objects[DAXFS_TYPES]);
/* How many regions that this version knows the pool has. */
static inline unsigned super_regions(const struct sm_super *s)
{
	return s->n_regions < DAXFS_REGIONS ? s->n_regions : DAXFS_REGIONS;
}
static inline bool super_has_region(const struct sm_super *s, unsigned id)
{
	return id < s->n_regions && (id != DAXFS_R_EVENTS || s->compat & DAXFS_COMPAT_EVENTS) &&
	       (id != DAXFS_R_HEAT || s->compat & DAXFS_COMPAT_HEAT) &&
	       (id != DAXFS_R_ASKS || s->compat & DAXFS_COMPAT_ASKS);
}
/* First byte after a region's array; entry must be sane (count <= DAXFS_OBJECTS_MAX). */
uint64_t region_end(const struct sm_region *entry);

/* Point every table of *pool into pool->shm as pool->super says; super must be valid. */
void layout_place(struct pool *pool);
/* The same for the events alone: their region is at that offset of a mapping. */
void layout_place_events(struct pool *pool, struct shm shm, uint64_t offset);

#endif
