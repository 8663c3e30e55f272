/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names.pml - names of storage that programs change: storage first, then the pool, and whoever dies in between.
 *
 * One directory with two names, which storage and the pool have each. In storage a name has the number of a file; in
 * the pool an inode: 1 is that of file 1, and has what was written and not written back; 2 is that of file 2; 3 and 4
 * are those that somebody gets who imports file 1 or 2 anew. Name 0 has file 1 at first.
 *
 *   a program's host    locks; settles the intents it finds; makes the names what storage says; writes its intent;
 *                       changes storage; changes the pool, by inode; answers; removes the intent; unlocks
 *   a looker            compares a name, settles what it finds, else imports it, or locks and forgets it
 *
 * Host 0 renames name 0 to 1. Host 1 does SECOND: renames it back, removes it, or makes name 0 as file 2. A host dies
 * between any two steps, DEATHS times: as a host, which loses its lock then, or as a process, and the next one is asked
 * for the same again, unless that was answered. The looker looks LOOKS times, at any name, and may be late with each
 * step.
 *
 * To settle is: read the intents; see whether one of them happened in storage; then do the same in the pool, if the
 * intents are what they were.
 *
 * Checked: when all is done, and somebody has looked, the pool has the names of storage, and file 1 is inode 1 where
 * it is; if it is renamed once, nobody gets another inode there. Nobody forgets a name that is the same in storage. Who
 * is asked again for what was done does not say that it cannot be.
 *
 * Variants: NO_INTENT, INTENT_LATE (behind the change of storage), DONE_EARLY (removed before the pool is changed),
 * POOL_FIRST, UNSETTLED (a looker settles nothing), LATE (whatever the intents are by then), NO_LOCK, FORGET_UNLOCKED
 * (a looker forgets on the strength of an old look), ASKED_ANEW (the next process does not know what was done).
 */
#ifndef SECOND
#define SECOND NOTHING
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef LOOKS
#define LOOKS 1
#endif

#define NOTHING 0
#define MOVE 1
#define BACK 2
#define REMOVE 3
#define MAKE 4


byte storage[2], pool[2];
byte op[2], from[2], to[2];   /* of each host's program; constant */
byte file[5];                 /* of an inode; constant */
byte lock;            /* 1 + host */
bool intent[2];
byte i_ino[2];        /* inode and file are one number, of what was imported once */
byte intents;         /* how often they changed */
byte deaths = DEATHS;
byte done;            /* processes */

#define RENAMES(h) (op[h] == MOVE || op[h] == BACK)
#define HAPPENED(h) ((op[h] == REMOVE && storage[1] != file[i_ino[h]]) || (op[h] == MAKE && storage[0] == 2) || \
		     (RENAMES(h) && storage[to[h]] == file[i_ino[h]]))

/* In the pool, of the inode that the intent names. */
inline follow(who, what)
{
	if
	:: RENAMES(who) && pool[to[who]] != what && pool[from[who]] == what ->
		pool[to[who]] = pool[from[who]];
		pool[from[who]] = 0
	:: op[who] == REMOVE && pool[1] == what -> pool[1] = 0
	:: else
	fi
}
#ifdef LATE
#define UNCHANGED true
#else
#define UNCHANGED (intents == seen)
#endif

#define MAY_FORGET(ino) (ino != 0 && ino != 1) /* not what is dirty */

/* Nobody forgets a name that is the same in storage. */
inline forget(at)
{
	assert(file[pool[at]] != storage[at]);
	pool[at] = 0
}

/* Under the lock: nobody changes storage. */
inline make_so(at)
{
	if
	:: file[pool[at]] != storage[at] && MAY_FORGET(pool[at]) -> forget(at)
	:: else
	fi;
	if
	:: pool[at] == 0 && storage[at] != 0 -> pool[at] = storage[at] + 2
	:: else
	fi
}

/* Of those who have the lock: one after the other, and nobody of the others is at work. */
inline settle_all()
{
	if :: intent[0] && HAPPENED(0) -> follow(0, i_ino[0]) :: else fi;
	if :: intent[1] && HAPPENED(1) -> follow(1, i_ino[1]) :: else fi
}

inline end_intent(who)
{
	if :: intent[who] -> intent[who] = false; intents++ :: else fi
}

#define MAY_DIE :: deaths > 0 -> deaths--; goto dead

