/* SPDX-License-Identifier: Apache-2.0 */
/* explore.c - what crash.c and pause.c share: sampling, fates, verdicts. */
#include <inttypes.h>
#include <stdlib.h>

#include "machine/arena.h"
#include "scenario/known.h"
#include "sim.h"

#define VIOLATIONS_SHOWN 4u
#define VIOLATIONS_MAX 12u
#define SECOND_GUESS 64u         /* steps of a second host, before any was counted: quickly, not all of them */
#define STEPS_MAX 200000u        /* nobody needs more */
#define STEPS_TIGHT_MAX 5000000u /* or to find out that no page will be free */

static const char *const variant_names[VARIANTS] = {
	"recover", "survive",      "recover-crash", "survive-crash", "take-over",   "take-over-crash",
	"revive",  "revive-crash", "pause",         "pause-both",    "pause-crash", "resume-crash",
	"tangle",  "bystand",      "revoke",        "mix",
};

/* States a scenario may cost in each variant that is a product of steps. */
static const struct {
	uint64_t quick, usual, full;
} budgets[VARIANTS] = {
	[V_RECOVER] = { UINT64_MAX, UINT64_MAX, UINT64_MAX },
	[V_SURVIVE] = { UINT64_MAX, UINT64_MAX, UINT64_MAX },
	[V_RECOVER_CRASH] = { 16, 250, 20000 },
	[V_SURVIVE_CRASH] = { 12, 200, 20000 },
	[V_TAKE_OVER] = { UINT64_MAX, UINT64_MAX, UINT64_MAX },
	[V_TAKE_OVER_CRASH] = { 8, 120, 20000 },
	[V_REVIVE] = { UINT64_MAX, UINT64_MAX, UINT64_MAX },
	[V_REVIVE_CRASH] = { 8, 120, 20000 },
	[V_PAUSE] = { 15, 150, UINT64_MAX },
	[V_PAUSE_BOTH] = { 12, 120, 20000 },
	[V_PAUSE_CRASH] = { 8, 80, 20000 },
	[V_RESUME_CRASH] = { 15, 150, 20000 },
	[V_TANGLE] = { 12, 120, 20000 },
	[V_BYSTAND] = { 12, 120, 20000 },
	[V_REVOKE] = { 6, 60, 20000 },
	[V_MIX] = { 16, 250, 20000 },
};

const char *variant_name(enum variant v)
{
	return variant_names[v];
}

bool explore_wants(const struct explorer *x, enum variant v)
{
	if (x->opt->variant && strcmp(x->opt->variant, variant_names[v]))
		return false;
	if (x->opt->step && x->opt->step != x->n)
		return false;
	if ((v == V_TAKE_OVER || v == V_TAKE_OVER_CRASH) && x->sc->flags & (SC_MEMBER | SC_OUTSIDE))
		return false; /* nothing to go on with */
	return v < V_PAUSE || v == V_REVOKE || x->opt->weak || !(x->sc->flags & SC_MEMBER);
}

static uint64_t scatter(uint64_t h)
{
	h = (h ^ (h >> 31)) * 0x7fb5d329728ea185ull;
	h = (h ^ (h >> 27)) * 0x81dadef4bc2dd44dull;
	return h ^ (h >> 33);
}

uint64_t explore_draw(const struct explorer *x, uint64_t i)
{
	return scatter(x->opt->seed * 69069 + x->n * 16 + i + 1) >> 1;
}

uint64_t explore_budget(const struct explorer *x, enum variant v)
{
	return x->opt->full ? budgets[v].full : x->opt->quick ? budgets[v].quick : budgets[v].usual;
}

/* A number below n by a hash: as good as the remainder, and a tenth of its cost, for millions of them. */
static uint64_t scaled(uint64_t hash, uint64_t n)
{
	return (hash >> 32) * (n >> 32) + ((hash >> 32) * (n & UINT32_MAX) >> 32) +
	       ((hash & UINT32_MAX) * (n >> 32) >> 32);
}

/* Each state is in or out by a hash of its place and the seed, so that one
 * state can be replayed alone. A site that was no crash point yet is always in. */
bool explore_samples(struct explorer *x, uint64_t m, const struct sm_site *site)
{
	uint64_t budget = explore_budget(x, x->variant);
	uint64_t seen = x->m_seen[x->variant] ? x->m_seen[x->variant] : x->opt->quick ? SECOND_GUESS : 1;
	uint64_t space = x->distinct * seen;
	uint64_t hash = scatter(x->opt->seed * 1000003 + x->n * 8191 + m * 31 + x->variant);

	if (x->opt->recovery_step)
		return x->opt->recovery_step == m;
	if (x->opt->step || space <= budget || (site && !site->crashes))
		return true;
	return scaled(hash, space) < budget;
}

