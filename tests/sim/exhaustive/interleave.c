/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interleave.c - see interleave.h.
 *
 * A depth-first search. Where it branches, the world is marked and both runs are
 * kept (fiber_keep), and afterwards everything is put back: nothing is played
 * twice. Deaths are in interleave_death.c. Single-threaded.
 */
#include "exhaustive/interleave_inside.h"

#include <inttypes.h>
#include <stdlib.h>

#include "machine/arena.h"

#define VIOLATIONS_MAX 12u

static struct interleave weaver;

/* -- branching --------------------------------------------------------------------------- */

/* Stops where something is to be decided. */
static void before_step(void *context, struct run *run, const struct seam_event *event)
{
	struct interleave *w = context;

	w->at_shared = footprint_note(&w->touches, run->host, event);
	if (w->survey)
		return;
	if (w->at_shared || w->crashed != run->host || w->crashed_changes != seam_changes())
		run->pause_at = event->step;
}

void interleave_keep(struct interleave *w)
{
	struct place *place = &w->place[w->n_places++];

	if (w->n_places > PLACES)
		arena_die("too many branches");
	world_mark();
	place->history = w->history;
	place->path = w->path;
	for (unsigned host = 0; host < 2; host++) {
		place->run[host] = w->run[host];
		fiber_keep(w->run[host].fiber, &place->fiber[host]);
	}
}

void interleave_go_back(struct interleave *w)
{
	const struct place *place = &w->place[w->n_places - 1];

	world_rewind();
	w->history = place->history;
	w->path = place->path;
	for (unsigned host = 0; host < 2; host++) {
		w->run[host] = place->run[host];
		fiber_go_back(w->run[host].fiber, &place->fiber[host]);
	}
}

void interleave_drop(struct interleave *w)
{
	w->n_places--;
	world_drop();
}

/* -- digests ------------------------------------------------------------------------------ */

/* `host` is about to go on. */
static uint64_t digest_state(const struct interleave *w, unsigned host)
{
	uint64_t d = interleave_fold(memory_digest(), host);

	d = interleave_fold_run(interleave_fold_run(d, &w->run[0]), &w->run[1]);
	return interleave_fold(d, history_digest(&w->history));
}

/* Was this state there before, with as many preemptions left, or more? */
static bool been_here(struct interleave *w, uint64_t d, unsigned preemptions)
{
	for (unsigned p = 0; p <= preemptions; p++)
		if (visited_has(&w->states, interleave_fold(d, p))) {
			w->tally.again++;
			return true;
		}
	visited_add(&w->states, interleave_fold(d, preemptions));
	return false;
}

/* -- verdicts -------------------------------------------------------------------------------- */

bool interleave_exhausted(const struct interleave *w)
{
	return w->tally.violations >= (w->opt->first_only ? 1 : VIOLATIONS_MAX);
}

static void print_path(const struct path *path)
{
	static const char *const fates[] = { "keep-all", "drop-all",  "drop-one",  "keep-one",
					     "random",   "drop-unit", "keep-units" };

	printf("  schedule:");
	for (unsigned i = 0; i < path->n; i++)
		if (path->turn[i].until)
			printf(" host %u to step %" PRIu64 ";", path->turn[i].host, path->turn[i].until);
		else
			printf(" host %u to its end;", path->turn[i].host);
	if (path->dead != NOBODY)
		printf(" host %u dies, lines %s %" PRIu64 " %" PRIu64 "%s;", path->dead, fates[path->fate.kind],
		       path->fate.n, path->fate.also, path->early ? ", host 2 recovers" : "");
	printf(" the rest\n");
}

void interleave_violation(struct interleave *w, const char *text)
{
	if (w->tally.violations++ == 0)
		w->worst = w->path;
	if (w->opt->quiet || w->tally.violations > 2)
		return;
	printf("VIOLATION %s\n", text);
	print_path(&w->path);
	printf("  replay: daxfs-sim %s --trace\n", w->opt->replay);
	fflush(stdout);
}

uint64_t interleave_digest_end(const struct interleave *w, unsigned dead)
{
	return interleave_fold(interleave_fold(arena_digest(aftermath_by(dead)), dead), history_digest(&w->history));
}

void interleave_finish(struct interleave *w, unsigned dead)
{
	static struct state state;
	uint64_t d = interleave_fold(interleave_digest_end(w, dead), memory_digest_bytes());
	bool new = visited_add(&w->ends, d);
	char text[1200];

	if (new) {
		w->tally.states++;
		w->tally.sum ^= d;
	} else if (!w->opt->every) {
		return;
	}
	if (!aftermath(dead, &state, text, sizeof(text)) ||
	    history_judge(&w->history, w->refs, dead, &state, text, sizeof(text)))
		interleave_violation(w, text);
}

/* -- interleavings ---------------------------------------------------------------------------- */

static void go(struct interleave *w, unsigned host, unsigned preemptions);

static void preempt(struct interleave *w, unsigned host, unsigned preemptions)
{
	interleave_keep(w);
	w->path.turn[w->path.n++] = (struct turn){ host, 0 };
	w->crashed = NOBODY;
	go(w, host, preemptions);
	interleave_go_back(w);
	interleave_drop(w);
}

