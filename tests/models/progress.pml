/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.pml - long work is no stuck worker, and a stuck worker is no long work.
 *
 * One host with two lanes. Lane 0 gives up the last hold of a large file: under the lock
 * of that part of the table of holds it clears its bit, then takes the file apart in
 * BATCHES batches, far more than fit into the time in which a worker may stand still.
 * Lane 1 wants the same lock. The heart looks at both lanes once a beat, and is withheld
 * when one of them is in a call and has not moved for LIMIT looks.
 *
 * Time: a beat may come at any moment, but a lane that can run finishes a step (a batch) in
 * STEP beats, a part of LIMIT. How long it waits for a lock is bounded by nothing.
 *
 * Checked: however long the file, no beat is withheld (fabricd fences nobody for work that
 * goes on, nor the next host for recovering that one); when lane 0 is stuck (-DSTUCK), it is.
 *
 * Variants: WHOLE (only the begin of a call counts), UNDER_LOCK (the file is taken apart before the
 * lock is let go: lane 1 does not move for as long as that takes), ANY (the host moves
 * if any lane does: a stuck one is not seen while the other works).
 */
#define STEP 2 /* beats that a step may take */
#define LIMIT 8
#ifndef BATCHES
#define BATCHES 20
#endif

byte moved[2], seen[2], still[2]; /* moved: counts on, as lane.moved does */
byte since[2];                    /* beats since this lane, if it could run, last did a step */
bool busy[2], waits[2], over[2];
bool locked, withheld;

inline step(i) { moved[i]++; since[i] = 0 }

proctype job()
{
	byte n = 0;

	atomic { busy[0] = true; step(0) }
	atomic { !locked; locked = true }
#ifndef UNDER_LOCK
	locked = false;
#endif
#ifdef STUCK
	false /* a loop that does not end, a page that does not come */
#endif
	do
	:: n < BATCHES ->
		atomic {
			n++;
#ifdef WHOLE
			since[0] = 0
#else
			step(0)
#endif
		}
	:: else -> break
	od;
#ifdef UNDER_LOCK
	locked = false;
#endif
	atomic { busy[0] = false; over[0] = true }
}

proctype other()
{
	byte n = 0;

	do
	:: n < 2 ->
		atomic { busy[1] = true; step(1); waits[1] = true }
		atomic { !locked; locked = true; waits[1] = false; since[1] = 0 }
		atomic { locked = false; busy[1] = false; n++; since[1] = 0 }
	:: else -> break
	od;
	over[1] = true
}

/* Time may not pass a lane that can run. */
#define MAY_PASS(i) (!busy[i] || (waits[i] && locked) || since[i] < STEP)
#ifdef STUCK
#define TIME_PASSES (MAY_PASS(1))
#define ENDS false
#else
#define TIME_PASSES (MAY_PASS(0) && MAY_PASS(1))
#define ENDS (over[0] && over[1])
#endif

inline pass(i) { since[i] = (since[i] < STEP -> since[i] + 1 : STEP) }

inline look(i)
{
	if
	:: busy[i] && moved[i] == seen[i] -> still[i] = (still[i] < LIMIT -> still[i] + 1 : LIMIT)
	:: else -> still[i] = 0
	fi;
	seen[i] = moved[i]
}

proctype heart()
{
	byte beats = 0;

	do
	:: ENDS -> break
	:: !ENDS && TIME_PASSES ->
		atomic {
			pass(0);
			pass(1);
			look(0);
			look(1);
#ifdef ANY
			if
			:: still[0] >= LIMIT && still[1] >= LIMIT -> withheld = true
			:: else
			fi;
#else
			if
			:: still[0] >= LIMIT || still[1] >= LIMIT -> withheld = true
			:: else
			fi;
#endif
#ifdef STUCK
			beats = beats + busy[0];
			if
			:: beats > 2 * LIMIT -> break
			:: else
			fi
#else
			assert(!withheld)
#endif
		}
	od
#ifdef STUCK
	;
	assert(withheld)
#endif
}

init {
	atomic {
		run job();
		run other();
		run heart()
	}
}
