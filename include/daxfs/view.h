/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.h - reading and writing where the bytes lie, without a copy.
 *
 * A view gives pointers to a file's bytes in the pool. They never change, for a write replaces pages, and
 * stay until the view is renewed or closed; so does, in the pool, all that is replaced or removed meanwhile.
 * A draft gives fresh pages for the caller to fill, and one commit publishes them: until then nobody sees any of it,
 * and a crash leaves the file as it was. Each occupies one of the host's lanes while it is open.
 * Included by daxfs.h, at whose head stands what holds for all calls.
 */
#ifndef DAXFS_VIEW_H
#define DAXFS_VIEW_H

#include "daxfs/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* -- reading --------------------------------------------------------------------- */

struct daxfs_view;

/*
 * daxfs_view_open - begin to read without copying
 *
 * A view occupies one of this host's lanes until it is closed. One thread at a time. A lane that has
 * used up its numbers (2^43 records) starts again when all that was open then is closed or renewed; where
 * this host's views and drafts are all that the others wait for, each call takes 0.1 s until they are.
 *
 * Errors:
 * -EBUSY    only one lane is left
 * -ENOMEM
 * Crash: a view that its host left behind is closed by recovery.
 */
DAXFS_API int daxfs_view_open(struct daxfs *fs, struct daxfs_view **out);

/*
 * daxfs_view_read - a pointer to a file's bytes
 *
 * *out points to the byte at offset; returns how many lie together there: up to the end of a page, or
 * further where more of the file follows in memory, or up to the end of the file, where it returns 0.
 * They never change, for a write replaces pages; they stay until the view is renewed or closed, and so
 * does, in the pool, all that is replaced or removed meanwhile: renew often.
 *
 * Errors:
 * -ESTALE   this host was declared dead, or the file is gone
 * -EAGAIN   the file's size changes all the time: try again
 * -ENODATA  they are in storage (cache.h), and not in the pool: daxfs_read brings them
 * -EISDIR   a directory
 * -EINVAL   not a regular file
 */
DAXFS_API ssize_t daxfs_view_read(struct daxfs_view *view, daxfs_ino ino, uint64_t offset, const void **out);

/*
 * daxfs_view_renew - let go of what a view has shown
 *
 * Pointers that it gave are void from here on.
 */
DAXFS_API void daxfs_view_renew(struct daxfs_view *view);

/*
 * daxfs_view_close - end a view
 *
 * Pointers that it gave are void from here on.
 */
DAXFS_API void daxfs_view_close(struct daxfs_view *view);

/* -- writing --------------------------------------------------------------------- */

struct daxfs_draft;

/*
 * daxfs_draft_begin - begin to write without copying
 *
 * offset and len (up to DAXFS_ATOMIC_WRITE_MAX) are multiples of 4096. pages[] receives len / 4096
 * pointers to pages of 4096 bytes with any contents, all of which the caller fills. A draft occupies
 * one of this host's lanes until it ends. One thread at a time.
 *
 * Errors:
 * -EBUSY    only one lane is left
 * -EINVAL   offset or len is no such multiple, or len is too large or 0
 * -EFBIG    beyond 4 TiB
 * -ENOMEM
 * Crash: the file is as it was; recovery frees the pages.
 */
DAXFS_API int daxfs_draft_begin(struct daxfs *fs, daxfs_ino ino, uint64_t offset, size_t len, void **pages,
				struct daxfs_draft **out);

/*
 * daxfs_draft_commit - publish a draft
 *
 * All its pages become the file's at once; the file grows if they end past its end. Ends the draft,
 * whatever it returns.
 *
 * Errors:
 * -EAGAIN   somebody changed the range, or the end of a longer file, meanwhile: nothing happened, draft it anew
 * Crash: happened wholly or not at all.
 */
DAXFS_API int daxfs_draft_commit(struct daxfs_draft *draft);

/*
 * daxfs_draft_abort - give a draft up
 *
 * Frees its pages.
 */
DAXFS_API void daxfs_draft_abort(struct daxfs_draft *draft);

#ifdef __cplusplus
}
#endif
#endif