void explore_where(const struct explorer *x, FILE *out)
{
	static const char *const fates[] = { "keep-all", "drop-all", "drop-one", "keep-one", "random" };

	fprintf(out, "  op=%s domain=%s variant=%s step=%" PRIu64, x->sc->name, x->wb ? "wb" : "gpf",
		variant_names[x->variant], x->n);
	if (x->wb && x->variant < V_PAUSE)
		fprintf(out, " lines=%s:%" PRIu64, fates[x->fate[0].kind], x->fate[0].n);
	if (x->site[0])
		fprintf(out, " (%s %s:%u %s)", x->site[0]->call, x->site[0]->file, x->site[0]->line, x->site[0]->func);
	if (x->m) {
		fprintf(out, " second-step=%" PRIu64, x->m);
		if (x->wb)
			fprintf(out, " lines=%s:%" PRIu64, fates[x->fate[1].kind], x->fate[1].n);
		if (x->site[1])
			fprintf(out, " (%s %s:%u %s)", x->site[1]->call, x->site[1]->file, x->site[1]->line,
				x->site[1]->func);
	}
	fprintf(out, "\n  replay: daxfs-sim %s%s%s --domain %s --variant %s --step %" PRIu64,
		x->opt->weak ? "--weak " : "", x->opt->worlds ? "--worlds --world " : "--op ", x->sc->name,
		x->wb ? "wb" : "gpf", variant_names[x->variant], x->n);
	if (x->m)
		fprintf(out, " --recovery-step %" PRIu64, x->m);
	fprintf(out, " --seed %" PRIu64 "%s --trace\n", x->opt->seed,
		x->opt->full    ? " --full"
		: x->opt->quick ? " --quick"
				: "");
}

static void print_history(const struct explorer *x)
{
	const struct script *script[2] = { &x->a, &x->b };
	const struct history *h = &x->history;

	for (unsigned host = 0; host < 2; host++)
		for (unsigned i = 0; i < h->n[host]; i++)
			printf("  host %u %s: %" PRIu64 " to %" PRIu64 " \"%s\"\n", host, script[host]->command[i].text,
			       h->event[host][i].begun, h->event[host][i].ended, h->event[host][i].result);
}

void explore_violation(struct explorer *x, const char *text)
{
	if (x->tally.violations++ >= VIOLATIONS_SHOWN || x->opt->quiet)
		return;
	printf("VIOLATION %s\n", text);
	explore_where(x, stdout);
	if (x->opt->trace) {
		print_history(x);
		world_show_lanes(stdout);
	}
	fflush(stdout);
}

bool explore_exhausted(const struct explorer *x)
{
	return x->tally.violations >= (x->opt->first_only ? 1 : VIOLATIONS_MAX);
}

bool explore_fate(const struct explorer *x, unsigned dirty, unsigned nth, bool few, struct fate *out)
{
	unsigned singles = few ? 0 : x->opt->full ? 64 : x->opt->quick ? 2 : 6;
	unsigned randoms = few || x->opt->quick ? 1 : x->opt->full ? 16 : 4;

	singles = singles < dirty ? singles : dirty;
	*out = (struct fate){ .kind = FATE_KEEP_ALL };
	if (nth == 0)
		return true;
	if (!x->wb || !dirty)
		return false;
	*out = (struct fate){ .kind = FATE_DROP_ALL };
	if (nth == 1)
		return true;
	if (dirty == 1) /* keep or drop: but an older content may be left too */
		singles = 0;
	nth -= 2;
	if (nth < 2 * singles) {
		/* The last lines stored to are the ones that matter. */
		uint64_t line = dirty - 1 - nth / 2 * (dirty / singles);

		*out = (struct fate){ .kind = nth % 2 ? FATE_KEEP_ONE : FATE_DROP_ONE, .n = line };
		return true;
	}
	nth -= 2 * singles;
	*out = (struct fate){ .kind = FATE_RANDOM, .n = scatter(x->opt->seed + x->n * 64 + nth) >> 8 };
	return nth < randoms;
}

/* -- one state ---------------------------------------------------------------------------- */

/* What a host gave up because it was declared dead happened or did not. */
static void forget_given_up(struct history *h)
{
	for (unsigned i = 0; i < h->n[0]; i++)
		if (!strncmp(h->event[0][i].result, "-116", 4))
			h->event[0][i].ended = 0;
}

/* What is found: as in a state that ended alike, if there was one; --every looks again. NULL: nothing, and why. */
static const struct state *outcome_of(struct explorer *x, unsigned dead, char *text, size_t size)
{
	static struct state found;
	uint64_t end = known_end(dead);
	const struct state *known = known_outcome(end);

	if (known && !x->goes_on && !x->opt->every)
		return known;
	if (!aftermath(dead, &found, text, size))
		return NULL;
	if (known && !state_equal(known, &found)) {
		size_t n = (size_t)snprintf(text, size, "it ended as another state did, and is not what that was: ");

		state_explain(&found, known, text + n, size - n);
		return NULL;
	}
	known_add(end, &found);
	return &found;
}

