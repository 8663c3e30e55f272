/* SPDX-License-Identifier: Apache-2.0 */
/*
 * weave.c - see weave.h.
 *
 * A depth-first search. Where it branches, the world is marked and both runs are
 * kept (fiber_keep), and afterwards everything is put back: nothing is played
 * twice. Single-threaded.
 */
#include "weave.h"

#include <inttypes.h>
#include <stdlib.h>

#include "arena.h"
#include "visited.h"

#define RANDOMS 8u
#define UNITS_MAX 256u
#define STEPS_MAX 200000u /* nobody needs more */
#define PLACES (PREEMPTIONS_MAX + 4u)
#define TURNS_MAX (PREEMPTIONS_MAX + 3u)
#define VIOLATIONS_MAX 12u
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

static struct weave {
	const struct script *script[2];
	const struct weave_options *opt;
	struct references *refs;
	struct performance part[2];
	struct run run[2];
	struct history history;
	struct path path;
	struct place place[PLACES];
	unsigned n_places;
	/* who touches what: per word or line */
	unsigned unit_shift;
	uint8_t *touched;
	bool survey, grown;
	bool at_shared; /* the step that the current run is about to do */
	/* where a crash was tried last */
	unsigned crashed;
	uint64_t crashed_changes;
	struct visited states, wrecks; /* wrecks: places of the survivor after a death */
	bool known; /* what the survivor comes to was there before */
	struct weave_tally tally;
	struct path worst;
} weaver;

/* -- what hosts touch ------------------------------------------------------------------ */

#define READS(host) (1u << (2 * (host)))
#define WRITES(host) (2u << (2 * (host)))

static bool conflict(uint8_t t)
{
	return (t & WRITES(0) && t & (READS(1) | WRITES(1))) || (t & WRITES(1) && t & (READS(0) | WRITES(0)));
}

/* A host touches a range: does anybody else mind? */
static bool touch(struct weave *w, uint8_t how, uint64_t offset, uint64_t len)
{
	bool shared = false;

	for (uint64_t u = offset >> w->unit_shift; len && u <= (offset + len - 1) >> w->unit_shift; u++) {
		uint8_t now = w->touched[u] | how;

		if (conflict(now) && !conflict(w->touched[u])) {
			w->grown = true;
			w->tally.shared++;
		}
		w->touched[u] = now;
		shared |= conflict(now);
	}
	return shared;
}

/* Writing back a line changes nothing that others see, but where it is. */
static bool changes(const struct sm_site *site)
{
	return !strcmp(site->call, "cas") || !strcmp(site->call, "store") || !strcmp(site->call, "write") ||
	       !strcmp(site->call, "zero") || (world.wb && !strcmp(site->call, "persist"));
}

static bool touch_event(struct weave *w, unsigned host, const struct seam_event *event)
{
	uint8_t how = changes(event->site) ? WRITES(host) : READS(host);
	bool shared;

	if (!world.wb && !strcmp(event->site->call, "persist"))
		return false;
	shared = touch(w, how, event->offset, event->len);
	return touch(w, READS(host), event->from, event->from ? event->len : 0) || shared;
}

/* Stops where something is to be decided. */
static void before_step(void *context, struct run *run, const struct seam_event *event)
{
	struct weave *w = context;

	w->at_shared = touch_event(w, run->host, event);
	if (w->survey)
		return;
	if (w->at_shared || w->crashed != run->host || w->crashed_changes != seam_changes())
		run->pause_at = event->step;
}

/* -- branching --------------------------------------------------------------------------- */

static void keep(struct weave *w)
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

static void go_back(struct weave *w)
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

static void drop(struct weave *w)
{
	w->n_places--;
	world_drop();
}

/* -- digests ------------------------------------------------------------------------------ */

static uint64_t fold(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9fb21c651e98df25ull;
	return h ^ h >> 29;
}

/* Commands of a host that had ended when this one began: all that judging asks. */
static uint64_t ended_before(const struct history *h, unsigned host, uint64_t begun)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < h->n[host]; i++)
		n += h->event[host][i].ended && h->event[host][i].ended < begun;
	return n;
}

