/* SPDX-License-Identifier: Apache-2.0 */
/* cell_work.h - workers on cells: see cell_work.c. */
#ifndef CHAOS_CELL_WORK_H
#define CHAOS_CELL_WORK_H

#include <stdint.h>

#define CELL_SLOT_MAX 65536u
#define CELL_WHOLE_MAX 5000u      /* slots of files that are read as a whole: by one request */
#define CELL_AT_ONCE 4u           /* cells that are worked on */
#define CELL_TURN_NS 150000000ull /* then others are */

struct cell_job {
	const char *log;
	int top; /* the directory of the cells */
	unsigned host, gen;
	uint64_t seed;
	uint64_t began, until; /* of all workers; of this one */
	uint32_t cells;        /* to look at in the end */
};

/* 0 when the time is up, or -errno. */
int cell_work(const struct cell_job *job, unsigned worker);
int cell_look(const struct cell_job *job, unsigned worker);

#endif
