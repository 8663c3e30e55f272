/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pod.c - one seed: what is drawn, whose turn it is, what time it is.
 *
 * The scheduler runs outside all actors. A turn is one resumption of one actor:
 * it ends when the actor sleeps, returns or breaks, when a fault strikes, or when
 * the turn is cut short, which may be before any seam call. Single-threaded.
 */
#include "pod/pod.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "machine/arena.h"
#include "pod/judge.h"
#include "pod/store.h"
#include "sync/member.h"

#define STEPS_MAX 6000000u   /* of a seed: then the safety phase ends */
#define IDLE_BEATS 400u      /* without work: the same */
#define LIVENESS_BEATS 1500u /* in which all is to be recovered and done */
#define STORE_CHECK_TURNS 16u

struct pod pod;

/* -- small things ------------------------------------------------------------------ */

struct rng rng_stream(uint64_t seed, uint64_t purpose, uint64_t nth)
{
	struct rng r = { seed * 0xd1342543de82ef95ull + purpose * 0x2545f4914f6cdd1dull + nth * 0x9e6c63d0676a9a99ull };

	rng_next(&r);
	return r;
}

uint64_t peek(uint64_t offset)
{
	uint64_t v;

	memcpy(&v, memory_bytes() + offset, sizeof(v));
	return v;
}

uint64_t peek_word(const sm_u64 *p)
{
	return peek(memory_offset(p));
}

void pod_violation(const char *format, ...)
{
	va_list args;

	if (pod.violated)
		return;
	va_start(args, format);
	vsnprintf(pod.violation, sizeof(pod.violation), format, args);
	va_end(args);
	pod.violated = pod.over = true;
	trace_line("VIOLATION %s", pod.violation);
}

/* -- before each seam call ---------------------------------------------------------------- */

/* Everything that two runs of one seed must have in common. */
static void hash(const struct actor *a, const struct seam_event *event)
{
	uint64_t v = event->offset ^ event->value << 1 ^ (uint64_t)event->site->line << 40 ^ a->run.host;

	pod.hash = (pod.hash ^ v) * 0x9fb21c651e98df25ull;
	pod.hash ^= pod.hash >> 29;
}

static bool stores(const struct seam_event *event)
{
	return event->site->call[0] == 'c' || event->site->call[0] == 's' || event->site->call[0] == 'w';
}

/* Outside of these turns nobody is cut short: see pod/shrink.c. */
static bool may_cut(void)
{
	return pod.turn >= pod.limits.turns_from && pod.turn < pod.limits.turns && !pod.liveness;
}

bool pod_focus(const struct actor *a, const struct seam_event *event)
{
	uint64_t site = (event->site->line * 0x9e3779b97f4a7c15ull ^ pod.focus) * 0xbf58476d1ce4e5b9ull;

	return pod.focus && site >> 60 == 0 && (a->kind == ACTOR_WORKER || a->kind == ACTOR_RECOVER);
}

/* It stops for long: what others do meanwhile is what its next steps may not be prepared for. */
static bool focused(struct actor *a, const struct seam_event *event)
{
	if (!pod_focus(a, event) || !may_cut())
		return false;
	a->napping = rng_chance(&pod.turns, pod.focus_rate);
	return a->napping;
}

static bool turn_ends(const struct seam_event *event)
{
	if (pod.store_countdown)
		return stores(event) && --pod.store_countdown == 0;
	return pod.countdown && --pod.countdown == 0;
}

static void hook(void *context, struct run *run, const struct seam_event *event)
{
	struct actor *a = context;
	bool ends = turn_ends(event);

	ends |= focused(a, event); /* asked in any case */
	mutants_after();
	pod.steps++;
	if (a->kind == ACTOR_WORKER || a->kind == ACTOR_RECOVER) {
		pod.work_steps++;
		pod.now_ns += pod.step_ns;
	}
	while (ends || pod.over || pod.check_due || (pod.due = faults_due(a, event))) {
		ends = false;
		fiber_pause(run->fiber);
		arena_use(false);
	}
	hash(a, event);
	trace_step(a, event);
	run->site->crashes++;
	if (event->site->call[0] == 's')
		oracle_store(a, event);
	else if (event->site->call[0] == 'c')
		oracle_cas(a, event);
	mutants_before(a, event);
}

/* -- whose turn? ---------------------------------------------------------------------------- */

static bool one_alone(void)
{
	return pod.alone >= 0 && (pod.now_ns < pod.alone_ns || pod.alone_workers);
}

