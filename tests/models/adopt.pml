/* SPDX-License-Identifier: Apache-2.0 */
/*
 * adopt.pml - helping a record whose words live in reclaimable containers.
 *
 * Lane 0 (the owner) commits records of two words: word R at a fixed place and
 * one word inside the container (say a node page) that it found through the
 * link `root`. Other lanes that meet the mark in R finish the record, so they
 * write into a container they never looked up. Meanwhile mutators replace the
 * container, retire the old one and reuse retired ones. The owner may die
 * anywhere; its recoverer finishes the record, which may overlap slow helpers,
 * and may itself die and be replaced.
 *
 * The rule under test:
 *   owner   announces [low, high], looks up, arms the record; status leaves for
 *           IDLE before the announcement is cleared
 *   helper  reads status and fields, low = min(low, owner's low), high = E,
 *           full fence, status must still carry the sequence and not be IDLE;
 *           then it may write; it keeps the interval to the end of its operation
 *   reuser  E advanced, E_s = E, intervals of all lanes read TWICE, one whole
 *           pass after the other; an object RETIRED(r) may be taken if r < E_s
 *           and neither pass saw an interval that meets [birth, r]
 *
 * Why twice: protection passes from the owner to the helper. One pass may read
 * the helper before it adopts and the owner after it has finished:
 *
 *   reuser                 helper                         owner
 *   reads helper: nothing
 *                          adopts, fences, status: OK
 *                                                         finishes, IDLE, clears
 *   reads owner: nothing
 *   reuses the container   CAS into it
 *
 * With two passes a helper missed by the second adopted after the first had
 * ended, and its check says the owner was still announced then: the first saw
 * the owner. Adoption is always from the record's own lane, so there are no
 * longer chains.
 *
 * Checked: nobody CASes a word of a container that was reused since the record
 * was made (whatever value is there: the page may hold data by now), and no
 * mark is left behind.
 *
 * Variants: ONE_PASS, NO_ADOPT, NO_FENCE, NO_RECHECK, KEEP_HIGH (adopts low only),
 * CLEAR_FIRST (owner clears its announcement before IDLE), DROP_EARLY (a dead
 * owner's announcement is dropped before its record is finalized).
 */
#ifndef HELPERS
#define HELPERS 1
#endif
#ifndef OPS
#define OPS 1       /* of the owner */
#endif
#ifndef HOPS
#define HOPS 1      /* of each helper */
#endif
#ifndef SWAPS
#define SWAPS 2     /* of the mutator */
#endif
#ifndef OBJECTS
#define OBJECTS 2
#endif
#ifdef NO_CRASH
#define CRASH false
#else
#define CRASH true
#endif
#define LANES (1 + HELPERS)
#define OWNER 0

#ifdef ONE_PASS
#define PASSES 1
#else
#define PASSES 2
#endif

/* Status of the owner's record: seq * 8 + state. */
#define IDLE 0
#define PREPARE 1
#define UNDECIDED 2
#define COMMITTED 3
#define ABORTED 4
#define STATUS(q, s) ((q) * 8 + (s))
#define SEQ(x) ((x) / 8)
#define STATE(x) ((x) % 8)

/* Words: a version, or MARK + seq. */
#define MARK 128
#define IS_MARK(x) ((x) >= MARK)

#define FREE 0
#define USED 1
#define RETIRED 2

byte E = 1;
byte low[LANES], high[LANES];      /* announced; low 0: none */

byte root = 0;                     /* the linked container */
byte state[OBJECTS], birth[OBJECTS], retired[OBJECTS];
byte tenancy[OBJECTS];             /* ghost: how often it was reused */

byte R;                            /* the word at a fixed place */
byte inner[OBJECTS];               /* the word in each container */

byte status;                       /* the owner's record */
byte rec_obj, rec_before[2];
byte rec_tenancy;                  /* ghost: of rec_obj when it was looked up */

bool dead, finalized, owner_done;
bool recoverer_dead;
byte helpers_done;

/* What may happen instead of a step: the owner (role 1) or its first recoverer
 * (role 2) dies. */
#define DIE atomic { \
		(role == 1 && !dead && CRASH) || (role == 2 && !recoverer_dead); \
		if \
		:: role == 1 -> dead = true \
		:: else -> recoverer_dead = true \
		fi; \
		goto died \
	}

/* CAS of a word; c becomes what was found. For the inner word of container o,
 * under a record made in tenancy t: this is the access that must be safe. */
