/* SPDX-License-Identifier: Apache-2.0 */
/*
 * single.pml - a record of one word: one CAS, no mark, no helper.
 *
 * Two lanes. Each operation takes an object X, changes the word W from the
 * object it names to X, and retires the object it named. A third party stages
 * the same word in a record of several and undoes it: W names the same under a
 * new version. Lane 0 may die at any step, its recoverer may die at any step and
 * is replaced, the lane is then used by its next tenant under the next sequence.
 *
 * The rule under test:
 *   PREPARE: X is named, then taken; W and the txid of what it names are read
 *   SINGLE: CAS of W from before to after; then X PRIVATE -> LIVE (or FREE, if the
 *   CAS failed), the old object, by txid, -> RETIRED (if it did not); IDLE
 *   recovery of SINGLE looks at what W names now:
 *     X           it happened: X LIVE, old retired
 *     the old one it did not: X FREE
 *     another     somebody replaced either: both retired, by txid
 *
 * RETIRED objects are reused at once here, which is harder than life, but for
 * the one that a lane found in W: its announcement stands until its record is
 * finalized, by whomever.
 *
 * Checked: an object is never taken, freed or retired while W names it; in the
 * end nothing is PRIVATE, and nothing LIVE but what W names.
 *
 * Variants: BY_VERSION (recovery compares versions, too: what was undone by
 * another counts as replaced), TWO_WAYS (what W does not name did not happen:
 * the old object of an overtaken operation stays), LIVE_ONLY (does not retire
 * what is still PRIVATE of a dead owner), LATE_NAME (X is named after it was taken), NO_HOLD (what was found in W may
 * serve another before its txid is read).
 */
#ifndef OPS0
#define OPS0 1
#endif
#ifndef OPS1
#define OPS1 2
#endif
#ifndef UNDOS
#define UNDOS 1
#endif
#ifndef DEATHS
#define DEATHS 1     /* of recoverers */
#endif
#define OBJECTS 3

#define IDLE 0
#define PREPARE 1
#define SINGLE 2

#define PAYLOAD(w) ((w) % 8)
#define NEXT(w, payload) ((payload) + 8 * ((w) / 8 + 1))
#define NONCE(l, q) (1 + (l) * 8 + (q))
#define PRIVATE(n) (100 + (n))
#define LIVE(n) (200 + (n))
#define NONCE_OF(s) ((s) % 100)

short W = 0;
byte state[OBJECTS];

/* The record of each lane. */
byte status[2], seq[2], alloc[2], retire[2], txid[2];
short before[2], after[2];

byte hold[2];             /* 1 + the object found in W */
bool dead;                /* lane 0: its host is fenced */

#ifdef NO_HOLD
#define HELD(o) false
#else
#define HELD(o) (hold[0] == 1 + (o) || hold[1] == 1 + (o))
#endif

#define DEATH (l == 0 && !dead)

/* Withdraw the announcement; the rest only keeps the search small. */
#define FORGET(l) hold[l] = 0; alloc[l] = OBJECTS; retire[l] = 0; txid[l] = 0; before[l] = 0; after[l] = 0

/* One step of lane l, or its death before it. */
#define STEP if :: DEATH -> goto died :: skip fi;

/* CAS of a state; true in ok if it was made. What is let go of is not linked. */
inline change(o, from, to)
{
	atomic {
		if
		:: state[o] == (from) && ((from) != 0 || !HELD(o)) ->
			assert((to) != 0 || PAYLOAD(W) != o);
			state[o] = to;
			ok = true
		:: else -> ok = false
		fi
	}
}

inline retire_object(o, n)
{
	ok = false;
#ifndef LIVE_ONLY
	change(o, PRIVATE(n), 0);
#endif
	if
	:: !ok -> change(o, LIVE(n), 0)
	:: else
	fi
}

