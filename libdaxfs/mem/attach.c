/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attach.c - a struct pool filled from mapped memory.
 *
 * Superblock and region headers are copied out and judged, and from then on the
 * private copy rules. They never change after mkfs, so any number of hosts may
 * attach at any time; nothing is written here.
 */
#include "mem/attach.h"

#include <errno.h>

#include "mem/guard.h"
#include "mem/super.h"
#include "mem/trouble.h"

struct header {
	const uint8_t *at;
	struct sm_region_hdr hdr;
};

static int load_header(void *arg)
{
	struct header *h = arg;

	sm_read(&h->hdr, h->at, sizeof(h->hdr));
	return 0;
}

/* One whose memory fails is not missed: all that it says follows from the superblock. */
int attach_region(const struct pool *pool, unsigned id, struct daxfs_error *err)
{
	struct header h = { .at = pool->shm.base + pool->super.region[id].offset };
	struct shm_guard guard = shm_guard_of(&pool->shm);
	const char *reason;

	shm_guard_run(&guard, load_header, &h);
	reason = guard.hit ? NULL : region_hdr_invalid(&pool->super, id, &h.hdr);
	if (reason)
		return daxfs_error_set(
			err, -EUCLEAN,
			"pool is damaged: header of region %u (%s) has %s: daxfsctl repair writes it anew", id,
			region_name(id), reason);
	return 0;
}

struct features {
	const sm_u64 *word;
	uint32_t on;
};

static int load_features(void *arg)
{
	struct features *f = arg;

	f->on = (uint32_t)sm_load(f->word);
	return 0;
}

/* Where the word cannot be read no call will do anything. */
int attach_features(const struct pool *pool, struct daxfs_error *err)
{
	struct features f = { .word = &pool->member->manager.features };
	struct shm_guard guard = shm_guard_of(&pool->shm);

	shm_guard_run(&guard, load_features, &f);
	return super_judge_features(f.on, pool->knows, err);
}

void attach_super(struct pool *pool)
{
	pool->knows = super_knows();
	pool->shm.wb = pool->super.domain == DAXFS_DOMAIN_WB;
	pool->writable = !(pool->super.ro_compat & ~SUPER_RO_COMPAT_KNOWN);
}

int pool_attach(void *base, uint64_t size, struct pool *pool, struct daxfs_error *err)
{
	struct pool p = { .shm = { .base = base, .size = size }, .fd = -1 };
	int rc;

	if (size < 2 * DAXFS_PAGE_SIZE)
		return daxfs_error_set(err, -EINVAL, "not a daxfs pool: only %llu bytes; make one with daxfsctl mkfs",
				       (unsigned long long)size);
	rc = super_read(base, size, &p.super, err);
	if (rc)
		return rc;
	attach_super(&p);
	shm_guard_install();
	for (unsigned id = 0; id < super_regions(&p.super); id++) {
		rc = attach_region(&p, id, err);
		if (rc)
			return rc;
	}
	layout_place(&p);
	rc = attach_features(&p, err);
	if (rc)
		return rc;
	*pool = p;
	trouble_sync(pool);
	return 0;
}