inline cas_R(old, new)
{
	d_step {
		c = R;
		if
		:: c == (old) -> R = (new)
		:: else
		fi
	}
}

inline cas_inner(o, t, old, new)
{
	d_step {
		assert(tenancy[o] == t);
		c = inner[o];
		if
		:: c == (old) -> inner[o] = (new)
		:: else
		fi
	}
}

inline decide(q, to)
{
	d_step {
		if
		:: status == STATUS(q, UNDECIDED) -> status = STATUS(q, to)
		:: else
		fi
	}
}

/*
 * Finish record q from private copies of its fields: mark R, then the inner
 * word (a mismatch aborts), decide, take the marks off (both outcomes bump the
 * version). Used by owner, helpers and recoverer alike.
 */
inline finish(q, o, b0, b1, t)
{
	if
	:: s == STATUS(q, UNDECIDED) ->
		if
		:: DIE
		:: cas_R(b0, MARK + q)
		fi;
		if
		:: c == b0 || c == MARK + q ->
			s = status;
			if
			:: s == STATUS(q, UNDECIDED) ->
				if
				:: DIE
				:: cas_inner(o, t, b1, MARK + q)
				fi;
				if
				:: c == b1 || c == MARK + q -> decide(q, COMMITTED)
				:: else -> decide(q, ABORTED)
				fi
			:: else
			fi
		:: else -> decide(q, ABORTED)
		fi;
		s = status
	:: else
	fi;
	if
	:: SEQ(s) == q && STATE(s) >= COMMITTED ->
		if
		:: DIE
		:: cas_R(MARK + q, b0 + 1)
		fi;
		if
		:: DIE
		:: cas_inner(o, t, MARK + q, b1 + 1)
		fi
	:: else
	fi;
	d_step { s = 0; c = 0 }
}

proctype Owner()
{
	byte n, e, q, s, c, o, t, b0, b1;
	byte role = 1;

	do
	:: n < OPS ->
		/* announce (a full fence follows the store) */
		e = E;
		d_step { high[OWNER] = e; low[OWNER] = e };
		d_step { q = SEQ(status) + 1; status = STATUS(q, PREPARE) };
		/* look the container up; E moved: extend, and look again */
		do
		:: d_step { o = root; t = tenancy[o] };
			e = E;
			if
			:: e == high[OWNER] -> break
			:: else -> high[OWNER] = e
			fi
		od;
		assert(tenancy[o] == t);
		b1 = inner[o];
		b0 = R;
		if
		:: IS_MARK(b0) -> assert(false) /* own old mark: orphan */
		:: IS_MARK(b1) -> assert(false)
		:: else
		fi;
		d_step {
			rec_obj = o; rec_tenancy = t;
			rec_before[0] = b0; rec_before[1] = b1
		};
		if
		:: DIE
		:: d_step { s = STATUS(q, UNDECIDED); status = s }
		fi;
		finish(q, o, b0, b1, t);
#ifdef CLEAR_FIRST
		low[OWNER] = 0;
		status = STATUS(q, IDLE);
#else
		if
		:: DIE
		:: status = STATUS(q, IDLE)
		fi;
		if
		:: DIE
		:: low[OWNER] = 0
		fi;
#endif
		d_step { n++; e = 0; q = 0; o = 0; t = 0; b0 = 0; b1 = 0 };
	:: else -> break
	od;
	atomic { !dead -> owner_done = true };
died:
	skip;
	d_step { n = 0; e = 0; q = 0; s = 0; o = 0; t = 0; b0 = 0; b1 = 0 }
}

/* Recoverer of the (fenced) owner; the second takes over from the first. */
proctype Recoverer(bool second)
{
	byte q, s, c, o, t, b0, b1;
	byte role = (second -> 0 : 2);

	atomic { dead && (!second || recoverer_dead) };
	q = SEQ(status);
#ifdef DROP_EARLY
	low[OWNER] = 0;
#endif
	if
	:: STATE(status) >= UNDECIDED ->
		d_step {
			s = status;
			o = rec_obj; t = rec_tenancy;
			b0 = rec_before[0]; b1 = rec_before[1]
		};
		finish(q, o, b0, b1, t)
	:: else
	fi;
	if
	:: DIE
	:: status = STATUS(q, IDLE)
	fi;
	low[OWNER] = 0;
	finalized = true;
died:
	skip;
	d_step { q = 0; s = 0; o = 0; t = 0; b0 = 0; b1 = 0 }
}

