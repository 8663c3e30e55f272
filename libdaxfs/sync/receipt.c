/* SPDX-License-Identifier: Apache-2.0 */
/*
 * receipt.c - what becomes of a request, noted where the caller has it outlive the process.
 *
 * A record is noted before it can happen, and that it has, as soon as it is over. If the process dies
 * between the two, the status of the lane says it (DAXFS_STATUS_HAPPENED), for the lane has made no other
 * record since: fs/resume.c. A receipt has two steps, of which one is current, so that a later part of a
 * request replaces an earlier one by one store. It is private memory: one thread writes it.
 */
#include "sync/record.h"

/* Does the request of a receipt happen with such a record? Others prepare it or clean up behind it. */
static bool is_visible(unsigned operation)
{
	return (operation >= OP_CREATE && operation <= OP_WRITE) || operation == OP_XATTR;
}

/* Note which record it is, before it can happen, in the step that is not current; then make that current. */
void receipt_note(struct lane *lane)
{
	unsigned operation = status_operation(sm_load_relaxed(&lane->sm->status));
	struct daxfs_receipt *r = lane->txn.receipt;
	struct daxfs_receipt_step *last, *next;

	if (!r || !is_visible(operation))
		return;
	last = &r->step[r->current & 1];
	next = &r->step[~r->current & 1];
	*next = (struct daxfs_receipt_step){
		.txid = txid_make(lane->id, lane->seq),
		.ino = operation == OP_CREATE ? lane->txn.made : 0,
		.from = last->happened ? last->upto : last->from,
	};
	next->upto = next->from + (operation == OP_WRITE ? lane->txn.piece : 1);
	__atomic_store_n(&r->current, ~r->current & 1, __ATOMIC_RELEASE);
}

void receipt_happened(struct lane *lane)
{
	struct daxfs_receipt *r = lane->txn.receipt;
	struct daxfs_receipt_step *step = r ? &r->step[r->current & 1] : NULL;

	if (step && step->txid == txid_make(lane->id, lane->seq))
		__atomic_store_n(&step->happened, 1, __ATOMIC_RELEASE);
}
