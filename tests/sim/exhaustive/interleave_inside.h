/* SPDX-License-Identifier: Apache-2.0 */
/* interleave_inside.h - between interleave.c, which interleaves, and interleave_death.c, where one of the two dies. */
#ifndef SIM_EXHAUSTIVE_INTERLEAVE_INSIDE_H
#define SIM_EXHAUSTIVE_INTERLEAVE_INSIDE_H

#include "exhaustive/footprint.h"
#include "exhaustive/visited.h"
#include "exhaustive/interleave.h"

#define STEPS_MAX 200000u /* nobody needs more */
#define PLACES (PREEMPTIONS_MAX + 4u)
#define TURNS_MAX (PREEMPTIONS_MAX + 3u)
#define NOBODY 2u

/* a host ran until it was about to do this step; 0: to its end */
struct turn {
	unsigned host;
	uint64_t until;
};

/* how a state was reached */
struct path {
	struct turn turn[TURNS_MAX];
	unsigned n;
	unsigned dead; /* or NOBODY; it died at the end of the last turn */
	bool early;    /* recovered before the other went on */
	struct fate fate;
};

struct place {
	struct run run[2];
	struct fiber_place fiber[2];
	struct history history;
	struct path path;
};

struct interleave {
	const struct script *script[2];
	const struct interleave_options *opt;
	struct references *refs;
	struct performance part[2];
	struct run run[2];
	struct history history;
	struct path path;
	struct place place[PLACES];
	unsigned n_places;
	struct footprint touches;
	bool survey;
	bool at_shared; /* the step that the current run is about to do */
	/* where a crash was tried last */
	unsigned crashed;
	uint64_t crashed_changes;
	struct visited states;
	/* states in which hosts died; where the survivor came to; ends that were judged */
	struct visited crashes, wrecks, ends;
	struct recovery *recovery; /* what some of those by host 2 led to */
	uint64_t candidate;        /* what DRAM of host 2 will be used; 0 before that */
	bool known;                /* what the survivor comes to was there before */
	uint64_t looked_changes;   /* of memory, when that was asked last */
	struct interleave_tally tally;
	struct path worst;
};

static inline uint64_t interleave_fold(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9fb21c651e98df25ull;
	return h ^ h >> 29;
}

static inline uint64_t interleave_fold_run(uint64_t d, const struct run *run)
{
	return interleave_fold(interleave_fold(interleave_fold(d, run->steps), run->seen), run->end);
}

/* interleave.c: the world, both runs and their history are kept, put back, and no longer needed. */
void interleave_keep(struct interleave *w);
void interleave_go_back(struct interleave *w);
void interleave_drop(struct interleave *w);
bool interleave_exhausted(const struct interleave *w);
void interleave_violation(struct interleave *w, const char *text);
/* Everything is over: judge it. `dead` is a set. */
void interleave_finish(struct interleave *w, unsigned dead);

/* Of everything that the verdict follows from, but memory. */
uint64_t interleave_digest_end(const struct interleave *w, unsigned dead);

/* interleave_death.c: a host dies here, in every way; or in one, for a replay. */
void interleave_crash(struct interleave *w, unsigned host);
void interleave_forget_deaths(struct interleave *w);
void interleave_lay_to_rest(struct interleave *w, unsigned dead, struct fate fate, bool early);

#endif
