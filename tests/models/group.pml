/* SPDX-License-Identifier: Apache-2.0 */
/*
 * group.pml - the link words of a group: an extent, single pages, or holes.
 *
 * A file of up to three pages whose link words are a head (0) and others. Writers
 * write one page or all of them, or cut the file off; a reader reads one page,
 * or two as they were together. Words are loaded one by one; a commit is one step, and
 * aborts if a word of the record is not what it was: record.pml says why it may
 * be. Pages are never written again: a word has what its page contains.
 *
 * The rule under test:
 *   W1 while the head is an EXTENT the other words are ABSENT; each page of the
 *      group is in it
 *   W2 a record that makes the head an EXTENT, or single pages of one, has all
 *      words of the group in it, and each gets a new version, also those ABSENT
 *      before and after. From EXTENT to EXTENT, or to nothing, the head is enough.
 *   W3 looking for a page: its own word; DATA is it. ABSENT: the head; an EXTENT
 *      has it. Neither: the own word again; unchanged, it is a hole, else all anew
 *   W4 who writes or cuts a part of an extent breaks it up: what remains gets
 *      single pages. Who cuts within a group that is none has its head in the record;
 *      then words past the end may be taken as they are
 *   W5 a hole is filled with its word as W3 saw it, and trunc unchanged or the
 *      size changed; so is a group with holes that becomes an extent. The size is
 *      looked at before and after the words (fs/file.c)
 *
 * Checked: what a reader got was there during its read (two pages: together at
 * one moment), so it never goes back; after each commit W1, no write lost, an
 * extent within the size, nothing beyond the size.
 *
 * Variants: NO_THIRD_LOOK (of a reader), HEAD_LOOK_FIRST (a reader's own word
 * second, and no more), HEAD_ALONE (words ABSENT before and after are not in the
 * record), NO_BUMP (they are, and keep their version), CUT_WITHOUT_HEAD (of a
 * truncation: an extent is formed while it looks, and the file ends within),
 * BREAK_PART (only the head and the page written get single
 * pages), VIEW_OWN (of pages in an extent the own words are looked at again, not
 * the head).
 */
#ifndef OPS0
#define OPS0 2
#endif
#ifndef OPS1
#define OPS1 1
#endif

#define PAGES 3
#define HEAD 0

/* Link words: kind, what the page contains, version. */
#define ABSENT 0
#define DATA 1
#define EXTENT 2
#define KIND(w) ((w) % 4)
#define CONTENT(w) ((w) / 4 % 8)
#define WORD(kind, content) ((kind) + 4 * (content))
#define NEXT(w, payload) ((payload) + 32 * ((w) / 32 + 1))
#define HOLE 0

byte word[PAGES];
byte size, trunc;               /* pages + 4 * version; version */
#define SIZE_PAGES(s) ((s) % 4)

byte content[PAGES];            /* ghost: of the pages, HOLE if none */
byte seen;                      /* ghost: what page 1 contained since the reader began, a bit each */

#define LOGICAL(p) (KIND(word[p]) == DATA || KIND(word[HEAD]) == EXTENT -> \
	CONTENT(KIND(word[HEAD]) == EXTENT -> word[HEAD] : word[p]) : HOLE)

/* What was found of a page. */
#define IS_HOLE 0
#define IS_SINGLE 1
#define IS_EXTENT 2

/* W3: what page p is; own and head are the words that say so. */
inline look(p, looks)
{
	do
	:: d_step {
			own = word[p];
			head = own;
			found = (KIND(own) == DATA -> IS_SINGLE : (KIND(own) == EXTENT -> IS_EXTENT : IS_HOLE))
		};
		if
		:: found == IS_HOLE && p != HEAD ->
			d_step {
				head = word[HEAD];
				found = (KIND(head) == EXTENT -> IS_EXTENT : IS_HOLE)
			};
			if
			:: found == IS_EXTENT || looks == 2 || word[p] == own -> break
			:: else
			fi
		:: else -> break
		fi
	od
}

#define WRITE_ALL 0
#define WRITE_ONE 1  /* page p */
#define TRUNCATE 2   /* to p pages */

