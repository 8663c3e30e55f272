/* SPDX-License-Identifier: Apache-2.0 */
/*
 * takeover.pml - managers, fencing, and who recovers whom.
 *
 * Three hosts; hosts 0 and 1 may be declared dead at any moment, rightly or
 * not, host 1 may come back as a new tenant of its slot. Two managers: the first
 * holds epoch 1; the second may claim epoch 2 at any time, while the first is
 * merely slow and goes on. A host that is slow (stopped, say) resumes between
 * any two of its steps: between its look at its own word and its store.
 *
 * The rule under test:
 *   a host word {generation, state, recoverer, manager epoch} changes by CAS from
 *   the word that the decision was taken from; before its CAS a manager looks
 *   whether its epoch is still in force; a new manager first puts its epoch
 *   into every host word
 *   FENCING -> FENCED, generation + 1: only after the fence agent's off, and
 *   only when its status then says off (an off that claims success may lie)
 *   the recoverer in the word is a tenant, {host, generation}: another tenant
 *   of that slot does not take the recovery for its own, and it is handed on
 *   only when that generation is over
 *
 *   a host that comes back while nobody has recovered it may do so itself: its CAS takes its own word from FENCED, or
 *   from RECOVERING if the generation of the tenant named there is over, to ALIVE
 *
 * Checked: no host stores under a generation that is over; a generation is
 * bumped once per tenant, with the tenant off; at most one running host
 * recovers a slot, and no slot that has a tenant again; once a new manager has
 * stamped all words, the old one moves none.
 *
 * Variants: BUMP_FIRST (generation bumped before the fence), TRUST_OFF (no status
 * after off), NO_STAMP, NO_CHECK (a manager does not look whether it is still
 * one), HAND_ON_SUSPECT (recovery taken from a host that is only SUSPECT),
 * NO_TENANT (the recoverer is named by host alone: whoever manages sees host 1
 * gone, host 1 comes back and finds itself named, and both it and the new one
 * recover), REVIVE_HELD (host 1 comes back whoever recovers it), REVIVE_UNSEEN (its CAS does not
 * name the word that it looked at).
 */
#define HOSTS 3
#ifndef MORTAL
#define MORTAL 2      /* hosts 0 .. MORTAL - 1 may be declared dead */
#endif
#ifndef BACK
#define BACK 1        /* the host that may come back, once */
#endif

#define ALIVE 0
#define SUSPECT 1
#define FENCING 2
#define FENCED 3
#define RECOVERING 4
#define RECOVERED 5

#define NOBODY 3
#define WORD(g, s, r, rg, e) ((g) + 4 * (s) + 32 * (r) + 128 * (rg) + 512 * (e))
#define GENERATION(w) ((w) % 4)
#define STATE(w) (((w) / 4) % 8)
#define RECOVERER(w) (((w) / 32) % 4)
#ifdef NO_TENANT
#define TENANT(g) 0
#else
#define TENANT(g) (g)
#endif
#define RECOVERER_GENERATION(w) (((w) / 128) % 4)

short word[HOSTS];
byte manager = 1;             /* the epoch in force */

bool power[HOSTS];            /* ghost: it runs (or is stopped, and may resume) */
byte tenant[HOSTS];           /* ghost: generation under which it joined */
byte working[HOSTS];          /* ghost: host + 1 that recovers this slot */
bool stamped;                 /* ghost: the second manager has stamped all */

inline power_off(x)
{
	power[x] = false;
	if
	:: working[0] == x + 1 -> working[0] = 0
	:: working[1] == x + 1 -> working[1] = 0
	:: else
	fi
}

/* The next step of a host, if it still runs. */
#define RUNS atomic { !power[me] -> goto off } :: atomic { power[me] ->

/* Is host me to recover slot i? */
#define OURS(i) (STATE(word[i]) == RECOVERING && RECOVERER(word[i]) == me && \
	RECOVERER_GENERATION(word[i]) == TENANT(tenant[me]))

/* Recover slot x, assigned by the word v: begin, end. */
#define RECOVER if \
	:: RUNS assert(working[x] == 0); assert(!power[x]); working[x] = me + 1 } \
	fi; \
	if \
	:: RUNS assert(!power[x]); working[x] = 0; \
		if \
		:: word[x] == v -> word[x] = WORD(GENERATION(v), RECOVERED, NOBODY, 0, v / 512) \
		:: else \
		fi; \
		v = 0; x = 0 } \
	fi

proctype Host(byte me)
{
	short v;
	byte x;

again:
	do
	:: me < MORTAL ->
		if
		:: RUNS v = word[me] }
		fi;
		if
		:: STATE(v) > SUSPECT || GENERATION(v) != tenant[me] -> v = 0; break /* declared dead: stops */
		:: else -> v = 0
		fi;
		if
		:: RUNS assert(GENERATION(word[me]) == tenant[me]) } /* a store */
		fi
	:: atomic { power[me] && OURS(0) -> x = 0; v = word[0] }; RECOVER
	:: atomic { power[me] && OURS(1) -> x = 1; v = word[1] }; RECOVER
	:: atomic { !power[me] -> goto off }
	od;
	!power[me];
