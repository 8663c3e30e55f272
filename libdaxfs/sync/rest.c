/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rest.c - a lane whose numbers are used up starts again.
 *
 * {lane, seq} and {lane, number of a claim} name one thing each only if nobody can still hold the one of
 * the last round. A lane near its end rests: it makes no record, while the others of its host go
 * on. It starts again when no announcement is left that is older than that. Then
 *   - no helper is inside that has seen one of its old status words or claims (helpers announce
 *     first, and two looks at all announcements miss none: epoch.c);
 *   - no word has one of its marks (I1 of record.c) or claims (C2 of claim.c), nor a claim by
 *     others for one of its records: the helper that put it announces, until its recovery if it died;
 *   - a LIVE object may have a txid that comes again, but only a record that was staged before
 *     retires by it, and the lane that staged it announces.
 * Of its last number the lane keeps the lowest bit, by which its counters know that they have been told
 * of it (A3 of account.h): the next number has the other one, as ever.
 * So a host that died in an operation keeps a lane that happens to end now from work until it is recovered.
 * Crash: the numbers are those of before, or new ones; either is right, for the lane is IDLE.
 */
#include "sync/lane.h"

bool lane_rest(struct lane *lane)
{
	struct sm_lane *sm = lane->sm;

	epoch_rescan(&lane->epoch);
	if (!lane->rests)
		lane->rests = lane->epoch.scan.epoch; /* who comes from now on announces this, or later */
	if (lane->epoch.scan.oldest < lane->rests)
		return false;
	lane->seq &= 1;
	lane->claims = lane->rests = 0;
	/* ORD start over: after every announcement that is older was seen withdrawn. */
	sm_store(&sm->claim.number, 0);
	sm_store(&sm->status, status_make(lane->seq, OP_NONE, DAXFS_IDLE));
	sm_flush(&lane->pool->shm, &sm->claim, sizeof(sm->claim));
	sm_flush(&lane->pool->shm, &sm->status, sizeof(sm->status));
	sm_drain(&lane->pool->shm);
	return true;
}
