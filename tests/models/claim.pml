/* SPDX-License-Identifier: Apache-2.0 */
/*
 * claim.pml - a word whose version has come round: words here have no versions at all.
 *
 * One lane makes records of two words, from before to after, one after the other. A third
 * party changes the words between any two steps, back and forth, so that a compare-and-swap
 * that comes late nearly always finds the value that it expects. Helpers finish the records and may die
 * at any step (their lane is recovered and goes on); so may the owner (its recoverer goes on).
 *
 * The rule under test (sync/record.c, sync/claim.c):
 *   the owner puts its marks by one CAS while the record is not HELPED
 *   a helper makes it HELPED first; then marks are HELPED marks: the owner's are replaced
 *     by CAS, and before -> claim -> mark if the status, read after the claim was seen, is still
 *     HELPED and UNDECIDED, else claim -> before
 *   an owner's mark of a HELPED record stands for `before`
 *   who takes the marks off takes claims for them off, too; the owner does before IDLE
 *
 * Checked at every moment: each word stands for what a single copy of it would hold,
 * changed by the third party and, both at once, by each commit, which finds both as expected.
 *
 * Variants: NO_CLAIM (a helper puts its mark by one CAS), NO_HELPED (the owner's marks look like
 * the helpers'), STATUS_FIRST (the status before the claim was seen in the word),
 * NO_SEARCH (claims are not looked for when marks are taken off).
 */
#ifndef WORDS
#define WORDS 1
#endif
#ifndef OPS
#define OPS 2
#endif
#ifndef HELPERS
#define HELPERS 1
#endif
#ifndef HELPS
#define HELPS 2
#endif
#ifndef CHANGES
#define CHANGES 2
#endif
#ifndef DEATHS
#define DEATHS 1
#endif

#define IDLE 0
#define UNDECIDED 1
#define COMMITTED 2
#define ABORTED 3
/* status: seq, helped, state */
#define STATUS(q, h, s) ((q) * 8 + (h) * 4 + (s))
#define SEQ(x) ((x) / 8)
#define HELPED(x) (((x) / 4) % 2)
#define STATE(x) ((x) % 4)

/* words: 0, 1, a mark or a claim */
#define MARK(q, h) (16 + (q) * 2 + (h))
#define IS_MARK(w) ((w) >= 16 && (w) < 64)
#define MARK_SEQ(w) (((w) - 16) / 2)
#define MARK_HELPED(w) ((w) % 2)
#define CLAIM(l, n) (64 + (l) * 32 + (n))
#define IS_CLAIM(w) ((w) >= 64)
#define CLAIM_LANE(w) (((w) - 64) / 32)
#define CLAIM_NUMBER(w) ((w) % 32)
#ifdef NO_HELPED
#define OWNERS(q) MARK(q, 1)
#else
#define OWNERS(q) MARK(q, 0)
#endif

byte W[2], truth[2];
byte status;
byte before[2], after[2];
byte c_number[3], c_mark[3], c_before[3], c_where[3]; /* lane 0: of the owner or its recoverer */
byte changes, deaths;
bool done;

#define LOGICAL(i) (IS_CLAIM(W[i]) -> \
		(c_number[CLAIM_LANE(W[i])] == CLAIM_NUMBER(W[i]) -> c_before[CLAIM_LANE(W[i])] : 9) : \
	(!IS_MARK(W[i]) -> W[i] : \
	(MARK_SEQ(W[i]) != SEQ(status) || STATE(status) == IDLE -> 9 : \
	(STATE(status) != COMMITTED -> before[i] : \
	(HELPED(status) && !MARK_HELPED(W[i]) -> before[i] : after[i])))))

inline decide(outcome)
{
	d_step {
		if
		:: status == st ->
			status = STATUS(SEQ(st), HELPED(st), outcome);
			if
			:: outcome == COMMITTED ->
				assert(truth[0] == before[0] && truth[1] == before[1]);
				truth[0] = after[0]; truth[1] = after[1]
			:: else
			fi
		:: else
		fi
	}
}

inline swap(at, from, into)
{
	d_step {
		if
		:: W[at] == (from) -> W[at] = (into)
		:: else
		fi
	}
}

/* Take the claim w off word i. */
inline resolve_claim()
{
	d_step { /* fields that belong together, or none */
		cl = CLAIM_LANE(w);
		cm = (c_number[cl] == CLAIM_NUMBER(w) -> c_mark[cl] : 0);
		cb = c_before[cl];
		cl = 0
	};
	if
	:: cm ->
#ifndef STATUS_FIRST
		s2 = status;
#endif
		cm = (s2 == STATUS(MARK_SEQ(cm), 1, UNDECIDED) -> cm : cb);
		swap(i, w, cm)
	:: else
	fi;
	skip;
	d_step { cm = 0; cb = 0; s2 = 0 }
}

#define DIES (deaths < DEATHS && !recovering)
#define DIE if \
	:: DIES -> deaths++; goto died \
	:: true \
	fi

inline claim_word()
{
	d_step { c_number[me] = c_number[me] + 1; c_mark[me] = MARK(q, 1); c_before[me] = b; c_where[me] = i };
#ifdef STATUS_FIRST
	s2 = status;
#endif
	DIE;
	w = CLAIM(me, c_number[me]);
	swap(i, b, w);
	DIE;
	if
	:: W[i] == w -> resolve_claim()
	:: else
	fi
}