static uint64_t digest_history(const struct history *h)
{
	uint64_t d = h->recovered;

	for (unsigned host = 0; host < 2; host++) {
		d = fold(d, h->n[host]);
		for (unsigned i = 0; i < h->n[host]; i++) {
			const char *result = h->event[host][i].result;

			d = fold(d, ended_before(h, 1 - host, h->event[host][i].begun));
			d = fold(d, h->event[host][i].ended != 0);
			d = fold(d, script_digest((const uint8_t *)result, strlen(result)));
		}
	}
	return d;
}

static uint64_t digest_run(uint64_t d, const struct run *run)
{
	return fold(fold(fold(d, run->steps), run->seen), run->end);
}

/* `host` is about to go on. */
static uint64_t digest_state(const struct weave *w, unsigned host)
{
	uint64_t d = fold(memory_digest(), host);

	d = digest_run(digest_run(d, &w->run[0]), &w->run[1]);
	return fold(d, digest_history(&w->history));
}

/* Was this state there before, with as many preemptions left, or more? */
static bool been_here(struct weave *w, unsigned host, unsigned preemptions)
{
	uint64_t d = digest_state(w, host);

	for (unsigned p = 0; p <= preemptions; p++)
		if (visited_has(&w->states, fold(d, p))) {
			w->tally.again++;
			return true;
		}
	visited_add(&w->states, fold(d, preemptions));
	return false;
}

/* -- verdicts -------------------------------------------------------------------------------- */

static bool exhausted(const struct weave *w)
{
	return w->tally.violations >= (w->opt->first_only ? 1 : VIOLATIONS_MAX);
}

