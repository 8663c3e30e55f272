/* SPDX-License-Identifier: Apache-2.0 */
/*
 * args.h - command lines: --name VALUE or --name=VALUE anywhere, and words.
 *
 * A table says which options there are; nothing is taken that is not in it, and
 * a number out of range is refused, never cut. Private memory, no state.
 */
#ifndef DAXFSCTL_ARGS_H
#define DAXFSCTL_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "daxfs/daxfs.h"

enum arg_kind {
	ARG_FLAG,   /* bool: present */
	ARG_TEXT,   /* const char * */
	ARG_NUMBER, /* struct arg_number */
	ARG_SIZE,   /* struct arg_number: with K, M, G or T, powers of 1024 */
};

struct arg_number {
	uint64_t value;
	bool given;
};

struct arg {
	const char *name; /* without the dashes */
	enum arg_kind kind;
	void *to;
	uint64_t max; /* of numbers; 0: any */
};

struct args {
	const struct arg *table;
	unsigned n;
	const char **words; /* filled with what is no option */
	unsigned words_max, n_words;
};

/* -EINVAL with a reason. */
int args_parse(struct args *args, int argc, char **argv, struct daxfs_error *err);
/* "512", "2G", "1.5T", "64MiB": 0 or -EINVAL. */
int args_size(const char *text, uint64_t *out);
int args_number(const char *text, uint64_t *out);

#endif
