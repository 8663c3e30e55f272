/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops_map.c - shared mappings, and what keeps them from breaking a database.
 *
 * The programs of one host share pages of its page cache, which the kernel keeps
 * coherent with their reads and writes. Other hosts see what is written to a mapping
 * once it is written back (msync, the last close), and a mapping sees what they write once
 * it is mapped anew, or the file is looked at (stat): as on NFS.
 *
 * That is not enough for programs of two hosts that take turns by locks, or keep
 * their locks in the mapping itself (SQLite's -shm, LMDB's lock file): each would
 * believe its own pages. The kernel tells us of no mmap(2), but it asks for the pages, by a file
 * that is open for reading and writing, and writes them back. From the first such
 * request on, the pool has a mapping of this host among the file's locks (DAXFS_LOCK_MAP):
 * it refuses the locks of other hosts, until this host has closed the file.
 *
 * If it is refused itself, the file has locks, and another host mapped it first: both
 * took a lock before either had a page. The request waits, for when the other has closed
 * the file all is well; after a time the program gets SIGBUS. So such programs work on any host, but
 * on one host at a time: they find the file locked elsewhere.
 *
 * Mappings of files that are open for reading alone are not held against anybody: they are
 * programs and libraries, mostly. Crash: the mapping goes when the host is recovered.
 */
#include "node-agent/ops.h"

#include <errno.h>

#define WAIT_MS 30000u

static const struct daxfs_lock map = { .kind = DAXFS_LOCK_MAP, .type = DAXFS_LOCK_READ };

static void map_done(fuse_req_t req, daxfs_ino ino, const struct lockwait_then *then, int error)
{
	if (error)
		ops_reply(req, -EIO);
	else
		ops_read(req, ino, then->size, then->offset, true);
}

void ops_map_read(fuse_req_t req, daxfs_ino ino, size_t size, off_t offset)
{
	struct lockwait_then then = { .done = map_done, .size = size, .offset = offset, .ms = WAIT_MS };
	int error = daxfs_lock(ops_fs(req), ino, &map);

	if (error == -EAGAIN) {
		error = lockwait_add(&ops_of(req)->lockwait, req, ino, &map, &then);
		if (!error)
			return;
	}
	map_done(req, ino, &then, error);
}

int ops_map_write(fuse_req_t req, daxfs_ino ino)
{
	int error = daxfs_lock(ops_fs(req), ino, &map);

	return error == -EAGAIN ? -EIO : error;
}