/* Run on to where something is to be decided: may it be preempted there? */
static bool advance(struct interleave *w, unsigned host)
{
	struct run *run = &w->run[host];

	w->at_shared = false;
	run_until(run, 0);
	w->path.turn[w->path.n - 1].until = run->end == RUN_PAUSED ? run->steps : 0;
	if (run->end == RUN_BROKEN)
		interleave_violation(w, run->err);
	return w->at_shared;
}

static void go(struct interleave *w, unsigned host, unsigned preemptions)
{
	struct run *run = &w->run[host], *other = &w->run[1 - host];

	do {
		bool shared = advance(w, host);
		uint64_t d = digest_state(w, host);

		if (run->end == RUN_BROKEN || interleave_exhausted(w) || been_here(w, d, preemptions))
			return;
		if ((w->crashed != host || w->crashed_changes != seam_changes()) &&
		    (w->opt->every || visited_add(&w->crashes, d)))
			interleave_crash(w, host);
		if (shared && run->end == RUN_PAUSED && other->end == RUN_PAUSED && preemptions < w->opt->preemptions)
			preempt(w, 1 - host, preemptions + 1);
		w->crashed = host;
		w->crashed_changes = seam_changes();
	} while (run->end == RUN_PAUSED);
	if (other->end == RUN_PAUSED) {
		w->path.turn[w->path.n++] = (struct turn){ 1 - host, 0 };
		w->crashed = NOBODY;
		go(w, 1 - host, preemptions);
	} else if (visited_add(&w->states, digest_state(w, NOBODY))) {
		w->tally.ends++;
		interleave_finish(w, 0);
	}
}

/* -- all of it ------------------------------------------------------------------------------- */

static void begin(struct interleave *w)
{
	w->history = (struct history){ 0 };
	w->path = (struct path){ .dead = NOBODY };
	for (unsigned host = 0; host < 2; host++) {
		w->part[host] = (struct performance){
			.script = w->script[host],
			.history = &w->history,
			.host = host,
		};
		run_start(&w->run[host], host, perform, &w->part[host]);
		w->run[host].hook = before_step;
		w->run[host].context = w;
		w->run[host].steps_max = STEPS_MAX;
		if (!w->script[host]->n)
			w->run[host].end = RUN_RETURNED;
	}
	interleave_keep(w);
}

static void end(struct interleave *w)
{
	interleave_go_back(w);
	interleave_drop(w);
	run_free(&w->run[0]);
	run_free(&w->run[1]);
}

/* Each host stopped at each step while the other runs: finds most of what both touch. */
static void survey(struct interleave *w, unsigned first)
{
	struct run *run = &w->run[first], *other = &w->run[1 - first];
	bool over = false;

	w->survey = true;
	for (uint64_t step = 1; !over; step++) {
		over = run->end != RUN_PAUSED || run_until(run, step) != RUN_PAUSED;
		if (other->end == RUN_PAUSED)
			run_until(other, 0);
		if (!over)
			run_until(run, 0);
		interleave_go_back(w);
	}
	w->survey = false;
}

static void explore(struct interleave *w)
{
	w->tally.ends = w->tally.again = 0;
	if (w->opt->every)
		w->tally.deaths = 0;
	w->touches.grown = false;
	visited_clear(&w->states);
	if (w->opt->every)
		visited_clear(&w->wrecks);
	for (unsigned first = 0; first < 2; first++) {
		w->path.turn[w->path.n++] = (struct turn){ first, 0 };
		w->crashed = NOBODY;
		if (w->run[first].end == RUN_PAUSED)
			go(w, first, 0);
		interleave_go_back(w);
	}
}

/* Nothing is known of this world, or any more. */
static void forget(struct interleave *w)
{
	interleave_forget_deaths(w);
	visited_clear(&w->states);
	visited_clear(&w->ends);
}

/* The first violation once more, aloud. */
static void replay(struct interleave *w)
{
	const struct path path = w->worst;

	w->survey = true; /* runs stop nowhere but where they are told */
	seam_trace(stdout, 7);
	for (unsigned i = 0; i < path.n; i++)
		if (w->run[path.turn[i].host].end == RUN_PAUSED)
			run_until(&w->run[path.turn[i].host], path.turn[i].until);
	forget(w);
	if (path.dead != NOBODY) {
		world_show_lanes(stdout);
		interleave_lay_to_rest(w, path.dead, path.fate, path.early);
	} else {
		interleave_finish(w, 0);
	}
	seam_trace(NULL, 0);
	w->survey = false;
	interleave_go_back(w);
}

void weave(const struct script *a, const struct script *b, const struct interleave_options *opt,
	   struct interleave_tally *out)
{
	static const unsigned dead[] = { 0, 1, 2, 3 }; /* nobody, host 0, host 1, both */
	struct interleave *w = &weaver;

	w->script[0] = a;
	w->script[1] = b;
	w->opt = opt;
	w->tally = (struct interleave_tally){ 0 };
	footprint_begin(&w->touches);
	forget(w);
	memory_quiesce();
	w->refs = references_make(a, b, dead, 4, false);
	begin(w);
	if (references_broken(w->refs)) {
		interleave_violation(w, references_broken(w->refs));
	} else {
		survey(w, 0);
		survey(w, 1);
		do
			explore(w);
		while (w->touches.grown && !w->tally.violations);
		if (w->tally.violations && opt->trace)
			replay(w);
	}
	end(w);
	references_free(w->refs);
	w->tally.shared = w->touches.shared;
	*out = w->tally;
}