static bool held_back(const struct actor *a)
{
	if (a->kind == ACTOR_MANAGER)
		return pod.manager_paused_ns[a->machine] > pod.now_ns || (one_alone() && !pod.alone_managed);
	if (one_alone() && (int)a->machine != pod.alone && !pod.machine[a->machine].fence_lies)
		return true;
	return pod.starved >= 0 && pod.now_ns < pod.starve_ns && a == &pod.actor[pod.starved] &&
	       !pod.machine[a->machine].fence_lies;
}

static bool runnable(const struct actor *a)
{
	return actor_ready(a) && !held_back(a);
}

/* Agents, recoverers and managers that have slept until now go first, mostly. */
static struct actor *choose_timer(void)
{
	struct actor *best = NULL;

	for (unsigned i = 0; i < ACTORS_MAX; i++) {
		struct actor *a = &pod.actor[i];
		bool must = a->kind == ACTOR_AGENT && pod.machine[a->machine].fence_lies;

		if (!a->used || a->kind == ACTOR_WORKER || !runnable(a))
			continue;
		if (must)
			return a;
		if (!best || a->wake_ns < best->wake_ns)
			best = a;
	}
	return best;
}

static struct actor *choose_random(const struct actor *except)
{
	struct actor *ready[ACTORS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < ACTORS_MAX; i++)
		if (pod.actor[i].used && &pod.actor[i] != except && runnable(&pod.actor[i]))
			ready[n++] = &pod.actor[i];
	return n ? ready[rng_below(&pod.turns, n)] : NULL;
}

static struct actor *choose_priority(void)
{
	struct actor *best = NULL;

	for (unsigned i = 0; i < ACTORS_MAX; i++)
		if (pod.actor[i].used && runnable(&pod.actor[i]) && (!best || pod.actor[i].priority > best->priority))
			best = &pod.actor[i];
	if (best && pod.overtakings && rng_chance(&pod.turns, 40)) {
		best->priority = rng_next(&pod.turns) >> 8; /* a change point: others overtake it */
		pod.overtakings--;
	}
	return best;
}

static struct actor *choose(void)
{
	struct actor *timer = choose_timer(), *a;

	if (timer && !rng_chance(&pod.turns, pod.lazy_timers))
		return timer;
	if (pod.bias == BIAS_PRIORITY)
		return choose_priority();
	if (pod.bias == BIAS_STARVE && !rng_chance(&pod.turns, 16)) {
		a = choose_random(&pod.actor[pod.seed % ACTORS_MAX]);
		if (a)
			return a;
	}
	return choose_random(NULL);
}

/* How long: a turn that is not cut short goes on until the actor sleeps. */
static void draw_turn(const struct actor *a)
{
	uint64_t length = 1 + rng_below(&pod.turns, 2 * pod.turn_mean);
	bool by_store = rng_chance(&pod.turns, 2), timer = a->kind == ACTOR_AGENT || a->kind == ACTOR_MANAGER;
	bool whole = timer && !rng_chance(&pod.turns, 8);

	pod.countdown = pod.store_countdown = 0;
	pod.turn++;
	if (whole || pod.turn < pod.limits.turns_from || pod.turn >= pod.limits.turns)
		return;
	if (by_store)
		pod.store_countdown = 1 + length / 4;
	else
		pod.countdown = length;
}

/* A thread that was stopped in the middle may be stopped for long. */
static void nap(struct actor *a)
{
	bool focus = a->napping;

	a->napping = false;
	if (!may_cut())
		return;
	if (a->run.end == RUN_PAUSED && a->wake_ns <= pod.now_ns && a->kind != ACTOR_MANAGER &&
	    a->kind != ACTOR_AGENT && (focus || rng_chance(&pod.turns, pod.naps)))
		a->wake_ns = pod.now_ns + rng_below(&pod.turns, HEARTBEAT_NS << rng_below(&pod.turns, 6));
}

static void after_turn(struct actor *a)
{
	enum fault_due due = pod.due;

	mutants_after();
	pod.due = DUE_NONE;
	if (a->run.end == RUN_BROKEN)
		pod_violation("machine %u: %s", a->machine, a->run.err);
	a->done = a->run.end == RUN_RETURNED;
	nap(a);
	if (due && !pod.over)
		faults_happen(due, a);
	if (pod.stored && pod.turn % STORE_CHECK_TURNS == 0 && !pod.over)
		store_check("in between");
	if (pod.check_due && !pod.over) {
		pod.check_due = false;
		check_recovered((unsigned)pod.recovered_slot);
	}
	for (unsigned m = 0; m < pod.machines; m++)
		if (pod.machine[m].exits) {
			trace_line("machine %u: its process ends by itself", m);
			process_end(m);
			pod.machine[m].restart_ns = pod.now_ns + rng_below(&pod.life, 30 * HEARTBEAT_NS);
		}
}