static void print_path(const struct path *path)
{
	static const char *const fates[] = {"keep-all", "drop-all", "drop-one", "keep-one", "random", "drop-unit",
					    "keep-units"};

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

static void violation(struct weave *w, const char *text)
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

static void finish(struct weave *w, unsigned dead)
{
	static struct state state;
	char text[1200];

	if (!aftermath(dead, &state, text, sizeof(text)) ||
	    history_judge(&w->history, w->refs, dead, &state, text, sizeof(text)))
		violation(w, text);
}

/* -- a death --------------------------------------------------------------------------------- */

/* A host is dead for good, so caches matter no more; the other is in `run`. */
static uint64_t digest_wreck(const struct weave *w, const struct run *run)
{
	uint64_t d = digest_run(fold(memory_digest_bytes(), w->path.dead), run);

	return fold(d, digest_history(&w->history));
}

/* What follows was played before: stop. */
static void stop_if_known(struct weave *w, struct run *run)
{
	w->known = w->known || !visited_add(&w->wrecks, digest_wreck(w, run));
	if (w->known)
		run->pause_at = run->steps;
}

static void survivor_step(void *context, struct run *run, const struct seam_event *event)
{
	struct weave *w = context;

	touch_event(w, run->host, event);
	stop_if_known(w, run);
}

/* What recovery touches, the dead host touches. */
static void recovery_step(void *context, struct run *run, const struct seam_event *event)
{
	struct weave *w = context;

	(void)run;
	touch_event(w, w->path.dead, event);
}

/* The other goes on to its end, or to where what follows is known. */
static bool survive(struct weave *w, struct run *run)
{
	char text[256];

	w->known = false;
	run->hook = survivor_step;
	run->steps_max = run->steps + STEPS_MAX;
	if (run->end == RUN_PAUSED)
		run_until(run, 0);
	if (run->end == RUN_BROKEN) {
		snprintf(text, sizeof(text), "host %u going on: %s", run->host, run->why);
		violation(w, text);
		return false;
	}
	stop_if_known(w, run);
	return !w->known;
}

static long call_recover(void *arg)
{
	struct daxfs_recovery report;

	return daxfs_recover(world.fs[2], *(unsigned *)arg, &report);
}

static bool recover_early(struct weave *w)
{
	struct run run;
	char text[256];
	bool ok = true;

	w->path.early = true;
	if (!world_fence(w->path.dead, 2))
		return true;
	run_start(&run, 2, call_recover, &w->path.dead);
	run.hook = recovery_step;
	run.context = w;
	run.steps_max = STEPS_MAX;
	run_until(&run, 0);
	if (run.end != RUN_RETURNED || run.result) {
		snprintf(text, sizeof(text), "recovery by host 2: %ld %s", run.result, run.why);
		violation(w, text);
		ok = false;
	}
	run_free(&run);
	w->history.recovered = w->path.dead == 0;
	return ok;
}

static void lay_to_rest(struct weave *w, unsigned dead, struct fate fate, bool early)
{
	w->path.dead = dead;
	w->path.fate = fate;
	world_lose(dead, fate);
	if (early && !recover_early(w))
		return;
	if (!survive(w, &w->run[1 - dead]))
		return;
	w->tally.wrecks++;
	finish(w, 1u << dead);
}

/* Would this death leave what another one left, or came to? */
static bool is_known(struct weave *w, unsigned dead, struct fate fate)
{
	bool known;

	w->path.dead = dead;
	memory_mark();
	memory_lose(dead, fate);
	known = visited_has(&w->wrecks, digest_wreck(w, &w->run[1 - dead]));
	memory_rewind();
	memory_drop();
	w->path.dead = NOBODY;
	return known;
}

static bool midway(const struct run *run)
{
	return run->end == RUN_PAUSED && run->steps > 0;
}

static void die(struct weave *w, unsigned host, struct fate fate)
{
	bool known = is_known(w, host, fate);

	w->tally.deaths++;
	if (exhausted(w) || (known && fate.kind != FATE_KEEP_ALL))
		return;
	if (!known) {
		keep(w);
		lay_to_rest(w, host, fate, false);
		go_back(w);
		drop(w);
	}
	if (midway(&w->run[1 - host])) {
		keep(w);
		lay_to_rest(w, host, fate, true);
		go_back(w);
		drop(w);
	}
}

/* The host dies here, in every way. */
static void crash(struct weave *w, unsigned host)
{
	uint32_t unit[UNITS_MAX];
	unsigned n = world.wb ? memory_units(host, unit, UNITS_MAX) : 0;

	die(w, host, (struct fate){.kind = FATE_KEEP_ALL});
	if (n)
		die(w, host, (struct fate){.kind = FATE_DROP_ALL});
	for (unsigned i = 0; i < n; i++) {
		die(w, host, (struct fate){.kind = FATE_DROP_UNIT, .n = unit[i]});
		for (unsigned k = i; k < n; k++)
			die(w, host, (struct fate){FATE_KEEP_UNITS, unit[i], unit[k]});
	}
	for (uint64_t i = 1; n && i <= RANDOMS; i++)
		die(w, host, (struct fate){.kind = FATE_RANDOM, .n = i});
}

/* -- interleavings ---------------------------------------------------------------------------- */

static void go(struct weave *w, unsigned host, unsigned preemptions);

static void preempt(struct weave *w, unsigned host, unsigned preemptions)
{
	keep(w);
	w->path.turn[w->path.n++] = (struct turn){host, 0};
	w->crashed = NOBODY;
	go(w, host, preemptions);
	go_back(w);
	drop(w);
}

/* Run on to where something is to be decided: may it be preempted there? */
static bool advance(struct weave *w, unsigned host)
{
	struct run *run = &w->run[host];

	w->at_shared = false;
	run_until(run, 0);
	w->path.turn[w->path.n - 1].until = run->end == RUN_PAUSED ? run->steps : 0;
	if (run->end == RUN_BROKEN)
		violation(w, run->why);
	return w->at_shared;
}

static void go(struct weave *w, unsigned host, unsigned preemptions)
{
	struct run *run = &w->run[host], *other = &w->run[1 - host];

	do {
		bool shared = advance(w, host);

		if (run->end == RUN_BROKEN || exhausted(w) || been_here(w, host, preemptions))
			return;
		if (w->crashed != host || w->crashed_changes != seam_changes())
			crash(w, host);
		if (shared && run->end == RUN_PAUSED && other->end == RUN_PAUSED && preemptions < PREEMPTIONS_MAX)
			preempt(w, 1 - host, preemptions + 1);
		w->crashed = host;
		w->crashed_changes = seam_changes();
	} while (run->end == RUN_PAUSED);
	if (other->end == RUN_PAUSED) {
		w->path.turn[w->path.n++] = (struct turn){1 - host, 0};
		w->crashed = NOBODY;
		go(w, 1 - host, preemptions);
	} else if (visited_add(&w->states, digest_state(w, NOBODY))) {
		w->tally.ends++;
		finish(w, 0);
	}
}

/* -- all of it ------------------------------------------------------------------------------- */

static void begin(struct weave *w)
{
	w->history = (struct history){0};
	w->path = (struct path){.dead = NOBODY};
	for (unsigned host = 0; host < 2; host++) {
		w->part[host] = (struct performance){
			.script = w->script[host], .history = &w->history, .host = host,
		};
		run_start(&w->run[host], host, perform, &w->part[host]);
		w->run[host].hook = before_step;
		w->run[host].context = w;
		w->run[host].steps_max = STEPS_MAX;
		if (!w->script[host]->n)
			w->run[host].end = RUN_RETURNED;
	}
	keep(w);
}

static void end(struct weave *w)
{
	go_back(w);
	drop(w);
	run_free(&w->run[0]);
	run_free(&w->run[1]);
}

/* Each host stopped at each step while the other runs: finds most of what both touch. */
static void survey(struct weave *w, unsigned first)
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
		go_back(w);
	}
	w->survey = false;
}

