/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops_again.c - requests that a former process of the agent had begun (estate.h).
 *
 * Its successor is asked for them again. What the receipt says is done is answered; what is
 * not, is done; of a large write, the rest. An open is done if its number stands for a file.
 * A file that was made, and removed by another host since, cannot be told of any more:
 * ESTALE, as if it had been found and was gone. Times are set once more.
 *
 * Any worker, any time: a request is one worker's.
 */
#include "node-agent/ops.h"

#include <errno.h>

uint64_t ops_done(void)
{
	const struct estate_request *r = channel_request();

	return r ? daxfs_receipt_done(&r->receipt) : 0;
}

daxfs_ino ops_made(void)
{
	const struct estate_request *r = channel_request();
	const struct daxfs_receipt_step *step;

	if (!r)
		return 0;
	step = &r->receipt.step[r->receipt.current & 1];
	return step->happened ? step->ino : 0;
}

bool ops_answered_done(fuse_req_t req)
{
	if (!ops_done())
		return false;
	ops_reply(req, 0);
	return true;
}

bool ops_answered_entry(fuse_req_t req, daxfs_ino ino)
{
	struct daxfs_attr attr;
	int error;

	if (!ops_done() || !ino)
		return false;
	error = daxfs_getattr(ops_fs(req), ino, &attr);
	ops_reply_entry(req, error, &attr);
	return true;
}

void ops_aside(fuse_req_t req, bool aside)
{
	channel_aside(ops_fs(req), aside);
}

uint64_t ops_new_file(fuse_req_t req)
{
	struct estate_request *r = channel_request();
	struct estate *e = ops_of(req)->estate;
	uint64_t fh;

	if (r && estate_file(e, r->fh))
		return r->fh;
	fh = estate_file_new(e);
	if (r)
		__atomic_store_n(&r->fh, fh, __ATOMIC_RELEASE); /* before it stands for a file */
	return fh;
}

int ops_open_file(fuse_req_t req, uint64_t fh, daxfs_ino ino)
{
	struct estate *e = ops_of(req)->estate;
	int error;

	if (!fh)
		return -ENFILE;
	if (estate_file(e, fh))
		return 0; /* in a former life; this one holds it already */
	estate_file_set(e, fh, ino);
	error = daxfs_file_open(ops_fs(req), ino);
	if (error)
		estate_file_free(e, fh);
	return error;
}

int ops_close_file(fuse_req_t req, uint64_t fh)
{
	struct estate *e = ops_of(req)->estate;
	daxfs_ino ino = estate_file(e, fh);
	int error = ino ? daxfs_file_close(ops_fs(req), ino) : 0;

	if (!ino)
		return 0;
	if (ops_of(req)->pages.on && estate_file_is_cached(e, fh))
		kernel_pages_close(&ops_of(req)->pages, ino);
	estate_file_free(e, fh);
	return error;
}