void explore_finish(struct explorer *x, unsigned dead)
{
	const struct state *outcome;
	char text[1200];

	if (x->variant == V_REVOKE)
		forget_given_up(&x->history);
	x->tally.states[x->variant]++;
	outcome = outcome_of(x, dead, text, sizeof(text));
	if (!outcome || history_judge(&x->history, x->refs, dead, outcome, text, sizeof(text)))
		explore_violation(x, text);
}

uint64_t explore_steps_max(const struct explorer *x)
{
	return x->sc->flags & SC_TIGHT ? STEPS_TIGHT_MAX : STEPS_MAX;
}

bool explore_survive(struct explorer *x, struct run *run, seam_hook hook, uint64_t pause_at)
{
	char text[200];

	x->survivor = (struct performance){ .script = &x->b, .history = &x->history, .host = 1 };
	run_start(run, 1, perform, &x->survivor);
	run->steps_max = explore_steps_max(x);
	run->hook = hook;
	run->context = x;
	run_until(run, pause_at);
	if (run->end == RUN_BROKEN) {
		snprintf(text, sizeof(text), "host 1 in script b: %s", run->err);
		explore_violation(x, text);
	}
	return run->end == RUN_RETURNED;
}

/* The host is about to do step m: it dies here. */
static void second_death(const struct second *s, uint64_t m, const struct sm_site *site)
{
	struct explorer *x = s->x;
	struct history kept = x->history;
	unsigned dirty = memory_dirty(s->host);

	x->m = m;
	x->site[1] = site;
	world_mark();
	for (unsigned i = 0; explore_fate(x, dirty, i, true, &x->fate[1]); i++) {
		world_lose(s->host, x->fate[1]);
		explore_finish(x, s->dead);
		world_rewind();
		x->history = kept;
	}
	world_drop();
	x->m = 0;
	x->site[1] = NULL;
}

void explore_second_hook(void *second, struct run *run, const struct seam_event *event)
{
	struct second *s = second;
	struct explorer *x = s->x;
	struct sm_site *site = run->site;

	if (s->distinct && seam_changes() == s->last_changes && (s->tried || site->crashes)) {
		site->crashes += s->tried;
		return;
	}
	s->distinct += !s->distinct || seam_changes() != s->last_changes;
	s->last_changes = seam_changes();
	s->tried = false;
	if (!explore_exhausted(x) && explore_samples(x, event->step, site)) {
		site->crashes++;
		s->tried = true;
		second_death(s, event->step, site);
		s->last_changes = seam_changes();
	}
}

/* -- one scenario --------------------------------------------------------------------------- */

static const struct explorer *at_work;

static void describe(FILE *out)
{
	if (at_work)
		explore_where(at_work, out);
}

/* A death must not change what there is, unless it lets go of open files. */
static void check_death(struct explorer *x)
{
	const struct state *alive = reference_state(x->refs, "", 0), *dead = reference_state(x->refs, "", 1);
	char text[1200] = "an idle host's death changed the state: ";
	size_t n = strlen(text);

	if ((x->sc->flags & SC_HOLDS) || state_equal(alive, dead))
		return;
	state_explain(dead, alive, text + n, sizeof(text) - n);
	explore_violation(x, text);
}

void explore_scenario(const struct scenario *sc, const struct options *opt, bool wb, struct tally *out)
{
	static const unsigned dead[] = { 0, 1, 2, 3 }; /* nobody, host 0, host 1, both */
	static struct explorer x;

	x = (struct explorer){ .sc = sc, .opt = opt, .wb = wb };
	at_work = &x;
	known_forget();
	seam_describe(describe);
	world_make(wb, sc->flags & SC_TIGHT, sc->flags & SC_LEASES, sc->flags & SC_OUTSIDE ? 6 : 7);
	script_setup(sc->setup);
	script_parse(&x.a, sc->a);
	script_parse(&x.b, sc->b);
	script_parse(&x.churn, "mkdir zz;create zy;unlink zy;rmdir zz;symlink zx y;unlink zx");
	script_prepare(&x.churn, 1);
	script_prepare(&x.a, sc->flags & SC_OUTSIDE ? 1 : 0);
	script_prepare(&x.b, 1);
	memory_quiesce();
	world_mark();
	x.refs = references_make(&x.a, &x.b, dead, 4, sc->flags & SC_TIGHT);
	if (opt->full)
		references_execute_all(x.refs);
	if (references_broken(x.refs)) {
		explore_violation(&x, references_broken(x.refs));
	} else {
		check_death(&x);
		if (!opt->weak) {
			explore_crashes(&x);
			explore_pauses(&x);
		}
		if (opt->worlds)
			explore_stops(&x);
		else
			explore_mixes(&x);
	}
	references_free(x.refs);
	world_rewind();
	world_drop();
	at_work = NULL;
	*out = x.tally;
}
