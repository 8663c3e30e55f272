/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lobby.c - who is about to join a host slot, written down before the slot is taken.
 *
 * A host that dies in a slot which does not say who it is could not be fenced: nothing
 * says what to cut off. To write the name first is no way either: two hosts may want the
 * slot. So a host takes a place in the lobby, writes its card there, and takes the slot
 * with the number and the ticket of that place in the host word:
 *
 *   1 place: CAS {t, free} -> {t + 1, taken}       crash: a place is taken by nobody
 *   2 the card and its check are written, and back   crash: the same
 *   3 slot: CAS FREE -> JOINING {place, t + 1}     crash: the card says who died
 *   4 name, identity, tenancy are written into the slot, and back
 *   5 place: CAS {t + 1, taken} -> {t + 1, free}   crash before it: as after 1, and the slot says who died
 *
 * The check is a hash of the card and the ticket. A card is believed if its check is right for the
 * ticket that the slot names, and for nothing else: so it does not matter in which order it is
 * read or written, nor who else writes there.
 *
 * A place that its taker will never leave is known by nothing: it may just be slow. When
 * none is free, one that no slot names is taken over, with the next ticket. Its former taker,
 * if it is there after all, finds its ticket outdated after step 3, and gives up:
 *
 *   host A, slow                          host B
 *   1: place 5, ticket 8
 *     ... stopped ...                     no place is free: 5 {8} -> {9}; its own card
 *   2: its card, over B's                 JOINING {5, 9}: the check is wrong for 9, nobody is named
 *   3: JOINING {5, 8}
 *   looks at 5: ticket 9; gives up
 *
 * What that costs: if B dies in these microseconds, or A, the operator has to say so. A ticket
 * comes round after 4096 takers of one place. Model: lobby.
 */
#include "sync/lobby.h"

#include <ctype.h>
#include <string.h>

#include "mem/identity.h"
#include "mem/siphash.h"
#include "sync/member.h"

#define TAKEN 1u

static struct sm_lobby *place_at(const struct pool *pool, unsigned place)
{
	struct sm_lobby *lobby = (void *)((uint8_t *)pool->member - DAXFS_PAGE_SIZE + DAXFS_LOBBY_OFFSET);

	return &lobby[place - 1];
}

static uint64_t word_of(uint32_t ticket, bool taken)
{
	return (uint64_t)(ticket & LOBBY_TICKETS) << 1 | (taken ? TAKEN : 0);
}

static uint32_t ticket_of(uint64_t word)
{
	return (uint32_t)(word >> 1) & LOBBY_TICKETS;
}

/* -- cards ------------------------------------------------------------------------- */

struct card card_make(const char *name, const struct daxfs_identity *identity)
{
	struct card card = { .process = 0 };

	if (name)
		memcpy(card.name, name, strnlen(name, sizeof(card.name) - 1));
	if (!identity)
		return card;
	memcpy(card.machine, identity->machine, sizeof(card.machine));
	memcpy(card.boot, identity->boot, sizeof(card.boot));
	card.process = identity_process(identity);
	card.pids = identity->pids;
	return card;
}

void card_show(const struct card *card, char name[32], struct daxfs_identity *identity)
{
	*identity = (struct daxfs_identity){
		.pid = (uint32_t)card->process,
		.began = (uint32_t)(card->process >> 32),
		.pids = (uint32_t)card->pids,
	};
	memcpy(identity->machine, card->machine, sizeof(identity->machine));
	memcpy(identity->boot, card->boot, sizeof(identity->boot));
	memcpy(name, card->name, sizeof(card->name));
	name[31] = '\0';
	for (char *c = name; *c; c++)
		if (!isprint((unsigned char)*c))
			*c = '?';
}

