/* SPDX-License-Identifier: Apache-2.0 */
/*
 * extent.pml - neighbouring pages taken, linked and retired as one.
 *
 * A group of three pages, a head (0) and two tails, and page 3, the head of
 * another extent whose tails are left out. The word W names one of the two
 * extents; the word V a single page of the group, or none. Lanes replace the
 * extent that W names by one they form or use again, give V another page or none,
 * or break up the extent of the group: W names none, V a tail that stays as it is (the copy
 * of page 0 is left out). Lanes 0 and 1 may die at any step; a recoverer may die at any
 * step and is replaced.
 *
 * The rule under test:
 *   E1 a page whose word is LIVE TAIL is free unless its head's use is EXTENT
 *   E2 forming: each page is found free, all are named in the record, then each is
 *      taken by CAS from what was found: the head PRIVATE EXTENT, the others
 *      PRIVATE TAIL, under the txid of the record. If one cannot be taken the record is
 *      aborted. Settled, the head becomes LIVE EXTENT (it happened), FREE (it did
 *      not) or RETIRED EXTENT (overtaken), the tails LIVE TAIL in any case
 *   E3 an extent is used again by CAS of its head, tails untouched
 *   E4 who wants single pages takes a retired head as one: its tails are free
 *   E5 an extent is retired by CAS of its head, by txid, tails untouched
 *   E6 who wants a tail looks at its word, then at its head, then takes it by CAS
 *      from the word seen: since then no extent was formed over it
 *   K1 who breaks up an extent that was found linked, and is held, names the tail that
 *      stays and takes it by CAS from {PRIVATE or LIVE, TAIL}: PRIVATE KEPT. If that fails the
 *      record is aborted. A tail that was found as anything else is copied
 *   K2 W and V change in one record of several words
 *   K3 which retires the head as ever (E5)
 *   K4 finalized, what was kept becomes LIVE KEPT (it happened) or LIVE TAIL (it did
 *      not). KEPT is as DATA from then on
 *   K5 E3 only if all tails were LIVE TAIL after the word of the head was seen that it is
 *      taken from; that word, with an epoch in it, does not come again
 *   K6 E2 is as it was: a page that was kept must be found free like any other
 *   From extent to extent W is changed by a record of one word: whether it
 *   happened is judged by what W names (single.pml); otherwise, and V, by a record
 *   of several, whose status says (record.pml).
 *
 * What is RETIRED is reused at once here, which is harder than life, but for
 * the extent that a lane found in W, which its announcement holds.
 *
 * Checked: no page is taken that somebody has: an extent has its pages from when
 * they are taken until its head is let go, or until the record happened that kept
 * one. What is taken or let go of is not linked, but a tail that is kept, which is
 * its extent's. In the end nothing is PRIVATE, each page is free or linked, not both,
 * what V names is LIVE and no TAIL, and under an EXTENT all are TAILs, but what was
 * kept under one that is RETIRED.
 *
 * Variants: HEAD_LOOK_FIRST (E6 the other way round), OLD_TAILS (forming leaves
 * a TAIL as it is), TAILS_FREED (retiring frees each tail), PRIVATE_IS_FREE (so is
 * a TAIL that is PRIVATE; forming takes the head last), TAILS_UNDONE (what did not
 * happen leaves FREE tails, finalized before the head: that recoverer dies, somebody
 * takes a tail, somebody else replaces what W names, and for the next recoverer it
 * was overtaken: it retires an extent that lacks a page), TAILS_OVERTAKEN (tails of an
 * overtaken record are FREE), EXTENT_STAYS (what did not happen leaves a RETIRED
 * EXTENT, though it may lack tails), GO_ON (a record that could not form an extent
 * takes a single page instead, and keeps what it has).
 *
 * Of K1 to K5: KEPT_FREED (what did not happen leaves a FREE page), KEPT_TAIL (what
 * happened leaves a LIVE TAIL), HEAD_KEPT (V may name the head, which is then not
 * retired: for the recoverer of a record of one word, before or after which the extent
 * was broken up, it was overtaken, and it retires a page in use; nothing fails where nobody dies),
 * WHOLE_UNLOOKED (no K5), WHOLE_LATE (the tails are looked at before the head),
 * WORD_AGAIN (a head is RETIRED as the same word each time), STEAL (a tail that
 * another record is keeping is taken from it by CAS).
 */
