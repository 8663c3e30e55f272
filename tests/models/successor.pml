/* SPDX-License-Identifier: Apache-2.0 */
/*
 * successor.pml - a process goes on with the slot of one that has ended, while others end that slot.
 *
 * The first process has ended. Processes 1 to SUCCESSORS want to go on in its place, and after one
 * of them ends, another may. Two others may end the slot: a manager, which has it FENCING for its
 * silence, and an ender, which knows the process gone. FENCED is what nobody may work under.
 *
 *   successor                        ender
 *   CAS process: ended -> mine       CAS word: ALIVE -> FENCING (if the process has ended)
 *   looks at the word: ALIVE?        looks at the process: ended?
 *   works, while it is               CAS word: FENCING -> FENCED
 *
 * Checked: nobody works when the slot is FENCED, and at most one at any time.
 *
 * Variants: WORD_FIRST (a successor looks at the word before its CAS, as if the fence between were
 * left out), ONE_LOOK (an ender does not look at the process again), NO_CAS (a successor stores its number).
 */
#ifndef SUCCESSORS
#define SUCCESSORS 2
#endif
#define ALIVE 0
#define FENCING 1
#define FENCED 2

byte word;
byte process;                 /* 0: the first one */
bool ended[SUCCESSORS + 1];
byte working;                 /* ghost: how many */

proctype Successor(byte me)
{
	byte seen;
	bool alive;

	seen = process;
	if :: !ended[seen] -> goto out :: else fi;
#ifdef WORD_FIRST
	alive = word == ALIVE;
#endif
#ifdef NO_CAS
	process = me;
#else
	atomic { if :: process == seen -> process = me :: else -> goto out fi };
#endif
#ifndef WORD_FIRST
	alive = word == ALIVE;
#endif
	if :: !alive -> goto out :: else fi;
	atomic { assert(word != FENCED); working++; assert(working == 1) };
	do /* each operation begins with a look at the word; between two of them it may be stopped for long */
	:: word == ALIVE -> assert(word != FENCED)
	:: word != ALIVE -> break
	:: break /* killed */
	od;
	atomic { working--; ended[me] = true };
	goto gone;
out:
	ended[me] = true;
gone:
	skip
}

proctype Ender()
{
	byte seen;

	do
	:: word == ALIVE ->
		seen = process;
		if
		:: ended[seen] -> atomic { if :: word == ALIVE -> word = FENCING :: else fi }
		:: else
		fi;
#ifdef ONE_LOOK
		if
		:: ended[seen] ->
			atomic { if :: word == FENCING -> assert(working == 0); word = FENCED :: else fi }
		:: else
		fi
#endif
	:: word == FENCING ->
		seen = process;
		if
		:: ended[seen] ->
			atomic { if :: word == FENCING -> assert(working == 0); word = FENCED :: else fi }
		:: else
		fi
	:: word == FENCED -> break
	od
}

proctype Manager()
{
	atomic { if :: word == ALIVE -> word = FENCING :: true fi }
}

init {
	atomic {
		byte i = 1;

		ended[0] = true;
		do
		:: i <= SUCCESSORS -> run Successor(i); i++
		:: else -> break
		od;
		run Ender();
		run Ender();
		run Manager()
	}
}
