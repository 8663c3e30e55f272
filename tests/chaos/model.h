/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model.h - what a thread's own tree must be: a filesystem in a few lines, in
 * private memory, without any cleverness. Single-threaded.
 */
#ifndef CHAOS_MODEL_H
#define CHAOS_MODEL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "oplog.h"

struct mnode;

struct mentry {
	char name[16];
	struct mnode *node;
};

struct mnode {
	mode_t mode;    /* with type */
	unsigned nlink; /* names; directories: 1 */
	unsigned holds; /* open slots */
	uint64_t ino;   /* 0: not known */
	uint8_t *data;  /* regular files; symlinks: the target */
	size_t size;
	struct mentry *entries;
	size_t n;
};

#define MODEL_SLOTS 4

struct model {
	struct mnode *root; /* the directory "own" */
	struct mnode *held[MODEL_SLOTS];
	uint32_t pattern; /* file id that the data of this tree is made from */
};

void model_init(struct model *m, uint32_t pattern);
void model_free(struct model *m);
/*
 * Do it. Returns what the operation must return; for reads and looks also
 * compares what it saw. A mismatch is told in why (empty otherwise).
 */
int model_apply(struct model *m, const struct op *op, char *err, size_t size);

#endif
