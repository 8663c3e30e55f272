/* SPDX-License-Identifier: Apache-2.0 */
/*
 * faults.c - what goes wrong, drawn before a seed begins, each fault with
 * its own random number: leaving one out leaves the others as they are.
 *
 * A fault waits for its step, perhaps for a store, a commit, or for an agent or
 * manager to be at work, and strikes between two seam calls. Those of recoverers wait until
 * a recovery is under way.
 */
#include <string.h>

#include "mem/layout.h"
#include "pod/store.h"
#include "sync/member.h"
#include "sync/word.h"

#define COMMITTED_STEPS 4u /* within which a decision may still be in one cache only */
#define STEPS_AN_OP 220u   /* about: faults are to fall into the time in which there is work */

static const char *const names[FAULT_KINDS] = {
	"kill",          "kill-process", "kill-recoverer", "pause",         "pause-recoverer",
	"starve",        "deaf",         "alone",          "leave",         "manager-kill",
	"manager-pause", "unreadable",   "fence-fail",     "fence-hang",    "fence-on",
	"fence-lie",     "heartbeat",    "order-fence",    "order-confirm", "poison-data",
	"poison-meta",   "poison-load",  "storage-power",  "storage-hang",  "storage-errors",
};

const char *fault_name(enum fault_kind kind)
{
	return names[kind];
}

/* -- the plan ------------------------------------------------------------------------- */

static unsigned weight_of(enum fault_kind kind)
{
	switch (kind) {
	case FAULT_KILL:
	case FAULT_DEAF: return 6;
	case FAULT_KILL_PROCESS:
	case FAULT_KILL_RECOVERER:
	case FAULT_PAUSE: return 4;
	case FAULT_PAUSE_RECOVERER:
	case FAULT_LEAVE: return 3;
	default: return 2;
	}
}

static enum fault_kind draw_kind(struct rng *r, uint32_t enabled)
{
	uint64_t sum = 0, at;

	for (unsigned k = 0; k < FAULT_KINDS; k++)
		sum += enabled >> k & 1 ? weight_of((enum fault_kind)k) : 0;
	at = rng_below(r, sum);
	for (unsigned k = 0; k < FAULT_KINDS; k++) {
		unsigned weight = enabled >> k & 1 ? weight_of((enum fault_kind)k) : 0;

		if (at < weight)
			return (enum fault_kind)k;
		at -= weight;
	}
	return FAULT_KILL;
}

#define POISONS (1u << FAULT_POISON_DATA | 1u << FAULT_POISON_META | 1u << FAULT_POISON_LOAD)
#define STORAGE (1u << FAULT_STORAGE_POWER | 1u << FAULT_STORAGE_HANG | 1u << FAULT_STORAGE_ERRORS)

/* With storage nothing is poisoned; and what waits for storage waits for its host, so nobody is alone. */
static uint32_t mix_of_storage(uint32_t mix)
{
	if (!pod.stored)
		return mix & ~STORAGE;
	return (mix & ~(POISONS | 1u << FAULT_ALONE)) | 1u << FAULT_STORAGE_POWER;
}

/* Each seed has its own mix of kinds. Damage of metadata comes alone, and last. */
static uint32_t draw_mix(struct rng *r)
{
	uint32_t all = (1u << FAULT_KINDS) - 1, mix = (uint32_t)rng_next(r) & all;

	mix |= 1u << FAULT_KILL;
	mix &= ~(1u << FAULT_POISON_META);
	if (!rng_chance(r, 3))
		mix &= ~(1u << FAULT_POISON_DATA | 1u << FAULT_POISON_LOAD);
	return mix_of_storage(mix);
}

static void sort(void)
{
	for (unsigned i = 1; i < pod.n_faults; i++)
		for (unsigned j = i; j && pod.fault[j - 1].step > pod.fault[j].step; j--) {
			struct fault f = pod.fault[j];

			pod.fault[j] = pod.fault[j - 1];
			pod.fault[j - 1] = f;
		}
}

