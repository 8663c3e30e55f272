/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask.pml - a host without the storage asks those that have it for two pages, one after the other, by one place.
 *
 * An ask is a word {number, state, errno} and beside it what is wanted. Two servers; the first one may die between any
 * two steps, or get an error of storage. A page that was filled may be dropped. The asker asks again what a dead server took,
 * and AGAIN times at any moment; it may give up (GIVE_UP), to ask for the other page by the same place.
 *
 * Checked: what a server took is what was asked by that number; the asker is told an error that storage gave for that
 * page; it reads no page that is not there; and when nothing moves any more it has ended: no death leaves it waiting
 * while the other server lives.
 *
 * Variants: WANTED_FIRST (what is wanted is changed before the old ask is withdrawn), SAME_NUMBER (asked for by the
 * number of before), DONE_STORED (a server says DONE whatever is there by then), BELIEVED (DONE means that the page is
 * there), ONCE (nobody asks again), KEPT (a claim of the dead is left alone).
 */
#ifndef AGAIN
#define AGAIN 1
#endif

#define NONE 0
#define ASKED 1
#define TAKEN 2
#define DONE 3

#define NUMBERS 20

#define ABSENT 0
#define PRESENT 3 /* FILLING: 1 + server */

byte state = NONE;
byte number;
byte wanted;
byte error;       /* of DONE: 0, or 1 + the page that it is about; 9: somebody else is about it */
byte taker;
byte meant[NUMBERS];   /* what was asked by a number */
byte page[2];
bool dead[2];
bool ended;

#define LIVES(w) (w > 0 && w < PRESENT && !dead[w - 1])
#define OVER(w) (w > 0 && w < PRESENT && dead[w - 1])
#define DIES :: me == 0 -> dead[0] = true; goto end

proctype asker()
{
	byte want = 0, again;

next:
	again = 0;
	if
	:: want == 2 -> goto end
	:: else
	fi;
look:
	if
	:: atomic { page[want] == PRESENT -> want++ }; goto next
	:: atomic { page[want] != PRESENT }
	fi;
#ifdef WANTED_FIRST
	wanted = want;
#endif
#ifndef SAME_NUMBER
	atomic { number++; state = NONE };
#else
	state = NONE;
#endif
#ifndef WANTED_FIRST
	wanted = want;
#endif
	atomic { meant[number] = want; error = 0; state = ASKED };
wait:
	if
	:: atomic { state == DONE && error == 0 -> state = NONE };
#ifdef BELIEVED
		atomic { assert(page[want] == PRESENT); want++ };
		goto next
#else
		goto look
#endif
	:: atomic { state == DONE && error == 9 && !LIVES(page[want]) && number < NUMBERS - 1 -> goto once_more }
	:: atomic { state == DONE && error > 0 && error < 9 -> assert(error == 1 + want); state = NONE; want++ }; goto next
#ifndef ONCE
	:: atomic { again < AGAIN && state != DONE -> again++; goto once_more }
	:: atomic { state == TAKEN && dead[taker] -> goto once_more }
#endif
#ifdef GIVE_UP
	:: atomic { want == 0 -> want++ }; goto next
#endif
	fi;
once_more:
	atomic { number++; meant[number] = want; error = 0; state = ASKED };
	goto wait;
end:
	ended = true
}

proctype server(byte me)
{
	byte n, what, says, claim;

again:
	if
	:: atomic { state == ASKED -> n = number }
	:: ended -> goto end
	fi;
	if
	:: what = wanted
	DIES
	fi;
	if
	:: atomic { state == ASKED && number == n -> assert(what == meant[n]); state = TAKEN; taker = me }
	:: atomic { !(state == ASKED && number == n) -> goto again }
	DIES
	fi;
	if
#ifdef KEPT
	:: atomic { page[what] == ABSENT -> page[what] = 1 + me; claim = page[what] }
	:: atomic { page[what] > 0 && page[what] < PRESENT -> says = 9; goto say }
#else
	:: atomic { page[what] == ABSENT || OVER(page[what]) -> page[what] = 1 + me; claim = page[what] }
	:: atomic { page[what] > 0 && page[what] < PRESENT && !OVER(page[what]) -> says = 9; goto say }
#endif
	:: atomic { page[what] == PRESENT -> says = 0; goto say }
	DIES
	fi;
	if
	:: atomic { page[what] == claim -> page[what] = PRESENT; says = 0 }
	:: atomic { me == 0 && page[what] == claim -> page[what] = ABSENT; says = 1 + what } /* of storage */
	:: atomic { page[what] != claim -> says = 9 }
	DIES
	fi;
say:
	if
	:: skip
	DIES
	fi;
#ifdef DONE_STORED
	atomic { error = says; state = DONE };
#else
	atomic {
		if
		:: state == TAKEN && number == n -> error = says; state = DONE
		:: else
		fi
	};
#endif
	goto again;
end:
	skip
}

proctype dropper()
{
	if
	:: atomic { page[0] == PRESENT -> page[0] = ABSENT }
	:: ended
	fi
}

/* Nothing moves any more. */
proctype watch()
{
	timeout -> assert(ended)
}

init {
	atomic { run asker(); run server(0); run server(1); run dropper(); run watch() }
}
