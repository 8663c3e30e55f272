/* SPDX-License-Identifier: Apache-2.0 */
/*
 * super.h - superblocks and region headers: made, judged, read.
 *
 * Everything is judged on a private copy, never on the shared bytes, so what was
 * judged is what is used.
 */
#ifndef DAXFS_MEM_SUPER_H
#define DAXFS_MEM_SUPER_H

#include "mem/layout.h"

/*
 * Bits of the feature words that this version knows: of ro_compat and incompat it must, to write or to use a pool.
 * Tests build programs that know less, as an older version would (tests/chaos/upgrade).
 */
#define SUPER_RO_COMPAT_KNOWN 0ull
#ifndef SUPER_INCOMPAT_KNOWN
#define SUPER_INCOMPAT_KNOWN (DAXFS_INCOMPAT_CACHE | DAXFS_INCOMPAT_LINKS)
#endif
#define SUPER_COMPAT_KNOWN (DAXFS_COMPAT_EVENTS | DAXFS_COMPAT_HEAT | DAXFS_COMPAT_ASKS)

/* the first rule of format.h that a superblock breaks */
struct super_flaw {
	unsigned rule; /* 1..7 as numbered there */
	int error;     /* -errno for it */
	const char *reason;
};

/* NULL if *s is valid for a region of that many bytes, else the first rule it breaks. */
const struct super_flaw *super_invalid(const struct sm_super *s, uint64_t region_size);
void super_seal(struct sm_super *s); /* magic, version, crc: last thing before it is written */

/* Copy `copy` (0, 1) of the superblock out of a region of at least two pages. */
void super_load(const void *base, unsigned copy, struct sm_super *out);
/*
 * The valid superblock of a region whose first two pages are mapped at base.
 * -EINVAL: not a pool; -EPROTONOSUPPORT: another format; -ENODATA: the region is
 * smaller than the pool; -EUCLEAN: both copies are damaged.
 */
int super_read(const void *base, uint64_t region_size, struct sm_super *out, struct daxfs_error *err);
/* Does either copy carry the magic number, valid or not? */
bool super_present(const void *base);

void region_hdr_make(const struct sm_super *s, unsigned id, struct sm_region_hdr *out);
/* NULL or what is wrong with a region's header. */
const char *region_hdr_invalid(const struct sm_super *s, unsigned id, const struct sm_region_hdr *hdr);

/* What this version knows, as in the features word of format.h. */
uint32_t super_knows(void);
/* 0, or -EPROTONOSUPPORT where the pool uses an incompat feature that `knows` has not. */
int super_judge_features(uint32_t features, uint32_t knows, struct daxfs_error *err);

void super_geometry(const struct sm_super *s, struct daxfs_geometry *out);

#endif