void faults_plan(void)
{
	struct rng r = rng_stream(pod.seed, STREAM_FAULTS, 0);
	uint64_t span = pod.ops_left * STEPS_AN_OP;
	uint32_t mix = draw_mix(&r);
	bool damage = rng_chance(&r, 12) && !pod.stored;

	pod.n_faults = rng_chance(&r, 12) ? 0 : 1 + (unsigned)rng_below(&r, rng_chance(&r, 4) ? 40 : 14);
	for (unsigned i = 0; i < pod.n_faults; i++)
		pod.fault[i] = (struct fault){
			.step = rng_below(&r, span),
			.when = (enum fault_when)rng_below(&r, WHENS),
			.at = rng_chance(&r, 5)   ? ACTOR_AGENT
			      : rng_chance(&r, 6) ? ACTOR_MANAGER
						  : -1,
			.kind = pod.roles && rng_chance(&r, 3) ? FAULT_DEAF : draw_kind(&r, mix),
			.draw = rng_next(&r),
		};
	if (damage && pod.n_faults < FAULTS_MAX)
		pod.fault[pod.n_faults++] = (struct fault){
			.step = span / 2,
			.at = -1,
			.kind = FAULT_POISON_META,
			.draw = rng_next(&r),
		};
	sort();
}

/* -- machines -------------------------------------------------------------------------- */

struct fate draw_fate(struct rng *r, unsigned cache)
{
	unsigned dirty = memory_dirty(cache);
	uint64_t n = dirty ? rng_below(r, dirty) : 0;

	if (!pod.wb || !dirty)
		return (struct fate){ .kind = FATE_KEEP_ALL };
	switch (rng_below(r, 6)) {
	case 0: return (struct fate){ .kind = FATE_KEEP_ALL };
	case 1: return (struct fate){ .kind = FATE_DROP_ALL };
	case 2: return (struct fate){ .kind = FATE_DROP_ONE, .n = n };
	case 3: return (struct fate){ .kind = FATE_KEEP_ONE, .n = n };
	default: return (struct fate){ .kind = FATE_RANDOM, .n = rng_next(r) >> 8 };
	}
}

static uint64_t soon(struct rng *r, unsigned beats)
{
	return pod.now_ns + rng_below(r, beats * HEARTBEAT_NS);
}

void machine_off(unsigned machine, struct fate fate)
{
	struct machine *m = &pod.machine[machine];

	if (!m->on)
		return;
	pod.tallies->wiped += pod.wb && fate.kind != FATE_KEEP_ALL && memory_dirty(machine);
	trace_line("machine %u goes off: %u dirty lines, fate %u %llu", machine, memory_dirty(machine), fate.kind,
		   (unsigned long long)fate.n);
	store_machine_off(machine);
	process_end(machine);
	memory_lose(machine, fate);
	oracle_lost();
	store_check("after a host died");
	m->on = false;
	m->boots++;
	m->restart_ns = soon(&pod.life, 60);
	pod.tallies->deaths++;
}

static void kill_process(unsigned machine)
{
	struct machine *m = &pod.machine[machine];

	if (!m->on || m->process == PROCESS_NONE)
		return;
	process_end(machine);
	m->restart_ns = soon(&pod.life, 40);
	pod.tallies->deaths++;
}

static uint64_t draw_pause(struct rng *r)
{
	return soon(r, rng_chance(r, 2) ? 4 : 60);
}

/* Its agent may come to itself last: until then its workers do not know what was decided about them. */
static void pause_machine(unsigned machine, struct rng *r)
{
	struct machine *m = &pod.machine[machine];
	struct actor *agent = actor_of(ACTOR_AGENT, machine, 0);

	if (!m->on || m->fence_lies)
		return;
	m->paused_ns = draw_pause(r);
	if (agent->used && agent->wake_ns < m->paused_ns && m->process == PROCESS_JOINED && rng_chance(r, 2))
		agent->wake_ns = m->paused_ns + rng_below(r, HEARTBEAT_NS << rng_below(r, 7));
}

/* Half of the time who was about to act, else anybody. */
static unsigned draw_machine(struct rng *r, const struct actor *at)
{
	if (at->kind != ACTOR_MANAGER && rng_chance(r, 2))
		return at->machine;
	return (unsigned)rng_below(r, pod.machines);
}

