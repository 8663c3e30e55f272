/* SPDX-License-Identifier: Apache-2.0 */
/* lobby.h - who is about to join; see lobby.c. */
#ifndef DAXFS_SYNC_LOBBY_H
#define DAXFS_SYNC_LOBBY_H

#include "daxfs/member.h"
#include "mem/pool.h"

#define LOBBY_TICKETS 0xfffu

/* who a host is, as words of its slot or of a place in the lobby */
struct card {
	uint64_t name[4], machine[2], boot[2], process, pids;
};

/* name: NULL or shorter than sizeof(card.name); identity: NULL if not known. */
struct card card_make(const char *name, const struct daxfs_identity *identity);
/* What is read may be anything: the name is terminated, and nothing in it drives a terminal. */
void card_show(const struct card *card, char name[32], struct daxfs_identity *identity);

/* Where the words of a card are. */
struct card_words {
	sm_u64 *name, *machine, *boot, *process, *pids;
};
/* In a slot, or in a place of the lobby. */
#define CARD_WORDS(at) ((struct card_words){ (at)->name, (at)->machine, (at)->boot, &(at)->process, &(at)->pids })
/* Relaxed: whether the card is whole something else tells, which the caller orders. */
void card_store(struct card_words to, const struct card *card);
void card_load(struct card_words from, struct card *out);

/* A place, and the ticket under which it was taken. */
struct lobby_seat {
	unsigned place; /* from 1 on; 0: none */
	uint32_t ticket;
};

/* Take a place and write the card there; `from`: where to begin to look. Written back before it returns. */
struct lobby_seat lobby_enter(struct pool *pool, unsigned from, const struct card *card);
/* Is the place still ours? */
bool lobby_holds(const struct pool *pool, struct lobby_seat seat);
/* Leave it, if it is. */
void lobby_leave(struct pool *pool, struct lobby_seat seat);
/* The card that was written there under that ticket; false: it is not there any more. */
bool lobby_read(const struct pool *pool, struct lobby_seat seat, struct card *out);

#endif
