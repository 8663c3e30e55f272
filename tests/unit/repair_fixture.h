/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repair_fixture.h - a damaged pool is repaired: then the check is clean, and what
 * reads otherwise than before the damage is what the repair has spoken of.
 */
#ifndef TESTS_UNIT_REPAIR_FIXTURE_H
#define TESTS_UNIT_REPAIR_FIXTURE_H

#include "check_fixture.h"

#define REPAIR_LINES 4000
#define PICTURE_ENTRIES 400

/* a name, and what it leads to */
struct seen {
	char path[96];
	daxfs_ino ino;
	uint64_t inode, hash;
	uint64_t
		damaged; /* hash of what that number read in the damaged pool, whatever its directory was; 0: nothing */
};

/* of all that can be read */
struct picture {
	struct seen entry[PICTURE_ENTRIES];
	unsigned n;
};

struct repaired {
	char (*line)[256];
	unsigned lines;
	struct daxfs_repaired result;
};

/* What a joined host reads. Of a file its first pages, and those that scenes write further on. */
void picture_take(struct daxfs *fs, struct picture *out);
/* Of what a picture shows, see how it reads in a damaged pool. */
void picture_see_damaged(struct daxfs *fs, struct picture *before);
/* Run the repair to its end; its lines are in r. */
int repair_scene(struct pod *pod, bool dry_run, struct repaired *r);
void repaired_free(struct repaired *r);
/* How much of before reads otherwise now, neither as damaged, nor with a word of it. */
unsigned picture_unsaid(const struct picture *before, const struct picture *damaged, const struct picture *now,
			const struct repaired *r);

#endif