/* -- managers ------------------------------------------------------------------------------ */

static unsigned draw_manager(struct rng *r)
{
	unsigned i = (unsigned)rng_below(r, MANAGERS);

	return manager_primary(1 - i) && rng_chance(r, 2) ? 1 - i : i;
}

static void kill_manager(unsigned i, struct rng *r)
{
	manager_end(i);
	memory_lose(MANAGER_CACHE(i), draw_fate(r, MANAGER_CACHE(i)));
	oracle_lost();
	pod.manager_restart_ns[i] = soon(r, 80);
}

static void order(unsigned slot)
{
	for (unsigned i = 0; i < MANAGERS; i++)
		manager_order(i, slot, false);
}

/* From a fifth of what it was to twice that, by either fabricd's machine. */
static void change_heartbeat(struct rng *r)
{
	static const unsigned ms[] = { 10, 25, 50, LENGTHENED_MS };

	manager_heartbeat((unsigned)rng_below(r, MANAGERS), ms[rng_below(r, sizeof(ms) / sizeof(ms[0]))]);
}

/* The operator pulls the plug first. */
static void confirm(struct rng *r)
{
	pod.confirm = (int)rng_below(r, pod.machines);
	machine_off((unsigned)pod.confirm, draw_fate(r, (unsigned)pod.confirm));
	pod.machine[pod.confirm].restart_ns = soon(r, 60) + 20 * HEARTBEAT_NS;
}

/* -- damage ----------------------------------------------------------------------------------- */

static void overwrite(uint64_t offset, const uint8_t bytes[LINE])
{
	memory_store(OBSERVER_CACHE, offset, bytes, LINE);
	memory_persist(OBSERVER_CACHE, 0, offset, LINE);
	memory_drain(OBSERVER_CACHE, 0);
}

static void poison_data(struct rng *r)
{
	uint64_t pages = pod.pool.objects[DAXFS_T_PAGE], start = rng_below(r, pages);
	uint8_t bytes[LINE];

	memset(bytes, POISON_BYTE, sizeof(bytes));
	for (uint64_t i = 0; i < pages; i++) {
		uint64_t page = (start + i) % pages, state = extent_page(page);

		if (state_of(state) != DAXFS_LIVE ||
		    (use_of(state) != DAXFS_USE_DATA && use_of(state) != DAXFS_USE_EXTENT))
			continue;
		pod.tallies->extents_poisoned += use_of(state) == DAXFS_USE_EXTENT;
		overwrite(memory_offset(pool_page(&pod.pool, page)) + rng_below(r, 64) * LINE, bytes);
		pod.poisoned = true;
		return;
	}
}

static uint64_t draw_line(struct rng *r)
{
	unsigned id = (unsigned)rng_below(r, DAXFS_REGIONS);
	const struct sm_region *region = &pod.pool.super.region[id];
	uint64_t lines = region->elem_size * region->count / LINE;

	return (region->offset + DAXFS_PAGE_SIZE) / LINE + rng_below(r, lines < 2000 ? lines : 2000);
}

/* Garbage, of which a part is what was there before. */
static void poison_meta(struct rng *r)
{
	for (unsigned i = 0; i < 4; i++) {
		uint64_t offset = draw_line(r) * LINE;
		uint8_t bytes[LINE];

		memcpy(bytes, memory_bytes() + offset, LINE);
		for (unsigned k = 0; k < LINE; k++)
			if (rng_chance(r, 3))
				bytes[k] = (uint8_t)rng_next(r);
		overwrite(offset, bytes);
	}
	pod.damaged = true;
}

/* -- striking --------------------------------------------------------------------------------- */

static void arm(const struct fault *f)
{
	pod.armed = true;
	pod.armed_fault = *f;
	pod.armed_steps = 1 + f->draw % 400;
	/* The same slot is the death of several, one after the other, at other steps. */
	pod.curse = f->kind == FAULT_KILL_RECOVERER && (f->draw >> 20) % 3 == 0 ? 1 + (f->draw >> 24) % 4 : 0;
	pod.cursed = -1;
}

