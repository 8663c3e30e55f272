/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lease.pml - what a kernel may believe while others change the pool.
 *
 * Host A has a kernel that keeps an answer (what a word says) until a time that
 * A's agent gave with it. Host W changes the word by a record: mark, decide. A
 * helper decides it as well. A waiter voids A's leases when A is silent. Time is
 * a clock that everybody reads, and that passes by itself.
 *
 * The rule under test (libdaxfs/sync/lease.h):
 *   grant    the time of a beat of one's own; the bit; then the term and the word. No
 *            grant if the term is not this host's any more, or the word is marked.
 *            The kernel believes the answer until that beat + T.
 *   change   while A has its bit and its term is not void: ask, and wait. Then mark; then look
 *            once more: abort if there is a bit, else decide. Helpers do the same.
 *   recall   no new grants; wait until answers under way have reached the kernel;
 *            invalidate; clear the bit, which is the acknowledgement.
 *   silence  a beat that has not moved for T: the term GRANTING -> ACCUSED; look at the beat
 *            again; ACCUSED -> VOID. A goes on from either under a new number.
 *   tenant   the next one in A's slot answers recalls of what it did not grant T
 *            after it has joined.
 *   cut off  a machine that is off has no kernel: its host's term is VOID at once.
 *
 * Checked: the kernel never gives an old answer when the change is committed,
 * which is when others can see it.
 *
 * HELPER, WAITER, DEATH (of A's process, and a next tenant), OFF (of A's machine) say who takes part; time passes where
 * it matters.
 *
 * Variants: LOOK_FIRST (the word before the bit), MARK_BLIND (what is marked is granted), NO_TERM
 * (A does not look at its term), FROM_NOW (the kernel believes until T from the answer, not from
 * the beat), RECALL_LATE (commit, then recall), NO_CONDITION (the record does not have the lease
 * word: looked at before the marks only), HELPER_BLIND (the helper does not look), ACK_EARLY (the bit
 * is cleared before answers under way have arrived), NO_WAIT (void at once), FROM_SIGHT (void when T
 * has passed since the waiter saw the bit, beats or not), ONE_STEP (no accusation), TENANT_EAGER,
 * ENDED (A's process has ended, and that is taken for OFF).
 */
#ifndef GRANTS
#define GRANTS 1
#endif
#define T 1
#define TICKS 2

byte now;

/* shared memory */
bool leased;            /* A has its bit in the lease word */
byte term, beat;
bool request, mark, undecided, committed;
byte attempt;           /* of W: the sequence number of its record */

#define GRANTING 0
#define ACCUSED 1
#define VOID 2
#define STATE(t) ((t) % 3)
#define HELD (leased && STATE(term) != VOID)

/* A's agent, and its kernel */
bool dead;              /* its process; what it does is blocked from then on */
byte own, beat_time;    /* the term and the beat that it knows of */
bool under_way, recalling;
bool believes, old;
byte until;

active proctype Program()
{
	atomic { believes && old && now < until && committed -> assert(false) }
}

#if defined(WAITER) || defined(DEATH)
active proctype Time()
{
	do
	:: now < TICKS -> now++
	:: else -> break
	od
}

active proctype Heart()
{
	byte t;

	t = now;
	atomic { !dead -> beat++ };
	atomic { !dead -> beat_time = t }
}
#endif

active proctype Worker()
{
	byte i, b;
	bool o, marked;

	for (i : 1 .. GRANTS) {
		atomic { !dead -> under_way = true; b = beat_time };
		if
		:: recalling -> goto out
		:: else
		fi;
#ifdef LOOK_FIRST
		atomic { o = !committed; marked = mark && undecided };
#endif
		atomic { !dead -> leased = true };
#ifndef NO_TERM
		if
		:: atomic { term != own && !dead -> term = term - STATE(term) + 3; own = term }; goto out
		:: atomic { term == own }
		fi;
#endif
#ifndef LOOK_FIRST
		atomic { o = !committed; marked = mark && undecided };
#endif
#ifndef MARK_BLIND
		if
		:: marked -> goto out
		:: else
		fi;
#endif
		/* the answer arrives */
		atomic {
			!dead -> believes = true; old = o;
#ifdef FROM_NOW
			until = now + T
#else
			until = b + T
#endif
		};
out:
		under_way = false
	}
}

active proctype Recaller()
{
	do
	:: atomic { request && !dead -> request = false; recalling = true };
#ifndef ACK_EARLY
		!under_way;
#endif
		atomic { !dead -> believes = false };
		atomic { !dead -> leased = false; recalling = false }
	od
}

#ifdef OFF
active proctype CutOff()
{
	byte was;

	dead = true;
#ifndef ENDED
	believes = false;
#endif
	was = term;
	atomic {
		if
		:: term == was -> term = was - STATE(was) + VOID
		:: else
		fi
	}
}
#endif

#ifdef DEATH
active proctype Tenant()
{
	byte t;

	dead = true;
	atomic { t = now; beat++ };
#ifndef TENANT_EAGER
	now >= t + T;
#endif
	do
	:: atomic { request -> request = false; leased = false }
	od
}
#endif

#ifdef WAITER
active proctype Waiter()
{
	byte b, t, was;

	atomic { b = beat; t = now };
#ifndef NO_WAIT
	now >= t + T;
#endif
	was = term;
	if
	:: STATE(was) != GRANTING -> goto moved
	:: else
	fi;
#ifndef FROM_SIGHT
	if
	:: beat != b -> goto moved
	:: else
	fi;
#endif
#ifndef ONE_STEP
	if
	:: atomic { term == was -> term = was + ACCUSED; was = term }
	:: term != was -> goto moved
	fi;
#ifndef FROM_SIGHT
	if
	:: beat != b -> goto moved
	:: else
	fi;
#endif
#endif
	atomic {
		if
		:: term == was -> term = was - STATE(was) + VOID
		:: else
		fi
	};
moved:
	skip
}
#endif

/* The record is over: committed, or aborted. */
#define DECIDE(which, happens) atomic { \
	if \
	:: undecided && attempt == which -> undecided = false; mark = false; committed = happens \
	:: else \
	fi }

active proctype Writer()
{
again:
#ifndef RECALL_LATE
	if
	:: atomic { HELD -> request = true }; !HELD
	:: !HELD
	fi;
#endif
	atomic { attempt++; undecided = true; mark = true };
#if !defined(NO_CONDITION) && !defined(RECALL_LATE)
	if
	:: HELD -> DECIDE(attempt, false)
	:: !HELD -> DECIDE(attempt, true)
	fi;
#else
	DECIDE(attempt, true);
#endif
	if
	:: !committed && attempt < 2 -> goto again
	:: else
	fi;
#ifdef RECALL_LATE
	if
	:: atomic { HELD -> request = true }; !HELD
	:: !HELD
	fi;
#endif
	skip
}

#ifdef HELPER
/* Met the mark, and finishes the record, whether its owner lives or not. */
active proctype Helper()
{
	byte a;

	atomic { mark && undecided -> a = attempt };
#ifndef HELPER_BLIND
	if
	:: HELD -> DECIDE(a, false); goto out
	:: !HELD
	fi;
#endif
	DECIDE(a, true);
out:
	skip
}
#endif