/* A process that was declared dead and does not know it. */
static void note_zombie(const struct actor *a)
{
	struct machine *m = &pod.machine[a->kind == ACTOR_MANAGER ? 0 : a->machine];
	struct host_word word;

	if (a->kind == ACTOR_MANAGER || m->process != PROCESS_JOINED || m->zombie ||
	    host_word_unpack(peek_word(&pod.pool.member->host[m->slot].word), &word))
		return;
	m->zombie = word.state == DAXFS_HOST_FENCING && word.generation == m->generation;
	pod.tallies->zombies += m->zombie;
}

static void take_turn(struct actor *a)
{
	draw_turn(a);
	note_zombie(a);
	a->run.hook = hook;
	a->run.context = a;
	pod.current = a;
	run_until(&a->run, 0);
	pod.current = NULL;
	after_turn(a);
}

/* -- time --------------------------------------------------------------------------------------- */

static void confirm_again(void)
{
	const struct machine *m = &pod.machine[pod.confirm < 0 ? 0 : pod.confirm];

	if (pod.confirm < 0)
		return;
	if (m->on || pod.liveness)
		pod.confirm = -1;
	for (unsigned i = 0; pod.confirm >= 0 && i < MANAGERS; i++)
		manager_order(i, (unsigned)pod.confirm, true);
}

/* The operator, who has seen to it that nobody dies of it any more. */
static void order_again(void)
{
	for (unsigned slot = 0; slot < pod.pool.super.hosts; slot++) {
		uint64_t toll = peek_word(&pod.pool.member->host[slot].toll);
		struct host_word word;

		if (host_word_unpack(peek_word(&pod.pool.member->host[slot].word), &word) ||
		    word.state != DAXFS_HOST_RECOVERING || toll >> 40 != word.generation ||
		    (toll >> 36 & 15) < DAXFS_RECOVERERS_MAX)
			continue;
		for (unsigned i = 0; i < MANAGERS; i++)
			manager_again(i, slot);
	}
}

/* What happens by itself. */
static void timed_events(void)
{
	fences_due();
	confirm_again();
	order_again();
	for (unsigned m = 0; m < pod.machines; m++)
		if (pod.machine[m].process == PROCESS_NONE && pod.machine[m].restart_ns <= pod.now_ns)
			machine_start(m);
	for (unsigned i = 0; i < MANAGERS; i++)
		if (pod.manager_restart_ns[i] <= pod.now_ns && !actor_of(ACTOR_MANAGER, i, 0)->used) {
			pod.manager_restart_ns[i] = FOREVER;
			manager_start(i);
		}
}

static void sooner(uint64_t *next, uint64_t at)
{
	if (at > pod.now_ns && at < *next)
		*next = at;
}

/* Nobody can go on: to the next moment at which somebody might. */
static bool jump(void)
{
	uint64_t next = FOREVER;

	for (unsigned i = 0; i < ACTORS_MAX; i++)
		if (pod.actor[i].used && !pod.actor[i].done)
			sooner(&next, pod.actor[i].wake_ns);
	for (unsigned m = 0; m < pod.machines; m++) {
		sooner(&next, pod.machine[m].paused_ns);
		sooner(&next, pod.machine[m].restart_ns);
	}
	for (unsigned i = 0; i < MANAGERS; i++) {
		sooner(&next, pod.manager_paused_ns[i]);
		sooner(&next, pod.manager_restart_ns[i]);
	}
	sooner(&next, fences_next());
	if (pod.alone >= 0)
		sooner(&next, pod.alone_ns);
	if (pod.starved >= 0)
		sooner(&next, pod.starve_ns);
	if (next == FOREVER) {
		pod_violation("nobody can go on");
		return false;
	}
	pod.now_ns = next;
	return true;
}

/* -- phases ------------------------------------------------------------------------------------------ */

static void begin_liveness(void)
{
	trace_line("LIVENESS: no more faults, no more work");
	pod.liveness = true;
	faults_stop();
	for (unsigned i = 0; i < MANAGERS; i++)
		manager_heartbeat(i, HEARTBEAT_NS / 1000000);
	for (unsigned m = 0; m < pod.machines; m++)
		if (pod.machine[m].process == PROCESS_NONE)
			pod.machine[m].restart_ns = pod.now_ns + rng_below(&pod.life, 20 * HEARTBEAT_NS);
	for (unsigned i = 0; i < MANAGERS; i++)
		if (pod.manager_restart_ns[i] != FOREVER)
			pod.manager_restart_ns[i] = pod.now_ns;
}

