/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interleave.h - two hosts, all their interleavings, and a crash anywhere.
 *
 * Host 0 does script a, host 1 script b. A preemption is a switch from a host
 * that could go on. Every interleaving with at most opt->preemptions of them is
 * played, and in each of them either host may die once: before any of its seam
 * calls or after the last. Then the other goes on to its end and recovers it;
 * or, if it is in the middle of something, host 2 recovers first and the other
 * goes on afterwards. Each outcome is judged by history.h.
 *
 * What makes this possible:
 *   - Two seam calls that touch no word in common (wb pools: no line), or only
 *     read it, commute. So a host is preempted only before a call that touches
 *     what the other touches in any interleaving, and one of them changes. Which
 *     words those are is found on the way; when the end of an exploration knows
 *     more of them than its beginning, it is done again.
 *   - A state is memory, caches, what each host has been told (runs follow from
 *     that), and the history so far. A state that was there before is left.
 *   - The survivor of a death stops where a survivor has been before: with the
 *     same memory, told the same, after the same history. So a death that only
 *     came later, while the other did what does not depend on it, costs nothing.
 *   - What a death leaves is known before it is played, by digests of memory; and
 *     what host 2's recovery makes of it follows from memory alone, for it did
 *     nothing before.
 *   - An end is judged once: the verdict follows from memory, from the private
 *     memory of who recovers and looks, from who is dead, and from the history.
 *   - A host dies anew only where memory or device changed since its last death.
 * With `every`, lines are lost to look at what that leaves, and neither recoveries
 * nor verdicts are remembered: the same states must be judged (states, sum). It
 * takes 10 to 20 times as long.
 *
 * Times stand still: they are outside the all-or-nothing promise.
 *
 * Fates of the dying host's dirty lines in a wb pool: all, none, each unit kept,
 * each unit dropped, each pair of units kept, and RANDOMS times each line any
 * contents it had. A unit is a line; lines of one page of the page region count
 * as one (memory.h).
 */
#ifndef SIM_EXHAUSTIVE_INTERLEAVE_H
#define SIM_EXHAUSTIVE_INTERLEAVE_H

#include "exhaustive/history.h"

#define PREEMPTIONS_MAX 2u

struct interleave_tally {
	uint64_t shared; /* words (wb: lines) that matter */
	uint64_t ends;   /* different ends of both, nobody having died */
	uint64_t deaths; /* of a host at one place with one subset of its dirty lines */
	uint64_t states; /* different ends, each judged: memory, what the survivor's DRAM holds, history */
	uint64_t sum;    /* exclusive or of their digests: equal for equal sets of them */
	uint64_t again;  /* states come to again, and left */
	uint64_t violations;
};

struct interleave_options {
	unsigned preemptions; /* at most; PREEMPTIONS_MAX or less */
	bool trace;           /* of the first violation */
	bool quiet, first_only;
	bool every;         /* play and judge what is known, too: states and sum must be the same */
	const char *replay; /* for people: how to do this again */
};

/* In the world as it is: made with or without caches, scripts prepared. */
void weave(const struct script *a, const struct script *b, const struct interleave_options *opt,
	   struct interleave_tally *out);

#endif