#ifndef START
#define START 0      /* the group: 0 free, 1 an extent in W, 2 a retired one, 3 a dissolved one */
#endif
#ifndef OPS0
#define OPS0 1
#endif
#ifndef OPS1
#define OPS1 1
#endif
#ifndef OPS2
#define OPS2 1
#endif
#ifndef DOES0
#define DOES0 1      /* what lane 0 does: 1 extents, 2 single pages, 4 breaks up */
#endif
#ifndef DOES1
#define DOES1 2
#endif
#ifndef DOES2
#define DOES2 3
#endif
#ifndef DEATHS
#define DEATHS 1     /* of lanes */
#endif
#ifndef AGAIN
#define AGAIN 1      /* deaths of recoverers */
#endif

#define PAGES 4
#define HEAD 0
#define OTHER 3
#define NO_EXTENT 1  /* what W names without one */
#define NO_PAGE 3    /* what V names without one */

/* States of pages. */
#define FREE 0
#define WORD(kind, use, txid) ((kind) * 64 + (use) * 16 + (txid))
#define PRIVATE 1
#define LIVE 2
#define DATA 0
#define EXTENT 1
#define TAIL 2
#define KEPT 3
#define RETIRED 3    /* with the use EXTENT; FREE stands for the others */
#define RETIRED_EXTENT WORD(RETIRED, EXTENT, 0) /* the head's has an epoch in place of the txid */
#define KIND(s) ((s) / 64)
#define USE(s) ((s) / 16 % 4)
#define NONCE_OF(s) ((s) % 16)
#define USE_NONCE(s) ((s) % 64)
#define NONCE(l, q) (1 + (l) * 4 + (q))
#define OLD 15
#define IS_TAIL(s) (KIND(s) == LIVE && USE(s) == TAIL)

/* Link words: what they name, and a version. */
#define NAMES(w) ((w) % 4)
#define NEXT(w, x) ((x) + 4 * ((w) / 4 + 1))

/* Status of a record. */
#define IDLE 0
#define PREPARE 1
#define SINGLE 2
#define COMMITTED 3  /* ABORTED is as good as PREPARE here */

/* Outcomes. */
#define HAPPENED 0
#define DID_NOT 1
#define OVERTAKEN 2

byte W, V;
byte state[PAGES];
byte epoch;              /* how often the head was retired */

/* The record of each lane. */
byte status[3], seq[3];
byte named[3];           /* pages, a bit each */
byte before[3], after[3];
byte retire[3], txid[3];   /* txid and use of what is retired; 0: nothing is */

byte hold[3];            /* 1 + the extent found in W */
byte deaths = DEATHS, again = AGAIN;

byte owner[PAGES];       /* ghost: the txid under which a page was taken */
byte apart;              /* ghost: pages that were kept since they came to be tails, a bit each */

#define HELD(p) (hold[0] == 1 + (p) || hold[1] == 1 + (p) || hold[2] == 1 + (p))
#define LAST(p) ((p) == HEAD -> 2 : (p))

/* What may happen instead of a step that changes anything: the lane, or its
 * recoverer, dies. */
#define DIE atomic { \
		(recovers && again > 0) || (!recovers && l < 2 && deaths > 0); \
		if \
		:: recovers -> again-- \
		:: else -> deaths-- \
		fi; \
		goto died \
	}
#define STEP(what) if \
	:: DIE \
	:: what \
	fi

/* Withdraw the announcement; the rest only keeps the search small. */
#define FORGET(l) hold[l] = 0; named[l] = 0; before[l] = 0; after[l] = 0; retire[l] = 0; txid[l] = 0

#define LINKED(p) (NAMES(W) == ((p) == OTHER -> OTHER : HEAD) || ((p) != NO_PAGE && NAMES(V) == (p)))

