/* SPDX-License-Identifier: Apache-2.0 */
/* weave_inside.h - between weave.c, which interleaves, and weave_death.c, where one of the two dies. */
#ifndef SIM_WEAVE_INSIDE_H
#define SIM_WEAVE_INSIDE_H

#include "touches.h"
#include "visited.h"
#include "weave.h"

#define STEPS_MAX 200000u /* nobody needs more */
#define PLACES (PREEMPTIONS_MAX + 4u)
#define TURNS_MAX (PREEMPTIONS_MAX + 3u)
#define NOBODY 2u

struct turn { /* a host ran until it was about to do this step; 0: to its end */
	unsigned host;
	uint64_t until;
};

struct path { /* how a state was reached */
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

struct weave {
	const struct script *script[2];
	const struct weave_options *opt;
	struct references *refs;
	struct performance part[2];
	struct run run[2];
	struct history history;
	struct path path;
	struct place place[PLACES];
	unsigned n_places;
	struct touches touches;
	bool survey;
	bool at_shared; /* the step that the current run is about to do */
	/* where a crash was tried last */
	unsigned crashed;
	uint64_t crashed_changes;
	struct visited states;
	/* states in which hosts died; where the survivor came to; ends that were judged */
	struct visited crashes, wrecks, ends;
	struct recovery *recovery; /* what some of those by host 2 led to */
	uint64_t heir; /* what DRAM of host 2 will be used; 0 before that */
	bool known; /* what the survivor comes to was there before */
	uint64_t looked_changes; /* of memory, when that was asked last */
	struct weave_tally tally;
	struct path worst;
};

static inline uint64_t weave_fold(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9fb21c651e98df25ull;
	return h ^ h >> 29;
}

static inline uint64_t weave_fold_run(uint64_t d, const struct run *run)
{
	return weave_fold(weave_fold(weave_fold(d, run->steps), run->seen), run->end);
}

/* weave.c: the world, both runs and their history are kept, put back, and no longer needed. */
void weave_keep(struct weave *w);
void weave_go_back(struct weave *w);
void weave_drop(struct weave *w);
bool weave_exhausted(const struct weave *w);
void weave_violation(struct weave *w, const char *text);
/* Everything is over: judge it. `dead` is a set. */
void weave_finish(struct weave *w, unsigned dead);

/* Of everything that the verdict follows from, but memory. */
uint64_t weave_digest_end(const struct weave *w, unsigned dead);

/* weave_death.c: a host dies here, in every way; or in one, for a replay. */
void weave_crash(struct weave *w, unsigned host);
void weave_forget_deaths(struct weave *w);
void weave_lay_to_rest(struct weave *w, unsigned dead, struct fate fate, bool early);

#endif
