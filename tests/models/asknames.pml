/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asknames.pml - a host without the storage asks those that have it for the names of two directories, one after the
 * other, by one place (A6 of libdaxfs/fs/cache_ask.c).
 *
 * That a name is not there is an answer without a word to check it by, so DONE is the answer. An ask is a word {number,
 * state, errno} and beside it the directory. Two servers; the first may die between any two steps, or get an error of
 * storage. A listing takes what storage has at one moment, and puts it into the pool later. In each directory storage
 * gets a name at any moment. The asker asks again what a dead server took, and AGAIN times at any moment, by the same number; it
 * may give up (GIVE_UP).
 *
 * Checked: after DONE without an error the pool has each name that storage had when the asker began; errors are of that
 * directory; and when nothing moves any more the asker has ended.
 *
 * Variants: SAME_NUMBER (the other directory is asked for by the number of before), DONE_STORED (a server says DONE
 * whatever is there by then), DONE_FIRST (it says so before the names are in the pool), LISTED_BEFORE (it takes a listing
 * that is from before the ask), FORGETS (a server's death is noticed by nobody: it is not asked again).
 */
#ifndef AGAIN
#define AGAIN 1
#endif

#define NONE 0
#define ASKED 1
#define TAKEN 2
#define DONE 3

byte state = NONE;
byte number;
byte wanted;
byte error;      /* of DONE: 0, or 1 + the directory that it is about */
byte taker;
bool there[2];   /* storage has the name */
bool pool[2];    /* and the pool */
bool dead[2];
bool ended;

#define DIES :: me == 0 -> dead[0] = true; goto end

proctype asker()
{
	byte want = 0, again;
	bool had;

next:
	again = 0;
	if
	:: want == 2 -> goto end
	:: else
	fi;
	had = there[want];
#ifndef SAME_NUMBER
	atomic { number++; state = NONE };
#else
	state = NONE;
#endif
	wanted = want;
	atomic { error = 0; state = ASKED };
wait:
	if
	:: atomic { state == DONE && error == 0 -> assert(pool[want] || !had); state = NONE; want++ }; goto next
	:: atomic { state == DONE && error > 0 -> assert(error == 1 + want); state = NONE; want++ }; goto next
	:: atomic { again < AGAIN && state != DONE -> again++; state = ASKED }; goto wait
#ifndef FORGETS
	:: atomic { state == TAKEN && dead[taker] -> state = ASKED }; goto wait
#endif
#ifdef GIVE_UP
	:: atomic { want == 0 -> want++ }; goto next
#endif
	fi;
end:
	ended = true
}

proctype server(byte me)
{
	byte n, what, says;
	bool sees;
#ifdef LISTED_BEFORE
	bool old[2];
#endif

again:
#ifdef LISTED_BEFORE
	atomic { old[0] = there[0]; old[1] = there[1] };
#endif
	if
	:: atomic { state == ASKED -> n = number }
	:: ended -> goto end
	fi;
	if
	:: what = wanted
	DIES
	fi;
	if
	:: atomic { state == ASKED && number == n -> state = TAKEN; taker = me }
	:: atomic { !(state == ASKED && number == n) -> goto again }
	DIES
	fi;
	says = 0;
	if
#ifndef LISTED_BEFORE
	:: sees = there[what]
#else
	:: sees = old[what]
#endif
	:: me == 0 -> says = 1 + what; goto say /* of storage */
	DIES
	fi;
#ifndef DONE_FIRST
	if
	:: atomic { pool[what] = pool[what] || sees }
	DIES
	fi;
#endif
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
#ifdef DONE_FIRST
	atomic { pool[what] = pool[what] || sees };
#endif
	goto again;
end:
	skip
}

/* Somebody makes names in storage. */
proctype maker()
{
	if
	:: there[0] = true
	:: ended
	fi;
	if
	:: there[1] = true
	:: ended
	fi
}

/* Nothing moves any more. */
proctype watch()
{
	timeout -> assert(ended)
}

init {
	atomic { run asker(); run server(0); run server(1); run maker(); run watch() }
}