/* CAS of the state of page p, and what it means for who has what. */
inline change(p, from, into)
{
	d_step {
		ok = (state[p] == (from));
		if
		:: ok && KIND(into) == PRIVATE && USE(into) == KEPT ->
			assert(NAMES(V) != p && owner[p] == owner[HEAD]); /* whose it is until the commit */
			state[p] = (into)
		:: ok && KIND(into) == PRIVATE && USE(into) != KEPT ->
			/* an extent used again has all pages at once */
			g = p;
			do
			:: assert(owner[g] == 0 && !LINKED(g));
				owner[g] = NONCE_OF(into);
				if
				:: KIND(from) != RETIRED || USE(into) != EXTENT || g >= LAST(p) -> break
				:: else -> g++
				fi
			od;
			if
			:: USE(into) == TAIL -> apart = apart & ~(1 << p)
			:: else
			fi;
			state[p] = (into)
		:: ok && KIND(into) != PRIVATE && KIND(into) != LIVE ->
			assert(!LINKED(p));
			g = p;
			do
			:: if
				:: owner[g] == NONCE_OF(from) -> owner[g] = 0
				:: else
				fi;
				if
				:: USE(from) != EXTENT || g >= LAST(p) -> break
				:: else -> g++
				fi
			od;
			state[p] = (into);
#if (DOES0 | DOES1 | DOES2) > 3 && !defined(WORD_AGAIN)
			if
			:: p == HEAD && (into) == RETIRED_EXTENT -> epoch++; state[p] = RETIRED_EXTENT + epoch
			:: else
			fi
#endif
		:: ok && KIND(into) == LIVE ->
			assert(NAMES(V) != p || USE(into) != TAIL);
			state[p] = (into);
			if /* of an extent that did not come about */
			:: USE(into) == TAIL && (USE(state[HEAD]) != EXTENT || owner[HEAD] != owner[p]) -> owner[p] = 0
			:: else
			fi
		:: else
		fi;
		g = 0
	}
}

/* Is the TAIL seen, t, under the head seen, h, free? (E1) */
#ifdef PRIVATE_IS_FREE
#define TAIL_IS_FREE(t, h) (USE(t) == TAIL && USE(h) != EXTENT)
#else
#define TAIL_IS_FREE(t, h) (USE(t) == TAIL && KIND(t) == LIVE && USE(h) != EXTENT)
#endif

/* Look for tail p: s becomes its word, ok says that it is free. */
inline look_at_tail(p)
{
#ifdef HEAD_LOOK_FIRST
	h = state[HEAD];
	s = state[p];
#else
	s = state[p];
	h = state[HEAD];
#endif
	d_step { ok = (s == FREE || TAIL_IS_FREE(s, h)); h = 0 }
}

inline take(p, from, use)
{
	STEP(change(p, from, WORD(PRIVATE, use, n)))
}

/* A tail of the extent that is being formed. */
inline take_tail(p, from)
{
#ifdef OLD_TAILS
	if
	:: USE(from) == TAIL -> d_step {
		ok = (state[p] == (from));
		if
		:: ok -> assert(owner[p] == 0); owner[p] = n
		:: else
		fi
	}
	:: else -> take(p, from, TAIL)
	fi
#else
	take(p, from, TAIL)
#endif
}

/* E2. The head was seen to be FREE. ok: it is ours. */
inline form()
{
	look_at_tail(1);
	d_step { t1 = s; s = 0 };
	if
	:: ok -> look_at_tail(2)
	:: else
	fi;
	if
	:: ok ->
		STEP(named[l] = named[l] | 7);
#ifndef PRIVATE_IS_FREE
		take(HEAD, FREE, EXTENT);
		lost = !ok;
#endif
		take_tail(1, t1);
		lost = lost || !ok;
		take_tail(2, s);
		lost = lost || !ok;
#ifdef PRIVATE_IS_FREE
		take(HEAD, FREE, EXTENT);
		lost = lost || !ok;
#endif
		d_step { ok = !lost; lost = false }
	:: else
	fi;
	d_step { s = 0; t1 = 0 }
}

/* E3; of the other extent, whose tails are left out, forming as well. */
inline use_again(p)
{
	STEP(named[l] = named[l] | (1 << (p)));
	take(p, s, EXTENT)
}

inline take_other()
{
	s = state[OTHER];
	if
	:: s == FREE || (KIND(s) == RETIRED && !HELD(OTHER)) -> use_again(OTHER)
	:: else -> ok = false
	fi;
	s = 0
}

