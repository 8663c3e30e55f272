/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.pml - a page of a file whose bytes are in storage, behind one word.
 *
 * The word is ABSENT (storage has it), FILLING by a host of a generation, CLEAN (a page
 * that is as storage has it) or DATA (a page that is newer than storage). Contents are numbers
 * that grow with each write, so a page is known by what is in it, as it is in the pool by its txid.
 *
 * Hosts 0 and 1 read, FILLS times each: what is in the pool they take; what is ABSENT they
 * claim, read from storage, and publish by a CAS that names their own claim; a claim
 * of a generation that is over they take over; past one that stands they read storage
 * for themselves, and use that if the word is what it was. Host 0 may die between any two
 * steps; if FABRIC it is fenced then (its generation is over); if SUCCEEDS it was a process alone, and another one,
 * number 2, goes on in its place, which first says so: that ends the claims of the former one. A writer overwrites the
 * page WRITES times (or cuts it off and writes it behind our back: TRUNCS), a flusher of each host
 * writes it to storage, and calls it CLEAN if the word is what it was; it may be dropped. While
 * storage is being written, or when it fails (ERRORS times), who reads it gets TORN.
 *
 * Checked: no read returns less than what was acknowledged before it began, nor what was
 * never written; nothing acknowledged is ever neither in the pool nor in storage; nobody waits for
 * a host that is dead, or reads past a process that is dead when its successor goes on.
 *
 * Variants: ANY_CLAIM (publish whatever claim is there), NO_RECHECK (what was read past a claim is used whatever
 * the word is by then), DROP_BLIND (drop what was CLEAN when it was looked at), CLEAN_BLIND (call CLEAN what
 * was DATA when it was read), ERROR_CACHED (publish what a failed read left), WAITS (wait for the one who
 * fills, as long as it takes), IN_PLACE (the claim names a page, into which its owner reads, and whoever takes the
 * claim over takes the page too) with TAKE_LIVING (take over from one that is slow: harmless without IN_PLACE),
 * CLEAN_FIRST (CLEAN before storage has it), POOL_FIRST (cut off in the pool, then in storage), UNCOUNTED (a
 * successor claims as the former process did, and says nothing), SUCCEEDS_EARLY (it begins while that one lives:
 * harmless here, for a claim names its process).
 */
#ifndef FILLS
#define FILLS 1
#endif
#ifndef WRITES
#define WRITES 1
#endif
#ifndef TRUNCS
#define TRUNCS 0
#endif
#ifndef FLUSHES
#define FLUSHES 1
#endif
#ifndef DROPS
#define DROPS 1
#endif
#ifndef ERRORS
#define ERRORS 1
#endif

#define ABSENT 0
#define FILLING 1
#define CLEAN 2
#define DATA 3
#define TORN 99

byte kind = ABSENT;
byte what;                   /* the claim's host, or what is in the page */
byte version;              /* of the word */
byte storage = 1;
byte cell;                 /* IN_PLACE: the page that the claim names */
byte acknowledged = 1;
byte written = 1;
byte errors = ERRORS;
bool dead[3];
bool over[3];
bool goes_on; /* the successor */

#define SET(k, o) kind = k; what = o; version++

/* At any moment: the newest acknowledged contents are somewhere. */
#define KEPT ((storage != TORN && storage >= acknowledged) || (kind == DATA && what >= acknowledged))

#ifdef ANY_CLAIM
#define MINE(me) (kind == FILLING)
#else
#define MINE(me) (kind == FILLING && what == me)
#endif

#define DIES :: me == 0 && !dead[0] -> dead[0] = true; goto end

inline returned(value)
{
	assert(value >= low && value <= written)
}

