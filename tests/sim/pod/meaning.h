/* SPDX-License-Identifier: Apache-2.0 */
/* meaning.h - the inside of the sequential model: see pod/model.h. */
#ifndef SIM_POD_MEANING_H
#define SIM_POD_MEANING_H

#include "pod/model.h"

#define MODEL_INODES 4096u

struct model_page;

struct minode {
	uint64_t handle;
	uint32_t mode, uid, gid, nlink;
	uint64_t holders, size, version, tag; /* tag: of a symbolic link's target */
	unsigned parent;                      /* of a directory: place in model.inode */
	unsigned entry[MODEL_NAMES];          /* place + 1, 0: no such name */
	struct model_page *pages;
	unsigned n_pages;
	bool stored; /* a file of storage */
};

extern struct model {
	uint64_t clock;
	unsigned n;
	struct minode inode[MODEL_INODES]; /* all that ever were; 0 the root */
} model;

struct minode *model_find(uint64_t handle);
bool minode_exists(const struct minode *m);
struct minode *model_new(uint64_t handle, uint32_t mode);
/* Nothing is left at or past size. */
void minode_cut(struct minode *m, uint64_t size);
void minode_write(struct minode *m, uint64_t tag, uint64_t offset, uint64_t len);

/* Make it so. NULL, or why it cannot be. */
const char *meaning_apply(const struct op *op, const struct commit *c, bool vanished);

#endif
