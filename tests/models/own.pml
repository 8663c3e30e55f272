/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own.pml - what a host's own kernel believes while programs of that host change it.
 *
 * Two calls change a word, one after the other or at once; two threads of programs ask the kernel, which asks the
 * agent for what it does not believe. A commit is seen by all hosts.
 *
 * The rule under test (libdaxfs/sync/lease_own.h):
 *   change   count oneself in `changing`; if it was told, have the kernel forget, and then clear that; commit; count oneself
 *            out
 *   tell     set `told`; then look whether it is changing, and then whether `told` is still set: if it is, or is not, the
 *            answer is not to be kept; then look at the word
 *   kernel   what it forgets raises its count; an answer that was asked for under an older count is not believed. Of
 *            an inode that it does not know when the answer comes it takes any: then whoever has it forget waits until
 *            the answers that are noted to make it known have arrived, and has it forget once more. What it will be known
 *            by is noted behind the look; then no change may have begun since that.
 *
 * Checked: the kernel never believes what is not so any more, from the moment on at which others can see that.
 *
 * UNKNOWN: the kernel does not know the inode at first.
 *
 * Variants: AFTER (the kernel is told when the change has happened), LOOK_FIRST (whether it was told is looked at before
 * the change counts), BLIND (who tells does not look whether it is changing), TOLD_LATE (`told` is set after that look),
 * LET_GO (the change counts as over before it has happened), CLEARED_EARLY (`told` is cleared, then the kernel forgets:
 * another call goes on without), CLEARED_LATE (it is cleared when the change counts as over), ONE_LOOK (who tells does not
 * see that a call which has ended since has cleared it), UNWAITED (nobody waits for answers that make the inode known),
 * NOT_AGAIN (that such an answer is on its way is noted, and not looked whether a change has begun since).
 */
#define CALLS 2
#define ASKS 2

byte word; /* what all hosts see */
byte changing, begun; /* one word */
bool told;

/* the kernel */
#ifdef UNKNOWN
bool known;
#else
bool known = true;
#endif
bool believes;
byte believed, count, coming; /* answers on their way that may make it known */

active proctype Program()
{
	atomic { believes && believed != word -> assert(false) }
}

inline forget()
{
	atomic { believes = false; count++; k = known };
#ifndef UNWAITED
	if
	:: k
	:: !k -> coming == 0; atomic { believes = false; count++ }
	fi
#endif
}

active [CALLS] proctype Call()
{
	bool t, k;

#ifdef LOOK_FIRST
	t = told;
	atomic { changing++; begun++ };
#else
	atomic { changing++; begun++ };
	t = told;
#endif
#ifdef AFTER
	word++;
#endif
	if
	:: t ->
#ifdef CLEARED_EARLY
		told = false;
#endif
		forget();
#ifndef CLEARED_LATE
		told = false;
#endif
		skip
	:: else
	fi;
#ifdef LET_GO
	changing--;
#endif
#ifndef AFTER
	word++;
#endif
#ifndef LET_GO
	changing--;
#endif
#ifdef CLEARED_LATE
	if
	:: t -> told = false
	:: else
	fi;
#endif
	skip
}

active [ASKS] proctype Ask()
{
	byte b, c, w;
	bool knew, granted;

	atomic { knew = known; c = count };
	b = begun;
#ifndef TOLD_LATE
	told = true;
#endif
#ifdef BLIND
	granted = true;
#else
	granted = changing == 0;
#endif
#ifdef TOLD_LATE
	told = true;
#endif
#ifndef ONE_LOOK
	granted = granted && told;
#endif
	w = word;
	if
	:: !knew ->
		coming++;
#ifndef NOT_AGAIN
		granted = granted && begun == b;
#endif
		skip
	:: else
	fi;
	/* the answer is taken */
	atomic {
		if
		:: granted && (!known || c == count) -> believes = true; believed = w
		:: else
		fi;
		known = true;
		if
		:: !knew -> coming--
		:: else
		fi
	}
}
