/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cell_log.h - what each worker did to cells, and what it was answered.
 *
 * A file a worker, mapped and shared: an operation is written down before it is
 * asked for, its answer after. What SIGKILL leaves is all of it, with at most one
 * operation without an answer. Times are CLOCK_MONOTONIC of the one machine that
 * all hosts of a test run on.
 */
#ifndef CHAOS_CELL_LOG_H
#define CHAOS_CELL_LOG_H

#include <stddef.h>

#include "cell.h"

/* of one worker */
struct cell_log {
	struct cell_op *at;
	size_t count, space;
	uint32_t cell;
	uint8_t host, worker;
};

/* 0 or -errno. */
int cell_log_open(const char *dir, unsigned host, unsigned gen, unsigned worker, struct cell_log *out);
/* A new operation that begins now. NULL: the log is full. */
struct cell_op *cell_log_begin(struct cell_log *log, enum cell_kind kind);
/* It stands in the log, and may be asked for. */
void cell_log_ask(struct cell_op *op);
void cell_log_answer(struct cell_op *op, int result);
/* Another answer of the same call as `op`: the same times. NULL: full. */
struct cell_op *cell_log_beside(struct cell_log *log, const struct cell_op *op, enum cell_kind kind);

/* All of a directory's logs; deaths (written by the harness, see cell_judge.c) are the judge's. */
struct cell_history {
	struct cell_op *op;
	uint32_t *gen; /* of each */
	size_t count, space;
};
int cell_log_load(const char *dir, struct cell_history *out);

#endif