/* K5. ok: all tails are such. */
inline look_at_whole()
{
	ok = IS_TAIL(state[1]);
	ok = ok && IS_TAIL(state[2])
}

/* An extent that W does not name; x is which, ok: it is ours. */
inline take_extent()
{
	x = (NAMES(before[l]) == HEAD -> OTHER : HEAD);
	if
	:: NAMES(before[l]) == NO_EXTENT -> x = OTHER
	:: true
	fi;
	if
	:: x == OTHER -> take_other()
	:: else ->
#ifdef WHOLE_LATE
		look_at_whole();
		h = ok;
#endif
		s = state[HEAD];
		if
		:: KIND(s) == RETIRED && !HELD(HEAD) ->
#if defined(WHOLE_LATE)
			d_step { ok = h; h = 0 };
#elif defined(WHOLE_UNLOOKED)
			ok = true;
#else
			look_at_whole();
#endif
			if
			:: ok -> use_again(HEAD)
			:: else
			fi
		:: s == FREE -> form()
		:: else -> ok = false
		fi;
		s = 0
	fi
}

/* A single page, x. */
inline take_single()
{
	if
	:: x = 1 :: x = 2
	:: x = HEAD
	fi;
	if
	:: x == HEAD -> d_step { s = state[HEAD]; ok = (s == FREE || (KIND(s) == RETIRED && !HELD(HEAD))) }
	:: else -> look_at_tail(x)
	fi;
	if
	:: ok ->
		STEP(named[l] = named[l] | (1 << x));
		take(x, s, DATA) /* a head that was an extent: E4 */
	:: else -> x = 0
	fi;
	s = 0
}

#ifdef TAILS_UNDONE
#define TURN(i) (((i) + 1) % PAGES)
#else
#define TURN(i) (i)
#endif

#define OURS(i) (x <= (i) && (named[l] & (1 << TURN(i))) && \
	KIND(state[TURN(i)]) == PRIVATE && NONCE_OF(state[TURN(i)]) == n)

/* Settle what is ours still; the x-th of the pages is next. */
inline settle_pages()
{
	do
	:: d_step {
			x = (OURS(0) -> 0 : (OURS(1) -> 1 : (OURS(2) -> 2 : (OURS(3) -> 3 : PAGES))));
			s = (x < PAGES -> state[TURN(x)] : FREE);
			h = FREE;
			if
#ifdef KEPT_TAIL
			:: outcome == HAPPENED -> h = WORD(LIVE, (USE(s) == KEPT -> TAIL : USE(s)), n)
#else
			:: outcome == HAPPENED -> h = WORD(LIVE, USE(s), n)
#endif
#ifndef KEPT_FREED
			:: outcome != HAPPENED && USE(s) == KEPT -> h = WORD(LIVE, TAIL, n)
#endif
			:: outcome == OVERTAKEN && USE(s) == EXTENT -> h = RETIRED_EXTENT
#ifdef TAILS_OVERTAKEN
			:: outcome == DID_NOT && USE(s) == TAIL -> h = WORD(LIVE, TAIL, n)
#else
#ifdef TAILS_UNDONE
			:: outcome == OVERTAKEN && USE(s) == TAIL -> h = WORD(LIVE, TAIL, n)
#else
			:: outcome != HAPPENED && USE(s) == TAIL -> h = WORD(LIVE, TAIL, n)
#endif
#endif
#ifdef EXTENT_STAYS
			:: outcome == DID_NOT && USE(s) == EXTENT -> h = RETIRED_EXTENT
#endif
			:: else
			fi
		};
		if
		:: DIE
		:: x < PAGES -> change(TURN(x), s, h); x++ /* fails if it was retired meanwhile */
		:: d_step { x == PAGES -> x = 0; s = 0; h = 0; ok = false }; break
		fi
	od
}

/* LIVE or PRIVATE under the txid it was found with; PRIVATE first. */
inline settle_retire()
{
	h = (USE(txid[l]) == EXTENT -> RETIRED_EXTENT : FREE);
	STEP(change(retire[l], WORD(PRIVATE, 0, txid[l]), h));
	if
	:: !ok -> STEP(change(retire[l], WORD(LIVE, 0, txid[l]), h))
	:: else
	fi;
#ifdef TAILS_FREED
	if
	:: ok && retire[l] == HEAD && h == RETIRED_EXTENT ->
		d_step {
			if
			:: USE(state[1]) == TAIL -> state[1] = FREE
			:: else
			fi;
			if
			:: USE(state[2]) == TAIL -> state[2] = FREE
			:: else
			fi
		}
	:: else
	fi;
#endif
	d_step { s = 0; h = 0 }
}

