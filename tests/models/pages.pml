/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages.pml - data that a kernel keeps, and when it may read it.
 *
 * One file, one page of it in the kernel of host A, which is empty, locked by a read that is under way, or holds
 * what that has looked up. Whoever reads looks whether attributes are valid, asks A's agent if they are not, then takes
 * the page, or reads it. Host W changes the data once, as lease.pml has it: bit of a writer, recall, change. Or
 * (LOCAL) a program of A itself does.
 *
 * The rule under test (node-agent/kernel_pages.h):
 *   open     under a lease: pages are kept if they are known to be of that lease; else the kernel drops them, and they
 *            are known to be of it when the open file reads for the first time.
 *   ask      all that is open is of the lease that there is: attributes are valid. Else the lease, the drop, the
 *            lease again: if it is the same, from now on all is of it. That answer itself makes nothing valid: what is
 *            dropped makes answers void that were asked for before.
 *   look up  makes attributes of what is open cached not valid.
 *   local    nothing is of any lease any more, and attributes are not valid, before the change.
 *
 * Checked: a read gives what was there when it began, or something newer.
 *
 * OPENERS: nothing is open at the begin, and readers open for themselves. LOOKS: somebody looks the name up.
 * There are two readers, or one (ALONE).
 *
 * Variants: KEEP_ALWAYS, SINCE_EARLY (pages are known to be of the lease when the open is answered), ASK_BLIND (attributes are
 * valid under any lease), DROP_FIRST (the lease is looked at after the drop alone), LOOKUP_BLIND, LOCAL_LATE (attributes
 * are made invalid after the change), LOCAL_BLIND (a drop that a change of this host has met counts),
 * LOCAL_ENDS_UNCOUNTED (one that began in the middle of such a change, and ended after it).
 */
#ifndef READS
#define READS 2
#endif

/* shared memory */
bit data;
bool leased, writer, request;

/* A's kernel */
#define EMPTY 0
#define LOCKED 1
#define HOLDS 2 /* and 3: HOLDS + data */
bool valid;
byte version, page;

/* A's agent */
byte number = 1; /* of its lease */
byte under_way, writing, changes, handles;
byte since, good;
byte told_by, told_since; /* an open file that was told to drop its pages, and has not read yet; its lease */
bool recalling, dropping;

init {
	atomic {
		leased = true;
		valid = true;
		page = HOLDS;
		since = 1;
#ifndef OPENERS
		good = 1;
		handles = 2;
#endif
		run Reader();
#ifndef ALONE
		run Reader();
#endif
#ifdef LOOKS
		run Looker();
#endif
#ifdef LOCAL
		run Local();
#else
		run Recaller();
		run Writer();
#endif
	}
}

/* s: the number of the lease, or 0; within an answer */
inline grant(s) {
	s = 0;
	if
	:: recalling -> skip
	:: !recalling ->
		leased = true;
		if
		:: atomic { !writer -> s = number }
		:: writer
		fi
	fi
}

inline drop() {
	atomic { version++; valid = false };
	atomic { page != LOCKED -> page = EMPTY }
}

/* What is answered to somebody who asked at a version. */
inline accept(v, s) {
	atomic {
		if
		:: s && version == v -> valid = true
		:: else
		fi
	}
}

inline ask_slowly(s, t, c) {
	atomic { !dropping -> dropping = true };
	c = changes;
#ifndef DROP_FIRST
	under_way++;
	grant(s);
	under_way--;
#endif
	drop();
	under_way++;
	grant(t);
#ifdef DROP_FIRST
	s = t;
#endif
	atomic {
		if
#ifdef LOCAL_BLIND
		:: s && s == t -> since = s; good = s
#else
		:: s && s == t && !writing && c == changes -> since = s; good = s
#endif
		:: else
		fi;
		under_way--
	};
	atomic { dropping = false; s = 0; t = 0; c = 0 }
}

inline ask(s, t, c, v) {
	v = version;
	under_way++;
	grant(s);
	if
#ifdef ASK_BLIND
	:: s ->
#else
	:: atomic { s && good == s } ->
#endif
		under_way--;
		accept(v, s);
		atomic { s = 0; v = 0 }
	:: else ->
		atomic { under_way--; s = 0; v = 0 };
		ask_slowly(s, t, c)
	fi
}

inline open_file(s, told) {
	told = false;
	under_way++;
	grant(s);
	if
	:: atomic {
		s && !writing ->
		if
		:: !handles -> good = s
		:: else
		fi;
		handles++;
		if
#ifdef KEEP_ALWAYS
		:: true -> skip
#else
		:: since == s -> skip
		:: else -> told = true; told_by = _pid; told_since = s
#endif
		fi;
#ifdef SINCE_EARLY
		since = s
#endif
	}
		under_way--;
		if
		:: told -> atomic { page != LOCKED -> page = EMPTY }
		:: !told
		fi
	:: atomic { !s || writing -> s = 0; under_way-- } /* direct: it reads by itself */
	fi
}

inline read_page(got) {
	do
	:: atomic { page >= HOLDS -> got = page - HOLDS }; break
	:: atomic { page == EMPTY -> page = LOCKED };
		atomic {
			if
			:: told_by == _pid -> since = told_since; told_by = 0
			:: else
			fi
		};
		got = data;
		atomic { page = HOLDS + got }
	od
}

proctype Reader()
{
	byte s, t, c, v, i;
	bit must, got, told;

#ifdef OPENERS
	open_file(s, told);
	if
	:: !s -> goto out
	:: s
	fi;
#endif
	for (i : 1 .. READS) {
		must = data;
		if
		:: valid
		:: !valid -> ask(s, t, c, v)
		fi;
		read_page(got);
		atomic { assert(got >= must); got = 0; must = 0 }
	}
#ifdef OPENERS
	handles--;
out:
#endif
	skip
}

proctype Looker()
{
	byte s, v;

	v = version;
	under_way++;
	grant(s);
#ifndef LOOKUP_BLIND
	if
	:: handles -> s = 0
	:: !handles
	fi;
#endif
	under_way--;
	accept(v, s)
}

proctype Recaller()
{
end:
	do
	:: atomic { request -> request = false; recalling = true };
		!under_way;
		atomic { valid = false; version++ };
		number++;
		leased = false;
		recalling = false
	od
}

proctype Writer()
{
	writer = true;
	do
	:: atomic { leased -> request = true }
	:: !leased -> break
	od;
	data = 1;
	writer = false
}

proctype Local()
{
	atomic { writing++; changes++; since = 0; good = 0; told_by = 0 };
#ifndef LOCAL_LATE
	atomic { valid = false; version++ };
#endif
	data = 1;
#ifdef LOCAL_LATE
	atomic { valid = false; version++ };
#endif
#ifdef LOCAL_ENDS_UNCOUNTED
	writing--
#else
	atomic { writing--; changes++ }
#endif
}
