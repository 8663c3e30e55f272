/* SPDX-License-Identifier: Apache-2.0 */
/*
 * super.c - superblocks and region headers: made, judged, read.
 *
 * A superblock is valid if it keeps the seven rules of format.h; broken_rule()
 * is that list, in that order. Both are written once, by mkfs, and constant
 * afterwards, so reading them needs no synchronisation; either copy serves, so
 * one that was scribbled over costs nothing.
 */
#include "mem/super.h"

#include <errno.h>

#include "mem/crc32c.h"

#define UNKNOWN_ELEM_SIZE_MAX (1u << 20)

static uint32_t super_crc(const struct sm_super *s)
{
	struct sm_super copy = *s;

	copy.crc = 0;
	return crc32c(0, &copy, sizeof(copy));
}

/* A region of a later feature that an older program may ignore has a size we do not know. */
static bool bad_elem_size(const struct sm_region *r, unsigned id)
{
	return id < DAXFS_REGIONS ? r->elem_size != region_elem_size(id) : r->elem_size > UNKNOWN_ELEM_SIZE_MAX;
}

/* Inside size, aligned, of the expected element size, and behind the one before. */
static bool bad_region(const struct sm_super *s, unsigned id, uint64_t before)
{
	const struct sm_region *r = &s->region[id];

	return r->offset % DAXFS_PAGE_SIZE || r->offset < before || r->offset > s->size || bad_elem_size(r, id) ||
	       r->count > DAXFS_OBJECTS_MAX || region_end(r) > s->size;
}

static bool bad_table(const struct sm_super *s)
{
	uint64_t before = 2 * DAXFS_PAGE_SIZE;

	if (s->n_regions < DAXFS_REGIONS_LEAST || s->n_regions > DAXFS_REGIONS_MAX)
		return true;
	if ((s->compat & DAXFS_COMPAT_EVENTS && s->n_regions <= DAXFS_R_EVENTS) ||
	    (s->compat & DAXFS_COMPAT_HEAT && s->n_regions <= DAXFS_R_HEAT) ||
	    (s->compat & DAXFS_COMPAT_ASKS && s->n_regions <= DAXFS_R_ASKS))
		return true;
	for (unsigned id = 0; id < s->n_regions; id++) {
		if (bad_region(s, id, before))
			return true;
		before = region_end(&s->region[id]);
	}
	return false;
}

static bool bad_counts(const struct sm_super *s)
{
	const uint64_t objects[DAXFS_TYPES] = {
		[DAXFS_T_PAGE] = s->region[DAXFS_R_PAGES].count,
		[DAXFS_T_INODE] = s->region[DAXFS_R_INODES].count,
		[DAXFS_T_DIRENT] = s->region[DAXFS_R_DIRENTS].count,
	};

	for (unsigned id = 0; id < super_regions(s); id++)
		if (s->region[id].count != region_elements(id, s->hosts, s->lanes_per_host, s->opens_per_host, objects))
			return true;
	/* Page 0, inode 0 and inode 1 exist in every pool. */
	return objects[DAXFS_T_PAGE] < 1 || objects[DAXFS_T_INODE] < 2 || objects[DAXFS_T_DIRENT] < 1;
}

static bool bad_limits(const struct sm_super *s)
{
	return s->hosts < 1 || s->hosts > DAXFS_HOSTS_MAX || s->lanes_per_host < 1 ||
	       (uint64_t)s->hosts * s->lanes_per_host > DAXFS_LANES_MAX || s->opens_per_host < 1 ||
	       s->opens_per_host > LAYOUT_OPENS_MAX || s->heartbeat_ms < 1 ||
	       s->heartbeat_ms > DAXFS_HEARTBEAT_MS_MAX || s->lease_ms > LAYOUT_LEASE_MS_MAX ||
	       s->domain > DAXFS_DOMAIN_WB || s->name[sizeof(s->name) - 1] || bad_counts(s);
}

/* The rules of format.h, by number. */
static const struct super_flaw flaws[] = {
	{ 1, -EINVAL, "no magic number" },
	{ 2, -EUCLEAN, "wrong checksum" },
	{ 3, -EPROTONOSUPPORT, "another format version" },
	{ 4, -EPROTONOSUPPORT, "a feature this version does not know" },
	{ 5, -ENODATA, "larger than its region" },
	{ 6, -EUCLEAN, "a region that is missing, lies outside, overlaps or has another element size" },
	{ 7, -EUCLEAN, "hosts, lanes or counts beyond the limits" },
};

static unsigned broken_rule(const struct sm_super *s, uint64_t region_size)
{
	if (s->magic != DAXFS_MAGIC)
		return 1;
	if (s->crc != super_crc(s))
		return 2;
	if (s->version != DAXFS_VERSION)
		return 3;
	if (s->incompat & ~SUPER_INCOMPAT_KNOWN)
		return 4;
	if (s->size > region_size)
		return 5;
	if (bad_table(s))
		return 6;
	if (bad_limits(s))
		return 7;
	return 0;
}

const struct super_flaw *super_invalid(const struct sm_super *s, uint64_t region_size)
{
	unsigned rule = broken_rule(s, region_size);

	return rule ? &flaws[rule - 1] : NULL;
}

void super_seal(struct sm_super *s)
{
	s->magic = DAXFS_MAGIC;
	s->version = DAXFS_VERSION;
	s->incompat = SUPER_INCOMPAT_KNOWN;
	s->crc = super_crc(s);
}