/* What becomes of the objects of the record of lane l. */
inline finalize()
{
	settle_pages();
	if
	:: outcome != DID_NOT && txid[l] != 0 -> settle_retire()
	:: else
	fi;
	if
	:: DIE
	:: d_step { status[l] = IDLE; FORGET(l); outcome = DID_NOT; n = 0 }
	fi
}

/* The commit of a record of several words, of which one is w. */
inline commit(w)
{
	if
	:: DIE
	:: d_step { w == before[l] -> w = after[l]; status[l] = COMMITTED; outcome = HAPPENED }
	:: w != before[l]
	fi
}

/* Of one word. */
inline commit_single()
{
	STEP(status[l] = SINGLE);
	if
	:: DIE
	:: d_step { W == before[l] -> W = after[l]; outcome = HAPPENED }
	:: W != before[l]
	fi
}

/* W names another extent, or none. What is replaced is held before its txid is read. */
inline replace_extent()
{
	d_step {
		before[l] = W;
		if
		:: NAMES(W) != NO_EXTENT ->
			hold[l] = 1 + NAMES(W);
			retire[l] = NAMES(W);
			txid[l] = USE_NONCE(state[NAMES(W)])
		:: else
		fi
	};
	if
	:: take_extent()
	:: d_step { NAMES(before[l]) != NO_EXTENT -> x = NO_EXTENT; ok = true }
	fi;
	if
	:: ok ->
		d_step { after[l] = NEXT(before[l], x); ok = (x != NO_EXTENT && txid[l] != 0); x = 0 };
		if
		:: ok -> commit_single()
		:: else -> commit(W)
		fi
	:: else -> x = 0
	fi
}

/* V names another page, or none: a record of several words. */
inline replace_single()
{
#ifdef GO_ON
	if
	:: state[HEAD] == FREE -> form(); if :: ok -> goto abort :: else fi
	:: true
	fi;
#endif
	if
	:: take_single()
	:: NAMES(V) != NO_PAGE -> d_step { x = NO_PAGE; ok = true }
	fi;
	if
	:: ok ->
		d_step {
			before[l] = V;
			after[l] = NEXT(V, x);
			retire[l] = NAMES(V);
			txid[l] = (NAMES(V) != NO_PAGE -> USE_NONCE(state[NAMES(V)]) : 0);
			x = 0;
			ok = false
		};
		commit(V)
	:: else
	fi
}

/* A tail of the extent that is broken up, or the head, stays as it is: x, or NO_PAGE. */
inline keep()
{
	if
	:: x = 1
	:: x = 2
#ifdef HEAD_KEPT
	:: x = HEAD
#endif
	fi;
	s = state[x];
	if
#ifdef HEAD_KEPT
	:: x == HEAD -> txid[l] = 0
#endif
#ifdef STEAL
	:: x != HEAD && (USE(s) == TAIL || (KIND(s) == PRIVATE && USE(s) == KEPT)) ->
#else
	:: x != HEAD && USE(s) == TAIL ->
#endif
		STEP(named[l] = named[l] | (1 << x));
		take(x, s, KEPT)
	:: x != HEAD && USE(s) != TAIL -> x = NO_PAGE
	fi;
	s = 0
}

/* The commit of the record that breaks up: what was kept has come to be a page by itself. */
inline commit_both()
{
	if
	:: DIE
	:: d_step {
			W == before[l] && V == v ->
			assert(owner[HEAD] != 0);
			W = after[l];
			if
			:: x != NO_PAGE ->
				V = NEXT(V, x);
				assert(owner[x] == owner[HEAD]);
				if
				:: x != HEAD ->
					assert(state[x] == WORD(PRIVATE, KEPT, n));
					owner[x] = n;
					apart = apart | (1 << x)
				:: else
				fi
			:: else
			fi;
			status[l] = COMMITTED;
			outcome = HAPPENED
		}
	:: W != before[l] || V != v
	fi
}

