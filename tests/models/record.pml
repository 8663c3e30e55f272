/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.pml - the commit record: a multi-word compare-and-swap whose
 * descriptor is the log, and the objects that it allocates and retires.
 *
 * Two lanes. Each operation allocates an object X and commits two words: W[0]
 * from the object it names to X, W[1] from n to n + 1; it retires the object
 * that W[0] named. A third party changes W[1] alone, finishing records whose
 * marks are in its way. Lane 0 may die at any step; its recoverer may die at
 * any step and is replaced; the lane is then used by its next tenant under
 * the next sequence.
 *
 * The rule under test:
 *   status {seq, state} of a lane: IDLE -> PREPARE (fields may change) -> UNDECIDED
 *   -> COMMITTED | ABORTED by CAS -> marks taken off -> objects finalized -> IDLE
 *   anyone finishes a record whose mark is in his way: mark the words in order
 *   (a foreign mark is finished first, a changed word aborts), decide, take the
 *   marks off; each field read counts only if the status did not change since
 *   every change of a word bumps its version, taking off an aborted mark too
 *   objects are finalized by owner or recoverer alone, after the decision:
 *   PRIVATE(lane, seq) -> LIVE or FREE; the retired LIVE or PRIVATE(txid) -> RETIRED
 * RETIRED objects are reused at once here, which is harder than life; when they
 * really may be is the matter of reclaim.pml and adopt.pml.
 *
 * Checked: W[1] counts the commits; an object is never taken, freed or retired
 * while W[0] names it; a reader's value was the word's during the read; in the
 * end no marks, nothing PRIVATE, nothing LIVE but what W[0] names.
 *
 * Variants: NO_BUMP (undoing restores the old version), FORCED_ABORT (recovery
 * aborts an undecided record instead of rolling it forward), EARLY_FIELDS
 * (fields rewritten while the status shows the old sequence; needs READER),
 * NO_NONCE (retires whatever is there), LIVE_FIRST (tries LIVE before PRIVATE:
 * the owner finalizes in between and nobody retires it), LIVE_ONLY (does not retire what is
 * still PRIVATE of a dead owner), EARLY_SETTLE (recovery goes by the status
 * it read before it finished the record), NO_RECHECK (a helper believes fields
 * without reading the status again).
 */
#ifndef OPS0
#define OPS0 1
#endif
#ifndef OPS1
#define OPS1 1
#endif
#ifndef OBJECTS
#define OBJECTS 3
#endif

#ifndef THIRDS
#define THIRDS 0
#endif
#ifdef NO_CRASH
#define CRASH false
#else
#define CRASH true
#endif

#define IDLE 0
#define PREPARE 1
#define UNDECIDED 2
#define COMMITTED 3
#define ABORTED 4
#define STATUS(q, s) ((q) * 8 + (s))
#define SEQ(x) ((x) / 8)
#define STATE(x) ((x) % 8)

/* Words: payload and version, or a mark. */
#define VALUE(payload, version) ((payload) + 8 * (version))
#define PAYLOAD(w) ((w) % 8)
#define NEXT(w, payload) ((payload) + 8 * ((w) / 8 + 1))
#define MARK(l, q) (200 + (l) * 8 + (q))
#define IS_MARK(w) ((w) >= 200)
#define MARK_LANE(w) (((w) - 200) / 8)
#define MARK_SEQ(w) (((w) - 200) % 8)
#ifdef NO_BUMP
#define UNDO(w) (w)
#else
#define UNDO(w) NEXT(w, PAYLOAD(w))
#endif

/* Object states: kind and txid. */
#define FREE 0
#define PRIVATE 1
#define LIVE 2
#define RETIRED 3
#define OBJECT(kind, txid) ((kind) + 4 * (txid))
#define KIND(x) ((x) % 4)
#define NONCE_OF(x) ((x) / 4)
#define NONCE(l, q) ((l) * 8 + (q))

#define NONE 7

byte W[2];
byte object[OBJECTS];