void super_load(const void *base, unsigned copy, struct sm_super *out)
{
	sm_read(out, (const uint8_t *)base + copy * DAXFS_PAGE_SIZE, sizeof(*out));
}

bool super_present(const void *base)
{
	struct sm_super s;

	for (unsigned copy = 0; copy < 2; copy++) {
		super_load(base, copy, &s);
		if (s.magic == DAXFS_MAGIC)
			return true;
	}
	return false;
}

static int unknown_features(uint64_t bits, struct daxfs_error *err)
{
	return daxfs_error_set(err, -EPROTONOSUPPORT,
			       "pool uses features 0x%llx unknown to this program: use a newer one",
			       (unsigned long long)bits);
}

uint32_t super_knows(void)
{
	return (uint32_t)(SUPER_COMPAT_KNOWN << DAXFS_COMPAT_SHIFT | SUPER_INCOMPAT_KNOWN);
}

int super_judge_features(uint32_t features, uint32_t knows, struct daxfs_error *err)
{
	uint32_t unknown = features & ~knows & ((1u << DAXFS_COMPAT_SHIFT) - 1);

	return unknown ? unknown_features(unknown, err) : 0;
}

/* Say what is wrong with the copy that got furthest down the list. */
static int explain(const struct sm_super *s, const struct super_flaw *flaw, uint64_t region_size,
		   struct daxfs_error *err)
{
	switch (flaw->rule) {
	case 1:
		return daxfs_error_set(err, flaw->error, "not a daxfs pool: %s; make one with daxfsctl mkfs",
				       flaw->reason);
	case 3:
		return daxfs_error_set(err, flaw->error,
				       "pool has format version %u, this program %u: use a matching one", s->version,
				       DAXFS_VERSION);
	case 4: return unknown_features(s->incompat & ~SUPER_INCOMPAT_KNOWN, err);
	case 5:
		return daxfs_error_set(err, flaw->error,
				       "pool has %llu bytes, its file or device only %llu: restore its end",
				       (unsigned long long)s->size, (unsigned long long)region_size);
	default:
		return daxfs_error_set(err, flaw->error,
				       "both superblocks are damaged (%s): restore the pool or mkfs --force",
				       flaw->reason);
	}
}

int super_read(const void *base, uint64_t region_size, struct sm_super *out, struct daxfs_error *err)
{
	const struct super_flaw *flaw[2];
	struct sm_super s[2];
	unsigned best;

	for (unsigned copy = 0; copy < 2; copy++) {
		super_load(base, copy, &s[copy]);
		flaw[copy] = super_invalid(&s[copy], region_size);
		if (!flaw[copy]) {
			*out = s[copy];
			return 0;
		}
	}
	best = flaw[1]->rule > flaw[0]->rule;
	return explain(&s[best], flaw[best], region_size, err);
}

void region_hdr_make(const struct sm_super *s, unsigned id, struct sm_region_hdr *out)
{
	struct sm_region_hdr hdr = {
		.magic = DAXFS_REGION_MAGIC + id,
		.version = DAXFS_VERSION,
		.elem_size = s->region[id].elem_size,
		.count = s->region[id].count,
	};

	memcpy(hdr.uuid, s->uuid, sizeof(hdr.uuid));
	hdr.crc = crc32c(0, &hdr, sizeof(hdr));
	*out = hdr;
}

/* Valid: 1 magic of this region, 2 crc32c, 3 version, 4 uuid of the pool, 5 size and count of the superblock. */
const char *region_hdr_invalid(const struct sm_super *s, unsigned id, const struct sm_region_hdr *hdr)
{
	struct sm_region_hdr copy = *hdr;

	copy.crc = 0;
	if (hdr->magic != DAXFS_REGION_MAGIC + id)
		return "no magic number";
	if (hdr->crc != crc32c(0, &copy, sizeof(copy)))
		return "wrong checksum";
	if (hdr->version != DAXFS_VERSION)
		return "another format version";
	if (memcmp(hdr->uuid, s->uuid, sizeof(hdr->uuid)) != 0)
		return "part of another pool";
	if (hdr->elem_size != s->region[id].elem_size || hdr->count != s->region[id].count)
		return "another size than the superblock says";
	return NULL;
}

void super_geometry(const struct sm_super *s, struct daxfs_geometry *out)
{
	*out = (struct daxfs_geometry){
		.size = s->size,
		.version = s->version,
		.hosts = s->hosts,
		.lanes_per_host = s->lanes_per_host,
		.opens_per_host = s->opens_per_host,
		.heartbeat_ms = s->heartbeat_ms,
		.lease_ms = s->lease_ms,
		.wb = s->domain == DAXFS_DOMAIN_WB,
		.cache_policy = s->cache_policy == DAXFS_POLICY_CLOCK ? DAXFS_CACHE_CLOCK : DAXFS_CACHE_HEAT,
		.cache_min = s->cache_min * (uint64_t)DAXFS_PAGE_SIZE,
		.cache_max = s->cache_max * (uint64_t)DAXFS_PAGE_SIZE,
		.pages = s->region[DAXFS_R_PAGES].count,
		.inodes = s->region[DAXFS_R_INODES].count,
		.dirents = s->region[DAXFS_R_DIRENTS].count,
	};
	memcpy(out->name, s->name, sizeof(out->name));
	memcpy(out->uuid, s->uuid, sizeof(out->uuid));
}
