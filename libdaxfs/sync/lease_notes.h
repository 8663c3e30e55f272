/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease_notes.h - what an operation has to see to, about leases, once its lane is left.
 *
 * Private to one thread. If it is lost, the next change that needs a lease back asks again: lease.h.
 */
#ifndef DAXFS_SYNC_LEASE_NOTES_H
#define DAXFS_SYNC_LEASE_NOTES_H

#include <stdbool.h>
#include <stdint.h>

#define NOTES_RECALLS 4u
#define NOTES_OWN 8u /* inodes that one call changes, more than one record does */

/* an inode that this call changes (lease_own.h) */
struct lease_own_note {
	uint32_t index;
	bool told; /* this host's cache must forget it first */
};

struct lease_notes {
	unsigned n_recalls, n_own;
	bool told;                       /* one of `own` is */
	uint32_t recalls[NOTES_RECALLS]; /* inodes whose leases are to be recalled */
	struct lease_own_note own[NOTES_OWN];
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

/* Is there anything to do before the operation is tried again? */
static inline bool lease_notes_any(const struct lease_notes *notes)
{
	return notes->n_recalls || notes->told;
}

#endif
