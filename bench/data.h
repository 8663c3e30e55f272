/* SPDX-License-Identifier: Apache-2.0 */
/*
 * data.h - a data workload, as a row of a table.
 *
 * block: bytes an operation moves; span: bytes a worker works on (times the
 * number of workers in a shared file, in which each works on all of it).
 */
#ifndef BENCH_DATA_H
#define BENCH_DATA_H

#include "bench.h"

enum data_op { DATA_READ, DATA_WRITE, DATA_FIRST, DATA_APPEND, DATA_VIEW, DATA_DRAFT };

struct data_spec {
	char name[64];
	enum data_op op;
	uint64_t block, span;
	bool random, shared;
};

#define APPENDS_MAX 20000u /* of a burst and worker */

/* Make `files` files of `size` bytes and one shared one, on all targets, and
 * stamp the raw region. */
void data_files(struct rig *rig, unsigned files, uint64_t size, uint64_t shared);
void data_open(struct worker *w);  /* w->arg: its spec */
void data_close(struct worker *w); /* checks what was written */
/* Fill in the targets. */
void data_jobs(const struct data_spec *spec, const struct rig *rig, struct workload *w);

/* copy.c: copy with stores that go around the caches. Multiples of 64 bytes, 64-byte aligned. */
void copy_streaming(void *to, const void *from, size_t len);

#endif
