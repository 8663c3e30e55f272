/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stored.pml - how much of a file storage has, while it is written, cut off and written back.
 *
 * One page of a file, behind its end in storage at first, and behind it another one that makes flushers say that
 * storage has both. The word of the page is as in cache.pml; `has` is the word of the inode that says whether storage
 * has bytes of the page (absent, it is read from there) or not (absent, it is zeros); `state` is that of the same word.
 * `truth` is what the page holds: a number for each write, 0 after the file was cut off and made longer.
 *
 * A writer overwrites, or cuts off and makes longer, in any order (WRITES, CUTS). A flusher at a time writes back and may
 * die between any two steps; another one begins anew (FLUSHES in all). Two readers claim what is absent, look whether
 * storage has it, read, and publish if the claim stands. Pages that are CLEAN are dropped (DROPS).
 *
 * Checked: what is published is the truth; if the state is SAME, storage has the truth; DATA is never dropped.
 *
 * Variants: NO_CUT (storage keeps what was cut off), CUT_IGNORED (a flusher goes on though the file was cut off since
 * it began), RAISE_LATE (CLEAN before it is said that storage has it), SAME_BLIND (SAME though somebody has written
 * since), HAS_FIRST (a reader looks whether storage has it before it looks at the word).
 */
#ifndef WRITES
#define WRITES 2
#endif
#ifndef CUTS
#define CUTS 1
#endif
#ifndef FLUSHES
#define FLUSHES 2
#endif
#ifndef DROPS
#define DROPS 2
#endif

#define ABSENT 0
#define FILLING 1
#define CLEAN 2
#define DATA 3
#define SAME 0
#define DIRTY 1
#define SYNCING 2
#define CUT 3
#define TORN 99

byte kind = ABSENT;
byte what;
byte version;
bool has;
byte state = SAME;
byte disk;                 /* what storage has there: behind its end, 0 */
byte truth;
byte written;

#define SET(k, o) kind = k; what = o; version++

proctype writer()
{
	byte writes = 0, cuts = 0;

	do
	:: atomic { writes < WRITES -> writes++; written++; truth = written; SET(DATA, written);
		    if :: state != CUT -> state = DIRTY :: else fi }
	:: atomic { cuts < CUTS -> cuts++; truth = 0; SET(ABSENT, 0); has = false; state = CUT }
	:: break
	od
}

proctype flusher()
{
	byte i = 0, value, seen;
	bool most, have;

	do
	:: i == FLUSHES -> break
	:: i < FLUSHES ->
		i++;
		if
		:: atomic { state != SAME -> state = SYNCING; most = has }
		:: break
		fi;
#ifndef NO_CUT
		if
		:: !most -> disk = 0
		:: most
		:: goto died
		fi;
#endif
		atomic { have = (kind == DATA); value = what; seen = version };
		if
		:: have -> disk = TORN
		:: !have
		:: goto died
		fi;
		if
		:: have -> disk = value
		:: !have
		:: goto died
		fi;
#ifdef RAISE_LATE
		atomic { if :: state != CUT && have && version == seen -> SET(CLEAN, value) :: else fi };
#endif
		atomic {
			if
#ifndef CUT_IGNORED
			:: state == CUT
#endif
			:: else ->
				has = true; /* for the page behind it, if not for this one */
#ifndef RAISE_LATE
				if :: have && version == seen -> SET(CLEAN, value) :: else fi
#endif
			fi
		};
		if
		:: atomic {
#ifdef SAME_BLIND
			state = SAME
#else
			if :: state == SYNCING -> state = SAME :: else fi
#endif
			;
			assert(state != SAME || (kind != DATA && truth == (has -> disk : 0)))
		   }
		:: goto died
		fi;
died:		skip
	od
}

proctype dropper()
{
	byte i = 0;

	do
	:: atomic { i < DROPS && kind == CLEAN -> i++; SET(ABSENT, 0) }
	:: break
	od
}

proctype reader()
{
	byte value, seen;
	bool there;

#ifdef HAS_FIRST
	there = has;
#endif
	if
	:: atomic { kind == CLEAN || kind == DATA -> assert(what == truth) }; goto end
	:: atomic { kind == ABSENT -> SET(FILLING, 0); seen = version }
	:: goto end
	fi;
#ifndef HAS_FIRST
	there = has;
#endif
	value = (there -> disk : 0);
	atomic {
		if
		:: version == seen -> assert(value == truth); SET(CLEAN, value)
		:: else
		fi
	};
end:	skip
}

init {
	atomic { run writer(); run flusher(); run dropper(); run reader(); run reader() }
}