/* K1 to K3. */
inline break_up()
{
	d_step {
		ok = (NAMES(W) == HEAD && NAMES(V) == NO_PAGE);
		if
		:: ok ->
			before[l] = W;
			v = V;
			hold[l] = 1 + HEAD;
			retire[l] = HEAD;
			txid[l] = USE_NONCE(state[HEAD])
		:: else
		fi
	};
	if
	:: ok -> keep()
	:: else
	fi;
	if
	:: ok -> after[l] = NEXT(before[l], NO_EXTENT); commit_both()
	:: else
	fi;
	d_step { x = 0; v = 0; ok = false }
}

#define DOES(l) ((l) == 0 -> DOES0 : ((l) == 1 -> DOES1 : DOES2))
#define LOCALS byte n, x, s, h, g, outcome = DID_NOT; bool ok

proctype lane(byte l; byte ops)
{
	LOCALS;
	byte t1, v, done;
	bool lost, recovers = false;

	do
	:: done < ops ->
		d_step { seq[l]++; n = NONCE(l, seq[l]); status[l] = PREPARE; outcome = DID_NOT };
		if
		:: DOES(l) & 1 -> replace_extent()
		:: DOES(l) & 2 -> replace_single()
		:: DOES(l) & 4 -> break_up()
		fi;
abort:
		finalize();
		done++
	:: else -> break
	od;
	goto out;
died:
	run recoverer(l);
out:
	skip;
	d_step { n = 0; s = 0; h = 0; outcome = 0; ok = false; x = 0; t1 = 0; v = 0; done = 0; l = 0 }
}

/* Of lane l; its death: another one begins anew. */
proctype recoverer(byte l)
{
	LOCALS;
	bool recovers = true;

	n = NONCE(l, seq[l]);
	if
	:: status[l] == COMMITTED -> outcome = HAPPENED
	:: status[l] == SINGLE ->
		d_step {
			outcome = (NAMES(W) == NAMES(after[l]) -> HAPPENED :
				(NAMES(W) == NAMES(before[l]) -> DID_NOT : OVERTAKEN))
		}
	:: else
	fi;
	finalize();
	goto out;
died:
	run recoverer(l);
out:
	skip;
	d_step { n = 0; x = 0; s = 0; h = 0; outcome = 0; ok = false; l = 0 }
}

init
{
	byte p;

	d_step {
		V = NO_PAGE;
		W = (START == 1 -> HEAD : OTHER);
		state[OTHER] = (START == 1 -> RETIRED_EXTENT : WORD(LIVE, EXTENT, OLD));
		owner[OTHER] = (START == 1 -> 0 : OLD);
		state[HEAD] = (START == 1 -> WORD(LIVE, EXTENT, OLD) : (START == 2 -> RETIRED_EXTENT : FREE));
		state[1] = (START == 0 -> FREE : WORD(LIVE, TAIL, OLD));
		state[2] = state[1];
		owner[0] = (START == 1 -> OLD : 0);
		owner[1] = owner[0];
		owner[2] = owner[0]
	};
	atomic { run lane(0, OPS0); run lane(1, OPS1); run lane(2, OPS2) }
	(_nr_pr == 1);
	d_step {
		do
		:: p < PAGES ->
			assert(KIND(state[p]) != PRIVATE);
			if
#ifdef HEAD_KEPT
			:: p == HEAD && NAMES(V) == p -> assert(KIND(state[p]) == LIVE && NAMES(W) != p)
#endif
			:: p == OTHER || (USE(state[p]) == EXTENT && NAMES(V) != p) ->
				assert((KIND(state[p]) == LIVE) == (NAMES(W) == p))
			:: p != OTHER && (USE(state[p]) == DATA || USE(state[p]) == KEPT) ->
				assert((KIND(state[p]) == LIVE) == (NAMES(V) == p));
				assert(p == HEAD || USE(state[HEAD]) != EXTENT ||
				       (KIND(state[HEAD]) == RETIRED && (apart & (1 << p))))
			:: else -> assert(p != HEAD && USE(state[p]) == TAIL && NAMES(V) != p)
			fi;
			p++
		:: else -> break
		od;
		p = 0
	}
}
