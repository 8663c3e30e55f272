/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_tree.h - the tree of a pool, copied into another while hosts change it.
 *
 * What the copy has:
 *
 *   T1 A name that was there from the beginning to the end, in a directory that was, is there once, with what it led
 *      to at some moment in between; so is a name that was replaced by rename.
 *   T2 A file's bytes and size are those of one moment. A hole that was filled and emptied within the microseconds
 *      of a look counts as a hole. Files that changed in each of LOOKS looks, or have more than COPY_INSTANT_MAX
 *      bytes, are copied by pieces of DAXFS_ATOMIC_WRITE_MAX, each of one moment: their names are told.
 *   T3 Moments of different files differ. A name that was moved meanwhile is there under one name, or both, or neither.
 *
 * T2: a view's pages are never changed, nor used again while it is open (daxfs/view.h). So if two looks at all of them,
 * one behind the other, find the same pages, all of these were the file's at the moment between the looks;
 * and they can be copied afterwards.
 */
#ifndef DAXFSCTL_COPY_TREE_H
#define DAXFSCTL_COPY_TREE_H

#include "daxfs/daxfs.h"

#define COPY_INSTANT_MAX (256ull << 20) /* while that is copied nothing that is removed in the pool is used again */

struct copy_tree {
	struct daxfs *from, *to; /* both joined; nobody else changes `to`, which is empty */
	/* A file that is not of one moment; may be NULL. */
	void (*in_pieces)(void *context, const char *path);
	void *context;
	uint64_t files, directories, others, bytes; /* copied */
	uint64_t storage;                           /* names of backing storage, which are left out */
	uint64_t pieces;                            /* files that are not of one moment */
};

/* 0 or -errno, with the path in err. */
int copy_tree(struct copy_tree *c, struct daxfs_error *err);

/* Bytes of one file, to one that is empty: 1 of one moment, 0 by pieces, -errno. copy_file.c */
int copy_file(struct daxfs *from, daxfs_ino ino, struct daxfs *to, daxfs_ino copy, uint64_t *bytes);

#endif
