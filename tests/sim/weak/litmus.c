/* SPDX-License-Identifier: Apache-2.0 */
/*
 * litmus.c - does the weak memory do what C11 says?
 *
 * Small programs with verdicts known from the literature (Alglave et al., TOPLAS 2014;
 * Lahav et al., PLDI 2017; C++20 for release sequences): an outcome that is forbidden
 * must never show, one that is allowed must, in all interleavings and all choices of
 * messages. Threads are parted by '|', steps by spaces:
 *
 *   W.x=1  a store, relaxed; Wr.x=1 a release       R.x  a load, relaxed; Ra.x an acquire
 *   C.x:0>1  a CAS, acq_rel; Cr, Ca, Cn: release only, acquire only, relaxed
 *   F  a seq_cst fence; Fa an acquire fence; Fl an acq_rel one
 *   S.x=1  a streamed copy; E ends them             P.x=1  a copy; Q.x a copy out of it
 *
 * An outcome is what the loads found, in the order of the text; a CAS found what was
 * there before. Variables are 0 at first.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "machine/arena.h"
#include "sim.h"
#include "machine/weak.h"

enum verdict { FORBIDDEN, ALLOWED };

static const struct litmus {
	const char *name, *program, *outcome;
	enum verdict verdict;
} tests[] = {
	/* message passing */
	{ "MP", "W.x=1 W.y=1 | R.y R.x", "1 0", ALLOWED },
	{ "MP+sc", "W.x=1 W.y=1 | R.y R.x", "1 1", ALLOWED },
	{ "MP+rel+acq", "W.x=1 Wr.y=1 | Ra.y R.x", "1 0", FORBIDDEN },
	{ "MP+rel+acq", "W.x=1 Wr.y=1 | Ra.y R.x", "0 0", ALLOWED },
	{ "MP+rel+rlx", "W.x=1 Wr.y=1 | R.y R.x", "1 0", ALLOWED },
	{ "MP+rlx+acq", "W.x=1 W.y=1 | Ra.y R.x", "1 0", ALLOWED },
	{ "MP+fence+acq", "W.x=1 F W.y=1 | Ra.y R.x", "1 0", FORBIDDEN },
	{ "MP+fence+fence", "W.x=1 F W.y=1 | R.y Fa R.x", "1 0", FORBIDDEN },
	{ "MP+fence+late", "W.x=1 F W.y=1 | Fa R.y R.x", "1 0", ALLOWED },
	{ "MP+cas", "W.x=1 Cr.y:0>1 | Ca.y:1>2 R.x", "0 1 0", FORBIDDEN },
	{ "MP+cas-rlx", "W.x=1 Cn.y:0>1 | Ca.y:1>2 R.x", "0 1 0", ALLOWED },
	{ "MP+cas+rlx", "W.x=1 Cr.y:0>1 | Cn.y:1>2 R.x", "0 1 0", ALLOWED },
	{ "MP+copies", "P.x=1 Wr.y=1 | Ra.y Q.x", "1 0", FORBIDDEN },
	{ "MP+copies", "P.x=1 W.y=1 | Ra.y Q.x", "1 0", ALLOWED },
	{ "MP+stream", "S.x=1 Wr.y=1 | Ra.y Q.x", "1 0", ALLOWED },
	{ "MP+stream-end", "S.x=1 E Wr.y=1 | Ra.y Q.x", "1 0", FORBIDDEN },
	{ "MP+stream-after", "E S.x=1 Wr.y=1 | Ra.y Q.x", "1 0", ALLOWED },
	/* store buffering */
	{ "SB", "W.x=1 R.y | W.y=1 R.x", "0 0", ALLOWED },
	{ "SB+rel+acq", "Wr.x=1 Ra.y | Wr.y=1 Ra.x", "0 0", ALLOWED },
	{ "SB+fences", "W.x=1 F R.y | W.y=1 F R.x", "0 0", FORBIDDEN },
	{ "SB+fences", "W.x=1 F R.y | W.y=1 F R.x", "1 1", ALLOWED },
	{ "SB+one-fence", "W.x=1 F R.y | W.y=1 R.x", "0 0", ALLOWED },
	{ "SB+acq-rel-fences", "W.x=1 Fl R.y | W.y=1 Fl R.x", "0 0", ALLOWED },
	{ "SB+cas", "C.x:0>1 Ra.y | C.y:0>1 Ra.x", "0 0 0 0", ALLOWED },
	{ "SB+cas-fences", "C.x:0>1 F R.y | C.y:0>1 F R.x", "0 0 0 0", FORBIDDEN },
	/* two stores, two readers */
	{ "IRIW", "W.x=1 | W.y=1 | R.x R.y | R.y R.x", "1 0 1 0", ALLOWED },
	{ "IRIW+rel+acq", "Wr.x=1 | Wr.y=1 | Ra.x Ra.y | Ra.y Ra.x", "1 0 1 0", ALLOWED },
	{ "IRIW+fences", "W.x=1 | W.y=1 | R.x F R.y | R.y F R.x", "1 0 1 0", FORBIDDEN },
	/* one word */
	{ "CoRR", "W.x=1 W.x=2 | R.x R.x", "2 1", FORBIDDEN },
	{ "CoRR", "W.x=1 W.x=2 | R.x R.x", "1 0", FORBIDDEN },
	{ "CoRR", "W.x=1 W.x=2 | R.x R.x", "0 2", ALLOWED },
	{ "CoRR2", "W.x=1 | W.x=2 | R.x R.x | R.x R.x", "1 2 2 1", FORBIDDEN },
	{ "CoWR", "W.x=1 R.x | W.x=2", "0", FORBIDDEN },
	{ "CoWR", "W.x=1 R.x | W.x=2", "2", ALLOWED },
	{ "CoWR-old", "W.x=1 R.x | W.x=2 R.x R.x", "2 2 1", FORBIDDEN },
	{ "CoRR+rel+acq", "W.x=1 W.x=2 | R.x Wr.y=1 | Ra.y R.x", "2 1 1", FORBIDDEN },
	{ "CoRR+rlx", "W.x=1 W.x=2 | R.x W.y=1 | Ra.y R.x", "2 1 1", ALLOWED },
	{ "CoWW", "W.x=1 W.x=2 Wr.y=1 | Ra.y R.x", "1 1", FORBIDDEN },
	{ "CAS", "C.x:0>1 | C.x:0>2", "0 0", FORBIDDEN },
	{ "CAS", "C.x:0>1 | C.x:0>2", "2 0", ALLOWED },
	{ "CAS-rlx", "Cn.x:0>1 | Cn.x:0>2 | R.x R.x", "0 1 2 0", FORBIDDEN },
	{ "CAS-old", "W.x=1 W.y=1 | R.y C.x:9>8", "1 0", ALLOWED },
	{ "CAS-fails+acq", "W.x=1 Wr.y=1 | C.y:9>8 R.x", "1 0", FORBIDDEN },
	{ "CAS-fails+rlx", "W.x=1 Wr.y=1 | Cn.y:9>8 R.x", "1 0", ALLOWED },
	/* release sequences: CAS goes on with one, a store of anybody does not */
	{ "RS+cas", "W.x=1 Wr.y=1 | Cn.y:1>2 | Ra.y R.x", "1 2 0", FORBIDDEN },
	{ "RS+store", "W.x=1 Wr.y=1 | Ra.y W.y=2 | Ra.y R.x", "0 2 0", ALLOWED },
	{ "RS+own-store", "W.x=1 Wr.y=1 W.y=2 | Ra.y R.x", "2 0", ALLOWED },
	/* knowledge is handed on */
	{ "WRC+rel+acq", "W.x=1 | R.x Wr.y=1 | Ra.y R.x", "1 1 0", FORBIDDEN },
	{ "WRC+rlx", "W.x=1 | R.x W.y=1 | Ra.y R.x", "1 1 0", ALLOWED },
	{ "ISA2", "W.x=1 Wr.y=1 | Ra.y Wr.z=1 | Ra.z R.x", "1 1 0", FORBIDDEN },
	{ "ISA2+rlx", "W.x=1 Wr.y=1 | R.y Wr.z=1 | Ra.z R.x", "1 1 0", ALLOWED },
	/* What C11 allows and this memory does not do: no store is seen before it is made, and stores
	 * of one word come in the order in which they are made. See docs/TESTING.md for why that is enough. */
	{ "LB", "R.x W.y=1 | R.y W.x=1", "1 1", FORBIDDEN },
	{ "2+2W", "W.x=1 W.y=2 F R.y | W.y=1 W.x=2 F R.x", "1 1", FORBIDDEN },
};

