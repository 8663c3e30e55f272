/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sync/member.h - the host word, taken apart and moved.
 *
 * A host word {generation, state, recoverer, the recoverer's generation, manager epoch} changes only by CAS
 * against the word that was seen, and only along the moves of the table in
 * sync/member.c. Who may make a move is the caller's business: fabricd makes
 * those of the manager (through daxfs/member.h, which checks its epoch), a host
 * its own join and leave, a recoverer the last two.
 *
 * A host that leaves while SUSPECT first moves itself to ALIVE, then to FREE.
 */
#ifndef DAXFS_SYNC_MEMBER_H
#define DAXFS_SYNC_MEMBER_H

#include <errno.h>
#include <stdbool.h>

#include "daxfs/events.h"
#include "sync/lobby.h"

#define HOST_GENERATION_MAX 0xffffffu      /* 24 bits */
#define HOST_RECOVERER_MASK 0xfffff0000ull /* of a host word, or a toll: a recoverer and the recoverer's generation */
#define HOST_EPOCH_MASK 0xffffu            /* 16 bits of the manager epoch: enough to tell the last 65,536 apart */

struct daxfs_member {
	struct pool pool; /* superblock, membership region and events only */
	bool *here;       /* false in a child of the process that opened it */
};

struct host_word {
	uint32_t generation;
	enum daxfs_host_state state;
	int recoverer;                 /* host id; -1 unless state is RECOVERING */
	uint32_t recoverer_generation; /* DAXFS_RECOVERER_GENERATION of the recoverer; 0 unless RECOVERING */
	struct lobby_seat seat;        /* place 0 unless JOINING, or FENCING that was JOINING */
	uint32_t epoch;                /* of the manager that last moved it: its lower 16 bits */
};

static inline bool host_may_sit(unsigned state)
{
	return state == DAXFS_HOST_JOINING || state == DAXFS_HOST_FENCING;
}

static inline uint64_t host_word_pack(struct host_word w)
{
	uint64_t named = (uint64_t)(w.recoverer + 1) << 12 | DAXFS_RECOVERER_GENERATION(w.recoverer_generation);

	if (host_may_sit(w.state) && w.seat.place)
		named = (uint64_t)w.seat.place << 12 | (w.seat.ticket & LOBBY_TICKETS);
	return (uint64_t)(w.generation & HOST_GENERATION_MAX) << 40 | (uint64_t)w.state << 36 | named << 16 |
	       (w.epoch & HOST_EPOCH_MASK);
}

/*
 * A host word makes sense if 1 its state is one of enum daxfs_host_state, 2 it
 * names a recoverer exactly when it is RECOVERING, 3 which is a possible host,
 * 4 it names a place in the lobby in JOINING and FENCING alone, 5 which is a possible place.
 * -EIO otherwise: decide nothing from it.
 */
static inline int host_word_unpack(uint64_t v, struct host_word *out)
{
	unsigned state = (v >> 36) & 15, named = (v >> 28) & 255, which = (v >> 16) & 0xfff;
	bool sits = host_may_sit(state), recovering = state == DAXFS_HOST_RECOVERING;

	if (state >= DAXFS_HOST_STATES)
		return -EIO;
	if (recovering ? !named : named && !sits)
		return -EIO;
	if (!named && which)
		return -EIO;
	if (named > (sits ? DAXFS_LOBBY_PLACES : DAXFS_HOSTS_MAX))
		return -EIO;
	*out = (struct host_word){
		.generation = (uint32_t)(v >> 40),
		.state = (enum daxfs_host_state)state,
		.recoverer = sits ? -1 : (int)named - 1,
		.recoverer_generation = sits ? 0 : which,
		.seat = { .place = sits ? named : 0, .ticket = sits ? which : 0 },
		.epoch = (uint32_t)v & HOST_EPOCH_MASK,
	};
	return 0;
}

/* How many processes went on with a host of that generation, by its slot; what that says of another is nothing. */
static inline uint64_t host_successions(const struct sm_host *host, uint32_t generation)
{
	uint64_t said = sm_load_relaxed(&host->successions);

	return said >> 40 == generation ? said & ((1ull << 40) - 1) : 0;
}

/* Is from -> to in the table of moves? Any values may be asked about. */
bool member_move_legal(unsigned from, unsigned to);
/* Does entering to from from end the generation (+1)? */
bool member_move_ends_generation(unsigned from, unsigned to);

/*
 * Move a host from the word `seen` to `to`, which must be a legal move and
 * carry the generation that move calls for; a recoverer is dropped unless to is
 * RECOVERING. Written back and drained in the wb domain before it returns.
 * -EAGAIN: the word is no longer `seen`; -EINVAL: not legal; -EIO: seen makes no
 * sense. After the last generation comes the first again: see Counters in format.h.
 */
int member_move(struct pool *pool, unsigned host, uint64_t seen, struct host_word to);
/*
 * The same for a move of a host's own, or of its recoverer, that a new manager
 * must not spoil: if the word differs from `seen` in the manager's epoch alone (a
 * stamp), it is tried again from there. -EAGAIN: it differs in more.
 */
int member_move_own(struct pool *pool, unsigned host, uint64_t seen, struct host_word to);
/* One look at a slot, as daxfs_member_host: -EIO if its word makes no sense. */
int member_look(const struct pool *pool, unsigned host, struct daxfs_host_view *out);
/* What an event about a host says of it: filled from its slot, as far as that can be read. */
struct daxfs_event member_event(const struct pool *pool, enum daxfs_event_kind kind, unsigned host);
/*
 * End the generation of the tenant that *seen shows, which is over by what it is to `mine`: FENCING, a second
 * look, FENCED. A crash in between leaves it FENCING, for whoever comes next.
 * -EAGAIN: it is not over, or the word is another one: look again.
 */
int member_end(struct pool *pool, const struct daxfs_host_view *seen, const struct daxfs_identity *mine);
/*
 * Go on with the slot of a process of this boot that has ended: `process` in the place of `ended`, what its process
 * word said when that was seen. Model: successor.
 * -EAGAIN: somebody else has it, or is in it; -ESTALE: declared dead, or of another tenancy: nothing may be touched.
 * Crash in it: the slot is of a process that has ended, as before.
 */
int member_succeed(struct pool *pool, unsigned host, uint64_t tenancy, uint64_t ended, uint64_t process);

#endif
