/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops_deferred.h - a request that waits in a queue of its backing, for a thread that may wait for storage.
 *
 * Any of these threads answers it, once. Shared by ops_backed.c (files) and ops_backed_names.c (names).
 */
#ifndef AGENT_OPS_DEFERRED_H
#define AGENT_OPS_DEFERRED_H

#include "node-agent/ops.h"

struct deferred {
	struct backing_work work; /* first */
	struct backing *b;        /* kept */
	struct channel_place place;
	fuse_req_t req;
	void (*run)(struct deferred *d);
	daxfs_ino ino;
	size_t size;
	off_t offset;
	unsigned flags; /* of a write: DAXFS_APPEND; of what is set: enum daxfs_set; of open, create, rename: theirs */
	bool cached, noted; /* a read: for the kernel's cache; as one that waits for storage (kernel_pages_wait) */
	bool sync, kept;    /* a write: to be safe; of pages of a mapping, which keeps all bits of the mode */
	void *buf;          /* of a write; the target of a link; to be freed */
	struct daxfs_attr attr;
	char name[256];
	daxfs_ino to_dir; /* of a rename */
	char to_name[256];
};

/* The backing is kept by the request from here on. */
void ops_defer(fuse_req_t req, struct backing *b, const struct deferred *how, bool writes);

#endif
