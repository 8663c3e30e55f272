/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reclaim.pml - interval-based reclamation (2GE-IBR, Wen et al., PPoPP 2018).
 *
 * One link word `root` names an object. Readers look it up twice within one
 * operation and use what they found both times at the very end; writers
 * replace it, retire the old object and reuse retired ones. Somebody else
 * advances the epoch E at any moment.
 *
 * The rule under test:
 *   reader  low = high = E, full fence; after each load of a link E is read
 *           again: if it moved, high = E, full fence, and the link is loaded
 *           again; the announcement is cleared by a plain store at the end
 *   writer  birth sampled after the object is taken, before it is published;
 *           retirement epoch r sampled after the unlinking
 *   reuser  E advanced, E_s = E, then every lane's interval is read; an object
 *           RETIRED(r) may be taken if r < E_s and no interval read has
 *           low <= r and birth <= high. The snapshot may be kept and used again.
 *   a reader that dies leaves its announcement until it is recovered
 *
 * A lane's stores of its announcement go through a store buffer (TSO) that
 * drains whenever it likes; a full fence waits until it is empty. One pass over
 * the lanes is enough here: adopt.pml shows why helpers need two.
 *
 * Checked: an object in use is never reused.
 *
 * Variants: NO_FENCE, EARLY_RETIRE (r sampled before the unlinking), NO_RECHECK (E
 * is not read again after the load), NO_RELOAD (high is extended but the link is
 * not loaded again), REUSE_EQUAL (r <= E_s), SKIP_SUSPECT (a slow lane is taken
 * for dead), LATE_BIRTH (birth sampled after the publication).
 */
#ifndef READERS
#define READERS 2
#endif
#ifndef WRITERS
#define WRITERS 1
#endif
#ifndef OPS
#define OPS 1        /* of each reader */
#endif
#ifndef SWAPS
#define SWAPS 3      /* of each writer */
#endif
#ifndef OBJECTS
#define OBJECTS 3
#endif
#ifndef E_MAX
#define E_MAX 4
#endif

#define FREE 0
#define USED 1
#define RETIRED 2

byte E = 1;
byte low[READERS], high[READERS];             /* as other lanes see them */
byte buf_low[READERS], buf_high[READERS];     /* in the store buffer */
bool buffered[READERS];

byte root = 0;
byte state[OBJECTS], birth[OBJECTS], retired[OBJECTS];
byte tenancy[OBJECTS];                        /* ghost: how often it was reused */

#ifdef NO_FENCE
#define FENCE(me) skip
#else
#define FENCE(me) !buffered[me]
#endif

/* Store an announcement: into the buffer, once there is room. */
inline announce(me, l, h)
{
	atomic {
		!buffered[me];
		buf_low[me] = l;
		buf_high[me] = h;
		buffered[me] = true
	}
}

inline drain(me)
{
	low[me] = buf_low[me];
	high[me] = buf_high[me];
	buf_low[me] = 0;
	buf_high[me] = 0;
	buffered[me] = false
}

proctype StoreBuffer(byte me)
{
end:	do
	:: d_step { buffered[me] -> drain(me) }
	od
}

/* Load the link under protection: x, and its tenancy t. */
inline load_link(x, t)
{
#ifdef NO_RECHECK
	d_step { x = root; t = tenancy[x] }
#else
	do
	:: d_step { x = root; t = tenancy[x] };
		e = E;
		if
		:: e == h -> break
		:: else ->
			h = e;
			announce(me, l, h);
			FENCE(me)
#ifdef NO_RELOAD
			; break
#endif
		fi
	od
#endif
}

proctype Reader(byte me)
{
	byte n, e, l, h, x1, t1, x2, t2;

	do
	:: n < OPS ->
		l = E;
		h = l;
		announce(me, l, h);
		FENCE(me);
		load_link(x1, t1);
		load_link(x2, t2);
		if
		:: atomic { /* dies: the buffer drains or is lost; recovered later */
			if
			:: buffered[me] -> drain(me)
			:: buf_low[me] = 0; buf_high[me] = 0; buffered[me] = false
			fi;
			goto died
		}
		:: d_step {
			assert(tenancy[x1] == t1);
			assert(tenancy[x2] == t2)
		}
		fi;
		announce(me, 0, 0);
		d_step { n++; e = 0; l = 0; h = 0; x1 = 0; t1 = 0; x2 = 0; t2 = 0 }
	:: else -> break
	od;
	goto over;
died:
	skip;
	d_step { n = 0; e = 0; l = 0; h = 0; x1 = 0; t1 = 0; x2 = 0; t2 = 0 };
	d_step { low[me] = 0; high[me] = 0 } /* recovery */
over:
	skip
}

/* Object y is free, or may be taken under the snapshot (in d_step; sets ok, i). */
inline reusable(y)
{
	ok = (state[y] == FREE);
	if
#ifdef REUSE_EQUAL
	:: state[y] == RETIRED && retired[y] <= es ->
#else
	:: state[y] == RETIRED && retired[y] < es ->
#endif
		ok = true;
		i = 0;
		do
		:: i < READERS ->
			if
			:: lo[i] != 0 && lo[i] <= retired[y] && birth[y] <= hi[i] -> ok = false
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0
	:: else
	fi
}

proctype Writer()
{
	byte n, x, y, r, i, es;
	byte lo[READERS], hi[READERS];
	bool ok;

	do
	:: n < SWAPS ->
		if
		:: d_step { E < E_MAX -> E++; es = E };
			do
			:: i < READERS ->
				d_step {
					lo[i] = low[i];
#ifdef SKIP_SUSPECT
					if
					:: i == READERS - 1 -> lo[i] = 0 /* slow, not gone */
					:: else
					fi;
#endif
					hi[i] = (lo[i] -> high[i] : 0);
					i++
				}
			:: else -> break
			od;
			i = 0
		:: true /* nothing, or the snapshot of last time */
		fi;
		d_step {
			y = 0;
			do
			:: y < OBJECTS ->
				reusable(y);
				if
				:: ok -> break
				:: else -> y++
				fi
			:: else -> break
			od;
			if
			:: ok ->
				state[y] = USED;
				tenancy[y]++
			:: else
			fi
		};
		if
		:: ok ->
#ifndef LATE_BIRTH
			birth[y] = E;
#endif
#ifdef EARLY_RETIRE
			r = E;
			d_step { x = root; root = y };
#else
			d_step { x = root; root = y };
			r = E;
#endif
#ifdef LATE_BIRTH
			birth[y] = E;
#endif
			d_step { retired[x] = r; state[x] = RETIRED }
		:: else
		fi;
		d_step { n++; ok = false; x = 0; y = 0; r = 0 }
	:: else -> break
	od;
	skip;
	d_step {
		n = 0; es = 0; i = 0;
		do
		:: i < READERS -> lo[i] = 0; hi[i] = 0; i++
		:: else -> break
		od;
		i = 0
	}
}

/* Other reusers of the pool move the epoch at any time. */
proctype Advancer()
{
	do
	:: d_step { E < E_MAX -> E++ }
	:: break
	od
}

init {
	byte i;

	atomic {
		state[0] = USED;
		birth[0] = 1;
		do
		:: i < READERS -> run StoreBuffer(i); run Reader(i); i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < WRITERS -> run Writer(); i++
		:: else -> break
		od;
		i = 0;
		run Advancer()
	}
}