#define THREADS_MAX 4u
#define STEPS_MAX 8u
#define CHOICES_MAX 64u
#define FOUND_MAX 16u

struct op {
	char what[3]; /* before the dot */
	unsigned variable, a, b;
	int found_at; /* -1: nothing */
	struct sm_site site;
};

struct program {
	struct op op[STEPS_MAX];
	unsigned n;
	struct run run;
};

static struct play {
	struct program thread[THREADS_MAX];
	unsigned threads, n_found;
	uint64_t found[FOUND_MAX];
	struct {
		unsigned taken, of;
	} choice[CHOICES_MAX];
	unsigned choices, at;
	uint64_t executions;
} play;

/* -- programs --------------------------------------------------------------------- */

static enum sm_order order_of(const struct op *op)
{
	switch (op->what[0] == 'F' ? 'F' : op->what[1]) {
	case 'F': return op->what[1] == 'a' ? SM_ACQUIRE : op->what[1] == 'l' ? SM_ACQ_REL : SM_SEQ_CST;
	case 'r': return SM_RELEASE;
	case 'a': return SM_ACQUIRE;
	case 'n': return SM_RELAXED;
	default: return op->what[0] == 'C' ? SM_ACQ_REL : op->what[0] == 'E' ? SM_RELEASE : SM_RELAXED;
	}
}

static bool finds(const struct op *op)
{
	return strchr("RCQ", op->what[0]) != NULL;
}