/* Page g after the operation: payload of its word. */
#define AFTER(g) (operation == WRITE_ALL -> (g == HEAD -> WORD(EXTENT, n) : WORD(ABSENT, 0)) : \
	(operation == WRITE_ONE -> WORD(DATA, (g == p -> n : CONTENT(before[HEAD]))) : \
		(g < p -> KEPT : WORD(ABSENT, 0))))
/* ... of a page before the end: of the extent that it was in, or what it was. */
#define KEPT (KIND(before[HEAD]) == EXTENT -> WORD(DATA, CONTENT(before[HEAD])) : before[HEAD] % 32)

/* Is page g one that the operation writes, or cuts off? */
#define MEANT(g) (operation == WRITE_ALL || (operation == WRITE_ONE && g == p) || (operation == TRUNCATE && g >= p))

#ifdef HEAD_ALONE
#define STAGED(g) (staged[g] && (KIND(before[g]) != ABSENT || AFTER(g) != WORD(ABSENT, 0)))
#else
#ifdef BREAK_PART
#define STAGED(g) (staged[g] && !(operation == WRITE_ONE && g != HEAD && g != p))
#else
#define STAGED(g) staged[g]
#endif
#endif

/* All or nothing. */
inline commit()
{
	d_step {
		longer = longer || operation == TRUNCATE;
		fills = (fills && !longer) || operation == TRUNCATE;
		ok = (!longer || size == old_size) && (!fills || trunc == old_trunc);
		g = 0;
		do
		:: g < PAGES -> ok = ok && (!STAGED(g) || word[g] == before[g]); g++
		:: else -> break
		od;
		g = 0;
		do
		:: ok && g < PAGES ->
			if
#ifdef NO_BUMP
			:: STAGED(g) && KIND(before[g]) == ABSENT && AFTER(g) == WORD(ABSENT, 0)
#endif
			:: STAGED(g) -> word[g] = NEXT(before[g], AFTER(g))
			:: else
			fi;
			if
			:: MEANT(g) -> content[g] = (operation == TRUNCATE -> HOLE : n)
			:: else
			fi;
			g++
		:: else -> break
		od;
		if
		:: ok && longer -> size = (size / 4 + 1) * 4 + (operation == WRITE_ALL -> PAGES :
				(operation == WRITE_ONE -> p + 1 : p))
		:: else
		fi;
		trunc = trunc + (ok && fills);
		seen = seen | (1 << content[1]);
		g = 0;
		do
		:: g < PAGES ->
			assert(g == HEAD || KIND(word[HEAD]) != EXTENT || KIND(word[g]) == ABSENT);
			assert(KIND(word[HEAD]) != EXTENT || SIZE_PAGES(size) == PAGES);
			assert(g < SIZE_PAGES(size) || KIND(word[g]) == ABSENT);
			assert(LOGICAL(g) == content[g]);
			g++
		:: else -> break
		od;
		g = 0
	}
}

/* All words of the group go in the record: the head, if it was an EXTENT, as it was seen. */
inline stage_all(from)
{
	i = from;
	do
	:: i < PAGES -> d_step { before[i] = word[i]; staged[i] = true; fills = fills || KIND(before[i]) == ABSENT; i++ }
	:: else -> break
	od;
	i = 0
}

inline stage_extent()
{
	d_step { before[HEAD] = head; staged[HEAD] = true };
	if
	:: operation != WRITE_ALL -> stage_all(1)
	:: else
	fi;
	fills = false /* its pages were there */
}

inline survey()
{
	if
	:: operation == WRITE_ALL ->
		head = word[HEAD];
		if
		:: KIND(head) == EXTENT -> stage_extent()
		:: else -> stage_all(0)
		fi
	:: operation == WRITE_ONE ->
		look(p, 3);
		if
		:: found == IS_EXTENT -> stage_extent()
		:: else -> d_step { before[p] = own; staged[p] = true; fills = (found == IS_HOLE) }
		fi
	:: operation == TRUNCATE ->
		if
		:: p != HEAD ->
			look(p, 3);
			if
			:: found == IS_EXTENT -> stage_extent(); goto surveyed
			:: else
			fi;
#ifndef CUT_WITHOUT_HEAD
			d_step { before[HEAD] = word[HEAD]; staged[HEAD] = true };
			if
			:: KIND(before[HEAD]) == EXTENT -> goto over
			:: else
			fi
#endif
		:: else
		fi;
		j = p;
		do
		:: j < PAGES -> d_step { before[j] = word[j]; staged[j] = (KIND(before[j]) != ABSENT); j++ }
		:: else -> break
		od
	fi
}