/* So an operation that waits for a dead host, or one that stands still, does not end: see OP_STEPS. */
static void leave_alone(struct rng *r, const struct actor *at)
{
	pod.alone = (int)draw_machine(r, at);
	pod.alone_ns = soon(r, 30);
	pod.alone_managed = rng_chance(r, 3);
	pod.alone_workers = 0;
	for (unsigned i = 0; i < pod.workers; i++)
		if (actor_of(ACTOR_WORKER, (unsigned)pod.alone, i)->pending)
			pod.alone_workers |= 1u << i;
}

static void starve(struct rng *r, const struct actor *at)
{
	unsigned m = draw_machine(r, at);

	if (pod.machine[m].fence_lies)
		return;
	pod.starved = (int)(m * (2 + WORKERS_MAX) + rng_below(r, 2 + pod.workers));
	pod.starve_ns = soon(r, 40);
}

static void deafen(unsigned machine, struct rng *r)
{
	machine = pod.roles && rng_chance(r, 2) ? 0 : machine;
	if (pod.machine[machine].process == PROCESS_JOINED && !pod.machine[machine].fence_lies)
		actor_of(ACTOR_AGENT, machine, 0)->wake_ns = soon(r, 80);
}

static void leave(struct rng *r, const struct actor *at)
{
	struct machine *m = &pod.machine[draw_machine(r, at)];

	m->leave |= m->process == PROCESS_JOINED;
}

/* A host that runs is to be fenced, and its agent will lie. */
static void lie(struct rng *r, const struct actor *at)
{
	const struct machine *m = &pod.machine[draw_machine(r, at)];

	fences_misbehave(FAULT_FENCE_LIE, 1 + (unsigned)rng_below(r, 3));
	if (m->process == PROCESS_JOINED)
		order(m->slot);
}

static void strike(const struct fault *f, struct actor *at)
{
	struct rng r = { f->draw };
	unsigned m;

	/* clang-format off */
	switch (f->kind) {
	case FAULT_KILL: m = draw_machine(&r, at); machine_off(m, draw_fate(&r, m)); break;
	case FAULT_KILL_PROCESS: kill_process(draw_machine(&r, at)); break;
	case FAULT_KILL_RECOVERER: case FAULT_PAUSE_RECOVERER: arm(f); return; /* counted when it is done */
	case FAULT_PAUSE: pause_machine(draw_machine(&r, at), &r); break;
	case FAULT_STARVE: starve(&r, at); break;
	case FAULT_DEAF: deafen(draw_machine(&r, at), &r); break;
	case FAULT_ALONE: leave_alone(&r, at); break;
	case FAULT_LEAVE: leave(&r, at); break;
	case FAULT_MANAGER_KILL: kill_manager(draw_manager(&r), &r); break;
	case FAULT_MANAGER_PAUSE: pod.manager_paused_ns[draw_manager(&r)] = draw_pause(&r); break;
	case FAULT_UNREADABLE: manager_unreadable(draw_manager(&r), 1 + (unsigned)rng_below(&r, 30)); break;
	case FAULT_FENCE_LIE: lie(&r, at); return; /* the same */
	case FAULT_FENCE_FAIL: case FAULT_FENCE_HANG: case FAULT_FENCE_ON:
		fences_misbehave(f->kind, 1 + (unsigned)rng_below(&r, 3)); return;
	case FAULT_HEARTBEAT: change_heartbeat(&r); break;
	case FAULT_ORDER_FENCE: order((unsigned)rng_below(&r, pod.pool.super.hosts)); break;
	case FAULT_ORDER_CONFIRM: confirm(&r); break;
	case FAULT_POISON_DATA: poison_data(&r); break;
	case FAULT_POISON_META: poison_meta(&r); break;
	case FAULT_POISON_LOAD: pod.poisoned_load = 1 + rng_below(&r, 500); return; /* when that is done */
	case FAULT_STORAGE_POWER: case FAULT_STORAGE_HANG: case FAULT_STORAGE_ERRORS: store_strike(f->kind, &r); break;
	case FAULT_KINDS: break;
	}
	/* clang-format on */
	pod.tallies->fault[f->kind]++;
}