static void parse_op(const char *text, struct op *op)
{
	size_t n = strcspn(text, ".");
	const char *dot = text[n] ? text + n + 1 : NULL;

	*op = (struct op){ .found_at = -1 };
	memcpy(op->what, text, n < 2 ? n : 2);
	if (dot) {
		op->variable = (unsigned)(dot[0] - 'x');
		sscanf(dot + 1, dot[1] == ':' ? ":%u>%u" : "=%u", &op->a, &op->b);
	}
	op->site = (struct sm_site){ .file = "litmus", .func = "litmus", .call = "litmus", .order = order_of(op) };
	if (finds(op))
		op->found_at = (int)play.n_found++;
}

static void parse(const char *program)
{
	char text[128], *save, *token;

	snprintf(text, sizeof(text), "%s", program);
	memset(play.thread, 0, sizeof(play.thread));
	play.threads = 1;
	play.n_found = 0;
	for (token = strtok_r(text, " ", &save); token; token = strtok_r(NULL, " ", &save)) {
		struct program *t = &play.thread[play.threads - 1];

		if (token[0] == '|')
			play.threads++;
		else
			parse_op(token, &t->op[t->n++]);
	}
}

static void do_op(struct op *op)
{
	sm_u64 *p = (sm_u64 *)memory_base() + (op->variable + 1) * 64;
	uint64_t v = op->a;

	switch (op->what[0]) {
	case 'W': sm_store_at(p, v, &op->site); break;
	case 'R': v = sm_load_at(p, &op->site); break;
	case 'C': sm_cas_value_at(p, &v, op->b, &op->site); break;
	case 'F': sm_fence_at(&op->site); break;
	case 'S': sm_write_stream_at(p, &v, sizeof(v), &op->site); break;
	case 'E': sm_stream_end_at(&op->site); break;
	case 'P': sm_write_at(p, &v, sizeof(v), &op->site); break;
	default: sm_read_at(&v, p, sizeof(v), &op->site); break;
	}
	if (op->found_at >= 0)
		play.found[op->found_at] = v;
}

static long call_thread(void *arg)
{
	struct program *t = arg;

	for (unsigned i = 0; i < t->n; i++)
		do_op(&t->op[i]);
	return 0;
}

/* -- all executions ------------------------------------------------------------------ */

static unsigned choose(unsigned n)
{
	if (n == 1)
		return 0;
	if (play.at == CHOICES_MAX)
		arena_die("a litmus test is too long");
	if (play.at == play.choices) {
		play.choice[play.choices].taken = 0;
		play.choice[play.choices++].of = n;
	}
	return play.choice[play.at++].taken;
}

/* The next execution; false: that was the last. */
static bool choose_anew(void)
{
	play.at = 0;
	while (play.choices && play.choice[play.choices - 1].taken + 1 == play.choice[play.choices - 1].of)
		play.choices--;
	if (!play.choices)
		return false;
	play.choice[play.choices - 1].taken++;
	return true;
}

static void execute(void)
{
	const struct weak_policy policy = { .hide = HIDE_ASK, .ask = choose };
	unsigned left = play.threads;

	weak_begin(&policy);
	for (unsigned i = 0; i < play.threads; i++) {
		run_start(&play.thread[i].run, i, call_thread, &play.thread[i]);
		run_until(&play.thread[i].run, 1);
	}
	while (left) {
		unsigned nth = choose(left), i = 0;

		while (play.thread[i].run.end != RUN_PAUSED || nth--)
			i++;
		left -= run_until(&play.thread[i].run, play.thread[i].run.steps + 1) != RUN_PAUSED;
	}
	for (unsigned i = 0; i < play.threads; i++)
		run_free(&play.thread[i].run);
	weak_end();
	memory_rewind();
	play.executions++;
}

static bool outcome_is(const char *outcome)
{
	char text[128];
	int used = 0;

	for (unsigned i = 0; i < play.n_found; i++)
		used += snprintf(text + used, sizeof(text) - (size_t)used, "%s%" PRIu64, i ? " " : "", play.found[i]);
	return !strcmp(text, outcome);
}

/* Does this outcome show? */
static bool shows(const struct litmus *test)
{
	bool shown = false;

	parse(test->program);
	play.choices = 0;
	do {
		play.at = 0;
		execute();
		shown |= outcome_is(test->outcome);
	} while (choose_anew());
	return shown;
}

unsigned weak_litmus(void)
{
	unsigned failures = 0;

	if (!memory_size() && !memory_open(3u << 20))
		arena_die("no memory for the pool");
	memory_reset(false);
	arena_reset();
	memory_mark();
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		bool shown = shows(&tests[i]);

		if (shown == (tests[i].verdict == ALLOWED))
			continue;
		failures++;
		printf("litmus: FAILED: %s, \"%s\": \"%s\" is %s and %s\n", tests[i].name, tests[i].program,
		       tests[i].outcome, shown ? "forbidden" : "allowed", shown ? "shows" : "does not show");
	}
	memory_drop();
	printf("litmus: %zu tests, %" PRIu64 " executions, %u wrong\n", sizeof(tests) / sizeof(tests[0]),
	       play.executions, failures);
	return failures;
}