proctype writer(byte n; byte ops)
{
	byte before[PAGES], old_size, old_trunc, own, head, found, operation, p, g, i, j;
	bool staged[PAGES], longer, fills, ok;

	do
	:: ops > 0 ->
		if
		:: d_step { operation = WRITE_ALL; old_size = size }
		:: d_step { operation = WRITE_ONE; p = 0; old_size = size }
		:: d_step { operation = WRITE_ONE; p = 1; old_size = size }
		:: d_step { operation = TRUNCATE; p = 0; old_size = size }
		:: d_step { operation = TRUNCATE; p = 1; old_size = size }
		fi;
		d_step {
			old_trunc = trunc;
			longer = (operation == WRITE_ALL && SIZE_PAGES(old_size) < PAGES) ||
				(operation == WRITE_ONE && SIZE_PAGES(old_size) <= p)
		};
		if
		:: operation != TRUNCATE || SIZE_PAGES(old_size) > p ->
			survey();
surveyed:
			if
			:: operation != TRUNCATE && size != old_size /* cut off meanwhile */
			:: else -> commit()
			fi
		:: else
		fi;
over:
		skip;
		d_step {
			before[0] = 0; before[1] = 0; before[2] = 0; staged[0] = false; staged[1] = false;
			staged[2] = false; longer = false; fills = false; ok = false; own = 0; head = 0;
			found = 0; operation = 0; p = 0; i = 0; j = 0; old_size = 0; old_trunc = 0;
			n++; ops--
		}
	:: else -> break
	od
}

/* What the look at a page says that it contains, and the word that says so. */
#define GOT (found == IS_HOLE -> HOLE : CONTENT(found == IS_EXTENT -> head : own))

inline look_to_read(p)
{
#ifdef HEAD_LOOK_FIRST
	head = word[HEAD];
	own = word[p];
	found = (KIND(head) == EXTENT -> IS_EXTENT : (KIND(own) == DATA -> IS_SINGLE : IS_HOLE))
#else
#ifdef NO_THIRD_LOOK
	look(p, 2)
#else
	look(p, 3)
#endif
#endif
}

#ifdef VIEW_OWN
#define LED (found == IS_EXTENT && p == HEAD -> head : own)
#else
#define LED (found == IS_EXTENT -> head : own)
#endif
#define LED_AT (LED == head && found == IS_EXTENT -> HEAD : p)

/* Page 1 alone, or after page 2: then the words that led to both are looked at again. */
proctype reader()
{
	byte p, own, head, found, got, led, led_at, then[2];

#ifdef VIEW
	p = 2;
	look_to_read(2);
	skip;
	d_step { got = GOT; led = LED; led_at = LED_AT; own = 0; head = 0; found = 0 };
#endif
	d_step { p = 1; seen = 1 << content[1] };
	look_to_read(1);
	assert(seen & (1 << GOT));
	d_step { then[0] = content[2]; then[1] = content[1]; seen = 0 };
#ifdef VIEW
	if
	:: word[led_at] == led ->
		if
		:: word[LED_AT] == LED -> assert(got == then[0] && GOT == then[1])
		:: else
		fi
	:: else
	fi;
#endif
	d_step { p = 0; own = 0; head = 0; found = 0; got = 0; led = 0; led_at = 0; then[0] = 0; then[1] = 0 }
}

init
{
	if
	:: skip /* nothing */
	:: size = PAGES /* one hole */
	:: d_step { size = PAGES; word[0] = WORD(EXTENT, 7); content[0] = 7; content[1] = 7; content[2] = 7 }
	:: d_step { size = PAGES; word[0] = WORD(DATA, 7); content[0] = 7; word[1] = word[0]; content[1] = 7;
		word[2] = word[0]; content[2] = 7 }
	:: d_step { size = PAGES; word[1] = WORD(DATA, 7); content[1] = 7 }
	:: d_step { size = 2; word[0] = WORD(DATA, 7); content[0] = 7 }
	fi;
	atomic { run writer(1, OPS0); run writer(1 + OPS0, OPS1); run reader() }
}