byte status[2];
byte before[4], after[4];     /* [lane * 2 + word] */
byte alloc[2];                /* object, or NONE */
byte victim[2], victim_txid[2];

byte commits;                 /* ghost */
bool done[2], dead, recovered, recoverer_dead;
byte thirds_done;

/* What the word i stands for, to an observer who sees everything at once. */
#define LOGICAL(i) (IS_MARK(W[i]) -> \
	(status[MARK_LANE(W[i])] == STATUS(MARK_SEQ(W[i]), COMMITTED) -> \
		after[MARK_LANE(W[i]) * 2 + i] : before[MARK_LANE(W[i]) * 2 + i]) : W[i])

/* Object x changes from the state old to new, if it is in it; ok says so. It
 * must not be the one that is linked, unless it becomes LIVE. */
inline change(obj, from, into)
{
	d_step {
		ok = (object[obj] == (from));
		if
		:: ok ->
			assert(KIND(into) == LIVE || PAYLOAD(LOGICAL(0)) != obj);
			object[obj] = (into)
		:: else
		fi
	}
}

/* What may happen instead of a step: lane 0 (role 1) or the first recoverer
 * (role 2) dies. */
#define DIE atomic { \
		(role == 1 && !dead && CRASH) || (role == 2 && !recoverer_dead); \
		if \
		:: role == 1 -> dead = true \
		:: else -> recoverer_dead = true \
		fi; \
		goto died \
	}

inline decide(dl, dq, outcome)
{
	d_step {
		if
		:: status[dl] == STATUS(dq, UNDECIDED) ->
			status[dl] = STATUS(dq, outcome);
			commits = commits + (outcome == COMMITTED)
		:: else
		fi
	}
}

/* Mark the words of record {tl, ts}, then decide. Ends early when the record is
 * decided, or with another target when a foreign mark is in the way. */
inline mark_words()
{
	do
	:: j < 2 ->
		b = before[tl * 2 + j];
#ifndef NO_RECHECK
		if
		:: status[tl] != STATUS(ts, UNDECIDED) -> break
		:: else
		fi;
#endif
		if
		:: DIE
		:: d_step {
			c = W[j];
			if
			:: c == b -> W[j] = MARK(tl, ts)
			:: else
			fi
		}
		fi;
		if
		:: c == b || c == MARK(tl, ts) -> d_step { j++; b = 0; c = 0 }
		:: c != b && IS_MARK(c) && c != MARK(tl, ts) ->
			d_step {
				assert(MARK_LANE(c) != tl || MARK_SEQ(c) > ts); /* else an orphan */
				tl = MARK_LANE(c); ts = MARK_SEQ(c)
			};
			break
		:: else -> decide(tl, ts, ABORTED); break
		fi
	:: else -> decide(tl, ts, COMMITTED); break
	od;
	j = 0; b = 0; c = 0
}

/* Take the marks of the record {tl, ts} off; st is its status, decided. */
inline unmark_words()
{
	do
	:: j < 2 ->
		b = (STATE(st) == COMMITTED -> after[tl * 2 + j] : UNDO(before[tl * 2 + j]));
#ifndef NO_RECHECK
		if
		:: status[tl] != st -> break
		:: else
		fi;
#endif
		if
		:: DIE
		:: d_step {
			if
			:: W[j] == MARK(tl, ts) -> W[j] = b
			:: else
			fi;
			j++; b = 0
		}
		fi
	:: else -> break
	od;
	j = 0; b = 0
}

/* Bring record {l, q} to its end. {tl, ts} is what is being worked on: that
 * record or one in its way. */
inline finish(fl, fq)
{
	d_step { tl = fl; ts = fq };
	do
	:: st = status[tl];
		if
		:: st == STATUS(ts, UNDECIDED) -> st = 0; mark_words()
		:: else ->
			if
			:: SEQ(st) == ts && STATE(st) >= COMMITTED -> unmark_words()
			:: else
			fi;
			st = 0;
			if
			:: tl == fl && ts == fq -> break
			:: else -> d_step { tl = fl; ts = fq }
			fi
		fi
	od;
	st = 0;
	d_step { tl = 0; ts = 0 }
}

