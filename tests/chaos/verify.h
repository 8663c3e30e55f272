/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify.h - inside the oracle: what the logs say against what a mount shows.
 *
 * Runs alone, after the load has stopped and recovery is done, so what it sees
 * is final. Single-threaded. Each check looks at one family of operations and
 * reports every contradiction with what, where and whose operation.
 */
#ifndef CHAOS_VERIFY_H
#define CHAOS_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "linear.h"
#include "oplog.h"
#include "payload.h"

/* After everything in the logs: when the final state is looked at. */
#define TIME_FINAL (UINT64_MAX - 10)

struct verify {
	struct oplog log;
	const char *round;
	int root; /* of the round's directory */
	uint64_t violations, shown;
	uint64_t blocks, records, names, own_files, pending, histories; /* verified */
};

void bad(struct verify *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Out of memory and the like: not a verdict. Exits 2. */
_Noreturn void give_up(const char *format, ...) __attribute__((format(printf, 1, 2)));
void *get_memory(size_t count, size_t size); /* zeroed; gives up */

/* The operations for which pick() is true, in order of start; *n of them. */
const struct op **select_ops(const struct verify *v, bool (*pick)(const struct op *op, const void *arg),
			     const void *arg, size_t *n);
/* A whole file under the round's directory; NULL and -errno if it cannot be read. */
uint8_t *slurp(const struct verify *v, const char *path, size_t *size, int *error);
/* Call each(arg, name) for every entry of a directory but "." and "..". */
void each_entry(struct verify *v, const char *dir, void (*each)(void *arg, const char *name), void *arg);
/* As linear_step, of an operation of the logs. */
typedef bool (*history_step)(uint64_t state, const struct op *op, uint64_t *next);
enum linear_verdict judge_history(const struct op *const *ops, size_t n, uint64_t initial, history_step step,
				  const struct op **culprit);
/* One history of one object; reports if it is impossible. */
void check_history(struct verify *v, const char *what, const struct op *const *ops, size_t n, uint64_t initial,
		   history_step step);

void check_expected_errors(struct verify *v);
void check_blocks(struct verify *v);
void check_appends(struct verify *v);
void check_names(struct verify *v);
void check_dirs(struct verify *v);
void check_tokens(struct verify *v);
void check_own(struct verify *v);
void check_tree(struct verify *v);

/* The oracle's own parts on histories whose verdict is known; 0 when right. */
int self_test(void);

#endif