/* Mark the words of record q, whose status was st, and decide. */
inline mark_words()
{
	i = 0;
	do
	:: i < WORDS ->
		atomic {
			b = before[i];
			if
			:: status != st -> break
			:: else
			fi
		};
		w = W[i];
		if
		:: w == MARK(q, HELPED(st)) -> i++
		:: else ->
			if
			:: IS_CLAIM(w) -> resolve_claim()
			:: else ->
				if
				:: status != st -> break
				:: else
				fi;
				if
				:: w != OWNERS(q) && w != b -> decide(ABORTED); break
				:: w == OWNERS(q) -> DIE; swap(i, w, MARK(q, HELPED(st)))
				:: w == b && w != OWNERS(q) && !HELPED(st) -> DIE; swap(i, b, OWNERS(q))
				:: w == b && w != OWNERS(q) && HELPED(st) ->
#ifdef NO_CLAIM
					DIE; swap(i, b, MARK(q, 1))
#else
					claim_word()
#endif
				fi
			fi
		fi
	:: else -> DIE; decide(COMMITTED); break
	od;
	skip;
	d_step { i = 0; b = 0; w = 0 }
}

inline unmark_words()
{
	i = 0;
	do
	:: i < WORDS ->
		atomic {
			b = (STATE(st) == COMMITTED -> after[i] : before[i]);
			v = before[i];
			if
			:: status != st -> break
			:: else
			fi
		};
		w = W[i];
		if
		:: w == MARK(q, HELPED(st)) -> DIE; swap(i, w, b)
		:: HELPED(st) && w == MARK(q, 0) -> DIE; swap(i, w, v)
#ifndef NO_SEARCH
		:: HELPED(st) && IS_CLAIM(w) && c_mark[CLAIM_LANE(w)] == MARK(q, 1) &&
		   c_number[CLAIM_LANE(w)] == CLAIM_NUMBER(w) -> DIE; resolve_claim()
#endif
		:: else -> i++
		fi
	:: else -> break
	od;
	skip;
	d_step { i = 0; b = 0; w = 0; v = 0 }
}

/* Bring record q to its end. */
inline finish(alone)
{
	do
	:: st = status;
		if
		:: SEQ(st) != q || STATE(st) == IDLE -> break
		:: SEQ(st) == q && STATE(st) == UNDECIDED && !HELPED(st) && !(alone) ->
			d_step {
				if
				:: status == st -> status = STATUS(q, 1, UNDECIDED)
				:: else
				fi
			}
		:: SEQ(st) == q && STATE(st) == UNDECIDED && (HELPED(st) || (alone)) -> mark_words()
		:: SEQ(st) == q && STATE(st) >= COMMITTED -> unmark_words(); break
		fi
	od;
	st = 0
}

#define LOCALS byte i, w, b, v, st, q, s2, cl, cm, cb; bool recovering

proctype Owner()
{
	LOCALS;
	byte me = 0, x;

	do
	:: q < OPS ->
		q++;
		/* IDLE: the fields may change; who reads them sees another status afterwards. */
		if
		:: before[0] = 0; after[0] = 1
		:: before[0] = 1; after[0] = 0
		fi;
#if WORDS > 1
		if
		:: before[1] = 0; after[1] = 1
		:: before[1] = 1; after[1] = 0
		fi;
#endif
		status = STATUS(q, 0, UNDECIDED);
		finish(true);
		goto over;
died:
		skip;
		/* Its recoverer, which is a helper; the dead do nothing any more. */
		d_step { i = 0; b = 0; w = 0; v = 0; st = 0; s2 = 0; cl = 0; cm = 0; cb = 0 };
		recovering = true;
		d_step { i = c_where[me]; w = CLAIM(me, c_number[me]) };
		if
		:: W[i] == w -> resolve_claim()
		:: else
		fi;
		finish(false);
		recovering = false;
over:
		skip;
		status = STATUS(q, HELPED(status), IDLE)
	:: else -> break
	od;
	done = true
}

proctype Helper(byte me)
{
	LOCALS;
	byte n;

	do
	:: n < HELPS ->
		n++;
		q = SEQ(status);
		finish(false);
		goto over;
died:
		skip;
		d_step { i = 0; b = 0; w = 0; v = 0; st = 0; s2 = 0; cl = 0; cm = 0; cb = 0 };
		d_step { i = c_where[me]; w = CLAIM(me, c_number[me]) };
		if
		:: W[i] == w -> resolve_claim()
		:: else
		fi;
over:
		skip;
		d_step { i = 0; w = 0; q = 0; s2 = 0 }
	:: else -> break
	od
}

/* Changes a word that is a value, to the other one. */
proctype Third()
{
	byte k;

	do
	:: changes < CHANGES ->
		if
		:: k = 0
#if WORDS > 1
		:: k = 1
#endif
		fi;
		d_step {
			if
			:: W[k] < 2 -> W[k] = 1 - W[k]; truth[k] = 1 - truth[k]; changes++
			:: else
			fi
		}
	:: changes == CHANGES -> break
	:: done -> break
	od
}

proctype Monitor()
{
	atomic { !(LOGICAL(0) == truth[0] && LOGICAL(1) == truth[1]) -> assert(false) }
}

init {
	atomic {
		run Owner();
		run Helper(1);
#if HELPERS > 1
		run Helper(2);
#endif
		run Third();
		run Monitor()
	}
}