#define RETIRE_STEP(l) if \
	:: DIE \
	:: change(victim[l], x, y) \
	fi

/*
 * The objects of a lane's decided record; st is its status. A victim may still
 * be PRIVATE of its committed owner, who may just be settling it: PRIVATE is
 * tried before LIVE, the way it moves.
 */
inline finalize(sl)
{
	if
	:: alloc[sl] != NONE ->
		d_step {
			x = OBJECT(PRIVATE, NONCE(sl, SEQ(st)));
			y = (STATE(st) == COMMITTED -> OBJECT(LIVE, NONCE(sl, SEQ(st))) : FREE)
		};
		if
		:: DIE
		:: change(alloc[sl], x, y)
		fi
	:: else
	fi;
	if
	:: STATE(st) == COMMITTED ->
		y = RETIRED;
#ifdef LIVE_FIRST
		x = OBJECT(LIVE, victim_txid[sl]);
		RETIRE_STEP(sl);
#endif
#ifndef LIVE_ONLY
		x = OBJECT(PRIVATE, victim_txid[sl]);
		RETIRE_STEP(sl);
#endif
#ifndef LIVE_FIRST
#ifdef NO_NONCE
		x = OBJECT(LIVE, NONCE_OF(object[victim[sl]]));
#else
		x = OBJECT(LIVE, victim_txid[sl]);
#endif
		RETIRE_STEP(sl)
#else
		skip
#endif
	:: else
	fi;
	d_step { ok = false; x = 0; y = 0 }
}

/* A word free of marks: finishes whatever is in the way. */
inline load_helped(lw, loaded)
{
	do
	:: loaded = W[lw];
		if
		:: IS_MARK(loaded) ->
			d_step {
				ml = MARK_LANE(loaded); mq = MARK_SEQ(loaded); loaded = 0;
				assert(ml != p) /* an orphan */
			};
			finish(ml, mq);
			d_step { ml = 0; mq = 0 }
		:: else -> break
		fi
	od
}

/* One operation of lane p from beginning to end. */
inline operation()
{
	q = SEQ(status[p]) + 1;
#ifndef EARLY_FIELDS
	if
	:: DIE
	:: status[p] = STATUS(q, PREPARE)
	fi;
#endif
	/* allocate: name it, take it */
	i = 0;
	do
	:: i < OBJECTS ->
		if
		:: d_step { KIND(object[i]) == FREE || KIND(object[i]) == RETIRED -> alloc[p] = i };
			if
			:: DIE
			:: d_step { /* CAS from what was seen */
				ok = (KIND(object[i]) == FREE || KIND(object[i]) == RETIRED);
				if
				:: ok ->
					assert(PAYLOAD(LOGICAL(0)) != i);
					object[i] = OBJECT(PRIVATE, NONCE(p, q))
				:: else
				fi
			}
			fi;
			if
			:: ok -> break
			:: else -> i++
			fi
		:: else -> i++
		fi
	:: else -> break
	od;
	assert(ok); /* two lanes, one linked: three objects suffice */
	load_helped(0, x);
	load_helped(1, y);
	skip;
	d_step {
		ok = false;
		before[p * 2] = x;
		after[p * 2] = NEXT(x, i);
		victim[p] = PAYLOAD(x);
		victim_txid[p] = NONCE_OF(object[PAYLOAD(x)]);
		i = 0; x = 0
	};
	d_step {
		before[p * 2 + 1] = y;
		after[p * 2 + 1] = NEXT(y, PAYLOAD(y) + 1);
		y = 0
	};
	if
	:: DIE
	:: status[p] = STATUS(q, UNDECIDED)
	fi;
	finish(p, q);
	st = status[p];
	finalize(p);
	st = 0;
	if
	:: DIE
	:: d_step { status[p] = STATUS(q, IDLE); q = 0 }
	fi
}

