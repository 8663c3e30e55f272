/* SPDX-License-Identifier: Apache-2.0 */
/* lease_own.c - see lease_own.h. */
#include "sync/lease_own.h"

#include <stdlib.h>

#include "sync/lease.h"

#define BITS (8 * (unsigned)sizeof(atomic_uint))

struct lease_own *lease_own_make(const struct pool *pool, uint64_t all_ns)
{
	struct lease_own *own = calloc(1,
				       sizeof(*own) + (pool->objects[DAXFS_T_INODE] / BITS + 1) * sizeof(own->told[0]));

	if (own)
		own->all_ns = all_ns;
	return own;
}

static bool is_set(const struct lease_own *own, uint64_t index)
{
	return atomic_load(&own->told[index / BITS]) >> index % BITS & 1;
}

bool lease_own_tells(struct lease_own *own, uint64_t index)
{
	/* Sequentially consistent, as the other side of it: one of both sees the other (O2). */
	atomic_fetch_or(&own->told[index / BITS], 1u << index % BITS);
	return !atomic_load(&own->changing[index % LEASE_OWN_PLACES]) && is_set(own, index);
}

static bool was_told(const struct lease_own *own, uint32_t index)
{
	return is_set(own, index) || (own->all_ns && lease_clock() < own->all_ns);
}

static void let_go(struct lease_own *own, uint32_t index)
{
	atomic_fetch_sub(&own->changing[index % LEASE_OWN_PLACES], 1);
}

/* The oldest makes room: its record was decided, for one changes fewer than are noted. */
static struct lease_own_note *add_note(struct lease_own *own, struct lease_notes *notes)
{
	if (notes->n_own == NOTES_OWN) {
		let_go(own, notes->own[0].index);
		for (unsigned i = 1; i < NOTES_OWN; i++)
			notes->own[i - 1] = notes->own[i];
		notes->n_own--;
	}
	return &notes->own[notes->n_own++];
}

bool lease_own_changes(struct lane *lane, const struct sm_inode *sm)
{
	struct lease_own *own = lane->pool->own;
	struct lease_notes *notes = &lane->notes;
	uint32_t index = (uint32_t)(sm - lane->pool->inodes);
	struct lease_own_note *note;

	if (!own)
		return false;
	for (unsigned i = 0; i < notes->n_own; i++)
		if (notes->own[i].index == index)
			return notes->own[i].told;
	note = add_note(own, notes);
	note->index = index;
	atomic_fetch_add(&own->changing[index % LEASE_OWN_PLACES], 1);
	note->told = was_told(own, index);
	notes->told |= note->told;
	return note->told;
}

bool lease_own_next(struct lane *lane, uint32_t *index)
{
	struct lease_notes *notes = &lane->notes;

	for (unsigned i = 0; i < notes->n_own; i++)
		if (notes->own[i].told) {
			*index = notes->own[i].index;
			notes->own[i].told = false;
			return true;
		}
	notes->told = false;
	return false;
}

void lease_own_forgotten(struct lane *lane, uint32_t index)
{
	atomic_fetch_and(&lane->pool->own->told[index / BITS], ~(1u << index % BITS));
}

void lease_own_end(struct lane *lane)
{
	for (unsigned i = 0; i < lane->notes.n_own; i++)
		let_go(lane->pool->own, lane->notes.own[i].index);
	lane->notes.n_own = 0;
	lane->notes.told = false;
}