static bool at_rest(void)
{
	for (unsigned m = 0; m < pod.machines; m++) {
		if (pod.machine[m].process != PROCESS_JOINED || pod.machine[m].leave)
			return false;
		for (unsigned i = 0; i < pod.workers; i++)
			if (!actor_of(ACTOR_WORKER, m, i)->done)
				return false;
	}
	for (unsigned slot = 0; slot < pod.pool.super.hosts; slot++) {
		struct host_word word;

		if (host_word_unpack(peek_word(&pod.pool.member->host[slot].word), &word) ||
		    word.state != (slot < pod.machines ? DAXFS_HOST_ALIVE : DAXFS_HOST_FREE))
			return false;
	}
	return !pendings_count();
}

static void describe_unrest(void)
{
	char text[600] = "";

	for (unsigned slot = 0; slot < pod.pool.super.hosts; slot++) {
		struct host_word word = { .state = DAXFS_HOST_STATES };
		size_t n = strlen(text);

		host_word_unpack(peek_word(&pod.pool.member->host[slot].word), &word);
		snprintf(text + n, sizeof(text) - n, " %s", daxfs_host_state_name(word.state));
	}
	pod_violation("not at rest after %u heartbeats without faults:%s%s", LIVENESS_BEATS, text,
		      pendings_count() ? "; operations pending" : "");
}

static bool go_on(uint64_t *deadline)
{
	if (pod.liveness)
		return !at_rest();
	if (pod.ops_left && pod.steps < STEPS_MAX && pod.now_ns < pod.worked_ns + IDLE_BEATS * HEARTBEAT_NS)
		return true;
	if (pod.alone_workers)
		return true;
	if (pod.damaged)
		return false;
	begin_liveness();
	*deadline = pod.now_ns + LIVENESS_BEATS * HEARTBEAT_NS +
		    pendings_count() * (uint64_t)(pod.stored ? OP_STORED_STEPS : OP_STEPS) * pod.step_ns;
	return true;
}

static void play(void)
{
	uint64_t deadline = FOREVER;
	struct actor *a;

	for (unsigned m = 0; m < pod.machines; m++)
		machine_start(m);
	for (unsigned i = 0; i < MANAGERS; i++)
		manager_start(i);
	while (!pod.over && go_on(&deadline)) {
		timed_events();
		a = choose();
		if (a)
			take_turn(a);
		else if (!jump())
			return;
		if (pod.now_ns > deadline && !pod.over)
			describe_unrest();
	}
}

static void tidy(void)
{
	for (unsigned i = 0; i < ACTORS_MAX; i++)
		if (pod.actor[i].used) {
			run_free(&pod.actor[i].run);
			pod.actor[i].used = false;
		}
	arena_surround(NULL, NULL, NULL);
}

static void begin(uint64_t seed, const struct limits *limits, struct tallies *tallies)
{
	memset(&pod, 0, sizeof(pod));
	pod.seed = seed;
	pod.limits = *limits;
	pod.tallies = tallies;
	pod.alone = pod.starved = pod.confirm = pod.cursed = -1;
	pod.now_ns = HEARTBEAT_NS;
	for (unsigned i = 0; i < MANAGERS; i++)
		pod.manager_restart_ns[i] = FOREVER;
	for (unsigned i = 0; i < ACTORS_MAX; i++) {
		pod.actor[i].machine = i / (2 + WORKERS_MAX);
		pod.actor[i].kind = i % (2 + WORKERS_MAX) == 0   ? ACTOR_AGENT
				    : i % (2 + WORKERS_MAX) == 1 ? ACTOR_RECOVER
								 : ACTOR_WORKER;
		pod.actor[i].nth = i % (2 + WORKERS_MAX) < 2 ? 0 : i % (2 + WORKERS_MAX) - 2;
	}
	for (unsigned i = 0; i < MANAGERS; i++)
		*actor_of(ACTOR_MANAGER, i, 0) = (struct actor){ .kind = ACTOR_MANAGER, .machine = i };
	pod_draw();
	pod_make();
	managers_reset();
	oracle_reset();
	if (pod.stored)
		store_begin();
	check_begin();
}

bool pod_run(uint64_t seed, const struct limits *limits, struct tallies *tallies)
{
	begin(seed, limits, tallies);
	play();
	if (!pod.over || pod.damaged)
		check_end();
	tidy();
	tallies->seeds++;
	tallies->steps += pod.steps;
	return !pod.violated;
}