static void explore(struct weave *w)
{
	uint64_t shared = w->tally.shared;

	w->tally = (struct weave_tally){.shared = shared};
	w->grown = false;
	visited_clear(&w->states);
	visited_clear(&w->wrecks);
	for (unsigned first = 0; first < 2; first++) {
		w->path.turn[w->path.n++] = (struct turn){first, 0};
		w->crashed = NOBODY;
		if (w->run[first].end == RUN_PAUSED)
			go(w, first, 0);
		go_back(w);
	}
}

/* The first violation once more, aloud. */
static void replay(struct weave *w)
{
	const struct path path = w->worst;

	w->survey = true; /* runs stop nowhere but where they are told */
	seam_trace(stdout, 7);
	for (unsigned i = 0; i < path.n; i++)
		if (w->run[path.turn[i].host].end == RUN_PAUSED)
			run_until(&w->run[path.turn[i].host], path.turn[i].until);
	if (path.dead != NOBODY) {
		visited_clear(&w->wrecks);
		world_show_lanes(stdout);
		lay_to_rest(w, path.dead, path.fate, path.early);
	} else {
		finish(w, 0);
	}
	seam_trace(NULL, 0);
	w->survey = false;
	go_back(w);
}

void weave(const struct script *a, const struct script *b, const struct weave_options *opt, struct weave_tally *out)
{
	static const unsigned dead[] = {0, 1, 2, 3}; /* nobody, host 0, host 1, both */
	struct weave *w = &weaver;

	w->script[0] = a;
	w->script[1] = b;
	w->opt = opt;
	w->unit_shift = world.wb ? 6 : 3;
	w->touched = arena_host_realloc(w->touched, (size_t)(memory_size() >> w->unit_shift));
	memset(w->touched, 0, (size_t)(memory_size() >> w->unit_shift));
	w->tally = (struct weave_tally){0};
	memory_settle();
	w->refs = references_make(a, b, dead, 4, false);
	begin(w);
	if (references_broken(w->refs)) {
		violation(w, references_broken(w->refs));
	} else {
		survey(w, 0);
		survey(w, 1);
		do
			explore(w);
		while (w->grown && !w->tally.violations);
		if (w->tally.violations && opt->trace)
			replay(w);
	}
	end(w);
	references_free(w->refs);
	*out = w->tally;
}
