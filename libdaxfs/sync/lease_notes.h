/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease_notes.h - what an operation has to see to, about leases, once its lane is left.
 *
 * Private to one thread. If it is lost, the next change that needs a lease back asks again: lease.h.
 */
#ifndef DAXFS_SYNC_LEASE_NOTES_H
#define DAXFS_SYNC_LEASE_NOTES_H

#include <stdint.h>

#define NOTES_RECALLS 4u
#define NOTES_OWN 8u /* inodes that one call changes, in all its records */

struct lease_notes {
	unsigned n_recalls, n_own;
	uint32_t recalls[NOTES_RECALLS]; /* inodes whose leases are to be recalled */
	uint64_t own[NOTES_OWN];         /* handles: changed by this call, and this host has a lease */
};

/* Note that leases of an inode are to be recalled before the operation is tried again, or returns. */
static inline void lease_notes_recall(struct lease_notes *notes, uint32_t index)
{
	for (unsigned i = 0; i < notes->n_recalls; i++)
		if (notes->recalls[i] == index)
			return;
	if (notes->n_recalls < NOTES_RECALLS)
		notes->recalls[notes->n_recalls++] = index;
}

/* Note that the call has changed what this host has a lease of. */
static inline void lease_notes_own(struct lease_notes *notes, uint64_t handle)
{
	for (unsigned i = 0; i < notes->n_own; i++)
		if (notes->own[i] == handle)
			return;
	if (notes->n_own < NOTES_OWN)
		notes->own[notes->n_own++] = handle;
}

#endif
