/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lobby.pml - who is about to join a slot, written down before the slot is taken.
 *
 * Hosts 1 to HOSTS want one slot; the lobby has one place, so that each wants that,
 * too. Any of them may stop for good between any two of its steps. A manager looks at
 * any moment: if the slot is JOINING it wants to know whose it is, and moves it to FENCING
 * by CAS from the word that it saw. A host that finds itself FENCING does nothing more.
 *
 *   place    {ticket, taken}   card: a host's number, and a check of that and its ticket
 *   slot     {state, ticket}   with the name and the tenancy of its tenant
 *
 * Checked: whoever the manager finds named is who has taken the slot; and of one that died
 * the name is known, if no place was taken over from somebody who is just slow. Tickets are as
 * many as are needed here.
 *
 * Variants: NO_CHECK (a card is believed if the place is still of that ticket: a slow host whose
 * place was taken over writes over the card of its successor; this one was found here),
 * NO_TICKET (the check, and the slot, are of the host alone), CARD_LATE (the card is written after the slot
 * is taken).
 */
#ifndef HOSTS
#define HOSTS 2
#endif
#define FREE 0
#define JOINING 1
#define FENCING 2
#define ALIVE 3

#define NOBODY 0

byte ticket;           /* of the place */
bool taken;
byte card;
byte check;            /* of the card and a ticket */
#define CHECK(t, who) ((t) * (HOSTS + 2) + (who))

byte state;            /* of the slot */
byte seat;             /* ticket that the slot's word names */
byte name;
byte tenancy;          /* whose name it is */

byte owner;            /* ghost: who took the slot */
bool dead[HOSTS + 1];  /* ghost */
bool overtaken;        /* ghost: a place was taken over */

#ifdef NO_TICKET
#define NEXT ticket
#else
#define NEXT (ticket + 1)
#endif

/* A step, or death. */
#define STEP if :: dead[me] = true -> goto gone :: true fi;

proctype Host(byte me)
{
	byte mine;

	STEP
	atomic { /* free, or taken over from somebody whom the slot does not name */
		if
		:: !taken || !((state == JOINING || state == FENCING) && seat == ticket) ->
			overtaken = overtaken || taken;
			ticket = NEXT;
			taken = true;
			mine = ticket
		:: else -> goto gone
		fi
	};
	STEP
#ifndef CARD_LATE
	card = me;
	STEP
	check = CHECK(mine, me);
	STEP
#endif
	atomic {
		if
		:: state == FREE -> state = JOINING; seat = mine; owner = me
		:: else -> goto leave
		fi
	};
	STEP
#ifdef CARD_LATE
	card = me;
	STEP
	check = CHECK(mine, me);
	STEP
#endif
	if /* still ours? */
	:: taken && ticket == mine
	:: else ->
		atomic { if :: state == JOINING && owner == me -> state = FREE; owner = NOBODY :: else fi };
		goto gone
	fi;
	STEP
	tenancy = NOBODY;
	STEP
	name = me;
	STEP
	tenancy = me;
	STEP
	if
	:: true -> /* stays */
		atomic { if :: state == JOINING && owner == me -> state = ALIVE :: else fi }
	:: true -> /* gives up */
		tenancy = NOBODY;
		STEP
		atomic { if :: state == JOINING && owner == me -> state = FREE; owner = NOBODY :: else fi }
	fi;
	STEP
leave:
	atomic { if :: taken && ticket == mine -> taken = false :: else fi };
gone:
	skip
}

proctype Manager()
{
	byte s, t, who, seen;
	bool died;

	do
	:: true ->
		d_step { s = state; t = seat; who = NOBODY; seen = NOBODY; died = dead[owner] && !overtaken };
		if
		:: s != JOINING -> skip
		:: else ->
			seen = tenancy;
			if
			:: seen != NOBODY ->
				who = name;
				if :: tenancy != seen -> who = NOBODY :: else fi
			:: else ->
				who = card;
#ifdef NO_CHECK
				if :: taken && ticket == t :: else -> who = NOBODY fi
#else
				if :: check == CHECK(t, who) :: else -> who = NOBODY fi
#endif
			fi;
			atomic { /* the CAS, from the word that was seen */
				if
				:: state == JOINING && seat == t ->
					assert(who == NOBODY || who == owner);
					assert(!died || who != NOBODY);
					if :: who != NOBODY -> state = FENCING; break :: else fi
				:: else
				fi
			}
		fi
	od
}

init {
	atomic {
		byte i = 1;
		name = HOSTS + 1; /* a former tenant's, whose generation is over */
		do
		:: i <= HOSTS -> run Host(i); i++
		:: else -> break
		od;
		run Manager()
	}
}