proctype program(byte h)
{
	byte ino;
	bool again, answered, have;

asked:
#ifndef NO_LOCK
	atomic { lock == 0 || lock == 1 + h -> lock = 1 + h };
#endif
	atomic {
		have = intent[h] && HAPPENED(h);
		settle_all();
		end_intent(1 - h);
#ifdef ASKED_ANEW
		have = false;
#endif
		if
		:: !have -> end_intent(h)
		:: else
		fi;
		make_so(0);
		make_so(1);
		ino = (op[h] == MAKE -> 2 : pool[from[h]])
	};
	if
	:: have -> goto answer
	:: else
	fi;
	if
	:: op[h] == MAKE && storage[0] != 0 -> goto refused
	:: op[h] != MAKE && ino == 0 -> goto refused
	:: else
	fi;
	if
	:: true
	MAY_DIE
	fi;
#if !defined(NO_INTENT) && !defined(INTENT_LATE)
	if
	:: atomic { intent[h] = true; i_ino[h] = ino; intents++ }
	MAY_DIE
	fi;
#endif
#ifdef POOL_FIRST
	if
	:: atomic { follow(h, ino); if :: op[h] == MAKE && pool[0] == 0 -> pool[0] = 2 :: else fi }
	MAY_DIE
	fi;
#endif
	if
	:: atomic {
		if
		:: op[h] == MAKE -> storage[0] = 2
		:: op[h] == REMOVE -> storage[1] = 0
		:: else -> storage[to[h]] = storage[from[h]]; storage[from[h]] = 0
		fi
	   }
	MAY_DIE
	fi;
#ifdef INTENT_LATE
	if
	:: atomic { intent[h] = true; i_ino[h] = ino; intents++ }
	MAY_DIE
	fi;
#endif
#ifdef DONE_EARLY
	atomic { end_intent(h) };
#endif
	if
	:: atomic {
		if
		:: op[h] == MAKE && pool[0] == 0 -> pool[0] = 2
		:: op[h] == MAKE && pool[0] != 0
		:: else -> follow(h, ino)
		fi
	   }
	MAY_DIE
	fi;
answer:
	answered = true;
	if
	:: true
	MAY_DIE
	fi;
	goto ended;
refused:
	/* nobody else had the right to do it, so it was not there from the start, or this is the second time */
	assert(!again || answered);
	answered = true;
ended:
	atomic { end_intent(h) };
	atomic { if :: lock == 1 + h -> lock = 0 :: else fi };
	goto end;
dead:
	if
	:: again = true; /* a process */
		if
		:: answered -> /* what is left over is settled, with its host's lock */
			atomic { settle_all() };
			goto ended
		:: else -> goto asked
		fi
	:: atomic { if :: lock == 1 + h -> lock = 0 :: else fi } /* its host, which was recovered */
	fi;
end:
	done++
}

proctype looker()
{
	byte n, there, here, seen, looks = 0, ino;
	bool some, happened;

again:
	if
	:: looks == LOOKS -> goto end
	:: looks < LOOKS -> looks++; n = 0
	:: looks < LOOKS -> looks++; n = 1
	fi;
	there = storage[n];
	here = pool[n];
	if
	:: file[here] == there -> goto again
	:: else
	fi;
#ifndef UNSETTLED
	/* one of the intents; for the other one it looks once more */
	if
	:: atomic { intent[0] -> some = true; ino = i_ino[0]; seen = intents };
		happened = HAPPENED(0);
		if
		:: happened -> atomic { if :: UNCHANGED -> follow(0, ino) :: else fi }
		:: else
		fi
	:: atomic { intent[1] -> some = true; ino = i_ino[1]; seen = intents };
		happened = HAPPENED(1);
		if
		:: happened -> atomic { if :: UNCHANGED -> follow(1, ino) :: else fi }
		:: else
		fi
	:: atomic { !intent[0] && !intent[1] -> some = false }
	fi;
	if
	:: some -> goto again
	:: else
	fi;
#endif
	if
	:: here == 0 ->
		atomic {
			if :: pool[n] == 0 -> pool[n] = there + 2; assert(SECOND != NOTHING || storage[n] != 1 || pool[n] != 3) :: else fi
		};
		goto again
	:: else
	fi;
#ifdef FORGET_UNLOCKED
	atomic { if :: pool[n] == here && MAY_FORGET(here) -> forget(n) :: else fi };
#else
	atomic {
		if
		:: lock == 0 -> /* it looks again with the lock, and gives it up */
			settle_all();
			make_so(n)
		:: else /* as the pool has it */
		fi
	};
#endif
	goto again;
end:
	done++
}

/* Somebody looks at all when everything is done. */
proctype last()
{
	atomic {
		done == 3 && lock == 0 ->
		settle_all();
		make_so(0);
		make_so(1);
		assert(file[pool[0]] == storage[0] && file[pool[1]] == storage[1]);
		assert(pool[0] != 3 && pool[1] != 3);
	}
}

init {
	atomic {
		storage[0] = 1;
		pool[0] = 1;
		op[0] = MOVE;
		to[0] = 1;
		op[1] = SECOND;
		if :: SECOND == BACK || SECOND == REMOVE -> from[1] = 1 :: else fi;
		file[1] = 1;
		file[2] = 2;
		file[3] = 1;
		file[4] = 2;
		run program(0);
		if
		:: SECOND != NOTHING -> run program(1)
		:: else -> done++
		fi;
		run looker();
		run last()
	}
}