#define LOCALS byte i, j, x, y, b, c, st, q, tl, ts, ml, mq; bool ok
#define FORGET d_step { i = 0; j = 0; x = 0; y = 0; b = 0; c = 0; st = 0; q = 0; \
		tl = 0; ts = 0; ml = 0; mq = 0; ok = false; n = 0 }

proctype Lane(byte p)
{
	LOCALS;
	byte n;
	byte role = (p == 0 -> 1 : 0);

	do
	:: n < (p == 0 -> OPS0 : OPS1) -> operation(); n++
	:: else -> break
	od;
	done[p] = true;
died:
	skip;
	FORGET
}

/* Recoverer of lane 0; the second takes over from the first. */
proctype Recoverer(bool second)
{
	LOCALS;
	byte p = 0, n;
	byte role = (second -> 0 : 2);

	atomic { dead && (!second || recoverer_dead) };
	st = status[0];
	q = SEQ(st);
	if
	:: STATE(st) == UNDECIDED || STATE(st) == COMMITTED || STATE(st) == ABORTED ->
#ifdef FORCED_ABORT
		if
		:: DIE
		:: decide(0, q, ABORTED)
		fi;
#endif
#ifdef EARLY_SETTLE
		n = st;
#endif
		finish(0, q);
#ifdef EARLY_SETTLE
		st = n;
		n = 0;
#else
		st = status[0];
#endif
		finalize(0)
	:: STATE(st) == PREPARE -> finalize(0)
	:: else
	fi;
	st = 0;
	if
	:: DIE
	:: status[0] = STATUS(q, IDLE)
	fi;
	role = 0;
	operation(); /* the next tenant */
	recovered = true;
died:
	skip;
	FORGET
}

/* Bumps W[1] once, so that records that staged it abort. No lane of its own. */
proctype Third()
{
	LOCALS;
	byte p = 2, n, role = 0;

	load_helped(1, y);
	skip;
	d_step {
		if
		:: W[1] == y -> W[1] = NEXT(y, PAYLOAD(y))
		:: else
		fi
	};
	thirds_done++;
died:
	skip;
	FORGET
}

/* Reads the counter once, through a mark if there is one, changing nothing. */
proctype Reader()
{
	byte low, w, s, v;

	d_step { low = commits; w = W[1] };
	do
	:: IS_MARK(w) ->
		s = status[MARK_LANE(w)];
		v = (STATE(s) == COMMITTED -> after[MARK_LANE(w) * 2 + 1] : before[MARK_LANE(w) * 2 + 1]);
		if
		:: SEQ(s) != MARK_SEQ(w) || STATE(s) < UNDECIDED || SEQ(status[MARK_LANE(w)]) != MARK_SEQ(w) ->
			d_step { low = commits; w = W[1] } /* look again */
		:: else -> break
		fi
	:: else -> v = w; break
	od;
	assert(low <= PAYLOAD(v) && PAYLOAD(v) <= commits);
	low = 0; w = 0; s = 0; v = 0
}

init {
	byte i;

	atomic {
		W[0] = VALUE(0, 0);
		W[1] = VALUE(0, 0);
		object[0] = OBJECT(LIVE, 30);
		alloc[0] = NONE;
		alloc[1] = NONE;
#ifdef READER
		run Reader();
#endif
		do
		:: i < THIRDS -> i++; run Third()
		:: else -> break
		od;
		i = 0;
		run Lane(0);
		run Lane(1);
		run Recoverer(false);
		run Recoverer(true)
	};
	(done[0] || recovered) && done[1] && thirds_done == THIRDS;
	assert(!IS_MARK(W[0]) && !IS_MARK(W[1]));
	assert(PAYLOAD(W[1]) == commits);
	do
	:: i < OBJECTS ->
		assert(KIND(object[i]) != PRIVATE);
		assert((KIND(object[i]) == LIVE) == (PAYLOAD(W[0]) == i));
		i++
	:: else -> break
	od
}
