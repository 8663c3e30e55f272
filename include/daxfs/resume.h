/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resume.h - going on with the membership of a process that has ended.
 *
 * For programs that are served on after a crash or an upgrade, as the mount is. What
 * holds for all calls stands at the head of daxfs.h.
 */
#ifndef DAXFS_RESUME_H
#define DAXFS_RESUME_H

#include "daxfs/daxfs.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What became of a request, for whoever goes on with it. In memory that outlives the process and that
 * begins as zeros for each request. Of the two steps one is current: the last record that may
 * have made the request, or a part of it, happen.
 */
struct daxfs_receipt_step {
	uint64_t txid;       /* of the record; 0: none was made */
	uint64_t happened;   /* it did, as far as is known: see daxfs_resume */
	uint64_t ino;        /* of the file that it made, or 0 */
	uint64_t from, upto; /* what was done before it, and is when it has happened: bytes of a write, else 1 */
};
struct daxfs_receipt {
	uint64_t current; /* step */
	struct daxfs_receipt_step step[2];
};

/* What of the request is done: bytes of a write, else 0 or 1. */
static inline uint64_t daxfs_receipt_done(const struct daxfs_receipt *r)
{
	const struct daxfs_receipt_step *step = &r->step[r->current & 1];

	return step->happened ? step->upto : step->from;
}

/*
 * daxfs_receipt_use - keep a receipt of what this thread asks for
 *
 * From here on, until it is called with another one or NULL. Calls that create, link, remove, rename, write or
 * set attributes note in it what happens. It must stay until then.
 *
 * Errors:
 * -EAGAIN   the process has too many keys of threads (pthread_key_create)
 * -ENOMEM   out of memory
 * Crash: the receipt and the pool together tell what of the request happened.
 */
DAXFS_API int daxfs_receipt_use(struct daxfs *fs, struct daxfs_receipt *receipt);

/*
 * daxfs_tenancy - the number of this membership
 *
 * Of the slot that this process has joined, as nobody had it before; 0: it has not joined.
 */
DAXFS_API uint64_t daxfs_tenancy(struct daxfs *fs);

/*
 * daxfs_resume - go on with the membership of a process that has ended
 *
 * For the same slot and tenancy, by another process of the same machine and boot, which must know that the
 * former one has ended (it was its parent, or has seen its end by a pidfd): then nothing stores any more for it.
 * Operations that were in progress are finished or undone, and the n receipts of them say which. Files
 * stay open and locks stay; how often each file was open is not known: call daxfs_file_open for each,
 * then daxfs_resume_end. Pages of storage that it was reading are nobody's from here on: who wants one reads it.
 *
 * Errors:
 * -ESTALE   the tenancy is over: declared dead, or left; or another process goes on with it
 * -EINVAL   no such slot, already joined, or mapped read-only
 * -EIO      what was in progress makes no sense
 * Crash: whoever resumes next begins anew.
 */
DAXFS_API int daxfs_resume(struct daxfs *fs, unsigned host, uint64_t tenancy, struct daxfs_receipt *const *receipts,
			   unsigned n, struct daxfs_error *err);

/*
 * daxfs_away - say that this host will be silent for a while
 *
 * Because this process is about to end, and another one will resume. The manager then waits so many milliseconds
 * more, at most DAXFS_AWAY_MAX_MS, before it declares the host dead. The next daxfs_resume takes it back. Does
 * nothing in a process that has not joined.
 *
 * Crash: the death of this host is found that much later.
 */
DAXFS_API void daxfs_away(struct daxfs *fs, unsigned ms);

/*
 * daxfs_resume_end - close what has not been opened again since daxfs_resume
 *
 * With that end the locks that the former process had there. Other threads may open files meanwhile.
 */
DAXFS_API int daxfs_resume_end(struct daxfs *fs);

#ifdef __cplusplus
}
#endif
#endif
