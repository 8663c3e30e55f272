/* SPDX-License-Identifier: Apache-2.0 */
/*
 * summary.pml - words that say where nothing is free (sync/summary.h).
 *
 * A group of two objects, a word over it, and one above that (the other groups below that
 * are full). Two settlers make an object each free, and then open the words above it, from
 * below; one may die at any step, and recovery opens the words above all that its record
 * named. Two lookers look at the group, and close the words over what they have seen in use.
 *
 * The rule under test:
 *   a looker puts LOOKING, with a tag of its own, into a word before it looks at what is
 *   below, and closes it by CAS from that; a settler changes the state before it looks at the
 *   word, and opens every word that is not open; level by level, from below
 *
 * Checked: a looker that says that there is none (it found the top closed) is right, but for
 * an object whose settler is not done yet, or dead and not recovered; in the end no word
 * is closed over an object that is free, or over an open word.
 *
 * Variants: OPEN_FIRST (the words are opened before the state is changed), PLAIN_CLOSE (closed
 * by a store), NO_LOOKING (closed by CAS from what the word was before), SAME_TAG (LOOKING
 * without a tag), TOP_FIRST (opened from above), NO_REOPEN (recovery finds the state changed
 * and leaves the words), ONLY_BOTTOM (a settler that finds the lower word open does not look
 * at the upper one), CLOSED_ONLY (a settler leaves LOOKING as it is).
 */
#define OPEN 0
#define NOTHING 9
/* 1 ..: LOOKING, by tag */

bool free[2];      /* the states */
byte word, top;    /* OPEN, LOOKING (a tag), NOTHING */
byte tags;         /* the last one given out */
bool dying, finalized[2], looked[2];

inline cas(w, old, new, ok)
{
	atomic {
		if
		:: w == old -> w = new; ok = true
		:: else -> ok = false
		fi
	}
}

inline tag_of(t)
{
#ifdef SAME_TAG
	t = 1
#else
	atomic { tags++; t = tags }
#endif
}

inline open_word(w)
{
#ifdef CLOSED_ONLY
	if
	:: w == NOTHING -> w = OPEN
	:: else
	fi
#else
	if
	:: w != OPEN -> w = OPEN
	:: else
	fi
#endif
}

inline open_above()
{
#ifdef TOP_FIRST
	open_word(top);
	open_word(word)
#else
#ifdef ONLY_BOTTOM
	if
	:: word != OPEN ->
		word = OPEN;
		open_word(top)
	:: else
	fi
#else
	open_word(word);
	open_word(top)
#endif
#endif
}

/* Makes object i free. Settler 0 may die before any step. */
proctype settler(byte i)
{
	bool was;

	{
#ifdef OPEN_FIRST
		open_above();
		free[i] = true;
#else
		free[i] = true;
		open_above();
#endif
		finalized[i] = true /* IDLE */
	} unless {
		i == 0 && dying && !finalized[0]
	}
	if
	:: !finalized[i] -> /* the recoverer: once more */
		was = free[i];
		free[i] = true;
#ifdef NO_REOPEN
		if
		:: !was -> open_above()
		:: else
		fi;
#else
		open_above();
#endif
		finalized[i] = true
	:: else
	fi
}

proctype death() { dying = true }

#ifdef NO_LOOKING
#define BEGIN(w) was = w; ok = true; tag = was
#else
#define BEGIN(w) tag_of(tag); was = w; cas(w, was, tag, ok)
#endif
#ifdef PLAIN_CLOSE
#define CLOSE(w) w = NOTHING
#else
#define CLOSE(w) cas(w, tag, NOTHING, ok)
#endif

/* Looks at the group, closes what it saw in use, then what it saw closed. */
proctype looker(byte me)
{
	byte was, tag;
	bool ok;

	if
	:: word == NOTHING
	:: else ->
		BEGIN(word);
		if
		:: ok && !free[0] ->
			if
			:: !free[1] -> CLOSE(word)
			:: else
			fi
		:: else
		fi
	fi;
	BEGIN(top);
	if
	:: ok && word == NOTHING -> CLOSE(top)
	:: else
	fi;
	/* ENOSPC, without a look at anything else */
	atomic {
		assert(top != NOTHING || (!(free[0] && finalized[0]) && !(free[1] && finalized[1])));
		looked[me] = true
	}
}

proctype end()
{
	atomic {
		finalized[0] && finalized[1] && looked[0] && looked[1];
		assert(word != NOTHING);
		assert(top != NOTHING)
	}
}

init {
	atomic {
		/* The words may be closed already. */
		if
		:: word = NOTHING; top = NOTHING
		:: word = NOTHING
		:: true
		fi;
		run settler(0);
		run settler(1);
		run death();
		run looker(0);
		run looker(1);
		run end()
	}
}
