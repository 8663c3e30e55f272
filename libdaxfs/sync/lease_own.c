/* SPDX-License-Identifier: Apache-2.0 */
/* lease_own.c - see lease_own.h. */
#include "sync/lease_own.h"

#include <stdlib.h>

#include "sync/lease.h"

#define BITS (8 * (unsigned)sizeof(atomic_uint))

struct lease_own *lease_own_make(const struct pool *pool)
{
	size_t words = pool->objects[DAXFS_T_INODE] / BITS + 1;

	return calloc(1, sizeof(struct lease_own) + words * sizeof(atomic_uint));
}

static bool is_set(const struct lease_own *own, uint64_t index)
{
	return atomic_load(&own->told[index / BITS]) >> index % BITS & 1;
}

bool lease_own_told_from(const struct lease_own *own, uint64_t *index, uint64_t end)
{
	while (*index < end && !is_set(own, *index))
		*index += atomic_load(&own->told[*index / BITS]) ? 1 : BITS - *index % BITS;
	return *index < end;
}

uint64_t lease_own_begun(const struct lease_own *own, uint64_t index)
{
	return atomic_load(&own->changing[index % LEASE_OWN_PLACES]) / LEASE_OWN_BEGUN;
}

bool lease_own_tells(struct lease_own *own, uint64_t index)
{
	/* Sequentially consistent, as the other side of it: one of both sees the other (O2). */
	atomic_fetch_or(&own->told[index / BITS], 1u << index % BITS);
	return !(uint32_t)atomic_load(&own->changing[index % LEASE_OWN_PLACES]) && is_set(own, index);
}

static bool was_told(const struct lease_own *own, uint32_t index)
{
	return is_set(own, index) || (own->all_ns && lease_clock() < own->all_ns);
}

static void let_go(struct lease_own *own, uint32_t index)
{
	atomic_fetch_sub(&own->changing[index % LEASE_OWN_PLACES], 1);
}

static struct lease_own_note take_out(struct lease_notes *notes, unsigned at)
{
	struct lease_own_note note = notes->own[at];

	for (unsigned i = at + 1; i < notes->n_own; i++)
		notes->own[i - 1] = notes->own[i];
	notes->n_own--;
	return note;
}

/*
 * The note of an inode, behind all others, so that the first one is of what was least lately about to be changed: it
 * makes room, for one record changes fewer inodes than are noted. A call that is refused again and again meets others
 * each time beside those that it has noted first.
 */
static struct lease_own_note *note_of(struct lease_own *own, struct lease_notes *notes, uint32_t index)
{
	struct lease_own_note note = { .index = index };
	unsigned at = 0;

	while (at < notes->n_own && notes->own[at].index != index)
		at++;
	if (at < notes->n_own) {
		note = take_out(notes, at);
	} else {
		if (notes->n_own == NOTES_OWN)
			let_go(own, take_out(notes, 0).index);
		atomic_fetch_add(&own->changing[index % LEASE_OWN_PLACES], LEASE_OWN_BEGUN + 1);
		note.told = was_told(own, index);
	}
	notes->own[notes->n_own] = note;
	return &notes->own[notes->n_own++];
}

bool lease_own_changes(struct lane *lane, const struct sm_inode *sm)
{
	struct lease_own *own = lane->pool->own;
	struct lease_notes *notes = &lane->notes;
	uint32_t index = (uint32_t)(sm - lane->pool->inodes);
	const struct lease_own_note *note;

	if (!own)
		return false;
	note = note_of(own, notes, index);
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

void lease_own_clear(struct lease_own *own, uint64_t index)
{
	atomic_fetch_and(&own->told[index / BITS], ~(1u << index % BITS));
}

void lease_own_end(struct lane *lane)
{
	for (unsigned i = 0; i < lane->notes.n_own; i++)
		let_go(lane->pool->own, lane->notes.own[i].index);
	lane->notes.n_own = 0;
	lane->notes.told = false;
}