proctype reader(byte me)
{
	byte low, value, seen, reads = 0;

again:
	if
	:: reads == FILLS -> goto end
	:: else -> reads++
	fi;
	low = acknowledged;
look:
	if
	:: atomic { kind == CLEAN || kind == DATA ->
#ifdef IN_PLACE
		value = (kind == CLEAN -> cell : what);
#else
		value = what;
#endif
		returned(value) }; goto again
	:: atomic { kind == ABSENT -> SET(FILLING, me) }; goto fill
	:: atomic { kind == FILLING && what != me && over[what] -> SET(FILLING, me) }; goto fill
#ifdef TAKE_LIVING
	:: atomic { kind == FILLING && what != me -> SET(FILLING, me) }; goto fill
#endif
#ifdef WAITS
	:: atomic { kind == FILLING && what != me && !over[what] -> assert(!dead[what]) }; kind != FILLING || over[what]; goto look
#else
	:: atomic { kind == FILLING && what != me && !over[what] -> assert(!goes_on || !dead[what]); seen = version }; goto past
#endif
	DIES
	fi;
past:   /* the one who fills is slow, or dead */
	if
	:: value = storage
	DIES
	fi;
	atomic {
		if
#ifdef NO_RECHECK
		:: true -> returned(value)
#else
		:: version == seen && value != TORN -> returned(value)
		:: version == seen && value == TORN -> goto end /* an error: returned as that */
#endif
		:: version != seen -> goto look
		fi
	};
	goto again;
fill:
	if
	:: value = storage
	:: atomic { errors > 0 -> errors--; value = TORN }
	DIES
	fi;
#ifdef IN_PLACE
	cell = TORN;
	if
	:: cell = value
	DIES
	fi;
#endif
#ifndef ERROR_CACHED
	if
	:: value == TORN ->
		atomic { if :: MINE(me) -> SET(ABSENT, 0) :: else fi };
		goto end
	:: else
	fi;
#endif
	if
	:: atomic {
		if
		:: MINE(me) -> SET(CLEAN, value)
		:: else
		fi;
		assert(KEPT)
	   }
	DIES
	fi;
	goto look;
end:
	skip
}

proctype fabric()
{
#ifdef FABRIC
	atomic { dead[0] -> over[0] = true }
#else
	skip
#endif
}

proctype successor()
{
#ifdef SUCCEEDS
#ifndef SUCCEEDS_EARLY
	dead[0];
#endif
#ifndef UNCOUNTED
	over[0] = true;
#endif
	goes_on = true;
	run reader(2)
#else
	skip
#endif
}

proctype writer()
{
	byte i = 0;

	do
	:: i < WRITES ->
		atomic { written++; SET(DATA, written) };
		atomic { acknowledged = written; assert(KEPT) };
		i++
	:: i >= WRITES && i < WRITES + TRUNCS ->
#ifdef POOL_FIRST
		atomic { SET(ABSENT, 0) };
		atomic { written++; storage = written };
#else
		atomic { written++; storage = written };
		atomic { SET(ABSENT, 0) };
#endif
		acknowledged = written;
		i++
	:: i >= WRITES + TRUNCS -> break
	od
}

/* One at a time, a successor whenever it dies: so it may write what is old by then. */
proctype flusher()
{
	byte i = 0, value, seen;

	do
	:: i < FLUSHES ->
		if
		:: atomic { kind == DATA -> value = what; seen = version }
		:: i = FLUSHES; goto done
		fi;
#ifdef CLEAN_FIRST
		atomic { if :: version == seen -> SET(CLEAN, value); seen = version :: else fi };
#endif
		storage = TORN;
		if
		:: storage = value
		:: i++; goto next /* it died, and another one begins anew */
		fi;
		atomic {
			if
#ifdef CLEAN_BLIND
			:: kind == DATA -> SET(CLEAN, what)
#else
			:: version == seen -> SET(CLEAN, value)
#endif
			:: else
			fi;
			assert(KEPT)
		};
		i++;
next:		skip
	:: i >= FLUSHES -> break
	od;
done:	skip
}

proctype dropper()
{
	byte i = 0, seen;

	do
	:: i < DROPS ->
		if
		:: atomic { kind == CLEAN -> seen = version }
		:: break
		fi;
		atomic {
			if
#ifdef DROP_BLIND
			:: SET(ABSENT, 0)
#else
			:: version == seen -> SET(ABSENT, 0)
			:: else
#endif
			fi;
			assert(KEPT)
		};
		i++
	:: i >= DROPS -> break
	od
}

init {
	atomic { run reader(0); run reader(1); run fabric(); run successor(); run writer(); run flusher(); run dropper() }
}