/* Take the owner's low into our interval and extend it to now. */
inline adopt()
{
#ifndef NO_ADOPT
#ifndef KEEP_HIGH
	e = E;
	high[me] = e;
#endif
	if
	:: l < low[me] -> low[me] = l
	:: else
	fi
#else
	skip
#endif
}

proctype Helper(byte me)
{
	byte n, e, q, s, c, o, t, b0, b1, l;
	bool late;
	byte role = 0;

	do
	:: n < HOPS ->
		e = E;
		d_step { high[me] = e; low[me] = e };
		q = R;
		if
		:: !IS_MARK(q) -> goto over
		:: else -> q = q - MARK
		fi;
		s = status;
		if
		:: SEQ(s) != q || STATE(s) < UNDECIDED -> goto over
		:: else
		fi;
		l = low[OWNER];
		if
		:: l == 0 -> goto over /* finished meanwhile */
		:: else
		fi;
		/* One step: the fields do not change while status carries q, and a
		 * copy torn by the next operation fails the check below. */
		d_step {
			o = rec_obj; t = rec_tenancy;
			b0 = rec_before[0]; b1 = rec_before[1]
		};
#ifdef NO_FENCE
		/* the stores may leave the store buffer after the check's load */
		if
		:: late = true
		:: adopt()
		fi;
#else
		adopt();
#endif
#ifndef NO_RECHECK
		s = status;
		if
		:: SEQ(s) != q || STATE(s) < UNDECIDED -> goto over
		:: else
		fi;
#endif
#ifdef NO_FENCE
		if
		:: late -> adopt()
		:: else
		fi;
#endif
		finish(q, o, b0, b1, t);
over:
		low[me] = 0;
		d_step {
			n++; e = 0; q = 0; s = 0; o = 0; t = 0; b0 = 0; b1 = 0;
			l = 0; late = false
		}
	:: else -> break
	od;
died:
	helpers_done++
}

/* Object y is free, or may be taken under the snapshot (in d_step; sets ok, p). */
inline reusable(y)
{
	ok = (state[y] == FREE);
	if
	:: state[y] == RETIRED && retired[y] < es ->
		ok = true;
		p = 0;
		do
		:: p < PASSES * LANES ->
			if
			:: lo[p] != 0 && lo[p] <= retired[y] && birth[y] <= hi[p] -> ok = false
			:: else
			fi;
			p++
		:: else -> break
		od;
		p = 0
	:: else
	fi
}

/*
 * Replaces the container by a free object, or else by a retired one under a
 * snapshot; any time may pass between the snapshot and its use. It alone moves
 * E, so a swap can be one step (reclaim.pml takes that apart).
 */
proctype Mutator()
{
	byte n, x, y, p, es;
	bool ok;
	byte lo[PASSES * LANES], hi[PASSES * LANES];

	do
	:: n < SWAPS ->
		d_step { E++; es = E };
		if
		:: n < OBJECTS - 1 /* one is free */
		:: else ->
			do
			:: p < PASSES * LANES ->
				d_step { /* the owner comes last in a pass */
					lo[p] = low[LANES - 1 - p % LANES];
					hi[p] = (lo[p] -> high[LANES - 1 - p % LANES] : 0);
					p++
				}
			:: else -> break
			od;
			p = 0
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
				tenancy[y]++;
				inner[y] = 0;
				birth[y] = E;
				x = root;
				root = y;
				retired[x] = E;
				state[x] = RETIRED
			:: else
			fi;
			n++;
			ok = false; x = 0; y = 0; es = 0; p = 0;
			do
			:: p < PASSES * LANES -> lo[p] = 0; hi[p] = 0; p++
			:: else -> break
			od;
			p = 0
		}
	:: else -> break
	od
}

init {
	byte i;

	atomic {
		state[0] = USED;
		birth[0] = 1;
		run Owner();
		run Recoverer(false);
		run Recoverer(true);
		i = 0;
		do
		:: i < HELPERS -> i++; run Helper(i)
		:: else -> break
		od;
		run Mutator();
		i = 0
	};
	(owner_done || finalized) && helpers_done == HELPERS;
	assert(low[OWNER] == 0);
	assert(!IS_MARK(R));
	i = 0;
	do
	:: i < OBJECTS -> assert(!IS_MARK(inner[i])); i++
	:: else -> break
	od
}