/* The slot that a recoverer is in the middle of recovering, of which it is told; -1: none. */
static int slot_at_work(const struct actor *a)
{
	if (a->kind != ACTOR_RECOVER || !a->recovering)
		return -1;
	for (unsigned slot = 0; slot < pod.pool.super.hosts; slot++) {
		struct host_word word;

		if (!host_word_unpack(peek_word(&pod.pool.member->host[slot].word), &word) &&
		    word.state == DAXFS_HOST_RECOVERING && word.recoverer == (int)pod.machine[a->machine].slot &&
		    (pod.cursed < 0 || pod.cursed == (int)slot))
			return (int)slot;
	}
	return -1;
}

static bool is_load(const struct seam_event *event)
{
	return event->len && (event->site->call[0] == 'l' || event->site->call[0] == 'r');
}

static bool is_store(const struct seam_event *event)
{
	return event->site->call[0] == 'c' || event->site->call[0] == 's' || event->site->call[0] == 'w';
}

enum fault_due faults_due(const struct actor *a, const struct seam_event *event)
{
	const struct fault *f = &pod.fault[pod.next_fault];

	if (pod.liveness)
		return DUE_NONE;
	if (pod.poisoned_load && a->kind != ACTOR_MANAGER && is_load(event) && --pod.poisoned_load == 0)
		return DUE_LOAD;
	if (pod.armed && slot_at_work(a) >= 0 && --pod.armed_steps == 0)
		return DUE_ARMED;
	if (pod.next_fault == pod.n_faults || pod.work_steps < f->step || (f->at >= 0 && f->at != (int)a->kind))
		return DUE_NONE;
	if (f->when == WHEN_STORE && !is_store(event))
		return DUE_NONE;
	if (f->when == WHEN_COMMITTED && f->at < 0 && (!a->committed || pod.steps > a->committed + COMMITTED_STEPS))
		return DUE_NONE;
	if (f->when == WHEN_FOCUS && f->at < 0 && pod.focus && !pod_focus(a, event))
		return DUE_NONE;
	return DUE_PLANNED;
}

static void happen_planned(struct actor *at)
{
	unsigned i = pod.next_fault++;

	if (!(pod.limits.faults >> i & 1))
		return;
	trace_line("FAULT %u: %s", i, fault_name(pod.fault[i].kind));
	strike(&pod.fault[i], at);
}

static void happen_armed(struct actor *at)
{
	struct rng r = { pod.armed_fault.draw };

	pod.armed = pod.curse;
	pod.cursed = pod.curse ? slot_at_work(at) : -1;
	pod.armed_steps = 1 + rng_below(&r, 40);
	pod.curse -= pod.curse > 0;
	trace_line("FAULT %s: machine %u", fault_name(pod.armed_fault.kind), at->machine);
	pod.tallies->fault[pod.armed_fault.kind]++;
	if (pod.armed_fault.kind == FAULT_KILL_RECOVERER)
		machine_off(at->machine, draw_fate(&r, at->machine));
	else
		pause_machine(at->machine, &r);
}

void faults_happen(enum fault_due due, struct actor *at)
{
	if (due == DUE_PLANNED) {
		happen_planned(at);
	} else if (due == DUE_ARMED) {
		happen_armed(at);
	} else if (due == DUE_LOAD) {
		trace_line("FAULT poison-load: machine %u", at->machine);
		pod.tallies->fault[FAULT_POISON_LOAD]++;
		kill_process(at->machine);
	}
}

void faults_forget(unsigned machine)
{
	if ((int)machine != pod.alone)
		return;
	pod.alone = -1;
	pod.alone_workers = 0;
}

void faults_stop(void)
{
	pod.armed = false;
	pod.curse = 0;
	pod.poisoned_load = 0;
	pod.next_fault = pod.n_faults;
	pod.alone = pod.starved = -1;
	pod.alone_workers = 0;
	store_faults_stop();
	for (unsigned i = 0; i < pod.machines; i++)
		pod.machine[i].paused_ns = 0;
	for (unsigned i = 0; i < MANAGERS; i++)
		pod.manager_paused_ns[i] = 0;
	fences_behave();
}