void card_store(struct card_words to, const struct card *card)
{
	for (unsigned i = 0; i < 4; i++)
		sm_store_relaxed(&to.name[i], card->name[i]);
	for (unsigned i = 0; i < 2; i++) {
		sm_store_relaxed(&to.machine[i], card->machine[i]);
		sm_store_relaxed(&to.boot[i], card->boot[i]);
	}
	sm_store_relaxed(to.process, card->process);
	sm_store_relaxed(to.pids, card->pids);
}

void card_load(struct card_words from, struct card *out)
{
	for (unsigned i = 0; i < 4; i++)
		out->name[i] = sm_load_relaxed(&from.name[i]);
	for (unsigned i = 0; i < 2; i++) {
		out->machine[i] = sm_load_relaxed(&from.machine[i]);
		out->boot[i] = sm_load_relaxed(&from.boot[i]);
	}
	out->process = sm_load_relaxed(from.process);
	out->pids = sm_load_relaxed(from.pids);
}

static uint64_t check_of(const struct card *card, uint32_t ticket)
{
	const uint64_t key[2] = { 0x6c6f626279ull, ticket };

	return siphash24(key, card, sizeof(*card));
}

/* Crash before the slot names the place: a card of nobody. */
static void write_card(struct pool *pool, struct lobby_seat seat, const struct card *card)
{
	struct sm_lobby *at = place_at(pool, seat.place);

	card_store(CARD_WORDS(at), card);
	sm_store_relaxed(&at->check, check_of(card, seat.ticket));
	sm_flush(&pool->shm, at, sizeof(*at));
	sm_drain(&pool->shm);
}

bool lobby_read(const struct pool *pool, struct lobby_seat seat, struct card *out)
{
	struct sm_lobby *at = place_at(pool, seat.place);

	if (!seat.place || seat.place > DAXFS_LOBBY_PLACES)
		return false;
	card_load(CARD_WORDS(at), out);
	return sm_load_relaxed(&at->check) == check_of(out, seat.ticket);
}

/* -- places ------------------------------------------------------------------------- */

/* Does a slot name that place, so that its card may be asked for? */
static bool named(const struct pool *pool, unsigned place, uint32_t ticket)
{
	struct host_word word;

	for (unsigned i = 0; i < pool->super.hosts; i++)
		if (host_word_unpack(sm_load(&pool->member->host[i].word), &word) == 0 && word.seat.place == place &&
		    word.seat.ticket == ticket)
			return true;
	return false;
}

/* Take that place; over: from a taker that no slot names, too. */
static bool take(struct pool *pool, unsigned place, bool over, struct lobby_seat *out)
{
	sm_u64 *word = &place_at(pool, place)->word;
	uint64_t seen = sm_load(word);
	uint32_t ticket = (ticket_of(seen) + 1) & LOBBY_TICKETS;

	if (seen & TAKEN && (!over || named(pool, place, ticket_of(seen))))
		return false;
	/* ORD place: nothing; a card is known by its check. */
	if (!sm_cas(word, seen, word_of(ticket, true)))
		return false;
	*out = (struct lobby_seat){ .place = place, .ticket = ticket };
	return true;
}

struct lobby_seat lobby_enter(struct pool *pool, unsigned from, const struct card *card)
{
	struct lobby_seat seat = { .place = 0 };

	for (unsigned i = 0; !seat.place && i < 2 * DAXFS_LOBBY_PLACES; i++)
		if (take(pool, (from + i) % DAXFS_LOBBY_PLACES + 1, i >= DAXFS_LOBBY_PLACES, &seat))
			break;
	if (seat.place)
		write_card(pool, seat, card);
	return seat;
}

bool lobby_holds(const struct pool *pool, struct lobby_seat seat)
{
	return sm_load(&place_at(pool, seat.place)->word) == word_of(seat.ticket, true);
}

void lobby_leave(struct pool *pool, struct lobby_seat seat)
{
	sm_u64 *word = &place_at(pool, seat.place)->word;

	/* ORD leave lobby: after the slot says who we are (written back). Crash before: taken over one day. */
	sm_cas(word, word_of(seat.ticket, true), word_of(seat.ticket, false));
}