off:
	skip;
	d_step { v = 0; x = 0 };
	if
	:: me == BACK ->
		atomic {
			STATE(word[me]) == RECOVERED && GENERATION(word[me]) == 1;
			word[me] = WORD(1, ALIVE, NOBODY, 0, word[me] / 512);
			tenant[me] = 1;
			power[me] = true
		};
		goto again
	:: me == BACK ->
		atomic {
			GENERATION(word[me]) == 1 && (STATE(word[me]) == FENCED || STATE(word[me]) == RECOVERING);
			v = word[me]
		};
#ifndef REVIVE_HELD
		if
		:: STATE(v) == RECOVERING -> atomic {
			GENERATION(word[RECOVERER(v)]) != RECOVERER_GENERATION(v) -> skip }
		:: else
		fi;
#endif
		atomic {
#ifdef REVIVE_UNSEEN
			STATE(word[me]) == FENCED || STATE(word[me]) == RECOVERING;
#else
			word[me] % 512 == v % 512; /* but for a stamp; else it looks again: not modelled */
#endif
			assert(working[me] == 0 && !power[me]);
			word[me] = WORD(1, ALIVE, NOBODY, 0, word[me] / 512);
			tenant[me] = 1;
			power[me] = true;
			working[me] = me + 1;
			v = 0
		};
		if
		:: RUNS assert(working[me] == me + 1); working[me] = 0 } /* what it left is finished */
		fi;
		goto again
	:: else
	fi
}

/* Moves slot h from the word v; n is the new one. */
inline move(h, to, by, bg)
{
#ifndef NO_CHECK
	if
	:: manager != my -> goto deposed
	:: else
	fi;
#endif
	d_step {
		if
		:: word[h] == v ->
			assert(!(stamped && my == 1));
			if
			:: to == FENCED ->
				assert(GENERATION(v) == tenant[h]);
				word[h] = WORD(GENERATION(v) + 1, to, by, bg, my)
			:: else -> word[h] = WORD(GENERATION(v), to, by, bg, my)
			fi
		:: else
		fi
	}
}

proctype Manager(byte my)
{
	short v, w;
	byte h, r;

	if
	:: my == 2 ->
		manager = 2;
#ifndef NO_STAMP
		do
		:: h < HOSTS ->
			v = word[h];
			d_step {
				if
				:: word[h] == v -> word[h] = (v % 512) + 512 * my; h++
				:: else
				fi
			}
		:: else -> break
		od;
		v = 0; h = 0;
#endif
		stamped = true
	:: else
	fi;
	do
	:: manager != my -> goto deposed
	:: manager == my ->
		if
		:: atomic { STATE(word[0]) < RECOVERED -> h = 0; v = word[0] }
#if MORTAL > 1
		:: atomic { STATE(word[1]) < RECOVERED -> h = 1; v = word[1] }
#endif
		fi;
		if
		:: STATE(v) == ALIVE -> move(h, SUSPECT, NOBODY, 0)
		:: STATE(v) == SUSPECT -> move(h, ALIVE, NOBODY, 0)
		:: STATE(v) == SUSPECT -> move(h, FENCING, NOBODY, 0)
#ifdef BUMP_FIRST
		:: STATE(v) == FENCING -> move(h, FENCED, NOBODY, 0); atomic { power_off(h) }
#else
		:: STATE(v) == FENCING ->
			atomic { /* the agent: off, and it says so; or it lies */
				if
				:: power_off(h)
				:: true
				fi
			};
			if
#ifdef TRUST_OFF
			:: true -> move(h, FENCED, NOBODY, 0)
#else
			:: !power[h] -> move(h, FENCED, NOBODY, 0) /* status says off */
			:: power[h]
#endif
			fi
#endif
		:: STATE(v) == FENCED || STATE(v) == RECOVERING ->
			if
			:: STATE(v) == RECOVERING ->
				w = word[RECOVERER(v)];
				if
#ifdef HAND_ON_SUSPECT
				:: STATE(w) == SUSPECT
#endif
#ifdef NO_TENANT
				:: STATE(w) >= FENCED
#else
				:: GENERATION(w) != RECOVERER_GENERATION(v)
#endif
				:: else -> goto next
				fi
			:: else
			fi;
			if
			:: r = 2
			:: h == 0 -> r = 1
			fi;
			w = word[r];
			if
			:: STATE(w) == ALIVE -> move(h, RECOVERING, r, TENANT(GENERATION(w)))
			:: else
			fi
		:: else
		fi;
next:
		skip;
		d_step { v = 0; w = 0; h = 0; r = 0 }
	od;
deposed:
	skip;
	d_step { v = 0; w = 0; h = 0; r = 0 }
}

init {
	atomic {
		word[0] = WORD(0, ALIVE, NOBODY, 0, 1);
		word[1] = WORD(0, ALIVE, NOBODY, 0, 1);
		word[2] = WORD(0, ALIVE, NOBODY, 0, 1);
		power[0] = true; power[1] = true; power[2] = true;
		run Host(0);
		run Host(1);
		run Host(2);
		run Manager(1);
#ifndef ONE_MANAGER
		run Manager(2)
#endif
	}
}