proctype lane(byte l; byte ops)
{
	short w;
	byte n, done;
	bool ok;

	do
	:: done < ops ->
		atomic { seq[l]++; status[l] = PREPARE; alloc[l] = OBJECTS }
		n = NONCE(l, seq[l]);
#ifndef LATE_NAME
		STEP
		if /* a candidate, that another lane may take first */
		:: alloc[l] = 0 :: alloc[l] = 1 :: alloc[l] = 2
		fi;
		STEP
		change(alloc[l], 0, PRIVATE(n));
#else
		atomic {
			if
			:: state[0] == 0 && !HELD(0) -> w = 0 :: state[1] == 0 && !HELD(1) -> w = 1
			:: state[2] == 0 && !HELD(2) -> w = 2
			fi;
			state[w] = PRIVATE(n);
			ok = true
		};
		STEP
		alloc[l] = w;
#endif
		if
		:: !ok -> atomic { status[l] = IDLE; FORGET(l); goto next }
		:: else
		fi;
		STEP
		atomic { w = W; hold[l] = 1 + PAYLOAD(w) };
		STEP
		atomic {
			retire[l] = PAYLOAD(w);
			txid[l] = NONCE_OF(state[PAYLOAD(w)]);
			before[l] = w;
			after[l] = NEXT(w, alloc[l])
		};
		STEP
		status[l] = SINGLE;
		STEP
		atomic {
			ok = (W == before[l]);
			if
			:: ok -> W = after[l]
			:: else
			fi
		};
		w = ok;
		STEP
		if
		:: w -> change(alloc[l], PRIVATE(n), LIVE(n))
		:: else -> change(alloc[l], PRIVATE(n), 0)
		fi;
		STEP
		if
		:: w -> retire_object(retire[l], txid[l])
		:: else
		fi;
		STEP
		atomic { status[l] = IDLE; FORGET(l) };
next:
		done++
	:: else -> break
	od;
	goto out;
died:
	dead = true;
	run recoverer(DEATHS);
out:
	skip
}

/* Its death: another one begins anew. */
#define RSTEP if :: deaths > 0 -> run recoverer(deaths - 1); goto gone :: skip fi;

proctype recoverer(byte deaths)
{
	byte n = NONCE(0, seq[0]);
	short w;
	bool ok, happened, overtaken;

	RSTEP
	if
	:: status[0] == IDLE -> goto tenant
	:: status[0] == PREPARE -> skip
	:: else ->
		w = W;
		RSTEP
#ifdef BY_VERSION
		happened = (w == after[0]);
		overtaken = (w != after[0] && w != before[0])
#else
		happened = (PAYLOAD(w) == PAYLOAD(after[0]));
#ifdef TWO_WAYS
		overtaken = false
#else
		overtaken = (!happened && PAYLOAD(w) != PAYLOAD(before[0]))
#endif
#endif
	fi;
	RSTEP
	if
	:: alloc[0] == OBJECTS -> skip
	:: happened -> change(alloc[0], PRIVATE(n), LIVE(n))
	:: else -> change(alloc[0], PRIVATE(n), 0)
	fi;
	RSTEP
	if
	:: happened || overtaken -> retire_object(retire[0], txid[0])
	:: else
	fi;
	RSTEP
	status[0] = IDLE;
	RSTEP
tenant:
	atomic { FORGET(0) };
	run lane(0, 1);
	goto out;
gone:
	skip;
out:
	skip
}

proctype other()
{
	byte i;

	do
	:: i < UNDOS -> atomic { W = NEXT(W, PAYLOAD(W)); i++ }
	:: else -> break
	od;
}

init
{
	byte o;

	state[0] = LIVE(0);
	atomic { run lane(0, OPS0); run lane(1, OPS1); run other() }
	(_nr_pr == 1);
	atomic {
		o = 0;
		do
		:: o < OBJECTS ->
			assert(state[o] == 0 || state[o] >= 200);
			assert(state[o] == 0 || o == PAYLOAD(W));
			o++
		:: else -> break
		od;
		assert(state[PAYLOAD(W)] >= 200)
	}
}
