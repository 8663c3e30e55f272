/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counters.h - where counters come round.
 *
 * How long each lasts, and what happens then, is in format.h. In a simulated build the ends
 * are variables, so that counters come round in a small run (daxfs-sim --tiny, --pod --tiny).
 * Layouts of words do not depend on them.
 */
#ifndef DAXFS_SYNC_COUNTERS_H
#define DAXFS_SYNC_COUNTERS_H

#include "daxfs/format.h"

struct counter_ends {
	uint64_t version; /* the last one, all ones; 0 follows. Not of TICK and COUNT: their versions are relied upon */
	uint64_t seq;     /* of a lane, and of its claims: with this it rests (sync/rest.c) */
	uint32_t i_generation; /* of an inode: the index is not used again */
};

#define COUNTER_ENDS                                                                                                   \
	{                                                                                                              \
		.version = UINT64_MAX, .seq = DAXFS_SEQ_MASK - (1ull << 32), /* more than one call can use */          \
			.i_generation = UINT32_MAX                                                                     \
	}

#ifdef DAXFS_SIM
extern struct counter_ends counter_ends;
#else
static const struct counter_ends counter_ends = COUNTER_ENDS;
#endif

#endif
