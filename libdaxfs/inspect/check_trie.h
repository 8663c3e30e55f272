/* SPDX-License-Identifier: Apache-2.0 */
/* check_trie.h - what the walk of a directory's nodes and that of the tree of directories share. */
#ifndef DAXFS_INSPECT_CHECK_TRIE_H
#define DAXFS_INSPECT_CHECK_TRIE_H

#include "inspect/check_walk.h"

/* of one directory */
struct dir_walk {
	struct check *c;
	uint64_t dir; /* inode */
	bool orphan;
	bool own; /* has names that are not of storage */
};

/* Everything below the root node of a directory (check_trie.c). */
void check_trie(struct dir_walk *d, uint64_t root);
/* What an entry names (check_dir.c). False: it leads nowhere, or where it must not. */
bool check_target(struct dir_walk *d, const struct sm_dirent *entry, uint64_t dirent, const struct place *at);

#endif
