/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fixture.h - pools to be damaged: made once, by real operations of real hosts,
 * and put back before each run.
 *
 * The pool lies in a memfd, mapped between two large stretches of address space
 * that nobody may touch. Host 0 is free for whoever works on the damaged pool;
 * hosts 1 and 2 died in operations and are FENCED. One thread.
 */
#ifndef TESTS_FUZZ_SCENE_H
#define TESTS_FUZZ_SCENE_H

#include "invariant.h"
#include "fs/fs.h"

#define SCENES 80u /* different deaths; the second half with extents */
#define SCENE_HOSTS 4u
#define SCENE_LISTED 512u

struct fixture {
	uint8_t *base;
	uint64_t size;
	char path[32];    /* of the memfd */
	struct pool pool; /* as it was made: for whoever damages it */
	uint8_t *image[SCENES];
	unsigned n_listed[DAXFS_TYPES];
	uint32_t listed[DAXFS_TYPES][SCENE_LISTED]; /* objects in use in the scene that was put up */
};

/* The one scene of this process. */
struct fixture *fixture_get(void);
/* Put up scene `which` (modulo SCENES). */
void fixture_restore(struct fixture *s, unsigned which);

#endif
